"""Writing images as NIfTI that any viewer lays over the volume they belong to."""

import gzip
import io

import numpy as np

from stylegan2_tf import files
from stylegan2_tf.volumes.orientation import to_ras
from stylegan2_tf.volumes.volume import import_medical


def write_nifti(path, planes, affine, scale=(1.0, 0.0)):
    """Write planes as one NIfTI-1 file whose axes lead to right, anterior, superior.

    The same input gives the same bytes.

    Args:
        path: Ends in .nii or .nii.gz; replaced whole or not at all.
        planes: `[N, H, W]`, floats (written as float32), uint8, int16 or uint16.
        affine: `[4, 4]`: (row, column, plane, 1) -> mm in RAS, as in `Slice`.
        scale: (slope, inter): a number in the file stands for `slope * number + inter`.
    """
    nibabel = import_medical("nibabel")
    planes = np.asarray(planes)
    if planes.dtype.kind == "f":
        planes = planes.astype(np.float32)
    voxels, turned, _ = to_ras(np.moveaxis(planes, 0, -1), affine, [])
    header = nibabel.Nifti1Header(endianness="<")
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header.set_qform(turned, 1)  # nearest rotation; the sform below is exact
    header.set_sform(turned, 1)
    header.set_xyzt_units("mm")
    header.set_slope_inter(*scale)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    content = io.BytesIO()
    header.write_to(content)  # with the four bytes that say that no extensions follow
    content.write(voxels.astype(voxels.dtype.newbyteorder("<")).tobytes(order="F"))
    whole = content.getvalue()
    with files.replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(whole, mtime=0) if str(path).endswith(".gz") else whole)
