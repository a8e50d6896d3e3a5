"""One way to the images for every command: a prepared set, a folder, an archive, or volumes."""

import dataclasses
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from stylegan2_tf.data import find_images, pack, printable
from stylegan2_tf.data.build import listing
from stylegan2_tf.data.index import list_files
from stylegan2_tf.data.parallel import Crew
from stylegan2_tf.data.remote import copy_remote, is_address, read_remote
from stylegan2_tf.errors import DataError, UsageError, one_line
from stylegan2_tf.preparation.manifest import MANIFEST
from stylegan2_tf.preparation.options import Options
from stylegan2_tf.preparation.prepared import (
    ABOUT,
    ARRAY,
    is_prepared,
    read_about,
    read_prepared,
    rows_of,
)
from stylegan2_tf.preparation.resolving import find_target
from stylegan2_tf.preparation.shards import shard_names
from stylegan2_tf.preparation.sources import has_labels, scan
from stylegan2_tf.preparation.writing import prepare
from stylegan2_tf.sides import as_pair
from stylegan2_tf.volumes import is_volume
from stylegan2_tf.volumes.placement import placement


def open_images(path, cache_dir, *, resolution, channels, fit="pad", progress=True):
    """Open the images that `path` means, at one size.

    A prepared set of that size is mapped as it is. A folder of images goes through `data.pack`.
    All else (a set of another size, an archive, volumes) is prepared once into the cache with the
    default options, and again when it has changed.

    Args:
        path: A prepared set, also at an address (gs://...); a folder; a `.zip`; or a volume.
        cache_dir: Where a cache may lie; created when it is needed.
        resolution: Side of the square in pixels, or a pair (height, width).
        channels: 1, 3 or 4.
        fit: "pad", "crop" or "stretch"; does not count for a prepared set of that size (see
            `check_fit`).
        progress: Show a bar, if standard error is a terminal.

    Returns:
        `PackedImages`. The caller prints its `notices`.

    Raises:
        UsageError, DataError: See `data.pack` and `prepare`.
        OutputError: The cache can't be written.
    """
    if is_address(path):
        path = _fetch(path, Path(cache_dir))
    if is_prepared(path):
        packed = read_prepared(path)
        if packed.array.shape[1:] == (*as_pair(resolution), channels):
            return packed
    elif is_plain(path):
        return pack(path, cache_dir, resolution=resolution, channels=channels, fit=fit,
                    progress=progress)
    options = Options(resolution=resolution, channels=channels, fit=fit)
    return _open_cached(path, Path(cache_dir), options, progress)


def check_fit(path, fit):
    """Refuse to train by another `fit` than that of a prepared set.

    The run's own is what undoes padding and lays images over a volume.

    Args:
        path: As of `open_images`.
        fit: "pad", "crop" or "stretch".

    Raises:
        UsageError: `path` is a prepared set of which another fit would have made other images.
    """
    about = None if is_address(path) else read_about(path)
    try:
        own, source, target = about["settings"]["fit"], about["source_shape"], about["shape"][1:3]
    except (KeyError, TypeError):  # no set, its parts, or damaged: opening it tells
        return
    if own != fit and (source is None or
                       placement(source, target, own) != placement(source, target, fit)):
        raise UsageError(f"--fit: expected {own}, by which {printable(path)} was prepared, found "
                         f"{fit}; give the same, or prepare it anew")


def open_native(path, cache_dir, progress=True):
    """As `open_images`, at the size and with the channels that suit the images best."""
    if is_prepared(path):
        return read_prepared(path)
    return _open_cached(path, Path(cache_dir), Options(), progress)


def is_plain(path):
    """Whether `path` is no more than a folder of images, or nothing at all."""
    if is_address(path) or is_prepared(path):
        return False
    path = Path(path)
    if path.is_dir():
        return not has_labels(path) and not any(map(is_volume, list_files(path)[1]))
    return not path.is_file() or not (path.suffix.lower() == ".zip" or is_volume(path))


def image_names(path):
    """The names of all images that `open_images` would open, a tuple.

    Archives and volumes are read for them, in a temporary folder.
    """
    if is_plain(path):
        return tuple(os.path.relpath(image, path) for image in find_images(path))
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as cache:
        if is_address(path):
            path = _fetch(path, Path(cache))
        if is_prepared(path):
            return tuple(row["name"] for row in rows_of(path))
        return _open_cached(path, Path(cache), Options(resolution=16, channels=1), True).names


def native_form(path):
    """((height, width), channels) of `open_native`, without reading all images."""
    with tempfile.TemporaryDirectory(prefix="stylegan2-tf-") as scratch:
        with Crew() as crew:
            target = find_target(scan(path, Path(scratch)).items, Options(bits=8), crew, False)
    return target.resolution, target.channels


def _open_cached(path, cache, options, progress):
    key = json.dumps([os.path.realpath(path), dataclasses.asdict(options)])
    home = cache / f"prepared-{hashlib.sha256(os.fsencode(key)).hexdigest()[:12]}"
    try:
        skipped = prepare(path, home, options, progress=progress)
    except UsageError:
        if not home.exists() or not is_prepared(home):
            raise
        _clear(home)  # of a source that has changed
        skipped = prepare(path, home, options, progress=progress)
    if skipped:
        print(f"left out {len(skipped):,} files:\n{listing(skipped)}", file=sys.stderr)
    return read_prepared(home)


def _clear(home):
    """Remove a set from the cache, its description first: what is left is none."""
    (home / ABOUT).unlink(missing_ok=True)
    for path in home.iterdir():
        if path.name != ".lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _fetch(address, cache):
    """Copy a prepared set at an address into the cache, once. Returns its folder."""
    address = os.fspath(address).rstrip("/")
    content = read_remote(f"{address}/{ABOUT}")
    try:
        about = json.loads(content)
        names = shard_names(len(about["shards"])) if "shards" in about else [ARRAY]
        fingerprint = about["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{address}: expected a prepared set, found: {one_line(error)}") from error
    home = cache / f"remote-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
    known = read_about(home)
    if known is None or known.get("fingerprint") != fingerprint:
        if home.exists():
            _clear(home)
        for name in (*names, MANIFEST, ABOUT):  # the description last
            copy_remote(f"{address}/{name}", home / name)
    return home
