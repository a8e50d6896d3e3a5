"""Hostile model files: nothing in them runs, no other file is read, and soon and little is used."""

import base64
import ctypes
import json
import marshal
import os
import pickle
import subprocess
import sys
import time
import types
import zipfile
from pathlib import Path

import pytest
from hostile_models import BY_KERAS, HARMLESS, KINDS, Payload, code

from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.directions import load_directions

SECONDS, BYTES = 5, 2**30  # at most, for each file
OPENED_OR_READ = 0x20 | 0x01  # IN_OPEN and IN_ACCESS of inotify


def make_good(path):
    """A good model, at `path`."""
    from small import make_generator

    make_generator(classes=("AD", "NC")).save(path)


def peak():
    """The most bytes that this process has had in memory."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


class Canary:
    """A file in the current folder that nobody may open, and tracks that nobody may leave."""

    def __init__(self):
        Path("canary").write_text("a secret")
        library = ctypes.CDLL(None, use_errno=True)
        self._watch = library.inotify_init1(os.O_NONBLOCK)
        assert library.inotify_add_watch(self._watch, b"canary", OPENED_OR_READ) > 0

    def disturbed(self):
        """Whether the canary was read since the last call, or anything has run or written."""
        try:
            read = bool(os.read(self._watch, 65536))
        except BlockingIOError:
            read = False
        return read or any(Path("..").rglob("canary-*"))


def examine(folder, loads):
    """Check or load every model in `folder`. Returns name -> (what came of it, seconds, disturbed).

    The seconds are those of the processor; under "peak" stand the most bytes in memory.
    """
    from stylegan2_tf.archive import check_model

    if loads:
        from stylegan2_tf.latent.sampling import load
    os.chdir(folder)
    canary, found = Canary(), {}
    for number, name in enumerate(KINDS):
        path, started = Path(f"{number}.keras").absolute(), time.process_time()
        try:
            load(path) if loads else check_model(path, "Generator")
            result = "accepted"
        except DataError as error:
            result = str(error)
        found[name] = result, time.process_time() - started, canary.disturbed()
    return {**found, "peak": peak()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, nursery):
    """All hostile models, and their canary."""
    folder = tmp_path_factory.mktemp("models") / "inner"
    folder.mkdir()
    nursery.call(make_good, folder / "good.keras")
    with zipfile.ZipFile(folder / "good.keras") as stored:
        good = {name: stored.read(name) for name in stored.namelist()}
    before = os.getcwd()
    os.chdir(folder)  # some name the canary by its path
    try:
        for number, make in enumerate(KINDS.values()):
            make(Path(f"{number}.keras").absolute(), good)
    finally:
        os.chdir(before)
    return folder


def judge(found, may_pass):
    """Check what `examine` returned. Returns the most seconds and megabytes."""
    most = found.pop("peak")
    for name, (result, seconds, disturbed) in found.items():
        assert not disturbed, name
        assert seconds < SECONDS or result == "accepted", (name, seconds)
        assert result != "accepted" or name in may_pass, name
        assert "\n" not in result and len(result) < 600, (name, result)
    assert most < BYTES
    return max(seconds for result, seconds, _ in found.values() if result != "accepted"), (
        most / 2**20)


def test_the_canary_notices(tmp_path, monkeypatch):
    """Else the campaigns would prove nothing."""
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    canary = Canary()
    assert not canary.disturbed()
    Path("canary").read_text()
    assert canary.disturbed() and not canary.disturbed()
    pickle.loads(pickle.dumps(Payload()))
    assert canary.disturbed()
    os.rmdir("canary-ran")
    types.FunctionType(marshal.loads(base64.b64decode(code())), {})("x")
    assert canary.disturbed()


def test_directions_that_unfold_to_much(tmp_path):
    """A NumPy archive is compressed: 300 kB become 300 MB."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED,
                         compresslevel=1) as archive, archive.open("kind.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(2**20))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**21
    with pytest.raises(DataError, match="more than 268,435,456 bytes when unpacked"):
        load_directions(tmp_path / "bomb.npz")


@pytest.mark.slow
def test_the_check_alone(folder, figures):
    """Without TensorFlow and Keras, as the command line checks a model before it imports them."""
    script = ("import json, sys; from test_hostile_models import examine;"
              "print(json.dumps(examine(sys.argv[1], False)));"
              "assert not {'tensorflow', 'keras'} & set(sys.modules)")
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    result = subprocess.run([sys.executable, "-c", script, folder], text=True, capture_output=True,
                            env=os.environ | {"PYTHONPATH": path})
    assert result.returncode == 0, result.stderr[-2000:]
    seconds, megabytes = judge(json.loads(result.stdout), BY_KERAS | HARMLESS)
    refused = len(set(KINDS) - BY_KERAS - HARMLESS)
    figures("hostile model files, checked", f"{refused} of {len(KINDS)} kinds refused; nothing "
            f"runs or is read, most {seconds:.2f} s, peak {megabytes:.0f} MB")


@pytest.mark.slow
def test_loading(folder, figures, nursery):
    """What the check lets pass, Keras loads without harm, or it is refused."""
    seconds, megabytes = judge(nursery.call(examine, folder, True), HARMLESS)
    figures("hostile model files, loaded", f"{len(set(KINDS) - HARMLESS)} of {len(KINDS)} kinds "
            f"refused, {len(HARMLESS)} loaded without harm; nothing runs or is read, most "
            f"{seconds:.2f} s, peak {megabytes:.0f} MB with TensorFlow")
