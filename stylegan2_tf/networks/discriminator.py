"""The discriminator: a trunk of blocks and a head with minibatch standard deviation.

Shapes: `N` batch, `H W` space, `C` channels, `L` classes.
"""

import math

import keras
from keras import ops

from stylegan2_tf.layers import (
    EqualizedConv2D,
    EqualizedDense,
    MinibatchStddev,
    SpectralNormalization,
    downsample,
    normalized,
)
from stylegan2_tf.networks.parts import check_label, describe, restore
from stylegan2_tf.sides import halvings

DENSE_RESOLUTION = 4  # larger maps are brought here first: dense weights grow with the area


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class DiscriminatorHead(keras.layers.Layer):
    """From the last feature maps to a score (SG2 figure 7, c).

    Minibatch stddev, a 3x3 convolution, a low-pass filter down to 4x4 where the map is
    larger, a dense layer, and the score. With classes the score also has the projection
    `Σ(features · embed(label)) / √units` (Miyato and Koyama 2018, equation 3; ADA appendix C).

    Args:
        units: Channels of the convolution, and length of the features.
        group_size: Images in a group of the minibatch stddev.
        spectral_norm: Whether to divide every kernel but that of the classes by its largest
            singular value.
        label_dim: Number of classes, 0 for none.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        label: One-hot classes `[N, L]`; needed if there are any.

    Input shape:
        `[N, H, W, C]`.

    Output shape:
        `[N, 1]`, float32.

    Raises:
        ValueError: `label` is missing, or given to a network without classes.

    Example:

    >>> DiscriminatorHead(16)(keras.ops.ones((4, 4, 4, 8))).shape
    (4, 1)
    """

    def __init__(self, units, group_size=4, spectral_norm=False, label_dim=0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.group_size = group_size
        self.spectral_norm = spectral_norm
        self.label_dim = label_dim
        options = dict(dtype=self.dtype_policy)
        self.stddev = MinibatchStddev(group_size, name="stddev", **options)
        self.conv, self.hidden, self.score = (
            normalized(layer, spectral_norm) for layer in (
                EqualizedConv2D(units, activation="leaky_relu", name="conv", **options),
                EqualizedDense(units, "leaky_relu", name="hidden", **options),
                EqualizedDense(1, name="score", **options)))
        if label_dim:
            self.embed = EqualizedDense(units, name="embed", **options)

    def build(self, input_shape):
        batch, height, width, channels = input_shape
        self._halvings = halvings((height, width), DENSE_RESOLUTION)
        self.conv.build((batch, height, width, channels + 1))
        inputs = (height >> self._halvings) * (width >> self._halvings) * self.units
        self.hidden.build((batch, inputs))
        self.score.build((batch, self.units))
        if self.label_dim:
            self.embed.build((batch, self.label_dim))

    def features(self, x):
        """The hidden layer before the score, `[N, units]`."""
        x = self.conv(self.stddev(x))
        for _ in range(self._halvings):
            x = downsample(x)
        return self.hidden(ops.reshape(x, (-1, math.prod(x.shape[1:]))))

    def call(self, x, label=None):
        check_label(label, self.label_dim)
        features = self.features(x)
        score = ops.cast(self.score(features), "float32")
        if label is None:
            return score
        along = ops.sum(ops.cast(features * self.embed(label), "float32"), axis=1, keepdims=True)
        return score + along / math.sqrt(self.units)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "group_size": self.group_size,
                "spectral_norm": self.spectral_norm, "label_dim": self.label_dim}


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class Discriminator(keras.Model):
    """StyleGAN2 discriminator, which all architectures share (SG2 section 4.1).

    Args:
        trunk: A `ResidualTrunk`.
        head: A `DiscriminatorHead`.

    Call arguments:
        image: Images `[N, H, W, channels]`.
        label: One-hot classes `[N, L]`; needed if there are any.
        drop: Dropout masks, see `ResidualTrunk`.

    Input shape:
        `[N, H, W, channels]`, values in `[-1, 1]`.

    Output shape:
        `[N, 1]`, float32: the logit (or the critic's score) of each image.

    Example:

    >>> discriminator = Discriminator(ResidualTrunk([8, 16]), DiscriminatorHead(16))
    >>> discriminator(keras.ops.ones((4, 16, 16, 1))).shape
    (4, 1)

    Reference:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
        arXiv:1912.04958.
    """

    def __init__(self, trunk, head, **kwargs):
        super().__init__(**kwargs)
        self.trunk = trunk
        self.head = head

    @property
    def channels(self):
        return self.trunk.channels

    @property
    def resolution(self):
        """Height and width of the images."""
        return self.trunk.resolution

    def spectral_layers(self):
        """The layers whose `u` the training step moves."""
        return [layer for layer in self._flatten_layers()
                if isinstance(layer, SpectralNormalization)]

    def build(self, input_shape=None):
        shape = (None, *self.resolution, self.channels)
        self.trunk.build(shape)
        self.head.build(self.trunk.compute_output_shape(shape))

    def features(self, image):
        """The hidden layer before the score, `[N, units]`."""
        return self.head.features(self.trunk(image))

    def call(self, image, label=None, drop=None):
        return self.head(self.trunk(image, drop), label)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {**super().get_config(), "trunk": describe(self.trunk),
                "head": describe(self.head)}

    @classmethod
    def from_config(cls, config):
        return cls(**restore(config, ("trunk", "head")))
