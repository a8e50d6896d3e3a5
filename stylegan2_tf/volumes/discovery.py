"""Which files are volumes, and which of them belong together."""

import collections
import dataclasses
import os
import re
from pathlib import Path

from stylegan2_tf.volumes.headers import read_membership
from stylegan2_tf.volumes.volume import UnreadableVolume

VOLUME_EXTENSIONS = (".nii", ".nii.gz", ".hdr", ".img", ".dcm", ".ima")
PAIR = (".hdr", ".img")


@dataclasses.dataclass(frozen=True)
class VolumeSource:
    """The files of one volume.

    Attributes:
        name: Relative path of the file without its extension, or of the series' folder, with
            `_series<n>` behind it if the folder holds several.
        paths: Absolute paths; of a pair the header comes first.
        kind: "nifti" (one file), "analyze" (header and image, Analyze or NIfTI) or "dicom".
    """

    name: str
    paths: tuple
    kind: str


def is_volume(path):
    """Whether the file is a volume or part of one by its name.

    DICOM files often have no extension or the end of a number (`IM0001`, `1.2.840.3`); of
    these the four letters at byte 128 are read.
    """
    name = os.path.basename(path)
    if extension(name):
        return True
    if name.upper() == "DICOMDIR" or not re.fullmatch(r"|\.\d+", os.path.splitext(name)[1]):
        return False
    try:
        if not os.path.isfile(path):  # reading a pipe never ends
            return False
        with open(path, "rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def extension(name):
    """Which of `VOLUME_EXTENSIONS` the name of a file ends in; "" if none."""
    lower = name.lower()
    return next((known for known in (".nii.gz", *VOLUME_EXTENSIONS)
                 if lower.endswith(known) and len(lower) > len(known)), "")


def find_volumes(paths, top):
    """Group files that are volumes.

    `.hdr` and `.img` of one name are one volume; DICOM files are one a folder and series.

    Args:
        paths: Files, each of which `is_volume`; others are left out.
        top: Folder that names are relative to.

    Returns:
        (list of `VolumeSource` sorted by the bytes of their names, dict of relative path ->
        reason, of the files that are refused already here).

    Raises:
        UsageError: There are DICOM files, but pydicom is not installed.
    """
    top = os.path.realpath(top)
    groups, refused, series = {}, {}, collections.defaultdict(dict)
    for path in sorted(map(os.path.abspath, map(os.fspath, paths)), key=os.fsencode):
        # The folder may be reached by a link, but a linked file keeps its own name.
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        relative, kind = os.path.relpath(path, top), extension(os.path.basename(path))
        if not os.path.isfile(path):
            refused[relative] = "not a file"
        elif kind in PAIR:
            groups.setdefault((path[:-len(kind)], "analyze"), {})[kind] = path
        elif kind.startswith(".nii"):
            groups[path[:-len(kind)], kind] = {kind: path}
        elif is_volume(path):
            try:
                uid, number = read_membership(path)
                series[os.path.dirname(path)].setdefault(uid, []).append((number, path))
            except UnreadableVolume as error:
                refused[relative] = str(error)
    found = _files(groups, top, refused)
    for folder, members in series.items():
        found += _series(folder, members, top)
    return sorted(found, key=lambda source: os.fsencode(source.name)), refused


def _files(groups, top, refused):
    """Sources of single files and pairs."""
    found = []
    stems = collections.Counter(stem for stem, _ in groups)
    for (stem, kind), parts in groups.items():
        if kind == "analyze" and len(parts) < 2:
            [(there, path)] = parts.items()
            refused[os.path.relpath(path, top)] = (
                f"no {next(other for other in PAIR if other != there)} of that name beside it")
            continue
        # `a.nii` and `a.nii.gz` are two: they keep what tells them apart.
        name = stem if stems[stem] == 1 else next(iter(parts.values()))
        found.append(VolumeSource(
            os.path.relpath(name, top), tuple(parts[part] for part in sorted(parts)),
            "analyze" if kind == "analyze" else "nifti"))
    return found


def _series(folder, members, top):
    """Sources of the DICOM series in one folder."""
    name = os.path.relpath(folder, top)
    name = Path(top).name or "series" if name == os.curdir else name
    # In the order of their numbers; by the first file where scanners gave none.
    ordered = sorted(members.values(), key=lambda files: (files[0][0] is None, files[0]))
    numbers = [files[0][0] for files in ordered]
    if None in numbers or len(set(numbers)) < len(numbers):
        numbers = range(1, len(ordered) + 1)
    return [VolumeSource(name if len(ordered) == 1 else f"{name}_series{number}",
                         tuple(path for _, path in files), "dicom")
            for number, files in zip(numbers, ordered, strict=True)]
