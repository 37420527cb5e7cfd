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
# # Learning through other people's choices
#
# > Votes and log-probabilities of choices go in; a surrogate with the gradient of votes comes out.

# %%
#| default_exp scg

# %% [markdown]
# *In this notebook*: the estimator behind all training of mechanisms, from the framework of
# stochastic computation graphs (Koster et al., Materials and Methods, "Training algorithm";
# Schulman et al., 2015). It uses the payouts of 00 and the vote model of 05; 09 and 12 train with
# its `surrogate`. Two wrong answers come first; then their sum, which is right; then how right,
# against an exact gradient; last where the same two terms stand when the chain rule is cut at the
# payouts.

# %%
#| export
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from democratic_ai import game, voting

# %%
#| hide
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd


# %% [markdown]
# ## A coin that cannot be halved
#
# Suppose a mechanism moves half a coin of this round's payout from Ann to Bob. What does that do to
# the vote? Two things. Bob is richer, at once; that is arithmetic, and arithmetic can be
# differentiated. But Ann, who was paid less, may also put less into the *next* round. Her
# contribution is a whole number of coins. It does not shrink by a sliver; it is 3 or it is 2, and
# its derivative is nothing or nonsense. What does change smoothly is the *probability* that she
# gives 3.
#
# To see the problem in full we need a game so small that every possible course of it can be listed.
# Ann has 3 coins, Bob has 1. In the first round, long past, Ann gave 2 and Bob 1. The mechanism
# pays for that round; the two see what they got, and choose; the mechanism pays again; they vote.
# One decision each, 4 times 2 outcomes.

# %%
#| export
class SmallGame(NamedTuple):
    "Two players choose once, after a first round is paid: all outcomes can be listed."

    endowment: Array  # [2] coins, whole
    before: Array  # [2] coins, contribution in the first round
    eagerness: Array  # [2] logits of one more coin, per coin received
    rival: Array  # [2] coins, payouts of the other mechanism over both rounds


def scores(
    small: SmallGame,
    theta: Array,  # [2] the mechanism's parameters: weights of endowment and ratio
    contribution: Array,  # [..., 2] coins
) -> Array:  # [..., 2]
    "Compute the scores whose softmax is the mechanism's shares (as in `graphnet`)."
    most = game.Game.most_coins
    return theta[0] * small.endowment / most + theta[1] * contribution / small.endowment


def payout(
    contribution: Array,  # [..., 2] coins
    score: Array,  # [..., 2]
) -> Array:  # [..., 2] coins
    "Grow the public fund and hand it out by the softmax of the scores (as in `game`)."
    return game.payout(contribution, contribution, lambda *_: jax.nn.softmax(score))


# %% [markdown]
# How probable a choice is depends on what the player was paid: $p(c) \propto \exp(\text{eagerness}
# \cdot \text{paid} \cdot c)$ over the coins that they have. What the mechanism wants is votes, as
# in 05: each player compares, relative to the own endowment, with what the rival pays.

# %%
#| export
def log_probability(
    small: SmallGame,
    paid: Array,  # [..., 2] coins received in the first round
    chosen: Array,  # [..., 2] coins
) -> Array:  # [...] of both choices together
    "Compute the log-probability of both players' choices, given their payouts."
    coins = jnp.arange(game.Game.most_coins + 1)
    logit = (small.eagerness * paid)[..., None] * coins
    affordable = coins <= small.endowment[:, None]
    log_p = jax.nn.log_softmax(jnp.where(affordable, logit, -jnp.inf))
    return jnp.where(coins == chosen[..., None], log_p, 0).sum((-2, -1))


def votes(
    small: SmallGame,
    paid: Array,  # [..., 2] coins received in both rounds together
    *,
    slope: float = voting.SLOPE,  # here for plain coins: two rounds are few
) -> Array:  # [...] expected number of votes
    'Compute the expected votes (Koster et al., "Voting model").'
    own, rival = paid / small.endowment, small.rival / small.endowment
    return voting.vote_from_sums(own, rival, slope=slope).sum(-1)


# %%
#| export
def simulate_outcome(
    small: SmallGame,
    theta: Array,  # [2]
    chosen: Array,  # [..., 2] coins
) -> tuple[Array, Array]:  # votes [...], log-probability [...]
    "Compute the expected votes after given choices, and the choices' log-probability."
    first = payout(small.before, scores(small, theta, small.before))
    first = jnp.broadcast_to(first, chosen.shape)
    then = payout(chosen, scores(small, theta, chosen))
    return votes(small, first + then), log_probability(small, first, chosen)


def outcomes(
    small: SmallGame,  # with endowments that are known, not traced
) -> Array:  # [N, 2] coins
    "List all pairs of affordable choices."
    affordable = (range(int(endowment) + 1) for endowment in small.endowment)
    return jnp.array(list(product(*affordable)), float)


def expected_votes(
    small: SmallGame,
    theta: Array,  # [2]
    every: Array,  # [N, 2] from `outcomes`
) -> Array:  # scalar
    "Compute the expected votes over all outcomes; its gradient is the exact gradient."
    objective, log_p = simulate_outcome(small, theta, every)
    return (jnp.exp(log_p) * objective).sum()


# %%
coins = dict(endowment=[3.0, 1], before=[2.0, 1], eagerness=[0.5, -0.5], rival=[4.0, 2])
small = SmallGame(**{name: jnp.array(pair) for name, pair in coins.items()})
theta = jnp.array([1.0, 0.5])
every = outcomes(small)
brought, log_p = simulate_outcome(small, theta, every)
assert every.shape == (8, 2) and np.isclose(jnp.exp(log_p).sum(), 1, atol=1e-6)
exact = jax.grad(expected_votes, 1)(small, theta, every)
paid = payout(small.before, scores(small, theta, small.before))
expected = expected_votes(small, theta, every)
print("paid for the first round", paid.round(2))
print("expected votes", expected.round(3), "| exact gradient", exact.round(4))

# %% [markdown]
# ## The naive way
#
# Hold the choices fixed and differentiate what is left. Many a simulation is trained so, and no
# error message ever appears: automatic differentiation treats whole coins as constants and stays
# silent. This is the *pathwise* gradient. Its mean over all courses of the game can be listed just
# as well:

# %%
outcome = lambda theta: simulate_outcome(small, theta, every)
choices_fixed = lambda theta: (jnp.exp(log_p) * outcome(theta)[0]).sum()
votes_fixed = lambda theta: (jnp.exp(outcome(theta)[1]) * brought).sum()
through_payouts = jax.grad(choices_fixed)(theta)
through_choices = jax.grad(votes_fixed)(theta)
both = through_payouts + through_choices
rounded = [x.round(4) for x in (through_payouts, through_choices, exact)]
print("pathwise  {} \nby choice {} \nexact     {}".format(*rounded))
assert np.allclose(both, exact, atol=1e-6), "the product rule"
assert through_payouts[1] > 0 > exact[1], "the pathwise gradient points the wrong way"


# %% [markdown]
# Eager Ann gives more when she is paid more; Bob, paid well, rests. So rewarding the ratio (the
# second weight), on which Bob scores full marks, buys his vote today and costs his coin tomorrow.
# The pathwise gradient says reward it more; the truth is the opposite. No amount of sampling will
# repair that.
#
# ## The other half
#
# The printed sum is the product rule: $J$ depends on $\theta$ through payouts, the probability $p$
# through choices, and $\nabla \sum_c p\,J = \sum_c p\,\nabla J + \sum_c J\,\nabla p$. Courses
# cannot be listed in ten rounds of four players, but they can be drawn, and $\nabla p = p\,\nabla
# \log p$ turns the second sum into a mean over draws as well:
#
# $$ \nabla\,\mathbb{E}[J] = \mathbb{E}\big[\nabla J + J\,\nabla \log p\big] . $$
#
# We want a number $S$ whose ordinary gradient is this. The weight $J$ must count as a number, not
# as something to differentiate: that is what stop-gradient, $\perp$, is for. Replacing $J$ there by
# its distance from the batch mean changes little on average (how little, below) and calms the
# estimate a great deal.
#
# $$ S = \frac1B \sum_b \Big( J_b + {\perp}(J_b - \bar J)\, \sum_i \sum_{t \ge 2} \log p\big({\perp} c_{i}^{t}\big) \Big) $$
#
# First-round choices are missing because no mechanism has touched them yet: their terms would add
# noise and nothing else.

# %%
#| export
def pathwise(
    objective: Array,  # [B] differentiable with the choices held fixed
) -> Array:  # scalar, to be differentiated
    "Compute the pathwise half, the mean objective (Schulman et al., 2015)."
    return objective.mean()


def score_function(
    objective: Array,  # [B]
    log_probability: Array,  # [B] of what was drawn
    *,
    baseline: Array | float | None = None,  # of the objective; default: its batch mean
) -> Array:  # scalar, to be differentiated
    "Compute the score-function half (REINFORCE; Schulman et al., 2015)."
    level = objective.mean() if baseline is None else baseline
    return (jax.lax.stop_gradient(objective - level) * log_probability).mean()


def surrogate(
    objective: Array,  # [B] expected votes, differentiable with the choices held fixed
    log_probability: Array,  # [B] of all choices that the mechanism could influence
    *,
    baseline: Array | float | None = None,  # of the objective; default: its batch mean
) -> Array:  # scalar, to be differentiated
    'Compute the surrogate of both halves (Koster et al., "Training algorithm").'
    score = score_function(objective, log_probability, baseline=baseline)
    return pathwise(objective) + score


# %% [markdown]
# Without sampling anything: weight the estimate from every course by that course's probability. The
# outcome must be the exact gradient, for *any* baseline, because probabilities always add to one
# and the gradient of one is zero.

# %%
def listed(baseline):
    alone = lambda t, chosen: (x[None] for x in simulate_outcome(small, t, chosen))
    value = lambda t, chosen: surrogate(*alone(t, chosen), baseline=baseline)
    one = lambda chosen: jax.grad(value)(theta, chosen)
    return jnp.exp(log_p) @ jax.vmap(one)(every)


for baseline in (0.0, 1.5, -20.0):
    assert np.allclose(listed(baseline), exact, atol=2e-5)
print("listed:", listed(0.0).round(4), "| exact:", exact.round(4))


# %% [markdown]
# ## How right, and how noisy?
#
# There is a third way, older than both: treat the mechanism itself as the one who draws. Add noise
# to its scores, pretend to know nothing about payouts or players, and make those noisy scores more
# probable that were followed by many votes. This is REINFORCE in full: $J$ detached everywhere, and
# $\log p$ is that of the mechanism's own noise. It needs no model of anything. What does it cost?
#
# (One may also detach $J$ and keep the log-probability of the players' choices alone. That is the
# other half by itself, and as wrong as the first; it is in the table too.)

# %%
def draw(key, theta, n_games):
    paid = payout(small.before, scores(small, theta, small.before))
    log_p = log_probability(small, paid, every)
    return every[jax.random.categorical(key, log_p, shape=(n_games,))]


def simulate(key, theta, n_games):
    chosen = draw(key, jax.lax.stop_gradient(theta), n_games)
    return simulate_outcome(small, theta, chosen)


def choices_held(key, theta, n_games):
    return pathwise(simulate(key, theta, n_games)[0])


def choices_alone(key, theta, n_games):
    return score_function(*simulate(key, theta, n_games))


def both_halves(key, theta, n_games):
    return surrogate(*simulate(key, theta, n_games))


def noisy_mechanism(key, theta, n_games, noise=0.2):
    def one(key):
        key_first, key_choice, key_then = jax.random.split(key, 3)
        shift = lambda key: noise * jax.random.normal(key, (2,))
        noisy = lambda key, score: jax.lax.stop_gradient(score + shift(key))
        noise_log_p = lambda seen, score: -(((seen - score) / noise) ** 2).sum() / 2
        score_first = scores(small, theta, small.before)
        first = noisy(key_first, score_first)
        paid = payout(small.before, first)
        log_p = log_probability(small, paid, every)
        chosen = every[jax.random.categorical(key_choice, log_p)]
        score_then = scores(small, theta, chosen)
        then = noisy(key_then, score_then)
        drawn = noise_log_p(first, score_first) + noise_log_p(then, score_then)
        return votes(small, paid + payout(chosen, then)), drawn

    return score_function(*jax.vmap(one)(jax.random.split(key, n_games)))


# %%
ways = {
    "pathwise": choices_held,
    "choices alone": choices_alone,
    "noisy mechanism (REINFORCE)": noisy_mechanism,
    "surrogate (SCG)": both_halves,
}
keys, games = jax.random.split(jax.random.key(1), 4000), 64
gradient_of = lambda way: jax.grad(partial(way, n_games=games), 1)
repeated = lambda way: jax.jit(jax.vmap(gradient_of(way), (0, None)))(keys, theta)
estimates = {name: repeated(way) for name, way in ways.items()}
mean = {name: g.mean(0) for name, g in estimates.items()}
error = {name: g.std(0) / np.sqrt(len(keys)) for name, g in estimates.items()}
spread = {name: float(np.sqrt(g.var(0).sum())) for name, g in estimates.items()}
bias = {name: float(jnp.linalg.norm(mean[name] - exact)) for name in ways}
sigma = {name: float((abs(mean[name] - exact) / error[name]).max()) for name in ways}
columns = {"bias": bias, "in standard errors": sigma, "spread of one estimate": spread}
table = pd.DataFrame(columns)
relative = table["spread of one estimate"] / spread["surrogate (SCG)"]
table["relative variance"] = relative**2
table.round(4)

# %% [markdown]
# *Pathwise* is precise and wrong. *Choices alone* is wrong by the other half. The *noisy mechanism*
# is nearly right (its own noise changes the game a little: less noise, less bias, and more spread
# still), at some hundreds of times the variance. The *surrogate* is right, and far quieter: it pays
# only for the randomness of the players, whom it cannot see through, and differentiates everything
# that it can. Its four standard errors are no accident either; the last section finds their cause.

# %%
assert sigma["pathwise"] > 20 and sigma["choices alone"] > 20, "wrong, beyond any doubt"
assert bias["surrogate (SCG)"] < 0.05 * float(jnp.linalg.norm(exact))
variance = table["relative variance"]
assert variance["pathwise"] < 1 < 10 < variance["noisy mechanism (REINFORCE)"]
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6))
colours = ["#e08a00", "#cc79a7", "#777777", "#0b3c6f"]
for i, (name, colour) in enumerate(zip(ways, colours, strict=True)):
    place = np.arange(2) + 0.15 * (i - 1.5)
    look = dict(fmt="o", ms=4, color=colour)
    axes[0].errorbar(place, mean[name], 2 * error[name], **look)
for x in range(2):
    axes[0].hlines(exact[x], x - 0.4, x + 0.4, color="black", lw=1)
axes[0].axhline(0, color="#bbbbbb", lw=0.5)
axes[0].set_xticks([0, 1], ["endowment", "ratio"])
axes[0].set(xlabel="weight of", ylabel="gradient (votes per unit)")
axes[1].barh(list(ways), table["spread of one estimate"], color=colours)
axes[1].set(
    xlabel=f"spread of an estimate from {games} games\n(votes per unit)", xscale="log"
)
fig.tight_layout()

# %% [markdown]
# Left, means over 4,000 batches with two standard errors, colours as on the right; black lines are
# exact. Blue sits on both lines, grey near them. Right, what a single batch of 64 games is worth,
# on a logarithmic axis.
#
# ## What taking off the mean costs
#
# The mean of a batch contains each game's own votes. So a game is compared partly with itself, and
# its deviation is too small by a factor $1 - 1/B$: the choice half of the gradient shrinks by
# exactly that, the pathwise half not at all. For the 64 games above this predicts a bias of 0.0244
# / 64 = 0.0004, which is what the table says. Two games are enough to list: 8 times 8 courses.

# %%
pairs = jnp.array(list(product(range(len(every)), repeat=2)))
chance = jnp.exp(log_p[pairs].sum(-1))
of_pair = lambda t, pair: surrogate(*simulate_outcome(small, t, every[pair]))
estimate = lambda pair: jax.grad(of_pair)(theta, pair)
demeaned = chance @ jax.vmap(estimate)(pairs)
half = through_payouts + through_choices / 2
assert np.allclose(demeaned, half, atol=1e-5), (
    "at B = 2 half of the choice part is gone"
)
rounded = [x.round(4) for x in (demeaned, exact, half)]
print("B = 2: {} | exact: {} | pathwise + half: {}".format(*rounded))


# %% [markdown]
# And what it buys: the same estimator with and without the mean taken off, for batches of 2 to 512
# games. At 512, the size of the paper, the bias is a fifth of a percent of one half.

# %%
def measured(n_games, baseline):
    outcome = lambda theta, key: simulate(key, theta, n_games)
    way = lambda *given: surrogate(*outcome(*given), baseline=baseline)
    keys = jax.random.split(jax.random.key(n_games), 200_000 // n_games)
    return jax.jit(jax.vmap(jax.grad(way), (None, 0)))(theta, keys)


sizes = [2, 4, 8, 32, 128, 512]
cases = {"mean taken off": None, "nothing taken off": 0.0}
result = {name: [measured(n, level) for n in sizes] for name, level in cases.items()}
choice_half = lambda g: (g.mean(0)[1] - through_payouts[1]) / through_choices[1]
kept = [float(choice_half(g)) for g in result["mean taken off"]]
assert np.allclose(kept[:3], 1 - 1 / np.array(sizes[:3]), atol=0.06)
fig, axes = plt.subplots(1, 2, figsize=(6.6, 2.5))
axes[0].plot(sizes, 1 - 1 / np.array(sizes), color="black", lw=1, label="1 - 1/B")
axes[0].plot(sizes, kept, "o", color="#0b3c6f", label="measured")
axes[0].set(ylabel="choice half that is kept", ylim=(0, 1.2))
axes[0].legend(frameon=False)
colours = ("#0b3c6f", "#e08a00")
for (name, gradients), colour in zip(result.items(), colours, strict=True):
    spreads = [float(np.sqrt(g.var(0).sum())) for g in gradients]
    axes[1].plot(sizes, spreads, "o-", color=colour, label=name)
axes[1].set(yscale="log", ylabel="spread of one estimate")
axes[1].legend(frameon=False)
for ax in axes:
    ax.set(xscale="log", xlabel="games in a batch, B")
fig.tight_layout()
variance = {name: gradients[-1].var(0).sum() for name, gradients in result.items()}
quieter = np.sqrt(variance["nothing taken off"] / variance["mean taken off"])
assert quieter > 2
print(
    f"at 512 games: {quieter:.1f} times as quiet; "
    f"one minus the fraction kept is {1 / 512:.4f}"
)


# %% [markdown]
# A little bias that vanishes with the batch, for a spread that is smaller at every size: a good
# bargain at 512.
#
# ## The same two terms at the payouts
#
# The parameters of a mechanism reach the votes and the players by one way only: the payouts $y$. So
# the chain rule can be cut there. Write down what one coin more at each payout does to $S$, then
# multiply by how the payouts answer to the parameters:
#
# $$ \nabla_\theta S = \frac1B \sum_{b,t,i} \Big( \underbrace{\frac{\partial J_b}{\partial y_{bti}}}_{\text{direct}}
#    + (J_b - \bar J)\, \underbrace{\frac{\partial \log p_b}{\partial y_{bti}}}_{\text{response}} \Big)
#    \, \nabla_\theta\, y_{bti}(\theta) . $$
#
# The *direct* term is the pathwise half. The *response* of the players, weighted by how far a
# game's votes lie above the mean, is the score-function half. A round that was paid before the last
# choice has both; the last round's payout has no response, because nobody chooses after it. In the
# small game:

# %%
def cut_at_payouts(theta, chosen):
    def payouts(theta):
        first = payout(small.before, scores(small, theta, small.before))
        last = payout(chosen, scores(small, theta, chosen))
        return jnp.broadcast_to(first, chosen.shape), last

    (first, last), transpose = jax.vjp(payouts, theta)
    brought = votes(small, first + last)
    direct = jax.grad(lambda paid: votes(small, paid).sum())(first + last)
    response = jax.grad(lambda paid: log_probability(small, paid, chosen).sum())(first)
    weight = direct + (brought - brought.mean())[:, None] * response, direct
    return transpose(jax.tree.map(lambda w: w / len(chosen), weight))[0]


batch = draw(jax.random.key(2), theta, 64)
at_once = jax.grad(lambda t: surrogate(*simulate_outcome(small, t, batch)))(theta)
cut = cut_at_payouts(theta, batch)
print("surrogate:", at_once.round(4), "| cut at the payouts:", cut.round(4))
assert np.allclose(cut, at_once, atol=1e-6)

# %% [markdown]
# The number is the same, and the pieces can be had apart: the response belongs to each game alone,
# so it can be computed while the players play; $\bar J$ is needed only afterwards; and the
# mechanism is differentiated in a single pass at the end. That is how 09 computes it by default.
# Its readable form differentiates `surrogate` as it stands here, and a test holds both together.
#
# ## Recap
#
# `surrogate` is what is differentiated in training; `pathwise` and `score_function` are its halves.
# `SmallGame`, `scores`, `payout`, `votes`, `log_probability`, `simulate_outcome`, `outcomes` and
# `expected_votes` are the game that can be listed, against which any estimator can be tested.
#
# Questions to take along: in ten rounds there are ten times as many choices, but still one $J$ per
# game. What happens to the noise? And which later votes can a choice in round 9 still influence?
#
# **Exercise.** Multiply the choice half by $B/(B-1)$ and show, by listing pairs, that the bias is
# gone.
#
# <details><summary>Solution</summary>

# %%
def mended(theta, pair):
    objective, log_p = simulate_outcome(small, theta, every[pair])
    return pathwise(objective) + 2 * score_function(objective, log_p)


unbiased = chance @ jax.vmap(lambda pair: jax.grad(mended)(theta, pair))(pairs)
assert np.allclose(unbiased, exact, atol=1e-5)
print("mended:", unbiased.round(4), "| exact:", exact.round(4))

# %% [markdown]
# </details>
