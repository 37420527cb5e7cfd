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
import csv
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from democratic_ai import game
from democratic_ai.engine import published, store

# %%
#| hide
import warnings

import matplotlib.pyplot as plt
import pytest

from democratic_ai import mechanisms

warnings.filterwarnings("ignore", message="IProgress not found")
home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays

# %% [markdown]
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
        raise store.DataError(f"Blocks of (rounds, players) {sorted(shapes)} cannot be joined; pick those of one shape, at least one.")
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
        raise store.DataError(f"The table lacks {', '.join(missing)}; it needs {', '.join(TABLE_COLUMNS)}.")
    place = ["group", "round", "player"]
    shape = tuple(frame[column].nunique() for column in place)
    if len(frame) != np.prod(shape) or frame.duplicated(place).any():
        raise store.DataError("The table has {} rows, not one for each of {} groups, {} rounds and {} players.".format(len(frame), *shape))
    cube = {name: column.to_numpy().reshape(shape) for name, column in frame.sort_values(place).items()}
    first = {name: cube[name][:, :1] for name in ("endowment", "answered")}
    first |= {name: cube[name][:, :1, :1] for name in ("session", "mechanism")}
    for name, value in first.items():
        if (cube[name] != value).any():
            raise store.DataError(f"The table's {name!r} changes within a group; give every block a group number of its own.")
    return cube


# %% [markdown]
# Shuffle the 1,440 rows like cards and read them back: the blocks should be the same to the last bit. Take one card away, and
# there should be a refusal.

# %%
table = plays_to_table(evening)
again = plays_from_table(table.sample(frac=1, random_state=0))
assert again.names == evening.names
assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all() and a.dtype == b.dtype, evening, again)), "there and back, shuffled"
with pytest.raises(store.DataError, match="1439 rows, not one for each of 36 groups, 10 rounds and 4 players"):
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
def cell_error(path: Path | str, row: int, column: str, problem: str) -> store.DataError:
    "Say in one sentence what is wrong where; rows are lines of the file, counted from 1."
    return store.DataError(f"{path}, row {row}, column {column!r}: {problem}.")


def read_lines(
    path: Path | str,
) -> dict[int, list[str]]:  # line number -> cells; blank lines are left out
    "Cut a CSV file into cells; raises DataError when it is not there or is not text."
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return {reader.line_num: cells for cells in reader if cells}
    except FileNotFoundError:
        raise store.DataError(f"{path}: there is no such file; repeat `make data`, or put the file there by hand.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise store.DataError(f"{path}: cannot be read as CSV text ({error}); fetch it again.") from None


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
    both = published.read("fig2_votes").merge(counted_votes(players), how="outer", on=cell, suffixes=("", "_here")).fillna(0)
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
        raise store.DataError(f"{path}: the released files are called {', '.join(RELEASED)}; give the file back its name.")
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
    with pytest.raises(store.DataError) as refused:
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


votes = published.read("fig2_votes")
made_up_players(votes)
players = read_released("players_exp2.csv")
pd.testing.assert_frame_equal(counted_votes(players).sort_values(["rival_code", "tail_endowment"], ignore_index=True), votes)
made_up_players(votes.assign(votes_for_hcrm=votes.votes_for_hcrm - (votes.index == 7)))
read_released("players_exp2.csv");

# %% [markdown]
# What did the people decide? One bar for each rival and tail endowment; above the dashed line HCRM won.

# %%
fig, ax = plt.subplots(figsize=(6.5, 2.6))
counts = published.read("fig2_votes")
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
    folder: Path | str,  # such as data/released
    *,
    address: str = ADDRESS,
) -> list[Path]:  # the files, in the order of RELEASED
    "Fetch the authors' files that are not in the folder yet; raises DataError saying what to do when one cannot be had."
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in RELEASED:
        if (folder / name).exists():
            continue
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as waiting:
            try:
                os.replace(fetch_one(address + name, Path(waiting)), folder / name)
            except (OSError, store.DataError) as error:  # whatever a network does wrong is an OSError
                reason = str(error).replace(f"{waiting}{os.sep}", "").rstrip(".") if isinstance(error, store.DataError) else type(error).__name__
                remedy = f"repeat `make data` when it can be reached, or put the files into {folder}/ by hand."
                raise store.DataError(f"{name} could not be fetched from {address} ({reason}): {remedy}") from None
    return [folder / name for name in RELEASED]


# %% [markdown]
# And without a network? Here is an address that nobody can reach. (Where this notebook was run, the real one cannot be reached
# either, and says the same.)

# %%
with pytest.raises(store.DataError) as refused:
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
        raise store.DataError(f"The rows cannot be gathered into groups: {problem}; give them in the order of the original file.")
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
with pytest.raises(store.DataError, match="cannot be gathered"):
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
        raise store.DataError(f"{path}: cannot be read as a parquet table ({error}); make the file again.") from None
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
    except store.DataError as error:
        raise store.DataError(f"{path}: {error}") from None


# %%
table.to_csv("pilot.csv", index=False)
assert read_plays("pilot.csv", evaluation=True).names == evening.names
table.assign(endowment=table.endowment.where(table.index != 5, 3)).to_csv("pilot.csv", index=False)
with pytest.raises(store.DataError) as refused:
    read_plays("pilot.csv", evaluation=True)
assert "pilot.csv, row 7, column 'endowment'" in str(refused.value)
print(refused.value)


# %% [markdown]
# (Line 1 is the header, so the sixth row of play is line 7: the number under which an editor shows it.)

# %% [markdown]
# ## Recap
#
# In: `published.read` for the paper's numbers; `fetch_released`, `read_released`, `group_released`, `released_to_plays`, `counted_votes` and
# `check_counted_votes` for the authors' files; `read_plays` for tables of play, `runs.read_seeds` for what the seeds of a run wrote; `store.DataError` when
# something is wrong with any of them. In memory: `Plays`, made by `label_blocks` and `concatenate`. Out: `plays_to_table`, `store.write_table`, `store.write_json`,
# `store.save_parameters` and back with `plays_from_table`, `store.load_parameters`, `store.read_metadata`; `store.atomic_write` under all of them and
# `store.provenance` beside them.
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
total = published.read("fig2_votes").query("rival == 'liberal_egalitarian'")[["votes_for_hcrm", "votes_cast"]].sum()
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
with pytest.raises(store.DataError, match="2 of 36 blocks") as refused:
    released_to_plays(swapped)
print(refused.value)

# %% [markdown]
# </details>

# %%
#| hide
os.chdir(home)
workshop.cleanup()
