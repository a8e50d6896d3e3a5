"""What is measured of a training from time to time: metrics, and the watchdog's numbers."""

import time

import numpy as np
import tensorflow as tf

from stylegan2_tf.data import order, spread, to_float
from stylegan2_tf.latent.sampling import draw, enlarged, make_latents, to_uint8
from stylegan2_tf.metrics.monitor import Monitor
from stylegan2_tf.watchdog import Watchdog

WATCHED = 256  # fakes, training images and held-out images that the watchdog looks at
SCORED_AT_ONCE = 32


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
        self._step, self._sides = step_function, config.sides
        self._monitor = None
        self._sets = {"real": _some(images)}
        if holdout is not None:
            self._sets["holdout"] = _some(holdout)
        if config.metric_names:
            self._monitor = Monitor(config.metric_names, (holdout or images).array)
        count = max(WATCHED, self._monitor.count if self._monitor else 0)
        self._latents = make_latents(count, config.latent, config.seed)
        self._labels = _labels(images, order(config.seed, 0, count, len(images)))
        self._watched_sides = config.sides
        self.watchdog = Watchdog(self._sets["real"][0], config.loss)

    def examine(self, nimg):
        """Measure now. `watchdog.alarms` tells what is wrong.

        Returns:
            A dict of numbers for the log: "eval/swd", "watch/diversity", "eval/seconds" ...
        """
        started = time.perf_counter()
        small = to_uint8(draw(self._step.generator_ema, self._latents, self._labels))
        fakes = enlarged(small, self._sides)
        values = self._monitor.measure(fakes[:self._monitor.count]) if self._monitor else {}
        scores = {name: self._score(images, labels, nimg)
                  for name, (images, labels) in self._sets.items()}
        scores["fake"] = self._score(small[:WATCHED], self._labels[:WATCHED])
        self._compare_at_stage()
        values |= self.watchdog.check(fakes[:WATCHED], scores, nimg)
        return {**values, "eval/seconds": time.perf_counter() - started}

    def _compare_at_stage(self):
        """Fakes of a small stage are compared with reals that are as coarse."""
        stage = self._step.stage
        if stage.sides != self._watched_sides:
            coarse = self._step.at_stage(self._sets["real"][0]).numpy()
            self.watchdog.compare_with(enlarged(to_uint8(coarse), self._sides))
            self._watched_sides = stage.sides

    def _score(self, images, labels, nimg=None):
        """Scores `[N]` of fakes, or of raw reals brought to the stage at `nimg`."""
        scores = []
        for start in range(0, len(images), SCORED_AT_ONCE):
            chosen = slice(start, start + SCORED_AT_ONCE)
            part = (self._step.at_stage(images[chosen], nimg) if nimg is not None
                    else to_float(tf.convert_to_tensor(images[chosen])))
            label = self._step.one_hot(labels[chosen])
            scores.append(np.ravel(self._step.discriminator(part, label)))
        return np.concatenate(scores)


def _some(packed):
    """(images, labels) of at most `WATCHED` of them, evenly spread."""
    chosen = spread(min(WATCHED, len(packed)), len(packed))
    return packed.array[chosen], _labels(packed, chosen)


def _labels(packed, chosen):
    return (np.zeros(len(chosen), np.int64) if packed.labels is None
            else packed.labels[np.asarray(chosen)])
