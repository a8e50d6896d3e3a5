"""What several commands on a trained model share: their arguments, and loading it."""

import math

from stylegan2_tf.errors import OutputError, UsageError


def add_model(parser):
    parser.add_argument("model", metavar="MODEL", help="run folder, its Model, or generator.keras")


def add_class(parser):
    parser.add_argument("--class", dest="label", metavar="NAME", help="images of this class; not "
                        "given: of every class in turn")


def add_psi(parser):
    parser.add_argument("--truncation-psi", type=float, default=1.0, help="towards 0 for more "
                        "typical and less varied images, nearer to the mean of all classes "
                        "(default: 1, all variety)")


def add_subject_pattern(parser):
    parser.add_argument("--subject-pattern", metavar="REGEX", help="regular expression whose "
                        "group is the subject in a file name; not given: OASIS, ADNI, BIDS, IXI")


def check_psi(psi):
    if not math.isfinite(psi):
        raise UsageError(f"--truncation-psi: expected a finite number, found {psi}")


def check_png(out):
    if out.suffix.lower() != ".png":
        raise UsageError(f"OUT: expected a file that ends in .png, found {out}")


def load_generator(path, label=None, psi=1.0):
    """The `LoadedGenerator` at `path`; refuses a class or a truncation that it does not have."""
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow()
    from stylegan2_tf.latent.sampling import load

    loaded = load(path)
    if label is not None and label not in loaded.classes:
        present = f"one of {', '.join(loaded.classes)}" if loaded.classes else (
            "none, for this generator was trained without --conditional")
        raise UsageError(f"--class: expected {present}; found {label!r}")
    if psi != 1.0 and loaded.generator.synthesis.num_ws == 1:
        raise UsageError(
            "MODEL: expected a generator with styles, which truncation moves to their mean, found "
            "one whose latent enters at the first layer only (--arch dcgan), whose length makes "
            "no difference; leave --truncation-psi out")
    return loaded


def make_folder(path, name="OUT"):
    """Make a folder to write to. Raises `OutputError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{name} {path}: expected a folder that can be written, found: "
                          f"{error.strerror}") from error
