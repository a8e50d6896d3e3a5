"""Moving pictures."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.animation import _even, check_kind, save_animation
from stylegan2_tf.errors import UsageError


def frames(channels, count=6, side=(16, 24), seed=0):
    """Noise, or for `seed` None a smooth picture of many colours; some neighbours are equal."""
    if seed is None:
        rows, columns = np.mgrid[:side[0], :side[1]] * 255 // (max(side) - 1)
        made = np.stack([rows, columns, 255 - rows, 0 * rows + 255], axis=-1)[..., :channels]
        return np.stack([made] * count).astype(np.uint8)
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (count, *side, channels), dtype=np.uint8)
    made[2] = made[1]
    made[3] = made[2]
    made[5] = made[4]
    return made


def read(path):
    """(frames, durations, loop)."""
    with Image.open(path) as image:
        shown, durations = [], []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            shown.append(np.asarray(image.convert("RGBA")))
            durations.append(image.info["duration"])
        return np.stack(shown), durations, image.info["loop"]


@pytest.mark.parametrize("kind", [".gif", ".webp", ".GIF"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("seed", [0, None])
def test_no_frame_is_lost(tmp_path, kind, channels, seed):
    made = frames(channels, seed=seed)
    before = made.copy()
    save_animation(made, tmp_path / f"some{kind}", milliseconds=120)
    np.testing.assert_array_equal(made, before)
    shown, durations, loop = read(tmp_path / f"some{kind}")
    assert shown.shape == (6, 16, 24, 4)
    assert durations == [120] * 6 and loop == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"some{kind}"]


@pytest.mark.parametrize("kind, channels", [(".gif", 1), (".webp", 1), (".webp", 3)])
def test_pixels_are_exact_but_for_a_corner(tmp_path, kind, channels):
    made = frames(channels)
    save_animation(made, tmp_path / f"some{kind}")
    shown, durations, _ = read(tmp_path / f"some{kind}")
    assert durations == [80] * 6
    difference = np.abs(shown[..., :channels].astype(int) - made)
    assert difference.max() <= 2 and not difference[:, 1:].any() and not difference[:, :, 1:].any()
    assert not difference[[0, 1, 4]].any()


def test_transparent_frames_that_differ_in_hidden_colours(tmp_path):
    clear = np.zeros((4, 8, 8, 4), np.uint8)
    save_animation(clear, tmp_path / "some.webp")
    assert len(read(tmp_path / "some.webp")[0]) == 4


def test_colours_of_a_gif_are_near(tmp_path):
    made = frames(3, side=(64, 64), seed=None)
    save_animation(made, tmp_path / "some.gif")
    shown = read(tmp_path / "some.gif")[0]
    assert np.abs(shown[..., :3].astype(int) - made).mean() < 12


@pytest.mark.parametrize("value", [0, 255])
def test_frames_of_one_value(tmp_path, value):
    save_animation(np.full((5, 8, 8, 1), value, np.uint8), tmp_path / "some.gif")
    shown = read(tmp_path / "some.gif")[0][..., 0].astype(int)
    assert len(shown) == 5 and np.abs(shown - value).max() <= 1


def test_one_frame(tmp_path):
    save_animation(frames(3)[:1], tmp_path / "deep" / "some.gif")
    with Image.open(tmp_path / "deep" / "some.gif") as image:
        assert image.n_frames == 1 and image.size == (24, 16)


@pytest.mark.parametrize("name", ["some.png", "some", "gif", "some.gif.txt"])
def test_unknown_kinds(tmp_path, name):
    with pytest.raises(UsageError, match=r"OUT: expected a file that ends in \.gif, \.webp, \.mp"):
        save_animation(frames(1), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(importlib.util.find_spec("av") is not None, reason="av is installed")
def test_mp4_needs_a_package(tmp_path):
    with pytest.raises(UsageError, match=r'pip install -e "\.\[video\]"'):
        check_kind(tmp_path / "some.mp4")


@pytest.mark.parametrize("side, even", [((63, 65), (64, 66)), ((64, 64), (64, 64))])
def test_odd_sides_are_made_even_without_a_loss(side, even):
    made = frames(3, side=side)
    found = _even(made)
    assert found.shape[1:3] == even
    np.testing.assert_array_equal(found[:, :side[0], :side[1]], made)
    np.testing.assert_array_equal(found[:, -1, :side[1]], made[:, -1])
    np.testing.assert_array_equal(found[:, :side[0], -1], made[:, :, -1])


def test_mp4(tmp_path):
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    save_animation(frames(1, side=(64, 65)), tmp_path / "some.mp4", milliseconds=80)
    with av.open(str(tmp_path / "some.mp4")) as container:
        shown = list(container.decode(video=0))
        assert float(container.streams.video[0].average_rate) == 12.5
    assert len(shown) == 6 and (shown[0].width, shown[0].height) == (66, 64)
