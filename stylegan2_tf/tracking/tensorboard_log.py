"""TensorBoard event files, written record by record."""

import os
import struct
import time
from pathlib import Path

from stylegan2_tf.tracking.base import Tracker, tagged


class TensorBoardLog(Tracker):
    """Scalars and image grids for `tensorboard --logdir OUT/tensorboard`.

    Each start of a run adds one event file that opens with a `SessionLog.START` at
    the step after the restored one: TensorBoard then hides what an earlier start
    had logged from that step on. `tf.summary` can't write that record, so events
    are written as what they are, protocol buffers in a TFRecord file; a PNG goes in
    unchanged. TensorBoard's fast loader (the default) ignores START; it drops the
    later points of a tag as soon as that tag is logged again at a smaller step.

    Files are numbered after the newest one in the folder, because TensorBoard reads
    them by name and a clock may have been set back.

    Args:
        folder: Where the event files lie; it is created.
        resume_step: Step of the restored checkpoint, 0 for a fresh run.
    """

    name = "tensorboard"

    def __init__(self, folder, resume_step=0):
        import tensorflow as tf

        self._tf = tf.compat.v1
        self._open_file = tf.io.TFRecordWriter
        self._writer = None
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self._next_path()
        self._holds_events = False
        start = self._tf.SessionLog(status=self._tf.SessionLog.START)
        self._write(step=resume_step + 1 if resume_step else 0, session_log=start)

    def scalars(self, values, *, step, nimg, seconds):
        values = {**values, "nimg": nimg, "seconds": seconds}
        self._summary(
            step,
            *(
                self._tf.Summary.Value(tag=tagged(name, "train"), simple_value=float(value))
                for name, value in values.items()
            ),
        )

    def image(self, name, path, *, step):
        png = Path(path).read_bytes()
        width, height = struct.unpack(">II", png[16:24])
        picture = self._tf.Summary.Image(encoded_image_string=png, width=width, height=height)
        self._summary(step, self._tf.Summary.Value(tag=tagged(name, "validation"), image=picture))

    def close(self, status="finished"):
        if self._writer:
            self._writer.close()

    def _summary(self, step, *values):
        self._write(step=step, summary=self._tf.Summary(value=values))

    def _write(self, **event):
        try:
            if self._writer is None:
                self._writer = self._open_file(str(self._path))
                self._record(file_version="brain.Event:2")
            self._record(**event)
            self._holds_events = True
        except Exception:
            # What follows a torn record is never read: go on in another file, and
            # where this one holds nothing whole, open it anew.
            if self._holds_events:
                self._path, self._holds_events = self._next_path(), False
            self._writer = None
            raise

    def _record(self, **event):
        self._writer.write(self._tf.Event(wall_time=time.time(), **event).SerializeToString())
        self._writer.flush()

    def _next_path(self):
        stamps = [path.name.split(".")[3] for path in self.folder.glob("events.out.tfevents.*")]
        newest = max((int(stamp) for stamp in stamps if stamp.isdecimal()), default=0)
        stamp = max(int(time.time()), newest + 1)
        return self.folder / f"events.out.tfevents.{stamp:010d}.{os.getpid()}"
