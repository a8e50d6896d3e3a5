"""`stylegan2-tf export` from the command line; what is exported is tested in test_export.py."""

import pytest
from small import FAMILIES, make_generator

from stylegan2_tf import archive, export, manifest
from stylegan2_tf.cli import export as module
from stylegan2_tf.cli import main
from stylegan2_tf.errors import NumericalError
from stylegan2_tf.latent import sampling
from stylegan2_tf.latent.sampling import LoadedGenerator

KINDS = {"plain": {}, "conditional": dict(classes=("AD", "N\nC"), channels=3),
         "dcgan": dict(family=FAMILIES[2])}


@pytest.fixture
def asked(monkeypatch):
    """What the command asks for, instead of doing it."""
    asked = []
    monkeypatch.setattr(export, "NEEDED", {})
    monkeypatch.setattr(manifest, "generator_file", lambda path: path)
    monkeypatch.setattr(archive, "check_model", lambda path, kind: None)
    monkeypatch.setattr(sampling, "load", lambda path: LoadedGenerator(
        make_generator(filters=(4, 4), **KINDS[path])))
    monkeypatch.setattr(module, "export_generator", lambda generator, *rest: (
        asked.append((generator.channels, *rest)), 3e-7)[1])
    return asked


@pytest.mark.parametrize("flags, form, psi", [
    ([], "savedmodel", 1.0), (["--format", "litert", "--truncation-psi", "0.7"], "litert", 0.7)])
def test_what_is_asked_for_and_said(asked, tmp_path, capsys, flags, form, psi):
    out = str(tmp_path / f"model{export.ENDINGS[form]}")
    assert main(["export", "conditional", out, *flags]) == 0
    assert asked == [(3, out, form, psi)]
    assert capsys.readouterr().out.splitlines() == [
        "from z     z [N, 5], label [N, 2] -> image [N, 8, 8, 3] in [-1, 1], "
        f"truncation psi {psi:g}",
        r"label      1 for the class, 0 for the others, in this order: AD, N\nC",
        "from w     w [N, 7] -> image [N, 8, 8, 3], the signature 'w', not truncated",
        "checked    loaded again, at most 3.0e-07 from Keras for 1, 2 and 7 images (0.0001 "
        "allowed)", f"written    {out}"]


def test_onnx_has_one_signature(asked, tmp_path, capsys):
    assert main(["export", "plain", str(tmp_path / "model.onnx"), "--format", "onnx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "from z     z [N, 5] -> image [N, 8, 8, 1] in [-1, 1], truncation psi 1"
    assert [line[:10].rstrip() for line in lines] == ["from z", "checked", "written"]


@pytest.mark.parametrize("flags, message", [
    (["model.txt", "--format", "onnx"], "OUT: expected a file that ends in .onnx"),
    (["model.onnx"], "OUT: expected a folder"),
    (["."], "OUT: expected a new or empty folder"),
    (["model", "--format", "keras"], "--format: invalid choice"),
    (["model", "--truncation-psi", "nan"], "--truncation-psi: expected a finite number"),
    (["model", "--truncation-psi", "11"], "found 11"),
])
def test_what_cannot_be(asked, tmp_path, monkeypatch, capsys, flags, message):
    check_refusal(asked, tmp_path, monkeypatch, capsys, "plain", flags, message)


def test_truncation_needs_styles(asked, tmp_path, monkeypatch, capsys):
    check_refusal(asked, tmp_path, monkeypatch, capsys, "dcgan", [
        "model", "--truncation-psi", "0.7"], "expected a generator with styles, which truncation")
    assert main(["export", "dcgan", "model"]) == 0


def check_refusal(asked, tmp_path, monkeypatch, capsys, model, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["export", model, *flags]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and len(printed.err.splitlines()) == 1 and not asked
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_failing_parity_is_an_error(asked, tmp_path, monkeypatch, capsys):
    def refuse(*arguments):
        raise NumericalError("found a difference")

    monkeypatch.setattr(module, "export_generator", refuse)
    assert main(["export", "plain", str(tmp_path / "model")]) == 70
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == "stylegan2-tf: error: found a difference\n"
