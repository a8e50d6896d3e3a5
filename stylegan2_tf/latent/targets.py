"""Images that a user names, decoded as a run decodes its training images.

Shapes: `N` images, `H W` space, `C` channels.
"""

from pathlib import Path

import numpy as np

from stylegan2_tf.data import UnreadableImage, find_images, fit_image, read_image
from stylegan2_tf.data.decode import signed
from stylegan2_tf.errors import DataError, UsageError


def image_paths(given):
    """The files that `given` names: image files, and all images below folders.

    Raises:
        UsageError, DataError: There is nothing at a path, or no image in a folder.
    """
    paths = []
    for path in map(Path, given):
        if not path.exists():
            raise UsageError(f"IMAGE: expected image files or folders, found nothing at {path}")
        paths += find_images(path) if path.is_dir() else [path]
    return paths


def read_targets(paths, resolution, channels, fit="pad"):
    """Decode image files as a run does that trains on them.

    Args:
        paths: At least one.
        resolution: (height, width).
        channels: 1, 3 or 4.
        fit: See `fit_image`.

    Returns:
        Float32 `[N, H, W, C]` in `[-1, 1]`.

    Raises:
        DataError: A file is no image that can be used.
    """
    images = []
    for path in paths:
        try:
            images.append(signed(fit_image(read_image(path, channels), resolution, fit)))
        except UnreadableImage as error:
            raise DataError(f"IMAGE {path}: expected an image, found: {error}") from error
    return np.stack(images)
