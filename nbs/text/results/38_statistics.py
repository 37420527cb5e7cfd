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
# # Statistics of the text
#
# > Play and votes of all four experiments go in; every test, share and count that the paper's text reports comes out beside the printed value, and every finding with a word.
#
# *Outputs: profile `paper`, seeds 0 to 2, iteration 1; made at commit `cbea95f` in 0.3 minutes.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3
last_iteration = 1

# %% [markdown]
# The same tests on our data: one slope per group, one difference per group, whole groups flipped
# (11_statistics). Every seed is a repetition of all four experiments, with a mechanism of its own
# and groups of its own. What comes out of several seeds is their mean with Student's interval; of
# p-values, the middle one with the smallest and largest.

# %%
import numpy as np
import pandas as pd

from democratic_ai import experiments, findings, statistics
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.seed(0) / "votes.parquet")
places = [here / runs.seed(k) for k in range(n_seeds)]
read = lambda place, name: pd.read_parquet(place / f"{name}.parquet")
seeds = [{name: read(place, name) for name in ("trials", "votes")} for place in places]
print("who behaved here:", ", ".join(seeds[0]["trials"].source.unique()))

# %% [markdown]
# ## Experiment 1: contributions
#
# Over time: a line for each group. Between conditions: the heads' mean contributions.

# %%
pd.Series(statistics.experiment1_tests(seeds[0]["trials"])).round(4)

# %% [markdown]
# ## Experiments 2 and 3: votes

# %%
trials, votes = seeds[0]["trials"], seeds[0]["votes"]
blocks = experiments.summarise_blocks(trials[trials.experiment == 3])
tests = statistics.experiment2_tests(votes)
tests |= statistics.experiment3_tests(votes, blocks)
pd.Series(tests).round(4)

# %% [markdown]
# ## Experiment 4: human referees
#
# The head's part of all payouts, round by round, in six equal bins: how often does each referee pay
# it little? Referee and bin interact if the two profiles differ in shape. Rounds in which there was
# nothing to pay have no bin.

# %%
pd.Series(statistics.experiment4_tests(**seeds[0])).round(4)

# %% [markdown]
# ## Which answers go with the vote?
#
# One logistic regression of the vote on all seven answers, Experiments 2 and 3 together. People
# were asked; stand-ins answer by a stated model. The released tables have no answers, so with
# people this part stays empty.

# %%
findings.debriefing_tests(seeds[0]["votes"])

# %% [markdown]
# ## All of it, over seeds

# %%
found = pd.DataFrame([findings.text_statistics(**seed) for seed in seeds])
printed = published.read("text_statistics").set_index("name")


def over_seeds(name):
    "Give value and interval of one statistic over seeds; NaN if it was not computed."
    if name not in found:
        return statistics.Interval(np.nan, np.nan, np.nan)
    of_p = printed.kind[name] == "p"
    interval = statistics.p_value_over_seeds if of_p else statistics.interval_over_seeds
    return interval(found[name].to_numpy(float))


ours = {name: over_seeds(name) for name in printed.index}
table = printed.join(pd.DataFrame(ours, index=["ours", "low", "high"]).T)
accounted_for = table.ours.notna() | table.not_comparable.notna()
people = "people" in set(seeds[0]["trials"].source)
assert accounted_for.all() or people, "nothing printed is left out in silence"
path = here / runs.RESULTS / "tables" / "text_statistics.csv"
store.write_table(path, table.reset_index())
table[["what", "sign", "published", "ours", "low", "high"]].round(4)

# %% [markdown]
# ## What the paper found, found or not
#
# Numbers may miss and findings hold, or the other way round. Each finding (18_findings) is written
# as one number that should be above zero, computed on many more groups than the paper had. It is
# *found*, *refuted*, or we *cannot tell*, by its interval over seeds; `power` is the chance of the
# word "found" had all been as published. One seed has no interval; then its number decides.

# %%
last, surfaces = runs.iteration(last_iteration), ("beach", "metagame")
tables = [
    {name: read(place, f"many_{name}") for name in ("blocks", "votes")}
    | {
        name: pd.read_csv(place / last / f"{name}.csv")
        for name in ("beach", "metagame")
    }
    for place in places
]


def judged(voter="vote"):
    "Judge all findings over seeds, by the votes of one kind of voter."
    votes = [of["votes"].assign(vote=of["votes"][voter]) for of in tables]
    of_voter = [of | {"votes": cast} for of, cast in zip(tables, votes, strict=True)]
    margins = pd.DataFrame([findings.finding_margins(**of) for of in of_voter])
    theirs = findings.published_margins()
    return findings.judge_findings(margins, findings.FINDINGS, published=theirs)


judgements = judged()
store.write_table(here / runs.RESULTS / "tables" / "findings.csv", judgements.round(5))
judgements.drop(columns="name").set_index("finding").round(3)

# %% [markdown]
# ## How much hangs on the voters
#
# Stand-ins vote by weights that were stated. With other weights the same persons, with the same
# luck, would have voted otherwise. Which findings would have had another word?

# %%
asked = [name for name in experiments.OTHER_VOTERS if name in tables[0]["votes"]]
voters = {name: judged(name).set_index("name") for name in ("vote", *asked)}
voters = pd.concat(voters, names=["voter"])
of_votes = voters.groupby("name").margin.transform(lambda margin: margin.nunique() > 1)
columns = ["finding", "margin", "low", "high", "word"]
voters = voters[of_votes | (len(asked) == 0)][columns].reset_index()
path = here / runs.RESULTS / "tables" / "voters.csv"
store.write_table(path, voters.round(5))
voters.pivot(index="finding", columns="voter", values="word")

# %%
voters.pivot(index="finding", columns="voter", values="margin").round(3)
