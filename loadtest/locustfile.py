"""Translation traffic on a running service: `make load`, or `locust --headless --locustfile loadtest/locustfile.py`.

Every reply is checked. The run fails (exit code 1) when a request does, or when the 95th percentile is above `--p95`.
It ends by itself after a minute where no `--run-time` says otherwise, and refuses to load any host but this one.
"""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment

LOOPBACK = ("127.0.0.1", "localhost", "::1")
RUN_TIME = "60s"
P95_MILLISECONDS = 1_000

_CAPTIONS = (
    "A man is riding a bicycle.",
    "Two dogs play in the snow.",
    "A woman in a red coat is waiting for the bus at the corner of a busy street.",
    "Children are building a sand castle on the beach while their parents watch from under a blue umbrella.",
    "Three musicians play for a small crowd in front of an old church.",
    "A chef cuts vegetables.",
)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def set_bounds(parser: LocustArgumentParser, **_: Any) -> None:
    """Let the caller say how long is too long, and end where the caller does not say when."""
    parser.set_defaults(run_time=RUN_TIME)
    help_text = "longest 95th percentile, in milliseconds, that passes"
    parser.add_argument("--p95", type=int, default=P95_MILLISECONDS, help=help_text)


@events.init.add_listener  # type: ignore[untyped-decorator]
def refuse_other_hosts(environment: Environment, **_: Any) -> None:
    """Load tests of what is not ours are nobody's to start by accident."""
    host = urlsplit(environment.host or "").hostname
    if host not in LOOPBACK:
        raise SystemExit(f"loadtest: {environment.host!r} is not this machine; --host must be one of {LOOPBACK}")


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: Any) -> None:
    """Fail the run on any failure, on a long 95th percentile, and when nothing was asked at all."""
    total = environment.stats.total
    longest = environment.parsed_options.p95 if environment.parsed_options else P95_MILLISECONDS
    too_slow = (total.get_response_time_percentile(0.95) or 0) > longest
    if total.num_requests == 0 or total.num_failures or too_slow:
        environment.process_exit_code = 1


class Reader(FastHttpUser):
    """Somebody who sends the next text as soon as the last one is translated: mostly single captions, some lists."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Begin with choices of its own."""
        self._random = Random()  # noqa: S311  # traffic, not secrets

    @task(6)
    def translate(self) -> None:
        """One caption with the model's default search."""
        self._ask({"text": self._random.choice(_CAPTIONS)}, 1)

    @task(3)
    def translate_greedily(self) -> None:
        """One caption with greedy search."""
        self._ask({"text": self._random.choice(_CAPTIONS), "beam_size": 1}, 1)

    @task(1)
    def translate_list(self) -> None:
        """All captions in one request."""
        self._ask({"text": list(_CAPTIONS)}, len(_CAPTIONS))

    def _ask(self, body: dict[str, Any], expected: int) -> None:
        with self.client.post("/v1/translate", json=body, catch_response=True) as response:
            if fault := find_fault(response, expected):
                response.failure(fault)


def find_fault(response: ResponseContextManager, expected: int) -> str | None:
    """What is wrong with a reply that should hold so many translations; None where nothing is."""
    if response.status_code != 200:
        return f"status {response.status_code}: {response.text}"
    translations = response.json()["translations"]
    if len(translations) != expected:
        return f"{len(translations)} translations of {expected} texts"
    if not all(translation["text"] and translation["score"] <= 0 for translation in translations):
        return "an empty translation, or a score above 0"
    return None
