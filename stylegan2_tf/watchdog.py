"""Watch a training: diversity of the fakes, over-fitting and saturation of the discriminator.

Everything is measured on small fixed sets: fakes of the averaged generator, training images,
and held-out images if there are any. Images are NumPy `[N, H, W, C]`.
"""

import dataclasses
import math

import numpy as np
from scipy.spatial.distance import pdist

from stylegan2_tf.metrics.extractors import make_extractor

GRACE_KIMG = 20  # an untrained generator paints one image only: no verdict before
IN_A_ROW = 2  # checks that must agree
COLLAPSED = 0.5  # diversity of the fakes, as a share of that of real images
OVERFIT = 0.5  # mean sign(D) on training images minus that on held-out images
SATURATED = 20.0  # mean score between reals and fakes: softplus is flat, its gradient gone
EXPLODED = 1000.0  # gradient norm against the median of those kept
NORMS_KEPT = 500  # of rows of the log

MENDS = {
    "collapse": "a higher --r1-gamma, --augment mri, or a lower --lr helps",
    "overfitting": "--augment mri, a higher --r1-gamma or more images help",
    "saturation": "a higher --r1-gamma or a lower --lr helps",
    "divergence": "a lower --lr or a higher --r1-gamma helps",
}


@dataclasses.dataclass(frozen=True)
class Alarm:
    """What is wrong: `kind` is a key of `MENDS`; `line` has the number and the likely mend."""

    kind: str
    line: str


def diversity(images):
    """Mean root-mean-square distance between two of the images, area-averaged to 16 pixels.

    Grain and noise are averaged away: they would pass for variety.
    """
    features = make_extractor("pixels")(images)
    return float(pdist(features).mean() / np.sqrt(features.shape[1]))


class Watchdog:
    """Judges what the trainer measures at every check.

    Args:
        reals: Real images, the measure of diversity.
        loss: Of `TrainConfig`: what the scores of D mean.

    Attributes:
        alarms: `Alarm`s of the last check that have held `IN_A_ROW` times.
        suspects: `Alarm`s that held at the last check, perhaps for the first time.
    """

    def __init__(self, reals, loss="cross-entropy"):
        self.compare_with(reals)
        self._loss = loss
        self._norms = {"D": [], "G": []}
        self._new = 0  # norms since the last check
        self._counts = dict.fromkeys(MENDS, 0)
        self._lines = {}

    def compare_with(self, reals):
        """Take `reals` as the measure of diversity from now on."""
        self._real_diversity = diversity(reals)

    @property
    def alarms(self):
        return [alarm for alarm in self.suspects if self._counts[alarm.kind] >= IN_A_ROW]

    @property
    def suspects(self):
        return [Alarm(kind, self._lines[kind]) for kind, count in self._counts.items() if count]

    @property
    def state(self):
        """All that decides alarms, for the checkpoint."""
        return {"counts": dict(self._counts), "lines": dict(self._lines), "new": self._new,
                "norms": {name: list(norms) for name, norms in self._norms.items()}}

    @state.setter
    def state(self, state):
        self._counts, self._lines = dict(state["counts"]), dict(state["lines"])
        self._norms, self._new = state["norms"], state["new"]

    def calm_down(self):
        """Forget what was suspicious: the weights are others now."""
        self._counts = dict.fromkeys(MENDS, 0)

    def note(self, d_norm, g_norm):
        """Remember the gradient norms of some steps for the next check, if they are finite."""
        if math.isfinite(d_norm) and math.isfinite(g_norm):
            for name, norm in (("D", d_norm), ("G", g_norm)):
                self._norms[name] = [*self._norms[name], norm][-NORMS_KEPT:]
            self._new += 1

    def check(self, fakes, scores, nimg):
        """Judge one moment of a training.

        Args:
            fakes: Generated images.
            scores: Name -> scores of D, `[N]`: "real", "fake", and "holdout" if there is one.
            nimg: Images seen so far.

        Returns:
            A dict of numbers for the log, "watch/diversity" and so on.
        """
        # Only the scores of cross-entropy have a meaningful zero.
        middle = 0.0 if self._loss == "cross-entropy" else (
            scores["real"].mean() + scores["fake"].mean()) / 2
        signs = {name: float(np.sign(values - middle).mean()) for name, values in scores.items()}
        numbers = {
            "watch/diversity": diversity(fakes) / max(self._real_diversity, 1e-12),
            **{f"watch/sign_{name}": value for name, value in signs.items()},
            "watch/score_gap": float(scores["real"].mean() - scores["fake"].mean()),
        }
        found = {
            "collapse": self._collapse(numbers["watch/diversity"]),
            "overfitting": self._overfitting(signs),
            "saturation": self._saturation(numbers["watch/score_gap"]),
            "divergence": self._divergence(),
        }
        self._new = 0
        ripe = nimg >= 1000 * GRACE_KIMG
        for kind, text in found.items():
            self._counts[kind] = self._counts[kind] + 1 if text and ripe else 0
            self._lines[kind] = f"{kind} at {nimg / 1000:.1f} kimg: {text}; {MENDS[kind]}"
        return numbers

    # Each says what is wrong, or nothing.

    def _collapse(self, share):
        return share < COLLAPSED and f"diversity of the fakes is {share:.2f} of the real images'"

    def _overfitting(self, signs):
        held = signs.get("holdout", signs["real"])
        return signs["real"] - held > OVERFIT and (
            "D is positive on training images more often than on held-out ones: mean sign "
            f"{signs['real']:.2f} against {held:.2f}")

    def _saturation(self, gap):
        # A critic's scores have no bound: with wgan-gp they grow with the number of pixels.
        return self._loss != "wgan-gp" and gap > SATURATED and (
            f"D tells reals from fakes by a score of {gap:.0f}")

    def _divergence(self):
        for name, norms in self._norms.items():
            growth = max(norms[-self._new:]) / max(np.median(norms), 1e-12) if self._new else 0.0
            if growth > EXPLODED:
                return f"a gradient norm of {name} is {growth:.0f} times the median"
        return ""
