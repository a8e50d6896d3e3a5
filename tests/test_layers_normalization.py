import keras
import numpy as np
import pytest
from layer_checks import check_layer
from oracle import relative_error

from stylegan2_tf.layers import MinibatchStddev, PixelNormalization
from stylegan2_tf.layers.normalization import largest_group


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_pixel_normalization_matches_oracle_and_works_on_the_last_axis(tmp_path):
    x = 3 * numbers(2, 4, 5, 6)
    found = check_layer(PixelNormalization(), x, tmp_path=tmp_path)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-8)
    assert relative_error(found, expected) < 1e-5
    np.testing.assert_allclose((found**2).mean(-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("batch, group", [(8, 4), (6, 3), (4, 4), (5, 1)])
def test_minibatch_stddev_matches_oracle(tmp_path, batch, group):
    x = numbers(batch, 4, 3, 5)
    found = check_layer(MinibatchStddev(4), x, tmp_path=tmp_path)
    assert found.shape == (batch, 4, 3, 6)
    np.testing.assert_array_equal(found[..., :5], x)
    members = [[index for index in range(batch) if index % (batch // group) == which]
               for which in range(batch // group)]
    for indices in members:
        deviation = np.sqrt(x[indices].astype(np.float64).var(axis=0) + 1e-8)
        np.testing.assert_allclose(found[indices, ..., 5], deviation.mean(), rtol=1e-4)


def test_equal_images_have_no_deviation():
    x = np.repeat(numbers(1, 4, 4, 3), 4, axis=0)
    np.testing.assert_allclose(MinibatchStddev(4)(x)[..., 3], 1e-4, rtol=1e-3)  # sqrt(1e-8)


def test_unknown_batch_size_gives_the_same():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, MinibatchStddev(4)(inputs))
    for batch in (4, 6, 7):
        x = numbers(batch, 4, 4, 3)
        np.testing.assert_allclose(model.predict(x, verbose=0, batch_size=batch),
                                   MinibatchStddev(4)(x), rtol=1e-5)


def test_largest_group():
    assert [largest_group(batch, 4) for batch in (4, 6, 7, 8, 1)] == [4, 3, 1, 4, 1]


def test_group_size_is_checked():
    with pytest.raises(ValueError, match="group_size=0"):
        MinibatchStddev(0)
