"""`stylegan2-tf embed`: do the classes differ in style? Numbers against chance, and a picture."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from stylegan2_tf import files
from stylegan2_tf.cli.shared import add_subject_pattern, check_out, make_folder
from stylegan2_tf.errors import DataError, UsageError


def add_arguments(parser):
    parser.add_argument("models", metavar="MODEL", nargs="+",
                        help="run folder, its Model, or generator.keras, trained with "
                        "--conditional")
    parser.add_argument("--data", metavar="FOLDER", help="real images, to be projected into w "
                        "beside the generated ones, of people that the run held out where they "
                        "are enough; not given: generated ones only")
    parser.add_argument("--labels", metavar="FILE", help="CSV file with columns file,label of "
                        "the real images; not given: their folders")
    add_subject_pattern(parser)
    parser.add_argument("--out", metavar="PNG", default="embedding.png",
                        help="the picture; its numbers lie beside it as .json (default: "
                        "embedding.png)")
    parser.add_argument("--n", type=int, default=250, help="generated images of each class "
                        "(default: 250)")
    parser.add_argument("--real", type=int, default=64, help="real images of each class, evenly "
                        "spread (default: 64)")
    parser.add_argument("--steps", type=int, default=200, help="of each projection (default: 200)")
    parser.add_argument("--method", choices=("pca", "umap"), default="pca",
                        help="of the picture; umap needs the extra umap (default: pca)")
    parser.add_argument("--seed", type=int, default=0, help="decides latents, projections and "
                        "permutations (default: 0)")


def run(arguments):
    """Embed, measure and draw. Returns the exit code."""
    _check(arguments)
    from stylegan2_tf.archive import check_model
    from stylegan2_tf.manifest import generator_file
    from stylegan2_tf.tf_quiet import import_keras, import_tensorflow

    model_file = generator_file(arguments.models[0])
    check_model(model_file, "Generator")  # at once; loading does it again
    if arguments.data is None:
        import_keras()
    else:
        import_tensorflow("projecting real images (--data)")
    from stylegan2_tf.latent.embedding import generated_styles, measure, projected_styles
    from stylegan2_tf.latent.sampling import load
    from stylegan2_tf.latent.separation import embed_points

    model = load(model_file)
    if len(model.classes) < 2:
        raise UsageError("MODEL: expected one trained with --conditional on two classes or more, "
                         f"found {model_file} with {len(model.classes) or 'none'}; its w tell "
                         "no class apart")
    styles, trained = {"generated": generated_styles(model, arguments.n, arguments.seed)}, None
    if arguments.data is not None:
        *real, trained = _read_real(arguments, model, model_file)
        # Refuses a method that is not installed before the long projection, not after.
        embed_points(styles["generated"].w, arguments.method, arguments.seed)
        styles["real"] = projected_styles(model, *real, arguments.steps, arguments.seed)
    points = embed_points(np.concatenate([part.w for part in styles.values()]),
                          method=arguments.method, seed=arguments.seed)
    found = {kind: measure(part, arguments.seed) for kind, part in styles.items()}
    for kind, result in found.items():
        print(f"{kind:10}{_size(styles[kind])}: {result.score:.1%} of the nearest "
              f"{result.k} are of the same class; chance {result.chance:.1%}, up to "
              f"{result.threshold:.1%}; p {result.p_value:.3f}")
    print("note: a conditional model is told the class of what it generates, so these styles lie "
          "apart by construction; whether the classes differ is told by the real images")
    _write(arguments, model_file, styles, points, found, trained)
    return 0


def _size(styles):
    subjects = "" if styles.groups is None else f" of {len(set(styles.groups)):,} subjects"
    return f"{len(styles.w):,} points{subjects}"


def _read_real(arguments, model, model_file):
    """Images as the model was trained on, class of each, subjects or None, and how many of them
    it was trained on, None if that is not known."""
    from stylegan2_tf.manifest import read_manifest
    from stylegan2_tf.metrics.images import signed
    from stylegan2_tf.preparation import open_images

    manifest = read_manifest(model_file)
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as cache:
        packed = open_images(arguments.data, cache, resolution=model.resolution,
                             channels=model.channels, fit=manifest["config"].get("fit", "pad"))
        for notice in packed.notices:
            print(f"note: {arguments.data}: {notice}")
        train, held = _as_trained(packed, manifest)
        pattern = arguments.subject_pattern or train and manifest["config"].get("subject_pattern")
        try:
            chosen = held and _choose(arguments, held, model.classes, pattern)
        except UsageError:  # too few people to be compared
            chosen = None
        chosen, groups, lines = chosen or _choose(arguments, packed, model.classes, pattern)
        images = signed(chosen.array[:])
    trained = train and len(set(chosen.names) & set(train.names))
    for line in (*lines, _describe_unseen(arguments.data, len(chosen), trained)):
        print(f"note: {line}")
    return images, np.asarray(chosen.classes)[chosen.labels], groups, trained


def _as_trained(packed, manifest):
    """(`PackedImages` trained on, those held out or None) of the run; Nones if it had others."""
    from stylegan2_tf.data import divide, division_of

    try:
        train, held, _ = divide(packed, **division_of(manifest["config"]))
    except (DataError, UsageError):  # other names than those of the run
        return None, None
    return (train, held) if manifest.get("images") == train.fingerprint else (None, None)


def _describe_unseen(data, count, trained):
    if trained is None:
        return (f"{data} is not what this model was trained on, or has changed since: whether it "
                "has seen these images is not known")
    if trained == 0:
        return f"the {count:,} real images show people that were held out of the training"
    return (f"{trained:,} of {count:,} real images were trained on: their styles may lie better "
            "than those of images that the model has not seen")


def _choose(arguments, packed, classes, pattern):
    """(`PackedImages` of so many of each class, subjects or None, notes). Raises `UsageError`."""
    from stylegan2_tf.data import find_subjects
    from stylegan2_tf.latent.embedding import check_measurable, chosen_images

    total, packed = len(packed), _labelled(arguments, packed, classes)
    notes = [f"{total - len(packed):,} of {total:,} images are of no class that the model knows, "
             "and left out"] if len(packed) < total else []
    groups = find_subjects(packed.names, pattern)
    chosen = chosen_images(packed, arguments.real)
    packed = packed.part(chosen)
    if groups is None:
        notes.append("the file names tell no subjects: slices of one person count as neighbours, "
                     "which flatters the separation (--subject-pattern)")
    else:
        groups = np.asarray(groups)[chosen]
    try:
        check_measurable(np.asarray(packed.classes)[packed.labels], groups)
    except UsageError as error:
        raise UsageError(f"--data {arguments.data}: expected classes that can be compared between "
                         f"subjects, found: {error} (--subject-pattern '(.+)' takes each image "
                         "for a subject)") from error
    return packed, groups, notes


def _labelled(arguments, packed, classes):
    """Those of the `PackedImages` that are of one of `classes`, with their labels."""
    from stylegan2_tf.data import find_labels, printable

    try:
        kept, classes, labels = find_labels(packed.names, classes=classes, labels=arguments.labels)
    except UsageError as error:
        if not str(error).startswith("--classes: "):
            raise
        raise UsageError(
            f"--data {arguments.data}: expected images of each class of the model "
            f"({', '.join(map(printable, classes))}); {str(error).removeprefix('--classes: ')}; "
            "give a folder of them, or --labels FILE.csv") from error
    return dataclasses.replace(packed.part(kept), labels=labels, classes=classes)


def _write(arguments, model_file, styles, points, found, trained):
    """The picture, fitted once on all points, and its numbers."""
    from stylegan2_tf.plots import Embedding, save_embedding

    labels = np.concatenate([part.labels for part in styles.values()])
    real = np.concatenate([np.full(len(part.w), kind == "real")
                           for kind, part in styles.items()])
    kind = "real" if "real" in styles else "generated"
    out = Path(arguments.out)
    make_folder(out.parent, "--out")
    save_embedding([Embedding(f"{arguments.method.upper()} of w; score of the {kind} images:",
                              points, labels, real, found[kind])], out)
    files.write_json(out.with_suffix(".json"), {
        "model": str(model_file), "data": arguments.data, "trained_on": trained,
        "classes": np.unique(labels).tolist(), "method": arguments.method,
        "steps": arguments.steps, "seed": arguments.seed,
        **{kind: {**dataclasses.asdict(result), "points": len(styles[kind].w),
                  "subjects": None if (groups := styles[kind].groups) is None else
                  len(set(groups))} for kind, result in found.items()}})
    print(f"written {out} and {out.with_suffix('.json').name}")


def _check(arguments):
    if len(arguments.models) > 1:
        raise UsageError(
            "MODEL: expected one model, found several. The w of two separately trained models "
            "have unrelated axes: each starts from its own random mapping network, so their "
            "points lie apart even where both saw the same images, and the picture would say "
            "nothing about the classes. Train one model on all of them with --conditional, and "
            "give that")
    for name, least in (("n", 2), ("real", 2), ("steps", 1), ("seed", 0)):
        if not least <= getattr(arguments, name) < 2**31:
            raise UsageError(f"--{name}: expected {least} to {2**31 - 1}, found "
                             f"{getattr(arguments, name)}")
    for name in ("labels", "subject_pattern"):
        if getattr(arguments, name) is not None and arguments.data is None:
            raise UsageError(f"--{name.replace('_', '-')}: expected with --data, found it alone")
    out = Path(arguments.out)
    check_out(out, ".png", name="--out")
    if arguments.data is not None and files.inside(out, arguments.data):
        raise UsageError(f"--out: expected outside of --data, found {out} in {arguments.data}; the "
                         "picture would become one of the images")
