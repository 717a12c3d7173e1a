"""Tokenizer folders: ours come back, GPT-2's files in all their forms are read, everything else is refused by name."""
import json
import random
import re

import pytest
from runs import put
from test_safetensors import mutate_bytes, mutate_tree

from minigpt.text.formats import byte_letters
from minigpt.text.template import CHAT_TEMPLATE, SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer
from tests.texts import TRICKY, random_texts


@pytest.fixture(scope="module", params=["gpt2", "han"])
def tok(request):
    return Tokenizer.train([*random_texts(1, 300), *TRICKY * 3], 500, SPECIAL_TOKENS, split=request.param)


def gpt2_files(folder, version="#version: 0.2\n", names=("encoder.json", "vocab.bpe"), end="\n"):
    """A vocabulary in GPT-2's own order: bytes sorted by stand-in, three merges, <|endoftext|> last."""
    letters = sorted(byte_letters())
    merges = ["Ġ t", "h e", "Ġt he"]
    vocab = {name: i for i, name in enumerate([*letters, *(merge.replace(" ", "") for merge in merges), "<|endoftext|>"])}
    (folder / names[0]).write_text(json.dumps(vocab))
    (folder / names[1]).write_bytes((version + "".join(merge + end for merge in merges)).encode("utf-8"))


def assert_same(a, b):
    assert (a.vocabulary, a.merges, a.special_tokens, a.split) == (b.vocabulary, b.merges, b.special_tokens, b.split)


def test_save_and_load(tok, tmp_path):
    tok.save(tmp_path / "new" / "folder", model_max_length=256, chat_template=CHAT_TEMPLATE)
    again = Tokenizer.load(tmp_path / "new" / "folder")
    assert_same(again, tok)
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {
        "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "chat_template.jinja"}
    config = json.loads((tmp_path / "new" / "folder" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast" and config["model_max_length"] == 256
    assert config["pad_token"] == "<|endoftext|>" and config["padding_side"] == "left"  # prompts of a batch end together
    text = random_texts(7, 1)[0]
    assert again.encode(text, disallowed_special=()) == tok.encode(text, disallowed_special=())


def test_from_pretrained_takes_a_folder_or_a_name(tok, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    tok.save(tmp_path / "pretrained" / "mine")
    assert_same(Tokenizer.from_pretrained("mine"), tok)
    assert_same(Tokenizer.from_pretrained(tmp_path / "pretrained" / "mine"), tok)
    with pytest.raises(FileNotFoundError, match="other"):
        Tokenizer.from_pretrained("other")


def test_saving_is_deterministic(tok, tmp_path):
    tok.save(tmp_path / "a")
    Tokenizer.load(tmp_path / "a").save(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_two_files_of_gpt2_suffice(tok, tmp_path):
    tok.save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    again = Tokenizer.load(tmp_path)
    assert (again.vocabulary, again.merges, again.special_tokens) == (tok.vocabulary, tok.merges, tok.special_tokens)
    assert again.split == "gpt2"


@pytest.mark.parametrize("options", [
    {}, {"version": ""}, {"names": ("vocab.json", "merges.txt")}, {"end": "\r\n", "version": "#version: 0.2\r\n"}])
def test_files_as_gpt2_published_them(tmp_path, options):
    gpt2_files(tmp_path, **options)
    tok = Tokenizer.load(tmp_path)
    assert tok.vocab_size == 260 and tok.special_tokens == {"<|endoftext|>": 259}
    assert tok.encode("the the!") == [tok.encode("t")[0], 257, 258, 0]  # "!" has id 0 in GPT-2's order
    assert tok.decode([0, 258, 259]) == "! the<|endoftext|>"


@pytest.mark.parametrize("name, found, words", [
    ("added_tokens.json", {"<|im_start|>": 260}, "'<|im_start|>' is added beside vocab.json"),
    ("tokenizer_config.json", {"add_prefix_space": True}, "add_prefix_space true"),
    ("tokenizer_config.json", {"add_bos_token": True}, "add_bos_token true"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"260": {"content": "<pad>"}}}, "'<pad>' is added"),
    ("special_tokens_map.json", {"additional_special_tokens": ["<extra>"]}, "'<extra>' is added"),
    ("added_tokens.json", [1], "added_tokens.json is no table")], ids=str)
def test_what_the_two_files_cannot_say_is_refused(name, found, words, tmp_path):
    """transformers would give other ids to such a folder of its earlier days."""
    gpt2_files(tmp_path)
    Tokenizer.load(tmp_path)
    (tmp_path / name).write_text(json.dumps(found))
    with pytest.raises(ValueError, match=re.escape(words)):
        Tokenizer.load(tmp_path)


def test_what_the_two_files_have_already_may_be_named_again(tmp_path):
    gpt2_files(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": False, "model_max_length": 1024}))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": [{"content": "<|endoftext|>"}]}))
    assert Tokenizer.load(tmp_path).special_tokens == {"<|endoftext|>": 259}


@pytest.mark.parametrize("known, added, wrong", [
    ({}, {"<s>": 10}, ("<s>", 10, 0)), ({}, {"</s>": 1, "<s>": 0}, ("</s>", 1, 0)), ({"<s>": 0}, {"<s>": 1}, ("<s>", 1, 0)),
    ({"<s>": 0}, {"<s>": 0, "</s>": 1}, None), ({}, {"<s>": 0, "</s>": 1}, None)], ids=str)
def test_added_tokens_have_the_ids_that_tokenizers_gives_them(known, added, wrong, tok, tmp_path):
    """It goes by the vocabulary and by the order in the file, whatever ids stand there. Numbers here count from the last of the vocabulary."""
    size = tok.vocab_size - len(tok.special_tokens)

    def edit(data):
        for text, i in tok.special_tokens.items():
            data["model"]["vocab"].pop(text)
        assert sorted(data["model"]["vocab"].values()) == list(range(size)), "the specials are the last"
        data["model"]["vocab"].update({text: size + i for text, i in known.items()})
        data["added_tokens"] = [{"content": text, "id": size + i} for text, i in added.items()]

    folder = edited(tok, tmp_path, edit)
    if wrong is None:
        assert Tokenizer.load(folder).special_tokens == {text: size + i for text, i in added.items()}
    else:
        text, given, right = wrong
        with pytest.raises(ValueError, match=f"{re.escape(repr(text))} id {size + given} is not supported, only {size + right} is"):
            Tokenizer.load(folder)


def test_byte_letters_are_those_of_gpt2():
    letters = byte_letters()
    assert letters[ord("a")] == "a" and letters[ord(" ")] == "Ġ" and letters[ord("\n")] == "Ċ" and letters[0] == "Ā"
    assert letters[0xAD] == "Ń" and letters[0xFF] == "ÿ" and len(set(letters)) == 256


def edited(tok, folder, edit):
    """A saved tokenizer.json after edit(parsed)."""
    tok.save(folder)
    data = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    edit(data)
    (folder / "tokenizer.json").write_text(json.dumps(data), "utf-8")
    return folder


def test_of_equal_merges_the_last_counts(tok, tmp_path):
    """As in tokenizers: "abc" with a b, b c, a b is a|bc."""
    vocabulary = [*tok.vocabulary[:256], b"ab", b"bc"]
    twice = Tokenizer(vocabulary, [(97, 98), (98, 99), (97, 98)], {})
    assert twice._plain(["abc"])[0].tolist() == twice._compiled(["abc"])[0].tolist() == [97, 257]


def test_merges_as_pairs_or_strings(tok, tmp_path):
    def as_pairs(data):
        data["model"]["merges"] = [merge.split(" ") for merge in data["model"]["merges"]]

    assert_same(Tokenizer.load(edited(tok, tmp_path, as_pairs)), tok)


@pytest.mark.parametrize("post_processor", [
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {},  # transformers 5 writes it
     "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]}], ids=["ByteLevel", "template"])
def test_what_does_not_change_ids_is_accepted(post_processor, tok, tmp_path):
    def edit(data):
        data["post_processor"] = post_processor
        data["model"].update(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="")
        parts = data["pre_tokenizer"].get("pretokenizers", [data["pre_tokenizer"]])
        parts[-1]["trim_offsets"] = False
        del parts[-1]["use_regex"]  # true is its default
        data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": parts}

    assert_same(Tokenizer.load(edited(tok, tmp_path, edit)), tok)


def set_in(*path):
    """-> a function that puts the last of `path` at the place that the others name."""
    def edit(data):
        *keys, last, value = path
        for key in keys:
            data = data[key]
        data[last] = value
    return edit


@pytest.mark.parametrize("edit, message", [
    (set_in("normalizer", {"type": "NFC"}), "normalizer"),
    (set_in("post_processor", {"type": "TemplateProcessing", "single": []}), "post_processor"),
    (set_in("post_processor", {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]}), "post_processor"),
    (set_in("post_processor", {"type": "RobertaProcessing"}), "post_processor"),
    (set_in("model", "type", "WordPiece"), "WordPiece"),
    (set_in("model", "ignore_merges", True), "ignore_merges"),
    (set_in("model", "byte_fallback", True), "byte_fallback"),
    (set_in("model", "dropout", 0.1), "dropout"),
    (set_in("model", "end_of_word_suffix", "</w>"), "end_of_word_suffix"),
    (set_in("pre_tokenizer", {"type": "Whitespace"}), "pre_tokenizer"),
    (set_in("pre_tokenizer", None), "pre_tokenizer"),
    (set_in("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": True}), "pre_tokenizer"),
    (set_in("added_tokens", 0, "lstrip", True), "lstrip"),
    (set_in("added_tokens", 0, "special", False), "special"),
    (set_in("added_tokens", 0, "id", -3), "-3 is not a token id"),
    (set_in("added_tokens", 0, "id", 7), "id 7 is given to two tokens"),
    (set_in("model", "vocab", "a", True), "True is not a token id"),
    (set_in("model", "vocab", "a", 98), "id 98 is given to two tokens"),
    (set_in("model", "vocab", {"a": 0}), "byte 0"),
    (set_in("model", "merges", 0, "nope a"), "nope"),
    (set_in("model", "merges", 0, "a b c"), '"a", "b", "c"'),
    (set_in("model", "merges", {}), "merges"),
    (set_in("model", "merges", 0, 5), "5 is not a merge"),
    (lambda data: data["model"]["vocab"].update({"中": 600}) or data["model"]["merges"].append("中 中"), "中"),
    (lambda data: data["model"]["vocab"].update({"中": 600, "中中": 601}) or data["model"]["merges"].append("中 中"), "stands for no byte"),
    (set_in("added_tokens", 0, "content", "a"), "'a' is a special and an ordinary"),
    (set_in("added_tokens", 0, "id", 2**40), "not a token id"),
    (set_in("added_tokens", 0, None), "added_tokens"),
    (lambda data: data["added_tokens"][0].pop("id"), "None is not a token id"),
    (set_in("model", "vocab", []), "vocabulary"),
    (set_in("model", None), "model"),
    (set_in("added_tokens", 5), "added_tokens"),
    (set_in("model", "vocab", "", 600), "a token is empty"),
    (lambda data: data["model"]["vocab"].update({"中": 600, "ä¸Ń": 601}), "two tokens spell b'.xe4.xb8.xad'"),
    (set_in("pre_tokenizer", {"type": "Sequence", "pretokenizers": 5}), "pre_tokenizer"),
])
def test_what_would_give_other_ids_is_refused(tok, tmp_path, edit, message):
    with pytest.raises(ValueError, match=message) as caught:
        Tokenizer.load(edited(tok, tmp_path, edit))
    assert "tokenizer.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["Ġt", "a b c", "a  b"])
def test_broken_merge_lines_are_refused(tmp_path, text):
    gpt2_files(tmp_path)
    (tmp_path / "vocab.bpe").write_text("Ġ t\n" + text + "\n", "utf-8")
    with pytest.raises(ValueError, match="encoder.json: .* merge"):
        Tokenizer.load(tmp_path)


def test_merges_that_are_no_text_or_lack_one_are_refused(tmp_path):
    gpt2_files(tmp_path)
    (tmp_path / "vocab.bpe").write_bytes(b"h e\n\xff t\n")
    with pytest.raises(ValueError, match="vocab.bpe: not UTF-8 at byte 4"):
        Tokenizer.load(tmp_path)
    (tmp_path / "vocab.bpe").write_text("h e\nĠt he\n", "utf-8")  # nothing makes Ġt, so it looks like a special token
    with pytest.raises(ValueError, match="'Ġt' is a special and an ordinary token"):
        Tokenizer.load(tmp_path)


FILES = {"tokenizer.json": (), "vocab.json": ("tokenizer.json",), "merges.txt": ("tokenizer.json",)}  # file -> those not to be there


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("tok", ["han", pytest.param("gpt2", marks=pytest.mark.slow)], indirect=True)
def test_400_damaged_files(name, tok, tmp_path):
    """Each is read, or refused in one line that names a file: nothing else is raised."""
    rng, refused = random.Random(8), 0
    tok.save(tmp_path)
    for other in FILES[name]:
        (tmp_path / other).unlink()
    good = (tmp_path / name).read_bytes()
    for trial in range(200):  # for each of two tokenizers
        data = json.loads(good) if name.endswith("json") and trial % 2 else None
        if data:
            mutate_tree(rng.choice([data, data.get("model", data), {key: data.get(key) for key in ("pre_tokenizer", "added_tokens")}]), rng)
        put(tmp_path / name, json.dumps(data).encode() if data else mutate_bytes(good, rng))
        try:
            Tokenizer.load(tmp_path)
        except ValueError as error:
            refused += 1
            assert str(tmp_path) in str(error) and "\n" not in str(error), error
    assert refused > 40


def test_the_file_says_what_tokenizers_would_guess(tok, tmp_path):
    tok.save(tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    assert data["decoder"] == byte_level and byte_level in (data["pre_tokenizer"], *data["pre_tokenizer"].get("pretokenizers", []))
    added = {token["content"]: token["id"] for token in data["added_tokens"]}
    assert added == tok.special_tokens and added.items() <= data["model"]["vocab"].items()


def test_missing_and_foreign_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="vocab.json and merges.txt"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="tokenizer.json"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("<html>")
    with pytest.raises(ValueError, match="tokenizer.json"):
        Tokenizer.load(tmp_path)


def test_ids_without_a_token(tmp_path):
    """Some vocabularies are padded: what has no token can neither be encoded nor decoded."""
    gpt2_files(tmp_path)
    vocab = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps({**vocab, "<|endoftext|>": 300}))
    tok = Tokenizer.load(tmp_path)
    assert tok.vocab_size == 301 and tok.decode([300]) == "<|endoftext|>"
    with pytest.raises(ValueError, match="299 stands for no token"):
        tok.decode([1, 299])
    tok.save(tmp_path / "again")
    assert_same(Tokenizer.load(tmp_path / "again"), tok)
