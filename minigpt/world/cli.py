"""python -m minigpt world: look at the world."""

from minigpt.world.corpus import pretraining_documents
from minigpt.world.tables import load_world
from minigpt.world.tasks import FAMILIES, examples


def add_world_arguments(parser):
    """Declare the actions of the command on an argparse parser."""
    actions = parser.add_subparsers(dest="action", required=True)
    sample = actions.add_parser("sample", help="print examples of a task family, or pretraining documents")
    sample.add_argument("--family", default="documents", choices=["documents", *FAMILIES], help="a task family, or documents to pretrain on")
    sample.add_argument("--kind", default=None, help="one kind of the family only, such as en-zh")
    sample.add_argument("--split", default="train", choices=["train", "dev", "test"])
    sample.add_argument("-n", type=int, default=5, help="how many")
    sample.add_argument("--seed", type=int, default=0)


def run_world(args):
    """Run the chosen action with parsed arguments."""
    world = load_world()
    if args.family == "documents":
        for _, document in zip(range(args.n), pretraining_documents(world, args.seed)):
            print(document + "\n")
        return
    for example in examples(world, args.family, args.split, args.n, args.seed, args.kind):
        print(f"[{example.family} / {example.kind}] " + ", ".join(f"{name}: {value}" for name, value in example.facets.items()))
        for message in example.messages:
            print(f"  {message['role']}: {message['content']}")
        print(f"  -> {example.answer}\n")
