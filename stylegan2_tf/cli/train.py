"""`stylegan2-tf train`, which is also `run.py`: check everything cheap, then train."""

import contextlib
import dataclasses
import os

from stylegan2_tf.cli.summary import (
    check_apart,
    check_count,
    explain_preset,
    summary,
    warnings,
)
from stylegan2_tf.cluster import find_cluster, workers_of
from stylegan2_tf.config import TrainConfig, make_config
from stylegan2_tf.errors import DataError, StyleGANError, UsageError
from stylegan2_tf.fields import PRIVATE
from stylegan2_tf.options import AUTO, SIZES, Sides, flag, may_be_auto, value_type
from stylegan2_tf.run_folder import RunFolder
from stylegan2_tf.team import check_batches, make_team

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
            add(field.name, type=_reader(field), help=text, metavar=field.name, **optional)
        elif value_type(field) is bool:
            add(*SHORT.get(field.name, []), flag(field.name), action="store_true", default=None,
                help=text)
        else:
            several = dict(nargs="+") if field.name == "classes" else {}
            add(flag(field.name), type=_reader(field), choices=meta["choices"], help=text,
                metavar=None if meta["choices"] else value_type(field).__name__.upper(), **several)
    groups["output"].add_argument(
        "--dry-run", action="store_true",
        help="print sizes, parameters, memory and the time to expect, and write nothing")


def run(arguments):
    """Train, or with `--dry-run` only say what would happen. Returns the exit code."""
    from stylegan2_tf.preparation import check_fit

    given = dict(vars(arguments))
    dry_run = given.pop("dry_run")
    if given["classes"] is not None:
        given["classes"] = ",".join(given["classes"])
    if given["labels"] is not None:  # evaluate reads it again, from another folder
        given["labels"] = os.path.abspath(given["labels"])
    config = make_config(given)
    check_fit(config.data_dir, config.fit)
    for line in explain_preset(config) + warnings(config):
        print(line)
    if dry_run:
        from stylegan2_tf.cli.dry_run import report

        with _explained_memory(config):
            return report(config)
    check_apart(config)
    cluster = find_cluster(os.environ)
    check_batches(config, config.devices * workers_of(cluster))
    if cluster is None:
        with RunFolder(config.output_dir) as folder:
            return _train(config, folder)
    team = make_team(config)  # first of all: if one worker is refused below, the others learn it
    with team.explained_loss():
        if not team.chief:
            return _follow(config, team)
        with RunFolder(config.output_dir) as folder:
            return _train(config, folder, team)


def _train(config, folder, team=None):
    from stylegan2_tf.data import divide, division_of, find_images
    from stylegan2_tf.preparation import is_plain, open_images
    from stylegan2_tf.tf_quiet import quiet_stderr

    for line in folder.compare(config):
        print(line)
    if is_plain(config.data_dir):
        check_count(config, len(find_images(config.data_dir)))
    packed = open_images(config.data_dir, config.cache or folder.path / "cache",
                         resolution=config.sides, channels=config.channels, fit=config.fit)
    for line in folder.compare_images(packed):
        print(line)
    images, holdout, lines = divide(packed, **division_of(config.to_json()))
    check_count(config, len(images))
    for line in [*(f"note: {notice}" for notice in packed.notices), *lines]:
        print(line)
    team = team or make_team(config)
    team.agree([config.to_json(), images.fingerprint])
    with quiet_stderr():
        from stylegan2_tf.trainer import Trainer

    with _explained_memory(config):
        trainer = Trainer(config, images, folder, holdout, team)
        for line in [*folder.compare_environment(),
                     *summary(config, len(images), trainer.step_function)]:
            print(line)
        if team.replicas > 1:
            print(f"replicas       {team.replicas} in {team.workers} processes; each takes "
                  f"{config.batch // team.replicas} images of a batch")
        code = trainer.run()
    print(f"pictures {folder.samples}\ngif      {folder.path / 'training.gif'}\n"
          f"losses   {folder.path / 'losses.png'}\nmodel    {folder.models}")
    return code


def _follow(config, team):
    """Train along with the chief, and write nothing but the cache of the images."""
    from stylegan2_tf.data import divide, division_of
    from stylegan2_tf.preparation import open_images
    from stylegan2_tf.tf_quiet import quiet_stderr

    chief, fingerprint = team.agree(None)
    own = config.to_json()
    others = [f"{flag(name)} ({own[name]}, the chief's is {value})"  # but for paths
              for name, value in chief.items() if own[name] != value and name not in PRIVATE]
    if others:
        raise UsageError(f"worker {team.worker}: expected the chief's command, found another "
                         f"{', '.join(others)}; start all workers with the same one")
    packed = open_images(
        config.data_dir, config.cache or os.path.join(config.output_dir, "cache"),
        resolution=config.sides, channels=config.channels, fit=config.fit)
    images, holdout, _ = divide(packed, **division_of(own))
    if images.fingerprint != fingerprint:
        raise DataError(f"data_dir {config.data_dir}: expected the chief's images on worker "
                        f"{team.worker}, found others; give all workers the same files")
    with quiet_stderr():
        from stylegan2_tf.trainer import Trainer

    with _explained_memory(config):
        return Trainer(config, images, None, holdout, team).run()


def _reader(field):
    """What makes a value of a flag's text; `auto` stays as it is where a field may be open."""
    kind = _read_sides if field.type == Sides else value_type(field)

    def read(text):
        return text if text == AUTO and may_be_auto(field) else kind(text)

    read.__name__ = kind.__name__  # argparse names it in its errors
    return read


def _read_sides(text):
    return int(text) if text.isdigit() else text


def _help(field):
    text, unit = field.metadata["help"], field.metadata["unit"]
    if field.metadata["group"] == "positional" or field.default is None:
        return f"{text} [{unit}]" if unit else text
    default = "off" if field.default is False else f"{field.default} {unit}".rstrip()
    return f"{text} (default: {default})"


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
