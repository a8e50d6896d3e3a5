"""`log.csv`: the log that loses no row, whatever happens to the disk or the process."""

import contextlib
import errno
import math
import numbers
import os
from collections import deque
from pathlib import Path

from stylegan2_tf.errors import OutputError
from stylegan2_tf.files import write_text
from stylegan2_tf.tracking.base import Tracker, complain

MAX_KEPT_ROWS = 10_000


class CsvLog(Tracker):
    """One line of numbers a call, written and flushed at once.

    A row that can't be written, on a full disk for instance, stays in memory and
    is written with the next one: one line says so, another says when it succeeded.
    At most `MAX_KEPT_ROWS` rows wait so; beyond that the oldest are lost, and
    counted in the message.

    On resume, rows later than the restored step are cut, and so is a last line
    that a kill tore. A file with other columns is moved aside to `log.csv.old-1`.

    Args:
        path: The file; its folder must exist.
        fields: Names of the columns: `step`, and others such as `nimg`, `epoch`,
            `seconds`, `g_loss`. A value that a call lacks is left empty; a value
            that is no column is not written here.
        resume_step: Step of the restored checkpoint, 0 for a fresh run.

    Raises:
        OutputError: `path` is there and is no file, or can't be read, cut or moved aside.
    """

    name = "csv"

    def __init__(self, path, fields, resume_step=0):
        if "step" not in fields:
            raise ValueError(f"`fields` must hold 'step'. Received: fields={fields}")
        self.path = Path(path)
        self.fields = list(fields)
        self._header = ",".join(self.fields) + "\n"
        self._kept = deque(maxlen=MAX_KEPT_ROWS)
        self._lost = 0
        self._failing = False
        if self.path.exists() and not self.path.is_file():
            raise OutputError(f"{self.path} is in the way of the log: it must be a file")
        try:
            if self.path.exists():
                self._cut(resume_step)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}; it must be writable") from error

    def scalars(self, values, *, step, nimg, seconds):
        row = {"step": step, "nimg": nimg, "seconds": seconds, **values}
        self._lost += len(self._kept) == MAX_KEPT_ROWS
        self._kept.append(",".join(_text(row.get(field)) for field in self.fields) + "\n")
        self._write()

    def close(self, status="finished"):
        if self._kept:
            self._write()
        if self._kept:
            lost = self._lost + len(self._kept)
            complain(self.name, f"{self.path} lacks {lost} rows that could not be written")

    def _write(self):
        try:
            self._append("".join(self._kept).encode())
        except OSError as error:
            if not self._failing:
                complain(
                    self.name,
                    f"{self.path}: {error.strerror}; rows are kept in memory, it is tried again",
                )
            self._failing = True
            return
        if self._failing:
            complain(self.name, f"{len(self._kept)} kept rows are written, {self._lost} were lost")
        self._failing = False
        self._lost = 0
        self._kept.clear()

    def _append(self, data):
        # Unbuffered: nothing waits in Python that a kill could take, and a failed
        # write leaves nothing behind that `close` would try to write again.
        with open(self.path, "ab", buffering=0) as stream:
            end = stream.seek(0, os.SEEK_END)
            data = data if end else self._header.encode() + data
            try:
                if stream.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with contextlib.suppress(OSError):
                    stream.truncate(end)
                raise

    def _cut(self, resume_step):
        text = self.path.read_text(encoding="utf-8", errors="replace")
        if text.startswith(self._header):
            rows = text[len(self._header) :].splitlines(keepends=True)
            whole = self._header + "".join(row for row in rows if self._belongs(row, resume_step))
            if whole != text:
                write_text(self.path, whole)
        elif self._header.startswith(text):  # empty, or killed within the first line
            write_text(self.path, "")
        else:
            aside = _free_name(self.path)
            os.rename(self.path, aside)
            print(f"{self.path} has other columns than this run: moved to {aside}", flush=True)

    def _belongs(self, row, resume_step):
        cells = row.rstrip("\n").split(",")
        step = cells[self.fields.index("step")] if len(cells) == len(self.fields) else ""
        return row.endswith("\n") and step.isdecimal() and int(step) <= resume_step


def _text(value):
    if value is None:
        return ""
    if isinstance(value, numbers.Integral):
        return str(int(value))
    value = float(value)
    # Seven digits: all that a float32 loss has, and seconds up to 115 days.
    return format(value, ".7g") if math.isfinite(value) else str(value)


def _free_name(path):
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    return aside
