"""Which files of a folder are images, in an order that is the same everywhere."""

import collections
import os
from pathlib import Path

from stylegan2_tf.errors import DataError, UsageError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")

# What operating systems leave on disks and in archives; may be forbidden to enter.
SYSTEM_FOLDERS = ("lost+found", "__MACOSX")


def find_images(folder):
    """List the images below `folder`, however deep they lie.

    A file counts by its extension (any case of `EXTENSIONS`). Hidden files and
    folders are left out, and so are pipes and devices. Linked folders are not
    entered, so a loop of links ends; a linked file counts once, by its real path.

    Args:
        folder: Path of the folder; itself it may be a link.

    Returns:
        List of `Path`, each `folder` and a relative path, sorted by the bytes of
        the relative path: the same order under every locale and file system.

    Raises:
        UsageError: `folder` is missing or is not a folder.
        DataError: It holds no image, or one of its folders may not be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise UsageError(f"Expected a folder of images. {printable(folder)} {problem}.")
    images, others = list_files(folder)
    if not images:
        raise DataError(_nothing_found(folder, others))
    return images


def list_files(folder):
    """All files below `folder` as `find_images` goes through them: (images, others).

    Raises:
        DataError: One of the folders may not be read.
    """
    top, images, others = os.path.realpath(folder), [], []
    for entry in sorted(_walk(top), key=lambda entry: os.fsencode(entry.path)):
        (images if is_image(entry.name) else others).append(entry)
    return [[Path(folder) / path[len(top):].lstrip(os.sep) for path in _unlinked(entries)]
            for entries in (images, others)]


def is_image(path):
    """Whether a file counts as an image, by its name."""
    return os.path.splitext(path)[1].lower() in EXTENSIONS


def spread(count, total):
    """`count` indices below `total`, evenly spread from 0 on; `count` is at most `total`."""
    return [index * total // count for index in range(count)]


def printable(name):
    """Return `name` (a path or text) as one line that any terminal can show.

    Bytes that are not UTF-8 and control characters become escapes such as `\\udcff`.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in os.fspath(name))


def _walk(top):
    """Yield the `os.DirEntry` of every file below `top`, unsorted.

    These know what is a file without asking the disk for each, which network drives are slow at.
    """
    folders = [top]
    while folders:
        for entry in _entries(folders.pop()):
            if entry.name[0] == ".":
                continue
            if not entry.is_dir(follow_symlinks=False):
                if _may_be_read(entry):
                    yield entry
            elif entry.name not in SYSTEM_FOLDERS:
                folders.append(entry.path)


def _entries(folder):
    # `os.walk` would go on in silence, and a class or a subject would be missing.
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"Cannot read the folder {printable(folder)}: {error.strerror}.") from error


def _unlinked(entries):
    """The path of each file once, under that of its names that comes first."""
    first = {}
    for entry in entries:
        real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        first.setdefault(real, entry.path)
    return dict.fromkeys(first.values())


def _may_be_read(entry):
    """Tell pipes and devices, whose reading never ends, from files.

    A link that leads nowhere stays in: decoding then reports it with its reason.
    """
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    return os.path.isfile(entry.path) or not os.path.exists(entry.path)


def _nothing_found(folder, others):
    message = f"No images in {printable(folder)}: looked for {', '.join(EXTENSIONS)}"
    message += f" in it and its folders, found {len(others):,} other files"
    if others:
        counts = collections.Counter(path.suffix.lower() or "no extension" for path in others)
        kinds = (f"{count:,} {printable(kind)}" for kind, count in counts.most_common(5))
        message += f" ({', '.join(kinds)})"
    return message + "."
