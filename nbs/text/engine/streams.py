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
# # Random numbers keyed by names
#
# > A seed and names go in; a random key that only they give comes out.

# %%
#| default_exp engine.streams

# %% [markdown]
# *In this notebook*: how the steps of a run get random numbers of their own. It uses nothing of
# ours; every notebook of run and questions that draws something asks here for its key.

# %%
#| export
import zlib

import jax
from jax import Array

# %%
#| hide
from itertools import product

import numpy as np

# %% [markdown]
# ## Two steps, one die
#
# A run has one seed and many steps, and each step throws dice of its own. In JAX the dice are a
# *key*: the same key gives the same throws, on every machine. So two steps that hold the same key
# throw the same numbers, and nobody sees it: both columns look random. How does each step get a key
# that no other step has?
#
# The naive way is to count: the step of notebook 20 adds 2,000 to the iteration, that of notebook
# 21 adds 2,100. (This repository did so for a while.) Somebody is patient and runs a hundred
# iterations:

# %%
acquire = lambda iteration: jax.random.fold_in(jax.random.key(0), 2000 + iteration)
clone = lambda iteration: jax.random.fold_in(jax.random.key(0), 2100 + iteration)
print("acquire, iteration 100:", jax.random.randint(acquire(100), 10, 1, 7))
print("clone,   iteration   0:", jax.random.randint(clone(0), 10, 1, 7))
assert acquire(100) == clone(0), "the same throws in two steps that share nothing"


# %% [markdown]
# Numbers also move. A notebook that gets another number would draw other random numbers, and every
# result of a run would change for the sake of a file's name.
#
# Names stay, and hardly collide. `fold_in` mixes a number into a key. So each name becomes a
# number, its CRC-32 checksum, which is the same on every machine; and these are mixed in, one after
# the other. (Two names share a checksum once in four billion pairs.)

# %%
#| export
def stream(
    seed: int,  # of the run
    *names: str | int | float,  # of the step, its iteration, what is drawn
) -> Array:  # a key
    "Make a random key from a seed and names; their order counts."
    key = jax.random.key(seed)
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(str(name).encode()))
    return key


# %%
for names in (("acquire", 100), ("clone", 0)):
    print(*names, jax.random.randint(stream(0, *names), 10, 1, 7))
assert stream(0, "clone", 0) == stream(0, "clone", 0) != stream(1, "clone", 0)
assert stream(0, "elect", 1, 11) != stream(0, "elect", 11, 1)
assert stream(0, "elect", 1, 11) != stream(0, "elect", 111)

# %% [markdown]
# Five seeds, six steps, two hundred iterations: 6,000 keys, no two of them alike. And the first
# throws of any two steps have nothing to do with each other: over a thousand keys a step, the
# correlation of their uniform numbers stays within what chance allows.

# %%
steps = ["acquire", "clone", "metagame", "train", "elect", "experiments"]
keys = [stream(*names) for names in product(range(5), steps, range(200))]
assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 5 * 6 * 200

first = np.array([jax.random.uniform(key) for key in keys]).reshape(5, 6, 200)
correlation = np.corrcoef(first.swapaxes(0, 1).reshape(6, -1))
largest = np.abs(correlation - np.eye(6)).max()
assert largest < 3.5 / np.sqrt(5 * 200), "of fifteen pairs"
print(f"largest of 15 correlations {largest:.3f}; a standard error is {1000**-0.5:.3f}")

# %% [markdown]
# ## Recap
#
# - Counted keys collide without a sound, and change when something is numbered anew.
# - `stream(seed, "clone", iteration)` depends on what is drawn, and on nothing else.
# - The name of a stream is a promise: whoever renames it draws other numbers.
