"""The YAML of a captioning run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from contract.images import Fit
from models.data.captions import CaptionTable
from models.data.tokenizer import BpeConfig
from models.pretrained.start import Start
from models.training.config import DataConfig, TrainConfig, TrainingConfig


class CaptionData(DataConfig):
    """Pictures and captions, relative to the data folder.

    `images` are folders and uncompressed tar shards. `fit` says how a picture becomes the square that the encoder
    reads; what serves the model does the same. Captions whose tokens, EOS included, are more than `max_length` are left
    out of training. While the encoder is frozen, each epoch sees every picture in one of `views` variants, of which the
    first is the picture as it is, and the others are crops, some of them mirrored.
    """

    images: tuple[str, ...] = Field(min_length=1)
    captions: CaptionTable
    fit: Fit = "squeeze"
    max_length: int = Field(default=32, ge=2)
    views: int = Field(default=1, ge=1)

    @property
    def training_files(self) -> tuple[str, ...]:
        return (*self.images, self.captions.table)


class CaptionTraining(TrainingConfig):
    """How long and how fast to learn to describe pictures.

    A step sees whole pictures, each with `captions_per_picture` of its captions, drawn anew every epoch: `batch_tokens`
    bounds the tokens of all of them.

    Attributes:
        objective: *cross_entropy*, the next word of people's captions is learnt; *self_critical*, which captions of the
            model's own score best: `captions_per_picture` are drawn of each picture. Start from a run that has learnt
            the words (`pretrained: {run: …}`), at a tenth of its rate.
        encoder: *frozen*, its features are computed once and kept on disk; *fine-tuned*, it learns along, after
            `frozen_epochs` in which it does not, at `encoder_rate` times the learning rate of the rest. Several
            processes need the strategy `ddp_find_unused_parameters_true` for that.
        frozen_blocks: so many of the encoder's first blocks, and the stem before them, stay as they are even then. They
            see a picture at its finest, so they take most of the time, and they learnt what all pictures have.
        doubly_stochastic: weight of the regulariser by which attention pays heed to all of a picture (Xu et al. 2015,
            section 4.2.1), for attention that is soft.
        reinforce: weight λ_r of what drawn regions learn from (Xu et al. 2015, section 4.1), for hard attention.
        entropy: weight λ_e of the entropy of the draw, for hard attention.
    """

    objective: Literal["cross_entropy", "self_critical"] = "cross_entropy"
    captions_per_picture: int = Field(default=5, ge=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    encoder: Literal["frozen", "fine-tuned"] = "frozen"
    frozen_epochs: int = Field(default=0, ge=0)
    frozen_blocks: int = Field(default=0, ge=0)
    encoder_rate: float = Field(default=0.1, gt=0)
    doubly_stochastic: float = Field(default=0.0, ge=0)
    reinforce: float = Field(default=1.0, ge=0)
    entropy: float = Field(default=0.01, ge=0)

    @model_validator(mode="after")
    def _others_to_compare_with(self) -> Self:
        if self.objective == "self_critical" and self.captions_per_picture < 2:
            raise ValueError("self_critical holds captions of a picture against each other: captions_per_picture >= 2")
        return self

    @model_validator(mode="after")
    def _frozen_throughout(self) -> Self:
        if self.encoder == "frozen" and self.frozen_epochs:
            raise ValueError("frozen_epochs are those before the encoder is fine-tuned: set encoder to fine-tuned")
        return self

    def learns_encoder(self, epoch: int) -> bool:
        """Whether the encoder learns in an epoch (from 0)."""
        return self.encoder == "fine-tuned" and epoch >= self.frozen_epochs


class CaptionConfig(TrainConfig):
    """One captioning run, its encoder `pretrained` or not."""

    task: Literal["caption"] = "caption"
    data: CaptionData
    pretrained: Start | None = None
    tokenizer: BpeConfig = BpeConfig()
    training: CaptionTraining = CaptionTraining()
