"""Nearest neighbours against brute force in float64."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics import nearest
from stylegan2_tf.metrics.nearest import default_shift, nearest_features, nearest_images


def pixels(images):
    """Float64 in [-1, 1], the rule of the package written anew."""
    if images.dtype == np.uint8:
        return images / 127.5 - 1
    return images / 32767.5 - 1 if images.dtype == np.uint16 else images.astype(np.float64)


def all_distances(queries, references, shift):
    """Distances `[N, M]`: the middle of each query at all places of each reference."""
    queries, references = pixels(queries), pixels(references)
    height, width = (side - 2 * shift for side in queries.shape[1:3])
    middle = queries[:, shift:shift + height, shift:shift + width].reshape(len(queries), -1)
    best = np.full((len(queries), len(references)), np.inf)
    for y, x in itertools.product(range(2 * shift + 1), repeat=2):
        piece = references[:, y:y + height, x:x + width].reshape(len(references), -1)
        squares = (middle**2).sum(axis=1)[:, None] + (piece**2).sum(axis=1)
        best = np.minimum(best, squares - 2 * middle @ piece.T)
    return np.sqrt(np.maximum(best, 0) / middle.shape[1])


def shapes(count, height, width, channels=1, seed=0):
    """Smooth random shapes on black, uint8."""
    noise = np.random.default_rng(seed).standard_normal((count, height, width, channels))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 0), mode="constant")
    return np.clip(smooth / smooth.std() * 80, 0, 255).astype(np.uint8)


def noisy(images, seed=0, deviation=5):
    noise = np.random.default_rng(seed).normal(0, deviation, images.shape)
    return np.clip(images + noise, 0, 255).round().astype(np.uint8)


# -- images


@pytest.mark.parametrize("size, shift", [
    ((64, 64, 1), 2), ((16, 16, 1), 1), ((30, 41, 3), 4), ((9, 13, 1), 0), ((3, 3, 4), 1)])
def test_distances_are_those_of_brute_force(size, shift):
    queries, references = shapes(5, *size), shapes(20, *size, seed=1)
    index, distance = nearest_images(queries, references, shift)
    expected = all_distances(queries, references, shift)
    np.testing.assert_array_equal(index, expected.argmin(axis=1))
    np.testing.assert_allclose(distance, expected.min(axis=1), rtol=1e-5)


@pytest.mark.parametrize("kind", ["uint16", "float32", "float64"])
def test_value_types_may_differ(kind):
    queries, references = shapes(4, 16, 16), shapes(6, 16, 16, seed=1)
    other = references.astype(np.uint16) * 257 if kind == "uint16" else pixels(references).astype(
        kind)
    expected = nearest_images(queries, references)
    for found in (nearest_images(queries, other), nearest_images(queries, other[::-1])):
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    assert nearest_images(other, references)[0].tolist() == list(range(6))
    assert nearest_images(other, references)[1].max() < 1e-6


def test_many_references_in_several_blocks(monkeypatch):
    monkeypatch.setattr(nearest, "BLOCK_PIXELS", 100 * 32 * 32)
    monkeypatch.setattr(nearest, "ROWS", 7)
    queries, references = shapes(30, 32, 32), shapes(350, 32, 32, seed=1)
    index, distance = nearest_images(queries, references)
    expected = all_distances(queries, references, 1)
    assert (index == expected.argmin(axis=1)).mean() >= 0.9
    np.testing.assert_allclose(distance, expected[np.arange(30), index], rtol=1e-5)


def test_copies_are_at_0_wherever_they_lie():
    references = np.random.default_rng(0).integers(0, 256, (120, 24, 28, 3), dtype=np.uint8)
    numbers = np.arange(0, 120, 10)
    for move in ((0, 0), (1, 0), (-1, 1)):
        index, distance = nearest_images(np.roll(references[numbers], move, (1, 2)), references)
        np.testing.assert_array_equal(index, numbers)
        assert distance.max() <= 1e-6
    far = np.roll(references[numbers], (2, 0), (1, 2))  # the default is 1
    assert nearest_images(far, references)[1].min() > 0.5
    assert nearest_images(far, references, shift=2)[1].max() <= 1e-6


def test_noisy_copies_at_low_contrast_are_found():
    """Squares of a common level must not drown the differences."""
    small = shapes(200, 32, 32).astype(np.uint16) // 16 + 60000  # 0.02 % of the range
    numbers = np.arange(0, 200, 10)
    queries = small[numbers] + np.random.default_rng(0).integers(0, 2, (20, 32, 32, 1),
                                                                dtype=np.uint16)
    index, distance = nearest_images(queries, small)
    np.testing.assert_array_equal(index, numbers)
    expected = all_distances(queries, small, 1).min(axis=1)
    np.testing.assert_allclose(distance, expected, rtol=0.01)


def test_black_images_are_copies_of_each_other_and_the_first_is_named():
    index, distance = nearest_images(np.zeros((2, 16, 16, 1), np.uint8),
                                     np.zeros((30, 16, 16, 1), np.uint8))
    assert index.tolist() == [0, 0] and distance.tolist() == [0, 0]


def test_two_images_and_large_ones():
    assert nearest_images(*np.split(shapes(2, 8, 8), 2))[0].tolist() == [0]
    large = shapes(6, 240, 256)
    index, distance = nearest_images(noisy(np.roll(large[4:], (7, -6), (1, 2))), large)
    assert index.tolist() == [4, 5] and 0.02 < distance.max() < 0.05
    three = shapes(3, 256, 256, channels=3)
    assert nearest_images(np.roll(three, 8, 1), three)[1].max() <= 1e-6


def test_the_default_shift():
    sizes = [(16, 16), (32, 32), (64, 64), (128, 128), (240, 256), (256, 256)]
    assert [default_shift(*size) for size in sizes] == [1, 1, 2, 4, 7, 8]


def test_excluded_references_do_not_count():
    images = shapes(120, 16, 16)
    people = np.repeat([f"case_{i:03}" for i in range(40)], 3)
    index, distance = nearest_images(images, images, exclude=(people, people))
    expected = all_distances(images, images, 1)
    expected[people[:, None] == people] = np.inf
    assert (people[index] != people).all()
    assert (index == expected.argmin(axis=1)).mean() > 0.95
    np.testing.assert_allclose(distance, expected[np.arange(120), index], rtol=1e-5)


def test_no_bars_without_a_terminal(capsys):
    nearest_images(shapes(2, 8, 8), shapes(3, 8, 8), progress=True)
    assert capsys.readouterr() == ("", "")


SOME = np.zeros((2, 8, 8, 1), np.uint8)
MANY = np.zeros((3, 8, 8, 1), np.uint8)
BROKEN = np.full((2, 8, 8, 1), np.nan, np.float32)


@pytest.mark.parametrize("arguments, message", [
    ((SOME, MANY[:, :4]), "differ in their number only"), ((SOME[0], MANY[0]), "must be 4-D"),
    ((SOME, MANY[:0]), "`references` must not be empty"),
    ((SOME[:0], MANY), "`queries` must not be empty"),
    ((BROKEN, MANY), "`queries` must be finite"), ((SOME, BROKEN), "`references` must be finite"),
    ((SOME, MANY, 4), "`shift` must be 0 to 3 for images of 8x8"), ((SOME, MANY, -1), "`shift`"),
    ((SOME, MANY, 1, False, ([1], [1, 2, 3])), "must hold 2 labels of queries and 3"),
    ((SOME, MANY, 1, False, ([2, 1], [1, 1, 1])), "another label. Received: none for query 1")])
def test_what_cannot_be_compared_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        nearest_images(*arguments)


# -- features


def test_features_count_in_units_of_their_deviation():
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-4, 4, 17)
    queries, references = (rng.standard_normal((n, 17)) * scale + 100 * scale for n in (40, 600))
    index, distance = nearest_features(queries, references)
    unit = references.std(axis=0)
    expected = np.sqrt(np.square((queries[:, None] - references) / unit).mean(axis=2))
    np.testing.assert_array_equal(index, expected.argmin(axis=1))
    np.testing.assert_allclose(distance, expected.min(axis=1), rtol=1e-4)
    assert nearest_features(references[:5], references)[1].max() == 0


def test_a_feature_that_does_not_vary_keeps_its_unit():
    references = np.array([[0, 7.0], [2, 7.0]])  # deviations 1 and 0
    index, distance = nearest_features(np.array([[2, 10.0]]), references)
    assert index.tolist() == [1]
    np.testing.assert_allclose(distance, 3 / np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(nearest_features(np.array([[3.0]]), np.array([[1.0]]))[1], 2)


def test_excluded_features_do_not_count():
    features = np.arange(6.0)[:, None]
    index, _ = nearest_features(features, features, exclude=(np.arange(6), np.arange(6)))
    assert index.tolist() == [1, 0, 1, 2, 3, 4]
    with pytest.raises(UsageError, match="none for query 0"):
        nearest_features(features, features, exclude=(np.zeros(6), np.zeros(6)))


def test_a_few_allowed_among_many_that_are_not():
    features = np.random.default_rng(0).standard_normal((300, 2))
    labels = np.arange(300) % 100 == 7
    index, _ = nearest_features(features, features, exclude=(labels, labels))
    assert (labels[index] != labels).all()


def test_features_must_be_finite_rows():
    with pytest.raises(UsageError, match="`references` must be finite"):
        nearest_features(np.zeros((2, 3)), np.full((2, 3), np.inf))
    with pytest.raises(UsageError, match="must be 2-D"):
        nearest_features(np.zeros((2, 3)), np.zeros((2, 4)))


# -- real slices


def test_recall_on_brain_slices(tmp_path):
    """Against brute force: new slices, and moved noisy copies, among those of 52 people."""
    if not os.environ.get("STYLEGAN2_TF_DATA"):
        pytest.skip("STYLEGAN2_TF_DATA names no folder of real images")
    from stylegan2_tf.data.packed import pack
    packed = pack(Path(os.environ["STYLEGAN2_TF_DATA"]) / "brain_slices", tmp_path, resolution=64,
                  channels=1, progress=False)
    images = packed.array[:len(packed) // 2]
    people = np.array([name[:8] for name in packed.names[:len(images)]])
    chosen = np.arange(0, len(images), 33)
    index, distance = nearest_images(images[chosen], images, exclude=(people[chosen], people))
    expected = all_distances(images[chosen], images, 2)
    expected[people[chosen, None] == people] = np.inf
    assert (index == expected.argmin(axis=1)).mean() >= 0.99
    np.testing.assert_allclose(distance, expected.min(axis=1), rtol=0.02)
    index, _ = nearest_images(noisy(np.roll(images[chosen], (2, -1), (1, 2))), images)
    np.testing.assert_array_equal(index, chosen)
