"""Checkpoints: the resumable state of a training, saved, verified, restored and pruned.

`checkpoints/step-00000128/` holds TensorFlow's files and `meta.json`, which is written last:
a folder without it, or with a file whose size or hash differs, is not a checkpoint.
"""

import errno
import hashlib
import json
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from stylegan2_tf import files
from stylegan2_tf.errors import DataError, NumericalError, OutputError

FAILURES_ALLOWED = 3  # saves that may fail in a row before the run stops


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
        self._refuse_non_finite()
        try:
            self._write(step, counters)
            self._failures = 0
        except (OSError, tf.errors.OpError) as error:
            self._failures += 1
            free = shutil.disk_usage(self.folder.parent).free
            line = (f"checkpoint at step {step} not saved ({_reason(error)}); needed "
                    f"{self._size():,} bytes, free {free:,}")
            if final or self._failures >= FAILURES_ALLOWED:
                raise OutputError(f"{line}; the run stops after {self._failures} failures in a "
                                  "row; free some space and give the same command "
                                  "again") from error
            print(f"warning: {line}; training goes on and tries again", file=sys.stderr)

    def _write(self, step, counters):
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self.folder / f"step-{step:08d}"
        if final.exists():
            return  # the state is a function of the step: it is saved already
        if shutil.disk_usage(self.folder).free < 2 * self._size():
            raise OSError(errno.ENOSPC, "not enough space for a checkpoint and its copy")
        temporary = self.folder / f".tmp-{final.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            self._checkpoint.write(str(temporary / "state"))
            content = sorted(temporary.iterdir())
            meta = {
                "step": step, **counters, "identity": self.identity,
                "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
                "files": {path.name: {"size": path.stat().st_size, "sha256": files.sha256(path)}
                          for path in content}}
            files.write_json(temporary / "meta.json", {**meta, "sha256": _digest(meta)})
            for path in content:
                files.sync(path)
            temporary.rename(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        files.sync(self.folder)
        for old in self._committed()[self.keep:]:
            shutil.rmtree(old, ignore_errors=True)

    def restore(self):
        """Restore the newest checkpoint that verifies.

        Returns:
            Its `meta.json` as a dict, or `None` where the run has no checkpoint yet.

        Raises:
            DataError: There are checkpoints but none can be used, or they belong to other images.
        """
        found = self._committed()
        for path in found:
            try:
                meta = self._verify(path)
                self._checkpoint.read(str(path / "state")).assert_consumed()
            except (OSError, ValueError, KeyError, TypeError, AttributeError,
                    AssertionError, tf.errors.OpError) as error:
                aside = _unused(path.with_name(path.name + ".bad"))
                path.rename(aside)
                print(f"warning: {path.name} cannot be used ({_reason(error)}); moved to "
                      f"{aside.name}, trying the one before", file=sys.stderr)
                continue
            self._refuse_other_identity(meta)
            print(f"resumed at step {meta['step']} from {path}")
            return meta
        bad = sorted(self.folder.glob("step-*.bad*"))
        if found or bad:
            raise DataError(f"{self.folder}: expected a checkpoint that can be restored, found "
                            f"only damaged ones ({', '.join(path.name for path in bad)}); "
                            "put back a good copy, or remove them to start anew")
        return None

    def _committed(self):
        """What bears the name of a checkpoint, damaged or not, newest first."""
        return sorted((path for path in self.folder.glob("step-*") if path.suffix == ""),
                      reverse=True)

    def _verify(self, path):
        meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        if meta.pop("sha256") != _digest(meta):
            raise ValueError("meta.json has another sha256")
        for name, expected in meta["files"].items():
            if (path / name).stat().st_size != expected["size"]:
                raise ValueError(f"{name} has another size")
            if files.sha256(path / name) != expected["sha256"]:
                raise ValueError(f"{name} has another sha256")
        return meta

    def _refuse_other_identity(self, meta):
        for name, value in self.identity.items():
            if meta["identity"].get(name) != value:
                raise DataError(f"{self.folder}: the run was made with {name} "
                                f"{meta['identity'].get(name)}, found {value}; give the same "
                                "images and version of this package, or another OUT")

    def _values(self):
        return [value for values in self._state.values() for value in values]

    def _size(self):
        return sum(int(np.prod(value.shape)) * 4 for value in self._values())

    def _refuse_non_finite(self):
        for value in self._values():
            if value.dtype.is_floating and not np.isfinite(value.numpy()).all():
                raise NumericalError(f"{value.name} is not finite: no checkpoint is written; "
                                     "give a lower --lr with another OUT")


def _digest(meta):
    """SHA-256 of what `meta.json` holds beside it."""
    return hashlib.sha256(json.dumps(meta).encode()).hexdigest()


def _unused(path):
    """`path`, or `path` with the first number that makes it new."""
    candidates = (path.with_name(f"{path.name}{suffix}") for suffix in ("", *range(1, 1000)))
    return next(candidate for candidate in candidates if not candidate.exists())


def _reason(error):
    return " ".join(str(error).split())[:200] or type(error).__name__
