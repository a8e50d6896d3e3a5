"""What `prepare` is asked for: all that decides the pixels, names and parts of the result."""

import dataclasses
import math
import re

from stylegan2_tf.data import decode
from stylegan2_tf.errors import UsageError
from stylegan2_tf.sides import as_pair
from stylegan2_tf.volumes import SliceOptions


@dataclasses.dataclass(frozen=True)
class Options:
    """How a source becomes a prepared set. Every value can be written as JSON.

    Attributes:
        resolution: Side in pixels, or a pair (height, width); None takes that of most images, or
            for volumes the power of two that holds a whole slice.
        channels: 1, 3 or 4; None takes 3 where most images have colour, else 1.
        fit: "pad", "crop" or "stretch"; see `data.fit_image`.
        bits: 8 or 16; None keeps the depth of images, and takes 8 for volumes alone.
        slices: Which slices of volumes; its `bits` do not count.
        include: Pattern of the relative paths to take, such as `*masked_gfc*`; None for all.
        split: Text such as `train=0.8,val=0.1,test=0.1`, or None for one set.
        seed: Decides who comes into which part.
        subject_pattern: See `data.subject_scheme`.
        classes, labels: See `data.find_labels`; a table may name subjects instead of files.
        shards: So many TFRecord files instead of one array; None for the array.

    Raises:
        UsageError: A value is none of those; it names the flag.
    """

    resolution: int | tuple | None = None
    channels: int | None = None
    fit: str = "pad"
    bits: int | None = None
    slices: SliceOptions = SliceOptions()
    include: str | None = None
    split: str | None = None
    seed: int = 0
    subject_pattern: str | None = None
    classes: str | None = None
    labels: str | None = None
    shards: int | None = None

    def __post_init__(self):
        if self.resolution is not None:
            try:
                object.__setattr__(self, "resolution", list(as_pair(self.resolution)))
            except (TypeError, ValueError) as error:
                raise UsageError(f"--resolution: {error}") from None
            # Larger ones no network has, and the filter that resizes would take gigabytes.
            _check("resolution", max(self.resolution), max(self.resolution) <= 2**13,
                   "sides of at most 8192")
        _check("channels", self.channels, self.channels in (None, 1, 3, 4), "1, 3 or 4")
        _check("fit", self.fit, self.fit in decode.FITS, " or ".join(decode.FITS))
        _check("bits", self.bits, self.bits in (None, 8, 16), "8 or 16")
        _check("seed", self.seed, 0 <= self.seed < 2**31, "0 to 2147483647")
        _check("shards", self.shards, self.shards is None or 1 <= self.shards <= 10_000,
               "1 to 10000")
        self.shares  # refused at once

    @property
    def shares(self):
        """Share of each part, a dict: {"train": 0.8, ...}; {} without `split`."""
        if self.split is None:
            return {}
        found = [re.fullmatch(r"\s*([A-Za-z][\w-]{0,30})=([0-9.]{1,20})\s*", part)
                 for part in self.split.split(",")]
        try:
            shares = {match[1]: float(match[2]) for match in found}
            right = (len(shares) == len(found) > 1 and min(shares.values()) > 0
                     and math.isclose(sum(shares.values()), 1, abs_tol=1e-3))
        except (TypeError, ValueError):
            right = False
        _check("split", self.split, right, "two parts or more whose shares add up to 1, such as "
               "train=0.8,val=0.1,test=0.1")
        return shares

    def to_json(self):
        """A dict; the path of the labels is left out, for it may name people."""
        return {**dataclasses.asdict(self), "labels": self.labels is not None}


def _check(flag, value, right, expected):
    if not right:
        raise UsageError(f"--{flag}: expected {expected}, found {value!r}")
