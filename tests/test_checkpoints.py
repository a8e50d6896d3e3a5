import errno
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from stylegan2_tf import checkpoints
from stylegan2_tf.checkpoints import Checkpoints, read_state
from stylegan2_tf.errors import DataError, NumericalError, OutputError

IMAGES = {"images": "0123abcd"}


def make_state(seed=None):
    """Variables as a training has them; zeros without a seed."""
    random = np.random.default_rng(seed)
    kernel = random.standard_normal((3, 5)).astype("float32") if seed else np.zeros((3, 5), "f4")
    return {"generator": [tf.Variable(kernel, name="kernel"), tf.Variable([float(seed or 0)])],
            "optimizer": [tf.Variable(seed or 0, dtype=tf.int64, name="iterations")]}


def values(state):
    return [variable.numpy() for variables in state.values() for variable in variables]


def assert_same(state, expected):
    for value, wanted in zip(values(state), values(expected), strict=True):
        np.testing.assert_array_equal(value, wanted)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-2])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def make(folder):
    """A function that makes `Checkpoints` in `folder` for a state."""
    return lambda state, keep=2, identity=IMAGES: Checkpoints(folder, state, keep=keep,
                                                              identity=identity)


@pytest.fixture
def saved(make, folder):
    """A folder with the states of seed 4 at step 4 and of seed 8 at step 8."""
    for step in (4, 8):
        make(make_state(step)).save(step, nimg=32 * step, seconds=step / 3)
    return folder


# -- save and restore


def test_restore_is_exact(saved, make, capsys):
    state = make_state()
    meta = make(state).restore()
    assert_same(state, make_state(8))
    assert (meta["step"], meta["nimg"], meta["seconds"]) == (8, 256, 8 / 3)
    captured = capsys.readouterr()
    assert captured.out == f"resumed at step 8 from {saved / 'step-00000008'}\n"
    assert captured.err == ""


def test_without_checkpoints_nothing_is_restored(folder, make, capsys):
    state = make_state(3)
    assert make(state).restore() is None
    assert_same(state, make_state(3))
    assert capsys.readouterr().out == ""


def test_only_the_newest_are_kept(folder, make):
    store = make(make_state(1), keep=3)
    for step in (8, 16, 100, 1000, 20000):
        store.save(step)
    assert names(folder) == ["step-00000100", "step-00001000", "step-00020000"]


def test_a_saved_step_is_never_written_again(saved, make, capsys):
    make(make_state(99)).save(8)
    assert capsys.readouterr().err == ""
    state = make_state()
    make(state).restore()
    assert_same(state, make_state(8))


def test_a_leftover_of_a_killed_save_does_not_count(saved, make):
    shutil.copytree(saved / "step-00000008", saved / ".tmp-step-00000012")
    assert make(make_state()).restore()["step"] == 8
    make(make_state(12)).save(12)  # and does not stand in the way
    assert names(saved) == ["step-00000008", "step-00000012"]


def test_a_save_that_is_interrupted_leaves_nothing(saved, make, monkeypatch):
    def interrupt(path, content):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.files, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make(make_state(12)).save(12)
    assert names(saved) == ["step-00000004", "step-00000008"]


# -- damage

DAMAGES = {
    "a flipped bit in the data": lambda path: flip_bit(path / "state.data-00000-of-00001"),
    "a flipped bit in the index": lambda path: flip_bit(path / "state.index"),
    "truncated data": lambda path: truncate(path / "state.data-00000-of-00001"),
    "missing data": lambda path: (path / "state.data-00000-of-00001").unlink(),
    "missing meta.json": lambda path: (path / "meta.json").unlink(),
    "truncated meta.json": lambda path: truncate(path / "meta.json"),
    **{f"meta.json is {text!r}": lambda path, text=text: (path / "meta.json").write_bytes(text)
       for text in (b"", b"\xff\xfe", b"[]", b"7", b"null", b"{}", b'{"files": []}',
                    b'{"files": {"state.index": 7}}')},
    "the meta.json of another step": lambda path: shutil.copy(
        path.with_name("step-00000004") / "meta.json", path),
    "an empty folder": lambda path: (shutil.rmtree(path), path.mkdir()),
    "a file in its place": lambda path: (shutil.rmtree(path), path.touch())}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_moved_aside(saved, make, capsys, damage):
    damage(saved / "step-00000008")
    state = make_state()
    assert make(state).restore()["step"] == 4
    assert_same(state, make_state(4))
    assert names(saved) == ["step-00000004", "step-00000008.bad"]
    captured = capsys.readouterr()
    assert captured.err.startswith("warning: step-00000008 cannot be used (")
    assert "moved to step-00000008.bad, trying the one before" in captured.err
    assert "resumed at step 4 from" in captured.out


@pytest.mark.parametrize("name", ["state.data-00000-of-00001", "state.index", "meta.json"])
def test_any_flipped_bit_is_found(make, folder, name):
    make(make_state(4)).save(4, nimg=128, seconds=1 / 3)
    path = folder / "step-00000004" / name
    content = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, 8 * (len(content) - 1), 40):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises(DataError):
            make(make_state()).restore()
        assert (folder / "step-00000004.bad").exists()
        (folder / "step-00000004.bad").rename(folder / "step-00000004")
    path.write_bytes(content)
    assert make(make_state()).restore()["step"] == 4


def test_training_goes_on_after_damage(saved, make, capsys):
    """The step that was damaged is reached and saved again, and may be damaged again."""
    for aside in ("step-00000008.bad", "step-00000008.bad1"):
        flip_bit(saved / "step-00000008" / "state.data-00000-of-00001")
        make(make_state()).restore()
        assert aside in capsys.readouterr().err
        make(make_state(8)).save(8)
    state = make_state()
    make(state).restore()
    assert_same(state, make_state(8))
    assert names(saved) == ["step-00000004", "step-00000008", "step-00000008.bad",
                            "step-00000008.bad1"]


@pytest.mark.parametrize("damage", ["a flipped bit in the data", "missing meta.json"])
def test_never_a_silent_fresh_start(saved, make, damage):
    for step in (4, 8):
        DAMAGES[damage](saved / f"step-{step:08d}")
    for _ in range(2):  # the second start finds nothing but what the first moved aside
        with pytest.raises(DataError, match="only damaged ones .step-00000004.bad, "
                                            "step-00000008.bad.; put back a good copy"):
            make(make_state()).restore()


def test_a_state_of_another_shape_is_not_restored_in_part(saved, make):
    state = make_state()
    state["generator"].append(tf.Variable(0.0))
    with pytest.raises(DataError):
        make(state).restore()


def test_other_images_are_refused_and_nothing_is_moved(saved, make):
    with pytest.raises(DataError, match="made with images 0123abcd, found ffff; give the same"):
        make(make_state(), identity={"images": "ffff"}).restore()
    assert names(saved) == ["step-00000004", "step-00000008"]


# -- one checkpoint


def test_verify_restores_and_moves_nothing(saved, make, capsys):
    state = make_state()
    assert make(state, identity={"images": "ffff"}).verify(saved / "step-00000004")["nimg"] == 128
    assert_same(state, make_state(4))
    flip_bit(saved / "step-00000008" / "state.index")
    with pytest.raises(DataError, match="^step-00000008 cannot be used .state.index has another"):
        make(state).verify(saved / "step-00000008")
    assert names(saved) == ["step-00000004", "step-00000008"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("change", [lambda values: values.append(tf.Variable(0.0)),
                                    lambda values: values.pop()])
def test_verify_refuses_a_part(saved, make, change):
    state = make_state()
    change(state["generator"])
    with pytest.raises(DataError, match="step-00000008 cannot be used"):
        make(state).verify(saved / "step-00000008")


def test_a_checkpoint_that_is_not_finite_is_not_used(saved, make, capsys):
    state = make_state(12)
    state["generator"][0][2, 3].assign(np.nan)
    make(state)._write(12, {"nimg": 384})
    state = make_state()
    assert make(state).restore()["step"] == 8
    assert "kernel:0 is not finite); moved to step-00000012.bad" in capsys.readouterr().err


def test_a_state_is_read_without_variables(saved):
    state = make_state(8)
    found = read_state(saved / "step-00000008")
    assert set(found) == {"generator/0", "generator/1", "optimizer/0"}
    for key, value in zip(sorted(found), values(state), strict=True):
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)


# -- what is never written


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_not_finite_is_never_written(saved, make, number):
    state = make_state(12)
    state["generator"][0][2, 3].assign(number)
    with pytest.raises(NumericalError, match="kernel.* is not finite"):
        make(state).save(12)
    assert names(saved) == ["step-00000004", "step-00000008"]


# -- a full disk


@pytest.fixture
def disk(monkeypatch):
    """The free space that the operating system reports."""
    usage = {"free": 10**9}
    monkeypatch.setattr(shutil, "disk_usage",
                        lambda path: shutil._ntuple_diskusage(10**9, 0, usage["free"]))
    return usage


def test_the_third_failure_in_a_row_stops_the_run(saved, make, disk, capsys):
    store = make(make_state(12))
    needed = 4 * (15 + 1 + 1)
    disk["free"] = needed  # a checkpoint would fit, its copy would not
    for step in (12, 16):
        store.save(step)
        warning = capsys.readouterr().err
        assert warning.startswith(f"warning: checkpoint at step {step} not saved (")
        assert f"needed {needed} bytes, free {needed}; training goes on" in warning
    with pytest.raises(OutputError, match=f"step 20 not saved .*needed {needed} bytes, free "
                                          f"{needed}; the run stops after 3 failures in a row"):
        store.save(20)
    assert names(saved) == ["step-00000004", "step-00000008"]


def test_a_save_that_succeeds_forgives_the_failures_before(saved, make, disk, capsys):
    store = make(make_state(12))
    for step, free in [(12, 0), (16, 0), (20, 10**9), (24, 0), (28, 0)]:
        disk["free"] = free
        store.save(step)
    assert capsys.readouterr().err.count("warning: ") == 4
    assert names(saved) == ["step-00000008", "step-00000020"]


@pytest.mark.parametrize("error", [
    OSError(errno.ENOSPC, "No space left on device"),
    tf.errors.ResourceExhaustedError(None, None, "No space left on device")])
def test_a_write_that_fails_leaves_no_trace(saved, make, monkeypatch, capsys, error):
    def write(prefix):
        with open(f"{prefix}.data-00000-of-00001_temp", "wb") as stream:
            stream.write(b"half")
        raise error

    store = make(make_state(12))
    monkeypatch.setattr(store._checkpoint, "write", write)
    store.save(12)
    assert "No space left on device" in capsys.readouterr().err
    assert names(saved) == ["step-00000004", "step-00000008"]
    state = make_state()
    assert make(state).restore()["step"] == 8


def test_meta_json_tells_what_a_checkpoint_is(saved):
    meta = json.loads((saved / "step-00000008" / "meta.json").read_text())
    assert meta["identity"] == IMAGES
    assert meta["versions"]["tensorflow"] == tf.__version__
    assert set(meta["files"]) == {path.name for path in (saved / "step-00000008").iterdir()} - {
        "meta.json"}
