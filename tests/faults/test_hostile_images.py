"""Hostile images: each is read right or refused with a reason; nothing crashes, hangs or swells."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile_images import ANY, GREY, LEFT_OUT, make, make_largest, png, saved
from processes import wait_for
from training import draw_discs, train

from stylegan2_tf.data import PackedImages, build, decode, find_images, pack
from stylegan2_tf.data.decode import UnreadableImage, read_image
from stylegan2_tf.errors import DataError

BYTES = 2**30  # at most
FORM = dict(resolution=(16, 16), channels=1)
LOCALES = {"C": {"LC_ALL": "C", "PYTHONUTF8": "0"}, "UTF-8": {"LC_ALL": "C.UTF-8"},
           "ASCII": {"PYTHONIOENCODING": "ascii"}}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """(Folder, what must happen to each file in it)."""
    folder = tmp_path_factory.mktemp("zoo")
    return folder, make(folder)


def reason_of(path, expected):
    """The reason why a file is refused, or None if it is read, and then right."""
    try:
        pixels = read_image(path, 1)[..., 0]
    except UnreadableImage as error:
        assert isinstance(expected, str) or expected is ANY, str(error)
        assert expected is ANY or expected in str(error)
        return str(error)
    if isinstance(expected, np.ndarray):
        exact = expected.dtype.kind == "u"
        assert not exact or pixels.dtype == expected.dtype
        np.testing.assert_allclose(pixels, expected, rtol=0, atol=0 if exact else 1)
    else:
        assert expected is ANY
    return None


def test_every_file_is_read_right_or_refused(zoo):
    folder, expected = zoo
    found = {os.path.relpath(path, folder): path for path in find_images(folder)}
    left_out = {name for name, what in expected.items() if what is LEFT_OUT}
    assert set(found) == {*expected, "folder.png/inner.png"} - left_out
    for name, path in found.items():
        reason = reason_of(path, expected.get(name, GREY))
        assert reason is None or 0 < len(reason) <= 120 and reason.isprintable(), name


def test_a_pipe_that_is_named_is_refused_before_it_is_opened(zoo):
    with pytest.raises(UnreadableImage, match="^not a file$"):
        read_image(zoo[0] / "pipe.png", 1)


@pytest.mark.parametrize("side, threads", [(2000, 8), (4000, 2), (5792, 1)])
def test_threads_share_the_memory_of_one_largest_image(tmp_path, monkeypatch, side, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        path.write_bytes(png(side, side))
    assert build.survey(paths, progress=False).threads == threads


# -- the whole folder, in processes of their own


def peak():
    """The most bytes that this process has had in memory."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def look(folder):
    """Print what packing makes of a folder: bytes of name and None or reason, and its memory."""
    paths = find_images(folder)
    with decode.quiet():
        threads = build.survey(paths, False).threads
        results = build.decoded(paths, resolution=(16, 16), channels=4, fit="pad", progress=False,
                                threads=threads)
        found = [(os.fsencode(os.path.relpath(path, folder)).hex(),
                  None if image is not None else notes)
                 for path, (image, notes) in zip(paths, results, strict=True)]
    print(json.dumps([found, peak()]))


def say_peak(*arguments):
    """Run a command line; its memory is the last line."""
    from stylegan2_tf.cli import main

    code = main(list(arguments))
    print(peak(), flush=True)
    sys.exit(code)


def call(function, *arguments, **environment):
    """What a process prints that calls a function of this file, and its exit code."""
    code = f"import sys, test_hostile_images as t; t.{function}(*sys.argv[1:])"
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    result = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], env={
        **os.environ, "PYTHONPATH": path, **environment}, capture_output=True)
    assert b"Traceback" not in result.stderr, result.stderr.decode()[-3000:]
    return result.stdout.decode(), result.stderr.decode(), result.returncode


@pytest.mark.slow
def test_packing(zoo, tmp_path, figures):
    """In two locales, in one of them with the largest images that are read."""
    folder, expected = zoo
    said = [call("look", folder, **LOCALES["UTF-8"])]
    make_largest(tmp_path)
    for path in tmp_path.iterdir():
        os.symlink(path, folder / path.name)
    try:
        said.append(call("look", folder, **LOCALES["C"]))
    finally:
        for path in tmp_path.iterdir():
            (folder / path.name).unlink()
    assert [(err, code) for _, err, code in said] == [("", 0)] * 2
    (found, _), (more, most) = (json.loads(out) for out, _, _ in said)
    largest = [[os.fsencode(path.name).hex(), None] for path in sorted(tmp_path.iterdir())]
    assert [row for row in more if row not in largest] == found
    assert [row for row in more if row in largest] == largest
    refused = [reason for _, reason in found if reason is not None]
    assert all(0 < len(reason) <= 120 for reason in refused)
    assert most < BYTES
    figures("hostile images", f"{len(expected)} kinds, {len(refused)} refused with a reason, 0 "
            f"aborts, 16-bit error 0, peak {most / 2**20:.0f} MB")


@pytest.mark.slow
@pytest.mark.parametrize("locale", LOCALES)
def test_the_command_line(zoo, tmp_path, locale, figures):
    folder, _ = zoo
    out, err, code = call("say_peak", "preview", folder, tmp_path / "page.png", **LOCALES[locale])
    assert (code, err) == (0, "") and int(out.split()[-1]) < BYTES
    assert f"found below {folder}" in out
    out, err, code = call("say_peak", "train", folder, tmp_path / "out", *"4 8 4 4 4".split(),
                          "--resolution", "16", "--batch", "4", **LOCALES[locale])
    assert code == 65 and int(out.split()[-1]) < BYTES
    lines = err.splitlines()
    assert lines[-1].startswith("stylegan2-tf: error: ") and "more than 1 %" in lines[-1]
    assert len(lines) == build.MAX_LINES + 2 and all(": " in line for line in lines[:-2])
    assert not list((tmp_path / "out").rglob("images.npy"))


# -- images that vanish or are cut


@pytest.fixture
def many(tmp_path):
    """Three hundred images, in a folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number:03}.png").write_bytes(saved(np.roll(GREY, number, axis=1)))
    return folder


def harm_while_packing(monkeypatch, folder, count):
    """After a hundred images are decoded, remove or cut `count` of the others."""
    decoded, original = [], decode.decode

    def slow(path, channels):
        decoded.append(path)
        if len(decoded) == 100:
            for number in range(count):
                later = folder / f"{200 + number}.png"
                later.write_bytes(later.read_bytes()[:200]) if number % 2 else later.unlink()
        return original(path, channels)

    monkeypatch.setattr(decode, "decode", slow)


def test_images_that_vanish_while_packing_are_skipped_and_counted(many, tmp_path, monkeypatch,
                                                                  capsys):
    harm_while_packing(monkeypatch, many, 3)
    packed = pack(many, tmp_path / "cache", **FORM)
    assert packed.skipped == {"200.png": "No such file or directory",
                              "201.png": "image file is truncated",
                              "202.png": "No such file or directory"}
    assert len(packed) == len(packed.names) == 297
    assert "left out 3 of 300 images" in capsys.readouterr().err


def test_more_than_one_percent_stops(many, tmp_path, monkeypatch, capsys):
    harm_while_packing(monkeypatch, many, 4)
    with pytest.raises(DataError, match="4 of 300 images cannot be read, more than 1 %"):
        pack(many, tmp_path / "cache", **FORM)
    assert "203.png: image file is truncated" in capsys.readouterr().err
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_what_is_packed_needs_no_file(many, tmp_path):
    packed = pack(many, tmp_path / "cache", **FORM)
    before = np.array(packed.array)
    for path in many.iterdir():
        path.unlink()
    assert isinstance(packed, PackedImages)
    np.testing.assert_array_equal(packed.array, before)


@pytest.mark.slow
def test_a_training_whose_images_vanish_goes_on(nursery, tmp_path, figures):
    """And is refused in one line when it is started again."""
    data, out, log = draw_discs(tmp_path / "data", 16), tmp_path / "out", tmp_path / "log"
    arguments = [data, out, *"4 8 4 4 4".split(), *"--resolution 8 --batch 4 --latent 4".split(),
                 "--mapping-layers", 1, "--epochs", 2, "--val", 1, "--metrics", "none"]
    process = nursery.start(log, train, arguments, True)
    wait_for(lambda: list(out.rglob("cache/*/images.json")), process, log)
    for path in data.iterdir():
        path.unlink()
    process.join(200)
    assert process.exitcode == 0, log.read_text()[-3000:]
    again = nursery.start(log, train, arguments, True)
    again.join(60)
    assert again.exitcode == 65
    assert log.read_text().splitlines()[-1].startswith(f"stylegan2-tf: error: No images in {data}")
    figures("images removed during training", "training ends well, and says so at the next start")
