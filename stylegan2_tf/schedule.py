"""Stages of a training: one, or with progressive growing one for each resolution (PG section 3)."""

import dataclasses
import math

from stylegan2_tf.sides import as_text, doubled


@dataclasses.dataclass(frozen=True)
class Stage:
    """Part of a training with one resolution and one batch.

    Attributes:
        level: Number of the resolution, from 0; None where nothing grows.
        sides: (height, width) of the images.
        batch: Images in a step.
        start, end: Images seen where it begins and ends; the last stage has no end (None).
        fading: Images over which its resolution fades in.
    """

    level: int | None
    sides: tuple
    batch: int
    start: int = 0
    end: int | None = None
    fading: float = 0.0

    def fade(self, nimg):
        """Weight of this resolution beside the one before, 0 to 1."""
        share = (nimg - self.start) / self.fading if self.fading else 1.0
        return min(max(share, 0.0), 1.0)

    @property
    def name(self):
        """The size, such as `16x16`; empty where nothing grows."""
        return "" if self.level is None else as_text(self.sides)


class Schedule:
    """The stages of a run.

    Half of each stage after the first fades its resolution in; a stage is a whole number of
    steps.

    Args:
        config: A `TrainConfig`.
        total: Images of the whole run; decides stages whose length is left open.
        lengths: Images of each stage but the last, of a run that is resumed.
    """

    def __init__(self, config, total, lengths=None):
        if not config.progressive:
            self.stages = [Stage(None, config.sides, config.batch)]
            return
        count = len(config.generator_filters)
        batches = config.stage_batches
        if lengths is None:
            lengths = _lengths(config.stage_kimg, count, total, batches)
        ends = [sum(lengths[:number + 1]) for number in range(count - 1)]
        fading = [0.0, *(length / 2 for length in [*lengths[1:], lengths[-1]])]
        self.stages = [
            Stage(number, doubled(config.first_sides, number), batches[number], start, end,
                  fading[number])
            for number, (start, end) in enumerate(zip([0, *ends], [*ends, None], strict=True))]

    @property
    def lengths(self):
        """Images of each stage but the last."""
        return [stage.end - stage.start for stage in self.stages[:-1]]

    def at(self, nimg):
        """The stage at `nimg` images seen."""
        return next(stage for stage in self.stages if stage.end is None or nimg < stage.end)


def _lengths(kimg, count, total, batches):
    if kimg is None:
        images = [total / count] * (count - 1)
    else:
        images = _stretched([1000 * float(number) for number in kimg.split(",")], count - 1)
    return [math.ceil(length / batch) * batch
            for length, batch in zip(images, batches, strict=False)]


def _stretched(numbers, count):
    """`numbers`, the last one repeated until there are `count`."""
    return numbers + numbers[-1:] * (count - len(numbers))
