"""Pixel normalisation and minibatch standard deviation (PG sections 4.2 and 3).

Shapes: `N` batch, `H W` space, `C` channels.
"""

import keras
from keras import ops

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class PixelNormalization(keras.layers.Layer):
    """Divide each feature vector by its root mean square.

    `y = x / sqrt(mean_C(x²) + 1e-8)`, over the last axis whatever comes before it
    (PG section 4.2; on z: SG1 appendix C).

    Input shape:
        `[..., C]`.

    Output shape:
        The same.

    Example:

    >>> PixelNormalization()(keras.ops.convert_to_tensor([[3.0, 4.0]]))  # [[0.85, 1.13]]
    """

    def call(self, x):
        power = ops.mean(ops.square(ops.cast(x, "float32")), axis=-1, keepdims=True)
        return x * ops.cast(ops.rsqrt(power + EPSILON), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class MinibatchStddev(keras.layers.Layer):
    """Append one channel that says how much the images of a group differ (PG section 3).

    The standard deviation over each group of `group_size` images (1e-8 inside the root) is
    averaged over channels and pixels, and repeated over the group and all pixels. A batch
    that `group_size` does not divide uses the largest smaller group that divides it.

    Args:
        group_size: Images in a group.

    Input shape:
        `[N, H, W, C]`.

    Output shape:
        `[N, H, W, C + 1]`.

    Raises:
        ValueError: `group_size` is below 1.

    Example:

    >>> MinibatchStddev(4)(keras.ops.ones((8, 4, 4, 16))).shape
    (8, 4, 4, 17)
    """

    def __init__(self, group_size=4, **kwargs):
        super().__init__(**kwargs)
        if group_size < 1:
            raise ValueError("Argument `group_size` must be at least 1. "
                             f"Received: group_size={group_size}")
        self.group_size = group_size

    def call(self, x):
        batch = ops.shape(x)[0]
        _, height, width, channels = x.shape
        group = largest_group(batch, self.group_size)
        grouped = ops.reshape(ops.cast(x, "float32"), (group, -1, height, width, channels))
        centred = grouped - ops.mean(grouped, axis=0, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(centred), axis=0) + EPSILON)
        statistic = ops.mean(deviation, axis=(1, 2, 3), keepdims=True)
        statistic = ops.tile(ops.cast(statistic, x.dtype), (group, height, width, 1))
        return ops.concatenate([x, statistic], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self):
        return {**super().get_config(), "group_size": self.group_size}


def largest_group(batch, group_size):
    """The largest number up to `group_size` that divides `batch` (an int or a scalar tensor)."""
    if isinstance(batch, int):
        return max(size for size in range(1, group_size + 1) if batch % size == 0)
    sizes = ops.arange(1, group_size + 1, dtype=batch.dtype)
    return ops.max(ops.where(batch % sizes == 0, sizes, 1))
