"""Keras models in pure `keras.ops`: they run on every Keras backend."""

from stylegan2_tf.networks.discriminator import Discriminator, DiscriminatorHead
from stylegan2_tf.networks.generator import Generator
from stylegan2_tf.networks.mapping import LatentInput, MappingNetwork
from stylegan2_tf.networks.relatives import (
    AdaINConv2D,
    DCGANSynthesis,
    StyleGANSynthesis,
    UnstyledConv2D,
    UnstyledToImage,
)
from stylegan2_tf.networks.residual import ResidualBlock, ResidualTrunk
from stylegan2_tf.networks.styled import StyledConv2D, ToImage
from stylegan2_tf.networks.synthesis import SynthesisNetwork

__all__ = [
    "AdaINConv2D",
    "DCGANSynthesis",
    "Discriminator",
    "DiscriminatorHead",
    "Generator",
    "LatentInput",
    "MappingNetwork",
    "ResidualBlock",
    "ResidualTrunk",
    "StyleGANSynthesis",
    "StyledConv2D",
    "SynthesisNetwork",
    "ToImage",
    "UnstyledConv2D",
    "UnstyledToImage",
]
