"""One compiled training step: discriminator, generator, their penalties, averaged generator.

The only `GradientTape` of the package. Every random number is a function of
(seed, image counter), so a step can be repeated exactly after a restart.
"""

import math

import keras
import tensorflow as tf

from stylegan2_tf import losses
from stylegan2_tf.augment import Controller, augment
from stylegan2_tf.data.stream import to_float

W_AVG_DECAY = 0.995  # SG1: per step
EMA_RAMPUP = 0.05  # ADA: the half-life is at most this share of the images seen
PL_DECAY = 0.01  # SG2 appendix B: how far the mean path length moves at each of its updates
# Streams of random numbers; within one, `seed + [0, index]` tells the draws apart.
(D_LATENT, G_LATENT, D_NOISE, G_NOISE, MIX, PL_LATENT, PL_NOISE, PL_DIRECTION, SEEN_REAL,
 SEEN_FAKE, SEEN_BY_G, SEEN_PAIR, SEEN_R1, SEEN_R2, SEEN_MIX) = range(15)


def lazy_ratio(interval):
    """`k / (k + 1)`: Adam's correction for one more update in every `k` steps (SG2 appendix B).

    1 where `interval` is None: no further updates.
    """
    return interval / (interval + 1) if interval else 1.0


class TrainStep:
    """The state of a training and the compiled function that moves it by one batch.

    It can be called from a user's own loop: `metrics = step(images, nimg, alpha)`.

    Args:
        generator, generator_ema, discriminator: Built networks; `generator_ema` has the
            same architecture as `generator` and is set to its weights.
        config: A `TrainConfig`.

    Attributes:
        controller: Steers the probability `p` of the augmentation.
        pl_mean: The moving mean of path lengths (SG2 section 3.2).
        skipped, skipped_in_a_row: How many steps left an update out because a loss or
            gradient was not finite.
        traces: How often the step was compiled: once for each `variant` that occurred, at
            most four times.
    """

    def __init__(self, generator, generator_ema, discriminator, config):
        self.generator, self.generator_ema = generator, generator_ema
        self.discriminator = discriminator
        self.config = config
        generator_ema.set_weights(generator.get_weights())
        self._ratios = {"g": lazy_ratio(config.g_interval), "d": lazy_ratio(config.d_interval)}
        self.g_optimizer = self._make_optimizer("g", generator)
        self.d_optimizer = self._make_optimizer("d", discriminator)
        self.controller = Controller(config.augment_kimg, config.augment_target)
        self.pl_mean = tf.Variable(0.0, trainable=False, name="pl_mean")
        self.skipped = tf.Variable(0, dtype=tf.int64, name="skipped")
        self.skipped_in_a_row = tf.Variable(0, dtype=tf.int64, name="skipped_in_a_row")
        self._compiled = tf.function(self._step, autograph=False)  # no Python branch on a tensor

    @property
    def state(self):
        """All that training changes, as a dict of lists of `tf.Variable`, for a checkpoint."""
        owners = ("generator", "generator_ema", "discriminator", "g_optimizer", "d_optimizer")
        return {**{owner: [variable.value for variable in getattr(self, owner).variables]
                   for owner in owners},
                "controller": self.controller.state, "pl_mean": [self.pl_mean],
                "skipped": [self.skipped, self.skipped_in_a_row]}

    def set_rates(self, factor=1.0):
        """Set the learning rates from the configuration: a checkpoint brings its own along."""
        rate = factor * self.config.adam_rate
        self.g_optimizer.learning_rate.assign(rate * self._ratios["g"])
        self.d_optimizer.learning_rate.assign(rate * self._ratios["d"])

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

    def variant(self, nimg):
        """Which lazy updates the step at `nimg` makes: (discriminator's, generator's)."""
        step = nimg // self.config.batch
        return tuple(interval is not None and step % interval == 0
                     for interval in (self.config.d_interval, self.config.g_interval))

    def __call__(self, images, nimg, alpha):
        """Train on one batch.

        Args:
            images: Real images `[N, H, W, C]`, uint8 or uint16.
            nimg: Images seen before this step; decides all random numbers.
            alpha: Weight of the skips in the discriminator, 0 to 0.5.

        Returns:
            A dict of scalar tensors: losses, scores, gradient norms, and the penalties
            that this step applied.
        """
        return self._compiled(tf.convert_to_tensor(images), tf.constant(nimg, tf.int64),
                              tf.constant(alpha, tf.float32), *self.variant(nimg))

    def _step(self, images, nimg, alpha, lazy_d, lazy_g):
        real = to_float(images)
        self.discriminator.alpha.assign(alpha)
        metrics, fake = self._train_discriminator(real, nimg)
        if lazy_d:
            metrics.update(self._regularize_discriminator(real, fake, nimg))
        of_generator, w = self._train_generator(real, nimg)
        metrics.update(of_generator)
        if lazy_g:
            metrics.update(self._regularize_generator(nimg, max(real.shape[0] // 2, 1)))
        tf.cond(metrics["g_finite"], lambda: self._average(nimg, real.shape[0], w), lambda: None)
        finite = tf.reduce_all([metrics.pop(name) for name in list(metrics)
                                if name.endswith("_finite")])
        self.skipped.assign_add(tf.cast(~finite, tf.int64))
        self.skipped_in_a_row.assign(
            tf.where(finite, tf.constant(0, tf.int64), self.skipped_in_a_row + 1))
        return metrics

    # -- discriminator -----------------------------------------------------------------

    def _train_discriminator(self, real, nimg):
        """Returns (metrics, the fakes that the discriminator saw)."""
        batch = real.shape[0]
        ws, _ = self._latents(nimg, batch, D_LATENT)
        fake = self.generator.synthesis(ws, noise=self._noise(nimg, batch, D_NOISE))
        penalties = {}
        with tf.GradientTape() as tape:
            real_scores = self._score(real, nimg, SEEN_REAL)
            fake_scores = self._score(fake, nimg, SEEN_FAKE)
            if self.config.loss == "wgan-gp":
                loss = losses.wasserstein_d(real_scores, fake_scores, self.config.drift_weight)
                penalties["gradient_penalty"] = self._gradient_penalty(real, fake, nimg)
            elif self.config.loss == "relativistic":
                loss = losses.relativistic_d(real_scores, fake_scores)
            else:
                loss = losses.cross_entropy_d(real_scores, fake_scores)
            total = loss + sum(penalties.values())
        norm, finite = self._update(tape, total, self.discriminator, self.d_optimizer)
        if self.config.augment != "none":
            # Only the scores of cross-entropy have a meaningful zero.
            logits = (real_scores if self.config.loss == "cross-entropy"
                      else real_scores - fake_scores)
            penalties.update(self.controller.update(logits))
        return {"d_loss": loss, "d_grad_norm": norm, "d_finite": finite,
                "score_real": tf.reduce_mean(real_scores),
                "score_fake": tf.reduce_mean(fake_scores), **penalties}, fake

    def _gradient_penalty(self, real, fake, nimg):
        mix = tf.random.stateless_uniform((real.shape[0], 1, 1, 1), self._seed(nimg, MIX))
        gradients = self._image_gradients(real + mix * (fake - real), nimg, SEEN_MIX)
        return losses.gradient_penalty(gradients, self.config.gradient_penalty_weight)

    def _regularize_discriminator(self, real, fake, nimg):
        """R1 and R2 in an update of their own, weighted by the steps in between (SG2 appendix B).

        R3 applies both at every step, which its proof of convergence needs: `--r1-interval 1`.
        """
        weighted = {"r1": (real, SEEN_R1, self.config.r1_weight),
                    "r2": (fake, SEEN_R2, self.config.r2_weight)}
        with tf.GradientTape() as tape:
            penalties = {
                name: losses.r1_penalty(self._image_gradients(images, nimg, stream), gamma)
                for name, (images, stream, gamma) in weighted.items() if gamma}
            total = self.config.d_interval * sum(penalties.values())
        _, finite = self._update(tape, total, self.discriminator, self.d_optimizer)
        return {**penalties, "lazy_d_finite": finite}

    def _image_gradients(self, images, nimg, stream):
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = tf.reduce_sum(self._score(images, nimg, stream))
        return tape.gradient(scores, images)

    def _score(self, images, nimg, stream):
        """The discriminator's scores `[N, 1]`: every image that it sees comes through here."""
        return self.discriminator(self._augment(images, nimg, stream))

    def _augment(self, images, nimg, stream):
        return augment(images, self.controller.p, self._seed(nimg, stream), self.config.augment,
                       self.config.mirror)

    def seen(self, images, nimg):
        """Raw real images as the discriminator sees them now, augmented: NumPy `[N, H, W, C]`."""
        images = to_float(tf.convert_to_tensor(images))
        return self._augment(images, tf.constant(nimg, tf.int64), SEEN_REAL).numpy()

    # -- generator ---------------------------------------------------------------------

    def _train_generator(self, real, nimg):
        """Returns (metrics, w `[N, D]`)."""
        batch = real.shape[0]
        with tf.GradientTape() as tape:
            ws, w = self._latents(nimg, batch, G_LATENT)
            fake = self.generator.synthesis(ws, noise=self._noise(nimg, batch, G_NOISE))
            scores = self._score(fake, nimg, SEEN_BY_G)
            if self.config.loss == "wgan-gp":
                loss = losses.wasserstein_g(scores)
            elif self.config.loss == "relativistic":
                loss = losses.relativistic_g(self._score(real, nimg, SEEN_PAIR), scores)
            else:
                loss = losses.cross_entropy_g(scores)
        norm, finite = self._update(tape, loss, self.generator, self.g_optimizer)
        return {"g_loss": loss, "g_grad_norm": norm, "g_finite": finite}, w

    def _regularize_generator(self, nimg, batch):
        """Path length in an update of its own, on a smaller batch (SG2 section 3.2, appendix B)."""
        with tf.GradientTape() as tape:
            ws, _ = self._latents(nimg, batch, PL_LATENT)
            lengths = self._path_lengths(ws, self._noise(nimg, batch, PL_NOISE),
                                         self._seed(nimg, PL_DIRECTION))
            length = tf.reduce_mean(lengths)
            mean = tf.stop_gradient(self.pl_mean + PL_DECAY * (length - self.pl_mean))
            penalty = losses.path_length_penalty(lengths, mean, self.config.pl_weight)
            total = self.config.g_interval * penalty
        _, finite = self._update(tape, total, self.generator, self.g_optimizer)
        self.pl_mean.assign(tf.where(finite, mean, self.pl_mean))
        return {"path_length": length, "pl_penalty": penalty, "lazy_g_finite": finite}

    def _path_lengths(self, ws, noise, seed):
        """How far the images move along random directions `y` when ws move, `[N]`."""
        with tf.GradientTape() as tape:
            tape.watch(ws)
            images = self.generator.synthesis(ws, noise=noise)
            pixels = images.shape[1] * images.shape[2]
            y = tf.random.stateless_normal(images.shape, seed) / math.sqrt(pixels)
            along = tf.reduce_sum(images * y)
        return losses.path_lengths(tape.gradient(along, ws))

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
        """Returns (ws `[N, num_ws, D]`, mixed or not, and the w `[N, D]` of the first layers)."""
        seed = self._seed(nimg, stream)
        w = self._draw_w(batch, seed)
        ws = self.generator.broadcast(w)
        return (self._mix_styles(ws, seed) if self.config.style_mixing else ws), w

    def _mix_styles(self, ws, seed):
        """With some probability, from a random layer on, the w of another z (SG1 section 3.1)."""
        others = self._draw_w(ws.shape[0], seed + [0, 1])[:, None]
        cut = tf.random.stateless_uniform((), seed + [0, 2], 1, ws.shape[1], tf.int32)
        mixed = tf.random.stateless_uniform((), seed + [0, 3]) < self.config.style_mixing
        replaced = mixed & (tf.range(ws.shape[1]) >= cut)
        return tf.where(replaced[None, :, None], others, ws)

    def _draw_w(self, batch, seed):
        return self.generator.mapping(
            tf.random.stateless_normal((batch, self.config.latent), seed))

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
