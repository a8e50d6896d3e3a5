"""One step on several devices: the same numbers as on one, each device with its share of the rows.

`R` devices train copies of the networks (replicas) on a global batch of `N` images. Row `i` belongs
to replica `i % R`: a replica's minibatch standard deviation then has the very groups of one device.
Outside `strategy.run` there is one replica, and nothing here changes anything.
"""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def scope(strategy):
    """Make networks and step inside it, to be trained by `strategy`.

    Every variable becomes one copy a replica, which the replica changes by itself: all of them
    apply the same averaged gradients. Mirrored variables of TensorFlow would have to be assigned
    by all replicas at once, which an update that may be left out (`tf.cond`) can't do.

    Args:
        strategy: A `tf.distribute.Strategy`; None for one device.
    """
    if strategy is None:
        yield
        return
    with strategy.scope(), tf.variable_creator_scope(_own_copy):
        yield


def _own_copy(create, **options):
    # TensorFlow takes such variables for not trainable: `Updates.tape` watches them by name.
    return create(**{**options, "trainable": False,
                     "synchronization": tf.VariableSynchronization.ON_READ,
                     "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA})


def shares(batch, strategy):
    """The rows of a batch, of which this process has its own, for each of its replicas."""
    if strategy.num_replicas_in_sync == 1:
        return tf.convert_to_tensor(batch)
    local = local_replicas(strategy)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.convert_to_tensor(
            batch[context.replica_id_in_sync_group - local[0]::len(local)]))


def local_replicas(strategy):
    """Numbers of the replicas that run in this process, from 0 in all processes together."""
    if strategy.num_replicas_in_sync == 1:
        return [0]
    return [int(number) for number in strategy.experimental_local_results(
        strategy.experimental_distribute_values_from_function(
            lambda context: context.replica_id_in_sync_group))]


def count():
    """How many replicas run this code together."""
    return tf.distribute.get_replica_context().num_replicas_in_sync


def mean(values):
    """The mean over all replicas of a structure of tensors; it is differentiable."""
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)


def normal(shape, seed):
    """This replica's rows of standard normal numbers: `shape` is `[N / R, ...]`."""
    return rows(tf.random.stateless_normal, shape, seed)


def uniform(shape, seed, low=0.0, high=1.0):
    """This replica's rows of numbers evenly spread from `low` to `high`."""
    return rows(lambda whole, seed: tf.random.stateless_uniform(whole, seed, low, high),
                shape, seed)


def rows(draw, shape, seed):
    """This replica's rows of what `draw(whole shape, seed)` gives.

    Each replica draws the whole batch, which is little beside a convolution, and keeps its rows.
    """
    replicas = count()
    if replicas == 1:
        return draw(shape, seed)
    batch, *rest = shape
    own = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.reshape(draw((batch * replicas, *rest), seed), (batch, replicas, *rest))[:, own]
