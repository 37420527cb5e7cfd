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
# # Calibrate: stand-in participants from all that is known about people
#
# > Real choices and published summaries go in; the stand-in participants' numbers come out, with how far they miss each source, what each piece is worth, and how well they foretell a city.
#
# *Outputs: seed 0; made at commit `9e340db`.*

# %% tags=["parameters"]
folder = "data/participants"  # below the repository
losses = [0.0, 2.0, 7.0]  # fitted again with `loss` held there
n_games = 1024  # per condition, while searching
n_candidates = 40
n_generations = 300
# of the searches that begin at the result: another loss, a part left out
again_candidates = 16
again_generations = 50
city_candidates = 20
city_generations = 200  # of the searches without a city, which begin anew
fresh_games = 8192  # per condition, for judging
seed = 0

# %% [markdown]
# This step stands outside the pipeline: its result is committed, `make calibrate` makes it again,
# and everything else reads the file. It takes two hours of one core and goes on where it was
# stopped. 16_calibration says what is made small, and why.

# %%
import time
from pathlib import Path

import numpy as np
import pandas as pd

from democratic_ai import calibration, data, participants
from democratic_ai.engine import runs, store, streams

there, logs = runs.open_run(folder), Path("runs") / "calibrate"
started = time.process_time()
fixed_sizes = {"n_games": n_games, "seed": seed}
sizes = {"n_candidates": n_candidates, "n_generations": n_generations}
found = calibration.calibrate(
    calibration.Search(**fixed_sizes, **sizes), log=logs / "all.json"
)
population = found.population

# %%
people, city = data.real_choices()
target = calibration.known(people)
key_fresh = streams.stream(seed, "calibrate", "fresh")


def judge(population):
    "Measure how far a population misses each source, on games never searched on."
    summary = calibration.summarise(key_fresh, population, n_games=fresh_games)
    misses = calibration.misses(summary, target)
    error = np.abs(summary.curves - target.summary.curves).mean()
    return {
        "error_fresh_games": float(error),
        "nats_a_choice": float(calibration.nats_a_choice(population, people.block)),
        "f_strict_egalitarian": float(summary.f[0]),
        "f_libertarian": float(summary.f[1]),
        "f_liberal_egalitarian": float(summary.f[2]),
        "worst_moment": float(np.abs(misses["moments"]).max()),
        "worst_slope": float(np.abs(misses["others"]).max()),
    }


judged = judge(population)
pd.Series(judged).round(3)

# %% [markdown]
# The last two are in tolerances: one is half of people's interval, or .05 coins.
#
# ## With other values of `loss`

# %%
nearby = fixed_sizes | {
    "start": found.position,
    "first_step": 0.2,
    "n_candidates": again_candidates,
    "n_generations": again_generations,
}


def search_again(fixed, log):
    "Search again from the result with some numbers held fixed; judge what is found."
    settings = calibration.Search(fixed=fixed, **nearby)
    again = calibration.calibrate(settings, log=logs / log)
    value = {"population": participants.as_dict(again.population)}
    return value | {"misfit": again.history.misfit.min()} | judge(again.population)


populations = [{"population": participants.as_dict(population), **judged}]
populations += [search_again({"loss": loss}, f"loss{loss}.json") for loss in losses]
columns = ["error_fresh_games", "nats_a_choice", "worst_moment", "worst_slope"]
shown = pd.DataFrame(populations)[columns]
shown.set_index(
    pd.Index([x["population"]["loss"] for x in populations], name="loss")
).round(3)

# %% [markdown]
# ## With one piece left out

# %%
rows = []
for name, fixed in calibration.PARTS.items():
    held_out = calibration.hold_out_cities(fixed)
    nats = np.mean([held_out[name_of_city] for name_of_city in city])
    again = search_again(fixed, f"without_{name.replace(' ', '_')}.json")
    again.pop("population")
    rows.append({"without": name, "nats_held_out_choices_alone": nats} | again)
parts = pd.DataFrame(rows)
store.write_table(there / "parts.csv", parts.round(5))
parts.set_index("without").round(3)

# %% [markdown]
# ## Cities held out

# %%
tables = calibration.surprise_of_tables()
alone, together = calibration.hold_out_cities(), {}
for name, _, held_out in calibration.by_city():
    settings = calibration.Search(
        held_out=name,
        n_candidates=city_candidates,
        n_generations=city_generations,
        **fixed_sizes,
    )
    of_others = calibration.calibrate(settings, log=logs / f"{name}.json").population
    together[name] = float(calibration.nats_a_choice(of_others, held_out.block))
cities = tables.assign(
    **{"population, choices alone": alone, "population, all sources": together}
)
cities["choices"] = pd.Series(city).value_counts() * people.block.contribution[0].size
store.write_table(
    there / "cities.csv", cities.round(5).rename_axis("city").reset_index()
)
cities.round(3)

# %% [markdown]
# ## What is kept

# %%
curves = participants.fig1c_curves(
    key_fresh, participants.with_or_without_referee(population), n_games=fresh_games
)
fit = curves.rename(columns={"relative_contribution": "fitted"})
fit["published"] = participants.fig1c_published().ravel()
store.write_table(there / "fit.csv", fit.round(5))
low, high = calibration.moments_interval(people.block.relative_contribution)
summary = calibration.summarise(key_fresh, population, n_games=fresh_games)
before = pd.read_csv(
    participants.CALIBRATION.parents[1] / "fixtures/first_stand_ins.csv"
)
moments = pd.DataFrame(
    {
        "quantity": calibration.MOMENTS,
        "people": target.summary.moments,
        "low": low,
        "high": high,
        "stand_ins": summary.moments,
        "before": before.stand_ins,
    }
)
store.write_table(there / "people_moments.csv", moments.round(4))
moments.round(3)

# %%
minutes = (time.process_time() - started) / 60
content = {
    "populations": populations,
    "settings": fixed_sizes | sizes | {"fresh_games": fresh_games},
    "made_by": store.provenance(cpu_minutes=minutes),
}
store.write_json(there / "calibration.json", content)
