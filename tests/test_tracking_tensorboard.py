import errno
import os

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stylegan2_tf.tracking import TensorBoardLog


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return events.Reload()


def log_steps(log, steps, offset=0.0):
    for step in steps:
        log.scalars({"g_loss": step + offset, "eval/swd": 1.5}, step=step, nimg=step, seconds=1.0)


def series(folder, tag="train/g_loss"):
    return [(point.step, point.value) for point in read(folder).Scalars(tag)]


def test_scalars_and_images_are_read_back(tmp_path):
    Image.new("L", (12, 8), 7).save(tmp_path / "grid.png")
    log = TensorBoardLog(tmp_path / "tensorboard")
    log_steps(log, range(3))
    log.image("images", tmp_path / "grid.png", step=2)
    events = read(tmp_path / "tensorboard")  # before close: every call is flushed
    assert set(events.Tags()["scalars"]) == {
        "train/g_loss",
        "eval/swd",
        "train/nimg",
        "train/seconds",
    }
    (image,) = events.Images("validation/images")
    assert (image.step, image.width, image.height) == (2, 12, 8)
    assert image.encoded_image_string == (tmp_path / "grid.png").read_bytes()
    assert series(tmp_path / "tensorboard") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    log.close()
    log.close()


def test_resume_hides_later_steps(tmp_path):
    first = TensorBoardLog(tmp_path)
    log_steps(first, range(6))
    first.close()
    second = TensorBoardLog(tmp_path, resume_step=3)
    log_steps(second, [4], offset=100.0)
    second.close()
    assert series(tmp_path) == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (4, 104.0)]
    fresh = TensorBoardLog(tmp_path)
    log_steps(fresh, [0], offset=7.0)
    fresh.close()
    assert series(tmp_path) == [(0, 7.0)]


def test_a_torn_record_and_a_clock_set_back_lose_nothing_else(tmp_path, monkeypatch):
    first = TensorBoardLog(tmp_path)
    log_steps(first, range(6))
    first.close()
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - 3)
    monkeypatch.setattr("time.time", lambda: 1e9)
    second = TensorBoardLog(tmp_path, resume_step=4)
    log_steps(second, [5, 6], offset=100.0)
    second.close()
    assert series(tmp_path)[3:] == [(3, 3.0), (4, 4.0), (5, 105.0), (6, 106.0)]


def test_after_a_failed_write_it_goes_on_in_another_file(tmp_path):
    log = TensorBoardLog(tmp_path)
    log_steps(log, [1])

    class Full:
        def write(self, record):
            raise OSError(errno.ENOSPC, "No space left on device")

    real, log._open_file = log._open_file, lambda path: Full()
    log._writer = Full()
    for _ in range(4):
        with pytest.raises(OSError, match="No space"):
            log_steps(log, [2])
    log._open_file = real
    log_steps(log, [3])
    log.close()
    assert series(tmp_path) == [(1, 1.0), (3, 3.0)]
    assert len(list(tmp_path.iterdir())) == 2
