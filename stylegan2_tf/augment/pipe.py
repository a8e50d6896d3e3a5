"""The augmentation of reals and fakes: a pure function of images, probability and seed."""

import tensorflow as tf

from stylegan2_tf.augment import geometry, intensity
from stylegan2_tf.errors import UsageError
from stylegan2_tf.fields import PIPES


def augment(images, p, seed, pipe="mri", mirror=False):
    """Pass each image through every transformation of `pipe`, each with probability `p`.

    None leaks into what the generator learns while `p` stays below 0.8 or so, because each then
    leaves enough images as they are (ADA section 2.2). There are no turns by 90 degrees and no
    inverted contrast in `mri`: they are impossible scans.

    Args:
        images: float32 `[N, H, W, C]` of a static shape; black is -1, white is 1.
        p: Scalar in 0..1, a tensor or a `tf.Variable`. At 0 the result is `images` bit by bit,
            and so is the gradient.
        seed: Stateless seed `[2]`; decides everything. Reals and fakes take different ones.
        pipe: `mri`: shift, scale, rotation up to 10 degrees, brightness, contrast, noise,
            cut-out. `color`: these, and luma, hue and saturation of RGB and RGBA images (alpha
            only moves and is cut). `none`: nothing.
        mirror: Whether left and right may be exchanged: in half of the cases, so of `p / 2`.

    Returns:
        A tensor like `images`, whose values may leave [-1, 1]; `images` itself with `none`.
        It has exact derivatives of every order with respect to `images`.

    Raises:
        UsageError: `pipe` is unknown, or `images` is not float32 of a static shape.

    Example: a picture of augmented reals.

    >>> seen = augment(to_float(reals), p, seed=[config.seed, nimg])
    >>> artifacts.save_grid(seen.numpy(), "augmented.png")

    Reference:
        Karras et al., Training Generative Adversarial Networks with Limited Data,
        arXiv:2006.06676, section 2 and appendix B.
    """
    _check(images, pipe)
    if pipe == "none":
        return images
    images = geometry.move(images, p, seed, mirror)
    colours = 3 if images.shape[-1] == 4 else images.shape[-1]
    seen = intensity.shade(images[..., :colours], p, seed)
    if pipe == "color" and colours == 3:
        seen = intensity.tint(seen, p, seed)
    seen = intensity.add_noise(seen, p, seed)
    seen = tf.concat([seen, images[..., colours:]], axis=-1)
    return intensity.cut_out(seen, p, seed)


def _check(images, pipe):
    if pipe not in PIPES:
        raise UsageError(f"pipe: expected one of {', '.join(PIPES)}, found {pipe!r}")
    shape = images.shape
    if images.dtype != tf.float32 or shape.rank != 4 or not shape.is_fully_defined():
        raise UsageError("images: expected float32 [N, H, W, C] of a static shape, found "
                         f"{images.dtype.name} {shape}; bring raw images to float32 with to_float "
                         "and make batches of one size")
