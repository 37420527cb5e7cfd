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
# # What lets HCMD-zero climb?
#
# > Runs of HCMD-zero that differ in one choice, or in one step for which the truth was put, go in; what each choice is worth, and which step is the weakest, come out.
#
# *Outputs: none yet.*

# %% [markdown]
# The original says little about its vote model and nothing about its units. Our first runs read
# coins, fitted 120 free weights, did 2,000 updates between two sessions, and hardly rose. Each of
# these choices can be changed by itself. What is measured was written down before any run of this
# notebook:
#
# - **Choices.** The run as it is: payouts in endowments, weights that may be tied over rounds, and
#   the part of the original's updates that `settings.ini` gives. Against it, one at a time: payouts
#   in `coins`; weights `untied`; `long` steps of 2,000 updates before the last iteration; and all
#   three together, `before`.
# - **Swaps.** The truth in the place of a model (17): `true_vote` trains for the rule by which
#   stand-ins vote, `true_play` lets stand-ins play in the games of OPTIMISE, `true_both` does both.
#   What a swap gains is the most that a better model could.
# - **Measured**, by seed: the share of new stand-ins' votes against liberal egalitarian after each
#   iteration, mean over endowments; the rise from the random one to the last; how many of the seven
#   steps are not lost, by two standard errors before the last models; the idle head's share by
#   iteration; and runs that end in a dead end (17). Steps are judged by the run's own models of
#   play, also where stand-ins played in OPTIMISE.
# - **The rule.** A choice matters if Student's 95 % interval of the paired difference in the last
#   share, over seeds, leaves out zero. The weakest step is the one whose swap gains most.
#
# The same seed means the same participants and random numbers, as far as they are used alike.

# %% tags=["parameters"]
folder = "runs/laptop"
profile = "laptop"
arms = "before coins untied long true_vote true_play true_both"
n_seeds = 5

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from democratic_ai import figures, statistics
from democratic_ai.engine import runs, store

# %%
here = runs.open_run(folder, runs.CLIMB, made_with="climb") / runs.CLIMB
AS_IS = "as it is"
names = [AS_IS, *arms.split()]


def seeds_of(arm):
    "Name the folders of an arm's seeds."
    if arm == AS_IS:
        return [Path(folder) / runs.seed(k) / runs.HCMD_ZERO for k in range(n_seeds)]
    return [here / arm / runs.seed(k) for k in range(n_seeds)]


def read(arm, name):
    "Read a table of all seeds of an arm."
    if arm == AS_IS:
        return runs.read_seeds(folder, runs.HCMD_ZERO / name, n_seeds)
    return runs.read_seeds(here / arm, name, n_seeds)


def last_reasons(arm):
    "Read why each of an arm's seeds would have stopped after the last iteration."
    read = (json.loads((place / "stop.json").read_text()) for place in seeds_of(arm))
    return [list(reasons.values())[-1] for reasons in read]


def read_all(name):
    "Read a table of all seeds of all arms."
    return pd.concat(read(arm, name).assign(arm=arm) for arm in names)


# %%
course = read_all("course.csv").query("rival == 'liberal_egalitarian'")
by_run = ["arm", "iteration", "seed"]
shares = course.groupby(by_run, sort=False).vote_share.mean().reset_index()
idle = read_all("idle_head.csv")
last = shares.iteration.max()
over = lambda frame, value: statistics.over_seeds(frame, ["arm", "iteration"], value)
climbs = over(shares, "vote_share").merge(
    over(idle, "head_share")[["arm", "iteration", "head_share"]]
)
store.write_table(here / "climbs.csv", climbs.round(5))
axes = {"index": "arm", "columns": "iteration", "values": "vote_share"}
print("share of the votes against liberal egalitarian")
print(climbs.pivot(**axes).reindex(names).round(3).to_string())
print("\nwhat is left for a head that gives nothing")
axes["values"] = "head_share"
print(climbs.pivot(**axes).reindex(names).round(3).to_string())

# %%
metagames = read_all("metagame.csv").query("model_iteration == @last")
steps = metagames.query("iteration_row == iteration_col + 1")
not_lost = (
    (steps.vote_share - 0.5 >= -2 * steps.error).groupby([steps.arm, steps.seed]).sum()
)
at = shares.set_index(by_run).vote_share.unstack("iteration")
rise = at[last] - at[0]
measured = pd.DataFrame({"last": at[last], "rise": rise, "not_lost": not_lost})
store.write_table(here / "by_seed.csv", measured.round(5).reset_index())

# %%
rows = []
for arm in names:
    of_arm, as_is = measured.loc[arm], measured.loc[AS_IS]
    for what in ("last", "rise", "not_lost"):
        mean = statistics.interval_over_seeds(of_arm[what])
        gain = statistics.interval_over_seeds(of_arm[what] - as_is[what])
        rows.append((arm, what, *mean, *gain))
bounds = ["value", "low", "high", "gain", "gain_low", "gain_high"]
compared = pd.DataFrame(rows, columns=["arm", "measure", *bounds])
compared["matters"] = (compared.gain_low > 0) | (compared.gain_high < 0)
store.write_table(here / "compared.csv", compared.round(5))
compared.round(3)

# %%
final = compared[compared.measure == "last"].set_index("arm")
swaps = final.filter(like="true_", axis=0)
if len(swaps):
    weakest = swaps.drop("true_both", errors="ignore").gain.idxmax()
    print(f"the weakest step, by the rule above: the one swapped in {weakest}")
ends = {
    arm: sum(reason.startswith("a dead end") for reason in last_reasons(arm))
    for arm in names
}
print("runs that end in a dead end, by arm:", {a: n for a, n in ends.items() if n} or 0)

# %%
votes = "share of the votes\nagainst liberal egalitarian"
LOOKS = {
    AS_IS: dict(color=figures.HEAD, marker="o"),
    "before": dict(color="#555555", marker="s", ls=":"),
    "coins": dict(color=figures.TAIL, marker="^", ls="--"),
    "untied": dict(color="#009e73", marker="v", ls="--"),
    "long": dict(color="#cc79a7", marker="d", ls="--"),
    "true_vote": dict(color=figures.TAIL, marker="^", ls="--"),
    "true_play": dict(color="#009e73", marker="v", ls="--"),
    "true_both": dict(color="#555555", marker="s", ls=":"),
}
panels = {
    "choices": [AS_IS, *(arm for arm in names[1:] if not arm.startswith("true"))],
    "swaps": [AS_IS, *(arm for arm in names if arm.startswith("true"))],
}
panels = {title: drawn for title, drawn in panels.items() if len(drawn) > 1}
with figures.style():
    size = (3.4 * len(panels), 2.4)
    alike = dict(figsize=size, sharey=True, squeeze=False)
    figure, axes = plt.subplots(1, len(panels), **alike)
    for ax, (title, drawn) in zip(axes[0], panels.items(), strict=True):
        for arm in drawn:
            line = climbs[climbs.arm == arm]
            label = arm.replace("_", " ")
            ax.plot(line.iteration, line.vote_share, **LOOKS[arm], label=label)
            shadow = dict(color=LOOKS[arm]["color"], alpha=0.12, lw=0)
            ax.fill_between(line.iteration, line.low, line.high, **shadow)
        ax.axhline(0.5, color=figures.CHANCE, lw=0.8, ls=(0, (4, 2)), zorder=0)
        ax.set(title=title, xlabel="iteration")
        ax.legend(loc="lower right")
    axes[0, 0].set_ylabel(votes)
whose = (
    f"stand-in participants, {n_seeds} paired runs of the profile {profile}, "
    "Student's 95 % interval"
)
figures.save(figures.finalise(figure, whose), here / "hcmd_climb.svg")

# %%
places = [place for arm in names for place in seeds_of(arm)]
stamp = runs.provenance(places, profile=profile, seeds=list(range(n_seeds)))
store.write_json(here / "provenance.json", stamp)
