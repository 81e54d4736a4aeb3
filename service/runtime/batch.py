"""The live rows of a generate model: join, step, leave. No queue and no thread, so that it can be tested alone.

Book-keeping is done with arrays over all rows at once: at a beam of four and 64 requests, one Python statement a row
would cost as much as the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contract.manifest import Limits, SpecialIds
from service.runtime.requests import Hypothesis, Search
from service.runtime.search import (
    Ints,
    candidates_needed,
    choose_beams,
    common_prefix,
    normalised_score,
    place_survivors,
    sample,
)
from service.runtime.slots import Slots
from service.runtime.stepper import Stepper
from service.runtime.storage import Rows


@dataclass
class Member:
    """A request among the live rows."""

    search: Search
    streaming: bool = False
    hypotheses: list[tuple[Ints, float, bool]] = field(default_factory=list)
    """Token ids, sum of log-probabilities, and whether the end token was reached, of each finished beam."""
    best_beam_ended: bool = False
    streamed: int = 0
    steps: int = 0
    generator: np.random.Generator | None = None
    k: int = 1


@dataclass(frozen=True)
class Progress:
    """What a step brought: ids newly certain of streaming members, and the members that are done."""

    streamed: list[tuple[int, list[int]]]
    done: list[tuple[int, Member]]


class Batch:
    """The live rows of one model."""

    def __init__(self, slots: Slots, stepper: Stepper, special: SpecialIds, limits: Limits, vocabulary: int) -> None:
        self._slots = slots
        self._stepper = stepper
        self._special = special
        self._limits = limits
        self._vocabulary = vocabulary
        self.members: dict[int, Member] = {}
        count = slots.count
        self._tokens = stepper.token_ids
        self._positions = stepper.positions
        self._totals = np.zeros(count, dtype=np.float64)
        self._owners = np.zeros(count, dtype=np.int64)
        self._widths = np.zeros(count, dtype=np.int64)
        self._ranks = np.zeros(count, dtype=np.int64)
        self._ends = np.zeros(count, dtype=np.int64)
        self._sources = np.zeros(count, dtype=np.int64)
        self._history = np.zeros((count, limits.target), dtype=np.int64)
        self._columns = (
            self._tokens, self._positions, self._totals, self._owners, self._widths, self._ranks, self._ends,
            self._sources, self._history,
        )  # fmt: skip
        self._reserved = 0
        self._done: list[tuple[int, Member]] = []

    @property
    def free(self) -> int:
        """Slots that no member holds or will grow into."""
        return self._slots.count - self._reserved

    @property
    def live(self) -> int:
        """Rows that the next step runs."""
        return self._slots.live

    def join(self, owners: list[int], members: list[Member], values: Mapping[str, Any], lengths: Ints) -> None:
        """Let requests in, one row each; a beam grows to its width after its first step.

        Args:
            owners: a number for each member, unique among the live ones.
            members: what to do with each row.
            values: encode outputs and handed-on inputs, `[len(members), …]`.
            lengths: `[len(members)]` length of each row along the source axis.
        """
        live = self.live
        self._fit(
            source=int(max(lengths.max(), self._sources[:live].max(initial=1))),
            target=int(self._positions[:live].max(initial=0)) + 1,
        )
        rows = self._slots.join(values, len(members))
        self._tokens[rows] = self._special.bos
        self._positions[rows] = 0
        self._totals[rows] = 0.0
        self._owners[rows] = owners
        self._widths[rows] = [member.search.beam_size for member in members]
        self._ranks[rows] = 0
        self._ends[rows] = [min(member.search.max_length, self._limits.target) for member in members]
        self._sources[rows] = lengths
        for owner, member in zip(owners, members, strict=True):
            if member.search.sampling is not None:
                member.generator = np.random.default_rng(member.search.sampling.seed)
            member.k = min(candidates_needed(member.search.beam_size, member.search.sampling), self._vocabulary)
            self.members[owner] = member
            self._reserved += member.search.beam_size

    def drop(self, owners: list[int]) -> None:
        """Free the rows of members that are no longer wanted."""
        rows = np.nonzero(np.isin(self._owners[: self.live], owners))[0]
        for owner in owners:
            self._reserved -= self.members.pop(owner).search.beam_size
        self._leave(rows)

    def step(self) -> Progress:
        """Run one step of every live row and apply each member's search to what it brought."""
        live = self.live
        self._fit(source=int(self._sources[:live].max()), target=int(self._positions[:live].max()) + 1)
        k = max(member.k for member in self.members.values())
        candidates, scores = self._stepper.step(k)
        for member in self.members.values():
            member.steps += 1
        widths = self._widths[:live].copy()
        leaving = [self._step_single(np.nonzero(widths == 1)[0], candidates, scores)]
        for width in np.unique(widths[widths > 1]):
            rows = np.nonzero(widths == width)[0]
            rows = rows[np.lexsort((self._ranks[rows], self._owners[rows]))]
            # A beam that has just joined stands on one row.
            fresh = self._positions[rows] == 0
            leaving.append(self._step_beams(rows[fresh].reshape(-1, 1), int(width), candidates, scores))
            leaving.append(self._step_beams(rows[~fresh].reshape(-1, int(width)), int(width), candidates, scores))
        done, self._done = self._done, []
        streamed = self._stream(done)
        self._leave(np.concatenate(leaving))
        for owner, member in done:
            del self.members[owner]
            self._reserved -= member.search.beam_size
        return Progress(streamed, done)

    def _step_single(self, rows: Rows, candidates: Ints, scores: Any) -> Rows:
        """Greedy and sampling: one row a member."""
        if not len(rows):
            return rows
        columns = np.zeros(len(rows), dtype=np.int64)
        for index, row in enumerate(rows):
            member = self.members[int(self._owners[row])]
            if member.search.sampling is not None and member.generator is not None:
                columns[index] = sample(scores[row], member.search.sampling, member.generator)
        tokens = candidates[rows, columns]
        self._totals[rows] += scores[rows, columns]
        self._history[rows, self._positions[rows]] = tokens
        self._positions[rows] += 1
        self._tokens[rows] = tokens
        ended = self._is_end(tokens)
        over = ended | (self._positions[rows] >= self._ends[rows])
        for row, end in zip(rows[over], ended[over], strict=True):
            owner = int(self._owners[row])
            ids = self._history[row, : self._positions[row] - int(end)].copy()
            self.members[owner].hypotheses.append((ids, float(self._totals[row]), bool(end)))
            self._done.append((owner, self.members[owner]))
        return np.asarray(rows[over])

    def _step_beams(self, rows: Rows, width: int, candidates: Ints, scores: Any) -> Rows:
        """Beam search of the members that stand on `rows [G, live beams]`; returns the rows that leave."""
        if not len(rows):
            return rows.ravel()
        choice = choose_beams(self._totals[rows], candidates[rows], scores[rows], width, self._special.eos)
        lengths = self._positions[rows[:, 0]]
        last = lengths + 1 >= self._ends[rows[:, 0]]
        leading = choice.tokens[:, :width]
        ended = self._is_end(leading)
        for group, column in zip(*np.nonzero(ended | last[:, None]), strict=True):
            member = self.members[int(self._owners[rows[group, 0]])]
            ids = self._history[rows[group, choice.parents[group, column]], : lengths[group] + 1].copy()
            ids[-1] = leading[group, column]
            end = bool(ended[group, column])
            total = float(choice.totals[group, column])
            member.hypotheses.append((ids[:-1] if end else ids, total, end))
            member.best_beam_ended |= bool(column == 0)
        over = last.copy()
        for group in np.nonzero(ended.any(axis=1) & ~last)[0]:
            over[group] = _search_is_over(self.members[int(self._owners[rows[group, 0]])])
        self._done += [(int(owner), self.members[int(owner)]) for owner in self._owners[rows[over, 0]]]
        self._advance(rows[~over], choice.survivors[~over], choice, ~over, width)
        return rows[over].ravel()

    def _advance(self, rows: Ints, survivors: Ints, choice: Any, alive: Any, width: int) -> None:
        """Move the surviving continuations onto rows, copying as few as possible."""
        if not len(rows):
            return
        parents = np.take_along_axis(choice.parents[alive], survivors, axis=1)
        lengths = self._positions[rows[:, 0]]
        used = int(lengths.max()) + 1
        if rows.shape[1] == 1:
            placed = np.empty((len(rows), width), dtype=np.int64)
            placed[:, :1] = rows
            parent_rows = np.repeat(rows[:, 0], width - 1)
            extent = {"target": used, "source": int(self._sources[parent_rows].max())}
            placed[:, 1:] = self._slots.grow(parent_rows, extent).reshape(len(rows), width - 1)
            for column in self._columns:
                column[placed[:, 1:].reshape(-1)] = column[parent_rows]
        else:
            placed, destination, source = place_survivors(parents, rows)
            if len(destination):
                self._slots.reorder(destination, source, {"target": used})
                self._history[destination, :used] = self._history[source, :used]
        tokens = np.take_along_axis(choice.tokens[alive], survivors, axis=1)
        self._totals[placed] = np.take_along_axis(choice.totals[alive], survivors, axis=1)
        self._tokens[placed] = tokens
        self._history[placed, lengths[:, None]] = tokens
        self._positions[placed] = lengths[:, None] + 1
        self._ranks[placed] = np.arange(width)

    def _stream(self, done: list[tuple[int, Member]]) -> list[tuple[int, list[int]]]:
        """Ids that have become certain: those that all live beams and ended hypotheses of a member share."""
        finished = dict(done)
        streamed = []
        for owner, member in self.members.items():
            if not member.streaming:
                continue
            if owner in finished:
                ids = hypotheses(member)[0].token_ids
                certain = len(ids)
            else:
                rows = np.nonzero(self._owners[: self.live] == owner)[0]
                sequences = [self._history[row, : self._positions[row]] for row in rows]
                sequences += [sequence for sequence, _, _ in member.hypotheses]
                certain = common_prefix(sequences)
                ids = sequences[0][:certain].tolist()
            if certain > member.streamed:
                streamed.append((owner, ids[member.streamed : certain]))
                member.streamed = certain
        return streamed

    def _leave(self, rows: Rows) -> None:
        if not len(rows):
            return
        before = self.live
        used = {
            "target": min(int(self._positions[:before].max()), self._slots.capacities["target"]),
            "source": int(self._sources[:before].max()),
        }
        holes, moved = self._slots.leave(rows, used)
        for column in self._columns:
            column[holes] = column[moved]
        # Rows outside the live prefix stand at position 0.
        self._positions[self.live : before] = 0
        self._tokens[self.live : before] = 0

    def _fit(self, *, source: int, target: int) -> None:
        """Fit the capacities to the longest live row.

        While rows are live, every change copies them all, so capacity shrinks only when less than half is needed.
        """
        wanted = {
            "source": capacity_bucket(source, self._limits.source),
            "target": capacity_bucket(target, self._limits.target),
        }
        for axis, present in self._slots.capacities.items():
            if self.live and wanted[axis] < present <= 2 * wanted[axis]:
                wanted[axis] = present
        if wanted != self._slots.capacities:
            self._slots.resize(wanted)

    def _is_end(self, tokens: Ints) -> Any:
        eos = self._special.eos
        return np.zeros(tokens.shape, dtype=bool) if eos is None else tokens == eos


def capacity_bucket(length: int, limit: int) -> int:
    """Capacity for a length: the next multiple of 8 up to 32, of 32 beyond; never above the limit."""
    step = 8 if length <= 32 else 32
    return min(-(-max(length, 1) // step) * step, limit)


def hypotheses(member: Member) -> list[Hypothesis]:
    """A member's finished hypotheses, best first, as many as were asked for."""
    penalty = member.search.length_penalty
    scored = [
        Hypothesis(ids.tolist(), normalised_score(total, len(ids) + int(ended), penalty), total, ended)
        for ids, total, ended in member.hypotheses
    ]
    scored.sort(key=lambda hypothesis: -hypothesis.score)
    return scored[: member.search.alternatives]


def _search_is_over(member: Member) -> bool:
    search = member.search
    if search.length_penalty == 0:
        return member.best_beam_ended and len(member.hypotheses) >= search.alternatives
    return len(member.hypotheses) >= search.beam_size
