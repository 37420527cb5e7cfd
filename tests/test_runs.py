"""The layout of a run is in one module, and each step writes what the table says."""

import re
from pathlib import Path

import jupytext
import pandas as pd
import pytest

from democratic_ai.engine import runs, store

ROOT = Path(__file__).parent.parent
TEXTS = sorted(
    path
    for part in ("run", "results", "questions")
    for path in (ROOT / "nbs" / "text" / part).glob("*.py")
)


def code(path):
    "Read the code of a notebook without the values of its parameters."
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    return "\n".join(
        cell.source
        for cell in cells
        if "parameters" not in cell.metadata.get("tags", [])
    )


def test_paths_stay_where_they_are():
    run = runs.of_profile("paper")
    assert str(run / runs.seed(2) / runs.iteration(1)) == "runs/paper/seed2/iter1"
    assert (
        str(run / runs.seed(0) / runs.rational(3, 1))
        == "runs/paper/seed0/rational/theta3_sigma1"
    )
    assert str(run / runs.seed(0) / runs.HCMD_ZERO) == "runs/paper/seed0/hcmd_zero"
    assert [
        str(part)
        for part in (
            runs.RESULTS,
            runs.SENSITIVITY,
            runs.QUESTIONS,
            runs.CLIMB,
            runs.SWEEP,
        )
    ] == [
        "results",
        "sensitivity",
        "hcmd_questions",
        "hcmd_climb",
        "sweep",
    ]


@pytest.mark.parametrize("k", [2, "2"])
def test_one_population_has_one_folder(k):
    place = runs.of_population(k) / runs.seed(3)
    assert runs.population_and_seed(place) == ("2", 3)


@pytest.mark.parametrize(
    "place", ["results", "population2", "seed0/iter0", "population/seed0"]
)
def test_a_folder_of_no_seed_is_refused_by_name(place):
    with pytest.raises(store.DataError, match=f"{place}: is no folder of a seed"):
        runs.population_and_seed(place)


def test_every_step_has_its_notebook_and_every_notebook_is_a_step():
    by_hand = {"29_calibrate"}  # `make calibrate`
    there = {path.stem for path in TEXTS} - by_hand
    assert there == set(runs.WRITES)
    assert all((ROOT / runs.notebook(step)).exists() for step in there)


@pytest.mark.parametrize("step", [step for step in runs.WRITES if step[0] in "24"])
def test_a_step_writes_what_the_table_says(step):
    (text,) = [path for path in TEXTS if path.stem == step]
    written = set(
        re.findall(r'"([\w.]+\.(?:parquet|csv|json|svg|md|safetensors))"', code(text))
    )
    assert set(runs.WRITES[step]) <= written


@pytest.mark.parametrize(
    "path",
    [
        *TEXTS,
        ROOT / "Snakefile",
        ROOT / "paper" / "publish.py",
        ROOT / "benchmarks" / "scaling.py",
    ],
    ids=lambda path: path.stem,
)
def test_nobody_else_spells_a_path_of_a_run(path):
    text = re.sub(r"#.*", "", code(path) if path in TEXTS else path.read_text())
    assert not re.search(
        r"""(seed|iter|theta|sigma)\{(?!seed|i\b)|["'/](seed|iter)\d|["']runs/\w""",
        text,
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_seeds_are_read_together_and_people_only_once(tmp_path, suffix):
    for seed in range(3):
        frame = pd.DataFrame(
            {
                "source": ["people", "participants", "participants"],
                "vote": [1, 0, seed % 2],
            }
        )
        store.write_table(tmp_path / f"seed{seed}" / f"votes.{suffix}", frame)
    together = runs.read_seeds(tmp_path, f"votes.{suffix}", 3)
    assert together.groupby(["source", "seed"]).size().to_dict() == {
        ("participants", k): 2 for k in range(3)
    } | {("people", 0): 1}
    assert len(runs.read_seeds(tmp_path, f"votes.{suffix}", 1)) == 3
    with pytest.raises(
        store.DataError, match=f"seed3/votes.{suffix}: there is no such file; .*4 seeds"
    ):
        runs.read_seeds(tmp_path, f"votes.{suffix}", 4)


def test_a_table_without_a_source_is_read_whole(tmp_path):
    for seed in range(2):
        store.write_table(
            tmp_path / f"seed{seed}" / "iter0" / "beach.csv",
            pd.DataFrame({"head_share": [0.25]}),
        )
    assert runs.read_seeds(tmp_path, "iter0/beach.csv", 2)["seed"].tolist() == [0, 1]
