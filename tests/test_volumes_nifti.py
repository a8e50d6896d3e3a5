"""NIfTI and Analyze: what is read, what is refused, and that a file can't do harm."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from volume_makers import block, save_nifti, source_of

from stylegan2_tf.volumes import UnreadableVolume, VolumeSource, open_volume, write_nifti
from stylegan2_tf.volumes.orientation import check_affine

nibabel = pytest.importorskip("nibabel")


def opened(path, frame=None):
    return open_volume(source_of(path), frame)


def reason(path, frame=None):
    with pytest.raises(UnreadableVolume) as error:
        opened(path, frame)
    text = str(error.value)
    assert "\n" not in text and len(text) < 250 and str(path) not in text
    return text


# -- what is read


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "u2", "i4", ">f4", "f8", "i8"])
def test_values_as_nibabel_reads_them(tmp_path, name, dtype, version):
    voxels = (block((5, 4, 3), np.uint8).astype(dtype) - (0 if dtype[-2] == "u" else 7))
    path = save_nifti(tmp_path / name, voxels, np.diag([-1, 1, 2, 1]), version=version)
    volume = opened(path)
    right = nibabel.as_closest_canonical(nibabel.load(path))
    np.testing.assert_array_equal(volume.voxels, right.get_fdata())
    np.testing.assert_allclose(volume.affine, right.affine)
    assert volume.voxels.dtype == (np.float32 if dtype in ("f8", "i8", ">f4") else
                                   np.dtype(dtype).newbyteorder("="))
    assert volume.spacing == (1, 1, 2) and volume.notes == () and volume.windows is None


@pytest.mark.parametrize("slope, inter", [(0.5, -3), (1, 7), (-2, 0), (0, 5), (np.nan, 1)])
def test_scale(tmp_path, slope, inter):
    path = save_nifti(tmp_path / "a.nii", block((5, 4, 3), np.uint8), scl_slope=slope,
                      scl_inter=inter)
    np.testing.assert_allclose(opened(path).voxels, nibabel.load(path).get_fdata())


@pytest.mark.parametrize("shape, expected", [((5, 4), (5, 4, 1)), ((5, 4, 3, 1), (5, 4, 3)),
                                             ((5, 4, 3, 1, 1), (5, 4, 3))])
def test_axes_of_one(tmp_path, shape, expected):
    assert opened(save_nifti(tmp_path / "a.nii", np.ones(shape, np.uint8))).voxels.shape == expected


def test_frames(tmp_path):
    voxels = np.random.default_rng(0).integers(-99, 99, (5, 4, 3, 6), np.int16)
    path = save_nifti(tmp_path / "a.nii.gz", voxels)
    first = opened(path)
    assert first.notes == ("the first of 6 frames is used; --frame chooses another",)
    for frame in range(6):
        volume = opened(path, frame)
        np.testing.assert_array_equal(volume.voxels, voxels[..., frame])
        assert volume.notes == ()
    np.testing.assert_array_equal(first.voxels, voxels[..., 0])
    assert reason(path, 6) == "--frame 6 asked for, but it has frames 0 to 5"
    save_nifti(path, voxels[..., 0])
    assert reason(path, 1) == "--frame 1 asked for, but it has only one frame"


def test_oblique_axes_count_as_the_nearest(tmp_path):
    turn = nibabel.eulerangles.euler2mat(0.2, 0.1, 0.05)
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2, -1, 1])
    volume = opened(save_nifti(tmp_path / "a.nii", block((5, 4, 3)), affine))
    assert volume.notes[0].startswith("its axes are up to 1") and "degrees" in volume.notes[0]
    np.testing.assert_allclose(volume.spacing, (2, 1, 1), rtol=1e-6)
    assert (np.diag(volume.affine)[:3] > 0).all()


def test_a_header_without_an_orientation(tmp_path):
    path = save_nifti(tmp_path / "a.nii", block((5, 4, 3)), sform_code=0, qform_code=0)
    assert opened(path).notes == ("its header states no orientation: its axes are taken to lead "
                                  "to the patient's left, front and top",)
    np.testing.assert_array_equal(opened(path).voxels, block((5, 4, 3))[::-1])


@pytest.mark.parametrize("code, axes", [(0, "LAS"), (1, "LSA"), (2, "ASL"), (3, "LPS"),
                                        (77, "LAS")])
def test_analyze(tmp_path, code, axes):
    """OASIS-1: big-endian 16 bits, a fourth axis of one, no affine."""
    voxels = block((6, 5, 4, 1), np.dtype(">i2"))
    header = nibabel.Spm2AnalyzeHeader(endianness=">")
    header.set_data_dtype(">i2")
    header.set_data_shape(voxels.shape)
    header.set_zooms((1, 1.25, 2, 1))
    header["orient"] = bytes([code])
    (tmp_path / "a.hdr").write_bytes(header.binaryblock)
    (tmp_path / "a.img").write_bytes(voxels.tobytes(order="F"))
    volume = opened(tmp_path)
    turn = nibabel.orientations.axcodes2ornt(axes)
    np.testing.assert_array_equal(
        volume.voxels, nibabel.orientations.apply_orientation(voxels[..., 0], turn))
    assert volume.voxels.dtype.isnative
    assert volume.notes[0].startswith("Analyze states no orientation: its axes are taken to lead")
    np.testing.assert_allclose(volume.affine @ [*(np.array(volume.voxels.shape) - 1) / 2, 1],
                               [0, 0, 0, 1], atol=1e-9)
    assert volume.spacing[2] == dict(zip(axes, (1, 1.25, 2), strict=True))["S"]
    if code == 0:  # as nibabel does
        right = nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.img"))
        np.testing.assert_array_equal(volume.voxels, right.get_fdata()[..., 0])


def test_a_nifti_pair(tmp_path):
    voxels = block((5, 4, 3))
    nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4)), tmp_path / "a.img")
    volume = opened(tmp_path)
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.notes == ()


def test_voxels_that_are_no_numbers(tmp_path):
    voxels = block((5, 4, 3), np.float32) - 20
    voxels[0, 0, 0], voxels[1, 1, 1], voxels[2, 2, 2] = np.nan, np.inf, -np.inf
    volume = opened(save_nifti(tmp_path / "a.nii", voxels))
    least = voxels[np.isfinite(voxels)].min()
    assert volume.voxels[0, 0, 0] == volume.voxels[1, 1, 1] == volume.voxels[2, 2, 2] == least
    assert volume.notes == ("3 voxels that were NaN or infinite are set to the minimum -20",)
    voxels[:] = np.nan
    assert reason(save_nifti(tmp_path / "a.nii", voxels)) == "no voxel is a finite number"
    huge = np.full((3, 3, 3), 1e300)
    huge[0] = 1
    assert "9 voxels" not in opened(save_nifti(tmp_path / "a.nii", huge)).notes[0]


# -- what is refused


@pytest.mark.parametrize("header, expected", [
    (dict(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "32767 x 32767 x 32767 voxels, more than"),
    (dict(dim=[3, 700, 700, 700, 1, 1, 1, 1]), "its header states 686,000,352 bytes, but the file"),
    (dict(dim=[3, 5, -4, 3, 1, 1, 1, 1]), "its header states 5 x -4 x 3 voxels"),
    (dict(dim=[3, 5, 0, 3, 1, 1, 1, 1]), "its header states 5 x 0 x 3 voxels"),
    (dict(dim=[5, 5, 4, 1, 1, 3, 1, 1]), "5-D (5 x 4 x 1 x 1 x 3), expected 3-D or 4-D"),
    (dict(dim=[1, 60, 1, 1, 1, 1, 1, 1]), "1-D"),
    (dict(dim=[4, 5, 4, 3, 0, 1, 1, 1]), "its header states 5 x 4 x 3 x 0 voxels"),
    (dict(datatype=32), "complex voxels"), (dict(datatype=128), "colour (RGB) voxels"),
    (dict(datatype=2304), "colour (RGB) voxels"), (dict(datatype=9999), "unknown data type 9999"),
    (dict(datatype=1536), "voxels of type float128"), (dict(datatype=1), "voxels of type"),
    (dict(vox_offset=1e30), "its header states voxels from byte 1e+30 on"),
    (dict(vox_offset=np.nan), "its header states voxels from byte nan on"),
    (dict(vox_offset=-5), "its header states voxels from byte -5 on"),
    (dict(srow_x=[0, 0, 0, 0]), "spacing of 0 x 1 x 1 mm"),
    (dict(srow_x=[np.nan, 0, 0, 0]), "its affine or spacing is not finite"),
    (dict(srow_x=[1e9, 0, 0, 0]), "spacing of 1e+09 x 1 x 1 mm"),
    (dict(srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0]), "its affine is singular"),
    (dict(sform_code=0, qform_code=0, pixdim=[1, 0, 1, 1, 0, 0, 0, 0]), "spacing of 0 x 1 x 1"),
    (dict(sform_code=0, qform_code=1, pixdim=[1, -2, 1, 1, 0, 0, 0, 0]), "spacing of -2 x 1 x 1"),
    (dict(sform_code=0, qform_code=0, pixdim=[1, np.nan, 1, 1, 0, 0, 0, 0]), "spacing of nan"),
    (dict(sform_code=0, qform_code=1, quatern_b=5), "damaged: "),
    (dict(scl_slope=2, scl_inter=np.inf), "damaged: "), (dict(magic=b"xyz"), "not NIfTI")])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_hostile_headers(tmp_path, name, header, expected):
    path = save_nifti(tmp_path / name, block((5, 4, 3)), **header)
    if "686,000,352" in expected and name == "a.nii.gz":
        expected = "its header states 686,000,352 bytes, but the file"
    assert expected in reason(path)


@pytest.mark.parametrize("content, expected", [
    (b"", "empty file"), (b"hello", "not NIfTI"), (b"text " * 200, "not NIfTI"),
    (b"\x1f\x8b", "the file is cut short"), (b"\x1f\x8b" + b"x" * 400, "content is damaged"),
    (gzip.compress(b""), "empty file"), (gzip.compress(b"\0" * 10**6), "not NIfTI")])
def test_what_is_no_volume(tmp_path, content, expected):
    for name in ("a.nii", "b.nii.gz"):
        (tmp_path / name).write_bytes(content)
        assert expected in reason(tmp_path / name)
    home = tmp_path / "pair"
    home.mkdir()
    for name in ("c.hdr", "c.img"):
        (home / name).write_bytes(content)
    assert expected.replace("not NIfTI", "not Analyze or NIfTI") in reason(home)


def test_files_that_are_cut_or_flipped(tmp_path):
    voxels = block((20, 18, 16))
    path = save_nifti(tmp_path / "a.nii.gz", voxels)
    whole = path.read_bytes()
    for part in (0.05, 0.5, 0.99):
        path.write_bytes(whole[:int(part * len(whole))])
        assert reason(path) in ("the file is cut short",)
    for byte in range(20, len(whole), 997):
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 16]) + whole[byte + 1:])
        assert reason(path)  # the checksum at the end tells
    plain = save_nifti(tmp_path / "b.nii", voxels)
    plain.write_bytes(plain.read_bytes()[:-1])
    assert "bytes, but the file has" in reason(plain)


def test_a_bomb_is_read_no_further_than_its_header_says(tmp_path):
    path = save_nifti(tmp_path / "a.nii.gz", block((5, 4, 3)))
    bomb = gzip.decompress(path.read_bytes()) + b"\0" * 2**28
    path.write_bytes(gzip.compress(bomb, 1))
    del bomb
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(opened(path).voxels, block((5, 4, 3)))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_random_headers_end_in_a_volume_or_in_a_reason(tmp_path):
    path = save_nifti(tmp_path / "a.nii", block((5, 4, 3)))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    source = VolumeSource("a", (str(path),), "nifti")
    read = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for byte in rng.integers(0, 348, rng.integers(1, 6)):
            damaged[byte] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read += open_volume(source).voxels.ndim == 3
        except UnreadableVolume as error:
            assert len(str(error)) < 250
    assert 100 < read < 400


def test_affines():
    check_affine(np.diag([1, -1, 2, 1]))
    with pytest.raises(UnreadableVolume, match="not finite"):
        check_affine(np.full((4, 4), np.nan))


# -- what is written


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_planes_are_written_where_they_lie(tmp_path, name):
    planes = np.random.default_rng(0).integers(0, 65536, (2, 5, 4), np.uint16)
    affine = np.zeros((4, 4))  # rows lead down, columns to the front, planes to the right
    affine[2, 0], affine[1, 1], affine[0, 2] = -2, 1.5, 3
    affine[:, 3] = 10, 20, 30, 1
    write_nifti(tmp_path / name, planes, affine, scale=(0.5, -100))
    image = nibabel.load(tmp_path / name)
    assert image.shape == (2, 4, 5) and nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.get_data_dtype() == np.uint16
    for plane, row, column in ((0, 0, 0), (1, 4, 3), (0, 2, 1)):
        place = np.linalg.inv(image.affine) @ affine @ (row, column, plane, 1)
        assert image.get_fdata()[tuple(place[:3].round().astype(int))] == (
            planes[plane, row, column] * 0.5 - 100)
    before = (tmp_path / name).read_bytes()
    write_nifti(tmp_path / name, planes, affine, scale=(0.5, -100))
    assert (tmp_path / name).read_bytes() == before
    assert struct.unpack("<i", (gzip.decompress(before) if name[-1] == "z" else before)[:4]) == (
        348,)
    floats = np.random.default_rng(0).normal(size=(1, 3, 4))
    write_nifti(tmp_path / name, floats, affine)
    assert nibabel.load(tmp_path / name).get_data_dtype() == np.float32
    assert list(tmp_path.iterdir()) == [tmp_path / name]
