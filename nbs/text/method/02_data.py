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
# # Data
#
# > Files come in through one checked door; blocks of play, numbers and parameters go out whole or not at all.

# %%
#| default_exp data

# %% [markdown]
# *In this notebook*: everything that crosses the border between disk and memory. It uses the game; every later notebook that
# reads or writes a file uses it. Coming in: the numbers that the paper printed, and the files that its authors released with
# it ("Data availability"; described in the notebook that accompanies them). Going out: blocks of play as long tables, numbers
# as JSON, parameters as safetensors. Both directions obey one rule: **a broken file never looks like a whole one.**

# %%
#| export
import contextlib
import csv
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from safetensors import SafetensorError, safe_open
from safetensors.flax import load_file, save_file

import democratic_ai
from democratic_ai import game

# %%
#| hide
import warnings

import matplotlib.pyplot as plt
import optax
import pytest

from democratic_ai import mechanisms

warnings.filterwarnings("ignore", message="IProgress not found")
home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays

# %% [markdown]
# ## Where are we?
#
# A notebook is run from the folder it lies in, a test from another, a pipeline step from a third. `Path(__file__)` would tell
# them where the repository is, if a notebook had a `__file__`. The package has one, wherever it is imported from.
#
# And one kind of error is enough for everything that can be wrong with a file. Whoever meets it should not have to read our
# code to know what to do, so its message is a sentence: which file, where in it, what was found, what was expected.

# %%
#| export
ROOT = Path(democratic_ai.__file__).resolve().parent.parent  # the repository; the package is installed editable


class DataError(ValueError):
    "A file that cannot be used as it is; the message names the file and, where there is one, the row and the column."


# %%
assert (ROOT / "data" / "published" / "README.md").exists()
print(sorted(path.name for path in (ROOT / "data" / "published").glob("*.csv")))

# %% [markdown]
# ## Numbers that are already known
#
# A handful of small tables hold what the originals printed. They are our measuring stick, so nothing in this repository ever writes
# into their folder.

# %%
#| export
PUBLISHED = (
    "fig1c_relative_contribution",  # people, Experiment 1: by mechanism, tail endowment, role and round
    "fig2_votes",  # people, Experiments 2-3: votes for HCRM, as in the released data
    "table_s1a_votes",  # the same, as the preprint prints it
    "table_s1b_virtual_votes",  # virtual players: share of votes for HCRM
    "table_s2_metagame",  # virtual players: nine mechanisms against one another
    "figure_s2_t",  # people: what votes depended on, t statistics of the regressions
    "text_statistics",  # every test, share and count of the text and of Figure S6's caption
    "hcmd_zero",  # Balaguer et al.: the numbers of their text
)


def published(
    name: str,  # one of PUBLISHED
) -> pd.DataFrame:
    "Read one table of published numbers; raises DataError for a name that is not among them."
    if name not in PUBLISHED:
        raise DataError(f"There are no published numbers called {name!r}; choose one of {', '.join(PUBLISHED)}.")
    return pd.read_csv(ROOT / "data" / "published" / f"{name}.csv")


# %% [markdown]
# How did people play? Here are the heads, with 10 coins, beside tails with 2 coins each, under the three classical mechanisms.

# %%
people = published("fig1c_relative_contribution")
assert len(people) == 3 * 3 * 2 * 10 and people.relative_contribution.between(0, 1).all()
last = people[(people["round"] == 10) & (people.tail_endowment == 2)].set_index(["mechanism", "role"]).relative_contribution
assert last["libertarian", "head"] > 0.6 and last["liberal_egalitarian", "tail"] > 0.8 and last["strict_egalitarian"].max() < 0.45
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.4), sharey=True)
for ax, (mechanism, cell) in zip(axes, people[people.tail_endowment == 2].groupby("mechanism", sort=False)):
    for role, marker in (("head", "o"), ("tail", "^")):
        mine = cell[cell.role == role]
        ax.plot(mine["round"], mine.relative_contribution, marker, ms=4, label=role)
    ax.set(title=mechanism.replace("_", " "), xlabel="round", xticks=(1, 5, 10), ylim=(0, 1))
axes[0].set_ylabel("mean contribution\n(fraction of endowment)")
axes[0].legend(frameon=False)
fig.tight_layout()

# %% [markdown]
# With equal parts everybody's giving slides: the tails', from two thirds of what they have to two fifths. When everybody gets
# back in proportion to what they put in, the heads climb from under a half to two thirds. And when effort is paid, tails give
# nearly all, and heads, for whom that is a bad bargain, less and less.
#
# And do the originals agree with themselves? Two of the tables report the same votes: who preferred the learned mechanism
# (HCRM) to each of its rivals.

# %%
sums = [published(name).groupby("rival", sort=False)[["votes_for_hcrm", "votes_cast"]].sum() for name in ("fig2_votes", "table_s1a_votes")]
side_by_side = pd.concat(sums, axis=1, keys=["released data", "Table S1a"])
assert (sums[0].votes_for_hcrm == sums[1].votes_for_hcrm).all()
assert (sums[1] - sums[0]).votes_cast.to_dict() == {"strict_egalitarian": 0, "libertarian": 24, "liberal_egalitarian": 24, "rational": 0}
side_by_side


# %% [markdown]
# The votes *for* HCRM agree to the last one. The votes *cast* do not: 1744 in the released data, 1768 in the preprint's Table
# S1a, with the libertarian rival it is 716 against 740. Twenty-four both times. We take the released counts, and show the
# others whenever they matter.
#
# ## A block of play, written down
#
# Everything that the method learns from is a heap of *blocks*: one group, ten rounds, one mechanism. Beside the coins we must
# know three things about each: under which mechanism it was played, at which place in the session, and whose answers are real.
# When somebody left, a bot played on in their place (Koster et al., "Participants"); the group carries on, but nobody should
# learn to imitate the bot.
#
# The mechanism is a number with a tuple of names beside it. Numbers can be indexed, shuffled and compiled; names are for
# people, so JAX is told to look at them only when it compiles.

# %%
#| export
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plays:
    "A data set of G blocks of play, each by one group under one mechanism."

    block: game.Block  # endowment [G, P], contribution [G, T, P], payout [G, T, P], coins
    answered: Array  # [G, P] bool: all contributions of this player are a participant's own
    session: Array  # [G] int32: 0 = tutorial, 1, 2, ... = blocks under a referee
    mechanism: Array  # [G] int32: position in `names`
    names: tuple[str, ...] = field(metadata={"static": True})  # what the mechanisms are called

    def __len__(self) -> int:  # the number of blocks
        return self.mechanism.shape[0]


# %% [markdown]
# Mostly a whole batch of groups was played under the same mechanism, and then a label is enough. In the tutorial there is no
# referee; we give that its own name instead of calling it strict egalitarian, although the sharing is the same. People who
# believe that nobody is in charge play differently from people who are told that somebody is.

# %%
#| export
def label_blocks(
    block: game.Block,  # one leading axis: groups
    mechanism: str,  # name of the mechanism that all of these groups played under
    *,
    session: int = 1,  # 0 = tutorial
    answered: Array | None = None,  # [G, P] bool; default: everybody answered themselves
) -> Plays:
    "Label blocks that were played under one mechanism."
    n_groups, n_players = block.endowment.shape
    answered = jnp.ones((n_groups, n_players), bool) if answered is None else answered
    return Plays(block, answered, jnp.full(n_groups, session, jnp.int32), jnp.zeros(n_groups, jnp.int32), (mechanism,))


# %% [markdown]
# Two heaps become one by putting them behind one another. The catch is in the codes: 0 may mean *tutorial* in one heap and
# *libertarian* in the other, so each is translated to the common list of names first.

# %%
#| export
def concatenate(
    parts: Sequence[Plays],  # at least one; blocks of the same number of rounds and players
) -> Plays:
    "Put data sets behind one another; raises DataError when their blocks differ in length or in players."
    shapes = {part.block.contribution.shape[1:] for part in parts}
    if len(shapes) != 1:
        raise DataError(f"Blocks of (rounds, players) {sorted(shapes)} cannot be joined; pick those of one shape, at least one.")
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    translation = [jnp.array([names.index(name) for name in part.names], jnp.int32) for part in parts]
    recoded = [
        Plays(part.block, part.answered, part.session, to_common[part.mechanism], names)
        for part, to_common in zip(parts, translation)
    ]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *recoded)


# %% [markdown]
# Twelve groups of bots spend an evening with us: a tutorial, a block in which everybody is paid for what they put in, and one
# in which they are paid for the fraction of their endowment that they put in. Thirty-six blocks should come out, under three
# names.

# %%
ann_and_three = jnp.tile(jnp.array([10.0, 2, 2, 2]), (12, 1))
bots = lambda seed, mechanism: game.play(jax.random.key(seed), game.random_bots(), ann_and_three, mechanism)
tutorial = label_blocks(bots(0, game.equal_split), "tutorial", session=0)
paid_back = label_blocks(bots(1, mechanisms.libertarian), "libertarian", session=1)
paid_by_effort = label_blocks(bots(2, mechanisms.liberal_egalitarian), "liberal_egalitarian", session=2)
evening = concatenate([tutorial, paid_back, paid_by_effort])
assert len(evening) == 36 and evening.names == ("tutorial", "libertarian", "liberal_egalitarian")
assert [evening.names[code] for code in evening.mechanism[::12]] == list(evening.names), "codes were translated"
print(len(evening), "blocks of shape", evening.block.contribution.shape[1:], "under", evening.names)

# %% [markdown]
# On disk a block is a *long table*: one row for each group, round and player. Rounds count from 1, as in the paper; players
# from 0, and in the evaluation player 0 is the head.

# %%
#| export
TABLE_COLUMNS = ("group", "round", "player", "endowment", "contribution", "payout", "mechanism", "session", "answered")


def plays_to_table(
    plays: Plays,
) -> pd.DataFrame:  # one row per group, round (from 1) and player (from 0)
    "Write a data set of blocks as a long table."
    group, turn, player = (index.ravel() for index in np.indices(plays.block.contribution.shape))
    return pd.DataFrame(
        {
            "group": group,
            "round": turn + 1,
            "player": player,
            "endowment": np.asarray(plays.block.endowment)[group, player],
            "contribution": np.asarray(plays.block.contribution).ravel(),
            "payout": np.asarray(plays.block.payout).ravel(),
            "mechanism": np.array(plays.names)[np.asarray(plays.mechanism)][group],
            "session": np.asarray(plays.session)[group],
            "answered": np.asarray(plays.answered)[group, player],
        },
        columns=TABLE_COLUMNS,
    )


# %% [markdown]
# Coming back, rows may arrive in any order, but every group must have all its rounds and all its players. Otherwise a reshape
# would quietly deal one group's coins to the next.

# %%
#| export
def plays_from_table(
    frame: pd.DataFrame,  # as plays_to_table writes it, rows in any order
) -> Plays:
    "Read a long table back as a data set of blocks; raises DataError when a group is not complete or not consistent."
    cube = fold_table(frame)
    codes, names = pd.factorize(cube["mechanism"][:, 0, 0])
    return Plays(
        game.Block(
            jnp.asarray(cube["endowment"][:, 0], jnp.float32),
            jnp.asarray(cube["contribution"], jnp.float32),
            jnp.asarray(cube["payout"], jnp.float32),
        ),
        jnp.asarray(cube["answered"][:, 0], bool),
        jnp.asarray(cube["session"][:, 0, 0], jnp.int32),
        jnp.asarray(codes, jnp.int32),
        tuple(map(str, names)),
    )


# %% [markdown]
# How do we know that a table folds into groups x rounds x players? Count the three, multiply, compare with the number of rows,
# and look for doubles: if the product is right and no place is taken twice, every place is taken once. What belongs to a whole
# block (its mechanism, its session) or to a player in it (the endowment) must also stay the same throughout, or keeping one
# value would lose the others.

# %%
#| export
def fold_table(frame: pd.DataFrame) -> dict[str, np.ndarray]:  # column -> [G, T, P]
    "Fold a long table along groups, rounds and players; raises DataError when it does not fold."
    missing = [name for name in TABLE_COLUMNS if name not in frame]
    if missing:
        raise DataError(f"The table lacks {', '.join(missing)}; it needs {', '.join(TABLE_COLUMNS)}.")
    place = ["group", "round", "player"]
    shape = tuple(frame[column].nunique() for column in place)
    if len(frame) != np.prod(shape) or frame.duplicated(place).any():
        raise DataError("The table has {} rows, not one for each of {} groups, {} rounds and {} players.".format(len(frame), *shape))
    cube = {name: column.to_numpy().reshape(shape) for name, column in frame.sort_values(place).items()}
    first = {name: cube[name][:, :1] for name in ("endowment", "answered")}
    first |= {name: cube[name][:, :1, :1] for name in ("session", "mechanism")}
    for name, value in first.items():
        if (cube[name] != value).any():
            raise DataError(f"The table's {name!r} changes within a group; give every block a group number of its own.")
    return cube


# %% [markdown]
# Shuffle the 1,440 rows like cards and read them back: the blocks should be the same to the last bit. Take one card away, and
# there should be a refusal.

# %%
table = plays_to_table(evening)
again = plays_from_table(table.sample(frac=1, random_state=0))
assert again.names == evening.names
assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all() and a.dtype == b.dtype, evening, again)), "there and back, shuffled"
with pytest.raises(DataError, match="1439 rows, not one for each of 36 groups, 10 rounds and 4 players"):
    plays_from_table(table.drop(index=700))
table.head(4)

# %% [markdown]
# ## What the authors released
#
# Nine files: five of play and votes, without a header line, and four *beach plots*, with one. What would a careful person
# check before believing a row? That a contribution is a whole number of coins and not more than the endowment; that the
# mechanism's code is one that somebody has explained; that the head is player 0. We write this down once, as data.

# %%
#| export
MECHANISM_CODES = {
    "strict_egalitarian": 1,
    "libertarian": 2,
    "liberal_egalitarian": 3,
    "hcrm": 4,
    "rational": 6,
    "human_referee": 7,
}


@dataclass(frozen=True)
class Column:
    "What may stand in one column of a file."

    what: str  # in words, for the refusal
    holds: Callable[[pd.Series], pd.Series]  # numbers -> bool, True where one is acceptable
    kind: type = float  # float, int, bool or str
    missing: bool = False  # whether an empty cell or NaN is acceptable


# %% [markdown]
# Most columns are of two sorts: whole numbers between two bounds, or any number between two bounds. With the second we allow a
# thousandth of slack, because files are printed with a few decimals. With the first we allow none: half a coin does not exist.
# Then there are mechanism codes, among which 5 is missing (nothing explains it), and flags.

# %%
#| export
def whole_number(what: str, low: int, high: int) -> Column:
    "Describe a column of whole numbers from `low` to `high`."
    return Column(f"{what} from {low} to {high}", lambda x: (x >= low) & (x <= high) & (x == x.round()), int)


def number(what: str, low: float, high: float, *, slack: float = 0.001, missing: bool = False) -> Column:
    "Describe a column of numbers from `low` to `high`, give or take the rounding in the file."
    return Column(f"{what} from {low:g} to {high:g}", lambda x: (x >= low - slack) & (x <= high + slack), missing=missing)


CODE = Column(
    f"a known mechanism code ({', '.join(f'{code} {name}' for name, code in MECHANISM_CODES.items())})",
    lambda x: x.isin(list(MECHANISM_CODES.values())),
    int,
)
FLAG = Column("True or False", lambda x: x.isin([0, 1]), bool)

# %% [markdown]
# The files spell `True` and `False` out, give participants floating-point numbers for names (the same number again is the same
# person coming back, so repeats are fine) and leave `vote` empty for whoever did not vote. It is the only column that may have
# gaps, but for one corner of the beach plots: where nobody contributes there is no fund, and what share of nothing is mine?

# %%
#| export
SCHEMA = {
    "participant_id": Column("a participant's number", lambda x: (x >= 0) & np.isfinite(x)),
    "player_id": whole_number("a seat", 0, 3),
    "contribution": whole_number("a whole number of coins", 0, 10),
    "endowment": whole_number("a whole number of coins", 1, 10),
    "session": whole_number("a block of the session (0 = tutorial)", 0, 5),
    "timestep": whole_number("a round", 0, 9),
    "endowcond": whole_number("the tail players' endowment", 1, 10),
    "mechanism_code": CODE,
    "baseline": CODE,
    "head": FLAG,
    "rel_contribution": number("a fraction", 0, 1),
    "vote": Column("1 (for the agent), 0 or nothing", lambda x: x.isin([0, 1]), missing=True),
    "payout": number("an amount of coins", 0, 64),
    "real": FLAG,
    "vote_cast": FLAG,
    "vote_for_agent": FLAG,
    **{f"endowment_{i}": whole_number("a whole number of coins", 1, 10) for i in range(4)},
    **{f"contribution_{i}": whole_number("a whole number of coins", 0, 10) for i in range(4)},
    **{f"distribution_{i}": number("a share of the fund", 0, 1, missing=True) for i in range(4)},
}


# %% [markdown]
# A file is then a list of columns in a fixed order. Note the trap: the three files of play have nearly, but not quite, the
# same order. In that of Experiments 2 and 3 the participant comes seventh. Read with the wrong list, it would give a table
# full of plausible small numbers under the wrong names.

# %%
#| export
@dataclass(frozen=True)
class Form:
    "What a file looks like: its columns in order, and whether a first line names them."

    columns: tuple[str, ...]
    header: bool = False
    n_rows: int | None = None  # in the originals, where that is known


PLAY = "participant_id player_id contribution endowment session timestep endowcond mechanism_code baseline head rel_contribution"
PLAY_2 = "player_id contribution endowment session timestep mechanism_code participant_id endowcond baseline head rel_contribution"
PLAYER = "endowcond player_id baseline real endowment vote_cast participant_id vote_for_agent"
BEACH = tuple(f"{what}_{seat}" for what in ("endowment", "contribution", "distribution") for seat in range(4))

RELEASED = {
    "data_exp1.csv": Form((*PLAY.split(), "payout"), n_rows=41_860),
    "data_exp2.csv": Form((*PLAY_2.split(), "vote", "payout"), n_rows=140_700),
    "players_exp2.csv": Form(tuple(PLAYER.split()), n_rows=4_020),
    "data_exp4.csv": Form((*PLAY.split(), "vote", "payout"), n_rows=11_696),
    "players_exp4.csv": Form(tuple(PLAYER.split()), n_rows=344),
    "beachplot_hcrm.csv": Form(BEACH, header=True),
    "beachplot_liberal_egalitarian.csv": Form(BEACH, header=True),
    "beachplot_libertarian.csv": Form(BEACH, header=True),
    "beachplot_rational_mechanism.csv": Form(BEACH, header=True),
}

# %% [markdown]
# Before reading a single row, do the numbers of rows make sense? A session has 34 rounds, so a player should leave 34 rows
# behind; or 54, where a session had four blocks under a referee instead of two. The tables of players say how many took part,
# and for Experiment 1 the paper does: 756.

# %%
for name, players in (("data_exp1.csv", 756), ("data_exp2.csv", 4_020), ("data_exp4.csv", 344)):
    print(name, "|", RELEASED[name].n_rows, "rows =", players, "players x", round(RELEASED[name].n_rows / players, 2))
assert RELEASED["data_exp4.csv"].n_rows == 344 * 34
assert RELEASED["data_exp2.csv"].n_rows == 4_020 * 35
assert RELEASED["data_exp1.csv"].n_rows > 756 * 54

# %% [markdown]
# Experiment 4 keeps its promise. Experiments 2 and 3 come out at *thirty-five* rows a player, one round more than the paper
# says. And 756 players of Experiment 1 could not leave 41,860 rows behind even if all of them had sat through the longest
# session. Perhaps the bonus block had five rounds, perhaps the file knows more people than the paper; from here we cannot
# tell. A loader that insisted on 34 rows would have thrown the originals away. The lesson: check what has been stated about a
# file, and be tolerant about the rest.
#
# ### The naive way: read_csv
#
# Here are three rounds of Bob's, in the form of `data_exp1.csv`. In the second row, somebody's editor has eaten the
# contribution.

# %%
bobs_rounds = """\
17.0,1,2,2,1,0,2,2,3,False,1.0,3.2
17.0,1,2,1,1,2,2,3,False,0.5,1.6
17.0,1,2,2,1,2,2,2,3,False,1.0,3.2
"""
Path("data_exp1.csv").write_text(bobs_rounds)
naive = pd.read_csv("data_exp1.csv", names=RELEASED["data_exp1.csv"].columns)
print("mean payout", naive.payout.mean(), "| codes", sorted(set(naive.mechanism_code)), "| heads", list(naive["head"]))
assert naive.payout.isna().sum() == 1 and naive.payout.mean() == 3.2, "the naive way loses a row and does not say so"
assert naive.mechanism_code.tolist() == [2, 3, 2]


# %% [markdown]
# No complaint. Everything after the hole has moved one place to the left, a row that was played under the libertarian
# mechanism now claims liberal egalitarian, the mean payout of 3.2 is that of two rounds, and the head is suddenly a matter of
# 0.5.
#
# So the reading is done in three steps, each of which may refuse. First cut the lines into cells and count them; nothing is
# interpreted yet, and every row keeps the number of its line in the file.

# %%
#| export
def cell_error(path: Path | str, row: int, column: str, problem: str) -> DataError:
    "Say in one sentence what is wrong where; rows are lines of the file, counted from 1."
    return DataError(f"{path}, row {row}, column {column!r}: {problem}.")


def read_lines(
    path: Path | str,
) -> dict[int, list[str]]:  # line number -> cells; blank lines are left out
    "Cut a CSV file into cells; raises DataError when it is not there or is not text."
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return {reader.line_num: cells for cells in reader if cells}
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; repeat `make data`, or put the file there by hand.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV text ({error}); fetch it again.") from None


# %% [markdown]
# Why not let pandas cut the lines? Because it is too kind. It fills up short rows, turns surplus cells into an index, reads
# `NA` and a dozen other texts as missing, and by the time it is done nobody knows any more on which line a number stood.
# Python's own `csv` does less.
#
# For a file with a header, columns are found by name and further ones ignored; without one, all that can be said is that a row
# has too many or too few cells. Then the refusal lists what should be there.

# %%
#| export
def read_cells(
    path: Path | str,
    form: Form,
) -> pd.DataFrame:  # texts; the index is the line in the file
    "Lay the cells of a file out under their columns; raises DataError for an empty file or a row of the wrong length."
    lines, columns = read_lines(path), list(form.columns)
    names, row = columns, 1
    if form.header and lines:
        row = next(iter(lines))
        names = [name.strip() for name in lines.pop(row)]
        for column in columns:
            if column not in names:
                raise cell_error(path, row, column, f"is missing; the header must name {', '.join(columns)}")
        row += 1
    if not lines:
        raise cell_error(path, row, columns[0], "there is nothing here, the file is empty; fetch it again")
    for line, cells in lines.items():
        if len(cells) != len(names):
            column = names[min(len(cells), len(names) - 1)]
            raise cell_error(path, line, column, f"{len(cells)} values where {len(names)} are needed ({', '.join(names)})")
    return pd.DataFrame(list(lines.values()), index=list(lines), columns=names)[columns]


# %% [markdown]
# Second, every cell against its column's description. `True` is 1 in a column of flags and nonsense in a column of coins;
# `nan` is a gap, and a gap is fine only where the description says so. Of many bad cells the first in reading order is
# reported: one sentence can be acted on, a list of ten thousand cannot.

# %%
#| export
def check_cells(
    path: Path | str,
    cells: pd.DataFrame,  # texts
) -> pd.DataFrame:  # numbers and flags
    "Turn texts into numbers; raises DataError for the first cell that is not what SCHEMA says of its column."
    text = cells.apply(lambda column: column.str.strip().str.lower())
    empty = text.isin(["", "nan", "na", "none", "null", "<na>"])
    flags = [name for name in cells if SCHEMA[name].kind is bool]
    text[flags] = text[flags].replace({"true": "1", "false": "0"})
    values = pd.DataFrame({n: cells[n] if SCHEMA[n].kind is str else pd.to_numeric(text[n], errors="coerce").astype(float) for n in cells})
    good = pd.DataFrame({name: SCHEMA[name].holds(values[name]) for name in cells})
    accepted = np.where(empty, [SCHEMA[name].missing for name in cells], good)
    accepted = pd.DataFrame(accepted, index=cells.index, columns=cells.columns)
    if not accepted.all(axis=None):
        line = (~accepted).any(axis=1).idxmax()
        column = (~accepted.loc[line]).idxmax()
        found = "nothing (NaN)" if empty.loc[line, column] else repr(cells.loc[line, column])
        raise cell_error(path, line, column, f"{found} is not {SCHEMA[column].what}")
    return values.astype({name: SCHEMA[name].kind for name in cells})


# %% [markdown]
# Third, cells against one another: what no column can know on its own. Whether player 0 has to be the head depends on the
# file. In the evaluation's files, yes; in the pilot data anybody may have 10 coins, and nobody has to. The columns tell which
# is which.

# %%
#| export
def row_rules(
    frame: pd.DataFrame,
) -> Iterator[tuple[str, pd.Series, str, list[str]]]:  # column, True where it holds, refusal, columns quoted in it
    "Say how columns of one row must agree, as far as the frame has them."
    for contribution in [name for name in frame if name.startswith("contribution")]:
        endowment = contribution.replace("contribution", "endowment")
        good = frame[contribution] <= frame[endowment]
        yield contribution, good, "{} coins are more than the endowment of {}", [contribution, endowment]
    if "head" in frame:
        good = frame["head"] == (frame.player_id == 0)
        yield "head", good, "the head must be player 0, and {} is said of player {}", ["head", "player_id"]
    if "endowcond" in frame:
        good = frame.endowment == np.where(frame.player_id == 0, game.Game.most_coins, frame.endowcond)
        text = "player {} has {} coins where player 0 is the head with 10 and the others have {}"
        yield "endowment", good, text, ["player_id", "endowment", "endowcond"]
    for share in [name for name in frame if name.startswith("distribution")]:
        good = frame[share].notna() | (frame.filter(like="contribution").sum(axis=1) == 0)
        yield share, good, "no share (NaN) although player 0 gave {} coins and player 1 {}", ["contribution_0", "contribution_1"]


# %% [markdown]
# Each rule yields the column to blame, where it holds, and what to say if it does not. A contribution above the endowment is a
# contradiction between two cells that may both be fine by themselves, so no description of a column could have found it.

# %%
#| export
def check_rows(
    path: Path | str,
    frame: pd.DataFrame,
) -> pd.DataFrame:  # the same
    "Compare columns with one another; raises DataError for the first row in which they disagree."
    broken = [(good.idxmin(), column, text, quoted) for column, good, text, quoted in row_rules(frame) if not good.all()]
    if broken:
        line, column, text, quoted = min(broken, key=lambda rule: rule[0])
        raise cell_error(path, line, column, text.format(*frame.loc[line, quoted]))
    return frame


# %% [markdown]
# ## Votes that count
#
# Not every vote counts: the voter must have been a real person and must have cast it. The paper's Figure 2 is made of those.
# If a file claims to be the original, adding up its votes must give the published counts exactly. That is the best proof of
# identity we have, since no checksum was published. The comparison ends in a sentence either way: nobody can tell a silent
# success from a check that was never made.

# %%
#| export
def counted_votes(
    players: pd.DataFrame,  # players_exp2.csv or players_exp4.csv
) -> pd.DataFrame:  # rival, tail_endowment, votes_for_hcrm, votes_cast, rival_code
    "Count the votes of real players who cast one, by rival and tail endowment (Koster et al., Figure 2)."
    names = {code: name for name, code in MECHANISM_CODES.items()}
    counting = players[players.real & players.vote_cast]
    votes = counting.groupby(["baseline", "endowcond"]).vote_for_agent.agg(["sum", "size"]).astype(int).reset_index()
    votes.columns = ["rival_code", "tail_endowment", "votes_for_hcrm", "votes_cast"]
    return votes.assign(rival=votes.rival_code.map(names))[["rival", "tail_endowment", "votes_for_hcrm", "votes_cast", "rival_code"]]


def check_counted_votes(
    players: pd.DataFrame,  # players_exp2.csv
) -> str:
    "Say whether the votes that count are those of the published Figure 2, and where they first differ if not."
    cell = ["rival", "tail_endowment"]
    both = published("fig2_votes").merge(counted_votes(players), how="outer", on=cell, suffixes=("", "_here")).fillna(0)
    differs = (both.votes_for_hcrm != both.votes_for_hcrm_here) | (both.votes_cast != both.votes_cast_here)
    if not differs.any():
        return f"The votes that count equal the published ones in all {len(both)} cells."
    first = both[differs].iloc[0]
    return (
        f"The votes that count differ from the published ones in {differs.sum()} of {len(both)} cells, so this is not the original file: "
        f"{first.rival}, tail endowment {first.tail_endowment}: {first.votes_for_hcrm_here:.0f} of {first.votes_cast_here:.0f} here, "
        f"{first.votes_for_hcrm:.0f} of {first.votes_cast:.0f} published."
    )


# %% [markdown]
# The door itself. It knows by the file's name what to expect. Files may have the authors' form without being the authors'
# (ours, written by stand-ins, or those of your class), so the number of rows is reported and not enforced; and with the
# per-player file of Experiment 2 it compares the votes and says what it found.

# %%
#| export
def read_released(
    path: Path | str,  # its name must be one of RELEASED
) -> pd.DataFrame:  # whole columns int, True/False bool, others float; the index is the line in the file
    "Read one of the authors' files; raises DataError naming file, row and column of the first thing that cannot be."
    form = RELEASED.get(Path(path).name)
    if form is None:
        raise DataError(f"{path}: the released files are called {', '.join(RELEASED)}; give the file back its name.")
    frame = check_rows(path, check_cells(path, read_cells(path, form)))
    if form.n_rows:
        rest = ", as in the original." if len(frame) == form.n_rows else f"; the original has {form.n_rows:,}."
        print(f"{Path(path).name}: {len(frame):,} rows{rest}")
    if Path(path).name == "players_exp2.csv":
        print(check_counted_votes(frame))
    return frame


# %% [markdown]
# Bob's three rounds should now be refused, with the line to look at.

# %%
def refusal(path):
    with pytest.raises(DataError) as refused:
        read_released(path)
    return str(refused.value)


print(refusal("data_exp1.csv"))
assert "data_exp1.csv, row 2, column 'payout': 11 values where 12 are needed" in refusal("data_exp1.csv")

# %% [markdown]
# The row that `read_csv` swallowed is named, and with it what should have been there. Mend it, and break it in other ways:
# three coins out of two, a coin and a half, a word, a gap; a code that nobody has explained; a head in the wrong seat; a
# payout that is not a number; and in the end an empty file. Eight ways to be wrong, and every refusal should say row 3, or row
# 1 where there is nothing at all.

# %%
good = ["17.0", "1", "2", "2", "1", "0", "2", "2", "3", "False", "1.0", "3.2"]
columns = RELEASED["data_exp1.csv"].columns
damages = {"contribution": ("3", "1.5", "two", ""), "mechanism_code": ("5",), "head": ("True",), "payout": ("nan",)}
for column, values in damages.items():
    for value in values:
        broken = [value if name == column else cell for name, cell in zip(columns, good)]
        Path("data_exp1.csv").write_text("\n".join(map(",".join, (good, good, broken))))
        assert refusal("data_exp1.csv").startswith(f"data_exp1.csv, row 3, column '{column}'")
        print(refusal("data_exp1.csv"))
Path("data_exp1.csv").write_text("")
assert "row 1" in refusal("data_exp1.csv")
print(refusal("data_exp1.csv"))


# %% [markdown]
# Does the vote check say yes when it should? People we have none, but made-up players with exactly the published votes are
# easily written: in every cell as many as voted, and three more that must not be counted, one who did not vote and two bots.
# Then one of the real ones changes her mind.

# %%
def made_up_players(votes):
    lines = []
    for _, rival, tail, yes, cast, code in votes.itertuples():
        for i in range(cast + 3):  # three of each cell do not count: two bots, and one who did not vote
            real, voted = i < cast or i == cast + 2, i < cast + 2
            lines.append(f"{tail},{i % 4},{code},{real},{tail if i % 4 else 10},{voted},{i / 1e4},{int(i < yes or (voted and i >= cast))}")
    Path("players_exp2.csv").write_text("\n".join(lines))


votes = published("fig2_votes")
made_up_players(votes)
players = read_released("players_exp2.csv")
pd.testing.assert_frame_equal(counted_votes(players).sort_values(["rival_code", "tail_endowment"], ignore_index=True), votes)
made_up_players(votes.assign(votes_for_hcrm=votes.votes_for_hcrm - (votes.index == 7)))
read_released("players_exp2.csv");

# %% [markdown]
# What did the people decide? One bar for each rival and tail endowment; above the dashed line HCRM won.

# %%
fig, ax = plt.subplots(figsize=(6.5, 2.6))
counts = published("fig2_votes")
assert (counts.votes_for_hcrm > counts.votes_cast / 2).sum() == 18
for i, (rival, cell) in enumerate(counts.groupby("rival", sort=False)):
    share = cell.votes_for_hcrm / cell.votes_cast
    ax.bar(np.arange(5) + 6 * i, share, color="#4c78a8", yerr=np.sqrt(share * (1 - share) / cell.votes_cast), ecolor="#999999")
ax.axhline(0.5, color="black", lw=0.8, ls="--")
ax.set(xticks=np.arange(4) * 6 + 2, xticklabels=[r.replace("_", "\n") for r in counts.rival.unique()], ylabel="share of votes for HCRM")
ax.set_xlabel("rival; in each group tails of 2, 4, 6, 8, 10 coins");

# %% [markdown]
# These are counts of real people's votes. HCRM is ahead in eighteen of the twenty conditions. It is behind liberal egalitarian
# where the tails are poorest, and behind the rational mechanism where all have the same. (The error bars pretend that four
# people in one room vote independently. They do not; the statistics notebook comes back to that.)
#
# ## Fetching the files
#
# Each file is first fetched under another name, then read with all the checks above, and only then given its own. What is
# already there is left alone. So an interrupted or garbled download is never mistaken for data, and repeating the command is
# always safe.

# %%
#| export
ADDRESS = "https://storage.googleapis.com/dm_hcmd_dai/"


def fetch_one(address: str, waiting: Path) -> Path:
    "Fetch one file into a waiting room and read it with all checks; raises OSError or DataError."
    import pooch  # with all that it brings along, and needed nowhere else

    pooch.get_logger().setLevel("ERROR")
    download = pooch.HTTPDownloader(timeout=30)
    arrived = Path(pooch.retrieve(address, None, fname=address.split("/")[-1], path=waiting, downloader=download))
    read_released(arrived)
    return arrived


# %% [markdown]
# Whatever goes wrong on the way (no network, no such file, a line that breaks, a café's login page instead of data) ends in
# the same place: one sentence with the command to repeat and the folder to fill by hand.

# %%
#| export
def fetch_released(
    folder: Path | str = ROOT / "data" / "released",
    *,
    address: str = ADDRESS,
) -> list[Path]:  # the files, in the order of RELEASED
    "Fetch the authors' files that are not in the folder yet; raises DataError saying what to do when one cannot be had."
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shown = os.path.relpath(folder, ROOT) if folder.resolve().is_relative_to(ROOT) else folder
    for name in RELEASED:
        if (folder / name).exists():
            continue
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as waiting:
            try:
                os.replace(fetch_one(address + name, Path(waiting)), folder / name)
            except (OSError, DataError) as error:  # whatever a network does wrong is an OSError
                reason = str(error).replace(f"{waiting}{os.sep}", "").rstrip(".") if isinstance(error, DataError) else type(error).__name__
                remedy = f"repeat `make data` when it can be reached, or put the files into {shown}/ by hand."
                raise DataError(f"{name} could not be fetched from {address} ({reason}): {remedy}") from None
    return [folder / name for name in RELEASED]


# %% [markdown]
# And without a network? Here is an address that nobody can reach. (Where this notebook was run, the real one cannot be reached
# either, and says the same.)

# %%
with pytest.raises(DataError) as refused:
    fetch_released("released", address="https://no-such-place.invalid/")
print(refused.value)
assert "make data" in str(refused.value) and "released/ by hand" in str(refused.value)
assert not list(Path("released").iterdir()), "nothing half-fetched is left"


# %% [markdown]
# ### Which of these are one group?
#
# One thing the released rows do not tell: who sat together. There is no group number. What we know is the order of the rows,
# and an accountant's trick to check a guess: *a fund is always handed out whole*. So take the first player 0, the first player
# 1, 2 and 3 of a condition to be one group, the second ones another; then in every round the four payouts must add up to 1.6
# times the four contributions. If they do not, the rows were shuffled, and we refuse rather than invent groups.
#
# A bonus block has fewer than ten rounds and is left out. Whose answers are real is known per player and not per round; the
# table of players says so, under the same participant's number divided by 10,000.

# %%
#| export
def group_released(
    frame: pd.DataFrame,  # data_exp1.csv, data_exp2.csv or data_exp4.csv, in the order of the file; further columns come along
    players: pd.DataFrame | None = None,  # the table of the same experiment's players; without it all count as real
) -> dict[str, np.ndarray]:  # column -> [G, T, P], with `real` beside the file's
    "Gather released rows into blocks of ten rounds; raises DataError when the rows of a group are not in step."
    condition = ["baseline", "endowcond", "session", "mechanism_code"]
    group, n_rows = [*condition, "turn"], game.Game.n_rounds * game.Game.n_players
    rows = frame.assign(real=is_real_person(frame, players), turn=frame.groupby([*condition, "timestep", "player_id"]).cumcount())
    rows = rows[rows.groupby(group).turn.transform("size") == n_rows].sort_values([*group, "timestep", "player_id"])
    cube = {name: rows[name].to_numpy().reshape(-1, game.Game.n_rounds, game.Game.n_players) for name in rows}
    gap = np.abs(cube["payout"].sum(-1) - game.Game.growth * cube["contribution"].sum(-1)).max(-1)
    if not len(gap) or gap.max() > 0.05:
        problem = f"in {(gap > 0.05).sum()} of {len(gap)} blocks the payouts are not 1.6 times the contributions"
        raise DataError(f"The rows cannot be gathered into groups: {problem}; give them in the order of the original file.")
    return cube


# %% [markdown]
# From there to blocks of play is a matter of names. In the tutorial the mechanism's code is that of strict egalitarian; we keep the
# two apart.

# %%
#| export
def released_to_plays(
    frame: pd.DataFrame,  # as for gather_released
    players: pd.DataFrame | None = None,
) -> Plays:
    "Read released rows as a data set of blocks; raises DataError when the rows of a group are not in step."
    cube = group_released(frame, players)
    coins = {name: jnp.asarray(cube[name], jnp.float32) for name in ("endowment", "contribution", "payout")}
    refereed = 1 + np.searchsorted(list(MECHANISM_CODES.values()), cube["mechanism_code"][:, 0, 0])
    session = cube["session"][:, 0, 0]
    return Plays(
        game.Block(coins["endowment"][:, 0], coins["contribution"], coins["payout"]),
        jnp.asarray(cube["real"].all(1), bool),
        jnp.asarray(session, jnp.int32),
        jnp.asarray(np.where(session == 0, 0, refereed), jnp.int32),
        ("tutorial", *MECHANISM_CODES),
    )


# %% [markdown]
# "Real" is known of a player in a sitting. Participants may come back, so a number alone does not identify a sitting; the
# rival, the condition and the seat together with it do, nearly. Where somebody sat twice in the same place, once attentive and
# once not, neither counts as real.

# %%
#| export
def is_real_person(frame: pd.DataFrame, players: pd.DataFrame | None) -> np.ndarray:
    "Tell for every row of play whether its player is a real person according to the table of players."
    if players is None:
        return np.ones(len(frame), bool)
    who = ["person", "baseline", "endowcond", "player_id"]
    real = players.assign(person=(players.participant_id * 10_000).round()).groupby(who).real.all().reset_index()
    return frame.assign(person=frame.participant_id.round())[who].merge(real, how="left", on=who).real.fillna(False).to_numpy(bool)


# %% [markdown]
# Bots shall be our people once more. Their evening, put into the form of `data_exp2.csv`, with a seat for everybody and a
# number for every person, should come back as the same blocks.

# %%
def as_released(plays, baseline):
    long = plays_to_table(plays)
    person = 4 * (long.group % 12) + long.player + 1.0
    head, code = long.player == 0, long.mechanism.map({"tutorial": 1, **MECHANISM_CODES})
    columns = dict(player_id=long.player, contribution=long.contribution.astype(int), endowment=long.endowment.astype(int))
    columns |= dict(session=long.session, timestep=long["round"] - 1, mechanism_code=code, participant_id=person, endowcond=2)
    columns |= dict(baseline=baseline, head=head, rel_contribution=long.contribution / long.endowment, vote=person % 2, payout=long.payout)
    return pd.DataFrame(columns).assign(vote=lambda x: x.vote.where(x.session > 0), payout=lambda x: x.payout.round(3))


as_released(evening, baseline=3).to_csv("data_exp2.csv", header=False, index=False)
released = read_released("data_exp2.csv")
gathered = released_to_plays(released)
assert released.vote.isna().sum() == 12 * 40 and released["head"].dtype == bool
assert jnp.array_equal(gathered.block.contribution, evening.block.contribution)
assert [gathered.names[code] for code in gathered.mechanism[::12]] == list(evening.names)
with pytest.raises(DataError, match="cannot be gathered"):
    released_to_plays(released.sample(frac=1, random_state=0))
Path("data_exp2.csv").read_text().splitlines()[-1]

# %% [markdown]
# ## Our own tables come through the same door
#
# The tables of play that our pipeline writes, or that you collected in a classroom, have a header and mechanisms by name. The
# same three steps read them. In data for evaluation (`evaluation=True`) player 0 must be the head with 10 coins and the others
# alike; in a pilot nobody need be.

# %%
#| export
SCHEMA |= {
    "group": whole_number("a group's number", 0, 10**9),
    "round": whole_number("a round", 1, 10),
    "player": whole_number("a seat", 0, 3),
    "mechanism": Column("the name of a mechanism", lambda x: x.str.strip() != "", str),
    "answered": FLAG,
}
PLAYS = Form(TABLE_COLUMNS, header=True)


# %%
#| export
def read_parquet(path: Path | str) -> pd.DataFrame:  # texts; the index is the row, from 1
    "Read a parquet table of play as cells; raises DataError when it is not one or lacks a column."
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a parquet table ({error}); make the file again.") from None
    for column in PLAYS.columns:
        if column not in frame or not len(frame):
            raise cell_error(path, 1, column, f"there is nothing here; the table needs {', '.join(PLAYS.columns)}")
    return frame[list(PLAYS.columns)].astype(str).set_axis(range(1, len(frame) + 1))


# %% [markdown]
# In an evaluation the tails of a group should have the same endowment. Which one is right, if one differs? The one that most
# of the group's rows have: their median.

# %%
#| export
def read_plays(
    path: Path | str,  # .csv or .parquet, as write_table writes plays_to_table
    *,
    evaluation: bool = False,  # whether player 0 must be a head with 10 coins and the others alike
) -> Plays:
    "Read a table of play; raises DataError naming file, row and column of the first thing that cannot be."
    cells = read_parquet(path) if Path(path).suffix == ".parquet" else read_cells(path, PLAYS)
    frame = check_rows(path, check_cells(path, cells))
    if evaluation:
        tail = frame.endowment.where(frame.player > 0).groupby(frame.group).transform("median").round().astype(int)
        check_rows(path, frame.assign(player_id=frame.player, endowcond=tail))
    try:
        return plays_from_table(frame)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


# %%
table.to_csv("pilot.csv", index=False)
assert read_plays("pilot.csv", evaluation=True).names == evening.names
table.assign(endowment=table.endowment.where(table.index != 5, 3)).to_csv("pilot.csv", index=False)
with pytest.raises(DataError) as refused:
    read_plays("pilot.csv", evaluation=True)
assert "pilot.csv, row 7, column 'endowment'" in str(refused.value)
print(refused.value)


# %% [markdown]
# (Line 1 is the header, so the sixth row of play is line 7: the number under which an editor shows it.)
#
# ## Out, whole or not at all
#
# A run may be killed at any moment: a laptop is closed, a cluster's hour is over. What then lies on the disk?
#
# ### The naive way: open and write

# %%
def killed_half_way(path):
    with open(path, "w") as file:
        file.write("mechanism,vote_share\nhcrm,0.5")
        raise KeyboardInterrupt


with contextlib.suppress(KeyboardInterrupt):
    killed_half_way("votes.csv")
print(Path("votes.csv").read_text(), "<- looks like a vote share of exactly one half")
assert pd.read_csv("votes.csv").vote_share.item() == 0.5


# %% [markdown]
# That table can be read, has a plausible number in it, and is wrong. The cure is old and cheap: write under another name in
# the same folder, and rename at the end. Renaming within a folder is one indivisible step for the operating system; a reader
# sees the old file or the new one, never a mixture.

# %%
#| export
@contextlib.contextmanager
def atomic_write(
    path: Path | str,  # what shall be there in the end
) -> Iterator[Path]:
    "Give a temporary name in the same folder; on success it replaces `path` in one step, on failure it is removed."
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# %% [markdown]
# The same accident once more, on top of a table that was already there. The old table should stand.

# %%
Path("votes.csv").write_text("mechanism,vote_share\nhcrm,0.61\n")
with contextlib.suppress(KeyboardInterrupt), atomic_write("votes.csv") as temporary:
    killed_half_way(temporary)
assert Path("votes.csv").read_text().endswith("0.61\n") and not list(Path().glob(".votes*"))
print(Path("votes.csv").read_text())


# %% [markdown]
# On this, the three kinds of file that a run leaves. *Tables*: CSV for people, parquet for machines. *Numbers*: JSON, in which
# arrays become lists, and a number that is none becomes `null`, since JSON has no word for NaN and many readers choke on it.

# %%
#| export
def write_table(
    path: Path | str,  # ends in .csv or .parquet
    frame: pd.DataFrame,
) -> None:
    "Write a table, whole or not at all; raises DataError for another suffix."
    write = {".csv": frame.to_csv, ".parquet": frame.to_parquet}.get(Path(path).suffix)
    if write is None:
        raise DataError(f"{path}: tables are written as .csv or .parquet; change the suffix.")
    with atomic_write(path) as temporary:
        write(temporary, index=False)


# %% [markdown]
# JSON is stricter than Python believes. `json.dumps` writes `NaN` without a blush, and then the browser that is to draw the
# figure refuses the whole file. So numbers are made plain first, and dumping anything else than plain values is an error,
# raised before the file is touched.

# %%
#| export
def to_plain(
    value: Any,  # nested dictionaries, lists, arrays, numbers, texts, None
) -> Any:
    "Turn arrays and numbers of any library into what JSON knows; a number that is not finite becomes null."
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic, Array)):
        return to_plain(np.asarray(value).tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_json(
    path: Path | str,
    content: dict,
) -> None:
    "Write a dictionary of numbers, texts and arrays as JSON, whole or not at all."
    text = json.dumps(to_plain(content), indent=1, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# %% [markdown]
# What does the choice of a format cost? The same blocks of play in both:

# %%
sizes = {}
crowd = label_blocks(game.play(jax.random.key(3), game.random_bots(), jnp.tile(ann_and_three, (60, 1)), mechanisms.libertarian), "libertarian")
for n in (12, 36, 144, 720):
    few = plays_to_table(jax.tree.map(lambda leaf: leaf[:n], crowd))
    for suffix in (".csv", ".parquet"):
        write_table(f"plays{suffix}", few)
        sizes[suffix, n] = Path(f"plays{suffix}").stat().st_size / 1024
fig, ax = plt.subplots(figsize=(4, 2.6))
for suffix in (".csv", ".parquet"):
    ax.loglog(*zip(*((n, size) for (s, n), size in sizes.items() if s == suffix)), "o-", label=suffix)
ax.set(xlabel="blocks of play", ylabel="size on disk (KiB)")
ax.legend(frameon=False)
assert sizes[".parquet", 720] < sizes[".csv", 720] / 4
assert len(read_plays("plays.parquet")) == 720


# %% [markdown]
# For a dozen blocks it does not matter; for hundreds parquet is many times smaller, since it writes a word like "libertarian"
# once and not in every row. Big tables of play go to parquet, results that somebody may want to open go to CSV.
#
# A run writes each of its tables once per seed, and whoever draws a figure wants them all. The trap is people: where the authors' files stand in
# for stand-ins, every seed holds the *same* people, and three copies of them would make their intervals too short by $\sqrt 3$.

# %%
#| export
def read_seeds(
    run: Path | str,  # the run's folder, with seed0, seed1, ... below it
    name: str,  # of a table in each seed's folder, .csv or .parquet, e.g. "iter1/beach.csv"
    n_seeds: int,
) -> pd.DataFrame:  # with a column `seed`; what people did (source "people") from seed 0 only
    "Read one table of every seed of a run; raises DataError for a table that is not there."
    tables = []
    for seed in range(n_seeds):
        path = Path(run) / f"seed{seed}" / name
        if not path.exists():
            raise DataError(f"{path}: there is no such file; run the pipeline with at least {n_seeds} seeds first.")
        read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
        tables.append(read(path).assign(seed=seed))
    together = pd.concat(tables, ignore_index=True)
    if "source" not in together:
        return together
    return together[(together["source"] != "people") | (together["seed"] == 0)]


# %%
for seed in range(2):
    write_table(f"seed{seed}/votes.csv", pd.DataFrame({"source": ["people", "participants"], "vote": [1, seed]}))
seeds = read_seeds(".", "votes.csv", 2)
assert seeds["source"].value_counts().to_dict() == {"participants": 2, "people": 1}, "the same person does not vote twice"
with pytest.raises(DataError, match="seed2/votes.csv: there is no such file"):
    read_seeds(".", "votes.csv", 3)
seeds


# %% [markdown]
# *Parameters*: safetensors, a flat list of named arrays. Unlike a pickle it cannot run anything when it is opened. Our
# parameters are trees, so every leaf is saved under its path, like `params/Dense_0/kernel`. A random key is not an array, but
# made of one.

# %%
#| export
def is_key(leaf: Any) -> bool:
    "Tell a typed random key from a plain array or number."
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def path_name(path: tuple) -> str:
    "Write the place of a leaf in its tree as one name."
    return jax.tree_util.keystr(path, simple=True, separator="/")


def named_leaves(
    pytree: Any,  # parameters, an optimiser's state, random keys, numbers
) -> dict[str, Array]:  # "params/Dense_0/kernel" -> array
    "Lay a tree out as a new flat dictionary of plain arrays; raises DataError when two leaves would share a name."
    leaves, _ = jax.tree_util.tree_flatten_with_path(pytree)
    named = {path_name(path): jax.random.key_data(leaf) if is_key(leaf) else jnp.asarray(leaf) for path, leaf in leaves}
    if len(named) != len(leaves):
        raise DataError("Two leaves of the tree would be saved under one name; rename the one with a slash in its own.")
    return named


def save_parameters(
    path: Path | str,
    pytree: Any,  # parameters, an optimiser's state, random keys, numbers
    metadata: dict[str, str] | None = None,  # short texts kept in the file, e.g. a hash of the settings
) -> None:
    "Save a tree of arrays as safetensors, whole or not at all."
    with atomic_write(path) as temporary:
        save_file(named_leaves(pytree), temporary, metadata)


# %% [markdown]
# The file knows names and shapes and nothing about trees. So whoever loads must say what it should be, by a *template*: a tree
# of the same form, filled with anything. Most often that is what `init` returns. If the file does not fit the template, it is
# the wrong file.

# %%
#| export
def load_parameters(
    path: Path | str,
    template: Any,  # a tree of the same form, shapes and types; its values do not matter
) -> Any:  # like the template
    "Restore a tree that save_parameters wrote; raises DataError when it does not fit the template."
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read as saved parameters ({error}); make the file again.") from None
    wanted = jax.eval_shape(named_leaves, template)
    for name in sorted(wanted.keys() | found.keys()):
        has, needs = (f"{tree[name].dtype}{list(tree[name].shape)}" if name in tree else "nothing" for tree in (found, wanted))
        if has != needs:
            raise DataError(f"{path}: {has} is saved under {name!r} where {needs} is needed; these are parameters of something else.")

    def restore(place, leaf):
        value = found[path_name(place)]
        return jax.random.wrap_key_data(value, impl=jax.random.key_impl(jnp.empty((), leaf.dtype))) if is_key(leaf) else value

    return jax.tree_util.tree_map_with_path(restore, template)


def read_metadata(
    path: Path | str,  # a file that save_parameters wrote
) -> dict[str, str]:
    "Read the short texts kept beside saved parameters."
    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


# %% [markdown]
# A training that is interrupted must go on as if nothing had happened. So the test is not whether numbers *look* the same:
# weights, the optimiser's memory and the random key must come back bit for bit.

# %%
weights = {"params": {"Dense_0": {"kernel": jax.random.normal(jax.random.key(0), (6, 4)), "bias": jnp.zeros(4)}}}
optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
_, memory = optimiser.update(weights, optimiser.init(weights))
state = {"params": weights, "memory": memory, "key": jax.random.key(7), "step": jnp.int32(120)}
save_parameters("state.safetensors", state, {"settings": "3fd1"})
blank = {"params": weights, "memory": optimiser.init(weights), "key": jax.random.key(0), "step": jnp.int32(0)}
restored = load_parameters("state.safetensors", blank)
assert jax.tree.structure(restored) == jax.tree.structure(state)
assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), restored, state))
assert jax.random.normal(restored["key"]) == jax.random.normal(jax.random.key(7)), "the same dice, at the same point"
assert read_metadata("state.safetensors") == {"settings": "3fd1"}
with pytest.raises(DataError, match="parameters of something else") as refused:
    load_parameters("state.safetensors", blank | {"params": {"params": {"Dense_0": {"kernel": jnp.zeros((6, 5)), "bias": jnp.zeros(4)}}}})
print(*sorted(named_leaves(state)), refused.value, sep="\n")


# %% [markdown]
# ## What made this?
#
# A number without its origin is a rumour. Every run puts a stamp beside its results: the commit and whether somebody had
# changed something since, the versions, the time, the kind of machine. No names of people, hosts or folders.

# %% [markdown]
# Outside git, say in an archive that somebody downloaded, the commit is unknown and is called so. The same holds for a copy
# inside another project's repository, whose commit would say nothing about us.

# %%
#| export
def git_state() -> dict[str, Any]:
    "Name the commit of this repository and whether tracked files differ from it; \"unknown\" outside git."

    def git(*arguments):
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            raise FileNotFoundError("this is a copy inside somebody else's repository")
        changes = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD"), "uncommitted_changes": bool(changes)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "unknown", "uncommitted_changes": None}


def provenance(
    **extra: Any,  # profile, seed, minutes, ...
) -> dict[str, Any]:
    "Say what made a result: commit, versions, time, machine, and whatever the caller adds."
    packages = ("jax", "flax", "optax", "numpy", "pandas")
    return {
        **git_state(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine(), "system": platform.system()},
        **extra,
    }


# %%
made_by = provenance(profile="smoke", seed=0)
write_json("provenance.json", made_by | {"loss": jnp.array([0.5, jnp.nan])})
assert json.loads(Path("provenance.json").read_text())["loss"] == [0.5, None]
assert len(made_by["commit"]) == 40 or made_by["commit"] == "unknown"
assert platform.node() not in json.dumps(made_by).replace(made_by["machine"]["processor"], "") or not platform.node()
print({key: made_by[key] for key in ("versions", "machine", "profile", "seed")})

# %% [markdown]
# ## Recap
#
# In: `published` for the paper's numbers; `fetch_released`, `read_released`, `group_released`, `released_to_plays`, `counted_votes` and
# `check_counted_votes` for the authors' files; `read_plays` for tables of play, `read_seeds` for what the seeds of a run wrote; `DataError` when
# something is wrong with any of them. In memory: `Plays`, made by `label_blocks` and `concatenate`. Out: `plays_to_table`, `write_table`, `write_json`,
# `save_parameters` and back with `plays_from_table`, `load_parameters`, `read_metadata`; `atomic_write` under all of them and
# `provenance` beside them.
#
# Questions to take along: which errors in a file could none of these checks ever notice? If participants come back, are two of
# their votes two pieces of evidence or one?
#
# **Exercise.** How many votes for HCRM would have to flip to make its win over liberal egalitarian a tie, over all tails?
#
# <details><summary>Solution</summary>
#
# Of 1744 votes 951 were for HCRM; a tie needs 872.

# %%
total = published("fig2_votes").query("rival == 'liberal_egalitarian'")[["votes_for_hcrm", "votes_cast"]].sum()
flips = total.votes_for_hcrm - total.votes_cast / 2
assert flips == 79
print(f"{flips:.0f} of {total.votes_cast} votes, one in {total.votes_cast / flips:.0f}")

# %% [markdown]
# </details>
#
# **Exercise.** Swap the contributions of two *different* groups in one round of a released file. Which check notices?
#
# <details><summary>Solution</summary>
#
# No column and no row is wrong. Only the fund gives it away: the payouts of both groups no longer add up.

# %%
swapped = released.copy()
first, other = 40 * 12, 40 * 13  # the heads of two groups in their first refereed round
swapped.iloc[[first, other], 1] = swapped.iloc[[other, first], 1].to_numpy()
check_rows("data_exp2.csv", swapped)
with pytest.raises(DataError, match="2 of 36 blocks") as refused:
    released_to_plays(swapped)
print(refused.value)

# %% [markdown]
# </details>

# %%
#| hide
os.chdir(home)
workshop.cleanup()
