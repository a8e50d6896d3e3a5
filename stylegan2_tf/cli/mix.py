"""`stylegan2-tf mix`: a table of images, each with some layers of one seed and some of another."""

from pathlib import Path

from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.seeds import read_seeds

MOST = 32  # rows or columns


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", help="the .png to write")
    parser.add_argument("--rows", default="0-3", help="seeds on the left edge (default: 0-3)")
    parser.add_argument("--cols", default="4-9", help="seeds on the upper edge (default: 4-9)")
    parser.add_argument("--layers", help="layers that come from the column, such as 0-3: low ones "
                        "decide shape, high ones texture; not given: the first half")
    shared.add_class(parser)
    shared.add_psi(parser)


def run(arguments):
    """Draw and write the table. Returns the exit code."""
    out = Path(arguments.out)
    rows, columns = (
        read_seeds(arguments.rows, "--rows"), read_seeds(arguments.cols, "--cols"))
    shared.check_psi(arguments.truncation_psi)
    shared.check_png(out)
    for name, seeds in (("rows", rows), ("cols", columns)):
        if len(seeds) > MOST:
            raise UsageError(f"--{name}: expected at most {MOST} seeds, found {len(seeds)}")
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    count = loaded.generator.synthesis.num_ws
    if count < 2:
        raise UsageError("MODEL: expected a generator with styles, found one whose latent enters "
                         "at the first layer only (--arch dcgan): there is nothing to mix")
    layers = range(count // 2) if arguments.layers is None else read_seeds(
        arguments.layers, "--layers")
    if max(layers) >= count:
        raise UsageError(f"--layers: expected 0 to {count - 1}, found {max(layers)}")
    shared.make_folder(out.parent)
    _write(loaded, rows, columns, layers, arguments, out)
    print(f"written {out}: layers {', '.join(map(str, layers))} of {count} from the columns")
    return 0


def _write(loaded, rows, columns, layers, arguments, out):
    import numpy as np

    from stylegan2_tf.artifacts import save_grid
    from stylegan2_tf.latent.mixing import mixed_ws, table
    from stylegan2_tf.latent.sampling import latents_of
    from stylegan2_tf.latent.series import draw_with_bar

    label = arguments.label or next(iter(loaded.classes), None)
    count = loaded.generator.synthesis.num_ws
    sources = [np.repeat(loaded.map(latents_of(seeds, loaded.z_dim), arguments.truncation_psi,
                                    label)[:, None], count, axis=1) for seeds in (rows, columns)]
    mixed = mixed_ws(*sources, layers)
    inner = mixed.reshape(-1, *mixed.shape[2:])
    pictures = draw_with_bar(loaded, np.concatenate([*sources, inner]))
    left, top, inner = np.split(pictures, [len(rows), len(rows) + len(columns)])
    inner = inner.reshape(*mixed.shape[:2], *inner.shape[1:])
    save_grid(table(np.zeros_like(left[0]), left, top, inner), out, columns=len(columns) + 1)
