"""Random keys from a seed and names."""

from itertools import combinations, product

import hypothesis.strategies as st
import jax
from hypothesis import given, settings

from democratic_ai.engine.streams import stream

names = st.lists(st.text(max_size=8) | st.integers(0, 999), max_size=3)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 99), st.lists(names, min_size=2, max_size=8))
def test_other_names_are_other_keys(seed, lists):
    keys = {tuple(map(str, of)): stream(seed, *of) for of in lists}
    for one, other in combinations(keys.values(), 2):
        assert one != other


def test_seeds_and_iterations_are_apart():
    keys = [stream(seed, "train", i) for seed, i in product(range(20), range(20))]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 400


def test_a_key_is_the_same_on_every_machine():
    # pinned, because whoever changes it changes every result of a run
    data = jax.random.key_data(stream(3, "elect", 1))
    assert data.tolist() == [1185021933, 714364374]
