import hashlib

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.data import build, decode
from stylegan2_tf.errors import DataError

OPTIONS = {"resolution": (8, 8), "channels": 1, "fit": "pad", "progress": False}


@pytest.fixture
def paths(tmp_path):
    """Twelve grey images of one value each: 0, 10, 20, ..."""
    paths = [tmp_path / f"{i:02}.png" for i in range(12)]
    for i, path in enumerate(paths):
        Image.new("L", (8, 8), 10 * i).save(path)
    return paths


def grey(value, dtype=np.uint8):
    return np.full((8, 8, 1), value, dtype)


def ramp(start=0, dtype=np.uint8):
    return (np.arange(64, dtype=dtype) + start).reshape(8, 8, 1)


def written(tmp_path, results, dtype=np.uint8):
    names = [f"{i}.png" for i in range(len(results))]
    path = tmp_path / "images.npy"
    notices, digests, skipped, fingerprint = build.write(
        path, results, names, (8, 8, 1), np.dtype(dtype))
    assert len(digests) == len(results) - len(skipped)
    assert fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    return np.load(path), notices, skipped


def test_survey_of_8_bit(paths):
    paths[0].write_text("no image")
    assert build.survey(paths, progress=False) == build.Survey(np.dtype(np.uint8), 1, (8, 8))


def test_survey_finds_one_16_bit_image(paths):
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(paths[7])
    assert build.survey(paths, progress=False).dtype == np.uint16


def test_survey_takes_threads_for_large_images(tmp_path, monkeypatch):
    monkeypatch.setattr(build.os, "cpu_count", lambda: 6)
    Image.new("L", (1024, 1024)).save(tmp_path / "a.png")
    assert build.survey([tmp_path / "a.png"], progress=False).threads == 6


@pytest.mark.parametrize("threads", [1, 4])
def test_decoded_keeps_the_order(paths, monkeypatch, threads):
    monkeypatch.setattr(build, "BLOCK", 5)
    paths[3].write_bytes(b"")
    results = list(build.decoded(paths, threads=threads, **OPTIONS))
    assert results[3] == (None, "empty file")
    values = [int(image[0, 0, 0]) for image, _ in results if image is not None]
    assert values == [0, 10, 20, *range(40, 120, 10)]


def test_decoded_never_runs_far_ahead(paths, monkeypatch):
    monkeypatch.setattr(build, "BLOCK", 4)
    count, original = [], decode.decode
    monkeypatch.setattr(decode, "decode", lambda *a: count.append(1) or original(*a))
    results = build.decoded(paths, threads=2, **OPTIONS)
    next(results)
    results.close()
    assert len(count) <= 4


def test_small_images_are_noted_as_enlarged(paths):
    options = {**OPTIONS, "resolution": (16, 16)}
    _, notes = next(build.decoded(paths, threads=1, **options))
    assert notes == ["enlarged to the resolution"]


def test_write_leaves_out_and_keeps_the_rest(tmp_path):
    results = [(ramp(i), []) for i in range(150)]
    results[0] = (None, "empty file")
    array, notices, skipped = written(tmp_path, results)
    np.testing.assert_array_equal(array, [ramp(i) for i in range(1, 150)])
    assert skipped == {"0.png": "empty file"} and notices == []


def test_write_scales_8_bit_beside_16_bit(tmp_path):
    deep = ramp(60_000, np.uint16)
    array, _, _ = written(tmp_path, [(grey(255), []), (ramp(), []), (deep, [])], np.uint16)
    assert array.dtype == np.uint16
    assert (array[0] == 65535).all()
    np.testing.assert_array_equal(array[1] / 65535, ramp() / 255)
    np.testing.assert_array_equal(array[2], deep)


def test_write_accepts_what_is_not_contiguous(tmp_path):
    wide = np.arange(128, dtype=np.uint8).reshape(8, 16, 1)[:, 4:12]
    array, _, _ = written(tmp_path, [(wide, [])])
    np.testing.assert_array_equal(array[0], wide)


def test_notices_count(tmp_path):
    results = [(ramp(), ["EXIF rotation applied"]), (ramp(), []), (grey(3), [])]
    _, notices, _ = written(tmp_path, results)
    assert notices == [
        "EXIF rotation applied in 1 of 3 images",
        "one value everywhere in 1 of 3 images",
        "the same pixels as an earlier image in 1 of 3 images",
    ]


def test_a_digest_is_that_of_the_pixels_and_is_made_once(tmp_path, monkeypatch):
    def digests(results, dtype):
        names = [str(index) for index in range(len(results))]
        return build.write(tmp_path / "a.npy", results, names, (8, 8, 1), np.dtype(dtype))[1]

    made, original = [], build.hashlib.blake2b
    monkeypatch.setattr(build.hashlib, "blake2b",
                        lambda *a, **more: made.append(1) or original(*a, **more))
    wide = np.arange(128, dtype=np.uint8).reshape(8, 16, 1)[:, 4:12]
    results = [(ramp(), []), (ramp(1), []), (ramp(), []), (wide, [])]
    found = digests(results, np.uint8)
    assert len(made) == 4
    assert found == [original(image.tobytes(), digest_size=16).hexdigest()
                     for image in (ramp(), ramp(1), ramp(), wide)]
    deep = ramp(60_000, np.uint16)  # it makes the array 16 bits deep, and no other image differ
    assert digests([*results, (deep, [])], np.uint16)[:4] == found


def test_12_bit_values_in_16_bits_are_noticed(tmp_path):
    _, notices, _ = written(tmp_path, [(ramp(4000, np.uint16), [])], np.uint16)
    assert len(notices) == 1 and "brightest 16-bit value is 4,063 of 65,535" in notices[0]


def test_more_than_one_percent_unreadable_stops(tmp_path, capsys):
    results = [(ramp(i), []) for i in range(100)]
    results[5] = (None, "empty file")
    assert len(written(tmp_path, results)[0]) == 99
    results[6] = (None, "image file is truncated")
    with pytest.raises(DataError) as caught:
        written(tmp_path, results)
    assert caught.value.exit_code == 65
    assert "2 of 100" in str(caught.value)
    listed = capsys.readouterr().err
    assert "5.png: empty file" in listed and "6.png: image file is truncated" in listed


def test_listing_is_short():
    skipped = {f"{i}\udcff.png": "empty file" for i in range(2345)}
    lines = build.listing(skipped).splitlines()
    assert len(lines) == 21
    assert lines[0] == "  0\\udcff.png: empty file" and lines[-1] == "  and 2,325 more"
