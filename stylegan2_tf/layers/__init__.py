"""Keras layers in pure `keras.ops`: they run on every Keras backend."""

from stylegan2_tf.layers.activation import (
    GAIN,
    clamped,
    compiled_epilogues,
    epilogue,
    leaky_relu,
)
from stylegan2_tf.layers.attention import SelfAttention2D
from stylegan2_tf.layers.equalized import EqualizedConv2D, EqualizedDense
from stylegan2_tf.layers.instance import AdaptiveInstanceNormalization
from stylegan2_tf.layers.modulated import ModulatedConv2D
from stylegan2_tf.layers.noise import NoiseInjection
from stylegan2_tf.layers.normalization import MinibatchStddev, PixelNormalization
from stylegan2_tf.layers.resampling import (
    average_pixels,
    blur,
    downsample,
    repeat_pixels,
    upsample,
)
from stylegan2_tf.layers.spectral import SpectralNormalization, normalized

__all__ = [
    "GAIN",
    "AdaptiveInstanceNormalization",
    "EqualizedConv2D",
    "EqualizedDense",
    "MinibatchStddev",
    "ModulatedConv2D",
    "NoiseInjection",
    "PixelNormalization",
    "SelfAttention2D",
    "SpectralNormalization",
    "average_pixels",
    "blur",
    "clamped",
    "downsample",
    "compiled_epilogues",
    "epilogue",
    "leaky_relu",
    "normalized",
    "repeat_pixels",
    "upsample",
]
