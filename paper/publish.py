"""Take over finished runs.

Results go into paper/results/, their summary into README.md, outputs into the run
notebooks. Results are those of the profile `paper`; the sensitivity analysis, one seed
for each population, the questions that HCMD-zero leaves open, five paired seeds,
and the sweep over hyper-parameters are those of `laptop`. What made each of them, the
recipes of its steps, goes into paper/results/code.json.

With the argument `stale`: say which committed results the checkout would make
otherwise.
With two arguments, a notebook and its executed copy: take over the outputs of that one.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pandas as pd

from democratic_ai.engine import runs, stale, store

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "paper" / "results"
RUN = ROOT / runs.of_profile("paper")
LAPTOP_RUN = ROOT / runs.of_profile("laptop")
SYSTEMS = {  # each is run and published by itself
    "democratic_ai": "provenance.json",
    "hcmd_zero": "hcmd_provenance.json",
}
ASIDE = {  # each by itself, with the notebooks that made it
    runs.SENSITIVITY: ("41_readings", "42_sensitivity"),
    runs.QUESTIONS: ("43_hcmd_questions",),
    runs.CLIMB: ("44_hcmd_climb",),
    runs.SWEEP: ("40_sweep",),
}
FROM = {  # the folders of a run in which each result has its steps
    "democratic_ai": (runs.seed("*") / "**", runs.RESULTS / "**"),
    "hcmd_zero": (runs.seed("*") / "**", runs.RESULTS / "**"),
    "sensitivity": (
        runs.SENSITIVITY,
        runs.seed(0) / "**",
        runs.of_population("*") / "**",
    ),
    "hcmd_questions": (runs.QUESTIONS / "**", runs.seed("*") / "**"),
    "hcmd_climb": (runs.CLIMB / "**", runs.seed("*") / "**"),
    "sweep": (runs.SWEEP / "**", runs.seed(0) / runs.iteration(0)),
}


def system_of(name):
    """Say which system a step or a result belongs to."""
    return "hcmd_zero" if "hcmd" in name else "democratic_ai"


def run_of(part):
    """Say in which run a part beside the method is made: one needs the paper's size."""
    return RUN if part == runs.CLIMB else LAPTOP_RUN


def provenance(folder, file="provenance.json"):
    """Read what made a run, if it is finished; refuse one no commit can make again."""
    if not (folder / file).exists():
        return None
    made = json.loads((folder / file).read_text())
    if made["uncommitted_changes"]:
        sys.exit(
            f"publish: {folder.relative_to(ROOT)} was made with uncommitted changes; "
            "commit them and run it again."
        )
    return made


def executed_copy(step, last_iteration):
    """Find a step's executed notebook: of the first seed, in its last iteration."""
    first = RUN / runs.seed(0)
    places = (
        first / runs.iteration(last_iteration),
        first,
        first / runs.rational(),
        first / runs.HCMD_ZERO,
        RUN / runs.RESULTS,
    )
    copies = (runs.executed(step, place) for place in places)
    return next((copy for copy in copies if copy.exists()), None)


def code_cells(cells):
    """Keep the code; papermill's own cell with the parameters is left out."""
    return [
        cell
        for cell in cells
        if cell.cell_type == "code"
        and "injected-parameters" not in cell.metadata.get("tags", [])
    ]


def minutes_of(executed):
    """Read how long a step took by the clock, if kept beside the executed notebook."""
    kept = executed.with_suffix(".tsv")
    return pd.read_csv(kept, sep="\t")["s"].iloc[0] / 60 if kept.exists() else None


def show_parameters(cells, parameters, line):
    """Show the parameters that made the outputs in the cell that declares them.

    What made the outputs is said below the title.
    """
    for cell in cells:
        if "parameters" in cell.metadata.get("tags", []):
            for name, value in parameters.items():
                said = json.dumps(value) if isinstance(value, str) else repr(value)
                shown = lambda _, name=name, said=said: f"{name} = {said}"
                declared = rf"(?m)^{name} = .*?(?=  #|$)"
                cell.source = re.sub(declared, shown, cell.source)
    title = re.sub(r"\n*^\*Outputs: .*$", "", cells[0].source, flags=re.MULTILINE)
    cells[0].source = f"{title}\n\n{line}"


def take_outputs(notebook, executed, commit):
    """Copy the outputs of an executed notebook cell by cell.

    Its prose may have changed since, its code may not.
    """
    if stale.cell_hashes(notebook) != stale.cell_hashes(executed):
        sys.exit(
            f"publish: {notebook.name} has changed since the run; "
            "run 'make reproduce PROFILE=paper' again."
        )
    ours, done = nbformat.read(notebook, 4), nbformat.read(executed, 4)
    parameters = done.metadata.get("papermill", {}).get("parameters", {})
    minutes = minutes_of(executed)
    line = runs.label_outputs(parameters, commit=commit, minutes=minutes)
    show_parameters(ours.cells, parameters, line)
    both = code_cells(ours.cells), code_cells(done.cells)
    for cell, source in zip(*both, strict=True):
        cell.outputs = source.outputs
        for output in cell.outputs:
            output.pop("execution_count", None)
            if output.output_type == "execute_result":
                output.execution_count = None
    nbformat.write(ours, notebook)


def put_into_readme(name, summary):
    """Replace what stands between two marks of README.md."""
    readme = ROOT / "README.md"
    marks = rf"(?s)(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
    filled = lambda found: found[1] + summary + found[2]
    readme.write_text(re.sub(marks, filled, readme.read_text()))


def take_files(steps, folder, there):
    """Copy what some steps wrote into a folder."""
    for name in (name for step in steps for name in runs.WRITES[step]):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, there / name)


def keep_recipes(name, run, made):
    """Keep in code.json what made a result.

    Its commit, its profile and the different recipes of its steps.
    """
    steps, patterns = {}, [f"{folder}/*.recipe.json" for folder in FROM[name]]
    for path in sorted({path for each in patterns for path in run.glob(each)}):
        step, recipe = path.name.split(".")[0], json.loads(path.read_text())
        if system_of(step) == system_of(name):
            known = steps.setdefault(step, [])
            if recipe not in known:
                known.append(recipe)
    file = RESULTS / "code.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept[name] = {"commit": made["commit"], "profile": made["profile"], "steps": steps}
    file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def take_results(system, made):
    """Copy a system's results of the paper profile, and its notebooks' outputs."""
    steps = [
        step for step in runs.WRITES if system_of(step) == system and step[0] in "23"
    ]
    take_files([step for step in steps if step[0] == "3"], RUN / runs.RESULTS, RESULTS)
    numbers = {}
    for part in sorted((RESULTS / "numbers").glob("*.json")):
        numbers |= json.loads(part.read_text())
    (RESULTS / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")
    if system == "democratic_ai":
        put_into_readme("results", (RESULTS / "summary.md").read_text())
    for step in steps:
        if executed := executed_copy(step, made.get("iterations", 1) - 1):
            take_outputs(ROOT / runs.notebook(step), executed, made["commit"])
    keep_recipes(system, RUN, made)


def take_aside(part, made):
    """Copy what a run beside the method made, and its notebooks' outputs.

    It made tables, pictures, provenance.
    """
    run = run_of(part)
    take_files(ASIDE[part], run / part, RESULTS / part)
    if part == runs.SENSITIVITY:
        put_into_readme("sensitivity", (RESULTS / part / "summary.md").read_text())
    for step in ASIDE[part]:
        executed = runs.executed(step, run / part)
        take_outputs(ROOT / runs.notebook(step), executed, made["commit"])
    keep_recipes(str(part), run, made)


def main():
    """Publish what is finished, or say in one sentence why nothing is."""
    results = {
        system: provenance(RUN / runs.RESULTS, file) for system, file in SYSTEMS.items()
    }
    aside = {part: provenance(run_of(part) / part) for part in ASIDE}
    if not any([*results.values(), *aside.values()]):
        sys.exit(
            "publish: no run is finished; "
            "run 'make reproduce PROFILE=paper' or 'make sensitivity' first."
        )
    for take, finished in ((take_results, results), (take_aside, aside)):
        for name, made in finished.items():
            if made:
                take(name, made)


def report():
    """Say of each committed result if the checkout would make it otherwise, by what."""
    checkout, file = stale.Checkout(ROOT), RESULTS / "code.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    places = SYSTEMS | {str(part): part / "provenance.json" for part in ASIDE}
    for name, place in places.items():
        if name not in kept:
            made = "not published yet"
            if (RESULTS / place).exists():
                commit = json.loads((RESULTS / place).read_text())["commit"][:10]
                made = f"made before hashes of code were kept, at commit {commit}"
            print(f"{name}: {made}.")
            continue
        settings = stale.read_settings(ROOT / "settings.ini", kept[name]["profile"])
        changed = []
        for step, recipes in kept[name]["steps"].items():
            changes = set()
            for made in recipes:
                changes |= set(stale.differences(checkout, step, made, settings))
            if changes:
                changed.append(f"  {step}: {', '.join(sorted(changes))}")
        said, commit = "stale" if changed else "up to date", kept[name]["commit"][:10]
        print(f"{name}: {said}, made at commit {commit}.", *changed, sep="\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["stale"]:
        report()
    elif sys.argv[1:]:
        take_outputs(*map(Path, sys.argv[1:]), store.git_state()["commit"])
    else:
        main()
