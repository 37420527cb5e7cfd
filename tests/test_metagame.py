"The metagame: equilibria and cycles, pairing against the vote model, invariances."

from functools import partial
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from democratic_ai import cloning, game, graphnet, mechanisms, metagame, voting
from democratic_ai.engine import published

RING = np.array([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]])
TABLE_S2 = (
    published.read("table_s2_metagame")["win_probability"].to_numpy().reshape(9, 9)
)
share = st.integers(0, 20).map(lambda k: k / 20)


@st.composite
def tournaments(draw, most=5):
    "A random round robin, ties included."
    n = draw(st.integers(1, most))
    upper = np.triu(draw(npst.arrays(float, (n, n), elements=share)), 1)
    return upper + np.tril(1 - upper.T, -1) + 0.5 * np.eye(n)


def simple_cycles(win, margin):
    "All cycles of the majority relation by trying every order of every subset."
    n = len(win)
    beats = win > 0.5 + margin
    rings = (
        ring
        for size in range(2, n + 1)
        for ring in permutations(range(n), size)
        if ring[0] == min(ring)
    )
    return [
        ring
        for ring in rings
        if all(beats[a, b] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
    ]


@settings(deadline=None, max_examples=60)
@given(tournaments(), st.sampled_from([0.0, 0.1, 0.3]))
def test_cycles_are_those_of_enumeration(win, margin):
    found = metagame.condorcet_cycles(win, margin=margin)
    every = simple_cycles(win, margin)
    assert bool(found) == bool(every)
    for ring in found:
        lowest = ring.index(min(ring))
        assert ring[lowest:] + ring[:lowest] in every
        assert len(ring) == min(len(other) for other in every if set(ring) & set(other))
    # whoever goes round in circles does so with a cycle that is named: same component
    for ring in every:
        assert any(connected(win > 0.5 + margin, ring[0], other[0]) for other in found)


def connected(beats, a, b):
    "Whether a leads to b and b to a."
    n = len(beats)
    reach = np.linalg.matrix_power(beats.astype(int) + np.eye(n, dtype=int), n) > 0
    return reach[a, b] and reach[b, a]


@settings(deadline=None, max_examples=60)
@given(tournaments())
def test_nothing_beats_the_equilibrium(win):
    mixture = metagame.equilibrium(win)
    assert np.isclose(mixture.sum(), 1) and (mixture >= 0).all()
    assert (mixture @ win >= 0.5 - 1e-7).all()


@settings(deadline=None, max_examples=60)
@given(tournaments(), st.randoms(use_true_random=False))
def test_names_do_not_matter(win, random):
    order = random.sample(range(len(win)), len(win))
    renamed = win[np.ix_(order, order)]
    for ask in (metagame.unbeaten, metagame.dominant):
        assert sorted(order[i] for i in ask(renamed)) == ask(win)
    cycles = metagame.condorcet_cycles
    assert len(cycles(renamed)) == len(cycles(win))
    if len(win) > 1:
        expected = metagame.mean_shares(win)[order]
        assert np.isclose(metagame.mean_shares(renamed), expected).all()


@settings(deadline=None, max_examples=60)
@given(tournaments())
def test_a_dominant_mechanism_is_unbeaten_and_wins(win):
    dominant = metagame.dominant(win)
    assert set(dominant) <= set(metagame.unbeaten(win))
    if dominant and len(win) > 1:
        best, level = metagame.winner(win)
        assert np.isclose(
            metagame.mean_shares(win)[best], metagame.mean_shares(win)[dominant]
        ).all()
        assert set(dominant) <= {best, *level}


def test_rock_paper_scissors():
    assert np.allclose(metagame.equilibrium(RING), 1 / 3)
    assert metagame.unbeaten(RING) == metagame.dominant(RING) == []
    assert metagame.condorcet_cycles(RING) == [(0, 1, 2)]


def test_a_cycle_below_a_winner_is_named_but_does_not_matter():
    win = np.block(
        [[np.full((1, 1), 0.5), np.full((1, 3), 0.9)], [np.full((3, 1), 0.1), RING]]
    )
    assert metagame.condorcet_cycles(win) == [(1, 2, 3)]
    assert metagame.winner(win) == (0, [])
    assert np.allclose(metagame.equilibrium(win), [1, 0, 0, 0])


def test_a_mechanism_worse_everywhere_is_never_fielded():
    worse = np.array([[0.5, 0.4, 0.55], [0.6, 0.5, 0.7], [0.45, 0.3, 0.5]])
    assert metagame.dominant(worse) == [1]
    assert np.allclose(metagame.equilibrium(worse), [0, 1, 0])


def test_the_published_table():
    assert metagame.dominant(TABLE_S2) == metagame.unbeaten(TABLE_S2) == [8]
    assert metagame.condorcet_cycles(TABLE_S2) == []
    assert metagame.winner(TABLE_S2, margin=0.01) == (8, [7])
    assert metagame.mean_shares(TABLE_S2)[8] == pytest.approx(0.591625)


def test_candidates_stand_in_the_published_order():
    printed = published.read("table_s2_metagame")
    ours = metagame.tournament_table(TABLE_S2, metagame.TABLE_S2_GRID)
    assert (ours.to_numpy() == printed[list(ours)].to_numpy()).all()


@pytest.fixture(scope="module")
def sums():
    "Bots under the nine mechanisms of Table S2."
    return metagame.simulate(
        jax.random.key(0), game.random_bots(), metagame.TABLE_S2_GRID, n_blocks=100
    )


def test_pairing_is_the_vote_model_on_the_blocks(sums):
    seats = metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, 100)
    # all blocks are one chunk
    keys = [jax.random.split(k, 1)[0] for k in jax.random.split(jax.random.key(0), 9)]
    w, v = metagame.TABLE_S2_GRID
    blocks = [
        game.play(keys[i], game.random_bots(), seats, mechanisms.manifold(w[i], v[i]))
        for i in range(9)
    ]
    share = lambda a, b: np.asarray(voting.vote_probability(a, b).mean(-1))
    each = np.array([[share(a, b) for b in blocks] for a in blocks], np.float64)
    result = metagame.pair_blocks(sums)
    assert np.allclose(result.win, each.mean(-1), atol=2e-5)
    off = ~np.eye(9, dtype=bool)
    assert np.allclose(result.error[off], (each.std(-1, ddof=1) / 10)[off], atol=2e-5)


@pytest.mark.parametrize("n_blocks", [100, 521])
def test_elections_held_one_by_one_and_blocks_paired_afterwards_agree(n_blocks):
    "Tournaments over one chunk and two in value; one election in gradient, too."
    players = cloning.virtual_players(cloning.init(jax.random.key(1)))
    points = metagame.Grid(*(x[4:7] for x in metagame.TABLE_S2_GRID))
    paired, anew = (
        metagame.round_robin(
            jax.random.key(2), players, points, n_blocks=n_blocks, fused=fused
        )
        for fused in (True, False)
    )
    assert np.allclose(paired.win, anew.win, rtol=1e-5)
    assert np.allclose(paired.error, anew.error, rtol=1e-4)
    seats = metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, 100)
    keys = jax.random.split(jax.random.key(2))
    key_a, key_b = (jax.random.split(key, 1)[0] for key in keys)  # of the only chunk

    def readable(w):
        a, b = mechanisms.manifold(w, 0.5), mechanisms.manifold(1.0, 1.0)
        return metagame.vote_share(key_a, key_b, game.random_bots(), seats, a, b).mean()

    def fused(w):
        points = metagame.Grid(jnp.stack([w, jnp.float32(1)]), jnp.array([0.5, 1.0]))
        a, b = metagame.simulate(
            jax.random.key(2), game.random_bots(), points, n_blocks=100
        )
        return voting.vote_from_sums(a, b).mean()

    both = (jax.value_and_grad(f)(jnp.float32(0.3)) for f in (readable, fused))
    assert np.allclose(*both, rtol=1e-5)


def test_other_rules_of_the_game_go_through():
    rules = game.Game(growth=3.2, n_rounds=4)
    bots = game.random_bots()
    points = metagame.Grid(*(x[:2] for x in metagame.TABLE_S2_GRID))
    by_rules = lambda rules: metagame.relative_payouts(
        jax.random.key(0), bots, points, n_blocks=50, rules=rules
    )
    assert by_rules(rules).shape[2] == 4
    assert np.allclose(by_rules(rules), 2 * by_rules(game.Game(n_rounds=4)), rtol=1e-5)
    simulate = partial(metagame.simulate, jax.random.key(0), bots, points, n_blocks=50)
    sums, half = simulate(rules=rules), simulate(rules=game.Game(n_rounds=4))
    assert np.allclose(sums, 2 * half, rtol=1e-5)
    paired, anew = (
        metagame.round_robin(
            jax.random.key(0), bots, points, n_blocks=50, rules=rules, fused=fused
        )
        for fused in (True, False)
    )
    assert np.allclose(paired.win, anew.win, rtol=1e-5)
    assert np.allclose(paired.win, metagame.pair_blocks(sums).win)


@settings(deadline=None, max_examples=30)
@given(npst.arrays(np.float32, (4, 6, 4), elements=st.floats(-30, 30, width=32)))
def test_every_vote_is_counted_once(sums):
    win = metagame.pair_blocks(jnp.asarray(sums)).win
    assert (win + win.T == 1).all() and (win.diagonal() == 0.5).all()
    assert ((win >= 0) & (win <= 1)).all()


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(9)))
def test_pairing_follows_the_order_of_the_mechanisms(sums, order):
    win = metagame.pair_blocks(sums).win[np.ix_(order, order)]
    assert np.allclose(metagame.pair_blocks(sums[np.array(order)]).win, win, atol=1e-6)


def test_a_gift_to_all_wins_votes(sums):
    gift = jnp.concatenate([sums[:1], sums[:1] + 0.1])
    steeper = [
        metagame.pair_blocks(gift, slope=slope).win[1, 0] for slope in (0.7, 1.4, 14.0)
    ]
    assert np.allclose(
        steeper, [1 / (1 + np.exp(-0.1 * s)) for s in (0.7, 1.4, 14.0)], atol=1e-6
    )


def test_a_list_of_functions_plays_like_the_grid():
    three = [
        mechanisms.manifold(0.0, 0.0),
        mechanisms.manifold(0.0, 0.5),
        mechanisms.manifold(0.0, 1.0),
    ]
    as_grid = metagame.simulate(
        jax.random.key(1),
        game.random_bots(),
        metagame.Grid(*(x[:3] for x in metagame.TABLE_S2_GRID)),
        n_blocks=100,
    )
    assert np.allclose(
        metagame.simulate(jax.random.key(1), game.random_bots(), three, n_blocks=100),
        as_grid,
        atol=1e-4,
    )


def test_one_program_serves_all_networks():
    def sums(seed):
        players = cloning.virtual_players(cloning.init(jax.random.key(seed)))
        rule = graphnet.mechanism(graphnet.init(jax.random.key(seed)))
        grid = metagame.simulate(
            jax.random.key(0),
            players,
            metagame.Grid(*(x[:2] for x in metagame.TABLE_S2_GRID)),
            n_blocks=10,
        )
        return np.concatenate(
            [grid, metagame.simulate(jax.random.key(0), players, [rule], n_blocks=10)]
        )

    first, compiled = sums(1), metagame._summarise._cache_size()
    assert not np.allclose(first, sums(2), atol=1e-3), "another network plays otherwise"
    assert compiled == metagame._summarise._cache_size()


def test_the_same_mechanism_draws_its_own_blocks():
    twins = metagame.Grid(w=jnp.full(2, 0.25), v=jnp.array([0.0, 1.0]))
    sums = metagame.simulate(
        jax.random.key(0), game.random_bots(), twins, n_blocks=2000
    )
    result = metagame.pair_blocks(sums)
    assert not np.allclose(sums[0], sums[1])
    assert abs(result.win[0, 1] - 0.5) < 4 * result.error[0, 1]


def test_payout_curves_are_those_of_the_blocks_head_and_tails_apart():
    points = metagame.Grid(w=jnp.array([0.25, 1.0]), v=jnp.array([0.0, 0.5]))
    features = metagame.relative_payouts(
        jax.random.key(3), game.random_bots(), points, n_blocks=103
    )
    assert features.shape == (2, 5, 10, 2), (
        "twenty numbers for each mechanism and endowment"
    )
    seats = metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, 103)
    for i, key in enumerate(jax.random.split(jax.random.key(3), 2)):
        block = game.play(
            jax.random.split(key, 1)[0],
            game.random_bots(),
            seats,
            mechanisms.manifold(points.w[i], points.v[i]),
        )
        for j, tail in enumerate(mechanisms.TAILS):
            paid = np.asarray(block.relative_payout)[np.asarray(seats[:, 1]) == tail]
            assert np.allclose(features[i, j, :, 0], paid[..., 0].mean(0), atol=1e-5)
            assert np.allclose(
                features[i, j, :, 1], paid[..., 1:].mean((0, 2)), atol=1e-5
            )


def test_bots_are_paid_what_the_mechanism_says():
    rules = list(mechanisms.BASELINES.values())
    bots = game.random_bots()
    paid = metagame.relative_payouts(jax.random.key(4), bots, rules, n_blocks=20_000)
    strict, libertarian, _ = np.asarray(paid).mean(2)
    tails = np.array(mechanisms.TAILS)
    fund = 1.6 * (5 + 1.5 * tails)  # bots give half
    expected = np.c_[fund / 4 / 10, fund / 4 / tails]
    assert np.allclose(strict, expected, rtol=0.03)
    assert np.allclose(libertarian, 0.8, rtol=0.03)
    with pytest.raises(ValueError, match="candidates is empty"):
        metagame.relative_payouts(jax.random.key(4), game.random_bots(), [])


@pytest.mark.parametrize("n_blocks", [5, 9, 203, 4096])
def test_endowments_are_dealt_evenly(n_blocks):
    tails = np.asarray(
        metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, n_blocks)[:, 1]
    )
    counts = [int((tails == tail).sum()) for tail in mechanisms.TAILS]
    assert sum(counts) == n_blocks and max(counts) - min(counts) <= 1


def test_election_by_condition_is_the_pairing_of_that_condition():
    rivals = dict(list(mechanisms.BASELINES.items())[:2])
    table = metagame.elect(
        jax.random.key(5),
        game.random_bots(),
        mechanisms.liberal_egalitarian,
        rivals,
        tails=(2, 10),
        n_blocks=60,
    )
    assert list(table) == ["rival", "tail_endowment", "vote_share", "low", "high"]
    assert table[["rival", "tail_endowment"]].to_numpy().tolist() == [
        [r, t] for r in rivals for t in (2, 10)
    ]
    endowment = jnp.stack([mechanisms.head_and_tails(tail) for tail in (2, 10)])
    sums = metagame.simulate(
        jax.random.key(5),
        game.random_bots(),
        [mechanisms.liberal_egalitarian, *rivals.values()],
        endowment,
        n_blocks=120,
    )
    for i in (0, 1):
        result = metagame.pair_blocks(sums[:, i::2])
        rows = table[table["tail_endowment"] == (2, 10)[i]]
        assert np.allclose(rows["vote_share"], result.win[0, 1:], atol=1e-6)
        assert np.allclose(
            rows["high"] - rows["low"], 2 * 1.96 * result.error[0, 1:], atol=1e-6
        )


def test_with_equal_endowments_libertarian_and_liberal_egalitarian_tie():
    table = metagame.elect(
        jax.random.key(6),
        game.random_bots(),
        mechanisms.liberal_egalitarian,
        {"x": mechanisms.libertarian},
        tails=(10,),
        n_blocks=4000,
    )
    assert table["vote_share"][0] == pytest.approx(
        0.5, abs=2 * (table["high"] - table["low"])[0]
    )


@pytest.mark.parametrize(
    ("win", "said"),
    [
        (np.full((2, 3), 0.5), "square matrix"),
        (np.zeros((0, 0)), "square matrix"),
        (np.full((2, 2), np.nan), "outside 0 to 1"),
        (np.array([[0.5, 2.0], [-1.0, 0.5]]), "outside 0 to 1"),
        (np.full((2, 2), 0.6), "do not sum to 1"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        metagame.equilibrium,
        metagame.unbeaten,
        metagame.dominant,
        metagame.condorcet_cycles,
        metagame.winner,
    ],
)
def test_what_is_no_round_robin_is_refused(ask, win, said):
    with pytest.raises(ValueError, match=said):
        ask(win)


def test_empty_requests_are_refused():
    bots = game.random_bots()
    with pytest.raises(ValueError, match="candidates is empty"):
        metagame.simulate(jax.random.key(0), bots, [])
    with pytest.raises(ValueError, match="ask for more blocks"):
        metagame.simulate(jax.random.key(0), bots, metagame.TABLE_S2_GRID, n_blocks=4)
    with pytest.raises(ValueError, match="rivals or tails is empty"):
        metagame.elect(jax.random.key(0), bots, mechanisms.libertarian, {})
    with pytest.raises(mechanisms.MechanismError, match="greedy"):
        metagame.elect(
            jax.random.key(0),
            bots,
            mechanisms.libertarian,
            {"greedy": lambda e, c: 2 * game.equal_split(e, c)},
            n_blocks=5,
        )
