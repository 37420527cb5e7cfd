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
# # Mechanisms: from strict egalitarian to libertarian
#
# > Endowments and contributions go in; who gets which fraction of the fund comes out, for every point of a plane of ideologies.

# %%
#| default_exp mechanisms

# %% [markdown]
# *In this notebook*: the three canonical ways to share a fund and the plane that holds them all
# (Koster et al., Results and Materials and Methods, "The ideological manifold"). It uses 00_game;
# everything that puts a referee in charge uses it. First three answers to one question, then the
# trap in the division, then the plane. Last comes a check that tries any mechanism, ours or yours,
# before hours of training are spent on it.

# %%
#| export
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial

from democratic_ai import game

# %%
#| hide
import matplotlib.pyplot as plt
import pytest

# %% [markdown]
# ## One pot, three answers
#
# Ann has 10 coins, Bob, Cem and Dee have 2 each. This round Ann puts in 5, Bob 2, Cem 1, Dee
# nothing: eight coins, which grow to 12.8. Who should get what?
#
# * *Everybody the same*, says the **strict egalitarian**: 3.2 each. Dee smiles, Ann does not.
# * *To each what they put in*, says the **libertarian**. Ann gave five of the eight coins, so she
#   gets five eighths of the fund, 8 coins. Dee gets nothing. Nobody ever loses by giving, and
#   nobody ever gains from another's giving.
# * *To each by effort*, says the **liberal egalitarian**. Nobody chose their endowment, only which
#   part of it to give. Ann gave half, Bob all, Cem half, Dee none: 1/2 + 1 + 1/2 + 0 = 2, so Bob
#   gets half of the fund, Ann and Cem a quarter.
#
# The last two are one calculation, divide by the sum, on two amounts: coins $c_i$, or ratios
# $\rho_i = c_i / e_i$. What are the shares when *nobody* gives?

# %%
endowment = jnp.array([10.0, 2, 2, 2])
this_round = jnp.array([5.0, 2, 1, 0])
naive = lambda amount: amount / amount.sum(-1, keepdims=True)
print("libertarian       ", naive(this_round))
print("liberal egalitarian", naive(this_round / endowment))
print("nobody gives      ", naive(jnp.zeros(4)))
assert jnp.isnan(naive(jnp.zeros(4))).all(), "0 / 0"

# %% [markdown]
# The fund is empty, so any shares would do, as long as they are numbers: NaN times zero is NaN, and
# one of them poisons a whole update of 512 games. By symmetry everybody should get a quarter. So we
# patch it, in the obvious way:

# %%
patched = lambda amount: jnp.where(amount.sum() > 0, amount / amount.sum(), 1 / 4)
slope = jax.grad(lambda amount: patched(amount)[0])(jnp.zeros(4))
print("value", patched(jnp.zeros(4)), "\ngradient", slope)
assert (patched(jnp.zeros(4)) == 0.25).all() and jnp.isnan(slope).all()


# %% [markdown]
# The value is right and the gradient is still NaN! `where` differentiates *both* of its branches
# and multiplies the unwanted one by zero; zero times NaN is NaN. The cure is to keep the bad
# division from happening at all: divide by 1 where the sum is 0.

# %%
#| export
def _fraction(
    amount: Array,  # [..., P] non-negative
) -> Array:  # [..., P] sums to 1
    "Divide by the sum; equally, and with a finite gradient, where the sum is 0."
    total = amount.sum(-1, keepdims=True)
    return jnp.where(
        total > 0, amount / jnp.where(total > 0, total, 1), 1 / amount.shape[-1]
    )


# %%
slope = jax.grad(lambda amount: _fraction(amount)[0])(jnp.zeros(4))
assert (_fraction(jnp.zeros(4)) == 0.25).all() and (slope == 0).all()
assert jnp.allclose(_fraction(this_round), jnp.array([5, 2, 1, 0]) / 8)
print("value", _fraction(jnp.zeros(4)), "\ngradient", slope)


# %% [markdown]
# Now each mechanism costs a line, and the first one none: the strict egalitarian does what the game
# does without a referee, so it *is* that function.

# %%
#| export
def libertarian(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
) -> Array:  # [..., P] fraction of the fund
    """Share by contribution (Koster et al., "The ideological manifold", w = 1, v =
    0)."""
    return _fraction(contribution)


def liberal_egalitarian(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
) -> Array:  # [..., P] fraction of the fund
    """Share by contribution relative to the own endowment (Koster et al., "The
    ideological manifold", w = 1, v = 1)."""
    return _fraction(contribution / endowment)


strict_egalitarian = game.equal_split
BASELINES: dict[str, game.Mechanism] = {
    "strict_egalitarian": strict_egalitarian,
    "libertarian": libertarian,
    "liberal_egalitarian": liberal_egalitarian,
}

# %% [markdown]
# The round from above should bring Ann 3.2, 8 and 3.2 coins, and Dee 3.2, 0 and 0.

# %%
paid = {
    name: game.payout(endowment, this_round, mechanism)
    for name, mechanism in BASELINES.items()
}
for name, coins in paid.items():
    print(f"{name:20s}", np.asarray(coins, float).round(2), f"| sum {coins.sum():.1f}")
    assert jnp.allclose(coins.sum(), 12.8), "the fund is handed out whole"
assert jnp.allclose(paid["libertarian"], 1.6 * this_round)
assert jnp.allclose(
    paid["liberal_egalitarian"], jnp.array([3.2, 6.4, 3.2, 0]), atol=1e-5
)

# %% [markdown]
# ## What should Ann do?
#
# Let the tails give all they have and look at Ann. Left, her share of the fund as she gives more.
# Right, what decides her return: how many coins come back from *one more* coin. Above the dashed
# line giving pays.

# %%
COLORS = dict(zip(BASELINES, ("#4c78a8", "#b5651d", "#3a7d44"), strict=True))
gives = jnp.linspace(0.0, 10, 41)
round_where_ann_gives = endowment.at[0].set
share_of_ann = lambda mechanism, c: mechanism(endowment, round_where_ann_gives(c))[0]
payout_of_ann = lambda mechanism, c: game.payout(
    endowment, round_where_ann_gives(c), mechanism
)[0]
back = {
    n: jax.vmap(jax.grad(lambda c, m=m: payout_of_ann(m, c)))(gives)
    for n, m in BASELINES.items()
}

fig, axes = plt.subplots(1, 2, figsize=(8, 2.8))
for name, mechanism in BASELINES.items():
    axes[0].plot(
        gives,
        jax.vmap(lambda c, m=mechanism: share_of_ann(m, c))(gives),
        color=COLORS[name],
        label=name.replace("_", " "),
    )
    axes[1].plot(gives, back[name], color=COLORS[name])
axes[0].set(
    xlabel="contribution of the head (coins of 10)",
    ylabel="head's share of the fund (fraction)",
    ylim=(0, 1),
)
axes[1].set(
    xlabel="contribution of the head (coins of 10)",
    ylabel="back from one more coin (coins)",
    ylim=(0, 1.8),
)
axes[1].axhline(1, color="#888888", ls="--", lw=1)
axes[0].legend(frameon=False, fontsize=8)
fig.tight_layout()

# %% [markdown]
# Only the libertarian pays the head for giving: 1.6 coins back, always. Under strict equality it is
# 0.4, always. The surprise is the liberal egalitarian: Ann's first coin, a tenth of her endowment,
# brings her even less than under strict equality, and no coin brings a whole one. And the tails?
# For them a coin is half an endowment. Say everybody is giving half:

# %%
brings = {}
for name, mechanism in BASELINES.items():
    paid = lambda c, m=mechanism: game.payout(endowment, c, m)
    brings[name] = np.diag(jax.jacobian(paid)(endowment / 2))
    print(
        f"{name:20s} one more coin brings Ann {brings[name][0]:.2f}, "
        f"one from Bob brings him {brings[name][1]:.2f}"
    )
assert np.allclose(brings["strict_egalitarian"], 0.4) and np.allclose(
    brings["libertarian"], 1.6
)
assert np.allclose(brings["liberal_egalitarian"], [0.88, 2.8, 2.8, 2.8])
assert float(back["liberal_egalitarian"].max()) < 1, (
    "when the tails give all, no coin of the head's comes back whole"
)

# %% [markdown]
# Bob nearly triples his coin, Ann loses an eighth of hers. So calculating tails give everything
# and, once they do, a calculating head gives nothing. People in the paper's Exp. 1 go that way: the
# tails' contributions climb, the head's do not. The rule that is fairest to effort starves the fund
# of its largest giver; the learned mechanism will have to find its way around that.
#
# One caution. Where nobody gives, shares jump: a first coin from Ann alone lifts her libertarian
# share from a quarter to one. A gradient cannot see a jump, so at this single point it reports what
# an equal split would bring.

# %%
empty = float(
    jax.grad(
        lambda c: game.payout(endowment, jnp.zeros(4).at[0].set(c), libertarian)[0]
    )(0.0)
)
nearly = float(
    jax.grad(
        lambda c: game.payout(endowment, jnp.zeros(4).at[0].set(c), libertarian)[0]
    )(1e-3)
)
print(
    f"libertarian, back from one more coin: {empty:.2f} at exactly nothing, "
    f"{nearly:.2f} just above"
)
assert np.isclose(empty, 0.4) and np.isclose(nearly, 1.6)


# %% [markdown]
# ## The plane between them
#
# What lies between three points? The paper mixes in two directions. $v$: how much *relative*
# contributions (ratios) count against *absolute* ones (coins). $w$: how much one's *own*
# contribution counts against the mean of the *others'*. With $C = \sum_i c_i$, $P = \sum_i \rho_i$,
# growth $r$, and a bar for the mean over the other $k - 1$ players,
#
# $$y_i = v\, y_i^\text{rel} + (1 - v)\, y_i^\text{abs}, \qquad
#   y_i^\text{abs} = r\,[w\, c_i + (1 - w)\, \bar c_{-i}], \qquad
#   y_i^\text{rel} = r\,\tfrac{C}{P}\,[w\, \rho_i + (1 - w)\, \bar\rho_{-i}] .$$
#
# We want shares, so divide by $rC$. Mix the liberal egalitarian fraction and the libertarian one
# into $f_i = v\,\rho_i/P + (1-v)\,c_i/C$; then the others' mean is what $i$ leaves over, divided by
# their number:
#
# $$\text{share}_i = w\, f_i + (1 - w)\,\frac{1 - f_i}{k - 1} .$$
#
# The whole plane is made of two functions that we have. It sums to one everywhere, because $\sum_i
# f_i = 1$ and $\sum_i (1 - f_i) = k - 1$; and when nobody gives, $f_i = 1/k$ makes every share
# $1/k$.

# %%
#| export
def manifold(
    w: Array
    | float,  # [..., 1] weight of the own contribution against the others' mean
    v: Array | float,  # [..., 1] weight of relative against absolute contributions
) -> game.Mechanism:
    """Make the mechanism at a point of the manifold (Koster et al., "The ideological
    manifold")."""
    return Partial(_at_point, w, v)


def _at_point(w, v, endowment, contribution):
    "Mix own and others' fractions by w, relative and absolute contributions by v."
    own = v * liberal_egalitarian(endowment, contribution) + (1 - v) * libertarian(
        endowment, contribution
    )
    return w * own + (1 - w) * (1 - own) / (own.shape[-1] - 1)


# %% [markdown]
# Three places should give back the canonical rules: $w = 1, v = 0$ the libertarian, $w = 1, v = 1$
# the liberal egalitarian, and $w = 1/k$ at any $v$ the strict egalitarian. There the own
# contribution weighs as much as each other one, and $f_i$ drops out.

# %%
rng = np.random.default_rng(0)
groups = jnp.asarray(rng.integers(1, 11, (500, 4)), float)
coins = jnp.floor(groups * rng.random((500, 4)) + 0.5)
for v in (0.0, 0.3, 1.0):
    assert jnp.allclose(
        manifold(1 / 4, v)(groups, coins), strict_egalitarian(groups, coins), atol=1e-6
    )
assert jnp.allclose(manifold(1.0, 0.0)(groups, coins), libertarian(groups, coins))
assert jnp.allclose(
    manifold(1.0, 1.0)(groups, coins), liberal_egalitarian(groups, coins)
)

seven = jnp.asarray(rng.integers(1, 11, (500, 7)), float)
assert jnp.allclose(manifold(1 / 7, 0.5)(seven, seven), 1 / 7, atol=1e-6), (
    "seven players: 1/k is 1/7"
)


# %% [markdown]
# And the shortcut should agree with the paper's three equations taken literally, in coins:

# %%
def printed(endowment, contribution, w, v, r=1.6):
    others = lambda x: (x.sum(-1, keepdims=True) - x) / (x.shape[-1] - 1)
    ratio = contribution / endowment
    absolute = r * (w * contribution + (1 - w) * others(contribution))
    per_ratio = contribution.sum(-1, keepdims=True) / ratio.sum(-1, keepdims=True)
    return (
        v * r * per_ratio * (w * ratio + (1 - w) * others(ratio)) + (1 - v) * absolute
    )


someone_gives = coins.sum(-1) > 0
for w, v in rng.random((5, 2)):
    ours, theirs = (
        game.payout(groups, coins, manifold(w, v)),
        printed(groups, coins, w, v),
    )
    assert jnp.allclose(ours[someone_gives], theirs[someone_gives], atol=1e-4)
print("five random points of the plane agree in", int(someone_gives.sum()), "groups")

# %% [markdown]
# How does the plane feel to Ann? Give everybody the same effort, half of the endowment, and colour
# every point by her share.

# %%
w, v = (
    axis.reshape(-1, 1)
    for axis in np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41))
)
half = jnp.tile(endowment / 2, (len(w), 1))
head_share = np.asarray(
    manifold(w, v)(jnp.tile(endowment, (len(w), 1)), half)[:, 0]
).reshape(41, 41)

fig, ax = plt.subplots(figsize=(4.6, 3.2))
image = ax.imshow(
    head_share, origin="lower", extent=(0, 1, 0, 1), cmap="viridis", vmin=0
)
for label, v_here, up, ink in (
    ("libertarian", 0, 6, "black"),
    ("liberal egalitarian", 1, -6, "white"),
):
    ax.plot(1, v_here, "o", color="white", mec="black", clip_on=False)
    ax.annotate(
        label,
        (1, v_here),
        (-8, up),
        textcoords="offset points",
        ha="right",
        va="center",
        color=ink,
    )
ax.axvline(0.25, color="white", ls="--", lw=1)
ax.annotate(
    "strict egalitarian",
    (0.25, 0.5),
    (3, 0),
    textcoords="offset points",
    rotation=90,
    va="center",
    color="white",
)
ax.set(xlabel="w: own against others'", ylabel="v: relative against absolute")
fig.colorbar(image, label="head's share of the fund (fraction)")
fig.tight_layout()
assert np.isclose(head_share[0, -1], 10 / 16) and np.allclose(head_share[-1], 0.25), (
    "endowment 10 of 16; all alike at v = 1"
)

# %% [markdown]
# The map has one steep corner, the libertarian, where wealth gives and wealth receives. Along the
# top edge equal effort means equal shares for every $w$. Left of the dashed line, giving is
# punished.
#
# Two remarks on reading the paper. It says that at $w = 1$, $v = 1$ the payout depends on the ratio
# of the *others*. That must be a misprint for the own ratio: the others have weight zero there.
# Taken at its word it would be $w = 0$, $v = 1$, a rule that pays free riders best.

# %%
ann_keeps = endowment.at[0].set(0.0)
print(
    "Ann keeps everything. Liberal egalitarian:",
    manifold(1.0, 1.0)(endowment, ann_keeps),
)
print(
    "as misprinted:                            ",
    manifold(0.0, 1.0)(endowment, ann_keeps),
)
assert manifold(1.0, 1.0)(endowment, ann_keeps)[0] == 0 and jnp.isclose(
    manifold(0.0, 1.0)(endowment, ann_keeps)[0], 1 / 3
)

# %% [markdown]
# The other: the paper draws its plane on ten steps from 0 to 1 in each direction. Does strict
# egalitarianism lie on that grid?

# %%
steps = np.linspace(0, 1, 10)
nearest = steps[np.abs(steps - 0.25).argmin()]
off = float(jnp.abs(manifold(nearest, 0.0)(endowment, endowment) - 0.25).max())
print(
    steps.round(3),
    f"| nearest to 1/4: {nearest:.3f},",
    f"where Ann's share is off by {off:.3f} when all give all",
)
assert 0.25 not in steps and off > 0.01

# %% [markdown]
# It does not: the grid steps over w = 1/4. A picture on this grid must add strict egalitarianism as
# a point of its own.
#
# ## Five conditions
#
# In the experiments one head has 10 coins and three tails all have 2, 4, 6, 8 or 10.

# %%
#| export
# tail endowments of the five conditions, coins (Koster et al., Results, Exp. 2)
TAILS = (2, 4, 6, 8, 10)


def head_and_tails(
    tail: Array | float,  # [...] coins
    *,
    n_players: int = game.Game.n_players,  # P
    head: float = game.Game.most_coins,  # coins
) -> Array:  # [..., P] coins, the head first
    "Give one head its endowment and all tails theirs (Koster et al., Results, Exp. 2)."
    tail = jnp.asarray(tail, float)[..., None]
    tails = jnp.repeat(tail, n_players - 1, -1)
    return jnp.concatenate([jnp.full_like(tail, head), tails], -1)


# %%
assert (head_and_tails(2) == endowment).all()
head_and_tails(jnp.array(TAILS))


# %% [markdown]
# ## An early HCRM
#
# Where do mechanisms come from that nobody has written down? From training, and before it is over
# they are odd. The pilot of 03 needs many of them, from when HCRM was young, and the paper shows
# none. We emulate an *early HCRM* by a random point of the manifold. Up to half of the fund is
# handed out by what a network is at the beginning of training, a softmax of some score; we draw a
# random linear one.

# %%
#| export
def early_hcrm(
    key: Array,  # consumed whole
    shape: tuple[int, ...],  # leading shape: one mechanism for each
) -> game.Mechanism:
    """Draw stand-ins for early HCRMs: points of the manifold, mixed with a softmax of
    random linear scores (this project's reading of Koster et al., "Pilot testing")."""
    key_point, key_mix, key_score = jax.random.split(key, 3)
    w, v = jax.random.uniform(key_point, (2, *shape, 1))
    mix = jax.random.uniform(key_mix, (*shape, 1), maxval=0.5)
    weights = 2 * jax.random.normal(key_score, (3, *shape, 1))
    return Partial(_mixture, manifold(w, v), mix, weights)


def _mixture(point, mix, weights, endowment, contribution):
    "Hand out a part `mix` of the fund by a score's softmax, the rest by `point`."
    by_endowment, by_coins, by_ratio = weights
    coins = by_endowment * endowment + by_coins * contribution
    score = coins / game.Game.most_coins + by_ratio * contribution / endowment
    return (1 - mix) * point(endowment, contribution) + mix * jax.nn.softmax(score)


# %% [markdown]
# A hundred of them, all at once, on one group in which Ann gives 4 of her 10 coins and the others
# all they have. Shares must be shares, and some mechanism should be hard on Ann.

# %%
hundred = jnp.tile(endowment, (100, 1)), jnp.tile(jnp.array([4.0, 2, 2, 2]), (100, 1))
early = early_hcrm(jax.random.key(7), (100,))(*hundred)
assert jnp.allclose(early.sum(-1), 1, atol=1e-5) and (early >= 0).all()
print("Ann's share: from", early[:, 0].min().round(2), "to", early[:, 0].max().round(2))
assert early[:, 0].min() < 0.15 and early[:, 0].max() > 0.5


# %% [markdown]
# ## Refusing what is no mechanism
#
# Sooner or later you will write a mechanism of your own. A NaN in one game of 512 would show up
# hours later, far from its cause. So every mechanism is tried *before*: on nothing, on everything,
# on random coins, in all five conditions. It is compiled, as training will use it, and gets more
# than one leading axis, which finds rules that sum over the wrong one.

# %%
#| export
class MechanismError(ValueError):
    "A mechanism that does not hand out the fund as a mechanism must."


def check(
    mechanism: game.Mechanism,
    *,
    name: str,  # what the error calls it
    tails: tuple[float, ...] = TAILS,  # conditions to try, coins of a tail
    n_draws: int = 256,  # random contributions in each condition
    tolerance: float = 1e-4,  # of a share below 0, and of a sum of shares from 1
) -> None:
    """Try a mechanism on no, all and random coins. Raises MechanismError unless its
    shares are non-negative and sum to 1."""
    group = np.asarray(head_and_tails(jnp.array(tails)))[:, None]
    drawn = np.random.default_rng(0).integers(0, np.repeat(group, n_draws, 1) + 1)
    contribution = np.concatenate([0 * group, group, drawn.astype(group.dtype)], 1)
    endowment = np.broadcast_to(group, contribution.shape)
    share = _shares(mechanism, endowment, contribution, name)
    _check_shares(share, endowment, contribution, name, tolerance)


# %% [markdown]
# A function may fail to run, or run and return no shares. Either way: one sentence, with the
# mechanism's name, the game it failed on, and what to do.

# %%
#| export
def _shares(mechanism, endowment, contribution, name):
    "Compute the shares, compiled; say what prevents it."
    try:
        return np.asarray(
            jax.jit(mechanism)(jnp.asarray(endowment), jnp.asarray(contribution))
        )
    except Exception as error:  # whatever a reader's function may raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MechanismError(
            f"mechanism {name!r} cannot be computed ({reason.rstrip('.')}): "
            "write it with jax.numpy for arrays [..., players], "
            "and `jnp.where` instead of `if`"
        ) from error


# %%
#| export
def _check_shares(share, endowment, contribution, name, tolerance):
    "Raise for the first game whose shares have a wrong shape or are no shares."
    if share.shape != contribution.shape:
        raise MechanismError(
            f"mechanism {name!r} returns shape {share.shape} for contributions "
            f"of shape {contribution.shape}: return one share for each player"
        )
    off = np.abs(share.sum(-1) - 1) > tolerance
    infinite, negative = ~np.isfinite(share).all(-1), (share < -tolerance).any(-1)
    for wrong, advice in (
        (infinite, "are not all finite: mind the division when nobody contributes"),
        (negative, "are not all positive or 0: clip them, then divide by their sum"),
        (off, "do not sum to 1: divide by their sum over the last axis"),
    ):
        if wrong.any():
            i = np.unravel_index(wrong.argmax(), wrong.shape)
            show = lambda x, i=i: np.array2string(x[i], precision=3, separator=", ")
            raise MechanismError(
                f"mechanism {name!r} at endowments {show(endowment)} and contributions "
                f"{show(contribution)} gives shares {show(share)}, which {advice}"
            )


# %% [markdown]
# The baselines should pass, and five plausible ideas should not.

# %%
for name, mechanism in BASELINES.items():
    check(mechanism, name=name)

ideas = {
    "divide by zero": lambda e, c: c / c.sum(-1, keepdims=True),
    "w too large": manifold(1.4, 0.0),
    "coins, not shares": lambda e, c: 1.6 * c,
    "share of the head only": lambda e, c: c[..., 0] / 10,
    "an if": lambda e, c: (
        libertarian(e, c) if c[0, 0, 0] > 5 else strict_egalitarian(e, c)
    ),
}
for name, idea in ideas.items():
    with pytest.raises(MechanismError, match=name) as refused:
        check(idea, name=name)
    print("-", refused.value)

# %% [markdown]
# Every mechanism so far sees this round only. A person who referees may remember who cheated in
# round three. Such a referee carries a state (00_game), and the mechanisms of this chapter are
# those without one.
#
# ## Recap
#
# `strict_egalitarian`, `libertarian`, `liberal_egalitarian` (together `BASELINES`) are three points
# of `manifold(w, v)`; `TAILS` and `head_and_tails` make the five conditions; `early_hcrm` draws odd
# mechanisms; `check` raises `MechanismError` for anything that is no mechanism.
#
# Questions to take along: which point of the plane would Ann vote for, which would Bob? Three tails
# outvote one head; why is it not enough to please them?
#
# **Exercise 1.** Two players only. At which $w$ do both get half of the fund, whatever they give?
#
# <details><summary>Solution</summary>
#
# At $w = 1/k = 1/2$: then $\tfrac12 f + \tfrac12 (1 - f) = \tfrac12$.

# %%
pair, gave = jnp.array([10.0, 2]), jnp.array([7.0, 0])
assert (manifold(0.5, 0.7)(pair, gave) == 0.5).all()


# %% [markdown]
# </details>
#
# **Exercise 2.** Write the mechanism in which the largest relative contribution takes the whole
# fund, and let `check` judge it. What if two people tie?
#
# <details><summary>Solution</summary>
#
# Ties share. That includes the tie of four zeros, so nobody needs a special case.

# %%
def winner_takes_all(endowment, contribution):
    ratio = contribution / endowment
    return _fraction((ratio == ratio.max(-1, keepdims=True)).astype(ratio.dtype))


check(winner_takes_all, name="winner takes all")
print(winner_takes_all(endowment, jnp.array([10.0, 2, 1, 0])))
assert (
    winner_takes_all(endowment, jnp.array([10.0, 2, 1, 0]))
    == jnp.array([0.5, 0.5, 0, 0])
).all()

# %% [markdown]
# </details>
