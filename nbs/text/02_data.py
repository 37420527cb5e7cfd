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
# # Data
#
# > Files come in through one checked door and leave, whole or not at all, with a stamp of what made them.

# %%
#| default_exp data

# %% [markdown]
# *In this notebook*: data.

# %%
#| export
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from democratic_ai import game

# %%
#| export
ROOT = Path(democratic_ai.__file__).parent.parent  # the repository: the package is installed editable


class DataError(ValueError):
    "A file that cannot be used as it is; the message names the file and, where there is one, the row and the column."


# %%
#| export
PUBLISHED = (
    "fig1c_relative_contribution",
    "fig2_votes",
    "table_s1a_votes",
    "table_s1b_virtual_votes",
    "table_s2_metagame",
)


def published(
    name: str,  # one of PUBLISHED
) -> pd.DataFrame:
    "Read one table of numbers that the original paper printed; raises DataError for a name that is not there."
    if name not in PUBLISHED:
        raise DataError(f"There are no published numbers called {name!r}; choose one of {', '.join(PUBLISHED)}.")
    return pd.read_csv(ROOT / "data" / "published" / f"{name}.csv")


# %%
#| export
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plays:
    "A data set of G blocks of play, each by one group under one mechanism."

    block: game.Block  # endowment [G, P], contribution [G, T, P], payout [G, T, P], coins
    answered: Array  # [G, P] bool: all contributions of this player are a participant's own
    session: Array  # [G] int32: 0 = tutorial, 1, 2, ... = blocks under a referee
    mechanism: Array  # [G] int32: position in `names`
    names: tuple[str, ...] = field(metadata={"static": True})  # what the mechanisms are called

    def __len__(self) -> int:  # the number of blocks
        return self.mechanism.shape[0]


# %%
#| export
def record(
    block: game.Block,  # one leading axis: groups
    mechanism: str,  # name of the mechanism that all of these groups played under
    *,
    session: int = 1,  # 0 = tutorial
    answered: Array | None = None,  # [G, P] bool; default: everybody answered themselves
) -> Plays:
    "Label blocks that were played under one mechanism."
    n_groups, n_players = block.endowment.shape
    answered = jnp.ones((n_groups, n_players), bool) if answered is None else answered
    return Plays(block, answered, jnp.full(n_groups, session, jnp.int32), jnp.zeros(n_groups, jnp.int32), (mechanism,))


# %%
#| export
def join(
    parts: Sequence[Plays],  # blocks of the same number of rounds and players
) -> Plays:
    "Put data sets behind one another; a mechanism that occurs in several keeps one name."
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    lookup = [jnp.array([names.index(name) for name in part.names], jnp.int32) for part in parts]
    recoded = [
        Plays(part.block, part.answered, part.session, where[part.mechanism], names) for part, where in zip(parts, lookup)
    ]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *recoded)


# %%
#| export
COLUMNS = ("group", "round", "player", "endowment", "contribution", "payout", "mechanism", "session", "answered")


def plays_to_table(
    plays: Plays,
) -> pd.DataFrame:  # one row per group, round (from 1) and player (from 0)
    "Write a data set of blocks as a long table."
    n_groups, n_rounds, n_players = plays.block.contribution.shape
    group, turn, player = (index.ravel() for index in np.indices((n_groups, n_rounds, n_players)))
    return pd.DataFrame(
        {
            "group": group,
            "round": turn + 1,
            "player": player,
            "endowment": np.asarray(plays.block.endowment)[group, player],
            "contribution": np.asarray(plays.block.contribution).ravel(),
            "payout": np.asarray(plays.block.payout).ravel(),
            "mechanism": np.array(plays.names)[np.asarray(plays.mechanism)][group],
            "session": np.asarray(plays.session)[group],
            "answered": np.asarray(plays.answered)[group, player],
        },
        columns=COLUMNS,
    )


# %%
#| export
def plays_from_table(
    frame: pd.DataFrame,  # as plays_to_table writes it, rows in any order
) -> Plays:
    "Read a long table back as a data set of blocks; raises DataError when a group lacks a round or a player."
    shape = tuple(frame[column].nunique() for column in ("group", "round", "player"))
    if len(frame) != np.prod(shape) or frame.duplicated(["group", "round", "player"]).any():
        raise DataError(f"The table has {len(frame)} rows, not one for each of {shape[0]} groups, {shape[1]} rounds, {shape[2]} players.")
    cube = {name: column.to_numpy().reshape(shape) for name, column in frame.sort_values(["group", "round", "player"]).items()}
    names, codes = np.unique(cube["mechanism"][:, 0, 0].astype(str), return_inverse=True)
    block = game.Block(
        jnp.asarray(cube["endowment"][:, 0], jnp.float32),
        jnp.asarray(cube["contribution"], jnp.float32),
        jnp.asarray(cube["payout"], jnp.float32),
    )
    answered, session = jnp.asarray(cube["answered"][:, 0], bool), jnp.asarray(cube["session"][:, 0, 0], jnp.int32)
    return Plays(block, answered, session, jnp.asarray(codes, jnp.int32), tuple(map(str, names)))


# %%
#| export
@contextmanager
def replacing(
    path: Path | str,  # what shall be there in the end
) -> Iterator[Path]:
    "Give a temporary name in the same folder; on success it replaces `path` in one step, on failure it is removed."
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# %%
#| export
def write_table(
    path: Path | str,  # ends in .csv or .parquet
    frame: pd.DataFrame,
) -> None:
    "Write a table, whole or not at all; raises DataError for another suffix."
    write = {".csv": frame.to_csv, ".parquet": frame.to_parquet}.get(Path(path).suffix)
    if write is None:
        raise DataError(f"{path}: tables are written as .csv or .parquet; change the suffix.")
    with replacing(path) as temporary:
        write(temporary, index=False)


# %%
#| export
def plain(
    value: Any,  # nested dicts, lists, arrays, numbers, paths, None
) -> Any:
    "Turn arrays and numbers of any library into what JSON knows; a number that is not finite becomes null."
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic, Array)):
        return plain(np.asarray(value).tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_json(
    path: Path | str,
    content: dict,
) -> None:
    "Write a dictionary of numbers, texts and arrays as JSON, whole or not at all."
    text = json.dumps(plain(content), indent=1, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# %%
#| export
def is_key(leaf: Any) -> bool:
    "Tell a typed random key from a plain array."
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def named_leaves(
    pytree: Any,  # parameters, an optimiser's state, random keys, numbers
) -> dict[str, Array]:  # "params/Dense_0/kernel" -> array
    "Lay out a pytree as a flat dictionary of plain arrays; keys become the numbers that they hold."
    leaves, _ = jax.tree_util.tree_flatten_with_path(pytree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): jnp.asarray(leaf) for path, leaf in leaves}
    return {name: jax.random.key_data(leaf) if is_key(leaf) else leaf for name, leaf in named.items()}


def save_parameters(
    path: Path | str,
    pytree: Any,  # parameters, an optimiser's state, random keys, numbers
    metadata: dict[str, str] | None = None,  # short texts kept in the file, e.g. a hash of the settings
) -> None:
    "Save a pytree of arrays as safetensors, whole or not at all."
    with replacing(path) as temporary:
        save_file(named_leaves(pytree), temporary, metadata)


# %%
#| export
def load_parameters(
    path: Path | str,
    template: Any,  # a pytree of the same structure, shapes and types, e.g. what `init` returns
) -> Any:  # like the template
    "Restore a pytree that save_parameters wrote; raises DataError when it does not fit the template."
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read as saved parameters ({error}).") from error
    wanted = jax.eval_shape(named_leaves, template)
    for name in sorted(wanted.keys() | found.keys()):
        has, needs = (f"{d[name].dtype}{list(d[name].shape)}" if name in d else "nothing" for d in (found, wanted))
        if has != needs:
            raise DataError(f"{path}: holds {has} under {name!r} where {needs} is needed; these are parameters of something else.")

    def like(path, leaf):
        value = found[jax.tree_util.keystr(path, simple=True, separator="/")]
        keyed = hasattr(leaf, "dtype") and is_key(leaf)
        return jax.random.wrap_key_data(value, impl=jax.random.key_impl(jnp.empty((), leaf.dtype))) if keyed else value

    return jax.tree_util.tree_map_with_path(like, template)


def read_metadata(
    path: Path | str,  # a file that save_parameters wrote
) -> dict[str, str]:
    "Read the short texts kept beside saved parameters."
    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


# %%
#| export
def git_state() -> dict[str, Any]:
    "Name the commit of this repository and whether tracked files differ from it; \"unknown\" outside git."

    def git(*arguments):
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "uncommitted_changes": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "unknown", "uncommitted_changes": None}


def stamp(
    **extra: Any,  # profile, seed, minutes, ...
) -> dict[str, Any]:
    "Say what made a result: commit, versions, time, machine, and whatever the caller adds."
    return {
        **git_state(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("jax", "flax", "optax", "numpy")},
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "system": platform.system()},
        **extra,
    }
