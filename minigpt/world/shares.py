"""How much of what is optional examples hold: in evaluation as it was frozen, in training more of what is hard."""

# what -> its share of the evaluated examples, and of training, which has more of what is hard
# (*) not more: or a fact that is never asked for is thought invented too (at 0.15 one invented thing in ten was explained)
BOTH = {
    "chinese":   (0.125, 0.4),   # instructions in Chinese
    "alone":     (0.4, 0.25),    # texts about one person; they are easy, so training has fewer
    "number":    (0.3, 0.6),     # texts of a wanted number of sentences
    "words":     (0.7, 0.9),     # texts with wanted words
    "ending":    (0.7, 0.85),    # texts with a wanted ending
    "usual":     (0.0, 0.8),     # stories asked for that are told in the usual wording
    "anybody":   (0.0, 0.1),     # stories that are wanted about nobody ("Tell me a story.")
    "things":    (0.0, 0.4),     # stories about things that training alone tells of
    "format":    (0.25, 0.55),   # answers in a wanted format
    "variety":   (0.0, 0.25),    # of these, in a format that only training asks for
    "short":     (0.0, 0.25),    # facts for which a short form is drawn besides
    "spelling":  (0.0, 0.2),     # words to be spelt instead of facts
    "extra":     (0.0, 0.3),     # facts that only training asks for
    "invented":  (0.5, 0.4),     # of the questions from outside the world those that would be in it but for an invented word (*)
    "knowledge": (0.0, 0.3),     # of the stories in pretraining text those in whose place facts stand
    "notes":     (0.0, 0.5),     # of the documents about facts those in note form
    "lines":     (0.0, 0.5),     # those with lines of their own
    "unasked":   (0.0, 0.4),     # those of facts that training never asks for
    "rare":      (0.0, 0.5),     # of the sentence pairs those with rare words
    "plain":     (0.0, 0.2),     # the plain ones that only training has
    "whole":     (0.0, 1.0),     # of the questions in Chinese about a text those answered in a whole sentence
    "more":      (0.0, 0.5),     # conversations in which more is asked than the last question
    "bare":      (0.0, 0.4),     # of the questions for facts in English those that stand alone
    "title":     (0.0, 0.5),     # of the texts about somebody with a wanted thing those that ask for one about both
    "terse":     (0.0, 0.1),     # of the questions for facts those without a verb ("Capital of France?")
    "careless":  (0.0, 0.4),     # requests typed without care for capital letters and full stops
    "scenes":    (0.0, 0.2),     # of the texts to be read or summarised those that tell an everyday scene in place of a story
    "details":   (0.0, 0.35),    # of these stories and scenes those asked for what only some tellings have
    "remarks":   (0.0, 0.15),    # of the texts to be read those of a few remarks in any order
    "digits":    (0.0, 0.12),    # of the questions for facts those with their numbers in digits
    "reverse":   (0.0, 0.1),     # of those without a wanted format those that name what others ask for ("Of which country is Paris the capital?")
    "single":    (0.0, 0.05),     # of the translations single words
}
SHARES, PRACTICE = ({what: shares[place] for what, shares in BOTH.items()} for place in (0, 1))

# kind -> its weight in the tuning mix, where that is not its family's. The weights then add up to a third more, so that facts, diaries, wishes,
# conversations and questions from outside the world are more of the mix, and whatever is not named here is less of it, as summaries are
WEIGHTS = {"one-paragraph": 0.05, "two-paragraph": 0.04, "en-zh": 0.17, "zh-en": 0.13, "facts": 0.22, "story": 0.075,
           "diary": 0.09, "memory": 0.08, "untold": 0.065, "manners": 0.03, "harmful": 0.04, "benign": 0.06,
           "unknown": 0.05}


def is_due(world, rng, split, what):
    """Does an example ask for something that only some do (a key of SHARES)? Training may practise it more often."""
    share = (world.practice if split == "train" else SHARES)[what]
    return share > 0 and rng.random() < share
