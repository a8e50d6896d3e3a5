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

import pytest

from stylegan2_tf.config import TrainConfig
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
    r1_gamma=1.0, r1_interval=8, gradient_penalty_weight=1.0, drift_weight=0.0, fit="crop",
    cache="cache", checkpoint=2, keep=3, val=8, neptune=True, convolutions=1, r2_gamma=1.0,
    pl_weight=2.0, pl_interval=8, style_mixing=0.9, augment="none", augment_target=0.5,
    augment_kimg=500.0, mirror=True, holdout=0.1, subject_pattern="(.)", max_images=8,
    metrics="swd", metrics_every=2, on_collapse="stop", best_metric="kid", arch="dcgan",
    attention=8, spectral_norm=True, conditional=True, progressive=True, stage_kimg="1",
    stage_batch="8,4", d_lr=0.001, mapping_lr=0.001, d_dropout=0.1, init_from="another",
    classes="AD,NC", labels="labels.csv")


NEEDED = {"best_metric": {"metrics": "swd,kid"}, "stage_kimg": {"progressive": True},
          "stage_batch": {"progressive": True}, "labels": {"conditional": True}}


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
    """The labels of the images are part of the checkpoint; the path of their file is not."""
    assert set(CHANGEABLE) == {"data_dir", "labels", "output_dir", "epochs", "checkpoint", "keep",
                               "cache", "neptune", "metrics", "metrics_every", "best_metric",
                               "on_collapse"}


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
