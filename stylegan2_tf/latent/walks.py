"""Ways through the latent space: interpolation between seeds, in a loop.

Shapes: `N` frames, `K` key latents, `D` latent.
"""

import numpy as np


def slerp(start, end, time):
    """From `start` to `end` along the sphere (Shoemake 1985): latents of a normal distribution.

    Args:
        start, end: `[..., D]`.
        time: 0 to 1, broadcast against `[..., 1]`.

    Returns:
        `[..., D]`. The length goes linearly from that of `start` to that of `end`. Between
        opposite directions, where no arc is shorter than the others, the way leads through 0.
    """
    ends = [np.asarray(latent, np.float64) for latent in (start, end)]  # a small angle needs it
    lengths = [np.linalg.norm(latent, axis=-1, keepdims=True) for latent in ends]
    first, last = (latent / length for latent, length in zip(ends, lengths, strict=True))
    angle = np.arccos(np.clip((first * last).sum(-1, keepdims=True), -1.0, 1.0))
    sine = np.sin(angle)
    straight = np.abs(sine) < 1e-6  # the same or the opposite direction: no unique arc
    arc = np.sin((1.0 - time) * angle) * first + np.sin(time * angle) * last
    direction = np.where(straight, lerp(first, last, time), arc / np.where(straight, 1.0, sine))
    return (direction * lerp(*lengths, time)).astype(start.dtype)


def lerp(start, end, time):
    """From `start` to `end` along a line; arguments as for `slerp`."""
    return start + time * (end - start)


def loop(keys, frames, *, between, ease=False):
    """Latents of a closed way through all keys and back to the first.

    Args:
        keys: `[K, ...]`, two or more.
        frames: How many latents, at least K: the first frame is the first key, and the last
            lies as long before it as the second after it.
        between: `slerp` or `lerp`.
        ease: Whether to slow down at each key.

    Returns:
        `[frames, ...]`.

    Raises:
        ValueError: There are fewer than two keys, or fewer frames than keys.
    """
    count = len(keys)
    if count < 2 or frames < count:
        raise ValueError("Arguments `keys` and `frames` must be two keys or more, and a frame for "
                         f"each. Received: {count} keys, frames={frames}")
    places = np.arange(frames) * count / frames
    legs = np.floor(places).astype(int)
    time = (places - legs).astype(keys.dtype)
    if ease:
        time = time * time * (3.0 - 2.0 * time)
    time = time.reshape(-1, *[1] * (keys.ndim - 1))
    return between(keys[legs], keys[(legs + 1) % count], time).astype(keys.dtype)


SPACES = {"z": slerp, "w": lerp}  # how to go from key to key in each
