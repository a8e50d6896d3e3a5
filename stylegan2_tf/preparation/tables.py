"""A table of classes that names people instead of files, as ADNI's and OASIS' own do."""

import collections

from stylegan2_tf.data import printable
from stylegan2_tf.data.classes import check_present, read_table, wanted_classes
from stylegan2_tf.errors import DataError


def labels_by_subject(path, names, subjects, classes):
    """Read a CSV file with the columns `subject` and `label`.

    Args:
        path: The file. A subject may stand in many rows, but in one class only.
        names, subjects: Of each item; a subject is None where it is not known.
        classes: See `find_labels`.

    Returns:
        (indices of the items kept, class of each); None if the file has no column `subject`.

    Raises:
        UsageError, DataError: See `find_labels`; also if an item's subject is not known or stands
            in no row.
    """
    table = read_table(path, ("subject", "label"))
    if table is None:
        return None
    unknown = [name for name, subject in zip(names, subjects, strict=True) if subject is None]
    if unknown:
        raise DataError(f"--labels {printable(path)}: expected files whose names tell the subject, "
                        f"found {len(unknown):,} others, such as {printable(unknown[0])}; give "
                        "--subject-pattern, or a table with the columns file,label")
    found = [table.get(subject) for subject in subjects]
    missing = sorted({subject for subject, label in zip(subjects, found, strict=True)
                      if label is None})
    if missing:
        raise DataError(f"--labels {printable(path)}: expected a row for each subject, found none "
                        f"for {len(missing):,}, such as {printable(missing[0])}; add them, or "
                        "leave their files out with --include")
    wanted = wanted_classes(classes)
    if wanted is not None:
        check_present(wanted, collections.Counter(found), f"labels of {printable(path)}")
    kept = [place for place, label in enumerate(found) if wanted is None or label in wanted]
    return kept, [found[place] for place in kept]
