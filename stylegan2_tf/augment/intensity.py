"""What a scanner may change without moving the head: gain, offset, noise, lost signal; colour.

Shapes: `N` batch, `H W` space, `C` channels. Black is -1, white is 1. Nothing is clipped: a
clipped value has no gradient.
"""

import math

import tensorflow as tf

from stylegan2_tf import replicas
from stylegan2_tf.augment import draws

BRIGHTNESS = 0.05  # standard deviation (ADA: 0.2)
CONTRAST = 0.15 * math.log(2)  # standard deviation of the logarithm (ADA: 0.5 log 2)
SATURATION = math.log(2)  # the same, as in ADA
NOISE = 0.05  # standard deviation of noise's standard deviation (ADA: 0.1)
CUTOUT = 0.25  # side of the cut-out in sides of the image (ADA: 0.5)
BLACK = -1.0


def shade(images, p, seed):
    """Change contrast and brightness of each image, each with probability `p`.

    Contrast is a gain about black, not about middle grey as in ADA: an MRI is a signal of at
    least zero times the receiver's gain, so that the background stays as dark as it was.

    Args:
        images: float32 `[N, H, W, C]`.
        p: Scalar in 0..1.
        seed: Stateless seed `[2]`.

    Returns:
        A tensor like `images`.
    """
    count = images.shape[0]
    gain = tf.exp(_values(draws.normal((count,), CONTRAST), 0.0, count, p, seed, draws.CONTRAST))
    offset = _values(draws.normal((count,), BRIGHTNESS), 0.0, count, p, seed, draws.BRIGHTNESS)
    shaded = images * gain + (BLACK * (1.0 - gain) + offset)
    return tf.where((gain == 1.0) & (offset == 0.0), images, shaded)


def tint(images, p, seed):
    """Flip luma, turn hue and scale saturation of RGB images, each with probability `p`.

    The three act on grey (the mean of the channels) and on what is left of it, which hue turns
    about the grey axis (ADA appendix B, with its strengths).

    Args:
        images: float32 `[N, H, W, 3]`.
        p: Scalar in 0..1.
        seed: Stateless seed `[2]`.

    Returns:
        A tensor like `images`.
    """
    count = images.shape[0]
    flip = _values(draws.sign((count,)), 1.0, count, p, seed, draws.LUMA)
    angle = _values(draws.uniform((count,), math.pi), 0.0, count, p, seed, draws.HUE)
    saturation = tf.exp(_values(draws.normal((count,), SATURATION), 0.0, count, p, seed,
                                draws.SATURATION))
    grey = tf.reduce_mean(images, axis=-1, keepdims=True)
    colour = images - grey
    across = (tf.roll(colour, 1, -1) - tf.roll(colour, -1, -1)) / math.sqrt(3)  # 90 degrees on
    tinted = flip * grey + saturation * (tf.cos(angle) * colour + tf.sin(angle) * across)
    same = (flip == 1.0) & (angle == 0.0) & (saturation == 1.0)
    return tf.where(same, images, tinted)


def add_noise(images, p, seed):
    """Add white noise with probability `p`; its deviation is half-normal (ADA appendix B).

    Args:
        images: float32 `[N, H, W, C]`.
        p: Scalar in 0..1.
        seed: Stateless seed `[2]`.

    Returns:
        A tensor like `images`.
    """
    count = images.shape[0]
    deviation = _values(draws.normal((count,), NOISE), 0.0, count, p, seed, draws.NOISE)
    noise = replicas.normal(images.shape, draws.fold(draws.fold(seed, draws.NOISE), 2))
    return tf.where(deviation == 0.0, images, images + tf.abs(deviation) * noise)


def cut_out(images, p, seed):
    """Blacken a rectangle with probability `p`, as where a scanner lost the signal.

    Args:
        images: float32 `[N, H, W, C]`.
        p: Scalar in 0..1.
        seed: Stateless seed `[2]`.

    Returns:
        A tensor like `images`.
    """
    count, height, width, _ = images.shape
    centre = draws.sometimes(lambda seed: replicas.uniform((count, 2), seed),
                             -1.0, count, p, seed, draws.CUTOUT)  # -1: outside, nothing is cut

    def covered(axis, size):
        places = (tf.range(size, dtype=tf.float32) + 0.5) / size
        return tf.abs(places - centre[:, axis, None]) < CUTOUT / 2

    inside = covered(0, height)[:, :, None, None] & covered(1, width)[:, None, :, None]
    return tf.where(inside, BLACK, images)


def _values(*drawn):
    """What `draws.sometimes` gives, one value an image, ready to act on whole images."""
    return draws.per_image(draws.sometimes(*drawn))
