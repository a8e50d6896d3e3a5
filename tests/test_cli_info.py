"""`stylegan2-tf info` from the command line."""

import json

import pytest
from test_model_card import HASH, make_info

from stylegan2_tf import model_info
from stylegan2_tf.cli import main
from stylegan2_tf.model_info import LICENCE, Images


@pytest.fixture
def shown(monkeypatch, capsys):
    """A function that prints an invented model and returns name -> text, a list if several."""
    def show(**changes):
        info = make_info(**changes)
        monkeypatch.setattr(model_info, "read_info", lambda path: info)
        assert main(["info", "run"]) == 0
        lines = {}
        for line in capsys.readouterr().out.splitlines():
            lines.setdefault(line[:13].strip(), []).append(line[13:])
        return {name: texts[0] if len(texts) == 1 else texts for name, texts in lines.items()}

    return show


def test_every_line(shown):
    hashes = {"generator.keras": HASH, "discriminator.keras": "00" * 32}
    assert shown(parameters={"generator": 26847, "discriminator": 1}, hashes=hashes,
                 best={"swd": 64.0108}, versions={"keras": "3.15.1", "saved": "2026"}) == {
        "model": "/home/me/out/Model/generator.keras",
        "network": "StyleGAN2, 60x64x1, z 1234, w 5; channels from 15x16 up: 8 6 4",
        "parameters": "26,847 of the generator, 1 of the discriminator",
        "classes": "none: not trained with --conditional",
        "settings": "--batch 7 --labels /home/me/labels.csv --cache /home/me/cache --fit crop "
                    "--subject-pattern 'case_([0-9]+)' --classes AD,NC --augment none",
        "data": "/home/me/secret",
        "images": "3,008 trained on, of 94 subjects; 320 held out, of 1 subject",
        "fingerprint": "cd" * 32,
        "training": "2,632 steps, 84.2 kimg, 28.0 epochs, 302 seconds",
        "chosen by": "swd 64.01",
        "written by": "keras 3.15.1, saved 2026",
        "file": [f"{name}, sha256 {value}, as in manifest.json" for name, value in hashes.items()],
        "licence": LICENCE}


def test_classes_are_counted(shown):
    lines = shown(classes=("AD", "N\nC"), images=Images("", 30, 0, classes={"AD": 10, "N\nC": 20}))
    assert lines["classes"] == r"AD, N\nC"
    assert lines["images"] == r"30 trained on (10 AD, 20 N\nC); none held out"
    images = Images("", 608, None, 19, classes={"old": 320, "young": 288})
    assert shown(images=images)["images"] == (
        "608 trained on (320 old, 288 young), of 19 subjects")


def test_what_is_not_known(shown):
    lines = shown(config={}, training={}, images=Images(), verified=False)
    unknown = "not known: no manifest.json beside it says so"
    assert (lines["settings"], lines["training"], lines["fingerprint"]) == (unknown,) * 3
    assert lines["images"] == "not known" and "data" not in lines
    assert lines["file"].endswith(", not verified: no manifest.json")


def test_a_model_outside_of_its_run_folder(shown):
    lines = shown(config={"batch": 7})
    assert lines["settings"] == "--batch 7"
    assert lines["data"] == ("not told: manifest.json holds no paths, and the run folder is not "
                             "around it")


def test_damage_of_the_other_file_comes_after_all_that_is_known(monkeypatch, capsys):
    info = make_info(problem="discriminator.keras: expected another\nhash")
    monkeypatch.setattr(model_info, "read_info", lambda path: info)
    assert main(["info", "run"]) == 65
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("licence ")
    assert printed.err == "stylegan2-tf: error: discriminator.keras: expected another hash\n"


def test_damage_is_one_line(tmp_path, capsys):
    (tmp_path / "generator.keras").write_text("damaged")
    (tmp_path / "manifest.json").write_text(json.dumps(
        {"files": {"generator.keras": {"sha256": [HASH]}}}))
    for path, message in ((tmp_path, f"expected the SHA-256 {HASH[:12]} of manifest.json, found"),
                          (tmp_path / "none", "found nothing there")):
        assert main(["info", str(path)]) == 65
        printed = capsys.readouterr()
        assert printed.out == "" and len(printed.err.splitlines()) == 1
        assert printed.err.startswith(f"stylegan2-tf: error: {path}") and message in printed.err
