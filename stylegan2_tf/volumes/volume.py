"""What every kind of volume becomes once it is read, and what none may be.

Shapes: `X Y Z` voxels towards the patient's right, front and top (RAS).
"""

import contextlib
import dataclasses
import importlib
import warnings

import numpy as np

from stylegan2_tf.errors import StyleGANError, UsageError, one_line

# 813 voxels a side; with their copy as float32 they take 4 GB.
MAX_VOXELS = 2**29


class UnreadableVolume(ValueError):
    """This volume is damaged or of a kind that cannot be used; a reason without its path."""


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who was scanned, and when among their scans: no name, no date.

    Attributes:
        subject: From a BIDS path (`sub-01`), else DICOM's PatientID; None where unknown.
        session: From a BIDS path (`ses-02`); None where unknown.
    """

    subject: str | None = None
    session: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """A volume with its axes turned to right, anterior, superior.

    Attributes:
        voxels: `[X, Y, Z]`, float32, or the integers of the file where these need no scale.
        affine: `[4, 4]` float64: (x, y, z, 1) in voxels -> mm, RAS.
        spacing: mm between voxels along the three axes.
        windows: ((low, high), ...) in the units of `voxels` from DICOM tags, the first of them
            to be used; None where there are none.
        notes: Sentences about what was assumed or changed.
        identity: `Identity`.
    """

    voxels: np.ndarray
    affine: np.ndarray
    spacing: tuple
    windows: tuple | None
    notes: tuple
    identity: Identity


@contextlib.contextmanager
def explained():
    """Inside, whatever a damaged file makes other packages raise is an `UnreadableVolume`."""
    try:
        yield
    except (UnreadableVolume, StyleGANError):
        raise
    except EOFError:
        raise UnreadableVolume("the file is cut short") from None
    except OSError as error:
        raise UnreadableVolume(error.strerror or one_line(error)) from None
    except MemoryError:
        raise UnreadableVolume("too large for the memory of this computer") from None
    except Exception as error:  # nearly every kind comes
        raise UnreadableVolume(f"damaged: {one_line(error) or type(error).__name__}") from error


def import_medical(name):
    """The module `name` of the extra `medical`. Raises `UsageError` where it is not installed."""
    try:
        with warnings.catch_warnings():  # of what such packages find outdated in each other
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        raise UsageError(f"volumes and DICOM need {name.partition('.')[0]}, which is not "
                         'installed: pip install "stylegan2_tf[medical]"') from None


def check_size(shape):
    """Refuse, before anything is read, sides that no volume has or more than `MAX_VOXELS`."""
    if min(shape) < 1:
        raise UnreadableVolume(f"its header states {sides(shape)} voxels")
    count = 1
    for side in shape:
        count *= int(side)
    if count > MAX_VOXELS:
        raise UnreadableVolume(f"{sides(shape)} voxels, more than {MAX_VOXELS:,} in all")


def which_frame(frame, frames, notes):
    """The number of the frame to read of so many; notes which if nobody asked for one."""
    if frame is None and frames > 1:
        notes.append(f"the first of {frames:,} frames is used; --frame chooses another")
    if (frame or 0) >= frames:
        raise UnreadableVolume(f"--frame {frame} asked for, but it has " +
                               (f"frames 0 to {frames - 1}" if frames > 1 else "only one frame"))
    return frame or 0


def sides(shape):
    """`shape` as `256 x 256 x 128`."""
    return " x ".join(str(side) for side in shape)


def finite(voxels, notes):
    """Floats as float32 without NaN and infinity, for which the minimum stands; notes it.

    Args:
        voxels: Any array; one of integers is returned as it is.
        notes: A list to which a sentence is added.
    """
    if voxels.dtype.kind != "f":
        return voxels
    with np.errstate(over="ignore"):
        voxels = voxels.astype(np.float32, copy=False)
    good = np.isfinite(voxels)
    count = voxels.size - np.count_nonzero(good)
    if count == voxels.size:
        raise UnreadableVolume("no voxel is a finite number")
    if count:
        least = voxels.min(where=good, initial=np.inf)
        voxels = np.where(good, voxels, least)
        notes.append(f"{count:,} voxels that were NaN or infinite are set to the minimum "
                     f"{least:g}")
    return voxels
