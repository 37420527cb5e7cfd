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
# # What is stale
#
# > A notebook and its settings go in; a short text comes out that changes when, and only when, the notebook might compute something else.

# %%
#| default_exp engine.stale

# %% [markdown]
# *In this notebook*: the one notion of *stale*. It uses `store`, `published` (for the names of the
# tables) and `runs`. The Snakefile asks it which steps to run again, HCMD-zero's step names its
# record by it, `make publish` compares notebooks with it, and `make stale` reports by it.

# %%
#| export
import ast
import configparser
import hashlib
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat

from democratic_ai.engine import published, runs, store

# %%
#| hide
import os
import tempfile

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

home, workshop = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(workshop.name)  # the examples below write files; nothing of them stays

# %% [markdown]
# A pipeline of hours should not start anew for a corrected comma, and must not keep a result whose
# code has changed. What decides?
#
# ## The naive way: the text of the files
#
# Compare files byte for byte, or by date, as `make` does. Three modules of a toy package will show
# why that is too much. `game` pays coins out. `training` and `elections` both have a function
# `fit`, and only the first is used by the notebook below.

# %%
GAME = """"Pay coins out."


def payout(contribution, growth=1.6):
    "Grow the fund."
    return growth * sum(contribution)
"""
TRAINING = """"Train."
from democratic_ai import game


def fit(contribution, rate=0.1):
    return rate * game.payout(contribution)
"""
ELECTIONS = """"Count votes."


def fit(votes, errors=2):
    return votes - errors
"""
CELLS = [
    new_markdown_cell("# Train"),
    new_code_cell("seed = 0\nupdates = 300", metadata={"tags": ["parameters"]}),
    new_code_cell("from democratic_ai import training\n\ntraining.fit([10, 2, 2, 2])"),
    new_code_cell("print(updates)"),
]
for name, text in (("game", GAME), ("training", TRAINING), ("elections", ELECTIONS)):
    Path("democratic_ai").mkdir(exist_ok=True)
    Path(f"democratic_ai/{name}.py").write_text(text)
Path("democratic_ai/__init__.py").write_text("")
Path("nbs/run").mkdir(parents=True)
nbformat.write(new_notebook(cells=CELLS), "nbs/run/21_clone.ipynb")

digest = lambda: hashlib.sha256(Path("democratic_ai/game.py").read_bytes()).hexdigest()[
    :8
]
before = digest()
Path("democratic_ai/game.py").write_text(
    GAME.replace("Grow the fund.", "Grow the public fund.")
)
assert digest() != before, (
    "a word of prose, and everything trained would be thrown away"
)
before, digest()


# %% [markdown]
# ## Code without prose
#
# Python's own parser forgets comments and layout. Docstrings and the annotations of arguments are
# left, and are prose too: they change no number. (In a dataclass an annotation makes a field, so
# annotations in a class stay.)

# %%
#| export
class _WithoutProse(ast.NodeTransformer):
    "Remove docstrings, assignments to `__doc__`, and functions' annotations."

    def visit_Expr(self, node):
        is_text = isinstance(node.value, ast.Constant) and isinstance(
            node.value.value, str
        )
        return None if is_text else self.generic_visit(node)

    def visit_Assign(self, node):
        is_doc = all(
            getattr(target, "attr", "") == "__doc__" for target in node.targets
        )
        return None if is_doc else self.generic_visit(node)

    def visit_arg(self, node):
        node.annotation = None
        return node

    def _visit_definition(self, node):
        node.returns = None
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _visit_definition


# %%
#| export
def _parse(source: str) -> list[ast.stmt]:
    "Parse code and remove its prose."
    return _WithoutProse().visit(ast.parse(source)).body


def _text(node: Any) -> str:
    "Write a syntax tree in one way for all versions of Python."
    if isinstance(node, ast.AST):
        fields = (
            (name, value) for name, value in ast.iter_fields(node) if name != "ctx"
        )
        said = (
            f"{name}={_text(value)}"
            for name, value in fields
            if value not in (None, [])
        )
        return f"{type(node).__name__}({','.join(said)})"
    return f"[{','.join(map(_text, node))}]" if isinstance(node, list) else repr(node)


def _digest(content: str | bytes) -> str:
    "Shorten a content to sixteen characters that no other content has."
    whole = content if isinstance(content, bytes) else content.encode()
    return hashlib.sha256(whole).hexdigest()[:16]


# %%
as_text = lambda source: "".join(map(_text, _parse(source)))
assert as_text(GAME) == as_text(GAME.replace("Grow the fund.", "Grow the public fund."))
assert as_text(GAME) == as_text(
    GAME.replace("growth=1.6", "growth: float = 1.6,  # a factor\n")
)
assert as_text(GAME) != as_text(GAME.replace("1.6", "1.5"))
print(as_text("a = 1  # coins"), _digest(as_text("a = 1")))


# %% [markdown]
# ## Whose name is it?
#
# The next trap is names. `fit` occurs in two modules here, and `init`, `act` or `run` in many of
# ours. If bare names decided, a new default in `elections.fit` would train the players again. So a
# name is followed as Python follows it: `training.fit` through the import to that module, `game`
# inside a function only if it is not the function's own variable.
#
# A module is a list of statements. Each is kept under the names that it defines. One that defines
# nothing, like `player_logits.defvjp(forward, backward)`, still changes what it mentions.

# %%
#| export
def _targets(statement: ast.stmt) -> list[ast.AST]:
    "List what a statement assigns to."
    single = [getattr(statement, "target", None)]
    opened = [item.optional_vars for item in getattr(statement, "items", [])]
    return [*getattr(statement, "targets", single), *opened]


def _defined(statement: ast.stmt) -> set[str]:
    "Name what a statement defines, also inside `if`, `for`, `with` and `try`."
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    nodes = (
        node for target in _targets(statement) if target for node in ast.walk(target)
    )
    names = {
        n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    for block in ("body", "orelse", "finalbody", "handlers"):
        names |= {
            name for inner in getattr(statement, block, []) for name in _defined(inner)
        }
    return names


# %%
#| export
def _globals(statement: ast.stmt) -> set[str]:
    "Name what a statement takes from its module: not its functions' own variables."
    left, names = (
        [symtable.symtable(ast.unparse(statement), "statement", "exec")],
        set(),
    )
    while left:
        table = left.pop()
        left += table.get_children()
        at_top = table.get_type() == "module"
        names |= {s.get_name() for s in table.get_symbols() if at_top or s.is_global()}
    return names


# %%
(statement,) = _parse("def f(game):\n    return game + sum(coins)")
assert _globals(statement) == {"f", "sum", "coins"}, "game is the function's own"
assert _defined(statement) == {"f"} and _defined(*_parse("if x:\n    a, b = 1, 2")) == {
    "a",
    "b",
}
_globals(statement)


# %%
#| export
def _imports(tree: ast.AST, package: list[str]) -> dict[str, str]:
    "Map imported names to full ones, `store` to `democratic_ai.engine.store`."
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.split(".")[0]
                found[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                found[alias.asname or alias.name] = f"{start}.{alias.name}"
    return found


# %%
#| export
def _dotted(node: ast.AST) -> str | None:
    "Write `a.b.c` as a text; None for anything but names."
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return before and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def _chains(node: ast.AST) -> Iterator[str]:
    "List names with what is asked of them: `game.payout`, not `game`."
    if whole := _dotted(node):
        yield whole
    else:
        for child in ast.iter_child_nodes(node):
            yield from _chains(child)


# %%
assert _imports(ast.parse("from . import store"), ["democratic_ai", "engine"]) == {
    "store": "democratic_ai.engine.store"
}
assert list(_chains(ast.parse("game.payout(coins).sum()"))) == ["game.payout", "coins"]


# %%
#| export
@dataclass(frozen=True, eq=False)
class _Module:
    "The statements of a module or a notebook, and what its names mean."

    name: str  # democratic_ai.engine.store
    statements: tuple[ast.stmt, ...]  # without imports
    imports: Mapping[str, str]  # what each imported name stands for

    @cached_property
    def defined(self) -> dict[str, list[ast.stmt]]:
        "Find statements by the names that they define."
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.statements:
            for name in _defined(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def effects(self) -> list[ast.stmt]:
        "Find statements that define nothing."
        return [statement for statement in self.statements if not _defined(statement)]

    @cached_property
    def mentions(self) -> dict[int, set[str]]:
        "Write in full what each statement mentions, by its `id`."
        return {
            id(statement): _mentions(self, statement) for statement in self.statements
        }


# %%
#| export
def _module(name: str, source: str, package: list[str]) -> _Module:
    "Take a module apart; `package` says where its relative imports begin."
    kept = (
        s for s in _parse(source) if not isinstance(s, (ast.Import, ast.ImportFrom))
    )
    return _Module(name, tuple(kept), _imports(ast.parse(source), package))


def _full(module: _Module, dotted: str | None) -> str | None:
    "Write `game.payout` in full, `democratic_ai.game.payout`; None for others."
    head, dot, rest = (dotted or "").partition(".")
    if head in module.imports:
        return f"{module.imports[head]}{dot}{rest}"
    return f"{module.name}.{dotted}" if head in module.defined else None


def _mentions(module: _Module, statement: ast.stmt) -> set[str]:
    "Write in full what a statement mentions, but not its functions' own variables."
    known = _globals(statement)
    chains = (name for name in _chains(statement) if name.split(".")[0] in known)
    return {full for name in chains if (full := _full(module, name))}


# %%
training = _module("democratic_ai.training", TRAINING, ["democratic_ai"])
assert list(training.mentions.values()) == [{"democratic_ai.game.payout"}]
list(training.defined)


# %% [markdown]
# ## Everything that a notebook reaches
#
# From the notebook's cells the names lead to definitions, and from those to further ones, until
# nothing new is found. A class counts as a whole. A module that is handed around as a value, and
# not asked for one name, counts as a whole as well.
#
# Of the cell tagged `parameters` only the names count, since the pipeline sets the values. They are
# settings, and have their turn below.

# %%
#| export
def _code_cells(path: Path | str) -> list[tuple[str, bool]]:
    "Read a notebook's code, cell by cell, and whether the cell holds the parameters."
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in cells]
    return [
        ("" if cell.source.startswith("%") else cell.source, "parameters" in tag)
        for cell, tag in zip(cells, tags, strict=True)
        if "injected-parameters" not in tag
    ]


def _names_only(source: str) -> str:
    "Keep the names of the cell with the parameters."
    names = (
        name for statement in _parse(source) for name in sorted(_defined(statement))
    )
    return "\n".join(f"{name} = ..." for name in names)


def cell_hashes(
    path: Path | str,  # of a notebook, or of the copy that papermill executed
) -> list[str]:  # one for each code cell; papermill's own cell is left out
    "Hash a notebook's code cell by cell, without prose and the values of parameters."
    sources = (
        _names_only(text) if given else text for text, given in _code_cells(path)
    )
    return [_digest("".join(map(_text, _parse(source)))) for source in sources]


# %%
hashes = cell_hashes("nbs/run/21_clone.ipynb")
CELLS[1].source = "seed = 7  # another value\nupdates = 300"
nbformat.write(new_notebook(cells=CELLS), "nbs/run/21_clone.ipynb")
assert cell_hashes("nbs/run/21_clone.ipynb") == hashes and len(set(hashes)) == 3
hashes


# %%
#| export
class Checkout:
    "The code of a checkout, each file read once."

    def __init__(self, root: Path | str = "."):
        self.root, self.modules, self._read = Path(root), {}, {}
        for path in sorted((self.root / "democratic_ai").rglob("*.py")):
            parts = path.relative_to(self.root).with_suffix("").parts
            package = list(parts[:-1])
            name = ".".join(package if parts[-1] == "__init__" else parts)
            self.modules[name] = _module(name, path.read_text(), package)

    def cells(self, step: str) -> list[tuple[str, bool]]:
        "Read a step's code cells, each with whether it holds the parameters."
        if step not in self._read:
            self._read[step] = _code_cells(self.root / runs.notebook(step))
        return self._read[step]


def _notebook(checkout: Checkout, step: str, until: str | None) -> _Module:
    "Read a step's notebook as a module, up to the first cell that contains `until`."
    cells = checkout.cells(step)
    last = next(
        (i for i, (text, _) in enumerate(cells) if until and until in text), len(cells)
    )
    kept = cells[: last + 1]
    source = "\n".join(_names_only(text) if given else text for text, given in kept)
    return _module(step, source, [])


# %%
#| export
def _locate(checkout: Checkout, full: str) -> list[tuple[_Module, str]]:
    "Find the definitions of ours that a full name stands for."
    parts = full.split(".")
    for n in range(len(parts), 0, -1):
        if module := checkout.modules.get(".".join(parts[:n])):
            if n == len(parts):
                return [(module, name) for name in module.defined]
            if parts[n] in module.defined:
                return [(module, parts[n])]
            further = module.imports.get(parts[n])
            return (
                _locate(checkout, ".".join([further, *parts[n + 1 :]]))
                if further
                else []
            )
    return []


def _needs(checkout: Checkout, module: _Module, code: ast.stmt) -> list[tuple]:
    "List the definitions that a statement mentions, with their modules."
    names = module.mentions[id(code)]
    places = (place for name in names for place in _locate(checkout, name))
    return [(where, found) for where, name in places for found in where.defined[name]]


# %%
#| export
def _effects(
    checkout: Checkout, found: dict[int, tuple]
) -> Iterator[tuple[_Module, ast.stmt]]:
    "List statements that act on a definition found, or on nothing of ours."
    for module in {module.name: module for module, _ in found.values()}.values():
        for statement in module.effects:
            needs = _needs(checkout, module, statement)
            own = [s for where, s in needs if where is module]
            if not own or any(id(s) in found for s in own):
                yield module, statement


def reached(
    checkout: Checkout,
    step: str,  # like "21_clone"
    until: str | None = None,  # only up to the first cell that contains this text
) -> list[tuple[_Module, ast.stmt]]:
    "List each statement that a step's outcome depends on, with its module."
    notebook = _notebook(checkout, step, until)
    new = {id(statement): (notebook, statement) for statement in notebook.statements}
    found = {}
    while new:
        found |= new
        needed = [pair for one in new.values() for pair in _needs(checkout, *one)]
        needed += _effects(checkout, found)
        new = {id(s): (module, s) for module, s in needed if id(s) not in found}
    return list(found.values())


# %% [markdown]
# The hash of a step is made of all these statements, each with what its names stand for.

# %%
#| export
def code_hash(
    checkout: Checkout,
    step: str,  # like "21_clone"
    until: str | None = None,  # only up to the first cell that contains this text
) -> str:
    "Hash all code that a step's outcome depends on."
    texts = set()
    for module, statement in reached(checkout, step, until):
        meant = sorted(module.mentions[id(statement)])
        texts.add(f"{module.name}: {_text(statement)} {meant}")
    return _digest("\n".join(sorted(texts)))


# %%
def hashes():
    checkout = Checkout()
    return [
        code_hash(checkout, "21_clone"),
        code_hash(checkout, "21_clone", until="training.fit"),
    ]


def after(name, old, new):
    "Change a file, hash, and change it back."
    path, text = Path(name), Path(name).read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    result = hashes()
    path.write_text(text)
    return result


whole, up_to_fit = hashes()
assert after("democratic_ai/training.py", '"Train."', '"Train players."') == [
    whole,
    up_to_fit,
]
assert after("democratic_ai/elections.py", "errors=2", "errors=3") == [whole, up_to_fit]
assert after("democratic_ai/game.py", "growth=1.6", "growth=1.5")[0] != whole, (
    "reached through fit"
)
assert (
    after("democratic_ai/training.py", "import game", "import elections as game")[0]
    != whole
)
changed = after("nbs/run/21_clone.ipynb", "print(updates)", "print(seed)")
assert changed[0] != whole and changed[1] == up_to_fit, "what comes after the training"
[
    f"{module.name}: {ast.unparse(code)}"
    for module, code in reached(Checkout(), "21_clone")
]

# %% [markdown]
# `elections.fit` is not among them. By bare names it would be, and in this repository the run
# notebooks would reach four times as much as they need.
#
# ## The data that a step reads
#
# Published numbers are inputs like any other: when one is corrected, every table beside which it is
# printed is stale. Which tables a notebook reads stands in its code,
# `published.read("fig2_votes")`, perhaps in a function that it only imports. Other files of `data/`
# are written as `published.DATA / "participants" / "calibration.json"`.

# %%
#| export
_PUBLISHED = "democratic_ai.engine.published"


def _texts(node: ast.AST) -> list[str]:
    "List the texts in a piece of code."
    found = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
    return [value for value in found if isinstance(value, str)]


def _tables(module: _Module, statement: ast.stmt) -> Iterator[str]:
    "Name the published tables that a statement reads; all, if it does not say."
    for node in ast.walk(statement):
        if (
            isinstance(node, ast.Call)
            and _full(module, _dotted(node.func)) == f"{_PUBLISHED}.read"
        ):
            named = _texts(node) or [
                name for name in _texts(statement) if name in published.TABLES
            ]
            yield from named or published.TABLES


def _files(module: _Module, statement: ast.stmt) -> Iterator[Path]:
    "Name the files below `published.DATA` that a statement spells."
    for node in ast.walk(statement):
        root, parts = node, []
        while isinstance(root, ast.BinOp) and isinstance(root.op, ast.Div):
            parts, root = [*_texts(root.right), *parts], root.left
        if parts and _full(module, _dotted(root)) == f"{_PUBLISHED}.DATA":
            yield Path("data", *parts)


# %%
#| export
def data_files(checkout: Checkout, step: str) -> list[str]:
    "List the files of `data/` that a step reads, below the checkout."
    found = set()
    for module, statement in reached(checkout, step):
        found |= set(_files(module, statement))
        if module.name != _PUBLISHED:
            found |= {
                Path(f"data/published/{name}.csv")
                for name in _tables(module, statement)
            }
    return sorted(str(path) for path in found if (checkout.root / path).is_file())


# %%
READS = """
from democratic_ai.engine import published

CALIBRATION = published.DATA / "participants" / "calibration.json"


def beside():
    return published.read("fig2_votes")


def both():
    names = ("table_s1a_votes", "table_s1b_virtual_votes")
    return [published.read(name) for name in names]


def neither():
    return CALIBRATION
"""
Path("data/published").mkdir(parents=True)
for name in published.TABLES:
    Path(f"data/published/{name}.csv").write_text("x\n")
Path("data/participants").mkdir()
Path("data/participants/calibration.json").write_text("{}")
Path("democratic_ai/reads.py").write_text(READS)


def reads(source):
    cells = [new_code_cell(f"from democratic_ai import reads\n{source}")]
    nbformat.write(new_notebook(cells=cells), "nbs/run/25_experiments.ipynb")
    return [Path(name).stem for name in data_files(Checkout(), "25_experiments")]


assert reads("reads.beside()") == ["fig2_votes"]
assert reads("reads.both()") == ["table_s1a_votes", "table_s1b_virtual_votes"]
assert reads("reads.neither()") == ["calibration"]
reads("reads.beside(), reads.neither()")


# %% [markdown]
# ## Settings
#
# The rest is numbers: `settings.ini` says them as text, and `1`, `1.0` and `1e0` are three texts.
# They should be one setting, so a number is written in one way when it is read.

# %%
#| export
def normalise(
    setting: str,  # one or more words
) -> str:
    "Write numbers among some words in one way, `1.0` as `1`, `1e-3` as `0.001`."

    def word(text):
        try:
            value = float(text)
        except ValueError:
            return text
        return str(int(value)) if value.is_integer() else repr(value)

    return " ".join(map(word, setting.split()))


def read_settings(path: Path | str, profile: str) -> dict[str, str]:
    "Read a profile's settings, normalised; raises DataError for an unknown one."
    found = configparser.ConfigParser(comment_prefixes=";")
    found.read(path)
    if profile not in found:
        known = ", ".join(found.sections())
        wrong = f"There is no profile '{profile}' in {path}"
        raise store.DataError(f"{wrong}; choose one of {known}.")
    return {name: normalise(value) for name, value in found[profile].items()}


# %%
assert normalise("1e0") == normalise("1.0") == normalise("1") == "1"
assert normalise("1e-3 2.50 hidden") == "0.001 2.5 hidden"
Path("settings.ini").write_text(
    "[DEFAULT]\nloss = 1.0\n[smoke]\nupdates = 3e2\n[laptop]\n"
)
with pytest.raises(
    store.DataError, match=r"no profile 'desktop' in settings\.ini; choose"
):
    read_settings("settings.ini", "desktop")
read_settings("settings.ini", "smoke")


# %% [markdown]
# A notebook declares its parameters with a value, which holds when it is run by hand. A parameter
# that the pipeline does not set keeps that value, so it belongs to the settings of a step too. And
# the declared value says whether a whole number is wanted: `group_fraction = 1` is handed on as
# `1.0`.

# %%
#| export
def parameters(
    checkout: Checkout,
    step: str,
    given: Mapping[str, Any],  # values or texts, by name
) -> dict[str, int | float | str]:
    "Complete a step's parameters; raises DataError for one that its notebook lacks."
    path = runs.notebook(step)
    (source,) = [text for text, is_theirs in checkout.cells(step) if is_theirs]
    declared = {
        s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(source).body
    }
    for name, value in given.items():
        if name not in declared:
            remedy = "add it to the cell tagged 'parameters'."
            raise store.DataError(f"{path} declares no parameter '{name}'; {remedy}")
        wanted = type(declared[name])
        try:
            declared[name] = wanted(value)
        except ValueError:
            wrong = f"{path}: {name} is {value!r}, which is no {wanted.__name__}"
            raise store.DataError(f"{wrong}; correct it in settings.ini.") from None
    return declared


# %%
#| export
def recipe(checkout: Checkout, step: str, settings: Mapping[str, str]) -> dict:
    "Say what makes a step: its code, the data that it reads, its settings."
    files = data_files(checkout, step)
    data = {name: _digest((checkout.root / name).read_bytes()) for name in files}
    return {"code": code_hash(checkout, step), "data": data, "settings": dict(settings)}


# %%
checkout = Checkout()
assert parameters(checkout, "21_clone", {"updates": "3000"}) == {
    "seed": 7,
    "updates": 3000,
}
with pytest.raises(
    store.DataError, match=r"21_clone\.ipynb declares no parameter 'update'; add it"
):
    parameters(checkout, "21_clone", {"update": 3000})
made = recipe(checkout, "25_experiments", {"group_fraction": "1"})
made


# %% [markdown]
# Every step of a run leaves its recipe beside its outputs, and `make publish` keeps the recipes
# with the results. So it can be said later what has changed since.

# %%
#| export
def differences(
    checkout: Checkout,
    step: str,
    made: Mapping[str, Any],  # the recipe that made something
    settings: Mapping[str, str],  # of its profile, now
) -> list[str]:
    "Say how a step would be made otherwise now; an empty list: not at all."
    now = recipe(
        checkout, step, {name: settings.get(name, "gone") for name in made["settings"]}
    )
    found = [] if now["code"] == made["code"] else ["other code"]
    was, data = made["data"], now["data"]
    names = sorted(was.keys() | data.keys())
    found += [f"another {name}" for name in names if was.get(name) != data.get(name)]
    for name, value in now["settings"].items():
        if value != made["settings"][name]:
            found.append(f"{name} = {made['settings'][name]} (now {value})")
    return found


# %%
assert differences(checkout, "25_experiments", made, {"group_fraction": "1"}) == []
Path("data/published/fig2_votes.csv").write_text("y\n")
differences(checkout, "25_experiments", made, {"group_fraction": "2"})

# %% [markdown]
# ## Recap
#
# `Checkout` reads the code once; `reached` lists what a notebook's outcome depends on, and
# `code_hash` shortens that to sixteen characters, `cell_hashes` the notebook's own cells one by
# one. `data_files` names the data that a step reads. `read_settings` and `parameters` turn texts
# into numbers. `recipe` puts all three together, `differences` compares a recipe with the checkout.
#
# **Question.** A run notebook calls `getattr(mechanisms, name)`. Which definitions count?
#
# <details><summary>Answer</summary>
#
# All of the module `mechanisms`, since it is handed around as a value. It is safer to write the
# name out where it is known.
#
# </details>

# %%
#| hide
os.chdir(home)
workshop.cleanup()
