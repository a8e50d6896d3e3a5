"""Images that a user names."""

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.latent.targets import image_paths, read_targets


@pytest.fixture
def folder(tmp_path):
    """Two images in a folder, one beside it, and a text."""
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(folder / "deep" / "b.png")
    Image.fromarray(np.full((8, 4), 51, np.uint8)).save(folder / "a.png")
    Image.fromarray(np.full((6, 6), 13107, np.uint16)).save(tmp_path / "c.png")
    (tmp_path / "text.png").write_text("no image")
    return folder


def test_files_and_folders_in_the_order_given(folder, tmp_path):
    assert image_paths([tmp_path / "c.png", str(folder)]) == [
        tmp_path / "c.png", folder / "a.png", folder / "deep" / "b.png"]


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="IMAGE: expected image files or folders, found nothing"):
        image_paths([tmp_path / "absent"])
    with pytest.raises(DataError, match="No images in"):
        image_paths([tmp_path])


def test_values_channels_and_sizes(folder, tmp_path):
    paths = image_paths([folder, tmp_path / "c.png"])
    grey = read_targets(paths, (8, 8), 1)
    assert grey.shape == (3, 8, 8, 1) and grey.dtype == np.float32
    np.testing.assert_allclose(grey[0], -0.6, atol=1e-6)  # 51 of 255
    np.testing.assert_allclose(grey[1], 1, atol=1e-6)
    np.testing.assert_allclose(grey[2], -0.6, atol=1e-6)  # 13107 of 65535
    assert read_targets(paths, (4, 12), 3).shape == (3, 4, 12, 3)


def test_the_fit_decides(tmp_path):
    Image.fromarray(np.uint8([[0, 0, 0, 0], [0, 255, 255, 0]]).repeat(4, 0).repeat(4, 1)).save(
        tmp_path / "wide.png")
    padded, cropped, stretched = (read_targets([tmp_path / "wide.png"], (8, 8), 1, fit)[0]
                                  for fit in ("pad", "crop", "stretch"))
    assert (padded[:2] == -1).all() and (padded[6:] == -1).all()
    assert (cropped[5:, 1:-1] > 0.9).all() and (stretched[5:, :1] < -0.9).all()


def test_a_file_that_is_no_image_is_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"IMAGE .*text.png: expected an image, found: not an im"):
        read_targets([folder / "a.png", tmp_path / "text.png"], (8, 8), 1)
