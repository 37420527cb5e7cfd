"""Time every expensive step at the paper's size, and the machine's limit.

Three implementations of a step are compared: ours, the readable form of the
notebooks, and PyTorch eager. `make bench` runs it; it needs PyTorch, a CPU build. All
implementations of a step are alive together and asked in turn, so that whatever else
the machine does falls on all of them; medians and ranges of milliseconds for one update
go to `benchmarks/results.csv`, and a table to README.
"""

import json
import os
import re
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from democratic_ai.engine import store

HERE = Path(__file__).parent
IMPLEMENTATIONS = ("jax", "readable", "eager")
UPDATES = {  # asked for at a time
    "cloning": 20,
    "training": 8,
    "rational": 4,
    "self_play": 4,
    "metagame": 1,
}
SIZES = {
    "cloning": "cloning, 512 games",
    "training": "training HCRM, 512 pairs of games",
    "rational": "training RM, 512 pairs of games",
    "self_play": "HCMD-zero's self-play, 1,000 pairs of games",
    "metagame": "metagame, 9 mechanisms, 4,096 blocks",
}
ROUNDS = 9

# --- the machine's limit --------------------------------------------------------------


def player(embed=64, hidden=16):
    """Count one player's choice.

    Operations of its matrices, of the way back to what it was paid, and curves (tanh,
    sigmoid, exp).
    """
    inner = (embed + hidden) * 4 * hidden + hidden * 11
    return 2 * (16 * embed + inner), 2 * (inner + 4 * embed), embed + 5 * hidden + 11


def network(features=3, width=32):
    """Count one sharing of the fund: operations of matrices, and curves.

    Nodes and arrows ask for the operations of matrices once each.
    """
    first = 8 * features * width + 4 * (width + features) * width + 2 * width * width
    square = width * width
    second = 12 * square + 8 * square + square + 4 * 2 * width + width
    return 2 * (first + second), 12 * width + 4 * width + width + 12 * width + 4


def forgotten(hidden=16):
    """Count what recalling a blank memory takes: one choice in ten is the first."""
    return 2 * hidden * 4 * hidden / 10


def unasked(features=3, width=32):
    """Count what telling how a sharing answers to coins would take.

    Nobody asks: coins do not depend on the network's parameters.
    """
    return 2 * (8 * features * width + 4 * features * width)


def incentives(width=32):
    """Count what telling four players of their incentives takes.

    Questions to the second network, answers handed through the first one.
    """
    questions = 12 * 2 * width * width + 4 * 2 * width * width
    return 2 * (questions + 4 * 4 * width * width + 4 * 2 * width * width)


def work(step, answered):
    """Count by hand the operations of matrices, and curves, that one update needs."""
    forward, back, curves = player()
    choices, rounds = 512 * 4 * 10, 512 * 10
    if step == "cloning":
        n = choices * answered
        return n * (3 * forward - 2 * 16 * 64 - 3 * forgotten()), n * curves
    if step == "training":
        sharing, bends = network()
        playing = choices * (2 * (forward - forgotten()) + 0.9 * back)
        dividing = rounds * (3 * sharing - unasked())
        return playing + dividing, 2 * choices * curves + rounds * bends
    if step == "rational":
        sharing, bends = network()
        # after the last round nobody learns
        return rounds * 3 * (sharing + 0.9 * incentives()), rounds * (bends + 4)
    if step == "self_play":
        forward, back, curves = player(embed=32, hidden=8)
        sharing, bends = network(features=2)
        choices, rounds = 1000 * 4 * 10, 6380  # all rounds that there are
        playing = choices * (2 * (forward - forgotten(hidden=8)) + 0.9 * back)
        dividing = rounds * (3 * sharing - unasked(features=2))
        return playing + dividing, 2 * choices * curves + rounds * bends
    blocks = 9 * 4096
    return blocks * 40 * (forward - forgotten()), blocks * 40 * curves + 81 * 4096 * 4


# --- asking in turn -------------------------------------------------------------------


def start(step, implementation, cores):
    """Start one implementation on so many cores and let it warm up."""
    environment = os.environ | {
        "CORES": str(cores),
        "OMP_NUM_THREADS": str(cores),
        "JAX_ENABLE_COMPILATION_CACHE": "false",
    }
    if cores == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        environment["NPROC"] = "1"
    updates = str(UPDATES.get(step, 1))
    command = [sys.executable, str(HERE / "steps.py"), step, implementation, updates]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return subprocess.Popen(command, env=environment, **pipes)


def ask(process, updates):
    """Ask for some updates and read what they took."""
    process.stdin.write(f"{updates}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def in_turn(step, implementations, cores):
    """Time the implementations of one step in turn, once all are warm.

    They warm up one after the other.
    """
    running, rows = {}, []
    for name in implementations:
        running[name] = start(step, name, cores)
        said = json.loads(running[name].stdout.readline())
        rows.append({"implementation": name, **said})
    updates, taken = UPDATES.get(step, 1), {name: [] for name in running}
    for _ in range(ROUNDS):
        for name, process in running.items():
            taken[name].append(ask(process, updates))
    for row in rows:
        process, took = running[row["implementation"]], taken[row["implementation"]]
        process.stdin.close()
        process.wait()
        for clock in ("wall_ms", "cpu_ms"):
            values = [answer[clock] for answer in took]
            row |= {
                clock: statistics.median(values),
                f"{clock}_lowest": min(values),
                f"{clock}_highest": max(values),
            }
        compiling = row.pop("first_call_s") - updates * row["wall_ms"] / 1000
        row |= {"compile_s": compiling, "peak_gib": took[-1]["peak_gib"]}
    return rows


def agree(rows):
    """Refuse to compare implementations that do not compute the same."""
    checked = [row["checked"] for row in rows if row["checked"]]
    for value_and_gradient in checked:
        pairs = zip(value_and_gradient, checked[0], strict=True)
        if not all(abs(ours / first - 1) <= 1e-5 for ours, first in pairs):
            sys.exit(f"bench: values and gradient norms differ: {checked}.")


def summary(frame):
    """Say it in Markdown: ours with its range, the others, and how ours compares."""
    head = (
        "| one update, ms | cores | ours | readable | PyTorch eager "
        "| eager / ours | of the limit | GiB |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for (cores, step), rows in frame.groupby(["cores", "step"], sort=False):
        ours, readable, eager = (
            rows.set_index("implementation").loc[name] for name in IMPLEMENTATIONS
        )
        interval = f"({ours.wall_ms_lowest:.1f} to {ours.wall_ms_highest:.1f})"
        cells = [
            SIZES[step],
            f"{cores}",
            f"{ours.wall_ms:.1f} {interval}",
            f"{readable.wall_ms:.0f}",
            f"{eager.wall_ms:.0f}",
            f"{ours.eager_over_this:.1f}",
            f"{ours.of_the_limit:.0%}",
            f"{ours.peak_gib:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    """Measure, print and write."""
    table, made = [], store.provenance(torch=version("torch"))
    for cores in (1, 2):
        limits = in_turn("limit", ("gemm", "tanh"), cores)
        # the best that was seen, ms for a thousand million
        rates = {row["implementation"]: row["wall_ms_lowest"] for row in limits}
        count = [sys.executable, str(HERE / "steps.py"), "answered"]
        answered = json.loads(subprocess.check_output(count, text=True))
        for step in UPDATES:
            rows = in_turn(step, IMPLEMENTATIONS, cores)
            agree(rows)
            operations, curves = work(step, answered)
            limit = operations / 1e9 * rates["gemm"] + curves / 1e9 * rates["tanh"]
            wall = {row["implementation"]: row["wall_ms"] for row in rows}
            table += [
                {
                    "cores": cores,
                    "step": step,
                    **row,
                    "eager_over_this": wall["eager"] / row["wall_ms"],
                    "limit_ms": limit,
                    "of_the_limit": limit / row["wall_ms"],
                }
                for row in rows
            ]
            shown = ", ".join(f"{name} {took:.1f} ms" for name, took in wall.items())
            line = f"{step}, cores: {cores}: {shown}, limit {limit:.1f} ms"
            print(line, file=sys.stderr, flush=True)
    frame = pd.DataFrame(table).drop(columns="checked").round(3)
    frame.to_csv(HERE / "results.csv", index=False)
    store.write_json(HERE / "provenance.json", made)
    readme = HERE.parent / "README.md"
    marks = r"(?s)(<!-- benchmarks -->\n).*?(<!-- end of benchmarks -->)"
    filled = lambda found: found[1] + summary(frame) + found[2]
    readme.write_text(re.sub(marks, filled, readme.read_text()))
    print(frame.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
