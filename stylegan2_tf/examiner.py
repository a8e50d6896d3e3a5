"""What is measured of a training from time to time: metrics, and the watchdog's numbers."""

import time

import numpy as np

from stylegan2_tf.data import spread
from stylegan2_tf.latent.sampling import draw, make_latents, to_uint8
from stylegan2_tf.metrics.images import blocks
from stylegan2_tf.metrics.monitor import Monitor
from stylegan2_tf.watchdog import Watchdog

WATCHED = 256  # fakes, training images and held-out images that the watchdog looks at


class Examiner:
    """Examines the averaged generator and the discriminator of a training.

    Args:
        config: A `TrainConfig`.
        images: `PackedImages` that are trained on.
        holdout: `PackedImages` of other people, or None. If given, the metrics compare
            with these.
        step_function: The `TrainStep`.

    Attributes:
        watchdog: The `Watchdog`, with its alarms.
    """

    def __init__(self, config, images, holdout, step_function):
        self._step = step_function
        self._monitor = None
        self._sets = {"real": _some(images.array)}
        if holdout is not None:
            self._sets["holdout"] = _some(holdout.array)
        if config.metric_names:
            self._monitor = Monitor(config.metric_names, (holdout or images).array)
        count = max(WATCHED, self._monitor.count if self._monitor else 0)
        self._latents = make_latents(count, config.latent, config.seed)
        self.watchdog = Watchdog(self._sets["real"], config.loss)

    def examine(self, nimg):
        """Measure now. `watchdog.alarms` tells what is wrong.

        Returns:
            A dict of numbers for the log: "eval/swd", "watch/diversity", "eval/seconds" ...
        """
        started = time.perf_counter()
        fakes = to_uint8(draw(self._step.generator_ema, self._latents))
        values = self._monitor.measure(fakes[:self._monitor.count]) if self._monitor else {}
        sets = {**self._sets, "fake": fakes[:WATCHED]}
        scores = {name: self._score(images) for name, images in sets.items()}
        values |= self.watchdog.check(sets["fake"], scores, nimg)
        return {**values, "eval/seconds": time.perf_counter() - started}

    def _score(self, images, batch=32):
        return np.concatenate([
            np.ravel(self._step.discriminator(block)) for block in blocks(images, batch)])


def _some(images):
    """At most `WATCHED` of the images, evenly spread."""
    return images[spread(min(WATCHED, len(images)), len(images))]
