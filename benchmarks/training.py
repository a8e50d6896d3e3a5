"""Train short runs that differ in one setting and compare their images with real ones.

    STYLEGAN2_TF_DATA=... python -m benchmarks.training --sweep lr-scale
"""

import argparse
import json
import tempfile
import time

import numpy as np

from benchmarks import prepare

SWEEPS = {
    "lr-scale": ("lr_scale", (1.0, 5.0, 12.5)),
    "r1-gamma": ("r1_gamma", (0.0, 0.0064, 0.064, 0.3)),
    "loss": ("loss", ("cross-entropy", "wgan-gp")),
}
BASE = dict(data_dir="-", output_dir="-", g_input_res=4, g_init_filters=64, d_final_res=4,
            d_input_filters=16, fade_in_base=80.0, resolution=32, batch=32, augment="none")
JUDGED = 512  # images on each side of a distance


def train(config, packed, kimg):
    """Train `config` for `kimg` and return (seconds, generated images `[N, H, W, 1]`)."""
    from stylegan2_tf.building import make_networks
    from stylegan2_tf.data import batches
    from stylegan2_tf.latent.sampling import draw, make_latents
    from stylegan2_tf.step import TrainStep

    step = TrainStep(*make_networks(config), config)
    stream = batches(packed, batch=config.batch, seed=config.seed)
    started = time.perf_counter()
    for nimg in range(0, int(1000 * kimg), config.batch):
        images, _ = next(stream)
        step(images, nimg, config.alpha(nimg / len(packed)))
    fakes = draw(step.generator_ema, make_latents(JUDGED, config.latent, seed=1))
    return time.perf_counter() - started, fakes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", choices=SWEEPS, required=True)
    parser.add_argument("--kimg", type=float, default=60, help="length of each run (default: 60)")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each value (default: 1)")
    arguments = parser.parse_args()
    source = prepare()
    from stylegan2_tf.config import make_config
    from stylegan2_tf.data import pack
    from stylegan2_tf.metrics.sliced import SlicedWasserstein

    name, values = SWEEPS[arguments.sweep]
    with tempfile.TemporaryDirectory() as cache:
        packed = pack(f"{source}/brain_slices", cache, resolution=32, channels=1)
        chosen = np.random.default_rng(5).permutation(len(packed))[:2 * JUDGED]
        measure = SlicedWasserstein()
        others, reals = (measure.describe(packed.array[half])
                         for half in (chosen[:JUDGED], chosen[JUDGED:]))
        floor = measure.compare(reals, others)["swd"]
        print(json.dumps({"floor": round(floor, 1)}), flush=True)
        for seed in range(arguments.seeds):
            for value in values:
                config = make_config({**BASE, name: value, "seed": seed})
                seconds, fakes = train(config, packed, arguments.kimg)
                distance = measure.compare(reals, measure.describe(fakes))["swd"]
                print(json.dumps({name: value, "seed": seed, "kimg": arguments.kimg,
                                  "swd": round(distance, 1), "seconds": round(seconds)}),
                      flush=True)


if __name__ == "__main__":
    main()
