"""How often to augment: steered by how much the discriminator over-fits (ADA section 3.1)."""

import tensorflow as tf

from stylegan2_tf import replicas

INTERVAL = 4  # batches between two moves of p
TARGET = 0.6  # of mean sign(D(real))
LIMIT = 0.8  # from there on augmentations leak into what the generator learns (ADA figure 3)


class Controller:
    """Move `p` up while `mean sign(D(real))` is above the target, down while below.

    1 means that every real is told for sure from fakes: the discriminator knows them by heart.

    Args:
        speed_kimg: Thousand images in which `p` can rise from 0 to 1.
        target: The mean sign to steer to, between -1 and 1.

    Attributes:
        p: `tf.Variable`, 0 to 0.8, for `augment`.
    """

    def __init__(self, speed_kimg=500.0, target=TARGET):
        self.speed_kimg, self.target = speed_kimg, target
        self.p, self._sign, self._sum = (
            tf.Variable(0.0, trainable=False, name=name)
            for name in ("augment_p", "augment_sign", "augment_sum"))
        self._batches = tf.Variable(0, trainable=False, name="augment_batches")

    @property
    def state(self):
        """All that `update` changes, as a list of `tf.Variable`, for a checkpoint."""
        return [self.p, self._sign, self._sum, self._batches]

    def update(self, scores):
        """Count one batch; after each fourth move `p`. To be called inside the compiled step.

        Args:
            scores: The discriminator's logits of augmented reals, `[N, 1]`. Those that are not
                finite count as undecided: `p` must survive a step whose update is left out.

        Returns:
            A dict of scalar tensors: `augment_p`, and `augment_sign`, the mean sign of the last
            four batches that `p` moved by (0 before the fourth batch).
        """
        signs = tf.where(tf.math.is_finite(scores), tf.sign(scores), 0.0)
        total = self._sum + replicas.mean(tf.reduce_mean(signs))
        batches = self._batches + 1
        full = batches == INTERVAL
        mean = total / INTERVAL
        batch = scores.shape[0] * replicas.count()
        move = batch * INTERVAL / (1000 * self.speed_kimg) * tf.sign(mean - self.target)
        self.p.assign(tf.where(full, tf.clip_by_value(self.p + move, 0.0, LIMIT), self.p))
        self._sign.assign(tf.where(full, mean, self._sign))
        self._sum.assign(tf.where(full, 0.0, total))
        self._batches.assign(tf.where(full, 0, batches))
        return {"augment_p": self.p.read_value(), "augment_sign": self._sign.read_value()}
