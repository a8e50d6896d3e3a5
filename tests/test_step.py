import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf import step as step_module
from stylegan2_tf.step import TrainStep, lazy_ratio
from stylegan2_tf.trainer import make_networks

BATCH = 4
EVERYTHING = dict(loss="relativistic", pl_weight=2.0, style_mixing=0.9)


@pytest.fixture(autouse=True)
def eagerly(request):
    """Compiling costs seconds: only tests marked `compiled` need it."""
    tf.config.run_functions_eagerly("compiled" not in request.keywords)
    yield
    tf.config.run_functions_eagerly(False)


def make_step(config):
    return TrainStep(*make_networks(config), config)


def reals(seed=0, channels=1):
    return np.random.default_rng(seed).integers(0, 256, (BATCH, 16, 16, channels), np.uint8)


def snapshot(step):
    return {name: [value.numpy() for value in values] for name, values in step.state.items()}


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("loss, extra", [
    ("cross-entropy", {"r1"}), ("relativistic", {"r1", "r2"}), ("wgan-gp", {"gradient_penalty"})])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_moves_every_network(tiny_config, loss, extra, channels):
    step = make_step(tiny_config(loss=loss, channels=channels))
    before = snapshot(step)
    metrics = step(reals(channels=channels), 0, 0.25)
    after = snapshot(step)
    for name in ("generator", "generator_ema", "discriminator", "g_optimizer", "d_optimizer"):
        assert not same(before[name], after[name]), name
    assert extra == set(metrics) & {"r1", "r2", "gradient_penalty", "path_length", "pl_penalty"}
    assert all(math.isfinite(float(value)) for value in metrics.values())
    assert float(step.discriminator.alpha) == 0.25
    assert int(step.skipped) == 0


def test_every_trained_weight_gets_a_gradient(tiny_config):
    step = make_step(tiny_config())
    before = snapshot(step)
    step(reals(), 0, 0.5)
    for network, name in ((step.generator, "generator"), (step.discriminator, "discriminator")):
        for variable, old in zip(network.variables, before[name], strict=True):
            if variable.trainable:
                assert not np.array_equal(variable, old), variable.path


@pytest.mark.compiled
@pytest.mark.parametrize("changes, traces", [
    (dict(EVERYTHING, pl_interval=2), 2), (dict(loss="wgan-gp"), 1)])
def test_no_retracing_after_the_first_two_steps(tiny_config, changes, traces):
    step = make_step(tiny_config(**changes, r1_interval=2))
    for index in range(6):
        step(reals(index), index * BATCH, 0.1 * index)
    assert step.traces == traces


def test_lazy_r1_runs_at_its_interval(tiny_config):
    step = make_step(tiny_config(r1_interval=3))
    has_r1 = ["r1" in step(reals(index), index * BATCH, 0.0) for index in range(7)]
    assert has_r1 == [True, False, False, True, False, False, True]
    assert "r1" not in make_step(tiny_config(r1_gamma=0.0))(reals(), 0, 0.0)


def test_each_lazy_update_has_its_own_interval(tiny_config):
    step = make_step(tiny_config(r1_interval=3, pl_weight=2.0, pl_interval=2))
    assert [step.variant(index * BATCH) for index in range(7)] == [
        (True, True), (False, False), (False, True), (True, False), (False, True), (False, False),
        (True, True)]
    assert make_step(tiny_config(loss="wgan-gp")).variant(0) == (False, False)
    assert step.traces == 0


@pytest.mark.parametrize("which, interval", [("d", 16), ("g", 4)])
def test_adam_is_corrected_for_the_lazy_penalty(tiny_config, which, interval):
    config = tiny_config(beta=0.5, beta2=0.99, **(
        dict(pl_weight=2.0, pl_interval=4, r1_gamma=0.0) if which == "g" else
        dict(r1_interval=16)))
    step = make_step(config)
    corrected, other = ((step.d_optimizer, step.g_optimizer) if which == "d" else
                        (step.g_optimizer, step.d_optimizer))
    ratio = lazy_ratio(interval)
    assert ratio == pytest.approx(interval / (interval + 1))
    assert float(corrected.learning_rate) == pytest.approx(config.adam_rate * ratio)
    assert corrected.beta_1 == pytest.approx(0.5**ratio)
    assert corrected.beta_2 == pytest.approx(0.99**ratio)
    assert float(other.learning_rate) == pytest.approx(config.adam_rate)
    corrected.learning_rate.assign(1.0)
    step.set_rates()
    assert float(corrected.learning_rate) == pytest.approx(config.adam_rate * ratio)


def test_a_step_is_a_function_of_seed_and_counter(tiny_config):
    def run(seed, start):
        step = make_step(tiny_config(seed=seed, **EVERYTHING))
        step(reals(), start, 0.0)
        return snapshot(step)["generator"]

    assert same(run(1, 0), run(1, 0))
    assert not same(run(1, 0), run(1, BATCH))
    assert not same(run(1, 0), run(2, 0))


def test_the_state_is_all_that_a_step_needs(tiny_config):
    first, second = (make_step(tiny_config(**EVERYTHING, pl_interval=1)) for _ in range(2))
    first(reals(), 0, 0.0)
    for name, values in first.state.items():
        for value, copy in zip(values, second.state[name], strict=True):
            copy.assign(value)
    for step in (first, second):
        step(reals(1), BATCH, 0.0)
    for name, values in snapshot(first).items():
        assert same(values, snapshot(second)[name]), name


def test_average_follows_the_half_life(tiny_config):
    config = tiny_config(ema_kimg=0.008, r1_gamma=0.0)  # 8 images
    step = make_step(config)
    step(reals(), 0, 0.0)  # the ramp starts at 0 images: the average is the generator
    assert same(snapshot(step)["generator"], snapshot(step)["generator_ema"])
    old = snapshot(step)["generator_ema"]
    nimg = 1000 * BATCH  # far behind the ramp
    step(reals(1), nimg, 0.0)
    decay = 0.5 ** (BATCH / 8)
    new = snapshot(step)
    for before, current, average in zip(old, new["generator"], new["generator_ema"], strict=True):
        np.testing.assert_allclose(average, decay * before + (1 - decay) * current,
                                   rtol=1e-4, atol=1e-5)


def test_w_avg_moves_towards_the_mean_of_w(tiny_config):
    step = make_step(tiny_config())
    step(reals(), 0, 0.0)
    w_avg = np.asarray(step.generator.w_avg)
    assert 0 < np.abs(w_avg).max() < 0.05  # 0.005 of a w of size one


@pytest.mark.parametrize("which", ["generator", "discriminator"])
def test_updates_that_are_not_finite_are_left_out(tiny_config, which):
    step = make_step(tiny_config(r1_gamma=0.0))
    step(reals(), 0, 0.0)
    good = snapshot(step)
    network = getattr(step, which)
    bias = network.trainable_variables[-1]
    bias.assign(np.full(bias.shape, np.nan))
    for count in (1, 2):
        step(reals(count), BATCH * count, 0.0)
        assert int(step.skipped) == int(step.skipped_in_a_row) == count
    bias.assign(good[which][[v.path for v in network.variables].index(bias.path)])
    after = snapshot(step)
    # A broken network ruins both losses: nothing at all may have moved.
    for name in ("generator", "generator_ema", "discriminator", "g_optimizer", "d_optimizer"):
        assert same(good[name], after[name]), name
    step(reals(5), BATCH * 5, 0.0)
    assert int(step.skipped) == 2 and int(step.skipped_in_a_row) == 0


@pytest.mark.compiled
def test_a_poisoned_batch_spoils_nothing(tiny_config, monkeypatch):
    monkeypatch.setattr(step_module, "to_float", lambda images: tf.cast(images, tf.float32))
    step = make_step(tiny_config(r1_interval=2, pl_weight=2.0, pl_interval=2, style_mixing=0.9))
    poisoned = np.full((BATCH, 16, 16, 1), np.nan, np.float32)
    for index in range(4):
        images = poisoned if index in (1, 2) else reals(index).astype(np.float32) / 255
        step(images, index * BATCH, 0.2)
    assert int(step.skipped) == 2
    for values in snapshot(step).values():
        assert all(np.isfinite(value).all() for value in values)


def test_a_broken_generator_does_not_spoil_the_mean_path_length(tiny_config):
    step = make_step(tiny_config(pl_weight=2.0, pl_interval=1))
    step(reals(), 0, 0.0)
    before = float(step.pl_mean)
    bias = step.generator.synthesis.convs[-1].bias
    bias.assign(np.full(bias.shape, np.nan))
    step(reals(1), BATCH, 0.0)
    assert float(step.pl_mean) == before > 0
    assert int(step.skipped) == 1


# -- the terms of the losses


def test_relativistic_compares_reals_and_fakes_row_by_row(tiny_config, monkeypatch):
    step = make_step(tiny_config(loss="relativistic"))
    scores = []

    def score(images, nimg, stream):
        scores.append(step.discriminator(images))
        return scores[-1]

    monkeypatch.setattr(step, "_score", score)
    step.discriminator.alpha.assign(0.5)
    real = step_module.to_float(tf.constant(reals()))
    nimg = tf.constant(0, tf.int64)
    found, _ = step._train_discriminator(real, nimg)
    real_scores, fake_scores = (value.numpy() for value in scores)
    np.testing.assert_allclose(
        found["d_loss"], np.log1p(np.exp(fake_scores - real_scores)).mean(), rtol=1e-5)
    scores.clear()
    found, _ = step._train_generator(real, nimg)
    fake_scores, real_scores = (value.numpy() for value in scores)
    np.testing.assert_allclose(
        found["g_loss"], np.log1p(np.exp(real_scores - fake_scores)).mean(), rtol=1e-5)
    assert not np.allclose(fake_scores, real_scores)


def test_wgan_penalty_against_a_linear_critic(tiny_config):
    """With D(x) = sum(c x) the gradient is c everywhere: the penalty is (|c| - 1)^2."""
    step = make_step(tiny_config(loss="wgan-gp", gradient_penalty_weight=10.0))
    step.discriminator = lambda images: tf.reduce_sum(0.25 * images, axis=(1, 2, 3))[:, None]
    real, fake = (tf.random.stateless_normal((BATCH, 16, 16, 1), (seed, 0)) for seed in (1, 2))
    penalty = step._gradient_penalty(real, fake, tf.constant(0, tf.int64))
    assert float(penalty) == pytest.approx(10 * (0.25 * 16 - 1) ** 2, rel=1e-4)


def test_r1_against_a_quadratic_critic(tiny_config):
    """With D(x) = sum(x^2) / 2 the gradient is x: R1 is gamma / 2 mean |x|^2."""
    step = make_step(tiny_config(r1_gamma=3.0))
    step.discriminator = lambda images: tf.reduce_sum(images**2, axis=(1, 2, 3)) / 2
    real = tf.random.stateless_normal((BATCH, 16, 16, 1), (1, 0))
    gradients = step._image_gradients(real, tf.constant(0, tf.int64), step_module.SEEN_R1)
    found = step_module.losses.r1_penalty(gradients, step.config.r1_weight)
    expected = 1.5 * np.mean(np.sum(real.numpy().astype(np.float64) ** 2, axis=(1, 2, 3)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


class QuadraticCritic:
    """D(x) = a sum(x^2) / 2, whose gradient is a x."""

    def __init__(self):
        self.a = keras.Variable(2.0, dtype="float32")
        self.trainable_variables = [self.a]

    def __call__(self, images):
        return self.a * tf.reduce_sum(images**2, axis=(1, 2, 3)) / 2


@pytest.mark.parametrize("r1, r2", [(3.0, 0.0), (0.0, 5.0), (3.0, 5.0)])
def test_r1_and_r2_and_their_gradient_against_a_quadratic_critic(tiny_config, r1, r2):
    """R = gamma / 2 a^2 mean |x|^2 and dR/da = gamma a mean |x|^2, times the interval."""
    step = make_step(tiny_config(r1_gamma=r1, r2_gamma=r2, r1_interval=7))
    step.discriminator, step.d_optimizer = QuadraticCritic(), keras.optimizers.SGD(1e-5)
    real, fake = (tf.random.stateless_normal((BATCH, 16, 16, 1), (seed, 0)) for seed in (1, 2))
    powers = [np.mean(np.sum(x.numpy().astype(np.float64) ** 2, axis=(1, 2, 3)))
              for x in (real, fake)]
    found = step._regularize_discriminator(real, fake, tf.constant(0, tf.int64))
    expected = {name: gamma / 2 * 4 * power for name, gamma, power in
                zip(("r1", "r2"), (r1, r2), powers, strict=True) if gamma}
    assert {name: float(found[name]) for name in expected} == pytest.approx(expected, rel=1e-4)
    assert len(found) == len(expected) + 1
    moved = 2.0 - float(step.discriminator.a)
    assert moved == pytest.approx(1e-5 * 7 * 2 * (r1 * powers[0] + r2 * powers[1]), rel=1e-3)


@pytest.fixture
def lengths(tiny_config):
    """A function `lengths(ws)` of path lengths, with a step whose noise is audible."""
    step = make_step(tiny_config(resolution=8, latent=3))
    for conv in step.generator.synthesis.convs:
        conv.noise.strength.assign(30.0)
    noise = step._noise(tf.constant(0, tf.int64), 2, step_module.PL_NOISE)

    def measure(ws):
        return step._path_lengths(ws, noise, (1, 2))

    measure.synthesis = lambda ws: step.generator.synthesis(ws, noise=noise)
    measure.weights = [variable.value for variable in
                       step.generator.synthesis.trainable_variables]
    return measure


def test_path_lengths_against_the_whole_jacobian(lengths):
    ws = tf.random.stateless_normal((2, 4, 3), (3, 4))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(ws)
        images = lengths.synthesis(ws)
    jacobian = tape.batch_jacobian(images, ws, experimental_use_pfor=False).numpy()
    y = tf.random.stateless_normal((2, 8, 8, 1), (1, 2)).numpy().astype(np.float64) / 8
    products = np.einsum("nhwcld,nhwc->nld", jacobian, y)
    expected = np.sqrt((products**2).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(lengths(ws), expected, rtol=1e-4)


def test_path_length_has_the_right_gradient_for_the_synthesis_weights(lengths):
    """Along its own direction the gradient is the slope that finite differences see."""
    ws = tf.random.stateless_normal((2, 4, 3), (3, 4))

    def penalty():
        return step_module.losses.path_length_penalty(lengths(ws), 0.5, 2.0)

    with tf.GradientTape() as tape:
        value = penalty()
    gradients = tape.gradient(value, lengths.weights, unconnected_gradients="zero")
    unmoved = [weight.name for weight, gradient in zip(lengths.weights, gradients, strict=True)
               if not np.any(gradient)]
    assert len(unmoved) == 2  # the images' biases: they add a constant to every image
    norm, epsilon = tf.linalg.global_norm(gradients), 1e-3
    values = []
    for sign in (1, -2):  # to +epsilon, from there to -epsilon
        for weight, gradient in zip(lengths.weights, gradients, strict=True):
            weight.assign_add(sign * epsilon * gradient / norm)
        values.append(float(penalty()))
    assert (values[0] - values[1]) / (2 * epsilon) == pytest.approx(float(norm), rel=0.02)


@pytest.mark.parametrize("batch", [4, 5])
def test_path_length_moves_its_mean_on_half_a_batch(tiny_config, monkeypatch, batch):
    step = make_step(tiny_config(batch=batch, pl_weight=3.0, pl_interval=2, r1_gamma=0.0))
    shapes, true_lengths = [], step._path_lengths

    def measure(ws, noise, seed):
        shapes.append(ws.shape)
        lengths.append(true_lengths(ws, noise, seed))
        return lengths[-1]

    lengths = []
    monkeypatch.setattr(step, "_path_lengths", measure)
    images = np.random.default_rng(0).integers(0, 256, (batch, 16, 16, 1), np.uint8)
    found = [step(images, index * batch, 0.0) for index in range(3)]
    assert shapes == [(2, 6, 8)] * 2
    mean = 0.0
    for metrics, values in zip(found[::2], (value.numpy() for value in lengths), strict=True):
        mean += 0.01 * (values.mean() - mean)
        assert float(metrics["path_length"]) == pytest.approx(values.mean(), rel=1e-5)
        assert float(metrics["pl_penalty"]) == pytest.approx(
            3 * np.mean((values - mean) ** 2), rel=1e-4)
    assert float(step.pl_mean) == pytest.approx(mean, rel=1e-5)
    assert "path_length" not in found[1]


def test_the_path_length_update_is_weighted_by_the_steps_in_between(tiny_config):
    moves = []
    for interval in (1, 5):
        step = make_step(tiny_config(pl_weight=2.0, pl_interval=interval))
        step.g_optimizer = keras.optimizers.SGD(1.0)
        before = step.generator.synthesis.constant.numpy()
        step._regularize_generator(tf.constant(0, tf.int64), 2)
        moves.append(step.generator.synthesis.constant.numpy() - before)
    np.testing.assert_allclose(moves[1], 5 * moves[0], rtol=1e-3, atol=1e-6)
    assert np.abs(moves[0]).max() > 1e-3


# -- style mixing


def latents(step, stream=step_module.G_LATENT):
    """ws `[40, 4, num_ws, D]` and w of 40 batches."""
    pairs = [step._latents(tf.constant(BATCH * index, tf.int64), BATCH, stream)
             for index in range(40)]
    return tuple(np.stack(arrays) for arrays in zip(*pairs, strict=True))


def test_mixing_cuts_each_batch_once_between_its_layers(tiny_config):
    step = make_step(tiny_config(style_mixing=1.0))
    ws, w = latents(step)
    of_first = (ws == w[:, :, None]).all(axis=-1)  # [40, 4, num_ws]
    cuts = of_first.sum(axis=-1)
    assert (cuts == cuts[:, :1]).all()  # the same for the whole batch
    assert set(cuts[:, 0]) == {1, 2, 3, 4, 5}  # num_ws is 6: both latents are always used
    np.testing.assert_array_equal(of_first, np.arange(6) < cuts[..., None])
    from_rows = np.abs(ws[:, :, None, -1] - w[:, None]).max(axis=-1)  # [40, 4, 4]
    assert from_rows.min() > 0  # a z of its own, not that of another row


def test_mixing_happens_with_its_probability(tiny_config):
    ws, w = latents(make_step(tiny_config(style_mixing=0.5)))
    mixed = (ws[:, 0, -1] != w[:, 0]).any(axis=-1)
    assert 10 <= mixed.sum() <= 30


def test_without_mixing_every_layer_has_the_same_w(tiny_config):
    plain, w = latents(make_step(tiny_config()))
    np.testing.assert_array_equal(plain, np.broadcast_to(w[:, :, None], plain.shape))
    _, unmixed = latents(make_step(tiny_config(style_mixing=1.0)))
    np.testing.assert_array_equal(unmixed, w)  # w_avg follows the same w as before


def test_each_stream_mixes_for_itself(tiny_config):
    step = make_step(tiny_config(style_mixing=1.0))
    cuts = [(ws == w[:, :, None]).all(axis=(1, 3)).sum(axis=1) for ws, w in (
        latents(step, stream) for stream in (step_module.D_LATENT, step_module.G_LATENT))]
    assert not np.array_equal(*cuts)


@pytest.mark.compiled
def test_users_own_loop(tiny_config):
    """The step is usable without the trainer, with any configuration field changed."""
    config = dataclasses.replace(tiny_config(), max_filters=4, mapping_layers=1)
    step = make_step(config)
    assert float(step(tf.constant(reals()), 0, 0.0)["g_loss"]) > 0
