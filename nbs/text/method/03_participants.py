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
# # Stand-in participants
#
# > A stated model of how people play goes in, fitted to one published figure; whole data sets of stand-in play and votes come out.

# %%
#| default_exp participants

# %% [markdown]
# *In this notebook*: who plays when no people can be asked. The individual data of Koster et al. may not be at hand, and without
# people there is nothing to imitate, nobody to please and nobody to vote. So this notebook builds *stand-in participants*: a small
# model of behaviour, fourteen numbers in all, seven of them fitted to the mean contributions that the paper prints (Figure 1c,
# Experiment 1) and to nothing else; the other seven are stated beforehand, with reasons. It uses 00_game, 01_mechanisms and 02_data; virtual players (04) are trained on its data sets,
# and the experiments (25) are run with it. The composition of the data follows "Pilot testing" and "Training virtual players" in
# Materials and Methods.
#
# Nothing below is a finding about people. It is a machine for checking that the *method* works, built so that you can see every
# cog, and its most instructive part is near the end: a number that decides elections and that the published data cannot tell us.

# %%
#| export
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import cma
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from jax.tree_util import Partial

from democratic_ai import data, game, mechanisms
from democratic_ai.engine import devices, published, store

# %%
#| hide
import matplotlib.pyplot as plt
import pytest

# %% [markdown]
# ## What a person carries into the game
#
# Ann has 10 coins, her three companions have 2 each, and a referee is announced. How much will she put in? Nobody knows; but
# here is what the published means let one guess about people like her.
#
# * They differ. Some give nothing, some give all.
# * Someone who has more than the others gives a smaller *fraction*.
# * A referee raises hopes: first contributions are higher than in the tutorial. For Ann they are not. Perhaps she suspects what
#   a referee is for.
# * Hopes that are not confirmed fade.
#
# We write a person's inclination as a logit $g$, so that $\sigma(g) = 1/(1+e^{-g})$ is the fraction of the endowment that the
# person feels like giving. Home, where the inclination returns to, and the start of a block are
#
# $$h_i = b_0 + b_\text{adv}\, z_i + s\,\varepsilon_i, \qquad g_{i1} = h_i + [\text{referee}]\,\big(b_\text{trust} - b_\text{wary}\max(z_i, 0)\big),
# \qquad z_i = \log\frac{e_i}{\bar e},$$
#
# with $\varepsilon_i$ standard normal. The whole population is one record of numbers. Their defaults are read from the committed
# calibration, so no value is typed in two places.

# %%
#| export
CALIBRATION = published.DATA / "participants" / "calibration.json"


@cache
def calibration() -> dict:
    "Read the committed calibration: fitted values, errors, settings and what made them."
    return json.loads(CALIBRATION.read_text(encoding="utf-8"))


def _fitted(name: str) -> float:
    "Take the default of one number from the committed calibration."
    return field(default_factory=lambda: calibration()["population"][name])


# %%
#| export
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Population:
    "How stand-in participants play, in fourteen numbers; the defaults are the committed calibration."

    generosity: float = _fitted("generosity")  # logit of the fraction that a person of average endowment is at home with
    trust: float = _fitted("trust")  # added at the start when a referee is present
    advantage: float = _fitted("advantage")  # added per unit of log(own endowment / group mean)
    wariness: float = _fitted("wariness")  # taken from that trust per unit of log(own endowment / group mean), by those above the mean
    spread: float = _fitted("spread")  # standard deviation between persons, in logits
    reaction: float = _fitted("reaction")  # step of somebody who firmly believes that giving pays, logits a round
    attention: float = _fitted("attention")  # weight of the newest round in that belief, from 0 to 1
    steepness: float = _fitted("steepness")  # how sharply the marginal return is felt, per coin
    threshold: float = _fitted("threshold")  # marginal return that leaves a person indifferent, coins
    imitation: float = _fitted("imitation")  # step towards peers who gain more, per unit of contribution ratio and 10 coins of gain
    pull: float = _fitted("pull")  # fraction of the way back home, a round
    width: float = _fitted("width")  # imprecision of the choice, fraction of the endowment
    focal: float = _fitted("focal")  # extra log weight of giving nothing, half or all
    loss: float = _fitted("loss")  # step per squared share of the own contribution that did not come back


# %%
#| export
def calibrated() -> Population:
    "Give the population of the committed calibration."
    return Population()


def as_dict(
    population: Population,
) -> dict[str, float]:
    "Write a population's numbers down by name."
    return {name: float(value) for name, value in asdict(population).items()}


# %% [markdown]
# Ann again, under a referee. Her $z$ is $\log(10/4) = 0.92$; a tail's is $\log(2/4) = -0.69$. The tails should start
# higher than Ann, and the referee should do little for her and much for them.

# %%
#| export
class AgentState(NamedTuple):
    "What a stand-in participant carries through a block."

    inclination: Array  # [..., P] logit of the fraction to give next
    home: Array  # [..., P] logit that the person is pulled back to
    belief: Array  # [..., P] does giving more pay? from -1 (certainly not) to 1 (certainly)


def init(
    key: Array,  # consumed whole by the homes
    endowment: Array,  # [..., P] coins
    population: Population,
    *,
    referee: bool,
) -> AgentState:
    "Draw a person for every seat."
    standing = jnp.log(endowment / endowment.mean(-1, keepdims=True))
    home = population.generosity + population.advantage * standing + population.spread * jax.random.normal(key, endowment.shape)
    hope = population.trust - population.wariness * jnp.maximum(standing, 0)
    return AgentState(home + referee * hope, home, jnp.zeros_like(home))


# %%
population = calibrated()
crowd = jnp.tile(mechanisms.head_and_tails(2.0), (4096, 1))
alone, watched = (init(jax.random.key(0), crowd, population, referee=r) for r in (False, True))
lift = (watched.inclination - alone.inclination)[0]
print("typical first fraction, no referee:", jax.nn.sigmoid(jnp.median(alone.inclination, 0)).round(2))
print("lifted by the referee (logits):    ", lift.round(2))
assert lift[1] > 0 and lift[1] > lift[0], "the tails trust the referee more than the head does"
assert (jnp.median(alone.inclination[:, 1:]) > jnp.median(alone.inclination[:, 0])), "who has more gives a smaller fraction"


# %% [markdown]
# ## From an inclination to whole coins
#
# A person who feels like giving 43 % of 10 coins cannot. People choose whole coins, imprecisely, and they like round answers:
# nothing, half, everything (the paper's Figure S7 shows three peaks in the head's first contributions). So
#
# $$P(c) \propto \exp\Big(-\tfrac12\big(\tfrac{c/e - \sigma(g)}{\tau}\big)^2 + f\,[c/e \in \{0, \tfrac12, 1\}]\Big), \qquad c = 0, 1, \dots, e .$$
#
# Drawing is one uniform number held against the cumulative sum, which is several times cheaper than a noise value for every coin.
# What a score exceeds the best one by is taken before the exponential, so a sharp choice cannot underflow to nothing.

# %%
#| export
def act(
    key: Array,  # consumed whole: one uniform per player
    inclination: Array,  # [..., P] logits
    endowment: Array,  # [..., P] coins
    population: Population,
) -> Array:  # [..., P] coins
    "Draw whole coins near the inclination, with a liking for nothing, half and all."
    target = jax.nn.sigmoid(inclination)
    coins = range(game.Game.most_coins + 1)
    liking = [population.focal * ((c == 0) | (2 * c == endowment) | (c == endowment)) for c in coins]
    score = [like - ((c / endowment - target) / population.width) ** 2 / 2 for c, like in zip(coins, liking)]
    score = [jnp.where(c <= endowment, s, -jnp.inf) for c, s in zip(coins, score)]
    best = jnp.stack(score).max(0)
    *below, total = accumulate(jnp.exp(s - best) for s in score)
    threshold = jax.random.uniform(key, endowment.shape) * total
    return jnp.minimum(sum((threshold >= b).astype(endowment.dtype) for b in below), endowment)


# %% [markdown]
# Ten thousand people who feel like giving 43 % of 10, of 5 and of 2 coins. The five is odd and has no half; the two offers nothing
# but round answers. The naive way, rounding to the nearest coin, would have everybody with ten coins give exactly four.

# %%
undecided = jnp.full((10_000, 3), np.log(0.43 / 0.57))
purse = jnp.broadcast_to(jnp.array([10.0, 5.0, 2.0]), undecided.shape)
given = np.asarray(act(jax.random.key(1), undecided, purse, population))
naive = np.round(0.43 * np.asarray(purse))
assert (given >= 0).all() and (given <= purse).all() and (given == np.round(given)).all()
assert len(np.unique(naive[:, 0])) == 1, "rounding: ten thousand people, one answer"
assert (given[:, 0] == 5).mean() > (given[:, 0] == 4).mean(), "half is liked better than the coin that is nearer"
fig, axes = plt.subplots(1, 3, figsize=(7, 2), sharey=True)
for ax, coins, column in zip(axes, (10, 5, 2), given.T):
    ax.bar(range(coins + 1), np.bincount(column.astype(int), minlength=coins + 1) / len(column), color="#4c78a8")
    ax.axvline(0.43 * coins, color="#b5651d", lw=1)
    ax.set(xlabel=f"coins given, of {coins}")
axes[0].set_ylabel("share of persons")
fig.tight_layout()


# %% [markdown]
# The line marks the inclination. How wide the choice is (three tenths of the endowment) and how strong the liking, nobody can read off
# a figure of *means*: a crowd of all-or-nothing people and one of lukewarm ones may have the same. They are set beforehand, so that
# about two thirds of the heads put 0, 5 or 10 coins into the first round, which is as much as one can read off the paper's Figure S7. Keep it in
# mind; it returns in 04_cloning, where a network has to learn these people.
#
# ## What would one more coin have brought?
#
# Directional learning is the oldest idea about how people get better at such games: do more of what would have paid. That needs
# the *marginal return*, which depends on the mechanism in force, and there are many mechanisms in this book, some of them neural
# networks. A derivative would do for smooth ones. One coin more does for all, and is what a person could work out: let each player
# in turn add a coin (or keep one, if all are in), ask the mechanism again, and subtract.
#
# $$r_i = y_i(c_i + 1, c_{-i}) - y_i(c) - 1 .$$

# %%
#| export
def marginal_return(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    mechanism: game.Mechanism,
    *,
    growth: float = game.Game.growth,
) -> Array:  # [..., P] coins gained per coin given
    "Ask for every player what one more coin would have gained, or one coin less for those who gave all."
    n_players = endowment.shape[-1]
    step = jnp.where(contribution < endowment, 1.0, -1.0)
    who = jnp.eye(n_players).reshape(n_players, *(1,) * (endowment.ndim - 1), n_players)  # one alternative world per player, in front
    fund = lambda c: game.payout(jnp.broadcast_to(endowment, c.shape), c, mechanism, growth=growth)
    there = (fund(contribution + who * step) * who).sum(0)
    return (there - fund(contribution)) / step - 1


# %% [markdown]
# Under equal splitting a coin brings back 0.4, whoever gives it: a loss of 0.6. Under the libertarian mechanism 1.6: a gain of 0.6.
# Both can be checked by heart. Liberal egalitarian is more interesting. Ann gives 4 of her 10, the others everything.

# %%
coins = jnp.array([4.0, 2, 2, 2])
ann = mechanisms.head_and_tails(2.0)
gain = {name: marginal_return(ann, coins, m) for name, m in mechanisms.BASELINES.items()}
for name, value in gain.items():
    print(f"{name:20s}", value.round(2))
assert jnp.allclose(gain["strict_egalitarian"], -0.6, atol=1e-5) and jnp.allclose(gain["libertarian"], 0.6, atol=1e-5)
assert gain["liberal_egalitarian"][0] < 0 < gain["liberal_egalitarian"][1], "giving costs Ann and pays the others"


# %% [markdown]
# So the same rule rewards the poor for giving and fines the rich. No wonder that Figure 1c shows heads who stay low under liberal
# egalitarian while their tails give nearly all.
#
# ## Looking around
#
# People do not only calculate, they look. On the results screen stands what everybody gave and got. The model's rule is
# *proportional imitation* (Schlag 1998): move towards a co-player who gained more than you, in proportion to how much more. Since
# nobody takes a fivefold richer neighbour as a model, each co-player counts by likeness, the smaller endowment divided by the larger:
#
# $$q_i = \frac14 \sum_j \frac{\min(e_i, e_j)}{\max(e_i, e_j)} \Big(\frac{c_j}{e_j} - \frac{c_i}{e_i}\Big)\,\frac{(y_j - c_j) - (y_i - c_i)}{10} .$$
#
# Each product is positive if the more generous player also gained more, negative if the miser did.

# %%
#| export
def success_of_peers(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    payout: Array,  # [..., P] coins
) -> Array:  # [..., P] difference in ratio times difference in gain, in 10 coins
    "Say in which direction the more successful players contribute, those of a like endowment counting most."
    more = lambda amount: amount[..., None, :] - amount[..., :, None]  # [..., focal, other]: what the other has more
    likeness = jnp.exp(-jnp.abs(more(jnp.log(endowment))))  # the smaller endowment divided by the larger
    return (likeness * more(contribution / endowment) * more(payout - contribution) / 10).mean(-1)


# %%
equals, mixed = jnp.full(4, 10.0), jnp.array([10.0, 10, 0, 0])
lesson = {name: success_of_peers(equals, mixed, game.payout(equals, mixed, m)) for name, m in mechanisms.BASELINES.items()}
print({name: value.round(2).tolist() for name, value in lesson.items()})
assert (lesson["strict_egalitarian"] < 0).all(), "equal splitting: whoever gives less gains more, and everybody sees it"
assert (lesson["libertarian"] > 0).all()
assert jnp.allclose(lesson["strict_egalitarian"], -0.5), "two unlike peers of four, ten coins apart: 2 / 4 * -1"


# %% [markdown]
# ## Learning
#
# Nobody can be sure after one round what a rule does; the marginal return is a thing one comes to *believe* in. So each round moves a belief $\beta$,
# which starts undecided at 0, some of the way (the fraction $\alpha$ is the person's attention) towards what that round suggests:
#
# $$\beta_i \leftarrow \beta_i + \alpha\,\big(\tanh(m\,(r_i - r_0)) - \beta_i\big) .$$
#
# Then the inclination moves by four things: as the belief says; towards what works for peers; down, when the own coins did not come back; and some
# of the way home.
#
# $$g_i \leftarrow g_i + a\,\beta_i + b_\text{imit}\, q_i - \lambda\,\Big(\frac{\max(c_i - y_i, 0)}{c_i}\Big)^2 + p\,(h_i - g_i) .$$
#
# Because home does not include the referee's bonus, trust fades at rate $p$ unless it pays.

# %%
#| export
def update(
    mind: AgentState,
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    payout: Array,  # [..., P] coins
    mechanism: game.Mechanism,
    population: Population,
    *,
    growth: float = game.Game.growth,
) -> AgentState:
    "Change the inclination by what the results screen showed."
    gain = jnp.tanh(population.steepness * (marginal_return(endowment, contribution, mechanism, growth=growth) - population.threshold))
    lost = jnp.maximum(contribution - payout, 0) / jnp.maximum(contribution, 1)
    success = success_of_peers(endowment, contribution, payout)
    belief = mind.belief + population.attention * (gain - mind.belief)
    step = population.reaction * belief + population.imitation * success - population.loss * lost**2
    return AgentState(mind.inclination + step + population.pull * (mind.home - mind.inclination), mind.home, belief)


# %%
#| export
def participants(
    population: Population,
    *,
    referee: bool = True,  # False: the tutorial block
    growth: float = game.Game.growth,
) -> game.Players:
    "Seat stand-in participants (this project's assumption in the place of the people of Koster et al.)."
    return game.Players(
        init=lambda key, endowment: init(key, endowment, population, referee=referee),
        act=lambda key, mind, endowment: act(key, mind.inclination, endowment, population),
        update=lambda mind, endowment, contribution, payout, mechanism: update(
            mind, endowment, contribution, payout, mechanism, population, growth=growth
        ),
    )


# %% [markdown]
# ## Hopes that never fade: the naive way
#
# An earlier form of this model pulled people back to where they had *started*. It came within .041 of Figure 1c, so nothing was
# obviously wrong. But the curves that the figure calls strict egalitarian come from the tutorial, where nobody hopes for a referee. What
# does each form say about a
# referee who splits equally? Everything about the game is as in the tutorial; only the bar on the screen has another colour.

# %%
under = participants(population)
stuck = under._replace(init=lambda key, e: (mind := under.init(key, e))._replace(home=mind.inclination))
equal = jnp.tile(mechanisms.head_and_tails(10.0), (4096, 1))
curve = {
    label: game.play(jax.random.key(2), players, equal, game.equal_split).relative_contribution.mean((0, 2))
    for label, players in {"tutorial": participants(population, referee=False), "referee, hopes fade": under, "referee, naive": stuck}.items()
}
print({label: [round(float(c[0]), 2), round(float(c[-1]), 2)] for label, c in curve.items()})
late = {label: c[-1] for label, c in curve.items()}
assert late["referee, naive"] > late["tutorial"] + 0.05, "the naive crowd goes on hoping"
assert abs(late["referee, hopes fade"] - late["tutorial"]) < 0.04, "same rule, same end"

# %%
fig, ax = plt.subplots(figsize=(4.2, 2.6))
for (label, c), style in zip(curve.items(), ("k-", "C0-o", "C3--")):
    ax.plot(range(1, 11), c, style, label=label, ms=3)
ax.set(xlabel="round", ylabel="contribution\n(fraction of endowment)", ylim=(0, 1), xticks=range(1, 11))
ax.legend(frameon=False, fontsize=8)
fig.tight_layout()


# %% [markdown]
# All three play under the same rule. With fading hopes the two honest curves meet; the naive one stays above for good, and would
# be a standing gift to strict egalitarian in every election that follows.
#
# ## Experiment 1 again
#
# Figure 1c has nine cells: three mechanisms, three tail endowments (2, 4, 10), each with a curve for the head and one for the
# tails. The strict egalitarian curves are tutorial blocks; the others had a referee. The function asks for players *by whether a referee is
# there*, so virtual players of a later notebook, who cannot tell, can be put through the same mill.

# %%
#| export
def with_or_without_referee(
    population: Population,
) -> Callable[[bool], game.Players]:  # is a referee present? -> players
    "Seat the same population with or without a referee, as fig1c_curves asks for it."
    return lambda referee: participants(population, referee=referee)


# %%
#| export
TUTORIAL = "strict_egalitarian"  # Figure 1C shows the tutorial block, without a referee, under this name
FIGURE_TAILS = (2, 4, 10)  # tail endowments of Exp. 1


# %%
#| export
def relative_contributions(
    key: Array,  # consumed: one part per mechanism
    seat: Callable[[bool], game.Players],  # is a referee present? -> players
    n_games: int,  # per mechanism and tail endowment
) -> Array:  # [mechanism, tail endowment, head or tail, round]
    "Play the nine cells of Figure 1C and average over games and, for the tails, players."
    endowment = mechanisms.head_and_tails(jnp.repeat(jnp.array(FIGURE_TAILS, float), n_games))

    def by_mechanism(key, name):
        block = game.play(key, seat(name != TUTORIAL), endowment, mechanisms.BASELINES[name])
        mean = block.relative_contribution.reshape(len(FIGURE_TAILS), n_games, game.Game.n_rounds, -1).mean(1)
        return jnp.stack([mean[..., 0], mean[..., 1:].mean(-1)], 1)

    keys = jax.random.split(key, len(mechanisms.BASELINES))
    return jnp.stack([by_mechanism(k, name) for k, name in zip(keys, mechanisms.BASELINES)])


# %%
#| export
@partial(jax.jit, static_argnames="n_games")
def _means(key, seats, n_games):
    "Average as `relative_contributions`, with the players of (no referee, referee) as data."
    return relative_contributions(key, lambda referee: seats[referee], n_games)


def fig1c_curves(
    key: Array,  # consumed whole
    seat: Callable[[bool], game.Players],  # is a referee present? -> players, e.g. seated(fitted())
    *,
    n_games: int = 2048,  # per mechanism and tail endowment
) -> pd.DataFrame:  # mechanism, tail_endowment, role, round (from 1), relative_contribution
    "Play Experiment 1 (Koster et al., Figure 1c) with any kind of players and return its 180 means."
    mean = _means(key, devices.as_pytree((seat(False), seat(True))), n_games)
    axes = {"mechanism": list(mechanisms.BASELINES), "tail_endowment": FIGURE_TAILS, "role": ("head", "tail"), "round": range(1, mean.shape[-1] + 1)}
    return pd.MultiIndex.from_product(axes.values(), names=axes.keys()).to_frame(index=False).assign(relative_contribution=np.asarray(mean).ravel())


# %% [markdown]
# ## The fit
#
# 180 published means cannot pay for fourteen numbers. Where they are silent we say beforehand what we assume, and why; the rest is
# searched (CMA-ES: keep a cloud of candidates, move it to where the better ones are, reshape it). The search holds all random
# numbers fixed, so that two populations differ by what they are and not by luck. `loss` has a section of its own below.
#
# One trap. In a crowd where most give nothing or all, every logit can be stretched threefold and hardly anybody plays differently. Our
# first search walked far along this valley, to a spread of seven logits, for a gain in the fourth decimal. So the spread is one of the
# stated numbers, and a candidate also pays a small price for its distance from the start.

# %%
#| export
STATED = {  # assumed, because means do not tell
    "trust": 0.5,  # a hope, no more: it has to be found out by players who are not told whether there is a referee
    "spread": 0.5,  # persons differ less than one person's own choices do
    "attention": 0.3,  # a belief needs about three rounds
    "steepness": 1.0,  # a gain of half a coin per coin is felt half as strongly as the largest
    "width": 0.3,  # with `focal`: two thirds of the heads open with 0, 5 or 10 coins (the paper's Figure S7)
    "focal": 1.9,
}
START = {  # where the search starts, and its first step
    "generosity": (0.8, 0.2),
    "advantage": (-0.8, 0.2),
    "wariness": (0.6, 0.3),
    "reaction": (1.0, 0.2),
    "threshold": (0.0, 0.1),
    "imitation": (3.0, 0.6),
    "pull": (0.5, 0.08),
}
SIGNED = {"generosity", "advantage", "wariness", "threshold"}  # the other numbers cannot be negative


# %%
#| export
def to_population(
    position: np.ndarray,  # one number per entry of START, in first steps from the start
    loss: float,
) -> Population:
    "Complete a point of the search by what is stated; where a number cannot be negative its size counts."
    value = {name: float(start + step * z) for (name, (start, step)), z in zip(START.items(), position)}
    return Population(loss=loss, **STATED, **{name: v if name in SIGNED else abs(v) for name, v in value.items()})


# %%
#| export
def fig1c_published() -> np.ndarray:  # [mechanism, tail endowment, head or tail, round], as relative_contributions
    "Read the 180 published means of Figure 1C into the order of relative_contributions."
    frame = published.read("fig1c_relative_contribution").set_index(["mechanism", "tail_endowment", "role", "round"]).relative_contribution
    axes = (list(mechanisms.BASELINES), FIGURE_TAILS, ("head", "tail"), range(1, game.Game.n_rounds + 1))
    return frame.reindex(pd.MultiIndex.from_product(axes)).to_numpy().reshape([len(axis) for axis in axes])


def fig1c_error(
    key: Array,
    *,
    n_games: int,  # per mechanism and tail endowment
) -> Callable[[Population], float]:  # mean absolute difference, fractions of the endowment
    "Make the function that says how far a population is from Figure 1C, always on the same random numbers."
    cells = fig1c_published()

    @jax.jit
    def error(population):
        return jnp.abs(relative_contributions(key, with_or_without_referee(population), n_games) - cells).mean()

    return lambda population: float(error(jax.tree.map(jnp.float32, population)))


# %% [markdown]
# A search takes minutes, so it can be interrupted. The cloud need not be saved for that: it follows from the seed and from the errors that were
# found. So the ledger keeps the errors, and a search that goes on replays them first, in no time and bit for bit.

# %%
#| export
@dataclass(frozen=True)
class Search:
    "Settings of the calibration."

    loss: float = 1.0  # not fitted: Figure 1C cannot tell
    n_games: int = 1024  # per mechanism and tail endowment
    n_candidates: int = 16  # populations tried per generation
    n_generations: int = 60
    ridge: float = 1e-4  # price of the mean squared distance from START, in first steps
    seed: int = 0  # of the games and of the search


# %%
#| export
def calibrate(
    search: Search = Search(),
    *,
    ledger: Path | None = None,  # file that keeps what was tried; a search with the same settings goes on from there
) -> tuple[Population, pd.DataFrame]:  # the population, and the lowest price after each generation
    "Fit a population to Figure 1C, and to nothing else, by CMA-ES."
    error = fig1c_error(jax.random.key(search.seed), n_games=search.n_games)
    price = lambda z: error(to_population(z, search.loss)) + search.ridge * np.mean(z**2)
    evolution = cma.CMAEvolutionStrategy(np.zeros(len(START)), 1.0, {"seed": search.seed + 1, "popsize": search.n_candidates, "verbose": -9})
    tried, started = read_search_log(ledger, search), time.monotonic()
    known = len(tried)
    for generation in range(search.n_generations):
        candidates = evolution.ask()
        if generation >= known:
            tried.append([price(z) for z in candidates])
            if generation % 20 == 19 or generation == search.n_generations - 1:
                save_search_log(ledger, search, tried, (time.monotonic() - started) / (generation + 1 - known))
        evolution.tell(candidates, tried[generation])
    best = np.minimum.accumulate([min(errors) for errors in tried])
    history = pd.DataFrame({"generation": np.arange(1, len(best) + 1), "price": best})
    return to_population(evolution.result.xfavorite, search.loss), history


# %%
#| export
def read_search_log(ledger, search):
    "Read the errors that an interrupted search had found; the search replays them, so nothing else needs keeping."
    if ledger is None or not Path(ledger).exists():
        return []
    content = json.loads(Path(ledger).read_text(encoding="utf-8"))
    return content["tried"] if content["search"] == asdict(search) else []


def save_search_log(ledger, search, tried, pace):
    "Save the search so far and say how far it is."
    if ledger is not None:
        store.write_json(ledger, {"search": asdict(search), "tried": tried})
    left, best = pace * (search.n_generations - len(tried)), min(map(min, tried))
    text = f"calibrate (loss {search.loss}): generation {len(tried)} of {search.n_generations}, price {best:.4f}, {left:.0f} s left"
    print(text, file=sys.__stderr__, flush=True)


# %% [markdown]
# Here is a search small enough to watch, stopped half way and taken up again. The real one runs in 29_calibrate; its result is what
# `calibrated()` reads.

# %%
from tempfile import TemporaryDirectory

small = Search(n_games=32, n_candidates=6, n_generations=8)
with TemporaryDirectory() as folder:
    ledger = Path(folder) / "ledger.json"
    at_once, history = calibrate(small)
    calibrate(small, ledger=ledger)
    kept = json.loads(ledger.read_text())
    store.write_json(ledger, kept | {"tried": kept["tried"][:4]})
    resumed, _ = calibrate(small, ledger=ledger)
assert at_once == resumed, "bit for bit"
assert len(history) == 8 and history.price.is_monotonic_decreasing, "the best so far can only get better"
print("lowest price, first and last generation:", history.price.iloc[[0, -1]].round(4).tolist())

# %% [markdown]
# And the committed result, on games that the search has never seen. How good can it get? The published means are themselves
# averages over some 65 groups. Put 65 *stand-in* groups into each cell and compare them with many more of the very same population:
# that distance remains even if the model is the truth.

# %%
ours = np.asarray(jax.jit(lambda key: relative_contributions(key, with_or_without_referee(population), 4096))(jax.random.key(3)))
few = np.asarray(jax.jit(lambda key: relative_contributions(key, with_or_without_referee(population), 65))(jax.random.key(4)))
cells = fig1c_published()
error, floor = np.abs(ours - cells).mean(), np.abs(ours - few).mean()
print(f"mean absolute error {error:.4f} over {cells.size} cells; two samples of one population differ by {floor:.4f}")
assert cells.size == 180 and error < 0.04
assert abs(error - calibration()["error_fresh_games"]) < 0.003, "the committed number, on another draw"

# %%
fig, axes = plt.subplots(3, 3, figsize=(7, 5.4), sharex=True, sharey=True)
for row, name, cell, fit in zip(axes, mechanisms.BASELINES, cells, ours):
    row[0].set_ylabel(name.replace("_", "\n") + "\nfraction given")
    for ax, tail, people, standins in zip(row, FIGURE_TAILS, cell, fit):
        ax.set(ylim=(0, 1), xticks=(1, 4, 7, 10))
        for role, mark, color in ((0, "o", "#b5651d"), (1, "^", "#4c78a8")):
            ax.plot(range(1, 11), people[role], mark, color=color, ms=3)
            ax.plot(range(1, 11), standins[role], "-", color=color, lw=1)
        if name == TUTORIAL:
            ax.set_title(f"tails have {tail}", fontsize=9)
for ax in axes[-1]:
    ax.set_xlabel("round")
fig.tight_layout()


# %% [markdown]
# Marks are people (circles heads, triangles tails), lines the stand-in participants. What to see: the shapes are right in all nine panels, and the
# remaining error is larger than sampling alone would leave. It could be had smaller, at a price that the section before the recap shows.

# %% [markdown]
# ## What Figure 1c cannot tell
#
# One number has not been fitted: `loss`, how strongly people resent coins that do not come back. What would fitting it take? Somebody
# in the data must lose most of what they gave, again and again. In Figure 1c hardly anybody does. Under strict egalitarian the
# unlucky lose six tenths of a contribution at the very worst, under libertarian nobody loses anything; heads under liberal
# egalitarian lose about half.
#
# So four searches were run, each with a `loss` of its own and the same seven numbers free. Here they are, in two columns: the distance from
# Figure 1c, and what the heads of such a population give in round 2, when they have just met a mechanism that no cell of Figure 1c contains,
# *everything to the tails*.

# %%
def everything_to_tails(endowment, contribution):
    poor = (endowment < endowment.max(-1, keepdims=True)).astype(float)
    return poor / poor.sum(-1, keepdims=True)


@partial(jax.jit, static_argnames="mechanism")
def heads(population, mechanism):
    "Play tail 4 under a mechanism and average the head's curve."
    groups = jnp.tile(mechanisms.head_and_tails(4.0), (4096, 1))
    return game.play(jax.random.key(9), participants(population), groups, mechanism).relative_contribution[..., 0].mean(0)


fits = {row["loss"]: row for row in sorted(calibration()["by_loss"], key=lambda row: row["loss"])}
people = {loss: Population(**{name: row[name] for name in as_dict(population)}) for loss, row in fits.items()}
neglected = {loss: np.asarray(heads(p, everything_to_tails)) for loss, p in people.items()}
table = pd.DataFrame({loss: {"error": row["error_fresh_games"], "heads, round 2": neglected[loss][1], "heads, round 10": neglected[loss][-1]} for loss, row in fits.items()}).T
assert np.ptp(table["error"]) < 0.006, "Figure 1c hardly prefers one to another"
assert np.ptp(table["heads, round 2"]) > 0.2, "a mechanism that neglects the head tells them apart at once"
assert np.ptp(table["heads, round 10"]) < 0.1, "in the end all have learned that it does not pay"
table.round(3)

# %%
fig, axes = plt.subplots(1, 3, figsize=(7, 2.7))
shown = {"published cell:\nliberal egalitarian": mechanisms.liberal_egalitarian, "unseen:\neverything to the tails": everything_to_tails}
for ax, (title, mechanism) in zip(axes, shown.items()):
    for i, (loss, p) in enumerate(people.items()):
        ax.plot(range(1, 11), heads(p, mechanism), color=plt.cm.viridis(i / 4), label=f"loss {loss:g}")
    ax.set_title(title, fontsize=8)
    ax.set(xlabel="round", ylim=(0, 1), xticks=(1, 4, 7, 10))
axes[0].plot(range(1, 11), cells[2, 1, 0], "ko", ms=3, label="people")
axes[0].set_ylabel("head's contribution\n(fraction of endowment)")
axes[0].legend(frameon=False, fontsize=6, ncol=2)
axes[2].bar(range(len(fits)), table["error"], color=[plt.cm.viridis(i / 4) for i in range(4)])
axes[2].set_title("mean absolute error on Figure 1c\n(dotted: the bar that we set)", fontsize=8)
axes[2].axhline(0.04, color="k", ls=":", lw=1)
axes[2].set(ylabel="fraction of endowment", xticks=range(len(fits)), xticklabels=[f"{loss:g}" for loss in fits], xlabel="loss")
fig.tight_layout()

# %% [markdown]
# Left, in a cell that was fitted, the four populations lie on top of one another. In the middle they part at once: without `loss` the neglected
# head gives nearly half in round 2 and needs five rounds to be convinced, and in all those rounds the mechanism has something to give away; with
# `loss` 2 the head is gone after a single round. On the right, Figure 1c does not care. Whether a mechanism that takes from the rich can win an election
# depends on such rounds, and no amount of fitting to Figure 1c would tell you. More data of the same kind would not help either, only *other* data:
# somebody has to try the mechanism. That is what the paper's repeat is for.
#
# And `loss` is only the number that we chose to vary. That all four populations end at the same low level comes from `reaction`, which Figure 1c does fix
# *once the six others are stated*. In the sharp crowd of the section before the recap, where they are not, beliefs push half as hard
# and the neglected heads without `loss` stayed in the game for much longer. What one holds fixed decides what the data seem to say.
#
# What can be done? The paper reports that heads whom the rational mechanism neglected rapidly stopped contributing. That gives a direction and nothing
# finer, so the default is `loss` = 1, and the pipeline shows the whole range from 0 to 2 as a sensitivity analysis.

# %% [markdown]
# ## Votes
#
# The vote model of a later notebook (05_voting) uses one number, the relative payout. If stand-in participants voted by exactly that
# rule, an election would only test what was put in. So they vote by a richer one, an assumption and fitted to nothing. With A met
# first and B second,
#
# $$P(A) = \sigma\Big(1.4 \sum_t \frac{y^A_t - y^B_t}{10\, e} + 0.01 \sum_t (y^A_t - y^B_t) - 0.2 + 0.5\,\varepsilon\Big):$$
#
# the same weight on relative payout and a weaker one on plain coins; a slight preference for the referee met *second*, whose rounds
# are fresher in mind, which makes a coin flip 45 to 55; and a whim that belongs to the person.
#
# What is *not* in it is a liking for the learned mechanism. When the authors ask what decided real votes, they find one: an intercept for
# HCRM, significant against libertarian and liberal egalitarian, that no payout explains. Put in by hand, it would come back as votes, and
# every election here would prove only that it had been put in. So our intercepts belong to the person (mean zero) and to the order
# (which a counterbalanced experiment cancels), and where our data show no intercept for HCRM and people's do, the two differ.

# %%
#| export
SLOPE = 1.4  # of the vote in the summed relative payout, in units of 10 coins (Koster et al., "Voting model")


def vote(
    key: Array,  # consumed: one part for the persons, one for the votes
    block_a: game.Block,  # met first
    block_b: game.Block,  # met second
    *,
    absolute: float = 0.01,  # weight of a coin, summed over the block
    recency: float = 0.2,  # for whichever referee was met second, logits
    whim: float = 0.5,  # standard deviation of what else moves a person, logits
) -> Array:  # [..., P] bool, True for a
    "Vote by relative payout, a little by coins and by order, and by whim: an assumption, not fitted to anything."
    key_whim, key_vote = jax.random.split(key)
    relative = (block_a.relative_payout - block_b.relative_payout).sum(-2) / 10
    coins = (block_a.payout - block_b.payout).sum(-2)
    score = SLOPE * relative + absolute * coins - recency + whim * jax.random.normal(key_whim, relative.shape)
    return jax.random.uniform(key_vote, score.shape) < jax.nn.sigmoid(score)


# %% [markdown]
# Ann (10 coins) and Bob (2 coins) both get one coin a round more from A than from B. For Bob that is half his endowment. Between equal
# blocks the vote should be a coin flip with a slight lean to the second, and Bob should be much surer than Ann.

# %%
ten = jnp.zeros((20_000, 10, 4))
blocks = [game.Block(jnp.tile(ann, (20_000, 1)), ten, ten + extra) for extra in (0.0, 1.0)]
same, better = (vote(jax.random.key(5), a, blocks[0]).mean(0) for a in blocks)
either_order = (better + 1 - vote(jax.random.key(6), blocks[0], blocks[1]).mean(0)) / 2
print("A equals B:", same.round(2), "| a coin a round more from A:", better.round(2), "| in either order:", either_order.round(2))
assert jnp.allclose(same, 0.45, atol=0.02) and (better[1:] > better[0] + 0.05).all() and (either_order > better).all()

# %% [markdown]
# ## The pilot
#
# Virtual players are trained on what the paper calls pilot data: 4,809 blocks, few of them like the evaluation. Who sat there?
#
# | endowments | blocks |
# |---|---|
# | all equal | 966 |
# | 10, 4, 4, 4 | 326 |
# | 10, 2, 2, 2 | 322 |
# | 10, 5, 4, 3 | 1,271 |
# | 10, 8, 5, 3 | 324 |
# | 10, 9, 8, 3 | 300 |
# | at random from 1 to 10 | 1,300 |
#
# "Equal" does not say how many coins. We read it as 10 each: the paper uses the word for exactly that condition, and names tails of 6
# and 8, not of 10, as those that training never saw. "Random" we read as a draw for every player. The rich player may sit anywhere: a
# network that has learned "player 0 is rich" would fail here.
#
# A group plays a tutorial without a referee and two blocks with one; some play four (how many is not said: every tenth here). The
# published counts are filled up group by group, so the last group of a kind may miss a block.

# %%
#| export
ENDOWMENTS = {  # blocks of the pilot by endowments (Koster et al., "Pilot testing"); None: every player's drawn from 1 to 10
    (10, 10, 10, 10): 966,
    (10, 4, 4, 4): 326,
    (10, 2, 2, 2): 322,
    (10, 5, 4, 3): 1271,
    (10, 8, 5, 3): 324,
    (10, 9, 8, 3): 300,
    None: 1300,
}
N_BLOCKS = sum(ENDOWMENTS.values())  # 4,809
N_COMPLETE = 2491  # blocks of these in which nobody dropped out


# %%
#| export
def pilot_groups(
    key: Array,  # consumed: one part for random endowments, one for seats
    *,
    n_blocks: int = N_BLOCKS,
    long_every: int = 10,  # one group in so many plays four blocks under referees instead of two
) -> tuple[Array, Array]:  # endowment [G, P] coins, number of blocks [G]
    "Recruit the groups of the pilot: the published mix of endowments, seats shuffled, three or five blocks each."
    ends = np.round(np.cumsum(list(ENDOWMENTS.values())) * n_blocks / N_BLOCKS).astype(int)
    key_random, key_seat = jax.random.split(key)
    endowment, length = [], []
    for (kind, _), count in zip(ENDOWMENTS.items(), np.diff(ends, prepend=0)):
        while count > 0:
            blocks = min(5 if len(length) % long_every == long_every - 1 else 3, count)
            endowment.append(kind or (0, 0, 0, 0))
            length.append(blocks)
            count -= blocks
    endowment = jnp.array(endowment, float)
    drawn = jax.random.randint(key_random, endowment.shape, 1, game.Game.most_coins + 1)
    seated = jax.random.permutation(key_seat, jnp.where(endowment > 0, endowment, drawn), axis=-1, independent=True)
    return seated, jnp.array(length)


# %%
seats, played = pilot_groups(jax.random.key(6))
print(len(seats), "groups,", int(played.sum()), "blocks; four referees:", int((played == 5).sum()), "groups")
assert N_BLOCKS == 4809 == played.sum()
richest = np.asarray(seats[(seats.sum(-1) == 22) & (seats.max(-1) == 10) & (seats.min(-1) == 3)]).argmax(-1)
assert np.allclose(np.bincount(richest) / len(richest), 0.25, atol=0.1), "10, 5, 4, 3: the rich player sits anywhere"


# %% [markdown]
# ### Under which mechanisms
#
# The paper says only "a range", earlier incarnations of HCRM among them. Our reading: each pair of blocks sets an early HCRM against a
# rival, in random order. The rival is one of the three baselines, as in the experiments that the pilot prepared. An *early HCRM* is
# emulated by a random point of the manifold, with up to half of the fund handed out by what a network is at the beginning of training, a softmax
# of some score: we draw a random linear one. Some of these are odd; early ones are. Further mechanisms can be
# passed in by name.

# %%
#| export
def early_hcrm(
    key: Array,  # consumed
    shape: tuple[int, ...],  # leading shape: one mechanism for each
) -> game.Mechanism:
    "Stand in for an early HCRM: a point of the manifold, mixed with a softmax of a random linear score."
    key_point, key_mix, key_score = jax.random.split(key, 3)
    w, v = jax.random.uniform(key_point, (2, *shape, 1))
    mix = jax.random.uniform(key_mix, (*shape, 1), maxval=0.5)
    weights = 2 * jax.random.normal(key_score, (3, *shape, 1))
    return Partial(_mixture, mechanisms.manifold(w, v), mix, weights)


def _mixture(point, mix, weights, endowment, contribution):
    by_endowment, by_coins, by_ratio = weights
    score = (by_endowment * endowment + by_coins * contribution) / 10 + by_ratio * contribution / endowment
    return (1 - mix) * point(endowment, contribution) + mix * jax.nn.softmax(score)


# %%
#| export
def mechanism_by_group(
    choices: Sequence[game.Mechanism | game.Referee],
    which: Array,  # [G] position in `choices`
) -> game.Referee:
    "Let every group play under its own one of several mechanisms or referees."
    referees = [game.as_referee(choice) for choice in choices]

    def share(states, endowment, contribution):
        shares = jnp.stack([referee.share(state, endowment, contribution) for referee, state in zip(referees, states)])
        return jnp.take_along_axis(shares, which.reshape(1, *(1,) * (endowment.ndim - 2), -1, 1), 0)[0]

    return game.Referee(
        init=lambda key, endowment: [r.init(k, endowment) for r, k in zip(referees, jax.random.split(key, len(referees)))],
        share=share,
        update=lambda states, *seen: [referee.update(state, *seen) for referee, state in zip(referees, states)],
    )


# %%
#| export
def scheduled_referee(
    choices: Sequence[game.Mechanism | game.Referee],
    code: Array,  # [S, G] position in `choices`: what each group plays under in each block of the evening
) -> Callable[[Array, int], tuple[Array, game.Referee]]:  # as `play_sessions` asks for its referees
    "Let every group play its evening under a schedule of mechanisms or referees."
    return Partial(_scheduled, devices.as_pytree(list(choices)), code)


def _scheduled(choices, code, session, n_groups):  # as `play_sessions` calls it
    return code[session], mechanism_by_group(choices, code[session])


# %% [markdown]
# A hundred sketches, all at once, on one table: shares must be shares, and some sketch should be hard on Ann.

# %%
sketches = early_hcrm(jax.random.key(7), (100,))(jnp.tile(ann, (100, 1)), jnp.tile(coins, (100, 1)))
assert jnp.allclose(sketches.sum(-1), 1, atol=1e-5) and (sketches >= 0).all()
print("share of the head, who gave 4 of 10 coins: from", sketches[:, 0].min().round(2), "to", sketches[:, 0].max().round(2))
assert sketches[:, 0].min() < 0.15 and sketches[:, 0].max() > 0.5


# %% [markdown]
# ### Who dropped out
#
# Whoever timed out twice was replaced by a bot that puts in random amounts, and stayed replaced. Only 2,491 of the 4,809 blocks were complete. Bots are not to
# be imitated, so every block says which players answered all ten rounds themselves; but the others did *see* the bots play, and that
# stays in the data.
#
# Drop-out comes at a constant hazard. Which one? There is no need to solve for it: draw all moments with hazard one, note for each
# block the first moment divided by the block's end, sort, and stretch time so that exactly 2,491 ratios lie above one.

# %%
#| export
def with_dropouts(
    players: game.Players,
    leaves: Array,  # [..., P] round of the block, from 0, in which a random bot takes over
) -> game.Players:
    "Replace players by random bots from some round on (Koster et al., \"Participants\")."
    bots = game.random_bots()

    def act(key, state, endowment):
        turn, mind = state
        key_own, key_bot = jax.random.split(key)
        return jnp.where(turn < leaves, players.act(key_own, mind, endowment), bots.act(key_bot, (), endowment))

    return game.Players(
        init=lambda key, endowment: (0, players.init(key, endowment)),
        act=act,
        update=lambda state, *seen: (state[0] + 1, players.update(state[1], *seen)),
    )


# %%
#| export
def dropout_rounds(
    key: Array,  # consumed whole
    n_played: Array,  # [G] blocks that each group plays
    *,
    n_complete: int,  # blocks in which nobody may be missing
    n_rounds: int = game.Game.n_rounds,
    n_players: int = game.Game.n_players,
) -> Array:  # [G, P] round of the session, from 0
    "Draw when each player drops out, at a constant hazard that leaves exactly so many blocks complete."
    moment = jax.random.exponential(key, (len(n_played), n_players))
    ends = n_rounds * np.arange(1, int(n_played.max()) + 1)
    reach = np.asarray(moment.min(-1))[:, None] / ends  # a block is complete if the first to leave does so after its end
    reach = np.sort(reach[np.asarray(n_played)[:, None] >= ends / n_rounds])
    return jnp.floor(moment / reach[len(reach) - n_complete] * (1 + 1e-6))


# %% [markdown]
# Eight groups of three blocks each, twelve of the 24 to be complete:

# %%
few_leave = dropout_rounds(jax.random.key(10), jnp.full(8, 3), n_complete=12)
complete = (few_leave.min(-1)[:, None] >= jnp.array([10, 20, 30])).sum()
print(few_leave[:2], "->", complete, "blocks of 24 complete")
assert complete == 12

# %% [markdown]
# Now the pieces together. All blocks of all groups are played at once, one `vmap` over the position in the evening; those that a group did not play are dropped.

# %%
#| export
PILOT_MECHANISMS = ("tutorial", *mechanisms.BASELINES, "early_hcrm")  # what the blocks of the pilot are played under


# %%
#| export
def pilot_mechanism(
    key: Array,  # the same for the whole pilot
    extra: Sequence[game.Mechanism],  # as frequent, each, as the sketches
    session: Array,  # [] position of the block in the evening, 0 = tutorial
    n_groups: int,
) -> tuple[Array, game.Mechanism]:  # [G] position in KINDS and then `extra`, the mechanism
    "Give every group its mechanism: none in the tutorial, then in random order an early HCRM and a rival."
    key_order, key_block = jax.random.split(key)
    key_sketch, key_rival, key_early = jax.random.split(jax.random.fold_in(key_block, session), 3)
    early_first = jax.random.bernoulli(jax.random.fold_in(key_order, (session - 1) // 2), 0.5, (n_groups,))
    rival = jax.random.randint(key_rival, (n_groups,), 1, 4)
    early = jax.random.randint(key_early, (n_groups,), 4, 5 + len(extra))
    code = jnp.where(early_first == (session % 2 == 1), early, rival) * (session > 0)
    choices = [game.equal_split, *mechanisms.BASELINES.values(), early_hcrm(key_sketch, (n_groups,))]
    return code, mechanism_by_group([*choices, *extra], code)


# %%
#| export
@jax.jit
def _all_blocks(key, population, endowment, leaves, referees, sessions):
    "Play S blocks of all G groups; compiled once for all people and all referees of a kind. Leaves of the block are [S, G, ...], its code [S, G]."
    key_people, key_play = jax.random.split(key)

    def one_block(session):
        code, mechanism = referees(session, len(endowment))
        people = game.same_participants(participants(population, referee=session > 0), key_people)
        people = with_dropouts(people, leaves - session * game.Game.n_rounds)
        return game.play(jax.random.fold_in(key_play, session), people, endowment, mechanism), code

    return jax.vmap(one_block)(sessions)


# %%
#| export
def play_sessions(
    key: Array,  # consumed: one part for the persons, one for the play
    population: Population,
    endowment: Array,  # [G, P] coins
    n_played: Array,  # [G] blocks that each group plays
    leaves: Array,  # [G, P] round of the evening, from 0, in which a player drops out
    referees: Callable[[Array, int], tuple[Array, game.Mechanism]],  # (position of the block, G) -> ([G] code, mechanism); a `Partial`, or every call compiles anew
    names: tuple[str, ...],  # what the codes mean
) -> data.Plays:
    "Let the same persons play block after block, the first one without a referee."
    sessions = jnp.arange(int(n_played.max()))
    block, code = _all_blocks(key, population, endowment, leaves, devices.as_pytree(referees), sessions)
    session, group = np.nonzero(np.arange(len(code))[:, None] < np.asarray(n_played))
    block, code = jax.tree.map(lambda leaf: leaf[session, group], (block, code))
    answered = leaves[group] >= (session[:, None] + 1) * game.Game.n_rounds
    return data.Plays(block, answered, jnp.asarray(session, jnp.int32), code, names)


# %%
#| export
def pilot(
    key: Array,  # consumed: groups, drop-outs, mechanisms, evenings
    population: Population,
    *,
    n_blocks: int = N_BLOCKS,  # fewer: everything in proportion
    extra: dict[str, game.Mechanism] | None = None,  # further mechanisms among those that early HCRMs are
) -> data.Plays:
    "Play the pilot: the published mix of endowments and drop-outs; raises ValueError without blocks (Koster et al., \"Pilot testing\")."
    if n_blocks < 1:
        raise ValueError(f"n_blocks is {n_blocks}: the pilot needs at least one block, the paper's has {N_BLOCKS}.")
    key_groups, key_leave, key_mechanisms, key_play = jax.random.split(key, 4)
    endowment, n_played = pilot_groups(key_groups, n_blocks=n_blocks)
    leaves = dropout_rounds(key_leave, n_played, n_complete=round(n_blocks * N_COMPLETE / N_BLOCKS))
    extra = extra or {}
    referees = Partial(pilot_mechanism, key_mechanisms, devices.as_pytree(list(extra.values())))
    return play_sessions(key_play, population, endowment, n_played, leaves, referees, (*PILOT_MECHANISMS, *extra))


# %%
with pytest.raises(ValueError, match="at least one block"):
    pilot(jax.random.key(11), population, n_blocks=0)
plays = pilot(jax.random.key(11), population)
assert len(plays) == 4809 and plays.answered.all(-1).sum() == 2491
kind = np.sort(np.asarray(plays.block.endowment), axis=-1)
for chairs, count in list(ENDOWMENTS.items())[:-1]:
    assert (kind == np.sort(chairs)).all(-1).sum() >= count  # a random draw may hit the same mix
assert (plays.block.contribution <= plays.block.endowment[:, None]).all()
names = np.array(plays.names)[np.asarray(plays.mechanism)]
pd.DataFrame({"mechanism": names, "answered": plays.answered.mean(-1), "fraction given": plays.block.relative_contribution.mean((1, 2))}).groupby(
    "mechanism"
).agg(blocks=("answered", "size"), answered=("answered", "mean"), given=("fraction given", "mean")).round(2)


# %% [markdown]
# The table's last column is no result, only a look: more than half of the endowment is given when one's own giving counts, less in the tutorial, and bots pull everything
# towards one half.

# %% [markdown]
# ## Hold-out and repeat
#
# Virtual players are judged on 288 blocks of 384 new people in the evaluation's conditions, two of which, tails of 6 and 8, no
# training block contains. After a mechanism has been trained, new people play under *it*, and their blocks join the pilot: the paper's
# repeat. Both are the same evening, in the same order of blocks as in the experiments, only with another mechanism in the middle.

# %%
#| export
def play_against_rival(
    key: Array,  # consumed: order of the blocks, evenings
    population: Population,
    mechanism: game.Mechanism,  # usually the newest HCRM
    name: str,  # what the data set calls it
    *,
    rival: game.Mechanism = mechanisms.liberal_egalitarian,  # referee of the other block
    rival_name: str = "liberal_egalitarian",
    n_groups: int = 160,  # groups of four, three blocks each
    tails: Sequence[float] = mechanisms.TAILS,  # tail endowments, coins, dealt out in turn
) -> data.Plays:
    "Let new groups play a tutorial, a mechanism and its rival, in either order (the repeat of Koster et al., Figure 1d)."
    key_order, key_play = jax.random.split(key)
    endowment = mechanisms.head_and_tails(jnp.resize(jnp.array(tails, float), n_groups))
    new_first = jax.random.permutation(key_order, n_groups) < n_groups / 2
    code = jnp.stack([jnp.zeros(n_groups, int), jnp.where(new_first, 1, 2), jnp.where(new_first, 2, 1)])
    referees = scheduled_referee([game.equal_split, mechanism, rival], code)
    n_played, never = jnp.full(n_groups, 3), jnp.full(endowment.shape, jnp.inf)
    return play_sessions(key_play, population, endowment, n_played, never, referees, ("tutorial", name, rival_name))


# %%
#| export
def holdout(
    key: Array,  # consumed: one part for the mechanism, one for the play
    population: Population,
    *,
    n_groups: int = 96,  # 384 people, 288 blocks
) -> data.Plays:
    "Play the hold-out: new groups in the evaluation's conditions (Koster et al., \"Pilot testing\")."
    key_hcrm, key_play = jax.random.split(key)
    return play_against_rival(key_play, population, early_hcrm(key_hcrm, (n_groups,)), "early_hcrm", n_groups=n_groups)


# %%
kept_apart = holdout(jax.random.key(8), population)
tails = np.asarray(kept_apart.block.endowment)[:, 1]
assert len(kept_apart) == 288 and kept_apart.answered.all()
assert (np.asarray(kept_apart.block.endowment)[:, 0] == 10).all() and set(tails) == {2, 4, 6, 8, 10}
pd.crosstab(np.array(kept_apart.names)[np.asarray(kept_apart.mechanism)], tails)

# %% [markdown]
# The hold-out contains all three blocks of 96 groups, the tutorial with them.
#
# ## What the stated numbers were chosen by
#
# These people are made to be imitated. 04_cloning tries it and shows, in one small table, what the choice of the stated numbers cost in
# the fit to Figure 1c and what it gained. No vote and no other published table was looked at.
#
# ## Recap
#
# `Population` is how stand-in participants play, `calibrated()` the committed calibration; `participants` seats them for `game.play`,
# `vote` lets them vote. `calibrate` fits them to Figure 1c, `fig1c_curves` plays that figure with any kind of players. `pilot`,
# `holdout` and `play_against_rival` make the data sets that virtual players are trained and judged on.
#
# Questions to take along: which experiment would you run to identify `loss`, if you were allowed ten groups? What else does a model
# fitted to means leave open, and which mechanism would exploit it?
#
# **Exercise 1.** You have a mechanism of your own and want the virtual players to know it. Put it into a small pilot. How often is it
# met?
#
# <details><summary>Solution</summary>
#
# Pass it in by name. It shares the early HCRM's half of the blocks with the sketches, so about a quarter of the refereed blocks.

# %%
own = {"everything_to_tails": lambda e, c: jax.nn.softmax(-e)}
mine = pilot(jax.random.key(12), population, n_blocks=480, extra=own)
refereed = np.asarray(mine.mechanism)[np.asarray(mine.session) > 0]
met = (refereed == mine.names.index("everything_to_tails")).mean()
print(f"{met:.0%} of {len(refereed)} refereed blocks")
assert 0.15 < met < 0.35

# %% [markdown]
# </details>
#
# **Exercise 2.** Is it the likeness that keeps Ann from learning from her poorer companions? Compare her lesson from three tails who give everything with
# that of an equally endowed player, under equal splitting.
#
# <details><summary>Solution</summary>
#
# Her companions gained more although they gave a larger fraction, so she is told to give more, but at a fifth of the weight. An equal
# among equals is told the opposite: those who gave all gained less.

# %%
give = jnp.array([[4.0, 2, 2, 2], [4.0, 10, 10, 10]])
have = jnp.array([[10.0, 2, 2, 2], [10.0, 10, 10, 10]])
lessons = success_of_peers(have, give, game.payout(have, give, game.equal_split))[:, 0]
print("Ann among the poor:", lessons[0].round(3), "| among equals:", lessons[1].round(3))
assert lessons[0] > 0 > lessons[1]

# %% [markdown]
# </details>
