"""Modulated convolution, the heart of StyleGAN2 (SG2 section 2.2).

Shapes: `N` batch, `H W` space, `C` channels, `D` latent.
"""

import math

import keras
from keras import ops

from stylegan2_tf.layers.equalized import EqualizedDense, check_convolution
from stylegan2_tf.layers.resampling import BINOMIAL, upsampling_conv

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class ModulatedConv2D(keras.layers.Layer):
    """Convolution whose input channels are scaled by a style, with or without doubling the size.

    `y = d ⊙ conv(s ⊙ x, W)`, with `s = affine(w)` and the demodulation
    `d_j = 1 / sqrt(Σ_i s_i² Σ_k W_ijk² + 1e-8)` (SG2 equations 1 to 3). Scaling input and
    output is equal to one kernel per sample, and needs no grouped convolution.

    Args:
        filters: Channels of the output.
        kernel_size: Side of the kernel, odd.
        demodulate: Whether to divide by the expected standard deviation `1 / d`.
        upsample: Whether to double height and width: a transposed convolution of stride 2,
            then `resample_filter`.
        resample_filter: Taps of the low-pass filter, used with `upsample`.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        w: Intermediate latents `[N, D]`.
        gain: Factor on the result.

    Input shape:
        `[N, H, W, C]` and `[N, D]`.

    Output shape:
        `[N, H, W, filters]`, or `[N, 2H, 2W, filters]` with `upsample`.

    Raises:
        ValueError: `filters` is below 1, or `kernel_size` is even.

    Example:

    >>> layer = ModulatedConv2D(8, upsample=True)
    >>> layer(keras.ops.ones((2, 4, 4, 16)), keras.ops.ones((2, 32))).shape
    (2, 8, 8, 8)

    Reference:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
        arXiv:1912.04958, section 2.2.
    """

    def __init__(self, filters, kernel_size=3, demodulate=True, upsample=False,
                 resample_filter=BINOMIAL, **kwargs):
        super().__init__(**kwargs)
        check_convolution(filters, kernel_size)
        self.filters = filters
        self.kernel_size = kernel_size
        self.demodulate = demodulate
        self.upsample = upsample
        self.resample_filter = tuple(resample_filter)

    def build(self, x_shape, w_shape):
        channels = x_shape[-1]
        self.affine = EqualizedDense(channels, bias_init=1.0, name="affine",
                                     dtype=self.dtype_policy)
        self.affine.build(w_shape)
        self.kernel = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, channels, self.filters), name="kernel",
            initializer=keras.initializers.RandomNormal(stddev=1.0))
        self._scale = 1.0 / math.sqrt(channels * self.kernel_size**2)

    def call(self, x, w, gain=1.0):
        x, scale = self.unscaled(x, w, gain)
        return x * scale if self.demodulate else x

    def unscaled(self, x, w, gain=1.0):
        """The feature maps before demodulation, and what demodulates them: `[N, 1, 1, filters]`.

        Without demodulation that is 1.0.
        """
        style = self.affine(w)
        kernel = self.kernel * self._scale
        if self.demodulate and keras.backend.standardize_dtype(style.dtype) == "float16":
            # Demodulation takes any factor out again; sums of float16 overflow (ADA appendix C).
            style = style / ops.max(ops.abs(style), axis=1, keepdims=True)
        if not self.demodulate:
            return self._convolve(x * style[:, None, None, :], kernel * gain), 1.0
        x = self._convolve(x * style[:, None, None, :], kernel)
        return x, (self._demodulation(style, kernel) * gain)[:, None, None, :]

    def _demodulation(self, style, kernel):
        """`[N, filters]`: one over the expected standard deviation, in float32."""
        power = ops.sum(ops.square(ops.cast(kernel, "float32")), axis=(0, 1))
        variance = ops.matmul(ops.square(ops.cast(style, "float32")), power)
        return ops.cast(ops.rsqrt(variance + EPSILON), style.dtype)

    def _convolve(self, x, kernel):
        if not self.upsample:
            return ops.conv(x, kernel, padding="same")
        return upsampling_conv(x, kernel, self.resample_filter)

    def compute_output_shape(self, x_shape, w_shape):
        batch, height, width, _ = x_shape
        factor = 2 if self.upsample else 1
        return (batch, height * factor, width * factor, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size,
                "demodulate": self.demodulate, "upsample": self.upsample,
                "resample_filter": self.resample_filter}
