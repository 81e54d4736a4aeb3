"""What a task refuses beside what the runtime refuses, one class per reason."""

from __future__ import annotations

from service.runtime.errors import RefusalError


class TaskRefusalError(RefusalError):
    """An input that the task does not take. `field` names the part of the request at fault."""

    def __init__(self, detail: str, field: str) -> None:
        self.field = field
        super().__init__(detail)


class EmptyTextError(TaskRefusalError):
    """There is nothing to work on."""

    reason = "empty-text"

    def __init__(self, field: str) -> None:
        super().__init__("the text is empty or holds nothing but spaces: send at least one word", field)


class EmptyStoryError(TaskRefusalError):
    """A story without sentences, or a sentence or a question without words."""

    reason = "empty-text"


class TextTooLongError(TaskRefusalError):
    """A text is longer than a limit."""

    reason = "input-too-long"


class UnknownWordsError(TaskRefusalError):
    """Words that a model with a small vocabulary has never seen, and so cannot make anything of."""

    reason = "unknown-words"


class PromptError(TaskRefusalError):
    """A prompt holds what the model cannot read."""

    reason = "invalid-prompt"


class PictureError(TaskRefusalError):
    """What was sent is no picture that can be read."""

    reason = "invalid-image"


class PictureTooLongError(TaskRefusalError):
    """A picture file is longer than the limit."""

    reason = "body-too-large"


class TooManySentencesError(TaskRefusalError):
    """A request's texts hold more sentences than may be queued at once."""

    reason = "too-many-sentences"

    def __init__(self, count: int, limit: int, field: str) -> None:
        super().__init__(f"{count} sentences in one request, the limit is {limit}: send fewer at a time", field)


class BeamLimitError(TaskRefusalError):
    """A beam wider than the service allows."""

    reason = "beam-too-wide"

    def __init__(self, beam_size: int, limit: int) -> None:
        super().__init__(f"a beam of {beam_size} is wider than the limit of {limit}: ask for less", "beam_size")


class BadOptionError(TaskRefusalError):
    """An option whose value does not go with the model or with another option."""

    reason = "invalid-request"


def check_characters(text: str, limit: int, field: str) -> None:
    """Raise TextTooLongError for a text of more characters than any model is asked to read."""
    if len(text) > limit:
        raise TextTooLongError(f"{len(text)} characters, the limit is {limit}: send the text in parts", field)


def check_bytes(content: bytes, limit: int, field: str) -> None:
    """Raise PictureTooLongError for a file of more bytes than any picture needs."""
    if len(content) > limit:
        detail = f"the picture has {len(content)} bytes, the limit is {limit}: send it smaller, or more compressed"
        raise PictureTooLongError(detail, field)


def check_explained(tokens: int, limit: int, field: str) -> None:
    """Raise TextTooLongError for a text whose attention map would be too large to look at."""
    if tokens > limit:
        detail = f"{tokens} tokens to explain, the limit is {limit}: explain fewer sentences at a time"
        raise TextTooLongError(detail, field)
