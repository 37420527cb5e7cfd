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
# # Training
#
# > Virtual players and a rival mechanism go in; a mechanism for which those players vote comes out.

# %%
#| default_exp training

# %% [markdown]
# *In this notebook*: the search for votes (Koster et al., Materials and Methods, "Training algorithm"). It lets the virtual
# players of 04 play under the network of 07 and under a rival, counts expected votes as 05 does, estimates a gradient as 08
# does, and climbs. 23 runs it at full size; 12 lets the network play against itself. First the formula as one would write
# it, then the same number sooner, then a small training run; last the same search for RM, whose players (06) calculate.

# %%
#| export
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jax import Array
from jax.tree_util import Partial

from democratic_ai import cloning, game, graphnet, mechanisms, rational, voting
from democratic_ai.engine import devices, loop, store

# %%
#| hide
import time

import matplotlib.pyplot as plt

from democratic_ai import participants, scg


# %% [markdown]
# ## Half a coin from Ann to Bob, once more
#
# A mechanism for Ann's and Bob's votes faces the question of the last notebook at full size: 512 groups of four, ten rounds, and in
# each round four draws from a network that remembers everything. Half a coin moved in round 3 makes Bob richer (votes: up) and Ann
# a little less willing in rounds 4 to 10 (fund: down). Training must weigh one against the other, ten thousand times.
#
# In every update two blocks are played per group, one under the mechanism in training and one under its opponent, by
# the same kind of players. Votes are not drawn but *expected*: a group's votes are four probabilities added up, between 0 and 4,
#
# $$ J_b = \sum_{i=1}^4 \sigma\big(1.4\,(\text{rpay}_i^{\text{own}} - \text{rpay}_i^{\text{rival}})\big) . $$
#
# The numbers of the paper, in one place:

# %%
#| export
@jax.tree_util.register_static
@dataclass(frozen=True)
class Training:
    "Sizes and rates of the search for votes (Koster et al., \"Training algorithm\")."

    learning_rate: float = 4e-4  # of RMSProp
    decay: float = 0.99  # of its average of squared gradients
    eps: float = 1e-5  # inside the root
    updates: int = 10_000
    games_per_endowment: int = 64  # pairs of games
    tails: tuple[float, ...] = (2, 3, 4, 5, 6, 7, 8, 10)  # endowments of the three tails, coins
    n_players: int = game.Game.n_players
    slope: float = voting.SLOPE  # of the vote
    clip: float = math.inf  # a longer gradient is shortened to this; the paper shortens none


def endowments(
    config: Training = Training(),
) -> Array:  # [G, P] coins
    "Seat the groups of one update, as many for every tail endowment (Koster et al., \"Training algorithm\")."
    return jnp.repeat(mechanisms.head_and_tails(jnp.array(config.tails), n_players=config.n_players), config.games_per_endowment, 0)


# %%
seated = endowments()
assert seated.shape == (512, 4) and (seated[:, 0] == 10).all()
assert (np.unique(seated[:, 1], return_counts=True)[1] == 64).all() and (seated != 9).all()
seated[::64]


# %% [markdown]
# Tails of 9 are left out, as in the paper: whether the mechanism fills gaps is part of what is tried out later.
#
# ## The formula, as it stands
#
# With the pieces in place the estimator is ten lines. `game.play` lets virtual players choose; their draws are comparisons,
# through which no gradient passes. What does pass: payouts through the vote, and payouts through what the players read
# before their next choice, into `log_probability`. Round 1 is cut off, for the reason given in 08; the opponent's block knows
# nothing of the parameters.

# %%
def readable_gradient(params, key, virtual_params, opponent, *, config=Training()):
    players, seated = cloning.virtual_players(virtual_params), endowments(config)
    key_own, key_rival = jax.random.split(key)

    def objective(params):
        own = game.play(key_own, players, seated, graphnet.mechanism(params))
        rival = game.play(key_rival, players, seated, opponent)
        votes = voting.vote_probability(own, rival, slope=config.slope).sum(-1)
        log_p = cloning.log_probability(virtual_params, own)[..., 1:, :].sum((-2, -1))
        return scg.surrogate(votes, log_p), votes.mean()

    gradient, votes = jax.grad(objective, has_aux=True)(params)
    return votes, gradient


# %% [markdown]
# Who plays? Players cloned, for a quarter of a minute, from a small pilot of stand-in participants. **All that follows is a small run**
# on a small imitation; the real ones are made in 21 and 23.

# %%
plays = participants.pilot(jax.random.key(0), participants.calibrated(), n_blocks=240)
quick = cloning.Cloning(batch=64, updates=800, learning_rate=2e-3)
virtual, _ = cloning.fit(jax.random.key(1), plays, config=quick)
params, small = graphnet.init(jax.random.key(0)), Training(games_per_endowment=16)
opponent = mechanisms.liberal_egalitarian
readable = jax.jit(lambda params, key: readable_gradient(params, key, virtual, opponent, config=small))
votes, gradient = readable(params, jax.random.key(3))
assert 0 < votes < 4 and all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))
print(f"untrained against liberal egalitarian: {votes:.2f} votes of 4 ({votes / 4:.3f})")


# %% [markdown]
# Random weights share almost equally, and lose to liberal egalitarian. That can be mended.
#
# ## The same number, sooner
#
# Look at where the parameters enter: contributions are drawn, drawn contributions are constants, and so the *only* door
# through which the mechanism acts on votes and on players is the payouts $y$. The chain rule can be cut there:
#
# $$ \nabla_\theta S = \sum_{b,t,i} \Big( \underbrace{\frac{\partial J_b}{\partial y}}_{\text{direct}} +
#    (J_b - \bar J)\, \underbrace{\frac{\partial \log p_b}{\partial y}}_{\text{answer of the players}} \Big)_{ti} \, \nabla_\theta\, y_{ti}(\theta) \, / B . $$
#
# Three savings follow. The answer of the players can be had *while* they play: put a zero, the tap, on every payout, and differentiate in
# the tap. (A second pass through recorded contributions, the usual way, is not needed, nor is $\bar J$: each game's answer is
# its own, and the weight can be multiplied in afterwards.) The players' own weights are never differentiated. And as no contribution
# depends on $\theta$ any more, the graph network is differentiated once over all rounds side by side.
#
# The rest is layout, as in 04: arrays lie on their side, players stand in lists and all look at one table.
#
# The block itself: look, choose, be paid. The payout is stopped, the tap is not.

# %%
#| export
def rollout(
    weights: dict,  # of `cloning.seat_weights`
    endowment: Array,  # [P, B] coins
    uniform: Array,  # [T, P, B] between 0 and 1, one for each choice
    tap: Array,  # [T, P, B] coins added to the payouts: zeros
    mechanism: game.Mechanism,
) -> tuple[Array, Array, Array]:  # contribution, payout [T, P, B] coins; log-probability of choices from round 2 on [B]
    "Play a block in which nothing but `tap` can be differentiated."

    def one_round(carried, inputs):
        memory = cloning.observe(weights, endowment, carried[1], carried[2], carried[0])
        logits = [weights["choice"] @ hidden + weights["choice_bias"] for hidden, _ in memory]
        drawn, log_p = zip(*map(cloning.sample_contribution, inputs[0], logits, endowment))
        contribution = jnp.stack(drawn)
        payout = jax.lax.stop_gradient(game.payout(endowment.T, contribution.T, mechanism).T) + inputs[1]
        return (memory, contribution, payout), (contribution, payout, sum(log_p))

    blank, nothing = jnp.zeros((weights["remembered"].shape[1], endowment.shape[1])), jnp.zeros_like(endowment)
    begin = [(blank, blank)] * len(endowment), nothing, nothing
    _, (contribution, payout, log_p) = jax.lax.scan(one_round, begin, (uniform, tap))
    return contribution, payout, log_p[1:].sum(0)


# %% [markdown]
# Two details before it can be used. Arrays of 512 games at once crowd each other out of a core's own cache, so games are played 128 at a time. And the same key should
# give the very block that `game.play` gives, or the two programs could not be compared: draw the same numbers, all at once.

# %%
#| export
GAMES, ROUNDS = 128, 640  # of four: played side by side on each device; put to the network side by side


def rows_at_once(
    most: int,  # rows of four players side by side on each device
    n_players: int,
) -> int:  # over all devices; fewer at larger tables, as arrows between players multiply
    "Say how many rows of a table are computed side by side."
    return max(1, min(most, most * 12 // (n_players * (n_players - 1)))) * jax.device_count()


# %%
#| export
def uniform_draws(
    key: Array,  # consumed
    shape: tuple[int, ...],  # of the endowments
    *,
    n_rounds: int = game.Game.n_rounds,
) -> Array:  # [T, ...] between 0 and 1
    "Draw at once what `game.play` and the virtual players would draw round by round from the same key."
    rounds = jax.random.split(jax.random.split(key)[1], n_rounds)
    return jax.vmap(lambda key: jax.random.uniform(key, shape))(rounds)


def play_in_chunks(
    play_chunk,  # (endowment [P, B], uniform [T, P, B]) -> arrays [T, P, B]
    key: Array,  # consumed
    endowment: Array,  # [G, P] coins
) -> tuple[Array, ...]:  # [G, T, P] each
    "Run games in chunks with arrays on their side, and set the results upright again."
    uniform = uniform_draws(key, endowment.shape)
    n_rounds, n_groups, n_players = uniform.shape
    seated, lying = (jnp.moveaxis(devices.chunk(x, rows_at_once(GAMES, n_players)), 1, -1) for x in (endowment, uniform.swapaxes(0, 1)))
    played = jax.lax.map(lambda inputs: play_chunk(*(devices.shard(x, -1) for x in inputs)), (seated, lying))
    return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 1).reshape(-1, n_rounds, n_players)[:n_groups], played)


# %%
#| export
def play_block(
    key: Array,  # consumed: the same key gives the same block as `game.play` with virtual players
    virtual_params: dict,
    endowment: Array,  # [G, P] coins
    mechanism: game.Mechanism,
) -> game.Block:
    "Play one block with virtual players, quickly."
    weights = cloning.seat_weights(virtual_params)
    chunk = lambda endowment, uniform: rollout(weights, endowment, uniform, jnp.zeros_like(uniform), mechanism)[:2]
    return game.Block(endowment, *play_in_chunks(chunk, key, endowment))


# %%
#| export
def play_with_response(
    key: Array,  # consumed as in `play_block`
    virtual_params: dict,
    endowment: Array,  # [G, P] coins
    mechanism: game.Mechanism,
) -> tuple[game.Block, Array]:  # the block; [G, T, P] per coin
    "Play, and say how the log-probability of a game's choices answers to each of its payouts."
    weights = cloning.seat_weights(virtual_params)

    def chunk(endowment, uniform):
        def total(tap):
            contribution, payout, log_p = rollout(weights, endowment, uniform, tap, mechanism)
            return log_p.sum(), (contribution, payout)

        answer, played = jax.grad(total, has_aux=True)(jnp.zeros_like(uniform))
        return *played, answer

    *played, answer = play_in_chunks(chunk, key, endowment)
    return game.Block(endowment, *played), answer


# %%
key = jax.random.key(4)
block = jax.jit(lambda key: play_block(key, virtual, endowments(small), opponent))(key)
usual = jax.jit(lambda key: game.play(key, cloning.virtual_players(virtual), endowments(small), opponent))(key)
same = float((block.contribution == usual.contribution).mean())
assert same > 0.999, "the same draws, up to a rounding at the edge of a step"
print(f"{same:.2%} of {block.contribution.size} contributions are the same coin for coin")


# %% [markdown]
# Now both halves meet at the payouts and go through the network together.

# %%
#| export
def payout_vjp(
    params: dict,  # of `graphnet.MechanismNetwork`
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    weight: Array,  # [..., P] what a coin more is worth to whom and when
) -> dict:
    "Differentiate the weighted sum of all payouts in the network's parameters, many rounds at once."
    rounds = [x.reshape(-1, x.shape[-1]) for x in jnp.broadcast_arrays(endowment, contribution, weight)]
    modes = ("edge", "edge", "constant")  # what fills up weighs nothing
    chunks = [devices.chunk(x, rows_at_once(ROUNDS, x.shape[-1]), mode=mode) for x, mode in zip(rounds, modes)]

    def add(total, chunk):
        endowment, contribution, weight = (devices.shard(x, 0) for x in chunk)
        worth = lambda p: (weight * game.payout(endowment, contribution, graphnet.mechanism(p))).sum()
        return jax.tree.map(jnp.add, total, jax.grad(worth)(params)), None

    return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), chunks)[0]


# %%
#| export
def payout_gradient(
    own: game.Block,  # [G, ...] under the mechanism in training
    answer: Array,  # [G, T, P] of `play_with_response`
    rival: game.Block,  # of the same groups under the other mechanism
    count: Callable[[game.Block, game.Block], Array],  # (own block, rival's) -> [G] expected votes, by any model of the vote
) -> tuple[Array, Array]:  # expected votes of a group; [G, T, P] what a coin more is worth to whom and when
    "Add what a coin does to the votes and what it does to later choices (Koster et al., \"Training algorithm\")."

    def total(payout):
        votes = count(game.Block(own.endowment, own.contribution, payout), rival)
        return votes.sum(), votes

    direct, votes = jax.grad(total, has_aux=True)(own.payout)
    indirect = (votes - votes.mean())[:, None, None] * answer
    return votes.mean(), (direct + indirect) / len(votes)


# %% [markdown]
# HCRM's votes are counted by the model of 05, in the seats of `endowments`; 12 will bring another model and other seats.

# %%
#| export
def vote_gradient(
    params: dict,  # of the mechanism in training
    key: Array,  # consumed: one part by each of the two blocks
    players: dict,  # parameters of `cloning.VirtualPlayer`
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
) -> tuple[Array, dict]:  # expected votes of a group of four, and an estimate of its gradient
    "Estimate how HCRM should change to get more votes (Koster et al., \"Training algorithm\")."
    key_own, key_rival = jax.random.split(key)
    seated = endowments(config)
    own, answer = play_with_response(key_own, players, seated, graphnet.mechanism(params))
    rival = play_block(key_rival, players, seated, opponent)
    count = lambda own, rival: voting.vote_probability(own, rival, slope=config.slope).sum(-1)
    votes, weight = payout_gradient(own, answer, rival, count)
    return votes, payout_vjp(params, seated[:, None], own.contribution, weight)


# %%
fast = jax.jit(lambda params, key: vote_gradient(params, key, virtual, opponent, config=small))
flat = lambda tree: jnp.concatenate([x.ravel() for x in jax.tree.leaves(tree)])
distance = lambda a, b: float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
votes_fast, gradient_fast = fast(params, jax.random.key(3))
apart = distance(votes_fast, votes), distance(flat(gradient_fast), flat(gradient))
print(f"relative difference: votes {apart[0]:.1e}, gradient {apart[1]:.1e}")
assert max(apart) < 1e-5


def milliseconds(run):
    spent = []
    for i in range(5):
        start = time.process_time()
        jax.block_until_ready(run(params, jax.random.key(i)))
        spent.append(1000 * (time.process_time() - start))
    return min(spent)


spent = milliseconds(readable), milliseconds(fast)
print(f"processor time an update, 128 pairs: readable {spent[0]:.0f} ms, fast {spent[1]:.0f} ms, ratio {spent[0] / spent[1]:.1f}")

# %% [markdown]
# With so few games, on a busy machine with threads that wait for each other, the two hardly differ; `make bench` asks both at the paper's size, on one core. The readable form is not slow, because
# it already stands on the quick pieces of 04 and 07; what is saved here is one pass through the players and nine small passes through the network in ten.
#
# ## Climbing as TensorFlow 1 did
#
# RMSProp divides each gradient by the root of a running mean of its square. Two conventions have changed since. TensorFlow 1 started
# that mean at one, today's libraries start it at zero; and it put epsilon inside the root, PyTorch outside. Does it matter? Take
# one step from a gradient of 0.001:

# %%
modern = optax.rmsprop(4e-4, decay=0.99, eps=1e-5, eps_in_sqrt=False)
tiny = jnp.array(0.001)
step_modern = float(modern.update(tiny, modern.init(tiny))[0])
by_hand = -4e-4 * 0.001 / np.sqrt(0.99 * 1 + 0.01 * 0.001**2 + 1e-5)
print(f"modern {step_modern:.1e}, by TensorFlow 1's formula {by_hand:.1e}: {step_modern / by_hand:.0f} times as far")
assert step_modern / by_hand > 1000


# %% [markdown]
# The modern default leaps by nearly ten learning rates in *every* direction, certain or not, because 0.01 of one square is all it
# knows. TensorFlow's crept off and took some five hundred updates to gather speed ($0.99^{500} = 0.007$). We want the latter.

# %%
#| export
@cache
def optimiser(
    config: Training = Training(),
) -> optax.GradientTransformation:
    "RMSProp as TensorFlow 1 had it: the average starts at 1 and eps stands inside the root."
    rmsprop = optax.rmsprop(config.learning_rate, decay=config.decay, eps=config.eps, initial_scale=1.0, eps_in_sqrt=True)
    return optax.chain(optax.clip_by_global_norm(config.clip), rmsprop)


# %%
step = optimiser().update(tiny, optimiser().init(tiny))[0]
assert np.isclose(step, by_hand, rtol=1e-6)


# %% [markdown]
# The training proper: many updates in one compiled call, in a loop that can be stopped (`loop`). Which players play and how their games
# turn into a gradient is handed in as an *estimate*, so that whoever brings other players (the end of this notebook does) brings nothing
# else. An opponent that does not hand out the fund properly is turned away before anything starts.

# %%
#| export
def descent(
    params: dict,  # of `graphnet.MechanismNetwork`
    key: Array,  # consumed whole by the estimate
    *,
    estimate: Callable[..., tuple[Array, dict]],  # (params, key) -> expected votes of a group, gradient
    config: Training,
) -> tuple[dict, dict]:  # gradient_norm and vote_share, gradient to descend
    "Turn an estimate of how to get more votes into one step of a training that descends."
    votes, gradient = estimate(params, key)
    metrics = {"gradient_norm": optax.tree.norm(gradient), "vote_share": votes / config.n_players}
    return metrics, jax.tree.map(jnp.negative, gradient)


# %%
#| export
def fit_mechanism(
    key: Array,  # consumed: one part by the first parameters, one by the games
    players: Any,  # pytree: whatever `estimate` takes
    opponent: game.Mechanism,
    *,
    estimate: Callable[..., tuple[Array, dict]],  # such as `vote_gradient`
    config: Training,
    checkpoint: Path | str | None,  # folder in which an interrupted training finds itself again
    name: str,  # what the progress report calls it
) -> tuple[dict, pd.DataFrame]:  # parameters of `graphnet.MechanismNetwork`; step, gradient_norm, vote_share
    "Train a mechanism for the votes of some kind of players (Koster et al., \"Training algorithm\"); raises MechanismError."
    mechanisms.check(opponent, name="opponent", tails=config.tails)
    key_init, key_games = jax.random.split(key)
    seated = endowments(config)
    rules = opponent(seated, seated), opponent(seated, jnp.floor(seated / 2))  # two tables tell opponents apart
    votes = Partial(estimate, players=players, opponent=devices.as_pytree(opponent), config=config)
    params, history = loop.fit(
        Partial(descent, estimate=votes, config=config),
        graphnet.init(key_init),
        key=key_games,
        optimiser=optimiser(config),
        updates=config.updates,
        label=name.replace("/", "-"),
        checkpoint=checkpoint,
        settings=store.hash_pytree(rules),
    )
    return params, pd.DataFrame({"step": np.arange(1, config.updates + 1), **history})


# %%
#| export
def fit(
    key: Array,  # consumed: one part by the first parameters, one by the games
    virtual_params: dict,
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
    checkpoint: Path | str | None = None,  # folder in which an interrupted training finds itself again
    name: str = "mechanism",  # what the progress report calls it
) -> tuple[dict, pd.DataFrame]:  # parameters of `graphnet.MechanismNetwork`; step, gradient_norm, vote_share
    "Train HCRM against an opponent; raises MechanismError for one that hands out the fund wrongly (Koster et al., \"Training algorithm\")."
    return fit_mechanism(key, virtual_params, opponent, estimate=vote_gradient, config=config, checkpoint=checkpoint, name=name)


# %%
leaky = lambda endowment, contribution: 0.9 * mechanisms.libertarian(endowment, contribution)
try:
    fit(jax.random.key(0), virtual, leaky, config=small)
    turned_away = False
except mechanisms.MechanismError as problem:
    turned_away = True
    print(problem)
assert turned_away

# %% [markdown]
# ## A small run
#
# 500 updates with 128 pairs of games, at five times the paper's learning rate to make up for the short time, against liberal
# egalitarian.

# %%
short = Training(updates=500, games_per_endowment=16, learning_rate=2e-3)
learned, history = fit(jax.random.key(2), virtual, opponent, config=short, name="small run")
first, last = history.vote_share[:50].mean(), history.vote_share[-50:].mean()
smooth = history.vote_share.rolling(25, center=True).mean()
fig, ax = plt.subplots(figsize=(4.6, 2.5))
ax.plot(history.step, history.vote_share, color="#bbbbbb", lw=0.5)
ax.plot(history.step, smooth, color="#0b3c6f")
ax.axhline(0.5, color="black", lw=0.5, ls="--")
ax.set(xlabel="updates", ylabel="expected share of the votes\nagainst liberal egalitarian")
fig.tight_layout()
print(f"first 50 updates {first:.3f}, last 50 updates {last:.3f}")
assert last > first + 0.02

# %% [markdown]
# In grey each update's own games, in blue a running mean of 25. From clearly losing to about level; how far beyond one half it
# gets is a question for the full run. What has it found?

# %%
fig, axes = plt.subplots(1, 3, figsize=(7, 2.4), sharey=True)
shown = {"before": graphnet.mechanism(params), "after": graphnet.mechanism(learned), "liberal egalitarian": opponent}
for ax, (name, mechanism) in zip(axes, shown.items()):
    surface = graphnet.beach(mechanism, 4).pivot(index="head_contribution", columns="tail_contribution_sum", values="head_share")
    image = ax.imshow(surface, origin="lower", cmap="RdYlBu_r", vmin=0, vmax=1, aspect="auto")
    ax.set(title=name, xlabel="coins of the tails")
axes[0].set_ylabel("coins of the head")
fig.colorbar(image, ax=axes, label="head's share of the fund")
head = graphnet.beach(graphnet.mechanism(learned), 4).query("tail_contribution_sum == 12").head_share.to_numpy()
print("head's share when tails of 4 give all, by the head's contribution 0 to 10:", head.round(2))
assert head[:4].max() < 0.1, "next to nothing for a head that gives little"


# %% [markdown]
# Nobody told the network of fairness; it counted votes, and when the tails give all it found that three of them outvote one head,
# who gets next to nothing whatever it gives. Why does the head not leave, and ruin it for everybody? Real heads did. These virtual
# players have seen 240 blocks, none under a mechanism like this one, so they do not know. That is what the repeat is for: play the
# mechanism, clone again, train again. Take the picture as a sign of life, from a twentieth of the real run, and not as a result.

# %% [markdown]
# ## Without human data
#
# The paper's rival from the same workshop is RM, the rational mechanism: the same network, optimiser, batches and votes, but in place
# of imitations the calculating players of 06. What changes in the estimator? Something goes away. A rational player's coins are a
# smooth function of its generosity, and generosity a smooth function of what the mechanism did the round before. Nothing is drawn after
# everybody has sat down, and who sits down does not depend on the mechanism. So there is no draw to make more or less probable, no score term, no
# baseline: the pathwise half is all. It leads through the players' own learning, round by round, and as each step of theirs is a derivative
# of the mechanism, the gradient holds *second* derivatives of it: how should shares change, so that heads' incentives change, so that
# they give more, so that tails are paid more?
#
# As one would write it:

# %%
def readable_rational(params, key, population, opponent, *, config=Training()):
    players, seated = rational.players(population), endowments(config)
    key_own, key_rival = jax.random.split(key)
    rival = game.play(key_rival, players, seated, opponent)

    def votes(params):
        own = game.play(key_own, players, seated, graphnet.mechanism(params))
        return voting.vote_probability(own, rival, slope=config.slope).sum(-1).mean()

    return jax.value_and_grad(votes)(params)


everyday = rational.Population()
readable = jax.jit(lambda params, key: readable_rational(params, key, everyday, opponent, config=small))
votes, gradient = readable(params, jax.random.key(3))
print(f"untrained against liberal egalitarian, rational players: {votes:.2f} votes of 4")


# %% [markdown]
# ### Meeting in the middle
#
# Ten lines, and slow: in each round `own_slope` pushes each of four players through the whole network, and all of it is differentiated again.
# What is needed is little. Of each player $i$ one number, $\partial\,\text{share}_i / \partial c_i$. With scores $z$ before the softmax,
#
# $$ \frac{\partial\,\text{share}_i}{\partial c_i} = \text{share}_i \Big( \frac{\partial z_i}{\partial c_i} - \sum_r \text{share}_r \frac{\partial z_r}{\partial c_i} \Big) . $$
#
# Going *backwards* from the scores, all four players ask the second network the same questions: what does score $r$ gain from an arrow, from a node,
# from the table? They are answered once, and every player takes its own share-weighted difference. Only below, in the first network, do
# they part, and there one player's coins move few things: its node and its six arrows of twelve.
#
# The second network, with its arrows kept:

# %%
#| export
def second_network_with_edges(
    params: dict,  # of `graphnet.MechanismNetwork`
    edge: dict,  # (sender, receiver) -> [width, B]
    node: list[Array],  # per player, [width, B]
    table: Array,  # [width, B]
) -> tuple[dict, Array]:  # second edges (sender, receiver) -> [width, B]; scores [P, B]
    "Weigh everybody as `graphnet.second_network` does, and keep what was said on the way."
    width = len(table)
    by_edge, by_sender, by_receiver, by_table, bias = graphnet.split_layer(params["edge2"], *[width] * 4)
    known, both = by_table @ table + bias, jnp.concatenate([by_sender, by_receiver])
    told = [both @ v for v in node]
    said = {(s, r): jnp.tanh(by_edge @ x + told[s][:width] + told[r][width:] + known) for (s, r), x in edge.items()}
    by_said, by_node, by_table, bias = graphnet.split_layer(params["node2"], *[width] * 3)
    known = by_table @ table + bias
    return said, jnp.concatenate([by_said @ h + by_node @ v + known for h, v in zip(graphnet.sum_incoming(said), node)])


# %%
#| export
def score_gradients(
    params: dict,  # of `graphnet.MechanismNetwork`
    said: dict,  # second edges of `second_network_with_edges`
) -> tuple[dict, dict, list[Array]]:  # by edge (s, r), by node (j, r), by table r; [width, B] each, for the score of r
    "Differentiate every player's score in what the first network says; each question is answered once for all."
    width = len(params["edge1"]["bias"])
    by_edge, by_sender, by_receiver, by_table, _ = graphnet.split_layer(params["edge2"], *[width] * 4)
    by_said, by_node, direct, _ = graphnet.split_layer(params["node2"], *[width] * 3)
    give = {arrow: 1 - x**2 for arrow, x in said.items()}  # of the tanh
    back = jnp.concatenate([by_edge.T, by_sender.T]) * by_said
    sent = {arrow: back @ x for arrow, x in give.items()}
    back = jnp.concatenate([by_receiver.T, by_table.T]) * by_said
    received = [back @ x for x in graphnet.sum_incoming(give)]
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
) -> tuple[Array, Array]:  # shares [P, B]; what one's own coin adds to one's own share [P, B]
    "Share as `graphnet.shares` does, and differentiate each share in its owner's contribution."
    seats, n_features = range(len(endowment)), len(params["edge1"]["kernel"]) // 2
    seen = lambda coins: [graphnet.observation(e, c, n_features=n_features).T for e, c in zip([*endowment], coins)]
    heard, pull = jax.vjp(lambda coins: graphnet.first_network(params, seen(coins)), [*contribution])
    said, score = second_network_with_edges(params, *heard)
    share = [*jax.nn.softmax(score, 0)]  # players in lists, here too: slices of an array cost more on the way back
    by_edge, by_node, by_table = score_gradients(params, said)
    mean_node = [sum(share[r] * by_node[j, r] for r in seats) for j in seats]
    mean_table = sum(share[r] * by_table[r] for r in seats)

    def slope(i):
        edge = {(s, r): ((r == i) - share[r]) * x for (s, r), x in by_edge.items()}
        (moved,) = pull((edge, [by_node[j, i] - mean_node[j] for j in seats], by_table[i] - mean_table))
        return share[i] * moved[i]

    return jnp.stack(share), jnp.stack([slope(i) for i in seats])


# %% [markdown]
# Right? Push each player's coins in the readable network and compare.

# %%
e, c = endowments(small).T, endowments(small).T * jax.random.uniform(jax.random.key(8), (4, 128))
share, slope = jax.jit(share_and_gradient)(learned, e, c)
pushed = jax.jacfwd(lambda coins: graphnet.MechanismNetwork().apply({"params": learned}, e[:, 0], coins))(c[:, 0])
assert np.allclose(share, graphnet.shares(learned, e.T, c.T).T, atol=1e-6)
assert np.allclose(slope[:, 0], np.diag(pushed), atol=1e-5)
print("own share per coin:", slope[:, 0].round(4), "| readable:", np.diag(pushed).round(4))


# %% [markdown]
# The block is a loop over rounds again. On the way back every round is computed a second time (`jax.checkpoint`) and not stored: that is cheaper than fetching it
# from memory outside the core's cache. On the opponent's side there is nothing to differentiate and `game.play` will do.

# %%
#| export
def rational_votes(
    params: dict,  # of `graphnet.MechanismNetwork`
    endowment: Array,  # [P, B] coins
    mind: rational.AgentState,  # [P, B] at the start
    rival: Array,  # [P, B] relative payout sums under the opponent
    *,
    slope: float,  # of the vote
) -> Array:  # expected votes of a group of four
    "Play a block with rational players and count votes; differentiable in the parameters, through the players' learning."

    def one_round(carried, _):
        generosity, received = carried
        contribution = rational.act(endowment, generosity)
        fund = game.Game.growth * contribution.sum(0)
        share, own = share_and_gradient(params, endowment, contribution)
        gain = game.Game.growth * share + fund * own - 1  # return per coin
        climb = contribution * (1 - contribution / endowment)  # coins per logit
        return (generosity + mind.rate * climb * gain, received + fund * share), None

    begin = mind.generosity, jnp.zeros_like(endowment)
    (_, received), _ = jax.lax.scan(jax.checkpoint(one_round), begin, length=game.Game.n_rounds)
    return voting.vote_from_sums(received / endowment / voting.UNIT, rival, slope=slope).sum(0).mean()


# %%
#| export
def rational_gradient(
    params: dict,  # of the mechanism in training
    key: Array,  # consumed: one part by each of the two blocks
    players: rational.Population,
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
) -> tuple[Array, dict]:  # expected votes of a group of four, and its gradient
    "Differentiate rational players' votes through their learning (Koster et al., \"Rational players without human data\")."
    key_own, key_rival = jax.random.split(key)
    seated = endowments(config)
    mind = rational.init(jax.random.split(key_own)[0], seated, players)  # as `game.play` would
    rival = voting.relative_payout_sum(game.play(key_rival, rational.players(players), seated, opponent))
    lying = jax.tree.map(lambda x: devices.shard(x.T, -1), (seated, mind, rival))
    return jax.value_and_grad(partial(rational_votes, slope=config.slope))(params, *lying)


# %%
fast = jax.jit(lambda params, key: rational_gradient(params, key, everyday, opponent, config=small))
votes_fast, gradient_fast = fast(params, jax.random.key(3))
apart = distance(votes_fast, votes), distance(flat(gradient_fast), flat(gradient))
print(f"relative difference: votes {apart[0]:.1e}, gradient {apart[1]:.1e}")
assert max(apart) < 1e-5
spent = milliseconds(readable), milliseconds(fast)
print(f"processor time an update, 128 pairs: readable {spent[0]:.0f} ms, fast {spent[1]:.0f} ms, ratio {spent[0] / spent[1]:.1f}")


# %% [markdown]
# The same number to seven digits, in a fraction of the time. It is still more than an update of HCRM costs: a second derivative is a second derivative. No draw of coins blurs
# it, but that does not make it tame: ten rounds of learning multiply, and now and then a batch has an enormous gradient. RMSProp takes
# such a one into its average and does not forget it for hundreds of updates. Trained to the letter, one seed lost near the end most of the votes that it had won (its curve is in the history of 27, up to the commit that publishes the shortened ones). So RM, and only RM, is trained with a `clip`: a
# gradient longer than that is shortened to it, and every training records how long its gradients were. The paper mentions nothing of the kind; perhaps its luck was better than ours, perhaps it is one of those things that nobody writes down.

# %%
#| export
def fit_rational(
    key: Array,  # consumed: one part by the first parameters, one by the games
    population: rational.Population,
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
    checkpoint: Path | str | None = None,  # folder in which an interrupted training finds itself again
    name: str = "rational mechanism",  # what the progress report calls it
) -> tuple[dict, pd.DataFrame]:  # parameters of `graphnet.MechanismNetwork`; step, gradient_norm, vote_share
    "Train RM with rational players against an opponent; raises MechanismError (Koster et al., \"Rational players without human data\")."
    return fit_mechanism(key, population, opponent, estimate=rational_gradient, config=config, checkpoint=checkpoint, name=name)


# %% [markdown]
# ## Recap
#
# `Training` holds the sizes; `endowments` seats the groups; `play_block` and `play_with_response` (made of `rollout`,
# `uniform_draws`, `play_in_chunks`, `chunk`) are quick blocks; `payout_gradient`, `payout_vjp` and `vote_gradient` make the estimate; `optimiser`, `train_steps`, `fit_mechanism` and `fit` go uphill. `fit_rational` does so with
# calculating players, by `rational_gradient`, made of `rational_votes` and `share_and_gradient` (of `second_network_with_edges`, `score_gradients`).
#
# Questions to take along: three tails outvote one head. What keeps the mechanism from paying the head nothing at all, ever? And what
# would happen if the virtual players had never met a mechanism that did?
#
# **Exercise.** How much of the gradient is the players' answer? Compare the whole with the pathwise half, averaged over ten keys.
#
# <details><summary>Solution</summary>

# %%
@jax.jit
def two_gradients(params, key):
    own, answer = play_with_response(key, virtual, endowments(small), graphnet.mechanism(params))
    rival = play_block(jax.random.fold_in(key, 1), virtual, own.endowment, opponent)
    block = lambda payout: game.Block(own.endowment, own.contribution, payout)
    total = lambda payout: voting.vote_probability(block(payout), rival).sum()
    votes = voting.vote_probability(own, rival).sum(-1)
    indirect = (votes - votes.mean())[:, None, None] * answer
    return [flat(payout_vjp(params, own.endowment[:, None], own.contribution, weight)) / len(votes) for weight in (jax.grad(total)(own.payout), indirect)]


direct, indirect = (sum(g) / 10 for g in zip(*(two_gradients(learned, jax.random.key(i)) for i in range(10))))
cosine = float(direct @ indirect / jnp.linalg.norm(direct) / jnp.linalg.norm(indirect))
print(f"length: pathwise {jnp.linalg.norm(direct):.3f}, players' answer {jnp.linalg.norm(indirect):.3f}; cosine between them {cosine:.2f}")
assert jnp.linalg.norm(indirect) > 0.1 * jnp.linalg.norm(direct), "not a small correction"
assert cosine < -0.3, "and it pulls back"

# %% [markdown]
# The two point in nearly opposite directions: what pure arithmetic would still take from the head, the head would answer by giving less. It
# must come so. At a summit both halves cancel; while the first is longer, as here, there is still something to climb.

# %% [markdown]
# </details>
