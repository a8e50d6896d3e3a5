"""Single flipped bits in checkpoints and models, and what comes of each.

Runs in a process of a `Nursery`.
"""

import collections
import contextlib
import io
import json
import shutil

import numpy as np
from small import make_discriminator, make_generator
from writers import fill, holds, make_state

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.checkpoints import Checkpoints
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.sampling import load_model
from stylegan2_tf.manifest import read_manifest
from stylegan2_tf.networks import Discriminator, Generator

STEPS = (4, 8)  # of the two checkpoints


def flip_a_bit(folder, rng):
    """Flip a random bit of a random file. Returns the file's name and the bit."""
    path = rng.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    content = bytearray(path.read_bytes())
    bit = int(rng.integers(8 * len(content)))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return path.name, bit


def flip_checkpoints(folder, flips):
    """Flip bits of the newest of two checkpoints, a new copy each. Returns counted outcomes."""
    whole, rng = folder / "whole", np.random.default_rng(0)
    about = {"nimg": 32, "seconds": 1 / 3, "best": {"swd": 0.1}, "rollbacks": {"alarm": 0}}
    for step in STEPS:
        state = make_state()
        fill(state, step)
        Checkpoints(whole, state, keep=2, identity={"images": "0123"}).save(step, **about)
    right = [json.loads((whole / f"step-{step:08d}" / "meta.json").read_text()) for step in STEPS]
    found = collections.Counter()
    for _ in range(flips):
        shutil.rmtree(folder / "flipped", ignore_errors=True)
        shutil.copytree(whole, folder / "flipped")
        flip = flip_a_bit(folder / "flipped" / "step-00000008", rng)
        found[_outcome_of_checkpoint(folder / "flipped", right, flip)] += 1
    return found


def _outcome_of_checkpoint(folder, right, flip):
    state, told = make_state(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        meta = Checkpoints(folder, state, keep=2, identity={"images": "0123"}).restore()
    if meta is None:
        return f"silent restart: {flip}"
    previous = meta["step"] == STEPS[0]
    content = {name: value for name, value in right[not previous].items() if name != "sha256"}
    told_so = ("cannot be used" in told.getvalue()) == previous == any(folder.glob("*.bad"))
    if meta != content or not holds(state, meta["step"]) or not told_so:
        return f"silently wrong: {flip}"
    return "the one before" if previous else "unchanged"


def flip_models(folder, flips):
    """Flip bits of models and their manifest, a new copy each. Returns counted outcomes."""
    whole, rng = folder / "whole", np.random.default_rng(0)
    config = TrainConfig(data_dir="data", output_dir="out", resolution=16, g_input_res=4,
                         d_final_res=4, g_init_filters=8)
    save_models(whole, make_generator(), make_discriminator(), step=1234, nimg=56789,
                images="0123abcd" * 8, classes=["AD", "NC"], class_counts=[10, 7],
                source_shape=[208, 176], config=config.to_json(), swd=0.125)
    right = _read_models(whole)
    found = collections.Counter()
    for _ in range(flips):
        shutil.rmtree(folder / "flipped", ignore_errors=True)
        shutil.copytree(whole, folder / "flipped")
        flip = flip_a_bit(folder / "flipped", rng)
        found[_outcome_of_models(folder / "flipped", right, flip)] += 1
    return found


def _outcome_of_models(folder, right, flip):
    try:
        found = _read_models(folder)
    except DataError:
        return "refused"
    same = all(found[0].get(name) == value for name, value in right[0].items()) and all(
        map(np.array_equal, found[1], right[1]))
    return "unchanged" if same else f"silently wrong: {flip}"


def _read_models(folder):
    """The manifest and the weights of both networks."""
    weights = []
    for name, kind in (("generator", Generator), ("discriminator", Discriminator)):
        path = folder / f"{name}.keras"
        manifest = read_manifest(path)
        weights += load_model(path, kind).get_weights()
    return manifest, weights
