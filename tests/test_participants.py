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
from scipy import stats

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
learn = jax.jit(participants.update)
chances = jax.jit(participants.choice_probabilities)


def somebody(endowment, population=POPULATION, seed=0):
    "Seat persons at a table without a referee."
    key = jax.random.key(seed)
    return participants.init(key, jnp.asarray(endowment), population, referee=False)


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
    state = somebody(e)._replace(inclination=jnp.full(4, inclination))
    c = choose(jax.random.key(seed), state, e, POPULATION)
    assert ((c >= 0) & (c <= e) & (c == jnp.round(c))).all()


@pytest.mark.parametrize("endowment", [1, 2, 5, 10])
@pytest.mark.parametrize("given", [-1.0, 1.0])
@pytest.mark.parametrize("n_played", [0.0, 9.0])
def test_choice_frequencies_are_the_stated_probabilities(endowment, given, n_played):
    p, n, c = POPULATION, 200_000, np.arange(endowment + 1)
    everyone = lambda x: jnp.full((n, 4), x)
    e = everyone(float(endowment))
    state = somebody(e)._replace(
        inclination=everyone(0.3),
        width=everyone(0.2),
        given=everyone(given),
        n_played=everyone(n_played),
    )
    drawn = choose(jax.random.key(1), state, e, p)
    target = 1 / (1 + np.exp(-0.3 + p.ending * (n_played == 9)))
    liking = p.nothing * (c == 0) + p.half * (2 * c == endowment)
    liking = liking + p.everything * (c == endowment) + p.repeat * (c == given)
    weight = np.exp(liking - ((c / endowment - target) / 0.2) ** 2 / 2)
    stated = (1 - p.lapse) * weight / weight.sum() + p.lapse / (endowment + 1)
    found = np.bincount(np.asarray(drawn, int).ravel(), minlength=len(c)) / drawn.size
    np.testing.assert_allclose(found, stated, atol=0.003)
    computed = chances(state, e, p)[:, 0, 0]
    np.testing.assert_allclose(computed[: len(c)], stated, atol=1e-5)
    assert (computed[len(c) :] == 0).all()


def by_the_formula(evidence, state, e, c, y, p):
    "Add a screen to the evidence with loops, as chapter 03 writes it."
    n = len(e)
    for i in range(n):
        squares, products = (1 - p.forgetting) * evidence[:, i]
        for j in range(n):
            like = np.exp(-p.unlikeness * abs(np.log(e[j]) - np.log(e[i]))) / (n - 1)
            squares += like * (c[j] - c[i]) ** 2
            products += like * (c[j] - c[i]) * (y[j] - y[i])
        if state.n_played[i] > 0:
            squares += (c[i] - state.given[i]) ** 2
            products += (c[i] - state.given[i]) * (y[i] - state.paid[i])
        evidence[:, i] = squares, products
    return evidence


@settings(max_examples=30, deadline=None)
@given(first=rounds(), second=rounds(), name=st.sampled_from([*mechanisms.BASELINES]))
def test_evidence_and_followed_others_are_the_sums_of_the_text(first, second, name):
    (e, c1), (_, c2) = first, second
    mechanism = mechanisms.BASELINES[name]
    p, state, evidence = POPULATION, somebody(e), np.zeros((2, 4))
    for c in (c1, np.minimum(c2, e)):
        y = np.asarray(game.payout(e, c, mechanism))
        evidence = by_the_formula(evidence, state, e, c, y, p)
        before, state = state, learn(state, e, c, y, p)
        np.testing.assert_allclose(state.evidence, evidence, rtol=1e-3, atol=1e-2)
        brings = evidence[1] + p.prior_weight * p.prior_return
        brings = brings / (evidence[0] + p.prior_weight) - p.threshold
        ratio = c / e
        apart = np.abs(np.log(e)[:, None] - np.log(e))
        followed = np.exp(-p.unlikeness * apart) * (ratio - ratio[:, None])
        g = np.asarray(before.inclination)
        step = p.reaction * np.tanh(p.steepness * brings)
        step = step + before.responsiveness * followed.sum(1) / 3
        step = step + p.inertia * (ratio - 1 / (1 + np.exp(-g)))
        lost = np.maximum(c - y, 0) / np.maximum(c, 1)
        step = step - p.loss * lost**2 + p.pull * (before.disposition - g)
        np.testing.assert_allclose(state.inclination, g + step, rtol=1e-3, atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(
    table=rounds(),
    order=st.permutations(range(4)),
    name=st.sampled_from(list(mechanisms.BASELINES)),
)
def test_learning_does_not_depend_on_the_order_of_players(table, order, name):
    endowment, contribution = table
    payout = game.payout(endowment, contribution, mechanisms.BASELINES[name])
    order = np.array(order)
    seat = lambda leaf: leaf[..., order]

    def learned(state, *seen):
        return learn(state, *seen, POPULATION).inclination

    state = somebody(endowment)
    here = seat(learned(state, endowment, contribution, payout))
    moved = [endowment[order], contribution[order], payout[order]]
    there = learned(jax.tree.map(seat, state), *moved)
    np.testing.assert_allclose(here, there, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(table=rounds(), w=st.floats(0, 1))
def test_nobody_learns_what_the_screen_does_not_show(table, w):
    "What was paid teaches, and not what a rule would have paid for other coins."
    endowment, contribution = table
    payout = game.payout(endowment, contribution, mechanisms.libertarian)
    players = participants.players(POPULATION)
    state = players.init(jax.random.key(0), jnp.asarray(endowment))
    learned = [
        players.update(state, endowment, contribution, payout, mechanism)
        for mechanism in (mechanisms.libertarian, mechanisms.manifold(w, 0.5))
    ]
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), *learned))


def test_only_lost_coins_hurt():
    e, c = jnp.full(4, 10.0), jnp.array([5.0, 5, 5, 0])
    y = jnp.array([0.0, 2.5, 5, 0])
    quiet = replace(
        POPULATION, reaction=0.0, responsiveness=0.0, inertia=0.0, pull=0.0, loss=2.0
    )
    state = somebody(e, quiet)
    hurt = participants.update(state, e, c, y, quiet).inclination - state.inclination
    np.testing.assert_allclose(hurt, [-2, -0.5, 0, 0], atol=1e-5)


def test_persons_have_the_stated_spreads():
    e = jnp.full((50_000, 4), 10.0)
    p = POPULATION
    state = somebody(e)
    assert state.disposition.mean() == pytest.approx(p.generosity, abs=0.02)
    assert state.disposition.std() == pytest.approx(p.spread, rel=0.01)
    for traits, middle, spread in (
        (state.responsiveness, p.responsiveness, p.responsiveness_spread),
        (state.width, p.width, p.width_spread),
    ):
        assert jnp.log(traits).mean() == pytest.approx(np.log(middle), abs=0.02)
        assert jnp.log(traits).std() == pytest.approx(spread, rel=0.01, abs=1e-6)


def test_the_likelihood_is_that_of_play():
    "Choices that a population made are foretold best by that population."
    e = jnp.full((500, 4), 10.0)
    own = replace(POPULATION, spread=1.0, width=0.2)
    players = participants.players(own, referee=False)
    block = game.play(jax.random.key(0), players, e, game.equal_split)
    others = ({"generosity": 0.5}, {"spread": 0.6}, {"width": 0.1}, {"repeat": 1.0})
    nats = lambda population: calibration.nats_a_choice(population, block)
    for changed in others:
        moved = {name: getattr(own, name) + by for name, by in changed.items()}
        assert nats(own) < nats(replace(own, **moved)), changed
    # with one person, and nothing to integrate over, it is a product of chances
    one = replace(own, spread=0.0, responsiveness_spread=0.0, width_spread=0.0)
    state, total = somebody(e, one), 0.0
    for t in range(10):
        c, y = block.contribution[:, t], block.payout[:, t]
        chance = chances(state, e, one)
        total += jnp.log(jnp.take_along_axis(chance, c.astype(int)[None], 0)).mean()
        state = learn(state, e, c, y, one)
    assert nats(one) == pytest.approx(-float(total) / 10, abs=1e-4)


def test_calibration_keeps_the_bar_on_fresh_games():
    target = calibration.known(data.real_choices()[0])
    found = calibration.summarise(jax.random.key(20260), POPULATION, n_games=4096)
    error = jnp.abs(found.curves - target.summary.curves).mean()
    committed = participants.read_calibration()["populations"][0]
    assert error == pytest.approx(committed["error_fresh_games"], abs=0.003)
    assert found.f[1] == pytest.approx(committed["f_libertarian"], rel=0.15)
    assert found.f[2] == pytest.approx(committed["f_liberal_egalitarian"], rel=0.15)
    table = data.pd.read_csv(participants.CALIBRATION.parent / "people_moments.csv")
    np.testing.assert_allclose(found.moments, table.stand_ins, atol=0.02)
    np.testing.assert_allclose(target.summary.moments, table.people, atol=1e-3)


def test_moments_are_those_that_statistics_books_define():
    ratio = np.asarray(data.real_choices()[0].block.relative_contribution)
    moments = calibration.people_moments(ratio)
    found = dict(zip(calibration.MOMENTS, moments, strict=True))
    f = stats.f_oneway(*ratio.swapaxes(1, 2).reshape(148, 10)).statistic
    assert found["between_persons"] == pytest.approx((f - 1) / (f + 9), abs=1e-4)
    apart = ratio - ratio.mean((0, 2))[:, None]
    others = (apart.sum(-1, keepdims=True) - apart) / 3
    before, after = apart[:, :-1].ravel(), apart[:, 1:].ravel()
    next_choice = np.corrcoef(before, after)[0, 1]
    assert found["next_choice"] == pytest.approx(next_choice, abs=1e-4)
    x = np.stack([np.ones(len(before)), before, others[:, :-1].ravel()], 1)
    slopes = np.linalg.lstsq(x, after, rcond=None)[0][1:]
    of_moments = [float(found["on_own"]), float(found["on_others"])]
    assert of_moments == pytest.approx(slopes, abs=1e-4)


def test_committed_fit_is_the_published_figure_and_the_committed_error():
    fit = data.pd.read_csv(participants.CALIBRATION.parent / "fit.csv")
    assert len(fit) == 180
    np.testing.assert_allclose(
        fit.published, participants.fig1c_published().ravel(), atol=1e-4
    )
    assert (fit.fitted - fit.published).abs().mean() == pytest.approx(
        participants.read_calibration()["populations"][0]["error_fresh_games"], abs=2e-3
    )


def test_search_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    start = (0.0,) * len(calibration._START)
    search = calibration.Search(
        n_games=8, n_candidates=4, n_generations=3, start=start, fixed={"loss": 2.0}
    )
    log = tmp_path / "log.json"
    whole = calibration.calibrate(search, log=log)
    kept = json.loads(log.read_text())
    assert len(kept["values"]) == 3
    store.write_json(log, kept | {"values": kept["values"][:1]})
    resumed = calibration.calibrate(search, log=log)
    assert whole.position == resumed.position
    assert whole.history.equals(resumed.history) and whole.population.loss == 2.0
    monkeypatch.setattr(calibration, "misfit", None)  # all is in the log: no game
    assert calibration.calibrate(search, log=log).position == whole.position


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
    surely = {"generosity": 50.0, "width": 0.01, "width_spread": 0.0, "lapse": 0.0}
    generous = replace(POPULATION, **surely)
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
