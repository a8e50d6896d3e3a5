"""Signals, poisoned batches and repeated runs: what a training does of its own accord."""

import os
import signal
import statistics
import time

import numpy as np
import pytest
from processes import tail, wait_for
from training import draw_discs, final_state, read_rows, train

TIMES = 2  # each signal
RUNS, STEPS = 3, 200
POISONED, STEPS_POISONED = 10, 1000
ROUNDS = 30  # of which each times a step with the guard and one without
WITHIN = 10.0  # seconds for a tiny step, a checkpoint, two models and a plot beside other work
MOST_OVERHEAD = 0.03

pytestmark = pytest.mark.slow


def command(data, out, epochs):
    return [data, out, 4, 8, 4, 8, 2, "--resolution", 8, "--batch", 4, "--latent", 8, "--val", 4,
            "--epochs", epochs, "--mapping-layers", 2, "--metrics", "none", "--checkpoint", 1000]


def test_signals(nursery, figures, tmp_path):
    data, longest = draw_discs(tmp_path / "data", 20), 0.0
    rng, log = np.random.default_rng(0), tmp_path / "log"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        for turn in range(TIMES):
            out = tmp_path / f"{number}-{turn}"
            process = nursery.start(log, train, command(data, out, 100_000))
            wait_for(lambda out=out: len(read_rows(out)) > 1 if (out / "log.csv").exists()
                     else False, process, log)
            time.sleep(rng.uniform(0, 0.5))
            os.kill(process.pid, number)
            begun = time.monotonic()
            process.join(WITHIN)
            assert process.exitcode == 128 + number, tail(log)
            longest = max(longest, time.monotonic() - begun)
            newest = max((out / "checkpoints").glob("step-????????"))
            assert int(newest.name[5:]) == int(read_rows(out)[-1]["step"])  # all that was done
    figures("SIGTERM, SIGINT, SIGUSR1", f"{3 * TIMES} of {3 * TIMES} saved their last step and "
            f"left with 143, 130, 138; at most {longest:.1f} s")


def test_runs_with_one_seed_are_equal(nursery, figures, tmp_path):
    data, log = draw_discs(tmp_path / "data", 20), tmp_path / "log"
    for run in range(RUNS):
        process = nursery.start(log, train, command(data, tmp_path / str(run), STEPS // 5))
        process.join()
        assert process.exitcode == 0, tail(log)
    first, *others = (final_state(tmp_path / str(run)) for run in range(RUNS))
    assert first["step"] == STEPS
    equal = sum(other == first for other in others) + 1
    figures("determinism", f"{equal} of {RUNS} runs of {STEPS} steps end with equal hashes")
    assert equal == RUNS


def poison():
    """1,000 steps, some on batches that are not finite. Returns (skipped, all finite)."""
    step = make_step(resolution=8, g_init_filters=8, d_input_filters=8, batch=4)
    rng = np.random.default_rng(0)
    bad = rng.choice(STEPS_POISONED, POISONED, replace=False)
    finite = True
    for index in range(STEPS_POISONED):
        images = rng.uniform(-1, 1, (4, 8, 8, 1)).astype(np.float32)
        if index in bad:
            images[0, 0, 0] = (np.nan, np.inf, -np.inf)[index % 3]
        step(images, 4 * index, 0.25)
        if index in bad or index == STEPS_POISONED - 1:
            finite &= all(np.isfinite(value.numpy()).all()
                          for values in step.state.values() for value in values)
    return int(step.skipped), finite


def make_step(**changes):
    from stylegan2_tf import step
    from stylegan2_tf.building import make_networks
    from stylegan2_tf.config import TrainConfig

    step.to_float = lambda images: images  # whole numbers from files are always finite
    config = TrainConfig(data_dir="data", output_dir="out", **{
        "g_input_res": 4, "d_final_res": 4, "latent": 16, "augment": "none", **changes})
    return step.TrainStep(*make_networks(config), config)


def guard_overhead():
    """Median over rounds of the share of a step that its guard takes."""
    import tensorflow as tf

    from stylegan2_tf.updates import Updates

    def unguarded(self, tape, loss):
        variables = self._network.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables],
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self.optimizer.apply(gradients, variables)
        return tf.linalg.global_norm(gradients), tf.constant(True)  # the log shows the norm

    images = np.random.default_rng(0).uniform(-1, 1, (32, 32, 32, 1)).astype(np.float32)
    steps = []
    for apply in (Updates.apply, unguarded):
        guarded, Updates.apply = Updates.apply, apply
        step = make_step(resolution=32, g_init_filters=64, d_input_filters=16, batch=32)
        step(images, 32, 0.5)
        Updates.apply = guarded
        steps.append(step)
    ratios = []
    for _ in range(ROUNDS):
        times = []
        for step in steps:
            begun = time.perf_counter()
            step(images, 32, 0.5)["g_loss"].numpy()
            times.append(time.perf_counter() - begun)
        ratios.append(times[0] / times[1] - 1)
    return statistics.median(ratios)


def test_poisoned_batches(nursery, figures):
    skipped, finite = nursery.call(poison)
    overhead = nursery.call(guard_overhead)
    figures("poisoned batches", f"{POISONED} in {STEPS_POISONED:,} steps: {skipped} left out, "
            f"{'no' if finite else 'A'} value not finite; the guard takes {overhead:.1%} of a step")
    assert finite and skipped == POISONED
    assert overhead <= MOST_OVERHEAD
