"""`stylegan2-tf embed`: do the classes differ in style? Numbers against chance, and a picture."""

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np

from stylegan2_tf import files
from stylegan2_tf.cli.shared import add_subject_pattern, make_folder
from stylegan2_tf.errors import OutputError, UsageError


def add_arguments(parser):
    parser.add_argument("models", metavar="MODEL", nargs="+",
                        help="run folder, its Model, or generator.keras, trained with "
                        "--conditional")
    parser.add_argument("--data", metavar="FOLDER", help="real images, to be projected into w "
                        "beside the generated ones; not given: generated ones only")
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
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow()
    from stylegan2_tf.latent.embedding import generated_styles, measure, projected_styles
    from stylegan2_tf.latent.sampling import load
    from stylegan2_tf.latent.separation import embed_points
    from stylegan2_tf.manifest import generator_file

    model_file = generator_file(arguments.models[0])
    generator = load(model_file).generator
    if len(generator.classes) < 2:
        raise UsageError("MODEL: expected one trained with --conditional on two classes or more, "
                         f"found {model_file} with {len(generator.classes) or 'none'}; its w tell "
                         "no class apart")
    styles = {"generated": generated_styles(generator, arguments.n, arguments.seed)}
    if arguments.data is not None:
        real = _read_real(arguments, generator, model_file)
        # Refuses a method that is not installed before the long projection, not after.
        embed_points(styles["generated"].w, arguments.method, arguments.seed)
        styles["real"] = projected_styles(generator, *real, arguments.steps, arguments.seed)
    found = {kind: measure(points, arguments.seed) for kind, points in styles.items()}
    for kind, result in found.items():
        print(f"{kind:10}{_size(styles[kind])}: {result.score:.1%} of the nearest "
              f"{result.k} are of the same class; chance {result.chance:.1%}, up to "
              f"{result.threshold:.1%}; p {result.p_value:.3f}")
    print("note: a conditional model is told the class of what it generates, so these styles lie "
          "apart by construction; whether the classes differ is told by the real images")
    _write(arguments, model_file, styles, found)
    return 0


def _size(styles):
    subjects = "" if styles.groups is None else f" of {len(set(styles.groups)):,} subjects"
    return f"{len(styles.w):,} points{subjects}"


def _read_real(arguments, generator, model_file):
    """(Images in the form that the model was trained on, class of each, subjects or None)."""
    from stylegan2_tf.data import find_subjects, pack
    from stylegan2_tf.latent.embedding import check_measurable, chosen_images
    from stylegan2_tf.manifest import read_manifest
    from stylegan2_tf.metrics.images import signed

    fit = read_manifest(model_file)["config"].get("fit", "pad")
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as cache:
        packed = pack(arguments.data, cache, resolution=generator.resolution,
                      channels=generator.channels, fit=fit)
        for notice in packed.notices:
            print(f"note: {arguments.data}: {notice}")
        packed = _labelled(arguments, packed, generator.classes)
        groups = find_subjects(packed.names, arguments.subject_pattern)
        chosen = chosen_images(packed, arguments.real)
        packed = packed.part(chosen)
        images = signed(packed.array[:])
    labels = np.asarray(packed.classes)[packed.labels]
    if groups is None:
        print("note: the file names tell no subjects: slices of one person count as neighbours, "
              "which flatters the separation (--subject-pattern)")
    else:
        groups = np.asarray(groups)[chosen]
    try:
        check_measurable(labels, groups)
    except UsageError as error:
        raise UsageError(f"--data {arguments.data}: expected classes that can be compared between "
                         f"subjects, found: {error} (--subject-pattern '(.+)' takes each image "
                         "for a subject)") from error
    return images, labels, groups


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
    if len(kept) < len(packed):
        print(f"note: {len(packed) - len(kept):,} of {len(packed):,} images are of no class that "
              "the model knows, and left out")
    return dataclasses.replace(packed.part(kept), labels=labels, classes=classes)


def _write(arguments, model_file, styles, found):
    """The picture, fitted once on all points, and its numbers."""
    from stylegan2_tf.latent.separation import embed_points
    from stylegan2_tf.plots import Embedding, save_embedding

    points = embed_points(np.concatenate([part.w for part in styles.values()]),
                          method=arguments.method, seed=arguments.seed)
    labels = np.concatenate([part.labels for part in styles.values()])
    real = np.concatenate([np.full(len(part.w), kind == "real")
                           for kind, part in styles.items()])
    kind = "real" if "real" in styles else "generated"
    out = Path(arguments.out)
    save_embedding([Embedding(f"{arguments.method.upper()} of w; score of the {kind} images:",
                              points, labels, real, found[kind])], out)
    files.write_json(out.with_suffix(".json"), {
        "model": str(model_file), "data": arguments.data, "classes": np.unique(labels).tolist(),
        "method": arguments.method, "steps": arguments.steps, "seed": arguments.seed,
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
    _check_out(Path(arguments.out), arguments.data)


def _check_out(out, data):
    """Refuse what can't be written before the long work. Makes the folder of `out`."""
    if out.suffix != ".png":
        raise UsageError(f"--out: expected a file that ends in .png, found {out}")
    if data is not None and files.inside(out, data):
        raise UsageError(f"--out: expected outside of --data, found {out} in {data}; the picture "
                         "would become one of the images")
    make_folder(out.parent, "--out")
    problem = ("a folder" if out.is_dir() else
               None if os.access(out.parent, os.W_OK) else "a read-only folder around it")
    if problem:
        raise OutputError(f"--out {out}: expected a file that can be written, found: {problem}")
