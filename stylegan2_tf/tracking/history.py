"""What `log.csv` tells, read back: its columns, the stages of growing, the means of epochs.

Shapes: `R` rows of the log, `E` epochs.
"""

import math
from array import array

import numpy as np

COUNTERS = ("step", "nimg", "epoch")  # without them, a row has no place


def read_log(path):
    """Read what a `CsvLog` wrote, or is writing: lines that are cut or damaged are left out.

    Args:
        path: The file.

    Returns:
        (columns, stages): name -> float64 `[R]`, NaN where empty; and (nimg, name) of each
        stage of progressive growing, the images seen before it and what `stage` says.
    """
    numbers, stages, nimg = array("d"), [], 0.0
    with open(path, encoding="utf-8", errors="replace") as stream:
        names = stream.readline().rstrip("\n").split(",")
        places = {name: place for place, name in enumerate(names)}
        for line in stream if places.keys() >= set(COUNTERS) else ():
            if not line.endswith("\n"):
                continue
            cells = line[:-1].split(",")
            stage = ""
            if "stage" in places and len(cells) == len(names):
                stage, cells[places["stage"]] = cells[places["stage"]], ""
            row = _numbers(cells)
            if len(row) != len(names) or not all(
                    math.isfinite(row[places[name]]) for name in COUNTERS):
                continue
            if stage and (not stages or stages[-1][1] != stage):
                stages.append((nimg, stage))
            nimg = row[places["nimg"]]
            numbers.extend(row)
    table = np.array(numbers).reshape(-1, len(names))
    return dict(zip(names, table.T, strict=True)), stages


def _numbers(cells):
    """The cells as floats, NaN for the empty; none if one is no number."""
    try:
        return [float(cell) if cell else math.nan for cell in cells]
    except ValueError:
        return []


def epoch_means(columns):
    """Means over the rows of each epoch, weighted by their steps.

    A row belongs to the epoch in which its first step lies.

    Args:
        columns: Of `read_log`, with one row at least.

    Returns:
        Name -> float64 `[E]`, NaN where no row has a finite value.
    """
    epoch = np.unique(np.floor(_before(columns["epoch"])), return_inverse=True)[1]
    steps = columns["step"] - _before(columns["step"])
    means = {}
    for name, values in columns.items():
        known = np.isfinite(values)
        sums = np.bincount(epoch, np.where(known, values, 0) * steps)
        weights = np.bincount(epoch, known * steps)
        means[name] = np.divide(sums, weights, out=np.full(len(sums), np.nan), where=weights > 0)
    return means


def _before(counter):
    """A counter at the beginning of each row; the first row is taken to be as long as any."""
    longest = np.diff(counter).max(initial=0) or counter[0]
    return np.append(max(counter[0] - longest, 0), counter[:-1])


def thinned(x, y, points):
    """At most so many means of equally many neighbours.

    Args:
        x, y: `[R]`, one value at least.
        points: Of the result, at most.

    Returns:
        x, y, and the lowest and the highest y of each.
    """
    starts = np.arange(0, len(y), math.ceil(len(y) / points))
    counts = np.diff(starts, append=len(y))
    return (np.add.reduceat(x, starts) / counts, np.add.reduceat(y, starts) / counts,
            np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts))
