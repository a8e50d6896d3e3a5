import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf import step as step_module
from stylegan2_tf.step import TrainStep, lazy_ratio
from stylegan2_tf.trainer import make_networks

BATCH = 4


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


@pytest.mark.parametrize("loss, extra", [("cross-entropy", "r1"), ("wgan-gp", "gradient_penalty")])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_moves_every_network(tiny_config, loss, extra, channels):
    step = make_step(tiny_config(loss=loss, channels=channels))
    before = snapshot(step)
    metrics = step(reals(channels=channels), 0, 0.25)
    after = snapshot(step)
    for name in ("generator", "generator_ema", "discriminator", "g_optimizer", "d_optimizer"):
        assert not same(before[name], after[name]), name
    assert extra in metrics
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
@pytest.mark.parametrize("loss, traces", [("cross-entropy", 2), ("wgan-gp", 1)])
def test_no_retracing_after_the_first_two_steps(tiny_config, loss, traces):
    step = make_step(tiny_config(loss=loss, r1_interval=2))
    for index in range(6):
        step(reals(index), index * BATCH, 0.1 * index)
    assert step.traces == traces


def test_lazy_r1_runs_at_its_interval(tiny_config):
    step = make_step(tiny_config(r1_interval=3))
    has_r1 = ["r1" in step(reals(index), index * BATCH, 0.0) for index in range(7)]
    assert has_r1 == [True, False, False, True, False, False, True]
    assert "r1" not in make_step(tiny_config(r1_gamma=0.0))(reals(), 0, 0.0)


def test_adam_is_corrected_for_the_lazy_penalty(tiny_config):
    config = tiny_config(r1_interval=16, beta=0.5, beta2=0.99)
    step = make_step(config)
    ratio = lazy_ratio(16)
    assert ratio == pytest.approx(16 / 17)
    assert float(step.d_optimizer.learning_rate) == pytest.approx(config.adam_rate * ratio)
    assert step.d_optimizer.beta_1 == pytest.approx(0.5**ratio)
    assert step.d_optimizer.beta_2 == pytest.approx(0.99**ratio)
    assert float(step.g_optimizer.learning_rate) == pytest.approx(config.adam_rate)
    step.d_optimizer.learning_rate.assign(1.0)
    step.set_rates()
    assert float(step.d_optimizer.learning_rate) == pytest.approx(config.adam_rate * ratio)


def test_a_step_is_a_function_of_seed_and_counter(tiny_config):
    def run(seed, start):
        step = make_step(tiny_config(seed=seed))
        step(reals(), start, 0.0)
        return snapshot(step)["generator"]

    assert same(run(1, 0), run(1, 0))
    assert not same(run(1, 0), run(1, BATCH))
    assert not same(run(1, 0), run(2, 0))


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
    step = make_step(tiny_config(r1_interval=2))
    poisoned = np.full((BATCH, 16, 16, 1), np.nan, np.float32)
    for index in range(4):
        images = poisoned if index in (1, 2) else reals(index).astype(np.float32) / 255
        step(images, index * BATCH, 0.2)
    assert int(step.skipped) == 2
    for values in snapshot(step).values():
        assert all(np.isfinite(value).all() for value in values)


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
    gradients = step._image_gradients(real)
    found = step_module.losses.r1_penalty(gradients, step.config.r1_weight)
    expected = 1.5 * np.mean(np.sum(real.numpy().astype(np.float64) ** 2, axis=(1, 2, 3)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.compiled
def test_users_own_loop(tiny_config):
    """The step is usable without the trainer, with any configuration field changed."""
    config = dataclasses.replace(tiny_config(), max_filters=4, mapping_layers=1)
    step = make_step(config)
    assert float(step(tf.constant(reals()), 0, 0.0)["g_loss"]) > 0
