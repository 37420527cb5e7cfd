"""Rational players: they go where theory sends them.

The derivative is each one's own, right for any mechanism and differentiable again.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import game, graphnet, mechanisms, rational

ENDOWMENT = mechanisms.head_and_tails(jnp.array(mechanisms.TAILS))
slope = jax.jit(
    lambda endowment, generosity, w, v: rational.return_gradient(
        endowment, generosity, mechanisms.manifold(w, v)
    )
)


def returns(endowment, generosity, w, v):
    "The paper's equations in plain numpy with double precision, for one group."
    contribution = endowment / (1 + np.exp(-generosity))
    others = lambda x: (x.sum() - x) / (len(x) - 1)
    ratio = contribution / endowment
    absolute = 1.6 * (w * contribution + (1 - w) * others(contribution))
    relative = (
        1.6 * contribution.sum() / ratio.sum() * (w * ratio + (1 - w) * others(ratio))
    )
    return v * relative + (1 - v) * absolute + endowment - contribution


def measured(endowment, generosity, w, v, step=1e-5):
    "Central differences of each player's own return in its own generosity."
    nudges = step * np.eye(len(endowment))
    return np.array(
        [
            (
                returns(endowment, generosity + d, w, v)
                - returns(endowment, generosity - d, w, v)
            )[i]
            for i, d in enumerate(nudges)
        ]
    ) / (2 * step)


logits = st.lists(st.floats(-4, 4), min_size=4, max_size=4).map(np.array)
coins = st.lists(st.integers(1, 10).map(float), min_size=4, max_size=4).map(np.array)
weights = st.floats(0, 1)


@settings(deadline=None, max_examples=100)
@given(coins, logits, weights, weights)
def test_the_slope_is_the_measured_one_anywhere_on_the_manifold(
    endowment, generosity, w, v
):
    found = slope(
        jnp.array(endowment, jnp.float32), jnp.array(generosity, jnp.float32), w, v
    )
    np.testing.assert_allclose(
        found, measured(endowment, generosity, w, v), atol=1e-4 * endowment.max()
    )


@settings(deadline=None, max_examples=30)
@given(coins, logits)
def test_closed_forms_of_the_three_baselines(endowment, generosity):
    e, g = jnp.array(endowment, jnp.float32), jnp.array(generosity, jnp.float32)
    ratio = np.asarray(jax.nn.sigmoid(g), np.float64)
    climb = endowment * ratio * (1 - ratio)
    own = ratio / ratio.sum()
    level = (endowment * ratio).sum() / ratio.sum() / endowment
    brings = {
        "strict_egalitarian": 0.4,
        "libertarian": 1.6,
        "liberal_egalitarian": 1.6 * (own + level * (1 - own)),
    }
    for name, mechanism in mechanisms.BASELINES.items():
        np.testing.assert_allclose(
            rational.return_gradient(e, g, mechanism),
            climb * (brings[name] - 1),
            rtol=1e-3,
            atol=1e-5 * endowment.max(),
        )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31 - 1), st.permutations(range(4)))
def test_the_order_of_players_does_not_matter(seed, order):
    params, order = graphnet.init(jax.random.key(seed)), np.array(order)
    generosity = jax.random.normal(jax.random.key(seed), ENDOWMENT.shape)
    found = rational.return_gradient(ENDOWMENT, generosity, graphnet.mechanism(params))
    moved = rational.return_gradient(
        ENDOWMENT[:, order], generosity[:, order], graphnet.mechanism(params)
    )
    np.testing.assert_allclose(moved, found[:, order], atol=1e-4)


def test_shapes_and_programs_make_no_difference():
    generosity = jax.random.normal(jax.random.key(0), (3, *ENDOWMENT.shape))
    endowment = jnp.broadcast_to(ENDOWMENT, generosity.shape)
    liberal = mechanisms.liberal_egalitarian
    whole = rational.return_gradient(endowment, generosity, liberal)
    one_by_one = jax.vmap(
        jax.vmap(lambda e, g: rational.return_gradient(e, g, liberal))
    )(endowment, generosity)
    assert whole.shape == generosity.shape
    np.testing.assert_allclose(whole, one_by_one, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        whole,
        jax.jit(lambda e, g: rational.return_gradient(e, g, liberal))(
            endowment, generosity
        ),
        rtol=1e-5,
        atol=1e-5,
    )


@settings(deadline=None, max_examples=30)
@given(coins, logits, weights, weights)
def test_the_slope_can_be_differentiated_again_others_included(
    endowment, generosity, w, v
):
    e, g = jnp.array(endowment, jnp.float32), jnp.array(generosity, jnp.float32)
    found = jax.jacrev(lambda g: slope(e, g, w, v))(g)
    nudges = 1e-3 * np.eye(4)
    expected = np.stack(
        [
            (
                measured(endowment, generosity + d, w, v)
                - measured(endowment, generosity - d, w, v)
            )
            / 2e-3
            for d in nudges
        ],
        1,
    )
    np.testing.assert_allclose(found, expected, atol=1e-3 * endowment.max())


def test_slopes_answer_to_the_mechanism():
    "What training lives on: how a slope moves with the mechanism's own parameter."
    e, g = ENDOWMENT[0], jnp.array([0.3, -0.5, 1.0, 0.0])
    found = jax.jacrev(lambda v: slope(e, g, 0.8, v))(0.4)
    numbers = np.asarray(e, np.float64), np.asarray(g, np.float64)
    expected = (measured(*numbers, 0.8, 0.401) - measured(*numbers, 0.8, 0.399)) / 0.002
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_populations_are_drawn_as_stated():
    many = jnp.ones((100_000, 4))
    for theta, sigma in ((1, 1), (3, 1), (1, 3)):
        state = rational.init(
            jax.random.key(0), many, rational.Population(theta, sigma)
        )
        np.testing.assert_allclose(
            [state.rate.mean(), state.rate.var()], [3 * theta, 3 * theta**2], rtol=0.02
        )
        np.testing.assert_allclose(
            [state.generosity.mean(), state.generosity.std()],
            [0, sigma],
            atol=0.02 * sigma,
        )
        assert (state.rate > 0).all()


def test_a_block_is_the_formula_step_by_step():
    endowment = np.asarray(ENDOWMENT[1], np.float64)
    block = game.play(
        jax.random.key(5),
        rational.players(),
        ENDOWMENT[1],
        mechanisms.liberal_egalitarian,
    )
    state = rational.init(
        jax.random.split(jax.random.key(5))[0], ENDOWMENT[1], rational.Population()
    )
    rate, generosity = (np.asarray(x, np.float64) for x in state)
    for t in range(10):
        contribution = endowment / (1 + np.exp(-generosity))
        np.testing.assert_allclose(
            block.contribution[t], contribution, rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(
            block.payout[t],
            returns(endowment, generosity, 1, 1) - endowment + contribution,
            rtol=1e-3,
            atol=1e-3,
        )
        generosity = generosity + rate * measured(endowment, generosity, 1, 1)


def test_everybody_climbs_or_sinks_in_every_round_and_gets_there():
    groups = jnp.repeat(ENDOWMENT, 50, 0)
    for mechanism, sign, end in (
        (mechanisms.libertarian, 1, 1.0),
        (mechanisms.strict_egalitarian, -1, 0.0),
    ):
        ratio = np.asarray(
            game.play(
                jax.random.key(1), rational.players(), groups, mechanism, n_rounds=500
            ).relative_contribution
        )
        assert (sign * np.diff(ratio, axis=1) >= 0).all()
        assert abs(ratio[:, -1] - end).max() < 0.05


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 10).map(float), st.floats(0.02, 0.98))
def test_a_head_goes_to_its_own_side_of_the_watershed(tail, place):
    distance = place**2 + 6 * place - 15 + 2.4 * tail
    generosity = jnp.array([np.log(place / (1 - place)), 20, 20, 20], jnp.float32)
    found = rational.return_gradient(
        mechanisms.head_and_tails(tail), generosity, mechanisms.liberal_egalitarian
    )[0]
    assert abs(distance) < 1e-3 or (found > 0) == (distance > 0)


def test_extreme_players_stay_finite():
    generosity = jnp.array([[200.0, -200, 20, -20], [-200, -200, -200, -200]])
    for mechanism in (
        *mechanisms.BASELINES.values(),
        graphnet.mechanism(graphnet.init(jax.random.key(0))),
    ):
        assert np.isfinite(
            rational.return_gradient(ENDOWMENT[:2], generosity, mechanism)
        ).all()


@pytest.mark.parametrize(
    "pairs", ["1;3", "1, 3", "0,1", "1,-1", "1,2,3", "a,b", "nan,1", "1,inf", ""]
)
def test_what_is_no_population_is_refused_by_name(pairs):
    with pytest.raises(
        ValueError, match=r"pairs has .*: write theta and sigma, both above 0"
    ):
        rational.parse_populations(pairs)


def test_populations_are_read_in_order():
    assert rational.parse_populations(" 1,1  3,0.5") == [
        rational.Population(),
        rational.Population(3, 0.5),
    ]
