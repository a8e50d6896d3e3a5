"""Model files as hostile as they come: how to make each of a good one.

`KINDS` maps a name to a function `make(path, good)`: `good` is a dict of the members of a good
`generator.keras`. Every one must be refused before Keras opens it, but for those in `BY_KERAS`,
which it refuses itself, and in `HARMLESS`, which may load: what is hostile about these is never
looked at.
"""

import base64
import io
import json
import marshal
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
BY_KERAS = {"60,000 classes", "weights of others"}
HARMLESS = {"shapes of its own", "a link among the members", "polyglot", "twice the same key",
            "module of ours that is none"}
KINDS = {}


def kind(name):
    """Enter a function into `KINDS`."""
    def enter(make):
        KINDS[name] = make
        return make

    return enter


def pack(path, contents, compression=zipfile.ZIP_STORED):
    """An archive of (name, bytes) pairs, or of a dict."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as target:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in contents.items() if isinstance(contents, dict) else contents:
            target.writestr(name, content)


class Payload:
    """Makes the canary's track when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("canary-ran",)


def code():
    """The body of a Keras Lambda that makes the canary's track."""
    runs = (lambda x: __import__("os").mkdir("canary-ran")).__code__
    return base64.b64encode(marshal.dumps(runs)).decode()


def with_config(change):
    """A kind that changes the configuration."""
    def make(path, good):
        config = json.loads(good[CONFIG])
        changed = change(config)
        pack(path, {**good, CONFIG: json.dumps(config if changed is None else changed)})

    return make


def placed(value, *place):
    """A kind with `value` at a place of the configuration."""
    def change(config):
        for name in place[:-1]:
            config = config[name]
        config[place[-1]] = value

    return with_config(change)


def with_weights(fill):
    """A kind whose weights are plenty, plain numbers and what `fill(file)` adds."""
    def make(path, good):
        import h5py

        stream = io.BytesIO()
        with h5py.File(stream, "w") as file:
            file["plenty"] = np.zeros(20_000, np.float32)
            fill(file)
        pack(path, {**good, WEIGHTS: stream.getvalue()})

    return make


def with_member(name, content=b"{}"):
    return lambda path, good: pack(path, [*good.items(), (name, content)])


def replaced(member, content, **options):
    return lambda path, good: pack(path, {**good, member: content}, **options)


# -- the archive

KINDS |= {
    "zip bomb": replaced(WEIGHTS, bytes(2**28), compression=zipfile.ZIP_DEFLATED),
    "bomb of text": replaced(CONFIG, b" " * 2**28, compression=zipfile.ZIP_DEFLATED),
    "parent folder": with_member("../canary-wrote"),
    "absolute name": lambda path, good: pack(
        path, [*good.items(), (str(path.with_name("canary-wrote")), b"{}")]),
    "backslashes": with_member("..\\canary-wrote"),
    "member of its own": with_member("assets/canary.txt"),
    "the same name twice": with_member(CONFIG),
    "pickled member": with_member("model.pkl", pickle.dumps(Payload())),
    "pickled weights": replaced(WEIGHTS, pickle.dumps(Payload())),
    "pickled configuration": replaced(CONFIG, pickle.dumps(Payload())),
    "weights of NumPy": lambda path, good: pack(path, {
        CONFIG: good[CONFIG], METADATA: good[METADATA],
        "model.weights.npz": pickled_array()}),
    "many members": lambda path, good: pack(
        path, [*good.items(), *((str(number), b"") for number in range(60_000))]),
}


def pickled_array():
    stream = io.BytesIO()
    np.savez(stream, a=np.array([Payload()], object))
    return stream.getvalue()


@kind("a link among the members")
def _(path, good):
    """A ZIP entry that is a symbolic link to the canary."""
    entry = zipfile.ZipInfo(METADATA)
    entry.external_attr = 0o120777 << 16
    pack(path, [(CONFIG, good[CONFIG]), (entry, good[METADATA]), (WEIGHTS, good[WEIGHTS])])


@kind("weights that are a link")
def _(path, good):
    entry = zipfile.ZipInfo(WEIGHTS)
    entry.external_attr = 0o120777 << 16
    pack(path, [(CONFIG, good[CONFIG]), (METADATA, good[METADATA]), (entry, b"canary")])


@kind("polyglot")
def _(path, good):
    """A program in front of the archive."""
    pack(path, good)
    path.write_bytes(b"#!/bin/sh\nmkdir canary-ran\nexit\n" + path.read_bytes())


@kind("truncated")
def _(path, good):
    pack(path, good)
    path.write_bytes(path.read_bytes()[:-30])


@kind("a flipped bit")
def _(path, good):
    pack(path, good)
    content = bytearray(path.read_bytes())
    content[-5000] ^= 1
    path.write_bytes(content)


def lying_size(size):
    """The list of members names another size than there is."""
    def make(path, good):
        pack(path, good)
        content = bytearray(path.read_bytes())
        place = content.rindex(b"PK\1\2")
        content[place + 20:place + 28] = struct.pack("<II", size, size)
        path.write_bytes(content)

    return make


KINDS |= {"claims 4 GB": lying_size(2**32 - 2), "claims nothing": lying_size(0)}


@kind("empty archive of 16 GB")
def _(path, good):
    """Sixteen gigabytes of nothing, on no disk, and then a list of no members."""
    with open(path, "wb") as stream:
        stream.truncate(2**34)
        stream.seek(0, io.SEEK_END)
        stream.write(b"PK\5\6" + bytes(18))


@kind("weights of 1 GB")
def _(path, good):
    """As many zeros as weights may have bytes, on no disk; even their checksum is right."""
    size = 2**30
    head = b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, CRC_OF_ZEROS, size, size,
                                   len(WEIGHTS), 0) + WEIGHTS.encode()
    pack(path, {CONFIG: good[CONFIG], METADATA: good[METADATA]})
    content = path.read_bytes()
    start = content.index(b"PK\1\2")
    listed, end = content[start:-22], content[-22:]
    entry = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0, CRC_OF_ZEROS, size,
                                    size, len(WEIGHTS), 0, 0, 0, 0, 0, start) + WEIGHTS.encode()
    where = start + len(head) + size
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 3, 3, len(listed) + len(entry), where, 0)
    with open(path, "wb") as stream:
        stream.write(content[:start] + head)
        stream.truncate(where)
        stream.seek(where)
        stream.write(listed + entry + end)


CRC_OF_ZEROS = 0x5B64C2B0  # of 2^30 zeros

# -- the configuration

LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "registered_name": None, "config": {
    "name": "x", "trainable": True, "dtype": "float32", "function": {
        "class_name": "__lambda__", "config": {"code": code(), "defaults": None, "closure": None}}}}
SYSTEM = {"module": "os", "class_name": "mkdir", "config": {"path": "canary-ran"},
          "registered_name": None}
DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 60_000},
         "registered_name": None, "build_config": {"input_shape": [1, 60_000]}}
FILE_LAYER = {"module": "keras.layers", "class_name": "TextVectorization", "registered_name": None,
              "config": {"vocabulary": "canary"}}
MAPPING, SYNTHESIS = ("config", "mapping", "config"), ("config", "synthesis", "config")

KINDS |= {
    "Lambda as the model": with_config(lambda config: LAMBDA),
    "Lambda as the mapping": placed(LAMBDA, "config", "mapping"),
    "Lambda within plain data": placed(LAMBDA, *SYNTHESIS, "attention"),
    "Lambda in the data type": placed(LAMBDA, "config", "dtype"),
    "a Lambda in the shapes": placed({"x": LAMBDA}, "build_config"),
    "function of the system": placed(SYSTEM, "config", "synthesis"),
    "module of the system": placed("os", "module"),
    "foreign class": placed("evil>Generator", "registered_name"),
    "layer of Keras": placed(DENSE, "config", "mapping"),
    "layer that reads a file": placed(FILE_LAYER, "config", "synthesis"),
    "module of ours that is none": placed("stylegan2_tf.no.such.module", "module"),
    "compile config": placed({"optimizer": LAMBDA, "loss": SYSTEM}, "compile_config"),
    "shapes of its own": placed({"input_shape": [60_000, 60_000]}, "build_config"),
    "shapes of its part": placed({"input_shape": [60_000, 60_000]}, "config", "mapping",
                                 "build_config"),
    "other name": placed("Sequential", "class_name"),
    "z of 60,000": placed(60_000, *MAPPING, "z_dim"),
    "64 layers of 4096": placed(4096, *MAPPING, "w_dim"),
    "a billion layers": placed(10**9, *MAPPING, "num_layers"),
    "60,000 filters": placed([60_000] * 3, *SYNTHESIS, "filters"),
    "images of 2^30 pixels a side": placed([1] * 29, *SYNTHESIS, "filters"),
    "constant of 60,000 a side": placed(60_000, *SYNTHESIS, "base_resolution"),
    "60,000 classes": placed([str(number) for number in range(60_000)], "config", "classes"),
    "60,000 classes in the mapping": placed(60_000, *MAPPING, "label_dim"),
    "classes of numbers": placed([1, 2], "config", "classes"),
    "negative number": placed(-1, *MAPPING, "z_dim"),
    "number with 5,000 digits": lambda path, good: pack(path, {
        **good, CONFIG: good[CONFIG].replace(b'"z_dim": 5', b'"z_dim": ' + b"9" * 5000)}),
    "twice the same key": lambda path, good: pack(path, {
        **good, CONFIG: b'{"class_name": "Lambda", ' + good[CONFIG][1:]}),
    "deep nesting": replaced(CONFIG, b'{"a":' * 150_000),
    "deep lists": replaced(METADATA, b"[" * 900_000),
    "long text": replaced(METADATA, b'"' + b"x" * 2**21 + b'"'),
    "no text": replaced(CONFIG, b"\xff\xfe\0"),
    "null": replaced(CONFIG, b"null"),
}
for name in ("NaN", "Infinity", "1e999"):
    KINDS[name] = (lambda text: lambda path, good: pack(path, {
        **good, CONFIG: good[CONFIG].replace(b'"z_dim": 5', b'"z_dim": ' + text)}))(name.encode())

# -- the weights


def link(make_link):
    def fill(file):
        import h5py

        file["link"] = make_link(h5py)

    return with_weights(fill)


def external(file):
    file.create_dataset("e", (4,), "u1", external=[(os.path.abspath("canary"), 0, 4)])


def virtual(file):
    import h5py

    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(os.path.abspath("canary"), "x", (4,))
    file.create_virtual_dataset("v", layout)


def knot(file):
    for number in range(8):
        file[str(number)] = file["/"]


def many(file):
    for number in range(10_000):
        file.create_group(str(number))


def deep(file):
    file.create_group("/".join("a" * 300))


def objects(file):
    import h5py

    file.create_dataset("r", data=[file.ref] * 3, dtype=h5py.ref_dtype)


KINDS |= {
    "external link": link(lambda h5py: h5py.ExternalLink(os.path.abspath("canary"), "/x")),
    "soft link": link(lambda h5py: h5py.SoftLink("/plenty")),
    "external storage": with_weights(external),
    "virtual dataset": with_weights(virtual),
    "knot of links": with_weights(knot),
    "10,000 groups": with_weights(many),
    "groups of 300 levels": with_weights(deep),
    "dataset of 4 TB": with_weights(lambda file: file.create_dataset("n", (2**40,), "f4")),
    "chunks of 4 TB": with_weights(
        lambda file: file.create_dataset("c", (2**40,), "u1", chunks=(2**20,))),
    "compressed weights": with_weights(
        lambda file: file.create_dataset("z", data=np.zeros(2**24), compression="gzip")),
    "texts as weights": with_weights(lambda file: file.create_dataset("t", data=["a"] * 3)),
    "pickled texts": with_weights(
        lambda file: file.create_dataset("p", data=np.void(pickle.dumps(Payload())))),
    "references as weights": with_weights(objects),
    "too few weights": with_weights(lambda file: file.pop("plenty")),
    "weights of others": with_weights(lambda file: file.create_dataset("others", (9,), "f8")),
    "no weights": replaced(WEIGHTS, b""),
    "half of the weights": lambda path, good: pack(
        path, {**good, WEIGHTS: good[WEIGHTS][:len(good[WEIGHTS]) // 2]}),
}
