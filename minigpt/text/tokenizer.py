"""The byte-level BPE tokenizer: text -> ids -> text, for every text and with nothing lost."""
import functools
from collections import Counter

import numpy as np

from minigpt.files import find_folder, make_folder
from minigpt.text import bpe, formats
from minigpt.text.splitting import cut_special, pattern, refuse_special, replace_surrogates
from minigpt.text.streaming import encode_iterable

LARGE, BATCH = 2**21, 2**24  # characters that make compiled kernels worth their loading; that are worked on at a time


class Tokenizer:
    """Byte-level BPE (GPT-2's). Make one with `train`, `load` or `from_pretrained`.

    vocabulary: list of bytes by id (None: an id without token); merges: [(left id, right id)] in order of priority;
    special_tokens {text: id}: never made by merging and only encoded where the caller allows it; split: see `splitting`;
    backend: "fast" compiles what is done with large texts, "numpy" never does; the ids are the same.
    """

    def __init__(self, vocabulary, merges, special_tokens, split="gpt2", backend="fast"):
        if backend not in ("fast", "numpy"):
            raise ValueError(f"backend {backend!r} is unknown: use 'fast' or 'numpy'")
        self.vocabulary, self.merges, self.split, self.backend = list(vocabulary), list(merges), split, backend
        self.special_tokens = dict(special_tokens)
        special_ids = set(self.special_tokens.values())
        ids = {token: i for i, token in enumerate(self.vocabulary) if token is not None and i not in special_ids}
        letters = {letter: byte for byte, letter in enumerate(formats.byte_letters())}
        for text in self.special_tokens:
            stood_for = bytes(map(letters.get, text)) if letters.keys() >= set(text) else None
            if not text or text.encode("utf-8") in ids or stood_for in ids:  # in files "§" is the byte A7 itself
                raise ValueError(f"special token {text!r} is {'an ordinary token too' if text else 'empty'}: choose another text")
        self._byte_ids = [ids[bytes([byte])] for byte in range(256)]
        self._merged = [ids[self.vocabulary[left] + self.vocabulary[right]] for left, right in self.merges]
        self._plain = bpe.encoder(self._byte_ids, self.merges, self._merged, split)

    def __eq__(self, other):
        """Whether both give every text the same ids; the backend does not count."""
        return isinstance(other, Tokenizer) and all(getattr(self, name) == getattr(other, name)
                                                    for name in ("vocabulary", "merges", "special_tokens", "split"))

    @classmethod
    def train(cls, texts, vocab_size, special_tokens=(), split="gpt2", backend="fast"):
        """Learn a vocabulary from texts (a str, or an iterable of str), cut at special tokens and into pieces first.

        ids: 0-255 the bytes, then the merges in order, then the special tokens; vocab_size counts them all, and fewer
        result when the texts hold no further pair.
        """
        special_tokens = tuple(special_tokens)
        if len(set(special_tokens)) < len(special_tokens):
            raise ValueError(f"special_tokens {special_tokens} holds one twice: give each once")
        n_merges = vocab_size - 256 - len(special_tokens)
        if n_merges < 0:
            raise ValueError(f"vocab_size {vocab_size} is below 256 bytes + {len(special_tokens)} special tokens: "
                             f"use at least {256 + len(special_tokens)}")
        texts = [texts] if isinstance(texts, str) else texts
        parts = (part for text in texts for part in cut_special(replace_surrogates(text), special_tokens)[::2])
        counts, twin = Counter(), bpe
        for batch in batches(parts):
            twin = kernels() if is_large(batch, backend) else twin
            counts.update(twin.count_pieces(batch, split))
        merges = twin.learn_merges(counts, n_merges)
        vocabulary = [bytes([byte]) for byte in range(256)]
        for left, right in merges:
            vocabulary.append(vocabulary[left] + vocabulary[right])
        specials = {text: len(vocabulary) + i for i, text in enumerate(special_tokens)}
        return cls(vocabulary + [text.encode("utf-8") for text in specials], merges, specials, split, backend)

    @classmethod
    def load(cls, folder, backend="fast"):
        """Read a tokenizer from a folder: tokenizer.json, or GPT-2's vocab.json + merges.txt or encoder.json + vocab.bpe."""
        return cls(*formats.read_folder(folder), backend)

    @classmethod
    def from_pretrained(cls, folder_or_name):
        """`load` for a folder, or for the name of a model in data/pretrained."""
        return cls.load(find_folder(folder_or_name))

    def save(self, folder, model_max_length=None, chat_template=None):
        """Write the folder that `load`, transformers and tokenizers read; chat_template is jinja source (template.CHAT_TEMPLATE)."""
        formats.write_folder(make_folder(folder), self.vocabulary, self.merges, self.special_tokens, self.split,
                             model_max_length, chat_template)

    @property
    def vocab_size(self):
        """Number of ids, special tokens included: ids are below it."""
        return len(self.vocabulary)

    def encode(self, text, allowed_special=(), disallowed_special="all", return_tensors=None):
        """Text -> list of ids; with return_tensors="np" an int32 array (1, T).

        tiktoken's rules: a special token in allowed_special ("all" or texts) gets its id; one in disallowed_special ("all":
        every one not allowed) raises ValueError; one in neither is ordinary text. Longest first where two begin together.
        """
        if return_tensors not in (None, "np"):
            raise ValueError(f"return_tensors {return_tensors!r} is unknown: use None or 'np'")
        allowed, forbidden = self._specials(allowed_special, disallowed_special)
        text = replace_surrogates(text)
        refuse_special(text, forbidden)
        parts = cut_special(text, allowed)
        ids, offsets = self._encode_texts(parts[::2])
        if len(parts) > 1:
            ids = np.insert(ids, offsets[1:-1], [self.special_tokens[part] for part in parts[1::2]])
        return ids.tolist() if return_tensors is None else ids[None]

    def encode_ordinary(self, text):
        """Text -> list of ids, with special tokens as ordinary text: what to use for text that others wrote."""
        return self._encode_texts([replace_surrogates(text)])[0].tolist()

    def encode_iterable(self, chunks, allowed_special=(), disallowed_special="all"):
        """Chunks of one text (an open file, say) -> its ids one by one, the same wherever the chunks are cut, in flat memory."""
        return encode_iterable(self, chunks, *self._specials(allowed_special, disallowed_special))

    def decode_bytes(self, ids):
        """A flat sequence of ids -> the bytes of their tokens; ValueError for ids out of range, before anything is looked up."""
        ids = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
        if not ids.size:
            return b""
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ValueError(f"decode takes one row of whole numbers, not {ids.dtype} of shape {ids.shape}")
        for i in (int(ids.min()), int(ids.max())):
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"token id {i} is out of range: the vocabulary has {self.vocab_size} tokens, "
                                 f"ids 0 to {self.vocab_size - 1}")
        tokens = [self.vocabulary[i] for i in ids.tolist()]
        if None in tokens:
            raise ValueError(f"token id {ids[tokens.index(None)]} stands for no token: this vocabulary has holes")
        return b"".join(tokens)

    def decode(self, ids, skip_special_tokens=False):
        """A flat sequence of ids -> text; bytes that are not UTF-8 become U+FFFD."""
        if skip_special_tokens:
            special = list(self.special_tokens.values())
            ids = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
            ids = ids[~np.isin(ids, special)] if ids.ndim == 1 else ids  # refused below
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def show_work(self, text):
        """How a text becomes ids, merge by merge, as lines to read (see draw)."""
        lines, ranks = [], bpe.rank_table(self.merges)
        for piece in pattern(self.split).findall(replace_surrogates(text)):
            tokens = [self._byte_ids[byte] for byte in piece.encode("utf-8")]
            lines.append(f"{piece!r}: {self.draw(tokens)}")
            ids = bpe.merge(tokens, ranks, self._merged, on_merge=lambda rank, now: lines.append(
                f"    merge {rank}: {self.draw(self.merges[rank], ' + ')} -> {self.draw(now)}"))
            lines.append(f"    ids: {' '.join(map(str, ids))}")
        return "\n".join(lines)

    def draw(self, ids, between=" | "):
        """Tokens side by side, to be read: a space is drawn as ␣, lone bytes in hexadecimal."""
        spelled = (self.vocabulary[i].decode("utf-8", "backslashreplace") for i in ids)
        return between.join(text.replace(" ", "␣").replace("\n", "\\n") for text in spelled)

    def _encode_texts(self, texts):
        """Texts without surrogates, as ordinary -> ids int32 (N,), offsets int64: text i is ids[offsets[i]:offsets[i + 1]]."""
        return (self._compiled if is_large(texts, self.backend) else self._plain)(texts)

    @functools.cached_property
    def _compiled(self):
        return kernels().encoder(self._byte_ids, self.merges, self._merged, self.split)

    def _specials(self, allowed_special, disallowed_special):
        for name, value in (("allowed_special", allowed_special), ("disallowed_special", disallowed_special)):
            if isinstance(value, str) and value != "all":
                raise ValueError(f"{name} {value!r} is a single text: use 'all' or a tuple of texts")
        allowed = set(self.special_tokens) & (set(self.special_tokens) if allowed_special == "all" else set(allowed_special))
        forbidden = set(self.special_tokens) - allowed if disallowed_special == "all" else set(disallowed_special)
        return allowed, forbidden


def batches(texts):
    """Texts in lists of about BATCH characters, so that an endless corpus need not be in memory at once."""
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text) + 1
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def is_large(texts, backend):
    """Shall compiled kernels work on these texts? They count bytes, at most 4 per character, in 32 bits."""
    return backend == "fast" and LARGE <= sum(map(len, texts)) < 2**28


def kernels():
    """The compiled twins of bpe's functions, imported only when needed: that alone costs a third of a second."""
    from minigpt.text import kernels
    return kernels
