"""DICOM series: order, geometry, values, and what is refused."""

import numpy as np
import pytest
from volume_makers import block, save_dicom, save_series, source_of

from stylegan2_tf.volumes import (
    SliceOptions,
    UnreadableVolume,
    find_volumes,
    open_volume,
    read_slices,
)

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

CORONAL = (1, 0, 0, 0, 0, -1)


def opened(folder, frame=None):
    return open_volume(source_of(folder), frame)


def reason(folder, frame=None):
    with pytest.raises(UnreadableVolume) as error:
        opened(folder, frame)
    text = str(error.value)
    assert "\n" not in text and len(text) < 260
    assert not any(word in text for word in ("Doe", "1950", "2020", str(folder)))
    return text


# -- order and geometry


def test_order_is_that_of_positions(tmp_path):
    """Neither file names nor instance numbers tell it."""
    planes = block((6, 5, 4), np.int16)
    volume = opened(save_series(tmp_path / "a", planes, start=(10, 20, 30)))
    # DICOM counts to the left and to the back, this to the right and to the front.
    np.testing.assert_array_equal(volume.voxels, planes.transpose(2, 1, 0)[::-1, ::-1])
    assert volume.voxels.dtype == np.int16 and volume.spacing == (1, 1, 2) and volume.notes == ()
    expected = [[1, 0, 0, -13], [0, 1, 0, -24], [0, 0, 2, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, expected)


def test_a_marker_is_where_dicom_says(tmp_path):
    """Oblique, with spacing that is not square: the standard's equation C.7.6.2.1-1."""
    angle = np.radians(8)
    cosines = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)]])
    step = 3 * np.cross(*cosines)
    planes = np.zeros((5, 12, 10), np.uint16)
    planes[3, 7, 2] = 1000
    save_series(tmp_path / "a", planes, (-50, -40, 9), step, cosines.ravel(),
                PixelSpacing=[0.5, 0.75])
    volume = opened(tmp_path / "a")
    place = [*np.argwhere(volume.voxels == 1000)[0], 1]
    left, back, top = (np.array([-50, -40, 9]) + 2 * 0.75 * cosines[0] + 7 * 0.5 * cosines[1] +
                       3 * step)
    np.testing.assert_allclose((volume.affine @ place)[:3], (-left, -back, top), atol=1e-9)
    assert "up to 8 degrees" in volume.notes[0]
    np.testing.assert_allclose(volume.spacing, (0.75, 0.5, 3))


@pytest.mark.parametrize("cosines, step", [
    ((1, 0, 0, 0, 1, 0), (0, 0, -2)), (CORONAL, (0, 2, 0)), (CORONAL, (0, -2, 0)),
    ((0, 1, 0, 0, 0, -1), (2, 0, 0)), ((-1, 0, 0, 0, 0, 1), (0, 2, 0))])
def test_whatever_way_it_was_scanned(tmp_path, cosines, step):
    planes = np.full((8, 8, 8), 5, np.uint16)
    planes[5, 1, 6] = 1000
    save_series(tmp_path / "a", planes, cosines=cosines, step=step)
    pairs = np.reshape(cosines, (2, 3))
    left, back, top = 6 * pairs[0] + pairs[1] + 5 * np.array(step)
    for axis in ("axial", "coronal", "sagittal"):
        slices = read_slices(source_of(tmp_path / "a"), SliceOptions(axis=axis, empty=0))
        best = max(slices, key=lambda one: one.pixels.max())
        grey = best.pixels[..., 0]
        row, column = np.mean(np.nonzero(grey == grey.max()), axis=1)
        np.testing.assert_allclose((best.affine @ (row, column, 0, 1))[:3], (-left, -back, top),
                                   atol=0.51)


def test_one_image_alone(tmp_path):
    plane = block((9, 8))[None]
    save_series(tmp_path / "a", plane, SliceThickness=4)
    volume = opened(tmp_path / "a")
    assert volume.voxels.shape == (8, 9, 1) and volume.spacing == (1, 1, 4)
    [only] = read_slices(source_of(tmp_path / "a"), SliceOptions())
    assert only.pixels.shape == (9, 8, 1)
    low, high = only.window
    expected = ((plane[0].astype(float) - low) / (high - low) * 255).round().clip(0, 255)
    np.testing.assert_array_equal(only.pixels[..., 0], expected[:, ::-1])
    save_series(tmp_path / "b", plane, SliceThickness=None)
    assert opened(tmp_path / "b").spacing == (1, 1, 1)


def test_missing_slices_are_noted(tmp_path):
    folder = save_series(tmp_path / "a", block((7, 5, 5)))
    (folder / "021.dcm").unlink()
    volume = opened(folder)
    assert volume.voxels.shape == (5, 5, 6)
    assert volume.notes == ("gaps between slices are uneven, 2 to 4 mm: slices may be missing; "
                            "they are taken as evenly spaced",)
    assert volume.spacing[2] == pytest.approx(12 / 5)


def test_copies_and_frames(tmp_path):
    planes = block((4, 5, 5))
    folder = save_series(tmp_path / "a", planes)
    (folder / "copy.dcm").write_bytes((folder / "000.dcm").read_bytes())
    assert opened(folder).notes == ("1 files are copies of others of the series",)
    assert opened(folder).voxels.shape == (5, 5, 4)
    (folder / "copy.dcm").unlink()
    for number, name in enumerate("wxyz"):  # a second echo, its file names elsewhere
        save_dicom(folder / f"{name}.dcm", planes[number] // 2, (0, 0, 2 * number),
                   InstanceNumber=200 - number)
    assert opened(folder).notes == ("the first of 2 frames is used; --frame chooses another",)
    right = planes.transpose(2, 1, 0)[::-1, ::-1]
    np.testing.assert_array_equal(opened(folder, 0).voxels, right)
    np.testing.assert_array_equal(opened(folder, 1).voxels, right // 2)
    assert reason(folder, 2) == "--frame 2 asked for, but it has frames 0 to 1"
    (folder / "w.dcm").unlink()
    assert reason(folder) == ("2 images at one position and 1 at another: a mixed or incomplete "
                              "series")


# -- values


def test_rescale(tmp_path):
    planes = block((3, 5, 5), np.uint16) % 4096
    right = planes.transpose(2, 1, 0)[::-1, ::-1].astype(float)
    ct = opened(save_series(tmp_path / "ct", planes, RescaleSlope=1, RescaleIntercept=-1024))
    assert ct.voxels.dtype == np.int32
    np.testing.assert_array_equal(ct.voxels, right - 1024)
    pet = opened(save_series(tmp_path / "pet", planes, RescaleSlope=0.37, RescaleIntercept=5))
    assert pet.voxels.dtype == np.float32
    np.testing.assert_allclose(pet.voxels, right * 0.37 + 5, rtol=1e-6)
    (tmp_path / "pet" / "000.dcm").unlink()  # PET: every slice has its own
    save_dicom(tmp_path / "pet" / "x.dcm", planes[0], RescaleSlope=2)
    np.testing.assert_allclose(opened(tmp_path / "pet").voxels[..., 0], right[..., 0] * 2)


def test_monochrome_1_is_inverted(tmp_path):
    planes = block((3, 5, 5), np.uint16)
    series = save_series(tmp_path / "a", planes, PhotometricInterpretation="MONOCHROME1",
                         WindowCenter=100.5, WindowWidth=41)
    volume = opened(series)
    low, high = int(planes.min()), int(planes.max())
    np.testing.assert_array_equal(volume.voxels,
                                  low + high - planes.transpose(2, 1, 0)[::-1, ::-1].astype(int))
    assert volume.windows == ((low + high - 120, low + high - 80),)
    assert volume.notes[0].startswith("MONOCHROME1: the values are mirrored")


@pytest.mark.parametrize("tags, expected", [
    (dict(WindowCenter=40, WindowWidth=80), ((0, 79),)),
    (dict(WindowCenter=[40, 300], WindowWidth=[80, 2000]), ((0, 79), (-700, 1299))),
    (dict(WindowCenter=40, WindowWidth=80, VOILUTFunction="LINEAR_EXACT"), ((0, 80),)),
    (dict(WindowCenter=40, WindowWidth=1), None), (dict(WindowCenter=40, WindowWidth=-5), None),
    (dict(WindowCenter=40), None), ({}, None)])
def test_windows_of_tags(tmp_path, tags, expected):
    save_series(tmp_path / "a", block((3, 6, 5)) % 100, **tags)
    assert opened(tmp_path / "a").windows == expected
    options = SliceOptions(window="dicom", empty=0)
    if expected is None:
        with pytest.raises(UnreadableVolume, match="no window in DICOM tags, which --window dicom"):
            read_slices(source_of(tmp_path / "a"), options)
    else:
        assert {one.window for one in read_slices(source_of(tmp_path / "a"), options)} == {
            expected[0]}


def test_windows_of_slices_that_differ(tmp_path):
    folder = save_series(tmp_path / "a", block((2, 5, 5)), WindowCenter=40, WindowWidth=80)
    save_dicom(folder / "c.dcm", block((5, 5)), (0, 0, 4), WindowCenter=100, WindowWidth=20)
    volume = opened(folder)
    assert volume.windows == ((0, 79),)
    assert volume.notes == ("the windows of its slices differ: --window dicom takes their median",)


def test_compressed_without_loss(tmp_path):
    """RLE, which pydicom reads by itself."""
    planes = block((3, 8, 8))
    folder = save_series(tmp_path / "a", planes)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        data.compress(pydicom.uid.RLELossless)
        data.save_as(path)
    np.testing.assert_array_equal(opened(folder).voxels, planes.transpose(2, 1, 0)[::-1, ::-1])


# -- several frames in a file


def enhanced(path, planes, positions=True, **tags):
    """One file of several frames, written backwards; geometry in its functional groups."""
    def sequence(**values):
        item = pydicom.Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        return pydicom.Sequence([item])

    shared = sequence(
        PlaneOrientationSequence=sequence(ImageOrientationPatient=[1., 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=sequence(PixelSpacing=[1., 1], SliceThickness=2.),
        PixelValueTransformationSequence=sequence(RescaleSlope=1., RescaleIntercept=-10.),
        FrameVOILUTSequence=sequence(WindowCenter=40., WindowWidth=80.))
    frames = [sequence(PlanePositionSequence=sequence(ImagePositionPatient=[0., 0, 2. * number]))[0]
              for number in reversed(range(len(planes)))]
    groups = dict(SharedFunctionalGroupsSequence=shared,
                  PerFrameFunctionalGroupsSequence=pydicom.Sequence(frames)) if positions else {}
    save_dicom(path, planes[::-1], ImagePositionPatient=None, ImageOrientationPatient=None,
               **{"PixelSpacing": None, "NumberOfFrames": len(planes), **groups, **tags})


def test_frames_of_one_file(tmp_path):
    planes = block((5, 6, 7))
    enhanced(tmp_path / "a.dcm", planes)
    volume = opened(tmp_path)
    np.testing.assert_array_equal(volume.voxels,
                                  planes.transpose(2, 1, 0)[::-1, ::-1].astype(int) - 10)
    assert volume.spacing == (1, 1, 2) and volume.windows == ((0, 79),)
    enhanced(tmp_path / "a.dcm", planes, positions=False)
    assert reason(tmp_path) == "5 frames that do not tell where they lie"
    enhanced(tmp_path / "a.dcm", planes, NumberOfFrames=10**6)
    assert reason(tmp_path) == "1,000,000 frames, but 5 descriptions of frames"


# -- what is refused


@pytest.mark.parametrize("tags, expected", [
    (dict(PhotometricInterpretation="RGB", SamplesPerPixel=3), "colour DICOM (RGB), expected grey"),
    (dict(PhotometricInterpretation="PALETTE COLOR"), "colour DICOM (PALETTE COLOR)"),
    (dict(ImagePositionPatient=None), "no ImagePositionPatient, so where its slices lie"),
    (dict(ImageOrientationPatient=None), "no ImageOrientationPatient"),
    (dict(PixelSpacing=None), "no PixelSpacing"), (dict(PixelSpacing=[0, 1]), "spacing of 0 x 1"),
    (dict(PixelSpacing=[-1, 1]), "spacing of -1 x 1"),
    (dict(PixelSpacing=[1e6, 1]), "a spacing of 1 x 1e+06 x 2 mm, expected"),
    (dict(cosines=(0, 0, 0, 0, 0, 0)), "no pair of directions"),
    (dict(cosines=(1, 0, 0, 1, 0, 0)), "no pair of directions"),
    (dict(RescaleSlope=0, RescaleIntercept=0), "a rescale slope of 0"),
    (dict(ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]), "a Siemens mosaic"),
    (dict(Rows=60000, Columns=60000), "60000 x 60000 x 3 voxels, more than"),
    (dict(Rows=64), "damaged: "), (dict(BitsAllocated=1), "pixels that are no whole numbers of 8"),
    (dict(syntax="1.2.840.10008.1.2.4.70"), "for which no decoder is installed: pip install "
     "python-gdcm, or pylibjpeg with"),
    (dict(syntax="1.2.840.10008.1.2.4.90"), "damaged: ")])
def test_one_reason_each(tmp_path, tags, expected):
    assert expected in reason(save_series(tmp_path / "a", block((3, 6, 5)), **tags))


def test_mixed_series(tmp_path):
    for name, other, expected in (
            ("a", dict(pixels=block((9, 5))), "images of 6 x 5 and 9 x 5 pixels"),
            ("b", dict(pixels=block((6, 5)), cosines=CORONAL), "of different directions (3 and 1)"),
            ("c", dict(pixels=block((6, 5)), PixelSpacing=[2, 2]), "different pixel spacings"),
            ("d", dict(pixels=block((6, 5)), PhotometricInterpretation="MONOCHROME1"),
             "different photometric interpretations (3 and 1)"),
            ("e", dict(pixels=block((6, 5)), PatientID="another"), "images of several patients")):
        folder = save_series(tmp_path / name, block((3, 6, 5)))
        pixels = other.pop("pixels")
        save_dicom(folder / "z.dcm", pixels, (0, 0, 6), **other)
        text = reason(folder)
        assert text.startswith("a mixed series: ") and expected in text
    folder = save_series(tmp_path / "f", block((4, 6, 5)))
    save_dicom(folder / "z.dcm", block((6, 5)), (40, 0, 3))
    assert reason(folder) == "its slices are shifted sideways, by up to 40 mm"


def test_files_that_are_cut_or_flipped(tmp_path):
    """Each ends in a volume or in a reason without private data."""
    folder = save_series(tmp_path / "a", block((2, 6, 5)))
    path, rng = folder / "007.dcm", np.random.default_rng(0)
    whole, read = path.read_bytes(), 0
    for number in range(150):
        damaged = bytearray(whole)
        if number % 3:
            for byte in rng.integers(132, len(whole), 3):
                damaged[byte] = rng.integers(0, 256)
        else:
            del damaged[rng.integers(132, len(whole)):]
        path.write_bytes(damaged)
        sources, refused = find_volumes(sorted(folder.iterdir()), tmp_path)
        texts = list(refused.values())
        for source in sources:
            try:
                read += open_volume(source).voxels.ndim == 3
            except UnreadableVolume as error:
                texts.append(str(error))
        for text in texts:
            assert len(text) < 260 and "Doe" not in text and "\n" not in text
    assert read > 30


def test_no_private_data_is_kept(tmp_path):
    source = source_of(save_series(tmp_path / "a", block((3, 6, 5)), WindowCenter=40,
                                   WindowWidth=80, PatientAddress="Elm Street"))
    volume = open_volume(source)
    known = repr([vars(one) for one in (volume, volume.identity, *read_slices(
        source, SliceOptions()))])
    assert "P7" in known
    assert not any(word in known for word in ("Doe", "Elm", "1950", "20200131", "1.2.3"))
