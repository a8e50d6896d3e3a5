"""The pictures of a report, drawn with matplotlib's objects: no window, no state is left behind.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import contextlib
import math
from functools import partial

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from stylegan2_tf import files
from stylegan2_tf.metrics.images import signed
from stylegan2_tf.metrics.page import closest, number, train_name
from stylegan2_tf.metrics.panels import (
    FAKE,
    INK,
    draw_curve,
    draw_distances,
    draw_dots,
    draw_levels,
    drawable,
    groups_of,
)

WIDTH = 8.27  # inches, as A4
DPI = 160
GRID = 36  # images in a grid, at most
PAIRS = 8  # closest pairs on the page of plots
FULL = 30  # per cent of the grey range where the colours of a difference end
LEFT = {"x": 0.01, "ha": "left", "fontsize": 8.5}
STYLE = {"font.family": "DejaVu Sans", "font.size": 7.5, "axes.titlesize": 7.5,
         "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#999999",
         "axes.labelcolor": INK, "text.color": INK, "xtick.color": "#999999",
         "ytick.color": "#999999", "xtick.labelcolor": INK, "ytick.labelcolor": INK,
         "legend.frameon": False, "text.parse_math": False}  # a file name may hold dollars


def save_report(evaluation, path):
    """Write the page of plots as PNG to `path`.

    Panels whose data the evaluation lacks are left out, and the page gets shorter.

    Args:
        evaluation: `results.Evaluation`.
        path: Where the PNG shall lie.
    """
    _, height, width, _ = evaluation.fakes.shape
    size = len(evaluation.reals)  # as many fakes were compared
    title = f"{size:,} generated images against {size:,} real ones, {height}×{width} pixels"
    rows = _rows(evaluation)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    with _strips(path, [height for height, _ in rows], title) as strips:
        for strip, (_, panels) in zip(strips, rows, strict=True):
            cells = strip.subfigures(1, len(panels), squeeze=False)[0]
            for cell, (title, draw) in zip(cells, panels, strict=True):
                cell.suptitle(f"{next(letters)}  {drawable(title)}", fontweight="bold", **LEFT)
                draw(cell)


def save_neighbours(evaluation, path):
    """Write the closest fakes beside their nearest training images as PNG to `path`.

    Args:
        evaluation: `results.Evaluation` with one distance at least in `neighbours`.
        path: Where the PNG shall lie.
    """
    row = 1.2 * _aspect(evaluation.fakes) + 0.22
    chosen = [(found, closest(found)) for found in evaluation.neighbours.values()]
    heights = [row * math.ceil(len(fakes) / 2) + 0.5 for _, fakes in chosen]
    with _strips(path, heights, "Generated images and their closest training images") as strips:
        for strip, (found, fakes) in zip(strips, chosen, strict=True):
            _draw_pairs(evaluation, found, fakes, strip)


@contextlib.contextmanager
def _strips(path, heights, title):
    """Yield figures of the given heights (inches), one below the other; then write them."""
    with style.context(["default", STYLE]):  # whatever the user's matplotlibrc says
        figure = Figure((WIDTH, sum(heights) + 0.4), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.07)
        figure.suptitle(title, fontsize=11, fontweight="bold")
        yield figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        with files.replacing(path) as temporary:
            figure.savefig(temporary, dpi=DPI)


def _rows(evaluation):
    """Of each row of the page: height in inches and panels (title, function), those it has."""
    values, near = evaluation.values, evaluation.neighbours
    levels = {name: value for name, value in values.items() if name.startswith("swd/")}
    groups = groups_of({name: value for name, value in values.items() if name not in levels})
    count = min(GRID, len(evaluation.reals), len(evaluation.fakes))
    grids = [(f"{title} images (drawn at random)", partial(_draw_grid, images, count))
             for title, images in (("Real", evaluation.reals), ("Generated", evaluation.fakes))]
    lines = [(curve.label[:1].upper() + curve.label[1:], partial(draw_curve, curve, name))
             for name, curve in evaluation.curves.items()]
    if levels:
        lines.append(("Sliced Wasserstein ● and its floor ◇", partial(draw_levels, levels)))
    judged = [("Values ● beside their floors ◇", partial(draw_dots, groups))] if groups else []
    if near:
        judged.append(("Distance to the nearest training image", partial(draw_distances, near)))
    pairs = [(f"Closest by {found.distance_name}",
              partial(_draw_closest, evaluation, found, max(PAIRS // len(near), 1)))
             for found in near.values()]
    tall = 0.28 * len(groups) + 0.13 * sum(map(len, groups)) + 0.5
    rows = [(3.45, grids), (1.9, lines), (max(tall, 1.7 * len(near), 1.2), judged),
            (0.7 + 1.6 * _aspect(evaluation.fakes), pairs)]
    return [(height, panels) for height, panels in rows if panels]


# -- images


def _aspect(images):
    """Height of an image over its width, within what a page can show."""
    return min(max(images.shape[1] / images.shape[2], 0.4), 2.5)


def _rgb(images):
    """Floats in `[0, 1]`, `[N, H, W, 3]`; grey is repeated, transparency lies over white."""
    images = np.clip(np.nan_to_num(signed(images)) / 2 + 0.5, 0, 1)
    if images.shape[-1] == 4:
        alpha = images[..., 3:]
        images = images[..., :3] * alpha + 1 - alpha
    return np.repeat(images, 3 // images.shape[-1], axis=-1)


def _draw_grid(images, count, cell):
    """Draw `count` images, taken at random but always the same, in a nearly square grid."""
    images = _rgb(images[np.sort(np.random.default_rng(0).permutation(len(images))[:count])])
    images = np.round(255 * images).astype(np.uint8)  # 36 of 1024 pixels are 113 MB
    _, height, width, _ = images.shape
    gap = max(width // 32, 1)
    columns = min(math.ceil(math.sqrt(count * height / width)), count)
    canvas = np.full((math.ceil(count / columns), columns, height + gap, width + gap, 3), 255,
                     np.uint8)
    canvas.reshape(-1, *canvas.shape[2:])[:count, :height, :width] = images
    canvas = np.concatenate(np.concatenate(canvas, axis=1), axis=1)
    axis = cell.subplots()
    axis.imshow(canvas[:-gap, :-gap])
    axis.set_axis_off()


def _draw_image(axis, image, marked=False, **options):
    """Draw one image in a frame, which is thick and vermilion if `marked`."""
    drawn = axis.imshow(image, **options)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=FAKE if marked else "#BBBBBB",
                       linewidth=1.6 if marked else 0.5)
    return drawn


def _draw_closest(evaluation, found, count, cell):
    """Draw the fakes that are closest to training images above those images."""
    axes = cell.subplots(2, count, squeeze=False)
    fakes = np.argsort(found.distance)[:count]
    for (upper, lower), fake in zip(axes.T, fakes, strict=False):
        nearest = found.nearest[fake]
        _draw_image(upper, _rgb(evaluation.fakes[[fake]])[0], fake in found.suspicious)
        _draw_image(lower, _rgb(evaluation.train[[nearest]])[0])
        upper.set_title(f"fake {fake}", pad=2)
        name = train_name(evaluation, nearest).split("/")[-1].split(".")[0]
        lower.set_xlabel(f"{number(found.distance[fake])}\n{_short(name, 17)}", fontsize=6)
    for axis in axes[:, len(fakes):].flat:
        axis.set_axis_off()
    axes[0, 0].set_ylabel("fake")
    axes[1, 0].set_ylabel("train")


def _draw_pairs(evaluation, found, fakes, block):
    """Draw fake, nearest training image and difference, two such triplets in a row."""
    block.suptitle(f"{drawable(found.distance_name)}: {len(found.suspicious):,} of "
                   f"{len(found.distance):,} generated images are closer than the threshold "
                   f"{number(found.threshold)}\n"
                   f"{'They' if len(found.suspicious) else 'The closest'}, the nearest training "
                   "image, and the difference in % of the grey range:", **LEFT)
    grid = block.add_gridspec(max(math.ceil(len(fakes) / 2), 1), 7,
                              width_ratios=[1, 1, 1, 0.12, 1, 1, 1])
    for position, fake in enumerate(fakes):
        row, left = position // 2, 4 * (position % 2)
        axes = [block.add_subplot(grid[row, left + i]) for i in range(3)]
        nearest = found.nearest[fake]
        pair = evaluation.fakes[[fake]], evaluation.train[[nearest]]
        apart = 50 * np.abs(signed(pair[0]) - signed(pair[1]))[0].mean(-1)
        _draw_image(axes[0], _rgb(pair[0])[0], fake in found.suspicious)
        _draw_image(axes[1], _rgb(pair[1])[0])
        drawn = _draw_image(axes[2], apart, vmin=0, vmax=FULL, cmap="magma")
        axes[1].set_title(f"fake {fake}  ·  distance {number(found.distance[fake])}  ·  "
                          f"{_short(train_name(evaluation, nearest), 30)}", pad=3)
    if len(fakes):
        block.colorbar(drawn, ax=block.axes, aspect=30, pad=0.01, extend="max",
                       label="difference (%)")


def _short(name, length):
    """The end of `name`, which tells more than the folders before it."""
    name = drawable(name)
    return name if len(name) <= length else "…" + name[1 - length:]
