import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf import step as step_module
from stylegan2_tf.building import make_networks
from stylegan2_tf.randomness import Stream
from stylegan2_tf.schedule import Schedule
from stylegan2_tf.step import TrainStep
from stylegan2_tf.updates import lazy_ratio

BATCH = 4
EVERYTHING = dict(loss="relativistic", pl_weight=2.0, style_mixing=0.9)


@pytest.fixture(autouse=True)
def eagerly(request):
    """Compiling costs seconds: only tests marked `compiled` need it."""
    tf.config.run_functions_eagerly("compiled" not in request.keywords)
    yield
    tf.config.run_functions_eagerly(False)


def make_step(config, classes=()):
    return TrainStep(*make_networks(config, classes), config)


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
    assert float(step.discriminator.trunk.alpha) == 0.25
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

    def score(images, label, nimg, stream):
        scores.append(step.discriminator(images))
        return scores[-1]

    monkeypatch.setattr(step, "_score", score)
    step.discriminator.trunk.alpha.assign(0.5)
    real = step_module.to_float(tf.constant(reals()))
    nimg = tf.constant(0, tf.int64)
    found, _ = step._train_discriminator(real, None, nimg)
    real_scores, fake_scores = (value.numpy() for value in scores)
    np.testing.assert_allclose(
        found["d_loss"], np.log1p(np.exp(fake_scores - real_scores)).mean(), rtol=1e-5)
    scores.clear()
    found, _ = step._train_generator(real, None, nimg)
    fake_scores, real_scores = (value.numpy() for value in scores)
    np.testing.assert_allclose(
        found["g_loss"], np.log1p(np.exp(real_scores - fake_scores)).mean(), rtol=1e-5)
    assert not np.allclose(fake_scores, real_scores)


def test_wgan_penalty_against_a_linear_critic(tiny_config):
    """With D(x) = sum(c x) the gradient is c everywhere: the penalty is (|c| - 1)^2."""
    step = make_step(tiny_config(loss="wgan-gp", gradient_penalty_weight=10.0))
    step.discriminator = lambda images, label, drop: tf.reduce_sum(
        0.25 * images, axis=(1, 2, 3))[:, None]
    real, fake = (tf.random.stateless_normal((BATCH, 16, 16, 1), (seed, 0)) for seed in (1, 2))
    penalty = step._gradient_penalty(real, fake, None, tf.constant(0, tf.int64))
    assert float(penalty) == pytest.approx(10 * (0.25 * 16 - 1) ** 2, rel=1e-4)


def test_r1_against_a_quadratic_critic(tiny_config):
    """With D(x) = sum(x^2) / 2 the gradient is x: R1 is gamma / 2 mean |x|^2."""
    step = make_step(tiny_config(r1_gamma=3.0))
    step.discriminator = lambda images, label, drop: tf.reduce_sum(
        images**2, axis=(1, 2, 3)) / 2
    real = tf.random.stateless_normal((BATCH, 16, 16, 1), (1, 0))
    gradients = step._image_gradients(real, None, tf.constant(0, tf.int64), Stream.SEEN_R1)
    found = step_module.losses.r1_penalty(gradients, step.config.r1_weight)
    expected = 1.5 * np.mean(np.sum(real.numpy().astype(np.float64) ** 2, axis=(1, 2, 3)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


class QuadraticCritic:
    """D(x) = a sum(x^2) / 2, whose gradient is a x."""

    def __init__(self):
        self.a = keras.Variable(2.0, dtype="float32")
        self.trainable_variables = [self.a]

    def __call__(self, images, label, drop):
        return self.a * tf.reduce_sum(images**2, axis=(1, 2, 3)) / 2


@pytest.mark.parametrize("r1, r2", [(3.0, 0.0), (0.0, 5.0), (3.0, 5.0)])
def test_r1_and_r2_and_their_gradient_against_a_quadratic_critic(tiny_config, r1, r2):
    """R = gamma / 2 a^2 mean |x|^2 and dR/da = gamma a mean |x|^2, times the interval."""
    step = make_step(tiny_config(r1_gamma=r1, r2_gamma=r2, r1_interval=7))
    step.discriminator = step._d._network = QuadraticCritic()
    step._d._update = keras.optimizers.SGD(1e-5).apply
    real, fake = (tf.random.stateless_normal((BATCH, 16, 16, 1), (seed, 0)) for seed in (1, 2))
    powers = [np.mean(np.sum(x.numpy().astype(np.float64) ** 2, axis=(1, 2, 3)))
              for x in (real, fake)]
    found = step._regularize_discriminator(real, fake, None, tf.constant(0, tf.int64))
    expected = {name: gamma / 2 * 4 * power for name, gamma, power in
                zip(("r1", "r2"), (r1, r2), powers, strict=True) if gamma}
    assert {name: float(found[name]) for name in expected} == pytest.approx(expected, rel=1e-4)
    assert len(found) == len(expected) + 1
    moved = 2.0 - float(step.discriminator.a)
    assert moved == pytest.approx(1e-5 * 7 * 2 * (r1 * powers[0] + r2 * powers[1]), rel=1e-3)


@pytest.fixture
def lengths(tiny_config):
    """A function `lengths(ws)` of path lengths, with a step whose noise is audible.

    With its seed no activation changes its sign where differences of the lengths are taken.
    """
    step = make_step(tiny_config(resolution=8, latent=3, seed=1, mapping_layers=2))
    for conv in step.generator.synthesis.convs:
        conv.noise.strength.assign(30.0)
    noise = step.random.noise(tf.constant(0, tf.int64), 2, Stream.PL_NOISE)

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
        step._g._update = keras.optimizers.SGD(1.0).apply
        before = step.generator.synthesis.constant.numpy()
        step._regularize_generator(None, tf.constant(0, tf.int64), 2)
        moves.append(step.generator.synthesis.constant.numpy() - before)
    np.testing.assert_allclose(moves[1], 5 * moves[0], rtol=1e-3, atol=1e-6)
    assert np.abs(moves[0]).max() > 1e-3


# -- classes

CLASSES = ("AD", "NC")
LABELS = np.array([0, 1, 1, 1], np.int32)


@pytest.fixture
def heard(monkeypatch):
    """A function that makes a conditional step and collects the labels its networks hear."""
    def make(config):
        step, labels = make_step(config, CLASSES), {}

        def listen(owner, name, position):
            call = getattr(owner, name)

            def hear(*arguments):
                labels.setdefault(name, []).append(arguments[position])
                return call(*arguments)

            monkeypatch.setattr(owner, name, hear)

        listen(step.generator, "mapping", 1)
        listen(step, "_score", 1)
        return step, labels

    return make


@pytest.mark.parametrize("changes, scored, mapped", [
    (dict(style_mixing=1.0, pl_weight=2.0, r2_gamma=1.0), 5, 6), (dict(loss="wgan-gp"), 4, 2),
    (dict(loss="relativistic"), 6, 2)])
def test_labels_reach_both_networks(tiny_config, heard, changes, scored, mapped):
    """In every forward pass, and each fake of a class beside the real of that class."""
    step, labels = heard(tiny_config(**changes))
    metrics = step(reals(), 0, 0.5, LABELS)
    assert all(math.isfinite(float(value)) for value in metrics.values())
    assert {name: len(found) for name, found in labels.items()} == {
        "_score": scored, "mapping": mapped}
    for label in labels["_score"] + labels["mapping"]:
        np.testing.assert_array_equal(label, np.eye(2)[LABELS][:len(label)])
    assert min(map(len, labels["_score"])) == BATCH


def test_labels_decide_what_is_learned(tiny_config):
    def run(classes, labels):
        step = make_step(tiny_config(arch="dcgan", convolutions=1, r1_gamma=0.0), classes)
        step(reals(), 0, 0.5, labels)
        return snapshot(step)

    told, otherwise = run(CLASSES, LABELS), run(CLASSES, 1 - LABELS)
    unasked, untold = run((), LABELS), run((), None)
    for name in ("generator", "discriminator"):
        assert not same(told[name], otherwise[name])
        assert same(unasked[name], untold[name])  # nobody listens


# -- spectral normalisation, dropout, rates


def test_u_moves_once_a_step_and_never_in_a_call(tiny_config):
    step = make_step(tiny_config(spectral_norm=True, r1_interval=1))
    layers = step.discriminator.spectral_layers()
    before = [np.asarray(layer.u, np.float64) for layer in layers]
    step.discriminator(np.zeros((4, 16, 16, 1), np.float32))
    step.seen(reals(), 0)
    for layer, u in zip(layers, before, strict=True):
        np.testing.assert_array_equal(layer.u, u)
    step(reals(), 0, 0.5)
    for layer, u in zip(layers, before, strict=True):
        kernel = np.asarray(layer.layer.runtime_kernel, np.float64)  # as the step left it
        kernel = kernel.reshape(-1, kernel.shape[-1])
        expected = kernel.T @ (kernel @ u)
        np.testing.assert_allclose(layer.u, expected / np.linalg.norm(expected), atol=1e-5)
    assert int(step.skipped) == 0


def test_dropout_changes_with_the_step_and_not_with_the_call(tiny_config):
    step = make_step(tiny_config(d_dropout=0.5, augment="none"))
    images = step_module.to_float(tf.constant(reals()))

    def score(nimg, stream=Stream.SEEN_REAL):
        return step._score(images, None, tf.constant(nimg, tf.int64), stream).numpy()

    np.testing.assert_array_equal(score(0), score(0))
    for other in (score(BATCH), score(0, Stream.SEEN_FAKE), step.discriminator(images)):
        assert np.abs(score(0) - np.asarray(other)).max() > 1e-3
    np.testing.assert_array_equal(step.discriminator(images), step.discriminator(images))
    metrics = step(reals(), 0, 0.5)
    assert "r1" in metrics and all(math.isfinite(float(value)) for value in metrics.values())


def test_each_network_moves_at_its_own_rate(tiny_config):
    """Adam's first step moves every weight by the rate; those of the mapping are stored larger."""
    config = tiny_config(lr=1e-4, d_lr=4e-4, mapping_lr=5e-6, r1_gamma=0.0, latent=64)
    step = make_step(config)
    mapping, synthesis = (part.kernel for part in (
        step.generator.mapping.dense[0], step.generator.synthesis.convs[1].conv))
    head = step.discriminator.head.hidden.kernel
    before = [np.array(weight) for weight in (mapping, synthesis, head)]
    step(reals(), 0, 0.5)
    moves = [np.median(np.abs(np.array(weight) - old)) / old.std()
             for weight, old in zip((mapping, synthesis, head), before, strict=True)]
    assert moves[1] == pytest.approx(1e-4 * 12.5, rel=0.1)
    assert moves[0] / moves[1] == pytest.approx(0.05, rel=0.1)
    assert moves[2] / moves[1] == pytest.approx(4, rel=0.1)


# -- progressive growing


def growing(tiny_config, **changes):
    """A step and the stages of 80 images each, from 4 to 16 pixels."""
    config = tiny_config(progressive=True, stage_kimg="0.08", **changes)
    return make_step(config), Schedule(config, 240).stages


@pytest.mark.parametrize("arch", ["stylegan2", "stylegan", "dcgan"])
def test_a_step_in_every_stage(tiny_config, arch):
    step, stages = growing(tiny_config, arch=arch, stage_batch="6,4", pl_weight=2.0)
    for stage in stages:
        step.enter(stage, anew=True)
        before = snapshot(step)
        images = np.concatenate([reals(), reals(1)])[:stage.batch]
        metrics = step(images, stage.start, 0.3)
        assert {"r1", "path_length"} <= set(metrics) and int(step.skipped) == 0
        assert all(math.isfinite(float(value)) for value in metrics.values())
        for part in (step.generator.synthesis, step.generator_ema.synthesis,
                     step.discriminator.trunk):
            assert (part.level, part.resolution) == (stage.level, stage.sides)
            assert float(part.fade) == stage.fade(stage.start)
        moved = {variable.path.split("/")[2] for variable, old in zip(
            step.generator.variables, before["generator"], strict=True)
            if variable.trainable and not np.array_equal(variable, old)}
        moved = {name for name in moved if name.startswith(("conv", "to_image"))}
        assert all(int(name[-1]) <= stage.level for name in moved)
        assert f"to_image_{max(stage.level - 1, 0)}" in moved


def test_a_new_stage_begins_without_a_history(tiny_config):
    step, stages = growing(tiny_config)
    step.enter(stages[0], anew=True)
    step(reals(), 0, 0.3)
    weights = snapshot(step)
    step.enter(stages[0])  # as after a restart
    assert same(snapshot(step)["g_optimizer"], weights["g_optimizer"])
    step.enter(stages[1], anew=True)
    after = snapshot(step)
    for name in ("generator", "generator_ema", "discriminator", "controller"):
        assert same(after[name], weights[name])
    for name in ("g_optimizer", "d_optimizer"):
        optimizer = getattr(step, name)
        assert not any(np.any(variable) for variable in optimizer.variables
                       if variable is not optimizer.learning_rate)
        assert float(optimizer.learning_rate) > 0
    step(reals(), stages[1].start, 0.3)
    assert not same(snapshot(step)["generator"], weights["generator"])


def test_reals_are_pooled_and_fade_in(tiny_config):
    step, stages = growing(tiny_config)
    images = reals(channels=1)
    small = images.astype(np.float64).reshape(BATCH, 4, 4, 4, 4, 1).mean((2, 4))
    middle = images.astype(np.float64).reshape(BATCH, 8, 2, 8, 2, 1).mean((2, 4))
    coarse = small.repeat(2, axis=1).repeat(2, axis=2)
    for stage, nimg, expected in (
            (stages[0], 0, small), (stages[1], 80, coarse), (stages[1], 90, None),
            (stages[1], 140, middle), (stages[2], 239, images)):
        step.enter(stage)
        if expected is None:  # 10 of the 40 images that it fades in over
            expected = 0.75 * coarse + 0.25 * middle
        np.testing.assert_allclose(step.at_stage(images, nimg), expected / 127.5 - 1, atol=1e-5)


def test_penalties_follow_the_pixels_of_the_stage(tiny_config):
    step, stages = growing(tiny_config, stage_batch="8,4", loss="relativistic")
    for stage, gamma in zip(stages, (0.02, 0.16, 0.64), strict=True):
        step.enter(stage)
        assert step._gammas == pytest.approx((gamma, gamma))
    fixed, _ = growing(tiny_config, r1_gamma=3.0)
    fixed.enter(stages[0])
    assert fixed._gammas == (3.0, 0.0)


def test_lazy_updates_count_from_the_start_of_the_stage(tiny_config):
    step, stages = growing(tiny_config, stage_batch="8,4", r1_interval=3)
    step.enter(stages[0])
    assert [step.variant(nimg)[0] for nimg in (0, 8, 16, 24)] == [True, False, False, True]
    step.enter(stages[1])
    assert [step.variant(80 + nimg)[0] for nimg in (0, 4, 8, 12)] == [True, False, False, True]


def test_growing_networks_are_at_full_size_in_a_users_own_loop(tiny_config):
    step = make_step(tiny_config(progressive=True))
    assert step.stage.sides == step.generator.resolution == (16, 16)
    assert math.isfinite(float(step(reals(), 0, 0.3)["g_loss"]))
    assert float(step.generator.synthesis.fade) == 1.0


@pytest.mark.compiled
def test_entering_a_stage_compiles_the_step_anew(tiny_config):
    step, stages = growing(tiny_config, r1_gamma=0.0, arch="dcgan", convolutions=1)
    step.enter(stages[1], anew=True)
    for index in range(2):
        metrics = step(reals(index), stages[1].start + BATCH * index, 0.3)
    assert step.traces == 1 and math.isfinite(float(metrics["g_loss"]))
    step.enter(stages[2], anew=True)
    assert step.traces == 0


# -- other shapes


def test_a_step_on_images_that_are_not_square(tiny_config):
    config = tiny_config(resolution="12x16", g_input_res=3, d_final_res="6x8", pl_weight=2.0)
    step = make_step(config)
    images = np.random.default_rng(0).integers(0, 65536, (BATCH, 12, 16, 1), np.uint16)
    metrics = step(images, 0, 0.3)
    assert all(math.isfinite(float(value)) for value in metrics.values())
    assert step.generator(np.zeros((2, 8), np.float32)).shape == (2, 12, 16, 1)


@pytest.mark.compiled
def test_users_own_loop(tiny_config):
    """The step is usable without the trainer, with any configuration field changed."""
    config = dataclasses.replace(tiny_config(), max_filters=4, mapping_layers=1)
    step = make_step(config)
    assert float(step(tf.constant(reals()), 0, 0.0)["g_loss"]) > 0
