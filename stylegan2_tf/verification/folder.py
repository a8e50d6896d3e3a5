"""Checks of a run folder that need no TensorFlow: settings, log, pictures, decoded images.

Each is a generator of `Finding`s; other checks compare with what it returns.
"""

import fcntl
import json

import numpy as np

from stylegan2_tf.checkpoint_files import META
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.files import inside, sha256
from stylegan2_tf.manifest import MANIFEST
from stylegan2_tf.run_folder import read_config
from stylegan2_tf.sides import as_text
from stylegan2_tf.tracking.history import read_log
from stylegan2_tf.verification.finding import Finding, look, look_at_each

CONFIG = "config.json"
READ_ELSEWHERE = (CONFIG, META, MANIFEST)
PICTURES = (".png", ".gif", ".webp")
ENDS = {"GIF": b";", "PNG": b"IEND\xaeB`\x82"}  # Pillow does not miss them, nor GIF frames before


def check_is_run(run):
    """Refuse a folder in which no run ever started. Raises `DataError`."""
    if not any((run / name).exists() for name in (CONFIG, "log.csv", "checkpoints")):
        found = f"a folder without {CONFIG}" if run.is_dir() else (
            "a file" if run.exists() else "nothing there")
        raise DataError(f"{run}: expected the folder of a run, found {found}; give OUT of run.py")


def holder(run):
    """Who trains in the folder now, as told by its lock; None if nobody does, or nobody knows."""
    try:
        with open(run / ".lock", encoding="utf-8", errors="replace") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for an instant, without waiting
            except BlockingIOError:
                return lock.read().strip() or "another process"
    except OSError:  # no lock, or a file system without locks
        pass
    return None


def check_activity(run):
    """Whether a training goes on there."""
    found = holder(run)
    if found:
        yield Finding("note", "activity", f"in use by {found}: files may change while they are "
                      "read; what is bad may be so for a moment only")


def check_config(run):
    """Returns the `TrainConfig`, or None."""
    try:
        config = read_config(run)
    except DataError as error:
        yield Finding("bad", CONFIG, str(error))
        return None
    yield Finding("ok", CONFIG, f"{config.arch}, {as_text(config.sides)}x{config.channels}, "
                  f"{config.epochs} epochs")
    return config


def check_log(path):
    """Returns the step of the last row, 0 if there is none."""
    if not path.exists():
        yield Finding("note", path.name, "not there: no row was written yet")
        return 0
    try:
        steps = read_log(path)[0]["step"]
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[1:]
    except (OSError, KeyError) as error:
        yield Finding("bad", path.name, f"no log of a run ({one_line(error)})")
        return 0
    last = int(steps[-1]) if len(steps) else 0
    torn = lines.pop() != "" if lines else True  # the next start removes it
    backward = np.flatnonzero(np.diff(steps) <= 0)
    if len(steps) < len(lines):
        yield Finding("bad", path.name, f"{len(lines) - len(steps):,} of {len(lines):,} rows are "
                      "damaged")
    elif len(backward):
        before, after = steps[backward[0]:][:2]
        yield Finding("bad", path.name, f"step {after:.0f} follows step {before:.0f}")
    else:
        cut = "; the last line was cut by a kill, the next start removes it" if torn else ""
        yield Finding("note" if torn else "ok", path.name,
                      f"{len(steps):,} rows up to step {last}{cut}")
    return last


def check_files(run):
    """JSON and pictures, wherever they lie, and what a kill has left."""
    files = [path for path in sorted(run.rglob("*")) if path.relative_to(run).parts[0] != "cache"]
    leftovers = [path for path in files if path.name.startswith(".tmp-")]
    files = [path for path in files if path.is_file() and not {path, *path.parents} & {*leftovers}]
    texts = [path for path in files if path.suffix == ".json" and path.name not in READ_ELSEWHERE]
    pictures = [path for path in files if path.suffix in PICTURES]
    yield from look_at_each("JSON", texts, run, _parse)
    yield from look_at_each("pictures", pictures, run, _decode)
    for path in leftovers:
        yield Finding("note", str(path.relative_to(run)), "left by a kill, or just being written; "
                      "the next start removes it")


def _parse(path):
    json.loads(path.read_text(encoding="utf-8"))


def _decode(path):
    """Read a picture to the last pixel of its last frame."""
    from PIL import Image, ImageSequence

    with Image.open(path) as image:
        image.verify()  # checksums, which decoding passes over
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()
        if not path.read_bytes().endswith(ENDS.get(image.format, b"")):
            raise ValueError("the end is missing, and perhaps frames with it")


def check_caches(run, config):
    """The decoded images, if they lie in the folder."""
    if config is not None and config.cache and not inside(config.cache, run):
        yield Finding("note", "cache", f"lies outside, in {config.cache}: not looked at")
    for folder in sorted((run / "cache").glob("packed-*")):
        what = folder.relative_to(run)
        if (folder / "images.json").exists():
            yield look(what, _check_packed, folder)
        else:
            yield Finding("note", str(what), "not finished: the next start decodes the images")


def _check_packed(folder):
    record = json.loads((folder / "images.json").read_text(encoding="utf-8"))
    if sha256(folder / "images.npy") != record["fingerprint"]:
        raise DataError("images.npy has another sha256 than images.json says; remove this folder, "
                        "and the next start decodes the images again")
    return f"{len(record['files']) - len(record['skipped']):,} images, sha256 as in images.json"
