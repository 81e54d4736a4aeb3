"""One-shot models as small as can be, one for each kind of input that a task feeds."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from contract.signature import CANDIDATES, SCORES, Attention, K, PredictSignature
from contract.signature import Tensor as TensorSpec
from models.architecture import Predictor, Tensors
from models.layers.exportable import length_mask, top_k
from models.layers.recurrent import Recurrent
from models.registry import ArchitectureConfig

VOCABULARY = 19
LABELS = 3
SIZE = 32


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
