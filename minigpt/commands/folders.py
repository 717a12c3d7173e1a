"""Commands that move models between libraries: import and export."""
from pathlib import Path

from minigpt.files import find_folder
from minigpt.interop import huggingface
from minigpt.model import GPT
from minigpt.text.tokenizer import Tokenizer

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "encoder.json")


def add_import_arguments(parser):
    """Flags of `import`."""
    parser.add_argument("model", metavar="FOLDER", help="a model folder in GPT-2's, GPT-NeoX's or Llama's shape, with its tokenizer if it has one")
    parser.add_argument("--no-tokenizer", action="store_true", help="leave its tokenizer out, such as one that is not byte-level BPE")
    _add_output(parser)


def run_import(arguments):
    """Read a folder, prove that our model can hold it, write it back as ours."""
    _convert(arguments, portable=False, with_tokenizer=not arguments.no_tokenizer)


def add_export_arguments(parser):
    """Flags of `export`."""
    parser.add_argument("model", help="a shipped checkpoint or a model folder")
    _add_output(parser)


def run_export(arguments):
    """Write a model so that transformers can load it, or say what it lacks."""
    _convert(arguments, portable=True)


def _add_output(parser):
    parser.add_argument("--out", metavar="FOLDER", required=True, help="where to write it")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="type of the numbers in the file (default float32)")


def _has_tokenizer(folder):
    return any((folder / name).exists() for name in TOKENIZER_FILES)


def _convert(arguments, portable, with_tokenizer=True):
    folder = find_folder(arguments.model)
    if Path(arguments.out).exists() and folder.samefile(arguments.out):
        raise ValueError(f"--out is {arguments.out}, the model's own folder, which would be overwritten; choose another")
    model = GPT.from_pretrained(folder, backend="numpy")
    tok = Tokenizer.load(folder) if with_tokenizer and _has_tokenizer(folder) else None
    if tok is None and _has_tokenizer(Path(arguments.out)):
        raise ValueError(f"{arguments.out} holds a tokenizer, which would be taken for that of this model, which has none; choose another --out")
    huggingface.write_folder(arguments.out, model.config, model.params, tok, dtype=arguments.dtype, portable=portable, stop=model.stop)
    print(f"{model.num_parameters():,} parameters in {arguments.out}" + ("" if tok else ", without a tokenizer"))
