"""Differences of checkpoints and logs that are known."""

import numpy as np
import tensorflow as tf

from stylegan2_tf.comparison import Difference, compare_logs, compare_states, names_of

NAMES = {"generator/0": "generator/w_avg", "generator/1": "generator/conv/kernel",
         "generator/2": "generator/conv/bias", "skipped/0": "skipped"}


def state(**changes):
    values = {"generator/0": np.ones(3, "f4"),
              "generator/1": np.arange(6, dtype="f4").reshape(2, 3), "generator/2": np.float32(0.5),
              "skipped/0": np.int64(7)}
    return {key: np.asarray(changes.get(key.replace("/", "_"), value))
            for key, value in values.items()}


def write_log(path, *rows, header="step,nimg,epoch,seconds,d_loss,eval/swd"):
    path.write_text("\n".join([header, *rows, ""]))
    return path


# -- states


def test_equal_states_are_counted_by_group():
    assert compare_states(state(), state(), NAMES) == {
        "w_avg": (1, []), "generator": (2, []), "skipped updates": (1, [])}


def test_the_largest_difference_and_its_place():
    kernel = np.arange(6, dtype="f4").reshape(2, 3)
    kernel[0, 1] += 0.25
    kernel[1, 2] -= 0.5
    found = compare_states(state(), state(generator_1=kernel, skipped_0=np.int64(4)), NAMES)
    assert found["generator"] == (2, [Difference("generator/conv/kernel", 0.5, (1, 2))])
    assert found["skipped updates"] == (1, [Difference("skipped", 3.0, ())])
    assert found["w_avg"] == (1, [])


def test_bits_are_compared_not_values():
    found = compare_states(state(generator_2=np.float32(0.0)),
                           state(generator_2=np.float32(-0.0)), NAMES)
    assert found["generator"] == (2, [Difference("generator/conv/bias", 0.0, ())])


def test_what_cannot_be_compared_differs():
    for other in (np.ones((3, 2), "f4"), np.ones((2, 3), "f8")):
        found = compare_states(state(), state(generator_1=other), NAMES)
        assert found["generator"][1] == [Difference("generator/conv/kernel", np.inf, ())]
    lacking = state()
    del lacking["generator/1"]
    assert len(compare_states(state(), lacking, NAMES)["generator"][1]) == 1


def test_names_are_those_of_the_variables():
    variables = [tf.Variable(0.0, name="generator/w_avg"), tf.Variable(0.0, name="b")]
    assert names_of({"generator": variables}) == {"generator/0": "generator/w_avg",
                                                  "generator/1": "b"}


# -- logs


def test_times_are_not_compared_and_later_rows_neither(tmp_path):
    one = write_log(tmp_path / "1.csv", "5,20,1,0.5,1.5,", "10,40,2,0.9,1.25,3", "15,60,3,1,9,")
    other = write_log(tmp_path / "2.csv", "5,20,1,7,1.5,", "10,40,2,8,1.25,3")
    assert compare_logs(one, other, 10) == (2, [], [])


def test_what_differs_is_named_with_its_first_step(tmp_path):
    one = write_log(tmp_path / "1.csv", "5,20,1,0,1.5,", "10,40,2,0,1.25,3", "15,60,3,0,nan,4")
    other = write_log(tmp_path / "2.csv", "5,20,1,0,1.5,", "10,40,2,0,1.5,3", "15,60,3,0,2,5")
    assert compare_logs(one, other, 15) == (3, [
        "d_loss in 2 of 3 rows, first at step 10: 1.25 against 1.5",
        "eval/swd in 1 of 3 rows, first at step 15: 4 against 5"], [])


def test_rows_of_other_steps_are_left_out(tmp_path):
    whole = write_log(tmp_path / "1.csv", "10,40,2,0,1.5,", "20,80,4,0,2,")
    interrupted = write_log(tmp_path / "2.csv", "7,28,1.4,0,9,", "10,40,2,0,9,", "20,80,4,0,2,")
    assert compare_logs(whole, interrupted, 20) == (1, [], [
        "3 rows begin or end at other steps, where a run was interrupted"])


def test_a_measurement_that_only_one_made_is_a_note(tmp_path):
    one = write_log(tmp_path / "1.csv", "5,20,1,0,1.5,2")
    other = write_log(tmp_path / "2.csv", "5,20,1,0,1.5,")
    assert compare_logs(one, other, 5) == (1, [], [
        "eval/swd: at some steps only one of the runs was measured"])


def test_a_log_that_is_missing_has_no_rows(tmp_path):
    one = write_log(tmp_path / "1.csv", "5,20,1,0,1.5,2")
    assert compare_logs(one, tmp_path / "none.csv", 5)[0] == 0
