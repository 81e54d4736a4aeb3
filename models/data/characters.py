"""Tokenizers of one token a character."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from contract.text import SPECIAL_TOKENS, UNK, TextCodec


def learn_characters(texts: Iterable[str]) -> TextCodec:
    """A codec of the characters that the texts are made of; decoding gives back every one of them, line ends too."""
    known = sorted({character for text in texts for character in text})
    vocabulary = {token: number for number, token in enumerate((*SPECIAL_TOKENS, *known))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return TextCodec(tokenizer)
