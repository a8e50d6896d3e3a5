"""NIfTI and Analyze files, read no further than their header allows.

Only headers are left to nibabel: its own reading trusts sizes that a file merely states.
"""

import contextlib
import gzip
import os
import zlib

import numpy as np

from stylegan2_tf.volumes.orientation import DEFAULT
from stylegan2_tf.volumes.volume import (
    UnreadableVolume,
    check_size,
    finite,
    import_medical,
    sides,
    which_frame,
)

HEADER = 540  # bytes of the longest header, that of NIfTI-2
PIECE = 2**24  # bytes read at once
MOST_PACKED = 1032  # bytes that one of gzip can become
LARGEST_OFFSET = 2**28  # of the voxels, behind extensions

# Analyze's `orient`: where the three axes lead, and what that is called.
ANALYZE = {0: ("LAS", "transverse"), 1: ("LSA", "coronal"), 2: ("ASL", "sagittal"),
           3: ("LPS", "transverse flipped"), 4: ("LIA", "coronal flipped"),
           5: ("AIL", "sagittal flipped")}
WORDS = dict(L="left", R="right", A="front", P="back", S="top", I="bottom")


def read_nifti(paths, frame, notes):
    """Read one file, or header and image.

    Args:
        paths: (file,) or (header, image).
        frame: See `reading.open_volume`.
        notes: A list to which sentences are added.

    Returns:
        (voxels `[A, B, C]` along the axes of the file, affine, None, None).

    Raises:
        UnreadableVolume: It is damaged or of a kind that can't be used.
    """
    with _opened(paths[0]) as stream:
        header = _header(stream.read(HEADER), len(paths) > 1)
    shape, frames = _shape(header)
    check_size(shape)
    kind = _kind(header)
    number = which_frame(frame, frames, notes)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    start = _offset(header, len(paths) > 1) + number * size
    with _opened(paths[-1]) as stream:
        _check_room(paths[-1], start + size)
        stream.seek(start)
        content = _read(stream, size)
    voxels = content.view(kind).reshape(shape, order="F")
    slope, inter = header.get_slope_inter()
    return _scaled(voxels, slope, inter, notes), _affine(header, shape, notes), None, None


@contextlib.contextmanager
def _opened(path):
    """The content of a file, unpacked where it is gzip, whatever its name."""
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            with gzip.open(raw) if packed else contextlib.nullcontext(raw) as stream:
                yield stream
        except (zlib.error, gzip.BadGzipFile):
            raise UnreadableVolume("its compressed content is damaged") from None


def _header(block, pair):
    """nibabel's header object of the first bytes of a file."""
    if not block:
        raise UnreadableVolume("empty file")
    nibabel = import_medical("nibabel")
    kinds = [nibabel.Nifti1Header, nibabel.Nifti2Header]
    # SPM's Analyze is Analyze with a scale and an origin, which are 0 where unknown.
    kinds += [import_medical("nibabel.spm2analyze").Spm2AnalyzeHeader] if pair else []
    for kind in kinds:
        if len(block) >= kind.template_dtype.itemsize and kind.may_contain_header(block):
            return kind(block[:kind.template_dtype.itemsize], check=False)
    raise UnreadableVolume(f"not {'Analyze or ' * pair}NIfTI, or its header is damaged")


def _shape(header):
    """(sides of one frame, how many frames)."""
    shape = [int(side) for side in header.get_data_shape()]
    while len(shape) > 3 and shape[-1] == 1:
        del shape[-1]
    if len(shape) > 4:
        raise UnreadableVolume(f"{len(shape)}-D ({sides(shape)}), expected 3-D or 4-D")
    if len(shape) < 2:
        raise UnreadableVolume(f"{len(shape)}-D, expected 3-D or 4-D")
    frames = shape[3] if len(shape) == 4 else 1
    if frames < 1:
        raise UnreadableVolume(f"its header states {sides(shape)} voxels")
    return tuple([*shape, 1][:3]), frames


def _kind(header):
    """NumPy's type of the voxels as they are stored."""
    try:
        kind = header.get_data_dtype()
    except KeyError:
        raise UnreadableVolume(f"unknown data type {int(header['datatype'])}") from None
    if kind.kind == "c":
        raise UnreadableVolume("complex voxels, expected real ones")
    if kind.kind == "V" and kind.names:
        raise UnreadableVolume("colour (RGB) voxels, expected grey ones")
    if kind.kind not in "iuf" or kind.itemsize not in (1, 2, 4, 8):
        raise UnreadableVolume(f"voxels of type {header.get_value_label('datatype')}")
    return kind


def _offset(header, pair):
    offset = float(header["vox_offset"])
    if not 0 <= offset <= LARGEST_OFFSET:
        raise UnreadableVolume(f"its header states voxels from byte {offset:g} on")
    return int(offset) if pair else max(int(offset), header.single_vox_offset)


def _check_room(path, needed):
    """Refuse a file that can't hold what its header states, before memory is taken for it."""
    size = os.stat(path).st_size
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    if size * (MOST_PACKED if packed else 1) < needed:
        raise UnreadableVolume(f"its header states {needed:,} bytes, but the file has {size:,}")


def _read(stream, size):
    """The next `size` bytes; never more, whatever a packed file holds behind them."""
    content = np.empty(size, np.uint8)
    view, done = memoryview(content), 0
    while done < size:
        count = stream.readinto(view[done:done + PIECE])
        if not count:
            raise EOFError
        done += count
    stream.read(1)  # at the end of gzip this compares the checksum
    return content


def _scaled(voxels, slope, inter, notes):
    """The values that stored numbers stand for."""
    if (slope is None or slope == 1) and not inter:
        voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
        # 64-bit integers are labels or counts: float32 is exact up to 16,777,216.
        wide = voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8
        return finite(voxels.astype(np.float32) if wide else voxels, notes)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = voxels.astype(np.float32)
        scaled *= np.float32(slope)
        scaled += np.float32(inter)
    return finite(scaled, notes)


def _affine(header, shape, notes):
    """mm in RAS of the indices; by nibabel's default where the header states none."""
    name = type(header).__name__
    if name == "Spm2AnalyzeHeader":
        return _analyze_affine(header, shape, notes)
    if not (header["sform_code"] > 0 or header["qform_code"] > 0):
        _check_zooms(header)
        notes.append(DEFAULT.format("its header", "left, front and top"))
    elif not header["sform_code"] > 0:
        _check_zooms(header)
    return header.get_best_affine()


def _check_zooms(header):
    zooms = [float(zoom) for zoom in header.get_zooms()[:3]]
    if not all(0 < zoom < np.inf for zoom in zooms):
        raise UnreadableVolume(f"a spacing of {sides(f'{zoom:g}' for zoom in zooms)} mm")


def _analyze_affine(header, shape, notes):
    """Analyze has no affine, but a code of how its axes lie; 0 is nibabel's default."""
    _check_zooms(header)
    code = int(header["orient"].tobytes()[0])
    code = code if code in ANALYZE else 0
    axes, word = ANALYZE[code]
    notes.append(DEFAULT.format("Analyze", ", ".join(WORDS[axis] for axis in axes)) +
                 f" (code {code}, {word})")
    turn = import_medical("nibabel.orientations").axcodes2ornt(axes)
    affine = np.zeros((4, 4))
    for column, (row, sign) in enumerate(turn.astype(int)):
        affine[row, column] = sign * [*map(float, header.get_zooms()), 1.0][column]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)  # the middle is at 0
    affine[3, 3] = 1
    return affine
