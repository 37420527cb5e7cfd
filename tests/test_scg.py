"Gradient estimators against the exact gradient of a game with few courses."

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import scg

ENDOWMENT = jnp.array([3.0, 2])
EVERY = scg.outcomes(scg.SmallGame(ENDOWMENT, ENDOWMENT, ENDOWMENT, ENDOWMENT))
number = lambda low, high: st.floats(low, high, width=32)
pair = lambda low, high: st.tuples(number(low, high), number(low, high)).map(jnp.array)
games = st.builds(
    scg.SmallGame,
    st.just(ENDOWMENT),
    st.tuples(st.integers(1, 3), st.integers(0, 2)).map(lambda c: jnp.array(c, float)),
    pair(-1, 1),
    pair(0, 6),
)


def halves(small, theta):
    "The two halves of the exact gradient, and the whole."
    objective, log_p = scg.simulate_outcome(small, theta, EVERY)
    by_payouts = jax.grad(
        lambda t: (jnp.exp(log_p) * scg.simulate_outcome(small, t, EVERY)[0]).sum()
    )(theta)
    by_choices = jax.grad(
        lambda t: (jnp.exp(scg.simulate_outcome(small, t, EVERY)[1]) * objective).sum()
    )(theta)
    return by_payouts, by_choices, jax.grad(scg.expected_votes, 1)(small, theta, EVERY)


exactly = jax.jit(halves)


@jax.jit
def listed(small, theta, baseline):
    "The mean of the estimate over all courses of one game."
    one = lambda chosen: jax.grad(
        lambda t: scg.surrogate(
            *(x[None] for x in scg.simulate_outcome(small, t, chosen)),
            baseline=baseline,
        )
    )(theta)
    return jnp.exp(scg.simulate_outcome(small, theta, EVERY)[1]) @ jax.vmap(one)(EVERY)


@jax.jit
def listed_pairs(small, theta):
    "The mean of the de-meaned estimate over all courses of two games."
    pairs = jnp.array(list(product(range(len(EVERY)), repeat=2)))
    log_p = scg.simulate_outcome(small, theta, EVERY)[1]
    one = lambda pair: jax.grad(
        lambda t: scg.surrogate(*scg.simulate_outcome(small, t, EVERY[pair]))
    )(theta)
    return jnp.exp(log_p[pairs].sum(-1)) @ jax.vmap(one)(pairs)


@settings(deadline=None, max_examples=40)
@given(games, pair(-2, 2), number(-2, 2))
def test_the_expectation_of_the_estimate_is_the_exact_gradient_for_any_baseline(
    small, theta, baseline
):
    np.testing.assert_allclose(
        listed(small, theta, baseline), exactly(small, theta)[2], atol=1e-5
    )


@settings(deadline=None, max_examples=25)
@given(games, pair(-2, 2))
def test_both_halves_make_the_whole_and_a_batch_of_two_keeps_half_of_one(small, theta):
    by_payouts, by_choices, whole = exactly(small, theta)
    np.testing.assert_allclose(by_payouts + by_choices, whole, atol=1e-5)
    np.testing.assert_allclose(
        listed_pairs(small, theta), by_payouts + by_choices / 2, atol=1e-5
    )


@settings(deadline=None, max_examples=25)
@given(games, pair(-2, 2))
def test_probabilities_of_all_courses_add_to_one(small, theta):
    assert np.isclose(
        jnp.exp(scg.simulate_outcome(small, theta, EVERY)[1]).sum(), 1, atol=1e-5
    )


def test_the_exact_gradient_agrees_with_finite_differences():
    small = scg.SmallGame(
        ENDOWMENT, jnp.array([2.0, 1]), jnp.array([0.7, -0.4]), jnp.array([3.0, 2])
    )
    theta = jnp.array([0.3, -0.8])
    value = lambda shift: float(
        scg.expected_votes(small, theta + jnp.array(shift), EVERY)
    )
    numeric = [
        (value([0.05, 0]) - value([-0.05, 0])) / 0.1,
        (value([0, 0.05]) - value([0, -0.05])) / 0.1,
    ]
    np.testing.assert_allclose(exactly(small, theta)[2], numeric, atol=2e-4)


@jax.jit
def sampled(keys, small, theta):
    "Estimates from batches of 128 games each, and those of the two wrong ways."

    def one(key):
        log_p = scg.simulate_outcome(small, theta, EVERY)[1]
        chosen = EVERY[jax.random.categorical(key, log_p, shape=(128,))]
        both = lambda t: scg.simulate_outcome(small, t, chosen)
        ways = (
            scg.surrogate,
            lambda outcome, _: scg.pathwise(outcome),
            scg.score_function,
        )
        return [jax.grad(lambda t, way=way: way(*both(t)))(theta) for way in ways]

    return jax.vmap(one)(keys)


@pytest.mark.parametrize("seed", range(8))
def test_sampled_estimates_lie_within_four_standard_errors_and_each_half_alone_does_not(
    seed,
):
    rng = np.random.default_rng(seed)
    uniform = lambda low, high: jnp.array(rng.uniform(low, high, 2), jnp.float32)
    eagerness = jnp.array([0.5, -0.5]) * rng.uniform(0.8, 1.2)
    small = scg.SmallGame(ENDOWMENT, jnp.array([2.0, 1]), eagerness, uniform(2, 4))
    theta = uniform(-1, 1)
    surrogate, pathwise, choices = (
        np.asarray(g)
        for g in sampled(jax.random.split(jax.random.key(seed), 1000), small, theta)
    )
    _, by_choices, exact = (np.asarray(g) for g in exactly(small, theta))
    error = lambda g: g.std(0, ddof=1) / np.sqrt(len(g))
    expected = exact - by_choices / 128  # what taking off the batch's own mean costs
    assert (abs(surrogate.mean(0) - expected) < 4 * error(surrogate)).all()
    assert (abs(pathwise.mean(0) - exact) > 4 * error(pathwise)).any()
    assert (abs(choices.mean(0) - exact) > 4 * error(choices)).any()


@jax.jit
def cut_at_payouts(small, theta, chosen):
    """The surrogate's gradient by the chain rule cut at the payouts.

    Direct term and weighted response, then one pass.
    """

    def payouts(theta):
        first = scg.payout(small.before, scg.scores(small, theta, small.before))
        return jnp.broadcast_to(first, chosen.shape), scg.payout(
            chosen, scg.scores(small, theta, chosen)
        )

    (first, last), transpose = jax.vjp(payouts, theta)
    objective = scg.votes(small, first + last)
    direct = jax.grad(lambda paid: scg.votes(small, paid).sum())(first + last)
    response = jax.grad(lambda paid: scg.log_probability(small, paid, chosen).sum())(
        first
    )
    weight = direct + (objective - objective.mean())[:, None] * response, direct
    return transpose(jax.tree.map(lambda w: w / len(chosen), weight))[0]


@settings(deadline=None, max_examples=25)
@given(games, pair(-2, 2))
def test_the_surrogate_is_direct_term_and_weighted_response_at_the_payouts(
    small, theta
):
    expected = jax.grad(
        lambda t: scg.surrogate(*scg.simulate_outcome(small, t, EVERY))
    )(theta)
    np.testing.assert_allclose(cut_at_payouts(small, theta, EVERY), expected, atol=1e-5)


def test_the_surrogates_value_is_the_mean_objective_plus_a_weighted_log_probability():
    objective, log_p = jnp.array([1.0, 3.0]), jnp.array([-2.0, -5.0])
    assert scg.surrogate(objective, log_p) == 2 + (-1 * -2 + 1 * -5) / 2
    assert scg.surrogate(objective, log_p, baseline=0.0) == 2 + (1 * -2 + 3 * -5) / 2
    gradient = jax.grad(partial(scg.score_function, log_probability=log_p))(objective)
    assert (gradient == 0).all(), "the weight counts as a number"
