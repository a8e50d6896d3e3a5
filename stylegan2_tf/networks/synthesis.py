"""The synthesis network ws -> image, of StyleGAN2 and as the base of its relatives.

Shapes: `N` batch, `H W` space, `C` channels, `D` latent.
"""

import keras
from keras import ops

from stylegan2_tf.layers import repeat_pixels, upsample
from stylegan2_tf.networks.parts import make_attention
from stylegan2_tf.networks.styled import StyledConv2D, ToImage
from stylegan2_tf.sides import doubled


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class SynthesisNetwork(keras.layers.Layer):
    """From a learned constant to an image, one resolution after the other (SG2 figure 7, b).

    One styled convolution at the first resolution, `convolutions` at each further one, of
    which the first upsamples; after the last of a resolution a `ToImage`, whose output is
    added to the upsampled image so far. Layer k takes `ws[:, k]`; a `ToImage` takes the w of
    the convolution that follows it, so `num_ws = 2 + convolutions · (len(filters) - 1)`.

    Grown progressively, the network ends at resolution number `level`: with `fade` 0 the image
    is that of the level before with repeated pixels, with 1 that of this level (PG section 3).

    Args:
        filters: Channels at each resolution, the lowest first.
        base_resolution: Side of the learned constant, or (height, width).
        channels: Channels of the image.
        convolutions: Styled convolutions at each resolution above the first: 2 in the paper;
            1 keeps only the upsampling one.
        attention: Longer side of the maps that attend to themselves, or None.
        level: Number of the resolution that makes the image, from 0; moved by the training
            step. None for the last one, without `fade`.

    Call arguments:
        ws: One intermediate latent per layer, `[N, num_ws, D]`.
        noise: `None` for the constant maps saved with the model, 0.0 for none, or a list
            of tensors with the shapes that `noise_shapes(N)` gives.

    Input shape:
        `[N, num_ws, D]`.

    Output shape:
        `[N, H, W, channels]` with `H = height of the base · 2^(len(filters) - 1)` and W alike,
        float32, unbounded, trained towards `[-1, 1]`.

    Raises:
        ValueError: `filters` is empty, `convolutions` is neither 1 nor 2, no maps have the side
            `attention`, or `noise` has the wrong length.

    Example:

    >>> SynthesisNetwork([16, 8], base_resolution=4)(keras.ops.ones((2, 4, 32))).shape
    (2, 8, 8, 1)
    """

    conv_class, to_image_class = StyledConv2D, ToImage
    skips = True  # every resolution adds to the image; otherwise the last one makes it

    def __init__(self, filters, base_resolution=4, channels=1, convolutions=2, attention=None,
                 level=None, **kwargs):
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
        self.attention = attention
        self.level = level
        options = dict(dtype=self.dtype_policy)
        self.convs = [self.conv_class(self.filters[0], False, name="conv_0", **options)]
        for number, width in enumerate(self.filters[1:], start=1):
            self.convs.append(self.conv_class(width, True, name=f"conv_up_{number}", **options))
            if convolutions == 2:
                self.convs.append(self.conv_class(width, False, name=f"conv_{number}", **options))
        last = len(self.filters) - 1
        self._painted = range(last + 1) if self.skips or level is not None else [last]
        self.to_images = [self.to_image_class(self.channels, name=f"to_image_{number}", **options)
                          for number in self._painted]
        sides = [max(self._sides(number)) for number in range(last + 1)]
        self.attend = make_attention(attention, sides, self.dtype_policy)

    # -- what a family of networks may define otherwise -------------------------------------

    @property
    def num_ws(self):
        return len(self.convs) + 1

    def affines(self):
        """The dense layers that read w, one for each convolution."""
        return [conv.affine for conv in self.convs]

    def _build_start(self, shape, w_shape):
        self.constant = self.add_weight(shape=shape[1:], name="constant",
                                        initializer=keras.initializers.RandomNormal(stddev=1.0))

    def _start(self, ws):
        """The first feature maps."""
        constant = ops.cast(self.constant, self.compute_dtype)
        return ops.tile(constant[None], (ops.shape(ws)[0], 1, 1, 1))

    # -- shapes ------------------------------------------------------------------------------

    def _sides(self, number):
        return doubled(self.base_resolution, number)

    @property
    def _top(self):
        return len(self.filters) - 1 if self.level is None else self.level

    @property
    def resolution(self):
        """Height and width of the image."""
        return self._sides(self._top)

    # A method, like all that gives layers: Keras stores weights by the first attribute it finds.
    def _active(self):
        return self.convs[:1 + self._top * self.convolutions]

    @property
    def active_ws(self):
        """How many of the ws reach the image: all of them where nothing grows."""
        return max(self.num_ws - len(self.convs) + len(self._active()), 1)

    def _number(self, index):
        """Number of the resolution that convolution `index` ends at."""
        return (index + self.convolutions - 1) // self.convolutions

    def noise_shapes(self, batch):
        """The shape `[batch, H, W, 1]` of each styled convolution's noise map, in call order."""
        return [(batch, *self._sides(self._number(index)), 1)
                for index in range(len(self._active()))]

    # -- the layer -----------------------------------------------------------------------------

    def build(self, input_shape):
        batch, _, w_dim = input_shape
        w_shape = (batch, w_dim)
        if self.level is not None:  # moved by the training step, saved with the model
            self.fade = self.add_weight(shape=(), name="fade", trainable=False, autocast=False,
                                        initializer="ones")
        shape = (batch, *self._sides(0), self.filters[0])
        self._build_start(shape, w_shape)
        for index, conv in enumerate(self.convs):
            conv.build(shape, w_shape)
            shape = conv.compute_output_shape(shape, w_shape)
            number = self._number(index)
            if index % self.convolutions == 0:
                if number in self._painted:
                    self._to_image(number).build(shape, w_shape)
                if max(self._sides(number)) == self.attention:
                    self.attend.build(shape)

    def call(self, ws, noise=None):
        maps = self._maps(noise)
        x, image = self._start(ws), None
        for index, conv in enumerate(self._active()):
            x = conv(x, self._style(ws, index), noise=maps[index])
            if index % self.convolutions == 0:  # the last convolution of its resolution
                number = self._number(index)
                if max(self._sides(number)) == self.attention:
                    x = self.attend(x)
                image = self._paint(image, number, x, self._style(ws, index + 1))
        return image

    def _maps(self, noise):
        """What each active convolution takes as its noise."""
        if not isinstance(noise, (list, tuple)):
            return [noise] * len(self._active())
        expected = len(self.noise_shapes(1))
        if len(noise) != expected:
            raise ValueError(f"Argument `noise` must hold {expected} maps. "
                             f"Received: {len(noise)}")
        return list(noise) or self._maps(None)

    def _style(self, ws, index):
        return ws[:, min(index, self.num_ws - 1)]

    def _to_image(self, number):
        return self.to_images[self._painted.index(number)]

    def _paint(self, image, number, x, w):
        """The image so far with what the maps `x` of resolution `number` add to it."""
        if not self.skips and number < self._top - (self.level is not None):
            return None
        new = self._to_image(number)(x, w)
        if image is None:
            return new
        grown = upsample(image) + new if self.skips else new
        if self.level is None or number < self._top:
            return grown
        before = repeat_pixels(image)  # what the stage before painted, pixel for pixel
        return before + self.fade * (grown - before)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.resolution, self.channels)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters,
                "base_resolution": self.base_resolution, "channels": self.channels,
                "convolutions": self.convolutions, "attention": self.attention,
                "level": self.level}
