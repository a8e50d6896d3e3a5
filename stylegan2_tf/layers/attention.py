"""Self-attention between the positions of a feature map (SAGAN, arXiv:1805.08318).

Shapes: `N` batch, `H W` space, `C` channels.
"""

import keras
from keras import ops

from stylegan2_tf.layers.equalized import EqualizedConv2D


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class SelfAttention2D(keras.layers.Layer):
    """Let every position read from all others, times a learned scalar that starts at zero.

    `y = x + strength · W_o Σ_j softmax_j(q_i · k_j) v_j`, where query, key and value are 1x1
    convolutions of `x` without bias (SAGAN equations 1 to 3). Query and key have
    `C / reduction` channels and the value `C / 2`, each at least one; the softmax is in float32.

    The weights are `[N, HW, HW]`: 64 MiB an image at 64², so use it at 32² or below.

    Args:
        reduction: How many times fewer channels query and key have than `x`.

    Input shape:
        `[N, H, W, C]`; height and width must be known.

    Output shape:
        The same.

    Raises:
        ValueError: `reduction` is below 1.

    Example:

    >>> SelfAttention2D()(keras.ops.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)

    Reference:
        Zhang et al., Self-Attention Generative Adversarial Networks,
        arXiv:1805.08318, section 3.
    """

    def __init__(self, reduction=8, **kwargs):
        super().__init__(**kwargs)
        if reduction < 1:
            raise ValueError("Argument `reduction` must be at least 1. "
                             f"Received: reduction={reduction}")
        self.reduction = reduction

    def build(self, input_shape):
        channels = input_shape[-1]
        narrow, half = max(channels // self.reduction, 1), max(channels // 2, 1)
        self.query = self._projection(narrow, "query", input_shape)
        self.key = self._projection(narrow, "key", input_shape)
        self.value = self._projection(half, "value", input_shape)
        self.output_projection = self._projection(
            channels, "output_projection", (*input_shape[:-1], half))
        self.strength = self.add_weight(shape=(), name="strength", initializer="zeros")

    def _projection(self, filters, name, input_shape):
        layer = EqualizedConv2D(filters, 1, use_bias=False, name=name, dtype=self.dtype_policy)
        layer.build(input_shape)
        return layer

    def call(self, x):
        query, key = (ops.cast(flatten(part(x)), "float32") for part in (self.query, self.key))
        weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))), axis=-1)
        read = ops.matmul(ops.cast(weights, x.dtype), flatten(self.value(x)))
        _, height, width, _ = x.shape
        read = ops.reshape(read, (-1, height, width, read.shape[-1]))
        return x + self.strength * self.output_projection(read)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction}


def flatten(x):
    """`[N, H, W, C]` to `[N, HW, C]`."""
    _, height, width, channels = x.shape
    return ops.reshape(x, (-1, height * width, channels))
