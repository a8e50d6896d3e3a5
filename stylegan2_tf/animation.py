"""Moving pictures: GIF, WebP, or MP4 with the extra `video`.

Frames are NumPy uint8 `[N, H, W, C]`, grey, RGB or RGBA; only WebP keeps transparency.
"""

import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from stylegan2_tf import files
from stylegan2_tf.errors import UsageError

KINDS = (".gif", ".webp", ".mp4")


def check_kind(path):
    """Refuse a file name whose kind can't be written here. Raises `UsageError`."""
    kind = Path(path).suffix.lower()
    if kind not in KINDS:
        raise UsageError(f"OUT: expected a file that ends in {', '.join(KINDS)}, found {path}")
    if kind == ".mp4" and importlib.util.find_spec("av") is None:
        raise UsageError(f"OUT {path}: expected the package av for MP4, found none; "
                         "pip install -e \".[video]\", or give a .gif or .webp")


def save_animation(frames, path, milliseconds=80):
    """Write frames that loop for ever, each shown `milliseconds` long.

    Args:
        frames: At least one.
        path: A `.gif`, `.webp` or `.mp4`.
        milliseconds: A whole number. GIF rounds it down to hundredths of a second, and MP4 is
            played once or for ever as the player likes. MP4 repeats the last row and column
            where a side is odd.

    Raises:
        UsageError: See `check_kind`.
    """
    check_kind(path)
    path = Path(path)
    with files.replacing(path) as temporary:
        if path.suffix.lower() == ".mp4":
            _save_video(frames, temporary, Fraction(1000, milliseconds))
        else:
            _save_pictures(frames, temporary, path.suffix[1:].upper(), milliseconds)


def _save_pictures(frames, path, kind, milliseconds):
    if kind == "GIF" and frames.shape[-1] > 1:
        frames = np.stack([_few_colours(frame) for frame in frames])
    pictures = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
                for frame in _all_different(frames)]
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pictures[0].save(path, kind, save_all=True, loop=0, append_images=pictures[1:],
                     duration=milliseconds, **options)


def _few_colours(frame):
    """A frame in the colours of a GIF, but one: what makes a frame different needs its own."""
    return np.asarray(Image.fromarray(frame[..., :3]).quantize(255).convert("RGB"))


def _all_different(frames):
    """Frames of which no two neighbours are equal: those would become one that lasts longer.

    One corner value changes by one, which nobody sees; the number of frames stays.
    """
    frames = frames.copy()
    for before, frame in zip(frames, frames[1:], strict=False):
        if np.array_equal(before, frame):
            frame[0, 0, 0] ^= 1
    return frames


def _save_video(frames, path, rate):
    import av

    colour = np.repeat(frames, 3, axis=-1) if frames.shape[-1] == 1 else frames[..., :3]
    colour = _even(colour)
    height, width = colour.shape[1:3]
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in colour:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _even(frames):
    """Frames whose last row and column are repeated where sides are odd: H.264 wants even ones."""
    height, width = frames.shape[1:3]
    return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
