"""Batches: every token is predicted once, from its own document, and the mask counts what it should."""
import dataclasses

import numpy as np
import pytest

from minigpt.config import PRETRAIN
from minigpt.train import batches


def stream():
    """Documents of 5, 3, 9, 2, 6, 4 tokens; every token has an id of its own."""
    first = np.zeros(29, bool)
    first[[0, 5, 8, 17, 19, 25]] = True
    return np.arange(100, 129, dtype=np.int32), first


def test_every_token_of_the_stream_is_predicted_once():
    ids, _ = stream()
    rows = batches.rows_from_stream(ids, 7)
    batch = rows.batch(np.arange(4))
    np.testing.assert_array_equal(batch.targets.ravel(), ids[1:])
    np.testing.assert_array_equal(batch.ids.ravel(), ids[:-1])
    assert batch.mask.all() and batch.tokens() == 28


def test_documents_of_the_stream_do_not_meet():
    ids, first = stream()
    batch = batches.rows_from_stream(ids, 7, first).batch(np.arange(4))
    for row in range(4):
        for t in range(7):
            at = row * 7 + t
            begin = max(i for i in range(at + 1) if first[i] or i == row * 7)
            assert batch.starts[row, t] == begin - row * 7
            assert batch.mask[row, t] == (not first[at + 1])  # the first token of a document has nothing before it


def examples():
    return [([1, 2, 3, 4], [0, 0, 1, 1]), ([5, 6, 7], [0, 1, 1]), ([8, 9, 10, 11, 12], [0, 1, 0, 0, 1])]


def test_packed_examples_stay_whole_and_keep_their_mask():
    rows = batches.pack(examples(), 24, pad=0)
    assert len(rows) == 1
    batch = rows.batch(np.array([0]))
    assert batch.tokens() == 2 + 2 + 2
    counted = batch.mask[0].astype(bool)
    np.testing.assert_array_equal(batch.targets[0][counted], [3, 4, 6, 7, 9, 12])
    np.testing.assert_array_equal(batch.ids[0][counted], [2, 3, 5, 6, 8, 11])
    np.testing.assert_array_equal(batch.starts[0][:13], [0] * 4 + [4] * 3 + [7] * 5 + [12])


def test_packing_uses_the_room_and_refuses_what_does_not_fit():
    lengths = [30, 40, 25, 10, 60, 5, 64, 20, 33, 12]
    parts = [([number] * n, [1] * n) for number, n in enumerate(lengths, 1)]
    rows = batches.pack(parts, 63, pad=0)
    for number, n in enumerate(lengths, 1):
        row = np.flatnonzero((rows.tokens == number).any(axis=1))
        assert len(row) == 1 and (rows.tokens[row] == number).sum() == n and rows.mask[rows.tokens == number].all()
    assert len(rows) <= 7 and not rows.mask[rows.tokens == 0].any()
    assert (rows.starts <= np.arange(64)).all()
    with pytest.raises(ValueError, match="65 tokens"):
        batches.pack([([1] * 65, [1] * 65)], 63, pad=0)


def test_an_epoch_reads_every_row_once_and_the_next_in_another_order():
    rows = batches.Rows(np.arange(30, dtype=np.int32).reshape(10, 3))
    seen = np.concatenate([batches.batch_at(step, rows, 4, seed=1).ids[:, 0] // 3 for step in range(5)])  # two epochs
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:]) and list(seen[:10]) != list(range(10))
    again = batches.batch_at(3, rows, 4, seed=1)
    np.testing.assert_array_equal(again.ids[:, 0] // 3, seen[12:16])
    other = np.concatenate([batches.batch_at(step, rows, 4, seed=2).ids[:, 0] // 3 for step in range(5)])
    assert list(other) != list(seen)


def test_shards_are_the_batch_in_order():
    rows = batches.pack([([n] * 5, [0, 1, 1, 0, 1]) for n in range(1, 8)], 5, pad=0)
    batch = rows.batch(np.arange(7))
    shards = batch.shards(3)
    assert len(shards) == 3 and len(batch.shards(20)) == 7
    for name in ("ids", "targets", "mask", "starts"):
        np.testing.assert_array_equal(np.concatenate([getattr(s, name) for s in shards]), getattr(batch, name))
    assert sum(s.tokens() for s in shards) == batch.tokens() == 21


def test_joining_deals_the_second_batch_out_among_the_first():
    plain = batches.rows_from_stream(np.arange(11, dtype=np.int32), 5).batch(np.arange(2))
    packed = batches.pack(examples(), 5, pad=0).batch(np.arange(3))
    both = batches.join(packed, plain)
    assert both.tokens() == plain.tokens() + packed.tokens() and len(both.ids) == 5
    added, kept = [1, 4], [0, 2, 3]  # every shard gets its share
    for name in ("ids", "targets", "mask", "starts"):
        np.testing.assert_array_equal(getattr(both, name)[kept], getattr(packed, name))
    np.testing.assert_array_equal(both.ids[added], plain.ids)
    assert not both.starts[added].any() and both.mask[added].all()


class Letters:
    """A tokenizer of one id per letter."""

    special_tokens = {"<|endoftext|>": 0}

    def encode_ordinary(self, text):
        return [ord(letter) for letter in text]


def test_no_rows_are_no_batch():
    with pytest.raises(ValueError, match="no rows"):
        batches.batch_at(0, batches.pack([], 7, 0), 4, 0)


def test_documents_end_with_the_end_token_until_there_are_enough():
    ids, first = batches.document_stream(iter(["ab", "c", "defg", "never read"]), Letters(), 8)
    assert ids.tolist() == [*b"ab", 0, *b"c", 0, *b"defg", 0]
    assert np.flatnonzero(first).tolist() == [0, 3, 5]
    with pytest.raises(ValueError, match="no document"):
        batches.document_stream([], Letters(), 8)


def test_a_step_reads_whole_rows_and_no_more_than_all():
    """A batch larger than all that is to be trained on would be trained on, however few tokens were asked for."""
    for asked, tokens, read in ((1000, 5000, 768), (100, 5000, 256), (5000, 2000, 1792), (1024, 10, 256)):
        assert batches.whole_rows(dataclasses.replace(PRETRAIN, batch_tokens=asked, tokens=tokens), 256).batch_tokens == read
