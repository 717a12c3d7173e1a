"""What the tokenizer does with megabytes of text, compiled: the twins of bpe.count_pieces, learn_merges and encoder."""
import numpy as np

from minigpt.text.kernels import encoding, training
from minigpt.text.splitting import character_classes


def count_pieces(texts, split):
    """bpe.count_pieces, without making a string of every piece."""
    data, words, starts = pack(texts)
    firsts, lengths, counts = encoding.count_pieces(data, words, starts, character_classes(split))
    whole = data.tobytes()
    return {whole[first:first + length]: count for first, length, count in zip(firsts.tolist(), lengths.tolist(), counts.tolist())}


def learn_merges(piece_counts, n_merges):
    """bpe.learn_merges."""
    data = np.frombuffer(b"".join(piece_counts), np.uint8)
    lengths = np.array([len(piece) for piece in piece_counts], np.int64)
    merges = training.learn_merges(data, lengths, np.array(list(piece_counts.values()), np.int64), n_merges)
    return [(left, right) for left, right in merges.tolist()]


def encoder(byte_ids, merges, merged, split):
    """The ids of the 256 bytes, merges [(left, right)], the ids that they make -> function: texts -> ids int32 (N,), offsets.

    Text i is ids[offsets[i]:offsets[i + 1]].
    """
    table = encoding.merge_table(np.array(merges, np.int32).reshape(-1, 2), np.array(merged, np.int32))
    byte_ids, classes = np.array(byte_ids, np.int32), character_classes(split)
    return lambda texts: encoding.encode(*pack(texts), classes, byte_ids, table)


def pack(texts):
    """Texts end to end as the kernels take them, a zero byte behind each and room to read 8 bytes from any of them.

    [str, ...] -> data uint8 (N + 8,), words int64 (N + 1,): the 8 bytes from each byte on, starts int64 (number of texts + 1,)
    """
    texts = [text.encode("utf-8") for text in texts]
    data = np.frombuffer(b"\0".join([*texts, bytes(8)]), np.uint8)
    words = np.lib.stride_tricks.sliding_window_view(data, 8).view(np.int64)[:, 0]
    return data, words, np.cumsum([0] + [len(text) + 1 for text in texts], dtype=np.int64)
