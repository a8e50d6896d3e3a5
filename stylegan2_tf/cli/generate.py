"""`stylegan2-tf generate`: images of a trained generator, one for each seed."""

import csv
import itertools
import re
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.sides import as_text

STRIPS = 16  # seeds that the picture of a direction shows, at most
FORMATS = {"png": ".png", "png16": ".png", "npy": ".npy"}


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", nargs="?", default="generated",
                        help="folder of the images (default: generated)")
    parser.add_argument("--seeds", help="one image for each, such as 0-35,40 (default: 0-8, or as "
                        "many as --grid has places)")
    parser.add_argument("--grid", metavar="RxC", help="also one picture of so many rows and "
                        "columns, such as 3x3")
    parser.add_argument("--noise", choices=("const", "random", "none"), default="const",
                        help="the maps saved with the model, fresh ones of each seed, or none "
                        "(default: const)")
    parser.add_argument("--format", choices=tuple(FORMATS), default="png", help="png: 0 to 255; "
                        "png16: grey, 0 to 65535; npy: float32 [H, W, C] from -1, which is the "
                        "lowest value of the training files' type, to 1, its highest (default: "
                        "png)")
    parser.add_argument("--direction", metavar="FILE:N", help="move w along direction number N "
                        "of a file that `stylegan2-tf directions` wrote: one image for each seed "
                        "and strength, and grid.png with a row for each seed")
    parser.add_argument("--strength", metavar="FROM:TO[:STEPS]", help="of --direction, in standard "
                        "deviations of w: evenly spaced from one to another, or numbers such as "
                        "-1,0,2 (default: -3:3:7)")
    shared.add_class(parser)
    shared.add_psi(parser)
    # argparse takes -3:3 for a flag. What it reads as a negative number can't be set otherwise.
    parser._negative_number_matcher = re.compile(r"-[0-9.][0-9.:,-]*$")


def run(arguments):
    """Draw and write the images. Returns the exit code."""
    rows, columns = _read_grid(arguments.grid)
    seeds = _find_seeds(arguments, rows * columns)
    strengths, step = _read_direction(arguments)
    if step is not None:
        rows, columns = min(len(seeds), STRIPS), len(strengths)
    out = Path(arguments.out)
    shared.check_psi(arguments.truncation_psi)
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    _check_model(arguments, loaded.generator, step)
    label = None if arguments.label is None else loaded.classes.index(arguments.label)
    shared.make_folder(out)
    (out / "seeds.csv").unlink(missing_ok=True)  # a kill must not leave it beside other images
    shape = _source_shape(arguments.model)
    shown = _write_images(loaded, seeds, strengths, arguments, out, shape, kept=rows * columns,
                          label=label, step=step)
    if shown:
        _write_grid(shown, columns, out / "grid.png")
        print(f"grid   {out / 'grid.png'}")
    _write_table(seeds, strengths, label, loaded.classes, arguments, out / "seeds.csv")
    print(f"images {len(seeds) * len(strengths):,} in {out}, listed in seeds.csv")
    _explain_size(shape, loaded.resolution)
    return 0


def _find_seeds(arguments, places):
    """Every seed once: two rows of the list would name one file otherwise."""
    from stylegan2_tf.latent.seeds import read_seeds

    if arguments.seeds is None:
        return list(range(max(places, 9)))
    seeds = list(dict.fromkeys(read_seeds(arguments.seeds)))
    if places > len(seeds):
        raise UsageError(f"--grid: expected at most {len(seeds)} places, one for each seed, found "
                         f"{arguments.grid}; give more --seeds")
    return seeds


def _read_direction(arguments):
    """(Strengths, how far 1 goes in w); one strength and None where no direction is asked for."""
    from stylegan2_tf.latent.moves import read_step, read_strengths

    if arguments.direction is None:
        if arguments.strength is not None:
            raise UsageError("--strength: expected with --direction, found it alone")
        return [0.0], None
    if arguments.grid is not None:
        raise UsageError("--grid: expected without --direction, whose grid has a row for each "
                         f"seed and a column for each strength; found {arguments.grid}")
    strengths = read_strengths("-3:3" if arguments.strength is None else arguments.strength)
    return strengths, read_step(arguments.direction)


def _check_model(arguments, generator, step):
    """Refuse what this model can't do."""
    if arguments.noise != "const" and not generator.synthesis.noise_shapes(1):
        raise UsageError("--noise: expected const, for this network has no noise (--arch dcgan), "
                         f"found {arguments.noise}")
    if arguments.format == "png16" and generator.channels != 1:
        raise UsageError("--format: expected png or npy, for this model makes colour, which PNG "
                         "gets with 8 bits here; found png16")
    if step is not None and len(step) != generator.mapping.w_dim:
        raise UsageError(f"--direction: expected one of {generator.mapping.w_dim} numbers, for "
                         f"this model's w has as many, found one of {len(step)} in "
                         f"{arguments.direction}; it belongs to another model")


def _write_images(loaded, seeds, strengths, arguments, out, shape, kept, **options):
    """Write a file for each seed and strength. Returns the first `kept` images."""
    from tqdm import tqdm

    from stylegan2_tf.latent.formats import unpadded
    from stylegan2_tf.latent.series import draw_series

    shown, items = [], itertools.product(seeds, strengths)
    drawn = draw_series(loaded, items, truncation_psi=arguments.truncation_psi,
                        noise=arguments.noise, **options)
    for item, image in tqdm(drawn, total=len(seeds) * len(strengths), unit="img", disable=None):
        image = unpadded(image, shape)
        _write_image(image, out / _file_name(*item, arguments), arguments.format)
        shown += [image] * (len(shown) < kept)
    return shown


def _source_shape(model):
    """(Height, width) of the training images before padding, if the run knows one for all."""
    from stylegan2_tf.manifest import generator_file, read_manifest

    manifest = read_manifest(generator_file(model))
    shape = manifest.get("source_shape")
    padded = manifest["config"].get("fit") == "pad"
    whole = isinstance(shape, list) and len(shape) == 2 and all(
        isinstance(side, int) and 0 < side < 2**16 for side in shape)
    return shape if padded and whole else None


def _explain_size(shape, resolution):
    """Say so where images are smaller than those that the network makes."""
    from stylegan2_tf.data.decode import padded_box

    height, width = padded_box(shape, resolution)[2:] if shape else resolution
    if (height, width) != tuple(resolution):
        print(f"size   {height}x{width}: of {as_text(resolution)}, without the padding that the "
              f"training images of {as_text(shape)} were given")


def _write_image(image, path, kind):
    import numpy as np
    from PIL import Image

    from stylegan2_tf.artifacts import save_grid
    from stylegan2_tf.latent.formats import to_uint16

    if kind == "png":
        save_grid(image[None], path)
        return
    with files.replacing(path) as temporary:
        if kind == "npy":
            np.save(temporary, image)
        else:
            Image.fromarray(to_uint16(image[..., 0])).save(temporary)


def _write_grid(images, columns, path):
    import numpy as np

    from stylegan2_tf.artifacts import save_grid

    save_grid(np.stack(images), path, columns=columns)


def _write_table(seeds, strengths, label, classes, arguments, path):
    from stylegan2_tf.data import printable

    with (files.replacing(path) as temporary,
          open(temporary, "w", encoding="utf-8", newline="") as stream):
        table = csv.writer(stream)
        table.writerow(["file", "seed", "class", "truncation_psi", "noise", "strength"])
        for seed, strength in itertools.product(seeds, strengths):
            number = seed if label is None else label  # as in `draw_series`
            name = printable(classes[number % len(classes)]) if classes else ""
            table.writerow([_file_name(seed, strength, arguments), seed, name,
                            arguments.truncation_psi, arguments.noise,
                            strength if arguments.direction else ""])


def _file_name(seed, strength, arguments):
    moved = f"_{strength:+g}" if arguments.direction else ""
    return f"seed{seed:05d}{moved}{FORMATS[arguments.format]}"


def _read_grid(text):
    """(rows, columns); zeros if no grid is asked for."""
    if text is None:
        return 0, 0
    found = re.fullmatch(r"([1-9][0-9]?)x([1-9][0-9]?)", text)
    if not found:
        raise UsageError("--grid: expected rows x columns such as 3x3, 99x99 at most, found "
                         f"{text!r}")
    return int(found[1]), int(found[2])
