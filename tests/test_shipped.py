"""The checkpoints in data/pretrained, as they are: the classic flow with our names, offline, and answers that make sense."""
import dataclasses
import random
import re
from pathlib import Path

import numpy as np
import pytest

from minigpt import GPT, GPTConfig, InstructGPT, Tokenizer
from minigpt.evaluate import tasks
from minigpt.evaluate.metrics import wilson
from minigpt.evaluate.prompts import holds, read_prompts
from minigpt.files import data_folder
from minigpt.world import examples, facts, small_world
from minigpt.world.parallel import read_patterns, sentence_pair


def test_the_classic_flow(world):
    config = GPTConfig.from_pretrained("micro")
    tokenizer = Tokenizer.from_pretrained("micro")
    model = GPT.from_pretrained("micro", config=config)
    ids = tokenizer.encode("The weather today is", return_tensors="np")
    output = model.generate(ids)
    assert ids.shape[0] == 1 and ids.dtype == output.dtype == np.int32
    assert (output[:, : ids.shape[1]] == ids).all() and ids.shape[1] < output.shape[1] <= ids.shape[1] + 32
    text = tokenizer.decode(output[0], skip_special_tokens=True)
    assert text.startswith("The weather today is") and "<|" not in text
    if output.shape[1] < ids.shape[1] + 32:
        assert output[0, -1] in model.stop
    assert re.match(rf"The weather today is ({'|'.join(word['en'] for word in world.words['weather'])})\.", text)


def test_from_pretrained_refuses_another_config():
    with pytest.raises(ValueError, match="was saved with"):
        GPT.from_pretrained("micro", config=GPTConfig())


def test_the_tuned_model_answers_and_the_base_does_not(world):
    """Far below what the README measures on more prompts, far above chance."""
    questions = tasks.evaluation_examples(small_world(world), "test", 12)
    tuned, base = (sum(tasks.score(questions, tasks.answer_all(InstructGPT.from_pretrained(name), questions, label=name))) for name in ("micro", "micro-base"))
    assert wilson(tuned, len(questions))[0] > 0.6 and base <= 0.1 * len(questions)


def test_the_tuned_model_translates_what_a_user_tries_first(world):
    """"The cat is small.", in pairs of words that no training has; the evaluation has no such sentences, so nothing else would tell."""
    read = {pattern.name for pattern in read_patterns(data_folder() / "parallel" / "extra.tsv")}     # those of data/extra came after it
    pairs = tuple(pattern for pattern in world.extra_patterns if pattern.name in read and len(pattern.slots) > 1)     # single words are not held out
    plain, rng, template = dataclasses.replace(world, patterns=pairs), random.Random(9), examples(world, "translate", "test", 1, seed=0)[0]
    questions = []
    for pair in (sentence_pair(plain, rng, "test") for _ in range(150)):
        for language, source, accepted in (("Chinese", pair.english, pair.chinese), ("English", pair.chinese, pair.english)):
            prompt = ({"role": "user", "content": f"Translate into {language}: {source[0]}"},)
            questions.append(dataclasses.replace(template, messages=prompt, answer=accepted[0], accept=accepted[1:]))
    right = sum(tasks.score(questions, tasks.answer_all(InstructGPT.from_pretrained("micro"), questions, label=None)))
    assert wilson(right, len(questions))[0] > 0.75


def test_the_tuned_model_answers_a_question_that_stands_alone(world):
    """As users ask; most evaluated questions for facts have words around them, so nothing else would tell."""
    known = [fact for fact in world.facts if fact.split == "train" and fact.relation in ("capital", "young", "home", "made_of", "job")]
    asked = [[{"role": "user", "content": facts.question(world, fact, random.Random(3), "train")}] for fact in known]
    answers = InstructGPT.from_pretrained("micro").answers(asked)
    right = sum(answer in facts.statements(world, fact) for fact, answer in zip(known, answers))
    assert len(known) > 100 and wilson(right, len(known))[0] > 0.8


def test_the_tuned_model_understands_small_letters_and_no_question_mark(world):
    """As many users type; no evaluated prompt is so."""
    known = [fact for fact in world.facts if fact.split == "train" and fact.relation in ("capital", "young", "home", "made_of", "job")]
    asked = [[{"role": "user", "content": facts.question(world, fact, random.Random(3), "train").lower().rstrip("?")}] for fact in known]
    answers = InstructGPT.from_pretrained("micro").answers(asked)
    right = sum(answer in facts.statements(world, fact) for fact, answer in zip(known, answers))
    assert wilson(right, len(known))[0] > 0.6


def test_the_broad_model_answers_more_of_what_people_type():
    """Prompts by which no model was chosen."""
    questions = read_prompts(data_folder() / "typed.tsv")

    def right(name):
        return sum(tasks.score(questions, tasks.answer_all(InstructGPT.from_pretrained(name), questions, label=None), lambda question, answer: holds(question.answer, answer)))

    assert right("micro-broad") > 0.48 * len(questions) > right("micro")


def test_the_readme_examples_print_what_the_readme_says(capsys):
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for code, expected in blocks:
        exec(compile(code, "README.md", "exec"), {})  # our own page
        assert capsys.readouterr().out == expected
