"""Opening a run from any folder of a checkout.

And the line that says what made outputs, and what steps took.
"""

from pathlib import Path

import pandas as pd
import pytest

from democratic_ai.engine import runs, store


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like a checkout, with one file of a run in it.

    The test starts in the folder of a notebook.
    """
    (tmp_path / "settings.ini").touch()
    (tmp_path / "nbs" / "results").mkdir(parents=True)
    store.write_table(
        tmp_path / "runs" / "smoke" / "seed0" / "votes.csv", pd.DataFrame({"vote": [1]})
    )
    monkeypatch.chdir(tmp_path / "nbs" / "results")
    return tmp_path


@pytest.mark.parametrize("start", [".", "nbs", "nbs/results", "runs/smoke/seed0"])
def test_a_run_is_opened_from_any_folder_of_the_checkout(checkout, monkeypatch, start):
    monkeypatch.chdir(checkout / start)
    here = runs.open_run("runs/smoke", runs.seed(0) / "votes.csv")
    assert Path.cwd() == checkout and str(here) == "runs/smoke"
    assert (here / "seed0" / "votes.csv").exists()
    assert runs.open_run(here) == here, "once more, from the root, changes nothing"


def test_a_run_elsewhere_is_opened_where_it_is(checkout, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("run")
    assert runs.open_run(elsewhere) == elsewhere


@pytest.mark.parametrize(
    ("folder", "target", "command"),
    [
        ("runs/paper", "reproduce", "make reproduce PROFILE=paper"),
        ("runs/laptop/sweep", "sweep", "make sweep PROFILE=laptop"),
        ("data", "data", "make data"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_makes_it(
    checkout, folder, target, command
):
    with pytest.raises(store.DataError) as refused:
        runs.open_run(folder, "votes.csv", made_with=target)
    assert (
        str(refused.value)
        == f"{folder}/votes.csv: there is no such file; `{command}` makes it."
    )


def test_outside_of_a_checkout_nothing_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(store.DataError, match="is in no checkout of democratic-ai"):
        runs.open_run("runs/smoke")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"folder": "runs/paper/seed2/iter1", "seed": 2, "iteration": 1},
            "profile `paper`, seed 2, iteration 1",
        ),
        (
            {"folder": "runs/paper/seed1/rational/theta1_sigma1"},
            "profile `paper`, seed 1",
        ),
        (
            {"folder": "runs/smoke", "n_seeds": 1, "last_iteration": 0},
            "profile `smoke`, seed 0, iteration 0",
        ),
        ({"folder": "runs/laptop", "sweep_seeds": 2}, "profile `laptop`, seeds 0 to 1"),
        ({"folder": "data/participants", "seed": 0}, "seed 0"),
    ],
)
def test_the_label_says_profile_seed_iteration_and_commit(parameters, said):
    assert (
        runs.label_outputs(parameters, commit="0123456789")
        == f"*Outputs: {said}; made at commit `0123456`.*"
    )
    assert runs.label_outputs(parameters, commit="0123456789", minutes=0.25).endswith(
        "`0123456` in 0.2 minutes.*"
    )


def test_benchmarks_are_those_of_seeds_and_results(checkout):
    row = pd.DataFrame(
        {"s": [120.0], "h:m:s": ["0:02:00"], "max_rss": [512.0], "cpu_time": [90.0]}
    )
    for name in (
        "seed0/iter1/21_clone",
        "results/notebooks/31_figure1",
        "loss0.5/seed0/25_experiments",
        "sweep/40_sweep",
    ):
        file = checkout / "runs" / "smoke" / f"{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        row.to_csv(file, sep="\t", index=False)
    took = runs.read_benchmarks(checkout / "runs" / "smoke")
    assert list(took.index) == ["results/notebooks/31_figure1", "seed0/iter1/21_clone"]
    assert (took == [2.0, 1.5, 0.5]).all(axis=None)
    assert list(took) == [
        "minutes",
        "cpu_minutes",
        "gib",
    ]
    assert runs.read_benchmarks(checkout).empty
