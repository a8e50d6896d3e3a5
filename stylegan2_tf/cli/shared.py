"""What several commands on a trained model share: their arguments, and loading it."""

import os
import re
import sys
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.errors import OutputError, UsageError

STRONGEST = 10.0  # truncation psi: far beyond, w overflows and images are NaN


def add_model(parser):
    parser.add_argument("model", metavar="MODEL", help="run folder, its Model, or generator.keras")


def add_class(parser):
    parser.add_argument("--class", dest="label", metavar="NAME", help="images of this class; not "
                        "given: every seed has its own, number SEED modulo their count")


def add_psi(parser):
    parser.add_argument("--truncation-psi", type=float, default=1.0, help="towards 0 for more "
                        "typical and less varied images, nearer to the mean of all classes "
                        "(default: 1, all variety)")
    # argparse takes -1e3 and -3:3 for flags. What it reads as a number can't be set otherwise.
    parser._negative_number_matcher = re.compile(r"-[0-9.].*$")


def add_subject_pattern(parser):
    parser.add_argument("--subject-pattern", metavar="REGEX", help="regular expression whose "
                        "group is the subject in a file name; not given: OASIS, ADNI, BIDS, IXI")


def check_psi(psi):
    if not abs(psi) <= STRONGEST:  # nor NaN
        raise UsageError(f"--truncation-psi: expected a finite number from {-STRONGEST:g} to "
                         f"{STRONGEST:g}, found {psi}")


def check_range(name, value, least, most):
    """Refuse a number of the flag `name` that is not from `least` to `most`."""
    if not least <= value <= most:
        raise UsageError(f"--{name}: expected {least} to {most}, found {value}")


def check_out(path, *endings, name="OUT"):
    """Refuse, before the long work, a file that can't be written. Makes no folder yet.

    Args:
        path: The file; folders above it may be missing.
        *endings: Those that it may have, in any case, such as ".png"; none for any.
        name: The argument that it comes from.

    Raises:
        UsageError: It ends otherwise.
        OutputError: A folder lies there, or no file can be made there.
    """
    path = Path(path)
    if endings and path.suffix.lower() not in endings:
        raise UsageError(f"{name}: expected a file that ends in {', '.join(endings)}, found "
                         f"{path}")
    around = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    problem = ("a folder" if path.is_dir() else
               f"a file at {around}" if not around.is_dir() else
               None if os.access(around, os.W_OK | os.X_OK) else f"{around} read-only")
    if problem:
        raise OutputError(f"{name} {path}: expected a file that can be written, found {problem}")


def load_generator(path, label=None, psi=1.0):
    """The `LoadedGenerator` at `path`; refuses a class or a truncation that it does not have."""
    from stylegan2_tf.archive import check_model
    from stylegan2_tf.data import printable
    from stylegan2_tf.manifest import generator_file
    from stylegan2_tf.tf_quiet import import_keras

    # Loading checks it again, but only after the seconds that TensorFlow takes.
    check_model(generator_file(path), "Generator")
    import_keras()
    from stylegan2_tf.latent.sampling import load

    loaded = load(path)
    if label is not None and label not in loaded.classes:
        present = f"one of {', '.join(map(printable, loaded.classes))}" if loaded.classes else (
            "none, for this generator was trained without --conditional")
        raise UsageError(f"--class: expected {present}; found {label!r}")
    if psi != 1.0 and loaded.generator.synthesis.num_ws == 1:
        raise UsageError(
            "MODEL: expected a generator with styles, which truncation moves to their mean, found "
            "one whose latent enters at the first layer only (--arch dcgan), whose length makes "
            "no difference; leave --truncation-psi out")
    if psi < 1.0 and loaded.classes:
        print("note: a psi below 1 leads towards the mean of all classes: at 0.5 the class, too, "
              "shows half as much", file=sys.stderr)
    return loaded


def hash_of(path):
    """SHA-256 of the generator at `path`."""
    from stylegan2_tf.manifest import generator_file

    return files.sha256(generator_file(path))


def make_folder(path, name="OUT"):
    """Make a folder to write to. Raises `OutputError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{name} {path}: expected a folder that can be written, found: "
                          f"{error.strerror}") from error
