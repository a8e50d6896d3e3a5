import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import stylegan2_tf
from stylegan2_tf import artifacts, files
from stylegan2_tf.networks import Discriminator, Generator


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
        assert gif.n_frames == 4  # epochs 2, 5, 8, 11
        gif.seek(3)
        assert np.asarray(gif.convert("L"))[0, 0] == 220


def test_gif_is_no_larger_than_its_bound(tmp_path):
    artifacts.save_grid(np.zeros((4, 300, 300, 3), np.uint8), artifacts.sample_path(tmp_path, 1))
    artifacts.save_gif(tmp_path, tmp_path / "training.gif", 1)
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.size == (512, 512)


def test_loss_plot_reads_gaps(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("step,nimg,d_loss,g_loss,r1,gradient_penalty,score_real,score_fake,"
                   "d_grad_norm,g_grad_norm\n"
                   "10,40,1.5,0.5,0.1,,1,-1,3,4\n20,80,1.2,0.7,,,1,-1,5,6\n")
    artifacts.save_loss_plot(log, tmp_path / "losses.png")
    assert pixels(tmp_path / "losses.png").shape[0] > 500


def small_models(seed):
    generator, discriminator = Generator([4, 4], z_dim=3, w_dim=3, mapping_layers=1), \
        Discriminator([4])
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


@pytest.mark.slow
def test_kills_while_exporting_never_destroy_a_model(tmp_path):
    script = ("import sys; sys.path.insert(0, 'tests')\n"
              "from test_artifacts import small_models, artifacts\n"
              "models = small_models(2)\n"
              "print('ready', flush=True)\n"
              f"while True: artifacts.save_models(r'{tmp_path}', *models, step=2)\n")
    artifacts.save_models(tmp_path, *small_models(1), step=1)
    delays = np.random.default_rng(0).uniform(0, 0.3, 20)
    for delay in delays:
        writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert stylegan2_tf.load(tmp_path).sample(1).shape == (1, 8, 8, 1)
