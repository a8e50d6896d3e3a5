"""Checks that several commands share."""

import argparse
import os

import pytest

from stylegan2_tf.cli import shared
from stylegan2_tf.errors import OutputError, UsageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "old.png").write_text("old")
    for out in ("old.png", "new.PNG", "deep/er/new.png"):
        shared.check_out(tmp_path / out, ".png", ".pdf")
    shared.check_out(tmp_path / "any")
    monkeypatch.chdir(tmp_path)
    shared.check_out("here.png", ".png")
    assert names(tmp_path) == ["old.png"]  # folders are made later


@pytest.mark.parametrize("out", ["some.jpg", "png", "some.png.txt"])
def test_endings(tmp_path, out):
    with pytest.raises(UsageError, match="--out: expected a file that ends in .png, .pdf, found "
                                         f".*{out}"):
        shared.check_out(tmp_path / out, ".png", ".pdf", name="--out")


def test_a_file_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    for out, found in (("folder.png", "found a folder"), ("file/a.png", "found a file at .*file"),
                       ("file/deep/a.png", "found a file at .*file"),
                       ("nowhere/a.png", "found a file at .*nowhere")):
        with pytest.raises(OutputError, match=f"OUT .*{out}: expected a file that can be written, "
                                              f"{found}"):
            shared.check_out(tmp_path / out, ".png")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))
    with pytest.raises(OutputError, match=f"OUT .*new.png: .*, found {tmp_path} read-only"):
        shared.check_out(tmp_path / "deep" / "new.png")


@pytest.mark.parametrize("psi", [10.5, -11.0, 1e39, float("nan"), float("-inf")])
def test_truncation_has_bounds(psi):
    with pytest.raises(UsageError, match="--truncation-psi: expected a finite number from -10 to 1"
                                         f"0, found {psi}".replace("+", r"\+")):
        shared.check_psi(psi)
    for inside in (-10.0, 0.0, 0.7, 10.0):
        shared.check_psi(inside)


def test_ranges():
    shared.check_range("steps", 2, 2, 31)
    shared.check_range("steps", 31, 2, 31)
    for steps in (1, 32):
        with pytest.raises(UsageError, match=f"--steps: expected 2 to 31, found {steps}"):
            shared.check_range("steps", steps, 2, 31)


@pytest.mark.parametrize("text", ["-1e3", "-.5", "-2", "-1.5E-3"])
def test_negative_numbers_are_no_flags(text):
    parser = argparse.ArgumentParser()
    shared.add_psi(parser)
    assert parser.parse_args(["--truncation-psi", text]).truncation_psi == float(text)
