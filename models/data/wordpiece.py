"""WordPiece tokenizers trained from the data, as BERT has them (Devlin et al. 2019; Wu et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from contract.signature import Frozen
from contract.text import InputCodec

PAD, UNK, FIRST, LAST, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = [PAD, UNK, FIRST, LAST, MASK]


class WordPieceConfig(Frozen):
    """How text becomes pieces of words."""

    vocabulary_size: int = Field(default=8_000, ge=len(SPECIAL) + 1)
    min_frequency: int = Field(default=2, ge=1)
    lowercase: bool = True


def train_wordpiece(texts: Iterable[str], config: WordPieceConfig) -> InputCodec:
    """A codec that puts [CLS] before and [SEP] behind a text, and knows [MASK], which no text can name."""
    tokenizer = Tokenizer(models.WordPiece({}, unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=config.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocabulary_size,
        min_frequency=config.min_frequency,
        special_tokens=SPECIAL,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    closing = [(token, tokenizer.token_to_id(token)) for token in (FIRST, LAST)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{FIRST} $A {LAST}", special_tokens=closing)
    return InputCodec(tokenizer)
