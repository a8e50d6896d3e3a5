import keras
import numpy as np
import pytest
from layer_checks import check_layer
from oracle import (
    convolve,
    filter_each_channel,
    leaky_relu,
    relative_error,
    upsampling_convolution,
)

from stylegan2_tf.layers import EqualizedConv2D, EqualizedDense


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_dense_matches_oracle(tmp_path, multiplier):
    x = numbers(5, 12)
    layer = EqualizedDense(7, "leaky_relu", lr_multiplier=multiplier, bias_init=0.5)
    found = check_layer(layer, x, tmp_path=tmp_path)
    kernel, bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    np.testing.assert_allclose(bias * multiplier, 0.5, rtol=1e-6)
    expected = leaky_relu(x @ (kernel * multiplier / np.sqrt(12)) + 0.5)
    assert relative_error(found, expected) < 1e-5


def test_dense_keeps_variance_and_stores_scaled_weights():
    layer = EqualizedDense(512, lr_multiplier=0.01)
    y = layer(numbers(256, 512))
    assert np.std(y) == pytest.approx(1.0, rel=0.05)
    assert np.std(layer.kernel) == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("resample, sides", [(None, (8, 6)), ("down", (4, 3)), ("up", (16, 12))])
def test_convolution_matches_oracle(tmp_path, kernel_size, resample, sides):
    x = numbers(2, 8, 6, 3)
    layer = EqualizedConv2D(5, kernel_size, resample=resample, activation="leaky_relu")
    layer.build(x.shape)
    layer.bias.assign(numbers(5, seed=1))
    found = check_layer(layer, x, tmp_path=tmp_path)
    kernel = np.asarray(layer.kernel, np.float64) / np.sqrt(3 * kernel_size**2)
    np.testing.assert_allclose(layer.runtime_kernel, kernel, rtol=1e-6)
    if resample == "down":  # SG2: blur with padding for an exact half, then every second pixel
        padding = 2 if kernel_size == 3 else 1
        blurred = filter_each_channel(x, (1, 3, 3, 1), padding, padding)
        expected = convolve(blurred, kernel, stride=2)
    elif resample == "up":
        expected = upsampling_convolution(x, kernel)
    else:
        expected = convolve(x, kernel, padding=kernel_size // 2)
    expected = leaky_relu(expected + np.asarray(layer.bias, np.float64))
    assert found.shape == (2, *sides, 5) == layer.compute_output_shape(x.shape)
    assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("resample", ["up", "down"])
def test_a_filter_of_its_own_keeps_the_size(resample):
    x = numbers(1, 8, 6, 2)
    default, smoother = (EqualizedConv2D(3, resample=resample, **more) for more in (
        {}, dict(resample_filter=(1, 5, 10, 10, 5, 1))))
    expected = default(x)
    smoother.build(x.shape)
    smoother.set_weights(default.get_weights())
    assert smoother(x).shape == expected.shape
    assert np.abs(np.asarray(smoother(x)) - np.asarray(expected)).max() > 1e-3


def test_dense_shows_the_kernel_that_it_uses():
    layer = EqualizedDense(3, lr_multiplier=0.1)
    layer.build((None, 4))
    np.testing.assert_allclose(layer(np.eye(4, dtype=np.float32)), layer.runtime_kernel, rtol=1e-6)


def test_convolution_without_bias_has_one_weight():
    layer = EqualizedConv2D(4, 1, use_bias=False)
    layer.build((None, 8, 8, 2))
    assert [weight.name for weight in layer.weights] == ["kernel"]


@pytest.mark.parametrize("build, words", [
    (lambda: EqualizedDense(0), "units=0"),
    (lambda: EqualizedDense(1, lr_multiplier=0), "lr_multiplier=0"),
    (lambda: EqualizedDense(1, activation="tanh"), "activation=tanh"),
    (lambda: EqualizedConv2D(0), "filters=0"),
    (lambda: EqualizedConv2D(4, 2), "kernel_size=2"),
    (lambda: EqualizedConv2D(4, resample="half"), "resample=half"),
])
def test_wrong_arguments_are_named(build, words):
    with pytest.raises(ValueError, match=f"Received: {words}"):
        build()


def test_weights_are_registered_under_the_package():
    assert keras.saving.get_registered_name(EqualizedDense) == "stylegan2_tf>EqualizedDense"
