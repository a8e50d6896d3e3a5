"""Which slices of a volume are taken, and what grey they get: the options and their check."""

import dataclasses
import math
import re

from stylegan2_tf.errors import UsageError

AXES = ("sagittal", "coronal", "axial")  # across the patient's x, y, z
WINDOWS = ("percentile", "minmax", "dicom")
EVERYTHING = "0%-100%"


@dataclasses.dataclass(frozen=True)
class SliceOptions:
    """How `read_slices` cuts a volume. Every value can be written as JSON.

    Attributes:
        axis: "axial", "coronal" or "sagittal", in the patient's space.
        slices: A range in percent of the way from below, behind or left, such as "25%-92%"
            (slices whose centre lies in it), or indices in RAS voxels: "40-90", "10,20,30".
        per_volume: At most so many, evenly spread over those that are chosen and not empty;
            None for all.
        window: What becomes black and white; see `windows.find_window`.
        bits: 8 for uint8, 16 for uint16.
        frame: Which frame of a volume with time, counted from 0; None for the first.
        empty: A slice is left out if less than this share of its voxels is brighter than a
            tenth of the window; 0 keeps all.

    Raises:
        UsageError: A value is none of those; it names the flag.
    """

    axis: str = "axial"
    slices: str = EVERYTHING
    per_volume: int | None = None
    window: str = "percentile"
    bits: int = 8
    frame: int | None = None
    empty: float = 0.01

    def __post_init__(self):
        _check("axis", self.axis, self.axis in AXES, f"one of {', '.join(AXES)}")
        _check("slices", self.slices, _readable(self.slices),
               "percents such as 25%-92% or indices such as 40-90 or 10,20,30")
        _check("per-volume", self.per_volume, self.per_volume is None or
               _whole(self.per_volume) and self.per_volume >= 1, "a whole number from 1 on")
        _check("window", self.window, self.window in WINDOWS or centre_and_width(self.window),
               f"{', '.join(WINDOWS)}, or centre and width such as wl=40,80")
        _check("bits", self.bits, _whole(self.bits) and self.bits in (8, 16), "8 or 16")
        _check("frame", self.frame, self.frame is None or _whole(self.frame) and self.frame >= 0,
               "a whole number from 0 on")
        _check("empty", self.empty, isinstance(self.empty, float | int) and
               not isinstance(self.empty, bool) and 0 <= self.empty < 1,
               "a share from 0 to below 1")

    @property
    def white(self):
        """The largest value of a pixel."""
        return 2**self.bits - 1


def chosen(text, count):
    """Indices below `count`, ascending, that the option `slices` names."""
    percents = _percents(text)
    if percents:
        low, high = (value / 100 * count for value in percents)
        return [index for index in range(count) if low <= index + 0.5 <= high]
    named = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        # Numbers beyond the volume are nothing; a range up to 10^9 must not be made.
        named.update(range(int(first), min(int(last or first), count - 1) + 1))
    return sorted(named)


def centre_and_width(window):
    """(centre, width) of `wl=CENTRE,WIDTH`; None if `window` is something else."""
    found = re.fullmatch(r"wl=([^,]+),([^,]+)", window) if isinstance(window, str) else None
    try:
        centre, width = float(found[1]), float(found[2])
    except (TypeError, ValueError):
        return None
    usable = math.isfinite(centre) and math.isfinite(width) and width > 0
    return (centre, width) if usable else None


def _readable(text):
    if not isinstance(text, str):
        return False
    percents = _percents(text)
    if percents:
        return 0 <= percents[0] < percents[1] <= 100
    if not re.fullmatch(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", text, re.ASCII):
        return False
    ranges = [part.split("-") for part in text.split(",")]
    return all(int(part[0]) <= int(part[-1]) for part in ranges)


def _percents(text):
    number = r"(\d{1,3}(?:\.\d{1,6})?)%"
    found = re.fullmatch(f"{number}-{number}", text, re.ASCII)
    return found and (float(found[1]), float(found[2]))


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _check(flag, value, right, expected):
    if not right:
        raise UsageError(f"--{flag}: expected {expected}, found {value!r}")
