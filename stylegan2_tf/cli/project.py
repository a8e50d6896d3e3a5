"""`stylegan2-tf project`: the latents whose images resemble given ones, and how well."""

import csv
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError

MOST = 64  # images: each is a row of a picture
PICTURE, FILM, TABLE, LATENTS = (
    "projected.png", "progress.gif", "projection.csv", "projection.npz")


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders, "
                        f"prepared sets, archives or volumes, {MOST} images at most; brought to "
                        "the model's size and channels in the way that its training was")
    parser.add_argument("out", metavar="OUT", help=f"folder of {PICTURE} (target, projection, "
                        f"difference, best random sample), {FILM}, {TABLE} and {LATENTS}")
    parser.add_argument("--space", choices=("w", "w+"), default="w", help="one latent for all "
                        "layers, which stays an image of the model, or one for each, which comes "
                        "closer to others (default: w)")
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
    from stylegan2_tf.latent.targets import read_targets
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow("projecting")
    from stylegan2_tf.latent.inversion import AMPLIFIED, Film, best_samples
    from stylegan2_tf.latent.projection import project

    targets = read_targets(paths, loaded.resolution, loaded.channels, _fit(arguments.model))
    shared.make_folder(out)
    film = Film(targets, arguments.steps)
    found = project(loaded, targets, steps=arguments.steps, space=arguments.space,
                    noise=arguments.noise, seed=arguments.seed, progress=True, watch=film)
    samples = best_samples(loaded, targets, arguments.compare, progress=True) if (
        arguments.compare) else None
    rows = _rows(paths, found, targets, samples)
    _print(rows, min(loaded.resolution), arguments.compare)
    _write(arguments, rows, targets, found, samples, film, out)
    print(f"written {out / PICTURE}: target, projection, {AMPLIFIED} x difference"
          + ", best sample" * (samples is not None))
    print(f"written {out / FILM}, {LATENTS} and {TABLE}")
    return 0


def _check(arguments, out):
    """Refuse at once what can't be done. Returns the paths of the images."""
    from stylegan2_tf.data.index import EXTENSIONS
    from stylegan2_tf.latent.targets import image_paths

    if not out.is_dir() and (out.is_file() or out.suffix.lower() in EXTENSIONS):
        raise UsageError(f"OUT: expected a folder to write to as the last argument, found the file "
                         f"{out}; give one after the images")
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
    import numpy as np

    from stylegan2_tf.data import printable
    from stylegan2_tf.metrics.ssim import WINDOW, ms_ssim

    def rounded(values, digits):  # float32 would show digits that it does not have
        return np.asarray(values, np.float64).round(digits).tolist()

    columns = {"file": [printable(path) for path in paths], "psnr": rounded(found.psnr, 3)}
    if min(targets.shape[1:3]) >= WINDOW:
        columns["ms_ssim"] = rounded(ms_ssim(found.images, targets), 5)
    if samples is not None:
        columns["best_sample_psnr"] = rounded(samples.psnr, 3)
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


def _write(arguments, rows, targets, found, samples, film, out):
    """All four files; the old ones go first, or a kill would leave a mixture."""
    from stylegan2_tf.animation import save_animation

    for name in (PICTURE, FILM, TABLE, LATENTS):
        (out / name).unlink(missing_ok=True)
    _write_pictures(targets, found, samples, out / PICTURE)
    save_animation(_tiled(film.frames()), out / FILM)
    _write_latents(arguments, rows, found, out / LATENTS)
    _write_table(rows, out / TABLE)


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
