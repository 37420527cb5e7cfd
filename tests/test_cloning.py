"Virtual players: the fast form against the flax module, the rules no forecast may break, learning, and resuming to the last bit."
from dataclasses import replace
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
from democratic_ai.engine import loop, store
from democratic_ai.cloning import Cloning

SEEDS = st.integers(0, 2**31 - 1)
N_GROUPS = 8
examples = partial(settings, deadline=None)


@partial(jax.jit, static_argnums=1)
def random_block(seed, n_groups=N_GROUPS):
    "Bots with random endowments under a random point of the manifold."
    key_endowment, key_point, key_play = jax.random.split(jax.random.key(seed), 3)
    endowment = jax.random.randint(key_endowment, (n_groups, 4), 1, 11).astype(float)
    w, v = jax.random.uniform(key_point, (2, n_groups, 1))
    return game.play(key_play, game.random_bots(), endowment, mechanisms.manifold(w, v))


def some_params(seed):
    "Parameters far from the small ones that training starts with."
    return jax.tree.map(lambda x: 2 * x, cloning.init(jax.random.key(seed)))


def specified(params, block):
    "All log-probabilities [G, T, P, 11], by the flax module, one game, player and choice after the other in the axes."
    story = jnp.swapaxes(cloning.features(block.endowment, block.contribution, block.payout), -3, -2)
    logits = jnp.swapaxes(cloning.VirtualPlayer().apply(params, story), -3, -2)
    out_of_reach = jnp.arange(11) > block.endowment[:, None, :, None]
    return jax.nn.log_softmax(jnp.where(out_of_reach, -jnp.inf, logits))


def chosen(log_p, block):
    return jnp.take_along_axis(log_p, block.contribution.astype(int)[..., None], -1)[..., 0]


@jax.jit
def objective(params, block, answered):
    log_p = specified(params, block)
    wrong = -(chosen(log_p, block).mean(1) * answered).sum() / answered.sum()
    entropy = -(jnp.exp(log_p) * jnp.where(jnp.isfinite(log_p), log_p, 0)).sum(-1).mean(1)
    squares = sum((x**2).sum() for x in jax.tree.leaves(params))
    return wrong - 0.1 * (entropy * answered).sum() / answered.sum() + 1e-5 * squares, wrong


slow_gradient = jax.jit(jax.value_and_grad(objective, has_aux=True))
fast_gradient = jax.jit(cloning.imitation_gradient)
log_probability = jax.jit(cloning.log_probability)
forecasts = jax.jit(specified)


def slope(log_probability):
    "The derivative in the payouts of a weighted sum of log-probabilities."
    weighted = lambda payout, weight, params, block: (weight * log_probability(params, game.Block(block.endowment, block.contribution, payout))).sum()
    return jax.jit(jax.grad(weighted))


slow_slope = slope(lambda params, block: chosen(specified(params, block), block))
fast_slope = slope(cloning.log_probability)


@jax.jit
def forecasts_in_play(params, block):
    "All probabilities [G, T, P, 11] as `act` would have them, if the players happened to play this block."
    players, w = cloning.virtual_players(params), cloning.feature_major(params)
    memory, rounds = players.init(None, block.endowment), []
    for t in range(10):
        logits = [w["choice"] @ hidden + w["choice_bias"] for hidden, _ in memory]
        log_p = [cloning.masked_log_softmax(*each) for each in zip(logits, block.endowment.T)]
        rounds.append(jnp.exp(jnp.stack(log_p)).transpose(2, 0, 1))
        memory = players.update(memory, block.endowment, block.contribution[:, t], block.payout[:, t], game.equal_split)
    return jnp.stack(rounds, 1)


def blocks_answered(seed):
    answered = jax.random.bernoulli(jax.random.key(seed + 1), 0.8, (N_GROUPS, 4)).at[0, 0].set(True)
    return data.label_blocks(random_block(seed), "random", answered=answered)


def in_seat_order(taught):
    "Only the first of the orders of the others."
    return replace(taught, story=taught.story[: len(taught.chosen)])


def relative(a, b):
    return max(jax.tree.leaves(jax.tree.map(lambda x, y: float(jnp.abs(x - y).max() / jnp.abs(y).max()), a, b)))


def test_number_of_parameters():
    params = cloning.init(jax.random.key(0))
    assert sum(x.size for x in jax.tree.leaves(params)) == 6459
    assert sum(x.size for x in cloning.concatenate_weights(params).values()) == 6459
    assert set(params["params"]["lstm"]["hf"]["bias"].tolist()) == {1.0}, "forget gates start open"


@examples(max_examples=4)
@given(SEEDS)
def test_own_numbers_come_first_and_seats_do_not_matter(seed):
    block = random_block(seed)
    story = cloning.features(block.endowment, block.contribution, block.payout)
    assert story.shape == (N_GROUPS, 10, 4, 16)
    assert (story[:, 0, :, 4:] == 0).all(), "nothing was seen before round 1"
    assert jnp.allclose(story[:, :, :, 0] * 10, block.endowment[:, None])
    assert jnp.allclose(story[:, 1:, :, 4] * 10, block.contribution[:, :-1])
    assert jnp.allclose(story[:, 1:, :, 8], block.relative_contribution[:, :-1])
    assert jnp.allclose(story[:, 1:, :, 12] * 10, block.payout[:, :-1])
    swapped = jnp.array([1, 0, 2, 3])
    moved = cloning.features(block.endowment[:, swapped], block.contribution[..., swapped], block.payout[..., swapped])
    assert (moved[:, :, 0] == story[:, :, 1]).all(), "two players who change seats read each other's page"
    alone = cloning.features(block.endowment[0], block.contribution[0], block.payout[0])
    assert (alone == story[0]).all()


@examples(max_examples=4)
@given(SEEDS)
def test_fast_loss_and_gradient_are_the_readable_ones(seed):
    params, plays, order = some_params(seed % 100), blocks_answered(seed), jnp.array([5, 0, 3, 3, 7, 1])
    picked = jax.tree.map(lambda x: x[order], plays.block)
    answered = plays.answered.at[5].set(True)[order]
    taught = in_seat_order(cloning.make_examples(data.label_blocks(plays.block, "random", answered=plays.answered.at[5].set(True))))
    slow, gradient = slow_gradient(params, picked, answered)
    fast, fast_gradient_ = fast_gradient(params, taught, order, jax.random.key(seed))
    assert np.allclose(slow, fast, rtol=1e-5)
    assert relative(fast_gradient_, gradient) < 1e-5


@examples(max_examples=4)
@given(SEEDS)
def test_log_probability_and_its_slope_in_the_payouts(seed):
    params, block = some_params(seed % 100), random_block(seed)
    assert jnp.allclose(log_probability(params, block), chosen(forecasts(params, block), block), rtol=1e-5, atol=1e-5)
    weight = jax.random.normal(jax.random.key(seed), block.contribution.shape)
    fast, slow = (f(block.payout, weight, params, block) for f in (fast_slope, slow_slope))
    assert relative(fast, slow) < 1e-5
    assert (fast[:, -1] == 0).all(), "nobody chooses after the last payout"
    assert log_probability(params, jax.tree.map(lambda x: x[0], block)).shape == (10, 4)


@examples(max_examples=10)
@given(SEEDS, st.floats(0.1, 50))
def test_forecasts_are_probabilities_of_what_is_affordable(seed, size):
    key_logits, key_endowment, key_draw = jax.random.split(jax.random.key(seed), 3)
    logits = size * jax.random.normal(key_logits, (11, 500))
    endowment = jax.random.randint(key_endowment, (500,), 1, 11).astype(float)
    p = jnp.exp(cloning.masked_log_softmax(logits, endowment))
    assert jnp.allclose(p.sum(0), 1, atol=1e-5)
    assert (p[jnp.arange(11)[:, None] > endowment] == 0).all()
    drawn, log_p = cloning.sample_contribution(jax.random.uniform(key_draw, endowment.shape), logits, endowment)
    assert jnp.allclose(log_p, cloning.gather_log_prob(cloning.masked_log_softmax(logits, endowment), drawn), atol=1e-4)
    assert (drawn == jnp.round(drawn)).all() and (drawn >= 0).all() and (drawn <= endowment).all()


def test_draws_come_as_often_as_they_should():
    logits = jax.random.normal(jax.random.key(0), (11, 1)) * jnp.ones((1, 100_000))
    drawn = cloning.sample_contribution(jax.random.uniform(jax.random.key(1), (100_000,)), logits, jnp.full(100_000, 6.0))[0].astype(int)
    expected = jnp.exp(cloning.masked_log_softmax(logits[:, :1], jnp.array([6.0])))[:, 0]
    assert jnp.abs(jnp.bincount(drawn, length=11) / 100_000 - expected).max() < 0.006


@examples(max_examples=3)
@given(SEEDS)
def test_play_and_replay_agree(seed):
    "The memory that play carries from round to round is the one that the replay goes through."
    params, block = some_params(seed % 100), random_block(seed)
    assert jnp.allclose(forecasts_in_play(params, block), jnp.exp(forecasts(params, block)), atol=1e-5)


def test_orders_of_the_others_are_all_there():
    taught = cloning.make_examples(blocks_answered(3))
    story = np.asarray(taught.story).reshape(6, N_GROUPS * 4, 10, 4, 4)
    assert (story[:, ..., 0] == story[:1, ..., 0]).all(), "the own numbers stay in front"
    assert len({story[k, :, :, :, 1:].tobytes() for k in range(6)}) == 6
    assert (np.sort(story[..., 1:], -1) == np.sort(story[:1, ..., 1:], -1)).all(), "same facts"


def test_at_a_larger_table_some_orders_must_do():
    rng, seats = np.random.default_rng(0), 6
    endowment = jnp.array(rng.integers(1, 11, (3, seats)), float)
    contribution = jnp.floor(rng.random((3, 10, seats)) * (endowment[:, None] + 1))
    plays = data.label_blocks(game.Block(endowment, contribution, contribution * 1.5), "anything")
    story = np.asarray(cloning.make_examples(plays).story).reshape(cloning.N_ORDERS, 3 * seats, 10, 4, seats)
    assert (story[..., 0] == story[:1, ..., 0]).all(), "the own numbers come first"
    assert np.allclose(np.sort(story, -1), np.sort(story[:1], -1)), "and all the others are there"
    assert len({order.tobytes() for order in story}) == cloning.N_ORDERS


def test_bots_are_not_imitated():
    plays, params = blocks_answered(4), some_params(4)
    other = plays.block.contribution.at[:, -1].set(0.0)  # the last round is nobody's input
    changed = game.Block(plays.block.endowment, jnp.where(plays.answered[:, None], plays.block.contribution, other), plays.block.payout)
    same = data.label_blocks(changed, "random", answered=plays.answered)
    blocks = jnp.array([0, 1, 2, 4, 6, 7])
    both = [fast_gradient(params, in_seat_order(cloning.make_examples(p)), blocks, jax.random.key(0)) for p in (plays, same)]
    assert (changed.contribution != plays.block.contribution).any()
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), *both))


def test_room_for_more_changes_nothing():
    config = Cloning(4, 3, batch=8, updates=20)
    trained = [cloning.fit(jax.random.key(1), blocks_answered(5), config=config, room=room)[0] for room in (None, 3 * N_GROUPS + 1)]
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), *trained)), "to the last digit"


def test_nobody_to_imitate():
    plays = data.label_blocks(random_block(0), "random", answered=jnp.zeros((N_GROUPS, 4), bool))
    with pytest.raises(ValueError, match="nobody to imitate"):
        cloning.fit(jax.random.key(0), plays)


class Stop(Exception):
    pass


@pytest.mark.parametrize("survived", [1, 3, 4])
def test_a_broken_training_ends_where_an_unbroken_one_does(tmp_path, monkeypatch, survived):
    config = Cloning(batch=8, updates=50)
    examples = cloning.make_examples(data.label_blocks(random_block(1, 32), "random"))
    estimate = Partial(cloning.batch_gradient, examples=examples, config=config)
    shape = {"key": jax.random.key(1), "optimiser": cloning.optimiser(config), "updates": 50, "per_call": 10, "label": "test"}
    run = partial(loop.fit, estimate, cloning.init(jax.random.key(0)), **shape)
    unbroken, history = run()
    train_steps, calls = loop.train_steps, []

    def counted(estimate, state, steps, **others):
        if not isinstance(steps, jax.core.Tracer):
            calls.append(int(steps[0]))
            if calls[-1] >= 10 * survived and not (tmp_path / "reopened").exists():
                raise Stop
        return train_steps(estimate, state, steps, **others)

    monkeypatch.setattr(loop, "train_steps", counted)
    with pytest.raises(Stop):
        run(checkpoint=tmp_path / "saved", every=0)
    assert len(list((tmp_path / "saved").iterdir())) == 1
    (tmp_path / "reopened").touch()
    calls.clear()
    resumed, again = run(checkpoint=tmp_path / "saved")
    assert calls == list(range(10 * survived, 50, 10)), "what was saved is not done again"
    assert jax.tree.all(jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), *(jax.tree.map(np.asarray, x) for x in (unbroken, resumed))))
    assert all((history[name] == again[name]).all() and np.isfinite(history[name]).all() for name in ("loss", "cross_entropy"))
    for number, other in enumerate(({"settings": "another"}, {"optimiser": optax.sgd(0.1)}, {"key": jax.random.key(2)}), 2):
        run(checkpoint=tmp_path / "saved", **other)
        assert len(list((tmp_path / "saved").iterdir())) == number, "another setting, program or key, another file"


def test_fingerprint_sees_every_number():
    state = {"a": jnp.arange(3.0), "key": jax.random.key(0)}
    same = store.hash_pytree({"a": jnp.arange(3.0), "key": jax.random.key(0)})
    assert store.hash_pytree(state) == same != store.hash_pytree(state | {"key": jax.random.key(1)})
    assert store.hash_pytree(state) != store.hash_pytree(state | {"a": jnp.arange(3.0).at[2].set(2.5)})
    assert store.hash_pytree(Cloning()) != store.hash_pytree(Cloning(batch=511))


def stubborn():
    "A population of three kinds that give nothing, half or all, always."
    kinds = game.Players(
        init=lambda key, endowment: jax.random.randint(key, endowment.shape, 0, 3) / 2,
        act=lambda key, kind, endowment: kind * endowment,
        update=lambda kind, *seen: kind,
    )
    return data.label_blocks(game.play(jax.random.key(6), kinds, jnp.full((256, 4), 4.0), game.equal_split), "none")


def test_training_finds_what_there_is_to_find():
    "Three kinds: log 3 in round 1 and nothing after, against log 5 for the uniform forecast."
    plays = stubborn()
    config = Cloning(batch=32, updates=800, learning_rate=2e-3, entropy_weight=0.0)
    params, history = cloning.fit(jax.random.key(7), plays, config=config)
    assert history["cross_entropy"][0] > 1.4 and 0.10 < history["cross_entropy"][-100:].mean() < 0.16
    judged = cloning.evaluate(params, plays, plays)
    best = judged[judged.by == "all"].set_index("model").cross_entropy
    assert np.isclose(best["uniform"], np.log(5), atol=1e-5)
    assert best["virtual player"] < best["uniform"] / 5
    assert best["last contribution"] < best["round average"] < best["uniform"]
    first = judged[(judged.by == "round") & (judged["at"] == 1)].set_index("model").cross_entropy
    assert np.isclose(first["virtual player"], np.log(3), atol=0.05)


def test_evaluation_counts_answers_only():
    plays = blocks_answered(5)
    judged = cloning.evaluate(some_params(0), plays, plays)
    n = judged[judged.by == "all"].n
    assert (n == int(plays.answered.sum()) * 10).all()
    for by in ("round", "endowment"):
        part = judged[judged.by == by].groupby("model").apply(lambda f: np.average(f.cross_entropy, weights=f.n))
        whole = judged[judged.by == "all"].set_index("model").cross_entropy
        assert np.allclose(part, whole[part.index])
    table = cloning.frequency_forecast(plays, cloning.last_contribution)
    endowment, options = jnp.array([[3.0, 1, 10, 7]]), []
    for coins in range(11):
        contribution = jnp.full((1, 10, 4), float(coins))
        options.append(np.where(coins <= endowment[:, None], np.exp(table(game.Block(endowment, contribution, contribution)))[:, :1], 0))
    assert np.allclose(sum(options), 1), "a table of frequencies is a forecast"
