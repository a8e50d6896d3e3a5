"""Writing files so that a kill or a full disk never destroys the old one."""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path beside `path`; on success it takes the name of `path`.

    The temporary file keeps the suffix of `path`, because Pillow, Keras and
    matplotlib choose their format by it. After an error it is removed and the
    old file at `path` is intact.

    Args:
        path: Where the finished file shall lie. Its folder is created.

    Example:

    >>> with replacing("samples/grid.png") as temporary:
    ...     image.save(temporary)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path):
    """Flush a file or a folder to the disk, so that a rename cannot overtake its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path, text):
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, content):
    """Write `content` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def inside(path, folder):
    """Whether `path` is `folder` or lies in it, links followed; neither needs to exist."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder


def sha256(path):
    """Return the hexadecimal SHA-256 of the file at `path`, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(content):
    """Return the hexadecimal SHA-256 of `content` as JSON: what a file can say of itself."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def sweep(folder):
    """Remove what killed writers left in `folder` (names that start with `.tmp-`)."""
    for leftover in Path(folder).glob(".tmp-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
