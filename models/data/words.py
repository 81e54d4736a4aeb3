"""Words for taggers: where a text is split, and the vocabularies of words and characters learnt from a data set.

The splitter is written into the tokenizer file, so that a service splits exactly as training did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import Field
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from contract.signature import Frozen
from contract.text import PAD, UNK
from contract.words import Characters, WordCodec

# Oniguruma's extended syntax. The alternatives are tried in order at each place; what none of them takes is a space.
# Splitting happens after normalisation: letters are in lower case and every digit is a 0.
SPLITTER = r"""(?x) (?:
  (?: https?:// | www\. ) [^\s\p{Han}]* [\p{L}\p{N}/]                        # addresses, without the stop that follows
| [\p{L}\p{N}._%+-]+ @ [\p{L}\p{N}-]+ (?: \. [\p{L}\p{N}-]+ )+
| [@\#] [\p{L}\p{N}_&&[^\p{Han}]]+                                          # mentions and tags
| [\p{Han}\p{Hiragana}\p{Katakana}]                                         # scripts without spaces: sign by sign
| (?: mr|mrs|ms|dr|prof|rev|gen|col|lt|capt|sgt|gov|sen|rep|st|mt|jr|sr|inc|corp|co|ltd|bros|vs|no|vol|etc
    |jan|feb|mar|apr|aug|sept?|oct|nov|dec|calif|fla|mass|conn|ariz|ill|ind|mich|minn|tenn|tex|va|wash|pa
  ) \. (?! [\p{L}\p{N}] )
| \p{L} \. (?: \p{L} \. )* (?: - \p{L}+ )*                                  # initials, u.s., u.n.-led
| n['\x{2019}]t (?! \p{L} )                                                 # endings of English words: don't, it's
| ['\x{2019}] (?: s|re|ve|ll|d|m ) (?! \p{L} )
| \p{L}{1,3} \$                                                             # us$
| [+.]? [\p{L}\p{M}\p{N}&&[^\p{Han}\p{Hiragana}\p{Katakana}]]
  (?: (?! n['\x{2019}]t (?! \p{L} ) ) [\p{L}\p{M}\p{N}&&[^\p{Han}\p{Hiragana}\p{Katakana}]]
    | [-_/&.] (?= [\p{L}\p{N}&&[^\p{Han}]] )
    | (?<= \p{N} ) [,:] (?= \p{N} )
    | (?<= \p{L} ) ['\x{2019}] (?! (?: s|re|ve|ll|d|m ) (?! \p{L} ) ) (?= \p{L} )
  )*
| ([-.!?*=_~]) \1+                                                          # dashes, dots and rules of any length
| (?! \s ) \X                                                               # any other sign, with all that combines
) \p{M}*                                                                    # a mark is never parted from its sign
"""


class WordsConfig(Frozen):
    """The vocabularies of a tagger."""

    min_count: int = Field(default=1, ge=1, description="words seen less often in training are unknown")
    characters: bool = Field(default=True, description="whether the model reads the characters of words")
    min_character_count: int = Field(default=2, ge=1, description="characters seen less often are unknown")
    longest_word: int = Field(default=32, ge=2, description="characters of a word that are read")


def train_words(texts: Sequence[str], config: WordsConfig) -> WordCodec:
    """The splitter with the words of `texts` and, if the config wants them, the characters."""
    splitter = WordCodec(_tokenizer([]), Characters((), config.longest_word))
    assert splitter.characters is not None
    words: Counter[str] = Counter()
    signs: Counter[str] = Counter()
    for text in texts:
        normal = splitter.tokenizer.normalizer.normalize_str(text)
        words.update(word for word, _ in splitter.tokenizer.pre_tokenizer.pre_tokenize_str(normal))
        for start, end in splitter.encode(text).offsets:
            signs.update(splitter.characters.read(text[start:end]))
    table = Characters(_frequent(signs, config.min_character_count), config.longest_word) if config.characters else None
    return WordCodec(_tokenizer(_frequent(words, config.min_count)), table)


def _tokenizer(words: Sequence[str]) -> Tokenizer:
    vocabulary = {word: index for index, word in enumerate((PAD, UNK, *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    digits = normalizers.Replace(Regex(r"\d"), "0")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase(), digits])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(SPLITTER), behavior="removed", invert=True)
    return tokenizer


def _frequent(counts: Counter[str], minimum: int) -> list[str]:
    """What occurs often enough, the most frequent first; ties by code point, so that runs agree."""
    kept = [entry for entry, count in counts.items() if count >= minimum and entry not in (PAD, UNK)]
    return sorted(kept, key=lambda entry: (-counts[entry], entry))
