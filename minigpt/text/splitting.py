"""Pre-tokenisation: cutting text into pieces that no merge may cross.

GPT-2's rule, with \\p{L} letters and \\p{N} numbers of Unicode and \\s its White_Space:

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

The standard library's `re` has no \\p{...} and another \\s, but \\w is exactly letters, numbers and `_`, and \\d the decimal
numbers; so the other numbers and the white space, written out as ranges, are all that is missing. Which characters are
letters is the running Python's Unicode: one that a newer Unicode has added is cut as other signs are by an older Python.
"""
import functools
import re

import numpy as np

from minigpt.files import short

OTHER, LETTER, NUMBER, SPACE, HAN = range(5)
SPLITS = ("gpt2", "han")

# Unicode White_Space: 25 code points. `str.isspace` and `re`'s \s would add U+001C to U+001F.
WHITE_SPACE = ((0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
               (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000))
# Chinese characters with their repeat mark and zero; the last range is planes 2 and 3, reserved for them.
HAN_RANGES = ((0x3005, 0x3005), (0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


@functools.cache
def character_classes(split):
    """The class of every code point (Unicode general category L*, N*, White_Space, the rest).

    split "gpt2" | "han" -> uint8 (0x110000,); the class HAN occurs only with "han". Do not write to the result.
    """
    characters = all_characters()
    letter = np.char.isalpha(characters)
    classes = np.full(len(characters), OTHER, np.uint8)
    classes[np.char.isalnum(characters)] = NUMBER  # \p{N} is what isalnum has beyond isalpha; isnumeric differs
    classes[letter] = LETTER
    for number, ranges in ((SPACE, WHITE_SPACE), (HAN, HAN_RANGES if split == "han" else ())):
        for first, last in ranges:
            classes[first:last + 1] = number
    return classes


def range_text(ranges):
    """Inclusive (first, last) code points -> the inside of a character class of `re`."""
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


@functools.cache
def pattern(split):
    """The compiled pattern whose matches, end to end, are the pieces of a text.

    "gpt2" is GPT-2's rule; "han" cuts out every Chinese character alone and applies GPT-2's rule to what is between.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown: use one of {', '.join(SPLITS)}")
    characters = all_characters()
    han = range_text(HAN_RANGES) if split == "han" else ""
    space = range_text(WHITE_SPACE)
    odd = range_text(runs((character_classes(split) == NUMBER) & ~np.char.isdecimal(characters)))  # numbers that \d leaves out
    alone = f"[{han}]|" if han else ""
    return re.compile(f"{alone}'(?:[sdmt]|ll|ve|re)| ?[^\\W\\d_{odd}{han}]+| ?[\\d{odd}]+| ?(?:[^\\w{space}{han}]|_)+"
                      f"|[{space}]+(?![^{space}{han}])|[{space}]+")


def all_characters():
    """Every code point as a one-character string, (0x110000,)."""
    return np.arange(0x110000, dtype=np.uint32).view("U1")


def runs(chosen):
    """(n,) bool -> [(first, last), ...] of its runs of True."""
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    return [(first, end - 1) for first, end in edges.reshape(-1, 2).tolist()]


def split_text(text, split="gpt2"):
    """Cut a text into pieces; joined they are the text again.

    >>> split_text("I'll go  home")
    ['I', "'ll", ' go', ' ', ' home']
    """
    return pattern(split).findall(text)


def replace_surrogates(text):
    """Lone surrogates become U+FFFD and pairs of them the character they encode, so that the text has UTF-8 (as tiktoken does)."""
    if not isinstance(text, str):
        raise ValueError(f"a text is {short(text)}; give a str, and several one by one")
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cut_special(text, special_tokens):
    """Text -> [ordinary, special, ordinary, ..., ordinary]; where several begin together the longest is taken."""
    present = sorted((special for special in special_tokens if special in text), key=len, reverse=True)
    return re.split(f"({'|'.join(map(re.escape, present))})", text) if present else [text]


def refuse_special(text, special_tokens):
    """Raise ValueError if one of these special tokens is in the text."""
    if found := [special for special in special_tokens if special in text]:
        special = min(found, key=text.index)
        raise ValueError(f"the text holds the special token {special!r}: allow it with allowed_special=({special!r},), "
                         "or encode it as ordinary text with disallowed_special=() or encode_ordinary")
