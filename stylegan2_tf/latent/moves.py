"""Steps along a direction of w, as users write them: `pca.npz:0` by `-3:3:7`."""

import math
import re

import numpy as np

from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.directions import load_directions

STEPS = 7  # between the ends of a range, both counted
MOST, STRONGEST = 31, 100.0
RANGE = re.compile(r"([^:,]+):([^:,]+)(?::([0-9]{1,3}))?")


def read_strengths(text, flag="--strength"):
    """Read `-3:3` (7 evenly spaced), `-3:3:5` or `-1,0,2.5` as a list. Raises `UsageError`."""
    try:
        found = RANGE.fullmatch(text)
        ends = [float(part) for part in (found.groups()[:2] if found else text.split(","))]
        if not all(math.isfinite(end) and abs(end) <= STRONGEST for end in ends):
            raise ValueError
        values = np.linspace(*ends, int(found[3] or STEPS)).tolist() if found else ends
        values = [round(value, 4) + 0.0 for value in values]  # no minus zero: it names a file
        if not 1 <= len(values) == len(set(values)) <= MOST:
            raise ValueError
    except ValueError:
        raise UsageError(f"{flag}: expected a range with its number of steps such as -3:3:7, or "
                         f"numbers such as -1,0,2.5: {MOST} different ones within "
                         f"{STRONGEST:g} at most, found {text!r}") from None
    return values


def read_step(text, flag="--direction"):
    """Read `FILE:NUMBER`: how far a strength of 1 goes, float32 `[D]`.

    Raises:
        UsageError: It is written otherwise, or the file has fewer directions.
        DataError: The file is none of `stylegan2-tf directions`.
    """
    path, _, number = text.rpartition(":")
    if not path or not re.fullmatch(r"[0-9]{1,6}", number):
        raise UsageError(f"{flag}: expected a file of `stylegan2-tf directions` and the number of "
                         f"a direction, such as directions/pca.npz:0, found {text!r}")
    found = load_directions(path)
    if int(number) >= len(found.vectors):
        raise UsageError(f"{flag}: expected a number from 0 to {len(found.vectors) - 1} after "
                         f"{path}:, found {number}")
    return (found.vectors[int(number)] * found.unit[int(number)]).astype(np.float32)
