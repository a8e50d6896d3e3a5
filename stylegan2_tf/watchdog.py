"""Watch a training: diversity of the fakes, over-fitting and saturation of the discriminator.

Everything is measured on small fixed sets: fakes of the averaged generator, training images,
and held-out images if there are any. Images are NumPy `[N, H, W, C]`.
"""

import dataclasses

import numpy as np
from scipy.spatial.distance import pdist

from stylegan2_tf.metrics.extractors import make_extractor

GRACE_KIMG = 20  # an untrained generator paints one image only: no verdict before
IN_A_ROW = 2  # checks that must agree
COLLAPSED = 0.5  # diversity of the fakes, as a share of that of real images
OVERFIT = 0.5  # mean sign(D) on training images minus that on held-out images
SATURATED = 20.0  # mean score between reals and fakes: softplus is flat, its gradient gone
EXPLODED = 1000.0  # gradient norm against the median of the run

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

    Attributes:
        alarms: `Alarm`s of the last check that have held `IN_A_ROW` times.
        suspects: Kinds that held at the last check, perhaps for the first time.
    """

    def __init__(self, reals):
        self._real_diversity = diversity(reals)
        self._counts = dict.fromkeys(MENDS, 0)
        self.alarms, self.suspects = [], ()

    @property
    def state(self):
        """For the checkpoint: how often in a row each kind held."""
        return dict(self._counts)

    @state.setter
    def state(self, counts):
        self._counts.update(counts)

    def check(self, fakes, scores, norms, nimg):
        """Judge one moment of a training.

        Args:
            fakes: Generated images.
            scores: Name -> scores of D, `[N]`: "real", "fake", and "holdout" if there is one.
            norms: Gradient norms of the steps since the last check and before, 1-D.
            nimg: Images seen so far.

        Returns:
            A dict of numbers for the log, "watch/diversity" and so on.
        """
        signs = {name: float(np.sign(values).mean()) for name, values in scores.items()}
        numbers = {
            "watch/diversity": diversity(fakes) / max(self._real_diversity, 1e-12),
            **{f"watch/sign_{name}": value for name, value in signs.items()},
            "watch/score_gap": float(scores["real"].mean() - scores["fake"].mean()),
        }
        gap = signs["real"] - signs.get("holdout", signs["real"])
        growth = float(norms[-1] / max(np.median(norms), 1e-12)) if len(norms) else 0.0
        found = {
            "collapse": (numbers["watch/diversity"] < COLLAPSED, f"diversity of the fakes is "
                         f"{numbers['watch/diversity']:.2f} of the real images'"),
            "overfitting": (gap > OVERFIT, f"D is positive on training images more often than "
                            f"on held-out ones: mean sign {signs['real']:.2f} against "
                            f"{signs.get('holdout', 0.0):.2f}"),
            "saturation": (numbers["watch/score_gap"] > SATURATED, f"D tells reals from fakes "
                           f"by a score of {numbers['watch/score_gap']:.0f}"),
            "divergence": (growth > EXPLODED, f"a gradient norm is {growth:.0f} times the "
                           "median"),
        }
        self._judge(found, nimg)
        return numbers

    def _judge(self, found, nimg):
        ripe = nimg >= 1000 * GRACE_KIMG
        self.alarms = []
        for kind, (holds, text) in found.items():
            self._counts[kind] = self._counts[kind] + 1 if holds and ripe else 0
            if self._counts[kind] >= IN_A_ROW:
                self.alarms.append(Alarm(kind, f"{kind} at {nimg / 1000:.1f} kimg: {text}; "
                                         f"{MENDS[kind]}"))
        self.suspects = tuple(kind for kind, count in self._counts.items() if count)
