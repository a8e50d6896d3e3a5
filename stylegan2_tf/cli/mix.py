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
    shared.check_out(out, ".png")
    for name, seeds in (("rows", rows), ("cols", columns)):
        if len(seeds) > MOST:
            raise UsageError(f"--{name}: expected at most {MOST} seeds, found {len(seeds)}")
    loaded = shared.load_generator(arguments.model, arguments.label,
                                   arguments.truncation_psi)
    from stylegan2_tf.latent.sheets import check_sheet

    layers, count = _find_layers(arguments.layers, loaded.generator.synthesis.num_ws)
    check_sheet(len(rows) + 1, len(columns) + 1, loaded.resolution, "--rows, --cols")
    shared.make_folder(out.parent)
    _write(loaded, rows, columns, layers, arguments, out)
    print(f"written {out}: layers {', '.join(map(str, layers))} of {count} from the columns")
    return 0


def _find_layers(text, count):
    """(Layers that come from the column, each once, how many there are)."""
    if count < 2:
        raise UsageError("MODEL: expected a generator with styles, found one whose latent enters "
                         "at the first layer only (--arch dcgan): there is nothing to mix")
    layers = range(count // 2) if text is None else sorted(set(read_seeds(text, "--layers")))
    if max(layers) >= count:
        raise UsageError(f"--layers: expected 0 to {count - 1}, found {max(layers)}")
    return layers, count


def _write(loaded, rows, columns, layers, arguments, out):
    """The corner stays black; the rest is drawn in reading order."""
    import numpy as np

    from stylegan2_tf.artifacts import save_png
    from stylegan2_tf.latent.mixing import in_reading_order, mixed_ws
    from stylegan2_tf.latent.series import draw_with_bar, styles_of
    from stylegan2_tf.latent.sheets import Sheet

    count = loaded.generator.synthesis.num_ws
    left, top = (
        np.repeat(styles_of(loaded, seeds, arguments.label, arguments.truncation_psi)[:, None],
                  count, axis=1) for seeds in (rows, columns))
    ws = in_reading_order(left, top, mixed_ws(left, top, layers))
    sheet = Sheet(len(rows) + 1, len(columns) + 1, draw_with_bar(loaded, ws), start=1)
    save_png(sheet.picture(), out)
