"""The run folder OUT: vetted, locked, and tied to one configuration.

    config.json  images.json  environment.json  log.csv  losses.png  training.gif
    samples/  checkpoints/  Model/  tensorboard/  cache/  neptune/

Nothing here imports TensorFlow: a folder that cannot be used is refused at once.
"""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from stylegan2_tf import environment, files
from stylegan2_tf.config import from_json
from stylegan2_tf.data import printable
from stylegan2_tf.errors import DataError, LockedError, OutputError, UsageError, one_line
from stylegan2_tf.options import flag

# What may differ when a run is resumed: none of these changes a number of the training, but
# `devices`, like another count of threads, its last digits.
CHANGEABLE = ("data_dir", "labels", "output_dir", "epochs", "devices", "checkpoint", "keep",
              "cache", "neptune", "metrics", "metrics_every", "best_metric", "on_collapse")
FORBIDDEN = "[]*?\\\n"  # in a path, TensorFlow reads these as patterns and loses checkpoints
MODEL_NAME = "generator.keras"
DISCRIMINATOR_NAME = "discriminator.keras"
LISTED = 5  # names of files in a line, at most, of each kind


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
        self.images_file = self.path / "images.json"
        self.environment_file = self.path / "environment.json"
        self.log_file = self.path / "log.csv"
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"
        self.models = self.path / "Model"
        self.best = self.models / "best"
        self._images = None  # what `images.json` will hold
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
        if not self._resumes():
            return []
        saved = read_config(self.path).to_json()
        changed = [(name, old, getattr(config, name)) for name, old in saved.items()
                   if old != getattr(config, name)]
        refused = [f"{flag(name)} (saved {old}, given {new})" for name, old, new in changed
                   if name not in CHANGEABLE]
        if refused:
            raise UsageError(f"{self.path} holds a run with another configuration: "
                             f"{'; '.join(refused)}; give the saved values, or another OUT")
        return [f"changed: {flag(name)} {old} -> {new}" for name, old, new in changed]

    def compare_images(self, packed):
        """Refuse other images than those that a run here was started with.

        A run of an older version did not note them down: its checkpoints alone then tell, by
        their fingerprint, that the images are others.

        Args:
            packed: `PackedImages` of the whole data folder, before any division.

        Returns:
            Lines that say which files have another name now, where that changes nothing.

        Raises:
            DataError: Images were added, removed, altered or put into another order.
        """
        self._images = {"fingerprint": packed.fingerprint,
                        "images": dict(zip(packed.names, packed.digests, strict=True))}
        saved = read_dict(self.images_file) if self._resumes() else {}
        before, now = saved.get("images"), self._images["images"]
        if not isinstance(before, dict):
            return []
        if saved.get("fingerprint") == packed.fingerprint:
            renamed = [f"{old} to {new}" for old, new in zip(before, now, strict=False)
                       if old != new]
            return [f"note: {len(renamed):,} images renamed since the start of the run "
                    f"({_listed(renamed)}); pixels and order are the same"] if renamed else []
        found = _differences(before, now, packed.skipped)
        listed = ", ".join(f"{len(names):,} {kind} ({_listed(names)})"
                           for kind, names in found.items() if names)
        if listed:
            raise DataError(f"data_dir: expected the {len(before):,} images that the run in "
                            f"{self.path} was started with, found {listed}; put them back as "
                            "they were, or give another OUT (--init-from takes these weights)")
        return []

    def compare_environment(self):
        """Lines on what a resumed run runs on now that it did not run on before."""
        if not self._resumes():
            return []
        return environment.changes(read_dict(self.environment_file), environment.describe())

    def write_config(self, config):
        """Write down what the run is, once nothing speaks against it any more.

        That is `config` itself, the environment, and the images that were compared.
        """
        files.write_json(self.config_file, config.to_json())
        files.write_json(self.environment_file, environment.describe())
        if self._images is not None:
            files.write_json(self.images_file, self._images)

    def _resumes(self):
        """Whether a run lies here that has something to lose."""
        return any(self.checkpoints.glob("step-*"))


def read_config(run):
    """The `TrainConfig` of a run folder. Raises `DataError`."""
    path = Path(run) / "config.json"
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError,
            UsageError) as error:
        raise DataError(f"{path}: expected the configuration of a run, found: "
                        f"{one_line(error)}; restore the file or give another OUT") from error


def read_dict(path):
    """The dict in a JSON file; an empty one where there is none, or a damaged one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _differences(before, now, skipped):
    """Kind of difference -> the names of the files; both are dicts of name -> digest."""
    gone, added = ([name for name in one if name not in other]
                   for one, other in ((before, now), (now, before)))
    names = {}  # digest -> the names that are gone
    for name in gone:
        names.setdefault(before[name], []).append(name)
    renamed = {name: names[now[name]].pop(0) for name in added if names.get(now[name])}
    gone = set(gone) - set(renamed.values())
    return {"added": [name for name in added if name not in renamed],
            "removed": [name for name in before if name in gone and name not in skipped],
            "unreadable": [name for name in before if name in gone and name in skipped],
            "altered": [name for name in now if before.get(name, now[name]) != now[name]],
            "renamed": [f"{old} to {new}" for new, old in renamed.items()]}


def _listed(names):
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return f"{', '.join(map(printable, names[:LISTED]))}{more}"


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
