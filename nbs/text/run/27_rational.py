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
# # Rational mechanism: RM trained with rational players
#
# > Nothing measured on people goes in but the slope of the vote; RM, the mechanism that wins the votes of calculating players, comes out.
#
# *Outputs: profile `paper`, seed 0; made at commit `cbea95f` in 18.5 minutes.*

# %% tags=["parameters"]
folder = "runs/paper/seed0/rational/theta1_sigma1"
seed = 0
theta = 1.0  # of the players trained with: scale of their learning rates
sigma = 1.0  # and standard deviation of their first generosity
# longer gradients are shortened to it: our addition (09, "Without human data")
clip = 5.0
train_games = 64  # pairs of games for each of the eight tail endowments
train_updates = 10000
election_blocks = 20480  # for each tail endowment

# %%
from dataclasses import replace
from functools import partial

import pandas as pd

from democratic_ai import figures, graphnet, mechanisms, metagame, rational, training
from democratic_ai.engine import runs, store, streams

here = runs.open_run(folder)
stream = partial(streams.stream, seed, "rational")
population = rational.Population(theta=float(theta), sigma=float(sigma))

# %% [markdown]
# In all that is not the players RM is trained as HCRM is in 23: same network, optimiser, batches,
# and the same opponent, liberal egalitarian. It has as many updates at the sizes of the paper,
# fewer in the smaller profiles. One thing is added, `clip`: 09 tells why. The paper tried four
# populations of players; all four trainings start from the same weights and see the same draws.

# %%
size = {"games_per_endowment": train_games, "updates": train_updates}
asked = {
    "estimate": training.rational_gradient,
    "config": replace(training.Training(), clip=float(clip), **size),
    "checkpoint": here / "checkpoints",
    "name": "rational mechanism",
}
opponent = mechanisms.liberal_egalitarian
learned, history = training.fit(stream("training"), population, opponent, **asked)
shown = {"value": "vote_share", "label": "expected share of the votes"}
figures.learning_curve(history, **shown, reference=0.5, note="rational players");

# %% [markdown]
# ## How would it do elsewhere?
#
# The paper's Table ST2: a mechanism trained with one population is put up against the opponent in
# front of each of the four. The text gives no numbers, only that training with $\theta = \sigma =
# 1$ carried over best.

# %%
rm = graphnet.mechanism(learned)
settings = [(t, s) for t in (1.0, 3.0) for s in (1.0, 3.0)]
populations = [rational.Population(theta=t, sigma=s) for t, s in settings]
rivals, n_blocks = {"liberal_egalitarian": opponent}, min(election_blocks, 4096)
votes = []
for other in populations:
    key = stream("election", "theta", other.theta, "sigma", other.sigma)
    players = rational.players(other)
    elected = metagame.elect(key, players, rm, rivals, n_blocks=n_blocks)
    of = {
        "trained_theta": population.theta,
        "trained_sigma": population.sigma,
        "evaluated_theta": other.theta,
        "evaluated_sigma": other.sigma,
    }
    votes.append(elected.assign(**of))
votes = pd.concat(votes)
axes = {"index": ["evaluated_theta", "evaluated_sigma"], "columns": "tail_endowment"}
votes.pivot_table(**axes, values="vote_share", margins=True).round(3)

# %% [markdown]
# And what does it do? The share of the fund that goes to the head player, as 24_elect draws it for
# HCRM.

# %%
beach = pd.concat(
    graphnet.beach(rm, tail).assign(mechanism="rational", tail_endowment=tail)
    for tail in mechanisms.TAILS
)
figures.beach_plot(beach, note="trained with rational players");

# %%
store.write_table(here / "training.csv", history)
store.write_table(here / "votes.csv", votes)
store.write_table(here / "beach.csv", beach)
store.save_parameters(here / "mechanism.safetensors", learned)
