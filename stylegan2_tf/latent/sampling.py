"""Load a trained generator and draw images from it, on any Keras backend."""

import numbers
from pathlib import Path

import keras
import numpy as np
from keras import ops

from stylegan2_tf.archive import check_model
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.manifest import generator_file
from stylegan2_tf.networks import Generator

STRONGEST = 10.0  # truncation psi, either way: beyond, images are noise


def generator_of(model):
    """The Keras `Generator` in what `load` returns, or `model` itself: either will do anywhere."""
    return getattr(model, "generator", model)


def make_latents(n, z_dim, seed=0):
    """Standard normal latents `[n, z_dim]`, float32; the first rows do not depend on `n`.

    From NumPy, whose numbers are the same on every Keras backend. Raises `ValueError` where
    `seed` is no whole number from 0 on: without one, no image could be made again.
    """
    _check_seeds([seed])
    return np.random.default_rng(seed).standard_normal((n, z_dim), dtype=np.float32)


def latents_of(seeds, z_dim):
    """z `[N, z_dim]`, one for each seed: a seed's latent does not depend on the others."""
    _check_seeds(seeds)
    return np.concatenate([make_latents(1, z_dim, seed) for seed in seeds])


def _check_seeds(seeds):
    if not len(seeds):
        raise ValueError("Argument `seeds` must hold one seed at least. Received: none")
    for seed in seeds:
        if not (isinstance(seed, numbers.Integral) and seed >= 0):
            raise ValueError("Argument `seed` must be a whole number, 0 or more. "
                             f"Received: seed={seed}")


def draw(model, z, labels=None, truncation_psi=1.0, batch=32):
    """Images for latents z `[N, z_dim]`.

    Args:
        model: A `Generator`, or what `load` returns.
        z: Latents.
        labels: Classes `[N]`, from 0; None for every class in turn. Not read where the
            generator has no classes.
        truncation_psi: See `LoadedGenerator.sample`.
        batch: Images drawn at a time.

    Returns:
        NumPy float32 `[N, H, W, C]` in `[-1, 1]`, black to white.

    Raises:
        ValueError: See `map_latents`.
    """
    return synthesize(model, map_latents(model, z, labels, truncation_psi), batch=batch)


def map_latents(model, z, labels=None, truncation_psi=1.0):
    """w `[N, D]` of latents z, as NumPy; arguments as for `draw`.

    Raises:
        ValueError: z is of another length than the model's or empty, or psi not within -10 to 10.
    """
    generator = generator_of(model)
    z = _latents("z", z, (generator.z_dim,))
    if not abs(truncation_psi) <= STRONGEST:  # nor if it is NaN
        raise ValueError(f"Argument `truncation_psi` must be within -{STRONGEST:g} to "
                         f"{STRONGEST:g}. Received: truncation_psi={truncation_psi}")
    label = one_hot(generator, np.arange(len(z)) if labels is None else labels)
    w = generator.truncate(generator.mapping(z, label), float(truncation_psi))
    return ops.convert_to_numpy(w)


def synthesize(model, w, noise=None, batch=32):
    """Images of intermediate latents, `[N, D]` or one a layer `[N, num_ws, D]`.

    Args:
        model: A `Generator`, or what `load` returns.
        w: Latents.
        noise: See `LoadedGenerator.synthesize`.
        batch: Images drawn at a time.

    Returns:
        As for `draw`.

    Raises:
        ValueError: w is empty or of another length or number of layers than the model's, or
            `noise` is nothing that it takes.
    """
    generator, pieces = generator_of(model), []
    length = generator.mapping.w_dim
    w = _latents("w", w, (length,), (generator.synthesis.num_ws, length))
    noise = _noise(generator, noise, len(w))
    for start in range(0, len(w), batch):
        chosen = slice(start, start + batch)
        ws = w[chosen] if w.ndim == 3 else generator.broadcast(w[chosen])
        maps = [one if len(one) == 1 else one[chosen] for one in noise] if isinstance(
            noise, list) else noise
        pieces.append(ops.convert_to_numpy(generator.synthesis(ws, noise=maps)))
    return np.clip(np.concatenate(pieces), -1.0, 1.0)


def _latents(name, values, *shapes):
    """`values` as float32 `[N, *shape]` with one of `shapes`."""
    values = np.asarray(values, np.float32)
    if not values.size or values.shape[1:] not in shapes:
        wanted = " or ".join(f"[N, {', '.join(map(str, shape))}]" for shape in shapes)
        raise ValueError(f"Argument `{name}` must be {wanted}, with N at least 1. "
                         f"Received: shape {values.shape}")
    return values


def _noise(generator, noise, count):
    """`noise` as the synthesis network takes it, maps as NumPy."""
    if noise is None or isinstance(noise, numbers.Real) and noise == 0:
        return noise
    if isinstance(noise, (list, tuple)):
        maps = [np.asarray(one, np.float32) for one in noise]
        wanted = [tuple(shape[1:]) for shape in generator.synthesis.noise_shapes(1)]
        if [one.shape[1:] for one in maps] == wanted and all(
                len(one) in (1, count) for one in maps):
            return maps
        found = f"shapes {[one.shape for one in maps]}"
    else:
        found = f"noise={noise!r}"[:200]
    raise ValueError("Argument `noise` must be None for the maps saved with the model, 0.0 for "
                     f"none, or a list of {len(generator.synthesis.noise_shapes(1))} maps, one a "
                     f"layer, each for 1 or {count} images. Received: {found}")


def one_hot(model, labels):
    """Classes `[N]`, counted round, as float32 `[N, L]`; None for a generator without classes."""
    count = len(model.classes)
    if not count:
        return None
    return (np.asarray(labels)[:, None] % count == np.arange(count)).astype(np.float32)


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

    def sample(self, n=None, seed=0, truncation_psi=1.0, label=None, *, seeds=None):
        """Draw images: `n` from one stream of numbers, or one for each of `seeds`.

        The same arguments give the same images. These two ways give different ones: only with
        `seeds` they are those of `stylegan2-tf generate --seeds`.

        Args:
            n: How many, at least 1; the first do not depend on it.
            seed: Decides the latents of these `n`: a whole number, 0 or more.
            truncation_psi: 1 for the full variety, towards 0 for the mean image: w goes towards
                its mean over all classes, so that at 0.5 the class, too, shows half as much.
                From -10 to 10.
            label: Name of a class. None for every class in turn with `n`, and for class number
                `seed % len(classes)` with `seeds`, as in every command.
            seeds: Instead of `n` and `seed`, whole numbers, each for an image of its own that
                does not depend on the others.

        Returns:
            NumPy float32 `[n, H, W, C]` in `[-1, 1]`, black to white.

        Raises:
            ValueError: `n` is below 1, a seed is no such number, psi is out of range, there is no
                class `label`, or not just one of `n` and `seeds` is given.
        """
        if (n is None) == (seeds is None) or seeds is not None and seed != 0:
            raise ValueError("Give `n` and, if you like, `seed`; or `seeds` alone. "
                             f"Received: n={n}, seed={seed}, seeds={seeds}")
        if seeds is not None:
            return self._of_seeds([*seeds], truncation_psi, label)
        if not (isinstance(n, numbers.Integral) and n >= 1):
            raise ValueError(f"Argument `n` must be at least 1. Received: n={n}")
        return self.synthesize(self.map(make_latents(n, self.z_dim, seed), truncation_psi, label))

    def _of_seeds(self, seeds, truncation_psi, label):
        from stylegan2_tf.latent.series import draw_series  # it imports this module

        self._labels(1, label)
        _check_seeds(seeds)
        drawn = draw_series(self, [(seed, 0.0) for seed in seeds], label=label,
                            truncation_psi=truncation_psi)
        return np.stack([image for _, image in drawn])

    def map(self, z, truncation_psi=1.0, label=None):
        """w `[N, D]` of latents z `[N, z_dim]`.

        Args:
            z: Standard normal latents.
            truncation_psi: See `sample`.
            label: Name of a class; None for every class in turn.

        Raises:
            ValueError: z has another length, psi is out of range, or there is no such class.
        """
        return map_latents(self, z, self._labels(len(z), label), truncation_psi)

    def synthesize(self, w, noise=None):
        """Images of intermediate latents, as from `sample`.

        Args:
            w: `[N, D]`, or one a layer `[N, num_ws, D]`.
            noise: None for the maps saved with the model, 0.0 for none, or a list of maps
                `[N, h, w, 1]`, or `[1, h, w, 1]` for all images, one a layer, with the shapes of
                `generator.synthesis.noise_shapes(N)`.

        Raises:
            ValueError: w has another length or number of layers, or the noise is no such thing.

        Example, what `stylegan2-tf project m64 images OUT --noise optimise` has found:

        >>> stored = numpy.load("OUT/projection.npz")
        >>> maps = [stored[f"noise_{layer}"] for layer in range(9)]
        >>> images = model.synthesize(stored["ws"], noise=maps)
        """
        return synthesize(self, w, noise)

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
    check_model(model_file, kind.__name__)
    try:
        return keras.saving.load_model(model_file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a damaged archive
        raise DataError(f"{model_file}: expected a model saved by stylegan2_tf, found: "
                        f"{one_line(error)}") from error
