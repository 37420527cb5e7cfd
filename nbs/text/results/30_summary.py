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
# # Summary
#
# > The headline numbers and the networks of a finished run go in; README's table, the networks to publish and the provenance come out.
#
# *Outputs: profile `paper`, seeds 0 to 2, iteration 1; made at commit `cbea95f`.*

# %% tags=["parameters"]
folder = "runs/paper"
profile = "paper"
n_seeds = 3
last_iteration = 1

# %%
import json
import shutil

import numpy as np
import pandas as pd

from democratic_ai import figures, mechanisms
from democratic_ai.engine import runs, store

here = runs.open_run(folder, runs.RESULTS / "numbers" / "democratic_ai.json")
results = here / runs.RESULTS
numbers = json.loads((results / "numbers" / "democratic_ai.json").read_text())

# %% [markdown]
# README shows these, and takes them from here. How each was made stands in 37_numbers. *Net of
# liking* is the published share less what people's intercept added, with its standard error: the
# yardstick for stand-ins, who like nobody (05_voting).

# %%
SUMMARY = {
    "fig1c_participants_error": "Figure 1C: participants from the published means"
    " (mean absolute error)",
    "fig1c_virtual_players_from_participants": "Figure 1C: virtual players, playing"
    " freely, from participants (mean absolute difference)",
    "s2_mean_absolute_error": "Table S2: nine mechanisms in round robin"
    " (mean absolute error)",
    "s2_best_share_against_liberal_egalitarian": "Table S2: best share of the votes"
    " against liberal egalitarian",
    "s1b_mean_absolute_error": "Table S1b: HCRM among virtual players"
    " (mean absolute error)",
}
for who, kind, rivals in (
    ("virtual players", "s1b", mechanisms.BASELINES),
    ("participants", "s1a", [*mechanisms.BASELINES, "rational"]),
):
    for rival in rivals:
        words = f"votes for HCRM against {figures.label(rival)}, {who}"
        SUMMARY[f"{kind}_share_{rival}"] = words
SUMMARY |= {
    "s1a_mean_absolute_error": "Table S1a: HCRM among participants"
    " (mean absolute error)",
    "s1a_mean_absolute_error_net": "Table S1a: the same, from shares net of liking",
    "s1a_error_of_one_half": "Table S1a: the error of who predicts one half everywhere",
    "published_numbers_that_agree": "published numbers that agree,"
    f" {numbers['published_numbers_that_agree']['unit']}",
    "predictions_about_votes_that_coin_tossers_agree": "the same for voters who toss"
    f" coins, {numbers['predictions_about_votes_that_coin_tossers_agree']['unit']}",
    "fig3a_head_share_below_half": "Figure 3A: head's share when it gives less than"
    " half and the tails everything",
    "fig3a_head_share_from_half": "the same when the head gives half or more",
    "cpu_minutes_per_seed": "minutes of computing for one seed, on one core",
    "minutes_per_seed": "minutes of its steps by the clock, other work beside them",
    "minutes_of_the_chain": "minutes of its play, cloning, metagame, training and"
    " repeat, which must follow one another",
}


# %%
def shown(value):
    "Write counts and minutes whole, shares with three digits; nothing for none."
    if value is None or not np.isfinite(value):
        return ""
    return f"{value:.0f}" if isinstance(value, int) or value > 1 else f"{value:.3f}"


rows = []
# at the smallest sizes nothing can be said about liking
SUMMARY = {name: words for name, words in SUMMARY.items() if name in numbers}
for name, words in SUMMARY.items():
    number = numbers[name]
    interval = " to ".join(filter(None, (shown(number["low"]), shown(number["high"]))))
    net = shown(number.get("published_net"))
    net += f" ± {shown(number['net_standard_error'])}" if net else ""
    value, published = shown(number["value"]), shown(number["published"])
    rows.append((words, value, interval, published, net))
columns = ["what", "ours", "interval", "published", "net of liking"]
table = pd.DataFrame(rows, columns=columns)
sides = ("left", "right", "right", "right", "right")
summary = table.to_markdown(index=False, disable_numparse=True, colalign=sides)
with store.atomic_write(results / "summary.md") as temporary:
    temporary.write_text(summary + "\n")
print(summary)

# %% [markdown]
# The networks of the first seed are published with the results: the players and HCRM of the last
# iteration, and RM.

# %%
last = runs.iteration(last_iteration)
networks = {"players": last / "players", "hcrm": last / "mechanism"}
networks["rm"] = runs.rational() / "mechanism"
for role, network in networks.items():
    path = results / "parameters" / f"{role}.safetensors"
    with store.atomic_write(path) as temporary:
        shutil.copyfile(here / runs.seed(0) / f"{network}.safetensors", temporary)

# %%
took = runs.read_benchmarks(here).round(2)
took = took[~took.index.str.contains(str(runs.HCMD_ZERO))]
sources = set(pd.read_csv(results / "data" / "fig1c.csv").source)
stamp = store.provenance(
    profile=profile,
    behaviour="people" if "people" in sources else "participants",
    seeds=list(range(n_seeds)),
    iterations=last_iteration + 1,
    minutes_per_step=took.minutes.to_dict(),
    gib_per_step=took.gib.to_dict(),
)
store.write_json(results / "provenance.json", stamp)
