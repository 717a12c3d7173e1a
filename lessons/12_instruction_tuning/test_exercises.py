"""The tests that `python -m minigpt grade 12` runs. Expected values come from loops over single tokens and from finite differences."""
import math

import numpy as np

from minigpt.course.draw import expect_close


def packed_row(draw):
    """Ids, mask and starts of a few short texts side by side."""
    ids, mask, starts = [], [], []
    for text in range(draw.integer("texts", 1, 4)):
        length = draw.integer(f"length of text {text}", 1, 5)
        starts += [len(ids)] * length
        mask += [int(i) for i in draw.integers(f"mask of text {text}", 0, 1, length)]
        ids += [int(i) for i in draw.integers(f"ids of text {text}", 0, 9, length)]
    return ids, mask, starts


def test_1_values(exercises, draw):
    """each place predicts the next one, inside its own text"""
    ids, mask, starts = packed_row(draw)
    inputs, targets, weights = exercises.next_token_lists(list(ids), list(mask), list(starts))
    expected = [(ids[t], ids[t + 1], int(mask[t + 1] == 1 and starts[t] == starts[t + 1])) for t in range(len(ids) - 1)]
    answer = list(zip(map(int, inputs), map(int, targets), map(int, weights), strict=True))
    assert answer == expected, f"(input, target, weight): got {answer}, expected {expected}"


ROLES, END = {90: "user", 91: "assistant", 92: "system"}, 99


def conversation(draw):
    """Messages with contents of small ids, the last one perhaps without its end."""
    messages = []
    for number in range(draw.integer("messages", 0, 4)):
        content = [int(i) for i in draw.integers(f"content {number}", 0, 9, draw.integer(f"length {number}", 0, 3))]
        messages.append((draw.choice(f"role {number}", list(ROLES.values())), content, True))
    if messages and draw.integer("the last is not ended", 0, 1):
        messages[-1] = (*messages[-1][:2], False)
    return messages


def as_ids(messages):
    names = {name: i for i, name in ROLES.items()}
    return [i for role, content, ended in messages for i in [names[role], *content, *([END] if ended else [])]]


def test_2_values(exercises, draw):
    """what was rendered is read back"""
    messages = conversation(draw)
    answer = [(role, list(content), bool(ended)) for role, content, ended in exercises.read_back(as_ids(messages), dict(ROLES), END)]
    assert answer == messages, f"got {answer}, expected {messages}"


def test_2_prompt(exercises, draw):
    """a last message that has not begun yet, as in a prompt, is a message"""
    user, writer = list(ROLES)[:2]
    answer = [(role, list(content), bool(ended)) for role, content, ended in exercises.read_back([user, END, writer], dict(ROLES), END)]
    expected = [(ROLES[user], [], True), (ROLES[writer], [], False)]
    assert answer == expected, f"ids {[user, END, writer]}: got {answer}, expected {expected}"


def test_2_errors(exercises, draw):
    """what no template can have made is refused"""
    messages = conversation(draw)
    ids = as_ids(messages)
    fault = draw.choice("fault", ("an id after the end", "a second end", "a role token inside a message", "a role token behind a role token"))
    ids += [] if not messages or messages[-1][2] else [END]
    ids += {"an id after the end": [5], "a second end": [END], "a role token inside a message": [90, 5, 91, 5, END],
            "a role token behind a role token": [90, 91, 5, END]}[fault]
    draw.values["ids"] = ids
    try:
        answer = exercises.read_back(list(ids), dict(ROLES), END)
    except ValueError:
        return
    raise AssertionError(f"{fault}: expected ValueError, got {answer}")


def test_3_fullest(exercises, draw):
    """a short one goes into the fullest row that has room, not into the first one"""
    answer = [[int(i) for i in row] for row in exercises.best_fit([12, 10, 9, 1], 20)]
    assert answer == [[0], [1, 2, 3]], f"lengths [12, 10, 9, 1], room 20: got {answer}, expected [[0], [1, 2, 3]]"


def test_3_values(exercises, draw):
    """each conversation goes where it leaves the least room"""
    room, count = draw.integer("room", 4, 20), draw.integer("count", 0, 12)
    lengths = draw.values["lengths"] = [min(room, int(n)) for n in draw.integers("lengths", 1, 12, count)]
    rows = []
    waiting = list(range(count))
    while waiting:
        longest = max(lengths[i] for i in waiting)
        number = next(i for i in waiting if lengths[i] == longest)
        waiting.remove(number)
        left = [room - sum(lengths[i] for i in row) - longest for row in rows]
        possible = [x for x in left if x >= 0]
        if possible:
            rows[left.index(min(possible))].append(number)
        else:
            rows.append([number])
    answer = [[int(i) for i in row] for row in exercises.best_fit(list(lengths), room)]
    assert answer == rows, f"rows: got {answer}, expected {rows}"


def masked_problem(draw, scale=2.0):
    T, V = draw.integer("T", 1, 8), draw.integer("V", 2, 5)
    logits = draw.array("logits", T, V, scale=scale)
    targets, mask = draw.integers("targets", 0, V - 1, T), draw.integers("mask", 0, 1, T)
    conversation = draw.values["conversation"] = np.sort(draw.integers("conversation", 0, 3, T))
    return logits, targets, mask, conversation


def plain_loss(logits, targets, mask, conversation):
    losses = []
    for number in set(conversation.tolist()):
        places = [t for t in range(len(targets)) if conversation[t] == number and mask[t]]
        if places:
            rows = [[float(x) - float(max(logits[t])) for x in logits[t]] for t in places]
            losses.append(sum(math.log(sum(map(math.exp, row))) - row[targets[t]] for row, t in zip(rows, places)) / len(places))
    return sum(losses) / len(losses) if losses else 0.0


def test_4_loss(exercises, draw):
    """the mean over conversations of the mean over their learned places, with large scores too"""
    problem = masked_problem(draw, scale=draw.choice("scale", (1.0, 400.0)))
    loss, dlogits = exercises.equal_conversations(*(x.copy() for x in problem))
    expect_close(loss, plain_loss(*problem), "loss")
    expect_close(dlogits.sum(axis=1), np.zeros(len(dlogits)), "sum of a row of dlogits")
    assert dlogits.shape == problem[0].shape, f"dlogits has shape {dlogits.shape}, expected {problem[0].shape}"


def test_4_gradient(exercises, draw):
    """dlogits against finite differences, entry by entry"""
    logits, targets, mask, conversation = masked_problem(draw)
    expected, h = np.zeros_like(logits), 1e-5
    for place in np.ndindex(*logits.shape):
        step = np.zeros_like(logits)
        step[place] = h
        ahead, behind = (plain_loss(logits + sign * step, targets, mask, conversation) for sign in (1, -1))
        expected[place] = (ahead - behind) / (2 * h)
    _, dlogits = exercises.equal_conversations(logits.copy(), targets.copy(), mask.copy(), conversation.copy())
    expect_close(dlogits, expected, "dlogits", tolerance=1e-7)
