"""Who is on an image, of which class, under which name; pseudonyms and their key."""

import hashlib
import hmac
import os
import stat

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.data import divide, find_labels, subject_scheme
from stylegan2_tf.errors import DataError, OutputError, UsageError
from stylegan2_tf.preparation import Options, prepare, read_manifest, read_prepared
from stylegan2_tf.preparation.identity import Pseudonyms, distinct_labels, file_names, identify
from stylegan2_tf.preparation.naming import name_items
from stylegan2_tf.preparation.sources import Item

QUIET = dict(progress=False)


def items(*names, kind="image"):
    return [Item(name, kind, name) for name in names]


def found(names, kind="image", **options):
    """Subject, session and class of each name."""
    return [tuple(one) for one in identify(items(*names, kind=kind), Options(**options))[1]]


def test_subjects_of_images_follow_the_scheme_of_all():
    assert found(["case_001_slice_0.png", "case_001_slice_1.png", "case_002_slice_0.png"]) == [
        ("001", None, None), ("001", None, None), ("002", None, None)]
    assert found(["a.png", "case_001_slice_1.png"]) == [(None, None, None)] * 2
    assert found(["x1a.png", "x2a.png"], subject_pattern=r"x(\d)") == [
        ("1", None, None), ("2", None, None)]


@pytest.mark.parametrize(("name", "subject", "session"), [
    ("sub-01/ses-02/anat/sub-01_ses-02_T1w.nii.gz", "01", "02"),
    ("disc1/OAS1_0001_MR1/PROCESSED/MPRAGE/T88_111/OAS1_0001_MR1_mpr_n4_anon_111_t88_masked_gfc"
     ".hdr", "OAS1_0001", "MR1"),
    ("OAS30001_MR_d0129/anat2/x.nii.gz", "OAS30001", "d0129"),
    ("ADNI/002_S_0295/MPRAGE/2006-04-18_08_20_30.0/I13722", "002_S_0295", "I13722"),
    ("ADNI/002_S_0295/N3/2006-04-18/I45107/ADNI_002_S_0295_MR_N3_S13408_I45107.nii",
     "002_S_0295", "I45107"),
    ("IXI012-HH-1211-T1.nii.gz", "IXI012", None), ("scan.nii", None, None)])
def test_volumes_are_known_one_by_one(name, subject, session):
    assert found([name], kind="volume") == [(subject, session, None)]


def test_classes_of_folders_where_they_look_like_classes():
    def classes(*names, **options):
        return [label for _, _, label in found(names, **options)]

    files = ["AD/1234_1.png", "AD/1235_1.png", "NC/2234_1.png", "NC/2235_1.png", "NC/2235_2.png"]
    assert classes(*files) == ["AD", "AD", "NC", "NC", "NC"]
    assert classes(*(f"train/{file}" for file in files)) == ["AD", "AD", "NC", "NC", "NC"]
    assert classes(*files, "flat.png") == [None] * 6
    assert classes("AD/1234_1.png", "AD/1234_2.png", "NC/1235_1.png") == [None] * 3  # of one person
    assert classes(*files, "NC/1234_2.png") == [None] * 6  # a person in two
    assert classes(*(f"keras_png_slices_{part}/case_{n}_slice_{n}.png" for n in range(4)
                     for part in ("train", "test"))) == [None] * 8
    assert classes(*files, classes="NC") == ["NC"] * 3
    # The folder that an archive was made of says nothing.
    assert classes(*(f"AD_NC/{file}" for file in files)) == ["AD", "AD", "NC", "NC", "NC"]
    assert classes(*(f"AD_NC/train/{file}" for file in files)) == ["AD", "AD", "NC", "NC", "NC"]
    assert classes(*(f"AD/{number}_1.png" for number in range(1000, 1004))) == [None] * 4


def test_tables_of_files_and_of_subjects(tmp_path):
    names = ["case_001_slice_0.png", "case_001_slice_1.png", "case_002_slice_0.png"]
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n" + "".join(f"{name},{'AB'[n // 2]}\n"
                                              for n, name in enumerate(names)))
    assert [label for *_, label in found(names, labels=str(table))] == ["A", "A", "B"]
    table.write_text("subject,label\n002,B\n001,A\n003,C\n")
    assert [label for *_, label in found(names, labels=str(table))] == ["A", "A", "B"]
    kept, identities = identify(items(*names), Options(labels=str(table), classes="B"))
    assert [item.name for item in kept] == names[2:] and identities[0].label == "B"
    table.write_text("subject,label\n001,A\n")
    with pytest.raises(DataError, match="a row for each subject, found none for 1, such as 002"):
        found(names, labels=str(table))
    table.write_text("subject,label\n001,A\n001,B\n")
    with pytest.raises(DataError, match="one label for a subject, found two for 001 by line 3"):
        found(names, labels=str(table))
    table.write_text("subject,label\n001,A\n")
    with pytest.raises(DataError, match="tell the subject, found 1 others, such as x.nii; give "):
        found(["sub-001_T1w.nii", "x.nii"], kind="volume", labels=str(table))
    table.write_text("file,group\na,A\n")
    with pytest.raises(DataError, match="columns file,label or subject,label, found file,group"):
        found(names, labels=str(table))
    with pytest.raises(UsageError, match="--classes"):
        table.write_text("subject,label\n001,A\n002,B\n")
        found(names, labels=str(table), classes="X")


def test_names_are_read_as_folders_are():
    names = [f"{label}/{subject}_{number}.png" for label, subject in
             (("AD", 1234), ("AD", 1235), ("NC", 2234), ("NC", 2235)) for number in range(2)]
    listed = items(*names)
    named = name_items(*identify(listed, Options()), [None] * len(names), None)
    assert named.names[0] == "AD/sub-1234/1234_0.png"
    assert find_labels(named.names).classes == ("AD", "NC")
    scheme, subjects = subject_scheme(named.names)
    assert scheme.startswith("BIDS") and subjects == [name[3:7] for name in names]


def test_labels_stay_distinct():
    labels = distinct_labels(["1_2", "12", "a-b", "___", "\u00e9"])
    assert labels["a-b"] == "ab" and len(set(labels.values())) == 5
    assert all(label.isalnum() and label.isascii() for label in labels.values())


def test_file_names_stay_distinct():
    def names(*paths, kind="image"):
        return file_names(items(*paths, kind=kind), [""] * len(paths))

    assert names("a/1.png", "b/2.png") == ["1.png", "2.png"]
    assert names("a/1.png", "b/1.png") == ["a_1.png", "b_1.png"]
    assert names("a/b_1.png", "a_b/1.png", "c/1.png", "d/b_1.png") == [
        "a_b_1.png", "a_b_1-2.png", "c_1.png", "d_b_1.png"]
    assert names("x/brain.nii.gz", "y/brain.hdr", kind="volume") == ["x_brain", "y_brain"]


# -- pseudonyms


@pytest.fixture
def folder(tmp_path):
    """Three people in two classes, whose names nobody shall read."""
    rng = np.random.default_rng(0)
    for person, label in (("Miller", "AD"), ("Smith", "AD"), ("Jones", "NC"), ("Brown", "NC")):
        for number in range(2):
            path = tmp_path / "secret" / label / f"sub-{person}_ses-2006_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    return tmp_path / "secret"


def test_pseudonyms_are_those_of_rfc_2104():
    expected = hmac.new(b"k" * 32, b"subject\0Miller", hashlib.sha256).hexdigest()
    assert Pseudonyms(b"k" * 32)("subject", "Miller") == expected[:12]


def test_nothing_tells_a_name(folder, tmp_path):
    named = Options(include="*[rh]_ses*", subject_pattern="sub-(Smith|[MJB][a-z]+)")
    prepare(folder, tmp_path / "some", named, keyfile=tmp_path / "key", **QUIET)
    assert len(read_prepared(tmp_path / "some")) == 4  # Miller and Smith
    prepare(folder, tmp_path / "out", keyfile=tmp_path / "key", **QUIET)
    text = (tmp_path / "some" / "dataset.json").read_bytes()
    assert b"Smith" not in text and b"[rh]" not in text
    text = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    for word in (b"Miller", b"Smith", b"Jones", b"Brown", b"2006", b"secret"):
        assert word not in text
    table = list(read_manifest(tmp_path / "out"))
    assert [row["class"] for row in table] == ["AD"] * 4 + ["NC"] * 4  # classes stay
    assert len({row["subject"] for row in table}) == 4
    assert table[0]["name"] == (f"AD/sub-{table[0]['subject']}/ses-{table[0]['session']}/"
                                f"{table[0]['source']}")
    packed = read_prepared(tmp_path / "out")
    _, held, _ = divide(packed, holdout=0.25)
    assert len(held) == 2


def test_pseudonyms_are_stable_and_need_the_key(folder, tmp_path):
    key = tmp_path / "keys" / "key"
    prepare(folder, tmp_path / "one", keyfile=key, **QUIET)
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600 and len(key.read_bytes()) == 32
    prepare(folder, tmp_path / "two", Options(resolution=4), keyfile=key, **QUIET)
    prepare(folder, tmp_path / "three", keyfile=tmp_path / "other", **QUIET)
    one, two, three = ([row["subject"] for row in read_manifest(tmp_path / name)]
                       for name in ("one", "two", "three"))
    assert one == two and not set(one) & set(three)
    with pytest.raises(UsageError, match="--anonymise"):
        prepare(folder, tmp_path / "one", keyfile=tmp_path / "other", **QUIET)
    with pytest.raises(UsageError, match="--anonymise"):
        prepare(folder, tmp_path / "one", **QUIET)


def test_a_key_in_the_set_or_no_key_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="expected a key outside of OUT"):
        prepare(folder, tmp_path / "out", keyfile=tmp_path / "out" / "key", **QUIET)
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(UsageError, match="expected a key of 32 bytes, found a file of 3"):
        prepare(folder, tmp_path / "out", keyfile=tmp_path / "short", **QUIET)
    with pytest.raises(OutputError, match="expected a file for the key"):
        prepare(folder, tmp_path / "out", keyfile=tmp_path, **QUIET)
    assert not (tmp_path / "out").exists()
