"""The committed results.

The columns that readers rely on, numbers that agree with one another, and a commit that
made them.
"""

import importlib.util
import json
import re
import subprocess
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from democratic_ai import hcmd_zero, statistics
from democratic_ai.engine import published

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "paper" / "results"
NUMBERS = json.loads((RESULTS / "numbers.json").read_text())
README = (ROOT / "README.md").read_text()
COLUMNS = {
    "tables/s2_metagame.csv": "row_v row_w col_v col_w win_probability published",
    "tables/s1b_virtual_votes.csv": (
        "rival tail_endowment vote_share low high published"
    ),
    "tables/s1a_votes.csv": "rival tail_endowment vote_share low high published",
    "tables/st2.csv": (
        "trained_theta trained_sigma evaluated_theta evaluated_sigma vote_share low "
        "high"
    ),
    "tables/st2_training.csv": "trained_theta trained_sigma seed highest last",
    "tables/figS2.csv": "rival predictor coefficient t t_low t_high p published",
    "tables/text_statistics.csv": "name section what published ours low high",
    "tables/findings.csv": "name finding margin low high word",
    "tables/published_beside_ours.csv": (
        "name section kind published ours low high verdict coin_toss"
    ),
    "tables/hcmd_metagame.csv": "iteration_row iteration_col vote_share",
    "tables/hcmd_cross_entropy.csv": "kind model_iteration data_iteration ratio",
    "tables/hcmd_vs_liberal_egalitarian.csv": (
        "tail_endowment vote_share low high published"
    ),
    "tables/hcmd_steps.csv": (
        "iteration own_vote_share own_won own_lost last_vote_share last_low last_high "
        "last_won last_lost"
    ),
    "tables/hcmd_stop.csv": "seed iteration reason vote_share",
    "tables/hcmd_safety.csv": "iteration losers low high worst",
    "tables/hcmd_table1.csv": (
        "iteration groups embed hidden extra_nats_8-4 extra_nats_32-8 "
        "extra_nats_64-16 better penalty_median"
    ),
    "tables/hcmd_numbers.csv": "name published margin ours low high verdict",
    "tables/hcmd_findings.csv": "name finding margin low high word",
    "tables/hcmd_cross_entropy_unmet.csv": "kind model_iteration data_iteration ratio",
    "data/hcmd_beach.csv": (
        "iteration tail_endowment head_contribution tail_contribution_sum head_share"
    ),
    "data/fig1c.csv": (
        "source mechanism tail_endowment role round relative_contribution"
    ),
    "data/fig3a_beach.csv": (
        "mechanism tail_endowment head_contribution tail_contribution_sum head_share"
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_the_columns_that_readers_rely_on(name):
    frame = pd.read_csv(RESULTS / name)
    assert set(COLUMNS[name].split()) <= set(frame.columns) and len(frame) > 0


def test_every_number_says_what_it_is_and_what_made_it():
    for name, number in NUMBERS.items():
        said = {"value", "low", "high", "published", "unit", "made_by"}
        assert set(number) == said, name
        assert np.isfinite(number["value"]), name
        assert number["unit"] and number["made_by"], name


def test_headline_errors_follow_from_the_tables():
    s2, s1b = (
        pd.read_csv(RESULTS / "tables" / name)
        for name in ("s2_metagame.csv", "s1b_virtual_votes.csv")
    )
    assert len(s2) == 81 and len(s1b) == 15
    error = (s2.win_probability - s2.published).abs().mean()
    assert np.isclose(NUMBERS["s2_mean_absolute_error"]["value"], error)
    error = (s1b.vote_share - s1b.published).abs().mean()
    assert np.isclose(NUMBERS["s1b_mean_absolute_error"]["value"], error)
    win = s2.win_probability.to_numpy().reshape(9, 9)
    assert np.allclose(win + win.T, 1, atol=1e-6), "every vote goes to one of two"


PANELS = ("1a", "1b", "1c", "1d", "2", "3a", "3b", "3c", "4a", "4b", "4c", "4d")
HCMD_PANELS = ("3a", "3b", "3c", "4_models", "4_metagame", "5")
FIGURES = [*(f"fig{n}" for n in PANELS), *(f"figS{n}" for n in range(1, 10))]
FIGURES += [*(f"hcmd_fig{n}" for n in HCMD_PANELS), "hcmd_knowable"]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_there_and_those_made_from_stand_ins_say_so(name):
    drawn = (RESULTS / "figures" / f"{name}.svg").read_text()
    assert drawn.rstrip().endswith("</svg>") and len(drawn) < 500_000
    assert ("stand-in" in drawn) == (
        name not in ("fig1a", "fig1b", "fig1d", "figS9")
    ), "drawings of ours and maps of virtual players aside"


def word_of_the_rule(row, is_p):
    numbers = row.published, row.ours, row.low, row.high
    rule = dict(sign=row.sign, is_p=is_p, margin=row.margin)
    return statistics.agreement(*numbers, **rule)


def test_every_published_number_stands_beside_ours_with_the_word_that_the_rule_gives():
    beside = pd.read_csv(RESULTS / "tables" / "published_beside_ours.csv")
    assert len(beside) >= 120 and beside.name.is_unique
    for row in beside[beside.why.isna()].itertuples():
        is_p = row.what.endswith(": p") or row.what.endswith(" p")
        assert row.verdict == word_of_the_rule(row, is_p), row.name
    assert set(beside[beside.why.notna()].verdict) == {"cannot be compared"}
    kinds = {"prediction", "repeated", "construction", "calibrated", "assumed"}
    assert set(beside.kind) == kinds
    counted = beside[beside.kind == "prediction"].verdict.value_counts()
    for word, count in counted.items():
        name = f"published_numbers_that_{word.replace(' ', '_')}"
        assert NUMBERS[name]["value"] == count


def test_the_curves_hold_three_sources_of_180_values():
    curves = pd.read_csv(RESULTS / "data" / "fig1c.csv")
    assert curves.groupby("source").size().to_dict() == {
        "published": 180,
        "participants": 180,
        "virtual_players": 180,
    }
    printed = published.read("fig1c_relative_contribution")
    ours = curves[curves.source == "published"]
    of_both = (frame.relative_contribution.sum() for frame in (ours, printed))
    assert np.isclose(*of_both)


def test_hcmd_tables_hold_seven_iterations_of_at_least_five_seeds():
    read = lambda name: pd.read_csv(RESULTS / "tables" / f"hcmd_{name}.csv")
    assert len(json.loads((RESULTS / "hcmd_provenance.json").read_text())["seeds"]) >= 5
    axes = dict(index="iteration_row", columns="iteration_col", values="vote_share")
    win = read("metagame").pivot(**axes).to_numpy()
    assert win.shape == (8, 8) and np.allclose(win + win.T, 1, atol=2e-5), (
        "every vote goes to one of two"
    )
    ratio = read("cross_entropy")
    assert ratio.groupby("kind").size().to_dict() == {"contribution": 49, "vote": 49}
    assert (ratio.ratio[ratio.model_iteration == ratio.data_iteration] == 1).all()
    beach = pd.read_csv(RESULTS / "data" / "hcmd_beach.csv")
    cells = sum(11 * (3 * tail + 1) for tail in (2, 4, 6, 8, 10))
    counted = beach.groupby("iteration").size().to_dict()
    assert counted == dict.fromkeys(range(8), cells)
    idle = read("idle_head").set_index("iteration").loc[7].mean()
    number = NUMBERS["hcmd_head_share_iteration_7"]["value"]
    assert number == pytest.approx(idle, abs=1e-5)
    shares = read("vs_liberal_egalitarian").set_index("tail_endowment").vote_share
    number = NUMBERS["hcmd_share_liberal_egalitarian"]["value"]
    # seeds have as many groups, give or take some lost votes
    assert number == pytest.approx(shares["all"], abs=0.002)


def test_hcmd_numbers_stand_beside_ours_with_the_word_that_the_rule_gives():
    beside = pd.read_csv(RESULTS / "tables" / "hcmd_numbers.csv")
    assert (
        set(beside.name)
        == {name for name in NUMBERS if name.startswith("hcmd_")}
        == set(published.read("hcmd_zero").name)
    )
    for row in beside.itertuples():
        is_p = row.what.endswith(": p")
        assert row.verdict == word_of_the_rule(row, is_p), row.name


def test_what_hcmd_zero_leaves_open_is_answered_by_paired_seeds():
    read = lambda name: pd.read_csv(RESULTS / "hcmd_questions" / f"{name}.csv")
    groups, gains, starts = read("groups"), read("gains"), read("starts")
    assert (groups.groupby("groups").seed.nunique() >= 5).all()
    assert len(gains) == groups.groups.nunique() - 1, (
        "every arm but the largest is doubled"
    )
    table1 = pd.read_csv(RESULTS / "tables" / "hcmd_table1.csv").groups.sum()
    assert table1 == sum(hcmd_zero.HcmdZero().groups)
    assert dict(zip(gains.arm, gains.groups, strict=True))["once"] == table1
    share = groups.pivot(index="seed", columns="groups", values="vote_share")
    for row in gains.itertuples():
        gain = share[row.doubled] - share[row.groups]
        t = scipy.stats.ttest_1samp(gain, 0).confidence_interval()
        expected = [gain.mean(), t.low, t.high]
        assert np.allclose([row.gain, row.low, row.high], expected, atol=1e-3)
    of_arms = read("climbs").merge(groups[["arm", "seed", "vote_share"]])
    of_arms["rule_ahead"] = of_arms.rule_knows - of_arms.model_knows
    for row in read("doubling").itertuples():
        slopes = [
            np.polyfit(np.log2(runs.groups), runs[row.measure], 1)[0]
            for _, runs in of_arms.groupby("seed")
        ]
        t = scipy.stats.ttest_1samp(slopes, 0).confidence_interval()
        found, expected = row.by_doubling, np.mean(slopes)
        ours, theirs = [found, row.low, row.high], [expected, t.low, t.high]
        assert np.allclose(ours, theirs, atol=1e-3), row.measure
    enough = gains.arm[gains.low <= 0].iloc[0]  # doubling does not clearly improve it
    assert f"by our rule {enough} of Table 1's" in README
    of_seeds = read("safety").groupby(["arm", "seed"])
    lost = of_seeds.agg({"worst": "min", "losers": "mean"}).unstack("arm")
    table = read("warm_start").set_index("measure")
    for measure, name in (
        ("worst", "worst return of anybody"),
        ("losers", "fraction of blocks that did not pay"),
    ):
        difference, row = lost[measure].warm - lost[measure].cold, table.loc[name]
        t = scipy.stats.ttest_1samp(difference, 0).confidence_interval()
        expected = [difference.mean(), t.low, t.high]
        assert np.allclose([row.difference, row.low, row.high], expected, atol=1e-3), (
            name
        )
    last = starts[starts.iteration == starts.iteration.max()]
    ahead = last.pivot(index="seed", columns="arm", values="vote_share")
    difference = table.loc["share of the votes, last iteration"].difference
    assert difference == pytest.approx((ahead.warm - ahead.cold).mean(), abs=1e-4)
    made = json.loads((RESULTS / "hcmd_questions" / "provenance.json").read_text())
    assert made["profile"] == "laptop" and made["uncommitted_changes"] is False
    for commit in [made["commit"], *made["commits_of_runs"]]:
        assert is_of_this_history(commit)


def test_the_sweep_compares_every_neighbour_with_the_papers_players():
    table, compared = (
        pd.read_csv(RESULTS / "sweep" / f"{name}.csv")
        for name in ("sweep", "neighbours")
    )
    papers = table[table.published].drop_duplicates("seed").cross_entropy
    tried = table[~table.published].groupby(["hyper_parameter", "value"])
    found = compared.set_index(["hyper_parameter", "value"]).sort_index()
    made = json.loads((RESULTS / "sweep" / "provenance.json").read_text())
    assert len(found) == len(made["tried"]), "nothing that was tried is left out"
    expected = tried.cross_entropy.mean() - papers.mean()
    assert np.allclose(found.difference, expected, atol=1e-4)
    n = len(papers)
    pooled = np.sqrt(np.mean([*tried.cross_entropy.var(), papers.var()]))
    degrees, unit = (len(found) + 1) * (n - 1), pooled * np.sqrt(2 / n)
    alone, at_most = (
        scipy.stats.t.ppf(1 - 0.025 / how_many, degrees) * unit
        for how_many in (1, len(found))
    )
    half = (found.high - found.low) / 2
    assert (
        np.allclose(half, half.mean(), atol=1e-4) and alone < half.mean() < at_most
    ), "wider than one interval, narrower than Bonferroni's"
    in_words = ["none", "one", "two", "three", "four", "five", "six", "seven"]
    in_words += ["eight", "nine", "ten", *map(str, range(11, len(found) + 1))]
    worse, better = in_words[(found.low > 0).sum()], in_words[(found.high < 0).sum()]
    assert f"{worse} clearly worse than the paper's, {better} clearly better" in README
    assert made["profile"] == "laptop" and made["uncommitted_changes"] is False
    assert is_of_this_history(made["commit"])


PROSE = sorted(
    [
        *(ROOT / "nbs" / "results").glob("*.ipynb"),
        *(ROOT / "nbs" / "questions").glob("*.ipynb"),
    ]
)
MADE = [*PROSE, *sorted((ROOT / "nbs" / "run").glob("*.ipynb"))]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.stem)
def test_no_result_is_typed_by_hand_into_prose(path):
    cells = [
        cell.source
        for cell in nbformat.read(path, 4).cells
        if cell.cell_type == "markdown"
    ]
    prose = re.sub(r"\*Outputs: .*\*", "", "\n".join(cells))
    assert not re.findall(r"(?<![\w.])-?0?\.\d+|\d\.\d+ ?%|\d\.\d\d+", prose), (
        "it stands in a table, or a cell prints it"
    )


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.stem)
def test_a_notebook_says_what_made_its_outputs_and_shows_those_parameters(path):
    title, *cells = nbformat.read(path, 4).cells
    line = (
        r"(?m)^\*Outputs: (?:profile `(\w+)`, )?seeds? \d.*; "
        r"made at commit `([0-9a-f]{7})`.*\.\*$"
    )
    label = re.search(line, title.source)
    if "*Outputs: none yet.*" in title.source:
        assert not any(cell.get("outputs") for cell in cells)
        return
    assert label, (
        "no line like *Outputs: profile `paper`, seed 0; made at commit `cbea95f`.*"
    )
    shown = next(
        cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])
    )
    assert label[1] is None or f'folder = "runs/{label[1]}' in shown
    assert is_of_this_history(label[2])


def is_of_this_history(commit):
    git = partial(subprocess.run, cwd=ROOT, check=False, capture_output=True, text=True)
    if not (ROOT / ".git").exists():
        pytest.skip("a downloaded archive has no history to find the commit in")
    if git(["git", "merge-base", "--is-ancestor", commit, "HEAD"]).returncode == 0:
        return True
    if git(["git", "rev-parse", "--is-shallow-repository"]).stdout.strip() == "true":
        pytest.skip("a shallow clone has too little history to find the commit in")
    return False


@pytest.mark.parametrize("name", ["provenance", "hcmd_provenance"])
def test_the_results_were_made_by_a_commit_of_this_history_without_changes(name):
    provenance = json.loads((RESULTS / f"{name}.json").read_text())
    assert provenance["profile"] == "paper"
    assert provenance["uncommitted_changes"] is False and provenance["seeds"]
    assert is_of_this_history(provenance["commit"])


def test_readme_shows_the_summary_of_these_results():
    assert (RESULTS / "summary.md").read_text() in README


def test_readme_shows_the_table_of_the_benchmarks():
    spec = importlib.util.spec_from_file_location(
        "bench", ROOT / "benchmarks" / "bench.py"
    )
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    measured = ROOT / "benchmarks" / "results.csv"
    shown = re.search(
        r"<!-- benchmarks -->\n(.*?)<!-- end of benchmarks -->", README, re.DOTALL
    )[1]
    assert shown == (bench.summary(pd.read_csv(measured)) if measured.exists() else "")


def test_exponents_follow_from_what_was_measured():
    measured = pd.read_csv(ROOT / "benchmarks" / "scaling.csv")
    kept = pd.read_csv(ROOT / "benchmarks" / "exponents.csv").set_index("axis").exponent
    for axis, part in measured.groupby("axis"):
        assert kept[axis] == pytest.approx(
            np.polyfit(np.log(part["size"]), np.log(part.seconds), 1)[0], abs=2e-3
        ), axis
    assert kept[["games", "mechanisms", "seeds"]].max() <= 1.05, (
        "twice the games, mechanisms or seeds take no more than twice the time"
    )
    assert measured.peak_gib.max() * 2**30 < 2e9
