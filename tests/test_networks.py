import keras
import numpy as np
import pytest
import tensorflow as tf
from oracle import filter_each_channel, insert_zeros, leaky_relu, relative_error

from stylegan2_tf.networks import (
    Discriminator,
    Generator,
    MappingNetwork,
    ResidualBlock,
    StyledConv2D,
    SynthesisNetwork,
    ToImage,
)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def small_generator(channels=1, convolutions=2):
    generator = Generator([8, 6, 4], base_resolution=4, channels=channels, z_dim=5, w_dim=7,
                          mapping_layers=2, convolutions=convolutions)
    generator.build()
    for conv in generator.synthesis.convs:
        conv.noise.strength.assign(0.3 / conv.noise.lr_multiplier)
    generator.w_avg.assign(numbers(7, seed=9))
    return generator


def test_mapping_matches_oracle():
    mapping = MappingNetwork(7, num_layers=2)
    z = 10 * numbers(4, 5)
    found = mapping(z)
    w = z / np.sqrt((z.astype(np.float64) ** 2).mean(1, keepdims=True) + 1e-8)
    for dense in mapping.dense:
        kernel = np.asarray(dense.kernel, np.float64)
        w = leaky_relu(w @ (kernel * 0.01 / np.sqrt(len(kernel))))
    assert relative_error(found, w) < 1e-5


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
    generator = small_generator(channels)
    images = generator(numbers(3, 5))
    assert images.shape == (3, 16, 16, channels) and images.dtype == "float32"
    assert generator.synthesis.num_ws == 6
    assert generator.synthesis.noise_shapes(2) == [
        (2, 4, 4, 1), (2, 8, 8, 1), (2, 8, 8, 1), (2, 16, 16, 1), (2, 16, 16, 1)]
    assert [len(generator.synthesis.convs), len(generator.synthesis.to_images)] == [5, 3]


def test_one_convolution_at_each_resolution():
    generator = small_generator(convolutions=1)
    assert generator(numbers(3, 5)).shape == (3, 16, 16, 1)
    assert generator.synthesis.num_ws == 4
    assert generator.synthesis.noise_shapes(2) == [(2, 4, 4, 1), (2, 8, 8, 1), (2, 16, 16, 1)]
    assert [conv.upsample for conv in generator.synthesis.convs] == [False, True, True]


@pytest.mark.parametrize("convolutions, levels", [(1, [0, 1, 2]), (2, [0, 1, 1, 2, 2])])
def test_the_image_follows_from_the_layers_one_by_one(convolutions, levels):
    synthesis = small_generator(convolutions=convolutions).synthesis
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
    wide, narrow = (small_generator(convolutions=count).count_params() for count in (2, 1))
    # kernel, style (w of 7 to the input), its bias, bias, noise strength, noise map
    assert wide - narrow == sum(9 * width**2 + 7 * width + 2 * width + 1 + side**2
                                for width, side in ((6, 8), (4, 16)))
    wide, narrow = (Discriminator([4, 8], convolutions=count) for count in (2, 1))
    for discriminator in (wide, narrow):
        discriminator.build()
    assert wide.count_params() - narrow.count_params() == sum(
        9 * width**2 + width for width in (4, 8))


def test_a_model_saved_before_the_argument_has_two_convolutions():
    for model in (small_generator(), Discriminator([4, 8])):
        config = model.get_config()
        del config["convolutions"]
        assert type(model).from_config(config).convolutions == 2


def test_the_image_is_the_sum_of_upsampled_skips():
    generator = small_generator()
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


@pytest.mark.parametrize("convolutions", [1, 2])
def test_each_layer_takes_its_own_w(convolutions):
    generator = small_generator(convolutions=convolutions)
    ws = np.array(generator.broadcast(generator.mapping(numbers(1, 5))))
    images = np.asarray(generator.synthesis(ws))
    for index in range(generator.synthesis.num_ws):
        changed = ws.copy()
        changed[:, index] += 1.0
        assert np.abs(np.asarray(generator.synthesis(changed)) - images).max() > 1e-4


def test_noise_modes():
    generator = small_generator()
    z = numbers(2, 5)
    np.testing.assert_array_equal(generator(z), generator(z))
    maps = [numbers(*shape, seed=7) for shape in generator.synthesis.noise_shapes(2)]
    constant, given, none = (np.asarray(generator(z, noise=noise))
                             for noise in (None, maps, 0.0))
    assert np.abs(constant - given).max() > 1e-3 and np.abs(constant - none).max() > 1e-3
    with pytest.raises(ValueError, match="must hold 5 maps"):
        generator(z, noise=maps[:2])


def test_truncation():
    generator = small_generator()
    z = numbers(2, 5)
    w = np.asarray(generator.mapping(z))
    w_avg = np.asarray(generator.w_avg)
    np.testing.assert_allclose(generator.truncate(w, 0.25), w_avg + 0.25 * (w - w_avg), rtol=1e-5)
    at_zero = np.asarray(generator(z, truncation_psi=0.0))
    np.testing.assert_allclose(at_zero[0], at_zero[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(generator(z, truncation_psi=1.0), generator(z))


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
    discriminator = Discriminator([4, 8], final_resolution=8, channels=3)
    discriminator.build()
    x = numbers(4, 32, 32, 3)
    scores = np.asarray(discriminator(x))
    assert scores.shape == (4, 1) and discriminator.resolution == 32
    assert discriminator.conv.kernel.shape == (3, 3, 9, 8)  # minibatch stddev is a channel
    assert discriminator.hidden.kernel.shape == (4 * 4 * 8, 8)  # 8x8 was brought to 4x4
    discriminator.alpha.assign(0.0)
    assert np.abs(np.asarray(discriminator(x)) - scores).max() > 1e-4


def test_final_resolution_below_the_dense_one():
    discriminator = Discriminator([4, 8, 8], final_resolution=2)
    assert discriminator(numbers(4, 16, 16, 1)).shape == (4, 1)
    assert discriminator.hidden.kernel.shape == (2 * 2 * 8, 8)


@pytest.mark.parametrize("convolutions", [1, 2])
def test_second_order_gradients_reach_every_discriminator_weight(convolutions):
    discriminator = Discriminator([4, 8], final_resolution=4, convolutions=convolutions)
    x = tf.constant(numbers(4, 16, 16, 1))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            scores = tf.reduce_sum(discriminator(x))
        penalty = tf.reduce_sum(tf.square(inner.gradient(scores, x)))
    weights = [weight.value for weight in discriminator.trainable_variables]
    gradients = outer.gradient(penalty, weights)
    for weight, gradient in zip(discriminator.trainable_variables, gradients, strict=True):
        if weight.path.endswith("kernel"):
            assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize("convolutions", [1, 2])
def test_second_order_gradients_reach_every_generator_kernel(convolutions):
    generator = small_generator(convolutions=convolutions)
    z = numbers(2, 5)
    direction = numbers(2, 16, 16, 1, seed=4)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:  # the path length penalty differentiates like this
            ws = generator.broadcast(generator.mapping(z))
            inner.watch(ws)
            value = tf.reduce_sum(generator.synthesis(ws) * direction)
        length = tf.reduce_sum(tf.square(inner.gradient(value, ws)))
    kernels = [weight for weight in generator.trainable_variables if "kernel" in weight.path]
    for weight, gradient in zip(
            kernels, outer.gradient(length, [kernel.value for kernel in kernels]), strict=True):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize("make, inputs", [
    (small_generator, numbers(2, 5)),
    (lambda: small_generator(convolutions=1), numbers(2, 5)),
    (lambda: Discriminator([4, 8], final_resolution=8), numbers(4, 32, 32, 1)),
    (lambda: Discriminator([4, 8], convolutions=1), numbers(4, 16, 16, 1)),
])
def test_models_save_and_load_bit_for_bit(tmp_path, make, inputs):
    model = make()
    expected = np.asarray(model(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), expected)
    assert loaded.get_config() == model.get_config()
    for old, new in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_mixed_precision_keeps_images_and_scores_in_float32():
    generator = Generator([8, 4], z_dim=5, w_dim=7, dtype="mixed_bfloat16")
    discriminator = Discriminator([4], final_resolution=4, dtype="mixed_bfloat16")
    images = generator(numbers(4, 5))
    scores = discriminator(images)
    assert images.dtype == scores.dtype == "float32"
    assert np.isfinite(scores).all()
    assert all(weight.dtype == "float32" for weight in generator.weights)


@pytest.mark.parametrize("make, words", [
    (lambda: MappingNetwork(4, num_layers=0), "num_layers=0"),
    (lambda: SynthesisNetwork([]), r"filters=\[\]"),
    (lambda: Discriminator([]), r"filters=\[\]"),
    (lambda: Generator([8, 4], convolutions=3), "convolutions=3"),
    (lambda: Discriminator([4], convolutions=0), "convolutions=0"),
])
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=f"Received: {words}"):
        make()


def test_to_image_has_no_activation():
    layer = ToImage(1)
    x, w = numbers(2, 4, 4, 3), numbers(2, 5, seed=1)
    np.testing.assert_allclose(layer(-x, w), -np.asarray(layer(x, w)), rtol=1e-4, atol=1e-6)
