"""Count the exported lines of the method that only make it fast, resumable or stored.

`python benchmarks/rooms.py` reads the twins of nbs/method, names each place, and
counts, in definitions that are exported: those named `_fused...` or `_compiled...`,
branches on `fused`, and statements that call `devices`, `store`, `loop`, `records` or
`search` or hand on a `checkpoint` or a `log`.
"""

import ast
import re
from pathlib import Path

import jupytext

ROOT = Path(__file__).parent.parent
ENGINE = {"devices", "store", "loop", "records", "search"}
HANDED_ON = {"checkpoint", "log", "folder", "per_call", "room"}


def exported(path):
    """Parse the definitions of a notebook's exported cells."""
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    ours = [cell.source for cell in cells if re.match(r"#\| export\b", cell.source)]
    nodes = [node for source in ours for node in ast.parse(source).body]
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def length(node):
    """Count the lines of a piece of code."""
    return node.end_lineno - node.lineno + 1


def is_branch(node):
    """Tell a branch on `fused`."""
    return isinstance(node, ast.If | ast.IfExp) and "fused" in {
        x.id for x in ast.walk(node.test) if isinstance(x, ast.Name)
    }


def serves_the_engine(statement):
    """Tell a simple statement that calls the engine or hands on a place to keep."""
    names = {
        x.value.id
        for x in ast.walk(statement)
        if isinstance(x, ast.Attribute) and isinstance(x.value, ast.Name)
    }
    handed = {x.arg for x in ast.walk(statement) if isinstance(x, ast.keyword)}
    return bool(names & ENGINE or handed & HANDED_ON)


def lines_for_speed(definition):
    """List the places in a definition that only serve speed or storage, and lengths."""
    if definition.name.lstrip("_").startswith(("fused", "compiled")):
        return [(definition.name, length(definition))]
    found, counted = [], set()
    for node in ast.walk(definition):
        simple = isinstance(node, ast.Assign | ast.Expr | ast.Return)
        if not (is_branch(node) or (simple and serves_the_engine(node))):
            continue
        lines = set(range(node.lineno, node.end_lineno + 1))
        if not counted & lines:
            counted |= lines
            first_line = ast.unparse(node).splitlines()[0][:60]
            found.append((f"{definition.name}: {first_line}", length(node)))
    return found


def main():
    """Print every place, a line a module, and the sum."""
    total = speed = 0
    for path in sorted((ROOT / "nbs" / "text" / "method").glob("*.py")):
        definitions = exported(path)
        places = [place for each in definitions for place in lines_for_speed(each)]
        lines, of_speed = sum(map(length, definitions)), sum(n for _, n in places)
        print(f"{path.stem:22} {of_speed:4} of {lines:4} lines")
        print(*(f"    {n:3} {name}" for name, n in places), sep="\n")
        total, speed = total + lines, speed + of_speed
    print(f"all: {speed} of {total} lines, {speed / total:.1%}")


if __name__ == "__main__":
    main()
