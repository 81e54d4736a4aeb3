"""The linear-chain conditional random field of a tagger (Lafferty et al. 2001; Lample et al. 2016, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from contract.tags import FORBIDDEN, TagSet, illegal
from models.layers.exportable import length_mask

TINIEST = 1e-30
INITIAL_SCALE = 0.1


class LinearChain(nn.Module):
    """Scores of tag sequences, in which those that BIO forbids have no share.

    Args:
        tags: the tags of the emissions, in order.
    """

    _first: Tensor
    _following: Tensor

    def __init__(self, tags: Sequence[str]) -> None:
        super().__init__()
        self.tags = tuple(tags)
        size = len(tags)
        self.start = nn.Parameter(torch.randn(size) * INITIAL_SCALE)
        self.transitions = nn.Parameter(torch.randn(size, size) * INITIAL_SCALE)
        self.end = nn.Parameter(torch.randn(size) * INITIAL_SCALE)
        first, following = illegal(tags)
        self.register_buffer("_first", torch.from_numpy(first), persistent=False)
        self.register_buffer("_following", torch.from_numpy(following), persistent=False)

    def negative_log_likelihood(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Of the given tags among all sequences: `emissions [rows, time, tags]`, `tags [rows, time]` → `[rows]`."""
        emissions = emissions.float()
        start = self.start.masked_fill(self._first, FORBIDDEN)
        transitions = self.transitions.masked_fill(self._following, FORBIDDEN)
        chosen = self._score(emissions, tags, lengths, start, transitions)
        return self._log_partition(emissions, lengths, start, transitions) - chosen

    def tag_set(self) -> TagSet:
        """The tags with the scores learnt, for decoding on the host."""
        scores = (scores.detach().double().cpu().numpy() for scores in (self.start, self.transitions, self.end))
        return TagSet(self.tags, *scores)

    def _score(self, emissions: Tensor, tags: Tensor, lengths: Tensor, start: Tensor, transitions: Tensor) -> Tensor:
        real = length_mask(lengths, tags.shape[1])
        emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2) * real
        moved = transitions[tags[:, :-1], tags[:, 1:]] * real[:, 1:]
        last = tags.gather(1, (lengths - 1).unsqueeze(1)).squeeze(1)
        return emitted.sum(dim=1) + moved.sum(dim=1) + start[tags[:, 0]] + self.end[last]

    def _log_partition(self, emissions: Tensor, lengths: Tensor, start: Tensor, transitions: Tensor) -> Tensor:
        """The forward algorithm, each step a product of matrices of probabilities: `[rows]`."""
        real = length_mask(lengths, emissions.shape[1])
        steps = transitions.exp()
        scores = start + emissions[:, 0]
        for here, keep in zip(emissions.unbind(1)[1:], real.unsqueeze(2).unbind(1)[1:], strict=True):
            highest = scores.amax(dim=1, keepdim=True).detach()
            following = ((scores - highest).exp() @ steps).clamp_min(TINIEST).log() + highest + here
            scores = torch.where(keep, following, scores)
        return (scores + self.end).logsumexp(dim=1)
