"""The configuration of a training run: one flat frozen dataclass.

preset -> flags that were given -> `TrainConfig` -> validated -> `OUT/config.json`.
The flags of the command line are made from the fields below (see `cli/train.py`);
values that follow from others are properties.
"""

import dataclasses
import difflib
import json
import math

from stylegan2_tf.errors import UsageError
from stylegan2_tf.options import SIZES, check_value, option
from stylegan2_tf.presets import preset_values

GROUP_SIZE = 4  # images in a minibatch-stddev group
MAX_ALPHA = 0.5  # fade-in ends at the residual block of StyleGAN2

# Adam's rate is lr x lr_scale. 12.5 turns the rates made for weights of std 0.02
# (1e-4 to 2e-4) into those of equalised weights of std 1: 2e-4 x 12.5 = 0.0025, StyleGAN2's
# number; WGAN-GP wants 0.001 (PG appendix A.1).
LR_SCALES = {"cross-entropy": 12.5, "wgan-gp": 5.0}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run. Field by field, see `run.py --help`.

    Raises:
        UsageError: A value is out of range or does not go with another one.
    """

    data_dir: str = option("", "folder of the training images", group="positional")
    output_dir: str = option("", "run folder; the same command again resumes",
                             group="positional")
    g_input_res: int = option(8, "resolution where the generator starts", group="positional",
                              unit="pixels", minimum=2)
    g_init_filters: int = option(512, "channels there; halved at every doubling",
                                 group="positional", unit="channels", minimum=1)
    d_final_res: int = option(8, "resolution where the discriminator ends", group="positional",
                              unit="pixels", minimum=2)
    d_input_filters: int = option(32, "channels of the discriminator at full resolution; "
                                  "doubled at every halving", group="positional",
                                  unit="channels", minimum=1)
    fade_in_base: float = option(80.0, "alpha = min(epoch / fade_in_base, 0.5) weighs the skip "
                                 "of each discriminator block", group="positional",
                                 unit="epochs", above=0)

    preset: str | None = option(None, "set the five sizes and the rates at once",
                                group="networks", choices=("recommended", "stylegan2"))
    resolution: int = option(64, "side of the images", group="networks", unit="pixels",
                             minimum=4)
    channels: int = option(1, "1 grey, 3 RGB, 4 RGBA", group="networks", choices=(1, 3, 4))
    latent: int = option(100, "length of z (z_dim)", group="networks", minimum=1)
    w_dim: int | None = option(None, "length of w; not given: that of z", group="networks",
                               minimum=1)
    mapping_layers: int = option(2, "dense layers from z to w; 8 for more than 30,000 images",
                                 group="networks", minimum=1)
    max_filters: int | None = option(None, "most channels in any layer; not given: no bound",
                                     group="networks", unit="channels", minimum=1)

    batch: int = option(128, "images in a step", group="training", unit="images",
                        minimum=GROUP_SIZE)
    epochs: int = option(20, "length of the run", group="training", unit="epochs", minimum=1)
    lr: float = option(2e-4, "learning rate of both optimizers; Adam uses lr x lr-scale",
                       group="training", above=0)
    lr_scale: float | None = option(
        None, "factor on --lr: rates made for weights of std 0.02 become those of equalised "
        "weights; 1 takes --lr literally; not given: 12.5, or 5 with wgan-gp",
        group="training", above=0)
    beta: float = option(0.5, "Adam's decay of the first moment", group="training", minimum=0,
                         below=1)
    beta2: float = option(0.99, "Adam's decay of the second moment", group="training",
                          minimum=0, below=1)
    fade_per: str = option("epoch", "how often alpha moves", group="training",
                           choices=("epoch", "step"))
    ema_kimg: float | None = option(None, "half-life of the averaged generator; not given: "
                                    "batch x 10 / 32", group="training", unit="kimg", above=0)
    seed: int = option(0, "decides weights, latents, noise and the order of images",
                       group="training", minimum=0, below=2**31)

    loss: str = option("cross-entropy", "the adversarial loss", group="loss",
                       choices=tuple(LR_SCALES))
    r1_gamma: float | None = option(None, "weight of R1 with cross-entropy, 0 for none; not "
                                    "given: 0.01 x resolution^2 / batch, at most 10", group="loss",
                                    minimum=0)
    r1_interval: int = option(16, "apply R1 once in so many steps", group="loss", unit="steps",
                              minimum=1)
    gradient_penalty_weight: float = option(10.0, "weight of the penalty of wgan-gp",
                                            group="loss", minimum=0)
    drift_weight: float = option(0.001, "weight of D(real)^2 with wgan-gp", group="loss",
                                 minimum=0)

    fit: str = option("pad", "make images square by padding with their background, cropping "
                      "the centre, or stretching", group="data",
                      choices=("pad", "crop", "stretch"))
    cache: str | None = option(None, "folder of the decoded images; not given: OUT/cache",
                               group="data")

    checkpoint: int = option(1, "save after so many epochs", group="output", unit="epochs",
                             minimum=1)
    keep: int = option(2, "checkpoints kept", group="output", minimum=1)
    val: int = option(16, "images in each sample grid", group="output", unit="images",
                      minimum=1)
    neptune: bool = option(False, "also log with Neptune: offline into OUT/neptune unless a "
                           "token and a reachable server are set", group="output")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        _check_sizes(self)

    # -- values that follow from others ------------------------------------------------

    @property
    def generator_filters(self):
        """Channels at each resolution, from `g_input_res` up to `resolution`."""
        levels = int(math.log2(self.resolution // self.g_input_res)) + 1
        return [self._bounded(self.g_init_filters >> level) for level in range(levels)]

    @property
    def discriminator_filters(self):
        """Channels of each block, from `resolution` down to 2 x `d_final_res`."""
        levels = int(math.log2(self.resolution // self.d_final_res))
        return [self._bounded(self.d_input_filters << level) for level in range(levels)]

    def _bounded(self, filters):
        return min(filters, self.max_filters or filters)

    @property
    def w_units(self):
        return self.w_dim or self.latent

    @property
    def adam_rate(self):
        return self.lr * (self.lr_scale or LR_SCALES[self.loss])

    @property
    def r1_weight(self):
        """Gamma of R1; 0 with WGAN-GP, which has its own penalty.

        Fifty times ADA's rule of 0.0002 R^2 / batch, at most StyleGAN2's 10: with narrow
        networks and few images ADA's let the discriminator run away (64 px, one seed). Short
        runs do not show it: `python -m benchmarks.training --sweep r1-gamma` compares them.
        """
        if self.loss == "wgan-gp":
            return 0.0
        if self.r1_gamma is None:
            return min(0.01 * self.resolution**2 / self.batch, 10.0)
        return self.r1_gamma

    @property
    def ema_images(self):
        """Half-life of the averaged generator in images."""
        return 1000 * (self.ema_kimg or self.batch * 10 / 32)

    def alpha(self, epoch):
        """Weight of the skip branch in every discriminator block at `epoch` (a float)."""
        if self.fade_per == "epoch":
            epoch = math.floor(epoch)
        return min(epoch / self.fade_in_base, MAX_ALPHA)

    def to_json(self):
        """The configuration as a plain dict, every field by name."""
        return dataclasses.asdict(self)


def make_config(given):
    """Build the configuration from what was `given` (a dict; None means not given).

    Raises:
        UsageError: An unknown field, a missing size, or a value that `TrainConfig` refuses.
    """
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        _check_name(name)
    for field in dataclasses.fields(TrainConfig):  # before a preset computes with them
        if field.name in given:
            check_value(field, given[field.name])
    values = {**preset_values(given.get("preset"), given.get("resolution", 64)), **given}
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


def _check_sizes(config):
    """Refuse sizes that do not go together."""
    for name in ("g_input_res", "d_final_res"):
        start = getattr(config, name)
        ratio = config.resolution / start
        if start >= config.resolution:
            raise UsageError(f"{name}: expected below --resolution {config.resolution}, "
                             f"found {start}; give a smaller one, for example 8")
        if ratio != int(ratio) or int(ratio) & (int(ratio) - 1):
            raise UsageError(f"--resolution: expected {name} {start} times a power of two, "
                             f"found {config.resolution}; nearest: "
                             f"{start * 2 ** max(round(math.log2(ratio)), 1)}")
    halvings = int(math.log2(config.resolution // config.g_input_res))
    if config.g_init_filters >> halvings < 1:
        raise UsageError(f"g_init_filters: expected at least {2**halvings}, because channels are "
                         f"halved {halvings} times up to {config.resolution} pixels, "
                         f"found {config.g_init_filters}")
