"""The list that `generate` writes beside its images, and what of a folder it may replace.

The list is complete before the first image is drawn, under a hidden name that it changes for
`seeds.csv` after the last one: whenever a kill comes, the images are listed, and `seeds.csv`
names none that is not there.
"""

import csv
import os
import re
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.errors import OutputError

LIST, UNFINISHED = "seeds.csv", ".unfinished-seeds.csv"
GRID = "grid.png"
COLUMNS = ("file", "seed", "class", "truncation_psi", "noise", "strength", "direction",
           "direction_name", "model_sha256")
OURS = re.compile(r"seed[0-9]{5,10}(_[+-][0-9.e+-]{1,12})?\.(png|npy|nii\.gz)")
NEW = "give a new folder, or move it away"


def listed(folder):
    """Names of the images that `generate` has listed in `folder`; None if it has not.

    They need not be there: another may have removed them, or `generate` was stopped.
    """
    lists = [_read(Path(folder) / name) for name in (LIST, UNFINISHED)]
    return None if lists == [None, None] else set().union(*filter(None, lists))


def check_folder(folder):
    """Refuse a folder where `generate` would mix with or replace what it has not listed.

    Raises:
        OutputError: See above; or `folder` is a file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        if os.path.lexists(folder):
            raise OutputError(f"OUT {folder}: expected a folder that can be written, found: a "
                              "file")
        return
    known = listed(folder)
    if _read(folder / LIST) is None and os.path.lexists(folder / LIST):
        raise OutputError(f"OUT {folder}: expected none or that of an earlier generate, found "
                          f"another {LIST}; {NEW}")
    own = {GRID, *known} if known is not None else set()
    names = sorted(entry.name for entry in os.scandir(folder))
    strange = [name for name in names
               if (name == GRID or OURS.fullmatch(name)) and name not in own]
    if strange:
        more = f" and {len(strange) - 1:,} more" * (len(strange) > 1)
        raise OutputError(f"OUT {folder}: expected no images but those of its {LIST}, found "
                          f"{strange[0]}{more}; {NEW}")


def clear(folder):
    """Remove what an earlier `generate` left in `folder`. Returns how many images that were."""
    folder, known = Path(folder), listed(folder)
    if known is None:
        return 0
    if _read(folder / LIST) is not None:  # a kill in the middle leaves no list of what is gone
        os.replace(folder / LIST, folder / UNFINISHED)
    found = [folder / name for name in known if os.path.lexists(folder / name)]
    for path in (*found, folder / GRID):
        path.unlink(missing_ok=True)
    files.sweep(folder)
    return len(found)


def begin(folder, rows):
    """Write the list of what will be drawn: `rows` with values of `COLUMNS`."""
    with (files.replacing(Path(folder) / UNFINISHED) as temporary,
          open(temporary, "w", encoding="utf-8", newline="") as stream):
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        table.writerows(rows)


def finish(folder):
    """All that is listed is there: the list takes its name."""
    os.replace(Path(folder) / UNFINISHED, Path(folder) / LIST)
    files.sync(folder)


def _read(path):
    """Names in a list of `generate`; None if there is none, or another file."""
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            table = csv.reader(stream)
            if tuple(next(table, ()))[:2] != COLUMNS[:2]:
                return None
            names = {row[0] for row in table}
    except (OSError, ValueError, csv.Error, IndexError):
        return None
    return names if all(map(OURS.fullmatch, names)) else None
