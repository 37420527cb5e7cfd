"""One step of the method, in one implementation, at the paper's size: a process that `bench.py` starts and asks for updates.

`python benchmarks/steps.py training eager` warms up, prints what it computed and how long compiling took, and then, for every number of
updates on its standard input, the processor milliseconds and the milliseconds of one update.
"""

import ast
import itertools
import json
import os
import resource
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

TEXTS = Path(__file__).parent.parent / "nbs" / "text" / "method"
PILOT_BLOCKS, BATCH = 1000, 512


def lifted(notebook, name, names):
    """Take the readable form of a function from the notebook that explains it."""
    tree = ast.parse((TEXTS / f"{notebook}.py").read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    exec(compile(ast.Module(found, []), notebook, "exec"), names)  # noqa: S102  (our own notebook)
    return names[name]


def norm(tree):
    """Measure a gradient, whatever its shape."""
    import jax

    return float(np.sqrt(sum(float((np.asarray(x, np.float64) ** 2).sum()) for x in jax.tree.leaves(tree))))


def updates(estimate, first, optimiser):
    """Do k updates in one compiled call, as `loop.fit` does."""
    import jax
    import jax.numpy as jnp

    from democratic_ai.engine import loop

    state = {"params": first, "moments": optimiser.init(first), "key": jax.random.key(7)}
    return lambda k: jax.block_until_ready(loop.train_steps(estimate, state, jnp.arange(k), optimiser=optimiser))


# --- what every implementation of a step is given -------------------------------------------------------------------------------


def given():
    """Make players, mechanism and seats, the same for all."""
    import jax

    from democratic_ai import cloning, graphnet, training

    return {"players": cloning.init(jax.random.key(0)), "mechanism": graphnet.init(jax.random.key(1)), "seated": training.endowments()}


def given_pilot():
    """Make the pilot, the same for all."""
    import jax

    from democratic_ai import participants

    return participants.pilot(jax.random.key(3), participants.calibrated(), n_blocks=PILOT_BLOCKS)


# --- cloning --------------------------------------------------------------------------------------------------------------------


def cloning_jax():
    """Imitate, as 21_clone does."""
    import jax
    import jax.numpy as jnp
    from jax.tree_util import Partial

    from democratic_ai import cloning

    world, config = given(), cloning.Cloning()
    taught = cloning.make_examples(given_pilot())
    seat_order = replace(taught, story=taught.story[: len(taught.chosen)])
    (loss, _), gradient = jax.jit(cloning.imitation_gradient)(world["players"], seat_order, jnp.arange(BATCH), jax.random.key(5))
    return (float(loss), norm(gradient)), updates(Partial(cloning.batch_gradient, examples=taught, config=config), world["players"], cloning.optimiser(config))


def cloning_readable():
    """Imitate with the loss as 04 writes it down first."""
    import jax
    import jax.numpy as jnp
    import optax

    from democratic_ai import cloning

    world, config, adam = given(), cloning.Cloning(), optax.adam(cloning.Cloning.learning_rate)
    loss = lifted("04_cloning", "readable_loss", {"jax": jax, "jnp": jnp, **vars(cloning)})
    pilot = given_pilot()
    batch = lambda blocks: (jax.tree.map(lambda x: x[blocks], pilot.block), jnp.asarray(pilot.answered)[blocks])

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

    value, gradient = jax.jit(jax.value_and_grad(loss))(world["players"], *batch(jnp.arange(BATCH)))
    return (float(value), norm(gradient)), run


def cloning_eager():
    """Imitate in PyTorch."""
    import eager
    import torch

    world = given()
    player, pilot = eager.Player(world["players"]), given_pilot()
    told = *eager.stories(*map(eager.tensor, (pilot.block.endowment, pilot.block.contribution, pilot.block.payout))), eager.tensor(pilot.answered)
    learned = [x for x in player.parameters() if x.requires_grad]
    adam = torch.optim.Adam(learned, lr=4e-4)

    def update(blocks):
        adam.zero_grad()
        loss = eager.cloning_loss(player, *(x[blocks] for x in told))
        loss.backward()
        return loss

    loss = float(update(torch.arange(BATCH)).detach())
    checked = loss, norm([x.grad for x in learned])

    def run(k):
        for _ in range(k):
            update(torch.randint(PILOT_BLOCKS, (BATCH,)))
            adam.step()

    return checked, run


# --- training -------------------------------------------------------------------------------------------------------------------


def climber(estimate, first, optimiser):
    """Climb by an estimate (parameters, key) -> votes, gradient: what one update computes, and a way to do many."""
    import jax
    import optax

    @jax.jit
    def update(params, moments, key):
        _, gradient = estimate(params, key)
        change, moments = optimiser.update(jax.tree.map(lambda x: -x, gradient), moments)
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

    world, config, opponent = given(), training.Training(), mechanisms.manifold(1.0, 1.0)
    votes, gradient = jax.jit(partial(training.vote_gradient, opponent=opponent, config=config))(world["mechanism"], jax.random.key(6), world["players"])
    estimate = Partial(training.vote_gradient, players=world["players"], opponent=opponent, config=config)
    step = Partial(training.descent, estimate=estimate, config=config)
    return (float(votes), norm(gradient)), updates(step, world["mechanism"], training.optimiser(config))


def training_readable():
    """Train HCRM with the gradient as 09 writes it down first."""
    import jax

    from democratic_ai import mechanisms, training

    world, config = given(), training.Training()
    gradient_of = lifted("09_training", "readable_gradient", {"jax": jax, **vars(training)})
    estimate = lambda params, key: gradient_of(params, key, world["players"], mechanisms.manifold(1.0, 1.0), config=config)
    return climber(estimate, world["mechanism"], training.optimiser(config))


def eager_ascent(objective, mechanism, optimiser, shape):
    """Climb in PyTorch: what one update computes from our draws, and a way to do many from its own."""
    import eager
    import jax
    import torch

    from democratic_ai import training

    def update(own, rival):
        optimiser.zero_grad()
        surrogate, votes = objective(own, rival)
        (-surrogate).backward()
        return votes

    own, rival = (eager.tensor(training.uniform_draws(key, shape)) for key in jax.random.split(jax.random.key(6)))
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
    player, mechanism = eager.Player(world["players"]).requires_grad_(False), eager.Mechanism(world["mechanism"])
    seated, opponent = eager.tensor(world["seated"]), eager.liberal_egalitarian
    rmsprop = torch.optim.RMSprop(mechanism.parameters(), lr=4e-4, alpha=0.99, eps=1e-5)

    objective = lambda own, rival: eager.training_objective(player, mechanism, opponent, seated, own, rival)
    return eager_ascent(objective, mechanism, rmsprop, world["seated"].shape)


# --- training RM ----------------------------------------------------------------------------------------------------------------


CLIP = 5.0  # of RM's gradient (09)


def rational_jax():
    """Train RM, as 27_rational does."""
    import jax
    from jax.tree_util import Partial

    from democratic_ai import mechanisms, rational, training
    from democratic_ai.engine import devices

    first, config, population = given()["mechanism"], training.Training(clip=CLIP), rational.Population()
    asked = {"opponent": devices.as_pytree(mechanisms.liberal_egalitarian), "config": config}
    votes, gradient = jax.jit(partial(training.rational_gradient, players=population, **asked))(first, jax.random.key(6))
    step = Partial(training.descent, estimate=Partial(training.rational_gradient, players=population, **asked), config=config)
    return (float(votes), norm(gradient)), updates(step, first, training.optimiser(config))


def rational_readable():
    """Train RM with the gradient as 09 writes it down first."""
    import jax

    from democratic_ai import mechanisms, rational, training

    gradient_of = lifted("09_training", "readable_rational", {"jax": jax, **vars(training)})
    estimate = lambda params, key: gradient_of(params, key, rational.Population(), mechanisms.liberal_egalitarian)
    return climber(estimate, given()["mechanism"], training.optimiser(training.Training(clip=CLIP)))


def rational_eager():
    """Train RM in PyTorch."""
    import eager
    import jax
    import torch

    from democratic_ai import rational

    world, population = given(), rational.Population()
    mechanism, opponent, seated = eager.Mechanism(world["mechanism"]), eager.liberal_egalitarian, eager.tensor(world["seated"])
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
        return population.sigma * torch.randn(seated.shape), population.theta * torch.distributions.Gamma(population.shape, 1.0).sample(seated.shape)

    votes = float(update(*map(ours, jax.random.split(jax.random.key(6)))).detach())
    checked = votes, norm([x.grad for x in mechanism.parameters()])

    def run(k):
        for _ in range(k):
            update(drawn(), drawn())
            torch.nn.utils.clip_grad_norm_(mechanism.parameters(), CLIP)
            rmsprop.step()

    return checked, run


# --- HCMD-zero's self-play ------------------------------------------------------------------------------------------------------


def self_play_given():
    """Make the players and the taste of an iteration, a mechanism, and seats."""
    import jax
    import jax.numpy as jnp

    from democratic_ai import cloning, graphnet, hcmd_zero, mechanisms

    config = hcmd_zero.HcmdZero()
    size = cloning.Cloning(embed=max(config.embed), hidden=max(config.hidden))
    taste = jax.random.normal(jax.random.key(7), (10, 3, 4)) / 10
    fitted = {"players": cloning.init(jax.random.key(0), config=size), "taste": taste}
    seated = mechanisms.head_and_tails(jnp.repeat(jnp.array(config.tails, float), config.games // len(config.tails)))
    return config, fitted, graphnet.init(jax.random.key(8), n_features=config.n_features), seated


def self_play_jax():
    """Improve HCMD-zero, as 26_hcmd_zero does."""
    import jax
    from jax.tree_util import Partial

    from democratic_ai import hcmd_zero
    from democratic_ai.engine import devices

    config, fitted, params, _ = self_play_given()
    votes, gradient = jax.jit(partial(hcmd_zero.self_play_gradient, config=config))(params, jax.random.key(6), fitted)
    step = Partial(hcmd_zero.self_play_descent, fitted=fitted, config=config, liking=devices.as_pytree(hcmd_zero.utility))
    return (float(votes), norm(gradient)), updates(step, params, hcmd_zero.optimiser(config))


def self_play_readable():
    """Improve HCMD-zero with the step as 12 writes it down first."""
    import jax
    import optax

    from democratic_ai import hcmd_zero, scg

    config, fitted, params, seated = self_play_given()
    gradient_of = lifted("12_hcmd_zero", "readable_self_play", {"jax": jax, "scg": scg, **vars(hcmd_zero)})
    return climber(lambda params, key: gradient_of(params, key, fitted, seated), params, optax.adam(config.learning_rate))


def self_play_eager():
    """Improve HCMD-zero in PyTorch."""
    import eager
    import torch

    config, fitted, params, seats = self_play_given()
    player, mechanism = eager.Player(fitted["players"]).requires_grad_(False), eager.Mechanism(params)
    taste, seated = eager.tensor(fitted["taste"]), eager.tensor(seats)
    adam = torch.optim.Adam(mechanism.parameters(), lr=config.learning_rate)

    objective = lambda own, rival: eager.self_play_objective(player, mechanism, taste, seated, own, rival)
    return eager_ascent(objective, mechanism, adam, seats.shape)


# --- metagame -------------------------------------------------------------------------------------------------------------------

POINTS = [(w, v) for w in (0.0, 0.5, 1.0) for v in (0.0, 0.5, 1.0)]
BLOCKS = 4096


def summed_up(win):
    """Say in two numbers what came of a tournament, for comparison: one election, and how far the table is from ties."""
    return float(win[0, -1]), float(np.sqrt(((np.asarray(win, np.float64) - 0.5) ** 2).sum()))


def metagame_jax():
    """Hold the tournament, as 22_metagame does."""
    import jax

    from democratic_ai import cloning, metagame

    players, grid = cloning.virtual_players(given()["players"]), metagame.grid(3)
    hold = lambda i: metagame.win_matrix(metagame.simulate(jax.random.key(i), players, grid, n_blocks=BLOCKS))
    return summed_up(hold(6)), lambda k: [hold(i) for i in range(k)]


def metagame_readable():
    """Hold the tournament as 10 says first: two blocks of every group for every two mechanisms."""
    import jax
    import jax.numpy as jnp

    from democratic_ai import cloning, mechanisms, metagame

    players, seats = cloning.virtual_players(given()["players"]), metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, BLOCKS)
    election = lifted("10_metagame", "readable_election", vars(metagame).copy())
    by_chunk = seats.reshape(-1, metagame.CHUNK, seats.shape[-1])

    @jax.jit
    def hold_one(key_a, key_b, a, b):
        keys = [jax.random.split(key, len(by_chunk)) for key in (key_a, key_b)]
        rules = [mechanisms.manifold(*at) for at in (a, b)]
        return jax.vmap(lambda key_a, key_b, seats: election(key_a, key_b, players, seats, *rules))(*keys, by_chunk).mean()

    def hold(i):
        keys = jax.random.split(jax.random.key(i), len(POINTS))
        win = np.full((len(POINTS), len(POINTS)), 0.5)
        for a, b in itertools.combinations(range(len(POINTS)), 2):
            win[a, b] = hold_one(keys[a], keys[b], jnp.array(POINTS[a]), jnp.array(POINTS[b]))
            win[b, a] = 1 - win[a, b]
        return win

    return summed_up(hold(6)), lambda k: [hold(i) for i in range(k)]


def metagame_eager():
    """Hold the tournament in PyTorch, every mechanism played once."""
    import eager
    import jax
    import torch

    from democratic_ai import metagame, training

    player, seated = eager.Player(given()["players"]), eager.tensor(metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, BLOCKS))
    candidates = [eager.manifold(v, w) for w, v in POINTS]
    hold = lambda draws: eager.metagame(player, candidates, seated, draws)
    one_chunk = lambda key: np.asarray(training.uniform_draws(key, (metagame.CHUNK, seated.shape[1])))
    same = [np.concatenate([one_chunk(k) for k in jax.random.split(key, BLOCKS // metagame.CHUNK)], 1) for key in jax.random.split(jax.random.key(6), len(POINTS))]
    return summed_up(hold(eager.tensor(same))), lambda k: [hold(torch.rand(len(POINTS), eager.ROUNDS, *seated.shape)) for _ in range(k)]


# --- the machine's limit --------------------------------------------------------------------------------------------------------


def limit_gemm():
    """Multiply matrices: a thousand million operations."""
    import jax
    import jax.numpy as jnp

    n = 500  # 2 n^3 operations, four times
    product, a = jax.jit(lambda a: jax.lax.fori_loop(0, 4, lambda _, x: (a @ x) / n, a)), jnp.ones((n, n))
    return None, lambda k: [jax.block_until_ready(product(a)) for _ in range(k)]


def limit_tanh():
    """Bend numbers that stay in the cache: a thousand million."""
    import jax
    import jax.numpy as jnp

    x = jnp.linspace(-3, 3, 10_000)
    bend = jax.jit(lambda x: jax.lax.fori_loop(0, 10_000, lambda _, y: jnp.tanh(y + x), x))
    return None, lambda k: [jax.block_until_ready(bend(x)) for _ in range(10 * k)]


def answered():
    """Say what part of the pilot's players gave ten answers of their own."""
    print(float(np.mean(given_pilot().answered)))


# --- asked from outside ---------------------------------------------------------------------------------------------------------


def main(step, implementation):
    """Warm up, report, and answer."""
    checked, run = globals()[f"{step}_{implementation}"]()
    if implementation != "eager":  # what was compiled for the check counts as compiling
        import jax

        jax.clear_caches()
    begun = time.perf_counter()
    for k in map(int, sys.argv[3:]):
        run(k)
    print(json.dumps({"checked": checked, "first_call_s": time.perf_counter() - begun}), flush=True)
    for line in sys.stdin:
        k = int(line)
        wall, cpu = time.perf_counter(), time.process_time()
        run(k)
        each = {"wall_ms": 1000 * (time.perf_counter() - wall) / k, "cpu_ms": 1000 * (time.process_time() - cpu) / k}
        print(json.dumps(each | {"peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}), flush=True)


if __name__ == "__main__":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(os.environ.get("CORES", "1"))])
    main(*sys.argv[1:3]) if sys.argv[2:] else answered()
