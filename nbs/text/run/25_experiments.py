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
population = 0  # which stand-in participants, 0 = the calibrated ones
last_iteration = 1
curve_games = 4096  # games for each cell of Figure 1C
# RM, which does not depend on the participants
rational = "runs/paper/seed0/rational/theta1_sigma1/mechanism.safetensors"
group_fraction = 1.0  # of the numbers of groups in the original experiments
findings_times = 25  # as many groups as these, on which findings are judged
# with the authors' five files of play and votes, people replace stand-ins
people_folder = "data/released"

# %%
from functools import partial

import jax
import pandas as pd
from IPython.display import Markdown

from democratic_ai import (
    cloning,
    experiments,
    figures,
    graphnet,
    participants,
    released,
)
from democratic_ai.engine import published, runs, store, streams

here = runs.open_run(folder, runs.iteration(last_iteration) / "players.safetensors")
last = here / runs.iteration(last_iteration)
stream = partial(streams.stream, seed, "experiments")
people = all(path.exists() for path in released.experiment_files(people_folder))
stand_ins = (
    "Participants here are **stand-ins**: their play was calibrated on real choices "
    "and summaries of play without any election,\n"
    "their votes, the human referees and the answers to the seven questions "
    "on nothing at all (14_experiments says what was assumed). "
    "What follows is a rehearsal of the experiments, not evidence about people."
)
real = (
    "Participants here are **PEOPLE**: their play and votes are read from "
    f"`{people_folder}`."
)
Markdown(real if people else stand_ins)

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
    crowd = participants.calibrated(population)
    template = graphnet.init(jax.random.key(0))
    paths = (last / "mechanism.safetensors", rational)
    trained = [store.load_parameters(path, template) for path in paths]
    hcrm, rm = (graphnet.mechanism(params) for params in trained)
    groups = experiments.plan(fraction=group_fraction)
    contest = (crowd, hcrm, rm)
    trials, votes = experiments.run(stream("sessions"), *contest, groups=groups)
source = trials.source[0]
store.write_table(here / "trials.parquet", trials)
store.write_table(here / "votes.parquet", votes)
experiments.count_votes(trials, votes).round(3)

# %%
elections = votes.groupby(["experiment", "rival", "tail_endowment"], sort=False)
elections.vote.mean().unstack().round(3)

# %% [markdown]
# Blocks at a glance: how much was given, how much went to the head, what that made and how evenly
# it ended up.

# %%
blocks = experiments.summarise_blocks(trials)
shown = ["head_relative_contribution", "tail_relative_contribution"]
shown += ["head_share", "surplus", "gini"]
blocks[blocks.session > 0].groupby(["experiment", "mechanism"])[shown].mean().round(3)

# %% [markdown]
# ## Many groups
#
# The paper's numbers of groups are kept for its tests. Whether a finding holds under a mechanism is
# another question, and luck among groups need not blur it: stand-ins cost nothing, so the
# experiments are played many times over. Of these only a row per block and the votes are kept.

# %%
if people:
    many_blocks, many_votes = blocks, votes
else:
    many_blocks, many_votes = [], []
    for k in range(findings_times):
        played, cast = experiments.run(stream("many", k), *contest, groups=groups)
        many_blocks.append(experiments.summarise_blocks(played).assign(run=k))
        many_votes.append(cast.assign(run=k))
    many_blocks, many_votes = (
        pd.concat(rows, ignore_index=True) for rows in (many_blocks, many_votes)
    )
store.write_table(here / "many_blocks.parquet", many_blocks)
store.write_table(here / "many_votes.parquet", many_votes)
many_votes.groupby(["experiment", "rival"], sort=False).vote.agg(["mean", "count"])

# %% [markdown]
# ## Figure 1C: how contributions depend on the mechanism
#
# Strict egalitarian is the tutorial block, without a referee, as in the paper. Stand-ins play more
# games than the original had, so that sampling does not blur their curves; people's are what they
# are. Virtual players do not know whether a referee is present; they roll out freely, fed with
# nothing but their own play.

# %%
shape = cloning.init(jax.random.key(0))
virtual = store.load_parameters(last / "players.safetensors", shape)
virtual = cloning.virtual_players(virtual)
curves = {"published": published.read("fig1c_relative_contribution")}
size = {"n_games": curve_games}
if people:
    curves[source] = experiments.contribution_means(trials)
else:
    seated = participants.with_or_without_referee(participants.calibrated(population))
    curves[source] = participants.fig1c_curves(stream("curves", source), seated, **size)
bots = lambda referee: virtual
key = stream("curves", "virtual_players")
curves["virtual_players"] = participants.fig1c_curves(key, bots, **size)
curves = [each.assign(source=name) for name, each in curves.items()]
curves = pd.concat(curves, join="inner", ignore_index=True)
note = "people, from the released files" if people else "stand-in participants"
figures.contribution_curves(curves, note=note);

# %%
axes = ["mechanism", "tail_endowment", "role", "round"]
cells = {"columns": "source", "values": "relative_contribution"}
cells = curves.pivot_table(index=axes, **cells)
from_published = (cells[source] - cells.published).abs().mean()
from_participants = (cells.virtual_players - cells[source]).abs().mean()
print(f"{source} against published     ", round(from_published, 4))
print(f"virtual players against {source}", round(from_participants, 4))
store.write_table(here / "fig1c.csv", curves)
