"""Volumes through `prepare`: values, 16 bits, patients, and masks brought back exactly."""

import json

import numpy as np
import pytest

from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.preparation import Options, prepare, read_manifest, read_prepared, undo
from stylegan2_tf.volumes import SliceOptions, find_volumes, open_volume
from stylegan2_tf.volumes.placement import Placement

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
QUIET = dict(progress=False)
ALL = SliceOptions(empty=0)


def volume(path, voxels, spacing=(1, 1, 1)):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([*spacing, 1.0])), path)
    return path


def test_values_survive_within_one_of_65535(tmp_path):
    voxels = np.random.default_rng(0).normal(300, 900, (12, 16, 5)).astype(np.float32)
    volume(tmp_path / "in" / "scan.nii.gz", voxels)
    options = Options(bits=16, slices=SliceOptions(window="minmax", empty=0))
    prepare(tmp_path / "in", tmp_path / "out", options, **QUIET)
    packed = read_prepared(tmp_path / "out")
    assert packed.array.dtype == np.uint16 and packed.array.shape == (5, 16, 16, 1)
    window = packed.intensity
    assert window == {"low": pytest.approx(voxels.min()), "high": pytest.approx(voxels.max()),
                      "unit": "values of the volume"}
    scale = (window["high"] - window["low"]) / 65535
    for row, image in zip(read_manifest(tmp_path / "out"), packed.array, strict=True):
        plane, affine = undo(row, image[..., 0], order=0)
        assert plane.shape == (16, 12)
        again = window["low"] + plane * scale
        expected = voxels[:, ::-1, int(row["slice"])].T  # the front on top
        np.testing.assert_allclose(again, expected, atol=0.51 * scale + 1e-3)
        np.testing.assert_allclose(np.array(affine) @ [0, 0, 0, 1], [
            0, 15, int(row["slice"]), 1], atol=1e-6)


def test_a_mask_comes_back_exactly(tmp_path):
    """Slices that are not square, of voxels that are not: into the set and back to the voxels."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(1, 500, (20, 15, 10), dtype=np.int16)
    source = volume(tmp_path / "in" / "scan.nii", voxels, (1.0, 2.0, 1.5))
    prepare(source, tmp_path / "out", Options(resolution=64, slices=ALL), **QUIET)
    mask = rng.random((20, 15, 10)) > 0.5
    back = np.zeros_like(mask)
    for row in read_manifest(tmp_path / "out"):
        index = int(row["slice"])
        step = Placement.from_json(json.loads(row["transform"])["placements"][0])
        assert step.source == (30, 20)  # 2 mm over 1 mm
        plane = mask[:, ::-1, index].T.repeat(2, axis=0)
        prepared = step.apply(plane)
        assert prepared.shape == (64, 64)
        again, affine = undo(row, prepared, order=0)
        np.testing.assert_array_equal(again, plane)
        # By the affine alone, as another program would: each pixel to its mm, then to its voxel.
        rows, columns = np.indices(again.shape)
        places = np.array(affine) @ np.stack([rows.ravel(), columns.ravel(), 0 * rows.ravel(),
                                              np.ones(rows.size)])
        x, y, z = (np.linalg.inv(np.diag([1.0, 2.0, 1.5, 1.0])) @ places)[:3]
        np.testing.assert_allclose(z, index)
        back[np.rint(x).astype(int), np.rint(y).astype(int), index] = again.ravel()
    np.testing.assert_array_equal(back, mask)


def test_a_set_of_another_size_still_knows_the_way(tmp_path):
    voxels = np.random.default_rng(0).integers(1, 500, (10, 8, 3), dtype=np.int16)
    volume(tmp_path / "in" / "sub-07_T1w.nii", voxels)
    prepare(tmp_path / "in", tmp_path / "first", Options(resolution=16, slices=ALL), **QUIET)
    prepare(tmp_path / "first", tmp_path / "second", Options(resolution=(64, 32)), **QUIET)
    first, second = (list(read_manifest(tmp_path / name)) for name in ("first", "second"))
    kept = ("name", "source", "subject", "slice", "spacing", "window")
    assert [[row[name] for name in kept] for row in first] == [
        [row[name] for name in kept] for row in second]
    plane, affine = undo(second[1], np.ones((64, 32), np.uint8), order=0)
    assert plane.shape == (8, 10) and affine == json.loads(first[1]["transform"])["affine"]
    with pytest.raises(UsageError, match="--per-volume: expected volumes as SOURCE"):
        prepare(tmp_path / "first", tmp_path / "third",
                Options(slices=SliceOptions(per_volume=2)), **QUIET)


def test_one_window_for_all_or_none(tmp_path):
    for number in range(2):
        volume(tmp_path / "in" / f"{number}.nii", np.arange(
            120, dtype=np.int16).reshape(6, 5, 4) * (number + 1))
    fixed = SliceOptions(window="wl=50,100", empty=0)
    prepare(tmp_path / "in", tmp_path / "fixed", Options(slices=fixed), **QUIET)
    assert read_prepared(tmp_path / "fixed").intensity == {
        "low": 0.0, "high": 100.0, "unit": "values of the volume"}
    assert read_prepared(tmp_path / "fixed").part([0, 2]).intensity["high"] == 100
    prepare(tmp_path / "in", tmp_path / "own", Options(slices=ALL), **QUIET)
    assert read_prepared(tmp_path / "own").intensity is None
    notice, = (text for text in read_prepared(tmp_path / "own").notices if "subject" in text)
    assert notice.startswith("the subject of 2 volumes is not known: each counts as one")


def test_volumes_that_cannot_be_read_are_left_out(tmp_path):
    good = np.random.default_rng(0).integers(1, 99, (6, 5, 4), dtype=np.int16)
    volume(tmp_path / "in" / "good.nii", good)
    (tmp_path / "in" / "broken.nii.gz").write_bytes(b"\x1f\x8bno gzip")
    (tmp_path / "in" / "alone.hdr").write_bytes(b"x" * 348)
    skipped = prepare(tmp_path / "in", tmp_path / "out", Options(slices=ALL), **QUIET)
    assert set(skipped) == {"alone.hdr", "broken.nii.gz"} and all(skipped.values())
    packed = read_prepared(tmp_path / "out")
    assert len(packed) == 4 and packed.notices[-1].startswith("the subject of 1 volumes")
    (tmp_path / "in" / "good.nii").unlink()
    with pytest.raises(DataError, match="expected an image or a volume that can be read"):
        prepare(tmp_path / "in", tmp_path / "none", **QUIET)


def dicom(folder, patient, modality="MR", count=4):
    """A series of axial slices of one patient."""
    folder.mkdir(parents=True)
    series = pydicom.uid.generate_uid()
    for number in range(count):
        data = pydicom.Dataset()
        data.PatientID, data.PatientName, data.Modality = patient, "Miller^Anna", modality
        data.StudyDate, data.SeriesInstanceUID = "20060418", series
        data.SOPInstanceUID = pydicom.uid.generate_uid()
        data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        data.Rows, data.Columns, data.BitsAllocated, data.BitsStored = 6, 5, 16, 16
        data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 1, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.PixelSpacing, data.SliceThickness = [1, 1], 1
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient, data.InstanceNumber = [0, 0, number], number + 1
        data.RescaleSlope, data.RescaleIntercept = 1, -10
        data.PixelData = np.random.default_rng([number, *patient.encode()]).integers(
            1, 999, (6, 5), dtype=np.int16).tobytes()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        pydicom.dcmwrite(folder / f"IM{number}.dcm", data, enforce_file_format=True)


def test_patients_are_told_apart_but_not_told(tmp_path):
    for name, patient in (("a", "PID4711"), ("b", "PID4712"), ("c", "PID4711")):
        dicom(tmp_path / "in" / name, patient, "CT")
    window = SliceOptions(window="wl=0,400", empty=0)
    prepare(tmp_path / "in", tmp_path / "out", Options(slices=window), **QUIET)
    table = list(read_manifest(tmp_path / "out"))
    assert [row["subject"] for row in table[::4]] == ["dicom0001", "dicom0002", "dicom0001"]
    assert table[0]["name"] == "sub-dicom0001/a_axial-000"
    assert read_prepared(tmp_path / "out").intensity == {
        "low": -200.0, "high": 200.0, "unit": "HU"}
    key = tmp_path / "key"
    prepare(tmp_path / "in", tmp_path / "hidden", Options(slices=window), keyfile=key, **QUIET)
    hidden = [row["subject"] for row in read_manifest(tmp_path / "hidden")][::4]
    assert hidden[0] == hidden[2] != hidden[1]
    for path in (*tmp_path.glob("out/*"), *tmp_path.glob("hidden/*")):
        for word in (b"PID", b"Miller", b"2006"):
            assert word not in path.read_bytes()


def test_an_interrupted_call_keeps_no_id_either(tmp_path, monkeypatch):
    dicom(tmp_path / "in" / "a", "PID4711")

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("stylegan2_tf.preparation.writing.finish", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "in", tmp_path / "out", Options(slices=ALL), **QUIET)
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert any(path.name == "rows.jsonl" and path.stat().st_size for path in left)
    assert not any(b"PID" in path.read_bytes() for path in left)


def test_axes_and_the_choice_of_slices(tmp_path):
    voxels = np.random.default_rng(0).integers(1, 99, (20, 12, 10), dtype=np.int16)
    source = volume(tmp_path / "sub-3_T1w.nii", voxels)
    options = Options(slices=SliceOptions(axis="coronal", slices="25%-75%", per_volume=3, empty=0))
    prepare(source, tmp_path / "out", options, **QUIET)
    names = [row["name"] for row in read_manifest(tmp_path / "out")]
    assert names == [f"sub-3/sub-3_T1w_coronal-{index:03}" for index in (4, 6, 8)]
    assert read_prepared(tmp_path / "out").array.shape == (3, 32, 32, 1)


def test_the_reader_agrees(tmp_path):
    """The voxels that the set was made of are those that `volumes` opens."""
    voxels = np.random.default_rng(0).integers(0, 256, (9, 8, 4)).astype(np.uint8)
    path = volume(tmp_path / "in" / "scan.nii", voxels)
    options = Options(resolution=(8, 9), slices=SliceOptions(window="wl=127.5,255", empty=0))
    prepare(path.parent, tmp_path / "out", options, **QUIET)
    (source,), _ = find_volumes([path], path.parent)
    opened = open_volume(source).voxels
    np.testing.assert_array_equal(read_prepared(tmp_path / "out").array[..., 0],
                                  opened[:, ::-1].transpose(2, 1, 0))
