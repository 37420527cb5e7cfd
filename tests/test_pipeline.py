"""The pipeline's plan, without running it: how many steps, and what it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def house(tmp_path):
    "A copy of what the Snakefile reads, without any run in it."
    for name in ("Snakefile", "settings.ini"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("nbs", "democratic_ai", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def plan(house, *configuration):
    "Ask Snakemake what it would do."
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--config", *configuration, "--", "all"]
    outcome = subprocess.run(command, cwd=house, env=os.environ | {"XDG_CACHE_HOME": str(house)}, capture_output=True, text=True, check=False)
    return outcome.returncode, outcome.stdout + outcome.stderr


def test_a_run_of_two_iterations_and_two_seeds_has_its_steps(house):
    code, said = plan(house, "profile=laptop", "seeds=2")
    assert code == 0, said
    counted = dict(line.split() for line in said.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert {rule: int(counted[rule]) for rule in ("acquire", "clone", "metagame", "train", "elect")} == dict.fromkeys(
        ("acquire", "clone", "metagame", "train", "elect"), 4
    )
    assert int(counted["experiments"]) == 2 and int(counted["tables"]) == 1


def test_an_unknown_profile_is_refused_by_name(house):
    code, said = plan(house, "profile=desktop")
    assert code != 0
    assert "There is no profile 'desktop' in settings.ini; choose one of smoke, laptop, paper." in said


def test_a_parameter_that_no_notebook_declares_is_refused_before_anything_runs(house):
    snakefile = house / "Snakefile"
    snakefile.write_text(snakefile.read_text().replace('"21_clone", "clone_games clone_updates"', '"21_clone", "clone_games train_updates"'))
    code, said = plan(house, "profile=smoke")
    assert code != 0 and not (house / "runs").exists()
    assert "nbs/21_clone.ipynb declares no parameter 'train_updates'" in said
