"""P(w_1..w_T | instruction) = prod P(w_t | w_<t, instruction), made visible: the formula of the whole project as a table."""
import numpy as np

from minigpt.nn.ops import cross_entropy_forward
from minigpt.show.progress import table


def continuation_logprobs(model, prompt, continuation):
    """log P(w_t | w_<t, prompt) of every token of a continuation, in one forward pass without a cache.

    prompt, continuation: lists of ids, at least one in the prompt -> (T,) float64, nats
    """
    if outside := [i for i in continuation if not 0 <= i < model.config.vocab_size]:
        raise ValueError(f"id {outside[0]} is outside the vocabulary of {model.config.vocab_size}")
    ids = np.array([[*prompt, *continuation]])
    logits, _ = model.forward(ids[:, :-1])  # (1, n + T - 1, V)
    nll, _ = cross_entropy_forward(logits[0, len(prompt) - 1 :].astype(np.float64), continuation)  # (T, V) -> (T,)
    return -nll


def explain(assistant, generation, others):
    """How likely the model finds its answer, token by token, and how likely without the instruction or with other ones.

    generation: what `assistant.generations` gave. others: {label: messages} of the prompts to compare with; one
    behind which the answer does not fit the context is left out.
    ValueError if the sampler's log-probabilities differ from those of a forward pass: then the cache is wrong. -> text
    """
    tok, model = assistant.tokenizer, assistant.model
    tokens = [*generation.ids, *generation.stopped]
    if not tokens:
        raise ValueError("the answer has no token to explain; allow at least one with max_new_tokens")
    logp = continuation_logprobs(model, generation.prompt, tokens)
    worst = float(np.abs(logp - generation.logprobs).max())
    if worst > 1e-3:
        raise ValueError(f"the sampler's log-probabilities differ from a forward pass by {worst:.1e} nats; the cache is wrong")
    sums = np.cumsum(logp)
    rows = [[t + 1, tok.draw([token]), f"{np.exp(p):.4f}", f"{p:.3f}", f"{s:.3f}"] for t, (token, p, s) in enumerate(zip(tokens, logp, sums))]
    lines = [table(rows, ["t", "token w_t", "P(w_t | w_<t, instruction)", "log P", "running sum"], right=(0, 2, 3, 4)), ""]
    prompts = {label: assistant.prompt(m) for label, m in others.items()}
    compared = {"this instruction": logp, **{label: continuation_logprobs(model, prompt, tokens) for label, prompt in prompts.items()
                                             if len(prompt) + len(tokens) - 1 <= model.config.block_size}}
    rows = [[label, f"{p.sum():.2f}", f"{np.exp(p.sum()):.2e}", f"{np.exp(p.mean()):.4f}"] for label, p in compared.items()]
    lines.append(table(rows, ["the same answer, given", "log P(w_1..w_T)", "P(w_1..w_T)", "per token"], right=(1, 2, 3)))
    lines.append(f"\nlog P from the sampler and from one forward pass agree to {worst:.0e} nats")
    return "\n".join(lines)
