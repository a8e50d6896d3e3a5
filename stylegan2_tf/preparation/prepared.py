"""What a prepared set is on the disk, and opening it without copying anything.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import json
from pathlib import Path

import numpy as np

from stylegan2_tf.data import PackedImages, printable
from stylegan2_tf.errors import DataError, UsageError, one_line
from stylegan2_tf.preparation.manifest import read_manifest
from stylegan2_tf.preparation.shards import open_shards

ABOUT, ARRAY = "dataset.json", "images.npy"
FORMAT, VERSION = "stylegan2_tf prepared images", 1
UNFINISHED = ".partial"  # folder of what is not whole yet


def read_about(folder):
    """`dataset.json` of a prepared set, a dict; None if `folder` is none."""
    try:
        with open(Path(folder) / ABOUT, "rb") as stream:
            if FORMAT.encode() not in stream.read(200):  # StyleGAN2-ADA's may be long
                return None
            stream.seek(0)
            about = json.loads(stream.read())
        return about if about["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def is_prepared(folder):
    """Whether `folder` is a prepared set, or holds the parts of one, or is being prepared."""
    return read_about(folder) is not None or (Path(folder) / UNFINISHED / "plan.json").is_file()


def check_about(folder):
    """`dataset.json` of a whole set.

    Raises:
        UsageError: `folder` holds the parts of a split set, or `prepare` has not finished it.
        DataError: A later version has written it.
    """
    about = read_about(folder)
    if about is None:
        raise UsageError(f"{printable(folder)}: expected a prepared set, found one that is not "
                         "finished; the same `prepare` command goes on where it stopped")
    if about.get("version") != VERSION:
        raise DataError(f"{printable(folder)}: expected a prepared set of version {VERSION}, found "
                        f"{about.get('version')}; prepare it anew")
    if "parts" in about:
        listed = ", ".join(printable(Path(folder) / name) for name in about["parts"])
        raise UsageError(f"{printable(folder)}: expected one set, found one that is split; give "
                         f"one of {listed}")
    return about


def shape_of(folder):
    """(N, H, W, C) of a prepared set."""
    return tuple(check_about(folder)["shape"])


def rows_of(folder):
    """Its rows as `read_manifest` yields them."""
    check_about(folder)
    return read_manifest(folder)


def read_prepared(folder):
    """Map a prepared set.

    Returns:
        `PackedImages`.

    Raises:
        UsageError, DataError: It is not finished, damaged, or incomplete.
    """
    about = check_about(folder)
    rows = list(read_manifest(folder, ("name", "sha256")))
    try:
        array = open_pixels(folder, about)
        if array.shape != tuple(about["shape"]) or array.dtype != about["dtype"]:
            raise ValueError(f"images of {array.shape}, {array.dtype}")
        if len(rows) != len(array):
            raise ValueError(f"{len(array):,} images and {len(rows):,} rows in the manifest")
        source_shape = about.get("source_shape")
        return PackedImages(
            array, about["fingerprint"], tuple(row["name"] for row in rows),
            tuple(about["notices"]), {}, source_shape=source_shape and tuple(source_shape),
            digests=tuple(row["sha256"] for row in rows), intensity=about.get("intensity"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{printable(folder)}: expected a whole prepared set, found: "
                        f"{one_line(error)}; prepare it anew, or copy it again") from error


def open_pixels(folder, about):
    """The images of a set `[N, H, W, C]`: a memory map, or `Shards`, which read as one does."""
    if "shards" in about:
        return open_shards(folder, about)
    array = np.lib.format.open_memmap(Path(folder) / ARRAY, mode="r")
    if (Path(folder) / ARRAY).stat().st_size != array.offset + array.nbytes:
        raise ValueError(f"{ARRAY} of another length than it states")
    return array
