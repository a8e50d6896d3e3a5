"""Which class an image belongs to: by the folders it lies in, or by a CSV file.

A class has a name; its index counts the sorted names from 0.
"""

import collections
import csv
import posixpath
from typing import NamedTuple

import numpy as np

from stylegan2_tf.data.index import printable
from stylegan2_tf.errors import DataError, UsageError, one_line

ALL = "all"  # every class there is
COLUMNS = ("file", "label")  # that a file of labels must have
LISTED = 10  # names in a line for the user, at most, each of at most so many characters:
LONGEST = 60


class Labels(NamedTuple):
    """The classes of some images.

    Attributes:
        kept: Which images are of one of the classes: ascending indices, int64 `[K]`.
        classes: Names of the classes, a sorted tuple.
        labels: Class index of each image of `kept`, int64 `[K]`.
    """

    kept: np.ndarray
    classes: tuple
    labels: np.ndarray


def find_labels(names, *, classes=None, labels=None):
    """The class of each image, and which images are of a chosen class.

    Without `classes` the class of an image is its top folder. With `classes` it is the one of
    them that occurs among its folders, however deep: `AD,NC` finds `train/AD/1.png`, and leaves
    out images of other folders. With `labels` a file tells the classes, and no folder counts.

    Args:
        names: Relative paths, as in `PackedImages.names`.
        classes: Names of the classes, as a list or as a text with commas; None or `all` takes
            every class.
        labels: Path of a CSV file (UTF-8) with the columns `file` and `label`. `file` is a path
            as in `names`, or only the file name where no two images share it.

    Returns:
        `Labels`, also a tuple (indices kept, class names, class index of each image kept).

    Raises:
        UsageError: A class does not occur, an image is of two of them or of none although every
            class was taken, or there is no file `labels`.
        DataError: The file is no such table, or leaves out an image.
    """
    wanted = wanted_classes(classes)
    if labels is not None:
        found = _listed_labels(names, labels)
        if wanted is not None:
            check_present(wanted, collections.Counter(found), f"labels of {printable(labels)}")
            found = [label if label in wanted else None for label in found]
    elif wanted is not None:
        check_present(wanted, count_folders(names), "names of folders below the data folder")
        found = _chosen_folders(names, wanted)
    else:
        found = _top_folders(names)
    chosen = tuple(sorted(wanted or set(found)))
    index = {name: place for place, name in enumerate(chosen)}
    kept = [place for place, name in enumerate(found) if name is not None]
    return Labels(np.array(kept, np.int64), chosen,
                  np.array([index[found[place]] for place in kept], np.int64))


def count_folders(names):
    """How many images lie in a folder of each name, at any depth: a Counter."""
    return collections.Counter(folder for name in names for folder in set(name.split("/")[:-1]))


def counted(counts):
    """Names and counts on one line, such as `AD 5,120, NC 4,544`; the largest ones if many."""
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:LISTED]
    text = ", ".join(f"{printable(name)[:LONGEST]} {counts[name]:,}" for name in sorted(largest))
    more = len(counts) - len(largest)
    return f"{text} and {more:,} more" if more else text or "none"


def wanted_classes(classes):
    """The set of names that `classes` means; None for every class."""
    if classes is None:
        return None
    given = classes.split(",") if isinstance(classes, str) else classes
    wanted = {name.strip() for name in given}
    if wanted == {ALL}:
        return None
    if not wanted or "" in wanted or ALL in wanted:
        raise UsageError(f"--classes: expected `{ALL}` alone, or names such as AD NC or AD,NC; "
                         f"found {' and '.join(sorted(map(repr, wanted)))}; leave `{ALL}` and "
                         "empty names out")
    return wanted


def check_present(wanted, present, expected):
    """Refuse classes that nothing has; `present` counts those there are."""
    unknown = sorted(wanted - set(present))
    if unknown:
        listed = ", ".join(f"'{printable(name)[:LONGEST]}'" for name in unknown[:LISTED])
        raise UsageError(f"--classes: expected {expected}, found {listed}; "
                         f"present: {counted(present)}")


def _top_folders(names):
    """The first folder of each path; an image without one has no class, which is refused."""
    flat = [name for name in names if "/" not in name]
    if flat:
        raise UsageError(
            f"Expected every image in a folder that names its class, found {len(flat):,} of "
            f"{len(names):,} images in none, such as {printable(flat[0])}; sort them into "
            "folders, choose folders with --classes, or give --labels FILE.csv")
    return [name.split("/", 1)[0] for name in names]


def _chosen_folders(names, wanted):
    """The folder among `wanted` that each image lies in, or None."""
    among = [wanted.intersection(name.split("/")[:-1]) for name in names]
    torn = [place for place, folders in enumerate(among) if len(folders) > 1]
    if torn:
        both = " and ".join(printable(name) for name in sorted(among[torn[0]])[:2])
        raise UsageError(f"--classes: expected each image in one of the classes, found "
                         f"{len(torn):,} in two, such as {printable(names[torn[0]])} in {both}; "
                         "choose one of the two")
    return [next(iter(folders), None) for folders in among]


def _listed_labels(names, path):
    """The label of each image in the file at `path`; none may be missing."""
    table = read_table(path)
    files = [posixpath.basename(name) for name in names]
    copies = collections.Counter(files)
    found = [table.get(name, table.get(file) if copies[file] == 1 else None)
             for name, file in zip(names, files, strict=True)]
    missing = [name for name, label in zip(names, found, strict=True) if label is None]
    if missing:
        raise DataError(
            f"--labels {printable(path)}: expected a row for each of the {len(names):,} images, "
            f"found none for {len(missing):,}, such as {printable(missing[0])}; add them by their "
            "path below the data folder, or by their file name where no two share it")
    return found


def read_table(path, columns=COLUMNS):
    """The CSV file at `path` as a dict: first of two `columns` -> second.

    None if it lacks these, but has `COLUMNS`.
    """
    def bad(expected, found):
        return DataError(f"--labels {printable(path)}: expected {expected}, found {found}")

    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:  # Excel writes a mark
            return _table(csv.DictReader(stream, strict=True), columns, bad)
    except OSError as error:
        raise UsageError(f"--labels {printable(path)}: expected a CSV file, found: "
                         f"{error.strerror}") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise bad("UTF-8 text", f"the byte 0x{byte:02x}; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise bad("a CSV file", one_line(error)) from error


def _table(rows, columns, bad):
    rows.fieldnames = [(name or "").strip() for name in rows.fieldnames or ()]
    if not set(columns) <= set(rows.fieldnames):
        if set(COLUMNS) <= set(rows.fieldnames):
            return None
        found = printable(",".join(rows.fieldnames))[:200] or "an empty file"
        wanted = " or ".join(dict.fromkeys(map(",".join, (COLUMNS, columns))))
        raise bad(f"a first line with the columns {wanted}", found)
    table = {}
    for row in rows:
        key, label = ((row[column] or "").strip() for column in columns)
        if not key and not label:
            continue  # spreadsheets leave such rows at the end
        if not key or not label:
            raise bad(f"a {columns[0]} and a label in each row",
                      f"only one of them in line {rows.line_num}")
        if table.setdefault(posixpath.normpath(key), label) != label:
            raise bad(f"one label for a {columns[0]}",
                      f"two for {printable(key)} by line {rows.line_num}")
    return table
