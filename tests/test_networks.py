"""StyleGAN2's networks; test_networks_relatives.py has what all families share."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import (
    convolve,
    filter_each_channel,
    insert_zeros,
    leaky_relu,
    relative_error,
    rms_normalised,
)
from small import make_discriminator, make_generator, numbers, shake

from stylegan2_tf.layers import SpectralNormalization
from stylegan2_tf.networks import (
    DiscriminatorHead,
    Generator,
    LatentInput,
    MappingNetwork,
    ResidualBlock,
    ResidualTrunk,
    StyledConv2D,
    SynthesisNetwork,
    ToImage,
)


def float64(weight):
    return np.asarray(weight, np.float64)


# -- mapping


def test_mapping_matches_oracle():
    mapping = MappingNetwork(5, 7, num_layers=2)
    z = 10 * numbers(4, 5)
    found = mapping(z)
    w = rms_normalised(z)
    for dense in mapping.dense:
        kernel = float64(dense.kernel)
        w = leaky_relu(w @ (kernel * 0.01 / np.sqrt(len(kernel))))
    assert relative_error(found, w) < 1e-5


def test_the_embedding_of_a_class_joins_the_latent():
    z, label = 10 * numbers(3, 5), np.eye(2, dtype=np.float32)[[0, 1, 1]]
    latent = LatentInput(5, label_dim=2)
    found = latent(z, label)
    embedded = label @ float64(latent.embed.kernel) / np.sqrt(2)
    expected = np.concatenate([rms_normalised(z), rms_normalised(embedded)], axis=1)
    assert found.shape == (3, latent.w_dim) == (3, 10) == latent.compute_output_shape(z.shape)
    assert relative_error(found, expected) < 1e-5
    assert relative_error(LatentInput(5)(z), rms_normalised(z)) < 1e-5


def test_a_mapping_with_classes_begins_with_both():
    mapping = MappingNetwork(5, 7, num_layers=1, label_dim=2)
    z, label = numbers(3, 5), np.eye(2, dtype=np.float32)[[0, 1, 1]]
    found = mapping(z, label)
    kernel = float64(mapping.dense[0].kernel) * 0.01 / np.sqrt(10)
    assert relative_error(found, leaky_relu(float64(mapping.latent(z, label)) @ kernel)) < 1e-5


# -- synthesis


def test_styled_convolution_adds_noise_bias_and_activation():
    layer = StyledConv2D(4)
    x, w = numbers(2, 4, 4, 3), numbers(2, 5, seed=1)
    layer(x, w)
    layer.noise.strength.assign(0.7 / layer.noise.lr_multiplier)
    layer.bias.assign(numbers(4, seed=2))
    noise = numbers(2, 4, 4, 1, seed=3)
    plain = np.asarray(layer.conv(x, w), np.float64)
    expected = leaky_relu(plain + 0.7 * noise + np.asarray(layer.bias, np.float64))
    assert relative_error(layer(x, w, noise=noise), expected) < 1e-5


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_generator_shapes_and_parameters(channels):
    generator = make_generator(channels=channels)
    images = generator(numbers(3, 5))
    assert images.shape == (3, 16, 16, channels) and images.dtype == "float32"
    assert (generator.z_dim, generator.channels, generator.resolution) == (5, channels, (16, 16))
    assert generator.synthesis.num_ws == 6
    assert generator.synthesis.noise_shapes(2) == [
        (2, 4, 4, 1), (2, 8, 8, 1), (2, 8, 8, 1), (2, 16, 16, 1), (2, 16, 16, 1)]
    assert [len(generator.synthesis.convs), len(generator.synthesis.to_images)] == [5, 3]


def test_one_convolution_at_each_resolution():
    generator = make_generator(convolutions=1)
    assert generator(numbers(3, 5)).shape == (3, 16, 16, 1)
    assert generator.synthesis.num_ws == 4
    assert generator.synthesis.noise_shapes(2) == [(2, 4, 4, 1), (2, 8, 8, 1), (2, 16, 16, 1)]
    assert [conv.upsample for conv in generator.synthesis.convs] == [False, True, True]


@pytest.mark.parametrize("convolutions, levels", [(1, [0, 1, 2]), (2, [0, 1, 1, 2, 2])])
def test_the_image_follows_from_the_layers_one_by_one(convolutions, levels):
    synthesis = shake(make_generator(convolutions=convolutions)).synthesis
    ws = numbers(2, synthesis.num_ws, 7, seed=1)
    x, image = np.tile(np.asarray(synthesis.constant), (2, 1, 1, 1)), 0.0
    for index, (level, after) in enumerate(zip(levels, [*levels[1:], None], strict=True)):
        x = synthesis.convs[index](x, ws[:, index])
        assert x.shape == (2, 4 << level, 4 << level, (8, 6, 4)[level])
        if level != after:
            image += np.asarray(synthesis.to_images[level](x, ws[:, index + 1]), np.float64)
        if after is not None and level != after:
            image = filter_each_channel(insert_zeros(image), [1, 3, 3, 1], 2, 1, gain=4)
    assert relative_error(synthesis(ws), image) < 1e-5


def test_the_second_convolution_is_what_one_saves():
    wide, narrow = (make_generator(convolutions=count).count_params() for count in (2, 1))
    # kernel, style (w of 7 to the input), its bias, bias, noise strength, noise map
    assert wide - narrow == sum(9 * width**2 + 7 * width + 2 * width + 1 + side**2
                                for width, side in ((6, 8), (4, 16)))
    wide, narrow = (make_discriminator(convolutions=count).count_params() for count in (2, 1))
    assert wide - narrow == sum(9 * width**2 + width for width in (4, 8))


def test_the_image_is_the_sum_of_upsampled_skips():
    generator = make_generator()
    ws = generator.broadcast(generator.mapping(numbers(2, 5)))
    full = generator.synthesis(ws)
    last = generator.synthesis.to_images[-1]
    for weight in (last.conv.kernel, last.bias):
        weight.assign(np.zeros(weight.shape))
    without_last = np.asarray(generator.synthesis(ws))
    assert np.abs(np.asarray(full) - without_last).max() > 1e-3
    for to_image in generator.synthesis.to_images:
        to_image.conv.kernel.assign(np.zeros(to_image.conv.kernel.shape))
    generator.synthesis.to_images[0].bias.assign([2.0])  # a constant stays one inside
    np.testing.assert_allclose(generator.synthesis(ws)[:, 8, 8, 0], 2.0, rtol=1e-5)


def test_to_image_has_no_activation():
    layer = ToImage(1)
    x, w = numbers(2, 4, 4, 3), numbers(2, 5, seed=1)
    np.testing.assert_allclose(layer(-x, w), -np.asarray(layer(x, w)), rtol=1e-4, atol=1e-6)


def test_truncation():
    generator = make_generator()
    z = numbers(2, 5)
    w = np.asarray(generator.mapping(z))
    w_avg = np.asarray(generator.w_avg)
    np.testing.assert_allclose(generator.truncate(w, 0.25), w_avg + 0.25 * (w - w_avg), rtol=1e-5)
    at_zero = np.asarray(generator(z, truncation_psi=0.0))
    np.testing.assert_allclose(at_zero[0], at_zero[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(generator(z, truncation_psi=1.0), generator(z))


# -- discriminator


@pytest.mark.parametrize("convolutions", [1, 2])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5])
def test_residual_block_follows_the_fade_in_formula(alpha, convolutions):
    block = ResidualBlock(6, convolutions)
    x = numbers(2, 8, 8, 4)
    found = np.asarray(block(x, alpha=alpha))
    hidden = block.conv_0(x) if convolutions == 2 else x
    main = np.asarray(block.conv_1(hidden), np.float64)
    skip = np.asarray(block.skip(x), np.float64)
    expected = ((1 - alpha) * main + alpha * skip) / np.sqrt((1 - alpha) ** 2 + alpha**2)
    assert relative_error(found, expected) < 1e-5
    if alpha == 0.5:
        assert relative_error(found, (main + skip) / np.sqrt(2)) < 1e-5


def test_discriminator_ladder_and_alpha():
    discriminator = make_discriminator(final_resolution=8, channels=3)
    x = numbers(4, 32, 32, 3)
    scores = np.asarray(discriminator(x))
    assert scores.shape == (4, 1)
    assert (discriminator.resolution, discriminator.channels) == ((32, 32), 3)
    assert discriminator.head.conv.kernel.shape == (3, 3, 9, 8)  # minibatch stddev is a channel
    assert discriminator.head.hidden.kernel.shape == (4 * 4 * 8, 8)  # 8x8 was brought to 4x4
    assert discriminator.features(x).shape == (4, 8)
    discriminator.trunk.alpha.assign(0.0)
    assert np.abs(np.asarray(discriminator(x)) - scores).max() > 1e-4


def test_the_trunk_is_its_blocks_one_by_one_with_a_mask_behind_each():
    trunk = make_discriminator([4, 8, 6], channels=3).trunk
    trunk.alpha.assign(0.3)
    image = numbers(2, 32, 32, 3)
    assert trunk.mask_shapes(2) == [(2, 1, 1, 8), (2, 1, 1, 6), (2, 1, 1, 6)]
    masks = [np.abs(numbers(*shape, seed=seed)) for seed, shape in enumerate(trunk.mask_shapes(2))]
    x = leaky_relu(convolve(image, float64(trunk.entries[0].kernel) / np.sqrt(3)))
    masked = x = np.float32(x)
    for block, mask in zip(trunk.blocks[::-1], masks, strict=True):
        x, masked = block(x, alpha=0.3), np.asarray(block(masked, alpha=0.3)) * mask
    assert relative_error(trunk(image), x) < 1e-4
    assert relative_error(trunk(image, masks), masked) < 1e-4
    ones = [np.ones(shape, np.float32) for shape in trunk.mask_shapes(2)]
    np.testing.assert_array_equal(trunk(image, ones), trunk(image))


def test_final_resolution_below_the_dense_one():
    discriminator = make_discriminator([4, 8, 8], final_resolution=2)
    assert discriminator(numbers(4, 16, 16, 1)).shape == (4, 1)
    assert discriminator.head.hidden.kernel.shape == (2 * 2 * 8, 8)


@pytest.mark.parametrize("final, sides, dense", [
    ((3, 4), (12, 16), 3 * 4), ((7, 7), (28, 28), 3 * 3), ((15, 16), (60, 64), 3 * 4)])
def test_discriminators_of_other_shapes(final, sides, dense):
    discriminator = make_discriminator(final_resolution=final)
    assert discriminator.resolution == sides
    assert discriminator(numbers(4, *sides, 1)).shape == (4, 1)
    assert discriminator.head.hidden.kernel.shape == (dense * 8, 8)


def test_the_head_projects_its_features_on_the_class():
    """Miyato and Koyama 2018, equation 3; divided by the root of their number (ADA)."""
    head = DiscriminatorHead(6, label_dim=3)
    x, label = numbers(4, 4, 4, 5), np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    head.build(x.shape)
    head.embed.bias.assign(numbers(6, seed=1))
    head.score.bias.assign([0.7])
    features = float64(head.features(x))
    score = features @ float64(head.score.kernel) / np.sqrt(6) + 0.7
    embedded = label @ float64(head.embed.kernel) / np.sqrt(3) + float64(head.embed.bias)
    along = (features * embedded).sum(1, keepdims=True) / np.sqrt(6)
    assert np.abs(along).min() > 1e-3
    assert relative_error(head(x, label), score + along) < 1e-5


def test_spectral_layers_are_all_convolutions_and_dense_layers():
    assert make_discriminator().spectral_layers() == []
    discriminator = make_discriminator(spectral_norm=True, level=2)
    kernels = [weight.path for weight in discriminator.trainable_variables
               if weight.path.endswith("kernel")]
    found = discriminator.spectral_layers()
    assert all(isinstance(layer, SpectralNormalization) for layer in found)
    assert sorted(layer.layer.kernel.path for layer in found) == sorted(kernels)
    assert len(kernels) == 3 + 2 * 3 + 3  # one from each image, three a block, three in the head
    before = np.asarray(discriminator(numbers(4, 16, 16, 1)))
    for layer in found:  # u is what the scores depend on
        layer.u.assign(layer.next_u())
    assert np.abs(np.asarray(discriminator(numbers(4, 16, 16, 1))) - before).max() > 1e-4


@pytest.mark.parametrize("more", [
    dict(convolutions=1), dict(convolutions=2), dict(spectral_norm=True),
    dict(attention=8, level=2, label_dim=2)], ids=lambda more: " ".join(more))
def test_second_order_gradients_reach_every_discriminator_weight(more):
    discriminator = make_discriminator(**more)
    if "level" in more:
        discriminator.trunk.attend.strength.assign(0.5)
        discriminator.trunk.fade.assign(0.5)
    label = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]] if "label_dim" in more else None
    x = tf.constant(numbers(4, 16, 16, 1))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            scores = tf.reduce_sum(discriminator(x, label))
        penalty = tf.reduce_sum(tf.square(inner.gradient(scores, x)))
    weights = discriminator.trainable_variables
    gradients = outer.gradient(penalty, [weight.value for weight in weights],
                               unconnected_gradients="zero")
    still = [weight.path.split("/")[-2] for weight, gradient in zip(weights, gradients, strict=True)
             if weight.path.endswith("kernel") and not np.abs(gradient).max() > 0]
    assert still == (["from_image_0"] if "level" in more else [])  # for level 0 and 1 only
    assert all(np.isfinite(gradient).all() for gradient in gradients)


# -- files, precision, errors


@pytest.mark.parametrize("make, inputs", [
    (make_generator, numbers(2, 5)),
    (lambda: make_generator(convolutions=1), numbers(2, 5)),
    (lambda: make_discriminator(final_resolution=8), numbers(4, 32, 32, 1)),
    (lambda: make_discriminator(convolutions=1, spectral_norm=True), numbers(4, 16, 16, 1)),
    (lambda: make_discriminator(final_resolution=[3, 4], attention=8), numbers(4, 12, 16, 1)),
])
def test_models_save_and_load_bit_for_bit(tmp_path, make, inputs):
    model = shake(make())
    expected = np.asarray(model(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), expected)
    assert loaded.get_config() == model.get_config()
    for old, new in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_mixed_precision_keeps_images_and_scores_in_float32():
    generator = make_generator(filters=[8, 4], dtype="mixed_bfloat16")
    discriminator = make_discriminator([4], spectral_norm=True, label_dim=2,
                                       dtype="mixed_bfloat16")
    images = generator(numbers(4, 5))
    scores = discriminator(images, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]])
    assert images.dtype == scores.dtype == "float32"
    assert np.isfinite(scores).all()
    assert all(weight.dtype == "float32" for weight in generator.weights)
    assert discriminator.trunk.compute_dtype == "bfloat16"


@pytest.mark.parametrize("make, words", [
    (lambda: MappingNetwork(4, 4, num_layers=0), "num_layers=0"),
    (lambda: SynthesisNetwork([]), r"filters=\[\]"),
    (lambda: SynthesisNetwork([8, 4], convolutions=3), "convolutions=3"),
    (lambda: SynthesisNetwork([8, 4], attention=16), "attention=16"),
    (lambda: ResidualTrunk([]), r"filters=\[\]"),
    (lambda: ResidualTrunk([4], convolutions=0), "convolutions=0"),
    (lambda: ResidualTrunk([4], attention=16), "attention=16"),
    (lambda: Generator(MappingNetwork(4, 4, label_dim=2), SynthesisNetwork([4]), ["AD"]),
     r"classes=\['AD'\]"),
])
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=f"Received: {words}"):
        make()


@pytest.mark.parametrize("label_dim, label", [(0, np.eye(2, dtype=np.float32)), (2, None)])
def test_labels_are_given_to_networks_with_classes_only(label_dim, label):
    x = numbers(2, 4, 4, 3)
    for call in (lambda: LatentInput(5, label_dim)(numbers(2, 5), label),
                 lambda: MappingNetwork(5, 7, 1, label_dim)(numbers(2, 5), label),
                 lambda: DiscriminatorHead(6, label_dim=label_dim)(x, label=label)):
        with pytest.raises(ValueError, match=f"Argument `label` must be .*there are {label_dim}"):
            call()
