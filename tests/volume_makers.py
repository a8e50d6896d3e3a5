"""Small volumes for tests: NIfTI, Analyze and DICOM series."""

import zlib

import numpy as np

STORAGE = "1.2.840.10008.5.1.4.1.1.4"  # MR Image Storage


def block(shape=(12, 10, 8), dtype=np.uint16, seed=0):
    """Random voxels inside a frame of zeros, so that the background is 0."""
    voxels = np.zeros(shape, dtype)
    inner = tuple(slice(1, -1) if side > 3 else slice(None) for side in shape)
    high = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1000
    size = voxels[inner].shape
    voxels[inner] = np.random.default_rng(seed).integers(1, high, size)
    return voxels


def save_nifti(path, voxels, affine=None, slope=None, version=1, **header):
    """Write NIfTI, with fields of its header set as they are, however wrong."""
    import nibabel

    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    image = kind(voxels, np.eye(4) if affine is None else affine, dtype=voxels.dtype)
    if slope:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)
    if header:
        import gzip

        packed = str(path).endswith(".gz")
        content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
        size = 348 if version == 1 else 540
        made = type(image.header)(bytes(content[:size]), check=False)
        for name, value in header.items():
            made[name] = value
        content[:size] = made.binaryblock
        path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))
    return path


def source_of(path):
    """The one `VolumeSource` in a folder, or of a file."""
    from stylegan2_tf.volumes import find_volumes, is_volume

    files = sorted(path.iterdir()) if path.is_dir() else [path]
    [source], refused = find_volumes(filter(is_volume, files), path if path.is_dir()
                                     else path.parent)
    assert refused == {}
    return source


def save_dicom(path, pixels, position=(0, 0, 0), cosines=(1, 0, 0, 0, 1, 0), syntax=None, **tags):
    """Write one DICOM image; a tag of None is left out."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian

    pixels = np.asarray(pixels)
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = STORAGE
    known = dict(
        SOPInstanceUID=f"1.2.3.{zlib.crc32(path.name.encode())}", SeriesInstanceUID="1.2.3",
        SeriesNumber=4, PatientID="P7", PatientName="Doe^Jane", StudyDate="20200131",
        PatientBirthDate="19500101", InstanceNumber=1, Modality="MR", Rows=pixels.shape[-2],
        Columns=pixels.shape[-1], SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=8 * pixels.itemsize, BitsStored=8 * pixels.itemsize,
        HighBit=8 * pixels.itemsize - 1, PixelRepresentation=int(pixels.dtype.kind == "i"),
        ImagePositionPatient=list(map(float, position)), PixelSpacing=[1.0, 1.0],
        ImageOrientationPatient=list(map(float, cosines)), SliceThickness=2.0)
    for name, value in {**known, **tags}.items():
        if value is not None:
            setattr(data, name, value)
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    if syntax:  # a name for pixels that no one could decode
        data.PixelData = pydicom.encaps.encapsulate([data.PixelData])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path, enforce_file_format=True)
    return path


def save_series(folder, voxels, start=(0, 0, 0), step=(0, 0, 2), cosines=(1, 0, 0, 0, 1, 0),
                names=None, **tags):
    """Write `voxels [planes, rows, columns]` as a series whose file names tell no order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names or [f"{(7 * number) % 97:03d}.dcm" for number in range(len(voxels))]
    for number, (name, plane) in enumerate(zip(names, voxels, strict=True)):
        position = np.add(start, np.multiply(step, number))
        save_dicom(folder / name, plane, position, cosines,
                   **{"InstanceNumber": 100 - number, **tags})
    return folder
