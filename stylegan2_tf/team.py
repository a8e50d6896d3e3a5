"""Who trains together: several devices of this machine (`--devices`), and several workers.

A worker is a process of its own, often on another machine; `cluster` tells who they are. Worker 0
is the chief, the only one that writes into the run folder.
"""

import contextlib
import functools
import json
import os

import numpy as np

from stylegan2_tf.cluster import find_cluster, workers_of
from stylegan2_tf.errors import LostWorkerError, UsageError
from stylegan2_tf.fields import GROUP_SIZE
from stylegan2_tf.tf_quiet import import_tensorflow


class Team:
    """The devices and workers that train one model together; alone by default.

    Args:
        strategy: The `tf.distribute.Strategy` of them all; None for one device alone.
        worker: Number of this process.
        workers: How many processes there are.
    """

    def __init__(self, strategy=None, worker=0, workers=1):
        self.strategy, self.worker, self.workers = strategy, worker, workers

    @property
    def chief(self):
        return self.worker == 0

    @property
    def replicas(self):
        """How many copies of the networks are trained."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    @property
    def share(self):
        """(first replica of this process, how many it has, all replicas), for `batches`."""
        own = self.replicas // self.workers
        return self.worker * own, own, self.replicas

    def agree(self, value):
        """What the chief has, on every worker: anything that JSON can hold."""
        if self.workers == 1:
            return value
        text = json.dumps(value)
        words = np.frombuffer(text.ljust(-(-len(text) // 4) * 4).encode("ascii"), np.int32)
        length, = self._from_chief(np.array([len(words)], np.int32))
        return json.loads(self._from_chief(np.resize(words, length)).tobytes())

    def largest(self, number):
        """The largest of all workers' numbers, which are 0 or more."""
        if self.workers == 1:
            return number
        held = np.zeros(self.workers, np.int32)
        held[self.worker] = number
        return int(max(self._sum(held)))

    def synchronise(self, variables):
        """Give all workers the chief's values, be they fresh or from a checkpoint."""
        if self.workers == 1:
            return
        own = [variable.numpy() for variable in variables]
        words = self._from_chief(np.concatenate(  # the very bits, whatever their types
            [np.frombuffer(value.tobytes(), np.int32) for value in own]))
        ends = np.cumsum([value.nbytes // 4 for value in own])
        for variable, value, part in zip(variables, own, np.split(words, ends[:-1]), strict=True):
            variable.assign(np.frombuffer(part.tobytes(), value.dtype).reshape(value.shape))

    @contextlib.contextmanager
    def explained_loss(self):
        """Turn what TensorFlow throws when another worker is gone into one line."""
        import tensorflow as tf

        try:
            yield
        except tf.errors.ResourceExhaustedError:
            raise
        except tf.errors.OpError as error:
            raise LostWorkerError(
                f"worker {self.worker}: expected all {self.workers} workers, found that one is "
                f"gone ({type(error).__name__}); the same command on all of them goes on from the "
                "last checkpoint") from error

    def _from_chief(self, words):
        return self._sum(words if self.chief else np.zeros_like(words))

    def _sum(self, words):
        """The sum over all workers of int32 arrays of one length."""
        total = self._compiled_sum(words)
        return self.strategy.experimental_local_results(total)[0].numpy()

    @functools.cached_property
    def _compiled_sum(self):
        import tensorflow as tf

        first = self.share[0]

        def add(own):
            context = tf.distribute.get_replica_context()
            counted = context.replica_id_in_sync_group == first  # one replica of each worker
            return context.all_reduce(tf.distribute.ReduceOp.SUM,
                                      tf.where(counted, own, tf.zeros_like(own)))

        return tf.function(lambda words: self.strategy.run(add, (words,)), autograph=False,
                           input_signature=[tf.TensorSpec([None], tf.int32)])


def make_team(config):
    """Import TensorFlow and find the devices and workers of a training.

    Must come before anything else that uses TensorFlow. With several workers it waits until all
    of them are there.

    Args:
        config: A `TrainConfig`: `devices` of this machine, or of each worker.

    Raises:
        UsageError: There are fewer devices, or TF_CONFIG is no cluster.
    """
    cluster = find_cluster(os.environ)
    if cluster is None:
        tf = import_tensorflow(configure=lambda: _choose_devices(config.devices))
        return Team() if config.devices == 1 else Team(
            tf.distribute.MirroredStrategy(_names(config.devices)))
    os.environ["TF_CONFIG"] = json.dumps(cluster)
    worker = cluster["task"]["index"]
    workers, address = workers_of(cluster), cluster["cluster"]["worker"][worker]
    print(f"worker         {worker} of {workers} at {address}: waiting for the others", flush=True)
    made = []
    import_tensorflow(configure=lambda: made.append(_join(config.devices)))
    return Team(made[0], worker, workers)


def _join(devices):
    import tensorflow as tf

    if not _choose_devices(devices) and devices > 1:
        raise UsageError(f"--devices: expected 1 on a machine without GPUs that is one of several "
                         f"workers, found {devices}; start more workers")
    return tf.distribute.MultiWorkerMirroredStrategy()


def _choose_devices(count):
    """Let TensorFlow see so many GPUs, or split the CPU, to try things out. Returns the GPUs."""
    import tensorflow as tf

    gpus, own = tf.config.list_physical_devices("GPU"), int(os.environ.get("SLURM_LOCALID", 0))
    if len(gpus) >= (own + 1) * count:  # tasks of one machine that all see all of its GPUs
        gpus = gpus[own * count:(own + 1) * count]
    if gpus and len(gpus) < count:
        raise UsageError(f"--devices: expected at most the {len(gpus)} GPUs of this machine, found "
                         f"{count}")
    try:
        if gpus:
            tf.config.set_visible_devices(gpus[:count], "GPU")
            for gpu in gpus[:count]:
                tf.config.experimental.set_memory_growth(gpu, True)
        elif count > 1:
            tf.config.set_logical_device_configuration(
                tf.config.list_physical_devices("CPU")[0],
                [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:
        pass  # TensorFlow is in use already, and its devices are what they are
    return gpus[:count]


def _names(count):
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(names) < count:
        raise UsageError(f"--devices: expected at most the {len(names)} that TensorFlow was "
                         f"started with in this process, found {count}")
    return names[:count]


def check_batches(config, replicas):
    """Refuse batches that `replicas` can't share evenly, with whole groups for each."""
    for batch in dict.fromkeys(config.stage_batches):
        if batch % (replicas * GROUP_SIZE) and replicas > 1:
            raise UsageError(
                f"--batch: expected a multiple of {replicas * GROUP_SIZE} for {replicas} devices "
                f"in all, whose minibatch standard deviation takes {GROUP_SIZE} images, found "
                f"{batch}")
