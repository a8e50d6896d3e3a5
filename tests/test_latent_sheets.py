"""Pictures that images are pasted into."""

import numpy as np
import pytest

from stylegan2_tf.artifacts import image_grid
from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent import sheets
from stylegan2_tf.latent.sheets import Sheet, check_sheet, most_rows


def images(count, channels=1, side=(3, 5)):
    return np.random.default_rng(0).integers(0, 256, (count, *side, channels), np.uint8)


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_it_is_the_picture_that_a_grid_of_all_images_would_be(channels, mode):
    made = images(6, channels)
    picture = Sheet(2, 3, made).picture()
    assert picture.mode == mode and picture.size == (15, 6)
    np.testing.assert_array_equal(picture, image_grid(made, columns=3))


def test_floats_become_grey_values():
    made = np.random.default_rng(0).uniform(-1.2, 1.2, (4, 3, 5, 1)).astype(np.float32)
    np.testing.assert_array_equal(Sheet(2, 2, made).picture(), image_grid(made, columns=2))


def test_places_before_and_after_stay_black_and_more_images_are_left_out():
    made = images(5)
    found = np.asarray(Sheet(2, 3, made[:4], start=1).picture())
    assert not found[:3, :5].any() and not found[3:, 10:].any()
    np.testing.assert_array_equal(found[:3, 5:10], made[0, ..., 0])
    np.testing.assert_array_equal(found[3:, 5:10], made[3, ..., 0])
    np.testing.assert_array_equal(Sheet(1, 2, made).picture(), image_grid(made[:2], columns=2))


def test_only_the_picture_is_held():
    """As many bytes as it has pixels, whatever kind of numbers images come in."""
    sheet = Sheet(10, 10, iter(np.zeros((100, 8, 8, 1), np.float32)))
    held = [value for value in vars(sheet).values() if isinstance(value, np.ndarray)]
    assert [value.nbytes for value in held] == [100 * 64]


def test_pictures_have_bounds(monkeypatch):
    check_sheet(99, 99, (64, 64), "--grid")  # what the command line allows at 64 pixels
    with pytest.raises(UsageError, match=r"--grid: expected a picture of at most 80,000,000 pixels,"
                                         " found 99 x 99 images of 256 x 128; give fewer"):
        check_sheet(99, 99, (256, 128), "--grid")
    monkeypatch.setattr(sheets, "PIXELS", 1000)
    assert most_rows(3, (10, 16)) == 2
    check_sheet(2, 3, (10, 16), "--grid")
    with pytest.raises(UsageError, match="found 3 x 3 images"):
        check_sheet(3, 3, (10, 16), "--grid")
