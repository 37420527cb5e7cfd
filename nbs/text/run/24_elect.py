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
# # Elect: trained mechanisms against the baselines
#
# > A trained mechanism and virtual players go in; its share of the votes against each baseline, its beach plot and what players gave under it come out.
#
# *Outputs: profile `paper`, seed 0, iteration 1; made at commit `cbea95f` in 0.4 minutes.*

# %% tags=["parameters"]
folder = "runs/paper/seed0/iter1"
seed = 0
iteration = 1
election_blocks = 20480  # for each tail endowment

# %%
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from democratic_ai import cloning, figures, game, graphnet, mechanisms, metagame
from democratic_ai.engine import devices, runs, store, streams

here = runs.open_run(folder, "players.safetensors", "mechanism.safetensors")
stream = partial(streams.stream, seed, "elect", iteration)
shape = cloning.init(jax.random.key(0))
players = store.load_parameters(here / "players.safetensors", shape)
players = cloning.virtual_players(players)
shape = graphnet.init(jax.random.key(0))
hcrm = store.load_parameters(here / "mechanism.safetensors", shape)
hcrm = graphnet.mechanism(hcrm)

# %% [markdown]
# Three rivals, five endowments, as in Table S1b. Interval: over blocks of this run; the one over
# seeds is made in 39_tables.

# %%
rivals = mechanisms.BASELINES
size = {"n_blocks": election_blocks}
votes = metagame.elect(stream("votes"), players, hcrm, rivals, **size)
votes.pivot(index="tail_endowment", columns="rival", values="vote_share").round(3)

# %%
figures.vote_bars(votes, note="virtual players");

# %% [markdown]
# And what does the mechanism do? The share of the fund that goes to the head player, for every
# contribution of the head and, averaged, of the tails. It has no memory, so this surface is all
# there is to it.

# %%
contenders = {"hcrm": hcrm, **rivals}
beach = pd.concat(
    graphnet.beach(mechanism, tail).assign(mechanism=name, tail_endowment=tail)
    for name, mechanism in contenders.items()
    for tail in mechanisms.TAILS
)
whose = "trained with stand-in participants"
figures.beach_plot(beach[beach.mechanism == "hcrm"], note=whose);

# %%
store.write_table(here / "votes.csv", votes)
store.write_table(here / "beach.csv", beach)

# %% [markdown]
# What do virtual players give under these four, coin by coin? Figure S1 sets it beside what
# participants gave. A few thousand blocks are plenty: the frequencies are those of whole coins,
# round by round, for the head and for the tails.

# %%
coins = jnp.arange(game.Game.most_coins + 1)
n_blocks = min(election_blocks, 2048)


@jax.jit
def frequency(key, players, mechanism):
    """Play blocks and count how often each number of coins was given.

    The result is [tail endowment, role, round, coins].
    """
    n_games = n_blocks * len(mechanisms.TAILS)
    endowment = metagame.deal_endowments(metagame.EVALUATION_ENDOWMENTS, n_games)
    block = game.play(key, players, endowment, mechanism)
    one_hot = block.contribution[..., None] == coins
    given = one_hot.reshape(n_blocks, len(mechanisms.TAILS), *one_hot.shape[1:]).mean(0)
    return jnp.stack([given[:, :, 0], given[:, :, 1:].mean(2)], 1)


shown = {**rivals, "hcrm": hcrm}
given = [
    frequency(stream("coins", name), players, devices.as_pytree(mechanism))
    for name, mechanism in shown.items()
]
axes = {
    "mechanism": list(shown),
    "tail_endowment": mechanisms.TAILS,
    "role": ["head", "tail"],
    "round": range(1, 11),
    "coins": coins.tolist(),
}
virtual = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
virtual["frequency"] = np.stack(given).ravel()
virtual = virtual[(virtual.coins <= virtual.tail_endowment) | (virtual.role == "head")]
cells = virtual.groupby(["mechanism", "tail_endowment", "role", "round"])
assert np.allclose(cells.frequency.sum(), 1, atol=1e-4)
store.write_table(here / "virtual_coins.csv", virtual.round(5))
