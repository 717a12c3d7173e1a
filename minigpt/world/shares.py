"""How much of what is optional examples hold: in evaluation as it was frozen, in training more of what is hard."""

# of the evaluated examples: instructions in Chinese; texts about one person, of a wanted number of sentences, with wanted words,
# with a wanted ending, and stories that training tells in the usual wording; stories about things that training alone tells of;
# answers in a wanted format, of these in a format that only training asks for; facts for which a short form is drawn besides, words
# to be spelt instead of facts, and facts that only training asks for; of the questions from outside the world those that would be in
# it but for an invented word; of the stories in pretraining text those in whose place facts stand, of the documents about facts those
# in note form, those with lines of their own and those of facts that training never asks for; of the sentence pairs those with rare
# words and the plain ones that only training has; of the questions in Chinese about a text those answered in a whole sentence; of the
# conversations those in which more is asked than the last question; of the questions for facts in English those that stand alone; of
# the texts about somebody with a wanted thing those that ask for one about both; of the questions for facts those without a verb
# ("Capital of France?"); requests typed without care for capital letters and full stops; of the texts to be read or summarised
# those that tell an everyday scene in place of a story; of the questions for facts those with digits and, if
# one answers in a sentence, those that name what others ask for ("Of which country is Paris the capital?"); of the translations single words
SHARES = {"chinese": 0.125, "alone": 0.4, "number": 0.3, "words": 0.7, "ending": 0.7, "usual": 0.0, "things": 0.0, "format": 0.25,
          "variety": 0.0, "short": 0.0, "spelling": 0.0, "extra": 0.0, "invented": 0.5, "knowledge": 0.0, "notes": 0.0, "lines": 0.0,
          "unasked": 0.0, "rare": 0.0, "plain": 0.0, "whole": 0.0, "more": 0.0, "bare": 0.0, "title": 0.0, "terse": 0.0, "careless": 0.0,
          "scenes": 0.0, "digits": 0.0, "reverse": 0.0, "single": 0.0}

# the same of training; but fewer texts about one person, which are easy, and fewer invented words, or a fact that is never asked for
# is thought invented too (at 0.15 one invented thing in ten was explained)
PRACTICE = {"chinese": 0.4, "alone": 0.25, "number": 0.6, "words": 0.9, "ending": 0.85, "usual": 0.8, "things": 0.4, "format": 0.55,
            "variety": 0.25, "short": 0.25, "spelling": 0.2, "extra": 0.35, "invented": 0.4, "knowledge": 0.3, "notes": 0.5,
            "lines": 0.5, "unasked": 0.4, "rare": 0.5, "plain": 0.2, "whole": 1.0, "more": 0.5, "bare": 0.4, "title": 0.5,
            "terse": 0.1, "careless": 0.4, "scenes": 0.4, "digits": 0.25,
            "reverse": 0.2, "single": 0.1}

# kind -> its weight in the tuning mix, where that is not its family's: more facts, translations, stories, diaries, conversations with
# a question about what was not told, harmless wishes and questions from outside the world, fewer summaries and questions about texts
WEIGHTS = {"one-paragraph": 0.05, "two-paragraph": 0.04, "en-zh": 0.16, "zh-en": 0.11, "reading": 0.1, "facts": 0.2, "story": 0.075,
           "diary": 0.09, "untold": 0.05, "benign": 0.036, "unknown": 0.05}


def is_due(world, rng, split, what):
    """Does an example ask for something that only some do (a key of SHARES)? Training may practise it more often."""
    share = (world.practice if split == "train" else SHARES)[what]
    return share > 0 and rng.random() < share
