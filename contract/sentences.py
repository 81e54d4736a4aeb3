"""Texts taken apart into sentences: paragraphs for translation, documents for models that read sentence by sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sentencex

from contract.text import Encoding, InputCodec

_DEFAULT_LANGUAGE = "en"
_WITHOUT_SPACES = {"ja", "km", "lo", "my", "th", "zh"}
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


def part_sentences(sentences: list[Sentence], language: str | None) -> list[Sentence]:
    """Sentences as they stand in a text of another language: those written without a space between them get one.

    Nothing changes where the language (ISO 639-1) is one that puts none, as Chinese does, or is not known.
    """
    if language is None or language in _WITHOUT_SPACES:
        return sentences
    return [replace(sentence, separator=sentence.separator or " ") for sentence in sentences[:-1]] + sentences[-1:]


def encode_document(text: str, codec: InputCodec, max_words: int, language: str | None = None) -> list[Encoding]:
    """A document as the tokens of each of its sentences, with offsets into the document.

    A sentence of more than `max_words` tokens goes on as another one, so that nothing of a text without full stops is
    lost. A text without tokens is one sentence of one padding token.

    Args:
        text: the document.
        codec: its tokenizer, which adds no special tokens: sentences are cut where they are too long.
        max_words: most tokens of a sentence.
        language: whose rules say where a sentence ends.
    """
    encodings = []
    for sentence in split_sentences(text, language):
        whole = codec.encode(sentence.text)
        offsets = [(start + sentence.start, end + sentence.start) for start, end in whole.offsets]
        for first in range(0, len(whole.ids), max_words):
            part = slice(first, first + max_words)
            encodings.append(Encoding(whole.ids[part], whole.tokens[part], offsets[part]))
    return encodings or [codec.encode("")]


def _followed_by(sentence: Sentence, spaces: str) -> Sentence:
    return Sentence(sentence.text, sentence.start, sentence.separator + spaces)
