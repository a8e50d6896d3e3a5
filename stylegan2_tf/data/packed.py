"""A folder decoded once into one memory-mapped array, which later runs reuse.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from stylegan2_tf.data import build, decode, parallel
from stylegan2_tf.data.index import find_images, printable, spread
from stylegan2_tf.errors import OutputError, UsageError
from stylegan2_tf.files import replacing, sweep, write_json

# Part of the cache's name: raise it when decoding or fitting changes a pixel.
VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class PackedImages:
    """All images of a folder at one size, in the order of their names.

    Attributes:
        array: Read-only memory map `[N, H, W, C]`, or `Rows` of one; uint8 or uint16.
        fingerprint: SHA-256 of the file under `array`: equal for equal pixels in
            equal order, whatever the files are called.
        names: Relative path of each image, N of them.
        notices: Sentences that the user should see once.
        skipped: Relative path -> reason, of the files that could not be read.
        labels: Class index of each image, int64 `[N]`, or None; see `classes.find_labels`.
        classes: Names of the classes; () where the images carry no labels.
        source_shape: (height, width) of all files before they were brought to one shape; None
            where they differ.
        digests: A hexadecimal text for each image, equal for equal pixels, N of them; () where
            they are not known.
        intensity: {"low", "high", "unit"}: the values of the volumes that became black and white,
            where they are the same for all; else None.
    """

    array: np.ndarray
    fingerprint: str
    names: tuple
    notices: tuple
    skipped: dict
    labels: np.ndarray | None = None
    classes: tuple = ()
    source_shape: tuple | None = None
    digests: tuple = ()
    intensity: dict | None = None

    def __len__(self):
        return len(self.array)

    @property
    def class_counts(self):
        """Images of each class; [] where they carry no labels."""
        return [] if self.labels is None else np.bincount(
            self.labels, minlength=len(self.classes)).tolist()

    def part(self, chosen):
        """The images at `chosen` (ascending indices) as `PackedImages`, without copying them."""
        chosen = np.asarray(chosen, np.int64)
        digest = hashlib.sha256(chosen.astype("<i8").tobytes())
        labels = None if self.labels is None else self.labels[chosen]
        if labels is not None:
            digest.update(ascii(self.classes).encode() + labels.astype("<i8").tobytes())
        whole = f"{self.fingerprint} {digest.hexdigest()}"
        return dataclasses.replace(
            self, array=Rows(self.array, chosen), labels=labels,
            fingerprint=hashlib.sha256(whole.encode()).hexdigest(),
            names=tuple(self.names[index] for index in chosen),
            digests=tuple(self.digests[index] for index in chosen) if self.digests else ())


class Rows:
    """Some rows of an array, read when they are asked for.

    Args:
        array: The array, such as a memory map `[N, ...]`.
        chosen: Indices of the rows.
    """

    def __init__(self, array, chosen):
        self._array, self._chosen = array, chosen
        self.dtype = array.dtype
        self.shape = (len(chosen), *array.shape[1:])

    def __len__(self):
        return len(self._chosen)

    def __getitem__(self, index):
        return self._array[self._chosen[index]]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


def pack(folder, cache_dir, *, resolution, channels, fit="pad", max_images=None, progress=True):
    """Decode every image below `folder` once, or open what an earlier call has packed.

    The cache is `cache_dir/packed-<hash of folder and settings>/`. It is used again
    while names, sizes and modification times of the files are unchanged. Files that
    can't be read are printed with their reasons and left out.

    Args:
        folder: Any folder that `find_images` accepts.
        cache_dir: Where the cache may lie; created. It needs N * H * W * C bytes,
            twice that if any source has 16 bits (8-bit sources are then multiplied
            by 257, which keeps black and white).
        resolution: Side of the square in pixels, or a pair (height, width).
        channels: 1 (grey), 3 (RGB) or 4 (RGB and alpha).
        fit: How an image is brought to that shape: 'pad', 'crop' or 'stretch'.
        max_images: Take at most this many, evenly spread over the sorted names, so
            that each folder has its share.
        progress: Show a bar, if standard error is a terminal.

    Returns:
        `PackedImages`. The caller prints its `notices`.

    Raises:
        UsageError: An argument is none of those above, or `folder` is no folder.
        DataError: There is no image, or more than 1 % can't be read.
        OutputError: The cache can't be written; names the bytes needed and free.
    """
    settings = _settings(folder, resolution, channels, fit, max_images)
    paths = find_images(folder)
    if max_images is not None and max_images < len(paths):
        paths = [paths[index] for index in spread(max_images, len(paths))]
    files = [_state(path, folder) for path in paths]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    home = Path(cache_dir) / f"packed-{key}"
    packed = _open(home, settings, files)
    if packed is None:
        with locked(home):
            # Another run may have packed these images while this one waited.
            packed = _open(home, settings, files)
            if packed is None:
                _build(home, paths, files, settings, progress)
                packed = _open(home, settings, files)
    if packed.skipped:
        left_out = f"left out {len(packed.skipped):,} of {len(files):,} images"
        print(f"{left_out}:\n{build.listing(packed.skipped)}", file=sys.stderr)
    return packed


def _settings(folder, resolution, channels, fit, max_images):
    """Everything the cached pixels depend on beside the files, as JSON gives it back."""
    decode.check_channels(channels)
    decode.check_fit(fit)
    if max_images is not None and max_images < 1:
        raise UsageError(f"`max_images` must be positive. Received: max_images={max_images}")
    return {
        "version": VERSION,
        "folder": os.path.realpath(folder),
        "resolution": list(decode.as_pair(resolution)),
        "channels": int(channels),
        "fit": fit,
        "max_images": max_images,
    }


def _state(path, folder):
    """[relative name, bytes, times in ns]: what tells that a file, or its permissions, changed."""
    try:
        status = os.stat(path)
    except OSError:  # a link that leads nowhere; decoding gives the reason
        return [os.path.relpath(path, folder), None, None, None]
    return [os.path.relpath(path, folder), status.st_size, status.st_mtime_ns,
            status.st_ctime_ns]


def _open(home, settings, files):
    """The images packed in `home`, or None if they are not exactly these."""
    try:
        record = json.loads((home / "images.json").read_text(encoding="utf-8"))
        array = np.lib.format.open_memmap(home / "images.npy", mode="r")
        whole = (home / "images.npy").stat().st_size == array.offset + array.nbytes
    except (OSError, ValueError):
        return None
    if not whole or record.get("settings") != settings or record.get("files") != files:
        return None
    names = tuple(name for name, *_ in files if name not in record["skipped"])
    shape = (len(names), *settings["resolution"], settings["channels"])
    digests = tuple(record.get("digests", ()))  # older caches have none
    if array.shape != shape or array.dtype != record["dtype"] or len(digests) != len(names):
        return None
    source_shape = record.get("source_shape")
    return PackedImages(
        array, record["fingerprint"], names, tuple(record["notices"]), record["skipped"],
        source_shape=source_shape and tuple(source_shape), digests=digests)


@contextlib.contextmanager
def locked(home):
    """Let one process at a time pack into `home`; a second waits for the first."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        stream = open(home / ".lock", "w")
    except OSError as error:
        raise OutputError(f"Cannot write to {printable(home)}: {error.strerror}.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run that packs these images", file=sys.stderr)
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError:
            pass  # some network file systems have no locks
        yield


def _build(home, paths, files, settings, progress):
    """Decode `paths` into `home/images.npy` and describe them in `home/images.json`."""
    shape = (*settings["resolution"], settings["channels"])
    options = {name: settings[name] for name in ("resolution", "channels", "fit")}
    with decode.quiet(), parallel.Crew() as crew:
        crew.start(len(paths))  # their start takes as long as the survey
        found = build.survey(paths, progress)
        needed = len(paths) * math.prod(shape) * found.dtype.itemsize
        images = build.decoded(paths, threads=found.threads, progress=progress, crew=crew,
                               **options)
        with explained(home, needed):
            sweep(home)
            if shutil.disk_usage(home).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with replacing(home / "images.npy") as temporary:
                names = [name for name, *_ in files]
                notices, digests, skipped, fingerprint = build.write(
                    temporary, images, names, shape, found.dtype)
                # A kill must not leave a new array beside an old description.
                (home / "images.json").unlink(missing_ok=True)
            record = {"settings": settings, "dtype": found.dtype.name}
            record |= {"fingerprint": fingerprint, "notices": notices}
            record |= {"skipped": skipped, "source_shape": found.shape, "files": files}
            record["digests"] = digests
            write_json(home / "images.json", record)


@contextlib.contextmanager
def explained(home, needed):
    """Turn a full or failing disk into one line; a damaged image never gets here."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(home).free
        raise OutputError(
            f"Cannot write the packed images to {printable(home)}: {error.strerror}."
            f" They need {needed:,} bytes, {free:,} are free."
        ) from error
