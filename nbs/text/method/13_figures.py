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
# # Figures
#
# > Tidy tables go in; contribution curves, vote bars, beach plots, round robins and comparison tables in one house style come out.

# %%
#| default_exp figures

# %% [markdown]
# *In this notebook*: the forms that the pictures of Koster et al. share (curves, dots, bars,
# cells), as functions of a table; what occurs once is drawn where it occurs. It uses nothing but
# the way files are written (`engine.store`); the picture notebooks use it. No number is computed
# here: a figure shows the rows that it is given, says where they came from, and refuses rows that
# lack a column.

# %%
#| hide
import warnings

# a progress bar that nothing here uses
warnings.filterwarnings("ignore", message="IProgress not found")

# %%
#| export
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from democratic_ai import game
from democratic_ai.engine import store

# %%
#| hide
import tempfile

import pytest

from democratic_ai import mechanisms
from democratic_ai.engine import published


# %% [markdown]
# ## Told apart by everybody
#
# One reader in twenty does not see red and green as different, and every second print-out is grey.
# Take the two colours that a plotting library deals out for "bad" and "good". How different are
# they once the colour is gone? What is left is *luminance*, about $0.2126 R + 0.7152 G + 0.0722 B$
# with each channel freed of its gamma, and what counts is the ratio of two of them (guidelines for
# accessible pictures ask for at least 3).

# %%
def luminance(color):
    "What remains of a colour in grey, 0 black to 1 white."
    channel = np.array(mpl.colors.to_rgb(color))
    light = ((channel + 0.055) / 1.055) ** 2.4
    light = np.where(channel <= 0.04045, channel / 12.92, light)
    return float(light @ [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    "Ratio of luminances with the light of any room, 1 none to 21 black on white."
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


assert np.isclose(contrast("white", "black"), 21)
usual = contrast("tab:red", "tab:green")
assert usual < 1.6, "on paper the usual pair is nearly one grey"
print(f"red and green {usual:.1f}")

# %% [markdown]
# Nearly one grey. So in this house a player is never told by colour alone: the head is a *filled
# circle*, dark blue; a tail is an *open triangle*, light orange. Sources differ by form too:
# published numbers are markers, participants solid lines, virtual players dashed ones. The style is
# a context, so that it holds inside a figure function and leaves the reader's own settings alone.

# %%
#| export
COLUMN, FULL = 3.4, 7.0  # widths of one and two text columns, inches
# told apart by eyes of every kind, and in grey
HEAD, TAIL, CHANCE = "#0b3c6f", "#e08a00", "#777777"
ROLES = {"head": dict(color=HEAD, marker="o")}
ROLES["tail"] = dict(color=TAIL, marker="^", markerfacecolor="white")
_LINES = {"participants": "-", "people": "-", "virtual_players": (0, (3, 1.2))}
RUNS = ("#0b3c6f", "#e08a00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
DIVERGING = "RdYlBu_r"  # warm = more for the head, cold = more for the tails
_CELL = ["mechanism", "tail_endowment", "role"]  # what the points of a curve share
_TAIL_COINS = "tail endowment (coins)"


# %% [markdown]
# Sizes are those on the printed page: a text column is 3.4 inches wide, two are seven, and nothing
# that is to be read is set smaller than seven points. Whoever scales a figure afterwards undoes
# that, so no figure here needs scaling.

# %%
#| export
def style() -> AbstractContextManager:
    "Set the house style for figures drawn inside a `with` block."
    # starts matplotlib: if started inside, notebooks would show no figures afterwards
    plt.draw_if_interactive()
    lines = ("axes.linewidth", "xtick.major.width", "ytick.major.width")
    thin = dict.fromkeys(lines, 0.6)
    sizes = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8}
    sizes |= {"xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7.5}
    sizes |= {"lines.linewidth": 1.3, "lines.markersize": 3.5, "figure.dpi": 100}
    frames = ("legend.frameon", "axes.spines.top", "axes.spines.right")
    bare = dict.fromkeys(frames, False)
    return mpl.rc_context(thin | sizes | bare | {"figure.constrained_layout.use": True})


# %%
assert contrast(HEAD, TAIL) > 3, "dark against light, also in grey"
before = mpl.rcParams["font.size"]
with style():
    assert mpl.rcParams["font.size"] == 8
assert mpl.rcParams["font.size"] == before, "the reader's settings are as they were"

# %% [markdown]
# Four small habits that all figures share. Names of a table become words. A frame that lacks a
# column is refused in a sentence that names it, before anything is drawn. Panels have a fixed
# order. And every figure can carry a *note*, because who behaved here (people, stand-in
# participants, networks) must never be guessed.

# %%
#| export
# in the paper's order
_TITLES = {"strict_egalitarian": "strict egalitarian", "libertarian": "libertarian"}
_TITLES |= {"liberal_egalitarian": "liberal egalitarian", "hcrm": "HCRM"}
_TITLES |= {"hcmd_zero": "HCMD-zero", "rational": "RM"}
_TITLES |= {"human_referee": "human referee", "published": "published (markers)"}


# %%
#| export
def label(
    name: str | float,  # as it stands in a table
) -> str:  # "HCRM", "strict egalitarian", "10"
    "Spell a mechanism's or a source's name, or a number, for readers."
    if not isinstance(name, str):
        return f"{name:g}"
    return _TITLES.get(name, name.replace("_", " "))


# %% [markdown]
# The note itself is read off the table: play and votes carry a column `source`, and a figure that
# mixes people with stand-ins must say both.

# %%
#| export
_BEHAVIOUR = {"people": "people", "participants": "stand-in participants"}
_BEHAVIOUR |= {"virtual_players": "virtual players"}


# %%
#| export
def behaviour_label(
    source: pd.Series,  # the column of that name: people, participants, virtual_players
    *,
    n_seeds: int = 1,  # independent runs that the figure rests on
) -> str:  # "stand-in participants, 3 runs"
    "Say whose behaviour a figure shows, for its note."
    there = [word for name, word in _BEHAVIOUR.items() if name in set(source)]
    words = " and ".join(there)
    return words + (f", {n_seeds} runs" if n_seeds > 1 and words != "people" else "")


# %%
alike, mixed = pd.Series(["participants"] * 2), pd.Series(["participants", "people"])
assert behaviour_label(alike, n_seeds=3) == "stand-in participants, 3 runs"
assert behaviour_label(mixed) == "people and stand-in participants"


# %% [markdown]
# A table that comes from another notebook may lack what a picture needs: a column renamed, a run
# that wrote no rows. pandas would say `KeyError: 'round'` somewhere deep inside. The reader should
# learn which figure, which column, and what there is instead.

# %%
#| export
def _require_columns(
    frame: pd.DataFrame,
    figure: str,  # what is being drawn, for the message
    columns: Sequence[str],
) -> pd.DataFrame:  # the same frame
    "Pass on a frame with rows and all needed columns; raises ValueError otherwise."
    missing = [column for column in columns if column not in frame]
    if missing:
        there = ", ".join(map(str, frame.columns))
        fault = f"needs the column {missing[0]!r}, and the frame has only {there}"
        raise ValueError(f"{figure} {fault}: add it")
    if frame.empty:
        fault = "was given a frame without rows"
        raise ValueError(f"{figure} {fault}: pass at least one row")
    return frame


# %%
assert label("liberal_egalitarian") == "liberal egalitarian"
assert label("my_own_rule") == "my own rule"
renamed = pd.DataFrame({"role": ["head"], "rounds": [1]})
with pytest.raises(ValueError, match="needs the column 'round'") as refusal:
    _require_columns(renamed, "contribution_curves", ["role", "round"])
print(refusal.value)


# %% [markdown]
# Panels come in the paper's order, not in the alphabet's, which would put liberal egalitarian
# before strict; mechanisms that the paper does not know follow. And the last touch: the note, below
# the figure, small but always legible.

# %%
#| export
def ordered_values(
    names: pd.Series,  # mechanisms, sources or numbers
) -> list:  # each once: numbers by size; in the paper's order, others as they come
    "List what a column contains in the order in which panels are drawn."
    if pd.api.types.is_numeric_dtype(names):
        return sorted(names.unique())
    rank = {name: i for i, name in enumerate(_TITLES)}
    return sorted(names.unique(), key=lambda name: rank.get(name, len(rank)))


# %%
#| export
def finalise(
    figure: Figure,  # changed in place
    note: str | None,  # whose behaviour it shows, e.g. "stand-in participants"
) -> Figure:  # the same figure
    "Settle the layout for good and write the note below the figure."
    figure.draw_without_rendering()
    # it would shift things by a hair at every drawing, and no two files would be alike
    figure.set_layout_engine("none")
    if note:
        look = {"fontsize": 7, "style": "italic", "color": "#555555"}
        figure.text(0.995, -0.01, note, ha="right", va="top", **look)
    return figure


# %%
mechanism = pd.Series(["hcrm", "mine", "libertarian"])
assert ordered_values(mechanism) == ["libertarian", "hcrm", "mine"]
assert ordered_values(pd.Series([10, 2, 10])) == [2, 10] and label(10) == "10"


# %% [markdown]
# ## Contribution curves
#
# Figure 1C asks how giving develops over ten rounds. Nine panels: three mechanisms down, three tail
# endowments across. A row of the table is one point: who says so (`source`), under which mechanism,
# at which tail endowment, head or tail, in which round, and which fraction of the endowment went
# in. Zero to one on every axis, so that panels compare at a glance.

# %%
#| export
def panels(
    frame: pd.DataFrame,  # the columns that `row` and `column` name
    *,
    width: float,  # of a panel, inches
    height: float,  # of a panel, inches
    heading: str = "{}",  # of a column, with {} for its value
    row: str = "mechanism",  # what a row of panels has in common
    column: str = "tail_endowment",  # and a column of panels
    above: str | None = None,  # what the columns' values are, with unit
) -> tuple[Figure, dict[tuple, Axes]]:  # axes by (row, column)
    "Lay out one panel per row and column value of a table, all with the same axes."
    rows, columns = ordered_values(frame[row]), ordered_values(frame[column])
    size = (min(FULL, 0.9 + width * len(columns)), 0.9 + height * len(rows))
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(rows), len(columns), figsize=size, **shared)
    alone, low = above and len(columns) == 1, height <= 1.2  # low: one word a line
    for ax, name in zip(axes[0], columns, strict=True):
        words = label(name)
        ax.set_title(f"{above}: {words}" if alone else heading.format(words))
    if above and not alone:
        figure.suptitle(above, fontsize=8)
    for ax, name in zip(axes[:, 0], rows, strict=True):
        words = label(name).replace(" ", "\n") if low else label(name)
        ax.set_ylabel(words, weight="bold", fontsize=7 if low else 8)
    return figure, dict(zip(product(rows, columns), axes.flat, strict=True))


# %%
#| export
def _name_axes(figure: Figure, x: str, y: str) -> None:
    "Write once for all panels what their axes are, with units."
    figure.supxlabel(x, fontsize=8)
    figure.supylabel(y, fontsize=8)


# %% [markdown]
# What does a curve look like? Two questions with two answers each, and no answer given by colour
# alone. Who gave, head or tail: circle or triangle, dark or light. Who says so, the paper or we:
# markers or lines. Several of ours differ by their dashes.

# %%
#| export
def _marker_style(
    source: str,  # published | participants | virtual_players | any other
    role: str,  # head | tail
) -> dict:  # keywords of `plot`
    "Give published values a role's marker, others a line in the role's colour."
    if source == "published":
        return ROLES[role] | dict(linestyle="none", zorder=3)
    return dict(color=ROLES[role]["color"], linestyle=_LINES.get(source, ":"))


# %%
assert _marker_style("published", "tail")["marker"] == "^"
sources = ("published", "participants", "virtual_players")
dashes = [_marker_style(source, "head")["linestyle"] for source in sources]
assert dashes[0] == "none" and dashes[1] != dashes[2]


# %% [markdown]
# With these two the figure is a loop over curves. The legend explains roles and sources separately,
# so that two roles and three sources need five entries and not six.

# %%
#| export
def contribution_curves(
    frame: pd.DataFrame,  # points by source, mechanism, tail_endowment, role and round
    *,
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    "Draw contributions (Koster et al., Fig. 1C); raises ValueError for unfit frames."
    needed = ["source", *_CELL, "round", "relative_contribution"]
    _require_columns(frame, "contribution_curves", needed)
    if strange := set(frame["role"]) - set(ROLES):
        known = "contribution_curves knows the roles head and tail"
        raise ValueError(f"{known}, not {strange.pop()!r}: rename it")
    with style():
        figure, axes = panels(frame, width=2.1, height=1.4, heading="tail endowment {}")
        curves = ["mechanism", "tail_endowment", "source", "role"]
        for (*panel, source, role), curve in frame.sort_values("round").groupby(curves):
            x, y = curve["round"], curve["relative_contribution"]
            look = _marker_style(source, role) | {"label": f"{source} {role}"}
            axes[tuple(panel)].plot(x, y, **look)
        figure.axes[0].set(ylim=(0, 1), xlim=(0.5, 10.5))
        figure.axes[0].set(xticks=[1, 4, 7, 10], yticks=[0, 0.5, 1])
        _name_axes(figure, "round", "relative contribution (fraction of the endowment)")
        _curve_legend(figure, frame)
    return finalise(figure, note)


# %%
#| export
def _curve_legend(figure: Figure, frame: pd.DataFrame) -> None:
    "Explain roles and sources above a figure."
    roles = [role for role in ROLES if role in set(frame["role"])]
    looks = [_marker_style("published", r) | {"label": f"{r} player"} for r in roles]
    for source in sorted(set(frame["source"])):
        black = {"color": "black", "markerfacecolor": "white", "label": label(source)}
        looks.append(_marker_style(source, "head") | black)
    handles = [Line2D([], [], **look) for look in looks]
    figure.legend(handles=handles, loc="outside upper center", ncols=5)


# %% [markdown]
# The published points alone, and beside them an invented society that gives half in round one and
# five points less in every round after, whatever the mechanism. Nobody should mistake the two.

# %%
printed = published.read("fig1c_relative_contribution").assign(source="published")
falling = 0.55 - 0.05 * printed["round"]
invented = printed.assign(source="participants", relative_contribution=falling)
curves = contribution_curves(pd.concat([printed, invented]), note="an invented society")
lines = curves.axes[0].lines
theirs = [line for line in lines if line.get_label().startswith("published")]
markers = {line.get_marker() for line in theirs}
assert len(curves.axes) == 9 and markers == {"o", "^"}
assert "an invented society" in [text.get_text() for text in curves.texts]


# %% [markdown]
# See how under strict egalitarian everybody's giving decays, how under liberal egalitarian heads
# and tails part at tail endowment 2 and meet at 10, where the two roles are one. The solid lines
# know nothing of this.
#
# ### One source, many conditions
#
# Figures S3 and S4 have one source and so many conditions that nothing is left for markers to tell
# apart but the roles. There a curve is a line *through* its markers, so that the role shows at
# every round and in every grey, and an interval is a shadow.

# %%
#| export
def role_curves(
    frame: pd.DataFrame,  # points: mechanism, tail_endowment, role, round and `value`
    *,
    value: str,  # the column to draw, between low and high where these are columns
    label: str,  # what it is, with its unit
    limits: tuple[float, float | None] = (0, None),  # of the vertical axis
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    "Draw curves (Koster et al., Figures S3, S4); raises ValueError for unfit frames."
    _require_columns(frame, "role_curves", [*_CELL, "round", value])
    with style():
        figure, axes = panels(frame, width=1.25, height=1.1, above=_TAIL_COINS)
        for (*panel, role), curve in frame.sort_values("round").groupby(_CELL):
            ax, x = axes[tuple(panel)], curve["round"]
            ax.plot(x, curve[value], **ROLES[role], lw=1, label=role)
            if "low" in curve:
                shadow = {"color": ROLES[role]["color"], "alpha": 0.25, "lw": 0}
                ax.fill_between(x, curve["low"], curve["high"], **shadow)
        figure.axes[0].set(ylim=limits, xlim=(0.3, 10.7), xticks=[1, 4, 7, 10])
        _name_axes(figure, "round", label)
        _role_legend(figure, frame)
    return finalise(figure, note)


# %%
#| export
def _role_legend(figure: Figure, frame: pd.DataFrame, **more) -> None:
    "Explain circles and triangles above a figure."
    words = {"head": "head player", "tail": "tail players"}
    roles = [role for role in ROLES if role in set(frame["role"])]
    handles = [Line2D([], [], **ROLES[r] | more, label=words[r]) for r in roles]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)


# %%
poorest = invented[invented["tail_endowment"] == 2]
drawn = {"value": "relative_contribution", "label": "fraction"}
by_role = role_curves(poorest, **drawn, note="an invented society")
head, tail = by_role.axes[0].lines
assert head.get_marker() == "o" and tail.get_marker() == "^"
assert tail.get_markerfacecolor() == "white"

# %% [markdown]
# ### A dot a game
#
# Figures 3C and 4C ask what a player gets for giving: a dot is one game, the head's or the mean of
# its tails', and a line through each. Hundreds of dots per panel are drawn as pixels (a vector file
# would weigh megabytes), the lines as lines. Which line belongs to whom is said by its dashes too:
# solid for the head, dashed for the tails. The lines come with the table, since they may rest on
# more games than are shown.

# %%
#| export
_FITS = {"head": "-", "tail": (0, (4, 1.5))}


# %%
#| export
def _fit_lines(axes: dict, dots: pd.DataFrame, fits: pd.DataFrame, x: str) -> None:
    "Draw a line through the dots of each role, from the first of them to the last."
    reach = dots.groupby(_CELL)[x].agg(["min", "max"])
    for line in fits.itertuples():
        panel = (line.mechanism, line.tail_endowment)
        ends = reach.loc[(*panel, line.role)].to_numpy()
        look = {"lw": 1, "color": ROLES[line.role]["color"], "ls": _FITS[line.role]}
        look["path_effects"] = [withStroke(linewidth=2, foreground="white")]
        axes[panel].plot(ends, line.intercept + line.slope * ends, **look)


# %%
#| export
def role_scatter(
    dots: pd.DataFrame,  # dots: mechanism, tail_endowment, role, `x` and `y`
    fits: pd.DataFrame,  # lines: mechanism, tail_endowment, role, slope, intercept
    *,
    x: str,  # column of `dots`
    y: str,  # column of `dots`
    labels: tuple[str, str],  # of x and y, with units
    size: tuple[float, float] = (1.25, 1.2),  # of a panel, inches
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    "Draw games (Koster et al., Figures 3C, 4C); raises ValueError for unfit frames."
    _require_columns(dots, "role_scatter", [*_CELL, x, y])
    _require_columns(fits, "role_scatter", [*_CELL, "slope", "intercept"])
    look = {"ls": "none", "ms": 2.5, "mew": 0.5, "alpha": 0.5, "rasterized": True}
    with style():
        figure, axes = panels(dots, width=size[0], height=size[1], above=_TAIL_COINS)
        for (*panel, role), games in dots.groupby(_CELL):
            axes[tuple(panel)].plot(games[x], games[y], **ROLES[role], **look)
        _fit_lines(axes, dots, fits, x)
        _name_axes(figure, *labels)
        _role_legend(figure, dots)
    return finalise(figure, note)


# %% [markdown]
# A society of misers and spendthrifts, in which a head gets back what it gave and tails twice that:

# %%
gave = np.random.default_rng(0).uniform(0, 1, 60)
condition = {"mechanism": "libertarian", "tail_endowment": 2}
gains = {"head": 10, "tail": 4}
got = [pd.DataFrame({"gave": gave, "got": k * gave}) for k in gains.values()]
games = pd.concat(got).assign(role=np.repeat([*gains], 60), **condition)
fits = pd.DataFrame({"role": [*gains], "slope": [*gains.values()], "intercept": 0})
words = ("relative contribution", "payout (coins)")
drawn = {"x": "gave", "y": "got", "labels": words}
scatter = role_scatter(games, fits.assign(**condition), **drawn, note="made up")
lines = scatter.axes[0].lines
assert {line.get_marker() for line in lines} == {"o", "^", "None"}
assert all(line.get_rasterized() for line in lines if line.get_marker() != "None")

# %% [markdown]
# ## Vote bars
#
# Figure 2 asks who wins. A bar is a share of votes, so it starts at zero, ends at one, and has the
# line of a drawn election across. The interval stands on the bar; a published value is a diamond
# beside it. With a column `role` the votes of tails, heads and all players stand side by side.

# %%
#| export
BARS = {
    "tail": ("#f0c27b", "tails (left)"),
    "head": ("#5f86b3", "heads (middle)"),
    "all": ("#a9bfda", "all players, 95 % interval"),
}


# %%
#| export
def _bars(ax: Axes, panel: pd.DataFrame, tails: list) -> None:
    "Draw a rival's bars by tails and role, published diamonds, a line at one half."
    roles = [role for role in BARS if role in set(panel["role"])]
    width = 0.8 / len(roles)
    for i, role in enumerate(roles):
        rows = panel[panel["role"] == role]
        share, bounds = rows["vote_share"], rows[["low", "high"]].to_numpy().T
        at = np.array([tails.index(tail) for tail in rows["tail_endowment"]])
        x = at + (i - (len(roles) - 1) / 2) * width
        color, label = BARS[role]
        look = {"color": color, "label": label, "error_kw": {"lw": 1, "capsize": 2}}
        interval = np.abs(bounds - share.to_numpy())
        ax.bar(x, share, width=0.9 * width, yerr=interval, **look)
        if "published" in rows and rows["published"].notna().any():
            look = {"color": "black", "markerfacecolor": "white", "label": "published"}
            ax.plot(x - width / 4, rows["published"], "D", **look)
    ax.axhline(0.5, color=CHANCE, lw=0.8, ls=(0, (4, 2)))
    ax.set_xticks(range(len(tails)), [f"{tail:g}" for tail in tails])


# %% [markdown]
# The figure gives each rival a panel. All panels share their axis, since the interesting comparison
# is *between* rivals: a mechanism that beats strict egalitarian by a mile may beat liberal
# egalitarian by an inch.

# %%
#| export
def vote_bars(
    frame: pd.DataFrame,  # bars: rival, tail_endowment, vote_share, low, high
    *,
    agent: str = "HCRM",  # whose votes they are
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    """Draw votes (Koster et al., Figure 2); raises ValueError for unfit frames.

    Two more columns are optional: published, and role (tail, head or all).
    """
    columns = ["rival", "tail_endowment", "vote_share", "low", "high"]
    _require_columns(frame, "vote_bars", columns)
    frame = frame if "role" in frame else frame.assign(role="all")
    rivals = ordered_values(frame["rival"])
    n, tails = len(rivals), sorted(frame["tail_endowment"].unique())
    size = (np.clip(0.7 + 2.1 * n, COLUMN, FULL), 2.4 + 0.2 * (n == 1))
    with style():
        figure, axes = plt.subplots(1, n, figsize=size, sharey=True, squeeze=False)
        for ax, rival in zip(axes[0], rivals, strict=True):
            _bars(ax, frame[frame["rival"] == rival], tails)
            ax.set(title=f"against {label(rival)}", ylim=(0, 1), xlabel=_TAIL_COINS)
        axes[0, 0].set_ylabel(f"share of the votes for {agent}")
        legend = axes[0, 0].get_legend_handles_labels()
        figure.legend(*legend, loc="outside upper center", ncols=4 if n > 1 else 2)
    return finalise(figure, note)


# %% [markdown]
# What the paper's people did, as bars, with the paper's networks as diamonds. Four votes of a group
# are not four independent voters, so the binomial interval drawn here is too narrow: it is for
# looks, the statistics notebook does it properly.

# %%
networks = published.read("table_s1b_virtual_votes")
networks = networks.rename(columns={"vote_share": "published"})
people = published.read("fig2_votes").merge(networks, on=["rival", "tail_endowment"])
share = people["votes_for_hcrm"] / people["votes_cast"]
half = 1.96 * np.sqrt(share * (1 - share) / people["votes_cast"])
people = people.assign(vote_share=share, low=share - half, high=share + half)
bars = vote_bars(people, note="bars: people; diamonds: their networks")
heights = [bar.get_height() for bar in bars.axes[0].patches]
assert len(bars.axes) == 3 and np.allclose(heights, share[:5])


# %% [markdown]
# Networks and people agree on the winner in nearly every condition, and differ on where it wins
# most: against libertarian the networks' lead melts with equality, the people's does not.
#
# ## Beach plots
#
# A mechanism without memory is a surface: how much the head gave, how much the tails gave on
# average, and the head's share of the fund on top. Seen from above, warm where the head is paid and
# cold where the tails are, it looks like a beach. All triples of tail contributions with the same
# sum share a cell; whoever makes the table has averaged over them.
#
# The obvious colour map is a rainbow. Does its lightness at least say how far from the middle one
# is?

# %%
def wrong_turns(cmap):
    "How often lightness does not rise before the middle, or does not fall after it."
    colors = mpl.colormaps[cmap](np.linspace(0, 1, 101))[:, :3]
    grey = np.array([luminance(color) for color in colors])
    step = np.diff(grey) * np.sign(49.5 - np.arange(100))
    return int((step < -1e-3).sum())


turns = {cmap: wrong_turns(cmap) for cmap in ("jet", DIVERGING)}
assert turns["jet"] > 10 and turns[DIVERGING] == 0
turns


# %% [markdown]
# The rainbow has bands that mean nothing. Red to yellow to blue is lightest in the middle, darkens
# to both ends, and is told apart by readers who confuse red and green.

# %% [markdown]
# A small matter of half a cell. Eleven possible contributions of the head are eleven *values* from
# 0 to 1, not eleven intervals. A picture whose outer edges are 0 and 1 would show them shifted; its
# cells must be centred on the values, and what sticks out is cut.

# %%
#| export
def _edges(values: pd.Index) -> tuple[float, float]:
    "Give the outer edges of cells that are centred at evenly spaced values."
    values = values.to_numpy(float)
    half = np.diff(values).mean() / 2 if len(values) > 1 else 0.5
    return values[0] - half, values[-1] + half


# %%
assert np.allclose(_edges(pd.Index(np.arange(7) / 6)), [-1 / 12, 13 / 12])
assert np.allclose(_edges(pd.Index(np.arange(11) / 10)), [-0.05, 1.05])
assert _edges(pd.Index([3])) == (2.5, 3.5)


# %% [markdown]
# Beach plots are not the only pictures made of cells. How often was every number of coins given
# (Figure S1), how do head and tails give together (S7), what do they end a round with (S8)? It is
# always a table with a row per cell. Each mechanism and endowment, or each round, has a panel, and
# all panels share one scale of colours. So the cells get a function of their own. Where nothing was
# measured there is no cell, and the panel stays grey.

# %%
#| export
def heat_panels(
    frame: pd.DataFrame,  # one row a cell: the columns that the next five names pick
    *,
    x: str,  # evenly spaced values
    y: str,  # evenly spaced values
    value: str,  # gives the colour
    row: str = "mechanism",  # of panels
    column: str = "tail_endowment",  # of panels
    labels: tuple[str, str, str],  # of x, y and the colours, with units
    limits: tuple[float, float] | None = None,  # of colours; default: 0 to the maximum
    cmap: str = "Blues",  # name of a map of matplotlib
    window: tuple | None = None,  # ((left, right), (bottom, top)); default: all cells
    ticks: tuple | None = None,  # (of x, of y)
    size: tuple[float, float] = (1.3, 1.25),  # of a panel, inches
    above: str | None = None,  # what the columns of panels are, with unit
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    "Draw cells (Koster et al., Fig. S1, S7, S8); raises ValueError for unfit frames."
    _require_columns(frame, "heat_panels", [row, column, x, y, value])
    shape = {"row": row, "column": column, "width": size[0], "height": size[1]}
    with style():
        figure, axes = panels(frame, **shape, above=above)
        image = _draw_cells(axes, frame, [row, column, x, y, value], cmap, limits)
        _scale(figure, image, labels, window, ticks)
    return finalise(figure, note)


# %% [markdown]
# What the panels share stands once: the axes' names, the window, the ticks, and one bar of colours.
# A default window would be that of the panel drawn last, since drawing a picture sets the axes to
# it; so the widest is found first.

# %%
#| export
def _draw_cells(axes: dict, frame, columns: list, cmap: str, limits) -> AxesImage:
    "Colour the cells of every panel, centred on their values; give one panel's image."
    row, column, x, y, value = columns
    lowest, highest = limits or (0, frame[value].max())
    look = {"cmap": cmap, "interpolation": "nearest", "origin": "lower"}
    look |= {"aspect": "auto", "vmin": lowest, "vmax": highest}
    for at, panel in frame.groupby([row, column]):
        cells = panel.pivot(index=y, columns=x, values=value)
        extent = (*_edges(cells.columns), *_edges(cells.index))
        image = axes[at].imshow(cells, extent=extent, **look)
    return image


# %%
#| export
def _scale(figure: Figure, image, labels: tuple, window, ticks) -> None:
    "Give panels of cells a common window, ticks, labels and bar of colours."
    if window is None:
        extents = [ax.images[0].get_extent() for ax in figure.axes if ax.images]
        left, right, bottom, top = np.array(extents).T
        window = (left.min(), right.max()), (bottom.min(), top.max())
    figure.axes[0].set(xlim=window[0], ylim=window[1])
    short = lambda values: [f"{value:g}".replace("0.", ".") for value in values]
    if ticks:
        figure.axes[0].set_xticks(ticks[0], short(ticks[0]))
        figure.axes[0].set_yticks(ticks[1], short(ticks[1]))
    for ax in figure.axes:
        ax.set_facecolor("#e6e6e6")
        ax.set_visible(bool(ax.images))
    _name_axes(figure, *labels[:2])
    bar = figure.colorbar(image, ax=figure.axes, fraction=0.03, pad=0.02, aspect=25)
    bar.set_label(labels[2])


# %% [markdown]
# A beach is measured in coins, but a tail's 2 coins and a head's 10 are both all that they have; so
# both axes become fractions.

# %%
#| export
def relative_cells(
    frame: pd.DataFrame,  # tail_endowment, head_contribution, tail_contribution_sum
) -> pd.DataFrame:  # the same with head and tails, fractions of what they have
    "Compute from coins which fraction of their endowments head and tails gave."
    n_tails = game.Game.n_players - 1
    head = frame["head_contribution"] / game.Game.most_coins
    tails = frame["tail_contribution_sum"] / (n_tails * frame["tail_endowment"])
    return frame.assign(head=head.round(6), tails=tails.round(6))


# %%
coins = {"tail_endowment": [2, 4], "head_contribution": [10, 5]}
coins["tail_contribution_sum"] = [6, 3]
everything = relative_cells(pd.DataFrame(coins))
assert everything[["head", "tails"]].to_numpy().tolist() == [[1, 1], [0.5, 0.25]]


# %% [markdown]
# The beach plot is then a few words more.

# %%
#| export
def beach_plot(
    frame: pd.DataFrame,  # cells as for `relative_cells`, with mechanism and head_share
    *,
    size: tuple[float, float] = (1.3, 1.25),  # of a panel, inches
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    "Draw head's shares (Koster et al., Figure 3A); raises ValueError for unfit frames."
    coins = ["head_contribution", "tail_contribution_sum"]
    needed = ["mechanism", "tail_endowment", *coins, "head_share"]
    _require_columns(frame, "beach_plot", needed)
    what = ("mean relative contribution of the tails", "head's relative contribution")
    columns = {"x": "tails", "y": "head", "value": "head_share"}
    look = {"labels": (*what, "head's share of the fund"), "above": _TAIL_COINS}
    look |= {"limits": (0, 1), "window": ((0, 1), (0, 1)), "cmap": DIVERGING}
    look |= {"ticks": ((0, 0.5, 1), (0, 0.5, 1)), "size": size}
    return heat_panels(relative_cells(frame), **columns, **look, note=note)


# %% [markdown]
# Three surfaces that we know by heart. Strict egalitarian should be one colour, a quarter
# everywhere; liberal egalitarian a fan that looks alike for all tail endowments; libertarian should
# become that fan as tails grow as rich as the head.

# %%
def surface(name, mechanism, tail):
    "The head's share when all tails give alike."
    head, tails = np.indices((11, 3 * tail + 1)).reshape(2, -1)
    contribution = np.c_[head, tails / 3, tails / 3, tails / 3]
    endowment = np.tile(mechanisms.head_and_tails(tail), (len(head), 1))
    share = np.asarray(mechanism(endowment, contribution)[:, 0])
    cells = {"mechanism": name, "tail_endowment": tail, "head_contribution": head}
    return pd.DataFrame(cells | {"tail_contribution_sum": tails, "head_share": share})


def three_surfaces(name, mechanism):
    "The surfaces at three tail endowments."
    return pd.concat([surface(name, mechanism, tail) for tail in (2, 6, 10)])


sand = [three_surfaces(*baseline) for baseline in mechanisms.BASELINES.items()]
beach = beach_plot(pd.concat(sand))
pictures = [ax.images[0].get_array() for ax in beach.axes[:9]]
assert np.allclose(pictures[0], 0.25)
assert np.allclose(pictures[5], pictures[8], atol=1e-6)

# %% [markdown]
# Look along the lowest row of cells: a head who gives nothing is paid nothing by two of the three,
# and only the very corner, where nobody gives, is shared out equally.
#
# ## The map of the manifold
#
# A hundred mechanisms on one map (Figures 1B, S9). The paper prints a number on each dot, the bin
# of w, and shades it by v. Digits are a good marker: they are read, not matched with a legend, and
# they need no colour. The shade runs from dark (coins count) to light (fractions of the endowment
# do).

# %%
#| export
_SHADES = "YlOrRd_r"  # of v: 0, absolute, is dark, 1, relative, is light
MAP_KEY = (
    "digit: tenth of w (1: what others gave, 10: what one gave oneself)\n"
    "dark: v = 0 (coins count), light: v = 1 (fractions of the endowment)"
)


# %%
#| export
def manifold_map(
    ax: Axes,  # changed in place
    frame: pd.DataFrame,  # w_bin, v (0 to 1), mds_x, mds_y; one row a mechanism
) -> None:
    "Map mechanisms (Koster et al., Fig. 1B, S9); raises ValueError for unfit frames."
    _require_columns(frame, "manifold_map", ["w_bin", "v", "mds_x", "mds_y"])
    # up to 0.6: the palest yellow would not show
    colors = mpl.colormaps[_SHADES](0.6 * frame["v"].to_numpy(float))
    digits = zip(frame["w_bin"], colors, frame["mds_x"], frame["mds_y"], strict=True)
    for bin_of_w, color, x, y in digits:
        look = {"color": color, "ms": 5.5 if bin_of_w < 10 else 8, "mew": 0}
        ax.plot(x, y, marker=f"${bin_of_w}$", **look, ls="none")
    ax.set_aspect("equal", adjustable="box")


# %%
corner = pd.DataFrame({"w_bin": [1, 10, 10], "v": [0, 0, 1]})
corner = corner.assign(mds_x=[0.0, 1, 1], mds_y=[0.0, 1, -1])
with style():
    figure, ax = plt.subplots(figsize=(2, 1.6))
    manifold_map(ax, corner)
assert [line.get_marker() for line in ax.lines] == ["$1$", "$10$", "$10$"]
_, dark, light = (line.get_color() for line in ax.lines)
assert contrast(dark, light) > 3, "dark and light, also in grey"


# %% [markdown]
# ## A round robin
#
# The metagame's result is a square of numbers, the row's share of votes against the column. Colour
# shows the pattern, the number is there to be read; beyond a dozen mechanisms only colour is left.
# The colours are centred on one half, a drawn election, and reach equally far to both sides, so
# that a matrix and its mirror image look like each other's negative.

# %%
#| export
def matrix_plot(
    frame: pd.DataFrame,  # row_v, row_w, col_v, col_w, win_probability
    *,
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    "Draw a round robin (Koster et al., Table S2); raises ValueError for unfit frames."
    columns = ["row_v", "row_w", "col_v", "col_w", "win_probability"]
    pairs = {"index": ["row_w", "row_v"], "columns": ["col_w", "col_v"]}
    frame = _require_columns(frame, "matrix_plot", columns)
    win = frame.pivot(**pairs, values="win_probability")
    n, spread = len(win), max(0.05, np.abs(win.to_numpy() - 0.5).max())
    size = (min(FULL, 2.2 + 0.45 * n), min(FULL, 1.4 + 0.36 * n))
    with style():
        figure, ax = plt.subplots(figsize=size)
        colors = {"cmap": DIVERGING, "vmin": 0.5 - spread, "vmax": 0.5 + spread}
        image = ax.imshow(win, **colors, aspect="auto")
        ax.spines[:].set_visible(False)
        if n <= 12:
            _write_shares(ax, win, spread)
        ax.set(xlabel="opponent (v, w)", ylabel="mechanism (v, w)")
        bar = figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02)
        bar.set_label("share of the votes for the row")
    return finalise(figure, note)


# %%
#| export
def _write_shares(ax: Axes, win: pd.DataFrame, spread: float) -> None:
    "Write shares on cells, white beyond 0.8 of the spread, and mechanisms on axes."
    names = [f"{v:.2g}, {w:.2g}" for w, v in win.index]
    tilted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(len(win)), names, **tilted)
    ax.set_yticks(range(len(win)), names)
    middle = {"ha": "center", "va": "center", "fontsize": 7}
    for (i, j), value in np.ndenumerate(win.to_numpy()):
        color = "white" if abs(value - 0.5) > 0.8 * spread else "black"
        ax.text(j, i, f"{value:.3f}".lstrip("0"), **middle, color=color)


# %%
table_s2 = published.read("table_s2_metagame")
robin = matrix_plot(table_s2, note="published, virtual players")
written = [text.get_text() for text in robin.axes[0].texts]
last_row = ".653 .657 .654 .576 .575 .579 .533 .506 .500"
assert len(written) == 81 and " ".join(written[-9:]) == last_row


# %% [markdown]
# Blocks of three: the weight of one's own contribution decides nearly everything, absolute or
# relative only tips the last block.
#
# ## A learning curve
#
# Training prints a number per update. One thin line a run, in colours that differ in lightness, and
# a reference where there is one. Ten thousand updates make a hairy line and a heavy file, so a
# point is the mean over a window of updates.

# %%
#| export
def learning_curve(
    history: pd.DataFrame,  # step, the measured value; optionally run
    *,
    value: str = "vote_share",  # the column to draw
    label: str = "expected share of the votes",  # what it is, with unit, for the axis
    reference: float | None = None,  # a horizontal line, e.g. 0.5
    n_points: int = 200,  # at most so many a run, each the mean of a window of updates
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:  # settled, ready for `save`
    "Draw a value over updates, a line a run; raises ValueError for unfit frames."
    _require_columns(history, "learning_curve", ["step", value])
    runs = list(history.groupby("run")) if "run" in history else [(None, history)]
    with style():
        figure, ax = plt.subplots(figsize=(COLUMN, 2.3))
        for i, (run, curve) in enumerate(runs):
            window = np.arange(len(curve)) * min(n_points, len(curve)) // len(curve)
            mean = curve[["step", value]].groupby(window).mean()
            color, name = RUNS[i % len(RUNS)], None if run is None else f"{run}"
            ax.plot(mean["step"], mean[value], color=color, lw=1, label=name)
        if reference is not None:
            ax.axhline(reference, color=CHANCE, lw=0.8, ls=(0, (4, 2)))
        ax.set(xlabel="updates", ylabel=label)
        if "run" in history:
            figure.legend(loc="outside upper center", ncols=4)
    return finalise(figure, note)


# %% [markdown]
# Here the axis need not start at zero: what matters is whether a curve still rises, not how tall it
# is. A reference line, here the half that a mechanism gets against itself, keeps the scale honest.
# Three made-up trainings that approach .58 of the votes:

# %%
step = np.arange(10_000)
noise = np.random.default_rng(0).normal(0, 0.02, (3, 10_000))
share = 0.58 - 0.08 * np.exp(-step / 2000) + noise
runs = [pd.DataFrame({"step": step, "vote_share": one}) for one in share]
runs = [run.assign(run=f"seed {k}") for k, run in enumerate(runs)]
learning = learning_curve(pd.concat(runs), reference=0.5, note="made up")
*curve, chance = learning.axes[0].lines
assert learning.axes[0].get_xlabel() == "updates"
assert [len(line.get_xdata()) for line in curve] == [200] * 3
assert np.isclose(curve[0].get_ydata().mean(), runs[0]["vote_share"].mean())

# %% [markdown]
# The curves flatten well before the end; whether the last thousands of updates pay is a question of
# seeds, not of this picture.

# %% [markdown]
# ## The same bytes
#
# A figure that has not changed should not look changed: not to git, which would commit it again,
# nor to the pipeline, which would typeset the paper again. Repeatable bytes also make a strong
# test: a run repeated on the same machine must leave the same files, pictures included. Save the
# same picture twice in the obvious way:

# %%
folder = Path(tempfile.mkdtemp())
for name in ("one.svg", "two.svg"):
    bars.savefig(folder / name)
naive_bytes = [(folder / name).read_bytes() for name in ("one.svg", "two.svg")]
assert naive_bytes[0] != naive_bytes[1], "a date and random names are inside"


# %% [markdown]
# The file holds the time of day, and its parts are named at random. Both can be told not to. There
# was a third culprit, found the hard way: a layout that is solved anew at every drawing settles a
# hair away from where it was. `finalise` solves it once and then freezes it. Paper wants vectors,
# so SVG it is, cut to what is drawn; and it is written under another name first, so that half a
# figure is never found.

# %%
#| export
def save(
    figure: Figure,  # settled by `finalise`
    path: Path | str,  # ends in .svg
) -> None:
    "Write a figure as SVG, in repeatable bytes; raises ValueError for another suffix."
    if Path(path).suffix != ".svg":
        raise ValueError(f"{path}: figures are saved as .svg; change the suffix")
    look = {"format": "svg", "bbox_inches": "tight", "dpi": 200}
    same_names = mpl.rc_context({"svg.hashsalt": "democratic-ai"})
    with store.atomic_write(path) as temporary, same_names:
        figure.savefig(temporary, **look, metadata={"Date": None})


# %%
for name in ("one.svg", "two.svg"):
    save(bars, folder / name)
ours = [(folder / name).read_bytes() for name in ("one.svg", "two.svg")]
there = sorted(path.name for path in folder.iterdir())
assert ours[0] == ours[1] and there == ["one.svg", "two.svg"]
with pytest.raises(ValueError, match=r"figures are saved as \.svg"):
    save(bars, folder / "one.png")
print(len(ours[0]) // 1024, "KB")


# %% [markdown]
# ## Recap
#
# `style` and the constants of the house style; `label`, `ordered_values`, `panels`, `finalise` the
# shared habits; `behaviour_label` says whose behaviour it is; `contribution_curves`, `role_curves`,
# `role_scatter`, `vote_bars`, `heat_panels`, `beach_plot`, `manifold_map`, `matrix_plot`,
# `learning_curve` draw; `save` writes.
#
# Questions to take along: which of these figures would you believe less if its note were missing?
# Why may a bar not start at .4, while a learning curve may?
#
# **Exercise.** Draw a beach for a mechanism of your own: pay the head nothing below half its
# endowment, and as liberal egalitarian above.
#
# <details><summary>Solution</summary>

# %%
def strict_with_heads(endowment, contribution):
    "Liberal egalitarian that counts a head's contribution only from one half on."
    little = (np.arange(4) == 0) & (contribution < endowment / 2)
    counted = np.where(little, 0, contribution)
    return mechanisms.liberal_egalitarian(endowment, counted)


mine = beach_plot(three_surfaces("strict_with_heads", strict_with_heads))
low = mine.axes[0].images[0].get_array()[:5, 1:]
assert np.allclose(low, 0), "below half, no share"

# %% [markdown]
# </details>
#
# A broad cold strip along the lower edge: keep it in mind for the day when HCRM's own beach is
# drawn.
