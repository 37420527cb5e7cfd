"""What a run writes: whole or not at all, and the same when it is read back."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from democratic_ai.engine import store

few = settings(max_examples=15, deadline=None)


def refusal(read, *arguments, **keywords):
    with pytest.raises(store.DataError) as refused:
        read(*arguments, **keywords)
    message = str(refused.value)
    assert "\n" not in message
    return message


def same(a, b):
    return jax.tree.all(
        jax.tree.map(
            lambda x, y: (
                bool((x == y).all()) and x.dtype == y.dtype and x.shape == y.shape
            ),
            a,
            b,
        )
    )


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "numbers.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"a": object()})

    def killed_half_way():
        with store.atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        killed_half_way()
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(path.parent) == ["numbers.json"]
    assert ".csv or .parquet" in refusal(
        store.write_table, tmp_path / "t.xlsx", pd.DataFrame({"a": [1]})
    )


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text("old")
    program = (
        "import os; from democratic_ai.engine import store\n"
        f"with store.atomic_write({str(path)!r}) as t: t.write_text('ha'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert path.read_text() == "old"


numbers = (
    st.floats()
    | st.integers(-(2**53), 2**53)
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
)


@few
@given(
    st.dictionaries(
        st.text(max_size=4),
        st.recursive(
            numbers,
            lambda x: (
                st.lists(x, max_size=3)
                | st.dictionaries(st.text(max_size=4), x, max_size=3)
            ),
        ),
    )
)
def test_json_comes_back_with_null_for_what_is_not_a_number(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("json") / "numbers.json"
    store.write_json(path, content)

    def expected(value):
        if isinstance(value, dict):
            return {key: expected(item) for key, item in value.items()}
        if isinstance(value, list):
            return [expected(item) for item in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    assert json.loads(path.read_text(encoding="utf-8")) == expected(content)


def test_json_takes_arrays_of_both_libraries(tmp_path):
    store.write_json(
        tmp_path / "n.json",
        {
            "jax": jnp.arange(3),
            "numpy": np.float32(0.5),
            "nan": jnp.float32(np.nan),
            1: (np.int64(2),),
        },
    )
    assert json.loads((tmp_path / "n.json").read_text()) == {
        "jax": [0, 1, 2],
        "numpy": 0.5,
        "nan": None,
        "1": [2],
    }


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.adam(4e-4, 0.9, 0.999, 1e-8),
        optax.rmsprop(4e-4, decay=0.99, eps=1e-5, initial_scale=1.0, eps_in_sqrt=True),
        optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.add_decayed_weights(1e-5),
            optax.scale_by_adam(),
            optax.scale(-1e-3),
        ),
    ],
    ids=["adam", "rmsprop", "chain"],
)
def test_a_training_state_comes_back_bit_for_bit(tmp_path, optimiser):
    params = {
        "layer": {
            "kernel": jax.random.normal(jax.random.key(1), (3, 4)),
            "bias": jnp.full(4, 1e-40),
        },
        "scale": (jnp.float32(2), jnp.ones(())),
    }
    update = lambda params, memory: optimiser.update(
        jax.tree.map(jnp.sin, params), memory, params
    )
    memory = update(params, optimiser.init(params))[1]
    key = jax.random.split(jax.random.key(5))[1]
    state = {
        "params": params,
        "memory": memory,
        "key": key,
        "keys": jax.random.split(key, 3),
        "raw": jax.random.PRNGKey(3),
        "step": 7,
        "on": True,
    }
    path = tmp_path / "state.safetensors"
    store.save_parameters(path, state, {"settings": "abc", "seed": "0"})
    blank = jax.tree.map(
        lambda leaf: leaf if store.is_key(leaf) else jnp.zeros_like(leaf), state
    )
    for template in (blank, jax.eval_shape(lambda: state)):
        restored = store.load_parameters(path, template)
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        same_bits = jax.tree.map(
            lambda a, b: (
                store.named_leaves(a)[""].tobytes()
                == store.named_leaves(b)[""].tobytes()
            ),
            restored,
            state,
        )
        assert jax.tree.all(same_bits)
    assert jax.random.key_impl(restored["key"]) == jax.random.key_impl(key)
    assert same(
        update(restored["params"], restored["memory"]), update(params, memory)
    ), "the next step is the same step"
    assert store.read_metadata(path) == {"settings": "abc", "seed": "0"}


@few
@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.tuples(
            st.sampled_from([[], [0], [3], [2, 4]]),
            st.sampled_from(["float32", "int32", "uint8", "bool", "bfloat16"]),
        ),
        min_size=1,
    )
)
def test_any_tree_is_kept_and_only_its_own_template_fits(tmp_path_factory, shapes):
    tree = {
        name: [jnp.ones(shape, dtype), None] for name, (shape, dtype) in shapes.items()
    }
    leaves = jax.tree.leaves(tree)
    path = tmp_path_factory.mktemp("trees") / "tree.safetensors"
    store.save_parameters(path, tree)
    assert all(a is b for a, b in zip(leaves, jax.tree.leaves(tree), strict=True)), (
        "the caller's tree is not touched"
    )
    assert same(store.load_parameters(path, tree), tree)
    assert store.read_metadata(path) == {}
    name, (shape, dtype) = next(iter(shapes.items()))
    others = (
        [jnp.ones([*shape, 2], dtype), None],
        [jnp.ones(shape, "int8"), None],
        [None, tree[name][0]],
        [None, None],
    )
    for other in others:
        assert "tree.safetensors" in refusal(
            store.load_parameters, path, tree | {name: other}
        )


def test_a_damaged_or_missing_file_of_parameters_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    assert "p.safetensors" in refusal(store.load_parameters, path, {})
    store.save_parameters(path, {"a": jnp.ones(100)})
    path.write_bytes(path.read_bytes()[:-40])
    assert "cannot be read" in refusal(
        store.load_parameters, path, {"a": jnp.ones(100)}
    )
    path.write_bytes(b"")
    assert "cannot be read" in refusal(
        store.load_parameters, path, {"a": jnp.ones(100)}
    )
    assert "one name" in refusal(
        store.save_parameters, path, {"a/b": jnp.ones(1), "a": {"b": jnp.ones(2)}}
    )


def test_the_stamp_says_what_and_not_who_or_where(monkeypatch, tmp_path):
    stamp = store.provenance(profile="smoke", minutes=3.5)
    assert stamp["profile"] == "smoke" and stamp["minutes"] == 3.5
    assert stamp["machine"]["cores"] == os.cpu_count()
    assert {"python", "jax", "flax", "optax", "numpy"} <= stamp["versions"].keys()
    assert stamp["written"].endswith("+00:00")
    text = json.dumps({key: value for key, value in stamp.items() if key != "machine"})
    assert str(Path(store.__file__).parents[2]) not in text
    assert str(Path.home()) not in text and platform.node() not in text
    monkeypatch.setattr(store, "_ROOT", tmp_path)
    assert store.git_state() == {"commit": "unknown", "uncommitted_changes": None}


def test_the_stamp_knows_the_commit_and_whether_files_differ_from_it(
    monkeypatch, tmp_path
):
    git = [
        "git",
        "-c",
        "user.name=Ann",
        "-c",
        "user.email=ann@example.org",
        "-C",
        str(tmp_path),
    ]
    run = lambda *arguments: subprocess.run(
        [*git, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / "a").write_text("1")
    run("init", "--quiet"), run("add", "a"), run("commit", "--quiet", "-m", "Begin")
    monkeypatch.setattr(store, "_ROOT", tmp_path.resolve())
    assert store.git_state() == {
        "commit": run("rev-parse", "HEAD"),
        "uncommitted_changes": False,
    }
    (tmp_path / "a").write_text("2")
    assert store.git_state()["uncommitted_changes"] is True
    monkeypatch.setattr(store, "_ROOT", tmp_path.resolve() / "inside")
    (tmp_path / "inside").mkdir()
    assert store.git_state()["commit"] == "unknown", (
        "a copy inside another repository does not borrow its commit"
    )
