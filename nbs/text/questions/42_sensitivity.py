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
# # Sensitivity to `loss`
#
# > The same run under several values of the one number that Figure 1C leaves open goes in; what hangs on it comes out.
#
# *Outputs: profile `laptop`, seed 0, iteration 1; made at commit `a4bdf25`.*

# %% tags=["parameters"]
folder = "runs/laptop"
profile = "laptop"
losses = "0.0 0.5 1.0 2.0"
default = 1.0  # the run itself
last_iteration = 1

# %% [markdown]
# How strongly do people resent it when their coins do not come back? The published curves do not
# say: every value of `loss` fits them about equally well. So everything that was measured once is
# measured again for each value, one seed each, and shown side by side. What stays put may be
# believed; what moves was decided by an assumption.

# %%

import matplotlib.pyplot as plt
import pandas as pd

from democratic_ai import figures, mechanisms, statistics
from democratic_ai.engine import published, runs, store

here = runs.open_run(folder, runs.seed(0) / "fig1c.csv", made_with="sensitivity")
values = losses.split()
place = {value: here / ("" if float(value) == default else runs.of_loss(value)) / runs.seed(0) for value in values}
last = {value: place[value] / runs.iteration(last_iteration) for value in values}

# %%
rows = []
for value in values:
    curves = pd.read_csv(place[value] / "fig1c.csv")
    cells = curves.pivot_table(index=["mechanism", "tail_endowment", "role", "round"], columns="source", values="relative_contribution")
    s2, s1b = (pd.read_csv(last[value] / name) for name in ("metagame.csv", "votes.csv"))
    s2 = statistics.compare_with_published(s2, published.read("table_s2_metagame"), on=["row_v", "row_w", "col_v", "col_w"], value="win_probability")
    s1b = statistics.compare_with_published(s1b, published.read("table_s1b_virtual_votes"), on=["rival", "tail_endowment"], value="vote_share")
    beach = pd.read_csv(last[value] / "beach.csv").query("mechanism == 'hcrm' and tail_contribution_sum == 3 * tail_endowment")
    rows.append(
        {
            "loss": float(value),
            "fig1c_participants_error": (cells.participants - cells.published).abs().mean(),
            "fig1c_virtual_players_from_participants": (cells.virtual_players - cells.participants).abs().mean(),
            "s2_mean_absolute_error": s2.difference.abs().mean(),
            "s1b_mean_absolute_error": s1b.difference.abs().mean(),
            "s1b_smallest_share": s1b.vote_share.min(),
            **{f"s1b_share_{rival}": s1b[s1b.rival == rival].vote_share.mean() for rival in mechanisms.BASELINES},
            "fig3a_head_share_below_half": beach[beach.head_contribution < 5].head_share.mean(),
        }
    )
table = pd.DataFrame(rows)
store.write_table(here / runs.SENSITIVITY / "loss_sensitivity.csv", table)
WORDS = {
    "loss": "`loss`",
    "fig1c_participants_error": "Figure 1C, participants",
    "fig1c_virtual_players_from_participants": "Figure 1C, virtual players from participants",
    "s2_mean_absolute_error": "Table S2",
    "s1b_mean_absolute_error": "Table S1b",
    "s1b_smallest_share": "smallest share in Table S1b",
    "fig3a_head_share_below_half": "head's share below half",
}
summary = table[list(WORDS)].rename(columns=WORDS).to_markdown(index=False, floatfmt=".3f")
with store.atomic_write(here / runs.SENSITIVITY / "summary.md") as temporary:
    temporary.write_text(summary + "\n")
table.set_index("loss").T.round(3)

# %% [markdown]
# Left: the error against the published curves hardly moves. Right: the votes for HCRM, and what it
# pays a head that holds back.

# %%
with figures.style():
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    for column, marker in (("fig1c_participants_error", "o"), ("s2_mean_absolute_error", "s"), ("s1b_mean_absolute_error", "^")):
        axes[0].plot(table.loss, table[column], marker=marker, label=column.split("_")[0])
    axes[0].set(xlabel="loss", ylabel="mean absolute error", ylim=(0, None), title="against what was published")
    for rival, marker in zip(mechanisms.BASELINES, "os^"):
        axes[1].plot(table.loss, table[f"s1b_share_{rival}"], marker=marker, label=f"votes against {rival.replace('_', ' ')}")
    axes[1].plot(table.loss, table.fig3a_head_share_below_half, "k--", marker="x", label="head's share below half")
    axes[1].set(xlabel="loss", ylabel="fraction", ylim=(0, 1), title="HCRM, stand-in participants")
    for ax in axes:
        ax.legend(fontsize="x-small")
figures.save(figure, here / runs.SENSITIVITY / "loss_sensitivity.svg")
store.write_json(here / runs.SENSITIVITY / "provenance.json", store.provenance(profile=profile, seeds=[0], losses=[float(value) for value in values]))
