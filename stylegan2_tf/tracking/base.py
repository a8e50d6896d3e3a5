"""The small interface that every log of a run has, and the fan-out to several of them."""

import re
import sys
import threading


class Tracker:
    """One log of a run. Every method does nothing until a subclass overrides it.

    A method may raise: `Trackers` keeps the failure away from the training loop.
    """

    name = "tracker"

    def start(self, config):
        """Record the configuration of the run: a flat `dict`, see `TrainConfig.public`."""

    def scalars(self, values, *, step, nimg, seconds):
        """Record numbers, such as `{"g_loss": 0.7, "d_loss": 1.2}`.

        Args:
            values: From name to number. A plain name belongs to training; a name
                with a slash, such as `eval/swd`, is kept as it is.
            step: Optimizer steps done since the first start of the run.
            nimg: Real images shown since the first start of the run.
            seconds: Time spent in training since the first start of the run.
        """

    def image(self, name, path, *, step):
        """Record the PNG at `path`, such as a grid of samples, under `name`."""

    def artifact(self, name, path):
        """Record the file at `path`, such as the final model, under `name`."""

    def close(self, status="finished"):
        """Write what is left and let go of files and connections."""


class Trackers(Tracker):
    """Hands every call to each tracker of a list; none of them can stop the run.

    Threads may call it at the same time: pictures come from one of their own.

    A tracker that raises is tried again at the next call: a full disk may be
    emptied, and a failure costs no time. Its first failure prints one line, later
    ones are silent, and `close` prints how many of its calls were lost.

    Args:
        trackers: List of `Tracker`.
    """

    def __init__(self, trackers):
        self.trackers = list(trackers)
        self._failures = [0] * len(self.trackers)
        self._one_at_a_time = threading.Lock()

    def start(self, config):
        self._each("start", config)

    def scalars(self, values, *, step, nimg, seconds):
        self._each("scalars", values, step=step, nimg=nimg, seconds=seconds)

    def image(self, name, path, *, step):
        self._each("image", name, path, step=step)

    def artifact(self, name, path):
        self._each("artifact", name, path)

    def close(self, status="finished"):
        self._each("close", status)
        for tracker, failures in zip(self.trackers, self._failures):
            if failures:
                complain(tracker.name, f"{failures} calls failed, their entries are missing")

    def _each(self, method, *args, **kwargs):
        for i, tracker in enumerate(self.trackers):
            try:
                with self._one_at_a_time:
                    getattr(tracker, method)(*args, **kwargs)
            except Exception as error:
                if not self._failures[i]:
                    complain(tracker.name, f"{reason(error)}; it is tried again")
                self._failures[i] += 1


def tagged(name, group):
    """Return `group/name`, or `name` itself where it already has a group."""
    return name if "/" in name else f"{group}/{name}"


def reason(error):
    """Return what `error` says on one short line, without terminal colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = " ".join(text.split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def complain(name, text):
    """Print one line about the tracker `name` to stderr."""
    print(f"tracker {name}: {text}", file=sys.stderr, flush=True)
