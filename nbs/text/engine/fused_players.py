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
# # Virtual players, fused
#
# > A player's parameters and what it saw go in; logits, gradients and whole blocks of play come out, several times sooner than by the readable form.

# %%
#| default_exp engine.fused_players

# %% [markdown]
# *In this notebook*: the fast form of the network that `cloning` declares in flax, and of the
# blocks that `training` plays with it. It uses `devices` and nothing of the method; a test holds
# each function and its readable form together, value and gradient, to one part in 100,000.
#
# Thirty thousand updates of 512 blocks are six hundred million forecasts, forward and back. Four
# observations make them cheap on one core:
#
# 1. A person's ten contributions are known in advance (*teacher forcing*), so nothing but the
#    LSTM's state is sequential.
# 2. Arrays are feature-major: players lie along the long axis, and the ten rounds are written out
#    instead of looped over.
# 3. $\sigma(z) = \frac12 + \frac12\tanh\frac z2$: with three of the four gates halved beforehand,
#    one tanh serves all.
# 4. The first layer and the choices do not depend on the state, so each is one matrix product for
#    all ten rounds. So are the gradients of the weights: they wait until every round has been seen.

# %%
#| export
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from democratic_ai.engine import devices

# %%
#| hide
from functools import partial

import flax.linen as nn

np.set_printoptions(precision=4)  # the last digits of single precision are noise

# %% [markdown]
# ## The weights, rearranged
#
# flax keeps the LSTM's eight matrices apart. The fused form joins them, transposes everything, and
# halves the three sigmoid gates.

# %%
#| export
def concatenate_weights(
    params: dict,  # of `cloning.VirtualPlayer`
) -> dict:  # embed [16, 64], gates [64 + 16, 4 * 16], choice [16, 11]; a bias of each
    """Join the LSTM's eight matrices and four biases into one of each.

    The gates are in the order input, forget, cell, output.
    """
    p = params["params"]
    of_gates = lambda side, name: [p["lstm"][side + gate][name] for gate in "ifgo"]
    join = lambda side: jnp.concatenate(of_gates(side, "kernel"), 1)
    return {
        "embed": p["embed"]["kernel"],
        "embed_bias": p["embed"]["bias"],
        "gates": jnp.concatenate([join("i"), join("h")]),
        "gates_bias": jnp.concatenate(of_gates("h", "bias")),
        "choice": p["choice"]["kernel"],
        "choice_bias": p["choice"]["bias"],
    }


def feature_major(
    params: dict,  # of `cloning.VirtualPlayer`
) -> dict:  # matrices [out, in], biases [out, 1], the three sigmoid gates halved
    "Transpose the weights: players along the last axis, one tanh for all gates."
    w = concatenate_weights(params)
    halved = np.repeat(np.float32([0.5, 0.5, 1, 0.5]), w["choice"].shape[0])
    w = w | {"gates": w["gates"] * halved, "gates_bias": w["gates_bias"] * halved}
    return {name: x[:, None] if x.ndim == 1 else x.T for name, x in w.items()}


# %% [markdown]
# A network to show it on: 16 inputs, 64 units, an LSTM of 16, eleven choices.

# %%
class Network(nn.Module):
    "What `cloning.VirtualPlayer` declares."

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(64, name="embed")(x))
        hidden = nn.RNN(nn.OptimizedLSTMCell(16, name="lstm"))(x)
        return nn.Dense(11, name="choice")(hidden)


features = jax.random.normal(jax.random.key(1), (6, 10, 16))  # six players, ten rounds
params = jax.tree.map(lambda x: 1.5 * x, Network().init(jax.random.key(0), features))
joined = concatenate_weights(params)
sizes = {name: joined[name].shape for name in ("embed", "gates", "choice")}
assert sizes == {"embed": (16, 64), "gates": (80, 64), "choice": (16, 11)}
assert all(joined[f"{name}_bias"].shape == size[1:] for name, size in sizes.items())
assert sum(x.size for x in joined.values()) == 6459, "a rearrangement loses nothing"


# %% [markdown]
# ## Forward
#
# One round for $N$ players: the inputs and the state go through the gates,
#
# $$m_t = \sigma(f)\, m_{t-1} + \sigma(i)\tanh(g), \qquad h_t = \sigma(o)\tanh(m_t).$$

# %%
#| export
def _split_gates(squashed):
    """Split tanh of the gates [4 * hidden, N], and finish the sigmoids.

    Returns input, forget, cell, output.
    """
    i, f, g, o = jnp.split(squashed, 4)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


def _lstm_step(from_inputs, recurrent, h, cell):
    """Advance the LSTM of N players by one round.

    Returns h, cell and what the backward pass needs.
    """
    gates = jnp.tanh(from_inputs + recurrent @ h)
    i, f, g, o = _split_gates(gates)
    new = f * cell + i * g
    squashed = jnp.tanh(new)
    return o * squashed, new, (gates, cell, squashed)


# %% [markdown]
# Ten rounds, written out: the first layer is one product over all rounds, then comes the state, and
# all the choices are one product again.

# %%
#| export
def _flatten_rounds(rounds):
    "Put the rounds of [T, n, N] side by side, [n, T * N], for one matrix product."
    return jnp.swapaxes(rounds, 0, 1).reshape(rounds.shape[1], -1)


def lstm_forward(
    w: dict,  # from `feature_major`
    features: Array,  # [T, N, 16]
) -> tuple[Array, tuple]:  # [T, 11, N] logits; residuals for `lstm_backward`
    "Compute the logits of T rounds of N players and what the backward pass needs."
    n_rounds, n_players, _ = features.shape
    rows = features.reshape(n_rounds * n_players, -1)
    embedded = jnp.tanh(w["embed"] @ rows.T + w["embed_bias"])
    inputs, recurrent = jnp.split(w["gates"], [len(embedded)], 1)
    h = cell = jnp.zeros((w["choice"].shape[1], n_players))
    hidden, traces = [], []
    for from_inputs in jnp.split(inputs @ embedded + w["gates_bias"], n_rounds, 1):
        h, cell, trace = _lstm_step(from_inputs, recurrent, h, cell)
        hidden.append(h)
        traces.append(trace)
    hidden = jnp.concatenate(hidden, 1)
    logits = w["choice"] @ hidden + w["choice_bias"]
    logits = jnp.swapaxes(logits.reshape(-1, n_rounds, n_players), 0, 1)
    return logits, (w, features, embedded, hidden, traces)


# %%
#| export
@jax.custom_vjp
def player_logits(
    w: dict,  # from `feature_major`
    features: Array,  # [T, N, 16]
) -> Array:  # [T, 11, N] of 0..10 coins, not masked
    """Compute the logits of T rounds of N players.

    It is fastest for about 100 players at a time, whose arrays fit the cache.
    """
    return lstm_forward(w, features)[0]


# %% [markdown]
# ## Backward
#
# From the last round to the first, only two numbers per player and unit are handed on: the
# gradients of $h$ and of the cell. With $a = \tanh(\cdot)$ the four gates,
#
# $$\dot m \mathrel{+}= \dot h\, \sigma(o)\,(1-\tanh^2 m), \qquad
# \dot z = (1-a^2)\left[\tfrac12\dot m\, g,\ \tfrac12\dot m\, m_{t-1},\ \dot m\,\sigma(i),\ \tfrac12\dot h \tanh m\right].$$

# %%
#| export
def _gate_gradients(recurrent, traces, d_hidden):
    """Backpropagate through time, from `d_hidden` per round [hidden, N].

    Returns the gradients of the gates before tanh [4 * hidden, T * N].
    """
    d_h = d_cell = 0.0
    d_gates = []
    backwards = zip(traces[::-1], d_hidden[::-1], strict=True)
    for (gates, cell, squashed), from_choice in backwards:
        i, f, g, o = _split_gates(gates)
        d_h = d_h + from_choice
        d_cell = d_cell + d_h * o * (1 - squashed**2)
        d_open = jnp.concatenate(
            [0.5 * d_cell * g, 0.5 * d_cell * cell, d_cell * i, 0.5 * d_h * squashed]
        )
        d_gates.append(d_open * (1 - gates**2))
        d_h, d_cell = recurrent.T @ d_gates[-1], d_cell * f
    return jnp.concatenate(d_gates[::-1], 1)


# %% [markdown]
# With the gates' gradients in hand, everything else is one product over all rounds and players at
# once. What the caller does not use, the compiler drops.

# %%
#| export
def lstm_backward(
    residuals: tuple,  # of `lstm_forward`
    d_logits: Array,  # [T, 11, N]
) -> tuple[dict, Array]:  # gradient of the weights, and of the features [T, N, 16]
    "Compute all gradients from those of the logits."
    w, features, embedded, hidden, traces = residuals
    inputs, recurrent = jnp.split(w["gates"], [len(embedded)], 1)
    d_choice = _flatten_rounds(d_logits)
    by_round = jnp.split(w["choice"].T @ d_choice, len(features), 1)
    d_gates = _gate_gradients(recurrent, traces, by_round)
    d_embed = (inputs.T @ d_gates) * (1 - embedded**2)
    # of the round before; zeros at first
    before = jnp.pad(hidden, ((0, 0), (features.shape[1], 0)))[:, : hidden.shape[1]]
    ones = jnp.ones((d_choice.shape[1], 1))
    d_w = {
        "embed": d_embed @ features.reshape(len(ones), -1),
        "embed_bias": d_embed @ ones,
        "gates": jnp.concatenate([d_gates @ embedded.T, d_gates @ before.T], 1),
        "gates_bias": d_gates @ ones,
        "choice": d_choice @ hidden.T,
        "choice_bias": d_choice @ ones,
    }
    return d_w, (d_embed.T @ w["embed"]).reshape(features.shape)


player_logits.defvjp(lstm_forward, lstm_backward)

# %% [markdown]
# The same numbers as flax gives, and the same gradients, of the parameters and of the features:

# %%
weight = jax.random.normal(jax.random.key(2), (6, 10, 11))
readable = lambda params, x: (weight * Network().apply(params, x)).sum()


def fused(params, x):
    "Weigh the logits as `readable` does."
    logits = player_logits(feature_major(params), x.swapaxes(0, 1))
    return (weight * jnp.moveaxis(logits, -1, 0)).sum()


differentiate = lambda f: jax.value_and_grad(f, (0, 1))(params, features)
(value, gradient), (value_fused, gradient_fused) = map(differentiate, (readable, fused))
relative = lambda a, b: float(jnp.abs(a - b).max() / (jnp.abs(a).max() + 1e-6))
apart = max(jax.tree.leaves(jax.tree.map(relative, gradient, gradient_fused)))
print(
    f"values {value:.5f} and {value_fused:.5f}; gradients differ by at most {apart:.1e}"
)
assert abs(value - value_fused) < 1e-4 * abs(value) and apart < 1e-4

# %% [markdown]
# ## A loss over many players
#
# A batch of 512 blocks holds some 1,730 players with ten answers. They are taken 112 at a time, so
# that their arrays stay in the second-level cache of a core. How many there are is known only when
# the batch is drawn, so the number of chunks is part of the computation. The rows that are asked
# for fill whole chunks, and those after the first `n_counted` do not count.

# %%
#| export
PLAYERS_PER_CHUNK = 112  # on each device


def mean_over_players(
    loss: Callable,  # (logits [T, 11, N], examples, counted [N]) -> sum, another sum
    params: dict,  # of `cloning.VirtualPlayer`
    features: Array,  # [M, T, 16] of all players that could be asked for
    examples: tuple[Array, ...],  # [K, ...] each: whatever `loss` compares with
    at: tuple[Array, Array],  # rows [S] of `features`, `examples`; S: whole chunks
    n_counted: Array,  # [] how many of the S rows count
) -> tuple[tuple[Array, Array], dict]:  # sums / n_counted; gradient of the first
    "Average a loss and its gradient over players, in chunks that fit the cache."
    size = PLAYERS_PER_CHUNK * jax.device_count()
    w, transpose = jax.vjp(feature_major, params)

    def add(k, so_far):
        there, here = (jax.lax.dynamic_slice(rows, (k * size,), (size,)) for rows in at)
        x = devices.shard(jnp.swapaxes(features[there], 0, 1), 1)
        counted = k * size + jnp.arange(size) < n_counted
        shown = tuple(each[here] for each in examples)
        of_weights = lambda w: loss(player_logits(w, x), shown, counted)
        sums = jax.value_and_grad(of_weights, has_aux=True)(w)
        return jax.tree.map(jnp.add, so_far, sums)

    nothing = (jnp.zeros(()), jnp.zeros(())), jax.tree.map(jnp.zeros_like, w)
    sums = jax.lax.fori_loop(0, -(-n_counted // size), add, nothing)
    means, d_w = jax.tree.map(lambda x: x / n_counted, sums)
    return means, *transpose(d_w)


# %% [markdown]
# ## Four copies at a table
#
# In play a virtual player carries two vectors of 16 numbers from choice to choice. Each reads its
# own numbers first, so four players would need the table written down four times. Cheaper: one
# table, and four copies of the first layer with its columns rearranged. What a player was paid
# stands apart from what else it knows: there a mechanism gets hold of the players when it is
# trained.

# %%
#| export
def seat_weights(
    params: dict,  # of `cloning.VirtualPlayer`
) -> dict:  # matrices [outputs, inputs], biases [outputs, 1]
    """Rearrange the first layer for every seat, so that all players read one table.

    `known` and `paid` are lists: a matrix per seat.
    """
    w = concatenate_weights(params)
    width, seats = len(w["embed_bias"]), np.arange(len(w["embed"]) // 4)
    # endowment, contribution, ratio, payout; the own seat first
    embed = w["embed"].reshape(4, len(seats), width)
    orders = [np.r_[seat, np.delete(seats, seat)] for seat in seats]
    by_seat = [jnp.zeros_like(embed).at[:, order].set(embed) for order in orders]
    inputs, recurrent = jnp.split(w["gates"], [width])
    biases = ("embed_bias", "gates_bias", "choice_bias")
    return {
        "known": [rows[:3].reshape(-1, width).T for rows in by_seat],
        "paid": [rows[3].T for rows in by_seat],
        "inputs": inputs.T,
        "recurrent": recurrent.T,
        "choice": w["choice"].T,
        **{name: w[name][:, None] for name in biases},
    }


# %%
#| export
def _recurrent_step(weights, features, state):
    """Advance the LSTM of one player of each game.

    `features` [64, B] are before bias and tanh, `state` is h and cell [16, B].
    """
    h, cell = state
    from_inputs = weights["inputs"] @ jnp.tanh(features + weights["embed_bias"])
    gates = from_inputs + weights["recurrent"] @ h + weights["gates_bias"]
    i, f, g, o = jnp.split(gates, 4)
    cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def observe(
    weights: dict,  # of `seat_weights`
    endowment: Array,  # [P, B] coins
    contribution: Array,  # [P, B] coins of the last round, zeros before the first
    payout: Array,  # [P, B] coins
    state: list[tuple[Array, Array]],  # per seat h and cell [hidden, B]
) -> list[tuple[Array, Array]]:  # the next state
    "Update the state of all players by the results of a round."
    rows = [endowment / 10, contribution / 10, contribution / endowment]
    known = jnp.concatenate(rows)
    parts = zip(weights["known"], weights["paid"], strict=True)
    features = [k @ known + p @ (payout / 10) for k, p in parts]
    seats = zip(features, state, strict=True)
    return [_recurrent_step(weights, x, s) for x, s in seats]


# %% [markdown]
# A choice takes one uniform number: walk up the staircase of summed weights until the number is
# passed. The steps above the endowment are not there to be climbed, so rounding can never make a
# player give what it does not have.

# %%
#| export
def sample_contribution(
    uniform: Array,  # [N] between 0 and 1
    logit: Array,  # [11, N] of 0..10 coins
    endowment: Array,  # [N] coins
) -> tuple[Array, Array]:  # coins [N], never above the endowment; log-probability [N]
    "Sample one affordable contribution by inverting the cumulative distribution."
    coin = jnp.arange(len(logit))[:, None]
    logit = jnp.where(coin <= endowment, logit, -1e9)
    logit = logit - jax.lax.stop_gradient(logit.max(0))
    weight = jnp.exp(logit)
    passed = (uniform * weight.sum(0) >= jnp.cumsum(weight, 0)) & (coin < endowment)
    sampled = passed.sum(0)
    log_p = jnp.where(coin == sampled, logit, 0).sum(0) - jnp.log(weight.sum(0))
    return sampled.astype(uniform.dtype), log_p


# %%
n = 50_000
logit = jnp.broadcast_to(jnp.linspace(-1.0, 1.0, 11)[:, None], (11, n))
uniform = jax.random.uniform(jax.random.key(3), (n,))
coins, log_p = sample_contribution(uniform, logit, jnp.full(n, 4.0))
counted = np.bincount(np.asarray(coins, int), minlength=5) / n
expected = jax.nn.softmax(logit[:5, 0])
print("sampled", counted.round(3), "expected", expected.round(3))
assert np.abs(counted - expected).max() < 0.01 and coins.max() == 4
assert np.allclose(jnp.exp(log_p), expected[coins.astype(int)], atol=1e-6)


# %% [markdown]
# The three functions of a player (`game.Players`), with games along the last axis inside:

# %%
#| export
def _games_last(coins):
    "[..., P] -> [P, B]: games along the last axis."
    return coins.reshape(-1, coins.shape[-1]).T


def init(
    weights: dict[str, Array],  # of `seat_weights`
    key: Array,  # unused
    endowment: Array,  # [..., P] coins
) -> list[tuple[Array, Array]]:  # per seat h and cell [hidden, B]
    "Begin the state of all players, who know the endowments."
    # without the barrier the compiler works out known seats itself, slowly
    seats = _games_last(jax.lax.optimization_barrier(endowment))
    nothing = jnp.zeros_like(seats)
    zeros = jnp.zeros((weights["recurrent"].shape[1], seats.shape[1]))
    return observe(weights, seats, nothing, nothing, [(zeros, zeros)] * len(seats))


# %%
#| export
def act(
    weights: dict[str, Array],  # of `seat_weights`
    key: Array,  # consumed: one uniform number a player
    state: list[tuple[Array, Array]],  # per seat h and cell [hidden, B]
    endowment: Array,  # [..., P] coins
) -> Array:  # [..., P] coins
    "Sample the contributions of one round."
    uniform = _games_last(jax.random.uniform(key, endowment.shape))
    logits = [weights["choice"] @ h + weights["choice_bias"] for h, _ in state]
    players = zip(uniform, logits, _games_last(endowment), strict=True)
    sampled = [sample_contribution(*player)[0] for player in players]
    return jnp.stack(sampled, -1).reshape(endowment.shape)


def update(
    weights: dict[str, Array],  # of `seat_weights`
    state: list[tuple[Array, Array]],  # per seat h and cell [hidden, B]
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    payout: Array,  # [..., P] coins
    mechanism: Callable,  # unused
) -> list[tuple[Array, Array]]:  # per seat h and cell [hidden, B]
    "Update the state by the results of a round."
    return observe(weights, *map(_games_last, (endowment, contribution, payout)), state)


# %% [markdown]
# ## Whole blocks
#
# When a mechanism is trained, a block is played with all random numbers drawn before, and its
# gradient with respect to the payouts is taken while it is played. A zero is added to every payout,
# the *perturbation*; the log-probability of the choices is differentiated in it. The payout itself
# is stopped.

# %%
#| export
def _rollout(weights, endowment, uniform, perturbation, pay):
    """Play a block [P, B].

    Returns contribution and payout [T, P, B], and the log-probability of the choices
    from round 2 on [B].
    """

    def one_round(carried, inputs):
        state = observe(weights, endowment, carried[1], carried[2], carried[0])
        logits = [weights["choice"] @ h + weights["choice_bias"] for h, _ in state]
        choices = map(sample_contribution, inputs[0], logits, endowment)
        sampled, log_p = zip(*choices, strict=True)
        contribution = jnp.stack(sampled)
        payout = jax.lax.stop_gradient(pay(endowment.T, contribution.T).T) + inputs[1]
        return (state, contribution, payout), (contribution, payout, sum(log_p))

    zeros = jnp.zeros((weights["recurrent"].shape[1], endowment.shape[1]))
    nothing = jnp.zeros_like(endowment)
    begin = [(zeros, zeros)] * len(endowment), nothing, nothing
    rounds = (uniform, perturbation)
    _, (contribution, payout, log_p) = jax.lax.scan(one_round, begin, rounds)
    return contribution, payout, log_p[1:].sum(0)


# %% [markdown]
# Arrays of 512 games at once crowd each other out of a core's own cache, so games are played 128 at
# a time. And the same key gives the very block that `game.play` gives: the same numbers are drawn,
# all at once.

# %%
#| export
GAMES_PER_CHUNK = 128  # of four players, on each device


def uniform_draws(
    key: Array,  # consumed
    shape: tuple[int, ...],  # of the endowments
    *,
    n_rounds: int,
) -> Array:  # [T, ...] between 0 and 1
    """Draw at once what `game.play` draws round by round from the same key.

    It does so for virtual players only.
    """
    rounds = jax.random.split(jax.random.split(key)[1], n_rounds)
    return jax.vmap(lambda key: jax.random.uniform(key, shape))(rounds)


# %%
#| export
def _play_in_chunks(play_chunk, key, endowment, n_rounds):
    """Play games in chunks, games last.

    `play_chunk(endowment [P, B], uniform [T, P, B])` plays one; its arrays are returned
    as [G, T, P].
    """
    n_groups, n_players = endowment.shape
    uniform = uniform_draws(key, endowment.shape, n_rounds=n_rounds).swapaxes(0, 1)
    most = devices.rows_at_once(GAMES_PER_CHUNK, n_players)
    chunks = [devices.chunk(x, most) for x in (endowment, uniform)]
    chunks = tuple(jnp.moveaxis(x, 1, -1) for x in chunks)
    of_chunk = lambda chunk: play_chunk(*(devices.shard(x, -1) for x in chunk))
    played = jax.lax.map(of_chunk, chunks)
    shape = (-1, n_rounds, n_players)
    games_first = lambda x: jnp.moveaxis(x, -1, 1).reshape(shape)[:n_groups]
    return jax.tree.map(games_first, played)


# %%
#| export
def play(
    key: Array,  # consumed: the block that `game.play` gives with virtual players
    params: dict,  # of `cloning.VirtualPlayer`
    endowment: Array,  # [G, P] coins
    pay: Callable,  # (endowment, contribution) [..., P] -> payout [..., P], coins
    *,
    n_rounds: int,
) -> tuple[Array, Array]:  # contribution, payout [G, T, P] coins
    "Play one block with virtual players."
    weights = seat_weights(params)

    def chunk(endowment, uniform):
        perturbation = jnp.zeros_like(uniform)
        return _rollout(weights, endowment, uniform, perturbation, pay)[:2]

    return _play_in_chunks(chunk, key, endowment, n_rounds)


# %%
#| export
def play_with_response(
    key: Array,  # consumed as in `play`
    params: dict,  # of `cloning.VirtualPlayer`
    endowment: Array,  # [G, P] coins
    pay: Callable,  # (endowment, contribution) [..., P] -> payout [..., P], coins
    *,
    n_rounds: int,
) -> tuple[Array, Array, Array]:  # contribution, payout (coins), response; [G, T, P]
    """Play a block, and compute how the players respond to what they are paid.

    The response is the gradient, per coin, of the log-probability of a game's choices
    from round 2 on in each of its payouts.
    """
    weights = seat_weights(params)

    def chunk(endowment, uniform):
        def log_probability(moved):
            *played, log_p = _rollout(weights, endowment, uniform, moved, pay)
            return log_p.sum(), played

        gradient = jax.grad(log_probability, has_aux=True)
        response, played = gradient(jnp.zeros_like(uniform))
        return *played, response

    return _play_in_chunks(chunk, key, endowment, n_rounds)


# %% [markdown]
# Four players give what the network says, and Bob answers to what he was paid: the response to a
# payout of the last round is zero, since nobody chooses after it.

# %%
seats = jnp.tile(jnp.array([10.0, 4, 4, 4]), (300, 1))
equal = lambda endowment, contribution: jnp.broadcast_to(
    0.4 * contribution.sum(-1, keepdims=True), contribution.shape
)
respond = jax.jit(partial(play_with_response, pay=equal, n_rounds=10))
contribution, payout, response = respond(jax.random.key(4), params, seats)
assert contribution.shape == (300, 10, 4) and (contribution <= seats[:, None]).all()
again, _ = play(jax.random.key(4), params, seats, equal, n_rounds=10)
assert (contribution == again).all()
assert (response[:, -1] == 0).all() and (jnp.abs(response[:, 0]).max() > 0)
size = jnp.abs(response).mean((0, 2)).round(4)
print("mean absolute response per coin, by round:", size)

# %% [markdown]
# ## Recap
#
# `player_logits` and `mean_over_players` serve the imitation; `init`, `act` and `update` are a
# virtual player's; `play` and `play_with_response` are blocks for training a mechanism.
