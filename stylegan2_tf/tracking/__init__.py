"""Where a run writes its numbers: CSV and TensorBoard always, Neptune by choice."""

from pathlib import Path

from stylegan2_tf.tracking.base import Tracker, Trackers, complain, reason
from stylegan2_tf.tracking.csv_log import CsvLog
from stylegan2_tf.tracking.neptune_log import NeptuneLog
from stylegan2_tf.tracking.neptune_record import read_offline
from stylegan2_tf.tracking.tensorboard_log import TensorBoardLog

__all__ = [
    "CsvLog",
    "NeptuneLog",
    "TensorBoardLog",
    "Tracker",
    "Trackers",
    "make_trackers",
    "read_offline",
]


def make_trackers(output_dir, *, fields, neptune=False, resume_step=0):
    """Return the trackers of a run as one `Trackers`.

    `log.csv` must work, or the run does not start. TensorBoard or Neptune that
    can't be started costs one line, and training goes on without it.

    Args:
        output_dir: The run folder OUT. It gets `log.csv`, `tensorboard/` and,
            when asked for, `neptune/`.
        fields: Columns of `log.csv`, see `CsvLog`.
        neptune: Whether to record with Neptune too.
        resume_step: Step of the restored checkpoint, 0 for a fresh run.

    Raises:
        OutputError: `log.csv` can't be read, cut or moved aside.
    """
    out = Path(output_dir)
    trackers = [CsvLog(out / "log.csv", fields, resume_step)]
    optional = [(TensorBoardLog, out / "tensorboard", resume_step)]
    if neptune:
        optional.append((NeptuneLog, out / "neptune"))
    for tracker, *arguments in optional:
        try:
            trackers.append(tracker(*arguments))
        except Exception as error:
            complain(tracker.name, f"{reason(error)}; training goes on without it")
    return Trackers(trackers)
