"""Half-sample intervals against what statistics says about a mean."""

import numpy as np
import pytest

from stylegan2_tf.metrics.intervals import FEWEST_GROUPS, half_sample_intervals
from stylegan2_tf.metrics.measure import Measure


class Mean(Measure):
    """The difference of two means: its standard error is known."""

    def describe(self, images):
        return {"value": images.mean(axis=(1, 2, 3))}

    def compare(self, real, fake, quick=False):
        return {"mean": float(fake["value"].mean() - real["value"].mean())}


def interval(real, fake, real_groups=None, fake_groups=None, **options):
    groups = [np.arange(len(side)) if labels is None else labels
              for side, labels in ((real, real_groups), (fake, fake_groups))]
    sides = {"value": np.asarray(real)}, {"value": np.asarray(fake)}
    measure = Mean()
    return half_sample_intervals(measure, *sides, *groups, values=measure.compare(*sides),
                                 **options)["mean"]


def test_the_width_is_that_of_the_standard_error():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, 200), rng.normal(3, 2, 300)
    low, high = interval(real, fake, repeats=2000)
    error = np.sqrt(real.var() / 200 + fake.var() / 300)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.06)
    assert (high + low) / 2 == pytest.approx(fake.mean() - real.mean(), abs=0.2 * error)


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = [low < 1 < high for low, high in (
        interval(rng.normal(0, 1, 60), rng.normal(1, 1, 60), seed=seed) for seed in range(200))]
    assert 0.89 < np.mean(covered) < 0.99


def test_slices_of_few_subjects_tell_less_than_as_many_independent_images():
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(20), 16)
    real = rng.normal(0, 1, 20)[subjects] + rng.normal(0, 0.1, 320)
    fake = rng.normal(0, 0.1, 320)
    low, high = interval(real, fake, subjects, repeats=1000)
    naive_low, naive_high = interval(real, fake, repeats=1000)
    assert (high - low) / (naive_high - naive_low) == pytest.approx(4, rel=0.25)  # sqrt(16)


def test_groups_may_be_names():
    values = np.arange(12.0)
    names = np.array([f"case_{index // 2}" for index in range(12)])
    numbers = np.arange(12) // 2
    assert interval(values, values, names) == interval(values, values, numbers)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).normal(size=30)
    assert interval(values, values, seed=4) == interval(values, values, seed=4)
    assert interval(values, values, seed=4) != interval(values, values, seed=5)


def test_too_few_groups_give_none():
    many = np.arange(40.0)
    few = np.arange(40) % (FEWEST_GROUPS - 1)
    assert interval(many, many, few) is None
    assert interval(many, many, None, few) is None
    assert interval(many[:2], many) is None


def test_half_samples_below_the_minimum_of_the_measure_give_none():
    sides = {"value": np.arange(8.0)}, {"value": np.arange(8.0)}
    measure = Mean()
    measure.minimum = 5
    found = half_sample_intervals(measure, *sides, np.arange(8), np.arange(8),
                                  values=measure.compare(*sides))
    assert found == {"mean": None}
