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
# # A network that shares the fund
#
# > Endowments and contributions go in; shares of the fund, by two graph networks, come out.

# %%
#| default_exp graphnet

# %% [markdown]
# *In this notebook*: the network that decides who gets what (Koster et al., Materials and Methods,
# "Network architecture"). It uses the game of 00; 09 trains it for votes, 12 trains its sibling
# that sees less, 13 draws what it has learned. First why four people call for a *graph*, then the
# network, then what it does with the money. (`engine.fused_mechanism` computes the same network
# several times faster.)

# %%
#| export
from itertools import permutations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from jax.tree_util import Partial

from democratic_ai import game
from democratic_ai.engine import fused_mechanism

# %%
#| hide
from functools import partial

import matplotlib.pyplot as plt

from democratic_ai import mechanisms

np.set_printoptions(precision=4)  # the last digits of single precision are noise

# %% [markdown]
# ## Does it matter where you sit?
#
# Ann has 10 coins and sits first. Bob, Cem and Dee have 2 each. All give everything, and a referee
# hands Ann three tenths of the fund. Now Ann and Dee change chairs. A fair referee hands three
# tenths to the last chair: the money follows the person.
#
# The plainest network does not. Show it the twelve numbers of the table in a row, let it answer
# with four, and every chair has its own weights. Watch what the swap does:

# %%
chairs = jax.random.normal(jax.random.key(1), (12, 4)) / np.sqrt(12)
in_a_row = lambda e, c: jnp.concatenate([e / 10, c / 10, c / e], -1)
by_chair = lambda e, c: jax.nn.softmax(in_a_row(e, c) @ chairs)
endowment, swap = jnp.array([10.0, 2, 2, 2]), jnp.array([3, 1, 2, 0])
before, after = (by_chair(e, e) for e in (endowment, endowment[swap]))
print("Ann first:", before.round(2), "| Ann last:", after.round(2))
assert abs(before[0] - after[3]) > 0.1, (
    "the plain network pays the chair, not the person"
)


# %% [markdown]
# By moving to the last chair Ann changed her own income, and nobody had given a coin more or less.
# One could show the plain network every seating (24 of them) and hope. Better to build a network
# that *cannot* favour a chair, because the same weights serve everybody.
#
# ## People are nodes, pairs are edges
#
# Each player is a node that carries three numbers: the endowment and the contribution, both in tens
# of coins, and their ratio. The first two say who could give, the last who was generous. (The paper
# leaves the scaling open; we take that of the virtual players.) HCMD-zero's later network goes
# without the ratio, hence the argument.

# %%
#| export
def observation(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    *,
    n_features: int = 3,  # 3 for HCRM; 2 leaves out the ratio, as in HCMD-zero
) -> Array:  # [..., P, n_features] endowment / 10, contribution / 10, their ratio
    'Compute each player\'s features (Koster et al., "Network architecture").'
    most = game.Game.most_coins
    every = endowment / most, contribution / most, contribution / endowment
    return jnp.stack(jnp.broadcast_arrays(*every)[:n_features], -1)


# %%
nodes = observation(endowment, jnp.array([5.0, 2, 1, 0]))
assert np.allclose(nodes, [[1, 0.5, 0.5], [0.2, 0.2, 1], [0.2, 0.1, 0.5], [0.2, 0, 0]])
nodes

# %% [markdown]
# From every player an edge leads to every other, twelve in all, none to oneself. What travels along
# the edge from a sender $s$ to a receiver $r$ is computed from these two alone. What a player
# becomes is computed from the *sum* of what arrives, and a global vector $u$ sums up the table. A
# sum does not care about the order of its terms. That is the whole trick.
#
# $$ e_{sr} = \tanh\left(W_e [v_s, v_r]\right), \qquad
#    v'_r = \tanh\Big(W_v \big[\textstyle\sum_s e_{sr},\, v_r\big]\Big), $$
#
# $$ u = \tanh\Big(W_u \big[\textstyle\sum_{s,r} e_{sr},\, \sum_r v'_r\big]\Big) $$
#
# A second network of the same make reads the results of the first, now knowing the whole table
# through $u$. Its nodes come out as one number each, and a softmax over the players turns four
# numbers into shares:
#
# $$ e'_{sr} = \tanh\left(W'_e [e_{sr}, v'_s, v'_r, u]\right), \qquad
#    z_r = W'_v \big[\textstyle\sum_s e'_{sr},\, v'_r,\, u\big], \qquad
#    \text{share} = \text{softmax}(z) . $$

# %%
fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.5))
spot = {"Ann": (0, 1), "Bob": (1, 1), "Cem": (1, 0), "Dee": (0, 0)}
titles = "first network: 3 numbers a node", "second: 32 a node, and u for all"
arrow = dict(arrowstyle="->", connectionstyle="arc3,rad=.1", shrinkA=13, shrinkB=13)
centred = dict(ha="center", va="center")
node = dict(boxstyle="circle", fc="#dfe8f2", ec="#0b3c6f")
for ax, title in zip(axes, titles, strict=True):
    for (_, (x, y)), (b, (x2, y2)) in permutations(spot.items(), 2):
        color = "#e08a00" if b == "Ann" else "#bbbbbb"
        ax.annotate("", (x2, y2), (x, y), arrowprops=dict(arrow, color=color))
    for name, (x, y) in spot.items():
        ax.text(x, y, name, **centred, bbox=node)
    ax.set(xlim=(-0.3, 1.3), ylim=(-0.35, 1.35), title=title)
    ax.axis("off")
table = dict(boxstyle="round", fc="#f6e3c3", ec="#e08a00")
axes[1].text(0.5, 0.5, "u", **centred, bbox=table)
fig.tight_layout()


# %% [markdown]
# In orange, the messages that reach Ann: one from each of the others. Only the middle box reads the
# whole table.
#
# Flax lets us write the equations down as they stand. Only the start needs care: TensorFlow 1's
# Sonnet, which the authors used, drew weights from a normal distribution with standard deviation
# $1/\sqrt{\text{inputs}}$, cut off at two of these, and set biases to zero. Today's libraries
# divide by .88 to repair the standard deviation that the cut has cost; Sonnet did not.

# %%
#| export
def _truncated_normal(key, shape, dtype=jnp.float32):
    "Draw weights [inputs, outputs] as Sonnet did: normal, cut at two deviations."
    return jax.random.truncated_normal(key, -2, 2, shape, dtype) / np.sqrt(shape[0])


# %%
drawn = _truncated_normal(jax.random.key(0), (128, 4000))
assert abs(drawn).max() <= 2 / np.sqrt(128)
assert np.isclose(drawn.std() * np.sqrt(128), 0.88, atol=0.005)
print(f"standard deviation times root of inputs: {drawn.std() * np.sqrt(128):.3f}")


# %%
#| export
class MechanismNetwork(nn.Module):
    'Two graph networks and a softmax (Koster et al., "Network architecture").'

    n_features: int = 3  # 3 for HCRM; 2 leaves out the ratio
    width: int = 32  # units of every layer but the last

    @nn.compact
    def __call__(self, endowment: Array, contribution: Array) -> Array:
        "Compute the shares [..., P] from endowments and contributions [..., P]."
        start = {"kernel_init": _truncated_normal}
        layer = lambda name, n=self.width: nn.Dense(n, name=name, **start)
        join = lambda *parts: jnp.concatenate(parts, -1)
        repeat = lambda u, n: jnp.repeat(u[..., None, :], n, -2)

        node = observation(endowment, contribution, n_features=self.n_features)
        n_players = node.shape[-2]
        edges = list(permutations(range(n_players), 2))
        sender, receiver = np.array(edges).T
        arrives = np.eye(n_players)[:, receiver]  # [P, edges], 1 where an edge ends

        ends = join(node[..., sender, :], node[..., receiver, :])
        edge = jnp.tanh(layer("edge1")(ends))
        node = jnp.tanh(layer("node1")(join(arrives @ edge, node)))
        table = jnp.tanh(layer("global1")(join(edge.sum(-2), node.sum(-2))))

        ends = join(node[..., sender, :], node[..., receiver, :])
        edge = jnp.tanh(layer("edge2")(join(edge, ends, repeat(table, len(sender)))))
        score = layer("node2", 1)(join(arrives @ edge, node, repeat(table, n_players)))
        return nn.softmax(score[..., 0])


# %%
#| export
def init(
    key: Array,  # consumed
    *,
    n_features: int = 3,  # 3 for HCRM; 2 leaves out the ratio
) -> dict:  # kernel and bias of edge1, node1, global1, edge2 and node2
    'Draw a mechanism\'s first parameters (Koster et al., "Network architecture").'
    players = jnp.ones(game.Game.n_players)  # the same parameters serve any number
    return MechanismNetwork(n_features).init(key, players, players)["params"]


# %% [markdown]
# A mechanism is a function of endowments and contributions, so here is one for given parameters.
# Its readable form (`fused=False`) applies the network as declared. By default it hands over to the
# engine, which computes the same numbers in another order; a check follows below.

# %%
#| export
_MOST_PLAYERS = 8  # for whom the fused form writes out all edges


def shares(
    params: dict,  # of `MechanismNetwork`; their shapes give n_features and width
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    *,
    fused: bool = True,  # for tables of at most eight players: compute in the engine
) -> Array:  # [..., P] fraction of the fund
    'Compute the shares of the public fund (Koster et al., "Network architecture").'
    inputs, width = params["edge1"]["kernel"].shape  # features of two players, units
    if fused and contribution.shape[-1] <= _MOST_PLAYERS:
        features = observation(endowment, contribution, n_features=inputs // 2)
        return fused_mechanism.shares(params, features)
    network = MechanismNetwork(inputs // 2, width)
    return network.apply({"params": params}, endowment, contribution)


def mechanism(
    params: dict,  # of `MechanismNetwork`
) -> game.Mechanism:
    "Turn the network's parameters into a mechanism like any other (as in `game`)."
    return Partial(shares, params)


# %% [markdown]
# How many numbers is that? Count on paper first: 6 to 32 for the edges, 35 to 32 for the nodes, 64
# to 32 for the table; then 128 to 32 and 96 to 1; each with biases.

# %%
params = init(jax.random.key(0))
count = sum(x.size for x in jax.tree.leaves(params))
on_paper = (6 + 1) * 32 + (35 + 1) * 32 + (64 + 1) * 32 + (128 + 1) * 32 + (96 + 1)
assert count == on_paper == 7681
kernels = {name: layer["kernel"].shape for name, layer in params.items()}
print(count, "parameters:", kernels)

# %% [markdown]
# Smaller than a thumbnail picture, and more than half of it (4,128) sits in the second set of
# edges. Now let Ann and Dee change chairs again. "Equivariant" means: permuting the players and
# then asking gives the same as asking and then permuting.

# %%
readable = partial(shares, fused=False)
contribution = jnp.array([5.0, 2, 1, 0])
first = readable(params, endowment, contribution)
last = readable(params, endowment[swap], contribution[swap])
assert jnp.allclose(first[swap], last, atol=1e-6)
assert jnp.allclose(first.sum(), 1, atol=1e-6) and (first > 0).all()
print("Ann first:", first.round(3), "| Ann last:", last.round(3))

# %% [markdown]
# Bob and Cem have exchanged nothing and receive the same as before; the money follows Ann and Dee.
# One swap proves little, so here are all 24 seatings, for 200 random tables.

# %%
rng = np.random.default_rng(0)
e = jnp.array(rng.integers(1, 11, (200, 4)), float)
c = jnp.floor(jnp.array(rng.uniform(size=e.shape)) * (e + 1))
seatings = np.array(list(permutations(range(4))))
asked_then_moved = readable(params, e, c)[:, seatings]
moved_then_asked = readable(params, e[:, seatings], c[:, seatings])
error = abs(asked_then_moved - moved_then_asked).max()
assert asked_then_moved.shape == (200, 24, 4) and error < 1e-6
naive = abs(by_chair(e, c)[:, seatings] - by_chair(e[:, seatings], c[:, seatings]))
fig, ax = plt.subplots(figsize=(4.2, 2.3))
naive = np.asarray(naive.max((1, 2)))
ax.hist(naive, bins=25, color="#b5651d", label="one weight a chair")
ax.axvline(float(error), color="#0b3c6f", lw=2, label=f"graph network ({error:.0e})")
ax.set(ylabel="tables", ylim=(0, 34))
ax.set_xlabel("largest change of a share over 24 seatings")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0.06, 1.04), fontsize=8)
fig.tight_layout()

# %% [markdown]
# The blue line is rounding error; the brown heap is how much of the fund a clever choice of chair
# can be worth under the plain network. Nothing in the weights counts people either, so three or six
# players can sit down and the same parameters serve.
#
# ## One formula, two programs
#
# Training asks this network ten times in each of 512 games, ten thousand times over, with
# gradients. As declared it copies each node's numbers to three senders and three receivers, and $u$
# to twelve edges, before it multiplies; the engine multiplies first. Two programs for one formula
# should agree, in value and in gradient, to the sixth digit or so. Gradients of what? Of a random
# weighting of the shares, so that no direction is left untested.

# %%
weight = jnp.array(rng.normal(size=e.shape))
weighted = lambda params, form: (weight * form(params, e, c)).sum()
graded = jax.jit(jax.value_and_grad(weighted), static_argnums=1)
flat = lambda tree: jnp.concatenate([x.ravel() for x in jax.tree.leaves(tree)])
norm = lambda tree: float(jnp.linalg.norm(flat(tree)))
distance = lambda a, b: norm(jax.tree.map(jnp.subtract, a, b)) / norm(b)
value, gradient = graded(params, shares)
apart = [*map(distance, (value, gradient), graded(params, readable))]
print(f"relative difference: value {apart[0]:.1e}, gradient {apart[1]:.1e}")
assert distance(shares(params, e, c), readable(params, e, c)) < 1e-5 > max(apart)
mechanisms.check(mechanism(params), name="untrained")


# %% [markdown]
# ## What does it do with the money?
#
# A mechanism has four endowments and four contributions as arguments, too many to draw. Figure 3A
# of the paper fixes the endowments at 10 and three times `tail`. It shows the head's share over
# what the head gave and what the tails gave *together*, averaged over all the ways in which three
# tails can give that sum. The paper calls the picture a beach plot.

# %%
#| export
def beach(
    mechanism: game.Mechanism,
    tail: int,  # endowment of each of the three tails, whole coins
) -> pd.DataFrame:  # head_contribution, tail_contribution_sum (coins), head_share
    "Average the head's share by what the tails gave (Koster et al., Figure 3A)."
    most, n_players = game.Game.most_coins, game.Game.n_players
    # of four players, for any `tail`
    coins = np.indices([most + 1] * n_players).reshape(n_players, -1).T
    endowment = jnp.array([most, tail, tail, tail], float)
    endowment = jnp.broadcast_to(endowment, coins.shape)
    share = np.asarray(mechanism(endowment, jnp.asarray(coins, float))[:, 0])
    from_head, from_tails = coins[:, 0], coins[:, 1:].sum(1)
    axes = {"head_contribution": from_head, "tail_contribution_sum": from_tails}
    frame = pd.DataFrame({**axes, "head_share": share})
    possible = frame[(coins[:, 1:] <= tail).all(1)]
    return possible.groupby([*axes], as_index=False)["head_share"].mean()


# %% [markdown]
# Check it on a mechanism that we can compute by hand. Under the libertarian one the head's share is
# its fraction of all coins, whichever tail gave them: 6 against 3 coins are two thirds.

# %%
rules = {"libertarian": mechanisms.libertarian, "untrained": mechanism(params)}
surface = {name: beach(rule, 4) for name, rule in rules.items()}
cell = "head_contribution == 6 and tail_contribution_sum == 3"
share = surface["libertarian"].query(cell).head_share.item()
assert len(surface["libertarian"]) == 11 * 13 and np.isclose(share, 2 / 3)
coins = dict(index="head_contribution", columns="tail_contribution_sum")
look = dict(origin="lower", cmap="RdYlBu_r", vmin=0, vmax=1, aspect="auto")
fig, axes = plt.subplots(1, 2, figsize=(6.2, 2.5), sharey=True)
for ax, (name, frame) in zip(axes, surface.items(), strict=True):
    image = ax.imshow(frame.pivot(**coins, values="head_share"), **look)
    ax.set(xlabel="coins given by the tails", title=name)
axes[0].set_ylabel("coins given by the head")
fig.colorbar(image, ax=axes, label="head's share of the fund")
low, high = surface["untrained"].head_share.agg(["min", "max"])
print(f"untrained: the head's share lies between {low:.2f} and {high:.2f}")


# %% [markdown]
# Left, the familiar fan of a proportional rule. Right, what random weights think: nearly flat, no
# ideology at all. Training starts from there.
#
# A player, though, does not look at shares but at coins: what came back and what was kept. Figure
# S8 paints the same beaches with returns. Does that take another walk through all triples? The
# whole fund is the same in all triples of one cell, so the mean of the payouts is the mean of the
# shares times that fund. The shares of the three tails are what the head's leaves. Two lines of
# arithmetic do.

# %%
#| export
def beach_returns(
    frame: pd.DataFrame,  # of `beach`, with tail_endowment (coins)
    *,
    growth: float = game.Game.growth,  # factor on the public fund
) -> pd.DataFrame:  # the same with head_return and tail_return (the tails' mean), coins
    "Compute a round's returns from a beach's shares (Koster et al., Figure S8)."
    n_tails = game.Game.n_players - 1
    from_head, from_tails = frame["head_contribution"], frame["tail_contribution_sum"]
    fund = growth * (from_head + from_tails)
    head = game.Game.most_coins - from_head + fund * frame["head_share"]
    kept = n_tails * frame["tail_endowment"] - from_tails
    tails = kept + fund * (1 - frame["head_share"])
    return frame.assign(head_return=head, tail_return=tails / n_tails)


# %% [markdown]
# A libertarian gives everybody 1.6 times what they put in, whatever the others do. A head who gives
# 5 coins ends with 13; three tails of 4 coins who give 6 together end with $(6 + 9.6)/3 = 5.2$
# each. And nobody's coins get lost.

# %%
ended = beach_returns(surface["libertarian"].assign(tail_endowment=4))
row = ended.query("head_contribution == 5 and tail_contribution_sum == 6").iloc[0]
total = ended.head_return + 3 * ended.tail_return
assert np.allclose([row.head_return, row.tail_return], [13, 5.2], atol=1e-4)
gain = 0.6 * (ended.head_contribution + ended.tail_contribution_sum)
assert np.allclose(total, 22 + gain, atol=1e-4)
row.round(2)

# %% [markdown]
# ## Recap
#
# `observation` says what is seen; `MechanismNetwork`, with weights of `_truncated_normal`, and
# `init` are the network; `shares` applies it, as declared or fused; `mechanism` makes it playable;
# `beach` makes it visible, in shares, and `beach_returns` in coins.
#
# Questions to take along: the network has no memory. Can it nevertheless punish someone who gave
# little in the *last* round? And what could a referee do with messages between players that it
# cannot do with each player's own three numbers?
#
# **Exercise 1.** One of the 7,681 numbers has no effect whatever. Which one?
#
# <details><summary>Solution</summary>
#
# The last bias: it adds the same to everybody's score, and a softmax does not see what all have in
# common.

# %%
steepest = {name: abs(slope).max() for name, slope in gradient["node2"].items()}
assert steepest["bias"] < 1e-5 < steepest["kernel"]
shifted = {**params, "node2": {**params["node2"], "bias": params["node2"]["bias"] + 3}}
assert jnp.allclose(shares(shifted, e, c), shares(params, e, c), atol=1e-6)

# %% [markdown]
# </details>
#
# **Exercise 2.** Seat six players, without training anything anew, and show that the shares sum to
# one and that those who had and gave the same get the same.
#
# <details><summary>Solution</summary>

# %%
six = shares(params, jnp.array([10.0, 10, 2, 2, 2, 2]), jnp.array([5.0, 5, 2, 2, 2, 0]))
assert jnp.allclose(six.sum(), 1, atol=1e-6)
alike = partial(jnp.allclose, atol=1e-6)
assert alike(six[0], six[1]) and alike(six[2:5], six[2])
assert abs(six[5] - six[2]) > 1e-3
six.round(3)

# %% [markdown]
# </details>
