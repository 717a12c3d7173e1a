"""One solution for each exercise of lesson 13. Yours may be another."""
import numpy as np


def answer_logprobs(logits, ids, start):
    """logits (N, V) -> log P (N - start,), running sum (N - start,)"""
    rows = logits[start - 1:len(ids) - 1]  # (N - start, V), each one place before the token that it predicts
    shifted = rows - rows.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    logp = logs[np.arange(len(logs)), ids[start:]]
    return logp, logp.cumsum()


def guess_instruction(logp, prior):
    """logp (I, T), prior (I,) -> posterior (T + 1, I)"""
    heard = np.concatenate([np.zeros((len(prior), 1)), logp.cumsum(axis=1)], axis=1)  # (I, T + 1)
    scores = heard + np.log(prior)[:, None]
    weights = np.exp(scores - scores.max(axis=0))
    return (weights / weights.sum(axis=0)).T


def guided(conditional, unconditional, strength):
    """(V,), (V,) -> (V,)"""
    change = np.log(conditional) - np.log(unconditional)
    scores = np.log(unconditional) + strength * change
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def probability_of_any(next_probabilities, answers, end):
    """answers -> float"""
    rows = {}  # beginning -> probabilities of what comes next

    def after(ids):
        if ids not in rows:
            rows[ids] = next_probabilities(ids)
        return rows[ids]

    total = 0.0
    for answer in set(answers):
        p = 1.0
        for t, token in enumerate(answer):
            p *= after(answer[:t])[token]
        total += p * after(answer)[end]
    return float(total)
