"""`stylegan2-tf generate` from the command line."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.cli import generate as module
from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.latent import sampling
from stylegan2_tf.latent.sampling import draw, load, make_latents, to_uint8

CLASSES = ("AD", "MCI", "NC")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Run folders `plain`, and `conditional`, in colour, with three classes."""
    home = tmp_path_factory.mktemp("generate")
    for name, classes, channels in (("plain", (), 1), ("conditional", CLASSES, 3)):
        config = TrainConfig(**{**TINY, "channels": channels})
        _, average, discriminator = make_networks(config, classes)
        average.w_avg.assign(np.linspace(-1, 1, 8))
        save_models(home / name / "Model", average, discriminator, config=config.to_json())
    return home


@pytest.fixture(scope="module")
def models(home):
    return {name: load(home / name) for name in ("plain", "conditional")}


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
    assert capsys.readouterr().out == f"images 9 in {out}, listed in seeds.csv\n"
    assert table(out) == [{"file": f"seed0000{seed}.png", "seed": str(seed), "class": "",
                           "truncation_psi": "1.0"} for seed in range(9)]
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

    def counted(generator, z, *arguments, **options):
        sizes.append(len(z))
        return draw(generator, z, *arguments, **options)

    monkeypatch.setattr(sampling, "draw", counted)
    written = []
    for number, seeds in enumerate(("0-19", "5", "19,5,3", "4-6")):
        generate(home / name, tmp_path / str(number), "--seeds", seeds)
        written.append(files(tmp_path / str(number)))
    for some in written[1:]:
        assert some == {file: written[0][file] for file in some}
    assert [len(some) for some in written] == [20, 1, 3, 3]
    # At 16 pixels, other sizes than this one may round alike; at 64 pixels they do not.
    assert set(sizes) == {module.AT_ONCE} and len(sizes) == 5


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


# -- what is held in memory, and what a kill leaves


def test_images_are_streamed(home, models, tmp_path, monkeypatch):
    written = []

    def one(generator, z, labels, psi, batch):
        assert len(z) == batch == module.AT_ONCE
        return np.zeros((batch, 16, 16, 1), np.float32)

    def kept(images, path):
        written.append(path.name)

    monkeypatch.setattr(sampling, "draw", one)
    monkeypatch.setattr("stylegan2_tf.artifacts.save_grid", kept)
    for count in (0, 5, 40):
        shown = module._write_images(models["plain"], list(range(100)), None, 1.0, tmp_path, count)
        assert len(shown) == count
    assert written[:100] == [f"seed{seed:05d}.png" for seed in range(100)]


def test_a_kill_leaves_no_list_of_other_images(home, loaded, tmp_path, monkeypatch, capsys):
    generate(home / "conditional", tmp_path, "--class", "AD")
    before = files(tmp_path)
    from stylegan2_tf.artifacts import save_grid

    def killed(images, path, **options):
        if path.name == "seed00005.png":
            raise KeyboardInterrupt
        save_grid(images, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr("stylegan2_tf.artifacts.save_grid", killed)
        assert generate(home / "conditional", tmp_path, "--class", "NC") == 130
    after = files(tmp_path)
    assert {file for file in before if before[file] != after[file]} == {
        f"seed0000{seed}.png" for seed in range(5)}
    assert {path.name for path in tmp_path.iterdir()} == set(after)  # no seeds.csv, nothing half
    assert generate(home / "conditional", tmp_path, "--class", "NC") == 0
    assert {row["class"] for row in table(tmp_path)} == {"NC"}


def test_a_full_disk_is_one_line(home, loaded, tmp_path, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device", "seed00000.png")

    monkeypatch.setattr("stylegan2_tf.artifacts.save_grid", full)
    assert "No space left on device" in refused(capsys, home / "plain", tmp_path, code=74)
    assert not list(tmp_path.iterdir())


# -- refusals


@pytest.mark.parametrize("flags, message", [
    (["--seeds", "a-b"], "--seeds: expected numbers and ranges such as 0-8,13, of 10 digits"),
    (["--seeds", ""], "--seeds: expected numbers"),
    (["--seeds", "0-9999999"], "--seeds: expected 1,000,000 at most"),
    (["--grid", "3"], "--grid: expected rows x columns such as 3x3, 99x99 at most, found '3'"),
    (["--grid", "0x3"], "found '0x3'"), (["--grid", "100x1"], "found '100x1'"),
    (["--grid", "3x3 "], "found '3x3 '"), (["--grid", ""], "found ''"),
    (["--grid", "3x3", "--seeds", "0-7"], "--grid: expected at most 8 places, one for each seed"),
    (["--grid", "1x3", "--seeds", "1,1,1,2"], "--grid: expected at most 2 places"),
    (["--truncation-psi", "nan"], "--truncation-psi: expected a finite number, found nan"),
    (["--truncation-psi", "inf"], "--truncation-psi: expected a finite number, found inf"),
    (["--psi", "1"], "unrecognized arguments: --psi"),
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
