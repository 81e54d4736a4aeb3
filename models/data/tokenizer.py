"""BPE tokenizers trained from the data (Sennrich et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from contract.signature import Frozen
from contract.text import SPECIAL_TOKENS, UNK, TextCodec
from models.data.parallel import Pair


class BpeConfig(Frozen):
    """How text becomes tokens. `dropout` skips merges at random in training only (Provilkov et al. 2020)."""

    vocabulary_size: int = Field(default=4000, ge=len(SPECIAL_TOKENS) + 1)
    normalisation: Literal["NFC", "NFKC"] = "NFC"
    dropout: float = Field(default=0.0, ge=0, lt=1)


class TokenizerConfig(BpeConfig):
    """How the texts of two languages become tokens."""

    joint: bool = Field(default=True, description="one vocabulary for both languages")
    lowercase_source: bool = False


def train_codec(texts: list[str], config: BpeConfig) -> TextCodec:
    """A codec trained on texts as they are."""
    tokenizer = _train([(texts, False)], config)
    tokenizer.normalizer = _normaliser(False, config)
    return TextCodec(tokenizer)


def train_codecs(pairs: list[Pair], config: TokenizerConfig) -> tuple[TextCodec, TextCodec]:
    """Codecs of the source and the target, trained on both texts together when the vocabulary is joint."""
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    lower = config.lowercase_source
    if config.joint:
        source = _train([(sources, lower), (targets, False)], config)
        target = Tokenizer.from_str(source.to_str())
    else:
        source, target = _train([(sources, lower)], config), _train([(targets, False)], config)
    source.normalizer, target.normalizer = _normaliser(lower, config), _normaliser(False, config)
    return TextCodec(source), TextCodec(target)


def with_dropout(codec: TextCodec, rate: float) -> TextCodec:
    """A copy that skips each merge with probability `rate`; the codec itself stays as it is.

    The library draws from a generator that cannot be seeded, so runs with dropout are not repeatable token by token.
    """
    if rate == 0:
        return codec
    tokenizer = Tokenizer.from_str(codec.tokenizer.to_str())
    tokenizer.model.dropout = rate
    return TextCodec(tokenizer)


def _train(corpora: Iterable[tuple[list[str], bool]], config: BpeConfig) -> Tokenizer:
    """A tokenizer trained on texts, each corpus normalised by its own casing before it is counted."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    # Words carry their leading space as "▁"; punctuation and digits stand alone. Nothing is lost but outer spaces.
    alone = [pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Digits(individual_digits=True)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), *alone])
    tokenizer.decoder = decoders.Metaspace()
    texts = (_normaliser(lower, config).normalize_str(text) for corpus, lower in corpora for text in corpus)
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary_size, special_tokens=list(SPECIAL_TOKENS), min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _normaliser(lower: bool, config: BpeConfig) -> normalizers.Normalizer:
    form = {"NFC": normalizers.NFC, "NFKC": normalizers.NFKC}[config.normalisation]()
    return normalizers.Sequence([form, normalizers.Lowercase()]) if lower else form
