"The mechanism network: equivariant, conserving, countable, and the same in both of its forms."

from functools import partial
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai import game, graphnet, mechanisms

PARAMS = graphnet.init(jax.random.key(7))
SEATINGS = np.array(list(permutations(range(4))))
fast = jax.jit(graphnet.shares)
readable = jax.jit(partial(graphnet.shares, fused=False))


def tables(n_tables: int, n_players: int = 4):
    "Draw whole endowments from 1 to 10 and contributions that they can pay for."
    rows = st.lists(st.tuples(st.integers(1, 10), st.floats(0, 1)), min_size=n_tables * n_players, max_size=n_tables * n_players)
    shape = (n_tables, n_players)
    return rows.map(lambda r: tuple(jnp.array(x, jnp.float32).reshape(shape) for x in zip(*((e, round(u * e)) for e, u in r))))


def flat(tree):
    return np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(tree)])


@settings(deadline=None, max_examples=25)
@given(tables(4), st.floats(0.1, 10))
def test_permuting_the_players_permutes_the_shares(table, scale):
    endowment, contribution = table
    params = jax.tree.map(lambda x: scale * x, PARAMS)
    asked_then_moved = np.asarray(fast(params, endowment, contribution))[:, SEATINGS]
    moved_then_asked = np.asarray(fast(params, endowment[:, SEATINGS], contribution[:, SEATINGS]))
    np.testing.assert_allclose(asked_then_moved, moved_then_asked, atol=2e-5)


@settings(deadline=None, max_examples=25)
@given(tables(16), st.floats(0.1, 10))
def test_payouts_hand_out_the_whole_fund(table, scale):
    endowment, contribution = table
    params = jax.tree.map(lambda x: scale * x, PARAMS)
    paid = game.payout(endowment, contribution, graphnet.mechanism(params))
    assert (np.asarray(paid) >= 0).all()
    np.testing.assert_allclose(paid.sum(-1), 1.6 * contribution.sum(-1), rtol=1e-5, atol=1e-5)


GRADIENT = {
    fused: jax.jit(jax.grad(lambda p, e, c, w, form=form: (w * form(p, e, c)).sum()))
    for fused, form in ((True, graphnet.shares), (False, partial(graphnet.shares, fused=False)))
}


@settings(deadline=None, max_examples=15)
@given(tables(16), st.floats(0.1, 3), st.integers(0, 2**31 - 1))
def test_fused_and_readable_shares_agree_in_value_and_gradient(table, scale, seed):
    "In double precision: where terms of a gradient cancel, single precision compares nothing but rounding."
    params = jax.tree.map(lambda x: scale * x, graphnet.init(jax.random.key(seed)))
    weight = jax.random.normal(jax.random.key(seed), table[0].shape)
    with jax.enable_x64(True):
        params, weight, (endowment, contribution) = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), (params, weight, table))
        found, expected = fast(params, endowment, contribution), readable(params, endowment, contribution)
        assert expected.dtype == jnp.float64
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        found, expected = (flat(GRADIENT[fused](params, endowment, contribution, weight)) for fused in (True, False))
    assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected) + 1e-12, "zero where all players are alike"


def test_sizes_are_the_papers():
    assert sum(x.size for x in jax.tree.leaves(PARAMS)) == 7681
    assert {name: layer["kernel"].shape for name, layer in PARAMS.items()} == {
        "edge1": (6, 32), "node1": (35, 32), "global1": (64, 32), "edge2": (128, 32), "node2": (96, 1),
    }
    for layer in PARAMS.values():
        inputs = layer["kernel"].shape[0]
        assert (np.asarray(layer["bias"]) == 0).all()
        assert abs(layer["kernel"]).max() <= 2 / np.sqrt(inputs)


@pytest.mark.parametrize("n_players", [2, 3, 6, 12])
def test_any_number_of_players_in_any_leading_shape(n_players):
    endowment = jnp.arange(1.0, n_players + 1)
    contribution = jnp.floor(endowment * jnp.linspace(0, 1, 15).reshape(3, 5, 1))
    share = graphnet.shares(PARAMS, endowment, contribution)
    assert share.shape == (3, 5, n_players)
    declared = graphnet.MechanismNetwork().apply({"params": PARAMS}, jnp.broadcast_to(endowment, share.shape), contribution)
    np.testing.assert_allclose(share, declared, rtol=1e-5)
    one_by_one = jnp.stack([jnp.stack([graphnet.shares(PARAMS, endowment, c) for c in row]) for row in contribution])
    np.testing.assert_allclose(share, one_by_one, rtol=1e-5)


def test_without_the_ratio_the_first_layers_shrink_and_nothing_else_changes():
    params = graphnet.init(jax.random.key(0), n_features=2)
    assert params["edge1"]["kernel"].shape == (4, 32) and params["node1"]["kernel"].shape == (34, 32)
    endowment = jnp.array([[10.0, 2, 2, 2]])
    share = graphnet.shares(params, endowment, endowment)
    assert jnp.allclose(share, graphnet.MechanismNetwork(n_features=2).apply({"params": params}, endowment, endowment), rtol=1e-5)
    assert jnp.allclose(share, graphnet.shares(params, endowment, endowment, fused=False), rtol=1e-5)


def test_nobody_contributing_is_an_ordinary_table():
    endowment = mechanisms.head_and_tails(4)
    value, gradient = jax.value_and_grad(lambda p: graphnet.shares(p, endowment, 0 * endowment)[0])(PARAMS)
    assert 0 < value < 1 and np.isfinite(flat(gradient)).all()


@pytest.mark.parametrize("tail", [2, 6])
@pytest.mark.parametrize("name", ["strict_egalitarian", "libertarian", "liberal_egalitarian"])
def test_beach_averages_all_triples_of_tail_contributions(tail, name):
    mechanism = mechanisms.BASELINES[name]
    frame = graphnet.beach(mechanism, tail)
    assert list(frame.columns) == ["head_contribution", "tail_contribution_sum", "head_share"]
    assert len(frame) == 11 * (3 * tail + 1)
    endowment = mechanisms.head_and_tails(tail)
    for head, total in ((0, 0), (7, tail), (10, 3 * tail - 1)):
        triples = [t for t in np.ndindex(*[tail + 1] * 3) if sum(t) == total]
        expected = np.mean([mechanism(endowment, jnp.array([head, *t], float))[0] for t in triples])
        found = frame.query("head_contribution == @head and tail_contribution_sum == @total").head_share.item()
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("tail", [2, 6])
@pytest.mark.parametrize("name", ["strict_egalitarian", "libertarian", "liberal_egalitarian"])
def test_returns_from_shares_are_the_means_over_all_triples(tail, name):
    mechanism, endowment = mechanisms.BASELINES[name], mechanisms.head_and_tails(tail)
    frame = graphnet.beach_returns(graphnet.beach(mechanism, tail).assign(tail_endowment=tail))
    for head, total in ((0, 0), (7, tail), (10, 3 * tail - 1)):
        contribution = jnp.array([[head, *t] for t in np.ndindex(*[tail + 1] * 3) if sum(t) == total], float)
        everybody = jnp.broadcast_to(endowment, contribution.shape)
        expected = np.asarray(game.returns(everybody, contribution, game.payout(everybody, contribution, mechanism))).mean(0)
        row = frame.query("head_contribution == @head and tail_contribution_sum == @total").iloc[0]
        np.testing.assert_allclose([row.head_return, row.tail_return], [expected[0], expected[1:].mean()], rtol=1e-4)
    assert (frame.head_return >= -1e-4).all() and (frame.tail_return >= -1e-4).all()
