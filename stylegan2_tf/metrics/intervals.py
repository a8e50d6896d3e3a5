"""How sure a value is: half-sample intervals over images, or over the subjects they show.

The ordinary bootstrap draws with replacement. Its duplicates are nearest neighbours at
distance 0 and copies in a kernel, which distorts every measure of distance. Drawing half of
the groups *without* replacement has no duplicates, and for an average over groups its spread
is exactly the standard error of the whole set (balanced half-samples, McCarthy 1969;
subsampling, Politis and Romano 1994). Slices of one brain are not independent: where the
subjects are known, they are the groups.

Shapes: `N` images, `B` repetitions.
"""

import numpy as np

from stylegan2_tf.metrics.measure import rows

REPEATS = 40  # the standard error is then known to about 11 %
ERRORS = 1.96  # standard errors to each side: 95 %
FEWEST_GROUPS = 6  # below that a spread says nothing


def half_sample_intervals(measure, real, fake, real_groups, fake_groups, *, values,
                          repeats=REPEATS, seed=0):
    """A 95 % interval around each of `values`.

    Args:
        measure: A `Measure`.
        real, fake: What its `describe` gave for both sets.
        real_groups, fake_groups: Group of each image (any labels), the unit that is drawn.
        values: What `measure.compare(real, fake)` gave, the centres.
        repeats: Half-samples to draw.
        seed: Decides them.

    Returns:
        A dict: name -> (low, high), or None where a set has fewer than `FEWEST_GROUPS` groups
        or half of it is too small for the measure.
    """
    members = [_members(groups) for groups in (real_groups, fake_groups)]
    if min(len(groups) for groups in members) < FEWEST_GROUPS:
        return dict.fromkeys(values)
    rng = np.random.default_rng(seed)
    found = {name: [] for name in values}
    for _ in range(repeats):
        halves = [_half(groups, rng) for groups in members]
        if min(map(len, halves)) < measure.minimum:
            return dict.fromkeys(values)
        again = measure.compare(rows(real, halves[0]), rows(fake, halves[1]), quick=True)
        for name in values:
            found[name].append(again[name])
    return {name: _around(values[name], np.array(found[name])) for name in values}


def _members(groups):
    """Indices of the images in each group, in the order of the labels."""
    _, numbers = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)


def _half(groups, rng):
    chosen = rng.permutation(len(groups))[:len(groups) // 2]
    return np.sort(np.concatenate([groups[index] for index in chosen]))


def _around(value, repeated):
    """1.96 standard errors to each side. Half-samples are biased alike: their mean is not used."""
    reach = ERRORS * repeated.std(ddof=1)
    return float(value - reach), float(value + reach)
