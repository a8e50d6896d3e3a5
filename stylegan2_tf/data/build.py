"""Decode images once, in order, into one `.npy` file.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import math
import os
import sys

import numpy as np
from tqdm import tqdm

from stylegan2_tf.data import decode
from stylegan2_tf.data.index import printable
from stylegan2_tf.errors import DataError

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


def decoded(paths, *, resolution, channels, fit, threads, progress):
    """Yield for each path, in order, `(image [H, W, C], notes)` or `(None, reason)`."""
    work = functools.partial(_decode_one, resolution, channels, fit)
    bar = tqdm(total=len(paths), desc="packing", unit="image", disable=None if progress else True)
    with bar, concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), BLOCK):
            block = paths[start : start + BLOCK]
            for result in pool.map(work, block) if threads > 1 else map(work, block):
                yield result
                bar.update()


def write(path, images, names, shape, dtype):
    """Write what `decoded` yields as the array `[N, H, W, C]` of a `.npy` file.

    Written plainly: a disk that fills up under a memory map kills the process.

    Args:
        path: The file; its directory must exist.
        images: Iterable of what `decoded` yields.
        names: The relative path of each.
        shape: `(H, W, C)`.
        dtype: uint8 or uint16; 8-bit images are multiplied by 257 for uint16.

    Returns:
        `(notices, digests, skipped)`: sentences for the user; a digest of the pixels of each
        image written, as it was before any multiplication; relative path -> reason.

    Raises:
        DataError: More than 1 % can't be read.
        OSError: The disk is full or fails.
    """
    findings, skipped = _Findings(), {}
    with open(path, "wb") as stream:
        _write_header(stream, (len(names), *shape), dtype)
        for name, (image, notes) in zip(names, images, strict=True):
            if image is None:
                skipped[name] = notes
                continue
            image = np.ascontiguousarray(image)
            findings.add(image, notes)
            # One 16-bit image deepens all others: what tells them apart must not change by it.
            stream.write(image if image.dtype == dtype else image * np.uint16(257))
        _refuse_many(skipped, len(names))
        # NumPy pads the header for any length, so the images stay where they are.
        stream.seek(0)
        _write_header(stream, (len(names) - len(skipped), *shape), dtype)
    return findings.sentences(), findings.digests, skipped


def listing(skipped):
    """One indented line for each unreadable file, at most `MAX_LINES`, then a count."""
    lines = [f"  {printable(name)}: {reason}" for name, reason in skipped.items()]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"  and {len(lines) - MAX_LINES:,} more"]
    return "\n".join(lines)


class _Findings:
    """Gathers from image after image what the user should know about the set."""

    def __init__(self):
        self.images = 0
        self.counts = collections.Counter()
        self.digests = []
        self.brightest = None

    def add(self, image, notes):
        self.images += 1
        self.counts.update(notes)
        if image.min() == image.max():
            self.counts["one value everywhere"] += 1
        self.digests.append(hashlib.blake2b(image, digest_size=16).hexdigest())
        if image.dtype == np.uint16:
            self.brightest = max(self.brightest or 0, int(image.max()))

    def sentences(self):
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


def _write_header(stream, shape, dtype):
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _refuse_many(skipped, total):
    if 100 * len(skipped) > total:
        print(listing(skipped), file=sys.stderr)
        raise DataError(f"{len(skipped):,} of {total:,} images cannot be read, more than 1 %: "
                        "mend or remove those listed above")
