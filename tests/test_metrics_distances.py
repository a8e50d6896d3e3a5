import numpy as np
import pytest
from scipy.linalg import eigh, sqrtm

from stylegan2_tf.metrics import distances
from stylegan2_tf.metrics.distances import frechet_distance, kid, neighbour_measures


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(distances, "ROWS", 4)


# -- KID


def naive_kid(x, y):
    """The sums of the paper, pair by pair."""
    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def within(x):
        pairs = [kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
        return sum(pairs) / len(pairs)

    across = [kernel(a, b) for a in x for b in y]
    return within(x) + within(y) - 2 * sum(across) / len(across)


@pytest.mark.parametrize("n, m", [(9, 6), (4, 5), (2, 2)])
def test_kid_against_a_naive_formula(n, m, small_blocks):
    x, y = normal(n, 3), normal(m, 3, seed=1) + 0.5
    assert kid(x, y) == pytest.approx(naive_kid(x.tolist(), y.tolist()), rel=1e-12)


def test_kid_in_float32_keeps_its_digits():
    x, y = normal(300, 8).astype(np.float32) + 30, normal(300, 8, seed=1).astype(np.float32) + 30
    exact = kid(x.astype(np.longdouble), y.astype(np.longdouble))
    assert kid(x, y) == pytest.approx(exact, rel=1e-9)


def test_kid_of_two_halves_is_zero_on_average():
    values = []
    for seed in range(300):
        x = normal(40, 4, seed=seed)
        values.append(kid(x[:20], x[20:]))
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert 0.3 < np.mean(np.array(values) < 0) < 0.8
    x = normal(40, 4)  # what the biased estimate, with the diagonal, would give on top
    diagonal = ((np.square(x).sum(1) / 4 + 1) ** 3).mean() / 20
    assert diagonal > 10 * error


def test_kid_equals_the_mean_over_subsets():
    """Bińkowski's way, 100 random subsets, has the same expectation."""
    x, y = normal(200, 4), normal(200, 4, seed=1) + 0.3
    rng = np.random.default_rng(2)
    subsets = [kid(x[rng.permutation(200)[:50]], y[rng.permutation(200)[:50]]) for _ in range(100)]
    assert kid(x, y) == pytest.approx(np.mean(subsets), abs=3 * np.std(subsets) / 10)


# -- Fréchet distance


def by_square_root(x, y):
    """Heusel's equation 6 as it is written."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = sqrtm(s @ t).real
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t - 2 * root)


def by_symmetric_root(x, y):
    """With the symmetric square root of the first covariance, which may be singular."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = eigh(s)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    overlap = np.sqrt(eigh(root @ t @ root, eigvals_only=True).clip(0)).sum()
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s) + np.trace(t) - 2 * overlap


def test_frechet_distance_against_the_matrix_square_root():
    x, y = normal(60, 5) @ normal(5, 5, seed=1), normal(50, 5, seed=2) @ normal(5, 5, seed=3) + 1
    assert frechet_distance(x, y) == pytest.approx(by_square_root(x, y), rel=1e-9)


@pytest.mark.parametrize("n, m, rank", [(4, 6, 10), (5, 40, 10), (40, 40, 3), (2, 2, 10)])
def test_frechet_distance_with_singular_covariances(n, m, rank):
    mixing = normal(rank, 10, seed=9)
    x, y = normal(n, rank) @ mixing, normal(m, rank, seed=1) @ mixing + 0.1
    expected = by_symmetric_root(x, y)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_of_gaussians_in_closed_form():
    n = 100_000
    deviations = np.array([0.5, 1.0, 2.0]), np.array([1.0, 1.0, 0.5])
    x, y = (normal(n, 3, seed=seed) * deviations[seed] for seed in (0, 1))
    y += [1.0, 0.0, -1.0]
    expected = 2 + np.square(deviations[0] - deviations[1]).sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=0.01)


def test_frechet_distance_of_rotated_gaussians_in_closed_form():
    """Of a 2x2 matrix M with positive eigenvalues, tr √M = √(tr M + 2 √det M)."""
    s, t = np.array([[2.0, 1.2], [1.2, 1.0]]), np.array([[1.0, -0.6], [-0.6, 3.0]])
    x, y = (normal(100_000, 2, seed=seed) @ np.linalg.cholesky(covariance).T
            for seed, covariance in enumerate((s, t)))
    root = np.sqrt(np.trace(s @ t) + 2 * np.sqrt(np.linalg.det(s @ t)))
    assert frechet_distance(x, y) == pytest.approx(np.trace(s + t) - 2 * root, rel=0.02)


def test_frechet_distance_of_equal_and_of_shifted_samples():
    x = normal(50, 8).astype(np.float32)
    assert 0 <= frechet_distance(x, x[::-1]) < 1e-9
    assert frechet_distance(x, x + np.float32(0.5)) == pytest.approx(8 * 0.25, rel=1e-6)


def test_the_bias_of_the_frechet_distance_is_what_the_docstring_says():
    d, n = 32, 160
    found = [frechet_distance(normal(n, d, seed=seed), normal(n, d, seed=seed + 99))
             for seed in range(5)]
    assert np.mean(found) / d == pytest.approx(d / (2 * n), rel=0.2)


# -- nearest neighbours


def naive_neighbours(real, fake):
    """The definitions of both papers, distance by distance."""
    def distance(a, b):
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5

    def radius(points, i, k):
        others = sorted(distance(points[i], p) for j, p in enumerate(points) if j != i)
        return others[min(k, len(others)) - 1]

    def inside(point, points, k):
        return [distance(point, p) <= radius(points, i, k) for i, p in enumerate(points)]

    reals = range(len(real))
    in_ball = [inside(f, real, 5) for f in fake]
    return {"precision": np.mean([any(inside(f, real, 3)) for f in fake]),
            "recall": np.mean([any(inside(r, fake, 3)) for r in real]),
            "density": np.mean([sum(row) / min(5, len(real) - 1) for row in in_ball]),
            "coverage": np.mean([any(row[i] for row in in_ball) for i in reals])}


@pytest.mark.parametrize("n, m", [(12, 9), (9, 17), (25, 4), (4, 25), (2, 2), (6, 3)])
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_neighbour_measures_against_naive_loops(n, m, shift, small_blocks):
    real, fake = normal(n, 2), normal(m, 2, seed=1) + shift
    expected = naive_neighbours(real.tolist(), fake.tolist())
    assert neighbour_measures(real, fake) == pytest.approx(expected)


def test_copies_are_at_no_distance():
    real = normal(40, 16).astype(np.float32) + 100  # far from the origin: digits cancel
    assert neighbour_measures(real, real[::-1]) == pytest.approx(
        {"precision": 1, "recall": 1, "density": naive_neighbours(real, real)["density"],
         "coverage": 1})
    same = np.repeat(real[:1], 10, axis=0)
    assert set(neighbour_measures(same, same.copy()).values()) == {1.0, 2.0}  # density: 10 / 5
    assert set(neighbour_measures(same, same + 1).values()) == {0.0}


def modes(n, chosen, seed=0):
    """Samples around `chosen` corners of a cube with side 20, in turn."""
    corners = np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)])[list(chosen)]
    return 20 * corners[np.arange(n) % len(corners)] + normal(n, 3, seed=seed)


def test_lost_modes_lower_recall_and_keep_precision():
    real = modes(400, range(8))
    same = neighbour_measures(real, modes(400, range(8), seed=1))
    half = neighbour_measures(real, modes(400, range(4), seed=1))
    assert half["precision"] == pytest.approx(same["precision"], abs=0.05) and half["recall"] < 0.5
    assert half["density"] > 0.9 * same["density"]
    assert half["coverage"] < 0.55 < 0.9 < same["coverage"]


def test_junk_lowers_precision_and_keeps_recall():
    real = modes(400, range(8))
    same = neighbour_measures(real, modes(400, range(8), seed=1))
    junk = normal(400, 3, seed=2) * 300 + 3000
    mixed = neighbour_measures(real, np.concatenate([modes(400, range(8), seed=1), junk]))
    assert mixed["precision"] == pytest.approx(same["precision"] / 2, abs=0.02)
    assert mixed["density"] == pytest.approx(same["density"] / 2, abs=0.02)
    assert mixed["recall"] == pytest.approx(same["recall"], abs=0.02)
    assert mixed["coverage"] == pytest.approx(same["coverage"], abs=0.02)


def test_one_distribution_has_density_1():
    """Naeem 2020, section 3: the expectation is 1 whatever k and the sizes are."""
    found = [neighbour_measures(normal(150, 4, seed=seed), normal(150, 4, seed=seed + 50))
             for seed in range(20)]
    assert np.mean([values["density"] for values in found]) == pytest.approx(1, abs=0.05)
    # 1 - (N - 1) ... (N - k) / ((2N - 1) ... (2N - k)): the paper's expected coverage.
    n = np.arange(1, 6)
    expected = 1 - np.prod((150 - n) / (300 - n))
    assert np.mean([values["coverage"] for values in found]) == pytest.approx(expected, abs=0.01)
