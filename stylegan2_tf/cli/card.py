"""`stylegan2-tf card`: a model card in Markdown."""

import sys
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.cli import shared
from stylegan2_tf.data import printable
from stylegan2_tf.errors import DataError, UsageError


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT.md", nargs="?", help="the file to write; not given: "
                        "the screen")
    parser.add_argument("--report", metavar="FILE", help="report.json of stylegan2-tf evaluate; "
                        "not given: MODEL/report/report.json, if it is there")


def run(arguments):
    """Write or print the card. Returns the exit code."""
    out = arguments.out and Path(arguments.out)
    if out and out.suffix.lower() != ".md":
        raise UsageError(f"OUT.md: expected a file that ends in .md, found {out}")
    from stylegan2_tf.model_card import make_card
    from stylegan2_tf.model_info import read_info

    info = read_info(arguments.model)
    if info.problem:
        print(f"note: the card leaves a file out: {printable(info.problem)}", file=sys.stderr)
    card = make_card(info, _find_report(info, arguments.report))
    if not out:
        print(card, end="")
        return 0
    shared.make_folder(out.parent, "OUT.md")
    files.write_text(out, card)
    print(f"written {out}")
    return 0


def _find_report(info, given):
    """The report on this model, or None; a line says why there is none."""
    from stylegan2_tf.model_card import read_report

    if given:
        return read_report(Path(given), info)
    places = [folder / "report" / "report.json" for folder in list(info.path.parents)[:2]]
    path = next((place for place in places if place.is_file()), None)
    problem = f"{places[-1]}: there is no report"
    try:
        if path:
            return read_report(path, info)
    except DataError as error:
        problem = str(error)
    print(f"note: the card holds no measurements: {problem} (stylegan2-tf evaluate, --report)",
          file=sys.stderr)
    return None
