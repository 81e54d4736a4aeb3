"""Generation as a training task."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from models.architecture import Architecture
from models.data.characters import learn_characters
from models.data.vocabulary import TOKENIZER, WritingVocabulary
from models.prompt_generator import PromptGenerator
from models.registry import ConfigError
from models.tasks.generate.books import read_book
from models.tasks.generate.config import GenerateConfig
from models.tasks.generate.data import WrittenSequences, judged_batches
from models.tasks.generate.module import GenerateModule, likelihood, total_loss
from models.training.config import Split
from models.training.run import Run
from models.training.task import TrainingTask, check_positions

GenerateRun = Run[GenerateConfig, WritingVocabulary]


class GenerateTask(TrainingTask[GenerateConfig, WritingVocabulary]):
    """Writes on where a prompt ends, with any generator that reads prompts."""

    config = GenerateConfig
    scores = ("likelihood",)
    files = (TOKENIZER,)

    def learn(self, config: GenerateConfig, root: Path) -> WritingVocabulary:
        return WritingVocabulary(learn_characters(read_book(config.data, root, "train").texts))

    def load(self, folder: Path) -> WritingVocabulary:
        return WritingVocabulary.load(folder)

    def sizes(self, config: GenerateConfig, vocabulary: WritingVocabulary) -> dict[str, Any]:
        return {"vocabulary_size": vocabulary.codec.vocabulary_size}

    def data(self, config: GenerateConfig, vocabulary: WritingVocabulary, root: Path) -> WrittenSequences:
        train, validation = (read_book(config.data, root, split) for split in ("train", "validation"))
        return WrittenSequences(train, validation, vocabulary.codec, config)

    def module(
        self, model: Architecture, config: GenerateConfig, vocabulary: WritingVocabulary, total_steps: int
    ) -> GenerateModule:
        if not isinstance(model, PromptGenerator):
            raise ConfigError(f"architecture {config.architecture_name!r} does not go on from prompts")
        check_positions(model, config.data.max_length)
        return GenerateModule(model, config.training, seed=config.seed, total_steps=total_steps)

    @torch.no_grad()
    def evaluate(self, run: GenerateRun, split: Split) -> dict[str, str | int | float]:
        """Bits per character, end of a tune included, and the geometric mean of a character's probability."""
        assert isinstance(run.model, PromptGenerator)
        loss, tokens = 0.0, 0
        book, codec = read_book(run.config.data, run.root, split), run.vocabulary.codec
        for batch in judged_batches(book, codec, run.config):
            more, seen = total_loss(run.model, batch)
            loss, tokens = loss + more, tokens + seen
        mean = loss / tokens
        return {
            "run": run.config.name,
            "split": split,
            "characters": tokens,
            "likelihood": round(likelihood(mean), 2),
            "bits_per_character": round(mean / math.log(2), 4),
            "nats_per_character": round(mean, 4),
        }
