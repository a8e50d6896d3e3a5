"""`stylegan2-tf verify`: whether everything in a run folder is whole."""

import os

from stylegan2_tf.data import printable
from stylegan2_tf.errors import DataError

WIDTH = 34  # of the names in front of the details


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="run folder; nothing in it is changed, and a "
                        "training may go on there")


def run(arguments):
    """Print a line on each thing. Returns 0, or 65 if something is bad."""
    from stylegan2_tf.verification import verify

    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a training may need all memory of the device
    levels = []
    for finding in verify(arguments.run):
        levels.append(finding.level)
        print(f"{finding.level:6}{printable(finding.what):{WIDTH}}{printable(finding.detail)}",
              flush=True)
    bad = levels.count("bad")
    print(f"{bad} of {len(levels)} bad" if bad else
          f"whole: {levels.count('ok')} ok, {levels.count('note')} noted, none bad")
    return DataError.exit_code if bad else 0
