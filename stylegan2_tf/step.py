"""One compiled training step: discriminator, penalties, generator, averaged generator.

The only `GradientTape` of the package. Every random number is a function of
(seed, image counter), so a step can be repeated exactly after a restart.
"""

import math

import keras
import tensorflow as tf

from stylegan2_tf import losses
from stylegan2_tf.data.stream import to_float

W_AVG_DECAY = 0.995  # SG1: per step
EMA_RAMPUP = 0.05  # ADA: the half-life is at most this share of the images seen
D_LATENT, G_LATENT, D_NOISE, G_NOISE, MIX = range(5)  # streams of random numbers


def lazy_ratio(interval):
    """`k / (k + 1)`: Adam's correction for one more update in every `k` steps (SG2 appendix B)."""
    return interval / (interval + 1)


class TrainStep:
    """The state of a training and the compiled function that moves it by one batch.

    It can be called from a user's own loop: `metrics = step(images, nimg, alpha)`.

    Args:
        generator, generator_ema, discriminator: Built networks; `generator_ema` has the
            same architecture as `generator` and is set to its weights.
        config: A `TrainConfig`.

    Attributes:
        skipped, skipped_in_a_row: How many steps left an update out because a loss or
            gradient was not finite.
        traces: How often the step was compiled: once, or twice with a lazy penalty.
    """

    def __init__(self, generator, generator_ema, discriminator, config):
        self.generator, self.generator_ema = generator, generator_ema
        self.discriminator = discriminator
        self.config = config
        generator_ema.set_weights(generator.get_weights())
        self._ratios = {"g": 1.0, "d": lazy_ratio(config.r1_interval) if config.r1_weight else 1.0}
        self.g_optimizer = self._make_optimizer("g", generator)
        self.d_optimizer = self._make_optimizer("d", discriminator)
        self.skipped = tf.Variable(0, dtype=tf.int64, name="skipped")
        self.skipped_in_a_row = tf.Variable(0, dtype=tf.int64, name="skipped_in_a_row")
        self._compiled = tf.function(self._step, autograph=False)  # no Python branch on a tensor

    @property
    def state(self):
        """All that training changes, as a dict of lists of `tf.Variable`, for a checkpoint."""
        owners = ("generator", "generator_ema", "discriminator", "g_optimizer", "d_optimizer")
        return {**{owner: [variable.value for variable in getattr(self, owner).variables]
                   for owner in owners},
                "skipped": [self.skipped, self.skipped_in_a_row]}

    def set_rates(self):
        """Set the learning rates from the configuration: a checkpoint brings its own along."""
        self.g_optimizer.learning_rate.assign(self.config.adam_rate * self._ratios["g"])
        self.d_optimizer.learning_rate.assign(self.config.adam_rate * self._ratios["d"])

    def _make_optimizer(self, which, network):
        ratio = self._ratios[which]
        optimizer = keras.optimizers.Adam(
            self.config.adam_rate * ratio, beta_1=self.config.beta**ratio,
            beta_2=self.config.beta2**ratio, epsilon=1e-8)
        optimizer.build(network.trainable_variables)
        return optimizer

    @property
    def traces(self):
        return self._compiled.experimental_get_tracing_count()

    def __call__(self, images, nimg, alpha):
        """Train on one batch.

        Args:
            images: Real images `[N, H, W, C]`, uint8 or uint16.
            nimg: Images seen before this step; decides all random numbers.
            alpha: Weight of the skips in the discriminator, 0 to 0.5.

        Returns:
            A dict of scalar tensors: losses, scores, gradient norms.
        """
        step = nimg // self.config.batch
        with_r1 = bool(self.config.r1_weight) and step % self.config.r1_interval == 0
        return self._compiled(tf.convert_to_tensor(images), tf.constant(nimg, tf.int64),
                              tf.constant(alpha, tf.float32), with_r1)

    def _step(self, images, nimg, alpha, with_r1):
        real = to_float(images)
        self.discriminator.alpha.assign(alpha)
        metrics = self._train_discriminator(real, nimg)
        finite = metrics["d_finite"]
        if with_r1:
            metrics["r1"], r1_finite = self._apply_r1(real)
            finite = finite & r1_finite
        metrics.update(self._train_generator(nimg, real.shape[0]))
        finite = finite & metrics.pop("g_finite") & metrics.pop("d_finite")
        self.skipped.assign_add(tf.cast(~finite, tf.int64))
        self.skipped_in_a_row.assign(
            tf.where(finite, tf.constant(0, tf.int64), self.skipped_in_a_row + 1))
        return metrics

    # -- discriminator -----------------------------------------------------------------

    def _train_discriminator(self, real, nimg):
        batch = real.shape[0]
        ws, _ = self._latents(nimg, batch, D_LATENT)
        fake = self.generator.synthesis(ws, noise=self._noise(nimg, batch, D_NOISE))
        with tf.GradientTape() as tape:
            real_scores = self.discriminator(real)
            fake_scores = self.discriminator(fake)
            if self.config.loss == "wgan-gp":
                loss = losses.wasserstein_d(real_scores, fake_scores, self.config.drift_weight)
                penalty = self._gradient_penalty(real, fake, nimg)
            else:
                loss, penalty = losses.cross_entropy_d(real_scores, fake_scores), None
            total = loss if penalty is None else loss + penalty
        norm, finite = self._update(tape, total, self.discriminator, self.d_optimizer)
        metrics = {"d_loss": loss, "d_grad_norm": norm, "d_finite": finite,
                   "score_real": tf.reduce_mean(real_scores),
                   "score_fake": tf.reduce_mean(fake_scores)}
        return metrics if penalty is None else {**metrics, "gradient_penalty": penalty}

    def _gradient_penalty(self, real, fake, nimg):
        mix = tf.random.stateless_uniform((real.shape[0], 1, 1, 1), self._seed(nimg, MIX))
        gradients = self._image_gradients(real + mix * (fake - real))
        return losses.gradient_penalty(gradients, self.config.gradient_penalty_weight)

    def _apply_r1(self, real):
        """R1 in an update of its own, weighted by the steps in between (SG2 appendix B)."""
        with tf.GradientTape() as tape:
            penalty = losses.r1_penalty(self._image_gradients(real), self.config.r1_weight)
            total = penalty * self.config.r1_interval
        _, finite = self._update(tape, total, self.discriminator, self.d_optimizer)
        return penalty, finite

    def _image_gradients(self, images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = tf.reduce_sum(self.discriminator(images))
        return tape.gradient(scores, images)

    # -- generator ---------------------------------------------------------------------

    def _train_generator(self, nimg, batch):
        with tf.GradientTape() as tape:
            ws, w = self._latents(nimg, batch, G_LATENT)
            fake = self.generator.synthesis(ws, noise=self._noise(nimg, batch, G_NOISE))
            scores = self.discriminator(fake)
            generator_loss = (losses.wasserstein_g if self.config.loss == "wgan-gp"
                              else losses.cross_entropy_g)
            loss = generator_loss(scores)
        norm, finite = self._update(tape, loss, self.generator, self.g_optimizer)
        tf.cond(finite, lambda: self._average(nimg, batch, w), lambda: None)
        return {"g_loss": loss, "g_grad_norm": norm, "g_finite": finite}

    def _average(self, nimg, batch, w):
        """Move `w_avg` and the averaged generator (SG1 appendix B, ADA appendix C)."""
        mean_w = tf.reduce_mean(tf.cast(w, tf.float32), axis=0)
        w_avg = self.generator.w_avg
        w_avg.assign(mean_w + W_AVG_DECAY * (w_avg - mean_w))
        half_life = tf.minimum(self.config.ema_images, EMA_RAMPUP * tf.cast(nimg, tf.float32))
        decay = tf.exp(-math.log(2.0) * batch / tf.maximum(half_life, 1e-8))
        for average, current in zip(self.generator_ema.variables, self.generator.variables,
                                    strict=True):
            average.assign(current + decay * (average - current))

    # -- shared ------------------------------------------------------------------------

    def _latents(self, nimg, batch, stream):
        z = tf.random.stateless_normal((batch, self.config.latent), self._seed(nimg, stream))
        w = self.generator.mapping(z)
        return self.generator.broadcast(w), w

    def _noise(self, nimg, batch, stream):
        seed = self._seed(nimg, stream)
        shapes = self.generator.synthesis.noise_shapes(batch)
        return [tf.random.stateless_normal(shape, seed + [0, index])
                for index, shape in enumerate(shapes)]

    def _seed(self, nimg, stream):
        seed = tf.stack([tf.constant(self.config.seed, tf.int64), nimg])
        return tf.random.experimental.stateless_fold_in(seed, stream)

    def _update(self, tape, loss, network, optimizer):
        """Apply the gradients of `loss`, unless any is not finite. Returns (norm, finite)."""
        variables = network.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables],
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        tf.cond(finite, lambda: optimizer.apply(gradients, variables), lambda: None)
        return norm, finite
