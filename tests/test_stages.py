"""The stages' data: text files and conversations in, rows out; what is wrong with a file is said in one line."""
import dataclasses
import itertools
import json
import math
import shutil

import numpy as np
import pytest
from runs import SMALL, STAGES, command, digest, refused, straight

from minigpt.__main__ import main
from minigpt.commands import stages
from minigpt.config import SFT, GPTConfig, TrainConfig
from minigpt.interop import safetensors
from minigpt.interop.huggingface import MODEL_FILES
from minigpt.model import GPT
from minigpt.nn.gpt import Transformer
from minigpt.text.template import GREEN, GREY, RESET, SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer
from minigpt.train import checkpoint, optim, pretrain, sft, trainer
from minigpt.train.batches import Rows
from minigpt.world import FAMILIES, Example

CHAT = [{"role": "user", "content": "Who reads?"}, {"role": "assistant", "content": "Mary reads."}]


@pytest.fixture(scope="module")
def tok():
    return Tokenizer.train(["Mary reads a book. Who reads? " * 5], 300, SPECIAL_TOKENS, split="han")


@pytest.mark.parametrize("data, text", [
    (b"\xef\xbb\xbfone\r\ntwo", "one\ntwo"), ("一本书\n".encode(), "一本书\n"), (b"", "")])
def test_a_text_file_loses_its_mark_and_its_carriage_returns(data, text, tmp_path):
    (tmp_path / "a.txt").write_bytes(data)
    assert pretrain.read_text(tmp_path / "a.txt") == text


def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc\xff")
    with pytest.raises(ValueError, match="byte 3") as error:
        pretrain.read_text(tmp_path / "a.txt")
    assert "\n" not in str(error.value)


def test_a_text_is_cut_into_training_and_validation(tmp_path, tok):
    text = " ".join(str(n) for n in range(2000))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    rows, validation = pretrain.text_rows(tmp_path / "a.txt", tok, 16)
    assert text.startswith(tok.decode(rows.tokens[0].tolist()))
    assert text[len(text) * 9 // 10 :].startswith(tok.decode(validation.tokens[0].tolist()))
    with pytest.raises(ValueError, match="17"):
        pretrain.text_rows(_write(tmp_path, "short"), tok, 16)


def test_a_text_is_not_cut_inside_the_mark_between_documents(tmp_path, tok):
    for spaces in range(1, 20):
        path = _write(tmp_path, "Mary reads a book. " * 35 + "<|endoftext|>" + "Who reads? " * 6 + " " * spaces)
        rows, validation = pretrain.text_rows(path, tok, 16)
        assert not {"<", ">", "|"} & set(tok.decode([*rows.tokens.ravel().tolist(), *validation.tokens.ravel().tolist()]).replace("<|endoftext|>", ""))


def test_documents_of_a_text_do_not_see_each_other(tmp_path, tok):
    """As TinyStories parts them: the mark becomes its token, and is never spelt."""
    path, end = _write(tmp_path, "Mary reads a book.\n<|endoftext|>\nWho reads?<|endoftext|>\n" * 30), tok.special_tokens["<|endoftext|>"]
    rows, _ = pretrain.text_rows(path, tok, 16)
    assert "<|endoftext|>" not in tok.decode([i for i in rows.tokens.ravel().tolist() if i != end])
    ends = np.argwhere(rows.tokens[:, :-2] == end)  # whoever stands behind one sees nothing before it
    assert len(ends) > 5 and all(rows.starts[r, t + 1] == t + 1 for r, t in ends)


def test_pretraining_goes_on_from_a_model(kit, tmp_path, capsys):
    """With its shape and tokenizer, which nothing else may choose, and a run of it is resumed from that model only."""
    base, out = straight(kit, "pretrain"), tmp_path / "further"
    more = ["pretrain", "--text", f"{kit}/text.txt", "--backend", "numpy", "--tokens", "512", "--batch-tokens", "128", "--eval-every", "4", "--lr", "0.0005"]
    assert main([*more, "--model", str(base), "--out", str(out)]) == 0
    before, after = trainer.read_log(base), trainer.read_log(out)
    assert after[0]["loss"] < before[0]["loss"] and GPT.from_pretrained(out).config == GPT.from_pretrained(base).config
    assert (out / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    refused(capsys, [*more, "--model", str(straight(kit, "sft")), "--out", str(out)], "base")
    for flags in (["--preset", "nano"], ["--n-layer", "5"], ["--tokenizer", f"{kit}/tok"], ["--vocab-size", "400"]):
        refused(capsys, [*more, "--model", str(base), "--out", str(tmp_path / "x"), *flags], "--model has its own shape and tokenizer")


def test_a_trained_model_may_go_on_with_dropout(kit, tmp_path, capsys):
    base = GPT.from_pretrained(kit / "base").config
    assert base.dropout == 0.0
    more = ["pretrain", "--model", f"{kit}/base", "--text", f"{kit}/text.txt", "--backend", "numpy", "--tokens", "256", "--batch-tokens", "128", "--dropout", "0.2"]
    assert main([*more, "--out", f"{tmp_path}/further"]) == 0
    assert main(command(kit, "sft", tmp_path / "tuned", "--dropout", "0.2")) == 0
    for name in ("further", "tuned"):
        assert GPT.from_pretrained(tmp_path / name).config == dataclasses.replace(base, dropout=0.2)
    assert trainer.read_log(tmp_path / "tuned")[0]["loss"] != trainer.read_log(kit / "tuned")[0]["loss"]
    refused(capsys, [*more, "--out", f"{tmp_path}/x", "--dropout", "1"], "dropout is 1.0")


def test_a_tokenizer_that_lies_there_is_not_overwritten(kit, tmp_path, capsys):
    """Neither by a run nor by a conversion nor by another tokenizer; the same one may be written again."""
    make = ["tokenizer", "--text", f"{kit}/text.txt", "--out", f"{tmp_path}/tok", "--vocab-size"]
    assert main([*make, "280"]) == main([*make, "280"]) == 0
    before = (tmp_path / "tok" / "tokenizer.json").read_bytes()
    for command_line in ([*make, "290"], command(kit, "pretrain", tmp_path / "tok"), command(kit, "sft", tmp_path / "tok"), ["export", f"{kit}/base", "--out", f"{tmp_path}/tok"]):
        refused(capsys, command_line, "holds another tokenizer that would be overwritten")
    assert (tmp_path / "tok" / "tokenizer.json").read_bytes() == before
    (tmp_path / "tok" / "train.json").write_text("{}")
    refused(capsys, [*make, "280"], "belongs to a run whose tokenizer would be replaced")


def test_other_conversations_of_the_same_tokens_are_other_data(tok, tmp_path):
    """One conversation of two turns, or two of one: only where they begin tells them apart."""
    model, settings = GPT(GPTConfig(vocab_size=tok.vocab_size, block_size=32, n_layer=1, n_head=2, n_embd=8), backend="numpy"), TrainConfig(tokens=64, batch_tokens=32, replay=0.0)
    rows = Rows(np.arange(99, dtype=np.int32).reshape(3, 33), np.zeros((3, 33), np.int32), np.ones((3, 33), np.float32))
    sft.tune(model.copy(), rows, None, settings, tmp_path)
    later = rows.starts.copy()
    later[:, 20:] = 20
    with pytest.raises(ValueError, match="was trained with data"):
        sft.tune(model.copy(), dataclasses.replace(rows, starts=later), None, settings, tmp_path)


def test_a_model_that_no_run_made_is_not_overwritten(kit, tmp_path, capsys):
    """Not by another training, by a tokenizer, or by its own copy of half the precision."""
    shutil.copytree(kit / "base", tmp_path / "theirs", ignore=shutil.ignore_patterns(checkpoint.FILE))
    for stage in STAGES:
        refused(capsys, command(kit, stage, tmp_path / "theirs"), "was not trained there and would be overwritten")
    for stage, name in itertools.product(STAGES, MODEL_FILES):  # either file alone stands for a model, whatever lies beside it
        shutil.copytree(tmp_path / "theirs", tmp_path / stage / name, ignore=shutil.ignore_patterns(*set(MODEL_FILES) - {name}))
        refused(capsys, command(kit, stage, tmp_path / stage / name), "was not trained there and would be overwritten")
    refused(capsys, ["tokenizer", "--text", f"{kit}/text.txt", "--out", f"{tmp_path}/theirs"], "holds a model whose tokenizer would be replaced")
    refused(capsys, ["export", f"{tmp_path}/theirs", "--out", f"{tmp_path}/theirs", "--dtype", "float16"], "the model's own folder")


def test_a_path_that_begins_with_a_tilde_is_in_the_home_folder(kit, tmp_path, monkeypatch):
    """The shell expands --out ~/x, but not --out=~/x."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(kit / "tok", tmp_path / "theirs")
    assert main(["tokenizer", "--model=~/theirs", "--out=~/ours"]) == 0
    Tokenizer.from_pretrained("~/ours").save("~/again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "ours", "theirs"]


def test_run_overwrites_nothing_that_it_has_not_written(kit, tmp_path, capsys):
    run = ["run", "--preset", "nano", "--pretrain-tokens", "300", "--sft-tokens", "300", "-n", "1", "--out"]
    for stage, name in itertools.product(("base", "tuned"), MODEL_FILES):
        shutil.copytree(kit / "base", tmp_path / stage / name / stage, ignore=shutil.ignore_patterns(checkpoint.FILE, *set(MODEL_FILES) - {name}))
        refused(capsys, [*run, str(tmp_path / stage / name)], "was not trained there and would be overwritten")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text('{"mine": 1}')
    refused(capsys, [*run, f"{tmp_path}/report"], "was not written by a run")
    shutil.copytree(kit / "tok", tmp_path / "pair" / "tokenizer", ignore=shutil.ignore_patterns("tokenizer.json"))
    refused(capsys, [*run, f"{tmp_path}/pair"], "was made for an unknown world")


def test_models_that_do_not_fit_have_no_mean(kit, tmp_path, capsys):
    config = GPT.from_pretrained(kit / "base").config
    GPT(config).save_pretrained(tmp_path / "bare")
    tok = Tokenizer.load(kit / "base")
    GPT(dataclasses.replace(config, n_layer=config.n_layer + 1)).save_pretrained(tmp_path / "larger", tok)
    GPT(config).save_pretrained(tmp_path / "merged", Tokenizer(tok.vocabulary, tok.merges[:-1], tok.special_tokens, tok.split))
    for other, message in (("bare", "has another tokenizer than"), ("merged", "has another tokenizer than"), ("larger", "models of different shapes have no mean")):
        refused(capsys, ["export", f"{kit}/base", "--average", f"{tmp_path}/{other}", "--out", f"{tmp_path}/mean"], message)
    refused(capsys, ["export", f"{kit}/base", "--average", f"{tmp_path}/bare", "--out", f"{tmp_path}/bare"], "the model's own folder")
    assert not (tmp_path / "mean").exists()


@pytest.mark.parametrize("name", ["log.jsonl", "train.json", "best.safetensors"])
def test_a_file_that_no_run_wrote_is_not_overwritten(kit, name, tmp_path, capsys):
    """Such as the data that are trained on; a log that a run left without weights may be begun anew."""
    (tmp_path / "mine" / name).parent.mkdir()
    shutil.copy(kit / "chat.jsonl", tmp_path / "mine" / name)
    before = (tmp_path / "mine" / name).read_bytes()
    for stage in STAGES:
        refused(capsys, command(kit, stage, tmp_path / "mine"), f"{name} is no file of a run and would be overwritten")
    assert (tmp_path / "mine" / name).read_bytes() == before
    for stage in STAGES:
        shutil.copytree(straight(kit, stage), tmp_path / stage, ignore=shutil.ignore_patterns(checkpoint.FILE, *MODEL_FILES))
        assert main(command(kit, stage, tmp_path / stage)) == 0


@pytest.mark.parametrize("name", ["curves.png", "generation_config.json", "merges.txt", "tokenizer_config.json", "chat_template.jinja"])
def test_a_file_of_the_user_that_would_get_in_the_way_is_kept(kit, name, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    commands = [command(kit, stage, tmp_path) for stage in STAGES]
    if name != "curves.png":
        commands.append(["export", f"{kit}/base", "--out", str(tmp_path)])
    if name not in ("curves.png", "generation_config.json"):
        commands.append(["tokenizer", "--text", f"{kit}/text.txt", "--vocab-size", "261", "--out", str(tmp_path)])
    for argv in commands:
        refused(capsys, argv, f"{name} would be overwritten")
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "mine"


def test_what_is_learned_is_not_held_out(kit, tmp_path, capsys):
    (tmp_path / "out.jsonl").write_text((kit / "chat.jsonl").read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    for held_out, count in ((kit / "chat.jsonl", "of the"), (tmp_path / "out.jsonl", "1 of the 1")):
        refused(capsys, ["sft", "--model", f"{kit}/base", "--instructions", f"{kit}/chat.jsonl", "--held-out", str(held_out), "--out", f"{tmp_path}/run"],
                f"{count} conversations of {held_out} are learned too" if count != "of the" else "are learned too")


def test_a_source_is_not_overwritten_by_what_it_makes(kit, tmp_path, capsys):
    for name in ("merges.txt", "curves.png"):
        shutil.copy(kit / "text.txt", tmp_path / name)
        refused(capsys, ["pretrain", "--text", f"{tmp_path}/{name}", "--out", str(tmp_path)], f"{name} would be overwritten")
    refused(capsys, ["tokenizer", "--text", f"{tmp_path}/merges.txt", "--out", str(tmp_path)], "merges.txt would be overwritten")
    assert (tmp_path / "merges.txt").read_bytes() == (kit / "text.txt").read_bytes()


def test_the_smallest_run_has_something_to_read(world, tok):
    assert len(sft.world_conversations(world, 1, 0)) == len(world.families)
    rows, _ = pretrain.world_rows(world, tok, 1, 64, 0)
    assert len(rows.tokens) >= 1


def _write(folder, text):
    (folder / "short.txt").write_text(text, encoding="utf-8")
    return folder / "short.txt"


def test_the_worlds_rows_depend_on_the_seed_and_validation_does_not(tok, world):
    first, validation = pretrain.world_rows(world, tok, 4000, 64, seed=1)
    same, _ = pretrain.world_rows(world, tok, 4000, 64, seed=1)
    other, again = pretrain.world_rows(world, tok, 4000, 64, seed=2)
    np.testing.assert_array_equal(first.tokens, same.tokens)
    np.testing.assert_array_equal(validation.tokens, again.tokens)
    assert not np.array_equal(first.tokens[:20], other.tokens[:20])
    assert not {row.tobytes() for row in first.tokens} & {row.tobytes() for row in validation.tokens}
    assert 4000 <= first.tokens[:, 1:].size + 64 <= 4000 + 64 + 901  # a longest document more
    assert (first.tokens == tok.special_tokens["<|endoftext|>"]).any()


@pytest.mark.slow
def test_what_is_replayed_may_be_ones_own_text(kit, tmp_path, monkeypatch, capsys):
    """Then nothing of the world is needed."""
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    refused(capsys, command(kit, "sft", tmp_path / "a"), "no world tables")
    for name, flags in (("own", ["--text", kit / "text.txt"]), ("none", ["--replay", "0"])):
        assert main(command(kit, "sft", tmp_path / name, *flags)) == 0
    assert len({digest(folder) for folder in (tmp_path / "own", tmp_path / "none", straight(kit, "sft"))}) == 3


def test_a_batch_without_room_for_replay_is_refused_before_examples_are_drawn(kit, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sft, "world_conversations", lambda *_: pytest.fail("drawn before the batch was checked"))
    flags = ["--model", f"{kit}/base", "--out", f"{tmp_path}/run", "--tokens", "4096", "--batch-tokens", "32"]
    refused(capsys, ["sft", *flags], "one row, which leaves none for replay", "at least 64")


def test_a_conversation_that_is_too_long_is_refused_with_its_line(kit, tmp_path, capsys):
    long = [{"role": "user", "content": "Who reads? " * 40}, CHAT[1]]
    path = _write(tmp_path, json.dumps({"messages": CHAT}) + "\n\n\n" + json.dumps({"messages": long}) + "\n")
    refused(capsys, ["sft", "--model", f"{kit}/base", "--instructions", str(path), "--out", f"{tmp_path}/run"], "line 4: the conversation has", "context of 32 holds 33")


def test_the_base_models_own_folder_is_not_overwritten(kit, tmp_path, capsys):
    shutil.copytree(kit / "base", tmp_path / "base", ignore=shutil.ignore_patterns(checkpoint.FILE))
    refused(capsys, ["sft", "--model", f"{tmp_path}/base", "--instructions", f"{kit}/chat.jsonl", "--out", f"{tmp_path}/base"], "would be overwritten")


def test_flags_that_a_ready_tokenizer_would_ignore_are_refused(kit, capsys):
    refused(capsys, ["tokenizer", "--model", f"{kit}/tok", "--vocab-size", "300", "--show", "x"], "--model takes a tokenizer as it is")
    refused(capsys, ["tokenizer", "--split", "gpt2", "--show", "x"], "--split is gpt2")
    refused(capsys, ["sft", "--model", f"{kit}/base", "--held-out", f"{kit}/chat.jsonl"], "--held-out goes with --instructions")
    refused(capsys, command(kit, "pretrain", "x", "--vocab-size", 300), "--tokenizer has its own number of tokens")
    refused(capsys, ["tokenizer", "--text", f"{kit}/text.txt", "--vocab-size", "0", "--show", "x"], "vocab_size 0 is below 256")


@pytest.mark.slow
def test_a_tuning_run_keeps_the_settings_that_it_ran_with(kit, tmp_path):
    """With rows of 32 tokens a batch of 100 is one of 96."""
    assert main(command(kit, "sft", tmp_path / "run", "--batch-tokens", "100", "--tokens", "960")) == 0
    assert json.loads((tmp_path / "run" / "train.json").read_text("utf-8"))["train"]["batch_tokens"] == 96


def test_a_tokenizer_without_the_templates_tokens_is_refused():
    with pytest.raises(ValueError, match="no special token"):
        sft.tuning_rows([CHAT], Tokenizer.train(["Mary reads."], 256), 32)


def test_tuning_rows_count_the_answers(tok):
    rows = sft.tuning_rows([CHAT, CHAT], tok, 63)
    batch = rows.batch(np.arange(len(rows)))
    learned = [int(i) for i in batch.targets[batch.mask > 0]]
    assert tok.decode(learned) == " Mary reads.<|end|>" * 2


def test_the_worlds_rows_are_those_of_its_conversations(world, tok):
    world = dataclasses.replace(world, choice=1)
    ours, all_at_once = sft.world_rows(world, 200, 1, tok, 2047), sft.tuning_rows(sft.world_conversations(world, 200, 1), tok, 2047)
    for name in ("tokens", "starts", "mask"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(all_at_once, name))
    assert ours.mask.dtype == np.float32 and 0 < ours.mask.mean() < 0.6


def test_of_examples_that_are_alike_the_one_with_the_rarest_token_is_tuned_on(tok):
    def example(kind, answer, **facets):
        return Example("answer", kind, ({"role": "user", "content": "Who?"},), answer, facets)

    long = "Mary reads a book."
    drawn = [example(kind, answer) for kind, answer in (("a", "Mary."), ("b", "Mary."), ("a", long), ("a", "Tom."), ("b", "Tim."), ("a", long))]
    seen = np.zeros(tok.vocab_size, np.int64)
    assert list(sft.rarest(iter(drawn), 1, tok, seen.copy())) == drawn
    seen[tok.encode_ordinary(" Mary.")] = 5
    assert list(sft.rarest(iter(drawn), 2, tok, seen)) == [drawn[3], drawn[4], drawn[2]]  # of two alike the first
    (end,) = tok.encode_ordinary(".")
    assert seen[end] == 8 and seen[tok.encode_ordinary(" Tom")].min() == 1  # it counts on
    drawn = [example("a", answer, topic=topic, name=name) for answer, topic, name in
             (("Mary.", "friend", "listed"), ("Tom.", "pet", "none"), ("Tim.", "friend", "unseen shape"), ("Mary.", "pet", "listed"))]
    assert list(sft.rarest(iter(drawn), 2, tok, seen)) == [drawn[2], drawn[1]]  # one of each topic, whatever the shape of the name


def test_the_choice_of_the_world_evens_out_the_tokens_of_as_many_answers(world):
    tok = Tokenizer.from_pretrained("micro")

    def learned(choice):
        rows = sft.world_rows(dataclasses.replace(world, choice=choice), 3000, 1, tok, 255)
        return np.bincount(rows.tokens[rows.mask > 0], minlength=tok.vocab_size)

    plain, chosen = learned(1), learned(4)
    end = tok.special_tokens["<|end|>"]
    assert 2500 < chosen[end] == pytest.approx(plain[end], rel=0.05)  # as many answers, but for the turns of conversations
    assert (chosen > 0).sum() > 1.05 * (plain > 0).sum()  # of more different tokens


def test_as_many_conversations_are_drawn_as_tokens_are_tuned_on(world):
    """With fewer some would be read again, and no line would say so."""
    config = dataclasses.replace(SFT, tokens=60_000, replay=0.25)
    rows, replay = stages.draw_tuning(dataclasses.replace(world, choice=1), Tokenizer.from_pretrained("micro"), config, 256)
    assert rows.tokens.size == pytest.approx(45_000, rel=0.1) and replay.tokens.size == pytest.approx(15_000, rel=0.05)


def test_conversations_of_the_world_that_fit_no_row_are_left_out(world, tok):
    every, short = (sft.world_rows(world, 60, 1, tok, T) for T in (2047, 255))
    assert 0 < (short.mask > 0).sum() < (every.mask > 0).sum()
    with pytest.raises(ValueError, match="a row holds 9; shorten it or raise block_size"):
        sft.world_rows(world, 60, 1, tok, 8)


def test_drawing_tells_how_far_it_is(world, tok, capsys):
    """A million conversations take minutes; the rows are the same."""
    read, (asked, quiet) = pretrain.world_rows(world, tok, 3000, 64, 1, "drawing text")[0], (sft.world_rows(world, 30, 1, tok, 2047, *label) for label in (["drawing"], []))
    shown = capsys.readouterr().out.splitlines()
    assert [line.split("%")[0] for line in shown if "left" in line] == ["drawing text 100", "drawing 100"]
    np.testing.assert_array_equal(asked.tokens, quiet.tokens)
    np.testing.assert_array_equal(read.tokens, pretrain.world_rows(world, tok, 3000, 64, 1)[0].tokens)


def test_conversations_of_the_world_end_with_an_answer(world):
    found = sft.world_conversations(world, 60, seed=1)
    assert 45 <= len(found) <= 63 and found == sft.world_conversations(world, 60, seed=1)
    assert all(messages[-1]["role"] == "assistant" and messages[-2]["role"] == "user" for messages in found)
    assert found != sft.world_conversations(world, 60, seed=2)


@pytest.mark.slow
def test_tuning_on_some_families_only(kit, tmp_path, capsys):
    """The single-task model that the model of all tasks is compared with; the order of the names decides nothing."""
    def shown(*families):
        flags = ["--families", *families] if families else []
        assert main(["sft", "--model", str(kit / "base"), "--show", "6", *flags]) == 0
        return capsys.readouterr().out

    assert shown(*reversed(FAMILIES), "chat") == shown() != shown("chat")
    refused(capsys, command(kit, "sft", tmp_path / "a", "--families", "chat"), "--families", "--instructions")


def test_conversations_are_read_from_lines(tmp_path):
    path = _write(tmp_path, json.dumps({"messages": CHAT}, ensure_ascii=False) + "\n\n" + json.dumps({"messages": CHAT}) + "\n")
    assert sft.read_conversations(path) == [CHAT, CHAT]


@pytest.mark.parametrize("line, words", [
    ("{", "line 2"), ("[]", "messages"), ('{"messages": []}', "messages"), ('{"messages": [1]}', "role"),
    ('{"messages": [{"role": "robot", "content": "x"}]}', "role"), ('{"messages": [{"role": "user", "content": 1}]}', "content"),
    ('{"messages": [{"role": "user", "content": "x"}]}', "assistant")])
def test_a_bad_line_is_named(line, words, tmp_path):
    path = _write(tmp_path, json.dumps({"messages": CHAT}) + "\n" + line + "\n")
    with pytest.raises(ValueError, match="line 2.*" + words if words != "line 2" else words) as error:
        sft.read_conversations(path)
    assert "\n" not in str(error.value)


def test_the_model_that_did_best_on_dev_is_kept(tmp_path):
    """Of equals the later one: it has learned more."""
    model = Transformer(SMALL, backend="numpy")
    on_eval = stages._keep_best(lambda step, model: {"dev": {1: 0.25, 2: 0.5, 3: 0.5, 4: 0.125}[step]}, tmp_path, "dev", "20 of chat")
    for step in (1, 2, 3, 4):
        model.params.flat[:] = step
        assert on_eval(step, model)["dev"] in (0.25, 0.5, 0.125)
    metadata = safetensors.read_metadata(tmp_path / stages.BEST)
    assert metadata["step"] == "3" and metadata["dev"] == "0.5"
    assert (safetensors.load_file(tmp_path / stages.BEST)["weights"] == 3).all()
    stages._keep_best(lambda step, model: {"dev": 0.125}, tmp_path, "dev", "200 of chat")(5, model)
    assert safetensors.read_metadata(tmp_path / stages.BEST)["step"] == "5", "a lucky score of fewer questions must not keep its place"
    for step in (None, 3, 0):  # of the checkpoint; that of step 0 binds nobody
        if step is not None:
            state = optim.new_state(model.params)
            state.step = step
            checkpoint.save(tmp_path, model, state, SFT, {})
        safetensors.save_file({"weights": model.params.flat}, tmp_path / stages.BEST, metadata)
        stages._keep_best(None, tmp_path, "dev", "20 of chat")
        assert (tmp_path / stages.BEST).exists() == (step == 3), "where the run begins anew, so does the choice"


def test_the_model_with_the_lowest_held_out_loss_is_kept(kit, tmp_path, capsys):
    """Of one's own conversations, which are soon learned by heart."""
    other = [{"messages": [{"role": "user", "content": "What is 1 plus 1?"}, {"role": "assistant", "content": text}]} for text in ("It is 9.", "It is 7.")]
    (tmp_path / "held_out.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in other), encoding="utf-8")
    argv = command(kit, "sft", tmp_path / "out", "--held-out", f"{tmp_path}/held_out.jsonl", "--eval-every", "1", "--lr", "0.05")
    assert main(argv) == 0
    found = [entry["validation_loss"] for entry in trainer.read_log(tmp_path / "out")]
    best = found.index(min(found)) + 1
    assert best < len(found), "where the last is the best, nothing is proven"
    assert f"best on the held-out conversations: step {best} of {len(found)}, {min(found):.3f} nats" in capsys.readouterr().out
    model, tok = GPT.from_pretrained(tmp_path / "out", backend="numpy"), Tokenizer.load(tmp_path / "out")
    rows = sft.tuning_rows([chat["messages"] for chat in other], tok, model.config.block_size)
    assert trainer.evaluate_loss(model, rows) == pytest.approx(min(found), rel=1e-6)


def test_a_gradient_that_is_no_number_fails_the_check(monkeypatch, capsys):
    monkeypatch.setattr(stages.gradcheck, "check_model", lambda model, loss, rng: {"wte.weight": 1e-9, "ln_f.weight": math.nan, "ln_f.bias": 2e-9})
    assert main(["gradcheck"]) == 1
    assert "nan" in (shown := capsys.readouterr().out) and "ln_f.weight" in shown and shown.endswith("FAILED\n")


@pytest.mark.slow
def test_tuning_on_the_world_ends_with_the_best_model_on_dev(tmp_path, capsys):
    argv = ["sft", "--model", "micro-base", "--out", str(tmp_path), "--tokens", "6144", "--eval-every", "3", "--dev", "1", "--lr", "1e-3"]
    assert main(argv) == 0
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    shares = {entry["step"]: entry["dev"] for entry in log if "dev" in entry}
    assert list(shares) == [3, 6] and all(f"dev {name}" in log[2] for name in FAMILIES)
    best = max(shares, key=lambda step: (shares[step], step))
    assert f"best on dev: step {best} of 6" in capsys.readouterr().out
    weights = safetensors.load_file(tmp_path / stages.BEST)["weights"]
    np.testing.assert_array_equal(GPT.from_pretrained(tmp_path).params.flat, weights)
    for foreign in ({"weights": weights[:3]}, {"others": weights}):
        safetensors.save_file(foreign, tmp_path / stages.BEST, {"step": "3", "dev": "0.5", "asked": "1"})
        refused(capsys, argv, "best.safetensors is not of this run; remove it")


def test_what_is_learned_can_be_seen(kit, capsys, monkeypatch):
    """The mask in colour: the question grey, the answer and its end green; without colours where nobody would see them."""
    assert main(["sft", "--model", str(kit / "base"), "--instructions", str(kit / "chat.jsonl"), "--show", "1"]) == 0
    assert "<|assistant|>{+ It is 1.<|end|>+}" in capsys.readouterr().out
    monkeypatch.setattr(stages, "wants_colour", lambda: True)
    assert main(["sft", "--model", str(kit / "base"), "--instructions", str(kit / "chat.jsonl"), "--show", "2", "--out", str(kit / "none")]) == 0
    shown = capsys.readouterr().out
    assert f"{GREY}<|user|> What is 0 plus 1?<|end|><|assistant|>{RESET}{GREEN} It is 1.<|end|>{RESET}" in shown
    assert "What is 1 plus 1?" in shown and "What is 2 plus 1?" not in shown and not (kit / "none").exists()
    refused(capsys, ["sft", "--model", str(kit / "base"), "--show", "0"], "--show is 0")
    refused(capsys, ["sft", "--model", str(kit / "base"), "--dev", "-1"], "--dev is -1")
    refused(capsys, ["sft", "--model", str(kit / "base"), "--instructions", str(kit / "chat.jsonl"), "--dev", "0"], "--dev asks questions of the world")
