"""Traffic on a running service: `make load`, or `locust --headless --locustfile loadtest/locustfile.py [USER …]`.

`Reader` translates, `Critic` classifies, `Indexer` tags, `Shopper` is recommended to, `Composer` has tunes written,
`Listener` asks about stories, `Photographer` has pictures described (made-up ones, or those of `--pictures`); where
none is named, all of them come.
Every reply is checked. The run fails (exit code 1) when a request does, or when the 95th percentile is above `--p95`.
It ends by itself after a minute where no `--run-time` says otherwise, and loads no host but this one.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from locust import events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtest.asker import Asker, wrong_text
from loadtest.composer import Composer  # noqa: F401  # locust looks for users here
from loadtest.listener import Listener  # noqa: F401  # and here
from loadtest.pictures import load_pictures, multipart

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

_REVIEWS = (
    "A gripping, beautifully shot film.",
    "The plot makes no sense and the jokes fall flat.",
    "Slow to start, but the last half hour is worth every minute of the wait.",
    "I have rarely seen two gifted actors so badly served by a script that never knows what it wants to be.",
    "Funny, warm and over too soon.",
    "Not bad, not good, just long.",
)
_NEWS = (
    "Angela Merkel met the board of Siemens in Munich.",
    "Japan began the defence of their title with a lucky 2-1 win against Syria in Abu Dhabi on Friday.",
    "The European Commission said on Thursday that it disagreed with London. Germany had asked for advice before.",
    "Nothing of note happened today.",
    "Rosa Lind, who has led the bank since May, will leave for New York.",
)
_PICTURES = 8
_MOST_ITEMS = 43_000
_LONGEST_SESSION = 20


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def set_bounds(parser: LocustArgumentParser, **_: Any) -> None:
    """Let the caller say how long is too long, and end where the caller does not say when."""
    parser.set_defaults(run_time=RUN_TIME)
    help_text = "longest 95th percentile, in milliseconds, that passes"
    parser.add_argument("--p95", type=int, default=P95_MILLISECONDS, help=help_text)
    parser.add_argument("--pictures", type=Path, help="folder of pictures to have described; else made-up ones")


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


class Reader(Asker):
    """Has captions translated."""

    @task(6)
    def translate(self) -> None:
        """One caption with the model's default search."""
        self._translate({"text": self.random.choice(_CAPTIONS)}, 1)

    @task(3)
    def translate_greedily(self) -> None:
        """One caption with greedy search."""
        self._translate({"text": self.random.choice(_CAPTIONS), "beam_size": 1}, 1)

    @task(1)
    def translate_list(self) -> None:
        """All captions in one request."""
        self._translate({"text": list(_CAPTIONS)}, len(_CAPTIONS))

    def _translate(self, body: dict[str, Any], expected: int) -> None:
        self.ask("/v1/translate", body, "translations", expected, wrong_text)


class Critic(Asker):
    """Has reviews classified."""

    @task(9)
    def classify(self) -> None:
        """One review."""
        self._classify({"text": self.random.choice(_REVIEWS)}, 1)

    @task(1)
    def classify_list(self) -> None:
        """All reviews in one request."""
        self._classify({"text": list(_REVIEWS)}, len(_REVIEWS))

    def _classify(self, body: dict[str, Any], expected: int) -> None:
        self.ask("/v1/classify", body, "predictions", expected, wrong_prediction)


class Indexer(Asker):
    """Looks for names in the news."""

    @task(9)
    def tag(self) -> None:
        """One piece of news."""
        self._tag([self.random.choice(_NEWS)])

    @task(1)
    def tag_list(self) -> None:
        """All news in one request."""
        self._tag(list(_NEWS))

    def _tag(self, texts: list[str]) -> None:
        whole = " ".join(texts)
        self.ask("/v1/tag", {"text": texts}, "predictions", len(texts), lambda found: wrong_entities(found, whole))


class Shopper(Asker):
    """Looks at one item after the other."""

    @task(6)
    def recommend(self) -> None:
        """What comes next in a session."""
        self._recommend({"session": self._session()}, 1)

    @task(3)
    def recommend_new(self) -> None:
        """What comes next that was not in the session, of some items only."""
        candidates = [self.random.randint(1, _MOST_ITEMS) for _ in range(200)]
        self._recommend({"session": self._session(), "candidates": candidates, "exclude_seen": True, "top_k": 5}, 1)

    @task(1)
    def recommend_list(self) -> None:
        """Several sessions in one request."""
        self._recommend({"session": [self._session() for _ in range(8)]}, 8)

    def _session(self) -> list[int]:
        # Of a catalogue in the order of popularity, mostly the first items are looked at.
        length = min(1 + int(self.random.expovariate(0.25)), _LONGEST_SESSION)
        return [1 + min(int(self.random.expovariate(0.0005)), _MOST_ITEMS - 1) for _ in range(length)]

    def _recommend(self, body: dict[str, Any], expected: int) -> None:
        most = body.get("top_k", 20)
        self.ask("/v1/recommend", body, "recommendations", expected, lambda found: wrong_items(found, most))


class Photographer(Asker):
    """Has photographs described."""

    def on_start(self) -> None:
        """Take some pictures along, the same as everybody."""
        super().on_start()
        options = self.environment.parsed_options
        self._pictures = photographs(options.pictures if options else None)

    @task(6)
    def caption(self) -> None:
        """One photograph with the model's default search, uploaded by a form."""
        self._upload([self.random.choice(self._pictures)])

    @task(3)
    def caption_greedily(self) -> None:
        """One photograph with greedy search, in JSON."""
        picture = base64.b64encode(self.random.choice(self._pictures)).decode()
        self.ask("/v1/caption", {"image": picture, "beam_size": 1}, "captions", 1, wrong_text)

    @task(1)
    def caption_list(self) -> None:
        """Several photographs in one form."""
        self._upload(self._pictures[:3])

    def _upload(self, pictures: list[bytes]) -> None:
        content_type, body = multipart("image", pictures)
        headers = {"Content-Type": content_type}
        self.post("/v1/caption", "captions", len(pictures), wrong_text, data=body, headers=headers)


@cache
def photographs(folder: Path | None) -> list[bytes]:
    """Pictures of a folder or made-up ones, which take a second to make."""
    return load_pictures(_PICTURES, folder)


def wrong_prediction(found: dict[str, Any]) -> str | None:
    """What is wrong with a prediction."""
    scores = [each["score"] for each in found["labels"]]
    sound = found["label"] == found["labels"][0]["label"] and 0 < sum(scores) < 1.001
    return None if sound and scores == sorted(scores, reverse=True) else "labels in no order, or no probabilities"


def wrong_entities(found: dict[str, Any], text: str) -> str | None:
    """What is wrong with the entities of a text that is part of `text`."""
    sound = all(e["text"] in text and e["end"] - e["start"] == len(e["text"]) for e in found["entities"])
    return None if sound else "an entity that is not in the text"


def wrong_items(found: dict[str, Any], most: int) -> str | None:
    """What is wrong with a recommendation of at most so many items."""
    items = [each["item"] for each in found["items"]]
    return None if len(set(items)) == len(items) <= most else "an item twice, or more items than asked for"
