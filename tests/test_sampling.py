import importlib.util
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from small import FAMILIES, make_discriminator, make_generator

import stylegan2_tf
from stylegan2_tf.artifacts import save_models
from stylegan2_tf.errors import DataError
from stylegan2_tf.latent.sampling import draw, enlarged, make_latents, one_hot, to_uint8


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run folder with a saved model whose noise and mean latent are not trivial."""
    folder = tmp_path_factory.mktemp("run")
    save_models(folder / "Model", make_generator(filters=[8, 4, 4], z_dim=6, w_dim=5),
                make_discriminator(), step=3)
    return folder


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A run folder with a generator of three classes and 12x16 pixels."""
    folder = tmp_path_factory.mktemp("conditional")
    generator = make_generator(filters=[8, 4, 4], classes=("AD", "MCI", "NC"),
                               base_resolution=[3, 4])
    save_models(folder / "Model", generator, make_discriminator(label_dim=3), step=3)
    return folder


def test_latents_do_not_depend_on_their_number():
    np.testing.assert_array_equal(make_latents(3, 7, seed=5), make_latents(9, 7, seed=5)[:3])
    assert not np.array_equal(make_latents(3, 7, seed=5), make_latents(3, 7, seed=6))
    z = make_latents(20_000, 2)
    assert z.dtype == np.float32 and abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02


def test_sample_from_folder_and_file(run_folder):
    model = stylegan2_tf.load(run_folder)
    images = model.sample(5, seed=1)
    assert images.shape == (5, 16, 16, 1) and images.dtype == np.float32
    assert images.min() >= -1 and images.max() <= 1
    assert (model.z_dim, model.resolution, model.channels) == (6, (16, 16), 1)
    assert model.classes == []
    for path in (run_folder / "Model", run_folder / "Model" / "generator.keras"):
        np.testing.assert_array_equal(stylegan2_tf.load(path).sample(5, seed=1), images)
    # rtol: another batch size may take another convolution kernel
    np.testing.assert_allclose(model.sample(2, seed=1), images[:2], atol=1e-5)
    assert np.abs(model.sample(5, seed=2) - images).max() > 0.01


def test_truncation_narrows(run_folder):
    model = stylegan2_tf.load(run_folder)
    wide, narrow = (model.sample(16, truncation_psi=psi).std(axis=0).mean() for psi in (1, 0.3))
    assert narrow < 0.7 * wide
    assert model.sample(4, truncation_psi=0).std(axis=0).max() < 1e-4


def test_sample_refuses_no_images(run_folder):
    with pytest.raises(ValueError, match="n=0"):
        stylegan2_tf.load(run_folder).sample(0)


# -- classes


def test_without_a_label_every_class_comes_in_turn(conditional):
    model = stylegan2_tf.load(conditional)
    assert model.classes == ["AD", "MCI", "NC"] and model.resolution == (12, 16)
    images = model.sample(7, seed=1)
    assert images.shape == (7, 12, 16, 1)
    for index, name in enumerate(model.classes):
        of_class = model.sample(7, seed=1, label=name)
        np.testing.assert_allclose(images[index::3], of_class[index::3], atol=1e-5)
        assert np.abs(images - of_class).max() > 1e-2


def test_drawing_in_batches_keeps_the_order_of_the_labels(conditional):
    generator = stylegan2_tf.load(conditional).generator
    z, labels = make_latents(7, 5), [2, 0, 1, 1, 0, 2, 2]
    np.testing.assert_allclose(draw(generator, z, labels, batch=3), draw(generator, z, labels),
                               atol=1e-5)
    np.testing.assert_allclose(draw(generator, z, labels)[1], draw(generator, z[1:2], [0])[0],
                               atol=1e-5)
    np.testing.assert_allclose(draw(generator, z, batch=3), draw(generator, z), atol=1e-5)


def test_labels_are_counted_round(conditional, run_folder):
    model, plain = (stylegan2_tf.load(folder) for folder in (conditional, run_folder))
    found = one_hot(model.generator, [0, 2, 4])
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert found.dtype == np.float32
    assert one_hot(plain.generator, [0, 2, 4]) is None
    z = make_latents(2, 6)
    np.testing.assert_array_equal(draw(plain.generator, z, [1, 1]), draw(plain.generator, z))


@pytest.mark.parametrize("label", ["CN", "", 1])
def test_unknown_classes_are_refused(conditional, run_folder, label):
    with pytest.raises(ValueError, match=rf"\(AD, MCI, NC\). Received: label={label}$"):
        stylegan2_tf.load(conditional).sample(1, label=label)
    with pytest.raises(ValueError, match=r"\(there are none\). Received: label=AD"):
        stylegan2_tf.load(run_folder).sample(1, label="AD")


def test_a_sample_is_mapped_then_painted(conditional):
    model = stylegan2_tf.load(conditional)
    w = model.map(make_latents(3, 5, seed=2), truncation_psi=0.7, label="NC")
    assert w.shape == (3, 7)
    expected = model.sample(3, seed=2, truncation_psi=0.7, label="NC")
    np.testing.assert_array_equal(model.synthesize(w), expected)
    ws = np.repeat(w[:, None], model.generator.synthesis.num_ws, axis=1)
    np.testing.assert_allclose(model.synthesize(ws), expected, atol=1e-6)
    assert np.abs(model.synthesize(w, noise=0.0) - expected).max() > 1e-3
    wide = model.map(make_latents(3, 5, seed=2), label="NC")
    w_avg = np.asarray(model.generator.w_avg)
    np.testing.assert_allclose(w, w_avg + 0.7 * (wide - w_avg), atol=1e-5)


def test_images_of_a_small_stage_are_enlarged():
    images = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(enlarged(images, (4, 4))[0, ..., 0], [
        [0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
    assert enlarged(images[:, :, :1], (8, 4)).shape == (1, 8, 4, 1)
    np.testing.assert_array_equal(enlarged(images, (2, 2)), images)


# -- pictures and files


def test_uint8_rounds_and_clips():
    np.testing.assert_array_equal(to_uint8(np.array([-3.0, -1.0, 0.0, 0.996, 1.0, 7.0])),
                                  [0, 0, 128, 254, 255, 255])


def test_a_fresh_process_loads_after_importing_the_package(run_folder, tmp_path):
    script = ("import sys, stylegan2_tf\n"
              "assert 'keras' not in sys.modules\n"
              "import keras, numpy\n"
              "for name in ('generator', 'discriminator'):\n"
              f"    model = keras.saving.load_model(r'{run_folder}/Model/' + name + '.keras')\n"
              "    print(type(model).__name__, getattr(model, 'optimizer', None))\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Generator", "None", "Discriminator", "None"]


@pytest.fixture(scope="module", params=FAMILIES)
def another(request, tmp_path_factory):
    """A folder with a generator of every family, with attention and classes, half grown."""
    folder = tmp_path_factory.mktemp("another")
    generator = make_generator(request.param, classes=("AD", "NC"), attention=8, level=1)
    generator.synthesis.attend.strength.assign(0.5)
    generator.synthesis.fade.assign(0.3)
    save_models(folder / "Model", generator, make_discriminator(), step=3)
    return folder


def check_backend(backend, folder, tmp_path):
    """The images of a model must be the same in a process without TensorFlow."""
    expected = stylegan2_tf.load(folder).sample(3, seed=4, truncation_psi=0.7)
    script = ("import sys\n"
              "sys.modules['tensorflow'] = None  # any import of it fails\n"
              "import numpy, stylegan2_tf, keras\n"
              f"assert keras.backend.backend() == '{backend}'\n"
              f"images = stylegan2_tf.load(r'{folder}').sample(3, 4, 0.7)\n"
              f"numpy.save(r'{tmp_path}/images.npy', images)\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          env={"KERAS_BACKEND": backend, "PATH": "", "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), expected, atol=1e-5)


def test_numpy_backend_agrees_without_tensorflow(another, tmp_path):
    pytest.importorskip("jax", reason="Keras' NumPy backend convolves with jax")
    check_backend("numpy", another, tmp_path)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_agree_without_tensorflow(backend, run_folder, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    check_backend(backend, run_folder, tmp_path)


def test_missing_empty_and_foreign_paths(tmp_path, run_folder):
    for path, words in ((tmp_path / "nowhere", "nothing there"), (tmp_path, "no model in it")):
        with pytest.raises(DataError, match=words):
            stylegan2_tf.load(path)
    with pytest.raises(DataError, match="expected a Generator, found Discriminator"):
        stylegan2_tf.load(run_folder / "Model" / "discriminator.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(DataError, match="expected a Generator, found Sequential"):
        stylegan2_tf.load(tmp_path / "other.keras")
    (tmp_path / "text.keras").write_text("not a model")
    with pytest.raises(DataError, match="expected a model saved by stylegan2_tf"):
        stylegan2_tf.load(tmp_path / "text.keras")


def test_a_changed_model_is_refused(tmp_path, run_folder):
    copy = tmp_path / "Model"
    copy.mkdir()
    for path in (run_folder / "Model").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    content = bytearray((copy / "generator.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "generator.keras").write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        stylegan2_tf.load(copy)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="manifest"):
        stylegan2_tf.load(copy)


def test_manifest_lists_both_models(run_folder):
    manifest = json.loads((run_folder / "Model" / "manifest.json").read_text())
    assert set(manifest["files"]) == {"generator.keras", "discriminator.keras"}
    assert manifest["step"] == 3
