"""TFRecord files without TensorFlow, against known sums and against TensorFlow's own reader."""

import json

import numpy as np
import pytest
from PIL import Image

from stylegan2_tf.data import batches
from stylegan2_tf.errors import DataError
from stylegan2_tf.preparation import Options, open_images, prepare, read_prepared
from stylegan2_tf.preparation.crc32c import crc32c, masked_crc32c
from stylegan2_tf.preparation.shards import encode

QUIET = dict(progress=False)


@pytest.mark.parametrize(("content", "value"), [  # RFC 3720, B.4
    (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C), (b"123456789", 0xE3069283)])
def test_known_sums(content, value):
    assert crc32c(np.frombuffer(content, np.uint8)[None]).tolist() == [value]


@pytest.mark.parametrize("length", [1, 2, 511, 512, 513, 1025, 3001])
def test_sums_of_many_records_of_any_length(length):
    def byte_by_byte(content):
        crc = 0xFFFFFFFF
        for byte in content.tobytes():
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        return crc ^ 0xFFFFFFFF

    records = np.random.default_rng(length).integers(0, 256, (3, length), dtype=np.uint8)
    sums = [byte_by_byte(record) for record in records]
    assert crc32c(records).tolist() == sums
    assert masked_crc32c(records).tolist() == [
        ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32 for crc in sums]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(23):
        Image.fromarray(rng.integers(0, 65536, (9, 7), dtype=np.uint16)).save(
            tmp_path / "images" / f"{number:02}.png")
    return tmp_path / "images"


@pytest.fixture(params=[8, 16])
def both(request, folder, tmp_path):
    """The same images as one array and as four shards."""
    options = dict(resolution=(9, 7), bits=request.param)
    prepare(folder, tmp_path / "array", Options(**options), **QUIET)
    prepare(folder, tmp_path / "shards", Options(**options, shards=4), **QUIET)
    return read_prepared(tmp_path / "array"), read_prepared(tmp_path / "shards")


def test_shards_read_as_the_array_does(both):
    array, shards = both
    assert shards.fingerprint == array.fingerprint and shards.names == array.names
    assert shards.array.shape == array.array.shape and shards.array.dtype == array.array.dtype
    assert len(shards.array) == 23 and shards.array.nbytes == array.array.nbytes
    chosen = np.random.default_rng(1).integers(0, 23, 50)
    for index in (0, 22, -1, slice(None), slice(3, 20, 5), chosen, [1, 22], chosen[:0],
                  np.arange(23) % 3 == 0):
        np.testing.assert_array_equal(shards.array[index], array.array[index])
    np.testing.assert_array_equal(np.asarray(shards.array), array.array)
    for index in (23, -24, [0, 23]):
        with pytest.raises(IndexError):
            shards.array[index]


def test_batches_come_in_the_same_order(both):
    streams = [batches(packed.part(np.arange(0, 23, 2)), batch=5, seed=3, start=7)
               for packed in both]
    for _ in range(6):
        (one, _), (two, _) = (next(stream) for stream in streams)
        np.testing.assert_array_equal(one, two)
    for stream in streams:
        stream.close()


def test_tensorflow_reads_them(both, tmp_path):
    import tensorflow as tf

    array, _ = both
    files = sorted(map(str, (tmp_path / "shards" / "shards").iterdir()))
    assert [file[-21:] for file in files] == [f"{n:05}-of-00004.tfrecord"[-21:] for n in range(4)]
    parsed = [tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string)})
              for record in tf.data.TFRecordDataset(files)]
    assert len(parsed) == 23
    for example, image in zip(parsed, array.array, strict=True):
        assert example["image"].numpy() == image.tobytes()


def test_the_encoding_is_that_of_protocol_buffers():
    import tensorflow as tf

    image = np.arange(300, dtype=np.uint8).reshape(1, 10, 30, 1)
    example = tf.train.Example(features=tf.train.Features(feature={
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()]))}))
    assert encode(image)[12:-4] == example.SerializeToString()


def test_parts_as_shards(folder, tmp_path):
    options = Options(shards=2, split="train=0.7,test=0.3")
    prepare(folder, tmp_path / "out", options, **QUIET)
    parts = [read_prepared(tmp_path / "out" / name) for name in ("train", "test")]
    assert [len(part) for part in parts] == [16, 7] and not list(
        (tmp_path / "out").rglob("images.npy"))


def test_more_shards_than_images(folder, tmp_path):
    prepare(folder, tmp_path / "out", Options(shards=1000), **QUIET)
    assert len(list((tmp_path / "out" / "shards").iterdir())) == 23
    assert len(read_prepared(tmp_path / "out")) == 23


@pytest.mark.parametrize("damage", ["cut", "gone", "count"])
def test_damaged_shards_are_one_line(folder, tmp_path, damage):
    out = tmp_path / "out"
    prepare(folder, out, Options(shards=3), **QUIET)
    first = min((out / "shards").iterdir())
    if damage == "cut":
        first.write_bytes(first.read_bytes()[:-1])
    elif damage == "gone":
        first.unlink()
    else:
        about = json.loads((out / "dataset.json").read_text())
        about["shards"][0]["images"] = "many"
        (out / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="expected a whole prepared set, found: "):
        read_prepared(out)


def test_a_set_at_an_address_is_copied_once(folder, tmp_path, monkeypatch):
    prepare(folder, tmp_path / "out", Options(shards=3), **QUIET)
    there = read_prepared(tmp_path / "out")
    address, options = f"file://{tmp_path}/out/", dict(resolution=(9, 7), channels=1)
    here = open_images(address, tmp_path / "cache", **options)
    np.testing.assert_array_equal(np.asarray(here.array), np.asarray(there.array))
    assert here.fingerprint == there.fingerprint and here.names == there.names
    with monkeypatch.context() as patch:
        patch.setattr("stylegan2_tf.preparation.opening.copy_remote", None)
        open_images(address, tmp_path / "cache", **options)
    with pytest.raises(DataError, match="expected a file that can be read, found: "):
        open_images(f"file://{tmp_path}/absent", tmp_path / "cache", **options)
