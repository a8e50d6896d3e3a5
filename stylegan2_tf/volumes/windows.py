"""Which values of a volume become black and white, and the grey of those between."""

import math

import numpy as np

from stylegan2_tf.volumes.choice import centre_and_width
from stylegan2_tf.volumes.volume import UnreadableVolume

PERCENTILES = 0.5, 99.5
SAMPLE = 2**24  # voxels that percentiles are taken of; 256 x 256 x 256 are all


def find_window(volume, rule):
    """One window for all slices of a volume, so that they keep their relative brightness.

    Rules:
        percentile: From the 0.5th to the 99.5th percentile of all voxels that are not
            background, which is the median of the volume's six faces (0 around a brain
            without its skull, air in CT). Of more than 2^24 voxels every second, third, ...
            along each axis is taken. If both are equal, as in a mask: minmax.
        minmax: From the lowest to the highest voxel.
        wl=CENTRE,WIDTH: From centre - width / 2 to centre + width / 2.
        dicom: The first one of the DICOM tags.

    Args:
        volume: A `Volume`.
        rule: See above.

    Returns:
        (low, high), floats in the volume's own units.

    Raises:
        UnreadableVolume: It has no such tags, or one value everywhere.
    """
    if rule == "dicom":
        if not volume.windows:
            raise UnreadableVolume("no window in DICOM tags, which --window dicom asks for")
        return volume.windows[0]
    if centre_and_width(rule):
        centre, width = centre_and_width(rule)
        return centre - width / 2, centre + width / 2
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    if low == high:
        raise UnreadableVolume(f"every voxel has the value {low:g}")
    inner = _percentiles(volume.voxels) if rule == "percentile" else (low, high)
    return inner if inner[0] < inner[1] else (low, high)


def to_grey(values, window, white):
    """Values in the volume's units as whole grey values.

    `round((value - low) / (high - low) * white)` between 0 and `white`: integers whose window
    is exactly (0, white) stay as they are.

    Args:
        values: Array of any shape.
        window: (low, high).
        white: 255 or 65535.

    Returns:
        uint8 or uint16 array of that shape.
    """
    low, high = window
    grey = (values.astype(np.float64) - low) * (white / (high - low))
    return grey.round().clip(0, white).astype(np.uint8 if white == 255 else np.uint16)


def _percentiles(voxels):
    faces = [np.moveaxis(voxels, axis, 0)[side].ravel() for axis in range(3) for side in (0, -1)]
    background = np.median(np.concatenate(faces))
    step = math.ceil((voxels.size / SAMPLE) ** (1 / 3))
    sample = voxels[::step, ::step, ::step]
    inside = sample[sample != background]
    if not inside.size:
        return 0.0, 0.0
    low, high = np.percentile(inside, PERCENTILES)
    return float(low), float(high)
