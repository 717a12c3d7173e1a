"""Pretraining: predict the next token of text. Where the knowledge comes from."""
import math
from pathlib import Path

from minigpt.files import read_bytes
from minigpt.show.progress import Progress
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.train import checkpoint
from minigpt.train.batches import batch_at, document_stream, rows_from_stream, whole_rows
from minigpt.train.trainer import Run, evaluate_loss, train
from minigpt.world import pretraining_documents

VALIDATION_SEED = 1_000_003  # documents drawn from another seed than any training run uses
VALIDATION_ROWS = 64
END = SPECIAL_TOKENS[0]  # between the documents of a text file


def world_rows(world, tok, tokens, T, seed, label=None):
    """Documents of the world, packed -> training Rows of about `tokens` tokens, validation Rows.

    label: of a progress line, if any.
    """
    tokens = max(math.ceil(tokens), T + 1)
    return (_rows(pretraining_documents(world, seed), tok, T, tokens, Progress(label, tokens).update),
            _rows(pretraining_documents(world, VALIDATION_SEED), tok, T, VALIDATION_ROWS * T))


def text_rows(path, tok, T):
    """A UTF-8 text file, its first 90 % to train on and the rest to validate -> Rows, Rows

    Where documents are parted by <|endoftext|>, none sees another.
    """
    text = read_text(path)
    cut = len(text) * 9 // 10
    if not text.replace(END, "").strip():
        raise ValueError(f"{path} holds no text; give another file")
    inside = text.find(END, max(0, cut - len(END) + 1), cut + len(END) - 1)
    cut = cut if inside < 0 else inside
    rows = []
    for part, which in ((text[:cut], "the first nine tenths, to train on"), (text[cut:], "the last tenth, for validation")):
        try:
            rows.append(_rows(_documents(part), tok, T))
        except ValueError as error:
            raise ValueError(f"{path}, {which}: {error}") from None
    return tuple(rows)


def _documents(text):
    return [part for part in text.split(END) if part.strip()] or [""]


def _rows(documents, tok, T, tokens=math.inf, watch=None):
    ids, first = document_stream(documents, tok, tokens, watch)
    return rows_from_stream(ids, T, first)


def read_text(path):
    """A UTF-8 text file without its byte-order mark, line ends as \\n. ValueError names the first byte that is not UTF-8."""
    data = read_bytes(path)
    try:
        return data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 at byte {error.start}; convert it, for example with `iconv -f latin1 -t utf-8 OLD > NEW`") from None


def pretrain(model, rows, validation, config, folder=None, expected=None, goes_on=False):
    """Train model on rows (Rows), log the loss on `validation` -> log. config: TrainConfig; folder: where the run is kept; expected: see Run.

    goes_on: the model has been trained before, so a run that is resumed must begin with the same one.
    """
    T = rows.tokens.shape[1] - 1
    config = whole_rows(config, T)
    per_step = config.batch_tokens // T
    about = {"stage": "pretrain", "data": checkpoint.fingerprint(rows.tokens, rows.starts, validation.tokens)}
    about |= {"base": checkpoint.fingerprint(model.params.flat)} if goes_on else {}

    def on_eval(step, model):
        return {"validation_loss": evaluate_loss(model, validation, VALIDATION_ROWS)}

    return train(model, config, Run("pretraining", lambda step: batch_at(step, rows, per_step, config.seed),
                                    folder and Path(folder), about, on_eval, expected or {}))
