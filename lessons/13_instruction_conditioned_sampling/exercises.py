"""Exercises of lesson 13. Replace each `raise` by your code, then: python -m minigpt grade 13

Logits and probabilities are float64 arrays. Logarithms are natural ones.
"""


def answer_logprobs(logits, ids, start):
    """One forward pass -> how likely each token of the answer was.

    logits (N, V): row t was computed from ids[0] to ids[t]; ids: list of N ints, the instruction and then the answer;
    start: where the answer begins in ids, at least 1
    -> log P (N - start,) of the answer's tokens, each given all before it; and their running sum (N - start,)
    Logits may be as large as 1000.
    """
    raise NotImplementedError("13.1 an answer's log-probabilities (2 points)")


def guess_instruction(logp, prior):
    """Hear an answer token by token and guess which instruction it answers, by Bayes' rule.

    logp (I, T): log P(w_t | w_1 .. w_(t-1), instruction i); prior (I,): P(i) before a word was heard, all above 0
    -> posterior (T + 1, I): row t is P(i | w_1 .. w_t), so row 0 is the prior; each row adds up to 1
    A long answer may have a log-probability of -10000.
    """
    raise NotImplementedError("13.2 guess the instruction (3 points)")


def guided(conditional, unconditional, strength):
    """Follow the instruction more than the model itself would (classifier-free guidance; Ho and Salimans, 2022).

    conditional (V,): probabilities of the next token given the instruction; unconditional (V,): given none; all above 0
    What the instruction changes is log conditional - log unconditional. Take the unconditional log-probabilities and add
    `strength` times that change; then make probabilities of the result.
    strength 0: as if nobody had asked; 1: the model's own answer; above 1: exaggerated -> (V,), adding up to 1
    """
    raise NotImplementedError("13.3 guidance (3 points)")


def probability_of_any(next_probabilities, answers, end):
    """How likely is it that the model writes one of these answers, whole, and then stops?

    next_probabilities(ids) -> (V,): P(next token | instruction, ids), ids a tuple of what was written so far.
    answers: list of tuples of ids without the end token; the same answer may stand in it twice and then counts once.
    end: the id that ends an answer -> float
    Call next_probabilities only for beginnings of answers and at most once for each, since every call is a forward pass.
    """
    raise NotImplementedError("13.4 the probability of any right answer (4 points)")
