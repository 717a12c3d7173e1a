"""A norm: RMSNorm that measures the size of a row on half of its channels (partial RMSNorm, Zhang and Sennrich 2019).

    y = gain * x / rms(first half of x)          gain (C,)

A norm is three functions and a name; its parameters are called after the place where it stands, such as h.0.ln_1.
Only the measured channels are to blame for the size, so only they get the second term of the gradient.
"""
import numpy as np

from minigpt.__main__ import main
from minigpt.config import GPTConfig
from minigpt.nn.layers import NORMS, Layer, rmsnorm_spec


def forward(p, name, x, ctx):
    half = x[..., : x.shape[-1] // 2]
    r = 1.0 / np.sqrt((half * half).mean(axis=-1, keepdims=True) + ctx.config.norm_eps)  # (..., 1)
    return x * r * p[f"{name}.weight"], (x * r, r)


def backward(p, g, name, dy, cache, ctx):
    n, r = cache  # y = n gain, n = x r
    g[f"{name}.weight"] += (dy * n).sum(axis=tuple(range(dy.ndim - 1)))
    dn = dy * p[f"{name}.weight"]
    dx = r * dn
    half = n.shape[-1] // 2
    dx[..., :half] -= r * n[..., :half] * (dn * n).sum(axis=-1, keepdims=True) / half  # r falls with these
    return dx


NORMS["half-rms"] = Layer(rmsnorm_spec, forward, backward)
GPTConfig.choices("norm").append("half-rms")
if __name__ == "__main__":
    raise SystemExit(main())
