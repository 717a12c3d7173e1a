"""A task family: the odd one out. An example is a conversation, its answer, and what generalisation it tests.

    Which is the odd one out: cat, school, duck, horse?  ->  school

`hashed` keeps the splits apart by a hash of the whole prompt: no list of words of an evaluation was seen in training in
the same order. The weights of all kinds are shares of the tuning mix.
"""
import dataclasses

from minigpt import world
from minigpt.__main__ import main
from minigpt.commands import run
from minigpt.world.draw import candidates
from minigpt.world.family import Example, Family, user, verify_exact


def make(world, rng, split, kind):
    common, other = rng.sample(("animals", "foods", "places"), 2)
    odd = rng.choice(candidates(world, other))["en"]
    words = [odd] + [word["en"] for word in rng.sample(candidates(world, common), 3)]
    rng.shuffle(words)
    question = f"Which is the odd one out: {', '.join(words)}?"
    return Example("odd", kind, (user(question),), odd, {"phrasing": "seen", "cell": "seen"})


world.FAMILIES["odd"] = Family("odd", {"list": 0.2}, make, verify_exact, hashed=("list",))
run.WORLDS["odd"] = (lambda full: dataclasses.replace(world.small_world(full), families=("odd", "answer")), 2048)
if __name__ == "__main__":
    raise SystemExit(main())
