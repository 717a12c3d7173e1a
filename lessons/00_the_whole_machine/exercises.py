"""Exercises of lesson 00. Replace each `raise` by your code, then: python -m minigpt grade 00

gpt is an InstructGPT, such as InstructGPT.from_pretrained("micro"). It has gpt.model, gpt.tokenizer, gpt.prompt(messages),
gpt.chat(messages) and gpt.answer(text). A message is {"role": "user" or "assistant", "content": text}.
`from minigpt import render` gives you the ids of a conversation, and which of them the assistant writes.
"""


def answer_log_probability(gpt, instruction, answer):
    """The natural logarithm of P(answer | instruction), as a float.

    instruction, answer: texts -> the sum over all tokens that the assistant would have to write: those of the answer (with
    the space that the template puts before it), and <|end|>, by which it says that the answer is complete.
    """
    raise NotImplementedError("00.1 how likely is an answer (3 points)")


def best_instruction(gpt, instructions, answer):
    """Find a prompt: after which of the instructions is this answer the likeliest?

    instructions: a list of texts, answer: a text -> its index in the list, an int
    """
    raise NotImplementedError("00.2 find a prompt (2 points)")


def choose(gpt, question, options):
    """Multiple choice: which of the options would the model rather answer? Long options must not be at a disadvantage,
    so compare the mean log P of their tokens, <|end|> included.

    question: a text, options: a list of texts -> the index of the best one, an int
    """
    raise NotImplementedError("00.3 multiple choice (2 points)")


def converse(gpt, lines, window):
    """A conversation with a model that remembers only the last `window` exchanges.

    lines: what the user says, one after the other -> list of the replies. An exchange is a line of the user with its reply.
    For each line the model reads the last `window` exchanges (fewer at the beginning) and then the line. window at least 0.
    """
    raise NotImplementedError("00.4 a conversation (3 points)")
