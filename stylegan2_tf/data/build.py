"""Decode images once, in order, into one `.npy` file.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import io
import math
import os
import sys
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from stylegan2_tf.data import decode
from stylegan2_tf.data.index import printable
from stylegan2_tf.errors import DataError
from stylegan2_tf.files import sha256

# Images in flight, which bounds the memory.
BLOCK = 128

# Decoding large images runs outside Python's lock; for small ones threads only
# queue for it (2 cores: 0.6 times the speed at 128 pixels a side, 1.3 to 2 at 1024).
THREADS_PAY_FROM = 512 * 512

# The most lines that a list of unreadable files takes on the screen.
MAX_LINES = 20


@dataclasses.dataclass(frozen=True)
class Survey:
    """What the headers of the files tell before any of them is decoded.

    Attributes:
        dtype: uint16 if any image has 16 bits a pixel, else uint8.
        threads: How many threads decode them fastest.
        shape: (height, width) of the files, or None where they differ.
    """

    dtype: np.dtype
    threads: int
    shape: tuple | None


class Facts(NamedTuple):
    """What the user should know about the pixels of an image.

    Attributes:
        digest: Hexadecimal, equal for equal pixels.
        constant: Whether there is one value everywhere.
        brightest: The largest value if there are 16 bits, else None.
    """

    digest: str
    constant: bool
    brightest: int | None


def survey(paths, progress):
    """Read the header of every file, without decoding; return a `Survey`."""
    deep, sizes = False, []
    for path in tqdm(paths, "reading headers", leave=False, disable=None if progress else True):
        # What can't be opened is reported when it is decoded.
        with contextlib.suppress(decode.UnreadableImage), decode.opened(path) as image:
            deep = deep or decode.is_deep(image)
            sizes.append((image.height, image.width))
    large = sum(map(math.prod, sizes)) >= THREADS_PAY_FROM * max(1, len(sizes))
    # Together they hold no more pixels than the largest image may have, which takes 0.8 GB.
    threads = min(8, os.cpu_count(), decode.MAX_PIXELS // max(map(math.prod, sizes))) if (
        large) else 1
    shape = sizes[0] if len(set(sizes)) == 1 else None
    return Survey(np.dtype(np.uint16 if deep else np.uint8), threads, shape)


def decoded(paths, *, resolution, channels, fit, threads, progress, crew=None):
    """Yield for each path, in order, `(image [H, W, C], notes)` or `(None, reason)`.

    By `threads`, or if these are not worth it by the `crew`, whose processes look at the pixels
    as well: `(image, notes, Facts)`.
    """
    work = functools.partial(_decode_one, resolution, channels, fit)
    bar = tqdm(total=len(paths), desc="packing", unit="image", disable=None if progress else True)
    with bar:
        if threads == 1 and crew and crew.start(len(paths)):
            work = functools.partial(_decode_and_look, resolution, channels, fit)
            results = crew.ordered(work, paths)
        else:
            results = _by_threads(work, paths, threads)
        with contextlib.closing(results):
            for result in results:
                yield result
                bar.update()


def look(image):
    """The `Facts` of an image `[H, W, C]`, uint8 or uint16."""
    low, high = int(image.min()), int(image.max())
    digest = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).hexdigest()
    return Facts(digest, low == high, high if image.dtype == np.uint16 else None)


def write(path, images, names, shape, dtype):
    """Write what `decoded` yields as the array `[N, H, W, C]` of a `.npy` file.

    Written plainly: a disk that fills up under a memory map kills the process.

    Args:
        path: The file; its directory must exist.
        images: Iterable of what `decoded` yields; who looked at no pixels leaves it to this.
        names: The relative path of each.
        shape: `(H, W, C)`.
        dtype: uint8 or uint16; 8-bit images are multiplied by 257 for uint16.

    Returns:
        `(notices, digests, skipped, fingerprint)`: sentences for the user; a digest of the pixels
        of each image written, as it was before any multiplication; relative path -> reason;
        SHA-256 of the file.

    Raises:
        DataError: More than 1 % can't be read.
        OSError: The disk is full or fails.
    """
    findings, skipped = Findings(), {}
    with open(path, "wb") as stream:
        # Hashed while others decode, not in a second pass alone.
        hashed = hashlib.sha256(header((len(names), *shape), dtype))
        stream.write(header((len(names), *shape), dtype))
        for name, (image, notes, *facts) in zip(names, images, strict=True):
            if image is None:
                skipped[name] = notes
                continue
            image = np.ascontiguousarray(image)
            findings.add(*facts or [look(image)], notes)
            # One 16-bit image deepens all others: what tells them apart must not change by it.
            image = image if image.dtype == dtype else image * np.uint16(257)
            stream.write(image)
            hashed.update(image)
        _refuse_many(skipped, len(names))
        # NumPy pads the header for any length, so the images stay where they are.
        stream.seek(0)
        stream.write(header((len(names) - len(skipped), *shape), dtype))
    fingerprint = sha256(path) if skipped else hashed.hexdigest()
    return findings.sentences(), findings.digests, skipped, fingerprint


def header(shape, dtype):
    """The bytes at the start of a `.npy` file; equally many whatever the first of `shape` is."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def listing(skipped):
    """One indented line for each unreadable file, at most `MAX_LINES`, then a count."""
    lines = [f"  {printable(name)}: {reason}" for name, reason in skipped.items()]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"  and {len(lines) - MAX_LINES:,} more"]
    return "\n".join(lines)


class Findings:
    """Gathers from image after image what the user should know about the set."""

    def __init__(self):
        self.images = 0
        self.counts = collections.Counter()
        self.digests = []
        self.brightest = None

    def add(self, facts, notes):
        """Take the `Facts` of one more image, and what decoding has noted."""
        self.images += 1
        self.counts.update(notes)
        if facts.constant:
            self.counts["one value everywhere"] += 1
        self.digests.append(facts.digest)
        if facts.brightest is not None:
            self.brightest = max(self.brightest or 0, facts.brightest)

    def sentences(self):
        """A list of sentences."""
        repeated = self.images - len(set(self.digests))
        if repeated:
            self.counts["the same pixels as an earlier image"] = repeated
        found = [
            f"{what} in {count:,} of {self.images:,} images"
            for what, count in sorted(self.counts.items())
        ]
        # 12-bit scans in a 16-bit file: legal, and nearly black to a network.
        if self.brightest is not None and self.brightest < 2**14:
            found.append(
                f"the brightest 16-bit value is {self.brightest:,} of 65,535:"
                " these images are nearly black, scale them up"
            )
        return found


def _decode_one(resolution, channels, fit, path):
    try:
        image, notes = decode.decode(path, channels)
    except decode.UnreadableImage as error:
        return None, str(error)
    if image.shape[0] < resolution[0] and image.shape[1] < resolution[1]:
        notes.append("enlarged to the resolution")
    return decode.fit_image(image, resolution, fit), notes


def _decode_and_look(resolution, channels, fit, path):
    image, notes = _decode_one(resolution, channels, fit, path)
    return (image, notes) if image is None else (image, notes, look(image))


def _by_threads(work, paths, threads):
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), BLOCK):
            block = paths[start : start + BLOCK]
            yield from pool.map(work, block) if threads > 1 else map(work, block)


def _refuse_many(skipped, total):
    if 100 * len(skipped) > total:
        print(listing(skipped), file=sys.stderr)
        raise DataError(f"{len(skipped):,} of {total:,} images cannot be read, more than 1 %: "
                        "mend or remove those listed above")
