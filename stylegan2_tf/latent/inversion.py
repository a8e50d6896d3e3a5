"""Around a projection: compare it with random samples, and show how it was found.

Shapes: `N` images, `F` frames, `H W` space, `C` channels.
"""

import dataclasses

import numpy as np
from tqdm import tqdm

from stylegan2_tf.latent.projection import checked_targets, peak_signal_to_noise
from stylegan2_tf.latent.sampling import draw, enlarged, generator_of, latents_of, to_uint8

FIRST_SEED = 1_000_000  # of the random samples: beyond those that users draw images with
AT_ONCE = 32  # samples drawn together
AMPLIFIED = 4  # times, the differences in pictures: 35 dB are 2 % of the grey values
READABLE = 128  # pixels: smaller images are enlarged to it
FRAMES = 60  # of a film, about
REST = 15  # frames that the last one lasts
WIDEST = 1024  # pixels of a frame; so many images stand beside each other in it


@dataclasses.dataclass(frozen=True)
class Samples:
    """Of many random images those that resemble each target most.

    Args:
        seeds: Seed of each, as in `generate --seeds`, `[N]`.
        images: `[N, H, W, C]` in `[-1, 1]`.
        psnr: Peak signal-to-noise ratio to the target in dB, `[N]`.
    """

    seeds: np.ndarray
    images: np.ndarray
    psnr: np.ndarray


def best_samples(model, targets, count=1000, progress=False):
    """What chance finds: the best of `count` random images, by PSNR, for each target.

    Args:
        model: A `Generator`, or what `load` returns.
        targets: Floats `[N, H, W, C]` in `[-1, 1]`.
        count: Random images, each class in turn, with seeds from `FIRST_SEED` on; at least 1.
        progress: Show a bar, if standard error is a terminal.

    Returns:
        `Samples`.

    Raises:
        ValueError: The targets are none that `project` takes, or `count` is below 1.
    """
    generator = generator_of(model)
    targets = checked_targets(generator, targets)
    if count < 1:
        raise ValueError(f"Argument `count` must be at least 1. Received: count={count}")
    seeds = np.zeros(len(targets), np.int64)
    images, psnr = np.empty_like(targets), np.full(len(targets), -np.inf)
    with tqdm(total=count, desc="comparing", unit="img", disable=None if progress else True) as bar:
        for start in range(FIRST_SEED, FIRST_SEED + count, AT_ONCE):
            chosen = np.arange(start, min(start + AT_ONCE, FIRST_SEED + count))
            drawn = draw(generator, latents_of(chosen, generator.z_dim), chosen)
            for number, target in enumerate(targets):
                found = peak_signal_to_noise(drawn, target[None])
                best = found.argmax()
                if found[best] > psnr[number]:
                    psnr[number], images[number] = found[best], drawn[best]
                    seeds[number] = chosen[best]
            bar.update(len(chosen))
    return Samples(seeds, images, psnr)


def difference(images, targets):
    """Absolute differences, `AMPLIFIED` times, black where there is none: `[N, H, W, C]`."""
    found = np.minimum(AMPLIFIED * np.abs(images - targets), 2.0) - 1.0
    if found.shape[-1] == 4:
        found[..., 3] = 1.0  # what is transparent nobody sees
    return found


def side_by_side(*columns):
    """Pictures of a table whose columns are given, row after row, enlarged to be readable.

    Args:
        *columns: `[N, H, W, C]` each, in `[-1, 1]`.

    Returns:
        uint8 `[N · columns, h, w, C]`.
    """
    height, width = columns[0].shape[1:3]
    factor = max(1, READABLE // max(height, width))
    pictures = to_uint8(np.stack(columns, axis=1)).reshape(-1, *columns[0].shape[1:])
    return enlarged(pictures, (height * factor, width * factor))


class Film:
    """The images of an optimisation, evenly thinned; give it to `project` as `watch`.

    Args:
        targets: What is sought, `[N, H, W, C]` in `[-1, 1]`; the first are filmed.
        steps: Updates of the optimisation.
    """

    def __init__(self, targets, steps):
        shown = max(1, WIDEST // max(READABLE, targets.shape[2]))
        self._targets, self._steps = targets[:shown], steps
        self._every = max(1, -(-steps // FRAMES))
        self._frames = []

    def __call__(self, step, images):
        if step % self._every == 0 or step == self._steps:
            now = np.clip(np.asarray(images[:len(self._targets)]), -1.0, 1.0)
            self._frames.append(side_by_side(self._targets, now))

    def frames(self):
        """uint8 `[F, N, 2, h, w, C]`: target and image at each time, resting on the last."""
        frames = np.stack([*self._frames, *[self._frames[-1]] * REST])
        return frames.reshape(len(frames), -1, 2, *frames.shape[2:])
