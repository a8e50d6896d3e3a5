"""What a preview finds in a folder, says about it and draws."""

import os
import shlex

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.config import make_config
from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.preview import describe, examine, findings, save_preview, suggestion


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape or (16, 16), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Twelve grey slices of four people in two classes, and some trouble."""
    folder = tmp_path / "data"
    for index in range(12):
        save(folder / ("AD", "NC")[index % 2] / f"case_{index // 3:03d}_slice_{index}.png",
             noise(index))
    return folder


def facts(found):
    """Label -> text."""
    return {fact.label: fact.text for fact in describe(found)}


def look(folder, **options):
    return examine(folder, progress=False, **options)


# -- findings


def test_numbers_of_known_pixels(tmp_path):
    save(tmp_path / "a.png", np.array([[0, 0, 10], [20, 255, 0]], np.uint8))
    save(tmp_path / "b.png", np.array([[[0, 0, 0], [0, 0, 7]]], np.uint8))
    found = look(tmp_path)
    expected = np.zeros(256, int)
    for value in [0, 0, 10, 20, 255, 0, 0, 0, 0, 0, 0, 7]:
        expected[value] += 1
    np.testing.assert_array_equal(found.histogram, expected)
    assert (found.pixels, found.black) == (8, 4)
    assert found.ranges == {8: [0, 255]} and found.sides == [3, 2]
    assert found.sizes == {"2x3": 1, "1x2": 1} and found.kinds == {"8-bit L": 1, "8-bit RGB": 1}
    assert (found.looked_at, found.colour, found.grey_as_colour) == (2, 1, 0)
    assert "mean 9.5 % of the full range; 50.0 % of the pixels are black" in facts(found)["values"]


def test_large_images_are_counted_in_pieces(folder, monkeypatch):
    whole = look(folder).histogram
    monkeypatch.setattr(findings, "AT_ONCE", 100)
    np.testing.assert_array_equal(look(folder).histogram, whole)
    assert whole.sum() == 12 * 256


def test_16_bits_are_told_and_binned_by_their_range(tmp_path):
    save(tmp_path / "a.png", np.array([[0, 255], [256, 4095]], np.uint16))
    save(tmp_path / "b.png", np.full((2, 2), 200, np.uint8))
    found = look(tmp_path)
    assert found.ranges == {16: [0, 4095], 8: [200, 200]}
    assert {bin: count for bin, count in enumerate(found.histogram) if count} == {
        0: 2, 1: 1, 15: 1, 200: 4}
    assert found.black == 1
    said = facts(found)
    assert "0 to 4,095 of 65,535" in said["values"]
    assert "the 16-bit images are nearly black" in said["values"]
    assert "8-bit images are" not in said["values"]
    assert said["note"] == "16 bits a pixel in 1 of 2 images"


def test_grey_saved_as_colour_is_grey(tmp_path):
    grey = noise(0)
    save(tmp_path / "a.png", np.repeat(grey[..., None], 3, axis=2))
    save(tmp_path / "b.png", grey)
    found = look(tmp_path)
    assert (found.colour, found.grey_as_colour) == (0, 1)
    assert found.histogram.sum() == 2 * 256  # not four times
    assert list(found.duplicates) == ["b.png"]
    assert facts(found)["colour"] == "in 0 of 2 images; 1 grey ones are saved as colour"


def test_duplicates_and_constant_images_are_named(folder):
    save(folder / "z.png", noise(0))
    save(folder / "turned.png", noise(0).reshape(8, 32))  # the same bytes, another picture
    save(folder / "flat.png", np.full((9, 9), 3, np.uint8))
    save(folder / "red.png", np.full((9, 9, 3), (3, 1, 1), np.uint8))
    found = look(folder)
    assert found.duplicates == {"z.png": "the same pixels as AD/case_000_slice_0.png"}
    assert found.constant == {"flat.png": "every pixel is 3", "red.png": "every pixel is 3, 1, 1"}
    lines = [str(fact) for fact in describe(found)]
    assert ("duplicates     1 of 16 images have the pixels of an earlier one\n"
            "  z.png: the same pixels as AD/case_000_slice_0.png") in lines
    assert "constant       2 of 16 images have one value everywhere" in "\n".join(lines)


def test_unreadable_files_are_listed_and_bounded(folder):
    for index in range(30):
        (folder / f"{index}.png").touch()
    found = look(folder)
    assert len(found.unreadable) == 30 and found.looked_at == len(found.names) == 12
    (fact,) = (fact for fact in describe(found) if fact.label == "unreadable")
    assert fact.text == "30 of 42 looked at; training stops at more than 1 %"
    assert fact.details[0] == "  0.png: empty file" and fact.details[-1] == "  and 10 more"
    assert len(fact.details) == 21


def test_folders_and_subjects(folder):
    said = facts(look(folder))
    assert said["folders"] == "AD 6, NC 6 images; as classes with --conditional"
    assert said["subjects"] == "4 with 3 images each; by OASIS, like case_049_slice_7"
    save(folder / "train" / "MCI" / "case_009_slice_1.png", noise(99))
    save(folder / "case_009_slice_2.png", noise(98))
    said = facts(look(folder))
    assert said["folders"] == ("AD 6, NC 6, train 1 images; 1 in none; "
                               "deeper, for --classes: MCI 1")
    assert "5 with 2 to 3, median 3, images each" in said["subjects"]
    assert "12 with 1 to 2" in facts(look(folder, subject_pattern=r"slice_(\d+)"))["subjects"]


def test_few_images_of_many(folder):
    found = look(folder, max_images=4)
    assert found.looked_at == 4 and found.pixels == 4 * 256 and len(found.names) == 12
    assert [name[:2] for name, _ in found.examples] == ["AD", "AD", "NC", "NC"]
    said = facts(found)
    assert said["images"].endswith("data, 4 of them looked at")
    assert "4 with 3 images each" in said["subjects"]  # of all names
    assert look(folder, max_images=99).looked_at == 12


def test_examples_are_spread_over_folders_slices_and_what_can_be_read(tmp_path):
    for index in range(200):
        save(tmp_path / f"case_{index // 8:03d}_slice_{index % 8}.png", noise(index, 2, 2))
    for index in range(8):
        (tmp_path / f"case_{index:03d}_slice_{index}.png").write_bytes(b"")
    names = [name for name, _ in look(tmp_path).examples]
    assert len(set(names)) == 25 and names == sorted(names)
    assert len({name.split("_")[1] for name in names}) >= 18
    assert len({name.split("_")[3] for name in names}) == 8


@pytest.mark.parametrize("total", [1, 2, 24, 25, 26, 800, 30_720])
def test_places_of_examples(total):
    places = findings._places(total)
    assert len(places) == len(set(places)) == min(total, 25) and places == sorted(places)
    assert places[0] >= 0 and places[-1] < total
    if total >= 800:
        assert len({place % 32 for place in places}) > 12  # not one slice of every subject


def test_examples_are_small_and_keep_their_proportions(tmp_path):
    save(tmp_path / "a.png", noise(0, 100, 1024))
    save(tmp_path / "b.png", np.full((2, 4), 65535, np.uint16))
    shapes = {name: image.shape for name, image in look(tmp_path).examples}
    assert shapes == {"a.png": (25, 256, 1), "b.png": (2, 4, 1)}
    assert all(image.dtype == np.uint8 for _, image in look(tmp_path).examples)
    assert look(tmp_path).examples[1][1].max() == 255


def test_refusals(folder, tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        look(tmp_path / "absent")
    with pytest.raises(UsageError, match="--subject-pattern"):
        look(folder, subject_pattern="x(y)")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").touch()
    with pytest.raises(DataError, match="None of 1 images in .*bad can be read: a.png: empty file"):
        look(tmp_path / "bad")


# -- the training proposed


@pytest.mark.parametrize("side, resolution", [
    ((3, 4), 16), ((32, 32), 32), ((28, 28), 28), ((240, 256), "240x256"), ((181, 217), 128),
    ((64, 228), 256), ((5000, 10), 1024)])
def test_the_resolution_proposed(tmp_path, side, resolution):
    for index in range(4):
        save(tmp_path / f"{index}.png", noise(index, *side))
    assert f"--resolution {resolution} --channels 1" in suggestion(look(tmp_path))


def test_the_line_proposed_is_one_that_trains(folder, tmp_path):
    spaced = tmp_path / "my data"
    for index in range(7):
        save(spaced / f"{index}.png", noise(index, 20, 20, 3))
    found = look(spaced)
    words = shlex.split(suggestion(found))
    assert words[:4] == ["python", "run.py", str(spaced), "OUT"]
    given = dict(zip([word.removeprefix("--") for word in words[4::2]], words[5::2], strict=True))
    config = make_config({name: value if name == "preset" else int(value)
                          for name, value in given.items()} | {"data_dir": "a", "output_dir": "b"})
    assert (config.resolution, config.channels, config.batch) == (20, 3, 4)
    found.names = tuple(map(str, range(9664)))
    found.sides = [256]
    assert "--preset recommended --resolution 256" in suggestion(found)
    assert "--batch" not in suggestion(found)
    found.names = ("a", "b", "c")
    assert suggestion(found) == "more images: training needs 4 at least"


# -- the picture


def test_the_picture(folder, tmp_path):
    save(folder / "$x_1$ 🧠.png", noise(50, 3, 40, 3))
    (folder / "empty.png").touch()
    for name in ("page.png", "page.svg"):
        save_preview(look(folder), tmp_path / name)
    with Image.open(tmp_path / "page.png") as image:
        assert image.width > 1500 and image.height > 1000
        pixels = np.asarray(image.convert("L"))
    left, right = pixels[:, :1100], pixels[:, 1200:]
    assert (left < 128).mean() > 0.2  # the examples
    assert 0.01 < (right[:300] < 128).mean() < 0.3  # the facts
    assert (right[-500:] < 128).any()  # the histogram
    assert not list(tmp_path.glob(".tmp*"))


def test_one_constant_image_has_a_picture(tmp_path):
    save(tmp_path / "data" / "a.png", np.zeros((1, 300), np.uint8))
    save_preview(look(tmp_path / "data"), tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


# -- real images


def test_real_slices():
    root = os.environ.get("STYLEGAN2_TF_DATA")
    if not root:
        pytest.skip("STYLEGAN2_TF_DATA names no folder of real images")
    found = look(os.path.join(root, "brain_slices"), max_images=300)
    said = facts(found)
    assert said["height x width"] == "128x128: 300" and said["colour"] == "in 0 of 300 images"
    assert said["subjects"] == "104 with 32 images each; by OASIS, like case_049_slice_7"
    mean = found.histogram @ np.arange(256) / found.pixels
    assert 25 < mean < 45  # 33.7 for the whole set
    assert not found.duplicates and not found.constant and not found.unreadable
    assert said["try"].endswith("--resolution 128 --channels 1")
