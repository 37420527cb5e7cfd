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
# # Numbers
#
# > Tables and statistics over all seeds go in; every headline number, and every number that the original prints beside ours with a word, come out.
#
# *Outputs: profile `paper`, seeds 0 to 2, iteration 1; made at commit `cbea95f`.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3
last_iteration = 1

# %% [markdown]
# *Headline numbers* are those that README and the paper quote. Each keeps its interval over seeds,
# its unit, the published value where there is one, and the notebooks that made it. The tables come
# from 39_tables, the statistics from 38_statistics, the surface of HCRM from 33_figure3.

# %%
import json

import jax
import numpy as np
import pandas as pd

from democratic_ai import cloning, figures, game, mechanisms, statistics
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.RESULTS / "tables" / "s1b_virtual_votes.csv")
results = here / runs.RESULTS
last = runs.iteration(last_iteration)
read = lambda name: pd.read_csv(results / name, float_precision="round_trip")
numbers = {}


def number(name, value, *, made_by, unit="share of votes", **beside):
    "Keep one headline number under its name, with what stands beside it."
    kept = {"value": value, "low": None, "high": None, "published": None} | beside
    numbers[name] = kept | {"unit": unit, "made_by": made_by}


# %% [markdown]
# ## Elections

# %%
axes = ["rival", "tail_endowment"]
elected, s1b = "24_elect, 39_tables", read("tables/s1b_virtual_votes.csv")
error, least = s1b.difference.abs().mean(), s1b.published.min()
number("s1b_mean_absolute_error", error, made_by=elected)
number("s1b_smallest_share", s1b.vote_share.min(), published=least, made_by=elected)
virtual = runs.read_seeds(here, last / "votes.csv", n_seeds)
for rival in mechanisms.BASELINES:
    by_seed = virtual[virtual.rival == rival].groupby("seed").vote_share.mean()
    value, low, high = statistics.interval_over_seeds(by_seed)
    share = s1b[s1b.rival == rival].published.mean()
    interval = {"low": low, "high": high, "published": share}
    number(f"s1b_share_{rival}", value, **interval, made_by=elected)

# %%
voted, s1a = "25_experiments, 39_tables", read("tables/s1a_votes.csv")
votes = runs.read_seeds(here, "votes.parquet", n_seeds).query("experiment in (2, 3)")
people = published.read("fig2_votes").groupby("rival")
people = people[["votes_for_hcrm", "votes_cast"]].sum()
liked = read("tables/intercept_effects.csv").query("tail_endowment == 'all'")
liked = liked.set_index("rival")
for rival in people.index:
    by_seed = votes[votes.rival == rival].groupby("seed").vote.mean()
    value, low, high = statistics.interval_over_seeds(by_seed)
    share = people.votes_for_hcrm[rival] / people.votes_cast[rival]
    beside_it = {"low": low, "high": high, "published": share}
    if np.isfinite(liked.effect[rival]):
        beside_it["published_net"] = share - liked.effect[rival]
        beside_it["net_standard_error"] = liked.standard_error[rival]
    number(f"s1a_share_{rival}", value, **beside_it, made_by=voted)
net_error = (s1a.vote_share - s1a.net).abs().mean()
one_half = (0.5 - s1a.published).abs().mean()
number("s1a_mean_absolute_error", s1a.difference.abs().mean(), made_by=voted)
if np.isfinite(net_error):
    number("s1a_mean_absolute_error_net", net_error, made_by=voted)
number("s1a_error_of_one_half", one_half, made_by="39_tables")

# %% [markdown]
# ## The metagame

# %%
s2 = read("tables/s2_metagame.csv")
liberal = (s2.col_v == 1) & (s2.col_w == 1) & ~((s2.row_v == 1) & (s2.row_w == 1))
best = s2.loc[s2[liberal].win_probability.idxmax()]
files = [here / runs.seed(k) / last / "metagame.json" for k in range(n_seeds)]
outcomes = [json.loads(file.read_text()) for file in files]
cycles = sum(bool(outcome["cycles"]) for outcome in outcomes)
won = sum(outcome["opponent"] == {"v": 1.0, "w": 1.0} for outcome in outcomes)
of_seeds = f"of {n_seeds} seeds, ties within two standard errors counted"
error = s2.difference.abs().mean()
number("s2_mean_absolute_error", error, made_by="22_metagame, 39_tables")
interval = {"low": best.low, "high": best.high, "published": best.published}
name = "s2_best_share_against_liberal_egalitarian"
number(name, best.win_probability, **interval, made_by="22_metagame")
made = {"made_by": "22_metagame"}
number("s2_seeds_with_a_cycle", cycles, published=0, unit="seeds", **made)
number("s2_seeds_won_by_liberal_egalitarian", won, unit=of_seeds, **made)
outcomes

# %% [markdown]
# ## Figure 1C and the players

# %%
curves = pd.read_csv(results / "data" / "fig1c.csv")
cell = ["mechanism", "tail_endowment", "role", "round"]
cells = curves.pivot_table(index=cell, columns="source", values="relative_contribution")
# people, where their files are
behaved = "people" if "people" in cells else "participants"
gaps = {
    "participants_error": (behaved, "published"),
    "virtual_players_from_participants": ("virtual_players", behaved),
    "virtual_players_error": ("virtual_players", "published"),
}
unit = "fraction of the endowment, mean absolute"
for name, (a, b) in gaps.items():
    gap = (cells[a] - cells[b]).abs().mean()
    number(f"fig1c_{name}", gap, unit=unit, made_by="25_experiments, 31_figure1")

# %%
held_out = read("tables/cloning.csv")
for row in held_out[held_out["by"] == "all"].itertuples():
    name = f"cloning_cross_entropy_{row.model.replace(' ', '_')}"
    value = {"value": row.cross_entropy, "low": row.low, "high": row.high}
    number(name, **value, unit="nats a choice, held out", made_by="21_clone")

# %% [markdown]
# ## Sizes that the text of the paper names
#
# And the shore of Figure 3A in two numbers.

# %%
first = here / runs.seed(0)
rows_of_block = game.Game.n_rounds * game.Game.n_players
n_blocks = len(pd.read_parquet(first / "plays.parquet")) // rows_of_block
number("pilot_blocks", n_blocks, unit="blocks", made_by="20_acquire")
shape = cloning.init(jax.random.key(0))
of_first = first / runs.iteration(0) / "players.safetensors"
players = store.load_parameters(of_first, shape)
size = sum(x.size for x in jax.tree.leaves(players))
number("virtual_player_parameters", size, unit="parameters", made_by="21_clone")
surface = pd.read_csv(results / "data" / "fig3a_beach.csv")
generous = surface[surface.tail_contribution_sum == 3 * surface.tail_endowment]
of_hcrm = generous[generous.mechanism == "hcrm"]
made = {
    "unit": "fraction of the fund, tails giving everything",
    "made_by": "24_elect, 33_figure3",
}
for below, word in ((True, "below"), (False, "from")):
    share = of_hcrm[(of_hcrm.head_contribution < 5) == below].head_share.mean()
    number(f"fig3a_head_share_{word}_half", share, **made)

# %%
training = runs.read_seeds(here, runs.rational() / "training.csv", n_seeds)
ends = training.groupby("seed").vote_share.agg(lambda share: share.tail(100).mean())
unit = "share of the votes, last 100 updates, smallest and largest seed"
interval = {"low": ends.min(), "high": ends.max()}
made = {"unit": unit, "made_by": "27_rational"}
number("rm_share_in_training", ends.mean(), **interval, **made)
unit = "fraction of the fund, everybody giving everything"
made = {"unit": unit, "made_by": "24_elect, 27_rational, 33_figure3"}
all_give = generous[generous.head_contribution == 10]
learned = all_give.mechanism.isin(["hcrm", "rational"])
for row in all_give[learned & all_give.tail_endowment.isin([2, 10])].itertuples():
    name = f"fig3a_head_share_{row.mechanism}_{row.tail_endowment}_all_give"
    number(name, row.head_share, **made)

# %% [markdown]
# ## Every published number beside ours
#
# One row for each number that the original prints, with a word by the rule of 11_statistics. The
# margins are the published numbers' own uncertainty. For shares of votes it is binomial, since
# people are a sample. For virtual players it is the standard error of as many blocks as ours and
# half of the last printed digit; for t statistics it is two standard errors of a standard normal. A
# mean of Figure 1C rests on some 65 heads and three times as many tails; its margin is `CURVES`,
# two standard errors of that.
#
# Not every row is evidence, so each has a `kind`:
#
# - *prediction*: nothing of ours was made to bring it out;
# - *repeated*: it follows from other rows, like mirrored cells of Table S2, or a total of cells;
# - *construction*: an input of ours, like a number of groups;
# - *calibrated*: the stand-ins were fitted to it, or to what it is computed from;
# - *assumed*: it follows from how stand-ins are stated to answer.
#
# Only predictions are counted. And a rule that everybody passes is no rule: for rows about votes
# `coin_toss` says if voters who toss coins would have agreed, with the same errors as ours. Their
# shares are one half, their t is zero, their p just as often above as below one half.

# %%
CURVES = 0.05  # fraction of the endowment
beside = []


def put_beside(place, ours, published, *, kind, chance=None, why=None, **rule):
    "Add a row to the long table; `ours` is a value with its interval."
    rule = {"sign": "=", "is_p": False, "margin": 0.0} | rule
    verdict, toss = statistics.agreement(published, *ours, **rule), None
    value, low, high = ours
    if chance is not None:
        errors = low - value + chance, high - value + chance
        toss = statistics.agreement(published, chance, *errors, **rule)
    row = dict(zip(("name", "section", "what"), place, strict=True))
    row |= {"kind": kind, "sign": rule["sign"], "published": published}
    row |= {"ours": value, "low": low, "high": high, "margin": rule["margin"]}
    row |= {"verdict": "cannot be compared" if why else verdict}
    beside.append(row | {"coin_toss": None if why else toss, "why": why})


PREDICTED_VOTES = {"kind": "prediction", "chance": 0.5}


def kind_of(row):
    "Say of a number of the text whether it is a prediction."
    if row.kind in ("count", "rounded"):
        return "construction"
    if row.name.startswith("exp1_"):
        return "calibrated"
    if row.name.startswith("debriefing_"):
        return "assumed"
    # shares of Experiments 2 and 3 are cells of Table S1a, or several of them together
    of_cells = row.kind == "share" and row.name.startswith(("exp2_", "exp3_"))
    return "repeated" if of_cells else "prediction"


def chance_of(row):
    "Give what a number about votes is where voters toss coins."
    about_votes = row.kind in ("share", "p") and "votes" in row.what.split()
    return 0.5 if about_votes else None


def binomial_margin(share, n):
    "Give two standard errors of a share of n votes."
    return 1.96 * np.sqrt(share * (1 - share) / n)


# %%
pairs = ["row_v", "row_w", "col_v", "col_w"]
metagame = runs.read_seeds(here, last / "metagame.csv", n_seeds)
block_error = metagame.groupby(pairs).error.mean()
for row in s2[(s2.row_v != s2.col_v) | (s2.row_w != s2.col_w)].itertuples():
    pair = (row.row_v, row.row_w, row.col_v, row.col_w)
    name = "s2_{:g}_{:g}_{:g}_{:g}".format(*pair)
    what = "v={:g}, w={:g} against v={:g}, w={:g}".format(*pair)
    ours = (row.win_probability, row.low, row.high)
    margin = 1.96 * block_error[pair] + 0.0005
    mirrored = (row.row_v, row.row_w) > (row.col_v, row.col_w)
    of_row = {"kind": "repeated" if mirrored else "prediction", "chance": 0.5}
    put_beside((name, "Table S2", what), ours, row.published, margin=margin, **of_row)
for row in s1b.itertuples():
    name = f"s1b_{row.rival}_{row.tail_endowment}"
    against = f"{figures.label(row.rival)}, tails of {row.tail_endowment}"
    ours = (row.vote_share, row.low, row.high)
    margin = 1.96 * block_error.max() + 0.0005
    place = (name, "Table S1b", f"virtual votes against {against}")
    put_beside(place, ours, row.published, margin=margin, **PREDICTED_VOTES)

# %%
cast = published.read("fig2_votes").set_index(axes).votes_cast
for row in s1a.itertuples():
    name = f"s1a_{row.rival}_{row.tail_endowment}"
    what = f"votes against {figures.label(row.rival)}, tails of {row.tail_endowment}"
    margin = binomial_margin(row.published, cast[row.rival, row.tail_endowment])
    ours = (row.vote_share, row.low, row.high)
    as_printed = abs(row.published - row.published_table_s1a) < 1e-9
    section = "Table S1a" if as_printed else "released counts"
    place = (name, section, what)
    put_beside(place, ours, row.published, margin=margin, **PREDICTED_VOTES)
line = ["mechanism", "tail_endowment", "role"]
lines = {"index": line, "columns": "source", "values": "relative_contribution"}
lines = curves.pivot_table(**lines, sort=False)
for (mechanism, tail, role), row in lines.iterrows():
    name = f"fig1c_{mechanism}_{tail}_{role}"
    what = f"{role}s' mean contribution, {figures.label(mechanism)}, tails of {tail}"
    ours, rule = (row[behaved], np.nan, np.nan), {"margin": CURVES}
    place = (name, "Figure 1C", what)
    put_beside(place, ours, row.published, kind="calibrated", **rule)

# %%
PREDICTORS = {"intercept": "the intercept", "rpay": "relative payout"}
PREDICTORS |= {"apay": "payout in coins", "cont": "the group's contributions"}
for row in pd.read_csv(results / "tables" / "figS2.csv").itertuples():
    name = f"figS2_{row.rival}_{row.predictor}"
    what = f"t of {PREDICTORS[row.predictor]}, against {figures.label(row.rival)}"
    ours, rule = (row.t, row.t_low, row.t_high), {"margin": 1.96}
    place = (name, "Figure S2", what)
    put_beside(place, ours, row.published, kind="prediction", chance=0.0, **rule)
for row in pd.read_csv(results / "tables" / "text_statistics.csv").itertuples():
    margins = {"share": binomial_margin(row.published, row.votes), "rounded": 0.005}
    margin = margins.get(row.kind, 0.0)
    unknown = "the released files have no such answers" if np.isnan(row.ours) else None
    reason = unknown if pd.isna(row.not_comparable) else row.not_comparable
    rule = {"sign": row.sign, "is_p": row.kind == "p"}
    rule["margin"] = 0.0 if np.isnan(margin) else margin
    ours = (row.ours, row.low, row.high)
    place = (row.name, row.section, row.what)
    about = {"kind": kind_of(row), "chance": chance_of(row), "why": reason}
    put_beside(place, ours, row.published, **rule, **about)

# %%
beside = pd.DataFrame(beside)
assert beside.name.is_unique and len(beside) >= 120
store.write_table(results / "tables" / "published_beside_ours.csv", beside.round(5))
predicted = beside[beside.kind == "prediction"]
comparable = int((predicted.verdict != "cannot be compared").sum())
of_all = f"of {comparable} predictions among {len(beside)} published numbers"
for verdict, count in predicted.verdict.value_counts().items():
    name = f"published_numbers_that_{verdict.replace(' ', '_')}"
    number(name, int(count), unit=of_all, made_by="37_numbers")
of_votes = predicted[predicted.coin_toss.notna()]
of_all = f"of {len(of_votes)} predictions about votes"
for name, column in (("agree", "verdict"), ("coin_tossers_agree", "coin_toss")):
    count = int((of_votes[column] == "agree").sum())
    kept = f"predictions_about_votes_that_{name}"
    number(kept, count, unit=of_all, made_by="37_numbers")
beside.groupby(["kind", "section", "verdict"], sort=False).size().unstack(fill_value=0)

# %% [markdown]
# ## What a seed takes
#
# Elections, RM and experiments can be made beside the next iteration, while there is one. The chain
# of play, cloning, metagame, training and repeat cannot. Table ST2's other populations are trained
# by one seed for all, and are not counted.

# %%
took = runs.read_benchmarks(here)
of_rm = took.index.str.contains("/rational/")
took = took[~of_rm | took.index.str.contains(str(runs.rational()))]
took = took[~took.index.str.contains(f"{runs.HCMD_ZERO}|{runs.CONTROL}")]
chain = took.index.str.contains(r"/2[01238]_\w+$")
clock = "minutes on one core, other seeds beside it"
counted = "minutes of computing on one core"
one_by_one = (
    "minutes of a seed's play, cloning, metagame, training and repeat, one after the"
    " other in every iteration"
)
for name, column, steps, unit in (
    ("minutes_per_seed", "minutes", took, clock),
    ("cpu_minutes_per_seed", "cpu_minutes", took, counted),
    ("minutes_of_the_chain", "minutes", took[chain], one_by_one),
):
    seeds = [steps.index.str.startswith(f"{runs.seed(k)}/") for k in range(n_seeds)]
    sums = [float(steps[column][of_seed].sum()) for of_seed in seeds]
    interval = {"low": min(sums), "high": max(sums)}
    number(name, float(np.mean(sums)), **interval, unit=unit, made_by="Snakefile")
largest = round(took.gib.max(), 2)
number("largest_memory_of_a_step", largest, unit="GiB", made_by="Snakefile")
store.write_json(results / "numbers" / "democratic_ai.json", numbers)
pd.DataFrame(numbers).T.drop(columns="made_by")
