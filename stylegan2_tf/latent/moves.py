"""Steps along a direction of w, as users write them: `pca.npz:0` by `-3:3:7`."""

import dataclasses
import math
import re

import numpy as np

from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.directions import load_directions

STEPS = 7  # between the ends of a range, both counted
MOST, STRONGEST = 31, 100.0
DIGITS = 6  # of a strength, which its image's file is named by
RANGE = re.compile(r"([^:,]+):([^:,]+)(?::([0-9]{1,3}))?")


@dataclasses.dataclass(frozen=True)
class Move:
    """A direction to go along.

    Args:
        source: `FILE:NUMBER`, as the user wrote it.
        name: Of the direction.
        step: How far a strength of 1 goes, float32 `[D]`.
        model: SHA-256 of the generator that it belongs to; "" if not known.
    """

    source: str
    name: str
    step: np.ndarray
    model: str


def read_strengths(text, flag="--strength"):
    """Read `-3:3` (7 evenly spaced), `-3:3:5` or `-1,0,2.5` as a list. Raises `UsageError`."""
    try:
        found = RANGE.fullmatch(text)
        values = [float(part) for part in (found.groups()[:2] if found else text.split(","))]
        if not all(math.isfinite(value) and abs(value) <= STRONGEST for value in values):
            raise ValueError
        values = _between(*values, int(found[3] or STEPS)) if found else values
        if not 1 <= len(values) <= MOST:
            raise ValueError
    except ValueError:
        raise UsageError(f"{flag}: expected a range with its number of steps such as -3:3:7, or "
                         f"numbers such as -1,0,2.5: {MOST} at most, within {STRONGEST:g}, found "
                         f"{text!r}") from None
    if len(set(map(strength_text, values))) < len(values):
        raise UsageError(f"{flag}: expected strengths that differ in their first {DIGITS} digits, "
                         f"found {text!r}")
    return [value + 0.0 for value in values]  # no minus zero: it names a file


def strength_text(value):
    """A strength as it stands in the name of a file."""
    return f"{value + 0.0:+.{DIGITS}g}"


def _between(start, end, count):
    """Evenly spaced, without what rounding adds: a 0 between them is 0."""
    largest = max(abs(start), abs(end)) or 1.0
    places = DIGITS - 1 - math.floor(math.log10(largest))
    return [round(value, places) for value in np.linspace(start, end, count).tolist()]


def read_move(text, flag="--direction"):
    """Read `FILE:NUMBER` as a `Move`.

    Raises:
        UsageError: It is written otherwise, or the file has fewer directions.
        DataError: The file is none of `stylegan2-tf directions`.
    """
    path, _, number = text.rpartition(":")
    if not path or not re.fullmatch(r"[0-9]{1,6}", number):
        raise UsageError(f"{flag}: expected a file of `stylegan2-tf directions` and the number of "
                         f"a direction, such as directions/pca.npz:0, found {text!r}")
    found, place = load_directions(path), int(number)
    if place >= len(found.vectors):
        raise UsageError(f"{flag}: expected a number from 0 to {len(found.vectors) - 1} after "
                         f"{path}:, found {number}")
    step = (found.vectors[place] * found.unit[place]).astype(np.float32)
    return Move(text, found.names[place], step, found.model)
