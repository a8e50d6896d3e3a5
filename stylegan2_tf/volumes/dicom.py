"""A DICOM series as one volume: its planes ordered by where they lie, not by file names."""

import itertools

import numpy as np

from stylegan2_tf.volumes.headers import quiet, read_header, read_planes
from stylegan2_tf.volumes.volume import (
    UnreadableVolume,
    check_size,
    import_medical,
    sides,
    which_frame,
)

SAME = 0.01  # mm between planes that lie at one position
UNEVEN = 0.05  # of the distance between planes: gaps that vary more are noted
SIDEWAYS = 1.0  # mm that planes may lie beside the line from the first to the last
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


@quiet()
def read_series(paths, frame, notes):
    """Read the files of one series.

    Args:
        paths: DICOM files of one SeriesInstanceUID.
        frame: See `reading.open_volume`; images at one position are frames, in the order of
            their temporal position and instance number.
        notes: A list to which sentences are added.

    Returns:
        (voxels `[columns, rows, planes]`, affine in RAS, windows or None, PatientID or None).

    Raises:
        UnreadableVolume: Its images are not one stack, or of a kind that can't be used.
    """
    planes = [plane for path in paths for plane in read_planes(path)]
    known = {(plane.uid, plane.frame): plane for plane in reversed(planes)}
    if len(known) < len(planes):
        notes.append(f"{len(planes) - len(known):,} files are copies of others of the series")
    planes = sorted(known.values(), key=lambda plane: (plane.path, plane.frame))
    _check_alike(planes)
    stack = _one_frame(_by_position(planes), frame, notes)
    rows, columns = stack[0].shape
    check_size((columns, rows, len(stack)))
    affine = _affine(stack, notes)
    voxels = _values(stack)
    windows = _window_of(stack, notes)
    if stack[0].inverted:
        voxels, windows = _invert(voxels, windows)
        notes.append("MONOCHROME1: the values are mirrored between their minimum and maximum")
    return voxels.transpose(2, 1, 0), affine, windows, stack[0].patient


def _check_alike(planes):
    """Refuse a series that is not one stack, such as a localizer in three directions."""
    first = planes[0]
    if len({plane.patient for plane in planes}) > 1:
        raise UnreadableVolume("a mixed series: images of several patients")
    shapes = sorted({plane.shape for plane in planes})
    if len(shapes) > 1:
        raise UnreadableVolume("a mixed series: images of " +
                               " and ".join(sides(shape) for shape in shapes[:3]) + " pixels")
    for what, alike in (
            ("directions", lambda plane: np.allclose(plane.cosines, first.cosines, atol=1e-3)),
            ("pixel spacings", lambda plane: np.allclose(plane.spacing, first.spacing,
                                                         rtol=1e-3, atol=0)),
            ("photometric interpretations", lambda plane: plane.inverted == first.inverted)):
        others = sum(not alike(plane) for plane in planes)
        if others:
            raise UnreadableVolume(f"a mixed series: images of different {what} "
                                   f"({len(planes) - others} and {others})")


def _by_position(planes):
    """Lists of the planes at one position each, along the normal."""
    normal = np.cross(*planes[0].cosines)
    ordered = sorted(planes, key=lambda plane: plane.position @ normal)
    places = [[ordered[0]]]
    for plane in ordered[1:]:
        near = (plane.position - places[-1][0].position) @ normal < SAME
        places[-1].append(plane) if near else places.append([plane])
    return places


def _one_frame(places, frame, notes):
    """One plane of each position."""
    counts = sorted({len(place) for place in places})
    if len(counts) > 1:
        raise UnreadableVolume(f"{counts[-1]} images at one position and {counts[0]} at another: "
                               "a mixed or incomplete series")
    number = which_frame(frame, counts[0], notes)
    return [sorted(place, key=lambda plane: plane.order)[number] for place in places]


def _affine(stack, notes):
    """(column, row, plane, 1) -> mm in RAS, by PS3.3 C.7.6.2.1.1."""
    first, last = stack[0], stack[-1]
    normal = np.cross(*first.cosines)
    if len(stack) > 1:
        step = (last.position - first.position) / (len(stack) - 1)
        _check_line(stack, normal, notes)
    else:
        step = normal * (first.thickness or 1.0)
    affine = np.eye(4)
    affine[:3, 0] = first.cosines[0] * first.spacing[1]
    affine[:3, 1] = first.cosines[1] * first.spacing[0]
    affine[:3, 2], affine[:3, 3] = step, first.position
    affine[:3] *= LPS_TO_RAS[:, None]
    return affine


def _check_line(stack, normal, notes):
    """Refuse planes beside each other, note planes that are missing between others."""
    positions = np.array([plane.position for plane in stack])
    depths = (positions - positions[0]) @ normal
    line = positions[0] + np.outer(depths / depths[-1], positions[-1] - positions[0])
    aside = np.linalg.norm(positions - line, axis=1).max()
    if aside > SIDEWAYS:
        raise UnreadableVolume(f"its slices are shifted sideways, by up to {aside:.3g} mm")
    gaps = np.diff(depths)
    if np.ptp(gaps) > UNEVEN * np.median(gaps):
        notes.append(f"gaps between slices are uneven, {gaps.min():.3g} to {gaps.max():.3g} mm: "
                     "slices may be missing; they are taken as evenly spaced")


def _values(stack):
    """`[planes, rows, columns]`, after slope and intercept of each plane."""
    scales = {(plane.slope, plane.inter) for plane in stack}
    kind = np.result_type(*{plane.kind for plane in stack})
    if scales != {(1.0, 0.0)}:
        # CT: whole numbers stay exact.
        whole = kind.itemsize <= 2 and all(
            value == int(value) and abs(value) < 2**14 for scale in scales for value in scale)
        kind = np.dtype(np.int32 if whole else np.float32)
    values = np.empty((len(stack), *stack[0].shape), kind)
    # Frame by frame from each file, wherever they belong in the stack.
    order = sorted(range(len(stack)), key=lambda index: (stack[index].path, stack[index].frame))
    for path, part in itertools.groupby(order, key=lambda index: stack[index].path):
        part = list(part)
        frames = _decoded(path, [stack[index].frame for index in part])
        for index, pixels in zip(part, frames, strict=True):
            plane = stack[index]
            if pixels.shape != plane.shape:
                raise UnreadableVolume(f"its pixels are {sides(pixels.shape)}, but the header "
                                       f"states {sides(plane.shape)}")
            if scales == {(1.0, 0.0)}:
                values[index] = pixels
            else:
                slope, inter = kind.type(plane.slope), kind.type(plane.inter)
                values[index] = pixels.astype(kind) * slope + inter
    return values


def _decoded(path, frames):
    """Yield the pixels of frames (ascending numbers) of a file."""
    pixels = import_medical("pydicom.pixels")
    syntax = read_header(path, ()).file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise UnreadableVolume("no TransferSyntaxUID")
    if syntax.is_compressed:
        _check_decoder(pixels, syntax)
    yield from pixels.iter_pixels(path, indices=frames, raw=True)


def _check_decoder(pixels, syntax):
    try:
        available = pixels.get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise UnreadableVolume(f"compressed as {syntax.name[:60]}, for which no decoder is "
                               "installed: pip install python-gdcm, or pylibjpeg with "
                               "pylibjpeg-libjpeg and pylibjpeg-openjpeg")


def _window_of(stack, notes):
    """One window for all planes: where they differ the median, so that slices compare."""
    windows = [plane.windows for plane in stack]
    if not all(windows):
        return None
    if len(set(windows)) == 1:
        return windows[0]
    notes.append("the windows of its slices differ: --window dicom takes their median")
    low, high = np.median([first for first, *_ in windows], axis=0)
    return ((float(low), float(high)),)


def _invert(voxels, windows):
    """White to black, within the range of the values."""
    if voxels.dtype.kind in "iu":
        voxels = voxels.astype(np.int32 if voxels.dtype.itemsize <= 2 else np.float32)
    total = voxels.min() + voxels.max()
    return total - voxels, windows and tuple(
        (float(total) - high, float(total) - low) for low, high in windows)
