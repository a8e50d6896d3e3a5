"""What more than one test file uses."""

import os
import sys

import pytest
from tiny import TINY

from stylegan2_tf.config import TrainConfig

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when a test imports TensorFlow


@pytest.fixture(autouse=True)
def same_weights_every_time():
    """Weights that a test leaves to chance are the same in every run."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def tiny_config():
    """A function that makes the smallest useful configuration: `tiny_config(batch=8)`."""
    return lambda **changes: TrainConfig(**{**TINY, **changes})
