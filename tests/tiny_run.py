"""Tiny runs, trained as the command line trains, for more than one test file."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from stylegan2_tf import album
from stylegan2_tf.data import pack
from stylegan2_tf.run_folder import RunFolder
from stylegan2_tf.trainer import Trainer

# Of 8 images in steps of 4: two steps an epoch.
SMALLEST = dict(resolution=8, mapping_layers=1, epochs=3, val=1)


def make_images(folder, seed=0):
    """Eight files of noise."""
    rng = np.random.default_rng(seed)
    for index in range(8):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{index}.png")
    return folder


def train(config, until=None):
    """Train as `run.py` does. Returns the exit code."""
    with RunFolder(config.output_dir) as folder:
        folder.compare(config)
        images = pack(config.data_dir, folder.path / "cache", resolution=config.sides, channels=1)
        folder.compare_images(images)
        return Trainer(config, images, folder).run(until)


@contextlib.contextmanager
def eagerly():
    """Inside, steps are not compiled and losses not plotted: both take longer than the steps."""
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(album, "save_loss_plot", lambda log, path: None)
            yield
    finally:
        tf.config.run_functions_eagerly(False)
