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
# *In this notebook*: the pictures of Koster et al. that this book redraws (Figures 1C, 2 and 3A, Table S2) as functions of a
# table. It uses nothing but the way files are written (02_data); the picture notebooks use it. No number is computed here:
# a figure shows the rows that it is given, says where they came from, and refuses rows that lack a column.

# %%
#| export
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from democratic_ai import data

# %%
#| hide
import tempfile

import pytest

# %% [markdown]
# ## style

# %%
#| export
COLUMN, FULL = 3.4, 7.0  # widths of one and two text columns, inches
HEAD, TAIL, OURS, CHANCE = "#0b3c6f", "#e08a00", "#4c78a8", "#777777"  # told apart by eyes of every kind, and in grey
ROLES = {"head": dict(color=HEAD, marker="o"), "tail": dict(color=TAIL, marker="^", markerfacecolor="white")}
LINES = {"participants": "-", "virtual_players": (0, (3, 1.2))}
RUNS = ("#0b3c6f", "#e08a00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
DIVERGING = "RdYlBu_r"  # warm = more for the head, cold = more for the tails


def style() -> AbstractContextManager:
    "Set the house style for figures drawn inside the `with` block."
    return mpl.rc_context(
        {
            "font.size": 8,
            "axes.titlesize": 8,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 7.5,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "lines.linewidth": 1.3,
            "lines.markersize": 3.5,
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
        }
    )


# %% [markdown]
# ## helpers

# %%
#| export
TITLES = {
    "strict_egalitarian": "strict egalitarian",
    "libertarian": "libertarian",
    "liberal_egalitarian": "liberal egalitarian",
    "hcrm": "HCRM",
    "rm": "RM",
}


def title(
    name: str,  # as it stands in a table
) -> str:
    "Spell a mechanism's or a source's name as a reader wants to see it."
    return TITLES.get(name, str(name).replace("_", " "))


def required(
    frame: pd.DataFrame,
    figure: str,  # what is being drawn, for the message
    columns: Sequence[str],
) -> pd.DataFrame:  # the same frame
    "Pass a frame through if it has rows and all columns that a figure needs; raises ValueError if not."
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"{figure} needs the column {missing[0]!r}, and the frame has only {', '.join(map(str, frame.columns))}: add it")
    if frame.empty:
        raise ValueError(f"{figure} was given a frame without rows: pass at least one row")
    return frame


def in_order(
    names: pd.Series,
) -> list:  # each name once: known mechanisms first, in the paper's order, then the others as they come
    "List what a column contains in the order in which panels are drawn."
    rank = {name: i for i, name in enumerate(TITLES)}
    return sorted(names.unique(), key=lambda name: rank.get(name, len(rank)))


def label_source(
    figure: Figure,
    note: str | None,  # e.g. "stand-in participants"
) -> Figure:  # the same figure
    "Write below a figure whose behaviour it shows."
    if note:
        figure.text(0.995, 0, note, ha="right", va="top", fontsize=7, style="italic", color="#555555")
    return figure


# %% [markdown]
# ## contribution curves

# %%
#| export
def contribution_curves(
    frame: pd.DataFrame,  # source, mechanism, tail_endowment, role, round, relative_contribution
    *,
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:
    "Draw relative contribution by round, mechanisms as rows and tail endowments as columns (Koster et al., Figure 1C); raises ValueError."
    columns = ["source", "mechanism", "tail_endowment", "role", "round", "relative_contribution"]
    rows, tails = in_order(required(frame, "contribution_curves", columns)["mechanism"]), sorted(frame["tail_endowment"].unique())
    with style():
        size = (min(FULL, 0.9 + 2.1 * len(tails)), 0.5 + 1.45 * len(rows))
        figure, axes = plt.subplots(len(rows), len(tails), figsize=size, sharex=True, sharey=True, squeeze=False)
        for (mechanism, tail), panel in frame.groupby(["mechanism", "tail_endowment"]):
            ax = axes[rows.index(mechanism), tails.index(tail)]
            for (source, role), curve in panel.sort_values("round").groupby(["source", "role"]):
                form = ROLES[role] | dict(linestyle="none") if source == "published" else dict(color=ROLES[role]["color"], linestyle=LINES.get(source, ":"))
                ax.plot(curve["round"], curve["relative_contribution"], **form, label=f"{source} {role}")
        for ax, tail in zip(axes[0], tails):
            ax.set_title(f"tail endowment {tail:g}")
        for ax, mechanism in zip(axes[:, 0], rows):
            ax.set_ylabel(title(mechanism))
        axes[0, 0].set(ylim=(0, 1), xlim=(0.5, 10.5), xticks=[1, 4, 7, 10], yticks=[0, 0.5, 1])
        figure.supxlabel("round", fontsize=8)
        figure.supylabel("relative contribution (fraction of the endowment)", fontsize=8)
        figure.legend(handles=_curve_legend(frame), loc="outside upper center", ncols=4)
    return label_source(figure, note)


def _curve_legend(frame):
    "Explain roles by marker and colour, sources by line."
    roles = [Line2D([], [], **ROLES[role], linestyle="none", label=f"{role} player") for role in ROLES if role in set(frame["role"])]
    published = {"published": dict(marker="o", linestyle="none", markerfacecolor="none", color="black")}
    sources = published | {source: dict(linestyle=LINES.get(source, ":"), color="black") for source in frame["source"].unique() if source != "published"}
    return roles + [Line2D([], [], **form, label=title(source)) for source, form in sources.items() if source in set(frame["source"])]


# %% [markdown]
# ## vote bars

# %%
#| export
def vote_bars(
    frame: pd.DataFrame,  # rival, tail_endowment, vote_share, low, high; published is optional
    *,
    agent: str = "HCRM",  # whose votes they are
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:
    "Draw the share of votes against each rival by tail endowment, with interval and published value (Koster et al., Figure 2); raises ValueError."
    required(frame, "vote_bars", ["rival", "tail_endowment", "vote_share", "low", "high"])
    rivals, tails = in_order(frame["rival"]), sorted(frame["tail_endowment"].unique())
    with style():
        size = (min(FULL, 0.7 + 2.1 * len(rivals)), 2.3)
        figure, axes = plt.subplots(1, len(rivals), figsize=size, sharey=True, squeeze=False)
        for ax, rival in zip(axes[0], rivals):
            panel = frame[frame["rival"] == rival]
            x = [tails.index(tail) for tail in panel["tail_endowment"]]
            interval = np.abs(panel[["low", "high"]].to_numpy().T - panel["vote_share"].to_numpy())
            ax.bar(x, panel["vote_share"], width=0.7, color=OURS, yerr=interval, error_kw=dict(lw=1, capsize=2), label="ours, 95 % interval")
            if "published" in panel:
                ax.plot(x, panel["published"], "D", color="black", markerfacecolor="white", label="published")
            ax.axhline(0.5, color=CHANCE, lw=0.8, ls=(0, (4, 2)))
            ax.set(title=f"against {title(rival)}", ylim=(0, 1), xlabel="tail endowment (coins)")
            ax.set_xticks(range(len(tails)), [f"{tail:g}" for tail in tails])
        axes[0, 0].set_ylabel(f"share of the votes for {agent}")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return label_source(figure, note)


# %% [markdown]
# ## beach plot

# %%
#| export
def beach_plot(
    frame: pd.DataFrame,  # mechanism, tail_endowment, head_contribution, tail_contribution_sum, head_share
    *,
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:
    "Draw the head's share of the fund over head and mean tail contribution (Koster et al., Figure 3A); raises ValueError."
    columns = ["mechanism", "tail_endowment", "head_contribution", "tail_contribution_sum", "head_share"]
    rows, tails = in_order(required(frame, "beach_plot", columns)["mechanism"]), sorted(frame["tail_endowment"].unique())
    with style():
        size = (min(FULL, 1.3 + 1.3 * len(tails)), 0.7 + 1.25 * len(rows))
        figure, axes = plt.subplots(len(rows), len(tails), figsize=size, sharex=True, sharey=True, squeeze=False)
        for (mechanism, tail), panel in frame.groupby(["mechanism", "tail_endowment"]):
            ax = axes[rows.index(mechanism), tails.index(tail)]
            share = panel.pivot(index="head_contribution", columns="tail_contribution_sum", values="head_share")
            image = ax.imshow(share, origin="lower", extent=_cells(share), aspect="auto", cmap=DIVERGING, vmin=0, vmax=1, interpolation="nearest")
        for ax, tail in zip(axes[0], tails):
            ax.set_title(f"tail endowment {tail:g}")
        for ax, mechanism in zip(axes[:, 0], rows):
            ax.set_ylabel(title(mechanism))
        axes[0, 0].set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        figure.supxlabel("mean relative contribution of the tails", fontsize=8)
        figure.supylabel("relative contribution of the head", fontsize=8)
        bar = figure.colorbar(image, ax=axes, ticks=[0, 0.25, 0.5, 0.75, 1], fraction=0.03, pad=0.02)
        bar.set_label("head's share of the fund")
    return label_source(figure, note)


def _cells(share: pd.DataFrame) -> tuple[float, float, float, float]:
    "Give the outer edges of a grid whose cells are centred at 0, ..., 1 on both axes."
    x, y = (0.5 / (n - 1) for n in (share.shape[1], share.shape[0]))
    return -x, 1 + x, -y, 1 + y


# %% [markdown]
# ## matrix

# %%
#| export
def matrix_plot(
    frame: pd.DataFrame,  # row_v, row_w, col_v, col_w, win_probability
    *,
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:
    "Draw a round robin of mechanisms as a coloured table (Koster et al., Table S2); raises ValueError."
    columns = ["row_v", "row_w", "col_v", "col_w", "win_probability"]
    win = required(frame, "matrix_plot", columns).pivot(index=["row_w", "row_v"], columns=["col_w", "col_v"], values="win_probability")
    n, spread = len(win), max(0.05, np.abs(win.to_numpy() - 0.5).max())
    with style():
        figure, ax = plt.subplots(figsize=(min(FULL, 2.2 + 0.45 * n), min(FULL, 1.4 + 0.36 * n)))
        image = ax.imshow(win, cmap=DIVERGING, vmin=0.5 - spread, vmax=0.5 + spread, aspect="auto")
        ax.spines[:].set_visible(False)
        if n <= 12:
            labels = [f"{v:.2g}, {w:.2g}" for w, v in win.index]
            ax.set_xticks(range(n), labels, rotation=45, ha="right", rotation_mode="anchor")
            ax.set_yticks(range(n), labels)
            for (i, j), value in np.ndenumerate(win.to_numpy()):
                far = abs(value - 0.5) > 0.8 * spread
                ax.text(j, i, f"{value:.3f}".lstrip("0"), ha="center", va="center", fontsize=7, color="white" if far else "black")
        ax.set(xlabel="opponent (v, w)", ylabel="mechanism (v, w)")
        figure.colorbar(image, ax=ax, label="share of the votes for the row", fraction=0.04, pad=0.02)
    return label_source(figure, note)


# %% [markdown]
# ## learning curve

# %%
#| export
def learning_curve(
    history: pd.DataFrame,  # step, the measured value, optionally run
    *,
    value: str,  # the column to draw
    label: str,  # what it is, with its unit, for the axis
    reference: float | None = None,  # a horizontal line, e.g. chance
    note: str | None = None,  # whose behaviour it is, written below
) -> Figure:
    "Draw a measured value over training updates, one line a run; raises ValueError."
    required(history, "learning_curve", ["step", value])
    with style():
        figure, ax = plt.subplots(figsize=(COLUMN, 2.3))
        runs = history.groupby("run") if "run" in history else [(None, history)]
        for i, (run, curve) in enumerate(runs):
            ax.plot(curve["step"], curve[value], color=RUNS[i % len(RUNS)], lw=1, label=None if run is None else f"{run}")
        if reference is not None:
            ax.axhline(reference, color=CHANCE, lw=0.8, ls=(0, (4, 2)))
        ax.set(xlabel="updates", ylabel=label)
        if "run" in history:
            figure.legend(loc="outside upper center", ncols=4)
    return label_source(figure, note)


# %% [markdown]
# ## tables

# %%
#| export
def table(
    frame: pd.DataFrame,  # the keys of each row, our value, the published one
    *,
    ours: str,  # column with our value
    published: str = "published",  # column with the published one
    keep: Sequence[str] = (),  # further columns to keep, e.g. low and high
) -> pd.DataFrame:  # keys, ours, kept columns, published, difference
    "Set our values beside the published ones with the difference; raises ValueError."
    required(frame, "table", [ours, published, *keep])
    keys = [column for column in frame if column not in {ours, published, "difference", *keep} and not pd.api.types.is_float_dtype(frame[column])]
    return frame[[*keys, ours, *keep, published]].assign(difference=frame[ours] - frame[published])


def markdown(
    frame: pd.DataFrame,
    *,
    digits: int = 3,  # after the decimal point
) -> str:
    "Write a frame as a table in Markdown, numbers with the same digits throughout."
    show = lambda x: f"{x:.{digits}f}" if isinstance(x, float) else str(x)
    lines = [list(map(str, frame.columns)), ["---"] * frame.shape[1], *([show(x) for x in row] for row in frame.itertuples(index=False))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# %% [markdown]
# ## save

# %%
#| export
def save(
    figure: Figure,
    path: Path | str,  # ends in .svg
) -> None:
    "Write a figure as SVG, whole or not at all, with the same bytes every time; raises ValueError for another suffix."
    if Path(path).suffix != ".svg":
        raise ValueError(f"{path}: figures are saved as .svg; change the suffix")
    with data.replacing(path) as temporary, mpl.rc_context({"svg.hashsalt": "democratic-ai"}):
        figure.savefig(temporary, format="svg", bbox_inches="tight", dpi=200, metadata={"Date": None})
