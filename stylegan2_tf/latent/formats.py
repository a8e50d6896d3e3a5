"""Generated images in the value range and the shape that users of single images want.

Shapes: `H W` space, `C` channels.
"""

import numpy as np

from stylegan2_tf.data.decode import padded_box


def to_uint16(images):
    """Bring images in `[-1, 1]` to whole grey values 0 to 65535, as uint16."""
    return np.round((np.clip(images, -1.0, 1.0) + 1.0) * 32767.5).astype(np.uint16)


def unpadded(image, source_shape):
    """`image` without the bars that `fit_image(..., fit="pad")` gives to what it imitates.

    Args:
        image: `[H, W, C]`.
        source_shape: (height, width) of the training images before they were fitted; None if
            they were not padded, or differ.

    Returns:
        The part between the bars, not resized.
    """
    if source_shape is None:
        return image
    top, left, height, width = padded_box(source_shape, image.shape[:2])
    return image[top:top + height, left:left + width]
