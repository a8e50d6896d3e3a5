"""Slices of a volume as images, the way one looks at brains.

Neurological convention: axial slices have the front on top and the patient's left on the left,
coronal ones the head's top on top and left on the left, sagittal ones the top on top and the
front on the left.

Shapes: `H W` height and width in pixels; `X Y Z` voxels in RAS.
"""

import dataclasses

import numpy as np
from PIL import Image

from stylegan2_tf.volumes.choice import AXES, chosen
from stylegan2_tf.volumes.reading import open_volume
from stylegan2_tf.volumes.volume import UnreadableVolume, sides
from stylegan2_tf.volumes.windows import find_window, to_grey

BRIGHT = 0.1  # of the window: noise in air is darker, the darkest tissue is brighter
MAX_SIDE, MAX_PIXELS = 2**14, 2**25  # of a slice, which thin voxels could make endless


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
    """One slice of a volume as an image with square pixels.

    Attributes:
        pixels: uint8 or uint16 `[H, W, 1]`.
        index: Which one, in RAS voxels along the axis.
        spacing: mm between its rows and between its columns.
        affine: `[4, 4]`: (row, column, 0, 1) -> mm in RAS; the third column is the step to
            the next slice.
        window: (low, high) in the volume's units that became 0 and white.
        notes: What was assumed or changed in reading the volume.
    """

    pixels: np.ndarray
    index: int
    spacing: tuple
    affine: np.ndarray
    window: tuple
    notes: tuple


def read_slices(source, options):
    """Read a volume once and cut it into slices.

    Voxels that are not square in the plane are resampled (bicubic, within the range of their
    slice) to the finer spacing, so that proportions are kept.

    Args:
        source: A `VolumeSource`.
        options: `SliceOptions`.

    Returns:
        An iterator of `Slice`, by ascending index.

    Raises:
        UnreadableVolume: It can't be read or no slice is left; before the first is yielded.
    """
    volume = open_volume(source, options.frame)
    axis = AXES.index(options.axis)
    shape, *_ = slice_grid(volume, options.axis, 0)
    if max(shape) > MAX_SIDE or shape[0] * shape[1] > MAX_PIXELS:
        raise UnreadableVolume(f"{options.axis} slices would have {sides(shape)} pixels of "
                               f"{min(volume.spacing):g} mm")
    window = find_window(volume, options.window)
    indices = _choose(volume.voxels, axis, options, window)
    return (_slice(volume, options, index, window) for index in indices)


def slice_grid(volume, axis, index):
    """Where the pixels of a slice lie.

    Args:
        volume: A `Volume`.
        axis: "axial", "coronal" or "sagittal".
        index: Which slice, in RAS voxels.

    Returns:
        ((height, width), affine, spacing) as in `Slice`.

    Raises:
        UnreadableVolume: The volume is a single plane, seen from its edge.
    """
    number = AXES.index(axis)
    # Rows lead down, or from front to back: against z and, in axial slices, against y.
    across, down = [other for other in range(3) if other != number]
    old = volume.voxels.shape[down], volume.voxels.shape[across]
    if min(old) < 2:
        raise UnreadableVolume(f"{axis} slices have {sides(old)} voxels; another --axis may do")
    steps = volume.spacing[down], volume.spacing[across]
    shape = tuple(max(2, round(count * step / min(steps)))
                  for count, step in zip(old, steps, strict=True))
    places = np.zeros((4, 4))  # (row, column, slice, 1) -> (x, y, z, 1) in voxels
    mirrored = axis == "sagittal"
    for column, (target, flipped) in enumerate(((down, True), (across, mirrored))):
        scale = old[column] / shape[column]
        places[target, column] = -scale if flipped else scale
        edge = scale / 2 - 0.5  # of the first pixel's centre: edges coincide, not centres
        places[target, 3] = old[column] - 1 - edge if flipped else edge
    places[number, 2], places[number, 3], places[3, 3] = 1, index, 1
    affine = volume.affine @ places
    return shape, affine, tuple(
        float(length) for length in np.linalg.norm(affine[:3, :2], axis=0))


def _choose(voxels, axis, options, window):
    """Indices of the slices to yield: named, not empty, and at most `per_volume`."""
    count = voxels.shape[axis]
    named = chosen(options.slices, count)
    if not named:
        raise UnreadableVolume(f"no slice in {options.slices}, for it has {count} "
                               f"{options.axis} slices")
    bright = window[0] + BRIGHT * (window[1] - window[0])
    planes = np.moveaxis(voxels, axis, 0)  # a view, where `take` copies the whole volume
    left = [index for index in named if np.mean(planes[index] > bright) >= options.empty]
    if not left:
        raise UnreadableVolume(f"all {len(named)} chosen slices are empty: in each, less than "
                               f"{options.empty:.3g} is brighter than a tenth of the window")
    if options.per_volume is None or options.per_volume >= len(left):
        return left
    # The middles of so many equal parts.
    parts = options.per_volume
    return [left[(2 * part + 1) * len(left) // (2 * parts)] for part in range(parts)]


def _slice(volume, options, index, window):
    axis = AXES.index(options.axis)
    shape, affine, spacing = slice_grid(volume, options.axis, index)
    plane = np.moveaxis(volume.voxels, axis, 0)[index].T[::-1]
    if options.axis == "sagittal":
        plane = plane[:, ::-1]
    if plane.shape != shape:
        plane = _resample(plane, shape)
    pixels = to_grey(plane, window, options.white)[..., None]
    return Slice(pixels, index, spacing, affine, window, volume.notes)


def _resample(plane, shape):
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    resized = np.asarray(picture.resize(shape[::-1], Image.Resampling.BICUBIC))
    return resized.clip(plane.min(), plane.max())
