"""`make sync` takes the edited side of a pair, or stops and touches nothing."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NAME = "method/00_toy"
NOTEBOOK, TWIN = Path("nbs/method/00_toy.ipynb"), Path("nbs/text/method/00_toy.py")


def load():
    spec = importlib.util.spec_from_file_location("sync", ROOT / "nbs" / "sync.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sync = load()


def git(*arguments):
    named = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    subprocess.run(["git", *named, *arguments], check=True, capture_output=True)


def commit():
    git("add", "-A")
    git("commit", "-m", "A state to come back to")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    "A project of one pair, not under git; its notebook was run."
    monkeypatch.chdir(tmp_path)
    for name in ("jupytext.toml", "pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    cell = nbformat.v4.new_code_cell
    cells = [
        nbformat.v4.new_markdown_cell("# Toy\n\n> Coins go in."),
        cell("fund = 16"),
        cell("fund / 4"),
    ]
    cells[2].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "4.0"})]
    cells[2].metadata["tags"] = ["parameters"]
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata.kernelspec = {
        "name": "python3",
        "display_name": "python3",
        "language": "python",
    }
    NOTEBOOK.parent.mkdir(parents=True)
    nbformat.write(book, NOTEBOOK)
    sync.sync([NAME])
    return tmp_path


@pytest.fixture
def repository(folder):
    "The same under git, as a fresh clone has it: nothing is known of earlier syncs."
    git("init")
    commit()
    shutil.rmtree(sync.KEPT)
    return folder


def edit_twin(old="fund = 16", new="fund = 20"):
    text = TWIN.read_text()
    assert old in text
    TWIN.write_text(text.replace(old, new))


def edit_notebook(old="fund = 16", new="fund = 20"):
    book = nbformat.read(NOTEBOOK, 4)
    for cell in book.cells:
        cell.source = cell.source.replace(old, new)
    nbformat.write(book, NOTEBOOK)


def sources():
    "Sources of both sides, which must be the same."
    ours, theirs = nbformat.read(NOTEBOOK, 4), jupytext.read(TWIN)
    assert [cell.source for cell in ours.cells] == [
        cell.source for cell in theirs.cells
    ]
    return "\n".join(cell.source for cell in ours.cells)


def state():
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (NOTEBOOK, TWIN)
    }


@pytest.mark.parametrize(
    ("edit", "other"), [(edit_twin, NOTEBOOK), (edit_notebook, TWIN)]
)
def test_the_edited_side_is_taken_though_the_other_was_saved_later(
    repository, edit, other
):
    edit()
    os.utime(other)
    sync.sync([NAME])
    assert "fund = 20" in sources()


@pytest.mark.parametrize("edit", [edit_twin, edit_notebook])
def test_edits_without_a_commit_between_them_are_taken_one_by_one(repository, edit):
    for old, new in (("16", "20"), ("20", "24"), ("24", "28")):
        edit(f"fund = {old}", f"fund = {new}")
        sync.sync([NAME])
        assert f"fund = {new}" in sources()
    (edit_twin if edit is edit_notebook else edit_notebook)("fund = 28", "fund = 32")
    sync.sync([NAME])
    assert "fund = 32" in sources()


@pytest.mark.parametrize("remembered", [True, False])
def test_two_different_edits_stop_it_and_nothing_is_touched(repository, remembered):
    if remembered:
        sync.sync([NAME])
    edit_twin()
    edit_notebook("fund / 4", "fund / 5")
    before = state()
    with pytest.raises(
        sync.SyncError, match=f"both sides of {NAME} were edited.*KEEP=twin"
    ):
        sync.sync([NAME])
    assert state() == before


def test_one_unclear_pair_keeps_the_others_as_they_are(repository):
    shutil.copy(NOTEBOOK, "nbs/method/01_other.ipynb")
    edit_twin()
    edit_notebook("fund / 4", "fund / 5")
    with pytest.raises(sync.SyncError):
        sync.sync(["method/01_other", NAME])
    assert not Path("nbs/text/method/01_other.py").exists()


@pytest.mark.parametrize(
    ("keep", "stays", "goes"),
    [("twin", "fund = 20", NOTEBOOK), ("notebook", "fund / 5", TWIN)],
)
def test_whoever_says_which_side_to_keep_finds_the_other_in_a_folder(
    repository, keep, stays, goes
):
    edit_twin()
    edit_notebook("fund / 4", "fund / 5")
    lost = goes.read_bytes()
    sync.sync([NAME], keep)
    assert stays in sources()
    assert (sync.KEPT / "method" / goes.name).read_bytes() == lost


def test_where_nothing_was_edited_nothing_is_written(repository):
    before = state()
    sync.sync([NAME])
    sync.sync([NAME])
    assert state() == before


def test_two_equal_edits_are_one(repository):
    edit_twin()
    edit_notebook()
    twin = TWIN.read_bytes()
    sync.sync([NAME])
    assert "fund = 20" in sources() and TWIN.read_bytes() == twin


def test_outputs_and_ids_of_cells_that_stay_are_kept(repository):
    before = nbformat.read(NOTEBOOK, 4).cells
    edit_twin("fund = 16", "given = 10\nfund = 1.6 * given")
    sync.sync([NAME])
    after = nbformat.read(NOTEBOOK, 4).cells
    assert after[2].outputs == before[2].outputs and after[2].outputs
    assert [cell.id for cell in after] == [cell.id for cell in before]
    assert after[2].metadata["tags"] == ["parameters"]


def test_a_notebook_run_in_the_browser_is_cleaned_and_keeps_its_outputs(repository):
    book = nbformat.read(NOTEBOOK, 4)
    book.cells[1].update(
        execution_count=7, outputs=[nbformat.v4.new_output("stream", text="16\n")]
    )
    nbformat.write(book, NOTEBOOK)
    sync.sync([NAME])
    ran = nbformat.read(NOTEBOOK, 4).cells[1]
    assert ran.execution_count is None and ran.outputs[0].text == "16\n"


@pytest.mark.parametrize("gone", [NOTEBOOK, TWIN])
def test_a_side_that_is_missing_is_made_from_the_other(folder, gone):
    expected = sources()
    gone.unlink()
    sync.sync([NAME])
    assert sources() == expected
    assert sync.all_names() == [NAME]


@pytest.mark.parametrize("under_git", [True, False])
@pytest.mark.parametrize(
    ("later", "earlier"), [(edit_twin, edit_notebook), (edit_notebook, edit_twin)]
)
def test_of_a_pair_that_nobody_knows_the_side_saved_later_is_taken(
    folder, capsys, under_git, later, earlier
):
    if under_git:
        git("init")
    shutil.rmtree(sync.KEPT)
    earlier("fund / 4", "fund / 5")
    for path in (NOTEBOOK, TWIN):
        os.utime(path, (1e9, 1e9))
    later()
    sync.sync([NAME])
    assert "fund = 20" in sources() and "fund / 4" in sources()
    assert "saved later" in capsys.readouterr().out
    assert any(
        "fund / 5" in path.read_text() for path in (sync.KEPT / "method").iterdir()
    ), "and the other is kept"


@pytest.mark.parametrize("edit", [edit_twin, edit_notebook])
def test_without_git_it_knows_the_last_sync(folder, edit):
    edit()
    for path in (NOTEBOOK, TWIN):
        os.utime(path, (1e9, 1e9))
    sync.sync([NAME])
    assert "fund = 20" in sources()


def test_it_works_in_a_shallow_clone_with_a_detached_head(
    repository, tmp_path, monkeypatch
):
    edit_twin("fund = 16", "fund = 18")
    sync.sync([NAME])
    commit()
    git("clone", "--depth", "1", f"file://{repository}", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    git("checkout", "--detach")
    edit_notebook("fund = 18", "fund = 20")
    sync.sync([NAME])
    assert "fund = 20" in sources()


def test_what_cannot_be_read_and_what_is_not_there_is_said(repository):
    with pytest.raises(
        sync.SyncError,
        match=r"neither nbs/method/09_no.ipynb nor nbs/text/method/09_no.py",
    ):
        sync.sync(["method/09_no"])
    NOTEBOOK.write_text("<<<<<<< ours")
    with pytest.raises(sync.SyncError, match=r"00_toy.ipynb is no notebook any more"):
        sync.sync([NAME])
