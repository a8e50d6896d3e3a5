"""Where an image lies in the network's square, and the way back."""

import json

import numpy as np
import pytest

from stylegan2_tf.data import decode
from stylegan2_tf.errors import UsageError
from stylegan2_tf.volumes.placement import Placement, placement

SHAPES = [(20, 14), (14, 20), (30, 31), (16, 16), (5, 3), (1, 16), (218, 182)]


@pytest.mark.parametrize("source", SHAPES)
@pytest.mark.parametrize("target", [(16, 16), (12, 16), (64, 64)])
def test_padding_as_it_is_done_to_images(source, target):
    assert placement(source, target, "pad").target_box == decode.padded_box(source, target)
    image = np.random.default_rng(0).integers(0, 256, (*source, 1), np.uint8)
    fitted = decode.fit_image(image, target, "pad")
    top, left, height, width = placement(source, target, "pad").target_box
    np.testing.assert_array_equal(fitted[top:top + height, left:left + width],
                                  decode.fit_image(image, (height, width), "stretch"))


@pytest.mark.parametrize("source", SHAPES)
@pytest.mark.parametrize("target", [(16, 16), (12, 16), (64, 64)])
def test_cropping_as_it_is_done_to_images(source, target):
    image = np.random.default_rng(0).integers(0, 256, (*source, 1), np.uint8)
    top, left, height, width = placement(source, target, "crop").source_box
    cut = image[top:top + height, left:left + width]
    np.testing.assert_array_equal(decode.fit_image(image, target, "crop"),
                                  decode.fit_image(cut, target, "stretch"))


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("source", SHAPES)
@pytest.mark.parametrize("target", [(16, 16), (31, 64), (300, 300)])
def test_masks_come_back_exactly_where_nothing_was_shrunk(source, target, fit):
    mask = np.random.default_rng(1).integers(1, 9, source, np.uint8)
    made = placement(source, target, fit)
    fitted = made.apply(mask)
    assert fitted.shape == target and fitted.dtype == np.uint8
    back = made.undo(fitted, order=0)
    assert back.shape == source
    top, left, height, width = made.source_box
    inside = np.zeros(source, bool)
    inside[top:top + height, left:left + width] = True
    if made.target_box[2] >= height and made.target_box[3] >= width:
        np.testing.assert_array_equal(back[inside], mask[inside])
    assert (back[~inside] == 0).all() and (back[inside] > 0).all()


def test_images_come_back_smoothly():
    rows, columns = np.mgrid[:20, :14]
    image = (rows + 2.0 * columns).astype(np.float32)[..., None] / 50
    made = placement((20, 14), 40, "pad")
    large = np.zeros((40, 40, 1), np.float32)
    top, left, height, width = made.target_box
    rows, columns = np.mgrid[:height, :width] / 2 - 0.25  # in pixels of the source
    large[top:top + height, left:left + width, 0] = (rows + 2 * columns) / 50
    back = made.undo(large)
    assert back.shape == (20, 14, 1) and back.dtype == np.float32
    np.testing.assert_allclose(back[1:-1, 1:-1], image[1:-1, 1:-1], atol=1e-5)
    assert made.undo((large * 1000).astype(np.uint16)).dtype == np.uint16
    cropped = placement((20, 14), 14, "crop").undo(np.ones((14, 14)), fill=-1)
    assert (cropped[:3] == -1).all() and (cropped[3:17] == 1).all() and (cropped[17:] == -1).all()


def test_as_json():
    made = placement((20, 14), 16, "pad")
    content = json.loads(json.dumps(made.to_json()))
    assert Placement.from_json(content) == made
    for change in ({"source": [20]}, {"source_box": [0, 0, 21, 14]}, {"more": [1]},
                   {"target": None}, {"target_box": [0, 0, 0, 5]}, {"target_box": [0.0, 0, 5, 5]},
                   {"target": [16, 16, 1]}, {"source": "ab"}):
        with pytest.raises(UsageError, match="expected a placement with source"):
            Placement.from_json({**content, **change})
    for content in (None, [], {}, "pad"):
        with pytest.raises(UsageError):
            Placement.from_json(content)


def test_refusals():
    with pytest.raises(UsageError, match="`fit` must be one of pad, crop, stretch"):
        placement((3, 3), 4, "squeeze")
    made = placement((20, 14), 16, "pad")
    with pytest.raises(UsageError, match="expected an image of 16 x 16 pixels, found 20 x 14"):
        made.undo(np.zeros((20, 14)))
    with pytest.raises(UsageError, match="`order` must be 0"):
        made.undo(np.zeros((16, 16)), order=3)
