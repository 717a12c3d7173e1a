"""Pre-tokenisation against a scanner that reads GPT-2's rule literally, with categories from unicodedata."""
import unicodedata

import numpy as np
import pytest

from minigpt.text import splitting
from minigpt.text.splitting import HAN, LETTER, NUMBER, SPACE, character_classes, replace_surrogates, split_text
from tests.texts import assigned, random_texts


def kind(character, split):
    """L, N, S, H or O by the Unicode database and the list of Han ranges."""
    if split == "han" and any(first <= ord(character) <= last for first, last in splitting.HAN_RANGES):
        return "H"
    if ord(character) in (*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000):
        return "S"
    return unicodedata.category(character)[0] if unicodedata.category(character)[0] in "LN" else "O"


def naive_split(text, split):
    """The rule, alternative by alternative, on one position after the other."""
    kinds = [kind(character, split) for character in text] + ["H"]  # the end behaves like a Han character: it belongs to nobody
    pieces, i = [], 0
    while i < len(text):
        j = i + 1 if text[i] == " " and kinds[i + 1] in "LNO" else i
        contraction = next((c for c in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d") if text.startswith(c, i)), None)
        if kinds[i] == "H":
            end = i + 1
        elif contraction:
            end = i + len(contraction)
        elif kinds[j] in "LNO":
            end = next(k for k in range(j, len(kinds)) if kinds[k] != kinds[j] or k == len(text))
        else:
            end = next(k for k in range(i, len(kinds)) if kinds[k] != "S")
            if end < len(text) and kinds[end] != "H" and end - i > 1:
                end -= 1  # the last one stays for what follows
        pieces.append(text[i:end])
        i = end
    return pieces


@pytest.mark.parametrize("text, pieces", [
    ("I'll we've don't DON'T 's", ["I", "'ll", " we", "'ve", " don", "'t", " DON", "'", "T", " '", "s"]),
    ("  two  spaces\n\n\nnew", [" ", " two", " ", " spaces", "\n\n", "\n", "new"]),
    ("a_b __ 1½Ⅷ x²", ["a", "_", "b", " __", " 1½Ⅷ", " x", "²"]),
    ("it’s\n", ["it", "’", "s", "\n"]),
    ("tail  ", ["tail", "  "]),
    ("\xa0no\u3000glue\u200b \u180e", ["\xa0", "no", "\u3000", "glue", "\u200b", " \u180e"]),
    ("a\x1cb", ["a", "\x1c", "b"]),
])
def test_gpt2_examples(text, pieces):
    assert split_text(text) == pieces


@pytest.mark.parametrize("text, pieces", [
    ("我有2只cat。", ["我", "有", "2", "只", "cat", "。"]),
    (" 中  文 a", [" ", "中", "  ", "文", " a"]),
    ("二〇人々𪜀a", ["二", "〇", "人", "々", "𪜀", "a"]),
])
def test_han_characters_stand_alone(text, pieces):
    assert split_text(text, "han") == pieces


@pytest.mark.parametrize("split", ["han", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_random_texts_are_split_as_the_rule_says(split):
    for text in random_texts(0, 2000):
        assert split_text(text, split) == naive_split(text, split), ascii(text)


@pytest.mark.slow
def test_classes_of_every_assigned_character():
    names = {"L": LETTER, "N": NUMBER, "S": SPACE, "H": HAN, "O": splitting.OTHER}
    for split in splitting.SPLITS:
        classes = character_classes(split)
        wrong = [c for c in assigned() if classes[ord(c)] != names[kind(c, split)]]
        assert not wrong
    assert np.count_nonzero(character_classes("gpt2") == SPACE) == 25


def test_every_class_is_in_the_pattern():
    for split in splitting.SPLITS:
        classes = character_classes(split)
        for c in assigned()[::7]:
            joined = split_text(f"a{c}a", split) == [f"a{c}a"], split_text(f"1{c}1", split) == [f"1{c}1"]
            assert joined == (classes[ord(c)] == LETTER, classes[ord(c)] == NUMBER), ascii(c)


def test_surrogates_become_text():
    assert replace_surrogates("a\ud800b") == "a\ufffdb"
    assert replace_surrogates("\ud83d\ude00\udc00") == "😀\ufffd"
    assert replace_surrogates("中") == "中"


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match="gpt2, han"):
        split_text("a", "cl100k")
