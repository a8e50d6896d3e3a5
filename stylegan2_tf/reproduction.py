"""A run once more: its command line, and its training repeated and compared bit by bit."""

import dataclasses
import shlex
from pathlib import Path

from stylegan2_tf import environment
from stylegan2_tf.checkpoint_files import check_identity, committed, folder_name, read_meta
from stylegan2_tf.comparison import compare_logs, compare_states, names_of
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import divide, division_of
from stylegan2_tf.errors import DataError, LockedError, UsageError
from stylegan2_tf.files import inside
from stylegan2_tf.manifest import generator_file
from stylegan2_tf.options import AUTO, SIZES, flag
from stylegan2_tf.preparation import open_images
from stylegan2_tf.presets import preset_values
from stylegan2_tf.run_folder import read_config, read_dict
from stylegan2_tf.schedule import Schedule
from stylegan2_tf.team import make_team
from stylegan2_tf.tf_quiet import quiet_stderr
from stylegan2_tf.verification import check_is_run, holder

NO_CAUSE = ("no other version, machine or number of threads is recorded; numbers are the same bit "
            "for bit only where these are, and on a GPU perhaps not even there")


@dataclasses.dataclass(frozen=True)
class Record:
    """What a run folder tells of its training.

    Attributes:
        path: The folder.
        config: Its `TrainConfig`.
        meta: `meta.json` of the newest checkpoint that is whole, None without one.
        damaged: Lines on newer checkpoints that are not.
        environment: What `environment.describe` gave when the run started last; of older runs
            only the versions that the checkpoint names, or nothing.
    """

    path: Path
    config: TrainConfig
    meta: dict | None
    damaged: tuple
    environment: dict


def read_record(path):
    """Read what is recorded in a run folder. Raises `DataError` if it is none."""
    run = Path(path)
    check_is_run(run)
    config, meta, damaged = read_config(run), None, []
    for checkpoint in committed(run / "checkpoints"):
        try:
            meta = read_meta(checkpoint)
            break
        except DataError as error:
            damaged.append(str(error))
    recorded = read_dict(run / "environment.json") or (meta or {}).get("versions", {})
    return Record(run, config, meta, tuple(damaged), recorded)


# -- the command line


def command_line(config, output_dir):
    """The command that trains as `config` says, quoted for a shell.

    All that its preset set is given, too: a later version may set something else.

    Args:
        config: A `TrainConfig`.
        output_dir: Where the command shall write.
    """
    preset = preset_values(config.preset, config.resolution, config.arch)
    words = ["python", "run.py", config.data_dir, str(output_dir),
             *(str(getattr(config, name)) for name in SIZES)]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.metadata["group"] != "positional" and (
                value != field.default or field.name in preset):
            words += _words(flag(field.name), value)
    return shlex.join(words)


def _words(name, value):
    if value is True:
        return [name]
    text = AUTO if value is None else str(value)
    return [f"{name}={text}"] if text.startswith("-") else [name, text]


# -- the repetition


def config_of_repetition(record, output_dir):
    """The configuration that repeats a run: images decoded anew, nothing sent anywhere.

    Raises:
        UsageError: `output_dir` is the run itself or holds a run that went on further.
        DataError: There is no checkpoint to compare with, or `--init-from` leads nowhere.
        LockedError: The run goes on.
    """
    if inside(output_dir, record.path) or inside(record.path, output_dir):
        raise UsageError(f"--run {output_dir}: expected a folder apart from {record.path}, found "
                         "the same or one inside the other")
    user = holder(record.path)
    if user:  # the checkpoint would be gone by the time that the repetition has reached it
        raise LockedError(f"{record.path}: expected a run that has ended, found it in use by "
                          f"{user}; wait for it or stop it")
    if record.meta is None:
        raise DataError(f"{record.path}: expected a checkpoint to compare with, found none that is "
                        "whole; stylegan2-tf verify tells more")
    if record.config.init_from is not None:
        generator_file(record.config.init_from)
    goal = Path(output_dir) / "checkpoints" / folder_name(record.meta["step"])
    if not goal.exists() and any(path > goal for path in committed(goal.parent)):
        raise UsageError(f"--run {output_dir}: expected a fresh folder, or one with a repetition "
                         f"of {record.path}, found a run beyond step {record.meta['step']}")
    return dataclasses.replace(record.config, output_dir=str(output_dir), cache=None,
                               neptune=False)


def repeat(record, config, folder):
    """Train as `record` tells, up to as many images.

    Args:
        record: A `Record`.
        config: What `config_of_repetition` gave.
        folder: The locked `RunFolder` of the repetition; its own checkpoint is gone on from.

    Returns:
        (exit code of the training, names of the variables for `judge`).

    Raises:
        DataError: The images are others than those of the run, or this version of the package
            trains otherwise.
    """
    images, holdout = _images(record, config, folder)
    team = make_team(config)
    with quiet_stderr():
        from stylegan2_tf.trainer import Trainer

    for line in folder.compare_environment():
        print(line)
    trainer = Trainer(config, images, folder, holdout, team)
    check_identity(record.meta, trainer.keeper.checkpoints.identity, record.path)
    # Stages follow from the --epochs that the run was started with, which may have changed since.
    trainer.schedule = Schedule(config, trainer.total, record.meta["stages"])
    return trainer.run(until=record.meta["nimg"]), names_of(trainer.step_function.state)


def _images(record, config, folder):
    """(`PackedImages` to train on, those held out or None), once they are known to be the same."""
    for line in folder.compare(config):
        print(line)
    packed = open_images(config.data_dir, folder.path / "cache", resolution=config.sides,
                         channels=config.channels, fit=config.fit)
    for line in folder.compare_images(packed):
        print(line)
    images, holdout, _ = divide(packed, **division_of(config.to_json()))
    expected = record.meta["identity"].get("images", images.fingerprint)
    if images.fingerprint != expected:
        raise DataError(f"data_dir {config.data_dir}: expected the images that {record.path} was "
                        f"trained on, with the fingerprint {expected[:12]}, found {len(images):,} "
                        f"with {images.fingerprint[:12]}; give their folder with --data")
    return images, holdout


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a repetition has `equal` numbers, `lines` on all that was compared, and a sum."""

    equal: bool
    lines: tuple
    summary: str


def judge(record, output_dir, names):
    """Compare a run with its repetition.

    Args:
        record: A `Record`.
        output_dir: Folder of the repetition.
        names: What `repeat` returned.

    Returns:
        A `Verdict`.

    Raises:
        DataError: One of the checkpoints is gone or damaged.
    """
    from stylegan2_tf.checkpoints import read_state

    out, step = Path(output_dir), record.meta["step"]
    paths = [folder / "checkpoints" / folder_name(step) for folder in (record.path, out)]
    before, meta = map(read_meta, paths)
    groups = compare_states(*map(read_state, paths), names)
    lines = [_about(group, count, found) for group, (count, found) in groups.items()]
    counters = [f"{name}: {before[name]} against {meta[name]}"
                for name in ("nimg", "rollbacks", "stages") if before[name] != meta[name]]
    lines.append(f"counters: {'; '.join(counters) or f'equal, at step {step}'}")
    rows, differing, notes = compare_logs(record.path / "log.csv", out / "log.csv", step)
    lines += [f"log.csv: {line}" for line in differing or [f"{rows:,} of {rows:,} rows equal"]]
    lines += [f"note: {line}" for line in notes]
    total = sum(count for count, _ in groups.values())
    unequal = sum(len(found) for _, found in groups.values())
    if unequal or counters or differing:
        besides = "" if unequal else ", but log or counters do"
        return Verdict(False, tuple(lines), f"not reproduced: {unequal:,} of {total:,} variables "
                       f"differ{besides}; {_cause(record, out)}")
    return Verdict(True, tuple(lines), f"reproduced: all {total:,} variables are equal bit by bit")


def _about(group, count, found):
    line = f"{group}: {count - len(found):,} of {count:,} variables equal"
    if not found:
        return line
    worst = max(found, key=lambda difference: difference.largest)
    place = f"[{', '.join(map(str, worst.place))}]" if worst.place else ""
    return f"{line}, apart by {worst.largest:.3g} at most, in {worst.name}{place}"


def _cause(record, out):
    """The differences of versions and machine that are known."""
    changes = environment.changes(record.environment,
                                  read_dict(Path(out) / "environment.json"))
    return " ".join(changes).removeprefix("note: ") or NO_CAUSE
