"""`train`, `--dry-run` and `evaluate` on a prepared set, on an archive and on 16 bits."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from tiny_run import eagerly

from stylegan2_tf.cli import main
from stylegan2_tf.preparation import read_prepared

SIZES = "4 8 4 4 4 --resolution 16 --batch 4 --latent 8 --epochs 1 --val 1 --mapping-layers 1"
FLAGS = "--metrics none --conditional --classes AD NC --holdout 0.25"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Images of eight people in two classes, 16 bits: an archive, a set, and a run on the set."""
    home, rng = tmp_path_factory.mktemp("home"), np.random.default_rng(0)
    with zipfile.ZipFile(home / "images.zip", "w") as archive:
        for label, start in (("AD", 1000), ("NC", 2000), ("MCI", 3000)):
            for person in range(start, start + 4):
                for number in range(2):
                    pixels = rng.integers(0, 65536, (16, 16), dtype=np.uint16)
                    Image.fromarray(pixels).save(home / "one.png")
                    archive.write(home / "one.png", f"train/{label}/{person}_{number}.png")
    assert main(["prepare", str(home / "images.zip"), str(home / "set")]) == 0
    with eagerly():
        assert run(home / "set", home / "run", SIZES, FLAGS) == 0
    return home


def run(data, out, *flags):
    return main(["train", str(data), str(out), *" ".join(flags).split()])


def test_training_reads_the_set_itself(home):
    assert read_prepared(home / "set").array.dtype == np.uint16
    assert not (home / "run" / "cache").exists()  # nothing was copied
    manifest = json.loads((home / "run" / "Model" / "manifest.json").read_text())
    assert manifest["class_counts"] == [6, 6]  # of four people in each, two are held out in all


def test_the_same_again_goes_on(home, capsys):
    with eagerly():
        assert run(home / "set", home / "run", SIZES, FLAGS) == 0
    assert "renamed" not in capsys.readouterr().out


def test_an_archive_trains_the_same(home):
    with eagerly():
        assert run(home / "images.zip", home / "other", SIZES, FLAGS) == 0
    one, two = (json.loads((home / name / "Model" / "manifest.json").read_text())["images"]
                for name in ("run", "other"))
    assert one == two


def test_dry_run_counts_and_writes_nothing(home, capsys):
    with eagerly():
        assert run(home / "images.zip", home / "dry", SIZES, FLAGS, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "AD 8, NC 8 images; 8 of others are left out" in printed
    assert "2 of 8 subjects, 4 images; subjects by BIDS" in printed
    assert not (home / "dry").exists()


def test_evaluation_knows_what_the_run_was_trained_on(home, tmp_path, capsys):
    assert main(["evaluate", str(home / "run"), str(home / "set"), "--n", "8", "--features",
                 "pixels", "--out", str(tmp_path / "report")]) == 0
    assert "is not what this generator was trained on" not in capsys.readouterr().out


def test_too_large_a_batch_is_one_line(home, tmp_path, capsys):
    assert run(home / "set", tmp_path / "out", SIZES.replace("--batch 4", "--batch 64")) == 2
    assert "expected at most the 24 images" in capsys.readouterr().err
