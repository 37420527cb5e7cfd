"""The expensive steps in PyTorch, eagerly and idiomatically.

This is what an equally careful author would write first. Weights come from our
networks, random numbers from the caller, so that losses and gradient norms can be
compared with ours.
"""

import itertools

import numpy as np
import torch
from torch import nn

GROWTH, ROUNDS, PLAYERS, COINS = 1.6, 10, 4, 10
SEATS = torch.tensor(
    [[seat, *(s for s in range(PLAYERS) if s != seat)] for seat in range(PLAYERS)]
)
ARROWS = torch.tensor(list(itertools.permutations(range(PLAYERS), 2)))


def tensor(x):
    """Take over an array."""
    return torch.tensor(np.array(x))


class Player(nn.Module):
    """A virtual player: linear and tanh, LSTM, linear."""

    def __init__(self, params):
        """Take over the weights of ours."""
        super().__init__()
        p = params["params"]
        embed, hidden = p["embed"]["kernel"].shape[1], p["choice"]["kernel"].shape[0]
        self.embed = nn.Linear(16, embed)
        self.lstm = nn.LSTM(embed, hidden, batch_first=True)
        self.choice = nn.Linear(hidden, COINS + 1)
        of_gates = lambda place, part: [p["lstm"][place + g][part] for g in "ifgo"]
        taken = {
            "embed.weight": p["embed"]["kernel"].T,
            "embed.bias": p["embed"]["bias"],
            "choice.weight": p["choice"]["kernel"].T,
            "choice.bias": p["choice"]["bias"],
            "lstm.weight_ih_l0": np.concatenate(of_gates("i", "kernel"), 1).T,
            "lstm.weight_hh_l0": np.concatenate(of_gates("h", "kernel"), 1).T,
            "lstm.bias_hh_l0": np.concatenate(of_gates("h", "bias")),
            "lstm.bias_ih_l0": np.zeros(4 * hidden, np.float32),
        }
        self.load_state_dict({name: tensor(x) for name, x in taken.items()})
        self.lstm.bias_ih_l0.requires_grad_(False)  # one bias per gate, as in ours

    def forward(self, features):
        """Guess the contributions of players who have seen this.

        [N, T, 16] -> [N, T, 11] logits.
        """
        return self.choice(self.lstm(torch.tanh(self.embed(features)))[0])

    def step(self, features, memory):
        """Guess the next contribution of players who see this now.

        [N, 16], hidden state and cell -> [N, 11] logits, hidden state and cell.
        """
        weights = (
            self.lstm.weight_ih_l0,
            self.lstm.weight_hh_l0,
            self.lstm.bias_ih_l0,
            self.lstm.bias_hh_l0,
        )
        memory = torch.lstm_cell(torch.tanh(self.embed(features)), memory, *weights)
        return self.choice(memory[0]), memory


def from_every_seat(table):
    """Turn players round, the own seat first: [..., P] -> [..., seat, P].

    Advanced indexing would say the same, and be slow on the way back.
    """
    return table.index_select(-1, SEATS.flatten()).unflatten(-1, SEATS.shape)


def features(endowment, contribution, payout):
    """Tell what every seat saw, own numbers first: [..., P] each -> [..., P, 16]."""
    table = torch.stack(
        [endowment / 10, contribution / 10, contribution / endowment, payout / 10], -2
    )
    return from_every_seat(table).transpose(-3, -2).flatten(-2)


def log_probabilities(logits, endowment):
    """Rule out what cannot be paid: [..., 11] and [...] -> [..., 11]."""
    coins = torch.arange(COINS + 1)
    return torch.log_softmax(logits.masked_fill(coins > endowment[..., None], -1e9), -1)


def examples(endowment, contribution, payout):
    """List what every player of blocks [B, ...] knew and did.

    -> [B, P, T, 16], endowment and contribution [B, P, T].
    """
    now = endowment[:, None].expand_as(contribution)
    seen = features(now, contribution, payout)[:, :-1]
    nothing = torch.zeros_like(endowment)
    known = torch.cat([features(endowment, nothing, nothing)[:, None], seen], 1)
    return tuple(x.transpose(1, 2) for x in (known, now, contribution))


def cloning_loss(
    player, known, endowment, contribution, answered, *, entropy_weight=0.1, l2=1e-5
):
    """Imitation's loss on blocks of `examples`, players with all ten answers only."""
    log_p = log_probabilities(player(known[answered]), endowment[answered])
    cross_entropy = -log_p.gather(-1, contribution[answered].long()[..., None]).mean()
    entropy = -(log_p.exp() * log_p).sum(-1).mean()
    squares = sum((x**2).sum() for x in player.parameters() if x.requires_grad)
    return cross_entropy - entropy_weight * entropy + l2 * squares


class Mechanism(nn.Module):
    """Two graph networks and a softmax over the players."""

    def __init__(self, params):
        """Take over the weights of ours."""
        super().__init__()
        for name, layer in params.items():
            linear = nn.Linear(*layer["kernel"].shape)
            linear.load_state_dict(
                {"weight": tensor(layer["kernel"]).T, "bias": tensor(layer["bias"])}
            )
            setattr(self, name, linear)
        arrives = torch.zeros(PLAYERS, len(ARROWS))
        arrives[ARROWS[:, 1], torch.arange(len(ARROWS))] = 1
        self.register_buffer("arrives", arrives)

    def forward(self, endowment, contribution):
        """Divide the fund: [G, P] coins twice -> [G, P] shares."""
        seen = endowment / 10, contribution / 10, contribution / endowment
        node = torch.stack(seen[: self.edge1.in_features // 2], -1)
        both_ends = lambda node: [node.index_select(1, end) for end in ARROWS.T]
        to_all = lambda u, n: u[:, None].expand(-1, n, -1)
        join = lambda *parts: torch.cat(parts, -1)
        edge = torch.tanh(self.edge1(join(*both_ends(node))))
        node = torch.tanh(self.node1(join(self.arrives @ edge, node)))
        table = torch.tanh(self.global1(join(edge.sum(1), node.sum(1))))
        known = to_all(table, len(ARROWS))
        edge = torch.tanh(self.edge2(join(edge, *both_ends(node), known)))
        score = self.node2(join(self.arrives @ edge, node, to_all(table, PLAYERS)))
        return torch.softmax(score[..., 0], -1)


def manifold(v, w):
    """Build a point of the ideological manifold."""

    def share(endowment, contribution):
        others = lambda x: x.sum(-1, keepdim=True) - x
        mixed = lambda x: w * x + (1 - w) * others(x) / (PLAYERS - 1)
        fraction = contribution / endowment
        total = contribution.sum(-1, keepdim=True)
        relative = mixed(fraction) / fraction.sum(-1, keepdim=True)
        shares = v * relative + (1 - v) * mixed(contribution) / total
        return torch.where(total > 0, shares, 1 / PLAYERS)

    return share


def liberal_egalitarian(endowment, contribution):
    """Share by contribution relative to endowment."""
    fraction = contribution / endowment
    total = fraction.sum(-1, keepdim=True)
    return torch.where(total > 0, fraction / total, 1 / PLAYERS)


def roll_out(player, mechanism, endowment, uniform, *, scored=False):
    """Play blocks [G, P] with draws [T, G, P]: contribution and payout [G, T, P].

    And, if asked, the log-probability of choices from round 2 on [G].
    """
    contribution = payout = torch.zeros_like(endowment)
    nothing = torch.zeros(endowment.numel(), player.choice.in_features)
    memory, played = (nothing, nothing), []
    log_likelihood = torch.zeros(len(endowment))
    for t in range(ROUNDS):
        seen = features(endowment, contribution, payout).flatten(0, 1)
        logits, memory = player.step(seen, memory)
        log_p = log_probabilities(logits, endowment.flatten())
        stairs = log_p.detach().exp().cumsum(-1)
        passed = uniform[t].flatten()[:, None] * stairs[:, -1:] >= stairs
        payable = torch.arange(COINS + 1) < endowment.flatten()[:, None]
        drawn = (passed & payable).sum(-1)
        if t and scored:
            chosen = log_p.gather(-1, drawn[:, None])[:, 0].view_as(endowment)
            log_likelihood = log_likelihood + chosen.sum(-1)
        contribution = drawn.view_as(endowment).to(endowment.dtype)
        fund = GROWTH * contribution.sum(-1, keepdim=True)
        payout = fund * mechanism(endowment, contribution)
        played.append((contribution, payout))
    return *(torch.stack(x, 1) for x in zip(*played, strict=True)), log_likelihood


def relative_payout_sum(endowment, payout):
    """Sum payouts relative to the own endowment, in tens of coins.

    [G, P] and [G, T, P] -> [G, P].
    """
    return payout.sum(1) / 10 / endowment


def surrogate(votes, log_likelihood):
    """Build the objective with the gradient of the expected votes [G], and those."""
    advantage = (votes - votes.mean()).detach()
    return (votes + advantage * log_likelihood).mean(), votes.mean()


def training_objective(
    player, mechanism, opponent, endowment, own_draws, rival_draws, *, slope=1.4
):
    """Play HCRM against its opponent and count votes."""
    with torch.no_grad():
        _, rival, _ = roll_out(player, opponent, endowment, rival_draws)
    _, own, log_likelihood = roll_out(
        player, mechanism, endowment, own_draws, scored=True
    )
    ahead = relative_payout_sum(endowment, own) - relative_payout_sum(endowment, rival)
    return surrogate(torch.sigmoid(slope * ahead).sum(-1), log_likelihood)


def rational_block(mechanism, endowment, generosity, rate, *, learning):
    """Play a block with players who climb their own return.

    [G, P] thrice -> payouts [G, T, P], with their history if somebody is learning.
    """
    generosity, paid = generosity.clone().requires_grad_(), []
    kept = dict(retain_graph=True, create_graph=learning)
    for t in range(ROUNDS):
        contribution = endowment * torch.sigmoid(generosity)
        fund = GROWTH * contribution.sum(-1, keepdim=True)
        payout = fund * mechanism(endowment, contribution)
        paid.append(payout)
        if t < ROUNDS - 1:
            own = [
                torch.autograd.grad(payout[:, i].sum(), contribution, **kept)[0][:, i]
                for i in range(PLAYERS)
            ]
            room = 1 - contribution / endowment
            gain = torch.stack(own, -1) - 1
            generosity = generosity + rate * contribution * room * gain
            if not learning:
                generosity = generosity.detach().requires_grad_()
    return torch.stack(paid, 1)


def rational_objective(mechanism, opponent, endowment, own, rival, *, slope=1.4):
    """Play RM against its opponent, minds (generosity, rate) twice, and count votes."""
    theirs = rational_block(opponent, endowment, *rival, learning=False)
    ours = rational_block(mechanism, endowment, *own, learning=True)
    received = relative_payout_sum(endowment, theirs).detach()
    ahead = relative_payout_sum(endowment, ours) - received
    return torch.sigmoid(slope * ahead).sum(-1).mean()


def utility(vote_weights, endowment, contribution, payout):
    """Say how much each player likes a block, vote weights [T, 3, P].

    [G, P], [G, T, P] twice -> [G, P].
    """
    now = endowment[:, None].expand_as(payout)
    seen = torch.stack([now / 10, contribution / now, payout / now], -2)
    return torch.einsum("gtqsp,tqp->gs", from_every_seat(seen), vote_weights)


def self_play_objective(
    player, mechanism, vote_weights, endowment, own_draws, rival_draws
):
    """Play HCMD-zero against its copy and count votes by the vote model."""
    with torch.no_grad():
        theirs = roll_out(player, mechanism, endowment, rival_draws)[:2]
        rival = utility(vote_weights, endowment, *theirs)
    contribution, payout, log_likelihood = roll_out(
        player, mechanism, endowment, own_draws, scored=True
    )
    ahead = utility(vote_weights, endowment, contribution, payout) - rival
    return surrogate(torch.sigmoid(ahead).sum(-1), log_likelihood)


@torch.no_grad()
def metagame(player, candidates, endowment, draws, *, slope=1.4):
    """Play every candidate's blocks once, draws [M, T, G, P], and hold all elections.

    -> [M, M] shares of the votes.
    """
    paid = (
        roll_out(player, candidate, endowment, uniform)[1]
        for candidate, uniform in zip(candidates, draws, strict=True)
    )
    sums = torch.stack([relative_payout_sum(endowment, payout) for payout in paid])
    shares = [torch.sigmoid(slope * (own - sums)).mean((1, 2)) for own in sums]
    return torch.stack(shares)
