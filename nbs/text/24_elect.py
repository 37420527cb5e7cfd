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
# # Elect
#
# > A trained mechanism and virtual players go in; its share of the votes against each baseline and its beach plot come out.

# %% tags=["parameters"]
folder = "runs/smoke/seed0/iter0"
seed = 0
iteration = 0
election_blocks = 320  # for each tail endowment

# %%
from pathlib import Path

import jax
import pandas as pd

from democratic_ai import cloning, data, figures, graphnet, mechanisms, metagame

here = Path(folder)
key = jax.random.fold_in(jax.random.key(seed), 2400 + iteration)
players = cloning.virtual_players(data.load_parameters(here / "players.safetensors", cloning.init(jax.random.key(0))))
hcrm = graphnet.mechanism(data.load_parameters(here / "mechanism.safetensors", graphnet.init(jax.random.key(0))))

# %% [markdown]
# Three rivals, five endowments, as in Table S1b. Interval: over blocks of this run; the one over seeds is made in 39_tables.

# %%
votes = metagame.elect(key, players, hcrm, mechanisms.BASELINES, n_blocks=election_blocks)
votes.pivot(index="tail_endowment", columns="rival", values="vote_share").round(3)

# %%
figures.vote_bars(votes, note="virtual players");

# %% [markdown]
# And what does the mechanism do? The share of the fund that goes to the head player, for every contribution of the head and,
# averaged, of the tails. It has no memory, so this surface is all there is to it.

# %%
contenders = {"hcrm": hcrm, **mechanisms.BASELINES}
beach = pd.concat(
    graphnet.beach(mechanism, tail).assign(mechanism=name, tail_endowment=tail) for name, mechanism in contenders.items() for tail in mechanisms.TAILS
)
figures.beach_plot(beach[beach.mechanism == "hcrm"], note="trained with stand-in participants");

# %%
data.write_table(here / "votes.csv", votes)
data.write_table(here / "beach.csv", beach)
