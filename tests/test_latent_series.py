"""Images drawn in batches."""

import numpy as np
import pytest

from stylegan2_tf.building import make_networks
from stylegan2_tf.latent import series
from stylegan2_tf.latent.sampling import LoadedGenerator, draw, make_latents, to_uint8
from stylegan2_tf.latent.series import draw_series, draw_with_bar


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
    found = dict(draw_series(loaded, [(4, -2.0), (5, 0.0)], label=2, truncation_psi=0.5, step=step))
    w = np.concatenate([loaded.map(make_latents(1, 8, seed), 0.5, "NC") for seed in (4, 5)])
    w[0, 2] -= 1.0
    np.testing.assert_allclose(np.stack(list(found.values())), loaded.synthesize(w), atol=1e-4)


def test_pieces_with_a_bar_are_the_images(loaded, monkeypatch):
    monkeypatch.setattr(series, "PIECE", 3)
    w = loaded.map(make_latents(7, 8))
    layers = w[:, None].repeat(loaded.generator.synthesis.num_ws, axis=1)
    for latents in (w, layers):
        found = draw_with_bar(loaded, latents)
        assert found.dtype == np.uint8 and found.shape == (7, 16, 16, 1)
        assert np.abs(found - to_uint8(loaded.synthesize(w)).astype(int)).max() <= 1
