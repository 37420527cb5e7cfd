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
# # Four experiments
#
# > A plan, a population and two learned mechanisms go in; every round and every vote of four experiments come out.

# %%
#| default_exp experiments

# %% [markdown]
# *In this notebook*: the four experiments of Koster et al. (Materials and Methods, "Detail of
# Experiments", "Debriefing" and "Human referee experiments"), played by the stand-in participants
# of 03_participants under mechanisms of 01 and 07. 15_released makes the same tables from people's
# files. `25_experiments` runs it with the mechanisms that a run has trained; the notebooks that
# draw and test read its two tables, `trials` and `votes`.
#
# Nobody in the tables made here is a person. Three things are pure assumption, each stated below
# with its reasons: how somebody votes (05_voting), how a *human referee* hands out the fund, and
# how somebody answers seven questions about it.

# %%
#| export
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from democratic_ai import data, game, mechanisms, participants, voting
from democratic_ai.engine import published, store

# %%
#| hide
import matplotlib.pyplot as plt
import statsmodels.api as sm

from democratic_ai import figures, graphnet

# %% [markdown]
# ## A session
#
# Ann has 10 coins, Bob, Cem and Dee have 4 each. They play ten rounds without a referee. Then ten
# under referee A, then ten under referee B; one of the two is the learned mechanism, HCRM, the
# other its rival. Then they vote. Say Ann and Bob are for A, the others for B: two votes for HCRM,
# and one group more in a table.
#
# What has to be settled before anybody plays? How many groups; against which rival; with how many
# coins for the tails; and who goes first. For Experiments 2 and 3 the paper's Table S1a answers: a
# quarter of the votes in a cell is its number of groups. Experiment 4 says it in words: 61 games
# with tails of 4. But Experiment 1 only says that 756 people played, in three conditions, and
# prints curves.
#
# ## How many groups make a curve?
#
# A mean over $n$ heads with ten coins each is a whole number of coins divided by $10n$, and that of
# their tails one divided by $3n$ times the tail's coins. So try every $n$: at the right one all ten
# rounds, multiplied out, should be whole numbers.

# %%
curves = published.read("fig1c_relative_contribution")


def distance(cell, n):
    "How far from whole coins a cell's means are at worst, if each is over n groups."
    has = np.where(cell.role == "head", 10, 3 * cell.tail_endowment)
    coins = has * n * cell.relative_contribution
    return np.abs(coins - coins.round()).max()


n = np.arange(25, 121)
cell = curves[(curves.mechanism == "strict_egalitarian") & (curves.tail_endowment == 2)]
with figures.style():
    fig, ax = plt.subplots(figsize=(5, 2))
    ax.plot(n, [distance(cell, k) for k in n], color=figures.HEAD)
    ax.set(xlabel="supposed number of groups", ylim=(0, 0.52))
    ax.set_ylabel("distance from whole\ncoins (coins, at worst)")
print("nearest to whole coins:", n[np.argmin([distance(cell, k) for k in n])])
assert distance(cell, 61) < 0.02 and min(distance(cell, k) for k in n if k != 61) > 0.15


# %% [markdown]
# Sixty-one, beyond doubt, and from a picture. The other cells resist until one looks at rounds
# separately:

# %%
def groups_behind(cell):
    "How near to whole coins a cell's means can be, and at which number of groups."
    return min((distance(cell, k), k) for k in n)


condition, parts = ["mechanism", "tail_endowment"], ["rounds 1-3", "rounds 4-10"]
counted = []
for (mechanism, tail), cell in curves.groupby(condition, sort=False):
    near_1, early = groups_behind(cell[cell["round"] <= 3])
    near_2, late = groups_behind(cell[cell["round"] > 3])
    counted.append((mechanism, tail, early, late, max(near_1, near_2)))
counted = pd.DataFrame(counted, columns=["mechanism", "tail", *parts, "distance"])
counted = counted.set_index(["mechanism", "tail"])
blocks = counted.groupby("mechanism", sort=False)[parts].sum()
print(blocks, "\n")
assert counted.distance.max() < 0.08
assert blocks.loc["strict_egalitarian"].tolist() == [189, 189]
counted.round(2)

# %% [markdown]
# So 61 + 61 + 67 = 189 groups, which are the 756 people, played a tutorial: strict egalitarian is
# exact. The two mechanisms with a referee surprise twice. Their first three rounds are means over
# *more* groups than the later ones; the extra ones look like bonus blocks (of three rounds, though
# the paper says four), counted in with the rest. And there are 202 and 210 blocks of ten rounds,
# although the paper's tests of the heads, $F_{2,91}$ and $F_{2,96}$, speak of 94 and 99 heads. Both
# fit if a group met *one* of the two rivals, and met it about twice.
#
# That is how we play it: a tutorial, then rival, early HCRM, rival, early HCRM, always in this
# order. Libertarian is met by 94 groups, liberal egalitarian by the other 95, over tails in
# proportion to the blocks above. The blocks under the early HCRM are not reported, as in the paper.

# %%
#| export
# groups by rival and tail endowment; 61, 61 and 67 in all (Koster et al., Figure 1c)
_EXPERIMENT_1 = {
    "libertarian": {2: 34, 4: 27, 10: 33},
    "liberal_egalitarian": {2: 27, 4: 34, 10: 34},
}
# games by the number of votes cast (Koster et al., "Human referee experiments")
_EXPERIMENT_4 = {4: 43, 3: 13, 2: 3, 1: 2}
AGENT, EARLY, HUMAN = "hcrm", "early_hcrm", "human_referee"  # names of mechanisms


# %%
#| export
def _cells():
    "List experiment, rival, tail endowment and number of groups of every cell."
    cells = [
        (1, rival, tail, n)
        for rival, tails in _EXPERIMENT_1.items()
        for tail, n in tails.items()
    ]
    printed = published.read("table_s1a_votes").itertuples(index=False)
    for rival, tail, _, cast in printed:
        experiment = 3 if rival == "rational" else 2
        cells.append((experiment, rival, tail, cast // game.Game.n_players))
    cells.append((4, HUMAN, 4, sum(_EXPERIMENT_4.values())))
    columns = ["experiment", "rival", "tail_endowment", "n"]
    return pd.DataFrame(cells, columns=columns).sort_values("experiment", kind="stable")


# %%
#| export
def plan(
    *,
    fraction: float = 1.0,  # of the original numbers of groups; at least two a cell
) -> pd.DataFrame:  # experiment, group, rival, tail_endowment, agent_first
    """Recruit as many groups as were published, a row each (Koster et al., Figure 1c,
    Table S1a, "Human referee experiments").

    Every other group meets HCRM first.
    """
    rows = _cells()
    n = (rows.n * fraction).round().clip(lower=2).astype(int)
    rows = rows.loc[rows.index.repeat(n)].drop(columns="n").reset_index(drop=True)
    rows.insert(1, "group", rows.groupby("experiment").cumcount())
    first = (rows.group % 2 == 0) & (rows.experiment > 1)
    return rows.assign(agent_first=first)


# %%
groups = plan()
sums = {"groups": ("group", "size"), "agent_first": ("agent_first", "sum")}
recruited = groups.groupby("experiment").agg(**sums)
recruited["players"] = 4 * recruited.groups
assert recruited.groups.tolist() == [189, 821, 184, 61]
assert recruited.players[[1, 2, 3]].sum() == 4776
by_tail = groups[groups.experiment == 1].groupby("tail_endowment").size()
assert by_tail.tolist() == [61, 61, 67]
recruited


# %% [markdown]
# The 4,776 people of Experiments 1 to 3 are the number that the paper gives. (Its "n = 2508" for
# Experiment 2 is another matter: that is 740 + 1,768, without the 776 who met strict egalitarian.)
#
# ## Who hands out the fund?
#
# In Experiment 4 the rival is a person, and a model has to play that person. What does the paper
# tell about its referees?
#
# * On their screen the earnings start out *equal*; they shift parts from there.
# * Overall they responded less to contributions than HCRM, paid heads next to nothing less often,
#   and did not reward tails enough who gave generously from the little they had.
# * Unlike HCRM they could remember.
# * They had practised three blocks, where HCRM had 10,000 updates.
#
# So our **stand-in referee** is a point of the ideological manifold (01_mechanisms) with a memory
# and a trembling hand. Some of the way $u$ from the equal split towards a rule by contribution,
# which counts partly coins (they are what the screen shows) and partly ratios: in the manifold's
# terms $w = (1 + 3u)/4$ and $v$. It is applied not to this round's contributions but to a record of
# them, $m_{it} = c_{it} + \mu\, m_{i,t-1}$. Then the hand trembles:
#
# $$\text{share}_{it} \propto \text{manifold}_{w,v}(e, m_t)_i \; e^{\tau \varepsilon_{it}} .$$
#
# Three blocks are too few to find out what wins votes, so $u$ and $v$ are not tuned to anything:
# they belong to the person and are drawn once.

# %%
#| export
@jax.tree_util.register_static
@dataclass(frozen=True)
class HumanReferee:
    """How stand-in referees share: stated after Koster et al., "Human referee
    experiments", fitted to nothing."""

    # range of the part of the way from the equal split to a rule by contribution:
    # nobody leaves the screen as it was, and overall they respond less than HCRM
    departure: tuple[float, float] = (0.2, 0.8)
    # range of the weight of ratios against coins: the screen shows coins, some compare
    relative: tuple[float, float] = (0.0, 1.0)
    memory: float = 0.5  # part of the record that is left a round later; HCRM has none
    # standard deviation of a share's logarithm: four points of 100 at an equal share
    tremble: float = 0.15


class RefereeState(NamedTuple):
    "What a stand-in referee carries through a block."

    key: Array  # of the trembling to come
    departure: Array  # [..., 1] part of the way from the equal split
    relative: Array  # [..., 1] weight of ratios against coins
    record: Array  # [..., P] coins, contributions so far, older ones faded
    tremble: Array  # [..., P] of this round, in logarithms of a share


# %%
#| export
def _init_referee(person, key, endowment):
    "Draw a referee for every group."
    key_departure, key_relative, key_hand = jax.random.split(key, 3)
    shape = (*endowment.shape[:-1], 1)

    def drawn(key, range):
        low, high = range
        return jax.random.uniform(key, shape, minval=low, maxval=high)

    later, tremble = _tremble(person, key_hand, endowment)
    departure = drawn(key_departure, person.departure)
    relative = drawn(key_relative, person.relative)
    return RefereeState(later, departure, relative, jnp.zeros_like(endowment), tremble)


def _tremble(person, key, endowment):
    "Split off the key of later rounds, and draw the trembling of this one."
    key_later, key_now = jax.random.split(key)
    return key_later, person.tremble * jax.random.normal(key_now, endowment.shape)


# %%
#| export
def human_referee(
    person: HumanReferee = HumanReferee(),
) -> game.Referee:
    """Make stand-in referees, one for every group (this project's model).

    They are in the place of the people of Koster et al., Exp. 4.
    """

    def share(state, endowment, contribution):
        n_players = endowment.shape[-1]
        own = (1 + (n_players - 1) * state.departure) / n_players
        rule = mechanisms.manifold(own, state.relative)
        record = contribution + person.memory * state.record
        part = rule(endowment, record) * jnp.exp(state.tremble)
        return part / part.sum(-1, keepdims=True)

    def update(state, endowment, contribution, payout):
        record = contribution + person.memory * state.record
        later, tremble = _tremble(person, state.key, endowment)
        return state._replace(key=later, record=record, tremble=tremble)

    init = lambda key, endowment: _init_referee(person, key, endowment)
    return game.Referee(init, share, update)


# %% [markdown]
# Ann gives nothing in the first round and five coins in every later one; the tails give two of
# their four throughout. A mechanism would forget at once. What do four referees who do not tremble
# pay her?

# %%
four = jnp.tile(mechanisms.head_and_tails(4.0), (4, 1))
habit = jnp.array([5.0, 2, 2, 2])


def give(key, t, endowment):
    "Ann nothing in round 0; otherwise what everybody is in the habit of giving."
    nothing = (t == 0) & (jnp.arange(4) == 0)
    return jnp.where(nothing, 0, jnp.broadcast_to(habit, endowment.shape))


repentant = game.Players(
    init=lambda key, endowment: 0, act=give, update=lambda t, *seen: t + 1
)
untrembling = human_referee(HumanReferee(tremble=0.0))
steady = game.play(jax.random.key(0), repentant, four, untrembling)
to_ann = steady.payout[..., 0] / steady.payout.sum(-1)
assert (jnp.diff(to_ann, axis=1) > -1e-6).all(), "the record of the first round fades"
assert (to_ann[:, 1] < to_ann[:, -1]).all(), "but it is held against her"
assert (to_ann[:, 0] > 0).all(), "and even then she is not left without"
paid, fund = steady.payout.sum(-1), 1.6 * steady.contribution.sum(-1)
assert jnp.allclose(paid, fund, atol=1e-4), "the fund is handed out whole"
rounds = np.asarray(to_ann)[:, [0, 1, 2, -1]].round(2)
print("Ann's part of the fund in rounds 1, 2, 3 and 10:\n", rounds)

# %% [markdown]
# Each row is one referee. All hold the first round against her for a while, none leaves her without
# anything even in that round, and they disagree about the rest.
#
# And HCRM? Here is the one that this book's run has learned (the first seed's), in the condition of
# Experiment 4: endowments 10, 4, 4, 4.

# %%
committed = published.DATA / "fixtures" / "hcrm.safetensors"
template = graphnet.init(jax.random.key(0))
hcrm = graphnet.mechanism(store.load_parameters(committed, template))
eleven = jnp.tile(mechanisms.head_and_tails(4.0), (11, 1))
ratio = jnp.linspace(0, 1, 11)
varied = {
    role: jnp.tile(habit, (11, 1)).at[:, player].set(ratio * eleven[:, player])
    for role, player in (("head", 0), ("tail", 1))
}
states = untrembling.init(jax.random.key(0), jnp.tile(eleven[:1], (12, 1, 1)))
parts = {}
with figures.style():
    fig, axes = plt.subplots(1, 2, figsize=(6.5, 2.5), sharey=True)
    panels = zip(axes, enumerate(varied.items()), strict=True)
    for ax, (player, (role, given)) in panels:
        people = np.asarray(untrembling.share(states, eleven, given)[..., player])
        learned = np.asarray(jax.jit(hcrm)(eleven, given)[:, player])
        parts[role] = people, learned
        once = ["stand-in referees"] + 11 * [None]
        ax.plot(ratio, people.T, color=figures.CHANCE, lw=0.8, label=once)
        ax.plot(ratio, learned, **figures.ROLES[role], label=f"HCRM, to the {role}")
        ax.set_xlabel(f"contribution of the {role} (fraction of endowment)")
        ax.set_ylim(0, 1)
        ax.legend(loc="upper left")
    axes[0].set_ylabel("share of the fund (fraction)")
responds = {
    role: (people[:, -1] - people[:, 0], learned[-1] - learned[0])
    for role, (people, learned) in parts.items()
}
for role, (people, learned) in responds.items():
    print(
        f"from nothing to everything the {role}'s share grows by {people.mean():.2f} "
        f"with stand-in referees, {learned:.2f} with HCRM"
    )
assert (parts["head"][0][:, 0] > parts["head"][1][0]).all(), (
    "a head who gives nothing gets more from every stand-in referee"
)
(to_head, by_hcrm), (to_tail, by_hcrm_to_tail) = responds.values()
assert to_head.mean() < by_hcrm, "and they respond less"
assert to_tail.max() < by_hcrm_to_tail, "and they respond less"


# %% [markdown]
# One player's contribution varies, the others give half. The stand-in referees are flatter than
# HCRM, for a tail every one of them; all pay more to a head who gives nothing, and less to a tail
# who gives all. That is what the paper tells of its referees, and nothing was tuned for it to come
# out.

# %% [markdown]
# ## Who is still there for the vote?
#
# In Experiment 4 people left, and were replaced by bots; 219 votes came from 61 games: 43 games
# with four votes, 13 with three, 3 with two and 2 with one. That pattern is kept exactly. Which
# game, which player and when is drawn; nobody leaves in the first round, because it takes two
# time-outs.

# %%
#| export
def experiment4_dropouts(
    key: Array,  # consumed: games, players and rounds, one part each
    n_groups: int,
    *,
    n_rounds: int = 3 * game.Game.n_rounds,  # before the vote
) -> Array:  # [G, P] round of the session, from 0, when a bot takes over; or infinite
    """Draw who leaves, in the published proportions (Koster et al., "Human referee
    experiments")."""
    key_game, key_player, key_round = jax.random.split(key, 3)
    n_players, n_games = game.Game.n_players, sum(_EXPERIMENT_4.values())
    ends = np.cumsum(list(_EXPERIMENT_4.values())) * n_groups / n_games
    counts = np.diff(np.round(ends).astype(int), prepend=0)
    gone = np.repeat([n_players - votes for votes in _EXPERIMENT_4], counts)
    gone = jax.random.permutation(key_game, jnp.asarray(gone))[:, None]
    drawn = jax.random.uniform(key_player, (n_groups, n_players))
    order = drawn.argsort(-1).argsort(-1)
    moment = jax.random.randint(key_round, (n_groups, n_players), 1, n_rounds)
    return jnp.where(order < gone, moment, jnp.inf)


# %%
stay = np.isinf(experiment4_dropouts(jax.random.key(1), 61))
assert stay.sum() == 219 and np.bincount(stay.sum(-1)).tolist() == [0, 2, 3, 13, 43]
assert abs(stay.mean(0) - stay.mean()).max() < 0.1, "any player"
print("votes by player:", stay.sum(0))


# %% [markdown]
# ## One experiment, played
#
# All groups of an experiment play at once, block after block, each under its own referee. The
# schedule is a small table of names.

# %%
#| export
def schedule(
    groups: pd.DataFrame,  # of one experiment, as in `plan`
) -> np.ndarray:  # [S, G] name of what a group plays under in each block
    """Put the blocks of a session in order (Koster et al., "Investment game" and
    "Detail of Experiments")."""
    tutorial = np.full(len(groups), "tutorial", object)
    rival, first = groups.rival.to_numpy(), groups.agent_first.to_numpy()
    if (groups.experiment == 1).all():
        early = np.full(len(groups), EARLY, object)
        return np.stack([tutorial, rival, early, rival, early])
    a, b = np.where(first, AGENT, rival), np.where(first, rival, AGENT)
    return np.stack([tutorial, a, b])


# %%
#| export
def play_experiment(
    key: Array,  # consumed: drop-outs, play
    population: participants.Population,
    groups: pd.DataFrame,  # of one experiment, as in `plan`
    contenders: dict[str, game.Mechanism | game.Referee],  # at least the scheduled ones
) -> data.Plays:  # S blocks of G groups, block after block
    """Play one experiment's sessions as scheduled; in Exp. 4 some leave (Koster et al.,
    "Detail of Experiments")."""
    key_leave, key_play = jax.random.split(key)
    names, by_name = ("tutorial", *contenders), schedule(groups)
    choices = [game.equal_split, *contenders.values()]
    code = jnp.asarray(np.vectorize(names.index)(by_name))
    referees = game.scheduled_referee(choices, code)
    tails = jnp.asarray(groups.tail_endowment.to_numpy(), float)
    endowment = mechanisms.head_and_tails(tails)
    leaves = jnp.full(endowment.shape, jnp.inf)
    if (groups.experiment == 4).all():
        leaves = experiment4_dropouts(key_leave, len(groups))
    played = endowment, jnp.full(len(groups), len(by_name)), leaves
    return participants.play_sessions(key_play, population, *played, referees, names)


# %% [markdown]
# Two tables leave this notebook. `trials` has a row for every round of every player; what Figure 1C
# calls strict egalitarian is the tutorial of Experiment 1, so it goes by that name there.

# %%
#| export
TRIAL_COLUMNS = (
    "experiment", "group", "rival", "tail_endowment", "session", "mechanism", "round",
    "player", "endowment", "contribution", "payout", "answered",
)  # fmt: skip
# says which row of `trials` one is
ROW_KEY = ["experiment", "group", "session", "round", "player"]


def trial_table(
    plays: data.Plays,
    blocks: pd.DataFrame,  # experiment, group, rival, tail_endowment; a row per block
    *,
    source: str,  # participants | people
) -> pd.DataFrame:  # TRIAL_COLUMNS and source; a row per round of a player
    """Tabulate every round that is reported: not those under the early HCRM of Exp. 1
    (Koster et al., "Detail of Experiments")."""
    rows = data.plays_to_table(plays)
    known = blocks.iloc[rows.group].reset_index(drop=True)
    columns = ["experiment", "group", "rival", "tail_endowment"]
    rows = rows.assign(**{name: known[name] for name in columns}, source=source)
    first = rows.experiment == 1
    tutorial = first & (rows.session == 0)
    rows["mechanism"] = rows.mechanism.mask(tutorial, participants.TUTORIAL)
    rows = rows[~(first & rows.mechanism.isin([AGENT, EARLY]))]
    rows = rows.sort_values(ROW_KEY, ignore_index=True)
    whole = [*ROW_KEY, "tail_endowment", "endowment", "contribution"]
    return rows.astype(dict.fromkeys(whole, int))[[*TRIAL_COLUMNS, "source"]]


# %% [markdown]
# ## Seven questions
#
# After the vote everybody is asked: *which referee* makes everyone do better, you, the majority;
# which is fairer, better at encouraging collaboration, more lenient, more predictable? Each
# question compares the two blocks, so each has something on the screen to look at:
#
# 1. everyone: the group's surplus;
# 2. you: the own return, in own endowments;
# 3. the majority: the middle of the four returns;
# 4. fairer: the smaller Gini coefficient of the four returns;
# 5. collaboration: the mean contribution, relative to the endowment;
# 6. lenient: the share of the fund that reaches those who hold back, each round's shares weighted
#    by the fraction kept;
# 7. predictable: the correlation, over ten rounds, of what one gave with what one got.

# %%
#| export
def debriefing_features(
    block: game.Block,
) -> Array:  # [7, ..., P], one row per question
    """Measure what the seven questions ask about, as this project reads them (Koster et
    al., "Debriefing")."""
    own = (block.returns / block.endowment[..., None, :]).mean(-2)
    fair = -game.gini(block.returns.sum(-2))
    given = block.relative_contribution.mean((-2, -1))
    group = [game.surplus(block), jnp.median(own, -1), fair, given, _leniency(block)]
    group = [jnp.broadcast_to(x[..., None], own.shape) for x in group]
    everyone, *others = group
    return jnp.stack([everyone, own, *others, _predictability(block)])


def _leniency(block):
    "Average the share of the fund of those who hold back, by the fraction kept."
    fund = block.payout.sum(-1, keepdims=True)
    kept = (1 - block.relative_contribution) * (fund > 0)
    share = block.payout / jnp.where(fund > 0, fund, 1)
    weight = kept.sum((-2, -1))
    return (share * kept).sum((-2, -1)) / jnp.where(weight > 0, weight, 1)


def _predictability(block):
    "Correlate what a player gave with what came back, over the rounds."
    centre = lambda x: x - x.mean(-2, keepdims=True)
    gave, got = centre(block.contribution), centre(block.payout)
    spread = jnp.sqrt((gave**2).sum(-2) * (got**2).sum(-2))
    return (gave * got).sum(-2) / jnp.where(spread > 0, spread, 1)


# %% [markdown]
# Under a libertarian what comes back is what went in: predictability one. Under an equal split with
# three companions who give at random it is much less. And whoever holds back is treated better by
# the equal split.

# %%
many = jnp.tile(mechanisms.head_and_tails(4.0), (500, 1))
split, returned = (
    debriefing_features(game.play(jax.random.key(2), game.random_bots(), many, m))
    for m in (game.equal_split, mechanisms.libertarian)
)
assert jnp.allclose(returned[6], 1, atol=1e-3) and split[6].mean() < 0.7
assert jnp.allclose(split[5], 0.25, atol=1e-5) and returned[5].mean() < 0.2, (
    "holding back: a quarter each, or less"
)
assert jnp.allclose(split[0], returned[0], atol=1e-5), (
    "bots make the same surplus under everybody"
)
of_both = lambda question: (x[question].mean().round(2) for x in (split, returned))
print("predictable:", *of_both(6), "| lenient:", *of_both(5))


# %% [markdown]
# How does an impression become an answer? With noise, and with a *halo*: whoever has just voted for
# a referee tends to find good things in it. For question $q$ with difference $d_q$ (HCRM minus
# rival) and vote $s = \pm 1$,
#
# $$P(\text{HCRM named}) = \sigma(d_q / \text{unit}_q + \text{halo}_q\, s) .$$
#
# The units are differences that we think one can just see. The halos are stated in the direction
# that the paper reports: every answer but the sixth goes with the vote, and the second by far the
# most. No answer of a person was at hand to fit anything to.

# %%
#| export
class Question(NamedTuple):
    """How stand-ins answer one question (this project's model of Koster et al.,
    "Debriefing")."""

    text: str  # which referee ...?
    unit: float  # difference between two blocks that moves the answer by one logit
    halo: float  # logits towards the referee that one has voted for


QUESTIONS = {
    "q1": Question("everyone does better", 0.1, 0.5),
    "q2": Question("you do better", 0.3, 1.5),
    "q3": Question("the majority does better", 0.3, 0.5),
    "q4": Question("fairer", 0.05, 0.5),
    "q5": Question("encourages collaboration", 0.1, 0.5),
    "q6": Question("more lenient", 0.05, 0.0),
    "q7": Question("more predictable", 0.3, 0.5),
}


# %%
#| export
def debrief(
    key: Array,  # consumed whole: one uniform per question and player
    agent: game.Block,
    rival: game.Block,
    for_agent: Array,  # [..., P] bool, the votes
) -> Array:  # [7, ..., P] bool, True where HCRM is named
    """Draw answers to the seven questions: this project's model, fitted to nothing
    (Koster et al., "Debriefing")."""

    def column(name):
        values = jnp.array([getattr(question, name) for question in QUESTIONS.values()])
        return values.reshape(-1, *(1,) * for_agent.ndim)

    difference = debriefing_features(agent) - debriefing_features(rival)
    halo = column("halo") * jnp.where(for_agent, 1, -1)
    score = difference / column("unit") + halo
    return jax.random.uniform(key, score.shape) < jax.nn.sigmoid(score)


# %% [markdown]
# How much hangs on how stand-ins vote? Their weights are stated and not fitted (05_voting). So the
# same persons vote again, with the same luck, as other voters would: with a coin that counts two
# and a half times as much, without a whim, and with both. Nothing but a comparison uses these
# votes.

# %%
#| export
OTHER_VOTERS = {
    "vote_coin": {"absolute": 0.025},
    "vote_no_whim": {"whim": 0.0},
    "vote_coin_no_whim": {"absolute": 0.025, "whim": 0.0},
}

# %% [markdown]
# The second table, `votes`, has a row for every player who was there to vote, and an empty vote for
# who was not.

# %%
#| export
@jax.jit
def _vote_and_debrief(
    key: Array,  # consumed: votes, answers
    first: game.Block,
    second: game.Block,
    agent_first: Array,  # [G] bool
) -> Array:  # [11, G, P] bool: votes, the seven answers, and votes of other voters
    "Let participants vote between the two referees, and answer the questions."
    key_vote, key_answer = jax.random.split(key)

    def vote(**voter):
        by_order = voting.stand_in_vote(key_vote, first, second, **voter)
        return by_order == agent_first[:, None]

    for_agent = vote()
    others = [vote(**voter) for voter in OTHER_VOTERS.values()]
    agent = game.choose_block(agent_first, first, second)
    rival = game.choose_block(agent_first, second, first)
    answers = debrief(key_answer, agent, rival, for_agent)
    return jnp.concatenate([for_agent[None], answers, jnp.stack(others)])


# %%
#| export
def collect_votes(
    key: Array,  # consumed: votes, answers
    plays: data.Plays,  # as `play_experiment` returns it for one of Exp. 2 to 4
    groups: pd.DataFrame,  # the same groups
) -> pd.DataFrame:  # a row per player; vote, q1 to q7, other voters' votes: 1 (HCRM), 0
    # (rival), NaN (left)
    """Hold the vote after the second block under a referee, and debrief (Koster et al.,
    "Voting", "Debriefing")."""
    n, n_players = len(groups), game.Game.n_players
    block = lambda s: jax.tree.map(lambda leaf: leaf[s * n : (s + 1) * n], plays.block)
    agent_first = jnp.asarray(groups.agent_first.to_numpy())
    marked = _vote_and_debrief(key, block(1), block(2), agent_first)
    cast = np.asarray(plays.answered[2 * n : 3 * n]).ravel()
    rows = groups.loc[groups.index.repeat(n_players)].reset_index(drop=True)
    rows.insert(4, "player", np.tile(np.arange(n_players), n))
    names = "vote", *QUESTIONS, *OTHER_VOTERS
    marks = zip(names, np.asarray(marked, float), strict=True)
    for name, value in marks:
        rows[name] = np.where(cast, value.ravel(), np.nan)
    return rows.assign(source="participants")


# %% [markdown]
# ## All of it
#
# Before tables leave they are checked like anybody else's: blocks whole, funds handed out whole,
# one rival and one condition per group, four rows of votes. The tables of people pass the same
# check (15_released).

# %%
#| export
def validate(
    trials: pd.DataFrame,  # TRIAL_COLUMNS and source
    votes: pd.DataFrame,  # as `collect_votes` returns it
) -> tuple[pd.DataFrame, pd.DataFrame]:  # the same
    """Check that groups are whole and funds handed out. Raises DataError naming the
    first group that is not."""
    for problem, wrong in (_play_faults(trials) | _vote_faults(trials, votes)).items():
        if wrong.any():
            experiment, group, *_ = wrong.idxmax()
            raise store.DataError(
                f"Experiment {experiment}, group {group} {problem}; "
                "make or fetch the tables again."
            )
    return trials, votes


# %%
#| export
def _play_faults(trials):
    "List what can be wrong with rounds: sentence -> [group, ...] bool."
    growth, whole = game.Game.growth, game.Game.n_rounds * game.Game.n_players
    by_group = trials.groupby(["experiment", "group"])
    n_rows = trials.groupby(ROW_KEY[:3]).size()
    fund = trials.groupby(ROW_KEY[:4])[["payout", "contribution"]].sum()
    unpaid = (fund.payout - growth * fund.contribution).abs() > 0.05
    conditions = by_group[["rival", "tail_endowment"]].nunique().max(axis=1)
    return {
        "has a block without ten rounds of four players": n_rows != whole,
        "has two rows for one round of a player": trials.groupby(ROW_KEY).size() != 1,
        "has a round in which the payouts are "
        f"not {growth} times the contributions": unpaid,
        "has more than one rival or endowment": conditions != 1,
    }


def _vote_faults(trials, votes):
    "List what can be wrong with votes: sentence -> [group] bool."
    key = ["experiment", "group"]
    rows = votes.groupby(key).player.agg(["size", "nunique"])
    played = trials[trials.experiment > 1].groupby(key).size()
    both = pd.concat([played, votes.groupby(key).size()], axis=1)
    incomplete = rows.ne(game.Game.n_players).any(axis=1)
    return {
        "has not one row of votes per player": incomplete,
        "has played without voting, or voted without playing": both.isna().any(axis=1),
    }


# %%
#| export
def _contenders(key, groups, hcrm, rational, person):
    "Name the mechanisms that are scheduled in one experiment."
    known = mechanisms.BASELINES | {AGENT: hcrm, "rational": rational}
    known[HUMAN] = human_referee(person)
    known[EARLY] = mechanisms.early_hcrm(key, (len(groups),))
    scheduled = dict.fromkeys(schedule(groups).ravel())
    return {name: known[name] for name in scheduled if name in known}


# %%
#| export
def run(
    key: Array,  # consumed: one part per experiment
    population: participants.Population,
    hcrm: game.Mechanism,
    rational: game.Mechanism,  # RM, the rival of Exp. 3
    *,
    groups: pd.DataFrame | None = None,  # default: `plan()`
    person: HumanReferee = HumanReferee(),  # the referees of Exp. 4
) -> tuple[pd.DataFrame, pd.DataFrame]:  # trials, votes
    """Run the four experiments with stand-in participants (Koster et al., "Detail of
    Experiments")."""
    groups = plan() if groups is None else groups
    trials, votes = [], []
    for experiment, mine in groups.groupby("experiment"):
        keys = jax.random.split(jax.random.fold_in(key, experiment), 3)
        contenders = _contenders(keys[0], mine, hcrm, rational, person)
        plays = play_experiment(keys[1], population, mine, contenders)
        blocks = pd.concat([mine] * (len(plays) // len(mine)))
        trials.append(trial_table(plays, blocks, source="participants"))
        if experiment > 1:
            votes.append(collect_votes(keys[2], plays, mine))
    return validate(*(pd.concat(rows, ignore_index=True) for rows in (trials, votes)))


# %% [markdown]
# How many of everything? That is what a reader will hold against the paper first.

# %%
#| export
def count_votes(
    trials: pd.DataFrame,  # TRIAL_COLUMNS and source
    votes: pd.DataFrame,  # as `collect_votes` returns it
) -> pd.DataFrame:  # by experiment: groups, players, votes, for_hcrm, share
    "Count groups, players and votes of every experiment."
    players = trials.drop_duplicates(["experiment", "group", "player"])
    players = players.groupby("experiment")
    counts = {"groups": players.group.nunique(), "players": players.size()}
    counts = pd.DataFrame(counts)
    cast = votes.groupby("experiment").vote.agg(["count", "sum"])
    cast = cast.reindex(counts.index, fill_value=0).astype(int)
    counts = counts.assign(votes=cast["count"], for_hcrm=cast["sum"])
    return counts.assign(share=cast["sum"] / cast["count"])


# %% [markdown]
# For RM this notebook has to do with a caricature after the paper's description, liberal
# egalitarian with a weight on endowments: the richer than the average a player is, the less the
# ratio counts. A run trains the real one.

# %%
def caricature_of_rm(endowment, contribution):
    weight = jnp.exp(-2 * (endowment / endowment.mean(-1, keepdims=True) - 1))
    return mechanisms.liberal_egalitarian(endowment, weight * contribution)


population = participants.calibrated()
trials, votes = run(jax.random.key(3), population, hcrm, caricature_of_rm)
count = count_votes(trials, votes)
assert count.groups.tolist() == [189, 821, 184, 61]
assert count.votes.tolist() == [0, 3284, 736, 219]
one_a_group = votes.drop_duplicates(["experiment", "group"])
cells = one_a_group.groupby(["experiment", "rival", "tail_endowment"])
order = cells.agent_first.agg(["sum", "size"])
apart = (2 * order["sum"] - order["size"]).abs()
assert (apart <= 1).all(), "counterbalanced in every cell"
print(f"{len(trials):,} rounds of a player, {len(votes):,} rows of votes")
count.round(3)

# %% [markdown]
# ### The naive way: agent first
#
# Alternating is a nuisance for whoever runs the experiment. Why not let everybody meet HCRM first?
# Because our participants lean a little to the referee whom they met last, and perhaps people do
# too. Take the sharpest case, a libertarian "agent" against its own copy:

# %%
same = plan().query("rival == 'liberal_egalitarian' and experiment == 2")
same = same.assign(rival="libertarian")
twins = dict.fromkeys((AGENT, "libertarian"), mechanisms.libertarian)
played = play_experiment(jax.random.key(4), population, same, twins)
orders = {"alternating": same.agent_first, "agent first": True, "agent second": False}
share = pd.Series(dtype=float)
for name, first in orders.items():
    ordered = same.assign(agent_first=first)
    share[name] = collect_votes(jax.random.key(5), played, ordered).vote.mean()
print(share.round(3).to_dict())
assert abs(share["alternating"] - 0.5) < 0.03
two_errors = 1 / np.sqrt(4 * len(same))  # of a share of so many votes
assert share["agent first"] < 0.5 - two_errors
assert share["agent second"] > 0.5 + two_errors

# %% [markdown]
# A mechanism loses to its own copy by going first. The paper counterbalanced Experiments 2 to 4,
# and so does `plan`: every other group, within every cell. In Experiment 1 the order was fixed,
# which is one reason why its votes are not reported.
#
# Here are the votes of the stand-ins beside those of people.

# %%
ours = votes.groupby(["experiment", "rival"], sort=False).vote.agg(["mean", "sem"])
cast = published.read("fig2_votes").groupby("rival")
cast = cast[["votes_for_hcrm", "votes_cast"]].sum()
theirs = cast.votes_for_hcrm / cast.votes_cast
theirs = theirs.reindex(ours.index.get_level_values("rival"))
theirs = theirs.fillna(0.633)  # Exp. 4, in the text
names = [
    f"Exp. {experiment}\n{figures.label(rival)}".replace("rational", "caricature of RM")
    for experiment, rival in ours.index
]
with figures.style():
    fig, ax = plt.subplots(figsize=(6, 2.4))
    look = {"color": figures.BARS["all"][0], "ecolor": "#555555", "capsize": 2}
    look["label"] = "stand-ins, 95 % as if votes were independent"
    ax.bar(names, ours["mean"], 0.6, yerr=1.96 * ours["sem"], **look)
    ax.plot(names, theirs, "D", color="black", mfc="white", label="people, published")
    ax.axhline(0.5, color=figures.CHANCE, ls="--", lw=0.8)
    ax.set(ylim=(0, 1), ylabel="share of votes for HCRM")
    ax.legend(loc="upper right", ncols=2)
assert ours["mean"].between(0.3, 0.8).all()

# %% [markdown]
# What to see: not whether stand-ins and people agree (a run with all its seeds will say how far),
# but that the experiments can be lost. Nothing in the votes knows which referee was learned. And
# the last pair is no success of our referees: 219 votes have a wide interval, and the exercise at
# the end moves the bar by more than that.
#
# Did the referees come out as the paper describes them? Figure 4B counts how often the head got
# which part of the payouts, in six equal bins.

# %%
fourth = trials[(trials.experiment == 4) & (trials.session > 0)]
cell = ["mechanism", "group", "round"]
paid = fourth.pivot_table(index=cell, columns="player", values="payout")
part_of_head = (paid[0] / paid.sum(axis=1)).dropna()
frequency = lambda x: np.histogram(x, bins=6, range=(0, 1))[0] / len(x)
bins = {name: frequency(part_of_head[name]) for name in (AGENT, HUMAN)}
with figures.style():
    fig, ax = plt.subplots(figsize=(4.5, 2.2))
    ax.bar(np.arange(6) - 0.2, bins[AGENT], 0.4, color=figures.HEAD, label="HCRM")
    look = {"color": figures.TAIL, "hatch": "///", "edgecolor": "white"}
    ax.bar(np.arange(6) + 0.2, bins[HUMAN], 0.4, **look, label="stand-in referees")
    ax.set_xticks(range(6), [f"{k}/6 to {k + 1}/6" for k in range(6)])
    ax.set_xlabel("the head's part of all payouts (fraction)")
    ax.set_ylabel("fraction of rounds")
    ax.legend()
assert bins[AGENT][0] > bins[HUMAN][0], "HCRM is readier to pay the head little"


# %% [markdown]
# The leftmost pair is the paper's point: HCRM leaves the head next to nothing more often than the
# referees do. They are stand-ins, and their `departure` was *stated*; the comparison shows that the
# statement says what it should.
#
# ## A row per block
#
# Much of what is drawn later is about blocks: what head and tails gave and got, surplus, Gini. They
# are computed from the trials, whoever made those.

# %%
#| export
def _to_block(rows):
    "Fold sorted trials to a block of G groups, and to answered [G, T, P]."
    shape = (-1, game.Game.n_rounds, game.Game.n_players)
    fold = lambda name: rows[name].to_numpy().reshape(shape)
    amount = lambda name: jnp.asarray(fold(name), jnp.float32)
    endowment = amount("endowment")[:, 0]
    block = game.Block(endowment, amount("contribution"), amount("payout"))
    return block, fold("answered")


_LATE = -3  # rounds at the end of a block, to see who has left


def _by_role(block):
    "Average what head and tails gave and got: name -> [G]."
    return {
        f"{role}_{name}": np.asarray(getattr(block, name)[..., which].mean((1, 2)))
        for role, which in {"head": slice(0, 1), "tail": slice(1, None)}.items()
        for name in ("relative_contribution", "payout", "relative_payout")
    }


# %%
#| export
def summarise_blocks(
    trials: pd.DataFrame,  # TRIAL_COLUMNS and source
) -> pd.DataFrame:  # a row per experiment, group and session
    """Summarise every block (Koster et al., "Data pre-processing and analysis")."""
    rows = trials.sort_values(ROW_KEY, kind="stable")
    block, answered = _to_block(rows)
    condition = ["rival", "tail_endowment", "session", "mechanism", "source"]
    known = rows.iloc[:: answered[0].size][["experiment", "group", *condition]]
    to_head = np.asarray(block.payout[..., 0].sum(1))
    paid, nan = np.asarray(block.payout.sum((1, 2))), np.full(len(known), np.nan)
    return known.reset_index(drop=True).assign(
        complete=answered.all((1, 2)),
        **_by_role(block),
        head_late_relative_contribution=np.asarray(
            block.relative_contribution[:, _LATE:, 0].mean(1)
        ),
        head_share=np.divide(to_head, paid, out=nan, where=paid > 0),
        surplus=np.asarray(game.surplus(block)),
        gini=np.asarray(game.gini(block.returns.sum(1))),
    )


# %%
summary = summarise_blocks(trials)
assert len(summary) == 3 * 189 + 3 * (821 + 184 + 61)
strict = summary[summary.mechanism == "strict_egalitarian"]
assert strict.head_share.sub(0.25).abs().max() < 1e-4
one_block = "experiment == 2 and group == 7 and session == 1"
one = trials.query(one_block)
to_head = summary.query(one_block).head_payout.item()
assert np.isclose(to_head, one[one.player == 0].payout.mean())
assert (~summary.complete).sum() > 0
assert summary[summary.experiment < 4].complete.all(), "only in Exp. 4 somebody left"
shown = ["head_relative_contribution", "tail_relative_contribution"]
shown += ["head_share", "surplus", "gini"]
reported = summary.query("experiment > 1 and session > 0")
reported.groupby("mechanism")[shown].mean().round(3)


# %% [markdown]
# And Figure 1C, from the trials of Experiment 1:

# %%
#| export
def contribution_means(
    trials: pd.DataFrame,  # TRIAL_COLUMNS and source
) -> pd.DataFrame:  # mechanism, tail_endowment, role, round, relative_contribution
    "Average the relative contributions of Exp. 1 (Koster et al., Figure 1c)."
    rows = trials[trials.experiment == 1]
    role = np.where(rows.player == 0, "head", "tail")
    ratio = rows.contribution / rows.endowment
    rows = rows.assign(role=role, relative_contribution=ratio)
    cell = ["mechanism", "tail_endowment", "role", "round"]
    return rows.groupby(cell).relative_contribution.mean().reset_index()


# %%
means = contribution_means(trials)
apart = means.merge(curves, on=["mechanism", "tail_endowment", "role", "round"])
error = (apart.relative_contribution_x - apart.relative_contribution_y).abs().mean()
assert len(apart) == 180 and error < 0.08
print(
    f"189 stand-in groups are {error:.3f} from the published curves "
    "(mean absolute difference)"
)

# %% [markdown]
# ## Which answers go with the vote?
#
# The paper regresses votes on answers: all of them matter but the sixth, and the second most. A
# logistic regression on all seven at once:

# %%
asked = votes[votes.experiment.isin([2, 3])]
answers = sm.add_constant(asked[list(QUESTIONS)])
t = sm.Logit(asked.vote, answers).fit(disp=False).tvalues[list(QUESTIONS)]
words = [f"{name[1]}. {question.text}" for name, question in QUESTIONS.items()]
with figures.style():
    fig, ax = plt.subplots(figsize=(5, 2.2))
    ax.barh(words, t, color=figures.HEAD)
    ax.axvline(4, color=figures.CHANCE, ls="--", lw=0.8)
    ax.invert_yaxis()
    ax.set(xlabel="t of the answer (stand-ins)")
assert t.drop(["q2", "q6"]).min() > 4 and t.q2 > 2 * t.drop("q2").max() and t.q6 < 4
t.round(1).to_frame("t").T


# %% [markdown]
# As stated, so found, and that is all it shows: a regression that gives back the halos we put in
# (dashed: the paper's "all t above 4"). That the second stands out by so much has a second cause,
# which was not put in here: it asks about nearly what the vote is made of.
#
# What about the vote's own causes? The paper regresses votes on relative payout, payout in coins
# and the group's contributions (05_voting). We divide each difference by its standard deviation and
# do not centre it: then the intercept is about somebody who got the same from both. To the paper's
# three we add who came second.

# %%
def differences(trials):
    "Sums over a block, HCRM minus rival, for every player of Exp. 2 and 3."
    rows = trials[trials.experiment.isin([2, 3]) & (trials.session > 0)]
    rows = rows.assign(rpay=rows.payout / rows.endowment, apay=rows.payout)
    rows["cont"] = rows.groupby(ROW_KEY[:4]).contribution.transform("sum")
    sign = np.where(rows.mechanism == AGENT, 1, -1)
    signed = rows[list(voting.PREDICTORS)].mul(sign, axis=0)
    player = [rows[name] for name in ("experiment", "group", "player")]
    return signed.groupby(player).sum().reset_index()


def causes(votes):
    "A logistic regression of votes on their causes."
    predictors = votes[list(voting.PREDICTORS)]
    predictors = predictors / predictors.std()
    predictors["agent second"] = np.where(votes.agent_first, -1, 1)
    return sm.Logit(votes.vote, sm.add_constant(predictors)).fit(disp=False)


explained = votes.merge(differences(trials), on=["experiment", "group", "player"])
by_rival = explained.groupby("rival", sort=False)
t_values = pd.DataFrame({rival: causes(mine).tvalues for rival, mine in by_rival}).T
pooled = causes(explained)
assert pooled.tvalues["rpay"] > 4
assert pooled.tvalues[["const", "cont"]].abs().max() < 3
assert abs(pooled.params["agent second"] - 0.2) < 0.1, "as stated in 05_voting"
print(
    f"all rivals together: {pooled.params['agent second']:.2f} logits "
    f"for whoever was met second (t = {pooled.tvalues['agent second']:.1f})"
)
t_values.round(1)

# %% [markdown]
# These are t values, as in the table under the paper's Figure S2. Relative payout is found
# everywhere, the weak pull of plain coins hardly anywhere (the two go together too closely),
# contributions nowhere, the order over all rivals together with the very size that was stated. The
# published intercepts against libertarian and liberal egalitarian have t = 5.57 and 3.21; ours have
# no reason to differ from zero, because nobody here likes HCRM for its own sake.

# %% [markdown]
# ## Recap
#
# `plan` says who plays what, `run` plays it: `play_experiment` (with `schedule` and
# `experiment4_dropouts`), `trial_table` and `collect_votes`, with `human_referee` (a
# `HumanReferee`'s `RefereeState`) for a rival and `debriefing_features` and `debrief` (by
# `QUESTIONS`) after the vote. `validate` looks the tables over, `count_votes` counts,
# `summarise_blocks` and `contribution_means` summarise. What a run says of the paper's findings is
# in 18.
#
# Questions to take along: what would you ask a referee afterwards, to find out whether the model
# above is any good? Would counterbalancing still save us if the *lean* to the second referee were
# stronger after a bad first one?
#
# **Exercise.** Referees who had practised longer would depart further from the equal split, one
# might think. Let all of them go the whole way, without trembling and without memory. How many
# votes does that cost HCRM?
#
# <details><summary>Solution</summary>

# %%
practised = HumanReferee(departure=(1.0, 1.0), memory=0.0, tremble=0.0)
fourth_only = plan().query("experiment == 4")
again = (jax.random.key(3), population, hcrm, caricature_of_rm)
_, further = run(*again, groups=fourth_only, person=practised)
before = votes[votes.experiment == 4]
print(
    f"votes for HCRM: {before.vote.mean():.2f} against stand-in referees, "
    f"{further.vote.mean():.2f} against practised ones"
)
assert further.vote.count() == 219

# %% [markdown]
# </details>
