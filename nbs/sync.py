"""Bring notebooks and their twins into step: the edited side is taken, no edit is lost.

    python nbs/sync.py [--execute] [--keep notebook|twin] [method/04_cloning ...]

A side was edited if its cells differ from those of the last commit and from those of
the last sync. If both sides were edited and differ, nothing is touched; `--keep` says
which one to take. Where neither git nor an earlier sync knows the pair, the side that
was saved later is taken. What gives way is kept in `.sync/` until the pair is synced
again. Then notebooks are cleaned, and components are exported.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
from jupytext.cli import jupytext as run_jupytext
from nbdev.clean import nbdev_clean

COMPONENTS = ("method", "engine", "field")  # folders of notebooks that export a module
# what gave way, and which cells each pair had when it was last in step
KEPT = Path(".sync")
PROGRAMS = Path(sys.executable).parent


class SyncError(Exception):
    """A pair that cannot be brought into step; the message says what to do."""


def paths(name):
    """Name the two sides of a pair, from the root of the repository."""
    return {"notebook": Path(f"nbs/{name}.ipynb"), "twin": Path(f"nbs/text/{name}.py")}


def all_names():
    """List every pair of which at least one side is there."""
    found = [path.relative_to("nbs") for path in Path("nbs").glob("*/*.ipynb")]
    found += [path.relative_to("nbs/text") for path in Path("nbs/text").glob("*/*.py")]
    return sorted({path.with_suffix("").as_posix() for path in found})


def fingerprint(side, text):
    """Sum up the cells of one side: kinds, sources and tags, but no outputs."""
    try:
        is_notebook = side == "notebook"
        read = nbformat.reads if is_notebook else jupytext.reads
        book = read(text, 4 if is_notebook else "py:percent")
    except Exception:
        return None
    cells = [
        [c.cell_type, c.source.strip(), c.metadata.get("tags", [])] for c in book.cells
    ]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def committed(path):
    """Read a file as it was in the last commit; nothing if it was not in it."""
    with contextlib.suppress(OSError):
        command = ["git", "show", f"HEAD:./{path.as_posix()}"]
        shown = subprocess.run(command, capture_output=True)
        return shown.stdout.decode() if shown.returncode == 0 else None


def last_sync():
    """Read the fingerprint that each pair had when it was last in step."""
    record = KEPT / "in_step.json"
    return json.loads(record.read_text()) if record.exists() else {}


def decide(name, keep=None):
    """Choose the side to take, None if they agree; raise SyncError if it is unclear."""
    sides = {side: path for side, path in paths(name).items() if path.exists()}
    if not sides:
        both = " nor ".join(map(str, paths(name).values()))
        raise SyncError(f"there is neither {both}")
    texts = {side: path.read_text("utf-8") for side, path in sides.items()}
    now = {side: fingerprint(side, text) for side, text in texts.items()}
    for side, path in sides.items():
        if now[side] is None:
            raise SyncError(f"{path} is no {side} any more; repair it, or delete it")
    if len(sides) == 1:
        return next(iter(sides))
    if now["notebook"] == now["twin"]:
        return None
    if keep:
        return keep
    before = {side: committed(path) for side, path in sides.items()}
    known = {last_sync().get(name)} - {None}
    known |= {
        fingerprint(side, text) for side, text in before.items() if text is not None
    }
    edited = [side for side in sides if now[side] not in known]
    if len(edited) == 1:
        return edited[0]
    saved = {side: path.stat().st_mtime_ns for side, path in sides.items()}
    if not known and saved["notebook"] != saved["twin"]:
        later = max(saved, key=saved.get)
        why = f"git does not know this pair; the {later}, saved later, is taken"
        print(f"{name}: {why}")
        return later
    both = f"both sides of {name} were edited and" if edited else f"the sides of {name}"
    raise SyncError(
        f"{both} differ; say which one to take, "
        f"`make sync NAME={name} KEEP=twin` or `KEEP=notebook` "
        f"(the other will be in {KEPT}/), or edit one until they agree"
    )


@contextlib.contextmanager
def same_times(files):
    """Give files that were written as they were their times back."""
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}
    yield
    for file, (content, time) in before.items():
        if file.exists() and file.read_bytes() == content:
            os.utime(file, ns=(time, time))


def clean(name):
    """Clean a notebook; its twin stays the younger one, or JupyterLab refuses both."""
    notebook, twin = paths(name).values()
    with same_times([notebook]):
        nbdev_clean.__wrapped__(fname=str(notebook))
    if twin.stat().st_mtime_ns < notebook.stat().st_mtime_ns:
        os.utime(twin)


def take(name, side):
    """Write one side of a pair from the other; cells that stay keep their outputs."""
    sides = paths(name)
    source = sides.pop(side)
    (target,) = sides.values()
    if target.exists():
        kept = KEPT / name.split("/")[0] / target.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(target, kept)
        os.utime(target, (0, 0))  # jupytext takes the one that was saved later
    os.utime(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    run_jupytext(["--quiet", "--sync", str(source)])
    print(f"{name}: {target} written from {source}")


def sync(names, keep=None):
    """Bring pairs into step; raise SyncError before touching any if one is unclear."""
    plan, unclear = {}, []
    for name in names:
        try:
            plan[name] = decide(name, keep)
        except SyncError as error:
            unclear.append(str(error))
    if unclear:
        raise SyncError("\n".join(unclear))
    record = last_sync()
    for name, side in plan.items():
        if side:
            take(name, side)
        clean(name)
        both = {kind: path.read_text("utf-8") for kind, path in paths(name).items()}
        record[name] = fingerprint("notebook", both["notebook"])
        if record[name] != fingerprint("twin", both["twin"]):
            raise SyncError(
                f"{name} cannot be written as text and read again; see the last edit"
            )
    if record != last_sync():
        KEPT.mkdir(exist_ok=True)
        temporary = KEPT / f"in_step.{os.getpid()}"
        temporary.write_text(json.dumps(record, indent=1))
        temporary.replace(KEPT / "in_step.json")


def export():
    """Write the modules; twice if the one that renders their docstrings changed."""
    renderer = Path("democratic_ai/engine/docstrings.py")
    with same_times([Path("pyproject.toml"), *Path("democratic_ai").rglob("*.py")]):
        before = renderer.read_bytes()
        subprocess.run([PROGRAMS / "nbdev-export"], check=True)
        if renderer.read_bytes() != before:
            subprocess.run([PROGRAMS / "nbdev-export"], check=True)


def execute(name):
    """Run a notebook and keep its outputs; one that fails stays as it was."""
    command = [PROGRAMS / "jupyter", "nbconvert", "--log-level=ERROR"]
    command += ["--to", "notebook", "--execute", "--inplace", paths(name)["notebook"]]
    if subprocess.run(command).returncode:
        raise SyncError(f"{name} does not run; its outputs stay as they were")
    clean(name)


def main():
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = "folder and stem, as in method/04_cloning; all by default"
    parser.add_argument("names", nargs="*", help=what)
    what = "run the notebooks and keep their outputs"
    parser.add_argument("--execute", action="store_true", help=what)
    what = "the side to take where both were edited"
    parser.add_argument("--keep", choices=("notebook", "twin"), help=what)
    said = parser.parse_args()
    names = [name.removeprefix("nbs/").removeprefix("text/") for name in said.names]
    names = [name.removesuffix(".ipynb").removesuffix(".py") for name in names]
    names = names or all_names()
    components = [name for name in names if name.split("/")[0] in COMPONENTS]
    try:
        sync(names, said.keep)
        if components:
            export()
        for name in components if said.execute else ():
            execute(name)
    except SyncError as error:
        sys.exit("\n".join(f"sync: {line}." for line in str(error).splitlines()))


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent)
    main()
