"""Look into a `.keras` file before Keras opens it: expected members, our classes, real sizes.

Keras' safe mode is a list of what is forbidden. This is the list of what is allowed.
"""

import io
import json
import os
import struct
import zipfile
from pathlib import Path

from stylegan2_tf.checks import LAYERS, SIDE, WIDEST
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.manifest import check_hash, read_manifest
from stylegan2_tf.sides import doubled, halvings

MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
TEXT_BYTES = 2**20  # of a JSON member, at most
WEIGHT_BYTES = 2**31 - 2**22  # of the weights, at most; larger archives are of 64 bits
DIRECTORY_BYTES = 4096  # of the list of members, at most
LARGEST = WEIGHT_BYTES + 2 * TEXT_BYTES + 2 * DIRECTORY_BYTES  # a file, in bytes
LINKS = 4_000  # groups and datasets in the weights, at most
LONGEST = WIDEST  # of any number in the configuration
DEEPEST = 16  # levels of it, and of groups in the weights
STAGES = 16  # resolutions of a network, at most
DENSE = 4  # the discriminator's head brings larger maps here before its dense layer
OURS = "stylegan2_tf>"
PARTS = {  # what each network is made of
    "Generator": {"mapping": ("MappingNetwork", "LatentInput"),
                  "synthesis": ("SynthesisNetwork", "StyleGANSynthesis", "DCGANSynthesis")},
    "Discriminator": {"trunk": ("ResidualTrunk",), "head": ("DiscriminatorHead",)},
}


def check_model(path, kind):
    """Refuse a model file that is not the one of its manifest, or that `check_archive` refuses.

    Neither TensorFlow nor Keras is imported.
    """
    _check_size(path)
    manifest = read_manifest(path)
    if Path(path).name in manifest["files"]:  # reading a whole file for nothing takes its time
        check_hash(Path(path), manifest)
    check_archive(path, kind)


def check_archive(path, kind):
    """Refuse a model file that is anything but a network of ours.

    Nothing in it is run, no other file is read, and its weights are looked at but not loaded.

    Args:
        path: The `.keras` file.
        kind: "Generator" or "Discriminator".

    Raises:
        DataError: It is no archive, has other members, is larger inside than a model can be,
            holds another network, names foreign classes, or its weights lead outside of it.
    """
    try:
        if Path(path).suffix != ".keras":  # Keras goes by the name, and reads .h5 otherwise
            raise ValueError("another ending than .keras")
        _check_directory(path)
        with open(path, "rb") as stream, zipfile.ZipFile(stream) as archive:
            _check_members(archive, Path(path).stat().st_size)
            config, _ = (_read_json(archive.read(name)) for name in MEMBERS[:2])
            _check_numbers(config)
            name = config["class_name"]
            if name == kind:
                _check_classes(config, kind)
                weights = _Part(stream, archive.getinfo(MEMBERS[2]))
                _check_weights(weights, _least_numbers(config, kind))
                _check_sum(archive, MEMBERS[2])
    except Exception as error:  # zipfile, JSON and HDF5 raise many kinds
        raise DataError(f"{path}: expected a model saved by stylegan2_tf, found: "
                        f"{one_line(error)}; it was not opened") from error
    if name != kind:
        raise DataError(f"{path}: expected a {kind}, found {ascii(str(name))[1:-1][:80]}; "
                        f"give {kind.lower()}.keras of a run")


def _check_size(path):
    """Refuse a file that is larger than any model, before it is read for its hash."""
    size = os.path.getsize(path)
    if size > LARGEST:
        raise DataError(f"{path}: expected a model of at most {LARGEST:,} bytes, found {size:,}")


def _check_directory(path):
    """Refuse a list of members that is long: `zipfile` would hold all of it in memory."""
    with open(path, "rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(size - 42, 0))
        tail = stream.read()
    if tail[-22:-18] != b"PK\5\6" or tail[:4] == b"PK\6\7":  # none, or one of 64 bits
        raise ValueError("no archive, or a part of one")
    if struct.unpack("<I", tail[-10:-6])[0] > DIRECTORY_BYTES:
        raise ValueError("a list of too many members")


def _check_members(archive, size):
    found = archive.infolist()
    names = [member.filename for member in found]
    if sorted(names) != sorted(MEMBERS):
        raise ValueError(f"members {', '.join(map(ascii, names[:5]))}")
    for member in found:
        most = WEIGHT_BYTES if member.filename.endswith(".h5") else TEXT_BYTES
        if member.file_size > min(most, size):
            raise ValueError(f"{member.filename} of {member.file_size:,} bytes")
        # Keras stores without compression: nothing can unfold to more than the file holds.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename}, which is compressed")


class _Part(io.RawIOBase):
    """A member of an archive as a file of its own, read where it lies: it may be large.

    Args:
        stream: The archive, open for reading.
        member: Its entry, which is not compressed.
    """

    def __init__(self, stream, member):
        stream.seek(member.header_offset + 26)
        self._start = member.header_offset + 30 + sum(struct.unpack("<HH", stream.read(4)))
        self._stream, self._size, self._place = stream, member.file_size, 0

    def readable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self):
        return self._place

    def readinto(self, buffer):
        left = max(self._size - self._place, 0)
        self._stream.seek(self._start + self._place)
        count = self._stream.readinto(memoryview(buffer)[:left])
        self._place += count
        return count


def _check_sum(archive, name):
    with archive.open(name) as content:
        while content.read(2**20):  # at the end, zipfile compares the checksum
            pass


def _read_json(content):
    def refuse(text):
        raise ValueError(f"the number {text} in the configuration")

    return json.loads(content.decode("utf-8"), parse_constant=refuse)


def _check_numbers(value, depth=0):
    """Refuse numbers that no network has."""
    if depth > DEEPEST:
        raise ValueError("a configuration nested too deeply")
    if isinstance(value, dict):
        for key, part in value.items():
            if key != "shared_object_id":  # an address
                _check_numbers(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check_numbers(part, depth + 1)
    elif isinstance(value, (int, float)) and not 0 <= value <= LONGEST:
        raise ValueError(f"the number {value} in the configuration")


def _check_classes(config, kind):
    """Refuse classes other than a network's own parts, wherever they stand."""
    _check_object(config, (kind,))
    _check_plain([value for key, value in config.items() if key != "config"])
    missing = [name for name in PARTS[kind] if name not in config["config"]]
    if missing:
        raise ValueError(f"one without {' and '.join(missing)}, as earlier versions saved it")
    if not all(isinstance(name, str) for name in config["config"].get("classes", ())):
        raise ValueError("classes that have no names")
    for key, value in config["config"].items():
        if key in PARTS[kind]:
            _check_object(value, PARTS[kind][key])
            if value.get("build_config"):
                raise ValueError(f"shapes of its own in {key}")
            _check_plain(list(value.values()))
        else:
            _check_plain(value)


def _check_object(value, names):
    name = value.get("class_name")
    registered, module = value.get("registered_name"), str(value.get("module"))
    if name not in names or registered != f"{OURS}{name}" or (
            not module.startswith("stylegan2_tf.")):
        raise ValueError(f"the class {ascii(registered or f'{module}.{name}')[:80]}")


def _check_plain(value):
    """Refuse objects of Keras within plain data, but for the policy of a data type."""
    for part in _dicts(value):
        if ("class_name" in part or "registered_name" in part) and (
                part.get("class_name"), part.get("module"), part.get("registered_name")) != (
                "DTypePolicy", "keras", None):
            raise ValueError(f"the class {ascii(part.get('class_name'))[:80]}")


def _dicts(value):
    """Every dict in a configuration."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else (
            value if isinstance(value, list) else ()):
        yield from _dicts(part)


def _least_numbers(config, kind):
    """Weights that a network of this configuration has at least.

    A configuration may ask for more memory than there is before any weight is read.
    """
    parts = {name: config["config"][name]["config"] for name in PARTS[kind]}
    if kind == "Discriminator":
        return _least_of_discriminator(**parts)
    styled = config["config"]["synthesis"]["class_name"] != "DCGANSynthesis"
    return _least_of_generator(**parts, styled=styled)


def _least_of_generator(mapping, synthesis, styled):
    z_dim, layers = mapping["z_dim"], mapping.get("num_layers", 0)
    w_dim = mapping.get("w_dim", z_dim)
    widths = synthesis["filters"]
    height, width = _sides(synthesis["base_resolution"], len(widths) - 1)
    if layers > LAYERS:
        raise ValueError(f"a mapping network of {layers} layers")
    low = doubled(synthesis["base_resolution"], 0)
    dense = mapping["label_dim"] * z_dim + (z_dim + (layers - 1) * w_dim) * w_dim * (layers > 0)
    start = low[0] * low[1] * widths[0] * (1 if styled else w_dim)
    styles = (height * width + w_dim * sum(widths)) * styled  # noise map and affine layers
    return dense + start + styles + _convolutions([widths[0], *widths]) + (
        synthesis["channels"] * widths[-1])


def _least_of_discriminator(trunk, head):
    widths, units = trunk["filters"], head["units"]
    _sides(trunk["final_resolution"], len(widths))
    final = doubled(trunk["final_resolution"], 0)
    height, width = (side >> halvings(final, DENSE) for side in final)
    return _convolutions([*widths, widths[-1], units]) + height * width * units**2 + (
        trunk["channels"] * widths[0] + head["label_dim"] * units)


def _sides(base, times):
    if times > STAGES:
        raise ValueError(f"a network of {times} resolutions")
    sides = doubled(base, times)
    if max(sides) > SIDE:
        raise ValueError(f"images of {sides[0]} x {sides[1]}")
    return sides


def _convolutions(widths):
    return sum(9 * a * b for a, b in zip(widths, widths[1:], strict=False))


def _check_weights(part, least):
    """Refuse weights that lie in other files, are made up when read, or are too few."""
    import h5py

    size = part.seek(0, io.SEEK_END)
    with h5py.File(part, "r") as weights:
        sizes = list(_sizes(weights, iter(range(LINKS))))
    if sum(claimed for claimed, _ in sizes) > size:
        raise ValueError(f"weights that claim more than their {size:,} bytes")
    found = sum(count for _, count in sizes)
    if least > found:
        raise ValueError(f"a network of at least {least:,} weights, with {found:,} stored")


def _sizes(group, tickets, depth=0):
    """(bytes, numbers) of each dataset; `tickets` end the walk where links form a knot."""
    import h5py

    for name in group:
        if next(tickets, None) is None or depth > DEEPEST:
            raise ValueError("too many weights, or nested too deeply")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"a link at {ascii(name)[:60]} in the weights")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _sizes(item, tickets, depth + 1)
            continue
        # `chunks` may be compressed, and other kinds of numbers lie elsewhere in the file.
        if item.external or item.is_virtual or item.chunks or item.dtype.kind not in "fiub":
            raise ValueError(f"weights at {ascii(name)[:60]} that are not plain numbers")
        yield item.nbytes, item.size
