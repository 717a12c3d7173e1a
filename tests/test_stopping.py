"""Stop texts: the answer ends before them, and what is streamed is what is answered."""
import numpy as np
import pytest

from minigpt.__main__ import main
from minigpt.config import GPTConfig
from minigpt.model import GPT, InstructGPT
from minigpt.nn.gradcheck import perturb
from minigpt.sample.stopping import TextStream, cut_before, ends_with
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer

ASKED = [{"role": "user", "content": "Who reads?"}]


@pytest.fixture(scope="module")
def tok():
    return Tokenizer.train(["Mary reads a book. 玛丽读书。 Who reads? " * 5], 290, SPECIAL_TOKENS, split="han")


@pytest.mark.parametrize("stops, left", [((), "one two, three"), (("two",), "one "), (("three", ", "), "one two"), (("four",), "one two, three"), (("one",), "")])
def test_text_is_cut_before_the_first_stop_text(stops, left):
    assert cut_before("one two, three", stops) == left


def streamed(tok, text, stops):
    """What is shown of a text that arrives byte by byte."""
    pieces = []
    stream = TextStream(tok, pieces.append, stops)
    for byte in text.encode():
        stream.push(0, byte)  # the first 256 ids are the bytes
        stream.push(1, 65)  # another row is not shown
    stream.finish()
    return pieces


@pytest.mark.parametrize("stops, shown", [(("ab",), "a"), (("apan", "Jxx"), "aJ")])
def test_what_stands_before_a_stop_text_is_shown_though_it_looks_like_the_beginning_of_one(stops, shown):
    tok = Tokenizer.train(["aab aJapan" * 20], 290, SPECIAL_TOKENS, split="han")
    pieces = []
    stream = TextStream(tok, pieces.append, stops)
    token = tok.encode_ordinary("aab" if stops == ("ab",) else "aJapan")
    assert len(token) == 1, "both arrive together"
    stream.push(0, token[0])
    stream.finish()
    assert "".join(pieces) == shown


@pytest.mark.parametrize("stops", [(), ("END",), ("ENDED", "E."), ("书。", "\n\n"), ("nd",), ("a",)])
@pytest.mark.parametrize("text", [" an ENDEND of 读书。\n\nEND", " nothing EN", " EEND", "aaa", "读E", ""])
def test_the_pieces_are_the_text_up_to_the_stop_text(tok, text, stops):
    assert "".join(streamed(tok, text, stops)) == cut_before(text, stops).lstrip()


def test_only_what_may_become_a_stop_text_waits(tok):
    assert streamed(tok, "to EN", ("END",)) == ["t", "o", " ", "EN"]
    assert streamed(tok, "EXE", ("END",)) == ["EX", "E"]


def test_an_empty_stop_text_is_refused(tok):
    with pytest.raises(ValueError, match="stop text is empty"):
        ends_with(tok, ["x", ""])


def test_a_stop_text_is_found_in_what_is_shown(tok):
    with pytest.raises(ValueError, match="single text 'END'"):
        ends_with(tok, "END")
    ids = [*b"ab", tok.special_tokens["<|user|>"], *b"cd"]
    assert ends_with(tok, ["xx", "b<|user|>"])(ids) and not ends_with(tok, ["bc"])(ids)
    assert ends_with(tok, ["xx", "bc"], skip_special_tokens=True)(ids) and not ends_with(tok, ["b<|user|>"], skip_special_tokens=True)(ids)


def test_answers_end_before_a_stop_text(tok):
    """A model that babbles: its own text tells what to stop at."""
    config = GPTConfig(vocab_size=tok.vocab_size, block_size=64, n_layer=1, n_head=2, n_embd=16)
    assistant = InstructGPT(perturb(GPT(config, dtype="float64"), np.random.default_rng(3)), tok)
    settings = {"temperature": 1.0, "seed": 1, "max_new_tokens": 40}
    whole = assistant.chat(ASKED, **settings)
    stop = whole[len(whole) // 2 :][:2]
    pieces = []
    answer = assistant.chat(ASKED, on_text=pieces.append, stop_texts=[stop], **settings)
    assert answer == whole[: whole.index(stop)].strip() and "".join(pieces).strip() == answer
    assert assistant.chat(ASKED, stop_texts=iter([stop]), **settings) == answer
    with pytest.raises(ValueError, match="single text"):
        assistant.chat(ASKED, stop_texts=stop, **settings)
    short, long = (assistant.generations([ASKED], stop_texts=stops, **settings)[0] for stops in ([stop], []))
    assert short.finish == "stop" and long.ids[: len(short.ids)] == short.ids and len(short.ids) < len(long.ids)


def test_a_wrong_instruction_that_does_not_fit_is_refused_before_the_answer_is_written(capsys):
    assert main(["answer", "What is the capital of Japan?", "--explain", "--wrong", "word " * 500]) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and "--wrong: the message has" in shown.err


def test_the_commands_stop_too(capsys):
    assert main(["answer", "What is the capital of France?", "--stop", "is", "--stop", "aris"]) == 0
    shown = capsys.readouterr().out
    assert shown.strip() and "is" not in shown
    assert main(["sample", "--prompt", " Tom", "--seed", "0", "--stop", ".", "-n", "2", "--max-new-tokens", "30"]) == 0
    assert "." not in capsys.readouterr().out
