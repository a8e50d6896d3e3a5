import functools

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf.augment import PIPES, augment, draws
from stylegan2_tf.errors import UsageError

SEED = (3, 1024)


def noise_images(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(0, 0.5, shape), tf.float32)


def bits(images):
    return np.asarray(images).view(np.uint32)


def gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("pipe", ["mri", "color"])
def test_at_p_zero_nothing_changes_by_a_single_bit(pipe, channels):
    images = noise_images(6, 24, 32, channels).numpy()
    images[:, ::5] = -0.0
    weights = noise_images(*images.shape, seed=1)
    see = functools.partial(augment, p=tf.constant(0.0), seed=SEED, pipe=pipe, mirror=True)
    np.testing.assert_array_equal(bits(see(tf.constant(images))), bits(images))
    found = gradient(lambda x: tf.reduce_sum(weights * see(x)), tf.constant(images))
    np.testing.assert_array_equal(found, weights)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("pipe", ["mri", "color"])
def test_at_p_one_every_image_changes(pipe, channels):
    images = noise_images(16, 24, 32, channels)
    seen = augment(images, 1.0, SEED, pipe)
    assert seen.shape == images.shape and seen.dtype == tf.float32
    assert (np.abs(seen - images).max(axis=(1, 2, 3)) > 0.01).all()
    assert np.isfinite(seen).all()


def test_pipe_none_returns_its_very_input():
    images = noise_images(2, 8, 8, 1)
    assert augment(images, 1.0, SEED, "none", mirror=True) is images


@pytest.mark.parametrize("p", [0.05, 0.3])
def test_untouched_images_are_as_frequent_as_p_says(p):
    images = tf.tile(noise_images(1, 10, 10, 1), (2000, 1, 1, 1))
    same = (augment(images, p, SEED).numpy() == images.numpy()).all(axis=(1, 2, 3)).mean()
    # Eight chances, of which the shift draws (0, 0) once in 9; the cut-out is not all outside.
    expected = (1 - p) ** 7 * (1 - p * 8 / 9)
    assert same == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 2000))


def test_the_seed_decides_everything():
    images = noise_images(4, 16, 16, 3)
    one, again = (augment(images, 0.7, SEED, "color", mirror=True) for _ in range(2))
    np.testing.assert_array_equal(bits(one), bits(again))
    for other in ((SEED[0] + 1, SEED[1]), (SEED[0], SEED[1] + 1)):
        assert not np.array_equal(augment(images, 0.7, other, "color", mirror=True), one)
    as_in_the_step = tf.constant(SEED, tf.int64)
    assert augment(images, 0.7, as_in_the_step).shape == images.shape


def test_no_two_transformations_share_random_numbers(monkeypatch):
    count, used, original = 3000, [], draws.sometimes

    def sometimes(*args):
        used.append(args[-1])
        return original(*args)

    monkeypatch.setattr(draws, "sometimes", sometimes)
    augment(noise_images(2, 8, 8, 3), 0.5, SEED, "color", mirror=True)
    assert sorted(used) == list(range(12))
    values = np.stack([original(draws.uniform((count,), 1.0), 0.0, count, 0.9, SEED, stream)
                       for stream in used])
    assert np.abs(np.corrcoef(values) - np.eye(12)).max() < 5 / np.sqrt(count)


def test_images_of_a_batch_are_treated_differently():
    images = tf.tile(noise_images(1, 16, 16, 1), (8, 1, 1, 1))
    seen = augment(images, 1.0, SEED).numpy()
    assert len({image.tobytes() for image in seen}) == 8


@pytest.mark.parametrize("pipe, channels", [("mri", 1), ("color", 3), ("color", 4)])
def test_derivatives_of_derivatives(pipe, channels):
    """What R1 needs: the derivative of the gradient, against differences of gradients."""
    x = noise_images(3, 8, 10, channels)
    direction = noise_images(*x.shape, seed=1)

    def slope(x):
        return gradient(lambda x: tf.reduce_sum(tf.tanh(augment(x, 0.8, SEED, pipe))), x)

    found = gradient(lambda x: tf.reduce_sum(slope(x) * direction), x).numpy()
    step = 1e-2
    expected = (slope(x + step * direction) - slope(x - step * direction)).numpy() / (2 * step)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_r1_reaches_the_weights_of_the_discriminator():
    """With D(x) = w · sum(T(x)²) / 2 the gradient is w T'T(x), and R1's by w is 2 w |T'T(x)|²."""
    x, w = noise_images(4, 12, 12, 1), tf.Variable(1.5)
    with tf.GradientTape() as tape:
        slope = gradient(lambda x: w * tf.reduce_sum(augment(x, 0.8, SEED) ** 2) / 2, x)
        penalty = tf.reduce_sum(slope**2)
    assert float(tape.gradient(penalty, w)) == pytest.approx(2 * float(penalty) / 1.5, rel=1e-4)
    assert float(penalty) > 0


@pytest.mark.parametrize("jit, pipe, channels", [(False, "color", 3), (True, "mri", 1)])
def test_compiled_once_for_every_p(jit, pipe, channels):
    p = tf.Variable(0.0, trainable=False)
    images = noise_images(3, 8, 12, channels)

    @functools.partial(tf.function, autograph=False, jit_compile=jit)
    def compiled(images, seed):
        with tf.GradientTape() as tape:
            tape.watch(images)
            seen = augment(images, p, seed, pipe, mirror=True)
            total = tf.reduce_sum(seen**2) / 2
        return seen, tape.gradient(total, images)

    for value in (0.0, 0.5, 1.0):
        p.assign(value)
        for nimg in (0, 32):
            seen, slope = compiled(images, tf.constant((0, nimg), tf.int64))
            assert np.isfinite(seen).all() and np.isfinite(slope).all()
            for result in (seen, slope):
                assert np.array_equal(result, images) == (value == 0.0)
    assert compiled.experimental_get_tracing_count() == 1


def left_marked(count):
    images = np.full((count, 16, 16, 1), -1, np.float32)
    images[:, :, :8] = 1
    return tf.constant(images)


def share_on_the_right(p, mirror):
    seen = augment(left_marked(1000), p, SEED, mirror=mirror).numpy().sum(axis=(1, 3))
    return (seen[:, 8:].sum(axis=1) > seen[:, :8].sum(axis=1)).mean()


def test_left_stays_left():
    assert share_on_the_right(1.0, mirror=False) == 0.0


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_mirroring_exchanges_sides_in_half_of_the_cases(p):
    assert share_on_the_right(p, mirror=True) == pytest.approx(p / 2, abs=0.06)


def test_alpha_moves_and_is_cut_but_is_not_shaded():
    images = np.random.default_rng(0).normal(0, 0.5, (16, 12, 12, 4)).astype(np.float32)
    images[..., 3] = 1
    seen = augment(tf.constant(images), 1.0, SEED, "color").numpy()
    assert set(np.unique(seen[..., 3])) == {-1.0, 1.0}


@pytest.mark.parametrize("pipe", ["MRI", "colour", ""])
def test_an_unknown_pipe_is_refused(pipe):
    with pytest.raises(UsageError, match=f"pipe: expected one of {', '.join(PIPES)}, found"):
        augment(noise_images(1, 4, 4, 1), 0.5, SEED, pipe)


@pytest.mark.parametrize("images", [
    tf.zeros((2, 8, 8, 1), tf.uint8), tf.zeros((8, 8, 1))])
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(UsageError, match="images: expected float32 .* static shape"):
        augment(images, 0.5, SEED)


def test_a_batch_of_unknown_size_is_refused():
    function = tf.function(lambda images: augment(images, 0.5, SEED), autograph=False,
                           input_signature=[tf.TensorSpec((None, 8, 8, 1))])
    with pytest.raises(UsageError, match="static shape"):
        function(tf.zeros((2, 8, 8, 1)))
