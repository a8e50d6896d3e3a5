"""`stylegan2-tf evaluate` from the command line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf import artifacts, files
from stylegan2_tf.cli import main
from stylegan2_tf.data import divide, pack

PATTERN = r"case_\d(\d\d)"  # the subjects that the built-in patterns find, under other names


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folders `real` and `other` of ten people each, `fake`, `few`, `empty`, and a `run`."""
    home = tmp_path_factory.mktemp("evaluate")
    rng = np.random.default_rng(0)
    for name, first, count in (("real", 0, 10), ("other", 10, 5)):
        (home / name).mkdir()
        for person in range(first, first + count):
            for index in range(3):
                image = rng.integers(0, 256, (16, 16), np.uint8)
                Image.fromarray(image).save(home / name / f"case_{person:03d}_slice_{index}.png")
    shutil.copytree(home / "real", home / "same")
    for name, sides in (("fake", [16] * 12), ("few", [16, 20]), ("empty", [])):
        (home / name).mkdir()
        for index, side in enumerate(sides):
            Image.fromarray(rng.integers(0, 256, (side, side), np.uint8)).save(
                home / name / f"{index}.png")
    return home


@pytest.fixture(scope="module")
def run(home):
    """A run folder of an untrained generator that held out a fifth of the people."""
    from tiny import TINY

    from stylegan2_tf.config import TrainConfig
    from stylegan2_tf.trainer import make_networks

    config = TrainConfig(**{**TINY, "holdout": 0.2, "subject_pattern": PATTERN})
    packed = pack(home / "real", home / "cache", resolution=16, channels=1, progress=False)
    train, _, _ = divide(packed, holdout=0.2, subject_pattern=PATTERN)
    _, average, discriminator = make_networks(config)
    artifacts.save_models(home / "run" / "Model", average, discriminator,
                          config=config.public(), images=train.fingerprint)
    files.write_json(home / "run" / "config.json", config.to_json())
    return home / "run"


def evaluate(*arguments):
    return main(["evaluate", *map(str, arguments)])


def refused(capsys, *arguments):
    """The one line of an evaluation that is refused: 2 is a bad argument, 65 bad data."""
    assert evaluate(*arguments) in (2, 65)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_two_folders(home, tmp_path, capsys):
    assert evaluate(home / "fake", home / "real", "--features", "pixels", "--out",
                    tmp_path / "report") == 0
    printed = capsys.readouterr().out
    assert "swd (x 1000)" in printed and "privacy: pixels" in printed
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.json", "report.png", "report.html", "neighbours.png"}
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["provenance"]["images_on_each_side"] == 12
    assert report["provenance"]["train"]["images"] == 30


def test_a_run_is_judged_by_whom_it_held_out(home, run, tmp_path, capsys):
    assert evaluate(run, home / "real", "--n", 12, "--out", tmp_path) == 0
    assert "2 of 10 subjects" in capsys.readouterr().out
    about = json.loads((tmp_path / "report.json").read_text())["provenance"]
    assert about["train"]["images"] == 24 and about["holdout"]["images"] == 6
    assert about["fakes"]["sha256"] and about["extractor"].startswith("random sha256:")


def test_a_model_without_its_run_folder_is_told_the_subjects(home, run, tmp_path, capsys):
    shutil.copytree(run / "Model", tmp_path / "shared")
    assert evaluate(tmp_path / "shared", home / "real", "--n", 6, "--out", tmp_path / "report",
                    "--features", "pixels", "--subject-pattern", PATTERN) == 0
    assert "2 of 10 subjects" in capsys.readouterr().out


def test_other_images_than_the_run_was_trained_on(home, run, tmp_path, capsys):
    assert evaluate(run, home / "other", "--n", 6, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "is not what this generator was trained on" in printed and "tells its" not in printed


def test_a_holdout_folder(home, run, tmp_path):
    assert evaluate(run, home / "real", "--holdout", home / "other", "--n", 6, "--features",
                    "discriminator", "--out", tmp_path) == 0
    about = json.loads((tmp_path / "report.json").read_text())["provenance"]
    assert about["holdout"]["images"] == 15 and about["train"]["images"] == 24
    assert about["extractor"].startswith("discriminator sha256:")


def test_two_images_of_mixed_sizes(home, tmp_path, capsys):
    assert evaluate(home / "few", home / "real", "--features", "pixels", "--out", tmp_path) == 0
    assert "warning: only 2 images on each side" in capsys.readouterr().out


@pytest.mark.parametrize("flags, message", [
    (["--n", 1], "--n: expected at least 2, found 1"),
    (["--features", "inception"], "--inception-weights"),
    (["--features", "nonsense"], "--features"),
    (["--resolution", 8], "--resolution: expected sides of 16 to 1024"),
    (["--subject-pattern", "("], "--subject-pattern"),
    (["--channels", 2], "--channels"),
    (["--seed", -1], "--seed: expected 0 to"),
    (["--truncation-psi", 0.5], "--truncation-psi: expected with a model"),
    (["--truncation-psi", "nan"], "--truncation-psi: expected a finite number"),
    (["--inception-weights", "file"], "--inception-weights: expected with --features inception"),
    (["--truncation-psi", "much"], "--truncation-psi"),
])
def test_refusals(home, tmp_path, capsys, flags, message):
    assert message in refused(capsys, home / "fake", home / "real", "--out", tmp_path / "report",
                              *flags)


def test_more_refusals(home, run, tmp_path, capsys):
    out = ("--out", tmp_path / "report")
    assert "No images in" in refused(capsys, home / "empty", home / "real", *out)
    assert "--resolution: expected with two folders only" in refused(
        capsys, run, home / "real", "--resolution", 32, *out)
    assert "On both sides" in refused(
        capsys, home / "fake", home / "real", "--holdout", home / "same", *out)
    assert "--out: expected outside of REAL_FOLDER" in refused(
        capsys, home / "fake", home / "real", "--out", home / "real" / "report")
    (tmp_path / "started" / "checkpoints").mkdir(parents=True)
    assert "a run without one yet" in refused(
        capsys, tmp_path / "started", home / "real", *out)
    assert "does not exist" in refused(capsys, home / "fake", tmp_path / "absent", *out)
