"""The pipeline's plan, without running it: how many steps, and what it refuses."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def fingerprint(notebook, home):
    "Hash a notebook's code as the Snakefile in a folder does, whose part before the rules is plain Python."
    python = (home / "Snakefile").read_text().split("# One core a step")[0]
    code = f"config = {{'profile': 'smoke'}}\n{python}\nprint(fingerprint({notebook!r}))"
    return subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def house(tmp_path):
    "A copy of what the Snakefile reads, without any run in it."
    for name in ("Snakefile", "settings.ini"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("nbs", "democratic_ai", "data", "paper"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def plan(house, *configuration, target="all"):
    "Ask Snakemake what it would do."
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--config", *configuration, "--", target]
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
    assert int(counted["self_play"]) == 2 and int(counted["hcmd_figures"]) == int(counted["numbers"]) == 1


def test_questions_are_asked_of_paired_seeds(house):
    code, said = plan(house, "profile=laptop", target="questions")
    assert code == 0, said
    counted = dict(line.split() for line in said.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert int(counted["self_play"]) == 5 and int(counted["arm"]) == 30 and int(counted["questions"]) == 1


def test_a_sweep_tries_every_line_of_the_settings_with_the_papers_players_beside_them(house):
    settings_file = house / "settings.ini"
    text = re.sub(r"(?m)^(try_\w+|sweep_seeds) = .*\n", "", settings_file.read_text())
    settings_file.write_text(text.replace("[DEFAULT]\n", "[DEFAULT]\nsweep_seeds = 3\ntry_hidden = 4 32\ntry_l2 = 0\n"))
    code, said = plan(house, "profile=laptop", target="sweep")
    assert code == 0, said
    counted = dict(line.split() for line in said.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert int(counted["try_players"]) == (1 + 3) * 3 and int(counted["acquire"]) == int(counted["sweep"]) == 1


def test_a_sweep_of_one_seed_is_refused_before_anything_runs(house):
    settings_file = house / "settings.ini"
    settings_file.write_text(settings_file.read_text().replace("sweep_seeds = 2", "sweep_seeds = 1"))
    code, said = plan(house, "profile=laptop", target="sweep")
    assert code != 0 and "sweep_seeds in settings.ini is less than 2" in said


def test_an_unknown_profile_is_refused_by_name(house):
    code, said = plan(house, "profile=desktop")
    assert code != 0
    assert "There is no profile 'desktop' in settings.ini; choose one of smoke, laptop, paper." in said


def test_a_parameter_that_no_notebook_declares_is_refused_before_anything_runs(house):
    snakefile = house / "Snakefile"
    snakefile.write_text(snakefile.read_text().replace('"21_clone", "clone_games clone_updates"', '"21_clone", "clone_games train_updates"'))
    code, said = plan(house, "profile=smoke")
    assert code != 0 and not (house / "runs").exists()
    assert "nbs/run/21_clone.ipynb declares no parameter 'train_updates'" in said


def test_a_step_is_stale_when_code_that_it_reaches_has_changed_and_not_otherwise(house):
    (house / "democratic_ai").unlink()
    shutil.copytree(ROOT / "democratic_ai", house / "democratic_ai")
    cloning = house / "democratic_ai" / "cloning.py"
    written, clone, metagame = cloning.read_text(), fingerprint("21_clone", house), fingerprint("22_metagame", house)
    cloning.write_text(written.replace('"Train a virtual player', '"Prose;') + "\n\ndef unused_novelty():\n    return 1\n")
    assert cloning.read_text().count("Prose;") == 1
    assert (fingerprint("21_clone", house), fingerprint("22_metagame", house)) == (clone, metagame)
    cloning.write_text(written.replace("b1=0.9, b2=0.999", "b1=0.8, b2=0.999"))
    assert fingerprint("21_clone", house) != clone, "training players reaches Adam"
    assert fingerprint("22_metagame", house) == metagame, "playing with them does not"


@pytest.mark.parametrize(
    ("said", "heard", "last"),
    [
        ("cloning, 3 of 7\nall well\n", "cloning, 3 of 7\nall well\n", None),
        ("3 of 7\nTraceback (most recent call last):\n  File x\nValueError: n is 3: ask for more\n\n", "3 of 7\n", "clone seed0: ValueError: n is 3: ask for more\n"),
        ("Traceback (most recent call last):\nnbclient.exceptions.DeadKernelError: Kernel died\n", "", "clone seed0: killed, most often for want of memory"),
    ],
)
def test_a_step_passes_on_its_progress_and_leaves_one_sentence_if_it_fails(said, heard, last, tmp_path):
    command = [sys.executable, ROOT / "paper" / "last_word.py", "clone", "seed0"]
    assert subprocess.run(command, cwd=tmp_path, input=said, capture_output=True, text=True, check=True).stderr == heard
    words = tmp_path / ".snakemake" / "last_words"
    assert words.exists() == bool(last) and (not last or (words.read_text().startswith(last) and words.read_text().count("\n") == 1))
