"""The residual trunk of the discriminator, with fade-in (SG2 figure 7, c).

Shapes: `N` batch, `H W` space, `C` channels.
"""

import keras
from keras import ops

from stylegan2_tf.layers import EqualizedConv2D, average_pixels, normalized
from stylegan2_tf.networks.parts import make_attention
from stylegan2_tf.sides import doubled

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
        spectral_norm: Whether to divide every kernel by its largest singular value.

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

    def __init__(self, filters, convolutions=2, spectral_norm=False, **kwargs):
        super().__init__(**kwargs)
        if convolutions not in (1, 2):
            raise ValueError("Argument `convolutions` must be 1 or 2. "
                             f"Received: convolutions={convolutions}")
        self.filters = filters
        self.convolutions = convolutions
        self.spectral_norm = spectral_norm

    def build(self, x_shape):
        def conv(filters, name, **options):
            layer = EqualizedConv2D(filters, name=name, dtype=self.dtype_policy, **options)
            layer = normalized(layer, self.spectral_norm)
            layer.build(x_shape)
            return layer

        if self.convolutions == 2:
            self.conv_0 = conv(x_shape[-1], "conv_0", activation="leaky_relu")
        self.conv_1 = conv(self.filters, "conv_1", resample="down", activation="leaky_relu")
        self.skip = conv(self.filters, "skip", kernel_size=1, resample="down", use_bias=False)

    def call(self, x, alpha=FINAL_ALPHA):
        alpha = ops.cast(alpha, "float32")
        main_weight, skip_weight = (
            weight * ops.rsqrt(ops.square(1 - alpha) + ops.square(alpha))
            for weight in (1 - alpha, alpha))
        main = self.conv_0(x) if self.convolutions == 2 else x
        return self.conv_1(main, gain=main_weight) + self.skip(x, gain=skip_weight)

    def compute_output_shape(self, x_shape):
        batch, height, width, _ = x_shape
        return (batch, height // 2, width // 2, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters,
                "convolutions": self.convolutions, "spectral_norm": self.spectral_norm}


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class ResidualTrunk(keras.layers.Layer):
    """From an image to small feature maps: from-RGB, then one residual block per halving.

    Grown progressively, the trunk begins at resolution number `level`, counted from the
    final one; the image at half the size enters beside it, alone with `fade` 0 and not at all
    with 1 (PG section 3).

    Args:
        filters: Channels of each block's input, full resolution first; their number decides
            the resolution of the image: `final_resolution · 2^len(filters)`. The output has
            as many channels as the last block.
        final_resolution: Side of the output, or (height, width).
        channels: Channels of the image.
        convolutions: In each block: 2 in the paper, or 1.
        spectral_norm: Whether to divide every kernel but those of attention by its largest
            singular value.
        attention: Longer side of the maps that attend to themselves, or None.
        level: Number of the resolution where the image enters, from 0 for `final_resolution`;
            moved by the training step. None for full resolution, without `fade`.

    Call arguments:
        image: Images `[N, H, W, channels]`.
        drop: None, or tensors with the shapes of `mask_shapes(N)` that the output of each
            block is multiplied with (dropout).

    Input shape:
        `[N, H, W, channels]`, values in `[-1, 1]`.

    Output shape:
        `[N, h, w, filters[-1]]` with h, w of `final_resolution`.

    Raises:
        ValueError: `filters` is empty, or no maps have the side `attention`.

    Example:

    >>> ResidualTrunk([8, 16])(keras.ops.ones((4, 16, 16, 1))).shape
    (4, 4, 4, 16)
    """

    def __init__(self, filters, final_resolution=4, channels=1, convolutions=2,
                 spectral_norm=False, attention=None, level=None, **kwargs):
        super().__init__(**kwargs)
        if not filters:
            raise ValueError("Argument `filters` must name at least one block. "
                             f"Received: filters={filters}")
        self.filters = list(filters)
        self.final_resolution = final_resolution
        self.channels = channels
        self.convolutions = convolutions
        self.spectral_norm = spectral_norm
        self.attention = attention
        self.level = level
        options = dict(dtype=self.dtype_policy)
        # `entries[k]` takes images of resolution k, `blocks[k - 1]` leads from k to k - 1.
        self._widths = [self.filters[-1], *reversed(self.filters)]
        numbers = range(len(self._widths))
        self._entered = list(numbers) if level is not None else [numbers[-1]]
        self.entries = [
            normalized(EqualizedConv2D(self._widths[number], 1, activation="leaky_relu",
                                       name=f"from_image_{number}", **options), spectral_norm)
            for number in self._entered]
        self.blocks = [
            ResidualBlock(self._widths[number - 1], convolutions, spectral_norm,
                          name=f"block_{number}", **options) for number in numbers[1:]]
        sides = [max(doubled(final_resolution, number)) for number in numbers]
        self.attend = make_attention(attention, sides, self.dtype_policy)

    @property
    def _top(self):
        return len(self.filters) if self.level is None else self.level

    @property
    def resolution(self):
        """Height and width of the image."""
        return doubled(self.final_resolution, self._top)

    def mask_shapes(self, batch):
        """The shape `[batch, 1, 1, C]` of each block's output mask, in call order."""
        return [(batch, 1, 1, self._widths[number - 1]) for number in range(self._top, 0, -1)]

    def build(self, input_shape):
        # Moved by the training step; saved with the model, so that its scores stay the same.
        self.alpha = self._add_scalar("alpha", FINAL_ALPHA)
        if self.level is not None:
            self.fade = self._add_scalar("fade", 1.0)
        for number in range(len(self.filters), -1, -1):
            sides = doubled(self.final_resolution, number)
            if number in self._entered:
                self._entry(number).build((None, *sides, self.channels))
            if number:
                self.blocks[number - 1].build((None, *sides, self._widths[number]))
            if max(sides) == self.attention:
                self.attend.build((None, *sides, self._widths[number]))

    def _add_scalar(self, name, value):
        return self.add_weight(shape=(), name=name, trainable=False, autocast=False,
                               initializer=keras.initializers.Constant(value))

    def _entry(self, number):
        return self.entries[self._entered.index(number)]

    def call(self, image, drop=None):
        x = self._attended(self._entry(self._top)(image), self._top)
        for number in range(self._top, 0, -1):
            x = self.blocks[number - 1](x, alpha=self.alpha)
            if drop:
                x = x * ops.cast(drop[self._top - number], x.dtype)
            if self.level is not None and number == self._top:
                before = self._entry(number - 1)(average_pixels(image))
                x = before + ops.cast(self.fade, x.dtype) * (x - before)
            x = self._attended(x, number - 1)
        return x

    def _attended(self, x, number):
        here = max(doubled(self.final_resolution, number)) == self.attention
        return self.attend(x) if here else x

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *doubled(self.final_resolution, 0), self.filters[-1])

    def get_config(self):
        return {**super().get_config(), "filters": self.filters,
                "final_resolution": self.final_resolution, "channels": self.channels,
                "convolutions": self.convolutions, "spectral_norm": self.spectral_norm,
                "attention": self.attention, "level": self.level}
