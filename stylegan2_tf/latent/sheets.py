"""A picture of rows and columns that images are pasted into as they come.

Shapes: `H W` space, `C` channels.
"""

import math

import numpy as np
from PIL import Image

from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.sampling import to_uint8

PIXELS = 80_000_000  # of a picture, at most: of more, Pillow warns when it opens the file


def most_rows(columns, sides):
    """How many rows of so many images of `sides` (height, width) a picture can have."""
    return PIXELS // (columns * math.prod(sides))


def check_sheet(rows, columns, sides, flags):
    """Refuse a picture of more than `PIXELS`; `flags` decide its size. Raises `UsageError`."""
    if rows > most_rows(columns, sides):
        raise UsageError(f"{flags}: expected a picture of at most {PIXELS:,} pixels, found {rows} "
                         f"x {columns} images of {sides[0]} x {sides[1]}; give fewer")


class Sheet:
    """Images row after row in one picture; only the picture is held in memory.

    Args:
        rows, columns: How many images it has place for.
        images: Those to paste, see `paste`.
        start: How many places stay black before the first image.
    """

    def __init__(self, rows, columns, images=(), start=0):
        self._rows, self._columns, self._place = rows, columns, start
        self._canvas = None
        for image in images:
            self.paste(image)

    def paste(self, image):
        """Put an image `[H, W, C]`, uint8 or floats in `[-1, 1]`, at the next place, if any."""
        if self._place >= self._rows * self._columns:
            return
        image = image if image.dtype == np.uint8 else to_uint8(image)
        height, width, channels = image.shape
        if self._canvas is None:
            self._canvas = np.zeros((self._rows * height, self._columns * width, channels),
                                    np.uint8)
        row, column = divmod(self._place, self._columns)
        self._canvas[row * height:(row + 1) * height, column * width:(column + 1) * width] = image
        self._place += 1

    def picture(self):
        """What was pasted, as a PIL image."""
        return Image.fromarray(self._canvas[..., 0] if self._canvas.shape[-1] == 1 else
                               self._canvas)
