"""Turning voxels so that their axes lead to the patient's right, front and top (RAS)."""

import numpy as np

from stylegan2_tf.volumes.volume import UnreadableVolume, import_medical

OBLIQUE = 1.0  # degrees: what is nearer to the patient's axes is not worth a note
SPACING = 1e-3, 1e3  # mm between voxels, least and most

DEFAULT = "{} states no orientation: its axes are taken to lead to the patient's {}"


def to_ras(voxels, affine, notes):
    """Permute and flip the axes of `voxels` to those of the patient, without copying.

    Each axis of an oblique volume counts as the nearest one of the patient.

    Args:
        voxels: `[A, B, C]`.
        affine: `[4, 4]`, of its indices to mm in RAS.
        notes: A list to which a sentence is added if the volume is oblique.

    Returns:
        (voxels `[X, Y, Z]`, affine `[4, 4]`, spacing in mm along the three axes).

    Raises:
        UnreadableVolume: The affine is no map from voxels to space.
    """
    affine = check_affine(affine)
    orientations = import_medical("nibabel.orientations")
    turn = orientations.io_orientation(affine)
    if not np.isfinite(turn).all():
        raise UnreadableVolume("two axes of its affine lead the same way")
    turned = affine @ orientations.inv_ornt_aff(turn, voxels.shape)
    spacing = np.linalg.norm(turned[:3, :3], axis=0)
    cosines = np.clip(np.diag(turned)[:3] / spacing, -1.0, 1.0)
    angle = np.degrees(np.arccos(cosines.min()))
    if angle > OBLIQUE:
        notes.append(f"its axes are up to {angle:.0f} degrees off the patient's: each counts as "
                     "the nearest one")
    return (orientations.apply_orientation(voxels, turn), turned,
            tuple(float(step) for step in spacing))


def check_affine(affine):
    """`affine` as float64; refuses one with a step that is no length, or that is singular."""
    affine = np.asarray(affine, np.float64)
    if not np.isfinite(affine).all():
        raise UnreadableVolume("its affine or spacing is not finite")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not all(SPACING[0] <= step <= SPACING[1] for step in spacing):
        raise UnreadableVolume(f"a spacing of {lengths(spacing)} mm, expected {SPACING[0]:g} to "
                               f"{SPACING[1]:g}")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        raise UnreadableVolume("its affine is singular: the three axes lie in one plane")
    return affine


def lengths(spacing):
    """`spacing` as `1 x 1 x 1.25`."""
    return " x ".join(f"{step:g}" for step in spacing)
