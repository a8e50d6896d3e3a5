"""What a run leaves to look at and to use: grids, GIF, saved models, manifest."""

import contextlib
import functools
import math
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from stylegan2_tf import files
from stylegan2_tf.latent.sampling import to_uint8
from stylegan2_tf.manifest import MANIFEST
from stylegan2_tf.run_folder import DISCRIMINATOR_NAME, MODEL_NAME

GIF_SIDE = 512  # pixels, at most
GIF_FRAMES = 200  # at most; longer runs are thinned evenly
FRAME_MS = 250
LAST_FRAME_MS = 2000
READABLE = 256  # pixels: pictures with words are enlarged to it
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def image_grid(images, columns=None):
    """Tile images `[N, H, W, C]`, uint8 or floats in `[-1, 1]`, into a picture, nearly square or
    with so many columns."""
    if images.dtype != np.uint8:
        images = to_uint8(images)
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.zeros((rows * columns, height, width, channels), np.uint8)
    canvas[:count] = images
    canvas = canvas.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    canvas = canvas.reshape(rows * height, columns * width, channels)
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas, MODES[channels])


def save_grid(images, path, caption=None, columns=None):
    """Write `image_grid(images, columns)` as PNG to `path`; see `save_png`."""
    save_png(image_grid(images, columns), path, caption)


def save_png(picture, path, caption=None):
    """Write a PIL image to `path`; its metadata hold the `caption` that `save_gif` draws."""
    about = PngInfo()
    if caption:
        about.add_text("caption", caption)
    with files.replacing(path) as temporary:
        picture.save(temporary, pnginfo=about)


def fake_beside_real(fakes, reals):
    """Equally many generated and real images in two grids side by side, a word above each.

    Where one kind is smaller, as in an early stage of progressive growing, its pixels are
    enlarged, and so are those of tiny images.

    Args:
        fakes: `[N, H, W, C]`, uint8 or floats in `[-1, 1]`. The first are shown if there are
            more of them than reals.
        reals: Likewise, of the same shape in proportion.

    Returns:
        A PIL image.
    """
    count = min(len(fakes), len(reals))
    grids = [image_grid(images[:count]) for images in (fakes, reals)]
    size = _enlarged(max(grid.size for grid in grids))
    words = ("generated", "real")
    font = _font(words, size[0])
    left, right = (_titled(grid.resize(size, Image.Resampling.NEAREST), word, font)
                   for grid, word in zip(grids, words, strict=True))
    gap = font.size
    both = Image.new(left.mode, (left.width + gap + right.width, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + gap, 0))
    return both


def sample_path(folder, epoch):
    """Where the sample grid of `epoch` (counted from 1) lies."""
    return Path(folder) / f"epoch-{epoch:04d}.png"


def save_gif(samples, path, epoch):
    """Make the GIF of the sample grids up to `epoch`: it loops and rests on the last frame.

    Grids of fewer pixels are enlarged to the largest. Captions that `save_grid` was given
    stand in a bar above each frame.
    """
    grids = [sample_path(samples, number) for number in range(1, epoch + 1)]
    frames = _frames(_thinned([grid for grid in grids if grid.exists()]))
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    with files.replacing(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations,
                       loop=0)


def _thinned(grids):
    """The first, the last, and others at even distances: mostly those of the epoch before."""
    stride = max(1, math.ceil((len(grids) - 1) / (GIF_FRAMES - 1)))
    return [*grids[:-1:stride], grids[-1]]


def _frames(grids):
    sizes, captions = zip(*map(_size_and_caption, grids), strict=True)
    size = max(sizes)
    if max(size) > GIF_SIDE:
        size = tuple(max(1, round(side * GIF_SIDE / max(size))) for side in size)
    if not any(captions):
        return [_frame(grid, size, _age(grid)) for grid in grids]
    size = _enlarged(size)
    font = _font(captions, size[0])
    return [_titled(_frame(grid, size, _age(grid)), caption, font)
            for grid, caption in zip(grids, captions, strict=True)]


def _size_and_caption(grid):
    with Image.open(grid) as image:
        return image.size, image.info.get("caption", "")


def _age(grid):
    return grid.stat().st_mtime_ns


@functools.lru_cache(maxsize=GIF_FRAMES + 1)  # every epoch shows the frames of the one before
def _frame(grid, size, age):
    with Image.open(grid) as image:
        frame = image.convert("L" if image.mode == "L" else "RGB")
    shrinks = frame.width > size[0]
    return frame.resize(size, Image.Resampling.LANCZOS if shrinks else Image.Resampling.NEAREST)


def _enlarged(size):
    """`size`, or the smallest whole multiple of it that has words readable."""
    return tuple(side * math.ceil(READABLE / max(size)) for side in size)


def _font(texts, width):
    """Pillow's own font, small enough for each of the texts to fit into `width` pixels."""
    size = max(12, width // 24)
    longest = max(ImageFont.load_default(size).getlength(text) for text in texts)
    return ImageFont.load_default(min(size, max(6, int(size * 0.96 * width / longest))))


def _titled(picture, title, font):
    """`picture` below a white bar with `title`."""
    bar = round(1.6 * font.size)
    canvas = Image.new(picture.mode, (picture.width, bar + picture.height), "white")
    canvas.paste(picture, (0, bar))
    ImageDraw.Draw(canvas).text((picture.width / 2, bar / 2), title, "black", font, anchor="mm")
    return canvas


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
    models = {MODEL_NAME: generator, DISCRIMINATOR_NAME: discriminator}
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
    content = {**about, "files": {name: {"sha256": values} for name, values in hashes.items()}}
    files.write_json(folder / MANIFEST, {**content, "sha256": files.digest(content)})


@contextlib.contextmanager
def forgiving(what):
    """Print a disk error instead of ending the run: the next interval writes `what` again."""
    try:
        yield
    except OSError as error:
        print(f"warning: {what} not written ({error}); training goes on and tries again",
              file=sys.stderr)
