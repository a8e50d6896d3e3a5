"""Spectral normalisation (SN, arXiv:1802.05957): a layer that can't stretch its input.

Shapes: `N` batch, `H W` space, `C` channels.
"""

import keras
from keras import ops

from stylegan2_tf.layers.equalized import EqualizedConv2D, EqualizedDense

EPSILON = 1e-12


@keras.saving.register_keras_serializable(package="stylegan2_tf")
class SpectralNormalization(keras.layers.Wrapper):
    """Divide the kernel of an equalised layer by its largest singular value.

    `y = act(x · W / σ + b)` with `σ = ‖W u‖`, where `W` is the kernel as it is used, as a matrix
    `[everything else, fan_out]`, and `u` its first right singular vector (SN section 2.1).
    Before bias and activation the layers are linear, so `x` is divided instead of `W`.

    A call changes nothing. `u` starts at random and is found by power iteration while
    training (SN section 2.2): assign `next_u()` to `u` once a step. It counts as a constant in
    the gradient, so that the slope of `σ` is `v uᵀ` with `v = W u / σ` (SN section 2.3).

    Args:
        layer: An `EqualizedConv2D` or `EqualizedDense`, built or not.

    Input shape:
        That of `layer`.

    Output shape:
        That of `layer`.

    Raises:
        ValueError: `layer` is of another kind.

    Example:

    >>> layer = SpectralNormalization(EqualizedConv2D(8))
    >>> layer(keras.ops.ones((2, 16, 16, 4))).shape
    (2, 16, 16, 8)
    >>> layer.u.assign(layer.next_u())

    Reference:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks,
        arXiv:1802.05957.
    """

    def __init__(self, layer, **kwargs):
        if not isinstance(layer, EqualizedConv2D | EqualizedDense):
            raise ValueError("Argument `layer` must be an EqualizedConv2D or EqualizedDense. "
                             f"Received: layer={layer}")
        super().__init__(layer, **{"dtype": layer.dtype_policy, **kwargs})

    def build(self, input_shape):
        super().build(input_shape)
        self.u = self.add_weight(
            shape=self.layer.kernel.shape[-1:], name="u", initializer=random_direction,
            dtype="float32", autocast=False, trainable=False)

    def call(self, x, **options):
        sigma = length(ops.matmul(self._matrix(), self.u))
        return self.layer(x / ops.cast(sigma, x.dtype), **options)

    def next_u(self):
        """`[fan_out]`: `u` after one more power iteration, to be assigned to it."""
        matrix = self._matrix()
        v = normalize(ops.matmul(matrix, self.u))
        return normalize(ops.matmul(ops.transpose(matrix), v))

    def _matrix(self):
        """`[everything else, fan_out]`: the kernel as it is used, in float32."""
        kernel = ops.cast(self.layer.runtime_kernel, "float32")
        return ops.reshape(kernel, (-1, kernel.shape[-1]))

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


def length(vector):
    """The Euclidean norm, with a finite gradient at zero."""
    return ops.sqrt(ops.sum(ops.square(vector)) + EPSILON)


def normalize(vector):
    """The vector of length one in the same direction."""
    return vector / length(vector)


def random_direction(shape, dtype=None):
    """An initializer: normal numbers, scaled to length one."""
    return normalize(keras.initializers.RandomNormal(stddev=1.0)(shape, dtype))


def normalized(layer, wanted=True):
    """`layer`, wrapped in `SpectralNormalization` if `wanted`."""
    return SpectralNormalization(layer, name=layer.name) if wanted else layer
