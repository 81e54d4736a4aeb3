"""What routes answer, held against the test set that a bundle's training named.

Captions are held against the validation set, tunes against what they were asked to be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.items import Catalogue, ItemId
from contract.manifest import Manifest, Precision, Score, load_manifest
from contract.preprocessing import ItemPreprocessing
from contract.versions import latest_version
from loadtest.bench.client import post_all
from loadtest.bench.server import run_service
from loadtest.bench.table import Table
from loadtest.bench.tunes import ASKED, SEED, judge_tunes
from loadtest.pictures import multipart
from models.data.captions import normalise_caption
from models.data.labelled import Labelled
from models.data.sessions import Case
from models.data.stories import questions
from models.data.tagged import TaggedText, read_tagged
from models.data.tunes import read_tunes
from models.tasks.answer.data import read_split as read_stories
from models.tasks.answer.scores import answer_scores, task_accuracies
from models.tasks.caption.data import read_split as read_pictures
from models.tasks.caption.scores import bleu
from models.tasks.classify.data import read_split
from models.tasks.recommend.data import split_cases
from models.tasks.tag.scores import entity_scores
from models.training.task import find_task

CUTOFF = 20
_PRECISION: Precision = "int8"
_ITEMS, _CONNECTIONS = 50, 4
"""A request carries so many items: what is judged are replies, not speed."""

Scores = dict[str, float]


@dataclass(frozen=True)
class _Subject:
    """A bundle that is served, and where its data are."""

    folder: Path
    manifest: Manifest
    root: Path
    url: str

    @property
    def data(self) -> Any:
        """The data section of its training config; the other sections may be those of an earlier release."""
        section: Any = find_task(self.manifest.task).config.model_fields["data"].annotation
        return section.model_validate(self.manifest.training["data"])

    def ask(self, route: str, items: dict[str, list[Any]], **more: Any) -> list[Any]:
        """Results in the order of the values of fields, which are as many of each."""
        starts = range(0, len(next(iter(items.values()))), _ITEMS)
        parts = [{field: values[start : start + _ITEMS] for field, values in items.items()} for start in starts]
        bodies = [json.dumps({**part, **more}).encode() for part in parts]
        replies = map(json.loads, post_all(f"{self.url}/v1/{route}", bodies, _CONNECTIONS).replies)
        return [result for reply in replies for result in next(v for v in reply.values() if isinstance(v, list))]


@dataclass(frozen=True)
class Judge:
    """How the models of a task are judged: on which split, from which file of their training's data, and by what.

    `file` gives None where training named none; `judge` gives the number of examples and the scores.
    """

    split: str
    file: Callable[[Any], str | None]
    judge: Callable[[_Subject], tuple[int, Scores]]


@dataclass(frozen=True)
class Verdict:
    """One bundle's scores on one set, in points."""

    model: str
    version: str
    precision: Precision
    data: str
    split: str
    examples: int
    scores: Scores

    @property
    def place(self) -> str:
        """The file, and the split where it is not the test set."""
        return self.data if self.split == "test" else f"{self.data} ({self.split})"


@dataclass(frozen=True)
class Verdicts:
    """All that was judged."""

    verdicts: list[Verdict]

    def tables(self) -> list[Table]:
        """One row a bundle and score."""
        rows = [
            (f"{each.model} {each.version}", each.place, f"{each.examples:,}", name, f"{value:.2f}")
            for each in self.verdicts
            for name, value in each.scores.items()
        ]
        return [Table("Through the endpoint, in points", ("model", "test file", "examples", "score", "value"), rows)]

    def scores(self, model: str) -> list[Score]:
        """A model's figures as its manifest records them (`python -m export record BUNDLE SCORES`)."""
        return [
            Score(
                metric=name,
                value=round(value, 2),
                data=each.data,
                split=each.split,
                precision=each.precision,
                note=f"{each.examples} examples, over HTTP",
            )
            for each in self.verdicts
            if each.model == model
            for name, value in each.scores.items()
        ]


def judge(bundles: Sequence[Path], root: Path, *, report: Callable[[str], None] = lambda _: None) -> Verdicts:
    """Ask the newest version of every bundle `NAME/` of these tasks about its test set, as it is served on CPU.

    Bundles without int8, or whose training named no such file, are left out.
    """
    verdicts = []
    for bundle in bundles:
        folder = latest_version(bundle)
        manifest = load_manifest(folder)
        chosen = _JUDGES.get(manifest.task)
        if chosen is None or _PRECISION not in {variant.precision for variant in manifest.variants}:
            continue
        file = chosen.file(manifest.training.get("data", {}))
        if file is None:
            continue
        report(manifest.name)
        with run_service([bundle], "--provider", "cpu", "--precision", _PRECISION) as server:
            count, scores = chosen.judge(_Subject(folder, manifest, root, server.url))
        verdicts.append(Verdict(manifest.name, manifest.version, _PRECISION, file, chosen.split, count, scores))
    return Verdicts(verdicts)


def _test_file(data: Any) -> str | None:
    """The file of a training config that holds its test set; a table of events holds its own."""
    held = data.get("test") or (data.get("train") if data.get("train", {}).get("time") else None)
    return None if held is None else str(next(iter(held.values())))


def _caption_file(data: Any) -> str | None:
    """The table of captions of a training config."""
    return str(data["captions"]["table"]) if "captions" in data else None


def _classified(subject: _Subject) -> tuple[int, Scores]:
    examples: list[Labelled] = read_split(subject.data, subject.root, "test")
    found = subject.ask("classify", {"text": [example.text for example in examples]}, truncate=True, top_k=1)
    right = sum(reply["label"] == example.label for reply, example in zip(found, examples, strict=True))
    return len(examples), {"accuracy": 100 * right / len(examples)}


def _tagged(subject: _Subject) -> tuple[int, Scores]:
    examples: list[TaggedText] = read_tagged(subject.data.test, subject.root)
    found = subject.ask("tag", {"text": [example.text for example in examples]}, truncate=True)
    spans = [[(each["label"], each["start"], each["end"]) for each in reply["entities"]] for reply in found]
    scores = entity_scores(spans, [example.spans for example in examples])
    return len(examples), {f"entity {name}".replace("f1", "F1"): value for name, value in scores.items()}


def _recommended(subject: _Subject) -> tuple[int, Scores]:
    preprocessing = subject.manifest.preprocessing
    assert isinstance(preprocessing, ItemPreprocessing)
    catalogue = Catalogue.load(subject.folder / preprocessing.catalogue)

    def external(text: str) -> ItemId:
        index = catalogue.parse(text)
        return text if index is None else catalogue.item(index)

    cases: list[Case] = split_cases(subject.data, subject.root, "test")
    found = subject.ask("recommend", {"session": [[*map(external, case.prefix)] for case in cases]}, top_k=CUTOFF)
    ranks = [
        # A session of which nothing is known is answered by what is popular: a miss, in the papers' protocol.
        0 if reply["fallback"] else _rank([each["item"] for each in reply["items"]], external(case.target))
        for reply, case in zip(found, cases, strict=True)
    ]
    hits = [rank for rank in ranks if rank]
    recall, mrr = 100 * len(hits) / len(cases), 100 * sum(1 / rank for rank in hits) / len(cases)
    return len(cases), {f"Recall@{CUTOFF}": recall, f"MRR@{CUTOFF}": mrr}


def _rank(items: list[ItemId], target: ItemId) -> int:
    """Rank of the target, from 1; 0 where it is not among them."""
    return items.index(target) + 1 if target in items else 0


def _answered(subject: _Subject) -> tuple[int, Scores]:
    examples = questions(read_stories(subject.data, subject.root, "test"))
    asked: dict[str, list[Any]] = {
        "story": [example.story for example in examples],
        "question": [example.question for example in examples],
    }
    found = subject.ask("answer", asked, top_k=1)
    accuracies = task_accuracies(
        (example.task, reply["text"].lower() == example.answer.lower())
        for reply, example in zip(found, examples, strict=True)
    )
    return len(examples), answer_scores(accuracies)


def _described(subject: _Subject) -> tuple[int, Scores]:
    """BLEU of the captions found by greedy search, and by that of the bundle's defaults."""
    pictures = read_pictures(subject.data, subject.root, "validation")
    references = [picture.captions for picture in pictures]
    beam = subject.manifest.decoding_defaults.beam_size
    scores: Scores = {}
    for search, beam_size in (("greedy", 1), (f"beam {beam}", beam)):
        forms = [multipart("image", [picture.content], beam_size=beam_size) for picture in pictures]
        bodies, kind = [body for _, body in forms], forms[0][0]
        replies = post_all(f"{subject.url}/v1/caption", bodies, _CONNECTIONS, content_type=kind).replies
        texts = [normalise_caption(json.loads(reply)["captions"][0]["text"]) for reply in replies]
        found = bleu(texts, references)
        scores |= {f"{name.replace('bleu_', 'BLEU-')}, {search}": value for name, value in found.items()}
    return len(pictures), scores


def _tune_file(data: Any) -> str | None:
    """The file of tunes that a training config names, which none should be a copy of; running text is not judged."""
    tunes = data.get("train", {}).get("tunes")
    return None if tunes is None else str(tunes)


def _composed(subject: _Subject) -> tuple[int, Scores]:
    """Tunes drawn by the bundle's defaults; a text that is told as none is one that nobody accepts."""
    found = subject.ask("generate", {"prompt": [asked.prompt for asked in ASKED]}, seed=SEED)
    tunes = [(asked, reply.get("tune", "")) for asked, reply in zip(ASKED, found, strict=True)]
    return len(tunes), judge_tunes(tunes, read_tunes(subject.root / subject.data.train.tunes))


_JUDGES: dict[str, Judge] = {
    "classify": Judge("test", _test_file, _classified),
    "tag": Judge("test", _test_file, _tagged),
    "recommend": Judge("test", _test_file, _recommended),
    "answer": Judge("test", _test_file, _answered),
    "caption": Judge("validation", _caption_file, _described),
    "generate": Judge("drawn", _tune_file, _composed),
}
