"""Traffic on a running service: `make load`, or `locust --headless --locustfile loadtest/locustfile.py --host URL`.

A pool of users sends what is due (`loadtest.pace`): all tasks in one mix, or those of `--mix`. Every reply is checked.
The run fails (exit code 1) where a threshold is broken, and says which; it loads no host but this one.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import gevent
from locust import FastHttpUser, LoadTestShape, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.util.timespan import parse_timespan

from loadtest.pace import Pace
from loadtest.pictures import NoPicturesError
from loadtest.report import Record
from loadtest.shapes import SHAPES, Load, ShapeError, plan, usual_users
from loadtest.thresholds import SHIPPED, Thresholds, ThresholdsError, load_thresholds
from loadtest.traffic.material import MaterialError, load_material
from loadtest.traffic.memory import TOLERANCE, Memory
from loadtest.traffic.mix import SHARES, Limits, Mix, MixError, read_shares

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY = "LOADTEST_KEY"
"""The variable that holds the service's key: who lists processes sees their arguments."""
POOL, SPAWN_RATE, DURATION = 16, 100, "60s"
"""`POOL`: users for each of `--users`, where requests come whether or not those before were answered."""


class Run:
    """One run: its plan, what is asked, and what is kept of it."""

    def __init__(self, options: Any, host: str) -> None:
        self.headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
        self.shape: str = options.load_shape
        load = Load(options.num_users or usual_users(self.shape), options.rate)
        self.phases = plan(self.shape, load, parse_timespan(options.duration))
        closed = all(phase.users is not None for phase in self.phases)
        self.pool = max(phase.users or 0 for phase in self.phases) if closed else POOL * load.users
        self.thresholds: Thresholds = load_thresholds(options.thresholds)
        limits = served(host, self.headers)
        shares = read_shares(options.mix) if options.mix else {t: n for t, n in SHARES.items() if t in limits}
        self.mix = Mix(shares, limits, load_material(options.data), Memory(options.tolerance))
        self.record = Record()
        random = Random(1) if options.poisson else None  # noqa: S311  # traffic, not secrets
        self.pace = Pace(self.phases, self.record.completed, random)
        self.out: Path | None = options.out
        self.begun = False


class Everybody(LoadTestShape):
    """Keeps all users there until the plan is through; how much they send is up to the pace."""

    use_common_options = True
    run: Run | None = None

    def tick(self) -> tuple[int, float] | None:
        assert self.run is not None
        return None if self.run.pace.over else (self.run.pool, min(self.run.pool, SPAWN_RATE))


class Visitor(FastHttpUser):
    """Sends what is due next, as soon as the last reply is there."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """One request, timed from when it was due; a refusal, from when it was sent."""
        run = Everybody.run
        assert run is not None
        question = run.mix.draw()
        due = run.pace.take()
        headers = {"Content-Type": question.content_type, **run.headers}
        content: dict[str, Any] = {"data": question.content, "headers": headers}
        sent = time.perf_counter()
        with self.client.post(question.path, catch_response=True, **content) as response:
            end = time.perf_counter()
            status, body = response.status_code, response.content or b""
            outcome, fault = question.judge(status, body, response.headers or {})
            seconds = end - (sent if outcome == "refused" else due.instant)
            response.request_meta["response_time"] = 1000 * seconds
            if fault is not None:
                response.failure(fault)
            else:
                response.success()
            if outcome == "refused":
                response.request_meta["name"] = f"{question.path} (refused)"
        run.record.note(due.phase, question.task, question.path, status, outcome, seconds, fault, run.pace.phase)
        run.pace.done()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """What a run can be told, beside `--host` and `--users`."""
    shape_help = "steady, step, spike, soak, or overload (ten times what it can do)"
    parser.add_argument("--load-shape", choices=list(SHAPES), default="steady", help=shape_help)
    parser.add_argument(
        "--rate", type=float, help="requests a second, whatever becomes of them; else as users are free"
    )
    parser.add_argument("--poisson", action="store_true", default=False, help="at random instants of that rate")
    parser.add_argument("--duration", default=DURATION, help="of the whole run, as in 90s or 10m")
    parser.add_argument(
        "--mix", help="tasks and their shares, as in translate=3,classify=1; else all of these that are served"
    )
    parser.add_argument("--data", type=Path, help="folder of texts, sessions and pictures; else the samples")
    parser.add_argument("--thresholds", type=Path, default=SHIPPED, help="YAML file of what a run must keep to")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="by which scores of one question may differ")
    parser.add_argument("--key", env_var=KEY, is_secret=True, help="API key that every request carries")
    parser.add_argument("--out", type=Path, help="JSON file of what became of the requests")


@events.init.add_listener  # type: ignore[untyped-decorator]
def prepare(environment: Environment, **_: Any) -> None:
    """Load tests of what is not ours are nobody's to start by accident; and what cannot be run is told at once."""
    host = environment.host or ""
    if urlsplit(host).hostname not in LOOPBACK:
        raise SystemExit(f"loadtest: {host!r} is not this machine; --host must be one of {LOOPBACK}")
    try:
        Everybody.run = Run(environment.parsed_options, host)
    except (ShapeError, ThresholdsError, MaterialError, MixError, NoPicturesError) as error:
        raise SystemExit(f"loadtest: {error}") from None
    except HTTPError as error:
        asks = f": {KEY} must hold one of its API keys" if error.code in (401, 403) else ""
        raise SystemExit(f"loadtest: {host} replies {error.code} when asked for its models{asks}") from None
    except OSError as error:
        raise SystemExit(f"loadtest: nothing answers at {host}: {error}") from None


@events.spawning_complete.add_listener  # type: ignore[untyped-decorator]
def begin(**_: Any) -> None:
    """The plan starts when everybody is there."""
    run = Everybody.run
    assert run is not None
    if not run.begun:
        run.begun = True
        gevent.spawn(run.pace.run)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: Any) -> None:
    """Keep what became of the requests; fail the run, and say why, where a threshold is broken."""
    run = Everybody.run
    if run is None:
        return
    report = run.record.report(run.shape, run.phases, run.pace.rates, run.pace.unsent)
    breaches = run.thresholds.breaches(report)
    if not run.pace.over:
        breaches.append("the run was ended before it was through")
    if run.out is not None:
        run.out.parent.mkdir(parents=True, exist_ok=True)
        run.out.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sys.stderr.writelines(f"loadtest: {breach}\n" for breach in breaches)
    environment.process_exit_code = 1 if breaches else 0


def served(host: str, headers: dict[str, str]) -> Limits:
    """The tasks that are served, and what their default models take at most."""
    with urlopen(Request(f"{host}/v1/models", headers=headers)) as reply:  # noqa: S310  # this machine
        models = json.load(reply)["models"]
    return {model["task"]: model["limits"] for model in models if model["default"]}
