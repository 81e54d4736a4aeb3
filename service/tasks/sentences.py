"""A paragraph taken apart into sentences, and what stood between them kept."""

from __future__ import annotations

from dataclasses import dataclass

import sentencex

_DEFAULT_LANGUAGE = "en"
# The library panics on a non-ASCII space before a full stop ("B\xa0."): it sees a plain space of the same length.
_PLAIN_SPACES = {code: " " for code in range(0x80, 0x3001) if chr(code).isspace()}


@dataclass(frozen=True)
class Sentence:
    """A sentence without the spaces around it: its first character in the text, and the spaces that follow it."""

    text: str
    start: int
    separator: str


def split_sentences(text: str, language: str | None = None) -> list[Sentence]:
    """Sentences of a text by the rules of a language (ISO 639-1; English where it is not known).

    The spaces and line breaks between two sentences are kept with the first of them; those around the whole text are
    dropped. A text of nothing but spaces has no sentences.
    """
    sentences: list[Sentence] = []
    start = 0
    readable = text if text.isascii() else text.translate(_PLAIN_SPACES)
    for piece in sentencex.segment(language or _DEFAULT_LANGUAGE, readable):
        end = start + len(piece)
        segment = text[start:end]
        stripped = segment.strip()
        leading = segment[: len(segment) - len(segment.lstrip())]
        if sentences and leading:
            sentences[-1] = _followed_by(sentences[-1], leading)
        if stripped:
            trailing = segment[len(leading) + len(stripped) :]
            sentences.append(Sentence(stripped, start + len(leading), trailing))
        start = end
    if sentences:
        sentences[-1] = Sentence(sentences[-1].text, sentences[-1].start, "")
    return sentences


def _followed_by(sentence: Sentence, spaces: str) -> Sentence:
    return Sentence(sentence.text, sentence.start, sentence.separator + spaces)
