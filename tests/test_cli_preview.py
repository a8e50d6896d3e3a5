"""`stylegan2-tf preview` from the command line."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.cli import main


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / f"case_{index // 2}_slice_{index}.png")
    return folder


def preview(*arguments):
    return main(["preview", *map(str, arguments)])


def refused(capsys, *arguments, code=2):
    """The one line of a command that is refused."""
    assert preview(*arguments) == code
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and printed.out == ""
    return lines[0]


def test_facts_and_a_picture(folder, tmp_path, capsys):
    assert preview(folder, tmp_path / "page.png") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0] == f"images         6 found below {folder}"
    assert "subjects       3 with 2 images each; by OASIS, like case_049_slice_7" in lines
    assert lines[-2].startswith("try            python run.py ")
    assert lines[-1] == f"written {tmp_path / 'page.png'}"
    with Image.open(tmp_path / "page.png") as image:
        assert image.format == "PNG"
    assert len(list(folder.iterdir())) == 6


def test_flags(folder, tmp_path, capsys):
    assert preview("--max-images", 3, folder, "--subject-pattern", r"slice_(\d+)",
                   tmp_path / "page.SVG") == 0
    printed = capsys.readouterr().out
    assert preview(folder, tmp_path / "new" / "page.pdf") == 0  # a missing folder is made
    assert (tmp_path / "new" / "page.pdf").read_bytes().startswith(b"%PDF")
    assert "3 of them looked at" in printed and "by --subject-pattern" in printed
    assert "<svg" in (tmp_path / "page.SVG").read_text()


def test_refusals(folder, tmp_path, capsys, monkeypatch):
    page = tmp_path / "page.png"
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("mine")
    assert "absent does not exist" in refused(capsys, tmp_path / "absent", page)
    assert "No images in" in refused(capsys, tmp_path / "empty", page, code=65)
    assert "--subject-pattern" in refused(capsys, folder, page, "--subject-pattern", "(")
    monkeypatch.setattr("stylegan2_tf.preview.findings.find_images", None)  # all else comes first
    assert "OUT: expected a file that ends in .png, .pdf, .svg, found" in refused(
        capsys, folder, tmp_path / "page.jpg")
    assert "OUT: expected outside of DATA" in refused(capsys, folder, folder / "page.png")
    assert "--max-images: expected at least 1, found 0" in refused(
        capsys, folder, page, "--max-images", 0)
    for out, found in ((tmp_path / "folder.png", "a folder"),
                       (folder / ".." / "file" / "page.png", "a file at ")):
        assert f"OUT {out}: expected a file that can be written, found {found}" in refused(
            capsys, folder, out, code=74)
    assert "the following arguments are required: OUT" in refused(capsys, folder)
    assert not page.exists()


def test_it_imports_no_tensorflow(folder, tmp_path):
    code = ("import sys; from stylegan2_tf.cli import main; code = main(sys.argv[1:])\n"
            "sys.exit(code or bool({'tensorflow', 'keras'} & set(sys.modules)))")
    subprocess.run([sys.executable, "-c", code, "preview", folder, tmp_path / "page.png"],
                   check=True, capture_output=True)
