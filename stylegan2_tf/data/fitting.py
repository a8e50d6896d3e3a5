"""Cut, resize and fill up arrays of pixels; `decode.fit_image` says which of it an image needs.

Shapes: `H W` height and width in pixels, `C` channels.
"""

import numpy as np
from PIL import Image


def cut(image, height, width):
    """The largest centred part of `image` with the proportions height : width."""
    scale = min(image.shape[0] / height, image.shape[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (image.shape[0] - inner[0]) // 2, (image.shape[1] - inner[1]) // 2
    return image[top : top + inner[0], left : left + inner[1]]


def background(image):
    """The median of each channel `[C]` along the border."""
    border = (image[0], image[-1], image[:, 0], image[:, -1])
    return np.median(np.concatenate(border), axis=0).round()


def resize(image, height, width):
    """Resize each channel as float32, which holds 16-bit values exactly."""
    if image.shape[:2] == (height, width):
        return image
    white = np.iinfo(image.dtype).max
    resized = np.empty((height, width, image.shape[2]), np.float32)
    if image.shape[2] == 4:
        # Colour counts by its alpha, else what is invisible bleeds into the rim.
        alpha = image[..., 3] / np.float32(white)
        resized[..., 3] = _lanczos(alpha, height, width) * white
        seen = np.maximum(resized[..., 3] / white, 1 / white)
        for channel in range(3):
            resized[..., channel] = _lanczos(image[..., channel] * alpha, height, width) / seen
    else:
        for channel in range(image.shape[2]):
            resized[..., channel] = _lanczos(image[..., channel], height, width)
    return resized.round().clip(0, white).astype(image.dtype)


def _lanczos(plane, height, width):
    picture = Image.fromarray(np.asarray(plane, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
