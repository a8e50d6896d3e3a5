"""Stages of a training: one, or with progressive growing one for each resolution (PG section 3)."""

import dataclasses
import math

from stylegan2_tf.options import read_numbers
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
        lengths: Those of a run that is resumed.

    Attributes:
        stages: The `Stage`s.
        lengths: Images of each stage. The last one has no end: its number, that of the stage
            before, tells only how fast it fades in.
        complete: Images after which the last resolution has faded in.
    """

    def __init__(self, config, total, lengths=None):
        if not config.progressive:
            self.stages, self.lengths = [Stage(None, config.sides, config.batch)], []
            return
        self.lengths = lengths or _lengths(config, total)
        ends = [sum(self.lengths[:number]) for number in range(1, len(self.lengths))]
        self.stages = [
            Stage(number, doubled(config.first_sides, number), config.stage_batches[number],
                  start, end, fading=self.lengths[number] / 2 if number else 0.0)
            for number, (start, end) in enumerate(zip([0, *ends], [*ends, None], strict=True))]

    @property
    def complete(self):
        return self.stages[-1].start + self.stages[-1].fading

    def at(self, nimg):
        """The stage at `nimg` images seen."""
        return next(stage for stage in self.stages if stage.end is None or nimg < stage.end)


def _lengths(config, total):
    """Images of each stage."""
    before_last = len(config.generator_filters) - 1
    if config.stage_kimg is None:
        images = [total / (before_last + 1)] * before_last
    else:
        images = [1000 * kimg for kimg in read_numbers(config.stage_kimg, float, before_last)]
    lengths = [max(math.floor(length / batch), 1) * batch
               for length, batch in zip(images, config.stage_batches, strict=False)]
    return [*lengths, lengths[-1]]
