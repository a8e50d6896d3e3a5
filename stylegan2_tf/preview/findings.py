"""Decode a folder of images once, one at a time, and gather what is worth knowing.

Shapes: `H W` height and width in pixels, `C` channels.
"""

import collections
import dataclasses
import hashlib
import itertools
import math
import os
import tempfile

import numpy as np
from tqdm import tqdm

from stylegan2_tf.data import decode, find_images, printable, spread, subject_scheme
from stylegan2_tf.errors import DataError
from stylegan2_tf.preparation import is_plain, open_native

EXAMPLES = 25  # images in the picture, at most
THUMBNAIL = 256  # pixels, their longer side at most
BINS = 256  # of the histogram, black to white
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples fill 0..1 evenly, wherever one stops
AT_ONCE = 2**20  # values counted at once: counting takes eight bytes for each


@dataclasses.dataclass
class Findings:
    """What `examine` finds in a folder.

    Attributes:
        folder: Path of the folder.
        names: Relative paths of its images, without those found unreadable.
        subjects: (scheme, subject of each image) as `subject_scheme` tells; or (None, None).
        unreadable: Relative path -> reason.
        looked_at: Images that were decoded; of these are all the numbers below.
        colour, grey_as_colour: Images that have colour, and whose three channels are equal.
        sizes, kinds, notes: Counters of `HxW`, of depth and mode, of what decoding says.
        sides: The longer side of each image.
        ranges: Bits -> [smallest, largest value].
        histogram: Values from black to white, int64 `[BINS]`.
        pixels, black: Pixels, and how many of them are black in every channel.
        duplicates, constant: Relative path -> what is wrong.
        examples: Pairs (relative path, image `[H, W, C]`), evenly spread.
    """

    folder: str
    names: tuple = ()
    subjects: tuple = (None, None)
    unreadable: dict = dataclasses.field(default_factory=dict)
    looked_at: int = 0
    colour: int = 0
    grey_as_colour: int = 0
    sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    kinds: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    notes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    sides: list = dataclasses.field(default_factory=list)
    ranges: dict = dataclasses.field(default_factory=dict)
    histogram: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(BINS, np.int64))
    pixels: int = 0
    black: int = 0
    duplicates: dict = dataclasses.field(default_factory=dict)
    constant: dict = dataclasses.field(default_factory=dict)
    examples: list = dataclasses.field(default_factory=list)


def examine(folder, *, max_images=None, subject_pattern=None, progress=True):
    """Decode the images below `folder` one at a time and gather what is worth knowing.

    Args:
        folder: Any folder that `find_images` accepts; or a prepared set, an archive or volumes,
            whose images are looked at as `prepare` makes them.
        max_images: Decode at most so many, evenly spread over the sorted names.
        subject_pattern: See `subject_scheme`.
        progress: Show a bar, if standard error is a terminal.

    Returns:
        `Findings`.

    Raises:
        UsageError: `folder` is no folder, or `subject_pattern` does not fit.
        DataError: There is no image, or none can be read.
    """
    if is_plain(folder):
        paths = find_images(folder)
        names = [os.path.relpath(path, folder) for path in paths]
        return _examine(folder, names, lambda index: _read(paths[index]), max_images,
                        subject_pattern, progress)
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as cache:
        packed = open_native(folder, cache, progress)
        return _examine(folder, packed.names, lambda index: _of(packed.array[index]), max_images,
                        subject_pattern, progress)


def _examine(folder, names, read, max_images, subject_pattern, progress):
    """Gather from what `read(index)` returns: see `_read`."""
    if subject_pattern is not None:
        subject_scheme(names, subject_pattern)  # refused before the work, not after it
    chosen = spread(min(max_images or len(names), len(names)), len(names))
    findings, seen, due = Findings(str(folder)), {}, collections.deque(_places(len(chosen)))
    bar = tqdm(chosen, "reading", unit="image", disable=None if progress else True)
    with decode.quiet():
        for place, index in enumerate(bar):
            try:
                image, notes, kind = read(index)
            except decode.UnreadableImage as error:
                findings.unreadable[names[index]] = str(error)
                continue
            _add(findings, seen, names[index], image, notes, kind)
            if due and place >= due[0]:
                due.popleft()
                findings.examples.append((names[index], _thumbnail(image)))
    if not findings.looked_at:
        name, reason = next(iter(findings.unreadable.items()))
        raise DataError(f"None of {len(chosen):,} images in {printable(folder)} can be read: "
                        f"{printable(name)}: {reason}")
    findings.names = tuple(name for name in names if name not in findings.unreadable)
    findings.subjects = subject_scheme(findings.names, subject_pattern)
    return findings


def _places(total):
    """Where examples come from: one of each of 25 equal stretches, nowhere the same place in it.

    Equal steps could meet the same slice of every subject.
    """
    starts = [*spread(min(EXAMPLES, total), total), total]
    return [start + int(place * GOLDEN % 1 * (end - start))
            for place, (start, end) in enumerate(itertools.pairwise(starts))]


def _read(path):
    """Image `[H, W, C]` with one channel for grey and three for colour, notes, and its kind."""
    with decode.opened(path) as image:
        mode, deep = image.mode, decode.is_deep(image)
    image, notes = decode.decode(path, 1 if mode[0] in "1LI" else 3)
    return image, notes, f"{16 if deep else 1 if mode == '1' else 8}-bit {mode}"


def _of(image):
    """As `_read`, of an image that is decoded already; alpha is left out."""
    image = np.ascontiguousarray(image[..., :3])
    return image, [], f"{8 * image.itemsize}-bit {'L' if image.shape[2] == 1 else 'RGB'}"


def _add(findings, seen, name, image, notes, kind):
    """Take one image into the findings; `seen` maps digests to the first image that has them."""
    if image.shape[2] == 3:
        if (image == image[..., :1]).all():
            image = np.ascontiguousarray(image[..., :1])
            findings.grey_as_colour += 1
        else:
            findings.colour += 1
    height, width, _ = image.shape
    findings.looked_at += 1
    findings.sizes[f"{height}x{width}"] += 1
    findings.sides.append(max(height, width))
    findings.kinds[kind] += 1
    findings.notes.update(notes)
    low, high = int(image.min()), int(image.max())
    known = findings.ranges.setdefault(8 * image.itemsize, [low, high])
    known[:] = min(known[0], low), max(known[1], high)
    if (image == image[0, 0]).all():
        findings.constant[name] = f"every pixel is {', '.join(map(str, image[0, 0]))}"
    digest = hashlib.blake2b(image, digest_size=16, key=str(image.shape).encode()).digest()
    first = seen.setdefault(digest, name)
    if first is not name:
        findings.duplicates[name] = f"the same pixels as {printable(first)}"
    findings.pixels += height * width
    findings.black += height * width - int(np.count_nonzero(image.any(axis=-1)))
    values = image.ravel()
    for start in range(0, values.size, AT_ONCE):
        levels = values[start:start + AT_ONCE] >> 8 * (image.itemsize - 1)
        findings.histogram += np.bincount(levels, minlength=BINS)


def _thumbnail(image):
    """The image as 8 bits, no side longer than `THUMBNAIL`."""
    scale = THUMBNAIL / max(image.shape[:2])
    if scale < 1:
        image = decode.fit_image(
            image, [max(round(side * scale), 1) for side in image.shape[:2]], "stretch")
    return image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
