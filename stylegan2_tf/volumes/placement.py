"""Where an image lies in the square that a network sees, and how to get it back out.

The same geometry as `data.decode.fit_image`, which has no use for the way back.

Shapes: `H W` height and width in pixels, `C` channels.
"""

import dataclasses

import numpy as np
from PIL import Image

from stylegan2_tf.errors import UsageError
from stylegan2_tf.sides import as_pair

FITS = ("pad", "crop", "stretch")


@dataclasses.dataclass(frozen=True)
class Placement:
    """A box of the source that was resized into a box of the target.

    Attributes:
        source: (height, width) of the image.
        target: (height, width) of what it was brought to.
        source_box: (top, left, height, width) of what was taken of the image.
        target_box: Where that lies in the target.
    """

    source: tuple
    target: tuple
    source_box: tuple
    target_box: tuple

    def apply(self, mask, fill=0):
        """Bring a mask `[H, W, ...]` of the source's shape to the target's: nearest pixel."""
        return _moved(mask, self.source, self.target, self.source_box, self.target_box, 0, fill)

    def undo(self, array, order=1, fill=0):
        """Bring what has the target's shape back to that of the source.

        Args:
            array: `[H, W]` or `[H, W, C]` of the target's shape.
            order: 1 for images (linear, with support that grows), 0 for masks (nearest
                pixel): `undo(apply(mask), order=0)` is `mask` where nothing was shrunk or cut.
            fill: Value of what a crop has cut off.

        Returns:
            Array of the source's shape and of the dtype of `array`; integers are rounded.
        """
        return _moved(array, self.target, self.source, self.target_box, self.source_box, order,
                      fill)

    def to_json(self):
        """A dict of lists."""
        return {name: list(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, content):
        """The `Placement` of what `to_json` returned.

        Raises:
            UsageError: It is something else.
        """
        try:
            made = cls(**{name: tuple(value) for name, value in content.items()})
            if _inside(made.source_box, made.source) and _inside(made.target_box, made.target):
                return made
        except (AttributeError, TypeError, ValueError):
            pass
        raise UsageError("expected a placement with source, target, source_box and target_box, "
                         f"found {str(content)[:80]}")


def placement(source_shape, target_shape, fit):
    """Say how `fit_image(image, target_shape, fit)` places an image of `source_shape`.

    Args:
        source_shape: (height, width) of the image.
        target_shape: Side of a square in pixels, or (height, width).
        fit: "pad", "crop" or "stretch".

    Returns:
        `Placement`.

    Raises:
        UsageError: `fit` is none of those.
    """
    source, target = as_pair(source_shape), as_pair(target_shape)
    if fit not in FITS:
        raise UsageError(f"`fit` must be one of {', '.join(FITS)}. Received: fit={fit!r}")
    whole = (0, 0, *source), (0, 0, *target)
    if fit == "pad":
        return Placement(source, target, whole[0], _centred(source, target))
    if fit == "crop":
        return Placement(source, target, _centred(target, source), whole[1])
    return Placement(source, target, *whole)


def _centred(inner, outer):
    """The largest box with the proportions of `inner` in the middle of `outer`."""
    scale = min(space / side for space, side in zip(outer, inner, strict=True))
    height, width = (max(1, round(side * scale)) for side in inner)
    return (outer[0] - height) // 2, (outer[1] - width) // 2, height, width


def _inside(box, shape):
    """Whether these are whole numbers, and the box has a pixel and lies in the shape."""
    (top, left, height, width), (rows, columns) = box, shape
    return (all(type(value) is int for value in (*box, *shape)) and
            0 <= top < top + height <= rows and 0 <= left < left + width <= columns)


def _moved(array, shape, new_shape, box, new_box, order, fill):
    array = np.asarray(array)
    if array.shape[:2] != shape:
        raise UsageError(f"expected an image of {shape[0]} x {shape[1]} pixels, found "
                         f"{' x '.join(map(str, array.shape[:2]))}")
    if order not in (0, 1):
        raise UsageError(f"`order` must be 0 (nearest) or 1 (linear). Received: order={order!r}")
    top, left, height, width = box
    part = array[top:top + height, left:left + width]
    top, left, height, width = new_box
    moved = np.full((*new_shape, *array.shape[2:]), fill, array.dtype)
    resized = _nearest(part, height, width) if order == 0 else _linear(part, height, width)
    moved[top:top + height, left:left + width] = resized
    return moved


def _nearest(part, height, width):
    """The pixel of `part` under the centre of each new one; whole numbers, hence exact."""
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new)
                     for new, old in zip((height, width), part.shape[:2], strict=True))
    return part[rows[:, None], columns]


def _linear(part, height, width):
    if part.shape[:2] == (height, width):
        return part
    planes = part.reshape(*part.shape[:2], -1).astype(np.float32)
    resized = np.stack([
        Image.fromarray(np.ascontiguousarray(planes[..., channel])).resize(
            (width, height), Image.Resampling.BILINEAR)
        for channel in range(planes.shape[2])], axis=-1).reshape(height, width, *part.shape[2:])
    if part.dtype.kind in "iub":
        resized = resized.round()
    return resized.astype(part.dtype)
