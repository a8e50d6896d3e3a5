"""What every measure takes: images as an array, in any of the value types of this package.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import numpy as np

from stylegan2_tf.data.decode import signed

BLOCK = 256  # images that are floating-point numbers at once


def blocks(images, size=BLOCK):
    """Yield `signed` pieces of at most `size` images, so that memory stays bounded."""
    for start in range(0, len(images), size):
        yield signed(images[start:start + size])


def in_blocks(function, images, size=BLOCK):
    """`function` of each piece of `blocks(images, size)`, joined along the first axis."""
    return np.concatenate([function(block) for block in blocks(images, size)])
