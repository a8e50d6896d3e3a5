"""The picture of a preview: examples, facts and histogram on one page."""

import math
import textwrap

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from stylegan2_tf import files
from stylegan2_tf.metrics.figures import DPI, STYLE
from stylegan2_tf.metrics.panels import REAL, drawable
from stylegan2_tf.preview.facts import describe
from stylegan2_tf.preview.findings import BINS

WIDTHS = 7.2, 5.4  # inches: of the examples and of the facts
LINE = 0.15  # inches of one line of the facts
HISTOGRAM = 2.5  # inches, at least
WRAP = 68  # characters on a line of the facts
SHOWN = 3  # details of a fact here; the terminal shows more


def save_preview(findings, path):
    """Draw examples, facts and a histogram of all values.

    Args:
        findings: What `examine` returned.
        path: Where the picture shall lie; .png, .pdf or .svg.
    """
    lines = _lines(describe(findings))
    tall = LINE * len(lines) + 0.4
    height = max(WIDTHS[0] + 0.4, tall + HISTOGRAM)
    with style.context(["default", STYLE]):  # whatever the user's matplotlibrc says
        figure = Figure((sum(WIDTHS), height), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=WIDTHS)
        upper, lower = right.subfigures(2, 1, height_ratios=[tall, height - tall])
        _draw_examples(findings.examples, left)
        _draw_lines(lines, upper, tall)
        _draw_histogram(findings.histogram, lower)
        with files.replacing(path) as temporary:
            figure.savefig(temporary, dpi=DPI)


def _lines(facts):
    """Pairs (label or "", text), each of which fits on one line."""
    lines = []
    for fact in facts:
        details = [detail.strip() for detail in fact.details]
        if len(details) > SHOWN:
            details[SHOWN:] = [f"and {len(details) - SHOWN:,} more"]
        texts = [line for text in [fact.text, *details]
                 for line in textwrap.wrap(drawable(text), WRAP) or [""]]
        lines += zip([fact.label, *[""] * len(texts)], texts, strict=False)
    return lines


def _draw_lines(lines, panel, height):
    for place, (label, text) in enumerate(lines):
        y = 1 - (0.25 + LINE * place) / height
        panel.text(0.01, y, label, fontweight="bold")
        panel.text(0.19, y, text)


def _draw_examples(examples, panel):
    """Draw the examples in a nearly square grid, each with the end of its name below."""
    columns = math.ceil(math.sqrt(len(examples)))
    axes = panel.subplots(math.ceil(len(examples) / columns), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, image) in zip(axes.flat, examples, strict=False):
        axis.imshow(np.broadcast_to(image, (*image.shape[:2], 3)))
        axis.set_title(_short(name, 150 // columns), y=0, va="top", pad=-2, fontsize=5.5)


def _draw_histogram(histogram, panel):
    axis = panel.subplots()
    percent = np.linspace(0, 100, BINS)
    axis.bar(percent, 100 * histogram / histogram.sum(), percent[1], color=REAL)
    axis.set(xlabel="value (% from black to white)", ylabel="share of all values (%)",
             yscale="log", xlim=(-1, 101))
    axis.set_ylim(top=min(axis.get_ylim()[1], 150))
    axis.yaxis.set(major_formatter="{x:g}", minor_formatter="")


def _short(name, length):
    """The end of `name`, which tells more than the folders before it."""
    name = drawable(name)
    return name if len(name) <= length else "…" + name[1 - length:]
