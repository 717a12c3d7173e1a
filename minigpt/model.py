"""GPT: the transformer with a file format and a voice. One-liners over the rooms that do the work."""
import dataclasses

import numpy as np

from minigpt.config import ANSWER, GPTConfig, SampleConfig
from minigpt.files import find_folder
from minigpt.interop import huggingface
from minigpt.nn.gpt import Transformer
from minigpt.sample.generate import generate
from minigpt.sample.stopping import TextStream, cut_before, ends_with, listed
from minigpt.text.template import check_messages, render
from minigpt.text.tokenizer import Tokenizer


class GPT(Transformer):
    """A Transformer that can be loaded, saved and sampled from. stop: ids that end a text, as the model folder names them."""

    stop = frozenset()

    @classmethod
    def from_pretrained(cls, name_or_folder, config=None, **options):
        """A shipped checkpoint ("micro") or a model folder (ours, GPT-2, GPT-NeoX or Llama shape). options: dtype, backend.

        config: a GPTConfig that must equal the checkpoint's; None: the checkpoint's.
        """
        folder = find_folder(name_or_folder)
        saved, arrays = huggingface.read_folder(folder)
        if config is not None and config != saved:
            raise ValueError(f"{name_or_folder} was saved with {saved}, the config given is {config}; leave config out")
        model = cls(saved, **options)
        for name in model.params:
            model.params[name] = arrays[name]
        model.stop = huggingface.read_stop(folder)
        return model

    def save_pretrained(self, folder, tokenizer=None, dtype="float32"):
        """Write a model folder that from_pretrained and transformers read; dtype "float16" halves it."""
        huggingface.write_folder(folder, self.config, self.params, tokenizer, dtype=dtype, stop=self.stop)

    def generate(self, ids, max_new_tokens=32, temperature=0.0, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0, seed=None, stop=None):
        """Continue each row. ids (B, T) -> (B, T+n) int32, the prompt included; rows that stop early end in the stop token.

        Greedy unless temperature is above 0; SampleConfig says what the settings mean. stop: ids that end a row; None: the model's own.
        """
        try:
            ids = np.asarray(ids)
        except ValueError:
            raise ValueError("the rows of ids have different lengths; continue them one by one, or with minigpt.sample.generate.generate") from None
        if ids.ndim != 2:
            raise ValueError(f"ids have shape {ids.shape}; they must be (B, T): for one prompt use encode(..., return_tensors='np')")
        config = SampleConfig(max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
                              repetition_penalty=repetition_penalty, seed=seed)
        rows = generate(self, list(ids), config, self.stop if stop is None else stop)
        width = max((len(row.ids + row.stopped) for row in rows), default=0)
        new = np.array([row.ids + row.stopped * (width - len(row.ids)) for row in rows], np.int32).reshape(len(ids), width)
        return np.concatenate([ids.astype(np.int32), new], axis=1)  # (B, T+n)


class InstructGPT:
    """A GPT, its tokenizer and the chat template: instructions in, answers out."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer
        ends = (tokenizer.special_tokens.get(text) for text in ("<|end|>", "<|endoftext|>"))
        self.stop = {*model.stop, *ends} - {None}

    @classmethod
    def from_pretrained(cls, name_or_folder, **options):
        """A shipped checkpoint ("micro") or a folder with a model and its tokenizer."""
        folder = find_folder(name_or_folder)
        model, tok = GPT.from_pretrained(folder, **options), Tokenizer.load(folder)
        huggingface.check_pair(model.config, tok)
        return cls(model, tok)

    def answer(self, text, **settings):
        """The answer to one instruction, as text. Greedy unless settings (fields of SampleConfig) say otherwise."""
        return self.chat([{"role": "user", "content": text}], **settings)

    def chat(self, messages, on_text=None, **settings):
        """The assistant's next message in a conversation, as text. on_text(piece) is called as whole characters appear.

        ValueError unless the user speaks last. What a model says unasked shows `generations([[]])`.
        """
        check_messages(messages)
        if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
            raise ValueError("the last message must be the user's, with what the model should do")
        return self.answers([messages], on_text=on_text, **settings)[0]

    def answers(self, conversations, on_text=None, stop_texts=(), **settings):
        """The assistant's next message in each of several conversations, generated side by side -> list of texts.

        stop_texts: where one of them appears, the answer ends before it.
        """
        stop_texts = listed(stop_texts)
        rows = self.generations(conversations, on_text, stop_texts, **settings)
        return [cut_before(self.tokenizer.decode(row.ids, skip_special_tokens=True), stop_texts).strip() for row in rows]

    def generations(self, conversations, on_text=None, stop_texts=(), **settings):
        """Like `answers`, with ids (those of a stop text too) and log-probabilities -> list of Generation"""
        config = dataclasses.replace(ANSWER, **settings)
        prompts = [self.prompt(messages, config.max_new_tokens) for messages in conversations]
        stop_texts = listed(stop_texts)
        ends = ends_with(self.tokenizer, stop_texts, skip_special_tokens=True)
        stream = TextStream(self.tokenizer, on_text, stop_texts) if on_text else None
        rows = generate(self.model, prompts, config, self.stop, on_token=stream and stream.push, ends=ends, vocab_size=self.tokenizer.vocab_size)
        if stream:
            stream.finish()
        return rows

    def prompt(self, messages, reserve=0):
        """The ids that a conversation becomes; its oldest turns are dropped until `reserve` tokens fit behind it, or a quarter of the context."""
        messages, limit = list(messages), self.model.config.block_size
        turns = [render([message], self.tokenizer)[0] for message in messages]
        answer, _ = render([], self.tokenizer, add_generation_prompt=True)
        asked = [i for i, message in enumerate(messages) if message["role"] == "user"]
        first = oldest = next((i for i, message in enumerate(messages) if message["role"] != "system"), len(messages))  # what the system says stays
        length = sum(map(len, [*turns, answer]))
        for later in asked:
            if length + min(reserve, limit // 4) > limit:  # without a question and its answer
                length -= sum(map(len, turns[oldest:later]))
                oldest = max(oldest, later)
        ids = sum((*turns[:first], *turns[oldest:], answer), [])
        if len(ids) >= limit:
            raise ValueError(f"the message has {len(ids)} tokens with its template; the context is {limit}: shorten it")
        return ids
