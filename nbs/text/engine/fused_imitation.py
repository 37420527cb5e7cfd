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
# # Imitation, fused
#
# > What players knew and did goes in, and a loss; the mean loss over a batch of blocks and its gradient come out.

# %%
#| default_exp engine.fused_imitation

# %% [markdown]
# *In this notebook*: how `cloning` lays out the blocks that it learns from. It uses `fused_players`
# and nothing of the method; a test holds the gradient and that of the readable loss together to one
# part in 100,000.
#
# Three observations make a batch cheap:
#
# 1. What a player knew before each choice does not change during training. It is written down once,
#    one row per player and block, and an update looks rows up.
# 2. Players without ten answers of their own are not visited at all.
# 3. The order of the other players is no fact of the game, so each row is written down in several
#    orders. An update then permutes nothing: it reads one of them, drawn at random.

# %%
#| export
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from democratic_ai.engine import fused_players

# %% [markdown]
# ## The orders of the others
#
# At a table of four the three others have six orders, and all of them are written down. At a table
# of five there would be 24, at a table of 64 more than any memory holds: there, six are drawn once.

# %%
#| export
_N_ORDERS = 6  # in which every row is written down: all there are at a table of four


def _orders(n_players):
    "List orders of the players in which the own seat, 0, stays in front."
    first = itertools.islice(itertools.permutations(range(1, n_players)), _N_ORDERS + 1)
    others = set(first)
    if len(others) > _N_ORDERS:
        rng, others = np.random.default_rng(0), set()
        while len(others) < _N_ORDERS:
            others.add(tuple(rng.permutation(np.arange(1, n_players))))
    return [np.array([0, *order]) for order in sorted(others)]


# %%
assert [order.tolist() for order in _orders(3)] == [[0, 1, 2], [0, 2, 1]]
assert len(_orders(4)) == len(_orders(64)) == 6 and all(o[0] == 0 for o in _orders(64))


# %% [markdown]
# ## Rows
#
# A data set that grows would be compiled anew each time. `room` lays out rows for more blocks than
# there are; only those that are there get drawn.

# %%
#| export
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Examples:
    "A data set of G blocks of P players in T rounds: one row per player and block."

    features: Array  # [ORDERS * G * P, T, F] what a player knew before each choice
    targets: tuple[Array, ...]  # [G * P, ...] each: what a loss compares with
    answered: Array  # [G, P] bool: players to learn from
    n_blocks: Array  # [] blocks to draw from; those behind them only keep the shapes


# %%
#| export
def lay_out(
    features: Array,  # [G, P, T, Q * P] Q quantities of P players, the own number first
    targets: tuple[Array, ...],  # [G, P, ...] each
    answered: Array,  # [G, P] bool
    shuffle_others: bool = True,  # False: the others in the given order only
    room: int | None = None,  # blocks to lay out; default: as many as there are
) -> Examples:
    "Lay out blocks as rows."
    (n_blocks, n_players), n_columns = answered.shape, features.shape[-1]
    resize = lambda x: jnp.resize(x, (room or n_blocks, *x.shape[1:]))
    features, targets, answered = jax.tree.map(resize, (features, targets, answered))
    first = np.arange(0, n_columns, n_players)[:, None]  # the own number's columns
    orders = _orders(n_players) if shuffle_others else [np.arange(n_players)]
    versions = jnp.stack([features[..., (first + order).ravel()] for order in orders])
    return Examples(
        versions.reshape(-1, *features.shape[2:]),
        tuple(x.reshape(-1, *x.shape[2:]) for x in targets),
        answered,
        jnp.int32(n_blocks),
    )


# %% [markdown]
# Five blocks of two rounds, and one number per player. Its first column is the own number in every
# order; the others change places.

# %%
numbers = jax.random.normal(jax.random.key(0), (5, 4, 2, 4))
answered = jnp.ones((5, 4), bool).at[1, 2].set(False)
examples = lay_out(numbers, (numbers[..., 0],), answered, shuffle_others=True, room=7)
versions = examples.features.reshape(6, 7, 4, 2, 4)
assert (versions[:, :5, ..., 0] == numbers[..., 0]).all() and examples.n_blocks == 5
assert len({version.tobytes() for version in np.asarray(versions)}) == 6
assert (jnp.sort(versions[:, :5], -1) == jnp.sort(numbers, -1)).all(), "the same facts"
print("features", examples.features.shape, "target", examples.targets[0].shape)


# %% [markdown]
# ## The mean over a batch

# %%
#| export
def mean_over_blocks(
    loss: Callable,  # (logits [T, 11, N], targets of N) -> [N] loss, [N] another
    params: dict,  # of `cloning.VirtualPlayer`
    examples: Examples,
    blocks: Array,  # [B] which blocks
    key: Array,  # consumed whole: the order in which each player reads about the others
) -> tuple[tuple[Array, Array], dict]:  # means of both, the gradient of the first
    "Average a loss and its gradient over the players of some blocks who answered."
    n_players, n_rows = examples.answered.shape[1], examples.answered.size
    answered = examples.answered[blocks].ravel()
    chunk = fused_players.PLAYERS_PER_CHUNK * jax.device_count()
    size = -(-answered.size // chunk) * chunk
    players = (blocks[:, None] * n_players + jnp.arange(n_players)).ravel()
    rows = players[jnp.nonzero(answered, size=size, fill_value=0)[0]]
    order = jax.random.randint(key, (size,), 0, len(examples.features) // n_rows)

    def total(logits, targets, counted):
        return tuple((each * counted).sum() for each in loss(logits, *targets))

    rows_of = examples.features, examples.targets, (rows + n_rows * order, rows)
    return fused_players.mean_over_players(total, params, *rows_of, answered.sum())


# %% [markdown]
# A loss that sums a target over rounds, whatever the network says, has the mean over all who
# answered. Player 2 of block 1 did not.

# %%
shape = {"embed": (4, 8), "choice": (3, 11), **{"i" + g: (8, 3) for g in "ifgo"}}
layer = lambda x: {"kernel": jnp.ones(shape[x]), "bias": jnp.zeros(shape[x][1])}
lstm = {"i" + g: layer("i" + g) for g in "ifgo"}
lstm |= {"h" + g: {"kernel": jnp.ones((3, 3)), "bias": jnp.zeros(3)} for g in "ifgo"}
params = {"params": {"embed": layer("embed"), "lstm": lstm, "choice": layer("choice")}}


def loss(logits, target):
    return target.sum(-1), jnp.ones(len(target))


blocks = jnp.array([0, 1, 1, 4])
batch = examples, blocks, jax.random.key(1)
(mean, one), gradient = mean_over_blocks(loss, params, *batch)
expected = numbers[..., 0].sum(-1)[blocks][answered[blocks]].mean()
assert one == 1 and jnp.isclose(mean, expected, rtol=1e-5)
assert all((x == 0).all() for x in jax.tree.leaves(gradient)), "no logits, no gradient"
print(f"mean of the first target {mean:.4f}, by hand {expected:.4f}")

# %% [markdown]
# ## Recap
#
# `lay_out` makes `Examples`, one row per player and block; `mean_over_blocks` looks up a batch and
# hands it to `fused_players.mean_over_players`.
