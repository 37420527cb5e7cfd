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
# > What all seeds wrote goes in; Tables S1a, S1b, S2 and ST2, every headline number and its provenance come out, each beside the published one.

# %% tags=["parameters"]
folder = "runs/smoke"
profile = "smoke"
n_seeds = 1
last_iteration = 0

# %%
import json
import re
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from democratic_ai import cloning, figures, game, mechanisms, statistics
from democratic_ai.engine import published, runs, store

here = Path(folder)
results = here / "results"
numbers = {}


def number(name, value, *, made_by, low=None, high=None, published=None, unit="share of votes"):
    "Keep one headline number under its name."
    numbers[name] = {"value": value, "low": low, "high": high, "published": published, "unit": unit, "made_by": made_by}


# %% [markdown]
# ## Table S1b: elections among virtual players

# %%
printed = published.read("table_s1b_virtual_votes")
axes = ["rival", "tail_endowment"]
every = pd.concat([runs.read_seeds(here, f"iter{i}/votes.csv", n_seeds).assign(iteration=i) for i in range(last_iteration + 1)])
s1b = statistics.over_seeds(every[every.iteration == last_iteration], axes, "vote_share")
s1b = statistics.compare_with_published(s1b, printed, on=axes, value="vote_share")
store.write_table(results / "tables" / "s1b_virtual_votes.csv", s1b)
s1b.round(3)

# %%
number("s1b_mean_absolute_error", s1b.difference.abs().mean(), made_by="24_elect, 39_tables")
number("s1b_smallest_share", s1b.vote_share.min(), made_by="24_elect, 39_tables", published=s1b.published.min())
for rival in mechanisms.BASELINES:
    shares = every[(every.iteration == last_iteration) & (every.rival == rival)].groupby("seed").vote_share.mean()
    mean, low, high = statistics.interval_over_seeds(shares)
    number(f"s1b_share_{rival}", mean, low=low, high=high, published=s1b[s1b.rival == rival].published.mean(), made_by="24_elect, 39_tables")

# %% [markdown]
# The same, iteration by iteration: what did the repeat change?

# %%
iterations = statistics.over_seeds(every, ["iteration", *axes], "vote_share").merge(s1b[[*axes, "published"]], on=axes)
store.write_table(results / "tables" / "iterations.csv", iterations)
iterations.pivot_table(index="iteration", columns="rival", values=["vote_share", "published"], sort=False).round(3)

# %% [markdown]
# ## Table S1a: elections among participants
#
# The original's two sources disagree on some denominators; both stand here. Tests of whole groups are in 38_statistics.

# %%
votes = runs.read_seeds(here, "votes.parquet", n_seeds).query("experiment in (2, 3)")
print("who voted:", ", ".join(votes.source.unique()))
seeds = votes.groupby(["seed", *axes], sort=False).vote.mean().reset_index()
s1a = statistics.over_seeds(seeds, axes, "vote").rename(columns={"vote": "vote_share"})
for source, name in (("published", "fig2_votes"), ("published_table_s1a", "table_s1a_votes")):
    people = published.read(name).assign(**{source: lambda f: f.votes_for_hcrm / f.votes_cast})
    s1a = s1a.merge(people[[*axes, source]], on=axes)
s1a["difference"] = s1a.vote_share - s1a.published
store.write_table(results / "tables" / "s1a_votes.csv", s1a)
s1a.round(3)

# %%
people = published.read("fig2_votes").groupby("rival")[["votes_for_hcrm", "votes_cast"]].sum()
for rival in people.index:
    mean, low, high = statistics.interval_over_seeds(votes[votes.rival == rival].groupby("seed").vote.mean())
    share = people.votes_for_hcrm[rival] / people.votes_cast[rival]
    number(f"s1a_share_{rival}", mean, low=low, high=high, published=share, made_by="25_experiments, 39_tables")
number("s1a_mean_absolute_error", s1a.difference.abs().mean(), made_by="25_experiments, 39_tables")

# %% [markdown]
# ## Table S2: the metagame

# %%
pairs = ["row_v", "row_w", "col_v", "col_w"]
metagame = runs.read_seeds(here, f"iter{last_iteration}/metagame.csv", n_seeds)
s2 = statistics.over_seeds(metagame, pairs, "win_probability")
s2 = statistics.compare_with_published(s2, published.read("table_s2_metagame"), on=pairs, value="win_probability")
store.write_table(results / "tables" / "s2_metagame.csv", s2)
figures.matrix_plot(s2, note="virtual players");

# %%
rivals = s2[(s2.col_v == 1) & (s2.col_w == 1) & ~((s2.row_v == 1) & (s2.row_w == 1))]
ahead = rivals.loc[rivals.win_probability.idxmax()]
outcomes = [json.loads((here / f"seed{k}" / f"iter{last_iteration}" / "metagame.json").read_text()) for k in range(n_seeds)]
number("s2_mean_absolute_error", s2.difference.abs().mean(), made_by="22_metagame, 39_tables")
number(
    "s2_best_share_against_liberal_egalitarian", ahead.win_probability, low=ahead.low, high=ahead.high, published=ahead.published, made_by="22_metagame"
)
number("s2_seeds_with_a_cycle", sum(bool(o["cycles"]) for o in outcomes), published=0, unit="seeds", made_by="22_metagame")
number(
    "s2_seeds_won_by_liberal_egalitarian",
    sum(o["opponent"] == {"v": 1.0, "w": 1.0} for o in outcomes),
    unit=f"of {n_seeds} seeds, ties within two standard errors counted",
    made_by="22_metagame",
)
outcomes

# %% [markdown]
# ## Figure 1C and the players

# %%
curves = pd.read_csv(results / "data" / "fig1c.csv")
cells = curves.pivot_table(index=["mechanism", "tail_endowment", "role", "round"], columns="source", values="relative_contribution")
behaved = "people" if "people" in cells else "participants"  # people, where their released files are
gap = lambda a, b: (cells[a] - cells[b]).abs().mean()
fraction = dict(unit="fraction of the endowment, mean absolute")
number("fig1c_participants_error", gap(behaved, "published"), made_by="25_experiments, 31_figure1", **fraction)
number("fig1c_virtual_players_from_participants", gap("virtual_players", behaved), made_by="25_experiments, 31_figure1", **fraction)
number("fig1c_virtual_players_error", gap("virtual_players", "published"), made_by="25_experiments, 31_figure1", **fraction)

# %%
held_out = runs.read_seeds(here, f"iter{last_iteration}/cloning.csv", n_seeds)
by_cell = statistics.over_seeds(held_out, ["model", "by", "at"], "cross_entropy")
store.write_table(results / "tables" / "cloning.csv", by_cell)
for row in by_cell[by_cell["by"] == "all"].itertuples():
    name = f"cloning_cross_entropy_{row.model.replace(' ', '_')}"
    number(name, row.cross_entropy, low=row.low, high=row.high, unit="nats a choice, held out", made_by="21_clone")

# %% [markdown]
# ## Table ST2: for which calculating players does RM generalise?
#
# Shares of the votes against liberal egalitarian, over all endowments; rows are what RM was trained with, columns in front of whom it was elected. The text gives no numbers. A row is only as good as its training:
# the second table has the expected share over a hundred updates in a row, at its highest and at the end. Where the two differ, the training slid back, and the network elected is the one it slid to.

# %%
votes_of_rm = pd.concat(pd.read_csv(file).assign(seed=file.parts[-4]) for k in range(n_seeds) for file in sorted(here.glob(f"seed{k}/rational/theta*/votes.csv")))
populations = ["trained_theta", "trained_sigma", "evaluated_theta", "evaluated_sigma"]
elections = votes_of_rm.groupby(["seed", *populations]).vote_share.mean().reset_index()
elections = elections.groupby("seed").filter(lambda rows: len(rows) == 16)  # seeds in which all four were trained
st2 = statistics.over_seeds(elections, populations, "vote_share")
store.write_table(results / "tables" / "st2.csv", st2)
st2.pivot_table(index=populations[:2], columns=populations[2:], values="vote_share", margins=True).round(3)

# %%
trainings = []
for file in (path for k in range(n_seeds) for path in sorted(here.glob(f"seed{k}/rational/theta*/training.csv"))):
    theta, sigma = (float(digits) for digits in re.findall(r"\d+", file.parent.name))
    share = pd.read_csv(file).vote_share.rolling(100).mean()
    trainings.append(dict(trained_theta=theta, trained_sigma=sigma, seed=int(file.parts[-4][4:]), highest=share.max(), last=share.iloc[-1]))
trainings = pd.DataFrame(trainings)
store.write_table(results / "tables" / "st2_training.csv", trainings)
trainings.round(3)

# %% [markdown]
# ## Sizes that the text of the paper names
#
# And the shore of Figure 3A in two numbers.

# %%
first = here / "seed0" / "iter0"
number("pilot_blocks", len(pd.read_parquet(first / "plays.parquet")) // (game.Game.n_rounds * game.Game.n_players), unit="blocks", made_by="20_acquire")
players = store.load_parameters(first / "players.safetensors", cloning.init(jax.random.key(0)))
number("virtual_player_parameters", sum(x.size for x in jax.tree.leaves(players)), unit="parameters", made_by="21_clone")
beach = pd.read_csv(results / "data" / "fig3a_beach.csv").query("mechanism == 'hcrm' and tail_contribution_sum == 3 * tail_endowment")
for below, word in ((True, "below"), (False, "from")):
    share = beach[(beach.head_contribution < 5) == below].head_share.mean()
    number(f"fig3a_head_share_{word}_half", share, unit="fraction of the fund, tails giving everything", made_by="24_elect, 33_figure3")
ends = runs.read_seeds(here, "rational/theta1_sigma1/training.csv", n_seeds).groupby("seed").vote_share.agg(lambda share: share.tail(100).mean())
number("rm_share_in_training", ends.mean(), low=ends.min(), high=ends.max(), unit="share of the votes, last 100 updates, smallest and largest seed", made_by="27_rational")
everything = pd.read_csv(results / "data" / "fig3a_beach.csv").query("head_contribution == 10 and tail_contribution_sum == 3 * tail_endowment")
for row in everything[everything.mechanism.isin(["hcrm", "rational"]) & everything.tail_endowment.isin([2, 10])].itertuples():
    name = f"fig3a_head_share_{row.mechanism}_{row.tail_endowment}_all_give"
    number(name, row.head_share, unit="fraction of the fund, everybody giving everything", made_by="24_elect, 27_rational, 33_figure3")

# %% [markdown]
# ## Every published number beside ours
#
# One row for each number that the original prints, with a word by the rule of 11_statistics. The margins, the published numbers' own
# uncertainty: for shares of votes binomial (people are a sample), for virtual players the standard error of as many blocks as ours and half of the last printed
# digit, for t statistics 1.96, for the curves of Figure 1C .05 (two standard errors of some 65 heads and three times as many tails).

# %%
beside = []


def put_beside(name, section, what, ours, published, *, sign="=", is_p=False, margin=0.0, not_comparable=None):
    "Add a row to the long table; `ours` is a value with its interval."
    value, low, high = ours
    verdict = "cannot be compared" if not_comparable else statistics.agreement(published, value, low, high, sign=sign, is_p=is_p, margin=margin)
    columns = dict(name=name, section=section, what=what, sign=sign, published=published, ours=value, low=low, high=high)
    beside.append(columns | {"margin": margin, "verdict": verdict, "why": not_comparable})


def binomial_margin(share, n):
    "Two standard errors of a share of n votes."
    return 1.96 * np.sqrt(share * (1 - share) / n)


block_error = metagame.groupby(pairs).error.mean()
for row in s2[(s2.row_v != s2.col_v) | (s2.row_w != s2.col_w)].itertuples():
    here_and_there = (row.row_v, row.row_w, row.col_v, row.col_w)
    name, what = "s2_{:g}_{:g}_{:g}_{:g}".format(*here_and_there), "v={:g}, w={:g} against v={:g}, w={:g}".format(*here_and_there)
    margin = 1.96 * block_error[here_and_there] + 0.0005
    put_beside(name, "Table S2", what, (row.win_probability, row.low, row.high), row.published, margin=margin)
for row in s1b.itertuples():
    name, what = f"s1b_{row.rival}_{row.tail_endowment}", f"virtual votes against {figures.label(row.rival)}, tails of {row.tail_endowment}"
    margin = 1.96 * block_error.max() + 0.0005
    put_beside(name, "Table S1b", what, (row.vote_share, row.low, row.high), row.published, margin=margin)

# %%
cast = published.read("fig2_votes").set_index(axes).votes_cast
for row in s1a.itertuples():
    name, what = f"s1a_{row.rival}_{row.tail_endowment}", f"votes against {figures.label(row.rival)}, tails of {row.tail_endowment}"
    margin = binomial_margin(row.published, cast[row.rival, row.tail_endowment])
    put_beside(name, "Table S1a", what, (row.vote_share, row.low, row.high), row.published, margin=margin)
lines = curves.pivot_table(index=["mechanism", "tail_endowment", "role"], columns="source", values="relative_contribution", sort=False)
for (mechanism, tail, role), row in lines.iterrows():
    name, what = f"fig1c_{mechanism}_{tail}_{role}", f"{role}s' mean contribution, {figures.label(mechanism)}, tails of {tail}"
    put_beside(name, "Figure 1C", what, (row[behaved], np.nan, np.nan), row.published, margin=0.05)
PREDICTORS = {"intercept": "the intercept", "rpay": "relative payout", "apay": "payout in coins", "cont": "the group's contributions"}
for row in pd.read_csv(results / "tables" / "figS2.csv").itertuples():
    name, what = f"figS2_{row.rival}_{row.predictor}", f"t of {PREDICTORS[row.predictor]}, against {figures.label(row.rival)}"
    put_beside(name, "Figure S2", what, (row.t, row.t_low, row.t_high), row.published, margin=1.96)
for row in pd.read_csv(results / "tables" / "text_statistics.csv").itertuples():
    margin = {"share": binomial_margin(row.published, row.votes), "count": 0.0, "rounded": 0.005, "statistic": 0.0, "p": 0.0}[row.kind]
    unknown = "the released files have no such answers" if np.isnan(row.ours) else None
    reason = unknown if pd.isna(row.not_comparable) else row.not_comparable
    options = dict(sign=row.sign, is_p=row.kind == "p", margin=0.0 if np.isnan(margin) else margin, not_comparable=reason)
    put_beside(row.name, row.section, row.what, (row.ours, row.low, row.high), row.published, **options)

# %%
beside = pd.DataFrame(beside)
assert beside.name.is_unique and len(beside) >= 120
store.write_table(results / "tables" / "published_beside_ours.csv", beside.round(5))
for verdict, count in beside.verdict.value_counts().items():
    number(f"published_numbers_that_{verdict.replace(' ', '_')}", int(count), unit=f"of {len(beside)} published numbers", made_by="39_tables")
beside.groupby(["section", "verdict"], sort=False).size().unstack(fill_value=0)

# %% [markdown]
# ## All of it, and what made it

# %%
steps = {str(file.relative_to(here).with_suffix("")): pd.read_csv(file, sep="\t").iloc[0] for file in sorted(here.glob("**/*.tsv"))}
steps = {name: row for name, row in steps.items() if not name.startswith("loss") and "hcmd_zero" not in name}
minutes = {name: round(row["s"] / 60, 2) for name, row in steps.items()}
memory = {name: round(float(row["max_rss"]) / 1024, 2) for name, row in steps.items()}
compared = lambda name: "/rational/" in name and "theta1_sigma1" not in name  # Table ST2, which one seed does for all
of_seed = lambda k: {name: row for name, row in steps.items() if name.startswith(f"seed{k}/") and not compared(name)}
# elections, RM and experiments can be made beside the next iteration, while there is one; these steps cannot
any_step = lambda name: True
in_the_chain = lambda name: name.split("/")[-1].startswith(("20_", "21_", "22_", "23_"))
for name, measure, counted, unit in (
    ("minutes_per_seed", "s", any_step, "minutes on one core, other seeds beside it"),
    ("cpu_minutes_per_seed", "cpu_time", any_step, "minutes of computing on one core"),
    ("minutes_of_the_chain", "s", in_the_chain, "minutes of a seed's play, cloning, metagame and training, one after the other in every iteration"),
):
    chains = [sum(float(row[measure]) for step, row in of_seed(k).items() if counted(step)) / 60 for k in range(n_seeds)]
    number(name, float(np.mean(chains)), low=min(chains), high=max(chains), unit=unit, made_by="Snakefile")
number("largest_memory_of_a_step", max(memory.values()), unit="GiB", made_by="Snakefile")
pd.DataFrame(numbers).T.drop(columns="made_by")

# %% [markdown]
# README shows these, and takes them from here.

# %%
SUMMARY = {
    "fig1c_participants_error": "Figure 1C: participants from the published means (mean absolute error)",
    "fig1c_virtual_players_from_participants": "Figure 1C: virtual players, playing freely, from participants (mean absolute difference)",
    "s2_mean_absolute_error": "Table S2: nine mechanisms in round robin (mean absolute error)",
    "s2_best_share_against_liberal_egalitarian": "Table S2: best share of the votes against liberal egalitarian",
    "s1b_mean_absolute_error": "Table S1b: HCRM among virtual players (mean absolute error)",
    **{f"s1b_share_{rival}": f"votes for HCRM against {rival.replace('_', ' ')}, virtual players" for rival in mechanisms.BASELINES},
    **{f"s1a_share_{rival}": f"votes for HCRM against {figures.label(rival)}, participants" for rival in [*mechanisms.BASELINES, "rational"]},
    "published_numbers_that_agree": f"published numbers that agree with ours, of {len(beside)}",
    "fig3a_head_share_below_half": "Figure 3A: head's share when it gives less than half and the tails everything",
    "fig3a_head_share_from_half": "the same when the head gives half or more",
    "cpu_minutes_per_seed": "minutes of computing for one seed, on one core",
    "minutes_per_seed": "minutes of its steps by the clock, other work beside them",
    "minutes_of_the_chain": "minutes of its play, cloning, metagame and training, which must follow one another",
}
shown = lambda x: "" if x is None or not np.isfinite(x) else f"{x:.3f}"
lines = [
    {"what": text, "ours": shown(n["value"]), "interval": " to ".join(filter(None, (shown(n["low"]), shown(n["high"])))), "published": shown(n["published"])}
    for text, n in ((text, numbers[name]) for name, text in SUMMARY.items())
]
summary = figures.markdown(pd.DataFrame(lines))
with store.atomic_write(results / "summary.md") as temporary:
    temporary.write_text(summary + "\n")
print(summary)

# %%
last = f"iter{last_iteration}"
for role, source in (("players", f"{last}/players"), ("hcrm", f"{last}/mechanism"), ("rm", "rational/theta1_sigma1/mechanism")):
    parameters = (here / "seed0" / f"{source}.safetensors").read_bytes()
    with store.atomic_write(results / "parameters" / f"{role}.safetensors") as temporary:
        temporary.write_bytes(parameters)
store.write_json(results / "numbers" / "democratic_ai.json", numbers)
store.write_json(
    results / "provenance.json",
    store.provenance(profile=profile, behaviour=behaved, seeds=list(range(n_seeds)), iterations=last_iteration + 1, minutes_per_step=minutes, gib_per_step=memory),
)
