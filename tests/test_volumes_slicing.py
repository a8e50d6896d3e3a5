"""Slices of volumes: which way up, which ones, and what grey."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from volume_makers import block, save_nifti, source_of

from stylegan2_tf.errors import UsageError
from stylegan2_tf.volumes import (
    SliceOptions,
    UnreadableVolume,
    find_volumes,
    is_volume,
    open_volume,
    read_slices,
)
from stylegan2_tf.volumes.choice import chosen
from stylegan2_tf.volumes.windows import find_window, to_grey

pytest.importorskip("nibabel")
REAL = os.environ.get("STYLEGAN2_TF_DATA")
AXES = ("axial", "coronal", "sagittal")
ALL = dict(empty=0, window="minmax")


def cut(path, **options):
    return list(read_slices(source_of(path), SliceOptions(**options)))


# -- which way up


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_a_marker_right_back_and_on_top_is_seen_there(tmp_path, axes, signs):
    """However the file stores it, at the millimetres where it was put."""
    affine, shape = np.zeros((4, 4)), np.array([20, 24, 18])
    for column, row in enumerate(axes):
        affine[row, column] = signs[column] * (1.0, 1.5, 2.5)[column]
    affine[:3, 3], affine[3, 3] = -affine[:3, :3] @ ((shape - 1) / 2) + (3, -40, 7), 1
    voxels = np.full(shape, 10, np.uint16)
    place = np.linalg.inv(affine) @ (3 + 6, -40 - 5, 7 + 4, 1)
    place = tuple(place.round().astype(int)[:3])
    voxels[place] = 1000
    save_nifti(tmp_path / "a.nii", voxels, affine)
    for axis, seen in zip(AXES, ((1, 1), (0, 1), (0, 1)), strict=True):
        slices = cut(tmp_path / "a.nii", axis=axis, **ALL)
        best = max(slices, key=lambda one: one.pixels.max())
        grey = best.pixels[..., 0].astype(float)
        row, column = np.mean(np.nonzero(grey == grey.max()), axis=1)
        assert (row > grey.shape[0] / 2, column > grey.shape[1] / 2) == seen
        np.testing.assert_allclose((best.affine @ (row, column, 0, 1))[:3],
                                   (affine @ (*place, 1))[:3], atol=0.51)
        assert abs(best.spacing[0] / best.spacing[1] - 1) < 0.05
        step = best.affine @ (row, column, 1, 1) - slices[best.index - 1].affine @ (row, column,
                                                                                    1, 1)
        np.testing.assert_allclose(step, best.affine[:, 2], atol=1e-9)


def test_proportions_are_kept(tmp_path):
    """A cube of 20 mm is square in every slice, though voxels are 1 x 2 x 4 mm."""
    voxels = np.zeros((40, 20, 10), np.uint8)
    voxels[10:30, 5:15, 3:8] = 200
    save_nifti(tmp_path / "a.nii.gz", voxels, np.diag([1, 2, 4, 1]))
    for axis, shape in zip(AXES, ((40, 40), (40, 40), (20, 20)), strict=True):
        middle = cut(tmp_path / "a.nii.gz", axis=axis, slices="40%-60%")
        pixels = middle[0].pixels[..., 0]
        assert pixels.shape == shape
        rows, columns = (np.flatnonzero((pixels > 100).any(axis)) for axis in (1, 0))
        assert len(rows) == len(columns) == shape[0] // 2
        assert middle[0].spacing == (40 / shape[0], 40 / shape[1])


def test_square_pixels_are_not_touched(tmp_path):
    voxels = block((7, 6, 5), np.uint8)
    save_nifti(tmp_path / "a.nii", voxels)
    found = {axis: cut(tmp_path / "a.nii", axis=axis, empty=0, window="wl=127.5,255")
             for axis in AXES}
    for index in range(5):
        np.testing.assert_array_equal(found["axial"][index].pixels[..., 0],
                                      voxels[:, ::-1, index].T)
    np.testing.assert_array_equal(found["coronal"][2].pixels[..., 0], voxels[:, 2, ::-1].T)
    np.testing.assert_array_equal(found["sagittal"][3].pixels[..., 0], voxels[3, ::-1, ::-1].T)


@pytest.mark.parametrize("spacing", [(1, 1, 1e-3), (1e-3, 1e3, 1)])
def test_voxels_too_thin_for_square_pixels(tmp_path, spacing):
    save_nifti(tmp_path / "a.nii", block((4, 60, 4)), np.diag([*spacing, 1]))
    with pytest.raises(UnreadableVolume, match="slices would have"):
        cut(tmp_path / "a.nii", axis="sagittal" if spacing[0] == 1 else "axial")


def test_a_single_plane(tmp_path):
    save_nifti(tmp_path / "a.nii", block((9, 7, 3))[..., 1:2])
    assert [one.pixels.shape for one in cut(tmp_path / "a.nii")] == [(7, 9, 1)]
    with pytest.raises(UnreadableVolume, match="coronal slices have 1 x 9 voxels; another --axis"):
        cut(tmp_path / "a.nii", axis="coronal")


# -- which slices


@pytest.mark.parametrize("text, expected", [
    ("0%-100%", list(range(10))), ("25%-92%", [2, 3, 4, 5, 6, 7, 8]), ("50%-100%", [5, 6, 7, 8, 9]),
    ("2-4", [2, 3, 4]), ("7,1,7,30", [1, 7]), ("8-999999999,0", [0, 8, 9]), ("12.5%-15%", [1]),
    ("20-30", [])])
def test_slices_that_are_named(text, expected):
    SliceOptions(slices=text)
    assert chosen(text, 10) == expected


def test_empty_slices_and_an_even_spread(tmp_path):
    voxels = np.zeros((10, 10, 30), np.uint8)
    voxels[4:6, 4:6, 5:25] = 200  # 4 % of each slice
    voxels[0, 0, 2] = 200  # 1 %
    voxels[:, :, 27] = 15  # noise, darker than a tenth
    save_nifti(tmp_path / "a.nii", voxels)

    def indices(**options):
        return [one.index for one in cut(tmp_path / "a.nii", window="minmax", **options)]

    assert indices() == [2, *range(5, 25)]
    assert indices(empty=0.02) == list(range(5, 25))
    assert indices(empty=0) == list(range(30))
    assert indices(empty=0.02, per_volume=4) == [7, 12, 17, 22]
    assert indices(empty=0.02, per_volume=1) == [15]
    assert indices(per_volume=100) == indices()
    with pytest.raises(UnreadableVolume, match="all 2 chosen slices are empty: in each, less than"):
        indices(slices="28-29")
    with pytest.raises(UnreadableVolume, match="no slice in 40-50, for it has 30 axial slices"):
        indices(slices="40-50")


# -- what grey


def test_sixteen_bits_survive(tmp_path):
    voxels = block((20, 18, 6), np.uint16)
    voxels[3, 3, 3] = 65535
    save_nifti(tmp_path / "a.nii.gz", voxels)
    for window in ("minmax", "wl=32767.5,65535"):
        found = cut(tmp_path / "a.nii.gz", bits=16, empty=0, window=window)
        assert found[0].pixels.dtype == np.uint16 and found[0].window == (0, 65535)
        back = np.stack([one.pixels[::-1, :, 0].T for one in found], axis=-1)
        np.testing.assert_array_equal(back, voxels)


@pytest.mark.parametrize("dtype, slope", [(np.int16, (0.37, -1000)), (np.float32, None),
                                          (np.int32, None), (np.float64, (2.0, 5))])
def test_values_survive_within_a_grey_step(tmp_path, dtype, slope):
    voxels = block((11, 9, 5), np.int16).astype(dtype) - 500
    save_nifti(tmp_path / "a.nii", voxels, scl_slope=slope[0] if slope else 1,
               scl_inter=slope[1] if slope else 0)
    true = voxels * (slope[0] if slope else 1) + (slope[1] if slope else 0)
    found = cut(tmp_path / "a.nii", bits=16, **ALL)
    low, high = found[0].window
    assert (low, high) == pytest.approx((true.min(), true.max()), rel=1e-6)
    back = np.stack([one.pixels[::-1, :, 0].T for one in found], axis=-1)
    back = low + back / 65535 * (high - low)
    assert np.abs(back - true).max() <= (high - low) / 65535 * 0.51


def test_windows(tmp_path):
    voxels = np.zeros((12, 12, 12), np.int16)
    voxels[1:-1, 1:-1, 1:-1] = np.arange(1, 1001).reshape(10, 10, 10)
    save_nifti(tmp_path / "a.nii", voxels)
    volume = open_volume(source_of(tmp_path / "a.nii"))
    assert find_window(volume, "minmax") == (0, 1000)
    # Between the 1,000 values 1 to 1000, the zeros around them left out.
    assert find_window(volume, "percentile") == pytest.approx((1 + 0.005 * 999, 1 + 0.995 * 999))
    assert find_window(volume, "wl=40,80") == (0, 80)
    with pytest.raises(UnreadableVolume, match="no window in DICOM tags"):
        find_window(volume, "dicom")
    save_nifti(tmp_path / "b.nii", (voxels > 0).astype(np.uint8))
    assert find_window(open_volume(source_of(tmp_path / "b.nii")), "percentile") == (0, 1)
    save_nifti(tmp_path / "c.nii", np.full((5, 5, 5), 7, np.uint8))
    with pytest.raises(UnreadableVolume, match="every voxel has the value 7"):
        cut(tmp_path / "c.nii")


def test_grey_values():
    assert to_grey(np.arange(256, dtype=np.uint8), (0, 255), 255).tolist() == list(range(256))
    grey = to_grey(np.array([-5, 0, 1, 40, 79.9, 80, 99]), (0, 80), 255)
    assert grey.tolist() == [0, 0, 3, 128, 255, 255, 255] and grey.dtype == np.uint8
    assert to_grey(np.array([0.5]), (0, 1), 65535).dtype == np.uint16


def test_slices_of_one_volume_keep_their_relative_brightness(tmp_path):
    voxels = block((10, 10, 10), np.uint8)
    voxels[:, :, 5] //= 4
    save_nifti(tmp_path / "a.nii", voxels)
    found = cut(tmp_path / "a.nii")
    assert len({one.window for one in found}) == 1
    means = {one.index: one.pixels.mean() for one in found}
    assert means[5] < 0.4 * means[4]


# -- the options


def test_options_are_json():
    options = SliceOptions(axis="coronal", slices="10,20-30", per_volume=32, window="wl=40,80.5",
                           bits=16, frame=2, empty=0.05)
    content = json.loads(json.dumps(vars(options)))
    assert SliceOptions(**content) == options and options.white == 65535


@pytest.mark.parametrize("name, values", {
    "axis": ["z", None, 0], "per_volume": [0, -1, 1.5, True, "3"], "bits": [12, "8", True],
    "slices": ["", "92%-25%", "0%-101%", "5-3", "a", "1;2", "-3", "1,,2", None, "٣", "10%",
               "1-2-3"],
    "window": ["", "wl=40", "wl=40,0", "wl=40,-80", "wl=nan,80", "wl=1,2,3", "auto", None],
    "frame": [-1, 0.5, "0"], "empty": [1, -0.1, float("nan"), "x"]}.items())
def test_options_that_are_refused(name, values):
    for value in values:
        with pytest.raises(UsageError, match=f"^--{name.replace('_', '-')}: expected .*, found"):
            SliceOptions(**{name: value})


# -- real volumes


@pytest.fixture(scope="module")
def real():
    if not REAL:
        pytest.skip("STYLEGAN2_TF_DATA names no folder of real volumes")
    top = Path(REAL) / "volumes"
    found, refused = find_volumes(filter(is_volume, sorted(top.rglob("*.*"))), top)
    assert refused == {}
    return {source.name: source for source in found}


def test_the_real_volumes_are_found(real):
    assert {name: (source.kind, len(source.paths)) for name, source in real.items()} == {
        "IXI049-HH-1358_T1_brain": ("nifti", 1), "IXI057-HH-1342_T1_brain": ("nifti", 1),
        "anatomical": ("nifti", 1), "dicom_t1": ("dicom", 13), "example_nifti2": ("nifti", 1)}


@pytest.mark.parametrize("name", ["IXI049-HH-1358_T1_brain", "IXI057-HH-1342_T1_brain"])
def test_real_brains_stand_upright(real, name):
    """Brains are longer than wide, and wider at the back; the cerebellum is below, behind."""
    def seen(axis, where):
        count = dict(axial=120, coronal=120, sagittal=90)[axis]
        [one] = read_slices(real[name], SliceOptions(axis=axis, slices=str(int(where * count))))
        return one.pixels[..., 0] > 60

    axial = seen("axial", 0.54)
    rows, columns = (np.flatnonzero(axial.any(axis)) for axis in (1, 0))
    assert axial.shape == (120, 90) and 1.15 < np.ptp(rows) / np.ptp(columns) < 1.5
    half = (rows[0] + rows[-1]) // 2
    assert axial[half:].sum() > axial[:half].sum()  # occipital is broader than frontal
    middle = seen("sagittal", 0.5)
    lowest = np.flatnonzero(middle.any(1))[-1]
    assert np.flatnonzero(middle[lowest]).mean() > 60  # the brain stem points down, behind centre
    coronal = seen("coronal", 0.5)
    rows = np.flatnonzero(coronal.any(1))
    assert coronal[rows[0] + 3].sum() < coronal[(rows[0] + rows[-1]) // 2].sum()
    np.testing.assert_allclose(open_volume(real[name]).spacing, 2)


def test_real_kinds(real):
    anatomical = open_volume(real["anatomical"])
    assert anatomical.voxels.shape == (33, 41, 25) and anatomical.voxels.dtype == np.int16
    assert anatomical.voxels.min() < 0 and anatomical.voxels.dtype.isnative
    frames = open_volume(real["example_nifti2"])
    assert "the first of 2 frames is used" in frames.notes[0]
    assert (open_volume(real["example_nifti2"], 1).voxels != frames.voxels).any()
    with pytest.raises(UnreadableVolume, match="--frame 2 asked for, but it has frames 0 to 1"):
        open_volume(real["example_nifti2"], 2)


def test_the_real_series(real):
    volume = open_volume(real["dicom_t1"])
    assert volume.voxels.shape == (274, 384, 13) and volume.voxels.dtype == np.int16
    np.testing.assert_allclose(volume.spacing, (0.7, 0.66667, 5.33333), atol=1e-4)
    assert (np.diff([volume.affine[2, 2] * index for index in range(13)]) > 0).all()
    # Neighbours resemble each other: the order is that of the head.
    planes = volume.voxels.reshape(-1, 13).T.astype(float)
    alike = np.corrcoef(planes)
    assert all(alike[index, index + 1] > alike[index].take(range(index + 2, 13)).max(initial=-1)
               for index in range(12))
