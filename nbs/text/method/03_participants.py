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
# > A stated model of how people play goes in, fitted to one published figure; whole data sets of stand-in play come out.

# %%
#| default_exp participants

# %% [markdown]
# *In this notebook*: who plays when no people can be asked. The individual data of Koster et al.
# may not be at hand, and without people there is nothing to imitate, nobody to please and nobody to
# vote. So this notebook builds *stand-in participants*: a small model of behaviour, fourteen
# numbers in all. Seven of them are fitted to the mean contributions that the paper prints (Figure
# 1c, Experiment 1) and to nothing else (16_calibration); the other seven are stated beforehand,
# with reasons. How they vote is for 05_voting to say. It uses 00_game, 01_mechanisms and 02_data;
# virtual players (04) are trained on its data sets, and the experiments (14) are run with it. The
# composition of the data follows "Pilot testing" and "Training virtual players" in Materials and
# Methods.
#
# Nothing below is a finding about people. It is a machine for checking that the *method* works,
# built so that you can see every cog. Its most instructive part is near the end: a number that
# decides elections and that the published data cannot tell us.

# %%
#| export
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from jax.tree_util import Partial

from democratic_ai import data, game, mechanisms
from democratic_ai.engine import devices, published

# %%
#| hide
from functools import partial

import matplotlib.pyplot as plt
import pytest

# %% [markdown]
# ## What a person carries into the game
#
# Ann has 10 coins, her three companions have 2 each, and a referee is announced. How much will she
# put in? Nobody knows; but here is what the published means let one guess about people like her.
#
# * They differ. Some give nothing, some give all.
# * Someone who has more than the others gives a smaller *fraction*.
# * A referee raises trust: first contributions are higher than in the tutorial. For Ann they are
#   not. Perhaps she suspects what a referee is for.
# * Trust that is not confirmed fades.
#
# We write a person's inclination as a logit $g$, so that $\sigma(g) = 1/(1+e^{-g})$ is the fraction
# of the endowment that the person feels like giving. The disposition $h$, to which the inclination
# returns, and the start of a block are
#
# $$h_i = b_0 + b_\text{adv}\, z_i + s\,\varepsilon_i, \qquad g_{i1} = h_i + [\text{referee}]\,\big(b_\text{trust} - b_\text{wary}\max(z_i, 0)\big),
# \qquad z_i = \log\frac{e_i}{\bar e},$$
#
# with $\varepsilon_i$ standard normal. The whole population is one record of numbers. Their
# defaults are read from the committed calibration, so no value is typed in two places.

# %%
#| export
CALIBRATION = published.DATA / "participants" / "calibration.json"


@cache
def read_calibration() -> dict:
    "Read the committed calibration: fitted values, errors, settings and provenance."
    return json.loads(CALIBRATION.read_text(encoding="utf-8"))


def _fitted(name: str) -> float:
    "Take the default of one number from the committed calibration."
    return field(default_factory=lambda: read_calibration()["population"][name])


# %%
#| export
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Population:
    """How stand-in participants play, in fourteen numbers: this project's model. The
    defaults are the committed calibration."""

    generosity: float = _fitted("generosity")  # logit, disposition at average endowment
    trust: float = _fitted("trust")  # logits, added at the start under a referee
    # logits per unit of advantage, log(own endowment / group mean)
    advantage: float = _fitted("advantage")
    # logits taken from that trust per unit of advantage, by those above the mean
    wariness: float = _fitted("wariness")
    spread: float = _fitted("spread")  # logits, standard deviation between persons
    # logits a round, step of somebody who firmly believes that giving pays
    reaction: float = _fitted("reaction")
    # weight of the newest round in that belief, from 0 to 1
    attention: float = _fitted("attention")
    # 1/coins, how sharply the marginal return is perceived
    steepness: float = _fitted("steepness")
    # coins, marginal return that leaves a person indifferent
    threshold: float = _fitted("threshold")
    # logits per unit of contribution ratio and 10 coins of gain, towards peers
    imitation: float = _fitted("imitation")
    pull: float = _fitted("pull")  # part of the way back to the disposition, a round
    width: float = _fitted("width")  # of choices, in fractions of the endowment
    focal: float = _fitted("focal")  # extra log weight of giving nothing, half or all
    # logits per squared share of the own contribution that did not come back
    loss: float = _fitted("loss")


# %%
#| export
def calibrated() -> Population:
    "Make the population of the committed calibration."
    return Population()


def as_dict(
    population: Population,
) -> dict[str, float]:
    "List a population's numbers by name."
    return {name: float(value) for name, value in asdict(population).items()}


# %% [markdown]
# Ann again, under a referee. Her $z$ is $\log(10/4) = 0.92$; a tail's is $\log(2/4) = -0.69$. The
# tails should start higher than Ann, and the referee should do little for her and much for them.

# %%
#| export
class AgentState(NamedTuple):
    "What a stand-in participant carries through a block."

    inclination: Array  # [..., P] logit of the fraction to give next
    disposition: Array  # [..., P] logit to which the inclination returns
    belief: Array  # [..., P] does giving more pay? from -1 (no) to 1 (certainly)


def init(
    key: Array,  # consumed whole by the dispositions
    endowment: Array,  # [..., P] coins
    population: Population,
    *,
    referee: bool | Array,  # is one present?
) -> AgentState:
    "Draw every player's state at the start of a block (this project's model)."
    advantage = jnp.log(endowment / endowment.mean(-1, keepdims=True))
    typical = population.generosity + population.advantage * advantage
    disposition = typical + population.spread * jax.random.normal(key, endowment.shape)
    trust = population.trust - population.wariness * jnp.maximum(advantage, 0)
    inclination = disposition + referee * trust
    return AgentState(inclination, disposition, jnp.zeros_like(disposition))


# %%
population = calibrated()
groups = jnp.tile(mechanisms.head_and_tails(2.0), (4096, 1))
alone, under = (
    init(jax.random.key(0), groups, population, referee=r) for r in (False, True)
)
lift = (under.inclination - alone.inclination)[0]
first = jnp.median(alone.inclination, 0)
print("typical first fraction, no referee:", jax.nn.sigmoid(first).round(2))
print("lifted by the referee (logits):    ", lift.round(2))
assert lift[1] > 0 and lift[1] > lift[0], (
    "the tails trust the referee more than the head does"
)
assert (first[1:] > first[0]).all(), "who has more gives a smaller fraction"


# %% [markdown]
# ## From an inclination to whole coins
#
# A person who feels like giving 43 % of 10 coins cannot. People choose whole coins, imprecisely,
# and they like round answers: nothing, half, everything (the paper's Figure S7 shows three peaks in
# the head's first contributions). So
#
# $$P(c) \propto \exp\Big(-\tfrac12\big(\tfrac{c/e - \sigma(g)}{\tau}\big)^2 + f\,[c/e \in \{0, \tfrac12, 1\}]\Big), \qquad c = 0, 1, \dots, e .$$
#
# Drawing is one uniform number held against the cumulative sum, which is several times cheaper than
# a noise value for every coin. What a score exceeds the best one by is taken before the
# exponential, so a sharp choice cannot underflow to nothing.

# %%
#| export
def act(
    key: Array,  # consumed whole: one uniform per player
    inclination: Array,  # [..., P] logits
    endowment: Array,  # [..., P] coins
    population: Population,
    *,
    rules: game.Game = game.Game(),
) -> Array:  # [..., P] coins, whole
    "Draw coins near the inclination or zero, half, all (this project's model)."
    target = jax.nn.sigmoid(inclination)
    coins = range(rules.most_coins + 1)
    round_answer = [(c == 0) | (2 * c == endowment) | (c == endowment) for c in coins]
    score = [
        population.focal * focal
        - ((c / endowment - target) / population.width) ** 2 / 2
        for c, focal in zip(coins, round_answer, strict=True)
    ]
    scored = zip(coins, score, strict=True)
    score = [jnp.where(c <= endowment, s, -jnp.inf) for c, s in scored]
    best = jnp.stack(score).max(0)
    *below, total = accumulate(jnp.exp(s - best) for s in score)
    drawn = jax.random.uniform(key, endowment.shape) * total
    steps = [(drawn >= b).astype(endowment.dtype) for b in below]
    return jnp.minimum(sum(steps), endowment)


# %% [markdown]
# Ten thousand people who feel like giving 43 % of 10, of 5 and of 2 coins. The five is odd and has
# no half; the two offers nothing but round answers. The naive way, rounding to the nearest coin,
# would have everybody with ten coins give exactly four.

# %%
same = jnp.full((10_000, 3), np.log(0.43 / 0.57))
have = jnp.broadcast_to(jnp.array([10.0, 5.0, 2.0]), same.shape)
given = np.asarray(act(jax.random.key(1), same, have, population))
naive = np.round(0.43 * np.asarray(have))
assert (given >= 0).all() and (given <= have).all() and (given == np.round(given)).all()
assert len(np.unique(naive[:, 0])) == 1, "rounding: ten thousand people, one answer"
frequency = [
    np.bincount(g.astype(int), minlength=c + 1) / len(g)
    for c, g in zip((10, 5, 2), given.T, strict=True)
]
assert frequency[0][5] > frequency[0][4], (
    "half is liked better than the coin that is nearer"
)
fig, axes = plt.subplots(1, 3, figsize=(7, 2), sharey=True)
for ax, coins, height in zip(axes, (10, 5, 2), frequency, strict=True):
    ax.bar(range(coins + 1), height, color="#4c78a8")
    ax.axvline(0.43 * coins, color="#b5651d", lw=1)
    ax.set(xlabel=f"coins given, of {coins}")
axes[0].set_ylabel("share of persons")
fig.tight_layout()


# %% [markdown]
# The line marks the inclination. How wide the choice is (three tenths of the endowment) and how
# strong the liking, nobody can read off a figure of *means*. A population of all-or-nothing people
# and one of lukewarm ones may have the same. They are set beforehand, so that about two thirds of
# the heads put 0, 5 or 10 coins into the first round, which is as much as one can read off the
# paper's Figure S7. Keep it in mind; it returns in 04_cloning, where a network has to learn these
# people.
#
# ## What would one more coin have brought?
#
# Directional learning is the oldest idea about how people get better at such games: do more of what
# would have paid. That needs the *marginal return*, which depends on the mechanism in force, and
# there are many mechanisms in this book, some of them neural networks. A derivative would do for
# smooth ones. One coin more does for all, and is what a person could work out: let each player in
# turn add a coin (or keep one, if all are in), ask the mechanism again, and subtract.
#
# $$r_i = y_i(c_i + 1, c_{-i}) - y_i(c) - 1 .$$

# %%
#| export
def marginal_return(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins, whole
    mechanism: game.Mechanism,
    *,
    growth: float = game.Game.growth,  # factor on the public fund
) -> Array:  # [..., P] coins gained per coin given
    """Compute what one more coin would have gained (this project's model).

    For those who gave all it is what one coin less would have lost.
    """
    n_players = endowment.shape[-1]
    step = jnp.where(contribution < endowment, 1.0, -1.0)
    # one alternative per player, along a new axis in front
    who = jnp.eye(n_players).reshape(n_players, *(1,) * (endowment.ndim - 1), n_players)

    def paid(coins):
        spread = jnp.broadcast_to(endowment, coins.shape)
        return game.payout(spread, coins, mechanism, growth=growth)

    alternative = (paid(contribution + who * step) * who).sum(0)
    return (alternative - paid(contribution)) / step - 1


# %% [markdown]
# Under equal splitting a coin brings back 0.4, whoever gives it: a loss of 0.6. Under the
# libertarian mechanism 1.6: a gain of 0.6. Both can be checked by heart. Liberal egalitarian is
# more interesting. Ann gives 4 of her 10, the others everything.

# %%
coins = jnp.array([4.0, 2, 2, 2])
ann = mechanisms.head_and_tails(2.0)
gain = {
    name: marginal_return(ann, coins, m) for name, m in mechanisms.BASELINES.items()
}
for name, value in gain.items():
    print(f"{name:20s}", value.round(2))
assert jnp.allclose(gain["strict_egalitarian"], -0.6, atol=1e-5) and jnp.allclose(
    gain["libertarian"], 0.6, atol=1e-5
)
assert gain["liberal_egalitarian"][0] < 0 < gain["liberal_egalitarian"][1], (
    "giving costs Ann and pays the others"
)


# %% [markdown]
# So the same rule rewards the poor for giving and fines the rich. No wonder that Figure 1c shows
# heads who stay low under liberal egalitarian while their tails give nearly all.
#
# ## Looking around
#
# People do not only calculate, they look. On the results screen stands what everybody gave and got.
# The model's rule is *proportional imitation* (Schlag 1998): move towards a co-player who gained
# more than you, in proportion to how much more. Since nobody takes a fivefold richer player as a
# model, each co-player counts by likeness, the smaller endowment divided by the larger:
#
# $$q_i = \frac14 \sum_j \frac{\min(e_i, e_j)}{\max(e_i, e_j)} \Big(\frac{c_j}{e_j} - \frac{c_i}{e_i}\Big)\,\frac{(y_j - c_j) - (y_i - c_i)}{10} .$$
#
# Each product is positive if the more generous player also gained more, negative if the miser did.

# %%
#| export
def _success_of_peers(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    payout: Array,  # [..., P] coins
    *,
    rules: game.Game = game.Game(),
) -> Array:  # [..., P] difference in ratio times that in gain, in largest endowments
    """Compute the direction of proportional imitation (Schlag 1998).

    Players of like endowment count most.
    """
    # [..., focal, other]: what the other has more
    more = lambda amount: amount[..., None, :] - amount[..., :, None]
    # the smaller endowment divided by the larger
    likeness = jnp.exp(-jnp.abs(more(jnp.log(endowment))))
    generous, gain = more(contribution / endowment), more(payout - contribution)
    return (likeness * generous * gain / rules.most_coins).mean(-1)


# %%
equals, mixed = jnp.full(4, 10.0), jnp.array([10.0, 10, 0, 0])
direction = {
    name: _success_of_peers(equals, mixed, game.payout(equals, mixed, mechanism))
    for name, mechanism in mechanisms.BASELINES.items()
}
print({name: value.round(2).tolist() for name, value in direction.items()})
strict = direction["strict_egalitarian"]
assert (strict < 0).all(), (
    "equal splitting: whoever gives less gains more, and everybody sees it"
)
assert (direction["libertarian"] > 0).all()
assert jnp.allclose(strict, -0.5), (
    "two unlike peers of four, ten coins apart: 2 / 4 * -1"
)


# %% [markdown]
# ## Learning
#
# Nobody can be sure after one round what a rule does; the marginal return is a thing one comes to
# *believe* in. So each round moves a belief $\beta$, which starts undecided at 0, some of the way
# (the fraction $\alpha$ is the person's attention) towards what that round suggests:
#
# $$\beta_i \leftarrow \beta_i + \alpha\,\big(\tanh(m\,(r_i - r_0)) - \beta_i\big) .$$
#
# Then the inclination moves by four things: as the belief says; towards what works for peers; down,
# when the own coins did not come back; and some of the way back to the disposition.
#
# $$g_i \leftarrow g_i + a\,\beta_i + b_\text{imit}\, q_i - \lambda\,\Big(\frac{\max(c_i - y_i, 0)}{c_i}\Big)^2 + p\,(h_i - g_i) .$$
#
# Because the disposition does not include trust in a referee, trust fades at rate $p$ unless it
# pays.

# %%
#| export
def update(
    state: AgentState,
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    payout: Array,  # [..., P] coins
    mechanism: game.Mechanism,
    population: Population,
    *,
    rules: game.Game = game.Game(),
) -> AgentState:
    "Change belief and inclination by what a round has shown (this project's model)."
    brought = marginal_return(endowment, contribution, mechanism, growth=rules.growth)
    gain = jnp.tanh(population.steepness * (brought - population.threshold))
    lost = jnp.maximum(contribution - payout, 0) / jnp.maximum(contribution, 1)
    success = _success_of_peers(endowment, contribution, payout, rules=rules)
    belief = state.belief + population.attention * (gain - state.belief)
    step = population.reaction * belief + population.imitation * success
    step = step - population.loss * lost**2
    back = population.pull * (state.disposition - state.inclination)
    return AgentState(state.inclination + step + back, state.disposition, belief)


# %%
#| export
def players(
    population: Population,
    *,
    referee: bool | Array = True,  # is one present? False: the tutorial block
    rules: game.Game = game.Game(),
) -> game.Players:
    """Make stand-in participants (this project's model).

    They are in the place of the people of Koster et al.
    """

    def learn(state, endowment, contribution, payout, mechanism):
        seen = contribution, payout, mechanism
        return update(state, endowment, *seen, population, rules=rules)

    return game.Players(
        init=lambda key, endowment: init(key, endowment, population, referee=referee),
        act=lambda key, state, endowment: act(
            key, state.inclination, endowment, population, rules=rules
        ),
        update=learn,
        game=rules,
    )


# %% [markdown]
# ## Trust that never fades: the naive way
#
# An earlier form of this model pulled people back to where they had *started*. It came within .041
# of Figure 1c, so nothing was obviously wrong. But the curves that the figure calls strict
# egalitarian come from the tutorial, where nobody trusts in a referee. What does each form say
# about a referee who splits equally? Everything about the game is as in the tutorial; only the bar
# on the screen has another colour.

# %%
refereed, unrefereed = players(population), players(population, referee=False)


def trusting(key, endowment):
    "Begin with a disposition that includes the trust in a referee."
    state = refereed.init(key, endowment)
    return state._replace(disposition=state.inclination)


equal = jnp.tile(mechanisms.head_and_tails(10.0), (4096, 1))
compared = {
    "tutorial": unrefereed,
    "referee, trust fades": refereed,
    "referee, naive": refereed._replace(init=trusting),
}
blocks = {
    label: game.play(jax.random.key(2), who, equal, game.equal_split)
    for label, who in compared.items()
}
curve = {
    label: block.relative_contribution.mean((0, 2)) for label, block in blocks.items()
}
print(
    {
        label: [round(float(c[0]), 2), round(float(c[-1]), 2)]
        for label, c in curve.items()
    }
)
late = {label: c[-1] for label, c in curve.items()}
assert late["referee, naive"] > late["tutorial"] + 0.05, "naive people go on trusting"
assert abs(late["referee, trust fades"] - late["tutorial"]) < 0.04, (
    "same rule, same end"
)

# %%
fig, ax = plt.subplots(figsize=(4.2, 2.6))
for (label, c), style in zip(curve.items(), ("k-", "C0-o", "C3--"), strict=True):
    ax.plot(range(1, 11), c, style, label=label, ms=3)
ax.set(
    xlabel="round",
    ylabel="contribution\n(fraction of endowment)",
    ylim=(0, 1),
    xticks=range(1, 11),
)
ax.legend(frameon=False, fontsize=8)
fig.tight_layout()


# %% [markdown]
# All three play under the same rule. With fading trust the first two curves meet; the naive one
# stays above for good, and would favour strict egalitarian in every election that follows.
#
# ## Experiment 1 again
#
# Figure 1c has nine cells: three mechanisms, three tail endowments (2, 4, 10), each with a curve
# for the head and one for the tails. The strict egalitarian curves are tutorial blocks; the others
# had a referee. The function asks for players *by whether a referee is there*, so the virtual
# players of 04, who cannot tell, can play the same experiment.

# %%
#| export
def with_or_without_referee(
    population: Population,
) -> Callable[[bool], game.Players]:  # is a referee present? -> players
    "Make the same stand-in participants with or without a referee."
    return lambda referee: players(population, referee=referee)


# what Figure 1C calls the tutorial block, which has no referee
TUTORIAL = "strict_egalitarian"
_FIGURE_TAILS = (2, 4, 10)  # tail endowments of Exp. 1, coins


# %%
#| export
def _fig1c_means(
    key: Array,  # consumed: one part per mechanism
    who: tuple[game.Players, game.Players],  # without a referee, with one
    n_games: int,  # per mechanism and tail endowment
) -> Array:  # [mechanism, tail endowment, head or tail, round]
    "Average relative contributions in Figure 1C's nine cells over games and tails."
    tails = jnp.repeat(jnp.array(_FIGURE_TAILS, float), n_games)
    endowment, shape = mechanisms.head_and_tails(tails), (len(_FIGURE_TAILS), n_games)

    def by_mechanism(key, name):
        mechanism = mechanisms.BASELINES[name]
        block = game.play(key, who[name != TUTORIAL], endowment, mechanism)
        ratio = block.relative_contribution
        mean = ratio.reshape(*shape, *ratio.shape[1:]).mean(1)
        return jnp.stack([mean[..., 0], mean[..., 1:].mean(-1)], 1)

    keys = jax.random.split(key, len(mechanisms.BASELINES))
    return jnp.stack([*map(by_mechanism, keys, mechanisms.BASELINES)])


_compiled_fig1c_means = jax.jit(_fig1c_means, static_argnames="n_games")


# %%
#| export
def fig1c_curves(
    key: Array,  # consumed whole
    make_players: Callable[[bool], game.Players],  # is a referee present? -> players
    *,
    n_games: int = 2048,  # per mechanism and tail endowment
) -> pd.DataFrame:  # mechanism, tail_endowment, role, round, relative_contribution
    """Play Experiment 1 with any players and average as Koster et al., Figure 1c, does:
    180 means. Raises ValueError if the players were made for another game."""
    who = devices.as_pytree((make_players(False), make_players(True)))
    mean = np.asarray(_compiled_fig1c_means(key, who, n_games)).ravel()
    frame = _fig1c_cells().to_frame(index=False)
    return frame.assign(relative_contribution=mean)


def _fig1c_cells():
    "Name the 180 means of Figure 1C in the order of `_fig1c_means`."
    cells = {
        "mechanism": list(mechanisms.BASELINES),
        "tail_endowment": _FIGURE_TAILS,
        "role": ("head", "tail"),
        "round": range(1, game.Game.n_rounds + 1),
    }
    return pd.MultiIndex.from_product(cells.values(), names=cells.keys())


# %% [markdown]
# ## The fit
#
# 180 published means cannot pay for fourteen numbers. Seven are stated beforehand, with reasons,
# and seven are searched for: 16_calibration says which, and how. Here is what the search is asked
# to make small: the mean distance from the published curves. It holds all random numbers fixed, so
# that two populations differ by what they are and not by luck.

# %%
#| export
def fig1c_published() -> np.ndarray:  # [mechanism, tail endowment, head or tail, round]
    "Read the 180 published means (Koster et al., Figure 1c)."
    cells, frame = _fig1c_cells(), published.read("fig1c_relative_contribution")
    means = frame.set_index(cells.names).relative_contribution.reindex(cells)
    return means.to_numpy().reshape(cells.levshape)


def fig1c_error(
    key: Array,  # consumed whole, the same for every population
    *,
    n_games: int,  # per mechanism and tail endowment
) -> Callable:  # population -> mean absolute difference, fraction of the endowment
    """Make the function that measures a population's distance from Figure 1C.

    It always draws the same random numbers.
    """
    cells = fig1c_published()

    @jax.jit
    def error(population):
        who = tuple(players(population, referee=referee) for referee in (False, True))
        return jnp.abs(_fig1c_means(key, who, n_games) - cells).mean()

    return lambda population: float(error(jax.tree.map(jnp.float32, population)))


# %% [markdown]
# The committed result, on games that the search has never seen. How good can it get? The published
# means are themselves averages over some 65 groups. Put 65 *stand-in* groups into each cell and
# compare them with many more of the very same population: that distance remains even if the model
# is the truth.

# %%
who = devices.as_pytree((players(population, referee=False), players(population)))
ours = np.asarray(_compiled_fig1c_means(jax.random.key(3), who, 4096))
few = np.asarray(_compiled_fig1c_means(jax.random.key(4), who, 65))
cells = fig1c_published()
error, floor = np.abs(ours - cells).mean(), np.abs(ours - few).mean()
print(
    f"mean absolute error {error:.4f} over {cells.size} cells;",
    f"two samples of one population differ by {floor:.4f}",
)
assert cells.size == 180 and error < 0.04
assert abs(error - read_calibration()["error_fresh_games"]) < 0.003, (
    "the committed number, on another draw"
)

# %%
fig, axes = plt.subplots(3, 3, figsize=(7, 5.4), sharex=True, sharey=True)
for row, name, cell, fit in zip(axes, mechanisms.BASELINES, cells, ours, strict=True):
    row[0].set_ylabel(name.replace("_", "\n") + "\nfraction given")
    for ax, tail, people, standins in zip(row, _FIGURE_TAILS, cell, fit, strict=True):
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
# Marks are people (circles heads, triangles tails), lines the stand-in participants. What to see:
# the shapes are right in all nine panels, and the remaining error is larger than sampling alone
# would leave. It could be had smaller, at a price that the section before the recap shows.

# %% [markdown]
# ## What Figure 1c cannot tell
#
# One number has not been fitted: `loss`, how strongly people resent coins that do not come back.
# What would fitting it take? Somebody in the data must lose most of what they gave, again and
# again. In Figure 1c hardly anybody does. Under strict egalitarian the unlucky lose six tenths of a
# contribution at the very worst, under libertarian nobody loses anything; heads under liberal
# egalitarian lose about half.
#
# So four searches were run, each with a `loss` of its own and the same seven numbers free. Here
# they are, in two columns. The first is the distance from Figure 1c; the second is what the heads
# of such a population give in round 2. They have then just met a mechanism that no cell of Figure
# 1c contains, *everything to the tails*.

# %%
def everything_to_tails(endowment, contribution):
    poor = (endowment < endowment.max(-1, keepdims=True)).astype(float)
    return poor / poor.sum(-1, keepdims=True)


@partial(jax.jit, static_argnames="mechanism")
def heads(population, mechanism):
    "Play tail 4 under a mechanism and average the head's curve."
    groups = jnp.tile(mechanisms.head_and_tails(4.0), (4096, 1))
    block = game.play(jax.random.key(9), players(population), groups, mechanism)
    return block.relative_contribution[..., 0].mean(0)


fits = {
    row["loss"]: row
    for row in sorted(read_calibration()["by_loss"], key=lambda row: row["loss"])
}
people = {
    loss: Population(**{name: row[name] for name in as_dict(population) if name in row})
    for loss, row in fits.items()
}
neglected = {
    loss: np.asarray(heads(p, everything_to_tails)) for loss, p in people.items()
}
table = pd.DataFrame(
    {
        "error": {loss: row["error_fresh_games"] for loss, row in fits.items()},
        "heads, round 2": {loss: curve[1] for loss, curve in neglected.items()},
        "heads, round 10": {loss: curve[-1] for loss, curve in neglected.items()},
    }
)
assert np.ptp(table["error"]) < 0.006, "Figure 1c hardly prefers one to another"
assert np.ptp(table["heads, round 2"]) > 0.2, (
    "a mechanism that neglects the head tells them apart"
)
assert np.ptp(table["heads, round 10"]) < 0.1, (
    "in the end all have learned that it does not pay"
)
table.round(3)

# %%
fig, axes = plt.subplots(1, 3, figsize=(7, 2.7))
shown = {
    "published cell:\nliberal egalitarian": mechanisms.liberal_egalitarian,
    "unseen:\neverything to the tails": everything_to_tails,
}
for ax, (title, mechanism) in zip(axes[:2], shown.items(), strict=True):
    for i, (loss, p) in enumerate(people.items()):
        ax.plot(
            range(1, 11),
            heads(p, mechanism),
            color=plt.cm.viridis(i / 4),
            label=f"loss {loss:g}",
        )
    ax.set_title(title, fontsize=8)
    ax.set(xlabel="round", ylim=(0, 1), xticks=(1, 4, 7, 10))
axes[0].plot(range(1, 11), cells[2, 1, 0], "ko", ms=3, label="people")
axes[0].set_ylabel("head's contribution\n(fraction of endowment)")
axes[0].legend(frameon=False, fontsize=6, ncol=2)
axes[2].bar(
    range(len(fits)), table["error"], color=[plt.cm.viridis(i / 4) for i in range(4)]
)
axes[2].set_title(
    "mean absolute error on Figure 1c\n(dotted: the bar that we set)", fontsize=8
)
axes[2].axhline(0.04, color="k", ls=":", lw=1)
axes[2].set(
    ylabel="fraction of endowment",
    xticks=range(len(fits)),
    xticklabels=[f"{loss:g}" for loss in fits],
    xlabel="loss",
)
fig.tight_layout()

# %% [markdown]
# Left, in a cell that was fitted, the four populations lie on top of one another. In the middle
# they part at once. Without `loss` the neglected head gives nearly half in round 2 and needs five
# rounds to be convinced; in all those rounds the mechanism has something to give away. With `loss`
# 2 the head is gone after a single round. On the right, Figure 1c does not care. Whether a
# mechanism that takes from the rich can win an election depends on such rounds, and no amount of
# fitting to Figure 1c would tell you. More data of the same kind would not help either, only
# *other* data: somebody has to try the mechanism. That is what the paper's repeat is for.
#
# And `loss` is only the number that we chose to vary. That all four populations end at the same low
# level comes from `reaction`, which Figure 1c does fix *once the six others are stated*. In the
# sharp population of the section before the recap, where they are not, beliefs push half as hard
# and the neglected heads without `loss` stayed in the game for much longer. What one holds fixed
# decides what the data seem to say.
#
# What can be done? The paper reports that heads whom the rational mechanism neglected rapidly
# stopped contributing. That gives a direction and nothing finer, so the default is `loss` = 1, and
# the pipeline shows the whole range from 0 to 2 as a sensitivity analysis.

# %% [markdown]
# ## The pilot
#
# Who plays in the pilot, and who drops out, 02_data has said; what is missing is the people.
#
# ### Under which mechanisms
#
# The paper says only "a range", earlier incarnations of HCRM among them. Our reading: each pair of
# blocks sets an early HCRM against a rival, in random order. The rival is one of the three
# baselines, as in the experiments that the pilot prepared; the early HCRM is one that 01_mechanisms
# draws. Further mechanisms can be passed in by name.

# %% [markdown]
# Now the pieces together. All blocks of all groups are played at once, one `vmap` over the position
# in the session; those that a group did not play are dropped.

# %%
#| export
# what the blocks of the pilot are played under, by code
_PILOT_MECHANISMS = ("tutorial", *mechanisms.BASELINES, "early_hcrm")


def _pilot_referee(
    key: Array,  # the same for the whole pilot
    extra: Sequence[game.Mechanism],  # each as frequent as the early HCRMs
    position: Array,  # [] of the block in the session, 0 = tutorial
    n_groups: int,
) -> tuple[Array, game.Referee]:  # [G] code; the referee
    """Make the referee of a block of the stand-ins' sessions.

    The tutorial has none; an early HCRM and a rival follow in random order.
    """
    key_order, key_block = jax.random.split(key)
    keys = jax.random.split(jax.random.fold_in(key_block, position), 3)
    key_order = jax.random.fold_in(key_order, (position - 1) // 2)
    early_first = jax.random.bernoulli(key_order, 0.5, (n_groups,))
    rival = jax.random.randint(keys[1], (n_groups,), 1, 4)
    early = jax.random.randint(keys[2], (n_groups,), 4, 5 + len(extra))
    plays_early = early_first == (position % 2 == 1)
    code = jnp.where(plays_early, early, rival) * (position > 0)
    early_hcrm = mechanisms.early_hcrm(keys[0], (n_groups,))
    choices = [game.equal_split, *mechanisms.BASELINES.values(), early_hcrm, *extra]
    return code, game.mechanism_by_group(choices, code)


# %%
#| export
@jax.jit
def _all_blocks(key, population, endowment, leaves, referees, positions):
    "Play S blocks of G groups: a block with leaves [S, G, ...], codes [S, G]."
    key_people, key_play = jax.random.split(key)

    def one_block(position):
        code, referee = referees(position, len(endowment))
        people = players(population, referee=position > 0)
        people = game.same_participants(people, key_people)
        left = leaves - position * game.Game.n_rounds
        people = game.with_dropouts(people, left)
        key_block = jax.random.fold_in(key_play, position)
        return game.play(key_block, people, endowment, referee), code

    return jax.vmap(one_block)(positions)


# %%
#| export
def play_sessions(
    key: Array,  # consumed: one part for the persons, one for the play
    population: Population,
    endowment: Array,  # [G, P] coins
    n_played: Array,  # [G] blocks that each group plays
    leaves: Array,  # [G, P] round of the session, from 0, in which a player drops out
    # (position of the block, G) -> ([G] code, referee); a `Partial`, compiled once
    referees: Callable[[Array, int], tuple[Array, game.Referee]],
    names: tuple[str, ...],  # what the codes mean
) -> data.Plays:  # blocks of all groups, block after block
    """Let the same persons play block after block, the first one without a referee
    (Koster et al., "Investment game")."""
    positions, referees = jnp.arange(int(n_played.max())), devices.as_pytree(referees)
    played = _all_blocks(key, population, endowment, leaves, referees, positions)
    wanted = np.asarray(positions)[:, None] < np.asarray(n_played)
    session, group = np.nonzero(wanted)
    block, code = jax.tree.map(lambda leaf: leaf[session, group], played)
    answered = leaves[group] >= (session[:, None] + 1) * game.Game.n_rounds
    return data.Plays(block, answered, jnp.asarray(session, jnp.int32), code, names)


# %%
#| export
def pilot(
    key: Array,  # consumed: groups, drop-outs, mechanisms and sessions, one part each
    population: Population,
    *,
    n_blocks: int = data.N_BLOCKS,  # fewer: everything in proportion
    extra: dict[str, game.Mechanism]
    | None = None,  # further ones among the early HCRMs
) -> data.Plays:
    """Play the pilot in the published mix of endowments and drop-outs (Koster et al.,
    "Pilot testing"). Raises ValueError without blocks."""
    if n_blocks < 1:
        raise ValueError(
            f"n_blocks is {n_blocks}: the pilot needs at least one block, "
            f"the paper's has {data.N_BLOCKS}."
        )
    key_groups, key_leave, key_referees, key_play = jax.random.split(key, 4)
    endowment, n_played = data.pilot_groups(key_groups, n_blocks=n_blocks)
    n_complete = round(n_blocks * data.N_COMPLETE / data.N_BLOCKS)
    leaves = data.dropout_rounds(key_leave, n_played, n_complete=n_complete)
    further = devices.as_pytree(list((extra or {}).values()))
    referees = Partial(_pilot_referee, key_referees, further)
    names = (*_PILOT_MECHANISMS, *(extra or {}))
    return play_sessions(
        key_play, population, endowment, n_played, leaves, referees, names
    )


# %%
with pytest.raises(ValueError, match="at least one block"):
    pilot(jax.random.key(11), population, n_blocks=0)
plays = pilot(jax.random.key(11), population)
assert len(plays) == 4809 and plays.answered.all(-1).sum() == 2491
kind = np.sort(np.asarray(plays.block.endowment), axis=-1)
for endowment, count in list(data.ENDOWMENTS.items())[:-1]:
    # a random draw may hit the same mix
    assert (kind == np.sort(endowment)).all(-1).sum() >= count
assert (plays.block.contribution <= plays.block.endowment[:, None]).all()
table = pd.DataFrame(
    {
        "mechanism": np.array(plays.names)[np.asarray(plays.mechanism)],
        "answered": plays.answered.mean(-1),
        "given": plays.block.relative_contribution.mean((1, 2)),
    }
).groupby("mechanism")
table.mean().assign(blocks=table.size()).round(2)


# %% [markdown]
# The table's last column is no result, only a look: more than half of the endowment is given when
# one's own giving counts, less in the tutorial, and bots pull everything towards one half.

# %% [markdown]
# ## Hold-out and repeat
#
# Virtual players are judged on 288 blocks of 384 new people in the evaluation's conditions, two of
# which, tails of 6 and 8, no training block contains. After a mechanism has been trained, new
# people play under *it*, and their blocks join the pilot: the paper's repeat. Both are the same
# session, in the same order of blocks as in the experiments, only with another mechanism in the
# middle.

# %%
#| export
def play_against_rival(
    key: Array,  # consumed: order of the blocks, sessions
    population: Population,
    mechanism: game.Mechanism,  # usually the newest HCRM
    name: str,  # what the data set calls it
    *,
    rival: game.Mechanism = mechanisms.liberal_egalitarian,  # of the other block
    rival_name: str = "liberal_egalitarian",
    n_groups: int = 160,  # groups of four, three blocks each
    tails: Sequence[float] = mechanisms.TAILS,  # coins, dealt out in turn
) -> data.Plays:
    "Let new groups play tutorial, mechanism and rival (Koster et al., Figure 1d)."
    key_order, key_play = jax.random.split(key)
    endowment = mechanisms.head_and_tails(jnp.resize(jnp.array(tails, float), n_groups))
    new_first = jax.random.permutation(key_order, n_groups) < n_groups / 2
    first, second = jnp.where(new_first, 1, 2), jnp.where(new_first, 2, 1)
    schedule = jnp.stack([jnp.zeros(n_groups, int), first, second])
    referees = game.scheduled_referee([game.equal_split, mechanism, rival], schedule)
    n_played, never = jnp.full(n_groups, 3), jnp.full(endowment.shape, jnp.inf)
    groups, names = (endowment, n_played, never), ("tutorial", name, rival_name)
    return play_sessions(key_play, population, *groups, referees, names)


# %%
#| export
def holdout(
    key: Array,  # consumed: one part for the mechanism, one for the play
    population: Population,
    *,
    n_groups: int = 96,  # 384 people, 288 blocks
) -> data.Plays:
    """Play the hold-out: new groups in the evaluation's conditions (Koster et al.,
    "Pilot testing")."""
    key_hcrm, key_play = jax.random.split(key)
    early = mechanisms.early_hcrm(key_hcrm, (n_groups,))
    played = "early_hcrm"
    return play_against_rival(key_play, population, early, played, n_groups=n_groups)


# %%
kept_apart = holdout(jax.random.key(8), population)
tails = np.asarray(kept_apart.block.endowment)[:, 1]
assert len(kept_apart) == 288 and kept_apart.answered.all()
assert (np.asarray(kept_apart.block.endowment)[:, 0] == 10).all() and set(tails) == set(
    mechanisms.TAILS
)
pd.crosstab(np.array(kept_apart.names)[np.asarray(kept_apart.mechanism)], tails)

# %% [markdown]
# The hold-out contains all three blocks of 96 groups, the tutorial with them.
#
# ## What the stated numbers were chosen by
#
# These people are made to be imitated. 04_cloning tries it and shows, in one small table, what the
# choice of the stated numbers cost in the fit to Figure 1c and what it gained. No vote and no other
# published table was looked at.
#
# ## Recap
#
# * `Population` is how stand-in participants play, `calibrated()` the committed calibration
#   (`read_calibration`, `as_dict`).
# * `players` makes them ready for `game.play`, of `init`, `act`, `update`, `marginal_return` and an
#   `AgentState`.
# * `fig1c_curves` plays Figure 1c with any players, such as `with_or_without_referee` makes;
#   `TUTORIAL` is what the figure calls the tutorial. `fig1c_published` reads the figure,
#   `fig1c_error` measures the distance.
# * `pilot`, `holdout` and `play_against_rival` make the data sets that virtual players are trained
#   and judged on, with `play_sessions`.
#
# Questions to take along: which experiment would you run to identify `loss`, if you were allowed
# ten groups? What else does a model fitted to means leave open, and which mechanism would exploit
# it?
#
# **Exercise 1.** You have a mechanism of your own and want the virtual players to know it. Put it
# into a small pilot. How often is it met?
#
# <details><summary>Solution</summary>
#
# Pass it in by name. It shares the early HCRM's half of the blocks with the early HCRMs, so about a
# quarter of the refereed blocks.

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
# **Exercise 2.** Is it the likeness that keeps Ann from learning from her poorer companions?
# Compare what she learns from three tails who give everything with what an equally endowed player
# learns, under equal splitting.
#
# <details><summary>Solution</summary>
#
# Her companions gained more although they gave a larger fraction. So she learns to give more, but
# at a fifth of the weight. An equal among equals learns the opposite: those who gave all gained
# less.

# %%
give = jnp.array([[4.0, 2, 2, 2], [4.0, 10, 10, 10]])
have = jnp.array([[10.0, 2, 2, 2], [10.0, 10, 10, 10]])
direction = _success_of_peers(have, give, game.payout(have, give, game.equal_split))[
    :, 0
]
print(
    "Ann among the poor:",
    direction[0].round(3),
    "| among equals:",
    direction[1].round(3),
)
assert direction[0] > 0 > direction[1]

# %% [markdown]
# </details>
