"""A loss: cross-entropy that also pulls log Z, the logits' common offset, towards 0, the z-loss of PaLM (Chowdhery et al. 2022, section 5).

    loss = -log p(target) + WEIGHT * log(Z)^2          Z = sum of exp(logits), which cross-entropy leaves free

A loss takes arrays and returns (loss, d loss / d logits, stats); it never sees a model. The validation loss in the log
is computed by negative_log_likelihood, without the penalty, so that it can be compared with other runs.
"""
import numpy as np

from minigpt.__main__ import main
from minigpt.nn import losses

WEIGHT = 1e-3
plain = losses.cross_entropy


def cross_entropy(logits, targets, mask=None, denominator=None, ops=None):
    loss, dlogits, stats = plain(logits, targets, mask, denominator, ops)
    top = logits.max(axis=-1, keepdims=True)  # (..., 1)
    e = np.exp(logits - top)
    z = e.sum(axis=-1, keepdims=True)  # (..., 1)
    log_z = top + np.log(z)  # (..., 1)
    keep = 1.0 if mask is None else np.asarray(mask, logits.dtype)[..., None]
    scale = WEIGHT / (denominator or stats["tokens"] or 1.0)
    penalty = float((keep * log_z * log_z).sum(dtype=np.float64))
    return loss + scale * penalty, dlogits + 2.0 * scale * keep * log_z * (e / z), stats  # d log Z / d logits = softmax


losses.cross_entropy = cross_entropy
if __name__ == "__main__":
    raise SystemExit(main())
