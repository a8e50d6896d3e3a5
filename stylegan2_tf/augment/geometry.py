"""Small movements of the head: mirroring, scale, rotation, shift, in one interpolation.

Shapes: `N` batch, `H W` space, `C` channels. Positions are (row, column) in pixels.
"""

import math

import tensorflow as tf

from stylegan2_tf.augment import draws

SCALE = 0.1 * math.log(2)  # standard deviation of the logarithm (ADA: 0.2), at most 0.87 to 1.15
ROTATION = math.radians(10)  # bound (ADA: 180 degrees)
SHIFT = 0.1  # bound of the shift by whole pixels, in sides (ADA: 0.125)
FRACTION = 0.0125  # standard deviation of the fractional shift, in sides (ADA: 0.125)


def move(images, p, seed, mirror):
    """Turn, scale and shift each image about its centre, each with probability `p`.

    Whatever enters from outside the frame repeats the frame's edge: behind a brain lies the
    scan's own background, whatever its grey; reflection (ADA) would put mirrored tissue there,
    and black a border wherever the background is not black.

    Args:
        images: float32 `[N, H, W, C]`.
        p: Scalar in 0..1.
        seed: Stateless seed `[2]`.
        mirror: Whether left and right may be exchanged, in half of the cases.

    Returns:
        A tensor like `images`. An image for which nothing was drawn is the same bit by bit, and
        a shift by whole pixels copies pixels.
    """
    matrix, shift = movement(images.shape, p, seed, mirror)
    still = (tf.reduce_all(matrix == tf.eye(2), axis=(1, 2))
             & tf.reduce_all(shift == 0.0, axis=1))
    return tf.where(draws.per_image(still), images, warp(images, matrix, shift))


def movement(shape, p, seed, mirror):
    """Draw `matrix` and `shift` of `warp` for images of `shape`."""
    count, *sides = shape[:3]

    def some(draw, identity, stream):
        return draws.sometimes(draw, identity, count, p, seed, stream)

    log_scale = some(draws.normal((count,), SCALE), 0.0, draws.SCALE)
    angle = some(draws.uniform((count,), ROTATION), 0.0, draws.ROTATION)
    whole = some(_whole_pixels((count, 2), [int(SHIFT * side) for side in sides]), 0.0,
                 draws.SHIFT)
    part = some(draws.normal((count, 2), 1.0), 0.0, draws.FRACTION)
    flip = some(draws.sign((count,)), 1.0, draws.MIRROR) if mirror else 1.0
    cos, sin = tf.cos(angle) * tf.exp(-log_scale), tf.sin(angle) * tf.exp(-log_scale)
    matrix = tf.stack([tf.stack([cos, sin], 1), tf.stack([-sin * flip, cos * flip], 1)], 1)
    return matrix, whole + part * [FRACTION * side for side in sides]


def _whole_pixels(shape, bounds):
    """A `draw`: whole numbers from -bound to bound, equally likely, for each of `bounds`."""
    width = tf.constant(bounds, tf.float32) + 0.5
    return lambda seed: tf.floor(draws.uniform(shape, 1.0)(seed) * width + 0.5)


def warp(images, matrix, shift):
    """Interpolate each image bilinearly where an affine map says.

    Pixel `o` of the result shows the place `matrix @ (o - centre - shift) + centre`, brought
    back to the frame. The gradients of every order are exact: a gather, then a scatter.

    Args:
        images: float32 `[N, H, W, C]`.
        matrix: float32 `[N, 2, 2]`.
        shift: float32 `[N, 2]`, how far the content moves.

    Returns:
        A tensor like `images`.
    """
    count, height, width, channels = images.shape
    rows = tf.range(height, dtype=tf.float32) - (height - 1) / 2 - shift[:, :1]
    columns = tf.range(width, dtype=tf.float32) - (width - 1) / 2 - shift[:, 1:]

    def places(axis, size):
        place = (matrix[:, axis, 0, None, None] * rows[:, :, None]
                 + matrix[:, axis, 1, None, None] * columns[:, None, :] + (size - 1) / 2)
        place = tf.clip_by_value(place, 0.0, size - 1.0)
        before = tf.floor(place)
        first = tf.cast(before, tf.int32)
        return first, tf.minimum(first + 1, size - 1), (place - before)[..., None]

    top, bottom, down = places(0, height)
    left, right, along = places(1, width)
    pixels = tf.reshape(images, (count, height * width, channels))

    def at(row, column):
        index = tf.reshape(row * width + column, (count, height * width))
        return tf.reshape(tf.gather(pixels, index, batch_dims=1), images.shape)

    def between(one, other, share):
        return one + share * (other - one)  # exact where both are equal: black stays black

    above = between(at(top, left), at(top, right), along)
    below = between(at(bottom, left), at(bottom, right), along)
    return between(above, below, down)
