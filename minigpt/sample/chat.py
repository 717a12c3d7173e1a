"""A conversation in the terminal: lines in, answers out, and a few commands that begin with a slash."""
from minigpt.config import ANSWER, SampleConfig
from minigpt.sample.explain import explain
from minigpt.show.progress import harmless, wants_colour
from minigpt.text.template import render, show_mask

HELP = """\
/new            forget what was said
/back           take back the last question and its answer
/show           the whole conversation as tokens; green (without colours {+so+}): what the model writes itself
/explain        how likely every token of the last answer was, with and without the question
/temperature X  0: always the likeliest token; higher: more varied
/help, /quit     Ctrl-C while it writes: forget this question"""


def chat(assistant, settings, lines, write):
    """Answer every line of `lines` (an iterable of str) until /quit or its end. settings: fields of SampleConfig; write(text) shows."""
    messages, last = [], None
    settings = dict(settings)
    for line in lines:
        command, _, argument = line.strip().partition(" ")
        if command == "/quit":
            return
        if command.startswith("/"):
            if command in ("/new", "/back"):
                messages, last = [] if command == "/new" else messages[:-2], None
            try:
                write(_command(command, argument, assistant, messages, last, settings))
            except ValueError as error:
                write(f"{error}\n")
        elif command:
            asked = [*messages, {"role": "user", "content": line.strip()}]
            try:
                assistant.prompt(asked, settings.get("max_new_tokens", ANSWER.max_new_tokens))  # what is too long is refused before the assistant speaks
                write("gpt: ")
                generation = assistant.generations([asked], on_text=lambda piece: write(harmless(piece)), **settings)[0]
            except ValueError as error:
                write(f"{error}\n")
                continue
            except KeyboardInterrupt as interrupt:
                if interrupt.args:  # the program is to end
                    raise
                write(" [stopped and forgotten]\n")
                continue
            write("\n")
            last = generation
            reply = assistant.tokenizer.decode(generation.ids, skip_special_tokens=True).strip()
            messages = [*asked, {"role": "assistant", "content": reply}]


def _command(command, argument, assistant, messages, last, settings):
    """Carry out a slash command -> what to show. Changes settings in place."""
    if command == "/new":
        return "forgotten\n"
    if command == "/back":
        left = len(messages) // 2
        return f"{left} question{'s remain' if left != 1 else ' remains'}\n"
    if command == "/show":
        return show_mask(*render(messages, assistant.tokenizer), assistant.tokenizer, colour=wants_colour()) + "\n" if messages else "nothing was said yet\n"
    if command == "/explain":
        return explain(assistant, last, {"no instruction": []}) + "\n" if last else "there is no answer yet\n"
    if command == "/temperature":
        try:
            wanted = {**settings, "temperature": float(argument)}
        except ValueError:
            return f"{argument!r} is not a number; for example /temperature 0.7\n"
        SampleConfig(**wanted)  # refuses what means nothing
        settings.update(wanted)
        return f"temperature {settings['temperature']}\n"
    return HELP + "\n" if command == "/help" else f"there is no {command}; /help lists the commands\n"
