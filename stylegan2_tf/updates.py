"""How one network is moved: Adam, corrected for lazy penalties, never by what is not finite.

And how the averaged generator follows.
"""

import contextlib
import math

import keras
import tensorflow as tf

from stylegan2_tf import replicas

FIRST_SCALE = 2.0**15  # of a loss in float16 (Micikevicius et al. 2018, section 3.2)
PATIENCE = 2000  # finite updates after which the scale doubles
W_AVG_DECAY = 0.995  # SG1: per step
EMA_RAMPUP = 0.05  # ADA: the half-life is at most this share of the images seen


def lazy_ratio(interval):
    """`k / (k + 1)`: Adam's correction for one more update in every `k` steps (SG2 appendix B).

    1 where `interval` is None: no further updates.
    """
    return interval / (interval + 1) if interval else 1.0


class Scale:
    """The factor on a loss whose gradients pass through float16, where small ones become zero.

    It halves after an update that was not finite, and doubles after 2,000 that were
    (Micikevicius et al. 2018, section 3.2). Without float16 it is 1 and stays.

    Args:
        wanted: Whether gradients pass through float16.
    """

    def __init__(self, wanted):
        self._value = tf.Variable(FIRST_SCALE, trainable=False, name="scale") if wanted else None
        self._good = tf.Variable(0, trainable=False, name="good_updates") if wanted else None

    @property
    def state(self):
        return [] if self._value is None else [self._value, self._good]

    def gradient(self, tape, target, sources, **options):
        """`tape.gradient(target, sources)` of a scalar, free of underflow."""
        if self._value is None:
            return tape.gradient(target, sources, **options)
        found = tape.gradient(target, sources, output_gradients=self._value.value(), **options)
        return tf.nest.map_structure(lambda gradient: gradient / self._value, found)

    def update(self, finite):
        """Move on after an update that was finite or not."""
        if self._value is None:
            return
        good = tf.where(finite, self._good + 1, 0)
        grown = tf.where(good >= PATIENCE, 2.0 * self._value, self._value)
        self._value.assign(tf.where(finite, grown, tf.maximum(0.5 * self._value, 1.0)))
        self._good.assign(tf.where(good >= PATIENCE, 0, good))


class Updates:
    """Adam for one network.

    Args:
        network: A built Keras model.
        config: A `TrainConfig`.
        rate: The learning rate, before the correction.
        interval: Steps from one lazy penalty of this network to the next; None for none.
        float16: Whether gradients pass through such numbers.

    Attributes:
        optimizer: The Keras optimizer.
        scale: The `Scale` of losses.
    """

    def __init__(self, network, config, rate, interval, float16=False):
        ratio = lazy_ratio(interval)
        self._network, self._rate = network, rate * ratio
        self.optimizer = keras.optimizers.Adam(
            self._rate, beta_1=config.beta**ratio, beta_2=config.beta2**ratio, epsilon=1e-8)
        self.optimizer.build(network.trainable_variables)
        self.scale = Scale(wanted=float16)

    def set_rate(self, factor):
        """Set the learning rate anew: a checkpoint brings its own along."""
        self.optimizer.learning_rate.assign(factor * self._rate)

    def forget(self):
        """Set moments and counter to zero."""
        for variable in self.optimizer.variables:
            if variable is not self.optimizer.learning_rate:
                variable.assign(keras.ops.zeros_like(variable))

    @contextlib.contextmanager
    def tape(self):
        """A `tf.GradientTape` that watches the network's trainable weights, and nothing else."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in self._network.trainable_variables:
                tape.watch(variable.value)
            yield tape

    def apply(self, tape, loss):
        """Apply the gradients of `loss`, unless any is not finite. Returns (norm, finite).

        All replicas apply the mean of their gradients.
        """
        variables = self._network.trainable_variables
        gradients = self.scale.gradient(
            tape, loss, [variable.value for variable in variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO)
        loss, gradients = replicas.mean((loss, gradients))
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        tf.cond(finite, lambda: self._update(gradients, variables), lambda: None)
        self.scale.update(finite)
        return norm, finite

    def _update(self, gradients, variables):
        """Adam's update of this replica's own weights, one pass over each.

        Not by `optimizer.apply`: it wants all replicas to meet, which they can't within `tf.cond`,
        and it passes over weights and moments a dozen times.
        """
        adam = self.optimizer
        step = tf.cast(adam.iterations.value, tf.float32) + 1.0
        moments = zip(adam._momentums, adam._velocities, strict=True)
        for gradient, variable, (mean, power) in zip(gradients, variables, moments, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle, m=mean.value.handle, v=power.value.handle,
                beta1_power=tf.pow(adam.beta_1, step), beta2_power=tf.pow(adam.beta_2, step),
                lr=tf.convert_to_tensor(adam.learning_rate), beta1=adam.beta_1, beta2=adam.beta_2,
                epsilon=adam.epsilon, grad=gradient)
        adam.iterations.assign_add(1)


def after(metrics):
    """Inside, all waits for the updates that `metrics` tells of: memory is for one at a time.

    Args:
        metrics: Tensors by name; those called "..._finite" come from `Updates.apply`.
    """
    return tf.control_dependencies([one for name, one in metrics.items() if "finite" in name])


def average_decay(half_life, nimg, batch):
    """What the averaged generator keeps in a step of `batch` images; less at the start of a run.

    Args:
        half_life: In images.
        nimg: Images seen before, a scalar tensor (ADA appendix C: the ramp-up).
        batch: Images in the step.
    """
    half_life = tf.minimum(half_life, EMA_RAMPUP * tf.cast(nimg, tf.float32))
    return tf.exp(-math.log(2.0) * batch / tf.maximum(half_life, 1e-8))


def move_average(average, generator, mean_w, decay):
    """Move `w_avg` and the averaged generator (SG1 appendix B, ADA appendix C).

    Args:
        average, generator: Two `Generator`s of one architecture.
        mean_w: Mean w of the batch, `[D]`.
        decay: What the average keeps of itself.
    """
    generator.w_avg.assign(mean_w + W_AVG_DECAY * (generator.w_avg - mean_w))
    for kept, current in zip(average.variables, generator.variables, strict=True):
        kept.assign(current + decay * (kept - current))
