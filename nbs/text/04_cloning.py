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
# # Cloning
#
# > Blocks of play go in; out comes a network that plays as those people did.

# %%
#| default_exp cloning

# %%
#| export
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from democratic_ai import game


# %%
#| export
@jax.tree_util.register_static
@dataclass(frozen=True)
class Cloning:
    "Sizes and rates of the imitation (Koster et al., \"Virtual players - modelling\")."

    embed: int = 64  # units of the tanh layer
    hidden: int = 16  # units of the LSTM
    learning_rate: float = 4e-4  # of Adam
    entropy_weight: float = 0.1  # bonus on the entropy of the prediction
    l2: float = 1e-5  # on the sum of squares of all parameters
    batch: int = 512  # blocks of play per update
    updates: int = 30_000


# %%
#| export
FOCAL_FIRST = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [2, 0, 1, 3], [3, 0, 1, 2]])  # own seat, then the others in seat order


def features(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., T, P] coins
    payout: Array,  # [..., T, P] coins
) -> Array:  # [..., T, P, 16]
    "Write down what each player has seen before each choice, the player's own numbers first (Koster et al., \"Virtual players - modelling\")."
    now = jnp.broadcast_to(endowment[..., None, :], contribution.shape)
    seen = jnp.stack([contribution / 10, contribution / now, payout / 10], -2)
    before = jnp.concatenate([jnp.zeros_like(seen[..., :1, :, :]), seen[..., :-1, :, :]], -3)
    table = jnp.concatenate([now[..., None, :] / 10, before], -2)  # [..., T, 4 quantities, P]
    mine = jnp.moveaxis(table[..., FOCAL_FIRST], -3, -2)  # [..., T, P, 4 quantities, 4 players]
    return mine.reshape(*mine.shape[:-2], 16)


# %%
#| export
class VirtualPlayer(nn.Module):
    "The network that stands for one player: linear and tanh, LSTM, linear (Koster et al., \"Virtual players - modelling\")."

    embed: int = Cloning.embed
    hidden: int = Cloning.hidden
    choices: int = game.Game.most_coins + 1

    @nn.compact
    def __call__(self, features):  # [..., T, 16] -> [..., T, 11] logits of 0..10 coins
        x = nn.tanh(nn.Dense(self.embed, name="embed")(features))
        memory = nn.RNN(nn.OptimizedLSTMCell(self.hidden, name="lstm"))(x)
        return nn.Dense(self.choices, name="choice")(memory)


def init(
    key: Array,  # consumed by the weights
    *,
    config: Cloning = Cloning(),
) -> dict:
    "Draw the parameters of a virtual player that has not learned anything, its forget gates open by 1."
    params = VirtualPlayer(config.embed, config.hidden).init(key, jnp.zeros((game.Game.n_rounds, 16)))
    params["params"]["lstm"]["hf"]["bias"] = jnp.ones(config.hidden)
    return params


# %%
#| export
def concatenated(
    params: dict,  # of `VirtualPlayer`
) -> dict:  # embed [16, 64], embed_bias [64], gates [64 + 16, 4 * 16], gates_bias, choice [16, 11], choice_bias
    "Join the LSTM's eight matrices and four biases into one of each, gates in the order input, forget, cell, output."
    p = params["params"]
    side = lambda s: jnp.concatenate([p["lstm"][s + gate]["kernel"] for gate in "ifgo"], 1)
    return dict(
        embed=p["embed"]["kernel"], embed_bias=p["embed"]["bias"],
        gates=jnp.concatenate([side("i"), side("h")]), gates_bias=jnp.concatenate([p["lstm"]["h" + g]["bias"] for g in "ifgo"]),
        choice=p["choice"]["kernel"], choice_bias=p["choice"]["bias"],
    )


# %%
#| export
def affordable(
    logits: Array,  # [..., 11] of 0..10 coins
    endowment: Array,  # [...] coins
) -> Array:  # [..., 11] log-probabilities, practically minus infinity above the endowment
    "Mask the choices that the player cannot pay for and normalise the rest."
    coins = jnp.arange(logits.shape[-1])
    return jax.nn.log_softmax(jnp.where(coins <= endowment[..., None], logits, -1e9))


def log_probability(
    params: dict,  # of `VirtualPlayer`
    block: game.Block,
) -> Array:  # [..., T, P]
    "Say how probable each contribution of a block was, given everything before it; differentiable in the payouts."
    x = jnp.swapaxes(features(block.endowment, block.contribution, block.payout), -3, -2)  # [..., P, T, 16]
    logits = jnp.swapaxes(network(params).apply(params, x), -3, -2)
    log_p = affordable(logits, jnp.broadcast_to(block.endowment[..., None, :], block.contribution.shape))
    return jnp.take_along_axis(log_p, block.contribution.astype(int)[..., None], -1)[..., 0]


def network(
    params: dict,
) -> VirtualPlayer:
    "Find the module that fits the parameters."
    p = params["params"]
    return VirtualPlayer(p["embed"]["kernel"].shape[1], p["choice"]["kernel"].shape[0], p["choice"]["kernel"].shape[1])


# %%
#| export
def virtual_players(
    params: dict,  # of `VirtualPlayer`
) -> game.Players:
    "Seat virtual players at the table: four copies of one network, each with a memory of its own."
    w = concatenated(params)
    hidden = w["choice"].shape[0]

    def step(memory, inputs):
        h, cell = memory
        x = jnp.tanh(inputs @ w["embed"] + w["embed_bias"])
        i, f, g, o = jnp.split(jnp.concatenate([x, h], -1) @ w["gates"] + w["gates_bias"], 4, -1)
        cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
        return nn.sigmoid(o) * jnp.tanh(cell), cell

    def start(key, endowment):
        nothing, blank = jnp.zeros((*endowment.shape, hidden)), jnp.zeros_like(endowment)[..., None, :]
        return step((nothing, nothing), features(endowment, blank, blank)[..., 0, :, :])

    def choose(key, memory, endowment):
        weight = jnp.exp(affordable(memory[0] @ w["choice"] + w["choice_bias"], endowment))
        target = jax.random.uniform(key, endowment.shape)[..., None] * weight.sum(-1, keepdims=True)
        passed = (target >= jnp.cumsum(weight, -1)) & (jnp.arange(weight.shape[-1]) < endowment[..., None])
        return passed.sum(-1).astype(endowment.dtype)

    def learn(memory, endowment, contribution, payout, mechanism):
        two = lambda x: jnp.stack([x, x], -2)  # what was seen in one round is known before the next
        return step(memory, features(endowment, two(contribution), two(payout))[..., 1, :, :])

    return game.Players(start, choose, learn)


# %%
#| export
def loss(
    params: dict,  # of `VirtualPlayer`
    block: game.Block,  # [B, ...]
    answered: Array,  # [B, P] bool
    *,
    config: Cloning = Cloning(),
) -> Array:  # scalar, nats
    "Cross-entropy minus weighted entropy, plus the sum of squares of the parameters (Koster et al., \"Virtual players - modelling\")."
    x = jnp.swapaxes(features(block.endowment, block.contribution, block.payout), -3, -2)
    logits = jnp.swapaxes(network(params).apply(params, x), -3, -2)
    log_p = affordable(logits, jnp.broadcast_to(block.endowment[..., None, :], block.contribution.shape))
    chosen = jnp.take_along_axis(log_p, block.contribution.astype(int)[..., None], -1)[..., 0]
    entropy = -(jnp.exp(log_p) * log_p).sum(-1)
    each = (-chosen - config.entropy_weight * entropy).mean(-2)
    return (each * answered).sum() / answered.sum() + config.l2 * sum((x**2).sum() for x in jax.tree.leaves(params))


def train(
    key: Array,  # consumed: initial parameters, then the batches
    plays,  # Plays: .block [G, ...], .answered [G, P]
    *,
    config: Cloning = Cloning(),
) -> dict:  # parameters of `VirtualPlayer`
    "Fit a virtual player to blocks of play by Adam (Koster et al., \"Virtual players - modelling\")."
    key_init, key_batches = jax.random.split(key)
    params = init(key_init, config=config)
    adam = optax.adam(config.learning_rate)
    answered = jnp.asarray(plays.answered, jnp.float32)

    def update(state, step):
        params, moments = state
        rows = jax.random.randint(jax.random.fold_in(key_batches, step), (config.batch,), 0, answered.shape[0])
        block = jax.tree.map(lambda x: x[rows], plays.block)
        value, gradient = jax.value_and_grad(loss)(params, block, answered[rows], config=config)
        change, moments = adam.update(gradient, moments)
        return (optax.apply_updates(params, change), moments), value

    (params, _), _ = jax.jit(lambda s: jax.lax.scan(update, s, jnp.arange(config.updates)))((params, adam.init(params)))
    return params


# %%
params = init(jax.random.key(0))
assert sum(x.size for x in jax.tree.leaves(params)) == 6459

# %%
endowment = jnp.tile(jnp.array([10.0, 4, 4, 4]), (256, 1))
block = jax.jit(lambda k: game.play(k, virtual_players(params), endowment, game.equal_split))(jax.random.key(1))
assert (block.contribution <= endowment[:, None]).all()
bots = game.play(jax.random.key(2), game.random_bots(), endowment, game.equal_split)
assert log_probability(params, bots).shape == (256, 10, 4)

# %%
from types import SimpleNamespace
learned = train(jax.random.key(3), SimpleNamespace(block=bots, answered=np.ones((256, 4), bool)), config=Cloning(batch=32, updates=20))
print(loss(params, bots, jnp.ones((256, 4))), loss(learned, bots, jnp.ones((256, 4))))
