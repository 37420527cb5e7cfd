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
# # Blocks of play, written down
#
# > Blocks of play go in and a long table comes out, or a table goes in and checked blocks come out.

# %%
#| default_exp data

# %% [markdown]
# *In this notebook*: the data set that everything else learns from, in memory and on disk. It uses
# 00_game; 03_participants makes such data sets, 04_cloning and 12_hcmd_zero learn from them, and
# 15_released makes them from the files of Koster et al. (Materials and Methods, "Investment game"
# and "Participants"). How a table is checked cell by cell is the matter of `engine.schema`.

# %%
#| export
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from democratic_ai import game
from democratic_ai.engine import schema, store

# %%
#| hide
import os
import tempfile

import matplotlib.pyplot as plt
import pytest

from democratic_ai import mechanisms

home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays


# %% [markdown]
# ## A data set of blocks
#
# Ann has 10 coins, Bob, Cem and Dee have 2 each. In the third round of their second block Ann gives
# 7 and Bob 1, and the mechanism pays Bob 3 coins. To learn anything from that, we must know more
# than coins: under which mechanism the block was played, at which place in the session, and whose
# answers are real. When somebody left, a bot played on in their place (Koster et al.,
# "Participants"). The group carries on, but nobody should learn to imitate the bot.
#
# The unit is a *block*: one group, ten rounds, one mechanism. The mechanism is a number with a
# tuple of names beside it. Numbers can be indexed, shuffled and compiled; names are for people, so
# JAX is told to read them only when it compiles.

# %%
#| export
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plays:
    "A data set of G blocks of play, each by one group under one mechanism."

    block: (
        game.Block
    )  # endowment [G, P], contribution [G, T, P], payout [G, T, P], coins
    answered: (
        Array  # [G, P] bool: all contributions of this player are a participant's own
    )
    session: Array  # [G] int32: 0 = tutorial, 1, 2, ... = blocks under a referee
    mechanism: Array  # [G] int32: position in `names`
    names: tuple[str, ...] = field(metadata={"static": True})  # of the mechanisms

    def __len__(self) -> int:  # the number of blocks
        return self.mechanism.shape[0]


# %% [markdown]
# Mostly a whole batch of groups was played under the same mechanism, and then a label is enough. In
# the tutorial there is no referee. We give that its own name instead of calling it strict
# egalitarian, although the sharing is the same. For people who believe that nobody is in charge
# play differently from people who are told that somebody is.

# %%
#| export
def label_blocks(
    block: game.Block,  # one leading axis: groups
    mechanism: str,  # name of the mechanism that all of these groups played under
    *,
    session: int = 1,  # 0 = tutorial
    answered: Array | None = None,  # [G, P] bool; default: all did themselves
) -> Plays:
    "Label blocks that were played under one mechanism."
    n_groups = block.endowment.shape[0]
    answered = jnp.ones(block.endowment.shape, bool) if answered is None else answered
    same = lambda number: jnp.full(n_groups, number, jnp.int32)
    return Plays(block, answered, same(session), same(0), (mechanism,))


# %% [markdown]
# Two data sets become one by putting one behind the other. The catch is in the codes: 0 may mean
# *tutorial* in one and *libertarian* in the other, so each is translated to the common list of
# names first.

# %%
#| export
def concatenate(
    parts: Sequence[Plays],  # at least one; the same number of rounds and players
) -> Plays:
    "Join data sets; raises DataError when their blocks differ in shape."
    shapes = {part.block.contribution.shape[1:] for part in parts}
    if len(shapes) != 1:
        found = f"Blocks of (rounds, players) {sorted(shapes)} cannot be joined"
        raise store.DataError(f"{found}; pick those of one shape, at least one.")
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))

    def recode(part):
        common = jnp.array([names.index(name) for name in part.names], jnp.int32)
        code = common[part.mechanism]
        return Plays(part.block, part.answered, part.session, code, names)

    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *map(recode, parts))


# %% [markdown]
# Twelve groups of bots play three blocks. The first is a tutorial; in the second everybody is paid
# for the coins that they put in, in the third for the fraction of their endowment. Thirty-six
# blocks should come out, under three names.

# %%
ann_and_three = jnp.tile(jnp.array([10.0, 2, 2, 2]), (12, 1))


def bots(seed, mechanism):
    return game.play(jax.random.key(seed), game.random_bots(), ann_and_three, mechanism)


tutorial = label_blocks(bots(0, game.equal_split), "tutorial", session=0)
by_coins = label_blocks(bots(1, mechanisms.libertarian), "libertarian", session=1)
by_effort = bots(2, mechanisms.liberal_egalitarian)
by_effort = label_blocks(by_effort, "liberal_egalitarian", session=2)
plays = concatenate([tutorial, by_coins, by_effort])
assert len(plays) == 36
assert plays.names == ("tutorial", "libertarian", "liberal_egalitarian")
assert [plays.names[code] for code in plays.mechanism[::12]] == list(plays.names)
print(len(plays), "blocks of shape", plays.block.contribution.shape[1:], plays.names)


# %% [markdown]
# ## A long table
#
# On disk a block is a *long table*: one row for each group, round and player. Rounds count from 1,
# as in the paper. Players count from 0, and in the evaluation player 0 is the head. What may stand
# in each column is said as data, for later.

# %%
#| export
def within_endowment(
    contribution: str = "contribution",  # names of columns
    endowment: str = "endowment",
) -> schema.Rule:
    "Demand that nobody contributes more than the endowment."
    problem = f"{{{contribution}}} coins are more than the endowment of {{{endowment}}}"
    return schema.Rule(contribution, lambda x: x[contribution] <= x[endowment], problem)


TABLE = schema.Form(
    {
        "group": schema.whole_number("a group's number", 0, 10**9),
        "round": schema.whole_number("a round", 1, 10),
        "player": schema.whole_number("a seat", 0, 3),
        "endowment": schema.whole_number("a whole number of coins", 1, 10),
        "contribution": schema.whole_number("a whole number of coins", 0, 10),
        "payout": schema.number("an amount of coins", 0, 64),
        "mechanism": schema.Column("a name", lambda x: x.str.strip() != "", str),
        "session": schema.whole_number("a block of the session (0 = tutorial)", 0, 5),
        "answered": schema.FLAG,
    },
    (within_endowment(),),
    header=True,
)


# %%
#| export
def plays_to_table(
    plays: Plays,
) -> pd.DataFrame:  # one row per group, round (from 1) and player (from 0)
    "Write a data set of blocks as a long table."
    index = np.indices(plays.block.contribution.shape)
    group, turn, player = (axis.ravel() for axis in index)
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
        columns=list(TABLE.columns),
    )


# %% [markdown]
# Long tables are easy to count in. What did the head and a tail get under each mechanism, and in
# which round?

# %%
table = plays_to_table(plays)
assert len(table) == 36 * 10 * 4 and table["round"].min() == 1
role = table.player.map(lambda player: "tail" if player else "head")
paid = table.groupby([table.mechanism, role, "round"]).payout.mean()
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.4), sharey=True)
for ax, name in zip(axes, plays.names, strict=True):
    for who, style in (("head", "o-"), ("tail", "^-")):
        ax.plot(paid[name, who], style, ms=4, label=who)
    ax.set(title=name.replace("_", " "), xlabel="round", xticks=(1, 5, 10))
axes[0].set_ylabel("mean payout (coins)")
axes[0].legend(frameon=False)
fig.tight_layout()
tutorial_gap = paid["tutorial", "head"] - paid["tutorial", "tail"]
assert tutorial_gap.abs().max() < 1e-5 and (paid["libertarian", "head"] > 4).all()
table.head(4)

# %% [markdown]
# Bots give at random, whatever they are paid. In the tutorial both lines are one; libertarian pays
# Ann most of the fund; under liberal egalitarian she gets a little more than a tail.
#
# ### The naive way: reshape
#
# Back again, 1,440 rows are 36 x 10 x 4. So reshape? Somebody has sorted the table by payout before
# sending it.

# %%
by_payout = table.sort_values("payout", ascending=False)
naive = by_payout.contribution.to_numpy().reshape(36, 10, 4)
assert naive.shape == plays.block.contribution.shape and (naive[0] > 2).all()
print("contributions of the naive first group, first round:", naive[0, 0])


# %% [markdown]
# The shape is right and nothing complains. In the first "group" all four give more than a tail has:
# its rows are heads of many groups. The remedy has two parts. Sort by group, round and player; and
# before that, make sure that the rows fold into a cube at all. Count the three, multiply, compare
# with the number of rows, and search for doubles: if the product is right and no place is taken
# twice, every place is taken once.
#
# What belongs to a whole block (its mechanism, its session) or to a player in it (the endowment)
# must also stay the same throughout, or keeping one value would lose the others.

# %%
#| export
def _fold_table(
    frame: pd.DataFrame,
) -> dict[str, np.ndarray]:  # column -> [G, T, P]
    "Fold a long table; raises DataError when a row is missing or one too many."
    missing = [name for name in TABLE.columns if name not in frame]
    if missing:
        problem = f"The table lacks {', '.join(missing)}"
        raise store.DataError(f"{problem}; it needs {', '.join(TABLE.columns)}.")
    place = ["group", "round", "player"]
    shape = tuple(frame[column].nunique() for column in place)
    if len(frame) != np.prod(shape) or frame.duplicated(place).any():
        problem = f"The table has {len(frame)} rows, not one for each of"
        places = "{} groups, {} rounds and {} players".format(*shape)
        raise store.DataError(f"{problem} {places}.")
    frame = frame.sort_values(place)
    return {name: column.to_numpy().reshape(shape) for name, column in frame.items()}


def _check_constant(
    cube: dict[str, np.ndarray],  # column -> [G, T, P]
) -> None:
    "Raise DataError when something changes within a block that belongs to all of it."
    first = {name: cube[name][:, :1] for name in ("endowment", "answered")}
    first |= {name: cube[name][:, :1, :1] for name in ("session", "mechanism")}
    for name, value in first.items():
        if (cube[name] != value).any():
            problem = f"The table's {name!r} changes within a group"
            remedy = "give every block a group number of its own"
            raise store.DataError(f"{problem}; {remedy}.")


# %%
#| export
def plays_from_table(
    frame: pd.DataFrame,  # as `plays_to_table` writes it, rows in any order
) -> Plays:
    "Read a long table as a data set; raises DataError when a group is not whole."
    cube = _fold_table(frame)
    _check_constant(cube)
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
# From the sorted table the blocks should come back as they were, to the last bit. Take one row
# away, and there should be an error.

# %%
again = plays_from_table(by_payout)
assert again.names == plays.names
same = lambda a, b: (a == b).all() and a.dtype == b.dtype
assert jax.tree.all(jax.tree.map(same, plays, again)), "there and back, in any order"
with pytest.raises(store.DataError, match="1439 rows, not one for each of 36 groups"):
    plays_from_table(table.drop(index=700))
with pytest.raises(store.DataError, match="'session' changes within") as refused:
    plays_from_table(table.assign(session=table.index % 2))
print(refused.value)


# %% [markdown]
# ## A table from elsewhere
#
# A table may come from a run of ours or from a classroom, as CSV or parquet. Then every cell is
# held against `TABLE` before anything is folded. A rule that depends on the study is added on
# request. In data for evaluation player 0 must be the head with 10 coins and the others alike; in a
# pilot nobody need be.

# %%
#| export
def evaluation_endowment(
    player: str,  # names of columns: the seat
    tail: str,  # the endowment of the tail players, coins
) -> schema.Rule:
    "Demand that player 0 has 10 coins and the others the tail's endowment."
    coins = game.Game.most_coins
    problem = (
        f"player {{{player}}} has {{endowment}} coins where player 0 is the head with "
        f"{coins} and the others have {{{tail}}}"
    )
    holds = lambda x: x.endowment == np.where(x[player] == 0, coins, x[tail])
    return schema.Rule("endowment", holds, problem)


# %% [markdown]
# Which endowment is right, if one of the tails' differs? The one that most of the group's rows
# have: their median.

# %%
#| export
def read_plays(
    path: Path | str,  # .csv or .parquet, with the columns of TABLE
    *,
    evaluation: bool = False,  # whether player 0 must be a head and the others alike
) -> Plays:
    "Read a table of play; raises DataError naming file, row and column of a fault."
    frame = schema.read(path, TABLE)
    if evaluation:
        tails = frame.endowment.where(frame.player > 0).groupby(frame.group)
        tail = tails.transform("median").round().astype(int)
        rules = (evaluation_endowment("player", "tail"),)
        schema.check_rows(path, frame.assign(tail=tail), rules)
    try:
        return plays_from_table(frame)
    except store.DataError as error:
        raise store.DataError(f"{path}: {error}") from None


# %% [markdown]
# One of Bob's rows claims three coins where he has two.

# %%
table.to_csv("pilot.csv", index=False)
assert read_plays("pilot.csv", evaluation=True).names == plays.names
table.loc[5, "endowment"] = 3
table.to_csv("pilot.csv", index=False)
with pytest.raises(store.DataError) as refused:
    read_plays("pilot.csv", evaluation=True)
assert "pilot.csv, row 7, column 'endowment'" in str(refused.value)
print(refused.value)

# %% [markdown]
# Line 1 is the header, so the sixth row of play is line 7: the number under which an editor shows
# it. Without `evaluation` the row is fine by itself, and the block is refused because an endowment
# changes within it.

# %%
with pytest.raises(store.DataError, match="'endowment' changes within") as refused:
    read_plays("pilot.csv")
print(refused.value)

# %% [markdown]
# ## Recap
#
# `Plays` is a data set of blocks, made by `label_blocks` and `concatenate`. `plays_to_table` and
# `plays_from_table` turn it into a long table and back; `read_plays` reads one that somebody else
# wrote, by the form `TABLE`, with the rules `within_endowment` and, for evaluation,
# `evaluation_endowment`.
#
# Questions to take along: which errors in a table could none of these checks ever notice? If
# participants come back, are two of their blocks two pieces of evidence or one?
#
# **Exercise.** Two teachers number their groups from 0, and somebody copies the second table below
# the first. What does `read_plays` say, and how are the tables joined properly?
#
# <details><summary>Solution</summary>
#
# Every place is now taken twice, so the copy is refused. Read each table by itself and join the
# data sets.

# %%
classes = [plays_to_table(part) for part in (by_coins, tutorial)]
pd.concat(classes).to_csv("both.csv", index=False)
with pytest.raises(
    store.DataError, match="960 rows, not one for each of 12"
) as refused:
    read_plays("both.csv")
print(refused.value)
for i, frame in enumerate(classes):
    frame.to_csv(f"class{i}.csv", index=False)
both = concatenate([read_plays(f"class{i}.csv") for i in range(2)])
assert len(both) == 24 and both.names == ("libertarian", "tutorial")

# %% [markdown]
# </details>

# %%
#| hide
os.chdir(home)
workshop.cleanup()
