"""What writes until it is killed. Each first checks what the one before it has left.

All take the run folder and the path of a `Ledger`, and run in a process of a `Nursery`.
"""

import itertools

import numpy as np
import tensorflow as tf
from processes import Ledger
from small import make_discriminator, make_generator

from stylegan2_tf import artifacts
from stylegan2_tf.checkpoints import Checkpoints
from stylegan2_tf.latent.sampling import load_model
from stylegan2_tf.networks import Discriminator, Generator
from stylegan2_tf.plots import save_loss_plot
from stylegan2_tf.run_folder import RunFolder
from stylegan2_tf.tracking import CsvLog

SHAPES = ((128, 256), (256,), ())
FIELDS = ["step", "nimg", "epoch", "seconds", "g_loss", "d_loss"]
VARIANTS = 3  # of a GIF and of a plot, written in turn


# -- checkpoints


def values_at(step):
    """A state that is a function of the step."""
    return [np.float32(step) + np.random.default_rng(step).random(shape, np.float32)
            for shape in SHAPES]


def make_state():
    return {"weights": [tf.Variable(tf.zeros(shape)) for shape in SHAPES],
            "optimizer": [tf.Variable(0, dtype=tf.int64)]}


def fill(state, step):
    for variable, value in zip(state["weights"], values_at(step), strict=True):
        variable.assign(value)
    state["optimizer"][0].assign(step)


def holds(state, step):
    """Whether `state` is the one of `step`."""
    return int(state["optimizer"][0]) == step and all(
        np.array_equal(variable, value)
        for variable, value in zip(state["weights"], values_at(step), strict=True))


def open_checkpoints(run, state):
    return Checkpoints(run.checkpoints, state, keep=2, identity={"images": "0123"})


def resume(run, ledger):
    """Restore, and check it. Returns (checkpoints, state, step)."""
    state = make_state()
    checkpoints = open_checkpoints(run, state)
    meta = checkpoints.restore()
    step = 0 if meta is None else meta["step"]
    assert step or not ledger.kept, f"silent restart after step {ledger.kept}"
    assert ledger.kept <= step <= ledger.begun, f"{step} of {ledger.kept} to {ledger.begun}"
    assert not step or holds(state, step), f"other values than at step {step}"
    assert not list(run.checkpoints.glob("*.bad*"))
    assert_swept(run)
    return checkpoints, state, step


def save_checkpoints(out, ledger_path):
    ledger = Ledger(ledger_path)
    with RunFolder(out) as run:
        checkpoints, state, step = resume(run, ledger)
        for step in itertools.count(step + 1):
            fill(state, step)
            ledger.begun, ledger.writing = step, 1
            checkpoints.save(step, final=True, nimg=4 * step, seconds=step / 3)
            ledger.kept = step


def check_checkpoints(out, ledger_path):
    with RunFolder(out) as run:
        return resume(run, Ledger(ledger_path))[2]


def assert_swept(run):
    assert not list(run.path.rglob(".tmp-*"))


# -- models


def load_models(run, ledger):
    """The models of a run, which must go with their manifest, and be the last or the next."""
    assert_swept(run)
    if not ledger.begun:
        return make_generator(), make_discriminator()
    generator = load_model(run.models / "generator.keras", Generator)
    discriminator = load_model(run.models / "discriminator.keras", Discriminator)
    for number in (float(generator.w_avg[0]), float(discriminator.trunk.alpha)):
        assert ledger.kept <= number <= ledger.begun, f"{number} of {ledger.kept}"
    return generator, discriminator


def save_models(out, ledger_path):
    ledger = Ledger(ledger_path)
    with RunFolder(out) as run:
        generator, discriminator = load_models(run, ledger)
        for number in itertools.count(ledger.begun + 1):
            generator.w_avg.assign(np.full(generator.w_avg.shape, number))
            discriminator.trunk.alpha.assign(number)
            if number > 1:  # until the first are whole there is nothing to check
                ledger.begun, ledger.writing = number, 1
            artifacts.save_models(run.models, generator, discriminator, step=number)
            ledger.begun = ledger.kept = number


def check_models(out, ledger_path):
    with RunFolder(out) as run:
        load_models(run, Ledger(ledger_path))


# -- GIF and plot


def draw_samples(folder):
    """Grids for GIFs of 1 to `VARIANTS` frames."""
    noise = np.random.default_rng(0)
    for epoch in range(1, VARIANTS + 1):
        artifacts.save_grid(noise.integers(0, 256, (16, 64, 64, 1), np.uint8),
                            artifacts.sample_path(folder, epoch), f"epoch {epoch}")


def write_logs(folder):
    """`VARIANTS` logs to plot."""
    folder.mkdir(parents=True)
    for variant in range(VARIANTS):
        log_rows(CsvLog(folder / f"{variant}.csv", FIELDS), range(1, 40 * (variant + 1)))


def save_gif(sources, variant, path):
    artifacts.save_gif(sources, path, variant + 1)


def save_plot(sources, variant, path):
    save_loss_plot(sources / f"{variant}.csv", path)


def save_variants(save, sources, name, out, ledger_path):
    """Write the variants in turn with `save(sources, variant, path)`."""
    ledger = Ledger(ledger_path)
    with RunFolder(out) as run:
        assert_swept(run)
        for number in itertools.count(max(ledger.begun, 1)):  # what was cut is written again
            ledger.begun, ledger.writing = number, 1
            save(sources, number % VARIANTS, run.path / name)
            ledger.kept = number


# -- log


def losses_at(step):
    return {"g_loss": 1 / step, "d_loss": step / 7, "epoch": step / 5}


def log_rows(log, steps):
    for step in steps:
        log.scalars(losses_at(step), step=step, nimg=4 * step, seconds=step / 3)


def check_log(path, ledger_path):
    """The number of whole rows, which must be right, none missing, and only the last cut."""
    ledger = Ledger(ledger_path)
    text = path.read_text() if path.exists() else ""
    *lines, rest = text.split("\n")
    if not lines:
        assert not ledger.kept and ",".join(FIELDS).startswith(rest)
        return 0
    assert lines[0] == ",".join(FIELDS)
    for step, line in enumerate(lines[1:], start=1):
        assert line == expected_row(step)
    count = len(lines) - 1
    assert ledger.kept <= count <= ledger.begun, f"{count}: {ledger.kept} to {ledger.begun}"
    assert expected_row(count + 1).startswith(rest)
    return count


def expected_row(step):
    losses = losses_at(step)
    cells = [losses["epoch"], step / 3, losses["g_loss"], losses["d_loss"]]
    return ",".join([str(step), str(4 * step), *(format(cell, ".7g") for cell in cells)])


def append_rows(out, ledger_path):
    """Go on with a log as a run does that resumes at half of it: later rows are cut."""
    ledger = Ledger(ledger_path)
    with RunFolder(out) as run:
        assert_swept(run)
        count = check_log(run.log_file, ledger_path)
        ledger.kept, ledger.begun = count // 2, count
        ledger.writing = 1
        log = CsvLog(run.log_file, FIELDS, resume_step=count // 2)
        ledger.begun = count // 2
        assert check_log(run.log_file, ledger_path) == count // 2
        for step in itertools.count(count // 2 + 1):
            ledger.begun = step
            log_rows(log, [step])
            ledger.kept = step
