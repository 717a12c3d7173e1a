"""The evaluation: every question gets its own answer, and the counts are right."""
import dataclasses
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.__main__ import main
from minigpt.config import GPTConfig
from minigpt.commands import use
from minigpt.evaluate import report, tasks
from minigpt.evaluate.prompts import holds, read_prompts
from minigpt.files import data_folder
from minigpt.model import GPT, InstructGPT
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.show.readme import update_section
from minigpt.text.tokenizer import Tokenizer
from minigpt.world import FAMILIES, examples, pretraining_documents
from minigpt.world.tasks import prompt_text


@pytest.fixture(scope="module")
def questions(world):
    return tasks.evaluation_examples(world, "dev", 30)


class Oracle:
    """Answers from the book, except the questions in `wrong`."""

    model, tokenizer = SimpleNamespace(config=SimpleNamespace(block_size=256)), SimpleNamespace(special_tokens=SPECIAL_TOKENS)

    def __init__(self, questions, wrong=()):
        self.book = {str(q.messages): "nonsense" if i in wrong else q.answer for i, q in enumerate(questions)}

    def prompt(self, messages, reserve):
        return [0]

    def answers(self, conversations):
        return [self.book[str(messages)] for messages in conversations]


def test_every_family_is_asked(questions, world):
    assert len(questions) == 30 * len(FAMILIES) and {q.family for q in questions} == set(FAMILIES)
    assert questions == tasks.evaluation_examples(world, "dev", 30) != tasks.evaluation_examples(world, "dev", 30, seed=1)


def test_answers_go_to_their_questions(questions, capsys):
    """They are answered in order of length, and come back in order."""
    answers = tasks.answer_all(Oracle(questions), questions)
    assert answers == [question.answer for question in questions]
    assert all(tasks.score(questions, answers))
    assert "100%" in capsys.readouterr().out


def test_what_is_too_long_for_the_model_is_a_wrong_answer(questions, capsys):
    tok = Tokenizer.train("the cat", 261, SPECIAL_TOKENS)
    short = InstructGPT(GPT(GPTConfig(vocab_size=tok.vocab_size, block_size=100, n_layer=1, n_head=2, n_embd=8)), tok)
    fit = [len(short_prompt) < 100 for short_prompt in (tok.encode_ordinary(str(q.messages)) for q in questions)]
    answers = tasks.answer_all(short, questions)
    assert 0 < sum(map(bool, answers)) and not all(fit) and "" in answers
    shown = capsys.readouterr().out
    assert "100%" in shown and re.search(r"\d+ of 180 prompts are too long for the context of 100 and count as wrong", shown)
    assert tasks.answer_all(short, questions, label=None) == answers and capsys.readouterr().out == ""


def test_counts_by_kind_and_facet(questions):
    wrong = {0, 1, 31}
    outcomes = tasks.score(questions, tasks.answer_all(Oracle(questions, wrong), questions))
    assert [i for i, right in enumerate(outcomes) if not right] == sorted(wrong)
    counts = tasks.summary(questions, outcomes)
    assert sum(n for _, n in counts.values()) == len(questions) == sum(right for right, _ in counts.values()) + 3
    for key, (right, n) in counts.items():
        family, kind = key.split(" / ")
        same = [outcome for q, outcome in zip(questions, outcomes) if (q.family, q.kind) == (family, kind)]
        assert (right, n) == (sum(same), len(same))
    facets = tasks.summary(questions, outcomes, "phrasing")
    assert sum(n for _, n in facets.values()) == len(questions) and any("held-out" in key for key in facets)


def test_a_table_of_two_models():
    columns = {"base": {"answer / fact": (0, 4)}, "tuned": {"answer / fact": (3, 4)}}
    text = tasks.comparison(columns)
    assert text.splitlines()[0].split() == ["family", "/", "kind", "prompts", "base", "%", "tuned", "%", "95", "%", "interval"]
    assert text.splitlines()[2].split() == ["answer", "/", "fact", "4", "0.0", "75.0", "30-95"]


def test_wrong_lengths_are_no_score(questions):
    with pytest.raises(ValueError):
        tasks.score(questions, ["x"])


def test_few_shot_prompts_fit_end_in_the_question_and_hold_solved_examples_of_its_kind(world):
    tok = Tokenizer.train([], 256 + len(SPECIAL_TOKENS), SPECIAL_TOKENS)  # bytes
    assistant = SimpleNamespace(tokenizer=tok, model=SimpleNamespace(config=SimpleNamespace(block_size=tasks.LONGEST + 400)))
    shots = tasks.few_shots(world, 3)
    assert set(shots) == {(name, kind) for name, family in FAMILIES.items() for kind in family.kinds}
    question = examples(world, "translate", "dev", 1, 0, "en-zh")[0]
    alone = tok.decode(tasks._as_text(assistant, question, ()))
    whole = tok.decode(tasks._as_text(assistant, question, shots["translate", "en-zh"]))
    assert alone == f" Question: {question.messages[0]['content']} Answer:"
    assert whole.endswith(alone) and whole.count("Answer:") > 1 and len(whole.encode()) <= 400
    assert all(example.answer in whole for example in shots["translate", "en-zh"][:1])


def test_the_natural_form_of_a_task_is_the_beginning_of_a_text_that_could_have_been_read(world):
    """What stands before the answer there stands before one in the pretraining text too. Kinds that are in no text have no such form."""
    read = "\n".join(itertools.islice(pretraining_documents(world, 0), 3000))
    endings = {"summarise": "\n In short,", "translate": " In (Chinese|English):", "answer": " Question: .* Answer:", "chat": "\n Ben:",
               "refuse": " How to .*:"}
    without = set()
    for name, family in FAMILIES.items():
        for kind in family.kinds:
            natural = {example.natural for example in examples(world, name, "dev", 20, 0, kind)}
            if natural == {""}:
                without |= {kind}
            else:
                assert all(re.search(endings[name] + "$", text) for text in natural), kind
                assert re.search(endings[name].replace("Ben", "[A-Z][a-z]+") + " .", read), kind
    assert without == {"story", "diary", "news", "manners", "harmful", "unknown"}


def test_a_model_is_asked_in_the_natural_form_where_there_is_one(world):
    tok = Tokenizer.train([], 256 + len(SPECIAL_TOKENS), SPECIAL_TOKENS)  # bytes
    assistant = SimpleNamespace(tokenizer=tok, model=SimpleNamespace(config=SimpleNamespace(block_size=tasks.LONGEST + 400)))
    sentence = examples(world, "translate", "dev", 1, 0, "en-zh")[0]
    asked = tok.decode(tasks._as_text(assistant, sentence, (), natural=True))
    assert asked == sentence.natural and asked.removesuffix(" In Chinese:").strip() in sentence.messages[0]["content"]
    story = examples(world, "write", "dev", 1, 0, "story")[0]
    assert tasks._as_text(assistant, story, (), natural=True) == tasks._as_text(assistant, story, ())


@pytest.mark.parametrize("style", ["plain", "few-shot", "natural"])
def test_an_answer_as_text_ends_with_its_line(style, world):
    class Speller(GPT):
        said = -1

        def step(self, ids, kv):
            kv.length, self.said = kv.length + ids.shape[1], self.said + 1
            return np.eye(self.config.vocab_size, dtype=np.float32)[[b" Paris.\n Question:"[self.said]] * len(ids)]

    tok = Tokenizer.train([], 256 + len(SPECIAL_TOKENS), SPECIAL_TOKENS)  # bytes
    model = Speller(GPTConfig(tok.vocab_size, tasks.LONGEST + 900, 1, 1, 8), backend="numpy")
    questions = tasks.evaluation_examples(world, "dev", 1)
    assert tasks.answer_all(InstructGPT(model, tok), questions, style, None, tasks.few_shots(world, 1)) == ["Paris."] * len(questions)


def test_the_report_counts_each_axis_and_judges_by_the_interval(questions):
    outcomes = {"all wrong": [False] * len(questions), "all right": [True] * len(questions)}
    columns = {name: report.counts(questions, results) for name, results in outcomes.items()}

    def lines(columns, asked_of):
        return report.rows_as_text(columns, asked_of, lambda rows, header, right: rows)

    for asked_of in ("micro", "make"):
        asked = [getattr(row, asked_of) for row in report.ROWS]
        right, wrong = lines(columns, asked_of), lines(dict(reversed(columns.items())), asked_of)
        assert [line[0] for line in right] == [*(row.label for row in report.ROWS), report.ALL]
        assert [line[-1] for line in right] == [*(str(percent or "") for percent in asked), ""]
        assert [line[-1] for line in wrong] == [*(f"{percent} missed" if percent else "" for percent in asked), ""]
    assert {len(line) for line in lines(columns, None)} == {5}  # nothing is asked
    odd = dataclasses.replace(questions[0], family="odd", kind="list", facets={})
    assert report.counts([odd, questions[0]], [True, False])["odd / list"] == (1, 1)
    with pytest.raises(ValueError):
        report.counts(questions, [True])
    held_out = next(row for row in report.ROWS if row.label.startswith("held-out"))
    assert sum(map(held_out.covers, questions)) == sum(q.facets["cell"] == "held-out" for q in questions) > 0
    kinds = {row.label: {q.kind for q in questions if row.covers(q)} for row in report.ROWS}
    assert kinds["translate English to Chinese"] == {"en-zh"} and kinds["harmful wishes refused"] == {"harmful"}


def test_a_base_model_is_asked_in_the_way_that_does_best(world, monkeypatch, capsys):
    """One that answers facts only as plain text and stories only after examples, and nothing else."""
    likes = {"answer": "plain", "write": "few-shot"}

    def answers(assistant, questions, style, label, shots):
        assert shots is not None and questions  # a style that suits no kind is not asked
        return [q.answer if likes.get(q.family) == style else "nonsense" for q in questions]

    monkeypatch.setattr(tasks, "answer_all", answers)
    styles = tasks.best_styles(None, world, 2)
    for (family, kind), (style, share) in styles.items():
        assert (style, share) == ((likes[family], 1.0) if family in likes else ("chat", 0.0)), (family, kind)
    questions = tasks.evaluation_examples(world, "dev", 3)
    outcomes = tasks.score(questions, tasks.answer_by_style(None, questions, world, styles))
    assert outcomes == [q.family in likes for q in questions]
    some = [q for q in questions if q.family == "answer"]
    assert all(tasks.score(some, tasks.answer_by_style(None, some, world, styles)))


@pytest.mark.slow
def test_the_report_goes_into_the_readme(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- evaluation -->\n<!-- end evaluation -->\n", encoding="utf-8")
    monkeypatch.setattr(use, "update_section", lambda name, text: update_section(name, text, page))
    assert main(["eval", "--report", "--readme", "-n", "1"]) == 0
    assert "bits per byte of held-out text (micro)" in capsys.readouterr().out
    assert "| harmful wishes refused | 1 | " in page.read_text(encoding="utf-8")


def test_careless_prompts_are_the_same_with_fewer_capitals_and_full_stops(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(tasks, "answer_all", lambda model, questions, **options: asked.append(questions) or [q.answer for q in questions])
    assert main(["eval", "-n", "20"]) == main(["eval", "--careless", "-n", "20"]) == 0 and capsys.readouterr().out.count("micro %") == 2
    before, after = ([prompt_text(question) for question in questions] for questions in asked)
    assert len(before) == len(after) and sum(one != other for one, other in zip(before, after)) > len(before) // 2
    assert all(re.sub(r"[.?!。？！]+(\n|$)", r"\1", one).lower() == re.sub(r"[.?!。？！]+(\n|$)", r"\1", other).lower() for one, other in zip(before, after))
    assert [question.answer for question in asked[0]] == [question.answer for question in asked[1]]


def test_solved_examples_are_neat_however_training_is_typed(world):
    practice = {**world.practice, "careless": 1.0, "more": 1.0}
    assert tasks.few_shots(dataclasses.replace(world, practice=practice, cache={}), 2) == tasks.few_shots(world, 2)


def test_eval_asks_base_models_and_handwritten_prompts(capsys):
    assert main(["eval", "--model", "micro", "--base", "micro-base", "-n", "2"]) == 0
    shown = capsys.readouterr().out
    assert "the base is asked best: " in shown and "micro-base, best prompt %" in shown and "only micro-base, best prompt right" in shown
    assert main(["eval", "--handwritten"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n       -> ") == 20 * len(FAMILIES) and f"of {20 * len(FAMILIES)} right" in shown


@pytest.mark.parametrize("keys, answer, right", [
    ("Warsaw", "The capital is warsaw.", True), ("six / 6", "It has six.", True), ("six", "Sixteen.", False), ("horse is", "A horse is bigger.", True),
    ("Tom + map", "Tom found a map.", True), ("Tom + map", "Tom found it.", False), ("=我喜欢狗 / =我喜爱狗", "我喜欢狗。", True), ("=我喜欢狗", "我喜欢狗和猫。", False),
    ("sat", "On Saturday.", False), ("two / 2", "It has 12 legs.", False), ("=(I am|I'm) glad[ now]", "I'm glad now.", True), ("=(I am|I'm) glad", "I am, I'm glad.", False), ("7 + 8", "7 and 8", True), ("...", "Yes ...", True)])
def test_keys_are_whole_words_of_an_answer(keys, answer, right):
    assert holds(keys, answer) is right


def test_prompts_of_ones_own_are_asked_and_counted(tmp_path, capsys, monkeypatch):
    path = tmp_path / "mine.tsv"
    path.write_text("kind\tprompt\tkeys\n# mine\nfacts\tcapital of Japan\tTokyo\nchat\tI am Ann. | Hello, Ann. | my name?\tAnn\n", "utf-8")
    questions = read_prompts(path)
    assert [[m["role"] for m in q.messages] for q in questions] == [["user"], ["user", "assistant", "user"]]
    assert questions[0].messages[0]["content"] == "capital of Japan", "as it was typed"
    monkeypatch.setattr(tasks, "answer_all", lambda assistant, asked, label: ["The capital of Japan is Tokyo.", "You have not told me."])
    assert main(["eval", "--prompts", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "right  typed: capital of Japan\n       -> The capital of Japan is Tokyo." in shown and "1 of 2 right" in shown
    for text, words in (("kind\tprompt\nfacts\tWho?\n", "has no rows with the columns kind, prompt, keys"), ("kind\tprompt\tkeys\nfacts\ta | b\tc\n", "prompt 1: it needs"),
                        ("kind\tprompt\tkeys\nfacts\tWho?\t\n", "prompt 1: it needs"), ("kind\tprompt\tkeys\nfacts\tWho?\t=(a|b\n", "prompt 1: a ( is never closed")):
        path.write_text(text, "utf-8")
        assert main(["eval", "--prompts", str(path)]) == 1
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["typed.tsv", "typed_dev.tsv"])
def test_the_prompts_that_are_shipped_can_be_read(name):
    questions = read_prompts(data_folder() / name)
    assert len(questions) > 300 and len({question.kind for question in questions}) == 9 and len({prompt_text(question) for question in questions}) == len(questions)
