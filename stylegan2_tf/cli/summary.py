"""What a training says about itself before it starts."""

from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import printable
from stylegan2_tf.errors import UsageError
from stylegan2_tf.fields import GROUP_SIZE
from stylegan2_tf.files import inside
from stylegan2_tf.options import flag
from stylegan2_tf.presets import preset_values
from stylegan2_tf.schedule import Schedule
from stylegan2_tf.sides import as_text


def explain_preset(config):
    """A line with everything that the preset sets, and what was given instead."""
    if config.preset is None:
        return []
    values = preset_values(config.preset, config.resolution, config.arch)
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
    for batch in dict.fromkeys(config.stage_batches):
        if batch % GROUP_SIZE:
            group = max(size for size in range(1, GROUP_SIZE + 1) if batch % size == 0)
            lines.append(f"note: {_batch_flag(config)} {batch} is not a multiple of {GROUP_SIZE}: "
                         f"minibatch stddev uses groups of {group}")
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
    largest, name = max(config.stage_batches), _batch_flag(config)
    if largest > count:
        fewer = f"{name} {count} or less, or more" if count >= GROUP_SIZE else (
            f"at least {GROUP_SIZE}")
        raise UsageError(f"{name}: expected at most the {count} images in {config.data_dir}, "
                         f"found {largest}; give {fewer} images")


def _batch_flag(config):
    """The flag that decides the batch."""
    return "--stage-batch" if config.stage_batch else "--batch"


def summary(config, count, step_function):
    """Lines that say what is trained on what: the derived settings a user should see once."""
    generator = step_function.generator.count_params()
    discriminator = step_function.discriminator.count_params()
    total = config.epochs * count
    return [
        f"images         {count:,} of {as_text(config.sides)}x{config.channels} "
        f"from {printable(config.data_dir)}",
        f"generator      {config.arch}, {generator:,} parameters; channels from "
        f"{as_text(config.first_sides)} up: {_list(config.generator_filters)}",
        f"discriminator  {discriminator:,} parameters; channels from {as_text(config.sides)} "
        f"down to {as_text(config.final_sides)}: {_list(config.discriminator_filters)}",
        f"training       {config.epochs} epochs, {total / 1000:.1f} kimg, "
        f"{_steps(config, total)}{loss_terms(config)}",
        *_growth(config, total),
        f"rates          Adam {config.adam_rate:.4g} = lr {config.lr:g} x "
        f"{config.adam_rate / config.lr:g}{_other_rates(config)}, "
        f"beta {config.beta:g}, {config.beta2:g}; average "
        f"half-life {config.ema_images / 1000:g} kimg; alpha {config.alpha(0):g} to "
        f"{config.alpha(config.epochs - 1):.3g}",
    ]


def _steps(config, total):
    return "" if config.progressive else f"{-(-total // config.batch):,} steps of {config.batch}; "


def _growth(config, total):
    """A line about the stages of progressive growing."""
    if not config.progressive:
        return []
    schedule = Schedule(config, total)
    lines = ["stages         " + ", ".join(
        f"{stage.name} from {stage.start / 1000:g} kimg in batches of {stage.batch}"
        for stage in schedule.stages)]
    if schedule.complete >= total:
        lines.append(f"warning: the run ends at {total / 1000:g} kimg, but {as_text(config.sides)} "
                     f"has faded in only at {schedule.complete / 1000:g}: give more --epochs, or "
                     "shorter --stage-kimg in another OUT")
    return lines


def _other_rates(config):
    parts = [f" (D {config.d_adam_rate:.4g})" if config.d_lr else "",
             f" (mapping {config.adam_rate * config.mapping_multiplier:.4g})"
             if config.mapping_lr else ""]
    return "".join(parts)


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
    if config.d_dropout:
        terms.append(f"dropout {config.d_dropout:g}")
    if config.style_mixing:
        terms.append(f"style mixing {config.style_mixing:g}")
    return ", ".join(terms)


def _list(filters):
    return " ".join(map(str, filters))
