"""The training loop from end to end, at 16 pixels."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import stylegan2_tf
from stylegan2_tf import album, artifacts
from stylegan2_tf import trainer as trainer_module
from stylegan2_tf.data import pack
from stylegan2_tf.errors import DataError, NumericalError, OutputError
from stylegan2_tf.fields import LR_SCALES
from stylegan2_tf.run_folder import RunFolder
from stylegan2_tf.tracking import read_offline
from stylegan2_tf.tracking.columns import COLUMNS
from stylegan2_tf.trainer import Trainer
from stylegan2_tf.watchdog import Alarm

ROOT = Path(__file__).parent.parent
FIXED_THREADS = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of 20 small grey discs."""
    folder = tmp_path_factory.mktemp("discs")
    rows, columns = np.mgrid[:16, :16]
    rng = np.random.default_rng(0)
    for index in range(20):
        centre, radius = rng.uniform(6, 10, 2), rng.uniform(3, 6)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        Image.fromarray((inside * rng.integers(120, 255)).astype(np.uint8)).save(
            folder / f"case_001_slice_{index}.nii.png")
    return folder


@pytest.fixture
def make_trainer(data, monkeypatch):
    """A function that makes a trainer in the folder `out`, whose lock ends with the next one.

    `count` takes only so many images; `more` are fields of `PackedImages`, such as `classes`.
    The plots of an epoch take longer than its steps: they are drawn with `plots` only.
    Steps run eagerly: compiling costs seconds, and the tests that start `run.py` compile.
    """
    folders = []

    def make(config, out, count=None, plots=False, **more):
        if not plots:
            monkeypatch.setattr(album, "save_loss_plot", lambda log, path: None)
        while folders:
            folders.pop().__exit__()
        folders.append(RunFolder(out))
        images = pack(data, out / "cache", resolution=config.sides, channels=config.channels)
        images = dataclasses.replace(images, **more)
        return Trainer(config, images if count is None else images.part(np.arange(count)),
                       folders[-1])

    tf.config.run_functions_eagerly(True)
    yield make
    tf.config.run_functions_eagerly(False)
    for folder in folders:
        folder.__exit__()


def rows(out):
    with open(out / "log.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def command(data, out, *more):
    return [sys.executable, str(ROOT / "run.py"), str(data), str(out), "4", "8", "4", "4", "8",
            "--resolution", "16", "--batch", "4", "--latent", "8", "--val", "4", *more]


def run(arguments, **environment):
    done = subprocess.run(arguments, capture_output=True, text=True,
                          env={**os.environ, **FIXED_THREADS, **environment})
    return done.returncode, done.stdout, done.stderr


def final_state(out):
    newest = max((out / "checkpoints").glob("step-*"))
    reader = tf.train.load_checkpoint(str(newest / "state"))
    return newest.name, {key: reader.get_tensor(key) for key in
                         reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in key}


def assert_same_state(one, other):
    assert one[0] == other[0] and one[1].keys() == other[1].keys()
    for key, value in one[1].items():
        np.testing.assert_array_equal(value, other[1][key], err_msg=key)


def test_a_run_leaves_everything_in_its_folder(tiny_config, make_trainer, tmp_path, capsys):
    trainer = make_trainer(tiny_config(epochs=3), tmp_path, plots=True)
    assert trainer.run() == 0
    assert (trainer.step, trainer.nimg) == (15, 60)
    for name in ("config.json", "log.csv", "losses.png", "training.gif", "samples/reals.png",
                 "samples/epoch-0001.png", "samples/epoch-0003.png",
                 "samples/fake-vs-real-epoch-0003.png", "Model/generator.keras",
                 "Model/discriminator.keras", "Model/manifest.json"):
        assert (tmp_path / name).stat().st_size > 0, name
    assert list((tmp_path / "tensorboard").glob("*"))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000010", "step-00000015"]  # --keep 2
    assert not list(tmp_path.rglob(".tmp*"))
    log = rows(tmp_path)
    assert [int(row["step"]) for row in log] == [5, 10, 15]  # every 10 steps and at epoch ends
    assert list(log[0]) == list(COLUMNS)
    assert [float(row["alpha"]) for row in log] == [0.0, 0.25, 0.5]
    assert not any(row["stage"] or row["fade"] for row in log)
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.n_frames == 3
    printed = capsys.readouterr().out
    assert printed.count("epoch ") == 3 and "epoch 3/3" in printed
    sample = stylegan2_tf.load(tmp_path).sample(4, seed=tiny_config().seed)
    with Image.open(tmp_path / "samples/epoch-0003.png") as grid:
        shown = np.asarray(grid, np.float32)[:16, :16] / 127.5 - 1
    np.testing.assert_allclose(sample[0, ..., 0], shown, atol=0.01)  # the averaged generator


def test_pictures_that_a_kill_prevented_are_drawn_on_resume(tiny_config, make_trainer, tmp_path):
    make_trainer(tiny_config(epochs=2), tmp_path).run()
    lost = [tmp_path / "samples/epoch-0002.png", tmp_path / "training.gif"]
    before = [path.read_bytes() for path in lost]
    for path in lost:
        path.unlink()
    assert make_trainer(tiny_config(epochs=2), tmp_path).run() == 0
    assert [path.read_bytes() for path in lost] == before


def test_resuming_in_the_same_process_is_exact(tiny_config, make_trainer, tmp_path):
    whole = make_trainer(tiny_config(epochs=3), tmp_path / "whole")
    whole.run()
    part = make_trainer(tiny_config(epochs=1), tmp_path / "part")
    part.run()
    again = make_trainer(tiny_config(epochs=3), tmp_path / "part")
    again.run()
    assert_same_state(final_state(tmp_path / "whole"), final_state(tmp_path / "part"))
    assert [row["step"] for row in rows(tmp_path / "part")] == ["5", "10", "15"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_stops(tiny_config, make_trainer, tmp_path, monkeypatch, number):
    trainer = make_trainer(tiny_config(epochs=50), tmp_path)
    step = trainer.step_function.__call__

    def step_then_signal(*arguments):
        if trainer.step == 7:
            os.kill(os.getpid(), number)
        return step(*arguments)

    monkeypatch.setattr(trainer, "step_function",
                        Proxy(trainer.step_function, step_then_signal))
    assert trainer.run() == 128 + number
    assert trainer.step == 8
    assert (tmp_path / "checkpoints" / "step-00000008" / "meta.json").exists()
    assert signal.getsignal(number) == signal.SIG_DFL


class Proxy:
    """The wrapped step with another `__call__`."""

    def __init__(self, wrapped, call):
        self.__dict__.update(wrapped=wrapped, call=call)

    def __call__(self, *arguments):
        return self.call(*arguments)

    def __getattr__(self, name):
        return getattr(self.wrapped, name)


def test_updates_that_stay_non_finite_roll_back_once_then_stop(
        tiny_config, make_trainer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trainer_module, "SKIPS_ALLOWED", 10)
    trainer = make_trainer(tiny_config(epochs=40), tmp_path)
    step = trainer.step_function.__call__

    def break_a_weight(*arguments):
        if trainer.step >= 7:
            trainer.step_function.generator.synthesis.constant.assign(
                np.full((4, 4, 8), np.nan))
        return step(*arguments)

    monkeypatch.setattr(trainer, "step_function", Proxy(trainer.step_function, break_a_weight))
    with pytest.raises(NumericalError, match="not finite"):
        trainer.run()
    assert "rolled back" in capsys.readouterr().err
    name, state = final_state(tmp_path)
    assert all(np.isfinite(value).all() for value in state.values())


def test_a_failed_save_at_the_end_is_no_success(
        tiny_config, make_trainer, tmp_path, monkeypatch):
    trainer = make_trainer(tiny_config(epochs=1), tmp_path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer.keeper.checkpoints, "_write", full)
    with pytest.raises(OutputError, match="needed .* free"):
        trainer.run()


def test_settings_that_flags_leave_open_are_part_of_the_run(
        tiny_config, make_trainer, tmp_path, monkeypatch):
    make_trainer(tiny_config(epochs=1), tmp_path).run()
    monkeypatch.setitem(LR_SCALES, "cross-entropy", 3.0)
    with pytest.raises(DataError, match="adam_rate"):
        make_trainer(tiny_config(epochs=2), tmp_path).run()


def test_pictures_that_cannot_be_written_do_not_stop_the_run(
        tiny_config, make_trainer, tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "save_gif", full)
    assert make_trainer(tiny_config(), tmp_path).run() == 0
    assert "No space left" in capsys.readouterr().err
    assert final_state(tmp_path)[0] == "step-00000010"


@pytest.mark.slow
def test_kill_in_the_middle_of_an_epoch_then_the_same_command(data, tmp_path):
    """Kill -9 after the first checkpoint: the final state equals the uninterrupted run's."""
    code, _, errors = run(command(data, tmp_path / "whole", "--epochs", "10"))
    assert code == 0, errors
    arguments = command(data, tmp_path / "killed", "--epochs", "10")
    process = subprocess.Popen(arguments, env={**os.environ, **FIXED_THREADS},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while not list((tmp_path / "killed" / "checkpoints").glob("step-*")):
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped_at = max((tmp_path / "killed" / "checkpoints").glob("step-*")).name
    assert stopped_at < "step-00000050"
    code, printed, errors = run(arguments)
    assert code == 0, errors
    assert f"resumed at step {int(stopped_at[5:])}" in printed
    assert_same_state(final_state(tmp_path / "whole"), final_state(tmp_path / "killed"))
    logs = [[(row["step"], row["g_loss"]) for row in rows(tmp_path / name)]
            for name in ("whole", "killed")]
    assert logs[0] == logs[1]
    manifest = json.loads((tmp_path / "killed" / "Model" / "manifest.json").read_text())
    assert manifest["step"] == 50
    code, printed, _ = run(arguments)
    assert code == 0 and "complete: 10 epochs" in printed


def test_neptune_without_network_leaves_a_complete_record(data, tmp_path):
    code, printed, errors = run(command(data, tmp_path / "out", "--epochs", "2", "-n"),
                                NEPTUNE_API_TOKEN="", NEPTUNE_PROJECT="")
    assert code == 0, errors
    assert printed.lower().count("neptune:") == 1
    record = read_offline(tmp_path / "out" / "neptune")
    assert record["parameters"]["resolution"] == 16
    assert record["series"]["train/g_loss"] == 2
    assert record["images"] == 2 and record["models"]
    assert record["status"] == "finished"


@pytest.mark.parametrize("channels, folder", [(1, "brain_slices"), (3, "tiles32")])
def test_real_images(tmp_path, channels, folder):
    source = os.environ.get("STYLEGAN2_TF_DATA")
    if not source:
        pytest.skip("STYLEGAN2_TF_DATA is not set: no real images")
    code, printed, errors = run([
        sys.executable, str(ROOT / "run.py"), f"{source}/{folder}", str(tmp_path / "out"),
        "4", "8", "4", "4", "8", "--resolution", "16", "--batch", "128", "--epochs", "1",
        "--channels", str(channels)])
    assert code == 0, errors
    assert printed.count("composited over black") == (1 if channels == 3 else 0)
    images = stylegan2_tf.load(tmp_path / "out").sample(2)
    assert images.shape == (2, 16, 16, channels)


# -- progressive growing

# Of 8 images an epoch, in steps of 4: 4x4 in the first epoch, 8x8 in the next three (fading in
# over 12 images, so that it is under way at the end of the second), then 16x16.
GROWING = dict(progressive=True, stage_kimg="0.008,0.024", arch="dcgan", convolutions=1)


def level_saved(out):
    """Level and fade of both networks in `Model`, which must agree."""
    generator, discriminator = (keras.saving.load_model(out / "Model" / f"{name}.keras")
                                for name in ("generator", "discriminator"))
    both = {(part.level, round(float(part.fade), 3))
            for part in (generator.synthesis, discriminator.trunk)}
    assert len(both) == 1
    return both.pop()


def test_growing_resumes_exactly_between_stages_and_while_fading(
        tiny_config, make_trainer, tmp_path, capsys):
    def config(epochs):
        return tiny_config(epochs=epochs, **GROWING)

    whole, part = tmp_path / "whole", tmp_path / "part"
    trainer = make_trainer(config(5), whole, count=8)
    assert trainer.run() == 0
    assert int(trainer.step_function.g_optimizer.iterations) == 2  # Adam began the stage anew
    levels = []
    for epochs in (1, 2, 5):
        assert make_trainer(config(epochs), part, count=8).run() == 0
        levels.append(level_saved(part))
    assert levels == [(0, 1.0), (1, 0.333), (2, 0.333)]  # as at the step before
    assert_same_state(final_state(whole), final_state(part))
    for out in (whole, part):
        log = rows(out)
        assert [int(row["nimg"]) for row in log] == [8, 16, 24, 32, 40]
        assert [float(row["stage"]) for row in log] == [4, 8, 8, 8, 16]
        assert [round(float(row["fade"]), 3) for row in log] == [1.0, 0.333, 1.0, 1.0, 0.333]
    with Image.open(part / "training.gif") as gif:
        assert gif.n_frames == 5
    for epoch, caption in ((1, "4x4"), (2, "8x8, fading in 67%"), (3, "8x8"),
                           (5, "16x16, fading in 67%")):
        with Image.open(part / f"samples/epoch-{epoch:04d}.png") as grid:
            assert grid.info["caption"] == f"epoch {epoch}: {caption}"
            assert grid.size == (32, 32)  # small stages are enlarged
        assert (part / f"samples/fake-vs-real-epoch-{epoch:04d}.png").exists()
    assert stylegan2_tf.load(part).sample(2).shape == (2, 16, 16, 1)


def test_a_restart_between_stages_saves_the_model_of_the_stage_before(
        tiny_config, make_trainer, tmp_path):
    """A larger network must not be shown before it was trained, nor with its fade of 1."""
    out = tmp_path / "out"
    for _ in range(2):  # the second is complete at once
        assert make_trainer(tiny_config(epochs=1, **GROWING), out, count=8).run() == 0
        assert level_saved(out) == (0, 1.0)


def test_a_longer_run_keeps_the_stages_it_began_with(tiny_config, make_trainer, tmp_path):
    def trainer(epochs):
        return make_trainer(tiny_config(**{**GROWING, "stage_kimg": None, "epochs": epochs}),
                            tmp_path, count=8)

    first = trainer(1)
    assert first.run() == 0 and first.schedule.lengths == [4, 4, 4]
    again = trainer(9)
    assert again.schedule.lengths == [24, 24, 24]
    again._restore()
    assert again.schedule.stages == first.schedule.stages
    assert again.step_function.stage.level == 1  # of its last step


def test_a_row_of_the_log_is_of_one_stage(tiny_config, make_trainer, tmp_path):
    config = tiny_config(epochs=3, **{**GROWING, "stage_batch": "4,8", "stage_kimg": "0.012"})
    assert make_trainer(config, tmp_path, count=8).run() == 0
    found = [(int(row["step"]), int(row["nimg"]), float(row["stage"])) for row in rows(tmp_path)]
    assert found == [(2, 8, 4), (3, 12, 4), (4, 20, 8), (5, 28, 16)]


def test_a_small_stage_is_measured_at_full_size(tiny_config, make_trainer, tmp_path):
    config = tiny_config(epochs=1, metrics="swd", metrics_every=1, **GROWING)
    trainer = make_trainer(config, tmp_path, count=8)
    assert trainer.run() == 0
    row = rows(tmp_path)[-1]
    assert all(np.isfinite(float(row[name])) for name in ("eval/swd", "watch/diversity"))


# -- classes

OF_TWO_CLASSES = dict(labels=np.arange(20) % 2, classes=("AD", "NC"))


def test_a_conditional_run_names_its_classes(tiny_config, make_trainer, tmp_path):
    config = tiny_config(epochs=1, conditional=True, metrics="swd", arch="dcgan")
    trainer = make_trainer(config, tmp_path, **OF_TWO_CLASSES)
    assert trainer.run() == 0
    manifest = json.loads((tmp_path / "Model/manifest.json").read_text())
    assert manifest["classes"] == ["AD", "NC"]
    assert manifest["class_counts"] == [10, 10]
    array = trainer.images.array[:]
    shown = [np.flatnonzero((array == real).all((1, 2, 3))).item() % 2
             for real in trainer.keeper.album._reals]
    assert shown == [0, 1, 0, 1]  # beside fakes of their class
    loaded = stylegan2_tf.load(tmp_path)
    assert loaded.classes == ["AD", "NC"]
    first, second = (loaded.sample(2, label=name) for name in loaded.classes)
    assert np.abs(first - second).max() > 1e-3
    with Image.open(tmp_path / "samples/epoch-0001.png") as grid:  # every class in turn
        shown = np.asarray(grid, np.float32)[:16, 16:32] / 127.5 - 1
    expected = loaded.sample(4, seed=config.seed)[1, ..., 0]
    np.testing.assert_allclose(shown, expected, atol=0.01)
    with pytest.raises(DataError, match="classes"):
        make_trainer(tiny_config(epochs=2, conditional=True, arch="dcgan"), tmp_path,
                     **{**OF_TWO_CLASSES, "classes": ("CN", "MCI")}).run()


def test_each_image_is_trained_on_with_its_own_label(tiny_config, make_trainer, tmp_path,
                                                     monkeypatch):
    labels = np.arange(20) % 3
    trainer = make_trainer(tiny_config(epochs=1, conditional=True, arch="dcgan"), tmp_path,
                           labels=labels, classes=("AD", "MCI", "NC"))
    array, seen = trainer.images.array[:], []
    step = trainer.step_function.__call__

    def look(images, nimg, alpha, given):
        for image, label in zip(images, given, strict=True):
            index, = np.flatnonzero((array == image).all((1, 2, 3)))
            seen.append(index)
            assert label == labels[index]
        return step(images, nimg, alpha, given)

    monkeypatch.setattr(trainer, "step_function", Proxy(trainer.step_function, look))
    trainer.run()
    assert sorted(seen) == list(range(20))


def test_classes_that_only_choose_images_are_not_learned(tiny_config, make_trainer, tmp_path):
    trainer = make_trainer(tiny_config(classes="AD,NC"), tmp_path, **OF_TWO_CLASSES)
    assert trainer.step_function.generator.classes == []


# -- weights of another run


def test_weights_of_another_run_are_taken_once(tiny_config, make_trainer, tmp_path, capsys):
    first, out = tmp_path / "first", tmp_path / "out"
    make_trainer(tiny_config(epochs=1, arch="dcgan"), first).run()
    known = stylegan2_tf.load(first)
    config = tiny_config(epochs=1, arch="dcgan", seed=5, init_from=str(first))
    trainer = make_trainer(config, out)
    trainer._restore()
    z = np.ones((2, 8), np.float32)
    for network in (trainer.step_function.generator, trainer.step_function.generator_ema):
        np.testing.assert_array_equal(network(z), known.generator(z))
    assert f"weights of {first / 'Model' / 'generator.keras'}:" in capsys.readouterr().out
    trainer = make_trainer(config, out)
    assert trainer.run() == 0
    assert "weights of" in capsys.readouterr().out
    again = make_trainer(dataclasses.replace(config, epochs=2), out)
    assert again.run() == 0
    assert "weights of" not in capsys.readouterr().out
    assert again.nimg == 40


# -- metrics, hold-out, watchdog


def test_metrics_are_logged_and_choose_the_best_model(tiny_config, make_trainer, tmp_path):
    trainer = make_trainer(tiny_config(epochs=3, metrics="swd,coverage", metrics_every=2),
                           tmp_path)
    assert trainer.run() == 0
    measured = [row for row in rows(tmp_path) if row["eval/swd"]]
    assert [int(row["step"]) for row in measured] == [10, 15]  # every second epoch and the last
    assert all(row["eval/coverage"] and row["eval/seconds"] and row["watch/diversity"]
               for row in measured)
    manifest = json.loads((tmp_path / "Model/best/manifest.json").read_text())
    best = min(measured, key=lambda row: float(row["eval/swd"]))
    assert manifest["step"] == int(best["step"])
    assert manifest["swd"] == pytest.approx(float(best["eval/swd"]), rel=1e-4)
    assert stylegan2_tf.load(tmp_path / "Model/best").resolution == (16, 16)


def test_the_best_model_survives_a_restart_and_a_worse_value(tiny_config, make_trainer, tmp_path):
    config = tiny_config(epochs=1, metrics="coverage", metrics_every=1)
    first = make_trainer(config, tmp_path)
    first.run()
    again = make_trainer(tiny_config(epochs=2, metrics="coverage", metrics_every=1), tmp_path)
    again.examiner.examine = lambda nimg: {"eval/coverage": -1.0}  # worse than any
    again.run()
    manifest = json.loads((tmp_path / "Model/best/manifest.json").read_text())
    assert manifest["step"] == 5 and again.keeper.best == first.keeper.best


def test_held_out_images_are_what_metrics_compare_with(tiny_config, make_trainer, tmp_path, data):
    packed = pack(data, tmp_path / "cache", resolution=16, channels=1, progress=False)
    train, held = packed.part(np.arange(4, 20)), packed.part(np.arange(4))
    with RunFolder(tmp_path / "out") as folder:
        trainer = Trainer(tiny_config(metrics="swd"), train, folder, held)
        trainer.run()
    reference, = trainer.examiner._monitor._reference
    assert len(reference["16"]) == 4
    assert rows(tmp_path / "out")[-1]["watch/sign_holdout"]


class Alarmed:
    """A watchdog that has seen a collapse."""

    state = {}

    def __init__(self):
        self.alarms = self.suspects = [Alarm("collapse", "collapse at 1.0 kimg: a test")]

    def check(self, *arguments):
        return {}

    def note(self, *norms):
        pass

    def calm_down(self):
        pass


def test_a_run_that_ends_collapsed_says_so(tiny_config, make_trainer, tmp_path, capsys):
    trainer = make_trainer(tiny_config(), tmp_path)
    trainer.examiner.watchdog = Alarmed()
    assert trainer.run() == 70
    error = capsys.readouterr().err
    assert "error: the run ended in trouble: collapse at 1.0 kimg" in error
    assert final_state(tmp_path)[0] == "step-00000010"  # nothing is lost


def test_stop_ends_a_collapsing_run(tiny_config, make_trainer, tmp_path):
    trainer = make_trainer(tiny_config(epochs=5, on_collapse="stop", metrics_every=1), tmp_path)
    trainer.examiner.watchdog = Alarmed()
    with pytest.raises(NumericalError, match="stopped by --on-collapse: collapse"):
        trainer.run()
    assert trainer.step == 5


def test_rollback_halves_the_rates_three_times_then_stops(
        tiny_config, make_trainer, tmp_path, capsys):
    calm = make_trainer(
        tiny_config(epochs=1, on_collapse="rollback", metrics_every=1), tmp_path)
    calm.run()
    trainer = make_trainer(
        tiny_config(epochs=9, on_collapse="rollback", metrics_every=1), tmp_path)
    trainer.examiner.watchdog = Alarmed()
    with pytest.raises(NumericalError, match="collapse"):
        trainer.run()
    rate = float(calm.step_function.g_optimizer.learning_rate)
    assert float(trainer.step_function.g_optimizer.learning_rate) == pytest.approx(rate / 8)
    assert capsys.readouterr().err.count("rolled back") == 3
    assert final_state(tmp_path)[0] == "step-00000005"  # no collapsed state was saved
