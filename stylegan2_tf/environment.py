"""What a run's numbers depend on beside its configuration: versions, processor, threads.

No name of the machine or its user and no path is asked for. TensorFlow is not imported.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from stylegan2_tf.data import printable

PACKAGES = ("stylegan2_tf", "tensorflow", "keras", "numpy", "pillow")  # Pillow decodes the images
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
MACHINE = ("platform", "machine", "cpu", "cores", *THREADS, "gpus")
GIT_SECONDS = 2


def describe():
    """What this process runs on, ready for JSON.

    Returns:
        A dict; None stands for what is not known, not installed or not set. `gpus` is known only
        once TensorFlow is imported.
    """
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES},
            "commit": _commit(), "platform": platform.platform(), "machine": platform.machine(),
            "cpu": _cpu(), "cores": _cores(), **{name: os.environ.get(name) for name in THREADS},
            "gpus": _gpus()}


def changes(before, now):
    """Lines, at most one, on what differs between two answers of `describe`."""
    found = {name: (before[name], value) for name, value in now.items()
             if name in before and before[name] != value}
    if None in found.get("gpus", ()):  # one of the two did not ask
        del found["gpus"]
    if not found:
        return []
    listed = ", ".join(f"{name} {_shown(old)} -> {_shown(new)}"
                       for name, (old, new) in found.items())
    where = "; bit for bit they are the same only on the same machine with as many threads"
    return [f"note: {listed} since the last start: the numbers may differ in the last digits"
            f"{where if set(MACHINE) & set(found) else ''}"]


def _shown(value):
    if isinstance(value, list):
        return " and ".join(map(_shown, value)) or "none"
    return "not set" if value is None else printable(str(value))


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit():
    """The commit of this package where it is a checkout of its own, else None."""
    repository = Path(__file__).resolve().parents[1] / ".git"  # not one that it is installed in
    try:
        done = subprocess.run(
            ["git", f"--git-dir={repository}", "rev-parse", "--short=12", "HEAD"], text=True,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _cpu():
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            models = [line.split(":", 1)[1].strip() for line in stream if line[:10] == "model name"]
    except OSError:  # not Linux
        models = []
    return models[0] if models else platform.processor() or None


def _cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _gpus():
    """The model of each GPU that TensorFlow sees; None before it is imported."""
    tf = sys.modules.get("tensorflow")
    if tf is None:
        return None
    return [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
            for gpu in tf.config.list_physical_devices("GPU")]
