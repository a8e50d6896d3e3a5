"""The synthesis network ws -> image: styled convolutions with input skips (SG2 figure 7, b).

Shapes: `N` batch, `H W` space, `C` channels, `D` latent.
"""

import keras
from keras import ops

from stylegan2_tf.layers import ModulatedConv2D, NoiseInjection, scaled_leaky_relu, upsample


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
        self.conv = ModulatedConv2D(filters, upsample=upsample, dtype=self.dtype_policy)
        self.noise = NoiseInjection(dtype=self.dtype_policy)

    def build(self, x_shape, w_shape):
        self.conv.build(x_shape, w_shape)
        self.noise.build(self.compute_output_shape(x_shape, w_shape))
        self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")

    def call(self, x, w, noise=None):
        x = self.noise(self.conv(x, w), noise=noise)
        return scaled_leaky_relu(x + self.bias)

    def compute_output_shape(self, x_shape, w_shape):
        return self.conv.compute_output_shape(x_shape, w_shape)

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
        self.conv = ModulatedConv2D(channels, kernel_size=1, demodulate=False,
                                    dtype=self.dtype_policy)

    def build(self, x_shape, w_shape):
        self.conv.build(x_shape, w_shape)
        self.bias = self.add_weight(shape=(self.channels,), name="bias", initializer="zeros")

    def call(self, x, w):
        image = ops.cast(self.conv(x, w), "float32")
        return image + ops.cast(self.bias, "float32")

    def compute_output_shape(self, x_shape, w_shape):
        return (*x_shape[:-1], self.channels)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class SynthesisNetwork(keras.layers.Layer):
    """From a learned constant to an image, one resolution after the other (SG2 figure 7, b).

    One styled convolution at the first resolution, `convolutions` at each further one, of
    which the first upsamples; after the last of a resolution a `ToImage`, whose output is
    added to the upsampled image so far. Layer k takes `ws[:, k]`; a `ToImage` takes the w of
    the convolution that follows it, so `num_ws = 2 + convolutions · (len(filters) - 1)`.

    Args:
        filters: Channels at each resolution, the lowest first.
        base_resolution: Height and width of the learned constant.
        channels: Channels of the image.
        convolutions: Styled convolutions at each resolution above the first: 2 in the paper;
            1 keeps only the upsampling one.

    Call arguments:
        ws: One intermediate latent per layer, `[N, num_ws, D]`.
        noise: `None` for the constant maps saved with the model, 0.0 for none, or a list
            of tensors with the shapes that `noise_shapes(N)` gives.

    Input shape:
        `[N, num_ws, D]`.

    Output shape:
        `[N, R, R, channels]` with `R = base_resolution · 2^(len(filters) - 1)`, float32,
        unbounded, trained towards `[-1, 1]`.

    Raises:
        ValueError: `filters` is empty, `convolutions` is neither 1 nor 2, or `noise` has the
            wrong length.

    Example:

    >>> SynthesisNetwork([16, 8], base_resolution=4)(keras.ops.ones((2, 4, 32))).shape
    (2, 8, 8, 1)
    """

    def __init__(self, filters, base_resolution=4, channels=1, convolutions=2, **kwargs):
        super().__init__(**kwargs)
        if not filters:
            raise ValueError("Argument `filters` must name at least one resolution. "
                             f"Received: filters={filters}")
        if convolutions not in (1, 2):
            raise ValueError("Argument `convolutions` must be 1 or 2. "
                             f"Received: convolutions={convolutions}")
        self.filters = list(filters)
        self.base_resolution = base_resolution
        self.channels = channels
        self.convolutions = convolutions
        first, *others = self.filters
        options = dict(dtype=self.dtype_policy)
        self.convs = [StyledConv2D(first, name="conv_0", **options)]
        for level, width in enumerate(others, start=1):
            self.convs.append(
                StyledConv2D(width, upsample=True, name=f"conv_up_{level}", **options))
            if convolutions == 2:
                self.convs.append(StyledConv2D(width, name=f"conv_{level}", **options))
        self.to_images = [ToImage(channels, name=f"to_image_{level}", **options)
                          for level in range(len(self.filters))]

    @property
    def num_ws(self):
        return len(self.convs) + 1

    @property
    def resolution(self):
        return self.base_resolution << (len(self.filters) - 1)

    def noise_shapes(self, batch):
        """The shape `[batch, H, W, 1]` of each styled convolution's noise map, in call order."""
        levels = range(1, len(self.filters))
        sides = [self.base_resolution << level for level in levels
                 for _ in range(self.convolutions)]
        return [(batch, side, side, 1) for side in (self.base_resolution, *sides)]

    def build(self, input_shape):
        batch, _, w_dim = input_shape
        side = self.base_resolution
        self.constant = self.add_weight(
            shape=(side, side, self.filters[0]), name="constant",
            initializer=keras.initializers.RandomNormal(stddev=1.0))
        shape, w_shape = (batch, side, side, self.filters[0]), (batch, w_dim)
        for index, conv in enumerate(self.convs):
            conv.build(shape, w_shape)
            shape = conv.compute_output_shape(shape, w_shape)
            if index % self.convolutions == 0:
                self.to_images[index // self.convolutions].build(shape, w_shape)

    def call(self, ws, noise=None):
        maps = noise if isinstance(noise, (list, tuple)) else [noise] * len(self.convs)
        if len(maps) != len(self.convs):
            raise ValueError(f"Argument `noise` must hold {len(self.convs)} maps. "
                             f"Received: {len(maps)}")
        constant = ops.cast(self.constant, self.compute_dtype)
        x = ops.tile(constant[None], (ops.shape(ws)[0], 1, 1, 1))
        image = None
        for index, (conv, noise_map) in enumerate(zip(self.convs, maps, strict=True)):
            x = conv(x, ws[:, index], noise=noise_map)
            if index % self.convolutions == 0:  # the last convolution of its resolution
                skip = self.to_images[index // self.convolutions](x, ws[:, index + 1])
                image = skip if image is None else skip + upsample(image)
        return image

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.resolution, self.resolution, self.channels)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters,
                "base_resolution": self.base_resolution, "channels": self.channels,
                "convolutions": self.convolutions}
