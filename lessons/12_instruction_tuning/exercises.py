"""Exercises of lesson 12. Replace each `raise` by your code, then: python -m minigpt grade 12

Ids, masks and starts are lists of ints in exercises 1 to 3, arrays in exercise 4.
"""


def next_token_lists(ids, mask, starts):
    """One packed row -> what a model reads, what it must predict, and which predictions count.

    ids, mask (0 or 1), starts: lists of N ints; starts[t] is the place where the text of token t begins.
    -> inputs, targets, weights: lists of N - 1. A prediction counts (weight 1) if the mask keeps its target and the target
    belongs to the same text as the token that is read; otherwise its weight is 0.
    """
    raise NotImplementedError("12.1 what counts in a packed row (2 points)")


def read_back(ids, roles, end):
    """The way back from ids to messages.

    roles: {id of a role token: its name}, end: the id of <|end|> -> list of (role, content ids, whether it was ended).
    Every message is a role token, content ids, and `end`. The last message may lack its `end`, as in a prompt.
    ValueError if an id stands outside a message, if a role token stands inside one, or if `end` ends nothing.
    """
    raise NotImplementedError("12.2 read a conversation back (3 points)")


def best_fit(lengths, room):
    """Pack as tightly as a simple rule can: the longest first, each into the row that it fills best.

    lengths: list of ints, none above room -> list of rows, each a list of numbers (from 0) of conversations in the order in which they were put into it.
    Take the longest first (of equal ones the one with the lower number). Put it into the row with the least room left that still
    has enough (of equal ones the earliest row); if there is none, open a new row behind the others.
    """
    raise NotImplementedError("12.3 best fit, longest first (3 points)")


def equal_conversations(logits, targets, mask, conversation):
    """Loss and gradient of a packed row in which every conversation counts the same, however long its answers are.

    logits (T, V), targets (T,), mask (T,) of 0 and 1, conversation (T,): the number of each token's conversation
    -> loss (float), dlogits (T, V)
    The loss of one conversation is the mean of -log P(target) over its places with mask 1. The loss of the row is the mean over the
    conversations that have at least one such place; 0 if there is none. Scores may be as large as 1000.
    """
    raise NotImplementedError("12.4 every conversation counts the same (4 points)")
