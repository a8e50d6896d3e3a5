"""`stylegan2-tf preview`: what a folder of images holds, in words and in one picture."""

from pathlib import Path

from stylegan2_tf.cli import shared
from stylegan2_tf.errors import UsageError
from stylegan2_tf.files import inside

KINDS = (".png", ".pdf", ".svg")


def add_arguments(parser):
    parser.add_argument("data", metavar="DATA", help="folder of images, prepared set, .zip, or "
                        "volumes")
    parser.add_argument("out", metavar="OUT", help=f"the picture to write ({', '.join(KINDS)})")
    parser.add_argument("--max-images", type=int, metavar="N",
                        help="look at so many, evenly spread; not given: at all")
    shared.add_subject_pattern(parser)


def run(arguments):
    """Print the facts and write the picture. Returns the exit code."""
    _check(arguments)
    from stylegan2_tf.preview import describe, examine, save_preview

    findings = examine(arguments.data, max_images=arguments.max_images,
                       subject_pattern=arguments.subject_pattern)
    for fact in describe(findings):
        print(fact)
    save_preview(findings, arguments.out)
    print(f"written {arguments.out}")
    return 0


def _check(arguments):
    """Refuse what can't be written before thousands of images are decoded."""
    out = Path(arguments.out)
    shared.check_out(out, *KINDS)
    if arguments.max_images is not None and arguments.max_images < 1:
        raise UsageError(f"--max-images: expected at least 1, found {arguments.max_images}")
    if inside(out, arguments.data):
        raise UsageError(f"OUT: expected outside of DATA, found {out} in {arguments.data}; the "
                         "picture would become a training image")
