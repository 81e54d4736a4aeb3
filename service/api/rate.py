"""How often somebody may ask."""

from __future__ import annotations

import math

from throttled import MemoryStore, RateLimiterType, Throttled

from service.api.errors import ProblemError

_MOST_CALLERS = 65_536
"""Who has not asked for the longest is forgotten first: no number of addresses fills the memory."""


class Rate:
    """So many requests in so much time, for each caller. Event loop only.

    Counted by the generic cell rate algorithm on the monotonic clock: places come back one by one, not all at once when
    a window ends, and setting the clock changes nothing (docs/decisions/0021).
    """

    def __init__(self, quota: str) -> None:
        self._quota = quota
        store = MemoryStore(options={"MAX_SIZE": _MOST_CALLERS})
        self._throttled = Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store)

    def take(self, caller: str) -> None:
        """Count a request of a caller.

        Raises:
            ProblemError: it has asked too often.
        """
        result = self._throttled.limit(caller)
        if result.limited:
            seconds = max(1, math.ceil(result.state.retry_after))
            told = f"more than {self._quota}: wait {seconds} s, or send several items in one request"
            raise ProblemError("rate-limited", told, headers={"retry-after": str(seconds)})
