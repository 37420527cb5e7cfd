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
# # A table against its schema
#
# > A file and the form that it should have go in; a table comes out with every cell checked.

# %%
#| default_exp engine.schema

# %% [markdown]
# *In this notebook*: how a table that somebody else wrote is read. It uses `store` for its error;
# 02_data reads tables of play with it, 15_released the files of Koster et al. ("Data
# availability"). A wrong file is refused with one sentence that names the file, the row and the
# column of the first fault.

# %%
#| export
import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from democratic_ai.engine import store

# %%
#| hide
import os
import tempfile

import pytest

home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays

# %% [markdown]
# ## The naive way: read_csv
#
# Four players have written down what they had and what they gave. Bob wrote a word, Cem gave more
# than he had, and Dee wrote one number only.

# %%
Path("coins.csv").write_text(
    "player,endowment,contribution\nAnn,10,7\nBob,4,half\nCem,4,5\nDee,3\n"
)
naive = pd.read_csv("coins.csv")
assert naive.contribution.isna().sum() == 1 and naive.contribution[0] == "7"
naive


# %% [markdown]
# No complaint. Bob's word made texts of the whole column, so that a sum of contributions would be
# "7half5". Dee's only number went under the endowment, and a gap was invented for her contribution.
# That Cem's five coins out of four cannot be, no program can know unless we say so.
#
# ## What may stand where
#
# So we say it, as data. A *column* has a test and the same in words, for the error.

# %%
#| export
@dataclass(frozen=True)
class Column:
    "What may stand in one column of a file."

    what: str  # in words, for the error
    holds: Callable[
        [pd.Series], pd.Series
    ]  # values -> bool, True where one is accepted
    kind: type = float  # float, int, bool or str
    missing: bool = False  # whether an empty cell or NaN is accepted


# %% [markdown]
# Most columns are of two sorts: whole numbers between two bounds, or any number between two bounds.
# The second allows a thousandth of slack, because files are printed with a few decimals. The first
# allows none: half a coin does not exist.

# %%
#| export
def whole_number(
    what: str,  # in words, without the bounds
    low: int,
    high: int,
) -> Column:
    "Describe a column of whole numbers from `low` to `high`."
    holds = lambda x: (x >= low) & (x <= high) & (x == x.round())
    return Column(f"{what} from {low} to {high}", holds, int)


def number(
    what: str,  # in words, without the bounds
    low: float,
    high: float,
    *,
    slack: float = 0.001,  # for the rounding in the file
    missing: bool = False,  # whether an empty cell or NaN is accepted
) -> Column:
    "Describe a column of numbers from `low` to `high`."
    holds = lambda x: (x >= low - slack) & (x <= high + slack)
    return Column(f"{what} from {low:g} to {high:g}", holds, missing=missing)


FLAG = Column("True or False", lambda x: x.isin([0, 1]), bool)


# %% [markdown]
# A *rule* says how columns of one row must agree: five coins out of four are two cells that may
# both be fine by themselves. A *form* is what a whole file looks like: its columns in order, its
# rules, and whether a first line names the columns.

# %%
#| export
@dataclass(frozen=True)
class Rule:
    "How the columns of one row must agree."

    column: str  # to be named in the error
    holds: Callable[
        [pd.DataFrame], pd.Series
    ]  # table -> bool, True where a row is accepted
    problem: str  # in words; {name} stands for the row's cell in the column `name`


@dataclass(frozen=True)
class Form:
    "What a file looks like."

    columns: dict[str, Column]  # in the order of the file
    rules: tuple[Rule, ...] = ()
    header: bool = False  # whether a first line names the columns


# %%
text = Column("a name", lambda x: x.str.strip() != "", str)
coins = {
    "endowment": whole_number("coins", 1, 10),
    "contribution": whole_number("coins", 0, 10),
}
within = Rule(
    "contribution",
    lambda x: x.contribution <= x.endowment,
    "{player} gave {contribution} coins of {endowment}",
)
form = Form({"player": text, **coins}, (within,), header=True)
accepted = coins["contribution"].holds(pd.Series([0, 7, 10, 11, -1, 1.5]))
assert accepted.tolist() == [True, True, True, False, False, False]
assert number("coins", 0, 1).holds(pd.Series([1.0004, 1.01])).tolist() == [True, False]
print("a contribution is", coins["contribution"].what)


# %% [markdown]
# ## Three steps, each of which may refuse
#
# First, cut the lines into cells and count them. Why not let pandas cut? It fills up short rows,
# turns surplus cells into an index and reads `NA` and a dozen other texts as missing; afterwards
# nobody knows on which line a number stood. Python's `csv` does less. Nothing is interpreted yet,
# and every row keeps the number of its line.

# %%
#| export
def _cell_error(
    path: Path | str, row: int, column: str, problem: str
) -> store.DataError:
    "Say in one sentence what is wrong where."
    return store.DataError(f"{path}, row {row}, column {column!r}: {problem}.")


def _read_lines(
    path: Path | str,
) -> dict[int, list[str]]:  # line number, from 1 -> cells; blank lines are left out
    "Cut a CSV file into cells; raises DataError when it is not there or is not text."
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            numbered = ((reader.line_num, cells) for cells in reader)
            return {number: cells for number, cells in numbered if cells}
    except FileNotFoundError:
        problem = "there is no such file; make it, or put it there by hand"
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        problem = f"cannot be read as CSV text ({error}); make or fetch it again"
    raise store.DataError(f"{path}: {problem}.")


# %% [markdown]
# With a header, columns are found by name and further ones are ignored. Without one, all that can
# be said is that a row has too many or too few cells, so the error lists what should be there.

# %%
#| export
def _header(
    path: Path | str,
    lines: dict[int, list[str]],  # of which the first one is taken away
    columns: list[str],
) -> tuple[list[str], int]:  # names of all columns, and the next line
    "Take the header off; raises DataError when a column is missing."
    row = next(iter(lines))
    names = [name.strip() for name in lines.pop(row)]
    for column in columns:
        if column not in names:
            problem = f"is missing; the header must name {', '.join(columns)}"
            raise _cell_error(path, row, column, problem)
    return names, row + 1


# %%
#| export
def _read_csv(
    path: Path | str,
    form: Form,
) -> pd.DataFrame:  # texts; the index is the line in the file
    "Lay out cells under columns; raises DataError for a missing or surplus one."
    lines, columns = _read_lines(path), list(form.columns)
    names, row = columns, 1
    if form.header and lines:
        names, row = _header(path, lines, columns)
    if not lines:
        problem = "there is nothing here, the file is empty; make or fetch it again"
        raise _cell_error(path, row, columns[0], problem)
    for line, cells in lines.items():
        if len(cells) != len(names):
            column = names[min(len(cells), len(names) - 1)]
            needed = f"{len(names)} are needed ({', '.join(names)})"
            raise _cell_error(path, line, column, f"{len(cells)} values where {needed}")
    return pd.DataFrame(list(lines.values()), index=list(lines), columns=names)[columns]


# %% [markdown]
# A parquet table has names and no lines. Its rows are counted from 1 instead, and its cells take
# the same way as those of a CSV.

# %%
#| export
def _read_parquet(
    path: Path | str,
    form: Form,
) -> pd.DataFrame:  # texts; the index is the row, from 1
    "Read a parquet table as cells; raises DataError when it is none or lacks a column."
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        problem = f"cannot be read as a parquet table ({error}); make the file again"
        raise store.DataError(f"{path}: {problem}.") from None
    for column in form.columns:
        if column not in frame or not len(frame):
            needed = ", ".join(form.columns)
            problem = f"there is nothing here; the table needs {needed}"
            raise _cell_error(path, 1, column, problem)
    return frame[list(form.columns)].astype(str).set_axis(range(1, len(frame) + 1))


# %% [markdown]
# Second, every cell against its column. `True` is 1 in a column of flags and nonsense in a column
# of coins; `nan` is a gap, and a gap is fine only where the column says so. Of many wrong cells the
# first in reading order is reported: one sentence can be acted on, a list of ten thousand cannot.

# %%
#| export
def _values(cells: pd.Series, kind: type) -> pd.Series:
    "Turn texts into numbers, NaN for what is none; names stay texts."
    if kind is str:
        return cells
    text = cells.str.strip().str.lower()
    text = text.replace({"true": "1", "false": "0"}) if kind is bool else text
    return pd.to_numeric(text, errors="coerce").astype(float)


def _check_cells(
    path: Path | str,
    cells: pd.DataFrame,  # texts
    columns: dict[str, Column],
) -> pd.DataFrame:  # numbers, flags and names
    "Turn texts into values; raises DataError for the first that is not accepted."
    empty = cells.apply(lambda column: column.str.strip().str.lower())
    empty = empty.isin(["", "nan", "na", "none", "null", "<na>"])
    values = {name: _values(cells[name], c.kind) for name, c in columns.items()}
    values = pd.DataFrame(values)
    good = pd.DataFrame({name: c.holds(values[name]) for name, c in columns.items()})
    good = good.mask(empty, [c.missing for c in columns.values()], axis=1)
    if not good.all(axis=None):
        line, name = good.stack().idxmin()
        found = "nothing (NaN)" if empty[name][line] else repr(cells[name][line])
        raise _cell_error(path, line, name, f"{found} is not {columns[name].what}")
    return values.astype({name: c.kind for name, c in columns.items()})


# %% [markdown]
# Third, the cells of a row against one another: what no column can know on its own.

# %%
#| export
def check_rows(
    path: Path | str,  # for the error
    frame: pd.DataFrame,
    rules: tuple[Rule, ...],
) -> pd.DataFrame:  # the same
    "Compare columns; raises DataError for the first row in which they disagree."
    good = pd.DataFrame({i: rule.holds(frame) for i, rule in enumerate(rules)})
    if not good.all(axis=None):
        line, i = good.stack().idxmin()
        row = frame.loc[[line]].to_dict("records")[0]
        raise _cell_error(path, line, rules[i].column, rules[i].problem.format(**row))
    return frame


def read(
    path: Path | str,  # a CSV file; a parquet table if it ends in .parquet
    form: Form,
) -> pd.DataFrame:  # the index is the line of a CSV file or the row of a table, from 1
    "Read a table; raises DataError naming file, row and column of the first fault."
    read_cells = _read_parquet if Path(path).suffix == ".parquet" else _read_csv
    cells = read_cells(path, form)
    return check_rows(path, _check_cells(path, cells, form.columns), form.rules)


# %% [markdown]
# The four players once more. Each fault should be named, and mended it should lead to the next:
# Dee's missing cell, Bob's word, Cem's fifth coin.

# %%
def refusal():
    with pytest.raises(store.DataError) as refused:
        read("coins.csv", form)
    return str(refused.value)


mendings = ("Dee,3", "Dee,3,3"), ("half", "2"), ("Cem,4,5", "Cem,4,4")
places = (
    "row 5, column 'contribution'",
    "row 3, column 'contribution'",
    "row 4, column 'contribution'",
)
for place, (wrong, right) in zip(places, mendings, strict=True):
    assert refusal().startswith(f"coins.csv, {place}")
    print(refusal())
    Path("coins.csv").write_text(Path("coins.csv").read_text().replace(wrong, right))
mended = read("coins.csv", form)
assert mended.contribution.tolist() == [7, 2, 4, 3] and mended.contribution.dtype == int
assert list(mended.index) == [2, 3, 4, 5], "lines of the file, as in an editor"
store.write_table("coins.parquet", mended)
assert (read("coins.parquet", form).to_numpy() == mended.to_numpy()).all()
mended

# %% [markdown]
# ## Recap
#
# A `Form` lists a file's `Column`s (`whole_number`, `number`, `FLAG`) and `Rule`s. `read` reads a
# CSV or parquet file against it; `check_rows` holds a table in memory against rules.

# %%
#| hide
os.chdir(home)
workshop.cleanup()
