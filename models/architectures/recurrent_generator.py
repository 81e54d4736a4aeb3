"""A recurrent network that writes one token after another."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from contract.signature import GenerateSignature, State
from models.architecture import Tensors
from models.layers.dropout import Dropout
from models.layers.readout import Readout
from models.layers.recurrent import PARTS, Cell, Recurrent, layer_states, name_states, state_names
from models.layers.word_embedding import WordEmbedding
from models.prompt_generator import PROMPT, PROMPT_IDS, PROMPT_LENGTHS, PromptGenerator, PromptGeneratorConfig
from models.registry import register


class RecurrentGeneratorConfig(PromptGeneratorConfig):
    """Sizes of a recurrent language model; `share_embeddings` makes the embeddings its output projection too."""

    cell: Cell = "lstm"
    embedding_size: int = Field(default=64, ge=1)
    hidden_size: int = Field(default=256, ge=1)
    layers: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    share_embeddings: bool = False


@register("recurrent_generator", RecurrentGeneratorConfig, paper="Graves 2013")
class RecurrentGenerator(PromptGenerator):
    """Mikolov et al. 2010 (RNN) and Graves 2013, "Generating Sequences With Recurrent Neural Networks" (deep LSTM).

    Dropout is between layers and before the output alone (Zaremba et al. 2014).
    """

    config: RecurrentGeneratorConfig

    def __init__(self, config: RecurrentGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = WordEmbedding(config.vocabulary_size, config.embedding_size, dropout=0.0, word_dropout=0.0)
        self.network = Recurrent(
            config.cell, config.embedding_size, config.hidden_size, config.layers, dropout=config.dropout
        )
        self.dropout = Dropout(config.dropout)
        if config.share_embeddings:
            self.readout = Readout(config.hidden_size, config.embedding_size, config.vocabulary_size, config.dropout)
        else:
            self.output = nn.Linear(config.hidden_size, config.vocabulary_size)

    @property
    def signature(self) -> GenerateSignature:
        return GenerateSignature(
            inputs=PROMPT,
            states=tuple(
                State(name=name, dtype="float32", axes=("rows", self.config.hidden_size), initial=f"initial.{name}")
                for layer in state_names(self.config.cell, self.config.layers)
                for name in layer
            ),
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        lengths = inputs[PROMPT_LENGTHS.name]
        _, final = self.network(self.embedding(inputs[PROMPT_IDS.name]), lengths.clamp(min=1))
        named = name_states(self.config.cell, final)
        started = lengths.unsqueeze(1) > 0  # of nothing read, nothing is known: no network takes a length of 0
        return {f"initial.{name}": torch.where(started, state, 0.0) for name, state in named.items()}

    def read(self, token_ids: Tensor) -> Tensor:
        start = torch.zeros(len(token_ids), self.config.hidden_size, device=token_ids.device)
        state = (start,) * len(PARTS[self.config.cell])
        return self._logits(self.network.unroll(self.embedding(token_ids), [state] * self.config.layers))

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        before = layer_states(self.config.cell, self.config.layers, states)
        hidden, following = self.network.step(self.embedding(token_ids), before)
        return self._logits(hidden), name_states(self.config.cell, following), None

    def _logits(self, hidden: Tensor) -> Tensor:
        """`hidden […, hidden]` → `[…, vocabulary]`."""
        hidden = self.dropout(hidden)
        if self.config.share_embeddings:
            return self.readout.logits(self.readout(hidden), self.embedding)
        logits: Tensor = self.output(hidden)
        return logits
