import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.images import signed
from stylegan2_tf.metrics.ssim import MultiScaleSimilarity, ms_ssim, ssim


def pair(height=32, width=32, channels=1, amount=0.2, n=2):
    """Smooth images, and the same with noise."""
    rng = np.random.default_rng(0)
    images = gaussian_filter(rng.standard_normal((n, height, width, channels)), (0, 2, 2, 0))
    images = 0.3 * images / images.std()
    noisy = images + amount * rng.standard_normal(images.shape)
    return images.astype(np.float32), noisy.astype(np.float32)


def oracle(a, b):
    """SSIM and its contrast term of one channel `[H, W]`, in float64, as in the paper."""
    a, b = a.astype(float) + 1, b.astype(float) + 1
    steps = np.arange(11) - 5
    window = np.exp(-(steps[:, None] ** 2 + steps ** 2) / (2 * 1.5 ** 2))
    window /= window.sum()

    def mean(x):
        return convolve2d(x, window, mode="valid")

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mu_a ** 2, mean(b * b) - mu_b ** 2
    covariance = mean(a * b) - mu_a * mu_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    contrast = (2 * covariance + c2) / (var_a + var_b + c2)
    luminance = (2 * mu_a * mu_b + c1) / (mu_a ** 2 + mu_b ** 2 + c1)
    return (luminance * contrast).mean(), contrast.mean()


def halved(x):
    x = x[:x.shape[0] // 2 * 2, :x.shape[1] // 2 * 2]
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [(16, 16), (33, 48)])
def test_ssim_against_a_direct_computation(size):
    a, b = pair(*size, channels=3)
    expected = [np.mean([oracle(x[..., c], y[..., c])[0] for c in range(3)])
                for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(ssim(a, b), expected, atol=1e-5)


def test_ssim_against_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    a, b = pair(40, 50)
    expected = [metrics.structural_similarity(
        x + 1, y + 1, data_range=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False) for x, y in zip(a[..., 0], b[..., 0], strict=True)]
    np.testing.assert_allclose(ssim(a, b), expected, atol=1e-5)


def test_ssim_of_constant_images_is_their_luminance_term():
    a, b = np.full((1, 16, 16, 1), -0.5, np.float32), np.full((1, 16, 16, 1), 0.5, np.float32)
    expected = (2 * 0.5 * 1.5 + 0.0004) / (0.5 ** 2 + 1.5 ** 2 + 0.0004)
    assert ssim(a, b)[0] == pytest.approx(expected, abs=1e-4)
    assert ms_ssim(a, b)[0] == pytest.approx(expected, abs=1e-4)


WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


@pytest.mark.parametrize("side,scales", [
    (16, 1), (21, 1), (22, 2), (32, 2), (43, 2), (44, 3), (87, 3), (88, 4), (175, 4), (176, 5),
    (352, 5)])
def test_ms_ssim_against_a_direct_computation(side, scales):
    a, b = pair(side, side + 9, n=1)
    x, y = a[0, ..., 0], b[0, ..., 0]
    expected = 1.0
    for scale, weight in enumerate(WEIGHTS[:scales]):
        similarity, contrast = oracle(x, y)
        term = similarity if scale == scales - 1 else contrast
        expected *= term ** (weight / sum(WEIGHTS[:scales]))
        x, y = halved(x), halved(y)
    assert 0.1 < expected < 0.99
    assert ms_ssim(a, b)[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("shape", [(2, 16, 16, 1), (2, 60, 64, 3), (2, 33, 47, 4)])
def test_equal_images_are_alike(shape):
    a, _ = pair(*shape[1:])
    np.testing.assert_array_equal(ssim(a, a), 1)
    np.testing.assert_array_equal(ms_ssim(a, a), 1)


def test_more_noise_is_less_alike():
    values = [ms_ssim(*pair(64, 64, amount=amount))[0] for amount in (0, 0.05, 0.1, 0.2, 0.4, 1)]
    assert values == sorted(values, reverse=True) and values[0] == 1 and values[-1] < 0.5


def test_opposite_contrast_counts_as_nothing_alike():
    a, _ = pair()
    assert (ssim(a, -a) < 0).all()
    np.testing.assert_array_equal(ms_ssim(a, -a), 0)


def test_channels_are_averaged():
    a, b = pair(channels=3)
    single = [ms_ssim(a[..., c:c + 1], b[..., c:c + 1]) for c in range(3)]
    np.testing.assert_allclose(ms_ssim(a, b), np.mean(single, axis=0), rtol=1e-6)


def test_whole_numbers_are_the_same_images():
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8)
    wide = images.astype(np.uint16) * 257
    found = MultiScaleSimilarity().describe(images)["similarity"]
    for same in (signed(images), wide):
        np.testing.assert_allclose(MultiScaleSimilarity().describe(same)["similarity"], found,
                                   atol=1e-5)


# Pairs within a set


def test_two_images_are_each_others_partner():
    images = np.concatenate(pair(n=1))
    found = MultiScaleSimilarity().describe(images)["similarity"]
    np.testing.assert_allclose(found, ms_ssim(images[:1], images[1:])[0], rtol=1e-5)


def test_everyone_has_a_partner_that_is_another_image():
    noise = np.random.default_rng(0).uniform(-1, 1, (37, 16, 16, 1)).astype(np.float32)
    found = MultiScaleSimilarity().describe(noise)["similarity"]
    assert found.shape == (37,) and found.min() >= 0 and found.max() < 0.5
    other = MultiScaleSimilarity(seed=1).describe(noise)["similarity"]
    assert (other != found).mean() > 0.8


def test_at_most_so_many_pairs():
    noise = np.random.default_rng(0).uniform(-1, 1, (40, 16, 16, 1)).astype(np.float32)
    measure = MultiScaleSimilarity(pairs=19)
    found, all_of_them = measure.describe(noise), MultiScaleSimilarity().describe(noise)
    measured = ~np.isnan(found["similarity"])
    assert measured.sum() == 19 and not np.isnan(all_of_them["similarity"]).any()
    np.testing.assert_array_equal(found["similarity"][measured],
                                  all_of_them["similarity"][measured])
    expected = all_of_them["similarity"][measured].mean()
    assert measure.compare(None, found)["ms-ssim"] == pytest.approx(expected)
    nothing = {"similarity": np.full(3, np.nan)}
    assert np.isnan(measure.compare(None, nothing)["ms-ssim"])


def test_a_collapsed_set_is_more_alike():
    _, varied = pair(n=12)
    collapsed = varied[:1] + 0.02 * varied
    measure = MultiScaleSimilarity()
    diverse, alike = (measure.compare(None, measure.describe(x)) for x in (varied, collapsed))
    assert diverse["ms-ssim"] < 0.3 and alike["ms-ssim"] > 0.9
    assert list(measure.scales()) == ["ms-ssim"] and measure.scales()["ms-ssim"].better == "near"


def test_a_set_of_one_image_repeated_and_black_images():
    measure = MultiScaleSimilarity()
    for images in (np.repeat(pair(n=1)[0], 5, axis=0), np.zeros((2, 240, 256, 1), np.uint8)):
        assert measure.compare(None, measure.describe(images)) == {"ms-ssim": 1}


def test_refusals():
    images = np.zeros((2, 16, 16, 1), np.float32)
    with pytest.raises(UsageError, match="one shape"):
        ssim(images, images[:, :, :12])
    with pytest.raises(UsageError, match="at least 11.*10x16"):
        ms_ssim(images[:, :10], images[:, :10])
    with pytest.raises(UsageError, match="pairs=0"):
        MultiScaleSimilarity(pairs=0)
