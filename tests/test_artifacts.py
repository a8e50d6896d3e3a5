import json
import os

import numpy as np
import pytest
from PIL import Image, ImageSequence

import stylegan2_tf
from stylegan2_tf import artifacts, files
from stylegan2_tf.networks import (
    Discriminator,
    DiscriminatorHead,
    Generator,
    MappingNetwork,
    ResidualTrunk,
    SynthesisNetwork,
)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_grid_places_images_row_by_row(tmp_path):
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    artifacts.save_grid(images, tmp_path / "grid.png")
    grid = pixels(tmp_path / "grid.png")
    assert grid.shape == (4, 9)
    np.testing.assert_array_equal(grid[::2, ::3], [[0, 1, 2], [3, 4, 0]])


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_grid_modes_and_values(channels, mode):
    image = artifacts.image_grid(np.full((4, 8, 8, channels), 2.0, np.float32))
    assert image.mode == mode and image.size == (16, 16)
    assert np.asarray(image).min() == 255  # values beyond 1 are clipped, not wrapped


def write_grids(folder, count):
    for epoch in range(1, count + 1):
        images = np.full((4, 8, 8, 1), 20 * (epoch % 12), np.uint8)
        artifacts.save_grid(images, artifacts.sample_path(folder, epoch))


def test_gif_grows_loops_and_rests(tmp_path):
    write_grids(tmp_path, 4)
    for epoch in (1, 2, 4):
        artifacts.save_gif(tmp_path, tmp_path / "training.gif", epoch)
        with Image.open(tmp_path / "training.gif") as gif:
            assert getattr(gif, "n_frames", 1) == epoch
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.info["loop"] == 0
        durations, values = [], []
        for frame in range(4):
            gif.seek(frame)
            durations.append(gif.info["duration"])
            values.append(int(np.asarray(gif.convert("L"))[0, 0]))
    assert durations == [250, 250, 250, 2000]
    assert values == [20, 40, 60, 80]


def test_gif_of_a_long_run_is_thinned_and_ends_with_the_last_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "GIF_FRAMES", 5)
    write_grids(tmp_path, 11)
    artifacts.save_gif(tmp_path, tmp_path / "training.gif", 11)
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.n_frames == 5  # epochs 1, 4, 7, 10, 11
        gif.seek(4)
        assert np.asarray(gif.convert("L"))[0, 0] == 220


def test_a_grid_drawn_anew_is_read_anew(tmp_path):
    for value in (20, 200):
        artifacts.save_grid(np.full((4, 8, 8, 1), value, np.uint8),
                            artifacts.sample_path(tmp_path, 1))
        artifacts.save_gif(tmp_path, tmp_path / "training.gif", 1)
        assert (frames(tmp_path / "training.gif") == value).all()


def test_gif_is_no_larger_than_its_bound(tmp_path):
    artifacts.save_grid(np.zeros((4, 300, 300, 3), np.uint8), artifacts.sample_path(tmp_path, 1))
    artifacts.save_gif(tmp_path, tmp_path / "training.gif", 1)
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.size == (512, 512)


def frames(path):
    """Grey values of all frames of a GIF, `[N, H, W]`."""
    with Image.open(path) as gif:
        return np.stack([np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(gif)])


def test_captions_are_metadata_of_grids(tmp_path):
    images = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    for caption in ("epoch 1 · 4x4", "höher → 8×8", None):
        artifacts.save_grid(images, tmp_path / "grid.png", caption)
        np.testing.assert_array_equal(pixels(tmp_path / "grid.png"), images[0, ..., 0])
        with Image.open(tmp_path / "grid.png") as image:
            assert image.info.get("caption") == caption


def test_captions_stand_in_a_bar_above_the_frames(tmp_path):
    for epoch, caption in enumerate([None, "epoch 2", "epoch 3"], start=1):
        artifacts.save_grid(np.full((4, 64, 64, 1), 100, np.uint8),
                            artifacts.sample_path(tmp_path, epoch), caption)
    artifacts.save_gif(tmp_path, tmp_path / "training.gif", 3)
    found = frames(tmp_path / "training.gif")
    bar = found.shape[1] - 256
    assert found.shape[2] == 256 and 12 <= bar <= 32
    assert (found[:, bar:] == 100).all()
    assert (found[0, :bar] == 255).all()
    assert (found[1:, :bar] < 50).any(axis=(1, 2)).all()
    assert (found[1, :bar] != found[2, :bar]).any()


@pytest.mark.parametrize("caption", [None, "4x4"])
def test_frames_of_smaller_grids_are_enlarged(tmp_path, caption):
    """As in progressive growing: pixels become squares, nothing is blurred."""
    small = np.random.default_rng(0).integers(0, 256, (4, 4, 6, 1), np.uint8)
    for epoch, images in enumerate([small, np.full((4, 16, 24, 1), 7, np.uint8)], start=1):
        artifacts.save_grid(images, artifacts.sample_path(tmp_path, epoch), caption)
    artifacts.save_gif(tmp_path, tmp_path / "training.gif", 2)
    found = frames(tmp_path / "training.gif")
    scale = 6 if caption else 1  # words need 256 pixels
    height, width = 32 * scale, 48 * scale
    assert found.shape[2] == width
    grid = pixels(artifacts.sample_path(tmp_path, 1))
    np.testing.assert_array_equal(found[0, -height:], np.kron(grid, np.ones((4 * scale,) * 2)))
    assert (found[1, -height:] == 7).all()


def test_a_long_caption_fits(tmp_path):
    artifacts.save_grid(np.zeros((4, 8, 8, 3), np.uint8), artifacts.sample_path(tmp_path, 1),
                        "epoch 1234 · 1024x1024 · fading in 50 % · of a run with a long name")
    artifacts.save_gif(tmp_path, tmp_path / "training.gif", 1)
    edges = frames(tmp_path / "training.gif")[0, :-256, [0, -1]]
    assert (edges == 255).all()


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("as_floats", [False, True])
def test_fakes_stand_beside_reals(channels, mode, as_floats):
    fakes, reals = (np.full((5, 20, 30, channels), value, np.uint8) for value in (51, 204))
    if as_floats:
        fakes, reals = fakes / 127.5 - 1, (reals / 127.5 - 1).astype(np.float32)
    picture = artifacts.fake_beside_real(fakes, reals)
    assert picture.mode == mode
    found = np.asarray(picture).reshape(picture.height, picture.width, channels)[..., 0]
    scale = 3  # 90 x 60 pixels are too few for words
    for value in (51, 204):
        block = found[:, slice(0, 270) if value == 51 else slice(-270, None)]
        assert (block == value).sum() == 5 * 20 * 30 * scale**2
        assert (block[:-120] < 100).any()  # the word
    assert found.shape[0] - 120 < 40 and 0 < found.shape[1] - 540 < 30
    assert (found[:, 270:-270] == 255).all()


def test_equally_many_fakes_and_reals_of_one_size_are_shown():
    fakes = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    picture = artifacts.fake_beside_real(100 + fakes, np.full((4, 64, 64, 1), 60, np.uint8))
    found = np.asarray(picture)[-256:]
    squares = np.kron([[100, 101], [102, 103]], np.ones((128, 128)))
    np.testing.assert_array_equal(found[:, :256], squares)
    assert (found[:, -256:] == 60).all()
    assert found.shape[1] < 2 * 256 + 30


def small_models(seed):
    generator = Generator(MappingNetwork(z_dim=3, w_dim=3, num_layers=1),
                          SynthesisNetwork([4, 4]))
    discriminator = Discriminator(ResidualTrunk([4]), DiscriminatorHead(4))
    generator.build()
    discriminator.build()
    generator.w_avg.assign(np.full(3, float(seed)))
    return generator, discriminator


def test_models_are_replaced_with_their_manifest(tmp_path):
    for seed in (1, 2):
        artifacts.save_models(tmp_path, *small_models(seed), step=seed)
        manifest = json.loads((tmp_path / "manifest.json").read_text())
        assert manifest["step"] == seed
        for name, entry in manifest["files"].items():
            assert entry["sha256"] == [files.sha256(tmp_path / name)]
        assert float(stylegan2_tf.load(tmp_path).generator.w_avg[0]) == seed
    assert not list(tmp_path.glob(".tmp*"))


@pytest.mark.parametrize("fail_at", [1, 2, 3, 4])
def test_a_stop_at_any_point_leaves_models_that_load(tmp_path, monkeypatch, fail_at):
    artifacts.save_models(tmp_path, *small_models(1), step=1)
    calls = iter(range(1, 100))
    real_replace = os.replace

    def replace(source, target, **more):
        if next(calls) == fail_at:
            raise KeyboardInterrupt
        return real_replace(source, target, **more)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        artifacts.save_models(tmp_path, *small_models(2), step=2)
    monkeypatch.undo()
    assert float(stylegan2_tf.load(tmp_path).generator.w_avg[0]) in (1.0, 2.0)
