"""`stylegan2-tf project`: the latents whose images resemble given ones, and how well."""

import csv
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError

MOST = 64  # images: each is a row of a picture


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders of "
                        f"them, {MOST} images at most; brought to the model's size and channels "
                        "in the way that its training was")
    parser.add_argument("out", metavar="OUT", help="folder of projected.png (target, projection, "
                        "difference, best random sample), progress.gif, projection.csv and "
                        "projection.npz")
    parser.add_argument("--space", choices=("w", "w+"), default="w", help="one latent for all "
                        "layers, which stays an image of the model, or one for each, which comes "
                        "closer (default: w)")
    parser.add_argument("--steps", type=int, default=300, help="updates (default: 300)")
    parser.add_argument("--noise", choices=("const", "optimise"), default="const", help="keep the "
                        "noise maps of the model, so that w alone makes the image, or optimise "
                        "them too (default: const)")
    parser.add_argument("--compare", type=int, default=1000, metavar="N", help="random samples, "
                        "the best of which is what chance finds; 0 for none (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="decides the jitter that is added to "
                        "w at first (default: 0)")


def run(arguments):
    """Project, compare, write and print. Returns the exit code."""
    out = Path(arguments.out)
    paths = _check(arguments, out)
    loaded = shared.load_generator(arguments.model)
    generator = loaded.generator
    if arguments.noise == "optimise" and not generator.synthesis.noise_shapes(1):
        raise UsageError("--noise: expected const, for this network has no noise to optimise "
                         "(--arch dcgan), found optimise")
    from stylegan2_tf.animation import save_animation
    from stylegan2_tf.latent.inversion import AMPLIFIED, Film, best_samples
    from stylegan2_tf.latent.projection import project
    from stylegan2_tf.latent.targets import read_targets

    targets = read_targets(paths, loaded.resolution, loaded.channels, _fit(arguments.model))
    shared.make_folder(out)
    film = Film(targets, arguments.steps)
    found = project(generator, targets, steps=arguments.steps, space=arguments.space,
                    noise=arguments.noise, seed=arguments.seed, progress=True, watch=film)
    samples = best_samples(generator, targets, arguments.compare, progress=True) if (
        arguments.compare) else None
    rows = _rows(paths, found, targets, samples)
    _print(rows, min(loaded.resolution), arguments.compare)
    _write_pictures(targets, found, samples, out / "projected.png")
    save_animation(_tiled(film.frames()), out / "progress.gif")
    _write_latents(arguments, rows, found, out / "projection.npz")
    _write_table(rows, out / "projection.csv")
    print(f"written {out / 'projected.png'}: target, projection, {AMPLIFIED} x difference"
          + ", best sample" * (samples is not None))
    print(f"written {out / 'progress.gif'}, projection.npz and projection.csv")
    return 0


def _check(arguments, out):
    """Refuse at once what can't be done. Returns the paths of the images."""
    from stylegan2_tf.latent.targets import image_paths

    for name, least, most in (("steps", 1, 100_000), ("compare", 0, 1_000_000),
                              ("seed", 0, 2**31 - 1)):
        if not least <= getattr(arguments, name) <= most:
            raise UsageError(f"--{name}: expected {least} to {most}, found "
                             f"{getattr(arguments, name)}")
    paths = image_paths(arguments.images)
    if len(paths) > MOST:
        raise UsageError(f"IMAGE: expected at most {MOST} images, found {len(paths):,}; project "
                         "them in parts")
    for folder in filter(Path.is_dir, map(Path, arguments.images)):
        if files.inside(out, folder):
            raise UsageError(f"OUT: expected outside of the images, found {out} in {folder}; its "
                             "pictures would be projected the next time")
    return paths


def _fit(model):
    """How the images were brought to one size when the model was trained."""
    from stylegan2_tf.manifest import generator_file, read_manifest

    return read_manifest(generator_file(model))["config"].get("fit", "pad")


def _rows(paths, found, targets, samples):
    """A dict for each image, as it stands in the table."""
    from stylegan2_tf.data import printable
    from stylegan2_tf.metrics.ssim import WINDOW, ms_ssim

    columns = {"file": [printable(path) for path in paths], "psnr": found.psnr.round(3).tolist()}
    if min(targets.shape[1:3]) >= WINDOW:
        columns["ms_ssim"] = ms_ssim(found.images, targets).round(5).tolist()
    if samples is not None:
        columns["best_sample_psnr"] = samples.psnr.round(3).tolist()
        columns["best_sample_seed"] = samples.seeds.tolist()
    return [dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)]


def _print(rows, side, compared):
    from stylegan2_tf.metrics.ssim import WEIGHTS, WINDOW, scale_count

    for row in rows:
        similarity = f", MS-SSIM {row['ms_ssim']:.4f}" if "ms_ssim" in row else ""
        chance = (f"; best of {compared:,} random samples {row['best_sample_psnr']:.1f} dB (seed "
                  f"{row['best_sample_seed']})") if compared else ""
        print(f"{row['file']}: PSNR {row['psnr']:.1f} dB{similarity}{chance}")
    scales, most = scale_count(side), len(WEIGHTS)
    if side < WINDOW:
        print(f"note: no MS-SSIM: its window needs {WINDOW} pixels a side, found {side}")
    elif scales < most:
        print(f"note: MS-SSIM on {scales} of {most} scales: all of them need "
              f"{WINDOW << most - 1} pixels a side, found {side}")


def _write_pictures(targets, found, samples, path):
    from stylegan2_tf.artifacts import save_grid
    from stylegan2_tf.latent.inversion import difference, side_by_side

    columns = [targets, found.images, difference(found.images, targets)]
    columns += [] if samples is None else [samples.images]
    save_grid(side_by_side(*columns), path, columns=len(columns))


def _tiled(frames):
    """Frames `[F, N, 2, h, w, C]` with the targets above and what is found below."""
    import numpy as np

    count, images, _, height, width, channels = frames.shape
    tiled = frames.transpose(0, 2, 3, 1, 4, 5)
    return np.ascontiguousarray(tiled).reshape(count, 2 * height, images * width, channels)


def _write_latents(arguments, rows, found, path):
    """ws `[N, num_ws, D]`, what made them, and noise maps noise_0, noise_1, ... if optimised."""
    import numpy as np

    columns = {"files" if name == "file" else name: np.asarray([row[name] for row in rows])
               for name in rows[0]}  # NumPy's own argument is called file
    maps = {f"noise_{number}": values for number, values in enumerate(found.noise)}
    with files.replacing(path) as temporary:
        np.savez(temporary, ws=found.ws, space=arguments.space, steps=arguments.steps,
                 seed=arguments.seed, **columns, **maps)


def _write_table(rows, path):
    with (files.replacing(path) as temporary,
          open(temporary, "w", encoding="utf-8", newline="") as stream):
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
