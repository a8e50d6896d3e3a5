"""The activation of every layer: leaky ReLU that keeps the variance (SG2)."""

import math

from keras import ops

SLOPE = 0.2
GAIN = math.sqrt(2.0)


def scaled_leaky_relu(x):
    """Leaky ReLU with slope 0.2, times sqrt 2 so that the variance stays about one.

    Args:
        x: Tensor of any shape.

    Returns:
        A tensor of the same shape and dtype.
    """
    return ops.leaky_relu(x, SLOPE) * GAIN


ACTIVATIONS = {None: lambda x: x, "leaky_relu": scaled_leaky_relu}


def get_activation(name):
    """Look up an activation. Raises `ValueError` for a name that is not in `ACTIVATIONS`."""
    if name not in ACTIVATIONS:
        raise ValueError("Argument `activation` must be None or 'leaky_relu'. "
                         f"Received: activation={name}")
    return ACTIVATIONS[name]
