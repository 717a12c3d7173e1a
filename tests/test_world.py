"""The world's promises: deterministic, verifiable, split for good."""

import itertools
import os
import subprocess
import sys

import pytest

from minigpt.world import FAMILIES, examples, load_world, pretraining_documents, verify
from minigpt.world.text import all_choices, choose, fill, parse_choices


@pytest.fixture(scope="module")
def world():
    return load_world()


def prompt(example):
    return "\n".join(message["content"] for message in example.messages)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_reference_answers_verify(world, family, split):
    for example in examples(world, family, split, 200, seed=3):
        assert verify(example, example.answer), example
        assert not verify(example, "Bananas are purple."), example
        assert example.messages[-1]["role"] == "user"
        assert "{" not in prompt(example) + example.answer and "[" not in prompt(example)


def test_same_seed_same_text_in_any_process(world):
    code = ("import hashlib, itertools; from minigpt.world import *; w = load_world(); h = hashlib.sha256();"
            "[h.update(d.encode()) for d in itertools.islice(pretraining_documents(w, 5), 200)];"
            "[h.update(repr(e).encode()) for f in FAMILIES for s in ('train', 'test') for e in examples(w, f, s, 50, 5)]; print(h.hexdigest())")
    digests = {subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True,
                              capture_output=True, text=True).stdout for hash_seed in ("0", "1", "77")}
    assert len(digests) == 1


def test_other_seed_other_text(world):
    first, second = (list(itertools.islice(pretraining_documents(world, seed), 20)) for seed in (1, 2))
    assert first != second


def test_documents_start_with_a_space_and_are_short(world):
    for document in itertools.islice(pretraining_documents(world, 1), 500):
        assert document.startswith(" ") and "{" not in document and "[" not in document
        assert len(document) <= 800


def test_evaluation_prompts_never_occur_in_training(world):
    for family in ("summarise", "translate"):
        trained = {(prompt(example), example.answer) for example in examples(world, family, "train", 2000, seed=0)}
        for split in ("dev", "test"):
            held = examples(world, family, split, 200, seed=0)
            assert not [example for example in held if (prompt(example), example.answer) in trained]


def test_unknown_requests_are_refused_in_one_line(world):
    with pytest.raises(ValueError, match="family is 'poems'"):
        examples(world, "poems", "train", 1, seed=0)
    with pytest.raises(ValueError, match="split is 'all'"):
        examples(world, "chat", "all", 1, seed=0)
    with pytest.raises(ValueError, match="no world tables"):
        load_world("nowhere")


def test_choices_and_slots():
    import random
    parsed = parse_choices("(Sum up|Shorten) this[ now[ please]]")
    wordings = all_choices(parsed)
    assert len(wordings) == 6 and "Shorten this now please" in wordings
    assert {choose(random.Random(seed), parsed) for seed in range(200)} == set(wordings)
    with pytest.raises(ValueError):
        parse_choices("(open|never closed")
    assert fill("{name} saw {a adj obj}", {"name": {"en": "Tom"}, "adj": {"en": "old"}, "obj": {"en": "kite"}}) == "Tom saw an old kite"
