"""The same pictures and statistics from stand-ins and from files of the authors' form.

Each says whose behaviour it shows.
"""

from pathlib import Path

import jax
import numpy as np
import pandas as pd
import papermill
import pytest

from democratic_ai import experiments, graphnet, mechanisms, participants, released
from democratic_ai.engine import published, store

HCRM, RM = mechanisms.manifold(0.8, 0.9), mechanisms.manifold(0.9, 0.3)
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def stand_ins():
    return experiments.run(
        jax.random.key(0),
        participants.calibrated(),
        HCRM,
        RM,
        groups=experiments.plan(fraction=0.05),
    )


@pytest.fixture(scope="module", params=["participants", "people"])
def run(request, tmp_path_factory, stand_ins):
    """The folder of a run with one seed.

    Its experiments were played by stand-ins or came from the authors' files.
    """
    folder = tmp_path_factory.mktemp(request.param)
    trials, votes = stand_ins
    if request.param == "people":
        released.write_experiments(folder / "released", trials, votes)
        trials, votes = released.read_experiments(folder / "released")
    store.write_table(folder / "seed0" / "trials.parquet", trials)
    store.write_table(folder / "seed0" / "votes.parquet", votes)
    blocks = experiments.summarise_blocks(trials)
    store.write_table(folder / "seed0" / "many_blocks.parquet", blocks)
    store.write_table(folder / "seed0" / "many_votes.parquet", votes)
    robin = published.read("table_s2_metagame")
    store.write_table(folder / "seed0" / "iter0" / "metagame.csv", robin)
    surfaces = [
        graphnet.beach(HCRM, tail).assign(mechanism="hcrm", tail_endowment=tail)
        for tail in mechanisms.TAILS
    ]
    store.write_table(folder / "seed0" / "iter0" / "beach.csv", pd.concat(surfaces))
    return request.param, folder


def execute(name, folder, **parameters):
    "Run a notebook as the pipeline does."
    papermill.execute_notebook(
        next((ROOT / "nbs").glob(f"*/{name}.ipynb")),
        folder / f"{name}.ipynb",
        {"folder": str(folder), "n_seeds": 1} | parameters,
        cwd=ROOT,
        progress_bar=False,
    )


@pytest.mark.parametrize(
    ("notebook", "drawings"),
    [("32_figure2", ["fig2"]), ("34_figure4", ["fig4a", "fig4b", "fig4c", "fig4d"])],
)
def test_figures_say_whose_behaviour_they_show(run, notebook, drawings):
    source, folder = run
    execute(notebook, folder)
    for name in drawings:
        drawn = (folder / "results" / "figures" / f"{name}.svg").read_text()
        assert ("stand-in" in drawn) == (source == "participants")
        assert ("people" in drawn) == (source == "people")


def test_statistics_of_the_text_are_made_from_either(run, stand_ins):
    source, folder = run
    execute("38_statistics", folder, last_iteration=0)
    table = pd.read_csv(
        folder / "results" / "tables" / "text_statistics.csv"
    ).set_index("name")
    unanswered = table.index[table.ours.isna() & table.not_comparable.isna()]
    assert list(unanswered) == (
        []
        if source == "participants"
        else [name for name in table.index if name.startswith("debriefing")]
    )
    trials, votes = stand_ins
    second = votes[(votes.experiment == 2) & (votes.rival == "libertarian")]
    np.testing.assert_allclose(table.ours["exp2_libertarian_share"], second.vote.mean())
    assert table.ours["exp1_players"] == len(
        trials[trials.experiment == 1].drop_duplicates(["group", "player"])
    )
    findings = pd.read_csv(folder / "results" / "tables" / "findings.csv").set_index(
        "name"
    )
    assert len(findings) >= 18
    assert findings.word.isin(["found", "refuted", "cannot tell"]).all()
    np.testing.assert_allclose(
        findings.margin["preferred_to_libertarian"], second.vote.mean() - 0.5, atol=1e-5
    )
    assert (findings.word["nothing_below_half"] == "found") == (
        findings.margin["nothing_below_half"] > 0
    )
