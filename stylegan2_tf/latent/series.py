"""Images drawn in batches, so that ten thousand need the memory of one batch.

Shapes: `N` images, `H W` space, `C` channels, `D` latent.
"""

import itertools

import numpy as np
from tqdm import tqdm

from stylegan2_tf.errors import NumericalError
from stylegan2_tf.latent.noise import random_noise
from stylegan2_tf.latent.sampling import (
    generator_of,
    latents_of,
    map_latents,
    synthesize,
    to_uint8,
)
from stylegan2_tf.latent.seeds import NOISES, labels_of

AT_ONCE = 16  # images of a series drawn together and held in memory
PIECE = 32  # images of `draw_with_bar`


def styles_of(loaded, seeds, label=None, truncation_psi=1.0):
    """w `[N, D]` of seeds: those of the images that `generate` makes of them.

    Args:
        loaded: A `LoadedGenerator` or a `Generator`.
        seeds: Whole numbers, `N` of them.
        label: Name of a class; None for that of each seed, see `labels_of`.
        truncation_psi: 1 for the full variety, towards 0 for the mean image.
    """
    labels = labels_of(seeds, len(loaded.classes)) if label is None else np.full(
        len(seeds), loaded.classes.index(label))
    return map_latents(loaded, latents_of(seeds, loaded.z_dim), labels, truncation_psi)


def draw_series(loaded, items, *, label=None, truncation_psi=1.0, noise="const", step=None):
    """Images of seeds, one after the other, whose bits do not depend on the seeds beside them.

    Args:
        loaded: A `LoadedGenerator` or a `Generator`.
        items: Iterable of pairs (seed, strength); read batch by batch.
        label, truncation_psi: See `styles_of`.
        noise: "const" for the maps saved with the model, "random" for maps of each seed, "none".
        step: How far a strength of 1 goes in w, `[D]`; None for no move.

    Returns:
        An iterator of (item, float32 image `[H, W, C]` in `[-1, 1]`).

    Raises:
        ValueError: There is no such noise.
        NumericalError: An image is not finite; when it is drawn.
    """
    if noise not in NOISES:
        raise ValueError(f"Argument `noise` must be one of {', '.join(NOISES)}. "
                         f"Received: noise={noise}")
    return _drawn(loaded, iter(items), label, truncation_psi, noise, step)


def _drawn(loaded, items, label, truncation_psi, noise, step):
    """`AT_ONCE` are drawn even where fewer are left: another number of images takes other
    kernels, which round differently."""
    while chosen := list(itertools.islice(items, AT_ONCE)):
        filled = [chosen[number % len(chosen)] for number in range(AT_ONCE)]
        seeds, strengths = map(np.asarray, zip(*filled, strict=True))
        w = styles_of(loaded, seeds, label, truncation_psi)
        if step is not None:
            w = w + strengths.astype(np.float32)[:, None] * step
        maps = {"const": None, "none": 0.0}.get(noise, ())
        if maps == ():
            maps = random_noise(seeds, generator_of(loaded).synthesis.noise_shapes(1))
        images = _check(synthesize(loaded, w, maps, batch=AT_ONCE), w)
        yield from zip(chosen, images, strict=False)


def draw_with_bar(loaded, w):
    """Images of w `[N, D]` or `[N, num_ws, D]` one after the other, with a progress bar.

    Yields:
        uint8 `[H, W, C]`.

    Raises:
        NumericalError: An image is not finite.
    """
    with tqdm(total=len(w), unit="img", disable=None) as bar:
        for start in range(0, len(w), PIECE):
            part = w[start:start + PIECE]
            yield from to_uint8(_check(synthesize(loaded, part), part))
            bar.update(len(part))


def _check(images, w):
    """Return `images`, if all numbers are finite: infinite w may look like white."""
    if not (np.isfinite(w).all() and np.isfinite(images).all()):
        raise NumericalError("the images: expected finite numbers, found NaN or infinity; the "
                             "weights of this model are damaged, or it is asked to go too far "
                             "(--truncation-psi, --strength)")
    return images
