"""The YAML of a pretraining run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.data.masking import MaskingConfig
from models.data.texts import TextFile
from models.data.wordpiece import WordPieceConfig
from models.pretrained.start import Start
from models.training.config import DataConfig, TrainConfig


class UnlabelledData(DataConfig):
    """Files of texts, relative to the data folder. Without `validation` a fixed 10 % of the texts of `train` is carved.

    `max_length` bounds the tokens of a piece, the special ones included: longer texts become several pieces.
    `line_break` is markup that stands for one, such as `<br />`.
    """

    train: TextFile
    validation: TextFile | None = None
    test: TextFile | None = None
    line_break: str | None = None
    max_length: int = Field(default=128, ge=8)

    @property
    def training_files(self) -> tuple[str, ...]:
        return (self.train.file,)


class MaskedLanguageConfig(TrainConfig):
    """One pretraining run; one that goes on from an encoder that is `pretrained` keeps its tokenizer."""

    task: Literal["masked-language-model"] = "masked-language-model"
    data: UnlabelledData
    pretrained: Start | None = None
    tokenizer: WordPieceConfig = WordPieceConfig()
    masking: MaskingConfig = MaskingConfig()
