"""The residual discriminator with fade-in and minibatch standard deviation (SG2 figure 7, c).

Shapes: `N` batch, `H W` space, `C` channels.
"""

import math

import keras
from keras import ops

from stylegan2_tf.layers import EqualizedConv2D, EqualizedDense, MinibatchStddev, downsample

DENSE_RESOLUTION = 4  # larger maps are brought here first: dense weights grow with the area
FINAL_ALPHA = 0.5


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class ResidualBlock(keras.layers.Layer):
    """One or two convolutions and a 1x1 skip, both at half the size, mixed by `alpha`.

    `y = ((1 - alpha) · main(x) + alpha · skip(x)) / sqrt((1 - alpha)² + alpha²)`.
    Alpha 0.5 is SG2's `(main + skip) / √2`; alpha 0 is the plain convolution path. The
    denominator keeps the variance constant in between.

    Args:
        filters: Channels of the output.
        convolutions: 3x3 convolutions in the main path: 2 in the paper; 1 keeps only the
            downsampling one.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        alpha: A scalar in `[0, 1]`.

    Input shape:
        `[N, H, W, C]` with even height and width.

    Output shape:
        `[N, H/2, W/2, filters]`.

    Raises:
        ValueError: `convolutions` is neither 1 nor 2.

    Example:

    >>> ResidualBlock(16)(keras.ops.ones((2, 8, 8, 4)), alpha=0.5).shape
    (2, 4, 4, 16)
    """

    def __init__(self, filters, convolutions=2, **kwargs):
        super().__init__(**kwargs)
        if convolutions not in (1, 2):
            raise ValueError("Argument `convolutions` must be 1 or 2. "
                             f"Received: convolutions={convolutions}")
        self.filters = filters
        self.convolutions = convolutions

    def build(self, x_shape):
        policy = self.dtype_policy
        if self.convolutions == 2:
            self.conv_0 = EqualizedConv2D(x_shape[-1], activation="leaky_relu", dtype=policy)
            self.conv_0.build(x_shape)
        self.conv_1 = EqualizedConv2D(self.filters, downsample=True, activation="leaky_relu",
                                      dtype=policy)
        self.skip = EqualizedConv2D(self.filters, kernel_size=1, downsample=True, use_bias=False,
                                    dtype=policy)
        self.conv_1.build(x_shape)
        self.skip.build(x_shape)

    def call(self, x, alpha=FINAL_ALPHA):
        alpha = ops.cast(alpha, "float32")
        main_weight, skip_weight = (
            ops.cast(weight * ops.rsqrt(ops.square(1 - alpha) + ops.square(alpha)), x.dtype)
            for weight in (1 - alpha, alpha))
        main = self.conv_0(x) if self.convolutions == 2 else x
        return main_weight * self.conv_1(main) + skip_weight * self.skip(x)

    def compute_output_shape(self, x_shape):
        batch, height, width, _ = x_shape
        return (batch, height // 2, width // 2, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters,
                "convolutions": self.convolutions}


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class Discriminator(keras.Model):
    """StyleGAN2 discriminator: from-RGB, residual blocks, epilogue (SG2 section 4.1).

    The epilogue is minibatch stddev, a 3x3 convolution, a low-pass filter down to 4x4 where
    the map is larger, and two dense layers.

    Args:
        filters: Channels of each block's input, full resolution first; their number decides
            the resolution of the image: `final_resolution · 2^len(filters)`.
        final_resolution: Resolution of the last convolution. It has as many channels as
            the last block.
        channels: Channels of the image.
        group_size: Images in a group of the minibatch stddev.
        convolutions: In each block: 2 in the paper, or 1.

    Input shape:
        `[N, H, W, channels]`, values in `[-1, 1]`.

    Output shape:
        `[N, 1]`, float32: the logit (or the critic's score) of each image.

    Raises:
        ValueError: `filters` is empty.

    Example:

    >>> Discriminator([8, 16])(keras.ops.ones((4, 16, 16, 1))).shape
    (4, 1)

    Reference:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
        arXiv:1912.04958.
    """

    def __init__(self, filters, final_resolution=4, channels=1, group_size=4, convolutions=2,
                 **kwargs):
        super().__init__(**kwargs)
        if not filters:
            raise ValueError("Argument `filters` must name at least one block. "
                             f"Received: filters={filters}")
        self.filters = list(filters)
        self.final_resolution = final_resolution
        self.channels = channels
        self.group_size = group_size
        self.convolutions = convolutions
        options = dict(dtype=self.dtype_policy)
        last = self.filters[-1]
        self.from_image = EqualizedConv2D(self.filters[0], 1, activation="leaky_relu",
                                          name="from_image", **options)
        self.blocks = [ResidualBlock(width, convolutions, name=f"block_{index}", **options)
                       for index, width in enumerate([*self.filters[1:], last])]
        self.stddev = MinibatchStddev(group_size, **options)
        self.conv = EqualizedConv2D(last, activation="leaky_relu", name="conv", **options)
        self.hidden = EqualizedDense(last, "leaky_relu", name="hidden", **options)
        self.score = EqualizedDense(1, name="score", **options)

    @property
    def resolution(self):
        return self.final_resolution << len(self.filters)

    @property
    def _halvings(self):
        """Low-pass halvings between the last convolution and the dense layers."""
        return max(0, math.ceil(math.log2(self.final_resolution / DENSE_RESOLUTION)))

    def build(self, input_shape=None):
        # Moved by the training step; saved with the model, so that its scores stay the same.
        self.alpha = self.add_weight(shape=(), name="alpha", trainable=False, autocast=False,
                                     initializer=keras.initializers.Constant(FINAL_ALPHA))
        shape = (None, self.resolution, self.resolution, self.channels)
        for layer in (self.from_image, *self.blocks, self.stddev, self.conv):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        side = self.final_resolution >> self._halvings
        self.hidden.build((None, side * side * self.filters[-1]))
        self.score.build((None, self.filters[-1]))

    def features(self, image):
        """The hidden layer before the score, `[N, filters[-1]]`."""
        x = self.from_image(image)
        for block in self.blocks:
            x = block(x, alpha=self.alpha)
        x = self.conv(self.stddev(x))
        for _ in range(self._halvings):
            x = downsample(x)
        return self.hidden(ops.reshape(x, (-1, self.hidden.kernel.shape[0])))

    def call(self, image):
        return ops.cast(self.score(self.features(image)), "float32")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters,
                "final_resolution": self.final_resolution, "channels": self.channels,
                "group_size": self.group_size, "convolutions": self.convolutions}
