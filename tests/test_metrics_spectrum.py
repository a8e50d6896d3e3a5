import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stylegan2_tf.metrics.images import signed
from stylegan2_tf.metrics.spectrum import PowerSpectrum, radial_power


def white(n=16, height=32, width=32, channels=1, deviation=0.2, seed=0):
    noise = np.random.default_rng(seed).standard_normal((n, height, width, channels))
    return (deviation * noise).astype(np.float32)


def curve(images):
    measure = PowerSpectrum()
    return measure.curve(measure.describe(images))


def distance(real, fake):
    measure = PowerSpectrum()
    return measure.compare(measure.describe(real), measure.describe(fake))["spectrum"]


@pytest.mark.parametrize("shape", [(16, 16, 1), (33, 32, 3), (30, 47, 1), (32, 33, 4)])
def test_against_the_whole_fourier_transform(shape):
    images = white(3, *shape) + np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)[:, None]
    height, width, channels = shape
    side = min(height, width)
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
                        for n in (height, width)))
    expected = np.zeros((3, side // 2))
    for i, image in enumerate(images.astype(float)):
        for c in range(channels):
            x = image[..., c]
            x = (x - np.average(x, weights=window)) * window
            power = np.abs(np.fft.fft2(x)) ** 2 / (window ** 2).sum()
            y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
            radius = np.sqrt(x ** 2 + y ** 2) * side
            for k in range(1, side // 2 + 1):
                expected[i, k - 1] += power[np.round(radius) == k].mean() / channels
    np.testing.assert_allclose(radial_power(images), expected, rtol=1e-3)


def test_white_noise_is_flat():
    x, y = curve(white(n=64))
    np.testing.assert_array_equal(x, np.arange(1, 17))
    np.testing.assert_allclose(y[1:], 10 * np.log10(0.2 ** 2), atol=0.7)
    assert np.abs(y[1:].mean() - 10 * np.log10(0.2 ** 2)) < 0.1


@pytest.mark.parametrize("size", [(32, 32), (32, 48), (33, 31)])
@pytest.mark.parametrize("cycles", [3, 8, 14])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_peaks_at_its_frequency(size, cycles, axis):
    place = np.arange(size[axis]) / min(size)  # cycles per shorter side
    wave = np.sin(2 * np.pi * cycles * place)
    image = np.zeros((2, *size, 1), np.float32)
    image[:] = wave[:, None, None] if axis == 0 else wave[:, None]
    x, y = curve(image)
    assert x[np.argmax(y)] == cycles
    assert (y[np.abs(x - cycles) > 2] < y.max() - 20).all()


def test_a_blur_takes_high_frequencies_only():
    sharp = white(n=32)
    (_, before), (_, after) = curve(sharp), curve(gaussian_filter(sharp, (0, 1, 1, 0)))
    assert before[0] - after[0] < 1 and before[-1] - after[-1] > 20


def test_borders_that_do_not_match_add_no_high_frequencies():
    ramp = np.tile(np.linspace(-1, 1, 64, dtype=np.float32)[:, None], (2, 64, 1, 1))
    _, y = curve(ramp)
    assert y[0] > 10 and (y[8:] < -45).all()


def test_known_distance_of_images_with_half_the_contrast():
    images = white(deviation=0.4)
    assert distance(images, images / 2) == pytest.approx(20 * np.log10(2), rel=1e-3)
    assert distance(images, images) == 0


def test_the_mean_intensity_does_not_count():
    images = white()
    assert distance(images, images + np.float32(0.3)) < 1e-3


def test_more_of_a_fault_is_further_away():
    images = white(48)
    real, other = images[:24], images[24:]
    for worse in (lambda amount: gaussian_filter(other, (0, amount, amount, 0)),
                  lambda amount: other + amount * white(24, seed=1)):
        values = [distance(real, worse(amount)) for amount in (0, 0.5, 1, 2)]
        assert values == sorted(values) and values[-1] > 3 * values[0]


def test_two_images_of_any_type_and_constant_ones():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 240, 256, 1), np.uint8)
    assert distance(images, signed(images)) == 0
    assert distance(images, images.astype(np.uint16) * 257) < 1e-3
    black = np.zeros((2, 240, 256, 1), np.uint8)
    assert distance(black, black + 255) < 1e-3 and 10 < distance(images, black) < 100
    assert np.isfinite(curve(black)[1]).all()


def test_a_row_an_image_and_its_scale():
    images = white(40)
    measure = PowerSpectrum()
    found = measure.describe(images)["power"]
    assert found.shape == (40, 16)
    np.testing.assert_allclose(measure.describe(images[35:])["power"], found[35:], rtol=1e-5)
    assert measure.scales()["spectrum"].unit == "dB"
    assert type(measure.compare({"power": found}, {"power": found[:7]})["spectrum"]) is float
