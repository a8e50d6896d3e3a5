"""From NIfTI, Analyze and DICOM volumes to two-dimensional slices, and back.

Needs the extra `medical` (nibabel, pydicom); the names load on first use.
"""

from stylegan2_tf.lazy import lazy

_HOME = {
    "VOLUME_EXTENSIONS": "discovery",
    "VolumeSource": "discovery",
    "find_volumes": "discovery",
    "is_volume": "discovery",
    "Identity": "volume",
    "UnreadableVolume": "volume",
    "Volume": "volume",
    "open_volume": "reading",
    "SliceOptions": "choice",
    "Slice": "slicing",
    "read_slices": "slicing",
    "slice_grid": "slicing",
    "Placement": "placement",
    "write_nifti": "writing",
}

__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
