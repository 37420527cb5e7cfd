"""Take over a finished run of the paper profile: results into paper/results/, their summary into README.md, outputs into nbs/."""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
RUN = ROOT / "runs" / "paper"
KEPT = ("tables", "data", "figures", "parameters", "summary.md", "numbers.json", "provenance.json")


def executed_copy(name, last_iteration):
    """Find the executed copy of a run notebook: that of the first seed, in its last iteration."""
    places = (RUN / "seed0" / f"iter{last_iteration}", RUN / "seed0", RUN / "results" / "notebooks")
    return next((place / name for place in places if (place / name).exists()), None)


def take_outputs(notebook, executed):
    """Copy the outputs of an executed notebook cell by cell; papermill's own cell with the parameters is left out."""
    ours = nbformat.read(notebook, 4)
    theirs = [cell for cell in nbformat.read(executed, 4).cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    if [cell.source for cell in ours.cells] != [cell.source for cell in theirs]:
        sys.exit(f"publish: {notebook.name} has changed since the run; run 'make reproduce PROFILE=paper' again.")
    for own, done in zip(ours.cells, theirs):
        if own.cell_type == "code":
            own.outputs = done.outputs
            for output in own.outputs:
                output.pop("execution_count", None)
                if output.output_type == "execute_result":
                    output.execution_count = None
    nbformat.write(ours, notebook)


def main():
    """Publish, or say in one sentence why not."""
    if not (RUN / "results" / "provenance.json").exists():
        sys.exit("publish: there is no finished run of the paper profile; run 'make reproduce PROFILE=paper' first.")
    made = json.loads((RUN / "results" / "provenance.json").read_text())
    if made["uncommitted_changes"]:
        sys.exit("publish: the run was made with uncommitted changes; commit them and run 'make reproduce PROFILE=paper' again.")
    for name in KEPT:
        source, target = RUN / "results" / name, ROOT / "paper" / "results" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, target)
    readme = ROOT / "README.md"
    marks = r"(<!-- results -->\n).*?(<!-- end of results -->)"
    summary = (RUN / "results" / "summary.md").read_text()
    readme.write_text(re.sub(marks, lambda found: found[1] + summary + found[2], readme.read_text(), flags=re.DOTALL))
    for notebook in sorted((ROOT / "nbs").glob("[23]*.ipynb")):
        if executed := executed_copy(notebook.name, made["iterations"] - 1):
            take_outputs(notebook, executed)


if __name__ == "__main__":
    main()
