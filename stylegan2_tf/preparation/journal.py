"""Images written one after the other, so that a kill costs the last seconds only.

The pixels come first, then, once they are safe on the disk, a line in the journal that vouches for
them: what no line vouches for is cut off when the work goes on.
"""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from stylegan2_tf.data.build import header

PIXELS, LINES = "images.npy", "rows.jsonl"
SECONDS = 2.0  # between two times that all is made safe


class Journal:
    """Images and what is known of them, in a folder, open for writing.

    Args:
        folder: Where both files lie or shall lie.
        shape: `(H, W, C)` of an image.
        dtype: NumPy dtype of the pixels.
        expected: How many images there will be if all can be read; None if that is not known.

    Attributes:
        done: How many items are safe.
    """

    def __init__(self, folder, shape, dtype, expected=None):
        self._head = len(header((0, *shape), dtype))
        self._size = dtype.itemsize * shape[0] * shape[1] * shape[2]
        self.done, count, length = _read_whole(Path(folder) / LINES)
        self._pixels = _open_at(Path(folder) / PIXELS, self._head + count * self._size)
        if self._pixels is None:  # the pixels are gone, and nothing vouches for the rest
            self.done, length = 0, 0
            self._pixels = _open_at(Path(folder) / PIXELS, 0)
        self._lines = _open_at(Path(folder) / LINES, length)
        self._waiting, self._saved = [], time.monotonic()
        self._hashed = None
        if not self._pixels.tell():
            self._pixels.write(header((0, *shape), dtype))
            # Hashed while others decode, not in a second pass alone.
            self._hashed = expected and hashlib.sha256(header((expected, *shape), dtype))

    def add(self, pieces, reason):
        """Write what `read_item` returned, with `patient` already made unknown."""
        for pixels, _ in pieces:
            self._pixels.write(pixels)
            if self._hashed:
                self._hashed.update(pixels)
        if reason:
            self._hashed = None
        about = {"skipped": reason} if reason else {"rows": [known for _, known in pieces]}
        self._waiting.append(json.dumps(about) + "\n")
        if time.monotonic() - self._saved > SECONDS:
            self.save()

    @property
    def fingerprint(self):
        """SHA-256 of the finished file, where it has come to be known by the way; else None."""
        return self._hashed and self._hashed.hexdigest()

    def save(self):
        """Make all safe that was added."""
        for stream, lines in ((self._pixels, ()), (self._lines, self._waiting)):
            stream.write("".join(lines).encode())
            stream.flush()
            os.fsync(stream.fileno())
        self._waiting, self._saved = [], time.monotonic()

    def close(self):
        for stream in (self._pixels, self._lines):
            with contextlib.suppress(OSError):  # of a full disk, which `save` has told
                stream.close()


def read_lines(folder):
    """Yield what was added, item after item: a dict with "rows" or "skipped"."""
    with open(Path(folder) / LINES, "rb") as stream:
        yield from map(json.loads, stream)


def _read_whole(path):
    """(items, images, bytes) of the lines that are whole."""
    items, count, length = 0, 0, 0
    if path.exists():
        with open(path, "rb") as stream:
            for line in stream:
                try:
                    if not line.endswith(b"\n"):
                        break
                    count += len(json.loads(line).get("rows", ()))
                except ValueError:
                    break
                items, length = items + 1, length + len(line)
    return items, count, length


def _open_at(path, length):
    """The file, cut to `length` and open for writing at its end; None if it is shorter."""
    stream = open(path, "r+b" if path.exists() else "w+b")
    if stream.seek(0, os.SEEK_END) < length and length:
        stream.close()
        return None
    stream.truncate(length)
    stream.seek(length)
    return stream
