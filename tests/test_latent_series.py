"""Images drawn in batches."""

import numpy as np
import pytest

from stylegan2_tf.building import make_networks
from stylegan2_tf.errors import NumericalError
from stylegan2_tf.latent import series
from stylegan2_tf.latent.sampling import (
    LoadedGenerator,
    draw,
    make_latents,
    map_latents,
    to_uint8,
)
from stylegan2_tf.latent.series import draw_series, draw_with_bar, styles_of


@pytest.fixture
def loaded(tiny_config):
    return LoadedGenerator(make_networks(tiny_config(), ("AD", "MCI", "NC"))[1])


def test_images_come_as_they_are_asked_for(loaded):
    """Endless items are no obstacle: one batch is read, drawn and handed out at a time."""
    read = []

    def items():
        for seed in range(10**9):
            read.append(seed)
            yield seed, 0.0

    drawn = draw_series(loaded, items())
    for seed in range(series.AT_ONCE + 1):
        item, image = next(drawn)
        assert item == (seed, 0.0) and image.shape == (16, 16, 1)
        assert len(read) == series.AT_ONCE * (1 + seed // series.AT_ONCE)
        expected = draw(loaded.generator, make_latents(1, 8, seed), [seed % 3])[0]
        np.testing.assert_allclose(image, expected, atol=1e-4)


def test_no_items_are_no_images(loaded):
    assert list(draw_series(loaded, [])) == []


def test_a_class_and_a_move(loaded):
    step = np.zeros(8, np.float32)
    step[2] = 0.5
    found = dict(draw_series(loaded, [(4, -2.0), (5, 0.0)], label="NC", truncation_psi=0.5,
                             step=step))
    w = np.concatenate([loaded.map(make_latents(1, 8, seed), 0.5, "NC") for seed in (4, 5)])
    w[0, 2] -= 1.0
    np.testing.assert_allclose(np.stack(list(found.values())), loaded.synthesize(w), atol=1e-4)


def test_pieces_with_a_bar_are_the_images(loaded, monkeypatch):
    monkeypatch.setattr(series, "PIECE", 3)
    w = loaded.map(make_latents(7, 8))
    layers = w[:, None].repeat(loaded.generator.synthesis.num_ws, axis=1)
    for latents in (w, layers):
        found = np.stack(list(draw_with_bar(loaded, latents)))
        assert found.dtype == np.uint8 and found.shape == (7, 16, 16, 1)
        assert np.abs(found - to_uint8(loaded.synthesize(w)).astype(int)).max() <= 1


def test_pieces_are_drawn_when_they_are_asked_for(loaded, monkeypatch):
    monkeypatch.setattr(series, "PIECE", 2)
    drawn = draw_with_bar(loaded, np.full((4, 8), [[0.0]] * 2 + [[np.nan]] * 2, np.float32))
    assert [next(drawn).shape for _ in range(2)] == [(16, 16, 1)] * 2
    with pytest.raises(NumericalError, match="expected finite numbers, found NaN or infinity"):
        next(drawn)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite_are_refused(loaded, value):
    drawn = draw_series(loaded, [(1, 1.0), (2, 2.0)], step=np.full(8, value, np.float32))
    with pytest.raises(NumericalError, match="the images: expected finite numbers"):
        next(drawn)


def test_noise_that_is_none(loaded):
    with pytest.raises(ValueError, match="`noise` must be one of const, random, none. Received: "
                                         "noise=nome"):
        draw_series(loaded, [(1, 0.0)], noise="nome")  # at once, not when the first is asked for


def test_the_class_of_a_seed_goes_by_the_seed(loaded):
    seeds = [5, 1, 9_999_999_999]
    z = np.concatenate([make_latents(1, 8, seed) for seed in seeds])
    for label, labels in ((None, [2, 1, 0]), ("MCI", [1, 1, 1])):
        expected = map_latents(loaded.generator, z, labels, 0.5)
        np.testing.assert_allclose(styles_of(loaded, seeds, label, 0.5), expected, atol=1e-6)
