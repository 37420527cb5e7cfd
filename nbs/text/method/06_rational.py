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
# # Rational players
#
# > Any mechanism and two numbers about a population go in; players who climb their own return, and know how, come out.

# %%
#| default_exp rational

# %% [markdown]
# *In this notebook*: players that learn from no human data (Koster et al., Materials and Methods,
# "Rational players without human data"). They play the game of 00 under any mechanism of 01; 09
# trains the rational mechanism RM with them. First one step by hand, then the derivative and two
# ways to get it wrong. Then we see what calculating players make of the three baselines, with a
# threshold that can be worked out on paper, and last how far they are from people.

# %%
#| export
import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from democratic_ai import game

# %%
#| hide
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from democratic_ai import mechanisms, participants
from democratic_ai.engine import published

np.set_printoptions(precision=4)  # the last digits of single precision are noise

# %% [markdown]
# ## One step, by hand
#
# Ann has 10 coins, Bob, Cem and Dee have 2 each. All give half, under a liberal egalitarian. One
# more coin from Ann would bring her 0.88, one more from Bob 2.8 (01_mechanisms). What would
# somebody do who knows that, and wants nothing but their own return?
#
# Ann gives a little less, Bob a little more. How much, is a matter of temperament: each player has
# a learning rate $\alpha$, and a *generosity* $g$, any number, that a logistic function turns into
# coins: $c = e / (1 + e^{-g})$. Giving half is $g = 0$. A step goes uphill on the own return of the
# round just played, everybody else staying as they are:
#
# $$ g_i \leftarrow g_i + \alpha_i\, \frac{\partial}{\partial g_i}\big[y_i + e_i - c_i\big]
#      = g_i + \alpha_i\, e_i\, \sigma'(g_i) \Big(\frac{\partial y_i}{\partial c_i} - 1\Big) . $$
#
# At $g = 0$ the logistic function climbs by a quarter. With a rate of 3, Ann goes to $0 + 3 \cdot
# 10 \cdot \tfrac14 \cdot (0.88 - 1) = -0.9$ and gives 2.9 coins instead of 5; Bob goes to $3 \cdot
# 2 \cdot \tfrac14 \cdot (2.8 - 1) = 2.7$ and gives 1.9 of his 2.
#
# Coins are not whole here. Nothing is drawn when a rational player chooses; all that chance decides
# is who plays:
#
# $$ \alpha_i \sim \text{Gamma}(\text{shape } 3,\ \text{scale } \theta), \qquad g_i \sim \text{Normal}(0, \sigma), \qquad \theta = \sigma = 1 . $$

# %%
#| export
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Population:
    """Distributions of rational players (Koster et al., "Rational players without human
    data")."""

    theta: float = 1.0  # scale of the Gamma distribution of learning rates
    sigma: float = 1.0  # logits, standard deviation of the first generosity
    shape: float = 3.0  # of the Gamma distribution


class AgentState(NamedTuple):
    """What a rational player carries through a block (Koster et al., "Rational players
    without human data")."""

    rate: Array  # [..., P] learning rate, logits per (coin per logit)
    generosity: Array  # [..., P] logit of the relative contribution


# %%
#| export
def init(
    key: Array,  # consumed: one part by the rates, one by the first generosity
    endowment: Array,  # [..., P] coins
    population: Population,
) -> AgentState:
    """Draw every player's state at the start of a block (Koster et al., "Rational
    players without human data")."""
    key_rate, key_generosity = jax.random.split(key)
    rate = jax.random.gamma(key_rate, population.shape, endowment.shape)
    generosity = jax.random.normal(key_generosity, endowment.shape)
    return AgentState(population.theta * rate, population.sigma * generosity)


def act(
    endowment: Array,  # [..., P] coins
    generosity: Array,  # [..., P] logit
) -> Array:  # [..., P] coins, not whole
    """Compute contributions from generosity (Koster et al., "Rational players without
    human data")."""
    return endowment * jax.nn.sigmoid(generosity)


# %%
rate, generosity = init(jax.random.key(0), jnp.ones((50_000, 4)), Population())
first = act(1.0, generosity).mean()
print(
    f"rates: mean {rate.mean():.2f}, variance {rate.var():.2f}",
    f"| first contribution {first:.2f}",
)
assert np.allclose([rate.mean(), rate.var()], 3, atol=0.1), (
    "Gamma, shape 3 and scale 1: both are 3"
)
assert abs(first - 0.5) < 0.01
endowment, even = jnp.array([10.0, 2, 2, 2]), jnp.zeros(4)
assert (act(endowment, even) == endowment / 2).all()


# %% [markdown]
# The printed formula of the paper has no $\alpha$ in it, though the sentence below it speaks of the
# learning rate. Without it everybody would move at the same pace and the Gamma distribution would
# be drawn for nothing; the last exercise tries it.
#
# ## The naive way: one gradient for all
#
# The mechanism may be anything, a network included, so the derivative is left to automatic
# differentiation. Four players, four returns. A gradient needs *one* number, so one adds them up:

# %%
def everybodys_returns(generosity, mechanism):
    contribution = act(endowment, generosity)
    return game.returns(
        endowment, contribution, game.payout(endowment, contribution, mechanism)
    )


naive = {
    name: jax.grad(lambda g, m=mechanism: everybodys_returns(g, m).sum())(even)
    for name, mechanism in mechanisms.BASELINES.items()
}
for name, slope in naive.items():
    print(f"{name:20s}", slope.round(3))
assert all(np.allclose(slope, [1.5, 0.3, 0.3, 0.3]) for slope in naive.values()), (
    "1.6 - 1 = 0.6 coins a coin, whatever the rule"
)


# %% [markdown]
# Three rules, one answer, and Ann is to give *more* under each of them! Shares sum to one. So in
# the sum of all returns every coin given becomes 1.6 coins for somebody, and who that is drops out.
# These are players who love their neighbours as themselves: they always give everything, they need
# no mechanism, and no mechanism could be trained on them, for nothing it does would ever show.
#
# The egoist's derivative is that of the *own* return in the *own* generosity: four numbers on the
# diagonal of a table of sixteen. Forward mode takes it as one would at the table. Push one player,
# watch that player's return, keep that one number; four pushes, all at once.

# %%
#| export
def return_gradient(
    endowment: Array,  # [..., P] coins
    generosity: Array,  # [..., P] logit
    mechanism: game.Mechanism,
    *,
    growth: float = game.Game.growth,  # factor on the public fund
) -> Array:  # [..., P] coins per logit
    """Differentiate each player's return in its own generosity, others fixed (Koster et
    al., "Rational players without human data")."""

    def all_returns(generosity):
        contribution = act(endowment, generosity)
        paid = game.payout(endowment, contribution, mechanism, growth=growth)
        return game.returns(endowment, contribution, paid)

    def pushed(one):
        direction = jnp.broadcast_to(one, generosity.shape)
        return jax.jvp(all_returns, (generosity,), (direction,))[1]

    table = jax.vmap(pushed)(jnp.eye(generosity.shape[-1]))
    return jnp.diagonal(table, axis1=0, axis2=-1)


# %%
for name, mechanism in mechanisms.BASELINES.items():
    print(f"{name:20s}", return_gradient(endowment, even, mechanism).round(3))
assert np.allclose(
    return_gradient(endowment, even, mechanisms.libertarian),
    [1.5, 0.3, 0.3, 0.3],
    atol=1e-6,
), "0.6 coins a coin: give"
assert np.allclose(
    return_gradient(endowment, even, mechanisms.strict_egalitarian),
    [-1.5, -0.3, -0.3, -0.3],
    atol=1e-6,
), "-0.6: keep"
assert np.allclose(
    return_gradient(endowment, even, mechanisms.liberal_egalitarian),
    [-0.3, 0.9, 0.9, 0.9],
    atol=1e-6,
), "as by hand"


# %% [markdown]
# Only under the libertarian do the egoist and the altruist agree, which is what that rule is for.
#
# ### Differentiable once more
#
# Training will ask how these slopes answer to the *mechanism*, so they are differentiated again,
# backwards. That rules out a short cut found in many a program for many players: sum the returns,
# but hold the others' generosity fixed by a stop-gradient. It gives the right slopes. Ask it how
# Ann's slope would answer if Bob gave more:

# %%
def short_cut(generosity, mechanism):
    def total(generosity):
        others_stopped = jnp.where(
            jnp.eye(4, dtype=bool), generosity, jax.lax.stop_gradient(generosity)
        )  # row i: only i moves
        return jnp.trace(
            jax.vmap(lambda g: everybodys_returns(g, mechanism))(others_stopped)
        )

    return jax.grad(total)(generosity)


liberal, somewhere = mechanisms.liberal_egalitarian, jnp.array([0.5, -1.0, 0.3, 1.2])
assert jnp.allclose(
    short_cut(somewhere, liberal),
    return_gradient(endowment, somewhere, liberal),
    atol=1e-5,
), "the slopes themselves agree"
bob = lambda slope: float(jax.jacrev(slope)(somewhere)[0, 1])
nudge = 0.01 * jnp.array([0.0, 1, 0, 0])
measured = (
    float(
        (
            return_gradient(endowment, somewhere + nudge, liberal)
            - return_gradient(endowment, somewhere - nudge, liberal)
        )[0]
    )
    / 0.02
)
answers = {
    "own_slope": bob(lambda g: return_gradient(endowment, g, liberal)),
    "short cut": bob(lambda g: short_cut(g, liberal)),
    "measured": measured,
}
print(
    "change of Ann's slope per unit of Bob's generosity:",
    {name: round(value, 4) for name, value in answers.items()},
)
assert (
    np.isclose(answers["own_slope"], measured, rtol=0.01) and answers["short cut"] == 0
)


# %% [markdown]
# Exactly zero, and no warning: what was stopped once stays stopped. A training with it would
# believe that players do not react to one another. A derivative taken forwards consists of ordinary
# sums and products, and reverse mode passes through it as through any others. (A reverse pass per
# player is right as well; 09 uses that where it is faster.)
#
# ## Players for the game
#
# Of `init`, `act` and `update` (00), the last one does all the work: it takes the step, under the
# mechanism of the round.

# %%
#| export
def players(
    population: Population = Population(),
    *,
    rules: game.Game = game.Game(),
) -> game.Players:
    """Make players who climb their own return (Koster et al., "Rational players without
    human data")."""

    def update(state, endowment, contribution, payout, mechanism):
        slope = return_gradient(
            endowment, state.generosity, mechanism, growth=rules.growth
        )
        return state._replace(generosity=state.generosity + state.rate * slope)

    return game.Players(
        init=lambda key, endowment: init(key, endowment, population),
        act=lambda key, state, endowment: act(endowment, state.generosity),
        update=update,
        game=rules,
    )


# %%
egoists = players()
by_hand = egoists.update(
    AgentState(jnp.full(4, 3.0), even), endowment, endowment / 2, endowment / 2, liberal
)
gives = act(endowment, by_hand.generosity)
assert np.allclose(gives, [2.9, 1.87, 1.87, 1.87], atol=0.02)
print("generosity", by_hand.generosity.round(2), "-> coins", gives.round(2))


# %% [markdown]
# ## Theory, kept and broken
#
# Under the libertarian a coin brings 1.6, always: everybody should climb to full contribution.
# Under the strict egalitarian it brings 0.4: everybody should sink to nothing. 2,048 groups play
# ten rounds.

# %%
@partial(jax.jit, static_argnames=("mechanism", "n_groups", "n_rounds"))
def played(tail, mechanism, population=Population(), n_groups=2048, n_rounds=10):
    groups = jnp.tile(mechanisms.head_and_tails(tail), (n_groups, 1))
    return game.play(
        jax.random.key(1), players(population), groups, mechanism, n_rounds=n_rounds
    )


blocks = {
    name: played(2, mechanism) for name, mechanism in mechanisms.BASELINES.items()
}
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.5), sharey=True)
for ax, (name, block) in zip(axes, blocks.items(), strict=True):
    for label, which, colour, form in (
        ("head", slice(0, 1), "#0b3c6f", dict(marker="o")),
        ("tail", slice(1, 2), "#e08a00", dict(marker="^", mfc="white")),
    ):
        ratio = np.asarray(block.relative_contribution[..., which].mean(-1))
        ax.plot(range(1, 11), ratio[:12].T, color=colour, lw=0.5, alpha=0.5)
        ax.plot(
            range(1, 11), ratio.mean(0), color=colour, label=f"{label}s, mean", **form
        )
    ax.set(xlabel="round", title=name.replace("_", " "), xticks=[1, 5, 10])
axes[0].set_ylabel("relative contribution\n(fraction of endowment)")
axes[0].legend(frameon=False, fontsize=8)
fig.tight_layout()

# %% [markdown]
# Thin lines are twelve heads and twelve tails, with tails of 2; thick ones are means. Left and
# middle, all go one way, and heads go faster: their coins are worth more to them. Is it *every*
# player in *every* round, and do they arrive?

# %%
steps = {
    name: np.diff(np.asarray(block.relative_contribution), axis=1)
    for name, block in blocks.items()
}
assert (steps["libertarian"] >= 0).all() and (steps["strict_egalitarian"] <= 0).all(), (
    "every player, every round"
)
arrived = {}
for name in ("libertarian", "strict_egalitarian"):
    patient = played(
        2, mechanisms.BASELINES[name], n_groups=256, n_rounds=1000
    ).relative_contribution[:, -1]
    arrived[name] = float(patient.min()), float(patient.max())
    print(
        f"{name:20s} after 1,000 rounds all give between {arrived[name][0]:.3f} "
        f"and {arrived[name][1]:.3f} of what they have"
    )
assert arrived["libertarian"][0] > 0.95 and arrived["strict_egalitarian"][1] < 0.05

# %% [markdown]
# ### The liberal egalitarian, on paper
#
# On the right, heads do something else: some rise first, nearly all sink. What *should* a head do?
# With $\rho_i = c_i/e_i$, their sum $P$ and all coins $C$, the payout is $y_i = 1.6\, C \rho_i /
# P$. Differentiate in $c_i$ and sort:
#
# $$ \frac{\partial y_i}{\partial c_i} = 1.6\, \big[ x + m\,(1 - x) \big], \qquad x = \frac{\rho_i}{P}, \qquad m = \frac{C}{P\, e_i} . $$
#
# $x$ is the own part of all effort; $m$ compares the mean endowment of those who give, $C/P$, to
# the own. A tail has $m \ge 1$, because no one owns less: a coin brings at least 1.6 and *tails
# always climb*. A head has $m \le 1$. It gives more while $x + m(1-x) > 1/1.6 = 0.625$. When the
# tails give nothing, $x = 1$: the head should give. Once they give, $x$ falls, and with poor tails
# $m$ falls too.
#
# Let the tails, each with $t$ coins, have arrived at giving all. Then $P = 3 + \rho$, $C = 3t +
# 10\rho$, and the condition becomes
#
# $$ \rho^2 + 6\rho > 15 - 2.4\,t \qquad\Longleftrightarrow\qquad \rho > \rho^* = \sqrt{24 - 2.4\,t} - 3 . $$
#
# The left side *rises* with $\rho$: the more a head gives, the better for it to give more. So there
# is no middle way, only a watershed. At $t = 2$ it lies at 1.38, out of reach: every head sinks. At
# $t = 4$, at .79: a head that happens to give 80 % goes on to give all, one that gives 78 % ends
# with nothing. At $t > 6.25$ it is below 0: every head gives all, like a libertarian's.
#
# To test it, put tails at the top (a generosity of 20) and heads at 49 places between. Where do the
# heads go?

# %%
places, tails = np.linspace(0.02, 0.98, 49), np.array([2.0, 3, 4, 5, 6, 7, 8, 10])
begin = jnp.c_[np.log(places / (1 - places)), np.full((49, 3), 20.0)]
arranged = egoists._replace(
    init=lambda key, endowment: AgentState(
        jnp.ones(endowment.shape), jnp.broadcast_to(begin, endowment.shape)
    )
)
groups = jnp.broadcast_to(mechanisms.head_and_tails(tails)[:, None], (8, 49, 4))
ratio = game.play(jax.random.key(0), arranged, groups, liberal).relative_contribution
assert (ratio[..., 1:] == 1).all(), "the tails stay at the top"
rises = np.asarray(ratio[:, :, -1, 0] > places)
predicted = places**2 + 6 * places > 15 - 2.4 * tails[:, None]
assert (rises == predicted).all(), "all 392 heads go where the formula sends them"
print(
    {
        f"tails of {t:g}": f"{up.mean():.0%} of the places rise"
        for t, up in zip(tails, rises, strict=True)
    }
)

# %%
rho, watershed = np.linspace(0, 1, 101), np.linspace(2, 10, 200)
fig, axes = plt.subplots(1, 2, figsize=(7.2, 2.7))
shades = ("#c6dbef", "#9ecae1", "#6baed6", "#3182bd", "#08306b")
for tail, shade in zip((2, 4, 6, 8, 10), shades, strict=True):
    x, m = rho / (3 + rho), (3 * tail + 10 * rho) / (3 + rho) / 10
    axes[0].plot(rho, 1.6 * (x + m * (1 - x)), color=shade, label=f"{tail}")
axes[0].axhline(1, color="#777777", ls="--", lw=1)
axes[0].set(
    xlabel="head's relative contribution",
    ylabel="back from one more coin (coins)",
    ylim=(0, 1.8),
)
axes[0].legend(
    frameon=False,
    title="tails of",
    fontsize=7,
    title_fontsize=7,
    ncols=2,
    loc="lower right",
)
axes[1].plot(watershed, np.sqrt(24 - 2.4 * watershed) - 3, color="#777777")
for up, form, label in (
    (True, dict(marker="o", color="#0b3c6f"), "rises"),
    (False, dict(marker="^", color="#e08a00", mfc="white"), "sinks"),
):
    where = rises[:, ::4] == up
    axes[1].plot(
        np.broadcast_to(tails[:, None], where.shape)[where],
        np.broadcast_to(places[::4], where.shape)[where],
        ls="",
        ms=4,
        label=label,
        **form,
    )
axes[1].set(
    xlabel="tail endowment (coins)",
    ylabel="where the head begins\n(relative contribution)",
    ylim=(0, 1.02),
)
axes[1].legend(
    frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=2
)
fig.tight_layout()

# %% [markdown]
# Left: above the dashed line a head gives more. The lines of poor tails stay below, those of rich
# ones above, and the line for 4 crosses late. Right, the line is $\rho^*$, the marks are what
# players did. So under the strongest baseline the head is lost at tails of 2 and 3, a matter of
# luck from 4 to 6, and no trouble beyond. That is the territory on which RM will be trained: eight
# tails, two on one side, three on the watershed, three on the other.
#
# What luck does in ordinary groups, where tails begin anywhere:

# %%
last = {
    tail: np.asarray(played(tail, liberal).relative_contribution[:, -1, 0])
    for tail in (2, 4, 6, 10)
}
table = pd.DataFrame(
    {
        tail: [(r < 0.25).mean(), ((r >= 0.25) & (r <= 0.75)).mean(), (r > 0.75).mean()]
        for tail, r in last.items()
    }
)
assert table.iloc[0, 0] > 0.95 and table.iloc[2, 3] > 0.95, (
    "all but lost at 2, safe at 10"
)
assert (table.iloc[[0, 2], 1] > 0.2).all(), "split at 4"
table.set_axis(["gives less than 1/4", "in between", "more than 3/4"]).rename_axis(
    columns="heads in round 10, tails of"
).round(2)


# %% [markdown]
# ## Are ten rounds enough?
#
# The paper picked $\theta = 1$ and $\sigma = 1$ partly so that play has nearly settled when the
# block ends, and compared with 3 for each of them. Call a player settled that gives less than a
# twentieth or more than nineteen. First a way to write populations down, for the run that will
# train one mechanism for each:

# %%
#| export
def parse_populations(
    pairs: str,  # "theta,sigma theta,sigma ...", e.g. "1,1 1,3"
) -> list[Population]:
    """Read pairs of theta and sigma. Raises ValueError unless each is a pair of numbers
    above 0."""
    found = []
    for pair in pairs.split() or [pairs]:
        try:
            theta, sigma = (float(number) for number in pair.split(","))
            fine = 0 < theta < math.inf and 0 < sigma < math.inf
        except ValueError:
            fine = False
        if not fine:
            raise ValueError(
                f"pairs has {pair!r}: write theta and sigma, both above 0, "
                'with a comma and no space, like "1,1 1,3"'
            )
        found.append(Population(theta, sigma))
    return found


# %%
four = parse_populations("1,1 1,3 3,1 3,3")
assert four[0] == Population() and four[2].theta == 3
with pytest.raises(ValueError, match="pairs has '1,'"):
    parse_populations("1, 3")
settled, stuck = {}, {}
for population in four:
    ratio = {
        name: np.asarray(played(4, m, population).relative_contribution)
        for name, m in mechanisms.BASELINES.items()
    }
    every = np.concatenate(list(ratio.values()))
    settled[population.theta, population.sigma] = (
        (every < 0.05) | (every > 0.95)
    ).mean((0, 2))
    stuck[population.theta, population.sigma] = (
        ratio["strict_egalitarian"][:, -1] > 0.95
    ).mean()
fig, ax = plt.subplots(figsize=(4.6, 2.6))
for ((theta, sigma), fraction), form in zip(
    settled.items(), ("o-", "s--", "^-", "D--"), strict=True
):
    ax.plot(
        range(1, 11),
        fraction,
        form,
        ms=4,
        mfc="white" if sigma == 3 else None,
        color="#0b3c6f" if theta == 1 else "#e08a00",
        label=f"θ {theta:g}, σ {sigma:g}",
    )
ax.set(
    xlabel="round",
    ylabel="settled players (fraction)",
    ylim=(0, 1.02),
    xticks=[1, 5, 10],
)
ax.legend(frameon=False, fontsize=8)
fig.tight_layout()
print(
    "settled in round 10:",
    {pair: f"{fraction[-1]:.0%}" for pair, fraction in settled.items()},
)
print(
    "strict egalitarian, giving nearly all in round 10:",
    {pair: f"{fraction:.1%}" for pair, fraction in stuck.items()},
)
assert settled[1, 1][0] < 0.01 and settled[1, 1][-1] > 0.85, (
    "nobody at first, nearly everybody at last"
)

# %% [markdown]
# With (1, 1) nobody is settled at first and nine in ten are at the end. Of quick learners ($\theta
# = 3$, orange) nine in ten are settled half way through, and then a mechanism has little left to
# teach them. With wide opinions ($\sigma = 3$, open marks) a third arrive settled, some at the
# wrong end. The logistic function is flat there, so no slope reaches them; the second line counts
# those who still give nearly all when it costs them most.
#
# ## Beside people
#
# Figure 1C of the paper shows what real people did in three conditions of Exp. 1. The same picture
# for players who never saw a person:

# %%
curves = participants.fig1c_curves(
    jax.random.key(2), lambda referee: egoists, n_games=2048
)
people = published.read("fig1c_relative_contribution")
keys = ["mechanism", "tail_endowment", "role", "round"]
beside = curves.merge(people, on=keys, suffixes=("", "_people"))
beside["apart"] = (
    beside.relative_contribution - beside.relative_contribution_people
).abs()
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.4), sharey=True)
for ax, name in zip(axes, mechanisms.BASELINES, strict=True):
    for role, colour, form in (
        ("head", "#0b3c6f", dict(marker="o")),
        ("tail", "#e08a00", dict(marker="^", mfc="white")),
    ):
        rows = beside[
            (beside.mechanism == name)
            & (beside.role == role)
            & (beside.tail_endowment == 2)
        ]
        ax.plot(
            rows["round"],
            rows.relative_contribution,
            color=colour,
            ls="--",
            label=f"{role}s, rational",
        )
        ax.plot(
            rows["round"],
            rows.relative_contribution_people,
            color=colour,
            ls="",
            ms=4,
            label=f"{role}s, people",
            **form,
        )
    ax.set(xlabel="round", title=name.replace("_", " "), ylim=(0, 1), xticks=[1, 5, 10])
axes[0].set_ylabel("relative contribution\n(tails of 2 coins)")
fig.legend(
    *axes[0].get_legend_handles_labels(),
    frameon=False,
    fontsize=8,
    ncols=4,
    loc="lower center",
    bbox_to_anchor=(0.5, 0.97),
)
fig.tight_layout()

# %%
table = beside.pivot_table(
    index=["mechanism", "role"], columns="tail_endowment", values="apart", sort=False
)
fair = table.loc[["libertarian", "liberal_egalitarian"]]
print(f"mean absolute difference, all 180 means: {beside.apart.mean():.3f}")
assert (table.loc["strict_egalitarian"].to_numpy() > 0.2).all(), (
    "people go on giving where egoists stop"
)
assert fair[10].max() < 0.15 < fair[2].max()
table.round(2)

# %% [markdown]
# The differences have a pattern. Under the strict egalitarian people keep giving a third or more,
# ten rounds long, which no egoist would. Heads among poor tails are the other sore point: people
# neither rise to full contribution under the libertarian nor sink to nothing under the liberal
# egalitarian. But where all have ten coins *and* giving pays, egoists are a fair likeness of
# people. The paper found that RM, trained with them, was about as popular as HCRM under equality
# and only there. Here is a reason why, before anything is trained.
#
# ## Recap
#
# `Population` says from where players come, `parse_populations` reads several; `AgentState`, `init`
# and `act` are a player's two numbers, how they are drawn and what they mean in coins;
# `return_gradient` is the egoist's derivative, under any mechanism; `players` makes them ready for
# `game.play`.
#
# Questions to take along: a mechanism could *buy* a head's giving only with a share that rises with
# its contribution. What would it cost the three tails, who have three votes? And would rational
# players notice a mechanism that pays well for a round and badly ever after?
#
# **Exercise 1.** At which growth factor would heads among tails of 2 keep giving everything, under
# the liberal egalitarian, once they do?
#
# <details><summary>Solution</summary>
#
# At $\rho = 1$ everybody gives all, $x = 1/4$ and $m = 16/40 = 0.4$, so a coin brings $r\,[0.25 +
# 0.4 \cdot 0.75] = 0.55\, r$. From $r = 1/0.55 = 1.82$ on.

# %%
back = lambda growth: float(
    jax.grad(
        lambda c: game.payout(
            endowment, endowment.at[0].set(c), liberal, growth=growth
        )[0]
    )(10.0)
)
assert np.isclose(back(1.6), 0.88, atol=1e-5) and np.isclose(
    back(1 / 0.55), 1, atol=1e-5
)
print(
    f"back from the last coin: {back(1.6):.2f} at growth 1.6,",
    f"{back(1 / 0.55):.2f} at {1 / 0.55:.2f}",
)

# %% [markdown]
# </details>
#
# **Exercise 2.** Play the formula as printed, without $\alpha$. Who is hurt?
#
# <details><summary>Solution</summary>
#
# A rate of 1 for all. The mean of the Gamma distribution is 3, so everybody is slow; but a tail's
# slope is already a fifth of a head's, because it has a fifth of the coins. Tails of 2 are far from
# settled when the block ends.

# %%
printed = egoists._replace(
    init=lambda key, endowment: init(key, endowment, Population())._replace(
        rate=jnp.ones(endowment.shape)
    )
)
groups = jnp.tile(endowment, (2048, 1))
ends = {
    label: game.play(jax.random.key(1), who, groups, mechanisms.libertarian)
    .relative_contribution[:, -1]
    .mean(0)
    for label, who in (("as meant", egoists), ("as printed", printed))
}
for label, ratio in ends.items():
    print(
        f"{label:10s} round 10, libertarian: heads give {ratio[0]:.2f},",
        f"tails {ratio[1:].mean():.2f}",
    )
assert ends["as printed"][1:].mean() < ends["as meant"][1:].mean() - 0.05
assert ends["as printed"][0] > 0.9

# %% [markdown]
# </details>
