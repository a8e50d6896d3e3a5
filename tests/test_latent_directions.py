"""Directions in w."""

import dataclasses

import numpy as np
import pytest

from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.directions import (
    class_directions,
    load_directions,
    principal_directions,
    semantic_directions,
)
from stylegan2_tf.latent.linear import LinearClassifier

RNG = np.random.default_rng(0)
AXES = np.linalg.qr(RNG.standard_normal((6, 6)))[0].T  # six orthogonal directions


def gaussian(deviations, count=4000, seed=0):
    """Points `[N, 6]` with these deviations along `AXES`."""
    noise = np.random.default_rng(seed).standard_normal((count, 6))
    return ((noise * deviations) @ AXES).astype(np.float32)


def same_line(found, expected):
    return abs(float(found @ expected)) > 0.99


def check_form(found, kind, count):
    assert found.kind == kind and found.vectors.shape == (count, 6)
    assert found.vectors.dtype == found.unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-5)
    assert found.unit.shape == found.scores.shape == (count,) and len(found.names) == count


def signed(vectors):
    return (vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)] > 0).all()


def test_sefa_finds_the_direction_that_moves_the_output_most():
    kernels = []
    for seed, strength in ((1, 5.0), (2, 8.0)):
        noise = np.random.default_rng(seed)
        kernel = noise.standard_normal((6, 400)) * [[strength], [2], [0.3], [0.3], [0.3], [0.3]]
        kernels.append((AXES.T @ kernel).astype(np.float32))
    found = semantic_directions(kernels, gaussian([1, 2, 3, 4, 5, 6]), 3)
    check_form(found, "sefa", 3)
    assert same_line(found.vectors[0], AXES[0]) and same_line(found.vectors[1], AXES[1])
    assert found.names == ("sefa 0", "sefa 1", "sefa 2") and signed(found.vectors)
    # What SeFa maximises, computed for the directions themselves.
    columns = [kernel / np.linalg.norm(kernel, axis=0) for kernel in kernels]
    moved = [sum(np.sum((vector @ kernel)**2) for kernel in columns) for vector in found.vectors]
    np.testing.assert_allclose(found.scores, moved, rtol=1e-4)
    assert moved == sorted(moved, reverse=True)
    np.testing.assert_allclose(found.unit[0], 1, rtol=0.1)


def test_sefa_survives_an_output_that_nothing_moves():
    kernel = RNG.standard_normal((6, 8)).astype(np.float32)
    kernel[:, 3] = 0
    found = semantic_directions([kernel], gaussian(np.ones(6)), 9)
    check_form(found, "sefa", 6)  # there are no more
    assert np.isfinite(found.vectors).all() and np.isfinite(found.scores).all()


def test_components_of_a_gaussian():
    points = gaussian([1, 4, 0.5, 2, 0.1, 0.2], 20_000) + np.float32(100)
    found = principal_directions(points, 4)
    check_form(found, "pca", 4)
    for vector, axis in zip(found.vectors, (1, 3, 0, 2), strict=True):
        assert same_line(vector, AXES[axis])
    np.testing.assert_allclose(found.scores, [16, 4, 1, 0.25], rtol=0.05)
    np.testing.assert_allclose(found.unit**2, found.scores, rtol=1e-3)
    assert signed(found.vectors)


def test_the_direction_between_two_classes():
    labels = np.arange(4000) % 2
    points = gaussian(np.ones(6)) + (6 * labels[:, None] * AXES[2]).astype(np.float32)
    found = class_directions(points, labels, ["AD", "NC"])
    check_form(found, "classes", 1)
    assert found.names == ("AD to NC",)
    assert found.vectors[0] @ AXES[2] > 0.97  # towards the second class
    assert 0.99 <= found.scores[0] <= 1  # Φ(3) is 0.9987
    means = [points[labels == label].mean(axis=0) for label in (0, 1)]
    middle = sum(means) / 2
    for strength, mean in zip((-1, 1), means, strict=True):
        np.testing.assert_allclose(middle + strength * found.unit[0] * found.vectors[0], mean,
                                   atol=1e-4)
    np.testing.assert_allclose(found.unit, 3, rtol=0.05)


def test_axes_with_next_to_no_variance_do_not_turn_the_way_between_classes():
    """They tell the classes apart better than the axis along which the means differ."""
    labels = np.arange(4000) % 2
    points = np.random.default_rng(0).standard_normal((4000, 6)) * [3, 1, 1, 1, 1e-3, 1e-3]
    points = (points + labels[:, None] * [4, 0, 0, 0, 3e-3, 0]).astype(np.float32)
    found = class_directions(points, labels, ["AD", "NC"])
    assert found.vectors[0, 0] > 0.99
    np.testing.assert_allclose(2 * found.unit[0], 4, rtol=0.1)
    normal = LinearClassifier(points, labels == 1).direction  # what was taken once
    assert abs(normal[0]) < 0.01 * np.linalg.norm(normal)
    assert found.scores[0] > 0.9  # Φ(2/3) is 0.75, that of the first axis


def test_classes_with_the_same_mean_have_no_way_between_them():
    points = np.concatenate([gaussian(np.ones(6), 50)] * 2)
    found = class_directions(points, np.arange(100) // 50, "ab")
    assert found.unit == 0 and not found.vectors.any() and np.isfinite(found.scores).all()


def test_every_pair_of_classes():
    labels = np.arange(3000) % 3
    points = gaussian(np.ones(6), 3000) + (2 * labels[:, None] * AXES[0]).astype(np.float32)
    found = class_directions(points, labels, "abc")
    assert found.names == ("a to b", "a to c", "b to c")
    assert found.scores[1] > 0.95 and (found.vectors @ AXES[0] > 0.9).all()
    np.testing.assert_allclose(found.scores[[0, 2]], 0.841, atol=0.05)  # Φ(1)


def test_classes_that_do_not_differ_are_told_by_chance():
    """The accuracy is that of points the classifier has not seen."""
    points, labels = gaussian(np.ones(6), 60), np.arange(60) % 2
    assert class_directions(points, labels, "ab").scores[0] < 0.85
    scores = [class_directions(gaussian(np.ones(6), 60, seed), labels, "ab").scores[0]
              for seed in range(20)]
    assert abs(np.mean(scores) - 0.5) < 0.1


def test_a_linear_classifier_solves_what_it_should():
    """At the solution the penalised loss has no slope, checked by finite differences."""
    points = gaussian([1, 2, 3, 1, 1, 1], 300) * 5 + 7
    positive = (points @ AXES[0] + RNG.standard_normal(300)) > np.median(points @ AXES[0])
    classifier = LinearClassifier(points, positive)
    inputs = (points - points.mean(0)) / points.std(0)
    weights = np.r_[classifier.direction * points.std(0),
                    classifier.scores(points[:1]) - inputs[0] @ (
                        classifier.direction * points.std(0))]

    def loss(weights):
        margins = np.where(positive, 1, -1) * (inputs @ weights[:-1] + weights[-1])
        return np.log1p(np.exp(-margins)).sum() + (weights[:-1]**2).sum() / 2

    for axis in np.eye(7) * 1e-4:
        assert abs(loss(weights + axis) - loss(weights - axis)) / 2e-4 < 0.01


# -- files


def test_what_is_written_is_read(tmp_path):
    found = class_directions(gaussian(np.ones(6), 60), np.arange(60) % 2, ["Ä", "b"])
    found = dataclasses.replace(found, model="ab12")
    found.save(tmp_path / "some.npz")
    again = load_directions(tmp_path / "some.npz")
    assert (again.kind, again.names, again.model) == ("classes", ("Ä to b",), "ab12")
    for name in ("vectors", "unit", "scores"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
        assert getattr(again, name).dtype == getattr(found, name).dtype
    assert [path.name for path in tmp_path.iterdir()] == ["some.npz"]


def test_files_of_earlier_versions_tell_no_model(tmp_path):
    written(tmp_path / "some.npz")
    assert load_directions(tmp_path / "some.npz").model == ""


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def written(path, **changes):
    whole = dict(kind="pca", vectors=np.eye(2, 3), unit=np.ones(2), scores=np.ones(2),
                 names=np.array(["a", "b"]))
    np.savez(path, **{**whole, **changes})
    return path.read_bytes()


@pytest.mark.parametrize("name, changes", [
    ("a pickle", dict(vectors=np.array([Trap()], object))),
    ("no matrix", dict(vectors=np.ones(3))), ("nothing", dict(vectors=np.ones((0, 3)))),
    ("few units", dict(unit=np.ones(1))), ("few names", dict(names=np.array(["a"]))),
    ("one name", dict(names=np.array("a"))), ("scores", dict(scores=np.ones((2, 2)))),
    ("NaN", dict(vectors=np.full((2, 3), np.nan))), ("infinite", dict(unit=np.full(2, np.inf))),
    ("texts", dict(vectors=np.array([["a"], ["b"]]))),
])
def test_files_that_hold_something_else(tmp_path, name, changes):
    path = tmp_path / "some.npz"
    written(path, **changes)
    with pytest.raises(DataError, match="some.npz: expected directions that") as refusal:
        load_directions(path)
    assert "\n" not in str(refusal.value)


def test_damaged_files(tmp_path):
    path = tmp_path / "some.npz"
    whole = written(path)
    load_directions(path)
    flipped = bytearray(whole)
    flipped[150] ^= 255
    np.save(tmp_path / "one.npy", np.ones(3))
    for content in (whole[:-30], whole[:100], b"", b"text", bytes(flipped), b"PK\3\4" + bytes(99),
                    (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected directions"):
            load_directions(path)
    with pytest.raises(DataError, match="expected directions"):
        load_directions(tmp_path / "absent.npz")
