"""Write what an evaluation found: numbers as JSON, plots as PNG, a page to read as HTML."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from stylegan2_tf import files
from stylegan2_tf.data import printable
from stylegan2_tf.metrics.memorisation import summary_lines
from stylegan2_tf.metrics.page import QUANTILE, page, train_name, with_interval, with_unit

FORMAT = 1  # of report.json: raise it when a key changes its meaning
QUANTILES = (0.0, QUANTILE, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def write_report(evaluation, folder):
    """Write `report.json`, `report.png`, `neighbours.png` and `report.html`.

    Each file is replaced whole or not at all. Without neighbours there is no
    `neighbours.png`, and one from an earlier evaluation is removed.

    Args:
        evaluation: `results.Evaluation`.
        folder: Where they shall lie; created.

    Returns:
        List of the paths written, in the order above.

    Raises:
        ValueError: Neighbours are not those of `evaluation.fakes` and `evaluation.train`.
        OSError: The folder can't be written.
    """
    from stylegan2_tf.metrics import figures  # loads matplotlib

    _check(evaluation)
    folder = Path(folder)
    files.write_json(folder / "report.json", content(evaluation))
    plots, pairs = folder / "report.png", folder / "neighbours.png"
    figures.save_report(evaluation, plots)
    pictures = {"Plots": plots.read_bytes()}
    if evaluation.neighbours:
        figures.save_neighbours(evaluation, pairs)
        pictures["Closest training images"] = pairs.read_bytes()
    else:
        pairs.unlink(missing_ok=True)
    files.write_text(folder / "report.html", page(evaluation, pictures))
    names = ("report.json", "report.png", "neighbours.png", "report.html")
    return [folder / name for name in names if (folder / name).exists()]


def _check(evaluation):
    """Refuse neighbours of other images: the report would show innocent pairs."""
    for name, found in evaluation.neighbours.items():
        if not len(found.nearest) == len(found.distance) == len(evaluation.fakes):
            raise ValueError(f"`neighbours[{name!r}]` must have one entry for each of the "
                             f"{len(evaluation.fakes)} fakes. Received: {len(found.nearest)} "
                             f"nearest, {len(found.distance)} distances")
        if len(found.nearest) and max(found.nearest) >= len(evaluation.train):
            raise ValueError(f"`neighbours[{name!r}].nearest` must point into the "
                             f"{len(evaluation.train)} training images. Received: "
                             f"{max(found.nearest)}")


# -- JSON


def content(evaluation):
    """What `report.json` holds: dicts, lists, texts and numbers, in a fixed order.

    Args:
        evaluation: `results.Evaluation`.

    Returns:
        A dict that `json.dumps(..., allow_nan=False)` takes: NaN and infinity become None.
    """
    return _plain({
        "format": FORMAT,
        "images": {"fakes": len(evaluation.fakes), "reals": len(evaluation.reals),
                   "train": len(evaluation.train), "shape": evaluation.fakes.shape[1:]},
        "warnings": evaluation.warnings,
        "values": {name: dataclasses.asdict(value) for name, value in evaluation.values.items()},
        "curves": {name: dataclasses.asdict(curve) for name, curve in evaluation.curves.items()},
        "neighbours": {name: _neighbours(found, evaluation)
                       for name, found in evaluation.neighbours.items()},
        "provenance": evaluation.provenance})


def _neighbours(found, evaluation):
    return {"distance_name": found.distance_name, "calibrated_by": found.calibrated_by,
            "threshold": found.threshold, "threshold_quantile": QUANTILE,
            "calibration": _summary(found.calibration), "fakes": _summary(found.distance),
            "suspicious_count": len(found.suspicious),
            "suspicious": [{"fake": fake,
                            "training_image": train_name(evaluation, found.nearest[fake]),
                            "distance": found.distance[fake]} for fake in found.suspicious]}


def _summary(distances):
    finite = distances[np.isfinite(distances)]
    quantiles = np.quantile(finite, QUANTILES) if len(finite) else [None] * len(QUANTILES)
    return {"count": len(distances), "quantiles": dict(zip(QUANTILES, quantiles, strict=True))}


def _plain(value):
    """`value` with arrays as lists, keys as texts, and None for numbers JSON does not know."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- terminal


def table(evaluation):
    """The values for a terminal.

    Args:
        evaluation: `results.Evaluation`.

    Returns:
        List of lines: a head, one line a value, the warnings, and what the search for copies
        found.
    """
    rows = [("measure", "generated [95 %]", "floor [95 %]", "better", "note")]
    rows += [(with_unit(name, value.unit),
              with_interval(value.value, value.interval),
              with_interval(value.floor, value.floor_interval), value.better, value.note)
             for name, value in evaluation.values.items()]
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    privacy = [line for found in evaluation.neighbours.values() for line in summary_lines(found)]
    return [*lines, *(f"warning: {printable(warning)}" for warning in evaluation.warnings),
            *(f"privacy: {printable(line)}" for line in dict.fromkeys(privacy))]
