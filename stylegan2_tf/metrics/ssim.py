"""Structural similarity of two images, and of pairs within a set as a measure of diversity.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import numpy as np
from scipy.ndimage import correlate1d

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.images import signed
from stylegan2_tf.metrics.measure import Measure, Scale

SIGMA, RADIUS = 1.5, 5  # of the Gaussian window, in pixels
WINDOW = 2 * RADIUS + 1  # pixels
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest scale first (Wang 2003, 3.2)
RANGE = 2.0  # from black to white
C1, C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
AT_ONCE = 4  # pairs in memory as float32: they stay in the cache


class MultiScaleSimilarity(Measure):
    """Mean MS-SSIM of pairs of images of one set: how much its images look alike.

    All images are shuffled into one ring and each is compared with the next, so that every
    image has one partner, never itself. Only the set of fakes counts: a value above that of
    real images means less diversity, one far below it means noise. (PG, section 5, takes
    random pairs too.)

    Args:
        pairs: Images that are measured, at most; the similarity of the others is NaN.
        seed: Decides the order in the ring.

    Raises:
        UsageError: `pairs` is below 1.

    Reference: Karras et al. 2018, Progressive Growing of GANs (arXiv:1710.10196), section 5;
    Odena et al. 2017 (arXiv:1610.09585), section 4.2.
    """

    def __init__(self, pairs=1024, seed=0):
        if pairs < 1:
            raise UsageError(f"`pairs` must be at least 1. Received: pairs={pairs}")
        self.pairs, self.seed = pairs, seed

    def describe(self, images):
        """MS-SSIM of each image and its partner.

        Args:
            images: `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.

        Returns:
            A dict: "similarity" -> `[N]`, 0 to 1, NaN where it was not measured.

        Raises:
            UsageError: A side is shorter than the window.
        """
        ring = np.random.default_rng(self.seed).permutation(len(images))
        following = np.roll(ring, -1)
        similarity = np.full(len(images), np.nan)
        for start in range(0, min(self.pairs, len(ring)), AT_ONCE):
            part = slice(start, min(start + AT_ONCE, self.pairs))
            similarity[ring[part]] = ms_ssim(images[ring[part]], images[following[part]])
        return {"similarity": similarity}

    def compare(self, real, fake, quick=False):
        """See `Measure.compare`. NaN if none of the given rows was measured."""
        measured = fake["similarity"][~np.isnan(fake["similarity"])]
        return {"ms-ssim": float(measured.mean()) if len(measured) else float("nan")}

    def scales(self):
        """See `Measure.scales`."""
        note = "higher than between real images: less diverse"
        return {"ms-ssim": Scale("MS-SSIM between pairs", "near", note=note)}


def ssim(a, b):
    """Structural similarity on one scale (Wang et al. 2004, equation 13).

    The window is Gaussian (sigma 1.5, 11 taps). Only places where it lies whole in the image
    count. Black is 0 in the luminance term, white the data range (2 for `[-1, 1]`).

    Args:
        a, b: Images `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.

    Returns:
        `[N]`, -1 to 1: the mean over places and channels.

    Raises:
        UsageError: The shapes differ, or a side is shorter than 11 pixels.
    """
    similarity, _ = _terms(*_from_black(a, b))
    return similarity.mean(axis=-1)


def ms_ssim(a, b):
    """Multi-scale structural similarity (Wang et al. 2003, equation 7).

    The contrast term of each scale and the SSIM of the coarsest, raised to their weights and
    multiplied. From scale to scale means of 2x2 pixels are taken; an odd last row or
    column is left out. The window is never made smaller, so that each term stays the known one:
    there are as many scales, 5 at most, as leave 11 pixels on the shorter side, and their
    weights are divided by their sum. That is 5 scales from 176 pixels, 4 from 88,
    3 from 44, 2 from 22, and 1, which is `ssim`, below. Negative terms count as 0.

    Args:
        a, b: Images `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.

    Returns:
        `[N]`, 0 to 1: the mean over channels; 1 for equal images.

    Raises:
        UsageError: The shapes differ, or a side is shorter than 11 pixels.
    """
    a, b = _from_black(a, b)
    weights = WEIGHTS[:scale_count(min(a.shape[1:3]))]
    product = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halved(a), _halved(b)
        similarity, contrast = _terms(a, b)
        term = similarity if scale == len(weights) - 1 else contrast
        product = product * np.maximum(term, 0) ** (weight / sum(weights))
    return product.mean(axis=-1)


def _from_black(a, b):
    """Both as float32 in `[0, 2]`. Raises `UsageError`."""
    if a.shape != b.shape:
        raise UsageError(f"SSIM needs images of one shape. Received: {a.shape} and {b.shape}")
    if min(a.shape[1:3]) < WINDOW:
        raise UsageError(f"SSIM needs images of at least {WINDOW} pixels a side. "
                         f"Received: {a.shape[1]}x{a.shape[2]}")
    return signed(a) + 1, signed(b) + 1


def scale_count(side):
    """Scales that `ms_ssim` looks at, for images whose shorter side has so many pixels."""
    count = 1
    while count < len(WEIGHTS) and side // 2 >= WINDOW:
        count, side = count + 1, side // 2
    return count


def _terms(a, b):
    """Means over all places, `[N, C]` each, of SSIM and of its contrast and structure part."""
    mean_a, mean_b, squares, product = _smooth(np.stack([a, b, a * a + b * b, a * b]))
    means, mean_squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    contrast = (2 * (product - means) + C2) / (squares - mean_squares + C2)
    luminance = (2 * means + C1) / (mean_squares + C1)
    return (luminance * contrast).mean(axis=(1, 2)), contrast.mean(axis=(1, 2))


def _smooth(images):
    """Gaussian mean of `[..., H, W, C]` wherever the window lies whole in the image."""
    window = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    window /= window.sum()
    images = correlate1d(images, window, axis=-3)[..., RADIUS:-RADIUS, :, :]
    return correlate1d(images, window, axis=-2)[..., RADIUS:-RADIUS, :]


def _halved(images):
    height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    rows = images[:, 0:height:2] + images[:, 1:height:2]
    return (rows[:, :, 0:width:2] + rows[:, :, 1:width:2]) / 4
