"""What every measure takes: images as an array, in any of the value types of this package.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import numpy as np

BLOCK = 256  # images that are floating-point numbers at once


def signed(images):
    """Images `[N, H, W, C]` as float32 in `[-1, 1]`, black to white.

    uint8 and uint16 are scaled by their range; floats are taken to be in `[-1, 1]` already.
    """
    if images.dtype.kind == "u":
        return images.astype(np.float32) * (2.0 / np.iinfo(images.dtype).max) - np.float32(1)
    return np.asarray(images, np.float32)


def blocks(images, size=BLOCK):
    """Yield `signed` pieces of at most `size` images, so that memory stays bounded."""
    for start in range(0, len(images), size):
        yield signed(images[start:start + size])


def in_blocks(function, images, size=BLOCK):
    """`function` of each piece of `blocks(images, size)`, joined along the first axis."""
    return np.concatenate([function(block) for block in blocks(images, size)])
