import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import kstest

from stylegan2_tf.errors import UsageError
from stylegan2_tf.latent import separation as module
from stylegan2_tf.latent.separation import embed_points, separation


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def two_classes(n, apart, seed=0):
    """Points `[2 n, 5]` of two normal distributions, and their labels."""
    labels = np.repeat(["old", "young"], n)
    points = normal(2 * n, 5, seed=seed)
    points[n:, 0] += apart
    return points, labels


def subjects(seed, people=20, slices=15):
    """Points in one cluster a person, labels drawn by person, and the persons."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), slices)
    points = 3 * random.normal(size=(people, 8))[person] + random.normal(size=(len(person), 8))
    return points, random.permutation(np.arange(people) % 2)[person], person


def slow_score(points, labels, k, groups=None):
    """The definition, without blocks."""
    points = (points - points.mean(0)) / points.std(0)
    groups = np.arange(len(points)) if groups is None else groups
    distances = cdist(points, points)
    distances[groups[:, None] == groups] = np.inf
    shares = [(labels[np.argsort(row)[:k]] == label).mean()
              for row, label in zip(distances, labels, strict=True)]
    return np.mean([np.mean([s for s, own in zip(shares, labels, strict=True) if own == label])
                    for label in set(labels)])


@pytest.mark.parametrize("block", [7, 512])
@pytest.mark.parametrize("grouped", [False, True])
def test_score_is_its_definition(monkeypatch, block, grouped):
    monkeypatch.setattr(module, "BLOCK", block)
    points, labels, person = subjects(3, people=9, slices=5)
    labels = np.array(["a", "b", "c"])[person % 3]
    points *= np.geomspace(0.001, 1000, 8)  # units do not matter
    groups = person if grouped else None
    found = separation(points, labels, k=4, permutations=3, groups=groups)
    assert found.score == pytest.approx(slow_score(points, labels, 4, groups), abs=1e-12)
    assert found.k == 4


def test_separate_classes_are_far_above_chance():
    found = separation(*two_classes(100, apart=6.0))
    assert found.score > 0.95
    assert found.chance == pytest.approx(0.5, abs=0.01)
    assert 0.5 < found.threshold < 0.56
    assert found.p_value == 1 / 201


def test_labels_without_meaning_are_at_chance_at_every_level():
    p_values = []
    for seed in range(60):
        points, labels = two_classes(40, apart=0.0, seed=seed)
        p_values.append(separation(points, labels, permutations=99, seed=seed).p_value)
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) <= 0.05) < 0.15


def test_threshold_and_p_value_say_the_same():
    for seed in range(30):
        points, labels = two_classes(30, apart=0.6, seed=seed)
        found = separation(points, labels, permutations=99, seed=seed)
        assert (found.score > found.threshold) == (found.p_value < 0.06)


def test_permutations_that_score_the_same_count():
    """Of two pairs, a third of all permutations are the labels again."""
    found = separation(np.array([[0.0], [0.1], [9.0], [9.1]]), [0, 0, 1, 1], k=1,
                       permutations=2000)
    assert found.score == 1 and found.p_value == pytest.approx(1 / 3, abs=0.04)


@pytest.mark.parametrize("counts", [(180, 20), (120, 60, 20)])
def test_large_classes_count_no_more_than_small_ones(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    found = separation(normal(sum(counts), 4), labels)
    assert found.chance == pytest.approx(1 / len(counts), abs=0.02)  # not 0.82, the large share
    assert found.p_value > 0.05
    apart = separation(normal(sum(counts), 4) + 20 * labels[:, None], labels)
    assert apart.score == 1 and apart.p_value < 0.01


def test_slices_of_one_person_do_not_pass_for_a_separation():
    with_groups, without = [], []
    for seed in range(30):
        points, labels, person = subjects(seed)
        with_groups.append(separation(points, labels, groups=person, permutations=99).p_value)
        without.append(separation(points, labels, permutations=99).p_value)
    assert max(without) == 0.01  # wrong in every case
    assert np.mean(np.array(with_groups) <= 0.05) < 0.2
    assert kstest(with_groups, "uniform").pvalue > 0.01


def test_classes_of_people_are_found_despite_groups():
    points, labels, person = subjects(0)
    found = separation(points + 12 * labels[:, None], labels, groups=person)
    assert found.score > 0.95 and found.p_value < 0.01


@pytest.mark.parametrize("grouped", [False, True])
def test_equal_points_in_order_of_class_are_at_chance(grouped):
    labels = np.repeat([0, 1], 60)
    groups = np.arange(120) // 3 if grouped else None
    p_values = [separation(np.ones((120, 3)), labels, groups=groups, seed=seed).p_value
                for seed in range(8)]
    assert np.median(p_values) > 0.1


def test_the_same_seed_gives_the_same_result():
    points, labels = two_classes(30, apart=0.5)
    assert separation(points, labels, seed=3) == separation(points, labels, seed=3)
    assert separation(points, labels, seed=3).chance != separation(points, labels, seed=4).chance
    assert separation(points, labels, seed=3).score == separation(points, labels, seed=4).score


@pytest.mark.parametrize("change, message", [
    (dict(points=np.zeros(4)), r"`points` must be \[N, D\]. Received: shape \(4,\)"),
    (dict(points=np.full((4, 2), np.nan)), "`points` must be finite"),
    (dict(labels=[0, 1]), r"`labels` must hold one value for each of 4 points"),
    (dict(groups=[[0, 1, 2, 3]]), r"`groups` must hold one value for each of 4 points"),
    (dict(labels=[0, 0, 0, 0]), r"`labels` must hold two classes.*Received: \{0: 4\}"),
    (dict(labels=["a", "a", "a", "b"]), r"Received: \{'a': 3, 'b': 1\}"),
    (dict(groups=[0, 0, 1, 2]), r"Received: \{0: 1, 1: 2\}"),
    (dict(groups=[0, 1, 0, 2]), "the same for all points of a group. Received: two in group 0"),
    (dict(k=0), "`k` must be 1 to 3.*Received: k=0"),
    (dict(k=4), "`k` must be 1 to 3.*Received: k=4"),
    (dict(permutations=0), "`permutations` must be at least 1"),
])
def test_bad_input_is_refused(change, message):
    good = dict(points=np.eye(4), labels=[0, 0, 1, 1], k=2)
    separation(**good)
    with pytest.raises(UsageError, match=message):
        separation(**{**good, **change})


# -- in the plane


def test_pca_keeps_the_directions_of_largest_variance():
    points = normal(50, 6) @ normal(6, 6, seed=1)
    placed = embed_points(points, "pca")
    values, vectors = np.linalg.eigh(np.corrcoef(points.T))
    standard = (points - points.mean(0)) / points.std(0)
    expected = standard @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(placed * np.sign(placed[:1] * expected[:1]), expected, atol=1e-9)
    np.testing.assert_allclose(placed.var(0), values[::-1][:2])
    np.testing.assert_allclose(embed_points(-points), -placed)  # no sign is left to chance


@pytest.mark.parametrize("points", [normal(3, 100), normal(5, 2), np.ones((4, 3))])
def test_pca_of_few_or_equal_points(points):
    placed = embed_points(points)
    assert placed.shape == (len(points), 2) and np.isfinite(placed).all()


@pytest.mark.parametrize("arguments, message", [
    ((normal(5, 3), "tsne"), "`method` must be one of pca, umap. Received: 'tsne'"),
    ((normal(5, 1),), r"of two features at least. Received: shape \(5, 1\)"),
    ((normal(2, 3),), r"three at least.*Received: shape \(2, 3\)"),
    ((np.full((5, 3), np.inf),), "`points` must be finite"),
])
def test_what_has_no_place_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        embed_points(*arguments)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that makes `import umap` run the given code."""
    monkeypatch.delitem(sys.modules, "umap", raising=False)

    def make(code):
        (tmp_path / "umap.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
    yield make
    sys.modules.pop("umap", None)


def test_umap_is_refused_where_it_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'install it: pip install -e "\.\[umap\]", or take pca'):
        embed_points(normal(5, 3), "umap")
    assert capsys.readouterr().err == ""


def test_another_package_named_umap_is_refused(package):
    package("x = 1")
    with pytest.raises(UsageError, match="found: cannot import name 'UMAP'.*pip install"):
        embed_points(normal(5, 3), "umap")


@pytest.mark.parametrize("count, neighbours", [(9, 8), (40, 15)])
def test_umap_is_fitted_once_with_the_seed(package, capsys, count, neighbours):
    package("class UMAP:\n"
            "    made = []\n"
            "    def __init__(self, **options):\n"
            "        self.options, self.fitted = options, []\n"
            "        UMAP.made.append(self)\n"
            "    def fit_transform(self, points):\n"
            "        self.fitted.append(points)\n"
            "        return points[:, 1:3]\n")
    points = normal(count, 4) * 7
    placed = embed_points(points, "umap", seed=5)
    (made,) = sys.modules["umap"].UMAP.made
    assert made.options == {"n_components": 2, "n_neighbors": neighbours, "random_state": 5,
                            "n_jobs": 1}
    (fitted,) = made.fitted
    np.testing.assert_allclose(fitted, (points - points.mean(0)) / points.std(0))
    np.testing.assert_array_equal(placed, fitted[:, 1:3])
    assert capsys.readouterr().err == "loading umap-learn: this takes half a minute at first\n"
    embed_points(points, "umap")
    assert capsys.readouterr().err == ""  # it is loaded
