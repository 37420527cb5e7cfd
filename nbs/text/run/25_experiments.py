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
# # Experiments: trained mechanisms in four experiments
#
# > The trained mechanisms meet participants they never saw, in four experiments; every round and every vote comes out.
#
# *Outputs: profile `paper`, seed 0, iteration 1; made at commit `cbea95f` in 1.0 minutes.*

# %% tags=["parameters"]
folder = "runs/paper/seed0"
seed = 0
loss = 1.0
last_iteration = 1
curve_games = 4096  # games for each cell of Figure 1C
rational = "runs/paper/seed0/rational/theta1_sigma1/mechanism.safetensors"  # RM, which does not depend on the participants
group_fraction = 1.0  # of the numbers of groups in the original experiments
people_folder = "data/released"  # with the authors' five files of play and votes, people replace stand-ins

# %%
from dataclasses import replace

import jax
import pandas as pd
from IPython.display import Markdown

from democratic_ai import cloning, experiments, figures, graphnet, participants, released
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.iteration(last_iteration) / "players.safetensors")
last = here / runs.iteration(last_iteration)
key_curves, key_virtual, key_run = jax.random.split(jax.random.fold_in(jax.random.key(seed), 2500), 3)
people = all(path.exists() for path in released.experiment_files(people_folder))
stand_ins = """Participants here are **stand-ins**: their play was calibrated on Figure 1C, their votes, the human referees and the answers to the seven
questions on nothing at all (14_experiments says what was assumed). What follows is a rehearsal of the experiments, not evidence about people."""
Markdown(f"Participants here are **PEOPLE**: their play and votes are read from `{people_folder}`." if people else stand_ins)

# %% [markdown]
# ## The four experiments
#
# Stand-ins play under this run's HCRM and RM, as many groups as the originals had, times
# `group_fraction`. People have played already, under the authors' own mechanisms, so with their
# files nothing of this run's is in the tables.

# %%
if people:
    trials, votes = released.read_experiments(people_folder)
else:
    population = replace(participants.calibrated(), loss=loss)
    template = graphnet.init(jax.random.key(0))
    hcrm, rm = (graphnet.mechanism(store.load_parameters(path, template)) for path in (last / "mechanism.safetensors", rational))
    trials, votes = experiments.run(key_run, population, hcrm, rm, groups=experiments.plan(fraction=group_fraction))
source = trials.source[0]
store.write_table(here / "trials.parquet", trials)
store.write_table(here / "votes.parquet", votes)
experiments.count_votes(trials, votes).round(3)

# %%
votes.groupby(["experiment", "rival", "tail_endowment"], sort=False).vote.mean().unstack().round(3)

# %% [markdown]
# Blocks at a glance: how much was given, how much went to the head, what that made and how evenly
# it ended up.

# %%
blocks = experiments.summarise_blocks(trials)
shown = ["head_relative_contribution", "tail_relative_contribution", "head_share", "surplus", "gini"]
blocks[blocks.session > 0].groupby(["experiment", "mechanism"])[shown].mean().round(3)

# %% [markdown]
# ## Figure 1C: how contributions depend on the mechanism
#
# Strict egalitarian is the tutorial block, without a referee, as in the paper. Stand-ins play more
# games than the original had, so that sampling does not blur their curves; people's are what they
# are. Virtual players do not know whether a referee is present; they roll out freely, fed with
# nothing but their own play.

# %%
virtual = cloning.virtual_players(store.load_parameters(last / "players.safetensors", cloning.init(jax.random.key(0))))
if people:
    participants_curves = experiments.contribution_means(trials)
else:
    participants_curves = participants.fig1c_curves(key_curves, participants.with_or_without_referee(population), n_games=curve_games)
curves = pd.concat(
    [
        participants_curves.assign(source=source),
        participants.fig1c_curves(key_virtual, lambda referee: virtual, n_games=curve_games).assign(source="virtual_players"),
    ]
)
printed = published.read("fig1c_relative_contribution").assign(source="published")
curves = pd.concat([printed, curves], join="inner", ignore_index=True)
figures.contribution_curves(curves, note="people, from the released files" if people else "stand-in participants");

# %%
cells = curves.pivot_table(index=["mechanism", "tail_endowment", "role", "round"], columns="source", values="relative_contribution")
print(f"{source} against published     ", round((cells[source] - cells.published).abs().mean(), 4))
print(f"virtual players against {source}", round((cells.virtual_players - cells[source]).abs().mean(), 4))
store.write_table(here / "fig1c.csv", curves)
