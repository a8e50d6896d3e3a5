"""Directions in w along which images change: in closed form, by variance, or between classes.

Shapes: `N` points, `K` directions, `L` layers, `D` latent.
"""

import dataclasses

import numpy as np

from stylegan2_tf import files
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.latent.linear import LinearClassifier


@dataclasses.dataclass(frozen=True)
class Directions:
    """Directions of one kind, strongest first.

    Args:
        kind: "sefa", "pca" or "classes".
        vectors: `[K, D]`, unit length, float32.
        unit: How far a strength of 1 goes: the standard deviation of w along each, `[K]`.
        scores: What orders them: eigenvalues, variances, or held-out accuracy, `[K]`.
        names: A name for each.
    """

    kind: str
    vectors: np.ndarray
    unit: np.ndarray
    scores: np.ndarray
    names: tuple

    def save(self, path):
        """Write as `.npz`."""
        with files.replacing(path) as temporary:
            np.savez(temporary, **{**vars(self), "names": np.asarray(self.names)})


def load_directions(path):
    """Read what `Directions.save` wrote. Raises `DataError` if it is something else."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            found = Directions(str(stored["kind"]), stored["vectors"], stored["unit"],
                               stored["scores"], tuple(map(str, stored["names"])))
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
    """The linear direction between each two classes, with its accuracy on held-out samples.

    A logistic regression of standardised w; a fifth of the samples judges it (InterFaceGAN,
    arXiv:1907.10786, section 3.1).

    Args:
        samples: `[N, D]`.
        labels: Class of each, from 0.
        names: Names of the classes.
        seed: Decides which samples judge.
    """
    found, scores, pairs = [], [], []
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            chosen = np.isin(labels, (first, second))
            vector, accuracy = _separate(samples[chosen], labels[chosen] == second, seed)
            found.append(vector)
            scores.append(accuracy)
            pairs.append(f"{names[first]} to {names[second]}")
    result = _directions("classes", np.stack(found), np.asarray(scores), samples)
    return dataclasses.replace(result, names=tuple(pairs))


def _directions(kind, vectors, scores, samples):
    vectors = _with_a_sign(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), kind)
    unit = (samples.astype(np.float64) @ vectors.T).std(axis=0)
    names = tuple(f"{kind} {number}" for number in range(len(vectors)))
    return Directions(kind, vectors.astype(np.float32), unit.astype(np.float32),
                      np.asarray(scores, np.float64), names)


def _with_a_sign(vectors, kind):
    """An eigenvector has no sign: the largest component shall be positive."""
    if kind == "classes":
        return vectors
    largest = np.abs(vectors).argmax(axis=1)
    return vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]


def _separate(samples, positive, seed):
    """(direction `[D]`, accuracy on a fifth of the samples) of a linear classifier."""
    order = np.random.default_rng(seed).permutation(len(samples))
    judges, learned = np.split(order, [max(len(order) // 5, 1)])
    classifier = LinearClassifier(samples[learned], positive[learned])
    right = (classifier.scores(samples[judges]) > 0) == positive[judges]
    return classifier.direction, float(right.mean())
