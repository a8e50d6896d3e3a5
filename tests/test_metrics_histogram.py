import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.histogram import IntensityHistogram
from stylegan2_tf.metrics.images import signed


def some_images(n=20, channels=1, low=20, high=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (n, 16, 20, channels), dtype=np.uint8)


def distance(real, fake, **options):
    measure = IntensityHistogram(**options)
    return measure.compare(measure.describe(real), measure.describe(fake))["histogram"]


@pytest.mark.parametrize("shift", [1, 5, 40])
def test_a_shift_is_the_distance(shift):
    images = some_images()
    assert distance(images, images + np.uint8(shift)) == pytest.approx(shift, rel=1e-9)
    assert distance(images, images) == 0


def test_against_scipy():
    real, fake = some_images(), some_images(7, low=0, high=256, seed=1)
    expected = wasserstein_distance(real.ravel(), fake.ravel())
    assert distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_the_mean_over_channels():
    real, fake = some_images(channels=3), some_images(channels=3, low=90, seed=1)
    fake[..., 1] = real[..., 1]
    expected = np.mean([wasserstein_distance(real[..., c].ravel(), fake[..., c].ravel())
                        for c in range(3)])
    assert distance(real, fake) == pytest.approx(expected, rel=1e-9)
    every = IntensityHistogram().describe(real)["fractions"]
    first = IntensityHistogram().describe(real[..., :1])["fractions"]
    np.testing.assert_array_equal(every[:, :1], first)


def test_floats_are_rounded_to_the_nearest_grey_level():
    levels = np.array([[-1.0, 1.0, 0.0049, -0.9], [-1.2, 1.2, 0.003, -0.9]], np.float32)
    fractions = IntensityHistogram().describe(levels.reshape(2, 2, 2, 1))["fractions"]
    assert fractions.shape == (2, 1, 256)
    expected = np.zeros(256)
    expected[[0, 255, 128, 13]] = 0.25  # (0.0049 + 1) * 127.5 = 128.1, (1 - 0.9) * 127.5 = 12.75
    np.testing.assert_array_equal(fractions, [[expected], [expected]])


def test_whole_numbers_are_the_same_images():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for images in (every, signed(every), every.astype(np.uint16) * 257):
        np.testing.assert_array_equal(IntensityHistogram().describe(images)["fractions"], 1 / 256)
    assert distance(some_images(), signed(some_images())) == 0


def test_other_numbers_of_bins_are_grey_levels_too():
    black, white = np.zeros((2, 16, 16, 1), np.uint8), np.full((2, 16, 16, 1), 255, np.uint8)
    for bins in (2, 16, 256, 1024):
        assert distance(black, white, bins=bins) == pytest.approx(255)
    real, fake = some_images(), some_images(seed=1, high=256)
    assert distance(real, fake, bins=18) == pytest.approx(distance(real, fake), rel=0.1)


def test_only_the_pooled_histogram_counts():
    rng = np.random.default_rng(0)
    images = some_images()
    assert distance(images, rng.permuted(images.reshape(-1)).reshape(images.shape)) < 1e-12


def test_more_of_a_fault_is_further_away():
    images = some_images()
    values = [distance(images, images // divisor) for divisor in (1, 2, 3, 5)]
    assert values == sorted(values) and values[0] == 0


def test_curve_and_scale():
    measure = IntensityHistogram(bins=3)
    images = np.array([0, 0, 128, 255], np.uint8).reshape(2, 1, 2, 1)
    x, y = measure.curve(measure.describe(images))
    np.testing.assert_array_equal(x, [0, 127.5, 255])
    np.testing.assert_array_equal(y, [0.5, 0.25, 0.25])
    assert measure.scales()["histogram"].unit == "grey levels"


def test_too_few_bins():
    with pytest.raises(UsageError, match="bins=1"):
        IntensityHistogram(bins=1)
