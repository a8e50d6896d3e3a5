import numpy as np
from layer_checks import check_layer

from stylegan2_tf.layers import NoiseInjection


def test_starts_at_zero_and_scales_one_map_for_all_channels(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype(np.float32)
    layer = NoiseInjection(lr_multiplier=0.1)
    np.testing.assert_array_equal(layer(x), x)
    layer.strength.assign(5.0)
    found = check_layer(layer, x, tmp_path=tmp_path)
    constant = np.asarray(layer.constant)
    assert constant.shape == (1, 4, 5, 1) and constant.std() > 0.5
    np.testing.assert_allclose(found, x + 0.5 * constant, rtol=1e-5)


def test_given_and_no_noise():
    x = np.zeros((2, 4, 4, 3), np.float32)
    layer = NoiseInjection(lr_multiplier=0.1)
    layer.build(x.shape)
    layer.strength.assign(20.0)
    noise = np.random.default_rng(1).standard_normal((2, 4, 4, 1)).astype(np.float32)
    np.testing.assert_allclose(layer(x, noise=noise), np.repeat(2 * noise, 3, axis=-1), rtol=1e-6)
    np.testing.assert_array_equal(layer(x, noise=0.0), x)


def test_constant_map_is_not_trained():
    layer = NoiseInjection(lr_multiplier=0.1)
    layer.build((None, 4, 4, 3))
    assert [weight.name for weight in layer.trainable_variables] == ["strength"]
