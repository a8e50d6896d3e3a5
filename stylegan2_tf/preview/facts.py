"""What was found in a folder of images, in words, and the training that suits it."""

import collections
import dataclasses
import math
import shlex
import statistics

import numpy as np

from stylegan2_tf.data import printable
from stylegan2_tf.data.build import listing
from stylegan2_tf.data.classes import count_folders, counted
from stylegan2_tf.data.division import SPLITS
from stylegan2_tf.fields import GROUP_SIZE
from stylegan2_tf.presets import RECOMMENDED, preset_values
from stylegan2_tf.preview.findings import BINS
from stylegan2_tf.sides import as_pair, shortest, smallest_base

FEW_IMAGES = 5_000  # up to here the preset for small data is proposed
RESOLUTIONS = 16, 1024  # the smallest and the largest proposed
LARGEST_BASE = 16  # where networks start for images that are no power of two
MAY_ENLARGE = 1.125  # 240 pixels become 256 rather than 128
DARK = 0.25  # of the full range: what stays below is nearly black to a network


@dataclasses.dataclass(frozen=True)
class Fact:
    """One line for the user, and what may be listed below it."""

    label: str
    text: str
    details: tuple = ()

    def __str__(self):
        return "\n".join([f"{self.label:<14} {self.text}", *self.details])


def describe(findings):
    """The findings as a list of `Fact`, ready to be printed."""
    found = len(findings.names) + len(findings.unreadable)
    looked_at, bad = findings.looked_at, len(findings.unreadable)
    some = "" if looked_at + bad == found else f", {looked_at + bad:,} of them looked at"
    facts = [Fact("images", f"{found:,} found below {printable(findings.folder)}{some}")]
    if bad:
        stops = "; training stops at more than 1 %" if 100 * bad > looked_at + bad else ""
        facts.append(Fact("unreadable", f"{bad:,} of {looked_at + bad:,} looked at{stops}",
                          _details(findings.unreadable)))
    facts += [Fact("height x width", _counted(findings.sizes)),
              Fact("bits and mode", _counted(findings.kinds)),
              Fact("colour", _colours(findings)),
              Fact("folders", _folders(findings.names)),
              Fact("subjects", _subjects(findings)),
              Fact("values", _values(findings)),
              Fact("constant", f"{len(findings.constant):,} of {looked_at:,} images have one value "
                   "everywhere", _details(findings.constant)),
              Fact("duplicates", f"{len(findings.duplicates):,} of {looked_at:,} images have the "
                   "pixels of an earlier one", _details(findings.duplicates))]
    facts += [Fact("note", f"{note} in {count:,} of {looked_at:,} images"
                   + ("; --channels 4 keeps it" if note.startswith("alpha") else ""))
              for note, count in sorted(findings.notes.items())]
    return [*facts, Fact("try", suggestion(findings))]


def suggestion(findings):
    """A command line that trains on these images."""
    low, high = RESOLUTIONS
    side = statistics.median_low(findings.sides)
    resolution = min(max(1 << int(math.log2(MAY_ENLARGE * side)), low), high)
    count = len(findings.names)
    if count < GROUP_SIZE:
        return f"more images: training needs {GROUP_SIZE} at least"
    small = count <= FEW_IMAGES or resolution not in RECOMMENDED
    resolution = small and _common_size(findings) or resolution
    preset = "small-data" if small else "recommended"
    command = (f"python run.py {shlex.quote(printable(findings.folder))} OUT --preset {preset} "
               f"--resolution {resolution} --channels "
               f"{3 if 2 * findings.colour > findings.looked_at else 1}")
    if preset_values(preset, resolution).get("batch", 0) > count:
        command += f" --batch {count // GROUP_SIZE * GROUP_SIZE}"
    return command


def _common_size(findings):
    """The size of all images as a --resolution, if networks can double up to it; else None."""
    if len(findings.sizes) != 1:
        return None
    size = next(iter(findings.sizes))
    low, high = RESOLUTIONS
    fits = (low <= min(as_pair(size)) and max(as_pair(size)) <= high
            and max(smallest_base(size)) <= LARGEST_BASE)
    return shortest(size) if fits else None


def _details(reasons):
    return tuple(listing(reasons).splitlines())


def _counted(counts):
    """As `counted`, for names that end in digits."""
    return counted({f"{name}:": count for name, count in counts.items()})


def _colours(findings):
    text = f"in {findings.colour:,} of {findings.looked_at:,} images"
    saved = f"; {findings.grey_as_colour:,} grey ones are saved as colour"
    return text + saved if findings.grey_as_colour else text


def _folders(names):
    """Images in each top folder, which may be their classes, and in the folders below those."""
    top = collections.Counter(name.split("/", 1)[0] for name in names if "/" in name)
    flat, below = len(names) - top.total(), count_folders(names)
    if not top:
        return "none: no classes to tell apart"
    text = f"{counted(top)} images" + (f"; {flat:,} in none" if flat else "")
    deeper = {name: count for name, count in below.items() if name not in top}
    if deeper:
        text += f"; deeper, for --classes: {counted(deeper)}"
    classes = len(top) > 1 and not flat and not SPLITS & {name.lower() for name in top}
    return text + "; as classes with --conditional" if classes else text


def _subjects(findings):
    scheme, subjects = findings.subjects
    if subjects is None:
        return "the file names tell none (--subject-pattern)"
    counts = collections.Counter(subjects).values()
    low, high = min(counts), max(counts)
    each = f"{low:,}" if low == high else (f"{low:,} to {high:,}, median "
                                           f"{statistics.median(counts):g},")
    return f"{len(counts):,} with {each} images each; by {scheme}"


def _values(findings):
    ranges = sorted(findings.ranges.items())
    text = ", ".join(f"{low:,} to {high:,} of {2**bits - 1:,}" for bits, (low, high) in ranges)
    mean = findings.histogram @ np.arange(BINS) / findings.histogram.sum() / (BINS - 1)
    text += (f"; mean {100 * mean:.1f} % of the full range; "
             f"{100 * findings.black / findings.pixels:.1f} % of the pixels are black")
    dark = (f"; the {bits}-bit images are nearly black: scale them up"
            for bits, (_, high) in ranges if high < DARK * 2**bits)
    return "".join([text, *dark])
