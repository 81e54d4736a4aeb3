"""What the runtime refuses, one class per reason. Each message says what to change."""

from __future__ import annotations


class RefusalError(Exception):
    """A request that is not served. `reason` is a closed set of labels for metrics and problem types."""

    reason = "refused"


class InputTooLongError(RefusalError):
    """The input is longer along an axis than the bundle's limit."""

    reason = "input-too-long"

    def __init__(self, length: int, limit: int, axis: str) -> None:
        self.length, self.limit, self.axis = length, limit, axis
        super().__init__(f"{length} along {axis!r}, at most {limit} are taken: shorten it or ask to truncate")


class BeamTooWideError(RefusalError):
    """The beam needs more slots than the runtime has."""

    reason = "beam-too-wide"

    def __init__(self, beam_size: int, slots: int) -> None:
        self.beam_size, self.slots = beam_size, slots
        super().__init__(f"a beam of {beam_size} is wider than this model can hold: ask for {slots} at most")


class TooManyCandidatesError(RefusalError):
    """More of the best tokens are asked for than a step tells."""

    reason = "invalid-request"

    def __init__(self, top_k: int, limit: int) -> None:
        super().__init__(f"the {top_k} best tokens are more than this model tells: ask for a top_k of {limit} at most")


class QueueFullError(RefusalError):
    """The bounded queue is full."""

    reason = "queue-full"

    def __init__(self, rows: int = 1, room: int = 0) -> None:
        fewer = f" for {rows}, but for {room}: send fewer at a time, or" if room else ":"
        super().__init__(f"too much is waiting already, there is no room{fewer} retry later")


class DeadlineExceededError(RefusalError):
    """The deadline passed before the result was there."""

    reason = "deadline-exceeded"

    def __init__(self) -> None:
        super().__init__("the deadline passed before the result was complete: allow more time or ask for less")


class ShuttingDownError(RefusalError):
    """The engine takes no new requests."""

    reason = "shutting-down"

    def __init__(self) -> None:
        super().__init__("the service is shutting down: send the request to another replica")


class EngineFailedError(RefusalError):
    """A step of the model failed; its text is the runtime's own."""

    reason = "engine-failed"


class NoAttentionError(RefusalError):
    """The architecture has nothing to explain with."""

    reason = "no-attention"

    def __init__(self, model: str) -> None:
        super().__init__(f"model {model!r} has no attention: leave out explain, or choose a model that has it")
