"""What every layer must hold: config round trip, shapes, save and load, precision, gradients."""

import keras
import numpy as np
import tensorflow as tf


def check_layer(layer, *inputs, tmp_path, second_order=True):
    """Run all checks of `layer` on float32 NumPy `inputs`."""
    eager = layer(*inputs)
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    symbols = [keras.Input(batch_shape=(None, *value.shape[1:])) for value in inputs]
    symbolic = layer(*symbols)
    assert symbolic.shape[1:] == tuple(eager.shape[1:])
    model = keras.Model(symbols, symbolic)
    path = tmp_path / "layer.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded(list(inputs)), model(list(inputs)))
    _check_mixed_precision(layer, inputs, eager)
    if second_order:
        _check_second_order(layer, inputs)
    return np.asarray(eager)


def _check_mixed_precision(layer, inputs, eager):
    config = {**layer.get_config(), "dtype": "mixed_bfloat16"}
    half = type(layer).from_config(config)
    half(*inputs)
    half.set_weights(layer.get_weights())
    assert all(weight.dtype == "float32" for weight in half.weights)
    found, expected = np.asarray(half(*inputs), np.float32), np.asarray(eager)
    assert np.abs(found - expected).max() <= 0.05 * np.abs(expected).max() + 0.02


def _check_second_order(layer, inputs):
    x = tf.constant(inputs[0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(tf.square(layer(x, *inputs[1:])))
        gradient = inner.gradient(y, x)
        penalty = tf.reduce_sum(tf.square(gradient))
    sources = [x, *(weight.value for weight in layer.trainable_variables)]
    for value in outer.gradient(penalty, sources, unconnected_gradients="zero"):
        assert np.isfinite(value.numpy()).all()
