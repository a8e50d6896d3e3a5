"""The last step of `prepare`: names, parts, manifest and `dataset.json` for images all read.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import collections
import hashlib
import json
import os
import shutil
from typing import NamedTuple

import numpy as np

from stylegan2_tf.data.build import Facts, Findings, header
from stylegan2_tf.errors import DataError
from stylegan2_tf.files import sha256, sync, write_json
from stylegan2_tf.preparation.journal import PIXELS, read_lines
from stylegan2_tf.preparation.manifest import MANIFEST, write_manifest
from stylegan2_tf.preparation.naming import name_items
from stylegan2_tf.preparation.prepared import ABOUT, ARRAY, FORMAT, UNFINISHED, VERSION, read_about
from stylegan2_tf.preparation.shards import BLOCK, write_shards
from stylegan2_tf.preparation.splitting import assign, check_sides


class Gathered(NamedTuple):
    """What of all images must be known at once.

    Attributes:
        owners: Item of each image, int64 `[N]`.
        digests, constant: Of each image.
        patients: Pseudonym of the patient of each item, None where its file tells none.
        windows, units, sides: Sets of all that occur.
        findings: `Findings`.
        skipped: Name of an item -> reason.
    """

    owners: np.ndarray
    digests: list
    constant: list
    patients: list
    windows: set
    units: set
    sides: set
    findings: Findings
    skipped: dict


def finish(out, items, identities, target, options, pseudonyms, settings, fingerprint, refused):
    """Name the images, part them, and put everything in its place; `dataset.json` comes last.

    Args:
        out: The folder of the set; `UNFINISHED` in it holds the journal.
        items, identities: What `identify` gave.
        target, options: `Target`, `Options`.
        pseudonyms: `Pseudonyms`, or None.
        settings: As they shall stand in `dataset.json`.
        fingerprint: SHA-256 of the array if it is known.
        refused: Relative path -> reason of files that were no items.

    Returns:
        Relative path -> reason of all that is left out.

    Raises:
        DataError: Nothing could be read.
        UsageError: The parts share an image.
    """
    partial, gathered = out / UNFINISHED, _survey(out / UNFINISHED, items)
    skipped = {**refused, **gathered.skipped}
    total = len(gathered.owners)
    if not total:
        shutil.rmtree(partial)  # nothing to go on with once the source is mended
        name, reason = next(iter(skipped.items()))
        raise DataError(f"SOURCE: expected images or volumes that can be read, found none of "
                        f"{len(items):,}, such as {name}: {reason}")
    named = name_items(items, identities, gathered.patients, pseudonyms,
                       set(gathered.owners.tolist()))
    about = {"format": FORMAT, "version": VERSION, "shape": [total, *target.shape],
             "dtype": target.dtype.name, "fingerprint": fingerprint,
             "intensity": _intensity(gathered, items),
             "source_shape": _source_shape(gathered, items, target),
             "left_out": len(skipped), "settings": settings,
             "notices": gathered.findings.sentences() + named.notices}
    with open(partial / PIXELS, "r+b") as stream:
        stream.write(header((total, *target.shape), target.dtype))
    maker = _Maker(partial, items, named, target, options.shards, gathered.owners)
    if options.shares:
        _write_parts(out, maker, gathered, named, options, about)
    elif options.shards:
        _publish(out, maker.part(partial / "whole", np.arange(total), about))
    else:
        maker.manifest(out, None)
        about["fingerprint"] = fingerprint or sha256(partial / PIXELS)
        os.replace(partial / PIXELS, out / ARRAY)
        sync(out)
        write_json(out / ABOUT, {**about, **maker.counts(np.arange(total))})
    return skipped


def _survey(partial, items):
    """Go through the journal once: `Gathered`."""
    found = Gathered([], [], [], [None] * len(items), set(), set(), set(), Findings(), {})
    for index, line in enumerate(read_lines(partial)):
        if "skipped" in line:
            found.skipped[items[index].name] = line["skipped"]
            continue
        for row in line["rows"]:
            found.owners.append(index)
            found.digests.append(row["sha256"])
            found.constant.append(row["constant"])
            found.patients[index] = row.get("patient") or found.patients[index]
            found.windows.add(tuple(row.get("window") or ()))
            found.units.add(row.get("unit"))
            found.sides.add(tuple(row["placement"]["source"]))
            found.findings.add(Facts(row["sha256"], row["constant"], row["brightest"]),
                               row["notes"])
    return found._replace(owners=np.array(found.owners, np.int64))


def _intensity(gathered, items):
    """The one window that became black and white, or None."""
    if items[0].kind == "row":
        return read_about(items[0].place[0]).get("intensity")
    if len(gathered.windows) != 1 or gathered.windows == {()}:
        return None
    low, high = next(iter(gathered.windows))
    return {"low": low, "high": high,
            "unit": "HU" if gathered.units == {"HU"} else "values of the volume"}


def _source_shape(gathered, items, target):
    """(height, width) that all images had before bars were added to them, or None."""
    about = read_about(items[0].place[0]) if items[0].kind == "row" else None
    if about and about["settings"]["fit"] == "pad" and (
            about["shape"][1] * target.resolution[1] == about["shape"][2] * target.resolution[0]):
        return about["source_shape"]  # the bars of that set are still there, to scale
    sides = gathered.sides
    return list(next(iter(sides))) if len(sides) == 1 else None


def _write_parts(out, maker, gathered, named, options, about):
    """A prepared set for each part, moved to its place when all are whole."""
    owners = gathered.owners.tolist()
    parts = assign([named.groups[owner] for owner in owners], options.shares, options.seed)
    names = [maker.items[owner].name for owner in owners]
    check_sides(parts, gathered.digests, names, gathered.constant)
    alone = sum(named.subjects[owner] is None for owner in owners)
    if alone:
        about["notices"].append(f"{alone:,} images were parted one by one: their names tell no "
                                "subject (--subject-pattern)")
    parts, made = np.array(parts), {}
    for name in options.shares:
        chosen = np.flatnonzero(parts == name)
        digests = [gathered.digests[index] for index in chosen]
        repeated = len(digests) - len(set(digests))
        notices = [f"the same pixels as an earlier image in {repeated:,} of {len(chosen):,} images"]
        made[name] = maker.part(maker.partial / "parts" / name, chosen, {
            **about, "part": name, "notices": notices * bool(repeated) + named.notices})
    for name, folder in made.items():
        shutil.rmtree(out / name, ignore_errors=True)  # of a call that was killed here
        os.replace(folder, out / name)
    sync(out)
    write_json(out / ABOUT, {
        "format": FORMAT, "version": VERSION, "notices": about["notices"],
        "left_out": about["left_out"],
        "parts": {name: read_about(out / name)["shape"][0] for name in made},
        "settings": about["settings"]})


def _publish(out, folder):
    """Move what lies in `folder` to `out`, the description last."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == ABOUT):
        if path.is_dir():
            shutil.rmtree(out / path.name, ignore_errors=True)
        os.replace(path, out / path.name)
    sync(out)


class _Maker:
    """Writes prepared sets of chosen images from the journal."""

    def __init__(self, partial, items, named, target, shards, owners):
        self.partial, self.items, self._named = partial, items, named
        self._target, self._shards, self._owners = target, shards, owners

    def part(self, folder, chosen, about):
        """Write the images with the indices `chosen` to `folder`, which is returned."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.manifest(folder, set(chosen.tolist()))
        start = header((len(chosen), *self._target.shape), self._target.dtype)
        hashed = hashlib.sha256(start)
        if self._shards:
            about = {**about, "shards": write_shards(folder, self._blocks(chosen, hashed),
                                                     len(chosen), self._shards)}
        else:
            with open(folder / ARRAY, "wb") as stream:
                stream.write(start)
                for block in self._blocks(chosen, hashed):
                    stream.write(block)
            sync(folder / ARRAY)
        write_json(folder / ABOUT, {
            **about, "shape": [len(chosen), *self._target.shape],
            "fingerprint": hashed.hexdigest(), **self.counts(chosen)})
        return folder

    def _blocks(self, chosen, hashed):
        pixels = np.load(self.partial / PIXELS, mmap_mode="r")
        step = max(BLOCK // (pixels[0].nbytes), 1)
        for start in range(0, len(chosen), step):
            block = np.ascontiguousarray(pixels[chosen[start:start + step]])
            hashed.update(block)
            yield block

    def counts(self, chosen):
        """How many images of each class, and how many subjects."""
        owners = self._owners[chosen].tolist()
        labels = collections.Counter(self._named.labels[owner] for owner in owners)
        subjects = {self._named.subjects[owner] for owner in owners} - {None}
        return {"classes": {label: labels[label] for label in sorted(filter(None, labels))},
                "subjects": len(subjects)}

    def manifest(self, folder, chosen):
        """Write the manifest of the images with the indices `chosen`; None for all."""
        write_manifest(folder, self._rows(chosen))
        sync(folder / MANIFEST)

    def _rows(self, chosen):
        number = -1
        for index, line in enumerate(read_lines(self.partial)):
            for row in line.get("rows", ()):
                number += 1
                if chosen is None or number in chosen:
                    yield self._row(index, row)

    def _row(self, index, row):
        named, item = self._named, self.items[index]
        plane, old = row.get("slice"), item.row or {}
        name = named.names[index]
        if plane is not None:
            name += f"_{self._target.slices.axis}-{plane:03}"
        transform = json.loads(old["transform"]) if old else {"placements": [],
                                                              "affine": row.get("affine")}
        transform["placements"].append(row["placement"])
        return (name, named.sources[index], named.subjects[index] or "",
                named.sessions[index] or "",
                old.get("slice", "" if plane is None else plane), named.labels[index] or "",
                row["sha256"], old.get("spacing", _text(row.get("spacing"))),
                old.get("window", _text(row.get("window"))), json.dumps(transform))


def _text(numbers):
    return " ".join(f"{number:.9g}" for number in numbers or ())
