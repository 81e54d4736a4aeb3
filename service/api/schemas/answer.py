"""Bodies of the task answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter, WithJsonSchema

from service.api.schemas.body import Body, Reply, Texts, one_or_many
from service.tasks.answer import MOST_SENTENCES, Answer, Asked, Options, SentenceMap
from service.tasks.errors import BadOptionError

_STORY = {"type": "array", "items": {"type": "string", "pattern": r"\w"}, "minItems": 1, "maxItems": MOST_SENTENCES}
Stories = Annotated[
    list[list[str]],
    one_or_many(
        TypeAdapter(list[str]),
        TypeAdapter(list[list[str]]),
        "Input should be a story (a list of sentences) or a list of stories",
    ),
    WithJsonSchema({"anyOf": [_STORY, {"type": "array", "items": _STORY, "minItems": 1}]}),
]
"""One story or a list of stories, as a list."""


class AnswerRequest(Body):
    """Stories and questions about them: one story for all questions, or as many stories as questions."""

    story: Stories = Field(
        description="sentences in the order they were told, the last one last; one story, or one for each question",
        examples=[["Mary went to the kitchen.", "John moved to the garden."]],
    )
    question: Texts = Field(min_length=1, description="one question or a list", examples=["Where is Mary?"])
    model: str | None = Field(None, description="name of a model; else the default", examples=["answers"])
    top_k: int = Field(Options.top_k, ge=1, description="how many answers to return, where the model has as many")
    explain: bool = Field(False, description="add an attention map: which sentences each hop looked at")
    truncate: bool = Field(
        Options.truncate, description="read the last sentences of a longer story instead of refusing it"
    )

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(top_k=self.top_k, explain=self.explain, truncate=self.truncate)

    def asked(self) -> list[Asked]:
        """Each question with its story.

        Raises:
            BadOptionError: there are several stories, and another number of questions.
        """
        stories, questions = self.story, self.question
        if len(stories) == 1:
            return [Asked(tuple(stories[0]), question) for question in questions]
        if len(stories) != len(questions):
            detail = f"{len(stories)} stories and {len(questions)} questions: send one story, or one for each question"
            raise BadOptionError(detail, "story")
        return [
            Asked(tuple(story), question, f"story.{index}")
            for index, (story, question) in enumerate(zip(stories, questions, strict=True))
        ]


class AnswerScoreReply(BaseModel):
    """An answer and its probability."""

    text: str = Field(description="several things are joined by commas", examples=["kitchen"])
    score: float = Field(ge=0, le=1, examples=[0.98])


class SentenceReply(BaseModel):
    """A sentence of the story, and its place in it, counted from 0."""

    text: str
    position: int = Field(ge=0)


class SentenceMapReply(BaseModel):
    """Where the model looked: for each hop a weight for each of `sources`; what is missing to 1 fell on nothing."""

    axes: list[str] = Field(examples=[["hops", "sentences"]])
    sources: list[SentenceReply]
    weights: list[list[float]]


class AnsweredReply(AnswerScoreReply):
    """The most probable answer to a question, and the ones after it."""

    answers: list[AnswerScoreReply] = Field(description="the `top_k` most probable answers, best first")
    truncated: bool | None = Field(None, description="true where only the last sentences of a long story were read")
    attention: SentenceMapReply | None = Field(None, description="with explain: where the model looked, hop by hop")


class AnswerReply(Reply):
    """Answers in the order of the questions."""

    answers: list[AnsweredReply]


def answer_reply(found: Answer) -> AnsweredReply:
    """An answer as it is replied; what is not there is left out."""
    answers = [AnswerScoreReply(text=each.text, score=each.score) for each in found.answers]
    return AnsweredReply(
        **answers[0].model_dump(),
        answers=answers,
        truncated=found.truncated or None,
        attention=None if found.attention is None else _map(found.attention),
    )


def _map(found: SentenceMap) -> SentenceMapReply:
    sources = [SentenceReply(text=t, position=p) for t, p in zip(found.sentences, found.positions, strict=True)]
    return SentenceMapReply(axes=["hops", "sentences"], sources=sources, weights=found.weights)
