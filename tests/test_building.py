import numpy as np
import pytest

from stylegan2_tf.building import make_networks
from stylegan2_tf.networks import (
    DCGANSynthesis,
    LatentInput,
    MappingNetwork,
    StyleGANSynthesis,
    SynthesisNetwork,
)


@pytest.mark.parametrize("arch, mapping, synthesis, depth", [
    ("stylegan2", MappingNetwork, SynthesisNetwork, 8),
    ("stylegan", MappingNetwork, StyleGANSynthesis, 8),
    ("dcgan", LatentInput, DCGANSynthesis, None)])
def test_every_architecture(tiny_config, arch, mapping, synthesis, depth):
    generator, average, discriminator = make_networks(tiny_config(arch=arch, channels=3))
    for network in (generator, average):
        assert type(network.mapping) is mapping and type(network.synthesis) is synthesis
        assert (network.z_dim, network.resolution, network.channels) == (8, (16, 16), 3)
        assert network.classes == []
        assert depth is None or network.mapping.num_layers == depth
    assert [network.name for network in (generator, average, discriminator)] == [
        "generator", "generator_ema", "discriminator"]
    assert (discriminator.resolution, discriminator.channels) == ((16, 16), 3)


@pytest.mark.parametrize("arch", ["stylegan2", "stylegan", "dcgan"])
def test_classes_are_known_to_both_networks(tiny_config, arch):
    generator, average, discriminator = make_networks(tiny_config(arch=arch), ("AD", "NC"))
    assert generator.classes == average.classes == ["AD", "NC"]
    assert generator.mapping.label_dim == discriminator.head.label_dim == 2


def test_the_average_has_the_same_weights_by_shape(tiny_config):
    generator, average, _ = make_networks(tiny_config(attention=8, progressive=True))
    shapes, others = ([(weight.path.split("/", 1)[1], weight.shape) for weight in network.variables]
                      for network in (generator, average))
    assert shapes == others


def test_the_seed_decides_every_weight(tiny_config):
    first, again, other = (
        [np.asarray(weight) for network in make_networks(tiny_config(seed=seed, attention=8))
         for weight in network.variables] for seed in (0, 0, 1))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_sizes_follow_the_configuration(tiny_config):
    config = tiny_config(resolution="12x16", g_input_res=3, d_final_res="6x8", w_dim=5,
                         mapping_layers=3, convolutions=1, max_filters=6, attention=8,
                         mapping_lr=2e-5, spectral_norm=True)
    generator, _, discriminator = make_networks(config)
    synthesis, trunk = generator.synthesis, discriminator.trunk
    assert (synthesis.filters, synthesis.base_resolution) == ([6, 4, 2], [3, 4])
    assert (trunk.filters, trunk.final_resolution) == ([4], [6, 8])
    assert (generator.mapping.w_dim, generator.mapping.num_layers) == (5, 3)
    assert generator.mapping.lr_multiplier == pytest.approx(0.1)
    assert synthesis.convolutions == trunk.convolutions == 1
    assert synthesis.attention == trunk.attention == 8
    assert len(discriminator.spectral_layers()) == 1 + 2 + 3
    assert discriminator.head.units == 4
    z = np.zeros((4, 8), np.float32)
    assert discriminator(generator(z)).shape == (4, 1)


def test_growing_networks_start_at_their_smallest_resolution(tiny_config):
    generator, average, discriminator = make_networks(tiny_config(progressive=True))
    assert generator.synthesis.level == average.synthesis.level == discriminator.trunk.level == 0
    assert generator.resolution == discriminator.resolution == (4, 4)
    plain, *_ = make_networks(tiny_config())
    assert plain.synthesis.level is None
