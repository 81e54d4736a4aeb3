"""The YAML of a classification run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from contract.signature import Frozen
from models.data.input_tokenizer import InputTokenizerConfig
from models.data.labelled import LabelledTable
from models.pretrained.start import Start
from models.training.config import DataConfig, TrainConfig, TrainingConfig


def _named_by_text(labels: Any) -> Any:
    """YAML reads the label 0 as a number; in the files it is text."""
    return {str(label): name for label, name in labels.items()} if isinstance(labels, dict) else labels


class DocumentSizes(Frozen):
    """How much of a document is read by a model that reads sentences of words."""

    sentences: int = Field(default=60, ge=1, description="most sentences of a document; the rest is left out")
    words: int = Field(default=40, ge=1, description="most words of a sentence; a longer one goes on as another")


class LabelledData(DataConfig):
    """Tables of each split, relative to the data folder. Without `validation` a fixed 10 % of `train` is carved.

    `more` is further training material: phrases of the training texts, say; none of it enters validation, and what
    occurs only in texts of the validation part is left out. `drop_leaked` leaves out of training what occurs in the
    validation or test files, spacing, punctuation and case aside. `labels` gives names to the labels in the files, in
    the order of the model's scores; without it they are their own names, sorted. `line_break` is markup that stands for
    one, such as `<br />`.
    """

    train: LabelledTable
    more: LabelledTable | None = None
    validation: LabelledTable | None = None
    test: LabelledTable | None = None
    drop_leaked: bool = False
    labels: Annotated[dict[str, str], BeforeValidator(_named_by_text)] = Field(default_factory=dict)
    line_break: str | None = None
    language: str | None = Field(default=None, description="whose rules split sentences (ISO 639-1)")
    max_length: int = Field(default=256, ge=1, description="tokens of a text; longer ones are cut")
    documents: DocumentSizes | None = Field(default=None, description="for models that read sentences of words")

    @property
    def training_files(self) -> tuple[str, ...]:
        return tuple(table.table for table in (self.train, self.more) if table is not None)


class ClassifyTraining(TrainingConfig):
    """How long and how fast to learn to classify."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    layer_decay: float = Field(default=1.0, gt=0, le=1, description="learning rate of a layer, relative to the next")


class ClassifyConfig(TrainConfig):
    """One classification run; an encoder that is `pretrained` brings its own tokenizer."""

    task: Literal["classify"] = "classify"
    data: LabelledData
    pretrained: Start | None = None
    tokenizer: InputTokenizerConfig = InputTokenizerConfig()
    training: ClassifyTraining = ClassifyTraining()
