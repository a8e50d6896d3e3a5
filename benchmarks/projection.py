"""How well images are found again: the model's own, and real ones that it has never seen.

    python -m benchmarks.projection MODEL [--out FOLDER]

Pictures go to a temporary folder unless told otherwise: real images stay out of the repository.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from stylegan2_tf.tf_quiet import import_tensorflow

OWN_SEEDS = range(500, 10_000)  # of the images that the model makes itself


def held_out(model, form, count):
    """`count` images of people that the run at `model` held out, evenly spread, as floats."""
    from stylegan2_tf.data import spread
    from stylegan2_tf.manifest import generator_file, read_manifest
    from stylegan2_tf.metrics.images import signed
    from stylegan2_tf.metrics.sources import read_as_trained

    manifest = read_manifest(generator_file(model))
    folder = manifest["config"].get("data_dir", "")
    if not Path(folder).is_dir():
        sys.exit(f"MODEL: expected one whose data folder is still there, found {folder!r}")
    with tempfile.TemporaryDirectory() as cache:
        _, held, _ = read_as_trained(folder, cache, form, manifest)
        if held is None:
            sys.exit("MODEL: expected a run with --holdout on unchanged data, found another")
        return signed(held.images[np.asarray(spread(min(count, len(held.names)),
                                                    len(held.names)))])


def measure(generator, targets, path, **options):
    """Project `targets` into both spaces, and write a picture of each to `path`.

    Yields:
        (PSNR of each, its figures to report).
    """
    from stylegan2_tf.artifacts import save_grid
    from stylegan2_tf.latent.inversion import difference, side_by_side
    from stylegan2_tf.latent.projection import project

    before = None
    for space in ("w", "w+"):
        started = time.perf_counter()
        found = project(generator, targets, space=space, progress=True, **options)
        figures = dict(space=space, psnr_min=float(found.psnr.min()),
                       psnr_median=float(np.median(found.psnr)),
                       over_35=float((found.psnr > 35).mean()),
                       seconds=time.perf_counter() - started)
        if before is not None:
            figures["over_w_min"] = float((found.psnr - before).min())
        before = found.psnr
        save_grid(side_by_side(targets, found.images, difference(found.images, targets)),
                  path.with_name(f"{path.name}-{space}.png"), columns=3)
        yield found.psnr, figures


def report(**figures):
    print(json.dumps({name: round(value, 2) if isinstance(value, float) else value
                      for name, value in figures.items()}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", help="a run with --holdout")
    parser.add_argument("--out", help="folder of the pictures (default: a temporary one)")
    parser.add_argument("--images", type=int, default=16, help="of each kind (default: 16)")
    parser.add_argument("--steps", type=int, default=300, help="(default: 300)")
    parser.add_argument("--noise", choices=("const", "optimise"), default="const",
                        help="(default: const)")
    arguments = parser.parse_args()
    import_tensorflow()
    from stylegan2_tf.artifacts import save_grid
    from stylegan2_tf.latent.inversion import best_samples, side_by_side
    from stylegan2_tf.latent.sampling import draw, latents_of, load
    from stylegan2_tf.manifest import generator_file, read_manifest
    from stylegan2_tf.metrics.sources import Form

    loaded, out = load(arguments.model), Path(arguments.out or tempfile.mkdtemp())
    generator, options = loaded.generator, dict(steps=arguments.steps, noise=arguments.noise)
    seeds = OWN_SEEDS[:arguments.images]
    own = draw(generator, latents_of(seeds, loaded.z_dim), np.asarray(seeds))
    for _, figures in measure(generator, own, out / "own", **options):
        report(targets="own", **vars(arguments), **figures)
    fit = read_manifest(generator_file(arguments.model))["config"].get("fit", "pad")
    real = held_out(arguments.model, Form(loaded.resolution, loaded.channels, fit),
                    arguments.images)
    best = best_samples(generator, real, progress=True)
    save_grid(side_by_side(real, best.images), out / "held-out-best-sample.png", columns=2)
    for psnr, figures in measure(generator, real, out / "held-out", **options):
        report(targets="held-out", **vars(arguments), **figures,
               best_sample_median=float(np.median(best.psnr)),
               gain_min=float((psnr - best.psnr).min()),
               better=float((psnr > best.psnr).mean()))
    print(f"pictures in {out}")


if __name__ == "__main__":
    main()
