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
from functools import partial
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


@partial(jax.jit, static_argnums=1)
def votes_for_hcrm(key, rival, endowment):
    "Let groups vote between HCRM and one rival; every other group meets HCRM first."
    second = jnp.arange(len(endowment)) % 2
    a, b = (participants.by_group([hcrm, rival], which) for which in (second, 1 - second))
    votes = game.session(key, without, under, endowment, a, b, participants.vote).votes_for_a
    return jnp.where(second[:, None] == 0, votes, ~votes)


cast = data.published("fig2_votes").query("rival in @mechanisms.BASELINES")
groups = cast.assign(n=(cast.votes_cast / 4 * group_fraction).round().clip(lower=2).astype(int))
groups = groups.loc[groups.index.repeat(groups.n), ["rival", "tail_endowment"]].reset_index(drop=True)
rows = []
for key, (name, rival) in zip(jax.random.split(key_votes, len(mechanisms.BASELINES)), mechanisms.BASELINES.items()):
    played = groups[groups.rival == name]
    endowment = mechanisms.head_and_tails(jnp.array(played.tail_endowment.to_numpy(), float))
    votes = np.asarray(votes_for_hcrm(key, rival, endowment))
    rows.append(played.assign(head_for_hcrm=votes[:, 0].astype(int), votes_for_hcrm=votes.sum(-1)))
experiment = pd.concat(rows).reset_index(names="group")
experiment.groupby("rival", sort=False).votes_for_hcrm.mean().div(4).round(3)

# %%
data.write_table(here / "experiment2.csv", experiment)
