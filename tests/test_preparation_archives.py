"""Zip archives: images, volumes, StyleGAN2-ADA's labels, and what hostile ones try."""

import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.data import UnreadableImage, pack
from stylegan2_tf.errors import DataError
from stylegan2_tf.preparation import Options, archives, prepare, read_manifest, read_prepared

QUIET = dict(progress=False)


def png(number, side=8):
    stream = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def make(path, files, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def ada(tmp_path):
    """A function that makes an archive as StyleGAN2-ADA's dataset_tool does."""
    def build(labels, name="ada.zip"):
        files = {f"{number // 5:05}/img{number:08}.png": png(number) for number in range(12)}
        return make(tmp_path / name, {
            "dataset.json": json.dumps({"labels": labels}), **files})
    return build


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_pixels_are_those_of_the_unpacked_folder(tmp_path, method):
    path = make(tmp_path / "a.zip", {f"b/{number}.png": png(number) for number in range(30)},
                compression=method)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    prepare(path, tmp_path / "out", **QUIET)
    packed = pack(tmp_path / "unpacked", tmp_path / "cache", resolution=8, channels=1,
                  progress=False)
    assert read_prepared(tmp_path / "out").fingerprint == packed.fingerprint


def test_labels_of_stylegan2_ada_become_classes(ada, tmp_path):
    labels = [[f"{number // 5:05}/img{number:08}.png", number % 2 * 10] for number in range(12)]
    prepare(ada(labels), tmp_path / "out", **QUIET)
    table = list(read_manifest(tmp_path / "out"))
    assert [row["class"] for row in table] == ["00", "10"] * 6
    assert table[0]["name"] == "00/img00000000.png"
    with zipfile.ZipFile(tmp_path / "ada.zip") as archive:  # and as a folder
        archive.extractall(tmp_path / "unpacked")
    prepare(tmp_path / "unpacked", tmp_path / "again", **QUIET)
    assert list(read_manifest(tmp_path / "again")) == table
    prepare(tmp_path / "ada.zip", tmp_path / "tens", Options(classes="10"), **QUIET)
    assert len(read_prepared(tmp_path / "tens")) == 6


def test_labels_of_some_images_only_are_refused(ada, tmp_path):
    path = ada([[f"{number // 5:05}/img{number:08}.png", number % 2] for number in range(10)])
    with pytest.raises(DataError, match="class for each of 12 files in its dataset.json .* none "
                                        "for 2, such as 00002/img00000010.png"):
        prepare(path, tmp_path / "out", **QUIET)
    prepare(path, tmp_path / "ones", Options(classes="1"), **QUIET)
    assert len(read_prepared(tmp_path / "ones")) == 5


def test_null_labels_are_none(ada, tmp_path):
    prepare(ada(None), tmp_path / "out", **QUIET)
    assert {row["class"] for row in read_manifest(tmp_path / "out")} == {""}


@pytest.mark.parametrize("content", ["", "[]", '{"labels": 3}', '{"labels": [["a", 0.5]]}',
                                     '{"labels": [["a"]]}', '{"labels": [["a", -1]]}',
                                     "[" * 100_000])
def test_a_damaged_listing_is_one_line(tmp_path, content):
    path = make(tmp_path / "a.zip", {"dataset.json": content, "a.png": png(0)})
    with pytest.raises(DataError, match="expected (dataset.json as StyleGAN2-ADA|a readable)"):
        prepare(path, tmp_path / "out", **QUIET)


def test_hostile_members_are_refused_one_by_one(tmp_path):
    good = {f"{number:03}.png": png(number) for number in range(5)}
    path = make(tmp_path / "a.zip", {
        **good, "../up.png": png(1), "/root.png": png(2), "C:\\windows.png": png(3),
        ".hidden.png": png(4), "__MACOSX/x.png": png(5), "text.txt": "no image",
        "cut.png": png(6)[:40], "bzip.png": png(7)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("bomb.png", bytes(40_000_000), zipfile.ZIP_DEFLATED)
        archive.writestr("lzma.png", png(8), zipfile.ZIP_LZMA)
    content = bytearray(path.read_bytes())
    place = content.index(b"bzip.png", content.index(b"PK\1\2"))
    content[place - 46 + 8] |= 1  # of the central directory: encrypted
    path.write_bytes(content)
    skipped = prepare(path, tmp_path / "out", **QUIET)
    assert len(read_prepared(tmp_path / "out")) == 5
    bomb = skipped.pop("bomb.png")
    assert bomb.endswith(" bytes that unfold to 40,000,000")
    assert skipped == {
        "../up.png": "a name that leads out of the archive",
        "/root.png": "a name that leads out of the archive",
        "C:/windows.png": "a name that leads out of the archive",
        "bzip.png": "encrypted; unpack the archive with its password first",
        "lzma.png": "compressed by method 14; only deflate is read",
        "cut.png": skipped["cut.png"]}
    assert not (tmp_path / "up.png").exists()


def only(path):
    (member,), refused = archives.list_members(path)
    assert not refused
    return member


def test_a_member_that_lies_about_its_size(tmp_path):
    path = make(tmp_path / "a.zip", {"a.png": bytes(5000)}, compression=zipfile.ZIP_DEFLATED)
    member = only(path)
    for lie in ({"size": 400}, {"size": 6000}, {"crc": 1}, {"packed": 4},
                {"offset": 3}, {"offset": 10**9}):
        with pytest.raises(UnreadableImage, match="damaged"):
            archives.read_member(member._replace(**lie))
    with pytest.raises(UnreadableImage, match="bytes, more than"):
        archives.read_member(member._replace(size=2**40))
    assert archives.read_member(member) == bytes(5000)


def test_damaged_content_is_one_reason(tmp_path):
    path = make(tmp_path / "a.zip", {"a.png": png(0, 64)}, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match="damaged"):
        archives.read_member(only(path))


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "directory", "no directory"])
def test_a_damaged_archive_is_one_line(tmp_path, damage):
    path = make(tmp_path / "a.zip", {f"{number}.png": png(number) for number in range(9)})
    content = path.read_bytes()
    content = {"cut": content[:len(content) // 2], "text": b"no archive" * 9, "empty": b"",
               "directory": content[:-300] + bytes(200) + content[-100:],
               "no directory": content[:-10] + struct.pack("<I", 2**31) + content[-6:]}[damage]
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected a zip archive, found: "):
        prepare(path, tmp_path / "out", **QUIET)


def test_an_endless_directory_is_refused_before_it_is_read(tmp_path):
    path = make(tmp_path / "a.zip", {"a.png": png(0)})
    content = bytearray(path.read_bytes())
    content[-10:-6] = struct.pack("<I", 2**31 - 1)
    path.write_bytes(content)
    with pytest.raises(DataError, match="a list of members of 2,147,483,647 bytes"):
        archives.list_members(path)


def test_an_archive_of_64_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    path = make(tmp_path / "a.zip", {f"{number}.png": png(number) for number in range(9)})
    assert b"PK\6\7" in path.read_bytes()
    assert len(archives.list_members(path)[0]) == 9


def test_two_members_of_one_name(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for number in range(2):
            archive.writestr("a.png", png(number))
    members, refused = archives.list_members(path)
    assert len(members) == 1 and refused == {"a.png": "a second file of this name"}


def test_volumes_in_an_archive(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    rng = np.random.default_rng(0)
    for number in range(2):
        volume = nibabel.Nifti1Image(rng.integers(1, 99, (6, 7, 5), dtype=np.int16), np.eye(4))
        nibabel.save(volume, tmp_path / f"v{number}.nii.gz")
    files = {f"sub-{number}/v.nii.gz": (tmp_path / f"v{number}.nii.gz").read_bytes()
             for number in range(2)}
    long = f"{'x' * 300}.nii"
    path = make(tmp_path / "a.zip", {**files, "broken.nii": b"no volume", "../v.nii": b"x",
                                     long: b"x", "broken.nii/inner.nii": b"x"})
    skipped = prepare(path, tmp_path / "out", **QUIET)
    assert set(skipped) == {"broken.nii", "../v.nii", long, "broken.nii/inner.nii"}
    assert skipped[long] == "its name can't be written: File name too long"
    table = list(read_manifest(tmp_path / "out"))
    assert len(table) == 10 and {row["subject"] for row in table} == {"0", "1"}
    assert table[0]["name"] == "sub-0/v_axial-000" and table[0]["source"] == "sub-0/v.nii.gz"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock", "dataset.json", "images.npy", "manifest.csv"]


def test_crc_is_that_of_zip(tmp_path):
    path = make(tmp_path / "a.zip", {"a.png": b"123456789"})
    assert only(path).crc == zlib.crc32(b"123456789")
