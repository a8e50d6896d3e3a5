"""Keras models in pure `keras.ops`: they run on every Keras backend."""

from stylegan2_tf.networks.discriminator import Discriminator, ResidualBlock
from stylegan2_tf.networks.generator import Generator
from stylegan2_tf.networks.mapping import MappingNetwork
from stylegan2_tf.networks.synthesis import StyledConv2D, SynthesisNetwork, ToImage

__all__ = [
    "Discriminator",
    "Generator",
    "MappingNetwork",
    "ResidualBlock",
    "StyledConv2D",
    "SynthesisNetwork",
    "ToImage",
]
