"""Value ranges and shapes of single images."""

import numpy as np
import pytest

from stylegan2_tf.data import fit_image
from stylegan2_tf.latent.formats import to_uint16, unpadded


def test_sixteen_bits_from_black_to_white():
    found = to_uint16(np.float32([-2, -1, 0, 1, 2, -1 + 2 / 65535]))
    assert found.dtype == np.uint16
    assert found.tolist() == [0, 0, 32768, 65535, 65535, 1]


@pytest.mark.parametrize("source", [(20, 14), (14, 20), (30, 31), (16, 16), (5, 3), (1, 16),
                                    (218, 182)])
@pytest.mark.parametrize("sides", [(16, 16), (12, 16)])
def test_the_bars_of_padding_are_cut_off(source, sides):
    """A white image with one black pixel in each corner, so that its background is white."""
    image = np.full((*source, 1), 100, np.uint8)
    whole = fit_image(image, sides, "pad")
    inner = unpadded(whole, source)
    assert inner.shape[0] == sides[0] or inner.shape[1] == sides[1]
    # Where the bars lie: mark them by fitting an image whose border alone is bright.
    framed = image.copy()
    framed[:, [0, -1]] = framed[[0, -1]] = 200
    framed[1:-1, 1:-1] = 0
    marked = fit_image(framed, sides, "pad")
    bars = np.ones(sides, bool)
    top, left = ((side - part) // 2 for side, part in zip(sides, inner.shape[:2], strict=True))
    bars[top:top + inner.shape[0], left:left + inner.shape[1]] = False
    assert (marked[bars] == 200).all()


def test_the_same_part_as_without_padding():
    image = np.random.default_rng(0).integers(0, 256, (20, 14, 3), np.uint8)
    whole = fit_image(image, (20, 20), "pad")
    np.testing.assert_array_equal(unpadded(whole, (20, 14)), image)
    np.testing.assert_array_equal(unpadded(whole, None), whole)
    halved = fit_image(image, (10, 10), "pad")
    np.testing.assert_array_equal(unpadded(halved, (20, 14)), fit_image(image, (10, 7), "stretch"))
