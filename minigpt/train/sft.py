"""Instruction tuning: the same loss, on answers only (Ouyang et al. 2022, section 3.5). Where the manners come from."""
import codecs
import dataclasses
import random
from collections import defaultdict
from itertools import islice
from pathlib import Path

import numpy as np

from minigpt.files import parse_json, read_bytes
from minigpt.show.progress import Progress
from minigpt.text.template import check_messages, render
from minigpt.train import checkpoint
from minigpt.train.batches import batch_at, join, pack, whole_rows
from minigpt.train.trainer import Run, train
from minigpt.world import example_stream
from minigpt.world.tasks import mix

LENGTH = 8  # answers are of one length when their characters, divided by this, are as many


def world_conversations(world, n, seed):
    """About n conversations from the world's training split, families mixed by their weights -> list of message lists."""
    return _draw(world, n, seed, lambda messages: messages)


def world_rows(world, n, seed, tok, T, label=None):
    """`tuning_rows` of about n conversations of the world, of which only the tokens are kept: as text a million take 3 GB -> Rows

    Of every world.choice that are alike one is used: see `rarest`. Those longer than a row, as a small vocabulary makes them, are
    left out; ValueError where none fits. label: of a progress line, if any.
    """
    seen = np.zeros(tok.vocab_size, np.int64)
    chosen = _draw(world, n, seed, lambda messages: _encode(messages, tok), lambda examples: rarest(examples, world.choice, tok, seen), label)
    fitting = [encoded for encoded in chosen if len(encoded[0]) <= T + 1]
    return pack(fitting or chosen, T, tok.special_tokens["<|endoftext|>"])  # which says what is wrong where none fits


def _draw(world, n, seed, form, choose=iter, label=None):
    """form(messages) of every conversation that `choose` takes from its family's stream, in random order -> list"""
    found, counts = [], mix(world, n)
    progress = Progress(label, sum(counts.values()), unit="conversations")
    for name, count in counts.items():
        for example in islice(choose(example_stream(world, name, "train", seed)), count):
            found.append(form([*example.messages, {"role": "assistant", "content": example.answer}]))
            progress.update(len(found))
    random.Random(seed).shuffle(found)
    return found


def rarest(examples, choice, tok, seen):
    """Of every `choice` examples that are alike the one whose rarest answer token was seen least often -> iterator

    seen (V,): in how many answers each token was, which counts on. A token that only a few names or words are cut into is learned too seldom to
    be copied. Alike are examples of one kind and length, all of whose facets but the name agree: of any length long ones would be
    chosen, for they have more tokens; of any topic the one whose fixed answer has the rarest word.
    """
    groups = defaultdict(list)
    for example in examples:
        facets = tuple(value for facet, value in example.facets.items() if facet != "name")
        group = groups[example.kind, len(example.answer) // LENGTH, facets]
        group.append((example, np.array(tok.encode_ordinary(f" {example.answer}"))))
        if len(group) == choice:
            example, ids = min(group, key=lambda pair: seen[pair[1]].min())
            seen[ids] += 1
            group.clear()
            yield example


def read_conversations(path, check=None):
    """A JSONL file, one {"messages": [{"role", "content"}, ...]} per line -> list of message lists. ValueError names the line.

    check(messages), if given, may refuse a conversation by a ValueError.
    """
    found = []
    for number, line in enumerate(read_bytes(path).removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        if not line.strip():
            continue
        try:
            messages = _checked(parse_json(line))
            if check:
                check(messages)
            found.append(messages)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not found:
        raise ValueError(f'{path} holds no conversation; write one {{"messages": [...]}} per line')
    return found


def _checked(record):
    messages = record.get("messages") if isinstance(record, dict) else None
    if not isinstance(messages, list) or not messages:
        raise ValueError('it needs {"messages": [...]} with at least one message')
    check_messages(messages)
    if messages[-1]["role"] != "assistant":
        raise ValueError('the last message must be the assistant\'s: it is what the model learns to write')
    if not messages[-1]["content"].strip():
        raise ValueError("the last message, the assistant's, is empty: the model would learn to say nothing")
    return messages


def check_length(messages, tok, T):
    """ValueError where a conversation does not fit a row of T+1 tokens."""
    if (length := len(render(messages, tok)[0])) > T + 1:
        raise ValueError(f"the conversation has {length} tokens with its template; a row of the model's context of {T} holds {T + 1}: shorten it")


def tuning_rows(conversations, tok, T):
    """Conversations -> Rows of whole examples side by side, the mask on the assistant's words. Too long ones are refused by number."""
    render([], tok)  # refuses a tokenizer without the special tokens of the template
    return pack((_encode(messages, tok) for messages in conversations), T, tok.special_tokens["<|endoftext|>"])


def _encode(messages, tok):
    """What `render` makes of a conversation, as the arrays that `pack` keeps -> ids (n,) int32, mask (n,) bool"""
    ids, mask = render(messages, tok)
    return np.array(ids, np.int32), np.array(mask, bool)


def share(replayed, answers, part):
    """The replayed Batch with its tokens weighted so that they make `part` of the loss beside the answers -> Batch

    Every replayed token is a target, of a conversation only the answer: unweighted, a quarter of the rows would be most of the loss.
    """
    weight = part / (1.0 - part) * answers.tokens() / max(replayed.tokens(), 1.0)
    return dataclasses.replace(replayed, mask=replayed.mask * np.float32(weight))


def replay_rows(config, T):
    """How many rows of T tokens of each batch are replayed text: config.replay of them, at least one; answers keep one -> int"""
    per_step = config.batch_tokens // T
    if not config.replay:
        return 0
    if per_step <= 1:
        raise ValueError(f"batch_tokens is {T}, one row, which leaves none for replay: give at least {2 * T}, or replay 0")
    return min(max(1, round(per_step * config.replay)), per_step - 1)


def tune(model, rows, replay, config, folder=None, on_eval=None, expected=None):
    """Tune model on rows (Rows of answers), with config.replay of each batch from `replay` (Rows of pretraining text, or None).

    Replay keeps what pretraining taught: without it, tuning pays an alignment tax on everything that it does not mention.
    """
    T = rows.tokens.shape[1] - 1
    config = whole_rows(config, T)
    per_step, old = config.batch_tokens // T, 0 if replay is None else replay_rows(config, T)
    arrays = [array for data in (rows, replay) if data is not None for array in (data.tokens, data.starts, data.mask)]
    about = {"stage": "sft", "base": checkpoint.fingerprint(model.params.flat), "data": checkpoint.fingerprint(*arrays)}

    def batch(step):
        new = batch_at(step, rows, per_step - old, config.seed)
        return join(new, share(batch_at(step, replay, old, config.seed + 1), new, min(config.replay, old / per_step))) if old else new

    return train(model, config, Run("tuning", batch, folder and Path(folder), about, on_eval, expected or {}))
