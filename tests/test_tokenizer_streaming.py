"""Encoding in chunks gives the ids of the whole text; decoding one id at a time gives its characters."""
import itertools
import random

import pytest

from minigpt.text import streaming
from minigpt.text.streaming import StreamDecoder
from minigpt.text.tokenizer import Tokenizer
from tests.texts import TRICKY, random_text, random_texts

SPECIALS = ("<|end|>", "<|end|><|x|>", "|>", "'r", "\n<|")  # some overlap, some look like text


@pytest.fixture(scope="module", params=["gpt2", "han"])
def tok(request):
    return Tokenizer.train([*random_texts(1, 300), *TRICKY * 3], 500, SPECIALS, split=request.param)


@pytest.fixture
def eager(monkeypatch):
    """A round of encoding for every chunk, so that short texts meet every cut."""
    monkeypatch.setattr(streaming, "ROUND", 1)


def cut(rng, text, longest):
    """A text in random chunks, some of them empty."""
    at = 0
    while at < len(text):
        step = rng.randrange(longest + 1)
        yield text[at:at + step]
        at += step


@pytest.mark.parametrize("tok", ["han", pytest.param("gpt2", marks=pytest.mark.slow)], indirect=True)
def test_2_000_random_chunkings(tok, eager):
    rng = random.Random(0)
    parts = [*SPECIALS, *TRICKY]
    for n in range(1000):  # for each of two tokenizers
        text = "".join(random_text(rng, 1) if rng.random() < 0.5 else rng.choice(parts) for _ in range(rng.randrange(25)))
        allowed = rng.choice(["all", (), SPECIALS[:2]])
        ids = list(tok.encode_iterable(cut(rng, text, 1 + n % 5), allowed_special=allowed, disallowed_special=()))
        assert ids == tok.encode(text, allowed_special=allowed, disallowed_special=()), ascii(text)


def test_every_cut_in_two(tok, eager):
    text = "we're  \n<|end|><|x|> 'll\u3000\n\n\nb 中 文'r"
    ids = tok.encode(text, allowed_special="all")
    for i in range(len(text) + 1):
        assert list(tok.encode_iterable([text[:i], text[i:]], allowed_special="all")) == ids


@pytest.mark.slow
def test_long_chunks_and_long_runs(tok):
    rng = random.Random(2)
    text = random_text(rng, 20_000) + "a" * 100_000 + "  \n" * 30_000
    ids = tok.encode_ordinary(text)
    for longest in (100, 50_000):
        assert list(tok.encode_iterable(cut(rng, text, longest), disallowed_special=())) == ids


def test_surrogate_pairs_across_chunks(tok, eager):
    assert list(tok.encode_iterable(["a\ud83d", "\ude00b\ud83d", "c\udc00"])) == tok.encode("a😀b\ufffdc\ufffd")


def test_nothing_is_kept_of_what_was_encoded(tok):
    """An endless text gives ids long before it ends, from a few rounds of characters."""
    read = 0

    def endless():
        nonlocal read
        for line in itertools.cycle(["The lower river.\n", "\n", "  中文 I'll "]):
            read += len(line)
            yield line

    ids = tok.encode_iterable(endless())
    for _ in range(50):
        chunk = list(itertools.islice(ids, 5000))
        assert len(chunk) == 5000
    produced = len(tok.decode(chunk)) * 50
    assert read < produced + 3 * streaming.ROUND


@pytest.mark.parametrize("chunks", [["a<|e", "nd", "|>b"], ["a<|end|> and", " a lot of text", " behind it"]])
def test_special_tokens_in_a_stream_are_refused_too(tok, eager, chunks):
    with pytest.raises(ValueError, match="<.end.>"):
        list(tok.encode_iterable(chunks))


def test_any_text_can_be_refused_in_a_stream(tok, eager):
    with pytest.raises(ValueError, match="'forbidden'"):
        list(tok.encode_iterable("it is forbidden here", disallowed_special=("forbidden",)))


def pieces(tok, ids, skip=False):
    """What a stream of ids shows, push by push, and at its end."""
    decoder = StreamDecoder(tok, skip)
    return [*map(decoder.push, ids), decoder.finish()]


def test_incomplete_characters_are_held_back(tok):
    assert pieces(tok, "é😀a".encode()) == ["", "é", "", "", "", "😀", "a", ""]
    assert pieces(tok, [0xE4, 0xB8]) == ["", "", "\ufffd"]
    assert pieces(tok, []) == [""]


def test_special_tokens_can_be_skipped(tok):
    ids = tok.encode("a<|end|>b", allowed_special="all")
    assert pieces(tok, ids) == ["a", "<|end|>", "b", ""] and pieces(tok, ids, skip=True) == ["a", "", "b", ""]


def test_the_stream_equals_decode_for_any_ids(tok):
    rng = random.Random(3)
    for _ in range(1000):
        ids = [rng.randrange(tok.vocab_size) for _ in range(rng.randrange(12))]
        for skip in (False, True):
            assert "".join(pieces(tok, ids, skip)) == tok.decode(ids, skip)


def test_the_stream_checks_ids(tok):
    with pytest.raises(ValueError, match="out of range"):
        pieces(tok, [tok.vocab_size])
