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
# # Train: a mechanism for the votes of virtual players
#
# > Virtual players and an opponent go in; the mechanism that wins their votes, HCRM, comes out.
#
# *Outputs: profile `paper`, seed 0, iteration 1; made at commit `cbea95f` in 6.9 minutes.*

# %% tags=["parameters"]
folder = "runs/paper/seed0/iter1"
seed = 0
iteration = 1
train_games = 64  # pairs of games for each of the eight tail endowments
train_updates = 10000

# %%
import json
from dataclasses import replace

import jax

from democratic_ai import cloning, figures, mechanisms, training
from democratic_ai.engine import runs, store, streams

here = runs.open_run(folder, "players.safetensors", "metagame.json")
key = streams.stream(seed, "train", iteration)
shape = cloning.init(jax.random.key(0))
params = store.load_parameters(here / "players.safetensors", shape)
opponent = json.loads((here / "metagame.json").read_text())["opponent"]
opponent

# %% [markdown]
# Every update plays two batches of games, one under the mechanism in training and one under the
# opponent, counts the expected votes, and follows the estimator of 08_scg uphill with the optimiser
# of 09_training.

# %%
size = {"games_per_endowment": train_games, "updates": train_updates}
config = replace(training.Training(), **size)
rival = mechanisms.manifold(**opponent)
asked = {"config": config, "checkpoint": here / "checkpoints"}
learned, history = training.fit(key, params, rival, **asked)

# %%
shown = {"value": "vote_share", "label": "expected share of the votes"}
figures.learning_curve(history, **shown, reference=0.5, note="virtual players");

# %% [markdown]
# The curve is the expected share of the votes against the opponent, on the batches it was trained
# on: noisy, and a little flattering. The elections in 24_elect use games of their own.

# %%
store.write_table(here / "training.csv", history)
store.save_parameters(here / "mechanism.safetensors", learned)
