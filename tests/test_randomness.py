"""Every number that a step draws is a function of (seed, image counter, stream)."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf.building import make_networks
from stylegan2_tf.randomness import DROPPED, Randomness, Stream

BATCH = 4
BOTH = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]


@pytest.fixture
def make(tiny_config):
    """A function that makes the `Randomness` of a tiny configuration."""
    def make(classes=(), **changes):
        config = tiny_config(**changes)
        generator, _, discriminator = make_networks(config, classes)
        return Randomness(config, generator, discriminator)

    return make


def at(nimg):
    return tf.constant(nimg, tf.int64)


# -- seeds


def test_every_draw_has_a_seed_of_its_own(make):
    """Streams must not meet, where draws within one are told apart by counting on."""
    draws = [0, 1, 2, 3, 30, DROPPED, DROPPED + 9]
    seeds = {tuple((random.seed(at(nimg), stream) + [0, index]).numpy())
             for random in (make(seed=0), make(seed=1)) for nimg in (0, 4, 2**40)
             for stream in Stream for index in draws}
    assert len(seeds) == 2 * 3 * len(Stream) * len(draws)


def test_streams_are_numbered_by_name():
    assert [int(stream) for stream in Stream] == list(range(15))
    assert Stream.D_LATENT == 0 and Stream.SEEN_MIX == 14  # runs that go on draw as before


# -- noise


def test_noise_differs_between_samples_layers_streams_and_steps(make):
    random = make()
    noise = random.noise(at(0), 2, Stream.D_NOISE)
    assert [tuple(maps.shape) for maps in noise] == random.generator.synthesis.noise_shapes(2)
    firsts = {float(maps[row, 0, 0, 0]) for source in (
        noise, random.noise(at(0), 2, Stream.G_NOISE), random.noise(at(4), 2, Stream.D_NOISE))
        for maps in source for row in (0, 1)}
    assert len(firsts) == 3 * 5 * 2
    for one, other in zip(noise, random.noise(at(0), 2, Stream.D_NOISE), strict=True):
        np.testing.assert_array_equal(one, other)
    assert abs(np.mean(noise[-1])) < 0.2 and abs(np.std(noise[-1]) - 1) < 0.2


def test_noise_is_for_the_layers_in_use(make):
    random = make(progressive=True)
    assert len(random.noise(at(0), 2, Stream.D_NOISE)) == 1
    random.generator.synthesis.level = 1
    assert [maps.shape[1] for maps in random.noise(at(0), 2, Stream.D_NOISE)] == [4, 8, 8]
    assert make(arch="dcgan").noise(at(0), 2, Stream.D_NOISE) == []


# -- latents and style mixing


def latents(random, stream=Stream.G_LATENT, label=None):
    """ws `[40, 4, num_ws, D]` and w of 40 batches."""
    pairs = [random.latents(at(BATCH * index), BATCH, stream, label) for index in range(40)]
    return tuple(np.stack(arrays) for arrays in zip(*pairs, strict=True))


def test_mixing_cuts_each_batch_once_between_its_layers(make):
    ws, w = latents(make(style_mixing=1.0))
    of_first = (ws == w[:, :, None]).all(axis=-1)  # [40, 4, num_ws]
    cuts = of_first.sum(axis=-1)
    assert (cuts == cuts[:, :1]).all()  # the same for the whole batch
    assert set(cuts[:, 0]) == {1, 2, 3, 4, 5}  # num_ws is 6: both latents are always used
    np.testing.assert_array_equal(of_first, np.arange(6) < cuts[..., None])
    from_rows = np.abs(ws[:, :, None, -1] - w[:, None]).max(axis=-1)  # [40, 4, 4]
    assert from_rows.min() > 0  # a z of its own, not that of another row


def test_mixing_cuts_between_the_layers_in_use(make):
    random = make(style_mixing=1.0, progressive=True)
    for level, expected in ((0, {1}), (1, {1, 2, 3})):  # 2 of the ws reach the image, then 4
        random.generator.synthesis.level = level
        ws, w = latents(random)
        cuts = (ws == w[:, :, None]).all(axis=-1).sum(axis=-1)
        assert set(cuts[:, 0]) == expected


def test_mixing_happens_with_its_probability(make):
    ws, w = latents(make(style_mixing=0.5))
    mixed = (ws[:, 0, -1] != w[:, 0]).any(axis=-1)
    assert 10 <= mixed.sum() <= 30


def test_without_mixing_every_layer_has_the_same_w(make):
    plain, w = latents(make())
    np.testing.assert_array_equal(plain, np.broadcast_to(w[:, :, None], plain.shape))
    _, unmixed = latents(make(style_mixing=1.0))
    np.testing.assert_array_equal(unmixed, w)  # w_avg follows the same w as before


def test_each_stream_mixes_for_itself(make):
    random = make(style_mixing=1.0)
    cuts = [(ws == w[:, :, None]).all(axis=(1, 3)).sum(axis=1) for ws, w in (
        latents(random, stream) for stream in (Stream.D_LATENT, Stream.G_LATENT))]
    assert not np.array_equal(*cuts)


def test_both_latents_of_a_mixture_are_of_the_class(make, monkeypatch):
    random = make(("AD", "NC"), style_mixing=1.0)
    seen, mapping = [], random.generator.mapping
    monkeypatch.setattr(random.generator, "mapping",
                        lambda z, label: (seen.append((z, label)), mapping(z, label))[1])
    ws, w = random.latents(at(0), BATCH, Stream.G_LATENT, BOTH)
    (z, first), (other, second) = seen
    assert first is second is BOTH and np.abs(z - other).min() > 0
    np.testing.assert_allclose(w, mapping(z, BOTH), rtol=1e-5)
    np.testing.assert_allclose(ws[:, -1], mapping(other, BOTH), rtol=1e-5)


def test_w_of_dcgan_is_the_latent_beside_its_class(make):
    random = make(("AD", "NC"), arch="dcgan")
    ws, w = random.latents(at(0), BATCH, Stream.G_LATENT, BOTH)
    assert ws.shape == (BATCH, 1, 16) and w.shape == (BATCH, 16)
    np.testing.assert_array_equal(w[0, 8:], w[2, 8:])
    assert np.abs(w[0, 8:] - w[1, 8:]).max() > 1e-3


# -- dropout


def test_without_dropout_there_are_no_masks(make):
    assert make().masks(at(0), BATCH, Stream.SEEN_REAL) is None


def test_masks_drop_whole_maps_and_keep_the_mean(make):
    random = make(d_dropout=0.25, d_input_filters=64)
    masks = random.masks(at(0), 64, Stream.SEEN_REAL)
    assert [tuple(mask.shape) for mask in masks] == [(64, 1, 1, 128), (64, 1, 1, 128)]
    for mask in masks:
        values, counts = np.unique(mask, return_counts=True)
        np.testing.assert_allclose(values, [0, 1 / 0.75])
        assert counts[0] / counts.sum() == pytest.approx(0.25, abs=0.02)
        assert np.mean(mask) == pytest.approx(1, abs=0.03)
        assert np.std(mask[:, 0, 0, 0]) > 0 and np.std(mask[0, 0, 0]) > 0


def test_masks_differ_between_blocks_streams_and_steps_and_repeat(make):
    random = make(d_dropout=0.5)

    def draw(nimg, stream):
        return [np.asarray(mask) for mask in random.masks(at(nimg), 64, stream)]

    masks = [mask for source in ((0, Stream.SEEN_REAL), (4, Stream.SEEN_REAL),
                                 (0, Stream.SEEN_FAKE)) for mask in draw(*source)]
    assert len({mask.tobytes() for mask in masks}) == len(masks) == 6
    for one, other in zip(masks, draw(0, Stream.SEEN_REAL), strict=False):
        np.testing.assert_array_equal(one, other)
