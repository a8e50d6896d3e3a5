"""The mapping network z -> w (SG1 section 2, SG2 appendix B), and its place without one.

Shapes: `N` batch, `D` latent, `L` classes.
"""

import keras
from keras import ops

from stylegan2_tf.layers import EqualizedDense, PixelNormalization
from stylegan2_tf.networks.parts import check_label

MAPPING_LR_MULTIPLIER = 0.01


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class LatentInput(keras.layers.Layer):
    """Bring z to length one per feature, and join the embedding of its class.

    `w = z / rms(z)`, with classes `w = [z / rms(z), e / rms(e)]` with `e = dense(label)`
    (ADA appendix C). As a mapping it is the identity: DCGAN takes z as it is.

    Args:
        z_dim: Length of z, and of the embedding.
        label_dim: Number of classes, 0 for none.

    Call arguments:
        z: Latents `[N, z_dim]`.
        label: One-hot classes or weights of them `[N, label_dim]`; needed if there are any.

    Input shape:
        `[N, z_dim]`.

    Output shape:
        `[N, w_dim]`: `w_dim` is `z_dim`, or twice that with classes.

    Raises:
        ValueError: `label` is missing, or given to a network without classes.

    Example:

    >>> LatentInput(16)(keras.random.normal((4, 16))).shape
    (4, 16)
    """

    def __init__(self, z_dim, label_dim=0, **kwargs):
        super().__init__(**kwargs)
        self.z_dim = z_dim
        self.label_dim = label_dim
        self.normalize = PixelNormalization(dtype=self.dtype_policy)
        if label_dim:
            self.embed = EqualizedDense(z_dim, name="embed", dtype=self.dtype_policy)

    @property
    def w_dim(self):
        return 2 * self.z_dim if self.label_dim else self.z_dim

    def build(self, input_shape):
        if self.label_dim:
            self.embed.build((None, self.label_dim))

    def call(self, z, label=None):
        check_label(label, self.label_dim)
        w = self.normalize(z)
        if label is None:
            return w
        return ops.concatenate([w, self.normalize(self.embed(label))], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.w_dim)

    def get_config(self):
        return {**super().get_config(), "z_dim": self.z_dim, "label_dim": self.label_dim}


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class MappingNetwork(keras.layers.Layer):
    """Dense layers that turn a normalised latent into an intermediate one.

    `w = f_L(... f_1(z / rms(z)))`, each `f` dense with leaky ReLU (SG1 section 2). The
    embedding of a class joins the normalised z (ADA appendix C).

    Args:
        z_dim: Length of z.
        w_dim: Length of w, and of every hidden layer.
        num_layers: Dense layers: 8 in the paper, 2 for small data sets (ADA appendix C).
        label_dim: Number of classes, 0 for none.
        lr_multiplier: Learning rate relative to the rest of the generator.

    Call arguments:
        z: Latents `[N, z_dim]`.
        label: One-hot classes or weights of them `[N, label_dim]`; needed if there are any.

    Input shape:
        `[N, z_dim]`.

    Output shape:
        `[N, w_dim]`.

    Raises:
        ValueError: `num_layers` is below 1, or see `LatentInput`.

    Example:

    >>> MappingNetwork(z_dim=16, w_dim=32)(keras.random.normal((4, 16))).shape
    (4, 32)
    """

    def __init__(self, z_dim, w_dim, num_layers=8, label_dim=0,
                 lr_multiplier=MAPPING_LR_MULTIPLIER, **kwargs):
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError("Argument `num_layers` must be at least 1. "
                             f"Received: num_layers={num_layers}")
        self.z_dim = z_dim
        self.w_dim = w_dim
        self.num_layers = num_layers
        self.label_dim = label_dim
        self.lr_multiplier = lr_multiplier
        self.latent = LatentInput(z_dim, label_dim, name="latent", dtype=self.dtype_policy)
        self.dense = [EqualizedDense(w_dim, "leaky_relu", lr_multiplier, name=f"dense_{index}",
                                     dtype=self.dtype_policy) for index in range(num_layers)]

    def build(self, input_shape):
        self.latent.build(input_shape)
        shape = self.latent.compute_output_shape(input_shape)
        for dense in self.dense:
            dense.build(shape)
            shape = dense.compute_output_shape(shape)

    def call(self, z, label=None):
        w = self.latent(z, label)
        for dense in self.dense:
            w = dense(w)
        return w

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.w_dim)

    def get_config(self):
        return {**super().get_config(), "z_dim": self.z_dim, "w_dim": self.w_dim,
                "num_layers": self.num_layers, "label_dim": self.label_dim,
                "lr_multiplier": self.lr_multiplier}
