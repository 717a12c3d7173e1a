"""The definition of every operation: NumPy, forward and backward side by side.

One rule for all of them: `out, cache = x_forward(...)` and `gradients = x_backward(dout, cache)`.
The backward returns one gradient per differentiable input, in the order of the inputs, each with that input's shape.
Letters: B batch, T time, C channels, H query heads, K key/value heads, D head size, V vocabulary, N = B*T rows.
The Numba twins in `nn/kernels/` have the same names and signatures and are tested against these.
"""
import math

import numpy as np


def linear_forward(x, weight, bias=None):
    """y = x W + b.

    x (..., C), weight (C, O), bias (O,) or None -> y (..., O)
    """
    y = x.reshape(-1, x.shape[-1]) @ weight  # (N, O)
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], weight.shape[1]), (x, weight, bias)  # (..., O)


def linear_backward(dy, cache):
    """dy (..., O) -> dx (..., C), dweight (C, O), dbias (O,) or None"""
    x, weight, bias = cache
    x2 = x.reshape(-1, x.shape[-1])  # (N, C)
    dy2 = dy.reshape(-1, dy.shape[-1])  # (N, O)
    dbias = dy2.sum(axis=0) if bias is not None else None  # y += bias
    dweight = x2.T @ dy2  # y = x @ weight  (C, O)
    dx = dy2 @ weight.T  # y = x @ weight  (N, C)
    return dx.reshape(x.shape), dweight, dbias


def embedding_forward(ids, weight):
    """One row of the table per id.

    ids (B, T) int, weight (V, C) -> x (B, T, C)
    """
    return weight[ids], (ids, weight.shape)  # (B, T, C)


def embedding_backward(dx, cache):
    """dx (B, T, C) -> dweight (V, C); an id that occurs twice receives both gradients"""
    ids, shape = cache
    dweight = np.zeros(shape, dx.dtype)
    np.add.at(dweight, ids.reshape(-1), dx.reshape(-1, shape[1]))  # x = weight[ids]
    return dweight


def unembedding_forward(x, weight):
    """Logits against the rows of the (tied) embedding table: x W^T (Press and Wolf 2017).

    x (..., C), weight (V, C) -> logits (..., V)
    """
    logits = x.reshape(-1, x.shape[-1]) @ weight.T  # (N, V)
    return logits.reshape(*x.shape[:-1], weight.shape[0]), (x, weight)  # (..., V)


def unembedding_backward(dlogits, cache):
    """dlogits (..., V) -> dx (..., C), dweight (V, C)"""
    x, weight = cache
    d2 = dlogits.reshape(-1, weight.shape[0])  # (N, V)
    dweight = d2.T @ x.reshape(-1, x.shape[-1])  # logits = x @ weight.T  (V, C)
    dx = d2 @ weight  # logits = x @ weight.T  (N, C)
    return dx.reshape(x.shape), dweight


def layernorm_forward(x, gain, bias, eps=1e-5):
    """Each row to mean 0 and variance 1, then a gain and a bias (Ba et al. 2016). bias may be None.

    x (..., C), gain (C,), bias (C,) -> y (..., C)
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)  # (..., 1), biased as in GPT-2
    rstd = 1.0 / np.sqrt(variance + eps)
    xhat = centred * rstd
    y = xhat * gain
    if bias is not None:
        y += bias
    return y, (xhat, rstd, gain, bias)


def layernorm_backward(dy, cache):
    """dy (..., C) -> dx (..., C), dgain (C,), dbias (C,) or None"""
    xhat, rstd, gain, bias = cache
    rows = tuple(range(dy.ndim - 1))
    dbias = dy.sum(axis=rows) if bias is not None else None  # y += bias
    dgain = (dy * xhat).sum(axis=rows)  # y = xhat * gain
    dxhat = dy * gain  # y = xhat * gain
    # xhat has mean 0 and variance 1 whatever x is, so the two directions that would change them are removed
    dx = dxhat - dxhat.mean(axis=-1, keepdims=True) - xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
    dx *= rstd
    return dx, dgain, dbias


def rmsnorm_forward(x, gain, eps=1e-5):
    """Each row divided by its root mean square, then a gain (Zhang and Sennrich 2019).

    x (..., C), gain (C,) -> y (..., C)
    """
    rstd = 1.0 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)  # (..., 1)
    xhat = x * rstd
    return xhat * gain, (xhat, rstd, gain)


def rmsnorm_backward(dy, cache):
    """dy (..., C) -> dx (..., C), dgain (C,)"""
    xhat, rstd, gain = cache
    dgain = (dy * xhat).sum(axis=tuple(range(dy.ndim - 1)))  # y = xhat * gain
    dxhat = dy * gain  # y = xhat * gain
    dx = (dxhat - xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)) * rstd  # xhat = x * rstd(x)
    return dx, dgain


GELU_SCALE = math.sqrt(2.0 / math.pi)
GELU_CUBE = 0.044715


def gelu_forward(x):
    """x Phi(x), Phi approximated with tanh (Hendrycks and Gimpel 2016, section 2; GPT-2's `gelu_new`). Elementwise."""
    tanh = np.tanh(GELU_SCALE * (x + GELU_CUBE * x * x * x))
    return 0.5 * x * (1.0 + tanh), (x, tanh)


def gelu_backward(dy, cache):
    """dy -> dx, both with x's shape"""
    x, tanh = cache
    dinner = GELU_SCALE * (1.0 + 3.0 * GELU_CUBE * x * x)  # of the argument of tanh
    slope = 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * dinner  # y = 0.5 * x * (1 + tanh)
    return dy * slope


def gelu_erf_forward(x):
    """x Phi(x) with the exact normal distribution function Phi (Hendrycks and Gimpel 2016). Elementwise."""
    erf = np.array([math.erf(value / math.sqrt(2.0)) for value in x.ravel().tolist()], x.dtype).reshape(x.shape)
    phi = 0.5 * (1.0 + erf)
    return x * phi, (x, phi)


def gelu_erf_backward(dy, cache):
    """dy -> dx, both with x's shape"""
    x, phi = cache
    density = np.exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))
    return dy * (phi + x * density)  # y = x * phi(x)


def swiglu_forward(gate, up):
    """silu(gate) * up with silu(z) = z sigmoid(z) (Shazeer 2020). Elementwise."""
    sigmoid = 0.5 * (1.0 + np.tanh(0.5 * gate))  # no overflow for large negative values
    return gate * sigmoid * up, (gate, up, sigmoid)


def swiglu_backward(dy, cache):
    """dy -> dgate, dup, all of one shape"""
    gate, up, sigmoid = cache
    dup = dy * gate * sigmoid  # y = silu(gate) * up
    dsilu = dy * up  # y = silu(gate) * up
    dgate = dsilu * sigmoid * (1.0 + gate * (1.0 - sigmoid))  # silu = gate * sigmoid
    return dgate, dup


def dropout_forward(x, p, rng):
    """Zero each value with probability p and scale the rest by 1 / (1 - p) (Srivastava et al. 2014).

    rng is a numpy Generator; None means evaluation: x comes back as it is.
    """
    if rng is None or p == 0.0:
        return x, None
    keep = (rng.random(x.shape, np.float32) >= p).astype(x.dtype) * (1.0 / (1.0 - p))
    return x * keep, keep


def dropout_backward(dy, cache):
    """dy -> dx, both with x's shape"""
    return dy if cache is None else dy * cache


def softmax_forward(x):
    """exp(x) / sum exp(x) along the last axis; the maximum is subtracted first so that exp cannot overflow."""
    p = np.exp(x - x.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p, p


def softmax_backward(dp, cache):
    """dp -> dx, both with x's shape; the Jacobian is diag(p) - p p^T, never written out"""
    p = cache
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


def rope_forward(x, cos, sin):
    """Rotary positions in the half-split layout: channel i and i + D/2 turn together (Su et al. 2021).

    x (B, T, H, D), cos and sin (T, D/2) or (B, T, D/2) -> y (B, T, H, D)
    """
    half = x.shape[-1] // 2
    c, s = cos[..., None, :], sin[..., None, :]  # (..., T, 1, D/2), the same for every head
    first, second = x[..., :half], x[..., half:]
    y = np.empty_like(x)
    y[..., :half] = first * c - second * s
    y[..., half:] = second * c + first * s
    return y, (cos, sin)


def rope_backward(dy, cache):
    """dy (B, T, H, D) -> dx (B, T, H, D): the inverse of a rotation is its transpose, the rotation by -angle"""
    cos, sin = cache
    return rope_forward(dy, cos, -sin)[0]


def attention_forward(q, k, v, starts=None, slopes=None):
    """softmax(q k^T / sqrt(D)) v, causal (Vaswani et al. 2017, eq. 1), with grouped queries (Ainslie et al. 2023).

    q (B, S, H, D), k and v (B, T, K, D), H a multiple of K -> out (B, S, H, D)
    S is T, or less where only the last positions ask (decoding with a cache; the kernel has all of them).
    starts (B, S): the first position that each query may see (packed documents); None: 0.
    slopes (H,): ALiBi's penalty per step of distance (Press et al. 2022); None: none.
    The cache keeps the (B, K, H/K, S, T) probabilities.
    """
    B, S, H, D = q.shape
    T, K = k.shape[1:3]
    query = q.reshape(B, S, K, H // K, D).transpose(0, 2, 3, 1, 4)  # (B, K, G, S, D)
    key = k.transpose(0, 2, 1, 3)[:, :, None]  # (B, K, 1, T, D)
    value = v.transpose(0, 2, 1, 3)[:, :, None]  # (B, K, 1, T, D)
    scores = (query @ key.swapaxes(-1, -2)) * (1.0 / math.sqrt(D))  # (B, K, G, S, T)
    distance = np.arange(T - S, T)[:, None] - np.arange(T)  # (S, T), query position minus key position
    if slopes is not None:
        scores -= slopes.reshape(K, H // K, 1, 1) * distance.astype(scores.dtype)
    hidden = np.broadcast_to(distance < 0, (B, S, T))
    if starts is not None:
        hidden = hidden | (np.arange(T) < starts[:, :, None])  # (B, S, T)
    scores[np.broadcast_to(hidden[:, None, None], scores.shape)] = -np.inf
    probs, _ = softmax_forward(scores)  # (B, K, G, S, T)
    out = (probs @ value).transpose(0, 3, 1, 2, 4).reshape(B, S, H, D)
    return out, (query, key, value, probs)


def attention_backward(dout, cache):
    """dout (B, T, H, D) -> dq (B, T, H, D), dk (B, T, K, D), dv (B, T, K, D)"""
    query, key, value, probs = cache
    B, K, G, T, D = query.shape
    dout = dout.reshape(B, T, K, G, D).transpose(0, 2, 3, 1, 4)  # (B, K, G, T, D)
    dvalue = probs.swapaxes(-1, -2) @ dout  # out = probs @ value  (B, K, G, T, D)
    dprobs = dout @ value.swapaxes(-1, -2)  # out = probs @ value  (B, K, G, T, T)
    dscores = softmax_backward(dprobs, probs)  # 0 where hidden, because probs is 0 there
    dscores *= 1.0 / math.sqrt(D)  # scores = query @ key^T / sqrt(D)
    dquery = dscores @ key  # (B, K, G, T, D)
    dkey = dscores.swapaxes(-1, -2) @ query  # (B, K, G, T, D)
    dq = dquery.transpose(0, 3, 1, 2, 4).reshape(B, T, K * G, D)
    # one key/value head serves G query heads: their gradients add up
    dk = dkey.sum(axis=2).transpose(0, 2, 1, 3)  # (B, T, K, D)
    dv = dvalue.sum(axis=2).transpose(0, 2, 1, 3)  # (B, T, K, D)
    return dq, dk, dv


def cross_entropy_forward(logits, targets):
    """-log softmax(logits)[target] of every row, in nats.

    logits (N, V), targets (N,) int in [0, V) -> nll (N,)
    """
    largest = logits.max(axis=-1, keepdims=True)  # (N, 1)
    lse = np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True)) + largest  # (N, 1), log of the sum of exp
    nll = lse[:, 0] - logits[np.arange(len(targets)), targets]  # (N,)
    return nll, (logits, targets, lse)


def cross_entropy_backward(dnll, cache):
    """dnll (N,) -> dlogits (N, V): (softmax - one-hot) times the row's weight"""
    logits, targets, lse = cache
    dlogits = np.exp(logits - lse)  # nll = lse - logits[target], and d lse / d logits = softmax
    dlogits[np.arange(len(targets)), targets] -= 1.0
    dlogits *= dnll[:, None]
    return dlogits


def adamw_update(p, g, m, v, lr, beta1, beta2, eps, decay, step):
    """One AdamW update in place (Loshchilov and Hutter 2019, but decay is multiplied by lr). p g m v (n,); step counts from 1."""
    m += (1.0 - beta1) * (g - m)
    v += (1.0 - beta2) * (g * g - v)
    denominator = np.sqrt(v * (1.0 / (1.0 - beta2**step))) + eps  # v starts at 0: undo the bias
    p *= 1.0 - lr * decay
    p -= (lr / (1.0 - beta1**step)) * m / denominator


MUON_MOMENTUM = 0.95
# a x + b x^3 + c x^5, one after the other: each is the best such polynomial (smallest largest error against 1) on what the one
# before leaves of [0.01, 1] (the method of Amsel et al. 2025). Three of them end in [0.73, 1.27]; Jordan's five in [0.68, 1.2].
POLYNOMIALS = ((8.0914, -23.6112, 17.4378), (3.6367, -2.7227, 0.5368), (2.6616, -1.9777, 0.4528))


def orthogonalise(matrix):
    """The matrix with its singular values moved to about 1 and its singular vectors kept (Jordan et al. 2024).

    (n, m) -> (n, m). Singular values above 1 % of the matrix's Euclidean norm land in [0.73, 1.27], smaller ones below; so do all of
    a matrix whose norm is not well above 1e-7: what is as small as rounding should not become a whole step.
    """
    x = matrix / (math.sqrt(float((matrix * matrix).sum())) + 1e-7)  # largest singular value at most 1
    tall = x.shape[0] > x.shape[1]
    x = np.ascontiguousarray(x.T) if tall else x
    for a, b, c in POLYNOMIALS:
        gram = x @ x.T  # (n, n), n the shorter side
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


def muon_update(p, g, m, lr, decay):
    """One Muon update of a matrix in place: momentum (Nesterov), then orthogonalised. p g m (n_in, n_out)."""
    m += (1.0 - MUON_MOMENTUM) * (g - m)
    update = orthogonalise((1.0 - MUON_MOMENTUM) * g + MUON_MOMENTUM * m)
    p *= 1.0 - lr * decay
    p -= lr * math.sqrt(max(1.0, p.shape[1] / p.shape[0])) * update  # the same change of every output channel


def scatter(dx, kept, shape):
    """The gradient of taking the flat positions kept (n,) out of an array of this shape: dx (n, C) -> (B, T, C), 0 elsewhere"""
    whole = np.zeros(shape, dx.dtype)
    whole.reshape(-1, shape[-1])[kept] = dx
    return whole
