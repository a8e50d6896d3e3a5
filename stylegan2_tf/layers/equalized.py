"""Dense and convolution layers with equalised learning rate (PG section 4.1).

Weights are stored with standard deviation one and scaled when used, so that Adam,
whose steps do not depend on the scale of a gradient, moves all layers at one relative rate.
Shapes: `N` batch, `H W` space, `C` channels.
"""

import math

import keras
from keras import ops

from stylegan2_tf.layers.activation import get_activation
from stylegan2_tf.layers.resampling import (
    BINOMIAL,
    downsampling_conv,
    upsampling_conv,
)


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class EqualizedDense(keras.layers.Layer):
    """Dense layer with equalised learning rate.

    `y = act(x · W · m / sqrt(fan_in) + b · m)`, with `W` stored as `N(0, 1) / m`
    (PG section 4.1; the multiplier `m` is SG1 appendix C).

    Args:
        units: Length of the output.
        activation: `None` or `"leaky_relu"` (slope 0.2, gain sqrt 2).
        lr_multiplier: `m`, the learning rate of this layer relative to the others.
        bias_init: What the bias adds before any training.

    Input shape:
        `[..., fan_in]`.

    Output shape:
        `[..., units]`.

    Raises:
        ValueError: `units` is below 1, `lr_multiplier` is not positive, or the activation
            is unknown.

    Example:

    >>> EqualizedDense(8, activation="leaky_relu")(keras.ops.ones((2, 4))).shape
    (2, 8)
    """

    def __init__(self, units, activation=None, lr_multiplier=1.0, bias_init=0.0, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"Argument `units` must be at least 1. Received: units={units}")
        if lr_multiplier <= 0:
            raise ValueError("Argument `lr_multiplier` must be positive. "
                             f"Received: lr_multiplier={lr_multiplier}")
        self.units = units
        self.activation = activation
        self.lr_multiplier = lr_multiplier
        self.bias_init = bias_init
        self._activate, self._gain = get_activation(activation)

    def build(self, input_shape):
        fan_in = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(fan_in, self.units), name="kernel",
            initializer=keras.initializers.RandomNormal(stddev=1.0 / self.lr_multiplier))
        self.bias = self.add_weight(
            shape=(self.units,), name="bias",
            initializer=keras.initializers.Constant(self.bias_init / self.lr_multiplier))
        self._scale = self.lr_multiplier / math.sqrt(fan_in)

    @property
    def runtime_kernel(self):
        """The kernel as it is used, scaled."""
        return self.kernel * self._scale

    def call(self, x):
        x = ops.matmul(x, self.runtime_kernel * self._gain)
        return self._activate(x, self.bias * (self.lr_multiplier * self._gain))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "activation": self.activation,
                "lr_multiplier": self.lr_multiplier, "bias_init": self.bias_init}


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class EqualizedConv2D(keras.layers.Layer):
    """Convolution with equalised learning rate, which may double or halve the size.

    `y = act(conv(x, W / sqrt(C · k²)) + b)`, with `W` stored as `N(0, 1)` (PG section 4.1).
    To halve the size, `x` is blurred with `resample_filter` and the convolution has stride 2;
    to double it, a transposed convolution of stride 2 is blurred (SG1 section 2.1).

    Args:
        filters: Channels of the output.
        kernel_size: Side of the kernel, odd.
        resample: `None`, or `"up"` or `"down"` to double or halve height and width.
        activation: `None` or `"leaky_relu"` (slope 0.2, gain sqrt 2).
        use_bias: Whether to add a bias.
        resample_filter: Taps of the low-pass filter, used where the size changes.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        gain: Factor on the result, a positive scalar; the kernel takes it, which is smaller.

    Input shape:
        `[N, H, W, C]`.

    Output shape:
        `[N, H, W, filters]`, `[N, 2H, 2W, filters]` or `[N, H/2, W/2, filters]`.

    Raises:
        ValueError: `filters` is below 1, `kernel_size` is even, or the activation or way to
            resample is unknown.

    Example:

    >>> EqualizedConv2D(8, resample="down")(keras.ops.ones((2, 16, 16, 4))).shape
    (2, 8, 8, 8)
    """

    def __init__(self, filters, kernel_size=3, resample=None, activation=None, use_bias=True,
                 resample_filter=BINOMIAL, **kwargs):
        super().__init__(**kwargs)
        check_convolution(filters, kernel_size)
        if resample not in (None, "up", "down"):
            raise ValueError("Argument `resample` must be None, 'up' or 'down'. "
                             f"Received: resample={resample}")
        self.filters = filters
        self.kernel_size = kernel_size
        self.resample = resample
        self.activation = activation
        self.use_bias = use_bias
        self.resample_filter = tuple(resample_filter)
        self._activate, self._gain = get_activation(activation)

    def build(self, input_shape):
        channels = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, channels, self.filters), name="kernel",
            initializer=keras.initializers.RandomNormal(stddev=1.0))
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")
        self._scale = 1.0 / math.sqrt(channels * self.kernel_size**2)

    @property
    def runtime_kernel(self):
        """The kernel as it is used, scaled."""
        return self.kernel * self._scale

    def call(self, x, gain=1.0):
        gain = gain * self._gain
        x = self._convolve(x, self.runtime_kernel * ops.cast(gain, x.dtype))
        shifts = [self.bias * ops.cast(gain, x.dtype)] if self.use_bias else []
        return self._activate(x, *shifts)

    def _convolve(self, x, kernel):
        if self.resample == "up":
            return upsampling_conv(x, kernel, self.resample_filter)
        if self.resample == "down":
            return downsampling_conv(x, kernel, self.resample_filter)
        return ops.conv(x, kernel, padding="same")

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        doubled = {None: 2, "up": 4, "down": 1}[self.resample]
        return (batch, height * doubled // 2, width * doubled // 2, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size,
                "resample": self.resample, "activation": self.activation,
                "use_bias": self.use_bias, "resample_filter": self.resample_filter}


def check_convolution(filters, kernel_size):
    """Raise `ValueError` for sizes that no convolution here can have."""
    if filters < 1:
        raise ValueError(f"Argument `filters` must be at least 1. Received: filters={filters}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError("Argument `kernel_size` must be odd and positive. "
                         f"Received: kernel_size={kernel_size}")
