import contextlib

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf.building import make_networks
from stylegan2_tf.latent import projection as module
from stylegan2_tf.latent.inversion import best_samples
from stylegan2_tf.latent.noise import autocorrelation
from stylegan2_tf.latent.projection import peak_signal_to_noise, project
from stylegan2_tf.latent.sampling import (
    LoadedGenerator,
    draw,
    latents_of,
    make_latents,
    map_latents,
    synthesize,
)

SEEDS = [3, 4, 5]


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(module, "SAMPLES", 200)


@pytest.fixture
def make(tiny_config):
    """A function that makes an untrained generator: `make(classes, arch="stylegan")`."""
    return lambda classes=(), **changes: make_networks(tiny_config(**changes), classes)[1]


def own_images(generator, seeds=SEEDS):
    """Images of `generator`; some of their pixels are clipped, as a background is."""
    images = draw(generator, latents_of(seeds, generator.z_dim))
    assert 0 < (np.abs(images) == 1).mean() < 0.6
    return images


def samples_of(generator):
    """w of the random latents that tell the mean, the spread and where to start."""
    return map_latents(generator, make_latents(200, generator.z_dim))


def strangers(count=3, side=16):
    """Smooth images that no generator made."""
    coarse = np.random.default_rng(0).uniform(-0.9, 0.9, (count, side // 4, side // 4, 1))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.float32)


# -- what comes out


@pytest.mark.parametrize("classes, changes", [
    ((), dict(arch="stylegan")), (("AD", "NC"), dict(channels=3))])
def test_own_images_come_back(make, classes, changes):
    generator = make(classes, **changes)
    images = own_images(generator)
    before, after = (project(generator, images, steps=steps, start="mean") for steps in (0, 40))
    assert (after.psnr > 24).all() and (after.psnr > before.psnr + 10).all()
    assert after.ws.shape == (3, generator.synthesis.num_ws, generator.mapping.w_dim)
    assert after.ws.dtype == after.images.dtype == np.float32
    np.testing.assert_array_equal(after.ws, after.ws[:, :1].repeat(after.ws.shape[1], axis=1))
    again = np.clip(generator.synthesis(after.ws).numpy(), -1, 1)
    np.testing.assert_allclose(after.images, again, atol=1e-5)
    root_mean_square = np.sqrt(((after.images - images) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(after.psnr, 20 * np.log10(2 / root_mean_square), rtol=1e-4)


def test_one_w_a_layer_does_better_on_strangers(make):
    generator, images = make(latent=16), strangers()
    one, each = (project(generator, images, steps=120, space=space) for space in ("w", "w+"))
    assert (each.psnr > one.psnr).all() and each.psnr.mean() > one.psnr.mean() + 1
    assert each.ws.shape == one.ws.shape and np.ptp(each.ws, axis=1).max() > 0.1


def test_one_w_a_layer_starts_from_the_one_for_all(make):
    """From the mean, and with all layers free at once, own images came back worse than in w."""
    generator = make()
    images = own_images(generator, range(8))
    half, each = (project(generator, images, steps=steps, space=space).psnr
                  for steps, space in ((60, "w"), (120, "w+")))
    assert (each > np.minimum(half, 60)).all()


def test_it_starts_from_the_most_similar_random_image(make):
    generator = make(("AD", "NC"), arch="dcgan")
    images, w = strangers(5), samples_of(generator)
    drawn = synthesize(generator, w)
    apart = [module._distances(tf.constant(drawn), tf.constant(image[None])) for image in images]
    found = project(generator, images, steps=0)
    np.testing.assert_allclose(found.ws[:, 0], w[np.argmin(apart, axis=1)], atol=1e-5)
    mean = project(generator, images, steps=0, start="mean")
    assert (found.psnr > mean.psnr).all()
    one = project(generator, images[3:4], steps=0)
    np.testing.assert_allclose(one.ws, found.ws[3:4], atol=1e-6)


def test_a_good_start_saves_steps(make):
    generator = make()
    images = own_images(generator, range(6))
    mean, best = (project(generator, images, steps=8, start=start).psnr
                  for start in ("mean", "best"))
    assert np.median(best) > np.median(mean) + 3


def test_dcgan_has_one_w_in_either_space(make):
    generator = make(("AD", "NC"), arch="dcgan")
    one, each = (project(generator, strangers(), steps=3, space=space) for space in ("w", "w+"))
    assert one.ws.shape == (3, 1, 16)
    np.testing.assert_array_equal(one.ws, each.ws)


def test_images_that_are_not_square(make):
    generator = make(resolution="12x16", g_input_res=3, d_final_res="3x4")
    images = own_images(generator)
    assert images.shape == (3, 12, 16, 1)
    before, after = (project(generator, images, steps=steps).psnr for steps in (0, 25))
    assert (after > before).all()


def test_no_step_is_the_mean_of_the_classes(make):
    generator = make(("AD", "NC"))
    z = latents_of(range(500), generator.z_dim)
    w = np.stack([generator.mapping(z, np.eye(2, dtype=np.float32)[[label] * 500])
                  for label in (0, 1)])
    apart = np.abs(w[0].mean(axis=0) - w[1].mean(axis=0)).max()
    ws = project(generator, strangers(2), steps=0, start="mean").ws
    assert np.abs(ws - w.mean(axis=(0, 1))).max() < 0.3 * apart
    np.testing.assert_array_equal(ws[0], ws[1])
    _, spread = module._statistics(samples_of(generator))
    assert spread == pytest.approx(np.sqrt(w.var(axis=(0, 1)).mean()), rel=0.05)


# -- noise


def noisy(generator, strength=0.3):
    """`generator` as one that learned to use its noise."""
    for conv in generator.synthesis.convs:
        conv.noise.strength.assign(strength / conv.noise.lr_multiplier)
    return generator


@pytest.mark.parametrize("arch", ["stylegan2", "stylegan"])
def test_noise_maps_make_the_images_together_with_w(make, arch):
    generator = noisy(make(arch=arch))
    found = project(generator, strangers(), steps=12, noise="optimise")
    shapes = [noise.shape for noise in found.noise]
    assert shapes == [tuple(shape) for shape in generator.synthesis.noise_shapes(3)]
    drawn = np.clip(generator.synthesis(found.ws, noise=found.noise).numpy(), -1, 1)
    np.testing.assert_allclose(found.images, drawn, atol=1e-5)
    without = np.clip(generator.synthesis(found.ws).numpy(), -1, 1)
    assert np.abs(without - drawn).max() > 0.01
    for noise in found.noise:  # standard normal, each by itself
        np.testing.assert_allclose(noise.mean(axis=(1, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(noise.std(axis=(1, 2, 3)), 1, atol=1e-4)


def test_noise_starts_from_the_maps_of_the_model(make):
    generator = noisy(make())
    found, plain = (project(generator, strangers(), steps=0, noise=noise)
                    for noise in ("optimise", "const"))
    np.testing.assert_allclose(found.images, plain.images, atol=1e-5)
    assert plain.noise == []


def test_regularised_noise_hides_no_picture(make, monkeypatch):
    generator, images = noisy(make()), strangers()
    found = []
    for weight in (0.0, module.REGULARIZATION):  # the last one stays
        monkeypatch.setattr(module, "REGULARIZATION", weight)
        module._search.cache_clear()  # the weight is a part of the compiled step
        found.append(project(generator, images, steps=40, noise="optimise"))
    free, kept = found
    alike = [max(float(autocorrelation(noise).numpy().max()) for noise in one.noise)
             for one in found]
    assert alike[1] < 0.02 * alike[0]
    assert (free.psnr > kept.psnr).all()


def test_noise_of_an_image_does_not_depend_on_the_others(make, monkeypatch):
    generator, images = noisy(make(arch="stylegan")), strangers()
    together = project(generator, images, steps=6, noise="optimise")
    monkeypatch.setattr(module, "AT_ONCE", 2)
    in_batches = project(generator, images, steps=6, noise="optimise")
    np.testing.assert_allclose(in_batches.ws, together.ws, atol=1e-3)
    for one, other in zip(in_batches.noise, together.noise, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_who_watches_sees_every_step_of_the_first_batch(make, monkeypatch):
    generator, images, seen = make(arch="dcgan"), strangers(5), []
    monkeypatch.setattr(module, "AT_ONCE", 3)
    found = project(generator, images, steps=4,
                    watch=lambda step, images: seen.append((step, np.array(images))))
    assert [step for step, _ in seen] == [0, 1, 2, 3, 4]
    assert all(shown.shape == (3, 16, 16, 1) for _, shown in seen)
    np.testing.assert_allclose(np.clip(seen[-1][1], -1, 1), found.images[:3], atol=1e-6)
    assert np.abs(seen[-1][1] - seen[0][1]).max() > 1e-3


# -- images do not influence each other


def test_an_image_has_the_same_w_alone_and_among_others(make, monkeypatch):
    generator = make(("AD", "NC"))
    images = own_images(generator)
    together = project(generator, images, steps=15, space="w+")
    alone = project(generator, images[1:2], steps=15, space="w+")
    monkeypatch.setattr(module, "AT_ONCE", 2)
    in_batches = project(generator, images, steps=15, space="w+")
    for found, expected in ((alone.ws, together.ws[1:2]), (in_batches.ws, together.ws),
                            (alone.images, together.images[1:2]),
                            (in_batches.images, together.images)):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    moved = np.abs(together.ws - project(generator, images, steps=0, space="w+").ws)
    assert moved.min(axis=0).max() > 0.03  # there is something to compare


def test_the_step_is_compiled_once_for_all_batches_and_calls(make, monkeypatch):
    generator = make(arch="dcgan")
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for space, count in (("w", 7), ("w+", 2), ("w", 3)):
        project(generator, strangers(count), steps=2, space=space)
    assert module._search(generator, 2, False).update.experimental_get_tracing_count() == 1


def test_weights_that_have_changed_are_seen_by_the_compiled_step(make):
    generator, images = make(arch="dcgan"), strangers()
    before = project(generator, images, steps=3)
    for weight in generator.trainable_weights:
        weight.assign(1.5 * weight)
    after = project(generator, images, steps=3)
    assert np.abs(after.ws - before.ws).max() > 0.1
    drawn = np.clip(generator.synthesis(after.ws).numpy(), -1, 1)
    np.testing.assert_allclose(after.images, drawn, atol=1e-5)


def test_what_load_returns_will_do(make):
    generator, images = make(arch="dcgan"), strangers()
    found, expected = (project(model, images, steps=2).ws
                       for model in (LoadedGenerator(generator), generator))
    np.testing.assert_array_equal(found, expected)


def test_the_seed_decides_all(make):
    generator, images = make(arch="dcgan"), strangers()  # the fastest
    first, again, other = (project(generator, images, steps=5, seed=seed).ws
                           for seed in (2**31 - 1, 2**31 - 1, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_weights_stay_and_a_bar_counts_the_steps(make, monkeypatch):
    generator, shown = make(arch="dcgan"), []
    before = [np.array(weight) for weight in generator.weights]
    images = strangers().astype(np.float64)  # as the user computed them

    class Bar(contextlib.nullcontext):
        def __init__(self, **options):
            super().__init__(self)
            shown.append(options)

        def update(self):
            shown.append(1)

    monkeypatch.setattr(module, "tqdm", Bar)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for progress in (False, True):
        project(generator, images, steps=4, start="mean", progress=progress)
    assert [options["disable"] for options in shown[::9]] == [True, None]
    assert shown[0]["total"] == 8 and shown[1:9] == [1] * 8 and len(shown) == 18
    for weight, was in zip(generator.weights, before, strict=True):
        np.testing.assert_array_equal(weight, was)


# -- the formulas


def halved(images):
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


@pytest.mark.parametrize("side, levels", [(16, 4), (4, 3), (32, 4)])
def test_distance_is_the_sum_over_the_pyramid(side, levels):
    one, two = np.random.default_rng(1).uniform(-1, 1, (2, 3, side, side, 2)).astype(np.float32)
    found = module._distances(tf.constant(one), tf.constant(two))
    expected = 0
    for level in range(levels):
        one, two = (halved(one), halved(two)) if level else (one, two)
        expected += ((one - two) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_beyond_black_is_black_and_the_gradient_leads_back():
    image = tf.constant([[-1.5, 1.3, -1.2, 1.4]])[..., None, None]
    sought = tf.constant([[-1.0, 1.0, 0.0, -0.5]])[..., None, None]
    with tf.GradientTape() as tape:
        tape.watch(image)
        distance = module._distances(image, sought)
    gradient = tf.squeeze(tape.gradient(distance, image)).numpy()
    assert distance.numpy() == pytest.approx((1 + 1.5 ** 2) / 4)  # too narrow for a pyramid
    np.testing.assert_allclose(gradient, [0, 0, -2 / 4, 3 / 4], atol=1e-6)


def test_peak_signal_to_noise_of_known_errors():
    black, grey = np.full((2, 4, 4, 1), -1, np.float32), np.zeros((2, 4, 4, 1), np.float32)
    np.testing.assert_allclose(peak_signal_to_noise(grey, black), 20 * np.log10(2))
    np.testing.assert_allclose(peak_signal_to_noise(black + 0.02, black), 40, rtol=1e-5)
    assert peak_signal_to_noise(grey, grey).max() == pytest.approx(126, abs=0.1)  # not infinite


def test_the_rate_rises_rests_and_falls():
    ramp = [module._ramp(time) for time in (0, 0.025, 0.05, 0.5, 0.75, 0.875, 1)]
    np.testing.assert_allclose(ramp, [0.02, 0.52, 1, 1, 1, 0.5, 0], atol=1e-12)


def test_the_first_step_of_adam_is_as_long_as_the_rate(make):
    generator = make(arch="dcgan")
    before, after = (project(generator, strangers(), steps=steps).ws for steps in (0, 1))
    _, spread = module._statistics(samples_of(generator))
    np.testing.assert_allclose(np.abs(after - before), 0.1 * spread * 0.02, rtol=0.02)


# -- refusals


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (2, 16, 16, 3), (16, 16, 1), (2, 16, 12, 1),
                                   (0, 16, 16, 1)])
def test_other_sizes_are_refused(make, shape):
    with pytest.raises(ValueError, match=r"`images` must be \[N, 16, 16, 1\]. Received: shape"):
        project(make(), np.zeros(shape, np.float32), steps=1)


@pytest.mark.parametrize("image, found", [
    (np.zeros((16, 16, 1), np.uint8), "uint8 from 0 to 0"),
    (np.full((16, 16, 1), 255.0), "float64 from 255.0 to 255.0"),
    (np.full((16, 16, 1), -1.001), "from -1.001 to -1.001"),
    (np.full((16, 16, 1), np.nan), "from nan to nan"),
    (np.full((16, 16, 1), np.inf, np.float32), "from inf to inf")])
def test_other_values_are_refused(make, image, found):
    images = np.stack([image, image])
    for function in (project, best_samples):
        with pytest.raises(ValueError, match="within -1 to 1, which `stylegan2_tf.data.decode.si"
                           f".* Received: .*{found}"):
            function(make(), images)


def test_an_unknown_start_is_refused(make):
    with pytest.raises(ValueError, match="`start` must be 'best' or 'mean'. Received: start=zero"):
        project(make(), strangers(), steps=1, start="zero")


def test_an_unknown_space_is_refused(make):
    with pytest.raises(ValueError, match="`space` must be 'w' or 'w\\+'. Received: space=z"):
        project(make(), strangers(), steps=1, space="z")


@pytest.mark.parametrize("arch, noise", [("stylegan", "random"), ("dcgan", "optimise")])
def test_noise_that_cannot_be_optimised_is_refused(make, arch, noise):
    with pytest.raises(ValueError, match=f"`noise` must be 'const', or .* Received: noise={noise}"):
        project(make(arch=arch), strangers(), steps=1, noise=noise)
