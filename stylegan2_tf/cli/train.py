"""`stylegan2-tf train`, which is also `run.py`: check everything cheap, then train."""

import contextlib
import dataclasses
from pathlib import Path

from stylegan2_tf.config import (
    GROUP_SIZE, SIZES, TrainConfig, flag, make_config, preset_values, value_type)
from stylegan2_tf.errors import StyleGANError, UsageError
from stylegan2_tf.run_folder import RunFolder

SHORT = {"neptune": ["-n"]}


def add_arguments(parser):
    """Make the flags from the fields of `TrainConfig`; what is not given stays None."""
    groups = {}
    for field in dataclasses.fields(TrainConfig):
        meta = field.metadata
        title = meta["group"]
        if title not in groups:
            groups[title] = (parser if title == "positional"
                             else parser.add_argument_group(title))
        add = groups[title].add_argument
        text = _help(field)
        if title == "positional":
            optional = dict(nargs="?") if field.name in SIZES else {}
            add(field.name, type=value_type(field), help=text, metavar=field.name, **optional)
        elif value_type(field) is bool:
            add(*SHORT.get(field.name, []), flag(field.name), action="store_true", default=None,
                help=text)
        else:
            add(flag(field.name), type=value_type(field), choices=meta["choices"], help=text,
                metavar=None if meta["choices"] else value_type(field).__name__.upper())
    groups["output"].add_argument(
        "--dry-run", action="store_true",
        help="print sizes, parameters, memory and the time to expect, and write nothing")


def run(arguments):
    """Train, or with `--dry-run` only say what would happen. Returns the exit code."""
    given = dict(vars(arguments))
    dry_run = given.pop("dry_run")
    config = make_config(given)
    for line in _explain_preset(config) + _warnings(config):
        print(line)
    if dry_run:
        from stylegan2_tf.cli.dry_run import report

        with _explained_memory(config):
            return report(config)
    with RunFolder(config.output_dir) as folder:
        return _train(config, folder)


def _train(config, folder):
    from stylegan2_tf.data import pack
    from stylegan2_tf.tf_quiet import import_tensorflow, quiet_stderr

    for line in folder.compare(config):
        print(line)
    images = pack(config.data_dir, config.cache or folder.path / "cache",
                  resolution=config.resolution, channels=config.channels, fit=config.fit)
    check_count(config, len(images))
    folder.write_config(config)
    for notice in images.notices:
        print(f"note: {notice}")
    import_tensorflow()
    with quiet_stderr():
        from stylegan2_tf.trainer import Trainer

    with _explained_memory(config):
        trainer = Trainer(config, images, folder)
        for line in summary(config, len(images), trainer.step_function):
            print(line)
        code = trainer.run()
    print(f"pictures {folder.samples}\ngif      {folder.path / 'training.gif'}\n"
          f"losses   {folder.path / 'losses.png'}\nmodel    {folder.models}")
    return code


def check_count(config, count):
    """Refuse a batch that is larger than the data set. Raises `UsageError`."""
    if config.batch > count:
        raise UsageError(f"--batch: expected at most the {count} images in {config.data_dir}, "
                         f"found {config.batch}; give --batch {max(count, GROUP_SIZE)} or less, "
                         "or more images")


def summary(config, count, step_function):
    """Lines that say what is trained on what: the derived settings a user should see once."""
    generator = step_function.generator.count_params()
    discriminator = step_function.discriminator.count_params()
    total = config.epochs * count
    if config.loss == "wgan-gp":
        penalty = f"gradient penalty {config.gradient_penalty_weight:g}"
    else:
        penalty = f"R1 gamma {config.r1_weight:.4g} every {config.r1_interval} steps"
    return [
        f"images         {count:,} of {config.resolution}x{config.resolution}x{config.channels} "
        f"from {Path(config.data_dir)}",
        f"generator      {generator:,} parameters; channels from {config.g_input_res}x"
        f"{config.g_input_res} up: {_list(config.generator_filters)}",
        f"discriminator  {discriminator:,} parameters; channels from {config.resolution}x"
        f"{config.resolution} down to {config.d_final_res}x{config.d_final_res}: "
        f"{_list(config.discriminator_filters)}",
        f"training       {config.epochs} epochs, {total / 1000:.1f} kimg, "
        f"{-(-total // config.batch):,} steps of {config.batch}; {config.loss}, {penalty}",
        f"rates          Adam {config.adam_rate:.4g} = lr {config.lr:g} x "
        f"{config.adam_rate / config.lr:g}, beta {config.beta:g}, {config.beta2:g}; average "
        f"half-life {config.ema_images / 1000:g} kimg; alpha {config.alpha(0):g} to "
        f"{config.alpha(config.epochs - 1):.3g}",
    ]


def _list(filters):
    return " ".join(map(str, filters))


def _help(field):
    meta = field.metadata
    unit = f" {meta['unit']}" if meta["unit"] else ""
    if meta["group"] == "positional":
        return meta["help"] + (f" [{meta['unit']}]" if meta["unit"] else "")
    if field.default is None:
        return meta["help"] + (f" [{meta['unit']}]" if meta["unit"] else "")
    default = "off" if field.default is False else f"{field.default}{unit}"
    return f"{meta['help']} (default: {default})"


def _explain_preset(config):
    if config.preset is None:
        return []
    values = preset_values(config.preset, config.resolution)
    return [f"preset {config.preset}: " + ", ".join(
        f"{flag(name)} {getattr(config, name)}"
        + ("" if getattr(config, name) == value else f" (given; preset {value})")
        for name, value in values.items())]


def _warnings(config):
    rest = config.batch % GROUP_SIZE
    if not rest:
        return []
    group = max(size for size in range(1, GROUP_SIZE + 1) if config.batch % size == 0)
    return [f"note: --batch {config.batch} is not a multiple of {GROUP_SIZE}: minibatch stddev "
            f"uses groups of {group}"]


@contextlib.contextmanager
def _explained_memory(config):
    """Say which flag helps when the memory of the device or the machine is used up."""
    try:
        yield
    except Exception as error:  # by name: TensorFlow may not be imported yet
        if type(error).__name__ not in ("MemoryError", "ResourceExhaustedError"):
            raise
        raise StyleGANError(
            f"out of memory with --batch {config.batch} at --resolution {config.resolution}: "
            f"give a smaller --batch ({' '.join(str(error).split())[:120]})") from error
