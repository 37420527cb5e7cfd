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
# # Where a run keeps its files
#
# > The number of a seed, an iteration or a population goes in; the place of its files in a run comes out, and what each step writes there.

# %%
#| default_exp engine.runs

# %% [markdown]
# *In this notebook*: the layout of a run, and how a notebook opens one. It uses `store`. The
# Snakefile, the notebooks of run, results and questions, `make publish` and `make scaling` take
# their paths from here, so that a folder is renamed in one place.

# %%
#| export
import json
import os
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from democratic_ai.engine import store

# %%
#| hide
import tempfile

import pytest

home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays

# %% [markdown]
# ## Folders
#
# A profile has one folder. Below it stand a folder for each seed and, in that, one for each
# iteration of clone, metagame, train and repeat:
#
#     runs/smoke/seed0/iter0/plays.parquet
#
# Four programs must agree on such a path. The naive way is to spell it in each of them. The day one
# of them writes `iteration0`, the next one finds nothing, and only after the hour that the first
# one took:

# %%
written = "runs/smoke/seed0/iteration0/plays.parquet"
sought = "runs/smoke/seed0/iter0/plays.parquet"
store.write_table(written, pd.DataFrame({"contribution": [10, 2, 2, 2]}))
assert not Path(sought).exists(), "nobody is told before somebody looks for it"

# %% [markdown]
# So every part of a path has one function. Parts are joined with `/`. A number may also be a text:
# the Snakefile asks for seed `"{seed}"` and gets a pattern for all of them.

# %%
#| export
HCMD_ZERO = Path("hcmd_zero")  # in a seed's folder: the second system
# in a seed's folder: the first iteration with more updates and no new groups
CONTROL = Path("control")
RESULTS = Path("results")  # in a run's folder, like all below: what all seeds say
SENSITIVITY = Path("sensitivity")  # what hangs on assumptions
QUESTIONS = Path("hcmd_questions")  # arms of HCMD-zero, each with its seeds
CLIMB = Path("hcmd_climb")  # others: one choice or one step of it changed
SWEEP = Path("sweep")  # other hyper-parameters, each with its seeds
AS_PUBLISHED = (
    "as_published"  # the arm of the sweep that has the paper's hyper-parameters
)


# %%
#| export
def of_profile(name: str) -> Path:
    "Name the folder of a profile's run."
    return Path("runs") / name


def seed(
    k: int | str,  # its number, or a pattern like "{seed}"
) -> Path:  # in the folder of a run, of an arm or of a population
    "Name a seed's folder."
    return Path(f"seed{k}")


def iteration(
    i: int | str,  # 0, 1, ..., or a pattern
) -> Path:  # in a seed's folder
    "Name the folder of one round of clone, metagame, train, repeat."
    return Path(f"iter{i}")


# %%
#| export
def rational(
    theta: int | str = 1,  # scale of the learning rates of the players trained with
    sigma: int | str = 1,  # standard deviation of their first generosity
) -> Path:  # in a seed's folder; without arguments that of RM
    "Name the folder of a mechanism trained with one population of rational players."
    return Path("rational") / f"theta{theta}_sigma{sigma}"


def of_population(
    k: int | str,  # number of the stand-in population, or "*"
) -> Path:  # in a run's folder, with seeds below it
    "Name the folder of what is run with another population than the profile's."
    return Path(f"population{k}")


# %%
smoke = of_profile("smoke")
assert str(smoke / seed(0) / iteration(0) / "plays.parquet") == sought
assert (
    str(smoke / seed("{seed}") / rational())
    == "runs/smoke/seed{seed}/rational/theta1_sigma1"
)
assert of_population("2") == of_population(2) == Path("population2")
smoke / of_population(2) / seed(0) / iteration(1)


# %% [markdown]
# Back again: the steps of a seed's chain run with the profile's stand-ins and, for the sensitivity
# analysis, with others. Which seed is it, and which population?

# %%
#| export
def population_and_seed(
    place: Path | str,  # below the run's folder, like "seed2" or "population1/seed0"
) -> tuple[str | None, int]:  # "1" and 0; None and 2 for the profile's own population
    "Read a seed's number and population off its folder; raises DataError for others."
    found = re.fullmatch(r"(?:population(\d+)/)?seed(\d+)", str(place))
    if not found:
        wanted = "it should be like seed0 or population1/seed0."
        raise store.DataError(f"{place}: is no folder of a seed; {wanted}")
    return found[1], int(found[2])


# %%
assert population_and_seed(seed(2)) == (None, 2)
assert population_and_seed(of_population(1) / seed(0)) == ("1", 0)
with pytest.raises(store.DataError, match="results: is no folder of a seed"):
    population_and_seed(RESULTS)

# %% [markdown]
# ## Steps
#
# A step is a notebook of run, results or questions. The first digit of its name says in which
# folder of `nbs/` it is. Its executed copy is kept beside what it wrote; the results, which are
# many files, have a folder for their copies.

# %%
#| export
_NOTEBOOKS = {"2": "run", "3": "results", "4": "questions"}


def notebook(
    step: str,  # like "21_clone"
) -> Path:  # in a checkout
    "Name the notebook of a step; raises DataError for a number not of 20 to 49."
    if step[0] not in _NOTEBOOKS:
        raise store.DataError(
            f"{step} is no step of the pipeline; its number should be 20 to 49."
        )
    return Path("nbs") / _NOTEBOOKS[step[0]] / f"{step}.ipynb"


def executed(
    step: str,  # like "21_clone"
    folder: Path,  # where the step writes
) -> Path:
    "Name the executed copy of a step's notebook."
    return folder / ("notebooks" if step[0] == "3" else "") / f"{step}.ipynb"


# %%
assert str(notebook("21_clone")) == "nbs/run/21_clone.ipynb"
assert str(notebook("42_sensitivity")) == "nbs/questions/42_sensitivity.ipynb"
assert executed("31_figure1", RESULTS) == Path("results/notebooks/31_figure1.ipynb")
with pytest.raises(store.DataError, match="04_cloning is no step of the pipeline"):
    notebook("04_cloning")
executed("21_clone", smoke / seed(0) / iteration(0))


# %% [markdown]
# And what does each write? The table below is the pipeline's promise: Snakemake holds a step for
# done when all of these files are there, and removes them when it fails half-way. Checkpoints are
# not in it; they are to survive.

# %%
#| export
def _all(pattern: str, names: str) -> tuple[str, ...]:
    "Put each of some names into a pattern."
    return tuple(pattern.format(name) for name in names.split())


# %%
#| export
_RUN = {
    "20_acquire": ("plays.parquet", "holdout.parquet"),
    "21_clone": ("players.safetensors", "cloning.csv"),
    "22_metagame": (
        "metagame.csv",
        "metagame.json",
        "manifold.csv",
        "manifold_payouts.csv",
    ),
    "23_train": ("mechanism.safetensors", "training.csv"),
    "24_elect": ("votes.csv", "beach.csv", "virtual_coins.csv"),
    "25_experiments": (
        *_all("{}.parquet", "trials votes many_blocks many_votes"),
        "fig1c.csv",
    ),
    "26_hcmd_zero": (
        *_all("{}.csv", "metagame cross_entropy cross_entropy_unmet knowable models"),
        *_all("{}.csv", "sizes vote_weights course worst_returns beach idle_head"),
        *(
            "trials.parquet",
            "votes.parquet",
            "stop.json",
            "made_by.json",
            "mechanism.safetensors",
        ),
    ),
    "27_rational": ("mechanism.safetensors", "training.csv", "votes.csv", "beach.csv"),
    "28_repeat": ("plays.parquet", *_all("foresight{}", ".json .csv _votes.csv")),
}

# %%
#| export
_RESULTS = {
    "30_summary": (
        *_all("parameters/{}.safetensors", "players hcrm rm"),
        *("summary.md", "provenance.json"),
    ),
    "31_figure1": (
        *_all("figures/fig1{}.svg", "a b c d"),
        *_all("data/fig1{}.csv", "b b_payouts c"),
    ),
    "32_figure2": ("figures/fig2.svg", "data/fig2.csv"),
    "33_figure3": (
        *_all("figures/fig3{}.svg", "a b c"),
        *_all("data/fig3{}.csv", "a_beach b c c_fits"),
    ),
    "34_figure4": (
        *_all("figures/fig4{}.svg", "a b c d"),
        *_all("data/fig4{}.csv", "a b c c_fits d"),
    ),
}

# %%
#| export
_RESULTS |= {
    "35_supplementary": (
        *_all("figures/figS{}.svg", "1 2 3 4 5 6 7 8 9"),
        *_all("data/figS{}.csv", "1 2 3 4 5 6 7 8 9"),
        *("figures/foresight.svg", "data/foresight.csv"),
        *_all("tables/figS{}.csv", "2 6"),
        "tables/intercept_effects.csv",
    ),
    "36_hcmd_zero": (
        *_all(
            "figures/hcmd_{}.svg",
            "fig3a fig3b fig3c fig4_models fig4_metagame fig5 knowable",
        ),
        *_all("data/hcmd_{}.csv", "fig3a fig3c beach"),
        *_all("tables/hcmd_{}.csv", "vs_liberal_egalitarian cross_entropy metagame"),
        *_all("tables/hcmd_{}.csv", "steps cross_entropy_unmet course vote_weights"),
        *_all("tables/hcmd_{}.csv", "table1 numbers knowable contributions wealth"),
        *_all("tables/hcmd_{}.csv", "stop safety"),
        *_all("tables/hcmd_{}.csv", "findings idle_head"),
        *("numbers/hcmd_zero.json", "hcmd_provenance.json"),
    ),
    "37_numbers": ("tables/published_beside_ours.csv", "numbers/democratic_ai.json"),
    "38_statistics": _all("tables/{}.csv", "findings text_statistics voters"),
    "39_tables": (
        *_all("tables/{}.csv", "s1a_votes s1b_virtual_votes s2_metagame iterations"),
        *_all("tables/{}.csv", "st2 st2_training cloning foresight"),
    ),
}

# %%
#| export
_QUESTIONS = {
    "40_sweep": ("sweep.csv", "neighbours.csv", "sweep.svg", "provenance.json"),
    "41_readings": ("readings.csv", "slopes.csv", "rm_gradients.csv"),
    "42_sensitivity": (
        *("loss_sensitivity.csv", "loss_sensitivity.svg"),
        *("summary.md", "provenance.json"),
    ),
    "43_hcmd_questions": (
        *_all(
            "{}.csv",
            "groups gains climbs doubling starts safety warm_start by_iteration",
        ),
        *("hcmd_questions.svg", "provenance.json"),
    ),
    "44_hcmd_climb": (
        *_all("{}.csv", "climbs by_seed compared"),
        *("hcmd_climb.svg", "provenance.json"),
    ),
}
WRITES = (
    _RUN | _RESULTS | _QUESTIONS
)  # step -> files, by name in the folder of the step

# %%
assert len(WRITES) == 24 and all(
    len(set(files)) == len(files) for files in WRITES.values()
)
drawn = (name for step in WRITES if step[0] == "3" for name in WRITES[step])
figures = [name for name in drawn if name.endswith(".svg")]
assert len(figures) == len(set(figures)), "no two steps draw into one file"
WRITES["21_clone"]


# %% [markdown]
# ## One table of every seed
#
# A run writes each of its tables once per seed, and whoever draws a figure wants them all. The trap
# is people: where the authors' files stand in for stand-ins, every seed holds the *same* people,
# and three copies of them would make their intervals too short by $\sqrt 3$.

# %%
#| export
def read_seeds(
    run: Path | str,  # the run's folder, with seed0, seed1, ... below it
    name: Path | str,  # of a table in each seed's folder: iteration(1) / "beach.csv"
    n_seeds: int,  # how many seeds the run has
) -> pd.DataFrame:  # with a column `seed`; people (source "people") from seed 0 only
    "Read one table of every seed of a run; raises DataError for a missing one."
    tables = []
    for k in range(n_seeds):
        path = Path(run) / seed(k) / name
        if not path.exists():
            remedy = f"run the pipeline with at least {n_seeds} seeds first."
            raise store.DataError(f"{path}: there is no such file; {remedy}")
        read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
        tables.append(read(path).assign(seed=k))
    together = pd.concat(tables, ignore_index=True)
    if "source" not in together:
        return together
    return together[(together["source"] != "people") | (together["seed"] == 0)]


# %%
for k in range(2):
    votes = {"source": ["people", "participants"], "vote": [1, k]}
    store.write_table(seed(k) / "votes.csv", pd.DataFrame(votes))
seeds = read_seeds(".", "votes.csv", 2)
assert seeds["source"].value_counts().to_dict() == {"participants": 2, "people": 1}
with pytest.raises(store.DataError, match=r"seed2/votes\.csv: there is no such file"):
    read_seeds(".", "votes.csv", 3)
seeds

# %% [markdown]
# ## Opening a run
#
# A notebook of run, results or questions gets the folder of a run as its first parameter, as it is
# called from the repository's root. The pipeline starts it there. JupyterLab starts its kernel in
# the notebook's own folder, and the naive way, to read from the path as it stands, fails:

# %%
Path("settings.ini").touch()  # what the root of a checkout holds
os.makedirs("nbs/results", exist_ok=True)
store.write_table("runs/smoke/seed0/votes.parquet", pd.DataFrame({"vote": [1, 0]}))
os.chdir("nbs/results")
assert not Path("runs/smoke/seed0/votes.parquet").exists(), "it is two folders up"


# %% [markdown]
# So the first statement after the imports opens the run: it looks for the root, from the kernel's
# folder upwards, and moves there. And it asks for the files that the notebook cannot do without.
# Where one is missing the error says which command makes it, with the profile that the folder is
# named after.

# %%
#| export
def _checkout() -> Path:
    "Find the repository's root from here upwards; raises DataError outside of it."
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "settings.ini").exists() and (folder / "nbs").is_dir():
            return folder
    raise store.DataError(f"{here}: is in no checkout of democratic-ai; start in one.")


# %%
#| export
def open_run(
    folder: Path | str,  # of a step, from the root: runs/<profile>/...
    *needed: Path | str,  # files below it that the notebook reads
    made_with: str = "reproduce",  # the target of make that makes them
) -> Path:  # the folder
    "Move to the repository's root, check inputs; raises DataError if one is missing."
    os.chdir(_checkout())
    folder = Path(folder)
    for path in (folder / name for name in needed):
        if not path.exists():
            is_run = folder.parts[:1] == ("runs",) and len(folder.parts) > 1
            profile = f" PROFILE={folder.parts[1]}" if is_run else ""
            makes = f"`make {made_with}{profile}` makes it"
            raise store.DataError(f"{path}: there is no such file; {makes}.")
    return folder


# %%
here = open_run("runs/smoke", "seed0/votes.parquet")
assert len(pd.read_parquet(here / "seed0" / "votes.parquet")) == 2
by_name = pytest.raises(store.DataError, match="`make sweep PROFILE=laptop` makes it")
with by_name as refused:
    open_run("runs/laptop/sweep", "sweep.csv", made_with="sweep")
print(refused.value)


# %% [markdown]
# ## What made the outputs
#
# Whoever reads a committed notebook sees outputs and must know whose they are: which profile, which
# seed, which commit. `make publish` writes one line under the notebook's title, from the parameters
# that the run's copy was executed with.

# %%
#| export
def label_outputs(
    parameters: Mapping[str, Any],  # of the executed copy
    *,
    commit: str,  # that made it
    minutes: float | None = None,  # that it took, where the pipeline kept them
) -> str:  # one line of Markdown
    "Say which profile, seed, iteration and commit made a notebook's outputs."
    parts = Path(parameters.get("folder", "")).parts
    said = [f"profile `{parts[1]}`"] if parts[:1] == ("runs",) else []
    n_seeds = parameters.get("n_seeds", parameters.get("sweep_seeds"))
    if n_seeds is not None:
        said.append("seed 0" if n_seeds == 1 else f"seeds 0 to {n_seeds - 1}")
    else:
        in_path = re.search(r"seed(\d+)", "/".join(parts))
        said.append(f"seed {parameters.get('seed', in_path[1] if in_path else 0)}")
    i = parameters.get("iteration", parameters.get("last_iteration"))
    said += [f"iteration {i}"] if i is not None else []
    took = "" if minutes is None else f" in {minutes:.1f} minutes"
    return f"*Outputs: {', '.join(said)}; made at commit `{commit[:7]}`{took}.*"


# %%
cloned = {"folder": "runs/paper/seed0/iter1", "seed": 0, "iteration": 1}
line = label_outputs(cloned, commit="cbea95f403d9", minutes=6.57)
assert line.startswith("*Outputs: profile `paper`, seed 0, iteration 1; made at commit")
drawn = label_outputs({"folder": "runs/paper", "n_seeds": 3}, commit="cbea95f403d9")
assert drawn == "*Outputs: profile `paper`, seeds 0 to 2; made at commit `cbea95f`.*"
line


# %% [markdown]
# A table of several runs has several makers. Its provenance names the commits of all of them, and
# one run made with uncommitted changes is enough to say so of the table.

# %%
#| export
def provenance(
    places: Sequence[Path],  # folders of runs, each with a `made_by.json`
    **extra: Any,  # profile, seeds, ...
) -> dict[str, Any]:
    "Say what made a table of several runs: as `store.provenance`, `commits_of_runs`."
    made = [json.loads((place / "made_by.json").read_text()) for place in places]
    made += [one["record"] for one in made if "record" in one]
    commits = sorted({one["commit"] for one in made})
    stamp = store.provenance(commits_of_runs=commits, **extra)
    unclean = any(one["uncommitted_changes"] for one in [stamp, *made])
    return stamp | {"uncommitted_changes": unclean}


# %%
clean = {"commit": "cbea95f", "uncommitted_changes": False}
store.write_json("seed0/made_by.json", clean)
store.write_json(
    "seed1/made_by.json", clean | {"record": clean | {"commit": "a4bdf25"}}
)
places = [seed(0), seed(1)]
assert provenance(places)["commits_of_runs"] == ["a4bdf25", "cbea95f"]
store.write_json("seed0/made_by.json", clean | {"uncommitted_changes": True})
assert provenance(places, profile="smoke")["uncommitted_changes"] is True


# %% [markdown]
# ## What a step took
#
# Snakemake measures every step and writes a file `.tsv` beside its executed notebook: seconds by
# the clock, seconds of computing, the largest memory in MiB.

# %%
#| export
def read_benchmarks(
    run: Path | str,  # the run's folder
) -> pd.DataFrame:  # minutes, cpu_minutes, gib by step, like "seed0/iter1/21_clone"
    "Read what the steps of a run's seeds and results took, by name."
    columns, rows = ["minutes", "cpu_minutes", "gib"], {}
    files = [Path(run).glob(f"{part}/**/*.tsv") for part in (seed("*"), RESULTS)]
    for file in sorted(chain(*files)):
        row = pd.read_csv(file, sep="\t").iloc[0]
        step = str(file.relative_to(run).with_suffix(""))
        seconds, memory = row[["s", "cpu_time"]].astype(float), float(row["max_rss"])
        rows[step] = [*(seconds / 60), memory / 1024]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


# %%
took = pd.DataFrame({"s": [90.0], "max_rss": [1024.0], "cpu_time": [60.0]})
took.to_csv(here / "seed0" / "25_experiments.tsv", sep="\t", index=False)
measured = read_benchmarks(here)
assert measured.loc["seed0/25_experiments"].tolist() == [1.5, 1.0, 1.0]
measured

# %%
#| hide
os.chdir(home)
workshop.cleanup()
