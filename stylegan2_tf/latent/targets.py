"""Images that a user names, decoded as a run decodes its training images.

Shapes: `N` images, `H W` space, `C` channels.
"""

import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stylegan2_tf.data import UnreadableImage, find_images, fit_image, read_image
from stylegan2_tf.data.decode import signed
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.preparation import image_names, is_plain, open_images


class Inside(NamedTuple):
    """Image `number` of a prepared set, an archive or volumes, where it is called `name`."""

    source: Path
    number: int
    name: str

    def __fspath__(self):
        return f"{self.source}/{self.name}"


def image_paths(given):
    """What `given` names: image files, all images below folders, and all of what training takes.

    Returns:
        List of `Path`, or `Inside` for images that are no files of their own.

    Raises:
        UsageError, DataError: There is nothing at a path, or no image in a folder.
    """
    paths = []
    for path in map(Path, given):
        if not path.exists():
            raise UsageError(f"IMAGE: expected image files or folders, found nothing at {path}")
        if is_plain(path):
            paths += find_images(path) if path.is_dir() else [path]
        else:
            paths += [Inside(path, number, name) for number, name in enumerate(image_names(path))]
    return paths


def read_targets(paths, resolution, channels, fit="pad"):
    """Decode images as a run does that trains on them.

    Args:
        paths: At least one of what `image_paths` returns.
        resolution: (height, width).
        channels: 1, 3 or 4.
        fit: See `fit_image`.

    Returns:
        Float32 `[N, H, W, C]` in `[-1, 1]`.

    Raises:
        DataError: A file is no image that can be used.
    """
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as cache:
        opened = functools.cache(functools.partial(
            open_images, cache_dir=cache, resolution=resolution, channels=channels, fit=fit,
            progress=False))
        return np.stack([
            signed(opened(path.source).array[path.number]) if isinstance(path, Inside)
            else _read(path, resolution, channels, fit) for path in paths])


def _read(path, resolution, channels, fit):
    try:
        return signed(fit_image(read_image(path, channels), resolution, fit))
    except UnreadableImage as error:
        raise DataError(f"IMAGE {path}: expected an image, found: {error}") from error
