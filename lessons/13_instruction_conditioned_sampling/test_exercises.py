"""The tests that `python -m minigpt grade 13` runs. Expected values come from loops over single numbers and from trying every answer."""
import itertools
import math

import numpy as np

from minigpt.course.draw import expect_close


def test_1_values(exercises, draw):
    """each token's log-probability comes from the row before it"""
    start, T, V = draw.integer("start", 1, 4), draw.integer("T", 1, 5), draw.integer("V", 2, 5)
    logits = draw.array("logits", start + T, V, scale=draw.choice("scale", (1.0, 500.0)))
    ids = [int(i) for i in draw.integers("ids", 0, V - 1, start + T)]
    expected = []
    for t in range(start, start + T):
        row = [float(z) for z in logits[t - 1]]
        expected.append(row[ids[t]] - max(row) - math.log(sum(math.exp(z - max(row)) for z in row)))
    logp, sums = exercises.answer_logprobs(logits.copy(), list(ids), start)
    expect_close(logp, np.array(expected), "log P of token")
    expect_close(sums, np.array([sum(expected[:t + 1]) for t in range(T)]), "running sum")


def test_2_values(exercises, draw):
    """Bayes' rule after every token"""
    instructions, T = draw.integer("instructions", 1, 4), draw.integer("T", 0, 4)
    p = np.exp(-np.abs(draw.array("log P of the tokens", instructions, T)))
    prior = np.exp(draw.array("log prior", instructions))
    prior /= prior.sum()
    expected = []
    for t in range(T + 1):
        joint = [float(prior[i]) * math.prod(map(float, p[i, :t])) for i in range(instructions)]
        expected.append([x / sum(joint) for x in joint])
    answer = exercises.guess_instruction(np.log(p), prior.copy())
    expect_close(answer, np.array(expected), "posterior")


def test_2_long(exercises, draw):
    """a long answer is no longer than the computer can bear"""
    common, T = -draw.integer("nats per token", 1, 5), 2000 * draw.integer("thousands", 1, 3)
    draw.values = {"log P of every token but one": common, "tokens": T}
    logp = np.full((2, T), float(common))
    logp[1, 0] -= math.log(3)  # three times less likely, once
    answer = exercises.guess_instruction(logp, np.array([0.5, 0.5]))
    expect_close(answer[-1], np.array([0.75, 0.25]), "the last posterior")


def two_distributions(draw):
    V = draw.integer("V", 2, 6)
    pair = [np.exp(draw.array(f"log {name}", V)) for name in ("conditional", "unconditional")]
    pair = [p / p.sum() for p in pair]
    draw.values = {"conditional": pair[0], "unconditional": pair[1]}
    return pair


def test_3_values(exercises, draw):
    """a weighted product of powers"""
    conditional, unconditional = two_distributions(draw)
    strength = draw.choice("strength", (2.0, 0.0, 1.0, 0.5, 4.0))
    powers = [float(c) ** strength * float(u) ** (1.0 - strength) for c, u in zip(conditional, unconditional)]
    expected = np.array([x / sum(powers) for x in powers])
    expect_close(exercises.guided(conditional.copy(), unconditional.copy(), strength), expected, "probability of token")


def test_3_strong(exercises, draw):
    """a great strength leaves the token that the instruction raises most"""
    conditional, unconditional = two_distributions(draw)
    answer = exercises.guided(conditional.copy(), unconditional.copy(), 1e5)
    best = int(np.argmax(np.log(conditional / unconditional)))
    assert int(np.argmax(answer)) == best and np.isfinite(answer).all(), f"got {answer}, all of it belongs to token {best}"


def language(draw, V):
    """P(next | ids) of a made-up language that depends on all tokens so far; counts its calls."""
    seed, calls = int(draw.rng("language").integers(10**6)), []

    def next_probabilities(ids):
        calls.append(tuple(ids))
        p = np.exp(np.random.default_rng([seed, len(ids), *ids]).normal(0.0, 1.0, V))
        return p / p.sum()

    return next_probabilities, calls


def test_4_values(exercises, draw):
    """the sum over different answers, each with its end"""
    V, count = draw.integer("V", 2, 4), draw.integer("count", 0, 6)
    every = [ids for n in range(4) for ids in itertools.product(range(1, V), repeat=n)]  # 0 is the end
    answers = [every[int(i)] for i in draw.integers("which", 0, len(every) - 1, count)]
    draw.values["answers"] = answers
    oracle, _ = language(draw, V)
    expected = 0.0
    for ids in set(answers):
        expected += math.prod(float(oracle((*ids, 0)[:t])[(*ids, 0)[t]]) for t in range(len(ids) + 1))
    model, calls = language(draw, V)
    expect_close(exercises.probability_of_any(model, list(answers), 0), expected, "probability")
    beginnings = {ids[:t] for ids in answers for t in range(len(ids) + 1)}
    assert len(calls) == len(set(calls)) and set(calls) <= beginnings, \
        f"{len(calls)} calls of next_probabilities for {len(beginnings)} beginnings: {calls}"


def test_4_everything(exercises, draw):
    """the probabilities of all answers up to a length, and of going on beyond it, add up to 1"""
    V, longest = draw.integer("V", 2, 4), draw.integer("longest", 0, 3)
    every = [ids for n in range(longest + 1) for ids in itertools.product(range(1, V), repeat=n)]
    oracle, _ = language(draw, V)
    beyond = sum(math.prod(float(oracle(ids[:t])[ids[t]]) for t in range(longest)) * (1.0 - float(oracle(ids)[0]))
                 for ids in every if len(ids) == longest)
    model, _ = language(draw, V)
    expect_close(exercises.probability_of_any(model, every, 0) + beyond, 1.0, "sum")
