import keras
import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf import losses

REAL = np.array([[2.0], [-1.0], [0.5]], np.float32)
FAKE = np.array([[-3.0], [0.0], [4.0]], np.float32)


def softplus(x):
    return np.log1p(np.exp(x))


def test_cross_entropy_by_hand_and_as_keras_says():
    d_loss = float(losses.cross_entropy_d(REAL, FAKE))
    assert d_loss == pytest.approx(softplus(FAKE).mean() + softplus(-REAL).mean(), rel=1e-6)
    keras_loss = keras.losses.BinaryCrossentropy(from_logits=True)
    both = float(keras_loss(np.ones((3, 1)), REAL)) + float(keras_loss(np.zeros((3, 1)), FAKE))
    assert d_loss == pytest.approx(both, rel=1e-6)
    assert float(losses.cross_entropy_g(FAKE)) == pytest.approx(
        float(keras_loss(np.ones((3, 1)), FAKE)), rel=1e-6)


def test_cross_entropy_stays_finite_for_huge_scores():
    huge = np.array([[1e4]], np.float32)
    assert float(losses.cross_entropy_d(-huge, huge)) == pytest.approx(2e4)


def test_wasserstein_by_hand():
    expected = (-3 + 0 + 4) / 3 - (2 - 1 + 0.5) / 3 + 0.001 * (4 + 1 + 0.25) / 3
    assert float(losses.wasserstein_d(REAL, FAKE, 0.001)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.wasserstein_g(FAKE)) == pytest.approx(-1 / 3, rel=1e-5)


def test_relativistic_pairs_each_real_with_one_fake():
    differences = np.array([5.0, -1.0, -3.5])  # real - fake, row by row
    assert float(losses.relativistic_d(REAL, FAKE)) == pytest.approx(
        softplus(-differences).mean(), rel=1e-6)
    assert float(losses.relativistic_g(REAL, FAKE)) == pytest.approx(
        softplus(differences).mean(), rel=1e-6)
    huge = np.array([[1e4]], np.float32)
    assert float(losses.relativistic_d(-huge, huge)) == pytest.approx(2e4)


def test_r1_by_hand():
    gradients = np.zeros((2, 2, 2, 1), np.float32)
    gradients[0, 0, 0, 0], gradients[0, 1, 1, 0], gradients[1, 0, 1, 0] = 3.0, 4.0, 1.0
    # squared norms 25 and 1, their mean 13, gamma / 2 = 0.5
    assert float(losses.r1_penalty(gradients, gamma=1.0)) == pytest.approx(6.5)


def test_gradient_penalty_by_hand():
    gradients = np.zeros((2, 2, 2, 1), np.float32)
    gradients[0, 0, 0, 0], gradients[0, 1, 1, 0] = 3.0, 4.0
    # norms 5 and 0 (1e-5 from the epsilon): (16 + 1) / 2, weight 10
    assert float(losses.gradient_penalty(gradients, 10.0)) == pytest.approx(85.0, rel=1e-4)


def test_path_lengths_by_hand():
    gradients = np.zeros((2, 2, 2), np.float32)  # two samples, two layers, w of length two
    gradients[0, 0], gradients[0, 1], gradients[1, 0] = (3.0, 4.0), (0.0, 1.0), (1.0, 1.0)
    # squared norms of the layers 25 and 1, mean 13; 2 and 0, mean 1
    np.testing.assert_allclose(losses.path_lengths(gradients), np.sqrt([13.0, 1.0]), rtol=1e-6)


def test_path_length_penalty_by_hand():
    lengths = np.array([1.0, 4.0], np.float32)
    assert float(losses.path_length_penalty(lengths, 2.0, weight=3.0)) == pytest.approx(7.5)


def test_path_lengths_of_zero_have_a_gradient():
    flat = tf.zeros((2, 4, 3))
    with tf.GradientTape() as tape:
        tape.watch(flat)
        penalty = losses.path_length_penalty(losses.path_lengths(flat), 1.0, 2.0)
    assert np.isfinite(tape.gradient(penalty, flat)).all()
