"""The run folder OUT: vetted, locked, and tied to one configuration.

    config.json  log.csv  losses.png  training.gif
    samples/  checkpoints/  Model/  tensorboard/  cache/  neptune/

Nothing here imports TensorFlow: a folder that cannot be used is refused at once.
"""

import fcntl
import os
import socket
import time
from pathlib import Path

from stylegan2_tf import files
from stylegan2_tf.config import from_json
from stylegan2_tf.errors import DataError, LockedError, OutputError, UsageError
from stylegan2_tf.options import flag

# What may differ when a run is resumed: none of these changes a number of the training.
CHANGEABLE = ("data_dir", "labels", "output_dir", "epochs", "checkpoint", "keep", "cache",
              "neptune", "metrics", "metrics_every", "best_metric", "on_collapse")
FORBIDDEN = "[]*?\\\n"  # in a path, TensorFlow reads these as patterns and loses checkpoints
MODEL_NAME = "generator.keras"
DISCRIMINATOR_NAME = "discriminator.keras"


def find_model(path):
    """The saved generator in a run folder, or in its `Model`; None if there is none."""
    for candidate in (Path(path) / MODEL_NAME, Path(path) / "Model" / MODEL_NAME):
        if candidate.is_file():
            return candidate
    return None


class RunFolder:
    """A locked run folder. Use it as a context manager; the lock ends with it.

    Args:
        path: Where the run writes. Created if absent.

    Raises:
        UsageError: The path cannot hold a run.
        OutputError: The folder cannot be written.
        LockedError: Another run holds it.
    """

    def __init__(self, path):
        vet(path)
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.log_file = self.path / "log.csv"
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"
        self.models = self.path / "Model"
        self.best = self.models / "best"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            files.write_text(self.path / ".probe", "x" * 65536)
            (self.path / ".probe").unlink()
            self._lock = self._take_lock()
            for folder in (self.path, self.samples, self.checkpoints, self.models, self.best):
                files.sweep(folder)
        except (OSError, ValueError) as error:
            raise OutputError(f"output_dir {self.path}: expected a folder that can be written, "
                              f"found: {error}; give another path or mend its "
                              "permissions") from error

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._lock.close()

    def _take_lock(self):
        lock = open(self.path / ".lock", "a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise LockedError(f"output_dir {self.path}: in use by {holder}; wait for it, stop "
                              "it, or give another OUT") from None
        lock.truncate(0)
        lock.write(f"pid {os.getpid()} on {socket.gethostname()} since "
                   f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        lock.flush()
        return lock

    def compare(self, config):
        """Refuse `config` if a run with another one lies here that has something to lose.

        Returns:
            Lines that say which fields differ and will be taken over.

        Raises:
            UsageError: A field differs that a resumed run cannot change; all are named.
            DataError: The saved configuration cannot be read.
        """
        if not any(self.checkpoints.glob("step-*")):
            return []
        saved = self._read_config().to_json()
        changed = [(name, old, getattr(config, name)) for name, old in saved.items()
                   if old != getattr(config, name)]
        refused = [f"{flag(name)} (saved {old}, given {new})" for name, old, new in changed
                   if name not in CHANGEABLE]
        if refused:
            raise UsageError(f"{self.path} holds a run with another configuration: "
                             f"{'; '.join(refused)}; give the saved values, or another OUT")
        return [f"changed: {flag(name)} {old} -> {new}" for name, old, new in changed]

    def write_config(self, config):
        """Write `config` to `config.json`, once nothing speaks against the run any more."""
        files.write_json(self.config_file, config.to_json())

    def _read_config(self):
        try:
            return from_json(self.config_file.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, AttributeError, UsageError) as error:
            raise DataError(f"{self.config_file}: expected the configuration of a run, found: "
                            f"{error}; restore the file or give another OUT") from error


def vet(path):
    """Refuse a path where checkpoints could not be restored from. Raises `UsageError`."""
    text = os.path.abspath(path)
    bad = sorted(set(text) & set(FORBIDDEN))
    if bad:
        raise UsageError(f"output_dir {text!r}: expected a path without any of [ ] * ? \\ and "
                         f"line breaks, found {' '.join(map(repr, bad))}; checkpoints there "
                         "could not be restored")
    if not str(path).strip():
        raise UsageError("output_dir: expected the path of a folder, found an empty text")
