"""The plots of a run: `losses.png` from its log, and scatter pictures of its styles.

Blue is the discriminator D and real, vermilion the generator G and generated, as in the report
of `evaluate`.

Shapes: `N` points.
"""

import contextlib
import dataclasses
import math
from typing import Any

import numpy as np
from matplotlib import colormaps, style
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter

from stylegan2_tf import files
from stylegan2_tf.fields import METRICS
from stylegan2_tf.metrics.figures import DPI, STYLE, WIDTH
from stylegan2_tf.metrics.page import number
from stylegan2_tf.metrics.panels import FAKE, INK, OTHER, REAL, drawable
from stylegan2_tf.tracking.history import epoch_means, read_log, thinned

POINTS = 2000  # of a line, at most: more than the picture has pixels
MARKED = 40  # points, at most, of a line that shows each of them
NARROW = 0.04  # of the width: a shorter stage is not named
COLUMNS = 3  # of small panels
GREEN, PURPLE, ORANGE, SKY = "#009E73", "#CC79A7", "#E69F00", "#56B4E9"

# Title -> column -> (label, colour). "share" is no column but made from the epochs' losses.
PANELS = {
    "losses": {"d_loss": ("D", REAL), "g_loss": ("G", FAKE)},
    "share of the losses": {"share": ("|D| / (|D| + |G|)", REAL)},
    "penalties": {"r1": ("R1", GREEN), "r2": ("R2", PURPLE),
                  "gradient_penalty": ("gradient", GREEN), "pl_penalty": ("path length", ORANGE)},
    "scores of D": {"score_real": ("real", REAL), "score_fake": ("generated", FAKE)},
    "gradient norms": {"d_grad_norm": ("D", REAL), "g_grad_norm": ("G", FAKE)},
    "augmentation": {"augment_p": ("probability", GREEN),
                     "augment_sign": ("sign of D(real)", OTHER)}}
LOGARITHMIC = ("penalties", "gradient norms")
MEASURED = {**{f"eval/{name}": (name, better) for name, better in METRICS.items()},
            "watch/diversity": ("diversity (real images: 1)", None)}
KINDS = {"generated": {"marker": "."}, "real image, projected": {
    "marker": "D", "markerfacecolor": "white", "markersize": 5}}
CLASSES = (GREEN, PURPLE, ORANGE, SKY, INK)
SEEN = "images seen (kimg)"
TITLE = {"loc": "left", "fontweight": "bold"}
BETTER = {True: " (higher is better)", False: " (lower is better)", None: ""}


@contextlib.contextmanager
def _page(path, size, title):
    """Yield a figure of `size` (inches) below a title; then write it as PNG to `path`."""
    with style.context(["default", STYLE]):  # whatever the user's matplotlibrc says
        figure = Figure(size, layout="constrained")
        figure.suptitle(title, fontsize=10, fontweight="bold")
        yield figure
        with files.replacing(path) as temporary:
            figure.savefig(temporary, dpi=DPI)


# -- the log


def save_loss_plot(log_file, path):
    """Plot what `log.csv` holds over the images seen, as PNG.

    Thin lines are the rows of the log, bold ones the means of epochs. In a long log neighbours
    are averaged, within a band from the lowest to the highest. Panels without data are left
    out; a log without any number to plot leaves `path` as it is.

    Args:
        log_file: What a `CsvLog` wrote, or is writing.
        path: Where the PNG shall lie.
    """
    columns, stages = read_log(log_file)
    if not len(columns.get("step", ())):
        return
    rows, means = _series(columns), _series(_with_share(epoch_means(columns)))
    panels = _panels(rows, means)
    if not panels:
        return
    measured = {name: rows[name] for name in MEASURED if name in rows}
    heights = [1.25 * len(panels) + 0.3]
    if measured:
        heights.append(1.2 * math.ceil(len(measured) / COLUMNS) + 0.2)
    step, nimg, epoch = (columns[name][-1] for name in ("step", "nimg", "epoch"))
    title = f"step {step:,.0f}  ·  {nimg / 1000:,.1f} kimg  ·  epoch {epoch:,.4g}"
    with _page(path, (WIDTH, sum(heights) + 0.3), title) as figure:
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        axes = list(parts[0].subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0])
        for axis, (title, names) in zip(axes, panels.items(), strict=True):
            _draw_panel(axis, title, [(*PANELS[title][name], rows.get(name), means[name])
                                      for name in names])
        axes[-1].set_xlabel(f"{SEEN}; thin: rows of the log, bold: means of epochs")
        for part in parts[1:]:
            axes += _draw_measured(part, measured)
        _draw_stages(axes, stages, nimg)
        for axis in axes:
            axis.set_xlim(0, 1.01 * nimg / 1000)
            axis.grid(color="#E6E6E6", linewidth=0.6)


def _with_share(means):
    """`means` and the share of D in the absolute losses, "share"."""
    if not {"d_loss", "g_loss"} <= set(means):
        return means
    d_loss, g_loss = np.abs(means["d_loss"]), np.abs(means["g_loss"])
    return {**means, "share": d_loss / np.maximum(d_loss + g_loss, 1e-12)}


def _series(columns):
    """Name -> (kimg, values) of the finite values, for columns that have any."""
    known = {name: np.isfinite(values) for name, values in columns.items()}
    return {name: (columns["nimg"][where] / 1000, columns[name][where])
            for name, where in known.items() if where.any()}


def _panels(rows, means):
    """Title -> columns that have data; augmentation only if it moved."""
    panels = {title: [name for name in lines if name in means] for title, lines in PANELS.items()}
    if not any(np.ptp(rows[name][1]) for name in panels["augmentation"]):
        del panels["augmentation"]
    return {title: names for title, names in panels.items() if names}


def _draw_panel(axis, title, lines):
    """Draw lines (label, colour, rows or None, means); the last two are pairs (x, y)."""
    shown = []
    for label, colour, rows, means in lines:
        if rows is not None:
            x, y, low, high = thinned(*rows, POINTS)
            axis.plot(x, y, color=(colour, 0.5), linewidth=0.6)
            if len(x) < len(rows[0]):
                axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            shown += [low, high]
        x, y, _, _ = thinned(*means, POINTS)
        axis.plot(x, y, color=colour, linewidth=1.5, label=label, **_marker(x))
    axis.set_title(title, **TITLE)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    if title in LOGARITHMIC:
        _make_logarithmic(axis)
    elif shown:
        _leave_out_spikes(axis, np.concatenate(shown))
    else:
        axis.axhline(0.5, color=OTHER, linewidth=0.7)
        axis.set_ylim(0, 1)
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _marker(x):
    return {"marker": "o", "markersize": 2.5} if len(x) <= MARKED else {}


def _make_logarithmic(axis):
    """Make the axis logarithmic if its values differ by a factor of 10."""
    low, high = axis.dataLim.minposy, axis.dataLim.ymax
    if high > 10 * low:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1,) if high > 100 * low else (1, 2, 5)))
        axis.yaxis.set(major_formatter="{x:g}", minor_formatter="")


def _leave_out_spikes(axis, values):
    """Keep rare extremes from flattening the rest, and tell them beside the title."""
    low, high = np.quantile(values, (0.01, 0.99))
    ends = max(values.min(), 2 * low - high), min(values.max(), 2 * high - low)
    if low < high and (ends[0] > values.min() or ends[1] < values.max()):
        axis.set_ylim(*ends)
        axis.set_title(f"spikes reach {number(values.min())} and {number(values.max())}",
                       loc="right", color=OTHER)


def _draw_measured(part, measured):
    """Draw each measure in a small panel of its own. Returns the panels."""
    rows = math.ceil(len(measured) / COLUMNS)
    grid = part.subplots(rows, COLUMNS, squeeze=False).flat
    for axis, (name, (x, y)) in zip(grid, measured.items(), strict=False):
        label, better = MEASURED[name]
        axis.plot(x, y, color=FAKE, linewidth=1.2, **_marker(x))
        axis.set_title(label + BETTER[better], **TITLE)
        axis.xaxis.set_major_locator(MaxNLocator(4))
    for axis in grid[len(measured):]:
        axis.set_axis_off()
    part.supxlabel(SEEN, fontsize=STYLE["font.size"])
    return list(grid[:len(measured)])


def _draw_stages(axes, stages, nimg):
    """Mark where stages of progressive growing begin, and name them above the first panel."""
    ends = [start for start, _ in stages[1:]] + [nimg]
    for (start, name), end in zip(stages, ends, strict=False):
        for axis in axes:
            axis.axvline(start / 1000, color=INK, linewidth=0.7, linestyle=":")
        if end - start > NARROW * nimg:
            axes[0].annotate(name + " px" * name.isdigit(), (start / 1000, 1), xytext=(2, 1),
                             xycoords=("data", "axes fraction"), textcoords="offset points",
                             fontsize=6.5)
    if stages:
        axes[0].set_title(axes[0].get_title("left"), pad=12, **TITLE)


# -- styles


@dataclasses.dataclass(frozen=True)
class Embedding:
    """Styles in the plane: one panel of `save_embedding`.

    Args:
        title: What they are, such as the name of the model.
        points: `[N, 2]`, of `latent.separation.embed_points`.
        labels: `[N]`, the class of each.
        real: `[N]` bool: which are real images that were projected; None for none.
        separation: The `latent.separation.Separation` of the styles, or None.
    """

    title: str
    points: Any
    labels: Any
    real: Any = None
    separation: Any = None


def save_embedding(embeddings, path, title="Styles by class"):
    """Write styles as scatter pictures side by side, as PNG.

    A colour is a class, the same in all panels. Dots are generated, outlined diamonds real.

    Args:
        embeddings: List of `Embedding`.
        path: Where the PNG shall lie.
        title: Above all of them.
    """
    classes = sorted({str(label) for panel in embeddings for label in panel.labels})
    colours = dict(zip(classes, _class_colours(len(classes)), strict=True))
    width = min(WIDTH, 4.7 * len(embeddings))
    with _page(path, (width, width / len(embeddings) + 1), title) as figure:
        axes = figure.subplots(1, len(embeddings), squeeze=False)[0]
        kinds = set()
        for axis, panel in zip(axes, embeddings, strict=True):
            kinds |= _draw_styles(axis, panel, colours)
        handles = [Line2D([], [], color=colour, marker="o", linestyle="", label=drawable(name))
                   for name, colour in colours.items()]
        handles += [Line2D([], [], color=OTHER, linestyle="", label=kind, **KINDS[kind])
                    for kind in KINDS if kind in kinds]
        figure.legend(handles=handles, loc="outside lower center",
                      ncols=min(3 * len(embeddings), 6))


def _class_colours(count):
    return CLASSES[:count] if count <= len(CLASSES) else colormaps["turbo"](
        np.linspace(0.05, 0.95, count))


def _draw_styles(axis, panel, colours):
    """Draw an `Embedding`. Returns the kinds of points that it has."""
    points = np.asarray(panel.points)
    real = np.zeros(len(points), bool) if panel.real is None else np.asarray(panel.real, bool)
    shade = np.array([to_rgba(colours[str(label)]) for label in panel.labels])
    mixed = np.random.default_rng(0).permutation(len(points))  # no class lies above another
    dots, diamonds = mixed[~real[mixed]], mixed[real[mixed]]
    axis.scatter(*points[dots].T, s=7, c=shade[dots], alpha=0.6, linewidth=0)
    axis.scatter(*points[diamonds].T, s=22, marker="D", facecolor="white",
                 edgecolor=shade[diamonds], linewidth=1.1)
    axis.set(xticks=[], yticks=[])
    axis.margins(0.04)
    axis.set_title(drawable(panel.title), pad=28 if panel.separation else 6, **TITLE)
    if panel.separation:
        found = panel.separation
        axis.annotate(
            f"of {found.k} neighbours, {found.score:.1%} are of the same class\n"
            f"chance {found.chance:.1%}, 95% below {found.threshold:.1%}, "
            f"p = {number(found.p_value)}", (0, 1), xycoords="axes fraction", xytext=(0, 5),
            textcoords="offset points", va="bottom", linespacing=1.4)
    return {kind for kind, some in zip(KINDS, (dots, diamonds), strict=True) if len(some)}
