"""Stand-in participants.

Bounds and equivariance on random input, oracles for choice and marginal return, the
composition of the data.
"""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import (
    calibration,
    data,
    game,
    graphnet,
    mechanisms,
    participants,
    rational,
    voting,
)
from democratic_ai.engine import store

POPULATION = participants.calibrated()
coins = st.integers(1, 10)
choose = jax.jit(participants.act)
learn = jax.jit(participants.update, static_argnames="mechanism")
marginal = jax.jit(participants.marginal_return, static_argnames="mechanism")


@st.composite
def rounds(draw):
    "A group's endowments and what it gave."
    endowment = draw(st.lists(coins, min_size=4, max_size=4))
    return np.array(endowment, np.float32), np.array(
        [draw(st.integers(0, e)) for e in endowment], np.float32
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    endowment=st.lists(coins, min_size=4, max_size=4),
    inclination=st.floats(-60, 60),
)
def test_choices_are_whole_coins_that_one_has(seed, endowment, inclination):
    e = jnp.array(endowment, jnp.float32)
    c = choose(jax.random.key(seed), jnp.full(4, inclination), e, POPULATION)
    assert ((c >= 0) & (c <= e) & (c == jnp.round(c))).all()


@pytest.mark.parametrize("endowment", [1, 2, 5, 10])
def test_choice_frequencies_are_the_stated_probabilities(endowment):
    population = replace(POPULATION, width=0.2, focal=0.7)
    n, c = 200_000, np.arange(endowment + 1)
    drawn = choose(
        jax.random.key(1), jnp.zeros(n), jnp.full(n, float(endowment)), population
    )
    weight = np.exp(
        -(((c / endowment - 0.5) / 0.2) ** 2) / 2
        + 0.7 * np.isin(c / endowment, (0, 0.5, 1))
    )
    np.testing.assert_allclose(
        np.bincount(np.asarray(drawn, int), minlength=len(c)) / n,
        weight / weight.sum(),
        atol=0.005,
    )


@settings(max_examples=30, deadline=None)
@given(table=rounds(), name=st.sampled_from(list(mechanisms.BASELINES)))
def test_marginal_return_is_what_playing_the_other_coin_would_have_given(table, name):
    endowment, contribution = table
    mechanism = mechanisms.BASELINES[name]
    found = marginal(endowment, contribution, mechanism=mechanism)
    for i in range(4):
        step = 1 if contribution[i] < endowment[i] else -1
        other = contribution.copy()
        other[i] += step
        there, here = (
            game.returns(endowment, c, game.payout(endowment, c, mechanism))[i]
            for c in (other, contribution)
        )
        assert np.isclose(found[i], (there - here) / step, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    table=rounds(),
    order=st.permutations(range(4)),
    name=st.sampled_from(list(mechanisms.BASELINES)),
)
def test_learning_does_not_depend_on_the_order_of_players(table, order, name):
    endowment, contribution = table
    mechanism = mechanisms.BASELINES[name]
    state = participants.AgentState(
        jnp.linspace(-1, 2, 4), jnp.linspace(1, 0, 4), jnp.linspace(0.1, 0.5, 4)
    )
    order = np.array(order)

    def learned(state, e, c):
        return learn(
            state,
            e,
            c,
            game.payout(e, c, mechanism),
            mechanism=mechanism,
            population=POPULATION,
        ).inclination

    here = learned(state, endowment, contribution)[order]
    moved = learned(
        jax.tree.map(lambda leaf: leaf[order], state),
        endowment[order],
        contribution[order],
    )
    np.testing.assert_allclose(here, moved, atol=1e-4)


def test_only_lost_coins_hurt():
    e, c = jnp.full(4, 10.0), jnp.array([5.0, 5, 5, 0])
    state = participants.AgentState(*jnp.zeros((3, 4)))
    quiet = replace(POPULATION, imitation=0.0, pull=0.0, reaction=0.0)
    hurt = participants.update(
        state, e, c, jnp.array([0.0, 2.5, 5, 0]), game.equal_split, quiet
    ).inclination
    np.testing.assert_allclose(hurt, -quiet.loss * np.array([1, 0.25, 0, 0]), atol=1e-6)


def test_calibration_keeps_the_bar_on_fresh_games():
    error = participants.fig1c_error(jax.random.key(20260), n_games=2048)(POPULATION)
    assert error < 0.04
    assert error == pytest.approx(
        participants.read_calibration()["error_fresh_games"], abs=0.003
    )


def test_committed_fit_is_the_published_figure_and_the_committed_error():
    fit = data.pd.read_csv(participants.CALIBRATION.parent / "fit.csv")
    assert len(fit) == 180
    np.testing.assert_allclose(
        fit.published, participants.fig1c_published().ravel(), atol=1e-4
    )
    assert (fit.fitted - fit.published).abs().mean() == pytest.approx(
        participants.read_calibration()["error_fresh_games"], abs=2e-4
    )


def test_search_goes_on_where_it_was_stopped(tmp_path):
    search = calibration.Search(n_games=8, n_candidates=4, n_generations=3)
    whole, history = calibration.calibrate(search, log=tmp_path / "log.json")
    kept = json.loads((tmp_path / "log.json").read_text())
    store.write_json(tmp_path / "log.json", kept | {"values": kept["values"][:1]})
    resumed, again = calibration.calibrate(search, log=tmp_path / "log.json")
    assert whole == resumed and history.equals(again)
    assert whole.loss == search.loss


def test_pilot_is_composed_as_published():
    plays = participants.pilot(jax.random.key(0), POPULATION)
    endowment = np.asarray(plays.block.endowment)
    assert len(plays) == data.N_BLOCKS == 4809
    assert int(plays.answered.all(-1).sum()) == data.N_COMPLETE == 2491
    kind = np.sort(endowment, -1)[:, ::-1]
    for mix, count in data.ENDOWMENTS.items():
        if mix:
            assert count <= (kind == mix).all(-1).sum() <= count + 8
    assert set(np.unique(endowment)) == set(range(1, 11))
    head = endowment[(kind == (10, 5, 4, 3)).all(-1)].argmax(-1)
    np.testing.assert_allclose(
        np.bincount(head, minlength=4) / len(head), 0.25, atol=0.06
    )
    assert (np.asarray(plays.mechanism)[np.asarray(plays.session) == 0] == 0).all()
    assert set(np.unique(plays.session)) == {0, 1, 2, 3, 4}


@settings(max_examples=4, deadline=None)
@given(n_blocks=st.integers(1, 400))
def test_groups_fill_any_number_of_blocks(n_blocks):
    endowment, length = data.pilot_groups(jax.random.key(0), n_blocks=n_blocks)
    assert int(length.sum()) == n_blocks and endowment.shape == (len(length), 4)
    n_complete = max(1, n_blocks // 2)
    leaves = data.dropout_rounds(jax.random.key(1), length, n_complete=n_complete)
    ends = 10 * np.arange(1, 6)
    here = ends[None] <= 10 * np.asarray(length)[:, None]
    assert ((np.asarray(leaves.min(-1))[:, None] >= ends) & here).sum() == n_complete


def test_bots_take_over_in_the_round_that_was_drawn():
    silent = game.random_bots()._replace(act=lambda key, state, e: 0 * e)
    leaves = jnp.array([0, 3, 10, jnp.inf])
    players = game.with_dropouts(silent, leaves)
    block = game.play(
        jax.random.key(0), players, jnp.full((500, 4), 10.0), game.equal_split
    )
    bot = np.asarray(block.contribution.sum(0) > 0)
    np.testing.assert_array_equal(bot, np.arange(10)[:, None] >= np.asarray(leaves))


def test_repeat_is_counterbalanced():
    plays = participants.play_against_rival(
        jax.random.key(0),
        POPULATION,
        mechanisms.libertarian,
        "mine",
        rival=mechanisms.strict_egalitarian,
        rival_name="rival",
        n_groups=40,
    )
    assert plays.names == ("tutorial", "mine", "rival") and len(plays) == 120
    codes = {
        (int(s), int(m)) for s, m in zip(plays.session, plays.mechanism, strict=True)
    }
    assert codes == {(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)}
    mine = plays.block.payout[plays.mechanism == 1]
    np.testing.assert_allclose(
        mine, 1.6 * plays.block.contribution[plays.mechanism == 1], atol=1e-3
    )


def test_other_people_and_another_network_need_no_new_program():
    def repeat(seed):
        rule = graphnet.mechanism(graphnet.init(jax.random.key(seed)))
        people = replace(POPULATION, generosity=float(seed))
        return participants.play_against_rival(
            jax.random.key(seed), people, rule, "mine", n_groups=4
        ).block.contribution

    first, compiled = repeat(1), participants._all_blocks._cache_size()
    assert (first != repeat(2)).any()
    assert participants._all_blocks._cache_size() == compiled


def test_votes_depend_on_the_order_of_the_referees_and_not_on_their_names():
    e = jnp.tile(mechanisms.head_and_tails(4.0), (20_000, 1))
    a, b = (
        game.play(jax.random.key(k), game.random_bots(), e, m)
        for k, m in enumerate(list(mechanisms.BASELINES.values())[:2])
    )
    for_a, for_b = (
        voting.stand_in_vote(jax.random.key(2), *pair, recency=0.0).mean(0)
        for pair in ((a, b), (b, a))
    )
    np.testing.assert_allclose(for_a + for_b, 1, atol=0.02)
    twice = voting.stand_in_vote(jax.random.key(2), a, a, whim=0.0).mean()
    np.testing.assert_allclose(twice, 1 / (1 + np.exp(0.2)), atol=0.01)


def test_further_mechanisms_of_the_pilot_go_by_their_names():
    takes_all = lambda player: (
        lambda endowment, contribution: (
            jnp.zeros_like(contribution).at[..., player].set(1.0)
        )
    )
    plays = participants.pilot(
        jax.random.key(0),
        POPULATION,
        n_blocks=200,
        extra={"z": takes_all(0), "a": takes_all(3)},
    )
    for name, player in (("z", 0), ("a", 3)):
        payout = plays.block.payout[plays.mechanism == plays.names.index(name)]
        assert len(payout) > 0 and payout[..., player].sum() > 0
        assert payout.sum() == payout[..., player].sum()


def test_a_pilot_without_blocks_is_refused():
    with pytest.raises(ValueError, match="n_blocks is 0"):
        participants.pilot(jax.random.key(0), POPULATION, n_blocks=0)


@pytest.mark.parametrize("rules", [game.Game(growth=2.0), game.Game(most_coins=20)])
@pytest.mark.parametrize(
    "make",
    [lambda **rules: participants.players(POPULATION, **rules), rational.players],
)
def test_a_game_with_other_numbers_goes_all_the_way_or_is_refused(rules, make):
    endowment = mechanisms.head_and_tails(4.0, head=rules.most_coins)
    name = "growth" if rules.growth != 1.6 else "most_coins"
    for players, played in ((make(), rules), (make(rules=rules), game.Game())):
        with pytest.raises(ValueError, match=f"game.{name} is .* made for"):
            game.play(
                jax.random.key(0),
                players,
                endowment,
                mechanisms.libertarian,
                game=played,
            )
    block = game.play(
        jax.random.key(0),
        make(rules=rules),
        endowment,
        mechanisms.libertarian,
        game=rules,
    )
    np.testing.assert_allclose(
        block.payout, rules.growth * block.contribution, rtol=1e-5
    )
    dropped = game.with_dropouts(make(rules=rules), jnp.full(4, jnp.inf))
    assert dropped.game == rules


def test_a_larger_endowment_can_be_given_whole():
    rules, n = game.Game(most_coins=20), 500
    generous = replace(POPULATION, generosity=50.0, width=0.01)
    endowment = jnp.full((n, 4), 20.0)
    block = game.play(
        jax.random.key(0),
        participants.players(generous, rules=rules),
        endowment,
        game.equal_split,
        game=rules,
        n_rounds=1,
    )
    assert (block.contribution == 20).all()
