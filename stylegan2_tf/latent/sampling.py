"""Load a trained generator and draw images from it, on any Keras backend."""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from stylegan2_tf.archive import check_archive
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.manifest import check_hash, generator_file, read_manifest
from stylegan2_tf.networks import Generator


def make_latents(n, z_dim, seed=0):
    """Standard normal latents `[n, z_dim]`, float32; the first rows do not depend on `n`.

    From NumPy, whose numbers are the same on every Keras backend.
    """
    return np.random.default_rng(seed).standard_normal((n, z_dim), dtype=np.float32)


def latents_of(seeds, z_dim):
    """z `[N, z_dim]`, one for each seed: a seed's latent does not depend on the others."""
    return np.concatenate([make_latents(1, z_dim, seed) for seed in seeds])


def draw(generator, z, labels=None, truncation_psi=1.0, batch=32):
    """Images of `generator` for latents z `[N, D]`.

    Args:
        generator: A `Generator`.
        z: Latents.
        labels: Classes `[N]`, from 0; None for every class in turn. Not read where the
            generator has no classes.
        truncation_psi: 1 for the full variety, towards 0 for the mean image.
        batch: Images drawn at a time.

    Returns:
        NumPy float32 `[N, H, W, C]` in `[-1, 1]`, black to white.
    """
    w = map_latents(generator, z, labels, truncation_psi)
    return synthesize(generator, w, batch=batch)


def map_latents(generator, z, labels=None, truncation_psi=1.0):
    """w `[N, D]` of latents z, as NumPy; arguments as for `draw`."""
    label = one_hot(generator, np.arange(len(z)) if labels is None else labels)
    return ops.convert_to_numpy(generator.truncate(generator.mapping(z, label), truncation_psi))


def synthesize(generator, w, noise=None, batch=32):
    """Images of intermediate latents, `[N, D]` or one a layer `[N, num_ws, D]`.

    Args:
        generator: A `Generator`.
        w: Latents.
        noise: None for the maps saved with the model, 0.0 for none.
        batch: Images drawn at a time.

    Returns:
        As for `draw`.
    """
    pieces = []
    for start in range(0, len(w), batch):
        part = w[start:start + batch]
        ws = part if part.ndim == 3 else generator.broadcast(part)
        pieces.append(ops.convert_to_numpy(generator.synthesis(ws, noise=noise)))
    return np.clip(np.concatenate(pieces), -1.0, 1.0)


def one_hot(generator, labels):
    """Classes `[N]`, counted round, as float32 `[N, L]`; None for a generator without classes."""
    count = len(generator.classes)
    return np.eye(count, dtype=np.float32)[np.asarray(labels) % count] if count else None


def enlarged(images, sides):
    """Images `[N, h, w, C]` of an early stage at `sides` (height, width), each pixel repeated."""
    factor = sides[0] // images.shape[1]
    return images.repeat(factor, axis=1).repeat(factor, axis=2) if factor > 1 else images


def to_uint8(images):
    """Bring images in `[-1, 1]` to whole grey values 0 to 255, as uint8."""
    return np.round((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


class LoadedGenerator:
    """A trained generator, ready to draw.

    Attributes:
        generator: The Keras model `Generator`.
        z_dim, resolution, channels: Its sizes; `resolution` is (height, width).
        classes: Names of its classes, empty if it has none.
    """

    def __init__(self, generator):
        self.generator = generator
        self.z_dim = generator.z_dim
        self.resolution = generator.resolution
        self.channels = generator.channels
        self.classes = generator.classes

    def sample(self, n, seed=0, truncation_psi=1.0, label=None):
        """Draw `n` images: the same seed gives the same images.

        Args:
            n: How many, at least 1.
            seed: Decides the latents.
            truncation_psi: 1 for the full variety, towards 0 for the mean image.
            label: Name of a class; None for every class in turn.

        Returns:
            NumPy float32 `[n, H, W, C]` in `[-1, 1]`, black to white.

        Raises:
            ValueError: `n` is below 1, or there is no class `label`.
        """
        if n < 1:
            raise ValueError(f"Argument `n` must be at least 1. Received: n={n}")
        return self.synthesize(self.map(make_latents(n, self.z_dim, seed), truncation_psi, label))

    def map(self, z, truncation_psi=1.0, label=None):
        """w `[N, D]` of latents z `[N, z_dim]`; arguments as for `sample`."""
        return map_latents(self.generator, z, self._labels(len(z), label), truncation_psi)

    def synthesize(self, w, noise=None):
        """Images of w `[N, D]`, or of one w a layer `[N, num_ws, D]`; `noise` 0.0 for none."""
        return synthesize(self.generator, w, noise)

    def _labels(self, n, label):
        if label is None:
            return None
        if label not in self.classes:
            raise ValueError("Argument `label` must be one of the classes "
                             f"({', '.join(self.classes) or 'there are none'}). "
                             f"Received: label={label}")
        return np.full(n, self.classes.index(label))


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
    return LoadedGenerator(load_model(generator_file(path), Generator))


def load_model(model_file, kind):
    """Load a model of class `kind` from a `.keras` file. Raises `DataError` as `load` does."""
    model_file = Path(model_file)
    check_hash(model_file, read_manifest(model_file))
    check_archive(model_file, kind.__name__)
    try:
        return keras.saving.load_model(model_file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a damaged archive
        raise DataError(f"{model_file}: expected a model saved by stylegan2_tf, found: "
                        f"{one_line(error)}") from error
