"""How a bundle reads requests and writes replies: one class for each kind of task, naming the files that it needs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contract.signature import Frozen
from contract.tasks import TaskName

Fit = Literal["squeeze", "crop"]
"""How a picture becomes a square: *squeeze* the whole of it, whatever its proportions, or *crop* its middle."""
CHANNELS = 3
"""Of a pixel: red, green and blue."""
Notation = Literal["text", "abc"]
"""What a generated text is: *text*, or a tune in *abc* notation (see `contract.tunes`)."""


class TextPreprocessing(Frozen):
    """Text to text. The tokenizer files; equal names mean one joint vocabulary."""

    kind: Literal["text"] = "text"
    source_tokenizer: str
    target_tokenizer: str
    source_language: str | None = None
    target_language: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it."""
        return self.source_tokenizer, self.target_tokenizer


class LabelPreprocessing(Frozen):
    """Text to one of `labels`, in the order of the model's scores.

    The tokenizer file adds what special tokens the model wants. With `sentences`, a text is split into sentences first
    (by the rules of `language`).
    """

    kind: Literal["label"] = "label"
    tokenizer: str
    labels: tuple[str, ...] = Field(min_length=2)
    sentences: bool = False
    language: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it."""
        return (self.tokenizer,)


class TagPreprocessing(Frozen):
    """Text to a tag for each word.

    `tokenizer` splits text into words and numbers them, `characters` numbers the characters of a word (None where the
    model reads words alone), and `tags` is a JSON file with the tags in the order of the model's emissions and the
    scores of going from one to another.
    """

    kind: Literal["tag"] = "tag"
    tokenizer: str
    characters: str | None = None
    tags: str
    language: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it."""
        return tuple(name for name in (self.tokenizer, self.characters, self.tags) if name)


class ItemPreprocessing(Frozen):
    """Items of a catalogue: a JSON file with their ids in the order of the model's, and the popular ones."""

    kind: Literal["items"] = "items"
    catalogue: str

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it."""
        return (self.catalogue,)


class StoryPreprocessing(Frozen):
    """A story and a question to one of `answers`, in the order of the model's scores.

    The tokenizer file takes sentences and questions apart into words, and numbers those that training has seen.
    """

    kind: Literal["story"] = "story"
    tokenizer: str
    answers: tuple[str, ...] = Field(min_length=2)

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it."""
        return (self.tokenizer,)


class ImagePreprocessing(Frozen):
    """A picture to text.

    A picture is fitted to a square of `size` pixels a side, in which the model sees `grid` (rows, columns) regions; the
    tokenizer file writes the text.
    """

    kind: Literal["image"] = "image"
    size: int = Field(gt=0)
    fit: Fit
    grid: tuple[int, int]
    target_tokenizer: str

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it."""
        return (self.target_tokenizer,)


class PromptPreprocessing(Frozen):
    """Text that goes on where a prompt ends. The tokenizer file reads the prompt and writes what follows it."""

    kind: Literal["prompt"] = "prompt"
    tokenizer: str
    notation: Notation = "text"

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it."""
        return (self.tokenizer,)


class PixelPreprocessing(Frozen):
    """A picture to a picture, drawn intensity by intensity.

    A square of `size` pixels a side is drawn: the rest of the picture that was sent, fitted to such a square, or that
    picture anew from `source_size` pixels a side.
    """

    kind: Literal["pixels"] = "pixels"
    size: int = Field(gt=0)
    fit: Fit
    source_size: int | None = Field(default=None, gt=0)

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the bundle that hold it: none are needed."""
        return ()


Preprocessing = (
    TextPreprocessing
    | LabelPreprocessing
    | TagPreprocessing
    | ItemPreprocessing
    | StoryPreprocessing
    | ImagePreprocessing
    | PromptPreprocessing
    | PixelPreprocessing
)

PREPROCESSING: dict[TaskName, str] = {
    "translate": "text",
    "classify": "label",
    "tag": "tag",
    "recommend": "items",
    "answer": "story",
    "caption": "image",
    "generate": "prompt",
    "complete-image": "pixels",
    "upscale": "pixels",
}
"""Task → the kind of preprocessing it needs."""
