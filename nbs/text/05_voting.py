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
# # Voting
#
# > Two blocks of play go in; the probability that each player votes for the first comes out, and what that vote depended on.

# %%
#| default_exp voting

# %% [markdown]
# *In this notebook*: ...

# %%
#| export
import warnings

import jax
import numpy as np
import pandas as pd
import statsmodels.api as sm
from jax import Array

from democratic_ai import game

# %%
#| export
SLOPE = 1.4  # of the logistic function
UNIT = 10.0  # coins; the largest endowment, by which the virtual players' inputs are divided too


def relative_payout_sum(
    block: game.Block,
    unit: float = UNIT,  # coins in which payouts are counted
) -> Array:  # [..., P]
    "Sum a block's payouts relative to the own endowment over its rounds (Koster et al., \"Voting model\")."
    return block.relative_payout.sum(-2) / unit


def vote_from_sums(
    sum_a: Array,  # [..., P] relative payout sums under A
    sum_b: Array,  # [..., P] and under B
    *,
    slope: float = SLOPE,
) -> Array:  # [..., P] probability of a vote for A
    "Turn two relative payout sums into the probability of a vote for the first (Koster et al., \"Voting model\")."
    return jax.nn.sigmoid(slope * (sum_a - sum_b))


def vote_probability(
    block_a: game.Block,
    block_b: game.Block,
    *,
    slope: float = SLOPE,
    unit: float = UNIT,  # coins in which payouts are counted
) -> Array:  # [..., P] probability of a vote for A
    "Compare two blocks by each player's relative payout and give the probability of a vote for the first (Koster et al., \"Voting model\")."
    return vote_from_sums(relative_payout_sum(block_a, unit), relative_payout_sum(block_b, unit), slope=slope)


# %%
#| export
PREDICTORS = ("rpay", "apay", "cont")  # relative payout, absolute payout, everybody's contributions: agent minus rival


class VoteError(ValueError):
    "Votes from which nothing can be concluded."


def vote_table(
    agent: game.Block,  # leading axis: groups
    rival: game.Block,  # the same groups
    vote: Array,  # [G, P] True for the agent
) -> pd.DataFrame:  # one row per vote: group, player, vote, rpay, apay, cont
    "Line up every vote with what could have caused it, agent minus rival (Koster et al., \"Determinants of voting\")."
    n_groups, n_players = agent.endowment.shape
    difference = {
        "rpay": agent.relative_payout.sum(1) - rival.relative_payout.sum(1),
        "apay": agent.payout.sum(1) - rival.payout.sum(1),
        "cont": np.repeat((agent.contribution - rival.contribution).sum((1, 2))[:, None], n_players, 1),
    }
    group, player = np.indices((n_groups, n_players))
    columns = {"group": group, "player": player, "vote": vote} | difference
    return pd.DataFrame({name: np.asarray(value).ravel() for name, value in columns.items()}).astype({"vote": int})


def determinants(
    frame: pd.DataFrame,  # columns vote (1 = for the agent), rpay, apay, cont; one row per vote
) -> pd.DataFrame:  # rows intercept, rpay, apay, cont; columns coefficient, standard_error, t, p
    "Regress votes on standardised differences between two blocks; raise a VoteError where no answer exists (Koster et al., Figure S2)."
    predictors = _standardised(frame)
    design = sm.add_constant(predictors.rename(columns=str), prepend=True).rename(columns={"const": "intercept"})
    with warnings.catch_warnings():
        warnings.simplefilter("error", sm.tools.sm_exceptions.PerfectSeparationWarning)
        fit = sm.Logit(frame["vote"], design).fit(disp=False)
    return pd.DataFrame({"coefficient": fit.params, "standard_error": fit.bse, "t": fit.tvalues, "p": fit.pvalues})


def _standardised(frame):
    "Centre each predictor and divide it by its standard deviation."
    x = frame[list(PREDICTORS)].astype(float)
    return (x - x.mean()) / x.std(ddof=0)
