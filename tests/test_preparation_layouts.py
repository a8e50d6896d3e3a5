"""README's "From OASIS or ADNI to a trained model" on tiny folders of the same shape."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.cli import main
from stylegan2_tf.data import check_disjoint, divide, find_subjects
from stylegan2_tf.preparation import open_images, read_manifest

README = Path(__file__).parents[1] / "README.md"
HEADING = "From OASIS or ADNI to a trained model"
PREPARE = {
    "oasis-png-train": "stylegan2-tf prepare keras_png_slices_train prepared/oasis-train",
    "oasis-png-test": "stylegan2-tf prepare keras_png_slices_test prepared/oasis-test",
    "adni-jpeg": "stylegan2-tf prepare AD_NC prepared/adni --classes AD NC --resolution 256 "
                 "--split train=0.8,val=0.1,test=0.1",
    "oasis-raw": "stylegan2-tf prepare oasis1 prepared/oasis1 --include '*t88_masked_gfc*' "
                 "--slices 25%-92% --per-volume 32 --resolution 256 "
                 "--split train=0.8,val=0.1,test=0.1",
    "adni-raw": "stylegan2-tf prepare ADNI prepared/adni-mri --labels groups.csv --classes AD CN "
                "--slices 25%-92% --per-volume 32 --resolution 256 --anonymise adni.key "
                "--split train=0.8,val=0.1,test=0.1"}
OPTIONS = dict(resolution=256, channels=1)
PARTS = "train", "val", "test"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name):
    """The command after `stylegan2-tf`."""
    assert main(shlex.split(PREPARE[name])[1:]) == 0


def save(path, rng, shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)


def opened(folder):
    """The set as training opens it: mapped, not copied."""
    packed = open_images(folder, "cache", **OPTIONS)
    assert isinstance(packed.array, np.memmap) and not Path("cache").exists()
    return packed


def test_readme_shows_these_commands():
    text = README.read_text(encoding="utf-8")
    if HEADING not in text:
        pytest.skip("README lacks the section")
    section = text[text.index(HEADING):]
    shown = re.findall(r"^stylegan2-tf prepare .*", section, re.MULTILINE)
    assert set(PREPARE.values()) <= set(shown)


def test_oasis_slices():
    rng = np.random.default_rng(0)
    for part, people in (("train", range(1, 4)), ("test", range(441, 443))):
        for subject in people:
            for number in range(3):
                save(Path(f"keras_png_slices_{part}/case_{subject:03}_slice_{number}.nii.png"),
                     rng, (256, 256))
    run("oasis-png-train")
    run("oasis-png-test")
    train, test = opened("prepared/oasis-train"), opened("prepared/oasis-test")
    assert (len(train), len(test)) == (9, 6) and train.array.shape[1:] == (256, 256, 1)
    assert train.names[0] == "sub-001/case_001_slice_0.nii.png"
    assert check_disjoint(train.names, test.names)
    _, held, lines = divide(train, holdout=0.34)
    assert len(held) == 3 and "subjects by BIDS" in lines[0]


def test_adni_slices():
    rng = np.random.default_rng(0)
    for part, label, start in (("train", "AD", 218391), ("train", "NC", 808819),
                               ("test", "AD", 388206), ("test", "NC", 1182968)):
        for patient in range(start, start + 5):
            for number in (78, 79):
                save(Path(f"AD_NC/{part}/{label}/{patient}_{number}.jpeg"), rng, (240, 256))
    run("adni-jpeg")
    parts = {name: opened(f"prepared/adni/{name}") for name in PARTS}
    assert [len(parts[name]) for name in PARTS] == [32, 4, 4]
    people = [set(find_subjects(parts[name].names)) for name in PARTS]
    assert sum(map(len, people)) == 20 == len(set.union(*people))
    images, _, _ = divide(parts["train"], conditional=True)
    assert images.classes == ("AD", "NC") and sum(images.class_counts) == 32
    for row in read_manifest("prepared/adni/train"):
        assert f"/{row['class']}/{row['subject']}_" in row["source"]


def volume(path, seed, kind):
    nibabel = pytest.importorskip("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(1, 900, (22, 26, 44), dtype=np.int16)
    nibabel.save(getattr(nibabel, kind)(voxels, np.eye(4)), path)


def test_oasis_1_raw():
    for number in range(1, 11):
        scan = f"OAS1_{number:04}_MR1"
        folder = Path(f"oasis1/disc{1 + number // 6}/{scan}")
        t88 = folder / "PROCESSED" / "MPRAGE" / "T88_111"
        volume(t88 / f"{scan}_mpr_n4_anon_111_t88_masked_gfc.hdr", number, "Spm99AnalyzeImage")
        volume(t88 / f"{scan}_mpr_n4_anon_111_t88_gfc.hdr", -number % 99, "Spm99AnalyzeImage")
        (folder / "OAS1.txt").write_text("SESSION ID: ...")
    run("oasis-raw")
    parts = {name: opened(f"prepared/oasis1/{name}") for name in PARTS}
    slices = 29  # of 44, whose centre lies in 25 % to 92 %
    assert [len(parts[name]) for name in PARTS] == [8 * slices, slices, slices]
    row = next(iter(read_manifest("prepared/oasis1/test")))
    assert row["name"] == (f"sub-{row['subject']}/ses-MR1/{row['source'].split('/')[-1][:-4]}"
                           f"_axial-{int(row['slice']):03}")
    assert row["source"].endswith("_t88_masked_gfc.hdr") and row["class"] == ""
    people = [set(find_subjects(parts[name].names) or {parts[name].names[0].split("/")[0]})
              for name in PARTS]
    assert sum(map(len, people)) == 10


@pytest.mark.parametrize("kind", ["nii", "dcm"])
def test_adni_as_downloaded(kind):
    rows = ['"Image Data ID","Subject","Group"']
    for number in range(10):
        subject, image = f"00{number % 3 + 2}_S_{295 + number:04}", f"I{13722 + number}"
        folder = Path(f"ADNI/{subject}/MPRAGE/2006-04-{10 + number}_08_20_30.0/{image}")
        if kind == "nii":
            volume(folder / f"ADNI_{subject}_MR_MPRAGE_{image}.nii", number, "Nifti1Image")
        else:
            pytest.importorskip("pydicom")
            from test_preparation_volumes import dicom

            dicom(folder, subject, count=44)
        rows.append(f'"{image}","{subject}","{"AD" if number % 2 else "CN"}"')
    rows[0] = rows[0].replace('"Subject"', '"subject"').replace('"Group"', '"label"')
    Path("groups.csv").write_text("\n".join(rows))
    Path("adni.key").write_bytes(bytes(32))  # a fresh key would shuffle people otherwise each time
    run("adni-raw")
    parts = {name: opened(f"prepared/adni-mri/{name}") for name in PARTS}
    assert [len(parts[name]) for name in PARTS] == [8 * 29, 29, 29]
    images, held, _ = divide(parts["train"], conditional=True, holdout=0.25)
    assert images.classes == ("AD", "CN") and len(held) == 2 * 29
    for path in Path("prepared").rglob("*"):
        if path.is_file():
            assert b"_S_0" not in path.read_bytes() and b"2006" not in path.read_bytes()
