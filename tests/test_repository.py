"""The rules of the house: CONTRIBUTING.md says them in words, these tests hold them."""

import ast
import configparser
import json
import re
import subprocess
from pathlib import Path

import jupytext
import nbformat
import pytest

from democratic_ai.engine import docstrings

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "nbs").glob("*/*.ipynb"))
# first digits, by folder; the engine has no numbers
NUMBERS = {"method": "015", "run": "2", "results": "3", "questions": "4"}
COMPONENTS = [path for path in NOTEBOOKS if path.parent.name in ("method", "engine")]
METHOD = [path for path in COMPONENTS if path.parent.name == "method"]
RUNS = [
    path for path in NOTEBOOKS if path.parent.name in ("run", "results", "questions")
]
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(home|root|tmp|usr|opt|Users|var)/\w|/ipykernel_|site-packages"
)
NAMES = {path: f"{path.parent.name}/{path.stem}" for path in NOTEBOOKS}
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("data/README.md"),
        *ROOT.glob("data/*/README.md"),
    ]
)


def cells(path):
    return nbformat.read(path, 4).cells


def code(path):
    return [cell for cell in cells(path) if cell.cell_type == "code"]


def exported(path):
    return [
        cell.source for cell in code(path) if re.match(r"#\| export\b", cell.source)
    ]


def module(path):
    return (
        f"engine.{path.stem}"
        if path.parent.name == "engine"
        else path.stem.split("_", 1)[1]
    )


def generated(path):
    return ROOT / "democratic_ai" / f"{module(path).replace('.', '/')}.py"


def tracked():
    "Files under git; in an archive without .git, all but what .gitignore names."
    if (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [
            ROOT / name
            for name in listing.split("\0")
            if name and (ROOT / name).exists()
        ]
    made = [
        line.strip().rstrip("/")
        for line in (ROOT / ".gitignore").read_text().splitlines()
    ]
    made = [pattern if "/" in pattern else f"**/{pattern}" for pattern in made]
    ignored = {path for pattern in made for path in ROOT.glob(pattern)}
    files = [path for path in ROOT.rglob("*") if path.is_file()]
    return [path for path in files if not ignored & {path, *path.parents}]


def test_there_are_component_and_run_notebooks():
    assert len(COMPONENTS) >= 12 and len(RUNS) >= 9


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_a_notebook_is_in_the_folder_that_its_number_names(path):
    folder = path.parent.name
    numbered = re.match(r"\d\d_", path.stem)
    assert path.stem[0] in NUMBERS[folder] if numbered else folder == "engine"


@pytest.mark.parametrize("path", COMPONENTS, ids=NAMES.get)
def test_a_component_exports_the_module_of_its_own_name(path):
    assert code(path)[0].source.strip() == f"#| default_exp {module(path)}"
    assert generated(path).exists()
    assert exported(path), "a component notebook exports something"


@pytest.mark.parametrize("path", RUNS, ids=NAMES.get)
def test_run_and_figure_notebooks_export_nothing(path):
    assert not exported(path)
    assert "default_exp" not in "".join(cell.source for cell in code(path))


@pytest.mark.parametrize("path", RUNS, ids=NAMES.get)
def test_a_run_notebook_declares_its_parameters_in_one_cell(path):
    assert (
        sum("parameters" in cell.metadata.get("tags", []) for cell in cells(path)) == 1
    )


@pytest.mark.parametrize("path", COMPONENTS, ids=NAMES.get)
def test_what_is_returned_is_described_beside_its_type(path):
    # a formatter tears a description of more than a line off its type
    torn = [s for s in exported(path) if re.search(r"(?m)^[)\]]+: +#", s)]
    assert not torn, "shorten the comment behind the arrow"


@pytest.mark.parametrize("path", RUNS, ids=NAMES.get)
def test_a_run_draws_from_named_streams(path):
    source = "\n".join(cell.source for cell in code(path))
    keys = re.findall(r"([\w.]*\()?jax\.random\.key\(([^()]*)\)", source)
    # a network's parameters are loaded into a template, whose values do not matter
    drawn = [key for key in keys if not (key[0].endswith(".init(") and key[1] == "0")]
    assert drawn == []
    assert "fold_in(" not in source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_title_and_promise_come_first(path):
    first = cells(path)[0]
    assert first.cell_type == "markdown" and re.match(r"# .+\n\n> .+", first.source)


def test_every_title_is_its_own():
    titles = [cells(path)[0].source.splitlines()[0] for path in NOTEBOOKS]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("path", METHOD, ids=NAMES.get)
def test_imports_point_to_smaller_numbers(path):
    number = {module(p): int(p.stem[:2]) for p in METHOD}
    for line in re.findall(
        r"^from democratic_ai import (.+)$",
        "\n".join(c.source for c in code(path)),
        flags=re.MULTILINE,
    ):
        for name in re.findall(r"\w+", line):
            assert number[name] < int(path.stem[:2]), f"{path.stem} imports {name}"


@pytest.mark.parametrize(
    "path", [path for path in COMPONENTS if path not in METHOD], ids=NAMES.get
)
def test_the_engine_imports_nothing_of_the_method(path):
    for source in exported(path):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                assert (
                    not (node.module or "").startswith("democratic_ai")
                    or node.module == "democratic_ai.engine"
                ), ast.unparse(node)


@pytest.mark.parametrize("path", COMPONENTS, ids=NAMES.get)
def test_exported_cells_are_at_most_thirty_lines(path):
    for source in exported(path):
        assert len(source.splitlines()) - 1 <= 30, source.splitlines()[1]


@pytest.mark.parametrize("path", COMPONENTS, ids=NAMES.get)
def test_functions_and_modules_stay_short(path):
    assert sum(len(source.splitlines()) - 1 for source in exported(path)) <= 450
    for source in exported(path):
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                first = min(
                    [node.lineno, *(mark.lineno for mark in node.decorator_list)]
                )
                assert node.end_lineno - first + 1 <= 25, node.name


@pytest.mark.parametrize("path", COMPONENTS, ids=NAMES.get)
def test_the_module_is_what_the_notebook_exports(path):
    # as nbdev's export does
    sources = [docstrings.render(source) for source in exported(path)]
    ours = [ast.dump(node) for source in sources for node in ast.parse(source).body]
    written = ast.parse(generated(path).read_text())
    package = ["democratic_ai", *module(path).split(".")[:-1]]
    for node in ast.walk(written):
        # nbdev writes our own imports as relative ones
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package[: len(package) + 1 - node.level]
            node.module = ".".join([*above, *filter(None, [node.module])])
            node.level = 0
    theirs = [ast.dump(node) for node in written.body[1:]]  # after the docstring
    theirs = [node for node in theirs if "'__all__'" not in node]
    assert theirs == ours, "run `make sync`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_the_paired_text_says_the_same(path):
    text = jupytext.read(ROOT / "nbs" / "text" / path.parent.name / f"{path.stem}.py")

    def essence(notebook):
        return [
            (c.cell_type, c.source.strip(), c.metadata.get("tags", []))
            for c in notebook.cells
        ]

    assert essence(text) == essence(nbformat.read(path, 4)), "run `make sync`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_prose_is_at_most_a_hundred_characters_wide(path):
    for cell in cells(path):
        if cell.cell_type == "markdown":
            # formulas and code have lines of their own
            prose = re.sub(r"(?s)\$\$.*?\$\$|```.*?```", "", cell.source)
            for line in prose.splitlines():
                assert len(line) <= 98 or line.startswith(("|", ">", "#", "![", "<")), (
                    line
                )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_are_at_most_a_hundred_characters_wide(path):
    text = re.sub(r"(?s)```.*?```|<!--.*?-->", "", path.read_text())
    for line in text.splitlines():
        assert len(line) <= 100 or line.startswith(("|", "    ", "![")), line


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_notebooks_are_clean(path):
    for cell in cells(path):
        assert set(cell.metadata) <= {"tags"}
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert not any(output.output_type == "error" for output in cell.outputs)
            assert not MACHINE_PATH.search(json.dumps(cell.outputs)), (
                "an output names a folder of one machine"
            )


def shows(source):
    "Tell a cell that prints, or ends in a value."
    if source.startswith("#|"):
        return False
    body = ast.parse(re.sub(r"(?m)^%.*", "", source)).body
    values = [line.value for line in body if isinstance(line, ast.Expr)]
    calls = [ast.unparse(v.func) for v in values if isinstance(v, ast.Call)]
    ends = bool(body) and isinstance(body[-1], ast.Expr)
    return "print" in calls or (ends and not isinstance(values[-1], ast.Call))


@pytest.mark.parametrize("path", COMPONENTS, ids=NAMES.get)
def test_component_notebooks_carry_outputs_and_claims(path):
    sources = [cell.source for cell in code(path)]
    showing = [s for s in sources if not s.startswith("#|")]
    assert all(cell.outputs for cell in code(path) if shows(cell.source)), (
        f"run `make execute NAME={NAMES[path]}`"
    )
    assert sum("assert" in s for s in showing) >= len(showing) / 4


def test_every_tracked_file_is_small():
    for path in tracked():
        assert path.stat().st_size <= 500_000, path.name


MODULES = [
    path
    for path in sorted((ROOT / "democratic_ai").rglob("*.py"))
    if not path.stem.startswith("_")
]


def public(body):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [
        node
        for node in body
        if isinstance(node, kinds) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_docstring_names_every_parameter_and_what_is_returned(path):
    for node in public(ast.parse(path.read_text()).body):
        told = ast.get_docstring(node)
        assert told, f"{path.stem}.{node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
            wanted = [field.target.id for field in fields]
            heading = "Attributes" if fields else ""
        else:
            a = node.args
            given = [
                *a.posonlyargs,
                *a.args,
                *a.kwonlyargs,
                *filter(None, [a.vararg, a.kwarg]),
            ]
            wanted = [arg.arg for arg in given]
            nothing = node.returns and ast.unparse(node.returns) == "None"
            heading = "" if nothing else "(Returns|Yields)"
        for name in wanted:
            named = re.search(rf"^\**{name}( : |$)", told, re.MULTILINE)
            assert named, f"{path.stem}.{node.name} says nothing of `{name}`"
        assert re.search(rf"^{heading}", told, re.MULTILINE), (
            f"{path.stem}.{node.name}: {heading}?"
        )


def test_profiles_set_the_same_numbers():
    profiles = configparser.ConfigParser(comment_prefixes=";")
    profiles.read(ROOT / "settings.ini")
    names = {profile: set(profiles[profile]) for profile in profiles.sections()}
    assert set(names) == {"smoke", "laptop", "paper"}
    assert names["smoke"] == names["laptop"] == names["paper"]
    for name in ("clone_updates", "train_updates", "metagame_blocks", "pilot_blocks"):
        assert (
            profiles.getint("smoke", name)
            <= profiles.getint("laptop", name)
            <= profiles.getint("paper", name)
        )


def test_the_paper_profile_has_the_papers_sizes():
    profiles = configparser.ConfigParser(comment_prefixes=";")
    profiles.read(ROOT / "settings.ini")
    paper = profiles["paper"]
    expected = {
        "pilot_blocks": 4809,
        "holdout_blocks": 288,
        "clone_games": 512,
        "clone_updates": 30_000,
    }
    expected |= {"metagame_blocks": 4096, "train_games": 64, "train_updates": 10_000}
    assert {name: int(paper[name]) for name in expected} == expected
    assert int(paper["n_iterations"]) >= 2 and int(paper["n_seeds"]) >= 3


def test_the_lock_names_versions_and_no_addresses():
    lines = [
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if line
    ]
    assert all(re.match(r"[A-Za-z0-9_.\-\[\]]+==\S+( ; .+)?$", line) for line in lines)
    assert not any("://" in line for line in lines)


def test_the_lock_covers_every_dependency():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # what is asked for by hand, as README says, and not on every machine
    by_hand = {"bench", "cuda"}
    wanted = project["dependencies"] + [
        name
        for extra, names in project["optional-dependencies"].items()
        if extra not in by_hand
        for name in names
    ]
    locked = {
        re.match(r"[A-Za-z0-9_.\-]+", line)[0].lower()
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line
    }
    assert {re.match(r"[A-Za-z0-9_.\-]+", name)[0].lower() for name in wanted} <= locked
