"Games spread over two or eight devices give what one device gives: the five expensive steps, each in a process that JAX was told to see so many devices."

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

from democratic_ai import cloning, graphnet, hcmd_zero, mechanisms, metagame, participants, rational, training

flat = lambda tree: np.concatenate([np.asarray(x, np.float64).ravel() for x in jax.tree.leaves(tree)])
players, params = cloning.init(jax.random.key(0)), graphnet.init(jax.random.key(1))

examples = cloning.make_examples(participants.pilot(jax.random.key(2), participants.calibrated(), n_blocks=200))
imitate = jax.jit(cloning.imitation_gradient)
(loss, _), imitation = imitate(players, examples, jax.random.randint(jax.random.key(3), (512,), 0, 200), jax.random.key(4))

config = training.Training(games_per_endowment=8)
train = jax.jit(partial(training.vote_gradient, opponent=mechanisms.liberal_egalitarian, config=config))
votes, vote_gradient = train(params, jax.random.key(5), players)

learn = jax.jit(partial(training.rational_gradient, players=rational.Population(), opponent=mechanisms.liberal_egalitarian, config=config))
_, rational_gradient = learn(params, jax.random.key(10))

sums = metagame.simulate(jax.random.key(6), cloning.virtual_players(players), metagame.grid(2), n_blocks=160)

small = hcmd_zero.HcmdZero(games=40)
fitted = {"players": players, "vote_weights": jax.random.normal(jax.random.key(7), (10, 3, 4)) / 10}
self_play = jax.jit(partial(hcmd_zero.self_play_gradient, config=small))
_, own = self_play(graphnet.init(jax.random.key(8), n_features=2), jax.random.key(9), fitted)

spread = {len(x.sharding.device_set) for x in jax.tree.leaves((imitation, vote_gradient, rational_gradient, sums, own))}
np.savez(sys.argv[1], devices=sorted(spread), loss=loss, imitation=flat(imitation), votes=votes, vote_gradient=flat(vote_gradient), rational_gradient=flat(rational_gradient), sums=np.asarray(sums), own=flat(own))
"""


def run(n_devices, folder):
    "Do the steps on a processor that is taken for so many devices."
    file = folder / f"{n_devices}.npz"
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={n_devices}"}
    subprocess.run([sys.executable, "-c", STEPS, str(file)], env=os.environ | flags, check=True, cwd=Path(__file__).parent)
    return dict(np.load(file))


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return run(1, tmp_path_factory.mktemp("one"))


@pytest.mark.parametrize("n_devices", [2, 8])
def test_several_devices_give_what_one_gives(n_devices, one_device, tmp_path):
    several = run(n_devices, tmp_path)
    assert one_device["devices"] == [1] and several["devices"] == [n_devices], "all of them were used"
    for name in one_device.keys() - {"devices"}:
        assert np.linalg.norm(several[name] - one_device[name]) <= 1e-5 * np.linalg.norm(one_device[name]), name
