"""The generator's noise maps."""

import numpy as np
import pytest

from stylegan2_tf.building import make_networks
from stylegan2_tf.latent.noise import (
    autocorrelation,
    constant_noise,
    random_noise,
    standardized,
)
from stylegan2_tf.latent.sampling import make_latents

SHAPES = [(1, 4, 4, 1), (1, 8, 6, 1)]


def white(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_maps_of_a_seed_do_not_depend_on_the_others():
    together = random_noise([5, 2**33, 7], SHAPES)
    assert [noise.shape for noise in together] == [(3, 4, 4, 1), (3, 8, 6, 1)]
    for place, seed in enumerate((5, 2**33, 7)):
        for alone, among in zip(random_noise([seed], SHAPES), together, strict=True):
            np.testing.assert_array_equal(alone[0], among[place])
            assert alone.dtype == np.float32
    first, second = (noise.ravel() for noise in together[1][:2])
    assert np.abs(first - second).max() > 1
    # Lower resolutions first: a network that grows keeps those it had.
    np.testing.assert_array_equal(random_noise([5], SHAPES[:1])[0], together[0][:1])


def test_maps_are_standard_normal_and_not_the_latent_of_their_seed():
    noise = random_noise(range(200), [(1, 16, 16, 1)])[0]
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    latents = np.concatenate([make_latents(1, 256, seed) for seed in range(200)])
    assert abs((noise.reshape(200, 256) * latents).mean()) < 0.02


@pytest.mark.parametrize("arch, maps", [("stylegan2", 5), ("stylegan", 5), ("dcgan", 0)])
def test_constant_maps_give_the_image_of_the_model(tiny_config, arch, maps):
    synthesis = make_networks(tiny_config(arch=arch))[1].synthesis
    for conv in synthesis.convs[:maps]:
        conv.noise.strength.assign(30.0)
    noise = constant_noise(synthesis, 2)
    assert [tuple(part.shape) for part in noise] == [
        tuple(shape) for shape in synthesis.noise_shapes(2)] and len(noise) == maps
    ws = white(2, synthesis.num_ws, 16 if arch == "dcgan" else 8)
    if not maps:
        return
    np.testing.assert_allclose(synthesis(ws, noise=noise), synthesis(ws), atol=1e-5)
    assert np.abs(synthesis(ws, noise=0.0) - synthesis(ws)).max() > 0.01


def test_standardized_maps_have_mean_0_and_variance_1():
    noise = 3 * white(2, 8, 6, 1) + np.float32([5, -1]).reshape(2, 1, 1, 1)
    found = np.asarray(standardized(noise))
    expected = [(one - one.mean()) / one.std() for one in noise]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.isfinite(np.asarray(standardized(np.zeros((1, 4, 4, 1), np.float32)))).all()


# -- autocorrelation


def expected_autocorrelation(noise, levels):
    """By loops over pixels, as the appendix writes it: r, shifts by one pixel, wrapped."""
    total = 0.0
    for level in range(levels):
        height, width = noise.shape
        for down, right in ((0, 1), (1, 0)):
            products = [noise[y, x] * noise[y - down, x - right]
                        for y in range(height) for x in range(width)]
            total += (sum(products) / (height * width)) ** 2
        if level < levels - 1:
            noise = noise[:height // 2 * 2, :width // 2 * 2]
            height, width = noise.shape
            blocks = noise.reshape(height // 2, 2, width // 2, 2)
            noise = 2 * blocks.mean(axis=(1, 3))
    return total


@pytest.mark.parametrize("sides, levels", [((4, 4), 1), ((8, 8), 1), ((15, 15), 1), ((16, 16), 2),
                                           ((32, 16), 2), ((34, 50), 3), ((32, 32), 3)])
def test_autocorrelation_is_that_of_the_pyramid(sides, levels):
    noise = white(2, *sides, 1) + 0.2
    expected = [expected_autocorrelation(one[..., 0].astype(float), levels) for one in noise]
    np.testing.assert_allclose(autocorrelation(noise), expected, rtol=1e-4)


def test_a_picture_is_told_from_noise():
    smooth = np.add.outer(np.sin(np.arange(32) / 5), np.cos(np.arange(32) / 7))
    picture = np.asarray(standardized(smooth[None, ..., None].astype(np.float32)))
    assert float(autocorrelation(picture)[0]) > 30 * float(autocorrelation(white(1, 32, 32, 1))[0])
