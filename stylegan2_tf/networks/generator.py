"""The generator: mapping and synthesis as one Keras model that can be saved.

Shapes: `N` batch, `H W` space, `C` channels, `D` latent.
"""

import keras
from keras import ops

from stylegan2_tf.networks.mapping import MappingNetwork
from stylegan2_tf.networks.synthesis import SynthesisNetwork


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class Generator(keras.Model):
    """StyleGAN2 generator with input skips (SG2 section 4.1).

    `image = synthesis(broadcast(truncate(mapping(z))))`.

    Args:
        filters: Channels at each resolution, the lowest first; their number decides the
            resolution of the image: `base_resolution · 2^(len(filters) - 1)`.
        base_resolution: Height and width of the learned constant.
        channels: Channels of the image: 1 grey, 3 RGB, 4 RGBA.
        z_dim: Length of z.
        w_dim: Length of w.
        mapping_layers: Dense layers from z to w.
        convolutions: At each resolution above the first: 2 in the paper, or 1.

    Call arguments:
        z: Standard normal latents `[N, z_dim]`.
        truncation_psi: 1 for no truncation, 0 for the mean image (SG1 appendix B).
        noise: See `SynthesisNetwork`; the default gives the same image for the same z.

    Input shape:
        `[N, z_dim]`.

    Output shape:
        `[N, H, W, channels]`, float32, trained towards `[-1, 1]`.

    Example:

    >>> generator = Generator([16, 8], base_resolution=4, z_dim=32, w_dim=32)
    >>> generator(keras.random.normal((2, 32))).shape
    (2, 8, 8, 1)

    Reference:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
        arXiv:1912.04958.
    """

    def __init__(self, filters, base_resolution=4, channels=1, z_dim=512, w_dim=512,
                 mapping_layers=8, convolutions=2, **kwargs):
        super().__init__(**kwargs)
        self.filters = list(filters)
        self.base_resolution = base_resolution
        self.channels = channels
        self.z_dim = z_dim
        self.w_dim = w_dim
        self.mapping_layers = mapping_layers
        self.convolutions = convolutions
        self.mapping = MappingNetwork(w_dim, mapping_layers, name="mapping",
                                      dtype=self.dtype_policy)
        self.synthesis = SynthesisNetwork(filters, base_resolution, channels, convolutions,
                                          name="synthesis", dtype=self.dtype_policy)

    def build(self, input_shape=None):
        # The mean of w over training, moved by the training step, read by `truncate`.
        self.w_avg = self.add_weight(shape=(self.w_dim,), name="w_avg", trainable=False,
                                     initializer="zeros", autocast=False)
        self.mapping.build((None, self.z_dim))
        self.synthesis.build((None, self.synthesis.num_ws, self.w_dim))

    def call(self, z, truncation_psi=1.0, noise=None):
        return self.synthesis(self.broadcast(self.truncate(self.mapping(z), truncation_psi)),
                              noise=noise)

    def truncate(self, w, truncation_psi=1.0):
        """Move w `[N, D]` towards its mean: `w_avg + psi · (w - w_avg)` (SG1 appendix B)."""
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
        return {**super().get_config(), "filters": self.filters,
                "base_resolution": self.base_resolution, "channels": self.channels,
                "z_dim": self.z_dim, "w_dim": self.w_dim, "mapping_layers": self.mapping_layers,
                "convolutions": self.convolutions}
