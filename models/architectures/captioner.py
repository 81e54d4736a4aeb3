"""A recurrent decoder that describes a picture; how it attends to the picture's regions is a config value."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from contract.signature import GenerateSignature, State
from contract.signature import Tensor as TensorSpec
from models.architecture import Tensors
from models.image_generator import ImageGenerator, ImageGeneratorConfig, Taught
from models.layers.attention.region import Draw, RegionAttention
from models.layers.bridge import Bridge
from models.layers.dropout import Dropout
from models.layers.readout import Readout
from models.layers.recurrent import PARTS, LayerState, Recurrent, layer_states, name_states, state_names
from models.layers.word_embedding import WordEmbedding
from models.registry import register


class CaptionerConfig(ImageGeneratorConfig):
    """Sizes of a recurrent captioner and how it attends.

    Attributes:
        attention: *none*, where the picture is the decoder's first input; *soft*; or *hard*, one region at a time,
            which takes a loss that rewards the choice.
        memory_size: size to which a region's features are mapped.
        attention_size: hidden size of the score.
        gate: whether the decoder's state scales what attention reads, by β.
        expected_share: share of the captions for which hard attention trains on the expectation over all regions.
    """

    attention: Literal["none", "soft", "hard"] = "soft"
    cell: Literal["lstm", "gru"] = "lstm"
    embedding_size: int = Field(default=256, ge=1)
    hidden_size: int = Field(default=512, ge=1)
    memory_size: int = Field(default=512, ge=1)
    attention_size: int = Field(default=256, ge=1)
    gate: bool = True
    expected_share: float = Field(default=0.5, ge=0, le=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    word_dropout: float = Field(default=0.0, ge=0, lt=1)


class Scene(NamedTuple):
    """What the decoder knows of the pictures.

    Attributes:
        memory: `[images, regions, memory]`.
        keys: `[images, regions, attention]`, what the score reads of it.
        initial: the decoder's initial state, parts `[images, hidden]`.
    """

    memory: Tensor
    keys: Tensor
    initial: LayerState


@register("captioner", CaptionerConfig, paper="Vinyals et al. 2015; Xu et al. 2015")
class Captioner(ImageGenerator):
    """Vinyals et al. 2015, "Show and Tell" (no attention); Xu et al. 2015, "Show, Attend and Tell" (soft and hard).

    Statics: the regions (`memory`) and what the score reads of them (`projected_memory`); none without attention.
    States: those of the decoder.
    """

    config: CaptionerConfig

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__(config)
        channels, memory = config.encoder.head_size, config.memory_size
        embedding, hidden = config.embedding_size, config.hidden_size
        self.attends = config.attention != "none"
        self.target_embedding = WordEmbedding(
            config.target_vocabulary_size, embedding, config.dropout, config.word_dropout
        )
        read_size = memory if self.attends else 0
        self.decoder = Recurrent(config.cell, embedding + read_size, hidden)
        self.readout = Readout(
            hidden + (memory + embedding if self.attends else 0),
            embedding,
            config.target_vocabulary_size,
            config.dropout,
        )
        if self.attends:
            self.memory = nn.Linear(channels, memory)
            self.memory_dropout = Dropout(config.dropout)
            self.attention = RegionAttention(
                hidden, memory, config.attention_size, hard=config.attention == "hard", gate=config.gate
            )
            self.bridge = Bridge(
                config.cell, encoder_layers=1, encoder_size=channels, decoder_layers=1, decoder_size=hidden, mapped=True
            )
        else:
            self.first_input = nn.Linear(channels, embedding)

    @property
    def signature(self) -> GenerateSignature:
        config = self.config
        states = tuple(
            State(name=name, dtype="float32", axes=("rows", config.hidden_size), initial=f"initial.{name}")
            for layer in state_names(config.cell, 1)
            for name in layer
        )
        if not self.attends:
            return GenerateSignature(inputs=(self.pixels,), states=states)
        regions = config.encoder.regions
        sizes = {"memory": config.memory_size, "projected_memory": config.attention_size}
        return GenerateSignature(
            inputs=(self.pixels,),
            statics=tuple(
                TensorSpec(name=name, dtype="float32", axes=("rows", regions, size)) for name, size in sizes.items()
            ),
            states=states,
            attention=self.region_attention,
            explain="explain_step",
        )

    def encode(self, inputs: Tensors) -> dict[str, Tensor]:
        features = self.features(inputs)
        if not self.attends:
            return self._name_initial(self._first_state(features))
        scene = self._look(features)
        return {"memory": scene.memory, "projected_memory": scene.keys} | self._name_initial(scene.initial)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Tensors, states: Tensors
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        words = self.target_embedding(token_ids)
        (state,) = layer_states(self.config.cell, 1, states)
        weights = None
        if self.attends:
            look = self.attention(state[0].unsqueeze(1), statics["projected_memory"], statics["memory"])
            context, weights = look.context.squeeze(1), look.weights.squeeze(1)
            hidden, following = self.decoder.step(torch.cat([words, context], dim=-1), [state])
            features = torch.cat([hidden, context, words], dim=-1)
        else:
            features, following = self.decoder.step(words, [state])
        logits = self.readout.logits(self.readout(features), self.target_embedding)
        return logits, name_states(self.config.cell, following), weights

    def teach(self, inputs: Tensors, target_ids: Tensor) -> Taught:
        features = self.features(inputs)
        captions = target_ids.shape[0] // features.shape[0]
        words = self.target_embedding(target_ids)
        if not self.attends:
            initial = tuple(part.repeat_interleave(captions, dim=0) for part in self._first_state(features))
            hidden = self.decoder.unroll(words, [initial])
            return Taught(self.readout.logits(self.readout(hidden), self.target_embedding))
        scene = self._look(features)
        draw = self._draw(scene, captions, target_ids.shape[1])
        seen, weights, scores = self._unroll(words, scene, captions, draw)
        logits = self.readout.logits(self.readout(torch.cat([seen, words], dim=-1)), self.target_embedding)
        if draw is None:
            return Taught(logits, weights)
        log_weights = scores.log_softmax(dim=-1)
        distribution = log_weights.exp()
        drawn = ~draw.expected.flatten(0, 1)
        return Taught(
            logits,
            distribution,
            choice_log_probs=(log_weights * weights).sum(dim=-1) * drawn,
            entropy=-(distribution * log_weights).sum(dim=-1),
        )

    def _first_state(self, features: Tensor) -> LayerState:
        """The state after the mean region as the first input, before the first word (Vinyals et al., section 3.1)."""
        zeros = features.new_zeros(features.shape[0], self.config.hidden_size)
        start = tuple(zeros for _ in PARTS[self.config.cell])
        return self.decoder.step(self.first_input(features.mean(dim=1)), [start])[1][0]

    def _look(self, features: Tensor) -> Scene:
        memory = self.memory_dropout(torch.tanh(self.memory(features)))
        mean = features.mean(dim=1)
        (initial,) = self.bridge([tuple(mean for _ in PARTS[self.config.cell])])
        return Scene(memory, self.attention.score.keys(memory), initial)

    def _name_initial(self, state: LayerState) -> dict[str, Tensor]:
        return {f"initial.{name}": part for name, part in name_states(self.config.cell, [state]).items()}

    def _draw(self, scene: Scene, captions: int, target: int) -> Draw | None:
        if not (self.attention.hard and self.training):
            return None
        images, regions, _ = scene.memory.shape
        shape = (target, images, captions, regions)
        return self.attention.draw(shape, self.config.expected_share, scene.memory.device)

    def _unroll(self, words: Tensor, scene: Scene, captions: int, draw: Draw | None) -> tuple[Tensor, Tensor, Tensor]:
        """Position by position: what the readout sees, weights and scores, each `[rows, target, …]`.

        The captions of one picture share its memory, so that nothing of it is copied.
        """
        state = tuple(part.repeat_interleave(captions, dim=0) for part in scene.initial)
        seen, weights, scores = [], [], []
        for index, word in enumerate(words.unbind(dim=1)):
            query = state[0].unflatten(0, (-1, captions))
            here = None if draw is None else Draw(draw.noise[index], draw.expected)
            look = self.attention(query, scene.keys, scene.memory, here)
            context = look.context.flatten(0, 1)
            hidden, (state,) = self.decoder.step(torch.cat([word, context], dim=-1), [state])
            seen.append(torch.cat([hidden, context], dim=-1))
            weights.append(look.weights.flatten(0, 1))
            scores.append(look.scores.flatten(0, 1))
        return torch.stack(seen, dim=1), torch.stack(weights, dim=1), torch.stack(scores, dim=1)
