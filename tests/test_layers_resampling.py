import numpy as np
import pytest
from keras import ops
from oracle import filter_each_channel, insert_zeros, relative_error

from stylegan2_tf.layers import (
    average_pixels,
    blur,
    downsample,
    repeat_pixels,
    resampling,
    upsample,
)
from stylegan2_tf.layers.resampling import (
    downsampling_conv,
    fir_kernel,
    is_half,
    upsampling_conv,
)

TAPS = (1, 3, 3, 1)


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 1)])
def test_blur_matches_oracle(padding):
    x = numbers(2, 8, 6, 3)
    expected = filter_each_channel(x, TAPS, *padding, gain=4.0)
    assert relative_error(blur(x, TAPS, padding, gain=4.0), expected) < 1e-5


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_upsample_is_zeros_then_filter(channels):
    x = numbers(2, 5, 4, channels)
    expected = filter_each_channel(insert_zeros(x), TAPS, 2, 1, gain=4.0)
    found = upsample(x)
    assert found.shape == (2, 10, 8, channels)
    assert relative_error(found, expected) < 1e-5


def test_downsample_is_filter_then_every_second_pixel():
    x = numbers(2, 8, 6, 3)
    expected = filter_each_channel(x, TAPS, 1, 1)[:, ::2, ::2]
    assert relative_error(downsample(x), expected) < 1e-5


def test_pixels_are_repeated_and_averaged():
    image = np.random.default_rng(0).standard_normal((2, 3, 5, 2)).astype(np.float32)
    large = repeat_pixels(image)
    np.testing.assert_array_equal(large, image.repeat(2, axis=1).repeat(2, axis=2))
    np.testing.assert_allclose(average_pixels(large), image, rtol=1e-6)
    other = np.random.default_rng(1).standard_normal((1, 4, 6, 1)).astype(np.float32)
    np.testing.assert_allclose(average_pixels(other),
                               other.reshape(1, 2, 2, 3, 2, 1).mean((2, 4)), rtol=1e-5, atol=1e-6)


def test_constant_images_stay_constant_inside():
    x = np.ones((1, 16, 16, 1), np.float32)
    np.testing.assert_allclose(upsample(x)[:, 2:-2, 2:-2], 1.0, rtol=1e-6)
    np.testing.assert_allclose(downsample(x)[:, 1:-1, 1:-1], 1.0, rtol=1e-6)


def test_kernel_sums_to_its_gain():
    assert np.sum(fir_kernel((1, 2, 1), gain=4.0)) == pytest.approx(4.0)


def test_other_filter_lengths_keep_the_sizes():
    x = numbers(1, 8, 8, 2)
    for taps in [(1, 1), (1, 2, 1), (1, 5, 10, 10, 5, 1)]:
        assert upsample(x, taps).shape == (1, 16, 16, 2)
        assert downsample(x, taps).shape == (1, 4, 4, 2)


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 1), (1, 2, 3, 5)])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("convolve", [upsampling_conv, downsampling_conv])
def test_a_folded_filter_changes_nothing(monkeypatch, convolve, size, taps):
    if convolve is upsampling_conv and (size, taps) == (5, (1, 2, 1)):
        pytest.skip("a filter shorter than the kernel would cut maps, with or without folding")
    x, kernel = map(ops.convert_to_tensor, (numbers(2, 6, 8, 3), numbers(size, size, 3, 5)))
    expected = convolve(x, kernel, taps)
    monkeypatch.setattr(resampling, "is_half", lambda x: True)
    assert relative_error(convolve(x, kernel, taps), expected) < 1e-5


@pytest.mark.parametrize("name, expected", [("float32", False), ("bfloat16", True),
                                            ("float16", True)])
def test_only_16_bits_fold(name, expected):
    assert is_half(ops.cast(numbers(1, 2), name)) == expected
