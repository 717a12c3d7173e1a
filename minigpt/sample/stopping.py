"""Stop texts: an answer ends before one of them, wherever the tokens cut it; and text shown while it is written."""
from minigpt.text.streaming import StreamDecoder


def cut_before(text, stop_texts):
    """The text up to the first place where one of the stop texts begins; all of it where there is none."""
    return text[: min((place for place in map(text.find, stop_texts) if place >= 0), default=len(text))]


def listed(stop_texts):
    """Any iterable of texts -> tuple. ValueError for an empty one, or for one text instead of several."""
    if isinstance(stop_texts, str):
        raise ValueError(f"stop_texts is the single text {stop_texts!r}; give a tuple of texts")
    stop_texts = tuple(stop_texts)
    if not all(stop_texts):
        raise ValueError("a stop text is empty, which every answer begins with; leave it out")
    return stop_texts


def ends_with(tok, stop_texts, skip_special_tokens=False):
    """-> ends(ids) for `generate`: whether a stop text has appeared in what the ids spell, as it will be shown.

    None where there are no stop texts.
    """
    stop_texts = listed(stop_texts)
    if not stop_texts:
        return None

    def ends(ids):
        text = tok.decode(ids, skip_special_tokens)
        return any(stop in text for stop in stop_texts)

    return ends


class TextStream:
    """Passes the first row's tokens on as text: whole characters, no space before an answer, nothing from a stop text on.

    on_text(piece) is called as soon as a piece cannot be the beginning of a stop text any more.
    """

    def __init__(self, tok, on_text, stop_texts=()):
        self.decoder, self.on_text, self.stop_texts = StreamDecoder(tok, skip_special_tokens=True), on_text, stop_texts
        self.begun, self.ended, self.waiting = False, False, ""

    def push(self, row, token):
        """on_token for `generate`."""
        if row == 0:
            self._show(self.decoder.push(token), held=True)

    def finish(self):
        """No more tokens: show what waited."""
        self._show(self.decoder.finish(), held=False)

    def _show(self, text, held):
        text = self.waiting + text
        whole = cut_before(text, self.stop_texts)
        now = "" if self.ended else whole
        self.ended = self.ended or len(whole) < len(text)
        keep = max((n for stop in self.stop_texts for n in range(1, len(stop)) if now.endswith(stop[:n])), default=0) if held and not self.ended else 0
        now, self.waiting = now[: len(now) - keep], now[len(now) - keep :]
        now = now if self.begun else now.lstrip()
        if now:
            self.begun = True
            self.on_text(now)
