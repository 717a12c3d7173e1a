"""Random texts for the tokenizer's tests: seeded, over every kind of character, with the places where rules meet."""
import functools
import random
import sys
import unicodedata

from minigpt.text.splitting import HAN_RANGES

TRICKY = ["'", "'s", "'re", "'ve", "'ll", "'m", "'d", "'t", "'LL", "'l", "'v", "’s", " ", "  ", "\n", "\r\n", "\t", "_", "__",
          "\x1c", "\x85", "\xa0", "\u200b", "\u200d", "\u3000", "\ufeff", "\u180e", "\0", "½", "Ⅷ", "²", "1", "2024", "٣", "〇", "々",
          "中", "文字", "ﷺ", "é", "e\u0301", "👩‍🔬", "🇨🇳", "\U0002a700", "\U00030000", "a", "aaa", "The", "lower", "newest", "!", "...",
          "<|end|>", "<|", "|>"]

# the rules of splitting in the syntax of `regex`
GPT2_RULE = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
HAN_CLASS = "".join(f"{chr(first)}-{chr(last)}" for first, last in HAN_RANGES)
HAN_RULE = (rf"[{HAN_CLASS}]|'s|'t|'re|'ve|'m|'ll|'d| ?[\p{{L}}--[{HAN_CLASS}]]+| ?[\p{{N}}--[{HAN_CLASS}]]+"
            rf"| ?[^\s\p{{L}}\p{{N}}{HAN_CLASS}]+|\s+(?![^\s{HAN_CLASS}])|\s+")


@functools.cache
def assigned():
    """Every code point that the running Python knows a character for, surrogates and private use apart."""
    return [chr(i) for i in range(sys.maxunicode + 1) if unicodedata.category(chr(i)) not in ("Cn", "Cs", "Co")]


def random_text(rng, length):
    """A text of about that many parts: a third tricky ones, a third ASCII, a third any assigned character."""
    kinds = (lambda: rng.choice(TRICKY), lambda: chr(rng.randrange(9, 127)), lambda: rng.choice(assigned()))
    return "".join(rng.choice(kinds)() for _ in range(length))


def random_texts(seed, n, longest=30):
    """n seeded random texts of 0 to `longest` parts."""
    rng = random.Random(seed)
    return [random_text(rng, rng.randrange(longest + 1)) for _ in range(n)]
