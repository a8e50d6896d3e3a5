"""Seeds as users write them: `0-8,13`; each stands for one latent, whatever comes beside it."""

import re

from stylegan2_tf.errors import UsageError

MOST = 1_000_000


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
