"""What a training step draws: every number is a function of (seed, image counter, stream).

Shapes: `N` batch of this replica, `D` latent.
"""

import enum

import tensorflow as tf

from stylegan2_tf import replicas

Stream = enum.IntEnum("Stream", (
    "D_LATENT G_LATENT D_NOISE G_NOISE MIX PL_LATENT PL_NOISE PL_DIRECTION SEEN_REAL SEEN_FAKE "
    "SEEN_BY_G SEEN_PAIR SEEN_R1 SEEN_R2 SEEN_MIX"), start=0)
APART = 1000  # from stream to stream: within one, `seed + [0, index]` tells the draws apart
DROPPED = 100  # within a stream of images that the discriminator sees: the first dropout mask


class Randomness:
    """Draws for one configuration and one generator.

    Args:
        config: A `TrainConfig`.
        generator: The `Generator` that latents and noise are for.
        discriminator: The `Discriminator` that dropout masks are for.
    """

    def __init__(self, config, generator, discriminator):
        self.config, self.generator = config, generator
        self._trunk = discriminator.trunk

    def seed(self, nimg, stream):
        """An int64 pair that differs for every (seed, image counter, stream)."""
        seed = tf.stack([tf.constant(self.config.seed, tf.int64), nimg])
        return tf.random.experimental.stateless_fold_in(seed, APART * stream)

    def latents(self, nimg, batch, stream, label):
        """Returns (ws `[N, num_ws, D]`, mixed or not, and the w `[N, D]` of the first layers)."""
        seed = self.seed(nimg, stream)
        w = self._draw_w(batch, seed, label)
        ws = self.generator.broadcast(w)
        return (self._mix_styles(ws, seed, label) if self.config.style_mixing else ws), w

    def _mix_styles(self, ws, seed, label):
        """With some probability, from a random layer on, the w of another z (SG1 section 3.1)."""
        others = self._draw_w(ws.shape[0], seed + [0, 1], label)[:, None]
        layers = max(self.generator.synthesis.active_ws, 2)
        cut = tf.random.stateless_uniform((), seed + [0, 2], 1, layers, tf.int32)
        mixed = tf.random.stateless_uniform((), seed + [0, 3]) < self.config.style_mixing
        replaced = mixed & (tf.range(ws.shape[1]) >= cut)
        return tf.where(replaced[None, :, None], others, ws)

    def _draw_w(self, batch, seed, label):
        z = replicas.normal((batch, self.config.latent), seed)
        return self.generator.mapping(z, label)

    def noise(self, nimg, batch, stream):
        """One map for each layer and sample."""
        seed = self.seed(nimg, stream)
        shapes = self.generator.synthesis.noise_shapes(batch)
        return [replicas.normal(shape, seed + [0, index])
                for index, shape in enumerate(shapes)]

    def masks(self, nimg, batch, stream):
        """Dropout of whole feature maps: factors 0 or `1 / (1 - d_dropout)`, or None."""
        rate = self.config.d_dropout
        if not rate:
            return None
        seed = self.seed(nimg, stream)
        draws = (replicas.uniform(shape, seed + [0, DROPPED + index])
                 for index, shape in enumerate(self._trunk.mask_shapes(batch)))
        return [tf.cast(draw >= rate, tf.float32) / (1.0 - rate) for draw in draws]
