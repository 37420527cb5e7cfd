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
# > The name of a profile goes in; the paths of everything that a run writes come out.

# %%
#| default_exp engine.runs

# %% [markdown]
# *In this notebook*: the layout of a run. It uses `store`; the pipeline, the notebooks of run and results, and what publishes results use it.

# %%
#| export
from pathlib import Path

import pandas as pd

from democratic_ai.engine import store

# %%
#| hide
import os
import tempfile

import pytest

home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays


# %% [markdown]
# ## One table of every seed
#
# A run writes each of its tables once per seed, and whoever draws a figure wants them all. The trap is people: where the authors' files stand in
# for stand-ins, every seed holds the *same* people, and three copies of them would make their intervals too short by $\sqrt 3$.

# %%
#| export
def read_seeds(
    run: Path | str,  # the run's folder, with seed0, seed1, ... below it
    name: str,  # of a table in each seed's folder, .csv or .parquet, e.g. "iter1/beach.csv"
    n_seeds: int,
) -> pd.DataFrame:  # with a column `seed`; what people did (source "people") from seed 0 only
    "Read one table of every seed of a run; raises DataError for a table that is not there."
    tables = []
    for seed in range(n_seeds):
        path = Path(run) / f"seed{seed}" / name
        if not path.exists():
            raise store.DataError(f"{path}: there is no such file; run the pipeline with at least {n_seeds} seeds first.")
        read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
        tables.append(read(path).assign(seed=seed))
    together = pd.concat(tables, ignore_index=True)
    if "source" not in together:
        return together
    return together[(together["source"] != "people") | (together["seed"] == 0)]


# %%
for seed in range(2):
    store.write_table(f"seed{seed}/votes.csv", pd.DataFrame({"source": ["people", "participants"], "vote": [1, seed]}))
seeds = read_seeds(".", "votes.csv", 2)
assert seeds["source"].value_counts().to_dict() == {"participants": 2, "people": 1}, "the same person does not vote twice"
with pytest.raises(store.DataError, match="seed2/votes.csv: there is no such file"):
    read_seeds(".", "votes.csv", 3)
seeds

# %%
#| hide
os.chdir(home)
workshop.cleanup()
