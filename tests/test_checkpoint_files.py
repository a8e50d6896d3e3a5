"""Folders of checkpoints without TensorFlow."""

import json

import pytest

from stylegan2_tf.checkpoint_files import (
    check_identity,
    committed,
    folder_name,
    read_meta,
    set_aside,
    write_meta,
)
from stylegan2_tf.errors import DataError


@pytest.fixture
def made(tmp_path):
    """A checkpoint at step 8 with two files."""
    path = tmp_path / folder_name(8)
    path.mkdir()
    for name in ("state.index", "state.data-00000-of-00001"):
        (path / name).write_bytes(name.encode())
    write_meta(path, {"step": 8, "nimg": 32})
    return path


def test_what_was_written_is_read(made):
    meta = read_meta(made)
    assert (meta["step"], meta["nimg"], set(meta["files"])) == (
        8, 32, {"state.index", "state.data-00000-of-00001"})
    assert "sha256" in json.loads((made / "meta.json").read_text())


@pytest.mark.parametrize("damage, text", [
    (lambda path: (path / "state.index").write_bytes(b"state.indey"),
     "state.index has another sha256"),
    (lambda path: (path / "state.index").write_bytes(b""), "state.index has another size"),
    (lambda path: (path / "state.index").unlink(), "No such file"),
    (lambda path: (path / "meta.json").write_text("[" * 100_000), ""),
    (lambda path: (path / "meta.json").write_text(
        (path / "meta.json").read_text().replace("32", "33")), "meta.json has another sha256")])
def test_damage_is_one_line(made, damage, text):
    damage(made)
    with pytest.raises(DataError) as caught:
        read_meta(made)
    assert str(caught.value).startswith("step-00000008 cannot be used (")
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_under_the_name_of_another_step_is_none(made):
    renamed = made.rename(made.with_name(folder_name(12)))
    with pytest.raises(DataError, match="step-00000012 cannot be used .meta.json is that of"):
        read_meta(renamed)


def test_names(tmp_path):
    for name in ("step-00000004", "step-00000128", "step-00000008.bad", "step-00000008.bad1",
                 ".tmp-step-00000256"):
        (tmp_path / name).mkdir()
    assert [path.name for path in committed(tmp_path)] == ["step-00000128", "step-00000004"]
    assert [path.name for path in set_aside(tmp_path)] == ["step-00000008.bad",
                                                           "step-00000008.bad1"]
    assert committed(tmp_path / "none") == set_aside(tmp_path / "none") == []


def test_another_identity_is_refused():
    meta = {"identity": {"images": "0123", "recipe": 4, "older": 1}}
    check_identity(meta, {"images": "0123", "recipe": 4}, "OUT")
    with pytest.raises(DataError, match="^OUT: the run was made with recipe 4, found 5; give"):
        check_identity(meta, {"images": "0123", "recipe": 5}, "OUT")
    with pytest.raises(DataError, match="made with w_dim None, found 8"):
        check_identity(meta, {"w_dim": 8}, "OUT")
