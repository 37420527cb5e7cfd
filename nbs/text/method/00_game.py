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
# # Game
#
# > Endowments, contributions and a sharing rule go in; payouts, returns and whole blocks of play come out.

# %%
#| default_exp game

# %% [markdown]
# *In this notebook*: the public investment game of Koster et al. (Materials and Methods, "Investment game"). It uses nothing
# of ours; every other notebook uses it. First one round by hand, then a block of ten rounds, then the whole session of
# thirty-four that a participant sits through, and last the two numbers by which a society is judged here: how much it makes
# (surplus) and how evenly that ends up (Gini).

# %%
#| export
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

# %%
#| hide
import matplotlib.pyplot as plt
import numpy as np


# %% [markdown]
# ## Four people and a pot
#
# Ann has 10 coins. Bob, Cem and Dee have 2 each. All four decide, without seeing one another, how many coins to put into a
# common project. Whatever is in the project is multiplied by 1.6 and handed back; coins that were not put in are simply kept.
#
# Say everybody puts in everything: 16 coins become 25.6. Cut into four equal parts, that is 6.4 for each. Bob has turned 2
# coins into 6.4. Ann has turned 10 coins into 6.4. Would Ann do that twice?
#
# Ann is the *head* player, the other three are *tail* players; what each one starts a round with is the *endowment*, what
# goes in is the *contribution*, what comes back is the *payout*, and *return* is what one holds in the end:
#
# $$\text{return}_i = y_i + e_i - c_i .$$
#
# The rules that never change within an experiment stand in one place. They are constants of a computation, not data, so JAX
# is told to treat them as such.

# %%
#| export
@jax.tree_util.register_static
@dataclass(frozen=True)
class Game:
    "The rules of the investment game (Koster et al., Materials and Methods, \"Investment game\")."

    n_players: int = 4  # one head, the rest tails
    n_rounds: int = 10  # rounds in a block
    n_bonus_rounds: int = 4  # rounds in the block played after the vote
    growth: float = 1.6  # factor on the public fund
    most_coins: int = 10  # the largest endowment, and the head player's


# %% [markdown]
# ## Who gets what
#
# A *mechanism* answers one question: given what everybody had and what everybody gave, which fraction of the fund goes to
# whom? So a mechanism is a function `(endowment, contribution) -> share`; its shares are not negative and sum to one. The
# simplest is the one that nobody has to announce: with no referee, everybody gets the same.

# %%
#| export
Mechanism = Callable[[Array, Array], Array]


def equal_split(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
) -> Array:  # [..., P] fraction of the fund
    "Give every player the same share: the game without a referee (Koster et al., \"Investment game\")."
    return jnp.full(contribution.shape, 1 / contribution.shape[-1])


def payout(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins, 0 <= contribution <= endowment
    mechanism: Mechanism,  # (endowment, contribution) -> [..., P] shares, non-negative, sum to 1
    *,
    growth: float = Game.growth,  # factor on the public fund
) -> Array:  # [..., P] coins
    "Grow the public fund and hand all of it out by the mechanism's shares (Koster et al., \"Investment game\")."
    return growth * contribution.sum(-1, keepdims=True) * mechanism(endowment, contribution)


# %% [markdown]
# Ann, Bob, Cem and Dee give all they have:

# %%
endowment = jnp.array([10.0, 2, 2, 2])
generous = payout(endowment, endowment, equal_split)
assert jnp.allclose(generous, 6.4)
generous


# %% [markdown]
# And if Ann keeps everything? The pot shrinks to 6, grows to 9.6, and all four get 2.4 from it. Ann ends with 12.4 instead
# of 6.4; the others with 2.4 instead of 6.4. Here is the whole *social dilemma* in two lines: under equal splitting every coin
# that Ann puts in comes back to her as 1.6 / 4 = 0.4 coins.

# %%
#| export
def returns(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    payout: Array,  # [..., P] coins
) -> Array:  # [..., P] coins
    "Add what came back to what was kept (Koster et al., \"Investment game\")."
    return payout + endowment - contribution


# %%
ann_keeps = endowment.at[0].set(0.0)
stingy = returns(endowment, ann_keeps, payout(endowment, ann_keeps, equal_split))
assert jnp.allclose(stingy, jnp.array([12.4, 2.4, 2.4, 2.4]), atol=1e-5)
print("Ann, per coin she adds:", float(1.6 / 4), "back; all keep everything else equal ->", stingy)


# %% [markdown]
# ## People who play
#
# A block is ten rounds under one mechanism. Who plays may be a person, a network that imitates one, or a calculating egoist;
# all three can do the same three things, and nothing else about them matters to the game.
#
# * `init`: sit down at the table, knowing one's endowment;
# * `act`: put coins in, as a draw from whatever one's inclination is;
# * `update`: look at the results screen, which shows everybody's contribution and payout.
#
# `update` also receives the mechanism itself, a plain function. Networks ignore it. A person who asks "what would one more coin
# have brought me?" and the rational player of a later notebook need it.

# %%
#| export
class Players(NamedTuple):
    "What a group of players can do; `state` is any pytree that they like to remember."

    init: Callable[[Array, Array], Any]  # (key, endowment [..., P]) -> state
    act: Callable[[Array, Any, Array], Array]  # (key, state, endowment) -> contribution [..., P], coins
    update: Callable[[Any, Array, Array, Array, Mechanism], Any]
    # (state, endowment, contribution, payout, mechanism) -> state


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Block:
    "What happened in one block of play, for any number of groups."

    endowment: Array  # [..., P] coins, the same in every round
    contribution: Array  # [..., T, P] coins
    payout: Array  # [..., T, P] coins

    @property
    def relative_contribution(self) -> Array:  # [..., T, P] fraction of the endowment
        return self.contribution / self.endowment[..., None, :]

    @property
    def relative_payout(self) -> Array:  # [..., T, P] in units of the own endowment
        return self.payout / self.endowment[..., None, :]

    @property
    def returns(self) -> Array:  # [..., T, P] coins
        return returns(self.endowment[..., None, :], self.contribution, self.payout)


# %% [markdown]
# ### A referee who remembers
#
# A mechanism looks at this round and at nothing else. A person in the referee's chair may bear a grudge: in the paper's last
# experiment people hand out the fund, and they know who gave nothing two rounds ago. So `play` also takes a *referee*, who may
# carry a state from round to round. A plain mechanism is the referee who carries nothing.

# %%
#| export
class Referee(NamedTuple):
    "A mechanism that may remember (Koster et al., \"Human referee experiments\"); `state` is any pytree with the leading shape of the endowments."

    init: Callable[[Array, Array], Any]  # (key, endowment [..., P]) -> state
    share: Callable[[Any, Array, Array], Array]  # (state, endowment, contribution) -> [..., P] shares, as a mechanism's
    update: Callable[[Any, Array, Array, Array], Any]  # (state, endowment, contribution, payout) -> state


def as_referee(
    mechanism: Mechanism | Referee,
) -> Referee:
    "Seat a plain mechanism as the referee who remembers nothing; a referee stays as it is."
    if isinstance(mechanism, Referee):
        return mechanism
    return Referee(
        init=lambda key, endowment: (),
        share=lambda state, endowment, contribution: mechanism(endowment, contribution),
        update=lambda state, endowment, contribution, payout: state,
    )


# %% [markdown]
# The block itself is a loop over rounds: the first, and then nine times learn and act (after the last there is nothing to learn for).
# The key is split once for sitting down and once for every round: whoever consumes
# randomness gets a key of their own, so the same key always replays the same block. Players who ask about the mechanism are told
# the one that was in force in the round they look at: the referee's, with what it remembered then.

# %%
#| export
def play(
    key: Array,  # consumed: one part by the players' `init`, one part per round by `act`, one part by the referee's `init`
    players: Players,
    endowment: Array,  # [..., P] coins
    mechanism: Mechanism | Referee,
    *,
    game: Game = Game(),
    n_rounds: int | None = None,  # default: a full block
) -> Block:
    "Play one block under one mechanism or referee (Koster et al., \"Investment game\")."
    key_start, key_rounds = jax.random.split(key)
    referee = as_referee(mechanism)

    def act(minds, memory, key):
        contribution = players.act(key, minds, endowment)
        return contribution, payout(endowment, contribution, partial(referee.share, memory), growth=game.growth)

    def next_round(carried, key):
        minds, memory, *seen = carried
        minds = players.update(minds, endowment, *seen, partial(referee.share, memory))
        memory = referee.update(memory, endowment, *seen)
        seen = act(minds, memory, key)
        return (minds, memory, *seen), seen

    keys = jax.random.split(key_rounds, n_rounds or game.n_rounds)
    start = players.init(key_start, endowment), referee.init(jax.random.fold_in(key, 2), endowment)
    first = act(*start, keys[0])
    _, later = jax.lax.scan(next_round, (*start, *first), keys[1:])
    contribution, paid = (jnp.concatenate([one[None], rest]) for one, rest in zip(first, later))
    return Block(endowment, jnp.moveaxis(contribution, 0, -2), jnp.moveaxis(paid, 0, -2))


# %% [markdown]
# The dullest players imaginable put in a random number of coins and learn nothing. Dull, but they are in the published data: a
# participant who timed out twice was replaced by just such a bot.

# %%
#| export
def random_bots() -> Players:
    "Players that put in any number of coins with equal probability (Koster et al., \"Participants\")."
    return Players(
        init=lambda key, endowment: (),
        act=lambda key, state, endowment: jnp.floor(jax.random.uniform(key, endowment.shape) * (endowment + 1)),
        update=lambda state, endowment, contribution, payout, mechanism: state,
    )


# %%
groups = jnp.tile(endowment, (4096, 1))
bots = play(jax.random.key(0), random_bots(), groups, equal_split)
print("contribution", bots.contribution.shape, "| mean relative contribution", bots.relative_contribution.mean((0, 1)).round(2))
assert bots.contribution.shape == (4096, 10, 4)
assert (bots.contribution == jnp.round(bots.contribution)).all(), "coins are whole"
assert ((bots.contribution >= 0) & (bots.contribution <= groups[:, None])).all(), "nobody gives what they do not have"
assert jnp.allclose(bots.payout.sum(-1), 1.6 * bots.contribution.sum(-1), atol=1e-4), "the fund is handed out whole"


# %% [markdown]
# And a grudge: this referee splits equally, except that whoever gave nothing *last* round is left out. A bot with 2 coins gives
# nothing one time in three, one with 10 coins one time in eleven. Who should feel it more?

# %%
def left_out(gave, endowment, contribution):
    "Split equally among those who gave something in the round before; among all if nobody did."
    counted = jnp.where(gave.any(-1, keepdims=True), gave, True)
    return counted / counted.sum(-1, keepdims=True)


grudge = Referee(
    init=lambda key, endowment: endowment > 0,
    share=left_out,
    update=lambda gave, endowment, contribution, payout: contribution > 0,
)
resented = play(jax.random.key(0), random_bots(), groups, grudge)
missed = (resented.contribution[:, :-1] == 0) & (resented.contribution[:, :-1] > 0).any(-1, keepdims=True)
assert (resented.payout[:, 1:][missed] == 0).all(), "who gave nothing is paid nothing a round later"
assert jnp.array_equal(resented.contribution, bots.contribution), "bots play on, whoever hands out the fund"
assert jnp.allclose(resented.payout.sum(-1), 1.6 * resented.contribution.sum(-1), atol=1e-4)
ann, bob = resented.payout.mean((0, 1))[:2]
assert ann > bob + 0.5
print("mean payout, coins a round: Ann", ann.round(2), "Bob", bob.round(2), "| without a grudge", bots.payout.mean().round(2))

# %% [markdown]
# ### The naive way: sum the coins
#
# How generous was a group? Adding up coins looks natural, and misleads at once: four bots who all play alike appear to be one
# big giver and three misers, because Ann has five times as much to give.

# %%
coins = bots.contribution.mean((0, 1))
share_of_own = bots.relative_contribution.mean((0, 1))
assert coins[0] > 4 * coins[1], "in coins the head seems to give five times as much"
assert jnp.allclose(share_of_own, 0.5, atol=0.01), "in fractions of the endowment all are alike"

fig, axes = plt.subplots(1, 2, figsize=(7, 2.4))
for ax, value, label in zip(axes, (coins, share_of_own), ("coins a round", "fraction of endowment")):
    ax.bar(["Ann", "Bob", "Cem", "Dee"], value, color=["#b5651d", "#4c78a8", "#4c78a8", "#4c78a8"])
    ax.set_ylabel(f"mean contribution\n({label})")
fig.tight_layout()


# %% [markdown]
# The left panel shows the endowments, the right one shows behaviour. From here on contributions and payouts are compared
# *relative to the own endowment* unless an axis says coins.

# %% [markdown]
# ## A session: thirty-four rounds
#
# A participant plays a tutorial block without a referee, ten rounds under referee A, ten under referee B, then votes, and then
# plays four bonus rounds. The bonus is a lottery: A referees it with probability equal to A's share of the four votes. That
# removes any reason to vote strategically, since one more vote always makes one's favourite more likely, by a quarter.

# %%
#| export
class Session(NamedTuple):
    "Everything one group lives through in an experiment."

    tutorial: Block
    a: Block
    b: Block
    votes_for_a: Array  # [..., P] bool
    a_plays_bonus: Array  # [...] bool
    bonus: Block


def same_participants(
    players: Players,
    key: Array,  # consumed by every `init`, so that each block begins with the same persons
) -> Players:
    "Seat the same persons again at every block: their traits come from `key`, not from the block's own."
    return players._replace(init=lambda _, endowment: players.init(key, endowment))


# %% [markdown]
# The traits of a person (how trusting, how quick to react) are drawn at `init`. Seating the *same* people three times is a matter of
# starting them with the same key.

# %%
#| export
def session(
    key: Array,  # consumed: two parts by the tutorial, a and b (people, draws), then votes, lottery, bonus
    unrefereed: Players,  # how people play when there is no referee
    refereed: Players,  # how the same people play under one
    endowment: Array,  # [..., P] coins
    a: Mechanism | Referee,  # referee of the second block
    b: Mechanism | Referee,  # referee of the third block
    vote: Callable[[Array, Block, Block], Array],  # (key, block a, block b) -> [..., P] bool, True for a
    *,
    game: Game = Game(),
) -> Session:
    "Play tutorial, referee A, referee B, vote, and the bonus block that the vote's lottery decides (Koster et al., \"Investment game\")."
    key_people, key_tutorial, key_a, key_b, key_vote, key_lottery, key_bonus = jax.random.split(key, 7)
    without, under = (same_participants(p, key_people) for p in (unrefereed, refereed))
    tutorial = play(key_tutorial, without, endowment, equal_split, game=game)
    block_a = play(key_a, under, endowment, a, game=game)
    block_b = play(key_b, under, endowment, b, game=game)
    votes = vote(key_vote, block_a, block_b)
    a_wins = jax.random.uniform(key_lottery, votes.shape[:-1]) < votes.mean(-1)
    by_a, by_b = (play(key_bonus, under, endowment, m, game=game, n_rounds=game.n_bonus_rounds) for m in (a, b))
    bonus = jax.tree.map(lambda x, y: jnp.where(a_wins.reshape(a_wins.shape + (1,) * (x.ndim - a_wins.ndim)), x, y), by_a, by_b)
    return Session(tutorial, block_a, block_b, votes, a_wins, bonus)


# %% [markdown]
# Does the lottery keep its promise? Let bots vote by coin flips and look at how often A referees the bonus block, given the
# number of votes for A.

# %%
flip = lambda key, a, b: jax.random.bernoulli(key, 0.5, a.endowment.shape)
evening = session(jax.random.key(1), random_bots(), random_bots(), groups, equal_split, equal_split, flip)
votes = np.asarray(evening.votes_for_a.sum(-1))
frequency = np.array([np.asarray(evening.a_plays_bonus)[votes == k].mean() for k in range(5)])
print("votes for A          ", np.arange(5), "\nA referees the bonus ", frequency.round(2))
assert frequency[0] == 0 and frequency[4] == 1, "a unanimous vote is binding"
assert np.abs(frequency - np.arange(5) / 4).max() < 0.05
rounds = sum(b.contribution.shape[-2] for b in (evening.tutorial, evening.a, evening.b, evening.bonus))
assert rounds == 34


# %% [markdown]
# ## How much, and how evenly
#
# *Surplus* is the sum of all returns divided by the sum of all endowments, over players and rounds: 1 when nobody ever
# contributes, 1.6 when everybody always gives everything. It does not depend on who gets the fund.
#
# The *Gini coefficient* is half the mean absolute difference between two people, divided by the mean: 0 when all have the same.

# %%
#| export
def surplus(
    block: Block,
) -> Array:  # [...] between 1 and the growth factor
    "Divide the sum of returns by the sum of endowments, over players and rounds (Koster et al., \"Data pre-processing\")."
    n_rounds = block.contribution.shape[-2]
    return block.returns.sum((-2, -1)) / (n_rounds * block.endowment.sum(-1))


def gini(
    amount: Array,  # [..., P] coins, non-negative, not all zero
) -> Array:  # [...] 0 = equal
    "Halve the mean absolute difference between all pairs of players and divide it by the mean (population form)."
    difference = jnp.abs(amount[..., :, None] - amount[..., None, :])
    return difference.mean((-2, -1)) / (2 * amount.mean(-1))


# %% [markdown]
# Check against the one value that the paper prints: endowments of 10, 2, 2, 2 have a Gini of 0.38. By hand: six of the sixteen
# ordered pairs differ, each by 8, so the mean difference is 3; the mean is 4; 3 / 8 = 0.375. The paper rounds up.

# %%
assert gini(endowment) == 0.375
assert gini(jnp.full(4, 10.0)) == 0
everything = play(jax.random.key(0), random_bots()._replace(act=lambda key, state, e: e), endowment, equal_split)
nothing = play(jax.random.key(0), random_bots()._replace(act=lambda key, state, e: 0 * e), endowment, equal_split)
assert jnp.allclose(surplus(everything), 1.6) and jnp.allclose(surplus(nothing), 1.0)
print("Gini of the endowments", gini(endowment), "| surplus", surplus(nothing), "to", surplus(everything))

# %%
tails = np.arange(2, 11, 2)
fig, ax = plt.subplots(figsize=(4, 2.6))
ax.plot(tails, [float(gini(jnp.array([10.0, t, t, t]))) for t in tails], "o-", color="#444444")
ax.set(xlabel="tail endowment (coins; the head has 10)", ylabel="Gini of the endowments", xticks=tails)
fig.tight_layout()

# %% [markdown]
# The five conditions of the experiments run from 0.375 down to perfect equality, and most of the fall happens before tail 6.
#
# ## Recap
#
# `Game` holds the rules, `Players` what a player can do, `Referee` (made of a mechanism by `as_referee`) who hands out the fund, `play`
# a block, `session` the whole evening; `devices.as_pytree` lets one compiled program serve many networks, `devices.shard` cuts many tables into parts; `payout`, `returns`, `surplus`, `gini` the book-keeping; `equal_split` and `random_bots` the two defaults that need no explanation.
#
# Questions to take along: who would propose equal splitting, and who would vote for it? Is there a mechanism under which Ann
# gains by giving *and* the others prefer it?
#
# **Exercise.** With equal splitting a coin brings 0.4 back. For which growth factor does the dilemma vanish?
#
# <details><summary>Solution</summary>
#
# One coin brings growth / 4 back to its giver, so at growth 4 giving costs nothing.

# %%
gain = lambda growth: float(jax.grad(lambda c: payout(endowment, endowment.at[0].set(c), equal_split, growth=growth)[0])(5.0))
assert np.isclose(gain(1.6), 0.4) and np.isclose(gain(4.0), 1.0)
print("one more coin from Ann brings her", gain(1.6), "at growth 1.6 and", gain(4.0), "at growth 4")

# %% [markdown]
# </details>
