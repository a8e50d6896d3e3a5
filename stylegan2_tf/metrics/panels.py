"""The single plots of a report, each drawn into a cell of the page.

Blue is real and vermilion is generated everywhere; the two differ for every kind of colour
vision (Okabe and Ito, Color Universal Design, 2008), and line styles differ with them.
"""

import math
import textwrap

import numpy as np
from matplotlib import font_manager
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from stylegan2_tf.data import printable
from stylegan2_tf.metrics.page import number, with_unit

REAL, FAKE, OTHER, INK = "#0072B2", "#D55E00", "#6E6E6E", "#222222"
LINES = {"real": ("real", REAL, "-"), "fake": ("generated", FAKE, "--")}


def draw_curve(curve, name, cell):
    axis = cell.subplots()
    axis.set(xlabel=curve.x_label, ylabel=curve.y_label)
    logarithmic = name == "histogram"  # black background fills one bin: the rest shows only so
    for label, y in curve.lines.items():
        y = np.asarray(y, float)
        y = np.where(np.isfinite(y) & ((y > 0) | (not logarithmic)), y, np.nan)
        label, colour, dashes = LINES.get(label, (label, OTHER, ":"))
        if np.isfinite(y).any():
            axis.plot(curve.x, y, dashes, color=colour, label=label)
    if axis.lines:
        axis.legend()
        if logarithmic:
            axis.set_yscale("log")
            axis.yaxis.set(major_formatter="{x:g}", minor_formatter="")


def _mark(axis, place, value, interval, fake, upright=False):
    """Draw a value and its interval, of fakes or of the floor, at a place of the other axis."""
    colour = FAKE if fake else OTHER
    marker = {"marker": "o" if fake else "D", "markersize": 4.5 if fake else 4,
              "markerfacecolor": colour if fake else "white"}
    for points, look in ((interval or (), {"linewidth": 1.6}), ((value,), marker)):
        if points and all(map(math.isfinite, points)):
            places = [place] * len(points)
            axis.plot(*((places, points) if upright else (points, places)), color=colour, **look)


def draw_levels(levels, cell):
    axis = cell.subplots()
    for i, value in enumerate(levels.values()):
        if math.isfinite(value.value):
            axis.bar(i, value.value, 0.62, color=FAKE, alpha=0.3)
        _mark(axis, i - 0.12, value.value, value.interval, fake=True, upright=True)
        _mark(axis, i + 0.12, value.floor, value.floor_interval, fake=False, upright=True)
    axis.set_xticks(range(len(levels)), [name.split("/")[1] for name in levels])
    axis.set(xlabel="longer side of the level (pixels)", xlim=(-0.6, len(levels) - 0.4),
             ylabel=with_unit("distance", value.unit))
    axis.set_ylim(bottom=min(axis.get_ylim()[0], 0))


def groups_of(values):
    """Lists of values that share an axis: each alone, but those to be high together (0 to 1)."""
    groups = {}
    for name, value in values.items():
        together = value.better == "higher" and (value.extractor, value.unit)
        groups.setdefault(together or name, []).append(value)
    return list(groups.values())


def draw_dots(groups, cell):
    """Draw each value with interval above its floor; every group has an axis of its own."""
    axes = cell.subplots(len(groups), 1, squeeze=False,
                         height_ratios=[len(group) + 0.4 for group in groups])[:, 0]
    arrows = {"lower": " ←", "higher": " →"}
    for axis, group in zip(axes, groups, strict=True):
        for y, value in enumerate(group):
            _mark(axis, y - 0.16, value.value, value.interval, fake=True)
            _mark(axis, y + 0.16, value.floor, value.floor_interval, fake=False)
        labels = [drawable(with_unit(value.label, value.unit)) + arrows.get(value.better, "")
                  for value in group]
        axis.set_yticks(range(len(group)), [textwrap.fill(label, 32) for label in labels])
        axis.set_ylim(len(group) - 0.5, -0.5)
        axis.xaxis.set_major_locator(MaxNLocator(4) if axis.lines else NullLocator())
        axis.margins(x=0.12)
        axis.grid(axis="x", color="#E6E6E6", linewidth=0.6)
        axis.tick_params("y", length=0)
        axis.tick_params("x", pad=1, labelsize=6)
        axis.spines["left"].set_visible(False)
    cell.supxlabel("own scale and unit in each row; arrows point to better", fontsize=7.5)


def draw_distances(near, cell):
    axes = cell.subplots(len(near), 1, squeeze=False).flat
    for axis, (name, found) in zip(axes, near.items(), strict=True):
        sets = [(values[np.isfinite(values)], colour, dashes, f"{label} ({len(values):,})")
                for values, colour, dashes, label in (
                    (found.calibration, REAL, "-", found.calibrated_by),
                    (found.distance, FAKE, "--", "generated"))]
        bins = np.histogram_bin_edges(np.concatenate([values for values, *_ in sets]), 30)
        for values, colour, dashes, label in sets:
            axis.hist(values, bins, weights=np.ones(len(values)) / max(len(values), 1),
                      histtype="stepfilled", facecolor=(colour, 0.2), edgecolor=colour,
                      linestyle=dashes, label=label)
        if math.isfinite(found.threshold):
            axis.axvline(found.threshold, color=INK, linewidth=1, linestyle=":",
                         label=f"threshold {number(found.threshold)}")
        unit = " (root mean square; black to white is 2)" if name == "pixels" else ""
        axis.set(xlabel=drawable(found.distance_name) + unit, ylabel="share of images")
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.set_ylim(top=1.75 * axis.get_ylim()[1])
        axis.legend(loc="upper left", frameon=True, edgecolor="none", borderaxespad=0.2)


def drawable(text):
    """`text` as one line; characters that the font lacks become question marks."""
    glyphs = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    return "".join(c if ord(c) in glyphs else "?" for c in printable(text))
