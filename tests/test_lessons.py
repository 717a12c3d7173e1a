"""Every lesson is complete, its solutions earn all points, its stubs none, and plausible wrong answers are rejected."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt.course.cells import find_folders, lessons_folder, read_lesson
from minigpt.course.exercises import read_exercises
from minigpt.course.grade import grade, load_module
from minigpt.course.overviews import overviews, stale_overviews
from minigpt.course.rooms import PACKAGE, module_file, public_names
from minigpt.course.walk import plain_maths

FOLDERS = find_folders(lessons_folder())
FILES = ("lesson.py", "README.md", "exercises.py", "solutions.py", "test_exercises.py", "hints.toml", "expected.json")

each_lesson = pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS.keys())

SLOWLY_SOLVED = ("00", "01", "02", "05", "09", "10", "14")  # they train, or their checks are many

# exercise -> (a line of solutions.py that occurs once, what somebody may well write instead)
WRONG = {
    "00.1": [("np.array(mask[1:]) == 1", "np.array(mask[:-1]) == 1"),  # one place too late
             ("each[np.array(mask[1:]) == 1]", "each"),  # the user's part too
             ("each[np.array(mask[1:]) == 1]", "each[np.array(mask[1:]) == 1][:-1]"),  # forgets <|end|>
             (".sum())", ".mean())")],
    "00.2": [("np.argmax([answer_log_probability", "np.argmin([answer_log_probability"),
             ("answer_log_probability(gpt, instruction, answer) for", "answer_log_probability(gpt, answer, instruction) for")],
    "00.3": [(".mean() for", ".sum() for"),  # long options lose
             ("token_log_probabilities(gpt, question, option).mean()", "np.exp(token_log_probabilities(gpt, question, option)).mean()"),
             (".mean() for", ".max() for")],
    "00.4": [("messages[max(0, len(messages) - 1 - 2 * window):]", "messages"),  # remembers everything
             ("messages[max(0, len(messages) - 1 - 2 * window):]", "messages[-2 * window:]"),
             ("- 1 - 2 * window", "- 1 - window"),  # an exchange is two messages
             ('messages.append({"role": "assistant", "content": replies[-1]})', "pass")],  # forgets what it said itself
    "01.1": [("vocabulary.append(vocabulary[left] + vocabulary[right])", "vocabulary.append(vocabulary[right] + vocabulary[left])"),
             ('return b"".join(vocabulary[i] for i in ids).decode("utf-8", "replace")',  # a token may end inside a character
              'return "".join(vocabulary[i].decode("utf-8", "replace") for i in ids)')],
    "01.2": [("yield decoder.decode(chunk)", 'yield chunk.decode("utf-8", "replace")'),  # each chunk alone
             ('yield decoder.decode(b"", final=True)', 'yield ""'),  # forgets what never completed
             ("for chunk in chunks:", "for chunk in list(chunks):"),  # waits for all of them
             ("yield decoder.decode(chunk)", 'yield chunk.decode("utf-8", "ignore")')],  # drops what is incomplete
    "01.3": [("key=len, reverse=True", "key=len"),  # the shortest first
             ("start = i\n    return", "pass\n    return"),  # encodes the text before a special token again
             ("ids + encode_ordinary(text[start:])", "ids"),  # forgets the end
             ("ids + encode_ordinary(text[start:])", "ids + [i for letter in text[start:] for i in encode_ordinary(letter)]")],  # no merges
    "01.4": [("for start in range(end) if", "for start in range(max(0, end - 3), end) if"),  # only short tokens
             ("best.append(1 + min(best[start] for start in range(end) if text[start:end] in tokens))",  # the longest last token
              "best.append(1 + best[next(start for start in range(end) if text[start:end] in tokens)])")],
    "02.1": [("math.exp(-sum(math.log(p) for p in probabilities) / len(probabilities))",  # vanishes
              "math.prod(probabilities) ** (-1 / len(probabilities))"),
             ("math.exp(-sum(math.log(p) for p in probabilities) / len(probabilities))",  # the other mean
              "sum(1 / p for p in probabilities) / len(probabilities)"),
             ("math.exp(-sum(math.log(p)", "math.exp(-sum(math.log2(p)")],
    "02.2": [('text.encode("utf-8")', "text"),  # characters
             ("sum(losses) / math.log(2)", "sum(losses)"),  # nats
             ("sum(losses)", "sum(losses) / len(losses)")],
    "02.3": [("firsts = pairs.sum(axis=1, keepdims=True)", "firsts = np.bincount(ids, minlength=V)[:, None]"),  # counts the last token
             ("return np.where(firsts > 0, mixed, single)", "return mixed"),  # unseen rows do not add up
             ("pairs[before, token] += 1", "pairs[token, before] += 1")],
    "02.4": [("came_from.append(through.argmax(axis=0))", "came_from.append(logs.argmax(axis=0))"),
             ("best = through.max(axis=0)", "best = np.where(np.arange(len(table)) == best.argmax(), -np.inf, logs[best.argmax()])"),
             ("logs = np.log(table)", "logs = table")],
    "03.1": [("(dy * x).sum(axis=0)", "(dy * x).mean(axis=0)"),
             ("return dy * gain,", "return dy,"),
             ("dy.sum(axis=0)", "dy[0]")],
    "03.2": [("return (p - expected) / N", "return p - expected"),
             ("expected = np.full((N, V), epsilon / V)", "expected = np.zeros((N, V))"),
             ("np.exp(logits - logits.max(axis=1, keepdims=True))", "np.exp(logits)"),
             ("np.exp(logits - logits.max(axis=1, keepdims=True))", "np.exp(logits - logits.max())")],  # rows far below the largest vanish
    "03.3": [("dx[:-1] += dy[1:] @ before.T", "pass"),  # forgets the second use
             ("dx[:-1] += dy[1:] @ before.T", "dx[1:] += dy[:-1] @ before.T"),  # sends it the wrong way
             ("x[:-1].T @ dy[1:]", "x.T @ dy")],
    "03.4": [("1e-6 * np.abs(gradient).max() + 1e-14 * abs(f(x)) / h", "1e-4"),  # the same for small and large functions
             ("u = rng.choice([-1.0, 1.0], size=x.shape) * rng.uniform(0.5, 1.5, x.shape)", "u = np.ones(x.shape)"),  # does not see two numbers exchanged
             ("u = rng.choice([-1.0, 1.0], size=x.shape) * rng.uniform(0.5, 1.5, x.shape)", "u = np.eye(x.size)[0].reshape(x.shape)"),  # looks at the first number only
             ("u = rng.choice([-1.0, 1.0], size=x.shape) * rng.uniform(0.5, 1.5, x.shape)", "u = np.eye(x.size)[np.abs(gradient).argmax()].reshape(x.shape)"),  # at the largest
             ("measured = (4 * near - far) / 3", "measured = (f(x + 0.01 * u) - f(x)) / 0.01")],  # too coarse: rejects right ones
    "04.1": [("2.0 ** (-8.0 * np.arange(1, H + 1) / H)", "2.0 ** (-8 * np.arange(1, H + 1) // H)"),
             ("np.arange(1, H + 1) / H", "np.arange(H) / H"),  # heads counted from 0
             ("scores - slopes", "scores + slopes"),
             ("-np.inf, scores", "0.0, scores")],  # a score of 0 is not a weight of 0
    "04.2": [("return turn(x, 1)", "return turn(x, -1)"),
             ("10000.0 ** (-np.arange(0, D, 2) / D)", "10000.0 ** (-np.arange(D // 2) / D)"),
             ("sign * np.arange(T)[:, None]", "sign * np.arange(1, T + 1)[:, None]"),  # the first place is 0
             ("y[:, 1::2] = b * np.cos(angles) + a * np.sin(angles)", "y[:, 1::2] = b * np.cos(angles) - a * np.sin(angles)")],
    "04.3": [("return turn(dy, -1)", "return turn(dy, 1)"),
             ("return turn(dy, -1)", "return dy")],
    "04.4": [("np.concatenate([weight[:, 0::2], weight[:, 1::2]], axis=1)", "weight"),
             ("np.concatenate([weight[:, 0::2], weight[:, 1::2]], axis=1)",  # the way back
              "weight.reshape(len(weight), 2, -1).transpose(0, 2, 1).reshape(weight.shape)"),
             ("[weight[:, 0::2], weight[:, 1::2]]", "[weight[:, 1::2], weight[:, 0::2]]")],
    "05.1": [("scores = q @ k.T / math.sqrt(q.shape[1])  #", "scores = q @ k.T  #"),  # not scaled
             ("scores = q @ k.T / math.sqrt(q.shape[1])  #", "scores = q @ k.T / q.shape[1]  #"),  # scaled too much
             ("scores[np.triu_indices(len(q), 1)] = -np.inf", "pass"),  # looks ahead
             ("scores[np.triu_indices(len(q), 1)] = -np.inf", "scores[np.triu_indices(len(q), 1)] = -100.0"),  # not below every score
             ("np.exp(scores - scores.max(axis=1, keepdims=True))", "np.exp(scores)"),  # overflows
             ("np.exp(scores - scores.max(axis=1, keepdims=True))", "np.exp(np.clip(scores, -500, 500))"),  # large scores become equal
             ("exponentials.sum(axis=1, keepdims=True)", "exponentials.sum(axis=0, keepdims=True)")],  # over the wrong axis
    "05.2": [("first = max(0, t - window + 1)", "first = max(0, t - window)"),  # one too many
             ("first = max(0, t - window + 1)", "first = t - window + 1"),  # wraps around at the beginning
             ("return out\n\n\ndef grouped", "return out / window\n\n\ndef grouped")],
    "05.3": [("k[:, head // group]) @ v[:, head // group]", "k[:, head % k.shape[1]]) @ v[:, head % k.shape[1]]"),  # in turn
             ("@ v[:, head // group]", "@ v[:, 0]")],  # always the first value head
    "05.4": [("out = out * shrink + weight * value", "out = out + weight * value"),  # old part not corrected
             ("total = total * shrink + weight", "total = total + weight"),
             ("largest, total, out = -math.inf,", "largest, total, out = 0.0,"),  # very negative scores vanish
             ("for key, value in pairs:", "for key, value in list(pairs):")],  # keeps what it may not keep
    "06.1": [("return dz / temperature, float", "return dz, float"),
             ("float(-(dz * s).sum()", "float((dz * s).sum()"),  # hotter is flatter: the sign is minus
             ("(dp - (dp * p).sum())  # z", "(1.0 - p) * dp  # z")],  # each weight on its own
    "06.2": [("dy * up * 2.0 * relu, dy", "dy * up * 2.0 * gate, dy"),  # blame through a shut door
             ("dy * relu * relu", "dy * relu"),
             ("dy * up * 2.0 * relu, dy", "dy * 2.0 * relu, dy")],
    "06.3": [("return (dn - n * (dn * n).sum(axis=1, keepdims=True)) / length", "return dn / length"),  # length taken as a constant
             ("(dn * n).sum(axis=1, keepdims=True)", "(dn * n).mean(axis=1, keepdims=True)"),
             ("dn = dy * gain", "dn = dy"),
             ("(dy * n).sum(axis=0)", "(dy * x).sum(axis=0)")],
    "06.4": [("dscores = ds[:, :T] / math.sqrt(D)", "dscores = ds[:, :T]"),
             ("float(ds[:, T].sum())", "0.0"),  # its value is zero, so it is to blame for nothing
             ("float(ds[:, T].sum())", "float(ds[-1, T])"),
             ("p = np.exp(scores - scores.max(axis=1, keepdims=True))", "p = np.exp(scores)")],
    "07.1": [("np.reshape(tokens[1:rows * T + 1], (rows, T))", "np.reshape(tokens[:rows * T], (rows, T))"),  # targets not shifted
             ("rows = (len(tokens) - 1) // T", "rows = max(1, len(tokens) // (T + 1))"),  # drops what it need not drop
             ("np.reshape(tokens[1:rows * T + 1], (rows, T))",  # shifted inside each row only
              "np.roll(np.reshape(tokens[:rows * T], (rows, T)), -1, axis=1)")],
    "07.2": [("2 * n_embd * n_kv_head * head_size", "2 * n_embd * n_embd"),
             ("3 * n_embd * n_inner", "2 * n_embd * n_inner"),
             ("n_layer * block + n_embd", "n_layer * block"),
             ("return 2 * vocab_size", "return vocab_size")],
    "07.3": [("np.add.at(dtable, ids, dx)", "dtable[ids] += dx"),  # a token that occurs twice is blamed once
             ("return dtable + np.einsum", "return np.einsum"),
             ("np.add.at(dtable, ids, dx)", "dtable[ids] = dx")],
    "07.4": [("dh = dsum + feed_forward[1](dsum, forward_cache)", "dh = feed_forward[1](dsum, forward_cache)"),
             ("return dsum + attention[1](dsum, attention_cache)", "return dy + attention[1](dsum, attention_cache)"),
             ("feed_forward[1](dsum, forward_cache)", "feed_forward[1](dy, forward_cache)"),
             ("dsum = norm[1](dh, norm1_cache)", "dsum = norm[1](dh, norm2_cache)"),
             ("attention[1](dsum, attention_cache)", "attention[1](dsum, forward_cache)"),
             ("norm[0](x + a)", "norm[0](a)")],
    "08.1": [("return w - rate * (mu * m + g), m", "return w - rate * m, m"),  # plain momentum
             ("    m = mu * m + g", "    m *= mu\n    m += g"),  # in place
             ("return w - rate * (mu * m + g), m", "return w - rate * (mu * m + g), mu * m + g")],
    "08.2": [("loss = sum(loss * tokens for loss, _, tokens in pieces) / total",  # each piece counts the same
              "loss = sum(loss for loss, _, _ in pieces) / len(pieces)"),
             ("sum(gradient * tokens for _, gradient, tokens in pieces) / total", "sum(gradient for _, gradient, _ in pieces) / len(pieces)"),
             ("gradient * tokens for _, gradient, tokens in pieces", "gradient.__imul__(tokens) for _, gradient, tokens in pieces"),  # in place
             ("max(1, sum(tokens for _, _, tokens in pieces))", "sum(tokens for _, _, tokens in pieces)")],  # 0 / 0
    "08.3": [("length *= growth", "length += growth"),
             ("while step >= length:", "while step > length:"),  # the restart comes one step late
             ("lowest + (1.0 - lowest) * (1.0", "lowest + (1.0")],
    "08.4": [("x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix", "x = matrix"),  # tall ones never get there
             ("for _ in range(200):", "for _ in range(5):"),  # near, but not exact
             ("for _ in range(200):", "for _ in range(20):"),  # exact for all but the weakest
             ("x = x / np.sqrt((x * x).sum())", "x = x + 0.0"),  # runs away
             ("    x = matrix.T if", "    return np.linalg.svd(matrix, full_matrices=False)[0] @ np.linalg.svd(matrix, full_matrices=False)[2]\n    x = matrix.T if")],
    "09.1": [("max(2 * M * K * N / peak, moved / bandwidth)", "2 * M * K * N / peak + moved / bandwidth"),  # one after the other
             ("moved = 4 * (M * K + K * N + M * N)", "moved = 4 * (M * K + K * N)"),  # forgets the result
             ("max(2 * M * K * N / peak,", "max(M * K * N / peak,")],
    "09.2": [("for k in range(0, K, size)", "for k in range(0, K - size + 1, size)"),  # leaves out what is no whole piece
             ("out[i:i + size, j:j + size] += multiply", "out[i:i + size, j:j + size] = multiply"),
             ("    for i in range(0, M, size):\n", "    return a @ b\n    for i in range(0, M, size):\n"),
             ("out = np.zeros((M, N))\n    for i in range(0, M, size)", "out, size = np.zeros((M, N)), 1\n    for i in range(0, M, size)")],
    "09.3": [("shrinks = [math.exp(half[0] - largest) for half in (first, second)]", "shrinks = [1.0, 1.0]"),
             ("    if largest == -math.inf:\n        return first", "    if False:\n        return first"),  # -inf - -inf
             ("math.exp(half[0] - largest) for", "math.exp(half[0]) / math.exp(largest) for"),  # overflows
             ("sum(shrink * half[1] for", "sum(half[1] for")],
    "09.4": [("delta = (dout * out).sum(axis=1, keepdims=True)", "delta = np.zeros((T, 1))"),
             ("p[np.arange(T)[keys] > np.arange(T)[rows, None]] = 0.0", "pass"),  # looks ahead
             ("(dout[rows] @ v[keys].T - delta[rows]) / math.sqrt(D)", "(dout[rows] @ v[keys].T - delta[rows])"),
             ("    for t in range(0, T, size):\n", "    size = T  # one piece: the whole table\n    for t in range(0, T, size):\n"),
             ("dk[keys] += dscores.T @ q[rows]", "dk[keys] = dscores.T @ q[rows]")],
    "10.1": [("for shift in (0, 1))", "for shift in (0, 0))"),  # targets not shifted
             ("~first[1:1 + R * T]", "~first[:R * T]"),  # said of the inputs
             ("~first[1:1 + R * T].reshape(R, T)", "inputs != end"),  # a document may hold the end token itself
             ("R = (len(stream) - 1) // T", "R = max(1, len(stream) // (T + 1))")],  # drops what it need not drop
    "10.2": [("np.random.default_rng([seed, epoch])", "np.random.default_rng(seed)"),  # the same order in each epoch
             ("np.random.default_rng([seed, epoch])", "np.random.default_rng([seed, n])"),  # some rows twice, others never
             ("np.random.default_rng([seed, epoch])", "np.random"),  # dice with a memory
             ("np.random.default_rng([seed, epoch]).permutation(R)[place]",  # orders that a restart forgets
              "globals().setdefault('orders', {}).setdefault((seed, R, epoch), globals().setdefault('dice', {})"
              ".setdefault(seed, np.random.default_rng(seed)).permutation(R))[place]"),
             ("int(np.random.default_rng([seed, epoch]).permutation(R)[place])", "(place + 7 * epoch + 3 * seed) % R")],  # no shuffle
    "10.3": [("(a * A / (b * B))", "(A / B)"),  # both terms equal instead of both slopes
             ("(operations / 6) **", "operations **"),
             ("** (b / (a + b))", "** (a / (a + b))")],
    "10.4": [("window[len(losses) - start:]", "window"),  # counts twice what overlaps
             ("start += stride", "start += T"),  # no overlap at all
             ("window[len(losses) - start:]", "window[-stride:]"),  # forgets the beginning
             ("losses.extend(window[len(losses) - start:])", "losses[start:] = window")],  # the last window instead of the first
    "11.1": [("last = ids[len(ids) - n + 1:]", "last = ids[-n + 1:]"),  # with n = 1 that is the whole text
             ("for i in range(len(ids) - n + 1) if", "for i in range(len(ids) - n) if"),  # the last row forgotten
             ("{ids[i + n - 1] for", "{ids[i + n - 2] for")],
    "11.2": [("for word in np.argsort(distance):", "for word in np.argsort(surprise):"),  # top-p
             ("return kept / total", "return kept"),
             ("for word in np.argsort(distance):", "for word in [*np.argsort(distance)][: -1 if mass == 1.0 else None]:"),  # all but one
             ("distance = np.abs(surprise - (p * surprise).sum())", "distance = np.abs(surprise - surprise.mean())"),
             ("        kept[word] = p[word]\n        total += p[word]", "        total += p[word]\n        kept[word] = p[word] * (total < mass)")],
    "11.3": [("keys = np.concatenate([keys, key[None]])[-window:]", "keys = np.concatenate([keys, key[None]])[-window - 1:]"),
             ("values = np.concatenate([values, value[None]])[-window:]", "values = np.concatenate([values, value[None]])[:window]"),
             ("keys @ query / math.sqrt(len(query))", "keys @ query"),
             ("keys = np.concatenate([keys, key[None]])[-window:]", "old = keys; keys = np.concatenate([keys, key[None]])[-window:]; old[-1:] = 0.0")],
    "11.4": [("            if ids and ids[-1] == end:", "            if False:"),  # goes on behind the end
             ("beam = sorted(longer, key=lambda text: -text[1])[:width]",  # compares means: another question
              "beam = sorted(longer, key=lambda text: -text[1] / len(text[0]))[:width]"),
             ("beam = sorted(longer, key=lambda text: -text[1])[:width]", "beam = sorted(longer, key=lambda text: -text[1])[:1]"),  # greedy
             ("beam = sorted(longer, key=lambda text: -text[1])[:width]",  # keeps every finished text
              "beam = [text for i, text in enumerate(sorted(longer, key=lambda text: -text[1])) if i < width or text[0][-1] == end]"),
             ("total + float(logp)", "float(logp)")],
    "12.1": [("[mask[t + 1] if starts", "[mask[t] if starts"),  # the trap of one place
             ("mask[t + 1] if starts[t + 1] == starts[t] else 0 for", "mask[t + 1] for"),  # predicts a stranger's first word
             ("return ids[:-1], ids[1:], weights", "return ids[:-1], ids[:-1], weights")],
    "12.2": [("+ ([(role, content, False)] if content is not None else [])", ""),  # forgets what is not ended
             ("if (content is None) != (i in roles):", "if content is None and i not in roles:"),  # a role may open anywhere
             ("if (content is None) != (i in roles):", "if content is None and i not in roles or content and i in roles:"),  # behind a role
             ("            content = None\n", "            content = []\n")],  # still inside after the end
    "12.3": [("r = min(fits, key=lambda r: free[r]) if fits", "r = fits[0] if fits"),  # first fit
             ("key=lambda i: -lengths[i])", "key=lambda i: lengths[i])"),
             ("sorted(range(len(lengths)), key=lambda i: -lengths[i])", "sorted(range(len(lengths)), key=lambda i: lengths[i])[::-1]"),
             ("if free[r] >= lengths[number]]", "if free[r] > lengths[number]]")],
    "12.4": [("np.bincount(conversation, weights=mask)[conversation]", "mask.sum()"),  # every token counts the same
             ("heard = len(np.unique(conversation[mask > 0]))", "heard = len(np.unique(conversation))"),
             ("return float((weights * surprise).sum()), weights[:, None] * dlogits", "return float((weights * surprise).sum()), dlogits"),
             ("dlogits = p / total", "dlogits = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)"),
             ("p = np.exp(logits - logits.max(axis=1, keepdims=True))", "p = np.exp(logits)")],
    "13.1": [("rows = logits[start - 1:len(ids) - 1]", "rows = logits[start:]"),  # these rows have read the token already
             ("shifted = rows - rows.max(axis=1, keepdims=True)", "shifted = rows"),
             ("return logp, logp.cumsum()", "return logp, np.exp(logp).cumsum()")],
    "13.2": [("+ np.log(prior)[:, None]", "+ 0.0"),  # all instructions equally common
             ("logp.cumsum(axis=1)], axis=1)", "logp], axis=1)"),  # only the last token
             ("np.exp(scores - scores.max(axis=0))", "np.exp(scores)"),  # a long answer vanishes
             ("(weights / weights.sum(axis=0)).T", "weights.T / weights.sum(axis=1)")],
    "13.3": [("np.log(unconditional) + strength * change", "np.log(conditional) + strength * change"),  # one too strong
             ("    scores = np.log(unconditional) + strength * change",  # mixes probabilities
              "    return unconditional + strength * (conditional - unconditional)\n    scores = change"),
             ("np.exp(scores - scores.max())", "np.exp(scores)")],
    "13.4": [("p * after(answer)[end]", "p"),  # begins like a right answer
             ("for answer in set(answers):", "for answer in answers:"),
             ("if ids not in rows:", "if True:"),  # a forward pass for each factor
             ("p *= after(answer[:t])[token]", "p += after(answer[:t])[token]")],
    "14.1": [("words = text.split()", "words = text.lower().split()"),  # not as they are
             ("range(len(words) - n + 1)", "range(len(words) - n)"),  # the last run forgotten
             ("{tuple(words[i:i + n]) for i in", "{frozenset(words[i:i + n]) for i in"),  # the order forgotten
             ("if runs(text) & known]", "if runs(text) <= known]"),  # all runs must be known; a short text always is
             ("        words = text.split()", "        words = text.lower().replace('c', '')")],  # letters instead of words
    "14.2": [("else max(before[j + 1], lengths[j])", "else 0"),  # the longest run at the end
             ("2 * longest / (len(answer) + len(reference))", "longest / len(reference)"),  # recall
             ("longest = lengths[-1]", "longest = len(set(answer) & set(reference))"),
             (" if longest else 0.0", "")],  # 0 / 0 for two empty texts
    "14.3": [("rng.integers(0, len(first), len(first))", "rng.integers(0, len(first) - 1, len(first))"),  # never the last question
             ("metric(second[chosen]) - metric(first[chosen])", "metric(second[chosen]) - metric(first[rng.integers(0, len(first), len(first))])"),
             ("chosen = rng.integers(0, len(first), len(first))", "chosen = rng.permutation(len(first))"),
             ("[0.025, 0.975]", "[0.05, 0.95]"),
             ("metric(second[chosen]) - metric(first[chosen])", "metric((second - first)[chosen])"),  # right for means only
             ("metric(second[chosen]) - metric(first[chosen])", "metric(first[chosen]) - metric(second[chosen])")],
    "14.4": [("tail = (1 - level) / 2", "tail = 1 - level"),  # both tails at each end
             ("rate_where(right - 1, 1 - tail)", "rate_where(right, 1 - tail)"),
             ("for _ in range(60):", "for _ in range(8):"),  # too coarse
             ("tail = (1 - level) / 2", "tail = 0.025")],
}


@each_lesson
def test_every_lesson_is_complete(folder):
    assert [name for name in FILES if not (folder / name).is_file()] == []
    lesson = read_lesson(folder / "lesson.py")
    headings = [line[3:] for cell in lesson.cells if cell.kind == "markdown" for line in cell.source.split("\n") if line.startswith("## ")]
    assert any("Break it" in heading for heading in headings)
    exercises = read_exercises(folder)
    assert len(exercises) >= 3
    stubs, solutions = (Path(folder / name).read_text(encoding="utf-8") for name in ("exercises.py", "solutions.py"))
    for exercise in exercises:
        assert exercise.section in headings, f"{exercise.number} points to a section that does not exist"
        assert re.search(rf'NotImplementedError\("{exercise.number} [^"]*\({exercise.points} points\)"\)', stubs)
        assert f"def {exercise.function}(" in stubs and f"def {exercise.function}(" in solutions
        assert len(WRONG[exercise.number]) >= 2
    assert 'assert ' in (folder / "lesson.py").read_text(encoding="utf-8"), "a lesson asserts equality with the package"


@each_lesson
def test_the_terminal_can_show_every_formula(folder):
    for cell in read_lesson(folder / "lesson.py").cells:
        for formula in re.findall(r"```math\n(.*?)```", cell.source, re.DOTALL) if cell.kind == "markdown" else ():
            assert "\\" not in plain_maths(formula), plain_maths(formula)


@each_lesson
def test_stubs_earn_nothing(folder):
    assert [(item.points, item.status) for item in grade(folder, folder / "exercises.py", seed=0)] \
        == [(0, "not attempted")] * len(read_exercises(folder))


@pytest.mark.parametrize("number, seed", [pytest.param(number, seed, marks=pytest.mark.audit if seed else pytest.mark.slow if number in SLOWLY_SOLVED else ())
                                          for number in FOLDERS for seed in (0, 1000)])
def test_solutions_earn_everything(number, seed):
    folder = FOLDERS[number]
    failed = [item.report for item in grade(folder, folder / "solutions.py", seed) if item.status != "passed"]
    assert failed == []


@pytest.mark.parametrize("number, old, new", [pytest.param(number, *pair, marks=pytest.mark.slow if place else ())
                                              for number, pairs in WRONG.items() for place, pair in enumerate(pairs)])
def test_a_wrong_answer_is_rejected_with_a_report(number, old, new, tmp_path):
    folder = FOLDERS[number[:2]]
    source = (folder / "solutions.py").read_text(encoding="utf-8")
    assert source.count(old) == 1
    answers = tmp_path / "answers.py"
    answers.write_text(source.replace(old, new), encoding="utf-8")
    load_module(answers)  # a wrong answer must at least be Python
    [item] = grade(folder, answers, 0, number)
    assert item.status == "failed" and number in item.report
    assert not re.search(r"\b(NameError|UnboundLocalError|ImportError|ModuleNotFoundError)\b", item.report), "a crash proves nothing"


@each_lesson
@pytest.mark.slow
def test_every_page_is_fresh(folder, complaints):
    assert complaints(read_lesson(folder / "lesson.py")) == []


def test_the_maps_and_plans_are_fresh():
    assert len(overviews(lessons_folder())) == 4 and stale_overviews(lessons_folder()) == []


@each_lesson
@pytest.mark.audit
def test_every_lesson_runs_as_a_plain_script(folder, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, str(folder / "lesson.py")], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_who_walks_through_all_lessons_meets_every_file_of_the_core_once():
    rooms = ("text", "nn", "train", "sample", "evaluate", "interop")
    core = {".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
            for room in rooms for path in (PACKAGE / room).rglob("*.py") if public_names(path)[1]} | {"config", "files", "jit", "model"}
    lessons = [read_lesson(folder / "lesson.py") for folder in FOLDERS.values()]
    named = [name for lesson in lessons for name in lesson.header["files"].split()]
    assert sorted(named) == sorted(core)
    for lesson in lessons:
        page = (lesson.folder / "README.md").read_text(encoding="utf-8")
        for name in lesson.header["files"].split():
            assert all(f"| `{thing}` |" in page for thing in public_names(module_file(name))[1]), name
