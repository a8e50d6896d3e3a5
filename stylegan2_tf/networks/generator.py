"""The generator: mapping and synthesis as one Keras model that can be saved.

Shapes: `N` batch, `H W` space, `C` channels, `D` latent, `L` classes.
"""

import keras
from keras import ops

from stylegan2_tf.networks.parts import describe, restore


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class Generator(keras.Model):
    """From latents to images, whatever the architecture (SG1 section 2).

    `image = synthesis(broadcast(truncate(mapping(z, label))))`.

    Args:
        mapping: A `MappingNetwork`, or `LatentInput` for networks without one.
        synthesis: A `SynthesisNetwork` of any family.
        classes: Names of the classes, as many as the mapping's `label_dim`.

    Call arguments:
        z: Standard normal latents `[N, z_dim]`.
        label: One-hot classes or weights of them `[N, L]`; needed if there are any.
        truncation_psi: 1 for no truncation, 0 for the mean image (SG1 appendix B).
        noise: See `SynthesisNetwork`; the default gives the same image for the same z.

    Input shape:
        `[N, z_dim]`.

    Output shape:
        `[N, H, W, channels]`, float32, trained towards `[-1, 1]`.

    Raises:
        ValueError: `classes` does not fit the mapping.

    Example:

    >>> generator = Generator(MappingNetwork(z_dim=32, w_dim=32),
    ...                       SynthesisNetwork([16, 8], base_resolution=4))
    >>> generator(keras.random.normal((2, 32))).shape
    (2, 8, 8, 1)

    Reference:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
        arXiv:1912.04958.
    """

    def __init__(self, mapping, synthesis, classes=(), **kwargs):
        super().__init__(**kwargs)
        if len(classes) != mapping.label_dim:
            raise ValueError("Argument `classes` must have as many names as the mapping has "
                             f"classes ({mapping.label_dim}). Received: classes={classes}")
        self.mapping = mapping
        self.synthesis = synthesis
        self.classes = list(classes)

    @property
    def z_dim(self):
        return self.mapping.z_dim

    @property
    def channels(self):
        return self.synthesis.channels

    @property
    def resolution(self):
        """Height and width of the images."""
        return self.synthesis.resolution

    def build(self, input_shape=None):
        # The mean of w over training, moved by the training step, read by `truncate`.
        self.w_avg = self.add_weight(shape=(self.mapping.w_dim,), name="w_avg", trainable=False,
                                     initializer="zeros", autocast=False)
        self.mapping.build((None, self.z_dim))
        self.synthesis.build((None, self.synthesis.num_ws, self.mapping.w_dim))

    def call(self, z, label=None, truncation_psi=1.0, noise=None):
        w = self.truncate(self.mapping(z, label), truncation_psi)
        return self.synthesis(self.broadcast(w), noise=noise)

    def truncate(self, w, truncation_psi=1.0):
        """Move w `[N, D]` towards its mean: `w_avg + psi · (w - w_avg)` (SG1 appendix B).

        The mean is that of all classes: towards psi 0 they become alike.
        """
        if isinstance(truncation_psi, (int, float)) and truncation_psi == 1.0:
            return w
        w_avg = ops.cast(self.w_avg, w.dtype)
        return w_avg + truncation_psi * (w - w_avg)

    def broadcast(self, w):
        """Repeat w `[N, D]` for every layer: `[N, num_ws, D]`."""
        return ops.tile(w[:, None, :], (1, self.synthesis.num_ws, 1))

    def compute_output_shape(self, input_shape):
        return self.synthesis.compute_output_shape((input_shape[0], None, None))

    def get_config(self):
        return {**super().get_config(), "mapping": describe(self.mapping),
                "synthesis": describe(self.synthesis), "classes": self.classes}

    @classmethod
    def from_config(cls, config):
        return cls(**restore(config, ("mapping", "synthesis")))
