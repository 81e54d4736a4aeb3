"""Tokenizers of models that only read: whole words, or pieces of them (Sennrich et al. 2016).

What a text is split into before its vocabulary counts is the same for both, and is written into the tokenizer file. It
makes one thing of a text as people write it and of one that a treebank has split: "can't", "ca n't"; "(", "-lrb-".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from contract.signature import Frozen
from contract.text import PAD, UNK, InputCodec

SPECIAL = [PAD, UNK]
_LETTERS = r"[\p{L}\p{M}\p{N}_&&[^\p{Han}]]"
# Case is spelt out: ignoring it, the engine takes "ss" for "ß" and tries both for every pair of a "psssssst".
_SPLITTER = rf"""(?x)
  (?: (?! [nN]'[tT] (?! {_LETTERS} ) ) {_LETTERS} )+
| [nN]'[tT] (?! {_LETTERS} )                        # endings of English words: did n't, it's
| ' (?: [sSmMdD] | [rR][eE] | [vV][eE] | [lL][lL] ) (?! {_LETTERS} )
| \.{{2,}}
| HAN
| [^\s]                                             # any other sign by itself
"""
_SPELLINGS = {
    "[‘’`]": "'",  # noqa: RUF001 these are what is replaced
    "''|[“”„]": '"',
    "-[lL][rR][bB]-": "(",
    "-[rR][rR][bB]-": ")",
}


class InputTokenizerConfig(Frozen):
    """How a text that is only read becomes tokens.

    `words` takes whole words, and Chinese character by character; `bpe` takes the most frequent pieces of words and of
    Chinese between two punctuation marks, so that words of several characters are found without a dictionary.
    """

    kind: Literal["words", "bpe"] = "words"
    vocabulary_size: int = Field(default=15_000, ge=len(SPECIAL) + 1)
    min_frequency: int = Field(default=1, ge=1, description="what is seen less often in training is unknown")
    lowercase: bool = True
    normalisation: Literal["NFC", "NFKC"] = "NFC"


def train_input_codec(texts: Iterable[str], config: InputTokenizerConfig) -> InputCodec:
    """A codec whose vocabulary are the most frequent words or pieces of the texts."""
    words = config.kind == "words"
    tokenizer = Tokenizer(models.WordLevel({}, unk_token=UNK) if words else models.BPE(unk_token=UNK, fuse_unk=True))
    trainer = (trainers.WordLevelTrainer if words else trainers.BpeTrainer)(
        vocab_size=config.vocabulary_size,
        min_frequency=config.min_frequency,
        special_tokens=SPECIAL,
        show_progress=False,
    )
    tokenizer.normalizer = _normaliser(config)
    chinese = r"\p{Han}" if words else r"\p{Han}+"
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_SPLITTER.replace("HAN", chinese)), "removed", invert=True)
    tokenizer.train_from_iterator(texts, trainer)
    return InputCodec(tokenizer)


def _normaliser(config: InputTokenizerConfig) -> normalizers.Normalizer:
    steps = [{"NFC": normalizers.NFC, "NFKC": normalizers.NFKC}[config.normalisation]()]
    steps += [normalizers.Replace(Regex(pattern), sign) for pattern, sign in _SPELLINGS.items()]
    return normalizers.Sequence([*steps, normalizers.Lowercase()] if config.lowercase else steps)
