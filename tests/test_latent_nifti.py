"""Generated images as NIfTI over the scans they imitate."""

import numpy as np
import pytest
from volume_makers import block, save_nifti, save_series, source_of

from stylegan2_tf.data import fit_image
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.latent.nifti import Sheet, lay_over, scale_of
from stylegan2_tf.volumes import SliceOptions, open_volume, read_slices

nibabel = pytest.importorskip("nibabel")
AFFINE = np.array([[0, 0, 2, -17], [-2, 0, 0, 30], [0, 2, 0, -22], [0, 0, 0, 1.0]])  # PSR
AXES = {"axial": 2, "coronal": 1, "sagittal": 0}


@pytest.fixture
def scan(tmp_path):
    """24 voxels to the back, 20 up, 16 to the right; smooth, 0 to 1000."""
    back, up, right = np.mgrid[:24, :20, :16] / 24
    voxels = 500 + 300 * np.sin(3 * back + 2 * up) + 200 * np.cos(4 * right)
    return save_nifti(tmp_path / "scan.nii.gz", voxels.astype(np.int16), AFFINE)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("fit, resolution", [("pad", (64, 64)), ("stretch", (64, 48)),
                                             ("crop", (48, 48))])
def test_a_slice_of_the_scan_comes_back_over_itself(scan, tmp_path, axis, fit, resolution):
    """As if the network had drawn the very slice: values and places agree with the scan's."""
    [true] = read_slices(source_of(scan), SliceOptions(axis=axis, slices="7", window="minmax",
                                                       bits=16, empty=0))
    image = fit_image(true.pixels, resolution, fit)[..., 0:1] / np.float32(32767.5) - 1
    sheet, about, notes = lay_over(f"{scan}:{axis}:7", resolution, fit)
    low, high = true.window
    sheet = Sheet(sheet.placement, sheet.affine, scale_of(
        {"intensity": {"low": low, "high": high, "unit": "values"}})[0])
    sheet.write(tmp_path / "out.nii.gz", image)
    written = nibabel.load(tmp_path / "out.nii.gz")
    volume = open_volume(source_of(scan))
    assert notes == () and about.startswith(f"{axis} slice 7 of ")
    # Its voxels are those of the scan, one slice thick, at the same place.
    number = AXES[axis]
    start = np.eye(4)[3] + 7 * np.eye(4)[number]
    np.testing.assert_allclose(written.affine[:, :3], volume.affine[:, :3], atol=1e-5)
    np.testing.assert_allclose(written.affine[:, 3], volume.affine @ start, atol=1e-5)
    expected = volume.voxels.take([7], number)
    assert written.shape == expected.shape
    found = written.get_fdata()
    kept = found > low if fit == "crop" else np.ones(found.shape, bool)
    assert kept.mean() > 0.5
    inner = np.abs(found - expected)[kept]
    assert np.quantile(inner, 0.9) < 0.03 * (high - low)


def test_the_middle_and_series_of_dicom(scan, tmp_path):
    pytest.importorskip("pydicom")
    assert lay_over(str(scan), 32, "pad")[1] == "axial slice 10 of 20: 24x16 pixels of 2 mm"
    assert lay_over(f"{scan}:coronal", 32, "pad")[1].startswith("coronal slice 12 of 24: 20x16")
    series = save_series(tmp_path / "series", block((6, 9, 8)), PixelSpacing=[1, 2])
    sheet, about, _ = lay_over(f"{series}:5", 32, "pad")
    assert about == "axial slice 5 of 6: 9x16 pixels of 1 mm"
    np.testing.assert_allclose(sheet.affine @ (0, 0, 0, 1), (-14.5, 0, 10, 1))


def test_pairs_and_odd_names(tmp_path):
    voxels = block((6, 5, 4))
    nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4)), tmp_path / "a.img")
    odd = save_nifti(tmp_path / "a:axial:1.nii", voxels)
    for path in (tmp_path / "a.img", tmp_path / "a.hdr", odd):
        assert lay_over(f"{path}:3", 8, "pad")[1].startswith("axial slice 3 of 4: 5x6 pixels")
    assert lay_over(str(odd), 8, "pad")[1].startswith("axial slice 2 of 4")


@pytest.mark.parametrize("end, kind, expected", [
    (":20", UsageError, "--like: expected one of 20 axial slices, 0 to 19, found 20"),
    (":sagittal:16", UsageError, "one of 16 sagittal slices, 0 to 15, found 16"),
    (":oblique", UsageError, "expected VOLUME[:AXIS][:INDEX] such as scan.nii.gz:87, found no"),
    (":-1", UsageError, "found no file"), ("x", UsageError, "found no file")])
def test_slices_that_are_not_there(scan, end, kind, expected):
    with pytest.raises(kind) as error:
        lay_over(f"{scan}{end}", 32, "pad")
    assert expected in str(error.value)


def test_what_is_no_volume(scan, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(DataError, match=r"found: no volume \(.nii, .nii.gz"):
        lay_over(str(home), 32, "pad")
    (home / "a.hdr").touch()
    with pytest.raises(DataError, match="found: no .img of that name beside it"):
        lay_over(str(home / "a.hdr"), 32, "pad")
    for name in ("b.nii", "c.nii"):
        (home / name).write_text("text")
    with pytest.raises(UsageError, match="expected one volume, found 2, such as b and c; name"):
        lay_over(str(home), 32, "pad")
    with pytest.raises(DataError, match="b.nii: expected a volume that can be read, found: not"):
        lay_over(str(home / "b.nii"), 32, "pad")


def test_values():
    (slope, inter), words = scale_of({"intensity": {"low": -100, "high": 1210.7, "unit": "HU"}})
    assert inter == -100 and slope * 65535 + inter == pytest.approx(1210.7)
    assert words == "-100 (black) to 1210.7 (white), as in training"
    assert scale_of({}) == ((1.0, 0.0), "0 (black) to 65535 (white), for the manifest states no "
                            "window of the scans")
    for wrong in (5, "x", [], {}, {"low": 1}, {"low": 2, "high": 1}, {"low": 0, "high": np.inf},
                  {"low": "0", "high": 1}, {"low": False, "high": True}):
        assert scale_of({"intensity": wrong}) == (
            (1.0, 0.0), "0 (black) to 65535 (white), for the manifest's intensity is no window")


def test_an_image_without_a_scan(tmp_path):
    image = np.full((6, 4, 1), -1, np.float32)
    image[0, 1] = 1
    Sheet().write(tmp_path / "a.nii.gz", image)
    written = nibabel.load(tmp_path / "a.nii.gz")
    assert written.shape == (4, 6, 1) and nibabel.aff2axcodes(written.affine) == ("R", "A", "S")
    assert written.get_fdata()[1, 5, 0] == 65535 and written.get_fdata().sum() == 65535
    np.testing.assert_allclose(written.affine @ (1.5, 2.5, 0, 1), (0, 0, 0, 1), atol=1e-6)
