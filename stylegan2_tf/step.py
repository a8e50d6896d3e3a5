"""One compiled training step: discriminator, generator, their penalties, averaged generator.

The only `GradientTape` of the package. Every random number is a function of
(seed, image counter), so a step can be repeated exactly after a restart.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from stylegan2_tf import losses, replicas
from stylegan2_tf.augment import Controller, augment
from stylegan2_tf.data.stream import to_float
from stylegan2_tf.layers import average_pixels, compiled_epilogues, repeat_pixels
from stylegan2_tf.precision import epilogue_compiler
from stylegan2_tf.randomness import Randomness, Stream
from stylegan2_tf.schedule import Schedule
from stylegan2_tf.updates import Updates, after, average_decay, move_average

PL_DECAY = 0.01  # SG2 appendix B: how far the mean path length moves at each of its updates


class TrainStep:
    """The state of a training and the compiled function that moves it by one batch.

    It can be called from a user's own loop: `metrics = step(images, nimg, alpha)`.

    Args:
        generator, generator_ema, discriminator: Built networks; `generator_ema` has the
            same architecture as `generator` and is set to its weights.
        config: A `TrainConfig`.

    Attributes:
        stage: The `Stage` that decides resolution and batch; changed by `enter`.
        controller: Steers the probability `p` of the augmentation.
        pl_mean: The moving mean of path lengths (SG2 section 3.2).
        skipped, skipped_in_a_row: How many steps left an update out because a loss or
            gradient was not finite.
        traces: How often the step was compiled: once for each `variant` that occurred.
    """

    def __init__(self, generator, generator_ema, discriminator, config):
        self._strategy = tf.distribute.get_strategy()
        self.generator, self.generator_ema = generator, generator_ema
        self.discriminator = discriminator
        self.config = config
        generator_ema.set_weights(generator.get_weights())
        self._growing = (generator.synthesis, generator_ema.synthesis, discriminator.trunk)
        self._compile = epilogue_compiler(generator.synthesis.compute_dtype)
        self.random = Randomness(config, generator, discriminator)
        half = generator.synthesis.compute_dtype == "float16"
        self._g = Updates(generator, config, config.adam_rate, config.g_interval, half)
        self._d = Updates(discriminator, config, config.d_adam_rate, config.d_interval, half)
        self.g_optimizer, self.d_optimizer = self._g.optimizer, self._d.optimizer
        self.controller = Controller(config.augment_kimg, config.augment_target)
        self.pl_mean = tf.Variable(0.0, trainable=False, name="pl_mean")
        self.skipped = tf.Variable(0, dtype=tf.int64, name="skipped")
        self.skipped_in_a_row = tf.Variable(0, dtype=tf.int64, name="skipped_in_a_row")
        last = Schedule(config, total=0).stages[-1]
        self.enter(dataclasses.replace(last, start=0, fading=0.0))

    def enter(self, stage, anew=False):
        """Train at the resolution and batch of `stage` from now on.

        Args:
            stage: A `Stage`.
            anew: Whether its resolution is new to the networks: Adam then forgets what it
                knows, or new layers would be moved by a history without them (PG appendix A).
        """
        self.stage = stage
        if stage.level is not None:
            for part in self._growing:
                part.level = stage.level
        if anew:
            self._g.forget()
            self._d.forget()
        self._gammas = tuple(weight(stage.sides, stage.batch) for weight in (
            self.config.r1_weight_at, self.config.r2_weight_at))
        self._compiled = tf.function(self._replicated, autograph=False)

    @property
    def state(self):
        """All that training changes, as a dict of lists of `tf.Variable`, for a checkpoint."""
        owners = ("generator", "generator_ema", "discriminator", "g_optimizer", "d_optimizer")
        owned = {name: [one.value for one in getattr(self, name).variables] for name in owners}
        return {**owned, "loss_scale": [*self._g.scale.state, *self._d.scale.state],
                "controller": self.controller.state, "pl_mean": [self.pl_mean],
                "skipped": [self.skipped, self.skipped_in_a_row]}

    def set_rates(self, factor=1.0):
        """Set the learning rates from the configuration: a checkpoint brings its own along."""
        self._g.set_rate(factor)
        self._d.set_rate(factor)

    @property
    def traces(self):
        return self._compiled.experimental_get_tracing_count()

    def variant(self, nimg):
        """Which lazy updates the step at `nimg` makes: (discriminator's, generator's)."""
        step = (nimg - self.stage.start) // self.stage.batch
        return tuple(interval is not None and step % interval == 0
                     for interval in (self.config.d_interval, self.config.g_interval))

    def __call__(self, images, nimg, alpha, labels=None):
        """Train on one batch.

        Args:
            images: Real images `[N, H, W, C]` at full resolution, uint8 or uint16; of several
                workers each gives the rows of its replicas.
            nimg: Images seen before this step; decides all random numbers.
            alpha: Weight of the skips in the discriminator, 0 to 0.5.
            labels: Their classes `[N]`, from 0; not read by networks without classes.

        Returns:
            Scalar tensors by name: losses, scores, gradient norms, and penalties if applied.
        """
        labels = np.zeros(len(images), np.int32) if labels is None else labels
        return self._compiled(
            replicas.shares(images, self._strategy),
            replicas.shares(np.asarray(labels, np.int32), self._strategy),
            tf.constant(nimg, tf.int64), tf.constant(alpha, tf.float32),
            tf.constant(self.stage.fade(nimg), tf.float32), *self.variant(nimg))

    def _replicated(self, *arguments):
        def step(*own):
            with compiled_epilogues(self._compile):
                return self._step(*own)

        metrics = self._strategy.run(step, arguments)
        return {name: self._strategy.experimental_local_results(value)[0]
                for name, value in metrics.items()}

    def _step(self, images, labels, nimg, alpha, fade, lazy_d, lazy_g):
        self._set_fade(alpha, fade)
        real, label = self._at_stage(to_float(images), fade), self.one_hot(labels)
        metrics, fake = self._train_discriminator(real, label, nimg)
        if lazy_d:
            with after(metrics):
                metrics.update(self._regularize_discriminator(real, fake, label, nimg))
        with after(metrics):
            of_generator, w = self._train_generator(real, label, nimg)
        metrics.update(of_generator)
        if lazy_g:
            with after(metrics):
                metrics.update(self._regularize_generator(label, nimg, max(real.shape[0] // 2, 1)))
        for layer in self.discriminator.spectral_layers():
            layer.u.assign(layer.next_u())
        mean_w = replicas.mean(tf.reduce_mean(tf.cast(w, tf.float32), axis=0))
        decay = average_decay(self.config.ema_images, nimg, real.shape[0] * replicas.count())
        tf.cond(metrics["g_finite"], lambda: move_average(
            self.generator_ema, self.generator, mean_w, decay), lambda: None)
        finite = tf.reduce_all([metrics.pop(name) for name in list(metrics) if "finite" in name])
        skipped = tf.cast(~finite, tf.int64)
        self.skipped.assign_add(skipped)
        self.skipped_in_a_row.assign(skipped * (self.skipped_in_a_row + 1))
        return replicas.mean(metrics)

    def _set_fade(self, alpha, fade):
        self.discriminator.trunk.alpha.assign(alpha)
        if self.stage.level is not None:
            for part in self._growing:
                part.fade.assign(fade)

    def one_hot(self, labels):
        """Classes `[N]` as `[N, L]`, or None for networks without classes."""
        depth = len(self.generator.classes)
        return tf.one_hot(labels, depth) if depth else None

    def _at_stage(self, real, fade):
        """Reals at the resolution of the stage, fading in like the generator's (PG section 3)."""
        while real.shape[1] > self.stage.sides[0]:
            real = average_pixels(real)
        if not self.stage.level:
            return real
        coarse = repeat_pixels(average_pixels(real))
        return coarse + fade * (real - coarse)

    # -- discriminator -----------------------------------------------------------------

    def _train_discriminator(self, real, label, nimg):
        """Returns (metrics, the fakes that the discriminator saw)."""
        batch = real.shape[0]
        ws, _ = self.random.latents(nimg, batch, Stream.D_LATENT, label)
        fake = self.generator.synthesis(ws, self.random.noise(nimg, batch, Stream.D_NOISE))
        penalties = {}
        with self._d.tape() as tape:
            real_scores = self._score(real, label, nimg, Stream.SEEN_REAL)
            fake_scores = self._score(fake, label, nimg, Stream.SEEN_FAKE)
            if self.config.loss == "wgan-gp":
                loss = losses.wasserstein_d(real_scores, fake_scores, self.config.drift_weight)
                penalties["gradient_penalty"] = self._gradient_penalty(real, fake, label, nimg)
            elif self.config.loss == "relativistic":
                loss = losses.relativistic_d(real_scores, fake_scores)
            else:
                loss = losses.cross_entropy_d(real_scores, fake_scores)
            total = loss + sum(penalties.values())
        norm, finite = self._d.apply(tape, total)
        if self.config.augment != "none":
            # Only the scores of cross-entropy have a meaningful zero.
            logits = (real_scores if self.config.loss == "cross-entropy"
                      else real_scores - fake_scores)
            penalties.update(self.controller.update(logits))
        return {"d_loss": loss, "d_grad_norm": norm, "d_finite": finite,
                "score_real": tf.reduce_mean(real_scores),
                "score_fake": tf.reduce_mean(fake_scores), **penalties}, fake

    def _gradient_penalty(self, real, fake, label, nimg):
        mix = replicas.uniform((real.shape[0], 1, 1, 1), self.random.seed(nimg, Stream.MIX))
        gradients = self._image_gradients(real + mix * (fake - real), label, nimg,
                                          Stream.SEEN_MIX)
        return losses.gradient_penalty(gradients, self.config.gradient_penalty_weight)

    def _regularize_discriminator(self, real, fake, label, nimg):
        """R1 and R2 in an update of their own, weighted by the steps in between (SG2 appendix B).

        R3 applies both at every step, which its proof of convergence needs: `--r1-interval 1`.
        """
        r1_gamma, r2_gamma = self._gammas
        weighted = {"r1": (real, Stream.SEEN_R1, r1_gamma), "r2": (fake, Stream.SEEN_R2, r2_gamma)}
        with self._d.tape() as tape:
            penalties = {
                name: losses.r1_penalty(self._image_gradients(images, label, nimg, stream), gamma)
                for name, (images, stream, gamma) in weighted.items() if gamma}
            total = self.config.d_interval * sum(penalties.values())
        return {**penalties, "lazy_d_finite": self._d.apply(tape, total)[1]}

    def _image_gradients(self, images, label, nimg, stream):
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = tf.reduce_sum(self._score(images, label, nimg, stream))
        return self._d.scale.gradient(tape, scores, images)

    def _score(self, images, label, nimg, stream):
        """The discriminator's scores `[N, 1]`: every image that it sees comes through here."""
        return self.discriminator(self._augment(images, nimg, stream), label,
                                  self.random.masks(nimg, images.shape[0], stream))

    def _augment(self, images, nimg, stream):
        return augment(images, self.controller.p, self.random.seed(nimg, stream),
                       self.config.augment, self.config.mirror)

    def at_stage(self, images, nimg=None):
        """Raw real images at the resolution of the stage, float32 `[N, H, W, C]`.

        At `nimg` they fade in as in training; without it they are as sharp as in its end.
        """
        fade = 1.0 if nimg is None else self.stage.fade(nimg)
        return self._at_stage(to_float(tf.convert_to_tensor(images)), fade)

    def seen(self, images, nimg):
        """Raw real images as the discriminator sees them now, augmented: NumPy `[N, H, W, C]`."""
        images = self.at_stage(images, nimg)
        return self._augment(images, tf.constant(nimg, tf.int64), Stream.SEEN_REAL).numpy()

    # -- generator ---------------------------------------------------------------------

    def _train_generator(self, real, label, nimg):
        """Returns (metrics, w `[N, D]`)."""
        batch = real.shape[0]
        with self._g.tape() as tape:
            ws, w = self.random.latents(nimg, batch, Stream.G_LATENT, label)
            fake = self.generator.synthesis(ws, self.random.noise(nimg, batch, Stream.G_NOISE))
            scores = self._score(fake, label, nimg, Stream.SEEN_BY_G)
            if self.config.loss == "wgan-gp":
                loss = losses.wasserstein_g(scores)
            elif self.config.loss == "relativistic":
                loss = losses.relativistic_g(
                    self._score(real, label, nimg, Stream.SEEN_PAIR), scores)
            else:
                loss = losses.cross_entropy_g(scores)
        norm, finite = self._g.apply(tape, loss)
        return {"g_loss": loss, "g_grad_norm": norm, "g_finite": finite}, w

    def _regularize_generator(self, label, nimg, batch):
        """Path length in an update of its own, on a smaller batch (SG2 section 3.2, appendix B)."""
        label = None if label is None else label[:batch]
        with self._g.tape() as tape:
            ws, _ = self.random.latents(nimg, batch, Stream.PL_LATENT, label)
            lengths = self._path_lengths(ws, self.random.noise(nimg, batch, Stream.PL_NOISE),
                                         self.random.seed(nimg, Stream.PL_DIRECTION))
            length = replicas.mean(tf.reduce_mean(lengths))
            mean = tf.stop_gradient(self.pl_mean + PL_DECAY * (length - self.pl_mean))
            penalty = losses.path_length_penalty(lengths, mean, self.config.pl_weight)
            total = self.config.g_interval * penalty
        _, finite = self._g.apply(tape, total)
        self.pl_mean.assign(tf.where(finite, mean, self.pl_mean))
        return {"path_length": length, "pl_penalty": penalty, "lazy_g_finite": finite}

    def _path_lengths(self, ws, noise, seed):
        """How far the images move along random directions `y` when ws move, `[N]`."""
        with tf.GradientTape() as tape:
            tape.watch(ws)
            images = self.generator.synthesis(ws, noise=noise)
            y = replicas.normal(images.shape, seed) / math.sqrt(math.prod(images.shape[1:3]))
            along = tf.reduce_sum(images * y)
        return losses.path_lengths(
            self._g.scale.gradient(tape, along, ws)[:, :self.generator.synthesis.active_ws])
