"""What a training says about itself before it starts."""

from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import printable
from stylegan2_tf.errors import UsageError
from stylegan2_tf.fields import GROUP_SIZE
from stylegan2_tf.files import inside
from stylegan2_tf.options import flag
from stylegan2_tf.presets import preset_values


def explain_preset(config):
    """A line with everything that the preset sets, and what was given instead."""
    if config.preset is None:
        return []
    values = preset_values(config.preset, config.resolution)
    return [f"preset {config.preset}: " + ", ".join(
        f"{flag(name)} {getattr(config, name)}"
        + ("" if getattr(config, name) == value else f" (given; preset {value})")
        for name, value in values.items())]


# Flags that only some losses read.
READ_BY = {("cross-entropy", "relativistic"): ("r1_gamma", "r2_gamma", "r1_interval"),
           ("wgan-gp",): ("gradient_penalty_weight", "drift_weight")}


def warnings(config):
    """Lines about settings that work otherwise than one may expect."""
    lines = []
    if config.batch % GROUP_SIZE:
        group = max(size for size in range(1, GROUP_SIZE + 1) if config.batch % size == 0)
        lines.append(f"note: --batch {config.batch} is not a multiple of {GROUP_SIZE}: minibatch "
                     f"stddev uses groups of {group}")
    unused = [flag(name) for losses, names in READ_BY.items() for name in names
              if config.loss not in losses and getattr(config, name) != getattr(TrainConfig, name)]
    if unused and config.preset is None:
        lines.append(f"note: {', '.join(unused)}: not used with --loss {config.loss}")
    if config.pl_interval != TrainConfig.pl_interval and not config.pl_weight:
        lines.append("note: --pl-interval: not used with --pl-weight 0")
    steered = [flag(name) for name in ("augment_target", "augment_kimg")
               if getattr(config, name) != getattr(TrainConfig, name)]
    if steered and config.augment == "none":
        lines.append(f"note: {', '.join(steered)}: not used with --augment none")
    if config.augment == "color" and config.channels == 1:
        lines.append("note: --augment color: the same as mri with --channels 1")
    return lines


def check_apart(config):
    """Refuse a run folder inside the data: its pictures would become training images."""
    if inside(config.output_dir, config.data_dir):
        raise UsageError(f"output_dir {config.output_dir}: expected a folder outside "
                         f"{config.data_dir}, found one inside; the pictures of the run would "
                         "become training images")


def check_count(config, count):
    """Refuse a batch that is larger than the data set. Raises `UsageError`."""
    if config.batch > count:
        fewer = f"--batch {count} or less, or more" if count >= GROUP_SIZE else (
            f"at least {GROUP_SIZE}")
        raise UsageError(f"--batch: expected at most the {count} images in {config.data_dir}, "
                         f"found {config.batch}; give {fewer} images")


def summary(config, count, step_function):
    """Lines that say what is trained on what: the derived settings a user should see once."""
    generator = step_function.generator.count_params()
    discriminator = step_function.discriminator.count_params()
    total = config.epochs * count
    return [
        f"images         {count:,} of {config.resolution}x{config.resolution}x{config.channels} "
        f"from {printable(config.data_dir)}",
        f"generator      {generator:,} parameters; channels from {config.g_input_res}x"
        f"{config.g_input_res} up: {_list(config.generator_filters)}",
        f"discriminator  {discriminator:,} parameters; channels from {config.resolution}x"
        f"{config.resolution} down to {config.d_final_res}x{config.d_final_res}: "
        f"{_list(config.discriminator_filters)}",
        f"training       {config.epochs} epochs, {total / 1000:.1f} kimg, "
        f"{-(-total // config.batch):,} steps of {config.batch}; {loss_terms(config)}",
        f"rates          Adam {config.adam_rate:.4g} = lr {config.lr:g} x "
        f"{config.adam_rate / config.lr:g}, beta {config.beta:g}, {config.beta2:g}; average "
        f"half-life {config.ema_images / 1000:g} kimg; alpha {config.alpha(0):g} to "
        f"{config.alpha(config.epochs - 1):.3g}",
    ]


def loss_terms(config):
    """The loss and all that is added to it."""
    terms = [config.loss]
    if config.loss == "wgan-gp":
        terms.append(f"gradient penalty {config.gradient_penalty_weight:g}")
    if config.d_interval:
        gammas = ((name, gamma) for name, gamma in (("R1", config.r1_weight),
                                                    ("R2", config.r2_weight)) if gamma)
        terms.append(" and ".join(f"{name} gamma {gamma:.4g}" for name, gamma in gammas)
                     + f" every {config.d_interval} steps")
    if config.g_interval:
        terms.append(f"path length {config.pl_weight:g} every {config.g_interval} steps")
    if config.style_mixing:
        terms.append(f"style mixing {config.style_mixing:g}")
    return ", ".join(terms)


def _list(filters):
    return " ".join(map(str, filters))
