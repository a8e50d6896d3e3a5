"""`stylegan2-tf project` from the command line."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.cli import COMMANDS, main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.latent import sampling
from stylegan2_tf.latent.sampling import draw, latents_of, load, to_uint8
from stylegan2_tf.metrics.ssim import ms_ssim

KINDS = {"plain": ((), 1, {"fit": "crop"}), "conditional": (("AD", "NC"), 3, {}),
         "dcgan": ((), 1, {"arch": "dcgan"}), "small": ((), 1, {"resolution": 8})}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("project")
    for name, (classes, channels, more) in KINDS.items():
        config = TrainConfig(**{**TINY, "channels": channels, **more})
        _, average, discriminator = make_networks(config, classes)
        save_models(home / name / "Model", average, discriminator, config=config.to_json())
    return home


@pytest.fixture(scope="module")
def models(home):
    return {name: load(home / name) for name in KINDS}


@pytest.fixture(autouse=True)
def loaded(models, monkeypatch):
    """The same model for every command: loading is tested elsewhere, and takes time."""
    monkeypatch.setattr(sampling, "load", lambda path: models[Path(path).name])


@pytest.fixture
def images(models, tmp_path):
    """A folder with two images that the plain model made, and one beside it that none did."""
    folder = tmp_path / "images"
    folder.mkdir()
    model = models["plain"]
    drawn = to_uint8(draw(model.generator, latents_of([3, 4], model.z_dim)))
    for name, image in zip("ab", drawn, strict=True):
        Image.fromarray(image[..., 0]).save(folder / f"{name}.png")
    Image.fromarray(np.uint8([[0, 0, 0], [0, 200, 100]]).repeat(16, 0).repeat(16, 1)).save(
        tmp_path / "wide.png")
    return folder


def project(*arguments):
    return main(["project", *map(str, arguments)])


def refused(capsys, *arguments, code=2):
    """The one line of a command that is refused."""
    assert project(*arguments) == code
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and printed.out == ""
    return lines[0]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


# -- what is written


def test_all_that_is_written(home, models, images, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    assert project(home / "plain", images, tmp_path / "wide.png", out, "--steps", 25,
                   "--compare", 40, "--space", "w+") == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "progress.gif", "projected.png", "projection.csv", "projection.npz"]
    stored = np.load(out / "projection.npz")
    names = [str(images / "a.png"), str(images / "b.png"), str(tmp_path / "wide.png")]
    assert stored["files"].tolist() == names and stored["ws"].shape == (3, 6, 8)
    assert (stored["space"], stored["steps"], stored["seed"]) == ("w+", 25, 0)
    assert "noise_0" not in stored
    # Images again from what is stored; cropped as in the training, not padded.
    generator = models["plain"].generator
    found = np.clip(np.asarray(generator.synthesis(stored["ws"])), -1, 1)
    targets = np.stack([pixels(images / "a.png"), pixels(images / "b.png"),
                        pixels(tmp_path / "wide.png")[8:24, 16:32]])
    targets = targets[..., None].astype(np.float32) / 127.5 - 1
    assert targets[2].max() > 0.5
    sheet = pixels(out / "projected.png")
    assert sheet.shape == (3 * 128, 4 * 128)
    tiles = sheet.reshape(3, 16, 8, 4, 16, 8)[:, :, 0, :, :, 0].swapaxes(1, 2).astype(int)
    assert np.abs(tiles[:2, 0] - to_uint8(targets[:2, ..., 0])).max() <= 1
    assert np.abs(tiles[:, 1] - to_uint8(found[..., 0])).max() <= 1
    apart = np.minimum(4 * np.abs(tiles[:2, 0] - tiles[:2, 1]), 255)
    assert np.abs(tiles[:2, 2] - apart).max() <= 8
    # The numbers, in the table, in the file and on the screen.
    with open(out / "projection.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == names
    error = ((found[:2] - targets[:2]) ** 2).mean(axis=(1, 2, 3))
    assert all(len(value) < 9 for row in rows for name, value in row.items() if name != "file")
    psnr = [float(row["psnr"]) for row in rows]
    np.testing.assert_allclose(psnr[:2], 10 * np.log10(4 / error), atol=0.01)
    np.testing.assert_allclose(stored["psnr"], psnr)
    np.testing.assert_allclose([float(row["ms_ssim"]) for row in rows[:2]],
                               ms_ssim(found[:2], targets[:2]), atol=1e-3)
    best = [float(row["best_sample_psnr"]) for row in rows]
    assert all(stored["best_sample_psnr"] == best)
    row, lines = rows[0], capsys.readouterr().out.splitlines()
    assert lines[0] == (f"{names[0]}: PSNR {psnr[0]:.1f} dB, MS-SSIM {float(row['ms_ssim']):.4f}; "
                        f"best of 40 random samples {best[0]:.1f} dB (seed "
                        f"{row['best_sample_seed']})")
    assert lines[3] == ("note: MS-SSIM on 1 of 5 scales: all of them need 176 pixels a side, found "
                        "16")
    assert lines[4].endswith("projected.png: target, projection, 4 x difference, best sample")


def test_the_film(home, images, tmp_path):
    project(home / "dcgan", images, tmp_path / "out", "--steps", 3, "--compare", 0)
    with Image.open(tmp_path / "out" / "progress.gif") as film:
        assert film.n_frames == 4 + 15 and film.size == (2 * 128, 2 * 128)
        shown = []
        for frame in (0, 3):
            film.seek(frame)
            shown.append(np.asarray(film.convert("L")).astype(int))
    above = shown[0][:128:8, :128:8]
    assert np.abs(above - pixels(images / "a.png")).max() <= 1  # the targets
    assert np.abs(shown[1] - shown[0])[:128].max() <= 1
    assert np.abs(shown[1] - shown[0])[128:].max() > 1


@pytest.mark.parametrize("name", ["conditional", "plain"])
def test_noise_is_stored_where_it_was_optimised(home, models, images, tmp_path, name):
    project(home / name, images / "a.png", tmp_path / "out", "--steps", 2, "--compare", 0,
            "--noise", "optimise", "--seed", 7)
    stored = np.load(tmp_path / "out" / "projection.npz")
    generator = models[name].generator
    noise = [stored[f"noise_{number}"] for number in range(5)]
    assert [maps.shape for maps in noise] == [
        tuple(shape) for shape in generator.synthesis.noise_shapes(1)]
    assert stored["seed"] == 7 and "best_sample_psnr" not in stored
    found = np.clip(np.asarray(generator.synthesis(stored["ws"], noise=noise)), -1, 1)
    sheet = pixels(tmp_path / "out" / "projected.png")
    assert sheet.shape[:2] == (128, 3 * 128)
    middle = sheet[::8, 128:256:8].reshape(found[0].shape).astype(int)
    assert np.abs(middle - to_uint8(found[0])).max() <= 1


def test_the_same_on_two_runs(home, images, tmp_path):
    for name in ("first", "second"):
        project(home / "dcgan", images, tmp_path / name, "--steps", 5, "--compare", 40)
    for file in ("projected.png", "progress.gif", "projection.csv"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_a_kill_while_writing_leaves_no_mixture(home, images, tmp_path, monkeypatch):
    out, order = tmp_path / "out", []
    flags = ("--steps", 1, "--compare", 0)
    assert project(home / "dcgan", images, out, *flags) == 0
    (out / "mine.txt").write_text("")

    def die(*arguments):
        order.extend(sorted(path.name for path in out.iterdir()))
        raise KeyboardInterrupt

    monkeypatch.setattr("stylegan2_tf.animation.save_animation", die)
    assert project(home / "dcgan", images, out, *flags) == 130
    assert order == ["mine.txt", "projected.png"]


def test_several_in_one_process_do_not_warn_of_tracing(home, images, tmp_path, caplog):
    for number in range(8):
        assert project(home / "dcgan", images, tmp_path / str(number), "--steps", 1, "--compare",
                       0) == 0
    assert "retracing" not in caplog.text


def test_no_similarity_below_its_window(home, images, tmp_path, capsys):
    assert project(home / "small", images, tmp_path / "out", "--steps", 1, "--compare", 0) == 0
    printed = capsys.readouterr().out
    assert "note: no MS-SSIM: its window needs 11 pixels a side, found 8" in printed
    assert "PSNR" in printed and "MS-SSIM 0" not in printed and "best of" not in printed
    header = (tmp_path / "out" / "projection.csv").read_text().splitlines()[0]
    assert header == "file,psnr"


# -- refusals


@pytest.mark.parametrize("flags, message", [
    (["--steps", "0"], "--steps: expected 1 to 100000, found 0"),
    (["--compare", "-1"], "--compare: expected 0 to 1000000, found -1"),
    (["--seed", "-1"], "--seed: expected 0 to"), (["--space", "z"], "--space: invalid choice"),
    (["--noise", "none"], "--noise: invalid choice"),
])
def test_bad_flags_are_refused_before_anything_is_loaded(
        home, images, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.setattr("stylegan2_tf.tf_quiet.import_tensorflow", None)
    assert message in refused(capsys, home / "plain", images, tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["b.png", "new.JPG", "text"])
def test_out_that_is_an_image(home, images, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr("stylegan2_tf.tf_quiet.import_tensorflow", None)
    (images / "text").write_text("a file")
    line = refused(capsys, home / "plain", images / "a.png", images / name)
    assert line.endswith("OUT: expected a folder to write to as the last argument, found the file "
                         f"{images / name}; give one after the images")


def test_images_that_cannot_be(home, images, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    line = refused(capsys, home / "plain", images, tmp_path / "absent.png", out)
    assert "IMAGE: expected image files or folders, found nothing at" in line
    line = refused(capsys, home / "plain", *[images / "a.png"] * 65, out)
    assert "IMAGE: expected at most 64 images, found 65" in line
    line = refused(capsys, home / "plain", images, images / "out")
    assert "OUT: expected outside of the images" in line
    assert "required: OUT" in refused(capsys, home / "plain", images)
    (images / "text.png").write_text("none")
    line = refused(capsys, home / "plain", images, out, code=65)
    assert "text.png: expected an image, found: not an image" in line
    assert not out.exists() and sorted(path.name for path in images.iterdir()) == [
        "a.png", "b.png", "text.png"]


def test_a_network_without_noise(home, images, tmp_path, capsys):
    line = refused(capsys, home / "dcgan", images, tmp_path / "out", "--noise", "optimise")
    assert "--noise: expected const, for this network has no noise to optimise" in line
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_none(images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sampling, "load", load)
    line = refused(capsys, tmp_path / "absent", images, tmp_path / "out", code=65)
    assert "nothing there" in line and not (tmp_path / "out").exists()


def test_the_command_is_listed():
    assert "project" in COMMANDS
