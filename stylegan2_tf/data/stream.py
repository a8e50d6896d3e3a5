"""Endless batches whose order is a function of the seed and the image counter.

Resuming therefore needs one number, and no state of an iterator.
"""

import collections
import concurrent.futures
import functools
import itertools

import numpy as np
import tensorflow as tf

# Batches that wait ready: hides a slow read from disk, at little memory.
PREFETCH = 8


def order(seed, position, count, num_images):
    """Which images come at the places `position` to `position + count - 1`.

    Place `p` belongs to epoch `p // num_images`, and each epoch is a permutation of
    all images that depends on (seed, epoch) only.

    Args:
        seed: Integer, 0 or more.
        position: The image counter: how many images were drawn before.
        count: How many to draw; may span several epochs.
        num_images: Size of the data set.

    Returns:
        int64 array `[count]` with values in 0..num_images - 1.

    Example:

    >>> order(seed=1, position=0, count=6, num_images=3)  # two whole epochs
    """
    places = np.arange(position, position + count, dtype=np.int64)
    epochs, within = np.divmod(places, num_images)
    images = np.empty(count, np.int64)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        images[chosen] = _permutation(seed, int(epoch), num_images)[within[chosen]]
    return images


def batches(packed, *, batch, seed, start=0, share=(0, 1, 1)):
    """Serve `PackedImages` as endless batches of raw integers, gathered in the background.

    Not by `tf.data`: an iterator of its that calls Python hangs the interpreter at its end if it
    is still alive then, as it is in a notebook.

    Args:
        packed: What `pack` returned.
        batch: Images in a batch.
        seed: Integer, 0 or more; the order is `order(seed, ...)`.
        start: The image counter to go on from, such as the one of a checkpoint.
        share: (first, own, all) replicas, see `Team.share`: of row `i` of a batch only those come
            where `i % all` is one of the `own` from `first` on. The rows of all workers are
            together the batch, and no image is read twice.

    Yields:
        Pairs of NumPy arrays: images `[N, H, W, C]`, uint8 in 0..255 or uint16 in 0..65535
        (make them floats with `to_float`), and their class indices, int32 `[N]`, zeros where
        `packed` carries no labels. `N` is `batch`, or the part of it that `share` names.
    """
    array = packed.array
    labels = np.zeros(len(array), np.int32) if packed.labels is None else packed.labels

    first, own, replicas = share
    mine = (np.arange(batch) - first) % replicas < own

    def gather(position):
        chosen = order(seed, position, batch, len(array))[mine]
        return np.asarray(array[chosen]), labels[chosen].astype(np.int32)

    positions = itertools.count(start, batch)
    with concurrent.futures.ThreadPoolExecutor(1, "batches") as pool:
        ready = collections.deque(pool.submit(gather, next(positions)) for _ in range(PREFETCH))
        while True:
            ready.append(pool.submit(gather, next(positions)))
            yield ready.popleft().result()


def to_float(images):
    """Bring raw images to float32 in [-1, 1]: black is -1, white is 1.

    Args:
        images: uint8 or uint16 tensor of any shape.

    Raises:
        ValueError: It has another dtype.
    """
    if images.dtype not in (tf.uint8, tf.uint16):
        raise ValueError(f"`images` must be uint8 or uint16. Received: dtype={images.dtype}")
    return tf.cast(images, tf.float32) / (images.dtype.max / 2) - 1.0


@functools.lru_cache(maxsize=4)
def _permutation(seed, epoch, num_images):
    # Sorting raw draws, for NumPy keeps these for ever but may change `permutation`.
    draws = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(epoch,)))
    return np.argsort(draws.random_raw(num_images), kind="stable")
