"""One solution for each exercise of lesson 00. Yours may be another."""
import numpy as np

from minigpt import render


def token_log_probabilities(gpt, instruction, answer):
    """-> log P of each token that the assistant writes, <|end|> included"""
    ids, mask = render([{"role": "user", "content": instruction}, {"role": "assistant", "content": answer}], gpt.tokenizer)
    logits, _ = gpt.model.forward(np.array([ids]))  # (1, T, V)
    scores = logits[0, :-1].astype(float)  # what was said before tokens 1 to T - 1
    scores -= scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    each = log_p[np.arange(len(ids) - 1), ids[1:]]  # (T - 1,)
    return each[np.array(mask[1:]) == 1]


def answer_log_probability(gpt, instruction, answer):
    """-> float, nats"""
    return float(token_log_probabilities(gpt, instruction, answer).sum())


def best_instruction(gpt, instructions, answer):
    """-> index"""
    return int(np.argmax([answer_log_probability(gpt, instruction, answer) for instruction in instructions]))


def choose(gpt, question, options):
    """-> index"""
    return int(np.argmax([token_log_probabilities(gpt, question, option).mean() for option in options]))


def converse(gpt, lines, window):
    """-> list of replies"""
    messages, replies = [], []
    for line in lines:
        messages.append({"role": "user", "content": line})
        replies.append(gpt.chat(messages[max(0, len(messages) - 1 - 2 * window):]))
        messages.append({"role": "assistant", "content": replies[-1]})
    return replies
