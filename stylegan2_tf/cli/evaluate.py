"""`stylegan2-tf evaluate`: numbers, pictures and a privacy check, without any download."""

import itertools
import os
import tempfile
from pathlib import Path

from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.files import inside
from stylegan2_tf.run_folder import DISCRIMINATOR_NAME


def add_arguments(parser):
    parser.add_argument("source", metavar="MODEL_OR_FOLDER",
                        help="run folder, generator.keras, or folder of generated images")
    parser.add_argument("real", metavar="REAL_FOLDER", help="images that it was trained on")
    parser.add_argument("--holdout", metavar="FOLDER",
                        help="real images of other subjects, which it was not trained on")
    parser.add_argument("--n", type=int, default=2048,
                        help="images in each set, at most (default: 2048)")
    parser.add_argument("--seed", type=int, default=0, help="decides latents, the images taken, "
                        "patches and projections (default: 0)")
    parser.add_argument("--out", default="report", help="folder of the report (default: report)")
    parser.add_argument("--features", default="random", metavar="EXTRACTOR",
                        help="pixels, random, discriminator, a model PATH.keras, or inception "
                        "(default: random)")
    parser.add_argument("--inception-weights", metavar="FILE",
                        help="weights for --features inception, a local file")
    shared.add_subject_pattern(parser)
    parser.add_argument("--truncation-psi", type=float, default=1.0,
                        help="truncation of a generator's images (default: 1, none)")
    parser.add_argument("--resolution", type=int, help="side to bring the images of two folders "
                        "to; not given: the most frequent size [pixels]")
    parser.add_argument("--channels", type=int, choices=(1, 3, 4), help="channels to bring them "
                        "to; not given: 1 for grey, 3 for colour")


def run(arguments):
    """Evaluate and write the report. Returns the exit code."""
    from stylegan2_tf.metrics.report import table, write_report
    from stylegan2_tf.metrics.sources import find_generator

    model_file = find_generator(arguments.source)
    _check(arguments, model_file)
    _check_folders(arguments, model_file)
    if model_file is not None or arguments.features != "pixels":
        from stylegan2_tf.tf_quiet import import_keras
        import_keras()
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as cache:
        evaluation = _evaluate(arguments, model_file, cache)
        for line in table(evaluation):
            print(line)
        for path in write_report(evaluation, Path(arguments.out)):
            print(f"written {path}")
    return 0


def _evaluate(arguments, model_file, cache):
    from stylegan2_tf.metrics.evaluation import evaluate
    from stylegan2_tf.metrics.extractors import make_extractor
    from stylegan2_tf.metrics.sources import check_form, draw_images, find_form, read_images

    discriminator = model_file and model_file.with_name(DISCRIMINATOR_NAME)
    extractor = make_extractor(arguments.features, discriminator=discriminator,
                               inception_weights=arguments.inception_weights)
    if model_file is None:
        form = find_form(arguments.source, arguments.resolution, arguments.channels)
        check_form(form)
        fakes = read_images(arguments.source, cache, form)
    else:
        fakes, form = draw_images(arguments.source, arguments.n, arguments.seed,
                                  arguments.truncation_psi)
        check_form(form)
    train, holdout, pattern = _read_real(arguments, model_file, cache, form)
    for source in filter(None, (fakes, train, holdout)):
        for notice in source.about.get("notices", ()):
            print(f"note: {source.about.get('folder', arguments.source)}: {notice}")
    return evaluate(fakes, train, holdout, extractor=extractor, n=arguments.n,
                    seed=arguments.seed, subject_pattern=pattern, progress=True)


def _read_real(arguments, model_file, cache, form):
    """Training images, hold-out images if the user or the run has any, and subject pattern."""
    from stylegan2_tf.data import check_disjoint
    from stylegan2_tf.manifest import read_manifest
    from stylegan2_tf.metrics.sources import read_as_trained, read_images

    holdout, pattern = None, arguments.subject_pattern
    manifest = model_file and read_manifest(model_file)
    if manifest and manifest["config"]:
        if pattern is not None:  # a model that was taken out of its run folder does not tell it
            manifest["config"].setdefault("subject_pattern", pattern)
        train, holdout, lines = read_as_trained(arguments.real, cache, form, manifest)
        if pattern is None and holdout is not None:
            pattern = manifest["config"].get("subject_pattern")
        print("\n".join(lines), end="\n" * bool(lines))
    else:
        train = read_images(arguments.real, cache, form)
    if arguments.holdout is not None:
        holdout = read_images(arguments.holdout, cache, form)
        if not check_disjoint(train.names, holdout.names, pattern):
            print("note: the file names do not tell whether --holdout shows other subjects")
    return train, holdout, pattern


def _check(arguments, model_file):
    """Refuse values out of range, and flags that would do nothing."""
    if arguments.n < 2:
        raise UsageError(f"--n: expected at least 2, found {arguments.n}")
    if not 0 <= arguments.seed < 2**31:
        raise UsageError(f"--seed: expected 0 to 2147483647, found {arguments.seed}")
    shared.check_psi(arguments.truncation_psi)
    if arguments.inception_weights and arguments.features != "inception":
        raise UsageError("--inception-weights: expected with --features inception, found "
                         f"--features {arguments.features}")
    for name in ("resolution", "channels"):
        if model_file is not None and getattr(arguments, name) is not None:
            raise UsageError(f"--{name}: expected with two folders only, found with a model, "
                             "whose images have their own; leave it out")
    if model_file is None and arguments.truncation_psi != 1.0:
        raise UsageError("--truncation-psi: expected with a model, found with a folder of images")


def _check_folders(arguments, model_file):
    """Refuse folders inside each other: a picture would be measured as what it is not."""
    sides = {"REAL_FOLDER": arguments.real, "--holdout": arguments.holdout,
             "MODEL_OR_FOLDER": None if model_file is not None else arguments.source,
             "--out": arguments.out}
    sides = {name: path for name, path in sides.items() if path}
    for (outer, folder), (inner, path) in itertools.permutations(sides.items(), 2):
        if outer != "--out" and inside(path, folder):
            raise UsageError(f"{inner}: expected outside of {outer}, found {path} in it; give "
                             "another folder, or move it")
    try:
        os.makedirs(arguments.out, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {arguments.out}: expected a folder that can be written, found: "
                         f"{error.strerror}") from error
