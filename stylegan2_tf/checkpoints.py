"""Checkpoints: the resumable state of a training, saved, verified, restored and pruned."""

import errno
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from stylegan2_tf import files
from stylegan2_tf.checkpoint_files import (
    check_identity,
    committed,
    folder_name,
    read_meta,
    set_aside,
    unusable,
    write_meta,
)
from stylegan2_tf.errors import DataError, NumericalError, OutputError, one_line

FAILURES_ALLOWED = 3  # saves that may fail in a row before the run stops
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # what TensorFlow appends to the key of a variable


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: `OUT/checkpoints`.
        state: Dict of lists of `tf.Variable`. Not Keras models: TensorFlow's checkpoint finds
            only some of the variables of a subclassed one, and says nothing.
        keep: How many to keep.
        identity: Dict of what a checkpoint must agree with (such as the fingerprint of the
            images); compared on restore.
    """

    def __init__(self, folder, state, *, keep, identity):
        self.folder = Path(folder)
        self.keep = keep
        self.identity = identity
        self._state = state
        self._checkpoint = tf.train.Checkpoint(**state)
        self._failures = 0

    def save(self, step, *, final=False, **counters):
        """Save the state as `step-<step>`, whole or not at all, and prune old ones.

        A failure is printed and forgiven twice, unless the save is `final`: training goes on
        and the next interval tries again. A state that is not finite is never written.

        Raises:
            OutputError: The third failure in a row, or that of a final save.
            NumericalError: A weight or moment is not finite.
        """
        name = self._not_finite()
        if name:
            raise NumericalError(f"{name} is not finite: no checkpoint is written; give a lower "
                                 "--lr with another OUT")
        try:
            self._write(step, counters)
            self._failures = 0
        except (OSError, tf.errors.OpError) as error:
            self._failures += 1
            free = shutil.disk_usage(self.folder.parent).free
            line = (f"checkpoint at step {step} not saved ({one_line(error)}); needed "
                    f"{self._size():,} bytes, free {free:,}")
            if final or self._failures >= FAILURES_ALLOWED:
                raise OutputError(f"{line}; the run stops after {self._failures} failures in a "
                                  "row; free some space and give the same command "
                                  "again") from error
            print(f"warning: {line}; training goes on and tries again", file=sys.stderr)

    def _write(self, step, counters):
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self.folder / folder_name(step)
        if final.exists():
            return  # the state is a function of the step: it is saved already
        if shutil.disk_usage(self.folder).free < 2 * self._size():
            raise OSError(errno.ENOSPC, "not enough space for a checkpoint and its copy")
        temporary = self.folder / f".tmp-{final.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            self._checkpoint.write(str(temporary / "state"))
            write_meta(temporary, {
                "step": step, **counters, "identity": self.identity,
                "versions": {"tensorflow": tf.__version__, "keras": keras.__version__}})
            temporary.rename(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        files.sync(self.folder)
        for old in committed(self.folder)[self.keep:]:
            shutil.rmtree(old, ignore_errors=True)

    def restore(self):
        """Restore the newest checkpoint that verifies.

        Returns:
            Its `meta.json` as a dict, or `None` where the run has no checkpoint yet.

        Raises:
            DataError: There are checkpoints but none can be used, or they belong to other images.
        """
        found = committed(self.folder)
        for path in found:
            try:
                meta = self.verify(path)
            except DataError as error:
                aside = _unused(path.with_name(path.name + ".bad"))
                path.rename(aside)
                print(f"warning: {error}; moved to {aside.name}, trying the one before",
                      file=sys.stderr)
                continue
            check_identity(meta, self.identity, self.folder)
            print(f"resumed at step {meta['step']} from {path}")
            return meta
        bad = set_aside(self.folder)
        if found or bad:
            raise DataError(f"{self.folder}: expected a checkpoint that can be restored, found "
                            f"only damaged ones ({', '.join(path.name for path in bad)}); "
                            "put back a good copy, or remove them to start anew")
        return None

    def verify(self, path):
        """Read a checkpoint into the state and make sure that it is all there. Moves no file.

        Returns:
            Its `meta.json` as a dict.

        Raises:
            DataError: A size or a hash is another than was written, it holds another state,
                more of it or less, or a number is not finite. The state is then undefined.
        """
        meta = read_meta(path)
        try:
            self._checkpoint.read(str(path / "state")).assert_consumed()
            name = self._not_finite()
            if name:
                raise ValueError(f"{name} is not finite")
        except (OSError, ValueError, TypeError, AssertionError, tf.errors.OpError) as error:
            raise unusable(path, error) from error
        return meta

    def _values(self):
        return [value for values in self._state.values() for value in values]

    def _size(self):
        return sum(int(np.prod(value.shape)) * 4 for value in self._values())

    def _not_finite(self):
        """Name of the first variable with a number that is not finite; None if there is none."""
        return next((value.name for value in self._values() if value.dtype.is_floating
                     and not np.isfinite(value.numpy()).all()), None)


def read_state(path):
    """Every variable in the checkpoint at `path`: its key, such as `generator/12` -> array."""
    reader = tf.train.load_checkpoint(str(path / "state"))
    return {key.removesuffix(VALUE): reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map() if key.endswith(VALUE)}


def _unused(path):
    """`path`, or `path` with the first number that makes it new."""
    candidates = (path.with_name(f"{path.name}{suffix}") for suffix in ("", *range(1, 1000)))
    return next(candidate for candidate in candidates if not candidate.exists())
