"""What a run's numbers depend on beside its configuration."""

import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stylegan2_tf import environment
from stylegan2_tf.environment import changes, describe

ROOT = Path(__file__).parents[1]
LAST = "since the last start: the numbers may differ in the last digits"
WHERE = "; bit for bit they are the same only on the same machine with as many threads"


def test_versions_and_the_machine(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS", raising=False)
    found = describe()
    assert json.loads(json.dumps(found)) == found
    assert found["python"] == platform.python_version()
    for name in ("stylegan2_tf", "tensorflow", "keras", "numpy"):
        assert found[name] == importlib.metadata.version(name)
    assert found["cores"] == len(os.sched_getaffinity(0)) and found["machine"]
    assert (found["OMP_NUM_THREADS"], found["TF_NUM_INTEROP_THREADS"]) == ("3", None)
    assert changes(found, describe()) == []


def test_no_name_of_machine_or_user_and_no_path(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "secret-host")
    monkeypatch.setattr(platform, "node", lambda: "secret-host")
    for variable in ("USER", "LOGNAME", "HOSTNAME"):
        monkeypatch.setenv(variable, "secret")
    text = json.dumps(describe())
    assert "secret" not in text and str(Path.home()) not in text and str(ROOT) not in text


def test_tensorflow_stays_out_and_gpus_are_not_asked_for():
    code = ("import sys\nfrom stylegan2_tf.environment import describe\n"
            "print(describe()['gpus'], bool({'tensorflow', 'keras'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "None False\n", result.stderr


def test_gpus_are_told_by_their_model(monkeypatch):
    def tensorflow(gpus):
        details = SimpleNamespace(get_device_details=lambda gpu: gpu)
        return SimpleNamespace(config=SimpleNamespace(
            list_physical_devices=lambda kind: gpus, experimental=details))

    for gpus, expected in (([], []), ([{"device_name": "H100"}, {}], ["H100", "GPU"])):
        monkeypatch.setitem(sys.modules, "tensorflow", tensorflow(gpus))
        assert describe()["gpus"] == expected


@pytest.mark.parametrize("before, now, line", [
    ({"keras": "3.15.1"}, {"keras": "3.16.0"}, f"note: keras 3.15.1 -> 3.16.0 {LAST}"),
    ({"keras": "1", "numpy": "1", "python": "1"}, {"keras": "2", "numpy": "2", "python": "1"},
     f"note: keras 1 -> 2, numpy 1 -> 2 {LAST}"),
    ({"commit": "0a"}, {"commit": None}, f"note: commit 0a -> not set {LAST}"),
    ({"cores": 2}, {"cores": 4}, f"note: cores 2 -> 4 {LAST}{WHERE}"),
    ({"OMP_NUM_THREADS": None}, {"OMP_NUM_THREADS": "1"},
     f"note: OMP_NUM_THREADS not set -> 1 {LAST}{WHERE}"),
    ({"gpus": []}, {"gpus": ["A", "B"]}, f"note: gpus none -> A and B {LAST}{WHERE}"),
    ({"cpu": "a\nb\x1b"}, {"cpu": "c"}, rf"note: cpu a\nb\x1b -> c {LAST}{WHERE}")])
def test_all_that_differs_is_on_one_line(before, now, line):
    assert changes(before, now) == [line]


@pytest.mark.parametrize("before, now", [
    ({}, {"keras": "1"}),  # no record
    ({"keras": "1", "jax": "2"}, {"keras": "1", "torch": "3"}),  # of another version
    ({"gpus": None}, {"gpus": []}), ({"gpus": ["A"]}, {"gpus": None})])  # not asked
def test_what_is_not_known_does_not_differ(before, now):
    assert changes(before, now) == []


def test_the_commit_of_a_checkout(tmp_path, monkeypatch):
    def commit_of(folder):
        monkeypatch.setattr(environment, "__file__", str(folder / "stylegan2_tf/environment.py"))
        return describe()["commit"]

    if subprocess.run(["git", "init", "-q", tmp_path / "repo"]).returncode:
        pytest.skip("no git")
    assert commit_of(tmp_path / "repo") is None  # nothing committed yet
    git = ["git", "-C", tmp_path / "repo", "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "m"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    assert commit_of(tmp_path / "repo") == commit[:12]
    assert commit_of(tmp_path / "repo" / "site-packages") is None  # installed inside another one
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(tmp_path / "repo") is None


def test_a_git_that_hangs_is_given_up(tmp_path, monkeypatch):
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nexec /bin/sleep 30\n")
    git.chmod(0o755)
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "GIT_SECONDS", 0.2)
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "stylegan2_tf/environment.py"))
    assert describe()["commit"] is None


def test_without_linux(monkeypatch):
    """macOS has neither /proc nor affinities."""
    monkeypatch.setattr("builtins.open", lambda *a, **more: (_ for _ in ()).throw(OSError()))
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert (environment._cpu(), environment._cores()) == ("arm", os.cpu_count())
