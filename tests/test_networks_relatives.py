"""The layers of StyleGAN and DCGAN, and what the networks of all families share."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_layer
from oracle import (
    convolve,
    filter_each_channel,
    insert_zeros,
    leaky_relu,
    relative_error,
    rms_normalised,
    upsampling_convolution,
)
from small import FAMILIES, make_discriminator, make_generator, numbers, shake

from stylegan2_tf.networks import (
    AdaINConv2D,
    DCGANSynthesis,
    StyleGANSynthesis,
    SynthesisNetwork,
    UnstyledConv2D,
    UnstyledToImage,
)

BOTH = np.eye(2, dtype=np.float32)


def float64(weight):
    return np.asarray(weight, np.float64)


def convolved(layer, x):
    """What the `conv` of `layer` gives, without its activation."""
    kernel = float64(layer.conv.kernel) / np.sqrt(9 * x.shape[3])
    x = upsampling_convolution(x, kernel) if layer.upsample else convolve(x, kernel, padding=1)
    return x + float64(layer.conv.bias)


# -- the layers


@pytest.mark.parametrize("upsample", [False, True])
def test_adain_convolution_matches_oracle(tmp_path, upsample):
    layer = AdaINConv2D(4, upsample)
    x, w = numbers(2, 6, 4, 3), numbers(2, 5, seed=1)
    layer.build(x.shape, w.shape)
    layer.noise.strength.assign(0.7 / layer.noise.lr_multiplier)
    layer.conv.bias.assign(numbers(4, seed=2))
    layer.adain.affine.bias.assign(numbers(8, seed=3))
    found = check_layer(layer, x, w, tmp_path=tmp_path)
    y = leaky_relu(convolved(layer, x) + 0.7 * float64(layer.noise.constant))
    y = (y - y.mean((1, 2), keepdims=True)) / np.sqrt(y.var((1, 2), keepdims=True) + 1e-8)
    style = w @ float64(layer.adain.affine.kernel) / np.sqrt(5) + numbers(8, seed=3)
    expected = y * (1 + style[:, None, None, :4]) + style[:, None, None, 4:]
    assert found.shape == layer.compute_output_shape(x.shape, w.shape)
    assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("upsample", [False, True])
def test_unstyled_convolution_matches_oracle(tmp_path, upsample):
    layer = UnstyledConv2D(4, upsample)
    x, w = numbers(2, 6, 4, 3), numbers(2, 5, seed=1)
    layer.build(x.shape, w.shape)
    layer.conv.bias.assign(numbers(4, seed=2))
    found = check_layer(layer, x, w, tmp_path=tmp_path)
    assert relative_error(found, rms_normalised(leaky_relu(convolved(layer, x)))) < 1e-5
    np.testing.assert_array_equal(layer(x, 0 * w, noise=numbers(2, 6, 4, 1)), found)


def test_unstyled_to_image_is_a_1x1_convolution(tmp_path):
    layer = UnstyledToImage(2)
    x, w = numbers(2, 4, 6, 3), numbers(2, 5)
    layer.build(x.shape, w.shape)
    layer.conv.bias.assign(numbers(2, seed=2))
    found = check_layer(layer, x, w, tmp_path=tmp_path)
    expected = x @ float64(layer.conv.kernel)[0, 0] / np.sqrt(3) + numbers(2, seed=2)
    assert relative_error(found, expected) < 1e-5
    assert UnstyledToImage(2, dtype="mixed_bfloat16")(x, w).dtype == "float32"


# -- the networks


def test_stylegan_paints_from_the_last_resolution_only():
    synthesis = shake(make_generator(StyleGANSynthesis)).synthesis
    assert synthesis.num_ws == 5 and len(synthesis.to_images) == 1
    assert synthesis.noise_shapes(2) == [(2, side, side, 1) for side in (4, 8, 8, 16, 16)]
    ws = numbers(2, 5, 7, seed=1)
    x = np.tile(synthesis.constant, (2, 1, 1, 1))  # enters the first convolution as it is
    for index, conv in enumerate(synthesis.convs):
        x = conv(x, ws[:, index])
    expected = synthesis.to_images[0](x, None)
    assert relative_error(synthesis(ws), expected) < 1e-5


def test_dcgan_takes_the_latent_once_and_stays_within_its_bounds():
    generator = shake(make_generator(DCGANSynthesis))
    synthesis = generator.synthesis
    assert synthesis.num_ws == 1 and synthesis.noise_shapes(2) == []
    z = 3 * numbers(2, 5)
    w = rms_normalised(z)
    kernel, bias = (float64(weight) for weight in synthesis.dense.get_weights())
    x = rms_normalised(leaky_relu(w @ kernel / np.sqrt(5) + bias).reshape(2, 4, 4, 8))
    x, image = np.float32(x), 0.0
    for index, conv in enumerate(synthesis.convs):
        x = conv(x, None)
        if index % 2 == 0:
            image = image + float64(synthesis.to_images[index // 2](x, None))
            if index < 4:
                image = filter_each_channel(insert_zeros(image), (1, 3, 3, 1), 2, 1, gain=4)
    images = np.asarray(generator(z))
    assert relative_error(images, np.tanh(image)) < 1e-4
    synthesis.to_images[0].conv.bias.assign([50.0])
    assert np.abs(generator(z)).max() == 1.0
    np.testing.assert_array_equal(generator(z, noise=[]), generator(z))  # there is none
    np.testing.assert_allclose(generator.mapping(7 * z), w, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("base, sides", [([3, 4], (12, 16)), (7, (28, 28))])
def test_images_of_other_shapes(family, base, sides):
    generator = make_generator(family, base_resolution=base)
    images = generator(numbers(2, 5))
    assert images.shape == (2, *sides, 1) == generator.compute_output_shape((2, 5))
    assert generator.resolution == sides
    shapes = generator.synthesis.noise_shapes(2)
    assert all(shape[1] * sides[1] == shape[2] * sides[0] for shape in shapes)
    maps = [numbers(*shape) for shape in shapes]
    assert generator(numbers(2, 5), noise=maps).shape == images.shape


@pytest.mark.parametrize("convolutions", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_layer_takes_its_own_w(family, convolutions):
    generator = make_generator(family, convolutions=convolutions)
    ws = np.array(generator.broadcast(generator.mapping(numbers(1, 5))))
    images = np.asarray(generator.synthesis(ws))
    for index in range(generator.synthesis.num_ws):
        changed = ws.copy()
        changed[:, index] += numbers(ws.shape[2], seed=7 + index)
        assert np.abs(np.asarray(generator.synthesis(changed)) - images).max() > 1e-4


@pytest.mark.parametrize("family", [SynthesisNetwork, StyleGANSynthesis])
def test_noise_modes(family):
    generator = make_generator(family)
    z = numbers(2, 5)
    np.testing.assert_array_equal(generator(z), generator(z))
    maps = [numbers(*shape, seed=7) for shape in generator.synthesis.noise_shapes(2)]
    constant, given, none = (np.asarray(generator(z, noise=noise))
                             for noise in (None, maps, 0.0))
    assert np.abs(constant - given).max() > 1e-3 and np.abs(constant - none).max() > 1e-3
    with pytest.raises(ValueError, match="must hold 5 maps"):
        generator(z, noise=maps[:2])


@pytest.mark.parametrize("convolutions", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_second_order_gradients_reach_every_kernel(family, convolutions):
    generator = make_generator(family, convolutions=convolutions, attention=8)
    generator.synthesis.attend.strength.assign(0.5)
    z, direction = numbers(2, 5), numbers(2, 16, 16, 1, seed=4)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:  # the path length penalty differentiates like this
            ws = generator.broadcast(generator.mapping(z))
            inner.watch(ws)
            value = tf.reduce_sum(generator.synthesis(ws) * direction)
        length = tf.reduce_sum(tf.square(inner.gradient(value, ws)))
    kernels = [weight for weight in generator.trainable_variables if "kernel" in weight.path]
    assert len(kernels) > 8
    for weight, gradient in zip(
            kernels, outer.gradient(length, [kernel.value for kernel in kernels]), strict=True):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize("family", FAMILIES)
def test_mixed_precision_keeps_images_in_float32(family):
    generator, half = (shake(make_generator(family, attention=8, level=1, dtype=dtype))
                       for dtype in ("float32", "mixed_bfloat16"))
    half.set_weights(generator.get_weights())
    for network in (generator, half):
        network.synthesis.fade.assign(0.5)
    found, expected = half(numbers(2, 5)), np.asarray(generator(numbers(2, 5)))
    assert found.dtype == "float32" and found.shape == (2, 8, 8, 1)
    assert all(weight.dtype == "float32" for weight in half.weights)
    assert np.abs(np.asarray(found) - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("make", [
    *(lambda family=family: make_generator(
        family, classes=("AD", "NC"), attention=8, level=1) for family in FAMILIES),
    lambda: make_discriminator(spectral_norm=True, attention=8, level=2, label_dim=2)])
def test_every_variable_has_a_path_of_its_own(make):
    paths = [weight.path.split("/", 1)[1] for weight in make().variables]
    assert len(set(paths)) == len(paths)


# -- attention


@pytest.mark.parametrize("side, filters", [(4, 8), (8, 6), (16, 4)])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_generator_attends_at_one_resolution(family, side, filters):
    plain, generator = make_generator(family), make_generator(family, attention=side)
    attend = generator.synthesis.attend
    assert attend.output_projection.kernel.shape[-1] == filters
    weights = {weight.path.split("/", 1)[1]: weight for weight in plain.variables}
    for weight in generator.variables:
        if "/attention/" not in weight.path:
            weight.assign(weights[weight.path.split("/", 1)[1]])
    z, seen = numbers(2, 5), []
    np.testing.assert_array_equal(generator(z), plain(z))  # it starts as the identity
    attend.strength.assign(1.0)
    generator.synthesis.attend = lambda x: (seen.append(x.shape), attend(x))[1]
    assert np.abs(np.asarray(generator(z)) - np.asarray(plain(z))).max() > 1e-4
    assert seen == [(2, side, side, filters)]


@pytest.mark.parametrize("side, filters", [(4, 8), (8, 8), (16, 4)])
def test_the_discriminator_attends_at_one_resolution(side, filters):
    plain, discriminator = make_discriminator(), make_discriminator(attention=side)
    attend = discriminator.trunk.attend
    assert attend.output_projection.kernel.shape[-1] == filters
    weights = {weight.path.split("/", 1)[1]: weight for weight in plain.variables}
    for weight in discriminator.variables:
        if "/attention/" not in weight.path:
            weight.assign(weights[weight.path.split("/", 1)[1]])
    x, seen = numbers(4, 16, 16, 1), []
    np.testing.assert_array_equal(discriminator(x), plain(x))
    attend.strength.assign(1.0)
    discriminator.trunk.attend = lambda x: (seen.append(x.shape), attend(x))[1]
    assert np.abs(np.asarray(discriminator(x)) - np.asarray(plain(x))).max() > 1e-5
    assert seen == [(4, side, side, filters)]


def test_the_longer_side_names_the_maps_that_attend():
    generator = make_generator(base_resolution=(3, 4), attention=8)
    assert generator.synthesis.attend.output_projection.kernel.shape[-1] == 6
    assert generator(numbers(2, 5)).shape == (2, 12, 16, 1)
    trunk = make_discriminator(final_resolution=(3, 4), attention=16).trunk
    assert trunk.attend.output_projection.kernel.shape[-1] == 4


# -- classes


@pytest.mark.parametrize("family", FAMILIES)
def test_the_label_changes_the_image(family):
    generator = make_generator(family, classes=("AD", "NC"))
    assert generator.classes == ["AD", "NC"]
    z = numbers(1, 5)
    first, second, between = (np.asarray(generator(z, label)) for label in (
        BOTH[:1], BOTH[1:], np.full((1, 2), 0.5, np.float32)))
    for one, other in ((first, second), (first, between), (between, second)):
        assert np.abs(one - other).max() > 1e-3
    together = generator(np.repeat(z, 2, axis=0), BOTH)
    np.testing.assert_allclose(together, np.concatenate([first, second]), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_are_needed_with_classes_and_refused_without(family):
    z = numbers(2, 5)
    with pytest.raises(ValueError, match="Argument `label` must be .*there are 2"):
        make_generator(family, classes=("AD", "NC"))(z)
    with pytest.raises(ValueError, match="Argument `label`"):
        make_generator(family)(z, BOTH)


def test_the_score_follows_the_class():
    discriminator = make_discriminator(label_dim=2)
    x = numbers(4, 16, 16, 1)
    first, second = (np.asarray(discriminator(x, np.repeat(BOTH[[which]], 4, 0)))
                     for which in (0, 1))
    assert np.abs(first - second).max() > 1e-3
    for network, label in ((discriminator, None), (make_discriminator(), BOTH[[0, 1, 0, 1]])):
        with pytest.raises(ValueError, match="Argument `label`"):
            network(x, label)


# -- growing


def linear(images, family):
    """Images before the bound of DCGAN."""
    images = np.asarray(images, np.float64)
    return np.arctanh(images) if family is DCGANSynthesis else images


def growing(family, **more):
    generator = shake(make_generator(family, level=0, **more), scale=0.1)
    for to_image in generator.synthesis.to_images:  # far from where tanh is flat
        to_image.conv.kernel.assign(0.2 * to_image.conv.kernel)

    def paint(level, fade):
        generator.synthesis.level = level
        generator.synthesis.fade.assign(fade)
        return linear(generator(numbers(2, 5)), family)

    return generator, paint


@pytest.mark.parametrize("more", [{}, dict(convolutions=1, attention=8, base_resolution=(3, 4))],
                         ids=["", "other shape"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_resolution_fades_in(family, more):
    generator, paint = growing(family, **more)
    base = (3, 4) if more else (4, 4)
    assert generator.resolution == base
    for level in (1, 2):
        before, start, end = paint(level - 1, 1.0), paint(level, 0.0), paint(level, 1.0)
        assert start.shape == (2, base[0] << level, base[1] << level, 1)
        assert generator.resolution == start.shape[1:3]
        assert relative_error(start, before.repeat(2, axis=1).repeat(2, axis=2)) < 1e-5
        assert np.abs(end - start).max() > 1e-2
        assert relative_error(paint(level, 0.25), 0.75 * start + 0.25 * end) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_only_skips_last_after_fading_in(family):
    generator, paint = growing(family)
    before = paint(2, 1.0)
    to_image = generator.synthesis.to_images[1]
    to_image.conv.kernel.assign(-to_image.conv.kernel)
    if family is StyleGANSynthesis:
        np.testing.assert_allclose(paint(2, 1.0), before, atol=1e-5)
    else:
        assert np.abs(paint(2, 1.0) - before).max() > 1e-2
    assert np.abs(paint(2, 0.5) - before).max() > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_is_for_the_layers_in_use(family):
    generator, paint = growing(family)
    paint(1, 1.0)
    shapes = generator.synthesis.noise_shapes(2)
    assert shapes == ([] if family is DCGANSynthesis else [(2, side, side, 1)
                                                          for side in (4, 8, 8)])
    maps = [numbers(*shape) for shape in shapes]
    assert generator(numbers(2, 5), noise=maps).shape == (2, 8, 8, 1)
    full = make_generator(family)
    assert generator.synthesis.num_ws == full.synthesis.num_ws  # a latent fits all stages


def test_fully_grown_is_the_same_as_never_grown():
    for family in (SynthesisNetwork, DCGANSynthesis):
        generator, paint = growing(family)
        plain = make_generator(family)
        plain.set_weights([weight for weight in generator.variables
                           if not weight.path.endswith("fade")])
        np.testing.assert_allclose(paint(2, 1.0), linear(plain(numbers(2, 5)), family),
                                   rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("more", [{}, dict(spectral_norm=True, attention=8, convolutions=1)],
                         ids=["", "everything"])
def test_the_trunk_grows_like_the_generator(more):
    trunk = shake(make_discriminator([4, 6, 8], level=0, **more)).trunk
    if more:
        trunk.attend.strength.assign(0.7)
    image = numbers(2, 32, 32, 1)

    def features(level, fade, image):
        trunk.level = level
        trunk.fade.assign(fade)
        return np.asarray(trunk(image), np.float64)

    images = {3: image}
    for level in (2, 1, 0):
        images[level] = images[level + 1].reshape(2, 4 << level, 2, 4 << level, 2, 1).mean((2, 4))
    for level in (1, 2, 3):
        before = features(level - 1, 1.0, images[level - 1])
        start, half, end = (features(level, fade, images[level]) for fade in (0.0, 0.5, 1.0))
        assert trunk.resolution == images[level].shape[1:3]
        assert trunk.mask_shapes(2) == [(2, 1, 1, width) for width in (6, 8, 8)[3 - level:]]
        assert relative_error(start, before) < 1e-5
        assert np.abs(end - start).max() > 1e-2 and np.abs(half - start).max() > 1e-3
        entry = trunk.entries[level - 1]
        kernel = getattr(entry, "layer", entry).kernel
        kernel.assign(-kernel)
        np.testing.assert_allclose(features(level, 1.0, images[level]), end, atol=1e-5)
        kernel.assign(-kernel)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_resolution_changes_no_score_at_first(family):
    generator, paint = growing(family)
    discriminator = shake(make_discriminator([6, 8], level=0))

    def score(level, fade):
        paint(level, fade)
        discriminator.trunk.level = level
        discriminator.trunk.fade.assign(fade)
        return np.asarray(discriminator(generator(numbers(2, 5))))

    for level in (1, 2):
        end = score(level - 1, 1.0)
        assert np.std(end) > 1e-3
        np.testing.assert_allclose(score(level, 0.0), end, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("convolutions", [1, 2])
def test_only_active_ws_reach_the_image(family, convolutions):
    generator = shake(make_generator(family, level=0, convolutions=convolutions))
    synthesis = generator.synthesis
    ws = numbers(2, synthesis.num_ws, generator.mapping.w_dim)
    for level in range(3):
        synthesis.level = level
        image = np.asarray(synthesis(ws))
        for index in range(synthesis.num_ws):
            changed = ws.copy()
            changed[:, index] += 1
            moved = np.abs(np.asarray(synthesis(changed)) - image).max() > 1e-6
            assert moved == (index < synthesis.active_ws)
    assert synthesis.active_ws == synthesis.num_ws


@pytest.mark.parametrize("make, inputs", [
    *((lambda family=family: make_generator(family, level=0), numbers(2, 5))
      for family in FAMILIES),
    (lambda: make_discriminator(level=0), numbers(4, 8, 8, 1))])
def test_the_level_is_saved_with_the_model(tmp_path, make, inputs):
    model = shake(make())
    part = getattr(model, "synthesis", None) or model.trunk
    part.level = 1
    part.fade.assign(0.3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = getattr(loaded, "synthesis", None) or loaded.trunk
    assert (again.level, loaded.resolution) == (1, (8, 8))
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    part.level = again.level = 2  # what is not in use yet is saved, too
    inputs = inputs if inputs.ndim == 2 else numbers(4, 16, 16, 1)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


@pytest.mark.parametrize("family", FAMILIES)
def test_conditional_models_save_and_load_bit_for_bit(tmp_path, family):
    generator = shake(make_generator(family, classes=("AD", "NC"), attention=8))
    generator.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.classes == ["AD", "NC"]
    assert loaded.get_config() == generator.get_config()
    np.testing.assert_array_equal(loaded(numbers(2, 5), BOTH), generator(numbers(2, 5), BOTH))
