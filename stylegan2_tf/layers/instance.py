"""Adaptive instance normalisation, the style of the first StyleGAN (SG1 section 2).

Shapes: `N` batch, `H W` space, `C` channels, `D` latent.
"""

import keras
from keras import ops

from stylegan2_tf.layers.equalized import EqualizedDense

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class AdaptiveInstanceNormalization(keras.layers.Layer):
    """Give every feature map of every sample the mean and deviation that a latent asks for.

    `y = (1 + y_s) · (x - mean_HW(x)) / sqrt(var_HW(x) + 1e-8) + y_b`, with
    `(y_s, y_b) = affine(w)` (SG1 equation 1; the style is an offset from one).
    Mean and variance are in float32. A map of one pixel becomes `y_b`.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        w: Intermediate latents `[N, D]`.

    Input shape:
        `[N, H, W, C]` and `[N, D]`.

    Output shape:
        `[N, H, W, C]`.

    Example:

    >>> layer = AdaptiveInstanceNormalization()
    >>> layer(keras.ops.ones((2, 4, 4, 16)), keras.ops.ones((2, 32))).shape
    (2, 4, 4, 16)

    Reference:
        Huang and Belongie, Arbitrary Style Transfer in Real-time with Adaptive Instance
        Normalization, arXiv:1703.06868.
        Karras et al., A Style-Based Generator Architecture for Generative Adversarial
        Networks, arXiv:1812.04948, equation 1.
    """

    def build(self, x_shape, w_shape):
        self.affine = EqualizedDense(2 * x_shape[-1], name="affine", dtype=self.dtype_policy)
        self.affine.build(w_shape)

    def call(self, x, w):
        scale, shift = ops.split(self.affine(w)[:, None, None, :], 2, axis=-1)
        return normalize_maps(x) * (1.0 + scale) + shift

    def compute_output_shape(self, x_shape, w_shape):
        return x_shape


def normalize_maps(x):
    """`[N, H, W, C]` with mean zero and variance one over `H W`."""
    wide = ops.cast(x, "float32")
    centred = wide - ops.mean(wide, axis=(1, 2), keepdims=True)
    variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
    return ops.cast(centred * ops.rsqrt(variance + EPSILON), x.dtype)
