import dataclasses
import fcntl
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.data import build, decode, packed
from stylegan2_tf.data.packed import pack
from stylegan2_tf.errors import DataError, OutputError, UsageError

OPTIONS = {"resolution": 8, "channels": 1, "progress": False}


@pytest.fixture
def folder(tmp_path):
    """Twelve different 16-pixel images in two folders."""
    rng = np.random.default_rng(0)
    for i in range(12):
        path = tmp_path / "images" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    return tmp_path / "images"


def test_the_shape_of_the_files_is_known_where_it_is_one(folder, cache):
    first = pack(folder, cache, **OPTIONS)
    assert first.source_shape == (16, 16) == pack(folder, cache, **OPTIONS).source_shape
    assert first.part([0, 2]).source_shape == (16, 16)
    Image.new("L", (20, 10), 9).save(folder / "other.png")
    assert pack(folder, cache, **OPTIONS).source_shape is None


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def no_decoding(monkeypatch):
    def start():
        def fail(*args):
            raise AssertionError("decoded again")

        monkeypatch.setattr(decode, "decode", fail)
        monkeypatch.setattr(decode, "opened", fail)

    return start


def home(cache):
    (only,) = cache.glob("packed-*")
    return only


def test_the_images_in_the_order_of_their_names(folder, cache):
    images = pack(folder, cache, **OPTIONS)
    assert len(images) == 12 and images.array.shape == (12, 8, 8, 1)
    assert images.array.dtype == np.uint8 and isinstance(images.array, np.memmap)
    assert not images.array.flags.writeable
    assert images.names == tuple(
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    )
    for name, image in zip(images.names, images.array, strict=True):
        expected = decode.fit_image(decode.read_image(folder / name, 1), 8, "pad")
        np.testing.assert_array_equal(image, expected)
    content = (home(cache) / "images.npy").read_bytes()
    assert images.fingerprint == hashlib.sha256(content).hexdigest()
    assert images.notices == () and images.skipped == {}
    assert images.digests == tuple(hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
                                   for image in images.array)


def test_processes_pack_the_same(folder, cache, tmp_path, monkeypatch):
    (folder / "empty.png").touch()
    for number in range(100):
        Image.new("L", (16, 16), number).save(folder / f"{number}.png")
    alone = pack(folder, cache, **OPTIONS)
    monkeypatch.setattr(packed.parallel, "PAYS_FROM", 1)
    started, original = [], packed.parallel._start
    monkeypatch.setattr(packed.parallel, "_start", lambda: started.append(1) or original())
    monkeypatch.setattr(packed.parallel, "cores", lambda: 2)
    together = pack(folder, tmp_path / "other", **OPTIONS)
    assert len(started) == 2
    assert (together.fingerprint, together.digests, together.notices, together.skipped) == (
        alone.fingerprint, alone.digests, alone.notices, alone.skipped)


def test_a_pair_as_resolution(folder, cache):
    images = pack(folder, cache, resolution=(6, 8), channels=3, fit="crop", progress=False)
    assert images.array.shape == (12, 6, 8, 3)


def test_the_second_call_decodes_nothing(folder, cache, no_decoding):
    first = pack(folder, cache, **OPTIONS)
    no_decoding()
    second = pack(folder, cache, **OPTIONS)
    np.testing.assert_array_equal(first.array, second.array)
    assert (first.fingerprint, first.names, first.digests) == (
        second.fingerprint, second.names, second.digests)
    third = pack(os.path.relpath(folder), cache, **OPTIONS)  # the same folder, spelled anew
    assert third.fingerprint == first.fingerprint


def test_a_cache_on_a_read_only_disk_can_be_used(folder, cache, monkeypatch):
    pack(folder, cache, **OPTIONS)

    def refuse(*args):
        raise AssertionError("the cache was written to")

    monkeypatch.setattr(packed, "locked", refuse)
    pack(folder, cache, **OPTIONS)


def add(folder):
    Image.new("L", (16, 16), 5).save(folder / "new.png")


def remove(folder):
    (folder / "a" / "00.png").unlink()


def rename(folder):
    (folder / "a" / "00.png").rename(folder / "a" / "renamed.png")


def touch(folder):
    os.utime(folder / "a" / "00.png", ns=(1, 1))


def replace(folder):
    Image.new("L", (16, 16), 5).save(folder / "a" / "00.png")


@pytest.mark.parametrize("change", [add, remove, rename, touch, replace])
def test_a_change_of_the_folder_is_noticed(folder, cache, change):
    before = pack(folder, cache, **OPTIONS)
    change(folder)
    after = pack(folder, cache, **OPTIONS)
    same_pixels = change is touch
    assert (after.fingerprint == before.fingerprint) == same_pixels
    assert (after.digests == before.digests) == same_pixels
    assert len(after.digests) == len(after)
    assert len(after) == 12 + (change is add) - (change is remove)
    assert len(list(cache.iterdir())) == 1


def test_the_fingerprint_depends_on_pixels_and_order_only(folder, cache, tmp_path):
    before = pack(folder, cache, **OPTIONS)
    shutil.copytree(folder, tmp_path / "other" / "nested")
    copy = pack(tmp_path / "other", cache, **OPTIONS)
    assert copy.fingerprint == before.fingerprint and copy.names != before.names


@pytest.mark.parametrize("damage", ["cut", "longer", "gone", "no record", "half a record", "text",
                                    "no digests", "too few digests"])
def test_a_damaged_cache_is_built_again(folder, cache, damage):
    before = pack(folder, cache, **OPTIONS)
    array, record = home(cache) / "images.npy", home(cache) / "images.json"
    content = array.read_bytes()
    if damage == "cut":
        array.write_bytes(content[:-1])
    elif damage == "longer":
        array.write_bytes(content + b"x")
    elif damage == "gone":
        array.unlink()
    elif damage == "no record":
        record.unlink()
    elif damage == "half a record":
        record.write_text(record.read_text()[:200])
    elif damage.endswith("digests"):  # the cache of an older version has none
        about = json.loads(record.read_text())
        digests = about.pop("digests")
        about |= {"digests": digests[1:]} if "few" in damage else {}
        record.write_text(json.dumps(about))
    else:
        array.write_text("not an array")
    after = pack(folder, cache, **OPTIONS)
    assert after.fingerprint == before.fingerprint and after.digests == before.digests
    assert array.read_bytes() == content


def test_each_setting_has_its_own_cache(folder, cache):
    for change in ({}, {"resolution": 4}, {"channels": 3}, {"fit": "crop"}, {"max_images": 5}):
        pack(folder, cache, **{**OPTIONS, **change})
    assert len(list(cache.iterdir())) == 5


def test_max_images_takes_from_every_folder(folder, cache):
    images = pack(folder, cache, max_images=4, **OPTIONS)
    assert [name[0] for name in images.names] == ["a", "a", "b", "b"]
    assert len(pack(folder, cache, max_images=99, **OPTIONS)) == 12


def test_one_16_bit_image_makes_all_16_bit(folder, cache):
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(values).save(folder / "z.png")
    images = pack(folder, cache, resolution=16, channels=1, progress=False)
    assert images.array.dtype == np.uint16
    np.testing.assert_array_equal(images.array[-1, ..., 0], values)
    first = decode.read_image(folder / images.names[0], 1)
    np.testing.assert_array_equal(images.array[0], first.astype(np.uint16) * 257)
    assert images.notices == ("16 bits a pixel in 1 of 13 images",)


def hostile(folder):
    """One file of each kind that a careless loader trips over; all but three can be read."""
    folder.mkdir()
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(grey)
    image.save(folder / "UPPER.PNG")
    image.save(folder / "brain 🧠.png")
    image.save(os.path.join(os.fsencode(folder), b"\xff.png"))
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("P").save(folder / "palette.gif")
    image.convert("1").save(folder / "bits.bmp")
    image.convert("LA").save(folder / "alpha.png")
    image.save(folder / "pages.tif", save_all=True, append_images=[image])
    Image.new("L", (300, 3), 9).save(folder / "constant.webp")
    (folder / "deep" / "er").mkdir(parents=True)
    image.save(folder / "deep" / "er" / "nested.png")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "linked.png").symlink_to("UPPER.PNG")
    image.save(folder / ".hidden.png")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("text")
    image.save(folder / "cut.png")
    content = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(content[:-30])


def test_a_hostile_folder(tmp_path, cache, capsys):
    hostile(tmp_path / "hostile")
    for i in range(300):  # enough good ones beside them
        Image.new("L", (16, 16), i % 256).save(tmp_path / "hostile" / f"{i}.png")
    images = pack(tmp_path / "hostile", cache, **OPTIONS)
    assert len(images) == 310
    assert {"empty.png", "text.png", "cut.png"} == set(images.skipped)
    assert not set(images.skipped) & set(images.names)
    assert "\udcff.png" in images.names and "linked.png" not in images.names
    errors = capsys.readouterr().err
    assert errors.count("\n") == 4 and "left out 3 of 313 images" in errors
    assert "  cut.png: image file is truncated" in errors
    again = pack(tmp_path / "hostile", cache, **OPTIONS)
    assert again.skipped == images.skipped and again.notices == images.notices


def test_more_than_one_percent_unreadable_stops(folder, cache, capsys):
    (folder / "empty.png").touch()
    with pytest.raises(DataError, match="1 of 13 images cannot be read"):
        pack(folder, cache, **OPTIONS)
    assert "empty.png: " in capsys.readouterr().err
    assert not list(home(cache).glob("*.npy")) and not list(home(cache).glob(".tmp*"))


@pytest.mark.parametrize(
    "option", [{"resolution": 0}, {"channels": 2}, {"fit": "zoom"}, {"max_images": 0}]
)
def test_bad_options_are_refused_before_reading(tmp_path, cache, option):
    with pytest.raises(UsageError, match="Received"):
        pack(tmp_path / "missing", cache, **{**OPTIONS, **option})
    assert not cache.exists()


# Disks and kills


def test_too_little_space_is_said_before_decoding(folder, cache, monkeypatch):
    usage = shutil.disk_usage(folder)._replace(free=700)
    monkeypatch.setattr(packed.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(decode, "decode", None)
    with pytest.raises(OutputError, match=r"No space left.* need 768 bytes, 700 are free"):
        pack(folder, cache, **OPTIONS)


def test_a_disk_that_fills_up_meanwhile(folder, cache):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(OutputError, match="They need 768 bytes"):
            pack(folder, cache, **OPTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in home(cache).iterdir()] == [".lock"]
    assert len(pack(folder, cache, **OPTIONS)) == 12


def test_a_cache_folder_that_cannot_be_made(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        pack(folder, tmp_path / "file", **OPTIONS)


def test_an_interruption_leaves_no_cache_and_leftovers_are_swept(folder, cache, monkeypatch):
    def interrupted(path, *args):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build, "write", interrupted)
        pack(folder, cache, **OPTIONS)
    (home(cache) / ".tmp-1-images.npy").write_bytes(b"of a killed process")
    assert len(pack(folder, cache, **OPTIONS)) == 12
    names = sorted(path.name for path in home(cache).iterdir())
    assert names == [".lock", "images.json", "images.npy"]


def test_a_second_run_waits_for_the_first(folder, cache, capsys, no_decoding):
    first = pack(folder, cache, **OPTIONS)
    record = home(cache) / "images.json"
    content = record.read_text()
    record.unlink()  # as if the first still decoded
    no_decoding()
    results = []
    with open(home(cache) / ".lock") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: results.append(pack(folder, cache, **OPTIONS)))
        second.start()
        second.join(0.3)
        assert second.is_alive()
        record.write_text(content)
    second.join(10)
    assert results[0].fingerprint == first.fingerprint
    assert "waiting for another run" in capsys.readouterr().err


def test_the_record_is_plain_json(folder, cache):
    images = pack(folder, cache, **OPTIONS)
    record = json.loads((home(cache) / "images.json").read_text())
    assert record["fingerprint"] == images.fingerprint and record["dtype"] == "uint8"
    assert record["settings"]["folder"] == os.path.realpath(folder)
    name, *state = record["files"][0]
    status = (folder / name).stat()
    assert state == [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def test_packing_imports_no_tensorflow():
    code = "import sys, stylegan2_tf.data as d; d.pack, d.find_images, d.read_image;"
    code += "sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Real images


@pytest.fixture
def real():
    root = os.environ.get("STYLEGAN2_TF_DATA")
    if not root:
        pytest.skip("STYLEGAN2_TF_DATA names no folder of real images")
    return Path(root)


def test_brain_slices(real, cache):
    images = pack(
        real / "brain_slices", cache, resolution=64, channels=1, max_images=256, progress=False
    )
    assert images.array.shape == (256, 64, 64, 1) and not images.skipped
    assert 25 < images.array.mean() < 45  # 33.7 for the whole set
    corners = images.array[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 0).all()


def test_tiles_with_alpha(real, cache):
    options = {"resolution": 32, "max_images": 64, "progress": False}
    flat = pack(real / "tiles32", cache, channels=3, **options)
    alpha = pack(real / "tiles32", cache, channels=4, **options)
    assert "alpha composited over black" in flat.notices[0]
    opacity = alpha.array[..., 3:] / 255
    assert abs(flat.array - alpha.array[..., :3] * opacity).max() <= 0.51
    assert len({Path(name).parent for name in flat.names}) == 4


def test_a_part_reads_its_rows_only(folder, cache):
    whole = pack(folder, cache, **OPTIONS)
    part = whole.part(np.array([1, 4]))
    assert len(part) == 2 and part.names == (whole.names[1], whole.names[4])
    assert part.digests == (whole.digests[1], whole.digests[4])
    assert dataclasses.replace(whole, digests=()).part(np.array([1, 4])).digests == ()
    assert part.array.shape == (2, 8, 8, 1) and part.array.dtype == whole.array.dtype
    np.testing.assert_array_equal(part.array[np.array([1, 0])], whole.array[[4, 1]])
    np.testing.assert_array_equal(part.array[:], whole.array[[1, 4]])
    assert part.fingerprint not in (whole.fingerprint, whole.part(np.array([1, 5])).fingerprint)
    assert part.fingerprint == whole.part(np.array([1, 4])).fingerprint


def test_a_part_keeps_labels_and_its_fingerprint_tells_them(folder, cache):
    whole = pack(folder, cache, **OPTIONS)
    assert whole.labels is None and whole.classes == ()
    plain = whole.part(np.array([1, 4]))
    assert plain.labels is None and plain.classes == ()

    def labelled(labels, classes=("a", "b")):
        return dataclasses.replace(whole, labels=np.array(labels), classes=classes)

    part = labelled([0, 1] * 6).part(np.array([1, 4]))
    assert part.labels.tolist() == [1, 0] and part.classes == ("a", "b")
    assert part.part(np.array([1])).labels.tolist() == [0]
    others = [labelled([1, 0] * 6), labelled([0, 1] * 6, ("a", "c"))]
    fingerprints = {other.part(np.array([1, 4])).fingerprint for other in others}
    assert len(fingerprints | {part.fingerprint, plain.fingerprint}) == 4
    assert part.fingerprint == labelled([0, 1] * 6).part(np.array([1, 4])).fingerprint


def test_the_fingerprint_of_a_part_is_the_same_for_ever(folder, cache):
    """A run that was started with an older version must go on with the same images."""
    whole = dataclasses.replace(pack(folder, cache, **OPTIONS), fingerprint="f" * 64)
    assert whole.part(np.array([1, 4])).fingerprint == (
        "db4042dce3b0c43780511f07bb535cf8fc633a232cd408270015e2903828e9c1")
