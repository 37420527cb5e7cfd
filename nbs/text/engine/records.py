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
# # Steps that are done once
#
# > Functions that compute one step each go in; a record of what they returned comes out, saved after every step.

# %%
#| default_exp engine.records

# %% [markdown]
# *In this notebook*: how a long procedure of a few expensive steps survives being killed. It uses
# `store`; `hcmd_zero` keeps its iterations with it. (Within a step, `loop` saves a training as it
# goes.)

# %%
#| export
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flax.traverse_util import unflatten_dict
from safetensors.flax import load_file

from democratic_ai.engine import store

# %%
#| hide
import tempfile

import jax.numpy as jnp
import pytest


# %% [markdown]
# Two iterations of two steps each, an hour a step, and in the second hour the cable is pulled.
# Whoever starts again should wait three hours more, not four. So what a step returns goes into a
# nested dictionary, `record[step][iteration]`, which is saved whole after every step. Before a step
# is computed, the record is asked.
#
# The record belongs to its settings. A record that other settings have made looks just the same, so
# the file carries a fingerprint of them, and a file with another fingerprint is refused.

# %%
#| export
def _load(file, fingerprint):
    "Load a record; raises DataError for one with another fingerprint."
    if store.read_metadata(file).get("settings") != fingerprint:
        advice = "choose another folder, or remove the file to begin anew"
        why = f"{file} was saved by a run with other settings"
        raise store.DataError(f"{why}: {advice}.")
    return unflatten_dict(load_file(file), sep="/")


# %%
#| export
class Record:
    "Results of steps, in memory and in a folder's `record.safetensors`."

    def __init__(
        self,
        folder: Path | str | None,  # None keeps nothing
        fingerprint: str,  # of the settings, such as `store.hash_pytree` makes
        begin: dict,  # step -> iteration -> arrays by name: what is there at first
    ):
        "Load an earlier record or begin one; raises DataError for other settings."
        self.file = None if folder is None else Path(folder) / "record.safetensors"
        self.fingerprint, self.steps = fingerprint, begin
        if self.file and self.file.exists():
            self.steps = _load(self.file, fingerprint)

    def once(
        self,
        step: str,
        iteration: int,
        compute: Callable[[], Any],  # () -> nested dictionaries of arrays
    ) -> None:
        "Compute a step and save the record, unless the step is in it."
        results = self.steps.setdefault(step, {})
        if str(iteration) not in results:
            results[str(iteration)] = compute()
            if self.file:
                made_by = {"settings": self.fingerprint}
                store.save_parameters(self.file, self.steps, made_by)


# %% [markdown]
# The four hours in small: each step counts how many there were before it. The second step of the
# first iteration is interrupted.

# %%
def count(record, done):
    done.append(sum(map(len, record.steps.values())))
    return {"number": jnp.array(done[-1])}


def procedure(record, done, interrupted=None):
    for iteration in (1, 2):
        for step in ("play", "fit"):
            if (step, iteration) == interrupted:
                raise KeyboardInterrupt
            record.once(step, iteration, lambda: count(record, done))
    return record.steps


with tempfile.TemporaryDirectory() as folder:
    before, after = [], []
    with pytest.raises(KeyboardInterrupt):
        procedure(Record(folder, "3fd1", {}), before, interrupted=("fit", 1))
    steps = procedure(Record(folder, "3fd1", {}), after)
    assert (before, after) == ([0], [1, 2, 3]), "no step was computed twice"
    number = lambda found: [int(x["number"]) for x in found.values()]
    numbers = {name: number(found) for name, found in steps.items()}
    assert numbers == {"play": [0, 2], "fit": [1, 3]}
    with pytest.raises(store.DataError, match="other settings") as refused:
        Record(folder, "77a0", {})
    print(str(refused.value).replace(folder, "..."))

# %% [markdown]
# Without a folder nothing is kept, and nothing else changes:

# %%
assert procedure(Record(None, "", {}), [])["fit"]["2"]["number"] == 3

# %% [markdown]
# ## Recap
#
# `Record` keeps what steps return; its `once` computes a step, or finds that it is there.
