"""The networks of a configuration: the only place where one becomes plain keywords."""

import keras

from stylegan2_tf.networks import (
    DCGANSynthesis,
    Discriminator,
    DiscriminatorHead,
    Generator,
    LatentInput,
    MappingNetwork,
    ResidualTrunk,
    StyleGANSynthesis,
    SynthesisNetwork,
)
from stylegan2_tf.precision import POLICIES, resolve

SYNTHESIS = {"stylegan2": SynthesisNetwork, "stylegan": StyleGANSynthesis,
             "dcgan": DCGANSynthesis}


def make_networks(config, classes=()):
    """Build generator, its average, and discriminator for `config`, weights by its seed.

    Args:
        config: A `TrainConfig`.
        classes: Names of the classes that the networks are given; empty for none.
    """
    keras.utils.set_random_seed(config.seed)
    networks = (_make_generator(config, classes, "generator"),
                _make_generator(config, classes, "generator_ema"),
                _make_discriminator(config, classes))
    for network in networks:
        network.build()
    return networks


def _make_generator(config, classes, name):
    if config.arch == "dcgan":
        mapping = LatentInput(config.latent, len(classes), name="mapping")
    else:
        mapping = MappingNetwork(config.latent, config.w_units, config.mapping_depth,
                                 len(classes), config.mapping_multiplier, name="mapping")
    synthesis = SYNTHESIS[config.arch](
        config.generator_filters, list(config.first_sides), config.channels,
        config.convolutions, config.attention, _first_level(config), name="synthesis",
        dtype=_policy(config))
    return Generator(mapping, synthesis, classes, name=name)


def _make_discriminator(config, classes):
    filters = config.discriminator_filters
    trunk = ResidualTrunk(
        filters, list(config.final_sides), config.channels, config.convolutions,
        config.spectral_norm, config.attention, _first_level(config), name="trunk",
        dtype=_policy(config))
    head = DiscriminatorHead(filters[-1], spectral_norm=config.spectral_norm,
                             label_dim=len(classes), name="head")
    return Discriminator(trunk, head, name="discriminator")


def _policy(config):
    """Of the layers that do the work; mapping network and head are small, and need the digits."""
    return POLICIES[resolve(config.precision)]


def _first_level(config):
    return 0 if config.progressive else None
