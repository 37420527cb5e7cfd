"""The statistics of the text by name.

Counts, shares and tests against tables counted by hand, and margins against their
means.
"""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from democratic_ai import (
    experiments,
    findings,
    graphnet,
    mechanisms,
    participants,
    statistics,
)
from democratic_ai.engine import published

HCRM, RM = mechanisms.manifold(0.8, 0.9), mechanisms.manifold(0.9, 0.3)


@pytest.fixture(scope="module")
def tables():
    "A small run of all four experiments."
    plan = experiments.plan(fraction=0.03)
    return experiments.run(
        jax.random.key(0), participants.calibrated(), HCRM, RM, groups=plan
    )


@pytest.fixture(scope="module")
def beach():
    surfaces = (
        graphnet.beach(HCRM, tail).assign(tail_endowment=tail)
        for tail in mechanisms.TAILS
    )
    return pd.concat(surfaces).assign(mechanism="hcrm")


def test_group_contributions_are_means_of_fractions(tables):
    trials, _ = tables
    curves = statistics.group_contributions(trials, "libertarian", "tail")
    tail, group = curves.index[0]
    rows = trials[
        (trials.experiment == 1)
        & (trials.mechanism == "libertarian")
        & (trials.group == group)
    ]
    rows = rows[(rows.player > 0) & (rows["round"] == 3)]
    assert set(rows.tail_endowment) == {tail}
    assert len(rows) == 3 * rows.session.nunique()
    assert curves.loc[(tail, group), 3] == pytest.approx(
        (rows.contribution / rows.endowment).mean()
    )
    parts = [
        statistics.group_contributions(trials, "libertarian", role)
        for role in ("head", "tail", "all")
    ]
    np.testing.assert_allclose((parts[0] + 3 * parts[1]) / 4, parts[2])


def test_experiment_1_is_tested_on_one_value_per_group(tables):
    trials, _ = tables
    found = statistics.experiment1_tests(trials)
    curves = statistics.group_contributions(
        trials, "strict_egalitarian", "all"
    ).to_numpy()
    slopes = [stats.linregress(range(10), curve).slope for curve in curves]
    assert found["exp1_time_strict_egalitarian_p"] == pytest.approx(
        stats.ttest_1samp(slopes, 0).pvalue
    )
    heads = statistics.group_contributions(trials, "libertarian", "head").mean(axis=1)
    test = stats.f_oneway(*(cell for _, cell in heads.groupby("tail_endowment")))
    assert found["exp1_heads_libertarian_f"] == pytest.approx(test.statistic)
    assert found["exp1_players"] == 4 * trials[trials.experiment == 1].group.nunique()


def test_votes_not_cast_are_not_counted():
    votes = pd.DataFrame(
        {
            "rival": "rational",
            "tail_endowment": 4,
            "group": [0, 0, 0, 1, 1, 2],
            "vote": [1, 0, np.nan, 1, 1, np.nan],
        }
    )
    counted = statistics.votes_by_group(votes)
    assert counted["sum"].tolist() == [1, 2] and counted["count"].tolist() == [2, 2]
    tested = statistics.vote_test(votes, "x")
    assert tested == {
        "x_share": 0.75,
        "x_p": statistics.permutation_test([1, 2], [2, 2]),
    }


def test_shares_and_players_of_experiments_2_and_3_are_those_of_the_table(tables):
    trials, votes = tables
    found = findings.text_statistics(trials, votes)
    cast = votes[(votes.experiment == 2) & (votes.rival == "liberal_egalitarian")]
    extreme = cast[cast.tail_endowment <= 4]
    assert found["exp2_liberal_egalitarian_extreme_share"] == pytest.approx(
        extreme.vote.mean()
    )
    assert (
        found["exp2_liberal_egalitarian_lowest"]
        == cast.groupby("tail_endowment").vote.mean().min()
    )
    assert found["exp3_share"] == pytest.approx(
        votes[votes.experiment == 3].vote.mean()
    )
    groups = experiments.plan(fraction=0.03).groupby("experiment").size()
    assert [found[f"exp{k}_players"] for k in (1, 2, 3)] == [
        4 * groups[k] for k in (1, 2, 3)
    ]
    assert found["players_in_all"] == 4 * groups[[1, 2, 3]].sum()
    blocks = experiments.summarise_blocks(trials[trials.experiment == 3])
    surplus = blocks.pivot(index="group", columns="mechanism", values="surplus")
    assert found["exp3_surplus_t"] == pytest.approx(
        stats.ttest_rel(surplus.hcrm, surplus.rational).statistic
    )


def test_every_comparable_number_of_the_text_has_a_counterpart(tables):
    printed = published.read("text_statistics")
    assert set(printed.name[printed.not_comparable.isna()]) <= set(
        findings.text_statistics(*tables)
    )


def test_profiles_of_experiment_4_are_frequencies_of_rounds(tables):
    trials, votes = tables
    for profile in statistics.head_share_profiles(trials):
        assert profile.shape == (votes[votes.experiment == 4].group.nunique(), 6)
        np.testing.assert_allclose(profile.sum(1), 1)
    found = statistics.experiment4_tests(trials, votes)
    assert found["exp4_votes"] == votes[votes.experiment == 4].vote.count()


def test_a_head_paid_everything_is_in_the_last_bin():
    rows = [
        (name, 0, turn, player)
        for name in ("hcrm", "human_referee")
        for turn in (1, 2)
        for player in range(4)
    ]
    trials = pd.DataFrame(
        rows, columns=["mechanism", "group", "round", "player"]
    ).assign(experiment=4, session=1)
    trials["payout"] = np.where(trials.player == 0, 16.0, 0.0)
    hcrm, referee = statistics.head_share_profiles(trials)
    assert hcrm.tolist() == referee.tolist() == [[0, 0, 0, 0, 0, 1]]


def test_without_answers_there_is_no_debriefing(tables):
    _, votes = tables
    assert set(findings.debriefing_tests(votes)) == {
        "debriefing_smallest_t",
        "debriefing_permissive_t",
        "debriefing_own_t",
    }
    assert findings.debriefing_tests(votes.assign(q3=np.nan)) == {}


@pytest.fixture(scope="module")
def robin():
    "A metagame in which liberal egalitarian is beaten by one mechanism."
    return published.read("table_s2_metagame").assign(
        win_probability=lambda t: t.win_probability.where(
            (t.row_v < 1) | (t.row_w < 1) | (t.col_v != 0) | (t.col_w != 0.5), 0.4
        )
    )


def test_margins_are_differences_of_means(tables, beach, robin):
    trials, votes = tables
    blocks = experiments.summarise_blocks(trials)
    found = findings.finding_margins(blocks, votes, beach, robin)
    assert set(found) == set(findings.FINDINGS) and len(found) >= 18
    share = votes.groupby("rival").vote.mean()
    assert found["preferred_to_human_referee"] == pytest.approx(
        share["human_referee"] - 0.5
    )
    liberal = votes[votes.rival == "liberal_egalitarian"]
    extreme = liberal[liberal.tail_endowment.isin([2, 4])].vote.mean() - 0.5
    assert found["level_under_extreme_inequality"] == pytest.approx(extreme)
    lowest = votes[votes.rival == "libertarian"].groupby("tail_endowment").vote.mean()
    assert found["everywhere_against_libertarian"] == pytest.approx(lowest.min() - 0.5)
    late = trials[
        (trials.experiment == 3)
        & (trials.session > 0)
        & (trials.tail_endowment <= 4)
        & (trials.player == 0)
    ]
    late = late[late["round"] >= 8].groupby("mechanism").contribution.mean() / 10
    assert found["heads_leave_rm"] == pytest.approx(late["hcrm"] - late["rational"])
    shore = beach[
        (beach.tail_contribution_sum == 3 * beach.tail_endowment)
        & (beach.head_contribution <= 4)
    ]
    assert found["nothing_below_half"] == pytest.approx(0.05 - shore.head_share.mean())
    assert found["liberal_egalitarian_is_equilibrium"] == pytest.approx(-0.1)


def test_margins_of_blocks_are_those_counted_by_hand(tables, beach, robin):
    trials, votes = tables
    blocks = experiments.summarise_blocks(trials)
    found = findings.finding_margins(blocks, votes, beach, robin)
    played = blocks[blocks.experiment.isin([2, 3]) & (blocks.session > 0)]
    mine, theirs = (
        played[(played.rival == "liberal_egalitarian") & (played.mechanism == name)]
        for name in ("hcrm", "liberal_egalitarian")
    )
    assert found["more_surplus_than_liberal_egalitarian"] == pytest.approx(
        mine.surplus.mean() - theirs.surplus.mean(), abs=1e-6
    )
    assert found["more_equal_than_liberal_egalitarian"] == pytest.approx(
        theirs.gini.mean() - mine.gini.mean(), abs=1e-6
    )
    unequal = played[(played.mechanism == "hcrm") & (played.tail_endowment < 10)]
    first = {2: 0.375, 4: 9 / 44, 6: 9 / 84, 8: 3 / 68}
    assert found["inequality_redressed"] == pytest.approx(
        (unequal.tail_endowment.map(first) - unequal.gini).mean(), abs=1e-5
    )
    first_experiment = trials[(trials.experiment == 1) & (trials.player == 0)]
    heads = first_experiment.groupby(["mechanism", "tail_endowment"]).contribution
    heads = heads.mean() / 10
    assert found["heads_differ_under_libertarian"] == pytest.approx(
        heads["libertarian", 10] - heads["libertarian", 2]
    )
    of_strict = heads["strict_egalitarian"]
    assert found["heads_alike_under_strict_egalitarian"] == pytest.approx(
        of_strict.max() - of_strict.min()
    )


def test_findings_are_judged_by_the_interval_over_seeds():
    margins = {
        "up": [0.1, 0.11, 0.1],
        "down": [-0.1, -0.11, -0.1],
        "either": [0.1, -0.2],
        "small": [0.001, -0.001, 0],
        "same": [0.01, -0.01, 0],
        "alone": [0.3],
    }
    what = {name: findings.Finding(name, smallest=0.05) for name in margins}
    what["same"] = findings.Finding("same", equal_within=0.1, smallest=0.0)
    judged = findings.judge_findings(
        margins, what, published={"small": (0.05, 0.01), "either": (0.05, 0.01)}
    )
    words = ["found", "refuted", "cannot tell", "refuted", "found", "found"]
    assert judged.word.tolist() == words
    row = judged.set_index("name").loc["up"]
    np.testing.assert_allclose(
        [row.margin, row.low, row.high], statistics.interval_over_seeds(margins["up"])
    )
    assert judged.power.isna().tolist() == [False] * 5 + [True]


def test_power_is_the_share_of_runs_that_find():
    rng = np.random.default_rng(0)
    spread = np.array([-2, -1, 0, 1, 2]) / np.sqrt(2.5)  # standard deviation one
    for true in (0.01, 0.03):
        runs = rng.normal(true, 0.02, (4000, 5))
        finds = [
            findings.judge_finding(statistics.interval_over_seeds(run)) == "found"
            for run in runs
        ]
        # five standard errors of a share of 4,000
        expected = findings.power(0.02 * spread, true)
        assert abs(np.mean(finds) - expected) < 5 * np.sqrt(0.25 / 4000)


def test_p_values_have_a_median_and_a_range():
    assert statistics.p_value_over_seeds([0.2, 0.01, 0.5]) == (0.2, 0.01, 0.5)
    assert statistics.p_value_over_seeds([0.2]) == (0.2, 0.2, 0.2)
