"""What makes a step stale, and what does not: in a toy package, in this repository."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from democratic_ai.engine import published, runs, stale, store

ROOT = Path(__file__).parent.parent
STEP = "21_clone"
PACKAGE = {
    "__init__": '__version__ = "1"\n',
    "engine/__init__": "",
    "engine/store": "import json\n\ndef write(x):\n    return json.dumps(x)\n",
    "game": """from .engine import store

GROWTH = 1.6

def payout(coins):
    return store.write(GROWTH * coins)


def unused():
    return 0
""",
    "players": """
import math
from functools import cache, wraps

from . import game
from .engine.store import write as put
from .game import payout

SCHEMA = {"a": 1}
SCHEMA |= {"b": 2}


def fit(coins, rate=0.1):
    "Fit."
    game = coins + rate
    return game.payout


def forward(x):
    return math.exp(x)


def backward(x):
    return x


def logits(x):
    return forward(x)


logits.defvjp(forward, backward)


class Player:
    "A player."

    size: int = 4

    @cache
    def act(self, coins):
        return payout(coins)


def describe():
    return SCHEMA


def save(x):
    return put(x)


def all_of(x):
    return [getattr(game, name) for name in x]
""",
    "others": "def fit(coins, rate=0.1):\n    return coins\n",
}
NOTEBOOK = "from democratic_ai import players\n\nplayers.{}"


def toy(folder, source, changes=(), parameters="seed = 0"):
    "Write the toy package and a notebook that uses it; changes are (module, old, new)."
    modules = dict(PACKAGE)
    for name, old, new in changes:
        assert modules[name].count(old) == 1, (name, old)
        modules[name] = modules[name].replace(old, new)
    for name, text in modules.items():
        path = folder / "democratic_ai" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    cells = [
        new_markdown_cell("# Clone"),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        new_code_cell("%matplotlib inline"),
    ]
    (folder / "nbs/run").mkdir(parents=True, exist_ok=True)
    nbformat.write(
        new_notebook(cells=[*cells, new_code_cell(source)]),
        folder / runs.notebook(STEP),
    )
    return stale.code_hash(stale.Checkout(folder), STEP)


@pytest.mark.parametrize(
    ("asked", "change", "counts"),
    [
        ("fit(1)", ("players", "rate=0.1", "rate=0.2"), True),
        ("fit(1)", ("players", '"Fit."', '"Prose."'), False),
        (
            "fit(1)",
            ("players", "coins, rate=0.1", "coins: int, rate: float = 0.1"),
            False,
        ),
        ("fit(1)", ("others", "rate=0.1", "rate=0.2"), False),
        # `game` is a variable of fit, not the module
        ("fit(1)", ("game", "1.6", "1.5"), False),
        # by defvjp
        (
            "logits(1)",
            ("players", "return x\n\n\ndef logits", "return -x\n\n\ndef logits"),
            True,
        ),
        (
            "logits(1)",
            ("players", "defvjp(forward, backward)", "defvjp(backward, forward)"),
            True,
        ),
        ("logits(1)", ("players", "import math", "import cmath as math"), True),
        (
            "logits(1)",
            (
                "players",
                "from functools import cache, wraps",
                "from functools import cache",
            ),
            False,
        ),
        ("Player()", ("players", "@cache", "@wraps"), True),
        ("Player()", ("players", "size: int = 4", "size: int = 5"), True),
        ("Player()", ("players", '"A player."', '"Anybody."'), False),
        # in a method, through `from .game import payout`
        ("Player()", ("game", "1.6", "1.5"), True),
        ("Player()", ("engine/store", "import json", "import ujson as json"), True),
        ("Player()", ("game", "return 0", "return 1"), False),
        ("describe()", ("players", '"b": 2', '"b": 3'), True),
        ("describe()", ("players", "math.exp", "math.log"), False),
        # under another name
        ("save(1)", ("engine/store", "json.dumps(x)", "json.dumps([x])"), True),
        # a module's import is a name of it
        ("game.payout(1)", ("game", "1.6", "1.5"), True),
        # a module handed around counts as a whole
        ("all_of(1)", ("game", "return 0", "return 1"), True),
        ("fit(1)", ("__init__", '"1"', '"2"'), False),
    ],
)
def test_code_counts_where_it_is_reached(tmp_path, asked, change, counts):
    before = toy(tmp_path, NOTEBOOK.format(asked))
    assert (toy(tmp_path, NOTEBOOK.format(asked), [change]) != before) is counts


@pytest.mark.parametrize(
    ("parameters", "counts"),
    [
        ("seed = 7", False),
        ("seed = 0  # a comment", False),
        ("seed = 0\nother = 1", True),
        ("seeds = 0", True),
    ],
)
def test_of_parameters_the_names_count(tmp_path, parameters, counts):
    before = toy(tmp_path, NOTEBOOK.format("fit(1)"))
    assert (
        toy(tmp_path, NOTEBOOK.format("fit(1)"), parameters=parameters) != before
    ) is counts


def test_an_executed_copy_is_compared_without_what_papermill_adds(tmp_path):
    toy(tmp_path, NOTEBOOK.format("fit(1)"))
    path = tmp_path / runs.notebook(STEP)
    before, notebook = stale.cell_hashes(path), nbformat.read(path, 4)
    notebook.cells.insert(
        2, new_code_cell("seed = 3", metadata={"tags": ["injected-parameters"]})
    )
    nbformat.write(notebook, path)
    assert stale.cell_hashes(path) == before
    notebook.cells[-1].source += "  # now with a comment"
    nbformat.write(notebook, path)
    assert stale.cell_hashes(path) == before
    notebook.cells[-1].source = "players.fit(2)"
    nbformat.write(notebook, path)
    assert stale.cell_hashes(path) != before


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_one_setting_however_it_is_written(value):
    texts = {repr(value), f"{value:.17e}", f" {value!r} "} | (
        {f"{value:.1f}"} if value.is_integer() else set()
    )
    (said,) = {stale.normalise(text) for text in texts}
    assert float(said) == value and stale.normalise(said) == said


def test_words_and_lists_of_settings_stay():
    assert stale.normalise("0.0 0.50 relu 1e-3") == "0 0.5 relu 0.001"


def test_a_parameter_has_the_type_that_its_notebook_declares(tmp_path):
    toy(tmp_path, "", parameters="group_fraction = 1.0\nblocks = 480\nchanged = ''")
    checkout = stale.Checkout(tmp_path)
    whole = stale.parameters(
        checkout, STEP, {"group_fraction": stale.normalise("1.0"), "blocks": "20"}
    )
    assert whole == {"group_fraction": 1.0, "blocks": 20, "changed": ""}
    assert isinstance(whole["group_fraction"], float)
    with pytest.raises(
        store.DataError,
        match=r"nbs/run/21_clone\.ipynb declares no parameter 'los'; add it",
    ):
        stale.parameters(checkout, STEP, {"los": 1})
    with pytest.raises(
        store.DataError,
        match=r"blocks is '0\.5', which is no int; correct it in settings\.ini",
    ):
        stale.parameters(checkout, STEP, {"blocks": "0.5"})


# --- this repository ------------------------------------------------------------------


@pytest.fixture
def house(tmp_path):
    "A copy of the code and the data."
    for name in ("democratic_ai", "data"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("released", "__pycache__"),
        )
    (tmp_path / "nbs").symlink_to(ROOT / "nbs")
    return tmp_path


def changed(before, house):
    "Say which steps are stale in a house, by code or data."
    checkout = stale.Checkout(house)
    return {
        step
        for step, recipe in before.items()
        if stale.differences(checkout, step, recipe, {})
    }


@pytest.fixture
def recipes(house):
    checkout = stale.Checkout(house)
    return {step: stale.recipe(checkout, step, {}) for step in runs.WRITES}


READERS = {  # which steps print a published number, or play what it says
    "fig1c_relative_contribution": {"25_experiments", "38_statistics"},
    "fig3c_strict_egalitarian": set(),  # the calibration alone, outside the pipeline
    "fig2_votes": {
        "35_supplementary",
        "25_experiments",
        "32_figure2",
        "37_numbers",
        "38_statistics",
        "39_tables",
    },
    "table_s1a_votes": {"25_experiments", "26_hcmd_zero", "39_tables"},
    "table_s1b_virtual_votes": {"39_tables", "42_sensitivity"},
    "table_s2_metagame": {"38_statistics", "39_tables", "42_sensitivity"},
    "figure_s2_t": {"35_supplementary"},
    "text_statistics": {"34_figure4", "38_statistics"},
    "hcmd_zero": {"36_hcmd_zero"},
}


def test_the_steps_that_read_a_published_table_are_stale_when_it_changes(
    house, recipes
):
    assert set(READERS) == set(published.TABLES)
    for name, readers in READERS.items():
        path = house / "data" / "published" / f"{name}.csv"
        whole = path.read_text()
        path.write_text(whole + "\n")
        assert changed(recipes, house) == readers, name
        path.write_text(whole)
    (house / "data/participants/calibration.json").write_text("{}")
    assert changed(recipes, house) == {
        "20_acquire",
        "25_experiments",
        "26_hcmd_zero",
        "28_repeat",
        "41_readings",
        "42_sensitivity",
    }


def edit(path, old, new):
    "Change one place of a file that a pattern finds."
    text, n = re.subn(old, new, path.read_text())
    assert n == 1, f"{path.name}: {n} places like {old}"
    path.write_text(text)


def test_the_stop_rule_of_hcmd_zero_is_its_own_affair(house, recipes):
    edit(
        house / "democratic_ai" / "hcmd_zero.py",
        r"errors: float = 2\.0",
        "errors: float = 3.0",
    )
    stale_now = changed(recipes, house)
    assert "26_hcmd_zero" in stale_now and stale_now <= {"26_hcmd_zero", "36_hcmd_zero"}


def test_what_trains_players_is_reached_from_their_training_and_not_from_play(
    house, recipes
):
    edit(
        house / "democratic_ai" / "cloning.py",
        r"b1=0\.9, b2=0\.999",
        "b1=0.8, b2=0.999",
    )
    stale_now = changed(recipes, house)
    assert "21_clone" in stale_now
    assert not stale_now & {
        "20_acquire",
        "22_metagame",
        "23_train",
        "24_elect",
    }


def test_prose_and_what_nobody_uses_make_nothing_stale(house, recipes):
    for path in (house / "democratic_ai").rglob("*.py"):
        path.write_text(
            path.read_text()
            + "\n\ndef unused_novelty():\n    'Prose.'\n    return 1  # more prose\n"
        )
    edit(house / "democratic_ai" / "game.py", r'\A"""', '"""Prose. ')
    assert changed(recipes, house) == set()


def test_the_record_of_hcmd_zero_does_not_depend_on_what_looks_at_it(house):
    (house / "nbs").unlink()
    shutil.copytree(ROOT / "nbs" / "run", house / "nbs" / "run")

    def hashes():
        checkout = stale.Checkout(house)
        return [
            stale.code_hash(checkout, "26_hcmd_zero", until)
            for until in (None, "hcmd_zero.run(")
        ]

    whole, record = hashes()
    path = house / "nbs" / "run" / "26_hcmd_zero.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.append(new_code_cell("print(record)"))
    nbformat.write(notebook, path)
    assert hashes()[0] != whole and hashes()[1] == record
