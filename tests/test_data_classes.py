"""Which class an image belongs to."""

import os

import numpy as np
import pytest

from stylegan2_tf.data import find_labels
from stylegan2_tf.data.classes import count_folders, counted
from stylegan2_tf.errors import DataError, StyleGANError, UsageError

ADNI = ["test/AD/1_2.jpeg", "test/NC/3_1.jpeg", "train/AD/2_1.jpeg", "train/MCI/5_1.jpeg",
        "train/NC/4_1.jpeg", "train/NC/4_2.jpeg", "atlas.png"]


@pytest.fixture
def table(tmp_path):
    """A function that writes a CSV file and returns its path."""
    def write(content, name="labels.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def as_dict(names, **options):
    """Image -> name of its class, and the names of all classes."""
    kept, classes, labels = find_labels(names, **options)
    assert kept.dtype == labels.dtype == np.int64 and kept.shape == labels.shape
    assert (np.diff(kept) > 0).all()
    found = {names[image]: classes[label] for image, label in zip(kept, labels, strict=True)}
    return found, classes


def refused(error=UsageError, names=ADNI, **options):
    with pytest.raises(error) as caught:
        find_labels(names, **options)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 1500
    return text


# -- by folders


@pytest.mark.parametrize("classes", [None, "all", ["all"]])
def test_the_top_folder_is_the_class(classes):
    found, classes = as_dict(["b/x.png", "a/y.png", "a/deep/z.png"], classes=classes)
    assert classes == ("a", "b")
    assert found == {"b/x.png": "b", "a/y.png": "a", "a/deep/z.png": "a"}


def test_an_image_without_a_folder_has_no_class():
    text = refused()
    assert "1 of 7 images in none, such as atlas.png" in text and "--labels" in text
    assert "found 2 of 2" in refused(names=["a.png", "b.png"], classes="all")


@pytest.mark.parametrize("classes", ["NC,AD", " AD , NC", ["AD", "NC"], ("NC", "AD", "AD")])
def test_chosen_folders_count_at_any_depth(classes):
    found, classes = as_dict(ADNI, classes=classes)
    assert classes == ("AD", "NC")
    assert found == {"test/AD/1_2.jpeg": "AD", "test/NC/3_1.jpeg": "NC",
                     "train/AD/2_1.jpeg": "AD", "train/NC/4_1.jpeg": "NC",
                     "train/NC/4_2.jpeg": "NC"}


def test_one_class_may_be_chosen():
    kept, classes, labels = find_labels(ADNI, classes="MCI")
    assert (kept.tolist(), classes, labels.tolist()) == ([3], ("MCI",), [0])


def test_a_file_named_like_a_class_is_not_in_it():
    kept, _, _ = find_labels(["x/AD", "AD/x"], classes="AD")
    assert kept.tolist() == [1]


def test_a_folder_that_repeats_its_class_is_in_one():
    assert find_labels(["AD/AD/1.png"], classes="AD").labels.tolist() == [0]


def test_an_unknown_class_lists_those_present():
    assert refused(classes="AD,CN") == (
        "--classes: expected names of folders below the data folder, found 'CN'; "
        "present: AD 2, MCI 1, NC 3, test 2, train 4")
    assert "found 'a', 'b'; present: none" in refused(names=["1.png"], classes="b,a")


def test_the_list_of_those_present_is_bounded():
    many = [f"{'long' * 50}{index}/1.png" for index in range(500)] + ["large/1.png", "large/2.png"]
    text = refused(names=many, classes="AD")
    assert "large 2" in text and "and 491 more" in text


def test_an_image_of_two_chosen_classes_is_refused():
    text = refused(names=["AD/1.png", "NC/AD/2.png"], classes="AD,NC")
    assert "found 1 in two, such as NC/AD/2.png in AD and NC" in text


@pytest.mark.parametrize("classes", ["", "AD,,NC", "AD,all", [], ","])
def test_no_list_of_classes(classes):
    assert "--classes: expected `all` alone, or names" in refused(classes=classes)


def test_names_that_no_terminal_can_show():
    assert r"found '\x1b[2J'" in refused(classes="\x1b[2J")
    assert r"present: \udcff 1" in refused(names=["\udcff/1.png"], classes="AD")


def test_counts():
    counts = count_folders([*ADNI, "PET/MCI/PET/1.png"])
    assert counts == {"AD": 2, "NC": 3, "MCI": 2, "PET": 1, "train": 4, "test": 2}
    assert counted({"NC": 4544, "AD": 5120}) == "AD 5,120, NC 4,544"
    assert counted({}) == "none"


# -- by a file


def test_a_table_tells_the_classes(table):
    path = table("\ufefffile,age, label \n./train/a.png,70,old\nb.png,20, young \n,,\n\n")
    found, classes = as_dict(["train/a.png", "test/b.png"], labels=path)
    assert classes == ("old", "young")
    assert found == {"train/a.png": "old", "test/b.png": "young"}


def test_classes_choose_among_the_labels(table):
    path = table('file,label\na.png,"x, y"\nb.png,z\nc.png,w\n')
    found, classes = as_dict(["a.png", "w/b.png", "c.png"], labels=path, classes=["x, y", "z"])
    assert classes == ("x, y", "z") and found == {"a.png": "x, y", "w/b.png": "z"}
    text = refused(names=["a.png", "w/b.png", "c.png"], labels=path, classes="w,x")
    assert "expected labels of" in text and "found 'x'; present: w 1, x, y 1, z 1" in text


def test_a_path_goes_before_a_file_name(table):
    path = table("file,label\na.png,top\ndeep/a.png,below\n")
    assert as_dict(["a.png", "deep/a.png"], labels=path)[0] == {
        "a.png": "top", "deep/a.png": "below"}


def test_a_file_name_of_two_images_tells_neither(table):
    path = table("file,label\na.png,x\n")
    text = refused(DataError, names=["one/a.png", "two/a.png"], labels=path)
    assert "each of the 2 images, found none for 2, such as one/a.png" in text


def test_an_image_that_is_not_listed(table):
    path = table("file,label\na.png,x\nunknown.png,y\n")
    text = refused(DataError, names=["a.png", "b.png"], labels=path, classes="x")
    assert text.startswith(f"--labels {path}: ") and "found none for 1, such as b.png" in text


@pytest.mark.parametrize("content, message", [
    ("", "a first line with the columns file,label, found an empty file"),
    ("file;label\na;b\n", "with the columns file,label, found file;label"),
    ("file,group\na,b\n", "found file,group"),
    ("file,label\na.png,x\na.png,y\n", "one label for a file, found two for a.png by line 3"),
    ("file,label\na.png\n", "a file and a label in each row, found only one of them in line 2"),
    ("file,label\n,x\n", "only one of them in line 2"),
    ("file,label\na.png,é\n".encode("latin-1"), "UTF-8 text, found the byte 0xe9"),
    ("file,label\na.png,x\n".encode("utf-16"), "UTF-8 text, found the byte 0xff"),
    ('file,label\na.png,"x\n', "a CSV file, found unexpected end of data"),
    ("file,label\na.png," + "x" * 200_000, "a CSV file, found field larger than"),
])
def test_no_table_of_labels(table, content, message):
    assert message in refused(DataError, labels=table(content))


def test_a_table_that_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "absent.csv"):
        assert f"--labels {path}: expected a CSV file, found: " in refused(labels=str(path))


# -- real images


def test_the_labels_of_real_slices(table):
    root = os.environ.get("STYLEGAN2_TF_DATA")
    if not root:
        pytest.skip("STYLEGAN2_TF_DATA names no folder of real images")
    from stylegan2_tf.data import find_images

    folder = os.path.join(root, "brain_by_age")
    names = [os.path.relpath(path, folder) for path in find_images(folder)]
    by_folder = find_labels(names)
    assert by_folder.classes == ("old", "young")
    assert np.bincount(by_folder.labels).tolist() == [512, 512]
    with open(os.path.join(folder, "labels.csv"), encoding="utf-8") as stream:
        path = table(stream.read().replace("group", "label"))
    by_table = find_labels(names, labels=path)
    np.testing.assert_array_equal(by_table.labels, by_folder.labels)
    with pytest.raises(StyleGANError, match="found file,case,slice,age,sex,group"):
        find_labels(names, labels=os.path.join(folder, "labels.csv"))
