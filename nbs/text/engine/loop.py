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
# # A training that survives
#
# > An estimate of a gradient and first parameters go in; trained parameters and the course of the training come out, even after interruptions.

# %%
#| default_exp engine.loop

# %% [markdown]
# *In this notebook*: the loop of every training here, of players and of mechanisms. It uses `store`
# for what it saves.
#
# Some minutes for players, as many for a mechanism, times seeds, times iterations: sooner or later
# somebody closes the lid. So the loop saves at the latest every two minutes all that the rest
# depends on: parameters, optimiser, random key, step and history. The file's name is made from
# settings, data and the program itself, as JAX has traced it. Another setting, or an estimate that
# computes something else than it did, is another file, never a wrong resumption.

# %%
#| export
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from tqdm import tqdm

from democratic_ai.engine import store

# %%
#| hide
import tempfile

import matplotlib.pyplot as plt
import pytest
from jax.tree_util import Partial


# %% [markdown]
# ## Many updates in one call
#
# Python needs a tenth of a millisecond to call a compiled function, which is as long as a small
# update takes. So some two hundred updates share one call. The one rule: randomness comes from
# `fold_in(key, step)`, from *which* update it is and not from how one got there. Then a resumed run
# is the unbroken run, to the last bit.
#
# The estimate is a function with its data, made by `jax.tree_util.Partial`: one compiled program
# serves every data set of a size.

# %%
#| export
@partial(jax.jit, static_argnames="optimiser")
def train_steps(
    estimate: Callable,  # a `Partial`: (params, key) -> metrics, gradient to descend
    state: dict,  # params, moments of the optimiser, key
    steps: Array,  # [k] numbers of the updates
    *,
    optimiser: optax.GradientTransformation,
) -> tuple[dict, dict]:  # state; metrics [k]
    "Do some updates; each draws from the key and its own number."

    def update(carried, step):
        params, moments = carried
        metrics, gradient = estimate(params, jax.random.fold_in(state["key"], step))
        change, moments = optimiser.update(gradient, moments)
        return (optax.apply_updates(params, change), moments), metrics

    begin = (state["params"], state["moments"])
    (params, moments), metrics = jax.lax.scan(update, begin, steps)
    return state | {"params": params, "moments": moments}, metrics


# %% [markdown]
# ## Recognise the program
#
# A checkpoint is good for one training only: the same numbers to begin with, the same data, the
# same settings, the same program.

# %%
#| export
def _begin(estimate, state, steps, optimiser, updates, place, settings):
    """Load what this training has left in `place` (folder, label), or start anew.

    Returns the file, and all of it.
    """
    trace = jax.make_jaxpr(partial(train_steps, optimiser=optimiser), return_shape=True)
    program, (_, metrics) = trace(estimate, state, steps)
    history = {name: np.full(updates, np.nan, np.float32) for name in metrics}
    whole = {"state": state, "done": np.int32(0), "history": history}
    folder, label = place
    if folder is None:
        return None, whole
    # where Python keeps a function differs from run to run
    program = re.sub(r" at 0x\w+", "", str(program))
    text = str((settings, updates, len(steps), program))
    mark = store.hash_pytree((jax.tree.leaves(estimate), state), text)
    file = Path(folder) / f"{label}-{mark}.safetensors"
    whole = store.load_parameters(file, whole) if file.exists() else whole
    return file, whole | {"history": jax.tree.map(np.array, whole["history"])}


# %% [markdown]
# ## Report the progress
#
# A bar inside a notebook that the pipeline runs would stay there. So it is printed past the
# notebook, on the terminal, a line every ten seconds.

# %%
#| export
def _print_on_terminal(line):
    "Print past the notebook in which this runs."
    # a notebook's kernel keeps the way out under this name
    terminal = getattr(sys.stderr, "_original_stdstream_copy", None)
    os.write(2 if terminal is None else terminal, f"{line}\n".encode())


# %%
#| export
class Progress:
    "Print how far a long computation is, and say when it is time to save."

    def __init__(self, label, first, updates, every, unit="updates"):
        "Begin at update `first`; `every`: seconds between two savings, at most."
        self.label, self.first, self.updates, self.every = label, first, updates, every
        self.unit = unit
        self.begun = self.saved = self.shown = self.call = time.monotonic()

    def due(self, done):
        "Report progress, and tell whether one call later is too late to save."
        self.report(done)
        now = time.monotonic()
        self.call, took = now, now - self.call
        late = now - self.saved > self.every - took or done == self.updates
        self.saved = now if late else self.saved
        return late

    def report(self, done):
        "Print a bar, the rate and the time left."
        now = time.monotonic()
        if now - self.shown > 10 or done == self.updates:
            self.shown = now
            counted = done, self.updates, now - self.begun
            look = {"unit": f" {self.unit}", "ascii": ".#", "ncols": 100}
            look |= {"prefix": self.label, "initial": self.first}
            line = tqdm.format_meter(*counted, **look)
            _print_on_terminal(line)


# %% [markdown]
# ## The loop

# %%
#| export
def _advance(estimate, whole, steps, optimiser):
    "Do the updates of some steps and note their metrics in the history."
    asked = (whole["state"], jnp.asarray(steps))
    state, metrics = train_steps(estimate, *asked, optimiser=optimiser)
    state, metrics = jax.block_until_ready((state, metrics))
    jax.tree.map(lambda kept, new: kept.put(steps, new), whole["history"], metrics)
    done = np.int32(steps[-1] + 1)
    return {"state": state, "done": done, "history": whole["history"]}


# %%
#| export
def fit(
    estimate: Callable,  # a `Partial`: (params, key) -> metrics, gradient to descend
    params: Any,  # pytree of arrays to begin with
    *,
    key: Array,  # consumed: one part per update
    optimiser: optax.GradientTransformation,
    updates: int,  # in all
    per_call: int = 200,  # updates in one compiled call
    label: str = "training",  # in front of the bar and of the file's name
    checkpoint: Path | str | None = None,  # folder; None keeps nothing
    settings: Any = None,  # texts: what the estimate's numbers and program do not show
    every: float = 120.0,  # seconds between two savings, at most; no call is cut short
) -> tuple[Any, dict[str, np.ndarray]]:  # the last parameters; metrics [updates]
    "Run a training to its end, from where an earlier run of it was stopped."
    state = {"params": params, "moments": optimiser.init(params), "key": key}
    steps = np.arange(updates)
    known = steps[:per_call], optimiser, updates, (checkpoint, label), settings
    file, whole = _begin(estimate, state, *known)
    progress = Progress(label, int(whole["done"]), updates, every)
    for begin in range(progress.first, updates, per_call):
        whole = _advance(estimate, whole, steps[begin : begin + per_call], optimiser)
        if progress.due(whole["done"]) and file:
            store.save_parameters(file, whole)
    return whole["state"]["params"], whole["history"]


# %% [markdown]
# Try it: a ball rolls to the bottom of a bowl, pushed about by noise. The lid is closed after 700
# of 1,000 updates: the process ends just after it has saved. What it saved last is step 700, and
# nobody can tell from the end.

# %%
def push(params, key, depth):
    "Slope of a bowl, with noise."
    noise = jax.random.normal(key, params.shape)
    return {"height": depth * (params**2).sum()}, 2 * depth * params + noise


begin, bowl = jnp.array([3.0, -2.0]), Partial(push, depth=0.5)
settings = {"updates": 1000, "per_call": 100, "label": "ball", "every": 0}
rolling = partial(fit, bowl, begin, optimiser=optax.sgd(0.01), **settings)
rolling = partial(rolling, key=jax.random.key(5))
unbroken, course = rolling()
with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:

    def lid_closes(file, state, save=store.save_parameters):
        save(file, state)
        if state["done"] == 700:
            raise KeyboardInterrupt

    patch.setattr(store, "save_parameters", lid_closes)
    with pytest.raises(KeyboardInterrupt):
        rolling(checkpoint=folder)
    print("stopped; left behind:", [file.name for file in Path(folder).iterdir()])
    patch.undo()
    resumed, course_again = rolling(checkpoint=folder)
assert (resumed == unbroken).all(), "to the last bit"
assert (course["height"] == course_again["height"]).all()
print("both end at", resumed)

# %%
fig, ax = plt.subplots(figsize=(4.5, 2.4))
ax.plot(course["height"], lw=0.8, color="#444444")
ax.axvline(700, color="#b5651d", lw=1)
ax.set(xlabel="update", ylabel="height in the bowl", title="stopped at 700 and resumed")
fig.tight_layout()

# %% [markdown]
# The line shows where the lid was closed; the curve does not.
#
# ## Recap
#
# `fit` trains with any estimate of a gradient and goes on where it was stopped; `train_steps` is
# the compiled part of it, `Progress` prints how far it is.
