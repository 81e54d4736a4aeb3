"""Export of language models of characters: tunes and running text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.manifest import Limits, SpecialIds
from contract.preprocessing import Notation, PromptPreprocessing
from contract.tasks import TaskName
from contract.text import TextCodec
from export.errors import ExportError
from export.material import About
from export.prompt import PromptMaterial
from models.data.vocabulary import TOKENIZER
from models.prompt_generator import PromptGenerator
from models.tasks.generate.books import read_book
from models.tasks.generate.task import GenerateRun


@dataclass(frozen=True, kw_only=True)
class CharacterMaterial(PromptMaterial):
    """A language model of characters.

    Attributes:
        codec: the tokenizer.
        notation: what is written; tunes have an end, running text has none.
    """

    model: PromptGenerator
    codec: TextCodec
    notation: Notation

    units = "texts"
    bits_metric = "bits_per_character"

    @property
    def task(self) -> TaskName:
        return "generate"

    @property
    def vocabulary_size(self) -> int:
        return self.codec.vocabulary_size

    @property
    def special(self) -> SpecialIds:
        codec = self.codec
        eos = codec.eos if self.notation == "abc" else None
        return SpecialIds(pad=codec.pad, unk=codec.unk, bos=codec.bos, eos=eos)

    def preprocessing(self, folder: Path) -> PromptPreprocessing:
        self.codec.save(folder / TOKENIZER)
        return PromptPreprocessing(tokenizer=TOKENIZER, notation=self.notation)


def character_material(run: GenerateRun) -> CharacterMaterial:
    """Material of a finished run that learnt to write; its validation split must be readable.

    Raises:
        ExportError: the architecture does not go on from prompts.
    """
    config, model, codec = run.config, run.model, run.vocabulary.codec
    if not isinstance(model, PromptGenerator):
        raise ExportError(f"{run.path}: architecture {config.architecture_name!r} does not go on from prompts")
    return CharacterMaterial(
        model=model,
        limits=Limits(target=config.data.max_length),
        about=About.of(config),
        codec=codec,
        notation=config.data.notation,
        sequences=read_book(config.data, run.root, "validation").fixed(codec),
    )
