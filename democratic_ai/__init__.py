"""Democratic AI and HCMD-zero as a package, by task.

Play
    `game` (sessions, blocks, votes), `mechanisms` (referees), `participants` (stand-ins
    for people), `calibration` (of the stand-ins), `populations` (others that fit as
    well), `rational` (players who follow the gradient of their returns)
Clone
    `data` (blocks of play and where they come from), `cloning` (virtual players)
Vote
    `voting` (from payouts to votes), `metagame` (every mechanism against every other)
Train
    `graphnet` (the mechanism network), `scg` (gradients through sampled play),
    `training` (HCRM, RM), `repeat` (when to stop going round), `hcmd_zero` (the second
    system), `hcmd_evaluation` (how far its models can be trusted)
Elect
    `metagame.elect` (put a mechanism up for election), `experiments` (the paper's with
    participants), `released` (the authors' files)
Test
    `statistics` (the paper's tests), `findings` (what the paper found), `figures` (its
    drawings)

`engine` makes these fast, resumable and stored;
`engine.store.committed_network("hcrm")` is the file of a trained network. A module is
loaded when it is first used, and none of them starts a device.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import (
        calibration,
        cloning,
        data,
        engine,
        experiments,
        figures,
        findings,
        game,
        graphnet,
        hcmd_evaluation,
        hcmd_zero,
        mechanisms,
        metagame,
        participants,
        populations,
        rational,
        released,
        repeat,
        scg,
        statistics,
        training,
        voting,
    )

__version__ = "0.1.0"
__all__ = [
    "game",
    "mechanisms",
    "participants",
    "populations",
    "calibration",
    "rational",
    "data",
    "cloning",
    "voting",
    "metagame",
    "graphnet",
    "scg",
    "training",
    "repeat",
    "hcmd_zero",
    "hcmd_evaluation",
    "experiments",
    "released",
    "findings",
    "statistics",
    "figures",
    "engine",
]


def __getattr__(name):
    """Load a module of the package when it is first used (PEP 562)."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    """List the modules, loaded or not."""
    return sorted([*globals(), *__all__])
