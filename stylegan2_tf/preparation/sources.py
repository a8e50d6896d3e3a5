"""What a source holds: images and volumes of a folder, an archive, or a file; or a prepared set."""

import fnmatch
import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from stylegan2_tf.data import UnreadableImage, printable
from stylegan2_tf.data.index import is_image, list_files
from stylegan2_tf.errors import DataError, UsageError, one_line
from stylegan2_tf.preparation import archives
from stylegan2_tf.preparation.prepared import is_prepared, read_prepared, rows_of
from stylegan2_tf.volumes import find_volumes, is_volume

LISTING = "dataset.json"  # of StyleGAN2-ADA: the class of each image
LISTING_BYTES = 2**30


class Item(NamedTuple):
    """One image or volume of a source.

    Attributes:
        name: Its path below the source, with `/`.
        kind: "image", "volume" or "row" of a prepared set.
        place: Path or `archives.Member` of an image, `VolumeSource`, or (folder, row number).
        label: Name of its class where the source itself tells it, else None.
        row: What the manifest of a prepared set says of it, else None.
    """

    name: str
    kind: str
    place: Any
    label: str | None = None
    row: dict | None = None


class Found(NamedTuple):
    """The items of a source, images first, and relative path -> reason of what was refused."""

    items: list
    refused: dict


def scan(source, scratch, include=None):
    """Find what a source holds, sorted by name.

    Args:
        source: Path of a folder, a `.zip` archive, a volume, or a prepared set.
        scratch: Folder where volumes of an archive are unpacked.
        include: A pattern such as `*masked*` that the relative path must match.

    Returns:
        `Found`.

    Raises:
        UsageError: There is nothing at `source`, or something of another kind; or `include`
            matches nothing of it.
        DataError: It holds neither image nor volume.
    """
    source = Path(source)
    if not source.exists():
        raise UsageError(f"SOURCE: expected a folder, a .zip archive or a volume, found nothing at "
                         f"{printable(source)}")
    if is_prepared(source):
        found = _prepared(source)
    elif source.is_dir():
        found = _folder(source)
    elif source.suffix.lower() == ".zip":
        found = _archive(source, scratch)
    elif is_volume(source):
        found = _volumes([source, *_partner(source)], source.parent)
    else:
        raise UsageError(f"SOURCE: expected a folder, a .zip archive or a volume, found the file "
                         f"{printable(source)}")
    items = [item for item in found.items if _matches(item.name, include)]
    if not items:
        kind = UsageError if include is not None and found.items else DataError
        raise kind(_nothing_in(source, found, include))
    return Found(items, {name: reason for name, reason in found.refused.items()
                         if _matches(name, include)})


def state_of(source):
    """A text that changes when the source does: names, sizes and times of its files."""
    source, digest = Path(os.path.abspath(source)), hashlib.sha256()
    if is_prepared(source):
        return read_prepared(source).fingerprint
    above = len(os.path.join(source if source.is_dir() else source.parent, ""))
    for path in _files_that_count(source):
        try:
            status = os.stat(path)
        except OSError:
            continue
        digest.update(os.fsencode(f"{os.fspath(path)[above:]}\0{status.st_size}\0"
                                  f"{status.st_mtime_ns}\n"))
    return digest.hexdigest()


def _files_that_count(source):
    """Those that `scan` would look at: a table or a note beside them may change."""
    if not source.is_dir():
        return [source, *_partner(source)]
    images, others = list_files(source)
    return images + [path for path in others if path == source / LISTING or is_volume(path)]


def _folder(folder):
    images, others = list_files(folder)
    labels = _labels((folder / LISTING).read_bytes() if (folder / LISTING).is_file() else None,
                     folder)
    names = [path.relative_to(folder).as_posix() for path in images]
    items = [Item(name, "image", os.fspath(path), labels.get(name))
             for name, path in zip(names, images, strict=True)]
    others = [path for path in others if is_volume(path)]
    volumes = _volumes(others, folder) if others else Found([], {})
    return Found(items + volumes.items, volumes.refused)


def _volumes(paths, top):
    sources, refused = find_volumes(paths, top)
    return Found([Item(volume_name(volume, top), "volume", volume) for volume in sources], refused)


def volume_name(volume, top):
    """The relative path of a volume's file; that of the folder of a DICOM series."""
    if volume.kind == "dicom":
        return volume.name
    return Path(os.path.relpath(volume.paths[0], os.path.realpath(top))).as_posix() if (
        os.path.realpath(volume.paths[0]).startswith(os.path.realpath(top))) else volume.name


def _partner(path):
    """The other half of an Analyze pair."""
    other = {".hdr": ".img", ".img": ".hdr"}.get(path.suffix.lower())
    return [path.with_suffix(other)] if other and path.with_suffix(other).exists() else []


def _archive(path, scratch):
    members, refused = archives.list_members(path)
    listing = next((member for member in members if member.name == LISTING), None)
    try:
        labels = _labels(listing and _read_listing(listing), path)
    except UnreadableImage as error:
        raise DataError(f"{printable(path)}: expected a readable {LISTING}, found: "
                        f"{error}") from error
    items = [Item(member.name, "image", member, labels.get(member.name))
             for member in members if is_image(member.name)]
    extracted = []
    for member in members:
        if is_image(member.name) or not (is_volume(member.name) or archives.is_dicom(member)):
            continue
        target = Path(scratch) / member.name
        if not (os.path.isfile(target) and os.path.getsize(target) == member.size):
            try:
                archives.extract_volume(member, target)
            except UnreadableImage as error:
                refused[member.name] = str(error)
                continue
        extracted.append(target)
    volumes = _volumes(extracted, scratch) if extracted else Found([], {})
    return Found(items + volumes.items, {**refused, **volumes.refused})


def _read_listing(member):
    if member.size > LISTING_BYTES:
        raise UnreadableImage(f"{member.size:,} bytes")
    return archives.read_member(member)


def _labels(content, source):
    """Relative path -> name of the class, as StyleGAN2-ADA's `dataset.json` tells; {} if it does
    not."""
    if content is None:
        return {}
    try:
        pairs = json.loads(content)["labels"]
        if pairs is None:
            return {}
        # Vectors of classes are not known here; neither are fractions.
        labels = {name: int(label) for name, label in pairs if type(label) is int}
        if len(labels) != len(pairs) or min(labels.values(), default=0) < 0:
            raise ValueError("labels that are no whole numbers")
        digits = len(str(max(labels.values(), default=0)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{printable(source)}: expected {LISTING} as StyleGAN2-ADA writes it, "
                        f"{{\"labels\": [[\"00000/img.png\", 3], ...]}} or null, found: "
                        f"{one_line(error)}") from error
    return {name: f"{label:0{digits}}" for name, label in labels.items()}


def has_labels(folder):
    """Whether a folder has a `dataset.json` with classes."""
    path = Path(folder) / LISTING
    return path.is_file() and bool(_labels(path.read_bytes(), folder))


def _prepared(folder):
    return Found([Item(row["name"], "row", (os.fspath(folder), number), row["class"] or None, row)
                  for number, row in enumerate(rows_of(folder))], {})


def _matches(name, include):
    return include is None or fnmatch.fnmatchcase(name, include)


def _nothing_in(source, found, include):
    text = f"Neither images nor volumes in {printable(source)}"
    if include is not None and found.items:
        text = (f"--include: expected a pattern that paths below {printable(source)} match, found "
                f"{include!r}, which none of {len(found.items):,} does, such as "
                f"{printable(found.items[0].name)}")
    for name, reason in list(found.refused.items())[:1]:
        text += f"; {len(found.refused):,} were refused, such as {printable(name)}: {reason}"
    return text
