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
# # A search without gradients that survives
#
# > A function of a few numbers goes in; where it is smallest comes out, even after interruptions.

# %%
#| default_exp engine.search

# %% [markdown]
# *In this notebook*: the search by which a handful of numbers is fitted to data when there is no
# gradient to follow. It uses `store` for what it saves and `loop` for its bar; the calibration of
# the stand-in participants uses it.
#
# CMA-ES (Hansen 2016) keeps a normal distribution of candidates. It moves the distribution to where
# the better candidates are, and reshapes it. That takes hundreds of evaluations, each of them slow,
# so somebody will interrupt it.

# %%
#| export
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cma
import numpy as np

from democratic_ai.engine import loop, store

# %%
#| hide
import tempfile

import matplotlib.pyplot as plt


# %% [markdown]
# ## What has to be kept
#
# The distribution itself need not be saved: it follows from the seed and from the values that were
# found. So the log keeps the values. A search that goes on is told them first, in no time, and is
# then where it was, bit for bit. A log of a search with other settings counts for nothing.

# %%
#| export
def _read_log(log, settings):
    "Read what a search with the same settings has found: [generation][candidate]."
    if log is None or not Path(log).exists():
        return []
    content = json.loads(Path(log).read_text(encoding="utf-8"))
    return content["values"] if content.get("settings") == settings else []


# %% [markdown]
# ## The search

# %%
#| export
def minimise(
    objective: Callable[[np.ndarray], float],  # [n_parameters] -> what is to be small
    n_parameters: int,
    *,
    n_candidates: int,  # positions tried in a generation
    n_generations: int,
    seed: int,  # of the search, from 1
    settings: dict[str, Any],  # plain values that tell this search from others
    log: Path | str | None = None,  # JSON file of the values found; None keeps nothing
    label: str = "search",  # in front of the bar
) -> tuple[np.ndarray, np.ndarray]:  # [n_parameters]; [n_generations] lowest so far
    "Search from the origin, in first steps of one, by CMA-ES (Hansen 2016)."
    options = {"seed": seed, "popsize": n_candidates, "verbose": -9}
    evolution = cma.CMAEvolutionStrategy(np.zeros(n_parameters), 1.0, options)
    values = _read_log(log, settings)
    bar = loop.Progress(label, len(values), n_generations, 30.0, "generations")
    for generation in range(n_generations):
        candidates = evolution.ask()
        if generation == len(values):
            values.append([objective(position) for position in candidates])
            if bar.due(generation + 1) and log is not None:
                store.write_json(log, {"settings": settings, "values": values})
        evolution.tell(candidates, values[generation])
    return evolution.result.xfavorite, np.minimum.accumulate([min(v) for v in values])


# %% [markdown]
# A valley to try it on: steep across, nearly flat along, and lowest at (3, -1). Following the slope
# would zigzag. The search is stopped after ten generations and taken up again.

# %%
def valley(position):
    x, y = position
    return 100 * (x + 3 * y) ** 2 + (x - 3) ** 2


def search(n_generations=40, **more):
    return minimise(
        valley, 2, n_candidates=8, n_generations=n_generations, seed=1, **more
    )


whole, lowest = search(settings={"valley": 1})
with tempfile.TemporaryDirectory() as folder:
    log = Path(folder) / "log.json"
    search(n_generations=10, settings={"valley": 1}, log=log)
    kept = len(json.loads(log.read_text())["values"])
    resumed, again = search(settings={"valley": 1}, log=log)
    assert kept == 10 and len(_read_log(log, {"valley": 1})) == 40
    assert _read_log(log, {"valley": 2}) == [], "another search"
assert (resumed == whole).all() and (again == lowest).all(), "bit for bit"
assert np.abs(whole - [3, -1]).max() < 0.1
print("lowest at", whole.round(3))

# %%
fig, ax = plt.subplots(figsize=(4.5, 2.4))
ax.semilogy(range(1, len(lowest) + 1), lowest, color="#444444")
ax.axvline(10, color="#b5651d", lw=1)
ax.set(xlabel="generation", ylabel="lowest value so far")
fig.tight_layout()

# %% [markdown]
# The line shows where the search was stopped; the curve does not.
#
# ## Recap
#
# `minimise` searches for the smallest value of a function, and goes on where an earlier search with
# the same settings was stopped.
