"""The pipeline's plan, without running it: how many steps, and what it refuses."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from democratic_ai.engine import runs

ROOT = Path(__file__).parent.parent


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
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1"]
    command += ["--config", *configuration, "--", target]
    where = dict(cwd=house, env=os.environ | {"XDG_CACHE_HOME": str(house)})
    outcome = subprocess.run(command, **where, capture_output=True, text=True)
    return outcome.returncode, outcome.stdout + outcome.stderr


def test_a_run_of_two_iterations_and_two_seeds_has_its_steps(house):
    code, said = plan(house, "profile=smoke", "seeds=2")
    assert code == 0, said
    counted = dict(
        line.split()
        for line in said.splitlines()
        if len(line.split()) == 2 and line.split()[1].isdigit()
    )
    repeated = ("clone", "metagame", "train", "repeat", "elect")
    assert {rule: int(counted[rule]) for rule in repeated} == dict.fromkeys(repeated, 4)
    assert int(counted["acquire"]) == 2 and int(counted["control_repeat"]) == 1
    assert int(counted["experiments"]) == 2 and int(counted["tables"]) == 1
    assert int(counted["self_play"]) == 2
    assert int(counted["hcmd_figures"]) == int(counted["numbers"]) == 1


def test_questions_are_asked_of_paired_seeds(house):
    code, said = plan(house, "profile=laptop", target="questions")
    assert code == 0, said
    counted = dict(
        line.split()
        for line in said.splitlines()
        if len(line.split()) == 2 and line.split()[1].isdigit()
    )
    assert int(counted["self_play"]) == 5 and int(counted["arm"]) == 30
    assert int(counted["questions"]) == 1


def test_a_sweep_tries_every_line_of_the_settings_with_the_papers_players_beside_them(
    house,
):
    settings_file = house / "settings.ini"
    text = re.sub(r"(?m)^(try_\w+|sweep_seeds) = .*\n", "", settings_file.read_text())
    settings_file.write_text(
        text.replace(
            "[DEFAULT]\n", "[DEFAULT]\nsweep_seeds = 3\ntry_hidden = 4 32\ntry_l2 = 0\n"
        )
    )
    code, said = plan(house, "profile=laptop", target="sweep")
    assert code == 0, said
    counted = dict(
        line.split()
        for line in said.splitlines()
        if len(line.split()) == 2 and line.split()[1].isdigit()
    )
    assert int(counted["try_players"]) == (1 + 3) * 3
    assert int(counted["acquire"]) == int(counted["sweep"]) == 1


def test_a_sweep_of_one_seed_is_refused_before_anything_runs(house):
    settings_file = house / "settings.ini"
    settings_file.write_text(
        settings_file.read_text().replace("sweep_seeds = 2", "sweep_seeds = 1")
    )
    code, said = plan(house, "profile=laptop", target="sweep")
    assert code != 0 and "sweep_seeds in settings.ini is less than 2" in said


def test_an_unknown_profile_is_refused_by_name(house):
    code, said = plan(house, "profile=desktop")
    assert code != 0
    choice = "choose one of smoke, laptop, paper."
    assert f"There is no profile 'desktop' in settings.ini; {choice}" in said


def test_a_parameter_that_no_notebook_declares_is_refused_before_anything_runs(house):
    snakefile = house / "Snakefile"
    snakefile.write_text(
        snakefile.read_text().replace(
            '"clone_games clone_updates entropy_weight"',
            '"clone_games train_updates entropy_weight"',
        )
    )
    code, said = plan(house, "profile=smoke")
    assert code != 0 and not (house / "runs").exists()
    assert "nbs/run/21_clone.ipynb declares no parameter 'train_updates'" in said


def stub(house, *lines):
    "Put a program called papermill in the way of the real one."
    program = house / "bin" / "papermill"
    program.parent.mkdir(exist_ok=True)
    program.write_text("\n".join(["#!/bin/bash", *lines]) + "\n")
    program.chmod(0o755)


def run(house, *options, target="all"):
    "Let Snakemake do something with the stub."
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *options,
        "--cores",
        "2",
        "--config",
        "profile=smoke",
        "--",
        target,
    ]
    paths = {
        "PATH": f"{house / 'bin'}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(house),
    }
    outcome = subprocess.run(
        command,
        cwd=house,
        env=os.environ | paths,
        capture_output=True,
        text=True,
        check=False,
    )
    return outcome.returncode, outcome.stdout + outcome.stderr


@pytest.fixture
def finished(house):
    "A house with a finished run, whose files are there and empty."
    for name in ("democratic_ai", "data"):
        (house / name).unlink()
        shutil.copytree(ROOT / name, house / name)
    files = (
        f'{step}) files="{" ".join(names)}" ;;' for step, names in runs.WRITES.items()
    )
    stub(
        house,
        "step=$(basename $2 .ipynb.part.ipynb)",
        "here=$(dirname $2) here=${here%/notebooks}",
        *("case $step in", *files, "esac"),
        "for file in $files; do",
        "  mkdir -p $(dirname $here/$file) && echo {} >$here/$file",
        "done",
        "echo {} >$2",
    )
    code, said = run(house)
    assert code == 0, said
    return house


def stale_rules(house, target="all"):
    "Name the rules that a dry run would do again for a reason of their own."
    code, said = run(house, "--dry-run", target=target)
    assert code == 0, said
    blocks = re.findall(r"rule (\w+):\n(?:    .*\n)*?    reason: (.*)\n", said)
    return {
        rule
        for rule, reason in blocks
        if not reason.startswith("Input files updated by another job")
    }


def edit(path, old, new):
    text, n = re.subn(old, new, path.read_text())
    assert n == 1, f"{path.name}: {n} places like {old}"
    path.write_text(text)


def test_after_a_change_the_steps_that_it_touches_are_done_again_and_no_others(
    finished,
):
    settings_file = finished / "settings.ini"
    edit(finished / "democratic_ai" / "cloning.py", r'\A"""', '"""Prose. ')
    edit(settings_file, r"(?m)^group_fraction = 0\.1", "group_fraction = 1e-1")
    assert stale_rules(finished) == set()
    table = finished / "data" / "published" / "text_statistics.csv"
    table.write_text(table.read_text() + "\n")
    assert stale_rules(finished) == {"figure4", "statistics"}
    shutil.copy(ROOT / "data" / "published" / table.name, table)
    edit(
        finished / "democratic_ai" / "hcmd_zero.py",
        r"errors: float = 2\.0",
        "errors: float = 3.0",
    )
    stale_now = stale_rules(finished)
    assert "self_play" in stale_now and stale_now <= {"self_play", "hcmd_figures"}
    edit(
        settings_file,
        r"(?m)(?<=^\[smoke\]$)((?:\n.*)*?\ntrain_updates = )100",
        r"\g<1>500",
    )
    assert stale_rules(finished) - stale_now == {"train", "control_train"}


def test_a_finished_run_says_beside_each_step_what_made_it(finished):
    made = json.loads(
        (finished / "runs/smoke/seed0/iter0/21_clone.recipe.json").read_text()
    )
    assert set(made) == {"code", "data", "settings"}
    assert made["settings"] == {
        "clone_games": "128",
        "clone_updates": "400",
        "entropy_weight": "0",
    }


@pytest.mark.parametrize("met", [True, False])
def test_what_follows_the_iteration_that_met_the_rule_is_a_copy_of_it(house, met):
    step = "22_metagame"
    stub(
        house,
        "here=$(dirname $2) step=$(basename $2 .ipynb.part.ipynb)",
        "echo $here/$step >>called",
        "case $step in",
        *(
            f"{name}) files='{' '.join(files)}';;"
            for name, files in runs.WRITES.items()
        ),
        "esac",
        "for file in $files; do echo $here >$here/$file; done",
        f"""[ $step != 28_repeat ] || echo '{json.dumps({"met": met})}' \
            >$here/foresight.json""",
        "echo $here >$2",
    )
    seed = Path("runs/smoke/seed0")
    code, said = run(house, target=str(seed / "iter1/votes.csv"))
    assert code == 0, said
    called = (house / "called").read_text().split()
    assert f"{seed}/iter0/{step}" in called
    assert (f"{seed}/iter1/{step}" in called) != met
    made_in = "iter0" if met else "iter1"
    for name in (*runs.WRITES[step], f"{step}.ipynb"):
        assert (house / seed / "iter1" / name).read_text() == f"{seed / made_in}\n"
    assert stale_rules(house, str(seed / "iter1/votes.csv")) == set()


TRACEBACK = r"Traceback (most recent call last):\n  File x\n"
DEAD = "nbclient.exceptions.DeadKernelError: Kernel died"
NO_ROOM = "killed, most often for want of memory"


@pytest.mark.parametrize(
    ("does", "last"),
    [
        (
            rf"printf '{TRACEBACK}ValueError: n is 3: ask for more\n\n' >&2; exit 1",
            "ValueError: n is 3: ask for more",
        ),
        (rf"printf '{TRACEBACK}{DEAD}\n' >&2; exit 1", NO_ROOM),
        ("kill -9 $$", NO_ROOM),
    ],
)
def test_a_step_passes_on_its_progress_and_one_sentence_says_why_it_failed(
    house, does, last
):
    stub(house, "echo 'acquiring, 3 of 7' >&2", does)
    code, said = run(
        house,
        "--quiet",
        "host",
        "rules",
        "reason",
        target="runs/smoke/seed0/plays.parquet",
    )
    assert code != 0 and "acquiring, 3 of 7" in said.splitlines()
    assert "File x" not in said
    assert f"runs/smoke/seed0/20_acquire: {last}" in "\n".join(said.splitlines()[-6:])
