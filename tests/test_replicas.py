"""Several devices train as one does: two parts of the CPU."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf import replicas
from stylegan2_tf.building import make_networks
from stylegan2_tf.step import TrainStep

with contextlib.suppress(RuntimeError):  # TensorFlow is in use already: then there may be too few
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)

# Everything that draws numbers or looks at a whole batch.
EVERYTHING = dict(resolution=8, mapping_layers=1, batch=8, r1_interval=1, pl_weight=2.0,
                  pl_interval=1, style_mixing=0.9, augment_kimg=0.05, mirror=True, d_dropout=0.1)


@pytest.fixture(scope="module")
def pair():
    if len(tf.config.list_logical_devices("CPU")) < 2:
        pytest.skip("TensorFlow was in use before its CPU could be parted in two")
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def on_both(strategy, function):
    """What `function()` gives in each replica."""
    found = tf.function(lambda: strategy.run(function), autograph=False)()
    return [value.numpy() for value in strategy.experimental_local_results(found)]


def test_alone_a_draw_is_tensorflow_s_own():
    seed = tf.constant([1, 2])
    np.testing.assert_array_equal(replicas.normal((4, 3), seed),
                                  tf.random.stateless_normal((4, 3), seed))
    np.testing.assert_array_equal(replicas.uniform((4,), seed, -1.0, 2.0),
                                  tf.random.stateless_uniform((4,), seed, -1.0, 2.0))
    assert replicas.count() == 1
    assert replicas.mean(3.0) == 3.0


def test_replicas_draw_the_rows_of_one_batch(pair):
    seed = tf.constant([1, 2])
    whole = tf.random.stateless_normal((8, 3), seed).numpy()
    first, second = on_both(pair, lambda: replicas.normal((4, 3), seed))
    np.testing.assert_array_equal(first, whole[0::2])
    np.testing.assert_array_equal(second, whole[1::2])


def test_the_mean_is_over_all_replicas(pair):
    def own():
        return replicas.mean(tf.cast(
            tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32))

    assert on_both(pair, own) == [0.5, 0.5]


def test_shares_are_the_rows_of_each_replica(pair):
    batch = np.arange(8)
    shares = pair.experimental_local_results(replicas.shares(batch, pair))
    assert [list(share.numpy()) for share in shares] == [[0, 2, 4, 6], [1, 3, 5, 7]]
    np.testing.assert_array_equal(replicas.shares(batch, tf.distribute.get_strategy()), batch)


def test_two_devices_lose_what_one_does(tiny_config, pair):
    config = tiny_config(loss="relativistic", **EVERYTHING)
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 8, 1), np.uint8)
    found = []
    for strategy in (None, pair):
        with replicas.scope(strategy):
            step = TrainStep(*make_networks(config), config)
        found.append([{name: float(value) for name, value in step(
            batch, 8 * number, 0.3).items()} for number, batch in enumerate(images)])
        weights = step.generator_ema.get_weights()
        assert step.traces == 1
    for one, two in zip(*found, strict=True):
        assert one.keys() == two.keys() and {"r1", "r2", "pl_penalty", "augment_p"} <= set(one)
        assert two == pytest.approx(one, rel=1e-4, abs=1e-4)
    assert all(np.isfinite(value).all() for value in weights)


def test_a_batch_that_is_not_finite_changes_no_replica(tiny_config, pair):
    config = tiny_config(resolution=8, mapping_layers=1, batch=8, r1_interval=1)
    with replicas.scope(pair):
        step = TrainStep(*make_networks(config), config)
    images = np.zeros((8, 8, 8, 1), np.uint8)
    step(images, 0, 0.0)
    step.discriminator.trainable_variables[0].value.assign(
        np.full(step.discriminator.trainable_variables[0].shape, np.nan, np.float32))
    before = [copy.numpy() for variable in step.discriminator.trainable_variables
              for copy in pair.experimental_local_results(variable.value)]
    step(images, 8, 0.0)
    after = [copy.numpy() for variable in step.discriminator.trainable_variables
             for copy in pair.experimental_local_results(variable.value)]
    assert int(step.skipped.numpy()) == 1
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
