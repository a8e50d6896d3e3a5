"""Noise with a learned strength (SG1 section 3.2, SG2 section 2).

Shapes: `N` batch, `H W` space, `C` channels.
"""

import keras


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class NoiseInjection(keras.layers.Layer):
    """Add one noise map to all channels, times a learned scalar that starts at zero.

    `y = x + strength · noise`. Without a map the layer uses its own constant one, which is
    saved with the model: the same latent then always gives the same image.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        noise: `None` for the constant map, a tensor `[N, H, W, 1]` of standard normal
            numbers, or 0.0 for no noise.

    Input shape:
        `[N, H, W, C]`; height and width must be known.

    Output shape:
        The same.

    Example:

    >>> NoiseInjection()(keras.ops.ones((2, 4, 4, 16))).shape
    (2, 4, 4, 16)
    """

    def build(self, input_shape):
        _, height, width, _ = input_shape
        self.strength = self.add_weight(shape=(), name="strength", initializer="zeros")
        self.constant = self.add_weight(
            shape=(1, height, width, 1), name="constant", trainable=False,
            initializer=keras.initializers.RandomNormal(stddev=1.0))

    def call(self, x, noise=None):
        if noise is None:
            noise = self.constant
        return x + self.strength * noise

    def compute_output_shape(self, input_shape):
        return input_shape
