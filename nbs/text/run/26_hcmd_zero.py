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
# # Run HCMD-zero: from nothing to a mechanism
#
# > Stand-in participants, a few groups at a time, go in; mechanisms that beat their predecessors, and an election against liberal egalitarian, come out.
#
# *Outputs: profile `paper`, seed 0; made at commit `961c861`.*

# %% tags=["parameters"]
folder = "runs/paper/seed0/hcmd_zero"
seed = 0
population = 0  # which stand-in participants, 0 = the calibrated ones
group_fraction = 1.0  # of the original numbers of groups
hcmd_games = 1000  # pairs of games in an update of the mechanism
# the original's updates are divided by this and its learning rate multiplied,
# so that a mechanism moves as far
hcmd_shortening = 1
hcmd_clone_updates = 4000  # of the contribution model
# of the original's updates, how many are done before the last iteration
hcmd_step = 1.0
# what the vote model reads payouts in: endowments or coins
vote_units = "endowments"
# may the vote model's weights be the same in all rounds, where left-out votes say so?
tied = True
hcmd_splits = 2  # random splits on which sizes of the contribution model are compared
# which model gives way to the truth: vote, play, both; nothing: none does
truth = ""
# of a player, seen by the mechanism: endowment and contribution, as in the original;
# 3 adds their ratio
n_features = 2
# the pipeline's name for the code of this step; a record that other code has made is
# not gone on with
code = "by-hand"
# a file to start from; nothing: random weights, as in the original
first_mechanism = ""

# %%
import json
import time
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pandas as pd
from jax.tree_util import Partial

from democratic_ai import (
    experiments,
    figures,
    graphnet,
    hcmd_evaluation,
    hcmd_zero,
    mechanisms,
    participants,
)
from democratic_ai.engine import runs, store, streams

here = runs.open_run(folder)
stream = partial(streams.stream, seed, "hcmd_zero")
crowd = participants.calibrated(population)

# %% [markdown]
# The sizes are the original's, divided in the smaller profiles: fewer groups, fewer games in an
# update, fewer but longer steps. One choice is ours. The original asks for moves so short that the
# models need not extrapolate (3.3.3), and does 2,000 updates between two sessions. Among our people
# so many take a mechanism far beyond what the models have seen, so only the part `hcmd_step` of
# them is done. 44_hcmd_climb tries all of them beside it.

# %%
full, shorter = hcmd_zero.HcmdZero(), int(hcmd_shortening)
config = replace(
    full,
    groups=tuple(max(8, round(n * float(group_fraction))) for n in full.groups),
    games=int(hcmd_games),
    updates=round(full.updates * float(hcmd_step)) // shorter,
    last_updates=full.last_updates // shorter,
    learning_rate=full.learning_rate * shorter,
    imitation=replace(full.imitation, updates=int(hcmd_clone_updates)),
    vote_units=vote_units,
    tied=(False, True) if tied else (False,),
    n_features=int(n_features),
)
config

# %% [markdown]
# ## Seven iterations
#
# All seven are run, as the original's were; where the stop rule would have ended them is noted
# below.

# %%
if truth not in ("", "vote", "play", "both"):
    choices = "choose vote, play, both, or nothing"
    raise hcmd_zero.HcmdError(f"truth is {truth!r}: {choices}.")
true_vote, true_play = truth in ("vote", "both"), truth in ("play", "both")
known_vote = hcmd_evaluation.true_utility if true_vote else None
known = {}
if true_play:
    known["descent"] = Partial(hcmd_evaluation.true_play_descent, population=crowd)

# %%
blank = graphnet.init(jax.random.key(0), n_features=config.n_features)
first = store.load_parameters(first_mechanism, blank) if first_mechanism else None
kept = here / "checkpoints"
begun, made_by = time.monotonic(), kept / code / "made_by.json"
if made_by.exists():
    made = json.loads(made_by.read_text())
else:
    made = store.provenance(seed=seed, minutes=0.0)
store.write_json(made_by, made)
steps = (
    partial(hcmd_zero.acquire, population=crowd),
    partial(hcmd_zero.fit_models, checkpoint=kept),
    partial(hcmd_zero.optimise, utility_function=known_vote, checkpoint=kept, **known),
    partial(hcmd_zero.converge, utility_function=known_vote),
)
resumed = {"folder": kept / code, "settings": (crowd, true_vote, true_play)}
record = hcmd_zero.run(config, *steps, key=stream("run"), first=first, **resumed)
minutes = made["minutes"] + (time.monotonic() - begun) / 60
store.write_json(made_by, made | {"minutes": minutes})

# %% [markdown]
# What it all came to, and where the stop rule would have ended it. A mechanism that no gradient can
# move is a dead end, and is called so. (The cells from here on look at the record; the pipeline may
# run them again without making it anew.)

# %%
n_iterations = len(config.groups)
trained = {s: record["mechanism"][str(s)] for s in range(n_iterations + 1)}
rules = {s: graphnet.mechanism(params) for s, params in trained.items()}
stop_reasons = {
    s: hcmd_evaluation.dead_end(rules[s], config.tails)
    or hcmd_zero.stop_reason(**record["metagame"][str(s)])
    for s in range(1, n_iterations + 1)
}
sizes_used = {"groups": config.groups, "embed": config.embed, "hidden": config.hidden}
chosen = {
    name: [float(record["model"][str(s)][name]) for s in stop_reasons]
    for name in ("penalty", "tied")
}
models = {"iteration": list(stop_reasons), **sizes_used, **chosen}
models = pd.DataFrame(models)
models.assign(stop=stop_reasons.values())

# %% [markdown]
# What was compiled for these steps will not be asked for again, and holds more memory than all
# data.

# %%
jax.clear_caches()

# %% [markdown]
# The metagame of every iteration: mechanisms so far, 0 being the random one, against one another
# before the models of that iteration. Below, the last one.

# %%
tables = []
for s, played in record["metagame"].items():
    win, error = (np.asarray(played[name]) for name in ("win", "error"))
    row, col = np.indices(win.shape).reshape(2, -1)
    table = {
        "model_iteration": int(s),
        "iteration_row": row,
        "iteration_col": col,
        "vote_share": win.ravel(),
        "error": error.ravel(),
    }
    tables.append(pd.DataFrame(table))
order = ["model_iteration", "iteration_row", "iteration_col"]
pairings = pd.concat(tables).sort_values(order, ignore_index=True)
axes = {"index": "iteration_row", "columns": "iteration_col", "values": "vote_share"}
pairings[pairings.model_iteration == n_iterations].pivot(**axes).round(3)

# %% [markdown]
# How well does each model (row) foretell each data set (column)? As ratios to the model that was
# made with it.

# %%
predicted = hcmd_evaluation.cross_entropies(record, vote_units)
axes = {"index": ["kind", "model_iteration"], "columns": "data_iteration"}
predicted.pivot(**axes, values="ratio").round(3)

# %% [markdown]
# On the diagonal stand models on the very data that they learned from, and some of what one knows
# of those it has by heart. So invite 500 more groups under the same mechanisms, whose data no model
# has seen, and try again.

# %%
larger = replace(config, groups=(500,) * n_iterations)
asked, new_groups = {"population": crowd, "config": larger}, {}
for s in stop_reasons:
    new_groups[str(s)] = hcmd_zero.acquire(stream("new_groups", s), record, s, **asked)
predicted_new = record | {"data": new_groups}
predicted_new = hcmd_evaluation.cross_entropies(predicted_new, vote_units)
predicted_new.pivot(**axes, values="ratio").round(3)

# %% [markdown]
# How much of a vote can be predicted at all? The rule by which these people vote is known (05). Of
# the same 500 groups, how much better than a coin does it predict a vote? How much better without
# knowing which block came first, and how much better does the vote model? In thousandths of a nat
# per vote (17).

# %%
key = stream("vote_information")
knowable = hcmd_evaluation.vote_information(key, record, new_groups, vote_units)
knowable.round(2)

# %% [markdown]
# Would other sizes have predicted better? Nats a choice on groups left out, mean over the splits.

# %%
asked = {"config": config, "splits": int(hcmd_splits)}
sizes = hcmd_evaluation.cross_validate_sizes(stream("sizes"), record, **asked)
axes = {"index": "iteration", "columns": ["embed", "hidden"]}
sizes.pivot_table(**axes, values="cross_entropy").round(3)

# %% [markdown]
# And how did people come off who played so that we could learn? `worst` is the smallest return of
# anybody, as a fraction of what whoever keeps all coins is sure of; `losers` how many got less than
# that.

# %%
left_with = hcmd_evaluation.worst_returns(record)
left_with.round(3)

# %% [markdown]
# ## What the mechanisms do

# %%
beach = pd.concat(
    graphnet.beach(rule, tail).assign(iteration=s, tail_endowment=tail)
    for s, rule in rules.items()
    for tail in config.tails
)
last = beach[beach.iteration == n_iterations].assign(mechanism="hcmd_zero")
figures.beach_plot(last, note="trained with modelled participants");

# %% [markdown]
# What is left for a head that gives nothing while tails of 8 give 2 coins each? And how far could a
# head's share still be moved (`slope`; .19 for equal shares, 0 at a dead end)?

# %%
endowment, contribution = np.array([10.0, 8, 8, 8]), np.array([0.0, 2, 2, 2])
idle = [float(rule(endowment, contribution)[0]) for rule in rules.values()]
slope = [hcmd_evaluation.head_slope(rule, config.tails) for rule in rules.values()]
idle = pd.DataFrame({"iteration": list(rules), "head_share": idle, "slope": slope})
idle.round(3)

# %% [markdown]
# What does the vote model like? Weights of the whole endowment of whose it is (or of ten coins),
# mean over ten rounds. The others sit in the order of the table: for three voters in four the first
# of them is the head, and for the head they are all tails.

# %%
weight = np.stack([record["model"][str(s)]["vote_weights"] for s in stop_reasons])
weight = weight.sum(1)[:, 1:] / 10  # [iteration, contribution or payout, seat]
whose = {
    "own": weight[..., 0],
    "first other": weight[..., 1],
    "two others": weight[..., 2:].mean(-1),
}
rows = [
    (s, q, who, w[k, i])
    for who, w in whose.items()
    for k, s in enumerate(stop_reasons)
    for i, q in enumerate(("contribution", "payout"))
]
weights = pd.DataFrame(rows, columns=["iteration", "quantity", "whose", "weight"])
axes = {"index": "iteration", "columns": ["quantity", "whose"], "values": "weight"}
weights.pivot(**axes).round(3)

# %% [markdown]
# ## Elections against mechanisms from outside
#
# Liberal egalitarian and libertarian took no part in the seven iterations. (A first mechanism from
# elsewhere may have met them: RM was trained against liberal egalitarian.) Every mechanism so far
# meets them, before 500 new groups of participants at each endowment who play as in the sessions
# above.

# %%
seated = mechanisms.head_and_tails(np.repeat(np.array(config.tails, np.float32), 500))
rows = []
for rival in ("liberal_egalitarian", "libertarian"):
    for s in range(n_iterations + 1):
        met = (trained[s], mechanisms.BASELINES[rival], seated)
        votes = hcmd_evaluation.votes_against(stream("course"), crowd, *met)
        share = np.asarray(votes).reshape(len(config.tails), -1).mean(1)
        shares = zip(config.tails, share, strict=True)
        rows += [(rival, s, tail, x) for tail, x in shares]
columns = ["rival", "iteration", "tail_endowment", "vote_share"]
course = pd.DataFrame(rows, columns=columns)
axes = {"index": ["rival", "iteration"], "columns": "tail_endowment"}
course.pivot_table(**axes, values="vote_share", margins=True).round(3)

# %% [markdown]
# ## The last election
#
# New groups play a tutorial, the last mechanism and liberal egalitarian, in either order, and vote;
# the tutorial is Koster et al.'s. The original does not say how many groups came; here as many as
# HCRM met against liberal egalitarian, so that the two elections can be compared.

# %%
groups = experiments.plan(fraction=float(group_fraction))
groups = groups.query("experiment == 2 and rival == 'liberal_egalitarian'")
groups = groups.reset_index(drop=True)
contenders = {
    experiments.AGENT: rules[n_iterations],
    "liberal_egalitarian": mechanisms.liberal_egalitarian,
}
key = stream("experiment", "plays")
plays = experiments.play_experiment(key, crowd, groups, contenders)
trials = experiments.trial_table(plays, pd.concat([groups] * 3), source="participants")
votes = experiments.collect_votes(stream("experiment", "votes"), plays, groups)
trials, votes = experiments.validate(trials, votes)
trials["mechanism"] = trials.mechanism.replace(experiments.AGENT, "hcmd_zero")
votes.groupby("tail_endowment").vote.agg(["mean", "size"]).round(3)

# %%
store.write_table(here / "metagame.csv", pairings)
store.write_table(here / "cross_entropy.csv", predicted)
store.write_table(here / "cross_entropy_unmet.csv", predicted_new)
store.write_table(here / "knowable.csv", knowable)
store.write_table(here / "models.csv", models)
store.write_table(here / "sizes.csv", sizes)
store.write_table(here / "worst_returns.csv", left_with)
store.write_table(here / "idle_head.csv", idle)
store.write_table(here / "vote_weights.csv", weights)
store.write_table(here / "course.csv", course)
store.write_table(here / "beach.csv", beach)
store.write_table(here / "trials.parquet", trials)
store.write_table(here / "votes.parquet", votes)
reasons = {str(s): reason for s, reason in stop_reasons.items()}
store.write_json(here / "stop.json", reasons)
stamp = store.provenance(seed=seed, record=json.loads(made_by.read_text()))
store.write_json(here / "made_by.json", stamp)
store.save_parameters(here / "mechanism.safetensors", trained[n_iterations])
