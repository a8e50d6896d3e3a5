"""A tiny training as the command line does it, and what tells whether two ended alike."""

import csv
import hashlib
import json
import resource
import zipfile

import numpy as np
from PIL import Image

CLOCK = ("seconds", "images_per_second", "eval/seconds")  # columns that differ each time


def draw_discs(folder, count, side=8):
    """Images of small grey discs."""
    folder.mkdir()
    rows, columns = np.mgrid[:side, :side]
    rng = np.random.default_rng(0)
    for index in range(count):
        centre, radius = rng.uniform(3, side - 3, 2), rng.uniform(1.5, 3)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        Image.fromarray((inside * rng.integers(120, 255)).astype(np.uint8)).save(
            folder / f"disc_{index}.png")
    return folder


def train(arguments, eager=False, limit=None):
    """Run `stylegan2-tf train`. Returns its exit code.

    Args:
        arguments: Those of the command line.
        eager: Run the steps without compiling them, which costs seconds.
        limit: Bytes that a file may have, at most.
    """
    import tensorflow as tf

    from stylegan2_tf import cli

    tf.config.run_functions_eagerly(eager)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return cli.main(["train", *map(str, arguments)])


def final_state(out):
    """Name -> SHA-256 or value of all that a run has learned and counted."""
    import tensorflow as tf

    newest = max((out / "checkpoints").glob("step-*"))
    reader = tf.train.load_checkpoint(str(newest / "state"))
    state = {name: _digest(reader.get_tensor(name).tobytes())
             for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}
    meta = json.loads((newest / "meta.json").read_text())
    state |= {name: meta[name] for name in ("step", "nimg", "best", "rollbacks", "watchdog")}
    for path in (out / "Model").glob("*.keras"):
        with zipfile.ZipFile(path) as archive:
            state[path.name] = _digest(archive.read("model.weights.h5"))
    return state


def pictures(out):
    """Name -> SHA-256 of the samples and the GIF."""
    return {path.name: _digest(path.read_bytes())
            for path in (*out.glob("samples/*.png"), out / "training.gif")}


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def read_rows(out):
    """The rows of the log without times, as dicts of text."""
    with open(out / "log.csv", newline="") as stream:
        return [{name: cell for name, cell in row.items() if name not in CLOCK}
                for row in csv.DictReader(stream)]


def load_models(out):
    """Load what there is in `Model`; a file that does not go with its manifest raises."""
    from stylegan2_tf.latent.sampling import load_model
    from stylegan2_tf.networks import Discriminator, Generator

    for name, kind in (("generator", Generator), ("discriminator", Discriminator)):
        path = out / "Model" / f"{name}.keras"
        if path.exists():
            load_model(path, kind)
