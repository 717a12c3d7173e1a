"""Figures: the only file that imports matplotlib. The same data always give the same file, legible for everyone.

No pyplot and no global state: settings hold inside a `with` and end with it.
"""
import hashlib
import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from minigpt.files import atomic_write

# Okabe and Ito's eight colours, which stay apart for the colour-blind: blue, orange, green, vermilion, purple, sky, yellow, black
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
SETTINGS = {
    "svg.hashsalt": "minigpt",  # matplotlib names the parts of an SVG at random otherwise
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine has it
    "font.size": 11,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
}


def new_figure(columns=1, width=7.0, height=3.4, **options):
    """An empty figure with `columns` axes side by side; sizes in inches, options as for matplotlib's subplots.

    -> figure, axes (one, or an array of them when columns > 1)
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(1, columns, **options)


def draw_map(axes, table, rows, columns, label, **options):
    """Draws table (R, C) as coloured cells with a name for each row and column, and a bar that explains the colours.

    options: as for matplotlib's imshow, such as vmin and vmax. cividis: even brightness, made for the colour-blind.
    """
    picture = axes.imshow(table, cmap="cividis", aspect="auto", **options)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(False)
    axes.figure.colorbar(picture, ax=axes, label=label)


def save_svg(figure, path, alt):
    """Writes the figure and prints the Markdown image line by which a woven page shows it.

    alt: what the picture shows, for who cannot see it; ValueError when empty. -> the figure (a notebook displays it)
    The plotted data's hash is written into the file: pages are checked by it, because bytes differ between versions.
    """
    if not alt.strip() or "]" in alt or "\n" in alt:
        raise ValueError(f"alt text {alt!r}: say in one line, without ']', what the picture shows")
    path = Path(path)
    path.parent.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    lines = (line.rstrip() for line in drawn.getvalue().decode("utf-8").splitlines())
    atomic_write(path, ("\n".join(lines) + f"\n<!-- data {data_hash(figure)} -->\n").encode("utf-8"))
    print(f"![{alt}]({path.parent.name}/{path.name})")
    return figure


def read_hash(path):
    """An SVG of save_svg -> the hash of the data that it shows."""
    return Path(path).read_text(encoding="utf-8").rstrip().rpartition("<!-- data ")[2].removesuffix(" -->")


def data_hash(figure):
    """sha256 of what is plotted: lines, images, bars, points (not their colours) and texts of the axes, numbers to 3 significant digits."""
    parts = []
    for axes in figure.axes:
        parts += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()]
        parts += [text.get_text() for text in axes.texts]
        parts += [label.get_text() for label in axes.get_xticklabels() + axes.get_yticklabels()]
        parts += [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []
        parts += [_digits(line.get_xydata()) for line in axes.lines]
        parts += [_digits(image.get_array()) for image in axes.images]
        parts += [_digits(patch.get_patch_transform().transform(patch.get_path().vertices)) for patch in axes.patches]
        for points in axes.collections:
            parts += [_digits(points.get_offsets())] + [_digits(path.vertices) for path in points.get_paths()]
    return hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()


def _digits(values):
    """Numbers -> text. Three digits are what an eye can see; what is below 1e-9 is rounding noise."""
    values = np.asarray(np.ma.filled(values, np.nan), dtype=float).ravel()
    return " ".join("0" if abs(value) < 1e-9 else f"{value:.3g}" for value in values)


def training_curves(log, path):
    """The log of a run (list of dicts with tokens, loss, lr, validation_loss) as a picture: loss above, learning rate below."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(7.0, 5.0), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        tokens, loss = (np.array([entry[key] for entry in log]) for key in ("tokens", "loss"))
        window = max(1, len(loss) // 100)
        smooth = np.convolve(loss, np.ones(window) / window, mode="valid")
        top.plot(tokens, loss, color=PALETTE[5], alpha=0.4, linewidth=0.7, label="each batch")
        top.plot(tokens[window - 1 :], smooth, color=PALETTE[0], label=f"mean of {window} batches")
        held_out = [(entry["tokens"], entry["validation_loss"]) for entry in log if "validation_loss" in entry]
        if held_out:
            top.plot(*zip(*held_out), "o-", color=PALETTE[3], label="held-out text")
        top.set_ylabel("loss (nats per token)")
        top.legend()
        bottom.plot(tokens, [entry["lr"] for entry in log], color=PALETTE[2])
        bottom.set_ylabel("learning rate")
        bottom.set_xlabel("tokens read")
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=120, metadata={"Software": None})
    atomic_write(path, drawn.getvalue())
