"""Mechanisms against the printed equations, on random input, compiled and mapped.

And the gatekeeper against rules that are none.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import game, mechanisms

CORNERS = [mechanisms.manifold(w, v) for w in (0.0, 0.5, 1.0) for v in (0.0, 0.5, 1.0)]
ALL = [*mechanisms.BASELINES.values(), *CORNERS]
few = settings(deadline=None, max_examples=25)


@st.composite
def rounds(draw):
    """Endowments and whole contributions of 2 to 6 players.

    Nobody giving is as likely as any other generosity.
    """
    n_players = draw(st.integers(2, 6))
    endowment = draw(
        st.lists(st.integers(1, 10), min_size=n_players, max_size=n_players)
    )
    silent = draw(st.booleans())
    contribution = [0 if silent else draw(st.integers(0, e)) for e in endowment]
    return np.array(endowment, np.float32), np.array(contribution, np.float32)


def payout_as_printed(endowment, contribution, w, v, growth=1.6):
    "The ideological manifold in coins, player by player, in double precision."
    n = len(endowment)
    ratio = [c / e for c, e in zip(contribution, endowment, strict=True)]
    total, ratios = sum(contribution), sum(ratio)
    paid = []
    for i in range(n):
        others_coins = sum(contribution[j] for j in range(n) if j != i) / (n - 1)
        others_ratio = sum(ratio[j] for j in range(n) if j != i) / (n - 1)
        absolute = growth * (w * contribution[i] + (1 - w) * others_coins)
        relative = (
            growth * total / ratios * (w * ratio[i] + (1 - w) * others_ratio)
            if total
            else 0.0
        )
        paid.append(v * relative + (1 - v) * absolute)
    return np.array(paid)


@few
@given(rounds(), st.floats(0, 1), st.floats(0, 1))
def test_the_plane_pays_what_the_printed_equations_say(played, w, v):
    endowment, contribution = played
    ours = game.payout(endowment, contribution, mechanisms.manifold(w, v))
    theirs = payout_as_printed(
        endowment.astype(float), contribution.astype(float), w, v
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@few
@given(rounds())
def test_shares_are_shares_and_gradients_are_numbers(played):
    endowment, contribution = map(jnp.asarray, played)
    for mechanism in ALL:
        share = mechanism(endowment, contribution)
        slope = jax.jacobian(partial(game.payout, endowment, mechanism=mechanism))(
            contribution
        )
        assert (share >= -1e-6).all() and abs(share.sum() - 1) < 1e-5
        assert jnp.isfinite(slope).all()
        if contribution.sum() == 0:
            np.testing.assert_allclose(share, 1 / len(share), rtol=1e-6)


@few
@given(rounds(), st.randoms(use_true_random=False))
def test_the_order_of_players_does_not_matter(played, random):
    endowment, contribution = played
    order = random.sample(range(len(endowment)), len(endowment))
    for mechanism in ALL:
        moved = mechanism(endowment[order], contribution[order])
        np.testing.assert_allclose(
            moved, np.asarray(mechanism(endowment, contribution))[order], atol=1e-6
        )


@few
@given(rounds(), st.floats(0, 1))
def test_canonical_points(played, other):
    endowment, contribution = played
    equal = mechanisms.manifold(1 / len(endowment), other)(endowment, contribution)
    np.testing.assert_allclose(
        equal, mechanisms.strict_egalitarian(endowment, contribution), atol=1e-6
    )
    for v, canonical in (
        (0.0, mechanisms.libertarian),
        (1.0, mechanisms.liberal_egalitarian),
    ):
        np.testing.assert_array_equal(
            mechanisms.manifold(1.0, v)(endowment, contribution),
            canonical(endowment, contribution),
        )


@few
@given(rounds())
def test_libertarian_returns_each_their_own_coins_grown(played):
    endowment, contribution = played
    np.testing.assert_allclose(
        game.payout(endowment, contribution, mechanisms.libertarian),
        1.6 * contribution,
        atol=1e-4,
    )


def test_compiled_mapped_and_batched_agree():
    rng = np.random.default_rng(1)
    endowment = rng.integers(1, 11, (3, 50, 4)).astype(np.float32)
    contribution = np.floor(endowment * rng.random(endowment.shape) * 1.2).clip(
        0, endowment
    )
    for mechanism in ALL:
        batched = mechanism(endowment, contribution)
        np.testing.assert_allclose(
            jax.jit(mechanism)(endowment, contribution), batched, atol=1e-6
        )
        np.testing.assert_allclose(
            jax.vmap(jax.vmap(mechanism))(endowment, contribution), batched, atol=1e-6
        )


def test_a_batch_of_points_is_the_points_one_by_one():
    w, v = np.random.default_rng(2).random((2, 7))
    endowment, contribution = mechanisms.head_and_tails(4), jnp.array([3.0, 4, 0, 1])
    batch = mechanisms.manifold(w[:, None], v[:, None])(
        jnp.tile(endowment, (7, 1)), jnp.tile(contribution, (7, 1))
    )
    points = [mechanisms.manifold(a, b) for a, b in zip(w, v, strict=True)]
    single = [point(endowment, contribution) for point in points]
    np.testing.assert_allclose(batch, single, atol=1e-6)


def test_recorded_numbers():
    endowment, contribution = jnp.array([10.0, 2, 2, 2]), jnp.array([5.0, 2, 1, 0])
    paid = [
        game.payout(endowment, contribution, mechanism)
        for mechanism in mechanisms.BASELINES.values()
    ]
    np.testing.assert_allclose(
        paid, [[3.2] * 4, [8, 3.2, 1.6, 0], [3.2, 6.4, 3.2, 0]], rtol=1e-5, atol=1e-6
    )
    assert list(mechanisms.BASELINES) == [
        "strict_egalitarian",
        "libertarian",
        "liberal_egalitarian",
    ]
    assert mechanisms.strict_egalitarian is game.equal_split


@few
@given(st.floats(1, 10, width=32), st.integers(1, 3))
def test_the_head_has_ten_and_the_tails_alike(tail, n):
    groups = np.asarray(mechanisms.head_and_tails(jnp.full(n, tail)))
    assert groups.shape == (n, 4)
    assert (groups[:, 0] == 10).all() and (groups[:, 1:] == np.float32(tail)).all()
    np.testing.assert_array_equal(mechanisms.head_and_tails(tail), groups[0])


@pytest.mark.parametrize("mechanism", ALL)
def test_every_point_of_the_plane_passes(mechanism):
    assert mechanisms.check(mechanism, name="a point") is None


def nothing_for_the_head(endowment, contribution):
    return mechanisms.strict_egalitarian(endowment, contribution).at[..., 0].set(0.0)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda e, c: c / c.sum(-1, keepdims=True), "nobody contributes"),
        (
            lambda e, c: jnp.where(
                c.sum(-1, keepdims=True) == e.sum(-1, keepdims=True),
                jnp.inf,
                0.25 + 0 * c,
            ),
            "not all finite",
        ),
        (mechanisms.manifold(1.2, 0.0), "not all positive"),
        (nothing_for_the_head, "sum to 1"),
        (lambda e, c: jnp.full(c.shape, 0.2502), "sum to 1"),
        (lambda e, c: e / e.sum(), "sum to 1"),
        (lambda e, c: c.sum(-1) / c.sum(), "one share for each player"),
        (lambda e, c: (c, c), "one share for each player"),
        (lambda e, c: c @ jnp.ones((3, 3)), "cannot be computed"),
        (lambda e, c: e if c.max() > 3 else c, "jnp.where"),
        (lambda e, c: np.asarray(c) / 4, "jax.numpy"),
    ],
)
def test_what_is_no_mechanism_is_refused_in_one_sentence(rule, words):
    with pytest.raises(ValueError, match="my rule") as refused:
        mechanisms.check(rule, name="my rule")
    assert isinstance(refused.value, mechanisms.MechanismError)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_the_error_shows_the_game_that_failed():
    only_when_all_give = lambda e, c: jnp.where(
        (c == e).all(-1, keepdims=True) & (e[..., 1:2] == 6), 0.3, 0.25 + 0 * c
    )
    coins = r"\[10., +6., +6., +6.\]"
    shown = f"endowments {coins} and contributions {coins}"
    with pytest.raises(mechanisms.MechanismError, match=shown):
        mechanisms.check(only_when_all_give, name="odd")
