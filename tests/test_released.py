"""The authors' files: all their quirks, every kind of damage, what is made of them."""

import http.server
import os
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import experiments, game, mechanisms, participants, released
from democratic_ai.engine import published, store

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
    endowment = jnp.repeat(
        mechanisms.head_and_tails(jnp.array(tails, float)), 5, axis=0
    )
    play_all = jax.jit(
        lambda: {
            code: game.play(
                jax.random.key(code), game.random_bots(), endowment, REFEREES[code]
            )
            for code in REFEREES
        }
    )
    played = jax.tree.map(np.asarray, play_all())
    return {
        (code, tail): jax.tree.map(lambda x, i=i: x[5 * i :][:5], played[code])
        for code in REFEREES
        for i, tail in enumerate(tails)
    }


def session_rows(blocks, *, rival, agent, tail, first_person, n_blocks=2, n_bonus=4):
    "Five groups as the authors' rows: tutorial, referees in turn, bonus."
    rows = []
    codes = [1] + [agent, rival] * (n_blocks // 2) + [agent]
    for group in range(5):
        for session, code in enumerate(codes):
            block = blocks[code, tail]
            last = session == len(codes) - 1
            for timestep in range(n_bonus if last else 10):
                for seat in range(4):
                    coins = int(block.contribution[group, timestep, seat])
                    own = int(block.endowment[group, seat])
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
                        | {
                            "vote": vote,
                            "payout": round(
                                float(block.payout[group, timestep, seat]), 3
                            ),
                        }
                    )
    return rows


def players_rows(n=97):
    "Players of all conditions: some are bots, some did not vote, some come twice."
    random = np.random.default_rng(0)
    rows = []
    for rival in (1, 2, 3, 6):
        for tail in (2, 4, 6, 8, 10):
            for i in range(n):
                seat = i % 4
                real = bool(random.random() < 0.9)
                cast = bool(random.random() < 0.8)
                rows.append(
                    {
                        "endowcond": float(tail),
                        "player_id": seat,
                        "baseline": rival,
                        "real": real,
                        "endowment": tail if seat else 10,
                    }
                    | {
                        "vote_cast": cast,
                        "participant_id": (i % 60 + 1) / 10_000,
                        "vote_for_agent": int(cast and random.random() < 0.55),
                    }
                )
    return rows


def beach_rows(code):
    "Every head contribution against a few tails; a share of nothing is no number."
    contribution = np.array(
        [(h, a, b, 2) for h in range(11) for a in range(3) for b in range(3)]
        + [(0, 0, 0, 0)],
        np.float32,
    )
    endowment = np.tile(np.array([10, 2, 2, 2], np.float32), (len(contribution), 1))
    share = np.array(REFEREES[code](endowment, contribution))
    share[-1] = np.nan
    wide = np.concatenate([endowment, contribution, share], axis=1)
    columns = released.FORMS["beachplot_hcrm.csv"].columns
    return [dict(zip(columns, row, strict=True)) for row in wide]


@pytest.fixture(scope="session")
def originals(blocks):
    "Name -> table with float ids, repeated people, empty votes, tutorials."
    twice = {"rival": 2, "agent": 4, "tail": 4, "first_person": 11}
    one = session_rows(
        blocks, rival=3, agent=4, tail=2, first_person=1, n_bonus=5
    ) + session_rows(blocks, **twice, n_blocks=4, n_bonus=5)
    two = [
        row
        for rival in (1, 2, 3, 6)
        for tail in (2, 10)
        for row in session_rows(
            blocks, rival=rival, agent=4, tail=tail, first_person=rival
        )
    ]
    four = session_rows(blocks, rival=7, agent=4, tail=4, first_person=100)
    rows = {"data_exp1.csv": one, "data_exp2.csv": two, "data_exp4.csv": four}
    rows |= {"players_exp2.csv": players_rows(), "players_exp4.csv": players_rows(9)}
    beaches = {
        "hcrm": 4,
        "liberal_egalitarian": 3,
        "libertarian": 2,
        "rational_mechanism": 6,
    }
    rows |= {
        f"beachplot_{name}.csv": beach_rows(code) for name, code in beaches.items()
    }
    return {
        name: pd.DataFrame(table)[list(released.FORMS[name].columns)]
        for name, table in rows.items()
    }


def write(folder, name, table):
    path = Path(folder) / name
    table.to_csv(path, header=released.FORMS[name].header, index=False)
    return path


def refusal(read, *arguments, **keywords):
    with pytest.raises(store.DataError) as refused:
        read(*arguments, **keywords)
    message = str(refused.value)
    assert "\n" not in message
    return message


# --- one file -------------------------------------------------------------------------


@pytest.mark.parametrize("name", released.FORMS)
def test_a_released_file_is_read_as_pandas_would(tmp_path, originals, name):
    form = released.FORMS[name]
    path = write(tmp_path, name, originals[name])
    ours = released.read(path)
    theirs = pd.read_csv(path, names=None if form.header else list(form.columns))
    assert list(ours.index) == list(
        range(1 + form.header, 1 + form.header + len(theirs))
    ), "the index is the line of the file"
    pd.testing.assert_frame_equal(
        ours.reset_index(drop=True), theirs[list(form.columns)], check_dtype=False
    )
    for column in ours:
        assert ours[column].dtype == np.dtype(form.columns[column].kind)


def test_all_nine_files_are_known_with_their_columns():
    assert sorted(released.FORMS) == sorted(
        [
            "data_exp1.csv",
            "data_exp2.csv",
            "data_exp4.csv",
            "players_exp2.csv",
            "players_exp4.csv",
        ]
        + [
            f"beachplot_{name}.csv"
            for name in (
                "hcrm",
                "liberal_egalitarian",
                "libertarian",
                "rational_mechanism",
            )
        ]
    )
    rest = ", endowcond, mechanism_code, baseline, head, rel_contribution"
    exp1 = (
        "participant_id, player_id, contribution, endowment, session, timestep" + rest
    )
    exp2 = (
        "player_id, contribution, endowment, session, timestep, mechanism_code, "
        "participant_id, endowcond, baseline, head, rel_contribution"
    )
    players = (
        "endowcond, player_id, baseline, real, endowment, vote_cast, participant_id, "
        "vote_for_agent"
    )
    expected = {
        "data_exp1.csv": exp1 + ", payout",
        "data_exp2.csv": exp2 + ", vote, payout",
        "data_exp4.csv": exp1 + ", vote, payout",
    }
    expected |= {"players_exp2.csv": players, "players_exp4.csv": players}
    assert {
        name: ", ".join(released.FORMS[name].columns) for name in expected
    } == expected
    assert [released.N_ROWS[name] for name in sorted(expected)] == [
        41_860,
        140_700,
        11_696,
        4_020,
        344,
    ]


def test_quirks_are_not_faults(tmp_path, originals):
    one = originals["data_exp1.csv"]
    assert one.session.max() == 5 and one.participant_id.dtype == float
    assert one.duplicated(["participant_id", "session", "timestep"]).any()
    table = originals["data_exp2.csv"].astype(str)
    table["head"], table["vote"] = (
        table["head"].str.upper(),
        table.vote.replace({"": "NaN", "1": "1.0"}),
    )
    table["contribution"] += ".0"
    read = released.read(write(tmp_path, "data_exp2.csv", table))
    assert read.vote.isna().any() and read["head"].dtype == bool
    assert read.contribution.dtype == int
    path = tmp_path / "players_exp4.csv"
    text = originals["players_exp4.csv"].to_csv(header=False, index=False)
    path.write_bytes(
        b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\r\n"
    )
    assert len(released.read(path)) == 180, (
        "a byte-order mark, Windows line ends and blank lines do no harm"
    )


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
def test_a_damaged_cell_is_named_by_file_row_and_column(
    tmp_path, originals, name, kind
):
    column, value = DAMAGES[kind]
    table = originals[name].astype(object)
    table.loc[41, column] = value
    assert f"{name}, row 42, column {column!r}" in refusal(
        released.read, write(tmp_path, name, table)
    )


@pytest.mark.parametrize("name", ["data_exp1.csv", "data_exp2.csv", "data_exp4.csv"])
def test_more_than_the_endowment_is_refused_although_ten_coins_exist(
    tmp_path, originals, name
):
    table = originals[name].copy()
    row = table.index[(table.endowment < 10)][7]
    table.loc[row, "contribution"] = table.loc[row, "endowment"] + 1
    message = refusal(released.read, write(tmp_path, name, table))
    assert f"{name}, row {row + 1}, column 'contribution'" in message
    assert "more than the endowment" in message


@pytest.mark.parametrize("name", ["data_exp1.csv", "data_exp2.csv", "data_exp4.csv"])
def test_the_head_must_be_player_0(tmp_path, originals, name):
    table = originals[name].copy()
    table.loc[[60, 62], "head"] = [False, True]
    assert f"{name}, row 61, column 'head'" in refusal(
        released.read, write(tmp_path, name, table)
    )
    table = originals[name].copy()
    table["player_id"] = table.player_id.map({0: 2, 2: 0, 1: 1, 3: 3})
    assert f"{name}, row 1, column 'head'" in refusal(
        released.read, write(tmp_path, name, table)
    )


def test_in_tables_of_players_the_head_has_ten_coins(tmp_path, originals):
    table = originals["players_exp2.csv"].copy()
    table.loc[8, "endowment"] = 2
    assert "players_exp2.csv, row 9, column 'endowment'" in refusal(
        released.read, write(tmp_path, "players_exp2.csv", table)
    )


@pytest.mark.parametrize("name", released.FORMS)
def test_a_missing_column_is_named(tmp_path, originals, name):
    column = list(released.FORMS[name].columns)[-1]
    message = refusal(
        released.read, write(tmp_path, name, originals[name].drop(columns=column))
    )
    assert f"{name}, row 1, column {column!r}" in message
    message = refusal(
        released.read,
        write(
            tmp_path,
            name,
            originals[name].drop(columns=list(released.FORMS[name].columns)[3]),
        ),
    )
    assert f"{name}, row 1, column" in message
    assert list(released.FORMS[name].columns)[3] in message


@pytest.mark.parametrize("name", released.FORMS)
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00\x80"])
def test_an_empty_or_binary_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    message = refusal(released.read, tmp_path / name)
    assert name in message and ("row 1, column" in message or "CSV text" in message)


def test_a_file_with_only_a_header_is_empty(tmp_path, originals):
    message = refusal(
        released.read,
        write(tmp_path, "beachplot_hcrm.csv", originals["beachplot_hcrm.csv"][:0]),
    )
    assert "beachplot_hcrm.csv, row 2, column 'endowment_0'" in message


@pytest.mark.parametrize("change", ["longer", "shorter"])
def test_one_row_of_another_length_is_refused_where_pandas_is_silent(
    tmp_path, originals, change
):
    path = write(tmp_path, "data_exp1.csv", originals["data_exp1.csv"])
    lines = path.read_text().splitlines()
    lines[9] = lines[9] + ",1" if change == "longer" else lines[9].split(",", 1)[1]
    path.write_text("\n".join(lines))
    assert "data_exp1.csv, row 10, column 'payout'" in refusal(released.read, path)
    if change == "shorter":
        assert len(
            pd.read_csv(path, names=list(released.FORMS["data_exp1.csv"].columns))
        ) == len(lines)


def test_beach_plots_may_have_no_share_only_where_nobody_contributes(
    tmp_path, originals
):
    table = originals["beachplot_libertarian.csv"].copy()
    table.loc[3, "distribution_1"] = np.nan
    message = refusal(
        released.read, write(tmp_path, "beachplot_libertarian.csv", table)
    )
    assert "beachplot_libertarian.csv, row 5, column 'distribution_1'" in message
    table = originals["beachplot_libertarian.csv"].copy()
    table.insert(0, "", range(len(table)))
    assert len(
        released.read(write(tmp_path, "beachplot_libertarian.csv", table))
    ) == len(table), "further columns do no harm"


@few
@given(st.data())
def test_any_wild_number_anywhere_is_found(tmp_path_factory, originals, draw):
    name = draw.draw(st.sampled_from(sorted(released.FORMS)))
    table = originals[name].iloc[:80].astype(object)
    row = draw.draw(st.integers(0, len(table) - 1))
    column = draw.draw(st.sampled_from(list(table)))
    table.iloc[row, table.columns.get_loc(column)] = draw.draw(
        st.sampled_from(["-3", "x", "-0.5", "-inf"])
    )
    path = write(tmp_path_factory.mktemp("wild"), name, table)
    assert (
        f"{name}, row {row + 1 + released.FORMS[name].header}, column {column!r}"
        in refusal(released.read, path)
    )


def test_a_file_of_another_name_or_none_is_refused(tmp_path):
    assert "players_exp2.csv" in refusal(released.read, tmp_path / "votes.csv")
    message = refusal(released.read, tmp_path / "data_exp1.csv")
    assert "make data" in message and "data_exp1.csv" in message


# --- votes ----------------------------------------------------------------------------


def test_votes_are_counted_as_by_hand(tmp_path, originals, capsys):
    players = released.read(
        write(tmp_path, "players_exp2.csv", originals["players_exp2.csv"])
    )
    assert "differ from the published ones in 20 of 20 cells" in capsys.readouterr().out
    by_hand = {}
    for row in originals["players_exp2.csv"].itertuples():
        if row.real and row.vote_cast:
            yes, cast = by_hand.get((row.baseline, row.endowcond), (0, 0))
            by_hand[row.baseline, row.endowcond] = yes + row.vote_for_agent, cast + 1
    counted = released.count_votes(players)
    assert {
        (r.rival_code, r.tail_endowment): (r.votes_for_hcrm, r.votes_cast)
        for r in counted.itertuples()
    } == by_hand
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
    players = released.read(write(tmp_path, "players_exp2.csv", pd.DataFrame(rows)))
    assert "equal the published ones in all 20 cells." in capsys.readouterr().out
    assert (released.count_votes(players).to_numpy() == votes.to_numpy()).all()
    players.loc[players.index[-1], "vote_for_agent"] = True
    said = released.compare_votes(players)
    assert "differ" in said and "1 of 20" in said
    assert "rational, tail endowment 10: 72 of 148 here, 71 of 148 published" in said
    without = players[players.endowcond.ne(10) | players.baseline.ne(6)]
    assert (
        "rational, tail endowment 10: 0 of 0 here, 71 of 148 published"
        in released.compare_votes(without)
    )


# --- blocks of play -------------------------------------------------------------------


def test_released_rows_become_the_blocks_they_came_from(tmp_path, originals, blocks):
    plays = released.to_plays(
        released.read(write(tmp_path, "data_exp2.csv", originals["data_exp2.csv"]))
    )
    assert len(plays) == 8 * 5 * 3, (
        "eight conditions, five groups, three full blocks; bonus blocks are left out"
    )
    assert set(np.asarray(plays.session)) == {0, 1, 2} and plays.answered.all()
    for i, name in enumerate(plays.names):
        here = np.asarray(plays.mechanism) == i
        if name == "tutorial":
            assert (np.asarray(plays.session)[here] == 0).all()
            continue
        for tail in (2, 10):
            ours = here & (np.asarray(plays.block.endowment)[:, 1] == tail)
            expected = blocks[released.MECHANISM_CODES[name], tail].contribution
            found = np.asarray(plays.block.contribution)[ours]
            assert {x.tobytes() for x in found} <= {
                x.tobytes() for x in expected.astype(np.float32)
            }


def test_five_sessions_give_five_blocks(tmp_path, originals):
    plays = released.to_plays(
        released.read(write(tmp_path, "data_exp1.csv", originals["data_exp1.csv"]))
    )
    assert len(plays) == 5 * 3 + 5 * 5 and plays.session.max() == 4


def test_rows_out_of_step_are_refused(tmp_path, originals):
    frame = released.read(write(tmp_path, "data_exp2.csv", originals["data_exp2.csv"]))
    assert "groups" in refusal(released.to_plays, frame.sample(frac=1, random_state=1))
    assert "groups" in refusal(released.to_plays, frame[frame.timestep < 9])


def test_players_say_who_answered(tmp_path, originals):
    frame = released.read(write(tmp_path, "data_exp4.csv", originals["data_exp4.csv"]))
    people = frame.drop_duplicates("participant_id")
    rows = people[["endowcond", "player_id", "baseline"]].assign(
        real=people.participant_id != 106,
        endowment=people.endowment,
        vote_cast=True,
        participant_id=people.participant_id / 10_000,
        vote_for_agent=0,
    )
    players = released.read(write(tmp_path, "players_exp4.csv", rows))
    answered = np.asarray(released.to_plays(frame, players).answered)
    assert (~answered).sum() == 3 and answered[:, [0, 1, 3]].all(), (
        "person 106 sits at seat 2 and plays three blocks"
    )


# --- fetching -------------------------------------------------------------------------


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
        body = table.to_csv(header=released.FORMS[name].header, index=False).encode()
        pages[name] = body, len(body)
    folder = tmp_path / "released"
    paths = released.fetch(folder, address=address)
    assert [path.name for path in paths] == list(released.FORMS)
    assert sorted(os.listdir(folder)) == sorted(released.FORMS)
    assert all(path.read_bytes() == pages[path.name][0] for path in paths)
    pages.clear()
    assert released.fetch(folder, address=address) == paths, (
        "what is there is left alone"
    )


@pytest.mark.parametrize(
    "trouble", ["not found", "broken off", "a login page", "nobody there"]
)
def test_trouble_leaves_one_sentence_and_no_file(tmp_path, originals, server, trouble):
    pages, address = server
    body = originals["data_exp1.csv"].to_csv(header=False, index=False).encode()
    pages["data_exp1.csv"] = {
        "broken off": (body, 2 * len(body)),
        "a login page": (b"<html>Welcome</html>", 20),
    }.get(trouble, (None, 0))
    address = "https://no-such-place.invalid/" if trouble == "nobody there" else address
    message = refusal(released.fetch, tmp_path / "released", address=address)
    assert "`make data`" in message and f"{tmp_path / 'released'}/ by hand" in message
    assert "data_exp1.csv" in message
    assert ".fetching" not in message and os.listdir(tmp_path / "released") == []


# --- people's experiments -------------------------------------------------------------


QUESTIONS = list(experiments.QUESTIONS)


@pytest.fixture(scope="module")
def tables():
    "Trials and votes of stand-ins."
    hcrm, rational = mechanisms.manifold(0.8, 0.9), mechanisms.manifold(0.9, 0.3)
    groups = experiments.plan(fraction=0.03)
    return experiments.run(
        jax.random.key(0), participants.calibrated(), hcrm, rational, groups=groups
    )


def of_people(trials, votes):
    "What the authors' form can tell of tables: who was real in a session, no answers."
    stayed = trials.groupby(["experiment", "group", "player"]).answered.transform("all")
    cast_once = votes.drop(columns=list(experiments.OTHER_VOTERS))
    return trials.assign(answered=stayed, source="people"), cast_once.assign(
        **dict.fromkeys(QUESTIONS, np.nan), source="people"
    )


def test_there_and_back(tmp_path, tables):
    released.write_experiments(tmp_path, *tables)
    assert all(path.exists() for path in released.experiment_files(tmp_path))
    assert len(list(tmp_path.iterdir())) == 5
    again = released.read_experiments(tmp_path)
    for here, there in zip(of_people(*tables), again, strict=True):
        pd.testing.assert_frame_equal(here, there)


def lines_of(path):
    return path.read_text().splitlines()


def test_the_files_have_the_authors_quirks(tmp_path, tables):
    released.write_experiments(tmp_path, *tables)
    for path in released.experiment_files(tmp_path):
        columns = list(released.FORMS[path.name].columns)
        lines = [line.split(",") for line in lines_of(path)]
        assert lines[0][0] != columns[0], "no header"
        assert {len(line) for line in lines} == {len(columns)}
    columns = released.FORMS["data_exp2.csv"].columns
    rows = [
        dict(zip(columns, line.split(","), strict=True))
        for line in lines_of(tmp_path / "data_exp2.csv")
    ]
    assert {row["vote"] for row in rows if row["session"] == "0"} == {""}
    assert {row["head"] for row in rows} == {"True", "False"}
    assert all("." in row["participant_id"] for row in rows)
    assert {row["mechanism_code"] for row in rows if row["session"] == "0"} == {"1"}


def test_bonus_blocks_and_the_early_hcrm_are_left_out(tmp_path, tables):
    released.write_experiments(tmp_path, *tables)
    path = tmp_path / "data_exp1.csv"
    columns = list(released.FORMS["data_exp1.csv"].columns)
    frame = pd.read_csv(path, names=columns)
    early = frame[frame.session == 1].assign(session=2, mechanism_code=4)
    bonus = frame[(frame.session == 3) & (frame.timestep < 4)].assign(session=5)
    pd.concat([frame, early, bonus]).to_csv(path, header=False, index=False)
    pd.testing.assert_frame_equal(
        released.read_experiments(tmp_path)[0], of_people(*tables)[0]
    )


def test_votes_that_do_not_count_are_empty(tmp_path, tables):
    released.write_experiments(tmp_path, *tables)
    path = tmp_path / "players_exp2.csv"
    columns = list(released.FORMS["players_exp2.csv"].columns)
    players = pd.read_csv(path, names=columns)
    players.loc[0, "real"], players.loc[5, "vote_cast"] = False, False
    players.to_csv(path, header=False, index=False)
    trials, votes = released.read_experiments(tmp_path)
    second = votes[votes.experiment == 2].reset_index(drop=True)
    assert second.vote.isna().to_numpy().nonzero()[0].tolist() == [0, 5]
    unreal = trials[~trials.answered & (trials.experiment == 2)]
    assert set(zip(unreal.group, unreal.player, strict=True)) == {(0, 0)}
    assert len(unreal) == 30


def test_a_person_who_comes_back_is_in_two_groups(tmp_path, tables):
    trials, votes = tables
    released.write_experiments(tmp_path, trials, votes)
    for name, scale in (("data_exp2.csv", 1), ("players_exp2.csv", 10_000)):
        columns = list(released.FORMS[name].columns)
        frame = pd.read_csv(tmp_path / name, names=columns)
        person = (frame.participant_id * scale).round()
        rival_1 = frame.baseline == 1
        again = person.where(
            rival_1, person - person[~rival_1].min() + person[rival_1].min()
        )
        frame.assign(participant_id=again / scale).to_csv(
            tmp_path / name, header=False, index=False
        )
    again = released.read_experiments(tmp_path)
    for here, there in zip(of_people(trials, votes), again, strict=True):
        pd.testing.assert_frame_equal(here, there)


@pytest.mark.parametrize("name", [path.name for path in released.experiment_files(".")])
def test_a_broken_row_is_named(tmp_path, tables, name):
    released.write_experiments(tmp_path, *tables)
    path = tmp_path / name
    lines = lines_of(path)
    lines[6] = lines[6].rsplit(",", 1)[0]
    path.write_text("\n".join(lines))
    with pytest.raises(store.DataError, match=rf"{name}, row 7, column"):
        released.read_experiments(tmp_path)
    path.unlink()
    with pytest.raises(store.DataError, match=rf"{name}: there is no such file"):
        released.read_experiments(tmp_path)
