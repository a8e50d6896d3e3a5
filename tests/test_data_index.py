import os
import subprocess
import sys
import time

import pytest

from stylegan2_tf.data.index import find_images, printable
from stylegan2_tf.errors import DataError, UsageError


def touch(folder, *names):
    for name in names:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass


def names(folder):
    return [str(path.relative_to(folder)) for path in find_images(folder)]


def test_nested_and_flat_in_byte_order(tmp_path):
    touch(tmp_path, "b.png", "B.png", "a/é.jpg", "a/z.jpeg", "a.png", "AD/x/y/1.webp")
    assert names(tmp_path) == ["AD/x/y/1.webp", "B.png", "a.png", "a/z.jpeg", "a/é.jpg", "b.png"]


def test_every_extension_in_any_case(tmp_path):
    wanted = ["a.BMP", "a.GIF", "a.JPG", "a.Jpeg", "a.PNG", "a.TIFF", "a.WebP", "a.tif"]
    touch(tmp_path, *wanted, "notes.txt", "volume.nii.gz", "png", "case_049_slice_7.nii.png")
    assert names(tmp_path) == [*wanted, "case_049_slice_7.nii.png"]


def test_hidden_and_system_files_are_left_out(tmp_path):
    touch(tmp_path, "a.png", ".b.png", ".cache/c.png", "__MACOSX/d.png", "d/._e.png")
    assert names(tmp_path) == ["a.png"]


def test_a_hidden_folder_that_is_named_is_read(tmp_path):
    touch(tmp_path / ".data", "a.png")
    assert names(tmp_path / ".data") == ["a.png"]


def test_names_that_are_not_utf8_and_emoji(tmp_path):
    touch(tmp_path, b"scan\xff.png", "brain 🧠.png", "two\nlines.png")
    found = find_images(tmp_path)
    assert [os.fsencode(path.name) for path in found] == [
        "brain 🧠.png".encode(),
        b"scan\xff.png",
        b"two\nlines.png",
    ]
    assert all(path.exists() for path in found)
    shown = [printable(path.name) for path in found]
    assert shown == ["brain 🧠.png", "scan\\udcff.png", "two\\nlines.png"]


def test_loops_of_links_end_and_a_linked_file_counts_once(tmp_path):
    touch(tmp_path, "a/1.png", "a/2.png", "real.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "zz.png").symlink_to(tmp_path / "real.png")
    (tmp_path / "again.png").symlink_to("zz.png")
    assert names(tmp_path) == ["a/1.png", "a/2.png", "again.png"]


def test_a_link_into_another_folder_and_a_linked_top(tmp_path):
    touch(tmp_path, "elsewhere/x.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "top").symlink_to(tmp_path / "set", target_is_directory=True)
    assert find_images(tmp_path / "top") == [tmp_path / "top" / "x.png"]


def test_pipes_are_left_out_and_broken_links_stay(tmp_path):
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    (tmp_path / "self.png").symlink_to("self.png")
    assert names(tmp_path) == ["a.png", "broken.png", "self.png"]


@pytest.mark.parametrize("name, problem", [("missing", "does not exist"), ("file", "is a file")])
def test_no_folder_is_a_usage_error(tmp_path, name, problem):
    touch(tmp_path, "file")
    with pytest.raises(UsageError, match=problem) as caught:
        find_images(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_an_empty_folder_says_what_was_looked_for_and_found(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nii.gz", "c.txt", "README")
    with pytest.raises(DataError) as caught:
        find_images(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(tmp_path), ".png", ".tiff", "4 other files", "2 .gz", "1 no extension"):
        assert part in message


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png", "b/2.png")
    scandir = os.scandir

    def forbidding(path):
        if os.fspath(path).endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    with pytest.raises(DataError, match="b: Permission denied"):
        find_images(tmp_path)


def test_many_files_are_listed_fast(tmp_path):
    touch(tmp_path, *(f"{i % 20}/{i}.png" for i in range(5000)))
    start = time.monotonic()
    assert len(find_images(tmp_path)) == 5000
    assert time.monotonic() - start < 2


def test_the_order_is_the_same_under_another_locale(tmp_path):
    touch(tmp_path, "b.png", "É.png", "a.png", b"\xff.png")
    code = "import os, sys; from stylegan2_tf.data.index import find_images as f;"
    code += "sys.stdout.buffer.write(b'|'.join(os.fsencode(p.name) for p in f(sys.argv[1])))"
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code, tmp_path],
            env={**os.environ, **locale},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for locale in ({"LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "C.UTF-8"})
    ]
    assert outputs[0] == outputs[1] == "a.png|b.png|É.png|".encode() + b"\xff.png"
