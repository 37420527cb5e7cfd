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
# # Experiments
#
# > The final mechanism meets stand-in participants it never saw; their contributions and their votes come out.

# %% tags=["parameters"]
folder = "runs/smoke/seed0"
seed = 0
loss = 1.0
last_iteration = 0
curve_games = 256  # games for each cell of Figure 1C
group_fraction = 0.1  # of the numbers of groups in the original experiments

# %% [markdown]
# Participants here are stand-ins: their play was calibrated on Figure 1C, their votes on nothing. What follows is therefore a
# rehearsal of the experiments, not evidence about people.

# %%
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from democratic_ai import cloning, data, figures, game, graphnet, mechanisms, participants

here = Path(folder)
last = here / f"iter{last_iteration}"
population = replace(participants.fitted(), loss=loss)
virtual = cloning.virtual_players(data.load_parameters(last / "players.safetensors", cloning.init(jax.random.key(0))))
hcrm = graphnet.mechanism(data.load_parameters(last / "mechanism.safetensors", graphnet.init(jax.random.key(0))))
key_curves, key_virtual, key_votes = jax.random.split(jax.random.fold_in(jax.random.key(seed), 2500), 3)

# %% [markdown]
# ## Experiment 1: how contributions depend on the mechanism
#
# Strict egalitarian is the tutorial block, without a referee, as in the paper. Virtual players do not know whether a referee is
# present; they roll out freely, fed with nothing but their own play.

# %%
curves = pd.concat(
    [
        participants.fig1c_curves(key_curves, participants.seated(population), n_games=curve_games).assign(source="participants"),
        participants.fig1c_curves(key_virtual, lambda referee: virtual, n_games=curve_games).assign(source="virtual_players"),
    ]
)
published = data.published("fig1c_relative_contribution").assign(source="published")
curves = pd.concat([published, curves], join="inner", ignore_index=True)
figures.contribution_curves(curves, note="stand-in participants");

# %%
cells = curves.pivot_table(index=["mechanism", "tail_endowment", "role", "round"], columns="source", values="relative_contribution")
print("participants against published     ", round((cells.participants - cells.published).abs().mean(), 4))
print("virtual players against participants", round((cells.virtual_players - cells.participants).abs().mean(), 4))
data.write_table(here / "fig1c.csv", curves)

# %% [markdown]
# ## Experiment 2: the vote
#
# As many groups as the originals had, half of them meeting HCRM first. A session has thirty-four rounds, and the vote comes
# after the third block.

# %%
without, under = (participants.participants(population, referee=referee) for referee in (False, True))


def votes_for_hcrm(key, rival, endowment):
    "Count each group's votes for HCRM against one rival, in counterbalanced order."
    keys, half = jax.random.split(key), len(endowment) // 2
    first = game.session(keys[0], without, under, endowment[:half], hcrm, rival, participants.vote).votes_for_a
    second = ~game.session(keys[1], without, under, endowment[half:], rival, hcrm, participants.vote).votes_for_a
    return np.concatenate([first, second])


cast = data.published("fig2_votes").query("rival in @mechanisms.BASELINES")
rows = []
for i, cell in enumerate(cast.itertuples()):
    n_groups = max(2, round(cell.votes_cast / 4 * group_fraction))
    endowment = jnp.tile(mechanisms.head_and_tails(cell.tail_endowment), (n_groups, 1))
    ballots = votes_for_hcrm(jax.random.fold_in(key_votes, i), mechanisms.BASELINES[cell.rival], endowment)
    rows += [
        {"rival": cell.rival, "tail_endowment": cell.tail_endowment, "group": g, "head_for_hcrm": int(b[0]), "votes_for_hcrm": int(b.sum())}
        for g, b in enumerate(ballots)
    ]
experiment = pd.DataFrame(rows)
experiment.groupby("rival", sort=False).votes_for_hcrm.mean().div(4).round(3)

# %%
data.write_table(here / "experiment2.csv", experiment)
