"The mechanism network: equivariant, conserving, countable, the same in both forms."

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
    shape, n = (n_tables, n_players), n_tables * n_players
    seat = st.tuples(st.integers(1, 10), st.floats(0, 1))
    table = lambda coins: jnp.array(list(coins), jnp.float32).reshape(shape)
    return st.lists(seat, min_size=n, max_size=n).map(
        lambda seats: (
            table(e for e, _ in seats),
            table(round(u * e) for e, u in seats),
        )
    )


def flat(tree):
    return np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(tree)])


@settings(deadline=None, max_examples=25)
@given(tables(4), st.floats(0.1, 10))
def test_permuting_the_players_permutes_the_shares(table, scale):
    endowment, contribution = table
    params = jax.tree.map(lambda x: scale * x, PARAMS)
    asked_then_moved = np.asarray(fast(params, endowment, contribution))[:, SEATINGS]
    moved = endowment[:, SEATINGS], contribution[:, SEATINGS]
    moved_then_asked = np.asarray(fast(params, *moved))
    np.testing.assert_allclose(asked_then_moved, moved_then_asked, atol=2e-5)


@settings(deadline=None, max_examples=25)
@given(tables(16), st.floats(0.1, 10))
def test_payouts_hand_out_the_whole_fund(table, scale):
    endowment, contribution = table
    params = jax.tree.map(lambda x: scale * x, PARAMS)
    paid = game.payout(endowment, contribution, graphnet.mechanism(params))
    assert (np.asarray(paid) >= 0).all()
    fund = 1.6 * contribution.sum(-1)
    np.testing.assert_allclose(paid.sum(-1), fund, rtol=1e-5, atol=1e-5)


FORMS = {True: graphnet.shares, False: partial(graphnet.shares, fused=False)}
GRADIENT = {
    fused: jax.jit(jax.grad(lambda p, e, c, w, form=form: (w * form(p, e, c)).sum()))
    for fused, form in FORMS.items()
}


@settings(deadline=None, max_examples=15)
@given(tables(16), st.floats(0.1, 3), st.integers(0, 2**31 - 1))
def test_fused_and_readable_shares_agree_in_value_and_gradient(table, scale, seed):
    "In double precision: where terms cancel, single precision compares rounding only."
    params = jax.tree.map(lambda x: scale * x, graphnet.init(jax.random.key(seed)))
    weight = jax.random.normal(jax.random.key(seed), table[0].shape)
    double = lambda x: jnp.asarray(x, jnp.float64)
    with jax.enable_x64(True):
        given = jax.tree.map(double, (params, weight, table))
        params, weight, (endowment, contribution) = given
        found = fast(params, endowment, contribution)
        expected = readable(params, endowment, contribution)
        assert expected.dtype == jnp.float64
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        found, expected = (
            flat(GRADIENT[fused](params, endowment, contribution, weight))
            for fused in (True, False)
        )
    # zero where all players are alike
    allowed = 1e-10 * np.linalg.norm(expected) + 1e-12
    assert np.linalg.norm(found - expected) <= allowed


def test_sizes_are_the_papers():
    assert sum(x.size for x in jax.tree.leaves(PARAMS)) == 7681
    assert {name: layer["kernel"].shape for name, layer in PARAMS.items()} == {
        "edge1": (6, 32),
        "node1": (35, 32),
        "global1": (64, 32),
        "edge2": (128, 32),
        "node2": (96, 1),
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
    declared = graphnet.MechanismNetwork().apply(
        {"params": PARAMS}, jnp.broadcast_to(endowment, share.shape), contribution
    )
    np.testing.assert_allclose(share, declared, rtol=1e-5)
    one = lambda c: graphnet.shares(PARAMS, endowment, c)
    one_by_one = jnp.stack([jnp.stack([one(c) for c in row]) for row in contribution])
    np.testing.assert_allclose(share, one_by_one, rtol=1e-5)


def test_without_the_ratio_the_first_layers_shrink_and_nothing_else_changes():
    params = graphnet.init(jax.random.key(0), n_features=2)
    assert params["edge1"]["kernel"].shape == (4, 32)
    assert params["node1"]["kernel"].shape == (34, 32)
    everything = [jnp.array([[10.0, 2, 2, 2]])] * 2  # is given
    share = graphnet.shares(params, *everything)
    network = graphnet.MechanismNetwork(n_features=2)
    declared = network.apply({"params": params}, *everything)
    assert jnp.allclose(share, declared, rtol=1e-5)
    plain = graphnet.shares(params, *everything, fused=False)
    assert jnp.allclose(share, plain, rtol=1e-5)


def test_nobody_contributing_is_an_ordinary_table():
    endowment = mechanisms.head_and_tails(4)
    of_head = lambda p: graphnet.shares(p, endowment, 0 * endowment)[0]
    value, gradient = jax.value_and_grad(of_head)(PARAMS)
    assert 0 < value < 1 and np.isfinite(flat(gradient)).all()


@pytest.mark.parametrize("tail", [2, 6])
@pytest.mark.parametrize("name", mechanisms.BASELINES)
def test_beach_averages_all_triples_of_tail_contributions(tail, name):
    mechanism = mechanisms.BASELINES[name]
    frame = graphnet.beach(mechanism, tail)
    columns = ["head_contribution", "tail_contribution_sum", "head_share"]
    assert list(frame.columns) == columns
    assert len(frame) == 11 * (3 * tail + 1)
    endowment = mechanisms.head_and_tails(tail)
    for head, total in ((0, 0), (7, tail), (10, 3 * tail - 1)):
        triples = [t for t in np.ndindex(*[tail + 1] * 3) if sum(t) == total]
        expected = np.mean(
            [mechanism(endowment, jnp.array([head, *t], float))[0] for t in triples]
        )
        cell = "head_contribution == @head and tail_contribution_sum == @total"
        found = frame.query(cell).head_share.item()
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("tail", [2, 6])
@pytest.mark.parametrize("name", mechanisms.BASELINES)
def test_returns_from_shares_are_the_means_over_all_triples(tail, name):
    mechanism, endowment = mechanisms.BASELINES[name], mechanisms.head_and_tails(tail)
    beach = graphnet.beach(mechanism, tail).assign(tail_endowment=tail)
    frame = graphnet.beach_returns(beach)
    for head, total in ((0, 0), (7, tail), (10, 3 * tail - 1)):
        triples = [t for t in np.ndindex(*[tail + 1] * 3) if sum(t) == total]
        contribution = jnp.array([[head, *t] for t in triples], float)
        everybody = jnp.broadcast_to(endowment, contribution.shape)
        paid = game.payout(everybody, contribution, mechanism)
        returns = np.asarray(game.returns(everybody, contribution, paid)).mean(0)
        expected = [returns[0], returns[1:].mean()]
        cell = "head_contribution == @head and tail_contribution_sum == @total"
        row = frame.query(cell).iloc[0]
        found = [row.head_return, row.tail_return]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (frame.head_return >= -1e-4).all() and (frame.tail_return >= -1e-4).all()
