"""What is shared names no patient: models, logs, pictures and cards of a run on such files."""

import dataclasses
import json
import os
import platform
import socket
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.fields import PRIVATE
from stylegan2_tf.tracking import read_offline

SECRET = "PATIENT_Müller"
CHECKED_WORDS = {"stage_kimg", "stage_batch", "metrics"}  # only numbers, or names of METRICS
LOCAL = {"config.json", "images.json", ".lock"}  # which stay where the images are


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with images, labels, a model to start from and a run, all named after a patient."""
    import tensorflow as tf

    from stylegan2_tf.artifacts import save_models
    from stylegan2_tf.building import make_networks

    home = tmp_path_factory.mktemp(SECRET)
    random, rows = np.random.default_rng(0), ["file,label"]
    for person in range(6):
        for index in range(3):
            path = home / f"{SECRET}_data" / f"{SECRET}_{person}" / f"{SECRET}_{person}_{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(path)
            rows.append(f"{path.name},{SECRET}_{'old' if person % 2 else 'young'}")
    (home / f"{SECRET}.csv").write_text("\n".join(rows), encoding="utf-8")
    sizes = dict(g_input_res=4, g_init_filters=8, d_final_res=4, d_input_filters=4, latent=8,
                 resolution=16, batch=4)
    _, average, discriminator = make_networks(TrainConfig(**sizes))
    save_models(home / f"{SECRET}_first", average, discriminator)
    tf.config.run_functions_eagerly(True)  # compiling takes seconds
    with pytest.MonkeyPatch.context() as patch:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("ignore")
            import neptune.metadata_containers.run as neptune_run

        for variable in [name for name in os.environ if name.startswith("NEPTUNE")]:
            patch.delenv(variable)
        for variable in ("USER", "LOGNAME", "HOSTNAME"):
            patch.setenv(variable, SECRET)
        for module, name in ((socket, "gethostname"), (platform, "node"),
                             (neptune_run, "get_hostname")):
            patch.setattr(module, name, lambda: SECRET)
        try:
            assert main([
                "train", str(home / f"{SECRET}_data"), str(home / f"{SECRET}_out"), "4", "8", "4",
                "4", "8", "--resolution", "16", "--batch", "4", "--latent", "8", "--val", "4",
                "--epochs", "1", "--metrics", "swd", "--best-metric", "swd", "--neptune",
                "--holdout", "0.3", "--classes", f"{SECRET}_old,{SECRET}_young",
                "--labels", str(home / f"{SECRET}.csv"), "--cache", str(home / f"{SECRET}_cache"),
                "--subject-pattern", rf"{SECRET}_(\d)_", "--init-from",
                str(home / f"{SECRET}_first")]) == 0
        finally:
            tf.config.run_functions_eagerly(False)
    return home


@pytest.fixture(scope="module")
def out(home):
    return home / f"{SECRET}_out"


def contents(path):
    """(Name, bytes) of a file, and of what a zip archive holds."""
    yield str(path), path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield f"{path}: {name}", name.encode() + archive.read(name)


def naming(path):
    """What names the patient in a file; no encoding of letters hides the first word."""
    words = [word.encode(code) for word in ("PATIENT_", "Müller")
             for code in ("utf-8", "utf-16-le")]
    return [name for name, content in contents(path)
            if any(word.lower() in content.lower() for word in words)]


def test_every_private_field_was_given_and_is_kept_in_the_run_folder(out):
    config = json.loads((out / "config.json").read_text())
    assert set(PRIVATE) <= set(config)
    assert all(SECRET in config[name] for name in PRIVATE)
    assert all(naming(out / name) for name in LOCAL)  # so `naming` finds what is there


def test_every_field_with_words_of_the_user_is_private():
    words = {field.name for field in dataclasses.fields(TrainConfig)
             if field.type in (str, str | None, "str", "str | None")
             and not field.metadata["choices"]}
    assert words == {*PRIVATE, *CHECKED_WORDS}


def test_what_was_not_given_is_told(tiny_config):
    config = tiny_config(labels="labels.csv", conditional=True)
    assert config.public() == {name: value for name, value in config.to_json().items()
                               if name not in ("data_dir", "output_dir", "labels")}
    assert config.public()["init_from"] is None


def test_no_file_of_the_run_names_the_patient_but_those_that_stay(out):
    paths = [path for path in out.rglob("*") if path.is_file() and path.name not in LOCAL]
    found = {path.relative_to(out).parts[0] for path in paths}
    assert found >= {"Model", "checkpoints", "environment.json", "log.csv", "losses.png", "neptune",
                     "samples", "tensorboard", "training.gif"}
    assert (out / "Model/best/manifest.json") in paths
    assert [name for path in paths for name in naming(path)] == []
    assert [path for path in paths if SECRET in str(path.relative_to(out))] == []


def test_the_records_still_hold_the_settings(out):
    parameters = read_offline(out / "neptune")["parameters"]
    manifest = json.loads((out / "Model/manifest.json").read_text())
    for settings in (parameters, manifest["config"]):
        assert (settings["batch"], settings["holdout"]) == (4, 0.3)
        assert not set(PRIVATE) & set(settings)
    assert len(parameters) == len(manifest["config"])


def test_the_card_names_no_patient_and_info_only_on_the_screen(out, tmp_path, capsys):
    assert main(["card", str(out), str(tmp_path / "card.md")]) == 0
    assert naming(tmp_path / "card.md") == []
    assert "started from the weights of another model" in (tmp_path / "card.md").read_text()
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert f"{SECRET}_data" in capsys.readouterr().out


def test_what_generate_writes_names_no_patient(out, tmp_path):
    assert main(["generate", str(out), str(tmp_path / "images"), "--seeds", "0-1",
                 "--grid", "1x2"]) == 0
    written = [path for path in (tmp_path / "images").rglob("*") if path.is_file()]
    assert written and [name for path in written for name in naming(path)] == []
