"""`stylegan2-tf truncate`: the same seeds from the mean image to full variety."""

from pathlib import Path

from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.seeds import read_seeds


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", help="the .png to write: a row for each seed, psi "
                        "from 0 to 1 along it")
    parser.add_argument("--seeds", default="0-4", help="such as 0-4,13 (default: 0-4)")
    parser.add_argument("--steps", type=int, default=6, help="values of psi (default: 6)")
    shared.add_class(parser)


def run(arguments):
    """Draw and write the picture. Returns the exit code."""
    out, seeds = Path(arguments.out), read_seeds(arguments.seeds)
    shared.check_out(out, ".png")
    shared.check_range("steps", arguments.steps, 2, 32)
    if len(seeds) > 64:
        raise UsageError(f"--seeds: expected at most 64, found {len(seeds)}")
    loaded = shared.load_generator(arguments.model, arguments.label, psi=0.0)
    import numpy as np

    from stylegan2_tf.artifacts import save_png
    from stylegan2_tf.latent.series import draw_with_bar, styles_of
    from stylegan2_tf.latent.sheets import Sheet, check_sheet

    check_sheet(len(seeds), arguments.steps, loaded.resolution, "--seeds, --steps")
    shared.make_folder(out.parent)
    w = np.stack([styles_of(loaded, seeds, arguments.label, psi)
                  for psi in np.linspace(0.0, 1.0, arguments.steps).tolist()], axis=1)
    drawn = draw_with_bar(loaded, w.reshape(-1, w.shape[-1]))
    save_png(Sheet(len(seeds), arguments.steps, drawn).picture(), out)
    print(f"written {out}: psi 0 to 1 from left to right, a row for each seed")
    return 0
