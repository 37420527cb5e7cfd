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
# # The mechanism network, fused
#
# > A mechanism network's parameters and many rounds go in; shares and their gradients come out, several times sooner than by the readable form.

# %%
#| default_exp engine.fused_mechanism

# %% [markdown]
# *In this notebook*: the fast form of the network that `graphnet` declares in flax, and the
# gradients that `training` and `hcmd_zero` need of it. It uses `devices` and nothing of the method;
# a test holds each function and its readable form together, value and gradient, to one part in
# 100,000.

# %%
#| export
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from democratic_ai.engine import devices

# %%
#| hide
import math

np.set_printoptions(precision=4)  # the last digits of single precision are noise

# %% [markdown]
# ## Sender and receiver apart
#
# As declared, the network copies each node's numbers to three senders and three receivers, and the
# table's vector to twelve edges, only to multiply all the copies with the same matrix. But a matrix
# times a joined vector is a sum of smaller products,
#
# $$ W [v_s, v_r] = W_s v_s + W_r v_r , $$
#
# so four products with each half will do, instead of twelve with both; the edges only add. The
# second network's 128 inputs fall into four such parts. Players go into Python lists (nothing is
# rolled or stacked), and arrays are feature-major: features in rows, games in columns, so that each
# step is one matrix times a wide block of games.

# %%
#| export
def _split_layer(layer, *widths):
    """Split a layer (kernel [inputs, outputs], bias) by the parts of its input.

    Returns a matrix [outputs, width] per part, and the bias [outputs, 1].
    """
    matrices = jnp.split(layer["kernel"].T, np.cumsum(widths)[:-1], 1)
    return [*matrices, layer["bias"][:, None]]


def _sum_incoming(edge):
    """Sum the edges (sender, receiver) -> [width, B] that arrive at each player.

    Returns a list of [width, B].
    """
    players = sorted({r for _, r in edge})
    arriving = lambda player: [x for (_, r), x in edge.items() if r == player]
    return [sum(arriving(player)) for player in players]


# %%
#| export
def _first_network(params, node):
    """Compute edges, nodes and global vector from the players' features [F, B].

    Edges are {(sender, receiver): [width, B]}, nodes and global vector [width, B].
    """
    n_features, width = len(node[0]), len(params["edge1"]["bias"])
    by_sender, by_receiver, bias = _split_layer(params["edge1"], n_features, n_features)
    send = [by_sender @ v for v in node]
    receive = [by_receiver @ v + bias for v in node]
    pairs = permutations(range(len(node)), 2)
    edge = {(s, r): jnp.tanh(send[s] + receive[r]) for s, r in pairs}
    incoming = _sum_incoming(edge)
    by_edges, by_node, bias = _split_layer(params["node1"], width, n_features)
    nodes = zip(incoming, node, strict=True)
    node = [jnp.tanh(by_edges @ x + by_node @ v + bias) for x, v in nodes]
    by_edges, by_nodes, bias = _split_layer(params["global1"], width, width)
    return edge, node, jnp.tanh(by_edges @ sum(incoming) + by_nodes @ sum(node) + bias)


# %%
#| export
def _second_network(params, edge, node, table):
    """Compute the players' scores [P, B] before the softmax.

    They follow from the first network's edges, nodes and global vector.
    """
    width = len(table)
    parts = _split_layer(params["edge2"], *[width] * 4)
    by_edge, by_sender, by_receiver, by_table, bias = parts
    from_table = by_table @ table + bias
    send = [by_sender @ v for v in node]
    receive = [by_receiver @ v + from_table for v in node]
    edge2 = {
        (s, r): jnp.tanh(by_edge @ x + send[s] + receive[r])
        for (s, r), x in edge.items()
    }
    by_edges, by_node, by_table, bias = _split_layer(params["node2"], *[width] * 3)
    from_table = by_table @ table + bias
    nodes = zip(_sum_incoming(edge2), node, strict=True)
    scores = [by_edges @ x + by_node @ v + from_table for x, v in nodes]
    return jnp.concatenate(scores)


# %%
#| export
def shares(
    params: dict,  # of `graphnet.MechanismNetwork`
    features: Array,  # [..., P, F] of the players
) -> Array:  # [..., P] fraction of the fund
    "Compute the shares of the public fund."
    games = features.reshape(-1, *features.shape[-2:])
    node = list(jnp.moveaxis(games, 0, -1))  # P times [F, B]
    score = _second_network(params, *_first_network(params, node))
    return jax.nn.softmax(score, 0).T.reshape(features.shape[:-1])


# %% [markdown]
# Weights to show it on, of the sizes of the paper (three features, 32 units), and a hundred tables:

# %%
sizes = {
    "edge1": (6, 32),
    "node1": (35, 32),
    "global1": (64, 32),
    "edge2": (128, 32),
    "node2": (96, 1),
}
keys = dict(zip(sizes, jax.random.split(jax.random.key(0), len(sizes)), strict=True))
params = {
    name: {
        "kernel": jax.random.normal(keys[name], size) / np.sqrt(size[0]),
        "bias": jnp.zeros(size[1]),
    }
    for name, size in sizes.items()
}
features = jax.random.uniform(jax.random.key(1), (100, 4, 3))
share = shares(params, features)
assert share.shape == (100, 4) and jnp.allclose(share.sum(-1), 1, atol=1e-6)
seating = np.array([3, 1, 0, 2])
moved = shares(params, features[:, seating])
assert jnp.allclose(moved, share[:, seating], atol=1e-6), "shares follow the players"
share[:2].round(3)


# %% [markdown]
# ## One's own share per coin
#
# Rational players climb the return of a coin more, so their training needs of each player $i$ one
# number, $\partial\,\text{share}_i / \partial c_i$. With scores $z$ before the softmax,
#
# $$ \frac{\partial\,\text{share}_i}{\partial c_i} = \text{share}_i \Big( \frac{\partial z_i}{\partial c_i} - \sum_r \text{share}_r \frac{\partial z_r}{\partial c_i} \Big) . $$
#
# Going backwards from the scores, all four players need the same gradients of the second network:
# of score $r$ in an edge, in a node, in the table. They are computed once, and every player takes
# its own share-weighted difference. Only below, in the first network, do they part, and there one
# player's coins move few things: its node and its six edges of twelve.

# %%
#| export
def _second_network_with_edges(params, edge, node, table):
    """Compute the second edges, and the scores as `_second_network` does.

    Edges are {(sender, receiver): [width, B]}, scores [P, B].
    """
    width = len(table)
    parts = _split_layer(params["edge2"], *[width] * 4)
    by_edge, by_sender, by_receiver, by_table, bias = parts
    from_table = by_table @ table + bias
    both = jnp.concatenate([by_sender, by_receiver])
    from_node = [both @ v for v in node]
    edge2 = {
        (s, r): jnp.tanh(
            by_edge @ x + from_node[s][:width] + from_node[r][width:] + from_table
        )
        for (s, r), x in edge.items()
    }
    by_edges, by_node, by_table, bias = _split_layer(params["node2"], *[width] * 3)
    from_table = by_table @ table + bias
    nodes = zip(_sum_incoming(edge2), node, strict=True)
    scores = [by_edges @ x + by_node @ v + from_table for x, v in nodes]
    return edge2, jnp.concatenate(scores)


# %%
#| export
def _score_gradients(params, edge2):
    """Differentiate the score of r in what the first network gives.

    Returns gradients by edge (s, r), by node (j, r) and by table r; [width, B] each.
    """
    width = len(params["edge1"]["bias"])
    parts = _split_layer(params["edge2"], *[width] * 4)
    by_edge, by_sender, by_receiver, by_table, _ = parts
    by_edges, by_node, direct, _ = _split_layer(params["node2"], *[width] * 3)
    slope = {arrow: 1 - x**2 for arrow, x in edge2.items()}  # of the tanh
    back = jnp.concatenate([by_edge.T, by_sender.T]) * by_edges
    sent = {arrow: back @ x for arrow, x in slope.items()}
    back = jnp.concatenate([by_receiver.T, by_table.T]) * by_edges
    received = [back @ x for x in _sum_incoming(slope)]
    own = {(r, r): x[:width] + by_node.T for r, x in enumerate(received)}
    return (
        {arrow: x[:width] for arrow, x in sent.items()},
        {arrow: x[width:] for arrow, x in sent.items()} | own,
        [x[width:] + direct.T for x in received],
    )


# %%
#| export
def share_and_gradient(
    params: dict,  # of `graphnet.MechanismNetwork`
    endowment: Array,  # [P, B] coins
    contribution: Array,  # [P, B] coins
    observe: Callable,  # (endowment, contribution) [B] -> features of a player [B, F]
) -> tuple[Array, Array]:  # shares; what one's own coin adds to one's own; [P, B]
    "Compute the shares, and differentiate each in its owner's contribution."
    seats = range(len(endowment))
    node = lambda coins: [x.T for x in map(observe, [*endowment], coins)]
    first_network = lambda coins: _first_network(params, node(coins))
    first, transpose = jax.vjp(first_network, [*contribution])
    edge2, score = _second_network_with_edges(params, *first)
    # players in lists, here too: slices of an array cost more on the way back
    share = [*jax.nn.softmax(score, 0)]
    by_edge, by_node, by_table = _score_gradients(params, edge2)
    mean_node = [sum(share[r] * by_node[j, r] for r in seats) for j in seats]
    mean_table = sum(share[r] * by_table[r] for r in seats)

    def gradient(i):
        edge = {(s, r): ((r == i) - share[r]) * x for (s, r), x in by_edge.items()}
        node = [by_node[j, i] - mean_node[j] for j in seats]
        (moved,) = transpose((edge, node, by_table[i] - mean_table))
        return share[i] * moved[i]

    return jnp.stack(share), jnp.stack([gradient(i) for i in seats])


# %% [markdown]
# Automatic differentiation agrees:

# %%
observe = lambda endowment, contribution: jnp.stack(
    [endowment / 10, contribution / 10, contribution / endowment], -1
)
endowment = jnp.tile(jnp.array([[10.0], [4], [4], [4]]), (1, 100))
contribution = endowment * jax.random.uniform(jax.random.key(2), endowment.shape)
share, gradient = share_and_gradient(params, endowment, contribution, observe)
of_one = lambda e, c: shares(params, observe(e, c)[None])[0]
own = lambda e, c: jnp.diag(jax.jacfwd(of_one, 1)(e, c))
automatic = jax.vmap(own, (1, 1), 1)(endowment, contribution)
assert jnp.allclose(gradient, automatic, atol=1e-5)
readable = jax.vmap(of_one, (1, 1), 1)(endowment, contribution)
assert jnp.allclose(share, readable, atol=1e-6)
gradient[:, 0].round(4)


# %% [markdown]
# A block of play with rational players, then, is a loop over rounds in which each player's
# generosity (the logit of its relative contribution) climbs its own return. On the way back every
# round is computed a second time (`jax.checkpoint`) and not stored: that is cheaper than fetching
# it from memory outside the core's cache.

# %%
#| export
def rational_payouts(
    params: dict,  # of `graphnet.MechanismNetwork`
    endowment: Array,  # [P, B] coins
    generosity: Array,  # [P, B] logit of the relative contribution at the start
    rate: Array,  # [P, B] of learning, logits per coin
    observe: Callable,  # (endowment, contribution) [B] -> features of a player [B, F]
    *,
    growth: float,  # factor on the public fund
    n_rounds: int,
) -> Array:  # [P, B] coins, over all rounds
    "Sum a block's payouts to rational players, differentiable through their learning."

    def one_round(carried, _):
        generosity, received = carried
        contribution = endowment * jax.nn.sigmoid(generosity)
        fund = growth * contribution.sum(0)
        share, own = share_and_gradient(params, endowment, contribution, observe)
        gain = growth * share + fund * own - 1  # return per coin
        climb = contribution * (1 - contribution / endowment)  # coins per logit
        return (generosity + rate * climb * gain, received + fund * share), None

    begin = generosity, jnp.zeros_like(endowment)
    return jax.lax.scan(jax.checkpoint(one_round), begin, length=n_rounds)[0][1]


# %%
received = rational_payouts(
    params, endowment, 0 * endowment, 0 * endowment, observe, growth=1.6, n_rounds=10
)
assert jnp.allclose(received.sum(0), 10 * 1.6 * 11, rtol=1e-5), (
    "who learns nothing gives half in every round"
)

# %% [markdown]
# ## Payouts, differentiated many rounds at once
#
# As no contribution depends on a mechanism's parameters, the network can be differentiated once
# over all rounds of a batch, each payout weighted by what a coin more is worth, 640 rounds at a
# time.

# %%
#| export
ROUNDS_PER_CHUNK = 640  # of four players, on each device


def weighted_gradient(
    payout: Callable,  # (params, endowment, contribution) -> [..., P] coins
    params: Any,  # pytree
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    weight: Array,  # [..., P] of each payout
) -> Any:  # like `params`
    "Differentiate the weighted sum of all payouts in the parameters, in chunks."
    arrays = jnp.broadcast_arrays(endowment, contribution, weight)
    rounds = [x.reshape(-1, x.shape[-1]) for x in arrays]
    modes = ("edge", "edge", "constant")  # what fills up weighs nothing
    most = devices.rows_at_once(ROUNDS_PER_CHUNK, rounds[0].shape[-1])
    batch = zip(rounds, modes, strict=True)
    chunks = [devices.chunk(x, most, mode=mode) for x, mode in batch]

    def add(total, chunk):
        endowment, contribution, weight = (devices.shard(x, 0) for x in chunk)
        value = lambda p: (weight * payout(p, endowment, contribution)).sum()
        return jax.tree.map(jnp.add, total, jax.grad(value)(params)), None

    return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), chunks)[0]


# %%
of_size = lambda params, endowment, contribution: (
    1.6 * params * contribution.sum(-1, keepdims=True) / 4 + 0 * contribution
)
ones = jnp.ones((1541, 4))
gradient = weighted_gradient(of_size, jnp.array(1.0), ones, ones, ones)
assert jnp.allclose(gradient, ones.sum() * 1.6), "what fills the last chunk is nothing"


# %% [markdown]
# ## Every round there is
#
# A thousand pairs of games put twenty thousand questions to the same network: ten rounds, two
# copies. How many *different* questions can there be? Coins are whole. A head of 10 has eleven
# answers, three tails of 2 have three each, and which of the tails gave what makes no difference:
# the network does not know their names. With tails of 10 that makes 11 times 286 rounds, with tails
# of 2 only 11 times 10. And all five endowments together? The cell after the next two counts them.

# %%
#| export
class RoundTable(NamedTuple):
    """Every round that a head and three equal tails can play, and where to find it.

    The tails are in the order of what they gave.
    """

    tails: np.ndarray  # [K] endowments, coins
    endowment: np.ndarray  # [N, P] coins
    contribution: np.ndarray  # [N, P] coins
    place: np.ndarray  # [K, 11, 11, 11, 11, P] of each player in a list of N * P

    def find(
        self,
        endowment: Array,  # [..., P] coins
        contribution: Array,  # [..., P] coins
    ) -> Array:  # [..., P] places
        "Look up rounds, with tails in any order."
        at = (endowment[..., 1, None] == self.tails).argmax(-1)
        given = jnp.moveaxis(contribution.astype(int), -1, 0)
        return jnp.asarray(self.place)[at, *given]


# %%
#| export
def round_table(
    tails: Sequence[float],  # endowments of the three tails, whole coins
    *,
    most: int,  # coins of the head
    n_players: int,
) -> RoundTable:
    "List what can be put before a mechanism in one round of the game."
    coins = np.indices([most + 1] * n_players).reshape(n_players, -1).T  # [11 ** P, P]
    endowment, contribution, place = [], [], []
    for tail in tails:
        # what tails cannot give is looked up as all they have
        given = np.minimum(coins[:, 1:], int(tail))
        rank = given.argsort(1, kind="stable").argsort(1)
        ordered = np.c_[coins[:, 0], np.sort(given, 1)]
        different, number = np.unique(ordered, axis=0, return_inverse=True)
        number = number.reshape(-1, 1) + sum(map(len, contribution))
        place.append(n_players * number + np.c_[0 * number, 1 + rank])
        contribution.append(different)
        seats = [most, *[tail] * (n_players - 1)]
        endowment.append(np.broadcast_to(seats, different.shape))
    place = np.stack(place).reshape(len(tails), *[most + 1] * n_players, n_players)
    rounds = (np.concatenate(x).astype(np.float32) for x in (endowment, contribution))
    return RoundTable(np.float32(tails), *rounds, place.astype(np.int32))


# %%
tails = (2, 4, 6, 8, 10)
every = round_table(tails, most=10, n_players=4)
n_rounds, n_tables = len(every.contribution), every.place[..., 0].size
print(f"{n_rounds:,} different rounds, the tables of {n_tables:,} looked up among them")
assert n_rounds == sum(11 * math.comb(tail + 3, 3) for tail in tails)
here = every.find(jnp.array([10.0, 8, 8, 8]), jnp.array([3.0, 7, 0, 5]))
np.testing.assert_array_equal(every.contribution.ravel()[here], [3, 7, 0, 5])


# %% [markdown]
# Fewer than a third of twenty thousand, and no more for a million games. So the network is asked
# each of them once, and both copies read the answers from the list. On the way back, where the same
# round has been played many times, its weights add up in one place, and the network is
# differentiated once for each place. The list is for few seats: a fifth player would multiply its
# tables by eleven.

# %%
#| export
def table_shares(
    shares: Callable,  # (endowment, contribution) [N, P] -> [N, P]
    rounds: RoundTable,
) -> Array:  # [N * P]
    "Compute a mechanism's shares in every round there is, in chunks."
    most = devices.rows_at_once(ROUNDS_PER_CHUNK, rounds.contribution.shape[-1])
    chunks = [devices.chunk(x, most) for x in (rounds.endowment, rounds.contribution)]
    of_chunk = lambda chunk: shares(*(devices.shard(x, 0) for x in chunk))
    share = jax.lax.map(of_chunk, chunks)
    return share.ravel()[: rounds.contribution.size]


# %%
relative = lambda endowment, contribution: (
    (contribution + 1) / (contribution + 1).sum(-1, keepdims=True)
)
answers = table_shares(relative, every)
assert jnp.allclose(answers[here], relative(None, jnp.array([3.0, 7, 0, 5])), atol=1e-6)
answers[here].round(3)

# %% [markdown]
# ## Recap
#
# `shares` is the network; `share_and_gradient` and `rational_payouts` serve the training with
# rational players; `weighted_gradient` differentiates the payouts of a batch; `RoundTable`,
# `round_table` and `table_shares` serve HCMD-zero's self-play.
