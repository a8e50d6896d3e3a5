"""Opening a volume of any kind."""

import re

from stylegan2_tf.volumes.orientation import to_ras
from stylegan2_tf.volumes.volume import Identity, Volume, explained


def open_volume(source, frame=None):
    """Read a volume and turn its axes to the patient's right, front and top.

    NaN and infinity become the minimum, and a note says so.

    Args:
        source: A `VolumeSource`.
        frame: Which one of a volume with time, echoes or directions, counted from 0; None
            takes the first and says so in the notes.

    Returns:
        `Volume`.

    Raises:
        UnreadableVolume: With a reason of a few words, without the path.
        UsageError: nibabel or pydicom is not installed.
    """
    if source.kind == "dicom":
        from stylegan2_tf.volumes.dicom import read_series as read
    else:
        from stylegan2_tf.volumes.nifti import read_nifti as read
    notes = []
    with explained():
        voxels, affine, windows, patient = read(source.paths, frame, notes)
        voxels, affine, spacing = to_ras(voxels, affine, notes)
    return Volume(voxels, affine, spacing, windows, tuple(notes), identity(source.name, patient))


def identity(name, patient=None):
    """The `Identity` in a BIDS path; DICOM's PatientID stands in for a subject it lacks."""
    found = (re.search(rf"(?:^|[/_\\]){key}-([A-Za-z0-9]+)", name) for key in ("sub", "ses"))
    subject, session = (match and match[1] for match in found)
    return Identity(subject or patient, session)
