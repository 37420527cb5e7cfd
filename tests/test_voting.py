"""The vote model on random blocks, and the determinants regression.

The latter against known voters, closed forms and scikit-learn.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from democratic_ai import game, mechanisms, voting

few = settings(deadline=None, max_examples=25)
sums = st.lists(st.floats(-5, 5, width=32), min_size=4, max_size=4).map(np.array)


@pytest.fixture(scope="module")
def blocks():
    "Two blocks of bots in all five conditions, under two mechanisms."
    endowment = jnp.tile(
        mechanisms.head_and_tails(jnp.array(mechanisms.TAILS)), (60, 1)
    )
    play = lambda key, mechanism: game.play(
        jax.random.key(key), game.random_bots(), endowment, mechanism
    )
    return play(0, mechanisms.libertarian), play(1, mechanisms.liberal_egalitarian)


def synthetic(seed, n, coefficient, intercept=0.0, collinear=0.5):
    "Votes of n people whose log-odds are known, on predictors with odd units."
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    z[:, 1] = collinear * z[:, 0] + np.sqrt(1 - collinear**2) * z[:, 1]
    z = (z - z.mean(0)) / z.std(0)
    vote = rng.random(n) < 1 / (1 + np.exp(-(intercept + z @ np.array(coefficient))))
    return pd.DataFrame(
        z * [3.0, 40.0, 0.2] + [1.0, -7.0, 100.0], columns=list(voting.PREDICTORS)
    ).assign(vote=vote.astype(int))


@few
@given(sums, sums, st.floats(0.01, 20))
def test_two_rivals_share_every_vote_and_the_better_payer_gets_more(a, b, slope):
    p = np.asarray(voting.vote_from_sums(a, b, slope=slope))
    q = np.asarray(voting.vote_from_sums(b, a, slope=slope))
    np.testing.assert_allclose(p + q, 1, atol=1e-6)
    assert ((p >= 0.5) == (slope * (a - b) >= 0))[np.abs(a - b) > 1e-4].all()
    np.testing.assert_allclose(
        p, 1 / (1 + np.exp(-slope * (a - b).astype(float))), atol=1e-5
    )


def test_the_vote_written_out_player_by_player(blocks):
    a, b = (jax.tree.map(np.asarray, block) for block in blocks)
    p = np.asarray(voting.vote_probability(*blocks))
    for group in range(0, 300, 37):
        for player in range(4):
            odds = sum(
                (a.payout[group, t, player] - b.payout[group, t, player])
                / 10
                / a.endowment[group, player]
                for t in range(10)
            )
            assert abs(p[group, player] - 1 / (1 + np.exp(-1.4 * odds))) < 1e-5


@few
@given(st.floats(0.1, 100), st.floats(0.01, 10))
def test_only_slope_over_unit_counts(blocks, unit, slope):
    direct = voting.vote_probability(*blocks, slope=slope, unit=unit)
    np.testing.assert_allclose(
        direct,
        voting.vote_probability(*blocks, slope=slope / unit, unit=1.0),
        atol=1e-5,
    )


def test_doors_agree_and_compile(blocks):
    a, b = (voting.relative_payout_sum(block) for block in blocks)
    whole = voting.vote_probability(*blocks)
    np.testing.assert_array_equal(whole, voting.vote_from_sums(a, b))
    np.testing.assert_allclose(
        whole, jax.jit(voting.vote_probability)(*blocks), atol=1e-6
    )
    np.testing.assert_allclose(
        whole, jax.vmap(voting.vote_probability)(*blocks), atol=1e-6
    )
    np.testing.assert_allclose(
        a, blocks[0].payout.mean(1) / blocks[0].endowment, rtol=1e-5
    )


def test_in_plain_coins_votes_are_nearly_certain(blocks):
    unequal = blocks[0].endowment[:, 1] == 2
    certain = lambda unit: float(
        (
            jnp.abs(voting.vote_probability(*blocks, unit=unit)[unequal] - 0.5) > 0.49
        ).mean()
    )
    assert certain(1.0) > 0.6 and certain(10.0) < 0.05


def test_the_table_says_what_the_blocks_say(blocks):
    agent, rival = (jax.tree.map(np.asarray, block) for block in blocks)
    vote = np.random.default_rng(0).random((300, 4)) < 0.5
    table = voting.vote_features(*blocks, vote)
    assert list(table.columns) == ["group", "player", "vote", "rpay", "apay", "cont"]
    assert len(table) == 1200
    row = table.iloc[4 * 123 + 2]
    assert (row["group"], row["player"], row["vote"]) == (123, 2, vote[123, 2])
    coins = agent.payout[123, :, 2].sum() - rival.payout[123, :, 2].sum()
    np.testing.assert_allclose(row["apay"], coins, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        row["rpay"], coins / agent.endowment[123, 2], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        row["cont"], agent.contribution[123].sum() - rival.contribution[123].sum()
    )
    swapped = voting.vote_features(blocks[1], blocks[0], ~vote)
    np.testing.assert_allclose(
        swapped[list(voting.PREDICTORS)], -table[list(voting.PREDICTORS)], atol=1e-3
    )


@pytest.mark.parametrize("seed", range(3))
def test_scikit_learn_finds_the_same_coefficients(seed):
    frame = synthetic(seed, 800, [0.7, -0.4, 0.1], intercept=-0.3)
    x = frame[list(voting.PREDICTORS)]
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        x / x.std(ddof=0), frame["vote"]
    )
    found = voting.determinants(frame)
    np.testing.assert_allclose(
        found["coefficient"], [*peer.intercept_, *peer.coef_[0]], atol=1e-4
    )


def test_standard_errors_are_the_inverse_information():
    frame = synthetic(5, 500, [0.5, 0.5, 0.0])
    found = voting.determinants(frame)
    x = frame[list(voting.PREDICTORS)]
    design = np.column_stack([np.ones(500), x / x.std(ddof=0)])
    p = 1 / (1 + np.exp(-design @ found["coefficient"]))
    covariance = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    np.testing.assert_allclose(
        found["standard_error"], np.sqrt(np.diag(covariance)), rtol=1e-4
    )
    np.testing.assert_allclose(
        found["t"], found["coefficient"] / found["standard_error"]
    )


def test_known_voters_are_recovered_within_their_intervals():
    truth = np.array([0.2, 0.8, 0.5, 0.0])
    found = [
        voting.determinants(synthetic(seed, 1000, truth[1:], truth[0]))
        for seed in range(60)
    ]
    inside = [
        np.abs(table["coefficient"] - truth) < 1.96 * table["standard_error"]
        for table in found
    ]
    assert 0.90 <= np.mean(inside) <= 0.99


@few
@given(st.tuples(*[st.floats(0.01, 100)] * 3), st.tuples(*[st.floats(-5, 5)] * 3))
def test_units_of_the_predictors_do_not_matter_and_their_means_only_to_the_intercept(
    scale, shift
):
    frame, names = synthetic(1, 200, [0.6, 0.2, -0.3]), list(voting.PREDICTORS)
    rescaled, shifted = frame.copy(), frame.copy()
    rescaled[names] = frame[names] * np.array(scale)
    shifted[names] = frame[names] + frame[names].std() * np.array(shift)
    found = voting.determinants(frame)
    np.testing.assert_allclose(
        voting.determinants(rescaled), found, rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(
        voting.determinants(shifted).loc[names], found.loc[names], rtol=1e-3, atol=1e-5
    )


def test_any_columns_can_be_asked_and_an_answer_that_says_nothing_is_found_out():
    frame = synthetic(3, 3000, [1.0, 0.0, 0.0])
    rng = np.random.default_rng(4)
    answers = {
        "says_so": np.where(rng.random(3000) < 0.8, frame["vote"], 1 - frame["vote"]),
        "coin": rng.integers(0, 2, 3000),
    }
    found = voting.determinants(frame.assign(**answers), predictors=["says_so", "coin"])
    assert list(found.index) == ["intercept", "says_so", "coin"]
    assert found.loc["says_so", "t"] > 20 and abs(found.loc["coin", "t"]) < 4
    with pytest.raises(voting.VoteError, match="no column 'mood'"):
        voting.determinants(frame, predictors=["mood"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.drop(columns="apay"), "no column 'apay'"),
        (lambda f: f.drop(columns="vote"), "no column 'vote'"),
        (lambda f: f.head(5), "ten votes"),
        (lambda f: f.head(0), "ten votes"),
        (lambda f: f.assign(vote=1), "both opinions"),
        (lambda f: f.assign(vote=2), "not 0 or 1"),
        (
            lambda f: f.assign(vote=np.where(f.index == 3, np.nan, f["vote"])),
            "did not vote",
        ),
        (
            lambda f: f.assign(rpay=np.where(f.index == 3, np.nan, f["rpay"])),
            "not finite",
        ),
        (lambda f: f.assign(cont=7.0), "'cont' is the same for all votes"),
        (lambda f: f.assign(apay=10 * f["rpay"]), "copies of one another"),
        (lambda f: f.assign(vote=(f["rpay"] > 1).astype(int)), "separates"),
    ],
)
def test_what_cannot_be_answered_ends_in_a_sentence(spoil, words):
    with pytest.raises(voting.VoteError) as refused:
        voting.determinants(spoil(synthetic(0, 200, [0.5, 0.5, 0.5])))
    assert isinstance(refused.value, ValueError)
    assert words in str(refused.value) and "\n" not in str(refused.value)
