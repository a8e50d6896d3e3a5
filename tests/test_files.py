import json
import os
import signal
import subprocess
import sys

import pytest

from stylegan2_tf import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path):
    """A finished file that no failure may touch."""
    path = tmp_path / "grid.png"
    path.write_text("old")
    return path


def run(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)],
                          capture_output=True, text=True)


def test_replacing_gives_the_new_content_its_name(old):
    with files.replacing(old) as temporary:
        temporary.write_text("new")
        assert old.read_text() == "old"
    assert old.read_text() == "new"
    assert names(old.parent) == ["grid.png"]


def test_the_temporary_file_keeps_folder_and_suffix(old):
    with files.replacing(old) as temporary:
        assert temporary.parent == old.parent
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".tmp-")
        temporary.write_text("new")


def test_replacing_makes_the_folder(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "note.txt", "grün\n")
    assert (tmp_path / "a" / "b" / "note.txt").read_bytes() == b"gr\xc3\xbcn\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file(old, error):
    with pytest.raises(error):
        with files.replacing(old) as temporary:
            temporary.write_text("half")
            raise error
    assert old.read_text() == "old"
    assert names(old.parent) == ["grid.png"]


def test_a_body_that_writes_nothing_leaves_the_old_file(old):
    with pytest.raises(FileNotFoundError):
        with files.replacing(old):
            pass
    assert old.read_text() == "old"


def test_a_full_disk_leaves_the_old_file(old):
    code = ("import resource, sys; from stylegan2_tf import files\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
            "files.write_text(sys.argv[1], 'x' * 100)")
    result = run(code, old)
    assert "OSError: [Errno 27] File too large" in result.stderr
    assert old.read_text() == "old"
    assert names(old.parent) == ["grid.png"]


KILLED_WHILE_WRITING = """
import os, signal, sys
from stylegan2_tf import files
with files.replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
KILLED_BEFORE_THE_RENAME = """
import os, signal, sys
from stylegan2_tf import files
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
files.write_text(sys.argv[1], "new")
"""


@pytest.mark.parametrize("code", [KILLED_WHILE_WRITING, KILLED_BEFORE_THE_RENAME])
def test_a_kill_leaves_the_old_file_and_is_swept(old, code):
    assert run(code, old).returncode == -signal.SIGKILL
    assert old.read_text() == "old"
    assert len(names(old.parent)) == 2
    files.sweep(old.parent)
    assert names(old.parent) == ["grid.png"]


def test_content_is_on_the_disk_before_the_name(old, monkeypatch):
    events = []
    replace = os.replace

    def fsync(descriptor):
        events.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    def replaced(source, target):
        events.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replaced)
    with files.replacing(old) as temporary:
        temporary.write_text("new")
    assert events == [str(temporary), "replace", str(old.parent)]


def test_sync_refuses_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.sync(tmp_path / "none")


def test_sweep_takes_only_leftovers(tmp_path):
    (tmp_path / ".tmp-7-config.json").write_text("half")
    (tmp_path / ".tmp-step-00000004").mkdir()
    (tmp_path / ".tmp-step-00000004" / "state.index").write_text("half")
    (tmp_path / "tmp-notes").mkdir()
    (tmp_path / ".lock").touch()
    files.sweep(tmp_path)
    assert names(tmp_path) == [".lock", "tmp-notes"]


def test_sweep_of_a_missing_folder_does_nothing(tmp_path):
    files.sweep(tmp_path / "none")
    assert names(tmp_path) == []


def test_write_json(tmp_path):
    files.write_json(tmp_path / "a.json", {"lr": 0.1, "cache": None})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"lr": 0.1, "cache": None}
    assert text.endswith("}\n")


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    files.write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", {"value": object()})
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
