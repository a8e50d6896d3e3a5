"""Noise with a learned strength (SG1 section 3.2, SG2 section 2).

Shapes: `N` batch, `H W` space, `C` channels.
"""

import keras

# Noise is the cheapest imitation of fine texture: at full rate narrow networks paint speckle
# where gyri should be (64 px, 60 kimg). Slowed down, anatomy comes first and noise last.
STRENGTH_LR_MULTIPLIER = 0.01


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class NoiseInjection(keras.layers.Layer):
    """Add one noise map to all channels, times a learned scalar that starts at zero.

    `y = x + strength · lr_multiplier · noise`. Without a map the layer uses its own constant one,
    which is saved with the model: the same latent then always gives the same image.

    Args:
        lr_multiplier: Learning rate of the strength relative to the other layers.

    Call arguments:
        x: Feature maps `[N, H, W, C]`.
        noise: `None` for the constant map, a tensor `[N, H, W, 1]` of standard normal
            numbers, or 0.0 for no noise.
        gain: Factor on the noise, for maps that carry the same.

    Input shape:
        `[N, H, W, C]`; height and width must be known.

    Output shape:
        The same.

    Example:

    >>> NoiseInjection()(keras.ops.ones((2, 4, 4, 16))).shape
    (2, 4, 4, 16)
    """

    def __init__(self, lr_multiplier=STRENGTH_LR_MULTIPLIER, **kwargs):
        super().__init__(**kwargs)
        if lr_multiplier <= 0:
            raise ValueError("Argument `lr_multiplier` must be positive. "
                             f"Received: lr_multiplier={lr_multiplier}")
        self.lr_multiplier = lr_multiplier

    def build(self, input_shape):
        _, height, width, _ = input_shape
        self.strength = self.add_weight(shape=(), name="strength", initializer="zeros")
        self.constant = self.add_weight(
            shape=(1, height, width, 1), name="constant", trainable=False,
            initializer=keras.initializers.RandomNormal(stddev=1.0))

    def call(self, x, noise=None, gain=1.0):
        return x + self.shift(noise, gain)

    def shift(self, noise=None, gain=1.0):
        """What `call` adds: `[N, H, W, 1]`, or `[1, H, W, 1]` with the constant map."""
        if noise is None:
            noise = self.constant
        return self.strength * (self.lr_multiplier * gain) * noise

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "lr_multiplier": self.lr_multiplier}
