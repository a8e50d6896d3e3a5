"""The configuration of a training run: one flat frozen dataclass.

preset -> flags that were given -> `TrainConfig` -> validated -> `OUT/config.json`.
The fields are declared in `fields.py`, from which the flags of the command line are made;
values that follow from others are properties here.
"""

import dataclasses
import difflib
import json
import math

from stylegan2_tf.checks import check_all
from stylegan2_tf.errors import UsageError
from stylegan2_tf.fields import (
    LR_SCALES,
    METRICS,
    METRICS_KIMG,
    PRIVATE,
    SMALLEST_MEASURED,
    Fields,
)
from stylegan2_tf.options import (
    AUTO,
    SIZES,
    Sides,
    check_value,
    may_be_auto,
    read_numbers,
)
from stylegan2_tf.presets import preset_values
from stylegan2_tf.sides import as_pair, doublings, shortest

MAPPING_LAYERS = 8  # with 2 pictures were worse on brain slices: benchmarks/README.md
MAPPING_LR_MULTIPLIER = 0.01  # SG1 appendix C
MAX_ALPHA = 0.5  # fade-in ends at the residual block of StyleGAN2


@dataclasses.dataclass(frozen=True)
class TrainConfig(Fields):
    """Everything that decides a training run, checked. Field by field, see `run.py --help`.

    Raises:
        UsageError: A value is out of range or does not go with another one.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        check_all(self)

    # -- values that follow from others ------------------------------------------------

    @property
    def sides(self):
        """Height and width of the images."""
        return as_pair(self.resolution)

    @property
    def first_sides(self):
        """Height and width where the generator starts."""
        return self._reduced(self.g_input_res)

    @property
    def final_sides(self):
        """Height and width where the discriminator ends."""
        return self._reduced(self.d_final_res)

    def _reduced(self, shorter):
        times = min(self.sides) / min(as_pair(shorter))
        return tuple(int(side / times) for side in self.sides)

    @property
    def generator_filters(self):
        """Channels at each resolution, from `g_input_res` up to `resolution`."""
        levels = doublings(self.sides, self.first_sides) + 1
        return [self._bounded(self.g_init_filters >> level) for level in range(levels)]

    @property
    def discriminator_filters(self):
        """Channels of each block, from `resolution` down to 2 x `d_final_res`."""
        levels = doublings(self.sides, self.final_sides)
        return [self._bounded(self.d_input_filters << level) for level in range(levels)]

    def _bounded(self, filters):
        return min(filters, self.max_filters or filters)

    @property
    def w_units(self):
        return self.w_dim or self.latent

    @property
    def mapping_depth(self):
        """Dense layers of the mapping network (SG1 section 2; ADA takes 2 for small data sets)."""
        return self.mapping_layers or MAPPING_LAYERS

    @property
    def mapping_multiplier(self):
        """Learning rate of the mapping network relative to the rest of the generator."""
        return self.mapping_lr / self.lr if self.mapping_lr else MAPPING_LR_MULTIPLIER

    @property
    def adam_rate(self):
        return self.lr * (self.lr_scale or LR_SCALES[self.loss])

    @property
    def d_adam_rate(self):
        return self.adam_rate * (self.d_lr or self.lr) / self.lr

    def r1_weight_at(self, sides, batch):
        """Gamma of R1 for images of `sides`; 0 with WGAN-GP, which has its own penalty.

        Fifty times ADA's rule of 0.0002 R^2 / batch, at most StyleGAN2's 10: with narrow
        networks and few images ADA's let the discriminator run away (64 px, one seed). Short
        runs do not show it: `python -m benchmarks.training --sweep r1-gamma` compares them.
        """
        if self.loss == "wgan-gp":
            return 0.0
        if self.r1_gamma is None:
            return min(0.01 * math.prod(sides) / batch, 10.0)
        return self.r1_gamma

    def r2_weight_at(self, sides, batch):
        """Gamma of R2: the relativistic loss needs both to converge (R3 section 2)."""
        if self.loss == "wgan-gp":
            return 0.0
        if self.r2_gamma is None:
            return self.r1_weight_at(sides, batch) if self.loss == "relativistic" else 0.0
        return self.r2_gamma

    @property
    def r1_weight(self):
        return self.r1_weight_at(self.sides, self.stage_batches[-1])

    @property
    def r2_weight(self):
        return self.r2_weight_at(self.sides, self.stage_batches[-1])

    @property
    def stage_batches(self):
        """The batch of each stage; of one stage where nothing grows."""
        if not self.progressive:
            return [self.batch]
        return read_numbers(self.stage_batch or str(self.batch), int, len(self.generator_filters))

    @property
    def d_interval(self):
        """Steps from one lazy update of the discriminator (R1, R2) to the next; None for none."""
        return self.r1_interval if self.r1_weight or self.r2_weight else None

    @property
    def g_interval(self):
        """Steps from one lazy update of the generator (path length) to the next; None for none."""
        return self.pl_interval if self.pl_weight else None

    @property
    def ema_images(self):
        """Half-life of the averaged generator in images."""
        return 1000 * (self.batch * 10 / 32 if self.ema_kimg is None else self.ema_kimg)

    @property
    def metric_names(self):
        """What is measured during training, a tuple of keys of `METRICS`."""
        if self.metrics is None:
            return ("swd", "kid") if min(self.sides) >= SMALLEST_MEASURED else ()
        return () if self.metrics == "none" else tuple(self.metrics.split(","))

    @property
    def best_by(self):
        """The metric that chooses `Model/best`, or None."""
        ranked = (name for name in self.metric_names if METRICS[name] is not None)
        return self.best_metric or next(ranked, None)

    def metrics_interval(self, num_images):
        """Epochs between two measurements, for a data set of `num_images`."""
        return self.metrics_every or math.ceil(1000 * METRICS_KIMG / num_images)

    def alpha(self, epoch):
        """Weight of the skip branch in every discriminator block at `epoch` (a float)."""
        if self.fade_per == "epoch":
            epoch = math.floor(epoch)
        return min(epoch / self.fade_in_base, MAX_ALPHA)

    def to_json(self):
        """The configuration as a plain dict, every field by name."""
        return dataclasses.asdict(self)

    def public(self):
        """`to_json` for logs and models, which are shared: without `fields.PRIVATE`.

        Of these, None stays for what was not given, so that an absent one was given.
        """
        return {name: value for name, value in self.to_json().items()
                if name not in PRIVATE or value is None}


def make_config(given):
    """Build the configuration from what was `given` (a dict; None means not given).

    Raises:
        UsageError: An unknown field, a missing size, or a value that `TrainConfig` refuses.
    """
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        _check_name(name)
    for field in dataclasses.fields(TrainConfig):  # before a preset computes with them
        if given.get(field.name) == AUTO and may_be_auto(field):
            given[field.name] = None
        if field.name in given:
            check_value(field, given[field.name])
            if field.type == Sides:
                given[field.name] = shortest(given[field.name])
    values = {**preset_values(
        given.get("preset"), given.get("resolution", 64), given.get("arch")), **given}
    missing = [name for name in ("data_dir", "output_dir", *SIZES) if name not in values]
    if missing:
        raise UsageError(
            f"missing {', '.join(missing)}: give DATA_DIR OUT and the five sizes "
            "(for example: 8 512 8 32 80), or a --preset that sets the sizes")
    return TrainConfig(**values)


def from_json(text):
    """Read what `TrainConfig.to_json` gave, as text. Raises `UsageError` on unknown fields."""
    values = json.loads(text)
    for name in values:
        _check_name(name)
    return TrainConfig(**values)


def _check_name(name):
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0)[0]
        raise UsageError(f"unknown field {name!r} in the configuration; the nearest is {near!r}")
