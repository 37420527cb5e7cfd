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
# # Repeat: what they thought we would do, and what we did
#
# > A trained mechanism and the virtual players that trained it go in; what new groups give under it and how they vote comes out, beside the forecast, and whether to go round again.
#
# *Outputs: profile `laptop`, seed 0, iteration 2; made at commit `775ba5c` in 0.6 minutes.*

# %% tags=["parameters"]
folder = "runs/laptop/seed0/iter2"
seed = 0
iteration = 2
population = 0  # which stand-in participants, 0 = the calibrated ones
judging_groups = 4105  # new groups that play and vote
repeat_groups = 821  # of these, whose blocks the next virtual players learn from
election_blocks = 4096  # of virtual players, for each tail endowment

# %% [markdown]
# New groups meet the mechanism, a third of them beside each baseline, and vote (19_repeat). What
# they give is compared with what the virtual players gave under the same mechanism *while it was
# trained with them*. The rule for when to stop was written down before any run that uses it.
#
# As many groups as Experiment 2 had would leave the error uncertain by about what the rule allows.
# Stand-ins cost nothing, so five times as many judge. The next virtual players learn from the
# paper's number alone.

# %%
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from democratic_ai import (
    cloning,
    data,
    figures,
    game,
    graphnet,
    mechanisms,
    metagame,
    participants,
    repeat,
)
from democratic_ai.engine import runs, store, streams

here = runs.open_run(folder, "players.safetensors", "mechanism.safetensors")
stream = partial(streams.stream, seed, "repeat", iteration)
crowd = participants.calibrated(population)
shape = cloning.init(jax.random.key(0))
players = store.load_parameters(here / "players.safetensors", shape)
players = cloning.virtual_players(players)
shape = graphnet.init(jax.random.key(0))
hcrm = store.load_parameters(here / "mechanism.safetensors", shape)
hcrm = graphnet.mechanism(hcrm)

# %%
asked = {"name": f"hcrm{iteration}", "n_groups": judging_groups}
groups = repeat.new_groups(stream("groups"), crowd, hcrm, **asked)
found = repeat.free_play(groups.block)

tails = jnp.resize(jnp.array(mechanisms.TAILS, float), 4 * judging_groups)
seats = mechanisms.head_and_tails(tails)
forecast = repeat.free_play(game.play(stream("forecast"), players, seats, hcrm))
size = {"n_blocks": election_blocks}
votes = metagame.elect(stream("votes"), players, hcrm, mechanisms.BASELINES, **size)

# %% [markdown]
# `error_head` and `error_tail` are mean absolute differences of relative contributions, sampling
# error taken off; `met` says whether both, and the share of the votes, were foreseen.

# %%
verdict = repeat.judge(forecast, found, votes.vote_share.mean(), groups.vote)
pd.Series(verdict).round(3).to_frame(f"iteration {iteration}").T

# %% [markdown]
# Where it went wrong, if it did: the virtual players' forecast and the groups.

# %%
axes = {
    "source": ["virtual_players", "participants"],
    "mechanism": [f"iteration_{iteration}"],
    "tail_endowment": mechanisms.TAILS,
    "role": ["head", "tail"],
    "round": range(1, 11),
}
curves = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
both = (forecast, found)
curves["relative_contribution"] = np.ravel([one.mean for one in both])
curves["standard_error"] = np.sqrt(np.ravel([one.variance for one in both]))
figures.contribution_curves(curves, note="participants are stand-ins");

# %% [markdown]
# And the votes, by rival: the virtual players' and the groups'.

# %%
share = votes.rename(columns={"vote_share": "forecast"})[
    ["rival", "tail_endowment", "forecast"]
]
by_rival = groups.vote.reshape(len(mechanisms.BASELINES), -1, game.Game.n_players)
dealt = np.resize(mechanisms.TAILS, by_rival.shape[1])
found_share = {
    (rival, tail): by_rival[k, dealt == tail].mean()
    for k, rival in enumerate(mechanisms.BASELINES)
    for tail in mechanisms.TAILS
}
cell = pd.MultiIndex.from_frame(share[["rival", "tail_endowment"]])
share["found"] = [found_share[each] for each in cell]
share.groupby("rival", sort=False)[["forecast", "found"]].mean().round(3)

# %%
n_each, n_kept = by_rival.shape[1], -(-repeat_groups // len(mechanisms.BASELINES))
kept = np.arange(len(groups.plays)) % n_each < n_kept
plays = data.plays_to_table(data.choose(groups.plays, kept))
store.write_table(here / "plays.parquet", plays)
store.write_table(here / "foresight.csv", curves.round(5))
store.write_table(here / "foresight_votes.csv", share.round(5))
store.write_json(here / "foresight.json", {"iteration": iteration} | verdict)
print(f"{kept.sum()} blocks of {3 * n_kept} groups for the next virtual players")
