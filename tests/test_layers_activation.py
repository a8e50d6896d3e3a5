import numpy as np
import tensorflow as tf
from keras import ops

from stylegan2_tf import layers
from stylegan2_tf.layers.activation import get_activation


def test_an_epilogue_scales_adds_and_activates():
    x = np.array([[-2.0, 1.0, 3.0]], np.float32)
    found = layers.epilogue(x, np.float32([1, 1, -4]), np.float32(0.5), scale=np.float32(2))
    np.testing.assert_allclose(found, [[-0.5, 3.5, 2.5]])
    np.testing.assert_allclose(layers.epilogue(x), [[-0.4, 1.0, 3.0]])
    activate, gain = get_activation(None)
    np.testing.assert_allclose(activate(x, np.float32(1)), x + 1)
    assert gain == 1.0


def test_a_compiled_epilogue_does_the_same():
    """XLA keeps the digits that 16 bits would round away between two operations."""
    rng = np.random.default_rng(0)
    x = ops.cast(rng.normal(size=(4, 64, 64, 16)), "bfloat16")
    bias, scale = (ops.cast(rng.normal(size=shape), "bfloat16") for shape in ((16,), (4, 1, 1, 16)))
    plain = ops.cast(layers.epilogue(x, bias, scale=scale), "float32")
    used = []

    def compile_(function):
        def compiled(*arguments, **options):
            used.append(arguments[0].shape)
            return tf.function(function, jit_compile=True)(*arguments, **options)

        return compiled

    with layers.compiled_epilogues(compile_):
        compiled = ops.cast(layers.epilogue(x, bias, scale=scale), "float32")
        layers.epilogue(x[:1], bias)  # too small to be worth it
    layers.epilogue(x, bias)
    assert used == [(4, 64, 64, 16)]
    np.testing.assert_allclose(compiled, plain, rtol=0.02, atol=0.02)
