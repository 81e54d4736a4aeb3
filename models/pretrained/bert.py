"""A BERT to start from, as the `transformers` library writes it: its parameters are renamed by the tables below."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from contract.text import InputCodec
from models.architecture import Architecture
from models.layers.bert import BertEncoder
from models.pretrained.pretrained import PretrainedText
from models.registry import ConfigError

_POSITIONS, _SEGMENTS = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
_EMBEDDINGS = {
    "token_embedding.weight": "embeddings.word_embeddings.weight",
    "embedding_norm.weight": "embeddings.LayerNorm.weight",
    "embedding_norm.bias": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "self_attention.query_key_value": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "self_attention.output": ("attention.output.dense",),
    "self_attention_norm": ("attention.output.LayerNorm",),
    "feed_forward.inner": ("intermediate.dense",),
    "feed_forward.outer": ("output.dense",),
    "feed_forward_norm": ("output.LayerNorm",),
}
"""Each with a weight and a bias; what has several origins holds them one below the other."""
_UNUSED = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
"""A constant, and the layer over [CLS] that was trained to tell next sentences and is replaced by a task's own head."""
_SIZES = {
    "hidden_size": "hidden_size",
    "num_heads": "num_attention_heads",
    "feed_forward_size": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "max_length": "max_position_embeddings",
}
_EXPECTED = {"model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12}
"""What `models.layers.bert` computes and has no field for."""


@dataclass(frozen=True)
class PretrainedBert(PretrainedText):
    """The encoder of a BERT; it reads a text between [CLS] and [SEP].

    Attributes:
        sizes: fields of the config of `bert` that the weights fix; all but the vocabulary's size.
    """

    sizes: dict[str, int]

    def give(self, model: Architecture) -> None:
        encoder, sizes = _encoder(model), _sizes(model)
        if sizes != self.sizes:
            raise ConfigError(f"the architecture is of sizes {sizes}, the weights that it starts from of {self.sizes}")
        encoder.load_state_dict(self.weights)


def take(model: Architecture, codec: InputCodec) -> PretrainedBert:
    """The encoder of a model.

    Raises:
        ConfigError: it has none of BERT's kind.
    """
    return PretrainedBert(_encoder(model).state_dict(), codec, _sizes(model))


def read_package(folder: Path) -> PretrainedBert:
    """Read `config.json`, `model.safetensors` and `tokenizer.json`.

    Raises:
        ConfigError: the model is of another kind, or a parameter is missing or not known here.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    found = {key: config.get(key) for key in _EXPECTED}
    if found != _EXPECTED:
        raise ConfigError(f"the model in {folder} is another kind than {_EXPECTED}: {found}")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return PretrainedBert(
        weights=translate_weights(load_file(folder / "model.safetensors"), int(config["num_hidden_layers"])),
        codec=InputCodec(tokenizer),
        sizes={ours: int(config[theirs]) for ours, theirs in _SIZES.items()},
    )


def translate_weights(theirs: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Parameters of a `BertModel` of `transformers` → those of a `BertEncoder`.

    Query, key and value become one matrix, and the embedding of the first segment a part of every position's.

    Raises:
        ConfigError: a parameter is missing, or one is there that has no place here.
    """
    layers = {
        f"layers.{index}.{ours}.{kind}": tuple(f"encoder.layer.{index}.{each}.{kind}" for each in origins)
        for index in range(num_layers)
        for ours, origins in _LAYER.items()
        for kind in ("weight", "bias")
    }
    wanted = {_POSITIONS, _SEGMENTS, *_EMBEDDINGS.values(), *(each for origins in layers.values() for each in origins)}
    missing, unknown = sorted(wanted - set(theirs)), sorted(set(theirs) - wanted - _UNUSED)
    if missing or unknown:
        raise ConfigError(f"not the parameters of a BERT of {num_layers} layers: missing {missing}, unknown {unknown}")
    ours = {name: theirs[origin] for name, origin in _EMBEDDINGS.items()}
    ours["position_embedding.weight"] = theirs[_POSITIONS] + theirs[_SEGMENTS][0]
    return ours | {name: torch.cat([theirs[each] for each in origins]) for name, origins in layers.items()}


def _encoder(model: Architecture) -> BertEncoder:
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, BertEncoder):
        raise ConfigError(
            f"{type(model).__name__} has no encoder of BERT's kind: only bert and its like are pretrained"
        )
    return encoder


def _sizes(model: Architecture) -> dict[str, int]:
    return model.config.model_dump(include=set(_SIZES))
