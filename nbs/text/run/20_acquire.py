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
# # Acquire: blocks of play for virtual players to learn from
#
# > A population of stand-in participants goes in; the blocks of play that virtual players will learn from come out.
#
# *Outputs: profile `paper`, seed 0, iteration 1; made at commit `cbea95f` in 0.6 minutes.*

# %% tags=["parameters"]
folder = "runs/paper/seed0"  # where this seed's files go
seed = 0
population = 0  # which stand-in participants, 0 = the calibrated ones
pilot_blocks = 4809
holdout_blocks = 288

# %% [markdown]
# The loop starts with a pilot: the published mix of endowments, tutorial blocks, drop-outs replaced
# by bots, and early mechanisms. What later iterations learn from besides is played in 28_repeat, by
# new groups under each new mechanism. The hold-out is played once, by people who are in neither.
#
# Nobody here is a person. `population` says which of the calibrated populations plays (see
# 03_participants); other than 0 serves the sensitivity analysis.

# %%
from functools import partial

from democratic_ai import data, participants
from democratic_ai.engine import runs, store, streams

here = runs.open_run(folder)
crowd = participants.calibrated(population)
stream = partial(streams.stream, seed, "acquire")

# %%
plays = participants.pilot(stream("plays"), crowd, n_blocks=pilot_blocks)
n_groups = holdout_blocks // 3
holdout = participants.holdout(stream("holdout"), crowd, n_groups=n_groups)

# %%
table = data.plays_to_table(plays)
relative = table.assign(relative=table.contribution / table.endowment)
summary = relative.groupby(["mechanism", "session"]).agg(
    blocks=("group", "nunique"),
    answered=("answered", "mean"),
    relative_contribution=("relative", "mean"),
)
summary.round(2)

# %% [markdown]
# `answered` is the share of answers that virtual players may learn from; the rest are those of
# players who dropped out.

# %%
store.write_table(here / "plays.parquet", table)
store.write_table(here / "holdout.parquet", data.plays_to_table(holdout))
print(f"{len(plays)} blocks, {len(holdout)} held out")
