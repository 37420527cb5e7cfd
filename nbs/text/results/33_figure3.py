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
# # Figure 3
#
# > The learned mechanisms and the games of all seeds go in; Figures 3A to 3C, what mechanisms do and what comes of it, come out.
#
# *Outputs: profile `paper`, seeds 0 to 2, iteration 1; made at commit `cbea95f` in 0.3 minutes.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3
last_iteration = 1

# %%
import numpy as np
import pandas as pd
from scipy import stats

from democratic_ai import experiments, figures
from democratic_ai.engine import runs, store

here = runs.open_run(folder, runs.seed(0) / "trials.parquet")
drawings, numbers = (here / runs.RESULTS / kind for kind in ("figures", "data"))

# %% [markdown]
# ## 3A: who gets the fund
#
# Every possible round, head player's contribution upwards, tails' to the right. The original HCRM
# looked like liberal egalitarian with a shore: below about half of its endowment the head gets
# almost nothing back. The original RM, under unequal endowments, paid principally the tails.

# %%
places = (runs.iteration(last_iteration), runs.rational())
beach = [runs.read_seeds(here, place / "beach.csv", n_seeds) for place in places]
axes = ["mechanism", "tail_endowment", "head_contribution", "tail_contribution_sum"]
share = pd.concat(beach).groupby(axes, sort=False).head_share.agg(["mean", "std"])
surface = share.reset_index().rename(columns={"mean": "head_share"})
whose = (
    "trained with networks that imitate stand-in participants; RM with rational players"
)
figure = figures.beach_plot(surface, size=(1.3, 1.2), note=whose)
figures.save(figure, drawings / "fig3a.svg")

# %% [markdown]
# The shore in numbers: the head's share when the tails give everything, for a head that gives less
# than half of its ten coins and for one that gives more.

# %%
generous = surface[surface.tail_contribution_sum == 3 * surface.tail_endowment]
words = {True: "head gives less than half", False: "head gives half or more"}
side = generous.head_contribution.lt(5).map(words)
by_side = generous.groupby(["mechanism", side, "tail_endowment"], sort=False)
by_side.head_share.mean().unstack().round(3)

# %% [markdown]
# How far do seeds agree? The standard deviation over seeds of HCRM's head share, averaged over all
# rounds of a condition.

# %%
surface[surface.mechanism == "hcrm"].groupby("tail_endowment")["std"].mean().round(3)

# %%
store.write_table(numbers / "fig3a_beach.csv", surface.drop(columns="std"))

# %% [markdown]
# ## 3B: how rich and how equal
#
# A dot is one game of Experiments 2 and 3. To the right is the surplus that the group made, the
# logarithm of all returns over all endowments: 0 if it gives nothing, ln 1.6 if it gives
# everything. Upwards is the Gini coefficient of what its four players ended with. Dark is where
# games are dense (in the original, light was). In the original HCRM struck the best bargain between
# surplus and equality.

# %%
trials = runs.read_seeds(here, "trials.parquet", n_seeds)
trials = trials.query("experiment in (2, 3) and session > 0")
of_seeds = [
    experiments.summarise_blocks(of_seed).assign(seed=seed)
    for seed, of_seed in trials.groupby("seed")
]
games = pd.concat(of_seeds, ignore_index=True)
games["log_surplus"] = np.log(games.surplus)
note = figures.behaviour_label(trials.source, n_seeds=n_seeds)
games.groupby("mechanism")[["surplus", "gini"]].agg(["mean", "std"]).round(3)

# %%
edge = np.linspace(-0.02, 0.5, 53), np.linspace(-0.01, 0.53, 55)  # log surplus, Gini


def density(of_mechanism):
    "Smooth the games of one mechanism into games per cell, the densest cell being 1."
    points = of_mechanism[["log_surplus", "gini"]].to_numpy().T
    x, y = (grid.ravel() for grid in np.meshgrid(*edge))
    height = stats.gaussian_kde(points)([x, y])
    height = height / height.max()
    return pd.DataFrame({"log_surplus": x, "gini": y, "density": height, "all": ""})


densities = pd.concat(
    [density(rows).assign(mechanism=name) for name, rows in games.groupby("mechanism")]
)

# %%
cells = densities.assign(
    log_surplus=densities.log_surplus.round(4), gini=densities.gini.round(4)
)
axes = dict(x="log_surplus", y="gini", value="density", row="all", column="mechanism")
labels = (
    "surplus (ln of returns / endowments)",
    "Gini coefficient of returns",
    "density\n(fraction of the highest)",
)
look = dict(labels=labels, ticks=((0, 0.2, 0.4), (0, 0.2, 0.4)), size=(1.25, 1.2))
whose = f"{note}, all endowments; dots: up to 80 of the games"
figure = figures.heat_panels(cells, **axes, **look, note=whose)
shown = games.sample(frac=1, random_state=0).groupby("mechanism").head(80)
dots = dict(color="black", ms=2, mew=0, alpha=0.6, rasterized=True)
names = figures.ordered_values(games.mechanism)
panels = figure.axes[: len(names)]  # the last has the scale of colours
for ax, name in zip(panels, names, strict=True):
    of_it = shown[shown.mechanism == name]
    ax.plot(of_it.log_surplus, of_it.gini, ".", **dots)
figures.save(figure, drawings / "fig3b.svg")
columns = ["experiment", "group", "mechanism", "tail_endowment", "log_surplus", "gini"]
store.write_table(numbers / "fig3b.csv", games.loc[games.seed == 0, columns].round(4))

# %% [markdown]
# ## 3C: what one gets for giving
#
# A dot is one game: its head, or the mean of its tails. Contribution as a fraction of the
# endowment, payout in mean coins a round, because the head's coins and the tails' come from one
# fund. Lines are fitted to heads and tails separately, over all runs. In the original libertarian
# paid both by coins, strict egalitarian paid everybody the same whatever they gave, and HCRM gave
# almost nothing to those who contributed less than about half.

# %%
keys = ["seed", "experiment", "group", "mechanism", "tail_endowment"]
dots = []
for role in ("head", "tail"):
    giving, payout = f"{role}_relative_contribution", f"{role}_payout"
    names = {giving: "contribution", payout: "payout"}
    dots.append(games[[*keys, *names]].rename(columns=names).assign(role=role))
dots = pd.concat(dots)
panel = ["mechanism", "tail_endowment", "role"]
lines = [
    (*cell, *np.polyfit(rows.contribution, rows.payout, 1))
    for cell, rows in dots.groupby(panel)
]
fits = pd.DataFrame(lines, columns=[*panel, "slope", "intercept"])
store.write_table(numbers / "fig3c_fits.csv", fits.round(4))

# %%
first = dots[dots.seed == 0]
labels = ("relative contribution (mean of the game)", "payout (mean coins a round)")
whose = note + ("; dots: the first run, lines: all" if n_seeds > 1 else "")
look = dict(x="contribution", y="payout", labels=labels)
figure = figures.role_scatter(first, fits, **look, note=whose)
figures.save(figure, drawings / "fig3c.svg")
columns = [*keys[1:], "role", "contribution", "payout"]
store.write_table(numbers / "fig3c.csv", first[columns].round(3))

# %% [markdown]
# The slopes: coins a round for giving everything instead of nothing.

# %%
slopes = fits.pivot_table(
    index=["mechanism", "role"], columns="tail_endowment", values="slope", sort=False
)
slopes.round(1)
