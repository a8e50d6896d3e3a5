"""`run.py --dry-run`: what a run would be, from three timed steps; nothing is written."""

import resource
import statistics
import sys
import time

import numpy as np

from stylegan2_tf.cli.summary import check_count, summary
from stylegan2_tf.data import find_images
from stylegan2_tf.tf_quiet import import_tensorflow, quiet_stderr

TIMED_STEPS = 3


def report(config):
    """Print derived settings, parameters, memory and the time to expect. Returns 0."""
    count = len(find_images(config.data_dir))
    check_count(config, count)
    tf = import_tensorflow()
    with quiet_stderr():
        from stylegan2_tf.step import TrainStep
        from stylegan2_tf.trainer import make_networks

    step_function = TrainStep(*make_networks(config), config)
    for line in summary(config, count, step_function):
        print(line)
    state = sum(value.numpy().nbytes for values in step_function.state.values()
                for value in values)
    lazy, plain = _time_steps(config, step_function)
    print(f"memory         {state / 2**20:,.0f} MiB of weights and moments (a checkpoint); peak "
          f"{_peak_memory(tf) / 2**20:,.0f} MiB in {TIMED_STEPS} steps")
    share = 1 / config.r1_interval if config.r1_weight else 0
    seconds = share * lazy + (1 - share) * plain
    total = config.epochs * count
    print(f"time           {1000 * seconds:.0f} ms a step, {config.batch / seconds:.1f} images/s; "
          f"about {total / config.batch * seconds / 60:.0f} minutes for {total / 1000:.1f} kimg "
          "(pictures and checkpoints not counted)")
    return 0


def _time_steps(config, step_function):
    """Seconds of a step with the lazy penalty, and the median of three without."""
    shape = (config.batch, config.resolution, config.resolution, config.channels)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    positions = [0, config.batch, 0, *(config.batch * (1 + i) for i in range(TIMED_STEPS))]
    times = []
    for nimg in positions:  # the first two compile
        started = time.perf_counter()
        float(step_function(images, nimg, config.alpha(0))["g_loss"])
        times.append(time.perf_counter() - started)
    return times[2], statistics.median(times[3:])


def _peak_memory(tf):
    """Bytes: of the GPU where there is one, else of this process."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
