"Figures: what they promise to show, repeatable bytes, and refusals that name a lack."

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from democratic_ai import figures, mechanisms
from democratic_ai.engine import published

NOTE = "stand-in participants"
KEYS = ["mechanism", "tail_endowment", "role", "round"]
SOURCES = ("published", "participants", "virtual_players")


@pytest.fixture(autouse=True)
def without_a_screen():
    "Draw into memory, and close what was drawn."
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def curves():
    printed = published.read("fig1c_relative_contribution").assign(source="published")
    return pd.concat([printed.assign(source=source) for source in SOURCES])


@pytest.fixture(scope="module")
def votes():
    frame = published.read("table_s1b_virtual_votes").assign(
        published=lambda f: f["vote_share"] + 0.01
    )
    return frame.assign(low=frame["vote_share"] - 0.02, high=frame["vote_share"] + 0.03)


def sand(name="libertarian", tails=(2, 10)):
    "Cells of a beach plot whose value says where they are."
    cells = [
        {
            "tail_endowment": t,
            "head_contribution": h,
            "tail_contribution_sum": s,
            "head_share": (h / 10 + s / (3 * t)) / 2,
        }
        for t in tails
        for h in range(11)
        for s in range(3 * t + 1)
    ]
    return pd.DataFrame(cells).assign(mechanism=name)


def round_robin(n):
    "A matrix of win probabilities on an n x n grid of the manifold."
    points = [(v, w) for w in np.linspace(0, 1, n) for v in np.linspace(0, 1, n)]
    rows = [(*a, *b, 0.5 + 0.1 * (a[1] - b[1])) for a in points for b in points]
    columns = ["row_v", "row_w", "col_v", "col_w", "win_probability"]
    return pd.DataFrame(rows, columns=columns)


HISTORY = pd.DataFrame(
    {"step": [0, 1, 0, 1], "votes": [0.5, 0.6, 0.5, 0.55], "run": ["a", "a", "b", "b"]}
)


def words(figure):
    "Everything that is written anywhere in a figure."
    return [
        text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()
    ]


def test_contribution_curves_tell_roles_and_sources_apart(curves):
    figure = figures.contribution_curves(curves, note=NOTE)
    assert len(figure.axes) == 9
    for ax in figure.axes:
        lines = {line.get_label(): line for line in ax.lines}
        assert len(lines) == 6
        assert lines["published head"].get_marker() == "o"
        assert lines["published tail"].get_marker() == "^"
        assert (
            lines["published tail"].get_markerfacecolor()
            == "white"
            != lines["published head"].get_markerfacecolor()
        )
        styles = {source: lines[f"{source} head"].get_linestyle() for source in SOURCES}
        assert len(set(styles.values())) == 3 and styles["published"] == "None"
        assert ax.get_ylim() == (0, 1)
        assert list(lines["participants head"].get_xdata()) == list(range(1, 11))
    assert {
        "round",
        "relative contribution (fraction of the endowment)",
        "tail endowment 10",
        "liberal egalitarian",
        NOTE,
    } <= set(words(figure))


def test_contribution_curves_put_each_value_where_it_belongs(curves):
    figure = figures.contribution_curves(curves.sample(frac=1, random_state=0))
    rows, columns = list(mechanisms.BASELINES), [2, 4, 10]
    printed = curves[curves["source"] == "published"].set_index(KEYS)
    printed = printed["relative_contribution"].sort_index()
    for i, ax in enumerate(figure.axes):
        for line in ax.lines:
            role = line.get_label().split()[1]
            place = rows[i // 3], columns[i % 3], role
            assert np.allclose(line.get_ydata(), printed.loc[place])


def test_vote_bars_show_share_interval_and_published_value(votes):
    figure = figures.vote_bars(votes, note=NOTE)
    assert len(figure.axes) == 3
    for ax, rival in zip(figure.axes, mechanisms.BASELINES, strict=True):
        rows = votes[votes["rival"] == rival]
        assert np.allclose([bar.get_height() for bar in ax.patches], rows["vote_share"])
        diamonds = next(line for line in ax.lines if line.get_marker() == "D")
        assert np.allclose(diamonds.get_ydata(), rows["published"])
        bounds = ax.collections[0].get_segments()
        low, high = np.array([segment[:, 1] for segment in bounds]).T
        assert np.allclose(low, rows["low"]) and np.allclose(high, rows["high"])
        assert any(np.allclose(line.get_ydata(), 0.5) for line in ax.lines), (
            "the line of a drawn election"
        )
        assert ax.get_ylim() == (0, 1)
        assert [label.get_text() for label in ax.get_xticklabels()] == [
            "2",
            "4",
            "6",
            "8",
            "10",
        ]
    assert {
        "share of the votes for HCRM",
        "tail endowment (coins)",
        "against libertarian",
        NOTE,
    } <= set(words(figure))


def test_vote_bars_stand_side_by_side_by_role(votes):
    by_role = pd.concat(
        [
            votes.assign(role=role).drop(columns="published")
            for role in ("all", "head", "tail")
        ]
    )
    bars = figures.vote_bars(by_role).axes[0].patches
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)
    assert len(bars) == 15
    assert all(right <= left for (_, right), (left, _) in itertools.pairwise(edges))


def test_beach_plot_puts_head_up_and_tails_right():
    figure = figures.beach_plot(
        pd.concat([sand(), sand("hcrm")]).sample(frac=1, random_state=1), note=NOTE
    )
    *panels, bar = figure.axes
    assert len(panels) == 4
    for ax, tail in zip(panels, (2, 10, 2, 10), strict=True):
        picture = ax.images[0]
        assert picture.origin == "lower" and picture.get_clim() == (0, 1)
        assert picture.get_array().shape == (11, 3 * tail + 1)
        assert np.isclose(picture.get_array()[-1, 0], 0.5)
        assert np.isclose(picture.get_array()[-1, -1], 1)
        left, right, bottom, _ = picture.get_extent()
        assert np.isclose([left, bottom], [-0.5 / (3 * tail), -0.05]).all()
        assert np.isclose(right - left, 1 + 1 / (3 * tail))
    assert bar.get_ylabel() == "head's share of the fund"
    assert {
        "mean relative contribution of the tails",
        "head's relative contribution",
        "HCRM",
        NOTE,
    } <= set(words(figure))


def test_matrix_plot_writes_every_number():
    figure = figures.matrix_plot(published.read("table_s2_metagame"), note=NOTE)
    ax, bar = figure.axes
    printed = published.read("table_s2_metagame")["win_probability"]
    assert [text.get_text() for text in ax.texts] == [
        f"{value:.3f}"[1:] for value in printed
    ]
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "1, 1"
    assert ax.get_xlabel() == "opponent (v, w)"
    low, high = ax.images[0].get_clim()
    assert np.isclose(low + high, 1), "one half is the middle of the colours"
    assert NOTE in words(figure)
    assert bar.get_ylabel() == "share of the votes for the row"


def test_a_large_matrix_is_all_colour():
    ax = figures.matrix_plot(round_robin(4)).axes[0]
    assert not ax.texts and ax.images[0].get_array().shape == (16, 16)


def test_a_long_learning_curve_is_a_mean_over_windows():
    long = pd.DataFrame({"step": np.arange(1000), "vote_share": np.arange(1000) % 5.0})
    (line,) = figures.learning_curve(long, n_points=100).axes[0].lines
    assert np.allclose(line.get_ydata(), 2)
    assert np.allclose(line.get_xdata(), np.arange(100) * 10 + 4.5)


def test_learning_curve_draws_each_run_and_the_reference():
    figure = figures.learning_curve(
        HISTORY, value="votes", label="share of the votes", reference=0.5, note=NOTE
    )
    (ax,) = figure.axes
    assert [line.get_label() for line in ax.lines[:2]] == ["a", "b"]
    assert np.allclose(ax.lines[2].get_ydata(), 0.5)
    assert ax.get_xlabel() == "updates" and ax.get_ylabel() == "share of the votes"
    assert NOTE in words(figure)
    one_run = HISTORY[:2].drop(columns="run")
    figure = figures.learning_curve(one_run, value="votes", label="votes")
    assert len(figure.axes[0].lines) == 1


def society(tails=(2, 10)):
    "A value of heads and tails in every round and condition, in no order."
    axes = {
        "mechanism": ["rational", "libertarian"],
        "tail_endowment": tails,
        "role": ["head", "tail"],
        "round": range(1, 11),
    }
    frame = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    paid = frame["round"] / 10 + (frame["role"] == "tail")
    frame = frame.assign(paid=paid, low=paid - 0.1, high=paid + 0.2)
    return frame.sample(frac=1, random_state=2)


def games():
    "Dots for heads and tails and the lines through them."
    axes = {
        "mechanism": ["hcrm", "human_referee"],
        "tail_endowment": [4],
        "role": ["head", "tail"],
        "gave": np.linspace(0.2, 0.9, 8),
    }
    dots = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    dots["got"] = np.where(dots["role"] == "head", 10, 4) * dots["gave"] + 1
    fits = (
        dots[["mechanism", "tail_endowment", "role"]]
        .drop_duplicates()
        .assign(intercept=1.0)
    )
    return dots, fits.assign(slope=fits["role"].map({"head": 10, "tail": 4}))


def curves_of(frame):
    return figures.role_curves(frame, value="paid", label="payout (coins)", note=NOTE)


def scatter_of(dots, fits=None):
    return figures.role_scatter(
        dots,
        games()[1] if fits is None else fits,
        x="gave",
        y="got",
        labels=("given", "payout (coins)"),
        note=NOTE,
    )


def heat_of(frame, **more):
    names = {
        "x": "tail_contribution_sum",
        "y": "head_contribution",
        "value": "head_share",
    }
    return figures.heat_panels(
        frame,
        **names,
        **more,
        labels=("tails (coins)", "head (coins)", "share"),
        above="tail endowment",
        note=NOTE,
    )


MAP = pd.DataFrame(
    {
        "w_bin": [1, 10, 10],
        "v": [0.5, 0, 1],
        "mds_x": [0.0, 1, 1],
        "mds_y": [0.0, 1, -1],
    }
)


def map_of(frame):
    with figures.style():
        figure, ax = plt.subplots(figsize=(2, 2))
        figures.manifold_map(ax, frame)
    return figures.finalise(figure, NOTE)


def test_role_curves_tell_head_and_tails_apart_at_every_round():
    figure = curves_of(society())
    assert len(figure.axes) == 4
    for ax in figure.axes:
        lines = {line.get_label(): line for line in ax.lines}
        assert lines["head"].get_marker() == "o" and lines["tail"].get_marker() == "^"
        assert lines["tail"].get_markerfacecolor() == "white"
        assert np.allclose(lines["head"].get_ydata(), np.arange(1, 11) / 10)
        assert np.allclose(lines["tail"].get_ydata(), 1 + np.arange(1, 11) / 10)
        assert len(ax.collections) == 2, "a shadow for each interval"
    assert {
        "round",
        "payout (coins)",
        "tail endowment (coins)",
        "RM",
        "libertarian",
        "head player",
        "tail players",
        NOTE,
    } <= set(words(figure))
    assert figure.axes[0].get_ylabel() == "libertarian", "in the paper's order"
    assert not curves_of(society().drop(columns=["low", "high"])).axes[0].collections


def test_role_scatter_ends_each_line_where_its_dots_end():
    dots, fits = games()
    figure = scatter_of(dots, fits)
    assert len(figure.axes) == 2
    for ax in figure.axes:
        points = [line for line in ax.lines if line.get_marker() != "None"]
        lines = [line for line in ax.lines if line.get_marker() == "None"]
        assert {line.get_marker() for line in points} == {"o", "^"}
        assert all(line.get_rasterized() for line in points)
        assert sorted(line.get_linestyle() for line in lines) == ["-", "--"], (
            "solid for the head, dashed for the tails"
        )
        for line, slope in zip(lines, (10, 4), strict=True):
            assert np.allclose(line.get_xdata(), [0.2, 0.9])
            assert np.allclose(line.get_ydata(), 1 + slope * np.array([0.2, 0.9]))
    assert {
        "given",
        "payout (coins)",
        "tail endowment (coins): 4",
        "human\nreferee",
        NOTE,
    } <= set(words(figure))


@pytest.mark.parametrize(
    "column", ["mechanism", "tail_endowment", "role", "slope", "intercept"]
)
def test_role_scatter_names_a_column_that_the_lines_lack(column):
    dots, fits = games()
    with pytest.raises(ValueError, match=f"^role_scatter needs the column '{column}'"):
        scatter_of(dots, fits.drop(columns=column))


def test_heat_panels_centre_cells_on_their_values_and_share_colours():
    figure = heat_of(
        sand(tails=(2, 4)).sample(frac=1, random_state=0),
        row="tail_endowment",
        column="mechanism",
    )
    *panels, bar = figure.axes
    assert [ax.images[0].get_array().shape for ax in panels] == [(11, 7), (11, 13)]
    assert {ax.images[0].get_clim() for ax in panels} == {(0, 1)}, "one scale"
    assert all(ax.images[0].get_extent()[0] == -0.5 for ax in panels) and panels[
        0
    ].get_xlim() == (-0.5, 12.5), "the widest panel is seen"
    assert bar.get_ylabel() == "share"
    assert {
        "tails (coins)",
        "head (coins)",
        "tail endowment: libertarian",
        NOTE,
    } <= set(words(figure))


def test_a_cell_without_a_value_stays_empty_and_a_panel_without_cells_is_left_out():
    frame = sand(tails=(2,)).assign(
        head_share=lambda f: f["head_share"].where(f["head_contribution"] > 0)
    )
    ax = heat_of(frame).axes[0]
    assert ax.images[0].get_array().mask[0].all()
    assert not ax.images[0].get_array().mask[1:].any()
    *panels, _ = heat_of(
        pd.concat([sand(tails=(2, 10)), sand("hcrm", tails=(2,))])
    ).axes
    assert [ax.get_visible() for ax in panels] == [True, True, True, False]


def test_manifold_map_writes_bins_where_they_belong():
    (ax,) = map_of(MAP).axes
    assert [
        (line.get_marker(), line.get_xdata()[0], line.get_ydata()[0])
        for line in ax.lines
    ] == [("$1$", 0, 0), ("$10$", 1, 1), ("$10$", 1, -1)]
    grey = [
        np.dot(mpl.colors.to_rgb(line.get_color()), [0.21, 0.72, 0.07])
        for line in ax.lines
    ]
    assert grey[1] < grey[0] < grey[2], "the more relative, the lighter"


@pytest.mark.parametrize(
    ("sources", "n_seeds", "said"),
    [
        (["participants"], 1, "stand-in participants"),
        (["participants"], 3, "stand-in participants, 3 runs"),
        (["people"], 3, "people"),
        (["participants", "people"], 2, "people and stand-in participants, 2 runs"),
    ],
)
def test_the_note_says_whose_behaviour_it_is(sources, n_seeds, said):
    assert figures.behaviour_label(pd.Series(sources), n_seeds=n_seeds) == said


DRAWN = {
    "role_curves": (curves_of, society()),
    "role_scatter": (scatter_of, games()[0]),
    "heat_panels": (heat_of, sand()),
    "manifold_map": (map_of, MAP),
    "contribution_curves": (
        figures.contribution_curves,
        published.read("fig1c_relative_contribution").assign(source="published"),
    ),
    "vote_bars": (
        figures.vote_bars,
        published.read("table_s1b_virtual_votes").assign(low=0.4, high=0.7),
    ),
    "beach_plot": (figures.beach_plot, sand()),
    "matrix_plot": (figures.matrix_plot, round_robin(2)),
    "learning_curve": (
        lambda frame: figures.learning_curve(frame, value="votes", label="votes"),
        HISTORY,
    ),
}
NEEDED = {
    "role_curves": ["mechanism", "tail_endowment", "role", "round", "paid"],
    "role_scatter": ["mechanism", "tail_endowment", "role", "gave", "got"],
    "heat_panels": [
        "mechanism",
        "tail_endowment",
        "tail_contribution_sum",
        "head_contribution",
        "head_share",
    ],
    "manifold_map": ["w_bin", "v", "mds_x", "mds_y"],
    "contribution_curves": [
        "source",
        "mechanism",
        "tail_endowment",
        "role",
        "round",
        "relative_contribution",
    ],
    "vote_bars": ["rival", "tail_endowment", "vote_share", "low", "high"],
    "beach_plot": [
        "mechanism",
        "tail_endowment",
        "head_contribution",
        "tail_contribution_sum",
        "head_share",
    ],
    "matrix_plot": ["row_v", "row_w", "col_v", "col_w", "win_probability"],
    "learning_curve": ["step", "votes"],
}


@pytest.mark.parametrize(
    ("name", "column"),
    [(name, column) for name, columns in NEEDED.items() for column in columns],
)
def test_a_missing_column_is_named(name, column):
    draw, frame = DRAWN[name]
    with pytest.raises(
        ValueError, match=f"^{name} needs the column '{column}'.*add it$"
    ) as refusal:
        draw(frame.drop(columns=column))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", DRAWN)
def test_no_rows_are_refused(name):
    draw, frame = DRAWN[name]
    with pytest.raises(ValueError, match=f"{name} was given a frame without rows"):
        draw(frame[:0])


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_figure_has_the_same_bytes(name, tmp_path):
    draw, frame = DRAWN[name]
    figure = draw(frame)
    figures.save(figure, tmp_path / "first" / "a.svg")
    figures.save(figure, tmp_path / "again.svg")
    figures.save(draw(frame), tmp_path / "redrawn.svg")
    first, again, redrawn = (
        (tmp_path / path).read_bytes()
        for path in ("first/a.svg", "again.svg", "redrawn.svg")
    )
    assert first == again == redrawn
    assert b"<dc:date>" not in first and b"</svg>" in first


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_fits_the_page_and_nothing_is_tiny(name):
    draw, frame = DRAWN[name]
    figure = draw(frame)
    assert figure.get_figwidth() <= figures.FULL
    assert (
        min(
            text.get_fontsize()
            for text in figure.findobj(mpl.text.Text)
            if text.get_text()
        )
        >= 7
    )


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    figure = figures.learning_curve(HISTORY, value="votes", label="votes")
    monkeypatch.setattr(figure, "savefig", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        figures.save(figure, tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"figures are saved as \.svg"):
        figures.save(figure, tmp_path / "a.png")


def test_a_strange_role_is_named(curves):
    with pytest.raises(ValueError, match="not 'referee'"):
        figures.contribution_curves(curves.assign(role="referee"))


def test_the_readers_style_is_left_alone(curves):
    before = dict(mpl.rcParams)
    figures.contribution_curves(curves)
    assert dict(mpl.rcParams) == before


@given(
    st.permutations(
        ["strict_egalitarian", "libertarian", "liberal_egalitarian", "hcrm", "mine"]
    )
)
def test_known_mechanisms_keep_their_order(names):
    known = ["strict_egalitarian", "libertarian", "liberal_egalitarian", "hcrm", "mine"]
    assert figures.ordered_values(pd.Series(names)) == known
