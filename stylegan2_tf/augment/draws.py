"""Random parameters of transformations: each from a seed of its own, for each image alone."""

import tensorflow as tf

from stylegan2_tf import replicas

# A stream of random numbers a transformation. The numbers belong to the recipe: what is new
# comes last.
(MIRROR, SCALE, ROTATION, SHIFT, FRACTION, BRIGHTNESS, CONTRAST, LUMA, HUE, SATURATION, NOISE,
 CUTOUT) = range(12)


def sometimes(draw, identity, count, p, seed, stream):
    """With probability `p` a draw, else the value that changes nothing; each image alone.

    Args:
        draw: Function of a stateless seed that gives a tensor `[count, ...]`.
        identity: The value that changes nothing.
        count: Number of images.
        p: Scalar in 0..1.
        seed: Stateless seed `[2]` of the whole augmentation.
        stream: Number of the transformation.

    Returns:
        A tensor like the one of `draw`. With `p` 0 it is `identity` exactly.
    """
    seed = fold(seed, stream)
    values = draw(fold(seed, 1))
    chosen = replicas.uniform((count,), fold(seed, 0)) < p
    return tf.where(per_image(chosen, values.shape.rank), values, identity)


def fold(seed, number):
    """The stateless seed that follows from `seed` and `number`."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def uniform(shape, bound):
    """A `draw` for `sometimes`: uniform between -bound and bound."""
    return lambda seed: replicas.uniform(shape, seed, -bound, bound)


def normal(shape, deviation):
    """A `draw` for `sometimes`: normal, never beyond two standard deviations.

    ADA does not cut; cut, there is no draw that no scanner could have made.
    """
    return lambda seed: deviation * replicas.rows(
        tf.random.stateless_truncated_normal, shape, seed)


def sign(shape):
    """A `draw` for `sometimes`: 1 or -1, equally likely."""
    return lambda seed: tf.where(replicas.uniform(shape, seed) < 0.5, 1.0, -1.0)


def per_image(values, rank=4):
    """Bring one value an image, `[N]`, to `[N, 1, ...]` of `rank`, to act on whole images."""
    return tf.reshape(values, values.shape + [1] * (rank - values.shape.rank))
