"""What a run starts from, as its config names it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from contract.signature import Frozen
from models.classifier import Classifier
from models.image_generator import ImageGenerator
from models.layers.bert import BertEncoder
from models.pretrained import bert, captioner, classifier, efficientnet
from models.pretrained.packages import LITE0, package_folder
from models.pretrained.pretrained import Pretrained, PretrainedText
from models.registry import ConfigError
from models.training.run import load_run


class Start(Frozen):
    """Where a run's encoder, and with texts its tokenizer, come from: a package, or a run folder of one's own."""

    package: str | None = None
    run: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.package is None) == (self.run is None):
            raise ValueError("give either package or run")
        return self

    def load(self) -> Pretrained:
        """What is there.

        Raises:
            ConfigError: nothing is, or nothing to start from.
        """
        if self.package is not None:
            return load_package(self.package)
        assert self.run is not None
        return load_start(self.run)

    def load_text(self) -> PretrainedText:
        """What is there, of a model that reads texts.

        Raises:
            ConfigError: nothing is, or no reader of texts.
        """
        found = self.load()
        if not isinstance(found, PretrainedText):
            raise ConfigError(f"{self.package or self.run} reads no texts: start from a model that does")
        return found


def load_package(name: str) -> Pretrained:
    """Read an encoder from an installed package.

    Raises:
        ConfigError: the package is unknown or not installed, its model is of another kind, or a parameter is missing
            or not known here.
    """
    folder = package_folder(name)
    return efficientnet.read_package(folder) if name == LITE0 else bert.read_package(folder)


def load_start(path: Path) -> Pretrained:
    """What a run folder has to start from: an encoder of texts, a captioner, or a classifier without its last layer.

    Raises:
        ConfigError: the folder is no finished run, or its model has none of these.
    """
    run = load_run(path)
    if isinstance(run.model, ImageGenerator):
        return captioner.take(run.model, run.vocabulary.codec)
    if isinstance(run.model, Classifier) and not isinstance(getattr(run.model, "encoder", None), BertEncoder):
        return classifier.take(run.model, run.vocabulary.codec)
    return bert.take(run.model, run.vocabulary.codec)
