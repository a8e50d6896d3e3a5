"""What `verify` says of a run that is whole, and of one that was damaged on purpose."""

import json
import shutil
import zlib

import keras
import numpy as np
import pytest
from tiny_run import SMALLEST, eagerly, make_images, train

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.checkpoint_files import read_meta
from stylegan2_tf.errors import DataError
from stylegan2_tf.files import digest, write_json
from stylegan2_tf.run_folder import RunFolder, read_config
from stylegan2_tf.verification import folder as of_folder
from stylegan2_tf.verification import state, verify

NEWEST = "checkpoints/step-00000006"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of six steps with checkpoints at 4 and 6, and a best model."""
    from tiny import TINY

    from stylegan2_tf.config import TrainConfig

    home = tmp_path_factory.mktemp("made")
    make_images(home)
    out = tmp_path_factory.mktemp("run")
    with eagerly():
        assert train(TrainConfig(**{**TINY, **SMALLEST, "data_dir": str(home),
                                    "output_dir": str(out)})) == 0
    shutil.copytree(out / "Model", out / "Model" / "best")
    return out


@pytest.fixture
def run(made, tmp_path):
    """A copy of it to damage."""
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture(scope="module")
def store(made):
    """The state that checkpoints are restored into: building it takes most of the time."""
    return state._store(made / "checkpoints", read_config(made), [made / NEWEST])


@pytest.fixture
def checkpoints(run, store, monkeypatch):
    """A function that checks the checkpoints of `run`: what -> `Finding`, and what is returned."""
    monkeypatch.setattr(state, "_store", lambda *arguments: store)
    return lambda config=True: told(state.check_checkpoints(
        run / "checkpoints", read_config(run) if config else None))


def told(check):
    """(What -> `Finding`, the value that the check returns)."""
    found = {}
    while True:
        try:
            finding = next(check)
        except StopIteration as end:
            return found, end.value
        found[finding.what] = finding


def levels(found):
    return {what: finding.level for what, finding in found.items()}


def flip(path, place=None):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 4
    path.write_bytes(content)


def cut(path, by=2):
    path.write_bytes(path.read_bytes()[:-by])


def blank(path):
    """A PNG whose pixels cannot be unpacked, with the checksum that belongs to them."""
    content = path.read_bytes()
    start = content.index(b"IDAT")
    end = start + 4 + int.from_bytes(content[start - 4:start], "big")
    pixels = b"IDAT" + bytes(end - start - 4)
    path.write_bytes(content[:start] + pixels + zlib.crc32(pixels).to_bytes(4, "big")
                     + content[end + 4:])


def change(path, **values):
    content = {**json.loads(path.read_text()), **values}
    if content.pop("sha256", None):  # of a manifest
        content["sha256"] = digest(content)
    write_json(path, content)


def everything(folder):
    return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
            for path in folder.rglob("*")}


# -- the whole


def test_a_whole_run_is_found_whole_and_left_alone(run):
    before = everything(run)
    found, _ = told(verify(run))
    assert everything(run) == before
    cache, = (run / "cache").glob("packed-*")
    assert levels(found) == dict.fromkeys((
        "config.json", "log.csv", "JSON", "pictures", f"cache/{cache.name}",
        NEWEST, "checkpoints/step-00000004", "resume", "Model/manifest.json",
        "Model/generator.keras", "Model/discriminator.keras", "Model/best/manifest.json",
        "Model/best/generator.keras", "Model/best/discriminator.keras"), "ok")
    assert found["resume"].detail == "the same command would resume at step 6"
    assert found["log.csv"].detail == "3 rows up to step 6"
    assert found["pictures"].detail == "9 of 9 read to the end"
    assert found[NEWEST].detail.startswith("24 images; ")


def test_a_log_that_lacks_its_end_is_older_than_the_checkpoints(run, store, monkeypatch):
    monkeypatch.setattr(state, "_store", lambda *arguments: store)
    lines = (run / "log.csv").read_text().splitlines(keepends=True)
    (run / "log.csv").write_text("".join(lines[:-1]))
    found, _ = told(verify(run))
    assert found["log.csv"].detail == ("ends at step 4, before the checkpoint of step 6: rows were "
                                       "lost")
    assert {what for what, level in levels(found).items() if level == "bad"} == {
        "log.csv", "Model/manifest.json", "Model/best/manifest.json"}


@pytest.mark.parametrize("name, text", [
    ("none", "nothing there"), ("file", "a file"), (".", "a folder without config.json")])
def test_a_folder_without_a_run_is_refused(tmp_path, name, text):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"expected the folder of a run, found {text}; give OUT"):
        next(verify(tmp_path / name))


# -- without TensorFlow


def test_a_run_that_goes_on_is_named(run):
    assert list(of_folder.check_activity(run)) == []
    with RunFolder(run):
        found, _ = told(of_folder.check_activity(run))
    assert found["activity"].level == "note"
    assert found["activity"].detail.startswith("in use by pid ")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"batch": 4, "no": 1}', '{"batch": -1}'])
def test_settings_that_no_run_has(run, text):
    (run / "config.json").write_text(text)
    found, config = told(of_folder.check_config(run))
    assert config is None and levels(found) == {"config.json": "bad"}


@pytest.mark.parametrize("level, detail, last, text", [
    ("ok", "2 rows up to step 4", 4, "step,nimg,epoch\n2,8,1\n4,16,2\n"),
    ("ok", "0 rows up to step 0", 0, "step,nimg,epoch\n"),
    ("note", "1 rows up to step 2; the last line was cut", 2, "step,nimg,epoch\n2,8,1\n4,1"),
    ("bad", "1 of 2 rows are damaged", 4, "step,nimg,epoch\n2,8\n4,16,2\n"),
    ("bad", "1 of 3 rows are damaged", 6, "step,nimg,epoch\n2,8,1\n4,x,2\n6,24,3\n"),
    ("bad", "step 2 follows step 4", 2, "step,nimg,epoch\n4,16,2\n2,8,1\n"),
    ("bad", "no log of a run", 0, "what,ever\n1,2\n"), ("bad", "no log of a run", 0, "")])
def test_rows_of_the_log(tmp_path, level, detail, last, text):
    (tmp_path / "log.csv").write_text(text)
    found, step = told(of_folder.check_log(tmp_path / "log.csv"))
    assert (found["log.csv"].level, step) == (level, last)
    assert found["log.csv"].detail.startswith(detail)


def test_a_run_killed_before_its_first_row(tmp_path):
    found, step = told(of_folder.check_log(tmp_path / "log.csv"))
    assert (found["log.csv"].level, step) == ("note", 0)


@pytest.mark.parametrize("name, damage", [
    ("samples/reals.png", flip), ("samples/reals.png", cut), ("training.gif", cut),
    ("samples/reals.png", lambda path: flip(path, -14)),  # the checksum of the pixels
    ("samples/reals.png", blank), ("training.gif", lambda path: cut(path, 1)),
    ("samples/epoch-0001.png", lambda path: path.write_bytes(b"")),
    ("environment.json", cut), ("images.json", lambda path: path.write_bytes(b"\xff"))])
def test_a_damaged_file_is_named(run, name, damage):
    damage(run / name)
    found, _ = told(of_folder.check_files(run))
    assert levels(found) == {name: "bad", "JSON": "ok", "pictures": "ok"}


def test_what_a_kill_left_is_noted_and_not_read(run):
    (run / "checkpoints" / ".tmp-step-00000008").mkdir()
    for name in ("samples/.tmp-12-epoch.png", "checkpoints/.tmp-step-00000008/x.json"):
        (run / name).touch()
    found, _ = told(of_folder.check_files(run))
    assert levels(found) == {"JSON": "ok", "pictures": "ok", "samples/.tmp-12-epoch.png": "note",
                             "checkpoints/.tmp-step-00000008": "note"}


def test_decoded_images(run, tiny_config):
    home, = (run / "cache").glob("packed-*")
    flip(home / "images.npy")
    assert levels(told(of_folder.check_caches(run, None))[0]) == {f"cache/{home.name}": "bad"}
    (home / "images.json").unlink()
    assert levels(told(of_folder.check_caches(run, None))[0]) == {f"cache/{home.name}": "note"}
    shutil.rmtree(home)
    assert told(of_folder.check_caches(run, tiny_config()))[0] == {}
    found, _ = told(of_folder.check_caches(run, tiny_config(cache=str(run.parent / "cache"))))
    assert levels(found) == {"cache": "note"}


# -- checkpoints


@pytest.mark.parametrize("damage", [
    lambda path: flip(path / "state.data-00000-of-00001"), lambda path: cut(path / "meta.json"),
    lambda path: (path / "state.index").unlink()])
def test_a_damaged_checkpoint_leaves_the_one_before(run, checkpoints, damage):
    damage(run / NEWEST)
    found, newest = checkpoints()
    assert levels(found) == {NEWEST: "bad", "checkpoints/step-00000004": "ok", "resume": "ok"}
    assert found["resume"].detail == "the same command would resume at step 4"
    assert newest["step"] == 4
    assert (run / NEWEST).exists()


def test_without_settings_only_hashes_can_be_checked(run, checkpoints):
    flip(run / NEWEST / "state.data-00000-of-00001")
    found, newest = checkpoints(config=False)
    assert levels(found) == {NEWEST: "bad", "checkpoints/step-00000004": "ok"}
    assert "not restored: that needs config" in found["checkpoints/step-00000004"].detail
    assert newest["step"] == 4


def test_a_checkpoint_of_another_network_is_not_restored(run, made):
    change(run / "config.json", g_init_filters=16)
    found, newest = told(state.check_checkpoints(run / "checkpoints", read_config(run)))
    assert found[NEWEST].level == found["resume"].level == "bad"
    assert "the same command refuses to start" in found["resume"].detail
    assert newest is None


def test_numbers_that_are_not_finite_are_found(run, store, checkpoints):
    meta = store.verify(run / NEWEST)
    weight = store._state["generator_ema"][3]
    weight.assign(np.full(weight.shape, np.nan))
    shutil.rmtree(run / NEWEST)
    store.folder, before = run / "checkpoints", store.folder
    store._write(6, {name: meta[name] for name in ("nimg", "identity")})
    store.folder = before
    found, newest = checkpoints()
    assert "generator_ema/" in found[NEWEST].detail and "is not finite" in found[NEWEST].detail
    assert newest["step"] == 4


def test_nothing_but_what_was_set_aside(run, checkpoints):
    shutil.rmtree(run / "checkpoints/step-00000004")
    (run / NEWEST).rename(run / f"{NEWEST}.bad")
    found, newest = checkpoints()
    assert levels(found) == {f"{NEWEST}.bad": "note", "resume": "bad"} and newest is None
    shutil.rmtree(run / "checkpoints")
    found, newest = checkpoints()
    assert levels(found) == {"resume": "note"} and newest is None


def test_a_run_of_another_version_is_whole_but_does_not_resume(checkpoints, monkeypatch):
    from stylegan2_tf import keeper

    monkeypatch.setattr(keeper, "RECIPE", 999)
    found, _ = checkpoints()
    assert found["resume"].level == "note"
    assert "the same command refuses: the run was made with recipe" in found["resume"].detail


def test_a_checkpoint_that_its_run_removes_meanwhile_is_no_damage(run, checkpoints, store,
                                                                  monkeypatch):
    def remove(path):
        shutil.rmtree(run / "checkpoints/step-00000004", ignore_errors=True)
        return read_meta(path)

    monkeypatch.setattr(store, "verify", remove)
    found, _ = checkpoints()
    assert levels(found) == {NEWEST: "ok", "checkpoints/step-00000004": "note", "resume": "ok"}


# -- models


def models(run, folder="Model", newest=None, logged=6):
    path = run / folder
    found, _ = told(state.check_models(path, path.relative_to(run), read_config(run), newest,
                                       logged))
    return found


def manifest_alone(run, monkeypatch, **more):
    """The finding on the manifest; the models, which take time to load, are not looked at."""
    monkeypatch.setattr(state, "_load", lambda *arguments: "")
    return models(run, **more)["Model/manifest.json"]


@pytest.mark.parametrize("folder", ["Model", "Model/best"])
def test_damaged_models(run, folder):
    flip(run / folder / "generator.keras")
    (run / folder / "discriminator.keras").unlink()
    found = models(run, folder)
    assert levels(found) == {f"{folder}/manifest.json": "ok", f"{folder}/generator.keras": "bad",
                             f"{folder}/discriminator.keras": "bad"}
    assert "expected the SHA-256" in found[f"{folder}/generator.keras"].detail


def test_a_model_that_paints_nothing_is_found(run):
    networks = [keras.saving.load_model(run / "Model" / f"{name}.keras")
                for name in ("generator", "discriminator")]
    networks[0].w_avg.assign(np.full(networks[0].w_avg.shape, np.inf))
    manifest = json.loads((run / "Model/manifest.json").read_text())
    del manifest["files"], manifest["sha256"]
    save_models(run / "Model", *networks, **manifest)
    found = models(run)
    assert levels(found) == {"Model/manifest.json": "ok", "Model/generator.keras": "bad",
                             "Model/discriminator.keras": "ok"}
    assert found["Model/generator.keras"].detail == "generator_ema/w_avg is not finite"


@pytest.mark.parametrize("text, damage", [
    ("not there", lambda path: path.unlink()),
    ("names no hash of discriminator.keras", lambda path: change(
        path, files={"generator.keras": {"sha256": ["ab"]}})),
    ("expected the manifest of a run", cut),
    ("step 7 is later than log.csv, which ends at 6", lambda path: change(path, step=7)),
    ("of another run: images differ", lambda path: change(path, images="ffff")),
    ("of another run: --lr differ", lambda path: change(
        path, config={**json.loads(path.read_text())["config"], "lr": 1.0, "keep": 9}))])
def test_a_manifest_that_does_not_fit(run, monkeypatch, text, damage):
    newest = read_meta(run / NEWEST)
    assert manifest_alone(run, monkeypatch, newest=newest).level == "ok"
    damage(run / "Model/manifest.json")
    found = manifest_alone(run, monkeypatch, newest=newest)
    assert found.level == "bad" and text in found.detail


def test_no_model_yet(run):
    shutil.rmtree(run / "Model")
    assert levels(models(run)) == {"Model": "note"}
    assert models(run, "Model/best") == {}
