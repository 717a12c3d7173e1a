"""Commands that move models between libraries: import and export."""
import dataclasses
from pathlib import Path

import numpy as np

from minigpt.files import find_folder
from minigpt.interop import huggingface, safetensors
from minigpt.model import GPT
from minigpt.text.formats import FILES as TOKENIZER_FILES
from minigpt.text.formats import has_tokenizer
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer
from minigpt.train import checkpoint

CONVERTED = "minigpt.converted"  # in the metadata of weights that import and export wrote


def add_import_arguments(parser):
    """Flags of `import`."""
    parser.add_argument("model", metavar="FOLDER", help="a model folder in GPT-2's, GPT-NeoX's or Llama's shape, with its tokenizer if it has one")
    parser.add_argument("--chat", action="store_true", help="add the chat template's special tokens where they are missing, so that the model can be tuned on instructions")
    parser.add_argument("--no-tokenizer", action="store_true", help="leave its tokenizer out, such as one that is not byte-level BPE")
    _add_output(parser)


def run_import(arguments):
    """Read a folder, prove that our model can hold it, write it back as ours."""
    if arguments.chat and arguments.no_tokenizer:
        raise ValueError("--chat adds tokens to the tokenizer that --no-tokenizer leaves out; leave one of them out")
    _convert(arguments, portable=False, with_tokenizer=not arguments.no_tokenizer, chat=arguments.chat)


def add_export_arguments(parser):
    """Flags of `export`."""
    parser.add_argument("model", help="a shipped checkpoint or a model folder")
    parser.add_argument("--average", metavar="FOLDER", nargs="+", default=[], help="write the mean of the model's weights and those of these, which were tuned from the same model (one named twice counts twice)")
    _add_output(parser)


def run_export(arguments):
    """Write a model so that transformers can load it, or say what it lacks."""
    _convert(arguments, portable=True, average=arguments.average)


def _add_output(parser):
    parser.add_argument("--out", metavar="FOLDER", required=True, help="where to write it")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="type of the numbers in the file (default float32)")


def _tokenizer(folder):
    return Tokenizer.load(folder) if has_tokenizer(folder) else None


def _may_replace(folder):
    """Whether a folder holds no model, or one that was converted, and can be again."""
    weights = folder / huggingface.WEIGHTS
    return CONVERTED in safetensors.read_metadata(weights) if weights.exists() else not any((folder / name).exists() for name in huggingface.MODEL_FILES)


def spare_tokenizer(folder, tok):
    """ValueError where a folder holds another tokenizer than `tok`, by which it would be overwritten, or files of such names without one;
    a run that goes on keeps its own."""
    if checkpoint.exists(folder):
        return
    if not has_tokenizer(folder):
        spare(folder, TOKENIZER_FILES)
    elif _tokenizer(folder) != tok:
        raise ValueError(f"--out is {folder}, which holds another tokenizer that would be overwritten; choose another")


def spare(folder, names):
    """ValueError where a folder holds one of the files, which something else has written there."""
    for name in names:
        if (folder / name).exists():
            raise ValueError(f"{folder / name} would be overwritten; choose another --out, or move it away")


def with_chat_tokens(model, tok):
    """Add the chat template's special tokens that are missing -> GPT, Tokenizer

    Their rows of the embedding and of the output layer are the mean of the others: no token is nearer to what the model knows.
    """
    huggingface.check_pair(model.config, tok)  # before the model is enlarged
    missing = [text for text in SPECIAL_TOKENS if text not in tok.special_tokens]
    if not missing:
        return model, tok
    old, new = tok.vocab_size, tok.vocab_size + len(missing)
    specials = {**tok.special_tokens, **{text: old + i for i, text in enumerate(missing)}}
    larger = GPT(dataclasses.replace(model.config, vocab_size=max(model.config.vocab_size, new)), backend=model.backend)
    larger.stop = model.stop
    for name, values in model.params.items():
        larger.params[name][: len(values)] = values
        if name in ("wte.weight", "lm_head.weight"):
            larger.params[name][old:new] = values[:old].mean(axis=0)  # (C,)
    return larger, Tokenizer([*tok.vocabulary, *(text.encode("utf-8") for text in missing)], tok.merges, specials, tok.split)


def mean_model(models):
    """The model whose weights are the mean of several models' (Wortsman et al. 2022, "Model soups") -> GPT

    Models that were tuned from the same one, each on other examples, make different mistakes, which often cancel in part; that they come
    from the same one is not checked. ValueError if their shapes differ.
    """
    mean = models[0].copy()
    for model in models[1:]:
        if model.config != mean.config:
            raise ValueError(f"models of different shapes have no mean: {model.config} and {mean.config}")
    for name, values in mean.params.items():
        values[...] = np.mean([model.params[name] for model in models], axis=0, dtype=np.float64)
    return mean


def _convert(arguments, portable, with_tokenizer=True, chat=False, average=()):
    folder, *others = map(find_folder, (arguments.model, *average))
    if Path(arguments.out).exists() and any(one.samefile(arguments.out) for one in (folder, *others)):
        raise ValueError(f"--out is {arguments.out}, the model's own folder, which would be overwritten; choose another")
    if checkpoint.exists(Path(arguments.out)) or (Path(arguments.out) / "train.json").exists():  # what was converted can be again
        raise ValueError(f"--out is {arguments.out}, which holds a trained model that would be overwritten; choose another")
    if not _may_replace(Path(arguments.out)):
        raise ValueError(f"--out is {arguments.out}, which holds a model of other origin that would be overwritten; choose another")
    model = GPT.from_pretrained(folder, backend="numpy")
    try:
        tok = _tokenizer(folder) if with_tokenizer else None
    except ValueError as error:
        raise ValueError(f"{error}{'' if portable else '; --no-tokenizer leaves it out'}") from None
    for other in others:
        if _tokenizer(other) != tok:
            raise ValueError(f"{other} has another tokenizer than {folder}, so their weights have no mean; leave it out of --average")
    if others:
        model = mean_model([model, *(GPT.from_pretrained(other, backend="numpy") for other in others)])
    if tok is None and has_tokenizer(Path(arguments.out)):
        raise ValueError(f"{arguments.out} holds a tokenizer, which would be taken for that of this model, which has none; choose another --out")
    if chat:
        if tok is None:
            raise ValueError(f"{folder} has no tokenizer to which --chat could add tokens; leave --chat out")
        model, tok = with_chat_tokens(model, tok)
    if not (Path(arguments.out) / "config.json").exists():  # no model, which may be converted anew
        spare_tokenizer(Path(arguments.out), tok)
        spare(Path(arguments.out), ["generation_config.json"])
    huggingface.write_folder(arguments.out, model.config, model.params, tok, {CONVERTED: "1"}, arguments.dtype, portable, model.stop)
    print(f"{model.num_parameters():,} parameters in {arguments.out}" + ("" if tok else ", without a tokenizer"))
