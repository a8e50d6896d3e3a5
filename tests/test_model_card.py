"""Model cards: what they say, and what they never say."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stylegan2_tf.errors import DataError
from stylegan2_tf.metrics.measure import Scale
from stylegan2_tf.metrics.report import FORMAT, content
from stylegan2_tf.metrics.results import Evaluation, Neighbours, Value
from stylegan2_tf.model_card import make_card, read_report
from stylegan2_tf.model_info import LICENCE, Images, ModelInfo

HASH = "ab" * 32
SECTIONS = ["What it is", "Intended use", "Limits", "Training data", "Training", "Measurements",
            "Memorisation", "Files", "How to load"]
PRIVATE = "case_049_slice_7.png"


def make_info(classes=(), channels=1, **changes):
    """What is known of an invented model."""
    mapping = {"class_name": "MappingNetwork", "config": {"z_dim": 1234, "w_dim": 5}}
    synthesis = {"class_name": "SynthesisNetwork", "config": {
        "filters": [8, 6, 4], "base_resolution": [15, 16], "channels": channels}}
    config = {"data_dir": "/home/me/secret", "output_dir": "/home/me/out", "batch": 7,
              "labels": "/home/me/labels.csv", "cache": "/home/me/cache", "fit": "crop",
              "subject_pattern": "case_([0-9]+)", "classes": "AD,NC", "augment": "none",
              "init_from": None}
    return ModelInfo(**{**dict(
        path=Path("/home/me/out/Model/generator.keras"),
        network={"mapping": mapping, "synthesis": synthesis, "classes": list(classes)},
        parameters={"generator": 26847}, hashes={"generator.keras": HASH}, verified=True,
        config=config, best={}, training={"step": 2632, "nimg": 84224, "epoch": 28.0,
                                          "seconds": 302.4},
        images=Images("cd" * 32, 3008, 320, 94, 1), versions={"keras": "3.15.1"}), **changes})


def make_report(calibrated_by="held-out images", calibration=200, holdout=True, near=3,
                bad=np.nan):
    """What `evaluate` would have written of an invented evaluation, read back."""
    images = np.zeros((300, 8, 8, 1), np.uint8)
    scale = Scale("KID", "lower", "x 1000", "64 images: coarse")
    values = {"kid": Value(scale.label, scale.better, scale.unit, scale.note, 26.5, (19.7, bad),
                           1.32, None, "random sha256:0123"),
              "ms-ssim": Value("MS-SSIM", "near", "", "", bad, None, 0.5, (0.4, 0.6))}
    found = Neighbours("pixels after shifts up to 1", np.zeros(300, int), np.linspace(0, 1, 300),
                       np.linspace(0.1, 1, calibration), calibrated_by, 0.1, np.arange(near))
    sources = {"fakes": {"sha256": HASH, "generator": "/home/me/out", "truncation_psi": 0.7},
               "train": {"folder": "/home/me/secret"}}
    sources |= {"holdout": {"folder": "/home/me/secret"}} if holdout else {}
    evaluation = Evaluation(
        values, {}, {"pixels": found}, images, (PRIVATE,) * 300, images, images,
        {**sources, "images_on_each_side": 300, "extractor": "random sha256:0123"},
        ("only 300 images on each side",))
    return json.loads(json.dumps(content(evaluation), allow_nan=False))


def sections(card):
    """Title of each section -> its text."""
    parts = re.split(r"^## (.*)\n", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def cells(text):
    """The cells of each row of the tables in a text; every row has as many as its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    assert len({len(row) for row in found}) == 1
    return found


def test_sections_and_facts():
    card = make_card(make_info(), make_report())
    found = sections(card)
    assert list(found) == SECTIONS
    assert card.startswith("# Model card: StyleGAN2 generator, 60x64 pixels\n\n## ")
    assert card.endswith("\n") and not re.search(r"\n{3}| $|None|nan\b", card, re.MULTILINE)
    assert ("26,847 parameters" in found["What it is"] and "1234 random numbers" in
            found["What it is"] and "(grey), without classes." in found["What it is"])
    rows = dict(cells(found["Training data"]))
    assert rows["images trained on"] == "3,008, of 94 subjects"
    assert rows["images held out"] == "320, of 1 subject"
    assert rows["brought to"] == "60x64 pixels, 1 channel; other shapes were cropped"
    assert rows["fingerprint (SHA-256)"] == f"`{'cd' * 32}`"
    assert LICENCE in found["Training data"]
    assert "2,632 steps, 84,224 images seen (28.0 epochs), 302 seconds" in found["Training"]
    assert "```\n--batch 7 --fit crop --augment none\n```" in found["Training"]
    assert "Not for diagnosis" in found["Limits"] and "may reproduce people" in found["Limits"]
    assert cells(found["Files"])[2:] == [["`generator.keras`", f"`{HASH}`"]]
    assert "They agree with the manifest" in found["Files"]
    assert 'load("generator.keras")' in found["How to load"]
    assert "float32 [16, 60, 64, 1]" in found["How to load"]


def test_no_path_and_no_patient_is_named():
    info = make_info(config={**make_info().config, "init_from": "/home/me/first"})
    card = make_card(info, make_report())
    for secret in ("/home", "secret", "case_", "labels.csv", "first"):
        assert secret not in card
    assert "started from the weights of another model" in sections(card)["Training data"]


@pytest.mark.parametrize("config, started", [
    ({"batch": 4, "init_from": None}, False),
    ({"batch": 4}, True),  # a manifest tells nothing of what was given, and None of what was not
    ({}, False)])
def test_other_weights_are_named_also_outside_of_the_run_folder(config, started):
    card = make_card(make_info(config=config))
    assert ("started from the weights of another model" in card) == started


def test_classes():
    images = Images("cd" * 32, 30, 0, None, None, {"AD": 10, "a|*\nb": 20})
    found = sections(make_card(make_info(("AD", "a|*\nb"), 3, images=images)))
    assert r"(colour), told one of the classes AD, a\|\*\\nb." in found["What it is"]
    rows = dict(cells(found["Training data"]))
    assert rows["images trained on"] == "30" and rows["images held out"] == "none"
    assert rows["of class AD"] == "10" and rows[r"of class a\|\*\\nb"] == "20"
    assert "A class is a label" in found["Limits"]
    assert "3 channels" in rows["brought to"]
    card = make_card(make_info(images=images))  # not told a class: these are names of folders
    assert "of class" not in card


def test_what_is_not_known_is_said():
    info = make_info(config={}, training={}, images=Images(), versions={}, verified=False)
    found = sections(make_card(info))
    rows = dict(cells(found["Training data"]))
    assert rows["images trained on"] == rows["images held out"] == "not known"
    assert rows["fingerprint (SHA-256)"] == "not known" and "not known" in rows["brought to"]
    assert found["Training"].startswith("\nNot known")
    assert found["Measurements"].startswith("\nNone: there is no report on this state")
    assert found["Memorisation"].startswith("\nNot measured")
    assert "no manifest to compare them with" in found["Files"]


def test_the_best_state_of_a_run():
    assert "this state had the best swd so far" in make_card(make_info(best={"swd": 64.0}))


def test_measurements_are_those_of_the_report():
    found = sections(make_card(make_info(), make_report()))["Measurements"]
    assert "300 generated images against as many real ones that were held out" in found
    assert "truncation psi 0.7" in found and "Warning: only 300 images on each side." in found
    assert cells(found)[2:] == [
        ["KID (x 1000)", "26.5 [19.7, n/a]", "1.32", "lower", "64 images: coarse"],
        ["MS-SSIM", "n/a", "0.5 [0.4, 0.6]", "as real", ""]]
    assert "that it may have been trained on" in make_card(make_info(), make_report(holdout=False))


@pytest.mark.parametrize("by, count, sentence", [
    ("held-out images", 200, "99 % of held-out images are; about 3.0 are expected by chance.\n"),
    ("training images of other subjects", 99, "training images are to those of other subjects; "
     "about 3.0 are expected by chance.\n"),
    ("held-out images", 98, "chance. This rests on 98 real images only, so that more are expected"),
    ("nothing", 0, "3 of 300 generated images equal a training image; there was no real image"),
])
def test_memorisation(by, count, sentence):
    found = sections(make_card(make_info(), make_report(by, count)))["Memorisation"]
    assert "By pixels after shifts up to 1: 3 of 300 generated images" in found
    assert sentence in found and "no proof of privacy" in found


# -- reports


def write(path, report):
    path.write_text(json.dumps(report))
    return path


def test_a_report_on_this_model_is_read(tmp_path):
    report = make_report()
    assert read_report(write(tmp_path / "report.json", report), make_info()) == report


def test_a_report_on_another_state_is_refused(tmp_path):
    path = write(tmp_path / "report.json", make_report())
    info = replace(make_info(), hashes={"generator.keras": "00" * 32, "discriminator.keras": HASH})
    with pytest.raises(DataError, match="one on another model or state; evaluate again"):
        read_report(path, info)


def test_a_report_on_a_folder_of_images_is_refused(tmp_path):
    report = make_report()
    report["provenance"]["fakes"] = {"folder": "fakes"}
    with pytest.raises(DataError, match="one on another model or state"):
        read_report(write(tmp_path / "report.json", report), make_info())


@pytest.mark.parametrize("report", [
    [], {}, 1, {"format": 1, "provenance": []}, {**make_report(), "format": 2},
    {name: part for name, part in make_report().items() if name != "neighbours"}])
def test_what_is_no_report(tmp_path, report):
    with pytest.raises(DataError, match="report.json: expected a report.json of stylegan2-tf eval"):
        read_report(write(tmp_path / "report.json", report), make_info())
    with pytest.raises(DataError, match="missing.json: expected a report.json"):
        read_report(tmp_path / "missing.json", make_info())


@pytest.mark.parametrize("text, found", [
    ('{"a": 1}', "found: one without format, provenance, values, warnings, neighbours"),
    ("[]", "found: one without format, provenance"), ("7", "found other JSON"),
    ('{"format": 0, "provenance": 1, "values": 1, "warnings": 1, "neighbours": 1}',
     "found: format 0, not"),
    ('{"format": FORMAT, "provenance": {}, "values": 1, "warnings": 1, "neighbours": 1}',
     "found other JSON"),
    ('{"format": FORMAT, "provenance": [], "values": 1, "warnings": 1, "neighbours": 1}',
     "found other JSON"), ("[" * 100_000, "found other JSON"), ("text", "found: Expecting value")])
def test_foreign_json_is_one_clear_line(tmp_path, text, found):
    path = tmp_path / "report.json"
    path.write_text(text.replace("FORMAT", str(FORMAT)))
    with pytest.raises(DataError) as error:
        read_report(path, make_info())
    assert str(error.value).startswith(
        f"{path}: expected a report.json of stylegan2-tf evaluate, {found}")
