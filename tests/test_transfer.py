"""What a training takes over from a saved model."""

import re

import numpy as np
import pytest

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.errors import DataError
from stylegan2_tf.step import TrainStep
from stylegan2_tf.transfer import take_weights

CLASSES = ("AD", "MCI", "NC")


@pytest.fixture
def save(tiny_config, tmp_path):
    """A function that saves untrained networks, each of another seed, and returns their folder."""
    def make(classes=(), **changes):
        config = tiny_config(**{"seed": 7, **changes})
        _, average, discriminator = make_networks(config, classes)
        average.w_avg.assign(np.linspace(-1, 1, *average.w_avg.shape))
        save_models(tmp_path / "known" / "Model", average, discriminator)
        return average, discriminator

    make.folder = tmp_path / "known"
    return make


def make_step(config, classes=()):
    return TrainStep(*make_networks(config, classes), config)


def weights(network):
    """Place in the network -> value."""
    return {weight.path.split("/", 1)[1]: np.array(weight) for weight in network.variables}


def latents(seed=0):
    return np.random.default_rng(seed).standard_normal((2, 8)).astype(np.float32)


@pytest.mark.parametrize("path", ["", "Model", "Model/generator.keras"])
def test_networks_of_the_same_sizes_are_taken_whole(tiny_config, save, path):
    average, discriminator = save()
    step = make_step(tiny_config())
    lines = take_weights(step, save.folder / path)
    for network, known in ((step.generator, average), (step.generator_ema, average),
                           (step.discriminator, discriminator)):
        for place, value in weights(network).items():
            np.testing.assert_array_equal(value, weights(known)[place], err_msg=place)
    first, of_generator, of_discriminator = lines
    assert first == f"weights of {save.folder / 'Model' / 'generator.keras'}:"
    for line, name, network in ((of_generator, "generator", average),
                                (of_discriminator, "discriminator", discriminator)):
        count = len(network.variables)
        assert line == (f"{name:14} {count} of {count} weights taken "
                        f"({network.count_params():,} numbers)")


@pytest.mark.parametrize("arch", ["stylegan2", "stylegan", "dcgan"])
def test_larger_networks_take_the_lower_levels(tiny_config, save, arch):
    average, discriminator = save(arch=arch, g_init_filters=16, d_input_filters=8)
    config = tiny_config(arch=arch, resolution=32, g_init_filters=16, d_input_filters=4)
    step = make_step(config)
    before = weights(step.generator), weights(step.discriminator)
    lines = take_weights(step, save.folder)
    taken = set()
    for network, known, old in ((step.generator, average, before[0]),
                                (step.discriminator, discriminator, before[1])):
        known = weights(known)
        for place, value in weights(network).items():
            if place in known:
                np.testing.assert_array_equal(value, known[place], err_msg=place)
                taken.add(place.split("/")[1] if "/" in place else place)
            else:
                np.testing.assert_array_equal(value, old[place], err_msg=place)
    assert {"conv_0", "conv_up_1", "conv_2", "w_avg", "block_1", "block_2", "hidden"} <= taken
    assert not {"conv_up_3", "to_image_3", "block_3", "from_image_3"} & taken
    text = "\n".join(lines)
    assert "  taken: w_avg, " in text
    assert " more\n" in text  # long lists are cut
    assert re.search("  start anew: synthesis/conv_up_3, synthesis/conv_3, synthesis/to_image_3\n",
                     text)
    assert "  start anew: trunk/from_image_3, trunk/block_3\n" in text
    assert text.endswith("  in the model, not used: trunk/from_image_2")


@pytest.mark.parametrize("arch", ["stylegan2", "stylegan", "dcgan"])
def test_at_first_every_class_is_what_the_network_without_classes_painted(
        tiny_config, save, arch):
    average, _ = save(arch=arch)
    step = make_step(tiny_config(arch=arch, conditional=True), CLASSES)
    lines = take_weights(step, save.folder)
    expected = np.asarray(average(latents()))
    for network in (step.generator, step.generator_ema):
        for label in np.eye(3, dtype=np.float32):
            found = network(latents(), np.tile(label, (2, 1)))
            np.testing.assert_allclose(found, expected, atol=1e-5)
    text = "\n".join(lines)
    place = "synthesis/dense/kernel" if arch == "dcgan" else "mapping/dense_0/kernel"
    assert f"  fitted to the classes: {place.rpartition('/')[0]}\n" in text
    # The class can be learned: it reaches the first layer.
    network = step.generator
    first = network.synthesis.dense if arch == "dcgan" else network.mapping.dense[0]
    grown = np.array(first.kernel)
    assert grown.shape[0] == 16 and not grown[8:].any()
    first.kernel.assign(grown + 0.1)
    images = [np.asarray(network(latents(), np.tile(label, (2, 1))))
              for label in np.eye(3, dtype=np.float32)]
    assert np.abs(images[0] - images[1]).max() > 1e-4


def test_classes_that_were_learned_are_kept(tiny_config, save):
    average, discriminator = save(CLASSES, conditional=True)
    step = make_step(tiny_config(conditional=True), CLASSES)
    lines = take_weights(step, save.folder)
    label = np.eye(3, dtype=np.float32)[:2]
    np.testing.assert_array_equal(step.generator(latents(), label), average(latents(), label))
    assert len(lines) == 3


def test_classes_are_taken_by_name(tiny_config, save):
    average, discriminator = save(CLASSES, conditional=True)
    step = make_step(tiny_config(conditional=True), ("NC", "other", "AD", "EMCI"))
    fresh = weights(step.discriminator)["head/embed/kernel"][1]
    text = "\n".join(take_weights(step, save.folder))
    old, new = np.eye(3, dtype=np.float32)[[2, 0]], np.eye(4, dtype=np.float32)[[0, 2]]
    np.testing.assert_allclose(step.generator(latents(), new), average(latents(), old), atol=1e-5)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(step.discriminator(images, new), discriminator(images, old),
                               atol=1e-5)
    assert "  fitted to the classes: mapping/latent\n" in text
    assert "  fitted to the classes: head/embed" in text
    np.testing.assert_array_equal(weights(step.discriminator)["head/embed/kernel"][1], fresh)


def test_classes_in_another_order_are_taken_by_name(tiny_config, save):
    average, _ = save(CLASSES, conditional=True, arch="dcgan")
    step = make_step(tiny_config(conditional=True, arch="dcgan"), CLASSES[::-1])
    take_weights(step, save.folder)
    label = np.eye(3, dtype=np.float32)[:2]
    np.testing.assert_allclose(step.generator(latents(), label[:, ::-1]),
                               average(latents(), label), atol=1e-5)


def test_unknown_classes_start_anew(tiny_config, save):
    save(CLASSES, conditional=True)
    step = make_step(tiny_config(conditional=True), ("young", "old", "very old"))
    before = weights(step.generator)["mapping/latent/embed/kernel"]
    text = "\n".join(take_weights(step, save.folder))
    np.testing.assert_array_equal(weights(step.generator)["mapping/latent/embed/kernel"], before)
    assert "  start anew: mapping/latent\n" in text and "fitted" not in text


def test_spectral_normalisation_takes_the_kernels(tiny_config, save):
    _, discriminator = save()
    step = make_step(tiny_config(spectral_norm=True))
    take_weights(step, save.folder)
    np.testing.assert_array_equal(step.discriminator.head.conv.layer.kernel,
                                  discriminator.head.conv.kernel)


def test_growing_networks_take_what_a_grown_one_knows(tiny_config, save):
    average, _ = save()
    step = make_step(tiny_config(progressive=True))
    take_weights(step, save.folder)
    np.testing.assert_allclose(step.generator(latents()), average(latents()), atol=1e-5)


def test_a_generator_alone_will_do(tiny_config, save):
    save()
    (save.folder / "Model" / "discriminator.keras").unlink()
    step = make_step(tiny_config())
    before = weights(step.discriminator)
    lines = take_weights(step, save.folder)
    assert lines[-1] == "discriminator  starts anew: no discriminator.keras beside the generator"
    for place, value in weights(step.discriminator).items():
        np.testing.assert_array_equal(value, before[place])


def test_a_model_that_fits_nowhere_is_refused(tiny_config, save):
    save(resolution=12, g_input_res=3, d_final_res=3, g_init_filters=12, latent=5, w_dim=3,
         d_input_filters=6, channels=3)
    step = make_step(tiny_config(arch="dcgan"))
    before = weights(step.generator)
    with pytest.raises(DataError, match="--init-from: expected a model with weights that fit this "
                                        "generator, found none; give the sizes of that model"):
        take_weights(step, save.folder)
    for place, value in weights(step.generator).items():
        np.testing.assert_array_equal(value, before[place])


@pytest.mark.parametrize("changes", [dict(w_dim=6), dict(latent=4, w_dim=8)])
def test_the_first_layer_starts_anew_where_more_than_classes_differ(tiny_config, save, changes):
    save(**changes)
    step = make_step(tiny_config(conditional=True), CLASSES)  # z and w have 8 numbers here
    before = weights(step.generator)["mapping/dense_0/kernel"]
    text = "\n".join(take_weights(step, save.folder))
    np.testing.assert_array_equal(weights(step.generator)["mapping/dense_0/kernel"], before)
    assert "fitted" not in text and "mapping/dense_0" in text


@pytest.mark.parametrize("make, words", [
    (lambda path: None, "found nothing there"),
    (lambda path: path.mkdir(), "found no model in it yet"),
    (lambda path: path.write_bytes(b"damaged"), "expected a model saved by stylegan2_tf")])
def test_no_model_is_one_clear_line(tiny_config, tmp_path, make, words):
    path = tmp_path / "model.keras"
    make(path)
    with pytest.raises(DataError, match=words):
        take_weights(make_step(tiny_config(arch="dcgan", convolutions=1)), path)


def test_another_rate_of_the_mapping_changes_no_image(tiny_config, save):
    average, _ = save()
    step = make_step(tiny_config(mapping_lr=2e-5))
    take_weights(step, save.folder)
    np.testing.assert_allclose(step.generator(latents()), average(latents()), atol=1e-5)
