"""End-to-end memory networks (Sukhbaatar et al. 2015): a story is looked at several times before an answer is given."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from contract.signature import Attention
from models.answerer import FIRST_ANSWER, Answerer, AnswererConfig
from models.architecture import Tensors
from models.layers.exportable import length_mask
from models.layers.memory import INITIAL_SCALE, SentenceEncoder, SentenceEncoding, look, sentence_ages
from models.registry import register

Tying = Literal["adjacent", "layer_wise"]


class MemoryNetworkConfig(AnswererConfig):
    """Sizes, those of the paper's joint model (section 4.2).

    *adjacent* tying: what one hop reads is what the next one compares with, the question is read like the first hop's
    keys, and answers are compared like the last hop's values. *layer_wise*: all hops share one pair of tables, and a
    matrix carries the state from hop to hop, as in a recurrent network.
    """

    hops: int = Field(default=3, ge=1)
    hidden_size: int = Field(default=50, ge=1)
    encoding: SentenceEncoding = "position"
    tying: Tying = "adjacent"
    time_noise: float = Field(default=0.1, ge=0, le=1, description="empty memories in training, a share of a story")


@register("memory_network", MemoryNetworkConfig, paper="Sukhbaatar et al. 2015")
class MemoryNetwork(Answerer):
    """A question is compared with every sentence and goes on with what it found, `hops` times over."""

    config: MemoryNetworkConfig

    def __init__(self, config: MemoryNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = Attention(axes=(config.hops, "sentences"), normalised=False)
        size = config.hidden_size
        adjacent = config.tying == "adjacent"
        tables = config.hops + 1 if adjacent else 2
        self.words = SentenceEncoder(config.vocabulary_size, size, tables, config.encoding, config.max_words)
        self.times = nn.Parameter(torch.empty(config.max_sentences, tables * size))
        nn.init.normal_(self.times, std=INITIAL_SCALE)
        if not adjacent:
            self.question = SentenceEncoder(config.vocabulary_size, size, 1, config.encoding, config.max_words)
            self.carry = nn.Linear(size, size, bias=False)
            self.output = nn.Linear(size, config.answer_count, bias=False)
            for layer in (self.carry, self.output):
                nn.init.normal_(layer.weight, std=INITIAL_SCALE)

    def answer(self, inputs: Tensors, *, linear: bool = False) -> Tensor:
        state, _ = self._reason(inputs, linear=linear)
        if self.config.tying == "layer_wise":
            logits: Tensor = self.output(state)
            return logits
        answers = slice(FIRST_ANSWER, FIRST_ANSWER + self.config.answer_count)
        return F.linear(state, self.words.table(self.words.tables - 1, answers))

    def explain(self, inputs: Tensors) -> dict[str, Tensor]:
        return {"attention": self._reason(inputs, linear=False)[1]}

    def _reason(self, inputs: Tensors, *, linear: bool) -> tuple[Tensor, Tensor]:
        """The state after the last hop `[rows, size]`, and where each hop looked `[rows, hops, sentences]`."""
        counts = inputs["sentence_counts"].clamp(min=1)
        memories = self._memories(inputs, counts).split(self.config.hidden_size, dim=2)
        adjacent = self.config.tying == "adjacent"
        empty = (self.config.max_sentences - counts).clamp(min=0)
        state = self._ask(inputs["question_ids"], inputs["question_lengths"])
        looks = []
        for hop in range(self.config.hops):
            first = hop if adjacent else 0
            read, weights = look(state, memories[first], memories[first + 1], counts, empty, linear=linear)
            state = (state if adjacent else self.carry(state)) + read
            looks.append(weights)
        return state, torch.stack(looks, dim=1)

    def _ask(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The question `[rows, size]`."""
        if self.config.tying == "layer_wise":
            asked: Tensor = self.question(ids, lengths)
            return asked
        return self.words(ids, lengths)[:, : self.config.hidden_size]

    def _memories(self, inputs: Tensors, counts: Tensor) -> Tensor:
        """Every sentence with its time, in all tables: `[rows, sentences, tables · size]`."""
        ids, word_counts = inputs["word_ids"], inputs["word_counts"]
        noise = self.config.time_noise if self.training else 0.0
        ages = sentence_ages(counts, ids.shape[1], noise).clamp(max=self.config.max_sentences - 1)
        times = F.embedding(ages, self.times)
        if not self.training:
            vectors = self.words(ids.flatten(0, 1), word_counts.flatten())
            return vectors.view(*ids.shape[:2], -1) + times
        # Lengths of stories differ so much that most of a batch is padding: it is left out.
        real = length_mask(counts, ids.shape[1])
        memories = torch.zeros_like(times)
        memories[real] = self.words(ids[real], word_counts[real]) + times[real]
        return memories
