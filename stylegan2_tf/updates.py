"""How one network is moved: Adam, corrected for lazy penalties, never by what is not finite."""

import keras
import tensorflow as tf


def lazy_ratio(interval):
    """`k / (k + 1)`: Adam's correction for one more update in every `k` steps (SG2 appendix B).

    1 where `interval` is None: no further updates.
    """
    return interval / (interval + 1) if interval else 1.0


class Updates:
    """Adam for one network.

    Args:
        network: A built Keras model.
        config: A `TrainConfig`.
        rate: The learning rate, before the correction.
        interval: Steps from one lazy penalty of this network to the next; None for none.

    Attributes:
        optimizer: The Keras optimizer.
    """

    def __init__(self, network, config, rate, interval):
        ratio = lazy_ratio(interval)
        self._network, self._rate = network, rate * ratio
        self.optimizer = keras.optimizers.Adam(
            self._rate, beta_1=config.beta**ratio, beta_2=config.beta2**ratio, epsilon=1e-8)
        self.optimizer.build(network.trainable_variables)

    def set_rate(self, factor):
        """Set the learning rate anew: a checkpoint brings its own along."""
        self.optimizer.learning_rate.assign(factor * self._rate)

    def forget(self):
        """Set moments and counter to zero."""
        for variable in self.optimizer.variables:
            if variable is not self.optimizer.learning_rate:
                variable.assign(keras.ops.zeros_like(variable))

    def apply(self, tape, loss):
        """Apply the gradients of `loss`, unless any is not finite. Returns (norm, finite)."""
        variables = self._network.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables],
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        tf.cond(finite, lambda: self.optimizer.apply(gradients, variables), lambda: None)
        return norm, finite
