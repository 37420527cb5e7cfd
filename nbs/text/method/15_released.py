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
# # Released files
#
# > The authors' files go in; people's blocks, rounds and votes come out, every cell checked.

# %%
#| default_exp released

# %% [markdown]
# *In this notebook*: how the files that Koster et al. released ("Data availability") are fetched,
# checked and read. It uses `engine.schema` for the checks, 02_data for blocks and 14_experiments
# for the two tables of an evaluation. `25_experiments` reads people's play and votes with it, where
# the files are.

# %%
#| export
import os
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd

from democratic_ai import data, experiments, game, participants
from democratic_ai.engine import published, schema, store

# %%
#| hide
import warnings

import jax
import matplotlib.pyplot as plt
import pytest

from democratic_ai import figures, mechanisms

warnings.filterwarnings("ignore", message="IProgress not found")
home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays

# %% [markdown]
# ## One row
#
# This row might stand in `data_exp1.csv`, a file without a header:
#
#     17.0,1,2,2,1,0,2,2,3,False,1.0,3.2
#
# Participant 17 sits at seat 1; call him Bob. He gave 2 coins of his 2 in block 1, round 0. The
# tails have 2 coins each. The mechanism has code 2, which is libertarian; the session's rival has
# code 3, liberal egalitarian. Bob is not the head, he gave all he had (1.0), and he was paid 3.2
# coins, 1.6 for each.
#
# All of that we know from a notebook beside the files, and nothing in the row says it. Move one
# cell, and another plausible row comes out.
#
# ## What may stand in the files
#
# Nine files: five of play and votes without a header line, and four *beach plots* with one. What
# would a careful person check before believing a row? That a contribution is a whole number of
# coins and not more than the endowment; that the mechanism's code is one that somebody has
# explained (5 is not); that the head is player 0.

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


# %% [markdown]
# The files spell `True` and `False` out. Participants have floating-point numbers for names, and
# the same number again is the same person coming back. `vote` is empty for whoever did not vote. It
# is the only column that may have gaps, but for one corner of the beach plots: where nobody
# contributes there is no fund, and a share of nothing is not a number.

# %%
#| export
def _columns_of_play() -> dict[str, schema.Column]:
    "Describe the columns of the files of play and of players."
    codes = ", ".join(f"{code} {name}" for name, code in MECHANISM_CODES.items())
    known = lambda x: x.isin(list(MECHANISM_CODES.values()))
    code = schema.Column(f"a known mechanism code ({codes})", known, int)
    vote = "1 (for the agent), 0 or nothing"
    person = lambda x: (x >= 0) & np.isfinite(x)
    return {
        "participant_id": schema.Column("a participant's number", person),
        "player_id": data.TABLE.columns["player"],
        "contribution": data.TABLE.columns["contribution"],
        "endowment": data.TABLE.columns["endowment"],
        "session": data.TABLE.columns["session"],
        "timestep": schema.whole_number("a round", 0, 9),
        "endowcond": schema.whole_number("the tail players' endowment", 1, 10),
        "mechanism_code": code,
        "baseline": code,
        "head": schema.FLAG,
        "rel_contribution": schema.number("a fraction", 0, 1),
        "vote": schema.Column(vote, lambda x: x.isin([0, 1]), missing=True),
        "payout": data.TABLE.columns["payout"],
        "real": schema.FLAG,
        "vote_cast": schema.FLAG,
        "vote_for_agent": schema.FLAG,
    }


# %% [markdown]
# Columns of one row must agree, too. Player 0 is the head and has 10 coins, and the others have
# what `endowcond` says.

# %%
#| export
def _rules_of_play(
    columns: tuple[str, ...],  # of the file
) -> tuple[schema.Rule, ...]:
    "Say how the columns of a file of play, or of players, must agree."
    problem = "the head must be player 0, and {head} is said of player {player_id}"
    head = schema.Rule("head", lambda x: x["head"] == (x.player_id == 0), problem)
    endowment = data.evaluation_endowment("player_id", "endowcond")
    rules = data.within_endowment(), head, endowment
    return tuple(rule for rule in rules if rule.column in columns)


# %% [markdown]
# A file is then a list of columns in a fixed order. Mind the trap: the three files of play have
# nearly, but not quite, the same order. In that of Experiments 2 and 3 the participant comes
# seventh. Read with the wrong list, it would give a table full of plausible small numbers under the
# wrong names.

# %%
#| export
def _form_of_play(
    columns: str,  # names, with spaces between them
) -> schema.Form:
    "Describe a file of play, or of players, which has no header."
    known = _columns_of_play()
    described = {name: known[name] for name in columns.split()}
    return schema.Form(described, _rules_of_play(tuple(described)))


# %% [markdown]
# A beach plot has four endowments, four contributions and four shares in a row. A share may be
# missing only where nobody contributes.

# %%
#| export
def _form_of_beach_plot() -> schema.Form:
    "Describe a beach plot: four endowments, contributions and shares in a row."
    coins = {name: data.TABLE.columns[name] for name in ("endowment", "contribution")}
    share = schema.number("a share of the fund", 0, 1, missing=True)
    kinds = coins | {"distribution": share}
    columns = {f"{name}_{i}": kind for name, kind in kinds.items() for i in range(4)}
    gave = "player 0 gave {contribution_0} coins and player 1 {contribution_1}"

    def known(share):
        nothing = lambda x: x.filter(like="contribution").sum(axis=1) == 0
        holds = lambda x: x[share].notna() | nothing(x)
        return schema.Rule(share, holds, f"no share (NaN) although {gave}")

    seats = [(f"contribution_{i}", f"endowment_{i}") for i in range(4)]
    within = (data.within_endowment(*pair) for pair in seats)
    rules = *within, *(known(f"distribution_{i}") for i in range(4))
    return schema.Form(columns, rules, header=True)


# %% [markdown]
# Nine forms, then.

# %%
#| export
_PLAY = (
    "participant_id player_id contribution endowment session timestep endowcond "
    "mechanism_code baseline head rel_contribution"
)
_PLAY_2 = (
    "player_id contribution endowment session timestep mechanism_code participant_id "
    "endowcond baseline head rel_contribution"
)
_PLAYER = (
    "endowcond player_id baseline real endowment vote_cast participant_id "
    "vote_for_agent"
)

FORMS = {
    "data_exp1.csv": _form_of_play(f"{_PLAY} payout"),
    "data_exp2.csv": _form_of_play(f"{_PLAY_2} vote payout"),
    "players_exp2.csv": _form_of_play(_PLAYER),
    "data_exp4.csv": _form_of_play(f"{_PLAY} vote payout"),
    "players_exp4.csv": _form_of_play(_PLAYER),
    "beachplot_hcrm.csv": _form_of_beach_plot(),
    "beachplot_liberal_egalitarian.csv": _form_of_beach_plot(),
    "beachplot_libertarian.csv": _form_of_beach_plot(),
    "beachplot_rational_mechanism.csv": _form_of_beach_plot(),
}

# %% [markdown]
# Before reading a single row, do the numbers of rows make sense? A session has 34 rounds, so a
# player should leave 34 rows behind; or 54, where a session had four blocks under a referee instead
# of two. The tables of players say how many took part, and for Experiment 1 the paper does: 756.

# %%
#| export
N_ROWS = {  # of the originals, where that is known
    "data_exp1.csv": 41_860,
    "data_exp2.csv": 140_700,
    "players_exp2.csv": 4_020,
    "data_exp4.csv": 11_696,
    "players_exp4.csv": 344,
}

# %%
took_part = {"data_exp1.csv": 756, "data_exp2.csv": 4_020, "data_exp4.csv": 344}
for name, players in took_part.items():
    each = N_ROWS[name] / players
    print(f"{name}: {N_ROWS[name]:,} rows = {players:,} players x {each:.2f}")
assert N_ROWS["data_exp4.csv"] == 344 * 34
assert N_ROWS["data_exp2.csv"] == 4_020 * 35
assert N_ROWS["data_exp1.csv"] > 756 * 54

# %% [markdown]
# Experiment 4 comes out at 34. Experiments 2 and 3 come out at *thirty-five* rows a player, one
# round more than the paper says. And 756 players of Experiment 1 could not leave 41,860 rows behind
# even if all of them had sat through the longest session. Perhaps the bonus block had five rounds,
# perhaps the file knows more people than the paper; from here we cannot tell. A program that
# insisted on 34 rows would have refused the originals. So check what has been stated about a file,
# and be tolerant about the rest.
#
# ## The naive way: read_csv
#
# Here are three rounds of Bob's. In the second row, somebody's editor has deleted the contribution.

# %%
bobs_rounds = """\
17.0,1,2,2,1,0,2,2,3,False,1.0,3.2
17.0,1,2,1,1,2,2,3,False,0.5,1.6
17.0,1,2,2,1,2,2,2,3,False,1.0,3.2
"""
Path("data_exp1.csv").write_text(bobs_rounds)
naive = pd.read_csv("data_exp1.csv", names=FORMS["data_exp1.csv"].columns)
assert naive.payout.isna().sum() == 1 and naive.payout.mean() == 3.2, "a row is lost"
assert naive.mechanism_code.tolist() == [2, 3, 2]
naive[["contribution", "mechanism_code", "baseline", "head", "payout"]]


# %% [markdown]
# No complaint. Everything after the hole has moved one place to the left. A row that was played
# under libertarian now claims liberal egalitarian, its head is 0.5, and the mean payout of 3.2 is
# that of two rounds.
#
# ## Reading a file
#
# `schema.read` counts the cells before it interprets any, then holds each against its column and
# each row against the rules. The file's name says which form to expect. Files may have the authors'
# form without being the authors' (ours, written by stand-ins, or those of your class), so the
# number of rows is reported and not enforced.
#
# Not every vote counts: the voter must have been a real person and must have cast it. The paper's
# Figure 2 is made of those. If `players_exp2.csv` claims to be the original, adding up its votes
# must give the published counts exactly. No checksum was published, so that is the best proof of
# identity we have.

# %%
#| export
def count_votes(
    players: pd.DataFrame,  # players_exp2.csv or players_exp4.csv
) -> pd.DataFrame:  # rival, tail_endowment, votes_for_hcrm, votes_cast, rival_code
    "Count the votes of real players, by condition (Koster et al., Figure 2)."
    names = {code: name for name, code in MECHANISM_CODES.items()}
    counting = players[players.real & players.vote_cast]
    votes = counting.groupby(["baseline", "endowcond"]).vote_for_agent
    votes = votes.agg(["sum", "size"]).astype(int).reset_index()
    votes.columns = ["rival_code", "tail_endowment", "votes_for_hcrm", "votes_cast"]
    order = ["rival", *votes.columns[1:], "rival_code"]
    return votes.assign(rival=votes.rival_code.map(names))[order]


# %% [markdown]
# The comparison ends in a sentence either way: nobody can tell a silent success from a check that
# was never made.

# %%
#| export
def compare_votes(
    players: pd.DataFrame,  # players_exp2.csv
) -> str:
    "Say whether the votes that count are the published ones (Koster et al., Figure 2)."
    here, printed = count_votes(players), published.read("fig2_votes")
    cell = ["rival", "tail_endowment"]
    both = printed.merge(here, "outer", cell, suffixes=("", "_here")).fillna(0)
    differs = both.votes_for_hcrm != both.votes_for_hcrm_here
    differs |= both.votes_cast != both.votes_cast_here
    said = "The votes that count"
    if not differs.any():
        return f"{said} equal the published ones in all {len(both)} cells."
    first = both[differs].iloc[0]
    return (
        f"{said} differ from the published ones in {differs.sum()} of {len(both)} "
        "cells, so this is not the original file: "
        f"{first.rival}, tail endowment {first.tail_endowment}: "
        f"{first.votes_for_hcrm_here:.0f} of {first.votes_cast_here:.0f} here, "
        f"{first.votes_for_hcrm:.0f} of {first.votes_cast:.0f} published."
    )


# %% [markdown]
# Both are part of reading.

# %%
#| export
def read(
    path: Path | str,  # its name must be one of FORMS
) -> pd.DataFrame:  # the index is the line in the file, from 1
    "Read a released file; raises DataError naming file, row and column of a fault."
    path = Path(path)
    if path.name not in FORMS:
        names = f"the released files are called {', '.join(FORMS)}"
        raise store.DataError(f"{path}: {names}; give the file back its name.")
    if not path.exists():
        remedy = "repeat `make data`, or put the file there by hand"
        raise store.DataError(f"{path}: there is no such file; {remedy}.")
    frame = schema.read(path, FORMS[path.name])
    if n_rows := N_ROWS.get(path.name):
        same = len(frame) == n_rows
        rest = ", as in the original" if same else f"; the original has {n_rows:,}"
        print(f"{path.name}: {len(frame):,} rows{rest}.")
    if path.name == "players_exp2.csv":
        print(compare_votes(frame))
    return frame


# %% [markdown]
# Bob's three rounds should now be refused, with the line to correct.

# %%
def refusal(path):
    with pytest.raises(store.DataError) as refused:
        read(path)
    return str(refused.value)


print(refusal("data_exp1.csv"))
fault = "data_exp1.csv, row 2, column 'payout': 11 values where 12 are needed"
assert fault in refusal("data_exp1.csv")

# %% [markdown]
# The row that `read_csv` swallowed is named, and with it what should have been there. Mend it, and
# break it in other ways: three coins out of two, a coin and a half, a word, a gap, a code that
# nobody has explained. Then come a head in the wrong seat, a payout that is not a number, and in
# the end an empty file. Eight ways to be wrong, and every error should say row 3, or row 1 where
# there is nothing at all.

# %%
good = bobs_rounds.splitlines()[0].split(",")
columns = list(FORMS["data_exp1.csv"].columns)
damages = {"contribution": ("3", "1.5", "two", ""), "mechanism_code": ("5",)}
damages |= {"head": ("True",), "payout": ("nan",)}
for column, values in damages.items():
    for value in values:
        broken = list(good)
        broken[columns.index(column)] = value
        lines = [",".join(cells) for cells in (good, good, broken)]
        Path("data_exp1.csv").write_text("\n".join(lines))
        message = refusal("data_exp1.csv")
        assert message.startswith(f"data_exp1.csv, row 3, column '{column}'")
        print(message)
Path("data_exp1.csv").write_text("")
assert "row 1" in refusal("data_exp1.csv")
print(refusal("data_exp1.csv"))


# %% [markdown]
# Does the comparison of votes say yes when it should? People we have none, but made-up players with
# exactly the published votes are easily written. In every cell there are as many as voted, and
# three more that must not be counted: one who did not vote and two bots. Then one of the real ones
# changes her vote.

# %%
def made_up_players(votes):
    lines = []
    for _, _, tail, yes, cast, code in votes.itertuples():
        for i in range(cast + 3):  # of the last three two are bots, one did not vote
            real, voted = i < cast or i == cast + 2, i < cast + 2
            vote = int(i < yes or (voted and i >= cast))
            row = [tail, i % 4, code, real, tail if i % 4 else 10, voted]
            row += [i / 10_000, vote]
            lines.append(",".join(map(str, row)))
    Path("players_exp2.csv").write_text("\n".join(lines))


votes = published.read("fig2_votes")
made_up_players(votes)
counted = count_votes(read("players_exp2.csv"))
counted = counted.sort_values(["rival_code", "tail_endowment"], ignore_index=True)
pd.testing.assert_frame_equal(counted, votes)
made_up_players(votes.assign(votes_for_hcrm=votes.votes_for_hcrm - (votes.index == 7)))
assert "differ" in compare_votes(read("players_exp2.csv"))

# %% [markdown]
# What did the people decide? One bar for each rival and tail endowment; above the dashed line HCRM
# won.

# %%
with figures.style():
    fig, ax = plt.subplots(figsize=(6.5, 2.6))
    for i, (_, cell) in enumerate(votes.groupby("rival", sort=False)):
        share = cell.votes_for_hcrm / cell.votes_cast
        error = np.sqrt(share * (1 - share) / cell.votes_cast)
        place = np.arange(5) + 6 * i
        ax.bar(place, share, color=figures.HEAD, yerr=error, ecolor="#999999")
    ax.axhline(0.5, color="black", lw=0.8, ls="--")
    rivals = [rival.replace("_", "\n") for rival in votes.rival.unique()]
    ax.set(xticks=np.arange(4) * 6 + 2, xticklabels=rivals)
    ax.set_ylabel("share of votes for HCRM")
    ax.set_xlabel("rival; five bars each: tails of 2, 4, 6, 8, 10 coins")
assert (votes.votes_for_hcrm > votes.votes_cast / 2).sum() == 18

# %% [markdown]
# These are counts of real people's votes. HCRM is ahead in eighteen of the twenty conditions. It is
# behind liberal egalitarian where the tails are poorest, and behind the rational mechanism where
# all have the same. (The error bars pretend that four people in one group vote independently. They
# do not; 11_statistics comes back to that.)
#
# ## Fetching the files
#
# Each file is first fetched under another name, then read with all the checks above, and only then
# given its own. What is already there is left alone. So an interrupted or garbled download is never
# mistaken for data, and repeating the command is always safe.

# %%
#| export
ADDRESS = "https://storage.googleapis.com/dm_hcmd_dai/"


def _fetch_one(
    address: str,
    waiting: Path,  # a folder for what has not been read yet
) -> Path:
    "Fetch one file and read it with all checks; raises OSError or DataError."
    import pooch  # with all that it brings along, and needed nowhere else

    pooch.get_logger().setLevel("ERROR")
    name, http = address.split("/")[-1], pooch.HTTPDownloader(timeout=30)
    arrived = pooch.retrieve(address, None, name, waiting, downloader=http)
    read(arrived)
    return Path(arrived)


# %% [markdown]
# Much can go wrong on the way: no network, no such file, a line that breaks, a login page instead
# of data. It all ends in the same place, one sentence with the command to repeat and the folder to
# fill by hand.

# %%
#| export
def fetch(
    folder: Path | str,  # made if it is not there
    *,
    address: str = ADDRESS,  # of the folder that has the files
) -> list[Path]:  # the files, in the order of FORMS
    "Fetch the files that a folder lacks; raises DataError when one cannot be had."
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FORMS:
        if (folder / name).exists():
            continue
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as waiting:
                os.replace(_fetch_one(address + name, Path(waiting)), folder / name)
        except (OSError, store.DataError) as error:  # a network's faults are OSErrors
            reason = type(error).__name__
            if isinstance(error, store.DataError):
                reason = str(error).replace(f"{waiting}{os.sep}", "").rstrip(".")
            problem = f"{name} could not be fetched from {address} ({reason})"
            remedy = "repeat `make data` when it can be reached, or put the files into"
            raise store.DataError(f"{problem}: {remedy} {folder}/ by hand.") from None
    return [folder / name for name in FORMS]


# %% [markdown]
# And without a network? Here is an address that nobody can reach. (Where this notebook was run, the
# real one cannot be reached either, and says the same.)

# %%
with pytest.raises(store.DataError) as refused:
    fetch("released", address="https://no-such-place.invalid/")
print(refused.value)
assert "make data" in str(refused.value) and "released/ by hand" in str(refused.value)
assert not list(Path("released").iterdir()), "nothing half-fetched is left"


# %% [markdown]
# ## Which of these are one group?
#
# One thing the files do not tell: who sat together. There is no group number. What we know is the
# order of the rows, and a way to check a guess: *a fund is always handed out whole*. So take the
# first player 0, the first player 1, 2 and 3 of a condition to be one group, the second ones
# another. Then in every round the four payouts must add up to 1.6 times the four contributions. If
# they do not, the rows were shuffled, and we refuse rather than invent groups.
#
# Whose answers are real is known per player and not per round. The table of players says so, under
# the same participant's number divided by 10,000. Participants may come back, so a number alone
# does not identify a session; the rival, the condition and the seat together with it do, nearly.
# Where somebody sat twice in the same place, once attentive and once not, neither counts as real.

# %%
#| export
def _is_real(
    frame: pd.DataFrame,  # of play
    players: pd.DataFrame | None,  # of this experiment; without it all are real
) -> np.ndarray:  # bool, one per row of play
    "Tell for every row of play whether its player is a real person."
    if players is None:
        return np.ones(len(frame), bool)
    who = ["person", "baseline", "endowcond", "player_id"]
    players = players.assign(person=(players.participant_id * 10_000).round())
    real = players.groupby(who).real.all().reset_index()
    rows = frame.assign(person=frame.participant_id.round())[who]
    return rows.merge(real, how="left", on=who).real.fillna(False).to_numpy(bool)


# %% [markdown]
# A bonus block has fewer than ten rounds and is left out.

# %%
#| export
def _gather_groups(
    frame: pd.DataFrame,  # of play, in the order of the file; more columns are kept
    players: pd.DataFrame | None,  # of this experiment
) -> dict[str, np.ndarray]:  # column -> [G, T, P], with `real` beside the file's
    "Gather rows into blocks of ten rounds; raises DataError when rows are out of step."
    n_rounds, n_players = game.Game.n_rounds, game.Game.n_players
    condition = ["baseline", "endowcond", "session", "mechanism_code"]
    turn = frame.groupby([*condition, "timestep", "player_id"]).cumcount()
    rows, group = frame.assign(turn=turn), [*condition, "turn"]
    rows["real"] = _is_real(frame, players)
    rows = rows[rows.groupby(group).turn.transform("size") == n_rounds * n_players]
    rows = rows.sort_values([*group, "timestep", "player_id"])
    fold = lambda column: column.to_numpy().reshape(-1, n_rounds, n_players)
    cube = {name: fold(column) for name, column in rows.items()}
    fund = game.Game.growth * cube["contribution"].sum(-1)
    gap = np.abs(cube["payout"].sum(-1) - fund).max(-1)
    if not len(gap) or gap.max() > 0.05:
        raise store.DataError(
            f"The rows cannot be gathered into groups: in {(gap > 0.05).sum()} of "
            f"{len(gap)} blocks the payouts are not 1.6 times the contributions; "
            "give them in the order of the original file."
        )
    return cube


# %% [markdown]
# From there to blocks of play is a matter of names. In the tutorial the mechanism's code is that of
# strict egalitarian; we keep the two apart.

# %%
#| export
def _blocks(
    cube: dict[str, np.ndarray],  # column -> [G, T, P]
) -> data.Plays:
    "Make a data set of blocks from gathered rows."
    names = "endowment", "contribution", "payout"
    coins = {name: jnp.asarray(cube[name], jnp.float32) for name in names}
    code = cube["mechanism_code"][:, 0, 0]
    refereed = 1 + np.searchsorted(list(MECHANISM_CODES.values()), code)
    session = cube["session"][:, 0, 0]
    return data.Plays(
        game.Block(coins["endowment"][:, 0], coins["contribution"], coins["payout"]),
        jnp.asarray(cube["real"].all(1), bool),
        jnp.asarray(session, jnp.int32),
        jnp.asarray(np.where(session == 0, 0, refereed), jnp.int32),
        ("tutorial", *MECHANISM_CODES),
    )


def to_plays(
    frame: pd.DataFrame,  # of play, in the order of the file
    players: pd.DataFrame | None = None,  # of this experiment; None: all are real
) -> data.Plays:
    "Read rows of play as a data set; raises DataError when rows are out of step."
    return _blocks(_gather_groups(frame, players))


# %% [markdown]
# Bots shall be our people. Their session, put into the form of `data_exp2.csv`, with a seat for
# everybody and a number for every person, should come back as the same blocks.

# %%
groups = jnp.tile(jnp.array([10.0, 2, 2, 2]), (12, 1))
rules = {"tutorial": game.equal_split, "hcrm": mechanisms.manifold(0.8, 0.9)}
rules |= {"liberal_egalitarian": mechanisms.liberal_egalitarian}
played = []
for session, (name, rule) in enumerate(rules.items()):
    block = game.play(jax.random.key(session), game.random_bots(), groups, rule)
    played.append(data.label_blocks(block, name, session=session))
played = data.concatenate(played)
long = data.plays_to_table(played).rename(columns={"player": "player_id"})
person = 4 * (long.group % 12) + long.player_id + 1.0
code = long.mechanism.map({"tutorial": 1, **MECHANISM_CODES})
rows = long.assign(participant_id=person, mechanism_code=code, endowcond=2, baseline=3)
rows = rows.assign(timestep=rows["round"] - 1, head=rows.player_id == 0)
rows["rel_contribution"] = rows.contribution / rows.endowment
rows["vote"] = (person % 2).where(rows.session > 0)
rows = rows.astype({"contribution": int, "endowment": int}).round({"payout": 3})
rows = rows[list(FORMS["data_exp2.csv"].columns)]
rows.to_csv("data_exp2.csv", header=False, index=False)
rows.tail(3)

# %%
bots = read("data_exp2.csv")
gathered = to_plays(bots)
assert bots.vote.isna().sum() == 12 * 40 and bots["head"].dtype == bool
assert jnp.array_equal(gathered.block.contribution, played.block.contribution)
assert [gathered.names[code] for code in gathered.mechanism[::12]] == list(rules)
with pytest.raises(store.DataError, match="cannot be gathered") as refused:
    to_plays(bots.sample(frac=1, random_state=0))
print(refused.value)

# %% [markdown]
# ## People's experiments
#
# An evaluation is two tables, `trials` and `votes` (14_experiments). Five of the files hold what
# they need, but for the seven answers, which were not released.

# %%
#| export
_FILES = {  # of play and of players, by experiment; Exp. 3 is in those of 2
    1: ("data_exp1.csv", None),
    2: ("data_exp2.csv", "players_exp2.csv"),
    4: ("data_exp4.csv", "players_exp4.csv"),
}


def experiment_files(
    folder: Path | str,
) -> list[Path]:
    "List the five files that people's experiments consist of."
    return [Path(folder) / name for names in _FILES.values() for name in names if name]


# %% [markdown]
# Two steps are left. Which blocks one group played is told by who sat there, four participants'
# numbers.

# %%
#| export
def _number_groups(
    cube: dict[str, np.ndarray],  # column -> [blocks, T, P], with `line`
    number: int,  # of the experiment, as in _FILES
) -> pd.DataFrame:  # experiment, group, rival, tail_endowment; one row per block
    "Number groups by their order in the file; the same four people are one group."
    at = lambda name: cube[name][:, 0, 0]
    names = {code: name for name, code in MECHANISM_CODES.items()}
    blocks = pd.DataFrame({"rival": [names[code] for code in at("baseline")]})
    blocks["tail_endowment"], blocks["line"] = at("endowcond"), cube["line"].min((1, 2))
    blocks["people"] = [tuple(four) for four in cube["participant_id"][:, 0]]
    blocks.insert(0, "experiment", np.where(blocks.rival == "rational", 3, number))
    who = ["experiment", "rival", "tail_endowment", "people"]
    groups = blocks.groupby(who, as_index=False).line.min().sort_values("line")
    groups["group"] = groups.groupby("experiment").cumcount()
    return blocks.merge(groups[[*who, "group"]], how="left", on=who)


# %% [markdown]
# And the vote stands in every row of play. It counts if the table of players says that the person
# was real and cast it.

# %%
#| export
def _votes(
    cube: dict[str, np.ndarray],  # column -> [blocks, T, P], with `vote`
    blocks: pd.DataFrame,  # as `_number_groups`
) -> pd.DataFrame:  # as `experiments.collect_votes`; answers are missing
    "Take every player's vote from the rows of play, where it is repeated."
    n_players = game.Game.n_players
    rows = blocks.loc[blocks.index.repeat(n_players)].drop(columns=["line", "people"])
    rows = rows.reset_index(drop=True)
    agent = cube["mechanism_code"][:, 0, 0] == MECHANISM_CODES[experiments.AGENT]
    first = (cube["session"][:, 0, 0] == 1) & agent
    rows["player"] = np.tile(np.arange(n_players), len(blocks))
    rows["agent_first"] = np.repeat(first, n_players)
    rows["vote"] = np.fmax.reduce(cube["vote"], axis=1).ravel()
    seat = ["experiment", "group", "rival", "tail_endowment", "player"]
    votes = rows.groupby(seat, as_index=False)[["agent_first", "vote"]].max()
    return votes.assign(**dict.fromkeys(experiments.QUESTIONS, np.nan), source="people")


# %% [markdown]
# Every file is read with all checks, gathered and numbered, and the tables are checked once more as
# those of stand-ins are.

# %%
#| export
def _read_experiment(
    folder: Path,
    number: int,  # of the experiment, as in _FILES
) -> tuple[pd.DataFrame, pd.DataFrame | None]:  # trials, votes
    "Read the files of one experiment, of Exp. 2 and 3 together."
    play, who = _FILES[number]
    frame, players = read(folder / play), read(folder / who) if who else None
    vote = np.nan
    if players is not None:
        cast = players.assign(real=players.real & players.vote_cast)
        vote = frame.vote.where(_is_real(frame, cast))
    cube = _gather_groups(frame.assign(line=frame.index, vote=vote), players)
    blocks = _number_groups(cube, number)
    trials = experiments.trial_table(_blocks(cube), blocks, source="people")
    return trials, _votes(cube, blocks) if number > 1 else None


def read_experiments(
    folder: Path | str,  # with the five files
) -> tuple[pd.DataFrame, pd.DataFrame]:  # trials, votes
    "Read people's tables; raises DataError naming file, row and column of a fault."
    tables = [_read_experiment(Path(folder), number) for number in _FILES]
    trials, votes = zip(*tables, strict=True)
    seat = ["experiment", "group", "player"]
    trials = pd.concat(trials).sort_values(experiments.ROW_KEY, ignore_index=True)
    votes = pd.concat(votes).sort_values(seat, ignore_index=True)
    return experiments.validate(trials, votes)


# %% [markdown]
# No such file can be fetched where this was written. So reading is tested with files that stand-ins
# have written in the same form, with all its quirks: no header, `True` and `False`, empty votes,
# the vote repeated in every row. People are floating-point numbers, divided by ten thousand in the
# tables of players.

# %%
#| export
def _rows_of_play(
    trials: pd.DataFrame,
    votes: pd.DataFrame,
) -> pd.DataFrame:  # like `trials`, with all columns of the files
    "Give every round of a player the columns of the authors' files."
    seat = ["experiment", "group", "player"]
    rows = trials.merge(votes[[*seat, "vote"]], how="left", on=seat)
    rows = rows.sort_values(experiments.ROW_KEY, ignore_index=True)
    mechanism = rows.mechanism.replace("tutorial", participants.TUTORIAL)
    return rows.assign(
        participant_id=1.0 + rows.groupby(seat).ngroup(),
        player_id=rows.player,
        timestep=rows["round"] - 1,
        endowcond=rows.tail_endowment,
        mechanism_code=mechanism.map(MECHANISM_CODES),
        baseline=rows.rival.map(MECHANISM_CODES),
        head=rows.player == 0,
        rel_contribution=rows.contribution / rows.endowment,
        real=rows.groupby(seat).answered.transform("all"),
        vote_cast=rows.vote.notna(),
        vote_for_agent=rows.vote.fillna(0).astype(int),
        vote=rows.vote.where(rows.session > 0),
    )


# %% [markdown]
# The table of players has one row for each person.

# %%
#| export
def write_experiments(
    folder: Path | str,
    trials: pd.DataFrame,
    votes: pd.DataFrame,
) -> None:
    "Write tables in the form of the authors' five files, without the bonus blocks."
    rows = _rows_of_play(trials, votes)
    for number, (play, who) in _FILES.items():
        mine = rows[rows.experiment.replace(3, 2) == number]
        players = mine.drop_duplicates(["experiment", "group", "player"])
        players = players.assign(participant_id=players.participant_id / 10_000)
        for name, table in ((play, mine), (who, players)):
            if name:
                with store.atomic_write(Path(folder) / name) as temporary:
                    columns = list(FORMS[name].columns)
                    table[columns].to_csv(temporary, header=False, index=False)


# %% [markdown]
# Fifty-seven groups of stand-ins play, with two points of the manifold in the place of what a run
# learns. There and back, everything should be as before, but for the answers and one thing: the
# files say of a *person* whether they stayed to the end, not of a block.

# %%
hcrm, rational = mechanisms.manifold(0.8, 0.9), mechanisms.manifold(0.9, 0.3)
few = experiments.plan(fraction=0.03)
population = participants.calibrated()
key = jax.random.key(3)
trials, votes = experiments.run(key, population, hcrm, rational, groups=few)
write_experiments("people", trials, votes)
again_trials, again_votes = read_experiments("people")
stayed = trials.groupby(["experiment", "group", "player"]).answered.transform("all")
unanswered = dict.fromkeys(experiments.QUESTIONS, np.nan)
trials = trials.assign(answered=stayed, source="people")
votes = votes.assign(**unanswered, source="people")
votes = votes.drop(columns=list(experiments.OTHER_VOTERS))  # no person votes again
pd.testing.assert_frame_equal(again_trials, trials)
pd.testing.assert_frame_equal(again_votes, votes)
for path in experiment_files("people"):
    print(path.read_text().splitlines()[-1])
experiments.count_votes(again_trials, again_votes).round(3)

# %% [markdown]
# (The lines above that speak of the original compare these files with the authors' and find that
# they are not: nobody should take one for the other.)
#
# A broken row is refused by name.

# %%
path = Path("people/data_exp4.csv")
lines = path.read_text().splitlines()
lines[99] = lines[99].replace("True", "Tru").replace("False", "Flase")
path.write_text("\n".join(lines))
with pytest.raises(store.DataError, match="row 100, column 'head'") as refused:
    read_experiments("people")
print(refused.value)

# %% [markdown]
# ## Recap
#
# `FORMS` says what the nine files look like, `N_ROWS` how long they are, `MECHANISM_CODES` what
# their codes mean. `fetch` fetches them from `ADDRESS`, `read` reads one, and `to_plays` makes
# blocks of it. `count_votes` and `compare_votes` hold the votes against the published ones.
# `read_experiments` makes `trials` and `votes` of the five `experiment_files`; `write_experiments`
# writes files of that form.
#
# Questions to take along: which errors in a file could none of these checks ever notice? If
# participants come back, are two of their votes two pieces of evidence or one?
#
# **Exercise.** Swap the contributions of two heads of *different* groups in one round of a released
# file. Which check notices?
#
# <details><summary>Solution</summary>
#
# No column and no row is wrong. Only the fund gives it away: the payouts of both groups no longer
# add up.

# %%
swapped = bots.copy()
first, other = 40 * 12, 40 * 13  # in their first round under a referee
place = swapped.columns.get_loc("contribution")
swapped.iloc[[first, other], place] = swapped.iloc[[other, first], place].to_numpy()
schema.check_rows("data_exp2.csv", swapped, FORMS["data_exp2.csv"].rules)
with pytest.raises(store.DataError, match="2 of 36 blocks") as refused:
    to_plays(swapped)
print(refused.value)

# %% [markdown]
# </details>

# %%
#| hide
os.chdir(home)
workshop.cleanup()
