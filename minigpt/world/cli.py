"""python -m minigpt world: look at the world, write it to files, measure it."""

from minigpt.config import check_least
from minigpt.world.build import SAMPLES, build
from minigpt.world.corpus import pretraining_documents
from minigpt.world.splits import SPLITS
from minigpt.world.stats import print_stats
from minigpt.world.tables import load_world
from minigpt.world.tasks import FAMILIES, examples


def add_world_arguments(parser):
    """Declare the actions of the command on an argparse parser."""
    actions = parser.add_subparsers(dest="action", required=True)
    sample = actions.add_parser("sample", help="print examples of a task family, or pretraining documents")
    sample.add_argument("--family", default="documents", choices=["documents", *FAMILIES],
                        help="a task family, or documents to pretrain on (default)")
    sample.add_argument("--kind", default=None, help="one kind of the family only, such as en-zh")
    sample.add_argument("--split", default="train", choices=SPLITS)
    sample.add_argument("-n", type=int, default=5, help="how many")
    sample.add_argument("--seed", type=int, default=0)
    files = actions.add_parser("build", help="write pretraining.txt and train, dev, test.jsonl to a folder")
    files.add_argument("folder")
    files.add_argument("--documents", type=int, default=SAMPLES["documents"], help="how many pretraining documents")
    files.add_argument("--per-kind", type=int, default=SAMPLES["per_kind"],
                       help="how many examples of each kind of each family, in each split")
    files.add_argument("--seed", type=int, default=SAMPLES["seed"])
    stats = actions.add_parser("stats", help="size, mixture, wordings, that the splits are apart, and how much of the evaluation stands in the training text")
    stats.add_argument("--tokenizer", metavar="FOLDER", default="micro", help="whose tokens are counted (default micro, the shipped model's)")


def run_world(args):
    """Run the chosen action with parsed arguments."""
    check_least(args, n=1, documents=1, per_kind=1, seed=0)
    if args.action == "sample" and args.kind and args.family == "documents":
        raise ValueError(f"--kind {args.kind} is a kind of a task family; give its --family too")
    if args.action == "sample" and args.split != "train" and args.family == "documents":
        raise ValueError(f"documents are for training only, --split is {args.split}; give a --family, or leave it out")
    world = load_world()
    if args.action == "stats":
        print_stats(world, args.tokenizer)
    elif args.action == "build":
        for name, size in build(world, args.folder, args.documents, args.per_kind, args.seed).items():
            print(f"{name}: {size:,} bytes")
    elif args.family == "documents":
        for _, document in zip(range(args.n), pretraining_documents(world, args.seed)):
            print(document + "\n")
    else:
        for example in examples(world, args.family, args.split, args.n, args.seed, args.kind):
            print(f"[{example.family} / {example.kind}] " + ", ".join(f"{name}: {value}" for name, value in example.facets.items()))
            for message in example.messages:
                print(f"  {message['role']}: {message['content']}")
            print(f"  -> {example.answer}\n")
