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
# # Figure 2
#
# > The votes of all seeds go in; Figure 2, HCRM's share of them against four rivals, beside the published shares, comes out.
#
# *Outputs: profile `paper`, seeds 0 to 2; made at commit `cbea95f` in 0.2 minutes.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3

# %%
import pandas as pd

from democratic_ai import figures, statistics
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.seed(0) / "votes.parquet")
cast = runs.read_seeds(here, "votes.parquet", n_seeds)
cast = cast.query("experiment in (2, 3) and vote == vote")  # a vote not cast is NaN
by_rival = cast.groupby(["source", "experiment", "rival"], sort=False).vote
by_rival.agg(["size", "mean"]).round(3)

# %% [markdown]
# ## 2: who votes for HCRM
#
# Bars are shares of votes, tails and heads apart and all together; the diamonds are what people
# did. The interval draws runs and, within them, whole groups, because the four votes of a group are
# not four opinions. In the original HCRM won against strict egalitarian and libertarian at every
# tail endowment, against liberal egalitarian at all but tails of 2, and against RM overall, but not
# where all had the same.

# %%
role = cast.player.eq(0).map({True: "head", False: "tail"})
everybody = pd.concat([cast.assign(role="all"), cast.assign(role=role)])
axes = ["rival", "tail_endowment", "role"]
shares = statistics.vote_shares(everybody, axes)
people = published.read("fig2_votes").assign(role="all")
people = people.assign(published=people.votes_for_hcrm / people.votes_cast)
shares = shares.merge(people[[*axes, "published"]], how="left")

# %%
note = figures.behaviour_label(cast.source, n_seeds=n_seeds)
figure = figures.vote_bars(shares, note=note)
figures.save(figure, here / runs.RESULTS / "figures" / "fig2.svg")
store.write_table(here / runs.RESULTS / "data" / "fig2.csv", shares.round(5))

# %% [markdown]
# The bars of all players in numbers, and how far they are from the diamonds.

# %%
together = shares[shares.role == "all"]
far = (together.vote_share - together.published).abs().mean()
print("mean absolute difference from the published shares", round(far, 3))
together.pivot(
    index="tail_endowment", columns="rival", values=["vote_share", "published"]
).round(2)
