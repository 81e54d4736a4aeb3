"""Newcomers on their way into the running batch: encoded together, or alone where one of them is no good."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from contract.rows import pad_rows
from contract.signature import Tensor
from service.runtime.errors import EngineFailedError
from service.runtime.intake import Admission
from service.runtime.requests import GenerateRequest, Generation, Run
from service.runtime.search import Ints
from service.runtime.stepper import Encoder, bucket

_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket(Admission[Generation]):
    """A submitted request, which `cancel()` drops, freeing its slots at the next step."""

    request: GenerateRequest
    sizes: dict[str, int]
    """By named axis of the inputs."""
    run: Run | None = None
    """That which encoded it."""
    first_token: float = 0.0

    @property
    def cost(self) -> int:
        """Tokens of a text; 1 for a picture, as they are all of one size."""
        return prod(self.sizes.values())


@dataclass(frozen=True)
class Encoded:
    """Tickets that were encoded together, and what their rows start from.

    `values` are encode outputs and handed-on inputs, `sizes` those of each ticket by axis.
    """

    tickets: list[Ticket]
    values: dict[str, Any]
    sizes: dict[str, Ints]
    run: Run

    @property
    def cost(self) -> int:
        """Tickets × the longest of them."""
        return len(self.tickets) * prod(int(column.max()) for column in self.sizes.values())

    @property
    def padding(self) -> float:
        """Share of the cost that is empty."""
        return 1.0 - sum(ticket.cost for ticket in self.tickets) / self.cost


class Newcomers:
    """Encodes tickets, at most `together` at a time.

    `fail` is told of those that cannot be encoded.
    """

    def __init__(
        self,
        encoder: Encoder,
        inputs: Sequence[Tensor],
        together: int,
        fail: Callable[[Ticket, Exception], None],
    ) -> None:
        self._encoder, self._inputs, self._together, self._fail = encoder, inputs, together, fail

    def warm_up(self, row: dict[str, Any]) -> None:
        """Encode every number of rows that will occur: on CUDA, operators look for their best way at each new shape."""
        for rows in sorted({bucket(count) for count in range(1, self._together + 1)}):
            self._encoder.run(pad_rows(self._inputs, [row] * rows))

    def encode(self, tickets: Sequence[Ticket]) -> list[Encoded]:
        """Encode tickets, short beside short: padding costs more than small batches do."""
        ordered = sorted(tickets, key=lambda ticket: ticket.cost)
        parts = [ordered[start : start + self._together] for start in range(0, len(ordered), self._together)]
        return [encoded for part in parts for encoded in self._try(part)]

    def _try(self, tickets: list[Ticket]) -> list[Encoded]:
        """Encode a batch; if it fails, each of it alone, so that one bad input does not fail its neighbours."""
        started = time.monotonic()
        try:
            values = self._encoder.run(pad_rows(self._inputs, [ticket.request.inputs for ticket in tickets]))
        except Exception as error:  # noqa: BLE001 - whatever fails, the loop must go on for the others
            if len(tickets) == 1:
                self._fail(tickets[0], EngineFailedError(f"encode failed: {error}"))
                return []
            _LOG.warning("encoding %d requests failed, trying each alone", len(tickets))
            return [encoded for ticket in tickets for encoded in self._try([ticket])]
        sizes = {axis: np.array([ticket.sizes[axis] for ticket in tickets]) for axis in tickets[0].sizes}
        return [Encoded(tickets, values, sizes, Run("encode", started, time.monotonic(), len(tickets)))]
