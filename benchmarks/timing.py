"""How long something takes."""

import statistics
import time


def median_ms(function, repeats=5):
    """Milliseconds of a call that returns a tensor, the median of `repeats`, after one more."""
    _wait(function())
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        _wait(function())
        found.append(1000.0 * (time.perf_counter() - started))
    return statistics.median(found)


def _wait(found):
    """A device works on when a call returns: reading a number waits for it."""
    import numpy as np
    import tensorflow as tf

    for tensor in tf.nest.flatten(found):
        np.asarray(tensor).ravel()[:1]
