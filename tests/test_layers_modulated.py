import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_layer
from oracle import convolve, filter_each_channel, per_sample_modulated, relative_error

from stylegan2_tf.layers import ModulatedConv2D


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def kernel_and_style(layer, w):
    channels = layer.kernel.shape[2]
    kernel = np.asarray(layer.kernel, np.float64) / np.sqrt(channels * layer.kernel_size**2)
    affine = np.asarray(layer.affine.kernel, np.float64) / np.sqrt(w.shape[1])
    return kernel, w.astype(np.float64) @ affine + np.asarray(layer.affine.bias, np.float64)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_equals_per_sample_kernels(tmp_path, kernel_size, demodulate):
    x, w = numbers(3, 6, 5, 4), numbers(3, 8, seed=1)
    layer = ModulatedConv2D(7, kernel_size, demodulate=demodulate)
    found = check_layer(layer, x, w, tmp_path=tmp_path)
    kernel, style = kernel_and_style(layer, w)
    expected = per_sample_modulated(x, kernel, style, demodulate)
    assert relative_error(found, expected) < 1e-6


def test_upsampling_equals_per_sample_zeros_convolution_and_filter(tmp_path):
    x, w = numbers(2, 5, 4, 4), numbers(2, 8, seed=1)
    layer = ModulatedConv2D(3, upsample=True)
    found = check_layer(layer, x, w, tmp_path=tmp_path)
    kernel, style = kernel_and_style(layer, w)
    expected = []
    for image, scales in zip(x.astype(np.float64), style, strict=True):
        modulated = kernel * scales[None, None, :, None]
        modulated = modulated / np.sqrt((modulated**2).sum((0, 1, 2)) + 1e-8)
        # A transposed convolution of stride 2 spreads each pixel over a 3x3 patch.
        spread = np.zeros((2 * 5 + 1, 2 * 4 + 1, 3))
        for row in range(5):
            for column in range(4):
                patch = np.einsum("c,ijcf->ijf", image[row, column], modulated)
                spread[2 * row:2 * row + 3, 2 * column:2 * column + 3] += patch
        expected.append(filter_each_channel(spread[None], (1, 3, 3, 1), 1, 1, gain=4.0)[0])
    assert found.shape == (2, 10, 8, 3)
    assert relative_error(found, np.stack(expected)) < 1e-5


def test_demodulation_gives_unit_variance_whatever_the_style():
    layer = ModulatedConv2D(32)
    x = numbers(4, 16, 16, 32)
    for scale in (0.1, 1.0, 10.0):
        y = layer(x, scale * numbers(4, 8, seed=2))
        assert np.std(y) == pytest.approx(1.0, rel=0.1)


def test_style_starts_at_one():
    layer = ModulatedConv2D(2, 1, demodulate=False)
    x = numbers(1, 4, 4, 3)
    found = layer(x, np.zeros((1, 8), np.float32))
    kernel, _ = kernel_and_style(layer, np.zeros((1, 8), np.float32))
    assert relative_error(found, convolve(x, kernel)) < 1e-5


def test_gradient_matches_finite_differences():
    layer = ModulatedConv2D(2)
    x, w = numbers(1, 3, 3, 2), numbers(1, 4, seed=1)
    weights = numbers(1, 3, 3, 2, seed=2)
    layer.build(x.shape, w.shape)

    def value(w):
        return tf.reduce_sum(layer(x, w) * weights)

    with tf.GradientTape() as tape:
        variable = tf.Variable(w)
        loss = value(variable)
    gradient = tape.gradient(loss, variable).numpy()
    for index in range(4):
        step = np.zeros_like(w)
        step[0, index] = 1e-2
        difference = (value(w + step) - value(w - step)) / 2e-2
        assert gradient[0, index] == pytest.approx(float(difference), abs=2e-3)


def test_even_kernel_is_refused():
    with pytest.raises(ValueError, match="kernel_size=2"):
        ModulatedConv2D(4, 2)
