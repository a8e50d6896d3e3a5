import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_layer
from oracle import convolve, leaky_relu, relative_error

from stylegan2_tf.layers import EqualizedConv2D, EqualizedDense
from stylegan2_tf.layers.activation import get_activation
from stylegan2_tf.layers.spectral import SpectralNormalization


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def dense():
    return EqualizedDense(5, activation="leaky_relu", lr_multiplier=0.5, bias_init=0.3)


def conv(resample=None):
    return EqualizedConv2D(5, activation="leaky_relu", resample=resample)


def built(layer, *shape):
    """The wrapped layer with reproducible weights and a bias that is not zero."""
    keras.utils.set_random_seed(1)
    layer = SpectralNormalization(layer)
    layer.build(shape)
    layer.layer.bias.assign(numbers(5, seed=7))
    return layer


def iterate(layer, times=100):
    for _ in range(times):
        layer.u.assign(layer.next_u())
    return layer


def matrix(layer):
    kernel = np.asarray(layer.layer.runtime_kernel, np.float64)
    return kernel.reshape(-1, kernel.shape[-1])


# -- the spectral norm


def test_dense_kernel_has_spectral_norm_one_after_iterating():
    layer = iterate(built(dense(), None, 8))
    layer.layer._activate, layer.layer._gain = get_activation(None)
    used = np.asarray(layer(np.eye(8, dtype=np.float32))) - np.asarray(layer(np.zeros((1, 8))))
    assert np.linalg.svd(used)[1][0] == pytest.approx(1.0, abs=1e-5)


def test_convolution_kernel_has_spectral_norm_one_after_iterating():
    layer = SpectralNormalization(EqualizedConv2D(6))
    impulses = np.zeros((4, 3, 3, 4), np.float32)
    impulses[range(4), 1, 1, range(4)] = 1  # the answer to each is the kernel of one channel
    layer(impulses)
    iterate(layer)
    used = np.asarray(layer(impulses)).reshape(-1, 6)
    assert np.linalg.svd(used)[1][0] == pytest.approx(1.0, abs=1e-4)
    left, _, right = np.linalg.svd(matrix(layer))
    assert abs(right[0] @ np.asarray(layer.u)) == pytest.approx(1.0, abs=1e-4)


def test_one_iteration_is_that_of_the_paper():
    layer = built(conv(), None, 4, 4, 3)
    weights, u = matrix(layer), np.asarray(layer.u, np.float64)
    assert np.linalg.norm(u) == pytest.approx(1.0, abs=1e-6)
    v = weights @ u / np.linalg.norm(weights @ u)
    expected = weights.T @ v / np.linalg.norm(weights.T @ v)
    np.testing.assert_allclose(layer.next_u(), expected, atol=1e-6)


def test_u_starts_at_random_and_calls_never_change_it():
    keras.utils.set_random_seed(1)
    first, second = (SpectralNormalization(dense()) for _ in range(2))
    first(numbers(2, 8)), second(numbers(2, 8))
    assert np.abs(np.asarray(first.u) - np.asarray(second.u)).max() > 0.1
    before = first.get_weights()
    first(numbers(2, 8), training=True)
    tf.function(first)(numbers(2, 8))
    first.next_u()
    for old, new in zip(before, first.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert [weight.name for weight in first.non_trainable_variables] == ["u"]
    assert len(first.trainable_variables) == 2


# -- values


def test_dense_divides_the_kernel_but_not_the_bias(tmp_path):
    x = numbers(4, 8)
    layer = iterate(built(dense(), None, 8), 3)
    found = check_layer(layer, x, tmp_path=tmp_path)
    sigma = np.linalg.norm(matrix(layer) @ np.asarray(layer.u, np.float64))
    expected = leaky_relu(x @ matrix(layer) / sigma + 0.5 * numbers(5, seed=7))
    assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("resample", [None, "down", "up"])
def test_convolution_is_that_of_a_divided_kernel(tmp_path, resample):
    x = numbers(2, 6, 4, 3)
    layer = built(conv(resample), *x.shape)
    found = check_layer(layer, x, tmp_path=tmp_path)
    assert layer.compute_output_shape((None, 6, 4, 3))[1:] == found.shape[1:]
    sigma = np.linalg.norm(matrix(layer) @ np.asarray(layer.u, np.float64))
    plain = conv(resample)
    plain.build(x.shape)
    plain.set_weights([layer.layer.kernel / sigma, layer.layer.bias])
    assert relative_error(found, plain(x)) < 1e-5
    if resample is None:
        kernel = np.asarray(layer.layer.runtime_kernel, np.float64) / sigma
        expected = leaky_relu(convolve(x, kernel, padding=1) + numbers(5, seed=7))
        assert relative_error(found, expected) < 1e-5


def test_a_kernel_of_zeros_gives_the_bias():
    layer = built(dense(), None, 8)
    layer.layer.kernel.assign(np.zeros((8, 5)))
    expected = leaky_relu(0.5 * numbers(5, seed=7))
    np.testing.assert_allclose(layer(numbers(1, 8))[0], expected, rtol=1e-5)
    assert np.isfinite(layer.next_u()).all()


# -- gradients, against differences of an independent float64 version


def penalty(x, kernel, bias, u, weights):
    """The sum of outputs times `weights`, and the squared gradient of that with respect to `x`."""
    divided = kernel / np.linalg.norm(kernel @ u)
    y = x @ divided + bias
    gradient = (weights * np.where(y > 0, 1.0, 0.2) * np.sqrt(2.0)) @ divided.T
    return (leaky_relu(y) * weights).sum(), (gradient**2).sum()


@pytest.mark.parametrize("which", [0, 1], ids=["output", "R1 penalty"])
def test_gradient_matches_differences(which):
    x, weights = numbers(4, 8), numbers(4, 5, seed=3)
    layer = built(EqualizedDense(5, activation="leaky_relu"), None, 8)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(inputs := tf.constant(x))
            output = tf.reduce_sum(layer(inputs) * weights)
        values = output, tf.reduce_sum(tf.square(inner.gradient(output, inputs)))
    found = outer.gradient(values[which], layer.layer.kernel.value).numpy()

    u, bias = np.asarray(layer.u, np.float64), np.asarray(layer.layer.bias, np.float64)
    kernel, expected = matrix(layer), np.zeros((8, 5))
    for index in np.ndindex(8, 5):
        step = np.zeros((8, 5))
        step[index] = 1e-6
        after, before = (penalty(x, kernel + change, bias, u, weights)[which]
                         for change in (step, -step))
        expected[index] = (after - before) / 2e-6 / np.sqrt(8)  # stored kernel, not as used
    assert relative_error(found, expected) < 1e-4


# -- configuration, files, precision


def test_wrapping_a_built_layer_keeps_its_weights(tmp_path):
    x, inner = numbers(2, 8), dense()
    inner(x)
    kernel = np.asarray(inner.kernel)
    layer = SpectralNormalization(inner)
    check_layer(layer, x, tmp_path=tmp_path)
    np.testing.assert_array_equal(layer.layer.kernel, kernel)


def test_configuration_holds_the_layer():
    config = SpectralNormalization(conv("down"), name="sn").get_config()
    copy = SpectralNormalization.from_config(config)
    assert isinstance(copy.layer, EqualizedConv2D) and not copy.layer.built
    assert copy.layer.get_config() == conv("down").get_config() | {"name": copy.layer.name}


def test_u_is_saved_with_the_model(tmp_path):
    inputs = keras.Input((8,))
    layer = SpectralNormalization(dense(), name="sn")
    model = keras.Model(inputs, layer(inputs))
    iterate(layer, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.get_layer("sn").u, layer.u)


def test_precision_is_that_of_the_layer_but_u_stays_float32():
    layer = SpectralNormalization(EqualizedDense(5, dtype="bfloat16"))
    assert layer.compute_dtype == layer(numbers(3, 8)).dtype == "bfloat16"
    assert layer.u.dtype == layer.next_u().dtype == "float32"
    iterate(layer)
    used = np.asarray(layer(np.eye(8, dtype=np.float32)), np.float32)
    assert np.linalg.svd(used)[1][0] == pytest.approx(1.0, abs=1e-2)


def test_other_layers_are_refused():
    with pytest.raises(ValueError, match="Argument `layer` must be .* Received: layer=<Dense"):
        SpectralNormalization(keras.layers.Dense(3))
