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
# *In this notebook*: to be written.

# %%
#| export
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import cma
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from democratic_ai import data, game, mechanisms
from democratic_ai.game import Mechanism, Players

# %%
#| export
CALIBRATION = data.ROOT / "data" / "participants" / "calibration.json"


@cache
def calibration() -> dict:
    "Read the committed calibration: fitted values, errors, settings and what made them."
    return json.loads(CALIBRATION.read_text(encoding="utf-8"))


def _fitted(name: str) -> float:
    "Take the default of one number from the committed calibration."
    return field(default_factory=lambda: calibration()["population"][name])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Population:
    "How stand-in participants play, in fourteen numbers; the defaults are the committed calibration."

    generosity: float = _fitted("generosity")  # logit of the fraction that a person of average endowment is at home with
    trust: float = _fitted("trust")  # added at the start when a referee is present
    advantage: float = _fitted("advantage")  # added per unit of log(own endowment / group mean)
    wariness: float = _fitted("wariness")  # taken from that trust per unit of log(own endowment / group mean), by those above the mean
    spread: float = _fitted("spread")  # standard deviation between persons, in logits
    reaction: float = _fitted("reaction")  # median over persons of the step towards more return, logits a round
    reaction_spread: float = _fitted("reaction_spread")  # standard deviation of the log of that step between persons
    steepness: float = _fitted("steepness")  # how sharply the step depends on the marginal return, per coin
    threshold: float = _fitted("threshold")  # marginal return that leaves a person indifferent, coins
    imitation: float = _fitted("imitation")  # step towards peers who gain more, per unit of contribution ratio and 10 coins of gain
    pull: float = _fitted("pull")  # fraction of the way back home, a round
    width: float = _fitted("width")  # imprecision of the choice, fraction of the endowment
    focal: float = _fitted("focal")  # extra log weight of giving nothing, half or all
    loss: float = _fitted("loss")  # step per squared share of the own contribution that did not come back


def fitted() -> Population:
    "Give the population of the committed calibration."
    return Population()


def numbers(
    population: Population,
) -> dict[str, float]:
    "Write a population's numbers down by name."
    return {name: float(value) for name, value in asdict(population).items()}


# %%
#| export
class Mind(NamedTuple):
    "What a stand-in participant carries through a block."

    inclination: Array  # [..., P] logit of the fraction to give next
    home: Array  # [..., P] logit that the person is pulled back to
    reaction: Array  # [..., P] the person's step towards more return, logits a round


def sit_down(
    key: Array,  # consumed: one part for the homes, one for the reactions
    endowment: Array,  # [..., P] coins
    population: Population,
    *,
    referee: bool,
) -> Mind:
    "Draw a person for every seat."
    key_home, key_reaction = jax.random.split(key)
    standing = jnp.log(endowment / endowment.mean(-1, keepdims=True))
    home = population.generosity + population.advantage * standing + population.spread * jax.random.normal(key_home, endowment.shape)
    hope = population.trust - population.wariness * jnp.maximum(standing, 0)
    reaction = population.reaction * jnp.exp(population.reaction_spread * jax.random.normal(key_reaction, endowment.shape))
    return Mind(home + referee * hope, home, reaction)


# %%
#| export
def put_in(
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


# %%
#| export
def marginal_return(
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    mechanism: Mechanism,
    *,
    growth: float = game.Game.growth,
) -> Array:  # [..., P] coins gained per coin given
    "Ask for every player what one more coin would have gained, or one coin less for those who gave all."
    n_players = endowment.shape[-1]
    step = jnp.where(contribution < endowment, 1.0, -1.0)
    who = jnp.eye(n_players).reshape(n_players, *(1,) * (endowment.ndim - 1), n_players)  # one alternative world per player, in front
    everybody = jnp.broadcast_to(endowment, (n_players, *endowment.shape))
    fund = lambda c: game.payout(jnp.broadcast_to(endowment, c.shape), c, mechanism, growth=growth)
    there = (fund(contribution + who * step) * who).sum(0)
    return (there - fund(contribution)) / step - 1


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
#| export
def take_in(
    mind: Mind,
    endowment: Array,  # [..., P] coins
    contribution: Array,  # [..., P] coins
    payout: Array,  # [..., P] coins
    mechanism: Mechanism,
    population: Population,
    *,
    growth: float = game.Game.growth,
) -> Mind:
    "Change the inclination by what the results screen showed."
    gain = jnp.tanh(population.steepness * (marginal_return(endowment, contribution, mechanism, growth=growth) - population.threshold))
    lost = jnp.maximum(contribution - payout, 0) / jnp.maximum(contribution, 1)
    success = success_of_peers(endowment, contribution, payout)
    step = mind.reaction * gain + population.imitation * success - population.loss * lost**2
    return mind._replace(inclination=mind.inclination + step + population.pull * (mind.home - mind.inclination))


# %%
#| export
def participants(
    population: Population,
    *,
    referee: bool = True,  # False: the tutorial block
    growth: float = game.Game.growth,
) -> Players:
    "Seat stand-in participants (this project's assumption in the place of the people of Koster et al.)."
    return Players(
        start=lambda key, endowment: sit_down(key, endowment, population, referee=referee),
        choose=lambda key, mind, endowment: put_in(key, mind.inclination, endowment, population),
        learn=lambda mind, endowment, contribution, payout, mechanism: take_in(
            mind, endowment, contribution, payout, mechanism, population, growth=growth
        ),
    )


# %%
#| export
def seated(
    population: Population,
) -> Callable[[bool], Players]:  # is a referee present? -> players
    "Seat the same population with or without a referee, as fig1c_curves asks for it."
    return lambda referee: participants(population, referee=referee)


# %%
#| export
TUTORIAL = "strict_egalitarian"  # Figure 1C shows the tutorial block, without a referee, under this name
FIGURE_TAILS = (2, 4, 10)  # tail endowments of Exp. 1


def relative_contributions(
    key: Array,  # consumed: one part per mechanism
    seat: Callable[[bool], Players],  # is a referee present? -> players
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


def fig1c_curves(
    key: Array,
    seat: Callable[[bool], Players],  # is a referee present? -> players, e.g. seated(fitted())
    *,
    n_games: int = 2048,  # per mechanism and tail endowment
) -> pd.DataFrame:  # mechanism, tail_endowment, role, round (from 1), relative_contribution
    "Play Experiment 1 (Koster et al., Figure 1c) with any kind of players and return its 180 means."
    mean = jax.jit(lambda key: relative_contributions(key, seat, n_games))(key)
    axes = {"mechanism": list(mechanisms.BASELINES), "tail_endowment": FIGURE_TAILS, "role": ("head", "tail"), "round": range(1, mean.shape[-1] + 1)}
    return pd.MultiIndex.from_product(axes.values(), names=axes.keys()).to_frame(index=False).assign(relative_contribution=np.asarray(mean).ravel())


# %%
#| export
START = {  # where the search starts, and its first step
    "generosity": (1.0, 0.2),
    "trust": (0.5, 0.2),
    "advantage": (-0.8, 0.2),
    "wariness": (1.0, 0.3),
    "spread": (2.0, 0.3),
    "reaction": (0.4, 0.1),
    "reaction_spread": (0.3, 0.15),
    "steepness": (5.0, 1.0),
    "threshold": (0.15, 0.1),
    "imitation": (2.0, 0.6),
    "pull": (0.33, 0.1),
    "width": (0.12, 0.04),
    "focal": (6.0, 1.5),
}
SIGNED = {"generosity", "trust", "advantage", "wariness", "threshold"}  # the other numbers cannot be negative


def as_population(
    position: np.ndarray,  # one number per entry of START, in first steps from the start
    loss: float,
) -> Population:
    "Turn a point of the search into a population; where a number cannot be negative its size counts."
    value = {name: float(start + step * z) for (name, (start, step)), z in zip(START.items(), position)}
    return Population(loss=loss, **{name: v if name in SIGNED else abs(v) for name, v in value.items()})


# %%
#| export
def published_cells() -> np.ndarray:  # [mechanism, tail endowment, head or tail, round], as relative_contributions
    "Read the 180 published means of Figure 1C into the order of relative_contributions."
    frame = data.published("fig1c_relative_contribution").set_index(["mechanism", "tail_endowment", "role", "round"]).relative_contribution
    axes = (list(mechanisms.BASELINES), FIGURE_TAILS, ("head", "tail"), range(1, game.Game.n_rounds + 1))
    return frame.reindex(pd.MultiIndex.from_product(axes)).to_numpy().reshape([len(axis) for axis in axes])


def figure_error(
    key: Array,
    *,
    n_games: int,  # per mechanism and tail endowment
) -> Callable[[Population], float]:  # mean absolute difference, fractions of the endowment
    "Make the function that says how far a population is from Figure 1C, always on the same random numbers."
    cells = published_cells()

    @jax.jit
    def error(population):
        return jnp.abs(relative_contributions(key, seated(population), n_games) - cells).mean()

    return lambda population: float(error(jax.tree.map(jnp.float32, population)))


# %%
#| export
@dataclass(frozen=True)
class Search:
    "Settings of the calibration."

    loss: float = 1.0  # not fitted: Figure 1C cannot tell
    n_games: int = 1024  # per mechanism and tail endowment
    n_candidates: int = 16  # populations tried per generation
    n_generations: int = 200
    seed: int = 0  # of the games and of the search


def calibrate(
    search: Search = Search(),
    *,
    ledger: Path | None = None,  # file that keeps what was tried; a search with the same settings goes on from there
) -> tuple[Population, pd.DataFrame]:  # the population, and the best error after each generation
    "Fit a population to Figure 1C, and to nothing else, by CMA-ES."
    error = figure_error(jax.random.key(search.seed), n_games=search.n_games)
    evolution = cma.CMAEvolutionStrategy(np.zeros(len(START)), 1.0, {"seed": search.seed + 1, "popsize": search.n_candidates, "verbose": -9})
    tried, started = read_ledger(ledger, search), time.monotonic()
    known = len(tried)
    for generation in range(search.n_generations):
        candidates = evolution.ask()
        if generation >= known:
            tried.append([error(as_population(z, search.loss)) for z in candidates])
            if generation % 20 == 19 or generation == search.n_generations - 1:
                report(ledger, search, tried, (time.monotonic() - started) / (generation + 1 - known))
        evolution.tell(candidates, tried[generation])
    best = np.minimum.accumulate([min(errors) for errors in tried])
    history = pd.DataFrame({"generation": np.arange(1, len(best) + 1), "error": best})
    return as_population(evolution.result.xfavorite, search.loss), history


def read_ledger(ledger, search):
    "Read the errors that an interrupted search had found; the search replays them, so nothing else needs keeping."
    if ledger is None or not Path(ledger).exists():
        return []
    content = json.loads(Path(ledger).read_text(encoding="utf-8"))
    return content["tried"] if content["search"] == asdict(search) else []


def report(ledger, search, tried, pace):
    "Save the search so far and say how far it is."
    if ledger is not None:
        data.write_json(ledger, {"search": asdict(search), "tried": tried})
    left, best = pace * (search.n_generations - len(tried)), min(map(min, tried))
    text = f"calibrate (loss {search.loss}): generation {len(tried)} of {search.n_generations}, error {best:.4f}, {left:.0f} s left"
    print(text, file=sys.__stderr__, flush=True)


# %%
#| export
SLOPE = 1.4  # of the vote in the summed relative payout, in units of 10 coins (Koster et al., "Voting model")


def vote(
    key: Array,  # consumed: one part for the persons, one for the votes
    block_a: game.Block,
    block_b: game.Block,
    *,
    absolute: float = 0.02,  # weight of a coin, summed over the block
    whim: float = 0.5,  # standard deviation of what else moves a person, logits
) -> Array:  # [..., P] bool, True for a
    "Vote by relative payout, a little by coins, and by whim: an assumption, not fitted to anything."
    key_whim, key_vote = jax.random.split(key)
    relative = (block_a.relative_payout - block_b.relative_payout).sum(-2) / 10
    coins = (block_a.payout - block_b.payout).sum(-2)
    score = SLOPE * relative + absolute * coins + whim * jax.random.normal(key_whim, relative.shape)
    return jax.random.uniform(key_vote, score.shape) < jax.nn.sigmoid(score)


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
#| export
def sketch(
    key: Array,  # consumed
    shape: tuple[int, ...],  # leading shape: one mechanism for each
) -> Mechanism:
    "Stand in for an early HCRM: somewhere between a point of the manifold and a softmax of a random linear score."
    key_point, key_mix, key_score = jax.random.split(key, 3)
    w, v = jax.random.uniform(key_point, (2, *shape, 1))
    mix = jax.random.uniform(key_mix, (*shape, 1))
    by_endowment, by_coins, by_ratio = 2 * jax.random.normal(key_score, (3, *shape, 1))

    def mechanism(endowment, contribution):
        score = (by_endowment * endowment + by_coins * contribution) / 10 + by_ratio * contribution / endowment
        return (1 - mix) * mechanisms.manifold(w, v)(endowment, contribution) + mix * jax.nn.softmax(score)

    return mechanism


# %%
#| export
def by_group(
    choices: Sequence[Mechanism],
    which: Array,  # [G] position in `choices`
) -> Mechanism:
    "Let every group play under its own one of several mechanisms."

    def mechanism(endowment, contribution):
        shares = jnp.stack([choice(endowment, contribution) for choice in choices])
        return jnp.take_along_axis(shares, which.reshape(1, *(1,) * (endowment.ndim - 2), -1, 1), 0)[0]

    return mechanism


# %%
#| export
def with_dropouts(
    players: Players,
    leaves: Array,  # [..., P] round of the block, from 0, in which a random bot takes over
) -> Players:
    "Replace players by random bots from some round on (Koster et al., \"Participants\")."
    bots = game.random_bots()

    def choose(key, state, endowment):
        turn, mind = state
        key_own, key_bot = jax.random.split(key)
        return jnp.where(turn < leaves, players.choose(key_own, mind, endowment), bots.choose(key_bot, (), endowment))

    return Players(
        start=lambda key, endowment: (0, players.start(key, endowment)),
        choose=choose,
        learn=lambda state, *seen: (state[0] + 1, players.learn(state[1], *seen)),
    )


# %%
#| export
def leaving_rounds(
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


# %%
#| export
def pilot(
    key: Array,
    population: Population,
    *,
    n_blocks: int = N_BLOCKS,
    extra: dict[str, Mechanism] | None = None,  # further mechanisms among those that early HCRMs are
) -> data.Plays:
    "Play the pilot: the published mix of endowments and drop-outs (Koster et al., \"Pilot testing\")."
    key_groups, key_leave, key_mechanisms, key_people, key_play = jax.random.split(key, 5)
    endowment, n_played = pilot_groups(key_groups, n_blocks=n_blocks)
    leaves = leaving_rounds(key_leave, n_played, n_complete=round(n_blocks * N_COMPLETE / N_BLOCKS))
    parts = []
    for session in range(5):
        here = np.asarray(n_played) > session
        keys = [jax.random.fold_in(k, session) for k in (key_mechanisms, key_play)]
        name, code, mechanism = pilot_mechanisms(keys[0], key_mechanisms, session, len(endowment), extra or {})
        people = game.same_people(participants(population, referee=session > 0), key_people)
        people = with_dropouts(people, leaves - session * game.Game.n_rounds)
        block = jax.jit(lambda key: game.play(key, people, endowment, mechanism))(keys[1])
        answered = leaves >= (session + 1) * game.Game.n_rounds
        plays = data.Plays(block, answered, jnp.full(len(endowment), session, jnp.int32), code, name)
        parts.append(jax.tree.map(lambda leaf: leaf[here], plays))
    return data.join(parts)


def pilot_mechanisms(key, key_order, session, n_groups, extra):
    "Choose what each group plays under: tutorial, or in random order an early HCRM and a rival."
    if session == 0:
        return ("tutorial",), jnp.zeros(n_groups, jnp.int32), game.equal_split
    key_kind, key_manifold, key_sketch = jax.random.split(key, 3)
    first = jax.random.bernoulli(jax.random.fold_in(key_order, 99 + (session - 1) // 2), 0.5, (n_groups,))
    learned = first == (session % 2 == 1)
    w, v = jax.random.uniform(key_manifold, (2, n_groups, 1))
    rivals = {**mechanisms.BASELINES, "manifold": mechanisms.manifold(w, v)}
    early = {"early_hcrm": sketch(key_sketch, (n_groups,)), **extra}
    kind = jax.random.uniform(key_kind, (n_groups,))
    rival = jnp.minimum((kind * 6).astype(jnp.int32), 3)
    code = jnp.where(learned, len(rivals) + (kind * len(early)).astype(jnp.int32), rival)
    choices = rivals | early
    return tuple(choices), code, by_group(list(choices.values()), code)


# %%
#| export
def played_under(
    key: Array,
    population: Population,
    mechanism: Mechanism,
    name: str,
    *,
    rival: Mechanism = mechanisms.liberal_egalitarian,
    rival_name: str = "liberal_egalitarian",
    n_groups: int = 160,  # shared out evenly over the tails
    tails: Sequence[float] = mechanisms.TAILS,
) -> data.Plays:
    "Let new groups play a tutorial, a mechanism and its rival, in the evaluation's conditions (the repeat of Koster et al., Figure 1d)."
    key_people, key_order, key_tutorial, key_a, key_b = jax.random.split(key, 5)
    endowment = mechanisms.head_and_tails(jnp.resize(jnp.array(tails, float), n_groups))
    mechanism_first = jax.random.permutation(key_order, n_groups) < n_groups / 2
    without, under = (game.same_people(participants(population, referee=r), key_people) for r in (False, True))
    play = jax.jit(game.play, static_argnums=(1, 3))
    parts = [data.record(play(key_tutorial, without, endowment, game.equal_split), "tutorial", session=0)]
    for key, m, label, first in ((key_a, mechanism, name, mechanism_first), (key_b, rival, rival_name, ~mechanism_first)):
        plays = data.record(play(key, under, endowment, m), label)
        parts.append(replace(plays, session=jnp.where(first, 1, 2).astype(jnp.int32)))
    return data.join(parts)


def holdout(
    key: Array,
    population: Population,
    *,
    n_groups: int = 96,  # 384 people, 288 blocks
) -> data.Plays:
    "Play the hold-out: new groups in the evaluation's conditions (Koster et al., \"Pilot testing\")."
    key_hcrm, key_play = jax.random.split(key)
    return played_under(key_play, population, sketch(key_hcrm, (n_groups,)), "early_hcrm", n_groups=n_groups)
