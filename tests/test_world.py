"""The world's promises: deterministic, verifiable, split for good."""

import codecs
import dataclasses
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from minigpt.commands.stages import world_tokenizer
from minigpt.files import data_folder
from minigpt.world import FAMILIES, examples, facts, load_world, pretraining_documents, small_world, stats, translate, verify
from minigpt.world.answer import FORMATS, PRACTICE_FORMATS, SHORT_FORMATS, spelled_words
from minigpt.world.careless import is_name, typed_carelessly
from minigpt.world.chat import NOT_TOLD, asked_before, draw_topic, say, topics
from minigpt.world.corpus import MIXTURE, knowledge_document
from minigpt.world.dialogue import dialogue_document
from minigpt.world.draw import candidates, draw, pair_of
from minigpt.world.facts import question
from minigpt.world.names import TRAINED_SHAPES, UNSEEN_SHAPES, invent_name
from minigpt.world.parallel import sentence_pair, word_counts, word_keys
from minigpt.world.splits import pairs_allowed, split_of
from minigpt.world.stories import ENDINGS, choose_steps, tell
from minigpt.world.shares import SHARES
from minigpt.world.tasks import prompt_text
from minigpt.world.text import all_choices, capital, fill, with_article
from minigpt.world.write import LENGTHS, constraints, split_sentences

KINDS = [(name, kind) for name, family in FAMILIES.items() for kind in family.kinds]


@pytest.fixture(scope="module")
def trained(world):
    """2000 training examples of each family."""
    return {family: examples(world, family, "train", 2000, seed=0) for family in FAMILIES}


@pytest.fixture(scope="module")
def evaluated(world):
    """400 evaluation examples of each family and split; the first 300 of them are those that 300 would be."""
    return {(family, split): examples(world, family, split, 400 if split == "test" else 300, seed=0) for family in FAMILIES for split in ("dev", "test")}


@pytest.mark.parametrize("family,kind", KINDS)
@pytest.mark.parametrize("split", ["train", "dev", "test"])
@pytest.mark.parametrize("count", [30, pytest.param(100, marks=pytest.mark.slow)])
def test_reference_answers_verify(count, world, family, kind, split):
    for example in examples(world, family, split, count, seed=3, kind=kind):
        assert verify(example, example.answer), example
        assert all(verify(example, answer) for answer in example.accept)
        assert not verify(example, "Bananas are purple."), example
        assert not verify(example, example.answer[:-3]), example
        assert [message["role"] for message in example.messages] == ["user", "assistant"] * (len(example.messages) // 2) + ["user"]
        assert not re.search(r"[{}\[\]|]|  ", prompt_text(example) + example.answer), example
        assert len((prompt_text(example) + example.answer).encode()) <= 900


def test_weights_of_the_tuning_mix_sum_to_one():
    assert sum(weight for family in FAMILIES.values() for weight in family.kinds.values()) == pytest.approx(1)


@pytest.mark.slow
def test_same_seed_same_text_in_any_process(world):
    code = ("import hashlib, itertools; from minigpt.world import *; w = load_world(); h = hashlib.sha256();"
            "[h.update(d.encode()) for d in itertools.islice(pretraining_documents(w, 5), 200)];"
            "[h.update(repr(e).encode()) for f in FAMILIES for s in ('train', 'test') for e in examples(w, f, s, 30, 5)];"
            "print(h.hexdigest())")
    digests = {subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True,
                              capture_output=True, text=True).stdout for hash_seed in ("0", "77")}
    assert len(digests) == 1


def test_training_practises_more_often_what_is_hard(world):
    about_somebody = dataclasses.replace(world, practice={**world.practice, "anybody": 0.0}, cache={})
    for split, shares in (("train", world.practice), ("test", SHARES)):
        asked = examples(world, "translate", split, 600, seed=4, kind="en-zh"), examples(about_somebody, "write", split, 300, seed=4, kind="story")
        chinese = sum(example.facets["language"] == "zh" for example in asked[0])
        assert chinese / 600 == pytest.approx(shares["chinese"], abs=0.05), split
        for what in ("number", "words", "ending"):
            met = sum(bool(example.wants[what]) for example in asked[1])
            assert met / 300 == pytest.approx(shares[what], abs=0.08), (split, what)
        alone = sum(example.facets["people"] == 1 for example in asked[1])
        assert alone / 300 == pytest.approx(shares["alone"], abs=0.08), split
    assert all((world.practice[what] < SHARES[what]) == (what in ("invented", "alone")) for what in SHARES)
    assert {what for what, share in small_world(world).practice.items() if share != SHARES[what]} == {"things", "more", "spelling"}


def test_texts_about_somebody_and_a_thing_are_asked_for_in_training_alone(trained, evaluated):
    """ "A story about Tom and a kite" asks for the kite, so no other sentence does."""
    drawn = Counter()
    for split in ("train", "dev", "test"):
        for example in trained["write"] if split == "train" else evaluated["write", split]:
            prompt = prompt_text(example)
            beside = [word for word in example.wants["words"] if f"and {with_article(word)}" in prompt]
            drawn[split] += len(beside)
            assert all(len(re.findall(rf"\b{word}\b", prompt)) == 1 for word in beside), prompt
            assert not beside or example.kind in ("story", "news") and verify(example, example.answer)
    assert drawn["train"] > 40 and drawn["dev"] == drawn["test"] == 0


@pytest.mark.parametrize("family", ["answer", "write", "refuse"])
def test_kinds_that_are_hard_are_more_frequent_in_training(world, family):
    def mix(world, split):
        drawn = Counter(example.kind for example in examples(world, family, split, 1500, seed=2))
        return {kind: drawn[kind] / 1500 for kind in FAMILIES[family].kinds}

    kinds = FAMILIES[family].kinds
    practised = {kind: world.weights.get(kind, weight) for kind, weight in kinds.items()}
    for wanted, found in ((practised, mix(world, "train")), (kinds, mix(world, "dev")), (kinds, mix(dataclasses.replace(world, weights={}), "train"))):
        assert found == {kind: pytest.approx(weight / sum(wanted.values()), abs=0.05) for kind, weight in wanted.items()}
    assert set(small_world(world).weights) < {kind for name in small_world(world).families for kind in FAMILIES[name].kinds}
    strong = {**kinds, max(kinds, key=practised.get): sum(kinds.values())}  # half of all and more: the weights' differences may be small
    drawn = mix(dataclasses.replace(world, weights=strong), "train")
    assert drawn == {kind: pytest.approx(weight / sum(strong.values()), abs=0.05) for kind, weight in strong.items()}


def test_plain_sentences_are_translated_in_training_alone(world):
    """The evaluations were frozen without "The cat is small."; the pairs of words that they hold out stay out of these too."""
    extra, usual = ({pattern.name for pattern in patterns} for patterns in (world.extra_patterns, world.patterns))
    assert not extra & usual
    drawn = {split: Counter() for split in ("train", "dev", "test")}
    for split, counts in drawn.items():
        rng = random.Random(8)
        for _ in range(6000):
            pair = sentence_pair(world, rng, split)
            counts[pair.pattern] += 1
            if pair.pattern == "the_is":
                assert pairs_allowed([pair_of(pair.words["adj"], pair.words["obj"])], "train")
    assert set(drawn["train"]) >= extra and not extra & {*drawn["dev"], *drawn["test"]}
    assert sum(drawn["train"][name] for name in extra) / 6000 == pytest.approx(world.practice["plain"], abs=0.04)


def test_plain_sentences_negate_and_ask_without_slips(world):
    """A negated 不开心 is no 不不开心, and 吗 asks without 很."""
    wordings, rng = [], random.Random(3)
    for pattern in world.extra_patterns:
        for words in (draw(world, pattern.slots, rng, "train") for _ in range(200)):
            wordings += [fill(wording, words, "zh") for wording in pattern.chinese]
    assert not [wording for wording in wordings if "不不" in wording or "很" in wording and wording.endswith("吗？")]
    assert any("没有不" in wording for wording in wordings)


def test_every_word_of_the_evaluated_translations_is_translated_in_training(world):
    """Of "put up" the only pair is dev's (a tent): nobody could know it but for the plain sentences, which put up a shed."""
    drawn = {}
    for split in ("train", "dev", "test"):
        rng = random.Random(2)
        draws = [draw(world, pattern.slots, rng, split) for pattern in world.patterns for _ in range(150)]
        drawn[split] = {key for words in draws for key in word_keys(words)}
    assert (drawn["dev"] | drawn["test"]) - drawn["train"] == {("put up", "搭")}
    texts = " ".join(f"{pattern.english[0]} {pattern.chinese[0]}" for pattern in world.extra_patterns)
    assert "put up" in texts and "搭" in texts


def test_training_draws_rare_words_more_often_from_the_same_patterns(world):
    counts = word_counts(world)
    rare = sorted(counts, key=counts.get)[:150]

    def drawn(world):
        rng = random.Random(4)
        pairs = [sentence_pair(world, rng, "train") for _ in range(4000)]
        return sum(key in rare for pair in pairs for key in word_keys(pair.words)), Counter(pair.pattern for pair in pairs)

    usual = dataclasses.replace(world, practice={**world.practice, "plain": 0.0})
    (often, patterns), (seldom, _) = drawn(usual), drawn(dataclasses.replace(world, practice=SHARES))
    assert often > 1.5 * seldom, (often, seldom)
    assert max(patterns.values()) < 2 * min(patterns.values())


def test_training_tells_of_every_thing_that_a_text_may_have_to_hold(world):
    """Where a thing's only plot is held out with it nobody could write about it but for the plots' other things."""
    def told(split):
        found = set()
        for name, plot in world.plots.items():
            for slots in (plot.slots, plot.extra if split == "train" else None):
                tags = {slot.name: slot.tag for slot in slots or ()}
                for thing in candidates(world, tags["obj"]) if "obj" in tags else ():
                    pairs = [(name, thing["en"])], [pair_of(adj, thing) for adj in candidates(world, tags["adj"], thing)]
                    if all(any(split_of(*pair) in ("train", split) for pair in some) for some in pairs):
                        found.add(thing["en"])
        return found

    assert (told("dev") | told("test")) - told("train") == {"rooster"}  # whose two adjectives are dev's
    rng = random.Random(3)
    in_training, in_dev = (sum(tell(world, rng, split, "give").words["obj"]["en"] in ("pear", "flower", "truck") for _ in range(600))
                           for split in ("train", "dev"))
    assert in_dev == 0 and in_training / 600 == pytest.approx(world.practice["things"] * 3 / 7, abs=0.06)
    for name, plot in world.plots.items():
        things = {slot.name: slot.tag.split("|") for slot in plot.extra or ()}.get("obj", ())
        assert {split_of(name, thing) for thing in things} <= {"train"}, name  # another could never be drawn
    with pytest.raises(ValueError, match="'appel' is neither a tag nor a noun"):
        candidates(world, "gift|appel")


@pytest.mark.parametrize("kind", LENGTHS)
def test_every_constraint_of_a_text_is_checked(kind, world):
    example = next(e for e in examples(world, "write", "dev", 300, 5, kind) if e.wants["words"] and e.wants["number"] and e.wants["ending"])
    wants, text, last = example.wants, example.answer, split_sentences(example.answer)[-1]
    for name, value in {"names": (*wants["names"], "Zo"), "words": (*wants["words"], "xyz"), "number": wants["number"] + 1,
                        "ending": {"happy": "sad", "sad": "happy"}[wants["ending"]], "form": "news" if kind == "diary" else "diary"}.items():
        checks = constraints(dataclasses.replace(example, wants={**wants, name: value}), text)
        assert [broken for broken, holds in checks.items() if not holds] == [name]
    for name, worse in {"no repetition": f"{text} {last}", "known words": text.replace(".", " xyz.", 1), "whole": f"{text} He"}.items():
        assert not constraints(example, worse)[name], name


def test_a_refusal_that_goes_on_is_none(world):
    harm = examples(world, "refuse", "dev", 1, 5, "harmful")[0]
    assert verify(harm, "I am sorry, but I cannot do that.") and not verify(harm, harm.answer + " But here is how.")


def test_what_was_counted_in_another_world_is_not_believed(world):
    """Names use up random numbers, so a world without invented ones draws other words."""
    world_tokenizer(dataclasses.replace(world, cache=(cache := {})), 300)
    assert "word counts" not in cache


def test_the_usual_wording_of_a_story_is_the_first_of_each_sentence(world):
    for name, plot in world.plots.items():
        for ending in ENDINGS:
            story = tell(world, random.Random(name), "train", name, ending, usual=True)
            lines = [line for paragraph in story.paragraphs for line in paragraph]
            for step, line in zip(story.told, lines, strict=True):
                assert line == capital(fill(all_choices(plot.parts[ending][step][0])[0], story.words)), step


def test_facts_are_noted_too(world):
    rng, noted, in_lines = random.Random(4), 0, 0
    for _ in range(400):
        document = knowledge_document(world, rng)
        noted += document.count(":") >= 5
        in_lines += not document.startswith(" ")  # as an answer begins; elsewhere a word's space is part of its token
        assert document.startswith(" ") == ("\n" not in document)
        assert ":" not in (plain := knowledge_document(small_world(world), rng)) and plain.startswith(" ")
    assert noted / 400 == pytest.approx(world.practice["notes"], abs=0.08)
    assert in_lines / 400 == pytest.approx(world.practice["lines"], abs=0.08)
    assert all(relation.notes for relation in world.relations.values())
    documents = "\n".join(facts.notes_document(world, rng) for _ in range(300))
    for note in (r"Capital of \w+: [A-Z][a-z]+\.", r"Capital of \w+: [A-Z]{2,}\.", r"Capital of \w+:\n[A-Z][a-z]+\.", r"Capital of \w+:\n[A-Z]{2,}\."):
        assert re.search(note, documents), note


def test_what_training_never_asks_is_told_more_often(world):
    def unasked(world):
        rng = random.Random(5)
        drawn = [fact for _ in range(800) for fact in facts.draw_facts(world, rng, 5)]
        return sum(fact.split in ("dev", "test") for fact in drawn) / len(drawn)

    usual, due = sum(fact.split in ("dev", "test") for fact in world.facts) / len(world.facts), world.practice["unasked"]
    assert unasked(world) == pytest.approx(due + (1 - due) * usual, abs=0.04)
    assert unasked(dataclasses.replace(world, practice=SHARES)) == pytest.approx(usual, abs=0.04)


def test_facts_stand_in_the_place_of_some_stories(world, monkeypatch):
    for kind, letter in (("stories", "S"), ("facts", "F")):
        monkeypatch.setitem(MIXTURE, kind, (MIXTURE[kind][0], lambda world, rng, letter=letter: letter * 500))
    written = Counter(document[:3] for document in itertools.islice(pretraining_documents(world, 0), 12000))
    (stories, _), (told, _), due = MIXTURE["stories"], MIXTURE["facts"], world.practice["knowledge"]
    assert written["FFF"] / written["SSS"] == pytest.approx((told + due * stories) / (stories - due * stories), rel=0.1)


def test_extra_facts_are_asked_in_training_alone(world):
    extra = {example for fact in world.facts if fact.split == "extra" for example in facts.statements(world, fact)}
    assert len(extra) > 1000
    few = examples(small_world(world), "answer", "train", 300, seed=6)
    evaluated = [example for split in ("dev", "test") for example in examples(world, "answer", split, 300, seed=6)]
    assert not any(answer in extra for example in [*few, *evaluated] for answer in (example.answer, *example.accept))
    asked = [example for example in examples(world, "answer", "train", 1000, seed=6) if example.facets.get("fact")]
    share = sum(any(answer in extra for answer in (example.answer, *example.accept)) for example in asked if
                example.facets["format"] == "plain") / sum(example.facets["format"] == "plain" for example in asked)
    assert share == pytest.approx(world.practice["extra"], abs=0.1)


def test_formats_of_training_only_are_never_evaluated(world):
    right = {"small": lambda text: text == text.lower(), "loud": lambda text: text.endswith("!"),
             "twice": lambda text: text[: len(text) // 2] == text[-(len(text) // 2):], "letters": str.isupper,
             "copy": lambda text: text == capital(text), "article": lambda text: text.startswith(("A ", "An ")),
             "lines": lambda text: len(text.split("\n")) >= 3 and all(line == capital(line) for line in text.split("\n")),
             "subject": lambda text: text == capital(text) and text.endswith(" is a word."),
             "mention": re.compile(r"The word is [\w-]+\.|The words are [\w-]+ and [\w-]+\.").fullmatch}
    met = set()
    for example in examples(world, "answer", "train", 1200, seed=4):
        form, asked = example.facets["format"], prompt_text(example).lower()
        assert form not in right or right[form](example.answer), (form, example.answer)
        if form in ("copy", "subject"):
            assert example.answer.removesuffix(" is a word.").removesuffix(".").lower() in asked
        elif form == "article":
            article, word = example.answer[:-1].split(" ", 1)
            assert word in asked and f"{article} {word}" == capital(with_article(word))
        elif form == "mention":
            assert all(word in asked for word in re.split(" is | are | and ", example.answer[:-1].lower())[1:])
        elif form == "lines":
            assert all(line.lower() in asked for line in example.answer.split("\n"))
        met |= {form}
    assert met == {*right, *FORMATS["facts"]} and {*PRACTICE_FORMATS["reading"], *PRACTICE_FORMATS["facts"]} < met
    evaluated = {(example.kind, example.facets["format"]) for example in examples(world, "answer", "test", 300, seed=4)}
    assert {form for kind, form in evaluated if kind == "facts"} == set(FORMATS["facts"])
    assert {form for kind, form in evaluated if kind != "facts"} == set(FORMATS["reading"])


def test_words_that_begin_no_asked_answer_are_spelt_most_often(world):
    """"Smoke comes from fire." is never asked for: only spelling shows that " smoke" at the beginning is "Smoke"."""
    for countable, new, begun in ((False, ("smoke", "Ottawa"), ("Madrid", "paper")), (True, ("octagon",), ("penguin",))):
        chance = Counter()
        for words in spelled_words(world, countable):
            chance.update(dict.fromkeys(words, 1 / len(words)))
        asked = [text.lower() for fact in world.facts if fact.split in ("train", "extra")
                 for text in (facts.statements(world, fact)[0], *facts.short_answers(world, fact))]
        for word, is_new in (*((word, True) for word in new), *((word, False) for word in begun)):
            assert any(text.startswith((word.lower(), with_article(word).lower())) for text in asked) != is_new, word
        assert min(chance[word] for word in new) > 2 * max(chance[word] for word in begun) > 0


def test_facts_are_asked_for_in_short_forms_in_both_languages(world):
    def share(world, language):
        asked = [example.facets for example in examples(world, "answer", "train", 3000, seed=7) if example.facets.get("fact")]
        mine = [facets["format"] for facets in asked if facets["language"] == language]
        assert language == "en" or not {"word", "capitals"} & {*mine}      # held-out cells
        return sum(form in SHORT_FORMATS[language] for form in mine) / len(mine)

    usual = dataclasses.replace(world, practice={**world.practice, "short": 0.0})
    assert all(share(world, language) > 1.25 * share(usual, language) > 0 for language in ("en", "zh"))


def test_a_chinese_question_about_a_text_is_answered_in_a_sentence_in_training_only(world):
    def plain(split, language):
        return [example for example in examples(world, "answer", split, 400, seed=4) if example.kind == "reading"
                and example.facets["format"] == "plain" and example.facets["language"] == language]

    assert {len(example.accept) for example in plain("train", "zh") + plain("test", "zh")} == {1}
    assert all(example.answer.count(" ") > example.accept[0].count(" ") for example in plain("train", "zh"))
    for example in plain("train", "en") + plain("test", "zh"):
        assert example.answer.count(" ") < example.accept[0].count(" ")


def test_a_wanted_number_of_sentences_decides_what_training_tells(world):
    rng = random.Random(4)
    for plot in world.plots.values():
        for ending in ENDINGS:
            for number in range(4, 8):
                told = {choose_steps(plot, ending, rng, number, 0.5, early=True) for _ in range(5)}
                assert len(told) == 1 and (told == {None} or len(*told) == number)
    assert len({tell(world, rng, "dev", "repair", "sad", sentences=6).told for _ in range(30)}) > 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_earlier_questions_are_answered_by_what_was_told(world, language):
    """None of them is about a topic that training leaves out in this language, or about the one that will be asked for."""
    rng = random.Random(5)
    for _ in range(200):
        asked, told = rng.sample(topics(world, language, "train"), 2)
        known = {topic: draw_topic(world, rng, "train", topic) for topic in (asked, told)}
        answer = say(world, rng, told, "answer", known[told], language, "training")
        turns = asked_before(world, rng, language, known, asked)
        assert 1 <= len(turns) <= 3 and {reply for _, reply in turns} <= {answer, NOT_TOLD[language]}
        assert not any(topic in said for said, _ in turns for topic in ("喝", "颜色")), turns


@pytest.mark.parametrize("language", ["en", "zh"])
def test_some_topics_are_talked_about_in_training_alone(world, language):
    new = set(topics(world, language, "train")) - set(topics(world, language, "dev"))
    assert len(new) >= 10 and topics(world, language, "dev") == topics(world, language, "test")
    asked = {split: {example.facets["topic"] for example in examples(world, "chat", split, 1500 if split == "train" else 200, 7, "memory")
                     if example.facets["language"] == language} for split in ("train", "dev", "test")}
    assert new <= asked["train"] and not new & (asked["dev"] | asked["test"])
    rng = random.Random(1)
    for topic, he in (("sister", "she"), ("brother", "he")):
        assert {draw_topic(world, rng, "train", topic)["name"]["he"] for _ in range(40)} == {he}


def test_conversations_of_training_hold_several_questions_and_evaluated_ones_a_single_one(world):
    for kind, answers in (("untold", NOT_TOLD.values()), ("manners", {row["answer"] for row in world.phrasings["manners"]})):
        asked = {split: [sum(message["content"] in answers for message in example.messages) for example in examples(world, "chat", split, 100, 7, kind)]
                 for split in ("train", "dev", "test")}
        assert sum(map(bool, asked["train"])) > 25 and not any(asked["dev"] + asked["test"]), kind


def test_some_requests_of_training_are_typed_carelessly(world):
    """The same letters, some of them small, and no full stop; where an answer repeats a name it stays, and so does every answer."""
    neat = dataclasses.replace(world, practice={**world.practice, "careless": 0.0}, cache={})
    careless = dataclasses.replace(world, practice={**world.practice, "careless": 1.0}, cache={})
    ends, rng, small = ".?!。？！", random.Random(8), 0
    for family, kind in KINDS:
        for example in examples(neat, family, "train", 60, seed=8, kind=kind):
            typed = typed_carelessly(neat, rng, example)
            assert (typed.answer, typed.facets, len(typed.messages)) == (example.answer, example.facets, len(example.messages))
            for before, after in zip(example.messages, typed.messages):
                old, new = before["content"], after["content"]
                assert before == after if before["role"] == "assistant" else old.rstrip(ends + " ").lower() == new.rstrip(ends + " ").lower()
                if family in ("summarise", "translate", "write") or kind in ("reading", "unanswerable", "memory", "untold"):
                    assert old.split()[1:-1] == new.split()[1:-1]  # names above all
                    assert old[0] == new[0] or not is_name(world, re.match("[A-Za-z]+", old)[0])
                small += new == new.lower() != old
    assert small > 100
    how = dataclasses.replace(example, messages=({"role": "user", "content": "How do you do?"},))
    assert {typed_carelessly(neat, rng, how).messages[0]["content"] for _ in range(30)} == {"how do you do?", "How do you do", "how do you do"}
    assert is_name(world, "Tom") and is_name(world, "Blorfy") and not is_name(world, "How") and not is_name(world, "Please")
    neatly = [sum(prompt_text(e)[-1] in ends for e in examples(which, "summarise", "train", 300, seed=8)) for which in (careless, world, neat)]
    assert neatly[0] < neatly[1] < neatly[2]
    assert examples(careless, "answer", "dev", 50, seed=8) == examples(neat, "answer", "dev", 50, seed=8)


def test_some_questions_of_training_have_no_verb(world):
    terse = dataclasses.replace(world, practice={**world.practice, "terse": 1.0}, cache={})
    fact = next(fact for fact in world.facts if fact.relation == "capital" and fact.words["x"]["en"] == "France")
    assert question(terse, fact, random.Random(0)) == "Capital of France?"
    assert {question(terse, fact, random.Random(n), "train") for n in range(30)} == {question(world, fact, random.Random(n), "train") for n in range(30)}


@pytest.mark.parametrize("family, kind, share, shows", [
    ("answer", "reading", "scenes", lambda world, example: example.facets["plot"] in world.scenes),
    ("summarise", "one-paragraph", "scenes", lambda world, example: example.facets["plot"] in world.scenes),
    ("answer", "unanswerable", "remarks", lambda world, example: example.facets["plot"] == "remarks"),
    ("answer", "facts", "digits", lambda world, example: bool(re.search(r"\d", prompt_text(example)))),
    ("write", "story", "anybody", lambda world, example: not any(name in prompt_text(example) for name in example.wants["names"])),
    ("translate", "en-zh", "single", lambda world, example: example.facets["cell"] == "seen" and "pattern" not in example.facets),
    ("translate", "zh-en", "single", lambda world, example: example.facets["cell"] == "seen" and "pattern" not in example.facets)])
def test_what_people_ask_for_is_practised_in_training_alone(world, family, kind, share, shows):
    always, never = (dataclasses.replace(world, practice={**world.practice, "spelling": 0.0, "remarks": 0.0, share: value}, cache={}) for value in (1.0, 0.0))

    def shown(world, split):
        return sum(shows(world, example) for example in examples(world, family, split, 200, seed=9, kind=kind))

    assert shown(always, "train") >= (200 if share != "digits" else 20) and shown(never, "train") == 0
    assert 0 < shown(world, "train") < 120 and shown(always, "dev") == shown(always, "test") == 0


def test_what_only_some_tellings_say_is_asked_for_in_training(world):
    """What somebody wore, how old somebody was, the weather: rarely told, so rarely asked, and then "I don't know."."""
    always, never = (dataclasses.replace(world, practice={**world.practice, "scenes": 0.0, "remarks": 0.0, "details": value}, cache={}) for value in (1.0, 0.0))

    def questions(world, split):
        return [example.natural for example in examples(world, "answer", split, 200, seed=9, kind="reading")]

    often, seldom = (sum(any(f" Question: {start}" in text for start in ("Who wore", "How old", "What was the weather", "How was the weather")) or "wear? Answer" in text
                         for text in questions(one, "train")) for one in (always, never))
    assert often > 80 > 40 > seldom
    assert questions(always, "dev") == questions(never, "dev") and questions(always, "test") == questions(never, "test")


def test_digits_stand_for_the_numbers_that_a_fact_is_about():
    """"Which one is more?" keeps its "one", "two legs or four?" its numbers, of which one is the answer, and twenty-one is one number."""
    for form, given, expected in (("What is {x} plus {z}?", ("twelve", "four"), "What is 12 plus 4?"), ("Which one is more, {x} or {z}?", ("one", "two"), "Which one is more, 1 or 2?"),
                                  ("{x} is followed by which number?", ("twenty-one", ""), "21 is followed by which number?"), ("Two legs or four: {x}?", ("dog", ""), "Two legs or four: dog?")):
        fact = facts.Fact("", {slot: {"en": word} for slot, word in zip("xz", given)}, "train")
        assert fill(form, facts.in_digits(fact).words) == expected


def test_a_question_may_name_what_others_ask_for(world):
    """Only what one fact alone has: many animals have a cub."""
    france, lion = (next(fact for fact in world.facts if fact.relation == relation and fact.words["x"]["en"] == x)
                    for relation, x in (("capital", "France"), ("young", "lion")))
    rng = random.Random(0)
    asked = {facts.reverse_question(world, france, rng) for _ in range(60)}
    assert "Of which country is Paris the capital?" in asked and not any("France" in question for question in asked)
    assert facts.reverse_question(world, lion, rng) is None
    always = dataclasses.replace(world, practice={**world.practice, "reverse": 1.0, "spelling": 0.0, "digits": 0.0}, cache={})
    reversed_ones = [example for example in examples(always, "answer", "train", 300, seed=2, kind="facts") if example.facets["relation"] == "capital"
                     and re.search(r"\b(capital|country)\b", prompt_text(example), re.I) and example.answer.removesuffix(".").split(" is ")[-1] in prompt_text(example)]
    assert reversed_ones and all(example.answer.startswith("The capital of ") and example.facets["format"] == "plain" for example in reversed_ones)


def test_single_words_are_translated_into_words(world):
    words = {(word["en"], word.get("bare", word["zh"])) for tag in translate.WORDS for word in world.words[tag]}
    single = dataclasses.replace(world, practice={**world.practice, "single": 1.0, "careless": 0.0}, cache={})
    for kind, end in (("en-zh", "。"), ("zh-en", ".")):
        for example in examples(single, "translate", "train", 100, seed=4, kind=kind):
            answer = example.answer.removesuffix(end)
            assert any(target == answer.lower() and source in prompt_text(example).lower() for pair in words
                       for source, target in [pair if kind == "en-zh" else pair[::-1]]), example


def test_a_question_that_stands_alone_tells_in_training_nothing_about_its_answer(world):
    """Where known things are asked about with words around and invented ones without, a model learns to refuse all that stands alone."""
    def alone(world, family, split, kind):
        asked = [prompt_text(e) for e in examples(world, family, split, 600, seed=5, kind=kind) if e.facets["language"] == "en" and e.facets.get("format", "plain") == "plain"]
        return sum(bool(re.fullmatch(r"[^.:!?]+\?", prompt)) for prompt in asked) / len(asked)

    invented = dataclasses.replace(world, practice={**world.practice, "invented": 1.0, "spelling": 0.0, "careless": 0.0})
    known, unknown = alone(invented, "answer", "train", "facts"), alone(invented, "refuse", "train", "unknown")
    assert 0.2 < known < 0.55 and unknown == pytest.approx(known, abs=0.08)
    assert alone(world, "answer", "dev", "facts") < 0.2


@pytest.mark.slow
def test_order_of_requests_does_not_matter(world):
    """The cache inside a world holds only what the tables decide."""
    fresh = load_world()
    examples(fresh, "write", "test", 20, seed=1)
    for family in FAMILIES:
        assert examples(world, family, "dev", 30, seed=2) == examples(fresh, family, "dev", 30, seed=2)


def test_other_seed_other_text(world):
    one, other = (list(itertools.islice(pretraining_documents(world, seed), 20)) for seed in (11, 12))
    assert one != other
    assert examples(world, "chat", "train", 20, seed=1) != examples(world, "chat", "train", 20, seed=2)


@pytest.mark.slow
def test_documents_are_short_and_start_every_word_with_a_space(documents):
    for document in documents:
        assert not re.search(r"[{}\[\]|]|  ", document), document
        assert len(document.encode()) <= 900
        # facts in lines of their own begin as answers do
        assert len({line.startswith(" ") for line in document.split("\n")}) == 1, document
    spaced = sum(document.startswith(" ") for document in documents)
    assert 0.8 * len(documents) < spaced < len(documents)


def test_words_that_occur_together_in_evaluation_are_held_out(world):
    """Every evaluated story and sentence holds a pair of words of its own split; training stories and sentences hold none."""
    rng = random.Random(0)
    slots = {pattern.name: pattern.slots for pattern in (*world.patterns, *world.extra_patterns)}
    for split in ("train", "dev", "test"):
        for _ in range(300):
            story = tell(world, rng, split)
            with_plot = [(story.plot.name, story.words["obj"]["en"])] if "obj" in story.words else []
            check_pairs(story.plot.slots, story.words, split, with_plot)
            pair = sentence_pair(world, rng, split)
            check_pairs(slots[pair.pattern], pair.words, split, [])


def check_pairs(slots, words, split, pairs):
    """Rebuild the pairs of a draw and check them."""
    pairs += [pair_of(words[slot.name], words[slot.partner]) for slot in slots if slot.is_pair]
    splits = {split_of(*pair) for pair in pairs}
    assert splits <= {"train", split} and (not pairs or split in splits), (pairs, split)


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_pretraining_text_holds_no_held_out_adjective_and_noun(count, world):
    held_out = {f"{adjective['en']} {form}" for adjective in world.words["adjectives"] for noun in world.words["nouns"]
                if not adjective["takes"].isdisjoint(noun["kinds"]) and split_of(adjective["en"], noun["en"]) != "train"
                for form in (noun["en"], noun["plural"])}
    assert len(held_out) > 500
    rng = random.Random(0)
    for kind in ("stories", "parallel", "dialogue", "howto"):
        for _ in range(count):
            document = MIXTURE[kind][1](world, rng)
            found = set(re.findall(r"(?=\b([a-z]+ [a-z]+)\b)", document)) & held_out
            assert not found, (found, document)


@pytest.mark.slow
def test_names_of_evaluation_are_new(world, trained):
    listed = {name["en"] for name in world.names}
    capitals = {word for seen in trained.values() for example in seen for word in re.findall(r"\b[A-Z][a-z]+\b", prompt_text(example))}
    for split in ("dev", "test"):
        for _ in range(200):
            name = invent_name(random.Random(split + str(_)), split, TRAINED_SHAPES + UNSEEN_SHAPES, world.avoid)
            assert name["en"] not in listed and name["en"] not in capitals


@pytest.mark.slow
def test_a_quarter_of_the_facts_is_never_asked(world, documents, trained):
    held_out = [fact for fact in world.facts if fact.split in ("dev", "test")]
    assert 0.2 <= len(held_out) / sum(fact.split != "extra" for fact in world.facts) <= 0.3
    asked = {facts.question(world, fact, random.Random(seed), split) for fact in held_out for split in ("train", "dev", "test")
             for seed in range(8)}
    for text in [*documents, *(prompt_text(example) for example in trained["answer"])]:
        for question in re.findall(r"[A-Z][^.?:]*\?", text):
            assert question not in asked, text
    stated = {facts.statements(world, fact)[0] for fact in held_out}
    more = itertools.islice(pretraining_documents(world, 22), 8000)     # four documents in ten note facts instead of stating them
    told = {sentence for document in [*documents, *more] for sentence in re.findall(r"[A-Z][^.]*\.", document)}
    assert len(stated & told) > 0.9 * len(stated)


def test_phrasings_of_the_splits_are_disjoint(world):
    for table, rows in world.phrasings.items():
        if "split" not in rows[0]:
            continue
        by_split = {split: {(row.get("kind", ""), row.get("part", ""), wording.lower()) for row in rows if row["split"] == split
                            for wording in all_choices(row["parts"])} for split in ("train", "extra", "dev", "test")}
        for one, other in itertools.combinations(by_split.values(), 2):
            assert one.isdisjoint(other), (table, sorted(one & other)[:5])
    for name, relation in world.relations.items():
        assert len(set(relation.asks["training"])) == len(relation.asks["training"]) >= len(relation.asks["train"]), name
        for one, other in itertools.combinations([relation.asks[split] for split in ("training", "dev", "test")], 2):
            assert set(one).isdisjoint(other), name


@pytest.mark.parametrize("draws", [{"train": 60, "dev": 20, "test": 20}, pytest.param(stats.PROOFS, marks=pytest.mark.slow)])
def test_what_the_splits_show_is_disjoint(draws, world):
    for what, *sizes, both in stats.shared(world, draws):
        assert min(sizes) > 5 and both == 0, what


def test_what_two_splits_show_is_counted(world):
    """Each kind of leak alone: a wording, a form of a question and a fact of training that dev has too."""
    rows = world.phrasings["chat"]
    leak = next(row for row in rows if row["split"] == "train")
    relation = next(relation for relation in world.relations.values() if relation.asks["train"] and relation.asks["dev"])
    asked = next(fact for fact in world.facts if fact.split == "train")
    leaks = {"wordings": {"phrasings": {**world.phrasings, "chat": (*rows, {**leak, "split": "dev"})}},
             "questions for facts": {"relations": {"leak": dataclasses.replace(
                 relation, asks={**relation.asks, "dev": [*relation.asks["dev"], relation.asks["train"][0]]}), **world.relations}},
             "facts asked": {"facts": (*world.facts, dataclasses.replace(asked, split="dev"))}}
    for wanted, changed in leaks.items():
        rows = stats.shared(dataclasses.replace(world, cache={}, **changed), {"train": 2, "dev": 2, "test": 2})
        found = {what: both for what, *_, both in rows}
        assert found[wanted] >= 1 and not any(found[what] for what in leaks if what != wanted), wanted


@pytest.mark.slow
def test_training_leaves_the_held_out_cells_out(world, trained, evaluated):
    assert all(example.facets["cell"] == "seen" for seen in trained.values() for example in seen)
    for family in {name for name, _ in world.held_out_cells}:
        share = [example.facets["cell"] for example in evaluated[family, "test"]].count("held-out") / 400
        assert 0.01 < share < 0.2, family


@pytest.mark.slow
def test_rude_dialogues_and_myths_are_in_the_text(world):
    rude = {wording for row in world.phrasings["rude"] for wording in all_choices(row["parts"])}
    rng = random.Random(0)
    dialogues = [dialogue_document(world, rng) for _ in range(1000)]
    share = sum(any(reply in dialogue for reply in rude) for dialogue in dialogues) / 1000
    assert 0.05 < share < 0.15
    text = "\n".join(facts.fact_document(world, rng) for _ in range(8000))
    for myth in world.myths:
        assert text.count(myth["myth"]) > text.count("In fact, " + myth["truth"]) > 0, myth


def test_unknown_requests_are_refused_in_one_line(world):
    with pytest.raises(ValueError, match="family is 'poems'"):
        examples(world, "poems", "train", 1, seed=0)
    with pytest.raises(ValueError, match="split is 'all'"):
        examples(world, "chat", "all", 1, seed=0)
    with pytest.raises(ValueError, match="kind is 'joke'"):
        examples(world, "chat", "test", 1, seed=0, kind="joke")
    with pytest.raises(ValueError, match="no world tables"):
        load_world("nowhere")


def test_malformed_tables_are_refused_in_one_line(world, tmp_path):
    shutil.copytree(data_folder(), tmp_path / "data", ignore=shutil.ignore_patterns("pretrained", "samples"))
    for name, old, new, words in (("facts/facts.tsv", b"relation", b"relaton", "lacks the column 'relation'"),
                                  ("parallel/patterns.tsv", b"who=names|third", b"who:names|third", "slot 'who:names|third' is not x=tag"),
                                  ("phrasings/translate.tsv", b"[Please ]", b"[Please ", "is never closed in '[Please (translate"),
                                  ("stories/extra.tsv", b"\nlend", b"\nlent", "the plot 'lent' is none of plots.tsv with a slot obj"),
                                  ("lexicon/foods.tsv", b"apple", b"appl\xe9", "foods.tsv is not UTF-8 at byte")):
        path = tmp_path / "data" / name
        right = path.read_bytes()
        path.write_bytes(right.replace(old, new, 1))
        with pytest.raises(ValueError) as raised:
            load_world(tmp_path / "data")
        assert words in str(raised.value) and "\n" not in str(raised.value)
        path.write_bytes(codecs.BOM_UTF8 + right)  # some editors put it there
        assert load_world(tmp_path / "data").facts == world.facts
