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
# # Figure 3
#
# > The learned mechanisms of all seeds go in; Figure 3A, their mean beach plot beside the baselines', comes out.

# %% tags=["parameters"]
folder = "runs/smoke"
n_seeds = 1
last_iteration = 0

# %%
from pathlib import Path

import pandas as pd

from democratic_ai import data, figures, mechanisms

here = Path(folder)
beach = pd.concat([pd.read_csv(here / f"seed{k}" / f"iter{last_iteration}" / "beach.csv").assign(seed=k) for k in range(n_seeds)])
axes = ["mechanism", "tail_endowment", "head_contribution", "tail_contribution_sum"]
surface = beach.groupby(axes, sort=False).head_share.agg(["mean", "std"]).reset_index().rename(columns={"mean": "head_share"})

# %% [markdown]
# ## 3A: who gets the fund
#
# Every possible round, head player's contribution upwards, tails' to the right. The original HCRM looked like liberal
# egalitarian with a shore: below about half of its endowment the head gets almost nothing back.

# %%
figure = figures.beach_plot(surface, note="trained with stand-in participants")
figures.save(figure, here / "results" / "figures" / "fig3a.svg")

# %% [markdown]
# The shore in numbers: the head's share when the tails give everything, for a head that gives less than half of its ten coins
# and for one that gives more.

# %%
generous = surface[surface.tail_contribution_sum == 3 * surface.tail_endowment]
side = generous.head_contribution.lt(5).map({True: "head gives less than half", False: "head gives half or more"})
generous.groupby(["mechanism", side, "tail_endowment"], sort=False).head_share.mean().unstack().round(3)

# %% [markdown]
# How far do seeds agree? The standard deviation over seeds of HCRM's head share, averaged over all rounds of a condition.

# %%
surface[surface.mechanism == "hcrm"].groupby("tail_endowment")["std"].mean().round(3)

# %%
data.write_table(here / "results" / "data" / "fig3a_beach.csv", surface.drop(columns="std"))
