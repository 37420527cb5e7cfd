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
# # Figure 1
#
# > What all seeds measured in Experiment 1 goes in; Figure 1C, and the data behind it, come out.

# %% tags=["parameters"]
folder = "runs/smoke"
n_seeds = 1

# %%
from pathlib import Path

import pandas as pd

from democratic_ai import data, figures

here = Path(folder)
curves = pd.concat([pd.read_csv(here / f"seed{k}" / "fig1c.csv").assign(seed=k) for k in range(n_seeds)])
curves = curves.groupby(["source", "mechanism", "tail_endowment", "role", "round"], sort=False).relative_contribution.mean().reset_index()

# %% [markdown]
# ## 1C: contributions under three mechanisms
#
# Published points are people; lines are stand-in participants, and virtual players that imitate them. In the original, strict
# egalitarian let contributions slide for everybody, libertarian raised them, and under liberal egalitarian tails climbed
# while the head did not.

# %%
figure = figures.contribution_curves(curves, note="stand-in participants")
figures.save(figure, here / "results" / "figures" / "fig1c.svg")

# %%
cells = curves.pivot_table(index=["mechanism", "tail_endowment", "role", "round"], columns="source", values="relative_contribution")
errors = pd.DataFrame(
    {
        "participants - published": (cells.participants - cells.published).abs().groupby(["mechanism", "role"]).mean(),
        "virtual players - participants": (cells.virtual_players - cells.participants).abs().groupby(["mechanism", "role"]).mean(),
    }
)
errors.round(3)

# %%
data.write_table(here / "results" / "data" / "fig1c.csv", curves)
