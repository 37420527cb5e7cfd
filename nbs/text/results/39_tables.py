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
# # Tables
#
# > What all seeds wrote goes in; Tables S1a, S1b, S2 and ST2, and how well virtual players foretell people, come out, each beside the published table.
#
# *Outputs: profile `paper`, seeds 0 to 2, iteration 1; made at commit `cbea95f`.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3
last_iteration = 1

# %%
import json
import re

import pandas as pd

from democratic_ai import figures, statistics
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.seed(0) / "votes.parquet")
tables = here / runs.RESULTS / "tables"
last = runs.iteration(last_iteration)

# %% [markdown]
# ## Table S1b: elections among virtual players

# %%
axes = ["rival", "tail_endowment"]
of_iteration = lambda i: runs.read_seeds(here, runs.iteration(i) / "votes.csv", n_seeds)
every = [of_iteration(i).assign(iteration=i) for i in range(last_iteration + 1)]
every = pd.concat(every)
of_last = every[every.iteration == last_iteration]
s1b = statistics.over_seeds(of_last, axes, "vote_share")
printed = published.read("table_s1b_virtual_votes")
s1b = statistics.compare_with_published(s1b, printed, on=axes, value="vote_share")
store.write_table(tables / "s1b_virtual_votes.csv", s1b)
s1b.round(3)

# %% [markdown]
# ## Iteration by iteration
#
# The repeat ends where the players foresaw their mechanism (19_repeat), so seeds may differ in how
# many iterations they took. What is copied from the iteration that met the rule is not counted
# again. `control` has twice the updates of cloning in place of new groups.

# %%
def verdict(seed, place):
    "Read what an iteration says on whether to stop."
    found = json.loads((here / runs.seed(seed) / place / "foresight.json").read_text())
    return {"seed": seed} | found


seeds = range(n_seeds)
every_place = [runs.iteration(i) for i in range(last_iteration + 1)]
foresight = [verdict(k, place) for k in seeds for place in every_place]
foresight = pd.DataFrame(foresight).drop_duplicates(["seed", "iteration"])
elected = foresight.groupby("seed").iteration.transform("max")
foresight["elected"] = foresight.iteration == elected
controls = [k for k in seeds if (here / runs.seed(k) / runs.CONTROL).exists()]
controls = pd.DataFrame([verdict(k, runs.CONTROL) for k in controls])
foresight["players"] = "with the new groups"
foresight = pd.concat([foresight, controls.assign(players="control", elected=False)])
store.write_table(tables / "foresight.csv", foresight.round(5))
foresight.set_index(["players", "seed", "iteration"]).round(3)

# %% [markdown]
# And what did the repeat change in the votes of virtual players, each in front of those of its own
# iteration?

# %%
own = foresight.query("players != 'control'")[["seed", "iteration"]]
every = every.merge(own)
iterations = statistics.over_seeds(every, ["iteration", *axes], "vote_share")
iterations = iterations.merge(s1b[[*axes, "published"]], on=axes)
store.write_table(tables / "iterations.csv", iterations)
both = ["vote_share", "published"]
table = {"index": "iteration", "columns": "rival", "values": both}
iterations.pivot_table(**table, sort=False).round(3)

# %% [markdown]
# ## Table S1a: elections among participants
#
# The original's two sources disagree on some denominators; both stand here. The interval draws runs
# and, within them, whole groups, as in Figure 2. Tests of whole groups are in 38_statistics.
#
# Part of people's votes is not about payouts: the intercepts of Figure S2. Stand-ins like nobody,
# so the yardstick for their votes is `net`, the published share less what its rival's intercept
# added (05_voting), with its standard error.

# %%
votes = runs.read_seeds(here, "votes.parquet", n_seeds).query("experiment in (2, 3)")
print("who voted:", ", ".join(votes.source.unique()))
s1a = statistics.vote_shares(votes, axes)
released, printed = published.read("fig2_votes"), published.read("table_s1a_votes")
for column, people in (("published", released), ("published_table_s1a", printed)):
    people[column] = people.votes_for_hcrm / people.votes_cast
    s1a = s1a.merge(people[[*axes, column]], on=axes)
s1a["difference"] = s1a.vote_share - s1a.published
liked = pd.read_csv(tables / "intercept_effects.csv")
s1a = s1a.astype({"tail_endowment": str}).merge(liked, on=axes)
s1a["net"] = s1a.published - s1a.effect
s1a = s1a.drop(columns="effect").astype({"tail_endowment": int})
store.write_table(tables / "s1a_votes.csv", s1a)
s1a.round(3)

# %% [markdown]
# ## Table S2: the metagame

# %%
pairs = ["row_v", "row_w", "col_v", "col_w"]
metagame = runs.read_seeds(here, last / "metagame.csv", n_seeds)
s2 = statistics.over_seeds(metagame, pairs, "win_probability")
printed = published.read("table_s2_metagame")
s2 = statistics.compare_with_published(s2, printed, on=pairs, value="win_probability")
store.write_table(tables / "s2_metagame.csv", s2)
figures.matrix_plot(s2, note="virtual players");

# %% [markdown]
# ## Virtual players on groups that they have not seen
#
# Cross-entropy in nats a choice, for every model and part of the held-out choices.

# %%
held_out = runs.read_seeds(here, last / "cloning.csv", n_seeds)
by_cell = statistics.over_seeds(held_out, ["model", "by", "at"], "cross_entropy")
store.write_table(tables / "cloning.csv", by_cell)

# %% [markdown]
# ## Table ST2: for which calculating players does RM generalise?
#
# Shares of the votes against liberal egalitarian, over all endowments; rows are what RM was trained
# with, columns in front of whom it was elected. The text gives no numbers. A row is only as good as
# its training: the second table has the expected share over a hundred updates in a row, at its
# highest and at the end. Where the two differ, the training slid back, and the network elected is
# the one it slid to.

# %%
trained = f"{runs.rational('*', '*')}"
seeds = [here / runs.seed(k) for k in range(n_seeds)]
of_populations = lambda name: [
    file for seed in seeds for file in sorted(seed.glob(f"{trained}/{name}"))
]
files = of_populations("votes.csv")
votes_of_rm = [pd.read_csv(file).assign(seed=file.parts[-4]) for file in files]
populations = ["trained_theta", "trained_sigma", "evaluated_theta", "evaluated_sigma"]
elections = pd.concat(votes_of_rm).groupby(["seed", *populations]).vote_share.mean()
elections = elections.reset_index().groupby("seed")
# seeds in which all four were trained
elections = elections.filter(lambda rows: len(rows) == 16)
st2 = statistics.over_seeds(elections, populations, "vote_share")
store.write_table(tables / "st2.csv", st2)
trained_with, elected_by = populations[:2], populations[2:]
table = {"index": trained_with, "columns": elected_by, "margins": True}
st2.pivot_table(**table, values="vote_share").round(3)

# %%
trainings = []
for file in of_populations("training.csv"):
    theta, sigma = (float(digits) for digits in re.findall(r"\d+", file.parent.name))
    share = pd.read_csv(file).vote_share.rolling(100).mean()
    seed = int(file.parts[-4][4:])
    row = {"trained_theta": theta, "trained_sigma": sigma, "seed": seed}
    trainings.append(row | {"highest": share.max(), "last": share.iloc[-1]})
trainings = pd.DataFrame(trainings)
store.write_table(tables / "st2_training.csv", trainings)
trainings.round(3)
