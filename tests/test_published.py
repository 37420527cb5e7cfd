"""The published numbers that travel with the package."""

import numpy as np
import pytest

from democratic_ai import released
from democratic_ai.engine import published, store


def test_published_numbers_are_those_of_the_paper():
    sizes = {name: len(published.read(name)) for name in published.TABLES}
    assert sizes == {
        "fig1c_relative_contribution": 180,
        "fig3c_strict_egalitarian": 90,
        "fig2_votes": 20,
        "table_s1a_votes": 20,
        "table_s1b_virtual_votes": 15,
        "table_s2_metagame": 81,
        "figure_s2_t": 16,
        "text_statistics": 52,
        "hcmd_zero": 6,
    }
    votes = (
        published.read("fig2_votes")
        .groupby("rival")[["votes_for_hcrm", "votes_cast"]]
        .sum()
    )
    assert tuple(votes.loc["liberal_egalitarian"]) == (951, 1744)
    assert tuple(votes.loc["strict_egalitarian"]) == (513, 776)
    assert (
        published.read("fig2_votes").rival.map(released.MECHANISM_CODES)
        == published.read("fig2_votes").rival_code
    ).all()
    metagame = published.read("table_s2_metagame").pivot_table(
        index=["row_v", "row_w"], columns=["col_v", "col_w"], values="win_probability"
    )
    assert np.abs(metagame.to_numpy() + metagame.to_numpy().T - 1).max() < 0.0021, (
        "what a row wins its column loses"
    )
    with pytest.raises(store.DataError, match="fig2_votes") as refused:
        published.read("figure 2")
    assert "\n" not in str(refused.value)
