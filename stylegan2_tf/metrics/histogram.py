"""Distance between the grey values of two sets.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import numpy as np

from stylegan2_tf.errors import UsageError
from stylegan2_tf.metrics.images import in_blocks
from stylegan2_tf.metrics.measure import Measure, Scale

WHITE = 255.0  # grey level of white; black is 0
AT_ONCE = 4  # images in memory as float32: they stay in the cache


class IntensityHistogram(Measure):
    """Wasserstein-1 distance, in grey levels of 0 to 255, between pooled intensities.

    All pixels of all images of a set are thrown together, channel by channel: the value
    "histogram" (the mean over channels) knows neither where a grey value is in an image nor
    which image has it. It is 0 for shuffled pixels, and for images that are each too dark or
    too bright as long as the set as a whole is right. A set that is `s` grey levels brighter
    scores `s`.

    Args:
        bins: Grey values told apart, at least 2; intensities are rounded to the nearest.

    Attributes:
        name, curve_label, x_label, y_label: What a plot of `curve` is called.

    Raises:
        UsageError: `bins` is below 2.
    """

    name = "histogram"
    curve_label = "intensity histogram"
    x_label = "grey level"
    y_label = "fraction of pixels"

    def __init__(self, bins=256):
        if bins < 2:
            raise UsageError(f"`bins` must be at least 2. Received: bins={bins}")
        self.bins = bins

    def describe(self, images):
        """Histogram of every image and channel.

        Args:
            images: `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`; floats outside count
                as black or white.

        Returns:
            A dict: "fractions" of the pixels -> `[N, C, bins]`, black first; each row sums
            to 1.
        """
        return {"fractions": in_blocks(self._fractions, images, AT_ONCE)}

    def compare(self, real, fake, quick=False):
        """See `Measure.compare`."""
        difference = real["fractions"].mean(axis=0) - fake["fractions"].mean(axis=0)
        # W1 in one dimension is the area between the cumulative distributions.
        area = np.abs(np.cumsum(difference, axis=-1)).sum(axis=-1) * WHITE / (self.bins - 1)
        return {"histogram": float(area.mean())}

    def scales(self):
        """See `Measure.scales`."""
        return {"histogram": Scale("distance of pooled intensities", unit="grey levels")}

    def curve(self, description):
        """The distribution, for plots.

        Args:
            description: What `describe` gave.

        Returns:
            Grey levels, 0 to 255, `[bins]`, and the fraction of the pixels of all images and
            channels at each, `[bins]`.
        """
        return np.linspace(0, WHITE, self.bins), description["fractions"].mean(axis=(0, 1))

    def _fractions(self, images):
        n, height, width, channels = images.shape
        top = self.bins - 1
        levels = np.round((np.clip(images, -1, 1) + 1) * (top / 2)).astype(np.int64)
        histogram = np.arange(n * channels).reshape(n, 1, 1, channels)  # which one a value joins
        counts = np.bincount((levels + histogram * self.bins).ravel(),
                             minlength=n * channels * self.bins)
        return counts.reshape(n, channels, self.bins) / (height * width)
