"""The activation of every layer: leaky ReLU that keeps the variance (SG2)."""

import contextlib
import contextvars
import math

import keras
from keras import ops

SLOPE = 0.2
GAIN = math.sqrt(2.0)
WORTH_COMPILING = 2**18  # numbers in a map: below, calling the compiled function costs more
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


def epilogue(x, *shifts, scale=1.0):
    """All that follows a convolution: `lrelu(x · scale + shifts)`, see `leaky_relu`.

    Args:
        x: Feature maps.
        *shifts: Tensors that broadcast to `x`, such as noise and bias.
        scale: The same, or a number.
    """
    compiled = _compiled.get()
    if compiled is None or math.prod(x.shape) < WORTH_COMPILING:
        return _epilogue(x, *shifts, scale=scale)
    return compiled(x, *shifts, scale=scale)


def _epilogue(x, *shifts, scale):
    return leaky_relu(sum(shifts, x if isinstance(scale, float) else x * scale))


_compiled = contextvars.ContextVar("compiled", default=None)


@contextlib.contextmanager
def compiled_epilogues(compile_):
    """Inside, epilogues of large maps are one pass over memory instead of five.

    Args:
        compile_: Makes a function of tensors faster; None to leave everything as it is.
    """
    token = _compiled.set(compile_ and compile_(_epilogue))
    try:
        yield
    finally:
        _compiled.reset(token)


def clamped(x):
    """`x`, within ±256 where its numbers are float16, which overflow easily."""
    half = keras.backend.standardize_dtype(x.dtype) == "float16"
    return ops.clip(x, -LARGEST, LARGEST) if half else x


def linear(x, *shifts):
    """The epilogue of a layer without activation."""
    return sum(shifts, x)


ACTIVATIONS = {None: (linear, 1.0), "leaky_relu": (epilogue, GAIN)}


def get_activation(name):
    """Look up (function of maps and of what is added to them, gain that it expects before it).

    Raises:
        ValueError: The name is not in `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise ValueError("Argument `activation` must be None or 'leaky_relu'. "
                         f"Received: activation={name}")
    return ACTIVATIONS[name]
