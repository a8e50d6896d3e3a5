import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_layer
from oracle import relative_error

from stylegan2_tf.layers.attention import SelfAttention2D


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def trained(channels, reduction=8, strength=0.7, **kwargs):
    """A layer whose strength is no longer zero."""
    keras.utils.set_random_seed(1)
    layer = SelfAttention2D(reduction, **kwargs)
    layer.build((None, 4, 6, channels))
    layer.strength.assign(strength)
    return layer


def attended(layer, image):
    """What the layer adds to `[H, W, C]`, position by position, in float64."""
    def matrix(part):
        kernel = np.asarray(part.kernel, np.float64)[0, 0]
        return kernel / np.sqrt(len(kernel))

    positions = image.reshape(-1, image.shape[-1]).astype(np.float64)
    keys, values = positions @ matrix(layer.key), positions @ matrix(layer.value)
    out = []
    for position in positions:
        powers = np.exp(keys @ (position @ matrix(layer.query)))
        read = sum(weight * value for weight, value in zip(powers, values, strict=True))
        out.append(read / powers.sum() @ matrix(layer.output_projection))
    return float(layer.strength) * np.reshape(out, image.shape)


@pytest.mark.parametrize("channels, reduction, narrow, half", [(16, 8, 2, 8), (6, 2, 3, 3),
                                                              (1, 8, 1, 1)])
def test_equals_the_sum_over_positions(tmp_path, channels, reduction, narrow, half):
    x = numbers(2, 4, 6, channels)
    layer = trained(channels, reduction)
    found = check_layer(layer, x, tmp_path=tmp_path)
    assert layer.query.filters == layer.key.filters == narrow
    assert layer.value.filters == half
    expected = np.stack([image + attended(layer, image) for image in x])
    assert relative_error(found, expected) < 1e-5


def test_starts_as_the_identity_but_learns():
    layer, x = SelfAttention2D(), numbers(2, 4, 6, 16)
    with tf.GradientTape() as tape:
        y = layer(x)
        loss = tf.reduce_sum(y * numbers(2, 4, 6, 16, seed=1))
    np.testing.assert_array_equal(y, x)
    assert abs(float(tape.gradient(loss, layer.strength.value))) > 1e-3
    assert len(layer.trainable_variables) == 5 and not layer.non_trainable_variables


def test_positions_have_no_order():
    layer, x = trained(16), numbers(2, 4, 6, 16)

    def shuffle(maps):
        order = np.random.default_rng(5).permutation(24)
        return np.asarray(maps).reshape(2, 24, 16)[:, order].reshape(2, 4, 6, 16)

    np.testing.assert_allclose(layer(shuffle(x)), shuffle(layer(x)), atol=1e-5)


def test_samples_do_not_see_each_other():
    layer, x = trained(16), numbers(3, 4, 6, 16)
    np.testing.assert_allclose(layer(x)[1:2], layer(x[1:2]), atol=1e-6)


def test_large_features_give_no_nan_under_mixed_precision():
    layer = trained(16, dtype="mixed_float16")
    y = layer(500 * numbers(2, 4, 6, 16))  # q · k is beyond the 65504 of float16
    assert y.dtype == "float16" and np.isfinite(np.asarray(y)).all()


def test_reduction_is_checked():
    with pytest.raises(ValueError, match="Received: reduction=0"):
        SelfAttention2D(0)
