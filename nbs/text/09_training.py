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
# *In this notebook*: training (Koster et al., "Training algorithm").

# %%
#| export
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
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
    "Seat the groups of one update: as many for every tail endowment."
    return jnp.repeat(mechanisms.head_and_tails(jnp.array(config.tails)), config.games_per_endowment, 0)


def optimiser(
    config: Training = Training(),
) -> optax.GradientTransformation:
    "RMSProp as TensorFlow 1 had it: the average starts at 1, and eps stands inside the root."
    return optax.rmsprop(config.learning_rate, decay=config.decay, eps=config.eps, initial_scale=1.0, eps_in_sqrt=True)


# %%
#| export
def vote_gradient(
    params: dict,  # of the mechanism in training
    key: Array,  # consumed: one part by each of the two games
    virtual_params: dict,  # of the virtual players
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
) -> tuple[Array, dict]:  # mean votes per group of four, and its gradient
    "Estimate how the mechanism should change to get more votes (Koster et al., \"Training algorithm\")."
    players, seats = cloning.virtual_players(virtual_params), endowments(config)
    key_own, key_rival = jax.random.split(key)

    def objective(params):
        block = game.play(key_own, players, seats, graphnet.mechanism(params))
        rival = game.play(key_rival, players, seats, opponent)
        votes = voting.vote_probability(block, rival, slope=config.slope).sum(-1)
        log_p = cloning.log_probability(virtual_params, block)[..., 1:, :].sum((-2, -1))
        return scg.surrogate(votes, log_p), votes.mean()

    gradient, votes = jax.grad(objective, has_aux=True)(params)
    return votes, gradient


# %%
#| export
def train(
    key: Array,  # consumed: initial parameters, then one part per update
    virtual_params: dict,  # of the virtual players
    opponent: game.Mechanism,
    *,
    config: Training = Training(),
    checkpoint=None,
) -> tuple[dict, Array]:  # parameters of the mechanism; [updates] mean probability of a vote
    "Train a mechanism for the votes of virtual players against an opponent (Koster et al., \"Training algorithm\")."
    mechanisms.check(opponent, name="opponent", tails=config.tails)
    key_init, key_updates = jax.random.split(key)
    rule = optimiser(config)

    def update(state, step):
        params, moments = state
        votes, gradient = vote_gradient(params, jax.random.fold_in(key_updates, step), virtual_params, opponent, config=config)
        change, moments = rule.update(jax.tree.map(jnp.negative, gradient), moments)
        return (optax.apply_updates(params, change), moments), votes / game.Game.n_players

    params = graphnet.init(key_init)
    (params, _), history = jax.jit(lambda s: jax.lax.scan(update, s, jnp.arange(config.updates)))((params, rule.init(params)))
    return params, history
