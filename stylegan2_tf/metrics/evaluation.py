"""Compare generated images with real ones: every measure beside its floor.

All sets that are compared have the same number of images, because most measures depend on
it. The reference is what the fakes are measured against, the other real images give the
floor: with hold-out images these are the reference and the training images give the floor;
without, they are two halves of the real images that share no subject.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import importlib.metadata
import platform

import numpy as np
from tqdm import tqdm

from stylegan2_tf.data import find_subjects, halves
from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.feature_space import FeatureSpace
from stylegan2_tf.metrics.histogram import IntensityHistogram
from stylegan2_tf.metrics.intervals import half_sample_intervals
from stylegan2_tf.metrics.memorisation import memorisation
from stylegan2_tf.metrics.results import Curve, Evaluation, Value
from stylegan2_tf.metrics.sliced import SlicedWasserstein
from stylegan2_tf.metrics.spectrum import PowerSpectrum
from stylegan2_tf.metrics.ssim import MultiScaleSimilarity

FEW = 500  # images below which a reader is warned
PACKAGES = ("stylegan2_tf", "numpy", "scipy", "keras", "tensorflow")


def evaluate(fakes, train, holdout=None, *, extractor, n=2048, seed=0, subject_pattern=None,
             progress=False):
    """Measure generated images against real ones.

    Args:
        fakes, train, holdout: `sources.Source` each, images of one shape; `train` is what the
            generator was trained on, `holdout` (or None) real images that it never saw.
        extractor: `extractors.Extractor` of the feature-space measures.
        n: Images in each set, at most.
        seed: Decides which images are taken, patches and projections.
        subject_pattern: Regular expression for the subject in a file name; None tries the
            built-in patterns.
        progress: Show a bar, if standard error is a terminal.

    Returns:
        An `Evaluation`.

    Raises:
        UsageError: A set has fewer than two images.
    """
    sets = _Sets(fakes, train, holdout, n, seed, subject_pattern)
    measures = make_measures(extractor, seed)
    values, curves = {}, {}
    bar = tqdm(measures, desc="measuring", disable=None if progress else True, leave=False)
    for measure in bar:
        described = [measure.describe(images) for images in sets.images]
        values.update(_values(measure, described, sets.groups, seed))
        if hasattr(measure, "curve"):
            curves[measure.name] = _curve(measure, described)
    near = memorisation(
        fakes.images, train.images, holdout=holdout and holdout.images,
        train_groups=sets.subjects, extractor=extractor, seed=seed, progress=progress)
    return Evaluation(values, curves, near, train.images, train.names, fakes.images,
                      sets.images[0], _provenance(sets, extractor, n, seed), tuple(sets.warnings))


def make_measures(extractor, seed=0):
    """All measures of a report, those of the feature space by `extractor`."""
    return [SlicedWasserstein(seed=seed), MultiScaleSimilarity(seed=seed), PowerSpectrum(),
            IntensityHistogram(), FeatureSpace(extractor)]


class _Sets:
    """Reference, other real images and fakes, as many of each.

    Attributes:
        images: Three arrays `[N, H, W, C]`.
        groups: Three arrays of N labels: subjects of the real images, the image itself else.
        subjects: Of each training image, or None where the names tell none.
        warnings: What the reader must know about them.
    """

    def __init__(self, fakes, train, holdout, n, seed, pattern):
        # Together: a single person held out is no naming scheme alone.
        known = find_subjects([*train.names, *(holdout.names if holdout else ())], pattern)
        self.subjects = known and known[:len(train.names)]
        if holdout is None:
            parts = halves(self.subjects or range(len(train.images)), seed=seed)
            real = [(train, self.subjects, part) for part in parts]
        else:
            of_holdout = known and known[len(train.names):]
            real = [(holdout, of_holdout, None), (train, self.subjects, None)]
        self.sources = {"fakes": fakes, "train": train, "holdout": holdout}
        sides = [_pick(*side) for side in (*real, (fakes, None, None))]
        self.size = min(n, *(len(chosen) for _, chosen, _ in sides))
        if self.size < 2:
            raise UsageError(
                f"expected at least 2 images on each side, found {len(sides[2][1])} generated, "
                f"{len(sides[0][1])} and {len(sides[1][1])} real ones to compare with each other; "
                "give more images or --holdout")
        rng = np.random.default_rng(seed)
        self.images, self.groups = [], []
        for images, chosen, groups in sides:
            taken = np.sort(rng.permutation(chosen)[:self.size])
            self.images.append(images[taken])
            self.groups.append(groups[taken])
        self.warnings = self._warnings()

    def _warnings(self):
        lines = []
        if self.size < FEW:
            lines.append(f"only {self.size} images on each side: values are biased and unsure; "
                         f"{FEW} or more are better")
        if self.subjects is None:
            lines.append("no subjects in the file names: intervals treat every image as "
                         "independent, which slices of one brain are not (--subject-pattern)")
        if self.sources["holdout"] is None:
            lines.append("no --holdout: the reference is half of the images that the generator "
                         "may have been trained on")
        return lines


def _pick(source, subjects, chosen):
    """Images, the indices that may be taken, and the label of each image."""
    count = len(source.images)
    groups = np.arange(count) if subjects is None else np.asarray(subjects)
    return source.images, np.arange(count) if chosen is None else chosen, groups


def _values(measure, described, groups, seed):
    """`Value` of each name: the fakes, and the other real images, against the reference."""
    reference, other, fake = described
    of_fakes, of_reals = measure.compare(reference, fake), measure.compare(reference, other)
    intervals, floors = (
        half_sample_intervals(measure, reference, description, groups[0], labels, values=values,
                              seed=seed)
        for description, labels, values in ((fake, groups[2], of_fakes),
                                            (other, groups[1], of_reals)))
    extractor = measure.extractor.label if measure.extractor else ""
    return {name: Value(scale.label, scale.better, scale.unit, scale.note, of_fakes[name],
                        _clipped(intervals[name], scale), of_reals[name],
                        _clipped(floors[name], scale), extractor)
            for name, scale in measure.scales().items()}


def _clipped(interval, scale):
    return interval and tuple(min(max(end, scale.range[0]), scale.range[1]) for end in interval)


def _curve(measure, described):
    lines = dict(zip(("real", "other real", "fake"), map(measure.curve, described), strict=True))
    return Curve(measure.curve_label, measure.x_label, measure.y_label, lines["real"][0],
                 {name: y for name, (_, y) in lines.items()})


def _provenance(sets, extractor, n, seed):
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return {**{name: source.about for name, source in sets.sources.items() if source is not None},
            "images_on_each_side": sets.size, "n": n, "seed": seed,
            "groups": "subjects" if sets.subjects else "images", "extractor": extractor.label,
            "shape": list(sets.images[0].shape[1:]), "versions": versions}
