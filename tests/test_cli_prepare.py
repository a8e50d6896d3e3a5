"""`stylegan2-tf prepare`: what it prints, its refusals, and what it does not import."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.cli import main
from stylegan2_tf.preparation import read_prepared


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for label, start in (("AD", 1000), ("NC", 2000)):
        for subject in range(start, start + 4):
            for number in range(2):
                path = tmp_path / "images" / label / f"{subject}_{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (12, 10), dtype=np.uint8)).save(path)
    return tmp_path / "images"


def prepare(*arguments):
    return main(["prepare", *map(str, arguments)])


def refused(capsys, *arguments, code=2):
    assert prepare(*arguments) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("stylegan2-tf: error: ")
    return error


def test_it_says_what_came_of_it(folder, tmp_path, capsys):
    (folder / "AD" / "broken.png").touch()
    assert prepare(folder, tmp_path / "out", "--subject-pattern", r"(\d+)_|broken") == 2
    (folder / "AD" / "broken.png").rename(folder / "AD" / "1003_9.png")
    capsys.readouterr()
    assert prepare(folder, tmp_path / "out") == 0
    printed = capsys.readouterr()
    assert printed.out == (f"16 images of 12x10x1, uint8, in {tmp_path}/out of 8 subjects; AD 8, "
                           "NC 8\n")
    assert printed.err == "left out 1 files:\n  AD/1003_9.png: empty file\n"
    assert prepare(folder, tmp_path / "out") == 0  # nothing left to do
    assert capsys.readouterr().out.startswith("16 images of 12x10x1")


def test_parts_are_listed(folder, tmp_path, capsys):
    assert prepare(folder, tmp_path / "out", "--split", "train=0.75,test=0.25", "--resolution",
                   "8x6", "--channels", 3, "--bits", 16, "--shards", 2, "--classes", "AD",
                   "--include", "*_[01].png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"train          6 images of 8x6x3, uint16, in {tmp_path}/out/train of 3 "
                     "subjects; AD 6",
                     f"test           2 images of 8x6x3, uint16, in {tmp_path}/out/test of 1 "
                     "subjects; AD 2"]
    assert read_prepared(tmp_path / "out" / "train").array.shape == (6, 8, 6, 3)


def test_a_window_is_said(tmp_path, capsys):
    nibabel = pytest.importorskip("nibabel")
    voxels = np.arange(240, dtype=np.int16).reshape(8, 6, 5)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "scan.nii")
    assert prepare(tmp_path / "scan.nii", tmp_path / "out", "--window", "wl=40,80", "--axis",
                   "sagittal", "--slices", "1-6", "--per-volume", 3, "--bits", 16) == 0
    assert "black is 0, white 80: values of the volume\n" in capsys.readouterr().out


def test_refusals(folder, tmp_path, capsys):
    out = tmp_path / "out"
    for flags, text in (
            (("--resolution", "0"), "--resolution: expected"),
            (("--resolution", "9999999"), "--resolution: expected sides of at most 8192"),
            (("--split", "train=2"), "--split: expected"), (("--shards", 0), "--shards: expected"),
            (("--workers", 0), "--workers: expected"), (("--seed", -1), "--seed: expected"),
            (("--window", "wl=3"), "--window: expected"), (("--axis", "up"), "--axis"),
            (("--slices", "90%-10%"), "--slices: expected"), (("--empty", 2), "--empty: expected"),
            (("--include", "*.nii"), "--include: expected a pattern"),
            (("--classes", "XX"), "--classes: expected"),
            (("--subject-pattern", "("), "--subject-pattern"),
            (("--labels", tmp_path / "none.csv"), "none.csv"),
            (("--anonymise", out / "key"), "--anonymise: expected a key outside of OUT")):
        assert text in refused(capsys, folder, out, *flags), flags
        assert not list(out.glob("[!.]*"))
    assert "found nothing at" in refused(capsys, tmp_path / "absent", out)
    assert prepare(folder, out) == 0
    capsys.readouterr()
    assert "--bits (there not given, given 16)" in refused(capsys, folder, out, "--bits", 16)


def test_it_imports_no_tensorflow(folder, tmp_path):
    code = ("import sys; from stylegan2_tf.cli import main; code = main(sys.argv[1:])\n"
            "sys.exit(code or bool({'tensorflow', 'keras'} & set(sys.modules)))")
    subprocess.run([sys.executable, "-c", code, "prepare", folder, tmp_path / "out"], check=True,
                   capture_output=True)
