# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: python3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One step of the pipeline
#
# > A notebook, its place and its settings go in; what its jobs read, write and are given come out, and one sentence for a job that failed.

# %%
#| default_exp engine.steps

# %% [markdown]
# *In this notebook*: what all rules of the Snakefile have in common. It uses `runs` for places and
# `stale` for what makes a step stale; only the Snakefile uses it.

# %%
#| export
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from democratic_ai.engine import runs, stale

# %%
#| hide
import os
import tempfile

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays

# %% [markdown]
# A rule of the Snakefile is a pattern. `runs/smoke/{run}/iter{i}` stands for every seed and every
# iteration, and the words in braces are its *wildcards*. A job is a rule with all wildcards known.
#
# The naive way is to write each rule out: the notebook's name in four places, its outputs, its
# benchmark, its parameters, the hash of its code. Twenty rules of thirty lines hide the six words
# in which they differ, and one of the eighty names is forgotten:

# %%
forgotten = """
rule clone:
    params: notebook="21_clone", code=fingerprint("21_clone")
rule metagame:
    params: notebook="22_metagame", code=fingerprint("21_clone")
"""
assert forgotten.count("21_clone") == 3, (
    "no metagame would ever be stale by its own code"
)


# %% [markdown]
# ## What the wildcards mean
#
# Most steps need the number of their seed, and some the number of their population. In the chain of
# iterations both are in one wildcard, `run`.

# %%
#| export
def meaning(
    wildcards: Mapping[str, str],  # of a job
) -> dict[str, Any]:
    "Add to a job's wildcards its seed, and its population if not the profile's."
    found = dict(wildcards.items())
    if "run" in found:
        population, found["seed"] = runs.population_and_seed(found["run"])
        found |= {} if population is None else {"population": population}
    return found


# %%
assert meaning({"run": "seed2", "i": "1"}) == {"run": "seed2", "i": "1", "seed": 2}
meaning({"run": "population2/seed0", "i": "1"})


# %% [markdown]
# ## The step
#
# A step is a notebook with a folder. What it writes there is known to `runs`, what its code reads
# of `data/` to `stale`. Left to say is what it reads of the run, and which settings it takes.

# %%
#| export
@dataclass(frozen=True, eq=False)
class Step:
    "A notebook that makes files from files; texts have wildcards, functions get them."

    checkout: stale.Checkout
    profile: Mapping[str, str]  # settings, as `stale.read_settings` gives them
    notebook: str  # like "21_clone"
    folder: Path  # a pattern of where it writes
    reads: Sequence = ()  # patterns, or functions of the wildcards; not `data/`
    settings: str = (
        ""  # words: a setting, or parameter=setting where their names differ
    )
    parameters: Mapping | Callable = field(
        default_factory=dict
    )  # others; or a function
    priority: int = 0

    @property
    def writes(self) -> list[Path]:
        "List the files that the step writes, beside its executed notebook."
        return [self.folder / name for name in runs.WRITES[self.notebook]]

    @property
    def executed(self) -> Path:
        "Name the executed notebook."
        return runs.executed(self.notebook, self.folder)


# %%
#| export
@cache
def _basis(checkout: stale.Checkout, notebook: str) -> dict[str, Any]:
    "Say what all jobs of a notebook have in common: its code and its data."
    return stale.recipe(checkout, notebook, {})


# %%
#| export
def _own(step: Step, wildcards: Mapping[str, str]) -> dict[str, str]:
    "Give the parameters that are no setting: folder, seed, and those stated."
    found, stated = meaning(wildcards), step.parameters
    stated = stated(wildcards) if callable(stated) else stated
    wanted = {"seed"} | ({"population"} & set(step.settings.split()))
    own = (
        {"folder": step.folder}
        | {name: found[name] for name in wanted & found.keys()}
        | stated
    )
    return {name: str(value).format(**found) for name, value in own.items()}


def _used(step: Step, own: Mapping[str, str]) -> dict[str, str]:
    "Map the parameters of a job that are settings to the names of these."
    pairs = (word.partition("=") for word in step.settings.split())
    return {name: other or name for name, _, other in pairs if name not in own}


# %%
#| export
def inputs(step: Step, wildcards: Mapping[str, str]) -> list[str]:
    "List the files that a job reads."
    asked = (read(wildcards) if callable(read) else [read] for read in step.reads)
    paths = [str(path) for group in asked for path in group]
    data = _basis(step.checkout, step.notebook)["data"]
    return [*data, *(path.format(**meaning(wildcards)) for path in paths)]


def given(step: Step, wildcards: Mapping[str, str]) -> str:
    "Write all parameters of a job's notebook as YAML, on one line."
    own = _own(step, wildcards)
    values = {
        name: step.profile[other] for name, other in _used(step, own).items()
    } | own
    whole = stale.parameters(step.checkout, step.notebook, values)
    return yaml.safe_dump(whole, default_flow_style=True, width=10**6).strip()


def recipe(step: Step, wildcards: Mapping[str, str]) -> str:
    "Write a job's recipe as JSON, on one line."
    used = _used(step, _own(step, wildcards)).values()
    settings = {name: step.profile[name] for name in used}
    whole = _basis(step.checkout, step.notebook) | {"settings": settings}
    return json.dumps(whole, sort_keys=True)


# %% [markdown]
# Take a step that trains players in every iteration. In the sensitivity analysis `population` is in
# the folder's name; else it is the profile's.

# %%
Path("democratic_ai").mkdir()
Path("nbs/run").mkdir(parents=True)
declared = new_code_cell(
    'folder = ""\nseed = 0\npopulation = 0\nclone_updates = 60\nclip = 5.0'
)
declared.metadata["tags"] = ["parameters"]
nbformat.write(new_notebook(cells=[declared]), "nbs/run/21_clone.ipynb")
chain = runs.of_profile("smoke") / "{run}" / runs.iteration("{i}")
profile = {"short_updates": "300", "population": "2"}
clone = Step(
    stale.Checkout(),
    profile,
    "21_clone",
    chain,
    [chain / "plays.parquet"],
    "population clone_updates=short_updates",
)
plain = {"run": "seed1", "i": "0"}
assert inputs(clone, plain) == ["runs/smoke/seed1/iter0/plays.parquet"]
assert yaml.safe_load(given(clone, plain)) == {
    "folder": "runs/smoke/seed1/iter0",
    "seed": 1,
    "population": 2,
    "clone_updates": 300,
    "clip": 5.0,
}
assert json.loads(recipe(clone, plain))["settings"] == {
    "population": "2",
    "short_updates": "300",
}
other = {"run": "population3/seed0", "i": "0"}
assert yaml.safe_load(given(clone, other))["population"] == 3
assert json.loads(recipe(clone, other))["settings"] == {"short_updates": "300"}
print(*clone.writes, clone.executed, given(clone, other), sep="\n")

# %% [markdown]
# ## Why did it fail?
#
# Of a step that fails, the traceback goes to a log beside its notebook: some fifty lines, of which
# the last one says why. That line should be what the pipeline says last. A notebook's kernel that
# was killed leaves no reason at all, and a job that a cluster has ended not even a log.

# %%
#| export
_KILLED = (
    "killed, most often for want of memory: free some, or run fewer steps at once"
    " (CORES=1); the same command goes on from where it was."
)
_ENDED = (
    "A job was ended from outside (its time, its memory, its machine):"
    " .snakemake/slurm_logs may say why. Ask for more with EACH if it was too little;"
    " the same command goes on from where it was."
)


def why_failed(
    run: Path,  # the run's folder
    since: float,  # seconds since 1970: older logs are of other days
) -> list[str]:
    "Say why steps failed, one sentence each, from the last lines of their logs."
    sentences = []
    for log in sorted(run.rglob("*.log")):
        lines = log.read_text().strip().splitlines()
        if lines and log.stat().st_mtime >= since:
            word = _KILLED if "DeadKernelError" in lines[-1] else lines[-1]
            sentences.append(f"{log.with_suffix('')}: {word}")
    return sentences or [_ENDED]


# %%
log = Path("runs/smoke/seed0/iter0/21_clone.log")
log.parent.mkdir(parents=True)
log.write_text(
    "Traceback (most recent call last):\n  ...\nValueError: n is 3: ask for more\n\n"
)
(sentence,) = why_failed(Path("runs"), since=0)
assert sentence == "runs/smoke/seed0/iter0/21_clone: ValueError: n is 3: ask for more"
assert why_failed(Path("runs"), since=log.stat().st_mtime + 1)[0].startswith(
    "A job was ended"
)
log.write_text("nbclient.exceptions.DeadKernelError: Kernel died\n")
why_failed(Path("runs"), since=0)

# %% [markdown]
# ## Recap
#
# `Step` says what a rule has in common for all its jobs. Of a job, `inputs` lists the files that it
# reads, `given` its parameters, and `recipe` what makes it stale. `meaning` reads seed and
# `population` off a job's wildcards, and `why_failed` says what the log says last.

# %%
#| hide
os.chdir(home)
workshop.cleanup()
