"""What other programs get: SavedModel, ONNX, LiteRT."""

import importlib.util
import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from small import make_generator

from stylegan2_tf import export
from stylegan2_tf.errors import NumericalError, UsageError
from stylegan2_tf.export import check_target, export_generator
from stylegan2_tf.latent.sampling import (
    LoadedGenerator,
    draw,
    make_latents,
    one_hot,
    synthesize,
)

CLASSES = ("AD", "MCI", "NC")
PSI = 0.7
KINDS = {"plain": dict(base_resolution=[2, 3]), "classes": dict(channels=3, classes=CLASSES)}

# Programs that know nothing of this package: argv is a folder of `<name>.<ending>` with inputs and
# expected images beside it as `<name>-<batch>.npz`. They print the largest difference of each.
BLOCKED = """
import glob, json, sys
sys.modules["stylegan2_tf"] = None
try:
    import stylegan2_tf
    raise SystemExit("the package is there")
except ImportError:
    pass
import numpy as np
found = {}
def compare(name, function, signature="z"):
    for batch in (1, 2, 7):
        with np.load(f"{sys.argv[1]}/{name}-{batch}.npz") as data:
            inputs = {key: data[key] for key in ("z", "label") if key in data}
            images = function(inputs if signature == "z" else {"w": data["w"]})
            expected = data["from_" + signature]
        found[f"{name} {signature} {batch}"] = (
            float(abs(images - expected).max()) if images.shape == expected.shape else None)
"""
PROGRAMS = {"savedmodel": """
import tensorflow as tf
for path in glob.glob(sys.argv[1] + "/*-model"):
    name = path.split("/")[-1].removesuffix("-model")
    signatures = tf.saved_model.load(path).signatures
    assert sorted(signatures) == ["serving_default", "w"]
    for signature, key in (("z", "serving_default"), ("w", "w")):
        compare(name, lambda inputs: signatures[key](
            **{k: tf.constant(v) for k, v in inputs.items()})["image"].numpy(), signature)
""", "onnx": """
import onnxruntime
for path in glob.glob(sys.argv[1] + "/*.onnx"):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    compare(path.split("/")[-1].removesuffix(".onnx"),
            lambda inputs: session.run(["image"], inputs)[0])
""", "litert": """
from ai_edge_litert.interpreter import Interpreter
for path in glob.glob(sys.argv[1] + "/*.tflite"):
    interpreter = Interpreter(path)
    for signature, key in (("z", "serving_default"), ("w", "w")):
        compare(path.split("/")[-1].removesuffix(".tflite"),
                lambda inputs: interpreter.get_signature_runner(key)(**inputs)["image"], signature)
"""}


@pytest.fixture(scope="module")
def generators():
    return {name: make_generator(filters=(6, 4), **more) for name, more in KINDS.items()}


@pytest.fixture(scope="module")
def home(generators, tmp_path_factory):
    """What Keras draws, for the programs to compare with."""
    home = tmp_path_factory.mktemp("export")
    for name, generator in generators.items():
        for batch in (1, 2, 7):
            z, labels = make_latents(batch, generator.z_dim, seed=5), np.arange(batch) + 1
            w = make_latents(batch, generator.mapping.w_dim, seed=6)
            label = {"label": one_hot(generator, labels)} if generator.classes else {}
            np.savez(home / f"{name}-{batch}.npz", z=z, w=w, **label, from_w=synthesize(
                generator, w), from_z=draw(generator, z, labels, PSI))
    return home


@pytest.mark.parametrize("form", ["savedmodel", "onnx", "litert"])
def test_other_programs_draw_the_same_without_this_package(generators, home, form):
    for package in export.NEEDED.get(form, ()):
        pytest.importorskip(package, reason=f"needs the extra {form}")
    names = KINDS if form == "savedmodel" else ["classes"]
    for name in names:
        ending = export.ENDINGS[form] or "-model"
        assert 0 <= export_generator(generators[name], home / f"{name}{ending}", form, PSI) < 1e-5
    assert not list(home.glob(".tmp*"))
    code = BLOCKED + PROGRAMS[form] + "print(json.dumps(found))"
    result = subprocess.run([sys.executable, "-I", "-c", code, str(home)], cwd="/",
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    signatures = "z" if form == "onnx" else "zw"
    assert set(found) == {f"{name} {signature} {batch}" for name in names
                          for signature in signatures for batch in (1, 2, 7)}
    assert max(found.values()) < 1e-4


def test_the_images_that_are_compared_are_no_constants(home):
    for name in KINDS:
        with np.load(home / f"{name}-7.npz") as data:
            for images in (data["from_z"], data["from_w"]):
                assert (np.abs(images) < 1).mean() > 0.5
                assert np.abs(images - images[0]).max() > 0.1


# -- what is refused, with converters that only copy


class Copy:
    """Stands for an exported model: draws with Keras, with an error at one batch."""

    def __init__(self, generator, signature, error, batch):
        self.generator, self.error, self.batch = generator, error, batch
        self.signatures = {signature: partial(self.draw, signature)}

    def draw(self, signature, **inputs):
        if signature == "w":
            images = synthesize(self.generator, inputs["w"])
        else:
            images = draw(self.generator, inputs["z"], inputs["label"].argmax(1), PSI)
        images[0, 0, 0, 0] += self.error * (len(images) == self.batch)
        return images


@pytest.fixture
def copying(generators, monkeypatch):
    """A function that makes ONNX files whose images have an error."""
    def prepare(signature, error, batch):
        copy = Copy(generators["classes"], signature, error, batch)
        monkeypatch.setattr(export, "NEEDED", {})
        monkeypatch.setattr(export, "_write_onnx", lambda tf, generator, psi, path: (
            path.write_text("new")))
        monkeypatch.setattr(export, "_load_onnx", lambda tf, path: copy.signatures)

    return prepare


@pytest.mark.parametrize("signature", ["serving_default", "w"])
@pytest.mark.parametrize("error", [0.0, 5e-5])
def test_small_differences_are_reported(generators, copying, tmp_path, signature, error):
    copying(signature, error, 2)
    path = tmp_path / "deep" / "model.onnx"
    found = export_generator(generators["classes"], path, "onnx", PSI)
    assert found == pytest.approx(error, abs=1e-7) and type(found) is float
    assert path.read_text() == "new"
    assert [child.name for child in path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("signature", ["serving_default", "w"])
@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("error, shown", [(2e-4, "2.0e-04"), (np.nan, "nan")])
def test_what_draws_other_images_is_not_left(generators, copying, tmp_path, signature, batch,
                                             error, shown):
    copying(signature, error, batch)
    (tmp_path / "model.onnx").write_text("old")
    with pytest.raises(NumericalError, match=f"within 0.0001 .* difference of {shown}"):
        export_generator(generators["classes"], tmp_path / "model.onnx", "onnx", PSI)
    assert (tmp_path / "model.onnx").read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["model.onnx"]


def test_what_a_killed_export_left_is_swept(generators, copying, tmp_path):
    copying("w", 0.0, 2)
    kill = ("import os, pathlib, sys, stylegan2_tf.export as export\n"
            "with export._replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
            "    temporary.write_text('half')\n"
            "    os.kill(os.getpid(), 9)\n")
    done = subprocess.run([sys.executable, "-c", kill, str(tmp_path / "old.onnx")])
    assert done.returncode == -9
    left, = tmp_path.iterdir()
    assert left.name.startswith(".tmp-export-")
    for name in (".tmp-other", ".tmp-export-mine"):  # none that this command makes
        (tmp_path / name).mkdir()
    with export._replacing(tmp_path / "another.onnx") as running:  # another export, beside this one
        running.write_text("new")
        export_generator(generators["classes"], tmp_path / "model.onnx", "onnx", PSI)
        assert running.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".tmp-export-mine", ".tmp-other", "another.onnx", "model.onnx"]


def test_what_load_returns_will_do(generators, copying, tmp_path):
    copying("w", 0.0, 2)
    model = LoadedGenerator(generators["classes"])
    assert export_generator(model, tmp_path / "model.onnx", "onnx", PSI) < 1e-6


@pytest.mark.parametrize("form, name, message", [
    ("savedmodel", "model.onnx", "expected a folder, found .*model.onnx; give --format"),
    ("savedmodel", "full", "expected a new or empty folder, found .*full, a folder with content"),
    ("savedmodel", "file", "expected a new or empty folder, found .*file, a file; remove"),
    ("onnx", "model", "expected a file that ends in .onnx, found .*model"),
    ("onnx", "folder.onnx", "expected a file, found .*folder.onnx, a folder"),
    ("litert", "model.onnx", "expected a file that ends in .tflite"),
    ("keras", "model", "--format: expected one of savedmodel, onnx, litert, found 'keras'"),
])
def test_targets_that_cannot_be(tmp_path, monkeypatch, form, name, message):
    monkeypatch.setattr(export, "NEEDED", {})
    (tmp_path / "file").write_text("")
    (tmp_path / "full" / "folder").mkdir(parents=True)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(UsageError, match=message):
        check_target(tmp_path / name, form)


def test_targets_that_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "NEEDED", {})
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.tflite").write_text("")
    for form, name in (("savedmodel", "empty"), ("savedmodel", "model.v2"), ("onnx", "a.onnx"),
                       ("litert", "old.tflite")):
        check_target(tmp_path / name, form)


@pytest.mark.parametrize("form, present, listed", [
    ("onnx", ["onnx"], "packages tf2onnx, onnxruntime"), ("litert", [], "package ai_edge_litert")])
def test_a_missing_extra_is_one_line(monkeypatch, form, present, listed):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in present or None)
    with pytest.raises(UsageError) as error:
        check_target("model", form)
    assert str(error.value) == (f"--format {form}: expected the {listed}, found none; "
                                f'install what it needs: pip install -e ".[{form}]"')
