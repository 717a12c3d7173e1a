"""The compiled tokenizer gives the ids and merges of the readable one."""
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigpt.text import bpe, kernels, splitting, tokenizer
from minigpt.text.kernels import encoding
from minigpt.text.tokenizer import Tokenizer
from tests.texts import TRICKY, random_text, random_texts

SPECIALS = ("<|end|>", "<|end|><|x|>", "|>")


def long_texts(seed):
    """Pieces of every length, some equal but for one byte, and long runs."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("ab", k=n)) for n in (*range(1, 40), 63, 64, 65, 66, 129, 1000) for _ in range(6)]
    return [" ".join(rng.choices(words, k=2000)), "a" * 5000, "ab" * 3000 + "!" * 999, "é中" * 400, "\u3000" * 77 + "x"]


def test_classes_are_those_of_the_splitter():
    assert (encoding.NUMBER, encoding.SPACE, encoding.HAN) == (splitting.NUMBER, splitting.SPACE, splitting.HAN)
    assert splitting.NUMBER == max(splitting.OTHER, splitting.LETTER, splitting.NUMBER) and encoding.END not in range(5)


@pytest.mark.parametrize("split", splitting.SPLITS)
def test_pieces_end_where_the_pattern_ends_them(split):
    texts = ["", *random_texts(20, 3000), *long_texts(0), ""]
    data, _, starts = kernels.pack(texts)
    ends, offsets = encoding.piece_ends(data, starts, splitting.character_classes(split))
    for text, first, last, start in zip(texts, offsets, offsets[1:], starts):
        lengths = [len(piece.encode()) for piece in splitting.split_text(text, split)]
        assert (ends[first:last] - start).tolist() == np.cumsum(lengths).tolist(), ascii(text)


def test_pieces_of_equal_hash_are_told_apart():
    """Two pieces of 16 bytes with the key of same_pieces chosen equal: the last 8 bytes make up for the first."""
    def mixed(word):
        return (word & 0xFFFFFFFF) * 0x5E3779B1 ^ word >> 31

    a, b, rest = (int.from_bytes(part, "little") for part in (b"abcdefgh", b"hgfedcba", b"ijklmnop"))
    pieces = [word.to_bytes(8, "little") + (rest ^ mixed(word) ^ mixed(a)).to_bytes(8, "little") for word in (a, b, a)]
    data = np.frombuffer(b"".join(pieces) + bytes(9), np.uint8)
    words = np.lib.stride_tricks.sliding_window_view(data, 8).view(np.int64)[:, 0]
    which, firsts, lengths = encoding.same_pieces(words, np.array([0, 49]), np.array([16, 32, 48], np.int32), np.array([0, 3]))
    assert (which.tolist(), firsts.tolist(), lengths.tolist()) == ([0, 1, 0], [0, 16], [16, 16])


@pytest.mark.parametrize("split", splitting.SPLITS)
def test_counting_and_learning(split):
    texts = [*random_texts(21, 1000), *long_texts(1)]
    counts = kernels.count_pieces(texts, split)
    assert counts == bpe.count_pieces(texts, split) and all(type(count) is int for count in counts.values())
    merges = kernels.learn_merges(counts, 1500)
    assert merges == bpe.learn_merges(counts, 1500) and len(merges) == 1500


@pytest.mark.parametrize("seed", range(6))
def test_learning_to_the_last_pair(seed):
    rng = random.Random(seed)
    pieces = {"".join(rng.choices("abcd"[:2 + seed % 3], k=rng.randrange(1, 30))).encode(): rng.randrange(1, 9) for _ in range(50)}
    merges = bpe.learn_merges(pieces, 10_000)
    assert kernels.learn_merges(pieces, 10_000) == merges and len(merges) < 10_000
    assert kernels.learn_merges(pieces, 7) == merges[:7]


def test_learning_from_nothing():
    assert kernels.count_pieces([], "gpt2") == kernels.count_pieces(["", ""], "gpt2") == {}
    assert kernels.learn_merges({}, 5) == kernels.learn_merges({b"a": 9}, 5) == []


@pytest.mark.parametrize("split, count", [("han", 600), *(pytest.param(split, 3000, marks=pytest.mark.slow) for split in splitting.SPLITS)])
def test_encoding(split, count):
    texts = [*random_texts(22, count), "", *long_texts(2), ""]
    tok = Tokenizer.train(texts, 1500, split=split, backend="numpy")
    for some in (texts, texts[:1], []):
        (ids, offsets), (expected, expected_offsets) = (encode(some) for encode in (tok._compiled, tok._plain))
        assert ids.dtype == expected.dtype == np.int32 and offsets.dtype == expected_offsets.dtype == np.int64
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_array_equal(offsets, expected_offsets)


@pytest.mark.slow
def test_merges_in_any_order():
    """Files of others may list a merge before those that make its parts, and the same token twice."""
    rng = random.Random(3)
    merges = [(97, 98), (98, 99), (256, 99), (97, 257), (258, 258), (97, 97), (260, 97), (256, 256)]
    merged = [256, 257, 258, 258, 259, 260, 261, 262]
    texts = ["".join(rng.choices("abc", k=rng.randrange(200))) for _ in range(200)]
    for _ in range(20):
        order = rng.sample(range(len(merges)), len(merges))
        order.append(order[0])
        arguments = range(256), [merges[k] for k in order], [merged[k] for k in order], "gpt2"
        np.testing.assert_array_equal(kernels.encoder(*arguments)(texts)[0], bpe.encoder(*arguments)(texts)[0])


@pytest.mark.parametrize("split", splitting.SPLITS)
def test_the_tokenizer_is_the_same_with_either_backend(split, monkeypatch):
    monkeypatch.setattr(tokenizer, "LARGE", 0)
    monkeypatch.setattr(tokenizer, "BATCH", 2000)
    rng = random.Random(4)
    texts = [random_text(rng, 20) + rng.choice(SPECIALS) + random_text(rng, 5) for _ in range(300)] + TRICKY
    plain = Tokenizer.train(texts, 700, SPECIALS, split, backend="numpy")
    with monkeypatch.context() as without_twin:
        without_twin.delattr(bpe, "count_pieces")
        without_twin.delattr(bpe, "learn_merges")
        fast = Tokenizer.train(texts, 700, SPECIALS, split, backend="fast")
    del fast._plain
    assert (fast.vocabulary, fast.merges) == (plain.vocabulary, plain.merges)
    spelled = [splitting.replace_surrogates(text) for text in texts]
    for ids, expected in zip(fast._encode_texts(spelled), plain._encode_texts(spelled)):
        np.testing.assert_array_equal(ids, expected)
    whole = "".join(texts)
    ids = plain.encode(whole, allowed_special="all")
    assert ids == fast.encode(whole, allowed_special="all") == list(fast.encode_iterable(texts, allowed_special="all"))
    assert fast.encode(whole, "all", return_tensors="np").tolist() == [ids]
    assert fast.encode_ordinary(whole) == plain.encode_ordinary(whole) and fast.decode(ids) == whole


def test_short_texts_never_wait_for_a_compiler():
    code = ("import sys; from minigpt.text.tokenizer import Tokenizer; tok = Tokenizer.train('low lower ' * 1000, 270); "
            "assert tok.decode(tok.encode('lower' * 1000)) == 'lower' * 1000; assert 'numba' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="'torch'"):
        Tokenizer.train("a", 256, backend="torch")


def uncompiled(folder):
    """The job that runs these tests without a compiler."""
    return [sys.executable, "-m", "pytest", "-W", "error::RuntimeWarning", "-p", "no:cacheprovider",
            "-k", "backend or any_order or last_pair", __file__], {"NUMBA_DISABLE_JIT": "1"}


ELSEWHERE = {"test_the_kernels_run_uncompiled": [uncompiled]}  # see conftest


@pytest.mark.slow
def test_the_kernels_run_uncompiled(elsewhere):
    """With NUMBA_DISABLE_JIT=1 a reader can step through them; nothing overflows there either."""
    output, status, _ = elsewhere(uncompiled)
    assert status == 0, output[-3000:]
