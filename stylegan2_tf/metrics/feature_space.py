"""The measures that compare features of images: KID, Fréchet distance and nearest neighbours."""

import math

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.distances import DENSITY_K, frechet_distance, kid, neighbour_measures
from stylegan2_tf.metrics.measure import Measure, Scale

NAMES = ("kid", "frechet", "precision", "recall", "density", "coverage")
NEIGHBOUR_NAMES = NAMES[2:]
# Images on a side below which a value says little.
FEW_FOR_KID = 50
FEW_FOR_NEIGHBOURS = 100
FEW_PER_FEATURE = 5  # from here the bias is below a tenth of the features' variance


class FeatureSpace(Measure):
    """Distances between two sets of images in the space of an extractor's features.

    Values: "kid", times 1000; "frechet", which is called "fid" if and only if the extractor
    is the network of the published FID; "precision", "recall", "density", "coverage". See
    `distances.py`.

    Args:
        extractor: An `Extractor`.
        names: Which of `NAMES` to compute.

    Raises:
        UsageError: A name is unknown.
    """

    def __init__(self, extractor, names=NAMES):
        unknown = [name for name in names if name not in NAMES]
        if unknown:
            raise UsageError(f"Argument `names` must be of {', '.join(NAMES)}. Received: {unknown}")
        self.extractor = extractor
        self._names = tuple(names)
        self._fewest = self._features = None

    def describe(self, images):
        features = self.extractor(images)
        self._features = features.shape[1]
        self._fewest = min(len(features), self._fewest or len(features))
        return {"features": features}

    def compare(self, real, fake, quick=False):
        real, fake = real["features"], fake["features"]
        found = {}
        if "kid" in self._names:
            found["kid"] = 1000 * kid(real, fake)
        if "frechet" in self._names:
            found["frechet"] = frechet_distance(real, fake)
        if set(NEIGHBOUR_NAMES) & set(self._names):
            found.update(neighbour_measures(real, fake))
        return {self._shown(name): found[name] for name in self._names}

    def scales(self):
        n, features = self._fewest, self._features
        biased = f"{n} images for {features} features: biased upwards"
        if n <= features:
            biased += ", singular covariance"
        frechet = biased if n < FEW_PER_FEATURE * features else ""
        coarse = f"{n} images: coarse" if n < FEW_FOR_NEIGHBOURS else ""
        if n <= DENSITY_K:
            coarse += f", {n - 1} neighbours only"
        unsure = f"{n} images: unsure" if n < FEW_FOR_KID else ""
        scales = {"kid": Scale("KID", unit="x 1000", note=unsure, range=(-math.inf, math.inf)),
                  "frechet": Scale("FID" if self.extractor.is_fid else "Fréchet distance",
                                   note=frechet),
                  **{name: Scale(name, better="higher", note=coarse,
                                 range=(0.0, math.inf if name == "density" else 1.0))
                     for name in NEIGHBOUR_NAMES}}
        return {self._shown(name): scales[name] for name in self._names}

    def _shown(self, name):
        return "fid" if name == "frechet" and self.extractor.is_fid else name
