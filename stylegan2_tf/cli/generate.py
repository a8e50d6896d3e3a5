"""`stylegan2-tf generate`: images of a trained generator, one for each seed."""

import csv
import re
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError

AT_ONCE = 16  # images drawn together and held in memory


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", nargs="?", default="generated",
                        help="folder of the images (default: generated)")
    parser.add_argument("--seeds", help="one image for each, such as 0-35,40 (default: 0-8, or as "
                        "many as --grid has places)")
    parser.add_argument("--grid", metavar="RxC", help="also one picture of so many rows and "
                        "columns, such as 3x3")
    shared.add_class(parser)
    shared.add_psi(parser)


def run(arguments):
    """Draw and write the images. Returns the exit code."""
    rows, columns = _read_grid(arguments.grid)
    seeds = _find_seeds(arguments, rows * columns)
    psi, out = arguments.truncation_psi, Path(arguments.out)
    shared.check_psi(psi)
    loaded = shared.load_generator(arguments.model, arguments.label)
    label = None if arguments.label is None else loaded.classes.index(arguments.label)
    shared.make_folder(out)
    (out / "seeds.csv").unlink(missing_ok=True)  # a kill must not leave it beside other images
    shown = _write_images(loaded, seeds, label, psi, out, rows * columns)
    if shown:
        _write_grid(shown, columns, out / "grid.png")
        print(f"grid   {out / 'grid.png'}")
    _write_table(seeds, label, loaded.classes, psi, out / "seeds.csv")
    print(f"images {len(seeds):,} in {out}, listed in seeds.csv")
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


def _write_images(loaded, seeds, label, psi, out, kept):
    """Write one PNG for each seed. Returns the first `kept` images."""
    from tqdm import tqdm

    from stylegan2_tf.artifacts import save_grid

    shown = []
    with tqdm(total=len(seeds), unit="img", disable=None) as progress:
        for start in range(0, len(seeds), AT_ONCE):
            chosen = seeds[start:start + AT_ONCE]
            images = _draw(loaded, chosen, label, psi)
            for seed, image in zip(chosen, images, strict=True):
                save_grid(image[None], out / _file_name(seed))
            shown += list(images[:max(kept - len(shown), 0)])
            progress.update(len(chosen))
    return shown


def _draw(loaded, seeds, label, psi):
    """Images of at most `AT_ONCE` seeds, uint8.

    So many are drawn even for fewer: another number of images takes other kernels, which round
    differently, and the bytes of a seed would depend on the seeds beside it.
    """
    import numpy as np

    from stylegan2_tf.latent.sampling import draw, latents_of, to_uint8

    filled = np.resize(seeds, AT_ONCE)
    labels = filled if label is None else np.full(AT_ONCE, label)
    images = draw(loaded.generator, latents_of(filled, loaded.z_dim), labels, psi, batch=AT_ONCE)
    return to_uint8(images[:len(seeds)])


def _write_grid(images, columns, path):
    import numpy as np

    from stylegan2_tf.artifacts import save_grid

    save_grid(np.stack(images), path, columns=columns)


def _write_table(seeds, label, classes, psi, path):
    from stylegan2_tf.data import printable

    with (files.replacing(path) as temporary,
          open(temporary, "w", encoding="utf-8", newline="") as stream):
        table = csv.writer(stream)
        table.writerow(["file", "seed", "class", "truncation_psi"])
        for seed in seeds:
            number = seed if label is None else label  # as in `_draw`
            name = printable(classes[number % len(classes)]) if classes else ""
            table.writerow([_file_name(seed), seed, name, psi])


def _file_name(seed):
    return f"seed{seed:05d}.png"


def _read_grid(text):
    """(rows, columns); zeros if no grid is asked for."""
    if text is None:
        return 0, 0
    found = re.fullmatch(r"([1-9][0-9]?)x([1-9][0-9]?)", text)
    if not found:
        raise UsageError("--grid: expected rows x columns such as 3x3, 99x99 at most, found "
                         f"{text!r}")
    return int(found[1]), int(found[2])
