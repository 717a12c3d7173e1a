"""One solution for each exercise of lesson 12. Yours may be another."""
import numpy as np


def next_token_lists(ids, mask, starts):
    """ids, mask, starts (N) -> inputs, targets, weights (N - 1)"""
    weights = [mask[t + 1] if starts[t + 1] == starts[t] else 0 for t in range(len(ids) - 1)]
    return ids[:-1], ids[1:], weights


def read_back(ids, roles, end):
    """ids -> list of (role, content ids, ended)"""
    messages, content = [], None  # content: of the message that is open
    for i in ids:
        if (content is None) != (i in roles):
            raise ValueError(f"id {i} stands {'outside' if content is None else 'inside'} a message")
        if i in roles:
            role, content = roles[i], []
        elif i == end:
            messages.append((role, content, True))
            content = None
        else:
            content.append(i)
    return messages + ([(role, content, False)] if content is not None else [])


def best_fit(lengths, room):
    """lengths -> rows of numbers"""
    rows, free = [], []
    for number in sorted(range(len(lengths)), key=lambda i: -lengths[i]):  # sorted keeps the order of equal ones
        fits = [r for r in range(len(rows)) if free[r] >= lengths[number]]
        if not fits:
            rows.append([])
            free.append(room)
        r = min(fits, key=lambda r: free[r]) if fits else len(rows) - 1
        rows[r].append(number)
        free[r] -= lengths[number]
    return rows


def equal_conversations(logits, targets, mask, conversation):
    """logits (T, V) -> loss, dlogits (T, V)"""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))  # (T, V)
    total = p.sum(axis=1, keepdims=True)
    places = np.arange(len(targets))
    surprise = np.log(total[:, 0]) - (logits - logits.max(axis=1, keepdims=True))[places, targets]  # (T,)
    counted = np.bincount(conversation, weights=mask)[conversation]  # (T,), learned places of each token's conversation
    heard = len(np.unique(conversation[mask > 0]))
    weights = mask / np.maximum(counted, 1) / max(heard, 1)  # (T,)
    dlogits = p / total
    dlogits[places, targets] -= 1.0
    return float((weights * surprise).sum()), weights[:, None] * dlogits
