"""Which populations fit, and whom they elect."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from democratic_ai import populations

few = settings(max_examples=50, deadline=None)
NAMES = ["a", "b", "c", "d"]


def known(errors):
    return populations.Known(np.zeros(211), errors, {})


def test_sources_hold_every_number_once():
    held = [k for where in populations.SOURCES.values() for k in range(211)[where]]
    assert sorted(held) == list(range(211))


@few
@given(arrays(float, 211, elements=st.floats(0.1, 10)), st.floats(-3, 3))
def test_a_distance_is_in_errors_but_for_the_curves(errors, apart):
    found = populations.distances(apart * errors, known(errors))
    assert found.pop("curves") == pytest.approx(abs(apart) * errors[:180].mean())
    assert list(found.values()) == pytest.approx([abs(apart)] * 3)


@few
@given(arrays(float, (4, 4), elements=st.floats(0, 1)))
def test_the_elected_wins_against_every_other(shares):
    upper = np.triu(shares, 1)
    win = upper + np.tril(1 - upper.T, -1) + np.eye(4) / 2
    name = populations.elected(pd.DataFrame(win, NAMES, NAMES))
    beaten = {
        a: all(win[i, j] > 0.5 for j in range(4) if j != i) for i, a in enumerate(NAMES)
    }
    assert name == next((a for a, all_beaten in beaten.items() if all_beaten), "")


def test_a_cycle_elects_nobody():
    win = np.array([[0.5, 0.6, 0.4], [0.4, 0.5, 0.6], [0.6, 0.4, 0.5]])
    assert populations.elected(pd.DataFrame(win, NAMES[:3], NAMES[:3])) == ""


def test_what_is_observed_is_what_was_published():
    observed = populations.observe()
    assert observed.shape == (211,) and np.isfinite(observed).all()
    printed = np.exp(observed[populations.SOURCES["f"]])
    assert printed == pytest.approx([0.302, 8.94, 18.83], abs=0.01)
