"""The committed results: the columns that readers rely on, numbers that agree with one another, and a commit that made them."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "paper" / "results"
NUMBERS = json.loads((RESULTS / "numbers.json").read_text())
COLUMNS = {
    "tables/s2_metagame.csv": ["row_v", "row_w", "col_v", "col_w", "win_probability", "published"],
    "tables/s1b_virtual_votes.csv": ["rival", "tail_endowment", "vote_share", "low", "high", "published"],
    "tables/s1a_votes.csv": ["rival", "tail_endowment", "vote_share", "low", "high", "published"],
    "data/fig1c.csv": ["source", "mechanism", "tail_endowment", "role", "round", "relative_contribution"],
    "data/fig3a_beach.csv": ["mechanism", "tail_endowment", "head_contribution", "tail_contribution_sum", "head_share"],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_the_columns_that_readers_rely_on(name):
    frame = pd.read_csv(RESULTS / name)
    assert set(COLUMNS[name]) <= set(frame.columns) and len(frame) > 0


def test_every_number_says_what_it_is_and_what_made_it():
    for name, number in NUMBERS.items():
        assert set(number) == {"value", "low", "high", "published", "unit", "made_by"}, name
        assert np.isfinite(number["value"]) and number["unit"] and number["made_by"], name


def test_headline_errors_follow_from_the_tables():
    s2, s1b = (pd.read_csv(RESULTS / "tables" / name) for name in ("s2_metagame.csv", "s1b_virtual_votes.csv"))
    assert len(s2) == 81 and len(s1b) == 15
    assert np.isclose(NUMBERS["s2_mean_absolute_error"]["value"], (s2.win_probability - s2.published).abs().mean())
    assert np.isclose(NUMBERS["s1b_mean_absolute_error"]["value"], (s1b.vote_share - s1b.published).abs().mean())
    win = s2.win_probability.to_numpy().reshape(9, 9)
    assert np.allclose(win + win.T, 1, atol=1e-6), "every vote goes to one of two"


def test_the_curves_hold_three_sources_of_180_values():
    curves = pd.read_csv(RESULTS / "data" / "fig1c.csv")
    assert curves.groupby("source").size().to_dict() == {"published": 180, "participants": 180, "virtual_players": 180}
    published = pd.read_csv(ROOT / "data" / "published" / "fig1c_relative_contribution.csv")
    assert np.isclose(curves[curves.source == "published"].relative_contribution.sum(), published.relative_contribution.sum())


def test_the_results_were_made_by_a_commit_of_this_history_without_changes():
    provenance = json.loads((RESULTS / "provenance.json").read_text())
    assert provenance["profile"] == "paper" and provenance["uncommitted_changes"] is False and provenance["seeds"]
    git = ["git", "merge-base", "--is-ancestor", provenance["commit"], "HEAD"]
    assert subprocess.run(git, cwd=ROOT, check=False).returncode == 0


def test_readme_shows_the_summary_of_these_results():
    assert (RESULTS / "summary.md").read_text() in (ROOT / "README.md").read_text()
