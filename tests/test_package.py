"""A public face, nothing started by an import, and a wheel that works elsewhere."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import democratic_ai

ROOT = Path(__file__).parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "democratic_ai", "data", "paper")


def run(python, program, folder):
    "Run a program in a folder of its own and read what it prints, one JSON value."
    done = subprocess.run(
        [python, "-c", program], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_package_names_its_modules_by_task():
    package = ROOT / "democratic_ai"
    modules = {path.stem for path in package.glob("[a-z]*.py")}
    folders = {path.parent.name for path in package.glob("[a-z]*/__init__.py")}
    assert set(democratic_ai.__all__) == modules | folders
    for name in democratic_ai.__all__:
        assert f"`{name}" in democratic_ai.__doc__
    assert set(democratic_ai.__all__) < set(dir(democratic_ai))


def test_a_module_is_loaded_when_it_is_first_used(tmp_path):
    program = """
import json, sys
import democratic_ai
before = [name for name in ("jax", "numpy", "pandas") if name in sys.modules]
from democratic_ai import game
print(json.dumps([before, democratic_ai.game is game, democratic_ai.voting.__name__]))
"""
    assert run(sys.executable, program, tmp_path) == [[], True, "democratic_ai.voting"]
    with pytest.raises(AttributeError, match="has no attribute 'politics'"):
        _ = democratic_ai.politics


def test_importing_all_modules_starts_no_device(tmp_path):
    program = """
import importlib, json, pkgutil
import jax
import democratic_ai

for found in pkgutil.walk_packages(democratic_ai.__path__, "democratic_ai."):
    importlib.import_module(found.name)
print(json.dumps(jax._src.xla_bridge.backends_are_initialized()))
"""
    assert run(sys.executable, program, tmp_path) is False, (
        "an array at module level starts one"
    )


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    "The Python of an environment with our wheel; dependencies are lent by this one."
    folder = tmp_path_factory.mktemp("wheel")
    source, environment = folder / "source", folder / "environment"
    source.mkdir()
    for name in SOURCES:  # setuptools writes beside what it builds
        os.symlink(ROOT / name, source / name)
    wheel = f"build_wheel({str(folder)!r})"
    build = f"from setuptools import build_meta; build_meta.{wheel}"
    subprocess.run(
        [sys.executable, "-c", build], cwd=source, check=True, capture_output=True
    )
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    install = [
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
    ]
    subprocess.run([sys.executable, *install], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # its own .pth files are not read
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_a_wheel_plays_elects_and_has_the_networks(elsewhere, tmp_path):
    program = """
import json
import jax
from democratic_ai import cloning, game, graphnet, mechanisms, metagame, participants
from democratic_ai.engine import published, store

key = jax.random.key(0)
file = store.committed_network
load = lambda name, like: store.load_parameters(file(name), like.init(key))
players = cloning.virtual_players(load("players", cloning))
hcrm, rm = (graphnet.mechanism(load(name, graphnet)) for name in ("hcrm", "rm"))
endowment = mechanisms.head_and_tails(jax.numpy.array([2.0, 6.0]))
block = game.play(key, players, endowment, hcrm)
table = metagame.elect(key, players, hcrm, {"rm": rm}, tails=(2, 6), n_blocks=20)
print(json.dumps({
    "where": game.__file__,
    "contribution": block.contribution.shape,
    "share": float(table.vote_share.mean()),
    "votes": len(published.read("fig2_votes")),
    "calibrated": type(participants.calibrated()).__name__,
}))
"""
    found = run(elsewhere, program, tmp_path)
    assert found["where"].startswith(str(elsewhere.parent.parent))
    assert found["contribution"] == [2, 10, 4] and 0 < found["share"] < 1
    assert found["votes"] == 20 and found["calibrated"] == "Population"
