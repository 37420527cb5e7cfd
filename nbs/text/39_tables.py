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
# > What all seeds wrote goes in; Tables S1a, S1b and S2, every headline number and its provenance come out, each beside the published one.

# %% tags=["parameters"]
folder = "runs/smoke"
profile = "smoke"
n_seeds = 1
last_iteration = 0

# %%
import json
from pathlib import Path

import numpy as np
import pandas as pd

from democratic_ai import data, figures, mechanisms, statistics

here = Path(folder)
results = here / "results"
numbers = {}


def number(name, value, *, made_by, low=None, high=None, published=None, unit="share of votes"):
    "Keep one headline number under its name."
    numbers[name] = {"value": value, "low": low, "high": high, "published": published, "unit": unit, "made_by": made_by}


def of_every_seed(name, *, iteration=None):
    "Read one table of every seed, from the seed's folder or from an iteration below it."
    place = "" if iteration is None else f"iter{iteration}"
    return pd.concat([pd.read_csv(here / f"seed{k}" / place / name).assign(seed=k) for k in range(n_seeds)], ignore_index=True)


def over_seeds(frame, axes, value):
    "Average over seeds, with Student's interval; one seed has none."
    rows = [(*cell, *statistics.interval_over_seeds(rows[value])) for cell, rows in frame.groupby(axes, sort=False)]
    return pd.DataFrame(rows, columns=[*axes, value, "low", "high"])


# %% [markdown]
# ## Table S1b: elections among virtual players

# %%
published = data.published("table_s1b_virtual_votes")
axes = ["rival", "tail_endowment"]
every = pd.concat([of_every_seed("votes.csv", iteration=i).assign(iteration=i) for i in range(last_iteration + 1)])
s1b = over_seeds(every[every.iteration == last_iteration], axes, "vote_share")
s1b = statistics.beside(s1b, published, on=axes, value="vote_share")
data.write_table(results / "tables" / "s1b_virtual_votes.csv", s1b)
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
iterations = over_seeds(every, ["iteration", *axes], "vote_share").merge(s1b[[*axes, "published"]], on=axes)
data.write_table(results / "tables" / "iterations.csv", iterations)
iterations.pivot_table(index="iteration", columns="rival", values=["vote_share", "published"], sort=False).round(3)

# %% [markdown]
# ## Table S1a: elections among participants
#
# The original's two sources disagree on some denominators; both stand here. Ours are stand-in participants.

# %%
experiment = of_every_seed("experiment2.csv").assign(share=lambda f: f.votes_for_hcrm / 4)
seeds = experiment.groupby(["seed", *axes], sort=False).share.mean().reset_index()
s1a = over_seeds(seeds, axes, "share").rename(columns={"share": "vote_share"})
for source, name in (("published", "fig2_votes"), ("published_table_s1a", "table_s1a_votes")):
    people = data.published(name).assign(**{source: lambda f: f.votes_for_hcrm / f.votes_cast})
    s1a = s1a.merge(people[[*axes, source]], on=axes)
s1a["difference"] = s1a.vote_share - s1a.published
data.write_table(results / "tables" / "s1a_votes.csv", s1a)
s1a.round(3)

# %%
people = data.published("fig2_votes").groupby("rival")[["votes_for_hcrm", "votes_cast"]].sum()
for rival in mechanisms.BASELINES:
    groups = experiment[(experiment.rival == rival) & (experiment.seed == 0)]
    p_value = statistics.permutation_test(groups.votes_for_hcrm, 4)
    mean, low, high = statistics.interval_over_seeds(seeds[seeds.rival == rival].groupby("seed").share.mean())
    share = people.votes_for_hcrm[rival] / people.votes_cast[rival]
    number(f"s1a_share_{rival}", mean, low=low, high=high, published=share, made_by="25_experiments, 39_tables")
    number(f"s1a_p_value_{rival}_seed0", p_value, unit="probability", made_by="25_experiments, 39_tables")
number("s1a_mean_absolute_error", s1a.difference.abs().mean(), made_by="25_experiments, 39_tables")

# %% [markdown]
# ## Table S2: the metagame

# %%
pairs = ["row_v", "row_w", "col_v", "col_w"]
metagame = of_every_seed("metagame.csv", iteration=last_iteration)
s2 = over_seeds(metagame, pairs, "win_probability")
s2 = statistics.beside(s2, data.published("table_s2_metagame"), on=pairs, value="win_probability")
data.write_table(results / "tables" / "s2_metagame.csv", s2)
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
gap = lambda a, b: (cells[a] - cells[b]).abs().mean()
fraction = dict(unit="fraction of the endowment, mean absolute")
number("fig1c_participants_error", gap("participants", "published"), made_by="25_experiments, 31_figure1", **fraction)
number("fig1c_virtual_players_from_participants", gap("virtual_players", "participants"), made_by="25_experiments, 31_figure1", **fraction)
number("fig1c_virtual_players_error", gap("virtual_players", "published"), made_by="25_experiments, 31_figure1", **fraction)

# %%
cloning = of_every_seed("cloning.csv", iteration=last_iteration)
by_cell = over_seeds(cloning, ["model", "by", "at"], "cross_entropy")
data.write_table(results / "tables" / "cloning.csv", by_cell)
for row in by_cell[by_cell["by"] == "all"].itertuples():
    name = f"cloning_cross_entropy_{row.model.replace(' ', '_')}"
    number(name, row.cross_entropy, low=row.low, high=row.high, unit="nats a choice, held out", made_by="21_clone")

# %% [markdown]
# ## The shore of Figure 3A

# %%
beach = pd.read_csv(results / "data" / "fig3a_beach.csv").query("mechanism == 'hcrm' and tail_contribution_sum == 3 * tail_endowment")
for below, word in ((True, "below"), (False, "from")):
    share = beach[(beach.head_contribution < 5) == below].head_share.mean()
    number(f"fig3a_head_share_{word}_half", share, unit="fraction of the fund, tails giving everything", made_by="24_elect, 33_figure3")

# %% [markdown]
# ## All of it, and what made it

# %%
steps = {str(file.relative_to(here).with_suffix("")): pd.read_csv(file, sep="\t").iloc[0] for file in sorted(here.glob("**/*.tsv"))}
steps = {name: row for name, row in steps.items() if not name.startswith("loss")}
minutes = {name: round(row["s"] / 60, 2) for name, row in steps.items()}
memory = {name: round(float(row["max_rss"]) / 1024, 2) for name, row in steps.items()}
chains = [sum(v for name, v in minutes.items() if name.startswith(f"seed{k}/")) for k in range(n_seeds)]
number("minutes_per_seed", float(np.mean(chains)), low=min(chains), high=max(chains), unit="minutes, one core", made_by="Snakefile")
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
    **{f"s1a_share_{rival}": f"votes for HCRM against {rival.replace('_', ' ')}, participants" for rival in mechanisms.BASELINES},
    "fig3a_head_share_below_half": "Figure 3A: head's share when it gives less than half and the tails everything",
    "fig3a_head_share_from_half": "the same when the head gives half or more",
    "minutes_per_seed": "minutes for one seed on one core",
}
shown = lambda x: "" if x is None or not np.isfinite(x) else f"{x:.3f}"
lines = [
    {"what": text, "ours": shown(n["value"]), "interval": " to ".join(filter(None, (shown(n["low"]), shown(n["high"])))), "published": shown(n["published"])}
    for text, n in ((text, numbers[name]) for name, text in SUMMARY.items())
]
summary = figures.markdown(pd.DataFrame(lines))
with data.replacing(results / "summary.md") as temporary:
    temporary.write_text(summary + "\n")
print(summary)

# %%
for role, source in (("players", "players"), ("hcrm", "mechanism")):
    parameters = (here / "seed0" / f"iter{last_iteration}" / f"{source}.safetensors").read_bytes()
    with data.replacing(results / "parameters" / f"{role}.safetensors") as temporary:
        temporary.write_bytes(parameters)
data.write_json(results / "numbers.json", numbers)
data.write_json(
    results / "provenance.json",
    data.stamp(profile=profile, seeds=list(range(n_seeds)), iterations=last_iteration + 1, minutes_per_step=minutes, gib_per_step=memory),
)
