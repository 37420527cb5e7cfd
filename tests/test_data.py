"""Files in and out: the authors' form with all its quirks, every kind of damage, and what a run writes."""

import http.server
import json
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import data, game, mechanisms
from democratic_ai.engine import published, runs, store

few = settings(max_examples=15, deadline=None)
REFEREES = {
    1: game.equal_split,
    2: mechanisms.libertarian,
    3: mechanisms.liberal_egalitarian,
    4: mechanisms.manifold(0.7, 0.9),
    6: mechanisms.manifold(0.2, 1.0),
    7: mechanisms.manifold(0.9, 0.3),
}


@pytest.fixture(scope="session")
def blocks():
    "Bots under every referee and tail endowment, five groups each: arrays [5, 10, 4]."
    tails = (2, 4, 6, 8, 10)
    endowment = jnp.repeat(mechanisms.head_and_tails(jnp.array(tails, float)), 5, axis=0)
    play_all = jax.jit(lambda: {code: game.play(jax.random.key(code), game.random_bots(), endowment, REFEREES[code]) for code in REFEREES})
    played = jax.tree.map(np.asarray, play_all())
    return {(code, tail): jax.tree.map(lambda x, i=i: x[5 * i :][:5], played[code]) for code in REFEREES for i, tail in enumerate(tails)}


def session_rows(blocks, *, rival, agent, tail, first_person, n_blocks=2, n_bonus=4):
    "One sitting of five groups as the authors' rows: tutorial, blocks under referees in turn, bonus."
    rows = []
    codes = [1] + [agent, rival] * (n_blocks // 2) + [agent]
    for group in range(5):
        for session, code in enumerate(codes):
            block = blocks[code, tail]
            last = session == len(codes) - 1
            for timestep in range(n_bonus if last else 10):
                for seat in range(4):
                    coins, own = int(block.contribution[group, timestep, seat]), int(block.endowment[group, seat])
                    person = float(first_person + 4 * group + seat)
                    vote = "" if session == 0 or seat == 3 else str((group + seat) % 2)
                    rows.append(
                        {
                            "participant_id": person,
                            "player_id": seat,
                            "contribution": coins,
                            "endowment": own,
                            "session": session,
                            "timestep": timestep,
                        }
                        | {
                            "endowcond": tail,
                            "mechanism_code": code,
                            "baseline": rival,
                            "head": seat == 0,
                            "rel_contribution": round(coins / own, 4),
                        }
                        | {"vote": vote, "payout": round(float(block.payout[group, timestep, seat]), 3)}
                    )
    return rows


def players_rows(n=97):
    "Players of all rivals and tails, some of them bots, some without a vote; ids divided by 10,000, some people twice."
    random = np.random.default_rng(0)
    rows = []
    for rival in (1, 2, 3, 6):
        for tail in (2, 4, 6, 8, 10):
            for i in range(n):
                seat, real, cast = i % 4, bool(random.random() < 0.9), bool(random.random() < 0.8)
                rows.append(
                    {"endowcond": float(tail), "player_id": seat, "baseline": rival, "real": real, "endowment": tail if seat else 10}
                    | {"vote_cast": cast, "participant_id": (i % 60 + 1) / 10_000, "vote_for_agent": int(cast and random.random() < 0.55)}
                )
    return rows


def beach_rows(code):
    "Every head contribution against a few tails' ones; where nobody contributes the share is not a number."
    contribution = np.array([(h, a, b, 2) for h in range(11) for a in range(3) for b in range(3)] + [(0, 0, 0, 0)], np.float32)
    endowment = np.tile(np.array([10, 2, 2, 2], np.float32), (len(contribution), 1))
    share = np.array(REFEREES[code](endowment, contribution))
    share[-1] = np.nan
    wide = np.concatenate([endowment, contribution, share], axis=1)
    return [dict(zip(data.BEACH, row)) for row in wide]


@pytest.fixture(scope="session")
def originals(blocks):
    "Name -> table of text, in the authors' form: float ids, repeated people, True/False, empty votes, five sessions, tutorials."
    twice = {"rival": 2, "agent": 4, "tail": 4, "first_person": 11}
    one = session_rows(blocks, rival=3, agent=4, tail=2, first_person=1, n_bonus=5) + session_rows(blocks, **twice, n_blocks=4, n_bonus=5)
    two = [
        row
        for rival in (1, 2, 3, 6)
        for tail in (2, 10)
        for row in session_rows(blocks, rival=rival, agent=4, tail=tail, first_person=rival)
    ]
    four = session_rows(blocks, rival=7, agent=4, tail=4, first_person=100)
    rows = {"data_exp1.csv": one, "data_exp2.csv": two, "data_exp4.csv": four}
    rows |= {"players_exp2.csv": players_rows(), "players_exp4.csv": players_rows(9)}
    beaches = {"hcrm": 4, "liberal_egalitarian": 3, "libertarian": 2, "rational_mechanism": 6}
    rows |= {f"beachplot_{name}.csv": beach_rows(code) for name, code in beaches.items()}
    return {name: pd.DataFrame(table)[list(data.RELEASED[name].columns)] for name, table in rows.items()}


def write(folder, name, table):
    path = Path(folder) / name
    table.to_csv(path, header=data.RELEASED[name].header, index=False)
    return path


def refusal(read, *arguments, **keywords):
    with pytest.raises(store.DataError) as refused:
        read(*arguments, **keywords)
    message = str(refused.value)
    assert "\n" not in message
    return message


# --- the authors' files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data.RELEASED)
def test_a_released_file_is_read_as_pandas_would(tmp_path, originals, name):
    form = data.RELEASED[name]
    path = write(tmp_path, name, originals[name])
    ours = data.read_released(path)
    theirs = pd.read_csv(path, names=None if form.header else form.columns)
    assert list(ours.index) == list(range(1 + form.header, 1 + form.header + len(theirs))), "the index is the line of the file"
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs[list(form.columns)], check_dtype=False)
    for column in ours:
        assert ours[column].dtype == np.dtype(data.SCHEMA[column].kind)


def test_all_nine_files_are_known_with_their_columns():
    assert sorted(data.RELEASED) == sorted(
        ["data_exp1.csv", "data_exp2.csv", "data_exp4.csv", "players_exp2.csv", "players_exp4.csv"]
        + [f"beachplot_{name}.csv" for name in ("hcrm", "liberal_egalitarian", "libertarian", "rational_mechanism")]
    )
    exp1 = (
        "participant_id, player_id, contribution, endowment, session, timestep, endowcond, mechanism_code, baseline, head, rel_contribution"
    )
    exp2 = (
        "player_id, contribution, endowment, session, timestep, mechanism_code, participant_id, endowcond, baseline, head, rel_contribution"
    )
    players = "endowcond, player_id, baseline, real, endowment, vote_cast, participant_id, vote_for_agent"
    expected = {"data_exp1.csv": exp1 + ", payout", "data_exp2.csv": exp2 + ", vote, payout", "data_exp4.csv": exp1 + ", vote, payout"}
    expected |= {"players_exp2.csv": players, "players_exp4.csv": players}
    assert {name: ", ".join(data.RELEASED[name].columns) for name in expected} == expected
    assert [data.RELEASED[name].n_rows for name in sorted(expected)] == [41_860, 140_700, 11_696, 4_020, 344]


def test_quirks_are_not_faults(tmp_path, originals):
    one = originals["data_exp1.csv"]
    assert one.session.max() == 5 and one.participant_id.dtype == float and one.duplicated(["participant_id", "session", "timestep"]).any()
    table = originals["data_exp2.csv"].astype(str)
    table["head"], table["vote"] = table["head"].str.upper(), table.vote.replace({"": "NaN", "1": "1.0"})
    table["contribution"] += ".0"
    read = data.read_released(write(tmp_path, "data_exp2.csv", table))
    assert read.vote.isna().any() and read["head"].dtype == bool and read.contribution.dtype == int
    path = tmp_path / "players_exp4.csv"
    text = originals["players_exp4.csv"].to_csv(header=False, index=False)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert len(data.read_released(path)) == 180, "a byte-order mark, Windows line ends and blank lines do no harm"


DAMAGES = {
    "above the endowment": ("contribution", "11"),
    "a fraction of a coin": ("contribution", "1.5"),
    "unknown code": ("mechanism_code", "5"),
    "unknown rival": ("baseline", "9"),
    "no such session": ("session", "6"),
    "no such round": ("timestep", "10"),
    "NaN contribution": ("contribution", "nan"),
    "empty payout": ("payout", ""),
    "NaN participant": ("participant_id", "NaN"),
    "negative": ("contribution", "-1"),
    "infinite": ("payout", "inf"),
    "words": ("endowment", "ten"),
    "a flag that is none": ("head", "maybe"),
    "True for a coin": ("contribution", "True"),
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", ["data_exp1.csv", "data_exp2.csv", "data_exp4.csv"])
def test_a_damaged_cell_is_named_by_file_row_and_column(tmp_path, originals, name, kind):
    column, value = DAMAGES[kind]
    table = originals[name].astype(object)
    table.loc[41, column] = value
    assert f"{name}, row 42, column {column!r}" in refusal(data.read_released, write(tmp_path, name, table))


@pytest.mark.parametrize("name", ["data_exp1.csv", "data_exp2.csv", "data_exp4.csv"])
def test_more_than_the_endowment_is_refused_although_ten_coins_exist(tmp_path, originals, name):
    table = originals[name].copy()
    row = table.index[(table.endowment < 10)][7]
    table.loc[row, "contribution"] = table.loc[row, "endowment"] + 1
    message = refusal(data.read_released, write(tmp_path, name, table))
    assert f"{name}, row {row + 1}, column 'contribution'" in message and "more than the endowment" in message


@pytest.mark.parametrize("name", ["data_exp1.csv", "data_exp2.csv", "data_exp4.csv"])
def test_the_head_must_be_player_0(tmp_path, originals, name):
    table = originals[name].copy()
    table.loc[[60, 62], "head"] = [False, True]
    assert f"{name}, row 61, column 'head'" in refusal(data.read_released, write(tmp_path, name, table))
    table = originals[name].copy()
    table["player_id"] = table.player_id.map({0: 2, 2: 0, 1: 1, 3: 3})
    assert f"{name}, row 1, column 'head'" in refusal(data.read_released, write(tmp_path, name, table))


def test_in_tables_of_players_the_head_has_ten_coins(tmp_path, originals):
    table = originals["players_exp2.csv"].copy()
    table.loc[8, "endowment"] = 2
    assert "players_exp2.csv, row 9, column 'endowment'" in refusal(data.read_released, write(tmp_path, "players_exp2.csv", table))


@pytest.mark.parametrize("name", data.RELEASED)
def test_a_missing_column_is_named(tmp_path, originals, name):
    column = data.RELEASED[name].columns[-1]
    message = refusal(data.read_released, write(tmp_path, name, originals[name].drop(columns=column)))
    assert f"{name}, row 1, column {column!r}" in message
    message = refusal(data.read_released, write(tmp_path, name, originals[name].drop(columns=data.RELEASED[name].columns[3])))
    assert f"{name}, row 1, column" in message and data.RELEASED[name].columns[3] in message


@pytest.mark.parametrize("name", data.RELEASED)
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00\x80"])
def test_an_empty_or_binary_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    message = refusal(data.read_released, tmp_path / name)
    assert name in message and ("row 1, column" in message or "CSV text" in message)


def test_a_file_with_only_a_header_is_empty(tmp_path, originals):
    message = refusal(data.read_released, write(tmp_path, "beachplot_hcrm.csv", originals["beachplot_hcrm.csv"][:0]))
    assert "beachplot_hcrm.csv, row 2, column 'endowment_0'" in message


@pytest.mark.parametrize("change", ["longer", "shorter"])
def test_one_row_of_another_length_is_refused_where_pandas_is_silent(tmp_path, originals, change):
    path = write(tmp_path, "data_exp1.csv", originals["data_exp1.csv"])
    lines = path.read_text().splitlines()
    lines[9] = lines[9] + ",1" if change == "longer" else lines[9].split(",", 1)[1]
    path.write_text("\n".join(lines))
    assert "data_exp1.csv, row 10, column 'payout'" in refusal(data.read_released, path)
    if change == "shorter":
        assert len(pd.read_csv(path, names=data.RELEASED["data_exp1.csv"].columns)) == len(lines)


def test_beach_plots_may_have_no_share_only_where_nobody_contributes(tmp_path, originals):
    table = originals["beachplot_libertarian.csv"].copy()
    table.loc[3, "distribution_1"] = np.nan
    message = refusal(data.read_released, write(tmp_path, "beachplot_libertarian.csv", table))
    assert "beachplot_libertarian.csv, row 5, column 'distribution_1'" in message
    table = originals["beachplot_libertarian.csv"].copy()
    table.insert(0, "", range(len(table)))
    assert len(data.read_released(write(tmp_path, "beachplot_libertarian.csv", table))) == len(table), "further columns do no harm"


@few
@given(st.data())
def test_any_wild_number_anywhere_is_found(tmp_path_factory, originals, draw):
    name = draw.draw(st.sampled_from(sorted(data.RELEASED)))
    table = originals[name].iloc[:80].astype(object)
    row, column = draw.draw(st.integers(0, len(table) - 1)), draw.draw(st.sampled_from(list(table)))
    table.iloc[row, table.columns.get_loc(column)] = draw.draw(st.sampled_from(["-3", "x", "-0.5", "-inf"]))
    path = write(tmp_path_factory.mktemp("wild"), name, table)
    assert f"{name}, row {row + 1 + data.RELEASED[name].header}, column {column!r}" in refusal(data.read_released, path)


def test_a_file_of_another_name_or_none_is_refused(tmp_path):
    assert "players_exp2.csv" in refusal(data.read_released, tmp_path / "votes.csv")
    message = refusal(data.read_released, tmp_path / "data_exp1.csv")
    assert "make data" in message and "data_exp1.csv" in message


# --- votes --------------------------------------------------------------------------------------------------------


def test_votes_are_counted_as_by_hand(tmp_path, originals, capsys):
    players = data.read_released(write(tmp_path, "players_exp2.csv", originals["players_exp2.csv"]))
    assert "differ from the published ones in 20 of 20 cells" in capsys.readouterr().out
    by_hand = {}
    for row in originals["players_exp2.csv"].itertuples():
        if row.real and row.vote_cast:
            yes, cast = by_hand.get((row.baseline, row.endowcond), (0, 0))
            by_hand[row.baseline, row.endowcond] = yes + row.vote_for_agent, cast + 1
    counted = data.counted_votes(players)
    assert {(r.rival_code, r.tail_endowment): (r.votes_for_hcrm, r.votes_cast) for r in counted.itertuples()} == by_hand
    assert list(counted) == list(published.read("fig2_votes"))


def test_the_check_knows_the_published_votes(tmp_path, capsys):
    votes = published.read("fig2_votes")
    rows = [
        {
            "endowcond": v.tail_endowment,
            "player_id": 1,
            "baseline": v.rival_code,
            "real": True,
            "endowment": v.tail_endowment,
            "vote_cast": True,
        }
        | {"participant_id": i / 1e4, "vote_for_agent": int(i < v.votes_for_hcrm)}
        for v in votes.itertuples()
        for i in range(v.votes_cast)
    ]
    players = data.read_released(write(tmp_path, "players_exp2.csv", pd.DataFrame(rows)))
    assert "equal the published ones in all 20 cells." in capsys.readouterr().out
    assert (data.counted_votes(players).to_numpy() == votes.to_numpy()).all()
    players.loc[players.index[-1], "vote_for_agent"] = True
    said = data.check_counted_votes(players)
    assert "differ" in said and "1 of 20" in said and "rational, tail endowment 10: 72 of 148 here, 71 of 148 published" in said
    without = players[players.endowcond.ne(10) | players.baseline.ne(6)]
    assert "rational, tail endowment 10: 0 of 0 here, 71 of 148 published" in data.check_counted_votes(without)


# --- blocks of play -----------------------------------------------------------------------------------------------


def test_released_rows_become_the_blocks_they_came_from(tmp_path, originals, blocks):
    plays = data.released_to_plays(data.read_released(write(tmp_path, "data_exp2.csv", originals["data_exp2.csv"])))
    assert len(plays) == 8 * 5 * 3, "eight conditions, five groups, three full blocks; bonus blocks are left out"
    assert set(np.asarray(plays.session)) == {0, 1, 2} and plays.answered.all()
    for i, name in enumerate(plays.names):
        here = np.asarray(plays.mechanism) == i
        if name == "tutorial":
            assert (np.asarray(plays.session)[here] == 0).all()
            continue
        for tail in (2, 10):
            ours = here & (np.asarray(plays.block.endowment)[:, 1] == tail)
            expected = blocks[data.MECHANISM_CODES[name], tail].contribution
            found = np.asarray(plays.block.contribution)[ours]
            assert {x.tobytes() for x in found} <= {x.tobytes() for x in expected.astype(np.float32)}


def test_five_sessions_give_five_blocks(tmp_path, originals):
    plays = data.released_to_plays(data.read_released(write(tmp_path, "data_exp1.csv", originals["data_exp1.csv"])))
    assert len(plays) == 5 * 3 + 5 * 5 and plays.session.max() == 4


def test_rows_out_of_step_are_refused(tmp_path, originals):
    frame = data.read_released(write(tmp_path, "data_exp2.csv", originals["data_exp2.csv"]))
    assert "groups" in refusal(data.released_to_plays, frame.sample(frac=1, random_state=1))
    assert "groups" in refusal(data.released_to_plays, frame[frame.timestep < 9])


def test_players_say_who_answered(tmp_path, originals):
    frame = data.read_released(write(tmp_path, "data_exp4.csv", originals["data_exp4.csv"]))
    people = frame.drop_duplicates("participant_id")
    rows = people[["endowcond", "player_id", "baseline"]].assign(
        real=people.participant_id != 106,
        endowment=people.endowment,
        vote_cast=True,
        participant_id=people.participant_id / 10_000,
        vote_for_agent=0,
    )
    players = data.read_released(write(tmp_path, "players_exp4.csv", rows))
    answered = np.asarray(data.released_to_plays(frame, players).answered)
    assert (~answered).sum() == 3 and answered[:, [0, 1, 3]].all(), "person 106 sits at seat 2 and plays three blocks"


def some_plays(n_groups, n_rounds, seed, names=("a", "b", "c")):
    random = np.random.default_rng(seed)
    coins = lambda *shape: jnp.asarray(random.integers(0, 11, shape), jnp.float32)
    block = game.Block(coins(n_groups, 4) + 1, coins(n_groups, n_rounds, 4), coins(n_groups, n_rounds, 4) / 3)
    answered = jnp.asarray(random.random((n_groups, 4)) < 0.8)
    integers = lambda high: jnp.asarray(random.integers(0, high, n_groups), jnp.int32)
    return data.Plays(block, answered, integers(3), integers(len(names)), names)


def same(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()) and x.dtype == y.dtype and x.shape == y.shape, a, b))


def called(plays):
    return [plays.names[code] for code in np.asarray(plays.mechanism)]


@few
@given(st.sampled_from([1, 6]), st.sampled_from([1, 4, 10]), st.integers(0, 999), st.sampled_from([".csv", ".parquet"]))
def test_plays_survive_the_table_in_any_order(tmp_path_factory, n_groups, n_rounds, seed, suffix):
    plays = some_plays(n_groups, n_rounds, seed)
    table = data.plays_to_table(plays)
    assert len(table) == n_groups * n_rounds * 4 and table["round"].min() == 1
    path = tmp_path_factory.mktemp("plays") / f"plays{suffix}"
    store.write_table(path, table)
    frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    again = data.plays_from_table(frame.sample(frac=1, random_state=seed))
    assert called(again) == called(plays)
    for field in ("block", "answered", "session"):
        assert same(getattr(again, field), getattr(plays, field))


@few
@given(st.integers(0, 99), st.integers(0, 99))
def test_join_keeps_every_block_and_its_name(seed, other):
    first, second = some_plays(3, 5, seed), some_plays(4, 5, other, names=("c", "d"))
    joined = data.concatenate([first, second])
    assert joined.names == ("a", "b", "c", "d") and called(joined) == called(first) + called(second)
    assert same(jax.tree.map(lambda leaf: leaf[3:], joined).block, second.block)
    assert same(data.concatenate([data.concatenate([first, second]), first]), data.concatenate([first, data.concatenate([second, first])])), "joining is associative"
    assert "(5, 4)" in refusal(data.concatenate, [first, some_plays(2, 6, seed)])


def test_join_of_nothing_is_refused():
    refusal(data.concatenate, [])


def test_plays_pass_through_jit_with_their_names():
    plays = some_plays(5, 10, 0)
    shuffled = jax.jit(lambda p: jax.tree.map(lambda leaf: leaf[::-1], p))(plays)
    assert shuffled.names == plays.names and called(shuffled) == called(plays)[::-1] and len(shuffled) == 5


def test_a_table_that_does_not_fold_is_refused():
    table = data.plays_to_table(some_plays(3, 10, 0))
    assert "119 rows" in refusal(data.plays_from_table, table[:-1])
    assert "payout" in refusal(data.plays_from_table, table.drop(columns="payout"))
    refusal(data.plays_from_table, table.assign(group=0))
    for column, value in (("session", 9), ("mechanism", "z"), ("endowment", 99)):
        changed = table.astype({column: object})
        changed.loc[17, column] = value
        assert column in refusal(data.plays_from_table, changed)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "column, value", [("contribution", 1.5), ("contribution", 11), ("endowment", 0), ("payout", np.nan), ("player", 4)]
)
def test_a_damaged_table_of_play_is_named_by_file_row_and_column(tmp_path, blocks, suffix, column, value):
    table = data.plays_to_table(data.label_blocks(jax.tree.map(jnp.asarray, blocks[2, 4]), "libertarian")).astype({column: float})
    path = tmp_path / f"pilot{suffix}"
    store.write_table(path, table)
    assert same(data.read_plays(path, evaluation=True).block, jax.tree.map(jnp.asarray, blocks[2, 4]))
    table.loc[13, column] = value
    store.write_table(path, table)
    row = 15 if suffix == ".csv" else 14
    assert f"pilot{suffix}, row {row}, column {column!r}" in refusal(data.read_plays, path)
    store.write_table(path, table.drop(columns=column))
    assert f"pilot{suffix}, row 1, column {column!r}" in refusal(data.read_plays, path)


def test_only_evaluation_needs_a_head(tmp_path):
    endowment = jnp.array([[10.0, 5, 4, 3], [4, 4, 10, 4]])
    plays = data.label_blocks(game.play(jax.random.key(0), game.random_bots(), endowment, game.equal_split), "tutorial", session=0)
    store.write_table(tmp_path / "pilot.csv", data.plays_to_table(plays))
    assert len(data.read_plays(tmp_path / "pilot.csv")) == 2
    assert "pilot.csv, row 3, column 'endowment'" in refusal(data.read_plays, tmp_path / "pilot.csv", evaluation=True)
    assert "no such file" in refusal(data.read_plays, tmp_path / "other.csv")
    assert "parquet" in refusal(data.read_plays, tmp_path / "other.parquet")


# --- fetching -----------------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    "A web server on this machine that sends what `pages` says, and can break off."
    pages = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body, length = pages.get(self.path[1:], (None, 0))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            return

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield pages, f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    running.server_close()


def test_files_are_fetched_once_and_whole(tmp_path, originals, server):
    pages, address = server
    for name, table in originals.items():
        body = table.to_csv(header=data.RELEASED[name].header, index=False).encode()
        pages[name] = body, len(body)
    released = tmp_path / "released"
    paths = data.fetch_released(released, address=address)
    assert [path.name for path in paths] == list(data.RELEASED) and sorted(os.listdir(released)) == sorted(data.RELEASED)
    assert all(path.read_bytes() == pages[path.name][0] for path in paths)
    pages.clear()
    assert data.fetch_released(released, address=address) == paths, "what is there is left alone"


@pytest.mark.parametrize("trouble", ["not found", "broken off", "a login page", "nobody there"])
def test_trouble_leaves_one_sentence_and_no_file(tmp_path, originals, server, trouble):
    pages, address = server
    body = originals["data_exp1.csv"].to_csv(header=False, index=False).encode()
    pages["data_exp1.csv"] = {"broken off": (body, 2 * len(body)), "a login page": (b"<html>Welcome</html>", 20)}.get(trouble, (None, 0))
    address = "https://no-such-place.invalid/" if trouble == "nobody there" else address
    message = refusal(data.fetch_released, tmp_path / "released", address=address)
    assert "`make data`" in message and f"{tmp_path / 'released'}/ by hand" in message and "data_exp1.csv" in message
    assert ".fetching" not in message and os.listdir(tmp_path / "released") == []


# --- several seeds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_seeds_are_read_together_and_people_only_once(tmp_path, suffix):
    for seed in range(3):
        frame = pd.DataFrame({"source": ["people", "participants", "participants"], "vote": [1, 0, seed % 2]})
        store.write_table(tmp_path / f"seed{seed}" / f"votes.{suffix}", frame)
    together = runs.read_seeds(tmp_path, f"votes.{suffix}", 3)
    assert together.groupby(["source", "seed"]).size().to_dict() == {("participants", k): 2 for k in range(3)} | {("people", 0): 1}
    assert len(runs.read_seeds(tmp_path, f"votes.{suffix}", 1)) == 3
    with pytest.raises(store.DataError, match=f"seed3/votes.{suffix}: there is no such file; .*4 seeds"):
        runs.read_seeds(tmp_path, f"votes.{suffix}", 4)


def test_a_table_without_a_source_is_read_whole(tmp_path):
    for seed in range(2):
        store.write_table(tmp_path / f"seed{seed}" / "iter0" / "beach.csv", pd.DataFrame({"head_share": [0.25]}))
    assert runs.read_seeds(tmp_path, "iter0/beach.csv", 2)["seed"].tolist() == [0, 1]


# --- published numbers --------------------------------------------------------------------------------------------


def test_published_numbers_are_those_of_the_paper():
    sizes = {name: len(published.read(name)) for name in published.TABLES}
    assert sizes == {
        "fig1c_relative_contribution": 180,
        "fig2_votes": 20,
        "table_s1a_votes": 20,
        "table_s1b_virtual_votes": 15,
        "table_s2_metagame": 81,
        "figure_s2_t": 16,
        "text_statistics": 52,
        "hcmd_zero": 6,
    }
    votes = published.read("fig2_votes").groupby("rival")[["votes_for_hcrm", "votes_cast"]].sum()
    assert tuple(votes.loc["liberal_egalitarian"]) == (951, 1744) and tuple(votes.loc["strict_egalitarian"]) == (513, 776)
    assert (published.read("fig2_votes").rival.map(data.MECHANISM_CODES) == published.read("fig2_votes").rival_code).all()
    metagame = published.read("table_s2_metagame").pivot_table(
        index=["row_v", "row_w"], columns=["col_v", "col_w"], values="win_probability"
    )
    assert np.abs(metagame.to_numpy() + metagame.to_numpy().T - 1).max() < 0.0021, "what a row wins its column loses"
    assert "fig2_votes" in refusal(published.read, "figure 2")


# --- what a run writes --------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "numbers.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"a": object()})
    with pytest.raises(RuntimeError), store.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1} and os.listdir(path.parent) == ["numbers.json"]
    assert ".csv or .parquet" in refusal(store.write_table, tmp_path / "t.xlsx", pd.DataFrame({"a": [1]}))


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text("old")
    program = f"import os; from democratic_ai import data\nwith data.replacing({str(path)!r}) as t: t.write_text('ha'); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert path.read_text() == "old"


numbers = st.floats() | st.integers(-(2**53), 2**53) | st.booleans() | st.none() | st.text(max_size=5)


@few
@given(
    st.dictionaries(
        st.text(max_size=4), st.recursive(numbers, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3))
    )
)
def test_json_comes_back_with_null_for_what_is_not_a_number(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("json") / "numbers.json"
    store.write_json(path, content)

    def expected(value):
        if isinstance(value, dict):
            return {key: expected(item) for key, item in value.items()}
        if isinstance(value, list):
            return [expected(item) for item in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    assert json.loads(path.read_text(encoding="utf-8")) == expected(content)


def test_json_takes_arrays_of_both_libraries(tmp_path):
    store.write_json(tmp_path / "n.json", {"jax": jnp.arange(3), "numpy": np.float32(0.5), "nan": jnp.float32(np.nan), 1: (np.int64(2),)})
    assert json.loads((tmp_path / "n.json").read_text()) == {"jax": [0, 1, 2], "numpy": 0.5, "nan": None, "1": [2]}


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.adam(4e-4, 0.9, 0.999, 1e-8),
        optax.rmsprop(4e-4, decay=0.99, eps=1e-5, initial_scale=1.0, eps_in_sqrt=True),
        optax.chain(optax.clip_by_global_norm(1.0), optax.add_decayed_weights(1e-5), optax.scale_by_adam(), optax.scale(-1e-3)),
    ],
    ids=["adam", "rmsprop", "chain"],
)
def test_a_training_state_comes_back_bit_for_bit(tmp_path, optimiser):
    params = {
        "layer": {"kernel": jax.random.normal(jax.random.key(1), (3, 4)), "bias": jnp.full(4, 1e-40)},
        "scale": (jnp.float32(2), jnp.ones(())),
    }
    update = lambda params, memory: optimiser.update(jax.tree.map(jnp.sin, params), memory, params)
    memory = update(params, optimiser.init(params))[1]
    key = jax.random.split(jax.random.key(5))[1]
    state = {
        "params": params,
        "memory": memory,
        "key": key,
        "keys": jax.random.split(key, 3),
        "raw": jax.random.PRNGKey(3),
        "step": 7,
        "on": True,
    }
    path = tmp_path / "state.safetensors"
    store.save_parameters(path, state, {"settings": "abc", "seed": "0"})
    blank = jax.tree.map(lambda leaf: leaf if store.is_key(leaf) else jnp.zeros_like(leaf), state)
    for template in (blank, jax.eval_shape(lambda: state)):
        restored = store.load_parameters(path, template)
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        same_bits = jax.tree.map(lambda a, b: store.named_leaves(a)[""].tobytes() == store.named_leaves(b)[""].tobytes(), restored, state)
        assert jax.tree.all(same_bits)
    assert jax.random.key_impl(restored["key"]) == jax.random.key_impl(key)
    assert same(update(restored["params"], restored["memory"]), update(params, memory)), "the next step is the same step"
    assert store.read_metadata(path) == {"settings": "abc", "seed": "0"}


@few
@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.tuples(st.sampled_from([[], [0], [3], [2, 4]]), st.sampled_from(["float32", "int32", "uint8", "bool", "bfloat16"])),
        min_size=1,
    )
)
def test_any_tree_is_kept_and_only_its_own_template_fits(tmp_path_factory, shapes):
    tree = {name: [jnp.ones(shape, dtype), None] for name, (shape, dtype) in shapes.items()}
    leaves = jax.tree.leaves(tree)
    path = tmp_path_factory.mktemp("trees") / "tree.safetensors"
    store.save_parameters(path, tree)
    assert all(a is b for a, b in zip(leaves, jax.tree.leaves(tree), strict=True)), "the caller's tree is not touched"
    assert same(store.load_parameters(path, tree), tree) and store.read_metadata(path) == {}
    name, (shape, dtype) = next(iter(shapes.items()))
    others = ([jnp.ones([*shape, 2], dtype), None], [jnp.ones(shape, "int8"), None], [None, tree[name][0]], [None, None])
    for other in others:
        assert "tree.safetensors" in refusal(store.load_parameters, path, tree | {name: other})


def test_a_damaged_or_missing_file_of_parameters_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    assert "p.safetensors" in refusal(store.load_parameters, path, {})
    store.save_parameters(path, {"a": jnp.ones(100)})
    path.write_bytes(path.read_bytes()[:-40])
    assert "cannot be read" in refusal(store.load_parameters, path, {"a": jnp.ones(100)})
    path.write_bytes(b"")
    assert "cannot be read" in refusal(store.load_parameters, path, {"a": jnp.ones(100)})
    assert "one name" in refusal(store.save_parameters, path, {"a/b": jnp.ones(1), "a": {"b": jnp.ones(2)}})


def test_the_stamp_says_what_and_not_who_or_where(monkeypatch, tmp_path):
    stamp = store.provenance(profile="smoke", minutes=3.5)
    assert stamp["profile"] == "smoke" and stamp["minutes"] == 3.5 and stamp["machine"]["cores"] == os.cpu_count()
    assert {"python", "jax", "flax", "optax", "numpy"} <= stamp["versions"].keys()
    assert stamp["written"].endswith("+00:00")
    text = json.dumps({key: value for key, value in stamp.items() if key != "machine"})
    assert str(Path(store.__file__).parents[2]) not in text and str(Path.home()) not in text and platform.node() not in text
    monkeypatch.setattr(data, "ROOT", tmp_path)
    assert store.git_state() == {"commit": "unknown", "uncommitted_changes": None}


def test_the_stamp_knows_the_commit_and_whether_files_differ_from_it(monkeypatch, tmp_path):
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-C", str(tmp_path)]
    run = lambda *arguments: subprocess.run([*git, *arguments], check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / "a").write_text("1")
    run("init", "--quiet"), run("add", "a"), run("commit", "--quiet", "-m", "Begin")
    monkeypatch.setattr(data, "ROOT", tmp_path.resolve())
    assert store.git_state() == {"commit": run("rev-parse", "HEAD"), "uncommitted_changes": False}
    (tmp_path / "a").write_text("2")
    assert store.git_state()["uncommitted_changes"] is True
    monkeypatch.setattr(data, "ROOT", tmp_path.resolve() / "inside")
    (tmp_path / "inside").mkdir()
    assert store.git_state()["commit"] == "unknown", "a copy inside another repository does not borrow its commit"
