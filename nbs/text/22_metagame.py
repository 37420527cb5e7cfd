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
# # Metagame
#
# > Virtual players go in; the mechanism of the ideological manifold that is hardest to beat comes out.

# %% tags=["parameters"]
folder = "runs/smoke/seed0/iter0"
seed = 0
iteration = 0
metagame_blocks = 320

# %% [markdown]
# Nine mechanisms stand against one another, as in Table S2: v and w in {0, 1/2, 1}. Each is played once by virtual players on
# the evaluation's five endowments, and paired with all others afterwards.

# %%
from pathlib import Path

import jax

from democratic_ai import cloning, data, metagame

here = Path(folder)
key = jax.random.fold_in(jax.random.key(seed), 2200 + iteration)
params = data.load_parameters(here / "players.safetensors", cloning.init(jax.random.key(0)))
players = cloning.virtual_players(params)

# %%
sums = metagame.simulate(key, players, metagame.NINE, n_blocks=metagame_blocks)
pairing = metagame.pairing(sums)
table = metagame.tournament_table(pairing.win, metagame.NINE)
table.pivot_table(index=["row_v", "row_w"], columns=["col_v", "col_w"], values="win_probability", sort=False).round(3)

# %% [markdown]
# The opponent for the mechanism in training is the one with the most votes. The published top two are nearly tied, and so may
# ours be: where liberal egalitarian (v = 1, w = 1) is level with the best within two standard errors, it is the opponent, as it
# was in the paper. What won is written down either way.

# %%
best, level = metagame.winner(pairing.win, margin=2 * pairing.error)
liberal = len(metagame.NINE.w) - 1
opponent = liberal if liberal in (best, *level) else best
cycles = metagame.condorcet_cycles(pairing.win, margin=2 * pairing.error)
point = lambda i: {"v": float(metagame.NINE.v[i]), "w": float(metagame.NINE.w[i])}
outcome = {
    "most_votes": point(best),
    "level_with_it": [point(i) for i in level],
    "opponent": point(opponent),
    "cycles": [list(map(int, cycle)) for cycle in cycles],
    "largest_standard_error": float(pairing.error.max()),
}
outcome

# %%
data.write_table(here / "metagame.csv", table.assign(error=pairing.error.ravel()))
data.write_json(here / "metagame.json", outcome)
