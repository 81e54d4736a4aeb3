"""How a shipped config is run in miniature: the test data of its task in place of its own, small sizes, one epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.training.config import TrainConfig

DATA = Path(__file__).parents[1] / "data"
LARGEST = 16

Fields = dict[str, Any]


def miniature(config: TrainConfig) -> TrainConfig:
    """The config with sizes of at most 16 and the test data of its task, below `DATA`."""
    fields = config.model_dump()
    fields["architecture"] |= {
        name: min(value, LARGEST)
        for name, value in fields["architecture"].items()
        if name.endswith("_size") and isinstance(value, int)
    }
    if "num_heads" in fields["architecture"]:
        fields["architecture"]["num_heads"] = 2
    fields["training"] |= {"epochs": 1, "warmup_steps": 1}
    fields.pop("pretrained", None)  # its sizes are fixed, and not everyone has the package
    SHRINK[config.task](fields)
    return type(config).model_validate(fields)


def _translate(fields: Fields) -> None:
    for split, file in {"train": "train", "validation": "val", "test": "test"}.items():
        fields["data"][split] = {"source": f"parallel/{file}.en", "target": f"parallel/{file}.de"}
    fields["tokenizer"]["vocabulary_size"] = 150
    fields["training"]["batch_tokens"] = 1_400


def _classify(fields: Fields) -> None:
    for split, file in {"train": "train", "more": "test", "validation": "val", "test": "test"}.items():
        if fields["data"][split] or split == "validation":
            fields["data"][split] = {"table": f"labelled/{file}.tsv"}
    fields["data"]["labels"] = {}
    fields["tokenizer"]["vocabulary_size"] = 150
    fields["training"]["batch_tokens"] = 1_000


def _recommend(fields: Fields) -> None:
    fields["data"] |= {
        "train": {"sessions": "sessions/train.txt"},
        "test": {"cases": "sessions/test.tsv"},
        "validation_share": 0.1,
    }
    fields["training"]["batch_tokens"] = 100


def _answer(fields: Fields) -> None:
    fields["data"] |= {"train": {"files": "stories/*_train.txt"}, "test": {"files": "stories/*_test.txt"}}


def _tag(fields: Fields) -> None:
    """The same format as the config's own, and the same splits."""
    for split in ("train", "validation", "test"):
        if files := fields["data"][split]:
            kind, ending = ("columns", "conll") if "columns" in files else ("jsonl", "jsonl")
            part = "train" if split == "train" else "test"
            fields["data"][split] = files | {kind: f"tagged/{part}.{ending}"}
    fields["training"]["batch_tokens"] = 1_000


def _masked_language_model(fields: Fields) -> None:
    for split, file in {"train": "train", "validation": "val", "test": "test"}.items():
        fields["data"][split] = {"file": f"parallel/{file}.en"}
    fields["tokenizer"]["vocabulary_size"] = 150
    fields["training"]["batch_tokens"] = 400


def _caption(fields: Fields) -> None:
    """An encoder of two stages that sees 4 × 4 regions in pictures of 32 pixels a side."""
    stage = {"blocks": 1, "kernel_size": 3, "stride": 2, "expansion": 2, "channels": 8}
    fields["architecture"]["encoder"] = {"image_size": 32, "stem_size": 4, "stages": [stage, stage], "head_size": 16}
    fields["data"] |= {
        "images": ("pictures/train.tar", "pictures/loose"),
        "captions": {"table": "pictures/captions.tsv", "unused": ("unused",)},
    }
    fields["tokenizer"]["vocabulary_size"] = 80
    fields["training"] |= {"batch_tokens": 200, "frozen_epochs": 0, "frozen_blocks": 0}


def _generate(fields: Fields) -> None:
    """Tunes for tunes, and text for text, whose parts stay what they are: where two are enough, they are tested too."""
    for split in ("train", "validation", "test"):
        files = fields["data"][split] or fields["data"]["validation"]
        name = "train" if split == "train" else "validation"
        tunes = "tunes" in files
        fields["data"][split] = {"tunes": f"tunes/{name}.abc"} if tunes else files | {"text": "parallel/train.en"}
    fields["training"]["batch_tokens"] = 1_000


def _pixels(fields: Fields) -> None:
    """Pictures of 8 pixels a side, two in a batch."""
    places = {"train": ("pictures/train.tar",), "validation": ("pictures/loose",), "test": ("pictures/loose",)}
    fields["data"] |= places | {"size": 8}
    if "source_size" in fields["data"]:
        fields["data"]["source_size"] = 4
    fields["training"]["batch_tokens"] = 2 * 3 * 8 * 8


SHRINK: dict[str, Callable[[Fields], None]] = {
    "answer": _answer,
    "caption": _caption,
    "classify": _classify,
    "complete-image": _pixels,
    "generate": _generate,
    "masked-language-model": _masked_language_model,
    "recommend": _recommend,
    "tag": _tag,
    "translate": _translate,
    "upscale": _pixels,
}
"""Task → what puts its test data into a config's fields."""
