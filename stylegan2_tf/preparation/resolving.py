"""What is not given, taken from the headers of the images and from the first volume."""

import collections
import dataclasses

from tqdm import tqdm

from stylegan2_tf.data import decode
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.options import flag
from stylegan2_tf.preparation.reading import Target, read_header
from stylegan2_tf.volumes import SliceOptions, UnreadableVolume, read_slices


def find_target(items, options, crew, progress):
    """The `Target` of all images.

    Args:
        items: List of `sources.Item`.
        options: `Options`.
        crew: `data.parallel.Crew` that reads the headers.
        progress: Show a bar, if standard error is a terminal.

    Raises:
        UsageError: Slices are asked for, but the source is a prepared set.
        DataError: The resolution is not given, and nothing can be read that would tell it.
    """
    sizes, deep, colours = collections.Counter(), 0, 0
    images = [item for item in items if item.kind == "image"]
    if None in (options.resolution, options.channels, options.bits):
        headers = tqdm(crew.ordered(read_header, images, chunk=256), "reading headers",
                       len(images), leave=False, disable=None if progress else True)
        with decode.quiet():
            for header in filter(None, headers):
                sizes[header.height, header.width] += 1
                deep += header.bits == 16
                colours += header.colour
    if items[0].kind == "row":
        _check_uncut(options.slices)
        (size, channels, deep) = _of_set(items[0])
        sizes[size] = 1
    else:
        channels = 3 if 2 * colours > sizes.total() else 1
    resolution = options.resolution or max(sizes, key=lambda size: (sizes[size], size),
                                           default=None) or _of_volumes(items, options)
    return Target(tuple(resolution), options.channels or channels, options.fit,
                  options.bits or (16 if deep else 8), options.slices)


def _check_uncut(slices):
    """Refuse options that would do nothing: the manifest would tell them of slices cut before."""
    default = SliceOptions(bits=slices.bits)
    given = [field.name for field in dataclasses.fields(slices)
             if getattr(slices, field.name) != getattr(default, field.name)]
    if given:
        raise UsageError(f"{flag(given[0])}: expected volumes as SOURCE, found a prepared set, "
                         "whose slices are cut already; prepare it anew from the volumes")


def _of_set(item):
    from stylegan2_tf.preparation.prepared import check_about

    about = check_about(item.place[0])
    _, height, width, channels = about["shape"]
    return (height, width), channels, about["dtype"] == "uint16"


def _of_volumes(items, options):
    """The power of two that holds a slice of the first volume that can be read."""
    reason = "no image can be read"
    for item in items:
        if item.kind != "volume":
            continue
        try:
            one = dataclasses.replace(options.slices, per_volume=1)
            longest = max(next(iter(read_slices(item.place, one))).pixels.shape)
        except UnreadableVolume as error:
            reason = f"{item.name}: {error}"
            continue
        return (1 << max(longest - 1, 1).bit_length(),) * 2
    raise DataError(f"SOURCE: expected an image or a volume that can be read, found none; {reason}")
