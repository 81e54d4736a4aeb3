"""Tokenisation: text → ids → text, the same code in training and in serving.

A tokenizer is one `tokenizers` JSON file. Everything that changes text (Unicode normalisation, lower-casing, splitting)
is inside it, so nothing about text is written twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

PAD, UNK, BOS, EOS = "<pad>", "<unk>", "<bos>", "<eos>"
SPECIAL_TOKENS = (PAD, UNK, BOS, EOS)
"""Special tokens in id order: pad 0, unk 1, bos 2, eos 3."""


@dataclass(frozen=True)
class Encoding:
    """One text as ids, with the tokens and their character offsets into the text as it was given."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]


class TextCodec:
    """Turns text into ids and back by one tokenizer file.

    Raises:
        ValueError: the file is not a tokenizer, or lacks one of the special tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        missing = [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
        if missing:
            raise ValueError(f"the tokenizer lacks the special tokens {', '.join(missing)}; train it with them")
        # A user who writes "<eos>" means these five characters.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path) -> TextCodec:
        """Read a tokenizer file."""
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

    def token_id(self, token: str) -> int:
        """Id of a token that must exist."""
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no token {token!r}")
        return int(found)

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

    def tokens(self, ids: list[int]) -> list[str]:
        """The token behind each id."""
        return [str(self._tokenizer.id_to_token(i)) for i in ids]

    def source(self, text: str) -> Encoding:
        """Ids of a text as an encoder reads it: closed by EOS, which stands at the end of the text."""
        encoding = self.encode(text)
        end = (len(text), len(text))
        return Encoding([*encoding.ids, self.eos], [*encoding.tokens, EOS], [*encoding.offsets, end])
