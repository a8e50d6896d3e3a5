import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation
from scipy.stats import truncnorm

from stylegan2_tf.augment import intensity

SEED = (7, 96)
COUNT = 3000
CUT = truncnorm(-2, 2).std()  # of a standard normal cut at two sigmas


def shading(p):
    """Gain and offset of each image, read off a black and a white pixel."""
    images = np.tile(np.float32([-1, 1]), (COUNT, 1)).reshape(COUNT, 1, 2, 1)
    seen = intensity.shade(tf.constant(images), p, SEED).numpy().reshape(COUNT, 2)
    return (seen[:, 1] - seen[:, 0]) / 2, seen[:, 0] + 1


def test_contrast_is_a_gain_about_black():
    gain, _ = shading(1.0)
    octaves = np.log2(gain)
    assert 0.28 < np.abs(octaves).max() <= 0.3 + 1e-5
    assert octaves.mean() == pytest.approx(0, abs=0.01)
    assert octaves.std() == pytest.approx(0.15 * CUT, rel=0.05)


def test_brightness_is_an_offset():
    _, offset = shading(1.0)
    assert 0.095 < np.abs(offset).max() <= 0.1 + 1e-6
    assert offset.mean() == pytest.approx(0, abs=0.005)
    assert offset.std() == pytest.approx(0.05 * CUT, rel=0.05)


def test_contrast_is_never_inverted():
    gain, _ = shading(1.0)
    assert gain.min() > 0.8


@pytest.mark.parametrize("p", [0.0, 0.2, 0.8])
def test_gain_and_offset_have_chances_of_their_own(p):
    gain, offset = shading(p)
    gained, shifted = np.abs(gain - 1) > 1e-6, np.abs(offset) > 1e-6
    for drawn, expected in ((gained, p), (shifted, p), (gained & shifted, p * p)):
        assert drawn.mean() == pytest.approx(expected, abs=0.03)


def test_noise_is_white_with_a_half_normal_deviation():
    noise = intensity.add_noise(tf.zeros((1000, 16, 16, 1)), 1.0, SEED).numpy()
    deviation = noise.std(axis=(1, 2, 3))
    half = truncnorm(0, 2, scale=0.05)
    assert deviation.mean() == pytest.approx(half.mean(), rel=0.06)
    assert deviation.std() == pytest.approx(half.std(), rel=0.08)
    assert deviation.max() < 0.1 * 1.15
    white = noise / deviation[:, None, None, None]
    assert np.abs(white.mean(axis=0)).max() < 0.2 and np.abs(white.mean()) < 0.01
    assert np.mean(white[:, 1:] * white[:, :-1]) == pytest.approx(0, abs=0.01)
    assert np.mean(white[1:] * white[:-1]) == pytest.approx(0, abs=0.01)
    assert np.mean(white**4) == pytest.approx(3, rel=0.05)  # normal


def test_noise_comes_with_probability_p():
    noise = intensity.add_noise(tf.zeros((COUNT, 2, 2, 1)), 0.3, SEED).numpy()
    assert (noise != 0).any(axis=(1, 2, 3)).mean() == pytest.approx(0.3, abs=0.03)


def test_a_rectangle_of_a_quarter_side_is_cut_out():
    images = np.ones((COUNT, 16, 24, 2), np.float32)
    seen = intensity.cut_out(tf.constant(images), 1.0, SEED).numpy()
    assert set(np.unique(seen)) == {-1.0, 1.0}
    np.testing.assert_array_equal(seen[..., 0], seen[..., 1])
    black = seen[..., 0] == -1
    rows, columns = black.any(axis=2), black.any(axis=1)
    np.testing.assert_array_equal(black, rows[:, :, None] & columns[:, None, :])
    assert (rows.sum(axis=1).max(), columns.sum(axis=1).max()) == (4, 6)
    assert black.any(axis=(1, 2)).all()
    centre = black[:, 4:-4, 6:-6].mean()
    assert centre == pytest.approx(1 / 16, rel=0.1)  # everywhere alike
    assert black[:, 0, 0].mean() == pytest.approx(1 / 48, rel=0.4)  # fewer at the corners


def test_nothing_else_is_cut():
    images = np.random.default_rng(0).normal(size=(200, 8, 8, 1)).astype(np.float32)
    seen = intensity.cut_out(tf.constant(images), 0.5, SEED).numpy()
    touched = (seen != images).any(axis=(1, 2, 3))
    assert touched.mean() == pytest.approx(0.5, abs=0.12)
    assert (seen[seen != images] == -1).all()


def test_tint_against_rotations_about_grey():
    """Luma, hue and saturation as one matrix an image, taken apart again."""
    basis = np.tile(np.eye(3, dtype=np.float32), (500, 1, 1)).reshape(500, 1, 3, 3)
    seen = intensity.tint(tf.constant(basis), 1.0, SEED).numpy().astype(np.float64)
    matrix = seen.reshape(500, 3, 3).transpose(0, 2, 1)  # columns: where the basis went
    grey = np.full(3, 1 / math.sqrt(3))
    flip = matrix @ grey @ grey
    np.testing.assert_allclose(matrix @ grey, flip[:, None] * grey, atol=1e-6)
    np.testing.assert_allclose(np.abs(flip), 1, atol=1e-6)
    assert (flip < 0).mean() == pytest.approx(0.5, abs=0.08)
    saturation = np.sqrt(np.linalg.det(matrix) * flip)
    assert 3 < saturation.max() <= 4 + 1e-4 and 0.25 - 1e-4 <= saturation.min() < 0.33
    assert np.log2(saturation).std() == pytest.approx(CUT, rel=0.1)
    across = np.array([1, -1, 0]) / math.sqrt(2)
    turned = (matrix @ across) / saturation[:, None]
    angle = np.arctan2(turned @ np.cross(grey, across), turned @ across)
    assert np.histogram(angle, 8, (-math.pi, math.pi))[0].min() > 30  # all around
    rest = np.eye(3) - np.outer(grey, grey)
    for index in range(500):
        turn = Rotation.from_rotvec(angle[index] * grey).as_matrix()
        expected = (flip[index] * np.outer(grey, grey) + saturation[index] * turn @ rest)
        np.testing.assert_allclose(matrix[index], expected, atol=1e-5)
