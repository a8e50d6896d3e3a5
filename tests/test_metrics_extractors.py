import hashlib

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from PIL import Image
from small import make_discriminator

from stylegan2_tf.errors import DataError, UsageError
from stylegan2_tf.metrics import extractors, pretrained
from stylegan2_tf.metrics.extractors import make_extractor, resize


def images(n, height=16, width=None, channels=1, seed=0):
    shape = (n, height, width or height, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture(scope="module")
def random_network():
    return make_extractor("random")


def check_one_line(error):
    assert "\n" not in str(error.value)


# -- all alike


@pytest.mark.parametrize("kind", ["pixels", "random"])
def test_labels_name_a_hash(kind):
    extractor = make_extractor(kind)
    assert len(extractor.sha256) == 64 and not extractor.is_fid
    assert extractor.label == f"{kind} sha256:{extractor.sha256[:12]}"


@pytest.mark.parametrize("kind", ["pixels", "random"])
@pytest.mark.parametrize("height, width, channels", [
    (16, 16, 1), (16, 16, 3), (17, 23, 4), (240, 256, 1)])
def test_any_size_and_channels(kind, height, width, channels):
    found = make_extractor(kind)(images(2, height, width, channels))
    assert found.shape[0] == 2 and found.dtype == np.float32 and found.std() > 0
    assert found.shape[1] == (256 if kind == "random" else
                              {16: 256, 17: 192, 240: 240}[height] * channels)


@pytest.mark.parametrize("kind", ["pixels", "random"])
def test_value_types_give_the_same_features(kind):
    whole = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)
    extractor = make_extractor(kind)
    expected = extractor(whole)
    np.testing.assert_allclose(extractor(whole.astype(np.uint16) * 257), expected, atol=1e-5)
    floats = (whole / 127.5 - 1).astype(np.float32)
    np.testing.assert_allclose(extractor(floats), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["pixels", "random"])
def test_blocks_do_not_matter(kind, monkeypatch):
    x = images(7)
    extractor = make_extractor(kind)
    whole = extractor(x)
    monkeypatch.setattr(extractors, "PIXELS_AT_ONCE", 3 * 16 * 16)
    sizes = []
    compute = extractor.features
    monkeypatch.setattr(extractor, "features", lambda block: sizes.append(len(block)) or
                        compute(block))
    np.testing.assert_allclose(extractor(x), whole, atol=1e-6)
    assert sizes == [3, 3, 1]


def test_values_that_are_not_finite_are_refused():
    x = images(2)
    x[1, 3, 3] = np.nan
    with pytest.raises(DataError, match="extractor pixels: expected finite features") as error:
        make_extractor("pixels")(x)
    check_one_line(error)


@pytest.mark.parametrize("kind, words", [
    ("vgg", "--features: expected pixels, random, discriminator, inception or the path .* vgg"),
    ("discriminator", "--features discriminator: expected a file, found none; give a run folder"),
    ("inception", "--features inception: .* give --inception-weights classify_image_graph_def.pb"),
])
def test_what_is_missing_is_named(kind, words):
    with pytest.raises(UsageError, match=words) as error:
        make_extractor(kind)
    check_one_line(error)


# -- sizes


@pytest.mark.parametrize("height, width, kind", [
    (4, 6, Image.Resampling.BOX), (24, 31, Image.Resampling.BILINEAR)])
def test_resizing_against_pillow(height, width, kind):
    x = images(1, 12, 12, 2)
    expected = np.stack([Image.fromarray(x[0, :, :, c]).resize((width, height), kind)
                         for c in (0, 1)], axis=-1)
    found = resize(x, height, width)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_area_averages_split_pixels():
    """Pillow's box filter takes whole pixels; the area of a pixel may belong to two."""
    x = np.array([1.0, 2.0, 4.0], np.float32).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(resize(x, 1, 2).ravel(), [(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 4) / 1.5],
                               rtol=1e-6)
    x = images(1, 37, 23)
    assert resize(x, 16, 10).mean() == pytest.approx(x.mean(), abs=1e-6)


def test_pixels_are_averages_of_squares():
    x = images(2, 64, 48, 3)
    expected = x.reshape(2, 16, 4, 12, 4, 3).mean(axis=(2, 4)).reshape(2, -1)
    np.testing.assert_allclose(make_extractor("pixels")(x), expected, atol=1e-6)


# -- the random network


def test_the_random_network_is_the_same_everywhere(random_network):
    assert random_network.sha256.startswith("f2a50deb2613")  # change it only with the definition


def test_the_random_network_against_an_oracle(random_network):
    x = images(2, 16, 16, 3)
    found = random_network(x)
    expected = []
    level = (x + 1.0) / 2
    rng = np.random.default_rng(0)
    for index, (before, filters) in enumerate(((4, 16), (16, 32), (32, 32), (32, 24))):
        kernel = 2 * rng.random((3, 3, before, filters), np.float32).astype(np.float64) - 1
        kernel[..., ::2] -= kernel[..., ::2].mean(axis=(0, 1))
        if index:
            level = level.reshape(2, len(level[0]) // 2, 2, -1, 2, before).mean(axis=(2, 4))
        kernel = kernel[:, :, :level.shape[3]]
        he = np.sqrt(2 / (1 + 0.2**2) / (9 * level.shape[3]))
        level = oracle.convolve(level, kernel * he / np.sqrt(1 / 3), padding=1)
        level = np.where(level > 0, level, 0.2 * level)
        if index < 3:
            expected += [abs(level).mean(axis=(1, 2)), level.std(axis=(1, 2))]
    expected.append(abs(level).reshape(2, -1))  # 2x2 pixels: each is a quarter
    expected = np.log(1 + np.concatenate(expected, axis=1) / 0.01) / np.log(101)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_black_images_have_no_features(random_network):
    assert (random_network(np.zeros((1, 16, 16, 1), np.uint8)) == 0).all()
    white = random_network(np.full((1, 16, 16, 1), 255, np.uint8))
    assert 0.3 < white.max() < 1.2


@pytest.mark.parametrize("shape", [(2, 15, 16, 1), (2, 16, 16, 5)])
def test_the_random_network_refuses_what_it_cannot_read(random_network, shape):
    with pytest.raises(UsageError, match=f"found {shape[1]}x16x{shape[3]}") as error:
        random_network(np.zeros(shape, np.uint8))
    check_one_line(error)


# -- discriminators


@pytest.fixture(scope="module")
def discriminator(tmp_path_factory):
    model = make_discriminator([4, 6])
    path = tmp_path_factory.mktemp("Model") / "discriminator.keras"
    model.save(path)
    return model, path


def test_features_are_what_the_score_is_made_of(discriminator):
    model, path = discriminator
    x = images(1)  # alone in its group, so that the standard deviations agree
    found = make_extractor("discriminator", discriminator=path)(x)
    assert found.shape == (1, 6)
    np.testing.assert_allclose(model.head.score(found), model(x), rtol=1e-5)


def test_images_come_to_the_size_that_the_discriminator_was_trained_at(tmp_path):
    """Half grown, of a shape of its own, and with classes, which features do not read."""
    model = make_discriminator([4, 6], final_resolution=[3, 4], level=0, label_dim=2)
    model.trunk.level = 1
    model.save(tmp_path / "discriminator.keras")
    extractor = make_extractor("discriminator", discriminator=tmp_path / "discriminator.keras")
    x = images(1, 12, 16)
    assert extractor.input_size(x) == (6, 8)
    small = x.reshape(1, 6, 2, 8, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(extractor(x), model.features(small), atol=1e-5)


def test_features_do_not_depend_on_the_neighbours(discriminator):
    model, path = discriminator
    extractor = make_extractor("discriminator", discriminator=path)
    x = images(8)
    found = extractor(x)
    for index in range(8):
        np.testing.assert_allclose(extractor(x[index:index + 1])[0], found[index], atol=1e-5)
    in_groups = np.asarray(model.features(x))
    assert np.abs(in_groups - found).max() > 1e-3  # so that the test can fail
    assert extractor.label == (
        f"discriminator sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}")


def test_a_generator_is_no_discriminator(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model.save(tmp_path / "other.keras")
    with pytest.raises(DataError, match="expected a Discriminator, found Sequential") as error:
        make_extractor("discriminator", discriminator=tmp_path / "other.keras")
    check_one_line(error)


# -- models of the user


def saved(tmp_path, *layers, shape=(8, 8, 3), name="mine.keras"):
    model = keras.Sequential([keras.Input(shape), *layers])
    model.save(tmp_path / name)
    return model, tmp_path / name


def test_a_user_model_gets_resized_colour_images(tmp_path):
    model, path = saved(tmp_path, keras.layers.Conv2D(5, 3), keras.layers.Flatten())
    extractor = make_extractor(str(path))
    x = images(3, 32, 16)
    small = x.reshape(3, 8, 4, 8, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(extractor(x), model(np.repeat(small, 3, axis=3)), atol=1e-5)
    assert extractor.name == "user model mine" and not extractor.is_fid


def test_maps_are_averaged_over_space_and_colours_over_channels(tmp_path):
    model, path = saved(tmp_path, keras.layers.Conv2D(5, 3), shape=(None, None, 1))
    x = images(3, 12, 10, 3)
    expected = np.mean(model(x.mean(axis=3, keepdims=True)), axis=(1, 2))
    np.testing.assert_allclose(make_extractor(path)(x), expected, atol=1e-5)


def test_a_discriminator_serves_as_user_model_too(discriminator):
    model, path = discriminator
    with pytest.raises(DataError, match="Discriminator with input None"):
        make_extractor(path)


def two_inputs(tmp_path):
    first, second = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    keras.Model([first, second], keras.layers.Add()([first, second])).save(tmp_path / "m.keras")


def vectors(tmp_path):
    saved(tmp_path, keras.layers.Dense(2), shape=(8,), name="m.keras")


def code(tmp_path):
    saved(tmp_path, keras.layers.Lambda(lambda x: x + 1), name="m.keras")


def damaged(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 half a file")


def nothing(tmp_path):
    pass


@pytest.mark.parametrize("make, words", [
    (two_inputs, "expected a model of one image"), (vectors, "expected a model of one image"),
    (code, "Lambda"), (damaged, "expected a Keras model"), (nothing, "expected a file")])
def test_models_that_do_not_fit_are_refused(tmp_path, make, words):
    make(tmp_path)
    with pytest.raises(DataError, match=f"m.keras: .*{words}|m.keras: {words}") as error:
        make_extractor(tmp_path / "m.keras")
    check_one_line(error)


def test_models_that_fail_are_named(tmp_path):
    _, path = saved(tmp_path, keras.layers.Conv2D(2, 9), shape=(None, None, 1))
    with pytest.raises(DataError, match="mine.keras: expected a model of one image") as error:
        make_extractor(path)(images(2, 4))
    check_one_line(error)


def test_channels_that_do_not_match_are_refused(tmp_path):
    _, path = saved(tmp_path, keras.layers.Flatten())
    with pytest.raises(UsageError, match="expected images with 1 or 3 channels, found 4"):
        make_extractor(path)(images(2, 8, channels=4))


# -- Inception


def graph(tmp_path, *, resizes=True, output="pool_3", producer=8):
    """A graph as small as can be with the nodes, old operations and old version of the real one.

    Returns its path, and its kernel `[3, 3, 3, 4]`.
    """
    definition = tf.compat.v1.GraphDef()
    kernel = np.random.default_rng(0).standard_normal((3, 3, 3, 4)).astype(np.float32)

    def add(name, op, inputs=(), floats=("T",), **attributes):
        node = definition.node.add(name=name, op=op, input=inputs)
        for key in floats:
            node.attr[key].type = tf.float32.as_datatype_enum
        for key, value in attributes.items():
            if isinstance(value, list):
                node.attr[key].list.i.extend(value)
            else:
                setattr(node.attr[key], *value)
        return node

    def constant(name, value):
        proto = tf.make_tensor_proto(value)
        add(name, "Const", floats=(), dtype=("type", proto.dtype)).attr["value"].tensor.CopyFrom(
            proto)

    constant("Cast", np.zeros((8, 8, 3), np.float32))
    if resizes:
        constant("dim", np.int32(0))
        add("ExpandDims", "ExpandDims", ["Cast", "dim"])
        constant("size", np.array([12, 12], np.int32))
        node = add("ResizeBilinear", "ResizeBilinear", ["ExpandDims", "size"])
        node.attr["_output_shapes"].list.shape.add().CopyFrom(  # as if of one image only
            tf.TensorShape([1, 12, 12, 3]).as_proto())
        constant("mean", np.float32(128))
        add("Sub", "Sub", ["ResizeBilinear", "mean"])
        constant("scale", np.float32(1 / 128))
        add("Mul", "Mul", ["Sub", "scale"])
    else:
        add("Mul", "Placeholder", floats=("dtype",))
    constant("kernel", kernel)
    stride, side = (1, 10) if resizes else (37, 9)
    add("conv", "Conv2D", ["Mul", "kernel"], strides=[1, stride, stride, 1],
        padding=("s", b"VALID"))
    for name, value in (("m", 0), ("v", 1), ("beta", 0.5), ("gamma", 1)):
        constant(name, np.full(4, value, np.float32))
    add("bn", "BatchNormWithGlobalNormalization", ["conv", "m", "v", "beta", "gamma"],
        variance_epsilon=("f", 0.0), scale_after_normalization=("b", False))
    add(output, "AvgPool", ["bn"], ksize=[1, side, side, 1], strides=[1, 1, 1, 1],
        padding=("s", b"VALID"))
    definition.versions.producer = producer
    path = tmp_path / "classify_image_graph_def.pb"
    path.write_bytes(definition.SerializeToString())
    return path, kernel


@pytest.mark.parametrize("resizes", [True, False])
def test_a_graph_with_the_node_names_is_not_called_fid(tmp_path, resizes):
    path, kernel = graph(tmp_path, resizes=resizes)
    extractor = make_extractor("inception", inception_weights=str(path))
    assert extractor.name == "inception graph" and not extractor.is_fid
    levels = np.array([0, 100, 255], np.uint8)
    x = np.broadcast_to(levels[:, None, None, None], (3, 8, 8, 1))
    found = extractor(x)
    expected = (levels[:, None] - 128.0) / 128 * kernel.sum(axis=(0, 1, 2)) + 0.5
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_images_reach_the_graph_as_whole_numbers(tmp_path):
    path, _ = graph(tmp_path)
    extractor = make_extractor("inception", inception_weights=path)
    whole = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), np.uint8)
    fine = whole.astype(np.float32) / 127.5 - 1 + 0.003
    np.testing.assert_allclose(extractor(fine), extractor(whole), atol=1e-6)


def test_the_known_file_is_called_fid(tmp_path, monkeypatch):
    path, _ = graph(tmp_path)
    monkeypatch.setattr(pretrained, "FID_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    extractor = make_extractor("inception", inception_weights=path)
    assert extractor.is_fid and extractor.name == "inception 2015-12-05"


def test_the_hash_of_the_known_file_is_whole():
    assert len(pretrained.FID_SHA256) == 64 and int(pretrained.FID_SHA256, 16)


def inception_like(features):
    """In place of InceptionV3, whose 22 million weights take seconds."""
    def build(include_top, weights, pooling):
        assert (include_top, weights, pooling) == (False, None, "avg")
        return keras.Sequential([keras.Input((None, None, 3)),
                                 keras.layers.GlobalAveragePooling2D(),
                                 keras.layers.Dense(features)])
    return build


@pytest.mark.parametrize("name", ["a.weights.h5", "whole.keras"])
def test_keras_inception_is_not_called_fid(tmp_path, monkeypatch, name):
    monkeypatch.setattr(keras.applications, "InceptionV3", inception_like(2048))
    model = keras.applications.InceptionV3(False, None, "avg")
    (model.save_weights if name.endswith("h5") else model.save)(tmp_path / name)
    extractor = make_extractor("inception", inception_weights=tmp_path / name)
    assert extractor.name == "inception keras" and not extractor.is_fid
    x = images(2, 16)
    assert extractor.input_size(x) == (299, 299)
    expected = model(np.repeat(resize(x, 299, 299), 3, axis=3))
    np.testing.assert_allclose(extractor(x), expected, atol=1e-4)


@pytest.mark.parametrize("name, content, error, words", [
    ("pt_inception-2015-12-05.pth", b"", UsageError, "expected classify_image_graph_def.pb"),
    ("i.pt", b"", UsageError, "expected classify_image_graph_def.pb"),
    ("none.pb", None, DataError, "expected a file"),
    ("damaged.pb", b"\x0a\xff\xff\xff", DataError, "expected a frozen TensorFlow graph"),
    ("empty.pb", b"", DataError, "expected a graph with nodes"),
    ("damaged.weights.h5", b"not HDF5", DataError, "expected weights of InceptionV3"),
])
def test_other_files_are_refused(tmp_path, monkeypatch, name, content, error, words):
    monkeypatch.setattr(keras.applications, "InceptionV3", inception_like(2048))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=f"{words}.*|.*{name}") as found:
        make_extractor("inception", inception_weights=tmp_path / name)
    assert words in str(found.value) and name in str(found.value)
    check_one_line(found)


def test_another_graph_is_refused(tmp_path):
    path, _ = graph(tmp_path, output="pool_4")
    with pytest.raises(DataError, match="expected a graph with nodes ExpandDims or Mul and pool_3"):
        make_extractor("inception", inception_weights=path)


def test_another_keras_model_is_no_inception(tmp_path):
    _, path = saved(tmp_path, keras.layers.GlobalAveragePooling2D(), shape=(None, None, 3))
    with pytest.raises(DataError, match=r"include_top=False .* found output \(None, 3\)"):
        make_extractor("inception", inception_weights=path)
