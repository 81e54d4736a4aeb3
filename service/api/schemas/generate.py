"""Bodies of the task generate."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from service.api.schemas.body import Reply, as_list
from service.api.schemas.sampling import SEED_TOLD, SamplingFields
from service.tasks.generate import Options, Passage

_PROMPT = (
    "what to go on from, or nothing; of a tune in ABC notation its metre (M:), unit length (L:) and key (K:), a line "
    "each, any of which may be left to the model, and bars of music, if the key is given"
)
_EXAMPLE = "M:6/8\nK:D\n"
_ANY = {"type": "string"}
Prompts = Annotated[
    list[str],
    BeforeValidator(as_list),
    WithJsonSchema({"anyOf": [_ANY, {"type": "array", "items": _ANY, "minItems": 1}]}),
]
"""One prompt or a list of prompts, as a list."""


class _GenerateOptions(SamplingFields):
    model: str | None = Field(None, description="name of a model; else the default", examples=["music"])
    max_length: int | None = Field(
        None, ge=1, description="most tokens to be added to the prompt; else as many as the model can"
    )

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(**self.sampling(), max_length=self.max_length)


class GenerateRequest(_GenerateOptions):
    """Prompts to go on from."""

    prompt: Prompts = Field(min_length=1, description=f"{_PROMPT}; one prompt or a list", examples=[_EXAMPLE])


class GenerateOneRequest(_GenerateOptions):
    """A prompt to go on from."""

    prompt: str = Field(description=_PROMPT, examples=[_EXAMPLE])


class GenerationReply(BaseModel):
    """What was written."""

    text: str = Field(description="the prompt, as the model read it, and what follows", examples=["M:6/8\nK:D\nA|d3"])
    tune: str | None = Field(
        None,
        description="of a model that writes tunes: an ABC file of its own, where the text has a key, no empty field",
    )
    seed: int = Field(ge=0, description=SEED_TOLD, examples=[7])
    score: float = Field(description="mean log-probability of a token; at most 0", examples=[-0.8])
    length: int = Field(ge=0, description="tokens written, the end left out", examples=[180])
    unfinished: bool | None = Field(None, description="true where the text reached max_length before its end")


class GenerateReply(Reply):
    """Texts in the order of the prompts."""

    generations: list[GenerationReply]


def generation_reply(passage: Passage) -> GenerationReply:
    """What was written as it is replied; what is not there is left out."""
    return GenerationReply(
        text=passage.text,
        tune=passage.tune,
        seed=passage.seed,
        score=passage.score,
        length=passage.length,
        unfinished=passage.unfinished or None,
    )
