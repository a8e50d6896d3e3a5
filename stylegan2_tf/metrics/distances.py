"""Distances between two sets of features: kernel (KID), Fréchet, and nearest neighbours.

Shapes: `N` and `M` samples, `D` features. Everything is computed in float64: these values are
small differences of large sums.
"""

import numpy as np

ROWS = 1024  # of a matrix of pairs that are in memory at once
PRECISION_K = 3  # neighbours of precision and recall (Kynkäänniemi 2019)
DENSITY_K = 5  # neighbours of density and coverage (Naeem 2020)
SAME_POINT = 1e-12  # squared distance, over the mean squared norm, of what differs by rounding


def kid(x, y):
    """Kernel distance: the unbiased `MMD²` of the kernel `(a · b / D + 1)³`.

    This is the full U-statistic over all pairs: its expectation is that of the mean over 100
    random subsets that Bińkowski takes, its variance is smaller, and it is a function of the
    images alone. Two samples of one distribution give 0 on average, so single values can
    be negative.

    Args:
        x: Features `[N, D]`, N at least 2.
        y: Features `[M, D]`, M at least 2.

    Returns:
        A float. Papers print it times 1000.

    Reference:
        Bińkowski et al., Demystifying MMD GANs, arXiv:1801.01401, section 4.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return _mean_kernel(x) + _mean_kernel(y) - 2 * _mean_kernel(x, y)


def _mean_kernel(x, y=None):
    """Mean of the kernel over all pairs; without `y`, over all pairs of two different rows."""
    other = x if y is None else y
    total = sum(_summed_kernel(x[start:start + ROWS] @ other.T, x.shape[1])
                for start in range(0, len(x), ROWS))
    if y is None:
        total -= _summed_kernel(np.square(x).sum(axis=1), x.shape[1])
        return float(total / (len(x) * (len(x) - 1)))
    return float(total / (len(x) * len(y)))


def _summed_kernel(products, dimensions):
    root = products / dimensions + 1
    return np.vdot(root * root, root)


def frechet_distance(x, y):
    """Fréchet distance of two Gaussians: `|m₁ - m₂|² + tr(S₁ + S₂ - 2 (S₁ S₂)^½)`.

    With factors `S₁ = AᵀA` and `S₂ = BᵀB`, the eigenvalues of `S₁ S₂` are the squared
    singular values of `ABᵀ`, so that `tr (S₁ S₂)^½` is the sum of these singular values. No
    root of a matrix is taken, and singular covariances (fewer samples than features) are
    ordinary cases.

    The means and covariances of finite samples make it too large: with N = M, by up to
    `D / 2N` of the summed variances of the features. Compare values of equal N and M only.

    Args:
        x: Features `[N, D]`, N at least 2.
        y: Features `[M, D]`, M at least 2.

    Returns:
        A float, at least 0.

    Reference:
        Heusel et al., GANs Trained by a Two Time-Scale Update Rule, arXiv:1706.08500,
        equation 6.
    """
    (mean_x, a), (mean_y, b) = _gaussian(x), _gaussian(y)
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    distance = np.square(mean_x - mean_y).sum() + np.square(a).sum() + np.square(b).sum()
    return max(0.0, float(distance - 2 * overlap))


def _gaussian(x):
    """Mean `[D]` and a factor `A` of the covariance `AᵀA`, with at most D rows."""
    mean = np.mean(x, axis=0, dtype=np.float64)
    centred = (x - mean) / np.sqrt(len(x) - 1)
    return mean, np.linalg.qr(centred, mode="r") if len(x) > x.shape[1] else centred


def neighbour_measures(real, fake):
    """Precision, recall, density and coverage from the distances to nearest neighbours.

    A sample's ball reaches to its k-th neighbour within its own set.

    - precision: fakes that lie in the ball of any real;
    - recall: reals that lie in the ball of any fake (both with k = 3);
    - density: balls of reals around a fake, over k, averaged: may pass 1;
    - coverage: reals whose ball holds any fake (both with k = 5).

    A set with k samples or fewer uses all its other samples as neighbours.

    Args:
        real: Features `[N, D]`, N at least 2.
        fake: Features `[M, D]`, M at least 2.

    Returns:
        A dict of four floats.

    Reference:
        Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative
        Models, arXiv:1904.06991, equations 1 to 3. Naeem et al., Reliable Fidelity and Diversity
        Metrics for Generative Models, arXiv:2002.09797, section 3.
    """
    centre = np.mean(real, axis=0, dtype=np.float64)  # less cancellation in the distances
    real, fake = real - centre, fake - centre
    precise, dense = _balls(real, PRECISION_K, DENSITY_K)
    recalling, = _balls(fake, PRECISION_K)
    k = min(DENSITY_K, len(real) - 1)
    precision, density = [], []
    recall, coverage = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start, distances in _squared_distances(fake, real):
        precision.append((distances <= precise).any(axis=1))
        inside = distances <= dense
        density.append(inside.sum(axis=1) / k)
        coverage |= inside.any(axis=0)
        recall |= (distances <= recalling[start:start + ROWS, None]).any(axis=0)
    return {"precision": float(np.concatenate(precision).mean()), "recall": float(recall.mean()),
            "density": float(np.concatenate(density).mean()), "coverage": float(coverage.mean())}


def _balls(x, *neighbours):
    """Squared radii `[N]` of the balls that reach to each of the given neighbours."""
    ranks = [min(k, len(x) - 1) for k in neighbours]  # rank 0 is the sample itself
    radii = np.concatenate([np.partition(distances, ranks, axis=1)[:, ranks]
                            for _, distances in _squared_distances(x, x)])
    return radii.T + SAME_POINT * np.square(x).sum(axis=1).mean()


def _squared_distances(x, y):
    """Yield (start, squared distances of `x[start:start + ROWS]` to all of `y`)."""
    norms = np.square(y).sum(axis=1)
    for start in range(0, len(x), ROWS):
        block = x[start:start + ROWS]
        distances = (-2 * block) @ y.T
        distances += norms
        distances += np.square(block).sum(axis=1)[:, None]
        yield start, np.maximum(distances, 0, out=distances)
