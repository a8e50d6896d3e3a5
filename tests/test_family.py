"""Every architecture with every loss: they train, and every weight moves."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf.building import make_networks
from stylegan2_tf.fields import ARCHITECTURES, LR_SCALES
from stylegan2_tf.step import TrainStep

BATCH = 4
LABELS = np.array([0, 1, 1, 1], np.int32)
MATRIX = list(itertools.product(ARCHITECTURES, LR_SCALES, (1, 3), (False, True)))


@pytest.fixture(autouse=True)
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def two_steps(config, classes=()):
    """Train two steps. Returns the step object and the paths of trained weights that are still."""
    step = TrainStep(*make_networks(config, classes), config)
    weights = [*step.generator.trainable_variables, *step.discriminator.trainable_variables]
    before = [np.array(weight) for weight in weights]
    images = np.random.default_rng(0).integers(
        0, 256, (BATCH, *config.sides, config.channels), np.uint8)
    for index in range(2):
        metrics = step(images[::-1 if index else 1], BATCH * index, 0.3, LABELS)
        assert all(math.isfinite(float(value)) for value in metrics.values()), metrics
    assert int(step.skipped) == 0
    for values in step.state.values():
        assert all(np.isfinite(value).all() for value in values)
    return step, {weight.path.split("/", 1)[1] for weight, old in zip(weights, before, strict=True)
                  if np.array_equal(weight, old)}


@pytest.mark.parametrize("arch, loss, channels, conditional", MATRIX)
def test_every_weight_moves(tiny_config, arch, loss, channels, conditional):
    config = tiny_config(arch=arch, loss=loss, channels=channels, conditional=conditional,
                         mapping_layers=None if arch == "dcgan" else 1, convolutions=1,
                         g_input_res=8, d_final_res=8, d_input_filters=16, augment="none")
    classes = ("AD", "NC") if conditional else ()
    step, still = two_steps(config, classes)
    # What is added to all scores makes no difference between reals and fakes.
    assert still == ({"head/score/bias"} if loss == "relativistic" else set())
    images = step.generator(np.ones((2, 8), np.float32), np.eye(2, dtype=np.float32)
                            if conditional else None)
    assert images.shape == (2, 16, 16, channels)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_weight_moves_with_all_that_can_be_added(tiny_config, arch):
    styled = arch != "dcgan"
    config = tiny_config(arch=arch, attention=8, spectral_norm=True, d_dropout=0.2, pl_weight=2.0,
                         style_mixing=0.9 if styled else 0.0, augment="color", mirror=True,
                         channels=3, resolution="12x16", g_input_res=3, d_final_res="3x4",
                         conditional=True, pl_interval=1, r1_interval=1, r2_gamma=0.1)
    step, still = two_steps(config, ("AD", "NC"))
    assert still == set()
    assert float(step.pl_mean) > 0
