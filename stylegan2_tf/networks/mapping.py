"""The mapping network z -> w (SG1 section 2, SG2 appendix B).

Shapes: `N` batch, `D` latent.
"""

import keras

from stylegan2_tf.layers import EqualizedDense, PixelNormalization

MAPPING_LR_MULTIPLIER = 0.01


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class MappingNetwork(keras.layers.Layer):
    """Dense layers that turn a normalised latent into an intermediate one.

    `w = f_L(... f_1(z / rms(z)))`, each `f` dense with leaky ReLU (SG1 section 2).

    Args:
        w_dim: Length of w, and of every hidden layer.
        num_layers: Dense layers: 8 in the paper, 2 for small data sets (ADA appendix C).
        lr_multiplier: Learning rate relative to the rest of the generator.

    Input shape:
        `[N, z_dim]`.

    Output shape:
        `[N, w_dim]`.

    Raises:
        ValueError: `num_layers` is below 1.

    Example:

    >>> MappingNetwork(w_dim=32)(keras.random.normal((4, 16))).shape
    (4, 32)
    """

    def __init__(self, w_dim, num_layers=8, lr_multiplier=MAPPING_LR_MULTIPLIER, **kwargs):
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError("Argument `num_layers` must be at least 1. "
                             f"Received: num_layers={num_layers}")
        self.w_dim = w_dim
        self.num_layers = num_layers
        self.lr_multiplier = lr_multiplier
        self.normalize = PixelNormalization(dtype=self.dtype_policy)
        self.dense = [EqualizedDense(w_dim, "leaky_relu", lr_multiplier, name=f"dense_{index}",
                                     dtype=self.dtype_policy) for index in range(num_layers)]

    def build(self, input_shape):
        shape = input_shape
        for dense in self.dense:
            dense.build(shape)
            shape = dense.compute_output_shape(shape)

    def call(self, z):
        w = self.normalize(z)
        for dense in self.dense:
            w = dense(w)
        return w

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.w_dim)

    def get_config(self):
        return {**super().get_config(), "w_dim": self.w_dim, "num_layers": self.num_layers,
                "lr_multiplier": self.lr_multiplier}
