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
# # Figure 1
#
# > What all seeds measured in Experiment 1, and the map of the manifold, go in; Figures 1A to 1D, and the data behind them, come out.
#
# *Outputs: profile `paper`, seeds 0 to 2, iteration 1; made at commit `cbea95f` in 0.2 minutes.*

# %% tags=["parameters"]
folder = "runs/paper"
n_seeds = 3
last_iteration = 1

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import (
    ConnectionPatch,
    FancyArrowPatch,
    FancyBboxPatch,
    Rectangle,
)

from democratic_ai import figures, game, mechanisms
from democratic_ai.engine import runs, store

here = runs.open_run(folder, runs.seed(0) / "fig1c.csv")
drawings, numbers = (here / runs.RESULTS / kind for kind in ("figures", "data"))

# %% [markdown]
# ## 1A: one round of the game
#
# A round in real coins, under liberal egalitarian: what each player has, gives (filled) and keeps
# (empty), how the fund grows, and what comes back. The tail who gave everything is paid most; the
# one who gave nothing, nothing. The original shows the same steps as a cartoon.

# %%
endowment, contribution = jnp.array([10.0, 4, 4, 4]), jnp.array([5.0, 4, 2, 0])
rule = mechanisms.liberal_egalitarian
payout = np.asarray(game.payout(endowment, contribution, rule))
fund = float(contribution.sum())
assert np.isclose(payout.sum(), game.Game.growth * fund)
ink = "#444444"


def blank(width, height):
    "Give an empty sheet measured in inches."
    figure = plt.figure(figsize=(width, height), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return figure, ax


def arrow(ax, start, end, bend=0.0):
    "Draw an arrow between two places."
    look = dict(arrowstyle="-|>", mutation_scale=7, lw=0.8, color=ink)
    bow = f"arc3,rad={bend}"
    ax.add_patch(FancyArrowPatch(start, end, **look, connectionstyle=bow))


# %%
def box(ax, left, bottom, width, height, words, **look):
    "Write words into a box with round corners."
    edge = dict(boxstyle="round,pad=0,rounding_size=0.06", lw=0.8, ec=ink)
    ax.add_patch(FancyBboxPatch((left, bottom), width, height, **edge, fc="#f2f2f2"))
    x, y = left + width / 2, bottom + height / 2
    look = dict(fontsize=7, linespacing=1.25) | look
    ax.text(x, y, words, ha="center", va="center", **look)


def player(ax, i, has, gives, gets):
    "Draw a player: the role, coins given and kept, and what comes back."
    role, y = "head" if i == 0 else "tail", 1.6 - 0.4 * i
    ax.plot(0.07, y, **figures.ROLES[role], ms=5)
    ax.text(0.16, y, role, va="center", fontsize=7)
    color = figures.ROLES[role]["color"]
    for coin in range(int(has)):
        corner, look = (0.46 + 0.085 * coin, y - 0.05), dict(ec=color, lw=0.7)
        fill = color if coin < gives else "white"
        ax.add_patch(Rectangle(corner, 0.065, 0.1, fc=fill, **look))
    arrow(ax, (0.49 + 0.085 * int(has), y), (1.54, 1.0 + 0.1 * (1.5 - i)))
    arrow(ax, (2.82, 1.0 + 0.26 * (1.5 - i)), (3.08, y))
    ax.text(3.11, y, f"{gets:.1f}", va="center", fontsize=7, weight="bold")


# %%
growth = f"{fund:g} coins\n× {game.Game.growth:g}\n= {payout.sum():.1f}"
shares = "shares\n" + "\n".join(f"{share:.0%}" for share in payout / payout.sum())
headings = (
    (0.88, "given ■  kept □"),
    (1.81, "public\nfund"),
    (2.53, "mechanism"),
    (3.2, "payout\n(coins)"),
)
heading = dict(fontsize=7, ha="center", va="center", color=ink, linespacing=1.1)
below = "ten rounds make a block; after two blocks, a vote"
with figures.style():
    figure, ax = blank(figures.COLUMN, 2.2)
    for i, amounts in enumerate(zip(endowment, contribution, payout, strict=True)):
        player(ax, i, *amounts)
    box(ax, 1.55, 0.7, 0.52, 0.6, growth)
    arrow(ax, (2.08, 1.0), (2.26, 1.0))
    box(ax, 2.27, 0.52, 0.52, 0.96, shares)
    for x, words in headings:
        ax.text(x, 1.95, words, **heading)
    ax.text(1.7, 0.06, below, ha="center", fontsize=7, style="italic", color=ink)
figures.save(figures.finalise(figure, None), drawings / "fig1a.svg")

# %% [markdown]
# ## 1B: the map of the manifold
#
# A number is a mechanism and says which tenth of w it comes from (1: only what the others gave
# counts, 10: only what one gave oneself). Its colour says how much relative contributions count
# (dark: coins count, light: fractions of the endowment do). Near means: pays head and tails alike,
# round by round. See how w orders the map from one end to the other, while v opens it like a fan
# where w is large and closes it at the strict egalitarian. In the original, too, payouts fall under
# strict egalitarian, libertarian is the unequal one, and under liberal egalitarian the head stops
# giving.

# %%
place = runs.iteration(last_iteration)
every = runs.read_seeds(here, place / "manifold.csv", 1)
mapped = every[every.tail_endowment == 2]
curves = runs.read_seeds(here, place / "manifold_payouts.csv", 1)
largest_w = mapped.w_bin == 10
on_the_map = {
    "libertarian": mapped[largest_w & (mapped.v_bin == 1)],
    "liberal_egalitarian": mapped[largest_w & (mapped.v_bin == 10)],
    # w = 1/4 lies between the third value, 2/9, and the fourth, 1/3
    "strict_egalitarian": mapped[mapped.w_bin.isin((3, 4))],
}
poor = curves[curves.tail_endowment == 2]
top = poor.relative_payout.max()


def draw_payouts(inset, name):
    "Draw what a mechanism pays head and tails, round by round."
    for role, curve in poor[poor.mechanism == name].groupby("role"):
        look = dict(figures.ROLES[role], ms=2.5, lw=1, label=role)
        inset.plot(curve["round"], curve.relative_payout, **look)
    scales = dict(ylim=(0, 1.08 * top), xlim=(0.5, 10.5), xticks=[1, 10])
    inset.set(**scales, title=figures.label(name))


# %%
by_height = sorted(on_the_map, key=lambda name: -on_the_map[name].mds_y.mean())
layout = [["map", name] for name in by_height]
key = dict(title="payout / endowment of", title_fontsize=7.5, ncols=2)
with figures.style():
    size = dict(figsize=(5.6, 3.7), width_ratios=[2.7, 1])
    figure, axes = plt.subplot_mosaic(layout, **size)
    figures.manifold_map(axes["map"], mapped)
    axes["map"].set(
        xlabel="first dimension (distances in payout / endowment)",
        ylabel="second dimension",
    )
    axes["map"].patch.set_visible(False)  # it would hide the lines to the insets
    for name in by_height:
        inset = axes[name]
        draw_payouts(inset, name)
        spot = on_the_map[name][["mds_x", "mds_y"]].mean().to_numpy()
        ends = (spot, (0.0, 1.12), "data", "axes fraction")
        between = dict(axesA=axes["map"], axesB=inset)
        line = dict(color="#777777", lw=0.6, zorder=0)
        figure.add_artist(ConnectionPatch(*ends, **between, **line))
    inset.set_xlabel("round")
    figure.suptitle(figures.MAP_KEY, fontsize=7, x=0.02, ha="left")
    legend = inset.get_legend_handles_labels()
    figure.legend(*legend, **key, loc="outside upper right")
figure = figures.finalise(figure, "virtual players, tails of 2 coins, first run")
figures.save(figure, drawings / "fig1b.svg")
store.write_table(numbers / "fig1b.csv", mapped)
store.write_table(numbers / "fig1b_payouts.csv", curves)

# %% [markdown]
# ## 1C: contributions under three mechanisms
#
# Published points are people; lines are stand-in participants (or people, where the released files
# are), and virtual players that imitate stand-ins. In the original, strict egalitarian let
# contributions slide for everybody, libertarian raised them, and under liberal egalitarian tails
# climbed while the head did not.

# %%
axes = ["source", "mechanism", "tail_endowment", "role", "round"]
curves = runs.read_seeds(here, "fig1c.csv", n_seeds)
curves = curves.groupby(axes, sort=False).relative_contribution.mean().reset_index()
played = "people" if "people" in set(curves.source) else "participants"
whose = figures.behaviour_label(pd.Series([played]), n_seeds=n_seeds)
figure = figures.contribution_curves(curves, note=f"{whose}, and virtual players")
figures.save(figure, drawings / "fig1c.svg")

# %%
cells = curves.pivot_table(
    index=axes[1:], columns="source", values="relative_contribution"
)


def mean_error(one, other):
    "Average the distance of two sources over rounds and endowments."
    return (one - other).abs().groupby(["mechanism", "role"]).mean()


errors = pd.DataFrame(
    {
        f"{played} - published": mean_error(cells[played], cells.published),
        f"virtual players - {played}": mean_error(cells.virtual_players, cells[played]),
    }
)
errors.round(3)

# %%
store.write_table(numbers / "fig1c.csv", curves)

# %% [markdown]
# ## 1D: how a mechanism is found
#
# Four steps in a circle, and the notebooks that take them. The original's picture has the same
# circle; what is learned from the people of one round trains the mechanism of the next.

# %%
steps = {  # left, bottom, words
    "acquire": (0.02, 1.2, "groups play under\nmany mechanisms", "20"),
    "model": (2.0, 1.2, "networks learn to play\nas the groups did", "21"),
    "optimise": (2.0, 0.05, "a mechanism learns to\nwin the networks' votes", "22, 23"),
    "elect": (0.02, 0.05, "new groups play under\nit and a rival, and vote", "25, 28"),
}
arrows = (
    ((1.42, 1.45), (1.98, 1.45)),
    ((2.69, 1.18), (2.69, 0.78)),
    ((1.98, 0.3), (1.42, 0.3)),
    ((0.71, 0.78), (0.71, 1.18)),
)
passed_on = (
    (1.7, 1.5, "play", "center"),
    (2.64, 0.94, "virtual players", "right"),
    (1.7, 0.35, "HCRM", "center"),
    (0.76, 0.94, "repeat", "left"),
)

# %%
with figures.style():
    figure, ax = blank(figures.COLUMN, 1.95)
    for name, (left, bottom, words, notebooks) in steps.items():
        box(ax, left, bottom, 1.38, 0.5, words)
        x, y, step = left + 0.69, bottom + 0.57, f"{name}  ({notebooks})"
        ax.text(x, y, step, ha="center", fontsize=8, weight="bold")
    for start, end in arrows:
        arrow(ax, start, end)
    for x, y, words, side in passed_on:
        ax.text(x, y, words, ha=side, fontsize=7, style="italic")
figures.save(figures.finalise(figure, None), drawings / "fig1d.svg")
