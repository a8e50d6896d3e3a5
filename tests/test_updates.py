import keras
import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf.updates import Updates, lazy_ratio


class Network:
    """Two weights, of which a loss may use one only."""

    def __init__(self):
        self.used, self.idle = (keras.Variable(value, dtype="float32") for value in
                                ([1.0, -2.0], [5.0]))
        self.trainable_variables = [self.used, self.idle]

    def values(self):
        return [np.array(variable) for variable in self.trainable_variables]


def apply(updates, network, slope=1.0):
    """One update along the gradient `slope · used`. Returns (norm, finite)."""
    with tf.GradientTape() as tape:
        loss = slope * tf.reduce_sum(network.used**2) / 2
    norm, finite = updates.apply(tape, loss)
    return float(norm), bool(finite)


@pytest.fixture
def make(tiny_config):
    def make(interval=None, rate=0.1, **changes):
        network = Network()
        return network, Updates(network, tiny_config(**changes), rate, interval)

    return make


def test_lazy_ratio():
    assert lazy_ratio(None) == 1.0
    assert lazy_ratio(16) == pytest.approx(16 / 17)
    assert lazy_ratio(1) == 0.5


@pytest.mark.parametrize("interval, ratio", [(None, 1.0), (4, 0.8)])
def test_rate_and_decays_are_corrected(make, interval, ratio):
    _, updates = make(interval, beta=0.5, beta2=0.9)
    assert float(updates.optimizer.learning_rate) == pytest.approx(0.1 * ratio)
    assert updates.optimizer.beta_1 == pytest.approx(0.5**ratio)
    assert updates.optimizer.beta_2 == pytest.approx(0.9**ratio)
    updates.set_rate(0.5)
    assert float(updates.optimizer.learning_rate) == pytest.approx(0.05 * ratio)


def test_two_updates_are_those_of_adam(make):
    network, updates = make(beta=0.5, beta2=0.9)
    weight, idle = (value.astype(np.float64) for value in network.values())
    first, second = np.zeros(2), np.zeros(2)
    for step in (1, 2):
        gradient = 3 * weight
        norm, finite = apply(updates, network, slope=3)
        assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-5) and finite
        first = 0.5 * first + 0.5 * gradient
        second = 0.9 * second + 0.1 * gradient**2
        weight = weight - 0.1 * first / (1 - 0.5**step) / (
            np.sqrt(second / (1 - 0.9**step)) + 1e-8)
        np.testing.assert_allclose(network.values()[0], weight, rtol=1e-5)
    np.testing.assert_array_equal(network.values()[1], idle)  # no part of the loss


@pytest.mark.parametrize("slope", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_moves_nothing(make, slope):
    network, updates = make()
    apply(updates, network)
    before = network.values(), [np.array(value) for value in updates.optimizer.variables]
    assert apply(updates, network, slope)[1] is False
    after = network.values(), [np.array(value) for value in updates.optimizer.variables]
    for old, new in zip(before[0] + before[1], after[0] + after[1], strict=True):
        np.testing.assert_array_equal(old, new)
    assert apply(updates, network)[1] is True


def test_a_finite_loss_with_an_infinite_gradient_moves_nothing(make):
    network, updates = make()
    before = network.values()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sqrt(network.used - network.used))  # its slope at 0
    assert float(loss) == 0.0 and not updates.apply(tape, loss)[1]
    np.testing.assert_array_equal(network.values()[0], before[0])


def test_forgetting_is_a_new_optimizer_at_the_same_rate(make):
    network, updates = make()
    apply(updates, network)
    updates.set_rate(0.5)
    updates.forget()
    variables = updates.optimizer.variables
    assert all(not np.any(variable) for variable in variables
               if variable is not updates.optimizer.learning_rate)
    assert int(updates.optimizer.iterations) == 0 and len(variables) == 2 + 4
    assert float(updates.optimizer.learning_rate) == pytest.approx(0.05)
    fresh, other = make(rate=0.05)
    fresh.used.assign(network.used)
    apply(updates, network), apply(other, fresh)
    np.testing.assert_allclose(network.values()[0], fresh.values()[0], rtol=1e-6)


def test_the_fused_update_is_adam_of_keras(tiny_config):
    """One pass over weights and moments gives what Keras' own dozen passes give."""
    layers = [keras.layers.Dense(3, name="own"), keras.layers.Dense(3, name="keras")]
    for layer in layers:
        layer.build((None, 4))
    layers[1].set_weights(layers[0].get_weights())
    updates = Updates(layers[0], tiny_config(), rate=0.01, interval=16)
    adam = keras.optimizers.Adam(0.01 * 16 / 17, beta_1=updates.optimizer.beta_1,
                                 beta_2=updates.optimizer.beta_2, epsilon=1e-8)
    adam.build(layers[1].trainable_variables)
    rng = np.random.default_rng(0)
    for _ in range(5):
        gradients = [tf.constant(rng.normal(size=shape), tf.float32) for shape in ((4, 3), (3,))]
        updates._update(gradients, layers[0].trainable_variables)
        adam.apply(gradients, layers[1].trainable_variables)
    for one, other in zip(layers[0].get_weights(), layers[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    for one, other in zip(updates.optimizer.variables, adam.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
