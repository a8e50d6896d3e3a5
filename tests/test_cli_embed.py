"""`stylegan2-tf embed` from the command line."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from stylegan2_tf.artifacts import save_models
from stylegan2_tf.building import make_networks
from stylegan2_tf.cli import main
from stylegan2_tf.config import TrainConfig
from stylegan2_tf.data import divide, division_of, pack
from stylegan2_tf.latent import embedding, projection

PEOPLE, SLICES = 16, 2


def image_of(random, person):
    """Bright left or right, by the person's class."""
    pixels = random.integers(0, 60, (16, 16), np.uint8)
    left = 8 * (person % 2)
    pixels[4:12, left:left + 8] += 150
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Runs `conditional` and `plain`; 16 people of two kinds in `real`, `flat` and `nameless`."""
    home = tmp_path_factory.mktemp("embed")
    config = TrainConfig(**TINY)
    for name, classes in (("plain", ()), ("conditional", ("young", "old"))):  # in no order
        _, average, discriminator = make_networks(config, classes)
        save_models(home / name / "Model", average, discriminator, config=config.to_json())
    random = np.random.default_rng(0)
    for folder in ("real/old", "real/young", "real/atlas", "flat", "nameless/old",
                   "nameless/young"):
        (home / folder).mkdir(parents=True)
    for person in range(PEOPLE):
        kind = ("old", "young")[person % 2]
        for index in range(SLICES):
            image, name = image_of(random, person), f"case_{person:03d}_slice_{index}.png"
            image.save(home / "real" / kind / name)
            image.save(home / "flat" / name)
            if person < 6:
                image.save(home / "nameless" / kind / f"{person}-{index}.png")
    image_of(random, 0).save(home / "real" / "atlas" / "case_099_slice_0.png")
    for name, holdout in (("held", 0.5), ("few", 0.1), ("all", 0.0)):  # runs on these images
        config = TrainConfig(**{**TINY, "conditional": True, "classes": "old,young",
                                "holdout": holdout})
        packed = pack(home / "real", home / "cache", resolution=16, channels=1, progress=False)
        train, _, _ = divide(packed, **division_of(config.to_json()))
        save_models(home / name / "Model", average, discriminator, config=config.to_json(),
                    images=train.fingerprint)
    return home


def embed(*arguments):
    return main(["embed", *map(str, arguments)])


def refused(capsys, *arguments, code=2):
    """The one line of a command that is refused."""
    assert embed(*arguments) == code
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and "points" not in printed.out
    return lines[0]


def tree(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.fixture
def no_projection(monkeypatch):
    """Projecting takes the longest by far: what is refused is refused before."""
    monkeypatch.setattr(projection, "project", None)


# -- what is found


def test_a_difference_in_real_images_is_found(home, tmp_path, capsys, monkeypatch):
    drawn = []
    from stylegan2_tf.plots import save_embedding

    monkeypatch.setattr("stylegan2_tf.plots.save_embedding", lambda panels, path: (
        drawn.extend(panels), save_embedding(panels, path)))
    before, out = tree(home / "real"), tmp_path / "new" / "styles.png"
    assert embed(home / "conditional", "--data", home / "real", "--n", 20, "--steps", 20,
                 "--seed", 3, "--out", out) == 0
    assert tree(home / "real") == before
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "note: 1 of 33 images are of no class that the model knows, and left out"
    assert printed[1] == (f"note: {home / 'real'} is not what this model was trained on, or has "
                          "changed since: whether it has seen these images is not known")
    assert printed[2].startswith("generated 40 points: ")
    assert printed[3].startswith("real      32 points of 16 subjects: ")
    assert "of the nearest 10 are of the same class; chance " in printed[3]
    assert printed[4].startswith("note: a conditional model is told the class")
    assert printed[5:] == [f"written {out} and styles.json"]

    report = json.loads(out.with_suffix(".json").read_text())
    assert report["model"] == str(home / "conditional" / "Model" / "generator.keras")
    assert {name: report[name] for name in (
        "data", "trained_on", "classes", "method", "steps", "seed")} == {
        "data": str(home / "real"), "trained_on": None, "classes": ["old", "young"],
        "method": "pca", "steps": 20, "seed": 3}
    for kind, points, subjects in (("generated", 40, None), ("real", 32, 16)):
        assert (report[kind]["points"], report[kind]["subjects"]) == (points, subjects)
        assert 0.4 < report[kind]["chance"] < 0.6 and report[kind]["k"] == 10
    assert report["real"]["score"] > report["real"]["threshold"] + 0.1
    assert report["real"]["p_value"] < 0.02

    (panel,) = drawn
    assert panel.separation.score == report["real"]["score"] and panel.points.shape == (72, 2)
    assert panel.real.tolist() == [False] * 40 + [True] * 32
    assert panel.labels.tolist() == ["young", "old"] * 20 + ["old"] * 16 + ["young"] * 16
    with Image.open(out) as image:
        assert image.format == "PNG" and min(image.size) > 500
    assert {path.name for path in out.parent.iterdir()} == {"styles.png", "styles.json"}


def test_labels_of_a_file_that_were_shuffled_are_at_chance(home, tmp_path, capsys):
    kinds = ["old", "old", "young", "young"] * (PEOPLE // 4)  # both kinds of images in each class
    with open(tmp_path / "labels.csv", "w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "label"])
        for path in sorted((home / "flat").iterdir()):
            table.writerow([path.name, kinds[int(path.name[5:8])]])
    out = tmp_path / "styles.png"
    assert embed(home / "conditional", "--data", home / "flat", "--labels",
                 tmp_path / "labels.csv", "--n", 6, "--steps", 8, "--out", out) == 0
    found = json.loads(out.with_suffix(".json").read_text())["real"]
    assert found["subjects"] == PEOPLE and found["score"] <= found["threshold"]


def test_generated_ones_alone(home, tmp_path, capsys, no_projection):
    reports = []
    for name in ("a.png", "b.png"):
        assert embed(home / "conditional", "--n", 2, "--out", tmp_path / name) == 0
        reports.append(json.loads((tmp_path / name).with_suffix(".json").read_text()))
    assert "real" not in reports[0] and reports[0]["data"] is None
    assert reports[0]["generated"]["points"] == 4 and reports[0]["generated"]["k"] == 3
    assert reports[0] == reports[1]
    assert "are of the same class" in capsys.readouterr().out


def test_so_many_real_images_of_each_class_without_subjects(home, tmp_path, capsys, monkeypatch):
    seen = []

    def project(model, images, *, steps, start, seed, progress):
        assert start == "mean"  # the most similar random image has a class
        seen.append((images, steps, seed))
        shape = (len(images), 6, 8)
        return type("Found", (), {"ws": np.random.default_rng(0).normal(size=shape)})

    monkeypatch.setattr(projection, "project", project)
    assert embed(home / "conditional", "--data", home / "nameless", "--real", 4, "--steps", 7,
                 "--n", 4, "--out", tmp_path / "styles.png") == 0
    ((images, steps, seed),) = seen
    assert (images.shape, images.dtype, steps, seed) == ((8, 16, 16, 1), np.float32, 7, 0)
    names = [f"old/{name}" for name in ("0-0", "0-1", "2-1", "4-0")]
    names += [f"young/{name}" for name in ("1-0", "1-1", "3-1", "5-0")]
    for image, name in zip(images[..., 0], names, strict=True):
        with Image.open(home / "nameless" / f"{name}.png") as source:
            np.testing.assert_allclose(image, np.asarray(source) / 127.5 - 1, atol=1e-6)
    assert "note: the file names tell no subjects" in capsys.readouterr().out
    report = json.loads((tmp_path / "styles.json").read_text())
    assert report["real"]["points"] == 8 and report["real"]["subjects"] is None
    assert report["real"]["k"] == 7


def test_an_image_keeps_its_subject(home, tmp_path, monkeypatch):
    seen = []

    def projected(generator, images, labels, groups, steps, seed):
        seen.extend(zip(labels.tolist(), groups.tolist(), strict=True))
        return embedding.Styles(images.reshape(len(images), -1)[:, :8], labels, groups)

    monkeypatch.setattr(embedding, "projected_styles", projected)
    monkeypatch.setattr("stylegan2_tf.cli.embed._write", lambda *arguments: None)
    assert embed(home / "conditional", "--data", home / "real", "--real", 4, "--n", 2, "--out",
                 tmp_path / "styles.png") == 0
    assert seen == [("old", "000"), ("old", "004"), ("old", "008"), ("old", "012"),
                    ("young", "001"), ("young", "005"), ("young", "009"), ("young", "013")]


@pytest.mark.parametrize("name, count, trained, note", [
    ("held", 16, 0, "the 16 real images show people that were held out of the training"),
    ("few", 32, 28, "28 of 32 real images were trained on: their styles may lie better than those "
                    "of images that the model has not seen"),
    ("all", 32, 32, "32 of 32 real images were trained on: ")])
def test_people_that_were_held_out_come_first(home, tmp_path, capsys, monkeypatch, name, count,
                                              trained, note):
    """Those of `few` are all of one class, or too few to be compared."""
    monkeypatch.setattr(embedding, "projected_styles", lambda model, images, labels, groups, *_: (
        embedding.Styles(images.reshape(len(images), -1)[:, :8], labels, groups)))
    assert embed(home / name, "--data", home / "real", "--n", 4, "--out", tmp_path / "x.PNG") == 0
    printed = capsys.readouterr().out
    assert f"\nnote: {note}" in "\n" + printed and f"real      {count} points of {count // 2}" in (
        printed)
    report = json.loads((tmp_path / "x.json").read_text())
    assert (report["trained_on"], report["real"]["points"]) == (trained, count)


# -- refusals


@pytest.mark.parametrize("flags, message", [
    (["--n", 1], "--n: expected 2 to 2147483647, found 1"),
    (["--real", 1], "--real: expected 2 to"), (["--steps", 0], "--steps: expected 1 to"),
    (["--seed", -1], "--seed: expected 0 to"), (["--seed", 2**31], "--seed: expected 0 to"),
    (["--out", "styles.jpg"], "--out: expected a file that ends in .png, found styles.jpg"),
    (["--labels", "labels.csv"], "--labels: expected with --data, found it alone"),
    (["--subject-pattern", "(.+)"], "--subject-pattern: expected with --data, found it alone"),
    (["--method", "tsne"], "argument --method: invalid choice: 'tsne'"),
])
def test_bad_flags_are_refused_before_anything_is_loaded(
        home, capsys, monkeypatch, tmp_path, flags, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stylegan2_tf.tf_quiet.import_tensorflow", None)
    assert message in refused(capsys, home / "conditional", *flags)


def test_several_models_are_refused_with_the_reason(home, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("stylegan2_tf.tf_quiet.import_tensorflow", None)
    line = refused(capsys, home / "conditional", home / "conditional", "--out", tmp_path / "x.png")
    assert "MODEL: expected one model, found several" in line
    assert "unrelated axes" in line and "Train one model on all of them with --conditional" in line


def test_pictures_that_cannot_be_written(home, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("stylegan2_tf.tf_quiet.import_tensorflow", None)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("mine")
    before = tree(home / "real")
    for out, problem in (("folder.png", "found a folder"),
                         ("file/styles.png", f"found a file at {tmp_path / 'file'}")):
        assert refused(capsys, home / "conditional", "--out", tmp_path / out, code=74).endswith(
            f"--out {tmp_path / out}: expected a file that can be written, {problem}")
    assert "--out: expected outside of --data" in refused(
        capsys, home / "conditional", "--data", home / "real", "--out",
        home / "real" / "new" / "styles.png")
    assert tree(home / "real") == before


def test_models_that_tell_no_class(home, tmp_path, capsys):
    out = ("--out", tmp_path / "new" / "styles.png")
    assert "MODEL: expected one trained with --conditional on two classes or more, found " in (
        line := refused(capsys, home / "plain", *out)) and "with none" in line
    assert "nothing there" in refused(capsys, tmp_path / "absent", *out, code=65)
    assert not (tmp_path / "new").exists()


def test_data_that_cannot_be_compared(home, tmp_path, capsys, no_projection):
    random = np.random.default_rng(0)
    for folder, person in (("old", 1), ("other", 2), ("torn/old", 1), ("torn/old", 3),
                           ("torn/young", 1), ("torn/young", 4)):
        path = tmp_path / "data" / folder / f"case_{person}_slice_0.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image_of(random, person).save(path)
        image_of(random, person).save(path.with_name(f"case_{person}_slice_1.png"))

    def line(data, *flags, code=2):
        return refused(capsys, home / "conditional", "--data", data, "--out",
                       tmp_path / "styles.png", *flags, code=code)

    # No folder `young`, and no file of labels.
    (tmp_path / "data" / "torn").rename(tmp_path / "torn")
    found = line(tmp_path / "data")
    assert f"--data {tmp_path / 'data'}: expected images of each class of the model (young, old)" \
        in found and "'young'; present: old 2, other 2" in found and "--classes" not in found
    # A person in both classes, and too few of them.
    assert "found: `labels` must be the same for all points of a group. Received: two in group 1 " \
        "(--subject-pattern '(.+)'" in line(tmp_path / "torn")
    for name in ("case_1_slice_0.png", "case_1_slice_1.png"):
        (tmp_path / "torn" / "young" / name).unlink()
    assert "in two groups. Received: {'old': 2, 'young': 1}" in line(tmp_path / "torn")
    assert "--labels" in line(home / "flat", "--labels", tmp_path / "absent.csv")
    assert "absent does not exist" in line(tmp_path / "absent")
    assert "finds no subject" in line(home / "real", "--subject-pattern", "(zzz)")


def test_a_method_that_is_not_installed_is_refused_before_projecting(
        home, tmp_path, capsys, monkeypatch, no_projection):
    monkeypatch.setattr("stylegan2_tf.latent.separation.importlib.util.find_spec",
                        lambda name: None)
    for flags in ((), ("--data", home / "real")):
        assert "method umap: expected the package umap-learn, found none" in refused(
            capsys, home / "conditional", *flags, "--method", "umap", "--out",
            tmp_path / "styles.png")
    assert not list(tmp_path.iterdir())
