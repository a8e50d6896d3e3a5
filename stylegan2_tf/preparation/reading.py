"""From one item of a source to its images at their final size: what the processes do.

Shapes: `H W` height and width in pixels, `C` channels.
"""

import contextlib
import dataclasses
import functools
import hashlib
from typing import NamedTuple

import numpy as np

from stylegan2_tf.data import UnreadableImage, decode
from stylegan2_tf.preparation.archives import Member, read_member
from stylegan2_tf.volumes import SliceOptions, UnreadableVolume, read_slices
from stylegan2_tf.volumes.placement import placement


@dataclasses.dataclass(frozen=True)
class Target:
    """What every image becomes.

    Attributes:
        resolution: (height, width).
        channels: 1, 3 or 4.
        fit: "pad", "crop" or "stretch".
        bits: 8 or 16.
        slices: `SliceOptions`.
    """

    resolution: tuple
    channels: int
    fit: str
    bits: int
    slices: SliceOptions

    @property
    def dtype(self):
        return np.dtype(np.uint16 if self.bits == 16 else np.uint8)

    @property
    def shape(self):
        return *self.resolution, self.channels


class Header(NamedTuple):
    """What the header of an image tells: its bits, sides, and whether it has colour."""

    bits: int
    height: int
    width: int
    colour: bool


def read_header(item):
    """The `Header` of an image; None if it can't be read."""
    # What can't be opened is reported when it is decoded.
    with contextlib.suppress(UnreadableImage), decode.opened(_content(item)) as image:
        turned = image.format == "JPEG" and image.getexif().get(274, 1) >= 5  # by 90 degrees
        sides = (image.width, image.height) if turned else (image.height, image.width)
        return Header(16 if decode.is_deep(image) else 8, *sides, image.mode[0] not in "1LIF")
    return None


def read_item(target, item):
    """Read an item of a source.

    Args:
        target: `Target`.
        item: `sources.Item`.

    Returns:
        (list of pairs of pixels `[H, W, C]` and what is known of them, None), or ([], reason).
    """
    try:
        if item.kind == "volume":
            return _read_volume(target, item.place), None
        if item.kind == "row":
            return [_read_row(target, item)], None
        with decode.quiet():
            image, notes = decode.decode(_content(item), target.channels)
        return [_finish(target, image, notes)], None
    except (UnreadableImage, UnreadableVolume) as error:
        return [], str(error)


def _content(item):
    return read_member(item.place) if isinstance(item.place, Member) else item.place


def _read_volume(target, source):
    private = _tags(source)
    options = dataclasses.replace(target.slices, bits=target.bits)
    pieces = []
    for found in read_slices(source, options):
        pixels = found.pixels
        if target.channels > 1:
            pixels = decode.repeat_grey(pixels, target.channels)
        pieces.append(_finish(
            target, pixels, found.notes, affine=np.asarray(found.affine).tolist(),
            slice=int(found.index), spacing=[float(step) for step in found.spacing],
            window=[float(value) for value in found.window], **private))
    return pieces


def _read_row(target, item):
    """An image of a prepared set, whose manifest has told the rest."""
    folder, number = item.place
    image = np.asarray(_pixels(folder)[number])
    return _finish(target, _recoloured(image, target.channels), [])


@functools.cache
def _pixels(folder):
    from stylegan2_tf.preparation.prepared import check_about, open_pixels

    return open_pixels(folder, check_about(folder))


def _recoloured(image, channels):
    """The image with so many channels, as `read_image` makes them; alpha over black."""
    if image.shape[2] == channels:
        return image
    white, dtype = np.iinfo(image.dtype).max, image.dtype
    if image.shape[2] == 4:
        over_black = image[..., :3] * (image[..., 3:] / np.float32(white))
        image = over_black.round().astype(dtype)
    if channels == 1:  # ITU-R 601
        grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        return grey.round().astype(dtype)[..., None]
    if image.shape[2] == 1:
        return decode.repeat_grey(image, channels)
    opaque = np.full((*image.shape[:2], 1), white, dtype)
    return np.concatenate([image, opaque], axis=-1) if channels == 4 else image


def _finish(target, image, notes, **known):
    """The image at its final size and depth, and what is known of it, ready for JSON."""
    shape, notes = image.shape[:2], list(notes)
    if all(side < wanted for side, wanted in zip(shape, target.resolution, strict=True)):
        notes.append("enlarged to the resolution")
    deep = image.dtype == np.uint16
    image = decode.fit_image(image, target.resolution, target.fit)
    low, high = int(image.min()), int(image.max())
    image = np.ascontiguousarray(_with_bits(image, target.bits))
    where = placement(shape, target.resolution, target.fit)
    return image, {"sha256": hashlib.sha256(image).hexdigest(), "constant": low == high,
                   "brightest": high if deep else None, "notes": notes,
                   "placement": where.to_json(), **known}


def _with_bits(image, bits):
    if image.dtype == np.uint8 and bits == 16:
        return image * np.uint16(257)  # keeps black and white
    if image.dtype == np.uint16 and bits == 8:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return image


def _tags(source):
    """The patient's id and the unit of the values, of a DICOM series; the id never leaves as it
    is."""
    if source.kind != "dicom":
        return {}
    import pydicom

    names = ["PatientID", "Modality", "SpecificCharacterSet"]
    try:
        with decode.quiet():
            header = pydicom.dcmread(source.paths[0], stop_before_pixels=True, specific_tags=names)
    except Exception:  # `read_slices` gives the reason
        return {}
    unit = {"unit": "HU"} if header.get("Modality") == "CT" else {}
    return {"patient": str(header.get("PatientID") or "") or None, **unit}
