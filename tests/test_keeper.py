"""What a training writes, and when."""

import threading

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf import artifacts
from stylegan2_tf.building import make_networks
from stylegan2_tf.data import PackedImages
from stylegan2_tf.keeper import Keeper
from stylegan2_tf.run_folder import RunFolder
from stylegan2_tf.step import TrainStep


@pytest.fixture
def keeper(tiny_config, tmp_path):
    config = tiny_config()
    array = np.random.default_rng(0).integers(0, 256, (6, *config.sides, 1), np.uint8)
    with RunFolder(tmp_path / "out") as run:
        keeper = Keeper(config, PackedImages(array, "f" * 64, tuple("abcdef"), (), {}), run,
                        TrainStep(*make_networks(config), config), ())
        keeper.write_config()
        keeper.begin(0)
        yield keeper


def test_pictures_are_of_the_networks_when_the_epoch_ended(keeper, monkeypatch):
    """They are written while training goes on, which changes the networks meanwhile."""
    may_go_on, save_grid = threading.Event(), artifacts.save_grid

    def wait_and_save(*arguments):
        assert may_go_on.wait(30)
        save_grid(*arguments)

    monkeypatch.setattr(artifacts, "save_grid", wait_and_save)
    samples = keeper.run.samples
    generator = keeper._step.generator_ema
    before = generator.get_weights()
    keeper.draw_epoch(1, 5, 20)
    generator.set_weights([np.full_like(weight, 0.1) for weight in before])
    assert not artifacts.sample_path(samples, 1).exists()
    may_go_on.set()
    keeper.draw_epoch(2, 10, 40)  # waits for the first
    with Image.open(artifacts.sample_path(samples, 1)) as grid:
        first = np.asarray(grid)
    keeper.close("finished")  # waits for the second
    with Image.open(artifacts.sample_path(samples, 2)) as grid:
        assert (np.asarray(grid) != first).any()
    with Image.open(keeper.run.path / "training.gif") as gif:
        assert gif.n_frames == 2
    generator.set_weights(before)
    keeper.redraw_epoch(1, 20)
    with Image.open(artifacts.sample_path(samples, 1)) as grid:
        np.testing.assert_array_equal(np.asarray(grid), first)


def test_a_full_disk_costs_pictures_and_another_failure_ends_the_run(keeper, monkeypatch, capsys):
    def fail(error):
        def save_gif(*arguments):
            raise error
        monkeypatch.setattr(artifacts, "save_gif", save_gif)

    fail(OSError(28, "No space left on device"))
    keeper.draw_epoch(1, 5, 20)
    keeper.plot()  # waits for the pictures
    fail(ValueError("a mistake"))
    keeper.draw_epoch(2, 10, 40)
    assert "warning: pictures not written" in capsys.readouterr().err
    with pytest.raises(ValueError, match="a mistake"):
        keeper.draw_epoch(3, 15, 60)
    keeper.close("failed")  # says it once only
