"""Metrics while a generator trains: few images, always the same ones, one call."""

import functools

from stylegan2_tf.data import spread
from stylegan2_tf.metrics.extractors import make_extractor
from stylegan2_tf.metrics.feature_space import FeatureSpace
from stylegan2_tf.metrics.histogram import IntensityHistogram
from stylegan2_tf.metrics.sliced import SlicedWasserstein
from stylegan2_tf.metrics.spectrum import PowerSpectrum
from stylegan2_tf.metrics.ssim import MultiScaleSimilarity

IMAGES = 512  # on each side
# Fewer projections and pairs than in a report: a training should not wait.
PIXELS = {"swd": functools.partial(SlicedWasserstein, projections=128),
          "ms-ssim": functools.partial(MultiScaleSimilarity, pairs=128),
          "spectrum": PowerSpectrum, "histogram": IntensityHistogram}


class Monitor:
    """Compares generated images with a fixed part of the real ones.

    Args:
        names: Of `config.METRICS`: what to compute.
        images: Real images `[M, H, W, C]`, uint8 or uint16; up to `IMAGES` of them, evenly
            spread, are the reference.

    Attributes:
        count: Images on each side; that many must be given to `measure`.
    """

    def __init__(self, names, images):
        self.names = tuple(names)
        self.count = min(IMAGES, len(images))
        self._measures = [PIXELS[name]() for name in self.names if name in PIXELS]
        of_features = [name for name in self.names if name not in PIXELS]
        if of_features:
            self._measures.append(FeatureSpace(make_extractor("random"), of_features))
        chosen = images[spread(self.count, len(images))]
        self._reference = [measure.describe(chosen) for measure in self._measures]

    def measure(self, fakes):
        """The value of each name.

        Args:
            fakes: `[count, H, W, C]`, uint8.

        Returns:
            A dict: "eval/swd", ... -> float.
        """
        found = {}
        for measure, real in zip(self._measures, self._reference, strict=True):
            found.update(measure.compare(real, measure.describe(fakes)))
        return {f"eval/{name}": found[name] for name in self.names}
