"""What a run leaves to look at and to use: grids, GIF, loss plot, saved models, manifest."""

import contextlib
import csv
import math
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from stylegan2_tf import files
from stylegan2_tf.latent.sampling import to_uint8
from stylegan2_tf.run_folder import MODEL_NAME

GIF_SIDE = 512  # pixels, at most
GIF_FRAMES = 200  # at most; longer runs are thinned evenly
FRAME_MS = 250
LAST_FRAME_MS = 2000
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def image_grid(images):
    """Tile images `[N, H, W, C]`, uint8 or floats in `[-1, 1]`, into a nearly square picture."""
    if images.dtype != np.uint8:
        images = to_uint8(images)
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.zeros((rows * columns, height, width, channels), np.uint8)
    canvas[:count] = images
    canvas = canvas.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    canvas = canvas.reshape(rows * height, columns * width, channels)
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas, MODES[channels])


def save_grid(images, path):
    """Write `image_grid(images)` as PNG to `path`."""
    with files.replacing(path) as temporary:
        image_grid(images).save(temporary)


def sample_path(folder, epoch):
    """Where the sample grid of `epoch` (counted from 1) lies."""
    return Path(folder) / f"epoch-{epoch:04d}.png"


def save_gif(samples, path, epoch):
    """Make the GIF of the sample grids up to `epoch`: it loops and rests on the last frame."""
    grids = [sample_path(samples, number) for number in range(1, epoch + 1)]
    grids = [grid for grid in grids if grid.exists()]
    stride = math.ceil(len(grids) / GIF_FRAMES)
    frames = [_frame(grid) for grid in grids[::-1][::stride][::-1]]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    with files.replacing(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations,
                       loop=0)


def _frame(grid):
    with Image.open(grid) as image:
        frame = image.convert("L" if image.mode == "L" else "RGB")
    scale = GIF_SIDE / max(frame.size)
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in frame.size)
        frame = frame.resize(size, Image.Resampling.LANCZOS)
    return frame


def save_loss_plot(log_file, path):
    """Plot losses, scores and gradient norms of `log.csv` over the images seen."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with open(log_file, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    panels = {"losses": ("d_loss", "g_loss", "r1", "gradient_penalty"),
              "scores of D": ("score_real", "score_fake"),
              "gradient norms": ("d_grad_norm", "g_grad_norm")}
    figure, axes = pyplot.subplots(len(panels), 1, figsize=(9, 9), sharex=True,
                                   layout="constrained")
    for axis, (title, names) in zip(axes, panels.items(), strict=True):
        for name in names:
            points = [(int(row["nimg"]) / 1000, float(row[name])) for row in rows if row[name]]
            if points:
                axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
        axis.legend(loc="upper right", fontsize="small")
    axes[-1].set_yscale("log")
    axes[-1].set_xlabel("images seen (kimg)")
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    pyplot.close(figure)


def save_models(folder, generator, discriminator, **about):
    """Replace `generator.keras`, `discriminator.keras` and `manifest.json` in `folder`.

    A kill at any point leaves models that load: the manifest names the old and the new
    hash of a file before the file is replaced, and only the new one afterwards.

    Args:
        folder: `OUT/Model`.
        generator: The averaged generator.
        discriminator: The discriminator.
        **about: What the manifest says beside the hashes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    models = {MODEL_NAME: generator, "discriminator.keras": discriminator}
    temporaries = {name: folder / f".tmp-{name}" for name in models}
    try:
        for name, model in models.items():
            model.save(temporaries[name])
            files.sync(temporaries[name])
        new = {name: [files.sha256(path)] for name, path in temporaries.items()}
        both = {name: [*hashes, *_hashes_now(folder / name)] for name, hashes in new.items()}
        _write_manifest(folder, both, about)
        for name, temporary in temporaries.items():
            os.replace(temporary, folder / name)
        files.sync(folder)
        _write_manifest(folder, new, about)
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


def _hashes_now(path):
    return [files.sha256(path)] if path.exists() else []


def _write_manifest(folder, hashes, about):
    files.write_json(folder / "manifest.json",
                     {**about, "files": {name: {"sha256": values}
                                         for name, values in hashes.items()}})


@contextlib.contextmanager
def forgiving(what):
    """Print a disk error instead of ending the run: the next interval writes `what` again."""
    try:
        yield
    except OSError as error:
        print(f"warning: {what} not written ({error}); training goes on and tries again",
              file=sys.stderr)
