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
# # Metagame: which rule wins an election against every other
#
# > Mechanisms and players go in; vote shares of all pairs, and the best opponent to train on, come out.

# %%
#| default_exp metagame

# %% [markdown]
# *In this notebook*: mechanisms play against mechanisms (Koster et al., "Metagame (or round robin
# tournament)", Table S2, and the elections of Table S1b). It uses the game (00), the manifold of
# mechanisms (01) and the vote model (05). HCMD-zero (12) pairs its mechanisms with it; the run
# notebooks choose the opponent of the training with it (22) and hold the elections afterwards (24).
# People appear only as `Players`, so cloned networks, stand-in participants and bots are all
# welcome.

# %%
#| hide
import warnings

# a progress bar that nothing here uses
warnings.filterwarnings("ignore", message="IProgress not found")

# %%
#| export
import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from scipy.optimize import linprog
from scipy.sparse import csgraph

from democratic_ai import game, mechanisms, voting
from democratic_ai.engine import devices

# %%
#| hide
import time

import matplotlib.pyplot as plt
import pytest

from democratic_ai import participants
from democratic_ai.engine import published

# %% [markdown]
# ## An election without a winner
#
# Three ways of sharing the fund, X, Y and Z, are put to Ann, Bob and Cem, two at a time. Ann likes
# X best, then Y, then Z. Bob likes Y best, then Z, then X. Cem likes Z best, then X, then Y.
# Everybody knows exactly what they want.
#
# X against Y: Ann and Cem vote for X, so X wins two to one. Y against Z: Ann and Bob vote for Y.
# Surely X, which beats the conqueror of Z, beats Z? Bob and Cem vote for Z. Every one of the three
# loses to another: a *Condorcet cycle*.
#
# So "the mechanism people like best" need not exist. Before a machine is trained to win votes
# *against* something, somebody must look whether there is a strongest something. That is the
# *metagame*: its players are mechanisms, its moves are points of the ideological manifold, its
# payoff is the share of the votes.

# %%
ranking = {"Ann": "XYZ", "Bob": "YZX", "Cem": "ZXY"}
beats = lambda a, b: sum(r.index(a) < r.index(b) for r in ranking.values()) / 3
condorcet = np.array([[0.5 if a == b else beats(a, b) for b in "XYZ"] for a in "XYZ"])
assert condorcet[0, 1] == condorcet[1, 2] == condorcet[2, 0] == 2 / 3
condorcet.round(2)


# %% [markdown]
# ## Who takes part
#
# The candidates are points $(w, v)$ of the manifold: $w$ weighs a player's own contribution against
# that of the others, $v$ moves from absolute to relative contributions. Table S2 takes all
# combinations of 0, 1/2 and 1, with $v$ running fastest; eleven values of each make 121.

# %%
#| export
class Grid(NamedTuple):
    "Points of the ideological manifold, one mechanism each."

    w: np.ndarray  # [M] weight of the own contribution, 0 to 1
    v: np.ndarray  # [M] 0 = absolute contributions count, 1 = relative ones


def _all_pairs(values):
    "Combine every value of w with every value of v, v running fastest."
    return Grid(w=np.repeat(values, len(values)), v=np.tile(values, len(values)))


def grid(
    n: int,  # values of each parameter, at least 2
) -> Grid:  # n * n points
    'Sample the manifold linearly, v running fastest (Koster et al., "Metagame").'
    return _all_pairs(np.asarray(jnp.linspace(0, 1, n)))


# in the table's order: the last is liberal egalitarian
TABLE_S2_GRID = _all_pairs(np.float32([0, 0.5, 1]))

# %%
assert np.array_equal(TABLE_S2_GRID, grid(3))
assert (TABLE_S2_GRID.w[-1], TABLE_S2_GRID.v[-1]) == (1, 1), (
    "liberal egalitarian stands last"
)
assert len(grid(11).w) == 121
list(zip(TABLE_S2_GRID.v.tolist(), TABLE_S2_GRID.w.tolist(), strict=True))

# %% [markdown]
# The electorate: 4,096 groups, and the paper does not say with which endowments. We deal the five
# of the evaluation round and round, like cards, so that any number of groups is spread as evenly as
# it can be.

# %%
#| export
EVALUATION_ENDOWMENTS = np.float32(  # [5, P] coins
    [
        [game.Game.most_coins] + [tail] * (game.Game.n_players - 1)
        for tail in mechanisms.TAILS
    ]
)


def deal_endowments(
    endowment: Array,  # [E, P] coins
    n_blocks: int,
) -> Array:  # [n_blocks, P] coins, block g has endowment g mod E
    "Deal endowments to blocks in turn; raises ValueError for fewer blocks than those."
    if n_blocks < len(endowment):
        wanted = f"{len(endowment)} endowments want at least one block each"
        raise ValueError(f"n_blocks is {n_blocks}, but {wanted}: ask for more blocks")
    return jnp.asarray(endowment)[jnp.arange(n_blocks) % len(endowment)]


# %%
at_once = mechanisms.head_and_tails(jnp.array(mechanisms.TAILS))
one_by_one = [mechanisms.head_and_tails(tail) for tail in mechanisms.TAILS]
assert (EVALUATION_ENDOWMENTS == at_once).all()
assert (EVALUATION_ENDOWMENTS == one_by_one).all()
seats = deal_endowments(EVALUATION_ENDOWMENTS, 4096)
counts = np.unique(np.asarray(seats[:, 1]), return_counts=True)[1]
print("groups with tail endowment 2, 4, 6, 8, 10:", counts)
assert counts.sum() == 4096 and np.ptp(counts) <= 1
with pytest.raises(ValueError, match="n_blocks is 3"):
    deal_endowments(EVALUATION_ENDOWMENTS, 3)


# %% [markdown]
# ## One election
#
# In plain words: groups play a block under A and a block under B. The vote model of 05 says with
# which probability each player of each group votes for A, and the mean is A's share.

# %%
#| export
def vote_share(
    key_a: Array,  # consumed by the blocks under A
    key_b: Array,  # consumed by the blocks under B
    players: game.Players,
    endowment: Array,  # [..., P] coins
    a: game.Mechanism,
    b: game.Mechanism,
    *,
    slope: float = voting.SLOPE,  # of the vote model
    rules: game.Game = game.Game(),
) -> Array:  # [...] of each group, 0 to 1
    'Hold an election: the expected share of votes for A (Koster et al., "Metagame").'
    under_a = game.play(key_a, players, endowment, a, game=rules)
    under_b = game.play(key_b, players, endowment, b, game=rules)
    return voting.vote_probability(under_a, under_b, slope=slope).mean(-1)


# %% [markdown]
# Bots on 500 tables. The head's ten coins go to the others where only the others' contributions
# count, (w=0, v=0), and three voters of four are tails:

# %%
others, liberal = mechanisms.manifold(0.0, 0.0), mechanisms.manifold(1.0, 1.0)
keys = jax.random.split(jax.random.key(1))
share = vote_share(*keys, game.random_bots(), seats[:500], others, liberal)
print(
    f"(w=0, v=0) gets {share.mean():.3f} of 2,000 bots' votes "
    "against liberal egalitarian"
)
assert share.shape == (500,) and share.mean() > 0.5


# %% [markdown]
# Nine candidates make 36 pairs and 72 blocks of every group; 121 make 7,260 pairs. But a mechanism
# that met eight others has played eight times where once would do.
#
# ## Play once
#
# A voter looks back at two blocks and compares one number from each: the sum over rounds of the own
# payout relative to the own endowment, $s = \sum_t y_t / (10\,e)$. That sum is all an election
# needs to know about a block. So each mechanism plays its blocks once, by itself, and only the sums
# are kept: `[M, G, P]`, one number per mechanism, group and player.
#
# Four thousand groups need not sit side by side: `devices.map_chunks` plays some hundred of them at
# a time, each chunk with a part of the key.

# %%
#| export
@partial(jax.jit, static_argnames=("summary", "rules"))
def _summarise(key, players, mechanism, endowment, *, summary, rules):
    "Play one block for every row of the endowments and return `summary(block)`."
    play = lambda key, endowment: game.play(
        key, players, endowment, mechanism, game=rules
    )
    return summary(devices.map_chunks(play, key, endowment))


def _list_mechanisms(candidates):
    "List mechanisms, those of a grid point by point; raises ValueError for none."
    if isinstance(candidates, Grid):
        points = zip(*map(jnp.asarray, candidates), strict=True)
        candidates = [mechanisms.manifold(w, v) for w, v in points]
    if not len(candidates):
        raise ValueError(
            "candidates is empty: give at least one mechanism or point of the manifold"
        )
    return [devices.as_pytree(candidate) for candidate in candidates]


def _play_each(key, players, candidates, endowment, summary, rules):
    "Play every mechanism's blocks once and stack `summary(block)`."
    listed, players = _list_mechanisms(candidates), devices.as_pytree(players)
    play = partial(_summarise, summary=summary, rules=rules)
    own = zip(jax.random.split(key, len(listed)), listed, strict=True)
    return jnp.stack([play(k, players, mechanism, endowment) for k, mechanism in own])


# %% [markdown]
# For an election the summary of a block is the voters' sums.

# %%
#| export
def simulate(
    key: Array,  # consumed: one part per mechanism, so blocks are independent
    players: game.Players,
    candidates: Grid | Sequence[game.Mechanism],  # M points, or any M mechanisms
    endowment: Array = EVALUATION_ENDOWMENTS,  # [E, P] coins, dealt to blocks in turn
    *,
    n_blocks: int = 4096,  # G, per mechanism (the paper's number)
    rules: game.Game = game.Game(),
) -> Array:  # [M, G, P] sums over rounds of payout / 10 / endowment
    "Play mechanisms' blocks once and sum what players got; raises ValueError for none."
    seats, summary = deal_endowments(endowment, n_blocks), voting.relative_payout_sum
    return _play_each(key, players, candidates, seats, summary, rules)


# %% [markdown]
# Nine mechanisms, 4,096 groups of bots each. A bot with `e` coins gives half of them on average,
# the fund grows by 1.6, so the four payouts of a round should add up to 0.8 times all endowments,
# whoever gets them. Undo the two divisions and check:

# %%
bots = simulate(jax.random.key(0), game.random_bots(), TABLE_S2_GRID)
# per mechanism: all payouts of a block, mean over groups
coins = (10 * bots * seats).sum(-1).mean(-1)
assert bots.shape == (9, 4096, 4)
in_funds = 10 * 0.8 * seats.sum(-1).mean()
assert jnp.allclose(coins, in_funds, rtol=0.01), "bots fill every fund alike"
functions = [mechanisms.manifold(w, v) for w, v in zip(*TABLE_S2_GRID, strict=True)]
as_functions = simulate(jax.random.key(0), game.random_bots(), functions)
assert (bots == as_functions).all(), "a grid is nothing but a list"
with pytest.raises(ValueError, match="candidates is empty"):
    simulate(jax.random.key(0), game.random_bots(), [])


# %% [markdown]
# ## Pair afterwards
#
# Mechanism A's block $g$ meets mechanism B's block $g$. All four seats vote, and the expected share
# of the votes for A is
#
# $$\hat p_{AB} = \frac{1}{4G} \sum_{g, i} \mathrm{logistic}\bigl(1.4\,(s^A_{gi} - s^B_{gi})\bigr) .$$
#
# Since every vote that A does not get goes to B, $\hat p_{BA} = 1 - \hat p_{AB}$: only half of the
# table is an estimate, and the other half is set to what is left. The diagonal is one half without
# any error, because a block meets itself there. That is how Table S2 can print .500 nine times.

# %%
#| export
class RoundRobin(NamedTuple):
    "The row's expected share of votes against the column, with standard errors."

    win: np.ndarray  # [M, M], win + win.T is 1, the diagonal 1/2
    error: np.ndarray  # [M, M] over blocks; a block's four votes are one observation


@jax.jit
def _mean_votes(sums: Array, slope: float) -> tuple[Array, Array]:
    def against_all(own):
        block = voting.vote_from_sums(own, sums, slope=slope).mean(-1)
        return block.mean(-1), block.std(-1, ddof=1) / jnp.sqrt(block.shape[-1])

    return jax.lax.map(against_all, sums)


def pair_blocks(
    sums: Array,  # [M, G, P] from `simulate`, G at least 2
    *,
    slope: float = voting.SLOPE,  # of the vote model
) -> RoundRobin:
    'Hold all elections, block g against block g (Koster et al., "Metagame").'
    mean, error = (np.asarray(x, np.float64) for x in _mean_votes(sums, slope))
    upper = np.triu(mean, 1)
    win = upper + np.tril(1 - mean.T, -1) + 0.5 * np.eye(len(mean))
    return RoundRobin(win, np.triu(error, 1) + np.triu(error, 1).T)


# %%
between_bots = pair_blocks(bots)
assert (between_bots.win + between_bots.win.T == 1).all()
assert (between_bots.win.diagonal() == 0.5).all()
print(
    f"(v=0, w=0) against (v=1, w=1), 4,096 groups: {between_bots.win[0, -1]:.3f}, "
    f"standard error {between_bots.error[0, -1]:.4f}"
)


# %% [markdown]
# Both ways in one function. `fused=False` is the definition: two blocks of every group for every
# two mechanisms, by `vote_share`. `fused=True` plays once and pairs afterwards. Each mechanism has
# the same key in both, so that they count the very same votes.

# %%
#| export
@partial(jax.jit, static_argnames="rules")
def _vote_shares(keys, players, endowment, a, b, *, slope, rules):
    "Hold one election in all groups, chunk by chunk as in `simulate`: [G]."
    options = {"slope": slope, "rules": rules}
    hold = lambda keys, seats: vote_share(*keys, players, seats, a, b, **options)
    return devices.map_chunks(hold, keys, endowment)


# %%
#| export
def round_robin(
    key: Array,  # consumed: one part per mechanism
    players: game.Players,
    candidates: Grid | Sequence[game.Mechanism],  # M points, or any M mechanisms
    endowment: Array = EVALUATION_ENDOWMENTS,  # [E, P] coins, dealt to blocks in turn
    *,
    n_blocks: int = 4096,  # G, at least 2, per mechanism (the paper's number)
    slope: float = voting.SLOPE,  # of the vote model
    rules: game.Game = game.Game(),
    fused: bool = True,  # play once and pair afterwards; else play each election anew
) -> RoundRobin:
    'Hold all elections (Koster et al., "Metagame"); raises ValueError for few blocks.'
    if fused:
        options = {"n_blocks": n_blocks, "rules": rules}
        sums = simulate(key, players, candidates, endowment, **options)
        return pair_blocks(sums, slope=slope)
    listed, seats = _list_mechanisms(candidates), deal_endowments(endowment, n_blocks)
    keys, players = jax.random.split(key, len(listed)), devices.as_pytree(players)
    hold = partial(_vote_shares, slope=slope, rules=rules)
    win, error = np.full([len(listed)] * 2, 0.5), np.zeros([len(listed)] * 2)
    for i, j in itertools.combinations(range(len(listed)), 2):
        share = hold((keys[i], keys[j]), players, seats, listed[i], listed[j])
        win[i, j], win[j, i] = share.mean(), 1 - share.mean()
        error[i, j] = error[j, i] = share.std(ddof=1) / np.sqrt(n_blocks)
    return RoundRobin(win, error)


# %% [markdown]
# All 36 elections of Table S2 with 1,021 groups (a prime number: the last of two chunks is filled
# up), both ways:

# %%
settings = (jax.random.key(0), game.random_bots(), TABLE_S2_GRID)
ways = [round_robin(*settings, n_blocks=1021, fused=fused) for fused in (True, False)]
pairs = ~np.eye(9, dtype=bool)  # nobody stands against itself
difference = lambda once, anew: np.abs(once[pairs] / anew[pairs] - 1).max()
apart = [*map(difference, *ways)]
print(
    f"largest relative difference over 36 elections: share {apart[0]:.1e}, "
    f"standard error {apart[1]:.1e}"
)
assert apart[0] < 1e-5 and apart[1] < 1e-4

# %% [markdown]
# Among bots the winner is (v=0, w=0), the mechanism that pays you for what the *others* gave. Why
# not? Bots never react. If nobody can be discouraged, the only question is into whose pocket the
# head's coins go, and three voters of four are tails. Keep this in mind for the moment when people
# sit down at the table.
#
# ### Would more pairs help?
#
# Block 1 of A could also meet blocks 2, 3, 4 ... of B at the same endowment: 819 times as many
# elections for free. Cut the blocks into 117 small tournaments of 35 and compare how far the two
# estimates scatter.

# %%
crowd = participants.players(participants.calibrated())
people = simulate(jax.random.key(0), crowd, TABLE_S2_GRID, n_blocks=4095)
# small tournament, block, endowment, player
a, b = (people[i].reshape(117, 7, 5, 4) for i in (8, 2))
matched = voting.vote_from_sums(a, b).mean((1, 2, 3))
everyone = voting.vote_from_sums(a[:, :, None], b[:, None]).mean((1, 2, 3, 4))
print(
    f"scatter, matched blocks {matched.std():.4f}, "
    f"all pairs of blocks {everyone.std():.4f}"
)
assert abs(matched.std() / everyone.std() - 1) < 0.1, "nothing is gained"


# %% [markdown]
# Nothing. Near one half the logistic is almost a straight line, so the expected vote is almost
# $\bar s^A - \bar s^B$, and a mean does not improve by being reused. Block $g$ meets block $g$;
# that is enough.
#
# ## Who should stand?
#
# The metagame is a game for two: each side fields a mechanism, the payoff is the share of votes,
# and what one side gains the other loses. In such a game a mixture $p$ of mechanisms is an
# *equilibrium* strategy if it gets at least half of the votes against every mechanism. It always
# exists, and a linear program finds it:
#
# $$\max_{p, z} z \quad \text{subject to} \quad \sum_i p_i\, \mathrm{win}_{ij} \ge z \;\; \forall j, \qquad p \ge 0, \; \sum_i p_i = 1 .$$
#
# If one mechanism alone does it, it is *unbeaten*: a pure Nash equilibrium. If moreover it gets
# more votes than any other would get against each single opponent, it is *dominant*, the word that
# the caption of Table S2 uses.

# %%
#| export
def _check_constant_sum(
    win: np.ndarray,  # [M, M] the row's share of the votes
) -> np.ndarray:  # the same as float64
    "Check that a matrix is square and opposite entries sum to 1; raises ValueError."
    win = np.asarray(win, np.float64)
    if win.ndim != 2 or win.shape[0] != win.shape[1] or not len(win):
        wanted = "give a square matrix, one row and one column per mechanism"
        raise ValueError(f"win has shape {win.shape}: {wanted}")
    if not ((win >= 0) & (win <= 1)).all():
        raise ValueError(
            "win has entries outside 0 to 1: give the row's share of the votes"
        )
    if np.abs(win + win.T - 1).max() > 2e-3:
        reason = "every vote goes to the row or to the column"
        raise ValueError(f"win and its transpose do not sum to 1: {reason}")
    return win


# %% [markdown]
# The linear program has one variable per mechanism and one more for the guaranteed share $z$. For a
# symmetric game its value is one half: whoever copies the opponent's mixture gets as much.

# %%
#| export
def equilibrium(
    win: np.ndarray,  # [M, M] the row's share of the votes
) -> np.ndarray:  # [M] probability of fielding each mechanism
    """Find a mixture that no mechanism beats by linear programming; raises ValueError
    unless `win` holds shares that sum to 1 with those of its transpose."""
    win = _check_constant_sum(win)
    n = len(win)
    solution = linprog(
        c=np.r_[np.zeros(n), -1],  # maximise the guaranteed share z, the last variable
        A_ub=np.c_[-win.T, np.ones(n)],  # z <= share of the mixture against each column
        b_ub=np.zeros(n),
        A_eq=[np.r_[np.ones(n), 0]],
        b_eq=[1],
        bounds=[(0, 1)] * n + [(None, None)],
    )
    return np.abs(solution.x[:n])  # a probability of minus zero looks odd


# %% [markdown]
# The pure cases need no program, only the rows. A margin, one number or one per pair, says which
# differences are too small to count.

# %%
#| export
def unbeaten(
    win: np.ndarray,  # [M, M] the row's share of the votes
    *,
    margin: float | np.ndarray = 0.0,  # a defeat up to this is none; a number or [M, M]
) -> list[int]:
    "List mechanisms that lose to nobody: pure Nash equilibria of the metagame."
    win = _check_constant_sum(win)
    return [int(i) for i in np.flatnonzero((win >= 0.5 - margin).all(1))]


def dominant(
    win: np.ndarray,  # [M, M] the row's share of the votes
    *,
    margin: float | np.ndarray = 0.0,  # a lag up to this is none; a number or [M, M]
) -> list[int]:
    "List mechanisms as good as any against every opponent (Koster et al., Table S2)."
    win = _check_constant_sum(win)
    return [int(i) for i in np.flatnonzero((win >= win.max(0) - margin).all(1))]


# %% [markdown]
# Ann, Bob and Cem first. No one of X, Y, Z is unbeaten, and by symmetry the mixture should be a
# third each. Then the published table, typed in from the paper: liberal egalitarian, row 8, should
# be everything at once.

# %%
reference = published.read("table_s2_metagame")
table_s2 = reference["win_probability"].to_numpy().reshape(9, 9)
assert np.allclose(equilibrium(condorcet), 1 / 3)
assert unbeaten(condorcet) == dominant(condorcet) == []
assert unbeaten(table_s2) == dominant(table_s2) == [8]
assert np.allclose(equilibrium(table_s2), np.eye(9)[8])
assert unbeaten(between_bots.win) == [0], "bots: others' coins"
assert int(equilibrium(between_bots.win).argmax()) == 0
with pytest.raises(ValueError, match="do not sum to 1"):
    equilibrium(np.full((3, 3), 0.6))
print("published equilibrium:", equilibrium(table_s2).round(3))


# %% [markdown]
# ## Going round in circles
#
# *i beats j* when the row's share exceeds one half by more than a margin. Follow the arrows:
# mechanisms from each of which one can walk to every other and back form a *strongly connected
# component*, and a component with more than one member contains a cycle. For each of them we name a
# shortest one, so that a reader can check it by hand.

# %%
#| export
def condorcet_cycles(
    win: np.ndarray,  # [M, M] the row's share of the votes
    *,
    margin: float | np.ndarray = 0.0,  # a majority exceeds 1/2 + this; number or [M, M]
) -> list[tuple[int, ...]]:  # each: i beats j beats ... beats i
    "List one shortest cycle of every set of mechanisms that go round in circles."
    beats = _check_constant_sum(win) > 0.5 + margin
    options = {"unweighted": True, "return_predecessors": True}
    distance, before = csgraph.shortest_path(beats.astype(float), **options)
    # [i, j]: j beats i, and i leads to j in this many steps
    closed = np.where(beats.T, distance, np.inf)
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


# %%
assert condorcet_cycles(condorcet) == [(0, 1, 2)], "X beats Y beats Z beats X"
assert condorcet_cycles(condorcet, margin=0.2) == [], (
    "two to one is no majority of more than .7"
)
assert condorcet_cycles(table_s2) == [], (
    "the paper found none, nor do we in its numbers"
)


# %% [markdown]
# ### The naive way: every election anew
#
# Table S2 has 36 elections, so play 36 pairs of fresh blocks? It costs 72 simulations instead of
# nine, and there is worse. Give nine *identical* mechanisms to bots (splitting equally, under nine
# names). Every true share is one half. Who wins is noise, and noise is under no obligation to be
# consistent.

# %%
def nine_of_a_kind(seed):
    "Nine strict egalitarians: each election anew, and each mechanism once."
    key_anew, key_once = jax.random.split(jax.random.key(seed))
    same = lambda n: Grid(w=np.full(n, 0.25, np.float32), v=np.zeros(n, np.float32))
    fresh = simulate(key_anew, game.random_bots(), same(72), n_blocks=512)
    row, col = np.triu_indices(9, 1)
    anew = np.full((9, 9), 0.5)
    anew[row, col] = voting.vote_from_sums(fresh[:36], fresh[36:]).mean((1, 2))
    anew[col, row] = 1 - anew[row, col]
    return anew, round_robin(key_once, game.random_bots(), same(9), n_blocks=512)


trials = [nine_of_a_kind(seed) for seed in range(4)]
cycles_anew = sum(bool(condorcet_cycles(anew)) for anew, _ in trials)
cycles_once = sum(bool(condorcet_cycles(once.win)) for _, once in trials)
print(
    f"tournaments with a Condorcet cycle: {cycles_anew} of 4 played anew, "
    f"{cycles_once} of 4 played once and paired"
)
assert cycles_anew == 4 and cycles_once <= 1

# %% [markdown]
# A cycle every time, out of nothing. Simulating once has a virtue beyond speed: all elections share
# the same nine samples, a lucky sample is lucky against everybody, and the errors form a ranking. A
# cycle that survives is about mechanisms, not about dice. The margin guards against the rest: a
# majority counts if it exceeds 1.96 standard errors.
#
# (The published numbers look as if each election had been played anew. The first three mechanisms
# have shares .503, .503 and .500 in a ring; nearly linear votes from common samples would make the
# third about .506.)

# %%
for anew, once in trials:
    assert condorcet_cycles(anew, margin=1.96 * np.sqrt(2) * once.error.max()) == []
ring = table_s2[0, 1] + table_s2[1, 2] - table_s2[0, 2] - 0.5
print(
    f"published ring of three: off by {ring:.3f}, "
    "more than rounding of three numbers explains (.0015)"
)
assert ring > 0.0015


# %% [markdown]
# ## The winner, and its equals
#
# The paper picks the mechanism with the most votes against all opponents. A winner by a hair should
# come with the hair: those whom it does not beat head to head by more than the margin are listed as
# level with it.

# %%
#| export
class Winner(NamedTuple):
    "The mechanism with the most votes, and its equals."

    best: int
    level: list[int]  # those that the best does not beat by more than the margin


def mean_shares(
    win: np.ndarray,  # [M, M] the row's share of the votes, M at least 2
) -> np.ndarray:  # [M] mean share over all opponents
    'Average the shares of the votes over opponents (Koster et al., "Metagame").'
    win = _check_constant_sum(win)
    return (win.sum(1) - win.diagonal()) / (len(win) - 1)


def winner(
    win: np.ndarray,  # [M, M] the row's share of the votes, M at least 2
    *,
    margin: float | np.ndarray = 0.0,  # a lead up to this is a tie; a number or [M, M]
) -> Winner:  # most votes against all opponents; level head to head
    'Name the mechanism with most votes, and its equals (Koster et al., "Metagame").'
    # the first of those that are level to rounding
    best = int(mean_shares(win).round(9).argmax())
    ahead = np.asarray(win)[best] > 0.5 + np.broadcast_to(margin, np.shape(win))[best]
    return Winner(best, [int(i) for i in np.flatnonzero(~ahead) if i != best])


# %% [markdown]
# In Table S2 liberal egalitarian leads (v=1/2, w=1) by .506. With votes like ours, is that more
# than luck?

# %%
crowd_robin = round_robin(jax.random.key(0), crowd, TABLE_S2_GRID)
margin = 1.96 * crowd_robin.error
assert winner(table_s2).best == 8 and winner(condorcet).level == [2]
theirs, ours = (winner(win, margin=margin) for win in (table_s2, crowd_robin.win))
print("published:", theirs, "\nstand-in participants:", ours)
print(f"margin between the two: {margin[8, 7]:.4f} at 4,096 blocks")
assert condorcet_cycles(crowd_robin.win, margin=margin) == []


# %% [markdown]
# ## Table S2 with stand-in participants
#
# The paper asked cloned networks. The run notebook on the metagame will do so too; here the
# stand-in participants answer directly. They were fitted to contributions under three mechanisms
# and never saw a vote, let alone this table. A long table, one row an election, is what the other
# notebooks read.

# %%
#| export
def tournament_table(
    win: np.ndarray,  # [M, M] the row's share of the votes
    points: Grid,  # the M mechanisms
) -> pd.DataFrame:  # row_v, row_w, col_v, col_w, win_probability
    "Write a round robin as a long table in the form of the published Table S2."
    row, col = np.indices(_check_constant_sum(win).shape).reshape(2, -1)
    w, v = (np.asarray(x, np.float64) for x in points)
    pairs = {"row_v": v[row], "row_w": w[row], "col_v": v[col], "col_w": w[col]}
    return pd.DataFrame(pairs | {"win_probability": np.ravel(win)})


# %%
long = tournament_table(crowd_robin.win, TABLE_S2_GRID)
long = long.assign(published=table_s2.ravel())
long["difference"] = long["win_probability"] - long["published"]
points = ["row_v", "row_w", "col_v", "col_w"]
assert (long[points].to_numpy() == reference[points].to_numpy()).all()
error = long["difference"].abs().mean()
print(f"mean absolute error over 81 entries {error:.3f}")
assert error < 0.05
long.iloc[[6, 8, 62, 72, 78, 79]].round(3)

# %%
fig, ax = plt.subplots(figsize=(7, 2.8))
robins = [("published, virtual players", table_s2, "D:")]
robins += [("stand-in participants", crowd_robin.win, "o-")]
robins += [("bots", between_bots.win, "^--")]
for name, win, form in robins:
    ax.plot(mean_shares(win), form, label=name, ms=4, lw=1)
ax.axhline(0.5, color="#777777", lw=0.8)
points = zip(*TABLE_S2_GRID, strict=True)
ax.set_xticks(range(9), [f"v={v:g}\nw={w:g}" for w, v in points])
ax.set_ylabel("mean share of the votes\nagainst the other eight")
ax.legend(frameon=False)
fig.tight_layout()

# %% [markdown]
# People and bots disagree about everything: what pays bots best (left) starves a society of people,
# who stop giving when giving brings them nothing. The participants find the right end of the
# manifold and the right order of the three levels of w. They are less of one mind than the
# published networks: their worst fares better, their best worse. What they were fitted to has only
# w=1 and w=1/4 in it: on what lies elsewhere the participants extrapolate.
#
# ### The unit matters
#
# The vote model has slope 1.4, on sums of payouts relative to endowments. But payouts in which
# unit? The network counts in tens of coins. Plain coins multiply every sum by ten, which is the
# same as a slope of 14. Sweep it:

# %%
slopes = np.geomspace(0.35, 28, 14)
miss = lambda slope: np.abs(pair_blocks(people, slope=slope).win - table_s2).mean()
misses = [miss(slope) for slope in slopes]
units = {unit: miss(voting.SLOPE * 10 / unit) for unit in (10, 1)}
fig, ax = plt.subplots(figsize=(4.2, 2.6))
ax.semilogx(slopes, misses, "o-", ms=3)
for unit in units:
    ax.axvline(14 / unit, color="#777777", lw=0.8, ls="--")
    ax.text(14 / unit * 1.08, 0.002, f"unit {unit}", fontsize=8)
ax.set(xlabel="slope (per unit of 10 coins)", ylim=(0, None))
ax.set_ylabel("mean absolute error\nto Table S2 (vote share)")
fig.tight_layout()
rounded = {unit: round(float(error), 3) for unit, error in units.items()}
print("mean absolute error by unit of the payout, coins:", rounded)
assert units[10] < units[1]

# %% [markdown]
# Tens of coins come closer than single coins. With a slope of 14 a voter who got a coin more from
# each of ten rounds is all but certain; the published shares, none beyond .66, belong to voters in
# two minds.

# %%
votes = lambda slope: voting.vote_from_sums(people[8], people[0], slope=slope)
coins, tens = (np.asarray(votes(k * voting.SLOPE)) for k in (10, 1))
certain = [float(((p < 0.05) | (p > 0.95)).mean()) for p in (coins, tens)]
print(
    f"votes that are all but certain: {certain[0]:.0%} in plain coins, "
    f"{certain[1]:.0%} in tens"
)
assert certain[0] > 0.4 > certain[1]

# %% [markdown]
# ### The landscape
#
# Nine points are few. Here are 121, from fewer blocks, in the same compiled program.

# %%
fine = grid(11)
clock = time.process_time()
fine_robin = round_robin(jax.random.key(2), crowd, fine, n_blocks=256)
seconds = time.process_time() - clock
print(f"121 mechanisms, 7,260 elections: {seconds:.0f} s of processor time")
best = winner(fine_robin.win).best
assert fine.w[best] > 0.5, "whoever wins, own contributions count there"
fig, ax = plt.subplots(figsize=(4.2, 3))
look = {"origin": "lower", "extent": (-0.05, 1.05, -0.05, 1.05), "cmap": "cividis"}
image = ax.imshow(mean_shares(fine_robin.win).reshape(11, 11), **look)
ax.plot(fine.v[best], fine.w[best], "*", color="black", ms=10)
ax.set(xlabel="v (0 absolute, 1 relative)", ylabel="w (weight of one's own)")
fig.colorbar(image, ax=ax, label="mean share of the votes")
fig.tight_layout()

# %% [markdown]
# The more one's own contribution counts (upwards), the better. Where it counts most it pays to
# count it relatively (to the right); further down that makes no difference. Where along the top the
# star falls is left to chance:

# %%
level = winner(fine_robin.win, margin=1.96 * fine_robin.error).level
print(
    f"best (v={fine.v[best]:.1f}, w={fine.w[best]:.1f}), "
    f"level with {len(level)} others at 256 blocks"
)
liberal = 120
assert liberal in [best, *level] or fine_robin.win[best, liberal] < 0.52, (
    "liberal egalitarian is at, or very near, the top"
)


# %% [markdown]
# So the opponent for the training is liberal egalitarian, as in the paper: not because it wins by
# much, but because nothing beats it by anything that matters.
#
# ## What a mechanism does to payouts
#
# The paper draws its manifold as a map (Figures 1B and S9). Near means alike, but alike in what?
# Not in w and v, which would give a square, but in what happens to people: the mean payout relative
# to the endowment in each of ten rounds, for the head and for the tails. Twenty numbers describe a
# mechanism at one tail endowment. The whole curves are kept and not only their sums, because
# mechanisms that start alike may part as players learn.

# %%
#| export
def _curves(block, *, n_endowments):
    "Average over the groups of each endowment: [E, T, 2] for head and tails."
    paid = block.relative_payout
    by_role = jnp.stack([paid[..., 0], paid[..., 1:].mean(-1)], -1)
    return jnp.stack([by_role[i::n_endowments].mean(0) for i in range(n_endowments)])


def relative_payouts(
    key: Array,  # consumed: one part per mechanism
    players: game.Players,
    candidates: Grid | Sequence[game.Mechanism],  # M points, or any M mechanisms
    endowment: Array = EVALUATION_ENDOWMENTS,  # [E, P] coins, head first; dealt in turn
    *,
    n_blocks: int = 4096,  # per mechanism, over all endowments together
    rules: game.Game = game.Game(),
) -> Array:  # [M, E, T, 2] mean payout / endowment by round, of head and tails
    """Average pay by round (Koster et al., "Ideological manifold"); raises ValueError
    for no mechanism or too few blocks."""
    curves = partial(_curves, n_endowments=len(endowment))
    seats = deal_endowments(endowment, n_blocks)
    return _play_each(key, players, candidates, seats, curves, rules)


# %% [markdown]
# Bots give half of what they have, so we know the answer. With tails of 2 the fund is $1.6 \cdot 8
# = 12.8$ coins. Shared equally, everybody gets 3.2: a third of the head's ten coins, but more than
# a tail ever had. A libertarian gives back 0.8 of each endowment, to head and tail alike.

# %%
# strict egalitarian, libertarian, liberal egalitarian
baselines = Grid(w=np.float32([0.25, 1, 1]), v=np.float32([0, 0, 1]))
key = jax.random.key(4)
described = relative_payouts(key, game.random_bots(), baselines, n_blocks=20_000)
# mechanisms at [10, 2, 2, 2], mean over rounds
equally, by_coins, _ = np.asarray(described[:, 0].mean(1))
print(
    "strict egalitarian: head {:.2f}, tail {:.2f}   "
    "libertarian: head {:.2f}, tail {:.2f}".format(*equally, *by_coins)
)
assert described.shape == (3, 5, 10, 2)
assert np.allclose(equally, [0.32, 1.6], rtol=0.02)
assert np.allclose(by_coins, 0.8, rtol=0.02)

# %% [markdown]
# Bots do not learn, so their ten rounds are all alike; with the crowd they are not. Which baselines
# part company most between round 1 and round 10?

# %%
learned = relative_payouts(key, crowd, baselines, n_blocks=5000)
learned = np.asarray(learned[:, 0])
names = [name.replace("_", " ") for name in mechanisms.BASELINES]
head = {"ms": 3, "color": "#0b3c6f", "label": "head"}
tails = {"ms": 3, "color": "#e08a00", "mfc": "white", "label": "tails"}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.2), sharey=True)
for ax, name, curve in zip(axes, names, learned, strict=True):
    ax.plot(range(1, 11), curve[:, 0], "o-", **head)
    ax.plot(range(1, 11), curve[:, 1], "^-", **tails)
    ax.set(title=name, xlabel="round", xticks=(1, 4, 7, 10), ylim=(0, 2.4))
axes[0].set_ylabel("mean payout / endowment,\ntails of 2 coins")
axes[0].legend(frameon=False)
fig.tight_layout()
distance = lambda a, b: round(float(np.linalg.norm(learned[a] - learned[b])), 2)
two = ((0, 1), (0, 2), (1, 2))
apart = {f"{names[a]} - {names[b]}": distance(a, b) for a, b in two}
print("distance in twenty dimensions", apart)
assert max(apart, key=apart.get) == "libertarian - liberal egalitarian"


# %% [markdown]
# The two mechanisms that people think of as opposites, strict egalitarian and libertarian, are not
# the ones farthest apart. Seen from the payouts, libertarian and liberal egalitarian are. The
# notebook 22_metagame draws the map of a hundred mechanisms.
#
# ## Elections, condition by condition
#
# Once a mechanism is trained, the question is Table S1b's: which share of the votes does it get
# against each baseline at each tail endowment? Each mechanism again plays its blocks once, all five
# conditions together. A stranger's mechanism is tried out first, so that shares which do not sum to
# one end in a sentence and not in an election.

# %%
#| export
def _share_table(sums, rivals, tails, slope):
    "Compare the first [G * K, P] sums with each rival's at K tail endowments."
    votes = voting.vote_from_sums(sums[0], sums[1:], slope=slope).mean(-1)
    block = votes.reshape(len(rivals), -1, len(tails))
    share = np.asarray(block.mean(1), np.float64)
    half = 1.96 * np.asarray(block.std(1, ddof=1), np.float64) / np.sqrt(block.shape[1])
    names = ["rival", "tail_endowment"]
    index = pd.MultiIndex.from_product([rivals, tails], names=names)
    columns = {"vote_share": share, "low": share - half, "high": share + half}
    columns = {name: x.ravel() for name, x in columns.items()}
    return pd.DataFrame(columns, index=index).reset_index()


# %%
#| export
def elect(
    key: Array,  # consumed: one part per mechanism
    players: game.Players,
    mechanism: game.Mechanism,  # stands against each rival at each tail endowment
    rivals: Mapping[str, game.Mechanism],
    *,
    tails: Sequence[float] = mechanisms.TAILS,  # coins of the three tail players
    n_blocks: int = 4096,  # per mechanism and tail endowment
    slope: float = voting.SLOPE,  # of the vote model
) -> pd.DataFrame:  # rival, tail_endowment, vote_share, low, high (95 % over blocks)
    """Hold elections (Koster et al., Table S1b); raises ValueError without rivals,
    tails or blocks; raises MechanismError for one that fails `mechanisms.check`."""
    if not rivals or not len(tails):
        missing = "rivals or tails is empty"
        wanted = "give at least one mechanism to stand against and one tail endowment"
        raise ValueError(f"{missing}: {wanted}")
    for name, candidate in {"mechanism": mechanism, **rivals}.items():
        mechanisms.check(candidate, name=name, tails=tuple(tails))
    endowment = jnp.stack([mechanisms.head_and_tails(tail) for tail in tails])
    candidates, total = [mechanism, *rivals.values()], n_blocks * len(tails)
    sums = simulate(key, players, candidates, endowment, n_blocks=total)
    return _share_table(sums, list(rivals), list(tails), slope)


# %%
stand = partial(elect, jax.random.key(3), crowd, mechanisms.liberal_egalitarian)
against = stand(mechanisms.BASELINES, n_blocks=2048)
itself = against[against["rival"] == "liberal_egalitarian"]
even = np.abs(itself["vote_share"] - 0.5) < 2 * (itself["high"] - itself["low"])
assert even.all(), "against itself it is even"
takes_all = lambda endowment, contribution: jnp.ones_like(contribution)
with pytest.raises(ValueError, match="takes_all"):
    stand({"takes_all": takes_all}, n_blocks=8)
against.pivot(index="tail_endowment", columns="rival", values="vote_share").round(3)

# %%
fig, ax = plt.subplots(figsize=(4.6, 2.6))
for name, form in zip(mechanisms.BASELINES, ("s-", "D--", "o:"), strict=True):
    rows = against[against["rival"] == name]
    half = rows["high"] - rows["vote_share"]
    look = {"fmt": form, "ms": 4, "lw": 1, "label": name.replace("_", " ")}
    ax.errorbar(rows["tail_endowment"], rows["vote_share"], yerr=half, **look)
ax.set(xlabel="tail endowment (coins)", xticks=mechanisms.TAILS)
ax.set_ylabel("votes for liberal egalitarian")
ax.legend(frameon=False, fontsize=7)
fig.tight_layout()

# %% [markdown]
# Against libertarian the lead melts as endowments become equal. It must: with ten coins for
# everybody, relative and absolute contributions are the same thing, and so are the two mechanisms.
#
# ## Recap
#
# `Grid`, `grid` and `TABLE_S2_GRID` name candidates; `EVALUATION_ENDOWMENTS` and `deal_endowments`
# seat the groups; `vote_share` is one election and `round_robin` all of them (`simulate` plays
# once, `pair_blocks` compares afterwards, `RoundRobin` is what comes out); `equilibrium`,
# `unbeaten`, `dominant`, `condorcet_cycles`, `mean_shares` and `winner` (a `Winner`) read it;
# `tournament_table` writes it; `relative_payouts` describes mechanisms by what they pay; `elect`
# runs one mechanism against its rivals.
#
# Questions to take along: HCRM will not lie on this manifold. Must it beat *all* of it once it
# beats the best point? And what would bots have had us train against?
#
# **Exercise 1.** X beats Y by a, Y beats Z by b, Z beats X by c (shares 1/2 + a and so on). In
# which mixture should they stand?
#
# <details><summary>Solution</summary>
#
# Every mechanism must get exactly one half against the mixture. Against Z that says $p_Y\,b =
# p_X\,c$, and so on around: X, Y, Z in the ratio b : c : a. Each is played as often as the *other
# two* differ.

# %%
a, b, c = 0.3, 0.1, 0.2
lopsided = 0.5 + np.array([[0, a, -c], [-a, 0, b], [c, -b, 0]])
assert np.allclose(equilibrium(lopsided), np.array([b, c, a]) / (a + b + c))
equilibrium(lopsided).round(3)

# %% [markdown]
# </details>
#
# **Exercise 2.** How many blocks does it take to tell a share of .506 from one half with 95 %
# confidence?
#
# <details><summary>Solution</summary>
#
# The standard error falls with the root of the number of blocks; from its value at 4,096 follows
# the number at which 1.96 of them are .006.

# %%
needed = 4096 * (1.96 * crowd_robin.error[8, 7] / 0.006) ** 2
print(f"{needed:.0f} blocks")
assert needed < 4096, "the paper's number is enough"

# %% [markdown]
# </details>
