"""`stylegan2-tf generate`: images of a trained generator, one for each seed."""

import dataclasses
import itertools
import re
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent import listing
from stylegan2_tf.latent.seeds import NOISES, labels_of, read_seeds
from stylegan2_tf.sides import as_text

STRIPS = 16  # seeds that the picture of a direction shows, at most
FORMATS = {"png": ".png", "png16": ".png", "npy": ".npy", "nii": ".nii.gz"}


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", nargs="?", default="generated",
                        help="folder of the images and of seeds.csv, their list; images and grid "
                        "that it lists from before are removed, others never (default: generated)")
    parser.add_argument("--seeds", help="one image for each, such as 0-35,40 (default: 0-8, or as "
                        "many as --grid has places)")
    parser.add_argument("--grid", metavar="RxC", help="also one picture of so many rows and "
                        "columns, such as 3x3")
    parser.add_argument("--noise", choices=NOISES, default=NOISES[0], help="the maps saved with "
                        f"the model, fresh ones of each seed, or none (default: {NOISES[0]})")
    parser.add_argument("--format", choices=tuple(FORMATS), help="png: 0 to 255; "
                        "png16: grey, 0 to 65535; npy: float32 [H, W, C] from -1, which is the "
                        "lowest value of the training files' type, to 1, its highest; nii: NIfTI, "
                        "grey, 16 bits, in values of the scans where the manifest states which of "
                        "them became black and white, else 0 to 65535 (default: png, with --like "
                        "nii)")
    parser.add_argument("--like", metavar="VOLUME[:AXIS][:INDEX]", help="write NIfTI that lies "
                        "over a slice of this file or DICOM folder in any viewer: its affine, its "
                        "shape, padding and resizing undone; axial, coronal or sagittal (default: "
                        "axial), and its number from below, behind or left (default: the middle)")
    parser.add_argument("--direction", metavar="FILE:N", help="move w along direction number N "
                        "of a file that `stylegan2-tf directions` wrote for this model: one image "
                        "for each seed and strength, and grid.png with a row for each seed")
    parser.add_argument("--strength", metavar="FROM:TO[:STEPS]", help="of --direction, in standard "
                        "deviations of w, or in halves of the way between two classes: evenly "
                        "spaced from one to another, or numbers such as -1,0,2 (default: -3:3:7)")
    shared.add_class(parser)
    shared.add_psi(parser)


def run(arguments):
    """Draw and write the images. Returns the exit code."""
    rows, columns = _read_grid(arguments.grid)
    seeds = _find_seeds(arguments, rows * columns)
    strengths, move = _read_direction(arguments)
    _choose_format(arguments)
    out = Path(arguments.out)
    shared.check_psi(arguments.truncation_psi)
    listing.check_folder(out)
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    model = shared.hash_of(arguments.model)
    _check_model(arguments, loaded.generator)
    _check_move(move, model, loaded.generator.mapping.w_dim)
    rows, columns = _grid_of(rows, columns, seeds, strengths, move, loaded.resolution)
    sheet = _nifti_sheet(arguments, loaded.resolution)
    shared.make_folder(out)
    removed = listing.clear(out)
    if removed:
        print(f"removed {removed:,} images that an earlier generate had listed in {out}")
    listing.begin(out, _rows(seeds, strengths, loaded.classes, arguments, move, model))
    shape, unknown = _source_shape(arguments.model)
    _draw(loaded, seeds, strengths, arguments, out, shape, move, rows, columns, sheet)
    listing.finish(out)
    print(f"images {len(seeds) * len(strengths):,} in {out}, listed in {listing.LIST}")
    if arguments.like is None:
        _explain_size(shape, unknown, loaded.resolution)
    return 0


def _choose_format(arguments):
    """PNG unless a format is asked for; a slice like that of a volume is NIfTI."""
    if arguments.like is not None and arguments.format not in (None, "nii"):
        raise UsageError("--like: expected with --format nii, the one that has an affine, found "
                         f"{arguments.format}")
    arguments.format = arguments.format or ("png" if arguments.like is None else "nii")


def _find_seeds(arguments, places):
    """Every seed once: two rows of the list would name one file otherwise."""
    if arguments.seeds is None:
        return list(range(max(places, 9)))
    seeds = list(dict.fromkeys(read_seeds(arguments.seeds)))
    if places > len(seeds):
        raise UsageError(f"--grid: expected no more places than seeds ({len(seeds)}), found "
                         f"{arguments.grid}; give more --seeds")
    return seeds


def _read_direction(arguments):
    """(Strengths, `Move`); one strength and None where no direction is asked for."""
    from stylegan2_tf.latent.moves import read_move, read_strengths

    if arguments.direction is None:
        if arguments.strength is not None:
            raise UsageError("--strength: expected with --direction, found it alone")
        return [0.0], None
    if arguments.grid is not None:
        raise UsageError("--grid: expected without --direction, whose grid has a row for each "
                         f"seed and a column for each strength; found {arguments.grid}")
    strengths = read_strengths("-3:3" if arguments.strength is None else arguments.strength)
    return strengths, read_move(arguments.direction)


def _check_model(arguments, generator):
    """Refuse what this model can't do."""
    if arguments.noise != "const" and not generator.synthesis.noise_shapes(1):
        raise UsageError("--noise: expected const, for this network has no noise (--arch dcgan), "
                         f"found {arguments.noise}")
    if arguments.format in ("png16", "nii") and generator.channels != 1:
        raise UsageError("--format: expected png or npy, for this model makes colour, which has "
                         f"8 bits in PNG here and none in NIfTI; found {arguments.format}")


def _check_move(move, model, width):
    """Refuse a direction of another generator: its w has other axes."""
    if move is None:
        return
    if move.model and move.model != model:
        raise UsageError("--direction: expected one of this generator (SHA-256 "
                         f"{model[:12]}), found one of {move.model[:12]} in {move.source}; "
                         "`stylegan2-tf directions MODEL` finds its own")
    if len(move.step) != width:
        raise UsageError(f"--direction: expected one of {width} numbers, for this model's w has "
                         f"as many, found one of {len(move.step)} in {move.source}; it belongs to "
                         "another model")
    if not move.model:
        print(f"note: {move.source} does not tell which generator it belongs to, for an earlier "
              "version wrote it: on another one it means nothing")


def _grid_of(rows, columns, seeds, strengths, move, sides):
    """(rows, columns) of the grid; that of a direction shows as many seeds as it has place for."""
    from stylegan2_tf.latent.sheets import check_sheet, most_rows

    if move is not None:
        columns = len(strengths)
        rows = min(len(seeds), STRIPS, max(most_rows(columns, sides), 1))
    if rows:
        check_sheet(rows, columns, sides, "--strength" if move is not None else "--grid")
    return rows, columns


def _nifti_sheet(arguments, resolution):
    """Where NIfTI images lie and what their values are, both said; None for other formats."""
    if arguments.format != "nii":
        return None
    from stylegan2_tf.latent.nifti import Sheet, lay_over, scale_of
    from stylegan2_tf.manifest import generator_file, read_manifest

    manifest = read_manifest(generator_file(arguments.model))
    sheet = Sheet()
    if arguments.like is not None:
        sheet, about, notes = lay_over(arguments.like, resolution,
                                       manifest["config"].get("fit", "pad"))
        print("\n".join([f"like   {about}", *(f"note: {note}" for note in notes)]))
    scale, values = scale_of(manifest)
    print(f"values {values}")
    return dataclasses.replace(sheet, scale=scale)


def _draw(loaded, seeds, strengths, arguments, out, shape, move, rows, columns, nifti):
    """Write a file for each seed and strength, and the first of them as a grid."""
    from tqdm import tqdm

    from stylegan2_tf.artifacts import save_png
    from stylegan2_tf.latent.formats import unpadded
    from stylegan2_tf.latent.series import draw_series
    from stylegan2_tf.latent.sheets import Sheet

    sheet, items = Sheet(rows, columns), itertools.product(seeds, strengths)
    drawn = draw_series(loaded, items, label=arguments.label, noise=arguments.noise,
                        truncation_psi=arguments.truncation_psi, step=move and move.step)
    for item, image in tqdm(drawn, total=len(seeds) * len(strengths), unit="img", disable=None):
        part, path = unpadded(image, shape), out / _file_name(*item, arguments)
        if nifti is None:
            _write_image(part, path, arguments.format)
        else:  # what lies over a volume has the padding of that
            nifti.write(path, part if arguments.like is None else image)
        sheet.paste(part)
    if rows:
        save_png(sheet.picture(), out / listing.GRID)
        print(f"grid   {out / listing.GRID}")


def _source_shape(model):
    """(height, width) of the training images before padding, or None, and why it is not known."""
    from stylegan2_tf.manifest import MANIFEST, generator_file, read_manifest

    manifest = read_manifest(generator_file(model))
    fit = manifest["config"].get("fit")
    if fit not in ("pad", None):
        return None, None
    shape = manifest.get("source_shape")
    if fit is None:
        return None, f"no {MANIFEST} beside the model tells whether there is any"
    if shape is None:
        return None, f"{MANIFEST} tells no size that all training images had"
    if isinstance(shape, list) and len(shape) == 2 and all(
            isinstance(side, int) and 0 < side < 2**16 for side in shape):
        return shape, None
    return None, f"{MANIFEST} tells the size {str(shape)[:40]!r} of the training images"


def _explain_size(shape, unknown, resolution):
    """Say so where images are smaller than those that the network makes, or may be too large."""
    from stylegan2_tf.data.decode import padded_box

    if unknown:
        print(f"note: padding of the training images is kept, if they had any: {unknown}")
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


def _rows(seeds, strengths, classes, arguments, move, model):
    """The list of the images, see `listing.COLUMNS`."""
    from stylegan2_tf.data import printable

    names = [printable(name) for name in classes] or [""]
    about = [printable(move.source), printable(move.name)] if move else ["", ""]
    for seed, strength in itertools.product(seeds, strengths):
        name = names[labels_of(seed, len(classes))] if arguments.label is None else (
            printable(arguments.label))
        yield [_file_name(seed, strength, arguments), seed, name, arguments.truncation_psi,
               arguments.noise, strength if move else "", *about, model]


def _file_name(seed, strength, arguments):
    from stylegan2_tf.latent.moves import strength_text

    moved = f"_{strength_text(strength)}" if arguments.direction else ""
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
