"The four experiments: numbers of groups and votes, referees with a memory, leaving."

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import experiments, game, mechanisms, participants
from democratic_ai.engine import published, store

POPULATION = participants.calibrated()
HCRM, RM = mechanisms.manifold(0.8, 0.9), mechanisms.manifold(0.9, 0.3)
QUESTIONS = list(experiments.QUESTIONS)
few = settings(max_examples=15, deadline=None)


def run(groups, seed=0):
    return experiments.run(jax.random.key(seed), POPULATION, HCRM, RM, groups=groups)


@pytest.fixture(scope="module")
def tables():
    return run(experiments.plan(fraction=0.03))


# --- referees that carry a state ------------------------------------------------------


def played_by_hand(key, players, endowment, mechanism):
    "Three rounds under a plain mechanism, as it was before referees could remember."
    key_start, key_rounds = jax.random.split(key)
    state, contributions, payouts = players.init(key_start, endowment), [], []
    for key_round in jax.random.split(key_rounds, 3):
        contribution = players.act(key_round, state, endowment)
        paid = game.payout(endowment, contribution, mechanism)
        state = players.update(state, endowment, contribution, paid, mechanism)
        contributions.append(contribution)
        payouts.append(paid)
    return jnp.stack(contributions, 1), jnp.stack(payouts, 1)


@pytest.mark.parametrize("name", mechanisms.BASELINES)
def test_a_plain_mechanism_plays_as_it_always_did(name):
    endowment = mechanisms.head_and_tails(jnp.array([2.0, 6, 10]))
    key = jax.random.key(3)
    mechanism = mechanisms.BASELINES[name]
    players = participants.players(POPULATION)
    play = jax.jit(lambda key: played_by_hand(key, players, endowment, mechanism))
    by_hand = play(key)
    for referee in (mechanism, game.as_referee(mechanism)):
        block = jax.jit(
            lambda key, referee=referee: game.play(
                key, players, endowment, referee, n_rounds=3
            )
        )(key)
        assert jnp.array_equal(block.contribution, by_hand[0])
        np.testing.assert_allclose(block.payout, by_hand[1], rtol=1e-6)


def test_a_referee_pays_out_the_whole_fund():
    seats = mechanisms.head_and_tails(jnp.array(mechanisms.TAILS, float))
    key, endowment = jax.random.key(0), jnp.repeat(seats, 40, 0)
    referee = experiments.human_referee()
    for players in (game.random_bots(), participants.players(POPULATION)):
        block = jax.jit(lambda p=players: game.play(key, p, endowment, referee))()
        assert (block.payout >= 0).all()
        fund = 1.6 * block.contribution.sum(-1)
        np.testing.assert_allclose(block.payout.sum(-1), fund, rtol=1e-5)


REFEREE = experiments.human_referee()
LEARN_AND_SHARE = jax.jit(
    lambda state, e, c, now: REFEREE.share(REFEREE.update(state, e, c, c), e, now)
)


@few
@given(seed=st.integers(0, 2**31 - 1), order=st.permutations(range(4)))
def test_a_referee_does_not_depend_on_the_order_of_players(seed, order):
    key, order = jax.random.key(seed), np.array(order)
    endowment = jnp.array([10.0, 4, 4, 4])
    before, now = jnp.floor(jax.random.uniform(key, (2, 4)) * (endowment + 1))
    state = REFEREE.init(key, endowment)
    later = REFEREE.update(state, endowment, before, before)
    here = REFEREE.share(later, endowment, now)
    moved = later._replace(record=later.record[order], tremble=later.tremble[order])
    np.testing.assert_allclose(
        REFEREE.share(moved, endowment[order], now[order]), here[order], rtol=1e-5
    )
    np.testing.assert_allclose(
        LEARN_AND_SHARE(state, endowment, before, now), here, rtol=1e-5
    )


def test_a_steady_referee_without_memory_is_a_point_of_the_manifold():
    plain = experiments.HumanReferee(
        departure=(0.4, 0.4), relative=(0.7, 0.7), memory=0.0, tremble=0.0
    )
    endowment = jnp.tile(mechanisms.head_and_tails(4.0), (50, 1))
    here, there = (
        game.play(jax.random.key(1), game.random_bots(), endowment, m)
        for m in (
            experiments.human_referee(plain),
            mechanisms.manifold((1 + 3 * 0.4) / 4, 0.7),
        )
    )
    assert jnp.array_equal(here.contribution, there.contribution)
    np.testing.assert_allclose(here.payout, there.payout, atol=1e-4)


def test_players_are_given_the_mechanism_that_is_in_force():
    endowment = jnp.tile(mechanisms.head_and_tails(4.0), (20, 1))
    parrots = game.Players(
        init=lambda key, endowment: jnp.zeros_like(endowment),
        act=lambda key, share, endowment: 1 + share,
        update=lambda share, endowment, contribution, payout, mechanism: mechanism(
            endowment, contribution
        ),
    )
    block = game.play(jax.random.key(2), parrots, endowment, REFEREE)
    share = block.payout / block.payout.sum(-1, keepdims=True)
    np.testing.assert_allclose(block.contribution[:, 1:] - 1, share[:, :-1], atol=1e-5)
    assert share.std(1).mean() > 0.01, "another rule in every round"


def test_every_group_has_its_own_referee_in_a_mixed_company():
    steady = experiments.human_referee(
        experiments.HumanReferee(departure=(0.5, 0.5), relative=(0.5, 0.5), tremble=0.0)
    )
    endowment = jnp.tile(mechanisms.head_and_tails(4.0), (6, 1))
    which = jnp.array([0, 1, 2, 2, 1, 0])
    choices = [mechanisms.libertarian, steady, game.equal_split]
    play = lambda mechanism: game.play(
        jax.random.key(5), game.random_bots(), endowment, mechanism
    )
    mixed = play(game.mechanism_by_group(choices, which))
    alone = [play(choice) for choice in choices]
    for group, code in enumerate(which):
        np.testing.assert_allclose(
            mixed.payout[group], alone[code].payout[group], atol=1e-5
        )


# --- who plays what, and who leaves ---------------------------------------------------


def test_the_plan_recruits_as_many_groups_as_the_paper():
    groups = experiments.plan()
    n = groups.groupby("experiment").size()
    assert n.to_dict() == {1: 189, 2: 821, 3: 184, 4: 61}
    first = groups[groups.experiment == 1]
    assert first.groupby("tail_endowment").size().to_dict() == {2: 61, 4: 61, 10: 67}
    assert (first.rival == "libertarian").sum() == 94
    cells = (
        groups[groups.experiment.isin([2, 3])]
        .groupby(["rival", "tail_endowment"])
        .size()
    )
    votes = published.read("table_s1a_votes")
    votes = votes.set_index(["rival", "tail_endowment"]).votes_cast
    assert (4 * cells == votes.reindex(cells.index)).all() and len(cells) == len(votes)
    assert (groups.groupby("experiment").group.max() + 1 == n).all()


@few
@given(fraction=st.floats(0.001, 1))
def test_order_is_counterbalanced_in_every_cell(fraction):
    groups = experiments.plan(fraction=fraction)
    cells = (
        groups[groups.experiment > 1]
        .groupby(["experiment", "rival", "tail_endowment"])
        .agent_first.agg(["sum", "size"])
    )
    assert len(cells) == 21 and (cells["size"] >= 2).all()
    assert ((2 * cells["sum"] - cells["size"]).abs() <= 1).all()


def test_blocks_come_in_the_order_of_the_paper():
    groups = experiments.plan(fraction=0.01)
    first, second = (groups[groups.experiment == k] for k in (1, 2))
    four = ["libertarian", "early_hcrm"] * 2
    assert experiments.schedule(first)[:, 0].tolist() == ["tutorial", *four]
    order = experiments.schedule(second)
    assert (order[0] == "tutorial").all()
    assert ((order[1] == "hcrm") == second.agent_first).all()
    assert ((order[2] == "hcrm") == ~second.agent_first).all()


def test_the_pattern_of_votes_cast_is_exact():
    for seed in range(3):
        leaves = experiments.experiment4_dropouts(jax.random.key(seed), 61)
        stay = np.isinf(leaves)
        assert np.bincount(stay.sum(-1), minlength=5).tolist() == [0, 2, 3, 13, 43]
        assert stay.sum() == 219
        gone = np.asarray(leaves)[~stay]
        assert (gone >= 1).all() and (gone < 30).all()
        assert (gone == np.round(gone)).all()
    assert not np.array_equal(
        stay, np.isinf(experiments.experiment4_dropouts(jax.random.key(0), 61))
    )


@pytest.mark.parametrize("n_groups", [1, 6, 80])
def test_fewer_games_keep_the_pattern_in_proportion(n_groups):
    stay = np.isinf(experiments.experiment4_dropouts(jax.random.key(0), n_groups)).sum(
        -1
    )
    assert len(stay) == n_groups and (stay >= 1).all()
    assert abs((stay == 4).sum() - 43 / 61 * n_groups) <= 1


# --- the tables -----------------------------------------------------------------------


def test_tables_have_every_round_and_every_vote(tables):
    trials, votes = tables
    groups = experiments.plan(fraction=0.03)
    assert list(trials.columns) == [*experiments.TRIAL_COLUMNS, "source"]
    assert set(trials.source) == {"participants"}
    n = groups.groupby("experiment").size()
    of_each = lambda table: table.groupby("experiment").size().to_dict()
    assert of_each(trials) == {k: 120 * n[k] for k in n.index}
    assert of_each(votes) == {k: 4 * n[k] for k in (2, 3, 4)}
    sessions = (
        trials.drop_duplicates(["experiment", "group", "session"])
        .groupby(["experiment", "session"])
        .mechanism.unique()
    )
    assert list(sessions[1, 0]) == ["strict_egalitarian"]
    assert all(list(sessions[k, 0]) == ["tutorial"] for k in (2, 3, 4))
    assert set(trials.mechanism) == {
        "tutorial",
        *mechanisms.BASELINES,
        "hcrm",
        "rational",
        "human_referee",
    }
    assert (trials[trials.player == 0].endowment == 10).all()
    met = (
        trials[trials.session == 1]
        .drop_duplicates(["experiment", "group"])
        .set_index(["experiment", "group"])
        .mechanism
    )
    first = votes[votes.player == 0].set_index(["experiment", "group"]).agent_first
    assert ((met.loc[2:] == "hcrm") == first).all()
    experiments.validate(trials, votes)


def test_who_left_does_not_vote_and_who_stayed_does(tables):
    trials, votes = tables
    last = (
        trials[trials.session == 2]
        .groupby(["experiment", "group", "player"])
        .answered.all()
    )
    votes = votes.set_index(["experiment", "group", "player"])
    assert (votes.vote.notna() == last.reindex(votes.index)).all()
    assert (votes[QUESTIONS].notna().all(axis=1) == votes.vote.notna()).all()
    assert votes.loc[[2, 3]].vote.notna().all()
    assert votes.vote.dropna().isin([0, 1]).all()
    census = experiments.count_votes(trials, votes.reset_index())
    assert (
        census.votes[4]
        == np.isinf(experiments.experiment4_dropouts(jax.random.key(0), 2)).sum()
    )
    assert census.votes[1] == 0


def test_the_same_key_gives_the_same_tables_and_another_key_others(tables):
    groups = experiments.plan(fraction=0.03).query("experiment == 4")
    for whole, there, other in zip(
        tables, run(groups), run(groups, seed=1), strict=True
    ):
        here = whole[whole.experiment == 4].reset_index(drop=True)
        pd.testing.assert_frame_equal(here, there)
        assert not here.equals(other)


def test_a_block_is_summarised_as_one_would_by_hand(tables):
    trials, _ = tables
    summary = experiments.summarise_blocks(trials.sample(frac=1, random_state=0))
    place = ["experiment", "group", "session"]
    blocks = dict(list(trials.groupby(place)))
    for row in summary.iloc[[0, 17, -1]].itertuples():
        block = blocks[row.experiment, row.group, row.session]
        head, tail = block[block.player == 0], block[block.player > 0]
        gain = block.payout + block.endowment - block.contribution
        assert np.isclose(row.head_payout, head.payout.mean())
        assert np.isclose(row.tail_payout, tail.payout.mean())
        assert np.isclose(
            row.tail_relative_contribution, (tail.contribution / tail.endowment).mean()
        )
        assert np.isclose(row.head_relative_payout, (head.payout / 10).mean())
        assert np.isclose(row.head_share, head.payout.sum() / block.payout.sum())
        assert np.isclose(row.surplus, gain.sum() / block.endowment.sum())
        returns = gain.groupby(block.player).sum().to_numpy()
        gini = np.abs(returns[:, None] - returns).mean() / (2 * returns.mean())
        assert np.isclose(row.gini, gini, atol=1e-6)
        assert row.complete == block.answered.all()
    assert len(summary) == len(blocks)


def test_contribution_means_are_those_of_experiment_1(tables):
    trials, _ = tables
    means = experiments.contribution_means(trials)
    assert len(means) == 180
    cell = "mechanism == 'libertarian' and tail_endowment == 4 and round == 7"
    rows = trials.query(f"experiment == 1 and {cell} and player > 0")
    found = means.query(f"{cell} and role == 'tail'").relative_contribution.item()
    assert np.isclose(found, (rows.contribution / rows.endowment).mean())


# --- seven questions ------------------------------------------------------------------


def test_impressions_measure_what_is_asked():
    block = game.play(
        jax.random.key(0),
        game.random_bots(),
        mechanisms.head_and_tails(jnp.array([4.0])),
        mechanisms.manifold(0.6, 0.5),
    )
    seen = np.asarray(experiments.debriefing_features(block))[:, 0]
    gave, got, e = (
        np.asarray(x, float)[0]
        for x in (block.contribution, block.payout, block.endowment)
    )
    own = ((got + e - gave) / e).mean(0)
    kept, share = 1 - gave / e, got / got.sum(1, keepdims=True)
    np.testing.assert_allclose(seen[1], own, rtol=1e-4)
    np.testing.assert_allclose(seen[2], np.median(own), rtol=1e-4)
    np.testing.assert_allclose(seen[4], (gave / e).mean(), rtol=1e-4)
    np.testing.assert_allclose(seen[5], (share * kept).sum() / kept.sum(), rtol=1e-4)
    np.testing.assert_allclose(
        seen[6], [np.corrcoef(gave[:, i], got[:, i])[0, 1] for i in range(4)], atol=1e-4
    )


def test_nothing_given_and_nothing_changing_are_no_nan():
    still = game.random_bots()._replace(act=lambda key, state, e: 0 * e)
    block = game.play(
        jax.random.key(0),
        still,
        mechanisms.head_and_tails(jnp.array([4.0])),
        mechanisms.libertarian,
    )
    assert jnp.isfinite(experiments.debriefing_features(block)).all()


def test_a_halo_shines_on_whom_one_voted_for_and_question_six_has_none():
    endowment = jnp.tile(mechanisms.head_and_tails(4.0), (4000, 1))
    block = game.play(
        jax.random.key(1), game.random_bots(), endowment, mechanisms.libertarian
    )
    ask = lambda vote: experiments.debrief(jax.random.key(2), block, block, vote)
    shares = {
        v: np.asarray(ask(jnp.full(endowment.shape, v))).mean((1, 2))
        for v in (True, False)
    }
    np.testing.assert_allclose(shares[True] + shares[False], 1, atol=0.02)
    halos = [question.halo for question in experiments.QUESTIONS.values()]
    expected = [1 / (1 + np.exp(-halo)) for halo in halos]
    np.testing.assert_allclose(shares[True], expected, atol=0.02)
    assert np.argmax(shares[True]) == 1 and abs(shares[True][5] - 0.5) < 0.02


def test_tables_that_are_not_whole_are_refused(tables):
    trials, votes = tables
    mine = (trials.experiment == 2) & (trials.group == 3)
    row = trials.index[mine][0]
    twice = trials.index[mine][[0, 1]]
    player = trials.player.where(trials.index != twice[1], trials.player[twice[0]])
    payout = trials.payout + (trials.index == row)
    rival = trials.rival.where(trials.index != row, "hcrm")
    voted = (votes.experiment == 2) & (votes.group == 3)
    broken = {
        "without ten rounds of four players": (trials.drop(index=row), votes),
        "two rows for one round": (trials.assign(player=player), votes),
        "not 1.6 times": (trials.assign(payout=payout), votes),
        "more than one rival": (trials.assign(rival=rival), votes),
        "not one row of votes": (trials, votes.drop(index=votes.index[voted][0])),
        "without voting": (trials, votes[~voted]),
    }
    for problem, pair in broken.items():
        with pytest.raises(
            store.DataError, match=rf"Experiment 2, group 3 .*{problem}"
        ):
            experiments.validate(*pair)
