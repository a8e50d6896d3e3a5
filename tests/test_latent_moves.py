"""Directions and strengths as users write them."""

import numpy as np
import pytest

from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.latent.directions import Directions
from stylegan2_tf.latent.moves import read_move, read_strengths, strength_text


@pytest.mark.parametrize("text, expected", [
    ("-3:3", [-3, -2, -1, 0, 1, 2, 3]), ("-3:3:3", [-3, 0, 3]), ("1:-1:5", [1, .5, 0, -.5, -1]),
    ("2.5", [2.5]), ("-1", [-1]), ("-1,0,2.5", [-1, 0, 2.5]), ("0:1:4", [0, .33333, .66667, 1]),
    ("1e1", [10]), ("0.00001,0", [0.00001, 0]), ("0:2e-5:3", [0, 1e-5, 2e-5]),
    ("-1e1:2:2", [-10, 2]), ("99.99:100:3", [99.99, 99.995, 100]),
    ("-.3:.3", [-.3, -.2, -.1, 0, .1, .2, .3])])
def test_strengths(text, expected):
    assert read_strengths(text) == expected
    assert "-0" not in [f"{value:g}" for value in read_strengths(text)]


def test_no_minus_zero():
    assert [f"{value:+g}" for value in read_strengths("-0.0,1")] == ["+0", "+1"]


@pytest.mark.parametrize("text", ["", "a", "1:", ":", "1:2:3:4", "1:2:0", "nan", "-inf:1",
                                  "0:101", "-3:3:32", "0:1:999", "1:2,3"])
def test_strengths_that_are_none(text):
    with pytest.raises(UsageError, match="--strength: expected a range .* such as -3:3:7"):
        read_strengths(text)


@pytest.mark.parametrize("text", ["1:1", "3,3", "0:0", "1,1.0000001", "0,-0", "1:1.00001:31"])
def test_strengths_that_do_not_differ(text):
    with pytest.raises(UsageError, match="--strength: expected strengths that differ in their fir"):
        read_strengths(text)


def test_every_strength_has_a_name_of_its_own():
    for text in ("-3:3", "0:1e-7:31", "99:100:31", "-1e-9,1e-9,0"):
        names = [strength_text(value) for value in read_strengths(text)]
        assert len(set(names)) == len(names) and "-0" not in names
    assert [strength_text(value) for value in (-3.0, 0.0, 0.5)] == ["-3", "+0", "+0.5"]


@pytest.fixture
def file(tmp_path):
    vectors = np.eye(3, 4, dtype=np.float32)
    Directions("pca", vectors, np.float32([1, 2, 3]), np.ones(3), ("a", "b", "c"), "ab12").save(
        tmp_path / "pca:1.npz")
    return tmp_path / "pca:1.npz"


def test_a_step_is_as_long_as_its_unit(file):
    move = read_move(f"{file}:1")
    assert move.step.dtype == np.float32 and move.step.tolist() == [0, 2, 0, 0]
    assert (move.source, move.name, move.model) == (f"{file}:1", "b", "ab12")
    assert read_move(f"{file}:2").step.tolist() == [0, 0, 3, 0]


def test_steps_that_are_none(file, tmp_path):
    for text in (f"{file}", f"{file}:-1", f"{file}:", ":0", "0", f"{file}:x"):
        with pytest.raises(UsageError, match="--direction: expected a file of"):
            read_move(text)
    with pytest.raises(UsageError, match="--direction: expected a number from 0 to 2 after .*, fou"
                                         "nd 3"):
        read_move(f"{file}:3")
    (tmp_path / "text.npz").write_text("none")
    for name in ("text.npz", "absent.npz"):
        with pytest.raises(DataError, match="expected directions that `stylegan2-tf directions`"):
            read_move(f"{tmp_path / name}:0")
