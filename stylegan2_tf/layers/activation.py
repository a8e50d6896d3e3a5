"""The activation of every layer: leaky ReLU that keeps the variance (SG2)."""

import math

import keras
from keras import ops

SLOPE = 0.2
GAIN = math.sqrt(2.0)
LARGEST = 256.0  # ADA appendix C: float16 ends at 65,504, which sums of large features reach


def leaky_relu(x):
    """Leaky ReLU with slope 0.2.

    Its gain of sqrt 2, which keeps the variance about one, belongs to what comes before:
    `GAIN · lrelu(x) = lrelu(GAIN · x)`, and a kernel and a bias are smaller than the maps.

    Args:
        x: Tensor of any shape, multiplied by `GAIN` already.

    Returns:
        A tensor of the same shape and dtype.
    """
    return clamped(ops.leaky_relu(x, SLOPE))


def clamped(x):
    """`x`, within ±256 where its numbers are float16, which overflow easily."""
    half = keras.backend.standardize_dtype(x.dtype) == "float16"
    return ops.clip(x, -LARGEST, LARGEST) if half else x


ACTIVATIONS = {None: (lambda x: x, 1.0), "leaky_relu": (leaky_relu, GAIN)}


def get_activation(name):
    """Look up (activation, gain that it expects before it).

    Raises:
        ValueError: The name is not in `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise ValueError("Argument `activation` must be None or 'leaky_relu'. "
                         f"Received: activation={name}")
    return ACTIVATIONS[name]
