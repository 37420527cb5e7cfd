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
# # Training
#
# > Virtual players and a rival mechanism go in; a mechanism for which those players vote comes out.

# %%
#| default_exp training

# %% [markdown]
# *In this notebook*: the search for votes (Koster et al., Materials and Methods, "Training algorithm"). It lets the virtual
# players of 04 play under the network of 07 and under a rival, counts expected votes as 05 does, estimates a gradient as 08
# does, and climbs. 23 runs it at full size; 12 lets the network play against itself. First the formula as one would write
# it, then the same number in a sixth of the time, then a small training run.

# %%
#| export
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jax import Array

from democratic_ai import cloning, game, graphnet, mechanisms, scg, voting


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
    slope: float = voting.SLOPE  # of the vote


def endowments(
    config: Training = Training(),
) -> Array:  # [G, P] coins
    "Seat the groups of one update, as many for every tail endowment (Koster et al., \"Training algorithm\")."
    return jnp.repeat(mechanisms.head_and_tails(jnp.array(config.tails)), config.games_per_endowment, 0)


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


# %%
#| export
def by_seat(
    virtual_params: dict,  # of `cloning.VirtualPlayer`
) -> dict:  # matrices [outputs, inputs], biases [outputs, 1]; `known` and `paid` once per seat
    "Turn the players' first layer round for every seat, so that all four can read one and the same table."
    w = cloning.concatenated(virtual_params)
    width, seats = len(w["embed_bias"]), np.arange(len(w["embed"]) // 4)
    embed = w["embed"].reshape(4, len(seats), width)  # endowment, contribution, ratio, payout; the own seat first
    turned = [jnp.zeros_like(embed).at[:, np.r_[seat, np.delete(seats, seat)]].set(embed) for seat in seats]
    looked, remembered = jnp.split(w["gates"], [width])
    return dict(
        known=[t[:3].reshape(-1, width).T for t in turned],
        paid=[t[3].T for t in turned],
        looked=looked.T,
        remembered=remembered.T,
        choice=w["choice"].T,
        **{name: w[name][:, None] for name in ("embed_bias", "gates_bias", "choice_bias")},
    )


def remember(
    weights: dict,  # of `by_seat`
    seen: Array,  # [64, B] before bias and tanh
    memory: tuple[Array, Array],  # hidden state and cell of the LSTM, [16, B] each
) -> tuple[Array, Array]:
    "Let one player of each game take in what was seen (Koster et al., \"Virtual players - modelling\")."
    hidden, cell = memory
    looked = weights["looked"] @ jnp.tanh(seen + weights["embed_bias"])
    i, f, g, o = jnp.split(looked + weights["remembered"] @ hidden + weights["gates_bias"], 4)
    cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def choose(
    logit: Array,  # [11, B] of 0..10 coins
    uniform: Array,  # [B] between 0 and 1
    endowment: Array,  # [B] coins
) -> tuple[Array, Array]:  # coins [B], their log-probability [B]
    "Draw one affordable contribution by where a uniform number falls among the summed probabilities."
    coin = jnp.arange(len(logit))[:, None]
    logit = jnp.where(coin <= endowment, logit, -1e9)
    logit = logit - jax.lax.stop_gradient(logit.max(0))
    weight = jnp.exp(logit)
    passed = (uniform * weight.sum(0) >= jnp.cumsum(weight, 0)) & (coin < endowment)
    drawn = passed.sum(0)
    return drawn.astype(uniform.dtype), jnp.where(coin == drawn, logit, 0).sum(0) - jnp.log(weight.sum(0))


# %%
#| export
def roll_out(
    weights: dict,  # of `by_seat`
    endowment: Array,  # [P, B] coins
    uniform: Array,  # [T, P, B] between 0 and 1, one for each choice
    tap: Array,  # [T, P, B] coins added to the payouts: zeros
    mechanism: game.Mechanism,
) -> tuple[Array, Array, Array]:  # contribution, payout [T, P, B] coins; log-probability of choices from round 2 on [B]
    "Play a block in which nothing but `tap` can be differentiated."
    players = range(len(endowment))

    def one_round(carried, inputs):
        memory, contribution, payout = carried
        known = jnp.concatenate([endowment / 10, contribution / 10, contribution / endowment])
        seen = [k @ known + p @ (payout / 10) for k, p in zip(weights["known"], weights["paid"])]
        memory = [remember(weights, s, m) for s, m in zip(seen, memory)]
        logits = [weights["choice"] @ hidden + weights["choice_bias"] for hidden, _ in memory]
        drawn, log_p = zip(*(choose(logits[i], inputs[0][i], endowment[i]) for i in players))
        contribution = jnp.stack(drawn)
        payout = jax.lax.stop_gradient(game.payout(endowment.T, contribution.T, mechanism).T) + inputs[1]
        return (memory, contribution, payout), (contribution, payout, sum(log_p))

    blank, nothing = jnp.zeros((weights["remembered"].shape[1], endowment.shape[1])), jnp.zeros_like(endowment)
    begin = [(blank, blank) for _ in players], nothing, nothing
    _, (contribution, payout, log_p) = jax.lax.scan(one_round, begin, (uniform, tap))
    return contribution, payout, log_p[1:].sum(0)


# %%
#| export
CHUNK = 128  # games played side by side: their arrays stay in a core's own cache


def draws(
    key: Array,  # consumed
    shape: tuple[int, ...],  # of the endowments
    *,
    n_rounds: int = game.Game.n_rounds,
) -> Array:  # [T, ...] between 0 and 1
    "Draw at once what `game.play` and the virtual players would draw round by round from the same key."
    rounds = jax.random.split(jax.random.split(key)[1], n_rounds)
    return jax.vmap(lambda key: jax.random.uniform(key, shape))(rounds)


def by_chunks(
    play_chunk,  # (endowment [P, B], uniform [T, P, B]) -> arrays [T, P, B]
    key: Array,  # consumed
    endowment: Array,  # [G, P] coins
) -> tuple[Array, ...]:  # [G, T, P] each
    "Run games in chunks with arrays on their side, and set the results upright again."
    uniform = draws(key, endowment.shape)
    n_rounds, n_groups, n_players = uniform.shape
    size = math.gcd(n_groups, CHUNK)
    lying = uniform.reshape(n_rounds, -1, size, n_players).transpose(1, 0, 3, 2)
    seated = endowment.reshape(-1, size, n_players).swapaxes(1, 2)
    played = jax.lax.map(lambda inputs: play_chunk(*inputs), (seated, lying))
    return jax.tree.map(lambda x: x.transpose(0, 3, 1, 2).reshape(n_groups, n_rounds, n_players), played)


# %%
#| export
def play(
    key: Array,  # consumed: the same key gives the same block as `game.play` with virtual players
    virtual_params: dict,
    endowment: Array,  # [G, P] coins
    mechanism: game.Mechanism,
) -> game.Block:
    "Play one block with virtual players, quickly."
    weights = by_seat(virtual_params)
    chunk = lambda endowment, uniform: roll_out(weights, endowment, uniform, jnp.zeros_like(uniform), mechanism)[:2]
    return game.Block(endowment, *by_chunks(chunk, key, endowment))


def play_tapped(
    key: Array,  # consumed as in `play`
    virtual_params: dict,
    endowment: Array,  # [G, P] coins
    mechanism: game.Mechanism,
) -> tuple[game.Block, Array]:  # the block; [G, T, P] per coin
    "Play, and say how the log-probability of a game's choices answers to each of its payouts."
    weights = by_seat(virtual_params)

    def chunk(endowment, uniform):
        def total(tap):
            contribution, payout, log_p = roll_out(weights, endowment, uniform, tap, mechanism)
            return log_p.sum(), (contribution, payout)

        answer, played = jax.grad(total, has_aux=True)(jnp.zeros_like(uniform))
        return *played, answer

    *played, answer = by_chunks(chunk, key, endowment)
    return game.Block(endowment, *played), answer


# %%
#| export
def through_mechanism(
    params: dict,  # of `graphnet.MechanismNetwork`
    block: game.Block,  # [G, ...]
    weight: Array,  # [G, T, P] what a coin more is worth to whom and when
) -> dict:
    "Differentiate the weighted sum of all payouts in the network's parameters, all rounds of a chunk at once."
    size = math.gcd(len(weight), CHUNK)
    chunks = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), (block.endowment, block.contribution, weight))

    def add(total, chunk):
        endowment, contribution, weight = chunk
        worth = lambda p: (weight * game.payout(endowment[:, None], contribution, graphnet.mechanism(p))).sum()
        return jax.tree.map(jnp.add, total, jax.grad(worth)(params)), None

    return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), chunks)[0]


def vote_gradient(
    params: dict,  # of the mechanism in training
    key: Array,  # consumed: one part by each of the two blocks
    virtual_params: dict,
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
) -> tuple[Array, dict]:  # expected votes of a group of four, and an estimate of its gradient
    "Estimate how the mechanism should change to get more votes (Koster et al., \"Training algorithm\")."
    key_own, key_rival = jax.random.split(key)
    own, answer = play_tapped(key_own, virtual_params, endowments(config), graphnet.mechanism(params))
    rival = play(key_rival, virtual_params, own.endowment, opponent)

    def total(payout):
        block = game.Block(own.endowment, own.contribution, payout)
        votes = voting.vote_probability(block, rival, slope=config.slope).sum(-1)
        return votes.sum(), votes

    direct, votes = jax.grad(total, has_aux=True)(own.payout)
    indirect = (votes - votes.mean())[:, None, None] * answer
    return votes.mean(), through_mechanism(params, own, (direct + indirect) / len(votes))


# %%
#| export
def optimiser(
    config: Training = Training(),
) -> optax.GradientTransformation:
    "RMSProp as TensorFlow 1 had it: the average starts at 1 and eps stands inside the root."
    return optax.rmsprop(config.learning_rate, decay=config.decay, eps=config.eps, initial_scale=1.0, eps_in_sqrt=True)


@partial(jax.jit, static_argnames=("opponent", "config"))
def climb(
    virtual_params: dict,
    state: dict,  # params and moments of the mechanism in training, key
    steps: Array,  # [k] numbers of the updates
    *,
    opponent: game.Mechanism,
    config: Training,
) -> tuple[dict, dict]:  # state; vote_share [k]
    "Do some updates; each draws its games from the key and its own number."

    def update(carried, step):
        params, moments = carried
        votes, gradient = vote_gradient(params, jax.random.fold_in(state["key"], step), virtual_params, opponent, config=config)
        change, moments = optimiser(config).update(jax.tree.map(jnp.negative, gradient), moments)
        return (optax.apply_updates(params, change), moments), {"vote_share": votes / game.Game.n_players}

    (params, moments), metrics = jax.lax.scan(update, (state["params"], state["moments"]), steps)
    return state | {"params": params, "moments": moments}, metrics


def train(
    key: Array,  # consumed: one part by the first parameters, one by the games
    virtual_params: dict,
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
    checkpoint: Path | str | None = None,  # folder in which an interrupted training finds itself again
    name: str = "mechanism",  # what the progress report calls it
) -> tuple[dict, pd.DataFrame]:  # parameters of `graphnet.MechanismNetwork`; step, vote_share
    "Train a mechanism for votes against an opponent; raises MechanismError for one that hands out the fund wrongly (Koster et al., \"Training algorithm\")."
    mechanisms.check(opponent, name="opponent", tails=config.tails)
    key_init, key_games = jax.random.split(key)
    params = graphnet.init(key_init)
    state = {"params": params, "moments": optimiser(config).init(params), "key": key_games}
    seated = endowments(config)
    rules = opponent(seated, seated), opponent(seated, jnp.floor(seated / 2))  # two tables tell opponents apart
    chunk = partial(climb, virtual_params, opponent=opponent, config=config)
    settings = config, cloning.fingerprint((virtual_params, rules))
    state, history = cloning.descend(
        chunk, state, updates=config.updates, label=name.replace("/", "-"), checkpoint=checkpoint, settings=settings
    )
    return state["params"], pd.DataFrame({"step": np.arange(1, config.updates + 1), **history})
