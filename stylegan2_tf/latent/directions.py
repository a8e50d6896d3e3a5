"""Directions in w along which images change: in closed form, by variance, or between classes.

Shapes: `N` points, `K` directions, `L` layers, `D` latent.
"""

import dataclasses
import itertools

import numpy as np

from stylegan2_tf import files
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.latent.linear import LinearClassifier

LARGEST = 2**28  # bytes of a file of directions; it may be compressed


@dataclasses.dataclass(frozen=True)
class Directions:
    """Directions of one kind, strongest first.

    Args:
        kind: "sefa", "pca" or "classes".
        vectors: `[K, D]`, unit length, float32.
        unit: How far a strength of 1 goes, `[K]`: the standard deviation of w along each, or
            half the way between two classes.
        scores: What orders them: eigenvalues, variances, or held-out accuracy, `[K]`.
        names: A name for each.
        model: SHA-256 of the generator's file, whose w they are of; "" if not known.
    """

    kind: str
    vectors: np.ndarray
    unit: np.ndarray
    scores: np.ndarray
    names: tuple
    model: str = ""

    def save(self, path):
        """Write as `.npz`."""
        with files.replacing(path) as temporary:
            np.savez(temporary, **{**vars(self), "names": np.asarray(self.names)})


def load_directions(path):
    """Read what `Directions.save` wrote. Raises `DataError` if it is something else."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            if sum(member.file_size for member in stored.zip.infolist()) > LARGEST:
                raise ValueError(f"more than {LARGEST:,} bytes when unpacked")
            model = str(stored["model"]) if "model" in stored else ""  # earlier versions: none
            found = Directions(str(stored["kind"]), stored["vectors"], stored["unit"],
                               stored["scores"], tuple(map(str, stored["names"])), model)
        count, width = found.vectors.shape
        shapes = [found.unit.shape, found.scores.shape, (len(found.names),)]
        if shapes != [(count,)] * 3 or not count * width:
            raise ValueError(f"{count} directions, with others of shapes {shapes}")
        if not all(np.isfinite(part).all() for part in (found.vectors, found.unit)):
            raise ValueError("numbers that are not finite")
    except Exception as error:  # zipfile and NumPy raise many kinds on a damaged file
        raise DataError(f"{path}: expected directions that `stylegan2-tf directions` wrote, "
                        f"found: {one_line(error)}") from error
    return found


def semantic_directions(kernels, samples, count=8):
    """Closed-form factorisation (SeFa, arXiv:2007.06600, section 3.2).

    The first thing that happens to w is the affine layer of each convolution. Directions that
    change its output most are the eigenvectors of `A Aᵀ` with the largest eigenvalues. Each
    column of `A`, which makes one number of the output, has length 1: all count the same.

    Args:
        kernels: The affine layers' kernels as they are used, a list of `[D, C]`.
        samples: w of many latents `[N, D]`, for the unit.
        count: How many directions, at most D.
    """
    weights = np.concatenate(kernels, axis=1).astype(np.float64)
    weights /= np.maximum(np.linalg.norm(weights, axis=0), 1e-12)
    values, vectors = np.linalg.eigh(weights @ weights.T)
    order = np.argsort(values)[::-1][:count]
    return _directions("sefa", vectors[:, order].T, values[order], samples)


def principal_directions(samples, count=8):
    """Principal components of w (GANSpace, arXiv:2004.02546, section 2.1).

    Args:
        samples: w of many latents `[N, D]`.
        count: How many, at most D.
    """
    centred = samples - samples.mean(0, dtype=np.float64)
    _, spread, vectors = np.linalg.svd(centred, full_matrices=False)
    return _directions("pca", vectors[:count], spread[:count]**2 / len(samples), samples)


def class_directions(samples, labels, names, seed=0):
    """The way between the means of each two classes, and how well a plane tells them apart.

    Strengths of -1 and 1 are the two means, seen from the middle between them; 2 leads from one
    class to the other. The normal of the plane (InterFaceGAN, arXiv:1907.10786, section 3.1)
    is no way between them: it is longest along axes with next to no variance, which tell the
    classes apart and change no image.

    Args:
        samples: `[N, D]`.
        labels: Class of each, from 0.
        names: Names of the classes.
        seed: Decides which fifth of the samples judges the classifier.
    """
    pairs = list(itertools.combinations(range(len(names)), 2))
    means = [samples[labels == label].mean(0, dtype=np.float64) for label in range(len(names))]
    gaps = np.stack([means[second] - means[first] for first, second in pairs])
    lengths = np.linalg.norm(gaps, axis=1)
    scores = [_accuracy(samples[chosen], labels[chosen] == second, seed)
              for first, second in pairs for chosen in [np.isin(labels, (first, second))]]
    return Directions("classes", (gaps / np.maximum(lengths, 1e-12)[:, None]).astype(np.float32),
                      (lengths / 2).astype(np.float32), np.asarray(scores),
                      tuple(f"{names[first]} to {names[second]}" for first, second in pairs))


def _directions(kind, vectors, scores, samples):
    vectors = _with_a_sign(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    unit = (samples.astype(np.float64) @ vectors.T).std(axis=0)
    names = tuple(f"{kind} {number}" for number in range(len(vectors)))
    return Directions(kind, vectors.astype(np.float32), unit.astype(np.float32),
                      np.asarray(scores, np.float64), names)


def _with_a_sign(vectors):
    """An eigenvector has no sign: the largest component shall be positive."""
    largest = np.abs(vectors).argmax(axis=1)
    return vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]


def _accuracy(samples, positive, seed):
    """Of a linear classifier, on a fifth of the samples that it has not seen."""
    order = np.random.default_rng(seed).permutation(len(samples))
    judges, learned = np.split(order, [max(len(order) // 5, 1)])
    classifier = LinearClassifier(samples[learned], positive[learned])
    return float(((classifier.scores(samples[judges]) > 0) == positive[judges]).mean())
