"""`manifest.csv` of a prepared set: a row for each image, and the way back to its source.

Shapes: `H W` height and width in pixels, `C` channels.
"""

import csv
import json
import sys
from pathlib import Path

from stylegan2_tf.data import printable
from stylegan2_tf.errors import DataError, UsageError, one_line
from stylegan2_tf.files import replacing
from stylegan2_tf.volumes import Placement

MANIFEST = "manifest.csv"
COLUMNS = ("name", "source", "subject", "session", "slice", "class", "sha256", "spacing", "window",
           "transform")
# Names of files need not be UTF-8.
TEXT = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def write_manifest(folder, rows):
    """Write rows (iterables of text, as in `COLUMNS`) to `folder/manifest.csv`, whole or not."""
    with (replacing(Path(folder) / MANIFEST) as temporary,
          open(temporary, "w", **TEXT) as stream):
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(rows)


def read_manifest(folder, columns=COLUMNS):
    """Yield a row of the manifest of a prepared set after the other, each a dict of texts.

    Args:
        folder: The prepared set.
        columns: Which of `COLUMNS` to keep.

    Raises:
        DataError: The manifest is missing or damaged.
    """
    path = Path(folder) / MANIFEST
    kept = [(name, COLUMNS.index(name)) for name in columns]
    try:
        with open(path, **TEXT) as stream:
            table = csv.reader(stream)
            if tuple(next(table, ())) != COLUMNS:
                raise ValueError(f"other columns than {','.join(COLUMNS)}")
            for row in table:
                yield {name: sys.intern(row[place]) for name, place in kept}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise DataError(f"{printable(path)}: expected the manifest of a prepared set, found: "
                        f"{one_line(error)}") from error


def undo(row, array, order=1):
    """Bring an array in the place of a prepared image back to the pixels that it came from.

    For an image these are the pixels of its file, upright; for a slice its own square pixels,
    whose `affine` (row, column, 0, 1) -> mm stands in the transform, too.

    Args:
        row: A row of the manifest, as `read_manifest` yields it.
        array: `[H, W]` or `[H, W, C]` of the size of the prepared image, such as a mask.
        order: 1 for images, 0 for masks: exact where preparing has not made them smaller.

    Returns:
        (array of the size of the source, affine as a 4 x 4 list or None).

    Raises:
        UsageError: The row has no transform, or `array` has another size.
    """
    try:
        transform = json.loads(row["transform"])
        steps = [Placement.from_json(step) for step in transform["placements"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError("`manifest_row`: expected a row of manifest.csv with its transform, "
                         f"found: {one_line(error)}") from error
    for step in reversed(steps):
        array = step.undo(array, order=order)
    return array, transform.get("affine")
