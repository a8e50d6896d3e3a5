import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_layer
from oracle import relative_error

from stylegan2_tf.layers.instance import AdaptiveInstanceNormalization


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def styles(layer, w):
    """`(y_s, y_b)`, each `[N, C]`, in float64."""
    kernel = np.asarray(layer.affine.kernel, np.float64) / np.sqrt(w.shape[1])
    found = w.astype(np.float64) @ kernel + np.asarray(layer.affine.bias, np.float64)
    return np.split(found, 2, axis=1)


def test_every_map_is_normalised_by_itself_then_scaled_and_shifted(tmp_path):
    x, w = 5 + 3 * numbers(3, 6, 4, 5), numbers(3, 8, seed=1)
    layer = AdaptiveInstanceNormalization()
    layer.build(x.shape, w.shape)
    layer.affine.bias.assign(numbers(10, seed=2))
    found = check_layer(layer, x, w, tmp_path=tmp_path)
    scale, shift = styles(layer, w)
    expected = np.zeros(x.shape)
    for sample in range(3):
        for channel in range(5):
            values = x[sample, :, :, channel].astype(np.float64)
            normalised = (values - values.mean()) / np.sqrt(values.var() + 1e-8)
            expected[sample, :, :, channel] = (
                normalised * (1 + scale[sample, channel]) + shift[sample, channel])
    assert relative_error(found, expected) < 1e-5


def test_a_zero_latent_only_normalises():
    y = np.asarray(AdaptiveInstanceNormalization()(7 * numbers(2, 8, 6, 3), np.zeros((2, 4))))
    np.testing.assert_allclose(y.mean((1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(y.std((1, 2)), 1.0, rtol=1e-5)


def test_scale_and_offset_of_the_input_are_forgotten():
    layer, x, w = AdaptiveInstanceNormalization(), numbers(2, 5, 5, 3), numbers(2, 4, seed=1)
    np.testing.assert_allclose(layer(100 * x - 7, w), layer(x, w), atol=1e-4)


@pytest.mark.parametrize("x", [numbers(2, 1, 1, 3), np.full((2, 4, 4, 3), 0.1, np.float32)],
                         ids=["one pixel", "constant"])
def test_maps_without_variance_become_the_shift_with_finite_gradients(x, tmp_path):
    layer, w = AdaptiveInstanceNormalization(), numbers(2, 4, seed=1)
    found = check_layer(layer, x, w, tmp_path=tmp_path)  # second-order gradients too
    _, shift = styles(layer, w)
    np.testing.assert_allclose(found, np.broadcast_to(shift[:, None, None, :], x.shape), atol=1e-3)
    with tf.GradientTape() as tape:
        inputs = [tf.Variable(x), tf.Variable(w)]
        loss = tf.reduce_sum(tf.square(layer(*inputs)))
    for gradient in tape.gradient(loss, inputs):
        assert np.isfinite(gradient.numpy()).all()


def test_statistics_are_in_float32_under_mixed_precision():
    layer = AdaptiveInstanceNormalization(dtype="mixed_float16")
    x = 300 * numbers(2, 16, 16, 3)  # squares are beyond the 65504 of float16
    y = layer(x, np.zeros((2, 4), np.float32))
    assert y.dtype == "float16"
    np.testing.assert_allclose(np.asarray(y, np.float32).std((1, 2)), 1.0, rtol=1e-2)
