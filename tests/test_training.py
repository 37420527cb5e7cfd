"The search for votes: the fast step is the formula, the optimiser is TensorFlow 1's, the loop resumes, and it finds what is to be found."

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import cloning, game, graphnet, mechanisms, rational, scg, training, voting
from democratic_ai.engine import loop

VIRTUAL = jax.tree.map(lambda x: 1.5 * x, cloning.init(jax.random.key(1)))  # untrained, with opinions
CONFIG = training.Training(games_per_endowment=3, tails=(2, 4, 7, 10))
OPPONENT = mechanisms.liberal_egalitarian


def formula(params, key, virtual=VIRTUAL, config=CONFIG):
    "The estimate as the paper writes it, from the public pieces alone."
    players, seated = cloning.virtual_players(virtual), training.endowments(config)
    key_own, key_rival = jax.random.split(key)

    def objective(params):
        own = game.play(key_own, players, seated, graphnet.mechanism(params))
        rival = game.play(key_rival, players, seated, OPPONENT)
        votes = voting.vote_probability(own, rival).sum(-1)
        return scg.surrogate(votes, cloning.log_probability(virtual, own)[:, 1:].sum((1, 2))), votes.mean()

    gradient, votes = jax.grad(objective, has_aux=True)(params)
    return votes, gradient


slow = jax.jit(formula)
fast = jax.jit(lambda params, key: training.vote_gradient(params, key, VIRTUAL, OPPONENT, config=CONFIG))
flat = lambda tree: np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(tree)])


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**31 - 1), st.floats(0.25, 2))
def test_fast_step_agrees_with_the_formula_in_value_and_gradient(seed, scale):
    params = jax.tree.map(lambda x: scale * x, graphnet.init(jax.random.key(seed)))
    key = jax.random.fold_in(jax.random.key(seed), 1)
    (votes, gradient), (votes_slow, gradient_slow) = fast(params, key), slow(params, key)
    np.testing.assert_allclose(votes, votes_slow, rtol=1e-5)
    assert np.linalg.norm(flat(gradient) - flat(gradient_slow)) <= 1e-5 * np.linalg.norm(flat(gradient_slow))


@pytest.mark.parametrize("n_players", [2, 6, 10])
def test_the_step_is_the_formula_at_smaller_and_larger_tables(n_players):
    config = training.Training(games_per_endowment=2, tails=(4, 10), n_players=n_players)
    virtual = jax.tree.map(lambda x: 1.5 * x, cloning.init(jax.random.key(4), n_players=n_players))
    params, key = graphnet.init(jax.random.key(5)), jax.random.key(6)
    votes, gradient = jax.jit(lambda params, key: training.vote_gradient(params, key, virtual, OPPONENT, config=config))(params, key)
    votes_slow, gradient_slow = jax.jit(lambda params, key: formula(params, key, virtual, config))(params, key)
    np.testing.assert_allclose(votes, votes_slow, rtol=1e-5)
    assert np.linalg.norm(flat(gradient) - flat(gradient_slow)) <= 1e-5 * np.linalg.norm(flat(gradient_slow))


def test_play_gives_the_block_that_the_game_gives():
    key, seated = jax.random.key(3), training.endowments(CONFIG)
    block = jax.jit(lambda key: training.play_block(key, VIRTUAL, seated, OPPONENT))(key)
    usual = jax.jit(lambda key: game.play(key, cloning.virtual_players(VIRTUAL), seated, OPPONENT))(key)
    assert (np.asarray(block.contribution) == np.asarray(usual.contribution)).all()
    np.testing.assert_allclose(block.payout, usual.payout, rtol=1e-5)
    assert (np.asarray(block.contribution) <= np.asarray(seated)[:, None]).all()


def test_the_traced_answer_is_the_derivative_of_the_log_probability_in_the_payouts():
    key, seated = jax.random.key(3), training.endowments(CONFIG)
    block, answer = jax.jit(lambda key: training.play_with_response(key, VIRTUAL, seated, OPPONENT))(key)
    log_p = lambda payout: cloning.log_probability(VIRTUAL, game.Block(seated, block.contribution, payout))[:, 1:].sum()
    expected = np.asarray(jax.jit(jax.grad(log_p))(block.payout))
    np.testing.assert_allclose(answer, expected, atol=1e-5 * abs(expected).max())
    assert (np.asarray(answer)[:, -1] == 0).all(), "nobody chooses after the last payout"


def test_rmsprop_is_tensorflow_1s():
    config, rng = training.Training(), np.random.default_rng(0)
    rule, params, mean_square = training.optimiser(config), jnp.zeros(5), np.ones(5)
    state = rule.init(params)
    for _ in range(20):
        gradient = rng.normal(size=5) * 10.0 ** rng.integers(-4, 2, 5)
        change, state = rule.update(jnp.array(gradient, jnp.float32), state)
        mean_square = 0.99 * mean_square + 0.01 * gradient**2
        np.testing.assert_allclose(change, -4e-4 * gradient / np.sqrt(mean_square + 1e-5), rtol=1e-5)


@pytest.mark.parametrize(("length", "counted"), [(0.3, 0.3), (4.0, 0.5)])
def test_a_gradient_longer_than_the_clip_is_shortened_to_it_and_a_shorter_one_left_alone(length, counted):
    direction = jnp.array([0.6, -0.8])
    move = lambda config, gradient: training.optimiser(config).update(gradient, training.optimiser(config).init(direction))[0]
    clipped, plain = move(training.Training(clip=0.5), length * direction), move(training.Training(), counted * direction)
    np.testing.assert_allclose(clipped, plain, rtol=1e-6)


def test_sizes_are_the_papers():
    config = training.Training()
    assert (config.learning_rate, config.decay, config.eps, config.updates, config.slope) == (4e-4, 0.99, 1e-5, 10_000, 1.4)
    assert config.clip == np.inf, "the paper shortens no gradient"
    seated = np.asarray(training.endowments(config))
    assert seated.shape == (512, 4) and (seated[:, 0] == 10).all() and (seated[:, 1] == seated[:, 3]).all()
    assert {tail: (seated[:, 2] == tail).sum() for tail in np.unique(seated[:, 2])} == dict.fromkeys((2, 3, 4, 5, 6, 7, 8, 10), 64)


def test_votes_are_found_where_they_are_to_be_found():
    "Against a rival that gives all to the tails, sharing equally loses; giving the head nothing makes it a tie."
    all_to_tails = lambda endowment, contribution: jnp.broadcast_to(jnp.array([0, 1 / 3, 1 / 3, 1 / 3]), contribution.shape)
    config = training.Training(games_per_endowment=64, tails=(2,), updates=200, learning_rate=1e-2)
    params, history = training.fit(jax.random.key(2), VIRTUAL, all_to_tails, config=config)
    assert list(history.columns) == ["step", "gradient_norm", "vote_share"] and len(history) == 200
    assert history.vote_share[:5].mean() < 0.45
    assert history.vote_share[-20:].mean() > 0.47
    assert graphnet.beach(graphnet.mechanism(params), 2).head_share.mean() < 0.1


def test_against_a_rival_that_gives_all_to_the_head_votes_rise_well_above_one_half():
    all_to_head = lambda endowment, contribution: jnp.broadcast_to(jnp.array([1.0, 0, 0, 0]), contribution.shape)
    config = training.Training(games_per_endowment=16, tails=(6, 10), updates=200, learning_rate=1e-2)
    _, history = training.fit(jax.random.key(2), VIRTUAL, all_to_head, config=config)
    assert history.vote_share[-20:].mean() > max(0.55, history.vote_share[:5].mean() + 0.01)


@pytest.mark.parametrize(("train", "players"), [(training.fit, VIRTUAL), (training.fit_rational, rational.Population())])
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, monkeypatch, train, players):
    config = training.Training(games_per_endowment=1, tails=(2, 10), updates=6)
    fit, train_steps, calls = loop.fit, loop.train_steps, []
    monkeypatch.setattr(loop, "fit", partial(fit, per_call=2, every=0.0))
    run = lambda folder: train(jax.random.key(5), players, OPPONENT, config=config, checkpoint=folder, name="a/b")
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
    leaky = lambda endowment, contribution: 0.5 * mechanisms.libertarian(endowment, contribution)
    with pytest.raises(mechanisms.MechanismError, match="opponent"):
        training.fit(jax.random.key(0), VIRTUAL, leaky, config=CONFIG)


@pytest.mark.parametrize("n_players", [2, 4, 5])
def test_shares_and_slopes_are_those_of_the_readable_network(n_players):
    "Also away from four players, for which nothing was written."
    params = jax.tree.map(lambda x: 2 * x, graphnet.init(jax.random.key(n_players)))
    keys = jax.random.split(jax.random.key(6), 2)
    endowment = jax.random.uniform(keys[0], (n_players, 8), minval=1, maxval=10)
    contribution = endowment * jax.random.uniform(keys[1], (n_players, 8))
    share, slope = training.share_and_gradient(params, endowment, contribution)
    shares = lambda e, c: graphnet.MechanismNetwork().apply({"params": params}, e, c)
    np.testing.assert_allclose(share.T, shares(endowment.T, contribution.T), atol=1e-5)
    table = jax.vmap(jax.jacfwd(shares, argnums=1))(endowment.T, contribution.T)  # [B, share, contribution]
    np.testing.assert_allclose(slope.T, jnp.diagonal(table, axis1=1, axis2=2), atol=1e-5)


@pytest.mark.parametrize("theta", [1.0, 3.0])
def test_rational_votes_answer_to_the_mechanism_as_measured(theta):
    "One direction in parameter space, walked a little to both sides with the same players: a derivative by hand, players' learning included."
    params, population = graphnet.init(jax.random.key(2)), rational.Population(theta=theta)
    estimate = jax.jit(lambda params: training.rational_gradient(params, jax.random.key(3), population, OPPONENT, config=CONFIG))
    votes, gradient = estimate(params)
    assert 0 < votes < 4
    way = jax.tree.map(lambda g: g / jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(gradient))), gradient)
    walk = lambda step: float(estimate(jax.tree.map(lambda p, w: p + step * w, params, way))[0])
    measured = (walk(0.01) - walk(-0.01)) / 0.02
    np.testing.assert_allclose(measured, float(jnp.linalg.norm(flat(gradient))), rtol=0.05)
