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
# # How people vote
#
# > Two blocks of play go in; each player's probability of voting for the first comes out, and what real votes depended on.

# %%
#| default_exp voting

# %% [markdown]
# *In this notebook*: how virtual players vote (Koster et al., Materials and Methods, "Voting
# model"), how stand-in participants vote, and how to find out what decided many votes
# ("Determinants of voting", Figure S2). It uses 00_game and 01_mechanisms; the training of a
# mechanism (09), the metagame (10) and the experiments (14) use it. On the way we meet a formula
# that is right and, in the wrong unit, useless, and a published table that disagrees with its own
# caption.

# %%
#| export
import warnings
from collections.abc import Mapping, Sequence

import jax
import numpy as np
import pandas as pd
import statsmodels.api as sm
from jax import Array
from scipy import optimize
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

from democratic_ai import game

# %%
#| hide
import jax.numpy as jnp
import matplotlib.pyplot as plt
import pytest
from scipy.stats import norm

from democratic_ai import mechanisms
from democratic_ai.engine import published

np.set_printoptions(precision=4)  # the last digits of single precision are noise

# %% [markdown]
# ## What is a payout worth?
#
# Ann (10 coins) and Bob (2 coins) have played ten rounds under referee A, a libertarian, and ten
# under B, a liberal egalitarian. Ann got 8 coins a round from A and 3.2 from B. Bob got 3.2 from A
# and 6.4 from B. Whom will they vote for?
#
# Ann for A and Bob for B, no doubt. But who is *surer*? Ann stands to lose 4.8 coins a round, Bob
# only 3.2. Yet Bob came with 2 coins, so his 3.2 are more than he ever owned. In pilot experiments
# the authors found that votes follow payouts *relative to the own endowment*. In that currency Ann
# gains 0.48 a round from A and Bob 1.6 from B; over ten rounds, 4.8 and 16.

# %%
#| export
# logits per unit of the difference in relative payout (Koster et al., "Voting model")
SLOPE = 1.4
UNIT = float(game.Game.most_coins)  # coins in which payouts are counted


def relative_payout_sum(
    block: game.Block,
    *,
    unit: float = UNIT,  # coins in which payouts are counted
) -> Array:  # [..., P]
    'Sum relative payouts over the rounds (Koster et al., "Voting model").'
    return block.relative_payout.sum(-2) / unit


# %%
endowment = jnp.array([10.0, 2])
steady = lambda payout: game.Block(
    endowment, jnp.tile(endowment / 2, (10, 1)), jnp.tile(jnp.array(payout), (10, 1))
)
under_a, under_b = steady([8.0, 3.2]), steady([3.2, 6.4])
gap = relative_payout_sum(under_a, unit=1.0) - relative_payout_sum(under_b, unit=1.0)
print(f"A minus B, in own endowments: Ann {gap[0]:.1f}, Bob {gap[1]:.1f} in ten rounds")
assert jnp.allclose(gap, jnp.array([4.8, -16]), atol=1e-4)


# %% [markdown]
# Votes are never quite certain, so the difference goes through a logistic function with slope $s =
# 1.4$:
#
# $$p(A) = \frac{1}{1 + e^{-s\,(R_A - R_B)}}, \qquad R_M = \sum_{t=1}^{10} \frac{y_t^{(M)}}{e} .$$
#
# The function comes in two parts. A tournament of many mechanisms needs each mechanism's sums only
# once and pairs them afterwards, so one function takes the sums and one the blocks.

# %%
#| export
def vote_from_sums(
    sum_a: Array,  # [..., P] relative payout sums under A
    sum_b: Array,  # [..., P] and under B
    *,
    slope: float = SLOPE,  # logits per unit of the difference
) -> Array:  # [..., P] probability of a vote for A
    'Compute the probability of a vote from two sums (Koster et al., "Voting model").'
    return jax.nn.sigmoid(slope * (sum_a - sum_b))


def vote_probability(
    block_a: game.Block,
    block_b: game.Block,
    *,
    slope: float = SLOPE,  # logits per unit of the difference
    unit: float = UNIT,  # coins in which payouts are counted
) -> Array:  # [..., P] probability of a vote for A
    'Compute the probability of a vote from two blocks (Koster et al., "Voting model").'
    sums = (relative_payout_sum(block, unit=unit) for block in (block_a, block_b))
    return vote_from_sums(*sums, slope=slope)


# %% [markdown]
# ## The naive way: plain coins
#
# Taken as printed, payouts are in coins. Ann's vote for A should then have log-odds of 1.4 times
# 4.8, Bob's of 1.4 times -16:

# %%
plain = vote_probability(under_a, under_b, unit=1.0)
tens = vote_probability(under_a, under_b)
print("probability of a vote for A   Ann        Bob")
print(
    f"payouts in coins              {plain[0]:.4f}     {plain[1]:.1e}\n"
    f"payouts in units of ten       {tens[0]:.4f}     {tens[1]:.4f}"
)
assert plain[0] > 0.998 and plain[1] < 1e-9, "in coins nobody ever hesitates"
assert np.allclose(tens, 1 / (1 + np.exp(-1.4 * np.array([0.48, -1.6]))), atol=1e-5)


# %% [markdown]
# One Bob in five thousand million would vote for A. People are not like that, and neither are the
# published numbers: in the paper's tournament no mechanism, however bad, gets less than 34 % of the
# votes of virtual players. The networks' inputs offer a way out. Those are endowments and payouts
# *divided by ten*, and if the vote takes payouts in that unit, all log-odds shrink tenfold: Ann
# votes for A with 66 %, Bob with 10 %. For a block of ten rounds this is the same as taking the
# *mean* of payout/endowment instead of the sum. Which reading is right can be told from the paper's
# Table S2; the metagame notebook does that. Here we look at how sure the votes become in whole
# groups.
#
# For that we need people with habits: everyone has a generosity of their own and gives about that
# part of the endowment. Let a liberal egalitarian stand against a libertarian. Which part of the
# players is in doubt, voting with 5 to 95 % for the one?

# %%
def near_habit(key, habit, endowment):
    "Give about the fraction that one always gives."
    fraction = habit + 0.1 * jax.random.normal(key, endowment.shape)
    return jnp.round(endowment * fraction.clip(0, 1))


habitual = game.Players(
    init=lambda key, endowment: jax.nn.sigmoid(jax.random.normal(key, endowment.shape)),
    act=near_habit,
    update=lambda habit, endowment, contribution, payout, mechanism: habit,
)
people = game.same_participants(habitual, jax.random.key(0))
groups = jnp.repeat(mechanisms.head_and_tails(jnp.array(mechanisms.TAILS)), 400, 0)
agent = game.play(jax.random.key(1), people, groups, mechanisms.liberal_egalitarian)
rival = game.play(jax.random.key(2), people, groups, mechanisms.libertarian)

in_doubt = lambda p: float(((p > 0.05) & (p < 0.95)).mean())
units = {"coins": 1.0, "tens of coins": 10.0}
probability = {
    name: vote_probability(agent, rival, unit=unit) for name, unit in units.items()
}
doubt = {
    name: [in_doubt(p[groups[:, 1] == tail]) for tail in mechanisms.TAILS]
    for name, p in probability.items()
}
tails = pd.Index(mechanisms.TAILS, name="tail endowment")
print(pd.DataFrame(doubt, index=tails).round(2))
assert doubt["coins"][0] < 0.25 and doubt["tens of coins"][0] > 0.9

# %%
fig, axes = plt.subplots(1, 2, figsize=(7.5, 2.6), sharey=True)
for ax, (name, p) in zip(axes, probability.items(), strict=True):
    unequal = np.ravel(p[groups[:, 1] == 2])
    each = np.full(unequal.size, 1 / unequal.size)
    ax.hist(unequal, bins=20, range=(0, 1), weights=each, color="#4c78a8")
    ax.set(
        xlabel="probability of a vote\nfor liberal egalitarian",
        title=f"payouts in {name}, tails of 2",
    )
axes[0].set_ylabel("fraction of players")
fig.tight_layout()

# %% [markdown]
# On the left almost everybody is certain, and an election merely counts who was paid more; on the
# right most players lean without being sure. (With tails of 10 the two mechanisms are the same, and
# everybody doubts.) Unit and slope are in truth one number, their ratio; votes cannot tell more.

# %%
tens = probability["tens of coins"]
flatter = vote_probability(agent, rival, slope=0.14, unit=1.0)
assert jnp.allclose(flatter, tens, atol=1e-5)
mean_gap = agent.relative_payout.mean(-2) - rival.relative_payout.mean(-2)
of_mean = jax.nn.sigmoid(1.4 * mean_gap)
assert jnp.allclose(of_mean, tens, atol=1e-5), "the mean over ten rounds"
together = vote_probability(agent, rival) + vote_probability(rival, agent)
assert jnp.allclose(together, 1, atol=1e-6), "every vote goes to one of two"

# %% [markdown]
# The authors report that the mechanism they learn is much the same for a wide range of slopes. A
# hint why: whatever the slope, nobody changes sides. But the *share* of votes does move, and with
# it everything that is compared with a published share.

# %%
slopes = np.geomspace(0.01, 100, 25)
fig, ax = plt.subplots(figsize=(4.6, 2.8))
for tail, shade in zip((2, 6, 10), ("#9ecae1", "#4c78a8", "#08306b"), strict=True):
    rows = np.asarray(groups[:, 1] == tail)
    sums_a, sums_b = relative_payout_sum(agent)[rows], relative_payout_sum(rival)[rows]
    shares = [float(vote_from_sums(sums_a, sums_b, slope=s).mean()) for s in slopes]
    better_off = float((sums_a > sums_b).mean() + (sums_a == sums_b).mean() / 2)
    assert abs(shares[0] - 0.5) < 0.02 and abs(shares[-1] - better_off) < 0.02
    ax.semilogx(slopes, shares, color=shade, label=f"tails of {tail}")
for s, name in ((SLOPE, "tens"), (SLOPE * UNIT, "coins")):
    ax.axvline(s, color="#888888", ls="--", lw=1)
    ax.annotate(name, (s, 0.77), (3, 0), textcoords="offset points", fontsize=8)
ax.set(
    xlabel="slope (payouts in tens of coins)",
    ylabel="vote share of\nliberal egalitarian (fraction)",
    ylim=(0.45, 0.8),
)
ax.legend(frameon=False, fontsize=8, loc="upper left")
fig.tight_layout()


# %% [markdown]
# Far left everybody flips a coin; far right each is certain, and the share is the fraction of
# players that were better paid. Groups with poor tails get there first: one coin is worth more to
# them, so they vote with more conviction.

# %% [markdown]
# ## Stand-in participants vote by more
#
# The vote model above uses one number, the relative payout. If stand-in participants voted by
# exactly that rule, an election would only test what was put in. So they vote by a richer one, an
# assumption and fitted to nothing. With A met first and B second,
#
# $$P(A) = \sigma\Big(1.4 \sum_t \frac{y^A_t - y^B_t}{10\, e} + 0.01 \sum_t (y^A_t - y^B_t) - 0.2 + 0.5\,\varepsilon\Big):$$
#
# the same weight on relative payout and a weaker one on plain coins; a slight preference for the
# referee met *second*, whose rounds are fresher in mind; and a whim that belongs to the person. The
# preference makes a coin flip 45 to 55.
#
# What is *not* in it is a liking for the learned mechanism. When the authors ask what decided real
# votes, they find one: an intercept for HCRM, significant against libertarian and liberal
# egalitarian, that no payout explains. Put in by hand, it would come back as votes, and every
# election here would prove only that it had been put in. So our intercepts belong to the person
# (mean zero) and to the order (which a counterbalanced experiment cancels), and where our data show
# no intercept for HCRM and people's do, the two differ.

# %%
#| export
def stand_in_vote(
    key: Array,  # consumed: one part for the persons, one for the votes
    block_a: game.Block,  # met first
    block_b: game.Block,  # met second
    *,
    absolute: float = 0.01,  # logits per coin, summed over the block
    recency: float = 0.2,  # logits for whichever referee was met second
    whim: float = 0.5,  # logits, standard deviation of what else moves a person
) -> Array:  # [..., P] bool, True for a
    """Draw votes by relative payout, coins, order and whim: this project's model,
    fitted to nothing."""
    key_whim, key_vote = jax.random.split(key)
    relative = (block_a.relative_payout - block_b.relative_payout).sum(-2)
    relative = relative / UNIT
    coins = (block_a.payout - block_b.payout).sum(-2)
    drawn = whim * jax.random.normal(key_whim, relative.shape)
    score = SLOPE * relative + absolute * coins - recency + drawn
    return jax.random.uniform(key_vote, score.shape) < jax.nn.sigmoid(score)


# %% [markdown]
# Ann (10 coins) and Bob (2 coins) both get one coin a round more from A than from B. For Bob that
# is half his endowment. Between equal blocks the vote should be a coin flip with a slight lean to
# the second, and Bob should be much surer than Ann.

# %%
ann = jnp.array([10.0, 2, 2, 2])
nothing, unequal = jnp.zeros((20_000, 10, 4)), jnp.tile(ann, (20_000, 1))
blocks = [game.Block(unequal, nothing, nothing + extra) for extra in (0.0, 1.0)]
same, better = (stand_in_vote(jax.random.key(5), a, blocks[0]).mean(0) for a in blocks)
reverse = stand_in_vote(jax.random.key(6), blocks[0], blocks[1]).mean(0)
either_order = (better + 1 - reverse) / 2
print("A equals B:                 ", same.round(2))
print("a coin a round more from A: ", better.round(2))
print("the same in either order:   ", either_order.round(2))
assert jnp.allclose(same, 0.45, atol=0.02), "a lean to the second"
assert (better[1:] > better[0] + 0.05).all() and (either_order > better).all()

# %% [markdown]
# ## What did a vote depend on?
#
# Turn the question round. Suppose real people voted; was it really their relative payout that
# counted? Or did the sheer number of coins, or how much the whole group gave? The paper regresses
# votes on three differences, agent minus rival, each summed over the block's ten rounds:
#
# * `rpay`: the voter's payout relative to the own endowment,
# * `apay`: the voter's payout in coins,
# * `cont`: the contributions of all group members, in coins.
#
# First the table: one row per vote.

# %%
#| export
PREDICTORS = ("rpay", "apay", "cont")


def vote_features(
    agent: game.Block,  # [G] groups
    rival: game.Block,  # of the same groups
    vote: Array,  # [G, P] True for the agent
) -> pd.DataFrame:  # columns group, player, vote, rpay, apay, cont; one row per vote
    """Tabulate votes and what they may depend on, agent minus rival (Koster et al.,
    "Determinants of voting")."""
    n_groups, n_players = agent.endowment.shape
    group, player = np.indices((n_groups, n_players))
    given = (agent.contribution - rival.contribution).sum((1, 2))
    columns = {
        "group": group,
        "player": player,
        "vote": np.asarray(vote).astype(int),
        "rpay": (agent.relative_payout - rival.relative_payout).sum(1),
        "apay": (agent.payout - rival.payout).sum(1),
        "cont": np.repeat(given[:, None], n_players, 1),
    }
    return pd.DataFrame({name: np.ravel(value) for name, value in columns.items()})


# %% [markdown]
# Voters whose weights we know are the best test. Ours weigh a standard deviation of coins exactly
# as much as one of relative payout (0.6 each), do not care at all what the group gave, and lean a
# little to the agent (0.3).

# %%
TRUTH = {"intercept": 0.3, "rpay": 0.6, "apay": 0.6, "cont": 0.0}
table = vote_features(agent, rival, jnp.zeros(groups.shape))
z = table[list(PREDICTORS)] / table[list(PREDICTORS)].std(ddof=0)
log_odds = TRUTH["intercept"] + sum(TRUTH[name] * z[name] for name in PREDICTORS)
chance = 1 / (1 + np.exp(-log_odds))
table["vote"] = (np.random.default_rng(0).random(len(table)) < chance).astype(int)
sums = table.groupby("group")["cont"].nunique()
assert len(table) == 8000 and (sums == 1).all(), "a group has one sum of contributions"
table.sample(4, random_state=0).round(2)

# %% [markdown]
# ### The naive way: raw predictors
#
# Put the three differences into a logistic regression as they are, in their own units:

# %%
regress = lambda x: sm.Logit(table["vote"], sm.add_constant(x)).fit(disp=False).params
x = table[list(PREDICTORS)]
raw, in_tens = regress(x), regress(x.assign(apay=x["apay"] / 10))
both = {"payout in coins": raw, "payout in tens of coins": in_tens}
print(pd.DataFrame(both).round(4))
assert raw["rpay"] > 3 * raw["apay"], "looks as if only relative payout mattered"
assert in_tens["apay"] > raw["rpay"] and np.isclose(in_tens["apay"], 10 * raw["apay"])


# %% [markdown]
# In coins, relative payout seems to matter far more than coins. Count coins in tens and it is the
# other way round! The size of a raw coefficient says in what unit we measured, not what the voters
# thought. So each predictor is first divided by its standard deviation; the coefficients are then
# log-odds per standard deviation, and may be compared. Predictors are not centred: then the
# intercept is the log-odds of a voter who got the same from both, a liking beyond the coins. (With
# centred ones it would be little more than the share of the votes, and the paper's t = -0.5 against
# strict egalitarian could not be, where two votes of three went to HCRM.)
#
# A regression also has ways to return numbers that mean nothing. A predictor that never varies, two
# predictors that are one, votes that a predictor separates without exception: all of these should
# end in a sentence.

# %%
#| export
class VoteError(ValueError):
    "Votes from which a regression can learn nothing."


# %%
#| export
def _standardised(frame, names=PREDICTORS):
    """Check the votes and their predictors; divide each predictor by its standard
    deviation."""
    if missing := [name for name in ("vote", *names) if name not in frame]:
        raise VoteError(
            f"the votes have no column {missing[0]!r}: make them with vote_features"
        )
    x, vote = frame[list(names)].astype(float), frame["vote"]
    if not (np.isfinite(x.to_numpy()).all() and vote.isin((0, 1)).all()):
        raise VoteError(
            "a vote is not 0 or 1, or a predictor is not finite: "
            "leave out players who did not vote"
        )
    if len(frame) < 10 or vote.nunique() < 2:
        raise VoteError(
            f"{vote.sum()} of {len(frame)} votes are for the agent: "
            "ten votes and both opinions are needed at least"
        )
    if flat := [name for name in names if x[name].std(ddof=0) < 1e-9]:
        raise VoteError(
            f"{flat[0]!r} is the same for all votes: take in more groups or mechanisms"
        )
    standardised = x / x.std(ddof=0)
    if np.linalg.cond(standardised - standardised.mean()) > 1e6:
        raise VoteError(
            "the predictors are copies of one another, like rpay and apay where "
            "all have the same endowment: pool endowments"
        )
    return standardised


# %% [markdown]
# With that, the regression itself is a call.

# %%
#| export
def determinants(
    frame: pd.DataFrame,  # a row per vote: vote (1 = for the agent) and predictors
    *,
    predictors: Sequence[str] = PREDICTORS,  # columns, numbers in any unit
) -> pd.DataFrame:  # intercept and predictors by coefficient, standard_error, t, p
    """Regress votes on standardised differences (Koster et al., Figure S2). Raises
    VoteError where there is no answer."""
    design = _standardised(frame, predictors)
    design.insert(0, "intercept", 1.0)
    with warnings.catch_warnings():
        # an overflow on the way to separating the votes
        warnings.simplefilter("ignore", RuntimeWarning)
        for kind in (ConvergenceWarning, PerfectSeparationWarning):
            warnings.simplefilter("error", kind)
        try:
            fit = sm.Logit(frame["vote"].astype(int), design).fit(disp=False)
        except (ConvergenceWarning, PerfectSeparationWarning) as warning:
            raise VoteError(
                "a combination of the predictors separates the votes "
                "without exception: take in more votes"
            ) from warning
    found = {"coefficient": fit.params, "standard_error": fit.bse}
    return pd.DataFrame(found | {"t": fit.tvalues, "p": fit.pvalues})


# %% [markdown]
# Equal weights should come back as equal weights, and indifference as nothing. (The paper's column
# is headed *t*; for a logistic regression with many votes it is compared with a normal
# distribution.)

# %%
found = determinants(table)
print(found.assign(truth=pd.Series(TRUTH)).round(3))
missed_by = abs(found["coefficient"] - pd.Series(TRUTH))
assert (missed_by < 3 * found["standard_error"]).all()
assert found.loc["cont", "p"] > 0.05 and (found.loc[["rpay", "apay"], "p"] < 1e-6).all()

# %%
fig, ax = plt.subplots(figsize=(4, 2.6))
look = dict(yerr=1.96 * found["standard_error"], color="#4c78a8", capsize=4)
ax.bar(found.index, found["coefficient"], **look, label="found")
look = dict(color="#b5651d", ms=26, mew=2)
ax.plot(list(TRUTH), list(TRUTH.values()), "_", **look, label="built in")
ax.set_ylabel("coefficient (log-odds\nper standard deviation)")
ax.legend(frameon=False, fontsize=8)
fig.tight_layout()

# %% [markdown]
# Bars are what the regression found, with 95 % intervals; the dashes are what we built in.
#
# Any column may be a predictor. After voting, people were asked seven questions, each with one of
# the two referees for an answer, and Figure S6 asks which answers go with the vote. Three made-up
# questions: one that nine voters of ten answer as they voted, one that six of ten do, and one that
# is answered by tossing a coin.

# %%
rng = np.random.default_rng(2)
as_voted = {"better for me": 0.9, "fairer": 0.6, "more lenient": 0.5}
answers = {
    name: np.where(rng.random(len(table)) < agree, table["vote"], 1 - table["vote"])
    for name, agree in as_voted.items()
}
debriefed = determinants(table.assign(**answers), predictors=list(answers))
print(debriefed.round(2))
order = debriefed["t"].drop("intercept").sort_values(ascending=False).index
assert list(order) == list(answers) and debriefed.loc["more lenient", "p"] > 0.01

# %% [markdown]
# Voters of the model above should show nothing but relative payout, and its coefficient follows
# from the slope alone: it is 1.4 times the standard deviation of `rpay`, in tens.

# %%
cast = jax.random.bernoulli(jax.random.key(3), vote_probability(agent, rival))
modelled = vote_features(agent, rival, cast)
of_model = determinants(modelled)
expected = SLOPE * modelled["rpay"].std(ddof=0) / UNIT
print(of_model.round(3), f"\n\nexpected for rpay: {expected:.3f}")
rpay = of_model.loc["rpay"]
assert abs(rpay["coefficient"] - expected) < 3 * rpay["standard_error"]
assert (of_model.loc[["apay", "cont"], "p"] > 0.01).all()

# %% [markdown]
# And where nothing can be concluded? In a group of equals, relative and absolute payout are the
# same thing.

# %%
with pytest.raises(VoteError, match="same endowment") as refused:
    determinants(table[np.repeat(np.asarray(groups[:, 1] == 10), 4)])
print(refused.value)
with pytest.raises(VoteError, match="separates") as refused:
    determinants(table.assign(vote=(table["rpay"] > 0).astype(int)))
print(refused.value)

# %% [markdown]
# ## What the paper found, and says it found
#
# Here are the statistics printed with Figure S2. Its caption speaks of four predictors and says
# that relative payout was the strongest of them in all four experiments. Let us look.

# %%
printed = published.read("figure_s2_t")
by_rival = printed.pivot(index="rival", columns="predictor", values="t")
figure_s2 = by_rival.loc[printed["rival"].unique(), ["intercept", *PREDICTORS]]
strongest = figure_s2[list(PREDICTORS)].abs().idxmax(axis=1)
print(figure_s2.assign(strongest=strongest))
n_rpay = (strongest == "rpay").sum()
print(
    f"\ncaption: rpay strongest in 4 of 4      | its table: in {n_rpay} of 4\n"
    "caption: 4 predictors                  | "
    f"its table: {len(PREDICTORS)} and an intercept\n"
    "Methods: gini among the variables      | "
    "the equation beside it: rpay, apay, cont and no gini"
)
assert list(strongest) == ["rpay", "apay", "apay", "rpay"]
significant = 2 * norm.sf(figure_s2.abs()) < 0.05
verdicts = [[0, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
assert (significant == verdicts).all(), "the verdicts as printed"

# %% [markdown]
# Against libertarian and liberal egalitarian the coins themselves weigh more. What does hold is the
# caption's second half: relative payout is significant all four times, and it alone. (The printed
# verdicts agree with the printed statistics; the last line checked all sixteen.) A positive
# intercept says that the agent won votes beyond what payouts explain.
#
# ## A share of the votes, net of liking
#
# How many votes is that? It matters to us: our stand-ins look at payouts and like nobody, so no
# mechanism can win from them what a liking gave. The yardstick for their votes is the published
# share *without* what the intercept added.
#
# The paper prints no coefficients, only $t$. But $t$ is a coefficient by its standard error, and in
# a logistic regression the standard error hangs on the design alone: on how far the two blocks were
# apart for each voter, and how many voted. People's blocks are not at hand, so we take ours for
# theirs. It is an assumption: stand-ins may make differences that people did not. So, with
# $X$ the standardised differences, each row as many times as makes the paper's number of votes,
#
# $$\beta_k = t_k \sqrt{(I^{-1})_{kk}}, \qquad I = X^\top \operatorname{diag}(p (1 - p)) X, \qquad p = \sigma(X \beta) ,$$
#
# which a root finder solves. Without an intercept the same voters would have voted for
# the agent with $q = \sigma(X \beta - \beta_0)$. The intercept was worth $p - q$ votes each. It is
# itself an estimate from the very votes that make the share $s$, and its error has to count. All of
# it is linear in votes $v_i$ as far as errors are small, with $g$ the derivative of the mean of
# $p - q$ by the coefficients:
#
# $$s - \overline{p - q} \approx \text{const.} + \sum_i \left(\tfrac{1}{n} - x_i^\top I^{-1} g\right) v_i ,$$
#
# and the variance of a vote is $p_i (1 - p_i)$. Like the paper's $t$, this takes each vote by
# itself. Where blocks of too few groups hardly differ, no coefficients have such $t$; then nothing
# can be said, and NaN says it.

# %%
#| export
def _variance(design, beta, each):
    "Invert the information of a logistic regression, a row being `each` votes."
    p = 1 / (1 + np.exp(-design @ beta))
    information = each * design.T @ (design * (p * (1 - p))[:, None])
    if np.isfinite(information).all() and np.linalg.cond(information) < 1e12:
        return np.linalg.inv(information)
    return np.full(information.shape, np.nan)


def _coefficients(design, t, each):
    "Solve for coefficients that have these t, and their variance; NaN if none do."
    error = lambda beta: np.sqrt(np.diag(_variance(design, beta, each)))
    start = t * error(np.zeros(len(t)))
    solved = optimize.root(lambda beta: beta - t * error(beta), start)
    beta = solved.x if solved.success else np.full(len(t), np.nan)
    return beta, _variance(design, beta, each)


# %%
#| export
def intercept_effect(
    frame: pd.DataFrame,  # a row per vote, as for `determinants`; votes are not read
    t: Mapping[str, float],  # as printed: intercept and predictors
    cells: Sequence,  # [n] which share a vote belongs to
    n_votes: int,  # cast where t comes from
) -> pd.DataFrame:  # by cell: effect; standard_error of a share less it; NaN: see above
    "Compute what an intercept adds to shares of votes (Koster et al., Figure S2)."
    names = [name for name in t if name != "intercept"]
    design = _standardised(frame, names).to_numpy()
    design = np.c_[np.ones(len(design)), design]
    known = np.array([t["intercept"], *(t[name] for name in names)])
    each = n_votes / len(frame)
    beta, variance = _coefficients(design, known, each)
    logit, rest = design @ beta, design * (np.arange(len(beta)) > 0)
    p, q = (1 / (1 + np.exp(-x)) for x in (logit, logit - beta[0]))
    slope = (p * (1 - p))[:, None] * design - (q * (1 - q))[:, None] * rest
    rows = {}
    for cell in pd.unique(np.asarray(cells)):
        of_cell = np.asarray(cells) == cell
        weight = of_cell / of_cell.sum() / each
        weight = weight - design @ variance @ slope[of_cell].mean(0)
        error = np.sqrt(each * (weight**2 * p * (1 - p)).sum())
        rows[cell] = ((p - q)[of_cell].mean(), error)
    columns = ["effect", "standard_error"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


# %% [markdown]
# Does it give back what was built in? Let the voters above vote four hundred times, 800 votes each.
# Each time only the eight numbers $t$ and $s$ are handed over. What they would have done without
# their liking is known.

# %%
some = table.iloc[:800]
true_log_odds, everybody = log_odds[:800], np.zeros(800)
without = (1 / (1 + np.exp(-(true_log_odds - TRUTH["intercept"])))).mean()
rng, net = np.random.default_rng(3), []
for _ in range(400):
    cast_once = some.assign(vote=rng.random(800) < 1 / (1 + np.exp(-true_log_odds)))
    printed_t = determinants(cast_once.astype({"vote": int}))["t"].to_dict()
    effect = intercept_effect(some, printed_t, everybody, 800).loc[0.0]
    net.append(cast_once["vote"].mean() - effect["effect"])
print(
    f"without a liking {without:.3f}; found {np.mean(net):.3f}, "
    f"spread {np.std(net):.4f}, standard error {effect['standard_error']:.4f}"
)
assert abs(np.mean(net) - without) < 3 * np.std(net) / 20
assert abs(effect["standard_error"] / np.std(net) - 1) < 0.15

# %% [markdown]
# ## Recap
#
# `relative_payout_sum`, `vote_from_sums` and `vote_probability` are the vote model, with `SLOPE`
# and `UNIT`; `stand_in_vote` is how stand-in participants vote. `vote_features` and `determinants`
# find what votes depended on, over `PREDICTORS`; `VoteError` says when they cannot.
# `intercept_effect` reads off printed statistics how many votes a liking was worth.
#
# Questions to take along: our virtual players compare two sums. What would change if the last
# rounds counted more? And can a mechanism buy votes cheaply, given that Bob's coin counts five
# times Ann's?
#
# **Exercise 1.** A referee can move one coin a round, for ten rounds, from Ann (10) to Bob (2). If
# both start undecided, how many votes is that worth?
#
# <details><summary>Solution</summary>
#
# At $p = 1/2$ a logistic function climbs with a quarter of its slope. Ann loses $1.4/4 \cdot 0.1 =
# 0.035$ votes, Bob wins five times that: $0.175$. In all about 0.14 votes, and the fund has not
# grown by a coin.

# %%
even = steady([3.0, 3.0])
bought = vote_probability(steady([2.0, 4.0]), even) - 0.5
print("votes won and lost", bought, f"together {bought.sum():.3f}")
assert np.allclose(bought, [-0.035, 0.175], atol=0.01)

# %% [markdown]
# </details>
#
# **Exercise 2.** The four votes of a group come from one shared experience. Give each group a
# common whim (a normal draw with standard deviation 1 added to all four log-odds) and compare the
# standard error of `cont` with one that treats groups as units.
#
# <details><summary>Solution</summary>
#
# All four have the same `cont`, so their four votes say little more about it than one would. The
# usual error is too small.

# %%
rng = np.random.default_rng(1)
shared = np.repeat(rng.normal(size=len(groups)), 4)
chance = 1 / (1 + np.exp(-log_odds - shared))
moody = table.assign(vote=(rng.random(len(table)) < chance).astype(int))
usual = determinants(moody)["standard_error"]
design = sm.add_constant(_standardised(moody))
units = {"cov_type": "cluster", "cov_kwds": {"groups": moody["group"]}}
by_group = sm.Logit(moody["vote"], design).fit(disp=False, **units).bse
print(
    f"standard error of cont: {usual['cont']:.4f} as usual, "
    f"{by_group['cont']:.4f} with groups as units"
)
assert by_group["cont"] > 1.15 * usual["cont"]

# %% [markdown]
# </details>
