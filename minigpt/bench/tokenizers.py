"""Training a tokenizer and encoding with it."""
import functools
import itertools
import time

from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer
from minigpt.world import load_world, pretraining_documents

DOCUMENTS, VOCABULARY = 20000, 2048  # of the world; enough of them for the compiled path, which is for large texts


@functools.cache
def text():
    """Documents of the world, one behind the other -> str"""
    return "".join(itertools.islice(pretraining_documents(load_world(), 0), DOCUMENTS))


def size():
    """Of the text, in MB."""
    return len(text().encode("utf-8")) / 1e6


def train(vocab_size=VOCABULARY, backend="fast"):
    """-> Tokenizer"""
    return Tokenizer.train(text(), vocab_size, SPECIAL_TOKENS, split="han", backend=backend)


def measured(job, samples=5, backend="fast"):
    """"train": seconds; "encode": MB per second, by a tokenizer that remembers no piece yet, ids as an array -> list of samples"""
    tok = train(300 if job == "train" else VOCABULARY, backend)  # compiles
    parts = tok.vocabulary, tok.merges, tok.special_tokens, tok.split, backend
    found = []
    for _ in range(samples + 1):
        fresh = Tokenizer(*parts)
        start = time.perf_counter()
        train(backend=backend) if job == "train" else fresh.encode(text(), return_tensors="np")
        seconds = time.perf_counter() - start
        found.append(seconds if job == "train" else size() / seconds)
    return found[1:]
