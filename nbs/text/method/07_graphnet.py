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
# # Graphnet
#
# > What everybody had and gave goes in; the fraction of the public fund that each receives comes out of two small graph networks.

# %%
#| default_exp graphnet

# %% [markdown]
# *In this notebook*: the network that decides who gets what (Koster et al., Materials and Methods, "Network architecture").
# It uses the game of 00; 09 trains it for votes, 12 trains its sibling that sees less, 13 draws what it has learned. First
# why four people call for a *graph*, then the network as one would explain it, then the same network as one would run it.

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

# %%
#| hide
import time

import matplotlib.pyplot as plt

from democratic_ai import mechanisms

# %% [markdown]
# ## Does it matter where you sit?
#
# Ann has 10 coins and sits first. Bob, Cem and Dee have 2 each. All give everything, and a referee hands Ann three tenths of
# the fund. Now Ann and Dee change chairs. A fair referee hands three tenths to the last chair: the money follows the person.
#
# The plainest network does not. Show it the twelve numbers of the table in a row, let it answer with four, and every chair
# has its own weights. Watch what the swap does:

# %%
chairs = jax.random.normal(jax.random.key(1), (12, 4)) / np.sqrt(12)
by_chair = lambda e, c: jax.nn.softmax(jnp.concatenate([e / 10, c / 10, c / e], -1) @ chairs)
endowment, swap = jnp.array([10.0, 2, 2, 2]), jnp.array([3, 1, 2, 0])
before, after = by_chair(endowment, endowment), by_chair(endowment[swap], endowment[swap])
print("Ann first:", before.round(2), "| Ann last:", after.round(2))
assert abs(before[0] - after[3]) > 0.1, "the plain network pays the chair, not the person"


# %% [markdown]
# By moving to the last chair Ann changed her own income, and nobody had given a coin more or less. One could show the plain
# network every seating (24 of them) and hope. Better to build a network that *cannot* favour a chair, because the same
# weights serve everybody.
#
# ## People are nodes, pairs are edges
#
# Each player is a node that carries three numbers: the endowment and the contribution, both in tens of coins, and their
# ratio. The first two say who could give, the last who was generous. (The paper leaves the scaling open; we take that of the
# virtual players.) HCMD-zero's later network goes without the ratio, hence the argument.

# %%
#| export
def observation(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    *,
    n_features: int = 3,  # 3 for HCRM; 2 leaves out the ratio, as HCMD-zero does
) -> Array:  # [..., P, n_features]
    "Show each player as endowment / 10, contribution / 10 and their ratio (Koster et al., \"Network architecture\")."
    most = game.Game.most_coins
    every = endowment / most, contribution / most, contribution / endowment
    return jnp.stack(jnp.broadcast_arrays(*every)[:n_features], -1)


# %%
nodes = observation(endowment, jnp.array([5.0, 2, 1, 0]))
assert np.allclose(nodes, [[1, 0.5, 0.5], [0.2, 0.2, 1], [0.2, 0.1, 0.5], [0.2, 0, 0]])
nodes

# %% [markdown]
# From every player an arrow leads to every other, twelve in all, none to oneself. What travels along an arrow from a sender
# $s$ to a receiver $r$ is computed from these two alone; what a player becomes, from the *sum* of what arrives; and a global
# vector $u$ sums up the table. A sum does not care about the order of its terms. That is the whole trick.
#
# $$ e_{sr} = \tanh\left(W_e [v_s, v_r]\right), \qquad
#    v'_r = \tanh\Big(W_v \big[\textstyle\sum_s e_{sr},\, v_r\big]\Big), \qquad
#    u = \tanh\Big(W_u \big[\textstyle\sum_{s,r} e_{sr},\, \sum_r v'_r\big]\Big) $$
#
# A second network of the same make reads the results of the first, now knowing the whole table through $u$. Its nodes come
# out as one number each, and a softmax over the players turns four numbers into shares:
#
# $$ e'_{sr} = \tanh\left(W'_e [e_{sr}, v'_s, v'_r, u]\right), \qquad
#    z_r = W'_v \big[\textstyle\sum_s e'_{sr},\, v'_r,\, u\big], \qquad
#    \text{share} = \text{softmax}(z) . $$

# %%
fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.5))
spot = {"Ann": (0, 1), "Bob": (1, 1), "Cem": (1, 0), "Dee": (0, 0)}
for ax, title in zip(axes, ("first network: 3 numbers a node", "second: 32 a node, and u for all")):
    for (a, (x, y)), (b, (x2, y2)) in permutations(spot.items(), 2):
        arrow = dict(arrowstyle="->", color="#e08a00" if b == "Ann" else "#bbbbbb", shrinkA=13, shrinkB=13, connectionstyle="arc3,rad=.1")
        ax.annotate("", (x2, y2), (x, y), arrowprops=arrow)
    for name, (x, y) in spot.items():
        ax.text(x, y, name, ha="center", va="center", bbox=dict(boxstyle="circle", fc="#dfe8f2", ec="#0b3c6f"))
    ax.set(xlim=(-0.3, 1.3), ylim=(-0.35, 1.35), title=title)
    ax.axis("off")
axes[1].text(0.5, 0.5, "u", ha="center", va="center", bbox=dict(boxstyle="round", fc="#f6e3c3", ec="#e08a00"))
fig.tight_layout()


# %% [markdown]
# In orange, what Ann hears: one message from each of the others. The middle box is the only place where all meet.
#
# Flax lets us write the equations down as they stand. Only the start needs care: TensorFlow 1's Sonnet, which the authors
# used, drew weights from a normal distribution with standard deviation $1/\sqrt{\text{inputs}}$, cut off at two of these, and
# set biases to zero. Today's libraries divide by .88 to repair the standard deviation that the cut has cost; Sonnet did not.

# %%
#| export
def truncated_normal(
    key: Array,  # consumed
    shape: tuple[int, int],  # (inputs, outputs)
    dtype: jnp.dtype = jnp.float32,
) -> Array:
    "Draw a layer's weights as Sonnet did under TensorFlow 1: normal, cut at two deviations of 1 / sqrt(inputs)."
    return jax.random.truncated_normal(key, -2, 2, shape, dtype) / np.sqrt(shape[0])


# %%
drawn = truncated_normal(jax.random.key(0), (128, 4000))
assert abs(drawn).max() <= 2 / np.sqrt(128)
assert np.isclose(drawn.std() * np.sqrt(128), 0.88, atol=0.005)
print(f"standard deviation times root of inputs: {drawn.std() * np.sqrt(128):.3f}")


# %%
#| export
class MechanismNetwork(nn.Module):
    "Two graph networks and a softmax over the players (Koster et al., \"Network architecture\")."

    n_features: int = 3  # 3 for HCRM; 2 leaves out the ratio
    width: int = 32  # units of every layer but the last

    @nn.compact
    def __call__(self, endowment: Array, contribution: Array) -> Array:  # [..., P] coins, twice -> [..., P] shares
        layer = lambda name, units=self.width: nn.Dense(units, kernel_init=truncated_normal, name=name)
        join = lambda *parts: jnp.concatenate(parts, -1)
        to_all = lambda u, n: jnp.broadcast_to(u[..., None, :], (*u.shape[:-1], n, u.shape[-1]))

        node = observation(endowment, contribution, n_features=self.n_features)  # [..., P, F]
        n_players = node.shape[-2]
        sender, receiver = np.array(list(permutations(range(n_players), 2))).T  # the twelve arrows
        arrives = np.eye(n_players)[:, receiver]  # [P, arrows], 1 where an arrow ends

        edge = jnp.tanh(layer("edge1")(join(node[..., sender, :], node[..., receiver, :])))
        node = jnp.tanh(layer("node1")(join(arrives @ edge, node)))
        table = jnp.tanh(layer("global1")(join(edge.sum(-2), node.sum(-2))))

        known = to_all(table, len(sender))
        edge = jnp.tanh(layer("edge2")(join(edge, node[..., sender, :], node[..., receiver, :], known)))
        score = layer("node2", 1)(join(arrives @ edge, node, to_all(table, n_players)))
        return nn.softmax(score[..., 0])


# %%
#| export
def init(
    key: Array,  # consumed
    *,
    n_features: int = 3,  # 3 for HCRM; 2 leaves out the ratio
) -> dict:
    "Draw the parameters of an untrained mechanism (Koster et al., \"Network architecture\")."
    anybody = jnp.ones(game.Game.n_players)
    return MechanismNetwork(n_features).init(key, anybody, anybody)["params"]


# %% [markdown]
# How many numbers is that? Count on paper first: 6 to 32 for the arrows, 35 to 32 for the nodes, 64 to 32 for the table;
# then 128 to 32 and 96 to 1; each with biases.

# %%
params = init(jax.random.key(0))
count = sum(x.size for x in jax.tree.leaves(params))
assert count == (6 + 1) * 32 + (35 + 1) * 32 + (64 + 1) * 32 + (128 + 1) * 32 + (96 + 1) == 7681
print(count, "parameters:", {name: layer["kernel"].shape for name, layer in params.items()})

# %% [markdown]
# Smaller than a thumbnail picture, and more than half of it (4,128) sits in the second set of arrows. Now let Ann and Dee
# change chairs again. "Equivariant" means: permuting the players and then asking gives the same as asking and then permuting.

# %%
readable = lambda params, e, c: MechanismNetwork().apply({"params": params}, e, c)
contribution = jnp.array([5.0, 2, 1, 0])
first, last = readable(params, endowment, contribution), readable(params, endowment[swap], contribution[swap])
assert jnp.allclose(first[swap], last, atol=1e-6)
assert jnp.allclose(first.sum(), 1, atol=1e-6) and (first > 0).all()
print("Ann first:", first.round(3), "| Ann last:", last.round(3))

# %% [markdown]
# Bob and Cem have exchanged nothing and receive the same as before; the money follows Ann and Dee. One swap proves little, so
# here are all 24 seatings, for 200 random tables.

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
ax.hist(np.asarray(naive.max((1, 2))), bins=25, color="#b5651d", label="one weight a chair")
ax.axvline(float(error), color="#0b3c6f", lw=2, label=f"graph network ({error:.0e})")
ax.set(xlabel="largest change of a share over 24 seatings", ylabel="tables", ylim=(0, 34))
ax.legend(frameon=False, ncols=2, loc="upper left", fontsize=8)
fig.tight_layout()


# %% [markdown]
# The blue line is rounding error; the brown heap is how much of the fund a clever choice of chair can be worth under the plain
# network. Nothing in the weights counts people either, so three or six players can sit down and the same parameters serve.
#
# ## The same network, run quickly
#
# Training will ask this network ten times in each of 512 games, ten thousand times over, with gradients. As written it copies
# each node's numbers to three senders and three receivers, and $u$ to twelve arrows, only to multiply all the copies with the
# same matrix. But a matrix times a joined vector is a sum of smaller products,
#
# $$ W [v_s, v_r] = W_s v_s + W_r v_r , $$
#
# so four products with each half will do, instead of twelve with both; the arrows only add. The second network's 128 inputs
# fall into four such parts. Players go into Python lists (nothing is rolled or stacked), and arrays stand on their side,
# numbers in rows and games in columns, so that each step is one matrix times a wide block of games.

# %%
#| export
def split_layer(
    layer: dict,  # kernel [inputs, outputs], bias [outputs]
    *widths: int,  # of the parts that the inputs consist of
) -> list[Array]:  # [outputs, width] for each part, then the bias [outputs, 1]
    "Cut a layer into one matrix for each part of its input."
    return [*jnp.split(layer["kernel"].T, np.cumsum(widths)[:-1], 1), layer["bias"][:, None]]


def sum_incoming(
    edge: dict,  # (sender, receiver) -> [width, B]
) -> list[Array]:  # per player, [width, B]
    "Sum what arrives at each player."
    players = sorted({r for _, r in edge})
    return [sum(message for (_, r), message in edge.items() if r == player) for player in players]


# %%
#| export
def first_network(
    params: dict,  # of `MechanismNetwork`
    node: list[Array],  # per player, [F, B]
) -> tuple[dict, list[Array], Array]:  # edges [width, B], nodes [width, B], global [width, B]
    "Let everybody hear of everybody (Koster et al., \"Network architecture\", first graph network)."
    n_features, width = len(node[0]), len(params["edge1"]["bias"])
    by_sender, by_receiver, bias = split_layer(params["edge1"], n_features, n_features)
    send, receive = [by_sender @ v for v in node], [by_receiver @ v + bias for v in node]
    edge = {(s, r): jnp.tanh(send[s] + receive[r]) for s, r in permutations(range(len(node)), 2)}
    heard = sum_incoming(edge)
    by_edges, by_node, bias = split_layer(params["node1"], width, n_features)
    node = [jnp.tanh(by_edges @ h + by_node @ v + bias) for h, v in zip(heard, node)]
    by_edges, by_nodes, bias = split_layer(params["global1"], width, width)
    return edge, node, jnp.tanh(by_edges @ sum(heard) + by_nodes @ sum(node) + bias)


# %%
#| export
def second_network(
    params: dict,  # of `MechanismNetwork`
    edge: dict,  # (sender, receiver) -> [width, B]
    node: list[Array],  # per player, [width, B]
    table: Array,  # [width, B], the global vector
) -> Array:  # [P, B] scores before the softmax
    "Weigh everybody in the light of the whole table (Koster et al., \"Network architecture\", second graph network)."
    width = len(table)
    by_edge, by_sender, by_receiver, by_table, bias = split_layer(params["edge2"], *[width] * 4)
    known = by_table @ table + bias
    send, receive = [by_sender @ v for v in node], [by_receiver @ v + known for v in node]
    heard = sum_incoming({(s, r): jnp.tanh(by_edge @ x + send[s] + receive[r]) for (s, r), x in edge.items()})
    by_edges, by_node, by_table, bias = split_layer(params["node2"], *[width] * 3)
    known = by_table @ table + bias
    return jnp.concatenate([by_edges @ h + by_node @ v + known for h, v in zip(heard, node)])


# %%
#| export
MOST_UNROLLED = 8  # players; at a larger table the compiler would drown in arrows


def shares(
    params: dict,  # of `MechanismNetwork`; the first layer's size says whether it sees the ratio
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
) -> Array:  # [..., P] fraction of the fund
    "Divide the fund as `MechanismNetwork` does, several times faster (Koster et al., \"Network architecture\")."
    n_features = params["edge1"]["kernel"].shape[0] // 2
    if contribution.shape[-1] > MOST_UNROLLED:
        return MechanismNetwork(n_features).apply({"params": params}, endowment, contribution)
    seen = observation(endowment, contribution, n_features=n_features)  # [..., P, F]
    node = list(jnp.moveaxis(seen.reshape(-1, *seen.shape[-2:]), 0, -1))  # P times [F, B]
    score = second_network(params, *first_network(params, node))
    return jax.nn.softmax(score, 0).T.reshape(seen.shape[:-1])


# %%
#| export
def mechanism(
    params: dict,  # of `MechanismNetwork`
) -> game.Mechanism:
    "Turn the network's parameters into a mechanism like any other, to be played, trained or elected."
    return Partial(shares, params)


# %% [markdown]
# Two programs for one formula should agree, in value and in gradient, to the sixth digit or so. Gradients of what? Of a
# random weighting of the shares, so that no direction is left untested.

# %%
weight = jnp.array(rng.normal(size=e.shape))
graded = lambda form: jax.jit(jax.value_and_grad(lambda p: (weight * form(p, e, c)).sum()))
flat = lambda tree: jnp.concatenate([x.ravel() for x in jax.tree.leaves(tree)])
distance = lambda a, b: float(jnp.linalg.norm(flat(a) - flat(b)) / jnp.linalg.norm(flat(b)))
(value, gradient), (value_readable, gradient_readable) = graded(shares)(params), graded(readable)(params)
print(f"relative difference: value {distance(value, value_readable):.1e}, gradient {distance(gradient, gradient_readable):.1e}")
assert distance(shares(params, e, c), readable(params, e, c)) < 1e-5
assert distance(value, value_readable) < 1e-5 and distance(gradient, gradient_readable) < 1e-5
mechanisms.check(mechanism(params), name="untrained")


# %% [markdown]
# And was it worth a second program? Processor time for shares and gradient of 5,120 tables, one update's worth:

# %%
def milliseconds(form, repeats=10):
    many = [jnp.tile(x, (26, 1))[:5120] for x in (e, c, weight)]
    run = jax.jit(jax.grad(lambda p: (many[2] * form(p, *many[:2])).sum()))
    jax.block_until_ready(run(params))
    start = time.process_time()
    for _ in range(repeats):
        jax.block_until_ready(run(params))
    return 1000 * (time.process_time() - start) / repeats


spent = {"readable": milliseconds(readable), "fast": milliseconds(shares)}
print({name: f"{ms:.0f} ms" for name, ms in spent.items()}, f"ratio {spent['readable'] / spent['fast']:.1f}")


# %% [markdown]
# ## What does it do with the money?
#
# A mechanism has four endowments and four contributions as arguments, too many to draw. Figure 3A of the paper fixes the
# endowments at 10 and three times `tail`, and shows the head's share over what the head gave and what the tails gave
# *together*, averaged over all the ways in which three tails can give that sum. The paper calls the picture a beach plot.

# %%
#| export
def beach(
    mechanism: game.Mechanism,
    tail: int,  # endowment of each of the three tails, whole coins
) -> pd.DataFrame:  # head_contribution, tail_contribution_sum (coins), head_share; one row per pair
    "Average the head's share over all triples of tail contributions with the same sum (Koster et al., Figure 3A)."
    most = game.Game.most_coins
    coins = np.indices([most + 1] * game.Game.n_players).reshape(game.Game.n_players, -1).T  # whatever `tail`: one shape, compiled once
    endowment = jnp.broadcast_to(jnp.array([most, tail, tail, tail], float), coins.shape)
    share = np.asarray(mechanism(endowment, jnp.asarray(coins, float))[:, 0])
    frame = pd.DataFrame({"head_contribution": coins[:, 0], "tail_contribution_sum": coins[:, 1:].sum(1), "head_share": share})
    possible = frame[(coins[:, 1:] <= tail).all(1)]
    return possible.groupby(["head_contribution", "tail_contribution_sum"], as_index=False)["head_share"].mean()


# %% [markdown]
# Check it on a mechanism that we can compute by hand. Under the libertarian one the head's share is its fraction of all coins,
# whichever tail gave them: 6 against 3 coins are two thirds.

# %%
surface = {name: beach(m, 4) for name, m in (("libertarian", mechanisms.libertarian), ("untrained", mechanism(params)))}
row = surface["libertarian"].query("head_contribution == 6 and tail_contribution_sum == 3")
assert len(surface["libertarian"]) == 11 * 13 and np.isclose(row.head_share.item(), 2 / 3)
fig, axes = plt.subplots(1, 2, figsize=(6.2, 2.5), sharey=True)
for ax, (name, frame) in zip(axes, surface.items()):
    table = frame.pivot(index="head_contribution", columns="tail_contribution_sum", values="head_share")
    image = ax.imshow(table, origin="lower", cmap="RdYlBu_r", vmin=0, vmax=1, aspect="auto")
    ax.set(xlabel="coins given by the tails", title=name)
axes[0].set_ylabel("coins given by the head")
fig.colorbar(image, ax=axes, label="head's share of the fund")
low, high = surface["untrained"].head_share.agg(["min", "max"])
print(f"untrained: the head's share lies between {low:.2f} and {high:.2f}")


# %% [markdown]
# Left, the familiar fan of a proportional rule. Right, what random weights think: nearly flat, no ideology at all. Training
# starts from there.
#
# A player, though, does not look at shares but at coins: what came back and what was kept. Figure S8 paints the same beaches with
# returns. Does that take another walk through all triples? The whole fund is the same in all triples of one cell, so the mean of the payouts is
# the mean of the shares times that fund, and the shares of the three tails are what the head's leaves. Two lines of arithmetic do.

# %%
#| export
def beach_returns(
    frame: pd.DataFrame,  # tail_endowment, head_contribution, tail_contribution_sum (coins), head_share; as `beach` makes them
    *,
    growth: float = game.Game.growth,  # factor on the public fund
) -> pd.DataFrame:  # the same with head_return and tail_return (mean of the tails), coins a round
    "Turn a beach plot's shares into what head and tails end a round with (Koster et al., Figure S8)."
    n_tails = game.Game.n_players - 1
    fund = growth * (frame["head_contribution"] + frame["tail_contribution_sum"])
    head = game.Game.most_coins - frame["head_contribution"] + fund * frame["head_share"]
    tails = n_tails * frame["tail_endowment"] - frame["tail_contribution_sum"] + fund * (1 - frame["head_share"])
    return frame.assign(head_return=head, tail_return=tails / n_tails)


# %% [markdown]
# A libertarian gives everybody 1.6 times what they put in, whatever the others do: a head who gives 5 coins ends with 13, three tails of 4
# coins who give 6 together end with $(6 + 9.6)/3 = 5.2$ each. And nobody's coins get lost.

# %%
ended = beach_returns(surface["libertarian"].assign(tail_endowment=4))
row = ended.query("head_contribution == 5 and tail_contribution_sum == 6").iloc[0]
total = ended.head_return + 3 * ended.tail_return
assert np.allclose([row.head_return, row.tail_return], [13, 5.2], atol=1e-4)
assert np.allclose(total, 22 + 0.6 * (ended.head_contribution + ended.tail_contribution_sum), atol=1e-4)
row.round(2)

# %% [markdown]
# ## Recap
#
# `observation` says what is seen; `MechanismNetwork` and `init` are the network in its readable form; `shares` is the same
# network in a hurry, made of `split_layer`, `sum_incoming`, `first_network` and `second_network`; `mechanism` makes it playable;
# `beach` makes it visible, in shares, and `beach_returns` in coins.
#
# Questions to take along: the network has no memory. Can it nevertheless punish someone who gave little in the *last* round?
# And what could a referee do with messages between players that it cannot do with each player's own three numbers?
#
# **Exercise 1.** One of the 7,681 numbers has no effect whatever. Which one?
#
# <details><summary>Solution</summary>
#
# The last bias: it adds the same to everybody's score, and a softmax does not see what all have in common.

# %%
assert abs(gradient["node2"]["bias"]).max() < 1e-5 < abs(gradient["node2"]["kernel"]).max()
shifted = {**params, "node2": {**params["node2"], "bias": params["node2"]["bias"] + 3}}
assert jnp.allclose(shares(shifted, e, c), shares(params, e, c), atol=1e-6)

# %% [markdown]
# </details>
#
# **Exercise 2.** Seat six players, without training anything anew, and show that the shares sum to one and that those who had
# and gave the same get the same.
#
# <details><summary>Solution</summary>

# %%
six = shares(params, jnp.array([10.0, 10, 2, 2, 2, 2]), jnp.array([5.0, 5, 2, 2, 2, 0]))
assert jnp.allclose(six.sum(), 1, atol=1e-6)
assert jnp.allclose(six[0], six[1], atol=1e-6) and jnp.allclose(six[2:5], six[2], atol=1e-6) and abs(six[5] - six[2]) > 1e-3
six.round(3)

# %% [markdown]
# </details>
