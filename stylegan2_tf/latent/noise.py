"""The generator's noise maps: random ones by seed, and what keeps optimised ones noise.

Shapes: `N` images, `H W` space.
"""

import numpy as np
from keras import ops

SMALLEST = 8  # side of the coarsest map that is regularised (SG2 appendix D)
STREAM = 1  # of a seed: its latent comes from the stream without a number


def random_noise(seeds, shapes):
    """Standard normal maps, those of a seed whatever the other seeds are.

    Args:
        seeds: Whole numbers, `N` of them.
        shapes: What `SynthesisNetwork.noise_shapes(1)` gives.

    Returns:
        A list of float32 `[N, H, W, 1]`.
    """
    streams = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM,)))
               for seed in map(int, seeds)]
    return [np.stack([stream.standard_normal(shape[1:], dtype=np.float32) for stream in streams])
            for shape in shapes]


def constant_noise(synthesis, batch):
    """The maps saved with the model, a list of `[batch, H, W, 1]`; empty if it has no noise."""
    shapes = synthesis.noise_shapes(batch)
    return [ops.broadcast_to(ops.cast(conv.noise.constant, "float32"), shape)
            for conv, shape in zip(synthesis.convs, shapes, strict=False)]


def standardized(noise):
    """`noise` `[N, H, W, 1]` with mean 0 and variance 1 in each map (SG2 appendix D)."""
    centred = noise - ops.mean(noise, axis=(1, 2, 3), keepdims=True)
    power = ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True)
    return centred * ops.rsqrt(power + 1e-12)


def autocorrelation(noise):
    """What optimised noise is punished for: neighbours that are alike (SG2 appendix D).

    On every level of a pyramid from the map itself down to 8 pixels, the squares of the mean
    products of each pixel with its left and with its upper neighbour are summed. A picture that
    hides in the noise is punished; white noise gives about 0. Of the levels, each has the means
    of 2x2 pixels of the one before, doubled: white noise keeps its variance.

    Args:
        noise: `[N, H, W, 1]`.

    Returns:
        `[N]`.
    """
    total = 0.0
    while True:
        for axis in (1, 2):
            products = noise * ops.roll(noise, shift=1, axis=axis)
            total += ops.square(ops.mean(products, axis=(1, 2, 3)))
        if min(noise.shape[1:3]) < 2 * SMALLEST:
            return total
        noise = 2.0 * ops.average_pool(noise, 2, 2, "valid")
