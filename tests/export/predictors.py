"""One-shot models as small as can be, one for each kind of input that a task feeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from contract.manifest import Licence, Limits
from contract.preprocessing import ItemPreprocessing, LabelPreprocessing, Preprocessing, TagPreprocessing
from contract.rows import Row
from contract.signature import CANDIDATES, SCORES, Attention, K, PredictSignature
from contract.signature import Tensor as TensorSpec
from contract.tasks import TaskName
from export.material import About
from export.predict import PredictMaterial
from models.architecture import Predictor, Tensors
from models.layers.exportable import length_mask, top_k
from models.layers.recurrent import Recurrent
from models.registry import ArchitectureConfig
from models.training.predict import predict_rows

VOCABULARY = 19
LABELS = 3
SIZE = 64


def ids(name: str, *axes: str) -> TensorSpec:
    return TensorSpec(name=name, dtype="int64", axes=("rows", *axes))


class Toy(Predictor):
    """A table of vectors; every subclass reads them in its own way."""

    config = ArchitectureConfig()
    declared: ClassVar[PredictSignature]

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, SIZE)
        self.output = nn.Linear(SIZE, LABELS)

    @property
    def signature(self) -> PredictSignature:
        return self.declared


class ToyClassifier(Toy):
    """Weights the words of a text and sums them up."""

    declared = PredictSignature(
        inputs=(ids("source_ids", "source"), ids("source_lengths")),
        outputs=(TensorSpec(name="scores", dtype="float32", axes=("rows", LABELS)),),
        attention=(Attention(axes=("source",)),),
    )

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(SIZE, 1)
        self.hidden = nn.Linear(SIZE, SIZE)

    def weigh(self, inputs: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        words = torch.tanh(self.hidden(self.table(inputs["source_ids"])))
        mask = length_mask(inputs["source_lengths"], words.shape[1])
        return words, self.query(words).squeeze(-1).masked_fill(~mask, -1e9).softmax(dim=-1)

    def forward(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        words, weights = self.weigh(inputs)
        return {"scores": self.output((weights[:, None] @ words)[:, 0]).log_softmax(dim=-1)}

    def explain(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        return {"attention": self.weigh(inputs)[1]}


class ToyDocumentClassifier(Toy):
    """Means of sentences' means."""

    declared = PredictSignature(
        inputs=(ids("word_ids", "sentences", "words"), ids("word_counts", "sentences"), ids("sentence_counts")),
        outputs=(TensorSpec(name="scores", dtype="float32", axes=("rows", LABELS)),),
        attention=(
            Attention(name="words", axes=("sentences", "words")),
            Attention(name="sentences", axes=("sentences",)),
        ),
    )

    def explain(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        words, sentences = inputs["word_counts"], inputs["sentence_counts"]
        real = torch.arange(inputs["word_ids"].shape[2]) < words[..., None]
        levels = (real, length_mask(sentences, words.shape[1]))
        maps = [level / level.sum(dim=-1, keepdim=True).clamp(min=1) for level in levels]
        return dict(zip(("words", "sentences"), maps, strict=True))

    def forward(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        maps = self.explain(inputs)
        vectors = (self.table(inputs["word_ids"]) * maps["words"][..., None]).sum(dim=2)
        return {"scores": self.output((vectors * maps["sentences"][..., None]).sum(dim=1)).log_softmax(dim=-1)}


class ToyTagger(Toy):
    """A bidirectional LSTM over words and the means of their characters."""

    declared = PredictSignature(
        inputs=(
            ids("source_ids", "source"),
            ids("source_lengths"),
            ids("character_ids", "source", "characters"),
            ids("character_counts", "source"),
        ),
        outputs=(TensorSpec(name="emissions", dtype="float32", axes=("rows", "source", LABELS)),),
    )

    def __init__(self) -> None:
        super().__init__()
        self.characters = nn.Embedding(VOCABULARY, SIZE)
        self.network = Recurrent("lstm", 2 * SIZE, SIZE // 2, bidirectional=True)

    def forward(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        counts = inputs["character_counts"][..., None]
        real = torch.arange(inputs["character_ids"].shape[2]) < counts
        spelt = (self.characters(inputs["character_ids"]) * real[..., None]).sum(dim=2) / counts.clamp(min=1)
        words = torch.cat([self.table(inputs["source_ids"]), spelt], dim=-1)
        return {"emissions": self.output(self.network(words, inputs["source_lengths"])[0])}


class ToyRecommender(Toy):
    """What is like the mean of a session."""

    declared = PredictSignature(
        inputs=(
            ids("item_ids", "items"),
            ids("item_counts"),
            ids("filter_ids", "filters"),
            ids("filter_mode"),
            K,
        ),
        outputs=(CANDIDATES, SCORES),
        attention=(Attention(axes=("items",)),),
        explained=("item_ids", "item_counts"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(SIZE, SIZE)

    def explain(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        mask = length_mask(inputs["item_counts"], inputs["item_ids"].shape[1])
        return {"attention": mask / inputs["item_counts"][:, None]}

    def forward(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        weights = self.explain(inputs)["attention"]
        session = torch.tanh(self.output((self.table(inputs["item_ids"]) * weights[..., None]).sum(dim=1)))
        scores = session @ self.table.weight.T
        listed = (inputs["filter_ids"][:, :, None] == torch.arange(VOCABULARY)).any(dim=1)
        dropped = (listed ^ (inputs["filter_mode"] == 1)[:, None]) | (torch.arange(VOCABULARY) == 0)
        best, candidates = top_k(scores.masked_fill(dropped, float("-inf")), inputs["k"])
        return {"candidates": candidates, "scores": best}


TOYS: dict[str, type[Toy]] = {
    "text": ToyClassifier,
    "document": ToyDocumentClassifier,
    "words": ToyTagger,
    "session": ToyRecommender,
}


TASK: dict[str, TaskName] = {"text": "classify", "document": "classify", "words": "tag", "session": "recommend"}
LIMITS = {
    "text": Limits(source=20),
    "document": Limits(sentences=6, words=9),
    "words": Limits(source=20, characters=8),
    "session": Limits(items=10, filters=7, k=6),
}
_COUNTS = {
    "source_lengths": "source",
    "word_counts": "words",
    "sentence_counts": "sentences",
    "character_counts": "characters",
    "item_counts": "items",
}


def make_predictor(kind: str) -> Toy:
    """A toy whose weights are random but always the same."""
    torch.manual_seed(7)
    return TOYS[kind]().eval()


def random_row(signature: PredictSignature, sizes: Mapping[str, int], draw: np.random.Generator) -> Row:
    """A row of exactly these sizes."""
    row: dict[str, Any] = {}
    for tensor in signature.inputs:
        shape = [sizes[str(axis)] for axis in tensor.axes[1:]]
        if tensor.name in _COUNTS:
            row[tensor.name] = np.full(shape, sizes[_COUNTS[tensor.name]])
        elif tensor.name == "filter_mode":
            row[tensor.name] = draw.integers(0, 2)
        else:
            row[tensor.name] = draw.integers(1, VOCABULARY, shape) if tensor.axes else np.array(sizes[tensor.name])
    return row


def agreement(expected: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How often answers have the same best label, tags or item, in points."""
    best = [[_best(answer) for answer in side] for side in (expected, answers)]
    return {"agreement": 100 * float(np.mean([one == other for one, other in zip(*best, strict=True)]))}


def _best(answer: Mapping[str, Any]) -> list[int]:
    if "candidates" in answer:
        return [int(answer["candidates"][0])]
    return np.atleast_1d(answer["scores" if "scores" in answer else "emissions"].argmax(axis=-1)).tolist()


def write_preprocessing(kind: str, folder: Path) -> Preprocessing:
    """Files that nothing here reads, and the names of the labels."""
    names = {"text": ["words.json"], "document": ["words.json"], "session": ["items.json"]}
    for name in names.get(kind, ["words.json", "signs.json", "tags.json"]):
        (folder / name).write_text("{}", "utf-8")
    if kind == "session":
        return ItemPreprocessing(catalogue="items.json")
    if kind == "words":
        return TagPreprocessing(tokenizer="words.json", characters="signs.json", tags="tags.json", language="eo")
    return LabelPreprocessing(tokenizer="words.json", labels=("bad", "good", "odd"), sentences=kind == "document")


def make_predict_material(kind: str, examples: int = 40) -> PredictMaterial:
    model, limits = make_predictor(kind), LIMITS[kind]
    draw = np.random.default_rng(3)
    largest = {axis: size for axis, size in limits if size is not None}
    judged = [
        random_row(model.signature, {axis: int(draw.integers(1, size + 1)) for axis, size in largest.items()}, draw)
        for _ in range(examples)
    ]
    expected = predict_rows(model, judged)
    return PredictMaterial(
        model=model,
        limits=limits,
        about=About(
            architecture=f"toy_{kind}",
            description="A toy",
            licence=Licence(data="toy words", source="made up", terms="none"),
        ),
        task_name=TASK[kind],
        vocabulary=VOCABULARY,
        judged=judged,
        score=lambda answers: agreement(expected, answers),
        random_row=lambda sizes, generator: random_row(model.signature, sizes, generator),
        write_preprocessing=lambda folder: write_preprocessing(kind, folder),
    )
