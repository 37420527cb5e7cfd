"""Games spread over two or eight devices give what one device gives.

The five expensive steps, each in a process that JAX was told to see so many devices.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

STEPS = """
import sys
from functools import partial

import jax
import numpy as np

from democratic_ai import cloning, graphnet, hcmd_zero, mechanisms, metagame
from democratic_ai import participants, rational, training

key, double = jax.random.key, lambda x: np.asarray(x, np.float64)
flat = lambda tree: np.concatenate([double(x).ravel() for x in jax.tree.leaves(tree)])
players, params = cloning.init(key(0)), graphnet.init(key(1))

pilot = participants.pilot(key(2), participants.calibrated(), n_blocks=200)
examples = cloning.make_examples(pilot)
blocks = jax.random.randint(key(3), (512,), 0, 200)
imitate = jax.jit(cloning.imitation_gradient)
(loss, _), imitation = imitate(players, examples, blocks, key(4))

config = training.Training(games_per_endowment=8)
asked = {"opponent": mechanisms.liberal_egalitarian, "config": config}
train = jax.jit(partial(training.vote_gradient, **asked))
votes, vote_gradient = train(params, key(5), players)

population = rational.Population()
learn = jax.jit(partial(training.rational_gradient, players=population, **asked))
_, rational_gradient = learn(params, key(10))

virtual = cloning.virtual_players(players)
sums = metagame.simulate(key(6), virtual, metagame.grid(2), n_blocks=160)

small = hcmd_zero.HcmdZero(games=40)
vote_weights = jax.random.normal(key(7), (10, 3, 4)) / 10
fitted = {"players": players, "vote_weights": vote_weights}
self_play = jax.jit(partial(hcmd_zero.self_play_gradient, config=small))
_, own = self_play(graphnet.init(key(8), n_features=2), key(9), fitted)

spread_out = imitation, vote_gradient, rational_gradient, sums, own
spread = {len(x.sharding.device_set) for x in jax.tree.leaves(spread_out)}
found = {
    "loss": loss,
    "imitation": flat(imitation),
    "votes": votes,
    "vote_gradient": flat(vote_gradient),
    "rational_gradient": flat(rational_gradient),
    "sums": np.asarray(sums),
    "own": flat(own),
}
np.savez(sys.argv[1], devices=sorted(spread), **found)
"""


def run(n_devices, folder):
    "Do the steps on a processor that is taken for so many devices."
    file = folder / f"{n_devices}.npz"
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={n_devices}"}
    command, here = [sys.executable, "-c", STEPS, str(file)], Path(__file__).parent
    subprocess.run(command, env=os.environ | flags, check=True, cwd=here)
    return dict(np.load(file))


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return run(1, tmp_path_factory.mktemp("one"))


@pytest.mark.parametrize("n_devices", [2, 8])
def test_several_devices_give_what_one_gives(n_devices, one_device, tmp_path):
    several = run(n_devices, tmp_path)
    assert one_device["devices"] == [1] and several["devices"] == [n_devices], (
        "all of them were used"
    )
    for name in one_device.keys() - {"devices"}:
        expected = one_device[name]
        error = np.linalg.norm(several[name] - expected)
        assert error <= 1e-5 * np.linalg.norm(expected), name
