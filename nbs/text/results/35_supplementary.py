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
# # Supplementary figures
#
# > Play, votes, answers and surfaces of all seeds go in; Figures S1 to S9, and what votes depended on, come out.
#
# *Outputs: profile `paper`, seeds 0 to 2, iteration 1; made at commit `cbea95f` in 0.6 minutes.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3
last_iteration = 1

# %%
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from PIL import Image

from democratic_ai import (
    experiments,
    figures,
    game,
    graphnet,
    mechanisms,
    statistics,
    voting,
)
from democratic_ai.engine import published, runs, store

# %%
here = runs.open_run(folder, runs.seed(0) / "trials.parquet")
drawings, numbers, tables = (
    here / runs.RESULTS / kind for kind in ("figures", "data", "tables")
)
trials = runs.read_seeds(here, "trials.parquet", n_seeds)
trials = trials.query("experiment in (2, 3) and session > 0")
trials["role"] = trials.player.eq(0).map({True: "head", False: "tail"})
votes = runs.read_seeds(here, "votes.parquet", n_seeds)
votes = votes.query("experiment in (2, 3) and vote == vote")  # a vote not cast is NaN
note = figures.behaviour_label(trials.source, n_seeds=n_seeds)
conditions = ["mechanism", "tail_endowment"]


def keep(figure, name):
    "Save a figure and show it in 64 colours; nine in full colour are too heavy here."
    figures.save(figure, drawings / f"{name}.svg")
    full = io.BytesIO()
    figure.savefig(full, dpi=100, bbox_inches="tight")
    plt.close(figure)
    display(Image.open(full).convert("RGB").quantize(64, dither=Image.Dither.NONE))


# %% [markdown]
# ## S1: do virtual players play like participants?
#
# How often every number of coins was given in each round (the first at the top), by participants
# and, to their right, by virtual players left alone with a mechanism. Heads above, tails below; two
# neighbours should look alike, as they did in the original. Half and all are dark columns.

# %%
played = trials[trials.mechanism.isin([*mechanisms.BASELINES, "hcrm"])]
cells = [*conditions, "role", "round"]
given = played.groupby(cells).contribution.value_counts(normalize=True)
given = given.rename("frequency").rename_axis([*cells, "coins"]).reset_index()
virtual = runs.read_seeds(
    here, runs.iteration(last_iteration) / "virtual_coins.csv", n_seeds
)
virtual = virtual.groupby([*cells, "coins"]).frequency.mean().reset_index()
who = "people" if note == "people" else "participants"
both = pd.concat([virtual.assign(source="virtual"), given.assign(source=who)])
sources = pd.DataFrame({"source": both.source.unique()})
every = virtual[[*cells, "coins"]].merge(sources, how="cross")
coins = every.merge(both, how="left").fillna({"frequency": 0})
order = {name: i for i, name in enumerate(mechanisms.BASELINES)}
coins = coins.sort_values(
    ["role", "mechanism", "tail_endowment", "source"],
    key=lambda c: c.map(order).fillna(9) if c.name == "mechanism" else c,
)
shown = coins[[*cells, "source", "coins", "frequency"]].query("frequency > 0")
store.write_table(numbers / "figS1.csv", shown.round(4))

# %%
source = coins.source.str.replace("participants", "stand-ins")
coins["row"] = coins.role + " " + coins.mechanism.map(figures.label)
coins["column"] = coins.tail_endowment.astype(str) + " coins\n" + source
axes = dict(x="coins", y="round", value="frequency", row="row", column="column")
labels = ("coins given", "round", "fraction of the choices of a round")
look = dict(limits=(0, 0.5), ticks=((0, 5, 10), (1, 10)), size=(0.61, 0.68))
above, whose = "tail endowment, and who played", f"{note}, and virtual players"
words = dict(labels=labels, above=above, note=whose)
figure = figures.heat_panels(coins, **axes, **look, **words)
figure.axes[0].invert_yaxis()
keep(figure, "figS1")

# %%
wide = coins.pivot_table(index=[*cells, "coins"], columns="source", values="frequency")
apart = wide.diff(axis=1).iloc[:, -1].abs().groupby(cells).sum().div(2)
apart = apart.groupby([*conditions, "role"]).mean().rename("total variation distance")
apart.unstack(["role"]).round(2)

# %% [markdown]
# ## What they thought we would do, and what we did
#
# Not in the original. Each mechanism was trained with virtual players, and then met new groups.
# A row is an iteration of the first seed: dashed what its virtual players gave under it in
# training, solid what the groups gave. Below the last row the players foresaw their mechanism, or
# the iterations were used up.

# %%
places = [runs.iteration(i) for i in range(last_iteration + 1)]
curves = [pd.read_csv(here / runs.seed(0) / at / "foresight.csv") for at in places]
# what follows the iteration that met the rule is a copy of it
foresight = pd.concat(curves).drop_duplicates()
store.write_table(numbers / "foresight.csv", foresight)
whose = "seed 0; participants are stand-ins"
figure = figures.contribution_curves(foresight, note=whose)
figures.save(figure, drawings / "foresight.svg")

# %% [markdown]
# ## S2: what votes depended on
#
# A bar is the log-odds of a vote for HCRM per standard deviation of a difference between the two
# blocks: relative payout, coins paid, and all contributions of the group. Bars are means over runs,
# dots are the runs, and the whisker is the 95 % interval of one experiment of the original's size.
# In the original's table relative payout counted against all four rivals, and coins counted more
# against libertarian and liberal egalitarian.

# %%
player = ["seed", "experiment", "group", "player"]
block = ["seed", "experiment", "group", "mechanism"]
seen = trials.assign(rpay=trials.payout / trials.endowment, apay=trials.payout)
seen = seen.groupby([*block, "player"])[["rpay", "apay"]].sum()
contributed = trials.groupby(block).contribution.sum().rename("cont")
seen = seen.join(contributed).reset_index()
agent, predictors = seen.mechanism == "hcrm", list(voting.PREDICTORS)
difference = (
    seen[agent].set_index(player)[predictors]
    - seen[~agent].set_index(player)[predictors]
)
asked = votes.merge(difference.reset_index(), on=player)
found = []
for (rival, seed), rows in asked.groupby(["rival", "seed"]):
    fitted = voting.determinants(rows).rename_axis("predictor").reset_index()
    found.append(fitted.assign(rival=rival, seed=seed))
found = pd.concat(found)

# %%
by_predictor = found.groupby(["rival", "predictor"], sort=False)
s2 = by_predictor.agg(
    coefficient=("coefficient", "mean"),
    standard_error=("standard_error", "mean"),
    t=("t", "mean"),
    p=("p", "median"),
    runs=("t", "size"),
)
intervals = by_predictor.t.agg(statistics.interval_over_seeds)
s2 = s2.assign(t_low=intervals.str[1], t_high=intervals.str[2]).reset_index()
printed = published.read("figure_s2_t").rename(columns={"t": "published"})
s2 = s2.merge(printed, how="left")
store.write_table(tables / "figS2.csv", s2.round(5))
s2.round(3)

# %% [markdown]
# How many votes were people's intercepts worth? Their $t$ is printed and the blocks are ours
# (05_voting); `standard_error` is that of a published share less the effect.

# %%
n_votes = published.read("fig2_votes").groupby("rival").votes_cast.sum()
effects = []
for (rival, _), rows in asked.groupby(["rival", "seed"]):
    t = printed[printed.rival == rival].set_index("predictor").published.to_dict()
    for cells in (["all"] * len(rows), rows.tail_endowment.astype(str)):
        found_here = voting.intercept_effect(rows, t, cells, n_votes[rival])
        found_here = found_here.rename_axis("tail_endowment").reset_index()
        effects.append(found_here.assign(rival=rival))
cell = ["rival", "tail_endowment"]
effects = pd.concat(effects).groupby(cell, sort=False).mean().reset_index()
store.write_table(tables / "intercept_effects.csv", effects.round(5))
effects[effects.tail_endowment == "all"].round(3)

# %%
names = {
    "intercept": "intercept",
    "rpay": "relative\npayout",
    "apay": "payout\n(coins)",
    "cont": "group's\ncontributions",
}
rivals = figures.ordered_values(s2.rival)
layout = dict(figsize=(figures.FULL, 2.3), sharey=True, squeeze=False)
with figures.style():
    figure, axes = plt.subplots(1, len(rivals), **layout)
    for ax, rival in zip(axes[0], rivals, strict=True):
        rows = s2[s2.rival == rival].set_index("predictor").loc[list(names)]
        by_run = found[found.rival == rival]
        bars = dict(yerr=1.96 * rows.standard_error, color="#a9bfda", width=0.7)
        ax.bar(range(4), rows.coefficient, **bars, error_kw=dict(lw=1, capsize=2))
        x = by_run.predictor.map(list(names).index) + 0.22
        ax.plot(x, by_run.coefficient, "o", color="black", ms=1.8)
        ax.axhline(0, color=figures.CHANCE, lw=0.6)
        ax.set_xticks(range(4), names.values(), rotation=90)
        ax.set_title(f"against {figures.label(rival)}")
    axes[0, 0].set_ylabel("coefficient (log-odds per\nstandard deviation)")
keep(figures.finalise(figure, note), "figS2")
store.write_table(numbers / "figS2.csv", found.round(5))

# %% [markdown]
# ## S3 and S4: payouts and contributions, round by round
#
# Means over games, with the 95 % interval that groups leave (a shadow, mostly thinner than the
# line). In the original RM paid principally the tails where endowments were unequal, and heads whom
# it neglected soon stopped giving; HCRM compensated tails as liberal egalitarian did.

# %%
by_game = trials.assign(
    relative_payout=trials.payout / trials.endowment,
    relative_contribution=trials.contribution / trials.endowment,
)
axes = [*conditions, "role", "round"]
values = ["relative_payout", "relative_contribution"]
by_game = by_game.groupby([*axes, "seed", "experiment", "group"])[values].mean()
payout = "mean relative payout (payout / endowment)"
contribution = "mean relative contribution (fraction of the endowment)"
for name, value, label, limits in (
    ("figS3", "relative_payout", payout, (0, None)),
    ("figS4", "relative_contribution", contribution, (0, 1)),
):
    curves = by_game[value].groupby(axes).agg(["mean", "sem"]).reset_index()
    half = 1.96 * curves["sem"]
    curves = curves.rename(columns={"mean": value}).drop(columns="sem")
    curves = curves.assign(low=curves[value] - half, high=curves[value] + half)
    look = dict(label=label, limits=limits)
    keep(figures.role_curves(curves, value=value, **look, note=note), name)
    store.write_table(numbers / f"{name}.csv", curves.round(4))

# %% [markdown]
# ## S5: how unequal games ended
#
# The Gini coefficient of what the four players of a game ended with, in ten bins from 0 to 1 whose
# bars sum to one; the line is the Gini coefficient of the endowments. Left of the line the
# mechanism has made people more equal than they came. The original shows the same bins and line,
# and says that HCRM's bargain between surplus and equality was a good one among its rivals.

# %%
of_seeds = [
    experiments.summarise_blocks(of_seed).assign(seed=seed)
    for seed, of_seed in trials.groupby("seed")
]
games = pd.concat(of_seeds, ignore_index=True)
games["bin"] = np.minimum((10 * games.gini).astype(int), 9)
ginis = games.groupby(conditions).bin.value_counts(normalize=True)
ginis = ginis.rename("fraction").reset_index()
initial = {
    tail: float(game.gini(mechanisms.head_and_tails(float(tail))))
    for tail in sorted(ginis.tail_endowment.unique())
}
with_initial = ginis.assign(initial_gini=ginis.tail_endowment.map(initial))
store.write_table(numbers / "figS5.csv", with_initial.round(5))

# %%
layout = dict(width=1.25, height=1.0, above="tail endowment (coins)")
label = "Gini coefficient of the returns of a game (dashes: of the endowments)"
with figures.style():
    figure, axes = figures.panels(ginis, **layout)
    for (mechanism, tail), bars in ginis.groupby(conditions):
        ax = axes[mechanism, tail]
        ax.bar(bars.bin / 10 + 0.05, bars.fraction, width=0.09, color="#5f86b3")
        ax.axvline(initial[tail], color="black", lw=1, ls=(0, (4, 2)))
    figure.axes[0].set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    figure.supxlabel(label, fontsize=8)
    figure.supylabel("fraction of games", fontsize=8)
keep(figures.finalise(figure, note), "figS5")

# %% [markdown]
# ## S6: what they said afterwards
#
# Seven questions, each answered with one of the two referees: the share of answers that name HCRM,
# tails and heads apart and, as a line with its interval, all together. In the original every answer
# but the sixth went with the vote (t above 4), the second by far the most (t about 26). The
# authors' released files hold no answers: these are stand-ins', made by a stated model, and where
# people take the stand-ins' place the figure can only say that it is empty.

# %%
QUESTIONS = {
    "q1": "all do\nbetter",
    "q2": "I do\nbetter",
    "q3": "most do\nbetter",
    "q4": "fairer",
    "q5": "collab-\noration",
    "q6": "lenient",
    "q7": "trans-\nparent",
}
answered = votes.dropna(subset=list(QUESTIONS))
answers = answered.melt(
    id_vars=["seed", "experiment", "group", "player", "rival", "tail_endowment"],
    value_vars=list(QUESTIONS),
    var_name="question",
)
role = answers.player.eq(0).map({True: "head", False: "tail"})
answers = pd.concat([answers.assign(role="all"), answers.assign(role=role)])

# %%
axes = ["question", "rival", "tail_endowment", "role"]
by_group = answers.groupby([*axes, "seed", "group"]).value.agg(["sum", "size"])
named = []
for cell, groups in by_group.reset_index().groupby(axes):
    counts = (groups["sum"], groups["size"], groups["seed"])
    share = statistics.interval_over_groups_and_seeds(*counts, n_resamples=300)
    named.append((*cell, *share))
named = pd.DataFrame(named, columns=[*axes, "share", "low", "high"])
store.write_table(numbers / "figS6.csv", named.round(4))


# %%
def answers_drawn():
    "Draw the shares of answers, one panel a question and rival."
    shown = named.assign(question=named.question.map(QUESTIONS))
    layout = dict(row="question", column="rival", width=1.6, height=0.85)
    figure, axes = figures.panels(shown, **layout, heading="against {}")
    of_all = dict(color="black", lw=1, capsize=1.5, label="all, 95 % interval")
    for (question, rival, role), rows in named.groupby(["question", "rival", "role"]):
        ax, x = axes[QUESTIONS[question], rival], rows.tail_endowment
        if role == "all":
            bars = np.abs(rows[["low", "high"]].T - rows.share)
            ax.errorbar(x, rows.share, yerr=bars, **of_all)
        else:
            look = dict(figures.ROLES[role], ls="none", label=f"{role}s")
            ax.plot(x, rows.share, **look)
        ax.axhline(0.5, color=figures.CHANCE, lw=0.6, ls=(0, (4, 2)))
    figure.axes[0].set(ylim=(0, 1), xticks=mechanisms.TAILS, yticks=[0, 0.5, 1])
    figure.supxlabel("tail endowment (coins)", fontsize=8)
    figure.supylabel("share of the answers that name HCRM", fontsize=8)
    legend = figure.axes[0].get_legend_handles_labels()
    figure.legend(*legend, loc="outside upper center", ncols=3)
    return figure


# %%
with figures.style():
    if answered.empty:
        figure = plt.figure(figsize=(figures.FULL, 0.5))
    else:
        figure = answers_drawn()
whose = figures.behaviour_label(answered.source, n_seeds=n_seeds)
whose = whose or "people; their answers were not released"
keep(figures.finalise(figure, whose), "figS6")

# %% [markdown]
# Which answers go with the vote? One logistic regression on all seven, over all rivals; t is the
# mean over runs.

# %%
predicting = [
    voting.determinants(rows, predictors=list(QUESTIONS))
    .rename_axis("question")
    .reset_index()
    for _, rows in answered.groupby("seed")
]
nothing = pd.DataFrame(columns=["question", "coefficient", "t", "p"])
predicting = pd.concat(predicting) if predicting else nothing
s6 = (
    predicting.groupby("question", sort=False)
    .agg(coefficient=("coefficient", "mean"), t=("t", "mean"), p=("p", "median"))
    .reset_index()
)
words = {f"q{i}": "t > 4, p < .001" for i in (1, 3, 4, 5, 7)}
words |= {"q2": "t about 26", "q6": "does not predict"}
s6["published"] = s6.question.map(words)
store.write_table(tables / "figS6.csv", s6.round(5))
s6.round(3)

# %% [markdown]
# ## S7: how head and tails give together
#
# Each panel is one round of all games at one tail endowment, over all mechanisms. Upwards is what
# the head gave, to the right what its tails gave on average, as fractions of what they had, in
# steps of a tenth. In the original heads opened with nothing, half or all: three dark bands in
# round 1. Tails with 2 coins each give a number of sixths, which leaves some steps empty.

# %%
relative = trials.assign(relative=trials.contribution / trials.endowment)
axes = ["seed", "experiment", "group", "session", "tail_endowment", "round", "role"]
relative = relative.groupby(axes).relative.mean().unstack("role")
tenths = (relative * 10).round().astype(int).div(10)
joint = (
    tenths.groupby(["tail_endowment", "round"])[["head", "tail"]]
    .value_counts(normalize=True)
    .rename("fraction")
    .reset_index()
)
axes = ["tail_endowment", "round", "head", "tail"]
tails, fractions = sorted(joint.tail_endowment.unique()), np.arange(11) / 10
cells = [tails, range(1, 11), fractions, fractions]
grid = pd.MultiIndex.from_product(cells, names=axes)
joint = joint.set_index(axes).reindex(grid, fill_value=0).reset_index()
store.write_table(numbers / "figS7.csv", joint.query("fraction > 0").round(5))

# %%
axes = dict(x="tail", y="head", value="fraction", row="tail_endowment", column="round")
labels = (
    "mean relative contribution of the tails",
    "head's relative contribution; tail endowment (coins, bold)",
    "fraction of games (darkest: .12)",
)
colours, ticks = dict(limits=(0, 0.12), cmap="Greens"), ((0, 1), (0, 0.5, 1))
look = dict(labels=labels, **colours, ticks=ticks, size=(0.61, 0.75), above="round")
keep(figures.heat_panels(joint, **axes, **look, note=note), "figS7")

# %% [markdown]
# ## S8: what a round leaves in the hand
#
# The beach plots of Figure 3A again, with what the tails (left) or the head (right) end a round
# with, in coins, payout and what was kept. Colours that change only upwards say that only the
# head's contribution counts. In the original HCRM set head and tails to compete in giving: each
# one's return rose with the own contribution.

# %%
ended = graphnet.beach_returns(pd.read_csv(numbers / "fig3a_beach.csv"))
long = pd.concat(
    ended.assign(coins=ended[f"{role}_return"], who=who)
    for role, who in {"tail": "tails", "head": "head"}.items()
)
long["column"] = long.who + "\n" + long.tail_endowment.astype(str)
axes = dict(x="tails", y="head", value="coins", column="column")
labels = (
    "mean relative contribution of the tails",
    "head's relative contribution",
    "return of a round (coins)",
)
colours, ticks = dict(limits=(0, 20), cmap="viridis"), ((0, 1), (0, 0.5, 1))
look = dict(**colours, window=((0, 1), (0, 1)), ticks=ticks, size=(0.61, 0.85))
words = dict(
    labels=labels,
    above="whose return, and tail endowment (coins)",
    note="trained with networks that imitate stand-in participants; "
    "RM with rational players",
)
figure = figures.heat_panels(figures.relative_cells(long), **axes, **look, **words)
keep(figure, "figS8")
store.write_table(numbers / "figS8.csv", ended.drop(columns="head_share").round(3))

# %% [markdown]
# ## S9: the map of the manifold, for all endowments and for each
#
# As Figure 1B, for every tail endowment; all panels are cut from one scaling and share its axes.
# The first lays the five maps over one another, a form and colour for each. With equal endowments v
# means nothing and the map shrinks to a line; as tails get poorer it opens. The original showed the
# same six maps.

# %%
manifold = runs.read_seeds(here, runs.iteration(last_iteration) / "manifold.csv", 1)
by_tail = manifold.groupby("tail_endowment")
layout = dict(figsize=(figures.FULL, 5.0), sharex=True, sharey=True)
key = dict(title="panel “all”: tail endowment (coins)", title_fontsize=7, ncols=5)
with figures.style():
    figure, axes = plt.subplots(2, 3, **layout)
    together, *each = axes.flat
    panels = zip(each, by_tail, "os^Dv", figures.RUNS[:5], strict=True)
    for ax, (tail, rows), marker, color in panels:
        figures.manifold_map(ax, rows)
        ax.set_title(f"tail endowment {tail}")
        look = dict(color=color, ms=2.5, mfc="none", mew=0.7, label=f"{tail}")
        together.plot(rows.mds_x, rows.mds_y, marker, **look)
    together.set(title="all", aspect="equal")
    legend = together.get_legend_handles_labels()
    figure.legend(*legend, **key, loc="outside upper right")
    figure.suptitle(figures.MAP_KEY, fontsize=7, x=0.02, ha="left")
    figure.supxlabel("first dimension (distances in payout / endowment)", fontsize=8)
    figure.supylabel("second dimension", fontsize=8)
keep(figures.finalise(figure, "virtual players, first run"), "figS9")
store.write_table(numbers / "figS9.csv", manifold)
