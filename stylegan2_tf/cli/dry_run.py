"""`run.py --dry-run`: what a run would be, from a few timed steps; nothing is written."""

import math
import resource
import statistics
import sys
import time

import numpy as np

from stylegan2_tf.cli.summary import check_count, summary
from stylegan2_tf.data import choose, division_of, find_labels
from stylegan2_tf.preparation import image_names
from stylegan2_tf.team import make_team
from stylegan2_tf.tf_quiet import quiet_stderr

TIMED_STEPS = 3  # of each variant
PROGRAM = 700 * 2**20  # bytes of TensorFlow itself
MAPS_OF_D, MAPS_OF_G = 18, 12  # feature maps that live at once for each channel of a block


def report(config):
    """Print derived settings, parameters, memory and the time to expect. Returns 0."""
    names = image_names(config.data_dir)
    kept, _, lines = choose(names, **division_of(config.to_json()))
    classes = find_labels(names, classes=config.classes, labels=config.labels).classes if (
        config.conditional) else ()
    count = len(kept)
    check_count(config, count)
    team = make_team(config)
    with quiet_stderr():
        import tensorflow as tf

        from stylegan2_tf import replicas
        from stylegan2_tf.building import make_networks
        from stylegan2_tf.step import TrainStep

    with replicas.scope(team.strategy):
        step_function = TrainStep(*make_networks(config, classes), config)
    for line in lines + summary(config, count, step_function):
        print(line)
    weights = sum(value.numpy().nbytes for values in step_function.state.values()
                  for value in values)
    print(f"memory         {weights / 2**20:,.0f} MiB of weights and moments (a checkpoint); about "
          f"{_estimated_memory(config, weights) / 2**30:.1f} GiB to train", flush=True)
    seconds = _mean_seconds(config, step_function)
    print(f"               {_peak_memory(tf) / 2**30:.1f} GiB at most in the steps tried")
    total = config.epochs * count
    batch = step_function.stage.batch
    print(f"time           {1000 * seconds:.0f} ms a step, {batch / seconds:.1f} images/s; "
          f"about {total / batch * seconds / 60:.0f} minutes for {total / 1000:.1f} kimg "
          f"(pictures and checkpoints not counted{_smaller_stages(config)})")
    return 0


def _smaller_stages(config):
    return "; timed at full size, smaller stages are faster" if config.progressive else ""


def _estimated_memory(config, weights):
    """Bytes of a training: the program, weights with gradients, and the feature maps in between.

    Known before any step is tried: a machine without the memory kills the process unasked.
    """
    def pixels(filters):  # full resolution first
        area = math.prod(config.sides)
        return sum(area / 4**level * width for level, width in enumerate(filters))

    maps = (MAPS_OF_D * pixels(config.discriminator_filters)
            + MAPS_OF_G * pixels(config.generator_filters[::-1]))
    return PROGRAM + 1.3 * weights + 4 * config.stage_batches[-1] * maps


def _mean_seconds(config, step_function):
    """Seconds of a step: the median of each variant, weighed by how often it comes."""
    batch = step_function.stage.batch
    shape = (batch, *config.sides, config.channels)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    period = math.lcm(config.d_interval or 1, config.g_interval or 1)
    variants = [step_function.variant(batch * index) for index in range(period)]
    seconds = 0.0
    for variant in sorted(set(variants)):
        times = []
        for _ in range(1 + TIMED_STEPS):  # the first compiles
            started = time.perf_counter()
            nimg = batch * variants.index(variant)
            float(step_function(images, nimg, config.alpha(0))["g_loss"])
            times.append(time.perf_counter() - started)
        seconds += statistics.median(times[1:]) * variants.count(variant) / period
    return seconds


def _peak_memory(tf):
    """Bytes: of the GPU where there is one, else of this process."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
