"""Virtual players.

The fused form against flax, what no forecast may break, learning, resuming.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.tree_util import Partial

from democratic_ai import cloning, data, game, mechanisms
from democratic_ai.cloning import Cloning
from democratic_ai.engine import fused_players, loop, store

SEEDS = st.integers(0, 2**31 - 1)
N_GROUPS = 8
examples = partial(settings, deadline=None)


@partial(jax.jit, static_argnums=(1, 2))
def random_block(seed, n_groups=N_GROUPS, n_players=4):
    "Bots with random endowments under a random point of the manifold."
    key_endowment, key_point, key_play = jax.random.split(jax.random.key(seed), 3)
    shape = n_groups, n_players
    endowment = jax.random.randint(key_endowment, shape, 1, 11).astype(float)
    w, v = jax.random.uniform(key_point, (2, n_groups, 1))
    return game.play(key_play, game.random_bots(), endowment, mechanisms.manifold(w, v))


def some_params(seed, n_players=4):
    "Parameters far from the small ones that training starts with."
    params = cloning.init(jax.random.key(seed), n_players=n_players)
    return jax.tree.map(lambda x: 2 * x, params)


def slope(params, block, weight, *, fused):
    "The derivative in the payouts of a weighted sum of log-probabilities."
    replay = lambda payout: game.Block(block.endowment, block.contribution, payout)
    log_p = lambda payout: cloning.log_probability(params, replay(payout), fused=fused)
    return jax.grad(lambda payout: (weight * log_p(payout)).sum())(block.payout)


log_probability = jax.jit(cloning.log_probability, static_argnames="fused")
payout_slope = jax.jit(slope, static_argnames="fused")
readable_loss = jax.jit(
    jax.value_and_grad(cloning.imitation_loss), static_argnames=("config", "fused")
)
batch_loss = jax.jit(cloning.imitation_gradient, static_argnames="config")


def random_plays(seed, n_players=4):
    "Blocks in which one in five did not answer all rounds, but the first one did."
    shape, key = (N_GROUPS, n_players), jax.random.key(seed + 1)
    answered = jax.random.bernoulli(key, 0.8, shape).at[:2, 0].set(True)
    block = random_block(seed, *shape)
    return data.label_blocks(block, "random", answered=answered)


def relative(a, b):
    error = lambda x, y: float(jnp.abs(x - y).max() / jnp.abs(y).max())
    return max(jax.tree.leaves(jax.tree.map(error, a, b)))


def test_number_of_parameters():
    params = cloning.init(jax.random.key(0))
    assert sum(x.size for x in jax.tree.leaves(params)) == 6459
    fused = fused_players.concatenate_weights(params)
    assert sum(x.size for x in fused.values()) == 6459
    forget = params["params"]["lstm"]["hf"]["bias"].tolist()
    assert set(forget) == {1.0}, "forget gates start open"


@examples(max_examples=4)
@given(SEEDS)
def test_own_numbers_come_first_and_seats_do_not_matter(seed):
    block = random_block(seed)
    known = cloning.features(block)
    assert known.shape == (N_GROUPS, 10, 4, 16)
    assert (known[:, 0, :, 4:] == 0).all(), "nothing was observed before round 1"
    assert jnp.allclose(known[:, :, :, 0] * 10, block.endowment[:, None])
    assert jnp.allclose(known[:, 1:, :, 4] * 10, block.contribution[:, :-1])
    assert jnp.allclose(known[:, 1:, :, 8], block.relative_contribution[:, :-1])
    assert jnp.allclose(known[:, 1:, :, 12] * 10, block.payout[:, :-1])
    seen = cloning.observation(
        block.endowment, block.contribution[:, 3], block.payout[:, 3]
    )
    assert jnp.allclose(known[:, 4], seen), "before round 5 stands what round 4 showed"
    swapped = jnp.array([1, 0, 2, 3])
    moved = jax.tree.map(lambda x: x[..., swapped], block)
    first = cloning.features(moved)[:, :, 0]
    assert (first == known[:, :, 1]).all(), "who changes seats changes features"
    alone = cloning.features(jax.tree.map(lambda x: x[0], block))
    assert (alone == known[0]).all()


SIZES = st.sampled_from((3, 4, 6))
CONFIGS = {
    3: Cloning(entropy_weight=0, l2=0),
    4: Cloning(),
    6: Cloning(entropy_weight=-0.3, l2=0.01),
}


@examples(max_examples=6)
@given(SEEDS, SIZES)
def test_the_fused_loss_and_gradient_are_the_readable_ones(seed, n_players):
    "Of the whole loss, and of a batch in which blocks come back."
    params, config = some_params(seed % 100, n_players), CONFIGS[n_players]
    plays = random_plays(seed, n_players)
    drawn = jnp.array([5, 0, 3, 3, 7, 1])
    block, answered = jax.tree.map(lambda x: x[drawn], (plays.block, plays.answered))
    value, gradient = readable_loss(params, block, answered, config=config, fused=False)
    fused_value, fused_gradient = readable_loss(params, block, answered, config=config)
    by_seat = cloning.make_examples(plays, shuffle_others=False)
    (batch_value, cross_entropy), batch_gradient = batch_loss(
        params, by_seat, drawn, jax.random.key(seed), config=config
    )
    assert np.allclose([fused_value, batch_value], value, rtol=1e-5)
    assert relative(fused_gradient, gradient) < 1e-5
    assert relative(batch_gradient, gradient) < 1e-5
    by_player = -log_probability(params, plays.block, fused=False).mean(1)[drawn]
    assert np.allclose(cross_entropy, by_player[answered].mean(), rtol=1e-5)


@examples(max_examples=6)
@given(SEEDS, SIZES)
def test_the_fused_log_probability_and_its_slope_are_the_readable_ones(seed, n_players):
    params = some_params(seed % 100, n_players)
    block = random_block(seed, N_GROUPS, n_players)
    fused, readable = (
        log_probability(params, block, fused=fused) for fused in (True, False)
    )
    assert jnp.allclose(fused, readable, rtol=1e-5, atol=1e-5)
    weight = jax.random.normal(jax.random.key(seed), block.contribution.shape)
    fused, readable = (
        payout_slope(params, block, weight, fused=fused) for fused in (True, False)
    )
    assert relative(fused, readable) < 1e-5
    assert (fused[:, -1] == 0).all(), "nobody chooses after the last payout"
    alone = jax.tree.map(lambda x: x[0], block)
    assert log_probability(params, alone).shape == (10, n_players)


@examples(max_examples=4)
@given(SEEDS)
def test_the_readable_forecast_is_the_networks(seed):
    "One game, player, choice after the other; minus infinity for what cannot be paid."
    params, block = some_params(seed % 100), random_block(seed)
    known = cloning.features(block).swapaxes(-3, -2)
    _, logits = cloning.VirtualPlayer().apply(params, known)  # [G, P, T, 11]
    too_much = jnp.arange(11) > block.endowment[..., None, None]
    log_p = jax.nn.log_softmax(jnp.where(too_much, -jnp.inf, logits))
    coins = block.contribution.swapaxes(-2, -1).astype(int)
    chosen = jnp.take_along_axis(log_p, coins[..., None], -1)
    expected = chosen[..., 0].swapaxes(-2, -1)
    found = log_probability(params, block, fused=False)
    assert jnp.allclose(found, expected, rtol=1e-5, atol=1e-5)


@examples(max_examples=4)
@given(SEEDS)
def test_the_loss_is_the_formula(seed):
    params, plays = some_params(seed % 100), random_plays(seed)
    log_p = cloning.forecast_choices(params, plays.block, fused=False)
    entropy = -(jnp.exp(log_p) * log_p).sum(1).mean(0).reshape(plays.answered.shape)
    cross_entropy = -log_probability(params, plays.block, fused=False).mean(1)
    squares = sum((x**2).sum() for x in jax.tree.leaves(params))
    expected = (cross_entropy - 0.1 * entropy)[plays.answered].mean() + 1e-5 * squares
    loss = cloning.imitation_loss(params, plays.block, plays.answered, fused=False)
    assert np.allclose(loss, expected, rtol=1e-5)


@examples(max_examples=10)
@given(SEEDS, st.floats(0.1, 50))
def test_forecasts_are_probabilities_of_what_is_affordable(seed, size):
    key_logits, key_endowment, key_draw = jax.random.split(jax.random.key(seed), 3)
    logits = size * jax.random.normal(key_logits, (11, 500))
    endowment = jax.random.randint(key_endowment, (500,), 1, 11).astype(float)
    forecast = cloning.masked_log_softmax(logits, endowment)
    p = jnp.exp(forecast)
    assert jnp.allclose(p.sum(0), 1, atol=1e-5)
    assert (p[jnp.arange(11)[:, None] > endowment] == 0).all()
    uniform = jax.random.uniform(key_draw, endowment.shape)
    drawn, log_p = fused_players.sample_contribution(uniform, logits, endowment)
    assert jnp.allclose(log_p, cloning.choice_log_prob(forecast, drawn), atol=1e-4)
    assert (drawn == jnp.round(drawn)).all()
    assert (drawn >= 0).all() and (drawn <= endowment).all()


def test_draws_come_as_often_as_they_should():
    logits = jax.random.normal(jax.random.key(0), (11, 1)) * jnp.ones((1, 100_000))
    uniform, endowment = jax.random.uniform(jax.random.key(1), (100_000,)), 6.0
    drawn, _ = fused_players.sample_contribution(
        uniform, logits, jnp.full(100_000, endowment)
    )
    log_p = cloning.masked_log_softmax(logits[:, :1], jnp.array([endowment]))
    often = jnp.bincount(drawn.astype(int), length=11) / 100_000
    assert jnp.abs(often - jnp.exp(log_p)[:, 0]).max() < 0.006


def log_p_in_play(params, block, *, fused):
    "All probabilities [G, T, P, 11] that `act` has if the players play this block."
    players, rounds = cloning.virtual_players(params, fused=fused), []
    state = players.init(None, block.endowment)
    for t in range(10):
        if fused:
            w = fused_players.feature_major(params)
            log_p = [
                cloning.masked_log_softmax(w["choice"] @ h + w["choice_bias"], e)
                for (h, _), e in zip(state, block.endowment.T, strict=True)
            ]
            rounds.append(jnp.stack(log_p).transpose(2, 0, 1))
        else:
            rounds.append(state[1].swapaxes(-1, -2))
        seen = block.endowment, block.contribution[:, t], block.payout[:, t]
        state = players.update(state, *seen, game.equal_split)
    return jnp.stack(rounds, 1)


in_play = jax.jit(log_p_in_play, static_argnames="fused")


@examples(max_examples=4)
@given(SEEDS, SIZES)
def test_play_and_replay_agree(seed, n_players):
    "The state that play carries is the one the replay goes through, in both forms."
    params = some_params(seed % 100, n_players)
    block = random_block(seed, N_GROUPS, n_players)
    log_p = cloning.forecast_choices(params, block, fused=False)
    replayed = log_p.reshape(10, 11, N_GROUPS, n_players).transpose(2, 0, 3, 1)
    for fused in (True, False):
        played = in_play(params, block, fused=fused)
        assert jnp.allclose(jnp.exp(played), jnp.exp(replayed), atol=1e-5)


@partial(jax.jit, static_argnames="fused")
def free_play(key, params, endowment, fused):
    players = cloning.virtual_players(params, fused=fused)
    return game.play(key, players, endowment, mechanisms.libertarian)


@examples(max_examples=4)
@given(SEEDS, SIZES)
def test_the_fused_players_play_as_the_readable_ones(seed, n_players):
    "The same key, the same coins, except within rounding of a step."
    params = some_params(seed % 100, n_players)
    endowment = random_block(seed, 64, n_players).endowment
    fused, readable = (
        free_play(jax.random.key(seed), params, endowment, fused)
        for fused in (True, False)
    )
    same = (fused.contribution == readable.contribution).all((-2, -1))
    assert same.mean() > 0.95
    assert jnp.allclose(fused.payout[same], readable.payout[same], rtol=1e-5)
    for block in (fused, readable):
        gave = block.contribution
        assert (gave <= endowment[:, None]).all() and (gave >= 0).all()
        assert (gave == jnp.round(gave)).all()


def test_orders_of_the_others_are_all_there():
    examples = cloning.make_examples(random_plays(3))
    known = np.asarray(examples.features).reshape(6, N_GROUPS * 4, 10, 4, 4)
    assert (known[..., 0] == known[:1, ..., 0]).all(), "the own numbers stay in front"
    assert len({known[k, ..., 1:].tobytes() for k in range(6)}) == 6
    facts = np.sort(known[..., 1:], -1)
    assert (facts == facts[:1]).all(), "same facts"
    by_seat = cloning.make_examples(random_plays(3), shuffle_others=False)
    of_seats = by_seat.features.reshape(known.shape[1:])
    assert (of_seats == known[0]).all(), "the first is that of the seats"


def test_at_a_larger_table_some_orders_must_do():
    examples = cloning.make_examples(random_plays(0, 6))
    known = np.asarray(examples.features).reshape(6, N_GROUPS * 6, 10, 4, 6)
    assert (known[..., 0] == known[:1, ..., 0]).all(), "the own numbers come first"
    facts = np.sort(known, -1)
    assert np.allclose(facts, facts[:1]), "and all the others are there"
    assert len({order.tobytes() for order in known}) == 6


def test_each_player_reads_about_the_others_in_an_order_drawn_at_random():
    "With one player to learn from, the loss is that of one order; each comes up."
    answered = jnp.zeros((N_GROUPS, 4), bool).at[2, 1].set(True)
    block, params = random_block(3), some_params(3)
    plays = data.label_blocks(block, "random", answered=answered)
    given = cloning.make_examples(plays), jnp.array([2])
    ask = partial(cloning.imitation_gradient, params, *given, config=Cloning(l2=0))
    loss = jax.jit(lambda key: ask(key)[0][0])
    losses = np.array([loss(jax.random.key(seed)) for seed in range(60)])
    own = cloning.features(block)[2, :, 1].reshape(10, 4, 4)
    others = np.array(list(itertools.permutations((1, 2, 3))))

    def of_order(order):
        known = own[..., np.r_[0, order]].reshape(1, 10, 16)
        _, logits = cloning.VirtualPlayer().apply(params, known)
        most = int(block.endowment[2, 1])
        log_p = jax.nn.log_softmax(logits[0][:, : most + 1])
        chosen = block.contribution[2, :, 1].astype(int)
        entropy = -(jnp.exp(log_p) * log_p).sum(-1)
        return float((-log_p[jnp.arange(10), chosen] - 0.1 * entropy).mean())

    possible = np.array([of_order(order) for order in others])
    nearest = np.abs(losses[:, None] - possible).argmin(1)
    assert np.allclose(losses, possible[nearest], rtol=1e-5)
    assert set(nearest) == set(range(6))


def test_bots_are_not_imitated():
    plays, params = random_plays(4), some_params(4)
    gave = plays.block.contribution
    other = gave.at[:, -1].set(0.0)  # the last round is nobody's input
    gave = jnp.where(plays.answered[:, None], gave, other)
    changed = game.Block(plays.block.endowment, gave, plays.block.payout)
    same = data.label_blocks(changed, "random", answered=plays.answered)
    blocks = jnp.array([0, 1, 2, 4, 6, 7])
    both = [
        batch_loss(params, cloning.make_examples(p), blocks, jax.random.key(0))
        for p in (plays, same)
    ]
    assert (changed.contribution != plays.block.contribution).any()
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), *both))


def test_room_for_more_changes_nothing():
    config = Cloning(4, 3, batch=8, updates=20)
    trained = [
        cloning.fit(jax.random.key(1), random_plays(5), config=config, room=room)[0]
        for room in (None, 3 * N_GROUPS + 1)
    ]
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), *trained)), (
        "to the last digit"
    )


def test_nobody_to_imitate():
    nobody = jnp.zeros((N_GROUPS, 4), bool)
    plays = data.label_blocks(random_block(0), "random", answered=nobody)
    with pytest.raises(ValueError, match=r"plays.answered.*nobody to imitate"):
        cloning.fit(jax.random.key(0), plays)


class StopError(Exception):
    pass


@pytest.mark.parametrize("survived", [1, 3, 4])
def test_a_broken_training_ends_where_an_unbroken_one_does(
    tmp_path, monkeypatch, survived
):
    config = Cloning(batch=8, updates=50)
    examples = cloning.make_examples(data.label_blocks(random_block(1, 32), "random"))
    estimate = Partial(cloning.batch_gradient, examples=examples, config=config)
    shape = {
        "key": jax.random.key(1),
        "optimiser": cloning.optimiser(config),
        "updates": 50,
        "per_call": 10,
        "label": "test",
    }
    run = partial(loop.fit, estimate, cloning.init(jax.random.key(0)), **shape)
    unbroken, history = run()
    train_steps, calls = loop.train_steps, []

    def counted(estimate, state, steps, **others):
        if not isinstance(steps, jax.core.Tracer):
            calls.append(int(steps[0]))
            if calls[-1] >= 10 * survived and not (tmp_path / "reopened").exists():
                raise StopError
        return train_steps(estimate, state, steps, **others)

    monkeypatch.setattr(loop, "train_steps", counted)
    with pytest.raises(StopError):
        run(checkpoint=tmp_path / "saved", every=0)
    assert len(list((tmp_path / "saved").iterdir())) == 1
    (tmp_path / "reopened").touch()
    calls.clear()
    resumed, again = run(checkpoint=tmp_path / "saved")
    left = list(range(10 * survived, 50, 10))
    assert calls == left, "what was saved is not done again"
    same = lambda a, b: np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert jax.tree.all(jax.tree.map(same, unbroken, resumed))
    for name in ("loss", "cross_entropy"):
        assert (history[name] == again[name]).all() and np.isfinite(history[name]).all()
    others = (
        {"settings": "another"},
        {"optimiser": optax.sgd(0.1)},
        {"key": jax.random.key(2)},
    )
    for number, other in enumerate(others, 2):
        run(checkpoint=tmp_path / "saved", **other)
        files = list((tmp_path / "saved").iterdir())
        assert len(files) == number, "another setting, program or key, another file"


def test_fingerprint_sees_every_number():
    state = {"a": jnp.arange(3.0), "key": jax.random.key(0)}
    same = store.hash_pytree({"a": jnp.arange(3.0), "key": jax.random.key(0)})
    assert store.hash_pytree(state) == same
    changes = {"key": jax.random.key(1)}, {"a": jnp.arange(3.0).at[2].set(2.5)}
    for change in changes:
        assert store.hash_pytree(state | change) != same
    assert store.hash_pytree(Cloning()) != store.hash_pytree(Cloning(batch=511))


def stubborn():
    "A population of three kinds that give nothing, half or all, always."
    kinds = game.Players(
        init=lambda key, endowment: jax.random.randint(key, endowment.shape, 0, 3) / 2,
        act=lambda key, kind, endowment: kind * endowment,
        update=lambda kind, *seen: kind,
    )
    endowment = jnp.full((256, 4), 4.0)
    block = game.play(jax.random.key(6), kinds, endowment, game.equal_split)
    return data.label_blocks(block, "none")


def test_training_finds_what_there_is_to_find():
    "Three kinds: log 3 in round 1, then nothing; log 5 for the uniform forecast."
    plays = stubborn()
    config = Cloning(batch=32, updates=800, learning_rate=2e-3, entropy_weight=0.0)
    params, history = cloning.fit(jax.random.key(7), plays, config=config)
    assert history["cross_entropy"][0] > 1.4
    assert 0.10 < history["cross_entropy"][-100:].mean() < 0.16
    judged = cloning.evaluate(params, plays, plays)
    best = judged[judged.by == "all"].set_index("model").cross_entropy
    assert np.isclose(best["uniform"], np.log(5), atol=1e-5)
    assert best["virtual player"] < best["uniform"] / 5
    assert best["last contribution"] < best["round average"] < best["uniform"]
    first = judged[(judged.by == "round") & (judged["at"] == 1)].set_index("model")
    assert np.isclose(first.cross_entropy["virtual player"], np.log(3), atol=0.05)


def test_evaluation_counts_answers_only():
    plays = random_plays(5)
    judged = cloning.evaluate(some_params(0), plays, plays)
    n = judged[judged.by == "all"].n
    assert (n == int(plays.answered.sum()) * 10).all()
    mean = lambda f: np.average(f.cross_entropy, weights=f.n)
    for by in ("round", "endowment"):
        part = judged[judged.by == by].groupby("model").apply(mean)
        whole = judged[judged.by == "all"].set_index("model").cross_entropy
        assert np.allclose(part, whole[part.index])
    table = cloning.frequency_forecast(plays, cloning.last_contribution)
    endowment, options = jnp.array([[3.0, 1, 10, 7]]), []
    for coins in range(11):
        contribution = jnp.full((1, 10, 4), float(coins))
        log_p = table(game.Block(endowment, contribution, contribution))
        affordable = coins <= endowment[:, None]
        options.append(np.where(affordable, np.exp(log_p)[:, :1], 0))
    assert np.allclose(sum(options), 1), "a table of frequencies is a forecast"
