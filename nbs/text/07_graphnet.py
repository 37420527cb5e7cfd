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
#

# %% [markdown]
# # Graphnet
#
# > What four people had and gave goes in; the fraction of the public fund that each receives comes out of two small graph networks.

# %%
#| default_exp graphnet

# %% [markdown]
# *In this notebook*: the network that decides who gets what (Koster et al., Materials and Methods, "Network architecture").

# %%
#| export
from itertools import combinations_with_replacement, permutations, product

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from democratic_ai import game


# %%
#| export
def truncated_normal(key, shape, dtype=jnp.float32):
    "Draw a [in, out] matrix as TensorFlow 1's Sonnet did: standard deviation 1 / sqrt(in), cut at two of them, not rescaled."
    return jax.random.truncated_normal(key, -2, 2, shape, dtype) / jnp.sqrt(shape[0])


def observation(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    n_features: int = 3,  # 3 for HCRM; 2 leaves out the ratio
) -> Array:  # [..., P, n_features]
    "Show each player as endowment / 10, contribution / 10 and their ratio (Koster et al., \"Network architecture\")."
    every = endowment / 10, contribution / 10, contribution / endowment
    return jnp.stack(jnp.broadcast_arrays(*every)[:n_features], -1)


# %%
#| export
class MechanismNetwork(nn.Module):
    "Two graph networks and a softmax over the players (Koster et al., \"Network architecture\")."

    n_features: int = 3  # 3 for HCRM; 2 leaves out the ratio
    width: int = 32  # units of every layer but the last

    @nn.compact
    def __call__(self, endowment: Array, contribution: Array) -> Array:  # [..., P] coins, twice -> [..., P] shares
        layer = lambda name, n=self.width: nn.Dense(n, kernel_init=truncated_normal, name=name)
        node = observation(endowment, contribution, self.n_features)  # [..., P, F]
        n_players = node.shape[-2]
        sender, receiver = np.array(list(permutations(range(n_players), 2))).T  # 12 directed edges for P = 4
        arriving = np.eye(n_players)[receiver].T  # [P, edges], 1 where the edge ends at the player
        join = lambda *parts: jnp.concatenate(parts, -1)
        everywhere = lambda u, n: jnp.broadcast_to(u[..., None, :], u.shape[:-1] + (n, u.shape[-1]))

        edge = jnp.tanh(layer("edge1")(join(node[..., sender, :], node[..., receiver, :])))
        node = jnp.tanh(layer("node1")(join(arriving @ edge, node)))
        u = jnp.tanh(layer("global1")(join(edge.sum(-2), node.sum(-2))))

        at_edge = everywhere(u, edge.shape[-2])
        edge = jnp.tanh(layer("edge2")(join(edge, node[..., sender, :], node[..., receiver, :], at_edge)))
        score = layer("node2", 1)(join(arriving @ edge, node, everywhere(u, n_players)))
        return nn.softmax(score[..., 0])


# %%
#| export
def init(
    key: Array,  # consumed
    *,
    n_features: int = 3,  # 3 for HCRM; 2 leaves out the ratio
) -> dict:
    "Draw the parameters of an untrained mechanism: 7,681 numbers for HCRM."
    some = jnp.ones(game.Game.n_players)
    return MechanismNetwork(n_features).init(key, some, some)["params"]


# %%
#| export
def node_scores(
    params: dict,  # of `MechanismNetwork`
    endowment: Array,  # [P, B] coins: one row a player, one column a graph
    contribution: Array,  # [P, B] coins
) -> Array:  # [P, B] before the softmax
    "Compute the scores of `MechanismNetwork` without ever building an edge's input: feature-major, players in lists."
    p = {name: (layer["kernel"].T, layer["bias"][:, None]) for name, layer in params.items()}
    players, split = range(len(endowment)), lambda name, *at: jnp.split(p[name][0], at, 1)
    pairs = list(permutations(players, 2))
    n_features, width = params["edge1"]["kernel"].shape[0] // 2, params["edge1"]["kernel"].shape[1]
    v = [jnp.stack([e / 10, c / 10, c / e][:n_features]) for e, c in zip(endowment, contribution)]

    from_sender, to_receiver = split("edge1", n_features)
    send, receive = [from_sender @ x for x in v], [to_receiver @ x + p["edge1"][1] for x in v]
    edge = {(s, r): jnp.tanh(send[s] + receive[r]) for s, r in pairs}
    incoming = [sum(edge[s, r] for s in players if s != r) for r in players]
    by_edges, by_node = split("node1", width)
    v = [jnp.tanh(by_edges @ a + by_node @ x + p["node1"][1]) for a, x in zip(incoming, v)]
    by_edges, by_nodes = split("global1", width)
    u = jnp.tanh(by_edges @ sum(incoming) + by_nodes @ sum(v) + p["global1"][1])

    by_edge, by_sender, by_receiver, by_global = split("edge2", width, 2 * width, 3 * width)
    common = by_global @ u + p["edge2"][1]
    send, receive = [by_sender @ x for x in v], [by_receiver @ x + common for x in v]
    edge = {(s, r): jnp.tanh(by_edge @ edge[s, r] + send[s] + receive[r]) for s, r in pairs}
    incoming = [sum(edge[s, r] for s in players if s != r) for r in players]
    by_edges, by_node, by_global = split("node2", width, 2 * width)
    common = by_global @ u + p["node2"][1]
    return jnp.concatenate([by_edges @ a + by_node @ x + common for a, x in zip(incoming, v)])


# %%
#| export
def shares(
    params: dict,  # of `MechanismNetwork`
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
) -> Array:  # [..., P] fraction of the fund
    "Divide the fund as `MechanismNetwork` does, quickly (Koster et al., \"Network architecture\")."
    endowment, contribution = jnp.broadcast_arrays(endowment, contribution)
    columns = lambda x: x.reshape(-1, x.shape[-1]).T
    score = node_scores(params, columns(endowment), columns(contribution))
    return jax.nn.softmax(score, 0).T.reshape(contribution.shape)


def mechanism(
    params: dict,  # of `MechanismNetwork`
) -> game.Mechanism:
    "Make a mechanism like any other from the network's parameters."
    return lambda endowment, contribution: shares(params, endowment, contribution)


# %%
params = init(jax.random.key(0))
e = jax.random.randint(jax.random.key(1), (512, 4), 1, 11).astype(float); c = jnp.floor(jax.random.uniform(jax.random.key(2), e.shape) * (e + 1))
slow = lambda p: MechanismNetwork().apply({"params": p}, e, c)
assert sum(x.size for x in jax.tree.leaves(params)) == 7681
assert jnp.allclose(slow(params), shares(params, e, c), rtol=1e-5)
w = jax.random.normal(jax.random.key(3), e.shape)
ga, gb = (jax.grad(lambda p: (w * f(p)).sum())(params) for f in (slow, lambda p: shares(p, e, c)))
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(abs(a).max())), ga, gb)
