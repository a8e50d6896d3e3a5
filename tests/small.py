"""Small networks that more than one test file uses."""

import keras
import numpy as np

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

FAMILIES = (SynthesisNetwork, StyleGANSynthesis, DCGANSynthesis)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def make_generator(family=SynthesisNetwork, filters=(8, 6, 4), z_dim=5, w_dim=7, classes=(),
                   dtype="float32", **more):
    """A built generator whose noise is audible and whose mean latent is not zero."""
    keras.utils.set_random_seed(0)
    if family is DCGANSynthesis:
        mapping = LatentInput(z_dim, len(classes), name="mapping", dtype=dtype)
    else:
        mapping = MappingNetwork(z_dim, w_dim, 2, len(classes), name="mapping", dtype=dtype)
    synthesis = family(list(filters), **more, name="synthesis", dtype=dtype)
    generator = Generator(mapping, synthesis, classes, dtype=dtype)
    generator.build()
    for conv in synthesis.convs:
        if hasattr(conv, "noise"):
            conv.noise.strength.assign(0.3 / conv.noise.lr_multiplier)
    generator.w_avg.assign(numbers(mapping.w_dim, seed=9))
    return generator


def make_discriminator(filters=(4, 8), spectral_norm=False, label_dim=0, dtype="float32", **more):
    """A built discriminator."""
    keras.utils.set_random_seed(1)
    trunk = ResidualTrunk(list(filters), spectral_norm=spectral_norm, **more, name="trunk",
                          dtype=dtype)
    head = DiscriminatorHead(filters[-1], spectral_norm=spectral_norm, label_dim=label_dim,
                             name="head", dtype=dtype)
    discriminator = Discriminator(trunk, head, dtype=dtype)
    discriminator.build()
    return discriminator


def shake(network, seed=0, scale=0.3):
    """Move every trainable weight a little: nothing is zero or one by its initialisation."""
    rng = np.random.default_rng(seed)
    for weight in network.trainable_variables:
        weight.assign_add(scale * rng.standard_normal(weight.shape).astype(np.float32))
    return network
