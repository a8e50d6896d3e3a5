"""What a set was prepared by, so that the same command goes on and another one is refused."""

import hashlib
import os
import secrets
from pathlib import Path

from stylegan2_tf.data import printable
from stylegan2_tf.errors import OutputError, UsageError
from stylegan2_tf.files import inside, sha256
from stylegan2_tf.options import flag
from stylegan2_tf.preparation.identity import Pseudonyms
from stylegan2_tf.preparation.prepared import VERSION
from stylegan2_tf.preparation.sources import state_of

KEY_BYTES = 32
STATE = "state"
LATER = ("split", "seed", "shards")  # decide nothing until all images are read


def settings_of(source, options, pseudonyms):
    """Everything that the result depends on, a flat dict ready for JSON.

    Args:
        source: Path of the source.
        options: `Options`.
        pseudonyms: `Pseudonyms` where names are not to be told, else None.
    """
    path = os.path.realpath(source)
    content = options.to_json()
    slices = content.pop("slices")
    del slices["bits"]
    hidden = pseudonyms is not None
    for name in ("include", "subject_pattern"):  # these may name people
        if hidden and content[name] is not None:
            content[name] = pseudonyms("option", content[name])
    # Folders around the source may name people, and sets are passed on.
    place = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    told = pseudonyms("source", path) if hidden else f"{Path(path).name} ({place})"
    return {"version": VERSION, "source": told,
            **content, **slices, "labels": options.labels and _hash_of(options.labels),
            "anonymise": pseudonyms("key", "") if hidden else None, STATE: state_of(source)}


def check_same(out, found, given, ignored=()):
    """Refuse to go on with a set that was begun with other settings, field by field.

    Args:
        out: The folder of the set.
        found, given: Its settings and those of this call, as `settings_of` gives them.
        ignored: Names that may differ.

    Raises:
        UsageError: See above.
    """
    differing = [name for name in given if name not in ignored and (
        not isinstance(found, dict) or found.get(name) != given[name])]
    if not differing:
        return
    if differing == [STATE]:
        raise UsageError(f"{printable(out)}: expected SOURCE as it was when this set was begun, "
                         "found its files changed, added or removed; give another OUT, or remove "
                         "this one")
    listed = "; ".join(
        f"{_name(name)} (there {_short(found.get(name))}, given {_short(given[name])})"
        for name in differing if name != STATE) if isinstance(found, dict) else "nothing known"
    raise UsageError(f"{printable(out)} holds images that were prepared otherwise: {listed}; give "
                     "the same again, or another OUT")


def check_places(source, out, keyfile):
    """Refuse an OUT that lies in the source or around it, holds other things, or would hold the
    key."""
    if inside(out, source) or inside(source, out):
        raise UsageError(f"OUT: expected a folder apart from SOURCE, found {printable(out)} and "
                         f"{printable(source)}, one inside the other")
    if keyfile is not None and inside(keyfile, out):
        raise UsageError(f"--anonymise: expected a key outside of OUT, found {printable(keyfile)} "
                         "in it; whoever gets the set must not get the key")
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise OutputError(f"OUT {printable(out)}: expected a folder to write to, found a file")


def read_key(path):
    """The key in a file; a missing file is made, with a new key that only its owner may read.

    Raises:
        UsageError: It is too short for a key.
        OutputError: It can't be made.
    """
    path = Path(path)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise OutputError(f"--anonymise {printable(path)}: expected a file for the key, found: "
                          f"{error.strerror}") from error
    if not KEY_BYTES <= len(key) <= 4096:
        raise UsageError(f"--anonymise {printable(path)}: expected a key of {KEY_BYTES} bytes, "
                         f"found a file of {len(key):,}; name a file that does not exist yet, and "
                         "a key is made")
    return key


def pseudonyms_of(keyfile):
    """`Pseudonyms` by the key in a file; None without one."""
    return None if keyfile is None else Pseudonyms(read_key(keyfile))


def _hash_of(labels):
    try:
        return sha256(labels)
    except OSError as error:
        raise UsageError(f"--labels {printable(labels)}: expected a CSV file, found: "
                         f"{error.strerror}") from error


def _name(field):
    return {"source": "SOURCE", "version": "the version"}.get(field, flag(field))


def _short(value):
    return printable(str("not given" if value is None else value))[:60]
