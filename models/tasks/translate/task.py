"""Translation as a training task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.architecture import Architecture, Generator
from models.data.tokenizer import train_codecs
from models.registry import ConfigError
from models.tasks.translate.codecs import SOURCE, TARGET, Codecs
from models.tasks.translate.config import TranslateConfig
from models.tasks.translate.data import PairData, read_split
from models.tasks.translate.evaluate import bleu_scores
from models.tasks.translate.module import TranslateModule
from models.training.config import Split
from models.training.run import Run
from models.training.task import TrainingTask, check_positions


class TranslateTask(TrainingTask[TranslateConfig, Codecs]):
    """Text to text with any generator."""

    config = TranslateConfig
    scores = ("bleu",)
    files = (SOURCE, TARGET)

    def learn(self, config: TranslateConfig, root: Path) -> Codecs:
        return Codecs(*train_codecs(read_split(config.data, root, "train"), config.tokenizer))

    def load(self, folder: Path) -> Codecs:
        return Codecs.load(folder)

    def sizes(self, config: TranslateConfig, vocabulary: Codecs) -> dict[str, Any]:
        return {
            "source_vocabulary_size": vocabulary.source.vocabulary_size,
            "target_vocabulary_size": vocabulary.target.vocabulary_size,
        }

    def data(self, config: TranslateConfig, vocabulary: Codecs, root: Path) -> PairData:
        train, validation = (read_split(config.data, root, split) for split in ("train", "validation"))
        return PairData(train, validation, vocabulary, config)

    def module(
        self, model: Architecture, config: TranslateConfig, vocabulary: Codecs, total_steps: int
    ) -> TranslateModule:
        if not isinstance(model, Generator):
            raise ConfigError(f"architecture {config.architecture_name!r} is not a generator: it cannot translate")
        longest = config.data.max_length
        check_positions(model, longest)
        return TranslateModule(
            model,
            config.training,
            vocabulary.target,
            seed=config.seed,
            total_steps=total_steps,
            max_length=longest,
        )

    def evaluate(self, run: Run[TranslateConfig, Codecs], split: Split) -> dict[str, str | int | float]:
        return bleu_scores(run, split)
