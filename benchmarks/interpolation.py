"""How even the frames of `interpolate` are: the step from frame to frame in grey values.

    python -m benchmarks.interpolation MODEL --seeds 1,7,42 --frames 72

The largest step includes that from the last frame to the first. Beside it stand two random images,
as far apart as a jump would be.
"""

import argparse
import json

import numpy as np

from stylegan2_tf.cli.interpolate import draw_loop
from stylegan2_tf.latent.sampling import load, to_uint8
from stylegan2_tf.latent.seeds import read_seeds


def distance(images, others):
    """Root mean square difference of grey values, `[N]`."""
    return np.sqrt(np.square(images.astype(np.float64) - others).mean(axis=(1, 2, 3)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", help="run folder")
    parser.add_argument("--seeds", default="1,7,42", help="key images (default: 1,7,42)")
    parser.add_argument("--frames", type=int, default=72, help="of the loop (default: 72)")
    arguments = parser.parse_args()
    loaded, seeds = load(arguments.model), read_seeds(arguments.seeds)
    strangers = to_uint8(loaded.sample(64, seed=0))
    found = {"strangers": _rounded(distance(strangers, np.roll(strangers, 1, axis=0)).mean())}
    for space in ("w", "z"):
        for ease in (False, True):
            frames = draw_loop(loaded, seeds, arguments.frames, space, ease)
            steps = distance(frames, np.roll(frames, 1, axis=0))
            found[f"{space}{' --ease' * ease}"] = {
                "median": _rounded(np.median(steps)), "largest": _rounded(steps.max()),
                "last to first": _rounded(steps[0])}
    print(json.dumps(found, indent=2))


def _rounded(value):
    return round(float(value), 2)


if __name__ == "__main__":
    main()
