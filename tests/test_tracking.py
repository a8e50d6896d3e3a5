import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stylegan2_tf.errors import OutputError
from stylegan2_tf.tracking import Tracker, Trackers, make_trackers
from stylegan2_tf.tracking.base import reason, tagged

FIELDS = ["step", "nimg", "seconds", "g_loss"]


class Recorder(Tracker):
    name = "recorder"

    def __init__(self):
        self.calls = []

    def start(self, config):
        self.calls.append(("start", config))

    def scalars(self, values, *, step, nimg, seconds):
        self.calls.append(("scalars", values, step, nimg, seconds))

    def image(self, name, path, *, step):
        self.calls.append(("image", name, path, step))

    def artifact(self, name, path):
        self.calls.append(("artifact", name, path))

    def close(self, status="finished"):
        self.calls.append(("close", status))


class Broken(Tracker):
    name = "broken"

    def scalars(self, values, *, step, nimg, seconds):
        raise RuntimeError("\x1b[95m\nno\nluck\x1b[0m")

    def close(self, status="finished"):
        raise OSError("gone")


def test_every_call_reaches_every_tracker():
    first, second = Recorder(), Recorder()
    trackers = Trackers([first, second])
    trackers.start({"batch": 4})
    trackers.scalars({"g_loss": 1.0}, step=1, nimg=4, seconds=0.5)
    trackers.image("images", "a.png", step=1)
    trackers.artifact("final", "b.keras")
    trackers.close("stopped")
    assert first.calls == second.calls
    assert [call[0] for call in first.calls] == ["start", "scalars", "image", "artifact", "close"]
    assert first.calls[1] == ("scalars", {"g_loss": 1.0}, 1, 4, 0.5)
    assert first.calls[-1] == ("close", "stopped")


def test_a_tracker_that_raises_stops_neither_run_nor_others(capsys):
    recorder = Recorder()
    trackers = Trackers([Broken(), recorder])
    for step in range(5):
        trackers.scalars({"g_loss": 1.0}, step=step, nimg=step, seconds=step)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["tracker broken: RuntimeError: no luck; it is tried again"]
    trackers.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["tracker broken: 6 calls failed, their entries are missing"]
    assert len(recorder.calls) == 6


def test_a_stop_by_the_user_is_no_failure_of_a_tracker():
    class Interrupted(Tracker):
        def scalars(self, values, *, step, nimg, seconds):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trackers([Interrupted()]).scalars({}, step=1, nimg=1, seconds=1)


def test_base_tracker_does_nothing():
    tracker = Tracker()
    tracker.start({})
    tracker.scalars({}, step=1, nimg=1, seconds=1)
    tracker.image("a", "b", step=1)
    tracker.artifact("a", "b")
    tracker.close()


def test_names_and_messages():
    assert tagged("g_loss", "train") == "train/g_loss"
    assert tagged("eval/swd", "train") == "eval/swd"
    assert reason(ValueError()) == "ValueError"
    assert len(reason(ValueError("x" * 9999))) < 250


def test_the_package_imports_nothing_heavy():
    code = "import sys, stylegan2_tf.tracking; sys.exit(bool({'tensorflow', 'neptune', 'numpy'} & set(sys.modules)))"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_make_trackers_without_neptune(tmp_path):
    trackers = make_trackers(tmp_path, fields=FIELDS)
    trackers.scalars({"g_loss": 0.5}, step=1, nimg=4, seconds=2.0)
    trackers.close()
    assert [tracker.name for tracker in trackers.trackers] == ["csv", "tensorboard"]
    assert (tmp_path / "log.csv").read_text() == "step,nimg,seconds,g_loss\n1,4,2,0.5\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "tensorboard"]


def test_tensorboard_that_cannot_start_costs_one_line(tmp_path, capsys):
    (tmp_path / "tensorboard").write_text("in the way")
    trackers = make_trackers(tmp_path, fields=FIELDS)
    assert [tracker.name for tracker in trackers.trackers] == ["csv"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "tracker" in line]
    assert len(lines) == 1
    assert lines[0].endswith("training goes on without it")


def test_neptune_that_is_missing_costs_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "neptune", None)
    trackers = make_trackers(tmp_path, fields=FIELDS, neptune=True)
    trackers.scalars({"g_loss": 0.5}, step=1, nimg=4, seconds=2.0)
    trackers.close()
    assert [tracker.name for tracker in trackers.trackers] == ["csv", "tensorboard"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "neptune" in line]
    assert len(lines) == 1
    assert lines[0].startswith("tracker neptune: ModuleNotFoundError")
    assert lines[0].endswith("training goes on without it")


def test_csv_that_cannot_start_refuses_the_run(tmp_path):
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(OutputError, match="log.csv"):
        make_trackers(tmp_path, fields=FIELDS)


def test_a_tracker_has_one_call_at_a_time():
    """TensorBoard's file would be torn by two threads that write at once."""
    class Slow(Tracker):
        inside, overlaps = 0, 0

        def scalars(self, values, *, step, nimg, seconds):
            self.inside += 1
            self.overlaps += self.inside > 1
            time.sleep(0.002)
            self.inside -= 1

        def image(self, name, path, *, step):
            self.scalars({}, step=step, nimg=0, seconds=0)

    slow = Slow()
    trackers = Trackers([slow])
    with ThreadPoolExecutor(4) as pool:
        for number in range(40):
            pool.submit(trackers.image, "images", "a.png", step=number)
            pool.submit(trackers.scalars, {}, step=number, nimg=0, seconds=0.0)
    assert slow.overlaps == 0
