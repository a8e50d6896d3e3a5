"""What DICOM headers tell of the geometry and the grey of a series, plane by plane.

Only named tags are read: names, dates and identifiers but PatientID never get into memory.
"""

import contextlib
import dataclasses
import logging
import os
import warnings

import numpy as np

from stylegan2_tf.volumes.volume import UnreadableVolume, explained, import_medical

MEMBERSHIP = ("SeriesInstanceUID", "SeriesNumber", "SOPClassUID", "Rows", "Columns")
PLANE = (
    "SOPInstanceUID", "PatientID", "InstanceNumber", "ImageType", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "PixelRepresentation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "TemporalPositionIdentifier",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
DEFLATED = "1.2.840.10008.1.2.1.99"  # pydicom unpacks it whole, however large it gets
MAX_BYTES = 2**31  # of one file
GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
    """One frame of a DICOM file: where it lies (mm, LPS) and what its numbers mean.

    Attributes:
        path, frame: Where its pixels are.
        uid: SOPInstanceUID.
        patient: PatientID, or None.
        order: What sorts frames at one position.
        shape: (rows, columns).
        kind: NumPy's type of the pixels.
        inverted: MONOCHROME1, whose lowest value is white.
        position: Of the first pixel's centre.
        cosines: `[2, 3]`: directions in which columns and rows are counted.
        spacing: mm between rows and between columns.
        thickness: mm, or None.
        slope, inter: From pixels to values.
        windows: ((low, high), ...) in values.
    """

    path: str
    frame: int
    uid: str
    patient: str | None
    order: tuple
    shape: tuple
    kind: np.dtype
    inverted: bool
    position: np.ndarray
    cosines: np.ndarray
    spacing: tuple
    thickness: float | None
    slope: float
    inter: float
    windows: tuple


def read_membership(path):
    """(SeriesInstanceUID, SeriesNumber or None) of a DICOM image.

    Raises:
        UnreadableVolume: It is no DICOM file, or holds no image.
    """
    with explained(), quiet():
        return _membership(read_header(path, MEMBERSHIP))


def _membership(header):
    if "Rows" not in header or "Columns" not in header:
        kind = getattr(header.get("SOPClassUID"), "name", None) or "unknown kind"
        raise UnreadableVolume(f"DICOM without an image ({kind[:60]})")
    number = header.get("SeriesNumber")
    return str(header.get("SeriesInstanceUID", "")), None if number is None else int(number)


@contextlib.contextmanager
def quiet():
    """Silence pydicom, whose warnings quote values, which may be private."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def read_header(path, tags):
    """The pydicom dataset of these tags, pixels never. Call it inside `quiet`.

    Raises:
        UnreadableVolume: It is no DICOM file.
    """
    pydicom = import_medical("pydicom")
    size = os.stat(path).st_size
    if not size:
        raise UnreadableVolume("empty file")
    if size > MAX_BYTES:
        raise UnreadableVolume(f"{size:,} bytes, more than {MAX_BYTES:,}")
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
    except pydicom.errors.InvalidDicomError:
        raise UnreadableVolume("not a DICOM file: no DICM at byte 128") from None
    if meta.get("TransferSyntaxUID") == DEFLATED:
        raise UnreadableVolume("deflated DICOM is not read; unpack it with dcmconv")
    return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))


def read_planes(path):
    """Every frame of a DICOM file as a `Plane`.

    Raises:
        UnreadableVolume: It has colour, or does not tell where its frames lie.
    """
    header = read_header(path, PLANE)
    _check_grey(header)
    frames = int(header.get("NumberOfFrames") or 1)
    groups = header.get("PerFrameFunctionalGroupsSequence")
    if groups is None:
        if frames > 1:
            raise UnreadableVolume(f"{frames:,} frames that do not tell where they lie")
        return [_plane(path, header, 0, header.get)]
    if len(groups) != frames:
        raise UnreadableVolume(f"{frames:,} frames, but {len(groups):,} descriptions of frames")
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    return [_plane(path, header, number, _grouped(group, shared, header))
            for number, group in enumerate(groups)]


def _check_grey(header):
    photometric = str(header.get("PhotometricInterpretation", ""))
    if int(header.get("SamplesPerPixel") or 1) != 1 or photometric not in GREY:
        raise UnreadableVolume(f"colour DICOM ({photometric[:20] or 'of no stated kind'}), "
                               "expected grey (MONOCHROME1 or 2)")
    if header.get("ModalityLUTSequence"):
        raise UnreadableVolume("its values are in a table (ModalityLUTSequence), expected a "
                               "rescale slope")
    if "MOSAIC" in (header.get("ImageType") or ()):
        raise UnreadableVolume("a Siemens mosaic of many slices in one image; convert it with "
                               "dcm2niix")


def _grouped(group, shared, header):
    """`get` for a frame of an enhanced file: of its group, the one for all, or the file."""
    where = dict(
        ImagePositionPatient="PlanePositionSequence", PixelSpacing="PixelMeasuresSequence",
        ImageOrientationPatient="PlaneOrientationSequence", SliceThickness="PixelMeasuresSequence",
        RescaleSlope="PixelValueTransformationSequence", VOILUTFunction="FrameVOILUTSequence",
        RescaleIntercept="PixelValueTransformationSequence", WindowCenter="FrameVOILUTSequence",
        WindowWidth="FrameVOILUTSequence", TemporalPositionIdentifier="FrameContentSequence")

    def get(name):
        for place in (group, shared):
            found = place.get(where[name])
            if found and name in found[0]:
                return found[0].get(name)
        return header.get(name)

    return get


def _plane(path, header, frame, get):
    spacing = _numbers(get, "PixelSpacing", 2)
    if spacing.min() <= 0:
        raise UnreadableVolume(f"a spacing of {spacing[0]:g} x {spacing[1]:g} mm")
    cosines = _numbers(get, "ImageOrientationPatient", 6).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if abs(lengths - 1).max() > 0.01 or abs(cosines[0] @ cosines[1]) > 0.01:
        raise UnreadableVolume("its ImageOrientationPatient is no pair of directions at right "
                               "angles")
    slope, inter = (float(default if get(name) is None else get(name))
                    for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0)))
    if not (np.isfinite([slope, inter]).all() and slope):
        raise UnreadableVolume(f"a rescale slope of {slope:g} and intercept of {inter:g}")
    order = tuple(int(value or 0) for value in (get("TemporalPositionIdentifier"),
                                                header.get("InstanceNumber")))
    thickness = float(get("SliceThickness") or 0)
    return Plane(
        path, frame, str(header.get("SOPInstanceUID", path)), _patient(header), (*order, frame),
        (int(header.Rows), int(header.Columns)), _kind(header),
        header.PhotometricInterpretation == "MONOCHROME1",
        _numbers(get, "ImagePositionPatient", 3), cosines / lengths[:, None],
        tuple(float(step) for step in spacing), thickness if thickness > 0 else None,
        slope, inter, _windows(get))


def _numbers(get, name, count):
    value = get(name)
    if value is None or np.size(value) != count:
        raise UnreadableVolume(f"no {name}, so where its slices lie is not known")
    numbers = np.array([float(number) for number in value])
    if not np.isfinite(numbers).all():
        raise UnreadableVolume(f"its {name} is not finite")
    return numbers


def _kind(header):
    bits, signed = header.get("BitsAllocated"), header.get("PixelRepresentation")
    if bits not in (8, 16, 32) or signed not in (0, 1):
        raise UnreadableVolume("pixels that are no whole numbers of 8, 16 or 32 bits")
    return np.dtype(f"{'i' if signed else 'u'}{bits // 8}")


def _patient(header):
    """PatientID, the one identifier that is kept."""
    return str(header.get("PatientID") or "").strip() or None


def _windows(get):
    """((low, high), ...) of the tags, by PS3.3 C.11.2.1.2 to C.11.2.1.3."""
    pairs = [np.atleast_1d([] if get(name) is None else get(name)).astype(float)
             for name in ("WindowCenter", "WindowWidth")]
    # LINEAR is meant for whole numbers: its first and last value are both inside.
    exact = get("VOILUTFunction") == "LINEAR_EXACT"
    windows = []
    for centre, width in zip(*pairs, strict=False):
        middle, half = (centre, width / 2) if exact else (centre - 0.5, (width - 1) / 2)
        if np.isfinite([middle, half]).all() and half > 0:
            windows.append((float(middle - half), float(middle + half)))
    return tuple(windows)
