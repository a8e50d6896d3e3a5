"""The layers of StyleGAN2's synthesis network (SG2 figure 2, d).

Shapes: `N` batch, `H W` space, `C` channels, `D` latent.
"""

import keras
from keras import ops

from stylegan2_tf.layers import GAIN, ModulatedConv2D, NoiseInjection, clamped, epilogue


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class StyledConv2D(keras.layers.Layer):
    """Modulated convolution, noise, bias and activation: one layer of the generator.

    `y = √2 · lrelu(modconv(x, w) + noise + b)` (SG2 figure 2, d).

    Args:
        filters: Channels of the output.
        upsample: Whether to double height and width.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        w: Intermediate latents `[N, D]`.
        noise: See `NoiseInjection`.

    Input shape:
        `[N, H, W, C]` and `[N, D]`.

    Output shape:
        `[N, H, W, filters]`, or `[N, 2H, 2W, filters]` with `upsample`.

    Example:

    >>> StyledConv2D(8)(keras.ops.ones((2, 4, 4, 16)), keras.ops.ones((2, 32))).shape
    (2, 4, 4, 8)
    """

    def __init__(self, filters, upsample=False, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.upsample = upsample
        self._make_layers(dict(dtype=self.dtype_policy))

    def _make_layers(self, options):
        self.conv = ModulatedConv2D(self.filters, upsample=self.upsample, name="conv", **options)
        self.noise = NoiseInjection(name="noise", **options)

    @property
    def affine(self):
        """The dense layer that reads w."""
        return self.conv.affine

    def build(self, x_shape, w_shape):
        self.conv.build(x_shape, w_shape)
        self.noise.build(self.compute_output_shape(x_shape, w_shape))
        self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")

    def call(self, x, w, noise=None):
        x, scale = self.conv.unscaled(x, w, gain=GAIN)
        return epilogue(x, self.noise.shift(noise, GAIN), self.bias * GAIN, scale=scale)

    def compute_output_shape(self, x_shape, w_shape):
        batch, height, width, _ = x_shape
        factor = 2 if self.upsample else 1
        return (batch, height * factor, width * factor, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "upsample": self.upsample}


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class ToImage(keras.layers.Layer):
    """The paper's to-RGB: a 1x1 modulated convolution without demodulation, plus a bias.

    No activation and no tanh: images are sums of these maps over all resolutions, in float32.

    Args:
        channels: Channels of the image.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        w: Intermediate latents `[N, D]`.

    Input shape:
        `[N, H, W, C]` and `[N, D]`.

    Output shape:
        `[N, H, W, channels]`, float32.

    Example:

    >>> ToImage(1)(keras.ops.ones((2, 4, 4, 16)), keras.ops.ones((2, 32))).shape
    (2, 4, 4, 1)
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self._make_layers(dict(dtype=self.dtype_policy))

    def _make_layers(self, options):
        self.conv = ModulatedConv2D(self.channels, kernel_size=1, demodulate=False, name="conv",
                                    **options)

    def build(self, x_shape, w_shape):
        self.conv.build(x_shape, w_shape)
        self.bias = self.add_weight(shape=(self.channels,), name="bias", initializer="zeros")

    def call(self, x, w):
        image = ops.cast(clamped(self.conv(x, w)), "float32")
        return image + ops.cast(self.bias, "float32")

    def compute_output_shape(self, x_shape, w_shape):
        return (*x_shape[:-1], self.channels)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}
