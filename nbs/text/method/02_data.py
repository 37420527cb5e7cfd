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
# 15_released makes them from the files of Koster et al. (Materials and Methods, "Investment game",
# "Participants" and "Pilot testing"). How a table is checked cell by cell is the matter of
# `engine.schema`.

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
from democratic_ai.engine import published, schema, store

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
# And a part of a data set is a data set.

# %%
#| export
def choose(
    plays: Plays,
    blocks: np.ndarray,  # [G] bool, or numbers of blocks
) -> Plays:
    "Take some blocks out of a data set."
    return jax.tree.map(lambda leaf: leaf[blocks], plays)


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
tutorials = choose(plays, np.asarray(plays.session) == 0)
assert len(tutorials) == 12 and (tutorials.mechanism == 0).all()
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
# ## Choices of real people
#
# One table of real people may be committed here. In four cities 148 people played the investment
# game without a referee, 37 groups of four, ten rounds, twenty tokens each (Herrmann, Thöni and
# Gächter 2008, their game without punishment; CC0). The fund grew by 1.6 and was split in four:
# strict egalitarian with equal endowments, to the digit.
#
# Their twenty tokens are our ten coins, so every other choice falls between two coins. Round it?
# The naive way turns one token of twenty into nothing at all, and nineteen into everything.

# %%
tokens = np.array([0, 1, 3, 5, 9, 10, 11, 17, 19, 20])
print("tokens   ", tokens)
print("naively  ", np.round(tokens / 2).astype(int))


# %% [markdown]
# Whoever gave one token did give. So a half coin goes to the even neighbour, but never to nothing
# and never to everything; half, five coins, is odd and safe.

# %%
#| export
def whole_coins(
    tokens: np.ndarray,  # twentieths of the endowment, whole
) -> np.ndarray:  # tenths, whole
    "Halve tokens; half a coin goes to the even neighbour, never to nothing or all."
    most = game.Game.most_coins
    return np.where(
        tokens % 2, np.clip(np.round(tokens / 2), 1, most - 1), tokens / 2
    ).astype(int)


# %%
coins = whole_coins(tokens)
print("our coins", coins)
assert coins.tolist() == [0, 1, 2, 2, 4, 5, 6, 8, 9, 10]

# %%
#| export
_REAL_CHOICES = schema.Form(
    {
        "city": schema.Column("a name", lambda x: x.str.strip() != "", str),
        "group": schema.whole_number("a group's number", 0, 10**6),
        "player": schema.whole_number("a seat", 0, 3),
        "round": schema.whole_number("a round", 1, 10),
        "contribution": schema.whole_number("a whole number of tokens", 0, 20),
    },
    header=True,
)


def real_choices() -> tuple[Plays, np.ndarray]:  # G blocks; [G] city of each group
    "Read real people's choices (Herrmann et al. 2008); raises DataError if damaged."
    rules = game.Game()
    frame = schema.read(published.DATA / "people" / "choices.csv", _REAL_CHOICES)
    frame = frame.sort_values(["city", "group", "round", "player"])
    tokens, shape = frame.contribution.to_numpy(), (rules.n_rounds, rules.n_players)
    contribution = whole_coins(tokens).reshape(-1, *shape)
    contribution = jnp.asarray(contribution, jnp.float32)
    endowment = jnp.full(contribution[:, 0].shape, float(rules.most_coins))
    everyone = jnp.broadcast_to(endowment[:, None], contribution.shape)
    payout = game.payout(everyone, contribution, game.equal_split)
    block = game.Block(endowment, contribution, payout)
    city = frame.city.to_numpy().reshape(contribution.shape)[:, 0, 0]
    return label_blocks(block, "tutorial", session=0), city


# %%
people, city = real_choices()
given = people.block.relative_contribution
print(pd.Series(city).value_counts().to_dict(), "groups")
assert len(people) == 37 and given.size == 1480
by_round = given.mean((0, 2))
assert by_round[-1] < by_round[0] / 2, "they begin with trust and end without"
fig, ax = plt.subplots(figsize=(4.5, 2.5))
for name in np.unique(city):
    ax.plot(range(1, 11), given[city == name].mean((0, 2)), "o-", ms=3, label=name)
ax.set(xlabel="round", ylabel="fraction given", ylim=(0, 1), xticks=(1, 4, 7, 10))
ax.legend(frameon=False, fontsize=7);

# %% [markdown]
# Three lines end far below where they began; Athens begins low and stays. Whoever fits a model of
# people to one city has to expect a surprise in the next.

# %% [markdown]
# ## Who played in the pilot
#
# Virtual players are trained on what the paper calls pilot data: 4,809 blocks, few of them like the
# evaluation. Who played?
#
# | endowments | blocks |
# |---|---|
# | all equal | 966 |
# | 10, 4, 4, 4 | 326 |
# | 10, 2, 2, 2 | 322 |
# | 10, 5, 4, 3 | 1,271 |
# | 10, 8, 5, 3 | 324 |
# | 10, 9, 8, 3 | 300 |
# | at random from 1 to 10 | 1,300 |
#
# "Equal" does not say how many coins. We read it as 10 each: the paper uses the word for exactly
# that condition, and names tails of 6 and 8, not of 10, as those that training never saw. "Random"
# we read as a draw for every player. The rich player may be any of the four: a network that has
# learned "player 0 is rich" would fail here.
#
# A group plays a tutorial without a referee and two blocks with one; some play four (how many is
# not said: every tenth here). The published counts are filled up group by group, so the last group
# of a kind may miss a block.

# %%
#| export
# blocks of the pilot by endowments, None: drawn (Koster et al., "Pilot testing")
ENDOWMENTS = {
    (10, 10, 10, 10): 966,
    (10, 4, 4, 4): 326,
    (10, 2, 2, 2): 322,
    (10, 5, 4, 3): 1271,
    (10, 8, 5, 3): 324,
    (10, 9, 8, 3): 300,
    None: 1300,
}
N_BLOCKS = sum(ENDOWMENTS.values())  # 4,809
N_COMPLETE = 2491  # blocks of these in which nobody dropped out


# %%
#| export
def pilot_groups(
    key: Array,  # consumed: one part for random endowments, one for their order
    *,
    n_blocks: int = N_BLOCKS,  # of the pilot; fewer: in proportion
    long_every: int = 10,  # one group in so many plays under four referees, not two
) -> tuple[Array, Array]:  # [G, P] endowment, coins; [G] blocks that each group plays
    """Recruit the pilot's groups, endowments mixed as published (Koster et al., "Pilot
    testing")."""
    ends = np.cumsum(list(ENDOWMENTS.values())) * n_blocks / N_BLOCKS
    endowment, n_played = [], []
    for kind, end in zip(ENDOWMENTS, np.round(ends).astype(int), strict=True):
        while sum(n_played) < end:
            is_long = len(n_played) % long_every == long_every - 1
            endowment.append(kind or (0, 0, 0, 0))
            n_played.append(min(5 if is_long else 3, end - sum(n_played)))
    key_random, key_order = jax.random.split(key)
    endowment = jnp.array(endowment, float)
    drawn = jax.random.randint(key_random, endowment.shape, 1, game.Game.most_coins + 1)
    endowment = jnp.where(endowment > 0, endowment, drawn)
    endowment = jax.random.permutation(key_order, endowment, axis=-1, independent=True)
    return endowment, jnp.array(n_played)


# %%
have, played = pilot_groups(jax.random.key(6))
print(
    len(have),
    "groups,",
    int(played.sum()),
    "blocks; four referees:",
    int((played == 5).sum()),
)
assert N_BLOCKS == 4809 == played.sum()
kind = (have.sum(-1) == 22) & (have.max(-1) == 10) & (have.min(-1) == 3)
richest = np.asarray(have[kind]).argmax(-1)
assert np.allclose(np.bincount(richest) / len(richest), 0.25, atol=0.1), (
    "any player of 10, 5, 4, 3"
)


# %% [markdown]
# ### Who dropped out
#
# Whoever timed out twice was replaced by a bot that contributes random amounts, and stayed
# replaced. Only 2,491 of the 4,809 blocks were complete. Bots are not to be imitated, so every
# block says which players answered all ten rounds themselves; but the others did *see* the bots
# play, and that stays in the data.
#
# Drop-out comes at a constant hazard. Which one? There is no need to solve for it. Draw all moments
# with hazard one, and note for each block the first moment divided by the block's end. Sort, and
# stretch time so that exactly 2,491 ratios lie above one.

# %%
#| export
def dropout_rounds(
    key: Array,  # consumed whole
    n_played: Array,  # [G] blocks that each group plays
    *,
    n_complete: int,  # blocks in which nobody may be missing
    n_rounds: int = game.Game.n_rounds,  # of a block
    n_players: int = game.Game.n_players,  # P
) -> Array:  # [G, P] round of the session, from 0
    """Draw when players drop out, at a hazard that leaves so many blocks complete
    (Koster et al., "Pilot testing")."""
    moment = jax.random.exponential(key, (len(n_played), n_players))
    ends = n_rounds * np.arange(1, int(n_played.max()) + 1)
    # a block is complete if the first to leave does so after its end
    reach = np.asarray(moment.min(-1))[:, None] / ends
    reach = np.sort(reach[np.asarray(n_played)[:, None] >= ends / n_rounds])
    return jnp.floor(moment / reach[len(reach) - n_complete] * (1 + 1e-6))


# %% [markdown]
# Eight groups of three blocks each, twelve of the 24 to be complete:

# %%
few_leave = dropout_rounds(jax.random.key(10), jnp.full(8, 3), n_complete=12)
complete = (few_leave.min(-1)[:, None] >= jnp.array([10, 20, 30])).sum()
print(few_leave[:2], "->", complete, "blocks of 24 complete")
assert complete == 12

# %% [markdown]
# ## Recap
#
# `Plays` is a data set of blocks, made by `label_blocks`, `concatenate` and `choose`.
# `plays_to_table` and `plays_from_table` turn it into a long table and back; `read_plays` reads one
# that somebody else wrote, by the form `TABLE`, with the rules `within_endowment` and, for
# evaluation, `evaluation_endowment`. `real_choices` are those of 37 real groups, in `whole_coins`;
# `pilot_groups` and `dropout_rounds` (`ENDOWMENTS`, `N_BLOCKS`, `N_COMPLETE`) recruit the pilot.
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
