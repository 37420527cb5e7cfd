# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: python3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Metagame
#
# > Mechanisms and players go in; who would win an election against whom comes out, and with it the opponent worth training against.

# %%
#| default_exp metagame

# %% [markdown]
# *In this notebook*: mechanisms play against mechanisms (Koster et al., "Metagame (or round robin tournament)", Table S2, and the
# elections of Table S1b). It uses the game, the manifold of mechanisms and the vote model; the run notebooks use it to choose
# the opponent of the training and to hold the elections afterwards. People appear only as `Players`, so the cloned networks,
# the stand-in participants and a row of bots are all welcome.

# %%
#| export
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from scipy.optimize import linprog
from scipy.sparse import csgraph

from democratic_ai import game, mechanisms, voting

# %%
#| hide
import time

import matplotlib.pyplot as plt
import pytest

from democratic_ai import data, participants

# %% [markdown]
# ## An election without a winner
#
# Three ways of sharing the fund, X, Y and Z, are put to Ann, Bob and Cem, two at a time. Ann likes X best, then Y, then Z.
# Bob likes Y best, then Z, then X. Cem likes Z best, then X, then Y. Everybody knows exactly what they want.
#
# X against Y: Ann and Cem vote for X, so X wins two to one. Y against Z: Ann and Bob vote for Y. Surely X, which beats the
# conqueror of Z, beats Z? Bob and Cem vote for Z. Every one of the three loses to another: a *Condorcet cycle*.
#
# So "the mechanism people like best" need not exist. Before a machine is trained to win votes *against* something, somebody
# must look whether there is a strongest something. That is the *metagame*: its players are mechanisms, its moves are points
# of the ideological manifold, its payoff is the share of the votes.

# %%
ranking = {"Ann": "XYZ", "Bob": "YZX", "Cem": "ZXY"}
beats = lambda a, b: sum(r.index(a) < r.index(b) for r in ranking.values()) / 3
condorcet = np.array([[0.5 if a == b else beats(a, b) for b in "XYZ"] for a in "XYZ"])
assert condorcet[0, 1] == condorcet[1, 2] == condorcet[2, 0] == 2 / 3
condorcet.round(2)


# %% [markdown]
# ## Who takes part
#
# The candidates are points $(w, v)$ of the manifold: $w$ weighs a player's own contribution against that of the others, $v$
# moves from absolute to relative contributions. Table S2 takes all combinations of 0, 1/2 and 1, with $v$ running fastest;
# eleven values of each make 121. Keeping the points as two arrays, rather than as a list of functions, lets one compiled
# program play all of them.

# %%
#| export
class Grid(NamedTuple):
    "Points of the ideological manifold, one mechanism each."

    w: Array  # [M] weight of the own contribution, 0 to 1
    v: Array  # [M] 0 = absolute contributions count, 1 = relative ones


def grid(
    n: int,  # values of each parameter, at least 2
) -> Grid:  # n * n points
    "Sample the manifold linearly in both parameters, v running fastest (Koster et al., \"Metagame\")."
    values = jnp.linspace(0, 1, n)
    return Grid(w=jnp.repeat(values, n), v=jnp.tile(values, n))


NINE = grid(3)  # Table S2's candidates in its order; the last one is liberal egalitarian

# %%
assert (NINE.w[-1], NINE.v[-1]) == (1, 1), "liberal egalitarian stands last"
assert len(grid(11).w) == 121
list(zip(NINE.v.tolist(), NINE.w.tolist()))

# %% [markdown]
# The electorate: 4,096 groups, and the paper does not say with which endowments. We deal the five of the evaluation round
# and round, like cards, so that any number of groups is spread as evenly as it can be.

# %%
#| export
EVALUATION = jnp.stack([mechanisms.head_and_tails(tail) for tail in mechanisms.TAILS])  # [5, P] coins


def spread(
    endowment: Array,  # [E, P] coins
    n_blocks: int,
) -> Array:  # [n_blocks, P] coins, block g has endowment g mod E
    "Deal the endowments to the blocks in turn; raises ValueError if there are fewer blocks than endowments."
    if n_blocks < len(endowment):
        raise ValueError(f"n_blocks is {n_blocks}, but {len(endowment)} endowments want at least one block each: ask for more blocks")
    return endowment[jnp.arange(n_blocks) % len(endowment)]


# %%
seats = spread(EVALUATION, 4096)
counts = np.unique(np.asarray(seats[:, 1]), return_counts=True)[1]
print("groups with tail endowment 2, 4, 6, 8, 10:", counts)
assert counts.sum() == 4096 and np.ptp(counts) <= 1
with pytest.raises(ValueError, match="n_blocks is 3"):
    spread(EVALUATION, 3)


# %% [markdown]
# ## Play once
#
# A voter looks back at two blocks and compares one number from each: the sum over rounds of the own payout relative to the own
# endowment, $s = \sum_t y_t / (10\,e)$. That sum is all an election needs to know about a block. So each mechanism plays its
# blocks once, by itself, and only the sums are kept: `[M, G, P]`, one number per mechanism, group and player.
#
# On the manifold a loop inside the compiled program walks through the points, one at a time: memory is that of one
# mechanism, however many there are. Mechanisms given as functions, like a trained network, are compiled one by one.

# %%
#| export
def simulate(
    key: Array,  # consumed: one part per mechanism, so that their blocks are independent
    players: game.Players,
    candidates: Grid | Sequence[game.Mechanism],  # M points of the manifold, or any M mechanisms
    endowment: Array = EVALUATION,  # [E, P] coins, dealt to the blocks in turn
    *,
    n_blocks: int = 4096,  # G, per mechanism (the paper's number)
) -> Array:  # [M, G, P] sums over rounds of payout / 10 / endowment
    "Play every mechanism's blocks once and keep what the voters will compare; raises ValueError if there is no candidate."
    seats = spread(endowment, n_blocks)
    n_candidates = len(candidates.w) if isinstance(candidates, Grid) else len(candidates)
    if n_candidates == 0:
        raise ValueError("candidates is empty: give at least one mechanism or point of the manifold")
    keys = jax.random.split(key, n_candidates)

    def sums(key, mechanism):
        return voting.relative_payout_sum(game.play(key, players, seats, mechanism))

    if isinstance(candidates, Grid):
        at = lambda point: sums(point[0], mechanisms.manifold(point[1], point[2]))
        return jax.jit(lambda *points: jax.lax.map(at, points))(keys, jnp.asarray(candidates.w), jnp.asarray(candidates.v))
    return jnp.stack([jax.jit(lambda key: sums(key, mechanism))(k) for k, mechanism in zip(keys, candidates)])


# %% [markdown]
# ## Pair afterwards
#
# Mechanism A's block $g$ meets mechanism B's block $g$. All four seats vote, and the expected share of the votes for A is
#
# $$\hat p_{AB} = \frac{1}{4G} \sum_{g, i} \mathrm{logistic}\bigl(1.4\,(s^A_{gi} - s^B_{gi})\bigr) .$$
#
# Since every vote that A does not get goes to B, $\hat p_{BA} = 1 - \hat p_{AB}$: only half of the table is an estimate, and
# the other half is set to what is left. The diagonal is one half without any error, because a block meets itself there.
# That is how Table S2 can print .500 nine times.

# %%
#| export
class Pairing(NamedTuple):
    "A round robin: the row's expected share of the votes against the column, and its standard error."

    win: np.ndarray  # [M, M], win + win.T is 1, the diagonal 1/2
    error: np.ndarray  # [M, M] over blocks, the four votes of a block being one observation


@jax.jit
def _mean_votes(sums: Array, slope: float) -> tuple[Array, Array]:
    def against_all(own):
        block = voting.vote_from_sums(own, sums, slope=slope).mean(-1)
        return block.mean(-1), block.std(-1, ddof=1) / jnp.sqrt(block.shape[-1])

    return jax.lax.map(against_all, sums)


def pairing(
    sums: Array,  # [M, G, P] from `simulate`, G at least 2
    *,
    slope: float = 1.4,  # of the vote model
) -> Pairing:
    "Hold an election between every two mechanisms, block g against block g (Koster et al., \"Metagame\")."
    mean, error = (np.asarray(x, np.float64) for x in _mean_votes(sums, slope))
    upper = np.triu(mean, 1)
    win = upper + np.tril(1 - mean.T, -1) + 0.5 * np.eye(len(mean))
    return Pairing(win, np.triu(error, 1) + np.triu(error, 1).T)


def pair(
    sums: Array,  # [M, G, P] from `simulate`, G at least 2
    *,
    slope: float = 1.4,  # of the vote model
) -> np.ndarray:  # [M, M] the row's expected share of the votes
    "Hold an election between every two mechanisms and return who wins how much (Koster et al., Table S2)."
    return pairing(sums, slope=slope).win


# %% [markdown]
# ## equilibrium

# %%
#| export
def constant_sum(
    win: np.ndarray,  # [M, M] the row's share of the votes
) -> np.ndarray:  # the same as float64
    "Check that a matrix can be a round robin: square, between 0 and 1, opposite entries sum to 1; raises ValueError if not."
    win = np.asarray(win, np.float64)
    if win.ndim != 2 or win.shape[0] != win.shape[1] or not len(win):
        raise ValueError(f"win has shape {win.shape}: give a square matrix, one row and one column per mechanism")
    if not ((win >= 0) & (win <= 1)).all():
        raise ValueError("win has entries outside 0 to 1: give the row's share of the votes")
    if np.abs(win + win.T - 1).max() > 2e-3:
        raise ValueError("win and its transpose do not sum to 1: every vote goes to the row or to the column")
    return win


def equilibrium(
    win: np.ndarray,  # [M, M] the row's share of the votes
) -> np.ndarray:  # [M] probability of fielding each mechanism
    "Find a mixture of mechanisms that no mechanism beats, by linear programming; raises ValueError for an impossible matrix."
    win = constant_sum(win)
    n = len(win)
    solution = linprog(
        c=np.r_[np.zeros(n), -1],  # maximise the guaranteed share z, the last variable
        A_ub=np.c_[-win.T, np.ones(n)],  # z <= share of the mixture against each column
        b_ub=np.zeros(n),
        A_eq=[np.r_[np.ones(n), 0]],
        b_eq=[1],
        bounds=[(0, 1)] * n + [(None, None)],
    )
    return solution.x[:n]


def unbeaten(
    win: np.ndarray,  # [M, M] the row's share of the votes
    *,
    margin: float | np.ndarray = 0.0,  # a defeat by no more than this is not counted; a number or [M, M]
) -> list[int]:
    "List the mechanisms that lose to nobody: each is a pure Nash equilibrium strategy of the metagame."
    win = constant_sum(win)
    return [int(i) for i in np.flatnonzero((win >= 0.5 - margin).all(1))]


def dominant(
    win: np.ndarray,  # [M, M] the row's share of the votes
    *,
    margin: float | np.ndarray = 0.0,  # being worse by no more than this is not counted; a number or [M, M]
) -> list[int]:
    "List the mechanisms that do at least as well as any other against every opponent (Koster et al., Table S2)."
    win = constant_sum(win)
    return [int(i) for i in np.flatnonzero((win >= win.max(0) - margin).all(1))]


# %% [markdown]
# ## cycles

# %%
#| export
def condorcet_cycles(
    win: np.ndarray,  # [M, M] the row's share of the votes
    *,
    margin: float | np.ndarray = 0.0,  # a majority must exceed 1/2 by more than this; a number or [M, M]
) -> list[tuple[int, ...]]:
    "List one shortest cycle i beats j beats ... beats i for every set of mechanisms that go round in circles."
    beats = constant_sum(win) > 0.5 + margin
    distance, before = csgraph.shortest_path(beats.astype(float), unweighted=True, return_predecessors=True)
    closed = np.where(beats.T, distance, np.inf)  # [i, j]: j beats i, and i leads to j in this many steps
    _, component = csgraph.connected_components(beats, connection="strong")
    cycles = []
    for c in range(component.max() + 1):
        inside = np.where((component == c)[:, None], closed, np.inf)
        first, last = np.unravel_index(inside.argmin(), inside.shape)
        if np.isfinite(inside[first, last]):
            path = [int(last)]
            while path[-1] != first:
                path.append(int(before[first, path[-1]]))
            cycles.append(tuple(path[::-1]))
    return cycles


# %% [markdown]
# ## winner

# %%
#| export
class Winner(NamedTuple):
    "The mechanism with the most votes, and those that it does not beat by more than the margin."

    best: int
    level: list[int]


def standing(
    win: np.ndarray,  # [M, M] the row's share of the votes, M at least 2
) -> np.ndarray:  # [M] mean share over all opponents
    "Average each mechanism's share of the votes over its opponents (Koster et al., \"Metagame\")."
    win = constant_sum(win)
    return (win.sum(1) - win.diagonal()) / (len(win) - 1)


def winner(
    win: np.ndarray,  # [M, M] the row's share of the votes, M at least 2
    *,
    margin: float | np.ndarray = 0.0,  # a head-to-head lead of no more than this is a tie; a number or [M, M]
) -> Winner:
    "Name the mechanism with the most votes against all opponents, and its equals (Koster et al., \"Metagame\")."
    best = int(standing(win).argmax())
    ahead = np.asarray(win)[best] > 0.5 + np.broadcast_to(margin, np.shape(win))[best]
    return Winner(best, [int(i) for i in np.flatnonzero(~ahead) if i != best])


# %% [markdown]
# ## table

# %%
#| export
def tournament_table(
    win: np.ndarray,  # [M, M] the row's share of the votes
    points: Grid,  # the M mechanisms
) -> pd.DataFrame:  # row_v, row_w, col_v, col_w, win_probability
    "Write a round robin as a long table in the form of the published Table S2."
    row, col = np.indices(constant_sum(win).shape).reshape(2, -1)
    w, v = (np.asarray(x, np.float64) for x in points)
    return pd.DataFrame({"row_v": v[row], "row_w": w[row], "col_v": v[col], "col_w": w[col], "win_probability": np.ravel(win)})


# %% [markdown]
# ## elect

# %%
#| export
def elect(
    key: Array,  # consumed: one part per mechanism
    players: game.Players,
    mechanism: game.Mechanism,
    rivals: Mapping[str, game.Mechanism],
    *,
    tails: Sequence[float] = mechanisms.TAILS,  # coins of the three tail players
    n_blocks: int = 4096,  # per mechanism and tail endowment
    slope: float = 1.4,  # of the vote model
) -> pd.DataFrame:  # rival, tail_endowment, vote_share, low, high (95 % over blocks)
    "Put one mechanism up against each rival at each tail endowment (Koster et al., Table S1b); raises ValueError without rivals or tails."
    if not rivals or not len(tails):
        raise ValueError("rivals or tails is empty: give at least one mechanism to stand against and one tail endowment")
    endowment = jnp.stack([mechanisms.head_and_tails(tail) for tail in tails])
    sums = simulate(key, players, [mechanism, *rivals.values()], endowment, n_blocks=n_blocks * len(tails))
    block = voting.vote_from_sums(sums[0], sums[1:], slope=slope).mean(-1).reshape(len(rivals), n_blocks, len(tails))
    share = np.asarray(block.mean(1), np.float64)
    half = 1.96 * np.asarray(block.std(1, ddof=1), np.float64) / np.sqrt(n_blocks)
    index = pd.MultiIndex.from_product([list(rivals), list(tails)], names=["rival", "tail_endowment"])
    columns = {"vote_share": share, "low": share - half, "high": share + half}
    return pd.DataFrame({name: value.ravel() for name, value in columns.items()}, index=index).reset_index()
