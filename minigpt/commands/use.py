"""Commands that use a model: answer, chat, continue a text, evaluate."""
import contextlib
import functools
import itertools
import json
import locale
import os
import random
import sys

from minigpt.config import ANSWER, SampleConfig, add_flags, check_least, from_flags
from minigpt.evaluate import report, tasks
from minigpt.evaluate.metrics import bits_per_byte, paired
from minigpt.evaluate.prompts import holds, read_prompts
from minigpt.files import data_folder, find_folder
from minigpt.jit import cache_folder
from minigpt.model import InstructGPT
from minigpt.sample.chat import chat
from minigpt.sample.explain import explain
from minigpt.sample.generate import generate
from minigpt.sample.stopping import cut_before, ends_with
from minigpt.show.progress import harmless
from minigpt.show.readme import markdown_table, update_section
from minigpt.train.pretrain import VALIDATION_SEED
from minigpt.world import load_world, pretraining_documents, verify
from minigpt.world.careless import typed_carelessly
from minigpt.world.handwritten import handwritten

WRONG = "What is the opposite of hot?"  # with which `answer --explain` compares
TYPED = "typed.tsv"  # of the data folder
PROMPTS = 200  # of each family, where `eval` is not told how many
MOST = 1000  # continuations side by side: each has its part of the cache


def _add_model(parser, default="micro"):
    parser.add_argument("--model", metavar="NAME", default=default, help=f"a shipped checkpoint (micro, micro-broad, or base: micro-base) or a model folder (default {default})")
    parser.add_argument("--backend", choices=("fast", "numpy"), default="fast", help="fast: Numba kernels (default); numpy: the readable definitions")


def _assistant(arguments):
    """The model that is asked; says so where nobody would know why the first answer takes so long."""
    folder = cache_folder() if arguments.backend == "fast" and sys.stderr and sys.stderr.isatty() else None
    if folder and not any(folder.rglob("decode._step*.nbi")):
        print("the kernels are compiled at the first answer, which takes half a minute", file=sys.stderr, flush=True)
    return InstructGPT.from_pretrained(arguments.model, backend=arguments.backend)


def _add_stop(parser):
    parser.add_argument("--stop", metavar="TEXT", action="append", default=[], help="end before this text; may be given several times")


def add_answer_arguments(parser):
    """Flags of `answer`."""
    parser.add_argument("instruction", help="what to do, such as 'What is the capital of Japan?'; - reads standard input")
    _add_model(parser)
    parser.add_argument("--explain", action="store_true", help="show P(w_t | w_<t, instruction) for every token of the answer, and the answer's probability given other instructions")
    parser.add_argument("--wrong", metavar="TEXT", help=f"with --explain: the wrong instruction to compare with (default '{WRONG}')")
    _add_stop(parser)
    add_flags(parser.add_argument_group("sampling"), ANSWER)


def run_answer(arguments):
    """Print the answer to one instruction as it is written."""
    if arguments.instruction == "-" and sys.stdin is None:
        raise ValueError("standard input is closed; give the instruction itself instead of -")
    text = sys.stdin.read() if arguments.instruction == "-" else arguments.instruction
    if not text.strip():
        raise ValueError("the instruction is empty; write what the model should do")
    if arguments.wrong is not None and not arguments.explain:
        raise ValueError("--wrong goes with --explain; leave it out")
    assistant = _assistant(arguments)
    settings = vars(from_flags(ANSWER, arguments))
    messages = [{"role": "user", "content": text}]
    other = WRONG if arguments.wrong is None else arguments.wrong
    wrong = [{"role": "user", "content": other}]
    if arguments.explain:
        try:
            assistant.prompt(wrong)  # known before the answer is written
        except ValueError as error:
            raise ValueError(f"--wrong: {error}") from None
    generation = assistant.generations([messages], lambda piece: print(harmless(piece), end="", flush=True), arguments.stop, **settings)[0]
    print()
    limit = assistant.model.config.block_size
    if generation.finish == "length" and len(generation.prompt) + len(generation.ids) >= limit:
        print(f"cut off after {len(generation.ids)} tokens: the context of {limit} is full; shorten the instruction", file=sys.stderr)
    elif generation.finish == "length" and arguments.max_new_tokens is None:
        print(f"cut off after {len(generation.ids)} tokens; --max-new-tokens allows more, as far as the context of {limit} has room", file=sys.stderr)
    if arguments.explain:
        print("\n" + explain(assistant, generation, {"no instruction": [], f"a wrong one ({other})": wrong}))


def add_chat_arguments(parser):
    """Flags of `chat`."""
    _add_model(parser)
    add_flags(parser.add_argument_group("sampling"), ANSWER)


def run_chat(arguments):
    """A conversation in the terminal."""
    settings = from_flags(ANSWER, arguments)
    assistant = _assistant(arguments)
    print(f"talking with {find_folder(arguments.model)}, {assistant.model.num_parameters():,} parameters; /help lists the commands, /quit leaves")
    chat(assistant, vars(settings), _lines(), lambda text: print(text, end="", flush=True))


def _lines():
    """Lines typed at the terminal, with editing and history where the system has them, until end of input."""
    if locale.getencoding().lower() not in ("utf-8", "utf8"):
        os.environ["LC_ALL"] = "C.UTF-8"  # the streams are UTF-8 whatever the locale says, but readline believes it
    try:
        import readline  # being imported is enough: input() then keeps a history
    except ImportError:
        pass
    while True:
        try:
            yield input("you: ")
        except (EOFError, RuntimeError):  # RuntimeError: standard input is closed
            print()
            return


def add_sample_arguments(parser):
    """Flags of `sample`."""
    _add_model(parser, "micro-base")
    parser.add_argument("--prompt", default=" Yesterday", help="the text to continue (default ' Yesterday'; words of the world begin with a space)")
    parser.add_argument("-n", type=int, default=1, help="how many continuations")
    _add_stop(parser)
    add_flags(parser.add_argument_group("sampling"), SampleConfig())


def run_sample(arguments):
    """Continue a text as the model thinks it goes on."""
    if not 1 <= arguments.n <= MOST:
        raise ValueError(f"-n is {arguments.n}; it must be at least 1 and at most {MOST}")
    assistant = _assistant(arguments)
    tok = assistant.tokenizer
    try:
        ids = tok.encode(arguments.prompt)
    except ValueError as error:  # a special token, for which there is no flag
        raise ValueError(f"{str(error).partition(':')[0]}; leave it out of --prompt") from None
    if not ids:
        raise ValueError("the prompt is empty; write the text to continue, or leave --prompt out")
    rows = generate(assistant.model, [ids] * arguments.n, from_flags(SampleConfig(), arguments), assistant.stop,
                    ends=ends_with(tok, arguments.stop), vocab_size=tok.vocab_size)
    for row in rows:
        print(arguments.prompt + harmless(cut_before(tok.decode(row.ids), arguments.stop)), end="\n\n" if arguments.n > 1 else "\n")


def add_eval_arguments(parser):
    """Flags of `eval`."""
    _add_model(parser)
    parser.add_argument("--against", metavar="NAME", help="a second model for comparison, such as the base model")
    parser.add_argument("--base", metavar="NAME", help="a base model for comparison, asked in the way that does best on dev for each kind: through the chat template, as plain text, after solved examples, or by the beginning of a text like those that it has read")
    parser.add_argument("--handwritten", action="store_true", help="instead: the prompts in data/handwritten, which come from no template, with the answers")
    parser.add_argument("--prompts", nargs="?", metavar="FILE", const=True, help="instead: the prompts of a table with the columns kind, prompt and keys, what a right answer must hold (default data/typed.tsv, typed by somebody who had not seen our wordings)")
    parser.add_argument("--split", choices=("dev", "test"), help="dev for every choice (default), test only to report")
    parser.add_argument("-n", type=int, help=f"prompts per family (default {PROMPTS})")
    parser.add_argument("--careless", action="store_true", help="type the prompts without care for capital letters and full stops, as many people do")
    parser.add_argument("--report", action="store_true", help="-n prompts per kind, one row per axis of generalisation, beside what is asked of the shipped model")
    parser.add_argument("--readme", action="store_true", help="with --report: write the table into README.md")
    parser.add_argument("--show", type=int, metavar="N", default=0, help="also print N wrong answers of the model, each with its prompt and the reference")
    parser.add_argument("--by", metavar="FACET", help="also split the rows by a facet of the prompts: phrasing, name, fact, ...")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run_eval(arguments):
    """Score one or two models on the same held-out prompts."""
    check_least(arguments, n=1, seed=0, show=0)
    if arguments.against and find_folder(arguments.model).samefile(find_folder(arguments.against)):
        raise ValueError(f"{arguments.model} would be compared with itself; name another model")
    if arguments.readme and not arguments.report:
        raise ValueError("--readme writes the table of --report; add --report or leave --readme out")
    if arguments.json and (arguments.handwritten or arguments.prompts or arguments.report):
        raise ValueError("--json prints counts; leave --handwritten, --prompts and --report out")
    if (arguments.handwritten or arguments.prompts) and (arguments.against or arguments.base or arguments.by or arguments.report or arguments.careless or arguments.n or arguments.split):
        raise ValueError(f"{'--handwritten' if arguments.handwritten else '--prompts'} shows the answers of one model to all its prompts; leave --against, --base, --by, --report, --careless, --split and -n out")
    if arguments.handwritten and arguments.prompts:
        raise ValueError("--handwritten and --prompts are two sets of prompts; leave one of them out")
    if arguments.show and (arguments.handwritten or arguments.prompts or arguments.json):
        raise ValueError("--show goes without --handwritten and --prompts, which show every answer, and without --json; leave one of them out")
    if arguments.careless and arguments.readme:
        raise ValueError("--readme writes the table of the prompts as they are; leave --careless out")
    if arguments.report and arguments.by:
        raise ValueError("--report has rows of its own; leave --by out")
    world, columns, outcomes = load_world(), {}, {}
    if arguments.handwritten or arguments.prompts:
        listed = _handwritten(world) if arguments.handwritten else _typed() if arguments.prompts is True else _typed(arguments.prompts)
        return _list_answers(InstructGPT.from_pretrained(arguments.model, backend=arguments.backend), arguments.model, *listed)
    make = report.questions if arguments.report else tasks.evaluation_examples
    questions = make(world, arguments.split or "dev", arguments.n or PROMPTS, arguments.seed)
    if arguments.careless:
        rng = random.Random(arguments.seed)
        questions = [typed_carelessly(world, rng, question) for question in questions]
    facets = sorted({facet for question in questions for facet in question.facets})
    if arguments.by and arguments.by not in facets:
        raise ValueError(f"--by is {arguments.by}; it must be one of {', '.join(facets)}")
    count = report.counts if arguments.report else functools.partial(tasks.summary, facet=arguments.by)
    with contextlib.redirect_stdout(sys.stderr) if arguments.json else contextlib.nullcontext():  # progress is no JSON
        if arguments.base:
            base = InstructGPT.from_pretrained(arguments.base, backend=arguments.backend)
            styles, name = tasks.best_styles(base, world), f"{arguments.base}, best prompt"
            print("the base is asked best: " + "; ".join(f"{' / '.join(kind)} {style}" for kind, (style, _) in styles.items()))
            outcomes[name] = tasks.score(questions, tasks.answer_by_style(base, questions, world, styles))
            columns[name] = count(questions, outcomes[name])
        for name in filter(None, (arguments.against, arguments.model)):
            assistant = InstructGPT.from_pretrained(name, backend=arguments.backend)
            answers = tasks.answer_all(assistant, questions, label=f"evaluating {name}")
            outcomes[name] = tasks.score(questions, answers)
            columns[name] = count(questions, outcomes[name])
    if arguments.json:
        print(json.dumps(columns, indent=2))
        return
    _show_wrong(questions, answers, outcomes[arguments.model], arguments.show)
    print(report.rows_as_text(columns, "micro") if arguments.report else tasks.comparison(columns))
    if arguments.report:
        beside = _beside(assistant, world, arguments.model)
        print("\n" + beside)
        if arguments.readme:
            update_section("evaluation", f"{report.rows_as_text(columns, 'micro', markdown_table)}\n\n{beside}")
    for name in list(outcomes)[:-1]:
        first, second, p = paired(outcomes[name], outcomes[arguments.model])
        print(f"\nonly {name} right: {first}, only {arguments.model} right: {second}, sign test p = {p:.2g}")


def _in_a_line(question):
    return " | ".join(" ".join(message["content"].split()) for message in question.messages)


def _show_wrong(questions, answers, outcomes, count):
    """Print the first wrong answers of every kind, `count` in all."""
    wrong, turn = {}, {}
    for question, answer, right in zip(questions, answers, outcomes):
        if not right:
            kind = question.family, question.kind
            turn[kind] = turn.get(kind, 0) + 1
            wrong[turn[kind], kind] = question, answer
    for question, answer in [wrong[place] for place in sorted(wrong)][:count]:
        print(f"{question.family} / {question.kind}: {_in_a_line(question)}\n  answer:    {answer}\n  reference: {question.answer}\n")


def _beside(assistant, world, name):
    """What stands beside the report's table: how well the model knows text, and how far it goes without our templates."""
    documents = list(itertools.islice(pretraining_documents(world, VALIDATION_SEED), 200))
    bits = bits_per_byte(assistant.model, assistant.tokenizer, documents)
    (_, outside), (_, typed) = (_answer_listed(assistant, *listed) for listed in (_handwritten(world), _typed()))
    return (f"Beside the table: {bits:.3f} bits per byte of held-out text ({name}); {sum(outside)} of {len(outside)} prompts right that were written "
            f"by hand and follow no template, and {sum(typed)} of {len(typed)} typed by somebody who knew the words and facts of the world and none of our wordings "
            "(no goal: they say how far a model of this world really goes).")


def _handwritten(world):
    """-> the hand-written prompts of all families, right(question, answer)"""
    return [example for name in world.families for example in handwritten(world, name)], verify


def _typed(path=None):
    """-> the prompts of a table (None: data/typed.tsv), right(question, answer)"""
    return read_prompts(path or data_folder() / TYPED), lambda question, answer: holds(question.answer, answer)


def _answer_listed(assistant, questions, right):
    """-> the assistant's answers, whether each is right"""
    answers = tasks.answer_all(assistant, questions, label=None)
    return answers, tasks.score(questions, answers, right)


def _list_answers(assistant, name, questions, right):
    """Every prompt with the model's answer, then the counts."""
    answers, outcomes = _answer_listed(assistant, questions, right)
    for question, answer, right in zip(questions, answers, outcomes):
        print(f"{'right' if right else 'wrong'}  {question.family}: {_in_a_line(question)}\n       -> {answer}")
    print(f"\n{tasks.comparison({name: tasks.summary(questions, outcomes)})}\n\n{sum(outcomes)} of {len(outcomes)} right")
