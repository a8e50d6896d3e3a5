"""Were training images memorised? Fakes that are nearer to one than new real images are.

The nearest training image of a fake says nothing by itself. Here it is compared with those of
real images that were not trained on: a fake is suspicious where it is nearer than all but 1 % of
these. So 1 % of new images are suspicious by chance, and a count near that is no finding. A
higher one calls for a look at the pairs, and proves nothing: blurred images, for one, are near to
everything. Nor does a low one prove privacy: mirrored or turned copies, and copies of parts of
an image, are not found by pixels (for mirrored ones give `fakes[:, :, ::-1]`).

Shapes: `N` fakes, `M` calibration images, `T` training images, `H W` height and width in
pixels, `C` channels.
"""

import numpy as np

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.nearest import default_shift, nearest_features, nearest_images
from stylegan2_tf.metrics.results import Neighbours

ONE_IN = 100  # new images is suspicious by chance
# A copy. Less than one grey level of 256 in one of 64 x 64 pixels, more than rounding errors.
SAME = 1e-4
HELD_OUT = "held-out images"
OTHER_SUBJECTS = "training images of other subjects"
OTHER_IMAGES = "other training images"
NOTHING = "nothing"
# "closer to a training image than 99 % of ..."
COMPARED = {HELD_OUT: "held-out images are",
            OTHER_SUBJECTS: "training images are to those of other subjects",
            OTHER_IMAGES: "training images are to each other"}


def memorisation(fakes, train, *, holdout=None, train_groups=None, extractor=None, seed=0,
                 most_calibration=2000, progress=False):
    """The nearest training image of every fake, and which of them are suspicious.

    The threshold comes from `holdout`; without it, from training images: their distances to
    those of other subjects or, where no two subjects are known, to all others. It is the kth
    smallest distance, `k = max(1, floor((M + 1) / 100))`: a new image is below it with
    probability `k / (M + 1)`, whatever the distribution, as all ranks among M + 1 are equally
    likely. With fewer than 99 calibration images that is more than 1 %: too many fakes are
    then suspicious, not too few. Calibration images that equal a training image do not count,
    or duplicates would bring the threshold to 0; fakes that equal one are always suspicious.

    Args:
        fakes: `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.
        train: `[T, H, W, C]`, likewise: all that was trained on.
        holdout: None, or real images that were not trained on, of other people.
        train_groups: None, or T labels: the subject of each training image.
        extractor: None, or an `extractors.Extractor`: neighbours are then looked for by
            features too.
        seed: Decides which calibration images are taken.
        most_calibration: So many at most.
        progress: Show bars, if standard error is a terminal.

    Returns:
        A dict: "pixels", and the extractor's `label` if there is one -> `Neighbours`.

    Raises:
        UsageError: Shapes or the number of labels do not fit, or a set is empty.

    Reference:
        Comparison with held-out images: Meehan, Chaudhuri, Dasgupta, A Non-Parametric Test to
        Detect Data-Copying in Generative Models, arXiv:2004.05675. Ranks: Lei et al.,
        Distribution-Free Predictive Inference for Regression, arXiv:1604.04173, section 2.2.
    """
    name, real, chosen, exclude = _calibration(train, holdout, train_groups, seed,
                                               most_calibration)

    def by_pixels(images, references, exclude=None):
        return nearest_images(images, references, progress=progress, exclude=exclude)

    shift = default_shift(*train.shape[1:3])
    found = {"pixels": _neighbours(f"pixels after shifts up to {shift}", by_pixels, fakes, train,
                                   real[chosen], exclude, name)}
    if extractor is not None:
        features = extractor(train)
        others = extractor(real[chosen]) if real is not train else features[chosen]
        found[extractor.label] = _neighbours(f"features of {extractor.label}", nearest_features,
                                             extractor(fakes), features, others, exclude, name)
    return found


def summary_lines(neighbours):
    """What a reader must know about a `Neighbours`: the finding first, then the cautions."""
    counted = neighbours.calibration[neighbours.calibration > SAME]
    known, by = len(counted), neighbours.calibrated_by
    copies = int((neighbours.distance <= SAME).sum())
    lines = []
    if known:
        chance = _rank(known) / (known + 1)
        limit = f"{100 * (1 - chance):.0f} % of" if known > 98 else f"any of {known}"
        lines.append(
            f"{neighbours.distance_name}: {len(neighbours.suspicious):,} of "
            f"{len(neighbours.distance):,} generated images are closer to a training image than "
            f"{limit} {COMPARED[by]} (expected by chance: "
            f"{_short(chance * len(neighbours.distance))})")
    else:
        lines.append(f"{neighbours.distance_name}: no real image to compare with, so that only "
                     "exact copies of training images can be told; give --holdout")
    if copies:
        lines.append(f"{neighbours.distance_name}: {copies:,} generated images equal a training "
                     "image")
    return lines + _cautions(by, known, len(neighbours.calibration) - known)


def _cautions(by, known, equal):
    """Sentences on what the threshold rests on; the same for each distance."""
    lines = []
    if 0 < known < 99:
        lines.append(f"the threshold of the nearest training images rests on {known} real images "
                     "only: more than 1 % of new images are below it; 99 or more are better")
    if equal and by == HELD_OUT:
        lines.append(f"{equal:,} held-out images equal a training image: they are not held out, "
                     "and the threshold ignores them")
    elif equal:
        lines.append(f"{equal:,} training images equal another one: the threshold ignores them")
    if by == OTHER_IMAGES:
        lines.append("neither --holdout nor subjects: training images of one person make the "
                     "threshold so low that copies of them may not be found")
    return lines


def _short(value):
    return f"{value:,.1f}".removesuffix(".0")


def _calibration(train, holdout, groups, seed, most):
    """(name, images to draw from, those drawn, what they are not compared with)."""
    if groups is not None and len(groups) != len(train):
        raise UsageError(f"`train_groups` must label {len(train)} images. Received: {len(groups)}")
    if holdout is not None and not len(holdout):
        raise UsageError("`holdout` must hold images, or be None. Received: none")
    real = train if holdout is None else holdout
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(real))[:most])
    if holdout is not None:
        return HELD_OUT, real, chosen, None
    if len(train) < 2:
        return NOTHING, real, chosen[:0], None
    name = OTHER_SUBJECTS
    if groups is None or len(set(groups)) < 2:
        name, groups = OTHER_IMAGES, np.arange(len(train))
    labels = np.asarray(groups)
    return name, real, chosen, (labels[chosen], labels)


def _neighbours(distance_name, nearest, fakes, train, real, exclude, calibrated_by):
    """`Neighbours` by the function `nearest`, of images or of their features alike."""
    index, distance = nearest(fakes, train)
    calibration = nearest(real, train, exclude=exclude)[1] if len(real) else np.empty(0)
    threshold = _threshold(calibration)
    order = np.argsort(distance, kind="stable")
    suspicious = order[(distance[order] < threshold) | (distance[order] <= SAME)]
    return Neighbours(distance_name, index, distance, calibration, calibrated_by, threshold,
                      suspicious)


def _threshold(calibration):
    """The largest distance that at most 1 % of new images are below; 0.0 if none is known."""
    counted = np.sort(calibration[calibration > SAME])
    return float(counted[_rank(len(counted)) - 1]) if len(counted) else 0.0


def _rank(known):
    """Which of so many distances, from the smallest, is the threshold."""
    return max(1, (known + 1) // ONE_IN)
