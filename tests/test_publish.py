"""Taking over a run: outputs go to the cell that made them, and only if the cell is still the same."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PATH = Path(__file__).parent.parent / "paper" / "publish.py"
specification = importlib.util.spec_from_file_location("publish", PATH)
publish = importlib.util.module_from_spec(specification)
specification.loader.exec_module(publish)


def write(path, cells):
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def pair(tmp_path):
    "A committed notebook without outputs and its executed copy with the cell that papermill adds."
    ours = write(tmp_path / "20_x.ipynb", [new_markdown_cell("# X"), new_code_cell("seed = 0"), new_code_cell("seed")])
    shown = new_output("execute_result", {"text/plain": "1"}, execution_count=3)
    added = new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]})
    cells = [new_markdown_cell("# X"), new_code_cell("seed = 0"), added, new_code_cell("seed", outputs=[shown], execution_count=3)]
    return ours, write(tmp_path / "run.ipynb", cells)


def test_outputs_land_in_their_cells_without_counts(pair):
    publish.take_outputs(*pair)
    cells = nbformat.read(pair[0], 4).cells
    assert [cell.source for cell in cells] == ["# X", "seed = 0", "seed"]
    assert cells[2].outputs[0].data["text/plain"] == "1" and cells[2].outputs[0].execution_count is None
    assert cells[1].outputs == [] and cells[2].execution_count is None


def test_a_notebook_that_changed_since_the_run_is_refused(pair):
    write(pair[0], [new_markdown_cell("# X"), new_code_cell("seed = 0"), new_code_cell("seed + 1")])
    with pytest.raises(SystemExit, match=r"20_x.ipynb has changed since the run; run 'make reproduce PROFILE=paper' again"):
        publish.take_outputs(*pair)


def test_changed_prose_does_not_hinder(pair):
    write(pair[0], [new_markdown_cell("# Another title"), new_code_cell("seed = 0"), new_code_cell("seed")])
    publish.take_outputs(*pair)
    cells = nbformat.read(pair[0], 4).cells
    assert cells[0].source == "# Another title" and cells[2].outputs[0].data["text/plain"] == "1"


def test_each_system_is_published_by_itself(tmp_path, monkeypatch):
    "An unfinished run of one system does not get in with the finished one of the other."
    run, results = tmp_path / "runs", tmp_path / "paper"
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "RUN", run)
    monkeypatch.setattr(publish, "RESULTS", results)
    written = {"numbers/hcmd_zero.json": '{"b": 2}', "tables/hcmd_steps.csv": "x", "hcmd_provenance.json": "{}", "tables/st2.csv": "half", "notebooks/x": ""}
    for name, text in written.items():
        (run / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (run / "results" / name).write_text(text)
    (results / "numbers").mkdir(parents=True)
    (results / "numbers" / "democratic_ai.json").write_text('{"a": 1}')
    publish.take_results("hcmd_zero", {})
    assert json.loads((results / "numbers.json").read_text()) == {"a": 1, "b": 2}
    there = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    assert there == {"numbers.json", "numbers/democratic_ai.json", "numbers/hcmd_zero.json", "tables/hcmd_steps.csv", "hcmd_provenance.json"}


def test_of_a_sweep_its_files_are_taken_and_not_the_folders_of_its_runs(tmp_path, monkeypatch, pair):
    "A folder like learning_rate-1.6e-3 looks like a file with an ending."
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "RESULTS", tmp_path / "paper")
    (tmp_path / "nbs" / "questions").mkdir(parents=True)
    ours, executed = pair
    ours.rename(tmp_path / "nbs" / "questions" / "40_sweep.ipynb")
    (tmp_path / "sweep" / "learning_rate-1.6e-3").mkdir(parents=True)
    executed.rename(tmp_path / "sweep" / "40_sweep.ipynb")
    (tmp_path / "sweep" / "sweep.csv").write_text("x")
    publish.take_aside(tmp_path / "sweep", "40_sweep.ipynb")
    assert [path.name for path in (tmp_path / "paper" / "sweep").iterdir()] == ["sweep.csv"]


def test_a_run_with_uncommitted_changes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    assert publish.provenance(tmp_path) is None
    (tmp_path / "provenance.json").write_text('{"uncommitted_changes": true}')
    with pytest.raises(SystemExit, match="was made with uncommitted changes; commit them"):
        publish.provenance(tmp_path)
