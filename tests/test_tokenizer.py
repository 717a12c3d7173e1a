"""The tokenizer: round trips, training against a recount from nothing, special tokens, errors."""
import random
from collections import Counter

import numpy as np
import pytest

from minigpt.text.bpe import learn_merges, merge
from minigpt.text.splitting import split_text
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer
from tests.texts import TRICKY, random_texts

STORY = "The lower the widest river, the newest boat's low.\n\nI'll go; we've 25 boats…  中文字，文字。"


@pytest.fixture(scope="module", params=["gpt2", "han"])
def tok(request):
    return Tokenizer.train([STORY, *random_texts(1, 300), *TRICKY * 3], 600, SPECIAL_TOKENS, split=request.param)


one_split = pytest.mark.parametrize("tok", ["han", pytest.param("gpt2", marks=pytest.mark.slow)], indirect=True)


def naive_merges(piece_counts, n_merges):
    """Recount every pair before every merge."""
    words = {tuple(bytes([b]) for b in piece): count for piece, count in piece_counts.items()}
    merges = []
    while len(merges) < n_merges:
        counts = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                counts[pair] += count
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        words = {naive_apply(word, best): count for word, count in words.items()}
    return merges


def naive_apply(word, pair):
    """Every occurrence of a pair joined, from the left."""
    joined, i = [], 0
    while i < len(word):
        step = 2 if word[i:i + 2] == pair else 1
        joined.append(b"".join(word[i:i + step]))
        i += step
    return tuple(joined)


def merge_bytes(merges):
    """Merges as ids -> as pairs of byte strings."""
    tokens = [bytes([b]) for b in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return [(tokens[left], tokens[right]) for left, right in merges]


def test_worked_example_of_the_course():
    pieces = {b"low": 5, b"lower": 2, b"widest": 3, b"newest": 6}
    merges = ["".join(part.decode() for part in pair) for pair in merge_bytes(learn_merges(pieces, 12))]
    assert merges == "st est ow low west ne newest wi wid widest lowe lower".split()


def test_pairs_that_overlap_count_twice_and_merge_from_the_left():
    assert merge_bytes(learn_merges({b"aaa": 2, b"bc": 3}, 1)) == [(b"a", b"a")]
    assert merge_bytes(learn_merges({b"aaaaa": 1}, 9)) == [(b"a", b"a"), (b"aa", b"aa"), (b"aaaa", b"a")]


@pytest.mark.parametrize("seed", range(4))
def test_training_equals_recounting(seed):
    rng = random.Random(seed)
    letters = ["ab", "abc", "abcdefgh", "aé中"][seed]
    pieces = Counter("".join(rng.choices(letters, k=rng.randrange(1, 12))).encode() for _ in range(60))
    assert merge_bytes(learn_merges(pieces, 80)) == naive_merges(pieces, 80)


@pytest.mark.slow
def test_training_on_text_equals_recounting():
    texts = random_texts(2, 200)
    pieces = Counter(piece.encode() for text in texts for piece in split_text(text))
    tok = Tokenizer.train(texts, 400, ("<|x|>",))
    assert merge_bytes(tok.merges) == naive_merges(pieces, 143)


def test_special_tokens_cut_the_corpus():
    tok = Tokenizer.train(["ab<|x|>" * 50], 300, ("<|x|>",))
    assert tok.vocabulary[256:] == [b"ab", b"<|x|>"]  # nothing more to learn


def test_ids_are_bytes_then_merges_then_specials(tok):
    assert tok.vocabulary[:256] == [bytes([b]) for b in range(256)]
    assert list(tok.special_tokens.values()) == list(range(595, 600)) and tok.vocab_size == 600
    for k, (left, right) in enumerate(tok.merges):
        assert tok.vocabulary[256 + k] == tok.vocabulary[left] + tok.vocabulary[right]


@pytest.mark.slow
def test_10_000_texts_come_back(tok):
    for text in random_texts(3, 10_000, longest=12):
        assert tok.decode(tok.encode_ordinary(text)) == text, ascii(text)


@one_split
def test_10_000_byte_strings_come_back(tok):
    rng = random.Random(4)
    merges = {pair: rank for rank, pair in enumerate(tok.merges)}
    for _ in range(10_000):
        data = rng.randbytes(rng.randrange(20))
        ids = merge(list(data), merges, range(256, 595))
        assert tok.decode_bytes(ids) == data
        assert tok.decode(ids) == data.decode("utf-8", "replace")


@one_split
@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_encoding_is_lowest_rank_first_leftmost_first(count, tok):
    merges = merge_bytes(tok.merges)
    for text in random_texts(5, count):
        expected = []
        for piece in split_text(text, tok.split):
            word = tuple(bytes([b]) for b in piece.encode())
            for pair in merges:
                word = naive_apply(word, pair)
            expected += word
        assert [tok.vocabulary[i] for i in tok.encode_ordinary(text)] == expected, ascii(text)


@one_split
def test_a_long_run_is_not_quadratic(tok):
    assert tok.decode(tok.encode("a" * 100_000)) == "a" * 100_000  # a quadratic merge would take minutes here


def test_encode_returns_what_is_asked_for(tok):
    ids = tok.encode("The lower")
    assert isinstance(ids, list) and all(type(i) is int for i in ids)
    array = tok.encode("The lower", return_tensors="np")
    assert array.dtype == np.int32 and array.tolist() == [ids]
    assert tok.encode("") == [] and tok.encode("", return_tensors="np").shape == (1, 0)
    with pytest.raises(ValueError, match="'pt'"):
        tok.encode("a", return_tensors="pt")


def test_special_tokens_follow_the_rules_of_tiktoken(tok):
    end, text = tok.special_tokens["<|end|>"], "a<|end|>b"
    assert tok.encode(text, allowed_special="all") == tok.encode(text, allowed_special=("<|end|>",)) == [97, end, 98]
    assert tok.encode(text, disallowed_special=()) == tok.encode_ordinary(text)
    assert end not in tok.encode(text, disallowed_special=("<|user|>",))
    with pytest.raises(ValueError, match="allowed_special"):
        tok.encode(text)
    with pytest.raises(ValueError, match="token '<.user.>'"):
        tok.encode("a<|user|>", allowed_special=("<|end|>",))
    with pytest.raises(ValueError, match="single text"):
        tok.encode(text, allowed_special="<|end|>")
    with pytest.raises(ValueError, match="'a'"):
        tok.encode("bab", disallowed_special=("a",))


def test_longest_special_token_first():
    tok = Tokenizer.train("abc", 259, ("<a>", "<a><b>", "<a><b><c>"))
    assert tok.encode("<a><b><c><a><b><a>x", allowed_special="all") == [258, 257, 256, 120]


def test_white_space_before_a_special_token_is_whole(tok):
    assert tok.encode("a  <|end|>", allowed_special="all")[:-1] == tok.encode("a  ")


def test_decode_skips_special_tokens(tok):
    ids = tok.encode("a<|end|> b", allowed_special="all")
    assert tok.decode(ids) == "a<|end|> b" and tok.decode(ids, skip_special_tokens=True) == "a b"
    assert tok.decode(np.array(ids), skip_special_tokens=True) == "a b"


@pytest.mark.parametrize("ids, message", [
    ([5, 600], "600 is out of range: the vocabulary has 600"), ([5, -1], "-1 is out of range"), ([2**70], "whole numbers"),
    ([1.0], "whole numbers"), ([[1, 2]], "shape"), ([True], "whole numbers"),
])
def test_ids_that_are_none(tok, ids, message):
    with pytest.raises(ValueError, match=message):
        tok.decode(ids)


def test_surrogates_never_give_half_a_result(tok):
    assert tok.encode("a\ud800b") == tok.encode("a\ufffdb")
    assert tok.decode(tok.encode("\ud83d\ude00")) == "😀"
    assert Tokenizer.train(["\ud800" * 9], 258).vocabulary[256:] == [b"\xef\xbf", b"\xef\xbf\xbd"]


def test_a_special_token_is_not_what_stands_for_a_byte_in_files():
    for text in ("§", "é", "Ġ", "Ġt"):
        with pytest.raises(ValueError, match="ordinary token too: choose another"):
            Tokenizer.train("the time " * 20, 300, [text])
    assert Tokenizer.train("the time " * 20, 300, ["Ġq", "一"]).special_tokens


def test_training_arguments_are_checked():
    with pytest.raises(ValueError, match="at least 257"):
        Tokenizer.train("abc", 200, ("<|x|>",))
    with pytest.raises(ValueError, match="empty"):
        Tokenizer.train("abc", 300, ("",))
    with pytest.raises(ValueError, match="twice"):
        Tokenizer.train("abc", 300, ("<|x|>", "<|x|>"))
    with pytest.raises(ValueError, match="ordinary token"):
        Tokenizer.train("abc", 300, ("a",))


def test_a_text_or_many_texts_train_alike():
    assert Tokenizer.train("low lower", 270).merges == Tokenizer.train(["low lower"], 270).merges
    assert Tokenizer.train([], 300).vocab_size == 256


def test_show_work_tells_every_merge():
    tok = Tokenizer.train("lower low lowest " * 5, 260)
    assert tok.show_work("low é").split("\n") == [
        "'low': l | o | w", "    merge 0: o + w -> l | ow", "    merge 1: l + ow -> low", "    ids: 257",
        "' é': ␣ | \\xc3 | \\xa9", "    ids: 32 195 169"]
