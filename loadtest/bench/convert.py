"""Our Transformer's parameters as a CTranslate2 model, so that both engines run the same weights.

CTranslate2's specification is documented in its `python/ctranslate2/specs/transformer_spec.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import TransformerSpec
from ctranslate2.specs.common_spec import LayerNormSpec, LinearSpec
from numpy.typing import NDArray

Parameters = Mapping[str, NDArray[Any]]
"""By the name that PyTorch gives them, linear maps as `[out, in]`, and the table `positions [length, hidden]`."""


@dataclass(frozen=True)
class SpecialTokens:
    """How the vocabularies write the tokens that steer decoding."""

    unk: str
    bos: str
    eos: str


def convert(
    parameters: Parameters,
    num_heads: int,
    vocabularies: tuple[Sequence[str], Sequence[str]],
    special: SpecialTokens,
    folder: Path,
) -> None:
    """Write a CTranslate2 model in float32 into a new folder; the engine quantises it when it loads.

    Args:
        parameters: every parameter of a pre-norm Transformer of `models.architectures.transformer`, and `positions`.
        num_heads: of every attention.
        vocabularies: source and target tokens in the order of their ids.
        special: as the target vocabulary writes them.
        folder: the model's folder, which must not exist.

    Raises:
        KeyError: a parameter is missing.
        ValueError: a parameter is left over, so the model is another one than the specification can express.
    """
    reader = _Reader(parameters)
    spec = TransformerSpec.from_config(
        num_layers=(reader.count("encoder"), reader.count("decoder")), num_heads=num_heads, pre_norm=True
    )
    target = reader.take("target_embedding.weight")
    source = reader.take("source_embedding.weight") if "source_embedding.weight" in parameters else target
    positions = reader.take("positions")
    spec.encoder.embeddings[0].weight = source
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = target
    spec.encoder.position_encodings.encodings = spec.decoder.position_encodings.encodings = positions
    reader.norm("encoder_norm", spec.encoder.layer_norm)
    reader.norm("decoder_norm", spec.decoder.layer_norm)
    for side in ("encoder", "decoder"):
        for index, layer in enumerate(getattr(spec, side).layer):
            _fill_layer(reader, f"{side}.{index}", layer)
    reader.check_all_taken()
    spec.register_source_vocabulary(list(vocabularies[0]))
    spec.register_target_vocabulary(list(vocabularies[1]))
    spec.config.unk_token, spec.config.eos_token = special.unk, special.eos
    spec.config.bos_token = spec.config.decoder_start_token = special.bos
    spec.config.layer_norm_epsilon = 1e-5
    spec.validate()
    spec.optimize(quantization="float32")
    folder.mkdir(parents=True)
    spec.save(str(folder))


def _fill_layer(reader: _Reader, name: str, layer: Any) -> None:
    reader.norm(f"{name}.self_attention_norm", layer.self_attention.layer_norm)
    reader.linear(f"{name}.self_attention.query_key_value", layer.self_attention.linear[0])
    reader.linear(f"{name}.self_attention.output", layer.self_attention.linear[1])
    if hasattr(layer, "attention"):
        reader.norm(f"{name}.cross_attention_norm", layer.attention.layer_norm)
        for index, part in enumerate(("query", "key_value", "output")):
            reader.linear(f"{name}.cross_attention.{part}", layer.attention.linear[index])
    reader.norm(f"{name}.feed_forward_norm", layer.ffn.layer_norm)
    reader.linear(f"{name}.feed_forward.inner", layer.ffn.linear_0)
    reader.linear(f"{name}.feed_forward.outer", layer.ffn.linear_1)


class _Reader:
    """Hands parameters out and remembers which were asked for."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._left = set(parameters)

    def count(self, stack: str) -> int:
        """Number of layers of a stack."""
        return len({name.split(".")[1] for name in self._parameters if name.startswith(f"{stack}.")})

    def take(self, name: str) -> NDArray[np.float32]:
        if name not in self._parameters:
            raise KeyError(f"the model has no parameter {name!r}")
        self._left.discard(name)
        return np.ascontiguousarray(self._parameters[name], dtype=np.float32)

    def linear(self, name: str, spec: LinearSpec) -> None:
        spec.weight, spec.bias = self.take(f"{name}.weight"), self.take(f"{name}.bias")

    def norm(self, name: str, spec: LayerNormSpec) -> None:
        spec.gamma, spec.beta = self.take(f"{name}.weight"), self.take(f"{name}.bias")

    def check_all_taken(self) -> None:
        if self._left:
            raise ValueError(f"CTranslate2's Transformer has no place for {', '.join(sorted(self._left))}")
