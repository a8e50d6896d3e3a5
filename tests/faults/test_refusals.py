"""What cannot work is refused at once, in one line, with the right exit code."""

import dataclasses
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_run_folder import NEEDED, OTHER
from training import draw_discs

from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.options import SIZES, flag
from stylegan2_tf.run_folder import CHANGEABLE, RunFolder

ROOT = Path(__file__).parents[2]
TINY = [*"4 8 4 4 4".split(), *"--resolution 16 --batch 4 --latent 8 --epochs 2 --val 4".split()]
TRIES = 5  # the machine may be busy

pytestmark = pytest.mark.slow


def timed(command, enough):
    """(Result, seconds, seconds of the processor) of the fastest call; of few if `enough` soon."""
    calls = []
    for _ in range(TRIES):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        calls.append((seconds, work, result))
        if seconds < enough:
            break
    seconds, work, result = min(calls, key=lambda call: call[0])
    return result, seconds, work


def refused(arguments, code, text, enough, before=()):
    """Seconds, and seconds of the processor, until `run.py` has refused in one line."""
    result, seconds, work = timed([*before, sys.executable, "run.py", *arguments], enough)
    assert result.returncode == code, result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("run.py: error: ")
    assert text in result.stderr
    assert seconds < enough, f"{seconds:.1f} s, of which the processor {work:.1f} s"
    return seconds, work


@pytest.fixture
def data(tmp_path):
    return draw_discs(tmp_path / "data", 8, 16)


@pytest.fixture
def holder(data, tmp_path):
    """A training that has just begun in `tmp_path / "out"`."""
    lock = tmp_path / "out" / ".lock"
    process = subprocess.Popen([sys.executable, "run.py", data, tmp_path / "out", *TINY], cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (lock.exists() and f"pid {process.pid} " in lock.read_text()):
            assert process.poll() is None
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_second_run(holder, data, tmp_path, figures):
    """It is refused while the first one lives, and let in after that one is killed."""
    out = tmp_path / "out"
    seconds, work = refused([data, out, *TINY], 75, f"in use by pid {holder.pid} on ", 1.0)
    holder.send_signal(signal.SIGKILL)
    killed = time.perf_counter()
    holder.wait()
    with RunFolder(out):
        free = time.perf_counter() - killed
    assert free < 1
    figures("second run in a folder", f"exit 75 after {seconds:.2f} s ({work:.2f} s of the "
            f"processor), free {free:.2f} s after kill -9")


def test_starts_that_cannot_work(data, tmp_path, figures):
    out, empty, few = tmp_path / "out", tmp_path / "empty", tmp_path / "few"
    empty.mkdir()
    draw_discs(few, 3)
    (tmp_path / "file").write_text("mine")
    cases = {
        "OUT is a file": ([data, tmp_path / "file"], 74, f"output_dir {tmp_path}/file: "),
        "OUT below a file": ([data, tmp_path / "file" / "out"], 74, "output_dir "),
        "OUT in /proc": ([data, "/proc/out"], 74, "output_dir /proc/out: "),
        "OUT in the data": ([data, data / "out"], 2, "expected a folder outside"),
        "OUT with brackets": ([data, tmp_path / "out[1]"], 2, "could not be restored"),
        "empty folder": ([empty, out], 65, f"No images in {empty}: looked for .png"),
        "no folder": ([tmp_path / "none", out], 2, f"{tmp_path}/none does not exist"),
        "a file as the folder": ([tmp_path / "file", out], 2, "file is a file"),
        "too few images": ([few, out], 2, f"at most the 3 images in {few}, found 4; give at "
                           "least 4 images")}
    found = {name: refused([*paths, *TINY], code, text, 2.0)
             for name, (paths, code, text) in cases.items()}
    mounted = mounted_read_only(tmp_path / "disk")
    if mounted:
        found["read-only disk"] = refused([data, tmp_path / "disk", *TINY], 74,
                                          "Read-only file system", 2.0, mounted)
    name = max(found, key=found.get)
    seconds, work = found[name]
    figures("starts that cannot work", f"{len(found)} of {len(cases) + 1} kinds refused in one "
            f"line, most {seconds:.2f} s ({work:.2f} s of the processor): {name}")


def mounted_read_only(folder):
    """What must stand before a command for `folder` to be a read-only disk; None without root."""
    folder.mkdir()
    before = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none "$0" && exec "$@"',
              str(folder)]
    works = shutil.which("unshare") and not subprocess.run([*before, "true"],
                                                           capture_output=True).returncode
    return before if works else None


# -- the same command with one field changed


def command_line(values):
    """The arguments of `run.py` that give these values of fields."""
    words = [values["data_dir"], values["output_dir"], *(values[name] for name in SIZES)]
    for name, value in values.items():
        if name in ("data_dir", "output_dir", *SIZES) or value is None or value is False:
            continue
        words += [flag(name)] if value is True else [f"{flag(name)}={value}"]
    return list(map(str, words))


@pytest.fixture
def folder(tiny_config, tmp_path):
    """A function that makes a run folder with a checkpoint of a configuration."""
    def make(config):
        with RunFolder(config.output_dir) as folder:
            folder.write_config(config)
            (folder.checkpoints / "step-00000004").mkdir(parents=True, exist_ok=True)

    return make


def test_resuming_with_one_field_changed(folder, tiny_config, tmp_path, capsys, figures):
    """By the command line. What may change is said before anything else, here a missing folder."""
    fields = [field.name for field in dataclasses.fields(TrainConfig)]
    refusals = 0
    for number, name in enumerate(fields):
        out = tmp_path / f"{number}"
        saved = tiny_config(data_dir=str(tmp_path / "none"), output_dir=str(out),
                            **NEEDED.get(name, {}))
        folder(saved)
        old, new = getattr(saved, name), OTHER[name]
        if name in ("data_dir", "output_dir", "labels"):
            new = str(tmp_path / f"{name}-of-{number}")
        if name == "output_dir":
            out.rename(new)
        code = main(["train", *command_line({**saved.to_json(), name: new})])
        said = capsys.readouterr()
        assert len(said.err.splitlines()) == 1
        if name in CHANGEABLE:
            assert f"changed: {flag(name)} {old} -> {new}" in said.out
            assert "does not exist" in said.err and code == 2
        else:
            assert f"{flag(name)} (saved {old}, given {new})" in said.err and code == 2
            assert "changed: " not in said.out
            refusals += 1
    figures("resuming with one field changed", f"{len(fields)} of {len(fields)}: {refusals} "
            f"refused by name, {len(fields) - refusals} applied with a notice")


def test_the_names_of_the_fields_are_those_of_the_flags():
    """So that what is refused by name can be found in the help."""
    result = subprocess.run([sys.executable, "run.py", "--help"], capture_output=True, text=True,
                            cwd=ROOT, env=os.environ | {"COLUMNS": "200"})
    for field in dataclasses.fields(TrainConfig):
        assert re.search(rf"^\s+(-\w, )?{flag(field.name)}\b", result.stdout, re.MULTILINE)
