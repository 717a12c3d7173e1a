"""The chat template: messages -> ids and loss mask. The only place that puts special ids into one; a message's text never can."""
import itertools

from minigpt.files import short

SPECIAL_TOKENS = ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
ROLES = ("system", "user", "assistant")

# The same for transformers' apply_chat_template. It encodes the rendered text, so there a message that spells a special
# token becomes one unless sanitize_control_tokens=True is given; render below has no such hole.
CHAT_TEMPLATE = """\
{%- set roles = {'system': '<|system|>', 'user': '<|user|>', 'assistant': '<|assistant|>'} -%}
{%- for message in messages -%}
{{ roles[message['role']] + ' ' + message['content'] | trim + '<|end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}
"""


def chat_template(tok):
    """What transformers' apply_chat_template needs for this tokenizer -> jinja source; None where it lacks one of our special tokens"""
    return CHAT_TEMPLATE if all(text in tok.special_tokens for text in SPECIAL_TOKENS) else None


GREEN, GREY, RESET = "\x1b[32m", "\x1b[90m", "\x1b[0m"


def render(messages, tok, add_generation_prompt=False):
    """A conversation -> ids, mask (lists of equal length): <|role|>, a space and the stripped content, <|end|> per message.

    messages: [{"role": "system" | "user" | "assistant", "content": str}, ...]. mask is 1 on what the model learns to write:
    an assistant's content and its <|end|>. add_generation_prompt appends <|assistant|>, so that an answer is what follows.
    """
    if missing := [text for text in SPECIAL_TOKENS if text not in tok.special_tokens]:
        raise ValueError(f"this tokenizer has no special token {missing[0]!r}: `python -m minigpt import FOLDER --chat` adds it to a model folder")
    check_messages(messages)
    ids, mask = [], []
    for message in messages:
        content = tok.encode_ordinary(" " + message["content"].strip())
        learned = int(message["role"] == "assistant")
        ids += [tok.special_tokens[f"<|{message['role']}|>"], *content, tok.special_tokens["<|end|>"]]
        mask += [0] + [learned] * (len(content) + 1)
    if add_generation_prompt:
        ids.append(tok.special_tokens["<|assistant|>"])
        mask.append(0)
    return ids, mask


def check_messages(messages):
    """ValueError for what is no conversation: a message without a role that the template knows, or without a text."""
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise ValueError(f'a message is {short(message)}: each is {{"role": ..., "content": a text}}, and a conversation is a list of them')
        if message.get("role") not in ROLES:
            raise ValueError(f"role {message.get('role')!r} is unknown: use one of {', '.join(ROLES)}")


def show_mask(ids, mask, tok, colour=True):
    """Ids and mask -> text for a terminal: green is what the loss sees, grey what it does not. Without colour {+what it sees+}."""
    runs = itertools.groupby(zip(ids, mask, strict=True), key=lambda pair: pair[1])
    before, behind = ((GREY, GREEN), (RESET, RESET)) if colour else (("", "{+"), ("", "+}"))
    return "".join(f"{before[bool(learned)]}{tok.decode([i for i, _ in run])}{behind[bool(learned)]}" for learned, run in runs)
