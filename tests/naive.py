"""The forward of every operation again, one scalar at a time: lists in, lists out, no NumPy.

Written from the formulas and not from nn/ops.py. A gradient check cannot see that a forward computes the wrong function;
these can. Shapes are those of tests/cases.py; the names are those of nn/ops.py without `_forward`.
"""
import math


def dot(a, b):
    return sum(left * right for left, right in zip(a, b, strict=True))


def column(matrix, j):
    return [row[j] for row in matrix]


def every_row(function, x):
    """Applies a function of a list of numbers to each innermost list of x."""
    return [every_row(function, part) for part in x] if isinstance(x[0], list) else function(x)


def every_value(function, *xs):
    """Applies a function of numbers to the values that stand at the same place."""
    return [every_value(function, *parts) if isinstance(parts[0], list) else function(*parts)
            for parts in zip(*xs, strict=True)]


def linear(x, weight, bias):
    outputs = range(len(weight[0]))
    return every_row(lambda row: [dot(row, column(weight, o)) + (bias[o] if bias else 0.0) for o in outputs], x)


def embedding(ids, weight):
    return [[list(weight[i]) for i in row] for row in ids]


def unembedding(x, weight):
    return every_row(lambda row: [dot(row, entry) for entry in weight], x)


def layernorm(x, gain, bias, eps=1e-5):
    def normalise(row):
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        shift = bias or [0.0] * len(row)
        return [g * (value - mean) / math.sqrt(variance + eps) + b for value, g, b in zip(row, gain, shift, strict=True)]
    return every_row(normalise, x)


def rmsnorm(x, gain, eps=1e-5):
    def normalise(row):
        size = math.sqrt(sum(value ** 2 for value in row) / len(row) + eps)
        return [g * value / size for value, g in zip(row, gain, strict=True)]
    return every_row(normalise, x)


def gelu(x):
    return every_value(lambda z: 0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z ** 3))), x)


def gelu_erf(x):
    return every_value(lambda z: z * 0.5 * math.erfc(-z / math.sqrt(2)), x)


def swiglu(gate, up):
    def silu(z):
        return z / (1 + math.exp(-z)) if z > 0 else z * math.exp(z) / (1 + math.exp(z))
    return every_value(lambda g, u: silu(g) * u, gate, up)


def dropout(x, p, rng):
    if rng is None:
        return x
    return every_value(lambda z: 0.0 if float(rng.random(dtype="float32")) < p else z / (1 - p), x)


def softmax(x):
    def normalise(row):
        largest = max(row)
        weights = [math.exp(value - largest) for value in row]
        return [weight / sum(weights) for weight in weights]
    return every_row(normalise, x)


def rope(x, cos, sin):
    """The pair (x[i], x[i + D/2]) as a complex number, multiplied by cos + i sin."""
    def turn(head, c, s):
        half = len(head) // 2
        turned = [complex(head[i], head[i + half]) * complex(c[i], s[i]) for i in range(half)]
        return [z.real for z in turned] + [z.imag for z in turned]
    own = isinstance(cos[0][0], list)  # one table of angles per row of the batch
    return [[[turn(head, cos[b][t] if own else cos[t], sin[b][t] if own else sin[t]) for head in heads]
             for t, heads in enumerate(row)] for b, row in enumerate(x)]


def attention(q, k, v, starts, slopes):
    def look(b, t, h):
        """What query head h at position t of row b receives: only visible positions are touched at all."""
        query, shared = q[b][t][h], h * len(k[b][t]) // len(q[b][t])  # its key/value head
        visible = range(starts[b][t] if starts else 0, t + 1)
        scores = [dot(query, k[b][j][shared]) / math.sqrt(len(query)) - (slopes[h] * (t - j) if slopes else 0.0)
                  for j in visible]
        weights = softmax(scores)
        return [dot(weights, [v[b][j][shared][d] for j in visible]) for d in range(len(query))]
    return [[[look(b, t, h) for h in range(len(q[b][t]))] for t in range(len(q[b]))] for b in range(len(q))]


def cross_entropy(logits, targets):
    def nll(row, target):
        largest = max(row)
        return math.log(sum(math.exp(value - largest) for value in row)) + largest - row[target]
    return [nll(row, target) for row, target in zip(logits, targets, strict=True)]


def transformer(p, config, ids):
    """Logits (T, V) of one row of ids: GPT-2's block, written from the papers. p: name -> lists; config: a GPTConfig."""
    C, D, H, K = config.n_embd, config.n_embd // config.n_head, config.n_head, config.n_kv_head or config.n_head

    def apply(name, x):
        return linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))

    def norm(name, x):
        gain, eps = p[f"{name}.weight"], config.norm_eps
        return rmsnorm(x, gain, eps) if config.norm == "rmsnorm" else layernorm(x, gain, p.get(f"{name}.bias"), eps)

    def added(t):
        if config.position == "learned":
            return p["wpe.weight"][t]
        angles = [t / 10000 ** (c // 2 * 2 / C) for c in range(C)]
        scale = 0.02 if config.position == "sinusoidal" else 0.0
        return [scale * (math.cos(a) if c % 2 else math.sin(a)) for c, a in enumerate(angles)]

    def turned(x):
        if config.position != "rope":
            return x
        angles = [[t * config.rope_theta ** (-2 * i / D) for i in range(D // 2)] for t in range(len(x))]
        return rope([x], every_value(math.cos, angles), every_value(math.sin, angles))[0]

    def plus(x, y):
        return every_value(lambda a, b: a + b, x, y)

    slopes = [2 ** (-8 * (h + 1) / H) for h in range(H)] if config.position == "alibi" else None
    x = [plus(p["wte.weight"][i], added(t)) for t, i in enumerate(ids)]
    for name in (f"h.{layer}" for layer in range(config.n_layer)):
        qkv = [[row[d : d + D] for d in range(0, len(row), D)] for row in apply(f"{name}.attn.c_attn", norm(f"{name}.ln_1", x))]
        q, k, v = ([row[first:last] for row in qkv] for first, last in ((0, H), (H, H + K), (H + K, H + 2 * K)))
        seen = attention([turned(q)], [turned(k)], [v], None, slopes)[0]
        x = plus(x, apply(f"{name}.attn.c_proj", [sum(row, []) for row in seen]))
        h = norm(f"{name}.ln_2", x)
        act = {"gelu": gelu, "gelu_erf": gelu_erf, "swiglu": lambda up: swiglu(apply(f"{name}.mlp.c_gate", h), up)}[config.mlp]
        x = plus(x, apply(f"{name}.mlp.c_proj", act(apply(f"{name}.mlp.c_fc", h))))
    return unembedding(norm("ln_f", x), p.get("lm_head.weight") or p["wte.weight"])
