"""Group tests and intervals.

Against enumeration, closed forms, peer libraries and their own promises.
"""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from democratic_ai import statistics
from democratic_ai.engine import published

few = settings(deadline=None, max_examples=25)


@st.composite
def group_votes(draw, min_groups=1, max_groups=9):
    "Votes of a few groups in which one to four people voted."
    n_groups = draw(st.integers(min_groups, max_groups))
    cast = draw(st.lists(st.integers(1, 4), min_size=n_groups, max_size=n_groups))
    return np.array([draw(st.integers(0, n)) for n in cast]), np.array(cast)


def enumerated(votes_for, votes_cast):
    "The exact p-value: all 2^G ways to flip whole groups."
    lead = 2 * votes_for - votes_cast
    totals = [
        abs(sum(s * x for s, x in zip(signs, lead, strict=True)))
        for signs in product((1, -1), repeat=len(lead))
    ]
    return np.mean(np.array(totals) >= abs(lead.sum()))


@few
@given(group_votes())
def test_shuffles_approach_the_enumeration(counts):
    exact = enumerated(*counts)
    shuffled = statistics.permutation_test(*counts, n_shuffles=20_000)
    assert (
        abs(shuffled - exact) <= 5 * np.sqrt(exact * (1 - exact) / 20_000) + 1 / 20_000
    )


@few
@given(group_votes(), st.integers(0, 2**31))
def test_the_test_is_two_sided_blind_to_order_and_repeatable(counts, seed):
    votes_for, votes_cast = counts
    p = statistics.permutation_test(votes_for, votes_cast, rng=seed, n_shuffles=500)
    test, rng = statistics.permutation_test, np.random.default_rng(seed)
    assert p == test(votes_for, votes_cast, rng=rng, n_shuffles=500)
    against = votes_cast - votes_for
    assert p == test(against, votes_cast, rng=seed, n_shuffles=500)
    backwards = enumerated(votes_for[::-1], votes_cast[::-1])
    assert np.isclose(backwards, enumerated(votes_for, votes_cast))
    assert 1 / 500 <= p <= 1


@few
@given(group_votes(min_groups=2))
def test_the_exact_p_value_is_that_of_scipys_paired_permutations(counts):
    """SciPy swaps the two counts of a group, which is our flip.

    It is an oracle and no substitute, since its draws are others than ours.
    """
    votes_for, votes_cast = counts
    lead = lambda ours, theirs, axis: (ours - theirs).sum(axis)
    pair = (votes_for, votes_cast - votes_for)
    asked = {
        "permutation_type": "samples",
        "alternative": "two-sided",
        "n_resamples": np.inf,
        "vectorized": True,
    }
    upper, lower = (
        stats.permutation_test(pair, lead, **asked | {"alternative": side}).pvalue
        for side in ("greater", "less")
    )
    total = lead(*pair, axis=0)
    assert np.isclose(enumerated(*counts), 1 if total == 0 else 2 * min(upper, lower))


def test_the_floor_is_one_in_ten_thousand():
    assert statistics.permutation_test([4] * 40, 4) == 1e-4
    assert statistics.permutation_test([2] * 40, 4) == 1.0


def test_single_votes_are_the_binomial_test():
    votes_for = np.array([1] * 33 + [0] * 19)
    naive = statistics.naive_binomial(votes_for, 1)
    assert abs(statistics.permutation_test(votes_for, 1) - naive) < 0.02
    assert naive == stats.binomtest(33, 52).pvalue


def test_under_the_null_the_group_test_keeps_its_level_and_the_naive_does_not():
    rng = np.random.default_rng(0)
    votes_for = rng.binomial(4, rng.beta(0.5, 0.5, (400, 40)))
    by_group = np.mean(
        [
            statistics.permutation_test(k, 4, rng=rng, n_shuffles=500) <= 0.05
            for k in votes_for
        ]
    )
    naive = np.mean([statistics.naive_binomial(k, 4) <= 0.05 for k in votes_for])
    assert by_group < 0.09 and naive > 0.12


@pytest.mark.parametrize(
    ("votes_for", "votes_cast", "words"),
    [
        ([], 4, "one number of votes for each group"),
        ([[1, 2], [3, 4]], 4, "shape (2, 2)"),
        (3, 4, "one number of votes for each group"),
        ([1, 2, 3], [4, 4], "one number for each group"),
        ([5, 1], 4, "more votes for the agent than votes cast"),
        ([-1, 1], 4, "leave it out"),
        ([0.5, 1], 4, "fraction of a vote"),
        ([np.nan, 1], 4, "leave it out"),
        ([0, 1], [0, 4], "no votes"),
    ],
)
@pytest.mark.parametrize(
    "test", [statistics.permutation_test, statistics.naive_binomial]
)
def test_impossible_votes_are_refused(test, votes_for, votes_cast, words):
    with pytest.raises(statistics.StatisticsError) as refused:
        test(votes_for, votes_cast)
    assert isinstance(refused.value, ValueError)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_the_group_interval_agrees_with_the_linearised_standard_error():
    rng = np.random.default_rng(1)
    cast = rng.integers(1, 5, 300)
    votes_for = rng.binomial(cast, rng.beta(1, 1, 300))
    share = statistics.interval_over_groups(votes_for, cast)
    error = np.sqrt(((votes_for - share.value * cast) ** 2).sum()) / cast.sum()
    assert share.value == votes_for.sum() / cast.sum()
    np.testing.assert_allclose(
        [share.low, share.high],
        share.value + error * stats.norm.ppf([0.025, 0.975]),
        atol=0.006,
    )
    assert share == statistics.interval_over_groups(votes_for, cast)
    wide = statistics.interval_over_groups(votes_for, cast, level=0.99)
    assert wide.low < share.low < share.high < wide.high


def test_the_group_interval_is_scipys_percentile_bootstrap_of_a_ratio():
    "Another generator draws: bounds agree up to the error of their quantiles."
    rng = np.random.default_rng(5)
    cast = rng.integers(1, 5, 120)
    votes_for = rng.binomial(cast, rng.beta(1, 1, 120))
    ours = statistics.interval_over_groups(votes_for, cast, n_resamples=20_000)
    ratio = lambda total, count, axis: total.sum(axis) / count.sum(axis)
    asked = {
        "paired": True,
        "method": "percentile",
        "n_resamples": 20_000,
        "rng": np.random.default_rng(6),
    }
    theirs = stats.bootstrap((votes_for, cast), ratio, **asked).confidence_interval
    np.testing.assert_allclose([ours.low, ours.high], theirs, atol=0.003)


def test_the_group_interval_covers():
    rng = np.random.default_rng(2)
    intervals = [
        statistics.interval_over_groups(
            rng.binomial(4, rng.beta(1.2, 0.8, 60)), 4, n_resamples=300
        )
        for _ in range(200)
    ]
    assert 0.88 <= np.mean([i.low <= 0.6 <= i.high for i in intervals]) <= 0.99


def test_with_one_run_the_interval_is_that_of_its_groups():
    rng = np.random.default_rng(3)
    cast = rng.integers(1, 5, 200)
    votes_for = rng.binomial(cast, 0.6)
    in_runs = statistics.interval_over_groups_and_seeds(
        votes_for, cast, np.zeros(200), n_resamples=4000
    )
    np.testing.assert_allclose(
        in_runs, statistics.interval_over_groups(votes_for, cast), atol=0.006
    )
    assert in_runs == statistics.interval_over_groups_and_seeds(
        votes_for, cast, np.full(200, 7), n_resamples=4000
    ), "repeatable"


def test_runs_that_differ_make_the_interval_longer():
    votes_for = np.repeat([1, 2, 3], 50)  # groups of a run agree, runs do not
    by_run, mixed = np.repeat(range(3), 50), np.tile(range(3), 50)
    apart, alike = (
        statistics.interval_over_groups_and_seeds(votes_for, 4, seed)
        for seed in (by_run, mixed)
    )
    assert apart.value == alike.value == 0.5
    assert apart.low == 0.25 and apart.high == 0.75 and alike.high - alike.low < 0.12


@pytest.mark.parametrize(
    ("total", "count", "seed", "words"),
    [
        ([3], 4, [0], "two or more groups"),
        ([3, 2], 4, [0], "give one of each"),
        ([3, np.nan], 4, [0, 0], "leave that group out"),
        ([3, 2], [4, 0], [0, 1], "leave that group out"),
    ],
)
def test_groups_that_make_no_interval_are_refused(total, count, seed, words):
    with pytest.raises(statistics.StatisticsError, match=words):
        statistics.interval_over_groups_and_seeds(total, count, seed)


@few
@given(st.integers(2, 8), st.floats(0.5, 0.99), st.integers(0, 1000))
def test_the_seed_interval_is_students(n_seeds, level, seed):
    values = np.random.default_rng(seed).normal(0.5, 0.02, (n_seeds, 3))
    interval = statistics.interval_over_seeds(values, level=level)
    for i in range(3):
        low, high = stats.t.interval(
            level, n_seeds - 1, values[:, i].mean(), stats.sem(values[:, i])
        )
        np.testing.assert_allclose([interval.low[i], interval.high[i]], [low, high])


def test_one_seed_has_a_value_and_no_bounds():
    interval = statistics.interval_over_seeds([0.53])
    assert interval.value == 0.53 and np.isnan(interval.low) and np.isnan(interval.high)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: statistics.interval_over_seeds([]), "leave out runs that failed"),
        (
            lambda: statistics.interval_over_seeds([0.5, np.nan]),
            "leave out runs that failed",
        ),
        (lambda: statistics.interval_over_groups([3], 4), "two or more groups"),
        (lambda: statistics.interval_over_groups([3, 2], [4, 4, 4]), "one of each"),
        (lambda: statistics.interval_over_groups([3, 2], [4, 0]), "not positive"),
        (lambda: statistics.effect_of_time(np.ones(10)), "two or more groups"),
        (lambda: statistics.effect_of_time(np.ones((1, 10))), "two or more groups"),
        (lambda: statistics.effect_of_time(np.full((3, 10), np.nan)), "all finite"),
        (lambda: statistics.f_test([1, 2, 3]), "two or more samples"),
        (lambda: statistics.f_test([1, 2, 3], [1]), "two or more finite values"),
        (lambda: statistics.f_test([1, 1], [2, 2]), "no variance"),
        (lambda: statistics.mean_absolute_error([1, 2], [1]), "one by one"),
        (lambda: statistics.mean_absolute_error([], []), "one by one"),
        (lambda: statistics.mean_absolute_error([1, np.nan], [1, 2]), "missing"),
    ],
)
def test_what_cannot_be_computed_ends_in_a_sentence(call, words):
    with pytest.raises(statistics.StatisticsError) as refused:
        call()
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_the_effect_of_time_is_the_mean_of_least_squares_slopes():
    rng = np.random.default_rng(3)
    curves = 0.4 - 0.01 * np.arange(10) + rng.normal(0, 0.1, (30, 10))
    trend = statistics.effect_of_time(curves)
    slopes = [stats.linregress(np.arange(10), curve).slope for curve in curves]
    np.testing.assert_allclose(trend.slope, np.mean(slopes))
    np.testing.assert_allclose(trend.t, np.mean(slopes) / stats.sem(slopes))
    np.testing.assert_allclose(trend.p, 2 * stats.t.sf(abs(trend.t), 29))
    backwards = statistics.effect_of_time(curves[:, ::-1])
    np.testing.assert_allclose([backwards.slope, backwards.p], [-trend.slope, trend.p])


@few
@given(st.lists(st.integers(2, 12), min_size=2, max_size=4), st.integers(0, 1000))
def test_the_f_test_is_a_regression_on_conditions(sizes, seed):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=len(sizes))
    samples = [rng.normal(m, 1, size) for m, size in zip(means, sizes, strict=True)]
    condition = np.repeat(np.arange(len(sizes)), sizes)
    dummies = sm.add_constant(np.eye(len(sizes))[condition][:, 1:])
    fit = sm.OLS(np.concatenate(samples), dummies).fit()
    test = statistics.f_test(*samples)
    np.testing.assert_allclose([test.f, test.p], [fit.fvalue, fit.f_pvalue], rtol=1e-6)
    assert (test.df_between, test.df_within) == (fit.df_model, fit.df_resid)


def test_ours_stands_beside_theirs_row_by_row():
    printed = published.read("table_s1b_virtual_votes")
    ours = printed.sample(frac=1, random_state=0).assign(
        vote_share=lambda f: f["vote_share"] + 0.01, low=0.4
    )
    table = statistics.compare_with_published(
        ours, printed, on=["rival", "tail_endowment"], value="vote_share"
    )
    assert list(table.columns) == [
        "rival",
        "tail_endowment",
        "vote_share",
        "low",
        "published",
        "difference",
    ]
    np.testing.assert_allclose(table["difference"], 0.01)
    assert list(table["rival"]) == list(ours["rival"])
    assert list(table["tail_endowment"]) == list(ours["tail_endowment"])
    np.testing.assert_allclose(
        statistics.mean_absolute_error(table["vote_share"], table["published"]), 0.01
    )


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (
            lambda f: f.drop(columns="vote_share"),
            "our numbers have no column 'vote_share'",
        ),
        (lambda f: f.drop(columns="rival"), "our numbers have no column 'rival'"),
        (
            lambda f: pd.concat([f, f.head(1)]),
            "two rows for {'rival': 'strict_egalitarian', 'tail_endowment': 2}",
        ),
        (lambda f: f.iloc[1:], "only in one of the two tables"),
        (
            lambda f: f.replace({"rival": {"libertarian": "anarchist"}}),
            "only in one of the two tables",
        ),
    ],
)
def test_tables_that_do_not_match_are_refused(ours, words):
    printed = published.read("table_s1b_virtual_votes")
    with pytest.raises(statistics.StatisticsError) as refused:
        statistics.compare_with_published(
            ours(printed), printed, on=["rival", "tail_endowment"], value="vote_share"
        )
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_published_counts_and_what_the_text_makes_of_them():
    count = lambda name: (
        published.read(name)
        .groupby("rival")[["votes_for_hcrm", "votes_cast"]]
        .sum()
        .apply(tuple, axis=1)
        .to_dict()
    )
    released, preprint = count("fig2_votes"), count("table_s1a_votes")
    assert (
        released["strict_egalitarian"] == preprint["strict_egalitarian"] == (513, 776)
    )
    assert released["libertarian"] == (450, 716)
    assert preprint["libertarian"] == (
        450,
        740,
    )
    assert released["liberal_egalitarian"] == (951, 1744)
    assert preprint["liberal_egalitarian"] == (951, 1768)
    assert released["rational"] == preprint["rational"] == (421, 736)
    percent = lambda pair: round(100 * pair[0] / pair[1], 1)
    assert percent(preprint["libertarian"]) == 60.8
    assert percent(released["liberal_egalitarian"]) == 54.5
    assert percent(released["strict_egalitarian"]) == 66.1, "the text prints 66.2"


def test_the_interaction_is_that_of_a_repeated_measures_anova():
    from statsmodels.stats.anova import AnovaRM

    rng = np.random.default_rng(3)
    first, second = (
        rng.normal(size=(2, 20, 6))
        + rng.normal(size=(1, 20, 1))
        + np.linspace(0, 1, 6) * np.array([[[1.0]], [[0.4]]])
    )
    game, bins = np.indices(first.shape)
    place = {"game": game.ravel(), "bin": bins.ravel()}
    long = pd.concat(
        [
            pd.DataFrame(place | {"who": who, "y": y.ravel()})
            for who, y in (("a", first), ("b", second))
        ]
    )
    fit = AnovaRM(long, "y", "game", within=["who", "bin"]).fit()
    table = fit.anova_table.loc["who:bin"]
    ours = statistics.interaction_test(first, second)
    assert np.isclose(ours.f, table["F Value"])
    epsilon = ours.df_between / 5
    assert 1 / 5 <= epsilon <= 1 and np.isclose(ours.df_within, epsilon * 5 * 19)
    assert np.isclose(ours.p, stats.f.sf(table["F Value"], 5 * epsilon, 95 * epsilon))
    # what `rm_anova` of pingouin 0.7.0 makes of the same numbers; too heavy a package
    # to install for one function
    of_pingouin = {
        "F": 0.38993969756925634,
        "eps": 0.8124976745004081,
        "p_GG_corr": 0.8180589248017716,
    }
    np.testing.assert_allclose([ours.f, epsilon, ours.p], list(of_pingouin.values()))


def test_uncorrelated_bins_need_no_correction():
    rng = np.random.default_rng(4)
    ours = statistics.interaction_test(
        rng.normal(size=(20_000, 4)), np.zeros((20_000, 4))
    )
    assert np.isclose(ours.df_between, 3, rtol=1e-3)


@few
@given(st.integers(0, 2**31))
def test_the_paired_test_is_scipys_and_changes_sign_with_the_order(seed):
    first, second = np.random.default_rng(seed).normal(size=(2, 12))
    ours = statistics.paired_t_test(first, second)
    turned = statistics.paired_t_test(second, first)
    peer = stats.ttest_rel(first, second)
    assert np.isclose(ours.t, peer.statistic) and np.isclose(ours.p, peer.pvalue)
    assert ours.df == 11
    assert np.isclose(ours.t, -turned.t)
    assert np.isclose(ours.difference, -turned.difference)


@pytest.mark.parametrize("call", [
    lambda: statistics.paired_t_test([1.0], [2.0]),
    lambda: statistics.paired_t_test([1.0, 2.0], [0.0, 1.0]),
    lambda: statistics.interaction_test(np.zeros((3, 1)), np.ones((3, 1))),
    lambda: statistics.interaction_test(np.ones((5, 6)), np.zeros((5, 6))),
])  # fmt: skip
def test_nothing_to_compare_is_refused(call):
    with pytest.raises(statistics.StatisticsError):
        call()


@few
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2), st.floats(0, 0.2))
def test_a_verdict_agrees_exactly_within_both_errors_added_in_squares(
    published, value, half, margin
):
    apart, error = abs(published - value), (half**2 + margin**2) ** 0.5
    assume(abs(apart - error) > 1e-9)  # at the border rounding decides
    said = statistics.agreement(
        published, value, value - half, value + half, margin=margin
    )
    assert (said == "agree") == (apart < error)
