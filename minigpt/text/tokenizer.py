"""The byte-level BPE tokenizer: text -> ids -> text, for every text and with nothing lost."""
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np

from minigpt.files import data_folder, make_folder
from minigpt.text import formats
from minigpt.text.bpe import learn_merges, merge
from minigpt.text.splitting import pattern, replace_surrogates
from minigpt.text.streaming import encode_iterable


class PieceIds(dict):
    """{piece of text: its ids}, filled when a piece is first met; most pieces of a text are words met before."""

    def __init__(self, byte_ids, ranks, merged):
        self.byte_ids, self.ranks, self.merged = byte_ids, ranks, merged

    def __missing__(self, piece):
        ids = tuple(merge([self.byte_ids[byte] for byte in piece.encode("utf-8")], self.ranks, self.merged))
        if len(self) >= 2**16:  # so that memory stays flat whatever is encoded
            self.clear()
        if len(piece) < 64:
            self[piece] = ids
        return ids


class Tokenizer:
    """Byte-level BPE (GPT-2's). Make one with `train`, `load` or `from_pretrained`.

    vocabulary: list of bytes by id (None: an id without token); merges: [(left id, right id)] in order of priority;
    special_tokens {text: id}: never made by merging and only encoded where the caller allows it; split: see `splitting`.
    """

    def __init__(self, vocabulary, merges, special_tokens, split="gpt2"):
        self.vocabulary, self.merges, self.split = list(vocabulary), list(merges), split
        self.special_tokens = dict(special_tokens)
        special_ids = set(self.special_tokens.values())
        ids = {token: i for i, token in enumerate(self.vocabulary) if token is not None and i not in special_ids}
        for text in self.special_tokens:
            if not text or text.encode("utf-8") in ids:
                raise ValueError(f"special token {text!r} is {'an ordinary token too' if text else 'empty'}: choose another text")
        self._byte_ids = [ids[bytes([byte])] for byte in range(256)]
        self._merged = [ids[self.vocabulary[left] + self.vocabulary[right]] for left, right in self.merges]
        self._ranks = {pair: rank for rank, pair in reversed(list(enumerate(self.merges)))}  # of equal pairs the first counts
        self._pattern = pattern(split)
        self._piece_ids = PieceIds(self._byte_ids, self._ranks, self._merged)

    @classmethod
    def train(cls, texts, vocab_size, special_tokens=(), split="gpt2"):
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
        counts = Counter()
        for text in [texts] if isinstance(texts, str) else texts:
            for part in special_pattern(special_tokens).split(replace_surrogates(text))[::2]:
                counts.update(pattern(split).findall(part))
        merges = learn_merges({piece.encode("utf-8"): count for piece, count in counts.items()}, n_merges)
        vocabulary = [bytes([byte]) for byte in range(256)]
        for left, right in merges:
            vocabulary.append(vocabulary[left] + vocabulary[right])
        specials = {text: len(vocabulary) + i for i, text in enumerate(special_tokens)}
        return cls(vocabulary + [text.encode("utf-8") for text in specials], merges, specials, split)

    @classmethod
    def load(cls, folder):
        """Read a tokenizer from a folder: tokenizer.json, or GPT-2's vocab.json + merges.txt or encoder.json + vocab.bpe."""
        return cls(*formats.read_folder(folder))

    @classmethod
    def from_pretrained(cls, folder_or_name):
        """`load` for a folder, or for the name of a model in data/pretrained."""
        folder = Path(folder_or_name)
        return cls.load(folder if folder.is_dir() else data_folder() / "pretrained" / folder_or_name)

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
        allowed, forbidden = self._specials(allowed_special, disallowed_special)
        text = replace_surrogates(text)
        refuse_special(text, forbidden)
        if not allowed:
            ids = self.encode_ordinary(text)
        else:
            ids = [i for _, ids in self.parts(text, allowed) for i in ids]
        if return_tensors is None:
            return ids
        if return_tensors != "np":
            raise ValueError(f"return_tensors {return_tensors!r} is unknown: use None or 'np'")
        return np.array([ids], np.int32)

    def encode_ordinary(self, text):
        """Text -> list of ids, with special tokens as ordinary text: what to use for text that others wrote."""
        return list(itertools.chain.from_iterable(map(self._piece_ids.__getitem__, self._pattern.findall(replace_surrogates(text)))))

    def encode_documents(self, texts):
        """Many texts, encoded as ordinary -> ids int32 (N,), offsets int64 (number of texts + 1,): text i is ids[offsets[i]:offsets[i+1]]."""
        parts = [np.array(self.encode_ordinary(text), np.int32) for text in texts]
        return np.concatenate([np.zeros(0, np.int32), *parts]), np.cumsum([0] + [len(part) for part in parts], dtype=np.int64)

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
                raise ValueError(f"token id {i} is out of range: the vocabulary has {self.vocab_size} tokens, ids 0 to {self.vocab_size - 1}")
        tokens = [self.vocabulary[i] for i in ids.tolist()]
        if None in tokens:
            raise ValueError(f"token id {ids[tokens.index(None)]} stands for no token: this vocabulary has holes")
        return b"".join(tokens)

    def decode(self, ids, skip_special_tokens=False):
        """A flat sequence of ids -> text; bytes that are not UTF-8 become U+FFFD."""
        ids = ids if isinstance(ids, np.ndarray) else list(ids)
        if skip_special_tokens:
            ids = self._without_special(ids)
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def show_work(self, text):
        """How a text becomes ids, merge by merge, as lines to read; a space is drawn as ␣, lone bytes in hexadecimal."""
        lines = []
        for piece in self._pattern.findall(replace_surrogates(text)):
            tokens = [self._byte_ids[byte] for byte in piece.encode("utf-8")]
            lines.append(f"{piece!r}: {self._draw(tokens)}")
            ids = merge(tokens, self._ranks, self._merged, on_merge=lambda rank, now: lines.append(
                f"    merge {rank}: {' + '.join(map(self._draw_token, self.merges[rank]))} -> {self._draw(now)}"))
            lines.append(f"    ids: {' '.join(map(str, ids))}")
        return "\n".join(lines)

    def _draw(self, ids):
        return " | ".join(map(self._draw_token, ids))

    def _draw_token(self, i):
        return self.vocabulary[i].decode("utf-8", "backslashreplace").replace(" ", "␣").replace("\n", "\\n")

    def parts(self, text, allowed, forbidden=()):
        """A text without surrogates -> (part, its ids) in order: a part is a piece of ordinary text or an allowed special token."""
        refuse_special(text, forbidden)
        for i, part in enumerate(special_pattern(allowed).split(text)):  # ordinary, special, ordinary, ...
            if i % 2:
                yield part, (self.special_tokens[part],)
            else:
                yield from ((piece, self._piece_ids[piece]) for piece in self._pattern.findall(part))

    def _specials(self, allowed_special, disallowed_special):
        for name, value in (("allowed_special", allowed_special), ("disallowed_special", disallowed_special)):
            if isinstance(value, str) and value != "all":
                raise ValueError(f"{name} {value!r} is a single text: use 'all' or a tuple of texts")
        allowed = set(self.special_tokens) & (set(self.special_tokens) if allowed_special == "all" else set(allowed_special))
        forbidden = set(self.special_tokens) - allowed if disallowed_special == "all" else set(disallowed_special)
        return allowed, forbidden

    def _without_special(self, ids):
        special = set(self.special_tokens.values())
        return [i for i in ids if i not in special]


def special_pattern(texts):
    """A pattern whose `split` gives ordinary, special, ordinary, ... text; the longest of several that begin together."""
    return re.compile(f"({'|'.join(map(re.escape, sorted(texts, key=len, reverse=True))) or '(?!)'})")  # (?!) never matches


def refuse_special(text, forbidden):
    """Raise ValueError if one of these special tokens is in the text."""
    if found := special_pattern(forbidden).search(text):
        raise ValueError(f"the text holds the special token {found[0]!r}: allow it with allowed_special=({found[0]!r},), "
                         "or encode it as ordinary text with disallowed_special=() or encode_ordinary")
