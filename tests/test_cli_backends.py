"""Commands on a trained model where Keras runs on another backend than TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig

# (arguments, exit code) of each command; all run in one process, which has no TensorFlow.
COMMANDS = [
    (["generate", "run", "generated", "--seeds", "0-2", "--class", "AD"], 0),
    (["interpolate", "run", "loop.webp", "--seeds", "0,1", "--frames", "3"], 0),
    (["mix", "run", "mix.png", "--rows", "0", "--cols", "1"], 0),
    (["truncate", "run", "truncate.png", "--seeds", "0", "--steps", "2"], 0),
    (["directions", "run", "directions", "--count", "1", "--seeds", "0", "--steps", "2"], 0),
    (["embed", "run", "--out", "embedding.png", "--n", "8"], 0),
    (["info", "run"], 0), (["card", "run", "card.md"], 0),
    (["project", "run", "generated", "projected"], 2),
    (["embed", "run", "--data", "generated", "--out", "real.png"], 2),
    (["export", "run", "exported"], 2)]
PROGRAM = """
import json, sys
sys.modules["tensorflow"] = None  # any import of it fails
from stylegan2_tf.cli import main
print(json.dumps([main(arguments) for arguments in json.loads(sys.argv[1])]))
"""


def process(backend, commands, home):
    return subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(commands)], cwd=home,
                          capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": backend})


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_all_but_training_projecting_and_exporting(backend, tmp_path, monkeypatch):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    config = TrainConfig(**{**TINY, "resolution": 8, "mapping_layers": 1})
    _, average, discriminator = make_networks(config, ("AD", "NC"))
    save_models(tmp_path / "run" / "Model", average, discriminator, config=config.to_json())
    done = process(backend, [arguments for arguments, _ in COMMANDS], tmp_path)
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert codes == [code for _, code in COMMANDS], done.stderr
    for purpose in ("projecting", "projecting real images (--data)", "exporting"):
        assert (f"KERAS_BACKEND: expected tensorflow for {purpose}, found {backend}; unset it"
                in done.stderr)
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "run", "again", "--seeds", "0-2", "--class", "AD"]) == 0
    for name in ("seed00000.png", "seed00002.png"):
        found, expected = (np.asarray(Image.open(tmp_path / folder / name)).astype(int)
                           for folder in ("generated", "again"))
        assert np.ptp(expected) > 5 and np.abs(found - expected).max() <= 1


def test_a_backend_that_is_not_there_is_one_line(tmp_path):
    (tmp_path / "run").mkdir()
    done = process("caffe", [["evaluate", "x.keras", "run"]], tmp_path)
    assert done.stderr.splitlines()[-1].startswith(
        "stylegan2-tf: error: KERAS_BACKEND: expected a backend that is installed, such as "
        "tensorflow, found 'caffe' (")
    assert done.stdout == "[2]\n" and len(done.stderr.splitlines()) == 1
