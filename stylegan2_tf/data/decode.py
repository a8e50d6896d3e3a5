"""From a file to an array of pixels: every kind of image decoded right, or refused.

Shapes: `H W` height and width in pixels, `C` channels.
"""

import contextlib
import io
import logging
import os
import stat
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from stylegan2_tf.data.fitting import background, cut, resize
from stylegan2_tf.errors import UsageError

# Pillow would try 50 kinds, some with foreign programs: an .eps named .png runs Ghostscript.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF")

# 5792 x 5792, which take 0.8 GB as WebP. A file of 100 kB can declare 30,000 x 30,000.
MAX_PIXELS = 2**25

# Four channels of 16 bits and metadata, which Pillow reads whole.
MAX_BYTES = 9 * MAX_PIXELS

# What JPEG allows; the filter that shrinks a line of 60,000,000 would need gigabytes.
MAX_SIDE = 65_535

FITS = ("pad", "crop", "stretch")

# Without any handler Python prints what Pillow logs, on lines that name no file.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class UnreadableImage(ValueError):
    """This file is not an image, is damaged or is of a kind that cannot be used."""


def read_image(path, channels):
    """Decode the first picture of a PNG, JPEG, BMP, WebP, TIFF or GIF file.

    EXIF rotation is applied. Colour turns grey by luminance (ITU-R 601), grey
    turns to colour by repetition; alpha is laid over black unless `channels` is 4.

    Limits: colour with 16 bits a channel (and grey with 16 bits and alpha) is
    reduced to 8 bits, for Pillow has no such mode; colour profiles are ignored; damage
    inside a JPEG that leaves its length whole, or rows that a PNG lacks, are not noticed.

    Args:
        path: The file; at most `MAX_PIXELS` pixels, `MAX_SIDE` along a side, and
            `MAX_BYTES` bytes.
        channels: 1 (grey), 3 (RGB) or 4 (RGB and alpha, not premultiplied).

    Returns:
        Array `[H, W, C]`: uint8 in 0..255, or uint16 in 0..65535 for 16-bit grey.

    Raises:
        UnreadableImage: With a reason of a few words, without the path.
        UsageError: `channels` is none of those.
    """
    with quiet():
        return decode(path, channels)[0]


def decode(path, channels):
    """Do as `read_image`, and return what was done as well: `(pixels, list of notes)`.

    Call it inside `quiet`, which threads can't enter by themselves.
    """
    check_channels(channels)
    with opened(path) as image:
        notes = []
        if getattr(image, "is_animated", False):
            notes.append("first of several pictures used")
        if is_deep(image):
            notes.append("16 bits a pixel")
        elif image.format in ("PNG", "TIFF") and ";16" in str(image.tile):
            notes.append("16-bit colour reduced to 8 bits")
        if _turn_upright(image):
            notes.append("EXIF rotation applied")
        pixels = _deep_grey(image) if is_deep(image) else _shallow(image, channels, notes)
    return (repeat_grey(pixels, channels) if pixels.shape[-1] != channels else pixels), notes


@contextlib.contextmanager
def quiet():
    """Silence Pillow's warnings: what matters is refused or noted.

    The filters belong to the whole process: enter before threads start.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def opened(path):
    """Yield the Pillow image whose header was read, but no pixel yet.

    Args:
        path: A file, or the `bytes` of one.

    Raises:
        UnreadableImage: Opening failed, or anything the caller does with the image.
    """
    try:
        # Not `Image.open(path)`: it maps plain TIFF into memory, which turns them wrong
        # (Pillow 13) and kills the process if the file is cut meanwhile.
        with _stream(path) as stream, Image.open(stream, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if max(image.size) > MAX_SIDE:
                raise UnreadableImage(f"a side is longer than {MAX_SIDE:,} pixels")
            yield image
    except (UnreadableImage, UsageError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(f"more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise UnreadableImage("not an image, or its header is damaged") from None
    except Exception as error:  # damaged files make Pillow raise nearly every kind
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImage(" ".join(reason.split())[:120]) from error


def _stream(path):
    """What can't be an image is refused, such as a pipe, which may never end."""
    if isinstance(path, bytes):
        check_size(len(path))
        return io.BytesIO(path)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("not a file")
    check_size(status.st_size)
    return open(path, "rb")


def check_size(size):
    """Refuse a file of so many bytes. Raises `UnreadableImage`."""
    if not size:
        raise UnreadableImage("empty file")
    if size > MAX_BYTES:
        raise UnreadableImage(f"{size:,} bytes, more than {MAX_BYTES:,}")


def is_deep(image):
    """Tell if the opened `image` holds 16-bit grey; its pixels are then uint16."""
    return image.mode.startswith("I")


def fit_image(image, resolution, fit):
    """Bring an image to one size, anti-aliased (Lanczos with a support that grows).

    Args:
        image: uint8 or uint16 array `[H, W, C]`; with 4 channels the last is alpha.
        resolution: Side of the square in pixels, or a pair (height, width).
        fit: 'pad' keeps the whole image and its proportions and fills up with its
            background (the median of its border), 'crop' keeps the proportions and
            cuts the longer side evenly, 'stretch' keeps the whole image only.

    Returns:
        Array `[height, width, C]` of the same dtype; the very image where it has
        that size already.

    Raises:
        UsageError: `fit` is none of those or `resolution` is not positive.
    """
    height, width = as_pair(resolution)
    check_fit(fit)
    if fit == "crop":
        image = cut(image, height, width)
    if fit != "pad":
        return resize(image, height, width)
    # Resizing before filling up: a square around 1 x 65,000 would need 4 GB.
    top, left, *inner = padded_box(image.shape[:2], (height, width))
    if inner == [height, width]:
        return resize(image, height, width)
    padded = np.empty((height, width, image.shape[2]), image.dtype)
    padded[:] = background(image)
    padded[top : top + inner[0], left : left + inner[1]] = resize(image, *inner)
    return padded


def padded_box(shape, resolution):
    """Where an image of `shape` (height, width) lies in one of `resolution` that pads it.

    Returns:
        (top, left, height, width).
    """
    scale = min(outer / side for outer, side in zip(resolution, shape, strict=True))
    height, width = (max(1, round(side * scale)) for side in shape)
    return (resolution[0] - height) // 2, (resolution[1] - width) // 2, height, width


def signed(images):
    """Pixels of images, of any shape, as float32 in `[-1, 1]`, black to white.

    uint8 and uint16 are scaled by their range; floats are taken to be in `[-1, 1]` already.
    """
    if images.dtype.kind == "u":
        return images.astype(np.float32) * (2.0 / np.iinfo(images.dtype).max) - np.float32(1)
    return np.asarray(images, np.float32)


def check_channels(channels):
    """Raise `UsageError` unless `channels` is 1, 3 or 4."""
    if channels not in (1, 3, 4):
        raise UsageError(f"`channels` must be 1, 3 or 4. Received: channels={channels!r}")


def check_fit(fit):
    """Raise `UsageError` unless `fit` is one of `FITS`."""
    if fit not in FITS:
        raise UsageError(f"`fit` must be one of {', '.join(FITS)}. Received: fit={fit!r}")


def as_pair(resolution):
    """Return `resolution`, an int or a pair, as (height, width) in pixels."""
    pair = (resolution, resolution) if np.ndim(resolution) == 0 else tuple(resolution)
    if len(pair) != 2 or any(int(side) != side or side < 1 for side in pair):
        raise UsageError(
            "`resolution` must be a positive integer or a pair (height, width)."
            f" Received: resolution={resolution!r}"
        )
    return int(pair[0]), int(pair[1])


def _turn_upright(image):
    """Decode the opened `image` in place as its EXIF orientation says; tell if it had one."""
    tag = ExifTags.Base.Orientation
    # Pillow turns a TIFF while it loads, and then forgets the tag.
    turned = image.format == "TIFF" and image.tag_v2.get(tag, 1) != 1
    image.load()
    with contextlib.suppress(Exception):  # a damaged EXIF block; the pixels are whole
        turned = turned or image.getexif().get(tag, 1) != 1
        ImageOps.exif_transpose(image, in_place=True)
    return turned


def _deep_grey(image):
    """16-bit grey as uint16 `[H, W, 1]`; Pillow's own conversion would cut at 255."""
    pixels = np.asarray(image)[..., None]
    if pixels.min() < 0 or pixels.max() > 65535:
        raise UnreadableImage(f"values {pixels.min()}..{pixels.max()} do not fit into 0..65535")
    pixels = pixels.astype(np.uint16)
    white_is_zero = image.format == "TIFF" and image.tag_v2.get(262) == 0
    return 65535 - pixels if white_is_zero else pixels


def _shallow(image, channels, notes):
    """8-bit kinds as uint8 `[H, W, 1]` or `[H, W, channels]`."""
    if image.mode == "F":
        raise UnreadableImage("floating point values, whose black and white are not known")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if channels != 4 and alpha.getextrema()[0] < 255:
            notes.append("alpha composited over black")
            black = Image.new("RGB", image.size)
            black.paste(image, mask=alpha)
            image = black
    elif image.mode not in ("1", "L"):
        image = image.convert("RGB")  # palette, CMYK, YCbCr
    grey = image.mode in ("1", "L")
    mode = "L" if grey else {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def repeat_grey(pixels, channels):
    """`[H, W, 1]` to `[H, W, channels]`; a fourth channel is opaque alpha."""
    pixels = np.repeat(pixels, channels, axis=-1)
    if channels == 4:
        pixels[..., 3] = np.iinfo(pixels.dtype).max
    return pixels
