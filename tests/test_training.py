"""Training for votes.

The fused gradients are the readable ones, the optimiser is TensorFlow 1's, the loop
resumes, and votes are found.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import (
    cloning,
    game,
    graphnet,
    mechanisms,
    rational,
    scg,
    training,
    voting,
)
from democratic_ai.engine import fused_mechanism, loop

# untrained, with opinions
VIRTUAL = jax.tree.map(lambda x: 1.5 * x, cloning.init(jax.random.key(1)))
CONFIG = training.Training(games_per_endowment=3, tails=(2, 4, 7, 10))
OPPONENT = mechanisms.liberal_egalitarian


def both(estimate, players, config=CONFIG):
    "The fused and the readable form of an estimate, compiled."
    given = dict(players=players, opponent=OPPONENT, config=config)
    return [jax.jit(partial(estimate, **given, fused=fused)) for fused in (True, False)]


def assert_same(found, expected, rtol=1e-5):
    "Votes and gradient agree."
    np.testing.assert_allclose(found[0], expected[0], rtol=rtol)
    ours, theirs = flat(found[1]), flat(expected[1])
    assert np.linalg.norm(ours - theirs) <= rtol * np.linalg.norm(theirs)


def flat(tree):
    return np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(tree)])


FUSED, READABLE = both(training.vote_gradient, VIRTUAL)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**31 - 1), st.floats(0.25, 2))
def test_fused_and_readable_vote_gradient_agree_in_value_and_gradient(seed, scale):
    params = jax.tree.map(lambda x: scale * x, graphnet.init(jax.random.key(seed)))
    key = jax.random.fold_in(jax.random.key(seed), 1)
    assert_same(FUSED(params, key), READABLE(params, key))


RULES = [
    *(game.Game(n_players=n) for n in (2, 6, 10)),
    game.Game(n_players=3, n_rounds=4, growth=2.5),
]


@pytest.mark.parametrize(
    "rules",
    RULES,
    ids=lambda rules: (
        f"{rules.n_players} players, {rules.n_rounds} rounds, growth {rules.growth}"
    ),
)
def test_both_forms_agree_in_other_games(rules):
    config = training.Training(games_per_endowment=2, tails=(4, 10), rules=rules)
    virtual = jax.tree.map(
        lambda x: 1.5 * x, cloning.init(jax.random.key(4), n_players=rules.n_players)
    )
    params, key = graphnet.init(jax.random.key(5)), jax.random.key(6)
    fused, readable = both(training.vote_gradient, virtual, config)
    assert_same(fused(params, key), readable(params, key))


@pytest.mark.parametrize(
    "rules", [game.Game(), RULES[-1]], ids=["default", "another game"]
)
def test_fused_and_readable_rational_gradient_agree_in_value_and_gradient(rules):
    config = training.Training(games_per_endowment=3, tails=(2, 4, 7, 10), rules=rules)
    fused, readable = both(training.rational_gradient, rational.Population(), config)
    params, key = graphnet.init(jax.random.key(2)), jax.random.key(3)
    assert_same(fused(params, key), readable(params, key))


def test_a_game_that_the_networks_cannot_read_is_refused():
    with pytest.raises(ValueError, match=r"rules\.most_coins must stay 10"):
        training.Training(rules=game.Game(most_coins=20))


def test_the_weight_of_each_payout_is_the_surrogates_gradient_in_it():
    "Direct term and weighted response make scg.surrogate's derivative at the payouts."
    coins = training.endowments(CONFIG)
    (key_own, key_rival) = jax.random.split(jax.random.key(8))
    own, response = training.play_with_response(
        key_own, VIRTUAL, coins, graphnet.mechanism(graphnet.init(jax.random.key(9)))
    )
    rival = training.play_block(key_rival, VIRTUAL, coins, OPPONENT)
    count = lambda own, rival: voting.vote_probability(own, rival).sum(-1)

    def surrogate(payout):
        block = game.Block(coins, own.contribution, payout)
        log_p = cloning.log_probability(VIRTUAL, block)[:, 1:].sum((1, 2))
        return scg.surrogate(count(block, rival), log_p)

    votes, weight = training.payout_gradient(own, response, rival, count)
    expected = count(own, rival).mean(), jax.jit(jax.grad(surrogate))(own.payout)
    assert_same((votes, weight), expected)


def test_play_gives_the_block_that_the_game_gives():
    key, coins = jax.random.key(3), training.endowments(CONFIG)
    block = jax.jit(lambda key: training.play_block(key, VIRTUAL, coins, OPPONENT))(key)
    usual = jax.jit(
        lambda key: game.play(key, cloning.virtual_players(VIRTUAL), coins, OPPONENT)
    )(key)
    assert (np.asarray(block.contribution) == np.asarray(usual.contribution)).all()
    np.testing.assert_allclose(block.payout, usual.payout, rtol=1e-5)
    assert (np.asarray(block.contribution) <= np.asarray(coins)[:, None]).all()


def test_the_response_is_the_derivative_of_the_log_probability_in_the_payouts():
    key, coins = jax.random.key(3), training.endowments(CONFIG)
    block, response = jax.jit(
        lambda key: training.play_with_response(key, VIRTUAL, coins, OPPONENT)
    )(key)
    log_p = lambda payout: cloning.log_probability(
        VIRTUAL, game.Block(coins, block.contribution, payout)
    )[:, 1:].sum()
    expected = np.asarray(jax.jit(jax.grad(log_p))(block.payout))
    np.testing.assert_allclose(response, expected, atol=1e-5 * abs(expected).max())
    assert (np.asarray(response)[:, -1] == 0).all(), (
        "nobody chooses after the last payout"
    )


def test_rmsprop_is_tensorflow_1s():
    config, rng = training.Training(), np.random.default_rng(0)
    rule, params, mean_square = training.optimiser(config), jnp.zeros(5), np.ones(5)
    state = rule.init(params)
    for _ in range(20):
        gradient = rng.normal(size=5) * 10.0 ** rng.integers(-4, 2, 5)
        change, state = rule.update(jnp.array(gradient, jnp.float32), state)
        mean_square = 0.99 * mean_square + 0.01 * gradient**2
        np.testing.assert_allclose(
            change, -4e-4 * gradient / np.sqrt(mean_square + 1e-5), rtol=1e-5
        )


@pytest.mark.parametrize(("length", "counted"), [(0.3, 0.3), (4.0, 0.5)])
def test_a_gradient_longer_than_the_clip_is_shortened_to_it(length, counted):
    "A shorter one is left alone."
    direction = jnp.array([0.6, -0.8])
    move = lambda config, gradient: training.optimiser(config).update(
        gradient, training.optimiser(config).init(direction)
    )[0]
    clipped = move(training.Training(clip=0.5), length * direction)
    plain = move(training.Training(), counted * direction)
    np.testing.assert_allclose(clipped, plain, rtol=1e-6)


def test_sizes_are_the_papers():
    config = training.Training()
    assert (
        config.learning_rate,
        config.decay,
        config.eps,
        config.updates,
        config.slope,
    ) == (4e-4, 0.99, 1e-5, 10_000, 1.4)
    assert config.clip == np.inf, "the paper shortens no gradient"
    coins = np.asarray(training.endowments(config))
    assert coins.shape == (512, 4) and (coins[:, 0] == 10).all()
    assert (coins[:, 1] == coins[:, 3]).all()
    assert {
        tail: (coins[:, 2] == tail).sum() for tail in np.unique(coins[:, 2])
    } == dict.fromkeys((2, 3, 4, 5, 6, 7, 8, 10), 64)


def test_votes_are_found_where_they_are_to_be_found():
    """Against a rival that gives all to the tails, sharing equally loses.

    Giving the head nothing makes it a tie.
    """
    all_to_tails = lambda endowment, contribution: jnp.broadcast_to(
        jnp.array([0, 1 / 3, 1 / 3, 1 / 3]), contribution.shape
    )
    config = training.Training(
        games_per_endowment=64, tails=(2,), updates=200, learning_rate=1e-2
    )
    params, history = training.fit(
        jax.random.key(2), VIRTUAL, all_to_tails, config=config
    )
    assert list(history.columns) == ["step", "gradient_norm", "vote_share"]
    assert len(history) == 200
    assert history.vote_share[:5].mean() < 0.45
    assert history.vote_share[-20:].mean() > 0.47
    assert graphnet.beach(graphnet.mechanism(params), 2).head_share.mean() < 0.1


def test_against_a_rival_that_gives_all_to_the_head_votes_rise_well_above_one_half():
    all_to_head = lambda endowment, contribution: jnp.broadcast_to(
        jnp.array([1.0, 0, 0, 0]), contribution.shape
    )
    config = training.Training(
        games_per_endowment=16, tails=(6, 10), updates=200, learning_rate=1e-2
    )
    _, history = training.fit(jax.random.key(2), VIRTUAL, all_to_head, config=config)
    assert history.vote_share[-20:].mean() > max(
        0.55, history.vote_share[:5].mean() + 0.01
    )


@pytest.mark.parametrize(
    ("estimate", "players"),
    [
        (training.vote_gradient, VIRTUAL),
        (training.rational_gradient, rational.Population()),
    ],
)
def test_a_stopped_training_goes_on_bit_for_bit(
    tmp_path, monkeypatch, estimate, players
):
    config = training.Training(games_per_endowment=1, tails=(2, 10), updates=6)
    fit, train_steps, calls = loop.fit, loop.train_steps, []
    monkeypatch.setattr(loop, "fit", partial(fit, per_call=2, every=0.0))
    run = lambda folder: training.fit(
        jax.random.key(5),
        players,
        OPPONENT,
        estimate=estimate,
        config=config,
        checkpoint=folder,
        name="a/b",
    )
    unbroken, history = run(tmp_path / "unbroken")

    def stopped(estimate, state, steps, **others):
        if not isinstance(steps, jax.core.Tracer):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
        return train_steps(estimate, state, steps, **others)

    monkeypatch.setattr(loop, "train_steps", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken")
    assert list((tmp_path / "broken").iterdir()), "something was saved"
    monkeypatch.setattr(loop, "train_steps", train_steps)
    resumed, history_again = run(tmp_path / "broken")
    assert (flat(resumed) == flat(unbroken)).all()
    assert history.equals(history_again)


def test_a_leaky_opponent_is_turned_away_before_training():
    leaky = lambda endowment, contribution: (
        0.5 * mechanisms.libertarian(endowment, contribution)
    )
    with pytest.raises(mechanisms.MechanismError, match="opponent"):
        training.fit(jax.random.key(0), VIRTUAL, leaky, config=CONFIG)


@pytest.mark.parametrize("n_players", [2, 4, 5])
def test_the_fused_share_and_gradient_are_those_of_the_readable_network(n_players):
    "Also away from four players, for which nothing was written."
    params = jax.tree.map(lambda x: 2 * x, graphnet.init(jax.random.key(n_players)))
    keys = jax.random.split(jax.random.key(6), 2)
    endowment = jax.random.uniform(keys[0], (n_players, 8), minval=1, maxval=10)
    contribution = endowment * jax.random.uniform(keys[1], (n_players, 8))
    share, slope = fused_mechanism.share_and_gradient(
        params, endowment, contribution, graphnet.observation
    )
    shares = partial(graphnet.shares, params, fused=False)
    np.testing.assert_allclose(share.T, shares(endowment.T, contribution.T), atol=1e-5)
    all_slopes = jax.vmap(jax.jacfwd(shares, argnums=1))
    table = all_slopes(endowment.T, contribution.T)  # [B, share, contribution]
    own = jnp.diagonal(table, axis1=1, axis2=2)
    np.testing.assert_allclose(slope.T, own, atol=1e-5)


@pytest.mark.parametrize("theta", [1.0, 3.0])
def test_rational_votes_answer_to_the_mechanism_as_measured(theta):
    """A derivative by hand, players' learning included.

    One direction in parameter space, walked a little to both sides with the same
    players.
    """
    params = graphnet.init(jax.random.key(2))
    population = rational.Population(theta=theta)
    given = jax.random.key(3), population, OPPONENT
    ask = partial(training.rational_gradient, config=CONFIG)
    estimate = jax.jit(lambda params: ask(params, *given))
    votes, gradient = estimate(params)
    assert 0 < votes < 4
    length = float(jnp.linalg.norm(flat(gradient)))
    way = jax.tree.map(lambda g: g / length, gradient)
    there = lambda step: jax.tree.map(lambda p, w: p + step * w, params, way)
    walk = lambda step: float(estimate(there(step))[0])
    measured = (walk(0.01) - walk(-0.01)) / 0.02
    np.testing.assert_allclose(measured, length, rtol=0.05)
