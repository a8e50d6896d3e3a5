"""What is looked at before Keras opens a model file."""

import io
import json
import struct
import time
import tracemalloc
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
from small import FAMILIES, make_discriminator, make_generator

from stylegan2_tf import archive
from stylegan2_tf.archive import check_archive, check_model
from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.sampling import load
from stylegan2_tf.metrics.pretrained import load_discriminator
from stylegan2_tf.networks.discriminator import DENSE_RESOLUTION


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A generator and a discriminator, as Keras saves them."""
    home = tmp_path_factory.mktemp("archive")
    make_generator().save(home / "generator.keras")
    make_discriminator().save(home / "discriminator.keras")
    return home


def members(path):
    with zipfile.ZipFile(path) as stored:
        return {name: stored.read(name) for name in stored.namelist()}


@pytest.fixture
def good(home):
    return members(home / "generator.keras")


def pack(path, contents, compression=zipfile.ZIP_STORED):
    """An archive of (name, bytes) pairs."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as target:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in contents.items() if isinstance(contents, dict) else contents:
            target.writestr(name, content)
    return path


def refusal(path, kind="Generator"):
    """The one line of a refusal, which must come soon and take little memory."""
    start = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="expected a ") as found:
            check_archive(path, kind)
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 5
    assert "\n" not in str(found.value) and str(path) in str(found.value)
    return str(found.value)


# -- models that are good


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("more", [
    {}, dict(convolutions=1, channels=3), dict(level=1), dict(attention=8),
    dict(classes=("AD", "NC"), base_resolution=[3, 4]), dict(filters=[7], w_dim=20),
    dict(filters=[2, 30, 2], w_dim=3, dtype="mixed_float16")])
def test_good_generators_pass(tmp_path, family, more):
    path = tmp_path / "generator.keras"
    make_generator(family, **more).save(path)
    check_archive(path, "Generator")


@pytest.mark.parametrize("more", [
    {}, dict(convolutions=1, channels=3), dict(level=1), dict(filters=[7]),
    dict(spectral_norm=True, attention=8, label_dim=3), dict(final_resolution=[3, 4]),
    dict(filters=[30, 2], dtype="mixed_float16")])
def test_good_discriminators_pass(tmp_path, more):
    path = tmp_path / "discriminator.keras"
    make_discriminator(**more).save(path)
    check_archive(path, "Discriminator")


@pytest.mark.parametrize("final", [8, [6, 4], "15x16", 7, 16])
def test_the_dense_layer_sees_maps_that_the_head_has_brought_down(tmp_path, final):
    assert archive.DENSE == DENSE_RESOLUTION
    path = tmp_path / "discriminator.keras"
    discriminator = make_discriminator([4, 32], final_resolution=final)
    discriminator.save(path)
    check_archive(path, "Discriminator")
    assert discriminator(np.zeros((2, *discriminator.resolution, 1), np.float32)).shape == (2, 1)
    stored = members(path)
    config = json.loads(stored["config.json"])
    config["config"]["head"]["config"]["units"] = 64  # four times as many weights
    stored["config.json"] = json.dumps(config).encode()
    assert "a network of at least" in refusal(pack(path, stored), "Discriminator")


def test_a_model_of_keras_layers_is_not_ours(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    model.save(tmp_path / "other.keras")
    assert "expected a Generator, found Sequential; give generator.keras of a run" in refusal(
        tmp_path / "other.keras")


def test_one_network_is_not_the_other(home):
    assert "expected a Generator, found Discriminator" in refusal(home / "discriminator.keras")
    assert "expected a Discriminator, found Generator" in refusal(
        home / "generator.keras", "Discriminator")


def test_the_check_comes_before_keras(home, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", lambda *arguments, **options: pytest.fail(
        "Keras has opened it"))
    path = pack(tmp_path / "generator.keras", {"config.json": b"{}"})
    for opens in (load, load_discriminator):
        with pytest.raises(DataError, match="it was not opened"):
            opens(path)


# -- the archive


def test_files_that_are_no_archive(home, tmp_path):
    whole = (home / "generator.keras").read_bytes()
    path = tmp_path / "some.keras"
    for content in (b"", b"PK", b"text" * 99, whole[:100], whole[:-1], whole[:-22], whole[100:],
                    whole + b"more", h5_bytes(lambda file: None)):
        path.write_bytes(content)
        refusal(path)
    refusal(tmp_path / "absent.keras")
    refusal(tmp_path)


def test_every_flipped_byte_of_the_weights_is_seen(home, tmp_path):
    whole = (home / "generator.keras").read_bytes()
    path = tmp_path / "some.keras"
    for place in np.random.default_rng(0).integers(2000, len(whole) - 300, 25):
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        refusal(path)


def test_another_ending(home, tmp_path):
    """Keras would read it as HDF5, of which an archive can be the tail."""
    for name in ("some.h5", "some.zip", "some"):
        (tmp_path / name).write_bytes((home / "generator.keras").read_bytes())
        assert "another ending" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["assets/a.txt", "../evil.py", "/etc/evil", "config.json",
                                  "model.weights.h5", "model.weights.npz", "a\\..\\b", "x\n"])
def test_members_that_do_not_belong(good, tmp_path, name):
    path = pack(tmp_path / "some.keras", [*good.items(), (name, b"{}")])
    assert "found: members " in refusal(path)
    assert [found.name for found in tmp_path.iterdir()] == ["some.keras"]


@pytest.mark.parametrize("name", archive.MEMBERS)
def test_members_that_are_missing_or_elsewhere(good, tmp_path, name):
    content = good.pop(name)
    assert "found: members " in refusal(pack(tmp_path / "some.keras", good))
    good["../" + name] = content
    assert "found: members " in refusal(pack(tmp_path / "some.keras", good))


@pytest.mark.parametrize("name", archive.MEMBERS)
def test_bombs(good, tmp_path, name):
    good[name] = bytes(2**26)
    path = pack(tmp_path / "some.keras", good, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    assert f"{name} of 67,108,864 bytes" in refusal(path) or "compressed" in refusal(path)


def test_long_texts(good, tmp_path):
    good["metadata.json"] = b" " * (2**20 + 1)
    assert "metadata.json of 1,048,577 bytes" in refusal(pack(tmp_path / "some.keras", good))


@pytest.mark.parametrize("size", [0, 10**9, 2**32 - 2])
def test_sizes_that_lie(good, tmp_path, size):
    """The central directory says another size than there is."""
    path = pack(tmp_path / "some.keras", good)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\1\2")
    content[place + 20:place + 28] = struct.pack("<II", size, size)
    path.write_bytes(content)
    refusal(path)


def test_a_long_list_of_members(tmp_path):
    path = pack(tmp_path / "some.keras", [(f"{number}", b"") for number in range(2_000)])
    assert "too many members" in refusal(path)
    path = pack(tmp_path / "some.keras", [(f"{number}", b"") for number in range(66_000)])
    refusal(path)  # 64 bits


def test_encrypted_members(good, tmp_path):
    path = pack(tmp_path / "some.keras", good)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    assert "encrypted" in refusal(path)


def test_a_file_larger_than_any_model(good, tmp_path):
    """It is neither read nor hashed; nor is one without a manifest."""
    path = pack(tmp_path / "generator.keras", good)
    with open(path, "r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(DataError, match="a model of at most .* bytes, found 1,099,511,627,776$"):
        check_model(path, "Generator")


def test_the_manifest_is_compared(good, tmp_path):
    path = pack(tmp_path / "generator.keras", good)
    check_model(path, "Generator")
    for hashes, words in (["00" * 32], "SHA-256 000000000000"), ([], "the manifest of a run"):
        (tmp_path / "manifest.json").write_text(json.dumps(
            {"files": {path.name: {"sha256": hashes}}}))
        with pytest.raises(DataError, match=words):
            check_model(path, "Generator")


# -- the configuration


def changed(good, path, change):
    """The good archive after `change` has been at its configuration."""
    config = json.loads(good["config.json"])
    change(config)
    return pack(path, {**good, "config.json": json.dumps(config)})


def test_an_unchanged_configuration_passes(good, tmp_path):
    check_archive(changed(good, tmp_path / "some.keras", lambda config: None), "Generator")


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "registered_name": None,
          "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}}}
CONV = {"module": "stylegan2_tf.networks.styled", "class_name": "StyledConv2D",
        "registered_name": "stylegan2_tf>StyledConv2D", "config": {"filters": 60_000},
        "build_config": {"x_shape": [1, 4, 4, 60_000], "w_shape": [1, 60_000]}}


@pytest.mark.parametrize("place", [
    ("config", "mapping"), ("config", "synthesis"), ("config", "dtype"), ("config", "name"),
    ("config", "mapping", "config", "dtype"), ("config", "synthesis", "config", "attention"),
    ("config", "mapping", "config", "dtype", "config", "name"), ("compile_config",),
    ("build_config",), ("config", "mapping", "compile_config")])
@pytest.mark.parametrize("value", [
    LAMBDA, CONV, {"class_name": "__lambda__"}, {"registered_name": "evil"},
    {"module": "os", "class_name": "system", "config": {}, "registered_name": None},
    {"module": "stylegan2_tf.files", "class_name": "sweep", "registered_name": None},
    {"module": "keras", "class_name": "DTypePolicy", "registered_name": "evil>DTypePolicy"}])
def test_foreign_classes(good, tmp_path, place, value):
    def change(config):
        for name in place[:-1]:
            config = config[name]
        config[place[-1]] = value

    assert "found: the class " in refusal(changed(good, tmp_path / "some.keras", change))


@pytest.mark.parametrize("key, value", [
    ("class_name", "Lambda"), ("class_name", "Discriminator"), ("class_name", ["Generator"]),
    ("class_name", None), ("class_name", "SynthesisNetwork"), ("module", "os"), ("module", None),
    ("module", "stylegan2_tf_evil"), ("registered_name", "evil>Generator"),
    ("registered_name", None), ("registered_name", "stylegan2_tf>Discriminator")])
def test_the_network_itself_is_ours(good, tmp_path, key, value):
    refusal(changed(good, tmp_path / "some.keras", lambda config: config.update({key: value})))


@pytest.mark.parametrize("names", [[1, 2], [None], ["AD", ["NC"]], 7])
def test_classes_that_have_no_names(good, tmp_path, names):
    refusal(changed(good, tmp_path / "some.keras",
                    lambda config: config["config"].update(classes=names)))


def test_parts_with_shapes_of_their_own(good, tmp_path):
    path = changed(good, tmp_path / "some.keras", lambda config: config["config"]["mapping"].update(
        build_config={"input_shape": [60_000, 60_000]}))
    assert "shapes of its own" in refusal(path)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1e30",
                                  "70000", "-1", "-0.5"])
@pytest.mark.parametrize("name", ["z_dim", "lr_multiplier"])
def test_numbers_that_no_network_has(good, tmp_path, name, text):
    config = json.loads(good["config.json"])
    config["config"]["mapping"]["config"][name] = "HERE"
    good["config.json"] = json.dumps(config).replace('"HERE"', text)
    refusal(pack(tmp_path / "some.keras", good))


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b"null", b"{}", b"\xff\xfe", b"[" * 900_000,
                                     b'{"a":' * 150_000, b'{"class_name": "Generator"}',
                                     b"[" * 20 + b"]" * 20])
def test_texts_that_are_no_configuration(good, tmp_path, content):
    good["config.json"] = content
    refusal(pack(tmp_path / "some.keras", good))
    good["config.json"], good["metadata.json"] = good["metadata.json"], content
    refusal(pack(tmp_path / "other.keras", good))


@pytest.mark.parametrize("part, changes", [
    ("mapping", dict(w_dim=60_000)), ("mapping", dict(z_dim=60_000, w_dim=60_000)),
    ("mapping", dict(num_layers=65)), ("mapping", dict(label_dim=60_000)),
    ("mapping", dict(num_layers=1, z_dim=1, w_dim=9_000)),
    ("synthesis", dict(filters=[60_000])), ("synthesis", dict(filters=[1, 60_000])),
    ("synthesis", dict(filters=[1] * 12)), ("synthesis", dict(filters=[1] * 60)),
    ("synthesis", dict(base_resolution=2_000)), ("synthesis", dict(base_resolution=[1, 60_000])),
    ("synthesis", dict(base_resolution=0, filters=[1] * 60_000)),
    ("synthesis", dict(channels=60_000)), ("synthesis", dict(filters="88")),
    ("synthesis", dict(filters=[])), ("synthesis", dict(filters=None)),
    ("synthesis", dict(channels=None)), ("synthesis", dict(filters=[[8]]))])
def test_networks_larger_than_their_weights(good, tmp_path, part, changes):
    refusal(changed(good, tmp_path / "some.keras",
                    lambda config: config["config"][part]["config"].update(changes)))


@pytest.mark.parametrize("part, changes", [
    ("trunk", dict(filters=[60_000])), ("trunk", dict(filters=[1] * 17)),
    ("trunk", dict(final_resolution=3_000)), ("trunk", dict(channels=60_000)),
    ("trunk", dict(final_resolution=60_000)), ("head", dict(units=60_000)),
    ("head", dict(label_dim=60_000))])
def test_discriminators_larger_than_their_weights(home, tmp_path, part, changes):
    refusal(changed(members(home / "discriminator.keras"), tmp_path / "some.keras",
                    lambda config: config["config"][part]["config"].update(changes)),
            "Discriminator")


# -- the weights


def h5_bytes(make):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["plenty"] = np.zeros(20_000, np.float32)  # of weights
        make(file)
    return stream.getvalue()


def knot(file):
    for number in range(8):
        file[f"{number}"] = file["/"]


def ladder(file):
    step = file
    for _ in range(14):
        below = step.create_group("a")
        step["b"] = below
        step = below


def deep(file):
    file.create_group("/".join("a" * 40))


def many(file):
    for number in range(archive.LINKS):
        file.create_group(str(number))


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file.create_virtual_dataset("v", layout)


HOSTILE = {
    "external link": lambda file: file.update({"a": h5py.ExternalLink("/etc/hostname", "/x")}),
    "soft link": lambda file: file.update({"a": h5py.SoftLink("/plenty")}),
    "external storage": lambda file: file.create_dataset(
        "e", (4,), "u1", external=[("/etc/hostname", 0, 4)]),
    "virtual": virtual, "knot": knot, "ladder": ladder, "deep": deep, "many": many,
    "never stored": lambda file: file.create_dataset("n", (2**30,), "f4"),
    "chunks": lambda file: file.create_dataset("c", (2**28,), "u1", chunks=(2**20,)),
    "compressed": lambda file: file.create_dataset("z", data=np.zeros(2**20), compression="gzip"),
    "texts": lambda file: file.create_dataset("t", data=["a"] * 3),
    "objects": lambda file: file.create_dataset("r", data=[file.ref] * 3, dtype=h5py.ref_dtype),
    "nothing": lambda file: file.create_dataset("o", data=h5py.Empty("f4")),
    "a type": lambda file: file.update({"d": np.dtype("f8")}),
    "few": lambda file: file.pop("plenty"),
}


def test_plain_weights_pass(good, tmp_path):
    good["model.weights.h5"] = h5_bytes(lambda file: None)
    check_archive(pack(tmp_path / "some.keras", good), "Generator")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_weights(good, tmp_path, name):
    good["model.weights.h5"] = h5_bytes(HOSTILE[name])
    refusal(pack(tmp_path / "some.keras", good))


def test_weights_that_are_damaged(good, tmp_path):
    whole = good["model.weights.h5"]
    for content in (b"", b"text", whole[:1000], whole[8:]):
        good["model.weights.h5"] = content
        refusal(pack(tmp_path / "some.keras", good))
