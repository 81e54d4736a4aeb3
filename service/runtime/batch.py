"""The live rows of a generate model: join, step, leave. No queue and no thread, so that it can be tested alone.

Book-keeping is done with arrays over all requests of one beam width at once: at a beam of four and 64 requests, one
Python statement a row would cost as much as the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.manifest import Limits, SpecialIds
from service.runtime.draws import Draws
from service.runtime.lane import Lane
from service.runtime.member import Member
from service.runtime.rows import RowTable
from service.runtime.search import (
    BeamChoice,
    Bools,
    Ints,
    candidates_needed,
    choose_beams,
    common_prefix,
    place_survivors,
)
from service.runtime.slots import Slots
from service.runtime.stepper import Stepper
from service.runtime.storage import Rows

_GRAIN = 8
"""Tokens. Attention over a memory may pay for its capacity, so it fits closely."""
_TARGET_GRAIN = 32
"""Tokens. A cache is paid for as far as it is filled, so it need not be laid out anew for every few tokens."""


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
        self._vocabulary = vocabulary
        self._target = limits.of("target")
        self._rows = RowTable(stepper, slots.count, self._target, (axis for axis in slots.limits if axis != "target"))
        self._lanes: dict[tuple[int, int, bool], Lane] = {}
        """By (rows a request stands on, beam width, whether it draws): a beam stands on one row until its first step is
        done."""
        self._reserved = 0
        self._longest = dict.fromkeys(("target", *slots.limits), 1)
        self._k = 1
        self._clock = 0
        self._streaming: set[int] = set()
        self.members: dict[int, Member] = {}

    @property
    def free(self) -> int:
        """Slots that no member holds or will grow into."""
        return self._slots.count - self._reserved

    @property
    def live(self) -> int:
        """Rows that the next step runs."""
        return self._slots.live

    def join(
        self, owners: list[int], members: list[Member], values: Mapping[str, Any], sizes: Mapping[str, Ints]
    ) -> None:
        """Let requests in, one row each; a beam grows to its width after its first step.

        Args:
            owners: a number for each member, unique among the live ones.
            members: what to do with each row.
            values: encode outputs and handed-on inputs, `[len(members), …]`.
            sizes: `[len(members)]` size of each row along each named axis of the inputs.
        """
        table = self._rows
        for axis in table.sizes:
            self._longest[axis] = max(self._longest[axis], int(sizes[axis].max()))
        starts = np.array([member.start for member in members])
        self._longest["target"] = max(self._longest["target"], int(starts.max()) + 1)
        self._fit()
        rows = self._slots.join(values, len(members))
        bos = self._special.bos
        table.tokens[rows] = [bos if member.first_token is None else member.first_token for member in members]
        table.positions[rows] = table.starts[rows] = starts
        table.totals[rows] = 0.0
        table.ends[rows] = [min(member.start + member.search.max_length, self._target) for member in members]
        for axis, column in table.sizes.items():
            column[rows] = sizes[axis]
        for row, owner, member in zip(rows, owners, members, strict=True):
            width, sampling = member.search.beam_size, member.search.sampling
            member.k = min(candidates_needed(width, sampling), self._vocabulary)
            self._k = max(self._k, member.k)
            member.started = self._clock
            if member.streaming:
                self._streaming.add(owner)
            self.members[owner] = member
            self._reserved += width
            lane = self._lane(1, width, draws=sampling is not None)
            lane.add(row.reshape(1, 1), np.array([owner]))
            if lane.draws is not None and sampling is not None:
                lane.draws.add(sampling)

    def drop(self, owners: list[int]) -> None:
        """Free the rows of members that are no longer wanted."""
        rows = [lane.remove(np.isin(lane.owners, owners)) for lane in self._lanes.values()]
        self._leave(np.concatenate(rows), owners)

    def step(self) -> Progress:
        """Run one step of every live row and apply each member's search to what it brought."""
        self._fit()
        candidates, scores = self._stepper.step(self._k)
        self._clock += 1
        self._longest["target"] += 1
        done: list[int] = []
        leaving: list[Rows] = []
        # Beams that grow out of their first step join the lane of their width, which has had its step then.
        for _, lane in sorted(self._lanes.items(), reverse=True):
            if len(lane):
                move = self._step_single if lane.width == 1 else self._step_beams
                over = move(lane, candidates, scores)
                if over is not None and over.any():
                    done += lane.owners[over].tolist()
                    leaving.append(lane.remove(over))
                if lane.live != lane.width:
                    self._grow(lane)
        finished = [(owner, self.members[owner]) for owner in done]
        for _, member in finished:
            member.steps = self._clock - member.started
        streamed = self._stream(finished)
        if done:
            self._leave(np.concatenate(leaving), done)
        return Progress(streamed, finished)

    def _step_single(self, lane: Lane, candidates: Ints, scores: Any) -> Bools | None:
        """Greedy and sampling. Returns which requests are over."""
        table, rows = self._rows, lane.rows[:, 0]
        columns = 0 if lane.draws is None else lane.draws.columns(scores[rows])
        tokens = candidates[rows, columns]
        lengths = table.positions[rows] + 1
        table.totals[rows] += scores[rows, columns]
        table.history[rows, lengths - 1] = tokens
        table.positions[rows] = lengths
        table.tokens[rows] = tokens
        ended = tokens == self._special.eos
        over: Bools = ended | (lengths >= table.ends[rows])
        if not over.any():
            return None
        for index in np.nonzero(over)[0].tolist():
            end = bool(ended[index])
            ids = table.history[rows[index], table.starts[rows[index]] : lengths[index] - int(end)].copy()
            self.members[int(lane.owners[index])].found.append((ids, float(table.totals[rows[index]]), end))
        return over

    def _step_beams(self, lane: Lane, candidates: Ints, scores: Any) -> Bools | None:
        """Beam search. Returns which requests are over; the others stand on the continuations that live on."""
        table, rows = self._rows, lane.rows
        choice = choose_beams(table.totals[rows], candidates[rows], scores[rows], lane.width, self._special.eos)
        lengths = table.positions[rows[:, 0]]
        last = lengths + 1 >= table.ends[rows[:, 0]]
        ending: Bools = choice.ended | last[:, None]
        over = self._finish_beams(lane, choice, ending, last, lengths) if ending.any() else None
        tokens, parents, totals = choice.survivors()
        if lane.live == lane.width:
            rows, destination, source = place_survivors(parents, rows)
            if len(destination):
                # At this point a row's position is that of the token it has just read.
                self._slots.reorder(destination, source, {"target": table.positions[source] + 1})
                used = int(lengths.max())
                table.history[destination, :used] = table.history[source, :used]
            lane.rows = rows
        else:
            lane.born = tokens, totals
            tokens, totals = tokens[:, :1], totals[:, :1]
        self._advance(rows, lengths[:, None], tokens, totals)
        return over

    def _advance(self, rows: Ints, lengths: Ints, tokens: Ints, totals: Any) -> None:
        table = self._rows
        table.totals[rows] = totals
        table.tokens[rows] = tokens
        table.history[rows, lengths] = tokens
        table.positions[rows] = lengths + 1

    def _finish_beams(self, lane: Lane, choice: BeamChoice, ending: Bools, last: Bools, lengths: Ints) -> Bools:
        """Keep the hypotheses that end here; returns which requests are over."""
        over = last.copy()
        for group, column in zip(*(axis.tolist() for axis in np.nonzero(ending)), strict=True):
            member = self.members[int(lane.owners[group])]
            row = lane.rows[group, choice.parents[group, column]]
            ids = self._rows.history[row, self._rows.starts[row] : lengths[group] + 1].copy()
            ids[-1] = choice.tokens[group, column]
            end = bool(choice.ended[group, column])
            member.found.append((ids[:-1] if end else ids, float(choice.totals[group, column]), end))
            member.best_beam_ended |= column == 0
            over[group] |= member.over
        return over

    def _grow(self, lane: Lane) -> None:
        """Beams that had their first step spread from one row to their width."""
        if not len(lane) or lane.born is None:
            lane.clear()
            return
        tokens, totals = lane.born
        parents = np.repeat(lane.rows[:, 0], lane.width - 1)
        table = self._rows
        grown = self._slots.grow(parents, {axis: column[parents] for axis, column in table.filled.items()})
        table.copy(grown, parents, used=0)
        rows = np.concatenate([lane.rows, grown.reshape(len(lane), -1)], axis=1)
        self._advance(rows, table.starts[lane.rows], tokens, totals)
        self._lane(lane.width, lane.width).add(rows, lane.owners)
        lane.clear()

    def _stream(self, finished: list[tuple[int, Member]]) -> list[tuple[int, list[int]]]:
        """Ids that have become certain: those that all live beams and ended hypotheses of a member share."""
        if not self._streaming:
            return []
        ended = dict(finished)
        streamed = []
        for owner in sorted(self._streaming):
            member = self.members[owner]
            if owner in ended:
                sequences = [np.array(member.hypotheses()[0].token_ids)]
            else:
                sequences = [self._rows.written(row) for row in self._rows_of(owner)]
                sequences += [sequence for sequence, _, _ in member.found]
            certain = common_prefix(sequences)
            if certain > member.streamed:
                streamed.append((owner, sequences[0][member.streamed : certain].tolist()))
                member.streamed = certain
        return streamed

    def _rows_of(self, owner: int) -> list[int]:
        return [row for lane in self._lanes.values() for row in lane.rows[lane.owners == owner].ravel().tolist()]

    def _leave(self, rows: Rows, owners: list[int]) -> None:
        for owner in owners:
            self._reserved -= self.members.pop(owner).search.beam_size
        self._streaming.difference_update(owners)
        before, table = self.live, self._rows
        holes, moved = self._slots.leave(rows, table.filled)
        if len(holes):
            table.copy(holes, moved, self._longest["target"])
            places = np.arange(before)
            places[moved] = holes
            for lane in self._lanes.values():
                lane.rows = places[lane.rows]
        live = self.live
        table.vacate(live, before)
        self._longest = {axis: int(column[:live].max(initial=1)) for axis, column in table.sizes.items()}
        self._longest["target"] = int(table.positions[:live].max(initial=0)) + 1
        self._k = max((member.k for member in self.members.values()), default=1)

    def _lane(self, live: int, width: int, *, draws: bool = False) -> Lane:
        key = (live, width, draws)
        if key not in self._lanes:
            self._lanes[key] = Lane(live, width, Draws() if draws else None)
        return self._lanes[key]

    def _fit(self) -> None:
        """Fit the capacities to the longest live row.

        While rows are live, every change copies them all, so capacity shrinks only when less than half is needed.
        """
        wanted = {
            axis: capacity_bucket(self._longest[axis], _TARGET_GRAIN if axis == "target" else _GRAIN, limit)
            for axis, limit in self._slots.limits.items()
        }
        for axis, present in self._slots.capacities.items():
            if self.live and wanted[axis] < present <= 2 * wanted[axis]:
                wanted[axis] = present
        if wanted != self._slots.capacities:
            self._slots.resize(wanted)


def capacity_bucket(length: int, grain: int, limit: int) -> int:
    """Capacity for a length: a multiple of the grain, or of four grains where it is longer; at most the limit."""
    step = grain if length <= 4 * grain else 4 * grain
    return min(-(-length // step) * step, limit)
