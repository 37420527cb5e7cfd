"""The rule by which the loop of Democratic AI ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from democratic_ai import game, mechanisms, repeat

TAILS = len(mechanisms.TAILS)


def groups(n_each, ratio):
    "Make blocks in which head and tails give a stated fraction, [role, round]."
    tails = jnp.repeat(jnp.array(mechanisms.TAILS, float), n_each)
    endowment = mechanisms.head_and_tails(tails)
    by_seat = np.stack([ratio[0], ratio[1], ratio[1], ratio[1]], -1)
    contribution = endowment[:, None] * by_seat
    return game.Block(endowment, contribution, contribution)


def forecast(mean, variance=0.0):
    "State a forecast, the same at all tail endowments."
    shape = (TAILS, 2, 10)
    spread = lambda x: np.broadcast_to(np.asarray(x, float), shape)
    return repeat.FreePlay(spread(mean), spread(variance))


def test_means_and_variances_are_of_groups():
    ratio = np.stack([np.linspace(0.9, 0.1, 10), np.linspace(0.2, 0.8, 10)])
    one, two = groups(2, ratio), groups(3, ratio / 2)
    both = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), one, two)
    found = repeat.free_play(both)
    values = np.stack([ratio, ratio, *[ratio / 2] * 3])
    for cell in range(TAILS):
        np.testing.assert_allclose(found.mean[cell], values.mean(0), atol=1e-6)
        variance = values.var(0, ddof=1) / 5
        np.testing.assert_allclose(found.variance[cell], variance, atol=1e-6)


def test_the_error_is_the_mean_absolute_difference_without_sampling_error():
    head, tail = repeat.foresight_error(
        forecast([[0.5], [0.4]]), forecast([[0.4], [0.45]])
    )
    assert (head, tail) == pytest.approx((0.1, 0.05))
    noisy = forecast([[0.5], [0.4]], variance=0.03**2)
    found = forecast([[0.45], [0.42]], variance=0.04**2)
    head, tail = repeat.foresight_error(noisy, found)
    assert head == pytest.approx(0.0, abs=1e-9), ".05 is all sampling error"
    assert tail == 0.0, "less than sampling error counts as none"


def test_differences_of_either_sign_do_not_cancel():
    up = np.where(np.arange(10) % 2, 0.1, -0.1)
    errors = repeat.foresight_error(forecast(0.5 + up), forecast(0.5))
    np.testing.assert_allclose(errors, 0.1)


@pytest.mark.parametrize(
    ("off_head", "off_tail", "share", "met"),
    [
        (0.029, 0.029, 0.5, True),
        (0.031, 0.0, 0.5, False),
        (0.0, 0.031, 0.5, False),
        (0.0, 0.0, 0.56, False),
        (0.0, 0.0, 0.44, False),
    ],
)
def test_play_of_both_roles_and_votes_must_have_been_foreseen(
    off_head, off_tail, share, met
):
    votes = np.tile([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], (200, 1))
    thought = forecast([[0.5 + off_head], [0.5 - off_tail]])
    verdict = repeat.judge(thought, forecast(0.5), share, votes)
    assert verdict["met"] is met
    assert verdict["share"] == 0.5 and verdict["low"] < 0.5 < verdict["high"]
    errors = verdict["error_head"], verdict["error_tail"]
    assert errors == pytest.approx((off_head, off_tail), abs=1e-9)


def test_a_tail_endowment_without_groups_is_refused():
    whole = groups(2, np.full((2, 10), 0.5))
    some = jax.tree.map(lambda leaf: leaf[: 2 * TAILS - 1], whole)
    with pytest.raises(
        ValueError, match=r"Too few groups have tails of 10 coins \(1\)"
    ):
        repeat.free_play(some)
