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
# # Any number of devices, one compiled program
#
# > Arrays and functions go in; arrays cut into chunks that devices share, and functions whose numbers are data, come out.

# %%
#| default_exp engine.devices

# %% [markdown]
# *In this notebook*: how a batch is cut into chunks and spread over devices, and how one compiled
# program serves many networks. It uses nothing of ours; everything that plays or trains many games
# at once uses it.

# %%
#| export
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.tree_util import Partial


# %% [markdown]
# ## Four thousand tables, any number of devices
#
# Take 4,096 tables that know nothing of one another. A machine with two graphics cards could seat
# half of them at each, and so could a processor that JAX has been told to take for two. It is
# enough to say once along which axis an array may be cut; the compiler works out the rest, sums
# over all tables included.

# %%
#| export
def shard(
    x: Array,  # games along `axis`
    axis: int,
) -> Array:  # the same numbers
    "Spread an axis over all devices of JAX, if it can be cut into equal parts."
    n_devices = jax.device_count()
    if n_devices == 1 or x.shape[axis] % n_devices:
        return x
    mesh = Mesh(np.array(jax.devices()), ("games",))
    along = PartitionSpec(*[None] * (axis % x.ndim), "games")
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, along))


# %%
tables = jnp.tile(jnp.array([10.0, 2, 2, 2]), (4096, 1))
spread = shard(tables, 0)
first = len(spread.addressable_shards[0].data)
print(f"{len(tables):,} tables on {jax.device_count()} device: {first:,} on the first")
assert jnp.array_equal(spread, tables)


# %% [markdown]
# ## Chunks that fit the cache
#
# All 4,096 tables at once would be slow on a processor: their numbers do not fit its cache. So a
# batch is cut into chunks, and the chunks follow one another. What if the batch is no multiple of
# the chunk? Three chunks of 512 and one of 5 would compile two programs and leave devices idle. So
# the chunks are made equal, and what is missing from the last one is filled up.

# %%
#| export
def chunk(
    x: Array,  # [N, ...]
    most: int,  # rows of one chunk, over all devices
    *,
    mode: str = "edge",  # fills the last chunk: by the last row, "wrap", "constant"
    equal: bool = True,  # shrink all chunks alike; otherwise each has `most` rows
) -> Array:  # [K, size, ...]
    """Cut a batch into chunks of one size that all devices can share.

    What is missing in the last chunk repeats the last row ("edge"), the first rows
    ("wrap") or is zero ("constant").
    """
    n_chunks, devices = -(-len(x) // most), jax.device_count()
    size = -(-len(x) // (n_chunks * devices)) * devices if equal else most
    widths = [(0, n_chunks * size - len(x)), *[(0, 0)] * (x.ndim - 1)]
    filled = jnp.pad(x, widths, mode=mode)
    return filled.reshape(n_chunks, size, *x.shape[1:])


# %%
seats = jnp.arange(1541)
for most in (512, 1541, 4096):
    n_chunks, size = chunk(seats, most).shape
    print(f"at most {most}: {n_chunks} chunks of {size}")
four = chunk(seats, 512)
assert four.shape[0] == 4 and four.size - seats.size < 4 * jax.device_count()
assert (four.ravel()[: len(seats)] == seats).all()
assert chunk(seats, 512, equal=False).shape == (4, 512)


# %% [markdown]
# At larger tables fewer fit, since arrays between players multiply: four players have 12 ordered
# pairs, eight have 56.

# %%
#| export
def rows_at_once(
    most: int,  # rows of four players on each device
    n_players: int,
) -> int:  # over all devices
    "Count how many rows of a table of players are computed side by side."
    pairs = n_players * (n_players - 1)  # of four players: 12
    return max(1, min(most, most * 12 // pairs)) * jax.device_count()


# %%
assert rows_at_once(128, 4) == 128 * jax.device_count()
assert rows_at_once(128, 8) == 27 * jax.device_count()

# %% [markdown]
# A function that needs random numbers gets a part of the key with each chunk. Chunks are worked
# through one after the other inside one compiled program, so memory is that of a single chunk; rows
# that fill up the last one are dropped from the result.

# %%
#| export
ROWS_PER_CHUNK = 512  # of `map_chunks`


def map_chunks(
    function: Callable,  # (keys, rows [size, ...]) -> pytree of [size, ...]
    keys: Any,  # pytree of random keys, consumed: one part of each per chunk
    x: Array,  # [N, ...]
    *,
    most: int = ROWS_PER_CHUNK,  # rows side by side, over all devices
) -> Any:  # pytree of [N, ...]
    "Apply a function to a batch chunk by chunk, each with its own part of the keys."
    chunks = chunk(x, most, mode="wrap")
    parts = jax.tree.map(lambda key: jax.random.split(key, len(chunks)), keys)
    results = jax.lax.map(lambda at: function(at[0], shard(at[1], 0)), (parts, chunks))
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:])[: len(x)], results)


# %%
throw = lambda key, rows: rows + jax.random.uniform(key, rows.shape)
thrown = map_chunks(throw, jax.random.key(0), seats)
first = chunk(seats, ROWS_PER_CHUNK, mode="wrap")[0]
assert thrown.shape == seats.shape and (jnp.floor(thrown) == seats).all()
key_first = jax.random.split(jax.random.key(0), 4)[0]
assert (thrown[: len(first)] == throw(key_first, first)).all()


# %% [markdown]
# ## One program for all networks
#
# JAX compiles a function for the players it is given. Two networks of one architecture differ in
# their numbers alone, and still each would be compiled anew: seconds for nothing, in every one of a
# hundred seeds. So functions that own numbers are made with `jax.tree_util.Partial`, which hands
# the numbers to the compiled program as arguments. Functions without numbers stand for themselves:

# %%
#| export
def as_pytree(
    functions: Any,  # players, a mechanism, a referee, or a container of these
) -> Any:  # the same, an argument of compiled functions; dictionaries are sorted
    """Turn the numbers that functions own (`Partial`) into data.

    The functions themselves become what is compiled.
    """
    wrap = lambda leaf: Partial(leaf) if callable(leaf) else leaf
    return jax.tree.map(wrap, functions)


# %% [markdown]
# A part of the fund goes to the first seat before the rest is split equally. How large a part? The
# program need not know:

# %%
def seat_of_honour(part, contribution):
    "Compiled once, for every `part`."
    compiled_for.append(part)
    first = (jnp.arange(contribution.shape[-1]) == 0).astype(float)
    share = part * first + (1 - part) / contribution.shape[-1]
    return 1.6 * contribution.sum(-1, keepdims=True) * share


compiled_for, paid = [], jax.jit(lambda mechanism: mechanism(tables[0]))
for part in (0.1, 0.2, 0.4):
    payout = np.asarray(paid(as_pytree(Partial(seat_of_honour, part))))
    print(f"{part} of the fund to Ann before the split:", payout.round(2))
equal = paid(as_pytree(Partial(seat_of_honour, 0.0)))
assert len(compiled_for) == 1 and jnp.allclose(equal, 6.4)


# %% [markdown]
# Networks of two sizes would still need two programs. A small one can be filled up with zeros to
# the shapes of a large one, where zeros change nothing. A unit that nothing goes into and nothing
# comes out of stays silent if it maps zero to zero, as tanh and a blank LSTM do.

# %%
#| export
def pad_like(
    arrays: Any,  # pytree
    template: Any,  # the same tree of arrays or shapes (`jax.eval_shape`), none smaller
) -> Any:  # like `template`
    "Fill up every array with zeros at its ends to the shape that the template has."

    def pad(x, like):
        sizes = zip(x.shape, like.shape, strict=True)
        return jnp.pad(x, [(0, n - m) for m, n in sizes])

    return jax.tree.map(pad, arrays, template)


# %%
layers = lambda width: {"first": jnp.ones((3, width)), "second": jnp.ones((width, 2))}
output = lambda layers, x: jnp.tanh(x @ layers["first"]) @ layers["second"]
padded = pad_like(layers(8), jax.eval_shape(lambda: layers(32)))
assert padded["first"].shape == (3, 32) and padded["second"].shape == (32, 2)
assert jnp.allclose(output(padded, jnp.ones(3)), output(layers(8), jnp.ones(3)))

# %% [markdown]
# ## Recap
#
# `shard` spreads an axis over devices, `chunk` cuts a batch into equal parts of `rows_at_once`, and
# `map_chunks` works them through (`ROWS_PER_CHUNK`). `as_pytree` lets one compiled program serve
# all players and mechanisms of a kind, `pad_like` networks of several sizes.
