"""What a model's files say without TensorFlow."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small import FAMILIES, make_discriminator, make_generator
from tiny import TINY

from stylegan2_tf import files
from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import divide, division_of, pack
from stylegan2_tf.errors import DataError
from stylegan2_tf.model_info import Images, read_info
from stylegan2_tf.networks import StyleGANSynthesis

CLASSES = ("AD", "NC")
PEOPLE, SLICES = 10, 3
LOG = """step,nimg,epoch,seconds,d_loss
10,40,1.5,7.5,1.25
11,44,{epoch},8.25,
11,44,cut
12,48,3,9,1.125
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A conditional run `run` on images of 10 people, of whom 2 are held out."""
    home = tmp_path_factory.mktemp("info")
    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        folder = home / "data" / CLASSES[person % 2]
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(SLICES):
            Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(
                folder / f"case_{person:03d}_slice_{index}.png")
    config = TrainConfig(**{**TINY, "data_dir": str(home / "data"), "conditional": True,
                            "holdout": 0.2, "mapping_layers": 1, "lr": 0.001})
    run = home / "run"
    packed = pack(home / "data", run / "cache", resolution=16, channels=1, progress=False)
    train, held, _ = divide(packed, **division_of(config.to_json()))
    assert (len(train), len(held)) == (24, 6)
    _, average, discriminator = make_networks(config, CLASSES)
    save_models(run / "Model", average, discriminator, step=11, nimg=44,
                images=train.fingerprint, classes=list(CLASSES), config=config.public())
    files.write_json(run / "config.json", config.to_json())
    (run / "log.csv").write_text(LOG.format(epoch=format(44 / 24, ".7g")))
    files.write_json(run / "checkpoints/step-00000011/meta.json", {
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"}})
    return home


@pytest.fixture
def run(home, tmp_path):
    """A copy of the run, to be changed."""
    return shutil.copytree(home / "run", tmp_path / "run")


def change_manifest(run, **values):
    path = run / "Model" / "manifest.json"
    content = {**json.loads(path.read_text()), **values}
    content.pop("sha256", None)  # earlier versions wrote none
    path.write_text(json.dumps(content))


def manifest_config(run):
    return json.loads((run / "Model" / "manifest.json").read_text())["config"]


def change_config(run, **values):
    path = run / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# -- what is known


@pytest.mark.parametrize("part", [".", "Model", "Model/generator.keras"])
def test_all_that_a_run_tells(home, part):
    info = read_info(home / "run" / part)
    model = home / "run" / "Model"
    assert info.path == model / "generator.keras"
    assert (info.architecture, info.resolution, info.z_dim, info.w_dim, info.classes) == (
        "StyleGAN2", (16, 16), 8, 8, ["AD", "NC"])
    assert info.hashes == {name: files.sha256(model / name)
                           for name in ("generator.keras", "discriminator.keras")}
    assert info.verified and info.best == {}
    assert info.training == {"step": 11, "nimg": 44, "epoch": 1.833333, "seconds": 8.25}
    fingerprint = json.loads((model / "manifest.json").read_text())["images"]
    per_class = {name: sum(SLICES for person in range(PEOPLE) if CLASSES[person % 2] == name)
                 for name in CLASSES}
    assert info.images == Images(fingerprint, 24, 6, 8, 2, info.images.classes)
    assert sum(info.images.classes.values()) == 24
    assert all(0 < count <= per_class[name] for name, count in info.images.classes.items())
    assert info.versions["tensorflow"] == "2.21.0" and info.versions["keras"] == "3.15.1"
    assert info.versions["saved"].startswith("20")
    assert info.config["data_dir"] == str(home / "data")


def test_settings_are_the_sizes_and_what_is_not_the_default(home):
    settings = read_info(home / "run").settings(("data_dir", "output_dir"))
    assert settings == ["4", "8", "4", "4", "4.0", "--resolution 16", "--latent 8",
                        "--mapping-layers 1", "--conditional", "--batch 4", "--epochs 2",
                        "--lr 0.001", "--holdout 0.2", "--val 4", "--metrics none"]


def test_settings_of_another_version_and_with_blanks(run):
    change_manifest(run, config={"batch": 128, "g_input_res": 8, "new": 1,
                                 "subject_pattern": "(a|b) c\n"})
    assert read_info(run).settings() == ["8", "--new 1", r"--subject-pattern '(a|b) c\n'"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("more", [{}, {"level": 1, "classes": CLASSES, "attention": 8}])
def test_sizes_and_parameters_are_those_of_the_network(tmp_path, family, more):
    generator = make_generator(family, base_resolution=[2, 4], channels=3, **more)
    generator.save(tmp_path / "generator.keras")
    info = read_info(tmp_path)
    assert info.parameters == {"generator": generator.count_params()}
    assert (info.resolution, info.z_dim, info.w_dim, info.synthesis["channels"]) == (
        generator.resolution, generator.z_dim, generator.mapping.w_dim, 3)
    assert info.classes == generator.classes
    assert info.architecture == dict(zip(FAMILIES, (
        "StyleGAN2", "StyleGAN", "DCGAN with skips"), strict=True))[family]


@pytest.mark.parametrize("more", [{}, {"spectral_norm": True, "label_dim": 2, "attention": 16}])
def test_parameters_of_the_discriminator(tmp_path, more):
    discriminator = make_discriminator(**more)
    save_models(tmp_path, make_generator(StyleGANSynthesis), discriminator)
    assert read_info(tmp_path).parameters["discriminator"] == discriminator.count_params()


def test_the_best_model_of_a_run(run):
    change_manifest(run, step=10, nimg=40, swd=64.25)
    shutil.copytree(run / "Model", run / "Model" / "best")
    info = read_info(run / "Model" / "best")
    assert info.best == {"swd": 64.25}
    assert info.training == {"step": 10, "nimg": 40, "epoch": 1.5, "seconds": 7.5}
    assert info.images.trained == 24 and "tensorflow" not in info.versions


def test_a_file_alone(home, tmp_path):
    shutil.copy(home / "run/Model/generator.keras", tmp_path / "copy.keras")
    info = read_info(tmp_path / "copy.keras")
    assert not info.verified and list(info.hashes) == ["copy.keras"]
    assert (info.config, info.training, info.settings(), info.images) == ({}, {}, [], Images())
    assert list(info.parameters) == ["generator"] and info.classes == ["AD", "NC"]


def test_other_images_in_the_cache_are_not_taken_for_those_of_the_model(run):
    change_manifest(run, images="0" * 64)
    assert read_info(run).images == Images("0" * 64, trained=24)  # by the log


def test_the_cache_may_lie_elsewhere(home, run, tmp_path):
    shutil.move(run / "cache", tmp_path / "cache")
    assert read_info(run).images.held is None
    change_config(run, cache=str(tmp_path / "cache"))
    change_manifest(run, config={name: value for name, value in manifest_config(run).items()
                                 if name != "cache"})
    assert read_info(run).images.held == 6


def test_outside_of_its_run_folder_a_model_tells_no_path(home, run, tmp_path):
    shutil.copytree(run / "Model", tmp_path / "shared")
    config = read_info(tmp_path / "shared").config
    assert config == manifest_config(run) and "data_dir" not in config
    assert config["labels"] is None  # known not to have been given
    assert str(home) not in (run / "Model" / "manifest.json").read_text()


@pytest.mark.parametrize("change", [
    {"lr": 0.5}, {"seed": 1}, {"subject_pattern": "(.)"}, {"init_from": "another"}])
def test_the_config_of_another_run_is_not_taken(run, change):
    change_config(run, **change)
    assert read_info(run).config == manifest_config(run)


def test_what_may_change_between_starts_does_not_make_another_run(home, run):
    change_config(run, epochs=9, metrics="swd", data_dir="moved", keep=5)
    config = read_info(run).config
    assert (config["epochs"], config["data_dir"]) == (2, "moved")
    assert list(config) == list(TrainConfig.__dataclass_fields__)  # in the order of the flags


@pytest.mark.parametrize("text", [None, "{", "[]", "7", "{}", "[" * 100_000, "\udcff"])
def test_the_config_of_a_run_may_be_damaged(run, text):
    path = run / "config.json"
    path.unlink() if text is None else path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_info(run).config == manifest_config(run)


def test_a_manifest_of_an_older_version_tells_its_paths(run):
    change_manifest(run, config={**manifest_config(run), "data_dir": "as it was"})
    assert read_info(run).config["data_dir"] == "as it was"


def test_without_a_manifest_the_run_does_not_speak_for_the_model(run):
    change_manifest(run, config={})
    assert read_info(run).config == {}
    (run / "Model" / "manifest.json").unlink()
    assert read_info(run).config == {}


@pytest.mark.parametrize("damage", [
    lambda run: (run / "log.csv").unlink(),
    lambda run: (run / "log.csv").write_text("step,nimg\n11,44\n"),
    lambda run: (run / "log.csv").write_text(LOG.format(epoch="2").replace("11,44", "13,52")),
    lambda run: (run / "log.csv").write_text(LOG.format(epoch="2").replace("11,44", "11,52")),
])
def test_without_its_row_in_the_log(run, damage):
    damage(run)
    shutil.rmtree(run / "cache")
    info = read_info(run)
    assert info.training == {"step": 11, "nimg": 44} and info.images.trained is None


@pytest.mark.parametrize("name, text", [
    ("cache", "{"), ("cache", "[]"), ("cache", '{"files": [[]], "skipped": {}}'),
    ("cache", '{"files": [["a.png"]], "skipped": {}, "fingerprint": "x"}'),
    ("checkpoints", "[]"), ("checkpoints", '{"versions": 1}'), ("checkpoints", "\udcff"),
])
def test_what_lies_around_a_model_may_be_damaged(run, name, text):
    for path in (run / name).rglob("*.json"):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    info = read_info(run)
    assert info.training["step"] == 11 and info.images.trained == 24
    assert info.images.held == (None if name == "cache" else 6)


# -- what is refused


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_changed_file_is_refused(run):
    flip(run / "Model" / "generator.keras")
    with pytest.raises(DataError, match=r"or.keras: expected the SHA-256 \w{12} of manifest.json"):
        read_info(run)
    (run / "Model" / "manifest.json").unlink()
    with pytest.raises(DataError, match="generator.keras: expected a model saved by stylegan2_tf"):
        read_info(run)  # the archive has checksums of its own


def test_a_discriminator_that_is_damaged_hides_nothing_of_the_generator(run):
    whole, model = read_info(run), run / "Model"
    assert whole.problem == "" and len(whole.hashes) == 2
    flip(model / "discriminator.keras")
    info = read_info(run)
    assert info.problem.startswith(f"{model / 'discriminator.keras'}: expected the SHA-256 ")
    assert info == replace(
        whole, problem=info.problem,
        hashes={"generator.keras": whole.hashes["generator.keras"]},
        parameters={"generator": whole.parameters["generator"]})
    (model / "manifest.json").unlink()
    assert "expected a model saved by stylegan2_tf" in read_info(run).problem
    shutil.copy(model / "generator.keras", model / "discriminator.keras")
    assert "expected a Discriminator, found Generator" in read_info(run).problem


def test_both_hashes_of_a_save_that_was_cut_short_are_good(run):
    known = json.loads((run / "Model/manifest.json").read_text())["files"]
    entry = known["generator.keras"]["sha256"]
    change_manifest(run, files={**known, "generator.keras": {"sha256": ["0" * 64, *entry]}})
    assert read_info(run).verified


def test_a_manifest_of_other_files_verifies_nothing(run):
    change_manifest(run, files={})
    assert not read_info(run).verified


@pytest.mark.parametrize("text", [
    "{", "[]", "{}", '{"files": []}', '{"files": {"generator.keras": {}}}',
    '{"files": {"generator.keras": {"sha256": [1]}}}', '{"files": {}, "config": []}',
    '{"files": {}, "step": "1"}', '{"files": {}, "images": 1}', "[" * 100_000,
])
def test_a_manifest_that_is_none(run, text):
    (run / "Model" / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="manifest.json: expected the manifest of a run, found: "):
        read_info(run)


@pytest.mark.parametrize("part, message", [
    ("nowhere", "nothing there"), ("run/cache", "no model in it yet"),
    ("run/Model/discriminator.keras", "expected a Generator, found Discriminator"),
    ("run/config.json", "expected a model saved by stylegan2_tf")])
def test_what_is_no_model(home, part, message):
    with pytest.raises(DataError, match=message):
        read_info(home / part)


def test_tensorflow_stays_out(home):
    code = ("import sys\n"
            "from stylegan2_tf.cli import main\n"
            f"assert main(['info', {str(home / 'run')!r}]) == 0\n"
            f"assert main(['card', {str(home / 'run')!r}]) == 0\n"
            "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr
