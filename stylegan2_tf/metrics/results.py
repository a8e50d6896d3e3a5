"""What an evaluation found, as plain data: `evaluation.py` fills it, `report.py` shows it."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Value:
    """One number with what it takes to judge it.

    Attributes:
        label, better, unit, note: See `measure.Scale`.
        value: Of the fakes against the reference images.
        interval: (low, high), 95 %, over images or subjects; None with too few.
        floor: The same measure of other real images against the same reference.
        floor_interval: Its interval, or None.
        extractor: "" or "name sha256:0123456789ab" of the feature network.
    """

    label: str
    better: str
    unit: str
    note: str
    value: float
    interval: tuple | None
    floor: float
    floor_interval: tuple | None
    extractor: str = ""


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line that describes a set of images, for the plots.

    Attributes:
        label, x_label, y_label: "radial power spectrum", "cycles per image", "dB".
        x: `[K]`.
        lines: "real", "other real" and "fake" -> `[K]`.
    """

    label: str
    x_label: str
    y_label: str
    x: np.ndarray
    lines: dict


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The nearest training image of every fake by one distance.

    Attributes:
        distance_name: "pixels after shifts up to 2" or the extractor.
        nearest: Index of the nearest training image of each fake, `[N]`.
        distance: To it, `[N]`: root mean square over pixels in `[-1, 1]`, or over features.
        calibration: Distances of real images that were not trained on (or, without
            such: of other people's) to the training images, `[M]`.
        calibrated_by: "held-out images", "training images of other subjects" or
            "other training images".
        threshold: 1 % quantile of `calibration`; fakes below it are suspicious.
        suspicious: Indices of the fakes below `threshold`, nearest first.
    """

    distance_name: str
    nearest: np.ndarray
    distance: np.ndarray
    calibration: np.ndarray
    calibrated_by: str
    threshold: float
    suspicious: np.ndarray


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything that a report shows.

    Attributes:
        values: Name -> `Value`, in the order to print: "swd", "swd/32", "kid", ...
        curves: Name -> `Curve`: "spectrum", "histogram".
        neighbours: Name -> `Neighbours`: "pixels" and that of the extractor.
        train: Training images `[M, H, W, C]` that `neighbours` points into.
        train_names: Their names, M of them.
        fakes: All generated images `[N, H, W, C]`, which `neighbours` speaks of.
        reals: The reference images, as many as were compared.
        provenance: JSON-ready: paths, counts, seeds, hashes, versions.
        warnings: Sentences a reader must see.
    """

    values: dict
    curves: dict
    neighbours: dict
    train: np.ndarray
    train_names: tuple
    fakes: np.ndarray
    reals: np.ndarray
    provenance: dict
    warnings: tuple
