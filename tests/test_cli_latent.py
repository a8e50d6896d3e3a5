"""`stylegan2-tf interpolate`, `mix`, `truncate` and `directions`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.cli import COMMANDS, main
from stylegan2_tf.cli import directions as directions_module
from stylegan2_tf.cli.interpolate import draw_loop
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.files import sha256
from stylegan2_tf.latent import sampling, series, sheets
from stylegan2_tf.latent.directions import load_directions
from stylegan2_tf.latent.sampling import latents_of, load, to_uint8

CLASSES = ("AD", "MCI", "NC")
SIDE = 16
PATHS = {}  # of the models, by their names
KINDS = {"plain": ((), 1, {}), "conditional": (CLASSES, 3, {}), "dcgan": ((), 1, {"arch": "dcgan"})}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Generators that were saved and loaded; noise and mean latent are not trivial."""
    home = tmp_path_factory.mktemp("latent")
    for name, (classes, channels, more) in KINDS.items():
        config = TrainConfig(**{**TINY, "channels": channels, **more})
        _, average, discriminator = make_networks(config, classes)
        average.w_avg.assign(np.linspace(-1, 1, average.w_avg.shape[0]))
        save_models(home / name / "Model", average, discriminator, config=config.to_json())
        PATHS[name] = home / name
    return {name: load(path) for name, path in PATHS.items()}


@pytest.fixture(autouse=True)
def loaded(models, monkeypatch):
    """The same model for every command: loading is tested elsewhere, and takes time."""
    monkeypatch.setattr(sampling, "load", lambda path: models[Path(path).name])
    monkeypatch.setattr(directions_module, "SAMPLES", 300)


def command(name, model, *arguments):
    return main([name, *map(str, (PATHS.get(model, model), *arguments))])


def refused(capsys, *arguments, code=2):
    """The one line of a command that is refused."""
    assert command(*arguments) == code
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and printed.out == ""
    return lines[0]


def tiles(path, rows, columns):
    """The images of a table `[rows, columns, SIDE, SIDE, C]`."""
    with Image.open(path) as image:
        pixels = np.atleast_3d(np.asarray(image)).astype(int)
    assert pixels.shape[:2] == (rows * SIDE, columns * SIDE)
    return pixels.reshape(rows, SIDE, columns, SIDE, -1).swapaxes(1, 2)


def frames(path):
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(np.asarray(image.convert("RGB")).astype(int))
        return np.stack(found), image.info["duration"]


def styles(model, seeds, psi=1.0, label=None):
    """w of some seeds as the model itself maps them, each alone; the class is that of the seed."""
    return np.concatenate([
        model.map(latents_of([seed], model.z_dim), psi,
                  label or (model.classes[seed % len(model.classes)] if model.classes else None))
        for seed in seeds])


def drawn(model, seeds, psi=1.0, label=None):
    """Images of some seeds as the model itself draws them."""
    return to_uint8(model.synthesize(styles(model, seeds, psi, label))).astype(int)


def near(found, expected):
    """Whether images are equal but for rounding: other batch sizes take other kernels."""
    return np.abs(found - expected).max() <= 1


def test_every_command_is_listed():
    assert {"interpolate", "mix", "truncate", "directions"} <= set(COMMANDS)


# -- interpolate


@pytest.mark.parametrize("name", ["plain", "conditional", "dcgan"])
@pytest.mark.parametrize("space", ["z", "w"])
def test_an_animation_meets_its_seeds(models, tmp_path, capsys, name, space):
    out = tmp_path / "deep" / "out.webp"
    seeds = [1, 7, 40 if space == "z" else 42]  # of one class in z
    assert command("interpolate", name, out, "--seeds", ",".join(map(str, seeds)), "--frames", 12,
                   "--space", space, "--milliseconds", 40) == 0
    assert capsys.readouterr().out == f"written {out}: 12 frames\n"
    shown, duration = frames(out)
    assert shown.shape == (12, SIDE, SIDE, 3) and duration == 40
    assert near(shown[::4], drawn(models[name], seeds))


@pytest.mark.parametrize("name, space, seeds", [
    ("plain", "z", [1, 7]), ("plain", "w", [1, 7]), ("conditional", "z", [1, 7]),
    ("conditional", "w", [1, 2])])  # from class to class
def test_there_is_no_jump_neither_where_it_closes(models, name, space, seeds):
    longest = []
    for count in (100, 400):
        shown = draw_loop(models[name], seeds, count, space).astype(int)
        longest.append(np.abs(np.roll(shown, -1, axis=0) - shown).mean(axis=(1, 2, 3)).max())
    assert longest[1] < 0.5 * longest[0]  # steps shrink as frames grow: the way is continuous


def test_one_class_along_the_way(models, tmp_path):
    out = tmp_path / "out.webp"
    command("interpolate", "conditional", out, "--seeds", "3,4", "--frames", 4, "--class", "NC",
            "--space", "z")
    assert near(frames(out)[0][::2], drawn(models["conditional"], [3, 4], label="NC"))
    assert not near(drawn(models["conditional"], [3, 4], label="AD"),
                    drawn(models["conditional"], [3, 4], label="NC"))


def test_a_class_does_not_change_in_z(tmp_path, capsys):
    line = refused(capsys, "interpolate", "conditional", tmp_path / "new" / "out.webp", "--seeds",
                   "3,4,6", "--space", "z")
    assert "--space z: expected seeds of one class" in line and "found AD, MCI; give" in line
    assert not list(tmp_path.iterdir())


def test_a_space_that_is_none(models):
    with pytest.raises(ValueError, match="`space` must be one of z, w. Received: space=ws"):
        draw_loop(models["plain"], [1, 2], 4, "ws")


def test_ease_and_truncation(models, tmp_path):
    even, eased, narrow = (tmp_path / f"{number}.webp" for number in range(3))
    flags = ("interpolate", "plain")
    command(*flags, even, "--seeds", "1,2", "--frames", 16)
    command(*flags, eased, "--seeds", "1,2", "--frames", 16, "--ease")
    command(*flags, narrow, "--seeds", "1,2", "--frames", 40, "--truncation-psi", 0)
    even, eased, narrow = (frames(path)[0] for path in (even, eased, narrow))
    assert near(eased[[0, 8]], even[[0, 8]])
    assert np.abs(eased[1] - eased[0]).mean() < np.abs(even[1] - even[0]).mean()
    assert len(narrow) == 40 and np.ptp(narrow, axis=0).max() <= 2  # 40 equal frames stay 40


@pytest.mark.parametrize("flags, message", [
    (["out.png"], "OUT: expected a file that ends in .gif, .webp, .mp4"),
    (["out.gif", "--seeds", "1"], "--seeds: expected two or more, found 1"),
    (["out.gif", "--seeds", "x"], "--seeds: expected numbers"),
    (["out.gif", "--seeds", "0-4", "--frames", "4"], "--frames: expected 5, one for each seed, to"),
    (["out.gif", "--seeds", "1,1"], "--seeds: expected no seed twice in a row"),
    (["out.gif", "--seeds", "1,7,7,2"], "found 1,7,7,2"),
    (["out.gif", "--seeds", "1,7,1"], "(the first follows the last), found 1,7,1"),
    (["out.gif", "--truncation-psi", "1e39"], "-10 to 10, found 1e+39"),
    (["out.gif", "--truncation-psi", "-1e3"], "-10 to 10, found -1000.0"),
    (["out.gif", "--frames", "10001"], "found 10001"), (["out.gif", "--frames", "-1"], "found -1"),
    (["out.gif", "--milliseconds", "19"], "--milliseconds: expected 20 to 10000"),
    (["out.gif", "--milliseconds", "10001"], "found 10001"),
    (["out.gif", "--truncation-psi", "nan"], "--truncation-psi: expected a finite number"),
    (["out.gif", "--class", "AD"], "--class: expected none"),
    (["out.gif", "--space", "x"], "--space: invalid choice"),
])
def test_animations_that_cannot_be(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "interpolate", "plain", *flags)
    assert not list(tmp_path.iterdir())


# -- mix


@pytest.mark.parametrize("name", ["plain", "conditional"])
def test_a_mixing_table(models, tmp_path, capsys, name):
    out, model = tmp_path / "deep" / "out.png", models[name]
    count = model.generator.synthesis.num_ws
    assert command("mix", name, out, "--rows", "0-2", "--cols", "4,9") == 0
    assert f"layers {', '.join(map(str, range(count // 2)))} of {count}" in capsys.readouterr().out
    found = tiles(out, 4, 3)
    assert not found[0, 0].any()
    assert near(found[1:, 0], drawn(model, [0, 1, 2]))
    assert near(found[0, 1:], drawn(model, [4, 9]))
    ws = styles(model, [0, 1, 2, 4, 9])[:, None].repeat(count, axis=1)
    for row in range(3):
        for column in range(2):
            mixed = ws[row].copy()
            mixed[:count // 2] = ws[3 + column, :count // 2]
            expected = to_uint8(model.synthesize(mixed[None])).astype(int)[0]
            assert near(found[1 + row, 1 + column], expected)
    assert not near(found[1, 1], found[1, 0]) and not near(found[1, 1], found[0, 1])


@pytest.mark.parametrize("layers, source", [("0-5", (0, 1)), ("0", None), ("5", None)])
def test_layers_decide_what_is_mixed(models, tmp_path, layers, source):
    assert models["plain"].generator.synthesis.num_ws == 6
    command("mix", "plain", tmp_path / "out.png", "--rows", 3, "--cols", 4, "--layers", layers,
            "--truncation-psi", 0.7)
    found = tiles(tmp_path / "out.png", 2, 2)
    assert near(found[1, 0], drawn(models["plain"], [3], 0.7)[0])
    if source:
        assert near(found[1, 1], found[source])  # all layers are the column's
    else:
        assert not near(found[1, 1], found[0, 1])


def test_a_layer_counts_once(tmp_path, capsys):
    written = []
    for layers in ("3,3,1", "1,3"):
        command("mix", "plain", tmp_path / "out.png", "--rows", 3, "--cols", 4, "--layers", layers)
        assert "layers 1, 3 of 6 from" in capsys.readouterr().out
        written.append((tmp_path / "out.png").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("name, flags, message", [
    ("plain", ["out.gif"], "OUT: expected a file that ends in .png, found out.gif"),
    ("plain", ["out.png", "--rows", "0-32"], "--rows: expected at most 32 seeds, found 33"),
    ("plain", ["out.png", "--cols", "0-99"], "--cols: expected at most 32 seeds, found 100"),
    ("plain", ["out.png", "--cols", ""], "--cols: expected numbers"),
    ("plain", ["out.png", "--layers", "0-6"], "--layers: expected 0 to 5, found 6"),
    ("plain", ["out.png", "--layers", "a"], "--layers: expected numbers"),
    ("plain", ["out.png", "--truncation-psi", "inf"], "--truncation-psi: expected a finite"),
    ("conditional", ["out.png", "--class", "CN"], "--class: expected one of AD, MCI, NC"),
    ("dcgan", ["out.png"], "there is nothing to mix"),
])
def test_tables_that_cannot_be(tmp_path, monkeypatch, capsys, name, flags, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "mix", name, *flags)
    assert not list(tmp_path.iterdir())


# -- truncate


@pytest.mark.parametrize("name", ["plain", "conditional"])
def test_from_the_mean_to_full_variety(models, tmp_path, capsys, name):
    out = tmp_path / "deep" / "out.png"
    assert command("truncate", name, out, "--seeds", "5,1", "--steps", 3) == 0
    assert capsys.readouterr().out.startswith(f"written {out}: ")
    found = tiles(out, 2, 3)
    assert near(found[0, 0], found[1, 0])  # psi 0: the mean
    for column, psi in enumerate((0, 0.5, 1)):
        assert near(found[:, column], drawn(models[name], [5, 1], psi))
        if psi and name == "conditional":  # by the seed, not by the place
            assert not near(found[:, column], drawn(models[name], [5, 1], psi, CLASSES[0]))
    assert not near(found[0, 2], found[1, 2])


@pytest.mark.parametrize("flags, message", [
    (["out"], "OUT: expected a file that ends in .png"),
    (["out.png", "--steps", "1"], "--steps: expected 2 to 32, found 1"),
    (["out.png", "--steps", "33"], "--steps: expected 2 to 32, found 33"),
    (["out.png", "--seeds", "0-64"], "--seeds: expected at most 64, found 65"),
    (["out.png", "--class", "AD"], "--class: expected none"),
])
def test_truncations_that_cannot_be(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "truncate", "plain", *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name, flags", [
    ("truncate", ["out.png"]), ("mix", ["out.png", "--truncation-psi", "0.7"]),
    ("interpolate", ["out.gif", "--truncation-psi", "0"]),
    ("directions", ["out", "--truncation-psi", "0.5"]),
    ("generate", ["out", "--truncation-psi", "0.5"])])
def test_truncation_needs_styles(tmp_path, monkeypatch, capsys, name, flags):
    """DCGAN's first layer is normalised: half a latent would give the whole image."""
    monkeypatch.chdir(tmp_path)
    assert "expected a generator with styles, which truncation moves to their mean" in refused(
        capsys, name, "dcgan", *flags)
    assert not list(tmp_path.iterdir())


# -- directions


@pytest.mark.parametrize("name", ["plain", "conditional", "dcgan"])
def test_strips_and_files(models, tmp_path, capsys, name):
    out = tmp_path / "deep" / "out"
    assert command("directions", name, out, "--count", 2, "--steps", 3, "--seeds", "5-6",
                   "--strength", 2) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "pca.npz", "pca.png", "sefa.npz", "sefa.png"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"sefa: directions 2 in {out / 'sefa.npz'}") and len(printed) == 2
    model = models[name]
    w = styles(model, [5, 6])
    for kind in ("sefa", "pca"):
        stored, found = load_directions(out / f"{kind}.npz"), tiles(out / f"{kind}.png", 4, 3)
        assert stored.kind == kind and stored.vectors.shape == (2, w.shape[1])
        assert stored.model == sha256(PATHS[name] / "Model" / "generator.keras")
        assert near(found[:, 1], drawn(model, [5, 6, 5, 6]))  # no strength in the middle
        step = stored.vectors[1] * stored.unit[1]
        for place, strength in ((0, -2), (2, 2)):
            moved = to_uint8(model.synthesize(w + np.float32(strength) * step)).astype(int)
            assert near(found[2:, place], moved)
    assert not near(found[0, 0], found[0, 2])


def test_directions_between_classes(models, tmp_path, capsys):
    assert command("directions", "conditional", tmp_path, "--count", 1, "--steps", 2, "--seeds", 0,
                   "--classes") == 0
    stored = load_directions(tmp_path / "classes.npz")
    assert stored.names == ("AD to MCI", "AD to NC", "MCI to NC")
    assert ((0 <= stored.scores) & (stored.scores <= 1)).all()
    tiles(tmp_path / "classes.png", 3, 2)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-3] == (f"  MCI to NC: {stored.scores[2]:.0%} of held-out latents on the right "
                           "side")
    assert "a strength of 2 leads from the mean of one class to that of the other" in printed[-2]
    assert "a conditional model is told the class" in printed[-1]
    model, z = models["conditional"], sampling.make_latents(300, 8, seed=0)
    means = {label: model.map(z[number::3], 1.0, label).mean(axis=0)
             for number, label in enumerate(CLASSES)}
    np.testing.assert_allclose(2 * stored.unit[1] * stored.vectors[1], means["NC"] - means["AD"],
                               atol=1e-5)


def test_the_way_between_classes_changes_images(models, tmp_path):
    """Where axes with next to no variance tell the classes, too: a classifier would go by them."""
    model = models["conditional"]
    kernel = model.generator.mapping.weights[-2]
    assert kernel.shape == (8, 8)
    before = kernel.numpy()
    kernel.assign(before * np.logspace(0, -4, 8))
    try:
        command("directions", "conditional", tmp_path, "--count", 1, "--steps", 3, "--seeds", 0,
                "--classes", "--strength", 2)
        stored = load_directions(tmp_path / "classes.npz")
        found = tiles(tmp_path / "classes.png", 3, 3)[1]  # AD to NC, of an image of AD
        middle = {label: model.synthesize(model.map(sampling.make_latents(300, 8), 1.0, label).mean(
            axis=0, keepdims=True)) for label in ("AD", "NC")}
    finally:
        kernel.assign(before)
    change = np.abs(to_uint8(middle["NC"]).astype(int) - to_uint8(middle["AD"])).mean()
    assert np.abs(found[2] - found[1]).mean() > change / 2 > 0
    assert (np.abs(stored.vectors[:, 4:]) < 0.05).all()


def test_no_more_directions_than_there_are(tmp_path, capsys):
    command("directions", "plain", tmp_path, "--count", 99, "--steps", 2, "--seeds", 0)
    assert load_directions(tmp_path / "sefa.npz").vectors.shape == (8, 8)
    tiles(tmp_path / "sefa.png", 8, 2)
    assert capsys.readouterr().out.splitlines()[-1] == (
        "note: w of this model has 8 numbers, and so no more than 8 directions of a kind, found "
        "--count 99")


def test_a_picture_of_directions_has_bounds(tmp_path, capsys, monkeypatch):
    """All are stored, and the first drawn."""
    monkeypatch.setattr(directions_module, "STRIPS", 7)
    command("directions", "plain", tmp_path, "--count", 5, "--steps", 2, "--seeds", "0-2")
    assert load_directions(tmp_path / "pca.npz").vectors.shape == (5, 8)
    tiles(tmp_path / "pca.png", 6, 2)
    assert capsys.readouterr().out.splitlines()[1] == (
        f"pca: directions 5 in {tmp_path / 'pca'}.npz, a row for each and seed of the first 2 in "
        "pca.png")


@pytest.mark.parametrize("name, flags, message", [
    ("directions", ["--seeds", "0-4"], "--seeds, --steps: expected a picture of at most 2,000 "),
    ("mix", ["--rows", "0-4", "--cols", "1"], "--rows, --cols: expected a picture"),
    ("truncate", ["--steps", "9"], "found 5 x 9 images of 16 x 16"),
    ("generate", ["--grid", "3x3"], "--grid: expected a picture")])
def test_pictures_that_are_too_large(tmp_path, monkeypatch, capsys, name, flags, message):
    monkeypatch.setattr(sheets, "PIXELS", 2000)
    assert message in refused(capsys, name, "plain", tmp_path / "out.png", *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flags, message", [
    (["--count", "0"], "--count: expected 1 to 1000000, found 0"),
    (["--steps", "1"], "--steps: expected 2 to 31, found 1"),
    (["--steps", "32"], "--steps: expected 2 to 31, found 32"),
    (["--seeds", "0-16"], "--seeds: expected at most 16, found 17"),
    (["--strength", "0"], "--strength: expected above 0"), (["--strength", "nan"], "found nan"),
    (["--strength", "101"], "at most 100, found 101"),
    (["--classes"], "--classes: expected a model trained with --conditional"),
    (["--class", "AD"], "--class: expected none"),
    (["--truncation-psi", "nan"], "--truncation-psi: expected a finite number"),
])
def test_directions_that_cannot_be(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "directions", "plain", "out", *flags)
    assert not list(tmp_path.iterdir())


def test_models_that_are_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sampling, "load", load)
    for name, out in (("interpolate", "a.gif"), ("mix", "a.png"), ("truncate", "a.png"),
                      ("directions", "a")):
        line = refused(capsys, name, tmp_path / "absent", tmp_path / "new" / out, code=65)
        assert "nothing there" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name, ending", [("interpolate", ".gif"), ("mix", ".PNG"),
                                          ("truncate", ".png")])
def test_a_file_that_cannot_be_written_is_noticed_at_once(
        tmp_path, monkeypatch, capsys, name, ending):
    monkeypatch.setattr(sampling, "load", None)
    (tmp_path / f"folder{ending}").mkdir()
    file = tmp_path / "file"
    file.write_text("mine")
    for out, found in ((tmp_path / f"folder{ending}", "found a folder"),
                       (file / f"out{ending}", f"found a file at {file}")):
        line = refused(capsys, name, "plain", out, code=74)
        assert f"OUT {out}: expected a file that can be written, {found}" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", f"folder{ending}"]


def test_endings_in_capitals(tmp_path):
    for name in ("mix", "truncate"):
        assert command(name, "plain", tmp_path / f"{name}.PNG") == 0
        with Image.open(tmp_path / f"{name}.PNG") as image:
            assert image.format == "PNG"


@pytest.mark.parametrize("name", ["mix", "truncate", "interpolate", "directions", "generate"])
def test_images_that_are_not_finite_are_not_written(models, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr(series, "map_latents", lambda generator, z, *options: np.full(
        (len(z), 8), np.nan, np.float32))
    out = tmp_path / ("out.webp" if name == "interpolate" else "out.png")
    assert command(name, "plain", out) == 70
    assert "expected finite numbers, found NaN or infinity" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".png", ".webp")
                and path.is_file()]
