import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf.data.packed import PackedImages
from stylegan2_tf.data.stream import batches, order, to_float


def images(count, dtype=np.uint8, shape=(4, 6, 3)):
    """`PackedImages` where each pixel of image `i` is `i`."""
    array = np.arange(count, dtype=dtype)[:, None, None, None] * np.ones(shape, dtype)
    return PackedImages(array, "fingerprint", tuple(map(str, range(count))), (), {})


def take(stream, count):
    """The images of the first batches."""
    return [batch for batch, _ in itertools.islice(stream, count)]


def test_each_epoch_is_a_permutation():
    drawn = order(seed=3, position=0, count=500, num_images=100).reshape(5, 100)
    assert drawn.dtype == np.int64
    assert (np.sort(drawn, axis=1) == np.arange(100)).all()
    assert len({tuple(epoch) for epoch in drawn.tolist()}) == 5


def test_any_part_of_the_order_can_be_had_alone():
    whole = order(seed=3, position=0, count=100, num_images=7)
    for position in (0, 1, 6, 7, 40):
        np.testing.assert_array_equal(
            order(seed=3, position=position, count=30, num_images=7),
            whole[position : position + 30],
        )
    assert order(seed=3, position=5, count=0, num_images=7).shape == (0,)


def test_far_positions():
    drawn = order(seed=0, position=10**12, count=10, num_images=5)
    assert np.bincount(drawn, minlength=5).sum() == 10


def test_seeds_differ():
    first, second = (order(seed=s, position=0, count=50, num_images=50) for s in (0, 1))
    assert (first != second).any()


def test_one_image():
    assert order(seed=0, position=3, count=4, num_images=1).tolist() == [0, 0, 0, 0]


def test_the_order_is_the_same_for_ever():
    """A run that was started with an older version must go on with the same images."""
    golden = [0, 5, 7, 4, 8, 2, 6, 9, 3, 1, 2, 1]
    assert order(seed=1, position=0, count=12, num_images=10).tolist() == golden


def test_every_place_is_equally_likely():
    places = [order(seed=s, position=0, count=4, num_images=4)[0] for s in range(2000)]
    assert abs(np.bincount(places) / 2000 - 0.25).max() < 0.05


def test_batches_follow_the_order_and_straddle_epochs():
    drawn = np.concatenate(take(batches(images(10), batch=4, seed=5), 9))
    assert drawn.shape == (36, 4, 6, 3) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], order(5, 0, 36, 10))


def test_a_batch_may_exceed_the_data_set():
    (drawn,) = take(batches(images(3), batch=8, seed=5), 1)
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], order(5, 0, 8, 3))


@pytest.mark.parametrize("start", [0, 4, 6, 37])
def test_resuming_at_any_counter_gives_the_same_batches(start):
    resumed = np.concatenate(take(batches(images(10), batch=4, seed=5, start=start), 3))
    np.testing.assert_array_equal(resumed[:, 0, 0, 0], order(5, start, 12, 10))


def test_two_streams_agree():
    first, second = (take(batches(images(50), batch=8, seed=5), 20) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_an_error_reaches_who_asks():
    class Broken:
        def __len__(self):
            return 10

        def __getitem__(self, chosen):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        next(batches(dataclasses.replace(images(10), array=Broken()), batch=4, seed=5))


def test_a_program_ends_although_a_stream_is_open():
    """An iterator of `tf.data` that calls Python hangs here."""
    script = """
import numpy as np, tensorflow
from stylegan2_tf.data.packed import PackedImages
from stylegan2_tf.data.stream import batches
stream = batches(PackedImages(np.zeros((100, 64, 64, 1), "u1"), "", (), (), {}), batch=16, seed=0)
for _ in range(200): next(stream)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_labels_come_with_their_images():
    labels = np.random.default_rng(0).integers(0, 3, 10)
    packed = dataclasses.replace(images(10), labels=labels, classes=("a", "b", "c"))
    drawn = list(itertools.islice(batches(packed, batch=4, seed=5, start=6), 5))
    for batch, indices in drawn:
        assert indices.dtype == np.int32
        np.testing.assert_array_equal(indices, labels[batch[:, 0, 0, 0]])
    assert len(np.unique([indices for _, indices in drawn])) == 3


def test_images_without_labels_are_of_class_zero():
    _, indices = next(batches(images(10), batch=4, seed=5))
    assert indices.dtype == np.int32 and indices.tolist() == [0, 0, 0, 0]


def test_a_memory_map(tmp_path):
    np.save(tmp_path / "a.npy", images(10).array)
    mapped = PackedImages(np.load(tmp_path / "a.npy", mmap_mode="r"), "", (), (), {})
    (drawn,) = take(batches(mapped, batch=4, seed=5), 1)
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], order(5, 0, 4, 10))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compiled", [False, True])
def test_to_float(dtype, compiled):
    white = np.iinfo(dtype).max
    values = np.array([0, white // 2, white // 2 + 1, white], dtype)
    function = tf.function(to_float) if compiled else to_float
    floats = function(tf.constant(values)).numpy()
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, values / (white / 2) - 1, atol=1e-6)
    assert floats[0] == -1 and floats[3] == 1


def test_to_float_of_8_bit_and_its_257_fold_agree():
    values = np.arange(256)
    shallow, deep = (
        to_float(tf.constant(values * factor, dtype))
        for factor, dtype in ((1, tf.uint8), (257, tf.uint16))
    )
    np.testing.assert_allclose(shallow, deep, atol=1e-6)


def test_to_float_refuses_floats():
    with pytest.raises(ValueError, match="Received: dtype="):
        to_float(tf.zeros([2]))
