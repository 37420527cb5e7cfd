"""Data sets of play: joined, written as tables, and read with all checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import data, game, mechanisms
from democratic_ai.engine import published, store

few = settings(max_examples=15, deadline=None)


def refusal(read, *arguments, **keywords):
    with pytest.raises(store.DataError) as refused:
        read(*arguments, **keywords)
    message = str(refused.value)
    assert "\n" not in message
    return message


def some_plays(n_groups, n_rounds, seed, names=("a", "b", "c")):
    random = np.random.default_rng(seed)
    coins = lambda *shape: jnp.asarray(random.integers(0, 11, shape), jnp.float32)
    block = game.Block(
        coins(n_groups, 4) + 1,
        coins(n_groups, n_rounds, 4),
        coins(n_groups, n_rounds, 4) / 3,
    )
    answered = jnp.asarray(random.random((n_groups, 4)) < 0.8)
    integers = lambda high: jnp.asarray(random.integers(0, high, n_groups), jnp.int32)
    return data.Plays(block, answered, integers(3), integers(len(names)), names)


def same(a, b):
    return jax.tree.all(
        jax.tree.map(
            lambda x, y: (
                bool((x == y).all()) and x.dtype == y.dtype and x.shape == y.shape
            ),
            a,
            b,
        )
    )


def called(plays):
    return [plays.names[code] for code in np.asarray(plays.mechanism)]


@few
@given(
    st.sampled_from([1, 6]),
    st.sampled_from([1, 4, 10]),
    st.integers(0, 999),
    st.sampled_from([".csv", ".parquet"]),
)
def test_plays_survive_the_table_in_any_order(
    tmp_path_factory, n_groups, n_rounds, seed, suffix
):
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
    assert joined.names == ("a", "b", "c", "d")
    assert called(joined) == called(first) + called(second)
    assert same(jax.tree.map(lambda leaf: leaf[3:], joined).block, second.block)
    assert same(
        data.concatenate([data.concatenate([first, second]), first]),
        data.concatenate([first, data.concatenate([second, first])]),
    ), "joining is associative"
    assert "(5, 4)" in refusal(data.concatenate, [first, some_plays(2, 6, seed)])


def test_join_of_nothing_is_refused():
    refusal(data.concatenate, [])


def test_plays_pass_through_jit_with_their_names():
    plays = some_plays(5, 10, 0)
    shuffled = jax.jit(lambda p: jax.tree.map(lambda leaf: leaf[::-1], p))(plays)
    assert shuffled.names == plays.names and called(shuffled) == called(plays)[::-1]
    assert len(shuffled) == 5


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
    ("column", "value"),
    [
        ("contribution", 1.5),
        ("contribution", 11),
        ("endowment", 0),
        ("payout", np.nan),
        ("player", 4),
    ],
)
def test_a_damaged_table_of_play_is_named_by_file_row_and_column(
    tmp_path, suffix, column, value
):
    endowment = jnp.tile(mechanisms.head_and_tails(4.0), (5, 1))
    block = game.play(
        jax.random.key(2), game.random_bots(), endowment, mechanisms.libertarian
    )
    table = data.plays_to_table(data.label_blocks(block, "libertarian")).astype(
        {column: float}
    )
    path = tmp_path / f"pilot{suffix}"
    store.write_table(path, table)
    assert same(data.read_plays(path, evaluation=True).block, block)
    table.loc[13, column] = value
    store.write_table(path, table)
    row = 15 if suffix == ".csv" else 14
    assert f"pilot{suffix}, row {row}, column {column!r}" in refusal(
        data.read_plays, path
    )
    store.write_table(path, table.drop(columns=column))
    assert f"pilot{suffix}, row 1, column {column!r}" in refusal(data.read_plays, path)


def test_only_evaluation_needs_a_head(tmp_path):
    endowment = jnp.array([[10.0, 5, 4, 3], [4, 4, 10, 4]])
    plays = data.label_blocks(
        game.play(jax.random.key(0), game.random_bots(), endowment, game.equal_split),
        "tutorial",
        session=0,
    )
    store.write_table(tmp_path / "pilot.csv", data.plays_to_table(plays))
    assert len(data.read_plays(tmp_path / "pilot.csv")) == 2
    assert "pilot.csv, row 3, column 'endowment'" in refusal(
        data.read_plays, tmp_path / "pilot.csv", evaluation=True
    )
    assert "no such file" in refusal(data.read_plays, tmp_path / "other.csv")
    assert "parquet" in refusal(data.read_plays, tmp_path / "other.parquet")


def test_half_coins_are_rounded_and_never_onto_nothing_or_everything():
    tokens = np.arange(21)
    coins = data.whole_coins(tokens)
    assert (np.abs(coins - tokens / 2) <= 0.5).all() and (np.diff(coins) >= 0).all()
    assert ((coins == 0) == (tokens == 0)).all()
    assert ((coins == 10) == (tokens == 20)).all()
    assert ((coins == 5) == (tokens == 10)).all()


def test_real_choices_are_those_of_the_committed_table():
    plays, city = data.real_choices()
    block = plays.block
    assert len(plays) == len(city) == 37 and block.contribution.shape == (37, 10, 4)
    assert plays.answered.all() and (plays.session == 0).all()
    equal = 0.4 * block.contribution.sum(-1, keepdims=True)
    np.testing.assert_allclose(block.payout, np.broadcast_to(equal, (37, 10, 4)), 1e-6)
    frame = pd.read_csv(published.DATA / "people" / "choices.csv")
    chosen = frame.query("city == 'Boston' and group == 0 and player == 2")
    tokens = chosen.sort_values("round").contribution.to_numpy()
    first = np.flatnonzero(city == "Boston")[0]
    found = np.asarray(block.contribution[first, :, 2])
    assert (found == data.whole_coins(tokens)).all()
