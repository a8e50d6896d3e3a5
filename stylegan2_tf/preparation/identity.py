"""Who is on which image, in which session, and of which class; and the names that tell it.

Names are BIDS-like paths, `AD/sub-01/ses-02/<file>`, so that everything that reads subjects and
classes from the names of a folder reads them from a prepared set.
"""

import collections
import hashlib
import hmac
import posixpath
import re
from typing import NamedTuple

from stylegan2_tf.data import find_labels, find_subjects, printable
from stylegan2_tf.data.classes import ALL
from stylegan2_tf.data.division import SPLITS
from stylegan2_tf.data.subjects import SCHEMES, subject_scheme
from stylegan2_tf.errors import DataError
from stylegan2_tf.preparation.tables import labels_by_subject

MOST_CLASSES = 100  # that folders are taken for without being asked
SESSIONS = [re.compile(pattern) for pattern in (
    r"(?<![^\W_])ses-([A-Za-z0-9]+)", r"OAS[12]_[0-9]{4}_(MR[0-9]+)", r"_MR_(d[0-9]{4})",
    r"(?:^|/|_)(I[0-9]{3,8})(?:/|$|[._])")]  # the last is ADNI's number of an image
ENDINGS = re.compile(r"(\.nii)?\.(gz|nii|hdr|img|dcm|ima)$", re.IGNORECASE)


class Identity(NamedTuple):
    """Of one item; each is None where it is not known."""

    subject: str | None
    session: str | None
    label: str | None


def identify(items, options):
    """Which items are of a chosen class, and the `Identity` of each of these.

    A subject is known by `--subject-pattern`, else by one of `data.subjects.SCHEMES`; the
    patient's id of DICOM comes in when the file is read.

    Args:
        items: List of `sources.Item`.
        options: `Options`.

    Returns:
        (items kept, list of `Identity`).

    Raises:
        UsageError, DataError: A pattern or the classes do not fit; see `find_labels`.
    """
    names = [item.name for item in items]
    subjects = _subjects(items, names, options.subject_pattern)
    kept, labels = _labels(items, names, subjects, options)
    found = [Identity(subjects[index], _session(names[index]), label)
             for index, label in zip(kept, labels, strict=True)]
    return [items[index] for index in kept], found


def _subjects(items, names, pattern):
    if pattern is not None:
        return subject_scheme(names, pattern)[1]
    if items[0].kind == "row":
        return [item.row["subject"] or None for item in items]
    images = [name for item, name in zip(items, names, strict=True) if item.kind == "image"]
    known = iter(images and find_subjects(images) or [None] * len(images))
    return [next(known) if item.kind == "image" else _subject_of_volume(item.name)
            for item in items]


def _subject_of_volume(name):
    matches = (expression.search(name) for expression in SCHEMES.values())
    return next((match[1] for match in matches if match), None)


def _session(name):
    matches = (expression.search(name) for expression in SESSIONS)
    return next((match[1] for match in matches if match), None)


def _labels(items, names, subjects, options):
    """Indices of the items kept, and the class of each, None where there are no classes."""
    everything = range(len(items))
    classes = None if options.classes == ALL else options.classes
    if options.labels is not None:
        by_subject = labels_by_subject(options.labels, names, subjects, classes)
        if by_subject is not None:
            return by_subject
    if options.labels is None and any(item.label is not None for item in items):
        if classes is None:
            _check_labels(items)
        # The source itself tells them: as folders, so that the same rules hold.
        names = [f"{item.label}/{index}" if item.label is not None else str(index)
                 for index, item in enumerate(items)]
    elif options.classes is None and options.labels is None:
        return everything, _automatic(names, subjects)
    found = find_labels(names, classes=classes, labels=options.labels)
    return found.kept.tolist(), [found.classes[label] for label in found.labels]


def _check_labels(items):
    """Refuse a source that tells the class of some images only."""
    missing = [item.name for item in items if item.label is None]
    if missing:
        raise DataError(f"SOURCE: expected a class for each of {len(items):,} files in its "
                        f"dataset.json or manifest.csv, found none for {len(missing):,}, such as "
                        f"{printable(missing[0])}; add them, give --labels FILE.csv, or choose "
                        "--classes")


def _automatic(names, subjects):
    """The folders of the images where these look like classes: two or more, each of several
    subjects, of which none is in two. Folders around all images, as in most archives, are passed
    over, and so are parts of a data set (`train`, `test`) and what files are only spread by, such
    as `00012` or `disc1`."""
    folders = [name.split("/")[:-1] for name in names]
    around = len(posixpath.commonprefix(folders))
    tops = [next((folder for folder in path[around:] if not _is_part(folder)), None)
            for path in folders]
    people = collections.defaultdict(set)
    for index, (top, subject) in enumerate(zip(tops, subjects, strict=True)):
        people[top].add(index if subject is None else subject)
    alone = sum(map(len, people.values())) == len(set().union(*people.values()))
    several = all(len(members) > 1 for members in people.values())
    right = None not in people and 2 <= len(people) <= MOST_CLASSES and alone and several
    return tops if right else [None] * len(names)


def _is_part(folder):
    return (re.split(r"[_\W]", folder.lower())[-1] in SPLITS
            or re.fullmatch(r"[0-9]{4,}|disc[0-9]+", folder) is not None)


class Pseudonyms:
    """Stable names for people, sessions and files that nobody without the key can undo.

    HMAC-SHA256 (RFC 2104): a plain hash of an id is found by trying all ids.

    Args:
        key: Bytes that stay secret.
    """

    def __init__(self, key):
        self._key = key

    def __call__(self, kind, text, length=12):
        """`length` hexadecimal digits for a `text` of some `kind`, such as "subject"."""
        content = f"{kind}\0{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()[:length]


def distinct_labels(texts):
    """A dict: text -> what BIDS allows in a name, letters and digits, different for each.

    What would become the same, such as `1_2` and `12`, gets the start of its hash behind it.
    """
    plain = {text: re.sub(r"[^A-Za-z0-9]", "", text) for text in texts}
    counts = collections.Counter(plain.values())
    return {text: label if label and counts[label] == 1 else
            label + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
            for text, label in plain.items()}


def file_names(items, folders):
    """A file name for each item, different within each of the `folders` that they will lie in.

    That is the item's own, without the ending of a volume; with the folders before it where two
    would be the same.
    """
    whole = [item.name if item.kind != "volume" else ENDINGS.sub("", item.name) for item in items]
    short = [posixpath.basename(name) for name in whole]
    counts = collections.Counter(zip(folders, short, strict=True))
    names = [file if counts[folder, file] == 1 else name.replace("/", "_")
             for folder, file, name in zip(folders, short, whole, strict=True)]
    seen = collections.Counter()
    for place, key in enumerate(zip(folders, names, strict=True)):
        seen[key] += 1
        if seen[key] > 1:
            stem, dot, ending = names[place].partition(".")
            names[place] = f"{stem}-{seen[key]}{dot}{ending}"
    return names


def folder_of(label, subject, session):
    """`<class>/sub-<subject>/ses-<session>/`, with what is not known left out."""
    parts = [label and _as_folder(label), subject and f"sub-{subject}",
             session and f"ses-{session}"]
    return "".join(f"{part}/" for part in parts if part)


def _as_folder(label):
    return printable(label).replace("/", "_").strip() or "_"
