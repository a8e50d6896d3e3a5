"""What Ctrl-C and SIGTERM leave of a command, and what it says."""

import importlib
import os
import signal

import pytest

from stylegan2_tf import files
from stylegan2_tf.cli import main, run_command

SIZES = ["data", "out", "4", "8", "4", "4", "4"]


@pytest.fixture
def stopped(monkeypatch, capsys):
    """A function that runs a command which is stopped, and returns its exit code and line."""
    def stop(act, name, *arguments):
        module = importlib.import_module(f"stylegan2_tf.cli.{name.replace('-', '_')}")
        monkeypatch.setattr(module, "run", act)
        code = run_command("train", list(arguments), "run.py", "run.py") if (
            name == "train") else main([name, *arguments])
        printed = capsys.readouterr()
        assert printed.out == ""
        return code, printed.err

    return stop


def interrupt(arguments):
    raise KeyboardInterrupt


@pytest.mark.parametrize("command, said", [
    (["train", *SIZES], "run.py: stopped; nothing was lost\n"),
    (["mix", "run", "new/out.png"], "stylegan2-tf: stopped: new/out.png was not finished\n"),
    (["generate", "run", "a\nb"], "stylegan2-tf: stopped: a\\nb was not finished\n"),
    (["evaluate", "run", "data"], "stylegan2-tf: stopped: report was not finished\n"),
    (["card", "run"], "stylegan2-tf: stopped\n"), (["info", "run"], "stylegan2-tf: stopped\n")])
def test_only_a_training_loses_nothing(stopped, command, said):
    assert stopped(interrupt, *command) == (130, said)


def test_what_is_being_written_is_removed_on_sigterm(stopped, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    (tmp_path / "out.png").write_text("old")

    def write(arguments):
        with files.replacing(arguments.out) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

    out = tmp_path / "out.png"
    assert stopped(write, "mix", "run", str(out)) == (
        143, f"stylegan2-tf: stopped: {out} was not finished\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert out.read_text() == "old" and signal.getsignal(signal.SIGTERM) == before
