"""One-shot engines without a model, and bundles of every one-shot task for what stands around them.

What the engines answer can be told by hand: a text is rated by its words, words are tagged by what they are, and an
item is followed by the next ones of the catalogue. Who a question ends with is where the last sentence about them ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from contract.items import Catalogue as Items
from contract.manifest import File, Graph, Licence, Limits, Manifest, Score, Variant
from contract.preprocessing import (
    ItemPreprocessing,
    LabelPreprocessing,
    Preprocessing,
    StoryPreprocessing,
    TagPreprocessing,
)
from contract.signature import Attention, PredictSignature, Tensor
from contract.tags import TagSet
from contract.tasks import TaskName
from contract.text import PAD, UNK
from service.kinds import Model
from service.metrics import OneShotMetrics
from service.runtime.bundle import Bundle
from service.runtime.requests import Array, Prediction, PredictRequest, Run
from service.tasks.answer import Answerer
from service.tasks.classify import Classifier
from service.tasks.limits import RequestLimits
from service.tasks.recommend import Recommender
from service.tasks.tag import Tagger
from tests.service.fakes import FakeQueue, FakeTicket, settle

LABELS = ("bad", "good", "neither")
ITEMS = tuple(range(10, 130))
TAGS = TagSet.of_labels(["LOC", "PER"])
SOURCE_LIMIT, WORD_LIMIT, SENTENCE_LIMIT, ITEM_LIMIT, FILTER_LIMIT, K_LIMIT = 12, 6, 3, 5, 40, 30
_TAG_OF = {"anna": "B-PER", "smith": "I-PER", "berlin": "B-LOC", "san": "B-LOC", "marino": "I-LOC"}
_TAG_OF |= {"柏": "B-LOC", "林": "I-LOC", "🙂": "B-PER"}
_VOCABULARY = (PAD, UNK, "[CLS]", "[SEP]", "good", "bad", "film", ".", *_TAG_OF)
ANSWERS = ("kitchen", "garden", "nowhere")
STORY_WORDS = (PAD, UNK, *ANSWERS, "mary", "john", "went", "moved", "to", "the", "where", "is")
Answer = Callable[[Mapping[str, Array]], dict[str, Array]]


class FakeOneShotEngine(FakeQueue):
    """Answers each row by a function of its inputs, and explains with weights that rise from first to last."""

    def __init__(self, answer: Answer, *, max_queue: int = 64) -> None:
        self.answer = answer
        super().__init__(max_queue=max_queue)

    def check(self, request: PredictRequest) -> None:
        assert isinstance(request, PredictRequest)

    def work(self, ticket: FakeTicket) -> None:
        settle(
            ticket.future, Prediction(self.answer(ticket.request.inputs), Run("predict", 1.0, 1.002, 1), 0.001, 0.003)
        )

    def explain(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if "question_ids" in inputs:
            return {"attention": _rising(2, len(inputs["word_ids"]))}
        if "word_ids" in inputs:
            sentences, words = inputs["word_ids"].shape
            return {"words": _rising(sentences, words), "sentences": _rising(sentences)}
        ids = inputs["source_ids"] if "source_ids" in inputs else inputs["item_ids"]
        return {"attention": _rising(len(ids)), "hops": _rising(2, len(ids)), "pairs": _rising(len(ids), len(ids))}


def _rising(*shape: int) -> Array:
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape) / 100


def rate(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Log-probabilities of the labels, by how many of the words are good and bad."""
    ids = (inputs["source_ids"] if "source_ids" in inputs else inputs["word_ids"]).ravel().tolist()
    votes = np.array([ids.count(_VOCABULARY.index(word)) for word in ("bad", "good")] + [0.5])
    return {"scores": (votes - np.log(np.exp(votes).sum())).astype(np.float32)}


def mark(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Emissions by what a word is."""
    tags = [TAGS.tags.index(_TAG_OF.get(_VOCABULARY[i], "O")) for i in inputs["source_ids"].tolist()]
    return {"emissions": np.eye(len(TAGS.tags), dtype=np.float32)[tags] * 9}


def follow(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The items that come after the last one, in a circle, the nearest first; filtered as the graphs do."""
    k, size = int(inputs["k"]), len(ITEMS) + 1
    last = int(inputs["item_ids"][-1])
    scores = -((np.arange(size) - last - 1) % len(ITEMS)).astype(np.float32)
    listed = np.isin(np.arange(size), inputs["filter_ids"])
    scores[listed != bool(inputs["filter_mode"])] = -np.inf
    scores[0] = -np.inf
    best = np.argsort(-scores, kind="stable")[:k]
    return {"candidates": best.astype(np.int64), "scores": scores[best]}


def recall(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Log-probabilities of the answers: where the one that is asked about was last."""
    story = zip(inputs["word_ids"], inputs["word_counts"], strict=True)
    ends = [ids[count - 1] for ids, count in story if ids[0] == inputs["question_ids"][-1]]
    votes = 3 * np.eye(len(ANSWERS))[ends[-1] - 2 if ends else 2]
    return {"scores": (votes - np.log(np.exp(votes).sum())).astype(np.float32)}


def make_tokenizer(*, special: bool) -> Tokenizer:
    """Words and marks, lower-cased; with `special`, between a token that opens and one that closes."""
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(_VOCABULARY)}, unk_token=UNK))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[A-Za-z]+|\S"), "removed", invert=True)
    tokenizer.add_special_tokens([PAD, UNK, "[CLS]", "[SEP]"])
    if special:
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def classifier(folder: Path, *maps: str, documents: bool = False, limits: RequestLimits | None = None) -> Model[Any]:
    """A model that classifies: `rater`, or `reader` where it reads documents; with attention maps of these names."""
    axes = {"attention": ("source",), "hops": (2, "source"), "pairs": ("target", "source")}
    axes |= {"words": ("sentences", "words"), "sentences": ("sentences",)}
    text = (("source_ids", "rows", "source"), ("source_lengths", "rows"))
    document = (
        ("word_ids", "rows", "sentences", "words"),
        ("word_counts", "rows", "sentences"),
        ("sentence_counts", "rows"),
    )
    signature = PredictSignature(
        inputs=_tensors("int64", *(document if documents else text)),
        outputs=_tensors("float32", ("scores", "rows", len(LABELS))),
        attention=tuple(Attention(name=name, axes=axes[name], normalised=False) for name in maps),  # type: ignore[arg-type]
    )
    make_tokenizer(special=not documents).save(str(folder / "tokenizer.json"))
    preprocessing = LabelPreprocessing(tokenizer="tokenizer.json", labels=LABELS, sentences=documents, language="en")
    sizes = Limits(sentences=SENTENCE_LIMIT, words=WORD_LIMIT) if documents else Limits(source=SOURCE_LIMIT)
    name = "reader" if documents else "rater"
    bundle = _bundle(folder, name, "classify", signature, preprocessing, sizes)
    engine = FakeOneShotEngine(rate)
    return _model(bundle, engine, Classifier(bundle, engine, limits))  # type: ignore[arg-type]


def tagger(folder: Path) -> Model[Any]:
    """A model that tags: `marker`."""
    signature = PredictSignature(
        inputs=_tensors("int64", ("source_ids", "rows", "source"), ("source_lengths", "rows")),
        outputs=_tensors("float32", ("emissions", "rows", "source", len(TAGS.tags))),
    )
    make_tokenizer(special=False).save(str(folder / "words.json"))
    TAGS.save(folder / "tags.json")
    preprocessing = TagPreprocessing(tokenizer="words.json", tags="tags.json", language="en")
    bundle = _bundle(folder, "marker", "tag", signature, preprocessing, Limits(source=SOURCE_LIMIT))
    engine = FakeOneShotEngine(mark)
    return _model(bundle, engine, Tagger(bundle, engine))  # type: ignore[arg-type]


def recommender(folder: Path, *, attention: bool = True, items: tuple[str | int, ...] = ITEMS) -> Model[Any]:
    """A model that recommends: `follower`."""
    inputs = (("item_ids", "rows", "items"), ("item_counts", "rows"), ("filter_ids", "rows", "filters"))
    signature = PredictSignature(
        inputs=_tensors("int64", *inputs, ("filter_mode", "rows"), ("k",)),
        outputs=(*_tensors("int64", ("candidates", "rows", "k")), *_tensors("float32", ("scores", "rows", "k"))),
        attention=(Attention(axes=("items",)),) if attention else (),
        explained=("item_ids", "item_counts") if attention else (),
    )
    Items(items, (3, 1, 2, 7)).save(folder / "items.json")
    limits = Limits(items=ITEM_LIMIT, filters=FILTER_LIMIT, k=K_LIMIT)
    bundle = _bundle(folder, "follower", "recommend", signature, ItemPreprocessing(catalogue="items.json"), limits)
    engine = FakeOneShotEngine(follow)
    return _model(bundle, engine, Recommender(bundle, engine))  # type: ignore[arg-type]


def answerer(folder: Path, *, attention: bool = True, limits: RequestLimits | None = None) -> Model[Any]:
    """A model that answers questions: `teller`."""
    story = (("word_ids", "rows", "sentences", "words"), ("word_counts", "rows", "sentences"))
    question = (("question_ids", "rows", "source"), ("question_lengths", "rows"))
    signature = PredictSignature(
        inputs=_tensors("int64", *story, ("sentence_counts", "rows"), *question),
        outputs=_tensors("float32", ("scores", "rows", len(ANSWERS))),
        attention=(Attention(axes=(2, "sentences"), normalised=False),) if attention else (),
    )
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(STORY_WORDS)}, unk_token=UNK))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\p{L}+"), "removed", invert=True)
    tokenizer.add_special_tokens([PAD, UNK])
    tokenizer.save(str(folder / "words.json"))
    sizes = Limits(sentences=SENTENCE_LIMIT, words=WORD_LIMIT, source=WORD_LIMIT)
    preprocessing = StoryPreprocessing(tokenizer="words.json", answers=ANSWERS)
    bundle = _bundle(folder, "teller", "answer", signature, preprocessing, sizes)
    engine = FakeOneShotEngine(recall)
    return _model(bundle, engine, Answerer(bundle, engine, limits))  # type: ignore[arg-type]


def _model(bundle: Bundle, engine: FakeOneShotEngine, task: object) -> Model[Any]:
    metrics = OneShotMetrics(bundle.manifest, "fp32", "cpu")
    metrics.loaded(True)
    return Model(bundle, engine, task, metrics)


def _tensors(dtype: Any, *described: tuple[Any, ...]) -> tuple[Tensor, ...]:
    return tuple(Tensor(name=name, dtype=dtype, axes=axes) for name, *axes in described)


def _bundle(
    folder: Path, name: str, task: TaskName, signature: PredictSignature, preprocessing: Preprocessing, limits: Limits
) -> Bundle:
    graphs = tuple(
        Graph(kind=kind, file=f"{kind}.onnx", inputs=signature.graph(kind)[0], outputs=signature.graph(kind)[1])
        for kind in signature.graph_kinds()
    )
    variant = Variant(
        precision="fp32", provider="any", status="verified", graphs=graphs, golden="golden.npz", tolerance=1e-4
    )
    used = [*(graph.file for graph in graphs), "golden.npz", *preprocessing.files]
    manifest = Manifest(
        schema_version=1,
        name=name,
        version="3",
        task=task,
        architecture="none",
        parameters=1,
        created="2026-01-01T00:00:00Z",
        opset=24,
        signature=signature,
        variants=(variant,),
        vocabulary_size=20,
        limits=limits,
        preprocessing=preprocessing,
        scores=(Score(metric="guess", value=50.0, data="none", split="dev", precision="fp32"),),
        licence=Licence(data="none", source="made up", terms="none"),
        files={file: File(bytes=0, sha256="0" * 64) for file in used},
    )
    return Bundle(folder, manifest, variant, "cpu")
