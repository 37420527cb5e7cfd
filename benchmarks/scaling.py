"""Measure how time and memory grow, and fit the exponents.

They grow with games, players, mechanisms and seeds. `make scaling` runs it. Every size
is measured in a process of its own, so that its peak of memory is its own; results go
to `benchmarks/scaling.csv`, exponents to `benchmarks/exponents.csv`, the picture to
`benchmarks/scaling.svg`, and what made them to `benchmarks/scaling_provenance.json`.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from democratic_ai.engine import runs, store

HERE = Path(__file__).parent
SIZES = {
    "games": [64, 256, 1024, 4096, 16_384, 65_536],
    "players": [4, 8, 16, 32, 64],
    "mechanisms": [9, 25, 121, 529, 1024],
    "tournament": [9, 25, 121],
    "seeds": [1, 2, 4],
}
REPEATS = {"seeds": 1}  # of every measurement, after one to warm up; else 5


# --- one size, in a process of its own ------------------------------------------------


def training_update(n_games, n_players):
    """Prepare one update of HCRM on so many pairs of games."""
    import jax

    from democratic_ai import cloning, game, graphnet, mechanisms, training

    rules = game.Game(n_players=n_players)
    config = training.Training(games_per_endowment=n_games // 8, rules=rules)
    players = cloning.init(jax.random.key(0), n_players=n_players)
    params = graphnet.init(jax.random.key(1))
    asked = dict(opponent=mechanisms.liberal_egalitarian, config=config)
    update = jax.jit(partial(training.vote_gradient, **asked))
    return lambda i: jax.block_until_ready(update(params, jax.random.key(i), players))


def simulation(n_mechanisms, n_blocks):
    """Prepare the metagame's play."""
    import jax

    from democratic_ai import cloning, metagame

    seated = cloning.virtual_players(cloning.init(jax.random.key(0)))
    points = metagame.Grid(*jax.random.uniform(jax.random.key(1), (2, n_mechanisms)))
    return lambda i: jax.block_until_ready(
        metagame.simulate(jax.random.key(i), seated, points, n_blocks=n_blocks)
    )


def games(n):
    """Train on n pairs of games."""
    return training_update(n, 4)


def players(n):
    """Train on 64 pairs of games of n players."""
    return training_update(64, n)


def mechanisms(n):
    """Simulate n mechanisms, 512 blocks each."""
    return simulation(n, 512)


def tournament(n):
    """Simulate n mechanisms at the paper's size, 4,096 blocks each, and let all meet.

    Elections are held between every two of them.
    """
    from democratic_ai import metagame

    simulate = simulation(n, 4096)
    return lambda i: metagame.pair_blocks(simulate(i)).win


def seeds(n):
    """Run n seeds through the pipeline, profile smoke, from the pilot to the votes.

    One step at a time, in the clone that `main` has made.
    """
    clone, smoke = Path(os.environ["CLONE"]), runs.of_profile("smoke")
    votes = [smoke / runs.seed(k) / runs.iteration(0) / "votes.csv" for k in range(n)]
    wanted = " ".join(map(str, votes))
    settings = "PROFILE=smoke", f"SEEDS={n}", "CORES=1", f"FILES={wanted}"

    def run(i):
        shutil.rmtree(clone / smoke, ignore_errors=True)
        make(clone, "steps", *settings)

    return run


def make(clone, *asked):
    """Let make do something in a clone; if it fails, what it said stands above."""
    subprocess.run(
        ["make", "--silent", *asked], check=True, stdout=subprocess.DEVNULL, cwd=clone
    )


def measure(axis, n):
    """Time one size and say how much memory it took at most."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    run = globals()[axis](n)
    # most of what one seed has compiled is there for the others
    if axis != "seeds" or n == SIZES["seeds"][0]:
        run(0)
    taken = []
    for i in range(1, REPEATS.get(axis, 5) + 1):
        begun = time.perf_counter()
        run(i)
        taken.append(time.perf_counter() - begun)
    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    measured = {
        "seconds": statistics.median(taken),
        "lowest": min(taken),
        "highest": max(taken),
        "peak_gib": max(resource.getrusage(x).ru_maxrss for x in both) / 2**20,
    }
    print(json.dumps(measured))


# --- all of them ----------------------------------------------------------------------


def draw(frame, exponents):
    """Draw time and memory over size, both on log axes."""
    from democratic_ai import figures

    labels = {"seconds": "seconds", "peak_gib": "peak of memory (GiB)"}
    size = (figures.FULL, 3.4)
    with figures.style():
        figure, axes = plt.subplots(2, len(SIZES), figsize=size, sharex="col")
        measured = frame.groupby("axis", sort=False)
        for (axis, sizes), column in zip(measured, axes.T, strict=True):
            shown = sizes["size"].iloc[:: max(1, len(sizes) // 2)]
            for ax, (value, label) in zip(column, labels.items(), strict=True):
                ax.plot(sizes["size"], sizes[value], color=figures.HEAD, marker="o")
                ax.set(xscale="log", yscale="log")
                ax.set_xticks(shown, [f"{n:,}" for n in shown])
                ax.minorticks_off()
                if axis == next(iter(SIZES)):
                    ax.set_ylabel(label)
            # some decades, or there would be no label
            column[0].set_ylim(sizes["seconds"].min() / 3, sizes["seconds"].max() * 3)
            column[1].set_ylim(0.5, 4)
            column[1].set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
            column[0].set_title(f"{axis}: {exponents[axis]:.2f}")
            column[1].set_xlabel(axis)
    note = "one core; above each column the fitted exponent of time"
    figures.save(figures.finalise(figure, note), HERE / "scaling.svg")


def main():
    """Measure every size, fit, print, write and draw."""
    made, clone = store.provenance(), tempfile.TemporaryDirectory()
    subprocess.run(["git", "clone", "--quiet", HERE.parent, clone.name], check=True)
    make(clone.name, "setup")
    one = os.environ | {
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        "NPROC": "1",
        "CLONE": clone.name,
    }
    rows = []
    for axis, sizes in SIZES.items():
        for n in sizes:
            command = [sys.executable, __file__, axis, str(n)]
            said = subprocess.check_output(command, text=True, env=one)
            rows.append({"axis": axis, "size": n, **json.loads(said.splitlines()[-1])})
            line = "{axis} {size}: {seconds:.4g} s, {peak_gib:.2f} GiB"
            print(line.format(**rows[-1]), file=sys.stderr)
    frame = pd.DataFrame(rows)
    slope = lambda part: np.polyfit(np.log(part["size"]), np.log(part["seconds"]), 1)[0]
    exponents = {
        axis: (slope(part), slope(part.tail(2)))
        for axis, part in frame.groupby("axis", sort=False)
    }
    frame.round(5).to_csv(HERE / "scaling.csv", index=False)
    columns = ["exponent", "between_the_largest_two"]
    table = pd.DataFrame.from_dict(exponents, orient="index", columns=columns)
    table = table.rename_axis("axis")
    table.round(3).to_csv(HERE / "exponents.csv")
    store.write_json(HERE / "scaling_provenance.json", made)
    draw(frame, table.exponent)
    print(frame.round(4).to_string(index=False))
    print(table.round(2).to_string())


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2])) if sys.argv[2:] else main()
