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
# # Figure 4
#
# > Experiment 4 of all seeds, HCRM against a referee at tails of 4, goes in; Figures 4A to 4D, votes and what both did with the fund, come out.
#
# *Outputs: profile `paper`, seeds 0 to 2; made at commit `cbea95f` in 0.2 minutes.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from democratic_ai import experiments, figures, game, statistics
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.seed(0) / "trials.parquet")
drawings, numbers = (here / runs.RESULTS / kind for kind in ("figures", "data"))
trials = runs.read_seeds(here, "trials.parquet", n_seeds)
trials = trials.query("experiment == 4 and session > 0")
votes = runs.read_seeds(here, "votes.parquet", n_seeds)
votes = votes.query("experiment == 4 and vote == vote")  # a vote not cast is NaN
note = figures.behaviour_label(trials.source, n_seeds=n_seeds)
referee = note if set(trials.source) == {"people"} else f"{note}; stand-in referees"
groups = trials.groupby(["source", "seed"]).group.nunique().to_dict()
print(groups, "groups by source and seed;", len(votes), "votes cast")

# %% [markdown]
# ## 4A: HCRM or the referee?
#
# Share of the votes for HCRM, tails and heads apart and all together; the diamond is what the
# original prints, which is no whole number of its 219 votes (11_statistics).

# %%
printed = published.read("text_statistics").set_index("name").published["exp4_share"]
role = votes.player.eq(0).map({True: "head", False: "tail"})
everybody = pd.concat([votes.assign(role="all"), votes.assign(role=role)])
axes = ["rival", "tail_endowment", "role"]
by_group = everybody.groupby([*axes, "seed", "group"]).vote.agg(["sum", "size"])
interval = statistics.interval_over_groups_and_seeds
cells = [
    (*cell, *interval(groups["sum"], groups["size"], groups["seed"]))
    for cell, groups in by_group.reset_index().groupby(axes)
]
shares = pd.DataFrame(cells, columns=[*axes, "vote_share", "low", "high"])
shares["published"] = shares.role.map({"all": printed})
figure = figures.vote_bars(shares, note=referee)
figures.save(figure, drawings / "fig4a.svg")
store.write_table(numbers / "fig4a.csv", shares.round(5))
shares.round(3)

# %% [markdown]
# ## 4B: how often a head is paid little
#
# The head's share of all payouts of a round, in six equal bins; a bar is the fraction of a game's
# rounds, averaged over games, with its interval. Rounds in which nobody gave are left out. In the
# original HCRM was readier than the human referees to pay the head very little: its leftmost bar
# was the higher one.

# %%
block = ["mechanism", "seed", "group"]
payout = trials.pivot_table(index=[*block, "round"], columns="player", values="payout")
paid = payout[payout.sum(axis=1) > 0]
sixth = np.minimum((6 * paid[0] / paid.sum(axis=1)).astype(int), 5).rename("bin")
counts = sixth.groupby(block).value_counts().unstack(fill_value=0)
counts = counts.reindex(columns=range(6), fill_value=0)
rows = []
for name, of_it in counts.groupby("mechanism"):
    n_rounds, seed = of_it.sum(axis=1), of_it.index.get_level_values("seed")
    for k in range(6):
        fraction = interval(of_it[k], n_rounds, seed)
        rows.append((name, k / 6, (k + 1) / 6, *fraction))
columns = ["mechanism", "from", "to", "frequency", "low", "high"]
frequency = pd.DataFrame(rows, columns=columns)

# %%
hatched = dict(hatch="///", edgecolor="white")
looks = {
    "hcrm": dict(color="#2f6ca8", label="HCRM"),
    "human_referee": dict(color="#f0c27b", **hatched, label="human referee"),
}
with figures.style():
    figure, ax = plt.subplots(figsize=(figures.COLUMN, 2.2))
    for i, (name, look) in enumerate(looks.items()):
        bars = frequency[frequency.mechanism == name]
        height, bounds = bars.frequency.to_numpy(), bars[["low", "high"]].to_numpy().T
        x, spread = np.arange(6) + 0.4 * (i - 0.5), np.abs(bounds - height)
        whisker = dict(yerr=spread, error_kw=dict(lw=1, capsize=2))
        ax.bar(x, height, width=0.38, **whisker, **look)
    ax.set_xticks(np.arange(7) - 0.5, ["0", "1/6", "1/3", "1/2", "2/3", "5/6", "1"])
    ax.set(
        xlabel="head's share of the payouts of a round",
        ylabel="fraction of rounds",
        ylim=(0, None),
    )
    ax.legend(loc="upper right")
figure = figures.finalise(figure, referee)
figures.save(figure, drawings / "fig4b.svg")
store.write_table(numbers / "fig4b.csv", frequency.round(5))

# %% [markdown]
# ## 4C: what one got for giving
#
# A dot is one game: its head, or the mean of its tails; lines are fitted separately. In the
# original the tails' line was shallower under human referees: they failed to reward tails who gave
# generously of the little they had.

# %%
of_seeds = [
    experiments.summarise_blocks(of_seed).assign(seed=seed)
    for seed, of_seed in trials.groupby("seed")
]
games = pd.concat(of_seeds, ignore_index=True)
keys = ["seed", "group", "mechanism", "tail_endowment"]
dots = []
for role in ("head", "tail"):
    names = {
        f"{role}_relative_contribution": "contribution",
        f"{role}_payout": "payout",
    }
    dots.append(games[[*keys, *names]].rename(columns=names).assign(role=role))
dots = pd.concat(dots)
panel = ["mechanism", "tail_endowment", "role"]
lines = [
    (*cell, *np.polyfit(rows.contribution, rows.payout, 1))
    for cell, rows in dots.groupby(panel)
]
fits = pd.DataFrame(lines, columns=[*panel, "slope", "intercept"])

# %%
labels = ("relative contribution (mean of the game)", "payout (mean coins a round)")
look = dict(x="contribution", y="payout", labels=labels, size=(2.4, 1.5))
figure = figures.role_scatter(dots, fits, **look, note=referee)
figures.save(figure, drawings / "fig4c.svg")
shown = dots[[*keys, "role", "contribution", "payout"]]
store.write_table(numbers / "fig4c.csv", shown.round(3))
store.write_table(numbers / "fig4c_fits.csv", fits.round(4))
fits.round(2)

# %% [markdown]
# ## 4D: beach plots from play
#
# A human referee cannot be asked about every possible round, so both surfaces come from the rounds
# that were played. They show the head's mean share of the payouts, by what the head gave and what
# the tails gave together. Grey cells never occurred. In the original the referees' surface was the
# flatter one: they responded less to contributions.

# %%
given = trials.pivot_table(
    index=[*block, "round"], columns="player", values="contribution"
)
given = given.loc[paid.index]
tail = int(trials.tail_endowment.iloc[0])
played = pd.DataFrame(
    {
        "head_contribution": given[0],
        "tail_contribution_sum": given[[1, 2, 3]].sum(axis=1),
        "head_share": paid[0] / paid.sum(axis=1),
    }
)
axes = ["mechanism", "head_contribution", "tail_contribution_sum"]
by_cell = played.groupby(axes).head_share.agg(["mean", "size"])
coins = (range(game.Game.most_coins + 1), range(3 * tail + 1))
every = pd.MultiIndex.from_product([by_cell.index.unique(0), *coins], names=axes)
empirical = (
    by_cell.reindex(every)
    .reset_index()
    .rename(columns={"mean": "head_share", "size": "rounds"})
    .assign(tail_endowment=tail)
)
figure = figures.beach_plot(empirical, size=(2.1, 1.6), note=referee)
figures.save(figure, drawings / "fig4d.svg")
store.write_table(numbers / "fig4d.csv", empirical.round(5))

# %% [markdown]
# How strongly do both respond? The head's mean share when it gave less than half of its coins, and
# when it gave half or more.

# %%
words = {True: "head gave less than half", False: "head gave half or more"}
side = played.head_contribution.lt(5).map(words)
played.groupby(["mechanism", side]).head_share.agg(["mean", "size"]).round(3)
