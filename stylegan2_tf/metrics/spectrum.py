"""Radial power spectrum: which scales have too much or too little energy.

Shapes: `N` images, `H W` height and width in pixels, `C` channels, `K` frequencies.
"""

import numpy as np
from scipy import fft

from stylegan2_tf.metrics.images import in_blocks
from stylegan2_tf.metrics.measure import Measure, Scale

# Power of rounding to 8 bits, -53 dB. Added to both sets: below it an image file shows nothing,
# and a constant image, which has no power at all, keeps a finite logarithm.
ROUNDING = (2 / 255) ** 2 / 12
AT_ONCE = 4  # images in memory as float32: they stay in the cache


class PowerSpectrum(Measure):
    """Root mean square difference in dB between the mean power spectra of two sets.

    The value "spectrum" weighs all frequencies alike, from 1 cycle per shorter side of the
    image to the finest that rows and columns can hold. Blur, missing noise and the
    checkerboards of upsampling show up; the mean intensity does not count, nor does where
    things are in the image.

    Attributes:
        name, curve_label, x_label, y_label: What a plot of `curve` is called.

    Reference: Durall et al. 2020 (arXiv:2003.01826), section 3.1 (azimuthal integration).
    """

    name = "spectrum"
    curve_label = "radial power spectrum"
    x_label = "cycles per image"
    y_label = "power (dB)"

    def describe(self, images):
        """Radial power of every image.

        Args:
            images: `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.

        Returns:
            A dict: "power" -> what `radial_power` gives, `[N, K]`.
        """
        return {"power": in_blocks(radial_power, images, AT_ONCE)}

    def compare(self, real, fake, quick=False):
        """See `Measure.compare`."""
        difference = self.curve(real)[1] - self.curve(fake)[1]
        return {"spectrum": float(np.sqrt(np.mean(difference ** 2)))}

    def scales(self):
        """See `Measure.scales`."""
        return {"spectrum": Scale("difference of radial power spectra", unit="dB")}

    def curve(self, description):
        """The line that is compared, for plots.

        Args:
            description: What `describe` gave.

        Returns:
            Frequencies in cycles per image (shorter side), `[K]`, and the mean power over
            images and channels at each, `[K]`, in dB: 0 is white noise of variance 1.
        """
        power = description["power"].mean(axis=0)
        return np.arange(1, len(power) + 1), 10 * np.log10(power + ROUNDING)


def radial_power(images):
    """Power of each image at each spatial frequency, the mean over directions and channels.

    A Hann window fades the borders out: the Fourier transform continues the image
    periodically, and the jump from one border to the opposite one would put power on high
    frequencies that hides what blur takes away. In return a pure frequency spreads over its
    neighbours, one bin on each side. White noise of variance v has power v everywhere, except
    that the mean takes a part of the lowest entry.

    Args:
        images: `[N, H, W, C]`, float32.

    Returns:
        float64 `[N, K]`, `K = min(H, W) // 2`: entry `k` holds the frequencies within half a
        cycle of `k + 1` cycles per shorter side. The corners beyond are left out: only
        diagonals reach them.
    """
    _, height, width, _ = images.shape
    window = np.outer(_hann(height), _hann(width))[..., None].astype(np.float32)
    # Without the mean, which the window would spread over the lowest frequencies.
    mean = (images * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    waves = fft.rfft2((images - mean) * window, axes=(1, 2))
    power = (waves.real ** 2 + waves.imag ** 2).mean(axis=-1) / np.square(window).sum()

    side = min(height, width)
    across = fft.rfftfreq(width)
    radius = np.hypot(fft.fftfreq(height)[:, None], across) * side
    bins = np.round(radius).astype(int).ravel()
    # `rfft2` leaves out the mirror image of all columns but the first and the middle one.
    copies = np.tile(np.where((across == 0) | (across == 0.5), 1.0, 2.0), height)
    sums = np.stack([np.bincount(bins, copies * image.ravel()) for image in power])
    kept = slice(1, side // 2 + 1)
    return sums[:, kept] / np.bincount(bins, copies)[kept]


def _hann(n):
    """Hann window sampled at the centres of `n` pixels, so that none of them is lost."""
    return np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
