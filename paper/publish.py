"""Take over finished runs: results into paper/results/, their summary into README.md, outputs into the run notebooks.

Results are those of the profile `paper`; the sensitivity analysis, one seed for each value of `loss`, the questions that HCMD-zero
leaves open, five paired seeds, and the sweep over hyper-parameters are those of `laptop`.
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
ASIDE = {"hcmd_questions": "43_hcmd_questions.ipynb", "sweep": "40_sweep.ipynb"}  # of the profile laptop, each by itself
SYSTEMS = {"democratic_ai": "provenance.json", "hcmd_zero": "hcmd_provenance.json"}  # each is run and published by itself
KEPT = ("tables", "data", "figures", "parameters", "numbers", "summary.md", *SYSTEMS.values())


def system_of(name):
    """Say which system a file or notebook belongs to."""
    return "hcmd_zero" if "hcmd" in name else "democratic_ai"


def provenance(folder, file="provenance.json"):
    """Read what made a run, if it is finished; refuse one that no commit can make again."""
    if not (folder / file).exists():
        return None
    made = json.loads((folder / file).read_text())
    if made["uncommitted_changes"]:
        sys.exit(f"publish: {folder.relative_to(ROOT)} was made with uncommitted changes; commit them and run it again.")
    return made


def executed_copy(name, last_iteration):
    """Find the executed copy of a run notebook: that of the first seed, in its last iteration."""
    places = (
        RUN / "seed0" / f"iter{last_iteration}",
        RUN / "seed0",
        RUN / "seed0" / "rational" / "theta1_sigma1",
        RUN / "seed0" / "hcmd_zero",
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


def take_results(system, made):
    """Copy a system's results of the paper profile, and the outputs of the notebooks that made them."""
    for source in sorted((RUN / "results").rglob("*")):
        name = source.relative_to(RUN / "results")
        if source.is_file() and name.parts[0] in KEPT and system_of(name.name) == system:
            (RESULTS / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, RESULTS / name)
    parts = [json.loads(part.read_text()) for part in sorted((RESULTS / "numbers").glob("*.json"))]
    (RESULTS / "numbers.json").write_text(json.dumps({name: number for part in parts for name, number in part.items()}, indent=1) + "\n")
    if system == "democratic_ai":
        put_into_readme("results", (RUN / "results" / "summary.md").read_text())
    for notebook in sorted([*(ROOT / "nbs" / "run").glob("*.ipynb"), *(ROOT / "nbs" / "results").glob("*.ipynb")]):
        if system_of(notebook.name) == system and (executed := executed_copy(notebook.name, made.get("iterations", 1) - 1)):
            take_outputs(notebook, executed)


def take_sensitivity():
    """Copy tables, figure and provenance of the sensitivity analysis, and its notebooks' outputs."""
    (RESULTS / "sensitivity").mkdir(parents=True, exist_ok=True)
    for file in ("loss_sensitivity.csv", "loss_sensitivity.svg", "summary.md", "readings.csv", "slopes.csv", "provenance.json"):
        shutil.copy(SENSITIVITY / file, RESULTS / "sensitivity" / file)
    put_into_readme("sensitivity", (SENSITIVITY / "summary.md").read_text())
    for name in ("41_readings.ipynb", "42_sensitivity.ipynb"):
        take_outputs(ROOT / "nbs" / "questions" / name, SENSITIVITY / name)


def take_aside(folder, notebook):
    """Copy what a run beside the method made (tables, pictures, provenance), and its notebook's outputs."""
    (RESULTS / folder.name).mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.glob("*.*")):
        if file.is_file() and file.suffix != ".ipynb":
            shutil.copy(file, RESULTS / folder.name / file.name)
    take_outputs(ROOT / "nbs" / "questions" / notebook, folder / notebook)


def main():
    """Publish what is finished, or say in one sentence why nothing is."""
    results = {system: provenance(RUN / "results", file) for system, file in SYSTEMS.items()}
    sensitivity, aside = provenance(SENSITIVITY), [name for name in ASIDE if provenance(SENSITIVITY.parent / name)]
    if not (any(results.values()) or sensitivity or aside):
        sys.exit("publish: no run is finished; run 'make reproduce PROFILE=paper' or 'make sensitivity' first.")
    for system, made in results.items():
        if made:
            take_results(system, made)
    if sensitivity:
        take_sensitivity()
    for name in aside:
        take_aside(SENSITIVITY.parent / name, ASIDE[name])


if __name__ == "__main__":
    take_outputs(*map(Path, sys.argv[1:])) if sys.argv[1:] else main()
