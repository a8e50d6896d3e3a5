import pytest

from stylegan2_tf.sides import (
    as_pair,
    as_text,
    doubled,
    doublings,
    halvings,
    shortest,
    smallest_base,
)


@pytest.mark.parametrize("sides", [256, "256", "256x256", (256, 256), [256, 256]])
def test_a_square_in_every_spelling(sides):
    assert as_pair(sides) == (256, 256)
    assert as_text(sides) == "256x256"
    assert shortest(sides) == 256


@pytest.mark.parametrize("sides", ["240x256", (240, 256), [240, 256], (240.0, 256)])
def test_height_comes_before_width(sides):
    assert as_pair(sides) == (240, 256) and as_text(sides) == "240x256"
    assert all(type(side) is int for side in as_pair(sides))
    assert shortest(sides) == "240x256"


@pytest.mark.parametrize("sides", [
    0, -4, "0", "0x4", "-4", "4x", "x4", "4x4x4", "4 x 4", "4X4", "ab", "abc", "", "1.5",
    (4,), (4, 4, 4), (4, 0), (4.5, 4), ("4", "4")])
def test_what_is_no_size_is_refused(sides):
    with pytest.raises(ValueError, match="expected a positive side or height x width such as "
                                         "240x256, found "):
        as_pair(sides)


def test_doubling():
    assert doubled(4, 0) == (4, 4) and doubled((3, 4), 2) == (12, 16)


@pytest.mark.parametrize("sides, base, times", [
    (4, 4, 0), (256, 4, 6), ("12x16", "3x4", 2), (28, 7, 2), (16, 3, None), (4, 8, None),
    ("16x32", 4, None), ("32x16", "4x2", 3)])
def test_how_often_a_base_doubles(sides, base, times):
    assert doublings(sides, base) == times
    if times is not None:
        assert doubled(base, times) == as_pair(sides)


@pytest.mark.parametrize("sides, least, base", [
    (256, 4, (4, 4)), (256, 2, (2, 2)), (28, 4, (7, 7)), (28, 2, (7, 7)), (100, 4, (25, 25)),
    ("240x256", 4, (15, 16)), ("12x16", 4, (6, 8)), ("12x16", 2, (3, 4)), (9, 4, (9, 9))])
def test_the_smallest_base(sides, least, base):
    assert smallest_base(sides, least) == base
    assert doublings(sides, base) is not None


@pytest.mark.parametrize("sides, least, times", [
    (4, 4, 0), (8, 4, 1), ((3, 4), 4, 0), ((7, 7), 4, 1), ((15, 16), 4, 2), (2, 4, 0), (9, 4, 1)])
def test_halving_the_longer_side(sides, least, times):
    assert halvings(sides, least) == times
