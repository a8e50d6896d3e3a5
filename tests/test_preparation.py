"""`prepare` on folders of images: pixels, parallel work, interruptions, splits, 16 bits."""

import csv
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.data import pack, parallel
from stylegan2_tf.errors import DataError, OutputError, UsageError
from stylegan2_tf.preparation import (
    Options,
    prepare,
    read_manifest,
    read_prepared,
    undo,
    writing,
)
from stylegan2_tf.preparation.journal import Journal

QUIET = dict(progress=False)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def folder(tmp_path):
    """Six subjects with four different slices each, 20 x 16 pixels."""
    rng = np.random.default_rng(0)
    for subject in range(6):
        for number in range(4):
            save(tmp_path / "images" / f"case_{subject:03}_slice_{number}.nii.png",
                 rng.integers(0, 256, (20, 16), dtype=np.uint8))
    return tmp_path / "images"


@pytest.fixture
def everywhere(monkeypatch):
    """Even few images are worth processes."""
    monkeypatch.setattr(parallel, "PAYS_FROM", 1)


def rows(out):
    return list(read_manifest(out))


def test_the_pixels_are_those_of_packing(folder, tmp_path):
    assert prepare(folder, tmp_path / "out", Options(resolution=8), **QUIET) == {}
    prepared = read_prepared(tmp_path / "out")
    packed = pack(folder, tmp_path / "cache", resolution=8, channels=1, progress=False)
    assert prepared.fingerprint == packed.fingerprint  # bytes of the whole file
    np.testing.assert_array_equal(prepared.array, packed.array)
    assert isinstance(prepared.array, np.memmap) and not prepared.array.flags.writeable
    assert prepared.source_shape == (20, 16) and prepared.intensity is None
    assert prepared.notices == () and prepared.skipped == {}
    assert not (tmp_path / "out" / ".partial").exists()


def test_the_manifest_says_what_is_what(folder, tmp_path):
    prepare(folder, tmp_path / "out", Options(resolution=8), **QUIET)
    prepared, table = read_prepared(tmp_path / "out"), rows(tmp_path / "out")
    assert table[5] == {**table[5], "name": "sub-001/case_001_slice_1.nii.png",
                        "source": "case_001_slice_1.nii.png", "subject": "001", "session": "",
                        "slice": "", "class": "", "spacing": "", "window": ""}
    assert prepared.names == tuple(row["name"] for row in table)
    assert prepared.digests == tuple(row["sha256"] for row in table) == tuple(
        hashlib.sha256(image.tobytes()).hexdigest() for image in prepared.array)
    mask, affine = undo(table[5], np.ones((8, 8), np.uint8), order=0)
    assert mask.shape == (20, 16) and mask.all() and affine is None


def test_without_options_sizes_channels_and_depth_are_those_of_the_images(folder, tmp_path):
    prepare(folder, tmp_path / "grey", **QUIET)
    assert read_prepared(tmp_path / "grey").array.shape == (24, 20, 16, 1)
    for number in range(26):
        save(folder / f"colour_{number}.png", np.full((9, 7, 3), number, np.uint8))
    save(folder / "deep.png", np.full((9, 7), 60_000, np.uint16))
    prepare(folder, tmp_path / "colour", **QUIET)
    prepared = read_prepared(tmp_path / "colour")
    assert prepared.array.shape == (51, 9, 7, 3) and prepared.array.dtype == np.uint16
    assert prepared.array[list(prepared.names).index("deep.png")].max() == 60_000


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_bits(tmp_path, bits, dtype):
    values = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    save(tmp_path / "a" / "deep.png", values)
    save(tmp_path / "a" / "shallow.png", (values >> 8).astype(np.uint8))
    prepare(tmp_path / "a", tmp_path / "out", Options(bits=bits), **QUIET)
    deep, shallow = read_prepared(tmp_path / "out").array[..., 0]
    assert deep.dtype == dtype
    if bits == 16:
        np.testing.assert_array_equal(deep, values)
    np.testing.assert_allclose(deep / np.iinfo(dtype).max, values / 65535, atol=0.5 / 255)
    np.testing.assert_array_equal(shallow, (values >> 8) * (257 if bits == 16 else 1))


# -- parallel, interrupted, resumed


def content(out):
    """Every file of a set but the lock, as bytes."""
    return {path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


def test_the_result_does_not_depend_on_the_workers(folder, tmp_path, everywhere):
    for workers in (1, 3):
        prepare(folder, tmp_path / f"{workers}", Options(resolution=8), workers=workers, **QUIET)
    assert content(tmp_path / "1") == content(tmp_path / "3")


@pytest.mark.parametrize("after", [0, 1, 13, 23])
def test_an_interruption_is_made_good(folder, tmp_path, monkeypatch, capsys, after):
    options, out = Options(resolution=8), tmp_path / "out"
    prepare(folder, tmp_path / "whole", options, **QUIET)
    (folder / "broken.png").write_text("no image")  # what is left out is not tried again
    prepare(folder, tmp_path / "whole too", options, **QUIET)
    monkeypatch.setattr("stylegan2_tf.preparation.journal.SECONDS", 0)
    original, count = Journal.add, iter(range(100))

    def stopped(journal, *given):
        if next(count) == after:
            raise KeyboardInterrupt
        original(journal, *given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Journal, "add", stopped)
        prepare(folder, out, options, **QUIET)
    with pytest.raises(UsageError, match="not finished; the same `prepare` command goes on"):
        read_prepared(out)
    with open(out / ".partial" / "rows.jsonl", "ab") as stream:
        stream.write(b'{"rows": [{"half')  # as a kill leaves it
    with open(out / ".partial" / "images.npy", "ab") as stream:
        stream.write(b"half an image")
    read = []
    monkeypatch.setattr(writing, "read_item", lambda target, item: (
        read.append(item.name), ORIGINAL(target, item))[1])
    prepare(folder, out, options, **QUIET)
    assert len(read) == 25 - after
    assert content(out) == content(tmp_path / "whole too")
    assert (f"going on after {after:,} of 25 files" in capsys.readouterr().out) == (after > 0)
    assert read_prepared(out).fingerprint == read_prepared(tmp_path / "whole").fingerprint


ORIGINAL = writing.read_item


def test_a_real_kill_with_processes(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(600):
        save(tmp_path / "images" / f"{number}.png", rng.integers(0, 256, (40, 40), dtype=np.uint8))
    code = ("import sys, time\nfrom stylegan2_tf.data import decode\n"
            "from stylegan2_tf.preparation import journal, prepare\n"
            "journal.SECONDS = 0\noriginal = journal.Journal.add\n"
            "def add(*given):\n    original(*given)\n    time.sleep(0.01)\n"
            "journal.Journal.add = add\n"
            "prepare(sys.argv[1], sys.argv[2], workers=2, progress=False)")
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "images", out]) as process:
        lines = out / ".partial" / "rows.jsonl"
        while not (lines.exists() and lines.stat().st_size > 10_000):
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    prepare(tmp_path / "images", out, **QUIET)
    prepare(tmp_path / "images", tmp_path / "again", workers=1, **QUIET)
    assert content(out) == content(tmp_path / "again")


def test_a_kill_between_the_last_steps(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare(folder, tmp_path / "whole", **QUIET)

    def killed(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("stylegan2_tf.preparation.finishing.write_json", killed)
        prepare(folder, out, **QUIET)
    assert (out / "images.npy").exists()
    with pytest.raises(UsageError, match="not finished"):
        read_prepared(out)
    monkeypatch.setattr(writing, "read_item", killed)  # nothing is read again
    prepare(folder, out, **QUIET)
    assert content(out) == content(tmp_path / "whole")


def test_the_same_again_does_nothing_and_another_is_refused(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare(folder, out, Options(resolution=8), **QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "scan", None)
        prepare(folder, out, Options(resolution=8), **QUIET)
    with pytest.raises(UsageError) as caught:
        prepare(folder, out, Options(resolution=16, bits=16, seed=3), **QUIET)
    assert ("--resolution (there [8, 8], given [16, 16]); --bits (there not given, given 16); "
            "--seed (there 0, given 3)") in str(caught.value)
    (folder / "labels.csv").touch()  # no part of it
    prepare(folder, out, Options(resolution=8), **QUIET)
    save(folder / "new.png", np.zeros((20, 16), np.uint8))
    with pytest.raises(UsageError, match="expected SOURCE as it was when this set was begun"):
        prepare(folder, out, Options(resolution=8), **QUIET)


def test_a_set_does_not_tell_where_its_source_lay(folder, tmp_path):
    prepare(folder, tmp_path / "out", **QUIET)
    about = (tmp_path / "out" / "dataset.json").read_text()
    assert str(tmp_path) not in about and '"source": "images (' in about
    (tmp_path / "other").mkdir()
    os.rename(folder, tmp_path / "other" / "images")
    with pytest.raises(UsageError, match=r"SOURCE \(there images \(.*given images \("):
        prepare(tmp_path / "other" / "images", tmp_path / "out", **QUIET)


def test_places_that_will_not_do(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    for source, out, kind, text in (
            (folder, folder / "out", UsageError, "expected a folder apart from SOURCE"),
            (folder, tmp_path, UsageError, "expected a folder apart from SOURCE"),
            (folder, tmp_path / "other", UsageError, "found .* with thesis.txt in it"),
            (folder, tmp_path / "file", OutputError, "expected a folder to write to"),
            (folder, tmp_path / "file" / "out", OutputError, "file"),
            (tmp_path / "absent", tmp_path / "o", UsageError, "found nothing at"),
            (tmp_path / "file", tmp_path / "o", UsageError, "found the file"),
            (tmp_path / "other", tmp_path / "o2", DataError, "Neither images nor volumes in")):
        with pytest.raises(kind, match=text):
            prepare(source, out, **QUIET)
    with pytest.raises(UsageError, match=r"--include: .*'\*x\*', which none of 24 does, such as"):
        prepare(folder, tmp_path / "o3", Options(include="*x*"), **QUIET)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(folder, tmp_path):
    prepare(folder, tmp_path / "whole", **QUIET)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(OutputError, match="the same command goes on where it stopped"):
            prepare(folder, tmp_path / "out", **QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    prepare(folder, tmp_path / "out", **QUIET)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_what_cannot_be_read_is_left_out_and_told(folder, tmp_path):
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("text")
    skipped = prepare(folder, tmp_path / "out", Options(resolution=8), **QUIET)
    assert skipped == {"empty.png": "empty file",
                       "text.jpg": "not an image, or its header is damaged"}
    assert len(read_prepared(tmp_path / "out")) == 24
    for path in folder.glob("case*"):
        path.unlink()
    with pytest.raises(DataError, match="found none of 2, such as empty.png: empty file"):
        prepare(folder, tmp_path / "none", Options(resolution=8), **QUIET)


def test_duplicates_and_constant_images_are_told(folder, tmp_path):
    save(folder / "case_000_slice_8.nii.png", np.zeros((20, 16), np.uint8))
    (folder / "case_000_slice_9.nii.png").write_bytes(
        (folder / "case_000_slice_0.nii.png").read_bytes())
    prepare(folder, tmp_path / "out", **QUIET)
    assert read_prepared(tmp_path / "out").notices == (
        "one value everywhere in 1 of 26 images",
        "the same pixels as an earlier image in 1 of 26 images")


def test_memory_stays_small(tmp_path):
    """Far more pixels than memory is allowed; measured on a process of its own."""
    image = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    save(tmp_path / "one.png", image)
    (tmp_path / "images").mkdir()
    for number in range(1500):
        os.link(tmp_path / "one.png", tmp_path / "images" / f"{number}.png")
    code = ("import resource, sys\nfrom stylegan2_tf.preparation import prepare, Options\n"
            "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "prepare(sys.argv[1], sys.argv[2] + '0', Options(resolution=16), progress=False)\n"
            "before = peak()\nprepare(sys.argv[1], sys.argv[2], progress=False)\n"
            "print(peak() - before)")
    result = subprocess.run([sys.executable, "-c", code, tmp_path / "images", tmp_path / "out"],
                            capture_output=True, text=True, check=True)
    assert (tmp_path / "out" / "images.npy").stat().st_size > 96e6
    assert int(result.stdout) < 40_000  # KiB


# -- splits


def test_a_split_is_by_subject_and_stable(folder, tmp_path):
    options = Options(resolution=8, split="train=0.5,val=0.2,test=0.3", seed=1)
    prepare(folder, tmp_path / "out", options, **QUIET)
    parts = {name: rows(tmp_path / "out" / name) for name in ("train", "val", "test")}
    people = {name: {row["subject"] for row in part} for name, part in parts.items()}
    assert sorted(map(len, people.values())) == [1, 2, 3] and len(set.union(
        *people.values())) == 6
    assert sum(map(len, parts.values())) == 24
    whole = pack(folder, tmp_path / "cache", resolution=8, channels=1, progress=False)
    for name, part in parts.items():
        prepared = read_prepared(tmp_path / "out" / name)
        indices = [whole.names.index(row["source"]) for row in part]
        np.testing.assert_array_equal(prepared.array, whole.array[indices])
        assert prepared.fingerprint == hashlib.sha256(
            (tmp_path / "out" / name / "images.npy").read_bytes()).hexdigest()
    prepare(folder, tmp_path / "again", options, **QUIET)
    assert content(tmp_path / "again") == content(tmp_path / "out")
    with pytest.raises(UsageError, match="one that is split; give one of .*out/train, "):
        read_prepared(tmp_path / "out")
    about = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert about["parts"] == {name: len(part) for name, part in parts.items()}


def test_images_of_nobody_known_are_parted_one_by_one_and_told(tmp_path):
    for number in range(10):
        save(tmp_path / "images" / f"{number}.png", np.full((4, 4), number, np.uint8))
    prepare(tmp_path / "images", tmp_path / "out", Options(split="a=0.5,b=0.5"), **QUIET)
    assert [len(read_prepared(tmp_path / "out" / name)) for name in "ab"] == [5, 5]
    about = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert about["notices"][-1].startswith("10 images were parted one by one: their names tell no")


def test_an_image_on_two_sides_is_refused(folder, tmp_path, monkeypatch):
    for subject in range(6):  # black images show nobody
        save(folder / f"case_{subject:03}_slice_8.nii.png", np.zeros((20, 16), np.uint8))
    (folder / "case_000_slice_9.nii.png").write_bytes(
        (folder / "case_000_slice_0.nii.png").read_bytes())  # one subject's own: fine
    options = Options(split="train=0.5,test=0.5")
    prepare(folder, tmp_path / "out", options, **QUIET)
    for subject in range(1, 6):
        (folder / f"case_{subject:03}_slice_9.nii.png").write_bytes(
            (folder / "case_000_slice_0.nii.png").read_bytes())
    with pytest.raises(UsageError, match="expected no image in two parts, found 3 .* such as "
                                         "case_00._slice_.*.png in (train|test) and case"):
        prepare(folder, tmp_path / "refused", options, **QUIET)
    with pytest.raises(UsageError, match="not finished"):
        read_prepared(tmp_path / "refused")
    monkeypatch.setattr(writing, "read_item", None)  # what was read is not lost
    monkeypatch.setattr(writing.functools, "partial", lambda *given: None)
    prepare(folder, tmp_path / "refused", **QUIET)
    assert len(read_prepared(tmp_path / "refused")) == 36


def test_a_split_needs_enough_subjects(folder, tmp_path):
    shares = ",".join(f"p{index}=0.125" for index in range(8))
    with pytest.raises(UsageError, match="expected at least 8 subjects, one a part, found 6"):
        prepare(folder, tmp_path / "out", Options(split=shares), **QUIET)


@pytest.mark.parametrize("split", ["train=0.8", "train=0.8,test=0.3", "train=0.5,train=0.5", "x",
                                   "train=1.5,test=-0.5", "../up=0.5,b=0.5", "a=1,b=0"])
def test_a_split_that_makes_no_sense(split):
    with pytest.raises(UsageError, match="--split: expected two parts or more"):
        Options(split=split)


def test_the_manifest_is_a_plain_table(folder, tmp_path):
    os.rename(folder / "case_000_slice_0.nii.png",
              os.fsencode(folder) + b"/case_000_slice_\xff,\"0.png")
    prepare(folder, tmp_path / "out", Options(subject_pattern=r"case_(\d+)"), **QUIET)
    with open(tmp_path / "out" / "manifest.csv", encoding="utf-8", errors="surrogateescape",
              newline="") as stream:
        table = list(csv.DictReader(stream))
    assert {row["source"] for row in table} == {
        os.path.relpath(path, folder) for path in folder.iterdir()}
    limit = csv.field_size_limit()
    assert read_prepared(tmp_path / "out").names == tuple(row["name"] for row in table)
    assert csv.field_size_limit() == limit  # of the whole process
