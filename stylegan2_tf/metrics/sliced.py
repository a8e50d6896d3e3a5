"""Sliced Wasserstein distance between local patches of two sets, on every scale.

Shapes: `N` images, `H W` height and width in pixels, `C` channels, `P` patches an image.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.ndimage import correlate1d

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.images import blocks
from stylegan2_tf.metrics.measure import Measure, Scale

SIDE = 7  # of a patch, in pixels
COARSEST = 16  # no level has a shorter side than this, unless the images have
QUICK = 32  # projections of a quick comparison; those of a full one in memory at once
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
FLOOR = 1e-4  # standard deviation of constant images: a distance stays finite
AT_ONCE = 4  # images in memory as float32: they stay in the cache


class SlicedWasserstein(Measure):
    """Mean distance between 1-D projections of patches, times 1000.

    Every image becomes a Laplacian pyramid, halved while the shorter side stays at least 16
    pixels. `patches` 7x7 patches are cut from each level at random places. On each level both
    sets are projected on the same `projections` random directions; the Wasserstein-1
    distance of each projection is exact, for any two numbers of patches.

    Patches are divided by the standard deviation of every channel of the *real* set. PG leaves
    open whose statistics these are; were each set divided by its own, a set that is brighter or
    has less contrast would look perfect. Because both sets share the statistics, subtracting
    the mean would cancel, so it is left out.

    Values: "swd/64", "swd/32", "swd/16" for images of 64x64, named by the longer side of
    the level in pixels; "swd" is their mean. The distance of few images is biased upwards:
    read it beside that of other real images.

    Args:
        patches: Patches of each image and level.
        projections: Directions of a full comparison; a quick one takes the first 32 of them.
        seed: Decides places and directions: place `k` of image `i` is the same in every set.

    Raises:
        UsageError: An argument is below 1.

    Reference: Karras et al. 2018, Progressive Growing of GANs (arXiv:1710.10196), section 5.
    """

    def __init__(self, patches=128, projections=512, seed=0):
        for name, value in (("patches", patches), ("projections", projections)):
            if value < 1:
                raise UsageError(f"`{name}` must be at least 1. Received: {name}={value}")
        self.patches, self.projections, self.seed = patches, projections, seed
        self.sizes = ()  # (height, width) of each level that `describe` has seen

    def describe(self, images):
        """Patches of every level, black at 0 on the coarsest.

        Half precision halves the memory: 2048 grey images of 256x256 need 128 MB.

        Args:
            images: `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.

        Returns:
            A dict: longer side of the level -> float16 `[N, P, C, 7, 7]`.

        Raises:
            UsageError: A side is shorter than a patch.
        """
        n, height, width, channels = images.shape
        self.sizes = level_sizes(height, width)
        places = [self._places(n, *size) for size in self.sizes]
        found = [np.empty((n, self.patches, channels, SIDE, SIDE), np.float16)
                 for _ in self.sizes]
        start = 0
        for block in blocks(images, AT_ONCE):
            part = slice(start, start + len(block))
            # Distances do not change with a common offset, and float16 is finest around 0.
            for level, pixels in enumerate(laplacian(block + 1, len(self.sizes))):
                windows = np.lib.stride_tricks.sliding_window_view(pixels, (SIDE, SIDE), (1, 2))
                rows, columns = places[level]
                image = np.arange(len(block))[:, None]
                found[level][part] = windows[image, rows[part], columns[part]]
            start = part.stop
        return {str(max(size)): array for size, array in zip(self.sizes, found, strict=True)}

    def compare(self, real, fake, quick=False):
        """See `Measure.compare`; both sets must have images of the same size."""
        count = min(QUICK, self.projections) if quick else self.projections
        values = {f"swd/{level}": 1000 * self._distance(real[level], fake[level], count)
                  for level in real}
        return {"swd": sum(values.values()) / len(values), **values}

    def scales(self):
        """See `Measure.scales`."""
        found = {"swd": Scale("sliced Wasserstein distance, mean over levels", unit="x 1000")}
        for height, width in self.sizes:
            label = f"sliced Wasserstein distance at {height}x{width}"
            found[f"swd/{max(height, width)}"] = Scale(label, unit="x 1000")
        return found

    def _places(self, n, height, width):
        """Rows and columns `[N, P]` of the patches; those of image `i` don't depend on `n`."""
        across = width - SIDE + 1
        rng = np.random.default_rng((self.seed, height, width))
        places = rng.integers((height - SIDE + 1) * across, size=(n, self.patches))
        return np.divmod(places, across)

    def _distance(self, real, fake, count):
        """Mean distance of patches `[N, P, C, 7, 7]` over the first `count` directions."""
        real, fake = real.astype(np.float32), fake.astype(np.float32)
        spread = np.maximum(real.std(axis=(0, 1, 3, 4)), np.float32(FLOOR))
        rng = np.random.default_rng(self.seed)
        directions = rng.standard_normal((count, *real.shape[2:]), dtype=np.float32)
        directions /= np.sqrt(np.square(directions).sum(axis=(1, 2, 3), keepdims=True))
        directions /= spread[:, None, None]
        real, fake, directions = (x.reshape(-1, real[0, 0].size)
                                  for x in (real, fake, directions))
        found = []
        with ThreadPoolExecutor() as pool:  # sorting and arithmetic free the GIL
            for start in range(0, count, QUICK):
                chosen = directions[start:start + QUICK]
                found.extend(pool.map(wasserstein, chosen @ real.T, chosen @ fake.T))
        return float(np.mean(found))


def level_sizes(height, width):
    """(height, width) of each level, finest first. Raises `UsageError` on too small images."""
    if min(height, width) < SIDE:
        raise UsageError(f"Sliced Wasserstein distances need images of at least {SIDE}x{SIDE}"
                         f" pixels. Received: {height}x{width}")
    sizes = [(height, width)]
    while min(height, width) / 2 >= COARSEST:
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.append((height, width))
    return sizes


def laplacian(images, levels):
    """Laplacian pyramid (Burt and Adelson 1983) of float32 images `[N, H, W, C]`.

    Yields:
        `levels` arrays `[N, h, w, C]`, finest first; a side of `h` becomes `ceil(h / 2)`.
        All but the last are differences, the last is the blurred image itself.
    """
    for _ in range(levels - 1):
        low = _blur(_blur(images, 1)[:, ::2], 2)[:, :, ::2]
        yield images - _enlarged(low, images.shape)
        images = low
    yield images


def _enlarged(low, shape):
    """Zeros put between the pixels and blurred, one direction after the other."""
    wide = np.zeros((*low.shape[:2], *shape[2:]), np.float32)
    wide[:, :, ::2] = low
    full = np.zeros(shape, np.float32)
    full[:, ::2] = _blur(wide, 2)
    return 4 * _blur(full, 1)


def _blur(images, axis):
    # Mirrored about the outermost pixel, so that zeros between pixels stay between them there.
    return correlate1d(images, BINOMIAL, axis, mode="mirror")


def wasserstein(a, b):
    """Wasserstein-1 distance: the area between the quantile functions of two samples.

    Args:
        a, b: Numbers `[n]` and `[m]` in any order; both are sorted in place.

    Returns:
        A float, exact for any `n` and `m`.
    """
    a.sort()
    b.sort()
    index_a, index_b, widths = _quantile_steps(len(a), len(b))
    return float((np.abs(a[index_a] - b[index_b]) * widths).sum())


@functools.lru_cache(maxsize=1)  # all projections and levels of two sets share them
def _quantile_steps(n, m):
    """Where the quantile functions of `n` and of `m` samples are both constant.

    Returns:
        For each step the index into the `n` sorted samples, that into the `m`, and its
        width, float32; the widths sum to 1.
    """
    if n == m:
        return slice(None), slice(None), np.float32(1 / n)
    ends = np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n])
    ends.sort(kind="stable")  # merges the two; in units of 1 / (n m)
    widths = np.diff(ends, prepend=0) / (n * m)
    return (ends - 1) // m, (ends - 1) // n, widths.astype(np.float32)
