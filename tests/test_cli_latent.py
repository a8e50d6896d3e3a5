"""`stylegan2-tf interpolate`, `mix`, `truncate` and `directions`."""

from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.cli import COMMANDS, main
from stylegan2_tf.cli import directions as directions_module
from stylegan2_tf.cli.interpolate import draw_loop
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.latent import sampling
from stylegan2_tf.latent.directions import load_directions
from stylegan2_tf.latent.sampling import latents_of, load, to_uint8

CLASSES = ("AD", "MCI", "NC")
SIDE = 16
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
    return {name: load(home / name) for name in KINDS}


@pytest.fixture(autouse=True)
def loaded(models, monkeypatch):
    """The same model for every command: loading is tested elsewhere, and takes time."""
    monkeypatch.setattr(sampling, "load", lambda path: models[Path(path).name])
    monkeypatch.setattr(directions_module, "SAMPLES", 300)


def command(*arguments):
    return main([*map(str, arguments)])


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


def drawn(model, seeds, psi=1.0, label=None):
    """Images of some seeds as the model itself draws them."""
    w = model.map(latents_of(seeds, model.z_dim), psi, label)
    return to_uint8(model.synthesize(w)).astype(int)


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
    assert command("interpolate", name, out, "--seeds", "1,7,42", "--frames", 12, "--space", space,
                   "--milliseconds", 40) == 0
    assert capsys.readouterr().out == f"written {out}: 12 frames\n"
    shown, duration = frames(out)
    assert shown.shape == (12, SIDE, SIDE, 3) and duration == 40
    label = CLASSES[0] if name == "conditional" else None
    assert near(shown[::4], drawn(models[name], [1, 7, 42], label=label))


@pytest.mark.parametrize("name, space", [("plain", "z"), ("plain", "w"), ("conditional", "w")])
def test_there_is_no_jump_neither_where_it_closes(models, name, space):
    longest = []
    for count in (100, 400):
        shown = draw_loop(models[name], [1, 7], count, space).astype(int)
        longest.append(np.abs(np.roll(shown, -1, axis=0) - shown).mean(axis=(1, 2, 3)).max())
    assert longest[1] < 0.5 * longest[0]  # steps shrink as frames grow: the way is continuous


def test_one_class_along_the_way(models, tmp_path):
    out = tmp_path / "out.webp"
    for flags, label in (((), "AD"), (("--class", "NC"), "NC")):
        command("interpolate", "conditional", out, "--seeds", "3,4", "--frames", 4, *flags)
        assert near(frames(out)[0][::2], drawn(models["conditional"], [3, 4], label=label))
    assert not near(drawn(models["conditional"], [3, 4], label="AD"),
                    drawn(models["conditional"], [3, 4], label="NC"))


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
    (["out.gif", "--frames", "10001"], "found 10001"), (["out.gif", "--frames", "-1"], "found -1"),
    (["out.gif", "--milliseconds", "19"], "--milliseconds: expected 20"),
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
    label = CLASSES[0] if name == "conditional" else None
    assert not found[0, 0].any()
    assert near(found[1:, 0], drawn(model, [0, 1, 2], label=label))
    assert near(found[0, 1:], drawn(model, [4, 9], label=label))
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
    w = model.map(latents_of([5, 6], model.z_dim))
    for kind in ("sefa", "pca"):
        stored, found = load_directions(out / f"{kind}.npz"), tiles(out / f"{kind}.png", 4, 3)
        assert stored.kind == kind and stored.vectors.shape == (2, w.shape[1])
        assert near(found[:, 1], drawn(model, [5, 6, 5, 6]) if name != "conditional" else
                    np.concatenate([drawn(model, [5, 6])] * 2))  # no strength in the middle
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
    assert printed[-1] == (f"  MCI to NC: {stored.scores[2]:.0%} of held-out latents on the right "
                           "side")
    # Towards the second class: the mean w of the classes say the same.
    model = models["conditional"]
    z = sampling.make_latents(300, model.z_dim, seed=0)
    means = {label: model.map(z, 1.0, label).mean(axis=0) for label in CLASSES}
    assert (means["NC"] - means["AD"]) @ stored.vectors[1] > 0


def test_no_more_directions_than_there_are(tmp_path):
    command("directions", "plain", tmp_path, "--count", 99, "--steps", 2, "--seeds", 0)
    assert load_directions(tmp_path / "sefa.npz").vectors.shape == (8, 8)
    tiles(tmp_path / "sefa.png", 8, 2)


@pytest.mark.parametrize("flags, message", [
    (["--count", "0"], "found 0, 7 and 2"), (["--steps", "1"], "found 8, 1 and 2"),
    (["--steps", "32"], "found 8, 32 and 2"), (["--seeds", "0-16"], "found 8, 7 and 17"),
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
