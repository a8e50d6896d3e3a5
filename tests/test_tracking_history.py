import numpy as np
import pytest

from stylegan2_tf.tracking import CsvLog
from stylegan2_tf.tracking.history import epoch_means, read_log, thinned


def write(path, *lines, end="\n"):
    path.write_text("step,nimg,epoch,stage,d_loss\n" + "\n".join(lines) + end)


def test_a_log_is_read_as_it_was_written(tmp_path):
    log = CsvLog(tmp_path / "log.csv", ["step", "nimg", "epoch", "d_loss", "r1"])
    log.scalars({"epoch": 0.5, "d_loss": 1.25}, step=10, nimg=40, seconds=1)
    log.scalars({"epoch": 1, "d_loss": float("nan"), "r1": 3}, step=20, nimg=80, seconds=2)
    columns, stages = read_log(tmp_path / "log.csv")
    assert stages == []
    expected = {"step": [10, 20], "nimg": [40, 80], "epoch": [0.5, 1], "d_loss": [1.25, np.nan],
                "r1": [np.nan, 3]}
    assert list(columns) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(columns[name], values)


def test_stages_begin_where_the_row_before_ends(tmp_path):
    write(tmp_path / "log.csv", "10,40,0.5,4x4,1", "20,80,1,4x4,1", "30,120,1.5,8x8,1",
          "40,160,2,8x8,1")
    columns, stages = read_log(tmp_path / "log.csv")
    assert stages == [(0, "4x4"), (80, "8x8")]
    assert np.isnan(columns["stage"]).all()
    np.testing.assert_array_equal(columns["d_loss"], np.ones(4))


@pytest.mark.parametrize("rubbish", ["20,80", "20,80,1,,1,7", "\0\0", "x,80,1,,1", ",80,1,,1", '"',
                                     "20,nan,1,,1", "20,80,,,1", "\ufffd\u2028", ""])
def test_damaged_lines_are_left_out(tmp_path, rubbish):
    write(tmp_path / "log.csv", "10,40,0.5,,1", rubbish, "30,120,1.5,,3")
    columns, _ = read_log(tmp_path / "log.csv")
    np.testing.assert_array_equal(columns["step"], [10, 30])
    np.testing.assert_array_equal(columns["d_loss"], [1, 3])


def test_bytes_that_are_no_text_are_left_out(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"step,nimg,epoch\n1,1,1\n\xff\xfe,1,1\n2,2,2\n")
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")[0]["step"], [1, 2])


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    last = "20,80,1,,0.125"
    for cut in range(len(last) + 1):  # 0.12 would be a number, but another
        write(tmp_path / "log.csv", "10,40,0.5,,1", last[:cut], end="")
        np.testing.assert_array_equal(read_log(tmp_path / "log.csv")[0]["d_loss"], [1])


@pytest.mark.parametrize("text", ["", "step,ni", "step,nimg,epoch\n", "step,nimg,epoch",
                                  "step,loss\n1,2\n"])
def test_a_log_without_rows_has_empty_columns(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    columns, stages = read_log(tmp_path / "log.csv")
    assert stages == [] and all(values.shape == (0,) for values in columns.values())


def test_means_of_epochs_weigh_rows_by_their_steps():
    columns = {"step": np.array([10.0, 13, 23, 26]), "epoch": np.array([0.8, 1.02, 1.8, 2.0]),
               "d_loss": np.array([1.0, 2, 3, np.inf]), "r1": np.array([np.nan, 5, np.nan, np.nan])}
    means = epoch_means(columns)
    # Rows of 10, 3, 10 and 3 steps; the second began before epoch 1 was complete.
    np.testing.assert_allclose(means["d_loss"], [(10 * 1 + 3 * 2) / 13, 3])
    np.testing.assert_array_equal(means["r1"], [5, np.nan])


@pytest.mark.parametrize("first", [0, 5000])
def test_epochs_are_found_in_a_log_that_begins_late(first):
    step = first + np.array([10.0, 20, 30, 40, 50])
    means = epoch_means({"step": step, "epoch": step / 20, "loss": np.array([1.0, 3, 5, 7, 9])})
    np.testing.assert_array_equal(means["loss"], [2, 6, 9])
    np.testing.assert_array_equal(means["step"], first + np.array([15, 35, 50]))


def test_one_row_is_one_epoch():
    means = epoch_means({"step": np.array([7.0]), "epoch": np.array([1.02]), "x": np.array([3.0])})
    np.testing.assert_array_equal(means["x"], [3])


def test_neighbours_are_averaged_within_their_extremes():
    y = np.random.default_rng(0).normal(size=1003)
    x = np.arange(1003.0)
    *means, low, high = thinned(x, y, 100)
    pieces = [np.arange(start, min(start + 11, 1003)) for start in range(0, 1003, 11)]
    assert len(low) == len(pieces) == 92
    np.testing.assert_allclose(means, [[v[p].mean() for p in pieces] for v in (x, y)])
    np.testing.assert_array_equal(low, [y[p].min() for p in pieces])
    np.testing.assert_array_equal(high, [y[p].max() for p in pieces])


def test_a_short_line_stays_as_it_is():
    x, y = np.arange(5.0), np.array([3.0, 1, 4, 1, 5])
    np.testing.assert_array_equal(thinned(x, y, 5), [x, y, y, y])
