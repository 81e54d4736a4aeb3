"""Captioning as a training task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.architecture import Architecture
from models.data.captions import Picture
from models.data.tokenizer import train_codec
from models.data.vocabulary import TOKENIZER, WritingVocabulary
from models.image_generator import ImageGenerator
from models.pretrained.captioner import PretrainedCaptioner
from models.registry import ConfigError
from models.tasks.caption.config import CaptionConfig
from models.tasks.caption.data import PictureData, read_split
from models.tasks.caption.evaluate import CaptionRun, caption_scores
from models.tasks.caption.module import CaptionModule
from models.training.config import Split
from models.training.task import TrainingTask, check_positions


class CaptionTask(TrainingTask[CaptionConfig, WritingVocabulary]):
    """A picture to a sentence with any generator that reads pictures."""

    config = CaptionConfig
    scores = ("bleu_4", "bleu_3", "bleu_2", "bleu_1")
    files = (TOKENIZER,)

    def learn(self, config: CaptionConfig, root: Path) -> WritingVocabulary:
        if isinstance(start := config.pretrained and config.pretrained.load(), PretrainedCaptioner):
            return WritingVocabulary(start.codec)
        captions = [caption for picture in read_split(config.data, root, "train") for caption in picture.captions]
        return WritingVocabulary(train_codec(captions, config.tokenizer))

    def load(self, folder: Path) -> WritingVocabulary:
        return WritingVocabulary.load(folder)

    def sizes(self, config: CaptionConfig, vocabulary: WritingVocabulary) -> dict[str, Any]:
        return {"target_vocabulary_size": vocabulary.codec.vocabulary_size}

    def data(self, config: CaptionConfig, vocabulary: WritingVocabulary, root: Path) -> PictureData:
        train, validation = (read_split(config.data, root, split) for split in ("train", "validation"))
        return PictureData(train, validation, vocabulary.codec, config)

    def module(
        self, model: Architecture, config: CaptionConfig, vocabulary: WritingVocabulary, total_steps: int
    ) -> CaptionModule:
        if not isinstance(model, ImageGenerator):
            raise ConfigError(f"architecture {config.architecture_name!r} does not read pictures")
        longest = config.data.max_length
        check_positions(model, longest)
        return CaptionModule(
            model, config.training, vocabulary.codec, seed=config.seed, total_steps=total_steps, max_length=longest
        )

    def initialise(self, model: Architecture, config: CaptionConfig, root: Path) -> None:
        if config.pretrained is not None:
            config.pretrained.load().give(model)

    def examples(self, run: CaptionRun, split: Split) -> list[Picture]:
        """The pictures of a split with their captions."""
        return read_split(run.config.data, run.root, split)

    def evaluate(self, run: CaptionRun, split: Split) -> dict[str, str | int | float]:
        return caption_scores(run, split)
