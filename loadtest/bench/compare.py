"""The decoding engine against CTranslate2: same weights, sentences, beam and length penalty, one thread each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadtest.bench.corpus import Bleu, Corpus
from loadtest.bench.engine import run_closed_loop, start_engine, to_requests, to_texts
from loadtest.bench.measure import Spread, cpu_seconds
from loadtest.bench.peer import Peer, Tokens, Way, ways
from loadtest.bench.table import Table
from service.runtime.bundle import Bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.requests import GenerateRequest, Search

WAITING = (1, 8, 32, 64)
BEAMS = (1, 4)
_PILOT = 256
"""Sentences on which the peer's fastest way is chosen, twice over."""


@dataclass(frozen=True)
class Point:
    """Sentences per CPU-second of both engines at one setting.

    `peer` is CTranslate2 in its fastest way, `way`, without scores; `peer_scored` returns scores, as ours always does.
    """

    beam: int
    waiting: int
    way: str
    ours: Spread
    peer: Spread
    peer_scored: Spread


@dataclass(frozen=True)
class Outputs:
    """What both engines wrote at one beam size, and the share of sentences on which they agree to the letter."""

    beam: int
    ours: Bleu | None
    peer: Bleu | None
    identical: float


@dataclass(frozen=True)
class Comparison:
    """All that was measured."""

    corpus: str
    sentences: int
    points: list[Point]
    outputs: list[Outputs]

    def tables(self) -> list[Table]:
        """Speed, then quality."""
        speed = Table(
            f"Sentences per CPU-second on {self.corpus}; ratios are medians of repeats (lowest–highest)",
            ("search", "waiting", "seqserve", "CTranslate2", "ratio", "both with scores", "CTranslate2 used by"),
            [_row(point) for point in self.points],
        )
        quality = Table(
            "What they wrote: BLEU lower-cased (cased), both int8",
            ("search", "seqserve", "CTranslate2", "same text"),
            [(search_name(o.beam), _bleu(o.ours), _bleu(o.peer), f"{o.identical:.1%}") for o in self.outputs],
        )
        return [speed, quality]


def compare(
    bundle: Bundle,
    peer: Peer,
    corpus: Corpus,
    *,
    repeats: int,
    waiting: Sequence[int] = WAITING,
    beams: Sequence[int] = BEAMS,
    report: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Measure every combination of beam and waiting requests `repeats` times, the engines taking turns.

    Both read and write tokens: tokenisation is on neither's clock.
    """
    engine = start_engine(bundle)
    tokens = [bundle.source.source(text).tokens for text in corpus.sources]
    rounds, outputs = [], []
    for beam in beams:
        search = Search(beam_size=beam, length_penalty=1.0, max_length=bundle.manifest.limits.of("target"))
        requests = to_requests(bundle, corpus.sources, search)
        rounds += [_Round(engine, peer, requests, tokens, search, count) for count in waiting]
        outputs.append(_outputs(bundle, rounds[-1], corpus))
    for repeat in range(repeats):
        for each in rounds:
            report(f"{search_name(each.search.beam_size)}, {each.waiting} waiting: {repeat + 1} of {repeats}")
            each.run()
    engine.close()
    return Comparison(corpus.name, len(corpus.sources), [each.point() for each in rounds], outputs)


def search_name(beam: int) -> str:
    """How tables call a search."""
    return "greedy" if beam == 1 else f"beam {beam}"


@dataclass
class _Round:
    """One setting, measured again and again."""

    engine: DecodingEngine
    peer: Peer
    requests: list[GenerateRequest]
    tokens: list[Tokens]
    search: Search
    waiting: int
    way: Way = field(init=False)
    rates: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "peer": [], "peer_scored": []})

    def __post_init__(self) -> None:
        pilot = self.tokens[:_PILOT]
        cost = {
            way: min(cpu_seconds(self.peer.translate, pilot, self.search, way)[0] for _ in range(2))
            for way in ways(self.waiting)
        }
        self.way = min(cost, key=cost.__getitem__)

    def run(self) -> None:
        """One repeat of each side; who begins alternates."""
        sides: dict[str, Callable[[], object]] = {
            "ours": lambda: run_closed_loop(self.engine, self.requests, self.waiting),
            "peer": lambda: self.peer.translate(self.tokens, self.search, self.way),
            "peer_scored": lambda: self.peer.translate(self.tokens, self.search, self.way, scores=True),
        }
        names = list(sides)
        for name in names if len(self.rates["ours"]) % 2 == 0 else reversed(names):
            self.rates[name].append(len(self.tokens) / cpu_seconds(sides[name])[0])

    def point(self) -> Point:
        """What was measured so far."""
        spreads = {name: Spread(tuple(values)) for name, values in self.rates.items()}
        return Point(self.search.beam_size, self.waiting, str(self.way), **spreads)


def _outputs(bundle: Bundle, last: _Round, corpus: Corpus) -> Outputs:
    ours = to_texts(bundle, run_closed_loop(last.engine, last.requests, last.waiting))
    found = last.peer.translate(last.tokens, last.search, last.way)
    peer = [bundle.target.decode([bundle.target.token_id(token) for token in tokens]) for tokens in found]
    same = sum(a == b for a, b in zip(ours, peer, strict=True)) / len(ours)
    return Outputs(last.search.beam_size, corpus.bleu(ours), corpus.bleu(peer), same)


def _row(point: Point) -> tuple[str, ...]:
    ratio, scored = point.ours.over(point.peer), point.ours.over(point.peer_scored)
    return (
        search_name(point.beam),
        str(point.waiting),
        f"{point.ours.median:,.0f}",
        f"{point.peer.median:,.0f}",
        f"{ratio.median:.2f}× ({ratio.lowest:.2f}–{ratio.highest:.2f})",
        f"{scored.median:.2f}×",
        point.way,
    )


def _bleu(bleu: Bleu | None) -> str:
    return "–" if bleu is None else f"{bleu.lower_cased:.2f} ({bleu.cased:.2f})"
