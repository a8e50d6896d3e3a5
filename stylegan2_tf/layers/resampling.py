"""FIR resampling: every change of size is low-pass filtered (SG1 section 2.1, SG2 section 2).

Shapes: `N` batch, `H W` space, `C` channels.
"""

import keras
from keras import ops

BINOMIAL = (1, 3, 3, 1)
HALF = ("bfloat16", "float16")


def fir_kernel(taps, gain=1.0):
    """The outer product of `taps`, divided by its sum, times `gain`, as nested lists."""
    total = sum(taps) ** 2
    return [[gain * row * column / total for column in taps] for row in taps]


def blur(x, taps=BINOMIAL, padding=(0, 0), strides=1, gain=1.0):
    """Pad with zeros, filter every channel with `taps` in both directions, keep each `strides`-th.

    Args:
        x: Tensor `[N, H, W, C]`.
        taps: The one-dimensional filter.
        padding: Rows (and columns) of zeros before and after.
        strides: 1 or 2.
        gain: Factor on the result.

    Returns:
        A tensor `[N, H', W', C]` with `H' = (H + sum(padding) - len(taps)) // strides + 1`.
    """
    channels = x.shape[-1]
    kernel = ops.convert_to_tensor(fir_kernel(taps, gain), dtype=x.dtype)
    kernel = ops.tile(kernel[:, :, None, None], (1, 1, channels, 1))
    if any(padding):
        x = ops.pad(x, ((0, 0), padding, padding, (0, 0)))
    return ops.depthwise_conv(x, kernel, strides=strides, padding="valid")


def padding_before_strided_conv(taps, kernel_size):
    """Zeros before and after, so that blur and a stride-2 convolution give half the size."""
    extra = len(taps) - 2 + kernel_size - 1
    return (extra + 1) // 2, extra // 2


def padding_after_transposed_conv(taps, kernel_size):
    """Zeros before and after, so that a transposed convolution and blur double the size."""
    extra = len(taps) + 1 - max(kernel_size, 2)  # the convolution gives 2 (H - 1) + max(k, 2)
    return (extra + 1) // 2, extra // 2


def upsampling_conv(x, kernel, taps=BINOMIAL):
    """Double the size of `[N, H, W, C]`: a transposed convolution of stride 2, then `taps`.

    Args:
        x: Feature maps.
        kernel: `[k, k, C, filters]`.
        taps: The one-dimensional filter.
    """
    size = kernel.shape[0]
    kernel = ops.transpose(kernel, (0, 1, 3, 2))  # conv_transpose reads [k, k, out, in]
    if is_half(x) and size > 1:
        return ops.conv_transpose(x, folded(kernel, taps[::-1], gain=4.0), strides=2,
                                  padding="same")
    x = ops.conv_transpose(x, kernel, strides=2, padding="valid")
    return blur(x, taps, padding_after_transposed_conv(taps, size), gain=4.0)


def downsampling_conv(x, kernel, taps=BINOMIAL):
    """Halve the size of `[N, H, W, C]`: `taps`, then a convolution of stride 2.

    Arguments as for `upsampling_conv`.
    """
    size = kernel.shape[0]
    before, after = padding = padding_before_strided_conv(taps, size)
    if is_half(x) and before == after:
        return ops.conv(x, folded(kernel, taps), strides=2, padding="same")
    if size == 1:  # the filter itself may skip what a 1x1 kernel never reads
        return ops.conv(blur(x, taps, padding, strides=2), kernel)
    return ops.conv(blur(x, taps, padding), kernel, strides=2, padding="valid")


def is_half(x):
    """Whether `x` has 16 bits a number.

    Matrix units then convolve so fast that a filter of its own, with its gradients, would take
    longer than a kernel it is folded into.
    """
    return keras.backend.standardize_dtype(x.dtype) in HALF


def folded(kernel, taps, gain=1.0):
    """One kernel `[k + t - 1, k + t - 1, A, B]` for `taps` and `kernel`, one after the other.

    Args:
        kernel: `[k, k, A, B]`.
        taps: The one-dimensional filter, of length t.
        gain: Factor on the result.
    """
    size, *channels = kernel.shape[1:]
    long, total = size + len(taps) - 1, sum(taps)
    shifts = [[taps[row - column] / total if 0 <= row - column < len(taps) else 0.0
               for column in range(size)] for row in range(long)]
    # Along both axes at once: a kernel of k x k numbers is one column.
    both = [[gain * down * right for down in shifts[row] for right in shifts[column]]
            for row in range(long) for column in range(long)]
    kernel = ops.matmul(ops.convert_to_tensor(both, dtype=kernel.dtype),
                        ops.reshape(kernel, (size * size, -1)))
    return ops.reshape(kernel, (long, long, *channels))


def upsample(image, taps=BINOMIAL):
    """Double the size of images `[N, H, W, C]` with few channels (the generator's skips).

    One transposed convolution whose kernel does not mix channels: with 1 to 4 channels
    this is faster than zeros and a depthwise filter.
    """
    channels = image.shape[-1]
    kernel = ops.convert_to_tensor(fir_kernel(taps, gain=4.0), dtype=image.dtype)
    kernel = kernel[:, :, None, None] * ops.eye(channels, dtype=image.dtype)
    image = ops.conv_transpose(image, kernel, strides=2, padding="valid")
    before = (len(taps) - 2) // 2
    after = len(taps) - 2 - before
    return image[:, before:image.shape[1] - after, before:image.shape[2] - after, :]


def repeat_pixels(image):
    """Double the size of `[N, H, W, C]`: every pixel becomes four (PG figure 2)."""
    return ops.repeat(ops.repeat(image, 2, axis=1), 2, axis=2)


def average_pixels(image):
    """Halve the size of `[N, H, W, C]`: the mean of four pixels. Undoes `repeat_pixels`."""
    return ops.average_pool(image, 2, data_format="channels_last")


def downsample(x, taps=BINOMIAL):
    """Halve the size of `[N, H, W, C]`, low-pass filtered."""
    extra = len(taps) - 2
    return blur(x, taps, padding=((extra + 1) // 2, extra // 2), strides=2)
