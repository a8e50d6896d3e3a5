"""How far classes lie apart among styles, against chance, and styles in the plane.

Shapes: `N` points, `D` features, `K` neighbours, `C` classes.
"""

import dataclasses
import importlib.util
import sys

import numpy as np

from stylegan2_tf.errors import UsageError, one_line

BLOCK = 512  # points whose distances to all others are in memory at once
LEVEL = 95  # per cent of the permutations lie below the threshold
UMAP_NEIGHBOURS = 15  # its own default


@dataclasses.dataclass(frozen=True)
class Separation:
    """What `separation` found.

    Args:
        score: Share of the neighbours that are of a point's own class, 0 to 1, every class
            with the same weight.
        chance: Mean score with permuted labels; about 1 / C.
        threshold: Of these scores, 95 % are not above it.
        p_value: How often permuted labels score as much; at least 1 / (permutations + 1).
        k: Neighbours of a point.
    """

    score: float
    chance: float
    threshold: float
    p_value: float
    k: int


def separation(points, labels, *, k=10, permutations=200, seed=0, groups=None):
    """Whether points of one class have neighbours of that class more often than by chance.

    The score is the share of each point's `k` nearest other points that bear its label, averaged
    over each class and then over classes, so that a large class does not count for more. Its
    chance level comes from the same neighbours with permuted labels: no assumption is made
    about how points are distributed, and no plane picture is involved.

    Every feature is divided by its standard deviation over all points. Points are not
    whitened: that would raise directions with next to no variance to the weight of the
    largest, and is not defined for more features than points. Equal distances are decided at
    random, not by the order of the points.

    Slices of one person lie close together whatever the class, which would pass for a
    separation of the person's class. With `groups`, neighbours of the same group do not
    count, and labels are exchanged between whole groups. A generated point belongs to no
    person: give each a group of its own. Score generated and real images apart: if these lie
    apart and mix the classes differently, that passes for a separation, too.

    Args:
        points: `[N, D]`, such as styles of all classes. A class of no more than `k` points
            cannot reach a share of 1.
        labels: `[N]`: the class of each; numbers or texts, two kinds at least.
        k: Neighbours of a point.
        permutations: Of the labels.
        seed: Decides the permutations.
        groups: `[N]`: the subject of each point, or None. All points of a group must bear
            the same label.

    Returns:
        A `Separation`.

    Raises:
        UsageError: Lengths do not fit; a value is not finite; there is one class only; a
            group bears two labels; a class is too small, or `k` too large.
    """
    points, label, group, label_of_group = _checked(points, labels, groups, k, permutations)
    generator = np.random.default_rng(seed)
    # In random order, what decides between equal distances knows nothing of the classes.
    order = generator.permutation(len(points))
    group = group[order]
    neighbours = _neighbours(standardized(points)[order], group, k)
    score = _score(label[order], neighbours)
    chances = np.array([_score(generator.permutation(label_of_group)[group], neighbours)
                        for _ in range(permutations)])
    reached = int((chances >= score - 1e-12).sum())
    return Separation(float(score), float(chances.mean()),
                      float(np.percentile(chances, LEVEL, method="higher")),
                      (1 + reached) / (1 + permutations), k)


def standardized(points):
    """Points `[N, D]`, float64: each feature has mean 0 and, if it varies, deviation 1."""
    points = np.asarray(points, np.float64)
    centred = points - points.mean(axis=0)
    deviation = centred.std(axis=0)
    constant = deviation <= 1e-9 * np.abs(points).max(axis=0)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, deviation))


def _checked(points, labels, groups, k, permutations):
    """Points, class and group of each as whole numbers, and the class of each group."""
    points = _finite(points)
    labels = np.asarray(labels)
    groups = np.arange(len(points)) if groups is None else np.asarray(groups)
    for name, values in (("labels", labels), ("groups", groups)):
        if values.shape != (len(points),):
            raise UsageError(f"`{name}` must hold one value for each of {len(points)} points. "
                             f"Received: shape {values.shape}")
    classes, label = np.unique(labels, return_inverse=True)
    _, first, group, sizes = np.unique(groups, return_index=True, return_inverse=True,
                                       return_counts=True)
    label_of_group = label[first]
    torn = label != label_of_group[group]
    if torn.any():
        raise UsageError("`labels` must be the same for all points of a group. Received: two in "
                         f"group {groups[torn.argmax()]}")
    members = np.bincount(label_of_group, minlength=len(classes))
    if len(classes) < 2 or members.min() < 2:
        raise UsageError(
            "`labels` must hold two classes at least, each in two points or, if `groups` are "
            f"given, in two groups. Received: {dict(zip(classes.tolist(), members.tolist()))}")
    most = len(points) - int(sizes.max())
    if not 1 <= k <= most:
        raise UsageError(f"`k` must be 1 to {most}, the points outside the largest group or "
                         f"beside a point itself. Received: k={k}")
    if permutations < 1:
        raise UsageError(f"`permutations` must be at least 1. Received: {permutations}")
    return points, label, group, label_of_group


def _finite(points):
    points = np.asarray(points)
    if points.ndim != 2 or not points.size:
        raise UsageError(f"`points` must be [N, D]. Received: shape {points.shape}")
    if not np.isfinite(points).all():
        raise UsageError("`points` must be finite numbers. Received: NaN or infinity")
    return points


def _neighbours(points, group, k):
    """Indices `[N, K]` of the nearest points of other groups."""
    squares = np.einsum("nd,nd->n", points, points)
    found = np.empty((len(points), k), np.intp)
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        distances = squares - 2 * points[rows] @ points.T  # less |row|², the same for all
        distances[group[rows, None] == group] = np.inf
        found[rows] = np.argpartition(distances, k - 1, axis=1)[:, :k]
    return found


def _score(label, neighbours):
    """Mean over classes of the share of neighbours with a point's own label."""
    own = (label[neighbours] == label[:, None]).mean(axis=1)
    return (np.bincount(label, own) / np.bincount(label)).mean()


def embed_points(points, method="pca", seed=0):
    """Place points in the plane, fitted once on all of them.

    Give the union of what shall be compared: maps that were fitted apart have no axes, scale
    or distances in common.

    Args:
        points: `[N, D]`, three at least, with two features at least; they are standardised as
            for `separation`.
        method: "pca", or "umap" with umap-learn (arXiv:1802.03426), whose distances between
            clusters mean little: judge by `separation`.
        seed: Decides UMAP's.

    Returns:
        float64 `[N, 2]`.

    Raises:
        UsageError: The method is unknown, umap-learn is not installed, or points do not fit.
    """
    points = _finite(points)
    if len(points) < 3 or points.shape[1] < 2:
        raise UsageError("`points` must be three at least, of two features at least. Received: "
                         f"shape {points.shape}")
    if method not in METHODS:
        raise UsageError(f"`method` must be one of {', '.join(METHODS)}. Received: {method!r}")
    return METHODS[method](standardized(points), seed)


def _pca(points, seed):
    _, _, axes = np.linalg.svd(points, full_matrices=False)
    axes = axes[:2]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return points @ (axes * np.where(largest < 0, -1, 1)).T  # the sign is arbitrary otherwise


def _umap(points, seed):
    if importlib.util.find_spec("umap") is None:
        raise UsageError('method umap: expected the package umap-learn, found none; install it: '
                         'pip install -e ".[umap]", or take pca')
    if "umap" not in sys.modules:
        print("loading umap-learn: this takes half a minute at first", file=sys.stderr, flush=True)
    try:
        from umap import UMAP
    except ImportError as error:  # a stranger's package of that name, or numba is broken
        raise UsageError(f"method umap: expected umap-learn, found: {one_line(error)}; install "
                         'it: pip install -e ".[umap]", or take pca') from error
    # One job: a seed needs it, and UMAP warns otherwise.
    fitted = UMAP(n_components=2, n_neighbors=min(UMAP_NEIGHBOURS, len(points) - 1),
                  random_state=seed, n_jobs=1)
    return np.asarray(fitted.fit_transform(points), np.float64)


METHODS = {"pca": _pca, "umap": _umap}
