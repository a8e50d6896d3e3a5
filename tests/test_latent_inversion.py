"""Comparison of a projection with random samples, and its pictures."""

import numpy as np
import pytest

from stylegan2_tf.building import make_networks
from stylegan2_tf.latent import inversion
from stylegan2_tf.latent.inversion import Film, best_samples, difference, side_by_side
from stylegan2_tf.latent.projection import peak_signal_to_noise
from stylegan2_tf.latent.sampling import draw, latents_of


@pytest.fixture
def generator(tiny_config):
    return make_networks(tiny_config(), ("AD", "NC"))[1]


def test_the_best_of_many(generator, monkeypatch):
    monkeypatch.setattr(inversion, "AT_ONCE", 4)
    seeds = np.arange(inversion.FIRST_SEED, inversion.FIRST_SEED + 10)
    everything = draw(generator, latents_of(seeds, generator.z_dim), seeds)
    targets = np.clip(everything[[9, 2, 5]] + 0.01, -1, 1)
    targets[1] = np.random.default_rng(0).uniform(-1, 1, targets[1].shape)
    found = best_samples(generator, targets, count=10)
    psnr = np.stack([peak_signal_to_noise(everything, target[None]) for target in targets])
    np.testing.assert_array_equal(found.seeds, seeds[psnr.argmax(axis=1)])
    assert found.seeds[[0, 2]].tolist() == seeds[[9, 5]].tolist()
    np.testing.assert_allclose(found.psnr, psnr.max(axis=1), rtol=1e-3)
    np.testing.assert_allclose(found.images[[0, 2]], everything[[9, 5]], atol=1e-4)
    fewer = best_samples(generator, targets, count=6)
    assert fewer.seeds.max() < seeds[6] and (fewer.psnr <= found.psnr + 1e-3).all()


def test_differences_are_amplified_and_alpha_is_opaque():
    images = np.zeros((1, 1, 3, 1), np.float32)
    targets = np.float32([0, 0.1, -0.9]).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(difference(images, targets).ravel(), [-1, -0.6, 1], atol=1e-6)
    clear = difference(np.zeros((1, 2, 2, 4), np.float32), np.zeros((1, 2, 2, 4), np.float32))
    assert (clear[..., :3] == -1).all() and (clear[..., 3] == 1).all()


def test_columns_stand_beside_each_other():
    first, second = (np.full((2, 40, 50, 1), value, np.float32) for value in (-1, 1))
    second[1] = 0
    found = side_by_side(first, second)
    assert found.shape == (4, 80, 100, 1) and found.dtype == np.uint8  # enlarged twice
    assert found[:, 0, 0, 0].tolist() == [0, 255, 0, 128]
    assert side_by_side(np.zeros((1, 130, 20, 3), np.float32)).shape == (1, 130, 20, 3)


@pytest.mark.parametrize("steps, shown", [(0, 1), (1, 2), (60, 61), (61, 32), (300, 61), (7, 8)])
def test_a_film_is_thinned_evenly_and_rests_on_the_last(steps, shown):
    targets = np.full((3, 64, 64, 1), -1.0, np.float32)
    film = Film(targets, steps)
    for step in range(steps + 1):
        film(step, np.full((3, 64, 64, 1), step / max(steps, 1), np.float32))
    frames = film.frames()
    assert frames.shape == (shown + inversion.REST, 3, 2, 128, 128, 1)
    assert not frames[:, :, 0].any()  # targets
    now = frames[:, 0, 1, 0, 0, 0].astype(int)
    assert (now[shown:] == now[shown - 1]).all() and now[shown - 1] == (255 if steps else 128)
    if steps > 1:
        assert np.ptp(np.diff(now[:shown - 1])) <= 1


def test_a_film_shows_as_many_images_as_have_room(monkeypatch):
    for side, expected in ((512, 2), (1024, 1), (2048, 1), (32, 5)):
        film = Film(np.zeros((5, 2, side, 1), np.float32), 0)
        film(0, np.full((5, 2, side, 1), 3.0, np.float32))  # beyond white
        frames = film.frames()
        assert frames.shape[1] == expected and frames[0, :, 1].min() == 255
