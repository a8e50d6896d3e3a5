"""A whole evaluation: equal sets, floors, intervals, groups and neighbours."""

import numpy as np
import pytest

from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.metrics.evaluation import evaluate
from stylegan2_tf.metrics.extractors import make_extractor
from stylegan2_tf.metrics.sources import Source

PIXELS = make_extractor("pixels")


def source(images, people=None):
    """Images with names that tell `people` (labels), or none."""
    names = tuple(f"case_{people[index]:03d}_slice_{index}.png" if people is not None
                  else f"{index}.png" for index in range(len(images)))
    return Source(images, names, {"folder": "-", "images": len(images)})


def smooth(count, seed=0, shape=(16, 16, 1)):
    """Discs of random place, size and brightness, uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:shape[0], :shape[1]]
    images = np.zeros((count, *shape), np.uint8)
    for image in images:
        row, column = rng.uniform(0.3, 0.7, 2) * shape[:2]
        distance = np.hypot(rows - row, columns - column) / rng.uniform(0.2, 0.4) / shape[0]
        image[:] = (rng.uniform(100, 255) * np.clip(1.5 - distance, 0, 1))[..., None]
    return images


PEOPLE = np.arange(64) // 4


@pytest.fixture(scope="module")
def found():
    return evaluate(source(smooth(40, seed=1)), source(smooth(64), PEOPLE), extractor=PIXELS, n=24)


def test_all_sets_have_the_same_size(found):
    assert found.provenance["images_on_each_side"] == 24
    assert len(found.reals) == 24 and len(found.fakes) == 40 and len(found.train) == 64


def test_every_measure_has_value_interval_and_floor(found):
    assert list(found.values) == ["swd", "swd/16", "ms-ssim", "spectrum", "histogram", "kid",
                                  "frechet", "precision", "recall", "density", "coverage"]
    for value in found.values.values():
        assert np.isfinite([value.value, value.floor]).all()
        for centre, (low, high) in ((value.value, value.interval),
                                    (value.floor, value.floor_interval)):
            assert low <= centre <= high
    assert found.values["kid"].extractor == PIXELS.label and not found.values["swd"].extractor
    assert list(found.curves) == ["spectrum", "histogram"]
    assert set(found.curves["spectrum"].lines) == {"real", "other real", "fake"}


def test_subjects_are_the_groups_and_without_them_it_says_so(found):
    assert found.provenance["groups"] == "subjects"
    assert not any("subjects" in line for line in found.warnings)
    without = evaluate(source(smooth(30, 1)), source(smooth(64)), extractor=PIXELS, n=24)
    assert without.provenance["groups"] == "images"
    assert any("--subject-pattern" in line for line in without.warnings)


def test_the_seed_decides_everything(found):
    again, other = (
        evaluate(source(smooth(40, seed=1)), source(smooth(64), PEOPLE), extractor=PIXELS, n=24,
                 seed=seed) for seed in (0, 1))
    assert again.values == found.values and other.values != found.values


def test_worse_images_leave_the_floor():
    noise = np.random.default_rng(2).integers(-90, 90, (150, 16, 16, 1))
    noisy = np.clip(smooth(150, seed=1) + noise, 0, 255).astype(np.uint8)
    values = evaluate(source(noisy), source(smooth(300)), extractor=PIXELS).values
    for name in ("swd", "spectrum", "histogram", "frechet"):
        assert values[name].value > 2 * values[name].floor, name


def test_with_a_holdout_it_is_the_reference():
    train, holdout = source(smooth(64), PEOPLE), source(smooth(40, seed=3), PEOPLE[:40] + 100)
    found = evaluate(source(smooth(40, seed=1)), train, holdout, extractor=PIXELS, n=100)
    assert found.provenance["images_on_each_side"] == 40
    np.testing.assert_array_equal(found.reals, holdout.images)
    assert not any("--holdout" in line for line in found.warnings)
    assert found.neighbours["pixels"].calibrated_by == "held-out images"
    assert len(found.neighbours["pixels"].calibration) == 40


def test_planted_copies_are_found():
    train, fakes = smooth(64), smooth(40, seed=1)
    fakes[7], fakes[20] = train[3], train[50]
    found = evaluate(source(fakes), source(train, PEOPLE), extractor=PIXELS)
    for near in found.neighbours.values():
        assert set(near.suspicious[:2]) == {7, 20}
        assert near.nearest[7] == 3 and near.nearest[20] == 50
    assert found.train_names[50] == "case_012_slice_50.png"


@pytest.mark.parametrize("shape", [(16, 16, 3), (20, 24, 1), (32, 16, 1)])
def test_shapes(shape):
    found = evaluate(source(smooth(20, 1, shape)), source(smooth(40, 0, shape)), extractor=PIXELS)
    assert found.provenance["shape"] == list(shape)
    assert all(np.isfinite(value.value) for value in found.values.values())


def test_two_images_give_values_and_a_warning():
    found = evaluate(source(smooth(2, 1)), source(smooth(4)), extractor=PIXELS)
    assert all(np.isfinite(value.value) for value in found.values.values())
    assert found.values["swd"].interval is None
    assert any("only 2 images" in line for line in found.warnings)


def test_one_image_is_refused():
    with pytest.raises(UsageError, match="at least 2 images on each side, found 1 generated"):
        evaluate(source(smooth(1)), source(smooth(8)), extractor=PIXELS)
    with pytest.raises((UsageError, DataError)):
        evaluate(source(smooth(8)), source(smooth(1)), extractor=PIXELS)
