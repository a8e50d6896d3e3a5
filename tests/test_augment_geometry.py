import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from stylegan2_tf.augment import geometry

SEED = (5, 64)
MANY = (4000, 120, 160, 1)


def random_images(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def some_maps(count, sides, seed=1):
    """Matrices and shifts larger than those of training, the first one the identity."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(2) + rng.uniform(-0.3, 0.3, (count, 2, 2))
    shift = rng.uniform(-0.3, 0.3, (count, 2)) * sides
    matrix[0], shift[0] = np.eye(2), 0
    return matrix.astype(np.float32), shift.astype(np.float32)


def warp_oracle(images, matrix, shift):
    count, height, width, channels = images.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
    grid = np.mgrid[:height, :width] - centre
    out = np.empty(images.shape)
    for n in range(count):
        moved = grid - shift[n][:, None, None]
        places = np.einsum("ab,bij->aij", matrix[n].astype(np.float64), moved) + centre
        for c in range(channels):
            out[n, ..., c] = map_coordinates(images[n, ..., c].astype(np.float64), places,
                                             order=1, mode="nearest")
    return out


@pytest.mark.parametrize("shape", [(5, 24, 32, 1), (5, 9, 7, 3), (3, 2, 2, 4), (2, 1, 5, 1)])
def test_warp_against_scipy(shape):
    images = random_images(shape)
    matrix, shift = some_maps(shape[0], shape[1:3])
    found = geometry.warp(tf.constant(images), tf.constant(matrix), tf.constant(shift))
    np.testing.assert_allclose(found, warp_oracle(images, matrix, shift), atol=2e-5)


def test_identity_and_whole_shifts_copy_pixels():
    images = random_images((3, 24, 32, 2))
    shift = np.array([[0, 0], [3, -2], [-24, 5]], np.float32)
    found = geometry.warp(tf.constant(images), tf.eye(2, batch_shape=[3]), tf.constant(shift))
    np.testing.assert_array_equal(found[0], images[0])
    expected = np.pad(images[1], ((3, 0), (0, 2), (0, 0)), mode="edge")[:24, 2:]
    np.testing.assert_array_equal(found[1], expected)
    lowest = np.pad(images[2][-1:], ((0, 23), (5, 0), (0, 0)), mode="edge")[:, :32]
    np.testing.assert_array_equal(found[2], lowest)  # all that is above repeats the last row


def test_the_gradient_of_warp_is_its_transpose():
    """`<warp(x), y> = <x, transpose(y)>`, and the derivative of the transpose is warp again."""
    shape = (4, 10, 13, 2)
    x, y = tf.constant(random_images(shape)), tf.constant(random_images(shape, seed=1))
    maps = [tf.constant(values) for values in some_maps(4, shape[1:3])]
    with tf.GradientTape() as outer:
        outer.watch(y)
        with tf.GradientTape() as inner:
            inner.watch(x)
            product = tf.reduce_sum(geometry.warp(x, *maps) * y)
        transposed = inner.gradient(product, x)
        again = tf.reduce_sum(transposed * x)
    assert float(again) == pytest.approx(float(product), rel=1e-4)
    np.testing.assert_allclose(outer.gradient(again, y), geometry.warp(x, *maps), atol=1e-5)


def test_a_constant_stays_exactly_constant():
    images = tf.fill((8, 16, 16, 1), -0.7)
    np.testing.assert_array_equal(geometry.move(images, 1.0, SEED, mirror=True), images)


def parts(p, mirror=False):
    """Angle in degrees, scale, whether mirrored, shift: read off the drawn matrices."""
    matrix, shift = (values.numpy().astype(np.float64)
                     for values in geometry.movement(tf.TensorShape(MANY), p, SEED, mirror))
    det = np.linalg.det(matrix)
    np.testing.assert_allclose(  # rows orthogonal and of equal length: nothing else is in it
        matrix @ matrix.transpose(0, 2, 1), np.abs(det)[:, None, None] * np.eye(2), atol=1e-6)
    angle = np.degrees(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0]))
    return angle, np.abs(det) ** -0.5, det < 0, shift


def test_rotation_is_uniform_within_ten_degrees():
    angle, *_ = parts(1.0)
    assert np.abs(angle).max() <= 10 + 1e-4
    assert np.abs(angle).max() > 9.9
    assert angle.mean() == pytest.approx(0, abs=0.4)
    assert angle.std() == pytest.approx(10 / math.sqrt(3), rel=0.03)


def test_scale_is_log_normal_and_bounded():
    _, scale, *_ = parts(1.0)
    octaves = np.log2(scale)
    assert 0.19 < np.abs(octaves).max() <= 0.2 + 1e-6
    assert octaves.mean() == pytest.approx(0, abs=0.01)
    assert octaves.std() == pytest.approx(0.1 * 0.8796, rel=0.05)  # a normal cut at two sigmas


def test_shift_is_at_most_an_eighth_of_each_side():
    *_, shift = parts(1.0)
    shares = np.abs(shift) / MANY[1:3]
    assert (shares.max(axis=0) <= 0.125).all() and (shares.max(axis=0) > 0.115).all()
    assert shares.mean(axis=0) == pytest.approx(0.05, rel=0.1)
    assert shift.mean(axis=0) / MANY[1:3] == pytest.approx(0, abs=0.004)
    assert np.abs(shift - np.round(shift)).max() > 0.4  # fractions too


def test_whole_shifts_are_equally_likely_on_both_sides():
    draw = geometry._whole_pixels((7000, 2), [3, 1])((0, 1)).numpy()
    for axis, bound in ((0, 3), (1, 1)):
        values, counts = np.unique(draw[:, axis], return_counts=True)
        np.testing.assert_array_equal(values, np.arange(-bound, bound + 1))
        np.testing.assert_allclose(counts, 7000 / len(values), rtol=0.1)


def test_never_mirrored_unless_asked():
    assert not parts(1.0)[2].any()
    assert not parts(0.5)[2].any()
    for p in (0.5, 1.0):
        assert parts(p, mirror=True)[2].mean() == pytest.approx(p / 2, abs=0.03)


def test_each_movement_is_drawn_with_its_own_chance():
    p = 0.3
    angle, scale, _, shift = parts(p)
    turned, scaled = np.abs(angle) > 1e-5, np.abs(scale - 1) > 1e-6
    shifted = (shift != 0).any(axis=1)
    for drawn in (turned, scaled):
        assert drawn.mean() == pytest.approx(p, abs=0.03)
    assert (turned & scaled).mean() == pytest.approx(p * p, abs=0.03)
    assert shifted.mean() == pytest.approx(1 - (1 - p) ** 2, abs=0.04)
    assert (shift == np.round(shift))[shifted].all(axis=1).mean() > 0.2  # whole shifts alone
