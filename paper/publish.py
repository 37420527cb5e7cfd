"""Take over finished runs: results into paper/results/, their summary into README.md, outputs into the run notebooks.

Results are those of the profile `paper`; the sensitivity analysis, one seed for each value of `loss`, is that of `laptop`.
With two arguments, a notebook and its executed copy: take over the outputs of that one.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "paper" / "results"
RUN = ROOT / "runs" / "paper"
SENSITIVITY = ROOT / "runs" / "laptop" / "sensitivity"
KEPT = ("tables", "data", "figures", "parameters", "summary.md", "numbers.json", "provenance.json")


def provenance(folder):
    """Read what made a run, if it is finished; refuse one that no commit can make again."""
    if not (folder / "provenance.json").exists():
        return None
    made = json.loads((folder / "provenance.json").read_text())
    if made["uncommitted_changes"]:
        sys.exit(f"publish: {folder.relative_to(ROOT)} was made with uncommitted changes; commit them and run it again.")
    return made


def executed_copy(name, last_iteration):
    """Find the executed copy of a run notebook: that of the first seed, in its last iteration."""
    places = (
        RUN / "seed0" / f"iter{last_iteration}",
        RUN / "seed0",
        RUN / "seed0" / "rational" / "theta1_sigma1",
        RUN / "results" / "notebooks",
    )
    return next((place / name for place in places if (place / name).exists()), None)


def code_cells(cells):
    """Keep the code; papermill's own cell with the parameters is left out."""
    return [cell for cell in cells if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])]


def take_outputs(notebook, executed):
    """Copy the outputs of an executed notebook cell by cell; its prose may have changed since, its code may not."""
    ours = nbformat.read(notebook, 4)
    own, done = code_cells(ours.cells), code_cells(nbformat.read(executed, 4).cells)
    if [cell.source for cell in own] != [cell.source for cell in done]:
        sys.exit(f"publish: {notebook.name} has changed since the run; run 'make reproduce PROFILE=paper' again.")
    for cell, source in zip(own, done):
        cell.outputs = source.outputs
        for output in cell.outputs:
            output.pop("execution_count", None)
            if output.output_type == "execute_result":
                output.execution_count = None
    nbformat.write(ours, notebook)


def put_into_readme(name, summary):
    """Replace what stands between two marks of README.md."""
    readme = ROOT / "README.md"
    marks = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
    readme.write_text(re.sub(marks, lambda found: found[1] + summary + found[2], readme.read_text(), flags=re.DOTALL))


def take_results(made):
    """Copy results and summary of the paper profile, and the outputs of the notebooks that made them."""
    for name in KEPT:
        source, target = RUN / "results" / name, RESULTS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, target)
    put_into_readme("results", (RUN / "results" / "summary.md").read_text())
    for notebook in sorted((ROOT / "nbs").glob("[23]*.ipynb")):
        if executed := executed_copy(notebook.name, made["iterations"] - 1):
            take_outputs(notebook, executed)


def take_sensitivity():
    """Copy tables, figure and provenance of the sensitivity analysis, and its notebooks' outputs."""
    (RESULTS / "sensitivity").mkdir(parents=True, exist_ok=True)
    for file in ("loss_sensitivity.csv", "loss_sensitivity.svg", "summary.md", "readings.csv", "slopes.csv", "provenance.json"):
        shutil.copy(SENSITIVITY / file, RESULTS / "sensitivity" / file)
    put_into_readme("sensitivity", (SENSITIVITY / "summary.md").read_text())
    for name in ("28_readings.ipynb", "37_sensitivity.ipynb"):
        take_outputs(ROOT / "nbs" / name, SENSITIVITY / name)


def main():
    """Publish what is finished, or say in one sentence why nothing is."""
    results, sensitivity = provenance(RUN / "results"), provenance(SENSITIVITY)
    if not (results or sensitivity):
        sys.exit("publish: no run is finished; run 'make reproduce PROFILE=paper' or 'make sensitivity' first.")
    if results:
        take_results(results)
    if sensitivity:
        take_sensitivity()


if __name__ == "__main__":
    take_outputs(*map(Path, sys.argv[1:])) if sys.argv[1:] else main()
