"""Images drawn in batches, so that ten thousand need the memory of one batch.

Shapes: `N` images, `H W` space, `C` channels, `D` latent.
"""

import itertools

import numpy as np
from tqdm import tqdm

from stylegan2_tf.latent.noise import random_noise
from stylegan2_tf.latent.sampling import latents_of, map_latents, synthesize, to_uint8

AT_ONCE = 16  # images of a series drawn together and held in memory
PIECE = 32  # images of `draw_with_bar`
NOISES = ("const", "random", "none")


def draw_series(loaded, items, *, label=None, truncation_psi=1.0, noise="const", step=None):
    """Images of seeds, one after the other, whose bits do not depend on the seeds beside them.

    `AT_ONCE` are drawn even where fewer are left: another number of images takes other kernels,
    which round differently.

    Args:
        loaded: A `LoadedGenerator`.
        items: Iterable of pairs (seed, strength); read batch by batch.
        label: Number of a class; None for class `seed`, counted round.
        truncation_psi: 1 for the full variety, towards 0 for the mean image.
        noise: "const" for the maps saved with the model, "random" for maps of each seed, "none".
        step: How far a strength of 1 goes in w, `[D]`; None for no move.

    Yields:
        (item, float32 image `[H, W, C]` in `[-1, 1]`).
    """
    generator, items = loaded.generator, iter(items)
    while chosen := list(itertools.islice(items, AT_ONCE)):
        filled = [chosen[number % len(chosen)] for number in range(AT_ONCE)]
        seeds, strengths = map(np.asarray, zip(*filled, strict=True))
        labels = seeds if label is None else np.full(AT_ONCE, label)
        w = map_latents(generator, latents_of(seeds, loaded.z_dim), labels, truncation_psi)
        if step is not None:
            w = w + strengths.astype(np.float32)[:, None] * step
        maps = {"const": None, "none": 0.0}.get(noise, ())
        if maps == ():
            maps = random_noise(seeds, generator.synthesis.noise_shapes(1))
        yield from zip(chosen, synthesize(generator, w, maps, batch=AT_ONCE), strict=False)


def draw_with_bar(loaded, w):
    """Images of w `[N, D]` or `[N, num_ws, D]` as uint8 `[N, H, W, C]`, with a progress bar."""
    with tqdm(total=len(w), unit="img", disable=None) as bar:
        pieces = []
        for start in range(0, len(w), PIECE):
            pieces.append(to_uint8(loaded.synthesize(w[start:start + PIECE])))
            bar.update(len(pieces[-1]))
    return np.concatenate(pieces)
