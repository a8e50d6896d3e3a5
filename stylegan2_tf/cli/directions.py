"""`stylegan2-tf directions`: what w can change, as strips of images and as `.npz`."""

import dataclasses
from pathlib import Path

from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.seeds import labels_of, read_seeds

SAMPLES = 10_000  # latents that the components, means and classifiers are found from
STRIPS = 64  # rows of a picture, at most


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", nargs="?", default="directions",
                        help="folder of the files (default: directions)")
    parser.add_argument("--count", type=int, default=8, help="of each kind; the pictures show the "
                        f"first of them, {STRIPS} rows at most (default: 8)")
    parser.add_argument("--seeds", default="0-1", help="images that are moved (default: 0-1)")
    parser.add_argument("--strength", type=float, default=3.0, help="ends of the strips, in "
                        "standard deviations of w, or in halves of the way between two classes "
                        "(default: 3)")
    parser.add_argument("--steps", type=int, default=7, help="images in a strip (default: 7)")
    parser.add_argument("--classes", action="store_true", help="also the way between the means of "
                        "each two classes, with how many held-out latents a plane tells apart")
    shared.add_class(parser)
    shared.add_psi(parser)


def run(arguments):
    """Find, write and draw the directions. Returns the exit code."""
    seeds, out = read_seeds(arguments.seeds), Path(arguments.out)
    _check(arguments, seeds)
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    if arguments.classes and len(loaded.classes) < 2:
        raise UsageError("--classes: expected a model trained with --conditional, found one "
                         "without classes; leave it out")
    most = _rows(len(seeds), arguments.steps, loaded.resolution)
    shared.make_folder(out)
    model = shared.hash_of(arguments.model)
    for found in _find(loaded, arguments.count, arguments.classes):
        found = dataclasses.replace(found, model=model)
        found.save(out / f"{found.kind}.npz")
        shown = min(len(found.vectors), most // len(seeds))
        _draw(loaded, found, shown, seeds, arguments, out / f"{found.kind}.png")
        _tell(found, shown, out)
    width = loaded.generator.mapping.w_dim
    if arguments.count > width:
        print(f"note: w of this model has {width} numbers, and so no more than {width} directions "
              f"of a kind, found --count {arguments.count:,}")
    return 0


def _check(arguments, seeds):
    shared.check_psi(arguments.truncation_psi)
    shared.check_range("count", arguments.count, 1, 1_000_000)
    shared.check_range("steps", arguments.steps, 2, 31)
    if len(seeds) > 16:
        raise UsageError(f"--seeds: expected at most 16, found {len(seeds)}")
    if not 0 < arguments.strength <= 100:
        raise UsageError(f"--strength: expected above 0, at most 100, found {arguments.strength}")


def _rows(seeds, steps, sides):
    """How many rows a picture may have: at least one direction with all its seeds."""
    from stylegan2_tf.latent.sheets import check_sheet, most_rows

    check_sheet(seeds, steps, sides, "--seeds, --steps")
    return min(STRIPS, most_rows(steps, sides))


def _find(loaded, count, classes):
    import numpy as np
    from keras import ops

    from stylegan2_tf.latent import directions
    from stylegan2_tf.latent.sampling import make_latents, map_latents

    labels = labels_of(np.arange(SAMPLES), len(loaded.classes))
    w = map_latents(loaded.generator, make_latents(SAMPLES, loaded.z_dim, seed=0), labels)
    kernels = [ops.convert_to_numpy(affine.runtime_kernel)
               for affine in loaded.generator.synthesis.affines()]
    yield directions.semantic_directions(kernels, w, count)
    yield directions.principal_directions(w, count)
    if classes:
        yield directions.class_directions(w, labels, loaded.classes)


def _draw(loaded, found, shown, seeds, arguments, path):
    """A row for each of the first directions and each seed, from the least strength to the most."""
    import numpy as np

    from stylegan2_tf.artifacts import save_png
    from stylegan2_tf.latent.series import draw_with_bar, styles_of
    from stylegan2_tf.latent.sheets import Sheet

    w = styles_of(loaded, seeds, arguments.label, arguments.truncation_psi)
    strengths = np.linspace(-arguments.strength, arguments.strength, arguments.steps,
                            dtype=np.float32)
    steps = (found.vectors * found.unit[:, None])[:shown]
    moved = w[:, None] + strengths[:, None] * steps[:, None, None]  # [shown, seeds, steps, D]
    drawn = draw_with_bar(loaded, moved.reshape(-1, w.shape[-1]))
    save_png(Sheet(shown * len(seeds), arguments.steps, drawn).picture(), path)


def _tell(found, shown, out):
    from stylegan2_tf.data import printable

    count = len(found.vectors)
    part = f" of the first {shown}" * (shown < count)
    print(f"{found.kind}: directions {count} in {out / found.kind}.npz, a row for each and seed"
          f"{part} in {found.kind}.png")
    if found.kind == "classes":
        for name, score in zip(found.names, found.scores, strict=True):
            print(f"  {printable(name)}: {score:.0%} of held-out latents on the right side")
        print("note: a strength of 2 leads from the mean of one class to that of the other")
        print("note: a conditional model is told the class of what it generates, so these latents "
              "lie apart by construction; whether the classes differ is told by real images "
              "(stylegan2-tf embed --data)")
