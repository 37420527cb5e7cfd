"""One step of the method, in one implementation, at the paper's size.

It is a process that `bench.py` starts and asks for updates: `python benchmarks/steps.py
training eager` warms up, prints what it computed and how long compiling took, and then,
for every number of updates on its standard input, the processor milliseconds and the
milliseconds of one update.
"""

import json
import os
import resource
import sys
import time
from functools import partial

import numpy as np

PILOT_BLOCKS, BATCH = 1000, 512


def norm(tree):
    """Measure a gradient, whatever its shape."""
    import jax

    squares = (np.asarray(x, np.float64) ** 2 for x in jax.tree.leaves(tree))
    return float(np.sqrt(sum(float(square.sum()) for square in squares)))


def updates(estimate, first, optimiser):
    """Do k updates in one compiled call, as `loop.fit` does."""
    import jax
    import jax.numpy as jnp

    from democratic_ai.engine import loop

    moments = optimiser.init(first)
    state = {"params": first, "moments": moments, "key": jax.random.key(7)}
    return lambda k: jax.block_until_ready(
        loop.train_steps(estimate, state, jnp.arange(k), optimiser=optimiser)
    )


# --- what every implementation of a step is given -------------------------------------


def given():
    """Make players, mechanism and seats, the same for all."""
    import jax

    from democratic_ai import cloning, graphnet, training

    return {
        "players": cloning.init(jax.random.key(0)),
        "mechanism": graphnet.init(jax.random.key(1)),
        "seated": training.endowments(),
    }


def given_pilot():
    """Make the pilot, the same for all."""
    import jax

    from democratic_ai import participants

    people = participants.calibrated()
    return participants.pilot(jax.random.key(3), people, n_blocks=PILOT_BLOCKS)


# --- cloning --------------------------------------------------------------------------


def cloning_jax():
    """Imitate, as 21_clone does."""
    import jax
    import jax.numpy as jnp
    from jax.tree_util import Partial

    from democratic_ai import cloning

    world, config, pilot = given(), cloning.Cloning(), given_pilot()
    examples = cloning.make_examples(pilot)
    by_seat = cloning.make_examples(pilot, shuffle_others=False)
    (loss, _), gradient = jax.jit(cloning.imitation_gradient)(
        world["players"], by_seat, jnp.arange(BATCH), jax.random.key(5)
    )
    estimate = Partial(cloning.batch_gradient, examples=examples, config=config)
    run = updates(estimate, world["players"], cloning.optimiser(config))
    return (float(loss), norm(gradient)), run


def cloning_readable():
    """Imitate by the loss in its readable form."""
    import jax
    import jax.numpy as jnp
    import optax

    from democratic_ai import cloning

    world, config = given(), cloning.Cloning()
    adam = optax.adam(cloning.Cloning.learning_rate)
    loss, pilot = partial(cloning.imitation_loss, fused=False), given_pilot()

    def batch(blocks):
        answered = jnp.asarray(pilot.answered)[blocks]
        return jax.tree.map(lambda x: x[blocks], pilot.block), answered

    @jax.jit
    def update(params, moments, key):
        blocks = jax.random.randint(key, (config.batch,), 0, PILOT_BLOCKS)
        value, gradient = jax.value_and_grad(loss)(params, *batch(blocks))
        change, moments = adam.update(gradient, moments)
        return optax.apply_updates(params, change), moments, value

    def run(k):
        params, moments = world["players"], adam.init(world["players"])
        for i in range(k):
            params, moments, value = update(params, moments, jax.random.key(i))
        jax.block_until_ready(value)

    first = batch(jnp.arange(BATCH))
    value, gradient = jax.jit(jax.value_and_grad(loss))(world["players"], *first)
    return (float(value), norm(gradient)), run


def cloning_eager():
    """Imitate in PyTorch."""
    import eager
    import torch

    world = given()
    player, pilot = eager.Player(world["players"]), given_pilot()
    block = pilot.block.endowment, pilot.block.contribution, pilot.block.payout
    known = eager.examples(*map(eager.tensor, block))
    examples = *known, eager.tensor(pilot.answered)
    learned = [x for x in player.parameters() if x.requires_grad]
    adam = torch.optim.Adam(learned, lr=4e-4)

    def update(blocks):
        adam.zero_grad()
        loss = eager.cloning_loss(player, *(x[blocks] for x in examples))
        loss.backward()
        return loss

    loss = float(update(torch.arange(BATCH)).detach())
    checked = loss, norm([x.grad for x in learned])

    def run(k):
        for _ in range(k):
            update(torch.randint(PILOT_BLOCKS, (BATCH,)))
            adam.step()

    return checked, run


# --- training -------------------------------------------------------------------------


def train(estimate, first, optimiser):
    """Train by an estimate (parameters, key) -> votes, gradient.

    -> what one update computes, and a way to do many.
    """
    import jax
    import optax

    @jax.jit
    def update(params, moments, key):
        _, gradient = estimate(params, key)
        descent = jax.tree.map(lambda x: -x, gradient)
        change, moments = optimiser.update(descent, moments)
        return optax.apply_updates(params, change), moments

    def run(k):
        params, moments = first, optimiser.init(first)
        for i in range(k):
            params, moments = update(params, moments, jax.random.key(i))
        jax.block_until_ready(params)

    votes, gradient = jax.jit(estimate)(first, jax.random.key(6))
    return (float(votes), norm(gradient)), run


def training_jax():
    """Train HCRM, as 23_train does."""
    import jax
    from jax.tree_util import Partial

    from democratic_ai import mechanisms, training

    world, config = given(), training.Training()
    players, mechanism = world["players"], world["mechanism"]
    asked = {"opponent": mechanisms.manifold(1.0, 1.0), "config": config}
    once = jax.jit(partial(training.vote_gradient, **asked))
    votes, gradient = once(mechanism, jax.random.key(6), players)
    estimate = Partial(training.vote_gradient, players=players, **asked)
    step = Partial(training.descent, estimate=estimate, config=config)
    run = updates(step, mechanism, training.optimiser(config))
    return (float(votes), norm(gradient)), run


def training_readable():
    """Train HCRM with the readable gradient of 09."""
    from democratic_ai import mechanisms, training

    world, config = given(), training.Training()
    asked = {
        "players": world["players"],
        "opponent": mechanisms.manifold(1.0, 1.0),
        "config": config,
    }
    estimate = partial(training.vote_gradient, **asked, fused=False)
    return train(estimate, world["mechanism"], training.optimiser(config))


def train_eager(objective, mechanism, optimiser, shape):
    """Train in PyTorch.

    -> what one update computes from our draws, and a way to do many from its own.
    """
    import eager
    import jax
    import torch

    from democratic_ai.engine import fused_players

    def update(own, rival):
        optimiser.zero_grad()
        surrogate, votes = objective(own, rival)
        (-surrogate).backward()
        return votes

    own, rival = (
        eager.tensor(fused_players.uniform_draws(key, shape, n_rounds=eager.ROUNDS))
        for key in jax.random.split(jax.random.key(6))
    )
    votes = float(update(own, rival).detach())
    checked = votes, norm([x.grad for x in mechanism.parameters()])

    def run(k):
        for _ in range(k):
            update(torch.rand(own.shape), torch.rand(own.shape))
            optimiser.step()

    return checked, run


def training_eager():
    """Train HCRM in PyTorch."""
    import eager
    import torch

    world = given()
    player = eager.Player(world["players"]).requires_grad_(False)
    mechanism = eager.Mechanism(world["mechanism"])
    seated, opponent = eager.tensor(world["seated"]), eager.liberal_egalitarian
    rmsprop = torch.optim.RMSprop(mechanism.parameters(), lr=4e-4, alpha=0.99, eps=1e-5)

    objective = lambda own, rival: eager.training_objective(
        player, mechanism, opponent, seated, own, rival
    )
    return train_eager(objective, mechanism, rmsprop, world["seated"].shape)


# --- training RM ----------------------------------------------------------------------


CLIP = 5.0  # of RM's gradient (09)


def rational_jax():
    """Train RM, as 27_rational does."""
    import jax
    from jax.tree_util import Partial

    from democratic_ai import mechanisms, rational, training
    from democratic_ai.engine import devices

    first, config = given()["mechanism"], training.Training(clip=CLIP)
    asked = {
        "players": rational.Population(),
        "opponent": devices.as_pytree(mechanisms.liberal_egalitarian),
        "config": config,
    }
    once = jax.jit(partial(training.rational_gradient, **asked))
    votes, gradient = once(first, jax.random.key(6))
    estimate = Partial(training.rational_gradient, **asked)
    step = Partial(training.descent, estimate=estimate, config=config)
    run = updates(step, first, training.optimiser(config))
    return (float(votes), norm(gradient)), run


def rational_readable():
    """Train RM with the readable gradient of 09."""
    from democratic_ai import mechanisms, rational, training

    config = training.Training(clip=CLIP)
    asked = {
        "players": rational.Population(),
        "opponent": mechanisms.liberal_egalitarian,
        "config": config,
    }
    estimate = partial(training.rational_gradient, **asked, fused=False)
    return train(estimate, given()["mechanism"], training.optimiser(config))


def rational_eager():
    """Train RM in PyTorch."""
    import eager
    import jax
    import torch

    from democratic_ai import rational

    world, population = given(), rational.Population()
    mechanism, opponent = eager.Mechanism(world["mechanism"]), eager.liberal_egalitarian
    seated = eager.tensor(world["seated"])
    rmsprop = torch.optim.RMSprop(mechanism.parameters(), lr=4e-4, alpha=0.99, eps=1e-5)

    def update(own, rival):
        rmsprop.zero_grad()
        votes = eager.rational_objective(mechanism, opponent, seated, own, rival)
        (-votes).backward()
        return votes

    def ours(key):
        mind = rational.init(jax.random.split(key)[0], world["seated"], population)
        return eager.tensor(mind.generosity), eager.tensor(mind.rate)

    def drawn():
        generosity = population.sigma * torch.randn(seated.shape)
        gamma = torch.distributions.Gamma(population.shape, 1.0)
        return generosity, population.theta * gamma.sample(seated.shape)

    votes = float(update(*map(ours, jax.random.split(jax.random.key(6)))).detach())
    checked = votes, norm([x.grad for x in mechanism.parameters()])

    def run(k):
        for _ in range(k):
            update(drawn(), drawn())
            torch.nn.utils.clip_grad_norm_(mechanism.parameters(), CLIP)
            rmsprop.step()

    return checked, run


# --- HCMD-zero's self-play ------------------------------------------------------------


def self_play_given():
    """Make the players and the vote weights of an iteration, a mechanism, and seats."""
    import jax
    import jax.numpy as jnp

    from democratic_ai import cloning, graphnet, hcmd_zero, mechanisms

    config = hcmd_zero.HcmdZero()
    size = cloning.Cloning(embed=max(config.embed), hidden=max(config.hidden))
    vote_weights = jax.random.normal(jax.random.key(7), (10, 3, 4)) / 10
    players = cloning.init(jax.random.key(0), config=size)
    fitted = {"players": players, "vote_weights": vote_weights}
    games_each = config.games // len(config.tails)
    tails = jnp.repeat(jnp.array(config.tails, float), games_each)
    seated = mechanisms.head_and_tails(tails)
    mechanism = graphnet.init(jax.random.key(8), n_features=config.n_features)
    return config, fitted, mechanism, seated


def self_play_jax():
    """Improve HCMD-zero, as 26_hcmd_zero does."""
    import jax
    from jax.tree_util import Partial

    from democratic_ai import hcmd_zero
    from democratic_ai.engine import devices

    config, fitted, params, _ = self_play_given()
    once = jax.jit(partial(hcmd_zero.self_play_gradient, config=config))
    votes, gradient = once(params, jax.random.key(6), fitted)
    step = Partial(
        hcmd_zero.self_play_descent,
        fitted=fitted,
        config=config,
        utility_function=devices.as_pytree(hcmd_zero.utility),
    )
    run = updates(step, params, hcmd_zero.optimiser(config))
    return (float(votes), norm(gradient)), run


def self_play_readable():
    """Improve HCMD-zero with the formula of 12."""
    import optax

    from democratic_ai import hcmd_zero

    config, fitted, params, _ = self_play_given()
    estimate = lambda params, key: hcmd_zero.self_play_gradient(
        params, key, fitted, config=config, fused=False
    )
    return train(estimate, params, optax.adam(config.learning_rate))


def self_play_eager():
    """Improve HCMD-zero in PyTorch."""
    import eager
    import torch

    config, fitted, params, seats = self_play_given()
    player = eager.Player(fitted["players"]).requires_grad_(False)
    mechanism = eager.Mechanism(params)
    vote_weights, seated = eager.tensor(fitted["vote_weights"]), eager.tensor(seats)
    adam = torch.optim.Adam(mechanism.parameters(), lr=config.learning_rate)

    objective = lambda own, rival: eager.self_play_objective(
        player, mechanism, vote_weights, seated, own, rival
    )
    return train_eager(objective, mechanism, adam, seats.shape)


# --- metagame -------------------------------------------------------------------------

POINTS = [(w, v) for w in (0.0, 0.5, 1.0) for v in (0.0, 0.5, 1.0)]
BLOCKS = 4096


def summed_up(win):
    """Say in two numbers what came of a tournament, for comparison.

    One election, and how far the table is from ties.
    """
    from_ties = np.sqrt(((np.asarray(win, np.float64) - 0.5) ** 2).sum())
    return float(win[0, -1]), float(from_ties)


def tournament(fused):
    """Hold the tournament of Table S2."""
    import jax

    from democratic_ai import cloning, metagame

    players, grid = cloning.virtual_players(given()["players"]), metagame.grid(3)
    settings = dict(n_blocks=BLOCKS, fused=fused)
    play = lambda key: metagame.round_robin(key, players, grid, **settings)
    hold = lambda i: play(jax.random.key(i)).win
    return summed_up(hold(6)), lambda k: [hold(i) for i in range(k)]


def metagame_jax():
    """Hold the tournament, as 22_metagame does."""
    return tournament(fused=True)


def metagame_readable():
    """Hold every election anew: two blocks of every group for every two mechanisms."""
    return tournament(fused=False)


def metagame_eager():
    """Hold the tournament in PyTorch, every mechanism played once."""
    import eager
    import jax
    import torch

    from democratic_ai import metagame
    from democratic_ai.engine import devices, fused_players

    player = eager.Player(given()["players"])
    dealt = metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, BLOCKS)
    seated = eager.tensor(dealt)
    candidates = [eager.manifold(v, w) for w, v in POINTS]
    hold = lambda draws: eager.metagame(player, candidates, seated, draws)
    n_chunks = BLOCKS // devices.ROWS_PER_CHUNK
    shape = (devices.ROWS_PER_CHUNK, seated.shape[1])

    def drawn(key):
        one_chunk = partial(fused_players.uniform_draws, n_rounds=eager.ROUNDS)
        keys = jax.random.split(key, n_chunks)
        return np.concatenate([np.asarray(one_chunk(k, shape)) for k in keys], 1)

    same = [drawn(key) for key in jax.random.split(jax.random.key(6), len(POINTS))]
    random = lambda: torch.rand(len(POINTS), eager.ROUNDS, *seated.shape)
    run = lambda k: [hold(random()) for _ in range(k)]
    return summed_up(hold(eager.tensor(same))), run


# --- the machine's limit --------------------------------------------------------------


def limit_gemm():
    """Multiply matrices: a thousand million operations."""
    import jax
    import jax.numpy as jnp

    n = 500  # 2 n^3 operations, four times
    four_times = lambda a: jax.lax.fori_loop(0, 4, lambda _, x: (a @ x) / n, a)
    product, a = jax.jit(four_times), jnp.ones((n, n))
    return None, lambda k: [jax.block_until_ready(product(a)) for _ in range(k)]


def limit_tanh():
    """Bend numbers that stay in the cache: a thousand million."""
    import jax
    import jax.numpy as jnp

    x = jnp.linspace(-3, 3, 10_000)
    often = lambda x: jax.lax.fori_loop(0, 10_000, lambda _, y: jnp.tanh(y + x), x)
    bend = jax.jit(often)
    return None, lambda k: [jax.block_until_ready(bend(x)) for _ in range(10 * k)]


def answered():
    """Say what part of the pilot's players gave ten answers of their own."""
    print(float(np.mean(given_pilot().answered)))


# --- asked from outside ---------------------------------------------------------------


def main(step, implementation):
    """Warm up, report, and answer."""
    checked, run = globals()[f"{step}_{implementation}"]()
    if implementation != "eager":  # what was compiled for the check counts as compiling
        import jax

        jax.clear_caches()
    begun = time.perf_counter()
    for k in map(int, sys.argv[3:]):
        run(k)
    said = {"checked": checked, "first_call_s": time.perf_counter() - begun}
    print(json.dumps(said), flush=True)
    for line in sys.stdin:
        k = int(line)
        wall, cpu = time.perf_counter(), time.process_time()
        run(k)
        each = {
            "wall_ms": 1000 * (time.perf_counter() - wall) / k,
            "cpu_ms": 1000 * (time.process_time() - cpu) / k,
        }
        usage = resource.getrusage(resource.RUSAGE_SELF)
        each["peak_gib"] = usage.ru_maxrss / 2**20
        print(json.dumps(each), flush=True)


if __name__ == "__main__":
    cores = sorted(os.sched_getaffinity(0))[: int(os.environ.get("CORES", "1"))]
    os.sched_setaffinity(0, cores)
    main(*sys.argv[1:3]) if sys.argv[2:] else answered()
