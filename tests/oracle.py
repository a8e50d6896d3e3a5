"""Independent NumPy versions of the mathematics, in float64, written for clarity, not speed."""

import numpy as np


def convolve(x, kernel, stride=1, padding=0):
    """Cross-correlation of `[N, H, W, C]` with `[k, k, C, F]`."""
    x = np.pad(x.astype(np.float64), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    size = kernel.shape[0]
    rows = range(0, x.shape[1] - size + 1, stride)
    columns = range(0, x.shape[2] - size + 1, stride)
    return np.stack([np.stack([
        np.einsum("nijc,ijcf->nf", x[:, row:row + size, column:column + size], kernel)
        for column in columns], axis=1) for row in rows], axis=1)


def insert_zeros(x):
    """Put a zero row and column behind every pixel of `[N, H, W, C]`."""
    n, height, width, channels = x.shape
    out = np.zeros((n, 2 * height, 2 * width, channels))
    out[:, ::2, ::2] = x
    return out


def filter_each_channel(x, taps, before, after, gain=1.0):
    """Pad with zeros and filter every channel with the outer product of `taps` (symmetric)."""
    taps = np.asarray(taps, np.float64)
    kernel = gain * np.outer(taps, taps) / taps.sum() ** 2
    x = np.pad(x.astype(np.float64), ((0, 0), (before, after), (before, after), (0, 0)))
    size = len(taps)
    height, width = x.shape[1] - size + 1, x.shape[2] - size + 1
    return sum(kernel[i, j] * x[:, i:i + height, j:j + width]
               for i in range(size) for j in range(size))


def upsampling_convolution(x, kernel):
    """Transposed convolution of `[N, H, W, C]` with stride 2, then the binomial filter.

    Every pixel is spread over a patch `[k, k, C, F]`, k 1 or 3, two pixels from the next patch.
    """
    n, height, width, _ = x.shape
    size = kernel.shape[0]
    extra = max(size, 2) - 2
    spread = np.zeros((n, 2 * height + extra, 2 * width + extra, kernel.shape[3]))
    for row in range(height):
        for column in range(width):
            patch = np.einsum("nc,ijcf->nijf", x[:, row, column].astype(np.float64), kernel)
            spread[:, 2 * row:2 * row + size, 2 * column:2 * column + size] += patch
    return filter_each_channel(spread, (1, 3, 3, 1), 2 if size == 1 else 1, 1, gain=4.0)


def rms_normalised(x):
    """The last axis divided by its root mean square (PG section 4.2)."""
    x = np.asarray(x, np.float64)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8)


def leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2.0)


def per_sample_modulated(x, kernel, style, demodulate=True):
    """SG2 equations 1 to 3 to the letter: one kernel per sample. Returns `[N, H, W, F]`."""
    out = []
    for image, scales in zip(x, style, strict=True):
        modulated = kernel * scales[None, None, :, None]
        if demodulate:
            modulated = modulated / np.sqrt((modulated**2).sum((0, 1, 2)) + 1e-8)
        out.append(convolve(image[None], modulated, padding=kernel.shape[0] // 2)[0])
    return np.stack(out)


def relative_error(found, expected):
    expected = np.asarray(expected, np.float64)
    return np.abs(np.asarray(found, np.float64) - expected).max() / np.abs(expected).max()
