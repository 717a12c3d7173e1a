"""Losses: the mask, the denominator, and the sum over shards."""
import math

import numpy as np
import pytest

from minigpt.nn import losses
from minigpt.nn.backend import get_ops
from minigpt.nn.gradcheck import TOLERANCE, directional_error



@pytest.fixture(params=["numpy", "fast"])
def ops(request):
    return get_ops(request.param)


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((3, 7, 11)), rng.integers(0, 11, (3, 7)), (rng.random((3, 7)) < 0.6).astype(np.float32)


def test_mean_over_the_kept_positions(ops):
    logits, targets, mask = data()
    by_hand = [math.log(sum(math.exp(z) for z in logits[b, t])) - logits[b, t, targets[b, t]]
               for b in range(3) for t in range(7) if mask[b, t]]
    loss, _, stats = losses.cross_entropy(logits, targets, mask, ops=ops)
    assert math.isclose(loss, sum(by_hand) / len(by_hand), rel_tol=1e-12)
    assert math.isclose(stats["nll_sum"], sum(by_hand), rel_tol=1e-12) and stats["tokens"] == len(by_hand)


@pytest.mark.parametrize("masked, denominator", [(False, None), (True, None), (True, 5.0)])
def test_gradient(ops, masked, denominator):
    logits, targets, mask = data()
    mask = mask if masked else None
    _, dlogits, _ = losses.cross_entropy(logits, targets, mask, denominator, ops)

    def f(z):
        return losses.cross_entropy(z, targets, mask, denominator, ops)[0]

    assert directional_error(f, dlogits, logits, np.random.default_rng(1)) <= TOLERANCE


def test_what_the_mask_hides_does_not_matter(ops):
    logits, targets, mask = data()
    loss, dlogits, _ = losses.cross_entropy(logits, targets, mask, ops=ops)
    hidden = mask == 0
    other_logits, other_targets, _ = data(1)
    logits[hidden], targets[hidden] = other_logits[hidden], other_targets[hidden]
    loss2, dlogits2, _ = losses.cross_entropy(logits, targets, mask, ops=ops)
    assert loss2 == loss and not dlogits[hidden].any()
    np.testing.assert_array_equal(dlogits2, dlogits)


def test_shards_add_up(ops):
    """With the whole batch's denominator, although the shards keep different numbers of positions."""
    logits, targets, mask = data()
    assert len(set(mask.sum(axis=1))) > 1
    loss, dlogits, _ = losses.cross_entropy(logits, targets, mask, ops=ops)
    parts = [losses.cross_entropy(logits[b : b + 1], targets[b : b + 1], mask[b : b + 1], mask.sum(), ops) for b in range(3)]
    assert math.isclose(sum(part[0] for part in parts), loss, rel_tol=1e-12)
    np.testing.assert_allclose(np.concatenate([part[1] for part in parts]), dlogits, rtol=1e-12)


def test_weights_may_be_fractions(ops):
    """A mean does not depend on the scale of its weights, also when they add up to less than 1."""
    logits, targets, mask = data()
    weights = np.linspace(0.1, 1.0, 21).reshape(3, 7) * mask
    loss, dlogits, stats = losses.cross_entropy(logits, targets, weights, ops=ops)
    small, dsmall, _ = losses.cross_entropy(logits, targets, weights / 100, ops=ops)
    assert math.isclose(loss, small, rel_tol=1e-12) and math.isclose(stats["tokens"], weights.sum(), rel_tol=1e-12)
    np.testing.assert_allclose(dlogits, dsmall, rtol=1e-9)


def test_the_given_operations_are_used(ops):
    class Counted:
        calls = []

        def __getattr__(self, name):
            self.calls.append(name)
            return getattr(ops, name)

    losses.cross_entropy(*data(), ops=Counted())
    assert Counted.calls == ["cross_entropy_forward", "cross_entropy_backward"]


def test_float32_and_an_empty_mask(ops):
    logits, targets, mask = data()
    loss, dlogits, _ = losses.cross_entropy(logits.astype(np.float32), targets, mask, ops=ops)
    assert isinstance(loss, float) and dlogits.dtype == np.float32
    loss, dlogits, stats = losses.cross_entropy(logits, targets, 0 * mask, ops=ops)
    assert loss == 0.0 and not dlogits.any() and stats["tokens"] == 0


@pytest.mark.parametrize("change", [lambda targets, mask: (targets[:1], mask), lambda targets, mask: (targets + 0.5, mask),
                                    lambda targets, mask: (targets, mask.reshape(-1)[:1])], ids=["few targets", "no ids", "few weights"])
def test_targets_and_weights_that_do_not_fit_are_refused(change):
    """NumPy would take one for all."""
    logits, targets, mask = data()
    with pytest.raises(ValueError, match="each row needs a target"):
        losses.cross_entropy(logits, *change(targets, mask))


@pytest.mark.parametrize("target", [-1, 11])
def test_targets_outside_the_vocabulary_are_refused(target):
    logits, targets, mask = data()
    targets[0, 0] = target
    with pytest.raises(ValueError, match=str(target)):
        losses.cross_entropy(logits, targets, mask)
