"""Text that grows token by token, where what was given out is never taken back."""

from __future__ import annotations

from collections.abc import Sequence

from contract.text import TextCodec

_HALF_A_CHARACTER = "\ufffd"


class GrowingText:
    """Turns ids that arrive bit by bit into pieces of text whose concatenation is the text of all ids.

    Those of a `prompt` come first, and are given out with the first piece.
    """

    def __init__(self, codec: TextCodec, prompt: Sequence[int] = ()) -> None:
        self._codec = codec
        self._ids = list(prompt)
        self._given = ""

    def push(self, ids: list[int]) -> str:
        """The text that `ids` add; a character whose bytes are spread over tokens waits for the last of them."""
        self._ids += ids
        return self._give(self._codec.decode(self._ids).rstrip(_HALF_A_CHARACTER))

    def finish(self, text: str) -> str:
        """What is missing from the finished text."""
        return self._give(text)

    def _give(self, text: str) -> str:
        if not text.startswith(self._given):
            raise ValueError(f"text {self._given!r} was given out already, it cannot become {text!r}")
        piece = text[len(self._given) :]
        self._given = text
        return piece


class GrowingParagraph:
    """Sentences that grow side by side and are heard one after the other, each followed by its separator.

    Each may go on from a prompt, which is part of it.
    """

    def __init__(self, codec: TextCodec, separators: Sequence[str], prompts: Sequence[Sequence[int]] = ()) -> None:
        self._codec = codec
        self._separators = separators
        self._prompts = prompts or [()] * len(separators)
        self._sentences = [GrowingText(codec, prompt) for prompt in self._prompts]
        self._unheard = [""] * len(separators)
        self._ended = [False] * len(separators)
        self._turn = 0

    def push(self, index: int, ids: list[int]) -> str:
        """Ids that sentence `index` grew by; returns the text that may be heard now."""
        self._unheard[index] += self._sentences[index].push(ids)
        return self._hear()

    def finish(self, index: int, ids: list[int]) -> str:
        """All ids of sentence `index`; returns the text that may be heard now."""
        text = self._codec.decode([*self._prompts[index], *ids])
        self._unheard[index] += self._sentences[index].finish(text) + self._separators[index]
        self._ended[index] = True
        return self._hear()

    def _hear(self) -> str:
        heard = ""
        while self._turn < len(self._unheard):
            heard += self._unheard[self._turn]
            self._unheard[self._turn] = ""
            if not self._ended[self._turn]:
                break
            self._turn += 1
        return heard
