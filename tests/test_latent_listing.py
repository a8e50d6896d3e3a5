"""The list beside generated images, and what is removed by it."""

import csv

import pytest

from stylegan2_tf.errors import OutputError
from stylegan2_tf.latent import listing

NAMES = ("seed00001.png", "seed00002_-3.png", "seed9999999999_+1e-05.npy")


def write(folder, names=NAMES, done=True):
    """A folder as `generate` leaves it; every image holds its own name."""
    folder.mkdir(exist_ok=True)
    listing.begin(folder, [[name, 1, "", 1.0, "const", "", "", "", "ab"] for name in names])
    for name in names:
        (folder / name).write_text(name)
    if done:
        (folder / listing.GRID).write_text("grid")
        listing.finish(folder)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_list_has_its_name_when_all_is_there(tmp_path):
    listing.begin(tmp_path, iter([["seed00001.png", *range(8)]]))
    assert names(tmp_path) == [listing.UNFINISHED]
    assert listing.listed(tmp_path) == {"seed00001.png"}
    listing.finish(tmp_path)
    assert names(tmp_path) == ["seeds.csv"] and listing.listed(tmp_path) == {"seed00001.png"}
    with open(tmp_path / "seeds.csv", encoding="utf-8", newline="") as stream:
        assert tuple(next(csv.reader(stream))) == listing.COLUMNS


@pytest.mark.parametrize("done", [True, False])
def test_what_is_listed_is_removed_and_nothing_else(tmp_path, done):
    folder = write(tmp_path / "out", done=done)
    for name in ("photo.png", "seed.txt", "seeds.png"):
        (folder / name).write_text("mine")
    (folder / ".tmp-1-seed00002.png").write_text("half")
    (folder / NAMES[0]).unlink()  # the user has taken it away
    listing.check_folder(folder)
    assert listing.clear(folder) == 2
    assert names(folder) == [listing.UNFINISHED, "photo.png", "seed.txt", "seeds.png"]
    assert listing.clear(folder) == 0  # and again after a kill
    listing.begin(folder, [])
    listing.finish(folder)
    assert names(folder) == ["photo.png", "seed.txt", "seeds.csv", "seeds.png"]


def test_a_kill_while_files_are_removed_leaves_them_listed(tmp_path, monkeypatch):
    folder = write(tmp_path / "out")

    def killed(path, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            listing.clear(folder)
    assert "seeds.csv" not in names(folder) and listing.listed(folder) == set(NAMES)
    listing.check_folder(folder)
    assert listing.clear(folder) == 3


def test_a_folder_without_a_list_is_left_alone(tmp_path):
    (tmp_path / ".tmp-mine").write_text("mine")
    (tmp_path / "photo.png").write_text("mine")
    listing.check_folder(tmp_path)
    listing.check_folder(tmp_path / "absent")
    assert listing.clear(tmp_path) == 0 and listing.listed(tmp_path) is None
    assert names(tmp_path) == [".tmp-mine", "photo.png"]


@pytest.mark.parametrize("name", ["seed00007.png", "seed00007_-1.5.npy", "grid.png"])
def test_images_that_no_list_names_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=f"OUT .*: expected no images .*, found {name}; give a"):
        listing.check_folder(tmp_path)
    if name != "grid.png":  # with a list beside, it is that of `generate`
        write(tmp_path)
        (tmp_path / "seed00008.png").write_text("mine")
        with pytest.raises(OutputError, match=f"found {name} and 1 more; give"):
            listing.check_folder(tmp_path)


@pytest.mark.parametrize("text", [
    "", "seed\n1\n", "file,seed\n../mine.png,1\n", "file,seed\nmine.png,1\n", "file,seed\n\n",
    "file,seed\n/etc/seed00001.png,1\n", "file,seed\nseed00001.png\0,1\n", "\xff"])
def test_a_list_of_others_is_not_replaced_nor_followed(tmp_path, text):
    (tmp_path / "seeds.csv").write_bytes(text.encode("latin-1"))
    (tmp_path / "mine.png").write_text("mine")
    assert listing.listed(tmp_path) is None
    with pytest.raises(OutputError, match="found another seeds.csv; give a new folder"):
        listing.check_folder(tmp_path)
    assert listing.clear(tmp_path) == 0 and names(tmp_path) == ["mine.png", "seeds.csv"]


def test_a_list_of_earlier_versions_is_known(tmp_path):
    (tmp_path / "seeds.csv").write_text(
        "file,seed,class,truncation_psi,noise,strength\nseed00001.png,1,,1.0,const,\n")
    (tmp_path / "seed00001.png").touch()
    listing.check_folder(tmp_path)
    assert listing.clear(tmp_path) == 1


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="expected a folder that can be written, found: a file"):
        listing.check_folder(tmp_path / "out")
