"""`stylegan2-tf generate` from the command line."""

import csv
import dataclasses
import json
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.cli import generate as module
from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import read_image
from stylegan2_tf.files import sha256
from stylegan2_tf.latent import sampling, series, sheets
from stylegan2_tf.latent.directions import Directions
from stylegan2_tf.latent.noise import random_noise
from stylegan2_tf.latent.sampling import draw, load, make_latents, synthesize, to_uint8
from stylegan2_tf.manifest import read_manifest
from stylegan2_tf.volumes.placement import placement

CLASSES = ("AD", "MCI", "NC")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Run folders `plain`, `conditional`, in colour, with three classes, `dcgan`, and `tall`,
    whose training images had 20 x 10 pixels and were padded."""
    home = tmp_path_factory.mktemp("generate")
    for name, classes, channels, arch, about in (
            ("plain", (), 1, "stylegan2", {}), ("conditional", CLASSES, 3, "stylegan2", {}),
            ("dcgan", (), 1, "dcgan", {}),
            ("tall", (), 1, "stylegan2", {"source_shape": [20, 10]})):
        config = TrainConfig(**{**TINY, "channels": channels, "arch": arch})
        _, average, discriminator = make_networks(config, classes)
        average.w_avg.assign(np.linspace(-1, 1, average.mapping.w_dim))
        for conv in average.synthesis.convs if arch != "dcgan" else ():
            conv.noise.strength.assign(20.0)
        save_models(home / name / "Model", average, discriminator, config=config.to_json(),
                    **about)
    return home


@pytest.fixture(scope="module")
def models(home):
    return {name: load(home / name) for name in ("plain", "conditional", "dcgan", "tall")}


@pytest.fixture
def loaded(models, monkeypatch):
    """The same model for every command: loading is tested elsewhere, and takes time."""
    monkeypatch.setattr(sampling, "load", lambda path: models[Path(path).name])


def generate(*arguments):
    return main(["generate", *map(str, arguments)])


def refused(capsys, *arguments, code=2):
    """The one line of a command that is refused."""
    assert generate(*arguments) == code
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and printed.out == ""
    return lines[0]


def table(folder):
    with open(folder / "seeds.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("seed*.png")}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


# -- what is written


def test_nine_images_and_their_list(home, tmp_path, capsys):
    assert generate(home / "plain", tmp_path / "deep" / "out") == 0
    out = tmp_path / "deep" / "out"
    assert capsys.readouterr().out == (
        f"images 9 in {out}, listed in seeds.csv\nnote: padding of the training images is kept, "
        "if they had any: manifest.json tells no size that all training images had\n")
    assert table(out) == [{"file": f"seed0000{seed}.png", "seed": str(seed), "class": "",
                           "truncation_psi": "1.0", "noise": "const", "strength": "",
                           "direction": "", "direction_name": "",
                           "model_sha256": sha256(home / "plain" / "Model" / "generator.keras")}
                          for seed in range(9)]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["seeds.csv", *(row["file"] for row in table(out))])
    assert len(set(files(out).values())) == 9
    assert pixels(out / "seed00000.png").shape == (16, 16)


def test_an_image_is_that_of_its_seed(home, models, loaded, tmp_path):
    generate(home / "conditional", tmp_path, "--seeds", 7, "--truncation-psi", 0.5)
    model = models["conditional"]
    expected = draw(model.generator, make_latents(1, model.z_dim, seed=7), [7 % 3], 0.5)
    found = pixels(tmp_path / "seed00007.png")
    assert found.shape == (16, 16, 3)
    assert np.abs(found - to_uint8(expected)[0].astype(int)).max() <= 1
    assert table(tmp_path)[0]["truncation_psi"] == "0.5"


@pytest.mark.parametrize("name", ["plain", "conditional"])
def test_the_bytes_of_a_seed_do_not_depend_on_the_seeds_beside_it(
        home, loaded, tmp_path, monkeypatch, name):
    sizes = []

    def counted(generator, w, *arguments, **options):
        sizes.append((len(w), options["batch"]))
        return synthesize(generator, w, *arguments, **options)

    monkeypatch.setattr(series, "synthesize", counted)
    written = []
    for number, seeds in enumerate(("0-19", "5", "19,5,3", "4-6")):
        generate(home / name, tmp_path / str(number), "--seeds", seeds)
        written.append(files(tmp_path / str(number)))
    for some in written[1:]:
        assert some == {file: written[0][file] for file in some}
    assert [len(some) for some in written] == [20, 1, 3, 3]
    # At 16 pixels, other sizes than this one may round alike; at 64 pixels they do not.
    assert set(sizes) == {(series.AT_ONCE, series.AT_ONCE)} and len(sizes) == 5


def test_a_grid_of_rows_and_columns(home, loaded, tmp_path, capsys):
    assert generate(home / "plain", tmp_path, "--grid", "2x3", "--seeds", "8,0-7") == 0
    assert f"grid   {tmp_path / 'grid.png'}\n" in capsys.readouterr().out
    grid = pixels(tmp_path / "grid.png")
    assert grid.shape == (2 * 16, 3 * 16)
    for place, row in enumerate(table(tmp_path)[:6]):
        top, left = 16 * (place // 3), 16 * (place % 3)
        np.testing.assert_array_equal(grid[top:top + 16, left:left + 16],
                                      pixels(tmp_path / row["file"]))


@pytest.mark.parametrize("grid, count", [("1x2", 9), ("9x2", 18)])
def test_a_grid_decides_how_many_seeds_there_are(home, loaded, tmp_path, grid, count):
    generate(home / "conditional", tmp_path, "--grid", grid)
    rows, columns = map(int, grid.split("x"))
    assert pixels(tmp_path / "grid.png").shape == (16 * rows, 16 * columns, 3)
    assert [row["seed"] for row in table(tmp_path)] == [str(seed) for seed in range(count)]
    assert set(files(tmp_path)) == {row["file"] for row in table(tmp_path)}


def test_one_class_or_every_one_in_turn(home, models, loaded, tmp_path):
    for name in ("all", *CLASSES):
        flags = [] if name == "all" else ["--class", name]
        generate(home / "conditional", tmp_path / name, "--seeds", "4-9", *flags)
        assert {row["class"] for row in table(tmp_path / name)} == (
            set(CLASSES) if name == "all" else {name})
    of = {name: files(tmp_path / name) for name in ("all", *CLASSES)}
    for row in table(tmp_path / "all"):
        assert row["class"] == CLASSES[int(row["seed"]) % 3]
        assert of["all"][row["file"]] == of[row["class"]][row["file"]]
    assert len({some["seed00004.png"] for some in of.values()}) == 3
    model = models["conditional"]
    expected = draw(model.generator, make_latents(1, model.z_dim, seed=4), [2])
    found = pixels(tmp_path / "NC" / "seed00004.png").astype(int)
    assert np.abs(found - to_uint8(expected)[0]).max() <= 1


def test_seeds_that_come_twice_or_are_large(home, loaded, tmp_path, capsys):
    generate(home / "conditional", tmp_path, "--seeds", "3,1-4,123456,9999999999,3")
    rows = table(tmp_path)
    assert [row["seed"] for row in rows] == ["3", "1", "2", "4", "123456", "9999999999"]
    assert [row["file"] for row in rows][-2:] == ["seed123456.png", "seed9999999999.png"]
    assert set(files(tmp_path)) == {row["file"] for row in rows}
    assert capsys.readouterr().out.startswith("images 6 in ")


def test_no_variety_gives_the_same_image(home, loaded, tmp_path):
    for name in ("plain", "conditional"):
        generate(home / name, tmp_path / name, "--truncation-psi", 0)
        assert len(set(files(tmp_path / name).values())) == 1
        assert len(files(tmp_path / name)) == 9


def test_class_names_that_no_encoding_knows(home, models, loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(models["conditional"], "classes", ["a\udcff", "b\n", "c,d"])
    assert generate(home / "conditional", tmp_path, "--seeds", "0-2") == 0
    assert [row["class"] for row in table(tmp_path)] == ["a\\udcff", "b\\n", "c,d"]


# -- noise, formats and shapes


def test_noise_of_each_seed(home, models, loaded, tmp_path):
    written = {}
    for noise in ("const", "random", "none"):
        generate(home / "plain", tmp_path / noise, "--noise", noise, "--seeds", "0-19")
        written[noise] = files(tmp_path / noise)
        assert {row["noise"] for row in table(tmp_path / noise)} == {noise}
    assert len({some["seed00007.png"] for some in written.values()}) == 3
    generate(home / "plain", tmp_path / "again", "--noise", "random", "--seeds", "19,7")
    again = files(tmp_path / "again")
    assert again == {file: written["random"][file] for file in again} and len(again) == 2
    model = models["plain"]
    w = model.map(make_latents(1, model.z_dim, seed=7))
    for noise, maps in (("none", 0.0), ("random", random_noise(
            [7], model.generator.synthesis.noise_shapes(1)))):
        found = pixels(tmp_path / noise / "seed00007.png").astype(int)
        assert np.abs(found - to_uint8(model.synthesize(w, maps))[0, ..., 0]).max() <= 1


def test_formats_hold_the_same_image(home, models, loaded, tmp_path):
    for kind in ("png", "png16", "npy"):
        generate(home / "plain", tmp_path / kind, "--format", kind, "--seeds", "5-6",
                 "--grid", "1x2")
        assert pixels(tmp_path / kind / "grid.png").dtype == np.uint8
    exact = np.load(tmp_path / "npy" / "seed00005.npy")
    assert exact.shape == (16, 16, 1) and exact.dtype == np.float32
    assert table(tmp_path / "npy")[0]["file"] == "seed00005.npy"
    expected = draw(models["plain"].generator, make_latents(1, 8, seed=5))[0]
    np.testing.assert_allclose(exact, expected, atol=1e-5)
    deep = read_image(tmp_path / "png16" / "seed00005.png", 1)
    assert deep.dtype == np.uint16 and len(np.unique(deep)) > 200
    np.testing.assert_allclose(deep / 32767.5 - 1, exact, atol=1.6e-5)
    np.testing.assert_allclose(pixels(tmp_path / "png" / "seed00005.png") / 127.5 - 1,
                               exact[..., 0], atol=0.004)


@pytest.mark.parametrize("kind", ["png", "npy"])
def test_padding_is_undone_where_the_run_knows_of_it(home, models, loaded, tmp_path, kind, capsys):
    generate(home / "tall", tmp_path, "--format", kind, "--grid", "1x2")
    assert capsys.readouterr().out.splitlines()[-1] == (
        "size   16x8: of 16x16, without the padding that the training images of 20x10 were given")
    file = tmp_path / f"seed00003.{kind}"
    found = np.load(file)[..., 0] if kind == "npy" else pixels(file) / 127.5 - 1
    whole = draw(models["tall"].generator, make_latents(1, 8, seed=3))[0, ..., 0]
    np.testing.assert_allclose(found, whole[:, 4:12], atol=0.005)  # 20 x 10 became 16 x 8
    assert pixels(tmp_path / "grid.png").shape == (16, 16)


@pytest.mark.parametrize("shape, fit, expected, reason", [
    ([20, 10], "pad", [20, 10], None), ([20, 10], "crop", None, None),
    (None, "pad", None, "manifest.json tells no size that all"),
    ([20], "pad", None, "tells the size '[20]'"), ("ab", "pad", None, "tells the size 'ab'"),
    ([0, 10], "pad", None, "tells the size"), ([2.5, 3], "pad", None, "tells the size"),
    ([20, 10], None, None, "no manifest.json beside the model")])
def test_a_manifest_that_tells_no_shape(tmp_path, capsys, shape, fit, expected, reason):
    (tmp_path / "generator.keras").touch()
    (tmp_path / "manifest.json").write_text(json.dumps(
        {"files": {}, "config": {"fit": fit} if fit else {}, "source_shape": shape}))
    found, unknown = module._source_shape(tmp_path)
    assert found == expected
    module._explain_size(found, unknown, [20, 10])
    printed = capsys.readouterr().out
    if reason:
        assert reason in unknown and printed == (
            f"note: padding of the training images is kept, if they had any: {unknown}\n")
    else:
        assert unknown is None and printed == ""


def test_a_model_without_a_manifest(home, models, tmp_path, monkeypatch, capsys):
    shutil.copy(home / "plain" / "Model" / "generator.keras", tmp_path / "plain")
    monkeypatch.setattr(module.shared, "load_generator", lambda *options: models["plain"])
    assert generate(tmp_path / "plain", tmp_path / "out", "--seeds", 1) == 0
    assert "is kept, if they had any: no manifest.json beside" in capsys.readouterr().out


@pytest.mark.parametrize("intensity", [None, {"low": -50.0, "high": 150.0}])
def test_nifti_in_values_of_the_scans(home, models, loaded, tmp_path, capsys, monkeypatch,
                                      intensity):
    nibabel = pytest.importorskip("nibabel")
    whole = read_manifest(home / "tall" / "Model" / "generator.keras")
    monkeypatch.setattr("stylegan2_tf.manifest.read_manifest",
                        lambda path: {**whole, "intensity": intensity} if intensity else whole)
    assert generate(home / "tall", tmp_path, "--format", "nii", "--seeds", 3, "--grid", "1x1") == 0
    assert ("values -50 (black) to 150 (white), as in training\n" if intensity else
            "values 0 (black) to 65535 (white), for the manifest") in capsys.readouterr().out
    assert table(tmp_path)[0]["file"] == "seed00003.nii.gz"
    written = nibabel.load(tmp_path / "seed00003.nii.gz")
    assert written.shape == (8, 16, 1) and written.get_data_dtype() == np.uint16
    exact = draw(models["tall"].generator, make_latents(1, 8, seed=3))[0, ::-1, 4:12, 0].T
    low, high = (-50, 150) if intensity else (0, 65535)
    np.testing.assert_allclose(written.get_fdata()[..., 0], low + (exact.clip(-1, 1) + 1) / 2 * (
        high - low), atol=(high - low) * 2e-5)
    assert pixels(tmp_path / "grid.png").shape == (16, 8)


def test_nifti_over_a_scan(home, models, loaded, tmp_path, capsys):
    """20 x 10 voxels of 2 mm became 16 x 8 pixels of the network's 16 x 16."""
    nibabel = pytest.importorskip("nibabel")
    affine = np.diag([2.0, 2, 3, 1])
    affine[:3, 3] = -9, -12, 40
    scan = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((10, 20, 7), np.uint8), affine), scan)
    out = tmp_path / "out"
    assert generate(home / "plain", out, "--like", f"{scan}:5", "--seeds", "3-4") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "like   axial slice 5 of 7: 20x10 pixels of 2 mm"
    assert printed[1].startswith("values 0 (black) to 65535 (white)") and len(printed) == 3
    written = nibabel.load(out / "seed00003.nii.gz")
    assert written.shape == (10, 20, 1)
    np.testing.assert_allclose(written.affine @ (0, 0, 0, 1), affine @ (0, 0, 5, 1))
    np.testing.assert_allclose(written.affine[:, :3], affine[:, :3])
    whole = draw(models["plain"].generator, make_latents(1, 8, seed=3))[0]
    expected = placement((20, 10), 16, "pad").undo(whole, fill=-1)[::-1, :, 0].T
    np.testing.assert_allclose(written.get_fdata()[..., 0], (expected.clip(-1, 1) + 1) * 32767.5,
                               atol=2)


def test_nifti_of_an_earlier_run_is_replaced(home, loaded, tmp_path, capsys):
    pytest.importorskip("nibabel")
    generate(home / "plain", tmp_path, "--format", "nii", "--seeds", "1-3")
    capsys.readouterr()
    assert generate(home / "plain", tmp_path, "--seeds", "1") == 0
    assert capsys.readouterr().out.startswith("removed 3 images that an earlier generate")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed00001.png", "seeds.csv"]


def test_nifti_that_is_refused(home, loaded, tmp_path, capsys):
    pytest.importorskip("nibabel")
    out = tmp_path / "out"
    assert "--like: expected with --format nii, the one that has an affine, found png16" in (
        refused(capsys, home / "plain", out, "--like", "x.nii", "--format", "png16"))
    assert "--format: expected png or npy, for this model makes colour" in refused(
        capsys, home / "conditional", out, "--format", "nii")
    assert "--like: expected VOLUME[:AXIS][:INDEX]" in refused(
        capsys, home / "plain", out, "--like", tmp_path / "none.nii")
    (tmp_path / "a.nii").write_text("text")
    assert "a.nii: expected a volume that can be read, found: not NIfTI" in refused(
        capsys, home / "plain", out, "--like", tmp_path / "a.nii", code=65)
    assert not out.exists()


# -- directions


@pytest.fixture(scope="module")
def pca(tmp_path_factory):
    """A file of two directions for the models here, whose w has 8 numbers."""
    path = tmp_path_factory.mktemp("directions") / "pca.npz"
    Directions("pca", np.eye(2, 8, dtype=np.float32), np.float32([0.5, 0.25]), np.ones(2),
               ("a", "b")).save(path)
    return path


def test_one_image_for_each_seed_and_strength(home, models, loaded, pca, tmp_path, capsys):
    assert generate(home / "plain", tmp_path, "--direction", f"{pca}:1", "--strength", "-3:3:3",
                    "--seeds", "5-6", "--truncation-psi", 0.5) == 0
    assert f"images 6 in {tmp_path}, listed in seeds.csv" in capsys.readouterr().out
    rows = table(tmp_path)
    assert [(row["file"], row["strength"]) for row in rows[:3]] == [
        ("seed00005_-3.png", "-3.0"), ("seed00005_+0.png", "0.0"), ("seed00005_+3.png", "3.0")]
    assert set(files(tmp_path)) == {row["file"] for row in rows}
    assert {(row["direction"], row["direction_name"]) for row in rows} == {(f"{pca}:1", "b")}
    grid = pixels(tmp_path / "grid.png")
    assert grid.shape == (2 * 16, 3 * 16)
    model = models["plain"]
    for place, row in enumerate(rows):
        w = model.map(make_latents(1, model.z_dim, seed=int(row["seed"])), 0.5)
        w[0, 1] += 0.25 * float(row["strength"])
        found = pixels(tmp_path / row["file"])
        assert np.abs(found - to_uint8(model.synthesize(w))[0, ..., 0].astype(int)).max() <= 1
        top, left = 16 * (place // 3), 16 * (place % 3)
        np.testing.assert_array_equal(grid[top:top + 16, left:left + 16], found)


def test_bytes_do_not_depend_on_the_other_strengths(home, loaded, pca, tmp_path):
    move = ("--direction", f"{pca}:0")
    generate(home / "conditional", tmp_path / "many", *move, "--seeds", "0-17")
    generate(home / "conditional", tmp_path / "one", *move, "--seeds", 17, "--strength", "-1,2")
    many, one = files(tmp_path / "many"), files(tmp_path / "one")
    assert len(many) == 18 * 7 and set(one) == {"seed00017_-1.png", "seed00017_+2.png"}
    assert one == {file: many[file] for file in one}
    assert pixels(tmp_path / "many" / "grid.png").shape == (16 * 16, 7 * 16, 3)  # not all 18
    assert len({row["class"] for row in table(tmp_path / "one")}) == 1


def test_strengths_as_they_are_written(home, loaded, pca, tmp_path, capsys):
    move = ("--direction", f"{pca}:0", "--seeds", 1)
    for number, (strengths, names) in enumerate({
            "-1e1:2:2": ["-10", "+2"], "0.00001,0": ["+1e-05", "+0"], "-.5": ["-0.5"],
            "-0.3:0.3:3": ["-0.3", "+0", "+0.3"]}.items()):
        out = tmp_path / str(number)
        assert generate(home / "plain", out, *move, "--strength", strengths) == 0
        assert [row["file"] for row in table(out)] == [f"seed00001_{name}.png" for name in names]
        assert {row["file"] for row in table(out)} == set(files(out))
        generate(home / "plain", out, *move)  # such names are known as those of generate
        assert len(files(out)) == 7


def test_a_direction_of_another_model(home, loaded, tmp_path, capsys):
    own, other, old = (tmp_path / f"{name}.npz" for name in ("own", "other", "old"))
    found = Directions("pca", np.eye(1, 8, dtype=np.float32), np.ones(1), np.ones(1), ("a",))
    hashes = [sha256(home / name / "Model" / "generator.keras") for name in ("plain", "tall")]
    for path, model in zip((own, other, old), (*hashes, ""), strict=True):
        dataclasses.replace(found, model=model).save(path)
    flags = ("--seeds", 1, "--strength", 1)
    assert generate(home / "plain", tmp_path / "a", "--direction", f"{own}:0", *flags) == 0
    assert "does not tell which generator" not in capsys.readouterr().out
    line = refused(capsys, home / "plain", tmp_path / "b", "--direction", f"{other}:0", *flags)
    assert (f"--direction: expected one of this generator (SHA-256 {hashes[0][:12]}), found one of "
            f"{hashes[1][:12]} in {other}:0") in line
    assert not (tmp_path / "b").exists()
    assert generate(home / "plain", tmp_path / "c", "--direction", f"{old}:0", *flags) == 0
    assert f"note: {old}:0 does not tell which generator it belongs to" in capsys.readouterr().out


def test_a_grid_of_large_images_shows_fewer_seeds(home, loaded, pca, tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "PIXELS", 16 * 16 * 20)
    generate(home / "plain", tmp_path, "--direction", f"{pca}:0", "--seeds", "0-4")
    assert pixels(tmp_path / "grid.png").shape == (2 * 16, 7 * 16)


# -- what is held in memory, and what a kill leaves


def test_images_are_streamed(home, loaded, tmp_path, monkeypatch):
    """A batch is written before the next one is drawn, and only the grid's images are kept."""
    events, alive = [], []

    def one(generator, w, *arguments, **options):
        images = np.zeros((series.AT_ONCE, 16, 16, 1), np.float32)
        alive[:] = [batch for batch in alive if batch() is not None] + [weakref.ref(images)]
        events.append(len(alive))
        return images

    def kept(images, path, **options):
        events.append(path.name)

    monkeypatch.setattr(series, "synthesize", one)
    monkeypatch.setattr("stylegan2_tf.artifacts.save_grid", kept)
    assert generate(home / "plain", tmp_path, "--seeds", "0-99", "--grid", "9x9") == 0
    batches = [events[start:start + 17] for start in range(0, len(events), 17)]
    for number, (most, *names) in enumerate(batches):
        assert most <= 2 and names == [
            f"seed{seed:05d}.png" for seed in range(100)[16 * number:16 * number + 16]]
    assert len(batches) == 7


def test_a_kill_leaves_no_list_of_other_images(home, loaded, tmp_path, monkeypatch, capsys):
    generate(home / "conditional", tmp_path, "--class", "AD", "--grid", "3x3")
    before = files(tmp_path)
    from stylegan2_tf.artifacts import save_grid

    def killed(images, path, **options):
        if path.name == "seed00005.png":
            (path.parent / ".tmp-1-seed00005.png").touch()  # what SIGKILL leaves
            raise KeyboardInterrupt
        save_grid(images, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr("stylegan2_tf.artifacts.save_grid", killed)
        assert generate(home / "conditional", tmp_path, "--class", "NC") == 130
    after = files(tmp_path)
    assert set(after) == {f"seed0000{seed}.png" for seed in range(5)}
    assert not {*after.values()} & {*before.values()}
    assert {path.name for path in tmp_path.iterdir()} == {
        *after, ".tmp-1-seed00005.png", ".unfinished-seeds.csv"}  # no seeds.csv, no grid
    capsys.readouterr()
    assert generate(home / "conditional", tmp_path, "--class", "NC", "--seeds", "3-4") == 0
    assert f"removed 5 images that an earlier generate had listed in {tmp_path}" in (
        capsys.readouterr().out)
    assert {row["class"] for row in table(tmp_path)} == {"NC"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "seed00003.png", "seed00004.png", "seeds.csv"}


def test_a_second_run_leaves_nothing_of_the_first_and_all_else(home, loaded, tmp_path, capsys):
    generate(home / "plain", tmp_path, "--grid", "3x3", "--format", "npy")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "photo.png").write_text("mine")
    capsys.readouterr()
    assert generate(home / "plain", tmp_path, "--seeds", "1-2") == 0
    assert capsys.readouterr().out.startswith(
        f"removed 9 images that an earlier generate had listed in {tmp_path}\nimages 2 in ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "notes.txt", "photo.png", "seed00001.png", "seed00002.png", "seeds.csv"]


def test_images_that_are_not_listed_are_not_replaced(home, loaded, tmp_path, capsys):
    generate(home / "plain", tmp_path / "out", "--seeds", "1-2")
    (tmp_path / "out" / "seed00007.png").write_text("mine")
    before = files(tmp_path / "out")
    capsys.readouterr()
    line = refused(capsys, home / "plain", tmp_path / "out", code=74)
    assert "expected no images but those of its seeds.csv, found seed00007.png; give a new" in line
    assert files(tmp_path / "out") == before


def test_a_full_disk_is_one_line(home, loaded, tmp_path, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device", "seed00000.png")

    monkeypatch.setattr("stylegan2_tf.artifacts.save_grid", full)
    assert "No space left on device" in refused(capsys, home / "plain", tmp_path, code=74)
    assert [path.name for path in tmp_path.iterdir()] == [".unfinished-seeds.csv"]


# -- refusals


@pytest.mark.parametrize("flags, message", [
    (["--seeds", "a-b"], "--seeds: expected numbers and ranges such as 0-8,13, of 10 digits"),
    (["--seeds", ""], "--seeds: expected numbers"),
    (["--seeds", "0-9999999"], "--seeds: expected 1,000,000 at most"),
    (["--grid", "3"], "--grid: expected rows x columns such as 3x3, 99x99 at most, found '3'"),
    (["--grid", "0x3"], "found '0x3'"), (["--grid", "100x1"], "found '100x1'"),
    (["--grid", "3x3 "], "found '3x3 '"), (["--grid", ""], "found ''"),
    (["--grid", "3x3", "--seeds", "0-7"], "--grid: expected no more places than seeds (8), "),
    (["--grid", "1x3", "--seeds", "1,1,1,2"], "no more places than seeds (2), found 1x3"),
    (["--truncation-psi", "nan"], "expected a finite number from -10 to 10, found nan"),
    (["--truncation-psi", "inf"], "expected a finite number from -10 to 10, found inf"),
    (["--truncation-psi", "1e39"], "expected a finite number from -10 to 10, found 1e+39"),
    (["--truncation-psi", "-1e39"], "found -1e+39"),
    (["--psi", "1"], "unrecognized arguments: --psi"),
    (["--noise", "some"], "--noise: invalid choice"), (["--format", "tif"], "--format: invalid"),
    (["--strength", "-1:1"], "--strength: expected with --direction, found it alone"),
    (["--direction", "a.npz"], "--direction: expected a file of `stylegan2-tf directions`"),
    (["--direction", "a.npz:0", "--strength", "-x"], "--strength: expected one argument"),
    (["--direction", "a.npz:0", "--strength", "-1:"], "--strength: expected a range"),
    (["--direction", "a.npz:0", "--strength", "-1e3:2"], "within 100, found '-1e3:2'"),
    (["--direction", "a.npz:0", "--strength", "1,1"], "--strength: expected strengths that diff"),
    (["--direction", "a.npz:0", "--grid", "1x1"], "--grid: expected without --direction"),
])
def test_bad_flags_are_refused_before_anything_is_loaded(
        home, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.setattr("stylegan2_tf.tf_quiet.import_tensorflow", None)
    assert message in refused(capsys, home / "plain", tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


def test_classes_that_the_model_does_not_know(home, loaded, tmp_path, capsys):
    out = tmp_path / "out"
    for name in ("ad", ""):
        line = refused(capsys, home / "conditional", out, "--class", name)
        assert "--class: expected one of AD, MCI, NC" in line and f"found '{name}'" in line
    line = refused(capsys, home / "plain", out, "--class", "AD")
    assert "--class: expected none" in line and "without --conditional" in line
    assert "found 'AD'" in line
    assert not out.exists()


def test_what_a_model_cannot_do(home, loaded, pca, tmp_path, capsys):
    out = tmp_path / "out"
    for noise in ("random", "none"):
        line = refused(capsys, home / "dcgan", out, "--noise", noise)
        assert "--noise: expected const, for this network has no noise" in line and noise in line
    assert "--format: expected png or npy, for this model makes colour" in refused(
        capsys, home / "conditional", out, "--format", "png16")
    other = tmp_path / "other.npz"
    Directions("pca", np.eye(1, 5), np.ones(1), np.ones(1), ("a",)).save(other)
    line = refused(capsys, home / "plain", out, "--direction", f"{other}:0")
    assert "--direction: expected one of 8 numbers, for this model's w has as many" in line
    assert "note" not in line
    line = refused(capsys, home / "plain", out, "--direction", f"{pca}:2")
    assert "--direction: expected a number from 0 to 1" in line
    line = refused(capsys, home / "plain", out, "--direction", f"{tmp_path}/no.npz:0", code=65)
    assert "expected directions that" in line
    assert not out.exists()


def test_models_that_are_none(home, tmp_path, capsys):
    out = tmp_path / "out"
    assert "nothing there" in refused(capsys, tmp_path / "absent", out, code=65)
    assert "no model in it yet" in refused(capsys, tmp_path, out, code=65)
    shutil.copytree(home / "plain", tmp_path / "damaged")
    model_file = tmp_path / "damaged" / "Model" / "generator.keras"
    model_file.write_bytes(model_file.read_bytes()[:-100])
    assert "the file was damaged or replaced" in refused(
        capsys, tmp_path / "damaged", out, code=65)
    assert "expected a Generator, found Discriminator" in refused(
        capsys, home / "plain" / "Model" / "discriminator.keras", out, code=65)
    assert not out.exists()


def test_a_folder_that_cannot_be_made(home, loaded, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        line = refused(capsys, home / "plain", out, code=74)
        assert f"OUT {out}: expected a folder that can be written, found: " in line
    assert (tmp_path / "file").read_text() == "mine"
