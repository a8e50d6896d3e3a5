"""A disk that is full at any byte: no crash, no good file lost, and the same command goes on."""

import collections
import contextlib
import csv
import json
import re
import subprocess

import numpy as np
import pytest
import writers
from PIL import Image
from processes import Ledger
from training import draw_discs, final_state, load_models, train

from stylegan2_tf.files import sha256
from stylegan2_tf.tracking import CsvLog

MIB = 2**20
BUDGETS = 20  # sizes of the disk, from 1 to 20 MiB
LIMITS = (20_000, 100_000, 1_000_000, 2_500_000)  # bytes of one file
ROOM = 64 * MIB
ROWS = 3000  # of a log; more than its disk holds
EXPLAINED = re.compile(r"[Nn]eed(ed)? [\d,]+ bytes,.*[\d,]+", re.DOTALL)


def command(data, out):
    """A run that leaves 24 MiB, most of it in checkpoints of 3.5 MiB."""
    return [data, out, 4, 80, 4, 44, 2, "--resolution", 8, "--batch", 4, "--latent", 8,
            "--val", 4, "--epochs", 7, "--keep", 6, "--mapping-layers", 1, "--augment", "none"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_discs(tmp_path_factory.mktemp("full") / "data", 4)


@pytest.fixture(scope="module")
def whole(nursery, data, tmp_path_factory):
    """What a run with enough room ends with."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(nursery, data, folder / "out", folder / "log")[0] == 0
    return nursery.call(final_state, folder / "out")


def run(nursery, data, out, log, limit=None):
    """Train without compiling. Returns (exit code, what was printed)."""
    log.write_text("")
    process = nursery.start(log, train, command(data, out), True, limit)
    process.join()
    return process.exitcode, log.read_text()


@contextlib.contextmanager
def disk(folder, size):
    """A disk of `size` bytes at `folder`. Yields a function that changes the size."""
    def mount(size, *more):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *more]),
                               "tmpfs", str(folder)], capture_output=True, text=True)

    folder.mkdir(exist_ok=True)
    done = mount(size)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield lambda size: mount(size, "remount")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def assert_whole(out):
    """Every file in a run folder is whole, but what the next start sweeps."""
    for folder in (out / "checkpoints").glob("step-*"):
        meta = json.loads((folder / "meta.json").read_text())
        for name, entry in meta["files"].items():
            assert sha256(folder / name) == entry["sha256"]
    for path in (*out.rglob("*.png"), *out.rglob("*.gif")):
        if not path.name.startswith(".tmp-"):
            with Image.open(path) as image:
                image.load()
    if (out / "config.json").exists():
        json.loads((out / "config.json").read_text())
    if (out / "log.csv").exists():
        with open(out / "log.csv", newline="") as stream:
            header, *rows = csv.reader(stream)
        assert all(len(row) == len(header) for row in rows)


def assert_survived(nursery, out, code, printed):
    """Whether a run that met a full disk ended well. Returns whether it did meet one."""
    full = "No space left" in printed or "File too large" in printed or "not enough" in printed
    assert code in (0, 74), printed
    assert "Traceback" not in printed, printed
    assert code == 0 or EXPLAINED.search(printed) or "can be written" in printed, printed
    assert_whole(out)
    nursery.call(load_models, out)
    return full


@pytest.mark.slow
def test_disks_of_many_sizes(nursery, figures, tmp_path, data, whole):
    full, codes = 0, collections.Counter()
    for size in np.random.default_rng(0).uniform(1, 20, BUDGETS) * MIB:
        with disk(tmp_path / "disk", int(size)) as resize:
            out = tmp_path / "disk" / "out"
            code, printed = run(nursery, data, out, tmp_path / "log")
            full += assert_survived(nursery, out, code, printed)
            codes[code] += 1
            resize(ROOM)
            code, printed = run(nursery, data, out, tmp_path / "log")
            assert code == 0, printed
            assert nursery.call(final_state, out) == whole
    figures("a full disk", f"{BUDGETS} sizes from 1 to 20 MiB, {full} of them too small, "
            f"{codes[74]} runs stopped, with needed and free bytes: 0 signals, 0 files lost, "
            "all went on to the same end")


@pytest.mark.parametrize("limit", [300_000, *(
    pytest.param(limit, marks=pytest.mark.slow) for limit in LIMITS)])
def test_files_of_bounded_size(nursery, figures, tmp_path, data, whole, limit):
    out, log = tmp_path / "out", tmp_path / "log"
    code, printed = run(nursery, data, out, log, limit)
    full = assert_survived(nursery, out, code, printed)
    assert full, printed
    code, printed = run(nursery, data, out, log)
    assert code == 0, printed
    assert nursery.call(final_state, out) == whole
    figures(f"no file over {limit:,} bytes", "0 signals, 0 files lost, went on to the same end")


@pytest.mark.slow
def test_a_log_whose_disk_is_full_at_random(figures, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "log.csv"
    log = CsvLog(path, writers.FIELDS)
    for step in range(1, ROWS + 1):
        log.path = path if rng.random() < 0.5 else "/dev/full"
        writers.log_rows(log, [step])
    log.path = path
    log.close()
    assert_logged(tmp_path)
    figures("log.csv at /dev/full, now and then", f"{ROWS:,} rows: 0 lost")


@pytest.mark.slow
def test_a_log_that_fills_its_disk(figures, tmp_path):
    with disk(tmp_path / "disk", 2**16) as resize:
        log = CsvLog(tmp_path / "disk" / "log.csv", writers.FIELDS)
        writers.log_rows(log, range(1, ROWS))
        assert (tmp_path / "disk" / "log.csv").stat().st_size <= 2**16
        resize(2**20)
        writers.log_rows(log, [ROWS])
        assert_logged(tmp_path / "disk")
    figures("log.csv on a full disk, emptied later", f"{ROWS:,} rows: 0 lost")


def assert_logged(folder):
    ledger = Ledger(folder / "ledger")
    ledger.kept = ledger.begun = ROWS
    assert writers.check_log(folder / "log.csv", ledger.path) == ROWS
