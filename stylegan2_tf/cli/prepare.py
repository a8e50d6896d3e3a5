"""`stylegan2-tf prepare`: images, archives and volumes become one set that is opened at once."""

from stylegan2_tf.cli.shared import add_subject_pattern


def add_arguments(parser):
    parser.add_argument("source", metavar="SOURCE", help="folder of images or volumes, a .zip of "
                        "them (also StyleGAN2-ADA's), a volume, or a prepared set")
    parser.add_argument("out", metavar="OUT", help="folder to write, new or begun before; the same "
                        "command goes on after an interruption")
    _add_pixels(parser.add_argument_group("pixels"))
    _add_slices(parser.add_argument_group("slices of volumes"))
    people = parser.add_argument_group("people and classes")
    add_subject_pattern(people)
    people.add_argument("--anonymise", metavar="KEYFILE", help="stable pseudonyms instead of the "
                        "names of subjects, sessions and files; the key is made if the file is "
                        "missing, and must lie outside of OUT")
    people.add_argument("--classes", nargs="+", metavar="NAME", help="take images of these "
                        "folders only; not given: top folders where they look like classes")
    people.add_argument("--labels", metavar="FILE", help="CSV file with the columns file,label or "
                        "subject,label")
    people.add_argument("--split", metavar="SHARES", help="parts by whole subjects, such as "
                        "train=0.8,val=0.1,test=0.1; OUT/train and so on are then sets")
    people.add_argument("--seed", type=int, default=0, help="decides who comes into which part "
                        "(default: 0)")
    more = parser.add_argument_group("work")
    more.add_argument("--include", metavar="PATTERN", help="take files whose path below SOURCE "
                      "matches, such as '*masked_gfc*'")
    more.add_argument("--shards", type=int, metavar="N", help="write N TFRecord files instead of "
                      "one array, for object stores")
    more.add_argument("--workers", type=int, metavar="N", help="processes; not given: one a core")


def run(arguments):
    """Prepare, and say what came of it. Returns the exit code."""
    import sys

    from stylegan2_tf.data.build import listing
    from stylegan2_tf.preparation import Options, prepare
    from stylegan2_tf.preparation.prepared import read_about
    from stylegan2_tf.volumes import SliceOptions

    slices = SliceOptions(
        axis=arguments.axis, slices=arguments.slices, per_volume=arguments.per_volume,
        window=arguments.window, frame=arguments.frame, empty=arguments.empty)
    options = Options(
        resolution=arguments.resolution, channels=arguments.channels, fit=arguments.fit,
        bits=arguments.bits, slices=slices, include=arguments.include, split=arguments.split,
        seed=arguments.seed, subject_pattern=arguments.subject_pattern,
        classes=arguments.classes and ",".join(arguments.classes), labels=arguments.labels,
        shards=arguments.shards)
    skipped = prepare(arguments.source, arguments.out, options, keyfile=arguments.anonymise,
                      workers=arguments.workers)
    if skipped:
        print(f"left out {len(skipped):,} files:\n{listing(skipped)}", file=sys.stderr)
    for line in describe(arguments.out, read_about(arguments.out)):
        print(line)
    return 0


def describe(out, about):
    """Yield lines on a prepared set or on the parts of one; `about` is its `dataset.json`."""
    from pathlib import Path

    from stylegan2_tf.data import printable
    from stylegan2_tf.data.classes import counted
    from stylegan2_tf.preparation.prepared import read_about

    for notice in about["notices"]:
        yield f"note: {notice}"
    parts = {f"{name:<14} ": Path(out) / name for name in about.get("parts", ())}
    for label, folder in (parts or {"": Path(out)}).items():
        part = read_about(folder)
        count, height, width, channels = part["shape"]
        people = f" of {part['subjects']:,} subjects" if part["subjects"] else (
            "; no subject is known")
        classes = f"; {counted(part['classes'])}" if part["classes"] else ""
        yield (f"{label}{count:,} images of {height}x{width}x{channels}, {part['dtype']}, in "
               f"{printable(folder)}{people}{classes}")
        if not label and part["intensity"]:
            window = part["intensity"]
            yield f"black is {window['low']:g}, white {window['high']:g}: {window['unit']}"


def _sides(text):
    return int(text) if text.isdigit() else text


_sides.__name__ = "side or such as 240x256"  # argparse names it in its errors


def _add_pixels(group):
    group.add_argument("--resolution", type=_sides, metavar="SIDES", help="side, or height x width "
                       "such as 240x256; not given: that of most images, for volumes the power "
                       "of two that holds a slice [pixels]")
    group.add_argument("--channels", type=int, choices=(1, 3, 4), help="1 grey, 3 RGB, 4 RGBA; not "
                       "given: 3 where most images have colour, else 1")
    group.add_argument("--fit", choices=("pad", "crop", "stretch"), default="pad",
                       help="how images of another shape are brought to it (default: pad)")
    group.add_argument("--bits", type=int, choices=(8, 16), help="not given: images keep theirs, "
                       "volumes alone become 8")


def _add_slices(group):
    group.add_argument("--axis", choices=("axial", "coronal", "sagittal"), default="axial",
                       help="in the patient's space (default: axial)")
    group.add_argument("--slices", default="0%-100%", metavar="RANGE", help="such as 25%%-92%% "
                       "from below, behind or left, or indices such as 40-90 or 10,20,30 "
                       "(default: all)")
    group.add_argument("--per-volume", type=int, metavar="N", help="so many at most, evenly spread")
    group.add_argument("--window", default="percentile", metavar="RULE", help="what becomes black "
                       "and white: percentile, minmax, wl=CENTRE,WIDTH in the volume's values, or "
                       "dicom for that of its tags (default: percentile)")
    group.add_argument("--frame", type=int, metavar="N", help="of a volume with time, from 0; not "
                       "given: the first")
    group.add_argument("--empty", type=float, default=0.01, metavar="SHARE", help="leave out "
                       "slices of which less than this is brighter than a tenth of the window "
                       "(default: 0.01)")
