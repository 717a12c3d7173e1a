"""Tokenizer files that the ecosystem reads and writes: tokenizer.json, and GPT-2's vocab.json with merges.txt."""
import json
from pathlib import Path

from minigpt.files import atomic_write, read_bytes, read_json, short, write_json
from minigpt.text.splitting import HAN_RANGES

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
ISOLATE_HAN = {"type": "Split", "pattern": {"Regex": f"[{''.join(f'{chr(a)}-{chr(b)}' for a, b in HAN_RANGES)}]"},
               "behavior": "Isolated", "invert": False}
FILES = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "chat_template.jinja")  # what `write_folder` writes
LARGEST = 2**22  # ids beyond it are a mistake in the file, not a vocabulary
PRE_TOKENIZERS = {"gpt2": BYTE_LEVEL, "han": {"type": "Sequence", "pretokenizers": [ISOLATE_HAN, BYTE_LEVEL]}}


def byte_letters():
    """GPT-2's printable stand-in for each byte: itself if visible in Latin-1, otherwise the next letter from U+0100."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) if byte in visible else chr(0x100 + hidden.index(byte)) for byte in range(256)]


def write_folder(folder, vocabulary, merges, special_tokens, split, model_max_length=None, chat_template=None):
    """Write tokenizer.json, vocab.json, merges.txt, tokenizer_config.json and, if given, chat_template.jinja.

    vocabulary [bytes by id, specials included, None without a token]; merges [(left id, right id)]; special_tokens {text: id}.
    tokenizer.json and tokenizer_config.json are what transformers reads; GPT-2's two files cannot say split="han".
    """
    folder = Path(folder)
    letters = byte_letters()
    names = [token and "".join(letters[byte] for byte in token) for token in vocabulary]
    for text, i in special_tokens.items():
        names[i] = text
    vocab = {name: i for i, name in enumerate(names) if name is not None}
    merge_lines = [f"{names[left]} {names[right]}" for left, right in merges]
    added = [{"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for text, i in sorted(special_tokens.items(), key=lambda item: item[1])]
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": PRE_TOKENIZERS[split], "post_processor": None, "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocab, "merges": merge_lines}})
    write_json(folder / "vocab.json", vocab)
    atomic_write(folder / "merges.txt", "\n".join(["#version: 0.2", *merge_lines, ""]).encode("utf-8"))
    write_json(folder / "tokenizer_config.json", tokenizer_config(special_tokens, model_max_length))
    if chat_template is not None:
        atomic_write(folder / "chat_template.jinja", chat_template.encode("utf-8"))


def tokenizer_config(special_tokens, model_max_length):
    """What transformers wants to know beside tokenizer.json; GPT2Tokenizer would ignore that file's pre-tokenizer."""
    result = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    if model_max_length is not None:
        result["model_max_length"] = model_max_length
    if "<|endoftext|>" in special_tokens:
        result["bos_token"] = result["eos_token"] = result["pad_token"] = "<|endoftext|>"
        result["padding_side"] = "left"  # so that every row of a batch ends where its next token comes
    return result


def has_tokenizer(folder):
    """Whether a folder (Path) holds what `read_folder` would read, or a part of it."""
    return any((folder / name).exists() for name in ("tokenizer.json", "vocab.json", "encoder.json"))


def read_folder(folder):
    """Read tokenizer.json, or else vocab.json (encoder.json) with merges.txt (vocab.bpe).

    -> vocabulary, merges, special_tokens, split as `write_folder` takes them. FileNotFoundError, ValueError name the cure.
    """
    folder = Path(folder)
    if (folder / "tokenizer.json").is_file():
        return parse_tokenizer_json(read_json(folder / "tokenizer.json"), folder / "tokenizer.json")
    for vocab, merges in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        if (folder / vocab).is_file() and (folder / merges).is_file():
            names = read_json(folder / vocab)
            _refuse_more(folder, names)
            return from_names(names, read_merges(folder / merges), None, "gpt2", folder / vocab)
    raise FileNotFoundError(f"no tokenizer in {folder}: it needs tokenizer.json, or vocab.json and merges.txt (from_pretrained takes a shipped model's name)")


def _refuse_more(folder, vocab):
    """ValueError where files beside vocab.json and merges.txt add tokens or settings that these two cannot hold: ids would be others."""
    def read(name):
        found = read_json(folder / name) if (folder / name).is_file() else {}
        if not isinstance(found, dict):
            raise ValueError(f"{folder / name} is no table")
        return found

    settings = read("tokenizer_config.json")
    for option in ("add_prefix_space", "add_bos_token"):
        refuse(folder / "tokenizer_config.json", option, settings.get(option) or False, False)
    more = [*(settings.get("added_tokens_decoder") or {}).values(), *(read("special_tokens_map.json").get("additional_special_tokens") or ())]
    texts = [*read("added_tokens.json"), *(token.get("content") if isinstance(token, dict) else token for token in more)]
    if missing := [text for text in texts if not isinstance(vocab, dict) or text not in vocab]:
        raise ValueError(f"{folder}: the token {short(missing[0])} is added beside vocab.json, which is not supported: "
                         "load the folder with transformers and save it, which writes tokenizer.json")


def read_merges(path):
    """merges.txt -> [[left name, right name]]; GPT-2's `#version` line may be there or not."""
    try:
        lines = read_bytes(path).decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None
    lines = lines[1:] if lines[0].startswith("#version") else lines
    return [line.split(" ") for line in lines if line]


def parse_tokenizer_json(data, path):
    """The parsed tokenizer.json -> vocabulary, merges, special_tokens, split; refuses by name what would give other ids."""
    model = data.get("model") if isinstance(data, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("merges"), list):
        raise ValueError(f"{path}: this is no tokenizer: it has no model with merges")
    refuse(path, "model type", model.get("type", "BPE"), "BPE")
    refuse(path, "normalizer", data.get("normalizer"), None)
    post = data.get("post_processor")
    refuse(path, "post_processor", post.get("type") if isinstance(post, dict) and not _adds_nothing(post) else None, None)
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        refuse(path, option, model.get(option) or None, None)
    added = data.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(token, dict) and isinstance(token.get("content"), str) for token in added):
        raise ValueError(f"{path}: added_tokens holds something without a content")
    for token in added:
        for option, value in (("special", True), ("lstrip", False), ("rstrip", False), ("single_word", False)):
            refuse(path, f"added token {token['content']!r} {option}", token.get(option, value), value)
    pre_tokenizer = data.get("pre_tokenizer")
    splits = [split for split, known in PRE_TOKENIZERS.items() if canonical(pre_tokenizer) == canonical(known)]
    if not splits:
        raise ValueError(f"{path}: pre_tokenizer {json.dumps(pre_tokenizer)[:80]} is not supported: only GPT-2's ByteLevel "
                         "without prefix space, and ours for Chinese, are")
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    parts = from_names(model.get("vocab"), pairs, {token["content"]: token.get("id") for token in added}, splits[0], path)
    for token, i in zip(added, _given_ids(model["vocab"], added)):
        refuse(path, f"added token {token['content']!r} id", token["id"], i)
    return parts


def _given_ids(vocab, added):
    """The ids that the tokenizers library gives to added tokens, whatever the file says: that of the vocabulary, or the next one -> list"""
    known = dict(vocab)
    return [known.setdefault(token["content"], len(known)) for token in added]


def _adds_nothing(post_processor):
    """Whether ids stay as they are: ByteLevel changes offsets alone, and transformers writes templates of nothing but the text."""
    single = post_processor.get("single")
    return post_processor.get("type") == "ByteLevel" or (
        post_processor.get("type") == "TemplateProcessing" and isinstance(single, list) and len(single) == 1
        and isinstance(single[0], dict) and single[0].keys() == {"Sequence"})


def canonical(pre_tokenizer):
    """A pre-tokenizer's description without what does not change ids: offsets, defaults, a sequence of one."""
    if not isinstance(pre_tokenizer, dict):
        return pre_tokenizer
    parts = pre_tokenizer.get("pretokenizers", [])
    if pre_tokenizer.get("type") == "Sequence" and isinstance(parts, list):
        parts = [canonical(part) for part in parts]
        return parts[0] if len(parts) == 1 else parts
    return {"use_regex": True, **{key: value for key, value in pre_tokenizer.items() if key != "trim_offsets"}}


def refuse(path, what, value, wanted):
    """Raise ValueError unless value == wanted."""
    if value != wanted:
        raise ValueError(f"{path}: {what} {json.dumps(value)[:80]} is not supported, only {json.dumps(wanted)} is")


def from_names(vocab, pairs, special_tokens, split, path):
    """Names in byte letters -> vocabulary, merges, special_tokens, split.

    vocab {name: id}; pairs [[left name, right name]]; special_tokens {text: id} or None: whatever no merge makes is special.
    """
    if not isinstance(vocab, dict):
        raise ValueError(f"{path}: the vocabulary is no table of token: id")
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    if missing := [letter for letter in byte_of if letter not in vocab]:
        raise ValueError(f"{path}: no token for byte {byte_of[missing[0]]}: this is not a byte-level vocabulary")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
            raise ValueError(f"{path}: {json.dumps(pair, ensure_ascii=False)[:80]} is not a merge: two tokens are")
        if unknown := [name for name in (*pair, "".join(pair)) if name not in vocab]:
            raise ValueError(f"{path}: the merge {' '.join(pair)!r} needs the token {unknown[0]!r}, which has no id")
    made = {*byte_of, *("".join(pair) for pair in pairs)}
    if foreign := set().union(*made) - byte_of.keys():
        raise ValueError(f"{path}: {min(foreign)!r} occurs in a merge and stands for no byte")
    if special_tokens is None:
        special_tokens = {name: i for name, i in vocab.items() if name not in made}
    if both := made.union(*pairs) & special_tokens.keys():
        raise ValueError(f"{path}: {min(both)!r} is a special and an ordinary token")
    ids = [*vocab.values(), *special_tokens.values()]
    if bad := [i for i in ids if not isinstance(i, int) or isinstance(i, bool) or not 0 <= i < LARGEST]:
        raise ValueError(f"{path}: {bad[0]!r} is not a token id: whole numbers from 0 to {LARGEST - 1} are")
    vocabulary = [None] * (max(ids) + 1)
    for name, i in {**vocab, **special_tokens}.items():
        if vocabulary[i] is not None:
            raise ValueError(f"{path}: id {i} is given to two tokens")
        special = name in special_tokens or any(letter not in byte_of for letter in name)
        vocabulary[i] = name.encode("utf-8") if special else bytes(byte_of[letter] for letter in name)
    ordinary = [vocabulary[i] for i in vocab.values() if i not in special_tokens.values()]
    if b"" in ordinary or len(set(ordinary)) < len(ordinary):
        twice = next(token for n, token in enumerate(ordinary) if not token or token in ordinary[:n])
        raise ValueError(f"{path}: {f'two tokens spell {twice!r}' if twice else 'a token is empty'}: what ids a text has would be undecided")
    return vocabulary, [(vocab[left], vocab[right]) for left, right in pairs], special_tokens, split
