# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: python3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Sensitivity to the population
#
# > The same run among several populations, calibrated alike with another `loss`, goes in; what hangs on it comes out.
#
# *Outputs: profile `laptop`, seed 0, iteration 1; made at commit `a4bdf25`.*

# %% tags=["parameters"]
folder = "runs/laptop"
profile = "laptop"
populations = "0 1 2 3"
default = 0  # the run itself
last_iteration = 1

# %% [markdown]
# How strongly do people resent it when their coins do not come back? The data hardly tell: several
# values of `loss` fit them about equally well (03_participants). So everything that was measured
# once is measured again for each population, one seed each, and shown side by side. What stays put
# may be believed; what moves was decided by an assumption.

# %%
import matplotlib.pyplot as plt
import pandas as pd

from democratic_ai import figures, mechanisms, participants, statistics
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.seed(0) / "fig1c.csv", made_with="sensitivity")
numbers, place = [int(k) for k in populations.split()], {}
for k in numbers:
    part = "" if k == default else runs.of_population(k)
    place[k] = here / part / runs.seed(0)
last = {k: place[k] / runs.iteration(last_iteration) for k in numbers}


# %%
def curve_errors(k):
    "Give mean distances in Figure 1C: people's means, participants, virtual players."
    curves = pd.read_csv(place[k] / "fig1c.csv")
    axes = ["mechanism", "tail_endowment", "role", "round"]
    cells = curves.pivot_table(
        index=axes, columns="source", values="relative_contribution"
    )
    participants = (cells.participants - cells.published).abs().mean()
    virtual_players = (cells.virtual_players - cells.participants).abs().mean()
    return {
        "fig1c_participants_error": participants,
        "fig1c_virtual_players_from_participants": virtual_players,
    }


def metagame_error(k):
    "Give the mean distance of win probabilities from Table S2."
    s2 = statistics.compare_with_published(
        pd.read_csv(last[k] / "metagame.csv"),
        published.read("table_s2_metagame"),
        on=["row_v", "row_w", "col_v", "col_w"],
        value="win_probability",
    )
    return {"s2_mean_absolute_error": s2.difference.abs().mean()}


# %%
def votes_for_hcrm(k):
    "Give shares of virtual players' votes, and their mean distance from Table S1b."
    s1b = statistics.compare_with_published(
        pd.read_csv(last[k] / "votes.csv"),
        published.read("table_s1b_virtual_votes"),
        on=["rival", "tail_endowment"],
        value="vote_share",
    )
    found = {
        "s1b_mean_absolute_error": s1b.difference.abs().mean(),
        "s1b_smallest_share": s1b.vote_share.min(),
    }
    for rival in mechanisms.BASELINES:
        share = s1b[s1b.rival == rival].vote_share.mean()
        found[f"s1b_share_{rival}"] = share
    return found


def votes_of_participants(k):
    "Give shares of the stand-ins' votes for HCRM, on many times the original's groups."
    cast = pd.read_parquet(place[k] / "many_votes.parquet").query(
        "experiment in (2, 3)"
    )
    shares = cast.groupby("rival").vote.mean()
    return {f"s1a_share_{rival}": share for rival, share in shares.items()}


def share_below_half(k):
    "Give the mean share of a head that gives less than half, of tails that give all."
    beach = pd.read_csv(last[k] / "beach.csv").query(
        "mechanism == 'hcrm' and tail_contribution_sum == 3 * tail_endowment"
    )
    share = beach[beach.head_contribution < 5].head_share.mean()
    return {"fig3a_head_share_below_half": share}


# %%
measures = (
    curve_errors,
    metagame_error,
    votes_for_hcrm,
    votes_of_participants,
    share_below_half,
)
rows = []
for k in numbers:
    row = {"population": k, "loss": participants.calibrated(k).loss}
    for measure in measures:
        row |= measure(k)
    rows.append(row)
table = pd.DataFrame(rows).sort_values("loss")
store.write_table(here / runs.SENSITIVITY / "loss_sensitivity.csv", table)
WORDS = {
    "loss": "`loss`",
    "fig1c_participants_error": "Figure 1C, participants",
    "fig1c_virtual_players_from_participants": "Figure 1C, virtual players "
    "from participants",
    "s2_mean_absolute_error": "Table S2",
    "s1b_mean_absolute_error": "Table S1b",
    "s1b_smallest_share": "smallest share in Table S1b",
    **{
        f"s1a_share_{rival}": f"participants' votes against {figures.label(rival)}"
        for rival in (*mechanisms.BASELINES, "rational")
    },
    "fig3a_head_share_below_half": "head's share below half",
}
summary = table[list(WORDS)].rename(columns=WORDS)
summary = summary.to_markdown(index=False, floatfmt=".3f")
with store.atomic_write(here / runs.SENSITIVITY / "summary.md") as temporary:
    temporary.write_text(summary + "\n")
table.set_index("loss").T.round(3)

# %% [markdown]
# Left: the error against the published curves. Right: the votes for HCRM, of virtual players
# (lines) and of stand-ins (dotted, same marks), and what it pays a head that holds back.

# %%
errors = (
    "fig1c_participants_error",
    "s2_mean_absolute_error",
    "s1b_mean_absolute_error",
)
with figures.style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    for column, marker in zip(errors, "os^", strict=True):
        label = column.split("_")[0]
        left.plot(table.loss, table[column], marker=marker, label=label)
    left.set(xlabel="loss", ylabel="mean absolute error", ylim=(0, None))
    left.set(title="against what was published")
    for rival, marker in zip(mechanisms.BASELINES, "os^", strict=True):
        look = dict(marker=marker, label=f"votes against {rival.replace('_', ' ')}")
        (drawn,) = right.plot(table.loss, table[f"s1b_share_{rival}"], **look)
        look = dict(marker=marker, ls=":", color=drawn.get_color())
        right.plot(table.loss, table[f"s1a_share_{rival}"], **look)
    look = dict(marker="x", label="head's share below half")
    right.plot(table.loss, table.fig3a_head_share_below_half, "k--", **look)
    right.set(xlabel="loss", ylabel="fraction", ylim=(0, 1))
    right.set(title="HCRM, stand-in participants")
    for ax in (left, right):
        ax.legend(fontsize="x-small")
figures.save(figure, here / runs.SENSITIVITY / "loss_sensitivity.svg")
stamp = store.provenance(profile=profile, seeds=[0], populations=numbers)
store.write_json(here / runs.SENSITIVITY / "provenance.json", stamp)
