"""TFRecord files of equal records, written without TensorFlow and read as memory maps.

A record is a `tf.train.Example` with one bytes feature, `image`, the pixels row by row. All records
have one length, so image number `i` lies at a known place: no index needs to be read, any order is
as fast as another, and every TFRecord reader takes the files, too.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import hashlib
import math
import struct
from pathlib import Path

import numpy as np

from stylegan2_tf.files import replacing
from stylegan2_tf.preparation.crc32c import masked_crc32c

FEATURE = b"image"
BLOCK = 2**24  # bytes of images that are encoded at once


def shard_names(count):
    """The files' names, below the set."""
    return [f"shards/{number:05}-of-{count:05}.tfrecord" for number in range(count)]


def write_shards(folder, blocks, total, count):
    """Write images as shards, each but the last of equally many.

    Args:
        folder: The prepared set.
        blocks: Iterable of arrays `[n, H, W, C]`, uint8 or little-endian uint16.
        total: N, the images in all blocks.
        count: Files, at most; fewer if there are fewer images.

    Returns:
        List of dicts with "file", "images" and "sha256", as it stands in `dataset.json`.
    """
    each = -(-total // count)
    count = -(-total // each)
    shards, rest = [], iter(_by(each, blocks))
    for number, name in enumerate(shard_names(count)):
        images, digest = min(each, total - number * each), hashlib.sha256()
        with replacing(Path(folder) / name) as temporary, open(temporary, "wb") as stream:
            written = 0
            while written < images:
                block = next(rest)
                content = encode(block)
                stream.write(content)
                digest.update(content)
                written += len(block)
        shards.append({"file": name, "images": images, "sha256": digest.hexdigest()})
    return shards


def encode(images):
    """The records of `images` `[n, H, W, C]`: length, its checksum, content, its checksum."""
    pixels = np.ascontiguousarray(images).view(np.uint8).reshape(len(images), -1)
    start = _start(pixels.shape[1])
    records = np.empty((len(images), 12 + len(start) + pixels.shape[1] + 4), np.uint8)
    length = struct.pack("<Q", len(start) + pixels.shape[1])
    crc = masked_crc32c(np.frombuffer(length, np.uint8)[None])
    records[:, :8] = np.frombuffer(length, np.uint8)
    records[:, 8:12] = crc.astype("<u4").view(np.uint8)
    records[:, 12:12 + len(start)] = np.frombuffer(start, np.uint8)
    records[:, 12 + len(start):-4] = pixels
    records[:, -4:] = masked_crc32c(records[:, 12:-4]).astype("<u4")[:, None].view(np.uint8)
    return records.tobytes()


class Shards:
    """The images of some shards, which are read when they are asked for.

    Args:
        maps: Arrays `[n, H, W, C]`, each but the last of equally many images.
    """

    def __init__(self, maps):
        self._maps, self._each = maps, len(maps[0])
        self.dtype = maps[0].dtype
        self.shape = (sum(map(len, maps)), *maps[0].shape[1:])
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        if index.size and (index.min() < -len(self) or index.max() >= len(self)):
            raise IndexError(f"index out of range for {len(self)} images")
        index = index % max(len(self), 1)
        if index.ndim == 0:
            return np.array(self._maps[index // self._each][index % self._each])
        found = np.empty((*index.shape, *self.shape[1:]), self.dtype)
        numbers = index // self._each
        for number in np.unique(numbers):
            chosen = numbers == number
            found[chosen] = self._maps[number][index[chosen] - number * self._each]
        return found

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


def open_shards(folder, about):
    """Map the shards of a prepared set with the `dataset.json` `about`; see `Shards`.

    Raises:
        ValueError: One has another length than its images take.
        OSError: One is missing.
    """
    shape, dtype = tuple(about["shape"][1:]), np.dtype(about["dtype"])
    size = math.prod(shape) * dtype.itemsize
    start = 12 + len(_start(size))
    record = start + size + 4
    names, maps = shard_names(len(about["shards"])), []
    for name, shard in zip(names, about["shards"], strict=True):
        path = Path(folder) / name  # never a path that the file itself states
        if path.stat().st_size != record * shard["images"]:
            raise ValueError(f"{name} of another length than {shard['images']:,} images take")
        content = np.memmap(path, np.uint8, "r")
        strides = np.empty(shape, dtype).strides
        maps.append(np.ndarray((shard["images"], *shape), dtype, content, start,
                               (record, *strides)))
    return Shards(maps)


def _by(each, blocks):
    """The same images in blocks that never cross a multiple of `each`."""
    position = 0
    for block in blocks:
        while len(block):
            taken = min(each - position % each, len(block))
            yield block[:taken]
            block, position = block[taken:], position + taken


def _start(size):
    """What a `tf.train.Example` says before `size` bytes of pixels (protocol buffers' encoding).

    Example.features = 1, Features.feature = 1 (a map: key = 1, value = 2), Feature.bytes_list = 1,
    BytesList.value = 1; each is a tag of ten, or eighteen for the map's value, and a length.
    """
    value = b"\n" + _varint(size)
    values = b"\n" + _varint(len(value) + size) + value
    key = b"\n" + _varint(len(FEATURE)) + FEATURE
    entry = key + b"\x12" + _varint(len(values) + size) + values
    feature = b"\n" + _varint(len(entry) + size) + entry
    return b"\n" + _varint(len(feature) + size) + feature


def _varint(number):
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
