"""Generated images as NIfTI: in units of the scans they imitate, and over one of them.

Shapes: `H W` space, `C` channels.
"""

import dataclasses
import math
import os
import re
from pathlib import Path

import numpy as np

from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.latent.formats import to_uint16
from stylegan2_tf.volumes import (
    Placement,
    UnreadableVolume,
    find_volumes,
    is_volume,
    open_volume,
    slice_grid,
    write_nifti,
)
from stylegan2_tf.volumes.choice import AXES
from stylegan2_tf.volumes.placement import placement

WHITE = 65535


@dataclasses.dataclass(frozen=True, eq=False)
class Sheet:
    """Where images lie and what their values stand for.

    Attributes:
        placement: How a slice of the scan lies in the network's image; None to keep that.
        affine: `[4, 4]`: (row, column, 0, 1) -> mm in RAS; None for axial, 1 mm a pixel, the
            middle at 0.
        scale: (slope, inter): from 0 (black) to 65535 (white) to values.
    """

    placement: Placement | None = None
    affine: np.ndarray | None = None
    scale: tuple = (1.0, 0.0)

    def write(self, path, image):
        """Write an image `[H, W, 1]` in `[-1, 1]` as NIfTI with 16 bits to `path`."""
        if self.placement is not None:
            image = self.placement.undo(image, fill=-1.0)
        affine = _flat(image.shape) if self.affine is None else self.affine
        write_nifti(path, to_uint16(image[None, ..., 0]), affine, self.scale)


def lay_over(text, resolution, fit):
    """Find the slice of a volume that images shall lie over.

    Args:
        text: `VOLUME[:AXIS][:INDEX]`: a file or the folder of a DICOM series; "axial",
            "coronal" or "sagittal" (axial); the slice in voxels from below, behind or left (the
            middle one).
        resolution: (height, width) of the network's images.
        fit: How training images were brought to that.

    Returns:
        (`Sheet` without a scale, a sentence that says which slice it is, sentences about what
        was assumed in reading the volume).

    Raises:
        UsageError: There is no such slice, or `text` is no volume.
        DataError: The volume can't be read.
    """
    path, axis, index = _parse(text)
    try:
        volume = open_volume(_source(path))
        count = volume.voxels.shape[AXES.index(axis)]
        index = count // 2 if index is None else index
        if index >= count:
            raise UsageError(f"--like: expected one of {count} {axis} slices, 0 to {count - 1}, "
                             f"found {index}")
        shape, affine, spacing = slice_grid(volume, axis, index)
    except UnreadableVolume as error:
        raise DataError(f"--like {path}: expected a volume that can be read, found: "
                        f"{error}") from error
    about = (f"{axis} slice {index} of {count}: {shape[0]}x{shape[1]} pixels of "
             f"{spacing[0]:.4g} mm")
    return Sheet(placement(shape, resolution, fit), affine), about, volume.notes


def scale_of(manifest):
    """What 0 and 65535 stand for, where the training images came from volumes.

    Args:
        manifest: That of the model; its entry `intensity` is optional:
            `{"low": ..., "high": ...}`, the values that became black and white.

    Returns:
        ((slope, inter), what values are).
    """
    window = manifest.get("intensity")
    numbers = [window.get(name) for name in ("low", "high")] if isinstance(window, dict) else []
    usable = len(numbers) == 2 and all(
        isinstance(number, int | float) and not isinstance(number, bool) and
        math.isfinite(number) for number in numbers) and numbers[0] < numbers[1]
    if usable:
        low, high = map(float, numbers)
        return ((high - low) / WHITE, low), f"{low:g} (black) to {high:g} (white), as in training"
    why = "the manifest's intensity is no window" if window is not None else (
        "the manifest states no window of the scans")
    return (1.0, 0.0), f"0 (black) to {WHITE} (white), for {why}"


def _parse(text):
    """(path, axis, index or None)."""
    if os.path.exists(text):
        return text, "axial", None
    path, axis, index = re.fullmatch(rf"(.*?)(?::({'|'.join(AXES)}))?(?::(\d{{1,9}}))?", text,
                                     re.DOTALL | re.ASCII).groups()
    if not os.path.exists(path):
        raise UsageError("--like: expected VOLUME[:AXIS][:INDEX] such as scan.nii.gz:87, found "
                         f"no file {path}")
    return path, axis or "axial", index and int(index)


def _source(path):
    """The `VolumeSource` at `path`."""
    path = Path(path)
    if path.is_dir():
        top, files = path, sorted(entry.path for entry in os.scandir(path) if entry.is_file())
    else:  # header and image of a pair lie beside each other
        top = path.absolute().parent
        ends = {".hdr": ".img", ".img": ".hdr"}
        files = [path, *(other for other in top.iterdir()
                         if other.stem == path.stem
                         and other.suffix.lower() == ends.get(path.suffix.lower()))]
    found, refused = find_volumes(filter(is_volume, files), top)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"--like {path}: expected one volume, found {len(found)}, such as "
                         f"{found[0].name} and {found[1].name}; name a file, or give a series "
                         "its own folder")
    reason = next(iter(refused.values()), "no volume (.nii, .nii.gz, .hdr and .img, DICOM)")
    raise DataError(f"--like {path}: expected a volume that can be read, found: {reason}")


def _flat(shape):
    """An axial plane with square pixels of 1 mm around 0, the front on top, left on the left."""
    affine = np.zeros((4, 4))
    affine[1, 0], affine[0, 1], affine[2, 2], affine[3, 3] = -1, 1, 1, 1
    affine[1, 3], affine[0, 3] = (shape[0] - 1) / 2, -(shape[1] - 1) / 2
    return affine
