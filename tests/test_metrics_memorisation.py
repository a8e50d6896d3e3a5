"""Planted copies are found, new images are not, and the threshold is what it says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.memorisation import memorisation, summary_lines
from stylegan2_tf.metrics.results import Neighbours


def shapes(count, seed, side=16):
    """Smooth random shapes on black, uint8 `[count, side, side, 1]`."""
    noise = np.random.default_rng(seed).standard_normal((count, side, side, 1))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 0), mode="constant")
    return np.clip(smooth / smooth.std() * 80, 0, 255).astype(np.uint8)


def with_copies(fakes, train):
    """Fakes with 3 exact copies, at 10, 11, 12, and 3 moved noisy ones, at 20, 21, 22."""
    fakes = fakes.copy()
    fakes[10:13] = train[[5, 50, 99]]
    moved = np.stack([np.roll(train[i], move, (0, 1))
                      for i, move in ((7, (1, 0)), (70, (0, -1)), (77, (-1, 1)))])
    noise = np.random.default_rng(9).normal(0, 5, moved.shape)
    fakes[20:23] = np.clip(moved + noise, 0, 255).round()
    return fakes


def check_copies(found):
    """All six are suspicious, of the right training image, the exact ones first."""
    planted, sources = [10, 11, 12, 20, 21, 22], [5, 50, 99, 7, 70, 77]
    assert set(planted) <= set(found.suspicious)
    assert set(found.suspicious[:3]) == {10, 11, 12}
    assert found.nearest[planted].tolist() == sources
    assert found.distance[10:13].max() <= 1e-6
    assert (np.diff(found.distance[found.suspicious]) >= 0).all()


class Corner:
    """One feature: the first pixel. With one training image it is compared in grey levels."""

    label = "corner"

    def __call__(self, images):
        return images[:, 0, 0].astype(np.float32)


def corners(*values):
    images = np.zeros((len(values), 4, 4, 1), np.uint8)
    images[:, 0, 0, 0] = values
    return images


def judged(fakes, train, holdout=None, **options):
    return memorisation(corners(*fakes), corners(*train), extractor=Corner(),
                        holdout=None if holdout is None else corners(*holdout),
                        **options)["corner"]


# -- copies among generated images


@pytest.mark.parametrize("known", ["holdout", "subjects", "images"])
def test_planted_copies_are_found(known):
    train = shapes(400, 0)
    calibration = {"holdout": {"holdout": shapes(300, 1)}, "images": {},
                   "subjects": {"train_groups": np.arange(400) // 4}}[known]
    found = memorisation(with_copies(shapes(200, 2), train), train, **calibration)
    assert list(found) == ["pixels"]
    found = found["pixels"]
    check_copies(found)
    assert len(found.suspicious) <= 6 + 8
    assert found.distance_name == "pixels after shifts up to 1"
    assert found.calibrated_by == {"holdout": "held-out images", "images": "other training images",
                                   "subjects": "training images of other subjects"}[known]


def test_new_images_are_suspicious_at_the_promised_rate():
    found = memorisation(shapes(1000, 2), shapes(150, 0), holdout=shapes(999, 1))["pixels"]
    assert len(found.calibration) == 999
    assert found.threshold == np.sort(found.calibration)[9]
    # Beta-binomial of 1,000 with 10 and 990: 99.9 % lie within these.
    assert 1 <= len(found.suspicious) <= 29


def test_mirrored_copies_are_found_when_asked_for_only():
    train, holdout = shapes(100, 0), shapes(300, 1)
    fakes = train[:5, :, ::-1]
    assert len(memorisation(fakes, train, holdout=holdout)["pixels"].suspicious) < 2
    found = memorisation(fakes[:, :, ::-1], train, holdout=holdout)["pixels"]
    assert found.suspicious.tolist() == [0, 1, 2, 3, 4]


# -- the threshold, where the answer is known: distances to a training image of value 0


@pytest.mark.parametrize("known, rank", [(1, 1), (50, 1), (98, 1), (99, 1), (198, 1), (199, 2),
                                         (250, 2)])
def test_the_threshold_is_the_kth_smallest_distance(known, rank):
    found = judged([0, 1, 2, 3], [0], range(1, known + 1))
    assert found.threshold == rank and sorted(found.calibration) == list(range(1, known + 1))
    assert found.suspicious.tolist() == list(range(rank))  # below it, not at it


def test_duplicates_do_not_bring_the_threshold_to_0():
    found = judged([0, 3, 5], [0], [0] * 100 + [4] * 100 + [9] * 50)
    assert found.threshold == 4 and found.suspicious.tolist() == [0, 1]
    assert len(found.calibration) == 250
    assert "100 held-out images equal a training image" in " ".join(summary_lines(found))
    found = judged([0, 3], [0, 0, 8, 8])
    assert found.threshold == 0 and found.suspicious.tolist() == [0]
    assert "no real image to compare with" in summary_lines(found)[0]
    assert "4 training images equal another one" in " ".join(summary_lines(found))


def test_subjects_are_compared_with_others_only():
    values, people = [10, 11, 20, 21, 40, 41], ["a", "a", "b", "b", "c", "c"]
    unit = np.std(values)
    found = judged([10], values, train_groups=people)
    np.testing.assert_allclose(found.calibration * unit, [10, 9, 9, 10, 19, 20], rtol=1e-5)
    single = judged([10], values)
    np.testing.assert_allclose(single.calibration * unit, np.ones(6), rtol=1e-5)
    assert judged([10], values, train_groups=["a"] * 6).calibrated_by == "other training images"


def test_without_anything_to_compare_with_exact_copies_are_found():
    for found in memorisation(corners(7, 0), corners(7), extractor=Corner()).values():
        assert found.threshold == 0 and found.calibrated_by == "nothing"
        assert found.suspicious.tolist()[0] == 0 and len(found.calibration) == 0
        assert "only exact copies" in summary_lines(found)[0]
        assert "equal a training image" in summary_lines(found)[1]


def test_the_seed_decides_which_images_calibrate():
    train, holdout = [0], range(1, 200)
    first, again, other = (judged([0], train, holdout, most_calibration=20, seed=seed)
                           for seed in (0, 0, 1))
    assert len(first.calibration) == 20 == len(set(first.calibration))
    np.testing.assert_array_equal(first.calibration, again.calibration)
    assert set(first.calibration) != set(other.calibration)
    found = judged([0], holdout, most_calibration=20)
    assert len(found.calibration) == 20 and len(found.nearest) == 1


def test_sets_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="`train_groups` must label 2 images. Received: 3"):
        judged([0], [1, 2], train_groups=[1, 2, 3])
    with pytest.raises(UsageError, match="must not be empty"):
        judged([], [1, 2])
    with pytest.raises(UsageError, match="`holdout` must hold images"):
        judged([1], [1, 2], [])


def test_no_tensorflow_is_imported():
    code = ("import sys, stylegan2_tf.metrics.memorisation\n"
            "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))")
    subprocess.run([sys.executable, "-c", code], check=True)


# -- what is said


def neighbours(close, known, by="held-out images", fakes=200):
    distance = np.where(np.arange(fakes) < close, 0.1, 0.9)
    return Neighbours("pixels", np.zeros(fakes, int), distance, np.linspace(0.5, 1, known), by,
                      0.5, np.arange(close))


def test_the_summary_sets_the_finding_beside_chance():
    assert summary_lines(neighbours(3, 199)) == [
        "pixels: 3 of 200 generated images are closer to a training image than 99 % of held-out "
        "images are (expected by chance: 2)"]
    (line,) = summary_lines(neighbours(3, 199, "training images of other subjects", 1234))
    assert "than 99 % of training images are to those of other subjects (expected by chance: 12" \
        in line
    first, caution = summary_lines(neighbours(0, 39))
    assert "0 of 200 generated images are closer to a training image than any of 39" in first
    assert "(expected by chance: 5)" in first and "rests on 39 real images" in caution
    assert "neither --holdout nor subjects" in summary_lines(
        neighbours(0, 199, "other training images"))[1]


# -- real slices


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    """Slices of 104 people, 64 pixels, and who each shows."""
    if not os.environ.get("STYLEGAN2_TF_DATA"):
        pytest.skip("STYLEGAN2_TF_DATA names no folder of real images")
    from stylegan2_tf.data.packed import pack
    packed = pack(Path(os.environ["STYLEGAN2_TF_DATA"]) / "brain_slices",
                  tmp_path_factory.mktemp("cache"), resolution=64, channels=1, progress=False)
    return packed.array, np.array([name[:8] for name in packed.names])


def test_copies_and_new_people_among_brain_slices(slices):
    """Of 26 new people about 1 % is suspicious: 0.1 to 1.7 % in 12 splits, 0.9 % on average."""
    images, people = slices
    order = np.random.default_rng(0).permutation(np.unique(people))
    train, holdout, new = (images[np.isin(people, group)] for group in np.split(order, [52, 78]))
    new = new[::3]
    found = memorisation(new, train, holdout=holdout, most_calibration=400)["pixels"]
    assert 0 <= len(found.suspicious) <= 0.03 * len(new)
    check_copies(memorisation(with_copies(new[:200], train), train, holdout=holdout,
                              most_calibration=200)["pixels"])
