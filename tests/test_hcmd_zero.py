"""HCMD-zero.

Vote weights are logistic regressions, self-play is the formula, the record survives a
kill, and nonsense is refused.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.tree_util import Partial

from democratic_ai import (
    cloning,
    game,
    graphnet,
    hcmd_evaluation,
    hcmd_zero,
    mechanisms,
    participants,
    training,
)
from democratic_ai.engine import devices, fused_mechanism, loop, store

PEOPLE = participants.Population()
CONFIG = hcmd_zero.HcmdZero(
    groups=(20, 15),
    embed=(8, 12),
    hidden=(4, 6),
    imitation=replace(
        hcmd_zero.HcmdZero.imitation, batch=16, updates=20, learning_rate=5e-3
    ),
    splits=3,
    games=10,
    updates=6,
    last_updates=8,
    learning_rate=1e-3,
    repetitions=8,
)
FIRST = graphnet.init(jax.random.key(0), n_features=2)
ROUNDS = fused_mechanism.round_table(mechanisms.TAILS, most=10, n_players=4)
DATA_SET = hcmd_zero.acquire(
    jax.random.key(1), {"mechanism": {"0": FIRST}}, 1, population=PEOPLE, config=CONFIG
)


STEPS = [
    partial(hcmd_zero.acquire, population=PEOPLE),
    hcmd_zero.fit_models,
    hcmd_zero.optimise,
    hcmd_zero.converge,
]


def random_block(rng, n_groups=6):
    endowment = rng.integers(1, 11, (n_groups, 4)).astype(np.float32)
    coins = rng.integers(0, endowment[:, None] + 1, (n_groups, 10, 4))
    endowment = jnp.asarray(endowment)
    contribution = jnp.asarray(coins.astype(np.float32))
    payout = game.payout(endowment[:, None], contribution, mechanisms.libertarian)
    return game.Block(endowment, contribution, payout)


def test_sizes_are_the_originals():
    config = hcmd_zero.HcmdZero()
    assert sum(config.groups) == 414 and 3 * sum(config.groups) == 1242
    assert 4 * sum(config.groups) == 1656
    assert (
        config.games,
        config.updates,
        config.last_updates,
        config.learning_rate,
        config.repetitions,
    ) == (1000, 2000, 10_000, 4e-5, 100)
    assert config.tails == (2, 4, 6, 8, 10) and config.embed == (8,) * 3 + (32,) * 4
    assert config.hidden == (4,) * 3 + (8,) * 4


def test_both_blocks_of_a_session_have_the_same_people_and_the_same_mechanism():
    first, second = hcmd_zero.split_blocks(DATA_SET)
    shares = graphnet.mechanism(FIRST)
    for block in (first, second):
        assert np.allclose(
            block.payout,
            game.payout(block.endowment[:, None], block.contribution, shares),
            atol=1e-4,
        )
    assert not (first.contribution == second.contribution).all()
    # one endowment: only persons make tails differ
    alike = replace(CONFIG, groups=(2000, 1), tails=(4,))
    start = jax.random.key(1), {"mechanism": {"0": FIRST}}, 1
    many = hcmd_zero.acquire(*start, population=PEOPLE, config=alike)
    first, second = (
        np.asarray(block.relative_contribution.mean(1))[:, 1]
        for block in hcmd_zero.split_blocks(many)
    )
    assert np.corrcoef(first, second)[0, 1] > 0.3, (
        "persons differ, and are the same twice"
    )
    assert abs(np.corrcoef(first, np.roll(second, 1))[0, 1]) < 0.1, (
        "and other groups are others"
    )
    assert len(DATA_SET["vote"]) == 20
    assert (np.unique(DATA_SET["endowment"][:, 1], return_counts=True)[1] == 4).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_block_is_seen_from_every_seat_with_the_own_numbers_first(seed):
    rng = np.random.default_rng(seed)
    block, weights = random_block(rng), rng.normal(size=(10, 3, 4)).astype(np.float32)
    group, player, turn = rng.integers(6), rng.integers(4), rng.integers(10)
    others = [p for p in range(4) if p != player]
    order = [player, *others]
    endowment = np.asarray(block.endowment)[group, order]
    coins = [
        np.asarray(x)[group, turn, order] for x in (block.contribution, block.payout)
    ]
    for units, unit in {"endowments": endowment, "coins": 10}.items():
        seen = np.asarray(hcmd_zero.vote_features(block, units))
        expected = np.stack([endowment / 10, *(x / unit for x in coins)])
        assert np.allclose(seen[group, player, turn], expected)
        utility = hcmd_zero.UTILITIES[units](weights, block)
        assert np.allclose(utility, (seen * weights).sum((-3, -2, -1)), atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_vote_does_not_depend_on_the_order_and_two_equal_blocks_share_it(seed):
    rng = np.random.default_rng(seed)
    a = random_block(rng)
    b = random_block(rng)
    weights = rng.normal(size=(10, 3, 4)).astype(np.float32) / 10
    assert np.allclose(
        hcmd_zero.preference_probability(weights, a, b)
        + hcmd_zero.preference_probability(weights, b, a),
        1,
        atol=1e-5,
    )
    assert (hcmd_zero.preference_probability(weights, a, a) == 0.5).all()


def test_vote_weights_are_statsmodels_penalised_logistic_regression():
    rng = np.random.default_rng(0)
    difference = rng.normal(size=(50, 4, 120))
    vote = rng.random((50, 4)) < 0.5
    penalty = 0.05
    weights = np.ravel(hcmd_zero.fit_vote_weights(difference, vote, penalty))
    logit = sm.Logit(vote.ravel().astype(float), difference.reshape(200, -1))
    # of -(mean cross-entropy + penalty * |w|^2)
    slope = logit.score(weights) / 200 - 2 * penalty * weights
    assert abs(slope).max() < 1e-4
    cross_entropy = lambda w: hcmd_zero.vote_cross_entropy(w, difference, vote)
    expected = -logit.loglike(weights) / 200
    assert cross_entropy(weights) == pytest.approx(expected, abs=1e-6)
    assert cross_entropy(0 * weights) == pytest.approx(np.log(2))


def test_tied_weights_are_those_of_sums_over_rounds_at_the_same_penalty():
    rng = np.random.default_rng(2)
    difference, vote = rng.normal(size=(50, 4, 120)), rng.random((50, 4)) < 0.5
    penalty = 0.05
    tied = np.asarray(hcmd_zero.fit_vote_weights(difference, vote, penalty, tied=True))
    assert tied.shape == (10, 3, 4) and (tied == tied[:1]).all()
    summed = difference.reshape(200, 10, 12).sum(1)
    logit = sm.Logit(vote.ravel().astype(float), summed)
    # of -(mean cross-entropy + penalty * |w|^2), where every weight is used ten times
    slope = logit.score(tied[0].ravel()) / 200 - 2 * penalty * 10 * tied[0].ravel()
    assert abs(slope).max() < 1e-4


def test_with_enough_votes_known_weights_are_found_and_their_penalty_is_small():
    rng, known = np.random.default_rng(1), np.zeros((10, 3, 4))
    known[:, 2, 0] = 0.5
    a, b = random_block(rng, 1500), random_block(rng, 1500)
    b = game.Block(
        a.endowment, jnp.minimum(b.contribution, a.endowment[:, None]), b.payout
    )
    prefers = np.asarray(hcmd_zero.preference_probability(known, a, b))
    both = lambda name: jnp.stack([getattr(a, name), getattr(b, name)])
    data_set = {
        "endowment": a.endowment,
        "contribution": both("contribution"),
        "payout": both("payout"),
        "vote": rng.random((1500, 4)) < prefers,
    }
    config = replace(CONFIG, penalties=(1e-4, 1e-3, 1.0, 100.0))
    tried = hcmd_zero.cross_validate(jax.random.key(0), {"1": data_set}, config)
    assert tried.penalty[tried.cross_entropy.argmin()] < 1
    assert sorted(set(zip(tried.tied, tried.penalty, strict=True))) == [
        (tied, penalty) for tied in (False, True) for penalty in config.penalties
    ]
    # the truth is the same in all rounds, and with few votes that is worth knowing
    few = {
        name: x[..., :60, :] if name in ("endowment", "vote") else x[:, :60]
        for name, x in data_set.items()
    }
    tried = hcmd_zero.cross_validate(jax.random.key(0), {"1": few}, config)
    assert tried.tied[tried.cross_entropy.idxmin()]
    differences = hcmd_zero.feature_differences({"1": data_set})
    weights = np.asarray(hcmd_zero.fit_vote_weights(*differences, 1e-3))
    assert np.allclose(weights[:, 2, 0].mean(), 0.5, atol=0.1)
    assert abs(weights[:, 2, 1:].mean()) < 0.1


@pytest.mark.parametrize("n_features", [2, 3])
def test_self_play_by_the_table_of_rounds_is_the_formula(n_features):
    players = jax.tree.map(lambda x: 1.5 * x, cloning.init(jax.random.key(2)))
    fitted = {
        "players": players,
        "vote_weights": jax.random.normal(jax.random.key(3), (10, 3, 4)) / 10,
    }
    first = graphnet.init(jax.random.key(0), n_features=n_features)
    config = replace(CONFIG, games=10, n_features=n_features)
    estimate = partial(
        hcmd_zero.self_play_gradient, first, jax.random.key(4), fitted, config=config
    )
    (votes, gradient), (usual, expected) = estimate(), estimate(fused=False)
    assert votes == pytest.approx(float(usual), rel=1e-5)
    ours, theirs = (
        jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])
        for tree in (gradient, expected)
    )
    assert float(jnp.linalg.norm(ours - theirs) / jnp.linalg.norm(theirs)) < 1e-5


@settings(deadline=None)
@given(st.sampled_from(mechanisms.TAILS), st.tuples(*[st.floats(0, 1)] * 4))
def test_every_round_is_found_among_all_rounds_whatever_the_order_of_its_tails(
    tail, fractions
):
    endowment = [10.0, tail, tail, tail]
    contribution = [
        round(x * most) for x, most in zip(fractions, endowment, strict=True)
    ]
    places = np.asarray(
        ROUNDS.find(jnp.array(endowment), jnp.array(contribution, float))
    )
    assert len(set(places)) == 4 and len(set(places // 4)) == 1, (
        "four players of one and the same round"
    )
    assert ROUNDS.contribution.ravel()[places].tolist() == contribution
    assert ROUNDS.endowment.ravel()[places].tolist() == endowment


@pytest.mark.parametrize(
    ("win", "reason"),
    [
        ([[0.5, 0.4], [0.6, 0.5]], ""),
        ([[0.5, 0.495], [0.505, 0.5]], "leads its predecessor by 0.0050"),
        ([[0.5, 0.6], [0.4, 0.5]], "not the best answer"),
        (
            [[0.5, 0.4, 0.45], [0.6, 0.5, 0.45], [0.55, 0.55, 0.5]],
            "not the best answer",
        ),
    ],
)
def test_the_stop_rule(win, reason):
    found = hcmd_zero.stop_reason(np.array(win), np.full((len(win), len(win)), 0.003))
    assert reason in found and bool(reason) == bool(found)


def test_the_loop_calls_the_steps_in_order_and_stops_when_asked_to():
    called = []

    def step(name, **result):
        def act(key, record, iteration, config):
            called.append(f"{name}{iteration}")
            return {"n": jnp.array(iteration), **result}

        return act

    level = {"win": jnp.full((2, 2), 0.5), "error": jnp.full((2, 2), 0.1)}
    converge = lambda key, record, iteration, config: (
        called.append(f"d{iteration}"),
        level,
    )[1]
    steps = step("a"), step("b"), step("c"), converge
    hcmd_zero.run(CONFIG, *steps, key=jax.random.key(0), stop=True)
    assert called == ["a1", "b1", "c1", "d1"]
    record = hcmd_zero.run(CONFIG, *steps, key=jax.random.key(0))
    assert called[4:] == ["a1", "b1", "c1", "d1", "a2", "b2", "c2", "d2"]
    assert set(record["mechanism"]) == {"0", "1", "2"}


def test_a_run_killed_after_every_single_step_ends_as_an_unbroken_one_to_the_last_digit(
    tmp_path,
):
    def once(step, done):
        def act(*given, config):
            if done:
                raise KeyboardInterrupt
            done.append(step)
            return step(*given, config=config)

        return act

    for _ in range(8):
        done = []
        try:
            record = hcmd_zero.run(
                CONFIG,
                *(once(step, done) for step in STEPS),
                key=jax.random.key(7),
                settings=PEOPLE,
                folder=tmp_path,
            )
        except KeyboardInterrupt:
            record = None
        assert len(done) == 1
    unbroken = hcmd_zero.run(CONFIG, *STEPS, key=jax.random.key(7), settings=PEOPLE)
    assert jax.tree.all(jax.tree.map(np.array_equal, record, unbroken))


def test_a_record_of_other_settings_is_refused(tmp_path):
    nothing = lambda key, record, iteration, config: {"n": jnp.zeros(())}
    give_up = lambda key, record, iteration, config: 1 / 0
    steps = nothing, give_up, nothing, nothing
    with pytest.raises(ZeroDivisionError):
        hcmd_zero.run(CONFIG, *steps, key=jax.random.key(0), folder=tmp_path)
    refused = "other settings: choose another folder, or remove"
    for other in (replace(CONFIG, games=20), CONFIG):
        with pytest.raises(store.DataError, match=refused):
            hcmd_zero.run(other, *[nothing] * 4, key=jax.random.key(1), folder=tmp_path)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"groups": (0, 40)}, "at least one group"),
        ({"groups": (), "embed": (), "hidden": ()}, "one iteration at least"),
        ({"groups": (3,)}, "one of each per iteration"),
        ({"tails": (2, 11)}, "1 to 10 whole coins"),
        ({"tails": (2.5,)}, "1 to 10 whole coins"),
        ({"tails": ()}, "at least one such endowment"),
        ({"games": 12}, "cannot share equally"),
        ({"games": 0}, "cannot share equally"),
    ],
)
def test_impossible_sizes_are_refused(wrong, says):
    with pytest.raises(hcmd_zero.HcmdError, match=says):
        hcmd_zero.run(replace(CONFIG, **wrong), *STEPS, key=jax.random.key(0))


def test_too_few_groups_for_a_split_are_refused():
    few = {
        "1": {
            name: part[:, :3] if name in ("contribution", "payout") else part[:3]
            for name, part in DATA_SET.items()
        }
    }
    with pytest.raises(hcmd_zero.HcmdError, match="acquire at least four"):
        hcmd_zero.cross_validate(jax.random.key(0), few, CONFIG)


def test_another_vote_model_is_one_argument_of_two_steps():
    """People who vote for the larger fund, whoever gets it.

    The metagame counts by that, and mechanisms are climbed by it.
    """
    fund = lambda weight, block: jnp.broadcast_to(
        weight * block.contribution.sum((-2, -1))[..., None], block.endowment.shape
    )
    known = lambda key, record, iteration, config: {
        "players": cloning.init(jax.random.key(3)),
        "vote_weights": jnp.float32(0.05),
    }
    climbed = []

    def optimise(key, record, iteration, *, config):
        climbed.append((key, config.last_updates if iteration == 2 else config.updates))
        return hcmd_zero.optimise(
            key, record, iteration, config=config, utility_function=fund
        )

    record = hcmd_zero.run(
        CONFIG,
        STEPS[0],
        known,
        optimise,
        partial(hcmd_zero.converge, utility_function=fund),
        key=jax.random.key(4),
        first=FIRST,
    )
    same = jax.tree.map(np.array_equal, record["mechanism"]["0"], FIRST)
    assert jax.tree.all(same)

    fitted = record["model"]["2"]
    tails = jnp.repeat(jnp.array(CONFIG.tails, float), CONFIG.repetitions)
    seated = mechanisms.head_and_tails(tails)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(4), 2), 3)
    rules = [graphnet.mechanism(record["mechanism"][str(s)]) for s in range(3)]
    play = lambda k, rule: training.play_block(k, fitted["players"], seated, rule)
    funds = [
        play(k, rule).contribution.sum((-2, -1))
        for k, rule in zip(jax.random.split(key, 3), rules, strict=True)
    ]
    expected = [
        [
            float(jax.nn.sigmoid(0.05 * (a - b)).mean()) if i != j else 0.5
            for j, b in enumerate(funds)
        ]
        for i, a in enumerate(funds)
    ]
    assert np.allclose(record["metagame"]["2"]["win"], expected, atol=1e-5)

    votes = {"fitted": fitted, "utility_function": devices.as_pytree(fund)}
    estimate = Partial(hcmd_zero.self_play_descent, config=CONFIG, **votes)
    for iteration, (key, updates) in enumerate(climbed, 1):
        before = record["mechanism"][str(iteration - 1)]
        whole = {
            "key": key,
            "optimiser": optax.adam(CONFIG.learning_rate),
            "updates": updates,
        }
        params, _ = loop.fit(estimate, before, **whole)
        alike = jax.tree.map(
            partial(np.allclose, atol=1e-6), params, record["mechanism"][str(iteration)]
        )
        assert all(jax.tree.leaves(alike)), "the last iteration is climbed longer"


@pytest.fixture(scope="module")
def record():
    "Two iterations, as small as they come."
    return hcmd_zero.run(CONFIG, *STEPS, key=jax.random.key(2))


def test_blocks_name_their_iteration_and_their_group(record):
    iteration, group = hcmd_evaluation.block_origins(record["data"])
    plays = hcmd_zero.to_plays(record["data"])
    assert [plays.names[m] for m in plays.mechanism] == [f"hcmd_{s}" for s in iteration]
    assert (np.bincount(group) == 2).all()
    assert len(np.unique(group)) == sum(CONFIG.groups)
    endowment = np.asarray(plays.block.endowment)
    assert all(
        (endowment[group == g] == endowment[group == g][0]).all()
        for g in np.unique(group)
    ), "a group has the same endowments twice"


def test_ratios_are_of_each_model_on_each_data_set(record):
    found = hcmd_evaluation.cross_entropies(record).set_index(
        ["kind", "model_iteration", "data_iteration"]
    )
    players, data_set = record["model"]["1"]["players"], record["data"]["2"]
    by_hand = [
        -cloning.log_probability(players, block).mean()
        for block in hcmd_zero.split_blocks(data_set)
    ]
    assert np.isclose(
        found.cross_entropy["contribution", 1, 2], np.mean(by_hand), rtol=1e-5
    )
    own = found.cross_entropy["vote", 2, 2]
    assert np.isclose(
        found.ratio["vote", 1, 2], found.cross_entropy["vote", 1, 2] / own
    )


def test_sizes_are_judged_by_groups_that_were_left_out(record, monkeypatch):
    "A model that has learned by heart what it was shown is found out."
    shown = []
    monkeypatch.setattr(
        cloning,
        "fit",
        lambda key, plays, **_: (
            shown.append(plays) or (record["model"]["2"]["players"], {})
        ),
    )
    tried = hcmd_evaluation.cross_validate_sizes(
        jax.random.key(3), record, config=CONFIG, sizes=((8, 4),), splits=2
    )
    assert list(tried.iteration) == [1, 1, 2, 2] and [
        len(plays) for plays in shown
    ] == [28, 28, 48, 48], "both blocks of 70 % of the groups"
    wrong = -np.asarray(
        cloning.log_probability(
            record["model"]["2"]["players"], hcmd_zero.to_plays(record["data"]).block
        )
    ).mean((1, 2))
    seen = {block.tobytes() for block in np.asarray(shown[-1].block.contribution)}
    left = [
        block.tobytes() not in seen
        for block in np.asarray(hcmd_zero.to_plays(record["data"]).block.contribution)
    ]
    assert sum(left) == 22
    assert np.isclose(tried.cross_entropy.iloc[-1], wrong[left].mean(), rtol=1e-5)


def test_nobody_beats_a_copy_and_only_the_head_votes_for_who_gives_it_everything():
    seated = mechanisms.head_and_tails(jnp.repeat(jnp.array([2.0, 4, 6, 8, 10]), 100))
    thief = lambda endowment, contribution: jnp.broadcast_to(
        jnp.array([1.0, 0, 0, 0]), contribution.shape
    )
    against = lambda rival: np.asarray(
        hcmd_evaluation.votes_against(jax.random.key(4), PEOPLE, FIRST, rival, seated)
    ).mean(0)
    assert np.abs(against(graphnet.mechanism(FIRST)) - 0.5).max() < 0.1
    head, *tails = against(thief)
    assert head < 0.1 and min(tails) > 0.75


def test_the_worst_return_is_that_of_whoever_got_least_for_what_they_had():
    data_set = {
        "endowment": np.array([[10.0, 4, 4, 4]]),
        "contribution": np.zeros((2, 1, 10, 4)),
        "payout": np.zeros((2, 1, 10, 4)),
        "vote": np.ones((1, 4), bool),
    }
    # gives everything in half of the rounds of the second block, and gets nothing back
    data_set["contribution"][1, 0, :5, 2] = 4
    record = {"data": {"1": jax.tree.map(jnp.asarray, data_set)}}
    left_with = hcmd_evaluation.worst_returns(record)
    assert left_with.iloc[0].tolist() == [1, 0.5, 1 / 8]


def test_true_play_descends_along_the_derivative_of_the_votes():
    "The estimate against differences of games with a nudged mechanism."
    config = replace(CONFIG, games=5000)
    params = jax.tree.map(lambda x: 3 * x, FIRST)
    people = participants.players(PEOPLE)
    given = {"utility_function": hcmd_evaluation.true_utility}
    descend = partial(
        hcmd_evaluation.true_play_descent,
        population=PEOPLE,
        fitted={"vote_weights": None},
        config=config,
        **given,
    )
    both = [jax.jit(descend)(params, jax.random.key(k)) for k in range(2)]
    norm, along = float(both[0][0]["gradient_norm"]), both[0][1]
    along = jax.tree.map(lambda x: -x / norm, along)
    # in other games than those that gave the direction, or chance would favour it
    parts = jax.tree.map(lambda x, y: -(x * y).sum(), along, both[1][1])
    expected = float(sum(jax.tree.leaves(parts)))
    seated = mechanisms.head_and_tails(jnp.repeat(jnp.array(config.tails, float), 4000))

    @jax.jit
    def votes(step, key):
        nudged = jax.tree.map(lambda x, y: x + step * y, params, along)
        rules = [graphnet.mechanism(x) for x in (nudged, params)]
        keys = jax.random.split(key)
        blocks = [
            game.play(key, people, seated, rule)
            for key, rule in zip(keys, rules, strict=True)
        ]
        return hcmd_zero.preference_probability(None, *blocks, **given).sum(-1).mean()

    keys, step = jax.random.split(jax.random.key(9), 8), 0.01
    differences = [float(votes(step, key) - votes(-step, key)) for key in keys]
    assert expected == pytest.approx(np.mean(differences) / (2 * step), rel=0.08)
