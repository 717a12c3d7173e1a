"""tiktoken and tokenizers beside our tokenizer, for --against torch of `python -m minigpt bench`: the same vocabulary, their own threads.

    python tests/oracle/rival_tokenizers.py tiktoken encode | tokenizers train|encode   prints {"samples": [...]} as JSON
"""
import json
import sys
import tempfile
import time

import numpy as np
import tiktoken
import tokenizers

from minigpt.bench import tokenizers as ours
from tests.texts import GPT2_RULE, HAN_RULE


def tiktoken_of(tok):
    """The same vocabulary, merges and rule in tiktoken -> tiktoken.Encoding"""
    rule, special = {"gpt2": GPT2_RULE, "han": HAN_RULE.replace("--[", "&&[^")}[tok.split], set(tok.special_tokens.values())
    ranks = {token: i for i, token in enumerate(tok.vocabulary) if i not in special}
    return tiktoken.Encoding("ours", pat_str=rule, mergeable_ranks=ranks, special_tokens=tok.special_tokens)


def by_tiktoken(job, samples=3):
    """MB per second of encoding with our vocabulary, ids as an array."""
    tok = ours.train()
    theirs = tiktoken_of(tok)
    return {"samples": _encoding(tok, lambda: theirs.encode_to_numpy(ours.text(), disallowed_special=()), samples)}


def by_tokenizers(job, samples=3):
    """Seconds of training our vocabulary's size, or MB per second of encoding with our vocabulary."""
    tok, texts = ours.train(), ours.text().splitlines(keepends=True)
    with tempfile.TemporaryDirectory() as folder:
        tok.save(folder)
        theirs = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    if job == "encode":
        return {"samples": _encoding(tok, lambda: np.array(theirs.encode(ours.text(), add_special_tokens=False).ids, np.int32), samples)}
    found = []
    for _ in range(samples + 1):
        learner = tokenizers.Tokenizer(tokenizers.models.BPE())
        learner.pre_tokenizer = theirs.pre_tokenizer
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=ours.VOCABULARY, special_tokens=list(tok.special_tokens), show_progress=False,
                                              initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
        start = time.perf_counter()
        learner.train_from_iterator(texts, trainer)
        found.append(time.perf_counter() - start)
    return {"samples": found[1:]}


def _encoding(tok, encode, samples):
    """MB per second of encode(), whose ids must be ours."""
    np.testing.assert_array_equal(encode(), tok.encode(ours.text(), return_tensors="np")[0])
    found = []
    for _ in range(samples):
        start = time.perf_counter()
        encode()
        found.append(ours.size() / (time.perf_counter() - start))
    return found


if __name__ == "__main__":
    print(json.dumps({"tiktoken": by_tiktoken, "tokenizers": by_tokenizers}[sys.argv[1]](sys.argv[2])))
