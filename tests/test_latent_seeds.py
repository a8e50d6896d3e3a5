import numpy as np
import pytest

from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent.seeds import MOST, labels_of, read_seeds


@pytest.mark.parametrize("text, seeds", [
    ("0", [0]), ("7-9", [7, 8, 9]), ("5-5", [5]), ("0-2,13", [0, 1, 2, 13]),
    (" 4 , 1-2 ", [4, 1, 2]), ("9999999999", [9_999_999_999]), ("007", [7])])
def test_numbers_and_ranges(text, seeds):
    assert read_seeds(text) == seeds


def test_order_and_repetition_are_kept():
    assert read_seeds("3,0-2,3,3-5") == [3, 0, 1, 2, 3, 3, 4, 5]  # a walk may return


@pytest.mark.parametrize("text", ["", ",", "1,", "a", "-1", "1-", "2-1", "1-2-3", "1.5", "1 2", "٣",
                                  "12345678901", "0x3"])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(UsageError, match="^--seeds: expected numbers and ranges such as 0-8,13"):
        read_seeds(text)


def test_the_part_that_is_wrong_is_named():
    with pytest.raises(UsageError, match="found 'x'$"):
        read_seeds("0-8,x,3")
    with pytest.raises(UsageError, match="^--rows: expected numbers"):
        read_seeds("x", "--rows")
    with pytest.raises(UsageError, match="^--rows: expected 1,000,000 at most"):
        read_seeds("0-1000000", "--rows")


@pytest.mark.parametrize("text", [f"0-{MOST}", f"{MOST}-9999999999", "1,9000000-9999999"])
def test_too_many_are_refused_before_they_are_listed(text):
    with pytest.raises(UsageError, match="expected 1,000,000 at most, found more in '"):
        read_seeds(text)
    assert len(read_seeds(f"0-{MOST - 1}")) == MOST


def test_the_class_of_a_seed_does_not_depend_on_the_seeds_beside_it():
    found = labels_of([0, 1, 2, 3, 7, 9_999_999_999], 3)
    assert found.dtype == np.int64 and found.tolist() == [0, 1, 2, 0, 1, 0]
    assert labels_of(range(7, 9), 3).tolist() == [1, 2]
    assert labels_of([4, 5], 0).tolist() == [0, 0]
    assert labels_of(7, 3) == 1
