import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter
from scipy.stats import wasserstein_distance

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.images import signed
from stylegan2_tf.metrics.measure import rows
from stylegan2_tf.metrics.sliced import SlicedWasserstein, laplacian, level_sizes, wasserstein


def smooth_images(n, height=32, width=32, channels=1, seed=0):
    noise = np.random.default_rng(seed).standard_normal((n, height, width, channels))
    images = gaussian_filter(noise, (0, 2, 2, 0))
    return (0.4 * images / images.std()).astype(np.float32)


def distance(real, fake, **options):
    measure = SlicedWasserstein(patches=64, projections=64, **options)
    return measure.compare(measure.describe(real), measure.describe(fake))


# One dimension


@pytest.mark.parametrize("n,m", [(1, 1), (50, 50), (50, 100), (50, 73), (7, 1000), (1, 9)])
def test_wasserstein_of_any_two_numbers_of_samples(n, m):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(n), 2 * rng.standard_normal(m) + 1
    expected = wasserstein_distance(a, b)
    assert wasserstein(a, b) == pytest.approx(expected, rel=1e-6)


def test_wasserstein_of_shifted_and_widened_gaussians():
    a = np.random.default_rng(0).standard_normal(20001)
    assert wasserstein(a.copy(), a + 0.5) == pytest.approx(0.5, rel=1e-6)
    # The quantile functions of N(0, 1) and N(0, 3) differ by 2 |x|.
    assert wasserstein(a.copy(), 3 * a) == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.02)


# Pyramid


@pytest.mark.parametrize("size,expected", [
    ((64, 64), [(64, 64), (32, 32), (16, 16)]),
    ((16, 16), [(16, 16)]),
    ((31, 31), [(31, 31)]),
    ((240, 256), [(240, 256), (120, 128), (60, 64), (30, 32)]),
    ((33, 47), [(33, 47), (17, 24)]),
    ((1024, 512), [(1024, 512), (512, 256), (256, 128), (128, 64), (64, 32), (32, 16)]),
])
def test_sizes_of_the_levels(size, expected):
    assert level_sizes(*size) == expected


def test_laplacian_against_two_dimensional_convolutions():
    images = smooth_images(2, 35, 48, 2)
    found = list(laplacian(images, 2))
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, :, :, None] / 256
    low = convolve(images, kernel, mode="mirror")[:, ::2, ::2]
    spread = np.zeros_like(images)
    spread[:, ::2, ::2] = low
    np.testing.assert_allclose(found[0], images - 4 * convolve(spread, kernel, mode="mirror"),
                               atol=1e-6)
    np.testing.assert_allclose(found[1], low, atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (35, 34)])
def test_differences_of_constant_images_are_zero(size):
    *fine, coarse = laplacian(np.full((2, *size, 1), 0.7, np.float32), 2)
    assert len(fine) == 1 and coarse.shape == (2, (size[0] + 1) // 2, (size[1] + 1) // 2, 1)
    np.testing.assert_allclose(fine[0], 0, atol=1e-6)
    np.testing.assert_allclose(coarse, 0.7, rtol=1e-6)


# Patches


def test_patches_are_windows_at_random_places():
    ramp = np.arange(16 * 18).reshape(1, 16, 18, 1) / 512  # every pixel another value
    images = np.concatenate([ramp, ramp], axis=-1).astype(np.float32) - 1
    found = SlicedWasserstein(patches=1500).describe(images)["18"][0].astype(float)
    places = set()
    for patch in found:
        y, x = divmod(round(patch[0, 0, 0] * 512), 18)
        expected = ramp[0, y:y + 7, x:x + 7, 0]
        np.testing.assert_allclose(patch, [expected, expected], atol=5e-4)
        places.add((y, x))
    assert len(places) == 10 * 12  # every one that there is


def test_every_image_has_its_own_places_whatever_the_number_of_images():
    images = np.repeat(smooth_images(1), 40, axis=0)
    all_of_them = SlicedWasserstein(patches=8).describe(images)
    first = SlicedWasserstein(patches=8).describe(images[:19])
    other = SlicedWasserstein(patches=8, seed=1).describe(images)
    for level, patches in all_of_them.items():
        assert patches.shape == (40, 8, 1, 7, 7) and patches.dtype == np.float16
        assert len(np.unique(patches.astype(float), axis=0)) == 40
        np.testing.assert_array_equal(first[level], patches[:19])
        assert (other[level] != patches).any()


# The distance


def test_known_distance_of_shifted_images():
    real = smooth_images(24, 16, 16)
    found = distance(real, real + 0.1)["swd"]
    # Each projection moves by 0.1 times the sum of a random unit vector: |sum| is 0.8 on average.
    assert found == pytest.approx(1000 * 0.1 / real.std() * np.sqrt(2 / np.pi), rel=0.15)
    brighter = np.concatenate([real, real + 0.1], axis=-1)  # only one of two channels differs
    assert distance(np.concatenate([real, real], axis=-1), brighter)["swd"] == pytest.approx(
        found / np.sqrt(2), rel=0.15)


def test_distance_against_plain_loops_with_other_directions():
    rng = np.random.default_rng(1)
    real = smooth_images(6, 16, 16, 3) * np.float32([1, 0.5, 0.1])  # each channel its own range
    fake = real[:5] + 0.1 * rng.standard_normal((5, 16, 16, 3), np.float32)
    measure = SlicedWasserstein(patches=32)
    a, b = measure.describe(real), measure.describe(fake)
    scale = a["16"].astype(float).std(axis=(0, 1, 3, 4), keepdims=True)
    distances = []
    for _ in range(300):
        direction = rng.standard_normal(3 * 49)
        direction /= np.linalg.norm(direction)
        distances.append(wasserstein_distance(*(
            (x["16"] / scale).reshape(-1, 3 * 49) @ direction for x in (a, b))))
    assert measure.compare(a, b)["swd"] == pytest.approx(1000 * np.mean(distances), rel=0.05)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_set_has_no_distance_to_itself(channels):
    images = smooth_images(9, 33, 32, channels)
    assert distance(images, images) == {"swd": 0, "swd/33": 0, "swd/17": 0}
    measure = SlicedWasserstein(patches=16, projections=8)
    real = measure.describe(images)
    twice = rows(real, np.tile(np.arange(9), 2))
    assert measure.compare(real, twice)["swd"] == pytest.approx(0, abs=1e-3)
    assert measure.compare(real, rows(real, np.arange(4)))["swd"] > 50


def blur(images, amount):
    return gaussian_filter(images, (0, amount, amount, 0))


def noise(images, amount):
    return images + amount * np.random.default_rng(2).standard_normal(images.shape, np.float32) / 4


def shift(images, amount):
    return images + np.float32(amount / 4)


def contrast(images, amount):
    return images / np.float32(1 + amount)


@pytest.mark.parametrize("change", [blur, noise, shift, contrast])
def test_more_of_a_fault_is_further_away(change):
    real = smooth_images(16)
    values = [distance(real, change(real, amount))["swd"] for amount in (0, 0.4, 0.7, 1.2, 2)]
    assert values[0] == 0 and (np.diff(values) > 1).all() and values[-1] > 150


def test_fewer_modes_are_further_away():
    real = smooth_images(64)
    values = [distance(real, real[np.arange(64) % modes])["swd"] for modes in (64, 8, 4, 2, 1)]
    assert values[0] == 0 and (np.diff(values) > 1).all()


def test_more_images_of_another_class_are_further_away():
    real, others = smooth_images(64), noise(smooth_images(64), 3)
    values = [distance(real, np.concatenate([others[:count], real[count:]]))["swd"]
              for count in (0, 8, 16, 32, 64)]
    assert values[0] == 0 and (np.diff(values) > 1).all()


def test_the_floor_falls_with_the_number_of_images():
    images = smooth_images(128)
    few, many = distance(images[:4], images[4:8]), distance(images[:64], images[64:])
    assert 0 < many["swd"] < few["swd"] / 2


def test_noise_is_seen_on_the_fine_level_and_a_shift_on_the_coarse():
    real = smooth_images(24)
    noisy, brighter = distance(real, noise(real, 0.3)), distance(real, shift(real, 0.3))
    assert noisy["swd/32"] > 3 * noisy["swd/16"]
    assert brighter["swd/32"] < 1 and brighter["swd/16"] > 50


def test_levels_and_their_mean():
    measure = SlicedWasserstein(patches=4, projections=4)
    images = smooth_images(4, 60, 64)
    real, fake = measure.describe(images[:2]), measure.describe(images[2:])  # two images each
    values = measure.compare(real, fake)
    assert list(values) == ["swd", "swd/64", "swd/32"] == list(measure.scales())
    assert values["swd"] == pytest.approx((values["swd/64"] + values["swd/32"]) / 2)
    assert all(type(value) is float for value in values.values())
    assert measure.scales()["swd/32"].label == "sliced Wasserstein distance at 30x32"


def test_a_quick_comparison_takes_the_first_directions():
    images = smooth_images(8, 16, 16)
    measure, small = SlicedWasserstein(8, projections=80), SlicedWasserstein(8, projections=32)
    real, fake = measure.describe(images[:4]), measure.describe(images[4:])
    assert measure.compare(real, fake, quick=True) == small.compare(real, fake)
    assert measure.compare(real, fake) != small.compare(real, fake)
    assert SlicedWasserstein(8, 5).compare(real, fake, quick=True)["swd"] > 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_whole_numbers_are_the_same_images(dtype):
    rng = np.random.default_rng(0)
    images = rng.integers(0, np.iinfo(dtype).max, (20, 32, 32, 1), dtype, endpoint=True)
    found = SlicedWasserstein(patches=4).describe(images)
    expected = SlicedWasserstein(patches=4).describe(signed(images))
    for level in expected:
        np.testing.assert_array_equal(found[level], expected[level])


def test_constant_images_are_finite():
    black, grey = np.zeros((2, 32, 32, 1), np.uint8), np.full((2, 32, 32, 1), 128, np.uint8)
    assert distance(black, black)["swd"] == 0
    assert 0 < distance(black, grey)["swd"] < np.inf
    assert 0 < distance(black, smooth_images(2))["swd"] < np.inf


def test_refusals():
    with pytest.raises(UsageError, match="patches=0"):
        SlicedWasserstein(patches=0)
    with pytest.raises(UsageError, match="projections=0"):
        SlicedWasserstein(projections=0)
    with pytest.raises(UsageError, match="at least 7x7.*6x32"):
        SlicedWasserstein().describe(np.zeros((2, 6, 32, 1), np.uint8))
