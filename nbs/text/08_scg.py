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
# # Scg
#
# > What each game brought in and how probable its choices were go in; a number comes out whose gradient tells a mechanism how to improve.

# %%
#| default_exp scg

# %% [markdown]
# *In this notebook*: stochastic computation graphs (Koster et al., "Training algorithm").

# %%
#| export
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from democratic_ai import game


# %%
#| export
def surrogate(
    objective: Array,  # [B] expected votes of each game, differentiable with the choices held fixed
    log_probability: Array,  # [B] of all choices that the mechanism could influence
    *,
    baseline: Array | float | None = None,  # taken off the objective; default: its mean over the batch
) -> Array:  # scalar whose gradient is the estimate
    "Add what a game brings to how probable it becomes, weighted by how good it was (Koster et al., \"Training algorithm\")."
    return pathwise(objective) + score_function(objective, log_probability, baseline=baseline)


def pathwise(
    objective: Array,  # [B] differentiable with the choices held fixed
) -> Array:  # scalar
    "Average the objective as if the choices would stay as they are."
    return objective.mean()


def score_function(
    objective: Array,  # [B]
    log_probability: Array,  # [B] of the choices that were drawn
    *,
    baseline: Array | float | None = None,  # taken off the objective; default: its mean over the batch
) -> Array:  # scalar
    "Make choices more probable where the objective is above the baseline (REINFORCE)."
    level = objective.mean() if baseline is None else baseline
    return (jax.lax.stop_gradient(objective - level) * log_probability).mean()
