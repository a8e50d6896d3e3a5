"""Metrics that need no download: distances on pixels, pyramids and features, and privacy.

From a notebook:

>>> from stylegan2_tf.metrics import evaluate, make_extractor, read_images, write_report

The names load on first use; only feature networks import Keras.
"""

from stylegan2_tf.lazy import lazy

_HOME = {
    "Measure": "measure",
    "SlicedWasserstein": "sliced",
    "MultiScaleSimilarity": "ssim",
    "PowerSpectrum": "spectrum",
    "IntensityHistogram": "histogram",
    "FeatureSpace": "feature_space",
    "make_extractor": "extractors",
    "draw_images": "sources",
    "read_images": "sources",
    "evaluate": "evaluation",
    "write_report": "report",
}

__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
