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
# # Whole files or none
#
# > Tables, numbers and parameters go to disk whole or not at all, with a note of what made them.

# %%
#| default_exp engine.store

# %% [markdown]
# *In this notebook*: what crosses the border between memory and disk. It uses nothing of ours;
# everything that reads or writes a file uses it. One rule holds throughout: **a broken file never
# looks like a whole one.**

# %%
#| export
import contextlib
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from safetensors import SafetensorError, safe_open
from safetensors.flax import load_file, save_file

import democratic_ai

# %%
#| hide
import tempfile

import matplotlib.pyplot as plt
import optax
import pytest

home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays


# %% [markdown]
# One kind of error is enough for everything that can be wrong with a file. Whoever meets it should
# not have to read our code to know what to do, so its message is a sentence: which file, where in
# it, what was found, what was expected.

# %%
#| export
class DataError(ValueError):
    """A file that cannot be used as it is.

    The message names the file and, where there is one, the row and the column.
    """


# %% [markdown]
# A run may be killed at any moment: a laptop is closed, a cluster's hour is over. What then lies on
# the disk?
#
# ## The naive way: open and write

# %%
def killed_half_way(path):
    with open(path, "w") as file:
        file.write("mechanism,vote_share\nhcrm,0.5")
        raise KeyboardInterrupt


with contextlib.suppress(KeyboardInterrupt):
    killed_half_way("votes.csv")
print(Path("votes.csv").read_text(), "<- looks like a vote share of exactly one half")
assert pd.read_csv("votes.csv").vote_share.item() == 0.5


# %% [markdown]
# That table can be read, has a plausible number in it, and is wrong. The cure is old and cheap:
# write under another name in the same folder, and rename at the end. Renaming within a folder is
# one indivisible step for the operating system; a reader sees the old file or the new one, never a
# mixture.

# %%
#| export
@contextlib.contextmanager
def atomic_write(
    path: Path | str,  # what shall be there in the end
) -> Iterator[Path]:
    """Give a temporary name in the same folder, to write to.

    On success that file replaces `path` in one step, on failure it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# %% [markdown]
# The same accident once more, on top of a table that was already there. The old table should stand.

# %%
Path("votes.csv").write_text("mechanism,vote_share\nhcrm,0.61\n")
with contextlib.suppress(KeyboardInterrupt), atomic_write("votes.csv") as temporary:
    killed_half_way(temporary)
assert Path("votes.csv").read_text().endswith("0.61\n")
assert not list(Path().glob(".votes*"))
print(Path("votes.csv").read_text())


# %% [markdown]
# On this, the three kinds of file that a run leaves. *Tables*: CSV for people, parquet for
# machines. *Numbers*: JSON, in which arrays become lists, and a number that is none becomes `null`,
# since JSON has no word for NaN and many readers choke on it.

# %%
#| export
def write_table(
    path: Path | str,  # ends in .csv or .parquet
    frame: pd.DataFrame,
) -> None:
    "Write a table, whole or not at all; raises DataError for another suffix."
    write = {".csv": frame.to_csv, ".parquet": frame.to_parquet}.get(Path(path).suffix)
    if write is None:
        raise DataError(
            f"{path}: tables are written as .csv or .parquet; change the suffix."
        )
    with atomic_write(path) as temporary:
        write(temporary, index=False)


# %% [markdown]
# JSON is stricter than Python believes. `json.dumps` writes `NaN` without a blush, and then the
# browser that is to draw the figure refuses the whole file. So numbers are made plain first, and
# dumping anything else than plain values is an error, raised before the file is touched.

# %%
#| export
def to_plain(
    value: Any,  # nested dictionaries, lists, arrays, numbers, texts, None
) -> Any:
    """Turn arrays and numbers of any library into what JSON knows.

    A number that is not finite becomes null.
    """
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic, Array)):
        return to_plain(np.asarray(value).tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_json(
    path: Path | str,
    content: dict,
) -> None:
    "Write a dictionary of numbers, texts and arrays as JSON, whole or not at all."
    text = json.dumps(to_plain(content), indent=1, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# %% [markdown]
# What does the choice of a format cost? The same rows in both:

# %%
sizes = {}
for n in (480, 1440, 5760, 28800):
    rng = np.random.default_rng(0)
    rows = {"contribution": rng.integers(0, 11, n), "payout": rng.random(n).round(3)}
    rows = pd.DataFrame(rows | {"mechanism": "libertarian"})
    for suffix in (".csv", ".parquet"):
        write_table(f"plays{suffix}", rows)
        sizes[suffix, n] = Path(f"plays{suffix}").stat().st_size / 1024
fig, ax = plt.subplots(figsize=(4, 2.6))
for suffix in (".csv", ".parquet"):
    of_suffix = {n: size for (s, n), size in sizes.items() if s == suffix}
    ax.loglog(of_suffix.keys(), of_suffix.values(), "o-", label=suffix)
ax.set(xlabel="rows", ylabel="size on disk (KiB)")
ax.legend(frameon=False)
assert sizes[".parquet", 28800] < sizes[".csv", 28800] / 4
assert len(pd.read_parquet("plays.parquet")) == 28800


# %% [markdown]
# For a few hundred rows it does not matter; for thousands parquet is many times smaller, since it
# writes a word like "libertarian" once and not in every row. Big tables of play go to parquet,
# results that somebody may want to open go to CSV.

# %% [markdown]
# ## Parameters
#
# Parameters are saved as safetensors, a flat list of named arrays. Unlike a pickle it cannot run
# anything when it is opened. Our parameters are trees, so every leaf is saved under its path, like
# `params/Dense_0/kernel`. A random key is not an array, but made of one.

# %%
#| export
def is_key(leaf: Any) -> bool:
    "Tell a typed random key from a plain array or number."
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def path_name(path: tuple) -> str:
    "Write the place of a leaf in its tree as one name."
    return jax.tree_util.keystr(path, simple=True, separator="/")


def named_leaves(
    pytree: Any,  # parameters, an optimiser's state, random keys, numbers
) -> dict[str, Array]:  # "params/Dense_0/kernel" -> array
    """Lay a tree out as a new flat dictionary of plain arrays.

    Raises DataError when two leaves would share a name.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(pytree)
    plain = lambda x: jax.random.key_data(x) if is_key(x) else jnp.asarray(x)
    named = {path_name(path): plain(leaf) for path, leaf in leaves}
    if len(named) != len(leaves):
        raise DataError(
            "Two leaves of the tree would be saved under one name; "
            "rename the one with a slash in its own."
        )
    return named


# %%
#| export
def save_parameters(
    path: Path | str,
    pytree: Any,  # parameters, an optimiser's state, random keys, numbers
    metadata: dict[str, str] | None = None,  # short texts, e.g. a hash of the settings
) -> None:
    "Save a tree of arrays as safetensors, whole or not at all."
    with atomic_write(path) as temporary:
        save_file(named_leaves(pytree), temporary, metadata)


# %% [markdown]
# The file knows names and shapes and nothing about trees. So whoever loads must say what it should
# be, by a *template*: a tree of the same form, filled with anything. Most often that is what `init`
# returns. If the file does not fit the template, it is the wrong file.

# %%
#| export
def _load_named_leaves(path):
    "Load what `save_parameters` wrote; raises DataError when it is no such file."
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path}: cannot be read as saved parameters ({error}); "
            "make the file again."
        ) from None


def _check_leaves(path, found, wanted):
    "Refuse leaves of other names, types or shapes than wanted; raises DataError."
    say = lambda leaf: f"{leaf.dtype}{list(leaf.shape)}"
    for name in sorted(wanted.keys() | found.keys()):
        has = say(found[name]) if name in found else "nothing"
        needs = say(wanted[name]) if name in wanted else "nothing"
        if has != needs:
            raise DataError(
                f"{path}: {has} is saved under {name!r} where {needs} is needed; "
                "these are parameters of something else."
            )


# %%
#| export
def load_parameters(
    path: Path | str,
    template: Any,  # a tree of the same form, shapes and types, with any values
) -> Any:  # like the template
    """Restore a tree that `save_parameters` wrote.

    Raises DataError when the file does not fit the template.
    """
    found = _load_named_leaves(path)
    _check_leaves(path, found, jax.eval_shape(named_leaves, template))

    def restore(place, leaf):
        value = found[path_name(place)]
        if not is_key(leaf):
            return value
        impl = jax.random.key_impl(jnp.empty((), leaf.dtype))
        return jax.random.wrap_key_data(value, impl=impl)

    return jax.tree_util.tree_map_with_path(restore, template)


def read_metadata(
    path: Path | str,  # a file that save_parameters wrote
) -> dict[str, str]:
    "Read the short texts kept beside saved parameters."
    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


# %% [markdown]
# A training that is interrupted must go on as if nothing had happened. So the test is not whether
# numbers *look* the same: weights, the optimiser's memory and the random key must come back bit for
# bit.

# %%
kernel = jax.random.normal(jax.random.key(0), (6, 4))
weights = {"params": {"Dense_0": {"kernel": kernel, "bias": jnp.zeros(4)}}}
optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
_, memory = optimiser.update(weights, optimiser.init(weights))
state = {"params": weights, "memory": memory}
state |= {"key": jax.random.key(7), "step": jnp.int32(120)}
save_parameters("state.safetensors", state, {"settings": "3fd1"})
blank = {"params": weights, "memory": optimiser.init(weights)}
blank |= {"key": jax.random.key(0), "step": jnp.int32(0)}
restored = load_parameters("state.safetensors", blank)
assert jax.tree.structure(restored) == jax.tree.structure(state)
assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), restored, state))
dice = jax.random.normal(restored["key"])
assert dice == jax.random.normal(jax.random.key(7)), "the same dice, at the same point"
assert read_metadata("state.safetensors") == {"settings": "3fd1"}
wider = {"Dense_0": {"kernel": jnp.zeros((6, 5)), "bias": jnp.zeros(4)}}
with pytest.raises(DataError, match="parameters of something else") as refused:
    load_parameters("state.safetensors", blank | {"params": {"params": wider}})
print(*sorted(named_leaves(state)), refused.value, sep="\n")


# %% [markdown]
# The networks that the committed results come from travel with the package: the virtual players and
# the two mechanisms that they trained. What a file holds is known to the chapter that declares the
# network; here it is only found, in an installed wheel or in a checkout.

# %%
#| export
NETWORKS = ("players", "hcrm", "rm")
_PACKAGE = Path(democratic_ai.__file__).resolve().parent


def committed_network(
    name: str,  # one of NETWORKS
) -> Path:  # for `load_parameters`, with a template from the network's `init`
    "Find a committed network's parameters; raises DataError for an unknown name."
    if name not in NETWORKS:
        raise DataError(
            f"There is no committed network called {name!r}; "
            f"choose one of {', '.join(NETWORKS)}."
        )
    installed = _PACKAGE / "parameters"
    committed = _PACKAGE.parent / "paper/results/parameters"
    folder = installed if installed.is_dir() else committed
    return folder / f"{name}.safetensors"


# %%
for name in NETWORKS:
    print(f"{name:8s} {committed_network(name).stat().st_size / 1024:4.0f} KiB")
    assert committed_network(name).is_file()
with pytest.raises(DataError, match="players, hcrm, rm"):
    committed_network("hcmd")


# %% [markdown]
# Were these numbers made by the same settings, data and program? A hash of all leaves and of
# whatever text the caller adds answers.

# %%
#| export
def hash_pytree(
    pytree: Any,  # arrays, random keys, static settings
    text: str = "",  # whatever else should make a difference
) -> str:  # 16 hexadecimal digits
    "Recognise the same numbers and settings again."
    leaves, structure = jax.tree.flatten(pytree)
    digest = hashlib.sha256(f"{structure} {text}".encode())
    for name, leaf in named_leaves(leaves).items():
        digest.update(f"{name} {leaf.dtype} {leaf.shape}".encode())
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]


# %%
same = hash_pytree(state, "seed 0")
assert same == hash_pytree(restored, "seed 0")
assert same not in (hash_pytree(state, "seed 1"), hash_pytree(blank, "seed 0"))
same

# %% [markdown]
# ## What made this?
#
# A number without its origin is a rumour. Every run puts a stamp beside its results: the commit and
# whether somebody had changed something since, the versions, the time, the kind of machine. No
# names of people, hosts or folders.

# %% [markdown]
# Outside git, say in an archive that somebody downloaded, the commit is unknown and is called so.
# The same holds for a copy inside another project's repository, whose commit would say nothing
# about us.

# %%
#| export
_ROOT = _PACKAGE.parent  # of a checkout


def git_state() -> dict[str, Any]:
    """Name the commit of this repository, and whether tracked files differ from it.

    Outside git the commit is called "unknown".
    """

    def git(*arguments):
        command = ["git", "-C", _ROOT, *arguments]
        return subprocess.check_output(command, text=True, stderr=subprocess.PIPE)

    try:
        if Path(git("rev-parse", "--show-toplevel").strip()).resolve() != _ROOT:
            raise FileNotFoundError("this is a copy inside somebody else's repository")
        commit = git("rev-parse", "HEAD").strip()
        changes = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": commit, "uncommitted_changes": bool(changes)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "unknown", "uncommitted_changes": None}


# %%
#| export
def provenance(
    **extra: Any,  # profile, seed, minutes, ...
) -> dict[str, Any]:
    """Say what made a result: commit, versions, time and machine.

    Whatever the caller adds comes last.
    """
    packages = ("jax", "flax", "optax", "numpy", "pandas")
    versions = {name: version(name) for name in packages}
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "system": platform.system(),
    }
    return {
        **git_state(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | versions,
        "machine": machine,
        **extra,
    }


# %%
made_by = provenance(profile="smoke", seed=0)
write_json("provenance.json", made_by | {"loss": jnp.array([0.5, jnp.nan])})
assert json.loads(Path("provenance.json").read_text())["loss"] == [0.5, None]
assert len(made_by["commit"]) == 40 or made_by["commit"] == "unknown"
written = json.dumps(made_by).replace(made_by["machine"]["processor"], "")
assert not platform.node() or platform.node() not in written
print({key: made_by[key] for key in ("versions", "machine", "profile", "seed")})

# %% [markdown]
# ## Recap
#
# `atomic_write` gives a name that becomes the file's own when all is written; `write_table`,
# `write_json` and `save_parameters` use it. `load_parameters` and `read_metadata` read parameters
# back, `committed_network` finds those of the paper, `hash_pytree` recognises them. `provenance`
# says what made a result. `DataError` is raised for a file that cannot be used.

# %%
#| hide
os.chdir(home)
workshop.cleanup()
