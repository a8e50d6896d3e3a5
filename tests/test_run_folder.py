import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from stylegan2_tf import environment
from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import PackedImages, pack
from stylegan2_tf.errors import DataError, LockedError, OutputError, UsageError
from stylegan2_tf.options import flag
from stylegan2_tf.run_folder import CHANGEABLE, RunFolder, vet

HOLD = """
import sys
from stylegan2_tf.run_folder import RunFolder
with RunFolder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path / "out"`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "out")], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "out") as folder:
        yield folder


# -- paths


@pytest.mark.parametrize("name", ["run[1]", "what?", "a*b", "a\\b", "two\nlines", "a[1]/out"])
def test_paths_that_checkpoints_cannot_be_restored_from_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match="output_dir .*could not be restored"):
        RunFolder(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_refusal_names_the_characters():
    with pytest.raises(UsageError, match=r"found '\[' '\]'; "):
        vet("/data/run[1]")


def test_a_relative_path_is_vetted_with_its_parents(tmp_path, monkeypatch):
    (tmp_path / "a[1]").mkdir()
    monkeypatch.chdir(tmp_path / "a[1]")
    with pytest.raises(UsageError, match="output_dir"):
        RunFolder("out")


@pytest.mark.parametrize("path", ["", "  "])
def test_an_empty_path_is_refused(path):
    with pytest.raises(UsageError, match="output_dir: .*found an empty text"):
        vet(path)


def test_spaces_and_other_alphabets_are_fine(tmp_path):
    path = tmp_path / "Läufe (neu)" / "名 🧠"
    with RunFolder(path):
        assert path.is_dir()


# -- folders that cannot be written


@pytest.mark.parametrize("name", ["taken", "taken/out"])
def test_a_file_in_its_place_is_refused(tmp_path, name):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputError, match="output_dir .*expected a folder that can be written"):
        RunFolder(tmp_path / name)
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc, where nothing can be made")
def test_a_place_where_nothing_can_be_made_is_refused():
    with pytest.raises(OutputError, match="output_dir /proc/out: "):
        RunFolder("/proc/out")


def test_a_read_only_disk_is_refused(tmp_path):
    mounted = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none "$0" && "$@"', tmp_path]
    if not shutil.which("unshare") or subprocess.run([*mounted, "true"],
                                                     capture_output=True).returncode:
        pytest.skip("mounting a read-only disk needs root")
    code = "import sys; from stylegan2_tf.run_folder import RunFolder; RunFolder(sys.argv[1])"
    result = subprocess.run([*mounted, sys.executable, "-c", code, tmp_path],
                            capture_output=True, text=True)
    assert re.search("OutputError: output_dir .*Read-only file system", result.stderr)


def test_the_probe_is_gone(folder):
    assert os.listdir(folder.path) == [".lock"]


# -- the lock


def test_a_second_run_is_refused_at_once(tmp_path, holder):
    (tmp_path / "out" / ".tmp-1-config.json").write_text("being written")
    started = time.perf_counter()
    for _ in range(2):  # the refused one must not blot out who holds it
        with pytest.raises(LockedError) as refused:
            RunFolder(tmp_path / "out")
    assert time.perf_counter() - started < 1
    assert re.search(rf"in use by pid {holder.pid} on {re.escape(socket.gethostname())} "
                     r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; ", str(refused.value))
    assert (tmp_path / "out" / ".tmp-1-config.json").exists()


def test_a_killed_run_frees_the_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    started = time.perf_counter()
    holder.wait()
    with RunFolder(tmp_path / "out") as folder:
        assert time.perf_counter() - started < 1
        assert (folder.path / ".lock").read_text().startswith(f"pid {os.getpid()} on ")


def test_the_lock_ends_with_the_context(tmp_path):
    with RunFolder(tmp_path):
        with pytest.raises(LockedError):
            RunFolder(tmp_path)
    with RunFolder(tmp_path):
        pass


def test_leftovers_are_swept(tmp_path):
    leftovers = [tmp_path / ".tmp-7-config.json", tmp_path / "samples" / ".tmp-7-epoch.png",
                 tmp_path / "checkpoints" / ".tmp-step-00000004" / "state.index",
                 tmp_path / "Model" / ".tmp-7-generator.keras"]
    finished = tmp_path / "checkpoints" / "step-00000002" / "meta.json"
    for path in (*leftovers, finished):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    with RunFolder(tmp_path):
        assert not any(path.exists() for path in leftovers)
        assert finished.exists()


# -- the configuration

OTHER = dict(
    data_dir="elsewhere", output_dir="moved", g_input_res=8, g_init_filters=16, d_final_res=8,
    d_input_filters=8, fade_in_base=8.0, preset="stylegan2", resolution=32, channels=3,
    latent=16, w_dim=4, mapping_layers=3, max_filters=4, batch=8, epochs=3, lr=0.001,
    lr_scale=1.0, beta=0.0, beta2=0.9, fade_per="step", ema_kimg=1.0, seed=1, loss="wgan-gp",
    precision="bfloat16", devices=2,
    r1_gamma=1.0, r1_interval=8, gradient_penalty_weight=1.0, drift_weight=0.0, fit="crop",
    cache="cache", checkpoint=2, keep=3, val=8, neptune=True, convolutions=1, r2_gamma=1.0,
    pl_weight=2.0, pl_interval=8, style_mixing=0.9, augment="none", augment_target=0.5,
    augment_kimg=500.0, mirror=True, holdout=0.1, subject_pattern="(.)", max_images=8,
    metrics="swd", metrics_every=2, on_collapse="stop", best_metric="kid", arch="dcgan",
    attention=8, spectral_norm=True, conditional=True, progressive=True, stage_kimg="1",
    stage_batch="8,4", d_lr=0.001, mapping_lr=0.001, d_dropout=0.1, init_from="another",
    classes="AD,NC", labels="labels.csv")


NEEDED = {"best_metric": {"metrics": "swd,kid"}, "stage_kimg": {"progressive": True},
          "stage_batch": {"progressive": True}, "labels": {"conditional": True},
          "devices": {"batch": 8}}


@pytest.fixture
def saved(folder, tiny_config):
    """A folder in which the tiny run has saved a checkpoint."""
    folder.write_config(tiny_config())
    (folder.checkpoints / "step-00000004").mkdir(parents=True)
    return folder


def test_the_same_configuration_goes_on(saved, tiny_config):
    assert saved.compare(tiny_config()) == []


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrainConfig)])
def test_every_field_is_compared(saved, tiny_config, name):
    old, new = getattr(tiny_config(), name), OTHER[name]
    config = tiny_config(**{name: new}, **NEEDED.get(name, {}))
    if name in NEEDED:
        saved.write_config(tiny_config(**NEEDED[name]))
    if name in CHANGEABLE:
        assert saved.compare(config) == [f"changed: {flag(name)} {old} -> {new}"]
    else:
        with pytest.raises(UsageError) as refused:
            saved.compare(config)
        assert f"configuration: {flag(name)} (saved {old}, given {new}); " in str(refused.value)


def test_height_and_width_are_compared(folder, tiny_config):
    shape = dict(resolution="12x16", g_input_res="3x4", d_final_res="3x4")
    folder.write_config(tiny_config(**shape))
    (folder.checkpoints / "step-00000004").mkdir(parents=True)
    assert folder.compare(tiny_config(**shape)) == []
    with pytest.raises(UsageError, match="--resolution .saved 12x16, given 16x12."):
        folder.compare(tiny_config(resolution="16x12", g_input_res="4x3", d_final_res="4x3"))


def test_all_fields_that_differ_are_named_at_once(saved, tiny_config):
    with pytest.raises(UsageError) as refused:
        saved.compare(tiny_config(lr=0.001, g_init_filters=16, epochs=9))
    assert ("g_init_filters (saved 8, given 16); --lr (saved 0.0002, given 0.001); "
            in str(refused.value))
    assert "epochs" not in str(refused.value)


def test_what_may_change_changes_no_number_of_the_training():
    """The labels of the images are part of the checkpoint; the path of their file is not.

    More devices add the same numbers in another order, as more threads do.
    """
    assert set(CHANGEABLE) == {"data_dir", "labels", "output_dir", "epochs", "devices",
                               "checkpoint", "keep", "cache", "neptune", "metrics",
                               "metrics_every", "best_metric", "on_collapse"}


def test_without_a_checkpoint_there_is_nothing_to_lose(folder, tiny_config):
    folder.write_config(tiny_config())
    assert folder.compare(tiny_config(lr=0.001)) == []
    folder.write_config(tiny_config(lr=0.001))
    assert json.loads(folder.config_file.read_text())["lr"] == 0.001


def test_a_damaged_checkpoint_still_belongs_to_its_configuration(saved, tiny_config):
    (saved.checkpoints / "step-00000004").rename(saved.checkpoints / "step-00000004.bad")
    with pytest.raises(UsageError, match="--lr"):
        saved.compare(tiny_config(lr=0.001))


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7", "null", b"\xff"])
def test_an_unreadable_configuration_is_explained(saved, tiny_config, text):
    if text is None:
        saved.config_file.unlink()
    else:
        saved.config_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=r"config\.json: expected the configuration of a run"):
        saved.compare(tiny_config())


def test_a_configuration_of_a_later_version_names_the_unknown_field(saved, tiny_config):
    content = json.loads(saved.config_file.read_text()) | {"truncation": 0.7}
    saved.config_file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="'truncation'"):
        saved.compare(tiny_config())


# -- the images

SHAPE = dict(resolution=16, channels=1, progress=False)
IMAGES = {f"{name}.png": f"pixels of {name}" for name in "abcdef"}


def packed(images, skipped=()):
    """`PackedImages` of name -> digest; the fingerprint is that of the digests in their order."""
    return PackedImages(np.empty((len(images), 0)), " ".join(images.values()), tuple(images), (),
                        dict.fromkeys(skipped, "empty file"), digests=tuple(images.values()))


@pytest.fixture
def started(saved, tiny_config):
    """A folder whose run was started with `IMAGES` and has a checkpoint."""
    assert saved.compare_images(packed(IMAGES)) == []
    saved.write_config(tiny_config())
    return saved


def refusal(folder, images, **more):
    with pytest.raises(DataError) as refused:
        folder.compare_images(packed(images, **more))
    return str(refused.value)


def test_the_first_start_writes_the_images_down(folder, tiny_config):
    images = {**IMAGES, "Müller \udcff.png": "more"}
    folder.compare_images(packed(images))
    assert not (folder.path / "images.json").exists()  # something may still speak against the run
    folder.write_config(tiny_config())
    assert json.loads((folder.path / "images.json").read_text()) == {
        "fingerprint": packed(images).fingerprint, "images": images}
    (folder.checkpoints / "step-00000004").mkdir(parents=True)
    assert folder.compare_images(packed(images)) == []


def test_before_the_first_checkpoint_the_images_may_change(folder, tiny_config):
    for images in (IMAGES, {"other.png": "pixels"}):
        assert folder.compare_images(packed(images)) == []
        folder.write_config(tiny_config())
        assert json.loads((folder.path / "images.json").read_text())["images"] == images


@pytest.mark.parametrize("change, found", [
    ({"b.png": None}, "1 removed (b.png)"),
    ({"b.png": None, "d.png": None}, "2 removed (b.png, d.png)"),
    ({"new.png": "new"}, "1 added (new.png)"),
    ({"c.png": "drawn over"}, "1 altered (c.png)"),
    ({"b.png": None, "z/b.png": IMAGES["b.png"]}, "1 renamed (b.png to z/b.png)"),
    ({"a.png": IMAGES["b.png"], "b.png": IMAGES["a.png"]}, "2 altered (a.png, b.png)"),
    ({"b.png": None, "c.png": "drawn", "d.png": None, "new.png": "new", "z.png": IMAGES["d.png"]},
     "1 added (new.png), 1 removed (b.png), 1 altered (c.png), 1 renamed (d.png to z.png)"),
    ({"a.png": None, "two\nlines\udcff.png": "new"},
     r"1 added (two\nlines\udcff.png), 1 removed (a.png)")])
def test_images_that_changed_are_named(started, change, found):
    images = {name: pixels for name, pixels in {**IMAGES, **change}.items() if pixels is not None}
    text = refusal(started, images)
    assert text == (f"data_dir: expected the 6 images that the run in {started.path} was started "
                    f"with, found {found}; put them back as they were, or give another OUT "
                    "(--init-from takes these weights)")
    assert DataError.exit_code == 65
    assert json.loads((started.path / "images.json").read_text())["images"] == IMAGES
    assert started.compare_images(packed(IMAGES)) == []


def test_a_file_that_became_unreadable_is_not_called_removed(started):
    images = {name: pixels for name, pixels in IMAGES.items() if name not in ("a.png", "b.png")}
    assert "found 1 removed (a.png), 1 unreadable (b.png); " in refusal(
        started, images, skipped=["b.png"])


def test_each_copy_of_the_same_pixels_is_renamed_once(saved, tiny_config):
    saved.compare_images(packed({"a": "x", "b": "x", "c": "y"}))
    saved.write_config(tiny_config())
    assert "found 1 added (u), 2 renamed (a to s, b to t); " in refusal(
        saved, {"c": "y", "s": "x", "t": "x", "u": "x"})


def test_long_lists_are_cut(started):
    more = {f"{index:05}.png": f"new {index}" for index in range(2017)}
    assert ("found 2,017 added (00000.png, 00001.png, 00002.png, 00003.png, 00004.png and 2,012 "
            "more); ") in refusal(started, {**more, **IMAGES})


def test_many_renamed_files_are_compared_quickly(saved, tiny_config):
    images = {f"{index:06}": str(index) for index in range(50_000)}
    saved.compare_images(packed(images))
    saved.write_config(tiny_config())
    began = time.perf_counter()
    assert "found 1 added (new), 50,000 renamed (000000 to deep/000000, " in refusal(
        saved, {"new": "new", **{f"deep/{name}": pixels for name, pixels in images.items()}})
    assert time.perf_counter() - began < 5


def test_another_name_at_the_same_place_changes_no_number(started, tiny_config):
    images = {f"deep/{name}": pixels for name, pixels in IMAGES.items()}
    assert started.compare_images(packed(images)) == [
        "note: 6 images renamed since the start of the run (a.png to deep/a.png, b.png to "
        "deep/b.png, c.png to deep/c.png, d.png to deep/d.png, e.png to deep/e.png and 1 more); "
        "pixels and order are the same"]
    started.write_config(tiny_config())
    assert started.compare_images(packed(images)) == []


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7", "null", "{}", '{"images": []}',
                                  '{"images": 1, "fingerprint": 1}', "[" * 100_000])
def test_without_a_record_the_checkpoints_decide(started, tiny_config, text):
    """Runs of older versions have none; the fingerprint in each checkpoint is compared anyway."""
    record = started.path / "images.json"
    record.unlink() if text is None else record.write_text(text)
    assert started.compare_images(packed({"other.png": "pixels"})) == []
    started.write_config(tiny_config())  # which the trainer does once the checkpoint agrees
    assert json.loads(record.read_text())["images"] == {"other.png": "pixels"}


@pytest.fixture
def trained(tmp_path):
    """Folders `data` of five images and `out` of a run on them, and how the command goes on."""
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for index in range(5):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(data / f"{index}.png")
    config = TrainConfig(**{**TINY, "data_dir": str(data), "output_dir": str(out)})
    with RunFolder(out) as folder:
        folder.compare_images(pack(data, out / "cache", **SHAPE))
        folder.write_config(config)
        (folder.checkpoints / "step-00000004").mkdir(parents=True)
    return data, out, ["train", str(data), str(out), "4", "8", "4", "4", "4", *(
        "--resolution 16 --batch 4 --latent 8 --epochs 2 --val 4 --metrics none".split())]


def test_the_command_names_the_images_that_changed(trained, monkeypatch, capsys):
    data, out, command = trained
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # refused before it is needed
    (data / "1.png").rename(data / "renamed.png")
    (data / "2.png").write_bytes((data / "3.png").read_bytes())
    Image.new("L", (16, 16), 7).save(data / "new.png")
    assert main(command) == 65
    (line,) = capsys.readouterr().err.splitlines()
    assert (f"data_dir: expected the 5 images that the run in {out} was started with, found 1 "
            "added (new.png), 1 altered (2.png), 1 renamed (1.png to renamed.png); put") in line


def test_files_that_were_only_touched_or_moved_are_the_same(trained):
    data, out, _ = trained
    os.utime(data / "0.png", ns=(1, 1))
    Image.open(data / "1.png").save(data / "1.png", compress_level=0)  # other bytes, same pixels
    with RunFolder(out) as folder:
        assert folder.compare_images(pack(data, out / "cache", **SHAPE)) == []
        moved = data.rename(data.with_name("elsewhere"))
        assert folder.compare_images(pack(moved, out / "cache", **SHAPE)) == []


# -- the environment


def test_what_the_run_runs_on_is_noted_and_compared(folder, tiny_config, monkeypatch):
    now = {"keras": "3.15.1", "cores": 2}
    monkeypatch.setattr(environment, "describe", lambda: now)
    record = folder.path / "environment.json"
    record.write_text('{"keras": "1"}')
    assert folder.compare_environment() == []  # nothing goes on here
    folder.write_config(tiny_config())
    assert json.loads(record.read_text()) == now
    (folder.checkpoints / "step-00000004").mkdir(parents=True)
    assert folder.compare_environment() == []
    now = {"keras": "3.16.0", "cores": 2}
    assert folder.compare_environment() == [
        "note: keras 3.15.1 -> 3.16.0 since the last start: the numbers may differ in the last "
        "digits"]
    folder.write_config(tiny_config())
    assert folder.compare_environment() == []


@pytest.mark.parametrize("text", [None, "{", "[]", "\0"])
def test_a_record_that_is_missing_or_damaged_says_nothing(saved, text):
    record = saved.path / "environment.json"
    record.unlink() if text is None else record.write_text(text)
    assert saved.compare_environment() == []
