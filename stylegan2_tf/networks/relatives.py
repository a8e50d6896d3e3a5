"""The synthesis networks before StyleGAN2's: StyleGAN (AdaIN) and DCGAN with input skips.

They differ from `SynthesisNetwork` in their layers only.
Shapes: `N` batch, `H W` space, `C` channels, `D` latent.
"""

import math

import keras
from keras import ops

from stylegan2_tf.layers import (
    GAIN,
    AdaptiveInstanceNormalization,
    EqualizedConv2D,
    EqualizedDense,
    NoiseInjection,
    PixelNormalization,
    epilogue,
)
from stylegan2_tf.networks.styled import StyledConv2D, ToImage
from stylegan2_tf.networks.synthesis import SynthesisNetwork


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class AdaINConv2D(StyledConv2D):
    """Convolution, noise, activation and AdaIN: one layer of StyleGAN's generator.

    `y = AdaIN(√2 · lrelu(conv(x) + noise + b), w)` (SG1 figure 1, b).

    Arguments as in `StyledConv2D`.

    Input shape:
        `[N, H, W, C]` and `[N, D]`.

    Output shape:
        `[N, H, W, filters]`, or `[N, 2H, 2W, filters]` with `upsample`.

    Example:

    >>> AdaINConv2D(8)(keras.ops.ones((2, 4, 4, 16)), keras.ops.ones((2, 32))).shape
    (2, 4, 4, 8)
    """

    def _make_layers(self, options):
        # The bias of `conv` comes before the noise; their order makes no difference.
        self.conv = _unstyled(self, options)
        self.noise = NoiseInjection(name="noise", **options)
        self.adain = AdaptiveInstanceNormalization(name="adain", **options)

    @property
    def affine(self):
        return self.adain.affine

    def build(self, x_shape, w_shape):
        shape = self.compute_output_shape(x_shape, w_shape)
        self.conv.build(x_shape)
        self.noise.build(shape)
        self.adain.build(shape, w_shape)

    def call(self, x, w, noise=None):
        x = epilogue(self.conv(x, gain=GAIN), self.noise.shift(noise, GAIN))
        return self.adain(x, w)


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class UnstyledConv2D(StyledConv2D):
    """Convolution, bias, activation and pixel normalisation: one layer of DCGAN's generator.

    `y = pixelnorm(√2 · lrelu(conv(x) + b))` (DCGAN section 3, with PG section 4.2 in the place
    of batch normalisation: images of a batch stay independent of each other).
    `w` and `noise` are not used, for the latent enters at the first layer only.

    Arguments as in `StyledConv2D`.

    Input shape:
        `[N, H, W, C]` and `[N, D]`.

    Output shape:
        `[N, H, W, filters]`, or `[N, 2H, 2W, filters]` with `upsample`.

    Example:

    >>> UnstyledConv2D(8)(keras.ops.ones((2, 4, 4, 16)), keras.ops.ones((2, 32))).shape
    (2, 4, 4, 8)
    """

    def _make_layers(self, options):
        self.conv = _unstyled(self, options, activation="leaky_relu")
        self.normalize = PixelNormalization(name="normalize", **options)

    def build(self, x_shape, w_shape):
        self.conv.build(x_shape)

    def call(self, x, w, noise=None):
        return self.normalize(self.conv(x))


def _unstyled(layer, options, activation=None):
    """The convolution of a layer that w does not modulate."""
    return EqualizedConv2D(layer.filters, resample="up" if layer.upsample else None,
                           activation=activation, name="conv", **options)


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class UnstyledToImage(ToImage):
    """A 1x1 convolution to the image's channels, in float32.

    Arguments as in `ToImage`.

    Input shape:
        `[N, H, W, C]` and `[N, D]`, of which the second is not used.

    Output shape:
        `[N, H, W, channels]`, float32.

    Example:

    >>> UnstyledToImage(1)(keras.ops.ones((2, 4, 4, 16)), keras.ops.ones((2, 32))).shape
    (2, 4, 4, 1)
    """

    def _make_layers(self, options):
        self.conv = EqualizedConv2D(self.channels, 1, name="conv", **options)

    def build(self, x_shape, w_shape):
        self.conv.build(x_shape)

    def call(self, x, w):
        return ops.cast(self.conv(x), "float32")


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class StyleGANSynthesis(SynthesisNetwork):
    """StyleGAN's synthesis network: AdaIN in every layer, no skips (SG1 figure 1, b).

    The image is made from the last resolution alone. The learned constant enters the first
    convolution as it is (SG2 section 2.1), so `num_ws = 1 + convolutions · (len(filters) - 1)`.
    Arguments as in `SynthesisNetwork`.

    Input shape:
        `[N, num_ws, D]`.

    Output shape:
        As in `SynthesisNetwork`.

    Example:

    >>> StyleGANSynthesis([16, 8], base_resolution=4)(keras.ops.ones((2, 3, 32))).shape
    (2, 8, 8, 1)
    """

    conv_class, to_image_class = AdaINConv2D, UnstyledToImage
    skips = False

    @property
    def num_ws(self):
        return len(self.convs)


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class DCGANSynthesis(SynthesisNetwork):
    """DCGAN's generator with input skips: the latent enters at the first layer only.

    A dense layer in the place of the learned constant, no styles and no noise; the sum of the
    skips passes tanh, so images stay within `[-1, 1]` (DCGAN section 3, SG2 figure 7, b).
    Arguments as in `SynthesisNetwork`.

    Input shape:
        `[N, 1, D]`: `num_ws` is 1.

    Output shape:
        As in `SynthesisNetwork`, within `[-1, 1]`.

    Example:

    >>> DCGANSynthesis([16, 8], base_resolution=4)(keras.ops.ones((2, 1, 32))).shape
    (2, 8, 8, 1)

    Reference:
        Radford et al., Unsupervised Representation Learning with Deep Convolutional Generative
        Adversarial Networks, arXiv:1511.06434.
    """

    conv_class, to_image_class = UnstyledConv2D, UnstyledToImage
    num_ws = 1

    def affines(self):
        return [self.dense]

    def _build_start(self, shape, w_shape):
        self.dense = EqualizedDense(math.prod(shape[1:]), "leaky_relu", name="dense",
                                    dtype=self.dtype_policy)
        self.normalize = PixelNormalization(name="normalize", dtype=self.dtype_policy)
        self.dense.build(w_shape)

    def _start(self, ws):
        x = ops.reshape(self.dense(ws[:, 0]), (-1, *self._sides(0), self.filters[0]))
        return self.normalize(x)

    def noise_shapes(self, batch):
        return []

    def call(self, ws, noise=None):
        return ops.tanh(super().call(ws, noise))
