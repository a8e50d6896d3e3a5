"""Load a trained generator and draw images from it, on any Keras backend."""

import json
from pathlib import Path

import keras
import numpy as np
from keras import ops

import stylegan2_tf.networks  # noqa: F401  registers the classes that a model file names
from stylegan2_tf import files
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.run_folder import MODEL_NAME, find_model


def make_latents(n, z_dim, seed=0):
    """Standard normal latents `[n, z_dim]`, float32; the first rows do not depend on `n`.

    From NumPy, whose numbers are the same on every Keras backend.
    """
    return np.random.default_rng(seed).standard_normal((n, z_dim), dtype=np.float32)


def draw(generator, z, truncation_psi=1.0, batch=32):
    """Images of `generator` for latents z `[N, D]`.

    Returns:
        NumPy float32 `[N, H, W, C]` in `[-1, 1]`, black to white.
    """
    pieces = [ops.convert_to_numpy(generator(z[start:start + batch],
                                             truncation_psi=truncation_psi))
              for start in range(0, len(z), batch)]
    return np.clip(np.concatenate(pieces), -1.0, 1.0)


def to_uint8(images):
    """Bring images in `[-1, 1]` to whole grey values 0 to 255, as uint8."""
    return np.round((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


class LoadedGenerator:
    """A trained generator, ready to draw.

    Attributes:
        generator: The Keras model `Generator`.
        z_dim, resolution, channels: Its sizes.
    """

    def __init__(self, generator):
        self.generator = generator
        self.z_dim = generator.z_dim
        self.resolution = generator.synthesis.resolution
        self.channels = generator.channels

    def sample(self, n, seed=0, truncation_psi=1.0):
        """Draw `n` images: the same seed gives the same images.

        Args:
            n: How many, at least 1.
            seed: Decides the latents.
            truncation_psi: 1 for the full variety, towards 0 for the mean image.

        Returns:
            NumPy float32 `[n, H, W, C]` in `[-1, 1]`, black to white.

        Raises:
            ValueError: `n` is below 1.
        """
        if n < 1:
            raise ValueError(f"Argument `n` must be at least 1. Received: n={n}")
        return draw(self.generator, make_latents(n, self.z_dim, seed), truncation_psi)


def load(path):
    """Load a generator from a `.keras` file or from the run folder that holds it.

    Where `manifest.json` lies beside the file, its SHA-256 is checked first.

    Args:
        path: `OUT`, `OUT/Model` or `OUT/Model/generator.keras`.

    Returns:
        A `LoadedGenerator`.

    Raises:
        DataError: There is no such file, it is damaged, or it holds no generator.
    """
    model_file = _find_model(Path(path))
    _verify(model_file)
    try:
        model = keras.saving.load_model(model_file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a damaged archive
        raise DataError(f"{model_file}: expected a model saved by stylegan2_tf, found: "
                        f"{one_line(error)}") from error
    if not isinstance(model, stylegan2_tf.networks.Generator):
        raise DataError(f"{model_file}: expected a Generator, found {type(model).__name__}; "
                        f"give {MODEL_NAME}")
    return LoadedGenerator(model)


def _find_model(path):
    model_file = path if path.is_file() else find_model(path)
    if model_file is not None:
        return model_file
    raise DataError(f"{path}: expected a run folder or {MODEL_NAME}, found "
                    f"{'no model in it yet' if path.exists() else 'nothing there'}")


def _verify(model_file):
    """Refuse a file that is not the one its manifest speaks of. Raises `DataError`."""
    manifest_file = model_file.parent / "manifest.json"
    if not manifest_file.exists():
        return
    try:
        known = json.loads(manifest_file.read_text(encoding="utf-8"))["files"]
        accepted = known.get(model_file.name, {}).get("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{manifest_file}: expected the manifest of a run, found: "
                        f"{error}") from error
    if accepted and files.sha256(model_file) not in accepted:
        raise DataError(f"{model_file}: expected the SHA-256 in {manifest_file.name}, found "
                        "another; the file was damaged or replaced: export it again")
