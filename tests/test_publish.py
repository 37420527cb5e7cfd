"""Taking over a run: outputs go to the cell that made them, if it is still the same."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from democratic_ai.engine import runs

COMMIT = "0123456789abcdef"
PATH = Path(__file__).parent.parent / "paper" / "publish.py"
specification = importlib.util.spec_from_file_location("publish", PATH)
publish = importlib.util.module_from_spec(specification)
specification.loader.exec_module(publish)


def write(path, cells):
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def pair(tmp_path):
    "A committed notebook without outputs; its executed copy has papermill's cell."
    ours = write(
        tmp_path / "20_x.ipynb",
        [new_markdown_cell("# X"), new_code_cell("seed = 0"), new_code_cell("seed")],
    )
    shown = new_output("execute_result", {"text/plain": "1"}, execution_count=3)
    added = new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]})
    cells = [
        new_markdown_cell("# X"),
        new_code_cell("seed = 0"),
        added,
        new_code_cell("seed", outputs=[shown], execution_count=3),
    ]
    return ours, write(tmp_path / "run.ipynb", cells)


def test_outputs_land_in_their_cells_without_counts(pair):
    publish.take_outputs(*pair, COMMIT)
    cells = nbformat.read(pair[0], 4).cells
    assert [cell.source for cell in cells[1:]] == ["seed = 0", "seed"]
    assert cells[2].outputs[0].data["text/plain"] == "1"
    assert cells[2].outputs[0].execution_count is None
    assert cells[1].outputs == [] and cells[2].execution_count is None


def test_a_notebook_that_changed_since_the_run_is_refused(pair):
    write(
        pair[0],
        [
            new_markdown_cell("# X"),
            new_code_cell("seed = 0"),
            new_code_cell("seed + 1"),
        ],
    )
    changed = r"20_x.ipynb has changed since the run; "
    again = r"run 'make reproduce PROFILE=paper' again"
    with pytest.raises(SystemExit, match=changed + again):
        publish.take_outputs(*pair, COMMIT)


def test_changed_prose_does_not_hinder(pair):
    write(
        pair[0],
        [
            new_markdown_cell("# Another title"),
            new_code_cell("seed = 0"),
            new_code_cell("seed"),
        ],
    )
    publish.take_outputs(*pair, COMMIT)
    cells = nbformat.read(pair[0], 4).cells
    assert (
        cells[0].source.startswith("# Another title\n")
        and cells[2].outputs[0].data["text/plain"] == "1"
    )


def test_the_parameters_that_made_the_outputs_are_shown_with_their_commit(tmp_path):
    given, tags = "runs/paper/seed1", {"tags": ["parameters"]}
    declared = 'folder = "runs/smoke/seed0"  # where\nseed = 0\nrate = 0.5  # a rate'
    cells = [
        new_markdown_cell("# X\n\n> In, out.\n\n*Outputs: of old.*"),
        new_code_cell(declared, metadata=tags),
        new_code_cell("seed"),
    ]
    (tmp_path / "done").mkdir()
    ours, executed = (
        write(tmp_path / place / "20_x.ipynb", cells) for place in ("", "done")
    )
    done = nbformat.read(executed, 4)
    done.metadata["papermill"] = {
        "parameters": {"folder": given, "seed": 1, "rate": 0.25}
    }
    nbformat.write(done, executed)
    executed.with_suffix(".tsv").write_text("s\th:m:s\n90.0\t0:01:30\n")
    publish.take_outputs(ours, executed, COMMIT)
    title, parameters, _ = nbformat.read(ours, 4).cells
    assert (
        parameters.source
        == 'folder = "runs/paper/seed1"  # where\nseed = 1\nrate = 0.25  # a rate'
    )
    assert title.source == (
        "# X\n\n> In, out.\n\n*Outputs: profile `paper`, seed 1; "
        "made at commit `0123456` in 1.5 minutes.*"
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    "An empty checkout, into whose paper/ is published."
    run = tmp_path / "runs" / "paper"
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "RUN", run)
    monkeypatch.setattr(publish, "LAPTOP_RUN", run)
    monkeypatch.setattr(publish, "RESULTS", tmp_path / "paper")
    (tmp_path / "paper").mkdir()
    return tmp_path


def put(folder, names, text="{}"):
    "Write some files."
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def listed(folder):
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    }


RECIPE = {"code": "c0de", "data": {}, "settings": {"hcmd_games": "250"}}
MADE = {"commit": "abc", "profile": "paper"}


def test_each_system_is_published_by_itself(place):
    "An unfinished run of one system does not slip in with the other's finished one."
    results = place / "runs" / "paper" / "results"
    put(
        results,
        [*runs.WRITES["36_hcmd_zero"], "tables/st2.csv", "notebooks/36_hcmd_zero.tsv"],
    )
    put(results / "numbers", ["hcmd_zero.json"], '{"b": 2}')
    put(place / "paper" / "numbers", ["democratic_ai.json"], '{"a": 1}')
    publish.take_results("hcmd_zero", MADE)
    assert json.loads((place / "paper" / "numbers.json").read_text()) == {
        "a": 1,
        "b": 2,
    }
    assert listed(place / "paper") == {
        *runs.WRITES["36_hcmd_zero"],
        "numbers.json",
        "numbers/democratic_ai.json",
        "code.json",
    }


def test_what_made_a_result_is_kept_with_it_and_compared_with_the_checkout(
    place, monkeypatch, capsys
):
    run = place / "runs" / "paper"
    for seed in range(2):
        put(
            run / runs.seed(seed) / runs.HCMD_ZERO,
            ["26_hcmd_zero.recipe.json"],
            json.dumps(RECIPE),
        )
        put(
            run / runs.seed(seed) / runs.iteration(0),
            ["21_clone.recipe.json"],
            json.dumps(RECIPE),
        )
    publish.keep_recipes("hcmd_zero", run, MADE)
    kept = json.loads((place / "paper" / "code.json").read_text())
    assert kept == {"hcmd_zero": MADE | {"steps": {"26_hcmd_zero": [RECIPE]}}}
    put(
        place / "paper",
        ["provenance.json", *(f"{part}/provenance.json" for part in publish.ASIDE)],
        '{"commit": "0123456789abcdef"}',
    )
    monkeypatch.setattr(publish, "ROOT", PATH.parent.parent)
    publish.report()
    said = capsys.readouterr().out
    kept_not = "made before hashes of code were kept, at commit 0123456789."
    assert f"democratic_ai: {kept_not}" in said
    why = "26_hcmd_zero: another data/participants/calibration.json"
    assert f"hcmd_zero: stale, made at commit abc.\n  {why}" in said
    assert "other code" in said and "hcmd_games = 250 (now 1000)" in said


def test_of_a_sweep_its_files_are_taken_and_not_the_folders_of_its_runs(place, pair):
    "A folder like learning_rate-0.0016 looks like a file with an ending."
    ours, executed = pair
    (place / "nbs" / "questions").mkdir(parents=True)
    ours.rename(place / runs.notebook("40_sweep"))
    sweep = place / "runs" / "paper" / "sweep"
    put(sweep, [*runs.WRITES["40_sweep"], "learning_rate-0.0016/seed0/cloning.csv"])
    put(sweep, ["40_sweep.tsv"], "s\n60.0\n")
    executed.rename(sweep / "40_sweep.ipynb")
    publish.take_aside(runs.SWEEP, MADE)
    assert listed(place / "paper") == {
        *(f"sweep/{name}" for name in runs.WRITES["40_sweep"]),
        "code.json",
    }


def test_a_run_with_uncommitted_changes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    assert publish.provenance(tmp_path) is None
    (tmp_path / "provenance.json").write_text('{"uncommitted_changes": true}')
    with pytest.raises(
        SystemExit, match="was made with uncommitted changes; commit them"
    ):
        publish.provenance(tmp_path)
