"""Two trainings side by side: every variable of their checkpoints, every row of their logs."""

import dataclasses

import numpy as np

from stylegan2_tf.tracking.history import read_log

GROUPS = {"generator": "generator", "generator_ema": "averaged generator",
          "discriminator": "discriminator", "g_optimizer": "optimizer of generator",
          "d_optimizer": "optimizer of discriminator", "controller": "augmentation",
          "pl_mean": "mean path length", "skipped": "skipped updates"}
OF_THEIR_OWN = ("w_avg", "alpha", "fade")  # variables that no gradient moves
TIMES = ("seconds", "images_per_second", "eval/seconds")  # differ in every run
MEASURED = ("eval/", "watch/")  # columns that depend on how long the run was meant to be


@dataclasses.dataclass(frozen=True)
class Difference:
    """Two variables, called `name`, that are not the same; `largest` is where `place` says."""

    name: str
    largest: float
    place: tuple


def names_of(state):
    """What the variables of `TrainStep.state` are called: key as of `read_state` -> name."""
    return {f"{owner}/{number}": value.name.removesuffix(":0")
            for owner, values in state.items() for number, value in enumerate(values)}


def compare_states(one, other, names):
    """Compare two checkpoints bit by bit.

    Args:
        one, other: What `checkpoints.read_state` gave.
        names: Key -> name of the variable.

    Returns:
        Dict of group -> (number of variables, list of `Difference`).
    """
    groups = {}
    for key, name in names.items():
        group = _group(key, name)
        count, found = groups.setdefault(group, (0, []))
        groups[group] = count + 1, found + _difference(name, one.get(key), other.get(key))
    return groups


def _group(key, name):
    leaf = name.rsplit("/", 1)[-1]
    return leaf if leaf in OF_THEIR_OWN else GROUPS[key.split("/")[0]]


def _difference(name, one, other):
    """A list of one `Difference`, or of none."""
    if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
        return [Difference(name, np.inf, ())]  # there is nothing to compare it with
    if one.tobytes() == other.tobytes():
        return []
    apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    place = np.unravel_index(np.argmax(apart), apart.shape)
    return [Difference(name, float(apart[place]), tuple(map(int, place)))]


def compare_logs(one, other, until):
    """Compare the rows of two `log.csv`, but for the columns that tell times.

    A row is the mean of the steps since the row before; where a signal or the end of a run has cut
    them otherwise, two rows can't be compared.

    Args:
        one, other: Paths.
        until: Step of the last row that is compared.

    Returns:
        (number of rows compared, lines on what differs, lines on what was not compared).
    """
    (first, places), (second, others) = _rows(one, until), _rows(other, until)
    common = [span for span in places if span in others]
    left, right = [places[span] for span in common], [others[span] for span in common]
    differing, once, notes = [], [], []
    for name in [name for name in first if name in second and name not in TIMES]:
        a, b = first[name][left], second[name][right]
        differ = (a != b) & ~(np.isnan(a) & np.isnan(b))
        if name.startswith(MEASURED):
            once += [name] * bool((np.isnan(a) != np.isnan(b)).any())
            differ &= np.isnan(a) == np.isnan(b)
        if differ.any():
            row = np.argmax(differ)
            differing.append(f"{name} in {differ.sum():,} of {len(common):,} rows, first at step "
                             f"{common[row][1]:.0f}: {a[row]:.7g} against {b[row]:.7g}")
    if once:
        notes.append(f"{', '.join(once)}: at some steps only one of the runs was measured")
    rest = len(places) + len(others) - 2 * len(common)
    if rest:
        notes.append(f"{rest:,} rows begin or end at other steps, where a run was interrupted")
    return len(common), differing, notes


def _rows(path, until):
    """(Columns, (step before the row, its step) -> number of the row)."""
    columns = read_log(path)[0] if path.exists() else {}
    steps = columns.get("step", ())
    return columns, {span: number for number, span in
                     enumerate(zip([0.0, *steps], steps, strict=False)) if span[1] <= until}
