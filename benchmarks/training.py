"""Train short runs that differ in one setting and compare their images with real ones.

    STYLEGAN2_TF_DATA=... python -m benchmarks.training --sweep lr-scale
"""

import argparse
import json
import os
import sys
import tempfile
import time

import numpy as np

SWEEPS = {
    "lr-scale": ("lr_scale", (1.0, 5.0, 12.5)),
    "r1-gamma": ("r1_gamma", (0.0, 0.0064, 0.064, 0.3)),
    "loss": ("loss", ("cross-entropy", "wgan-gp")),
}
BASE = dict(data_dir="-", output_dir="-", g_input_res=4, g_init_filters=64, d_final_res=4,
            d_input_filters=16, fade_in_base=80.0, resolution=32, batch=32)
JUDGED = 512  # images on each side of a distance


def sliced_wasserstein(images, others, projections=128, seed=0):
    """Mean 1-D Wasserstein distance of projected 7x7 patches, times 1000 (PG section 5).

    Patches `[N * 64, 49]` are taken at the same places of both sets, normalised by the mean and
    standard deviation of `others`.
    """
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, images.shape[1] - 6, (64, 2))
    first, second = (np.concatenate([array[:, row:row + 7, column:column + 7].reshape(-1, 49)
                                     for row, column in corners]) for array in (images, others))
    directions = rng.standard_normal((49, projections))
    directions /= np.linalg.norm(directions, axis=0)
    mean, deviation = second.mean(axis=0), second.std()
    first, second = (np.sort((array - mean) / deviation @ directions, axis=0)
                     for array in (first, second))
    return 1000 * np.abs(first - second).mean()


def train(config, packed, kimg):
    """Train `config` for `kimg` and return (seconds, generated images `[N, H, W]`)."""
    from stylegan2_tf.data import batches
    from stylegan2_tf.latent.sampling import draw, make_latents
    from stylegan2_tf.step import TrainStep
    from stylegan2_tf.trainer import make_networks

    step = TrainStep(*make_networks(config), config)
    stream = iter(batches(packed, batch=config.batch, seed=config.seed))
    started = time.perf_counter()
    for nimg in range(0, int(1000 * kimg), config.batch):
        step(next(stream), nimg, config.alpha(nimg / len(packed)))
    fakes = draw(step.generator_ema, make_latents(JUDGED, config.latent, seed=1))
    return time.perf_counter() - started, fakes[..., 0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", choices=SWEEPS, required=True)
    parser.add_argument("--kimg", type=float, default=60, help="length of each run (default: 60)")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each value (default: 1)")
    arguments = parser.parse_args()
    source = os.environ.get("STYLEGAN2_TF_DATA")
    if not source:
        sys.exit("STYLEGAN2_TF_DATA: expected the folder that holds brain_slices/, found nothing")
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow()
    from stylegan2_tf.config import make_config
    from stylegan2_tf.data import pack

    name, values = SWEEPS[arguments.sweep]
    with tempfile.TemporaryDirectory() as cache:
        packed = pack(f"{source}/brain_slices", cache, resolution=32, channels=1)
        chosen = np.random.default_rng(5).permutation(len(packed))[:2 * JUDGED]
        reals = packed.array[chosen][..., 0] / 127.5 - 1
        floor = sliced_wasserstein(reals[:JUDGED], reals[JUDGED:])
        print(json.dumps({"floor": round(floor, 1)}), flush=True)
        for seed in range(arguments.seeds):
            for value in values:
                config = make_config({**BASE, name: value, "seed": seed})
                seconds, fakes = train(config, packed, arguments.kimg)
                distance = sliced_wasserstein(fakes, reals[JUDGED:])
                print(json.dumps({name: value, "seed": seed, "kimg": arguments.kimg,
                                  "swd": round(distance, 1), "seconds": round(seconds)}),
                      flush=True)


if __name__ == "__main__":
    main()
