"""Seeds as users write them: `0-8,13`; each stands for one image, whatever comes beside it."""

import re

import numpy as np

from stylegan2_tf.errors import UsageError

MOST = 1_000_000
NOISES = ("const", "random", "none")  # maps saved with the model, fresh ones of each seed, none


def read_seeds(text, flag="--seeds"):
    """Read `0-8,13` as a list of ints, in that order and as often. Raises `UsageError`."""
    seeds = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise UsageError(f"{flag}: expected numbers and ranges such as 0-8,13, of 10 digits "
                             f"at most, found {part!r}")
        if last - first + 1 > MOST - len(seeds):
            raise UsageError(f"{flag}: expected {MOST:,} at most, found more in {part!r}")
        seeds += range(first, last + 1)
    return seeds


def labels_of(seeds, count):
    """The class of each seed where no other is asked for: the seed modulo the number of classes.

    Every command goes by it, so that a seed is one image wherever it stands.

    Args:
        seeds: Whole numbers, `N` of them.
        count: How many classes the generator has; 0 for none.

    Returns:
        `[N]`, int64, from 0; zeros where there are no classes.
    """
    return np.asarray(seeds, np.int64) % max(count, 1)
