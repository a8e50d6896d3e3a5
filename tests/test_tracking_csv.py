import csv
import errno
import io
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from stylegan2_tf.errors import OutputError
from stylegan2_tf.tracking import CsvLog, csv_log

FIELDS = ["step", "nimg", "epoch", "seconds", "g_loss"]
HEADER = "step,nimg,epoch,seconds,g_loss\n"


def log_steps(log, steps):
    for step in steps:
        log.scalars({"g_loss": 1 / 3, "epoch": step}, step=step, nimg=4 * step, seconds=0.25)


def steps_of(path):
    with open(path, newline="") as stream:
        return [int(row["step"]) for row in csv.DictReader(stream)]


def test_numbers_are_compact_and_precise(tmp_path):
    log = CsvLog(tmp_path / "log.csv", FIELDS)
    loss = np.float32(0.12345678)
    log.scalars({"g_loss": loss, "epoch": 1.0}, step=np.int64(7), nimg=10**9, seconds=345600.5)
    log.scalars({"g_loss": float("nan"), "other": 3}, step=8, nimg=1, seconds=1e-9)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[1] == "7,1000000000,1,345600.5,0.1234568"
    assert lines[2] == "8,1,,1e-09,nan"
    assert np.float32(lines[1].split(",")[-1]) == pytest.approx(loss, rel=1e-6)


def test_a_row_is_on_disk_when_the_call_returns(tmp_path):
    code = (
        "import os, sys, signal; from stylegan2_tf.tracking import CsvLog\n"
        f"log = CsvLog(sys.argv[1], {FIELDS})\n"
        "for i in range(20): log.scalars({}, step=i, nimg=i, seconds=i)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "log.csv"
    done = subprocess.run([sys.executable, "-c", code, str(path)])
    assert done.returncode == -signal.SIGKILL
    assert steps_of(path) == list(range(20))


def test_resume_cuts_later_rows_and_goes_on(tmp_path):
    path = tmp_path / "log.csv"
    log_steps(CsvLog(path, FIELDS), range(10))
    log_steps(CsvLog(path, FIELDS, resume_step=6), range(7, 9))
    assert steps_of(path) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    CsvLog(path, FIELDS)
    assert steps_of(path) == [0]
    assert os.listdir(tmp_path) == ["log.csv"]


@pytest.mark.parametrize("cut", range(1, len("3,12,3,0.25,0.3333333\n")))
def test_a_torn_last_line_is_removed(tmp_path, cut):
    path = tmp_path / "log.csv"
    log_steps(CsvLog(path, FIELDS), range(4))
    os.truncate(path, path.stat().st_size - cut)
    log_steps(CsvLog(path, FIELDS, resume_step=100), [4])
    assert steps_of(path) == [0, 1, 2, 4]


@pytest.mark.parametrize("length", range(len(HEADER)))
def test_a_torn_header_is_written_anew(tmp_path, length):
    path = tmp_path / "log.csv"
    path.write_text(HEADER[:length])
    log_steps(CsvLog(path, FIELDS, resume_step=100), [101])
    assert path.read_text().startswith(HEADER)
    assert steps_of(path) == [101]
    assert os.listdir(tmp_path) == ["log.csv"]


def test_rubbish_rows_are_dropped(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(HEADER.encode() + b"1,4,1,0,1\n2,8\n\0\0\0\0\n\xff,1,1,1,1\n3,12,3,0,1\n")
    CsvLog(path, FIELDS, resume_step=100)
    assert path.read_text() == HEADER + "1,4,1,0,1\n3,12,3,0,1\n"


def test_other_columns_move_the_old_file_aside(tmp_path, capsys):
    path = tmp_path / "log.csv"
    for number, old in enumerate(["step,loss\n1,2\n", "step,other\n1,2\n"], start=1):
        path.write_text(old)
        log_steps(CsvLog(path, FIELDS, resume_step=1), [2])
        assert (tmp_path / f"log.csv.old-{number}").read_text() == old
        assert steps_of(path) == [2]
        assert len(capsys.readouterr().out.splitlines()) == 1


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, "/dev/full"):  # reading the latter would never end
        with pytest.raises(OutputError, match="must be a file"):
            CsvLog(path, FIELDS)


def test_step_must_be_a_column(tmp_path):
    with pytest.raises(ValueError, match="Received: fields="):
        CsvLog(tmp_path / "log.csv", ["nimg"])


class FullDisk(io.FileIO):
    """A file on a disk that takes a few more bytes and then no more."""

    def write(self, data):
        super().write(data[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_rows_wait_in_memory_while_the_disk_is_full(tmp_path, capsys, monkeypatch):
    path = tmp_path / "log.csv"
    log = CsvLog(path, FIELDS)
    log_steps(log, range(3))
    with monkeypatch.context() as patch:
        patch.setattr(csv_log, "open", lambda p, mode, buffering: FullDisk(p, mode), raising=False)
        log_steps(log, range(3, 8))
    assert steps_of(path) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "No space left on device; rows are kept in memory" in lines[0]
    log_steps(log, [8])
    assert steps_of(path) == list(range(9))
    assert "6 kept rows are written, 0 were lost" in capsys.readouterr().err
    log.close()
    assert capsys.readouterr().err == ""


def test_waiting_rows_are_bounded_and_the_loss_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(csv_log, "MAX_KEPT_ROWS", 4)
    log = CsvLog(tmp_path / "log.csv", FIELDS)
    log.path = "/dev/full"
    log_steps(log, range(10))
    log.close()
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert "lacks 10 rows" in told
    log.path = tmp_path / "log.csv"
    log_steps(log, [10])
    assert steps_of(log.path) == [7, 8, 9, 10]
    assert "4 kept rows are written, 7 were lost" in capsys.readouterr().err


def test_a_file_removed_meanwhile_gets_its_header_again(tmp_path):
    path = tmp_path / "log.csv"
    log = CsvLog(path, FIELDS)
    log_steps(log, [1])
    path.unlink()
    log_steps(log, [2])
    assert steps_of(path) == [2]
