"""Which files are volumes, and which belong together."""

import os
import subprocess
import sys

import numpy as np
import pytest
from volume_makers import block, save_dicom, save_nifti, save_series

from stylegan2_tf.errors import UsageError
from stylegan2_tf.volumes import find_volumes, is_volume, open_volume
from stylegan2_tf.volumes.volume import import_medical

pytest.importorskip("nibabel")
pytest.importorskip("pydicom")


def found(top):
    paths = [path for path in top.rglob("*") if not path.is_dir() and is_volume(path)]
    sources, refused = find_volumes(paths[::-1], top)
    return {source.name: (source.kind, [os.path.basename(path) for path in source.paths])
            for source in sources}, refused


def test_by_name(tmp_path):
    for name in ("a.nii", "a.NII.GZ", "b.hdr", "b.Img", "c.dcm", "c.IMA"):
        assert is_volume(f"/nowhere/{name}")
    for name in ("a.png", "a.gz", "nii", ".nii", "a.nii.txt", "a.img.lck", "README"):
        assert not is_volume(tmp_path / name)
    save_dicom(tmp_path / "IM0001", block((4, 4)))
    for name in ("1.2.840.3", "DICOMDIR", "notes.txt"):
        (tmp_path / name).write_bytes((tmp_path / "IM0001").read_bytes())
    (tmp_path / "text").write_text("x" * 200)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert sorted(path.name for path in tmp_path.iterdir() if is_volume(path)) == [
        "1.2.840.3", "IM0001"]


def test_the_layout_of_oasis_1(tmp_path):
    """Header and image are one; what lies beside them is none."""
    import nibabel

    home = tmp_path / "OAS1_0001_MR1" / "PROCESSED" / "T88"
    home.mkdir(parents=True)
    nibabel.Spm2AnalyzeImage(block((6, 5, 4), np.int16), np.eye(4)).to_filename(home / "a_gfc.img")
    (home / "a_gfc.hdr.lck").touch()
    (home / "a_gfc.gif").touch()
    (home / "alone.img").write_bytes(b"x" * 500)
    (home / "other.HDR").write_bytes(b"x" * 500)
    names, refused = found(tmp_path)
    below = "OAS1_0001_MR1/PROCESSED/T88"
    assert names == {f"{below}/a_gfc": ("analyze", ["a_gfc.hdr", "a_gfc.img"])}
    assert refused == {f"{below}/alone.img": "no .hdr of that name beside it",
                       f"{below}/other.HDR": "no .img of that name beside it"}


def test_names_that_differ_only_in_their_ending(tmp_path):
    for name in ("a.nii", "a.nii.gz", "b.nii.gz", "sub/a.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_nifti(tmp_path / name, block((4, 4, 4)))
    assert found(tmp_path)[0] == {
        "a.nii": ("nifti", ["a.nii"]), "a.nii.gz": ("nifti", ["a.nii.gz"]),
        "b": ("nifti", ["b.nii.gz"]), "sub/a": ("nifti", ["a.nii"])}


def test_series(tmp_path):
    planes = block((3, 6, 6))
    save_series(tmp_path / "one", planes)
    both = tmp_path / "sub-01" / "ses-02"
    for number in (12, 3):
        save_series(both, planes, names=[f"{number}{name}" for name in "abc"],
                    SeriesNumber=number, SeriesInstanceUID=f"1.2.{number}")
    for file in both.iterdir():
        file.rename(file.with_name(file.name + ".dcm"))
    for uid in ("1.2.1", "1.2.2"):
        save_series(tmp_path / "same", planes, names=[f"{uid}-{name}.dcm" for name in "abc"],
                    SeriesInstanceUID=uid)
    names, refused = found(tmp_path)
    assert refused == {} and list(names) == [
        "one", "same_series1", "same_series2", "sub-01/ses-02_series12", "sub-01/ses-02_series3"]
    assert names["same_series1"][1] == ["1.2.1-a.dcm", "1.2.1-b.dcm", "1.2.1-c.dcm"]
    assert found(tmp_path / "one")[0] == {"one": ("dicom", ["000.dcm", "007.dcm", "014.dcm"])}


def test_who_was_scanned(tmp_path):
    planes = block((3, 6, 6))
    save_series(tmp_path / "x", planes)
    save_series(tmp_path / "sub-01" / "ses-b2", planes)
    save_series(tmp_path / "nobody", planes, PatientID=None)
    save_nifti(tmp_path / "sub-77_T1w.nii", planes)
    sources, _ = find_volumes([path for path in tmp_path.rglob("*") if path.is_file()], tmp_path)
    who = {source.name: open_volume(source).identity for source in sources}
    assert {name: (one.subject, one.session) for name, one in who.items()} == {
        "x": ("P7", None), "sub-01/ses-b2": ("01", "b2"), "nobody": (None, None),
        "sub-77_T1w": ("77", None)}


def test_what_is_refused_at_once(tmp_path):
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "text.dcm").write_text("no image at all " * 20)
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "lost.nii").symlink_to(tmp_path / "nowhere")
    save_dicom(tmp_path / "report.dcm", block((4, 4)), Rows=None, Columns=None)
    whole = save_dicom(tmp_path / "cut.dcm", block((4, 4))).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:150])
    names, refused = found(tmp_path)
    assert names == {} and {name: reason.split(" (")[0] for name, reason in refused.items()} == {
        "empty.dcm": "empty file", "text.dcm": "not a DICOM file: no DICM at byte 128",
        "pipe.nii": "not a file", "lost.nii": "not a file",
        "report.dcm": "DICOM without an image", "cut.dcm": refused["cut.dcm"].split(" (")[0]}
    assert "Doe" not in str(refused) and len(refused["cut.dcm"]) < 250


def test_deflated_dicom_is_not_unpacked(tmp_path):
    import pydicom

    path = save_dicom(tmp_path / "a.dcm", np.zeros((512, 512), np.uint16))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(path)
    assert found(tmp_path) == ({}, {"a.dcm": "deflated DICOM is not read; unpack it with dcmconv"})


def test_order_does_not_depend_on_the_locale(tmp_path):
    for name in ("B", "a", "Ä", "_", "1"):
        save_nifti(tmp_path / f"{name}.nii", block((4, 4, 4)))
    assert list(found(tmp_path)[0]) == ["1", "B", "_", "a", "Ä"]


def test_without_the_extra(monkeypatch):
    for name in ("pydicom", "pydicom.pixels"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UsageError, match=r"need pydicom, .*: pip install "
                           r'"stylegan2_tf\[medical\]"$'):
            import_medical(name)


def test_importing_is_cheap():
    code = ("import sys, stylegan2_tf.volumes as v; v.SliceOptions; v.is_volume('a.nii')\n"
            "print(sorted({'tensorflow', 'keras', 'nibabel', 'pydicom'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")
