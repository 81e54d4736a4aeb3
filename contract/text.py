"""Tokenisation: text → ids → text, the same code in training and in serving.

A tokenizer is one `tokenizers` JSON file. Everything that changes text (Unicode normalisation, lower-casing, splitting)
is inside it, so nothing about text is written twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from tokenizers import Tokenizer

Part = TypeVar("Part")

PAD, UNK, BOS, EOS = "<pad>", "<unk>", "<bos>", "<eos>"
SPECIAL_TOKENS = (PAD, UNK, BOS, EOS)
"""Special tokens in id order: pad 0, unk 1, bos 2, eos 3. A model that only reads needs the first two."""
PAD_ID = 0
"""What every integer input is padded with."""


@dataclass(frozen=True)
class Encoding:
    """One text as ids, with the tokens and their character offsets into the text as it was given."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]


class Codec:
    """One tokenizer file: what codecs of either kind have in common."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # A user who writes "<eos>" means these five characters.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a tokenizer file.

        Raises:
            ValueError: the file is not a tokenizer, or not one for this kind of codec.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{path}: not a tokenizer file ({error})") from error
        return cls(tokenizer)

    def save(self, path: Path) -> None:
        """Write the tokenizer file."""
        self._tokenizer.save(str(path), pretty=False)

    @property
    def tokenizer(self) -> Tokenizer:
        """The library's object, for training code."""
        return self._tokenizer

    @cached_property
    def vocabulary_size(self) -> int:
        """Number of ids."""
        return int(self._tokenizer.get_vocab_size())

    def token_id(self, token: str) -> int:
        """Id of a token that must exist."""
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no token {token!r}")
        return int(found)

    def tokens(self, ids: list[int]) -> list[str]:
        """The token behind each id."""
        return [str(self._tokenizer.id_to_token(i)) for i in ids]


class TextCodec(Codec):
    """Turns text into ids and back, for models that write text.

    Raises:
        ValueError: the tokenizer lacks one of the special tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        missing = [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
        if missing:
            raise ValueError(f"the tokenizer lacks the special tokens {', '.join(missing)}; train it with them")
        super().__init__(tokenizer)

    @cached_property
    def pad(self) -> int:
        """Id of the padding token."""
        return self.token_id(PAD)

    @cached_property
    def unk(self) -> int:
        """Id that stands for a symbol never seen in training."""
        return self.token_id(UNK)

    @cached_property
    def bos(self) -> int:
        """Id that starts a target."""
        return self.token_id(BOS)

    @cached_property
    def eos(self) -> int:
        """Id that ends a sequence."""
        return self.token_id(EOS)

    def encode(self, text: str) -> Encoding:
        """Ids of a text, without special tokens."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return Encoding(encoding.ids, encoding.tokens, encoding.offsets)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids of many texts, without special tokens."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        """Text of ids; special tokens are left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def source(self, text: str) -> Encoding:
        """Ids of a text as an encoder reads it: closed by EOS, which stands at the end of the text."""
        encoding = self.encode(text)
        end = (len(text), len(text))
        return Encoding([*encoding.ids, self.eos], [*encoding.tokens, EOS], [*encoding.offsets, end])


class InputCodec(Codec):
    """Turns text into ids, for models that only read: with the special tokens that the file itself adds.

    A text without tokens (spaces, or marks that the file drops) is read as one padding token, since no model can read
    nothing.

    Raises:
        ValueError: id 0 is not a special token (every input is padded with it), a text could name a special token, or
            the file truncates or pads on its own.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        special = {i: token.content for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        if PAD_ID not in special:
            raise ValueError(f"id {PAD_ID} of the tokenizer is not a special token; make it the padding token")
        if tokenizer.truncation is not None or tokenizer.padding is not None:
            raise ValueError("the tokenizer file truncates or pads on its own; take that out of it")
        named = [token for i, token in special.items() if i in self._plain(token)]
        # An unknown word is unknown however it is spelt.
        if spelt := sorted(set(named) - {getattr(tokenizer.model, "unk_token", None)}):
            quoted = ", ".join(map(repr, spelt))
            raise ValueError(f"the tokenizer reads the text {quoted} as a special token; let it split punctuation")
        closing = tokenizer.encode("a").special_tokens_mask[::-1]
        self._closing = next((count for count, mark in enumerate(closing) if not mark), 0)

    def encode(self, text: str) -> Encoding:
        """Ids of a text, with the special tokens of the file; those have empty offsets."""
        encoding = self._tokenizer.encode(text)
        if not encoding.ids:
            return Encoding([PAD_ID], self.tokens([PAD_ID]), [(0, 0)])
        return Encoding(encoding.ids, encoding.tokens, encoding.offsets)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids of many texts, the same as `encode` gives."""
        return [encoding.ids or [PAD_ID] for encoding in self._tokenizer.encode_batch_fast(texts)]

    def truncate(self, encoding: Encoding, limit: int) -> tuple[Encoding, bool]:
        """At most `limit` tokens, the closing special tokens among them, and whether any were cut off."""
        if len(encoding.ids) <= limit:
            return encoding, False
        parts = (self._cut(part, limit) for part in (encoding.ids, encoding.tokens, encoding.offsets))
        return Encoding(*parts), True

    def truncate_ids(self, ids: list[int], limit: int) -> list[int]:
        """The ids that `truncate` leaves."""
        return ids if len(ids) <= limit else self._cut(ids, limit)

    def _cut(self, parts: list[Part], limit: int) -> list[Part]:
        if limit <= self._closing:
            raise ValueError(f"a limit of {limit} leaves no place beside {self._closing} closing tokens; raise it")
        return [*parts[: limit - self._closing], *parts[len(parts) - self._closing :]]

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids
