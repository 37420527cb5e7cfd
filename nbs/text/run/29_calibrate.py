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
# # Calibrate: stand-in participants from Figure 1C
#
# > Figure 1C goes in; the stand-in participants' numbers come out, with the errors they make on games that they were not fitted on.
#
# *Outputs: seed 0; made at commit `0a64442`.*

# %% tags=["parameters"]
folder = "data/participants"  # below the repository
# the first one becomes the default, the others are for comparison
losses = [1.0, 0.0, 0.5, 2.0]
n_games = 1024  # per mechanism and tail endowment, while searching
n_candidates = 16
n_generations = 60
fresh_games = 8192  # per mechanism and tail endowment, for judging
seed = 0

# %% [markdown]
# This step stands outside the pipeline: its result is committed, `make calibrate` makes it again,
# and everything else reads the file. One search takes about half a minute of one core. `loss` is
# held fixed in each search, because Figure 1C cannot tell it (03_participants shows why), and so
# are the six numbers that 16_calibration states; the other seven are fitted anew.

# %%
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from democratic_ai import calibration, participants
from democratic_ai.engine import runs, store, streams

there, logs = runs.open_run(folder), Path("runs") / "calibrate"
started = time.process_time()
sizes = {
    "n_games": n_games,
    "n_candidates": n_candidates,
    "n_generations": n_generations,
    "seed": seed,
}
searches = [calibration.Search(loss=loss, **sizes) for loss in losses]
log = lambda search: logs / f"loss{search.loss}.json"
found = [calibration.calibrate(search, log=log(search)) for search in searches]

# %%
# the very games that the search has played
drawn = participants.fig1c_error(jax.random.key(seed), n_games=n_games)
key_fresh = streams.stream(seed, "calibrate", "fresh")
fresh = participants.fig1c_error(key_fresh, n_games=fresh_games)
rows = [
    {"error_fitted_draw": drawn(population), "error_fresh_games": fresh(population)}
    | participants.as_dict(population)
    for population, _ in found
]
table = pd.DataFrame(rows).set_index("loss")
table.round(4)

# %% [markdown]
# The first column is flattered by the draw it was fitted on; the second one counts. Read down a
# column: how far do the searches with different `loss` agree on the other numbers?

# %%
population = found[0][0]
players = participants.with_or_without_referee(population)
curves = participants.fig1c_curves(key_fresh, players, n_games=fresh_games)
fit = curves.rename(columns={"relative_contribution": "fitted"})
fit["published"] = participants.fig1c_published().ravel()
error = np.abs(fit.fitted - fit.published)
assert np.isclose(error.mean(), table.error_fresh_games.iloc[0], atol=1e-4)
print(f"mean absolute error {error.mean():.4f}, largest {error.max():.3f}")
cells = error.groupby([fit.mechanism, fit.tail_endowment, fit.role], sort=False)
cells.mean().unstack().round(3)

# %%
store.write_table(there / "fit.csv", fit.round(5))
fitted_to = "data/published/fig1c_relative_contribution.csv"
minutes = (time.process_time() - started) / 60
content = {
    "population": participants.as_dict(population),
    "error_fitted_draw": rows[0]["error_fitted_draw"],
    "error_fresh_games": rows[0]["error_fresh_games"],
    "by_loss": rows,
    "settings": sizes | {"ridge": searches[0].ridge, "fresh_games": fresh_games},
    "made_by": store.provenance(fitted_to=fitted_to, cpu_minutes=minutes),
}
store.write_json(there / "calibration.json", content)
